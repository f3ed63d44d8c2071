/*
 * composite.c: composite: pages through all combinations of the values of several sources.
 */
#include "aggs/bucket/composite_int.h"
#include "aggs/reduce/reduce_int.h"

#define SOURCE_MEMBERS "field,missing_bucket,missing_order,order,value_type,"

static const struct {
    const char *type, *members;
} kinds[] = {
    [QDI_SOURCE_TERMS] = {"terms", SOURCE_MEMBERS},
    [QDI_SOURCE_HISTOGRAM] = {"histogram", SOURCE_MEMBERS "interval"},
    [QDI_SOURCE_DATES] = {"date_histogram", SOURCE_MEMBERS
                          "format,calendar_interval,fixed_interval,interval,time_zone,offset"},
};

static int parse_interval(qdi_parse *p, qdi_agg *a)
{
    const qd_json_node *v = qd_json_get(a->json, "interval");
    qdi_rounding *r = &qdi_source_of(a)->round;
    int rc = qdi_aggs_get_f64(p, a, "interval", &r->interval);
    if (rc || r->interval > 0) return rc;
    static const char text[] = "[interval] must be greater than 0 for [histogram] source";
    return v ? qdi_aggs_setter_arg(p, a, v, "%s", text) : qd_err_set(p->err, QD_E_ARG, "%s", text);
}

static int parse_source_order(qdi_parse *p, qdi_agg *a)
{
    const qd_json_node *o = qd_json_get(a->json, "order");
    const qd_json_node *mo = qd_json_get(a->json, "missing_order");
    if (o) {
        qdi_source_of(a)->descending = qd_str_ieq(qd_json_text(o), QD_STR("desc"));
        if (!qdi_source_of(a)->descending && !qd_str_ieq(qd_json_text(o), QD_STR("asc")))
            return qdi_aggs_setter_arg(p, a, o, "Unknown SortOrder [%.*s]",
                                       QD_STR_ARG(qd_json_text(o)));
    }
    if (mo) {
        if (!qdi_aggs_listed("first,last,default", qd_json_text(mo)))
            return qdi_aggs_setter_arg(p, a, mo, "Unknown missing_order [%.*s]",
                                       QD_STR_ARG(qd_json_text(mo)));
        qdi_source_of(a)->missing_order =
            qd_str_is(mo->text, "first") ? -1 : qd_str_is(mo->text, "last");
    }
    return 0;
}

static int parse_source(qdi_parse *p, qdi_agg *parent, const qd_json_node *named, qdi_agg **out)
{
    const qd_json_node *s = named->type == QD_JSON_T_OBJECT ? named->first : NULL;
    qdi_agg *a = *out = qd_arena_calloc(p->arena, sizeof *a);
    if (!a) return qd_err_nomem(p->err, "composite");
    if (!s || named->n != 1 || s->type != QD_JSON_T_OBJECT)
        return qdi_aggs_parse_error(p, named, "Expected a source of type object in [%.*s]",
                                    QD_STR_ARG(named->key));
    a->name = named->key;
    a->json = s;
    a->parent = parent;
    uint32_t kind = 0;
    while (kind < QD_COUNT_OF(kinds) && !qd_str_is(s->key, kinds[kind].type)) kind++;
    if (kind == QD_COUNT_OF(kinds))
        return qdi_aggs_parse_error(p, s, "invalid source type: %.*s", QD_STR_ARG(s->key));
    qdi_composite_source *o = a->params = qd_arena_calloc(p->arena, sizeof *o);
    if (!o) return qd_err_nomem(p->err, "composite");
    o->kind = (qdi_source_kind)kind;
    a->type = qdi_aggs_type_find(s->key);
    int rc = qdi_aggs_members(p, a->type->name, s, kinds[kind].members);
    if (!rc) rc = qdi_aggs_common(p, a, false);
    if (!rc) rc = qdi_aggs_get_bool(p, a, "missing_bucket", &o->missing_bucket);
    if (!rc && o->kind == QDI_SOURCE_HISTOGRAM) rc = parse_interval(p, a);
    if (!rc && o->kind == QDI_SOURCE_DATES) rc = qdi_aggs_rounding_parse(p, a, &o->round);
    return rc ? rc : parse_source_order(p, a);
}

