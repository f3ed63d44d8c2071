/*
 * folded_t.c: metrics below terms and histograms at the top, which are folded by ordinal or
 * interval, give what the same tree gives below a `filters` bucket, where each document looks for
 * its bucket: full and sparse columns, one value and several, few hits and many, several segments,
 * deletions. Sums of doubles may differ by the rounding of the last digit.
 */
#include "unit/lib/aggs_lib.h"
#include <math.h>

static uint32_t shape; /* of the documents: bits */
enum { SPARSE = 1, SEVERAL = 2, WIDE = 4, MANY_KEYS = 8 };

static void make(lib *l, lib_doc *d, uint32_t i)
{
    *d = (lib_doc){.nk = shape & SEVERAL ? (uint32_t)lib_random(l, 4) : 1, .nn = 1};
    uint64_t keys = shape & MANY_KEYS ? 20000 : 30;
    for (uint32_t j = 0; j < d->nk; j++) /* a third of all share a key */
        snprintf(d->k[j], sizeof d->k[j], "%u%05u", j & 7,
                 (unsigned)(lib_random(l, 3) ? lib_random(l, keys) : 7) & 0xffff);
    d->n[0] = (int64_t)lib_random(l, 0) >> (lib_random(l, 2) ? 1 : 40); /* no sum of 64 bits */
    d->has_d = !(shape & SPARSE) || lib_random(l, 5);
    d->d = (double)((int64_t)lib_random(l, 100000) + 250) / 100;
    if (shape & WIDE) d->d = ldexp(d->d - 400, (int)lib_random(l, 90) - 45);
    d->s = (int64_t)lib_random(l, 1000);
    d->has_t = !(shape & SPARSE) || lib_random(l, 4);
    d->t = 1600000000000 + (int64_t)i * 60000 + (int64_t)lib_random(l, 3600000);
    d->b = (int64_t)lib_random(l, 2);
}

#define BELOW                                                                                      \
    "\"aggs\":{\"avg\":{\"avg\":{\"field\":\"d\"}},\"sum\":{\"sum\":{\"field\":\"d\"}},"           \
    "\"stats\":{\"stats\":{\"field\":\"d\"}},\"whole\":{\"stats\":{\"field\":\"s\"}},"             \
    "\"wide\":{\"sum\":{\"field\":\"n\"}},\"first\":{\"min\":{\"field\":\"t\"}},"                  \
    "\"last\":{\"max\":{\"field\":\"t\"}},\"none\":{\"sum\":{\"field\":\"nowhere\"}},"             \
    "\"n\":{\"value_count\":{\"field\":\"d\"}},\"nk\":{\"value_count\":{\"field\":\"k\"}}}"
/* Without what cannot be folded in any column here. */
#define SOME                                                                                       \
    "\"aggs\":{\"avg\":{\"avg\":{\"field\":\"d\"}},\"stats\":{\"stats\":{\"field\":\"d\"}},"       \
    "\"whole\":{\"stats\":{\"field\":\"s\"}},\"sum\":{\"sum\":{\"field\":\"b\"}},"                 \
    "\"last\":{\"max\":{\"field\":\"t\"}},\"nb\":{\"value_count\":{\"field\":\"b\"}}}"

