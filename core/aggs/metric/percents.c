/*
 * percents.c: percentiles and percentile_ranks: bodies, merging, results.
 */
#include "aggs/metric/percents_int.h"
#include <math.h>
#include <stdio.h>

#include "aggs/parse/parse_int.h"

/* --- metrics ---------------------------------------------------------------------------------- */

/* "tdigest": {"compression"}, "hdr": {"number_of_significant_value_digits"}; one of them at most.
 */
static int percents_method(qdi_parse *p, qdi_agg *a)
{
    const qd_json_node *t = qd_json_get(a->json, "tdigest"), *h = qd_json_get(a->json, "hdr");
    int64_t digits = 3;
    qdi_percents_of(a)->compression = 100;
    qdi_percents_of(a)->digits = -1;
    const char *type = a->type->name;
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
    if (c && (!qd_json_text(c).p || qd_f64_parse(c->text, &qdi_percents_of(a)->compression) ||
              !(qdi_percents_of(a)->compression >= 0) ||
              qdi_percents_of(a)->compression > QDI_COMPRESSION_MAX)) {
        qdi_aggs_xcontent_error(p, c, "[tdigest] failed to parse field [compression]");
        return qdi_aggs_setter(p, type, t);
    }
    if (qdi_percents_of(a)->compression < QDI_COMPRESSION_MIN)
        qdi_percents_of(a)->compression = QDI_COMPRESSION_MIN;
    if (n && (!qd_json_text(n).p || qd_i64_parse(n->text, &digits)))
        return qdi_aggs_bad_value(p, a, n);
    if (digits < 0 || digits > 5) {
        qdi_aggs_xcontent_error(p, n,
                                "[hdr] failed to parse field [number_of_significant_value_digits]");
        return qdi_aggs_setter(p, type, h);
    }
    if (h) qdi_percents_of(a)->digits = (int8_t)digits;
    return 0;
}

int qdi_aggs_percents_parse(qdi_parse *p, qdi_agg *a)
{
    static const double standard[] = {1, 5, 25, 50, 75, 95, 99};
    bool ranks = qdi_percents_of(a)->ranks;
    const qd_json_node *m = qd_json_get(a->json, ranks ? "values" : "percents");
    a->keyed = true;
    int rc = qdi_aggs_common(p, a, true);
    if (rc == 0) rc = percents_method(p, a);
    if (rc) return rc;
    const char *type = a->type->name;
    bool array = m && m->type == QD_JSON_T_ARRAY, scalar = m && qd_json_text(m).p;
    if (m && !array && !scalar) return qdi_aggs_wrong_type(p, type, m);
    uint32_t n = array ? m->n : scalar ? 1 : (uint32_t)QD_COUNT_OF(standard);
    if (ranks && !m)
        return qdi_aggs_build_arg(p, type, "[values] must not be null: [%.*s]",
                                  QD_STR_ARG(a->name));
    if (n == 0)
        return qdi_aggs_build_arg(p, type, "[%.*s] must not be %s: [%.*s]", QD_STR_ARG(m->key),
                                  ranks ? "an empty array" : "empty", QD_STR_ARG(a->name));
    qdi_percents_of(a)->at = qd_arena_alloc(p->arena, n * sizeof *qdi_percents_of(a)->at);
    if (!qdi_percents_of(a)->at) return qd_err_nomem(p->err, "percents");
    if (!m) memcpy(qdi_percents_of(a)->at, standard, sizeof standard);
    uint32_t i = 0;
    for (const qd_json_node *v = array ? m->first : m; v; v = array ? v->next : NULL, i++) {
        char text[QD_F64_TEXT_MAX];
        if (!qd_json_text(v).p) return qdi_aggs_bad_value(p, a, m);
        if (qd_f64_parse(v->text, &qdi_percents_of(a)->at[i])) {
            qd_err_set(p->err, QD_E_NUMBER_FORMAT, "For input string: \"%.*s\"",
                       QD_STR_ARG(v->text));
            return qdi_aggs_setter(p, type, m);
        }
        qd_f64_print(text, qdi_percents_of(a)->at[i]);
        if (!ranks && !(qdi_percents_of(a)->at[i] >= 0 && qdi_percents_of(a)->at[i] <= 100))
            return qdi_aggs_build_arg(p, type, "percent must be in [0,100], got [%s]: [%.*s]", text,
                                      QD_STR_ARG(a->name));
    }
    for (uint32_t k = 1; k < n; k++) { /* ascending, as Elasticsearch sorts them */
        double v = qdi_percents_of(a)->at[k];
        uint32_t j = k;
        for (; j > 0 && qdi_percents_of(a)->at[j - 1] > v; j--)
            qdi_percents_of(a)->at[j] = qdi_percents_of(a)->at[j - 1];
        qdi_percents_of(a)->at[j] = v;
    }
    qdi_percents_of(a)->n = n;
    return 0;
}

