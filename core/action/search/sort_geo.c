/* sort_geo.c: _geo_distance among the keys of a sort: read, and bound to an index. */
#include "action/search/search_int.h"
#include "base/str.h"
#include "mapping/geo_read.h"

#define POINTS_MAX 1000u

/* A member that is none of the options names the field, and has its points. */
static int read_points(search_request *r, const qd_json_node *m, search_sort_field *f, qd_err *err)
{
    qd_geo *from;
    uint32_t n;
    if (f->field.p)
        return qd_err_set(err, QD_E_PARSE,
                          "[_geo_distance] sorts by one field, found [%.*s] and [%.*s]",
                          QD_STR_ARG(f->field), QD_STR_ARG(m->key));
    int rc = qd_geo_read_list(m, &(qd_geo_reading){0}, POINTS_MAX, r->arena, &from, &n, err);
    if (rc) return rc;
    f->field = m->key;
    f->geo->of.from = from;
    f->geo->of.n = n;
    return n ? 0 : qd_err_set(err, QD_E_ARG, "must provide at least one point for _geo_distance");
}

static int read_mode(qd_str v, search_sort_field *f, qd_err *err)
{
    static const char *const names[] = {[QD_SORT_MIN] = "min",
                                        [QD_SORT_MAX] = "max",
                                        [QD_SORT_AVG] = "avg",
                                        [QD_SORT_MEDIAN] = "median"};
    for (size_t i = 0; i < QD_COUNT_OF(names); i++) {
        if (!names[i] || !qd_str_ieq(v, qd_str_c(names[i]))) continue;
        f->mode = (qd_sort_mode)i;
        f->has_mode = true;
        return 0;
    }
    if (qd_str_ieq(v, QD_STR("sum")))
        return qd_err_set(err, QD_E_ARG,
                          "sort_mode [sum] isn't supported for sorting by geo distance");
    return qd_err_set(err, QD_E_ARG, "Unknown SortMode [%.*s]", QD_STR_ARG(v));
}

static int read_order(qd_str v, search_sort_field *f, qd_err *err)
{
    f->descending = qd_str_ieq(v, QD_STR("desc"));
    if (f->descending || qd_str_ieq(v, QD_STR("asc"))) return 0;
    return qd_err_set(err, QD_E_ARG, "[order] of [_geo_distance] is asc or desc, not [%.*s]",
                      QD_STR_ARG(v));
}

static int read_unmapped(const qd_json_node *m, search_sort_geo *g, qd_err *err)
{
    if (qd_json_truth(m, &g->ignore_unmapped) == 0) return 0;
    return qd_err_set(err, QD_E_ARG, "[ignore_unmapped] of [_geo_distance] must be true or false");
}

static int read_member(search_request *r, const qd_json_node *m, search_sort_field *f, qd_err *err)
{
    qd_str v = qd_json_text(m);
    if (qd_str_is(m->key, "nested")) return qdi_sort_nested_parse(r, m, &f->nested, err);
    if (qd_str_is(m->key, "nested_path") || qd_str_is(m->key, "nested_filter"))
        return qd_err_set(err, QD_E_UNSUPPORTED, "[%.*s] is not supported in a sort",
                          QD_STR_ARG(m->key));
    if (v.p && qd_str_is(m->key, "ignore_unmapped")) return read_unmapped(m, f->geo, err);
    if (v.p && qd_str_is(m->key, "order")) return read_order(v, f, err);
    if (v.p && (qd_str_is(m->key, "mode") || qd_str_is(m->key, "sort_mode")))
        return read_mode(v, f, err);
    if (v.p && qd_str_is(m->key, "unit")) return qd_geo_unit(v, &f->geo->of.unit, err);
    if (v.p && qd_str_is(m->key, "distance_type"))
        return qd_geo_distance_type(v, &f->geo->of.plane, err);
    if (v.p && qd_str_is(m->key, "validation_method"))
        return qd_geo_validation_of(v, &f->geo->validation, err);
    return read_points(r, m, f, err);
}

/* Out of range: refused, or brought into it. */
static int check(search_sort_geo *g, const qd_geo *given, qd_arena *arena, qd_err *err)
{
    char text[QD_F64_TEXT_MAX];
    qd_geo *to = qd_arena_alloc(arena, g->of.n * sizeof *to);
    if (!to) return qd_err_nomem(err, "sort");
    for (uint32_t i = 0; i < g->of.n; i++) {
        bool lat = qd_geo_lat_valid(given[i].lat), lon = qd_geo_lon_valid(given[i].lon);
        bool finite = isfinite(given[i].lat) && isfinite(given[i].lon);
        to[i] = lat && lon ? given[i] : qd_geo_normal(given[i]);
        if ((lat && lon) || (finite && g->validation != QD_GEO_STRICT)) continue;
        qd_f64_print(text, lat ? given[i].lon : given[i].lat);
        return qd_err_set(err, QD_E_ES_PARSE,
                          "illegal %s value [%s] for [GeoDistanceSort] for field [_geo_distance].",
                          lat ? "longitude" : "latitude", text);
    }
    g->of.from = to;
    return 0;
}

int qdi_sort_geo_parse(search_request *r, const qd_json_node *n, search_sort_field *f, qd_err *err)
{
    int rc = 0;
    search_sort_geo *g = qd_arena_calloc(r->arena, sizeof *g);
    if (!g) return qd_err_nomem(err, "sort");
    *f = (search_sort_field){.geo = g};
    g->of.unit = 1;
    if (n->type != QD_JSON_T_OBJECT)
        return qd_err_set(err, QD_E_ARG, "[_geo_distance] in a sort must be an object");
    for (const qd_json_node *m = n->first; m && !rc; m = m->next) rc = read_member(r, m, f, err);
    if (rc) return rc;
    if (!f->field.p)
        return qd_err_set(err, QD_E_ARG, "must provide at least one point for _geo_distance");
    return check(g, g->of.from, r->arena, err);
}

int qdi_sort_geo_bind(const search_sort_field *s, const qd_query_context *q, qd_arena *arena,
                      search_sort_bound *bound, qd_sort_key *k, qd_err *err)
{
    const qd_field *f;
    int rc = qd_mapping_find(q->mapping, s->field, arena, &f, err);
    if (rc) return rc;
    if (!f && !s->geo->ignore_unmapped)
        return qd_err_set(err, QD_E_ARG,
                          "failed to find mapper for [%.*s] for geo distance based "
                          "sort",
                          QD_STR_ARG(s->field));
    if (f && f->value_class != QD_VALUE_GEO)
        return qd_err_set(err, QD_E_ARG,
                          "unable to apply geo distance sort to field [%.*s] of type [%s]",
                          QD_STR_ARG(s->field), qd_field_type_name(f));
    if (f && !f->doc_values) return qdi_search_no_values(f, s->field, q->index, err);
    k->kind = QD_SORT_I64;
    k->field = f ? f->name : s->field;
    k->geo = &s->geo->of;
    k->mode = s->has_mode ? s->mode : s->descending ? QD_SORT_MAX : QD_SORT_MIN;
    /* documents without a point are infinitely far, in whichever order */
    k->missing = QD_SORT_MISSING_VALUE;
    k->missing_value = (qd_sort_value){.kind = QD_SORT_I64, .i64 = qd_f64_encode(HUGE_VAL)};
    bound->kind = SEARCH_VALUE_F64;
    return 0;
}
