/*
 * leaf_group.c: the patterns of one field together. A walk for each of thousands of patterns that
 * begin with a wildcard reads the whole dictionary thousands of times; here one pass reads it once
 * and compares each term with the few patterns that may have it (segment/terms/term_matcher.c).
 *
 * A term of one document marks it at once. Others are kept, with the patterns that have them, until
 * there are many: then the postings of each pattern's terms are read together.
 */
#include "base/vec.h"
#include "search/leaf/set_int.h"

#define PATTERNS_MIN 4u       /* fewer walk on their own */
#define WALKS_MIN 4u          /* so many times the dictionary must their walks be */
#define PAIRS_MAX (64u << 10) /* pairs of a term and a pattern before postings are read */

struct qdi_group {
    const qdi_field *field;
    bool together;
    uint64_t **bits; /* by pattern; NULL: no document has it */
    uint64_t *docs;  /* by pattern: sum of frequencies */
    struct qdi_group *next;
};

typedef struct pair {
    uint32_t term, pattern;
} pair;

typedef struct pass {
    qdi_run *r;
    struct qdi_group *g;
    qd_term_matcher *matcher;
    uint32_t npatterns;
    uint32_t *found;  /* patterns of the term at hand */
    uint32_t *starts; /* by pattern: its first pair in order */
    uint32_t *order;  /* terms, by pattern */
    QD_VEC(qd_term) terms;
    QD_VEC(pair) pairs;
    qdi_set_batch batch;
} pass;

/* Do the walks read the dictionary so often that one pass costs less? */
static bool pays(const qdi_run *r, const qdi_field *f, uint32_t field)
{
    if (f->npatterns < PATTERNS_MIN) return false;
    qd_segment *seg = r->leaf->segment;
    uint64_t all = WALKS_MIN * qd_segment_index_stats(seg, field)->terms, sum = 0;
    for (const qdi_pattern *n = f->patterns; n && sum < all; n = n->next)
        sum += qd_term_range_span(seg, field, n->range);
    return sum >= all;
}

/* The matcher of the field's patterns; that of number i is the i-th. */
static int matcher_of(qd_plan *p, qdi_field *f, qd_term_matcher **out, qd_err *err)
{
    if (!f->matcher) {
        const qd_term_range **ranges = qd_arena_alloc(p->arena, f->npatterns * sizeof *ranges);
        if (!ranges) return qd_err_nomem(err, "search");
        uint32_t i = f->npatterns;
        for (const qdi_pattern *n = f->patterns; n; n = n->next) ranges[--i] = n->range;
        int rc = qd_term_matcher_make(ranges, f->npatterns, p->arena, &f->matcher, err);
        if (rc) return rc;
    }
    *out = f->matcher;
    return 0;
}

/* Puts the terms of all pairs in order of their patterns. */
static void order_pairs(pass *x)
{
    memset(x->starts, 0, ((size_t)x->npatterns + 1) * sizeof *x->starts);
    for (size_t i = 0; i < x->pairs.n; i++) x->starts[x->pairs.at[i].pattern + 1]++;
    for (uint32_t i = 0; i < x->npatterns; i++) x->starts[i + 1] += x->starts[i];
    for (size_t i = 0; i < x->pairs.n; i++)
        x->order[x->starts[x->pairs.at[i].pattern]++] = x->pairs.at[i].term;
}

/* Reads the postings of the terms kept and marks their documents. */
static int flush(pass *x, qd_err *err)
{
    int rc = 0;
    order_pairs(x);
    uint32_t from = 0;
    for (uint32_t i = 0; i < x->npatterns && !rc; i++) { /* starts[i] is the end of i by now */
        x->batch.bits = x->g->bits[i];
        for (; from < x->starts[i] && !rc; from++)
            rc = qdi_set_add(&x->batch, &x->terms.at[x->order[from]], err);
        if (!rc) rc = qdi_set_flush(&x->batch, err);
    }
    x->terms.n = x->pairs.n = 0;
    return rc;
}

