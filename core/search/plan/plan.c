/*
 * plan.c: compiles a tree of native nodes. One recursive walk (depth is bounded) folds what is
 * trivial, multiplies boosts down and collects fields and terms; look-ups, statistics and weights
 * follow for all terms together (weight.c).
 *
 * Where nothing is scored (filter, must_not, constant_score, a plan without scores) must counts as
 * filter and optional clauses fall away, as in Lucene.
 */
#include "search/plan/plan_int.h"
#include "segment/ids.h"
#include <stdlib.h>

#define CLAUSES_MAX 1024u
#define FEW_TERMS 16u

const qd_similarity qd_similarity_es = {.k1 = 1.2f, .b = 0.75f, .factor = 1.0f + 1.2f};
const qd_similarity qd_similarity_lucene = {.k1 = 1.2f, .b = 0.75f, .factor = 1.0f};

static int compile(qd_plan *p, const qd_node *n, float boost, bool scores, uint32_t depth,
                   qdi_node **out, qd_err *err);

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
    f->sim = p->sim;
    if (p->o.similarity_of) {
        const qd_similarity *own = p->o.similarity_of(p->o.similarity_arg, name);
        if (own) f->sim = *own;
    }
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

qdi_node *qdi_plan_node(qd_plan *p, qdi_kind kind, const qd_node *from, float boost, bool scores,
                        qd_err *err)
{
    qdi_node *x = qd_arena_calloc(p->arena, sizeof *x);
    if (!x) {
        qd_err_nomem(err, "query plan");
        return NULL;
    }
    x->kind = kind;
    x->from = from;
    x->boost = boost;
    x->scores = scores;
    x->number = p->nnodes++;
    return x;
}

static int compile_term(qd_plan *p, const qd_node *n, float boost, bool scores, qdi_node **out,
                        qd_err *err)
{
    qdi_field *f = qdi_plan_field(p, n->u.term.field, err);
    qdi_node *x = f ? qdi_plan_node(p, QDI_TERM, n, boost, scores, err) : NULL;
    if (!x) return QD_E_NOMEM;
    x->u.term = qdi_plan_term(p, f, n->u.term.term, n->u.term.stats, err);
    if (!x->u.term) return QD_E_NOMEM;
    *out = x;
    return 0;
}

static int compile_synonym(qd_plan *p, const qd_node *n, float boost, bool scores, qdi_node **out,
                           qd_err *err)
{
    const qd_node_synonym *s = &n->u.synonym;
    qdi_field *f = qdi_plan_field(p, s->field, err);
    qdi_node *x = f ? qdi_plan_node(p, s->n ? QDI_SYNONYM : QDI_NONE, n, boost, scores, err) : NULL;
    if (!x) return QD_E_NOMEM;
    *out = x;
    if (!s->n) return 0;
    x->u.synonym.field = f;
    x->u.synonym.n = s->n;
    x->u.synonym.boosts = s->boosts;
    x->u.synonym.terms = qd_arena_calloc(p->arena, s->n * sizeof *x->u.synonym.terms);
    if (!x->u.synonym.terms) return qd_err_nomem(err, "query plan");
    for (uint32_t i = 0; i < s->n; i++) {
        x->u.synonym.terms[i] = qdi_plan_term(p, f, s->terms[i], NULL, err);
        if (!x->u.synonym.terms[i]) return QD_E_NOMEM;
    }
    if (s->n == 1 && !s->boosts) { /* a plain term */
        qdi_term *t = x->u.synonym.terms[0];
        x->kind = QDI_TERM;
        x->u.term = t;
    }
    return 0;
}

