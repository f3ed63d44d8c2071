/*
 * search_scroll.c: scrolls: searches that go on where they ended, over the searchers they began
 * with. A context keeps its request, the searchers and the last hit given of each shard; pages
 * follow by search_after, so nothing of the result waits in memory for a slow consumer.
 *
 * One lock guards the table; a context in use is marked busy and is not freed under its user.
 */
#include "action/search_int.h"
#include "base/str.h"
#include "config/value.h"
#include "runtime/sync.h"
#include "json/tree.h"
#include <math.h>

#define ID_BYTES 16
#define ID_TEXT 22
#define ARENA_MAX ((size_t)256 << 20)
#define TICK_NS 1000000000u

typedef struct scroll {
    struct scroll *next;
    char id[ID_TEXT + 1];
    qd_arena arena; /* request, bound indices, state of the shards */
    qd_request q;   /* a copy: parameters, actions */
    search_request r;
    search_run x;
    search_hit *last; /* by shard: the last hit given */
    bool *has_last;
    uint64_t total;
    bool total_lower_bound;
    float max_score;
    int64_t keep_ms;
    uint64_t expires_ns;
    bool busy, drop;
} scroll;

struct qd_scrolls {
    qd_actions *a;
    qd_mutex lock;
    qd_cond changed;
    scroll *first;
    uint32_t n;
    bool stop;
    qd_thread *ticker;
};

/* --- the table --- */

static void free_scroll(scroll *s)
{
    qdi_search_end(&s->x);
    qd_arena_fini(&s->arena);
    qd_free(s);
}

/* Takes those that match out of the table; the caller frees the list. */
static scroll *take_out(qd_scrolls *t,
                        bool (*which)(const qd_scrolls *t, const scroll *s, void *arg), void *arg,
                        uint32_t *n)
{
    scroll *out = NULL;
    for (scroll **p = &t->first; *p;) {
        scroll *s = *p;
        if (!which(t, s, arg)) {
            p = &s->next;
            continue;
        }
        if (n) ++*n;
        if (s->busy) { /* its user frees it */
            s->drop = true;
            p = &s->next;
            continue;
        }
        *p = s->next;
        s->next = out;
        out = s;
        t->n--;
    }
    return out;
}

static void free_list(scroll *s)
{
    while (s) {
        scroll *next = s->next;
        free_scroll(s);
        s = next;
    }
}

/* Has it expired, or has one of its indices gone? */
static bool is_over(const qd_scrolls *t, const scroll *s, void *arg)
{
    const qd_state *now = arg;
    if (s->busy || s->drop) return false;
    if (qd_env_mono_ns(t->a->env) >= s->expires_ns) return true;
    for (uint32_t i = 0; i < s->x.nindices; i++) {
        const qd_index_meta *m = s->x.indices[i].meta;
        const qd_index_meta *there = qd_state_index(now, m->name);
        if (!there || there->closed || strcmp(there->uuid, m->uuid) != 0) return true;
    }
    return false;
}

static void tick(void *arg)
{
    qd_scrolls *t = arg;
    qd_mutex_lock(&t->lock);
    while (!t->stop) {
        if (!t->n) {
            qd_cond_wait(&t->changed, &t->lock);
            continue;
        }
        (void)qd_cond_wait_until(&t->changed, &t->lock, qd_env_mono_ns(t->a->env) + TICK_NS);
        if (t->stop) break;
        qd_mutex_unlock(&t->lock);
        qd_state *now = qd_cluster_state(t->a->cluster);
        qd_mutex_lock(&t->lock);
        scroll *over = take_out(t, is_over, now, NULL);
        qd_mutex_unlock(&t->lock);
        free_list(over);
        qd_state_unref(now);
        qd_mutex_lock(&t->lock);
    }
    qd_mutex_unlock(&t->lock);
}

