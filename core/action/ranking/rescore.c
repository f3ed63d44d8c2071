/* rescore.c: "rescore" of a search or of a retriever, read. */
#include "action/ranking/read_int.h"
#include <string.h>
#include <strings.h>

static int mode_of(const qd_json_node *m, rank_mode *out, qd_err *err)
{
    static const char *const names[] = {"total", "multiply", "avg", "max", "min"};
    qd_str s = qd_json_text(m);
    for (uint32_t i = 0; i < QD_COUNT_OF(names); i++) {
        if (s.n != strlen(names[i]) || strncasecmp(s.p, names[i], s.n) != 0) continue;
        *out = (rank_mode)i;
        return 0;
    }
    return qd_err_set(err, QD_E_ARG, "illegal score_mode [%.*s]", QD_STR_ARG(s));
}

static int query_object(const qd_json_node *n, rank_rescore *s, qd_err *err)
{
    int rc = 0;
    if (n->type != QD_JSON_T_OBJECT)
        return qd_err_set(err, QD_E_XCONTENT, "[query] of [rescore] is an object");
    for (const qd_json_node *m = n->first; m && !rc; m = m->next) {
        if (qd_str_is(m->key, "rescore_query") && m->type == QD_JSON_T_OBJECT)
            s->query = m->raw;
        else if (qd_str_is(m->key, "query_weight"))
            rc = qdi_rank_float(m, &s->query_weight, err);
        else if (qd_str_is(m->key, "rescore_query_weight"))
            rc = qdi_rank_float(m, &s->weight, err);
        else if (qd_str_is(m->key, "score_mode"))
            rc = mode_of(m, &s->mode, err);
        else
            rc = qdi_rank_unknown("query", m->key, err);
    }
    return rc || s->query.n ? rc : qd_err_set(err, QD_E_ARG, "Required [rescore_query]");
}

static int element(const qd_json_node *n, rank_rescore *s, qd_err *err)
{
    bool any = false;
    int rc = 0;
    *s = (rank_rescore){.window = RANK_WINDOW_STANDARD, .weight = 1, .query_weight = 1};
    if (n->type != QD_JSON_T_OBJECT)
        return qd_err_set(err, QD_E_PARSE, "Expected [START_OBJECT] in [rescore] but found [%s]",
                          qd_json_type_token(n->type));
    for (const qd_json_node *m = n->first; m && !rc; m = m->next) {
        if (qd_str_is(m->key, "window_size")) {
            rc = qdi_rank_int(m, &s->window, err);
            if (!rc && s->window < 0)
                rc = qd_err_set(err, QD_E_ARG, "[window_size] cannot be negative: [%lld]",
                                (long long)s->window);
        } else if (qd_str_is(m->key, "query")) {
            any = true;
            rc = query_object(m, s, err);
        } else if (qd_str_is(m->key, "learning_to_rank") || qd_str_is(m->key, "script")) {
            rc = qd_err_set(err, QD_E_UNSUPPORTED,
                            "rescorer [%.*s] is not supported by this version", QD_STR_ARG(m->key));
        } else {
            rc = qd_err_set(err, m->type == QD_JSON_T_OBJECT ? QD_E_NAMED_OBJECT : QD_E_PARSE,
                            m->type == QD_JSON_T_OBJECT ? "unknown field [%.*s]"
                                                        : "rescore doesn't support [%.*s]",
                            QD_STR_ARG(m->key));
        }
    }
    return rc || any ? rc : qd_err_set(err, QD_E_PARSE, "missing rescore type");
}

int qdi_rank_rescores(qd_arena *a, const qd_json_node *n, rank_rescores *out, qd_err *err)
{
    bool list = n->type == QD_JSON_T_ARRAY;
    uint32_t count = list ? n->n : 1, k = 0;
    int rc = 0;
    if (count > RANK_RESCORES_MAX)
        return qd_err_set(err, QD_E_ARG, "[rescore] has at most [%u] rescorers", RANK_RESCORES_MAX);
    rank_rescore *at = qd_arena_calloc(a, (count + 1ul) * sizeof *at);
    if (!at) return qd_err_nomem(err, "rescore");
    for (const qd_json_node *x = list ? n->first : n; x && !rc; x = list ? x->next : NULL)
        rc = element(x, &at[k++], err);
    *out = (rank_rescores){at, k};
    return rc;
}
