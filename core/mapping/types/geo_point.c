/*
 * geo_point.c: points on the earth. A point is one 64-bit number (base/geo.h) of a column and of
 * points, whose order is that of latitudes; multi-fields get its geohash. Where the column is not
 * wanted but queries are, it stands in a hidden field, because points alone narrow by latitude
 * only.
 */
#include "base/features.h"
#include "mapping/doc_int.h"
#include "mapping/geo_read.h"

static const param_row params[] = {
    {"index", PARAM_INDEX, KIND_BOOL, UPDATE_NEVER, "true"},
    {"doc_values", PARAM_DOC_VALUES, KIND_BOOL, UPDATE_NEVER, "true"},
    {"store", PARAM_STORE, KIND_BOOL, UPDATE_NEVER, "false"},
    {"ignore_malformed", PARAM_IGNORE_MALFORMED, KIND_EXPLICIT_BOOL, UPDATE_FREE, "false"},
    {"ignore_z_value", PARAM_IGNORE_Z, KIND_EXPLICIT_BOOL, UPDATE_FREE, "true"},
    {"null_value", PARAM_NULL_VALUE, KIND_ANY, UPDATE_NEVER, NULL},
    {"meta", PARAM_OTHER, KIND_META, UPDATE_FREE, NULL},
};

/* Out of range: refused, or brought into it where malformed values are no errors. */
static int encode(const qd_field *f, qd_geo p, int64_t *out, qd_err *err)
{
    bool lat = qd_geo_lat_valid(p.lat);
    char text[QD_F64_TEXT_MAX];
    if (f->ignore_malformed && !(isfinite(p.lat) && isfinite(p.lon)))
        return qd_err_set(err, QD_E_ES_PARSE, "cannot normalize the point - not a number");
    if (f->ignore_malformed) p = qd_geo_normal(p);
    if (f->ignore_malformed || (lat && qd_geo_lon_valid(p.lon))) {
        *out = qd_geo_encode(p);
        return 0;
    }
    qd_f64_print(text, lat ? p.lon : p.lat);
    return qd_err_set(err, QD_E_ARG, "illegal %s value [%s] for %.*s",
                      lat ? "longitude" : "latitude", text, QD_STR_ARG(f->name));
}

static int read_null(qd_field *f, qd_str json, qd_err *err)
{
    qd_geo p = {0, 0};
    qd_geo_reading how = {.refuse_z = f->refuse_z};
    qd_json_reader r = QD_JSON_READER(NULL);
    qd_json_reader_init(&r, json, 0, 0);
    int rc = qd_json_next(&r) < 0 ? qd_json_fail(&r, err) : qd_geo_read(&r, &how, &p, err);
    qd_json_reader_fini(&r);
    if (!rc) rc = encode(f, p, &f->null_i64, err);
    if (!rc) return 0;
    return qd_err_wrap(err, QD_E_MAPPER_PARSING, "Error parsing [null_value] on field [%.*s]",
                       QD_STR_ARG(f->leaf));
}

static int finish(field_builder *b, qd_field *f, qd_err *err)
{
    const param_value *null = qdi_param(f->def, PARAM_NULL_VALUE);
    const param_value *z = qdi_param(f->def, PARAM_IGNORE_Z);
    if (f->def->ncopy_to)
        return qd_err_set(err, QD_E_ARG, "geo_point field [%.*s] does not support [copy_to]",
                          QD_STR_ARG(f->leaf));
    f->has_points = f->indexed;
    f->refuse_z = z && !z->i;
    f->places = f;
    if (!f->doc_values && f->indexed) {
        qd_field *column = qdi_field_hide(b, f, f->type, ".values");
        if (!column) return qd_err_nomem(err, "mapping");
        column->doc_values = true;
        f->places = column;
    }
    return null ? read_null(f, null->json, err) : 0;
}

/* --- documents -------------------------------------------------------------------------------- */

static int add(doc *d, const qd_field *f, int64_t v, qd_err *err)
{
    int rc = qdi_doc_i64(d, f, v, err);
    return rc || f->places == f ? rc : qdi_doc_i64(d, f->places, v, err);
}