bool qdi_aggs_percents_has_member(const qdi_agg *a, qd_str m)
{
    double v;
    if (qd_f64_parse(m, &v)) return false;
    for (uint32_t i = 0; i < qdi_percents_of(a)->n; i++)
        if (qdi_percents_of(a)->at[i] == v) return true;
    return false;
}

const qdi_ops *qdi_aggs_percents_pick(const qdi_agg *a)
{
    return qdi_percents_of(a)->digits >= 0 ? &qdi_aggs_hdr_ops : &qdi_aggs_digest_ops;
}

/* --- merging ---------------------------------------------------------------------------------- */

static int reduce_digest(qdi_reduce *r, qdi_out *const *in, uint32_t k, qdi_out *out, qd_err *err)
{
    qdi_digest d;
    int rc = 0;
    qdi_aggs_digest_init(&d, qdi_percents_of(out->def)->compression, r->tree->flavour);
    for (uint32_t i = 0; rc == 0 && i < k; i++)
        if (qdi_percents_value(in[i])->digest)
            rc = qdi_aggs_digest_merge(&d, qdi_percents_value(in[i])->digest, r->arena->account);
    if (rc == 0) rc = qdi_aggs_digest_settle(&d, r->arena->account);
    if (rc == 0) qdi_percents_value(out)->digest = qdi_aggs_digest_copy(&d, r->arena);
    qdi_aggs_digest_fini(&d);
    return qdi_percents_value(out)->digest ? 0 : qdi_aggs_reduce_no_memory(r, 64, err);
}

static int reduce_hdr(qdi_reduce *r, qdi_out *const *in, uint32_t k, qdi_out *out, qd_err *err)
{
    qdi_hdr h;
    int rc = 0;
    qdi_aggs_hdr_init(&h, (uint32_t)qdi_percents_of(out->def)->digits);
    for (uint32_t i = 0; rc == 0 && i < k; i++)
        if (qdi_percents_value(in[i])->hdr)
            rc = qdi_aggs_hdr_merge(&h, qdi_percents_value(in[i])->hdr, r->arena->account);
    if (rc == 0) qdi_percents_value(out)->hdr = qdi_aggs_hdr_copy(&h, r->arena);
    qdi_aggs_hdr_fini(&h);
    return qdi_percents_value(out)->hdr ? 0 : qdi_aggs_reduce_no_memory(r, 64, err);
}

int qdi_aggs_percents_reduce(qdi_reduce *r, qdi_out *const *in, uint32_t k, qdi_out *out,
                             qd_err *err)
{
    return qdi_percents_of(out->def)->digits >= 0 ? reduce_hdr(r, in, k, out, err)
                                                  : reduce_digest(r, in, k, out, err);
}

/* --- between nodes ---------------------------------------------------------------------------- */

static void write_digest(const qdi_digest *d, qd_writer *w)
{
    qd_write_bool(w, d != NULL);
    if (!d) return;
    qd_write_bool(w, d->exact);
    qd_write_double(w, d->min);
    qd_write_double(w, d->max);
    qd_write_array(w, d->n);
    for (uint32_t i = 0; i < d->n; i++) {
        qd_write_double(w, d->at[i].mean);
        if (!d->exact) qd_write_double(w, d->at[i].weight);
    }
}

static qdi_digest *read_digest(qd_body_reader *r, const qdi_agg *def, const qd_aggs *tree,
                               qd_arena *arena)
{
    if (!qd_read_bool(r, "percentiles.there")) return NULL;
    qdi_digest *d = qd_arena_alloc(arena, sizeof *d);
    if (!d) {
        qd_body_reader_nomem(r, "percentiles");
        return NULL;
    }
    qdi_aggs_digest_init(d, qdi_percents_of(def)->compression, tree->flavour);
    d->exact = qd_read_bool(r, "percentiles.exact");
    d->min = qd_read_double(r, "percentiles.min");
    d->max = qd_read_double(r, "percentiles.max");
    d->n = (uint32_t)qd_read_array(r, "percentiles.centroids", UINT32_MAX / 32, d->exact ? 8 : 16);
    d->at = qd_arena_alloc(arena, (d->n + 1ul) * sizeof *d->at);
    if (!d->at) qd_body_reader_nomem(r, "percentiles.centroids");
    for (uint32_t i = 0; i < d->n && !qd_body_reader_bad(r); i++) {
        qdi_centroid *c = &d->at[i];
        c->mean = qd_read_double(r, "percentiles.mean");
        c->weight = d->exact ? 1 : qd_read_double(r, "percentiles.weight");
        d->total += c->weight;
        if (isnan(c->mean) || !(c->weight > 0) || isinf(c->weight))
            qd_body_reader_fail(r, "percentiles.centroids", "has none of a weight");
    }
    d->merged = 0; /* not trusted to be in order */
    d->cap = d->n;
    return d;
}

