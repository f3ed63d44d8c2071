/* combine.c: processors of phase results: how the lists of a hybrid query become one. */
#include "action/search_pipeline/search_pipeline.h"
#include "base/str.h"
#include "json/number.h"
#include <math.h>

#define WEIGHTS_MAX 64u
#define CONSTANT_MAX 10000

static int unknown(const char *where, qd_str key, qd_err *err)
{
    return qd_err_set(err, QD_E_ES_PARSE, "[%s] doesn't support the parameter [%.*s]", where,
                      QD_STR_ARG(key));
}

static int weights_of(qd_arena *a, const qd_json_node *n, rank_combine *out, qd_err *err)
{
    double sum = 0;
    if (n->type != QD_JSON_T_ARRAY || n->n > WEIGHTS_MAX)
        return qd_err_set(err, QD_E_ARG, "parameter [weights] must be a collection of numbers");
    float *at = qd_arena_alloc(a, (n->n + 1ul) * sizeof *at);
    if (!at) return qd_err_nomem(err, "search pipeline");
    uint32_t k = 0;
    for (const qd_json_node *x = n->first; x; x = x->next, k++) {
        double d;
        if (x->type != QD_JSON_T_NUMBER || qd_f64_parse(x->text, &d))
            return qd_err_set(err, QD_E_ARG, "parameter [weights] must be a collection of numbers");
        if (d < 0 || d > 1)
            return qd_err_set(err, QD_E_ARG,
                              "all weights must be in range [0.0 ... 1.0], submitted weights: %.*s",
                              QD_STR_ARG(n->raw));
        at[k] = (float)d;
        sum += d;
    }
    if (k && fabs(sum - 1) > 0.01)
        return qd_err_set(err, QD_E_ARG,
                          "sum of weights for combination must be equal to 1.0, submitted weights: "
                          "%.*s",
                          QD_STR_ARG(n->raw));
    out->weights = k ? at : NULL;
    out->nweights = k;
    return 0;
}

static int parameters(qd_arena *a, const qd_json_node *n, rank_combine *out, qd_err *err)
{
    int rc = 0;
    for (const qd_json_node *m = n->first; m && !rc; m = m->next) {
        if (qd_str_is(m->key, "weights"))
            rc = weights_of(a, m, out, err);
        else
            rc = qd_err_set(err, QD_E_ARG,
                            "provided parameter for combination technique is not supported. "
                            "supported parameters are [weights]");
    }
    return rc;
}

static int constant_of(const qd_json_node *m, rank_combine *out, qd_err *err)
{
    bool exact;
    int64_t v;
    if (qd_i64_parse_decimal(qd_json_text(m), &v, &exact) || v < 1 || v > CONSTANT_MAX)
        return qd_err_set(err, QD_E_ARG,
                          "rank constant must be in the interval between 1 and 10000, submitted "
                          "rank constant: %.*s",
                          QD_STR_ARG(qd_json_text(m)));
    out->constant = v;
    return 0;
}

static int technique(qd_str v, const char *const *names, uint32_t n, const char *what,
                     uint32_t *out, qd_err *err)
{
    for (*out = 0; *out < n; ++*out)
        if (qd_str_is(v, names[*out])) return 0;
    return qd_err_set(err, QD_E_ARG, "provided %s technique is not supported: [%.*s]", what,
                      QD_STR_ARG(v));
}

static int normalization(const qd_json_node *n, rank_combine *out, qd_err *err)
{
    static const char *const names[] = {"min_max", "l2", "z_score"};
    uint32_t at = 0;
    int rc = 0;
    for (const qd_json_node *m = n->first; m && !rc; m = m->next) {
        if (qd_str_is(m->key, "technique"))
            rc = technique(qd_json_text(m), names, QD_COUNT_OF(names), "normalization", &at, err);
        else if (qd_str_is(m->key, "parameters") && m->n)
            rc = qd_err_set(err, QD_E_UNSUPPORTED,
                            "[parameters] of [normalization] are not supported by this version");
        else if (!qd_str_is(m->key, "parameters"))
            rc = unknown("normalization", m->key, err);
    }
    out->norm = (rank_norm)(RANK_NORM_OS_MINMAX + at);
    return rc;
}

static int combination(qd_arena *a, const qd_json_node *n, rank_combine *out, qd_err *err)
{
    static const char *const means[] = {"arithmetic_mean", "geometric_mean", "harmonic_mean"};
    static const char *const ranks[] = {"rrf"};
    uint32_t at = 0;
    int rc = 0;
    for (const qd_json_node *m = n->first; m && !rc; m = m->next) {
        if (qd_str_is(m->key, "technique"))
            rc = technique(qd_json_text(m), out->ranks ? ranks : means,
                           out->ranks ? 1 : QD_COUNT_OF(means), "combination", &at, err);
        else if (qd_str_is(m->key, "parameters") && m->type == QD_JSON_T_OBJECT)
            rc = parameters(a, m, out, err);
        else if (qd_str_is(m->key, "rank_constant") && out->ranks)
            rc = constant_of(m, out, err);
        else
            rc = unknown("combination", m->key, err);
    }
    out->mean = (rank_mean)at;
    return rc;
}

int qdi_search_pipeline_combine(qd_arena *a, qd_str name, const qd_json_node *config,
                                rank_combine *out, qd_err *err)
{
    int rc = 0;
    *out = (rank_combine){.ranks = qd_str_is(name, "score-ranker-processor"),
                          .norm = RANK_NORM_OS_MINMAX,
                          .constant = RANK_CONSTANT_STANDARD};
    if (!out->ranks && !qd_str_is(name, "normalization-processor"))
        return qd_err_set(err, QD_E_ARG, "Invalid processor type %.*s", QD_STR_ARG(name));
    for (const qd_json_node *m = config->first; m && !rc; m = m->next) {
        bool object = m->type == QD_JSON_T_OBJECT;
        if (qd_str_is(m->key, "tag") || qd_str_is(m->key, "description")) continue;
        if (qd_str_is(m->key, "ignore_failure") && m->type == QD_JSON_T_BOOL && !m->truth) continue;
        if (object && qd_str_is(m->key, "normalization") && !out->ranks)
            rc = normalization(m, out, err);
        else if (object && qd_str_is(m->key, "combination"))
            rc = combination(a, m, out, err);
        else
            rc = unknown(out->ranks ? "score-ranker-processor" : "normalization-processor", m->key,
                         err);
    }
    return rc;
}
