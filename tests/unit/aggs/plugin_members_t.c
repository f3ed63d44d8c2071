/*
 * plugin_members_t.c: members of a plugin in its buckets: they stand beside key and doc_count,
 * whatever orders, cuts and nests the buckets; nothing of the host's can be replaced, and what is
 * no list of the members that the plugin names is refused.
 */
#include "plugin/host.h"
#include "unit/lib/aggs_lib.h"
#include "json/reader.h"
#include "json/tree.h"
#include "json/writer.h"
#include <quidditch/aggregation.h>
#include <quidditch/plugin.h>

/* --- the plugin: keys are values, members the key again, and numbers of documents --------------
 */

typedef enum mode {
    SOUND,
    NOTHING,
    STRANGE,
    KEY,
    TWICE,
    OPEN,
    HALF,
    CLOSED,
    DEEP,
    LARGE,
    JUST,
    FAILS
} mode;
static const char *const modes[] = {"sound", "nothing", "strange", "key",   "twice", "open",
                                    "half",  "closed",  "deep",    "large", "just",  "fails"};
static uint32_t calls;

struct qd_aggregation_collector {
    uint32_t unused;
};

static int32_t m_parse(const qd_aggregation_ctx *ctx, qd_json_in *in, const void **out, qd_err *err)
{
    qd_json_reader *r = (qd_json_reader *)(void *)in;
    mode *m = qd_arena_calloc(ctx->arena, sizeof *m);
    *out = m;
    if (!m || qd_json_next(r) != QD_JSON_OBJECT) return qd_err_set(err, QD_E_PARSE, "no object");
    int ev;
    while ((ev = qd_json_next(r)) == QD_JSON_KEY) {
        bool ours = qd_str_is(r->text, "mode");
        if (!ours && qd_json_skip(r)) return qd_json_fail(r, err);
        if (!ours) continue;
        if (qd_json_next(r) != QD_JSON_STRING) return qd_err_set(err, QD_E_PARSE, "no mode");
        for (uint32_t i = 0; i < QD_COUNT_OF(modes); i++)
            if (qd_str_is(r->text, modes[i])) *m = (mode)i;
    }
    return ev < 0 ? qd_json_fail(r, err) : 0;
}

static int32_t m_open(const qd_aggregation_ctx *ctx, const void *params,
                      qd_aggregation_collector **out, qd_err *err)
{
    (void)ctx, (void)params;
    *out = qd_calloc(NULL, sizeof **out);
    return *out ? 0 : qd_err_nomem(err, "collector");
}

static void m_close(qd_aggregation_collector *c)
{
    qd_free(c);
}

static int32_t m_keys(qd_aggregation_collector *c, const qd_aggregation_values *v,
                      qd_aggregation_keys *o, qd_err *err)
{
    (void)c, (void)err;
    for (; o->n < v->n && o->n < o->room; o->n++) {
        o->of[o->n] = o->n;
        if (v->type == QD_AGGREGATION_I64)
            o->i64[o->n] = v->i64[o->n];
        else if (v->type == QD_AGGREGATION_F64)
            o->f64[o->n] = v->f64[o->n];
        else
            o->text[o->n] = v->text[o->n];
    }
    o->done = o->n;
    return 0;
}

static void large(qd_json_writer *w, uint32_t n)
{
    static char text[QD_AGGREGATION_BUCKET_MAX];
    memset(text, 'x', sizeof text);
    qd_json_str(w, (qd_str){text, n});
}

static int32_t m_write_bucket(const qd_aggregation_ctx *ctx, const void *params,
                              const qd_aggregation_bucket *b, qd_json_out *out, qd_err *err)
{
    qd_json_writer *w = (qd_json_writer *)(void *)out;
    mode m = *(const mode *)params;
    (void)ctx;
    calls++;
    assert_true(b->struct_size == sizeof *b && b->docs > 0 && b->total >= b->docs);
    if (m == NOTHING) return 0;
    if (m == FAILS) return qd_err_set(err, QD_E_ARG, "no members for this one");
    qd_json_key_c(w, m == STRANGE ? "other" : m == KEY ? "key" : "again");
    if (m == HALF) return 0;
    if (m == OPEN) {
        qd_json_object(w);
        return 0;
    }
    if (m == LARGE || m == JUST) { /* "again":"" has ten bytes */
        large(w, QD_AGGREGATION_BUCKET_MAX - 10 + (m == LARGE));
        return 0;
    }
    for (uint32_t i = 0; m == DEEP && i < 100; i++) qd_json_array(w);
    if (b->type == QD_AGGREGATION_I64)
        qd_json_int(w, b->i64);
    else if (b->type == QD_AGGREGATION_F64)
        qd_json_double(w, b->f64);
    else
        qd_json_str(w, b->text);
    for (uint32_t i = 0; m == DEEP && i < 100; i++) qd_json_array_end(w);
    if (m == TWICE) {
        qd_json_key_c(w, "again");
        qd_json_null(w);
    }
    qd_json_key_c(w, "parts");
    qd_json_object(w);
    qd_json_key_c(w, "docs");
    qd_json_uint(w, b->docs);
    qd_json_key_c(w, "key"); /* within a member's value any name is fine */
    qd_json_uint(w, b->total);
    qd_json_object_end(w);
    if (m == CLOSED) { /* ends the bucket's object, and begins another one */
        qd_json_object_end(w);
        qd_json_object(w);
    }
    return 0;
}

