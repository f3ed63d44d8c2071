/*
 * processor.c: the contract of the processor kind as tests: parameters are read or refused, what is
 * said of documents keeps to the rules, a document's outcome does not depend on those beside it or
 * on the thread, and nothing leaks, also where memory is lacking.
 *
 * Options: config, the parameters of a processor as JSON (default {}); bad, some that it refuses.
 */
#include "suite.h"
#include <pthread.h>
#include <stdlib.h>

#define DOCS QD_PROCESSOR_BATCH_MAX
#define THREADS 4

/* The host's side of a call: a digest of what was said of each document. */
typedef struct said {
    qd_processor_batch batch; /* first */
    uint64_t digest[DOCS];
    uint32_t n[DOCS];
    uint32_t room; /* things that may be said; then LIMIT */
    const char *wrong;
} said;

static qd_str option(const qd_conform *c, const char *key, qd_str standard)
{
    for (uint32_t i = 0; i < c->noptions; i++)
        if (c->options[i].key.n == strlen(key) &&
            memcmp(c->options[i].key.p, key, c->options[i].key.n) == 0)
            return c->options[i].value;
    return standard;
}

static uint64_t mix(uint64_t h, const void *p, size_t n)
{
    const uint8_t *b = p;
    for (size_t i = 0; i < n; i++) h = (h ^ b[i]) * 0x100000001B3ull;
    return h;
}

static int32_t note(const qd_processor_batch *b, uint32_t doc, char what, qd_str text)
{
    said *s = b->host;
    if (doc >= b->n) {
        s->wrong = "a document that the batch does not have";
        return QD_E_ARG;
    }
    if (!s->room) return QD_E_LIMIT;
    s->room--;
    s->n[doc]++;
    s->digest[doc] = mix(mix(s->digest[doc], &what, 1), text.p, text.n);
    return 0;
}

static int32_t on_set(const qd_processor_batch *b, uint32_t doc, qd_str path,
                      const qd_processor_value *v)
{
    said *s = b->host;
    if (!path.n) s->wrong = "an empty path";
    if (v->type == QD_PROCESSOR_NONE || v->type > QD_PROCESSOR_JSON) s->wrong = "an unknown type";
    int32_t rc = note(b, doc, 's', path);
    bool text = v->type == QD_PROCESSOR_STRING || v->type == QD_PROCESSOR_JSON;
    if (rc) return rc;
    uint64_t h = mix(s->digest[doc], &v->type, sizeof v->type);
    if (text) h = mix(h, v->text.p, v->text.n);
    if (v->type == QD_PROCESSOR_BOOL || v->type == QD_PROCESSOR_INT)
        h = mix(h, &v->i64, sizeof v->i64);
    if (v->type == QD_PROCESSOR_DOUBLE) h = mix(h, &v->f64, sizeof v->f64);
    s->digest[doc] = h;
    return 0;
}

static int32_t on_remove(const qd_processor_batch *b, uint32_t doc, qd_str path)
{
    if (!path.n) ((said *)b->host)->wrong = "an empty path";
    return note(b, doc, 'r', path);
}

static int32_t on_fail(const qd_processor_batch *b, uint32_t doc, int32_t code, qd_str reason)
{
    if (code > 0) ((said *)b->host)->wrong = "a code that is no error";
    return note(b, doc, 'f', reason);
}

static int32_t on_drop(const qd_processor_batch *b, uint32_t doc)
{
    return note(b, doc, 'd', S(""));
}

/* Values of every type; number i is the same in every batch. */
static qd_processor_value value(uint32_t i)
{
    static const char *const texts[] = {"",
                                        "a",
                                        "two words",
                                        ("Stra\xc3\x9f"
                                         "e \xf0\x9f\xa6\x94"),
                                        "12",
                                        "{\"a\":[1]}"};
    static char longer[70000];
    qd_processor_value v = {.type = i % 7};
    if (!longer[0]) memset(longer, 'x', sizeof longer - 1);
    v.i64 = v.type == QD_PROCESSOR_BOOL ? i % 2 : (int64_t)i * 1000003 - 5;
    v.f64 = v.type == QD_PROCESSOR_INT ? (double)v.i64 : (double)i / 8 - 1;
    if (v.type == QD_PROCESSOR_DOUBLE) v.text = S("0.5");
    if (v.type == QD_PROCESSOR_STRING) v.text = str_c(i % 49 == 5 ? longer : texts[i / 7 % 6]);
    if (v.type == QD_PROCESSOR_JSON)
        v.text = i % 2 ? S("{\"a\":{\"b\":[1,null]}}") : S("[1,\"x\"]");
    return v;
}