static const char *const trees[] = {
    "{\"terms\":{\"field\":\"k\",\"size\":100}," SOME "}",
    "{\"terms\":{\"field\":\"k\",\"size\":3,\"shard_size\":5,\"order\":{\"avg\":\"desc\"}}," SOME
    "}",
    "{\"terms\":{\"field\":\"k\",\"size\":50,\"exclude\":\"00.*3\"}," BELOW "}",
    "{\"terms\":{\"field\":\"s\",\"size\":40,\"order\":{\"_key\":\"asc\"}}," SOME "}",
    "{\"terms\":{\"field\":\"b\"}," BELOW "}",
    "{\"terms\":{\"field\":\"k\",\"missing\":\"x\",\"size\":60}," SOME "}",
    "{\"date_histogram\":{\"field\":\"t\",\"fixed_interval\":\"1h\"}," SOME "}",
    "{\"date_histogram\":{\"field\":\"t\",\"fixed_interval\":\"90m\",\"offset\":\"7m\"}," BELOW "}",
    "{\"date_histogram\":{\"field\":\"t\",\"calendar_interval\":\"day\",\"time_zone\":"
    "\"Europe/Paris\"}," SOME "}",
    "{\"histogram\":{\"field\":\"s\",\"interval\":50}," SOME "}",
    "{\"histogram\":{\"field\":\"d\",\"interval\":12.5,\"offset\":3,\"min_doc_count\":1}," SOME "}",
    "{\"terms\":{\"field\":\"k\",\"size\":100}}",
    "{\"date_histogram\":{\"field\":\"t\",\"fixed_interval\":\"1m\",\"min_doc_count\":1}}",
    /* whole blocks of documents in one interval */
    "{\"date_histogram\":{\"field\":\"t\",\"fixed_interval\":\"7d\"}}",
    "{\"date_histogram\":{\"field\":\"t\",\"fixed_interval\":\"7d\",\"offset\":\"5h\"}," SOME "}",
    "{\"date_histogram\":{\"field\":\"t\",\"calendar_interval\":\"day\"}," BELOW "}",
};

/* Are two answers alike? slack: of numbers that are sums of doubles. */
static void same(const qd_json_node *a, const qd_json_node *b, double slack)
{
    assert_non_null(a);
    assert_non_null(b);
    assert_int_equal(a->type, b->type);
    if (a->type == QD_JSON_T_OBJECT || a->type == QD_JSON_T_ARRAY) {
        const qd_json_node *x = a->first, *y = b->first;
        for (; x && y; x = x->next, y = y->next) {
            if (a->type == QD_JSON_T_OBJECT) assert_true(qd_str_eq(x->key, y->key));
            same(x, y, slack);
        }
        assert_true(!x && !y);
        return;
    }
    double x, y;
    if (qd_str_eq(a->text, b->text)) return;
    assert_int_equal(qd_f64_parse(a->text, &x), 0);
    assert_int_equal(qd_f64_parse(b->text, &y), 0);
    if (fabs(x - y) > slack + 4.5e-16 * fabs(x)) fail_msg("%.17g and %.17g", x, y);
}

static const qd_json_node *answer(lib *l, const char *request, int64_t lo, int64_t hi, qd_buf *out)
{
    qd_json_node *root;
    int rc = lib_run(l, request, lo, hi, out);
    if (rc) print_error("%s\n", qd_err_reason(&l->err));
    assert_int_equal(rc, 0);
    assert_int_equal(qd_json_parse(&l->arena, qd_buf_view(out), 0, &root, &l->err), 0);
    return root;
}

static void compare(lib *l, double slack, qd_buf *fast, qd_buf *slow)
{
    static const int64_t ranges[][2] = {{INT64_MIN, INT64_MAX}, {300, 799}, {10, 40}, {5, 5}};
    char request[4096];
    for (uint32_t i = 0; i < QD_COUNT_OF(trees); i++)
        for (uint32_t r = 0; r < QD_COUNT_OF(ranges); r++) {
            qd_arena_reset(&l->arena);
            snprintf(request, sizeof request, "{\"a\":%s}", trees[i]);
            const qd_json_node *a = answer(l, request, ranges[r][0], ranges[r][1], fast);
            snprintf(request, sizeof request,
                     "{\"f\":{\"filters\":{\"filters\":{\"x\":{\"match_all\":{}}}},\"aggs\":{"
                     "\"a\":%s}}}",
                     trees[i]);
            const qd_json_node *b = answer(l, request, ranges[r][0], ranges[r][1], slow);
            b = qd_json_get(qd_json_get(qd_json_get(b, "f"), "buckets"), "x");
            same(qd_json_get(a, "a"), qd_json_get(b, "a"), slack);
        }
}

static uint32_t docs_of(uint32_t kind)
{
    return !(kind & MANY_KEYS) ? 6000 : kind & SEVERAL ? 40000 : 12000;
}

