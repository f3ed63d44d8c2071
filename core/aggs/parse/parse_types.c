/*
 * parse_types.c: the bodies of bucket aggregations.
 */
#include "aggs/parse/parse_int.h"
#include "mapping/date_math.h"
#include "query/dsl.h"
#include <math.h>

/* --- order ------------------------------------------------------------------------------------ */

static int order_one(qdi_parse *p, const qd_json_node *m, qdi_order *out)
{
    if (m->type != QD_JSON_T_STRING)
        return qdi_aggs_parse_error(p, m, "Unexpected token [%s] for [order]", qdi_aggs_token(m));
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
        return qdi_aggs_parse_error(p, o, "Unexpected token [%s] for [order]", qdi_aggs_token(o));
    if (!o->first) return qdi_aggs_parse_error(p, o, "Must specify at least one field for [order]");
    int rc = 0;
    for (const qd_json_node *m = o->first; rc == 0 && m; m = m->next) rc = order_one(p, m, out);
    return rc;
}

/* Ties go by key: added unless the order has it. */
static int parse_order(qdi_parse *p, qdi_agg *a, qdi_order standard)
{
    const qd_json_node *m = qd_json_get(a->json, "order");
    uint32_t n = m && m->type == QD_JSON_T_ARRAY ? m->n : 1;
    const char *type = qdi_aggs_type_name(a->type);
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

/* --- terms ------------------------------------------------------------------------------------ */

static int text_list(qdi_parse *p, qdi_agg *a, const qd_json_node *m, const qd_str **out,
                     uint32_t *n)
{
    qd_str *at = qd_arena_calloc(p->arena, (m->n + 1) * sizeof *at);
    if (!at) return qd_err_nomem(p->err, "terms to include");
    *n = 0;
    for (const qd_json_node *e = m->first; e; e = e->next) {
        qd_str t = qd_json_text(e);
        if (!t.p) return qdi_aggs_bad_value(p, a, m);
        at[(*n)++] = t;
    }
    *out = at;
    return 0;
}

static int parse_partition(qdi_parse *p, qdi_agg *a, const qd_json_node *m)
{
    qdi_include *in = &a->u.terms.include;
    int64_t part = -1, parts = -1;
    const qd_json_node *c = qd_json_get(m, "partition"), *d = qd_json_get(m, "num_partitions");
    if (c && (!qd_json_text(c).p || qd_i64_parse(c->text, &part)))
        return qdi_aggs_bad_value(p, a, m);
    if (d && (!qd_json_text(d).p || qd_i64_parse(d->text, &parts)))
        return qdi_aggs_bad_value(p, a, m);
    if (part < 0)
        return qdi_aggs_setter_arg(p, a, m,
                                   "Missing [partition] parameter for partition-based include");
    if (parts < 0)
        return qdi_aggs_setter_arg(
            p, a, m, "Missing [num_partitions] parameter for partition-based include");
    if (part >= parts || parts > INT32_MAX)
        return qdi_aggs_setter_arg(
            p, a, m, "Partition must be >=0 and < numPartition which is %lld", (long long)parts);
    in->partition = (uint32_t)part;
    in->partitions = (uint32_t)parts;
    return 0;
}

static int parse_include(qdi_parse *p, qdi_agg *a)
{
    qdi_include *in = &a->u.terms.include;
    const qd_json_node *m = qd_json_get(a->json, "include"), *x = qd_json_get(a->json, "exclude");
    int rc = 0;
    in->any = m || x;
    if (m && m->type != QD_JSON_T_OBJECT && m->type != QD_JSON_T_ARRAY &&
        m->type != QD_JSON_T_STRING)
        return qdi_aggs_wrong_type(p, "terms", m);
    if (x && x->type != QD_JSON_T_ARRAY && x->type != QD_JSON_T_STRING)
        return qdi_aggs_wrong_type(p, "terms", x);
    if (m && m->type == QD_JSON_T_OBJECT) {
        rc = parse_partition(p, a, m);
        if (rc == 0 && x)
            return qdi_aggs_setter_arg(
                p, a, x, "Cannot specify any excludes when using a partition-based include");
    } else if (m && m->type == QD_JSON_T_ARRAY) {
        in->has_list = true;
        rc = text_list(p, a, m, &in->list, &in->nlist);
    } else if (m) {
        in->include = m->text;
    }
    if (rc || !x) return rc;
    if (m && p->tree->flavour != QD_AGGS_ES8 && m->type != x->type)
        return qdi_aggs_setter_arg(p, a, x, "Cannot mix a %s-based include with a %s-based method",
                                   m->type == QD_JSON_T_STRING ? "regex" : "set",
                                   x->type == QD_JSON_T_STRING ? "regex" : "set");
    if (x->type == QD_JSON_T_ARRAY) {
        in->has_not_list = true;
        return text_list(p, a, x, &in->not_list, &in->nnot_list);
    }
    in->exclude = x->text;
    return 0;
}

/* Refuses a number below its least value, as the setter of Elasticsearch's builder does. */
static int at_least(qdi_parse *p, const qdi_agg *a, const char *key, const char *name, int64_t v,
                    int64_t least)
{
    const qd_json_node *m = qd_json_get(a->json, key);
    if (v >= least || !m) return 0;
    return qdi_aggs_setter_arg(p, a, m, "[%s] must be greater than %s0. Found [%lld] in [%.*s]",
                               name, least ? "" : "or equal to ", (long long)v,
                               QD_STR_ARG(a->name));
}

static int check_hints(qdi_parse *p, const qdi_agg *a)
{
    const qd_json_node *c = qd_json_get(a->json, "collect_mode"),
                       *h = qd_json_get(a->json, "execution_hint");
    if (c && c->type != QD_JSON_T_STRING) return qdi_aggs_wrong_type(p, "terms", c);
    if (h && h->type != QD_JSON_T_STRING) return qdi_aggs_wrong_type(p, "terms", h);
    if (c && !qdi_aggs_listed("depth_first,breadth_first", c->text)) {
        qd_err_set(p->err, QD_E_ES_PARSE, "no [collect_mode] found for value [%.*s]",
                   QD_STR_ARG(c->text));
        return qdi_aggs_setter(p, "terms", c);
    }
    return 0;
}

static int parse_terms(qdi_parse *p, qdi_agg *a)
{
    int64_t size = 10, shard_size = -1, shard_min = 0;
    int rc = qdi_aggs_common(p, a, true);
    a->min_doc_count = 1;
    if (!rc) rc = check_hints(p, a);
    if (!rc) rc = qdi_aggs_get_i64(p, a, "size", &size);
    if (!rc) rc = qdi_aggs_get_i64(p, a, "shard_size", &shard_size);
    if (!rc) rc = qdi_aggs_get_i64(p, a, "min_doc_count", &a->min_doc_count);
    if (!rc) rc = qdi_aggs_get_i64(p, a, "shard_min_doc_count", &shard_min);
    if (!rc) rc = qdi_aggs_get_bool(p, a, "show_term_doc_count_error", &a->u.terms.show_error);
    if (!rc) rc = parse_include(p, a);
    if (!rc) rc = parse_order(p, a, (qdi_order){.by = QDI_BY_COUNT});
    if (!rc) rc = at_least(p, a, "size", "size", size, 1);
    if (!rc) rc = at_least(p, a, "shard_size", "shardSize", shard_size, 1);
    if (!rc) rc = at_least(p, a, "min_doc_count", "minDocCount", a->min_doc_count, 0);
    if (!rc) rc = at_least(p, a, "shard_min_doc_count", "shardMinDocCount", shard_min, 0);
    if (rc) return rc;
    if (shard_size < 0)
        shard_size = a->order[0].by == QDI_BY_KEY ? size : (int64_t)((double)size * 1.5 + 10);
    if (shard_size < size) shard_size = size;
    a->u.terms.size = (uint32_t)size;
    a->u.terms.shard_size = (uint32_t)(shard_size > INT32_MAX ? INT32_MAX : shard_size);
    a->u.terms.shard_min_doc_count = shard_min > a->min_doc_count ? a->min_doc_count : shard_min;
    return 0;
}

/* --- histograms ------------------------------------------------------------------------------- */

static int get_bounds(qdi_parse *p, qdi_agg *a, const char *key, qd_query_value out[2])
{
    const qd_json_node *m = qd_json_get(a->json, key);
    const char *type = a->type == QDI_HISTOGRAM ? "double_bounds" : "bounds";
    double v;
    if (!m) return 0;
    if (m->type != QD_JSON_T_OBJECT) return qdi_aggs_wrong_type(p, qdi_aggs_type_name(a->type), m);
    for (const qd_json_node *b = m->first; b; b = b->next) {
        int i = qd_str_is(b->key, "min") ? 0 : qd_str_is(b->key, "max") ? 1 : -1;
        if (i < 0) {
            qdi_aggs_xcontent_error(p, b, "[%s] unknown field [%.*s]", type, QD_STR_ARG(b->key));
            return qdi_aggs_setter(p, qdi_aggs_type_name(a->type), m);
        }
        if (a->type == QDI_HISTOGRAM && b->type == QD_JSON_T_STRING && qd_f64_parse(b->text, &v)) {
            qdi_aggs_xcontent_error(p, b, "[%s] failed to parse field [%.*s]", type,
                                    QD_STR_ARG(b->key));
            return qdi_aggs_setter(p, qdi_aggs_type_name(a->type), m);
        }
        if (b->type == QD_JSON_T_NULL) continue;
        int rc = qdi_aggs_get_value(p, a, b, &out[i]);
        if (rc) return rc;
    }
    return 0;
}

static int parse_histogram(qdi_parse *p, qdi_agg *a)
{
    int rc = qdi_aggs_common(p, a, true);
    const qd_json_node *m;
    a->u.histogram.interval = 0;
    if (!rc) rc = qdi_aggs_get_f64(p, a, "interval", &a->u.histogram.interval);
    if (!rc) rc = qdi_aggs_get_f64(p, a, "offset", &a->u.histogram.offset);
    if (!rc) rc = qdi_aggs_get_i64(p, a, "min_doc_count", &a->min_doc_count);
    if (!rc) rc = get_bounds(p, a, "extended_bounds", a->u.histogram.bounds[0]);
    if (!rc) rc = get_bounds(p, a, "hard_bounds", a->u.histogram.bounds[1]);
    if (!rc) rc = parse_order(p, a, (qdi_order){.by = QDI_BY_KEY, .ascending = true});
    if (!rc) rc = at_least(p, a, "min_doc_count", "minDocCount", a->min_doc_count, 0);
    if (rc) return rc;
    m = qd_json_get(a->json, "interval");
    if (m && (!(a->u.histogram.interval > 0) || !isfinite(a->u.histogram.interval)))
        return qdi_aggs_setter_arg(
            p, a, m, "[interval] must be >0 for histogram aggregation [%.*s]", QD_STR_ARG(a->name));
    return 0;
}

static bool calendar_unit(qd_str s, qd_date_unit *out)
{
    static const struct {
        const char *a, *b;
        qd_date_unit unit;
    } units[] = {{"second", "1s", QD_UNIT_SECOND},   {"minute", "1m", QD_UNIT_MINUTE},
                 {"hour", "1h", QD_UNIT_HOUR},       {"day", "1d", QD_UNIT_DAY},
                 {"week", "1w", QD_UNIT_WEEK},       {"month", "1M", QD_UNIT_MONTH},
                 {"quarter", "1q", QD_UNIT_QUARTER}, {"year", "1y", QD_UNIT_YEAR}};
    for (size_t i = 0; i < QD_COUNT_OF(units); i++)
        if (qd_str_is(s, units[i].a) || qd_str_is(s, units[i].b)) {
            *out = units[i].unit;
            return true;
        }
    return false;
}

/* "30d", "90m", "250ms", also with a sign when one is allowed. */
static bool time_value(qd_str s, bool with_sign, int64_t *ms)
{
    static const struct {
        const char *unit;
        int64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    bool minus = false;
    if (with_sign && s.n && (s.p[0] == '-' || s.p[0] == '+')) {
        minus = s.p[0] == '-';
        s = qd_str_sub(s, 1, s.n);
    }
    for (size_t i = 0; i < QD_COUNT_OF(units); i++) {
        qd_str u = qd_str_c(units[i].unit);
        int64_t n;
        if (!qd_str_ends(s, u)) continue;
        if (!qd_str_i64(qd_str_sub(s, 0, s.n - u.n), &n) || n < 0) continue;
        if (n > INT64_MAX / units[i].ms) return false;
        *ms = minus ? -n * units[i].ms : n * units[i].ms;
        return true;
    }
    return false;
}

static int fixed_interval(qdi_parse *p, const qdi_agg *a, const qd_json_node *f, int64_t *interval)
{
    if (f->type != QD_JSON_T_STRING) return qdi_aggs_wrong_type(p, qdi_aggs_type_name(a->type), f);
    if (time_value(f->text, true, interval)) return 0;
    double v;
    qd_str t = f->text;
    while (t.n && !(t.p[t.n - 1] >= '0' && t.p[t.n - 1] <= '9')) t.n--;
    if (qd_str_find(t, '.') >= 0 && t.n < f->text.n && qd_f64_parse(t, &v) == 0)
        return qdi_aggs_setter_arg(
            p, a, f, "failed to parse [%.*s], fractional time values are not supported",
            QD_STR_ARG(f->text));
    return qdi_aggs_setter_arg(
        p, a, f,
        "failed to parse setting [date_histogram.fixedInterval] with value [%.*s] as a time "
        "value: unit is missing or unrecognized",
        QD_STR_ARG(f->text));
}

static int get_offset(qdi_parse *p, const qdi_agg *a, int64_t *offset)
{
    const qd_json_node *o = qd_json_get(a->json, "offset");
    if (!o || (o->type == QD_JSON_T_NUMBER && qd_str_i64(o->text, offset))) return 0;
    if (o->type != QD_JSON_T_STRING) return qdi_aggs_wrong_type(p, qdi_aggs_type_name(a->type), o);
    if (time_value(o->text, true, offset)) return 0;
    return qdi_aggs_setter_arg(
        p, a, o,
        "failed to parse setting [DateHistogramAggregationBuilder.parseOffset] with value [%.*s] "
        "as a time value: unit is missing or unrecognized",
        QD_STR_ARG(o->text));
}

/* No interval at all, and one that is not positive, are refused when the tree is bound. */
static int get_intervals(qdi_parse *p, qdi_agg *a, bool *calendar, qd_date_unit *unit,
                         int64_t *interval, int64_t *offset)
{
    const qd_json_node *c = qd_json_get(a->json, "calendar_interval");
    const qd_json_node *f = qd_json_get(a->json, "fixed_interval");
    const qd_json_node *old = qd_json_get(a->json, "interval"); /* of older products */
    static const int64_t fixed[] = {1000, 60000, 3600000};
    if (c && f)
        return qdi_aggs_setter_arg(p, a, f, "Cannot use [%s] with [%s] configuration option.",
                                   "fixed_interval", "calendar_interval");
    if (old && (c || f))
        return qdi_aggs_setter_arg(p, a, c ? c : f,
                                   "Cannot use [%s] with [interval] configuration option.",
                                   c ? "calendar_interval" : "fixed_interval");
    int rc = get_offset(p, a, offset);
    if (rc) return rc;
    if (old && old->type == QD_JSON_T_NUMBER && qd_str_i64(old->text, interval)) return 0;
    if (old && old->type == QD_JSON_T_STRING && calendar_unit(old->text, unit))
        c = old;
    else if (old)
        f = old;
    if (f) return fixed_interval(p, a, f, interval);
    if (!c) return 0;
    if (c->type != QD_JSON_T_STRING) return qdi_aggs_wrong_type(p, qdi_aggs_type_name(a->type), c);
    if (!calendar_unit(c->text, unit))
        return qdi_aggs_setter_arg(
            p, a, c, "The supplied interval [%.*s] could not be parsed as a calendar interval.",
            QD_STR_ARG(c->text));
    *calendar = true;
    *interval = *unit <= QD_UNIT_HOUR ? fixed[*unit] : 0;
    return 0;
}

static int parse_date_histogram(qdi_parse *p, qdi_agg *a)
{
    int rc = qdi_aggs_common(p, a, true);
    if (!rc)
        rc = get_intervals(p, a, &a->u.histogram.calendar, &a->u.histogram.unit,
                           &a->u.histogram.interval_ms, &a->u.histogram.offset_ms);
    if (!rc) rc = qdi_aggs_get_i64(p, a, "min_doc_count", &a->min_doc_count);
    if (!rc) rc = get_bounds(p, a, "extended_bounds", a->u.histogram.bounds[0]);
    if (!rc) rc = get_bounds(p, a, "hard_bounds", a->u.histogram.bounds[1]);
    if (!rc) rc = parse_order(p, a, (qdi_order){.by = QDI_BY_KEY, .ascending = true});
    return rc ? rc : at_least(p, a, "min_doc_count", "minDocCount", a->min_doc_count, 0);
}

/* --- ranges and filters ----------------------------------------------------------------------- */

static int parse_ranges(qdi_parse *p, qdi_agg *a)
{
    int rc = qdi_aggs_common(p, a, true);
    const qd_json_node *m = qd_json_get(a->json, "ranges");
    const char *type = qdi_aggs_type_name(a->type);
    if (rc) return rc;
    if (m && m->type != QD_JSON_T_ARRAY) return qdi_aggs_wrong_type(p, type, m);
    if (!m || m->n == 0) return 0; /* refused when the tree is bound */
    a->u.range.at = qd_arena_calloc(p->arena, m->n * sizeof *a->u.range.at);
    if (!a->u.range.at) return qd_err_nomem(p->err, "ranges");
    for (const qd_json_node *r = m->first; r; r = r->next) {
        qdi_range *g = &a->u.range.at[a->u.range.n++];
        if (r->type != QD_JSON_T_OBJECT) {
            qdi_aggs_xcontent_error(p, r, "[%s] Expected START_OBJECT but was: %s", type,
                                    r->next ? qdi_aggs_token(r->next) : "END_ARRAY");
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
            else if (a->type == QDI_IP_RANGE && qd_str_is(x->key, "mask"))
                rc = qdi_aggs_get_value(p, a, x, &g->mask);
            else
                rc = qdi_aggs_unknown(p, "range", "key,from,to", x);
        }
        if (rc) return qdi_aggs_setter(p, type, m);
    }
    return 0;
}

static int read_query(qdi_parse *p, const qd_json_node *m, const qd_query **out)
{
    qd_query_reading how = *p->how->reading;
    how.arena = p->arena;
    if (!how.origin) how.origin = p->how->body.p;
    int rc = qd_query_read_text(&how, m->raw, out, p->err);
    if (rc == 0 && qd_query_uses_now(*out)) p->tree->uses_now = true;
    return rc;
}

static int parse_filters(qdi_parse *p, qdi_agg *a)
{
    const qd_json_node *m = a->type == QDI_FILTER ? a->json : qd_json_get(a->json, "filters");
    int rc = 0;
    a->keyed = true;
    if (a->type == QDI_FILTERS) {
        const qd_json_node *k = qd_json_get(a->json, "other_bucket_key");
        for (const qd_json_node *x = a->json->first; x; x = x->next)
            if (!qdi_aggs_listed(p->tree->flavour == QD_AGGS_ES8
                                     ? "filters,other_bucket,other_bucket_key,keyed"
                                     : "filters,other_bucket,other_bucket_key",
                                 x->key) ||
                (qd_str_is(x->key, "filters") && x->type != QD_JSON_T_OBJECT &&
                 x->type != QD_JSON_T_ARRAY))
                return qdi_aggs_parse_error(p, x, "Unknown key for a %s in [%.*s]: [%.*s].",
                                            qdi_aggs_token(x), QD_STR_ARG(a->name),
                                            QD_STR_ARG(x->key));
        rc = qdi_aggs_get_bool(p, a, "other_bucket", &a->u.filters.other);
        if (!rc) rc = qdi_aggs_get_bool(p, a, "keyed", &a->keyed);
        if (rc) return rc;
        if (k && !qd_json_get(a->json, "other_bucket")) a->u.filters.other = true;
        a->u.filters.other_key = k && k->text.p ? k->text : QD_STR("_other_");
        if (!m) return qd_err_set(p->err, QD_E_ARG, "[filters] cannot be empty.");
    }
    uint32_t n = a->type == QDI_FILTER ? 1 : m->n;
    if (n > QD_AGGS_FILTERS_MAX - p->tree->nfilters)
        return qdi_aggs_parse_error(p, m, "The aggregations of a request hold at most [%u] filters",
                                    QD_AGGS_FILTERS_MAX);
    p->tree->nfilters += n;
    a->u.filters.queries = qd_arena_calloc(p->arena, (n + 1) * sizeof *a->u.filters.queries);
    if (!a->u.filters.queries) return qd_err_nomem(p->err, "filters");
    a->u.filters.n = n;
    if (a->type == QDI_FILTER) return read_query(p, m, a->u.filters.queries);
    if (n == 0) return qd_err_set(p->err, QD_E_ARG, "[filters] cannot be empty.");
    if (m->type == QD_JSON_T_OBJECT) {
        a->u.filters.keys = qd_arena_calloc(p->arena, n * sizeof *a->u.filters.keys);
        if (!a->u.filters.keys) return qd_err_nomem(p->err, "filters");
    }
    uint32_t i = 0;
    for (const qd_json_node *f = m->first; rc == 0 && f; f = f->next, i++) {
        uint32_t at = i; /* named ones by name */
        for (; a->u.filters.keys && at > 0 && qd_str_cmp(a->u.filters.keys[at - 1], f->key) > 0;
             at--) {
            a->u.filters.keys[at] = a->u.filters.keys[at - 1];
            a->u.filters.queries[at] = a->u.filters.queries[at - 1];
        }
        if (a->u.filters.keys) a->u.filters.keys[at] = f->key;
        rc = read_query(p, f, &a->u.filters.queries[at]);
    }
    return rc;
}

/* --- composite -------------------------------------------------------------------------------- */

#define SOURCE_MEMBERS "field,missing_bucket,missing_order,order,value_type,"

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
    const char *members = SOURCE_MEMBERS;
    if (qd_str_is(s->key, "terms")) {
        a->type = QDI_TERMS;
    } else if (qd_str_is(s->key, "histogram")) {
        a->type = QDI_HISTOGRAM;
        members = SOURCE_MEMBERS "interval";
    } else if (qd_str_is(s->key, "date_histogram")) {
        a->type = QDI_DATE_HISTOGRAM;
        members =
            SOURCE_MEMBERS "format,calendar_interval,fixed_interval,interval,time_zone,offset";
    } else {
        return qdi_aggs_parse_error(p, s, "invalid source type: %.*s", QD_STR_ARG(s->key));
    }
    int rc = qdi_aggs_members(p, qdi_aggs_type_name(a->type), s, members);
    if (!rc) rc = qdi_aggs_common(p, a, false);
    if (!rc) rc = qdi_aggs_get_bool(p, a, "missing_bucket", &a->u.source.missing_bucket);
    if (!rc && a->type == QDI_HISTOGRAM) {
        const qd_json_node *v = qd_json_get(s, "interval");
        rc = qdi_aggs_get_f64(p, a, "interval", &a->u.source.interval);
        if (!rc && v && !(a->u.source.interval > 0))
            return qdi_aggs_setter_arg(p, a, v,
                                       "[interval] must be greater than 0 for [histogram] source");
        if (!rc && !v)
            return qd_err_set(p->err, QD_E_ARG,
                              "[interval] must be greater than 0 for [histogram] source");
    }
    if (!rc && a->type == QDI_DATE_HISTOGRAM)
        rc = get_intervals(p, a, &a->u.source.calendar, &a->u.source.unit, &a->u.source.interval_ms,
                           &a->u.source.offset_ms);
    const qd_json_node *o = qd_json_get(s, "order"), *mo = qd_json_get(s, "missing_order");
    if (!rc && o) {
        a->u.source.descending = qd_str_ieq(qd_json_text(o), QD_STR("desc"));
        if (!a->u.source.descending && !qd_str_ieq(qd_json_text(o), QD_STR("asc")))
            return qdi_aggs_setter_arg(p, a, o, "Unknown SortOrder [%.*s]",
                                       QD_STR_ARG(qd_json_text(o)));
    }
    if (!rc && mo) {
        if (!qdi_aggs_listed("first,last,default", qd_json_text(mo)))
            return qdi_aggs_setter_arg(p, a, mo, "Unknown missing_order [%.*s]",
                                       QD_STR_ARG(qd_json_text(mo)));
        a->u.source.missing_order = qd_str_is(mo->text, "first") ? -1 : qd_str_is(mo->text, "last");
    }
    return rc;
}

static int parse_composite(qdi_parse *p, qdi_agg *a)
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
    a->u.composite.size = size > INT32_MAX ? INT32_MAX : (uint32_t)size;
    a->u.composite.sources = qd_arena_calloc(p->arena, (m->n + 1) * sizeof *a->u.composite.sources);
    if (!a->u.composite.sources) return qd_err_nomem(p->err, "composite");
    for (const qd_json_node *s = m->first; s; s = s->next) {
        const qd_json_node *named = m->type == QD_JSON_T_ARRAY ? s->first : s;
        if (!named || (m->type == QD_JSON_T_ARRAY && (s->type != QD_JSON_T_OBJECT || s->n != 1)))
            return qdi_aggs_bad_value(p, a, m);
        for (uint32_t i = 0; i < a->u.composite.n; i++)
            if (qd_str_eq(a->u.composite.sources[i]->name, named->key))
                return qdi_aggs_build_arg(
                    p, "composite",
                    "Composite source names must be unique, found duplicates: [%.*s]",
                    QD_STR_ARG(named->key));
        rc = parse_source(p, a, named, &a->u.composite.sources[a->u.composite.n]);
        if (rc) return qdi_aggs_setter(p, "composite", m);
        a->u.composite.n++;
    }
    const qd_json_node *after = qd_json_get(a->json, "after");
    if (after && after->type != QD_JSON_T_OBJECT) return qdi_aggs_wrong_type(p, "composite", after);
    a->u.composite.after = after;
    return 0;
}

