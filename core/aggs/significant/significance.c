/*
 * significance.c: scores of significant terms: JLH; mutual information (Manning, Raghavan, Schütze,
 * "Information Retrieval", 13.5.1), chi square (13.5.2); Google normalized distance (Cilibrasi,
 * Vitányi, 2007, arXiv:cs/0412098v3); percentage. Cases at the borders are as Elasticsearch's.
 */
#include "aggs/significant/significance_int.h"
#include <math.h>

static const char *const names[] = {"jlh", "mutual_information", "chi_square", "gnd", "percentage"};

static int members_of(qdi_parse *p, const qd_json_node *m, qdi_significance *out)
{
    bool pairs = out->by == QDI_MUTUAL_INFORMATION || out->by == QDI_CHI_SQUARE;
    if (m->type != QD_JSON_T_OBJECT)
        return qd_err_set(p->err, QD_E_ES_PARSE, "[%.*s] must be an object", QD_STR_ARG(m->key));
    for (const qd_json_node *n = m->first; n; n = n->next) {
        bool v;
        bool negatives = pairs && qd_str_is(n->key, "include_negatives");
        bool superset =
            (pairs || out->by == QDI_GND) && qd_str_is(n->key, "background_is_superset");
        if ((!negatives && !superset) || qd_json_truth(n, &v)) {
            return qd_err_set(p->err, QD_E_ES_PARSE,
                              "failed to parse [%s] significance heuristic. unknown field [%.*s]",
                              names[out->by], QD_STR_ARG(n->key));
        }
        *(negatives ? &out->negatives : &out->is_superset) = v;
    }
    return 0;
}

int qdi_significance_parse(qdi_parse *p, qdi_agg *a, qdi_significance *out)
{
    uint32_t n = 0;
    *out = (qdi_significance){.by = QDI_JLH, .is_superset = true};
    const qd_json_node *script = qd_json_get(a->json, "script_heuristic");
    if (script) {
        return qd_err_set(p->err, QD_E_ARG,
                          "[script_heuristic] of [%s] is not supported by this version",
                          a->type->name);
    }
    for (uint32_t i = 0; i < QD_COUNT_OF(names); i++) {
        const qd_json_node *m = qd_json_get(a->json, names[i]);
        if (!m) continue;
        if (n++) {
            return qd_err_set(p->err, QD_E_ARG,
                              "[%s] has more than one significance heuristic: [%s] and [%s]",
                              a->type->name, names[out->by], names[i]);
        }
        out->by = (qdi_heuristic)i;
        int rc = members_of(p, m, out);
        if (rc) return rc;
    }
    return 0;
}

static double jlh(double with, double n, double bg_with, double bg_n)
{
    if (n == 0 || bg_n == 0) return 0;
    if (bg_with == 0) bg_with = 1;
    double here = with / n, there = bg_with / bg_n, change = here - there;
    return change <= 0 ? 0 : change * (here / there);
}

/* Documents with and without the term (n1x, n0x), inside and outside (nx1, nx0). */
typedef struct table {
    double n00, n01, n10, n11, n0_, n1_, n_0, n_1, n;
} table;

static void fill(const qdi_significance *s, double with, double n, double bg_with, double bg_n,
                 table *t)
{
    double others = s->is_superset ? n : 0, others_with = s->is_superset ? with : 0;
    t->n11 = with;
    t->n01 = n - with;
    t->n10 = bg_with - others_with;
    t->n00 = bg_n - bg_with - (others - others_with);
    t->n0_ = t->n00 + t->n01;
    t->n1_ = t->n10 + t->n11;
    t->n_0 = bg_n - others;
    t->n_1 = n;
    t->n = s->is_superset ? bg_n : bg_n + n;
}

static double information(double nxy, double nx, double ny, double n)
{
    double above = fabs(n * nxy), below = fabs(nx * ny), factor = fabs(nxy / n);
    return above < 1e-7 && factor < 1e-7 ? 0 : factor * log(above / below);
}

static double by_table(const qdi_significance *s, const table *t)
{
    double v;
    if (s->by == QDI_CHI_SQUARE) {
        double d = t->n11 * t->n00 - t->n01 * t->n10;
        v = t->n * d * d / (t->n_1 * t->n1_ * t->n0_ * t->n_0);
    } else {
        v = (information(t->n00, t->n0_, t->n_0, t->n) + information(t->n01, t->n0_, t->n_1, t->n) +
             information(t->n10, t->n1_, t->n_0, t->n) +
             information(t->n11, t->n1_, t->n_1, t->n)) /
            log(2);
        if (isnan(v)) v = -INFINITY;
    }
    return !s->negatives && t->n11 / t->n_1 < t->n10 / t->n_0 ? -INFINITY : v;
}

static double gnd(const qdi_significance *s, double with, double n, double bg_with, double bg_n)
{
    double fx = s->is_superset ? bg_with : bg_with + with, fy = n,
           all = s->is_superset ? bg_n : bg_n + n;
    if (with == 0) return 0;
    if (fx == fy && fx == with) return 1;
    double a = log(fx), b = log(fy);
    return exp(-2 * (fmax(a, b) - log(with)) / (log(all) - fmin(a, b)));
}

double qdi_significance_score(const qdi_significance *s, double with, double n, double bg_with,
                              double bg_n)
{
    table t;
    switch (s->by) {
    case QDI_JLH:
        return jlh(with, n, bg_with, bg_n);
    case QDI_GND:
        return gnd(s, with, n, bg_with, bg_n);
    case QDI_PERCENTAGE:
        return bg_with == 0 ? 0 : with / bg_with;
    default:
        fill(s, with, n, bg_with, bg_n, &t);
        return by_table(s, &t);
    }
}
