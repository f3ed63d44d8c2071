/*
 * order.c: the "order" of buckets.
 */
#include "aggs/parse/parse_int.h"

#include "aggs/parse/parse_int.h"
#include "mapping/date_math.h"
#include "query/dsl.h"
#include <math.h>

/* --- order ------------------------------------------------------------------------------------ */

static int order_one(qdi_parse *p, const qd_json_node *m, qdi_order *out)
{
    if (m->type != QD_JSON_T_STRING)
        return qdi_aggs_parse_error(p, m, "Unexpected token [%s] for [order]",
                                    qd_json_type_token(m->type));
    if (qd_str_ieq(m->text, QD_STR("asc")))
        out->ascending = true;
    else if (qd_str_ieq(m->text, QD_STR("desc")))
        out->ascending = false;
    else
        return qdi_aggs_parse_error(p, m, "Unknown order direction [%.*s]", QD_STR_ARG(m->text));
    out->text = m->key;
    bool key = qd_str_is(m->key, "_key") || qd_str_is(m->key, "_term") ||
               qd_str_is(m->key, "_time"); /* the latter two are old names */
    out->by = qd_str_is(m->key, "_count") ? QDI_BY_COUNT : key ? QDI_BY_KEY : QDI_BY_METRIC;
    return 0;
}

/* Of several members the last one counts, as in Elasticsearch. */
static int order_object(qdi_parse *p, const qd_json_node *o, qdi_agg *a)
{
    qdi_order *out = &a->order[a->norder++];
    if (o->type != QD_JSON_T_OBJECT)
        return qdi_aggs_parse_error(p, o, "Unexpected token [%s] for [order]",
                                    qd_json_type_token(o->type));
    if (!o->first) return qdi_aggs_parse_error(p, o, "Must specify at least one field for [order]");
    int rc = 0;
    for (const qd_json_node *m = o->first; rc == 0 && m; m = m->next) rc = order_one(p, m, out);
    return rc;
}

int qdi_aggs_parse_order(qdi_parse *p, qdi_agg *a, qdi_order standard)
{
    const qd_json_node *m = qd_json_get(a->json, "order");
    uint32_t n = m && m->type == QD_JSON_T_ARRAY ? m->n : 1;
    const char *type = a->type->name;
    a->order = qd_arena_calloc(p->arena, (n + 2) * sizeof *a->order);
    if (!a->order) return qd_err_nomem(p->err, "order");
    if (m && m->type != QD_JSON_T_ARRAY && m->type != QD_JSON_T_OBJECT)
        return qdi_aggs_wrong_type(p, type, m);
    int rc = 0;
    if (m && m->type == QD_JSON_T_ARRAY)
        for (const qd_json_node *o = m->first; rc == 0 && o; o = o->next)
            rc = order_object(p, o, a);
    else if (m)
        rc = order_object(p, m, a);
    if (rc) return qdi_aggs_setter(p, type, m);
    if (m && a->norder == 0)
        return qdi_aggs_setter_arg(p, a, m, "Index 0 out of bounds for length 0");
    if (a->norder == 0) a->order[a->norder++] = standard;
    if (a->order[a->norder - 1].by != QDI_BY_KEY)
        a->order[a->norder++] = (qdi_order){.by = QDI_BY_KEY, .ascending = true};
    return 0;
}
