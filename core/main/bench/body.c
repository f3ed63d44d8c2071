/* body.c: search bodies in `qd bench search`. */
#include "main/bench/body.h"
#include "analysis/analysis.h"
#include "main/bench/bench.h"
#include "mapping/mapping.h"
#include "query/dsl.h"

struct qd_bench_schema {
    qd_analyzers *analyzers;
    qd_analysis *analysis;
    qd_mapping *mapping;
};

int qd_bench_schema_open(const char *path, qd_bench_schema **out, qd_err *err)
{
    qd_bench_schema *s = qd_calloc(NULL, sizeof *s);
    if (!s) return qd_err_nomem(err, "mapping");
    int rc = qd_bench_mapping_make(path, QD_STR(""), &s->analyzers, &s->mapping, err);
    s->analysis = rc ? NULL : qd_analysis_make(NULL, 0);
    if (!rc && !s->analysis) rc = qd_err_nomem(err, "mapping");
    if (rc)
        qd_bench_schema_close(s);
    else
        *out = s;
    return rc;
}

void qd_bench_schema_close(qd_bench_schema *s)
{
    if (!s) return;
    qd_mapping_unref(s->mapping);
    qd_analysis_free(s->analysis);
    qd_analyzers_unref(s->analyzers);
    qd_free(s);
}

/* --- reading --- */

static int read_sort(const qd_bench_schema *s, const qd_json_node *list, qd_bench_body *out,
                     qd_err *err)
{
    const qd_json_node *entry = list->first, *one = entry ? entry->first : NULL;
    if (list->n != 1 || !one || one->type != QD_JSON_T_OBJECT) {
        return qd_err_set(err, QD_E_ARG, "a sort is a list of one {\"field\":{\"order\":…}}");
    }
    const qd_json_node *order = qd_json_get(one, "order");
    const qd_field *f = qd_mapping_field(s->mapping, one->key);
    if (!f || !f->doc_values) {
        return qd_err_set(err, QD_E_ARG, "there is no column [%.*s] to sort by",
                          QD_STR_ARG(one->key));
    }
    bool ordinals = f->value_class == QD_VALUE_TERM || f->value_class == QD_VALUE_IP;
    out->sorted = true;
    out->of_doubles = f->number == QD_NUMBER_DOUBLE;
    out->key = (qd_sort_key){
        .kind = ordinals ? QD_SORT_ORD : QD_SORT_I64,
        .field = f->name,
        .descending = order && qd_str_is(qd_json_text(order), "desc"),
        .number = out->of_doubles ? QD_SORT_DOUBLE : QD_SORT_INTEGER,
    };
    out->key.mode = out->key.descending ? QD_SORT_MAX : QD_SORT_MIN;
    return 0;
}

static int read_aggs(const qd_query_context *q, qd_str text, const qd_json_node *json,
                     qd_bench_body *out, qd_err *err)
{
    qd_query_reading *reading = qd_arena_alloc(q->arena, sizeof *reading);
    if (!reading) return qd_err_nomem(err, "aggregations");
    *reading = (qd_query_reading){.arena = q->arena};
    qd_aggs_reading how = {.arena = q->arena, .reading = reading, .body = text};
    int rc = qd_aggs_parse(&how, json, &out->aggs, err);
    return rc ? rc : qd_aggs_bind(out->aggs, &(qd_aggs_binding){.query = q}, &out->bound, err);
}