/* Fills one slot with the alternatives terms[from..to). */
static int phrase_slot(qd_plan *p, qdi_field *f, const qd_node_phrase *ph, uint32_t from,
                       uint32_t to, qdi_phrase_slot *s, qd_err *err)
{
    s->position = ph->terms[from].position;
    s->n = 0;
    s->terms = NULL;
    for (uint32_t i = from; i < to; i++) {
        qdi_term **more = NULL, *one;
        uint32_t n = 1;
        if (ph->terms[i].prefix) {
            int rc = qdi_expand_prefix_terms(p, f, ph->terms[i].term,
                                             ph->max_expansions ? ph->max_expansions : 50, &more,
                                             &n, err);
            if (rc) return rc;
        } else {
            one = qdi_plan_term(p, f, ph->terms[i].term, NULL, err);
            if (!one) return QD_E_NOMEM;
            more = &one;
        }
        qdi_term **all = qd_arena_calloc(p->arena, ((size_t)s->n + n + 1) * sizeof *all);
        if (!all) return qd_err_nomem(err, "query plan");
        if (s->n) memcpy(all, s->terms, s->n * sizeof *all);
        for (uint32_t k = 0; k < n; k++) { /* an alternative counts once */
            bool there = false;
            for (uint32_t j = 0; j < s->n && !there; j++) there = all[j] == more[k];
            if (!there) all[s->n++] = more[k];
        }
        s->terms = all;
    }
    return 0;
}

static int compile_phrase(qd_plan *p, const qd_node *n, float boost, bool scores, qdi_node **out,
                          qd_err *err)
{
    const qd_node_phrase *ph = &n->u.phrase;
    qdi_field *f = qdi_plan_field(p, ph->field, err);
    qdi_node *x = f ? qdi_plan_node(p, QDI_PHRASE, n, boost, scores, err) : NULL;
    if (!x) return QD_E_NOMEM;
    *out = x;
    qdi_phrase_slot *slots = qd_arena_calloc(p->arena, (ph->n + 1) * sizeof *slots);
    if (!slots) return qd_err_nomem(err, "query plan");
    uint32_t ns = 0;
    for (uint32_t i = 0; i < ph->n;) {
        uint32_t to = i + 1;
        while (to < ph->n && ph->terms[to].position == ph->terms[i].position) to++;
        if (to < ph->n && ph->terms[to].position < ph->terms[i].position)
            return qd_err_set(err, QD_E_ARG, "positions of a phrase must ascend");
        int rc = phrase_slot(p, f, ph, i, to, &slots[ns], err);
        if (rc) return rc;
        if (slots[ns].n == 0) { /* a prefix without terms */
            x->kind = QDI_NONE;
            return 0;
        }
        ns++;
        i = to;
    }
    if (ns == 0) {
        x->kind = QDI_NONE;
    } else if (ns == 1 && slots[0].n == 1) {
        x->kind = QDI_TERM;
        x->u.term = slots[0].terms[0];
    } else if (ns == 1) { /* Lucene: a bool of the alternatives */
        x->kind = QDI_BOOL;
        x->u.b.nshould = slots[0].n;
        x->u.b.min_should = 1;
        x->u.b.should = qd_arena_calloc(p->arena, slots[0].n * sizeof *x->u.b.should);
        if (!x->u.b.should) return qd_err_nomem(err, "query plan");
        for (uint32_t i = 0; i < slots[0].n; i++) {
            qdi_node *t = qdi_plan_node(p, QDI_TERM, n, boost, scores, err);
            if (!t) return QD_E_NOMEM;
            t->u.term = slots[0].terms[i];
            x->u.b.should[i] = t;
        }
    } else {
        x->u.phrase.field = f;
        x->u.phrase.slots = slots;
        x->u.phrase.n = ns;
        x->u.phrase.slop = ph->slop;
    }
    return 0;
}

/* Compiles a list of children into *to; NONE and ALL are left in for the caller to see. */
static int compile_list(qd_plan *p, const qd_node *const *in, uint32_t n, float boost, bool scores,
                        uint32_t depth, qdi_node ***to, qd_err *err)
{
    qdi_node **list = qd_arena_calloc(p->arena, ((size_t)n + 1) * sizeof *list);
    if (!list) return qd_err_nomem(err, "query plan");
    for (uint32_t i = 0; i < n; i++) {
        int rc = compile(p, in[i], boost, scores, depth + 1, &list[i], err);
        if (rc) return rc;
    }
    *to = list;
    return 0;
}

