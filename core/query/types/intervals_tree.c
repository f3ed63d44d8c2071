/*
 * intervals_tree.c: sources of intervals combined. A disjunction of sources of several lengths
 * gives minimal intervals only, and what holds it may need a longer one; so phrases, limits of gaps
 * and filters are built once for each of its sources, and the disjunction stands above them.
 * Sources of one word stay together, because none of them holds another.
 */
#include "query/types/intervals_int.h"

typedef struct sources {
    QD_VEC(const qd_prox *) v;
} sources;

static int add(qdi_builder *b, sources *to, const qd_prox *x, qd_err *err)
{
    if (to->v.n >= b->limits.max_clauses)
        return qd_err_set(err, QD_E_ARG, "Too many disjunctions to expand");
    return qd_vec_push(&to->v, b->arena->account, x) ? qd_err_nomem(err, "query") : 0;
}

static int32_t extent_of(const qd_prox *x)
{
    int64_t sum = 0, least = INT32_MAX;
    if (x->kind == QD_PROX_NONE) return 0;
    if (!x->n) return 1;
    if (x->kind == QD_PROX_PHRASE || x->kind == QD_PROX_ORDERED || x->kind == QD_PROX_UNORDERED) {
        for (uint32_t i = 0; i < x->n; i++) sum += x->sub[i]->extent;
        return (int32_t)(sum < INT32_MAX ? sum : INT32_MAX);
    }
    if (x->kind == QD_PROX_OR) {
        for (uint32_t i = 0; i < x->n; i++)
            if (x->sub[i]->extent < least) least = x->sub[i]->extent;
        return (int32_t)least;
    }
    return x->sub[0]->extent + (x->kind == QD_PROX_EXTEND ? x->a + x->b : 0);
}

static int make(qdi_builder *b, qd_prox_kind kind, const qd_prox *const *list, uint32_t n,
                int32_t a, const qd_prox **out, qd_err *err)
{
    const qd_prox **sub;
    qd_prox *x = qdi_prox_make(b, kind, n ? list[0]->field : (qd_str){0}, n, &sub, err);
    if (!x) return QD_E_NOMEM;
    if (n) memcpy(sub, list, n * sizeof *sub);
    x->a = a;
    x->extent = extent_of(x);
    *out = x;
    return 0;
}

int qdi_intervals_or(qdi_builder *b, const qd_prox *const *list, uint32_t n, const qd_prox **out,
                     qd_err *err)
{
    sources all = {0};
    int rc = 0;
    for (uint32_t i = 0; i < n && !rc; i++) {
        bool flat = list[i]->kind == QD_PROX_OR && !list[i]->apart;
        for (uint32_t k = 0; flat && k < list[i]->n && !rc; k++)
            rc = add(b, &all, list[i]->sub[k], err);
        if (!flat) rc = add(b, &all, list[i], err);
    }
    if (!rc && all.v.n == 1)
        *out = all.v.at[0];
    else if (!rc)
        rc = make(b, all.v.n ? QD_PROX_OR : QD_PROX_NONE, all.v.at, (uint32_t)all.v.n, 0, out, err);
    qd_vec_fini(&all.v);
    return rc;
}

/* The same places in every document? */
static bool same(const qd_prox *a, const qd_prox *b)
{
    if (a == b) return true;
    if (a->kind != b->kind || a->n != b->n || a->a != b->a || a->b != b->b) return false;
    if (!qd_str_eq(a->of, b->of) || !qd_str_eq(a->term, b->term)) return false;
    if (a->multi || b->multi) {
        const qd_node_pattern *p = a->multi ? qd_node_pattern_of(a->multi) : NULL;
        const qd_node_pattern *q = b->multi ? qd_node_pattern_of(b->multi) : NULL;
        return p && q && p->kind == q->kind && qd_str_eq(p->text, q->text) &&
               qd_str_eq(p->field, q->field) && p->max_edits == q->max_edits;
    }
    for (uint32_t i = 0; i < a->n; i++)
        if (!same(a->sub[i], b->sub[i])) return false;
    return true;
}

/* A source with those of its own kind in it put in their places, and equal ones (in a row, where
 * they are ordered) as so many of one. */
