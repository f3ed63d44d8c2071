/*
 * naive_t.c: aggregations over random documents give what plain loops over them give: several
 * shards and segments, deletions, missing and multiple values, any order of reducing, many partial
 * results; out of memory and over a breaker they fail cleanly.
 */
#include "mapping/date_math.h"
#include "unit/lib/aggs_lib.h"
#include <math.h>

static bool in_range(const lib_doc *d, int64_t lo, int64_t hi)
{
    return d->live && d->s >= lo && d->s <= hi;
}

static bool has_key(const lib_doc *d, const char *k)
{
    for (uint32_t j = 0; j < d->nk; j++)
        if (!strcmp(d->k[j], k)) return true;
    return false;
}

static int64_t floor_div(int64_t v, int64_t step)
{
    return (int64_t)floor((double)v / (double)step);
}

static bool has_step(const lib_doc *d, int64_t step, int64_t key)
{
    for (uint32_t j = 0; j < d->nn; j++)
        if (floor_div(d->n[j], step) == key) return true;
    return false;
}

/* Count, sums and bounds of d and s over the documents of (k, step of n). */
static void naive_leaf(lib *l, const char *k, int64_t step, int64_t lo, int64_t hi,
                       qd_json_writer *w)
{
    uint64_t docs = 0, n = 0;
    double sum = 0, min = INFINITY, max = -INFINITY, s = 0;
    for (uint32_t i = 0; i < l->n; i++) {
        const lib_doc *d = &l->docs[i];
        if (!in_range(d, lo, hi) || !has_key(d, k) || !has_step(d, 10, step)) continue;
        docs++;
        s += (double)d->s;
        if (!d->has_d) continue;
        n++;
        sum += d->d;
        if (d->d < min) min = d->d;
        if (d->d > max) max = d->d;
    }
    qd_json_field_int(w, "doc_count", (int64_t)docs);
    qd_json_key_c(w, "d");
    qd_json_object(w);
    qd_json_field_int(w, "count", (int64_t)n);
    static const char *const names[] = {"min", "max", "avg"};
    double v[] = {min, max, sum / (double)n};
    for (int i = 0; i < 3; i++) {
        qd_json_key_c(w, names[i]);
        if (n)
            qd_json_double(w, v[i]);
        else
            qd_json_null(w);
    }
    qd_json_field_double(w, "sum", sum);
    qd_json_object_end(w);
    qd_json_key_c(w, "s");
    qd_json_object(w);
    qd_json_field_double(w, "value", s);
    qd_json_object_end(w);
}

static uint64_t count_docs(lib *l, const char *k, int64_t step, int64_t lo, int64_t hi)
{
    uint64_t docs = 0;
    for (uint32_t i = 0; i < l->n; i++) {
        const lib_doc *d = &l->docs[i];
        docs +=
            in_range(d, lo, hi) && has_key(d, k) && (step == INT64_MIN || has_step(d, 10, step));
    }
    return docs;
}

static void naive_nested(lib *l, int64_t lo, int64_t hi, qd_buf *out)
{
    qd_json_writer w;
    qd_json_writer_init(&w, out, false);
    qd_json_object(&w);
    qd_json_key_c(&w, "a");
    qd_json_object(&w);
    qd_json_field_int(&w, "doc_count_error_upper_bound", 0);
    qd_json_field_int(&w, "sum_other_doc_count", 0);
    qd_json_key_c(&w, "buckets");
    qd_json_array(&w);
    for (uint32_t x = 0; x < 100; x++) {
        char k[12];
        snprintf(k, sizeof k, "k%03u", x);
        uint64_t docs = count_docs(l, k, INT64_MIN, lo, hi);
        if (!docs) continue;
        qd_json_object(&w);
        qd_json_field_c(&w, "key", k);
        qd_json_field_int(&w, "doc_count", (int64_t)docs);
        qd_json_key_c(&w, "h");
        qd_json_object(&w);
        qd_json_key_c(&w, "buckets");
        qd_json_array(&w);
        for (int64_t step = -20; step < 30; step++) {
            if (!count_docs(l, k, step, lo, hi)) continue;
            qd_json_object(&w);
            qd_json_field_double(&w, "key", (double)step * 10);
            naive_leaf(l, k, step, lo, hi, &w);
            qd_json_object_end(&w);
        }
        qd_json_array_end(&w);
        qd_json_object_end(&w);
        qd_json_object_end(&w);
    }
    qd_json_array_end(&w);
    qd_json_object_end(&w);
    qd_json_object_end(&w);
}