static void write_hdr(const qdi_hdr *h, qd_writer *w)
{
    int64_t before = 0;
    qd_write_bool(w, h != NULL);
    if (!h) return;
    qd_write_array(w, h->n);
    for (uint32_t i = 0; i < (h->settled ? h->n : h->cap); i++) {
        if (!h->at[i].n) continue;
        qd_write_zigzag(w, (int64_t)((uint64_t)h->at[i].key - (uint64_t)before));
        qd_write_varint(w, h->at[i].n);
        before = h->at[i].key;
    }
}

static qdi_hdr *read_hdr(qd_body_reader *r, const qdi_agg *def, qd_arena *arena)
{
    uint64_t before = 0;
    if (!qd_read_bool(r, "percentiles.there")) return NULL;
    qdi_hdr *h = qd_arena_alloc(arena, sizeof *h);
    if (!h) {
        qd_body_reader_nomem(r, "percentiles");
        return NULL;
    }
    qdi_aggs_hdr_init(h, (uint32_t)qdi_percents_of(def)->digits);
    uint32_t n = (uint32_t)qd_read_array(r, "percentiles.cells", UINT32_MAX / 32, 2);
    h->at = qd_arena_alloc(arena, (n + 1ul) * sizeof *h->at);
    if (!h->at) qd_body_reader_nomem(r, "percentiles.cells");
    for (uint32_t i = 0; i < n && !qd_body_reader_bad(r); i++) {
        h->at[i].key = (int64_t)(before + (uint64_t)qd_read_zigzag(r, "percentiles.cell"));
        h->at[i].n = qd_read_varint(r, "percentiles.count");
        before = (uint64_t)h->at[i].key;
    }
    if (!qd_body_reader_bad(r) && !qdi_aggs_hdr_load(h, n))
        qd_body_reader_fail(r, "percentiles.cells", "are not in order");
    return h;
}

void qdi_aggs_percents_send(const qdi_out *o, qd_writer *w)
{
    if (qdi_percents_of(o->def)->digits >= 0)
        write_hdr(qdi_percents_value(o)->hdr, w);
    else
        write_digest(qdi_percents_value(o)->digest, w);
}

void qdi_aggs_percents_receive(qd_body_reader *r, qdi_out *o, const qd_aggs *tree, qd_arena *arena)
{
    if (qdi_percents_of(o->def)->digits >= 0)
        qdi_percents_value(o)->hdr = read_hdr(r, o->def, arena);
    else
        qdi_percents_value(o)->digest = read_digest(r, o->def, tree, arena);
}

/* --- results ---------------------------------------------------------------------------------- */

/* A percentile, or the rank of a value; NAN: none. */
static double percent(const qdi_out *o, double p)
{
    bool ranks = qdi_percents_of(o->def)->ranks;
    if (qdi_percents_of(o->def)->digits >= 0) {
        if (!qdi_percents_value(o)->hdr) return NAN;
        return ranks ? qdi_aggs_hdr_percent(qdi_percents_value(o)->hdr, p)
                     : qdi_aggs_hdr_value(qdi_percents_value(o)->hdr, p);
    }
    if (!qdi_percents_value(o)->digest) return NAN;
    return ranks ? qdi_aggs_digest_cdf(qdi_percents_value(o)->digest, p) * 100
                 : qdi_aggs_digest_quantile(qdi_percents_value(o)->digest, p / 100);
}

double qdi_aggs_percents_number(const qdi_out *o, qd_str member)
{
    double v;
    return qd_f64_parse(member, &v) ? NAN : percent(o, v);
}

void qdi_aggs_percents_write(const qdi_out *o, bool typed, qd_json_writer *w)
{
    (void)typed;
    const qdi_agg *d = o->def;
    const qdi_format *f = qdi_aggs_format_of(o);
    qd_json_key_c(w, "values");
    if (d->keyed)
        qd_json_object(w);
    else
        qd_json_array(w);
    for (uint32_t i = 0; i < qdi_percents_of(d)->n; i++) {
        char key[QD_F64_TEXT_MAX], text_key[QD_F64_TEXT_MAX + 16];
        double p = qdi_percents_of(d)->at[i], v = NAN;
        qd_f64_print(key, p);
        v = percent(o, p);
        if (d->keyed) {
            snprintf(text_key, sizeof text_key, "%s_as_string", key);
            qdi_aggs_write_value(w, f, key, text_key, v, true);
        } else {
            qd_json_object(w);
            qd_json_field_double(w, "key", p);
            qdi_aggs_write_value(w, f, "value", "value_as_string", v, true);
            qd_json_object_end(w);
        }
    }
    if (d->keyed)
        qd_json_object_end(w);
    else
        qd_json_array_end(w);
}
