/*
 * search_wire_fuzz.c: what nodes tell each other of searches. The first byte chooses the reader;
 * the rest is the message: a part, the shape of a scroll, hits to fetch, statistics of terms, ids
 * of scrolls and points in time, partial aggregations of a request with every type. What is read as
 * aggregations is reduced and must make valid JSON; what is read as a part is written and read
 * again.
 */
#include "action/search/wire_int.h"
#include "aggs/reduce/wire.h"

#define VERSION 0x0100u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char MAPPING[] =
    "{\"properties\":{\"k\":{\"type\":\"keyword\"},\"n\":{\"type\":\"long\"},"
    "\"d\":{\"type\":\"double\"},\"t\":{\"type\":\"date\"},\"b\":{\"type\":\"boolean\"},"
    "\"ip\":{\"type\":\"ip\"}}}";
static const char AGGS[] =
    "{\"a\":{\"terms\":{\"field\":\"k\"},\"aggs\":{\"s\":{\"extended_stats\":{\"field\":\"d\"}},"
    "\"h\":{\"top_hits\":{\"size\":2}}}},\"b\":{\"terms\":{\"field\":\"n\",\"order\":{\"_key\":"
    "\"asc\"}}},"
    "\"c\":{\"histogram\":{\"field\":\"n\",\"interval\":5,\"min_doc_count\":1}},"
    "\"d\":{\"date_histogram\":{\"field\":\"t\",\"calendar_interval\":\"month\",\"min_doc_count\":"
    "1}},"
    "\"e\":{\"range\":{\"field\":\"d\",\"ranges\":[{\"to\":1},{\"from\":1}]}},"
    "\"f\":{\"filters\":{\"filters\":{\"x\":{\"match_all\":{}}},\"other_bucket\":true},\"aggs\":"
    "{\"m\":{\"min\":{\"field\":\"n\"}}}},\"g\":{\"cardinality\":{\"field\":\"k\"}},"
    "\"h\":{\"percentiles\":{\"field\":\"d\"}},\"i\":{\"percentiles\":{\"field\":\"d\",\"hdr\":{}}}"
    ","
    "\"j\":{\"percentile_ranks\":{\"field\":\"d\",\"values\":[1]}},\"l\":{\"missing\":{\"field\":"
    "\"k\"}},"
    "\"m\":{\"composite\":{\"sources\":[{\"k\":{\"terms\":{\"field\":\"k\"}}},{\"n\":{"
    "\"histogram\":"
    "{\"field\":\"n\",\"interval\":3}}}]}},\"o\":{\"weighted_avg\":{\"value\":{\"field\":\"d\"},"
    "\"weight\":{\"field\":\"n\"}}},\"p\":{\"ip_range\":{\"field\":\"ip\",\"ranges\":[{\"to\":"
    "\"10.0.0.1\"}]}},\"q\":{\"global\":{},\"aggs\":{\"u\":{\"value_count\":{\"field\":\"n\"}}}}}";

static int hits_bind(void *arg, const qd_json_node *body, const qd_query_context *q,
                     qd_arena *arena, qd_aggs_hits_sort *out, qd_err *err)
{
    (void)arg, (void)body, (void)q, (void)arena, (void)err;
    *out = (qd_aggs_hits_sort){.scores = true};
    return 0;
}

static const qd_aggs *tree;
static qd_aggs_bound *bound;

