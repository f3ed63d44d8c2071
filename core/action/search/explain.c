/* explain.c: explanations of hits, and _explain. */
#include "search/fetch/explain.h"
#include "action/api/forward_int.h"
#include "action/search/part_int.h"
#include "base/str.h"
#include "search/runtime/runtime.h"

static void write_explanation(const qd_explanation *e, qd_json_writer *w)
{
    qd_json_object(w);
    qd_json_key_c(w, "value");
    if (e->integer) {
        qd_json_uint(w, e->count);
    } else {
        qd_json_float(w, e->value);
    }
    qd_json_field_str(w, "description", e->description);
    qd_json_key_c(w, "details");
    qd_json_array(w);
    for (uint32_t i = 0; i < e->n; i++) write_explanation(e->details[i], w);
    qd_json_array_end(w);
    qd_json_object_end(w);
}

/* The combined score, over what the lists together say of the document. */
static int explain_rank(search_hits *h, uint32_t i, qd_explanation **e, qd_err *err)
{
    qd_explanation *all = qd_arena_calloc(h->arena, sizeof *all);
    qd_explanation **details = qd_arena_alloc(h->arena, sizeof(qd_explanation *));
    if (!all || !details) return qd_err_nomem(err, "explanation");
    details[0] = *e;
    *all = (qd_explanation){
        .match = true,
        .value = h->hits[i].score,
        .description = qd_arena_printf(h->arena, "%s score: of the lists that the document is in",
                                       h->x->r->rank->root->name),
        .details = details,
        .n = (*e)->match};
    *e = all;
    return 0;
}

int qdi_explain_write(search_hits *h, uint32_t i, qd_json_writer *w, qd_err *err)
{
    qd_explanation *e;
    qd_plan_options o = qdi_search_plan_options(h->x, h->index, h->budget);
    if (qd_task_cancelled(h->task)) return qd_task_check(h->task, err);
    const qd_node *root = qdi_search_knn_shown(h, h->index->query.root);
    if (!root) return qd_err_nomem(err, "explanation");
    int rc = qd_explain(h->searcher, root, &o, h->hits[i].doc, h->arena, &e, err);
    if (!rc && h->of && h->x->r->rank) rc = explain_rank(h, i, &e, err);
    if (!rc && h->of && h->x->r->nrescores) rc = qdi_rescore_explain(h, i, &e, err);
    if (!rc) write_explanation(e, w);
    return rc;
}

/* --- the API --- */

static int find(search_run *x, search_shard *s, qd_str id, bool *found, uint32_t *doc, qd_err *err)
{
    qd_plan *p;
    qd_top_result top;
    qd_top_options top_options = {.k = 1};
    qd_plan_options o = qdi_search_plan_options(x, s->index, NULL);
    qd_node *n = qd_node_make(&s->arena, QD_NATIVE_IDS);
    if (!n) return qd_err_nomem(err, "explanation");
    n->u.ids = (qd_node_ids){&id, 1};
    int rc = qd_plan_make(s->searcher, n, &o, &s->arena, &p, err);
    if (!rc) rc = qd_plan_top(p, &top_options, &top, err);
    *found = !rc && top.n;
    if (*found) *doc = top.hits[0].doc;
    return rc;
}

static int write_get(search_run *x, search_shard *s, uint32_t doc, qd_json_writer *w, qd_err *err)
{
    doc_source source;
    qd_fetched got;
    qd_fetch_options o = {
        .source = true, .seq_no = true, .routing = true, .mapping = s->index->meta->mapping};
    int rc = qdi_source_param(x->r->q, &source, err);
    if (!rc) rc = qd_fetch(s->searcher, &doc, 1, &o, &s->arena, &got, err);
    if (rc) return rc;
    qd_json_key_c(w, "get");
    qd_json_object(w);
    qd_json_field_int(w, "_seq_no", got.seq_no);
    qd_json_field_int(w, "_primary_term", got.primary_term);
    if (got.routing.n) qd_json_field_str(w, "_routing", got.routing);
    qd_json_field_bool(w, "found", true);
    if (source.want && got.source_stored) {
        qd_json_key_c(w, "_source");
        rc = qdi_source_write(&source, got.source, w, err);
    }
    if (!rc) qd_json_object_end(w);
    return rc;
}

