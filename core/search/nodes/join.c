/*
 * join.c: documents that have an id in common with those that the child matches. The first segment
 * that asks runs the child over the whole shard and gathers the ids, with the scores and the number
 * of their documents; from then on the node is the set of these ids as terms. Scores are added up
 * as Lucene's JoinUtil does it, in float.
 */
#include "search/join.h"
#include "base/vec.h"
#include "search/fetch/explain_int.h"
#include "search/leaf/window_int.h"
#include "search/nodes/nodes_int.h"
#include <math.h>

/* What is known of an id. */
typedef struct found {
    float score;
    uint32_t n; /* documents of the child */
} found;

typedef struct join_plan {
    const qd_node_join *q;
    qd_plan *child;
    qd_nested_score score; /* NONE, too, where nobody asks */
    bool gathered;
    qd_join_ids ids;
    QD_VEC(found) found; /* by number */
    float most;          /* of the scores */
    qd_plan *here;       /* the documents; NULL: there are none */
} join_plan;

typedef struct join_leaf {
    const join_plan *plan;
    qdi_run *run; /* of the documents */
    qd_join_leaf ids;
} join_leaf;

static const char *const modes[] = {"avg", "sum", "min", "max", "none"};

static void describe(const qd_node *n, bool in_bool, qd_buf *to)
{
    const qd_node_join *q = &n->u.join;
    (void)in_bool;
    qdi_put(to, "JoinQuery{field=");
    qdi_put_str(to, q->ids);
    qdi_put(to, ", from=");
    qdi_describe(q->child, false, to);
    qdi_put(to, ", to=");
    qdi_describe(q->to, false, to);
    qdi_put(to, ", scoreMode=");
    qdi_put(to, modes[q->score]);
    qdi_put(to, ", min=");
    qdi_put_int(to, q->min);
    qdi_put(to, ", max=");
    qdi_put_int(to, q->max);
    qdi_put(to, "}");
}

/* --- the plan --------------------------------------------------------------------------------- */

static void plan_fini(void *arg)
{
    join_plan *y = arg;
    qd_join_ids_fini(&y->ids);
    qd_vec_fini(&y->found);
}

static int compile(qd_plan *p, const qd_node *n, qdi_above a, qdi_node **out, qd_err *err)
{
    const qd_node_join *q = &n->u.join;
    bool scores = a.scores && q->score != QD_NESTED_NONE;
    qdi_node *x = qdi_plan_node(p, &qdi_node_match_none, n, a.boost, a.scores, err);
    join_plan *y = qd_arena_calloc(p->arena, sizeof *y);
    if (!x || !y) return qd_err_nomem(err, "query plan");
    *out = x;
    qd_plan_options o = p->o;
    o.no_scores = !scores;
    o.depth = a.depth + 1;
    int rc = qd_plan_make(p->searcher, q->child, &o, p->arena, &y->child, err);
    if (rc) return rc;
    y->child->next = p->nested;
    p->nested = y->child;
    y->q = q;
    y->score = scores ? q->score : QD_NESTED_NONE;
    qd_join_ids_init(&y->ids, p->account);
    if (qd_arena_on_reset(p->arena, plan_fini, y)) return qd_err_nomem(err, "query plan");
    x->u.own = y;
    if (!qd_plan_is_empty(y->child)) x->type = &qdi_node_join;
    return 0;
}

/* --- the ids ---------------------------------------------------------------------------------- */

/* Gathers the ids of what the child matches. */
typedef struct gatherer {
    qd_collector c;
    join_plan *y;
    qd_join_leaf leaf;
    qd_arena arena; /* of a leaf */
} gatherer;

static int gather_plan(qd_collector *c, const qd_leaf *leaf, qd_reads *reads, qd_err *err)
{
    gatherer *g = (gatherer *)c;
    qd_arena_reset(&g->arena);
    return qd_join_leaf_plan(&g->leaf, leaf, g->y->q->ids, reads, &g->arena, err);
}

