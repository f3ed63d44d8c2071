/* compound.c: retrievers that have others below them: rrf, linear, rescorer; and their windows. */
#include "action/ranking/read_int.h"
#include <stdio.h>
#include <string.h>

/* The members that rrf and linear share. */
typedef struct compound {
    rank_common common;
    const qd_json_node *retrievers;
    rank_node *node;
} compound;

static int positive(const qd_json_node *m, const char *what, int64_t *out, qd_err *err)
{
    int rc = qdi_rank_int(m, out, err);
    if (rc || *out >= 1) return rc;
    return qd_err_set(err, QD_E_ARG, "[%.*s] must be greater or equal to [1] for [%s]",
                      QD_STR_ARG(m->key), what);
}

static int member(compound *c, const qd_json_node *m, qd_err *err)
{
    const char *what = c->node->name;
    int rc = qdi_rank_common(&c->common, m, err);
    if (rc != 1) return rc;
    if (qd_str_is(m->key, "rank_window_size")) return positive(m, what, &c->node->window, err);
    if (qd_str_is(m->key, "rank_constant") && c->node->kind == RANK_RRF)
        return positive(m, what, &c->node->constant, err);
    if (qd_str_is(m->key, "retrievers") && m->type == QD_JSON_T_ARRAY) {
        c->retrievers = m;
        return 0;
    }
    if (qd_str_is(m->key, "fields") || qd_str_is(m->key, "query") ||
        (qd_str_is(m->key, "normalizer") && c->node->kind == RANK_LINEAR))
        return qd_err_set(err, QD_E_UNSUPPORTED, "[%.*s] of [%s] is not supported by this version",
                          QD_STR_ARG(m->key), what);
    return qdi_rank_unknown(what, m->key, err);
}

static int members(rank_reading *rd, compound *c, const qd_json_node *n)
{
    int rc = 0;
    for (const qd_json_node *m = n->first; m && !rc; m = m->next) rc = member(c, m, rd->err);
    if (rc) return rc;
    if (!c->retrievers || !c->retrievers->n)
        return qd_err_set(rd->err, QD_E_XCONTENT, "[%s] needs [retrievers]", c->node->name);
    if (c->common.has_min_score && c->common.min_score < 0)
        return qd_err_set(rd->err, QD_E_ARG,
                          "[min_score] must be greater than or equal to 0, was: [%g]",
                          (double)c->common.min_score);
    c->node->has_min_score = c->common.has_min_score;
    c->node->min_score = c->common.min_score;
    uint32_t k = c->retrievers->n;
    if (k > RANK_LEAVES_MAX)
        return qd_err_set(rd->err, QD_E_ARG, "[%s] has at most [%u] [retrievers]", c->node->name,
                          RANK_LEAVES_MAX);
    c->node->below = qd_arena_calloc(rd->arena, k * sizeof(const rank_node *));
    return c->node->below ? 0 : qd_err_nomem(rd->err, "retriever");
}

static int norm_of(const qd_json_node *m, rank_norm *out, qd_err *err)
{
    qd_str s = qd_json_text(m);
    *out = qd_str_is(s, "minmax")    ? RANK_NORM_MINMAX
           : qd_str_is(s, "l2_norm") ? RANK_NORM_L2
                                     : RANK_NORM_NONE;
    if (*out || qd_str_is(s, "none")) return 0;
    return qd_err_set(err, QD_E_ARG, "Unknown normalizer [%.*s]", QD_STR_ARG(s));
}

/* A child of linear, or of rrf where it has a weight. */
static int component(compound *c, const qd_json_node *n, const qd_json_node **retriever,
                     float *weight, rank_norm *norm, qd_err *err)
{
    int rc = 0;
    for (const qd_json_node *m = n->first; m && !rc; m = m->next) {
        if (qd_str_is(m->key, "retriever"))
            *retriever = m;
        else if (qd_str_is(m->key, "weight"))
            rc = qdi_rank_float(m, weight, err);
        else if (qd_str_is(m->key, "normalizer") && c->node->kind == RANK_LINEAR)
            rc = norm_of(m, norm, err);
        else
            rc = qdi_rank_unknown(c->node->name, m->key, err);
    }
    if (!rc && *weight < 0)
        rc = qd_err_set(err, QD_E_ARG, "[weight] must be non-negative, got [%g]", (double)*weight);
    return rc;
}

