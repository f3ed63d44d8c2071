/*
 * build_graph.c: queries from token graphs: synonyms of several words make paths side by side.
 *
 * States are positions, a token is an edge from its position to that plus its length (Lucene's
 * GraphTokenStreamFiniteStrings). A state that no edge jumps over is an articulation point: the
 * graph is cut there, and each part becomes one clause; within a part the paths are alternatives,
 * each a phrase or a conjunction. A phrase over a graph is the disjunction of the phrases of all
 * its paths. Paths are counted against the limit of clauses before any is built.
 */
#include "query/build_int.h"

typedef struct edge {
    uint32_t from, to;
    qdi_token token; /* inc: 1, and holes before it */
} edge;

typedef struct graph {
    const qdi_matcher *m;
    edge *edges; /* by token order; from ascends */
    uint32_t n, states;
} graph;

static int make_graph(const qdi_matcher *m, const qdi_token *t, uint32_t n, graph *g, qd_err *err)
{
    uint32_t pos = 0, gap = 0;
    *g = (graph){.m = m, .edges = qd_arena_alloc(m->b->arena, n * sizeof *g->edges), .n = n};
    if (!g->edges) return qd_err_nomem(err, "query");
    for (uint32_t i = 0; i < n; i++) {
        if (i == 0) {
            gap = 0; /* holes at the beginning say nothing */
        } else if (t[i].inc > 0) {
            gap = t[i].inc - 1;
            pos += t[i].inc;
        }
        /* a token behind a hole begins at the hole, so that paths stay connected */
        uint32_t from = pos - gap, to = pos + t[i].length;
        if (to < pos) return qd_err_set(err, QD_E_ARG, "a token spans too many positions");
        g->edges[i] = (edge){from, to, {t[i].term, gap + 1, t[i].length, 0}};
        if (to > g->states) g->states = to;
    }
    return 0;
}

/* Is state passed by every path? */
static bool is_cut(const graph *g, uint32_t state)
{
    bool begins = state == g->states;
    for (uint32_t i = 0; i < g->n; i++) {
        if (g->edges[i].from < state && state < g->edges[i].to) return false;
        begins |= g->edges[i].from == state;
    }
    return begins;
}

static uint32_t next_cut(const graph *g, uint32_t state)
{
    for (uint32_t i = 0; i < g->n; i++) { /* only ends of edges can be cuts */
        uint32_t best = UINT32_MAX;
        for (uint32_t k = 0; k < g->n; k++)
            if (g->edges[k].to > state && g->edges[k].to < best) best = g->edges[k].to;
        if (best == UINT32_MAX) break;
        if (is_cut(g, best)) return best;
        state = best;
    }
    return g->states;
}

typedef struct walk {
    const graph *g;
    qdi_match_type type;
    bool and_operator, at_end;
    uint32_t to, paths;
    qdi_clauses *clauses;
    qdi_token *path; /* room for all tokens */
} walk;

static int end_of_path(walk *w, uint32_t n, qd_err *err)
{
    const qd_node *x;
    if (++w->paths > w->g->m->b->limits.max_clauses)
        return qd_err_set(err, QD_E_TOO_MANY_CLAUSES, "maxClauseCount is set to %u",
                          w->g->m->b->limits.max_clauses);
    qdi_token *copy = qd_arena_alloc(w->g->m->b->arena, n * sizeof *copy);
    if (!copy) return qd_err_nomem(err, "query");
    memcpy(copy, w->path, n * sizeof *copy);
    copy[0].inc = 1;
    qdi_matcher m = *w->g->m;
    m.of_graph = true;
    int rc = qdi_match_tokens(&m, w->type, copy, n, w->and_operator, w->at_end, &x, err);
    if (rc || !x) return rc;
    return qdi_clause_add(w->g->m->b, w->clauses, QD_OCCUR_SHOULD, x, err);
}

