/*
 * plan.c: compiles a tree of native nodes. One recursive walk (depth is bounded) over the rows of
 * nodes/ folds what is trivial, multiplies boosts down and collects fields and terms; look-ups,
 * statistics and weights follow for all terms together (weight.c).
 *
 * Where nothing is scored (filter, must_not, constant_score, a plan without scores) must counts as
 * filter and optional clauses fall away, as in Lucene.
 */
#include "search/plan/plan_int.h"
#include <stdlib.h>

#define CLAUSES_MAX 1024u
#define FEW_TERMS 16u

const qd_similarity qd_similarity_es = {.k1 = 1.2f, .b = 0.75f, .factor = 1.0f + 1.2f};
const qd_similarity qd_similarity_lucene = {.k1 = 1.2f, .b = 0.75f, .factor = 1.0f};

qd_similarity qdi_similarity_of(const qd_plan_options *o, qd_str field)
{
    const qd_similarity *common = o->similarity ? o->similarity : &qd_similarity_es;
    const qd_similarity *own = o->similarity_of ? o->similarity_of(o->similarity_arg, field) : NULL;
    qd_similarity sim = own ? *own : *common;
    if (common->factor == 1) sim.factor = 1;
    return sim;
}

qdi_field *qdi_plan_field(qd_plan *p, qd_str name, qd_err *err)
{
    for (qdi_field *f = p->fields; f; f = f->next)
        if (qd_str_eq(f->name, name)) return f;
    uint32_t leaves = qd_searcher_leaves(p->searcher);
    qdi_field *f = qd_arena_calloc(p->arena, sizeof *f);
    if (f) f->number = qd_arena_alloc(p->arena, (leaves + 1) * sizeof *f->number);
    if (!f || !f->number) {
        qd_err_nomem(err, "query plan");
        return NULL;
    }
    f->name = name;
    f->sim = qdi_similarity_of(&p->o, name);
    for (uint32_t i = 0; i < leaves; i++)
        f->number[i] = qd_segment_field_find(qd_searcher_leaf(p->searcher, i)->segment, name);
    qd_searcher_field_stats(p->searcher, name, &f->stats);
    f->next = p->fields;
    p->fields = f;
    return f;
}

/* A term's key in the map: the field's name, a NUL, the term. */
static int term_key(qd_plan *p, const qdi_field *f, qd_str text, qd_str *key)
{
    char *at = qd_arena_bytes(p->arena, f->name.n + 1 + text.n);
    if (!at) return QD_E_NOMEM;
    memcpy(at, f->name.p, f->name.n);
    at[f->name.n] = 0;
    if (text.n) memcpy(at + f->name.n + 1, text.p, text.n);
    *key = (qd_str){at, f->name.n + 1 + text.n};
    return 0;
}

static int map_term(qd_plan *p, qdi_term *t)
{
    qd_str key;
    int rc = term_key(p, t->field, t->text, &key);
    return rc ? rc : qd_map_put(&p->term_map, key, t, NULL);
}

/* The term last mentioned so; few are looked for one by one. NULL: none, or no memory to look. */
static qdi_term *find_term(qd_plan *p, const qdi_field *f, qd_str text)
{
    if (p->nterms <= FEW_TERMS) {
        for (qdi_term *t = p->terms; t; t = t->next)
            if (t->field == f && qd_str_eq(t->text, text)) return t;
        return NULL;
    }
    qd_str key;
    qd_arena_mark mark = qd_arena_mark_get(p->arena);
    qdi_term *t = term_key(p, f, text, &key) ? NULL : qd_map_get(&p->term_map, key);
    qd_arena_mark_release(p->arena, mark);
    return t;
}

qdi_term *qdi_plan_term(qd_plan *p, qdi_field *f, qd_str text, const qd_node_stats *given,
                        qd_err *err)
{
    qdi_term *t = find_term(p, f, text);
    if (t && t->given == given) return t;
    t = qd_arena_calloc(p->arena, sizeof *t);
    if (t) t->at = qd_arena_calloc(p->arena, (qd_searcher_leaves(p->searcher) + 1) * sizeof *t->at);
    if (!t || !t->at) goto nomem;
    t->field = f;
    t->text = text;
    t->given = given;
    if (p->nterms == FEW_TERMS) /* from here on by the map, which then holds all of them */
        for (qdi_term *x = p->terms; x; x = x->next)
            if (map_term(p, x)) goto nomem;
    if (p->nterms >= FEW_TERMS && map_term(p, t)) goto nomem;
    if (p->last_term)
        p->last_term->next = t;
    else
        p->terms = t;
    p->last_term = t;
    p->nterms++;
    return t;
nomem:
    qd_err_nomem(err, "query plan");
    return NULL;
}

