/*
 * expand.c: the inner hits of collapsed hits: for each hit shown and each inner_hits one search of
 * the hit's group, by the query of the whole and the group's value. They are searches as those of
 * _msearch are: with what the whole's request says of indices, copies and failures, some at one
 * time, each with memory of its own. An error of one is an error of the whole.
 */
#include "action/search/search_int.h"
#include "base/str.h"
#include "runtime/sync.h"

#define INNER_SIZE_STANDARD 3
#define TEXT_MAX ((size_t)1 << 30)
#define GROUPS_MAX                                                                                 \
    640000u /* searches: a standard window of hits, with all the inner_hits there may be */

typedef struct expanding {
    search_run *x;
    qd_str query, post; /* of the whole, as JSON; n 0: none */
    const search_collapse *collapse;
    qd_str *hits;  /* by hit and inner_hits: the object that was found */
    qd_mutex lock; /* of x's arena and what follows */
    uint32_t failed_at;
    int rc;
    qd_err *err;
} expanding;

/* --- what is asked --- */

static int read_query(expanding *e, qd_err *err)
{
    const search_request *r = e->x->r;
    qd_json_node *root = NULL;
    qd_json_writer w;
    qd_buf b;
    int rc = qd_str_trim(r->body).n ? qd_json_parse(e->x->arena, r->body, 0, &root, err) : 0;
    if (rc) return rc;
    const qd_json_node *query = root ? qd_json_get(root, "query") : NULL;
    const qd_json_node *post = root ? qd_json_get(root, "post_filter") : NULL;
    if (query) e->query = query->raw;
    if (r->query_json.n) e->query = r->query_json;
    if (post) e->post = post->raw;
    qd_buf_init(&b, e->x->a->account, TEXT_MAX);
    qd_json_writer_init(&w, &b, false);
    if (qdi_search_param_query_write(r->q, &w)) /* a parameter q stands over the body */
        e->query =
            qd_buf_status(&b) ? (qd_str){NULL, 0} : qd_arena_str(e->x->arena, qd_buf_view(&b));
    qd_buf_fini(&b);
    return e->query.n || !(query || qd_param_has(r->q, "q")) ? 0 : qd_err_nomem(err, "inner hits");
}

/* The documents of a group: those with its value, or without any. */
static void write_group(const expanding *e, const search_ref *ref, qd_json_writer *w)
{
    const qd_sort_value *v = ref->shard->hits[ref->at].group;
    qd_json_key_c(w, v->missing ? "must_not" : "filter");
    qd_json_object(w);
    qd_json_key_c(w, v->missing ? "exists" : "term");
    qd_json_object(w);
    qd_json_key(w, v->missing ? QD_STR("field") : e->collapse->field);
    if (v->missing)
        qd_json_str(w, e->collapse->field);
    else
        qdi_search_value_write(&ref->shard->index->grouped, v, w);
    qd_json_object_end(w);
    qd_json_object_end(w);
}

/* The body of one search: its members are those of inner_hits but for their names. */
static void write_body(const expanding *e, uint32_t hit, const search_collapse_inner *in,
                       qd_json_writer *w)
{
    const search_request *r = e->x->r;
    bool sized = false;
    qd_json_object(w);
    if (r->pit.n) {
        qd_json_key_c(w, "pit");
        qd_json_object(w);
        qd_json_field_str(w, "id", r->pit);
        qd_json_object_end(w);
    }
    qd_json_key_c(w, "query");
    qd_json_object(w);
    qd_json_key_c(w, "bool");
    qd_json_object(w);
    if (e->query.n) {
        qd_json_key_c(w, "must");
        qd_json_raw_value(w, e->query);
    }
    write_group(e, &e->x->refs[hit], w);
    qd_json_object_end(w);
    qd_json_object_end(w);
    if (e->post.n) {
        qd_json_key_c(w, "post_filter");
        qd_json_raw_value(w, e->post);
    }
    for (const qd_json_node *m = in->node->first; m; m = m->next) {
        if (qd_str_is(m->key, "name") || qd_str_is(m->key, "ignore_unmapped")) continue;
        sized |= qd_str_is(m->key, "size");
        qd_json_key(w, m->key);
        qd_json_raw_value(w, m->raw);
    }
    if (!sized) qd_json_field_int(w, "size", INNER_SIZE_STANDARD);
    qd_json_object_end(w);
}

/* --- one search --- */

/* Reads what is asked as a request of its own: of the whole's parameters those stay that are about
 * where to search, and how totals are shown. */
