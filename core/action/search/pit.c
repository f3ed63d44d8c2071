/*
 * pit.c: points in time: searchers of many shards kept open under one id, by Elasticsearch's
 * API (_pit) and OpenSearch's (_search/point_in_time). The id says which context on which node
 * holds which shards, and the filters of the aliases they were opened through, so any node searches
 * it.
 */
#include "action/api/admin_int.h"
#include "action/search/part_int.h"
#include "base/str.h"
#include "config/value.h"
#include "json/tree.h"

/* --- opening --- */

static int keep_alive(qd_request *q, int64_t *ms, qd_err *err)
{
    int64_t most = qd_config_ms(q->a->config, QD_SET_SEARCH_MAX_KEEP_ALIVE);
    if (!qd_param(q, "keep_alive").n) {
        return qd_err_set(err, QD_E_VALIDATION,
                          "Validation Failed: 1: [keep_alive] is not specified;");
    }
    int rc = qd_param_ms(q, "keep_alive", 0, ms, err);
    if (!rc && (*ms <= 0 || *ms > most)) {
        rc = qd_err_set(err, QD_E_ARG,
                        "Keep alive for request (%.*s) is too large. It must be less than "
                        "(%lldms). This limit can be set by changing the [search.max_keep_alive] "
                        "cluster level setting.",
                        QD_STR_ARG(qd_param(q, "keep_alive")), (long long)most);
    }
    return rc;
}

/* Which shards each kept context holds. */
static int id_shards(search_run *x, const search_target *t, search_id_node *n, qd_err *err)
{
    search_part_shard *at = qd_arena_alloc(x->arena, (t->n + 1ul) * sizeof *at);
    if (!at) return qd_err_nomem(err, "point in time");
    *n = (search_id_node){.node = t->node, .context = t->context, .shards = at};
    for (uint32_t i = 0; i < t->n; i++) {
        const search_shard *s = t->shards[i];
        if (s->target != t || s->rc) continue;
        at[n->nshards++] = (search_part_shard){
            .index = (uint32_t)(s->index - x->indices), .number = s->number, .place = s->place};
    }
    return 0;
}

static int make_id(search_run *x, qd_str *out, qd_err *err)
{
    search_id id = {.kind = SEARCH_CONTEXT_PIT, .nindices = x->nindices};
    uint32_t n = 0;
    for (const search_target *t = x->targets; t; t = t->next) n += t->kept;
    id.nodes = qd_arena_calloc(x->arena, (n + 1ul) * sizeof *id.nodes);
    id.indices = qd_arena_calloc(x->arena, (x->nindices + 1ul) * sizeof *id.indices);
    if (!id.nodes || !id.indices) return qd_err_nomem(err, "point in time");
    for (uint32_t i = 0; i < x->nindices; i++) {
        const search_index *ix = &x->indices[i];
        id.indices[i] = (search_part_index){qd_str_c(ix->meta->uuid), ix->meta->name, ix->filter};
    }
    int rc = 0;
    for (const search_target *t = x->targets; t && !rc; t = t->next) {
        if (t->kept) rc = id_shards(x, t, &id.nodes[id.nnodes++], err);
    }
    return rc ? rc : qdi_search_id_write(&id, x->arena, out, err);
}