static int add_point(doc *d, const qd_field *f, qd_geo p, qd_err *err)
{
    char json[QD_GEOHASH_MAX + 3];
    int64_t v;
    int rc = encode(f, p, &v, err);
    if (!rc) rc = add(d, f, v, err);
    if (rc || !f->nmulti) return rc;
    json[0] = json[QD_GEOHASH_MAX + 1] = '"';
    qd_geohash_print(f->ignore_malformed ? qd_geo_normal(p) : p, QD_GEOHASH_MAX, json + 1);
    json[QD_GEOHASH_MAX + 1] = '"';
    return qdi_doc_multi(d, f, (qd_str){json, QD_GEOHASH_MAX + 2}, err);
}

/* A point that begins, at that depth of the reader; one of several (listed) that is malformed falls
 * out alone. */
static int one(doc *d, const qd_field *f, bool listed, qd_err *err)
{
    qd_geo_reading how = {.refuse_z = f->refuse_z};
    qd_json_event ev = d->r.event;
    bool compound = ev == QD_JSON_OBJECT || ev == QD_JSON_ARRAY;
    uint32_t depth = d->r.depth;
    qd_geo p = {0, 0};
    int rc = qd_geo_read(&d->r, &how, &p, err);
    if (!rc) rc = add_point(d, f, p, err);
    if (!rc || !f->ignore_malformed || rc == QD_E_NOMEM) return rc;
    if (compound && qd_geo_skip(&d->r, depth)) return rc;
    if (!listed) return rc;
    if (err) qd_err_fini(err);
    return qdi_doc_ignored(d, f, err);
}

static int null(doc *d, const qd_field *f, qd_err *err)
{
    return add(d, f, f->null_i64, err);
}

static int pair(doc *d, const qd_field *f, uint32_t depth, qd_err *err)
{
    qd_geo_reading how = {.refuse_z = f->refuse_z};
    qd_geo p = {0, 0};
    int rc = qd_geo_read_array(&d->r, &how, &p, err);
    if (!rc) rc = add_point(d, f, p, err);
    if (rc && f->ignore_malformed && qd_geo_skip(&d->r, depth)) return qd_json_fail(&d->r, err);
    return rc;
}

static int value(doc *d, const qd_field *f, qd_err *err)
{
    uint32_t depth = d->r.depth;
    if (d->r.event != QD_JSON_ARRAY) return one(d, f, false, err);
    qd_json_event ev = qd_json_next(&d->r);
    if (ev == QD_JSON_NUMBER) return pair(d, f, depth, err);
    for (; ev > 0 && ev != QD_JSON_ARRAY_END; ev = qd_json_next(&d->r)) {
        int rc = ev != QD_JSON_NULL  ? one(d, f, true, err)
                 : f->has_null_value ? null(d, f, err)
                                     : 0;
        if (rc) return rc;
    }
    return ev < 0 ? qd_json_fail(&d->r, err) : 0;
}

/* --- requests --------------------------------------------------------------------------------- */

static int term(const qd_field *f, qd_query_value v, const qd_value_ctx *ctx, qd_point *out,
                qd_err *err)
{
    (void)v;
    (void)ctx;
    (void)out;
    return qd_err_set(err, QD_E_ARG,
                      "Geometry fields do not support exact searching, use dedicated geometry "
                      "queries instead: [%.*s]",
                      QD_STR_ARG(f->name));
}

/* Values of a source are shown by qd_geo_show. */
static int shown(const qd_field *f, qd_query_value v, const qd_value_ctx *ctx, qd_point *out)
{
    (void)f;
    (void)v;
    (void)ctx;
    (void)out;
    return 1;
}

static void write_value(const qd_field *f, int64_t column, const qd_date_format *format,
                        const qd_zone *zone, qd_json_writer *w)
{
    (void)f;
    (void)format;
    (void)zone;
    qd_geo_write(qd_geo_decode(column), QD_GEO_TEXT, w);
}

const struct qd_field_type qdi_type_geo_point = {
    .value_class = QD_VALUE_GEO,
    .name = "geo_point",
    .whole = true,
    .level = QD_FEATURES_TYPES_0_2,
    .params = params,
    .nparams = QD_COUNT_OF(params),
    .finish = finish,
    .value = value,
    .null = null,
    .term = term,
    .range = qdi_no_range,
    .shown = shown,
    .write = write_value,
};