/* One processor with its needs. */
typedef struct made {
    qd_processor *p;
    qd_processor_needs needs;
} made;

static int32_t make(qd_conform *c, const qd_processor_vtable *vt, qd_str config, made *m)
{
    qd_processor_ctx ctx = {.struct_size = sizeof ctx, .self = c->self, .tag = S("tagged")};
    qd_json_in *in = c->json_open(c, config);
    *m = (made){.needs = {.struct_size = sizeof m->needs}};
    if (!in) return QD_E_NOMEM;
    int32_t rc = vt->open(&ctx, in, &m->p, &m->needs, c->err);
    c->json_close(c, in);
    return rc;
}

/* Documents first, first + 1, … in one call. */
static int32_t run_some(const qd_processor_vtable *vt, const made *m, uint32_t first, uint32_t n,
                        uint32_t room, qd_err *err, said *s)
{
    uint32_t f = m->needs.nfields;
    qd_processor_value *values = calloc((size_t)n * f + 1, sizeof *values);
    *s = (said){.room = room};
    if (!values) return QD_E_NOMEM;
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < f; k++) values[i * f + k] = value((first + i) * 3 + k);
    s->batch = (qd_processor_batch){.struct_size = sizeof s->batch,
                                    .n = n,
                                    .nfields = f,
                                    .values = values,
                                    .host = s,
                                    .set = on_set,
                                    .remove = on_remove,
                                    .fail = on_fail,
                                    .drop = on_drop};
    int32_t rc = vt->run(m->p, &s->batch, err);
    free(values);
    return rc;
}

static void opens(qd_conform *c, const qd_processor_vtable *vt)
{
    made m;
    CHECK_EQ(c, make(c, vt, option(c, "config", S("{}")), &m), 0);
    CHECK(c, m.p != NULL);
    CHECK(c, m.needs.nfields <= QD_PROCESSOR_FIELDS_MAX);
    CHECK(c, m.needs.nfields == 0 || m.needs.fields);
    for (uint32_t k = 0; k < m.needs.nfields; k++) CHECK(c, m.needs.fields[k].n > 0);
    vt->close(m.p);
}

static void refuses(qd_conform *c, const qd_processor_vtable *vt, qd_str config)
{
    made m;
    int64_t before = c->memory(c);
    int32_t rc = make(c, vt, config, &m);
    CHECK(c, rc < 0);
    c->err_clear(c);
    CHECK_EQ(c, c->memory(c), before);
}

static void says_what_is_right(qd_conform *c, const qd_processor_vtable *vt)
{
    made m;
    said s;
    CHECK_EQ(c, make(c, vt, option(c, "config", S("{}")), &m), 0);
    for (uint32_t first = 0; first < 8 * DOCS; first += DOCS) {
        CHECK_EQ(c, run_some(vt, &m, first, DOCS, UINT32_MAX, c->err, &s), 0);
        if (s.wrong) conform_fail(c, __LINE__, s.wrong, first, 0);
    }
    vt->close(m.p);
}

static void documents_are_apart(qd_conform *c, const qd_processor_vtable *vt)
{
    made m;
    said all, one;
    CHECK_EQ(c, make(c, vt, option(c, "config", S("{}")), &m), 0);
    CHECK_EQ(c, run_some(vt, &m, 0, DOCS, UINT32_MAX, c->err, &all), 0);
    for (uint32_t i = 0; i < DOCS; i++) {
        CHECK_EQ(c, run_some(vt, &m, i, 1, UINT32_MAX, c->err, &one), 0);
        CHECK_EQ(c, one.n[0], all.n[i]);
        CHECK(c, one.digest[0] == all.digest[i]);
    }
    vt->close(m.p);
}

