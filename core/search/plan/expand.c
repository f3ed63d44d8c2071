/*
 * expand.c: queries over many terms. What is not scored becomes a set node, whose terms each leaf
 * walks when it runs; what is scored is expanded here to a bool of terms: all of them
 * (scoring_boolean) or the best N by boost, then by term, as Lucene's TopTermsRewrite.
 */
#include "base/utf8.h"
#include "search/plan/plan_int.h"
#include <stdlib.h>

#define EXPAND_DEFAULT 50u

/* --- automata --------------------------------------------------------------------------------- */

static void automaton_drop(void *arg)
{
    qd_automaton_free(arg);
}

static int automaton_of(const qd_node_pattern *n, qd_str text, qd_account *account,
                        qd_automaton **out, qd_err *err)
{
    switch (n->kind) {
    case QD_PATTERN_PREFIX:
        return qd_automaton_prefix(text, n->case_insensitive, account, out, err);
    case QD_PATTERN_WILDCARD:
        return qd_automaton_wildcard(text, n->case_insensitive, n->max_states, account, out, err);
    case QD_PATTERN_REGEXP:
        return qd_automaton_regexp(text, n->regexp_flags, n->case_insensitive, n->max_states,
                                   account, out, err);
    default:
        return qd_automaton_fuzzy(text, n->max_edits, n->prefix_length, !n->no_transpositions,
                                  account, out, err);
    }
}

int qd_pattern_matches(const qd_node_pattern *p, qd_str text, qd_account *account, bool *yes,
                       qd_err *err)
{
    qd_automaton *a = NULL;
    int rc = automaton_of(p, p->text, account, &a, err);
    if (rc) return rc;
    *yes = qd_automaton_match(a, text);
    qd_automaton_free(a);
    return 0;
}

int qdi_pattern_automaton(const qd_node_pattern *n, qd_str text, qd_arena *arena,
                          qd_account *account, qd_automaton **out, qd_err *err)
{
    qd_automaton *a = NULL;
    int rc = automaton_of(n, text, account, &a, err);
    if (rc) return rc;
    if (qd_arena_on_reset(arena, automaton_drop, a)) return qd_err_nomem(err, "query plan");
    *out = a;
    return 0;
}

/* --- walking terms ---------------------------------------------------------------------------- */

/* Calls each for the terms of a range in every leaf, leaf by leaf; 1 from each ends the walk. */
static int walk_terms(qd_plan *p, qdi_field *f, const qd_term_range *range,
                      int (*each)(void *arg, qd_str text, qd_err *err), void *arg, qd_err *err)
{
    for (uint32_t i = 0; i < qd_searcher_leaves(p->searcher); i++) {
        qd_segment *seg = qd_searcher_leaf(p->searcher, i)->segment;
        uint32_t number = f->number[i];
        if (number == QD_FIELD_NONE || qd_segment_field(seg, number)->index == QD_INDEX_NONE)
            continue;
        qdi_walk w;
        qd_str text;
        int rc =
            qdi_walk_open(&w, p, qd_searcher_leaf(p->searcher, i), number, range, p->arena, err);
        while (rc == 0) {
            rc = qd_term_iter_step(w.it, &text, NULL, err);
            if (rc <= 0) break;
            rc = each(arg, text, err);
        }
        if (rc == QD_E_CANCELLED || rc == QD_E_TIMEOUT) rc = qd_task_check(p->o.task, err);
        if (rc) return rc < 0 ? rc : 0;
    }
    return 0;
}

/* Lucene counts the clauses of a query again when it is rewritten. */
static int count_expanded(qd_plan *p, uint32_t n, qd_err *err)
{
    p->expanded += n;
    if (p->expanded <= p->o.max_clauses) return 0;
    return qd_err_set(err, QD_E_LIMIT,
                      "Query contains too many nested clauses; maxClauseCount is set to %u",
                      p->o.max_clauses);
}

/* --- the best N terms ------------------------------------------------------------------------- */

typedef struct best_term {
    qd_str text;
    float boost; /* below 0: such a word is kept after all others, and scores 0 */
} best_term;

typedef struct best_terms {
    qd_plan *p;
    const qd_node_pattern *n;
    best_term *at; /* max + 1 of them */
    uint32_t got, max;
    uint32_t length; /* code points of the pattern */
    bool all;        /* one more than max is an error instead of a cut */
} best_terms;

/* Is a kept rather than b? */
static bool better(const best_term *a, const best_term *b)
{
    return a->boost != b->boost ? a->boost > b->boost : qd_str_cmp(a->text, b->text) < 0;
}

static uint32_t code_points(qd_str s)
{
    uint32_t n = 0;
    for (size_t i = 0; i < s.n; i++) n += ((uint8_t)s.p[i] & 0xc0) != 0x80;
    return n;
}

