/*
 * search_body_fuzz.c: any bytes as the body of a search, against a whole node in this process with
 * a small index that has fields of every type in two segments and a deleted document. The first
 * byte says which API reads the rest. Whatever comes is answered in well-formed JSON, with hits or
 * with an error that has a type and a reason; nothing that a user sends is an internal error.
 */
#include "lib/action_node.h"
#include "json/tree.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char MAPPING[] =
    "{\"settings\":{\"number_of_shards\":1,\"refresh_interval\":\"-1\",\"analysis\":{\"filter\":{"
    "\"syn\":{\"type\":\"synonym_graph\",\"synonyms\":[\"ny, new york\",\"fast, quick\"]}},"
    "\"analyzer\":{\"syn\":{\"tokenizer\":\"standard\",\"filter\":[\"lowercase\",\"syn\"]}},"
    "\"normalizer\":{\"low\":{\"type\":\"custom\",\"filter\":[\"lowercase\"]}}}},"
    "\"mappings\":{\"properties\":{"
    "\"t\":{\"type\":\"text\",\"fields\":{\"raw\":{\"type\":\"keyword\"}}},"
    "\"v\":{\"type\":\"text\",\"term_vector\":\"with_positions_offsets\"},"
    "\"s\":{\"type\":\"text\",\"analyzer\":\"standard\",\"search_analyzer\":\"syn\"},"
    "\"p\":{\"type\":\"text\",\"index_options\":\"docs\"},"
    "\"k\":{\"type\":\"keyword\"},\"n\":{\"type\":\"keyword\",\"normalizer\":\"low\"},"
    "\"l\":{\"type\":\"long\"},\"i\":{\"type\":\"integer\",\"ignore_malformed\":true},"
    "\"d\":{\"type\":\"double\"},\"f\":{\"type\":\"float\"},\"b\":{\"type\":\"boolean\"},"
    "\"date\":{\"type\":\"date\"},\"ip\":{\"type\":\"ip\"},"
    "\"o\":{\"properties\":{\"x\":{\"type\":\"keyword\"}}}}}}";

static const char DOCS[] =
    "{\"index\":{\"_index\":\"f\",\"_id\":\"1\"}}\n"
    "{\"t\":\"the quick brown fox\",\"v\":[\"quick fox. Lazy dog.\",\"fox\"],\"s\":\"new york\","
    "\"p\":\"a a b\",\"k\":[\"a\",\"b\"],\"n\":\"AbC\",\"l\":9007199254740993,\"i\":[1,5],"
    "\"d\":1.5,\"f\":0.1,\"b\":true,\"date\":\"2024-01-02T03:04:05Z\",\"ip\":\"10.0.0.1\","
    "\"o\":{\"x\":\"y\"}}\n"
    "{\"index\":{\"_index\":\"f\",\"_id\":\"2\"}}\n"
    "{\"t\":\"lazy dog\",\"v\":\"a dog\",\"k\":\"c\",\"l\":-1,\"i\":\"bad\",\"d\":-2.5,\"b\":false,"
    "\"date\":1700000000000,\"ip\":\"2001:db8::1\",\"o\":[{\"x\":\"1\"},{\"x\":\"2\"}]}\n"
    "{\"index\":{\"_index\":\"f\",\"_id\":\"3\"}}\n{\"t\":\"\",\"k\":\"\"}\n";

static action_node *open_node(void)
{
    static const char more[] = "{\"t\":\"fox fox dog\",\"k\":\"a\",\"l\":7,\"date\":\"2023\"}";
    action_node *n = action_node_open(NULL);
    qd_assert(action_call(n, "PUT", "/f", MAPPING) == 200);
    qd_assert(action_call(n, "POST", "/_bulk?refresh=true", DOCS) == 200);
    qd_assert(action_call(n, "PUT", "/f/_doc/4?refresh=true", more) == 201);
    qd_assert(action_call(n, "DELETE", "/f/_doc/3?refresh=true", NULL) == 200);
    return n;
}

static void check(action_node *n, int status)
{
    qd_arena arena;
    qd_json_node *json = NULL;
    const char *body = action_body(n);
    qd_arena_init(&arena, NULL, 0);
    qd_assert(status >= 200 && status < 600);
    qd_assert(qd_json_parse(&arena, qd_str_c(body), QD_JSON_DEPTH_MAX, &json, NULL) == 0);
    if (status >= 400) {
        const qd_json_node *e = qd_json_get(json, "error");
        qd_assert(e && qd_json_get(e, "type") && qd_json_get(e, "reason"));
    }
    qd_assert(!strstr(body, "\"internal_error\""));
    qd_arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const paths[] = {
        "/f/_search",
        "/f/_count",
        "/f/_explain/1",
        "/f/_msearch",
        "/f/_search?typed_keys=true&search_type=dfs_query_then_fetch",
        "/f/_validate/query?explain=true"};
    static action_node *node;
    if (!node) node = open_node();
    if (size > 1 << 16) return 0;
    size_t which = size && data[0] < QD_COUNT_OF(paths) ? data[0] : 0;
    size_t skip = size && data[0] < QD_COUNT_OF(paths);
    char *body = malloc(size + 1);
    qd_assert(body != NULL);
    memcpy(body, data, size);
    body[size] = 0;
    for (size_t i = skip; i < size; i++) {
        if (!body[i]) body[i] = ' ';
    }
    check(node, action_call(node, "POST", paths[which], body + skip));
    free(body);
    return 0;
}