/* Drops children of a kind; returns how many are left. */
static uint32_t drop_kind(qdi_node **list, uint32_t n, qdi_kind kind)
{
    uint32_t m = 0;
    for (uint32_t i = 0; i < n; i++)
        if (list[i]->kind != kind) list[m++] = list[i];
    return m;
}

static bool has_kind(qdi_node *const *list, uint32_t n, qdi_kind kind)
{
    for (uint32_t i = 0; i < n; i++)
        if (list[i]->kind == kind) return true;
    return false;
}

/* Is x a disjunction that its parent disjunction may take over clause by clause? */
static bool is_plain_or(const qdi_node *x)
{
    return x->kind == QDI_BOOL && x->u.b.nmust + x->u.b.nfilter + x->u.b.nmust_not == 0 &&
           x->u.b.min_should == 1;
}

/* Inlines disjunctions among the should clauses, as Lucene's rewrite does. */
static int flatten_should(qd_plan *p, qdi_node *x, qd_err *err)
{
    uint32_t n = 0;
    bool any = false;
    for (uint32_t i = 0; i < x->u.b.nshould; i++) {
        qdi_node *c = x->u.b.should[i];
        any |= is_plain_or(c);
        n += is_plain_or(c) ? c->u.b.nshould : 1;
    }
    if (!any) return 0;
    qdi_node **all = qd_arena_calloc(p->arena, (n + 1) * sizeof *all);
    if (!all) return qd_err_nomem(err, "query plan");
    uint32_t m = 0;
    for (uint32_t i = 0; i < x->u.b.nshould; i++) {
        qdi_node *c = x->u.b.should[i];
        if (is_plain_or(c))
            for (uint32_t k = 0; k < c->u.b.nshould; k++) all[m++] = c->u.b.should[k];
        else
            all[m++] = c;
    }
    x->u.b.should = all;
    x->u.b.nshould = m;
    return 0;
}

/* Takes the clauses of required conjunctions that are not scored into x's own filters. */
static int flatten_filter(qd_plan *p, qdi_node *x, qd_err *err)
{
    uint32_t n = 0;
    bool any = false;
    for (uint32_t i = 0; i < x->u.b.nfilter; i++) {
        qdi_node *c = x->u.b.filter[i];
        bool plain = c->kind == QDI_BOOL && c->u.b.nshould == 0 && c->u.b.nmust_not == 0 &&
                     c->u.b.nmust == 0;
        any |= plain;
        n += plain ? c->u.b.nfilter : 1;
    }
    if (!any) return 0;
    qdi_node **all = qd_arena_calloc(p->arena, (n + 1) * sizeof *all);
    if (!all) return qd_err_nomem(err, "query plan");
    uint32_t m = 0;
    for (uint32_t i = 0; i < x->u.b.nfilter; i++) {
        qdi_node *c = x->u.b.filter[i];
        if (c->kind == QDI_BOOL && c->u.b.nshould == 0 && c->u.b.nmust_not == 0 &&
            c->u.b.nmust == 0)
            for (uint32_t k = 0; k < c->u.b.nfilter; k++) all[m++] = c->u.b.filter[k];
        else
            all[m++] = c;
    }
    x->u.b.filter = all;
    x->u.b.nfilter = m;
    return 0;
}

static void become(qdi_node *x, const qdi_node *y)
{
    uint32_t number = x->number;
    *x = *y;
    x->number = number;
}

/* Moves must to filter where nothing is scored, optional clauses away. */
static int bool_without_scores(qd_plan *p, qdi_node *x, qd_err *err)
{
    uint32_t n = x->u.b.nmust + x->u.b.nfilter;
    if (x->u.b.nmust) {
        qdi_node **all = qd_arena_calloc(p->arena, (n + 1) * sizeof *all);
        if (!all) return qd_err_nomem(err, "query plan");
        memcpy(all, x->u.b.must, x->u.b.nmust * sizeof *all);
        if (x->u.b.nfilter) memcpy(all + x->u.b.nmust, x->u.b.filter, x->u.b.nfilter * sizeof *all);
        x->u.b.filter = all;
        x->u.b.nfilter = n;
        x->u.b.nmust = 0;
    }
    if (x->u.b.min_should == 0) x->u.b.nshould = 0;
    return flatten_filter(p, x, err);
}