static int gather(qdi_builder *b, qd_prox_kind kind, const qd_prox *const *list, uint32_t n,
                  const qd_prox **out, qd_err *err)
{
    sources flat = {0}, apart = {0};
    int rc = 0;
    for (uint32_t i = 0; i < n && !rc; i++) {
        for (uint32_t k = 0; list[i]->kind == kind && k < list[i]->n && !rc; k++)
            rc = add(b, &flat, list[i]->sub[k], err);
        if (list[i]->kind != kind) rc = add(b, &flat, list[i], err);
    }
    for (size_t i = 0; i < flat.v.n && !rc; i++) {
        const qd_prox *x = flat.v.at[i];
        int32_t times = x ? 1 : 0;
        for (size_t k = i + 1; x && k < flat.v.n; k++) {
            bool equal = flat.v.at[k] && same(x, flat.v.at[k]);
            if (kind == QD_PROX_ORDERED && !equal) break;
            if (!equal) continue;
            flat.v.at[k] = NULL;
            times++;
        }
        if (times > 1) rc = make(b, QD_PROX_REPEAT, &x, 1, times, &x, err);
        if (!rc && times) rc = add(b, &apart, x, err);
    }
    if (!rc && apart.v.n == 1)
        *out = apart.v.at[0];
    else if (!rc)
        rc = make(b, kind, apart.v.at, (uint32_t)apart.v.n, 0, out, err);
    qd_vec_fini(&flat.v);
    qd_vec_fini(&apart.v);
    return rc;
}

static int split(qdi_builder *b, const qd_prox *x, sources *to, qd_err *err);

/* Every choice of one source for each place, as one source each. */
static int product(qdi_builder *b, qd_prox_kind kind, const qd_prox *const *list, uint32_t n,
                   int32_t a, sources *to, qd_err *err)
{
    sources *of = qd_arena_calloc(b->arena, ((size_t)n + 1) * sizeof *of);
    const qd_prox **one = qd_arena_calloc(b->arena, ((size_t)n + 1) * sizeof *one);
    uint64_t all = 1;
    int rc = of && one ? 0 : qd_err_nomem(err, "query");
    for (uint32_t i = 0; i < n && !rc; i++) {
        rc = split(b, list[i], &of[i], err);
        all *= of[i].v.n ? of[i].v.n : 1;
        if (!rc && all > b->limits.max_clauses)
            rc = qd_err_set(err, QD_E_ARG, "Too many disjunctions to expand");
    }
    for (uint64_t c = 0; c < all && !rc; c++) {
        uint64_t rest = c;
        const qd_prox *x;
        for (uint32_t i = 0; i < n; i++) {
            one[i] = of[i].v.at[rest % of[i].v.n];
            rest /= of[i].v.n;
        }
        rc = kind == QD_PROX_PHRASE ? make(b, kind, one, n, a, &x, err)
                                    : gather(b, kind, one, n, &x, err);
        if (!rc) rc = add(b, to, x, err);
    }
    for (uint32_t i = 0; of && i < n; i++) qd_vec_fini(&of[i].v);
    return rc;
}

/* What may be pulled above x. */
static int pull(qdi_builder *b, const qd_prox *x, sources *to, qd_err *err)
{
    int rc = 0;
    if (x->kind == QD_PROX_ORDERED || x->kind == QD_PROX_UNORDERED)
        return product(b, x->kind, x->sub, x->n, x->a, to, err);
    if (x->kind == QD_PROX_EXTEND) {
        sources in = {0};
        rc = split(b, x->sub[0], &in, err);
        for (size_t i = 0; i < in.v.n && !rc; i++) {
            const qd_prox *e;
            rc = qdi_intervals_extend(b, in.v.at[i], (uint32_t)x->a, &e, err);
            if (!rc) rc = add(b, to, e, err);
        }
        qd_vec_fini(&in.v);
        return rc;
    }
    if (x->kind != QD_PROX_OR || x->apart) return add(b, to, x, err);
    for (uint32_t i = 0; i < x->n && !rc; i++) rc = add(b, to, x->sub[i], err);
    return rc;
}

