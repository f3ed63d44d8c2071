/* lib_doc.c: doc and the values of its fields. */
#include "base/geo.h"
#include "script/painless/lib_int.h"

/* A VALUES: what the host gave, first, and the field it is of. */
typedef struct doc_values {
    qd_script_values v;
    qd_str name;
} doc_values;

int qdp_doc(qdp_vm *vm, int slot, qd_str name, qd_sv *out)
{
    doc_values *d = qd_arena_calloc(&vm->x->arena, sizeof *d);
    const qd_script_host *h = &vm->x->host;
    if (!d) return qdp_nomem(vm);
    d->name = name;
    if (!h->values)
        return qdp_throw(vm, QDI_T_ILLEGAL_ARGUMENT, "No field found for [%.*s] in mapping",
                         QD_STR_ARG(name));
    qd_err why;
    qd_err_init(&why);
    int rc = h->values(h->self, slot, name, &d->v, &why);
    if (rc) rc = qdp_throw(vm, QDI_T_ILLEGAL_ARGUMENT, "%s", qd_err_reason(&why));
    qd_err_fini(&why);
    if (rc) return -1;
    *out = (qd_sv){.tag = QD_SV_VALUES, .object = d};
    return 0;
}

int qdp_doc_at(qdp_vm *vm, const qd_sv *of, int64_t i, qd_sv *out)
{
    const doc_values *d = of->object;
    if (d->v.n == 0)
        return qdp_throw(vm, QDI_T_ILLEGAL_STATE,
                         "A document doesn't have a value for a field! Use doc[<field>].size()==0 "
                         "to check if a document is missing a field!");
    if (d->v.vector)
        return qdp_throw(vm, QDI_T_UNSUPPORTED,
                         "accessing a vector field's value through 'get' or 'value' is not "
                         "supported, use 'vectorValue' or 'magnitude' instead.");
    if (i < 0 || i >= d->v.n)
        return qdp_throw(vm, QDI_T_INDEX_BOUNDS, "Index %lld out of bounds for length %u",
                         (long long)i, d->v.n);
    *out = d->v.v[i];
    return 0;
}

qd_str qdp_doc_name(const qd_sv *of)
{
    return ((const doc_values *)of->object)->name;
}

/* The hot way of doc['f'].value: no object is made. */
int qdp_doc_value(qdp_vm *vm, int slot, qd_str name, qd_sv *out)
{
    const qd_script_host *h = &vm->x->host;
    qd_script_values v;
    qd_sv d;
    if (h->values && h->values(h->self, slot, name, &v, NULL) == 0 && v.n && !v.vector) {
        *out = v.v[0];
        return 0;
    }
    return qdp_doc(vm, slot, name, &d) ? -1 : qdp_doc_at(vm, &d, 0, out); /* what is wrong */
}

QDI_FN(get_value)
{
    (void)n;
    return qdp_doc_at(vm, &a[0], 0, out);
}

QDI_FN(get)
{
    (void)n;
    int64_t i;
    if (qdp_arg_int(vm, &a[1], &i)) return -1;
    return qdp_doc_at(vm, &a[0], i, out);
}

QDI_FN(size)
{
    QDI_UNUSED;
    *out = qd_sv_int((int32_t)((const doc_values *)a[0].object)->v.n);
    return 0;
}

QDI_FN(is_empty)
{
    QDI_UNUSED;
    *out = qd_sv_bool(((const doc_values *)a[0].object)->v.n == 0);
    return 0;
}

QDI_FN(values)
{
    (void)n;
    const doc_values *d = a[0].object;
    if (qd_sv_list_make(&vm->x->arena, d->v.n, out)) return qdp_nomem(vm);
    if (d->v.n) memcpy(out->list->v, d->v.v, d->v.n * sizeof(qd_sv));
    out->list->n = d->v.n;
    out->list->fixed = 1;
    return 0;
}

QDI_FN(contains)
{
    (void)n;
    const doc_values *d = a[0].object;
    bool hit = false;
    for (uint32_t i = 0; i < d->v.n; i++) hit |= qdp_equal(vm, &d->v.v[i], &a[1]);
    *out = qd_sv_bool(hit);
    return qdp_steps(vm, d->v.n / 4);
}

QDI_FN(doc_get)
{
    (void)n;
    qd_str name;
    if (qdp_arg_str(vm, &a[1], &name)) return -1;
    return qdp_doc(vm, -1, name, out);
}

QDI_FN(doc_contains)
{
    (void)n;
    qd_str name;
    if (qdp_arg_str(vm, &a[1], &name)) return -1;
    *out = qd_sv_bool(vm->x->host.has && vm->x->host.has(vm->x->host.self, name));
    return 0;
}

