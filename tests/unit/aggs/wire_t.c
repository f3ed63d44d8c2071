/*
 * wire_t.c: partial results that went through their encoded form reduce to the same bytes as those
 * that did not: every type, random trees of them, any number of shards; damaged ones are refused or
 * harmless.
 */
#include "unit/lib/aggs_lib.h"
#include <stdio.h>

static const char *const requests[] = {
    "{\"a\":{\"terms\":{\"field\":\"k\",\"size\":5,\"shard_size\":6,"
    "\"show_term_doc_count_error\":true},\"aggs\":{\"s\":{\"stats\":{\"field\":\"d\"}}}}}",
    "{\"a\":{\"terms\":{\"field\":\"n\",\"size\":9,\"order\":{\"m\":\"desc\"}},"
    "\"aggs\":{\"m\":{\"max\":{\"field\":\"d\"}}}}}",
    "{\"a\":{\"terms\":{\"field\":\"d\",\"size\":20}},\"b\":{\"terms\":{\"field\":\"b\"}},"
    "\"c\":{\"terms\":{\"field\":\"gone\"}},\"e\":{\"terms\":{\"field\":\"t\",\"missing\":"
    "\"2020-01-01\",\"size\":3}}}",
    "{\"h\":{\"histogram\":{\"field\":\"d\",\"interval\":2.5,\"min_doc_count\":0},\"aggs\":"
    "{\"x\":{\"extended_stats\":{\"field\":\"n\"}},\"c\":{\"cumulative_sum\":{\"buckets_path\":"
    "\"_count\"}}}}}",
    "{\"h\":{\"date_histogram\":{\"field\":\"t\",\"calendar_interval\":\"month\"},\"aggs\":"
    "{\"u\":{\"cardinality\":{\"field\":\"k\"}}}}}",
    "{\"r\":{\"range\":{\"field\":\"n\",\"ranges\":[{\"to\":10},{\"from\":5,\"to\":50},"
    "{\"from\":100}]},\"aggs\":{\"k\":{\"terms\":{\"field\":\"k\",\"size\":2}}}}}",
    "{\"r\":{\"date_range\":{\"field\":\"t\",\"ranges\":[{\"to\":\"2021-01-01\"},"
    "{\"from\":\"2021-01-01\"}]}},\"f\":{\"filter\":{\"range\":{\"n\":{\"gte\":3}}},\"aggs\":"
    "{\"a\":{\"avg\":{\"field\":\"d\"}}}}}",
    "{\"f\":{\"filters\":{\"filters\":{\"a\":{\"range\":{\"n\":{\"lt\":20}}},\"b\":{\"term\":"
    "{\"k\":\"k001\"}}},\"other_bucket\":true},\"aggs\":{\"m\":{\"min\":{\"field\":\"n\"}}}},"
    "\"m\":{\"missing\":{\"field\":\"d\"}},\"g\":{\"global\":{},\"aggs\":{\"n\":{\"value_count\":"
    "{\"field\":\"n\"}}}}}",
    "{\"m\":{\"adjacency_matrix\":{\"filters\":{\"b\":{\"range\":{\"n\":{\"lt\":20}}},\"a\":"
    "{\"range\":{\"n\":{\"gte\":-10}}},\"c\":{\"match_none\":{}}},\"separator\":\" and "
    "\"},\"aggs\":"
    "{\"m\":{\"min\":{\"field\":\"n\"}}}}}",
    "{\"r\":{\"rare_terms\":{\"field\":\"s\",\"max_doc_count\":40},\"aggs\":{\"m\":{\"sum\":"
    "{\"field\":\"d\"}}}},\"k\":{\"rare_terms\":{\"field\":\"k\",\"max_doc_count\":100}},"
    "\"e\":{\"rare_terms\":{\"field\":\"gone\"}},\"x\":{\"avg_bucket\":{\"buckets_path\":\"r>m\"}}"
    "}",
    "{\"d\":{\"median_absolute_deviation\":{\"field\":\"d\",\"compression\":20}},\"n\":"
    "{\"median_absolute_deviation\":{\"field\":\"n\",\"missing\":3}},\"e\":"
    "{\"median_absolute_deviation\":{\"field\":\"gone\"}}}",
    "{\"c\":{\"composite\":{\"size\":17,\"sources\":[{\"k\":{\"terms\":{\"field\":\"k\","
    "\"missing_bucket\":true}}},{\"h\":{\"histogram\":{\"field\":\"n\",\"interval\":50}}},"
    "{\"t\":{\"date_histogram\":{\"field\":\"t\",\"calendar_interval\":\"year\"}}}]},"
    "\"aggs\":{\"s\":{\"sum\":{\"field\":\"d\"}}}}}",
    "{\"p\":{\"percentiles\":{\"field\":\"d\"}},\"q\":{\"percentile_ranks\":{\"field\":\"n\","
    "\"values\":[1,20,300]}},\"h\":{\"percentiles\":{\"field\":\"s\",\"hdr\":"
    "{\"number_of_significant_value_digits\":3}}},\"e\":{\"percentiles\":{\"field\":\"gone\"}}}",
    "{\"c\":{\"cardinality\":{\"field\":\"s\",\"precision_threshold\":10}},\"d\":{\"cardinality\":"
    "{\"field\":\"s\"}},\"e\":{\"cardinality\":{\"field\":\"gone\"}}}",
    "{\"t\":{\"terms\":{\"field\":\"k\",\"size\":4},\"aggs\":{\"h\":{\"top_hits\":{\"size\":3,"
    "\"sort\":[{\"s\":\"desc\"}]}},\"b\":{\"top_hits\":{\"size\":2,\"from\":1}}}}}",
    "{\"m\":{\"matrix_stats\":{\"fields\":[\"d\",\"s\",\"n\"],\"mode\":\"median\",\"missing\":"
    "{\"d\":2}}},\"a\":{\"auto_date_histogram\":{\"field\":\"t\",\"buckets\":7},\"aggs\":{\"m\":"
    "{\"matrix_stats\":{\"fields\":[\"s\",\"n\"]}}}}}",
    "{\"w\":{\"weighted_avg\":{\"value\":{\"field\":\"d\"},\"weight\":{\"field\":\"s\"}}},"
    "\"s\":{\"scripted_metric\":{\"map_script\":\"state.n = state.getOrDefault('n', 0) + 1; "
    "state.s = doc['s'].value\",\"combine_script\":\"[state.n, state.s]\",\"reduce_script\":"
    "\"states\"}},"
    "\"h\":{\"histogram\":{\"field\":\"n\",\"interval\":40},\"aggs\":{\"s\":{\"sum\":{\"field\":"
    "\"n\"}},\"d\":{\"derivative\":{\"buckets_path\":\"s\"}}}},\"x\":{\"max_bucket\":"
    "{\"buckets_path\":\"h>s\"}},\"y\":{\"avg_bucket\":{\"buckets_path\":\"h>s\"}}}",
};

