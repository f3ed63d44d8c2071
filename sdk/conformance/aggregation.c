/*
 * aggregation.c: the contract of the aggregation kind as tests. Parameters are an aggregation's
 * own, so a sample has to be given: option `aggregation`, the JSON behind its name. Values are made
 * up: positive numbers, 4,000 for each of five owners, and with TEXTS strings, two for each of
 * 4,000 documents; of the two types an aggregation may refuse one. aggregation_keys.c has the tests
 * of buckets.
 */
#include "aggregation_suite.h"
#include <math.h>

#define OWNERS 5u
#define VALUES 4000u
#define WORDS 400u

typedef qd_aggregation_probe probe;

static uint8_t space[3][QD_AGGREGATION_RESULT_MAX + 16];

int32_t qd_aggregation_probe_parse(probe *p, qd_str json)
{
    qd_json_in *in = p->c->json_open(p->c, json);
    if (!in) return QD_E_NOMEM;
    int32_t rc = p->vt->parse(&p->ctx, in, &p->params, p->c->err);
    p->c->json_close(p->c, in);
    return rc;
}

static void sample_is_parsed(probe *p)
{
    CHECK_EQ(p->c, qd_aggregation_probe_parse(p, p->json), 0);
    CHECK_EQ(p->c, qd_aggregation_probe_parse(p, p->json), 0);
}

static void broken_requests_are_errors(probe *p)
{
    static const char *const bad[] = {"", "{", "{\"no_such_parameter_at_all\": 1}", "[1,", "nul"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        CHECK(p->c, qd_aggregation_probe_parse(p, str_c(bad[i])) < 0);
        CHECK(p->c, *p->c->reason(p->c) != 0); /* with a text */
        p->c->err_clear(p->c);
    }
    for (size_t n = 0; n < p->json.n; n++) {
        (void)qd_aggregation_probe_parse(p, (qd_str){p->json.p, n});
        p->c->err_clear(p->c);
    }
}

static void table_is_sound(probe *p)
{
    if (p->vt->head.flags & QD_AGGREGATION_BUCKETS) {
        CHECK_EQ(p->c, p->vt->result_max, 0);
        CHECK(p->c, p->vt->key_type <= QD_AGGREGATION_TEXT);
        CHECK(p->c, !(p->vt->head.flags & QD_AGGREGATION_WRITES));
        CHECK(p->c, !p->vt->members == !(p->vt->head.flags & QD_AGGREGATION_BUCKET_MEMBERS));
        CHECK(p->c, p->members <= QD_AGGREGATION_MEMBERS_MAX);
        return;
    }
    CHECK(p->c, p->vt->result_max >= 1 && p->vt->result_max <= QD_AGGREGATION_RESULT_MAX);
    CHECK_EQ(p->c, p->vt->key_type, 0);
    CHECK(p->c, p->members <= QD_AGGREGATION_MEMBERS_MAX);
}

static double made_up(uint32_t owner, uint32_t i)
{
    return 1 + (i * 7919u + owner * 31u) % 1000u / 8.0;
}

/* Which word the k-th value of a document is; another one for each k. */
static uint32_t made_up_word(uint32_t owner, uint32_t i, uint32_t k)
{
    return (i * 7919u + owner * 31u + k * 97u) % WORDS;
}

static qd_str word(uint32_t w)
{
    static char at[WORDS][16];
    int n = snprintf(at[w], sizeof at[w], "%c%u", 'a' + (int)(w % 23), w * w);
    return (qd_str){at[w], (size_t)n};
}

/* Pairs of a block. */
typedef struct pairs {
    uint32_t n, ntexts;
    int32_t repeat; /* a word stands in a block as often as it is a value */
    uint32_t owner[8192], text_of[8192], doc[8192], known[WORDS];
    double value[8192];
    qd_str text[8192];
} pairs;

static int32_t hand_over(probe *p, qd_aggregation_collector *c, pairs *a, uint32_t owners,
                         int32_t alone)
{
    qd_aggregation_block b;
    memset(&b, 0, sizeof b);
    b.struct_size = sizeof b;
    b.n = a->n;
    b.owners = owners;
    b.owner = alone ? NULL : a->owner;
    if (p->type == QD_AGGREGATION_TEXT) {
        b.text = a->text;
        b.text_of = a->text_of;
        b.doc = a->doc;
        b.ntexts = a->ntexts;
    } else {
        b.value = a->value;
    }
    a->n = a->ntexts = 0;
    memset(a->known, 0, sizeof a->known);
    return b.n ? p->vt->collect(c, &b, p->c->err) : 0;
}

