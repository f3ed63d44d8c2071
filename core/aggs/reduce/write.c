/*
 * write.c: results as Elasticsearch writes them.
 */
#include "aggs/aggs_int.h"
#include <math.h>
#include <stdio.h>

/* --- formats ---------------------------------------------------------------------------------- */

/* Java's DecimalFormat for the patterns in use: literal, digits "#,##0.00", literal; "%".
 * exact: the value, where it is an integer. */
static size_t decimal(qd_str pattern, double v, const int64_t *exact, char out[128])
{
    size_t a = 0, b;
    while (a < pattern.n && !strchr("#0,.", pattern.p[a])) a++;
    for (b = a; b < pattern.n && strchr("#0,.", pattern.p[b]); b++) {}
    unsigned least = 0, most = 0, whole = 0;
    bool point = false, commas = false, percent = false;
    for (size_t i = a; i < b; i++) {
        char c = pattern.p[i];
        if (c == '.') point = true;
        commas |= c == ',' && !point;
        if (point && (c == '0' || c == '#')) most++;
        if (point && c == '0') least = most;
        if (!point && c == '0') whole++;
    }
    if (most > 20) most = 20;
    if (least > most) least = most;
    for (size_t i = 0; i < pattern.n; i++) percent |= pattern.p[i] == '%';
    if (percent) v *= 100;
    char digits[400], *p = digits;
    if (!isfinite(v) || a == b || fabs(v) > 1e60) return qd_f64_print(out, v);
    int n = snprintf(digits, sizeof digits, "%.*f", (int)most, fabs(v));
    if (exact && !percent) {
        uint64_t whole_part = *exact < 0 ? 0 - (uint64_t)*exact : (uint64_t)*exact;
        n = snprintf(digits, sizeof digits, "%llu%s%.*s", (unsigned long long)whole_part,
                     most ? "." : "", (int)most, "00000000000000000000");
    }
    bool minus = signbit(v);                                /* Java writes "-0" */
    while (most > least && n > 0 && digits[n - 1] == '0') { /* optional digits */
        n--;
        most--;
    }
    if (most == 0 && n > 0 && digits[n - 1] == '.') n--;
    digits[n] = 0;
    if (whole == 0 && p[0] == '0' && p[1]) p++;
    char *dot = strchr(p, '.');
    size_t head = dot ? (size_t)(dot - p) : strlen(p), at = 0;
    if (minus) out[at++] = '-';
    for (size_t i = 0; i < a && at < 20; i++) out[at++] = pattern.p[i];
    for (size_t i = head; i < whole && at < 60; i++) out[at++] = '0';
    for (size_t i = 0; i < head && at < 110; i++) {
        out[at++] = p[i];
        if (commas && (head - i - 1) % 3 == 0 && i + 1 < head) out[at++] = ',';
    }
    if (dot)
        for (char *c = dot; *c && at < 120; c++) out[at++] = *c;
    for (size_t i = b; i < pattern.n && at < 126; i++) out[at++] = pattern.p[i];
    out[at] = 0;
    return at;
}

static size_t truth(bool v, char out[128])
{
    qd_str s = v ? QD_STR("true") : QD_STR("false");
    memcpy(out, s.p, s.n + 1);
    return s.n;
}

size_t qdi_aggs_format_i64(const qdi_format *f, int64_t v, char out[128])
{
    switch (f->kind) {
    case QDI_FMT_DATE:
        return qd_date_print(f->date, v, f->zone, out);
    case QDI_FMT_BOOL:
        return truth(v != 0, out);
    case QDI_FMT_DECIMAL:
        return decimal(f->pattern, (double)v, &v, out);
    default:
        return qd_i64_print(out, v);
    }
}

size_t qdi_aggs_format_f64(const qdi_format *f, double v, char out[128])
{
    switch (f->kind) {
    case QDI_FMT_DATE: {
        int64_t ms = v >= 0x1p63 ? INT64_MAX : v <= -0x1p63 ? INT64_MIN : v == v ? (int64_t)v : 0;
        return qd_date_print(f->date, ms, f->zone, out);
    }
    case QDI_FMT_BOOL:
        return truth(v != 0, out);
    case QDI_FMT_DECIMAL:
        return decimal(f->pattern, v, NULL, out);
    default:
        return qd_f64_print(out, v);
    }
}