/* Folds a bool whose lists are compiled: what always or never matches, single clauses, flattening.
 */
static int fold_bool(qd_plan *p, qdi_node *x, qd_err *err)
{
    if (has_kind(x->u.b.must, x->u.b.nmust, QDI_NONE) ||
        has_kind(x->u.b.filter, x->u.b.nfilter, QDI_NONE) ||
        has_kind(x->u.b.must_not, x->u.b.nmust_not, QDI_ALL)) {
        x->kind = QDI_NONE;
        return 0;
    }
    bool required = x->u.b.nmust + x->u.b.nfilter > 0;
    x->u.b.nmust_not = drop_kind(x->u.b.must_not, x->u.b.nmust_not, QDI_NONE);
    x->u.b.nshould = drop_kind(x->u.b.should, x->u.b.nshould, QDI_NONE);
    if (!required && x->u.b.min_should == 0) x->u.b.min_should = 1;
    if (x->u.b.nshould < x->u.b.min_should) {
        x->kind = QDI_NONE;
        return 0;
    }
    if (x->u.b.min_should <= 1) {
        int rc = flatten_should(p, x, err);
        if (rc) return rc;
    }
    if (x->u.b.min_should && x->u.b.min_should == x->u.b.nshould) { /* all of them: required */
        qdi_node **all =
            qd_arena_calloc(p->arena, (x->u.b.nmust + x->u.b.nshould + 1) * sizeof *all);
        if (!all) return qd_err_nomem(err, "query plan");
        if (x->u.b.nmust) memcpy(all, x->u.b.must, x->u.b.nmust * sizeof *all);
        memcpy(all + x->u.b.nmust, x->u.b.should, x->u.b.nshould * sizeof *all);
        x->u.b.must = all;
        x->u.b.nmust += x->u.b.nshould;
        x->u.b.nshould = x->u.b.min_should = 0;
    }
    if (!x->scores) {
        int rc = bool_without_scores(p, x, err);
        if (rc) return rc;
    } else {
        int rc = flatten_filter(p, x, err);
        if (rc) return rc;
    }
    /* A filter of everything says nothing beside another required clause. */
    uint32_t left = drop_kind(x->u.b.filter, x->u.b.nfilter, QDI_ALL);
    if (left + x->u.b.nmust + x->u.b.min_should > 0)
        x->u.b.nfilter = left;
    else if (x->u.b.nfilter > 1)
        x->u.b.nfilter = 1;
    if (x->u.b.nmust_not == 0 && x->u.b.nshould == 0) {
        if (x->u.b.nmust == 1 && x->u.b.nfilter == 0)
            become(x, x->u.b.must[0]);
        else if (x->u.b.nmust == 0 && x->u.b.nfilter == 1 && !x->scores)
            become(x, x->u.b.filter[0]);
    }
    return 0;
}

static int compile_bool(qd_plan *p, const qd_node *n, float boost, bool scores, uint32_t depth,
                        qdi_node **out, qd_err *err)
{
    const qd_node_bool *b = &n->u.boolean;
    qdi_node *x = qdi_plan_node(p, QDI_BOOL, n, boost, scores, err);
    if (!x) return QD_E_NOMEM;
    *out = x;
    /* optional clauses that nobody scores: their terms need not even be looked up */
    bool idle = !scores && b->min_should == 0 && b->nmust + b->nfilter > 0;
    x->u.b.nmust = b->nmust;
    x->u.b.nshould = idle ? 0 : b->nshould;
    x->u.b.nfilter = b->nfilter;
    x->u.b.nmust_not = b->nmust_not;
    x->u.b.min_should = b->min_should;
    int rc = compile_list(p, b->must, b->nmust, boost, scores, depth, &x->u.b.must, err);
    if (!rc)
        rc = compile_list(p, b->should, x->u.b.nshould, boost, scores, depth, &x->u.b.should, err);
    if (!rc) rc = compile_list(p, b->filter, b->nfilter, 1, false, depth, &x->u.b.filter, err);
    if (!rc)
        rc = compile_list(p, b->must_not, b->nmust_not, 1, false, depth, &x->u.b.must_not, err);
    return rc ? rc : fold_bool(p, x, err);
}

