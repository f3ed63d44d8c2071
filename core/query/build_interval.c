/*
 * build_interval.c: ranges and terms over fields whose values are intervals. The points of their
 * lower and of their upper ends narrow; where documents have several intervals, a CHECK of the
 * column finds whether one of them has both ends right.
 */
#include "query/build_int.h"

static qd_interval_relation relation_of(qd_str name)
{
    if (qd_str_ieq(name, QD_STR("contains"))) return QD_INTERVAL_CONTAINS;
    return qd_str_ieq(name, QD_STR("within")) ? QD_INTERVAL_WITHIN : QD_INTERVAL_INTERSECTS;
}

/* The points of an end between the bounds of the query, or from one of them on. */
static int points(qdi_builder *b, const qd_field *end, const qd_interval_bounds *q, bool from_lo,
                  bool from_hi, bool to_lo, bool to_hi, qdi_clauses *c, qd_err *err)
{
    qd_node *n = qdi_query_node(b, QD_NATIVE_RANGE, err);
    if (!n) return QD_E_NOMEM;
    qd_node_range *r = &n->u.range;
    r->field = end->name;
    r->kind = q->wide ? QD_RANGE_B16 : QD_RANGE_I64;
    r->has_from = r->has_to = r->from_inclusive = r->to_inclusive = true;
    r->lo = from_lo ? q->lo : from_hi ? q->hi : INT64_MIN;
    r->hi = to_lo ? q->lo : to_hi ? q->hi : INT64_MAX;
    memset(r->hi16, 0xff, 16);
    if (from_lo || from_hi) memcpy(r->lo16, from_lo ? q->lo16 : q->hi16, 16);
    if (to_lo || to_hi) memcpy(r->hi16, to_lo ? q->lo16 : q->hi16, 16);
    return qdi_clause_add(b, c, QD_OCCUR_FILTER, n, err);
}

static int narrow(qdi_builder *b, const qd_field *f, const qd_interval_bounds *q,
                  qd_interval_relation relation, qdi_clauses *c, qd_err *err)
{
    int rc;
    switch (relation) {
    case QD_INTERVAL_CONTAINS: /* min <= lo, max >= hi */
        rc = points(b, f->low, q, false, false, true, false, c, err);
        return rc ? rc : points(b, f->high, q, false, true, false, false, c, err);
    case QD_INTERVAL_WITHIN: /* both between lo and hi */
        rc = points(b, f->low, q, true, false, false, true, c, err);
        return rc ? rc : points(b, f->high, q, true, false, false, true, c, err);
    default: /* min <= hi, max >= lo */
        rc = points(b, f->low, q, false, false, false, true, c, err);
        return rc ? rc : points(b, f->high, q, true, false, false, false, c, err);
    }
}

static int confirm(qdi_builder *b, const qd_field *f, const qd_interval_bounds *q,
                   qd_interval_relation relation, qdi_clauses *c, qd_err *err)
{
    qd_node *n = qdi_query_node(b, QD_NATIVE_CHECK, err);
    if (!n) return QD_E_NOMEM;
    n->u.check.field = f->intervals->name;
    n->u.check.relation = relation;
    n->u.check.exact_alone = true;
    int rc = qdi_query_copy(b, (qd_str){q->lo_bytes, q->n}, &n->u.check.lo, err);
    if (!rc) rc = qdi_query_copy(b, (qd_str){q->hi_bytes, q->n}, &n->u.check.hi, err);
    return rc ? rc : qdi_clause_add(b, c, QD_OCCUR_FILTER, n, err);
}

int qdi_interval_range(qdi_builder *b, const qdi_field *f, const qdi_range *g,
                       const qd_value_ctx *ctx, const qd_node **out, qd_err *err)
{
    qd_interval_bounds q;
    qdi_clauses c = {0};
    const qd_node *all = NULL;
    if (!f->f->indexed)
        return qd_err_set(err, QD_E_ARG, "Cannot search on field [%.*s] since it is not indexed.",
                          QD_STR_ARG(f->name));
    int rc = qd_field_interval_bounds(f->f, g->has_from ? &g->from : NULL, g->include_from,
                                      g->has_to ? &g->to : NULL, g->include_to, ctx, &q, err);
    if (rc < 0) return rc;
    if (rc) return qdi_query_none(b, out, err);
    qd_interval_relation relation = relation_of(g->relation);
    rc = narrow(b, f->f, &q, relation, &c, err);
    if (!rc) rc = confirm(b, f->f, &q, relation, &c, err);
    if (rc) {
        qdi_clauses_fini(&c);
        return rc;
    }
    rc = qdi_clauses_bool(b, &c, (qd_str){NULL, 0}, &all, err);
    qd_node *constant = rc ? NULL : qdi_query_node(b, QD_NATIVE_CONSTANT, err);
    if (!constant) return rc ? rc : QD_E_NOMEM;
    constant->u.child = all;
    b->uncounted += 2;
    *out = constant;
    return 0;
}