/* The same with the sources of one word as one. */
static int split(qdi_builder *b, const qd_prox *x, sources *to, qd_err *err)
{
    sources all = {0}, words = {0};
    int rc = pull(b, x, &all, err);
    for (size_t i = 0; i < all.v.n && !rc; i++)
        rc = add(b, all.v.at[i]->extent == 1 ? &words : to, all.v.at[i], err);
    if (!rc && words.v.n == 1) rc = add(b, to, words.v.at[0], err);
    if (!rc && words.v.n > 1) {
        const qd_prox *one;
        rc = make(b, QD_PROX_OR, words.v.at, (uint32_t)words.v.n, 0, &one, err);
        if (!rc) ((qd_prox *)(uintptr_t)one)->apart = true;
        if (!rc) rc = add(b, to, one, err);
    }
    qd_vec_fini(&all.v);
    qd_vec_fini(&words.v);
    return rc;
}

static int or_of(qdi_builder *b, int rc, sources *list, const qd_prox **out, qd_err *err)
{
    if (!rc) rc = qdi_intervals_or(b, list->v.at, (uint32_t)list->v.n, out, err);
    qd_vec_fini(&list->v);
    return rc;
}

static int phrase(qdi_builder *b, const qd_prox *const *list, uint32_t n, const qd_prox **out,
                  qd_err *err)
{
    sources all = {0};
    int rc = product(b, QD_PROX_PHRASE, list, n, 0, &all, err);
    return or_of(b, rc, &all, out, err);
}

static int limit_gaps(qdi_builder *b, const qd_prox *x, int32_t gaps, const qd_prox **out,
                      qd_err *err)
{
    sources in = {0}, all = {0};
    int rc = split(b, x, &in, err);
    for (size_t i = 0; i < in.v.n && !rc; i++) {
        const qd_prox *one;
        rc = make(b, QD_PROX_MAX_GAPS, &in.v.at[i], 1, gaps, &one, err);
        if (!rc) rc = add(b, &all, one, err);
    }
    qd_vec_fini(&in.v);
    return or_of(b, rc, &all, out, err);
}

static int no_overlap(qdi_builder *b, const qd_prox *const *list, uint32_t n, const qd_prox **out,
                      qd_err *err)
{
    const qd_prox *x = list[0];
    for (uint32_t i = 1; i < n; i++) {
        const qd_prox *both[2], *there[2] = {x, list[i]}, *back[2] = {list[i], x};
        int rc = gather(b, QD_PROX_ORDERED, there, 2, &both[0], err);
        if (!rc) rc = gather(b, QD_PROX_ORDERED, back, 2, &both[1], err);
        if (!rc) rc = qdi_intervals_or(b, both, 2, &x, err);
        if (rc) return rc;
    }
    *out = x;
    return 0;
}

int qdi_intervals_combine(qdi_builder *b, const qd_prox *const *list, uint32_t n, int32_t max_gaps,
                          qdi_rule_mode mode, const qd_prox **out, qd_err *err)
{
    int rc;
    if (n < 2) return n ? (*out = list[0], 0) : make(b, QD_PROX_NONE, NULL, 0, 0, out, err);
    if (max_gaps == 0 && mode == QDI_MODE_ORDERED) return phrase(b, list, n, out, err);
    if (mode == QDI_MODE_NO_OVERLAP)
        rc = no_overlap(b, list, n, out, err);
    else
        rc = gather(b, mode == QDI_MODE_ORDERED ? QD_PROX_ORDERED : QD_PROX_UNORDERED, list, n, out,
                    err);
    return rc || max_gaps == -1 ? rc : limit_gaps(b, *out, max_gaps, out, err);
}

int qdi_intervals_filter(qdi_builder *b, const qd_prox *of, qd_prox_kind relation,
                         const qd_prox *by, const qd_prox **out, qd_err *err)
{
    sources in = {0}, all = {0};
    bool second = relation == QD_PROX_INSIDE;
    bool neither = relation == QD_PROX_BEFORE || relation == QD_PROX_AFTER;
    int rc = neither ? add(b, &in, of, err) : split(b, second ? by : of, &in, err);
    for (size_t i = 0; i < in.v.n && !rc; i++) {
        const qd_prox *one, *two[2] = {second ? of : in.v.at[i], second ? in.v.at[i] : by};
        rc = make(b, relation, two, 2, 0, &one, err);
        if (!rc) rc = add(b, &all, one, err);
    }
    qd_vec_fini(&in.v);
    return or_of(b, rc, &all, out, err);
}

