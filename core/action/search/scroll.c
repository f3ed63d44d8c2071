/*
 * scroll.c: scrolls: searches that go on where they ended, over the searchers they began
 * with. Each node keeps its part (context.c): request, searchers, and the last hit given of
 * each shard. Pages follow by search_after, so nothing of the result waits in memory for a slow
 * consumer. The id names the contexts, so any node goes on with any scroll.
 */
#include "action/search/part_int.h"
#include "base/str.h"
#include "config/value.h"
#include "json/tree.h"
#include <math.h>

/* --- the first page --- */

/* The id of the contexts that x's targets keep. */
static int make_id(search_run *x, qd_str *out, qd_err *err)
{
    search_id id = {.kind = SEARCH_CONTEXT_SCROLL,
                    .total = x->total,
                    .total_lower_bound = x->total_lower_bound,
                    .max_score = x->max_score};
    uint32_t n = 0;
    for (const search_target *t = x->targets; t; t = t->next) n += t->kept;
    id.nodes = qd_arena_calloc(x->arena, (n + 1ul) * sizeof *id.nodes);
    if (!id.nodes) return qd_err_nomem(err, "scroll");
    for (const search_target *t = x->targets; t; t = t->next) {
        if (!t->kept) continue;
        id.nodes[id.nnodes++] =
            (search_id_node){.node = t->node, .context = t->context, .nshards = t->n};
    }
    return qdi_search_id_write(&id, x->arena, out, err);
}

int qdi_scroll_open(search_request *r, qd_str expression, uint32_t options, qd_str routing,
                    qd_json_writer *w, qd_err *err)
{
    qd_task task;
    search_run x;
    qd_str id;
    if (!r->total_given) r->total = QD_TOTAL_EXACT;
    r->total_given = true;
    qdi_search_task_begin(r, &task);
    int rc;
    for (int attempt = 1;; attempt++) {
        rc = qdi_search_begin(&x, r, &task, expression, options, routing, err);
        bool begun = !rc;
        if (!rc) rc = qdi_search_query_phase(&x, err);
        if (!begun || attempt == SEARCH_ATTEMPTS || !qdi_search_moved(&x)) break;
        qdi_targets_end(&x, false);
        qdi_search_end(&x);
        if (rc && err) qd_err_fini(err);
    }
    if (!rc) rc = make_id(&x, &id, err);
    if (!rc) rc = qdi_search_write(&x, id, w, err);
    qdi_targets_end(&x, rc == 0);
    qdi_search_end(&x);
    qd_task_end(&task);
    return rc;
}

/* --- the pages behind it --- */

/* A search whose shards are those that the id names; what they are, their nodes tell. */
static int begin_next(search_run *x, search_request *r, const search_id *id, qd_task *task,
                      qd_err *err)
{
    uint32_t n = 0;
    int rc = 0;
    *x = (search_run){.r = r,
                      .a = r->q->a,
                      .arena = r->arena,
                      .task = task,
                      .state = qd_cluster_state(r->q->a->cluster),
                      .now_ms = qd_env_wall_ms(r->q->a->env),
                      .start_ns = qd_env_mono_ns(r->q->a->env),
                      .max_score = NAN,
                      .scroll = true,
                      .later = true};
    for (uint32_t i = 0; i < id->nnodes; i++) n += id->nodes[i].nshards;
    x->shards = qd_arena_calloc(x->arena, (n + 1ul) * sizeof *x->shards);
    if (!x->shards) return qd_err_nomem(err, "scroll");
    for (uint32_t i = 0; i < id->nnodes && !rc; i++) {
        search_target *t;
        rc = qdi_target_add(x, id->nodes[i].node, id->nodes[i].nshards, &t, err);
        for (uint32_t k = 0; k < id->nodes[i].nshards && !rc; k++) {
            search_shard *s = &x->shards[x->nshards++];
            s->run = x;
            s->place = UINT32_MAX;
            s->target = t;
            qd_arena_init(&s->arena, x->a->account, 0);
            qd_err_init(&s->err);
            t->shards[t->n++] = s;
        }
        if (!rc) memcpy(t->context, id->nodes[i].context, SEARCH_CONTEXT_ID);
    }
    return rc;
}