static const qdi_format *format_of(const qdi_out *o)
{
    static const qdi_format raw;
    return o->bound ? &o->bound->fmt : &raw;
}

static void number(qd_json_writer *w, double v)
{
    if (isfinite(v))
        qd_json_double(w, v);
    else
        qd_json_null(w);
}

/* "value", and "value_as_string" where there is a format. */
static void value(qd_json_writer *w, const qdi_format *f, const char *key, const char *text_key,
                  double v, bool has)
{
    qd_json_key_c(w, key);
    if (!has || !isfinite(v)) {
        qd_json_null(w);
        return;
    }
    qd_json_double(w, v);
    if (f->kind == QDI_FMT_RAW || f->kind == QDI_FMT_IP) return;
    char text[128];
    size_t n = qdi_aggs_format_f64(f, v, text);
    qd_json_field_str(w, text_key, (qd_str){text, n});
}

/* --- keys ------------------------------------------------------------------------------------- */

static double key_f64(const qdi_out *o, const qdi_bucket_out *b)
{
    if (o->def->type == QDI_HISTOGRAM) return qdi_histogram_key(o->def, b->key);
    return o->kind == QDI_F64 ? qd_sortable_to_f64(b->key) : (double)b->key;
}

static bool real_key(const qdi_out *o)
{
    return o->def->type == QDI_HISTOGRAM || o->kind == QDI_F64;
}

static qd_str filter_key(const qdi_agg *d, int64_t i)
{
    if (i >= d->u.filters.n) return d->u.filters.other_key;
    return d->u.filters.keys ? d->u.filters.keys[i] : (qd_str){"", 0};
}

qd_str qdi_aggs_bucket_key_text(const qdi_out *o, uint32_t i, char out[128])
{
    const qdi_bucket_out *b = &o->b[i];
    size_t n;
    switch (o->def->type) {
    case QDI_FILTERS:
        return filter_key(o->def, b->key);
    case QDI_RANGE:
    case QDI_DATE_RANGE:
    case QDI_IP_RANGE:
        return o->bound ? o->bound->ranges[b->key].key : (qd_str){"", 0};
    default:
        if (o->kind == QDI_ORD) {
            if (format_of(o)->kind != QDI_FMT_IP || b->bytes.n != 16) return b->bytes;
            n = qd_ip_print(out, (const uint8_t *)b->bytes.p);
        } else if (real_key(o)) {
            n = qdi_aggs_format_f64(format_of(o), key_f64(o, b), out);
        } else {
            n = qdi_aggs_format_i64(format_of(o), b->key, out);
        }
        return (qd_str){out, n};
    }
}

static void write_subs(const qdi_agg *def, qdi_out *const *subs, uint32_t n, bool typed,
                       qd_json_writer *w);

static void bucket_tail(const qdi_out *o, const qdi_bucket_out *b, bool typed, qd_json_writer *w)
{
    qd_json_key_c(w, "doc_count");
    qd_json_uint(w, b->docs);
    if (o->def->type == QDI_TERMS && o->def->u.terms.show_error)
        qd_json_field_int(w, "doc_count_error_upper_bound", b->error);
    if (b->subs) write_subs(o->def, b->subs, o->def->nsubs, typed, w);
    qd_json_object_end(w);
}

static void key_member(const qdi_out *o, uint32_t i, qd_json_writer *w)
{
    char text[128];
    const qdi_bucket_out *b = &o->b[i];
    const qdi_format *f = format_of(o);
    qd_str s = qdi_aggs_bucket_key_text(o, i, text);
    bool dates = o->def->type == QDI_DATE_HISTOGRAM || o->def->type == QDI_HISTOGRAM;
    bool as_string = f->kind != QDI_FMT_RAW && f->kind != QDI_FMT_IP && o->kind != QDI_ORD;
    if (as_string && dates) qd_json_field_str(w, "key_as_string", s);
    qd_json_key_c(w, "key");
    if (o->kind == QDI_ORD)
        qd_json_str(w, s);
    else if (real_key(o))
        qd_json_double(w, key_f64(o, b));
    else
        qd_json_int(w, b->key);
    if (as_string && !dates) qd_json_field_str(w, "key_as_string", s);
}