/* The request and index that partial results are of, made once. */
static void make_request(void)
{
    static qd_arena arena;
    static qd_aggs *made;
    static qd_analyzers *analyzers;
    static qd_analysis *analysis;
    static qd_mapping *mapping;
    qd_json_node *json;
    qd_mapping_settings s = QD_MAPPING_SETTINGS_DEFAULT;
    qd_arena_init(&arena, NULL, 0);
    qd_assert(qd_analyzers_make(NULL, 0, NULL, &analyzers, NULL) == 0);
    qd_assert((analysis = qd_analysis_make(NULL, 0)) != NULL);
    qd_assert(
        qd_mapping_parse(qd_str_c(MAPPING), analyzers, &s, QD_MAPPING_UPDATE, &mapping, NULL) == 0);
    static qd_query_reading reading;
    static qd_aggs_host host = {.hits_bind = hits_bind};
    reading.arena = &arena;
    qd_aggs_reading how = {.arena = &arena, .reading = &reading, .body = qd_str_c(AGGS)};
    qd_query_context q = {.arena = &arena,
                          .analysis = analysis,
                          .mapping = mapping,
                          .index = QD_STR("index"),
                          .now_ms = 1700000000000};
    qd_assert(qd_json_parse(&arena, qd_str_c(AGGS), 0, &json, NULL) == 0);
    qd_assert(qd_aggs_parse(&how, json, &made, NULL) == 0);
    qd_assert(qd_aggs_bind(made, &(qd_aggs_binding){.query = &q, .host = &host}, &bound, NULL) ==
              0);
    tree = made;
}

static void aggregations(qd_body_reader *r, qd_arena *arena)
{
    qd_aggs_partial *p;
    qd_aggs_reducer *reducer;
    const qd_aggs_result *result;
    qd_err e;
    qd_buf out;
    qd_err_init(&e);
    if (!tree) make_request();
    qd_buf_init(&out, NULL, 1 << 26);
    if (!qd_aggs_partial_read(r, bound, NULL, &p, &e)) {
        qd_assert(qd_aggs_reducer_make(tree, NULL, &reducer, &e) == 0);
        int rc = qd_aggs_reducer_add(reducer, p, &e);
        if (!rc) rc = qd_aggs_reducer_finish(reducer, &result, &e);
        if (!rc) {
            qd_json_writer w;
            qd_json_writer_init(&w, &out, false);
            qd_aggs_write(result, true, &w);
        }
        qd_aggs_reducer_free(reducer);
    }
    (void)arena;
    qd_assert(!e.code || qd_err_reason(&e)[0]);
    qd_buf_fini(&out);
    qd_err_fini(&e);
}

static void part(qd_body_reader *r, qd_arena *arena)
{
    search_part p, again, copy;
    qd_writer w;
    qd_body_reader back;
    qdi_part_read(r, arena, &p);
    if (qd_body_reader_bad(r)) return;
    qd_assert(qdi_part_copy(&p, arena, &copy, NULL) == 0);
    qd_writer_init(&w, NULL, (size_t)1 << 28, VERSION);
    qdi_part_write(&copy, &w);
    qd_assert(qd_writer_end(&w, "part", NULL) == 0);
    qd_body_reader_init(&back, qd_writer_view(&w), "part", VERSION);
    qdi_part_read(&back, arena, &again);
    qd_assert(qd_body_reader_end(&back, NULL) == 0);
    qd_assert(again.nshards == p.nshards && again.nindices == p.nindices);
    qd_writer_fini(&w);
}

static void id_of(qd_str text, qd_arena *arena, search_context_kind kind)
{
    search_id id;
    qd_str again;
    qd_err e;
    qd_err_init(&e);
    if (!qdi_search_id_read(text, kind, arena, &id, &e)) {
        qd_assert(qdi_search_id_write(&id, arena, &again, NULL) == 0);
    }
    qd_err_fini(&e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    qd_body_reader r;
    qd_arena arena;
    search_shape shape;
    search_picks *picks;
    search_stat *stats;
    uint32_t n;
    if (!size) return 0;
    qd_str rest = {(const char *)data + 1, size - 1};
    qd_body_reader_init(&r, rest, "search", VERSION);
    qd_arena_init(&arena, NULL, 0);
    switch (data[0] % 7) {
    case 0:
        part(&r, &arena);
        break;
    case 1:
        qdi_shape_read(&r, &arena, &shape);
        break;
    case 2:
        qdi_picks_read(&r, &arena, &picks, &n);
        break;
    case 3:
        qdi_stats_read(&r, &arena, &stats, &n);
        break;
    case 4:
        id_of(rest, &arena, SEARCH_CONTEXT_SCROLL);
        break;
    case 5:
        id_of(rest, &arena, SEARCH_CONTEXT_PIT);
        break;
    default:
        aggregations(&r, &arena);
    }
    qd_arena_fini(&arena);
    return 0;
}