/* No context is there any more: that is said of the id, not of shards that nobody can name. */
static bool all_missing(const search_run *x)
{
    for (uint32_t i = 0; i < x->nshards; i++) {
        if (x->shards[i].rc != QD_E_SEARCH_CONTEXT_MISSING) return false;
    }
    return true;
}

static int next_page(qd_request *q, qd_str text, int64_t keep_ms, bool as_int, qd_json_writer *w,
                     qd_err *err)
{
    search_run x;
    search_request r;
    search_id id;
    int rc = qdi_search_id_read(text, SEARCH_CONTEXT_SCROLL, q->arena, &id, err);
    if (rc) return rc;
    qdi_search_request_init(&r, q, q->arena);
    r.total_as_int = as_int;
    rc = begin_next(&x, &r, &id, &q->task, err);
    if (!rc) rc = qdi_targets_next(&x, keep_ms, err);
    if (!rc && all_missing(&x)) {
        rc = qdi_context_missing(text, err);
    } else if (!rc) {
        rc = qdi_search_merge(&x, err);
    }
    if (!rc) {
        x.total = id.total;
        x.total_lower_bound = id.total_lower_bound;
        x.max_score = id.max_score;
        rc = qdi_search_write(&x, text, w, err);
    }
    qdi_targets_release(&x);
    qdi_targets_end(&x, true);
    qdi_search_end(&x);
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
    bool as_int;
    int64_t ns = 0;
    int rc = read_body(q, &ids, &keep, err);
    if (!rc) rc = qd_param_bool(q, "rest_total_hits_as_int", false, &as_int, err);
    if (!rc && keep.n) rc = qd_value_time(keep, "scroll", &ns, err);
    if (!rc) rc = qdi_scroll_keep_check(q->a, ns / 1000000, keep, err);
    if (rc) return rc;
    if (ids && ids->type == QD_JSON_T_STRING) id = ids->text;
    if (!id.n) {
        return qd_err_set(err, QD_E_VALIDATION, "Validation Failed: 1: scrollId is missing;");
    }
    qd_json_object(&r->w);
    rc = next_page(q, id, ns / 1000000, as_int, &r->w, err);
    if (!rc) qd_json_object_end(&r->w);
    return rc;
}

/* Ends the contexts that an id names; one counts when any of its own was there. */
static int clear_one(qd_request *q, qd_str text, uint32_t *freed, qd_err *err)
{
    search_id id;
    if (qd_str_is(text, "_all")) return qdi_contexts_free_all(q, SEARCH_CONTEXT_SCROLL, freed, err);
    int rc = qdi_search_id_read(text, SEARCH_CONTEXT_SCROLL, q->arena, &id, err);
    return rc ? rc : qdi_contexts_free(q, &id, freed, err);
}

int qdi_api_clear_scroll(qd_request *q, qd_response *r, qd_err *err)
{
    const qd_json_node *ids = NULL;
    uint32_t freed = 0, asked = 0;
    int rc = read_body(q, &ids, NULL, err);
    for (qd_str rest = ids ? (qd_str){NULL, 0} : qd_param(q, "scroll_id"); rest.n && !rc; asked++) {
        rc = clear_one(q, qd_str_split(&rest, ','), &freed, err);
    }
    if (!rc && ids && ids->type == QD_JSON_T_STRING) {
        rc = clear_one(q, ids->text, &freed, err);
        asked++;
    }
    bool list = ids && ids->type == QD_JSON_T_ARRAY;
    for (const qd_json_node *n = list ? ids->first : NULL; n && !rc; n = n->next, asked++) {
        rc = clear_one(q, qd_json_text(n), &freed, err);
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