#define FLAGS (QD_AGGREGATION_BUCKETS | QD_AGGREGATION_TEXTS | QD_AGGREGATION_BUCKET_MEMBERS)
#define TABLE(names)                                                                               \
    {                                                                                              \
        .head = QD_VTABLE(qd_aggregation_vtable, AGGREGATION, FLAGS), .result_version = 1,         \
        .members = (names), .parse = m_parse, .open = m_open, .close = m_close, .keys = m_keys,    \
        .write_bucket = m_write_bucket                                                             \
    }
/* Tables whose members may not be what they are, and what is said of them. */
static const struct bad {
    const char *name;
    qd_aggregation_vtable vt;
    const char *what;
} bad[] = {
    {"bad_key", TABLE("again,key"), "the member [key] of its buckets has the name of one that"},
    {"bad_string", TABLE("key_as_string"),
     "the member [key_as_string] of its buckets has the name"},
    {"bad_count", TABLE("doc_count"), "the member [doc_count] of its buckets has the name"},
    {"bad_error", TABLE("doc_count_error_upper_bound"), "[doc_count_error_upper_bound] of its"},
    {"bad_twice", TABLE("a,b,a"), "the member [a] of its buckets is named twice"},
    {"bad_empty", TABLE("a,"), "the member [] of its buckets has no name"},
    {"bad_typed", TABLE("avg#x"), "the member [avg#x] of its buckets has a '#'"},
    {"bad_none", TABLE(NULL), "writes members of its buckets and names none"},
    {"bad_many", TABLE("a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q"), "has 17 members, at most 16"},
};
static const qd_aggregation_vtable table = TABLE("again,parts");
/* As a plugin was built before its table had the last slot. */
static const qd_aggregation_vtable shorter = {
    .head = {offsetof(qd_aggregation_vtable, write_bucket), QD_AGGREGATION_MAJOR,
             QD_AGGREGATION_MINOR, QD_AGGREGATION_BUCKETS | QD_AGGREGATION_TEXTS},
    .result_version = 1,
    .parse = m_parse,
    .open = m_open,
    .close = m_close,
    .keys = m_keys};

static int32_t init(qd_self *self, const qd_host *host, qd_err *err)
{
    int32_t rc = host->provide(self, QD_KIND_AGGREGATION, "members", &table, err);
    if (!rc) rc = host->provide(self, QD_KIND_AGGREGATION, "plain", &shorter, err);
    for (uint32_t i = 0; !rc && i < QD_COUNT_OF(bad); i++)
        rc = host->provide(self, QD_KIND_AGGREGATION, bad[i].name, &bad[i].vt, err);
    return rc;
}
static const qd_plugin plugin = {
    QD_PLUGIN_HEAD(0), "test-members", "1.0.0", "", QD_BUILD_ID, NULL, NULL, init, NULL, NULL};

static void make(lib *l, lib_doc *d, uint32_t i)
{
    *d = (lib_doc){.nk = 1 + (uint32_t)lib_random(l, 2), .nn = 1};
    for (uint32_t j = 0; j < d->nk; j++)
        snprintf(d->k[j], sizeof d->k[j], "%u-%u", j & 3, (unsigned)lib_random(l, 30) & 31);
    d->n[0] = (int64_t)lib_random(l, 40) - 9;
    d->has_d = true;
    d->d = (double)lib_random(l, 24) / 4 - 2;
    d->has_t = true;
    d->t = 1600000000000 + (int64_t)(i % 9) * 86400000;
    d->s = (int64_t)lib_random(l, 1000);
    d->b = (int64_t)lib_random(l, 2);
}

static qd_plugin_host *begin(lib *l, uint32_t n)
{
    qd_plugin_host *h;
    qd_plugin_host_config c = {.env = qd_env_system()};
    assert_int_equal(qd_plugin_host_open(&c, &h, NULL), 0);
    assert_int_equal(qd_plugin_builtin(h, &plugin, NULL), 0);
    assert_int_equal(qd_plugin_host_load(h, NULL), 0);
    lib_begin(l, 71, n, 9, make);
    l->host = h;
    return h;
}

static void end(lib *l, qd_plugin_host *h)
{
    qd_buf_fini(&l->last);
    lib_end(l);
    qd_plugin_host_close(h);
}