static int compile_dis_max(qd_plan *p, const qd_node *n, float boost, bool scores, uint32_t depth,
                           qdi_node **out, qd_err *err)
{
    const qd_node_dis_max *d = &n->u.dis_max;
    qdi_node *x = qdi_plan_node(p, QDI_DIS_MAX, n, boost, scores, err);
    if (!x) return QD_E_NOMEM;
    *out = x;
    int rc = compile_list(p, d->children, d->n, boost, scores, depth, &x->u.dis_max.kids, err);
    if (rc) return rc;
    x->u.dis_max.n = drop_kind(x->u.dis_max.kids, d->n, QDI_NONE);
    x->u.dis_max.tie = d->tie_breaker;
    x->u.dis_max.blended = d->blended;
    for (uint32_t i = 0; d->blended && i < x->u.dis_max.n; i++)
        if (x->u.dis_max.kids[i]->kind != QDI_TERM)
            return qd_err_set(err, QD_E_ARG, "blended clauses must be terms");
    if (x->u.dis_max.n == 0) {
        x->kind = QDI_NONE;
    } else if (x->u.dis_max.n == 1) {
        become(x, x->u.dis_max.kids[0]);
    } else if (!scores) { /* only documents: a disjunction */
        qdi_node **kids = x->u.dis_max.kids;
        uint32_t m = x->u.dis_max.n;
        x->kind = QDI_BOOL;
        memset(&x->u, 0, sizeof x->u);
        x->u.b.should = kids;
        x->u.b.nshould = m;
        x->u.b.min_should = 1;
        return flatten_should(p, x, err);
    }
    return 0;
}

static int compile_ids(qd_plan *p, const qd_node *n, float boost, bool scores, qdi_node **out,
                       qd_err *err)
{
    qdi_node *x = qdi_plan_node(p, n->u.ids.n ? QDI_IDS : QDI_NONE, n, boost, scores, err);
    if (!x) return QD_E_NOMEM;
    *out = x;
    x->u.ids.ids = n->u.ids.ids;
    x->u.ids.n = n->u.ids.n;
    x->u.ids.hashes = qd_arena_alloc(p->arena, ((size_t)n->u.ids.n + 1) * sizeof(uint64_t));
    if (!x->u.ids.hashes) return qd_err_nomem(err, "query plan");
    for (uint32_t i = 0; i < n->u.ids.n; i++) x->u.ids.hashes[i] = qd_ids_hash(n->u.ids.ids[i]);
    return 0;
}

static int compile_range(qd_plan *p, const qd_node *n, float boost, bool scores, qdi_node **out,
                         qd_err *err)
{
    const qd_node_range *r = &n->u.range;
    if (r->kind == QD_RANGE_TERM) return qdi_set_from_range(p, n, boost, scores, out, err);
    bool none = r->kind == QD_RANGE_I64 ? r->lo > r->hi : memcmp(r->lo16, r->hi16, 16) > 0;
    qdi_node *x = qdi_plan_node(p, none ? QDI_NONE : QDI_RANGE, n, boost, scores, err);
    if (!x) return QD_E_NOMEM;
    *out = x;
    if (none) return 0;
    x->u.range.field = qdi_plan_field(p, r->field, err);
    if (!x->u.range.field) return QD_E_NOMEM;
    x->u.range.kind = r->kind;
    x->u.range.lo = r->lo;
    x->u.range.hi = r->hi;
    memcpy(x->u.range.lo16, r->lo16, 16);
    memcpy(x->u.range.hi16, r->hi16, 16);
    return 0;
}

