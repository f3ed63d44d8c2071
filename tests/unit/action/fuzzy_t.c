/*
 * fuzzy_t.c: which words a fuzzy query keeps when there are more than max_expansions: the nearest
 * by 1 - edits / the shorter length, also below zero, then the first in order, as Lucene does.
 */
#include "lib/action_node.h"
#include "unit/unit.h"
#include <stdio.h>
#include <string.h>

static void hits_are(action_node *n, const char *query, const char *ids)
{
    char body[300], found[64] = "", path[40];
    snprintf(body, sizeof body,
             "{\"_source\":false,\"sort\":\"_doc\",\"query\":{\"fuzzy\":{\"t\":%s}}}", query);
    assert_int_equal(action_call(n, "POST", "/x/_search", body), 200);
    for (uint32_t i = 0; i < 9; i++) {
        snprintf(path, sizeof path, "hits.hits.%u._id", i);
        const char *id = action_at(n, path);
        if (!id) break;
        snprintf(found + strlen(found), sizeof found - strlen(found), "%s", id);
    }
    assert_string_equal(found, ids);
}

static void the_nearest_words_are_kept(void **state)
{
    (void)state;
    action_node *n = action_node_open(NULL);
    assert_int_equal(action_call(n, "PUT", "/x",
                                 "{\"settings\":{\"number_of_shards\":1},"
                                 "\"mappings\":{\"properties\":{\"t\":{\"type\":\"text\"}}}}"),
                     200);
    assert_int_equal(action_call(n, "POST", "/x/_bulk?refresh=true",
                                 "{\"index\":{\"_id\":\"1\"}}\n{\"t\":\"f\"}\n"
                                 "{\"index\":{\"_id\":\"2\"}}\n{\"t\":\"fe\"}\n"
                                 "{\"index\":{\"_id\":\"3\"}}\n{\"t\":\"for\"}\n"
                                 "{\"index\":{\"_id\":\"4\"}}\n{\"t\":\"fx\"}\n"
                                 "{\"index\":{\"_id\":\"5\"}}\n{\"t\":\"fat\"}\n"),
                     200);
#define FOR "{\"value\":\"for\",\"fuzziness\":2,\"prefix_length\":1,\"max_expansions\":"
    hits_are(n, FOR "50}", "12345");
    hits_are(n, FOR "4}", "2345"); /* f: 1 - 2 / 1 */
    hits_are(n, FOR "3}", "235");  /* fe and fx: 1 - 2 / 2, fe comes first */
    hits_are(n, FOR "2}", "35");
    hits_are(n, FOR "1}", "3");
    action_node_close(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_nearest_words_are_kept)};
    return unit_run(tests);
}