/* Lucene's FuzzyTermsEnum: 1 - edits / the shorter length. */
static float fuzzy_boost(const best_terms *b, qd_str text)
{
    uint32_t edits = qd_edit_distance(b->n->text, text, !b->n->no_transpositions, b->n->max_edits);
    uint32_t n = code_points(text);
    if (edits == 0) return 1.0f;
    n = n < b->length ? n : b->length;
    return 1.0f - (float)edits / (float)n;
}

static int best_add(void *arg, qd_str text, qd_err *err)
{
    best_terms *b = arg;
    best_term t = {.text = text,
                   .boost = b->n->kind == QD_PATTERN_FUZZY ? fuzzy_boost(b, text) : 1.0f};
    uint32_t lo = 0, hi = b->got; /* kept best first */
    while (lo < hi) {
        uint32_t m = (lo + hi) / 2;
        if (better(&b->at[m], &t))
            lo = m + 1;
        else
            hi = m;
    }
    if (lo < b->got && qd_str_eq(b->at[lo].text, text)) return 0;
    if (b->got == b->max) {
        if (b->all)
            return qd_err_set(err, QD_E_TOO_MANY_CLAUSES, "maxClauseCount is set to %u", b->max);
        if (lo == b->max) return 0;
    }
    t.text = qd_arena_str(b->p->arena, text);
    if (text.n && !t.text.p) return qd_err_nomem(err, "query plan");
    uint32_t n = b->got < b->max ? b->got : b->max - 1;
    memmove(b->at + lo + 1, b->at + lo, (n - lo) * sizeof *b->at);
    b->at[lo] = t;
    b->got = n + 1;
    return 0;
}

static int by_text(const void *a, const void *b)
{
    return qd_str_cmp(((const best_term *)a)->text, ((const best_term *)b)->text);
}

/* Lucene's blended frequencies: every term gets the greatest document frequency, summed words. */
static int blend(qd_plan *p, qdi_field *f, best_terms *b, qdi_node *x, qd_err *err)
{
    int rc = qdi_plan_lookup(p, err);
    if (rc) return rc;
    qd_node_stats *st = qd_arena_calloc(p->arena, sizeof *st);
    if (!st) return qd_err_nomem(err, "query plan");
    *st = (qd_node_stats){0, 0, -1, -1};
    for (uint32_t i = 0; i < b->got; i++) {
        const qdi_term *t = x->u.b.should[i]->u.term;
        if ((int64_t)t->df > st->doc_freq) st->doc_freq = (int64_t)t->df;
        st->total_term_freq += (int64_t)t->ttf;
    }
    for (uint32_t i = 0; i < b->got; i++) {
        qdi_term *t = x->u.b.should[i]->u.term, *copy = qd_arena_alloc(p->arena, sizeof *copy);
        if (!copy) return qd_err_nomem(err, "query plan");
        *copy = *t; /* a term of its own: the same word elsewhere keeps its statistics */
        copy->given = st;
        copy->next = NULL;
        x->u.b.should[i]->u.term = copy;
    }
    (void)f;
    return 0;
}

/* The bool of scored terms. */
static int expand_scored(qd_plan *p, const qd_node *n, qdi_field *f, const qd_term_range *range,
                         float boost, qdi_node **out, qd_err *err)
{
    const qd_node_pattern *pat = &n->u.pattern;
    best_terms b = {.p = p, .n = pat, .length = code_points(pat->text)};
    b.all = pat->rewrite == QD_REWRITE_SCORING;
    b.max = b.all ? p->o.max_clauses : pat->rewrite_n ? pat->rewrite_n : EXPAND_DEFAULT;
    if (b.max > p->o.max_clauses) b.max = p->o.max_clauses;
    b.at = qd_arena_alloc(p->arena, (b.max + 1) * sizeof *b.at);
    if (!b.at) return qd_err_nomem(err, "query plan");
    int rc = walk_terms(p, f, range, best_add, &b, err);
    if (rc) return rc;
    rc = count_expanded(p, b.got, err);
    if (rc) return rc;
    qdi_node *x =
        qdi_plan_node(p, b.got ? &qdi_node_bool : &qdi_node_match_none, n, boost, true, err);
    if (!x) return QD_E_NOMEM;
    *out = x;
    if (!b.got) return 0;
    qsort(b.at, b.got, sizeof *b.at, by_text);
    x->u.b.nshould = b.got;
    x->u.b.min_should = 1;
    x->u.b.should = qd_arena_calloc(p->arena, b.got * sizeof *x->u.b.should);
    if (!x->u.b.should) return qd_err_nomem(err, "query plan");
    for (uint32_t i = 0; i < b.got; i++) {
        bool constant = pat->rewrite == QD_REWRITE_TOP_BOOST;
        float own = boost * (b.at[i].boost > 0 ? b.at[i].boost : 0);
        qdi_node *t = qdi_plan_node(p, &qdi_node_term, n, own, !constant, err);
        if (!t) return QD_E_NOMEM;
        t->u.term = qdi_plan_term(p, f, b.at[i].text, NULL, err);
        if (!t->u.term) return QD_E_NOMEM;
        if (constant) {
            qdi_node *c = qdi_plan_node(p, &qdi_node_constant, n, own, true, err);
            if (!c) return QD_E_NOMEM;
            c->u.child = t;
            t = c;
        }
        x->u.b.should[i] = t;
    }
    if (pat->rewrite == QD_REWRITE_TOP_BLENDED) rc = blend(p, f, &b, x, err);
    if (!rc && b.got == 1) *out = x->u.b.should[0];
    return rc;
}

