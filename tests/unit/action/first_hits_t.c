/* first_hits_t.c: prefix, wildcard and terms queries over many rare words: the first hits and
 * totals up to a number are those of a search that is made to look at all of them (a least score
 * that all have). */
#include "lib/action_node.h"
#include "unit/unit.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DOCS 4000u
#define WORDS 1500u

static uint32_t word_of(uint32_t doc, uint32_t i)
{
    return (doc * 7919u + i * 104729u + doc * doc % 31u) % WORDS;
}

/* Words of 2 to some 20 documents each, the last of them in documents that came first; four
 * refreshes, one document in seven deleted. */
static action_node *open_node(void)
{
    action_node *n = action_node_open(NULL);
    size_t cap = (size_t)1 << 20;
    char *bulk = malloc(cap);
    assert_int_equal(
        action_call(n, "PUT", "/x",
                    "{\"settings\":{\"number_of_shards\":1,\"index.refresh_interval\":-1},"
                    "\"mappings\":{\"properties\":{\"t\":{\"type\":\"text\"}}}}"),
        200);
    for (uint32_t part = 0; part < 4; part++) {
        size_t at = 0;
        for (uint32_t d = part * DOCS / 4; d < (part + 1) * DOCS / 4; d++) {
            at +=
                (size_t)snprintf(bulk + at, cap - at, "{\"index\":{\"_id\":\"%u\"}}\n{\"t\":\"", d);
            for (uint32_t i = 0; i < 5; i++)
                at += (size_t)snprintf(bulk + at, cap - at, "w%04u ", WORDS - 1 - word_of(d, i));
            at += (size_t)snprintf(bulk + at, cap - at, "%s\"}\n", d % 3 ? "often" : "");
        }
        assert_int_equal(action_call(n, "POST", "/x/_bulk?refresh=true", bulk), 200);
    }
    size_t at = 0;
    for (uint32_t d = 0; d < DOCS; d += 7)
        at += (size_t)snprintf(bulk + at, cap - at, "{\"delete\":{\"_id\":\"%u\"}}\n", d);
    assert_int_equal(action_call(n, "POST", "/x/_bulk?refresh=true", bulk), 200);
    free(bulk);
    return n;
}

/* What an answer says of its hits. */
static char *hits_of(action_node *n, const char *query, const char *total, uint32_t size, bool all)
{
    char body[512];
    snprintf(body, sizeof body,
             "{\"size\":%u,\"track_total_hits\":%s,\"_source\":false%s,\"query\":%s}", size, total,
             all ? ",\"min_score\":0.000001" : "", query);
    assert_int_equal(action_call(n, "POST", "/x/_search", body), 200);
    const char *hits = action_at(n, "hits");
    assert_non_null(hits);
    char *copy = malloc(strlen(hits) + 1);
    strcpy(copy, hits);
    return copy;
}

static void first_hits_are_those_of_a_full_look(void **state)
{
    (void)state;
    static const char *const queries[] = {
        "{\"prefix\":{\"t\":\"w\"}}",
        "{\"prefix\":{\"t\":\"w1\"}}",
        "{\"prefix\":{\"t\":\"w12\"}}",
        "{\"prefix\":{\"t\":\"w133\"}}",
        "{\"wildcard\":{\"t\":\"w*7\"}}",
        "{\"wildcard\":{\"t\":\"*o*\"}}",
        "{\"terms\":{\"t\":[\"w0001\",\"w0700\",\"w1499\",\"often\"]}}",
        "{\"range\":{\"t\":{\"gte\":\"w0300\",\"lt\":\"w0900\"}}}",
        "{\"constant_score\":{\"filter\":{\"prefix\":{\"t\":\"w\"}},\"boost\":2.5}}",
        "{\"bool\":{\"must\":[{\"prefix\":{\"t\":\"w0\"}}]}}",
        ("{\"bool\":{\"must\":[{\"prefix\":{\"t\":\"w0\"}}],"
         "\"should\":[{\"term\":{\"t\":\"w0042\"}}]}}"),
    };
    static const char *const totals[] = {"false", "1", "50", "1000", "10000", "true"};
    static const uint32_t sizes[] = {1, 10, 100, 3000};
    action_node *n = open_node();
    for (size_t q = 0; q < QD_COUNT_OF(queries); q++)
        for (size_t t = 0; t < QD_COUNT_OF(totals); t++)
            for (size_t s = 0; s < QD_COUNT_OF(sizes); s++) {
                char *some = hits_of(n, queries[q], totals[t], sizes[s], false);
                char *all = hits_of(n, queries[q], totals[t], sizes[s], true);
                if (strcmp(some, all) != 0)
                    print_error("%s total %s size %u:\n%.300s\n%.300s\n", queries[q], totals[t],
                                sizes[s], some, all);
                assert_string_equal(some, all);
                free(some);
                free(all);
            }
    action_node_close(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(first_hits_are_those_of_a_full_look)};
    return unit_run(tests);
}