static void open_buckets(bool keyed, qd_json_writer *w)
{
    qd_json_key_c(w, "buckets");
    if (keyed)
        qd_json_object(w);
    else
        qd_json_array(w);
}

static void close_buckets(bool keyed, qd_json_writer *w)
{
    if (keyed)
        qd_json_object_end(w);
    else
        qd_json_array_end(w);
}

static void write_buckets(const qdi_out *o, bool typed, qd_json_writer *w)
{
    bool keyed = o->def->keyed && o->def->type != QDI_TERMS;
    if (o->def->type == QDI_TERMS) {
        qd_json_field_int(w, "doc_count_error_upper_bound", o->error);
        qd_json_key_c(w, "sum_other_doc_count");
        qd_json_uint(w, o->other);
    }
    open_buckets(keyed, w);
    for (uint32_t i = 0; i < o->n; i++) {
        char text[128];
        if (keyed) qd_json_key(w, qdi_aggs_bucket_key_text(o, i, text));
        qd_json_object(w);
        key_member(o, i, w);
        bucket_tail(o, &o->b[i], typed, w);
    }
    close_buckets(keyed, w);
}

/* A text of stats: booleans are written as such. */
static void stats_text(const qdi_format *f, const char *key, double v, qd_json_writer *w)
{
    char text[128];
    qd_json_key_c(w, key);
    if (f->kind == QDI_FMT_BOOL) {
        qd_json_bool(w, v != 0);
        return;
    }
    size_t n = qdi_aggs_format_f64(f, v, text);
    qd_json_str(w, (qd_str){text, n});
}

static void range_end(const qdi_out *o, const char *key, const char *text_key, bool has, double v,
                      const uint8_t ip[16], qd_json_writer *w)
{
    char text[128];
    if (!has) return;
    qd_json_key_c(w, key);
    if (o->def->type == QDI_IP_RANGE) {
        size_t n = qd_ip_print(text, ip);
        qd_json_str(w, (qd_str){text, n});
        return;
    }
    qd_json_double(w, v);
    const qdi_format *f = format_of(o);
    if (f->kind != QDI_FMT_RAW) stats_text(f, text_key, v, w);
}

static void write_ranges(const qdi_out *o, bool typed, qd_json_writer *w)
{
    open_buckets(o->def->keyed, w);
    for (uint32_t i = 0; o->bound && i < o->n; i++) {
        const qdi_bound_range *r = &o->bound->ranges[o->b[i].key];
        if (o->def->keyed) qd_json_key(w, r->key);
        qd_json_object(w);
        if (!o->def->keyed) qd_json_field_str(w, "key", r->key);
        range_end(o, "from", "from_as_string", r->has_from, r->from, r->ip_from, w);
        range_end(o, "to", "to_as_string", r->has_to, r->to, r->ip_to, w);
        bucket_tail(o, &o->b[i], typed, w);
    }
    close_buckets(o->def->keyed, w);
}

static void write_filters(const qdi_out *o, bool typed, qd_json_writer *w)
{
    bool named = o->def->u.filters.keys != NULL, keyed = named && o->def->keyed;
    open_buckets(keyed, w);
    for (uint32_t i = 0; i < o->n; i++) {
        qd_str key = filter_key(o->def, o->b[i].key);
        if (keyed) qd_json_key(w, key);
        qd_json_object(w);
        if (named && !keyed) qd_json_field_str(w, "key", key);
        bucket_tail(o, &o->b[i], typed, w);
    }
    close_buckets(keyed, w);
}

/* --- composite -------------------------------------------------------------------------------- */

static void write_slot(const qdi_out *o, uint32_t i, const qdi_slot *s, qd_json_writer *w)
{
    const qdi_bound *b = &o->bound->sources[i];
    char text[128];
    qd_json_key(w, b->def->name);
    if (s->null) {
        qd_json_null(w);
    } else if (s->kind == QDI_ORD) {
        if (b->fmt.kind == QDI_FMT_IP && s->bytes.n == 16) {
            size_t n = qd_ip_print(text, (const uint8_t *)s->bytes.p);
            qd_json_str(w, (qd_str){text, n});
        } else {
            qd_json_str(w, s->bytes);
        }
    } else if (s->kind == QDI_F64) {
        qd_json_double(w, qd_sortable_to_f64(s->i64));
    } else if (b->fmt.kind == QDI_FMT_BOOL) {
        qd_json_bool(w, s->i64 != 0);
    } else if (b->fmt.kind == QDI_FMT_DATE && b->def->format.p) {
        size_t n = qdi_aggs_format_i64(&b->fmt, s->i64, text);
        qd_json_str(w, (qd_str){text, n});
    } else {
        qd_json_int(w, s->i64);
    }
}