/* Counts a set among the patterns of its field, unless an automaton is needed for it. */
static int add_pattern(qd_plan *p, qdi_node *x, qd_err *err)
{
    qdi_field *f = x->u.set.field;
    if (x->u.set.range.automaton) return 0;
    qdi_pattern *n = qd_arena_alloc(p->arena, sizeof *n);
    if (!n) return qd_err_nomem(err, "query plan");
    *n = (qdi_pattern){.range = &x->u.set.range, .next = f->patterns};
    f->patterns = n;
    x->u.set.pattern = ++f->npatterns;
    return 0;
}

static int set_node(qd_plan *p, const qd_node *n, qd_str field, float boost, bool scores,
                    qdi_node **out, qd_err *err)
{
    qdi_field *f = qdi_plan_field(p, field, err);
    qdi_node *x = f ? qdi_plan_node(p, &qdi_node_term_set, n, boost, scores, err) : NULL;
    if (!x) return QD_E_NOMEM;
    x->u.set.field = f;
    *out = x;
    return 0;
}

/* The walk over terms that a pattern is. */
static int range_of_pattern(qd_plan *p, const qd_node_pattern *pat, qd_term_range *range,
                            qd_err *err)
{
    qd_str text = pat->text;
    bool plain = pat->kind == QD_PATTERN_PREFIX && !pat->case_insensitive;
    *range = (qd_term_range){0};
    if (plain) range->prefix = text;
    if (pat->kind == QD_PATTERN_WILDCARD) {
        int rc = qdi_wildcard_range(p->arena, pat, range, &text);
        if (rc) return qd_err_nomem(err, "query plan");
        plain = !text.p;
    }
    if (plain) return 0;
    qd_automaton *a = NULL;
    int rc = qdi_pattern_automaton(pat, text, p->arena, p->account, &a, err);
    if (rc) return rc;
    range->automaton = a;
    range->prefix = a->prefix;
    return 0;
}

static qd_term_range range_of_terms(const qd_node_range *r)
{
    qd_term_range t = {0};
    if (r->has_from) {
        t.from = r->from;
        t.from_exclusive = !r->from_inclusive;
    }
    if (r->has_to) {
        t.to = r->to;
        t.has_to = true;
        t.to_inclusive = r->to_inclusive;
    }
    return t;
}

int qdi_expand_pattern(qd_plan *p, const qd_node *n, float boost, bool scores, qdi_node **out,
                       qd_err *err)
{
    const qd_node_pattern *pat = &n->u.pattern;
    qd_term_range range;
    int rc = range_of_pattern(p, pat, &range, err);
    if (rc) return rc;
    qdi_field *f = qdi_plan_field(p, pat->field, err);
    if (!f) return QD_E_NOMEM;
    /* A fuzzy query keeps its best terms even where nothing is scored: others do not match. */
    bool cut = pat->rewrite >= QD_REWRITE_TOP_BLENDED;
    if ((scores && pat->rewrite != QD_REWRITE_CONSTANT) || cut) {
        rc = expand_scored(p, n, f, &range, boost, out, err);
        if (rc == 0 && !scores && !qdi_plan_can(*out, QDI_NODE_NOTHING)) {
            (*out)->scores = false;
            for (uint32_t i = 0; qdi_plan_can(*out, QDI_NODE_CLAUSES) && i < (*out)->u.b.nshould;
                 i++)
                (*out)->u.b.should[i]->scores = false;
        }
        return rc;
    }
    rc = set_node(p, n, pat->field, boost, scores, out, err);
    if (rc) return rc;
    (*out)->u.set.range = range;
    return add_pattern(p, *out, err);
}

