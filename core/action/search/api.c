/* api.c: _search and _count. */
#include "action/search/cache_int.h"
#include "action/search/search_int.h"
#include "base/str.h"

#define ANSWER_MAX ((size_t)1 << 30)

/* A task for the search alone, so that its time limit is not the request's. */
void qdi_search_task_begin(const search_request *r, qd_task *t)
{
    qd_task_begin(r->q->a->tasks, t, "indices:data/read/search", qd_param(r->q, "index"), true);
    qd_task_parent_set(t, &r->q->task);
    if (r->timeout_ms) qd_task_deadline_in(t, (uint64_t)r->timeout_ms * 1000000u);
}

static int execute(search_request *r, qd_str expression, uint32_t options, qd_str routing,
                   qd_json_writer *w, qd_err *err)
{
    search_run x = {0};
    qd_task task;
    qdi_search_task_begin(r, &task);
    int rc = r->pit.n ? qdi_search_pit_begin(&x, r, &task, err)
                      : qdi_search_begin(&x, r, &task, expression, options, routing, err);
    search_cached cached = {0};
    bool too_long = !rc && r->q->brief && !qdi_search_is_brief(&x);
    if (too_long) rc = QD_API_LONG;
    if (!rc) rc = qdi_search_cached_begin(&cached, &x, expression, options, routing, w, err);
    if (!rc) {
        rc = qdi_search_query_phase(&x, err);
        if (!rc && r->pit.n) qd_json_field_str(w, "pit_id", r->pit);
        if (!rc) rc = qdi_search_write(&x, (qd_str){NULL, 0}, w, err);
        if (!rc) qdi_search_cached_keep(&cached, &x, w);
    }
    qdi_search_cached_end(&cached);
    qdi_search_end(&x);
    qd_task_end(&task);
    return too_long ? QD_API_LONG : rc < 0 ? rc : 0;
}

int qdi_search_execute(search_request *r, qd_str expression, uint32_t options, qd_str routing,
                       qd_json_writer *w, qd_err *err)
{
    qd_json_writer own;
    qd_buf b;
    if (!r->pipeline || !r->pipeline->nresponse)
        return execute(r, expression, options, routing, w, err);
    qd_buf_init(&b, r->q->a->account, ANSWER_MAX);
    qd_json_writer_init(&own, &b, false);
    qd_json_object(&own);
    int rc = execute(r, expression, options, routing, &own, err);
    qd_json_object_end(&own);
    if (!rc && qd_buf_status(&b)) rc = qd_err_nomem(err, "answer of a search");
    if (!rc) rc = qdi_search_pipeline_response(r->pipeline, r->arena, qd_buf_view(&b), w, err);
    qd_buf_fini(&b);
    return rc;
}

int qdi_search_answer(search_request *s, uint32_t options, qd_response *r, qd_err *err)
{
    const qd_request *q = s->q;
    qd_str index = qd_param(q, "index"), routing = qd_param(q, "routing");
    qd_json_object(&r->w);
    int rc = s->scroll_ms ? qdi_scroll_open(s, index, options, routing, &r->w, err)
                          : qdi_search_execute(s, index, options, routing, &r->w, err);
    if (!rc) qd_json_object_end(&r->w);
    return rc;
}

int qdi_api_search(qd_request *q, qd_response *r, qd_err *err)
{
    search_request s;
    uint32_t options;
    qdi_search_request_init(&s, q, q->arena);
    int rc = qd_param_indices_options(q, QD_INDICES_SEARCH, &options, err);
    s.coordinates = true;
    s.expression = qd_param(q, "index");
    s.options = options;
    if (!rc) rc = qdi_search_body(&s, q->body, err);
    if (!rc) rc = qdi_search_params(&s, err);
    if (!rc) rc = qdi_search_validate(&s, err);
    if (s.too_long || (!rc && q->brief && s.scroll_ms)) {
        qd_err_fini(err);
        return QD_API_LONG;
    }
    return rc ? rc : qdi_search_answer(&s, options, r, err);
}

