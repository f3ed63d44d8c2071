/*
 * aggs_fuzz.c: the input is the "aggs" of a request. What is accepted is bound to a mapping with a
 * field of every kind and reduced from no shard at all; the answer must be valid JSON.
 */
#include "aggs/aggs.h"
#include "query/dsl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char MAPPING[] =
    "{\"properties\":{\"k\":{\"type\":\"keyword\"},\"n\":{\"type\":\"long\"},"
    "\"d\":{\"type\":\"double\"},\"t\":{\"type\":\"date\"},\"b\":{\"type\":\"boolean\"},"
    "\"ip\":{\"type\":\"ip\"},\"txt\":{\"type\":\"text\"}}}";

static int hits_bind(void *arg, const qd_json_node *body, const qd_query_context *q,
                     qd_arena *arena, qd_aggs_hits_sort *out, qd_err *err)
{
    (void)arg, (void)body, (void)q, (void)arena, (void)err;
    *out = (qd_aggs_hits_sort){.scores = true};
    return 0;
}

static int answer(qd_arena *arena, const qd_aggs *tree, qd_err *e)
{
    qd_aggs_reducer *reducer = NULL;
    const qd_aggs_result *result;
    qd_json_node *again;
    qd_buf out;
    qd_buf_init(&out, NULL, 1 << 24);
    int rc = qd_aggs_reducer_make(tree, NULL, &reducer, e);
    if (rc == 0) rc = qd_aggs_reducer_finish(reducer, &result, e);
    if (rc == 0) {
        qd_json_writer w;
        qd_json_writer_init(&w, &out, false);
        qd_aggs_write(result, true, &w);
        if (qd_buf_status(&out) == 0)
            qd_assert(qd_json_parse(arena, qd_buf_view(&out), QD_JSON_DEPTH_MAX, &again, NULL) ==
                      0);
    }
    qd_aggs_reducer_free(reducer);
    qd_buf_fini(&out);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static qd_analyzers *analyzers;
    static qd_analysis *analysis;
    static qd_mapping *mapping;
    if (!mapping) {
        qd_mapping_settings s = QD_MAPPING_SETTINGS_DEFAULT;
        qd_assert(qd_analyzers_make(NULL, 0, NULL, &analyzers, NULL) == 0);
        qd_assert((analysis = qd_analysis_make(NULL, 0)) != NULL);
        qd_assert(qd_mapping_parse(qd_str_c(MAPPING), analyzers, &s, QD_MAPPING_UPDATE, &mapping,
                                   NULL) == 0);
    }
    qd_str text = {(const char *)data, size};
    qd_arena arena;
    qd_json_node *json;
    qd_aggs *tree;
    qd_aggs_bound *bound;
    qd_err e;
    qd_err_init(&e);
    qd_arena_init(&arena, NULL, 0);
    qd_query_reading reading = {.arena = &arena};
    qd_aggs_reading how = {.arena = &arena, .reading = &reading, .body = text};
    qd_query_context q = {.arena = &arena,
                          .analysis = analysis,
                          .mapping = mapping,
                          .index = QD_STR("index"),
                          .now_ms = 1700000000000};
    qd_aggs_host host = {.hits_bind = hits_bind};
    int rc = qd_json_parse(&arena, text, 0, &json, &e);
    if (rc == 0) rc = qd_aggs_parse(&how, json, &tree, &e);
    if (rc == 0)
        rc = qd_aggs_bind(tree, &(qd_aggs_binding){.query = &q, .host = &host}, &bound, &e);
    if (rc == 0) rc = answer(&arena, tree, &e);
    qd_assert(rc == 0 || qd_err_reason(&e)[0]);
    qd_arena_fini(&arena);
    qd_err_fini(&e);
    return 0;
}