int qdi_expand_terms(qd_plan *p, const qd_node *n, uint32_t max, qdi_term ***terms, uint32_t *count,
                     qd_err *err)
{
    static const qd_node_pattern all = {.rewrite = QD_REWRITE_SCORING};
    const qd_node_pattern *given = qd_node_pattern_of(n), *pat = given ? given : &all;
    bool pattern = given != NULL;
    qd_term_range range = pattern ? (qd_term_range){0} : range_of_terms(&n->u.range);
    int rc = pattern ? range_of_pattern(p, pat, &range, err) : 0;
    qdi_field *f = rc ? NULL : qdi_plan_field(p, pattern ? pat->field : n->u.range.field, err);
    if (!f) return rc ? rc : QD_E_NOMEM;
    best_terms b = {.p = p, .n = pat, .length = code_points(pat->text)};
    b.all = pat->rewrite < QD_REWRITE_TOP_BLENDED;
    b.max = b.all ? p->o.max_clauses : pat->rewrite_n ? pat->rewrite_n : EXPAND_DEFAULT;
    if (max && b.all) b.max = max;
    if (b.max > p->o.max_clauses) b.max = p->o.max_clauses;
    b.at = qd_arena_alloc(p->arena, ((size_t)b.max + 1) * sizeof *b.at);
    qdi_term **at = qd_arena_alloc(p->arena, ((size_t)b.max + 1) * sizeof *at);
    if (!b.at || !at) return qd_err_nomem(err, "query plan");
    rc = walk_terms(p, f, &range, best_add, &b, err);
    if (!rc) rc = count_expanded(p, b.got, err);
    for (uint32_t i = 0; i < b.got && !rc; i++) {
        at[i] = qdi_plan_term(p, f, b.at[i].text, NULL, err);
        if (!at[i]) rc = QD_E_NOMEM;
    }
    *terms = at;
    *count = b.got;
    return rc;
}

int qdi_set_from_range(qd_plan *p, const qd_node *n, float boost, bool scores, qdi_node **out,
                       qd_err *err)
{
    const qd_node_range *r = &n->u.range;
    int rc = set_node(p, n, r->field, boost, scores, out, err);
    if (rc) return rc;
    (*out)->u.set.range = range_of_terms(r);
    (*out)->u.set.by_column = r->by_column;
    return r->by_column ? 0 : add_pattern(p, *out, err);
}

static int by_str(const void *a, const void *b)
{
    return qd_str_cmp(*(const qd_str *)a, *(const qd_str *)b);
}

int qdi_set_from_terms(qd_plan *p, const qd_node *n, float boost, bool scores, qdi_node **out,
                       qd_err *err)
{
    const qd_node_term_set *s = &n->u.term_set;
    int rc = set_node(p, n, s->field, boost, scores, out, err);
    if (rc) return rc;
    qd_str *sorted = qd_arena_alloc(p->arena, ((size_t)s->n + 1) * sizeof *sorted);
    if (!sorted) return qd_err_nomem(err, "query plan");
    if (s->n) memcpy(sorted, s->terms, s->n * sizeof *sorted);
    qsort(sorted, s->n, sizeof *sorted, by_str);
    uint32_t m = 0;
    for (uint32_t i = 0; i < s->n; i++)
        if (!m || !qd_str_eq(sorted[m - 1], sorted[i])) sorted[m++] = sorted[i];
    (*out)->u.set.terms = sorted;
    (*out)->u.set.n = m;
    if (m == 0) (*out)->type = &qdi_node_match_none;
    return 0;
}

/* --- the last word of a phrase ------------------------------------------------------------- */

typedef struct first_terms {
    qd_plan *p;
    qdi_field *f;
    qdi_term **at;
    uint32_t n, max;
} first_terms;

static int first_add(void *arg, qd_str text, qd_err *err)
{
    first_terms *x = arg;
    for (uint32_t i = 0; i < x->n; i++)
        if (qd_str_eq(x->at[i]->text, text)) return 0;
    qd_str copy = qd_arena_str(x->p->arena, text);
    if (text.n && !copy.p) return qd_err_nomem(err, "query plan");
    qdi_term *t = qdi_plan_term(x->p, x->f, copy, NULL, err);
    if (!t) return QD_E_NOMEM;
    x->at[x->n++] = t;
    return x->n == x->max;
}

int qdi_expand_prefix_terms(qd_plan *p, qdi_field *f, qd_str prefix, uint32_t max,
                            qdi_term ***terms, uint32_t *n, qd_err *err)
{
    if (max > p->o.max_clauses) max = p->o.max_clauses;
    first_terms x = {.p = p, .f = f, .max = max};
    x.at = qd_arena_alloc(p->arena, (max + 1) * sizeof *x.at);
    if (!x.at) return qd_err_nomem(err, "query plan");
    qd_term_range range = {.prefix = prefix};
    int rc = walk_terms(p, f, &range, first_add, &x, err);
    *terms = x.at;
    *n = x.n;
    return rc ? rc : count_expanded(p, x.n, err);
}
