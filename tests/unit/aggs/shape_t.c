/*
 * shape_t.c: answers as Elasticsearch writes them, over a few documents in several shards and
 * segments, and refusals in its words.
 */
#include "runtime/task.h"
#include "unit/lib/aggs_lib.h"

/* Six documents: keyword, two numbers, day. */
static void make(lib *l, lib_doc *d, uint32_t i)
{
    static const char *const words[] = {"red", "blue", "red", "green", "red", "blue"};
    (void)l;
    *d = (lib_doc){.nk = 1, .nn = 1, .has_d = i != 5, .has_t = true};
    snprintf(d->k[0], sizeof d->k[0], "%s", words[i]);
    d->n[0] = (int64_t)i * 10;
    d->d = (double)i + 0.5;
    d->s = i;
    d->b = i & 1;
    d->t = 1577836800000 + (int64_t)i * 20 * 86400000; /* from 2020-01-01, every 20 days */
}

static void shapes(void **state)
{
    lib l;
    (void)state;
    lib_begin(&l, 1, 6, 0, make);
    lib_expect(&l, "{\"a\":{\"terms\":{\"field\":\"k\"}}}",
               "{\"a\":{\"doc_count_error_upper_bound\":0,\"sum_other_doc_count\":0,\"buckets\":["
               "{\"key\":\"red\",\"doc_count\":3},{\"key\":\"blue\",\"doc_count\":2},"
               "{\"key\":\"green\",\"doc_count\":1}]}}");
    lib_expect(
        &l,
        "{\"a\":{\"terms\":{\"field\":\"k\",\"size\":1,\"order\":{\"m\":\"desc\"}},"
        "\"aggs\":{\"m\":{\"max\":{\"field\":\"n\"}}},\"meta\":{\"x\":1}}}",
        "{\"a\":{\"meta\":{\"x\":1},\"doc_count_error_upper_bound\":0,\"sum_other_doc_count\":4,"
        "\"buckets\":[{\"key\":\"blue\",\"doc_count\":2,\"m\":{\"value\":50.0}}]}}");
    lib_expect(&l, "{\"a\":{\"terms\":{\"field\":\"b\"}}}",
               "{\"a\":{\"doc_count_error_upper_bound\":0,\"sum_other_doc_count\":0,\"buckets\":["
               "{\"key\":0,\"key_as_string\":\"false\",\"doc_count\":3},"
               "{\"key\":1,\"key_as_string\":\"true\",\"doc_count\":3}]}}");
    lib_expect(&l, "{\"a\":{\"terms\":{\"field\":\"d\",\"size\":2,\"order\":{\"_key\":\"desc\"}}}}",
               "{\"a\":{\"doc_count_error_upper_bound\":0,\"sum_other_doc_count\":3,\"buckets\":["
               "{\"key\":4.5,\"doc_count\":1},{\"key\":3.5,\"doc_count\":1}]}}");
    lib_expect(&l,
               "{\"a\":{\"stats\":{\"field\":\"n\"}},\"b\":{\"avg\":{\"field\":\"d\"}},"
               "\"c\":{\"max\":{\"field\":\"t\"}},\"d\":{\"min\":{\"field\":\"nope\"}},"
               "\"e\":{\"sum\":{\"field\":\"nope\"}},\"f\":{\"value_count\":{\"field\":\"k\"}},"
               "\"g\":{\"cardinality\":{\"field\":\"k\"}}}",
               "{\"a\":{\"count\":6,\"min\":0.0,\"max\":50.0,\"avg\":25.0,\"sum\":150.0},"
               "\"b\":{\"value\":2.5},\"c\":{\"value\":1.5864768E12,"
               "\"value_as_string\":\"2020-04-10T00:00:00.000Z\"},\"d\":{\"value\":null},"
               "\"e\":{\"value\":0.0},\"f\":{\"value\":6},\"g\":{\"value\":3}}");
    lib_expect(&l, "{\"a\":{\"extended_stats\":{\"field\":\"n\",\"sigma\":1}}}",
               "{\"a\":{\"count\":6,\"min\":0.0,\"max\":50.0,\"avg\":25.0,\"sum\":150.0,"
               "\"sum_of_squares\":5500.0,\"variance\":291.6666666666667,"
               "\"variance_population\":291.6666666666667,\"variance_sampling\":350.0,"
               "\"std_deviation\":17.07825127659933,\"std_deviation_population\":17.07825127659933,"
               "\"std_deviation_sampling\":18.708286933869708,\"std_deviation_bounds\":{"
               "\"upper\":42.07825127659933,\"lower\":7.921748723400668,"
               "\"upper_population\":42.07825127659933,\"lower_population\":7.921748723400668,"
               "\"upper_sampling\":43.70828693386971,\"lower_sampling\":6.291713066130292}}}");
    lib_expect(&l,
               "{\"a\":{\"percentiles\":{\"field\":\"n\",\"percents\":[50,100]}},"
               "\"b\":{\"percentile_ranks\":{\"field\":\"n\",\"values\":[25],\"keyed\":false}}}",
               "{\"a\":{\"values\":{\"50.0\":25.0,\"100.0\":50.0}},"
               "\"b\":{\"values\":[{\"key\":25.0,\"value\":50.0}]}}");
    lib_end(&l);
}