/* --- what stands in the answer ---------------------------------------------------------------- */

/* Writes an answer without the members, which have to be right. */
static uint32_t buckets_seen;
static void strip(const qd_json_node *n, uint64_t total, qd_json_writer *w)
{
    const qd_json_node *again = qd_json_get(n, "again"), *docs = qd_json_get(n, "doc_count");
    if (again) {
        const qd_json_node *key = qd_json_get(n, "key"), *parts = qd_json_get(n, "parts");
        uint64_t given = 0;
        assert_true(qd_str_eq(again->raw, key->raw));
        assert_true(qd_str_eq(qd_json_get(parts, "docs")->raw, docs->raw));
        assert_true(qd_str_u64(qd_json_get(parts, "key")->text, &given));
        assert_int_equal(given, total);
        buckets_seen++;
    }
    if (n->type != QD_JSON_T_OBJECT && n->type != QD_JSON_T_ARRAY) {
        qd_json_raw_value(w, n->raw);
        return;
    }
    const qd_json_node *list = qd_json_get(n, "buckets"),
                       *other = qd_json_get(n, "sum_other_doc_count");
    if (list && other) {
        assert_true(qd_str_u64(other->text, &total));
        for (const qd_json_node *b = list->first; b; b = b->next) {
            uint64_t k = 0;
            assert_true(qd_str_u64(qd_json_get(b, "doc_count")->text, &k));
            total += k;
        }
    }
    if (n->type == QD_JSON_T_OBJECT)
        qd_json_object(w);
    else
        qd_json_array(w);
    for (const qd_json_node *m = n->first; m; m = m->next) {
        if (again && (qd_str_is(m->key, "again") || qd_str_is(m->key, "parts"))) continue;
        if (n->type == QD_JSON_T_OBJECT) qd_json_key(w, m->key);
        strip(m, total, w);
    }
    if (n->type == QD_JSON_T_OBJECT)
        qd_json_object_end(w);
    else
        qd_json_array_end(w);
}

static void members_stand_beside_the_rest(void **state)
{
    static const char *const all[] = {
        "{\"a\":{\"%s\":{\"field\":\"k\"}}}",
        "{\"a\":{\"%s\":{\"field\":\"n\",\"size\":100,\"keyed\":true}}}",
        "{\"a\":{\"%s\":{\"field\":\"d\",\"size\":4,\"order\":{\"_key\":\"asc\"}}}}",
        "{\"a\":{\"%s\":{\"field\":\"t\"}}}",
        "{\"a\":{\"%s\":{\"field\":\"n\",\"missing\":2.5}}}",
        "{\"a\":{\"%s\":{\"field\":\"k\",\"missing\":\"\"}}}",
        "{\"a\":{\"%s\":{\"field\":\"nowhere\"}}}",
        "{\"a\":{\"%s\":{\"field\":\"k\",\"order\":{\"m\":\"desc\"}},\"aggs\":{\"m\":{\"avg\":{"
        "\"field\":\"s\"}},\"b\":{\"%s\":{\"field\":\"n\",\"size\":3}}}}}",
        "{\"o\":{\"terms\":{\"field\":\"k\",\"size\":3,\"order\":{\"m\":\"asc\"}},\"aggs\":{\"m\":{"
        "\"avg\":{\"field\":\"s\"}},\"a\":{\"%s\":{\"field\":\"n\",\"size\":5}}}},\"p\":{\"%s\":{"
        "\"field\":\"b\"}}}",
    };
    lib l;
    qd_buf out[2], bare;
    (void)state;
    qd_plugin_host *h = begin(&l, 4000);
    for (uint32_t i = 0; i < 2; i++) qd_buf_init(&out[i], NULL, 1 << 26);
    qd_buf_init(&bare, NULL, 1 << 26);
    for (uint32_t i = 0; i < 2 * QD_COUNT_OF(all); i++) {
        static const char *const types[] = {"plain", "members"};
        l.wire = i & 1;
        for (uint32_t k = 0; k < 2; k++) {
            char text[512];
            snprintf(text, sizeof text, all[i / 2], types[k], types[k]);
            int rc = lib_run(&l, text, INT64_MIN, INT64_MAX, &out[k]);
            if (rc) fail_msg("%s: %s", text, qd_err_reason(&l.err));
        }
        qd_json_node *root;
        qd_json_writer w;
        assert_int_equal(qd_json_parse(&l.arena, qd_buf_view(&out[1]), 0, &root, &l.err), 0);
        qd_buf_reset(&bare);
        qd_json_writer_init(&w, &bare, false);
        buckets_seen = 0;
        strip(root, 0, &w);
        assert_true(i / 2 == 6 ? !buckets_seen : buckets_seen > 0);
        if (!qd_str_eq(qd_buf_view(&bare), qd_buf_view(&out[0])))
            fail_msg("%s\n%s\n%s", all[i / 2], bare.p, out[0].p);
    }
    for (uint32_t i = 0; i < 2; i++) qd_buf_fini(&out[i]);
    qd_buf_fini(&bare);
    end(&l, h);
}