#define NUMERIC "field,missing,format,value_type"
#define DATE_HISTOGRAM                                                                             \
    "field,missing,format,value_type,calendar_interval,fixed_interval,offset,time_zone,"           \
    "min_doc_count,extended_bounds,hard_bounds,order,keyed"
#define PIPE "buckets_path,gap_policy,format"

/* Members that each type knows; NULL: anything (checked elsewhere). */
static const char *members_of(qdi_type t, bool old)
{
    switch (t) {
    case QDI_TERMS:
        return "field,missing,format,value_type,size,shard_size,min_doc_count,shard_min_doc_count,"
               "show_term_doc_count_error,order,include,exclude,collect_mode,execution_hint";
    case QDI_DATE_HISTOGRAM:
        return old ? DATE_HISTOGRAM ",interval" : DATE_HISTOGRAM;
    case QDI_HISTOGRAM:
        return "field,missing,format,value_type,interval,offset,min_doc_count,extended_bounds,"
               "hard_bounds,order,keyed";
    case QDI_RANGE:
    case QDI_DATE_RANGE:
        return "field,missing,format,value_type,ranges,keyed,time_zone";
    case QDI_IP_RANGE:
        return "field,missing,format,value_type,ranges,keyed";
    case QDI_MISSING:
        return "field,missing,format,value_type,time_zone";
    case QDI_GLOBAL:
        return NULL;
    case QDI_COMPOSITE:
        return "sources,size,after";
    case QDI_EXTENDED_STATS:
        return NUMERIC ",sigma";
    case QDI_CARDINALITY:
        return "field,missing,value_type,precision_threshold,rehash,execution_hint";
    case QDI_PERCENTILES:
        return NUMERIC ",percents,keyed,tdigest,hdr";
    case QDI_PERCENTILE_RANKS:
        return NUMERIC ",values,keyed,tdigest,hdr";
    case QDI_WEIGHTED_AVG:
        return "value,weight,format,value_type";
    case QDI_BUCKET_SORT:
        return "sort,from,size,gap_policy";
    case QDI_DERIVATIVE:
        return PIPE ",unit";
    case QDI_FILTER:
    case QDI_FILTERS:
    case QDI_TOP_HITS:
        return NULL;
    default:
        return qdi_aggs_type_flags(t) & QDI_PIPELINE ? PIPE : NUMERIC;
    }
}