static void histograms(void **state)
{
    lib l;
    (void)state;
    lib_begin(&l, 2, 6, 0, make);
    lib_expect(
        &l, "{\"a\":{\"histogram\":{\"field\":\"n\",\"interval\":20,\"keyed\":true}}}",
        "{\"a\":{\"buckets\":{\"0.0\":{\"key\":0.0,\"doc_count\":2},"
        "\"20.0\":{\"key\":20.0,\"doc_count\":2},\"40.0\":{\"key\":40.0,\"doc_count\":2}}}}");
    lib_expect(
        &l,
        "{\"a\":{\"histogram\":{\"field\":\"n\",\"interval\":25,\"offset\":5,"
        "\"extended_bounds\":{\"min\":-30,\"max\":60}}}}",
        "{\"a\":{\"buckets\":[{\"key\":-45.0,\"doc_count\":0},{\"key\":-20.0,\"doc_count\":1},"
        "{\"key\":5.0,\"doc_count\":2},{\"key\":30.0,\"doc_count\":3},"
        "{\"key\":55.0,\"doc_count\":0}]}}");
    lib_expect(&l,
               "{\"a\":{\"date_histogram\":{\"field\":\"t\",\"calendar_interval\":\"month\","
               "\"format\":\"yyyy-MM\"},\"aggs\":{\"s\":{\"sum\":{\"field\":\"n\"}},"
               "\"c\":{\"cumulative_sum\":{\"buckets_path\":\"s\"}},"
               "\"d\":{\"derivative\":{\"buckets_path\":\"s\"}}}},"
               "\"m\":{\"max_bucket\":{\"buckets_path\":\"a>s\"}}}",
               "{\"a\":{\"buckets\":[{\"key_as_string\":\"2020-01\",\"key\":1577836800000,"
               "\"doc_count\":2,\"s\":{\"value\":10.0},\"c\":{\"value\":10.0}},"
               "{\"key_as_string\":\"2020-02\",\"key\":1580515200000,\"doc_count\":1,"
               "\"s\":{\"value\":20.0},\"c\":{\"value\":30.0},\"d\":{\"value\":10.0}},"
               "{\"key_as_string\":\"2020-03\",\"key\":1583020800000,\"doc_count\":2,"
               "\"s\":{\"value\":70.0},\"c\":{\"value\":100.0},\"d\":{\"value\":50.0}},"
               "{\"key_as_string\":\"2020-04\",\"key\":1585699200000,\"doc_count\":1,"
               "\"s\":{\"value\":50.0},\"c\":{\"value\":150.0},\"d\":{\"value\":-20.0}}]},"
               "\"m\":{\"value\":70.0,\"keys\":[\"2020-03\"]}}");
    lib_expect(
        &l,
        "{\"a\":{\"date_histogram\":{\"field\":\"t\",\"fixed_interval\":\"60d\","
        "\"min_doc_count\":1}}}",
        "{\"a\":{\"buckets\":[{\"key_as_string\":\"2019-12-10T00:00:00.000Z\","
        "\"key\":1575936000000,\"doc_count\":2},{\"key_as_string\":\"2020-02-08T00:00:00.000Z\","
        "\"key\":1581120000000,\"doc_count\":3},{\"key_as_string\":\"2020-04-08T00:00:00.000Z\","
        "\"key\":1586304000000,\"doc_count\":1}]}}");
    lib_expect(&l,
               "{\"a\":{\"histogram\":{\"field\":\"n\",\"interval\":20,\"hard_bounds\":"
               "{\"min\":20,\"max\":30}}},\"b\":{\"date_histogram\":{\"field\":\"t\","
               "\"calendar_interval\":\"month\",\"format\":\"yyyy-MM\",\"hard_bounds\":"
               "{\"min\":\"2020-02\",\"max\":\"2020-03\"}}}}",
               "{\"a\":{\"buckets\":[{\"key\":20.0,\"doc_count\":2}]},\"b\":{\"buckets\":["
               "{\"key_as_string\":\"2020-02\",\"key\":1580515200000,\"doc_count\":1}]}}");
    lib_end(&l);
}