int qdi_api_count(qd_request *q, qd_response *r, qd_err *err)
{
    search_request s;
    search_run x;
    qd_task task;
    uint32_t options;
    int64_t stop;
    qd_str min_score = qd_param(q, "min_score");
    qdi_search_request_init(&s, q, q->arena);
    int rc = qd_param_indices_options(q, QD_INDICES_SEARCH, &options, err);
    if (!rc) rc = qdi_search_query_body(&s, q->body, false, err);
    if (!rc) rc = qdi_search_param_query(&s, err);
    if (!rc) rc = qd_param_i64(q, "terminate_after", 0, &stop, err);
    if (!rc && stop < 0) rc = qd_err_set(err, QD_E_ARG, "terminateAfter must be > 0");
    if (!rc && min_score.n) {
        s.has_min_score = true;
        if (qd_f32_parse(min_score, &s.min_score)) {
            rc = qd_err_set(err, QD_E_ARG,
                            "Failed to parse float parameter [min_score] with value "
                            "[%.*s]",
                            QD_STR_ARG(min_score));
        }
    }
    if (rc) return rc;
    s.size = 0;
    s.total = QD_TOTAL_EXACT;
    s.terminate_after = stop;
    qdi_search_task_begin(&s, &task);
    rc =
        qdi_search_begin(&x, &s, &task, qd_param(q, "index"), options, qd_param(q, "routing"), err);
    if (!rc) rc = qdi_search_query_phase(&x, err);
    if (!rc) {
        qd_json_object(&r->w);
        qd_json_field_int(&r->w, "count", (int64_t)x.total);
        if (stop) qd_json_field_bool(&r->w, "terminated_early", x.terminated_early);
        qdi_search_shards_write(&x, &r->w);
        qd_json_object_end(&r->w);
    }
    qdi_search_end(&x);
    qd_task_end(&task);
    return rc;
}

/* --- hits inside aggregations --- */

/* What top_hits of one index shows. */
typedef struct top_hits {
    search_show show;
    search_keys keys;
    bool scores;
} top_hits;

static int hits_bind(void *arg, const qd_json_node *body, const qd_query_context *q,
                     qd_arena *arena, qd_aggs_hits_sort *out, qd_err *err)
{
    search_run *x = arg;
    search_request r = *x->r;
    search_sort sort = {0};
    top_hits *t = qd_arena_calloc(arena, sizeof *t);
    int rc = t ? 0 : qd_err_nomem(err, "top_hits");
    r.track_scores = false;
    if (!rc) t->show.source.want = true;
    for (const qd_json_node *m = rc ? NULL : body->first; m && !rc; m = m->next) {
        rc = qdi_inner_member(&r, m, &t->show, &sort, err);
    }
    if (!rc) rc = qdi_search_sort_bind(&sort, q, arena, &t->keys, err);
    if (rc) return rc;
    *out = (qd_aggs_hits_sort){
        .keys = t->keys.keys,
        .nkeys = t->keys.n,
        .scores = t->scores = !t->keys.n || r.track_scores,
        .prepared = t,
    };
    return 0;
}

qd_aggs_host qdi_search_aggs_host(search_run *x)
{
    return (qd_aggs_host){.arg = x, .hits_bind = hits_bind};
}

int qdi_search_aggs_keys(void *arg, void *prepared, qd_searcher *searcher, qd_arena *arena,
                         qd_sort_key *out, qd_err *err)
{
    search_shard *s = arg;
    const top_hits *t = prepared;
    qd_plan_options o = qdi_search_plan_options(s->run, s->index, qdi_search_budget(s->run, s));
    o.task = s->run->task;
    o.no_scores = true;
    return qdi_sort_nested_keys(&t->keys, searcher, &o, arena, out, err);
}

int qdi_search_aggs_fetch(void *arg, void *prepared, const qd_nested_level *level,
                          const qd_sort_hit *hits, uint32_t n, qd_arena *arena, qd_str *json,
                          qd_err *err)
{
    search_shard *s = arg;
    top_hits *t = prepared;
    search_hit *copy = qd_arena_alloc(arena, (n + 1) * sizeof *copy);
    search_index *ix = qd_arena_alloc(arena, sizeof *ix);
    if (!copy || !ix) return qd_err_nomem(err, "top_hits");
    *ix = *s->index;
    ix->ninner = 0;
    if (level) ix->query.nnamed = 0;
    for (uint32_t i = 0; i < n; i++) {
        copy[i] =
            (search_hit){.doc = hits[i].doc, .score = hits[i].score, .values = hits[i].values};
    }
    search_hits h = {
        .x = s->run,
        .index = ix,
        .shard = s->number,
        .searcher = level ? level->views[level->n - 1]->searcher : s->searcher,
        .level = level,
        .top = s->searcher,
        .show = &t->show,
        .keys = t->keys.n ? &t->keys : NULL,
        .hits = copy,
        .n = n,
        .scores = t->scores,
        .arena = arena,
        .task = s->run->task,
        .budget = qdi_search_budget(s->run, s),
    };
    int rc = qdi_hits_fetch(&h, err);
    for (uint32_t i = 0; i < n && !rc; i++) {
        qd_json_writer w;
        qd_buf b;
        qd_buf_init(&b, arena->account, (size_t)1 << 30);
        qd_json_writer_init(&w, &b, false);
        rc = qdi_hit_write(&h, i, &w, err);
        if (!rc && qd_buf_status(&b)) rc = qd_err_nomem(err, "top_hits");
        json[i] = rc ? (qd_str){NULL, 0} : qd_arena_str(arena, qd_buf_view(&b));
        if (!rc && !json[i].p) rc = qd_err_nomem(err, "top_hits");
        qd_buf_fini(&b);
    }
    return rc;
}