static int gather_begin(qd_collector *c, const qd_leaf *leaf, qd_reads *reads, qd_err *err)
{
    (void)leaf, (void)reads, (void)err;
    return ((gatherer *)c)->leaf.values ? 0 : QD_COLLECT_LEAF_DONE;
}

static void add_score(qd_nested_score mode, found *f, float s)
{
    if (f->n == 0)
        f->score = s;
    else if (mode == QD_NESTED_MIN)
        f->score = fminf(f->score, s);
    else if (mode == QD_NESTED_MAX)
        f->score = fmaxf(f->score, s);
    else
        f->score += s;
}

static int gather_collect(qd_collector *c, const qd_hits *h, qd_err *err)
{
    gatherer *g = (gatherer *)c;
    join_plan *y = g->y;
    for (uint32_t i = 0; i < h->n; i++) {
        uint32_t at;
        int rc = qd_join_leaf_number(&g->leaf, &y->ids, h->docs[i], true, &at, err);
        if (rc) return rc;
        if (at == QD_JOIN_NONE) continue;
        if (at == y->found.n && qd_vec_push(&y->found, y->ids.account, ((found){0})))
            return qd_err_nomem(err, "ids of a join");
        found *f = &y->found.at[at];
        if (h->scores) add_score(y->score, f, h->scores[i]);
        f->n++;
    }
    return 0;
}

/* The ids with as many documents as asked for; their scores become what they count. */
static int choose(join_plan *y, qd_arena *arena, const qd_str **out, uint32_t *n, qd_err *err)
{
    const qd_map_entry *e;
    size_t pos = 0, i = 0;
    qd_str *terms = qd_arena_alloc(arena, (y->found.n + 1) * sizeof *terms);
    if (!terms) return qd_err_nomem(err, "ids of a join");
    *out = terms;
    *n = 0;
    for (; (e = qd_map_next(&y->ids.map, &pos)); i++) {
        found *f = &y->found.at[i];
        if (y->score == QD_NESTED_AVG) f->score /= (float)f->n;
        if (f->n < y->q->min || f->n > y->q->max) continue;
        if (f->score > y->most) y->most = f->score;
        terms[(*n)++] = e->key;
    }
    return 0;
}

static int plan_here(qd_plan *p, join_plan *y, qd_err *err)
{
    const qd_str *terms = NULL;
    uint32_t n = 0;
    const qd_node **filter;
    int rc = choose(y, p->arena, &terms, &n, err);
    if (rc || n == 0) return rc;
    qd_node *set = qd_node_make(p->arena, QD_NATIVE_TERM_SET);
    qd_node *both = qd_node_bool_make(p->arena, 0, 0, 2, 0, NULL, NULL, &filter, NULL);
    if (!set || !both) return qd_err_nomem(err, "ids of a join");
    set->u.term_set = (qd_node_term_set){.field = y->q->ids, .terms = terms, .n = n};
    filter[0] = y->q->to;
    filter[1] = set;
    qd_plan_options o = p->o;
    o.no_scores = true;
    return qd_plan_make(p->searcher, both, &o, p->arena, &y->here, err);
}

/* Once a search of the shard. What stopped half-way is begun anew by the next one who asks. */
static int gather(qd_plan *p, join_plan *y, qd_err *err)
{
    static const qd_collector_vt vt = {
        .plan = gather_plan, .begin = gather_begin, .collect = gather_collect};
    qd_collect_result result = {0};
    gatherer g = {.c = {.vt = &vt, .flags = y->score == QD_NESTED_NONE ? 0 : QD_COLLECT_SCORES},
                  .y = y};
    qd_join_ids_fini(&y->ids);
    qd_join_ids_init(&y->ids, p->account);
    y->found.n = 0;
    y->most = 0;
    qd_arena_init(&g.arena, p->account, 0);
    int rc = qd_plan_collect(y->child, NULL, &g.c, &result, err);
    qd_arena_fini(&g.arena);
    if (!rc && result.timed_out) rc = QD_E_TIMEOUT;
    if (!rc) rc = plan_here(p, y, err);
    y->gathered = rc == 0;
    return rc;
}