static int open_pit(qd_request *q, search_run *x, search_request *r, qd_str *id, qd_err *err)
{
    uint32_t options;
    bool partial = false;
    qdi_search_request_init(r, q, q->arena);
    int rc = keep_alive(q, &r->pit_keep_ms, err);
    if (!rc) rc = qd_param_indices_options(q, QD_INDICES_SEARCH, &options, err);
    if (!rc) rc = qdi_search_preference(r, err);
    if (!rc) rc = qd_param_bool(q, "allow_partial_pit_creation", true, &partial, err);
    qdi_identity who;
    qdi_identity_get(q->a, &who);
    bool other = partial && who.opensearch;
    if (!rc) rc = qd_param_bool(q, "allow_partial_search_results", other, &partial, err);
    r->allow_partial = partial;
    r->size = 0;
    r->total = 0;
    if (rc) return rc;
    for (int attempt = 1;; attempt++) {
        rc = qdi_search_begin(x, r, &q->task, qd_param(q, "index"), options, qd_param(q, "routing"),
                              err);
        x->opens_pit = true;
        if (!rc) rc = qdi_targets_query(x, err);
        if (rc || attempt == SEARCH_ATTEMPTS || !qdi_search_moved(x)) break;
        qdi_targets_end(x, false);
        qdi_search_end(x);
    }
    if (!rc) rc = qdi_search_merge(x, err);
    if (!rc) rc = make_id(x, id, err);
    qdi_targets_end(x, rc == 0);
    return rc;
}

static int begin_pit(qd_request *q, qd_response *w, const char *id_key, bool tells_time,
                     qd_err *err)
{
    search_run x = {0};
    search_request r;
    qd_str id;
    int rc = open_pit(q, &x, &r, &id, err);
    if (!rc) {
        qd_json_object(&w->w);
        qd_json_field_str(&w->w, id_key, id);
        qdi_search_shards_write(&x, &w->w);
        if (tells_time) qd_json_field_int(&w->w, "creation_time", x.now_ms);
        qd_json_object_end(&w->w);
    }
    qdi_search_end(&x);
    return rc;
}

int qdi_api_pit_open(qd_request *q, qd_response *w, qd_err *err)
{
    return begin_pit(q, w, "id", false, err);
}

int qdi_api_pit_create(qd_request *q, qd_response *w, qd_err *err)
{
    return begin_pit(q, w, "pit_id", true, err);
}

/* --- ending --- */

static int close_one(qd_request *q, qd_str text, uint32_t *freed, qd_err *err)
{
    search_id id;
    int rc = qdi_search_id_read(text, SEARCH_CONTEXT_PIT, q->arena, &id, err);
    return rc ? rc : qdi_contexts_free(q, &id, freed, err);
}

static int read_ids(qd_request *q, const char *key, const qd_json_node **out, qd_err *err)
{
    qd_json_node *root;
    *out = NULL;
    int rc = qd_json_parse(q->arena, q->body, 0, &root, err);
    for (const qd_json_node *m = rc ? NULL : root->first; m && !rc; m = m->next) {
        if (qd_str_is(m->key, key)) {
            *out = m;
        } else {
            rc = qd_err_set(err, QD_E_ARG,
                            "Unknown parameter [%.*s] in request body or parameter is of the wrong "
                            "type[VALUE] ",
                            QD_STR_ARG(m->key));
        }
    }
    if (!rc && !*out) {
        rc = qd_err_set(err, QD_E_VALIDATION, "Validation Failed: 1: [%s] is not specified;", key);
    }
    return rc;
}

int qdi_api_pit_close(qd_request *q, qd_response *r, qd_err *err)
{
    const qd_json_node *id;
    uint32_t freed = 0;
    int rc = read_ids(q, "id", &id, err);
    if (!rc) rc = close_one(q, qd_json_text(id), &freed, err);
    if (rc) return rc;
    r->status = freed ? 200 : 404;
    qd_json_object(&r->w);
    qd_json_field_bool(&r->w, "succeeded", true);
    qd_json_field_int(&r->w, "num_freed", freed);
    qd_json_object_end(&r->w);
    return 0;
}

static void write_deleted(qd_json_writer *w, qd_str id, bool was_there)
{
    qd_json_object(w);
    qd_json_field_bool(w, "successful", was_there);
    qd_json_field_str(w, "pit_id", id);
    qd_json_object_end(w);
}