static void write_key(const qdi_out *o, const qdi_slot *slots, qd_json_writer *w)
{
    qd_json_object(w);
    for (uint32_t i = 0; i < o->def->u.composite.n; i++) write_slot(o, i, &slots[i], w);
    qd_json_object_end(w);
}

static void write_composite(const qdi_out *o, bool typed, qd_json_writer *w)
{
    if (o->n && o->bound) {
        qd_json_key_c(w, "after_key");
        write_key(o, o->b[o->n - 1].slots, w);
    }
    open_buckets(false, w);
    for (uint32_t i = 0; o->bound && i < o->n; i++) {
        qd_json_object(w);
        qd_json_key_c(w, "key");
        write_key(o, o->b[i].slots, w);
        bucket_tail(o, &o->b[i], typed, w);
    }
    close_buckets(false, w);
}

/* --- metrics ---------------------------------------------------------------------------------- */

static void write_stats(const qdi_out *o, qd_json_writer *w)
{
    qd_json_key_c(w, "count");
    qd_json_uint(w, o->u.stats.n);
    static const char *const names[] = {"min", "max", "avg", "sum"};
    const qdi_format *f = format_of(o);
    for (uint32_t i = 0; i < 4; i++) {
        double v = qdi_aggs_stats_value(&o->u.stats, 2, qd_str_c(names[i]));
        qd_json_key_c(w, names[i]);
        if (!o->u.stats.n && i < 3)
            qd_json_null(w);
        else
            number(w, v);
    }
    if (!o->u.stats.n || f->kind == QDI_FMT_RAW) return;
    static const char *const texts[] = {"min_as_string", "max_as_string", "avg_as_string",
                                        "sum_as_string"};
    for (uint32_t i = 0; i < 4; i++)
        stats_text(f, texts[i], qdi_aggs_stats_value(&o->u.stats, 2, qd_str_c(names[i])), w);
}

static void write_extended(const qdi_out *o, qd_json_writer *w)
{
    static const char *const names[] = {"sum_of_squares",        "variance",
                                        "variance_population",   "variance_sampling",
                                        "std_deviation",         "std_deviation_population",
                                        "std_deviation_sampling"};
    const qdi_stats *s = &o->u.stats;
    double sigma = o->def->u.sigma, avg = qdi_aggs_stats_value(s, sigma, QD_STR("avg"));
    write_stats(o, w);
    for (uint32_t i = 0; i < QD_COUNT_OF(names); i++) {
        qd_json_key_c(w, names[i]);
        double v = qdi_aggs_stats_value(s, sigma, qd_str_c(names[i]));
        if (!s->n)
            qd_json_null(w);
        else
            qd_json_double(w, v);
    }
    static const struct {
        const char *name, *deviation;
        int sign;
    } bounds[] = {{"upper", "std_deviation", 1},
                  {"lower", "std_deviation", -1},
                  {"upper_population", "std_deviation_population", 1},
                  {"lower_population", "std_deviation_population", -1},
                  {"upper_sampling", "std_deviation_sampling", 1},
                  {"lower_sampling", "std_deviation_sampling", -1}};
    double ends[QD_COUNT_OF(bounds)];
    const qdi_format *f = format_of(o);
    qd_json_key_c(w, "std_deviation_bounds");
    qd_json_object(w);
    for (uint32_t i = 0; i < QD_COUNT_OF(bounds); i++) {
        qd_json_key_c(w, bounds[i].name);
        double v = qdi_aggs_stats_value(s, sigma, qd_str_c(bounds[i].deviation));
        ends[i] = avg + bounds[i].sign * sigma * v;
        if (!s->n)
            qd_json_null(w);
        else
            qd_json_double(w, ends[i]);
    }
    qd_json_object_end(w);
    if (!s->n || f->kind == QDI_FMT_RAW) return;
    for (uint32_t i = 0; i < QD_COUNT_OF(names); i++) {
        char key[64];
        snprintf(key, sizeof key, "%s_as_string", names[i]);
        double v = qdi_aggs_stats_value(s, sigma, qd_str_c(names[i]));
        if (i < 4) {
            stats_text(f, key, v, w);
        } else {
            char text[128];
            size_t n = qdi_aggs_format_f64(f, v, text);
            qd_json_field_str(w, key, (qd_str){text, n});
        }
    }
    qd_json_key_c(w, "std_deviation_bounds_as_string");
    qd_json_object(w);
    for (uint32_t i = 0; i < QD_COUNT_OF(bounds); i++) {
        char text[128];
        size_t n = qdi_aggs_format_f64(f, ends[i], text);
        qd_json_field_str(w, bounds[i].name, (qd_str){text, n});
    }
    qd_json_object_end(w);
}