static void buckets(void **state)
{
    lib l;
    (void)state;
    lib_begin(&l, 3, 6, 0, make);
    lib_expect(&l,
               "{\"a\":{\"range\":{\"field\":\"n\",\"ranges\":[{\"from\":30},{\"to\":20},"
               "{\"key\":\"mid\",\"from\":20,\"to\":30}]}}}",
               "{\"a\":{\"buckets\":[{\"key\":\"*-20.0\",\"to\":20.0,\"doc_count\":2},"
               "{\"key\":\"mid\",\"from\":20.0,\"to\":30.0,\"doc_count\":1},"
               "{\"key\":\"30.0-*\",\"from\":30.0,\"doc_count\":3}]}}");
    lib_expect(&l, "{\"a\":{\"range\":{\"field\":\"n\",\"ranges\":{\"from\":30}}}}",
               "{\"a\":{\"buckets\":[{\"key\":\"30.0-*\",\"from\":30.0,\"doc_count\":3}]}}");
    lib_expect(&l,
               "{\"a\":{\"filters\":{\"filters\":{\"r\":{\"term\":{\"b\":true}},"
               "\"q\":{\"range\":{\"s\":{\"lt\":2}}}},\"other_bucket\":true}},"
               "\"f\":{\"filter\":{\"match_all\":{}},\"aggs\":{\"x\":{\"sum\":{\"field\":\"n\"}}}},"
               "\"m\":{\"missing\":{\"field\":\"d\"}},"
               "\"g\":{\"global\":{},\"aggs\":{\"c\":{\"value_count\":{\"field\":\"s\"}}}}}",
               "{\"a\":{\"buckets\":{\"q\":{\"doc_count\":2},\"r\":{\"doc_count\":0},"
               "\"_other_\":{\"doc_count\":4}}},\"f\":{\"doc_count\":6,\"x\":{\"value\":150.0}},"
               "\"m\":{\"doc_count\":1},\"g\":{\"doc_count\":6,\"c\":{\"value\":6}}}");
    lib_expect(
        &l,
        "{\"a\":{\"composite\":{\"size\":2,\"sources\":[{\"k\":{\"terms\":{\"field\":\"k\"}}},"
        "{\"h\":{\"histogram\":{\"field\":\"n\",\"interval\":30,\"order\":\"desc\"}}}]}}}",
        "{\"a\":{\"after_key\":{\"k\":\"blue\",\"h\":0.0},\"buckets\":["
        "{\"key\":{\"k\":\"blue\",\"h\":30.0},\"doc_count\":1},"
        "{\"key\":{\"k\":\"blue\",\"h\":0.0},\"doc_count\":1}]}}");
    lib_expect(
        &l,
        "{\"a\":{\"composite\":{\"size\":2,\"after\":{\"k\":\"blue\",\"h\":0.0},\"sources\":["
        "{\"k\":{\"terms\":{\"field\":\"k\"}}},"
        "{\"h\":{\"histogram\":{\"field\":\"n\",\"interval\":30,\"order\":\"desc\"}}}]}}}",
        "{\"a\":{\"after_key\":{\"k\":\"red\",\"h\":30.0},\"buckets\":["
        "{\"key\":{\"k\":\"green\",\"h\":30.0},\"doc_count\":1},"
        "{\"key\":{\"k\":\"red\",\"h\":30.0},\"doc_count\":1}]}}");
    lib_expect(
        &l,
        "{\"a\":{\"terms\":{\"field\":\"k\",\"include\":\"r.*|g.*\",\"exclude\":[\"green\"]},"
        "\"aggs\":{\"h\":{\"top_hits\":{\"size\":2,\"sort\":[{\"s\":\"desc\"}]}}}}}",
        "{\"a\":{\"doc_count_error_upper_bound\":0,\"sum_other_doc_count\":0,\"buckets\":["
        "{\"key\":\"red\",\"doc_count\":3,\"h\":{\"hits\":{\"total\":{\"value\":3,"
        "\"relation\":\"eq\"},\"max_score\":null,\"hits\":[{\"s\":4},{\"s\":2}]}}}]}}");
    l.typed = true;
    lib_expect(
        &l, "{\"a\":{\"terms\":{\"field\":\"s\",\"size\":1}},\"b\":{\"terms\":{\"field\":\"zz\"}}}",
        "{\"lterms#a\":{\"doc_count_error_upper_bound\":0,\"sum_other_doc_count\":5,"
        "\"buckets\":[{\"key\":0,\"doc_count\":1}]},\"sterms#b\":{"
        "\"doc_count_error_upper_bound\":0,\"sum_other_doc_count\":0,\"buckets\":[]}}");
    lib_end(&l);
}

