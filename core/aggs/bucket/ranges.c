/*
 * ranges.c: range, date_range, ip_range, geo_distance: [from, to) intervals given by the request.
 */
#include "aggs/bucket/range_int.h"
#include <math.h>

int qdi_aggs_ranges_parse(qdi_parse *p, qdi_agg *a)
{
    int rc = qdi_aggs_common(p, a, true);
    const qd_json_node *m = qd_json_get(a->json, "ranges");
    const char *type = a->type->name;
    if (rc) return rc;
    bool one = m && m->type == QD_JSON_T_OBJECT; /* in place of a list, as ObjectParser takes it */
    if (m && !one && m->type != QD_JSON_T_ARRAY) return qdi_aggs_wrong_type(p, type, m);
    if (!m || (!one && m->n == 0)) return 0; /* refused when the tree is bound */
    uint32_t n = one ? 1 : m->n;
    qdi_ranges_of(a)->at = qd_arena_calloc(p->arena, n * sizeof *qdi_ranges_of(a)->at);
    if (!qdi_ranges_of(a)->at) return qd_err_nomem(p->err, "ranges");
    for (const qd_json_node *r = one ? m : m->first; r; r = one ? NULL : r->next) {
        qdi_range *g = &qdi_ranges_of(a)->at[qdi_ranges_of(a)->n++];
        if (r->type != QD_JSON_T_OBJECT) {
            qdi_aggs_xcontent_error(p, r, "[%s] Expected START_OBJECT but was: %s", type,
                                    r->next ? qd_json_type_token(r->next->type) : "END_ARRAY");
            return qdi_aggs_setter(p, type, m);
        }
        for (const qd_json_node *x = r->first; rc == 0 && x; x = x->next) {
            if (x->type == QD_JSON_T_NULL) continue;
            if (qd_str_is(x->key, "key"))
                g->key = qd_json_text(x);
            else if (qd_str_is(x->key, "from"))
                rc = qdi_aggs_get_value(p, a, x, &g->from);
            else if (qd_str_is(x->key, "to"))
                rc = qdi_aggs_get_value(p, a, x, &g->to);
            else if (qdi_ranges_of(a)->addresses && qd_str_is(x->key, "mask"))
                rc = qdi_aggs_get_value(p, a, x, &g->mask);
            else
                rc = qdi_aggs_unknown(p, "range", "key,from,to", x);
        }
        if (rc) return qdi_aggs_setter(p, type, m);
    }
    return 0;
}

static int range_end(qdi_binder *x, qdi_bound *b, qd_query_value v, bool *has, double *f,
                     uint8_t ip[16])
{
    int64_t unused;
    if (!v.text.p) return 0;
    *has = true;
    if (!qdi_ranges_of(b->def)->addresses) return qdi_aggs_bind_number(x, b, v, f, &unused);
    if (!qd_ip_parse(v.text, ip))
        return qd_err_set(x->err, QD_E_ARG, "'%.*s' is not an IP string literal.",
                          QD_STR_ARG(v.text));
    return 0;
}

static int range_order(const void *arg, const void *pa, const void *pb)
{
    const qdi_bound_range *a = pa, *b = pb;
    (void)arg;
    double af = a->has_from ? a->from : -INFINITY, bf = b->has_from ? b->from : -INFINITY;
    if (af != bf) return af < bf ? -1 : 1;
    int c = memcmp(a->ip_from, b->ip_from, 16);
    if (c) return c;
    double at = a->has_to ? a->to : INFINITY, bt = b->has_to ? b->to : INFINITY;
    if (at != bt) return at < bt ? -1 : 1;
    if (a->has_to != b->has_to) return a->has_to ? -1 : 1;
    return memcmp(a->ip_to, b->ip_to, 16);
}

static size_t end_text(const qdi_bound *b, bool has, double v, const uint8_t ip[16], char out[128])
{
    if (!has) {
        memcpy(out, "*", 2);
        return 1;
    }
    if (qdi_ranges_of(b->def)->addresses) return qd_ip_print(out, ip);
    return qdi_aggs_format_f64(&b->fmt, v, out);
}