double qdi_aggs_percent(const qdi_out *o, double p)
{
    bool ranks = o->def->type == QDI_PERCENTILE_RANKS;
    if (o->def->u.percents.digits >= 0) {
        if (!o->u.hdr) return NAN;
        return ranks ? qdi_aggs_hdr_percent(o->u.hdr, p) : qdi_aggs_hdr_value(o->u.hdr, p);
    }
    if (!o->u.digest) return NAN;
    return ranks ? qdi_aggs_digest_cdf(o->u.digest, p) * 100
                 : qdi_aggs_digest_quantile(o->u.digest, p / 100);
}

static void write_percents(const qdi_out *o, qd_json_writer *w)
{
    const qdi_agg *d = o->def;
    const qdi_format *f = format_of(o);
    qd_json_key_c(w, "values");
    if (d->keyed)
        qd_json_object(w);
    else
        qd_json_array(w);
    for (uint32_t i = 0; i < d->u.percents.n; i++) {
        char key[QD_F64_TEXT_MAX], text_key[QD_F64_TEXT_MAX + 16];
        double p = d->u.percents.at[i], v = NAN;
        qd_f64_print(key, p);
        v = qdi_aggs_percent(o, p);
        if (d->keyed) {
            snprintf(text_key, sizeof text_key, "%s_as_string", key);
            value(w, f, key, text_key, v, true);
        } else {
            qd_json_object(w);
            qd_json_field_double(w, "key", p);
            value(w, f, "value", "value_as_string", v, true);
            qd_json_object_end(w);
        }
    }
    if (d->keyed)
        qd_json_object_end(w);
    else
        qd_json_array_end(w);
}

static void write_hits(const qdi_out *o, qd_json_writer *w)
{
    const qdi_agg *d = o->def;
    bool scores = !o->bound || o->bound->sort.scores || !o->bound->sort.nkeys;
    float best = scores && o->u.hits.total ? o->u.hits.best : NAN;
    qd_json_key_c(w, "hits");
    qd_json_object(w);
    qd_json_key_c(w, "total");
    qd_json_object(w);
    qd_json_key_c(w, "value");
    qd_json_uint(w, o->u.hits.total);
    qd_json_field_c(w, "relation", "eq");
    qd_json_object_end(w);
    qd_json_key_c(w, "max_score");
    if (isnan(best))
        qd_json_null(w);
    else
        qd_json_float(w, best);
    qd_json_key_c(w, "hits");
    qd_json_array(w);
    for (uint32_t i = d->u.hits.from; i < o->u.hits.n; i++)
        qd_json_raw_value(w, o->u.hits.at[i].json);
    qd_json_array_end(w);
    qd_json_object_end(w);
}

static void write_pipeline(const qdi_out *o, qd_json_writer *w)
{
    const qdi_agg *d = o->def;
    qdi_format f = {.kind = d->format.p ? QDI_FMT_DECIMAL : QDI_FMT_RAW, .pattern = d->format};
    value(w, &f, "value", "value_as_string", o->u.simple.value, o->u.simple.has);
    if (d->type != QDI_MAX_BUCKET && d->type != QDI_MIN_BUCKET) return;
    qd_json_key_c(w, "keys");
    qd_json_array(w);
    for (uint32_t i = 0; i < o->u.simple.nkeys; i++) qd_json_str(w, o->u.simple.keys[i]);
    qd_json_array_end(w);
}

