/* shards.c: _search_shards: which copies a search would be run on, and where they are. */
#include "action/api/admin_int.h"
#include "action/indices/indices_int.h"
#include "action/search/search_int.h"
#include "base/str.h"

/* The nodes that have a copy that may be searched. */
static int write_nodes(const search_run *x, const qdi_identity *id, qd_json_writer *w, qd_err *err)
{
    bool *has = qd_arena_calloc(x->arena, x->state->nnodes + 1);
    if (!has) return qd_err_nomem(err, "nodes of a search");
    for (uint32_t i = 0; i < x->nshards; i++) {
        const search_shard *s = &x->shards[i];
        const qd_shard_meta *r = qd_state_shard(x->state, s->index->meta, s->number);
        for (uint32_t k = 0; r && k < r->ncopies; k++) {
            const qd_copy *c = &r->copies[k];
            const qd_node_meta *n = qd_copy_is_active(c) ? qd_state_node(x->state, c->node) : NULL;
            if (n) has[n - x->state->nodes] = true;
        }
    }
    qd_json_key_c(w, "nodes");
    qd_json_object(w);
    for (uint32_t i = 0; i < x->state->nnodes; i++) {
        if (has[i]) qdi_node_member(id, &x->state->nodes[i], w);
    }
    qd_json_object_end(w);
    return 0;
}

/* The filter of the aliases by which the index was named: a document must pass any of them. */
static int write_filter(const search_run *x, const search_index *ix, qd_json_writer *w, qd_err *err)
{
    qd_json_node *list;
    if (!ix->filter.n) return 0;
    int rc = qd_json_parse(x->arena, ix->filter, 0, &list, err);
    if (rc || !list->n) return rc;
    qd_json_key_c(w, "filter");
    if (list->n == 1) {
        qd_json_raw_value(w, list->first->raw);
        return 0;
    }
    qd_json_object(w);
    qd_json_key_c(w, "bool");
    qd_json_object(w);
    qd_json_key_c(w, "should");
    qd_json_raw_value(w, ix->filter);
    qd_json_object_end(w);
    qd_json_object_end(w);
    return 0;
}

/* The aliases by which the index was named, unless its own name is among the names. */
static void write_named(const qd_index_meta *m, qd_str expression, qd_json_writer *w)
{
    uint32_t n = 0;
    if (!expression.n || qdi_listed(expression, m->name)) return;
    for (uint32_t i = 0; i < m->naliases; i++) {
        if (!qdi_alias_wanted(expression, m->aliases[i].name)) continue;
        if (n++ == 0) {
            qd_json_key_c(w, "aliases");
            qd_json_array(w);
        }
        qd_json_str(w, m->aliases[i].name);
    }
    if (n) qd_json_array_end(w);
}

static int write_indices(const search_run *x, qd_str expression, qd_json_writer *w, qd_err *err)
{
    int rc = 0;
    qd_json_key_c(w, "indices");
    qd_json_object(w);
    for (uint32_t i = 0; i < x->nindices && !rc; i++) {
        qd_json_key(w, x->indices[i].meta->name);
        qd_json_object(w);
        write_named(x->indices[i].meta, expression, w);
        rc = write_filter(x, &x->indices[i], w, err);
        if (!rc) qd_json_object_end(w);
    }
    if (!rc) qd_json_object_end(w);
    return rc;
}

static void write_copy(const search_shard *s, const qd_shard_meta *r, uint32_t i, qd_json_writer *w)
{
    const qd_copy *c = &r->copies[i];
    const qd_copy *partner = c->partner.n ? qd_shard_meta_copy(r, c->partner) : NULL;
    qd_json_object(w);
    qd_json_field_c(w, "state", qd_shard_state_name(c->state));
    qd_json_field_bool(w, "primary", i == 0);
    qd_json_field_str(w, "node", c->node);
    qd_json_key_c(w, "relocating_node");
    partner ? qd_json_str(w, partner->node) : qd_json_null(w);
    qd_json_field_int(w, "shard", s->number);
    qd_json_field_str(w, "index", s->index->meta->name);
    qd_json_key_c(w, "allocation_id");
    qd_json_object(w);
    qd_json_field_str(w, "id", c->allocation_id);
    if (c->partner.n) qd_json_field_str(w, "relocation_id", c->partner);
    qd_json_object_end(w);
    qd_json_object_end(w);
}

static void write_shards(const search_run *x, qd_json_writer *w)
{
    qd_json_key_c(w, "shards");
    qd_json_array(w);
    for (uint32_t i = 0; i < x->nshards; i++) {
        const search_shard *s = &x->shards[i];
        const qd_shard_meta *r = qd_state_shard(x->state, s->index->meta, s->number);
        qd_json_array(w);
        for (uint32_t k = 0; r && k < r->ncopies; k++) {
            if (qd_copy_is_active(&r->copies[k])) write_copy(s, r, k, w);
        }
        qd_json_array_end(w);
    }
    qd_json_array_end(w);
}

int qdi_api_search_shards(qd_request *q, qd_response *r, qd_err *err)
{
    search_request s;
    search_run x = {0};
    qdi_identity id;
    uint32_t options;
    qdi_identity_get(q->a, &id);
    qdi_search_request_init(&s, q, q->arena);
    s.size = 0;
    s.preference = qd_param(q, "preference");
    int rc = qdi_search_preference(&s, err);
    if (!rc) rc = qd_param_indices_options(q, QD_INDICES_SEARCH, &options, err);
    if (rc) return rc;
    rc = qdi_search_begin(&x, &s, &q->task, qd_param(q, "index"), options, qd_param(q, "routing"),
                          err);
    if (!rc) {
        qd_json_object(&r->w);
        rc = write_nodes(&x, &id, &r->w, err);
        if (!rc) rc = write_indices(&x, qd_param(q, "index"), &r->w, err);
    }
    if (!rc) {
        write_shards(&x, &r->w);
        qd_json_object_end(&r->w);
    }
    qdi_search_end(&x);
    return rc;
}