/* Of buckets that a pipeline drops nothing is written. */
static void only_what_is_left_is_written(void **state)
{
    lib l;
    qd_buf out;
    (void)state;
    qd_plugin_host *h = begin(&l, 4000);
    qd_buf_init(&out, NULL, 1 << 20);
    calls = 0;
    assert_int_equal(lib_run(&l,
                             "{\"a\":{\"members\":{\"field\":\"n\",\"size\":30},\"aggs\":{\"s\":{"
                             "\"bucket_sort\":{\"sort\":[{\"_key\":\"asc\"}],\"size\":2}}}}}",
                             INT64_MIN, INT64_MAX, &out),
                     0);
    assert_int_equal(calls, 2);
    assert_non_null(strstr(out.p, "{\"key\":-9,\"again\":-9,\"parts\":{"));
    assert_int_equal(lib_run(&l, "{\"a\":{\"members\":{\"field\":\"b\",\"mode\":\"nothing\"}}}",
                             INT64_MIN, INT64_MAX, &out),
                     0);
    assert_non_null(strstr(out.p, "\"key_as_string\":\"true\",\"doc_count\":"));
    assert_int_equal(lib_run(&l, "{\"a\":{\"members\":{\"field\":\"b\",\"mode\":\"just\"}}}",
                             INT64_MIN, INT64_MAX, &out),
                     0);
    assert_in_range(out.n, 2 * (QD_AGGREGATION_BUCKET_MAX - 2), 3 * QD_AGGREGATION_BUCKET_MAX);
    qd_buf_fini(&out);
    end(&l, h);
}

/* --- what is refused -------------------------------------------------------------------------- */

static void what_is_no_list_is_refused(void **state)
{
    static const struct {
        const char *mode, *what;
    } all[] = {
        {"strange", "the member [other] of its buckets is not among those that it names"},
        {"key", "the member [key] of its buckets is not among those that it names"},
        {"twice", "twice"},
        {"open", "write_bucket wrote what is no list of members"},
        {"half", "write_bucket wrote what is no list of members"},
        {"closed", "write_bucket wrote what is no JSON"},
        {"deep", "or has more than 64 levels"},
        {"large", "write_bucket wrote too much for a bucket, at most 65536 bytes are allowed"},
        {"fails", "no members for this one"},
    };
    lib l;
    qd_buf out;
    (void)state;
    qd_plugin_host *h = begin(&l, 500);
    qd_buf_init(&out, NULL, 1 << 20);
    for (uint32_t i = 0; i < QD_COUNT_OF(all); i++) {
        char text[256];
        snprintf(text, sizeof text, "{\"a\":{\"members\":{\"field\":\"k\",\"mode\":\"%s\"}}}",
                 all[i].mode);
        int rc = lib_run(&l, text, INT64_MIN, INT64_MAX, &out);
        const char *reason = rc < 0 ? qd_err_reason(&l.err) : "it is answered";
        if (rc >= 0 || !strstr(reason, all[i].what)) fail_msg("%s: %d %s", text, rc, reason);
    }
    for (uint32_t i = 0; i < QD_COUNT_OF(bad); i++) {
        char text[256];
        snprintf(text, sizeof text, "{\"a\":{\"%s\":{\"field\":\"k\"}}}", bad[i].name);
        int rc = lib_run(&l, text, INT64_MIN, INT64_MAX, &out);
        const char *reason = rc < 0 ? qd_err_reason(&l.err) : "it is answered";
        if (rc >= 0 || !strstr(reason, bad[i].what)) fail_msg("%s: %d %s", text, rc, reason);
    }
    lib_refuse(&l,
               "{\"a\":{\"members\":{\"field\":\"k\"},\"aggs\":{\"parts\":{\"avg\":{\"field\":"
               "\"s\"}}}}}",
               QD_E_ARG,
               "Sub-aggregation [parts] of [a] has the name of a member that buckets of type "
               "[members] have themselves");
    lib_refuse(&l,
               "{\"a\":{\"members\":{\"field\":\"k\"},\"aggs\":{\"again\":{\"bucket_sort\":{"
               "\"size\":1}}}}}",
               QD_E_ARG,
               "Sub-aggregation [again] of [a] has the name of a member that buckets of type "
               "[members] have themselves");
    qd_buf_fini(&out);
    end(&l, h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_stand_beside_the_rest),
        cmocka_unit_test(only_what_is_left_is_written),
        cmocka_unit_test(what_is_no_list_is_refused),
    };
    return unit_run(tests);
}