int qd_scrolls_open(qd_actions *a, qd_err *err)
{
    qd_scrolls *t = qd_calloc(NULL, sizeof *t);
    if (!t) return qd_err_nomem(err, "scrolls");
    t->a = a;
    qd_mutex_init(&t->lock);
    qd_cond_init(&t->changed);
    int rc = qd_thread_start(a->env, "scrolls", tick, t, &t->ticker, err);
    if (rc) {
        qd_cond_fini(&t->changed);
        qd_mutex_fini(&t->lock);
        qd_free(t);
        return rc;
    }
    a->scrolls = t;
    return 0;
}

static bool is_any(const qd_scrolls *t, const scroll *s, void *arg)
{
    (void)t;
    (void)arg;
    return !s->drop;
}

void qd_scrolls_close(qd_actions *a)
{
    qd_scrolls *t = a->scrolls;
    if (!t) return;
    qd_mutex_lock(&t->lock);
    t->stop = true;
    qd_cond_broadcast(&t->changed);
    qd_mutex_unlock(&t->lock);
    qd_thread_join(a->env, t->ticker);
    free_list(take_out(t, is_any, NULL, NULL));
    qd_cond_fini(&t->changed);
    qd_mutex_fini(&t->lock);
    qd_free(t);
    a->scrolls = NULL;
}

uint32_t qd_scrolls_count(const qd_actions *a)
{
    qd_scrolls *t = a->scrolls;
    if (!t) return 0;
    qd_mutex_lock(&t->lock);
    uint32_t n = t->n;
    qd_mutex_unlock(&t->lock);
    return n;
}

static int missing(qd_str id, qd_err *err)
{
    int rc = qd_err_set(err, QD_E_SEARCH_PHASE, "all shards failed");
    qd_buf b;
    qd_json_writer w;
    qd_err_type(err, "search_phase_execution_exception", 404);
    qd_buf_init(&b, NULL, 65536);
    for (int k = 0; k < 3; k++) { /* root_cause, failed_shards, caused_by */
        qd_json_writer_init(&w, &b, false);
        if (k < 2) qd_json_array(&w);
        qd_json_object(&w);
        if (k == 1) {
            qd_json_field_int(&w, "shard", -1);
            qd_json_key_c(&w, "index");
            qd_json_null(&w);
            qd_json_key_c(&w, "reason");
            qd_json_object(&w);
        }
        qd_json_field_c(&w, "type", "search_context_missing_exception");
        qd_json_key_c(&w, "reason");
        qd_json_printf(&w, "No search context found for id [%.*s]", QD_STR_ARG(id));
        if (k == 1) qd_json_object_end(&w);
        qd_json_object_end(&w);
        if (k < 2) qd_json_array_end(&w);
        if (k == 1) {
            qd_err_detail_str(err, "phase", QD_STR("query"));
            qd_err_detail_raw(err, "grouped", QD_STR("true"));
        }
        qd_err_detail_raw(err,
                          k == 0   ? QD_ERR_ROOT_CAUSE
                          : k == 1 ? "failed_shards"
                                   : "caused_by",
                          qd_buf_view(&b));
        qd_buf_reset(&b);
    }
    qd_buf_fini(&b);
    return rc;
}

/* Marks the context busy; the caller gives it back. */
static int take(qd_scrolls *t, qd_str id, scroll **out, qd_err *err)
{
    scroll *s = NULL;
    int rc = 0;
    qd_mutex_lock(&t->lock);
    for (s = t->first; s && !(qd_str_is(id, s->id) && !s->drop);) s = s->next;
    while (s && s->busy) {
        qd_cond_wait(&t->changed, &t->lock); /* another page of the same scroll */
        for (s = t->first; s && !(qd_str_is(id, s->id) && !s->drop);) s = s->next;
    }
    if (s) {
        s->busy = true;
    } else {
        rc = QD_E_SEARCH_CONTEXT_MISSING;
    }
    qd_mutex_unlock(&t->lock);
    *out = s;
    return rc ? missing(id, err) : 0;
}