static int compile_plain(qd_plan *p, const qd_node *n, float boost, bool scores, qdi_node **out,
                         qd_err *err)
{
    qdi_kind kind = n->kind == QD_NATIVE_MATCH_ALL ? QDI_ALL
                    : n->kind == QD_NATIVE_EXISTS  ? QDI_EXISTS
                    : n->kind == QD_NATIVE_DOC_SET ? QDI_DOC_SET
                    : n->kind == QD_NATIVE_CUSTOM  ? QDI_CUSTOM
                                                   : QDI_NONE;
    qdi_node *x = qdi_plan_node(p, kind, n, boost, scores, err);
    if (!x) return QD_E_NOMEM;
    *out = x;
    if (kind == QDI_EXISTS) {
        x->u.exists = qdi_plan_field(p, n->u.exists, err);
        if (!x->u.exists) return QD_E_NOMEM;
    } else if (kind == QDI_DOC_SET) {
        x->u.doc_set = n->u.doc_set;
    } else if (kind == QDI_CUSTOM) {
        x->u.custom = n->u.custom;
    }
    return 0;
}

static int compile_const(qd_plan *p, const qd_node *n, float boost, bool scores, uint32_t depth,
                         qdi_node **out, qd_err *err)
{
    qdi_node *child;
    int rc = compile(p, n->u.child, 1, false, depth + 1, &child, err);
    if (rc) return rc;
    if (!scores || child->kind == QDI_NONE) {
        *out = child;
        return 0;
    }
    qdi_node *x = qdi_plan_node(p, QDI_CONST, n, boost, true, err);
    if (!x) return QD_E_NOMEM;
    x->u.child = child;
    if (child->kind == QDI_ALL) x->kind = QDI_ALL;
    *out = x;
    return 0;
}

static int compile(qd_plan *p, const qd_node *n, float boost, bool scores, uint32_t depth,
                   qdi_node **out, qd_err *err)
{
    if (depth > QD_NODE_DEPTH_MAX)
        return qd_err_set(err, QD_E_LIMIT, "the query is nested deeper than %u levels",
                          QD_NODE_DEPTH_MAX);
    boost = scores ? qdi_boost_of(boost, n) : 1;
    switch (n->kind) {
    case QD_NATIVE_TERM:
        return compile_term(p, n, boost, scores, out, err);
    case QD_NATIVE_SYNONYM:
        return compile_synonym(p, n, boost, scores, out, err);
    case QD_NATIVE_PHRASE:
        if (n->u.phrase.pairs)
            return compile(p, n->u.phrase.pairs, boost, scores, depth + 1, out, err);
        return compile_phrase(p, n, boost, scores, out, err);
    case QD_NATIVE_BOOL:
        return compile_bool(p, n, boost, scores, depth, out, err);
    case QD_NATIVE_DIS_MAX:
        return compile_dis_max(p, n, boost, scores, depth, out, err);
    case QD_NATIVE_CONSTANT:
        return compile_const(p, n, boost, scores, depth, out, err);
    case QD_NATIVE_BOOST:
        return compile(p, n->u.child, boost, scores, depth + 1, out, err);
    case QD_NATIVE_TERM_SET:
        return qdi_set_from_terms(p, n, boost, scores, out, err);
    case QD_NATIVE_RANGE:
        return compile_range(p, n, boost, scores, out, err);
    case QD_NATIVE_PATTERN:
        return qdi_expand_pattern(p, n, boost, scores, out, err);
    case QD_NATIVE_IDS:
        return compile_ids(p, n, boost, scores, out, err);
    case QD_NATIVE_MATCH_NONE:
    case QD_NATIVE_MATCH_ALL:
    case QD_NATIVE_EXISTS:
    case QD_NATIVE_DOC_SET:
    case QD_NATIVE_CUSTOM:
        return compile_plain(p, n, boost, scores, out, err);
    }
    return qd_err_set(err, QD_E_ARG, "unknown query node %d", (int)n->kind);
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
    int rc = compile(p, root, 1, !p->o.no_scores, 0, &p->root, err);
    if (!rc) rc = qdi_plan_lookup(p, err);
    if (!rc) rc = qdi_plan_weigh(p, err);
    if (!rc) *out = p;
    return rc;
}

bool qd_plan_is_empty(const qd_plan *p)
{
    return p->root->kind == QDI_NONE;
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
    return 0;
}