static int children(rank_reading *rd, compound *c)
{
    rank_node *node = c->node;
    uint32_t k = c->retrievers->n;
    float *weights = qd_arena_alloc(rd->arena, k * sizeof *weights);
    rank_norm *norms = qd_arena_calloc(rd->arena, k * sizeof *norms);
    if (!weights || !norms) return qd_err_nomem(rd->err, "retriever");
    bool linear = node->kind == RANK_LINEAR, weighted = linear;
    int rc = 0;
    for (const qd_json_node *x = c->retrievers->first; x && !rc; x = x->next) {
        const qd_json_node *retriever = NULL;
        bool wrapped = linear || qd_json_get(x, "retriever");
        weights[node->n] = 1;
        if (x->type == QD_JSON_T_OBJECT && wrapped)
            rc = component(c, x, &retriever, &weights[node->n], &norms[node->n], rd->err);
        else if (!linear)
            retriever = x;
        weighted |= wrapped;
        if (!rc && !retriever)
            rc = qd_err_set(rd->err, QD_E_XCONTENT,
                            "[%s] needs a [retriever] in each of its "
                            "[retrievers]",
                            node->name);
        if (!rc)
            rc = qdi_rank_child(rd, retriever, &c->common.filters, node->window, linear,
                                &node->below[node->n++]);
    }
    if (weighted) node->weights = weights;
    if (linear) node->norms = norms;
    return rc;
}

static int compound_read(rank_reading *rd, const qd_json_node *n, const rank_filters *above,
                         rank_kind kind, const char *name, const rank_node **out)
{
    compound c = {.common = {.filters = {above, NULL}}};
    c.node = qdi_rank_node(rd, kind, name);
    if (!c.node) return QD_E_NOMEM;
    *out = c.node;
    int rc = members(rd, &c, n);
    return rc ? rc : children(rd, &c);
}

int qdi_rank_rrf(rank_reading *rd, const qd_json_node *n, const rank_filters *above,
                 const rank_node **out)
{
    return compound_read(rd, n, above, RANK_RRF, "rrf", out);
}

int qdi_rank_linear(rank_reading *rd, const qd_json_node *n, const rank_filters *above,
                    const rank_node **out)
{
    return compound_read(rd, n, above, RANK_LINEAR, "linear", out);
}

/* --- rescorer --------------------------------------------------------------------------------- */

static int add_extra(rank_reading *rd, rank_node *node)
{
    rank_plan *p = rd->plan;
    if (p->nextra + node->rescores.n > RANK_RESCORES_MAX)
        return qd_err_set(rd->err, QD_E_ARG, "a search has at most [%u] rescorers",
                          RANK_RESCORES_MAX);
    node->extra = p->nextra;
    for (uint32_t i = 0; i < node->rescores.n; i++) p->extra[p->nextra++] = &node->rescores.at[i];
    return 0;
}

/* Over a search of its own the rescorers become that search's; over a combined list they look at
 * what it holds. */
