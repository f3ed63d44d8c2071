/* search_shards.c: _search_shards: which copies a search would be run on, and where they are. */
#include "action/admin_int.h"
#include "action/search_int.h"
#include "base/str.h"

/* Has the node a copy that may be searched? */
static bool has_any(const search_run *x, const qd_node_meta *n)
{
    for (uint32_t i = 0; i < x->nshards; i++) {
        const search_shard *s = &x->shards[i];
        const qd_shard_meta *r = qd_state_shard(x->state, s->index->meta, s->number);
        const qd_copy *c = r ? qd_shard_meta_copy_of(r, n->id) : NULL;
        if (c && qd_copy_is_active(c)) return true;
    }
    return false;
}

static void write_nodes(const search_run *x, const qdi_identity *id, qd_json_writer *w)
{
    qd_json_key_c(w, "nodes");
    qd_json_object(w);
    for (uint32_t i = 0; i < x->state->nnodes; i++) {
        const qd_node_meta *n = &x->state->nodes[i];
        if (!has_any(x, n)) continue;
        qd_json_key(w, n->id);
        qd_json_object(w);
        qd_json_field_str(w, "name", n->name);
        qd_json_field_str(w, "ephemeral_id", n->ephemeral.n ? n->ephemeral : n->id);
        qd_json_field_str(w, "transport_address", n->transport_address);
        qd_json_key_c(w, "attributes");
        qd_json_object(w);
        for (uint32_t k = 0; k < n->nattributes; k++) {
            qd_json_key(w, n->attributes[k].key);
            qd_json_str(w, n->attributes[k].value);
        }
        qd_json_object_end(w);
        qd_json_key_c(w, "roles");
        qd_json_array(w);
        qdi_roles_write(id, n->roles, w);
        qd_json_array_end(w);
        qd_json_object_end(w);
    }
    qd_json_object_end(w);
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

static int write_indices(const search_run *x, qd_json_writer *w, qd_err *err)
{
    int rc = 0;
    qd_json_key_c(w, "indices");
    qd_json_object(w);
    for (uint32_t i = 0; i < x->nindices && !rc; i++) {
        qd_json_key(w, x->indices[i].meta->name);
        qd_json_object(w);
        rc = write_filter(x, &x->indices[i], w, err);
        qd_json_object_end(w);
    }
    qd_json_object_end(w);
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
        write_nodes(&x, &id, &r->w);
        rc = write_indices(&x, &r->w, err);
        write_shards(&x, &r->w);
        qd_json_object_end(&r->w);
    }
    qdi_search_end(&x);
    return rc;
}
