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

static bool is_scalar(const qd_json_node *n)
{
    return n->type != QD_JSON_T_OBJECT && n->type != QD_JSON_T_ARRAY;
}

/* Query as Elasticsearch writes it back, where that differs from what clients send: the short form
 * of a term, with the boosts. Others stand as they were given. */
static void write_query(const qd_json_node *query, qd_json_writer *w)
{
    const qd_json_node *of = query->type == QD_JSON_T_OBJECT && query->n == 1 ? query->first : NULL;
    const qd_json_node *f = of && of->type == QD_JSON_T_OBJECT && of->n == 1 ? of->first : NULL;
    if (!f || !qd_str_is(of->key, "term") || !is_scalar(f)) {
        qd_json_raw_value(w, query->raw);
        return;
    }
    qd_json_object(w);
    qd_json_key_c(w, "term");
    qd_json_object(w);
    qd_json_key(w, f->key);
    qd_json_object(w);
    qd_json_key_c(w, "value");
    qd_json_raw_value(w, f->raw);
    qd_json_key_c(w, "boost");
    qd_json_float(w, 1.0f);
    qd_json_object_end(w);
    qd_json_object_end(w);
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
        write_query(list->first, w);
        return 0;
    }
    qd_json_object(w);
    qd_json_key_c(w, "bool");
    qd_json_object(w);
    qd_json_key_c(w, "should");
    qd_json_array(w);
    for (const qd_json_node *k = list->first; k; k = k->next) write_query(k, w);
    qd_json_array_end(w);
    qd_json_field_bool(w, "adjust_pure_negative", true);
    qd_json_key_c(w, "boost");
    qd_json_float(w, 1.0f);
    qd_json_object_end(w);
    qd_json_object_end(w);
    return 0;
}

/* The aliases by which the index was named, also where its own name is among the names. */
static void write_named(const qd_index_meta *m, qd_str expression, qd_json_writer *w)
{
    uint32_t n = 0;
    if (!expression.n || qd_str_is(expression, "_all")) return;
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

/* The part of the shards that OpenSearch's slice is for: whole shards while there are enough. */
typedef struct part {
    int64_t id, max; /* max 0: all */
} part;

static bool in_part(const part *p, uint32_t at, uint32_t nshards)
{
    if (!p->max) return true;
    return p->max < nshards ? at % p->max == p->id : p->id % nshards == at;
}

static int slice_number(const qd_json_node *slice, const char *key, int64_t *out, qd_err *err)
{
    const qd_json_node *n = qd_json_get(slice, key);
    if (n && qd_str_i64(qd_json_text(n), out)) return 0;
    return qd_err_set(err, QD_E_PARSE, "[slice] needs a whole number as [%s]", key);
}

/* The body: {"slice": {"id": 0, "max": 3}}, or none. */
static int read_part(qd_request *q, part *out, qd_err *err)
{
    qdi_identity id;
    qd_json_node *root = NULL;
    *out = (part){0, 0};
    qdi_identity_get(q->a, &id);
    if (!qd_str_trim(q->body).n) return 0;
    if (!id.opensearch)
        return qd_err_set(err, QD_E_ARG, "request [%.*s] does not support having a body",
                          QD_STR_ARG(q->path));
    int rc = qd_json_parse(q->arena, q->body, 0, &root, err);
    for (const qd_json_node *m = rc ? NULL : root->first; m && !rc; m = m->next) {
        if (!qd_str_is(m->key, "slice"))
            return qd_err_set(err, QD_E_PARSE, "Unknown key for a %s in [%.*s].",
                              qd_json_type_token(m->type), QD_STR_ARG(m->key));
        for (const qd_json_node *k = m->first; k && !rc; k = k->next)
            if (!qd_str_is(k->key, "id") && !qd_str_is(k->key, "max"))
                rc = qd_err_set(err, QD_E_XCONTENT, "[slice] unknown field [%.*s]",
                                QD_STR_ARG(k->key));
        if (!rc) rc = slice_number(m, "id", &out->id, err);
        if (!rc) rc = slice_number(m, "max", &out->max, err);
    }
    if (rc || !out->max) return rc;
    if (out->max < 2) return qd_err_set(err, QD_E_ARG, "max must be greater than 1");
    if (out->id < 0) return qd_err_set(err, QD_E_ARG, "id must be greater than or equal to 0");
    if (out->id >= out->max) return qd_err_set(err, QD_E_ARG, "max must be greater than id");
    return 0;
}

static void write_shards(const search_run *x, const part *p, qd_json_writer *w)
{
    qd_json_key_c(w, "shards");
    qd_json_array(w);
    for (uint32_t i = 0; i < x->nshards; i++) {
        const search_shard *s = &x->shards[i];
        const qd_shard_meta *r = qd_state_shard(x->state, s->index->meta, s->number);
        if (!in_part(p, i, x->nshards)) continue;
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
    part slice;
    qdi_identity_get(q->a, &id);
    qdi_search_request_init(&s, q, q->arena);
    s.size = 0;
    s.preference = qd_param(q, "preference");
    int rc = read_part(q, &slice, err);
    if (!rc) rc = qdi_search_preference(&s, err);
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
        write_shards(&x, &slice, &r->w);
        qd_json_object_end(&r->w);
    }
    qdi_search_end(&x);
    return rc;
}