static int explain_in(search_run *x, search_shard *s, qd_response *r, qd_err *err)
{
    const qd_request *q = x->r->q;
    qd_json_writer *w = &r->w;
    qd_explanation *e = NULL;
    bool found = false;
    uint32_t doc = 0;
    int rc = s->index->rc;
    if (rc) {
        qd_err_copy(err, &s->index->err);
        return rc;
    }
    if (!s->shard) return qd_err_set(err, QD_E_NO_SHARD, "the shard is not on this node");
    rc = qd_shard_searcher(s->shard, &s->searcher, err);
    if (!rc) rc = qdi_search_runtime_open(s, err);
    if (!rc) qd_runtime_task(s->searcher, x->task);
    if (!rc) rc = find(x, s, qd_param(q, "id"), &found, &doc, err);
    const qd_node *root = s->index->query.root;
    if (!rc && s->index->nfilters) {
        root = qd_node_filtered(&s->arena, root, s->index->filters, s->index->nfilters);
        if (!root) rc = qd_err_nomem(err, "explanation");
    }
    qd_plan_options o = qdi_search_plan_options(x, s->index, qdi_search_budget(x, s));
    o.task = x->task;
    if (!rc && found) rc = qd_explain(s->searcher, root, &o, doc, &s->arena, &e, err);
    if (!rc) rc = qd_runtime_status(s->searcher, err);
    if (rc) return rc;
    qd_json_object(w);
    qd_json_field_str(w, "_index", s->index->meta->name);
    qdi_type_write(x->a, w);
    qd_json_field_str(w, "_id", qd_param(q, "id"));
    qd_json_field_bool(w, "matched", e && e->match);
    if (e) {
        qd_json_key_c(w, "explanation");
        write_explanation(e, w);
    } else {
        r->status = 404;
    }
    bool wants = qd_param_has(q, "_source") || qd_param_has(q, "_source_includes") ||
                 qd_param_has(q, "_source_excludes") || qd_param_has(q, "stored_fields");
    if (e && wants) rc = write_get(x, s, doc, w, err);
    if (!rc) qd_json_object_end(w);
    return rc;
}

/* Would another copy do better? As searches see it: after troubles on the way, 5xx and 429. */
static bool another_may(const search_run *x, const search_shard *s, int status)
{
    if (x->r->q->forwarded || s->index->rc || qd_task_poll(x->task)) return false;
    return status >= 500 || status == 429;
}

/* The next copy of those known, or one that has come since. */
static bool next_copy(search_run *x, search_shard *s)
{
    qd_arena_reset(&s->arena); /* plans hold the searcher */
    qd_searcher_unref(s->searcher);
    s->searcher = NULL;
    qd_shard_unref(s->shard);
    s->shard = NULL;
    if (!s->copies || s->copies->at + 1 >= s->copies->n) return qdi_copies_again(x, s);
    s->copies->at++;
    return true;
}

static bool is_here(const search_run *x, const search_shard *s)
{
    return x->r->q->forwarded || !s->copies || s->index->rc ||
           qd_str_eq(s->copies->nodes[s->copies->at], x->a->node_id);
}

/* Asks one copy after the other until one explains. */
static int explain(search_run *x, search_shard *s, qd_response *r, qd_err *err)
{
    for (;;) {
        qdi_forwarded f = {0};
        bool here = is_here(x, s);
        int rc;
        if (here && !s->shard)
            s->shard = qd_shards_get(x->a->shards, s->index->meta->uuid, s->number);
        if (here) {
            rc = explain_in(x, s, r, err);
        } else {
            f.node = s->copies->nodes[s->copies->at];
            rc = qdi_forward(x->r->q, x->state, &f, 1, err);
        }
        bool wrote = r->w.out->n != 0;
        int status = rc ? qd_err_status(err) : here ? 200 : f.status ? f.status : 503;
        /* what a node says that has the shard no more came as an answer */
        s->rc = rc ? rc : f.status ? QD_E_NO_SHARD : f.rc;
        if (wrote || !another_may(x, s, status) || !next_copy(x, s)) {
            if (!rc && !here) rc = qdi_forward_answer(&f, r, err);
            qd_err_fini(&f.err);
            return rc;
        }
        qd_err_fini(&f.err);
        qd_err_fini(err);
    }
}

int qdi_api_explain(qd_request *q, qd_response *r, qd_err *err)
{
    search_request s;
    search_run x;
    qd_str routing = qd_param(q, "routing"), id = qd_param(q, "id");
    qdi_search_request_init(&s, q, q->arena);
    int rc = qdi_search_query_body(&s, q->body, false, err);
    if (!rc) rc = qdi_search_param_query(&s, err);
    if (!rc && !s.query) {
        rc = qd_err_set(err, QD_E_VALIDATION, "Validation Failed: 1: query is missing;");
    }
    if (rc) return rc;
    s.size = 1;
    rc = qdi_search_begin(&x, &s, &q->task, qd_param(q, "index"), QD_FORBID_CLOSED,
                          routing.n ? routing : id, err);
    if (!rc && x.nindices != 1) {
        rc = qd_err_set(err, QD_E_ARG, "[%.*s] must name one index",
                        QD_STR_ARG(qd_param(q, "index")));
    }
    if (!rc && !x.nshards) {
        rc = qd_err_set(err, QD_E_NO_SHARD, "no shard for the document's routing");
    }
    if (!rc) rc = explain(&x, &x.shards[0], r, err);
    qdi_search_end(&x);
    return rc;
}