int qdi_rank_rescorer(rank_reading *rd, const qd_json_node *n, const rank_filters *above,
                      const rank_node **out)
{
    rank_common c = {.filters = {above, NULL}};
    const qd_json_node *retriever = NULL, *rescore = NULL;
    rank_node *node = qdi_rank_node(rd, RANK_RESCORED, "rescorer");
    if (!node) return QD_E_NOMEM;
    *out = node;
    node->below = qd_arena_calloc(rd->arena, sizeof(const rank_node *));
    if (!node->below) return qd_err_nomem(rd->err, "retriever");
    node->n = 1;
    int rc = 0;
    for (const qd_json_node *m = n->first; m && !rc; m = m->next) {
        rc = qdi_rank_common(&c, m, rd->err);
        if (rc != 1) continue;
        rc = 0;
        if (qd_str_is(m->key, "retriever"))
            retriever = m;
        else if (qd_str_is(m->key, "rescore"))
            rescore = m;
        else
            rc = qdi_rank_unknown("rescorer", m->key, rd->err);
    }
    if (!rc && (!retriever || !rescore))
        rc = qd_err_set(rd->err, QD_E_ARG, "Required [%s]", retriever ? "rescore" : "retriever");
    if (!rc) rc = qdi_rank_rescores(rd->arena, rescore, &node->rescores, rd->err);
    if (!rc && !node->rescores.n) rc = qd_err_set(rd->err, QD_E_ARG, "Missing rescore definition");
    if (rc) return rc;
    node->has_min_score = c.has_min_score;
    node->min_score = c.min_score;
    node->window = INT32_MAX;
    for (uint32_t i = 0; i < node->rescores.n; i++)
        if (node->rescores.at[i].window < node->window) node->window = node->rescores.at[i].window;
    rc = qdi_rank_child(rd, retriever, &c.filters, node->window, true, &node->below[0]);
    if (rc) return rc;
    const rank_node *child = node->below[0];
    if (child->kind != RANK_LEAF) return add_extra(rd, node);
    rank_leaf *l = &rd->plan->leaves[child->leaf];
    if (l->sort || l->collapse)
        return qd_err_set(rd->err, QD_E_ARG,
                          "Cannot use [%s] option in conjunction with [rescore].",
                          l->sort ? "sort" : "collapse");
    l->rescores = node->rescores;
    node->rescores = (rank_rescores){0};
    return 0;
}

/* --- windows ---------------------------------------------------------------------------------- */

static const char *window_field(const rank_node *n)
{
    return n->kind == RANK_RESCORED ? "window_size" : "rank_window_size";
}

static void add_error(qd_buf *b, uint32_t *count, const char *text)
{
    (void)qd_buf_printf(b, "%s%u: %s;", *count ? "" : "Validation Failed: ", *count + 1, text);
    ++*count;
}

static void check_node(const rank_node *n, int64_t size, bool scroll, qd_buf *b, uint32_t *count)
{
    char text[256];
    if (n->kind == RANK_LEAF || n->kind == RANK_COMBINED) return;
    if (size > n->window) {
        snprintf(text, sizeof text,
                 "[%s] requires [%s: %lld] be greater than or equal to [size: %lld]", n->name,
                 window_field(n), (long long)n->window, (long long)size);
        add_error(b, count, text);
    }
    if (scroll) {
        snprintf(text, sizeof text, "cannot specify [%s] and [scroll]", n->name);
        add_error(b, count, text);
    }
    for (uint32_t i = 0; i < n->n; i++) {
        const rank_node *c = n->below[i];
        check_node(c, size, scroll, b, count);
        if (c->kind == RANK_LEAF || n->window <= c->window) continue;
        snprintf(text, sizeof text,
                 "[%s] requires [%s: %lld] to be smaller than or equal to its sub retriever's %s "
                 "[%s: %lld]",
                 n->name, window_field(n), (long long)n->window, c->name, window_field(c),
                 (long long)c->window);
        add_error(b, count, text);
    }
}

int qdi_rank_validate(const rank_plan *p, int64_t size, bool scroll, qd_err *err)
{
    qd_buf b;
    uint32_t count = 0;
    qd_buf_init(&b, NULL, 8192);
    check_node(p->root, size, scroll, &b, &count);
    int rc = count ? qd_err_set(err, QD_E_VALIDATION, "%.*s", QD_STR_ARG(qd_buf_view(&b))) : 0;
    qd_buf_fini(&b);
    return rc;
}