static void refusals(void **state)
{
    lib l;
    (void)state;
    lib_begin(&l, 4, 6, 0, make);
    lib_refuse(&l, "{\"a\":{\"term\":{\"field\":\"k\"}}}", QD_E_PARSE,
               "Unknown aggregation type [term] did you mean [terms]?");
    lib_refuse(&l, "{\"a\":{\"min\":{\"field\":\"n\"},\"max\":{\"field\":\"n\"}}}", QD_E_PARSE,
               "Found two aggregation type definitions in [a]: [min] and [max]");
    lib_refuse(&l, "{\"a>b\":{\"min\":{\"field\":\"n\"}}}", QD_E_PARSE,
               "Invalid aggregation name [a>b]. Aggregation names can contain any character except "
               "'[', ']', and '>'");
    lib_refuse(&l, "{\"a\":{\"terms\":{\"feild\":\"k\"}}}", QD_E_XCONTENT,
               "[1:24] [terms] unknown field [feild] did you mean [field]?");
    lib_refuse(&l, "{\"a\":{\"avg\":{\"field\":\"k\"}}}", QD_E_ARG,
               "Field [k] of type [keyword] is not supported for aggregation [avg]");
    lib_refuse(&l, "{\"a\":{\"missing\":{\"script\":\"1\"}}}", QD_E_ARG,
               "[missing] [script] is not supported");
    lib_refuse(&l, "{\"a\":{\"terms\":{\"field\":\"k\",\"size\":0}}}", QD_E_XCONTENT,
               "[1:35] [terms] failed to parse field [size]");
    /* a limit is checked behind all members, a number that is none before them */
    lib_refuse(&l, "{\"a\":{\"terms\":{\"field\":\"k\",\"size\":0,\"include\":1}}}", QD_E_XCONTENT,
               "[1:47] [terms] include doesn't support values of type: VALUE_NUMBER");
    lib_refuse(&l, "{\"a\":{\"terms\":{\"field\":\"k\",\"shard_size\":0,\"order\":1}}}",
               QD_E_XCONTENT, "[1:51] [terms] order doesn't support values of type: VALUE_NUMBER");
    lib_refuse(&l,
               "{\"a\":{\"terms\":{\"field\":\"k\",\"show_term_doc_count_error\":[],"
               "\"shard_min_doc_count\":[]}}}",
               QD_E_XCONTENT,
               "[1:81] [terms] shard_min_doc_count doesn't support values of type: START_ARRAY");
    lib_refuse(&l, "{\"a\":{\"date_histogram\":{\"field\":\"t\",\"calendar_interval\":\"2d\"}}}",
               QD_E_XCONTENT, "[1:57] [date_histogram] failed to parse field [calendar_interval]");
    lib_refuse(&l,
               "{\"a\":{\"min\":{\"field\":\"n\"},\"aggs\":{\"b\":{\"min\":{\"field\":\"n\"}}}}}",
               QD_E_ARG, "Aggregator [a] of type [min] cannot accept sub-aggregations");
    l.max_buckets = 10;
    lib_refuse(
        &l, "{\"a\":{\"histogram\":{\"field\":\"n\",\"interval\":1}}}", QD_E_TOO_MANY_BUCKETS,
        "Trying to create too many buckets. Must be less than or equal to: [10] but was [11]. "
        "This limit can be set by changing the [search.max_buckets] cluster level setting.");
    lib_refuse(
        &l,
        "{\"a\":{\"histogram\":{\"field\":\"n\",\"interval\":1e-9,\"extended_bounds\":"
        "{\"min\":0,\"max\":1e9}}}}",
        QD_E_TOO_MANY_BUCKETS,
        "Trying to create too many buckets. Must be less than or equal to: [10] but was [11]. "
        "This limit can be set by changing the [search.max_buckets] cluster level setting.");
    lib_end(&l);
}