static void add_word(pairs *a, uint32_t owner, uint32_t i, uint32_t w)
{
    if (a->repeat || !a->known[w]) {
        a->text[a->ntexts++] = word(w);
        a->known[w] = a->ntexts;
    }
    a->owner[a->n] = owner;
    a->doc[a->n] = i;
    a->text_of[a->n++] = a->known[w] - 1;
}

/* The values from, from + step, ... of owners first to last in blocks of `size`; owner numbers less
 * `less`. */
static int32_t feed_as(probe *p, qd_aggregation_collector *c, uint32_t first, uint32_t last,
                       uint32_t from, uint32_t step, uint32_t size, uint32_t less, int32_t repeat)
{
    static pairs a;
    int32_t rc = 0, alone = first == last && first == less;
    memset(&a, 0, sizeof a);
    a.repeat = repeat;
    for (uint32_t i = from; rc == 0 && i < VALUES; i += step)
        for (uint32_t o = first; rc == 0 && o <= last; o++) {
            if (p->type == QD_AGGREGATION_TEXT) {
                for (uint32_t k = 0; rc == 0 && k < 2; k++) {
                    add_word(&a, o - less, i, made_up_word(o, i, k));
                    if (a.n == size) rc = hand_over(p, c, &a, last - less + 1, alone);
                }
                continue;
            }
            a.owner[a.n] = o - less;
            a.value[a.n++] = made_up(o, i);
            if (a.n == size) rc = hand_over(p, c, &a, last - less + 1, alone);
        }
    return rc ? rc : hand_over(p, c, &a, last - less + 1, alone);
}

static int32_t feed(probe *p, qd_aggregation_collector *c, uint32_t first, uint32_t last,
                    uint32_t from, uint32_t step, uint32_t size, uint32_t less)
{
    return feed_as(p, c, first, last, from, step, size, less, 0);
}

/* The result of an owner into the k-th space, which ends where the room does. */
static int32_t result(probe *p, qd_aggregation_collector *c, uint32_t owner, uint32_t k,
                      qd_str *out)
{
    qd_aggregation_bytes to = {p->vt->result_max, 0, space[k]};
    memset(space[k], 0xa5, sizeof space[k]);
    int32_t rc = p->vt->result(c, owner, &to, p->c->err);
    *out = (qd_str){(const char *)space[k], to.n};
    if (rc) return rc;
    if (to.n > to.room) return QD_E_LIMIT;
    for (uint32_t i = to.room; i < to.room + 16; i++)
        if (space[k][i] != 0xa5) return QD_E_LIMIT;
    return 0;
}

/* Are the values of two results as good as equal? */
static int alike(probe *p, qd_str a, qd_str b)
{
    for (uint32_t m = 0; m < p->members; m++) {
        double x = 0, y = 1;
        if (p->vt->value(&p->ctx, p->params, a, m, &x, p->c->err)) return 0;
        if (p->vt->value(&p->ctx, p->params, b, m, &y, p->c->err)) return 0;
        if (isnan(x) && isnan(y)) continue;
        if (!(fabs(x - y) <= 1e-9 * (fabs(x) + fabs(y)))) return 0;
    }
    return 1;
}

static void owners_are_kept_apart(probe *p)
{
    qd_aggregation_collector *all, *one;
    CHECK_EQ(p->c, qd_aggregation_probe_parse(p, p->json), 0);
    CHECK_EQ(p->c, p->vt->open(&p->ctx, p->params, &all, p->c->err), 0);
    CHECK_EQ(p->c, feed(p, all, 0, 1, 0, 1, 100, 0), 0); /* more owners come later */
    CHECK_EQ(p->c, feed(p, all, 2, OWNERS - 1, 0, 1, 4096, 0), 0);
    for (uint32_t o = 0; o < OWNERS; o++) {
        qd_str a, b;
        CHECK_EQ(p->c, p->vt->open(&p->ctx, p->params, &one, p->c->err), 0);
        CHECK_EQ(p->c, feed(p, one, o, o, 0, 1, 8192, o), 0);
        CHECK_EQ(p->c, result(p, one, 0, 0, &a), 0);
        CHECK_EQ(p->c, result(p, all, o, 1, &b), 0);
        CHECK(p->c, a.n > 0 && b.n > 0);
        CHECK(p->c, alike(p, a, b));
        p->vt->close(one);
    }
    qd_str none;
    CHECK_EQ(p->c, result(p, all, 100000, 2, &none), 0);
    CHECK_EQ(p->c, none.n, 0);
    p->vt->close(all);
}

