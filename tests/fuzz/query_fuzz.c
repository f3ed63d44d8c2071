/*
 * query_fuzz.c: any bytes as a query, as the text of a query_string (first byte 1) or of a
 * simple_query_string (2), over an index with fields of every type. What is accepted is printed and
 * walked; what is refused has a reason.
 */
#include "query/dsl.h"
#include "search/tree.h"
#include "json/writer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char mapping_json[] =
    "{\"properties\":{\"title\":{\"type\":\"text\",\"fields\":{\"raw\":{\"type\":\"keyword\"}}},"
    "\"en\":{\"type\":\"text\",\"analyzer\":\"english\"},"
    "\"syn\":{\"type\":\"text\",\"analyzer\":\"standard\",\"search_analyzer\":\"syn\"},"
    "\"flat\":{\"type\":\"text\",\"index_options\":\"docs\"},\"tag\":{\"type\":\"keyword\"},"
    "\"n\":{\"type\":\"long\"},\"i\":{\"type\":\"integer\"},\"d\":{\"type\":\"double\"},"
    "\"b\":{\"type\":\"boolean\"},\"t\":{\"type\":\"date\"},\"a\":{\"type\":\"ip\"},"
    "\"v\":{\"type\":\"dense_vector\",\"dims\":2},"
    "\"w\":{\"type\":\"dense_vector\",\"dims\":16,\"element_type\":\"bit\"},"
    "\"k\":{\"type\":\"knn_vector\",\"dimension\":2},"
    "\"o\":{\"properties\":{\"x\":{\"type\":\"keyword\"}}}}}";

static int each_leaf(void *arg, const qd_node *leaf, float boost)
{
    (void)boost;
    ++*(uint32_t *)arg;
    return leaf->kind == QD_NATIVE_BOOL;
}

static qd_mapping *make_mapping(void)
{
    static const qd_str rules[] = {{"ny, new york, big apple", 23}, {"a b c, d", 8}};
    static const qd_str chain[] = {{"lowercase", 9}, {"syn", 3}};
#define ONE(k, v)                                                                                  \
    {                                                                                              \
        {(k), sizeof(k) - 1}, &(const qd_str){(v), sizeof(v) - 1}, 1, false                        \
    }
    const qd_analysis_setting s[] = {
        ONE("analysis.filter.syn.type", "synonym_graph"),
        {QD_STR("analysis.filter.syn.synonyms"), rules, 2, true},
        ONE("analysis.analyzer.syn.type", "custom"),
        ONE("analysis.analyzer.syn.tokenizer", "standard"),
        {QD_STR("analysis.analyzer.syn.filter"), chain, 2, true},
    };
#undef ONE
    qd_analyzers *analyzers;
    qd_mapping *m;
    qd_mapping_settings set = QD_MAPPING_SETTINGS_DEFAULT;
    qd_assert(qd_analyzers_make(s, QD_COUNT_OF(s), NULL, &analyzers, NULL) == 0);
    qd_assert(
        qd_mapping_parse(QD_STR(mapping_json), analyzers, &set, QD_MAPPING_UPDATE, &m, NULL) == 0);
    return m;
}

/* The text within a query of that name. */
static qd_str wrapped(qd_buf *b, const char *name, qd_str text)
{
    qd_json_writer w;
    qd_json_writer_init(&w, b, false);
    qd_json_object(&w);
    qd_json_key_c(&w, name);
    qd_json_object(&w);
    qd_json_key_c(&w, "query");
    qd_json_str(&w, text);
    qd_json_object_end(&w);
    qd_json_object_end(&w);
    return qd_buf_view(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static qd_mapping *mapping;
    static qd_analysis *analysis;
    if (!mapping) {
        mapping = make_mapping();
        analysis = qd_analysis_make(NULL, 0);
        qd_assert(analysis != NULL);
    }
    qd_arena arena;
    qd_buf json, text;
    qd_err e;
    qd_query_built built;
    qd_str input = {(const char *)data, size};
    qd_arena_init(&arena, NULL, 256 << 20);
    qd_buf_init(&json, NULL, 16 << 20);
    qd_buf_init(&text, NULL, 64 << 20);
    qd_err_init(&e);
    if (size && (data[0] == 1 || data[0] == 2))
        input = wrapped(&json, data[0] == 1 ? "query_string" : "simple_query_string",
                        qd_str_sub(input, 1, size));
    qd_query_context c = {.arena = &arena,
                          .analysis = analysis,
                          .mapping = mapping,
                          .index = QD_STR("idx"),
                          .now_ms = 1600000000000};
    int rc = qd_query_parse(&c, input, &built, &e);
    if (rc == 0) {
        uint32_t leaves = 0;
        qd_assert(qd_node_describe(built.root, &text) == 0);
        qd_assert(qd_node_each_leaf(built.root, each_leaf, &leaves) == 0);
    } else {
        qd_assert(rc < 0 && e.code == rc && qd_err_reason(&e)[0]);
    }
    qd_err_fini(&e);
    qd_buf_fini(&text);
    qd_buf_fini(&json);
    qd_arena_fini(&arena);
    return 0;
}
