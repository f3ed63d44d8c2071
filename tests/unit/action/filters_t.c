/*
 * filters_t.c: a search with many filters in an aggregation begins none of them any more once its
 * time is over. What it does is counted in allocations: each filter that is run takes some.
 */
#include "base/mem.h"
#include "lib/action_node.h"
#include "unit/unit.h"
#include <stdio.h>
#include <string.h>

enum { FILTERS = 1000, DOCS = 300 };

/* Allocations of a search with all filters; timeout: member of the body, or empty. */
static uint64_t work(action_node *n, const char *timeout, bool timed_out)
{
    qd_buf b;
    qd_buf_init(&b, NULL, 1 << 20);
    (void)qd_buf_printf(&b, "{%s\"size\":0,\"aggs\":{\"f\":{\"filters\":{\"filters\":[", timeout);
    for (uint32_t i = 0; i < FILTERS; i++)
        (void)qd_buf_printf(&b, "%s{\"wildcard\":{\"t\":\"*%u*a*\"}}", i ? "," : "", i);
    (void)qd_buf_c(&b, "]}}}}");
    assert_int_equal(qd_buf_status(&b), 0);
    (void)qd_mem_fail_at(UINT64_MAX, false); /* counts, and none fails */
    assert_int_equal(
        action_call(n, "POST", "/x/_search?filter_path=timed_out,aggregations.f.buckets.doc_count",
                    b.p),
        200);
    uint64_t seen = qd_mem_fail_at(0, false);
    assert_string_equal(action_at(n, "timed_out"), timed_out ? "true" : "false");
    qd_buf_fini(&b);
    return seen;
}

static void no_filter_is_begun_after_the_time_out(void **state)
{
    (void)state;
    char doc[64];
    action_node *n = action_node_open(NULL);
    assert_int_equal(action_call(n, "PUT", "/x",
                                 "{\"settings\":{\"number_of_shards\":1},"
                                 "\"mappings\":{\"properties\":{\"t\":{\"type\":\"keyword\"}}}}"),
                     200);
    for (uint32_t i = 0; i < DOCS; i++) {
        snprintf(doc, sizeof doc, "{\"t\":\"%u b %u a\"}", i, i * 7919);
        assert_int_equal(action_call(n, "POST", "/x/_doc", doc), 201);
    }
    assert_int_equal(action_call(n, "POST", "/x/_refresh", NULL), 200);
    uint64_t all = work(n, "", false), few = work(n, "\"timeout\":\"1nanos\",", true);
    printf("# %llu allocations, %llu after the time-out\n", (unsigned long long)all,
           (unsigned long long)few);
    assert_true(few + 2 * FILTERS < all); /* reading and binding them comes before */
    action_node_close(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(no_filter_is_begun_after_the_time_out)};
    return unit_run(tests);
}
