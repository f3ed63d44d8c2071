/*
 * parse_metrics.c: the bodies of metric and pipeline aggregations.
 */
#include "aggs/parse/parse_int.h"

/* --- metrics ---------------------------------------------------------------------------------- */

/* "tdigest": {"compression"}, "hdr": {"number_of_significant_value_digits"}; one of them at most.
 */
static int percents_method(qdi_parse *p, qdi_agg *a)
{
    const qd_json_node *t = qd_json_get(a->json, "tdigest"), *h = qd_json_get(a->json, "hdr");
    int64_t digits = 3;
    a->u.percents.compression = 100;
    a->u.percents.digits = -1;
    const char *type = qdi_aggs_type_name(a->type);
    if (t && t->type != QD_JSON_T_OBJECT) return qdi_aggs_wrong_type(p, type, t);
    if (h && h->type != QD_JSON_T_OBJECT) return qdi_aggs_wrong_type(p, type, h);
    int rc = t ? qdi_aggs_members(p, "tdigest", t, "compression") : 0;
    if (rc) return qdi_aggs_setter(p, type, t);
    rc = h ? qdi_aggs_members(p, "hdr", h, "number_of_significant_value_digits") : 0;
    if (rc) return qdi_aggs_setter(p, type, h);
    if (t && h)
        return qdi_aggs_build_arg(p, type, "Only one percentiles method should be declared.");
    const qd_json_node *c = t ? qd_json_get(t, "compression") : NULL;
    const qd_json_node *n = h ? qd_json_get(h, "number_of_significant_value_digits") : NULL;
    if (c && (!qd_json_text(c).p || qd_f64_parse(c->text, &a->u.percents.compression) ||
              !(a->u.percents.compression >= 0) || a->u.percents.compression > 10000)) {
        qdi_aggs_xcontent_error(p, c, "[tdigest] failed to parse field [compression]");
        return qdi_aggs_setter(p, type, t);
    }
    if (a->u.percents.compression < 10) a->u.percents.compression = 10;
    if (n && (!qd_json_text(n).p || qd_i64_parse(n->text, &digits)))
        return qdi_aggs_bad_value(p, a, n);
    if (digits < 0 || digits > 5) {
        qdi_aggs_xcontent_error(p, n,
                                "[hdr] failed to parse field [number_of_significant_value_digits]");
        return qdi_aggs_setter(p, type, h);
    }
    if (h) a->u.percents.digits = (int8_t)digits;
    return 0;
}

int qdi_aggs_parse_percents(qdi_parse *p, qdi_agg *a)
{
    static const double standard[] = {1, 5, 25, 50, 75, 95, 99};
    bool ranks = a->type == QDI_PERCENTILE_RANKS;
    const qd_json_node *m = qd_json_get(a->json, ranks ? "values" : "percents");
    a->keyed = true;
    int rc = qdi_aggs_common(p, a, true);
    if (rc == 0) rc = percents_method(p, a);
    if (rc) return rc;
    const char *type = qdi_aggs_type_name(a->type);
    bool array = m && m->type == QD_JSON_T_ARRAY, scalar = m && qd_json_text(m).p;
    if (m && !array && !scalar) return qdi_aggs_wrong_type(p, type, m);
    uint32_t n = array ? m->n : scalar ? 1 : (uint32_t)QD_COUNT_OF(standard);
    if (ranks && !m)
        return qdi_aggs_build_arg(p, type, "[values] must not be null: [%.*s]",
                                  QD_STR_ARG(a->name));
    if (n == 0)
        return qdi_aggs_build_arg(p, type, "[%.*s] must not be %s: [%.*s]", QD_STR_ARG(m->key),
                                  ranks ? "an empty array" : "empty", QD_STR_ARG(a->name));
    a->u.percents.at = qd_arena_alloc(p->arena, n * sizeof *a->u.percents.at);
    if (!a->u.percents.at) return qd_err_nomem(p->err, "percents");
    if (!m) memcpy(a->u.percents.at, standard, sizeof standard);
    uint32_t i = 0;
    for (const qd_json_node *v = array ? m->first : m; v; v = array ? v->next : NULL, i++) {
        char text[QD_F64_TEXT_MAX];
        if (!qd_json_text(v).p) return qdi_aggs_bad_value(p, a, m);
        if (qd_f64_parse(v->text, &a->u.percents.at[i])) {
            qd_err_set(p->err, QD_E_NUMBER_FORMAT, "For input string: \"%.*s\"",
                       QD_STR_ARG(v->text));
            return qdi_aggs_setter(p, type, m);
        }
        qd_f64_print(text, a->u.percents.at[i]);
        if (!ranks && !(a->u.percents.at[i] >= 0 && a->u.percents.at[i] <= 100))
            return qdi_aggs_build_arg(p, type, "percent must be in [0,100], got [%s]: [%.*s]", text,
                                      QD_STR_ARG(a->name));
    }
    for (uint32_t k = 1; k < n; k++) { /* ascending, as Elasticsearch sorts them */
        double v = a->u.percents.at[k];
        uint32_t j = k;
        for (; j > 0 && a->u.percents.at[j - 1] > v; j--)
            a->u.percents.at[j] = a->u.percents.at[j - 1];
        a->u.percents.at[j] = v;
    }
    a->u.percents.n = n;
    return 0;
}