qdi_node *qdi_plan_node(qd_plan *p, const qd_node_type *type, const qd_node *from, float boost,
                        bool scores, qd_err *err)
{
    qdi_node *x = qd_arena_calloc(p->arena, sizeof *x);
    if (!x) {
        qd_err_nomem(err, "query plan");
        return NULL;
    }
    x->type = type;
    x->from = from;
    x->boost = boost;
    x->scores = scores;
    x->number = p->nnodes++;
    return x;
}

int qdi_compile(qd_plan *p, const qd_node *n, qdi_above a, qdi_node **out, qd_err *err)
{
    if (a.depth > QD_NODE_DEPTH_MAX)
        return qd_err_set(err, QD_E_LIMIT, "the query is nested deeper than %u levels",
                          QD_NODE_DEPTH_MAX);
    if ((unsigned)n->kind >= QD_NODE_KINDS)
        return qd_err_set(err, QD_E_ARG, "unknown query node %d", (int)n->kind);
    a.boost = a.scores ? qdi_boost_of(a.boost, n) : 1;
    return qdi_node_type_of(n)->compile(p, n, a, out, err);
}

/* NONE and ALL are left in for the caller to see. */
int qdi_compile_list(qd_plan *p, const qd_node *const *in, uint32_t n, qdi_above a, qdi_node ***to,
                     qd_err *err)
{
    qdi_node **list = qd_arena_calloc(p->arena, ((size_t)n + 1) * sizeof *list);
    if (!list) return qd_err_nomem(err, "query plan");
    a.depth++;
    for (uint32_t i = 0; i < n; i++) {
        int rc = qdi_compile(p, in[i], a, &list[i], err);
        if (rc) return rc;
    }
    *to = list;
    return 0;
}

uint32_t qdi_plan_drop(qdi_node **list, uint32_t n, uint32_t capability)
{
    uint32_t m = 0;
    for (uint32_t i = 0; i < n; i++)
        if (!qdi_plan_can(list[i], capability)) list[m++] = list[i];
    return m;
}

void qdi_plan_become(qdi_node *x, const qdi_node *y)
{
    uint32_t number = x->number;
    *x = *y;
    x->number = number;
}

static void plan_fini(void *arg)
{
    qd_plan *p = arg;
    qd_map_fini(&p->term_map);
    qd_searcher_unref(p->searcher);
    p->magic = 0;
}

int qd_plan_make(qd_searcher *s, const qd_node *root, const qd_plan_options *options,
                 qd_arena *arena, qd_plan **out, qd_err *err)
{
    qd_plan *p = qd_arena_calloc(arena, sizeof *p);
    if (!p) return qd_err_nomem(err, "query plan");
    p->magic = QDI_PLAN_MAGIC;
    p->searcher = qd_searcher_ref(s);
    p->arena = arena;
    if (options) p->o = *options;
    p->sim = p->o.similarity ? *p->o.similarity : qd_similarity_es;
    p->account = p->o.account ? p->o.account : arena->account;
    if (!p->o.max_clauses) p->o.max_clauses = CLAUSES_MAX;
    qd_map_init(&p->term_map, p->account);
    if (qd_arena_on_reset(arena, plan_fini, p)) return qd_err_nomem(err, "query plan");
    int rc = qdi_compile(p, root, (qdi_above){1, !p->o.no_scores, p->o.depth}, &p->root, err);
    if (!rc) rc = qdi_plan_lookup(p, err);
    if (!rc) rc = qdi_plan_weigh(p, err);
    if (!rc) *out = p;
    return rc;
}

bool qd_plan_is_empty(const qd_plan *p)
{
    return qdi_plan_can(p->root, QDI_NODE_NOTHING);
}

bool qd_plan_is_everything(const qd_plan *p)
{
    return qdi_plan_can(p->root, QDI_NODE_EVERYTHING);
}

int qd_plan_terms(qd_plan *p,
                  int (*each)(void *arg, qd_str field, qd_str term, const qd_node_stats *stats),
                  void *arg, qd_err *err)
{
    (void)err;
    for (qdi_term *t = p->terms; t; t = t->next) {
        qd_node_stats st = {
            .doc_freq = (int64_t)t->df,
            .total_term_freq = (int64_t)t->ttf,
            .doc_count = (int64_t)t->field->stats.doc_count,
            .sum_total_term_freq = (int64_t)t->field->stats.sum_total_term_freq,
        };
        int rc = each(arg, t->field->name, t->text, &st);
        if (rc) return rc;
    }
    for (qd_plan *n = p->nested; n; n = n->next) {
        int rc = qd_plan_terms(n, each, arg, err);
        if (rc) return rc;
    }
    return 0;
}