static void errors_are_passed_on(qd_conform *c, const qd_processor_vtable *vt)
{
    made m;
    said s;
    uint32_t said_in_all = 0;
    CHECK_EQ(c, make(c, vt, option(c, "config", S("{}")), &m), 0);
    CHECK_EQ(c, run_some(vt, &m, 0, DOCS, UINT32_MAX, c->err, &s), 0);
    for (uint32_t i = 0; i < DOCS; i++) said_in_all += s.n[i];
    if (said_in_all) {
        CHECK(c, run_some(vt, &m, 0, DOCS, said_in_all - 1, c->err, &s) < 0);
        c->err_clear(c);
    }
    vt->close(m.p);
}

typedef struct runner {
    const qd_processor_vtable *vt;
    const made *m;
    const said *want;
    uint32_t wrong;
} runner;

static void *run_thread(void *arg)
{
    runner *r = arg;
    said s;
    for (int k = 0; k < 100; k++) {
        int32_t rc = run_some(r->vt, r->m, 0, DOCS, UINT32_MAX, NULL, &s);
        r->wrong += rc != 0;
        for (uint32_t i = 0; i < DOCS; i++) r->wrong += s.digest[i] != r->want->digest[i];
    }
    return NULL;
}

static void threads_share_it(qd_conform *c, const qd_processor_vtable *vt)
{
    made m;
    said want;
    pthread_t threads[THREADS];
    runner runners[THREADS];
    uint32_t n = 0;
    CHECK_EQ(c, make(c, vt, option(c, "config", S("{}")), &m), 0);
    CHECK_EQ(c, run_some(vt, &m, 0, DOCS, UINT32_MAX, c->err, &want), 0);
    for (uint32_t i = 0; i < THREADS; i++) {
        runners[i] = (runner){.vt = vt, .m = &m, .want = &want};
        if (pthread_create(&threads[n], NULL, run_thread, &runners[i])) break;
        n++;
    }
    for (uint32_t i = 0; i < n; i++) pthread_join(threads[i], NULL);
    vt->close(m.p);
    CHECK(c, n == THREADS);
    for (uint32_t i = 0; i < n; i++) CHECK_EQ(c, runners[i].wrong, 0);
}

static void memory_may_lack(qd_conform *c, const qd_processor_vtable *vt)
{
    said s;
    for (uint64_t n = 1; n < 50; n++) {
        made m;
        int64_t before = c->memory(c);
        c->alloc_fail(c, n);
        int32_t rc = make(c, vt, option(c, "config", S("{}")), &m);
        if (!rc) {
            rc = run_some(vt, &m, 0, DOCS, UINT32_MAX, c->err, &s);
            vt->close(m.p);
        }
        uint64_t made_in_all = c->alloc_fail(c, 0);
        CHECK(c, rc <= 0);
        c->err_clear(c);
        CHECK_EQ(c, c->memory(c), before);
        if (made_in_all < n) break;
    }
}

static void leaks_nothing(qd_conform *c, const qd_processor_vtable *vt)
{
    int64_t before = c->memory(c);
    for (int i = 0; i < 50; i++) {
        made m;
        said s;
        CHECK_EQ(c, make(c, vt, option(c, "config", S("{}")), &m), 0);
        CHECK_EQ(c, run_some(vt, &m, 0, 3, UINT32_MAX, c->err, &s), 0);
        vt->close(m.p);
    }
    CHECK_EQ(c, c->memory(c), before);
}

void qd_conform_processor(qd_conform *c, const char *name, const qd_processor_vtable *vt)
{
    qd_str bad = option(c, "bad", S("{\"no_such_parameter_at_all\":1}"));
    (void)name;
    RUN(c, "it opens", opens(c, vt));
    RUN(c, "it refuses parameters", refuses(c, vt, bad));
    RUN(c, "it refuses unknown ones", refuses(c, vt, S("{\"no_such_parameter_at_all\":1}")));
    RUN(c, "it refuses what is no object", refuses(c, vt, S("[1]")));
    RUN(c, "it refuses what is no JSON", refuses(c, vt, S("{\"a\":")));
    RUN(c, "what it says keeps to the rules", says_what_is_right(c, vt));
    RUN(c, "documents do not depend on each other", documents_are_apart(c, vt));
    RUN(c, "it passes errors on", errors_are_passed_on(c, vt));
    RUN(c, "threads share it", threads_share_it(c, vt));
    RUN(c, "memory may lack", memory_may_lack(c, vt));
    RUN(c, "fifty of them leak nothing", leaks_nothing(c, vt));
}