int qdi_api_pit_delete(qd_request *q, qd_response *r, qd_err *err)
{
    const qd_json_node *ids;
    int rc = read_ids(q, "pit_id", &ids, err);
    if (rc) return rc;
    qd_json_object(&r->w);
    qd_json_key_c(&r->w, "pits");
    qd_json_array(&r->w);
    bool list = ids->type == QD_JSON_T_ARRAY;
    for (const qd_json_node *n = list ? ids->first : ids; n && !rc; n = list ? n->next : NULL) {
        uint32_t freed = 0;
        rc = close_one(q, qd_json_text(n), &freed, err);
        if (!rc) write_deleted(&r->w, qd_json_text(n), freed > 0);
    }
    qd_json_array_end(&r->w);
    qd_json_object_end(&r->w);
    return rc;
}

int qdi_api_pit_delete_all(qd_request *q, qd_response *r, qd_err *err)
{
    uint32_t freed = 0;
    int rc = qdi_contexts_free_all(q, SEARCH_CONTEXT_PIT, &freed, err);
    if (rc) return rc;
    qd_json_object(&r->w);
    qd_json_key_c(&r->w, "pits");
    qd_json_array(&r->w);
    qd_json_array_end(&r->w);
    qd_json_field_int(&r->w, "num_freed", freed);
    qd_json_object_end(&r->w);
    return 0;
}

/* --- searching --- */

int qdi_search_pit_parse(search_request *r, const qd_json_node *n, qd_err *err)
{
    int64_t ns;
    if (n->type != QD_JSON_T_OBJECT) {
        return qdi_search_err_at(r, n->raw.p, err, QD_E_PARSE,
                                 "Unknown key for a VALUE_STRING in [pit].");
    }
    for (const qd_json_node *m = n->first; m; m = m->next) {
        if (qd_str_is(m->key, "id")) {
            r->pit = qd_json_text(m);
        } else if (qd_str_is(m->key, "keep_alive")) {
            int rc = qd_value_time(qd_json_text(m), "keep_alive", &ns, err);
            if (rc) return rc;
            r->pit_keep_ms = ns / 1000000;
        } else {
            return qdi_search_err_at(r, m->raw.p, err, QD_E_XCONTENT,
                                     "[point_in_time] unknown field [%.*s]", QD_STR_ARG(m->key));
        }
    }
    return r->pit.n ? 0 : qdi_search_err_at(r, n->raw.p, err, QD_E_ARG, "Required [id]");
}

int qdi_search_pit_check(const search_request *r, qd_err *err)
{
    const qd_request *q = r->q;
    int64_t most = qd_config_ms(q->a->config, QD_SET_SEARCH_MAX_KEEP_ALIVE);
    const char *what = qd_param(q, "index").n     ? "indices"
                       : qd_param(q, "routing").n ? "routing"
                       : r->preference.n          ? "preference"
                                                  : NULL;
    if (what) {
        return qd_err_set(err, QD_E_VALIDATION,
                          "Validation Failed: 1: [%s] cannot be used with point in time%s;", what,
                          qd_str_is(qd_str_c(what), "indices")
                              ? ". Do not specify any index with point in time."
                              : "");
    }
    if (r->scroll_ms) {
        return qd_err_set(err, QD_E_VALIDATION,
                          "Validation Failed: 1: using [point in time] is not allowed in a scroll "
                          "context;");
    }
    if (r->pit_keep_ms > most) {
        return qd_err_set(err, QD_E_ARG,
                          "Keep alive for request (%lldms) is too large. It must be less than "
                          "(%lldms). This limit can be set by changing the "
                          "[search.max_keep_alive] cluster level setting.",
                          (long long)r->pit_keep_ms, (long long)most);
    }
    return 0;
}

int qdi_search_pit_begin(search_run *x, search_request *r, qd_task *task, qd_err *err)
{
    search_id *id = qd_arena_alloc(r->arena, sizeof *id);
    if (!id) return qd_err_nomem(err, "point in time");
    int rc = qdi_search_id_read(r->pit, SEARCH_CONTEXT_PIT, r->arena, id, err);
    return rc ? rc : qdi_search_begin_pit(x, r, task, id, err);
}