/* Marks or keeps a term for a pattern that has it. */
static int add(pass *x, uint32_t pattern, const qd_term *t, qd_err *err)
{
    struct qdi_group *g = x->g;
    if (!g->bits[pattern] && !(g->bits[pattern] = qdi_make_bits(x->r)))
        return qd_err_nomem(err, "search");
    g->docs[pattern] += t->df;
    if (t->df == 1) {
        g->bits[pattern][t->doc >> 6] |= 1ull << (t->doc & 63);
        return 0;
    }
    pair n = {(uint32_t)x->terms.n - 1, pattern};
    return qd_vec_push(&x->pairs, x->r->plan->account, n) ? qd_err_nomem(err, "search") : 0;
}

static int add_term(pass *x, qd_str text, const qd_term *t, qd_str field, qd_err *err)
{
    uint64_t cost = 0;
    uint32_t n = qd_term_matcher_find(x->matcher, text, x->found, &cost);
    int rc = qdi_plan_spend(x->r->plan, field, cost + n * (1 + t->df / 64), err);
    if (!rc && n && t->df > 1 && qd_vec_push(&x->terms, x->r->plan->account, *t))
        return qd_err_nomem(err, "search");
    for (uint32_t i = 0; i < n && !rc; i++) rc = add(x, x->found[i], t, err);
    return rc || x->pairs.n < PAIRS_MAX ? rc : flush(x, err);
}

static int walk(pass *x, uint32_t field, qd_err *err)
{
    static const qd_term_range all;
    qdi_walk w;
    qd_str text;
    qd_term t;
    int rc = qdi_walk_open(&w, x->r->plan, x->r->leaf, field, &all, x->r->arena, err);
    while (!rc) {
        rc = qd_term_iter_step(w.it, &text, &t, err);
        if (rc <= 0) break;
        rc = add_term(x, text, &t, w.field, err);
    }
    return rc ? rc : flush(x, err);
}

/* One pass for all patterns of the group. */
static int run_pass(qdi_run *r, struct qdi_group *g, qdi_field *f, uint32_t field, qd_err *err)
{
    pass x = {.r = r, .g = g, .npatterns = f->npatterns};
    qd_account *account = r->plan->account;
    size_t n = f->npatterns, most = PAIRS_MAX + n;
    int rc = matcher_of(r->plan, f, &x.matcher, err);
    if (rc) return rc;
    g->bits = qd_arena_calloc(r->arena, n * sizeof *g->bits);
    g->docs = qd_arena_calloc(r->arena, n * sizeof *g->docs);
    x.found = qd_alloc(account, n * sizeof *x.found);
    x.starts = qd_alloc(account, (n + 1) * sizeof *x.starts);
    x.order = qd_alloc(account, most * sizeof *x.order);
    rc = g->bits && g->docs && x.found && x.starts && x.order ? 0 : qd_err_nomem(err, "search");
    if (!rc) {
        rc = qdi_set_begin(&x.batch, r, NULL, 0, err);
        if (!rc) rc = walk(&x, field, err);
        x.batch.mark = qdi_scratch_get_mark(r->scratch); /* bitmaps stand behind what it took */
        qdi_set_end(&x.batch);
    }
    qd_vec_fini(&x.terms);
    qd_vec_fini(&x.pairs);
    qd_free(x.found);
    qd_free(x.starts);
    qd_free(x.order);
    return rc;
}

int qdi_group_bits(qdi_run *r, const qdi_node *x, uint32_t field, uint64_t **bits, uint64_t *docs,
                   qd_err *err)
{
    qdi_field *f = x->u.set.field;
    if (!x->u.set.pattern || f->npatterns < PATTERNS_MIN || r->hint.alone == x) return 0;
    struct qdi_group *g = r->groups;
    while (g && g->field != f) g = g->next;
    if (!g) {
        g = qd_arena_calloc(r->arena, sizeof *g);
        if (!g) return qd_err_nomem(err, "search");
        g->field = f;
        g->together = pays(r, f, field);
        g->next = r->groups;
        r->groups = g;
        int rc = g->together ? run_pass(r, g, f, field, err) : 0;
        if (rc) return rc;
    }
    if (!g->together) return 0;
    *bits = g->bits[x->u.set.pattern - 1];
    *docs = g->docs[x->u.set.pattern - 1];
    return 1;
}