#define NESTED                                                                                     \
    "{\"a\":{\"terms\":{\"field\":\"k\",\"size\":100,\"order\":{\"_key\":\"asc\"}},\"aggs\":{"     \
    "\"h\":{\"histogram\":{\"field\":\"n\",\"interval\":10,\"min_doc_count\":1},\"aggs\":{"        \
    "\"d\":{\"stats\":{\"field\":\"d\"}},\"s\":{\"sum\":{\"field\":\"s\"}}}}}}}"

static void nested(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= unit_rounds(2); seed++) {
        lib l;
        qd_buf want, got;
        qd_buf_init(&want, NULL, 1 << 26);
        qd_buf_init(&got, NULL, 1 << 26);
        lib_begin(&l, seed, 1500, 6, lib_random_doc);
        static const int64_t ranges[][2] = {{INT64_MIN, INT64_MAX}, {100, 599}, {995, 2000}};
        for (uint32_t r = 0; r < 3; r++) {
            qd_buf_reset(&want);
            naive_nested(&l, ranges[r][0], ranges[r][1], &want);
            for (l.order = 0; l.order < 3; l.order++) {
                assert_int_equal(lib_run(&l, NESTED, ranges[r][0], ranges[r][1], &got), 0);
                assert_string_equal(got.p, want.p);
            }
        }
        lib_end(&l);
        qd_buf_fini(&want);
        qd_buf_fini(&got);
    }
}

/* --- single answers read back ----------------------------------------------------------------- */