int qdi_aggs_ranges_bind(qdi_binder *x, qdi_bound *b)
{
    const qdi_agg *a = b->def;
    uint32_t n = qdi_ranges_of(a)->n;
    if (n == 0)
        return qd_err_set(x->err, QD_E_ARG, "No [ranges] specified for the [%.*s] aggregation",
                          QD_STR_ARG(a->name));
    qdi_bound_range *ranges = qd_arena_calloc(x->arena, n * sizeof *ranges);
    ((qdi_ranges_bound *)b->state)->ranges = ranges;
    if (!ranges) return qd_err_nomem(x->err, "ranges");
    for (uint32_t i = 0; i < n; i++) {
        qdi_bound_range *r = &ranges[i];
        const qdi_range *d = &qdi_ranges_of(a)->at[i];
        int rc = range_end(x, b, d->from, &r->has_from, &r->from, r->ip_from);
        if (!rc) rc = range_end(x, b, d->to, &r->has_to, &r->to, r->ip_to);
        r->key = d->key;
        if (qdi_ranges_of(a)->distances) r->has_from = true; /* no distance is below 0 */
        if (!rc && d->mask.text.p) {
            rc = qd_ip_cidr(d->mask.text, r->ip_from, r->ip_to, x->err);
            for (int k = 15; rc == 0 && k >= 0 && ++r->ip_to[k] == 0; k--) {}
            r->has_from = r->has_to = true;
            if (!r->key.p) r->key = d->mask.text;
        }
        if (rc) return rc;
        if (r->key.p) continue;
        char from[128], to[128];
        end_text(b, r->has_from, r->from, r->ip_from, from);
        end_text(b, r->has_to, r->to, r->ip_to, to);
        if (qdi_ranges_of(a)->distances && !(r->from > 0)) memcpy(from, "*", 2);
        r->key = qd_arena_printf(x->arena, "%s-%s", from, to);
        if (!r->key.p) return qd_err_nomem(x->err, "ranges");
    }
    if (qdi_aggs_sort(x->arena->account, ranges, n, sizeof *ranges, range_order, NULL))
        return qd_err_nomem(x->err, "ranges");
    return 0;
}

/* --- collecting ------------------------------------------------------------------------------- */

typedef struct state {
    bool addresses;
    double *far; /* geo_distance: of a document's values */
    size_t nfar;
    uint32_t (*ords)[2]; /* ip_range: ordinals [from, to) of each range in this segment */
} state;

static int range_open(qdi_aggr *a, qd_err *err)
{
    state *t = a->state = qd_arena_calloc(&a->shard->arena, sizeof *t);
    if (t) t->ords = qd_arena_calloc(&a->shard->arena, qdi_ranges_of(a->def)->n * sizeof *t->ords);
    if (!t || !t->ords)
        return qdi_aggs_no_memory(a->shard->account, sizeof *t, "aggregations", err);
    t->addresses = qdi_ranges_of(a->def)->addresses;
    if (a->src && t->addresses) a->src->want_dict = true;
    return 0;
}

static int range_leaf(qdi_aggr *a, qd_err *err)
{
    state *t = a->state;
    if (!qdi_ranges_of(a->def)->addresses || !a->src || !a->src->dict) return 0;
    for (uint32_t i = 0; i < qdi_ranges_of(a->def)->n; i++) {
        const qdi_bound_range *r = &qdi_ranges_bound_at(a->bound)[i];
        bool found;
        t->ords[i][0] = 0;
        t->ords[i][1] = a->src->ordinals;
        int rc = 0;
        if (r->has_from)
            rc = qd_dict_find(a->src->dict, (qd_str){(const char *)r->ip_from, 16}, &t->ords[i][0],
                              &found, err);
        if (rc == 0 && r->has_to)
            rc = qd_dict_find(a->src->dict, (qd_str){(const char *)r->ip_to, 16}, &t->ords[i][1],
                              &found, err);
        if (rc) return rc;
    }
    return 0;
}

/* The distances of a document's points. */
static int measure(qdi_aggr *a, uint32_t from, uint32_t to, qd_err *err)
{
    state *t = a->state;
    const qdi_ranges *g = qdi_ranges_of(a->def);
    size_t n = to - from;
    if (n > t->nfar) {
        t->far = qd_arena_alloc(&a->shard->arena, 2 * n * sizeof *t->far);
        t->nfar = t->far ? 2 * n : 0;
        if (!t->far)
            return qdi_aggs_no_memory(a->shard->account, n * sizeof *t->far, "aggregations", err);
    }
    for (size_t i = 0; i < n; i++) {
        qd_geo p = qd_geo_decode(a->src->v[from + i]);
        t->far[i] = (g->plane ? qd_geo_plane(g->origin, p) : qd_geo_arc(g->origin, p)) / g->unit;
    }
    return 0;
}