static void give_back(qd_scrolls *t, scroll *s, bool drop)
{
    qd_mutex_lock(&t->lock);
    s->busy = false;
    s->expires_ns = qd_env_mono_ns(t->a->env) + (uint64_t)s->keep_ms * 1000000u;
    drop |= s->drop; /* somebody else's wish, told under the lock */
    for (scroll **p = &t->first; drop && *p;) {
        if (*p != s) {
            p = &(*p)->next;
            continue;
        }
        *p = s->next;
        t->n--;
    }
    qd_cond_broadcast(&t->changed);
    qd_mutex_unlock(&t->lock);
    if (drop) free_scroll(s);
}

/* --- pages --- */

/* Keeps the last hit given of each shard, with its values. */
static int remember(scroll *s, qd_err *err)
{
    search_run *x = &s->x;
    for (uint32_t i = 0; i < x->nrefs; i++) {
        const search_ref *ref = &x->refs[i];
        const search_hit *h = &ref->shard->hits[ref->at];
        uint32_t at = (uint32_t)(ref->shard - x->shards);
        search_hit *to = &s->last[at];
        bool later = true; /* of one shard only the last counts */
        for (uint32_t k = i + 1; k < x->nrefs && later; k++) later = x->refs[k].shard != ref->shard;
        if (!later) continue;
        qd_sort_value *values = to->values;
        *to = *h;
        to->values = values;
        for (uint32_t k = 0; k < x->r->sort.n; k++) {
            to->values[k] = h->values[k];
            if (!h->values[k].bytes.n) continue;
            to->values[k].bytes = qd_arena_str(&s->arena, h->values[k].bytes);
            if (!to->values[k].bytes.p) return qd_err_nomem(err, "scroll");
        }
        s->has_last[at] = true;
    }
    return 0;
}

/* Empties what the page before left in the shards; they keep searchers. */
static void next_page(scroll *s)
{
    search_run *x = &s->x;
    for (uint32_t i = 0; i < x->nshards; i++) {
        search_shard *h = &x->shards[i];
        qd_err_fini(&h->err);
        qd_arena_reset(&h->arena);
        h->resume = s->has_last[i] ? &s->last[i] : NULL;
        h->drained = x->nrefs == 0 && s->total != UINT64_MAX;
        h->rc = 0;
        h->hits = NULL;
        h->nhits = 0;
        h->total = 0;
        h->total_lower_bound = h->timed_out = h->terminated_early = false;
    }
    if (x->reducer) qd_aggs_reducer_free(x->reducer);
    x->reducer = NULL;
    x->aggs = NULL;
    x->later = true;
    x->refs = NULL;
    x->nrefs = 0;
    x->total = 0;
    x->total_lower_bound = x->timed_out = x->terminated_early = false;
    x->max_score = NAN;
}

/* Runs one page and writes it. The page's merge lives in an arena of its own. */
static int page(scroll *s, bool first, qd_task *task, qd_json_writer *w, qd_err *err)
{
    search_run *x = &s->x;
    qd_arena arena;
    qd_arena_init(&arena, x->a->account, ARENA_MAX);
    x->arena = &arena;
    x->task = task;
    x->start_ns = qd_env_mono_ns(x->a->env);
    int rc = qdi_search_query_phase(x, err);
    if (!rc && first) {
        s->total = x->total;
        s->total_lower_bound = x->total_lower_bound;
        s->max_score = x->max_score;
    } else if (!rc) {
        x->total = s->total;
        x->total_lower_bound = s->total_lower_bound;
        x->max_score = x->nrefs || !isnan(s->max_score) ? s->max_score : NAN;
    }
    if (!rc) rc = remember(s, err);
    if (!rc) rc = qdi_search_write(x, qd_str_c(s->id), w, err);
    x->arena = &s->arena;
    bool drained = !rc && x->nrefs == 0;
    next_page(s);
    for (uint32_t i = 0; drained && i < x->nshards; i++) x->shards[i].drained = true;
    qd_arena_fini(&arena);
    return rc;
}