static int composite_parse(qdi_parse *p, qdi_agg *a)
{
    const qd_json_node *m = qd_json_get(a->json, "sources");
    int64_t size = 10;
    int rc = qdi_aggs_get_i64(p, a, "size", &size);
    if (rc) return rc;
    if (m && m->type != QD_JSON_T_ARRAY && m->type != QD_JSON_T_OBJECT)
        return qdi_aggs_wrong_type(p, "composite", m);
    if (!m || m->n == 0)
        return qdi_aggs_build_arg(p, "composite", "Composite [sources] cannot be null or empty");
    if (size <= 0)
        return qd_err_set(p->err, QD_E_ARG, "[size] must be greater than 0. Found [%lld] in [%.*s]",
                          (long long)size, QD_STR_ARG(a->name));
    qdi_composite_of(a)->size = size > INT32_MAX ? INT32_MAX : (uint32_t)size;
    qdi_composite_of(a)->sources =
        qd_arena_calloc(p->arena, (m->n + 1) * sizeof *qdi_composite_of(a)->sources);
    if (!qdi_composite_of(a)->sources) return qd_err_nomem(p->err, "composite");
    for (const qd_json_node *s = m->first; s; s = s->next) {
        const qd_json_node *named = m->type == QD_JSON_T_ARRAY ? s->first : s;
        if (!named || (m->type == QD_JSON_T_ARRAY && (s->type != QD_JSON_T_OBJECT || s->n != 1)))
            return qdi_aggs_bad_value(p, a, m);
        for (uint32_t i = 0; i < qdi_composite_of(a)->n; i++)
            if (qd_str_eq(qdi_composite_of(a)->sources[i]->name, named->key))
                return qdi_aggs_build_arg(
                    p, "composite",
                    "Composite source names must be unique, found duplicates: [%.*s]",
                    QD_STR_ARG(named->key));
        rc = parse_source(p, a, named, &qdi_composite_of(a)->sources[qdi_composite_of(a)->n]);
        if (rc) return qdi_aggs_setter(p, "composite", m);
        qdi_composite_of(a)->n++;
    }
    const qd_json_node *after = qd_json_get(a->json, "after");
    if (after && after->type != QD_JSON_T_OBJECT) return qdi_aggs_wrong_type(p, "composite", after);
    qdi_composite_of(a)->after = after;
    a->nslots = qdi_composite_of(a)->n;
    return 0;
}

/* --- binding ---------------------------------------------------------------------------------- */

static int after_slot(qdi_binder *x, const qdi_bound *b, const qd_json_node *v, qdi_slot *out)
{
    *out = (qdi_slot){.kind = (uint8_t)b->values};
    if (v->type == QD_JSON_T_NULL) {
        out->null = true;
        if (qdi_source_of(b->def)->missing_bucket) return 0;
        return qd_err_set(x->err, QD_E_ARG,
                          "Invalid value for [after.%.*s], expected comparable, got [null]",
                          QD_STR_ARG(b->def->name));
    }
    qd_str t = qd_json_text(v);
    double number;
    if (b->values == QDI_ORD && qdi_source_of(b->def)->kind == QDI_SOURCE_TERMS &&
        v->type != QD_JSON_T_STRING)
        return qd_err_set(x->err, QD_E_ARG, "invalid value, expected string, got %s",
                          v->type == QD_JSON_T_BOOL  ? "Boolean"
                          : qd_str_find(t, '.') >= 0 ? "Double"
                                                     : "Integer");
    if (!t.p)
        return qd_err_set(x->err, QD_E_ARG, "Invalid value of [after] for [%.*s]",
                          QD_STR_ARG(b->def->name));
    if (qdi_source_of(b->def)->kind == QDI_SOURCE_HISTOGRAM) {
        double d;
        if (qd_f64_parse_java(t, &d)) goto bad;
        out->kind = QDI_F64;
        out->i64 = qd_sortable_f64(d);
    } else if (qdi_source_of(b->def)->kind == QDI_SOURCE_DATES || b->fmt.kind == QDI_FMT_DATE) {
        out->kind = QDI_I64;
        if (qd_str_i64(t, &out->i64)) return 0;
        if (!b->def->format.p) goto bad;
        return qd_date_math(b->fmt.date, t, x->q->now_ms, false, b->def->zone, &out->i64, x->err);
    } else if (b->values == QDI_ORD) {
        out->bytes = qd_field_column_bytes(b->field, t, x->arena);
        if (!out->bytes.p) return qd_err_nomem(x->err, "after");
        if (b->fmt.kind == QDI_FMT_IP) {
            uint8_t *ip = qd_arena_alloc(x->arena, 16);
            if (!ip) return qd_err_nomem(x->err, "after");
            if (!qd_ip_parse(t, ip))
                return qd_err_set(x->err, QD_E_ARG, "'%.*s' is not an IP string literal.",
                                  QD_STR_ARG(t));
            out->bytes = (qd_str){(const char *)ip, 16};
        }
    } else if (b->values == QDI_F64) {
        double d;
        if (qd_f64_parse_java(t, &d)) goto bad;
        out->i64 = qd_sortable_f64(d);
    } else if (b->fmt.kind == QDI_FMT_BOOL) {
        out->i64 = qd_str_is(t, "true");
    } else if (b->values == QDI_I64 && !qd_field_whole(b->field, t, &out->i64)) {
        if (b->fmt.kind == QDI_FMT_U64 || v->type != QD_JSON_T_NUMBER ||
            qd_f64_parse_java(t, &number))
            goto bad;
        out->i64 = number >= 9.2e18 ? INT64_MAX : number <= -9.2e18 ? INT64_MIN : (int64_t)number;
    }
    return 0;
bad:
    return qd_err_set(x->err, QD_E_NUMBER_FORMAT, "For input string: \"%.*s\"", QD_STR_ARG(t));
}