static bool inside(const qdi_aggr *a, uint32_t r, uint32_t from, uint32_t to)
{
    const state *t = a->state;
    const qdi_bound_range *g = &qdi_ranges_bound_at(a->bound)[r];
    for (uint32_t k = from; k < to; k++) {
        if (t->addresses) {
            uint32_t o = a->src->o[k];
            if (o >= t->ords[r][0] && o < t->ords[r][1]) return true;
            continue;
        }
        double v = qdi_ranges_of(a->def)->distances ? t->far[k - from] : a->src->f64[k];
        if ((!g->has_from || v >= g->from) && (!g->has_to || v < g->to)) return true;
    }
    return false;
}

static int range_collect(qdi_aggr *a, const uint32_t *idx, const uint32_t *owner, uint32_t n,
                         qd_err *err)
{
    qdi_source *s = a->src;
    if (!s) return 0;
    int rc = qdi_aggs_source_index(a->shard, s, err);
    bool distances = qdi_ranges_of(a->def)->distances;
    if (rc == 0 && !distances && !qdi_ranges_of(a->def)->addresses)
        rc = qdi_aggs_source_f64(a->shard, s, err);
    if (rc) return rc;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t from, to, bucket, at = idx ? idx[i] : i;
        qdi_source_doc(s, at, &from, &to);
        if (from == to) continue;
        if (distances && (rc = measure(a, from, to, err))) return rc;
        for (uint32_t r = 0; r < qdi_ranges_of(a->def)->n; r++) {
            if (!inside(a, r, from, to)) continue;
            rc = qdi_aggs_bucket(a, owner ? owner[i] : 0, r, &bucket, err);
            if (rc == 0) rc = qdi_emit(a, at, bucket, err);
            if (rc) return rc;
        }
    }
    return qdi_aggs_emit_flush(a, err);
}

static int range_build(qdi_aggr *a, uint32_t owner, qdi_out *out, qd_err *err)
{
    uint32_t n = qdi_ranges_of(a->def)->n;
    out->bound = a->bound; /* unmapped ones show their ranges too */
    return qdi_aggs_build_numbered(a, owner, n, "range", out, err);
}

const qdi_ops qdi_aggs_ranges_ops = {
    .open = range_open, .leaf = range_leaf, .collect = range_collect, .build = range_build};

/* --- results ---------------------------------------------------------------------------------- */

uint32_t qdi_aggs_ranges_buckets(const qdi_agg *a)
{
    return qdi_ranges_of(a)->n;
}

qd_str qdi_aggs_ranges_key_text(const qdi_out *o, uint32_t i, char out[128])
{
    (void)out;
    return o->bound ? qdi_ranges_bound_at(o->bound)[o->b[i].key].key : (qd_str){"", 0};
}

static void write_end(const qdi_out *o, const char *key, const char *text_key, bool has, double v,
                      const uint8_t ip[16], qd_json_writer *w)
{
    char text[128];
    if (!has) return;
    qd_json_key_c(w, key);
    if (qdi_ranges_of(o->def)->addresses) {
        size_t n = qd_ip_print(text, ip);
        qd_json_str(w, (qd_str){text, n});
        return;
    }
    qd_json_double(w, v);
    const qdi_format *f = qdi_aggs_format_of(o);
    if (f->kind != QDI_FMT_RAW) qdi_aggs_write_text(f, text_key, v, w);
}

void qdi_aggs_ranges_write(const qdi_out *o, bool typed, qd_json_writer *w)
{
    qdi_aggs_buckets_open(o->def->keyed, w);
    for (uint32_t i = 0; o->bound && i < o->n; i++) {
        const qdi_bound_range *r = &qdi_ranges_bound_at(o->bound)[o->b[i].key];
        if (o->def->keyed) qd_json_key(w, r->key);
        qd_json_object(w);
        if (!o->def->keyed) qd_json_field_str(w, "key", r->key);
        write_end(o, "from", "from_as_string", r->has_from, r->from, r->ip_from, w);
        write_end(o, "to", "to_as_string", r->has_to, r->to, r->ip_to, w);
        qdi_aggs_bucket_end(o, &o->b[i], false, typed, w);
    }
    qdi_aggs_buckets_close(o->def->keyed, w);
}