static void folded(void **state)
{
    (void)state;
    qd_buf fast, slow;
    qd_buf_init(&fast, NULL, 1 << 26);
    qd_buf_init(&slow, NULL, 1 << 26);
    for (uint64_t seed = 1; seed <= unit_rounds(1); seed++)
        for (shape = 0; shape < 16; shape++) {
            lib l;
            double all = 0;
            lib_begin(&l, seed * 16 + shape, docs_of(shape), shape & 4 ? 7 : 0, make);
            for (uint32_t i = 0; i < l.n; i++) all += l.docs[i].has_d ? fabs(l.docs[i].d) : 0;
            compare(&l, shape & WIDE ? all * 1e-15 : 0, &fast, &slow);
            lib_end(&l);
        }
    qd_buf_fini(&fast);
    qd_buf_fini(&slow);
}

/* Sums are as near to the truth as one rounding, whatever their order. */
static void sums(void **state)
{
    (void)state;
    qd_buf out;
    qd_buf_init(&out, NULL, 1 << 26);
    lib l;
    shape = 0;
    lib_begin(&l, 77, 200000, 0, make);
    int64_t cents[2] = {0, 0}; /* what the doubles stand for */
    double errors[2] = {0, 0}; /* and what they are more than that */
    for (uint32_t i = 0; i < l.n; i++) {
        int64_t c = (int64_t)round(l.docs[i].d * 100);
        cents[l.docs[i].b] += c;
        errors[l.docs[i].b] += fma(l.docs[i].d, 100, -(double)c);
    }
    const qd_json_node *root =
        answer(&l,
               "{\"a\":{\"terms\":{\"field\":\"b\",\"order\":{\"_key\":\"asc\"}},\"aggs\":{\"s\":"
               "{\"sum\":{\"field\":\"d\"}}}},\"s\":{\"sum\":{\"field\":\"d\"}}}",
               INT64_MIN, INT64_MAX, &out);
    const qd_json_node *b = qd_json_get(qd_json_get(root, "a"), "buckets")->first;
    double got, want;
    for (int k = 0; k < 2; k++, b = b->next) {
        want = ((double)cents[k] + errors[k]) / 100;
        assert_int_equal(qd_f64_parse(qd_json_get(qd_json_get(b, "s"), "value")->text, &got), 0);
        assert_true(fabs(got - want) <= 2.3e-16 * want);
    }
    want = ((double)(cents[0] + cents[1]) + errors[0] + errors[1]) / 100;
    const qd_json_node *s = qd_json_get(qd_json_get(root, "s"), "value");
    assert_int_equal(qd_f64_parse(s->text, &got), 0);
    assert_true(fabs(got - want) <= 2.3e-16 * want);
    lib_end(&l);
    qd_buf_fini(&out);
}

static void make_huge(lib *l, lib_doc *d, uint32_t i)
{
    *d = (lib_doc){.nk = 1, .nn = 1, .k = {"a"}, .has_d = true, .d = i & 1 ? 1e308 : -1e308};
    (void)l;
}

/* Values whose sums stay small only in their order: no lane may leave the range of doubles. */
static void huge(void **state)
{
    (void)state;
    static const char *const requests[] = {
        "{\"s\":{\"sum\":{\"field\":\"d\"}}}",
        "{\"s\":{\"terms\":{\"field\":\"k\"},\"aggs\":{\"s\":{\"sum\":{\"field\":\"d\"}}}}}"};
    qd_buf out;
    qd_buf_init(&out, NULL, 1 << 20);
    lib l;
    lib_begin(&l, 5, 3000, 0, make_huge);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(lib_run(&l, requests[i], INT64_MIN, INT64_MAX, &out), 0);
        assert_non_null(strstr(out.p, "\"value\":0.0}"));
    }
    lib_end(&l);
    qd_buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folded),
        cmocka_unit_test(sums),
        cmocka_unit_test(huge),
    };
    return unit_run(tests);
}