static void write_metric(const qdi_out *o, qd_json_writer *w)
{
    const qdi_format *f = format_of(o);
    switch (o->def->type) {
    case QDI_STATS:
        write_stats(o, w);
        return;
    case QDI_EXTENDED_STATS:
        write_extended(o, w);
        return;
    case QDI_PERCENTILES:
    case QDI_PERCENTILE_RANKS:
        write_percents(o, w);
        return;
    case QDI_TOP_HITS:
        write_hits(o, w);
        return;
    case QDI_VALUE_COUNT:
        qd_json_key_c(w, "value");
        qd_json_uint(w, o->u.stats.n);
        return;
    case QDI_CARDINALITY:
        qd_json_key_c(w, "value");
        qd_json_uint(w, o->u.hll ? qdi_aggs_hll_count(o->u.hll) : 0);
        return;
    default:
        break;
    }
    double v = qdi_aggs_out_value(o, (qd_str){NULL, 0});
    value(w, f, "value", "value_as_string", v, true);
}

/* --- the tree --------------------------------------------------------------------------------- */

static const char *typed_name(const qdi_out *o)
{
    static const char *const names[] = {
#define QDI_AGG(sym, name, key, flags) key,
#include "aggs/types.def"
#undef QDI_AGG
    };
    const qdi_agg *d = o->def;
    if (d->type == QDI_PERCENTILES && d->u.percents.digits >= 0) return "hdr_percentiles";
    if (d->type == QDI_PERCENTILE_RANKS && d->u.percents.digits >= 0) return "hdr_percentile_ranks";
    if (d->type != QDI_TERMS) return names[d->type];
    if (!o->bound) return "sterms";
    return o->kind == QDI_ORD ? "sterms" : o->kind == QDI_F64 ? "dterms" : "lterms";
}

static void write_body(const qdi_out *o, bool typed, qd_json_writer *w)
{
    const qdi_agg *d = o->def;
    uint32_t flags = qdi_aggs_type_flags(d->type);
    if (d->meta.p) {
        qd_json_key_c(w, "meta");
        qd_json_raw_value(w, d->meta);
    }
    if (flags & QDI_PIPELINE) {
        write_pipeline(o, w);
    } else if (flags & QDI_SINGLE) {
        qd_json_key_c(w, "doc_count");
        qd_json_uint(w, o->docs);
        if (o->subs) write_subs(d, o->subs, d->nsubs, typed, w);
    } else if (flags & QDI_METRIC) {
        write_metric(o, w);
    } else if (d->type == QDI_COMPOSITE) {
        write_composite(o, typed, w);
    } else if (d->type == QDI_FILTERS) {
        write_filters(o, typed, w);
    } else if (d->type == QDI_RANGE || d->type == QDI_DATE_RANGE || d->type == QDI_IP_RANGE) {
        write_ranges(o, typed, w);
    } else {
        write_buckets(o, typed, w);
    }
}

static void write_subs(const qdi_agg *def, qdi_out *const *subs, uint32_t n, bool typed,
                       qd_json_writer *w)
{
    (void)def;
    for (uint32_t i = 0; i < n; i++) {
        const qdi_out *o = subs[i];
        if (!o || o->def->type == QDI_BUCKET_SORT) continue;
        if (typed) {
            char prefix[64];
            int k = snprintf(prefix, sizeof prefix, "%s#", typed_name(o));
            char name[512];
            qd_str s = o->def->name;
            if (s.n > sizeof name - 64) s.n = sizeof name - 64;
            memcpy(name, prefix, (size_t)k);
            memcpy(name + k, s.p, s.n);
            qd_json_key(w, (qd_str){name, (size_t)k + s.n});
        } else {
            qd_json_key(w, o->def->name);
        }
        qd_json_object(w);
        write_body(o, typed, w);
        qd_json_object_end(w);
    }
}

void qd_aggs_write(const qd_aggs_result *r, bool typed_keys, qd_json_writer *w)
{
    qd_json_object(w);
    write_subs(NULL, r->at, r->tree->nroots, typed_keys, w);
    qd_json_object_end(w);
}
