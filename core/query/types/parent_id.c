/* parent_id.c: the children of one parent: a term, scored as one, among the documents of a name. */
#include "query/types/joining_int.h"

typedef struct parent_id_query {
    qd_query base;
    qd_str type, id;
    bool ignore_unmapped;
} parent_id_query;

static int read_member(qdi_reading *rd, qd_json_reader *r, qd_str key, qd_query *q, qd_err *err)
{
    parent_id_query *x = (parent_id_query *)q;
    if (!qdi_is_value(r->event)) return 1;
    if (qd_str_is(key, "type")) return qdi_read_text(rd, r, &x->type, err);
    if (qd_str_is(key, "id")) return qdi_read_text(rd, r, &x->id, err);
    if (qd_str_is(key, "ignore_unmapped")) return qdi_read_bool(r, &x->ignore_unmapped, err);
    return qdi_read_standard(rd, r, key, q, err);
}

static int read(qdi_reading *rd, qd_json_reader *r, qd_query *q, qd_err *err)
{
    const parent_id_query *x = (const parent_id_query *)q;
    int ev;
    while ((ev = qdi_query_next(r, err)) == QD_JSON_KEY) {
        qd_str key = r->text;
        ev = qdi_query_next(r, err);
        int rc = ev < 0 ? ev : read_member(rd, r, key, q, err);
        if (rc == 1) rc = qdi_unsupported(r, q, key, err);
        if (rc) return rc;
    }
    if (ev < 0) return ev;
    if (!x->type.p) return qd_err_set(err, QD_E_ARG, "[parent_id] requires 'type' field");
    if (!x->id.p) return qd_err_set(err, QD_E_ARG, "[parent_id] requires 'id' field");
    return 0;
}

static int build(qdi_builder *b, const qd_query *q, const qd_node **out, qd_err *err)
{
    const parent_id_query *x = (const parent_id_query *)q;
    const qd_join *j = qd_mapping_join(b->c->mapping);
    const qd_join_relation *r = j ? qd_join_of_child(j, x->type) : NULL;
    int rc = qdi_joining_allowed(b, err);
    if (rc) return rc;
    if (!r && x->ignore_unmapped) return qdi_query_none(b, out, err);
    if (!j)
        return qdi_shard_err(b, err, "[parent_id] no join field found for index [%.*s]",
                             QD_STR_ARG(b->c->index));
    if (!r)
        return qdi_shard_err(b, err, "[parent_id] no relation found for child [%.*s]",
                             QD_STR_ARG(x->type));
    qd_str id, *type = qd_arena_alloc(b->arena, sizeof *type);
    if (!type) return qd_err_nomem(err, "query");
    rc = qdi_query_copy(b, x->id, &id, err);
    if (!rc) rc = qdi_query_copy(b, x->type, type, err);
    if (rc) return rc;
    const qd_node *child = qdi_joining_type(b, j, type, 1, err);
    const qd_node *term = qd_node_term_make(b->arena, r->ids->name, id);
    *out = child && term ? qd_node_filtered(b->arena, term, &child, 1) : NULL;
    return *out ? 0 : qd_err_nomem(err, "query");
}

const qd_query_type qdi_query_parent_id = {
    .name = "parent_id", .size = sizeof(parent_id_query), .read = read, .build = build};
