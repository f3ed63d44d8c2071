/* read_geo.c: see geo_int.h. */
#include "query/geo_int.h"

static qdi_geo_query *geo(qd_query *q)
{
    return (qdi_geo_query *)q;
}

/* The value of the field, kept as a tree. */
static int read_field(qdi_reading *rd, qd_json_reader *r, qd_str key, qd_query *q, qd_err *err)
{
    qd_json_node *n;
    qd_str raw;
    if (q->field.p) return qdi_several_fields(r, q, key, err);
    int rc = qdi_keep(rd, key, &q->field, err);
    if (rc) return rc;
    const char *from = r->token;
    if (qd_json_raw(r, &raw)) return qd_json_fail(r, err);
    rc = qdi_keep(rd, (qd_str){from, raw.n}, &raw, err);
    if (!rc) rc = qd_json_parse(rd->arena, raw, 0, &n, err);
    if (!rc) geo(q)->value = n;
    return rc;
}

static int read_shared(qdi_reading *rd, qd_json_reader *r, qd_str key, qd_query *q, qd_err *err)
{
    qd_str text;
    if (qd_str_is(key, "ignore_unmapped")) return qdi_read_bool(r, &geo(q)->ignore_unmapped, err);
    if (!qd_str_is(key, "validation_method")) return qdi_read_standard(rd, r, key, q, err);
    int rc = qdi_read_text(rd, r, &text, err);
    return rc ? rc : qd_geo_validation_of(text, &geo(q)->validation, err);
}

int qdi_read_geo(qdi_reading *rd, qd_json_reader *r, qdi_geo_option_fn option, qd_query *q,
                 qd_err *err)
{
    int ev;
    while ((ev = qdi_query_next(r, err)) == QD_JSON_KEY) {
        qd_str key = r->text;
        ev = qdi_query_next(r, err);
        if (ev < 0) return ev;
        int rc = qdi_is_value(r->event) ? read_shared(rd, r, key, q, err) : 1;
        if (rc == 1 && option && qdi_is_value(r->event)) rc = option(r, key, q, err);
        if (rc == 1) rc = read_field(rd, r, key, q, err);
        if (rc) return rc;
    }
    if (ev < 0) return ev;
    if (q->field.n) return 0;
    return qd_err_set(err, QD_E_ARG, "[%s] query needs the name of a field and its value",
                      q->type->name);
}

int qdi_geo_check(qdi_builder *b, const qd_query *q, qd_geo *p, qd_err *err)
{
    char text[QD_F64_TEXT_MAX];
    qd_geo_validation how = ((const qdi_geo_query *)q)->validation;
    bool lat = qd_geo_lat_valid(p->lat);
    if (lat && qd_geo_lon_valid(p->lon)) return 0;
    if (how != QD_GEO_STRICT && isfinite(p->lat) && isfinite(p->lon)) {
        /* what is outside means nothing to a sphere: both ways of leniency bring it into range */
        *p = qd_geo_normal(*p);
        return 0;
    }
    qd_f64_print(text, lat ? p->lon : p->lat);
    return qdi_shard_err(b, err, "illegal %s value [%s] for [%s]", lat ? "longitude" : "latitude",
                         text, q->type->name);
}

int qdi_geo_field(qdi_builder *b, const qd_query *q, const qd_field **out, qd_err *err)
{
    qdi_field f = qdi_field_find(b, q->field);
    if (f.cls == QDI_F_NONE && ((const qdi_geo_query *)q)->ignore_unmapped) return 1;
    if (f.cls == QDI_F_NONE)
        return qdi_shard_err(b, err, "failed to find geo field [%.*s]", QD_STR_ARG(q->field));
    if (!f.f || f.f->value_class != QD_VALUE_GEO)
        return qdi_shard_err(b, err, "Field [%.*s] is of unsupported type [%s] for [%s] query",
                             QD_STR_ARG(q->field), qdi_query_field_type(&f), q->type->name);
    *out = f.f;
    if (f.f->indexed || f.f->doc_values) return 0;
    return qd_err_set(err, QD_E_ARG,
                      "Cannot search on field [%.*s] since it is not indexed nor has doc values.",
                      QD_STR_ARG(q->field));
}

/* The points of the band of latitudes. */
static int band(qdi_builder *b, const qd_field *f, const qd_node_geo *shape, qdi_clauses *c,
                qd_err *err)
{
    qd_node *n = qdi_query_node(b, QD_NATIVE_RANGE, err);
    if (!n) return QD_E_NOMEM;
    n->u.range.field = f->name;
    n->u.range.kind = QD_RANGE_I64;
    n->u.range.lo = qd_geo_join(shape->lat[0], 0);
    n->u.range.hi = qd_geo_join(shape->lat[1], -1); /* as bits, the greatest */
    n->u.range.has_from = n->u.range.has_to = true;
    n->u.range.from_inclusive = n->u.range.to_inclusive = true;
    return qdi_clause_add(b, c, QD_OCCUR_FILTER, n, err);
}

int qdi_geo_build(qdi_builder *b, const qd_field *f, qd_node_geo *shape, const qd_node **out,
                  qd_err *err)
{
    qdi_clauses c = {0};
    const qd_node *all = NULL;
    qd_node *n = qdi_query_node(b, QD_NATIVE_GEO, err);
    if (!n) return QD_E_NOMEM;
    shape->field = f->places->name;
    n->u.geo = shape;
    int rc = f->indexed ? band(b, f, shape, &c, err) : 0;
    if (!rc) rc = qdi_clause_add(b, &c, QD_OCCUR_FILTER, n, err);
    if (rc) {
        qdi_clauses_fini(&c);
        return rc;
    }
    rc = qdi_clauses_bool(b, &c, (qd_str){NULL, 0}, &all, err);
    qd_node *constant = rc ? NULL : qdi_query_node(b, QD_NATIVE_CONSTANT, err);
    if (!constant) return rc ? rc : QD_E_NOMEM;
    constant->u.child = all;
    b->uncounted += f->indexed ? 2 : 1;
    *out = constant;
    return 0;
}
