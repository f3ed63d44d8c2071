/* hybrid.c: OpenSearch's query "hybrid", whose queries are lists that a search pipeline combines.
 */
#include "action/ranking/read_int.h"

#define QUERIES_MAX 5u
#define DEPTH_MAX 10000

static int queries(rank_reading *rd, const qd_json_node *list, const rank_filters *filters,
                   int64_t window)
{
    rank_node *root = qdi_rank_node(rd, RANK_COMBINED, "hybrid");
    if (!root) return QD_E_NOMEM;
    root->below = qd_arena_calloc(rd->arena, (list->n + 1ul) * sizeof(const rank_node *));
    if (!root->below) return qd_err_nomem(rd->err, "hybrid");
    for (const qd_json_node *q = list->first; q; q = q->next) {
        rank_node *node;
        if (q->type != QD_JSON_T_OBJECT)
            return qd_err_set(rd->err, QD_E_PARSE, "[hybrid] [queries] is an array of queries");
        rank_leaf *l = qdi_rank_leaf(rd, &node);
        if (!l) return rd->err->code;
        l->query = qdi_rank_within(rd->arena, q->raw, filters, (qd_str){NULL, 0});
        if (!l->query.p) return qd_err_nomem(rd->err, "hybrid");
        l->window = window;
        root->below[root->n++] = node;
    }
    rd->plan->root = root;
    return 0;
}

static int combine(rank_reading *rd, const rank_combine *how)
{
    rank_node *root = (rank_node *)(uintptr_t)rd->plan->root;
    rank_norm *norms = qd_arena_alloc(rd->arena, (root->n + 1ul) * sizeof *norms);
    if (!norms) return qd_err_nomem(rd->err, "hybrid");
    if (how->nweights && how->nweights != root->n)
        return qd_err_set(rd->err, QD_E_ARG,
                          "number of weights [%u] must match number of sub-queries [%u] in hybrid "
                          "query",
                          how->nweights, root->n);
    for (uint32_t i = 0; i < root->n; i++) norms[i] = how->norm;
    root->kind = how->ranks ? RANK_RRF : RANK_COMBINED;
    root->norms = how->ranks ? NULL : norms;
    root->constant = how->constant;
    root->mean = how->mean;
    root->weights = how->weights;
    return 0;
}

int qdi_rank_hybrid(qd_arena *a, const qd_json_node *n, int64_t from, int64_t size,
                    const rank_combine *how, rank_plan **out, qd_err *err)
{
    rank_plan *p = qd_arena_calloc(a, sizeof *p);
    if (p) p->leaves = qd_arena_calloc(a, RANK_LEAVES_MAX * sizeof *p->leaves);
    if (!p || !p->leaves) return qd_err_nomem(err, "hybrid");
    rank_reading rd = {.arena = a, .plan = p, .err = err};
    const qd_json_node *list = NULL;
    rank_filters filters = {NULL, NULL};
    int64_t depth = 0;
    int rc = 0;
    for (const qd_json_node *m = n->first; m && !rc; m = m->next) {
        if (qd_str_is(m->key, "queries") && m->type == QD_JSON_T_ARRAY)
            list = m;
        else if (qd_str_is(m->key, "filter") && m->type == QD_JSON_T_OBJECT)
            filters.node = m;
        else if (qd_str_is(m->key, "pagination_depth"))
            rc = qdi_rank_int(m, &depth, err);
        else
            rc = qd_err_set(err, QD_E_PARSE, "[hybrid] query does not support [%.*s]",
                            QD_STR_ARG(m->key));
        if (!rc && qd_str_is(m->key, "pagination_depth") && (depth < 1 || depth > DEPTH_MAX))
            rc = qd_err_set(err, QD_E_ARG,
                            depth < 1 ? "pagination_depth should be greater than 0"
                                      : "pagination_depth should be less than or equal to "
                                        "index.max_result_window setting");
    }
    if (rc) return rc;
    if (!list || !list->n)
        return qd_err_set(err, QD_E_ARG, "requires 'queries' field with at least one clause");
    if (list->n > QUERIES_MAX)
        return qd_err_set(err, QD_E_ARG,
                          "Number of sub-queries exceeds maximum supported by [hybrid] query");
    if (!depth && from > 0)
        return qd_err_set(err, QD_E_ARG, "pagination_depth param is missing in the search request");
    p->hybrid = p->every_hit = true;
    *out = p;
    rc = queries(&rd, list, &filters, depth ? depth : size);
    return rc || !how ? rc : combine(&rd, how);
}