/* Depth first over all paths from a state to w->to, with a stack of edge numbers of our own. */
static int all_paths(walk *w, uint32_t from, qd_err *err)
{
    const graph *g = w->g;
    uint32_t *stack = qd_arena_alloc(g->m->b->arena, (g->n + 1) * sizeof *stack);
    uint32_t depth = 0, state = from, i = 0, steps = 0;
    if (!stack) return qd_err_nomem(err, "query");
    for (;;) {
        while (i < g->n && (g->edges[i].from != state || g->edges[i].to > w->to)) i++;
        if (++steps > 1u << 20)
            return qd_err_set(err, QD_E_TOO_MANY_CLAUSES, "maxClauseCount is set to %u",
                              g->m->b->limits.max_clauses);
        if (i == g->n) {
            if (depth == 0) return 0;
            i = stack[--depth];
            state = g->edges[i++].from;
            continue;
        }
        stack[depth] = i;
        w->path[depth++] = g->edges[i].token;
        if (g->edges[i].to == w->to) {
            int rc = end_of_path(w, depth, err);
            if (rc) return rc;
            depth--;
            i++;
            continue;
        }
        state = g->edges[i].to;
        i = 0;
    }
}

/* Alternatives between two cuts as one clause. */
static int alternatives(const graph *g, qdi_match_type type, bool and_operator, bool at_end,
                        uint32_t from, uint32_t to, const qd_node **out, qd_err *err)
{
    qdi_clauses c = {0};
    walk w = {.g = g,
              .type = type,
              .and_operator = and_operator,
              .at_end = at_end,
              .to = to,
              .clauses = &c,
              .path = qd_arena_alloc(g->m->b->arena, g->n * sizeof *w.path)};
    int rc = w.path ? all_paths(&w, from, err) : qd_err_nomem(err, "query");
    if (rc) {
        qd_vec_fini(&c.should);
        return rc;
    }
    if (c.should.n == 1) {
        *out = c.should.at[0];
        qd_vec_fini(&c.should);
        return 0;
    }
    return qdi_clauses_bool(g->m->b, &c, (qd_str){NULL, 0}, out, err);
}

/* One part of the graph: plain terms, or paths side by side. */
static int part(const graph *g, qdi_match_type type, bool at_end, uint32_t from, uint32_t to,
                const qd_node **out, qd_err *err)
{
    qdi_token *terms = qd_arena_alloc(g->m->b->arena, g->n * sizeof *terms);
    uint32_t n = 0;
    bool side = false;
    if (!terms) return qd_err_nomem(err, "query");
    for (uint32_t i = 0; i < g->n; i++) {
        if (g->edges[i].from != from) continue;
        side |= g->edges[i].to != to;
        terms[n++] = g->edges[i].token;
    }
    bool prefix = type == QDI_MATCH_BOOLEAN_PREFIX && at_end && to == g->states;
    if (side) {
        qdi_matcher m = *g->m;
        graph inner = *g;
        inner.m = &m;
        m.slop = 0;
        bool positions =
            qdi_field_is_text(&m.field) && m.field.f->index_options >= QD_INDEX_OPT_POSITIONS;
        qdi_match_type t = !m.synonyms_phrase || !positions ? QDI_MATCH_BOOLEAN
                           : prefix                         ? QDI_MATCH_PHRASE_PREFIX
                                                            : QDI_MATCH_PHRASE;
        return alternatives(&inner, t, true, at_end, from, to, out, err);
    }
    if (n > 1) return qdi_match_synonyms(g->m, terms, n, out, err);
    if (prefix) return qdi_match_prefix(g->m, terms[0].term, out, err);
    return qdi_match_term(g->m, (qd_query_value){terms[0].term, true}, out, err);
}

int qdi_match_graph(const qdi_matcher *m, qdi_match_type type, const qdi_token *t, uint32_t n,
                    bool and_operator, bool at_end, const qd_node **out, qd_err *err)
{
    graph g;
    qdi_clauses c = {0};
    int rc = make_graph(m, t, n, &g, err);
    if (rc) return rc;
    if (type == QDI_MATCH_PHRASE || type == QDI_MATCH_PHRASE_PREFIX)
        return alternatives(&g, type, true, at_end, g.edges[0].from, g.states, out, err);
    for (uint32_t from = g.edges[0].from; from < g.states && !rc;) {
        const qd_node *x = NULL;
        uint32_t to = next_cut(&g, from);
        rc = part(&g, type, at_end, from, to, &x, err);
        if (!rc && x)
            rc = qdi_clause_add(m->b, &c, and_operator ? QD_OCCUR_MUST : QD_OCCUR_SHOULD, x, err);
        from = to;
    }
    if (!rc) return qdi_clauses_bool(m->b, &c, (qd_str){NULL, 0}, out, err);
    qd_vec_fini(&c.must);
    qd_vec_fini(&c.should);
    return rc;
}