/* --- a segment -------------------------------------------------------------------------------- */

static join_leaf *leaf_of(const qdi_lnode *l)
{
    return l->u.own;
}

static int plan(qdi_run *r, const qdi_node *x, qdi_lnode *l, qd_err *err)
{
    join_plan *p = x->u.own;
    qdi_below *below;
    int rc = p->gathered ? 0 : gather(r->plan, p, err);
    if (rc || !p->here || qd_plan_is_empty(p->here)) return rc;
    rc = qdi_run_below(r, p->here, r->leaf, false, &below, err);
    if (rc || qdi_leaf_can(below->run.root, QDI_NODE_NOTHING)) return rc;
    join_leaf *y = qd_arena_calloc(r->arena, sizeof *y);
    if (!y) return qd_err_nomem(err, "search");
    y->plan = p;
    y->run = &below->run;
    if (l->scores && p->score != QD_NESTED_NONE)
        rc = qd_join_leaf_plan(&y->ids, r->leaf, p->q->ids, r->reads, r->arena, err);
    l->u.own = y;
    l->type = &qdi_node_join;
    l->cost = below->run.root->cost;
    return rc;
}

static bool is_flat(const qdi_lnode *l)
{
    return leaf_of(l)->plan->score == QD_NESTED_NONE;
}

static uint32_t next(qdi_run *r, qdi_lnode *l, uint32_t from)
{
    (void)r;
    return qdi_next(leaf_of(l)->run, leaf_of(l)->run->root, from);
}

static float bound(qdi_run *r, qdi_lnode *l, uint32_t from, uint32_t to)
{
    return is_flat(l) ? qdi_bound_boost(r, l, from, to)
                      : qdi_bound_up((double)leaf_of(l)->plan->most * (double)l->boost);
}

static int add_scores(qdi_lnode *l, const qdi_win *w, const uint64_t *out, double *acc, qd_err *err)
{
    join_leaf *y = leaf_of(l);
    const join_plan *p = y->plan;
    for (uint32_t i = 0; i < w->words; i++)
        for (uint64_t x = out[i]; x; x &= x - 1) {
            uint32_t d = i * 64 + (uint32_t)__builtin_ctzll(x), at;
            int rc =
                qd_join_leaf_number(&y->ids, (qd_join_ids *)&p->ids, w->from + d, false, &at, err);
            if (rc) return rc;
            if (at != QD_JOIN_NONE) acc[d] += (double)(p->found.at[at].score * l->boost);
        }
    return 0;
}

static int fill(qdi_run *r, qdi_lnode *l, const qdi_win *w, const uint64_t *cand, uint64_t *out,
                double *acc, qd_err *err)
{
    const join_leaf *y = leaf_of(l);
    (void)r;
    int rc = qdi_fill(y->run, y->run->root, w, cand, out, NULL, err);
    if (rc || !acc) return rc;
    if (!is_flat(l)) return add_scores(l, w, out, acc, err);
    qdi_add_boost(l, w, out, acc);
    return 0;
}

/* --- explanation ------------------------------------------------------------------------------ */

static qd_explanation *explain(qdi_explaining *x, const qd_node *n, float boost, bool match,
                               float score)
{
    qd_str id;
    (void)boost;
    if (!match) return qdi_explain_make(x, false, 0, QD_STR("Not a match"));
    x->rc = qd_join_id(x->s, n->u.join.ids, x->doc, x->arena, x->arena->account, &id, x->err);
    if (x->rc) return NULL;
    return qdi_explain_make(
        x, true, score,
        qd_arena_printf(x->arena, "Score based on join value %.*s", QD_STR_ARG(id)));
}

const qd_node_type qdi_node_join = {.name = "join",
                                    .describe = describe,
                                    .explain = explain,
                                    .compile = compile,
                                    .plan = plan,
                                    .next = next,
                                    .bound = bound,
                                    .fill = fill,
                                    .is_flat = is_flat};
