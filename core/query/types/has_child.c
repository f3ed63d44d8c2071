/* has_child.c: parents by their children. */
#include "query/types/joining_int.h"

static int read_value(qdi_reading *rd, qd_json_reader *r, qd_str key, qd_query *q, qd_err *err)
{
    if (qd_str_is(key, "type")) return qdi_read_text(rd, r, &JOINING(q)->type, err);
    if (qd_str_is(key, "ignore_unmapped"))
        return qdi_read_bool(r, &JOINING(q)->ignore_unmapped, err);
    if (qd_str_is(key, "score_mode")) return qdi_read_score_mode(rd, r, &JOINING(q)->score, err);
    if (qd_str_is(key, "min_children")) return qdi_read_int(r, &JOINING(q)->min, err);
    if (qd_str_is(key, "max_children")) return qdi_read_int(r, &JOINING(q)->max, err);
    return 1;
}

static int read(qdi_reading *rd, qd_json_reader *r, qd_query *q, qd_err *err)
{
    int rc = qdi_read_joining(rd, r, q, "type", read_value, err);
    if (rc) return rc;
    if (JOINING(q)->min <= 0)
        return qd_err_set(err, QD_E_ARG, "[has_child] requires positive 'min_children' field");
    if (JOINING(q)->max <= 0)
        return qd_err_set(err, QD_E_ARG, "[has_child] requires positive 'max_children' field");
    if (JOINING(q)->max < JOINING(q)->min)
        return qd_err_set(err, QD_E_ARG, "[has_child] 'max_children' is less than 'min_children'");
    return 0;
}

static int build(qdi_builder *b, const qd_query *q, const qd_node **out, qd_err *err)
{
    const qdi_joining *x = (const qdi_joining *)q;
    const qd_join *j = qd_mapping_join(b->c->mapping);
    const qd_join_relation *r = j ? qd_join_of_child(j, x->type) : NULL;
    int rc = qdi_joining_allowed(b, err);
    if (rc) return rc;
    if (!r && x->ignore_unmapped) return qdi_query_none(b, out, err);
    if (!j) return qdi_shard_err(b, err, "[has_child] no join field has been configured");
    if (!r)
        return qdi_shard_err(b, err, "[has_child] join field [%.*s] doesn't hold [%.*s] as a child",
                             QD_STR_ARG(j->field->name), QD_STR_ARG(x->type));
    qd_str *child = qd_arena_alloc(b->arena, sizeof *child);
    if (!child) return qd_err_nomem(err, "query");
    rc = qdi_query_copy(b, x->type, child, err);
    if (rc) return rc;
    const qd_node *from = qdi_joining_type(b, j, child, 1, err);
    return qdi_build_joining(b, x, r, from, qdi_joining_type(b, j, &r->parent, 1, err), out, err);
}

const qd_query_type qdi_query_has_child = {
    .name = "has_child", .size = sizeof(qdi_joining), .read = read, .build = build};