static int add(qd_scrolls *t, scroll *s, qd_err *err)
{
    uint8_t id[ID_BYTES];
    uint32_t most = (uint32_t)qd_config_i64(t->a->config, QD_SET_SEARCH_MAX_SCROLLS);
    int rc = 0;
    qd_env_random(t->a->env, id, sizeof id);
    qd_uuid_text(id, s->id);
    qd_mutex_lock(&t->lock);
    if (t->n >= most) {
        rc = qd_err_set(err, QD_E_REJECTED,
                        "Trying to create too many scroll contexts. Must be less than or equal to: "
                        "[%u]. This limit can be set by changing the "
                        "[search.max_open_scroll_context] setting.",
                        most);
    } else {
        s->busy = true;
        s->next = t->first;
        t->first = s;
        t->n++;
        qd_cond_broadcast(&t->changed);
    }
    qd_mutex_unlock(&t->lock);
    return rc;
}

/* Copies parameters and body: the request ends before the scroll does. */
static int copy_request(scroll *s, const search_request *r, qd_err *err)
{
    qd_request *q = &s->q;
    /* all but the task: it stands in a list of tasks, and ends with the request */
    *q = (qd_request){.a = r->q->a,
                      .api = r->q->api,
                      .params = r->q->params,
                      .nparams = r->q->nparams,
                      .body_format = r->q->body_format,
                      .accept = r->q->accept,
                      .pretty = r->q->pretty,
                      .human = r->q->human,
                      .error_trace = r->q->error_trace};
    qd_pair *pairs = qd_arena_alloc(&s->arena, (q->nparams + 1) * sizeof *pairs);
    q->arena = &s->arena;
    q->body = qd_arena_str(&s->arena, r->q->body);
    if (!pairs || (r->q->body.n && !q->body.p)) return qd_err_nomem(err, "scroll");
    for (uint32_t i = 0; i < q->nparams; i++) {
        pairs[i].key = qd_arena_str(&s->arena, r->q->params[i].key);
        pairs[i].value = qd_arena_str(&s->arena, r->q->params[i].value);
    }
    q->params = pairs;
    qdi_search_request_init(&s->r, q, &s->arena);
    int rc = qdi_search_body(&s->r, q->body, err);
    return rc ? rc : qdi_search_params(&s->r, err);
}

static int prepare(scroll *s, qd_err *err)
{
    search_run *x = &s->x;
    size_t n = x->nshards + 1;
    s->last = qd_arena_calloc(&s->arena, n * sizeof *s->last);
    s->has_last = qd_arena_calloc(&s->arena, n * sizeof *s->has_last);
    qd_sort_value *values = qd_arena_calloc(&s->arena, n * (x->r->sort.n + 1) * sizeof *values);
    if (!s->last || !s->has_last || !values) return qd_err_nomem(err, "scroll");
    for (size_t i = 0; i < n; i++) s->last[i].values = values + i * (x->r->sort.n + 1);
    return 0;
}

int qdi_scroll_open(search_request *r, qd_str expression, uint32_t options, qd_str routing,
                    qd_json_writer *w, qd_err *err)
{
    qd_scrolls *t = r->q->a->scrolls;
    qd_task task;
    scroll *s = t ? qd_calloc(r->q->a->account, sizeof *s) : NULL;
    if (!s) return qd_err_nomem(err, "scroll");
    qd_arena_init(&s->arena, r->q->a->account, ARENA_MAX);
    s->keep_ms = r->scroll_ms;
    int rc = copy_request(s, r, err);
    s->r.total_given = true;
    if (!rc && !r->total_given) s->r.total = QD_TOTAL_EXACT;
    if (rc) {
        qd_arena_fini(&s->arena);
        qd_free(s);
        return rc;
    }
    qdi_search_task_begin(r, &task);
    rc = qdi_search_begin(&s->x, &s->r, &task, expression, options, routing, err);
    if (!rc) rc = prepare(s, err);
    if (!rc) rc = add(t, s, err);
    if (rc) {
        free_scroll(s);
        qd_task_end(&task);
        return rc;
    }
    rc = page(s, true, &task, w, err);
    give_back(t, s, rc != 0);
    qd_task_end(&task);
    return rc;
}

/* --- the APIs --- */