static double get(lib *l, qd_buf *out, const char *path)
{
    qd_json_node *root;
    qd_arena_reset(&l->arena);
    assert_int_equal(qd_json_parse(&l->arena, qd_buf_view(out), 0, &root, &l->err), 0);
    const qd_json_node *n = root;
    qd_str rest = qd_str_c(path);
    while (rest.p) {
        n = qd_json_get_str(n, qd_str_split(&rest, '/'));
        assert_non_null(n);
    }
    double v;
    assert_int_equal(qd_f64_parse(n->text, &v), 0);
    return v;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void metrics(void **state)
{
    lib l;
    qd_buf out;
    (void)state;
    qd_buf_init(&out, NULL, 1 << 26);
    lib_begin(&l, 5, 40000, 10, lib_random_doc);
    static const int64_t ranges[][2] = {{INT64_MIN, INT64_MAX}, {0, 499}, {17, 40}};
    double *v = malloc(l.n * sizeof *v);
    for (uint32_t r = 0; r < 3; r++) {
        uint32_t n = 0, docs = 0, nn = 0;
        double sum = 0, nsum = 0, squares = 0;
        uint8_t seen[1000] = {0};
        int64_t nmin = INT64_MAX;
        uint32_t different = 0, missing = 0;
        for (uint32_t i = 0; i < l.n; i++) {
            const lib_doc *d = &l.docs[i];
            if (!in_range(d, ranges[r][0], ranges[r][1])) continue;
            docs++;
            different += !seen[d->s];
            seen[d->s] = 1;
            missing += !d->has_t;
            for (uint32_t j = 0; j < d->nn; j++) {
                nn++;
                nsum += (double)d->n[j];
                if (d->n[j] < nmin) nmin = d->n[j];
            }
            double x = d->has_d ? d->d : 7;
            squares += x * x;
            if (!d->has_d) continue;
            v[n++] = d->d;
            sum += d->d;
        }
        qsort(v, n, sizeof *v, by_value);
        assert_int_equal(
            lib_run(&l,
                    "{\"sum\":{\"sum\":{\"field\":\"d\"}},\"ns\":{\"stats\":{\"field\":\"n\"}},"
                    "\"card\":{\"cardinality\":{\"field\":\"s\"}},\"m\":{\"missing\":{\"field\":"
                    "\"t\"}},"
                    "\"p\":{\"percentiles\":{\"field\":\"d\"}},"
                    "\"x\":{\"extended_stats\":{\"field\":\"d\",\"missing\":7}},"
                    "\"min\":{\"min\":{\"field\":\"d\"}}}",
                    ranges[r][0], ranges[r][1], &out),
            0);
        assert_true(get(&l, &out, "sum/value") == sum);
        assert_true(get(&l, &out, "ns/count") == nn);
        assert_true(get(&l, &out, "ns/sum") == nsum);
        assert_true(get(&l, &out, "ns/min") == (double)nmin);
        assert_true(get(&l, &out, "min/value") == v[0]);
        assert_true(get(&l, &out, "m/doc_count") == missing);
        assert_true(get(&l, &out, "x/count") == docs);
        assert_true(fabs(get(&l, &out, "x/sum_of_squares") - squares) <= 1e-9 * squares);
        assert_true(fabs(get(&l, &out, "card/value") - different) <= 0.005 * different);
        static const double q[] = {1, 5, 25, 50, 75, 95, 99};
        for (uint32_t k = 0; k < 7; k++) { /* the rank of the answer is near */
            char path[32];
            snprintf(path, sizeof path, "p/values/%g.0", q[k]);
            double x = get(&l, &out, path);
            uint32_t below = 0;
            while (below < n && v[below] < x) below++;
            assert_true(fabs((double)below / n - q[k] / 100) < 0.012);
        }
    }
    free(v);
    lib_end(&l);
    qd_buf_fini(&out);
}

/* Terms of numbers by count; a composite read page by page. */
static void numbers_and_pages(void **state)
{
    lib l;
    qd_buf out;
    (void)state;
    qd_buf_init(&out, NULL, 1 << 26);
    lib_begin(&l, 6, 3000, 7, lib_random_doc);
    uint64_t count[400] = {0}, total = 0;
    for (uint32_t i = 0; i < l.n; i++)
        for (uint32_t j = 0; l.docs[i].live && j < l.docs[i].nn; j++) {
            if (j && l.docs[i].n[j] == l.docs[i].n[j - 1]) continue;
            count[l.docs[i].n[j] + 100]++;
            total++;
        }
    assert_int_equal(lib_run(&l,
                             "{\"a\":{\"terms\":{\"field\":\"n\",\"size\":7,\"shard_size\":1000}}}",
                             INT64_MIN, INT64_MAX, &out),
                     0);
    qd_json_node *root;
    assert_int_equal(qd_json_parse(&l.arena, qd_buf_view(&out), 0, &root, &l.err), 0);
    const qd_json_node *b = qd_json_get(qd_json_get(root, "a"), "buckets");
    uint64_t last = UINT64_MAX, shown = 0;
    for (const qd_json_node *x = b->first; x; x = x->next) {
        int64_t key, docs;
        assert_true(qd_str_i64(qd_json_get(x, "key")->text, &key));
        assert_true(qd_str_i64(qd_json_get(x, "doc_count")->text, &docs));
        assert_int_equal(docs, count[key + 100]);
        assert_true((uint64_t)docs <= last);
        last = (uint64_t)docs;
        shown += (uint64_t)docs;
    }
    assert_int_equal(b->n, 7);
    assert_true(get(&l, &out, "a/sum_other_doc_count") == (double)(total - shown));
    char request[512], after[128] = "";
    uint64_t seen = 0, pages = 0;
    double before = -1e9;
    for (;; pages++) {
        snprintf(request, sizeof request,
                 "{\"a\":{\"composite\":{\"size\":13,%s\"sources\":[{\"n\":{\"terms\":{\"field\":"
                 "\"n\"}}}]}}}",
                 after);
        assert_int_equal(lib_run(&l, request, INT64_MIN, INT64_MAX, &out), 0);
        qd_arena_reset(&l.arena);
        assert_int_equal(qd_json_parse(&l.arena, qd_buf_view(&out), 0, &root, &l.err), 0);
        b = qd_json_get(qd_json_get(root, "a"), "buckets");
        if (b->n == 0) break;
        for (const qd_json_node *x = b->first; x; x = x->next) {
            int64_t key, docs;
            assert_true(qd_str_i64(qd_json_get(qd_json_get(x, "key"), "n")->text, &key));
            assert_true(qd_str_i64(qd_json_get(x, "doc_count")->text, &docs));
            assert_true((double)key > before);
            before = (double)key;
            assert_int_equal(docs, count[key + 100]);
            seen += (uint64_t)docs;
        }
        snprintf(after, sizeof after, "\"after\":{\"n\":%lld},", (long long)before);
    }
    assert_int_equal(seen, total);
    lib_end(&l);
    qd_buf_fini(&out);
}

/* Values of at most two documents in all shards, by count, then by key. */
static void rare(void **state)
{
    lib l;
    qd_buf want, got;
    (void)state;
    qd_buf_init(&want, NULL, 1 << 26);
    qd_buf_init(&got, NULL, 1 << 26);
    lib_begin(&l, 8, 3000, 7, lib_random_doc);
    static const int64_t ranges[][2] = {{INT64_MIN, INT64_MAX}, {100, 599}, {1000, 2000}};
    for (uint32_t r = 0; r < 3; r++) {
        uint32_t count[1000] = {0}, n = 0;
        for (uint32_t i = 0; i < l.n; i++)
            if (in_range(&l.docs[i], ranges[r][0], ranges[r][1])) count[l.docs[i].s]++;
        qd_buf_reset(&want);
        assert_int_equal(qd_buf_printf(&want, "{\"a\":{\"buckets\":["), 0);
        for (uint32_t docs = 1; docs <= 2; docs++)
            for (uint32_t key = 0; key < 1000; key++)
                if (count[key] == docs)
                    assert_int_equal(qd_buf_printf(&want,
                                                   "%s{\"key\":%u,\"doc_count\":%u,\"m\":"
                                                   "{\"value\":%u.0}}",
                                                   n++ ? "," : "", key, docs, key * docs),
                                     0);
        assert_int_equal(qd_buf_printf(&want, "]}}"), 0);
        assert_true(r == 2 || n > 50);
        for (l.order = 0; l.order < 3; l.order++) {
            assert_int_equal(lib_run(&l,
                                     "{\"a\":{\"rare_terms\":{\"field\":\"s\",\"max_doc_count\":"
                                     "2},\"aggs\":{\"m\":{\"sum\":{\"field\":\"s\"}}}}}",
                                     ranges[r][0], ranges[r][1], &got),
                             0);
            assert_string_equal(got.p, want.p);
        }
    }
    lib_end(&l);
    qd_buf_fini(&want);
    qd_buf_fini(&got);
}

static void matrix_bucket(qd_buf *out, const char *key, uint32_t docs, double sum)
{
    if (docs)
        assert_int_equal(qd_buf_printf(out,
                                       "%s{\"key\":\"%s\",\"doc_count\":%u,\"m\":{\"value\":%.1f}}",
                                       out->p[out->n - 1] == '[' ? "" : ",", key, docs, sum),
                         0);
}

/* Three filters and what each two of them have in common. */
static void matrix(void **state)
{
    lib l;
    qd_buf want, got;
    (void)state;
    qd_buf_init(&want, NULL, 1 << 26);
    qd_buf_init(&got, NULL, 1 << 26);
    lib_begin(&l, 9, 3000, 7, lib_random_doc);
    static const int64_t ranges[][2] = {{INT64_MIN, INT64_MAX}, {100, 250}, {1000, 2000}};
    static const char *const keys[3][3] = {
        {"!b", "!b&a", "!b&z"}, {NULL, "a", "a&z"}, {NULL, NULL, "z"}};
    for (uint32_t r = 0; r < 3; r++) {
        uint32_t docs[3][3] = {{0}};
        double sum[3][3] = {{0}};
        for (uint32_t i = 0; i < l.n; i++) {
            const lib_doc *d = &l.docs[i];
            if (!in_range(d, ranges[r][0], ranges[r][1])) continue;
            bool has[3] = {d->has_d && d->d >= 0, d->s >= 200, d->s < 300};
            for (uint32_t x = 0; x < 3; x++)
                for (uint32_t y = x; y < 3; y++)
                    if (has[x] && has[y]) {
                        docs[x][y]++;
                        sum[x][y] += (double)d->s;
                    }
        }
        qd_buf_reset(&want);
        assert_int_equal(qd_buf_printf(&want, "{\"a\":{\"buckets\":["), 0);
        for (uint32_t x = 0; x < 3; x++)
            for (uint32_t y = x; y < 3; y++)
                matrix_bucket(&want, keys[x][y], docs[x][y], sum[x][y]);
        assert_int_equal(qd_buf_printf(&want, "]}}"), 0);
        for (l.order = 0; l.order < 3; l.order++) {
            assert_int_equal(
                lib_run(
                    &l,
                    "{\"a\":{\"adjacency_matrix\":{\"filters\":{\"z\":{\"range\":{\"s\":{\"lt\":"
                    "300}}},\"!b\":{\"range\":{\"d\":{\"gte\":0}}},\"a\":{\"range\":{\"s\":"
                    "{\"gte\":200}}}}},\"aggs\":{\"m\":{\"sum\":{\"field\":\"s\"}}}}}",
                    ranges[r][0], ranges[r][1], &got),
                0);
            assert_string_equal(got.p, want.p);
        }
    }
    lib_end(&l);
    qd_buf_fini(&want);
    qd_buf_fini(&got);
}

/* Days of a zone with summer time: each bucket begins at a local midnight and holds what lies
 * before the next one. */
static void zones(void **state)
{
    lib l;
    qd_buf out;
    qd_zone *paris;
    (void)state;
    qd_buf_init(&out, NULL, 1 << 26);
    lib_begin(&l, 7, 4000, 0, lib_random_doc);
    qd_arena zone_arena;
    qd_arena_init(&zone_arena, NULL, 0);
    assert_int_equal(qd_zone_make(&zone_arena, QD_STR("Europe/Paris"), &paris, &l.err), 0);
    static const struct {
        const char *interval;
        qd_date_unit unit;
    } cases[] = {{"day", QD_UNIT_DAY}, {"week", QD_UNIT_WEEK}, {"month", QD_UNIT_MONTH}};
    for (uint32_t c = 0; c < 3; c++) {
        char request[256];
        snprintf(request, sizeof request,
                 "{\"a\":{\"date_histogram\":{\"field\":\"t\",\"calendar_interval\":\"%s\","
                 "\"time_zone\":\"Europe/Paris\"}}}",
                 cases[c].interval);
        assert_int_equal(lib_run(&l, request, INT64_MIN, INT64_MAX, &out), 0);
        qd_json_node *root;
        qd_arena_reset(&l.arena);
        assert_int_equal(qd_json_parse(&l.arena, qd_buf_view(&out), 0, &root, &l.err), 0);
        const qd_json_node *b = qd_json_get(qd_json_get(root, "a"), "buckets");
        int64_t last = INT64_MIN;
        uint64_t seen = 0, with = 0;
        for (const qd_json_node *x = b->first; x; x = x->next) {
            int64_t key, docs, want = 0;
            assert_true(qd_str_i64(qd_json_get(x, "key")->text, &key));
            assert_true(qd_str_i64(qd_json_get(x, "doc_count")->text, &docs));
            assert_true(key > last);
            last = key;
            for (uint32_t i = 0; i < l.n; i++)
                want += l.docs[i].has_t && qd_date_floor(l.docs[i].t, cases[c].unit, paris) == key;
            assert_int_equal(docs, want);
            seen += (uint64_t)docs;
        }
        for (uint32_t i = 0; i < l.n; i++) with += l.docs[i].has_t;
        assert_int_equal(seen, with);
        assert_int_equal(b->n, c == 0 ? 101 : b->n);
    }
    qd_arena_fini(&zone_arena);
    lib_end(&l);
    qd_buf_fini(&out);
}

/* Hours around both changes of the clock. */
static void make_change(lib *l, lib_doc *d, uint32_t i)
{
    (void)l;
    /* 2020-03-29 and 2020-10-25, from 00:00 UTC, every 20 minutes */
    int64_t base = i < 12 ? 1585440000000 : 1603584000000;
    *d = (lib_doc){.has_t = true, .t = base + (int64_t)(i % 12) * 1200000, .s = i};
}

static void clock_changes(void **state)
{
    lib l;
    (void)state;
    lib_begin(&l, 8, 24, 0, make_change);
    qd_buf out;
    qd_buf_init(&out, NULL, 1 << 20);
    static const char *const requests[] = {
        "{\"a\":{\"date_histogram\":{\"field\":\"t\",\"fixed_interval\":\"1h\",\"min_doc_count\":1,"
        "\"time_zone\":\"Europe/Paris\",\"format\":\"HH:mmXXX\"}}}",
        "{\"a\":{\"date_histogram\":{\"field\":\"t\",\"calendar_interval\":\"1h\",\"min_doc_"
        "count\":1,"
        "\"time_zone\":\"Europe/Paris\",\"format\":\"HH:mmXXX\"}}}"};
    for (uint32_t k = 0; k < 2; k++) {
        assert_int_equal(lib_run(&l, requests[k], INT64_MIN, INT64_MAX, &out), 0);
        assert_string_equal(
            out.p, "{\"a\":{\"buckets\":["
                   "{\"key_as_string\":\"01:00+01:00\",\"key\":1585440000000,\"doc_count\":3},"
                   "{\"key_as_string\":\"03:00+02:00\",\"key\":1585443600000,\"doc_count\":3},"
                   "{\"key_as_string\":\"04:00+02:00\",\"key\":1585447200000,\"doc_count\":3},"
                   "{\"key_as_string\":\"05:00+02:00\",\"key\":1585450800000,\"doc_count\":3},"
                   "{\"key_as_string\":\"02:00+02:00\",\"key\":1603584000000,\"doc_count\":3},"
                   "{\"key_as_string\":\"02:00+01:00\",\"key\":1603587600000,\"doc_count\":3},"
                   "{\"key_as_string\":\"03:00+01:00\",\"key\":1603591200000,\"doc_count\":3},"
                   "{\"key_as_string\":\"04:00+01:00\",\"key\":1603594800000,\"doc_count\":3}]}}");
    }
    lib_end(&l);
    qd_buf_fini(&out);
}

/* More partial results than are kept waiting: counts multiply, nothing else changes. */
static void many_partials(void **state)
{
    lib l;
    qd_buf one, many;
    (void)state;
    qd_buf_init(&one, NULL, 1 << 26);
    qd_buf_init(&many, NULL, 1 << 26);
    lib_begin(&l, 9, 300, 0, lib_random_doc);
    static const char request[] =
        "{\"k\":{\"terms\":{\"field\":\"k\",\"size\":100,\"order\":{\"_key\":\"asc\"}},\"aggs\":{"
        "\"c\":{\"cardinality\":{\"field\":\"s\"}},\"x\":{\"max\":{\"field\":\"n\"}}}},"
        "\"c\":{\"composite\":{\"size\":10,\"sources\":[{\"k\":{\"terms\":{\"field\":\"k\"}}}]}},"
        "\"n\":{\"value_count\":{\"field\":\"n\"}}}";
    assert_int_equal(lib_run(&l, request, INT64_MIN, INT64_MAX, &one), 0);
    l.repeat = 50;
    assert_int_equal(lib_run(&l, request, INT64_MIN, INT64_MAX, &many), 0);
    assert_true(get(&l, &many, "n/value") == 50 * get(&l, &one, "n/value"));
    qd_json_node *a, *b;
    qd_arena_reset(&l.arena);
    assert_int_equal(qd_json_parse(&l.arena, qd_buf_view(&one), 0, &a, &l.err), 0);
    assert_int_equal(qd_json_parse(&l.arena, qd_buf_view(&many), 0, &b, &l.err), 0);
    const qd_json_node *x = qd_json_get(qd_json_get(a, "k"), "buckets")->first;
    const qd_json_node *y = qd_json_get(qd_json_get(b, "k"), "buckets")->first;
    for (; x && y; x = x->next, y = y->next) {
        int64_t p, q;
        assert_true(qd_str_eq(qd_json_get(x, "key")->text, qd_json_get(y, "key")->text));
        assert_true(qd_str_i64(qd_json_get(x, "doc_count")->text, &p));
        assert_true(qd_str_i64(qd_json_get(y, "doc_count")->text, &q));
        assert_int_equal(q, 50 * p);
        assert_true(qd_str_eq(qd_json_get(x, "c")->raw, qd_json_get(y, "c")->raw));
        assert_true(qd_str_eq(qd_json_get(x, "x")->raw, qd_json_get(y, "x")->raw));
    }
    assert_true(!x && !y);
    lib_end(&l);
    qd_buf_fini(&one);
    qd_buf_fini(&many);
}

static const char ALL[] =
    "{\"k\":{\"terms\":{\"field\":\"k\",\"order\":[{\"h.max\":\"desc\"},{\"_count\":\"asc\"}]},"
    "\"aggs\":{\"h\":{\"stats\":{\"field\":\"n\"}},\"t\":{\"top_hits\":{}},"
    "\"p\":{\"percentiles\":{\"field\":\"d\"}},\"c\":{\"cardinality\":{\"field\":\"k\"}}}},"
    "\"d\":{\"date_histogram\":{\"field\":\"t\",\"calendar_interval\":\"week\","
    "\"time_zone\":\"America/New_York\"},\"aggs\":{\"s\":{\"avg\":{\"field\":\"s\"}},"
    "\"b\":{\"bucket_sort\":{\"sort\":[{\"s\":\"desc\"}],\"size\":3}}}},"
    "\"f\":{\"filters\":{\"filters\":[{\"range\":{\"s\":{\"gte\":100}}},{\"match_all\":{}}]}},"
    "\"c\":{\"composite\":{\"sources\":[{\"k\":{\"terms\":{\"field\":\"k\"}}},"
    "{\"b\":{\"terms\":{\"field\":\"b\"}}}]}},"
    "\"r\":{\"range\":{\"field\":\"d\",\"missing\":3,\"ranges\":[{\"to\":0},{\"from\":0}]}},"
    "\"g\":{\"global\":{},\"aggs\":{\"n\":{\"histogram\":{\"field\":\"n\",\"interval\":50}}}},"
    "\"rare\":{\"rare_terms\":{\"field\":\"s\",\"max_doc_count\":2,\"exclude\":[3]},\"aggs\":"
    "{\"m\":{\"median_absolute_deviation\":{\"field\":\"d\"}}}},"
    "\"matrix\":{\"adjacency_matrix\":{\"filters\":{\"a\":{\"range\":{\"s\":{\"gte\":100}}},\"b\":"
    "{\"match_all\":{}}}}}}";

static void out_of_memory(void **state)
{
    lib l;
    qd_buf out, want;
    (void)state;
    qd_buf_init(&out, NULL, 1 << 26);
    qd_buf_init(&want, NULL, 1 << 26);
    lib_begin(&l, 11, 120, 5, lib_random_doc);
    assert_int_equal(lib_run(&l, ALL, INT64_MIN, INT64_MAX, &want), 0);
    for (uint64_t n = 1;; n++) {
        qd_mem_fail_at(n, false);
        int rc = lib_run(&l, ALL, INT64_MIN, INT64_MAX, &out);
        uint64_t seen = qd_mem_fail_at(0, false);
        assert_int_equal(qd_account_used(&l.request), 0);
        if (rc == 0) assert_string_equal(out.p, want.p);
        if (seen < n) break;
    }
    lib_end(&l);
    qd_buf_fini(&out);
    qd_buf_fini(&want);
}

static void over_the_breaker(void **state)
{
    lib l;
    qd_buf out;
    (void)state;
    qd_buf_init(&out, NULL, 1 << 26);
    lib_begin(&l, 12, 3000, 0, lib_random_doc);
    uint32_t broken = 0;
    for (int64_t limit = 16 << 20; limit > 512 << 10; limit -= limit / 8) {
        atomic_store(&l.request.limit, limit);
        int rc = lib_run(&l, ALL, INT64_MIN, INT64_MAX, &out);
        broken += rc == QD_E_BREAKER;
        assert_true(rc == 0 || rc == QD_E_BREAKER || rc == QD_E_NOMEM); /* the plan's own */
        assert_int_equal(qd_account_used(&l.request), 0);
    }
    assert_true(broken > 0);
    lib_end(&l);
    qd_buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nested),
        cmocka_unit_test(metrics),
        cmocka_unit_test(numbers_and_pages),
        cmocka_unit_test(rare),
        cmocka_unit_test(matrix),
        cmocka_unit_test(zones),
        cmocka_unit_test(clock_changes),
        cmocka_unit_test(many_partials),
        cmocka_unit_test(out_of_memory),
        cmocka_unit_test(over_the_breaker),
    };
    return unit_run(tests);
}
