/*
 * query_lib.h: one index with fields of every type, for tests of the query DSL.
 */
#ifndef TESTS_UNIT_QUERY_LIB_H
#define TESTS_UNIT_QUERY_LIB_H

#include "query/dsl.h"
#include "search/tree.h"
#include "unit/unit.h"

typedef struct query_index {
    qd_analyzers *analyzers;
    qd_mapping *mapping;
    qd_analysis *analysis;
    qd_arena arena;
    qd_query_context c;
} query_index;

/* Sets up the index; the test fails when it cannot. */
static inline void query_index_open(query_index *x)
{
    static const qd_str graph[] = {{"ny, new york", 12}, {"fast, quick", 11}};
    static const qd_str chain[] = {{"lowercase", 9}, {"syn", 3}};
    static const qd_str lower[] = {{"lowercase", 9}};
#define ONE(k, v)                                                                                  \
    {                                                                                              \
        {(k), sizeof(k) - 1}, &(const qd_str){(v), sizeof(v) - 1}, 1, false                        \
    }
    const qd_analysis_setting s[] = {
        ONE("analysis.filter.syn.type", "synonym_graph"),
        {QD_STR("analysis.filter.syn.synonyms"), graph, 2, true},
        ONE("analysis.analyzer.syn.type", "custom"),
        ONE("analysis.analyzer.syn.tokenizer", "standard"),
        {QD_STR("analysis.analyzer.syn.filter"), chain, 2, true},
        ONE("analysis.normalizer.low.type", "custom"),
        {QD_STR("analysis.normalizer.low.filter"), lower, 1, true},
    };
#undef ONE
    static const char mapping[] =
        "{\"properties\":{"
        "\"title\":{\"type\":\"text\",\"fields\":{\"raw\":{\"type\":\"keyword\"}}},"
        "\"body\":{\"type\":\"text\",\"norms\":false},"
        "\"en\":{\"type\":\"text\",\"analyzer\":\"english\"},"
        "\"syn\":{\"type\":\"text\",\"analyzer\":\"standard\",\"search_analyzer\":\"syn\"},"
        "\"flat\":{\"type\":\"text\",\"index_options\":\"freqs\"},"
        "\"dark\":{\"type\":\"text\",\"index\":false},"
        "\"tag\":{\"type\":\"keyword\"},"
        "\"low\":{\"type\":\"keyword\",\"normalizer\":\"low\"},"
        "\"split\":{\"type\":\"keyword\",\"split_queries_on_whitespace\":true},"
        "\"n\":{\"type\":\"long\"},\"i\":{\"type\":\"integer\"},\"d\":{\"type\":\"double\"},"
        "\"f\":{\"type\":\"float\"},\"b\":{\"type\":\"boolean\"},\"t\":{\"type\":\"date\"},"
        "\"a\":{\"type\":\"ip\"},"
        "\"o\":{\"properties\":{\"x\":{\"type\":\"keyword\"},\"y\":{\"type\":\"long\"}}}}}";
    qd_err e;
    qd_err_init(&e);
    memset(x, 0, sizeof *x);
    int rc = qd_analyzers_make(s, QD_COUNT_OF(s), NULL, &x->analyzers, &e);
    if (rc) fail_msg("analyzers: %s", qd_err_reason(&e));
    qd_mapping_settings set = QD_MAPPING_SETTINGS_DEFAULT;
    rc = qd_mapping_parse(QD_STR(mapping), x->analyzers, &set, QD_MAPPING_UPDATE, &x->mapping, &e);
    if (rc) fail_msg("mapping: %s", qd_err_reason(&e));
    x->analysis = qd_analysis_make(NULL, 0);
    qd_arena_init(&x->arena, NULL, 64 << 20);
    x->c = (qd_query_context){.arena = &x->arena,
                              .analysis = x->analysis,
                              .mapping = x->mapping,
                              .index = QD_STR("idx"),
                              .index_uuid = QD_STR("uuid"),
                              .now_ms = 1600000000000};
}

/* Frees it. */
static inline void query_index_close(query_index *x)
{
    qd_arena_fini(&x->arena);
    qd_analysis_free(x->analysis);
    qd_mapping_unref(x->mapping);
    qd_analyzers_unref(x->analyzers);
}

/* The tree of a query as text, or "type: reason @line:col"; lives until the index is closed.
 * Single quotes in json stand for double ones. */
static inline const char *query_text(query_index *x, const char *json)
{
    qd_query_built built;
    qd_err e;
    qd_buf b;
    qd_str text = qd_arena_str(&x->arena, qd_str_c(json));
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] == '\'') ((char *)(uintptr_t)text.p)[i] = '"';
    qd_err_init(&e);
    qd_buf_init(&b, NULL, 1 << 20);
    if (qd_query_parse(&x->c, text, &built, &e) == 0) {
        assert_int_equal(qd_node_describe(built.root, &b), 0);
    } else {
        assert_int_equal(qd_buf_printf(&b, "%s: %s", qd_err_es_type(&e), qd_err_reason(&e)), 0);
        const char *line = NULL, *col = NULL;
        for (uint32_t i = 0; i < e.ndetails; i++) {
            if (strcmp(e.details[i].key, "line") == 0) line = e.details[i].value;
            if (strcmp(e.details[i].key, "col") == 0) col = e.details[i].value;
        }
        if (line) assert_int_equal(qd_buf_printf(&b, " @%s:%s", line, col ? col : "?"), 0);
        for (const qd_err *c = e.cause; c; c = c->cause)
            assert_int_equal(qd_buf_printf(&b, " < %s: %s", qd_err_es_type(c), qd_err_reason(c)),
                             0);
    }
    const char *out = qd_arena_str(&x->arena, qd_buf_view(&b)).p;
    qd_err_fini(&e);
    qd_buf_fini(&b);
    return out;
}

typedef struct query_case {
    const char *json, *want;
} query_case;

/* Runs a table, with more fields in the mapping (JSON; NULL: none); reports every difference before
 * failing. */
static inline void query_cases_with(const char *fields, const query_case *cases, size_t n)
{
    query_index x;
    uint32_t bad = 0;
    query_index_open(&x);
    if (fields) {
        qd_mapping *more = NULL;
        assert_int_equal(
            qd_mapping_merge(x.mapping, qd_str_c(fields), QD_MAPPING_UPDATE, &more, NULL), 0);
        qd_mapping_unref(x.mapping);
        x.c.mapping = x.mapping = more;
    }
    for (size_t i = 0; i < n; i++) {
        const char *got = query_text(&x, cases[i].json);
        if (strcmp(got, cases[i].want) == 0) continue;
        bad++;
        print_error("%s\n  want %s\n  got  %s\n", cases[i].json, cases[i].want, got);
    }
    query_index_close(&x);
    assert_int_equal(bad, 0);
}

static inline void query_cases(const query_case *cases, size_t n)
{
    query_cases_with(NULL, cases, n);
}

#endif