int qd_bench_body_read(qd_bench_schema *s, qd_str text, qd_arena *arena, qd_bench_body *out,
                       qd_err *err)
{
    qd_json_node *json;
    qd_query_context *q = qd_arena_calloc(arena, sizeof *q);
    if (!q) return qd_err_nomem(err, "queries");
    *q = (qd_query_context){
        .arena = arena, .analysis = s->analysis, .mapping = s->mapping, .index = QD_STR("bench")};
    *out = (qd_bench_body){0};
    int rc = qd_json_parse(arena, text, 0, &json, err);
    if (!rc && json->type != QD_JSON_T_OBJECT) rc = qd_err_set(err, QD_E_ARG, "not an object");
    for (const qd_json_node *m = rc ? NULL : json->first; m && !rc; m = m->next) {
        if (qd_str_is(m->key, "query")) {
            qd_query_built built;
            rc = qd_query_parse_node(q, m, text, &built, err);
            if (!rc) out->root = built.root;
        } else if (qd_str_is(m->key, "sort")) {
            rc = read_sort(s, m, out, err);
        } else if (qd_str_is(m->key, "aggs")) {
            rc = read_aggs(q, text, m, out, err);
        } else if (!qd_str_is(m->key, "size")) {
            rc = qd_err_set(err, QD_E_ARG, "unknown member [%.*s]", QD_STR_ARG(m->key));
        }
    }
    if (!rc && !out->root) {
        out->root = qd_node_make(arena, QD_NATIVE_MATCH_ALL);
        if (!out->root) rc = qd_err_nomem(err, "queries");
    }
    return rc;
}

/* --- running --- */

static int plan(const qd_bench_body *b, qd_searcher *searcher, qd_account *account,
                qd_arena *scratch, qd_plan **out, qd_err *err)
{
    qd_plan_options o = {.no_scores = true, .account = account};
    return qd_plan_make(searcher, b->root, &o, scratch, out, err);
}

int qd_bench_body_sort(const qd_bench_body *b, qd_searcher *searcher, uint32_t k, uint64_t total,
                       qd_arena *scratch, qd_bench_sorted *out, qd_err *err)
{
    qd_plan *p;
    qd_sorter *sorter;
    qd_collect_result collected;
    qd_sort_options o = {.keys = &b->key, .nkeys = 1, .k = k, .total = total};
    int rc = qd_sorter_make(&o, scratch, &sorter, err);
    if (!rc) rc = plan(b, searcher, NULL, scratch, &p, err);
    if (!rc) rc = qd_plan_collect(p, NULL, qd_sorter_collector(sorter), &collected, err);
    if (rc) return rc;
    return qd_sorter_finish(sorter, &out->hits, &out->n, &out->total, &out->lower, err);
}

void qd_bench_sort_value(const qd_bench_body *b, const qd_sort_hit *h, qd_buf *line)
{
    const qd_sort_value *v = h->values;
    if (v->kind == QD_SORT_ORD)
        (void)qd_buf_printf(line, "%.*s", QD_STR_ARG(v->bytes));
    else if (b->of_doubles)
        (void)qd_buf_printf(line, "%.17g", qd_f64_decode(v->i64));
    else
        (void)qd_buf_printf(line, "%lld", (long long)v->i64);
}

int qd_bench_body_aggs(const qd_bench_body *b, qd_searcher *searcher, qd_account *account,
                       qd_arena *scratch, qd_buf *json, qd_err *err)
{
    qd_plan *p;
    qd_aggs_shard *shard = NULL;
    qd_aggs_partial *partial;
    qd_aggs_reducer *reducer = NULL;
    const qd_aggs_result *result;
    qd_collect_result collected;
    qd_aggs_shard_options o = {.searcher = searcher, .account = account};
    int rc = qd_aggs_shard_make(b->bound, &o, &shard, err);
    if (!rc) rc = plan(b, searcher, account, scratch, &p, err);
    if (!rc) rc = qd_plan_collect(p, NULL, qd_aggs_shard_collector(shard), &collected, err);
    if (!rc) rc = qd_aggs_reducer_make(b->aggs, account, &reducer, err);
    if (!rc) rc = qd_aggs_shard_finish(shard, &partial, err);
    if (!rc) rc = qd_aggs_reducer_add(reducer, partial, err);
    if (!rc) rc = qd_aggs_reducer_finish(reducer, &result, err);
    if (!rc && json) {
        qd_json_writer w;
        qd_json_writer_init(&w, json, false);
        qd_aggs_write(result, false, &w);
    }
    qd_aggs_reducer_free(reducer);
    qd_aggs_shard_free(shard);
    return rc;
}