static int read_one(const expanding *e, qd_request *q, search_request *r, qd_err *err)
{
    static const qd_pair as_int = {QD_STR("rest_total_hits_as_int"), QD_STR("true")};
    const search_request *whole = e->x->r;
    q->params = &as_int;
    q->nparams = whole->total_as_int;
    qdi_search_request_init(r, q, q->arena);
    r->lookups = whole->lookups;
    int rc = qdi_search_body(r, q->body, err);
    if (!rc) rc = qdi_search_params(r, err);
    r->preference = whole->preference;
    r->dfs = whole->dfs;
    r->allow_partial = whole->allow_partial;
    r->at_once = whole->at_once;
    r->pre_filter = whole->pre_filter;
    r->batched_reduce_size = whole->batched_reduce_size;
    return rc ? rc : qdi_search_validate(r, err);
}

/* Runs it; *out is its object of hits, in q's arena. */
static int run_one(const expanding *e, qd_request *q, qd_buf *answer, qd_str *out, qd_err *err)
{
    search_run *whole = e->x, x = {0};
    search_request r;
    qd_json_writer w;
    qd_json_node *root;
    qd_task task;
    qd_json_writer_init(&w, answer, false);
    int rc = read_one(e, q, &r, err);
    if (rc) return rc;
    qd_task_begin(whole->a->tasks, &task, "indices:data/read/search", whole->expression, true);
    qd_task_parent_set(&task, whole->task);
    rc = r.pit.n ? qdi_search_pit_begin(&x, &r, &task, err)
                 : qdi_search_begin(&x, &r, &task, whole->expression, whole->options,
                                    whole->routing, err);
    if (!rc) rc = qdi_search_query_phase(&x, err);
    if (!rc) qd_json_object(&w);
    if (!rc) rc = qdi_search_write(&x, (qd_str){NULL, 0}, &w, err);
    if (!rc) qd_json_object_end(&w);
    qdi_search_end(&x);
    qd_task_end(&task);
    if (!rc && qd_buf_status(answer)) rc = qd_err_nomem(err, "inner hits");
    if (!rc) rc = qd_json_parse(q->arena, qd_buf_view(answer), 0, &root, err);
    if (!rc) *out = qd_json_get(root, "hits")->raw;
    if (!rc) qdi_search_note_stale(whole->r->q, q->stale_ms);
    return rc < 0 ? rc : 0;
}

/* What one has found, or its error if it is the first in order. */
static void keep(expanding *e, uint32_t i, int rc, qd_str hits, const qd_err *err)
{
    qd_mutex_lock(&e->lock);
    if (!rc) e->hits[i] = qd_arena_str(e->x->arena, hits);
    bool full = !rc && !e->hits[i].p;
    if ((rc || full) && i < e->failed_at) {
        e->failed_at = i;
        e->rc = rc ? rc : QD_E_NOMEM;
        qd_err_fini(e->err);
        if (rc)
            qd_err_copy(e->err, err);
        else
            (void)qd_err_nomem(e->err, "inner hits");
    }
    qd_mutex_unlock(&e->lock);
}

static bool stopped(expanding *e)
{
    qd_mutex_lock(&e->lock);
    bool yes = e->rc != 0 || qd_task_cancelled(e->x->task);
    qd_mutex_unlock(&e->lock);
    return yes;
}

static void expand_one(void *arg, uint32_t i)
{
    expanding *e = arg;
    uint32_t hit = i / e->collapse->ninner;
    const search_collapse_inner *in = &e->collapse->inner[i % e->collapse->ninner];
    const qd_request *whole = e->x->r->q;
    qd_request q = {
        .a = whole->a, .api = whole->api, .origin = whole->origin, .forwarded = whole->forwarded};
    qd_str hits = {NULL, 0};
    qd_json_writer w;
    qd_buf body, answer;
    qd_arena arena;
    qd_err err;
    if (stopped(e)) return;
    qd_err_init(&err);
    qd_arena_init(&arena, whole->a->account, 0);
    qd_buf_init(&body, whole->a->account, TEXT_MAX);
    qd_buf_init(&answer, whole->a->account, TEXT_MAX);
    qd_json_writer_init(&w, &body, false);
    write_body(e, hit, in, &w);
    q.arena = &arena;
    q.body = qd_buf_view(&body);
    int rc = qd_buf_status(&body) ? qd_err_nomem(&err, "inner hits")
                                  : run_one(e, &q, &answer, &hits, &err);
    keep(e, i, rc, hits, &err);
    qd_buf_fini(&answer);
    qd_buf_fini(&body);
    qd_arena_fini(&arena);
    qd_err_fini(&err);
}