static void same(lib *l, const char *aggs, int64_t lo, int64_t hi)
{
    qd_buf plain, wire;
    qd_buf_init(&plain, NULL, 1 << 28);
    qd_buf_init(&wire, NULL, 1 << 28);
    l->wire = false;
    int rc = lib_run(l, aggs, lo, hi, &plain);
    l->wire = true;
    assert_int_equal(lib_run(l, aggs, lo, hi, &wire), rc);
    assert_int_equal(rc, 0);
    assert_string_equal(wire.p, plain.p);
    qd_buf_fini(&plain);
    qd_buf_fini(&wire);
    l->wire = false;
}

static void every_type(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        lib l;
        lib_begin(&l, seed, seed == 3 ? 12000 : 700, 6, lib_random_doc);
        for (size_t i = 0; i < QD_COUNT_OF(requests); i++) {
            for (l.repeat = 1; l.repeat < 60; l.repeat += 29) { /* merges in between, too */
                same(&l, requests[i], INT64_MIN, INT64_MAX);
                if (seed == 3) break;
            }
            same(&l, requests[i], 100, 140);
            same(&l, requests[i], 2000, 3000); /* nothing matches */
        }
        qd_buf_fini(&l.last);
        lib_end(&l);
    }
}

/* --- random trees --- */