int qdi_aggs_parse_hits(qdi_parse *p, qdi_agg *a)
{
    int64_t from = 0, size = 3;
    int rc = qdi_aggs_get_i64(p, a, "from", &from);
    if (!rc) rc = qdi_aggs_get_i64(p, a, "size", &size);
    if (rc) return rc;
    if (from < 0 || size < 0)
        return qd_err_set(
            p->err, QD_E_ARG, "[%s] must be greater than or equal to 0. Found [%lld] in [%.*s]",
            from < 0 ? "from" : "size", (long long)(from < 0 ? from : size), QD_STR_ARG(a->name));
    if (from > INT32_MAX || size > INT32_MAX)
        return qdi_aggs_bad_value(p, a, qd_json_get(a->json, from > INT32_MAX ? "from" : "size"));
    a->u.hits.from = (uint32_t)from;
    a->u.hits.size = (uint32_t)size;
    p->tree->scores = true;
    return 0;
}

int qdi_aggs_parse_weighted(qdi_parse *p, qdi_agg *a)
{
    const qd_json_node *v = qd_json_get(a->json, "value"), *w = qd_json_get(a->json, "weight");
    const qd_json_node *f = v ? qd_json_get(v, "field") : NULL,
                       *g = w ? qd_json_get(w, "field") : NULL;
    if (!f || !g || f->type != QD_JSON_T_STRING || g->type != QD_JSON_T_STRING)
        return qd_err_set(p->err, QD_E_ARG,
                          "Required one of fields [field, script], but none were specified. ");
    a->field = f->text;
    a->u.weighted.weight_field = g->text;
    const qd_json_node *m = qd_json_get(v, "missing");
    int rc = 0;
    if (m) {
        a->has_missing = true;
        rc = qdi_aggs_get_value(p, a, m, &a->missing);
    }
    m = qd_json_get(w, "missing");
    if (!rc && m) {
        a->u.weighted.has_weight_missing = true;
        rc = qdi_aggs_get_value(p, a, m, &a->u.weighted.weight_missing);
    }
    m = qd_json_get(a->json, "format");
    if (m && m->type == QD_JSON_T_STRING) a->format = m->text;
    return rc;
}

int qdi_aggs_parse_pipeline(qdi_parse *p, qdi_agg *a)
{
    const qd_json_node *m = qd_json_get(a->json, "buckets_path");
    const qd_json_node *g = qd_json_get(a->json, "gap_policy");
    const qd_json_node *f = qd_json_get(a->json, "format");
    int64_t from = 0, size = 0;
    int rc = 0;
    a->u.pipe.skip_gaps = !(g && qd_str_is(g->text, "insert_zeros"));
    if (f && f->type == QD_JSON_T_STRING) a->format = f->text;
    if (a->type != QDI_BUCKET_SORT) {
        if (!m || m->type != QD_JSON_T_STRING)
            return qdi_aggs_parse_error(
                p, a->json, "Missing required field [buckets_path] for %s aggregation [%.*s]",
                qdi_aggs_type_name(a->type), QD_STR_ARG(a->name));
        a->u.pipe.path_text = m->text;
        return 0;
    }
    a->u.pipe.has_size = qd_json_get(a->json, "size") != NULL;
    rc = qdi_aggs_get_i64(p, a, "from", &from);
    if (!rc) rc = qdi_aggs_get_i64(p, a, "size", &size);
    if (rc) return rc;
    if (from < 0 || size < 0 || from > INT32_MAX || size > INT32_MAX)
        return qd_err_set(p->err, QD_E_ARG, "[from] must be a non-negative integer: [%lld]",
                          (long long)from);
    a->u.pipe.from = (uint32_t)from;
    a->u.pipe.size = (uint32_t)size;
    m = qd_json_get(a->json, "sort");
    if (!m) return 0;
    uint32_t n = m->type == QD_JSON_T_ARRAY ? m->n : 1;
    a->u.pipe.sort = qd_arena_calloc(p->arena, (n + 1) * sizeof *a->u.pipe.sort);
    if (!a->u.pipe.sort) return qd_err_nomem(p->err, "bucket_sort");
    for (const qd_json_node *s = m->type == QD_JSON_T_ARRAY ? m->first : m; s; s = s->next) {
        qdi_order *o = &a->u.pipe.sort[a->u.pipe.nsort++];
        const qd_json_node *e = s;
        *o = (qdi_order){.ascending = true};
        if (s->type == QD_JSON_T_OBJECT && s->n == 1) {
            const qd_json_node *d = s->first;
            e = d;
            if (d->type == QD_JSON_T_OBJECT && qd_json_get(d, "order")) d = qd_json_get(d, "order");
            o->ascending = !qd_str_ieq(d->text, QD_STR("desc"));
        }
        o->text = s->type == QD_JSON_T_STRING ? s->text : e->key;
        o->by = qd_str_is(o->text, "_key")     ? QDI_BY_KEY
                : qd_str_is(o->text, "_count") ? QDI_BY_COUNT
                                               : QDI_BY_METRIC;
        if (m->type != QD_JSON_T_ARRAY) break;
    }
    return 0;
}
