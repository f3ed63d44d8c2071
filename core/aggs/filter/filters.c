/*
 * filters.c: filters: a bucket for each of several queries, and one for the rest.
 */
#include "aggs/filter/filters_int.h"
#include "aggs/reduce/reduce_int.h"

/* Refuses what is no member, and filters that are neither object nor array. */
static int filters_members(qdi_parse *p, const qdi_agg *a)
{
    for (const qd_json_node *x = a->json->first; x; x = x->next)
        if (!qdi_aggs_listed(p->tree->flavour == QD_AGGS_ES8
                                 ? "filters,other_bucket,other_bucket_key,keyed"
                                 : "filters,other_bucket,other_bucket_key",
                             x->key) ||
            (qd_str_is(x->key, "filters") && x->type != QD_JSON_T_OBJECT &&
             x->type != QD_JSON_T_ARRAY))
            return qdi_aggs_parse_error(p, x, "Unknown key for a %s in [%.*s]: [%.*s].",
                                        qd_json_type_token(x->type), QD_STR_ARG(a->name),
                                        QD_STR_ARG(x->key));
    return 0;
}

static int filters_parse(qdi_parse *p, qdi_agg *a)
{
    const qd_json_node *m = qd_json_get(a->json, "filters");
    int rc = 0;
    a->keyed = true;
    const qd_json_node *k = qd_json_get(a->json, "other_bucket_key");
    rc = filters_members(p, a);
    if (!rc) rc = qdi_aggs_get_bool(p, a, "other_bucket", &qdi_filters_of(a)->other);
    if (!rc) rc = qdi_aggs_get_bool(p, a, "keyed", &a->keyed);
    if (rc) return rc;
    if (k && !qd_json_get(a->json, "other_bucket")) qdi_filters_of(a)->other = true;
    qdi_filters_of(a)->other_key = k && k->text.p ? k->text : QD_STR("_other_");
    if (!m) return qd_err_set(p->err, QD_E_ARG, "[filters] cannot be empty.");
    if (m->n == 0) return qd_err_set(p->err, QD_E_ARG, "[filters] cannot be empty.");
    return qdi_aggs_filters_read_all(p, a, m);
}

static uint32_t filters_buckets(const qdi_agg *a)
{
    return qdi_filters_of(a)->n + qdi_filters_of(a)->other;
}

static int filters_build(qdi_aggr *a, uint32_t owner, qdi_out *out, qd_err *err)
{
    return qdi_aggs_build_numbered(a, owner, filters_buckets(a->def), "filters", out, err);
}

static const qdi_ops ops = {
    .open = qdi_aggs_filters_open, .collect = qdi_aggs_filters_collect, .build = filters_build};

static qd_str filter_key(const qdi_agg *d, int64_t i)
{
    if (i >= qdi_filters_of(d)->n) return qdi_filters_of(d)->other_key;
    return qdi_filters_of(d)->keys ? qdi_filters_of(d)->keys[i] : (qd_str){"", 0};
}

static qd_str filters_key_text(const qdi_out *o, uint32_t i, char out[128])
{
    (void)out;
    return filter_key(o->def, o->b[i].key);
}

static void filters_write(const qdi_out *o, bool typed, qd_json_writer *w)
{
    bool named = qdi_filters_of(o->def)->keys != NULL, keyed = named && o->def->keyed;
    qdi_aggs_buckets_open(keyed, w);
    for (uint32_t i = 0; i < o->n; i++) {
        qd_str key = filter_key(o->def, o->b[i].key);
        if (keyed) qd_json_key(w, key);
        qd_json_object(w);
        if (named && !keyed) qd_json_field_str(w, "key", key);
        qdi_aggs_bucket_end(o, &o->b[i], false, typed, w);
    }
    qdi_aggs_buckets_close(keyed, w);
}

const qd_agg_type qdi_aggs_filters = {
    .name = "filters",
    .key = "filters",
    .flags = QDI_MULTI,
    .params_size = sizeof(qdi_filters),
    .bound_size = sizeof(qdi_filters_bound),
    .parse = filters_parse,
    .bind = qdi_aggs_filters_bind,
    .factory = "FiltersAggregatorFactory",
    .ops = &ops,
    .buckets = filters_buckets,
    .reduce = qdi_aggs_reduce_keyed,
    .write = filters_write,
    .key_text = filters_key_text,
};