static int check_composite(qdi_binder *x, const qdi_agg *a)
{
    int64_t most = x->max_buckets;
    for (const qdi_agg *up = a->parent; up; up = up->parent)
        if (up->type->factory)
            return qd_err_set(x->err, QD_E_ARG,
                              "[composite] aggregation cannot be used with a parent aggregation of "
                              "type: [%s]",
                              up->type->factory);
    if (most < 0 || qdi_composite_of(a)->size <= most) return 0;
    int rc = qd_err_set(x->err, QD_E_TOO_MANY_BUCKETS,
                        "Trying to create too many buckets. Must be less than or equal to: [%lld] "
                        "but was [%u]. This limit can be set by changing the "
                        "[search.max_buckets] cluster level setting.",
                        (long long)most, qdi_composite_of(a)->size);
    qd_err_detail_i64(x->err, "max_buckets", most);
    return rc;
}

static int source_interval(qdi_binder *x, const qdi_agg *source)
{
    const qdi_composite_source *s = qdi_source_of(source);
    if (s->kind == QDI_SOURCE_TERMS) return 0;
    return qdi_aggs_rounding_check(x, source, &s->round, s->kind == QDI_SOURCE_DATES);
}

static int composite_bind(qdi_binder *x, qdi_bound *b)
{
    const qdi_agg *a = b->def;
    int refused = check_composite(x, a);
    if (refused) return refused;
    uint32_t n = qdi_composite_of(a)->n;
    const qd_json_node *after = qdi_composite_of(a)->after;
    qdi_slot *slots = qd_arena_calloc(x->arena, n * sizeof *slots);
    qdi_bound *sources = qd_arena_calloc(x->arena, n * sizeof *sources);
    if (!slots || !sources) return qd_err_nomem(x->err, "composite");
    if (after && after->n != n)
        return qd_err_set(x->err, QD_E_ARG, "[after] has %u value(s) but [sources] has %u",
                          after->n, n);
    for (uint32_t i = 0; i < n; i++) {
        qdi_bound *s = &sources[i];
        s->def = qdi_composite_of(a)->sources[i];
        if (!s->def->field.p)
            return qd_err_set(
                x->err, QD_E_STATE,
                "value source config is invalid; must have either a field or a script");
        if (qdi_source_of(s->def)->missing_order && !qdi_source_of(s->def)->missing_bucket)
            return qd_err_set(x->err, QD_E_ARG, "missing_order require missing_bucket is true");
        refused = source_interval(x, s->def);
        if (refused) return refused;
        int rc = qdi_aggs_bind_field(x, s->def, s->def->field, false, (qd_query_value){0}, s);
        if (rc || !after) {
            if (rc) return rc;
            continue;
        }
        const qd_json_node *v = qd_json_get_str(after, s->def->name);
        if (!v)
            return qd_err_set(x->err, QD_E_ARG, "Missing value for [after.%.*s]",
                              QD_STR_ARG(s->def->name));
        rc = after_slot(x, s, v, &slots[i]);
        if (rc) return rc;
    }
    *qdi_composite_bound_of(b) = (qdi_composite_bound){sources, after ? slots : NULL};
    return 0;
}

/* --- results ---------------------------------------------------------------------------------- */

/* arg is the result that the parts go to. */
static int part_order(const void *arg, const void *pa, const void *pb)
{
    const qdi_out *out = arg;
    const qdi_part *a = pa, *b = pb;
    return qdi_aggs_slots_order(out->def, a->b->slots, b->b->slots);
}