/* A search that was cancelled, or whose time is over, binds no filter any more. */
static void filters_end_with_their_task(void **state)
{
    (void)state;
    lib l;
    qd_tasks *tasks;
    qd_task task = {0};
    lib_begin(&l, 1, 10, 0, lib_random_doc);
    assert_int_equal(qd_tasks_open(qd_env_system(), &tasks, NULL), 0);
    qd_task_begin(tasks, &task, "test", QD_STR(""), true);
    assert_true(qd_task_cancel(&task, "by the test"));
    l.task = &task;
    lib_refuse(&l, "{\"a\":{\"filters\":{\"filters\":[{\"match_all\":{}}]}}}", QD_E_CANCELLED,
               "task cancelled [by the test]");
    qd_task_end(&task);
    const char *bad = "{\"a\":{\"filters\":{\"filters\":[{\"term\":{\"n\":\"x\"}}]}}}";
    l.task = NULL;
    lib_refuse(&l, bad, QD_E_QUERY_SHARD, "failed to create query: For input string: \"x\"");
    task = (qd_task){0};
    qd_task_begin(tasks, &task, "test", QD_STR(""), true);
    qd_task_deadline_in(&task, 1);
    while (qd_task_poll(&task) != QD_E_TIMEOUT) continue;
    l.task = &task;
    lib_expect(&l, bad, "{\"a\":{\"buckets\":[{\"doc_count\":0}]}}");
    qd_task_end(&task);
    qd_tasks_close(tasks);
    lib_end(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes),
        cmocka_unit_test(histograms),
        cmocka_unit_test(buckets),
        cmocka_unit_test(refusals),
        cmocka_unit_test(filters_end_with_their_task),
    };
    return unit_run(tests);
}