static int32_t reduce(probe *p, const qd_str *in, uint32_t n, uint32_t k, qd_str *out)
{
    qd_aggregation_bytes to = {p->vt->result_max, 0, space[k]};
    int32_t rc = p->vt->reduce(&p->ctx, p->params, in, n, &to, p->c->err);
    *out = (qd_str){(const char *)space[k], to.n};
    return !rc && to.n > to.room ? QD_E_LIMIT : rc;
}

static void reducing_is_collecting(probe *p)
{
    qd_aggregation_collector *c;
    qd_str whole, part[3], pair[2], merged;
    static uint8_t kept[4][QD_AGGREGATION_RESULT_MAX];
    CHECK_EQ(p->c, qd_aggregation_probe_parse(p, p->json), 0);
    for (uint32_t k = 0; k < 4; k++) {
        qd_str r;
        CHECK_EQ(p->c, p->vt->open(&p->ctx, p->params, &c, p->c->err), 0);
        CHECK_EQ(p->c, feed(p, c, 0, 0, k == 3 ? 0 : k, k == 3 ? 1 : 3, 1000, 0), 0);
        CHECK_EQ(p->c, result(p, c, 0, 0, &r), 0);
        p->vt->close(c);
        CHECK(p->c, r.n > 0);
        memcpy(kept[k], r.p, r.n);
        r.p = (const char *)kept[k];
        *(k == 3 ? &whole : &part[k]) = r;
    }
    CHECK_EQ(p->c, reduce(p, part, 3, 0, &merged), 0);
    CHECK(p->c, alike(p, merged, whole));
    pair[0] = part[2];
    pair[1] = part[0];
    CHECK_EQ(p->c, reduce(p, pair, 2, 1, &pair[0]), 0); /* in another order, and in two steps */
    pair[1] = part[1];
    CHECK_EQ(p->c, reduce(p, pair, 2, 2, &merged), 0);
    CHECK(p->c, alike(p, merged, whole));
    CHECK_EQ(p->c, reduce(p, &whole, 1, 2, &merged), 0);
    CHECK(p->c, alike(p, merged, whole));
}

static void damaged_results_are_errors(probe *p)
{
    qd_aggregation_collector *c;
    qd_str r, to;
    static uint8_t bad[QD_AGGREGATION_RESULT_MAX + 1];
    CHECK_EQ(p->c, qd_aggregation_probe_parse(p, p->json), 0);
    CHECK_EQ(p->c, p->vt->open(&p->ctx, p->params, &c, p->c->err), 0);
    CHECK_EQ(p->c, feed(p, c, 0, 0, 0, 1, 1000, 0), 0);
    CHECK_EQ(p->c, result(p, c, 0, 0, &r), 0);
    p->vt->close(c);
    memcpy(bad, r.p, r.n);
    for (size_t n = 1; n < r.n; n += n < 64 ? 1 : n / 8) { /* every cut */
        double v;
        qd_str cut = {(const char *)bad, n};
        CHECK(p->c, reduce(p, &cut, 1, 1, &to) < 0);
        p->c->err_clear(p->c);
        CHECK(p->c, p->vt->value(&p->ctx, p->params, cut, 0, &v, p->c->err) < 0);
        p->c->err_clear(p->c);
    }
    for (size_t i = 0; i < r.n * 8; i++) { /* every bit: an error or a result, never a crash */
        qd_str other = {(const char *)bad, r.n};
        bad[i / 8] ^= (uint8_t)(1u << i % 8);
        CHECK(p->c, reduce(p, &other, 1, 1, &to) != QD_E_LIMIT);
        p->c->err_clear(p->c);
        bad[i / 8] ^= (uint8_t)(1u << i % 8);
    }
}