/* --- all of them --- */

static int failed(const expanding *e, qd_err *err)
{
    int rc = e->rc, status = qd_err_status(e->err);
    qd_err_copy(err, e->err);
    if (rc == QD_E_CANCELLED) return rc;
    rc = qd_err_wrap(err, QD_E_SEARCH_PHASE, "failed to expand hits");
    qd_err_type(err, "search_phase_execution_exception", status);
    qd_err_detail_str(err, "phase", QD_STR("expand"));
    qd_err_detail_raw(err, "grouped", QD_STR("true"));
    qd_err_detail_raw(err, "failed_shards", QD_STR("[]"));
    return rc;
}

/* The members of each hit's inner_hits. */
static int join(const expanding *e, qd_str *out, qd_err *err)
{
    uint32_t n = e->collapse->ninner;
    int rc = 0;
    for (uint32_t i = 0; i < e->x->nrefs && !rc; i++) {
        qd_json_writer w;
        qd_buf b;
        qd_buf_init(&b, e->x->a->account, TEXT_MAX);
        qd_json_writer_init(&w, &b, false);
        qd_json_object(&w);
        for (uint32_t k = 0; k < n; k++) {
            qd_json_key(&w, e->collapse->inner[k].name);
            qd_json_object(&w);
            qd_json_key_c(&w, "hits");
            qd_json_raw_value(&w, e->hits[(size_t)i * n + k]);
            qd_json_object_end(&w);
        }
        qd_json_object_end(&w);
        qd_str all = qd_buf_view(&b);
        out[i] = qd_buf_status(&b) ? (qd_str){NULL, 0}
                                   : qd_arena_str(e->x->arena, qd_str_sub(all, 1, all.n - 2));
        if (!out[i].p) rc = qd_err_nomem(err, "inner hits");
        qd_buf_fini(&b);
    }
    return rc;
}

int qdi_expand(search_run *x, const qd_str **out, qd_err *err)
{
    const search_collapse *c = x->r->collapse;
    if (!c || !c->ninner || !x->nrefs) return 0;
    qd_err first;
    expanding e = {.x = x, .collapse = c, .failed_at = UINT32_MAX, .err = &first};
    if (x->nrefs > GROUPS_MAX / c->ninner)
        return qd_err_set(
            err, QD_E_ARG,
            "[%u] hits with [%u] inner_hits each are more than the [%u] searches that "
            "a [collapse] may ask for",
            x->nrefs, c->ninner, GROUPS_MAX);
    uint32_t n = x->nrefs * c->ninner;
    qd_str *members = qd_arena_calloc(x->arena, x->nrefs * sizeof *members);
    e.hits = qd_arena_calloc(x->arena, n * sizeof *e.hits);
    if (!members || !e.hits) return qd_err_nomem(err, "inner hits");
    int rc = read_query(&e, err);
    if (rc) return rc;
    qd_err_init(&first);
    qd_mutex_init(&e.lock);
    qdi_search_fan_requests(x->a, n, c->at_once ? c->at_once : qdi_search_at_once(x->a), expand_one,
                            &e);
    qd_mutex_fini(&e.lock);
    if (qd_task_cancelled(x->task))
        rc = qd_task_check(x->task, err);
    else
        rc = e.rc ? failed(&e, err) : join(&e, members, err);
    qd_err_fini(&first);
    *out = members;
    return rc;
}

int qdi_expand_write(const search_run *x, const search_index *ix, qd_str json, qd_str members,
                     qd_json_writer *w, qd_err *err)
{
    bool open = false; /* the query's own inner hits are the last member of a hit */
    qd_buf b;
    for (uint32_t i = 0; i < ix->ninner; i++) open |= ix->inner[i].query.in == QD_INNER_TOP;
    qd_buf_init(&b, x->a->account, TEXT_MAX);
    (void)qd_buf_str(&b, qd_str_sub(json, 0, json.n - (open ? 2 : 1)));
    (void)qd_buf_str(&b, open ? QD_STR(",") : QD_STR(",\"inner_hits\":{"));
    (void)qd_buf_str(&b, members);
    (void)qd_buf_str(&b, QD_STR("}}"));
    int rc = qd_buf_status(&b) ? qd_err_nomem(err, "inner hits") : 0;
    if (!rc) qd_json_raw_value(w, qd_buf_view(&b));
    qd_buf_fini(&b);
    return rc;
}