/* How keys are written, by an index that knows the field of a source. */
static int composite_bound(qdi_reduce *r, qdi_out *out, qd_err *err)
{
    uint32_t n = qdi_composite_of(out->def)->n;
    if (!out->bound || r->nbounds < 2) return 0;
    qdi_bound *b = qd_arena_alloc(r->arena, sizeof *b);
    qdi_composite_bound *state = qd_arena_alloc(r->arena, sizeof *state);
    qdi_bound *sources = qd_arena_alloc(r->arena, n * sizeof *sources);
    if (!b || !state || !sources) return qdi_aggs_reduce_no_memory(r, n * sizeof *sources, err);
    *b = *out->bound;
    b->state = state;
    *state = (qdi_composite_bound){sources, NULL};
    for (uint32_t i = 0; i < n; i++) {
        sources[i] = qdi_composite_bound_of(out->bound)->sources[i];
        for (size_t k = 0; k < r->nbounds && !sources[i].field; k++)
            sources[i] = qdi_composite_bound_of(&r->bounds[k]->at[out->def->id])->sources[i];
    }
    out->bound = b;
    return 0;
}

static int composite_reduce(qdi_reduce *r, qdi_out *const *in, uint32_t k, qdi_out *out,
                            qd_err *err)
{
    qdi_part *p;
    uint32_t n;
    int rc = qdi_aggs_gather(r, in, k, false, part_order, out, &p, &n, err);
    if (rc) return rc;
    out->b = qd_arena_calloc(r->arena, (n + 1ul) * sizeof *out->b);
    if (!out->b) rc = qdi_aggs_reduce_no_memory(r, n * sizeof *out->b, err);
    if (rc == 0) rc = composite_bound(r, out, err);
    for (uint32_t i = 0, j; rc == 0 && i < n && out->n < qdi_composite_of(out->def)->size; i = j) {
        j = qdi_aggs_run_end(out, part_order, p, i, n);
        qdi_bucket_out *o = &out->b[out->n++];
        rc = qdi_aggs_merge_bucket(r, out->def, p + i, j - i, o, err);
        if (rc == 0) rc = qdi_aggs_merge_subs(r, out->def, p + i, j - i, &o->subs, err);
    }
    qd_free(p);
    return rc;
}

static void write_slot(const qdi_out *o, uint32_t i, const qdi_slot *s, qd_json_writer *w)
{
    const qdi_bound *b = &qdi_composite_bound_of(o->bound)->sources[i];
    char text[128];
    qd_json_key(w, b->def->name);
    if (s->null) {
        qd_json_null(w);
    } else if (s->kind == QDI_ORD) {
        if (b->fmt.kind == QDI_FMT_IP && s->bytes.n == 16) {
            size_t n = qd_ip_print(text, (const uint8_t *)s->bytes.p);
            qd_json_str(w, (qd_str){text, n});
        } else {
            qd_json_str(w, b->field ? qd_field_column_term(b->field, s->bytes) : s->bytes);
        }
    } else if (s->kind == QDI_F64) {
        qd_json_double(w, qd_sortable_to_f64(s->i64));
    } else if (b->fmt.kind == QDI_FMT_BOOL) {
        qd_json_bool(w, s->i64 != 0);
    } else if (b->fmt.kind == QDI_FMT_DATE && b->def->format.p) {
        size_t n = qdi_aggs_format_i64(&b->fmt, s->i64, text);
        qd_json_str(w, (qd_str){text, n});
    } else if (b->fmt.kind == QDI_FMT_U64) {
        qd_json_uint(w, qd_u64_decode(s->i64));
    } else {
        qd_json_int(w, s->i64);
    }
}

static void write_key(const qdi_out *o, const qdi_slot *slots, qd_json_writer *w)
{
    qd_json_object(w);
    for (uint32_t i = 0; i < qdi_composite_of(o->def)->n; i++) write_slot(o, i, &slots[i], w);
    qd_json_object_end(w);
}

static void composite_write(const qdi_out *o, bool typed, qd_json_writer *w)
{
    if (o->n && o->bound) {
        qd_json_key_c(w, "after_key");
        write_key(o, o->b[o->n - 1].slots, w);
    }
    qdi_aggs_buckets_open(false, w);
    for (uint32_t i = 0; o->bound && i < o->n; i++) {
        qd_json_object(w);
        qd_json_key_c(w, "key");
        write_key(o, o->b[i].slots, w);
        qdi_aggs_bucket_end(o, &o->b[i], false, typed, w);
    }
    qdi_aggs_buckets_close(false, w);
}

const qd_agg_type qdi_aggs_composite = {
    .name = "composite",
    .key = "composite",
    .flags = QDI_MULTI,
    .params_size = sizeof(qdi_composite),
    .bound_size = sizeof(qdi_composite_bound),
    .members = "sources,size,after",
    .parse = composite_parse,
    .bind = composite_bind,
    .factory = "CompositeAggregationFactory",
    .ops = &qdi_aggs_composite_ops,
    .reduce = composite_reduce,
    .write = composite_write,
};