int qdi_intervals_extend(qdi_builder *b, const qd_prox *x, uint32_t before, const qd_prox **out,
                         qd_err *err)
{
    int32_t a = before < 1u << 30 ? (int32_t)before : 1 << 30;
    *out = x;
    return before ? make(b, QD_PROX_EXTEND, &x, 1, a, out, err) : 0;
}

/* --- texts -------------------------------------------------------------------------------------
 */

typedef struct text {
    qdi_builder *b;
    qd_str field;
    const qdi_token *t;
    uint32_t *from; /* position of each token */
    uint32_t n;
} text;

static int word(const text *x, uint32_t i, uint32_t gap, const qd_prox **out, qd_err *err)
{
    qd_prox *p = qdi_prox_make(x->b, QD_PROX_TERM, x->field, 0, NULL, err);
    if (!p) return QD_E_NOMEM;
    p->of = x->field;
    p->term = x->t[i].term;
    return qdi_intervals_extend(x->b, p, gap, out, err);
}

/* Does no token that begins before a position reach beyond it? */
static bool is_cut(const text *x, uint32_t position)
{
    for (uint32_t i = 0; i < x->n; i++)
        if (x->from[i] < position && x->from[i] + x->t[i].length > position) return false;
    return true;
}

/* All ways of tokens from a position to `to`, each a phrase; n of the way are there. */
static int ways(text *x, uint32_t from, uint32_t to, uint32_t gap, const qd_prox **way, uint32_t n,
                sources *all, qd_err *err)
{
    int rc = 0;
    if (from >= to) {
        const qd_prox *p;
        rc = qdi_intervals_combine(x->b, way, n, 0, QDI_MODE_ORDERED, &p, err);
        return rc ? rc : add(x->b, all, p, err);
    }
    if (n >= 64) return qd_err_set(err, QD_E_ARG, "a graph of tokens has ways of over 64 words");
    bool any = false;
    for (uint32_t i = 0; i < x->n && !rc; i++) {
        if (x->from[i] != from || from + x->t[i].length > to) continue;
        any = true;
        rc = word(x, i, n ? 0 : gap, &way[n], err);
        if (!rc) rc = ways(x, from + x->t[i].length, to, gap, way, n + 1, all, err);
    }
    return rc || any ? rc : ways(x, from + 1, to, gap, way, n, all, err); /* a hole */
}

static int stretch(text *x, uint32_t from, uint32_t to, uint32_t gap, const qd_prox **out,
                   qd_err *err)
{
    const qd_prox *way[65];
    sources all = {0};
    int rc = ways(x, from, to, gap, way, 0, &all, err);
    return or_of(x->b, rc, &all, out, err);
}

int qdi_intervals_text(qdi_builder *b, qd_str field, const qd_analyzer *a, qd_str s,
                       int32_t max_gaps, qdi_rule_mode mode, const qd_prox **out, qd_err *err)
{
    qdi_token *t;
    bool at_end;
    text x = {.b = b, .field = field};
    sources all = {0};
    int rc = qdi_analyze(b, a, s, &t, &x.n, &at_end, err);
    x.t = t;
    if (!rc) x.from = qd_arena_alloc(b->arena, ((size_t)x.n + 1) * sizeof *x.from);
    if (!rc && !x.from) rc = qd_err_nomem(err, "query");
    for (uint32_t i = 0, at = 0; i < x.n && !rc; i++) {
        at += i ? t[i].inc : 0;
        x.from[i] = at;
    }
    for (uint32_t i = 0; i < x.n && !rc;) {
        uint32_t from = x.from[i], to = from + 1, gap = i && t[i].inc ? t[i].inc - 1 : 0;
        while (!is_cut(&x, to)) to++;
        const qd_prox *p;
        rc = stretch(&x, from, to, gap, &p, err);
        if (!rc) rc = add(b, &all, p, err);
        while (i < x.n && x.from[i] < to) i++;
    }
    if (!rc) rc = qdi_intervals_combine(b, all.v.at, (uint32_t)all.v.n, max_gaps, mode, out, err);
    qd_vec_fini(&all.v);
    return rc;
}