/* Where strings stand in blocks, how often, and how large blocks are: the results are the same. */
static void strings_count_alone(probe *p)
{
    static const uint32_t sizes[] = {1, 7, 8192};
    qd_aggregation_collector *c;
    qd_str whole, other;
    CHECK_EQ(p->c, qd_aggregation_probe_parse(p, p->json), 0);
    CHECK_EQ(p->c, p->vt->open(&p->ctx, p->params, &c, p->c->err), 0);
    CHECK_EQ(p->c, feed(p, c, 0, 0, 0, 1, 4096, 0), 0);
    CHECK_EQ(p->c, result(p, c, 0, 0, &whole), 0);
    p->vt->close(c);
    for (uint32_t i = 0; i < 2 * COUNT(sizes); i++) {
        CHECK_EQ(p->c, p->vt->open(&p->ctx, p->params, &c, p->c->err), 0);
        CHECK_EQ(p->c, feed_as(p, c, 0, 0, 0, 1, sizes[i / 2], 0, i & 1), 0);
        CHECK_EQ(p->c, result(p, c, 0, 1, &other), 0);
        CHECK(p->c, alike(p, whole, other));
        p->vt->close(c);
    }
}

/* Does it take values of a type? */
static int taken(probe *p, uint32_t type)
{
    qd_aggregation_collector *c;
    p->type = type;
    if (qd_aggregation_probe_parse(p, p->json)) return 0;
    if (p->vt->open(&p->ctx, p->params, &c, p->c->err)) return 0;
    int32_t rc = feed(p, c, 0, 0, 0, 500, 8192, 0);
    p->vt->close(c);
    p->c->err_clear(p->c);
    return rc == 0;
}

static void some_type_is_taken(probe *p, uint32_t *types)
{
    if (taken(p, QD_AGGREGATION_F64)) *types |= 1u << QD_AGGREGATION_F64;
    if (taken(p, QD_AGGREGATION_TEXT)) *types |= 1u << QD_AGGREGATION_TEXT;
    CHECK(p->c, *types != 0);
}

static void metric(probe *p)
{
    uint32_t types = 1u << QD_AGGREGATION_F64;
    if (p->vt->head.flags & QD_AGGREGATION_TEXTS) {
        types = 0;
        RUN(p->c, "some type of values is taken", some_type_is_taken(p, &types));
    }
    p->type = QD_AGGREGATION_F64;
    if (types & 1u << p->type) {
        RUN(p->c, "owners are kept apart", owners_are_kept_apart(p));
        RUN(p->c, "reducing is collecting", reducing_is_collecting(p));
        RUN(p->c, "damaged results are errors", damaged_results_are_errors(p));
    }
    p->type = QD_AGGREGATION_TEXT;
    if (types & 1u << p->type) {
        RUN(p->c, "owners of strings are kept apart", owners_are_kept_apart(p));
        RUN(p->c, "reducing strings is collecting", reducing_is_collecting(p));
        RUN(p->c, "damaged results of strings are errors", damaged_results_are_errors(p));
        RUN(p->c, "strings count, not where they stand", strings_count_alone(p));
    }
}

void qd_conform_aggregation(qd_conform *c, const char *name, const qd_aggregation_vtable *vt)
{
    probe p = {.c = c, .vt = vt, .members = 1};
    (void)name;
    p.ctx = (qd_aggregation_ctx){sizeof p.ctx, 0, c->self, c->arena, NULL};
    for (const char *m = vt->members; m && *m; m++) p.members += *m == ',';
    for (uint32_t i = 0; i < c->noptions; i++)
        if (c->options[i].key.n == 11 && memcmp(c->options[i].key.p, "aggregation", 11) == 0)
            p.json = c->options[i].value;
    RUN(c, "the table is sound", table_is_sound(&p));
    if (c->outcome) return;
    RUN(c, "broken requests are errors", broken_requests_are_errors(&p));
    if (!p.json.n) {
        SKIP(c, "the sample is parsed", "give one: --option aggregation='{...}'");
        return;
    }
    RUN(c, "the sample is parsed", sample_is_parsed(&p));
    if (c->outcome) return;
    if (vt->head.flags & QD_AGGREGATION_BUCKETS) {
        qd_aggregation_probe_keys(&p);
        return;
    }
    metric(&p);
}