/* Members of a body: scroll_id (a string, or a list), scroll. */
static int read_body(qd_request *q, const qd_json_node **ids, qd_str *keep, qd_err *err)
{
    qd_json_node *root;
    if (!qd_str_trim(q->body).n) return 0;
    int rc = qd_json_parse(q->arena, q->body, 0, &root, err);
    for (const qd_json_node *m = rc ? NULL : root->first; m && !rc; m = m->next) {
        if (qd_str_is(m->key, "scroll_id")) {
            *ids = m;
        } else if (qd_str_is(m->key, "scroll") && keep) {
            *keep = qd_json_text(m);
        } else {
            rc = qd_err_set(err, QD_E_ARG,
                            "Unknown parameter [%.*s] in request body or parameter is of the wrong "
                            "type[VALUE] ",
                            QD_STR_ARG(m->key));
        }
    }
    return rc;
}

int qdi_api_scroll(qd_request *q, qd_response *r, qd_err *err)
{
    const qd_json_node *ids = NULL;
    qd_str keep = qd_param(q, "scroll"), id = qd_param(q, "scroll_id");
    scroll *s;
    bool as_int;
    int64_t ns = 0;
    int rc = read_body(q, &ids, &keep, err);
    if (!rc) rc = qd_param_bool(q, "rest_total_hits_as_int", false, &as_int, err);
    if (!rc && keep.n) rc = qd_value_time(keep, "scroll", &ns, err);
    if (rc) return rc;
    if (ids && ids->type == QD_JSON_T_STRING) id = ids->text;
    if (!id.n) {
        return qd_err_set(err, QD_E_VALIDATION, "Validation Failed: 1: scrollId is missing;");
    }
    if (id.n != ID_TEXT) return qd_err_set(err, QD_E_ARG, "Cannot parse scroll id");
    if ((rc = take(q->a->scrolls, id, &s, err))) return rc;
    if (ns > 0) s->keep_ms = ns / 1000000;
    s->r.total_as_int = as_int;
    qd_json_object(&r->w);
    rc = page(s, false, &q->task, &r->w, err);
    if (!rc) qd_json_object_end(&r->w);
    give_back(q->a->scrolls, s, false);
    return rc;
}

static bool is_named(const qd_scrolls *t, const scroll *s, void *arg)
{
    const qd_str *id = arg;
    (void)t;
    return !s->drop && qd_str_is(*id, s->id);
}

static int clear_one(qd_scrolls *t, qd_str id, uint32_t *freed, qd_err *err)
{
    bool all = qd_str_is(id, "_all");
    if (!all && id.n != ID_TEXT) return qd_err_set(err, QD_E_ARG, "Cannot parse scroll id");
    qd_mutex_lock(&t->lock);
    scroll *out = take_out(t, all ? is_any : is_named, &id, freed);
    qd_mutex_unlock(&t->lock);
    free_list(out);
    return 0;
}

int qdi_api_clear_scroll(qd_request *q, qd_response *r, qd_err *err)
{
    const qd_json_node *ids = NULL;
    uint32_t freed = 0, asked = 0;
    int rc = read_body(q, &ids, NULL, err);
    for (qd_str rest = ids ? (qd_str){NULL, 0} : qd_param(q, "scroll_id"); rest.n && !rc; asked++) {
        rc = clear_one(q->a->scrolls, qd_str_split(&rest, ','), &freed, err);
    }
    if (!rc && ids && ids->type == QD_JSON_T_STRING) {
        rc = clear_one(q->a->scrolls, ids->text, &freed, err);
        asked++;
    }
    bool list = ids && ids->type == QD_JSON_T_ARRAY;
    for (const qd_json_node *n = list ? ids->first : NULL; n && !rc; n = n->next, asked++) {
        rc = clear_one(q->a->scrolls, qd_json_text(n), &freed, err);
    }
    if (!rc && !asked) {
        rc = qd_err_set(err, QD_E_VALIDATION, "Validation Failed: 1: no scroll ids specified;");
    }
    if (rc) return rc;
    r->status = freed ? 200 : 404;
    qd_json_object(&r->w);
    qd_json_field_bool(&r->w, "succeeded", true);
    qd_json_field_int(&r->w, "num_freed", freed);
    qd_json_object_end(&r->w);
    return 0;
}