#define V QDI_TAG(VALUES)
const qdp_method qdp_lib_doc[] = {
    {"getValue", 0, 0, QDI_T_DEF, V, get_value},
    {"getValues", 0, 0, QDI_T_LIST, V, values},
    {"get", 1, 0, QDI_T_DEF, V, get},
    {"size", 0, 0, QDI_T_INT, V, size},
    {"getLength", 0, 0, QDI_T_INT, V, size},
    {"isEmpty", 0, 0, QDI_T_BOOLEAN, V, is_empty},
    {"contains", 1, 0, QDI_T_BOOLEAN, V, contains},
    {"get", 1, 0, QDI_T_DEF, QDI_TAG(DOC), doc_get},
    {"containsKey", 1, 0, QDI_T_BOOLEAN, QDI_TAG(DOC), doc_contains},
    {0},
};

/* --- points on the earth ---------------------------------------------------------------------- */

/* The first point of a field. */
static int first_point(qdp_vm *vm, const qd_sv *of, const qd_geo **out)
{
    qd_sv v = {0};
    if (qdp_doc_at(vm, of, 0, &v)) return -1;
    if (v.tag != QD_SV_GEO)
        return qdp_throw(vm, QDI_T_ILLEGAL_ARGUMENT, "the field [%.*s] has no points",
                         QD_STR_ARG(((const doc_values *)of->object)->name));
    *out = v.object;
    return 0;
}

QDI_FN(point_lat)
{
    QDI_UNUSED;
    *out = qd_sv_double(((const qd_geo *)a[0].object)->lat);
    return 0;
}

QDI_FN(point_lon)
{
    QDI_UNUSED;
    *out = qd_sv_double(((const qd_geo *)a[0].object)->lon);
    return 0;
}

/* What stands for the distance of a document without a point. */
static int otherwise(qdp_vm *vm, const qd_sv *v, qd_sv *out)
{
    double d;
    if (qdp_arg_f64(vm, v, &d)) return -1;
    *out = qd_sv_double(d);
    return 0;
}

/* Meters from the first point to a[1], a[2]; from a document without one, a[3]. */
static int meters(qdp_vm *vm, const qd_sv *a, uint32_t n, bool plane, qd_sv *out)
{
    const qd_geo *p;
    qd_geo to;
    if (qdp_arg_f64(vm, &a[1], &to.lat) || qdp_arg_f64(vm, &a[2], &to.lon)) return -1;
    if (n > 2 && ((const doc_values *)a[0].object)->v.n == 0) return otherwise(vm, &a[3], out);
    if (first_point(vm, &a[0], &p)) return -1;
    *out = qd_sv_double(plane ? qd_geo_plane(*p, to) : qd_geo_arc(*p, to));
    return 0;
}

QDI_FN(arc_distance)
{
    return meters(vm, a, n, false, out);
}

QDI_FN(plane_distance)
{
    return meters(vm, a, n, true, out);
}

/* To the corner of the cell of a geohash. */
QDI_FN(geohash_distance)
{
    const qd_geo *p;
    qd_str hash;
    qd_geo to;
    if (qdp_arg_str(vm, &a[1], &hash)) return -1;
    if (!hash.n || qd_geohash_parse(hash, QD_GEO_BOTTOM_LEFT, &to) != SIZE_MAX)
        return qdp_throw(vm, QDI_T_ILLEGAL_ARGUMENT, "[%.*s] is no geohash",
                         (int)(hash.n < 100 ? hash.n : 100), hash.p);
    if (n > 1 && ((const doc_values *)a[0].object)->v.n == 0) return otherwise(vm, &a[2], out);
    if (first_point(vm, &a[0], &p)) return -1;
    *out = qd_sv_double(qd_geo_arc(*p, to));
    return 0;
}

QDI_FN(first_lat)
{
    const qd_geo *p;
    (void)n;
    if (first_point(vm, &a[0], &p)) return -1;
    *out = qd_sv_double(p->lat);
    return 0;
}

QDI_FN(first_lon)
{
    const qd_geo *p;
    (void)n;
    if (first_point(vm, &a[0], &p)) return -1;
    *out = qd_sv_double(p->lon);
    return 0;
}

#define P QDI_TAG(GEO)
const qdp_method qdp_lib_geo[] = {
    {"getLat", 0, 0, QDI_T_DOUBLE, P, point_lat},
    {"lat", 0, 0, QDI_T_DOUBLE, P, point_lat},
    {"getLon", 0, 0, QDI_T_DOUBLE, P, point_lon},
    {"lon", 0, 0, QDI_T_DOUBLE, P, point_lon},
    {"getLat", 0, 0, QDI_T_DOUBLE, V, first_lat},
    {"getLon", 0, 0, QDI_T_DOUBLE, V, first_lon},
    {"arcDistance", 2, 0, QDI_T_DOUBLE, V, arc_distance},
    {"arcDistanceWithDefault", 3, 0, QDI_T_DOUBLE, V, arc_distance},
    {"planeDistance", 2, 0, QDI_T_DOUBLE, V, plane_distance},
    {"planeDistanceWithDefault", 3, 0, QDI_T_DOUBLE, V, plane_distance},
    {"geohashDistance", 1, 0, QDI_T_DOUBLE, V, geohash_distance},
    {"geohashDistanceWithDefault", 2, 0, QDI_T_DOUBLE, V, geohash_distance},
    {0},
};