int qdi_aggs_parse_type(qdi_parse *p, qdi_agg *a, const qd_json_node *body)
{
    const char *members = members_of(a->type, p->tree->flavour != QD_AGGS_ES8);
    int rc = members ? qdi_aggs_members(p, qdi_aggs_type_name(a->type), body, members) : 0;
    if (rc) return rc;
    switch (a->type) {
    case QDI_TERMS:
        return parse_terms(p, a);
    case QDI_DATE_HISTOGRAM:
        return parse_date_histogram(p, a);
    case QDI_HISTOGRAM:
        return parse_histogram(p, a);
    case QDI_RANGE:
    case QDI_DATE_RANGE:
    case QDI_IP_RANGE:
        return parse_ranges(p, a);
    case QDI_FILTER:
    case QDI_FILTERS:
        return parse_filters(p, a);
    case QDI_GLOBAL:
        if (body->first)
            return qdi_aggs_parse_error(
                p, body->first,
                "Expected [FIELD_NAME] under a [START_OBJECT], but got a [%s] in [%.*s]",
                qdi_aggs_token(body->first), QD_STR_ARG(a->name));
        return 0;
    case QDI_COMPOSITE:
        return parse_composite(p, a);
    case QDI_EXTENDED_STATS:
        a->u.sigma = 2;
        rc = qdi_aggs_common(p, a, true);
        if (!rc) rc = qdi_aggs_get_f64(p, a, "sigma", &a->u.sigma);
        if (!rc && !(a->u.sigma >= 0)) {
            char text[QD_F64_TEXT_MAX];
            qd_f64_print(text, a->u.sigma);
            return qdi_aggs_setter_arg(
                p, a, qd_json_get(body, "sigma"),
                "[sigma] must be greater than or equal to 0. Found [%s] in [%.*s]", text,
                QD_STR_ARG(a->name));
        }
        return rc;
    case QDI_CARDINALITY:
        a->u.precision = 3000;
        rc = qdi_aggs_common(p, a, true);
        if (!rc) rc = qdi_aggs_get_i64(p, a, "precision_threshold", &a->u.precision);
        return rc ? rc
                  : at_least(p, a, "precision_threshold", "precisionThreshold", a->u.precision, 0);
    case QDI_PERCENTILES:
    case QDI_PERCENTILE_RANKS:
        return qdi_aggs_parse_percents(p, a);
    case QDI_TOP_HITS:
        return qdi_aggs_parse_hits(p, a);
    case QDI_WEIGHTED_AVG:
        return qdi_aggs_parse_weighted(p, a);
    default:
        if (qdi_aggs_type_flags(a->type) & QDI_PIPELINE) return qdi_aggs_parse_pipeline(p, a);
        return qdi_aggs_common(p, a, true);
    }
}
