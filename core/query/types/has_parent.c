/* has_parent.c: children by their parent. */
#include "query/types/joining_int.h"

static int read_value(qdi_reading *rd, qd_json_reader *r, qd_str key, qd_query *q, qd_err *err)
{
    bool score;
    if (qd_str_is(key, "parent_type")) return qdi_read_text(rd, r, &JOINING(q)->type, err);
    if (qd_str_is(key, "ignore_unmapped"))
        return qdi_read_bool(r, &JOINING(q)->ignore_unmapped, err);
    if (!qd_str_is(key, "score")) return 1;
    int rc = qdi_read_bool(r, &score, err);
    if (!rc) JOINING(q)->score = score ? QD_NESTED_MAX : QD_NESTED_NONE; /* there is one alone */
    return rc;
}

static int read(qdi_reading *rd, qd_json_reader *r, qd_query *q, qd_err *err)
{
    return qdi_read_joining(rd, r, q, "parent_type", read_value, err);
}

static int build(qdi_builder *b, const qd_query *q, const qd_node **out, qd_err *err)
{
    const qdi_joining *x = (const qdi_joining *)q;
    const qd_join *j = qd_mapping_join(b->c->mapping);
    const qd_join_relation *r = j ? qd_join_of_parent(j, x->type) : NULL;
    int rc = qdi_joining_allowed(b, err);
    if (rc) return rc;
    if (!r && x->ignore_unmapped) return qdi_query_none(b, out, err);
    if (!j) return qdi_shard_err(b, err, "[has_parent] no join field has been configured");
    if (!r)
        return qdi_shard_err(b, err,
                             "[has_parent] join field [%.*s] doesn't hold [%.*s] as a parent",
                             QD_STR_ARG(j->field->name), QD_STR_ARG(x->type));
    const qd_node *from = qdi_joining_type(b, j, &r->parent, 1, err);
    return qdi_build_joining(b, x, r, from, qdi_joining_type(b, j, r->children, r->n, err), out,
                             err);
}

const qd_query_type qdi_query_has_parent = {
    .name = "has_parent", .size = sizeof(qdi_joining), .read = read, .build = build};