static const char *const buckets[] = {
    "\"terms\":{\"field\":\"k\",\"size\":3,\"shard_size\":4}",
    "\"terms\":{\"field\":\"n\",\"size\":6,\"order\":{\"_key\":\"asc\"}}",
    "\"histogram\":{\"field\":\"n\",\"interval\":60}",
    "\"histogram\":{\"field\":\"d\",\"interval\":5,\"min_doc_count\":1}",
    "\"date_histogram\":{\"field\":\"t\",\"fixed_interval\":\"90d\",\"min_doc_count\":1}",
    "\"range\":{\"field\":\"d\",\"ranges\":[{\"to\":0},{\"from\":0}]}",
    "\"filter\":{\"range\":{\"n\":{\"gte\":10}}}",
    "\"filters\":{\"filters\":[{\"match_all\":{}},{\"term\":{\"k\":\"k002\"}}]}",
    "\"missing\":{\"field\":\"d\"}",
    "\"rare_terms\":{\"field\":\"s\",\"max_doc_count\":3}",
    "\"adjacency_matrix\":{\"filters\":{\"x\":{\"match_all\":{}},\"y\":{\"range\":{\"n\":"
    "{\"gte\":10}}}}}",
};
static const char *const metrics[] = {
    "\"sum\":{\"field\":\"d\"}",
    "\"stats\":{\"field\":\"n\"}",
    "\"cardinality\":{\"field\":\"n\"}",
    "\"percentiles\":{\"field\":\"d\"}",
    "\"top_hits\":{\"size\":1}",
    "\"extended_stats\":{\"field\":\"d\"}",
    "\"value_count\":{\"field\":\"k\"}",
    "\"avg\":{\"field\":\"gone\"}",
    "\"median_absolute_deviation\":{\"field\":\"d\"}",
    "\"percentiles\":{\"field\":\"s\",\"hdr\":{}}",
    "\"scripted_metric\":{\"map_script\":\"state.n = state.getOrDefault('n', 0) + 1\","
    "\"combine_script\":\"state\",\"reduce_script\":\"def n = 0; for (s in states) n += "
    "s.getOrDefault('n', 0); n\"}",
};

static void random_tree(lib *l, qd_buf *b, int depth)
{
    uint64_t n = 1 + lib_random(l, 3);
    (void)qd_buf_char(b, '{');
    for (uint64_t i = 0; i < n; i++) {
        bool bucket = depth < 3 && lib_random(l, 2);
        (void)qd_buf_printf(b, "%s\"a%d\":{%s", i ? "," : "", (int)i,
                            bucket ? buckets[lib_random(l, QD_COUNT_OF(buckets))]
                                   : metrics[lib_random(l, QD_COUNT_OF(metrics))]);
        if (bucket) {
            (void)qd_buf_printf(b, ",\"aggs\":");
            random_tree(l, b, depth + 1);
        }
        (void)qd_buf_char(b, '}');
    }
    (void)qd_buf_char(b, '}');
}

static void random_trees(void **state)
{
    lib l;
    qd_buf b;
    (void)state;
    lib_begin(&l, 11, 900, 5, lib_random_doc);
    qd_buf_init(&b, NULL, 1 << 20);
    for (int i = 0; i < (int)unit_rounds(120); i++) {
        qd_buf_reset(&b);
        random_tree(&l, &b, 0);
        l.repeat = i % 5 ? 1 : 24;
        same(&l, b.p, i % 3 ? INT64_MIN : 200, i % 3 ? INT64_MAX : 400);
    }
    qd_buf_fini(&b);
    qd_buf_fini(&l.last);
    lib_end(&l);
}

static void damage(void **state)
{
    lib l;
    qd_buf out;
    (void)state;
    lib_begin(&l, 21, 300, 5, lib_random_doc);
    qd_buf_init(&out, NULL, 1 << 28);
    l.wire = true;
    for (int i = 0; i < (int)unit_rounds(4000); i++) {
        l.damage = 1 + (uint64_t)i;
        (void)lib_run(&l, requests[(size_t)i % QD_COUNT_OF(requests)], INT64_MIN, INT64_MAX, &out);
    }
    qd_buf_fini(&out);
    qd_buf_fini(&l.last);
    lib_end(&l);
}

static uint32_t occurrences(const char *text, const char *of)
{
    uint32_t n = 0;
    for (const char *p = text; (p = strstr(p, of)); p++) n++;
    return n;
}

/* A damaged key of a matrix is refused, or that of another bucket. */
static void damaged_pairs(void **state)
{
    lib l;
    qd_buf out;
    (void)state;
    lib_begin(&l, 22, 60, 5, lib_random_doc);
    qd_buf_init(&out, NULL, 1 << 28);
    l.wire = true;
    for (int i = 0; i < (int)unit_rounds(3000); i++) {
        l.damage = 1 + (uint64_t)i;
        if (lib_run(&l,
                    "{\"m\":{\"adjacency_matrix\":{\"filters\":{\"p\":{\"match_all\":{}},"
                    "\"q\":{\"match_all\":{}}}}}}",
                    INT64_MIN, INT64_MAX, &out))
            continue;
        assert_int_equal(occurrences(out.p, "\"key\":"), occurrences(out.p, "\"key\":\"p\"") +
                                                             occurrences(out.p, "\"key\":\"p&q\"") +
                                                             occurrences(out.p, "\"key\":\"q\""));
    }
    qd_buf_fini(&out);
    qd_buf_fini(&l.last);
    lib_end(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type),
        cmocka_unit_test(random_trees),
        cmocka_unit_test(damage),
        cmocka_unit_test(damaged_pairs),
    };
    return unit_run(tests);
}
