/* matches.c: what a query wants of a field, and where a text's tokens have it. */
#include "base/hash.h"
#include "base/str.h"
#include "search/highlight/highlight_int.h"
#include "search/node_type_int.h"
#include <stdlib.h>

bool qdi_highlight_wants(const qdi_gather *g, qd_str field)
{
    return g->any || qd_str_eq(field, g->field);
}

void qdi_highlight_term(qdi_gather *g, qd_str t)
{
    if (!g->counting) g->h->terms[g->nterms] = t;
    g->nterms++;
}

void qdi_highlight_flat(qdi_gather *g, int kind, qd_str term, uint32_t at, float boost)
{
    qd_highlighter *h = g->h;
    for (uint32_t i = 0; i < h->nflats && !g->counting && kind == HIGHLIGHT_FLAT_TERM; i++) {
        const highlight_flat *f = &h->flats[i];
        if (f->kind == HIGHLIGHT_FLAT_TERM && f->boost == boost && qd_str_eq(f->term, term)) return;
    }
    if (!g->counting) {
        h->flats[h->nflats] =
            (highlight_flat){.term = term, .at = at, .number = h->nflats, .boost = boost};
        h->flats[h->nflats].kind = kind;
    }
    h->nflats++;
}

static int leaf(void *arg, const qd_node *n, float boost)
{
    const qd_node_type *type = qdi_node_type_of(n);
    return type->matches ? type->matches(arg, n, boost) : 0;
}

static int by_bytes(const void *a, const void *b)
{
    return qd_str_cmp(*(const qd_str *)a, *(const qd_str *)b);
}

int qd_highlighter_make(const qd_node *root,
                        int (*each_leaf)(const qd_node *root,
                                         int (*fn)(void *arg, const qd_node *leaf, float boost),
                                         void *arg),
                        qd_str field, bool any_field, qd_arena *arena, qd_highlighter **out,
                        qd_err *err)
{
    qd_highlighter *h = qd_arena_calloc(arena, sizeof *h);
    qdi_gather g = {.h = h, .arena = arena, .field = field, .any = any_field, .counting = true};
    if (!h) return qd_err_nomem(err, "highlighting");
    int rc = each_leaf(root, leaf, &g);
    h->terms = qd_arena_alloc(arena, (g.nterms + 1) * sizeof *h->terms);
    h->patterns = qd_arena_calloc(arena, (h->npatterns + 1) * sizeof(qd_automaton *));
    h->phrases = qd_arena_alloc(arena, (h->nphrases + 1) * sizeof *h->phrases);
    h->ranges = qd_arena_alloc(arena, (h->nranges + 1) * sizeof *h->ranges);
    h->flats = qd_arena_alloc(arena, (h->nflats + 1) * sizeof *h->flats);
    if (!h->terms || !h->patterns || !h->phrases || !h->ranges || !h->flats) {
        return qd_err_nomem(err, "highlighting");
    }
    g.nterms = h->npatterns = h->nphrases = h->nranges = h->nflats = 0;
    g.counting = false;
    g.err = err;
    if (!rc) rc = each_leaf(root, leaf, &g);
    if (rc) return rc;
    qsort(h->terms, g.nterms, sizeof *h->terms, by_bytes);
    for (uint32_t i = 0; i < g.nterms; i++) {
        if (h->nterms && qd_str_eq(h->terms[h->nterms - 1], h->terms[i])) continue;
        h->terms[h->nterms++] = h->terms[i];
    }
    *out = h;
    return 0;
}

bool qd_highlighter_is_empty(const qd_highlighter *h)
{
    return !h->nterms && !h->npatterns && !h->nphrases && !h->nranges;
}

uint32_t qdi_highlight_words(const qd_highlighter *h)
{
    return h->nterms + h->npatterns + h->nphrases + h->nranges;
}

/* --- words --- */

bool qdi_highlight_in_range(const qd_node_range *r, qd_str t)
{
    if (r->has_from) {
        int c = qd_str_cmp(t, r->from);
        if (c < 0 || (c == 0 && !r->from_inclusive)) return false;
    }
    if (r->has_to) {
        int c = qd_str_cmp(t, r->to);
        if (c > 0 || (c == 0 && !r->to_inclusive)) return false;
    }
    return true;
}

/* Which word of the query a token is; UINT32_MAX: none. */
static uint32_t word_of(const qd_highlighter *h, qd_str t)
{
    uint32_t lo = 0, hi = h->nterms;
    while (lo < hi) {
        uint32_t m = (lo + hi) / 2;
        int c = qd_str_cmp(h->terms[m], t);
        if (c == 0) return m;
        if (c < 0) {
            lo = m + 1;
        } else {
            hi = m;
        }
    }
    for (uint32_t i = 0; i < h->npatterns; i++) {
        if (qd_automaton_match(h->patterns[i], t)) return h->nterms + i;
    }
    for (uint32_t i = 0; i < h->nranges; i++) {
        if (qdi_highlight_in_range(&h->ranges[i].range, t))
            return h->nterms + h->npatterns + h->nphrases + i;
    }
    return UINT32_MAX;
}

/* --- phrases --- */

typedef struct finder {
    const qd_highlighter *h;
    const qd_tokens *t;
    const uint32_t *position; /* of each token */
    highlight_text *v;
    uint32_t room;
    qd_arena *arena;
    bool whole;
    qd_err *err;
} finder;

static int add_match(finder *f, uint32_t from, uint32_t to, uint32_t word, size_t token)
{
    highlight_text *v = f->v;
    qd_str text = qd_tokens_term(f->t, token);
    uint32_t hash = (uint32_t)qd_xxh3(text.p, text.n);
    if (v->nmatches == f->room) {
        uint32_t more = f->room ? f->room * 2 : 32;
        highlight_match *m = qd_arena_alloc(f->arena, more * sizeof *m);
        if (!m) return qd_err_nomem(f->err, "highlighting");
        if (v->nmatches) memcpy(m, v->matches, v->nmatches * sizeof *m);
        v->matches = m;
        f->room = more;
    }
    if (from < to) v->matches[v->nmatches++] = (highlight_match){from, to, word, hash};
    return 0;
}

static bool is_phrase_term(const qd_phrase_term *p, qd_str t)
{
    return p->prefix ? qd_str_starts(t, p->term) : qd_str_eq(p->term, t);
}

/* The token at `position` that is one of the alternatives [a, b) of the phrase; -1: none. i is a
 * token near. */
static int64_t token_at(const finder *f, const highlight_phrase *p, uint32_t a, uint32_t b,
                        uint32_t i, uint32_t position)
{
    while (i > 0 && f->position[i - 1] >= position) i--;
    while (i < f->t->n && f->position[i] < position) i++;
    for (; i < f->t->n && f->position[i] == position; i++) {
        for (uint32_t k = a; k < b; k++) {
            if (is_phrase_term(&p->terms[k], qd_tokens_term(f->t, i))) return i;
        }
    }
    return -1;
}

/* Does the phrase begin at token i? Its tokens in at[] (by slot), their number in *n. With slop
 * each next word may stand so much further away in all. */
static bool phrase_from(const finder *f, const highlight_phrase *p, uint32_t i, uint32_t *at,
                        uint32_t *n)
{
    uint32_t k = 0, shift = 0;
    *n = 0;
    while (k < p->n && *n < 64) {
        uint32_t end = k + 1;
        while (end < p->n && p->terms[end].position == p->terms[k].position) end++;
        uint32_t want = f->position[i] + p->terms[k].position - p->terms[0].position;
        int64_t found = -1;
        for (uint32_t s = shift; s <= p->slop && found < 0; s++) {
            found = token_at(f, p, k, end, i, want + s);
            if (found < 0 && s && s <= want) found = token_at(f, p, k, end, i, want - s);
            if (found >= 0) shift = s;
        }
        if (found < 0) return false;
        at[(*n)++] = (uint32_t)found;
        k = end;
    }
    return k == p->n;
}

/* A sloppy phrase's words in any order, as Lucene's unordered NearSpans: the earliest of one token
 * for each word goes on until they stand close enough; each such group is marked. */
static int find_near(finder *f, uint32_t number)
{
    const highlight_phrase *p = &f->h->phrases[number];
    uint32_t word = f->h->nterms + f->h->npatterns + number, slot[64], at[64], n = 0;
    for (uint32_t k = 0; k < p->n && n < 64; k++) {
        if (!k || p->terms[k].position != p->terms[k - 1].position) slot[n++] = k;
    }
    for (uint32_t s = 0; s < n; s++) at[s] = UINT32_MAX; /* before the first */
    for (uint32_t move = 0, all = n == 0;; all = true) {
        for (uint32_t s = all ? move : 0; s < (all ? move + 1 : n); s++) {
            uint32_t end = s + 1 < n ? slot[s + 1] : p->n, i = at[s] + 1;
            for (; i < f->t->n; i++) {
                bool found = false, taken = false;
                for (uint32_t k = slot[s]; k < end && !found; k++)
                    found = is_phrase_term(&p->terms[k], qd_tokens_term(f->t, i));
                for (uint32_t o = 0; o < n; o++) taken |= o != s && at[o] == i;
                if (found && !taken) break;
            }
            if (i >= f->t->n) return 0;
            at[s] = i;
        }
        uint32_t low = 0, high = 0;
        for (uint32_t s = 1; s < n; s++) {
            if (f->position[at[s]] < f->position[at[low]]) low = s;
            if (f->position[at[s]] > f->position[at[high]]) high = s;
        }
        if (!n) return 0;
        if (f->position[at[high]] + 1 - f->position[at[low]] <= n + p->slop) {
            for (uint32_t s = 0; s < n; s++) {
                qd_span o = f->t->offset[at[s]];
                if (add_match(f, o.from, o.to, word, at[s])) return QD_E_NOMEM;
            }
        }
        move = low;
    }
}

static int find_phrase(finder *f, uint32_t number)
{
    const highlight_phrase *p = &f->h->phrases[number];
    if (p->slop && !f->whole) return find_near(f, number);
    uint32_t word = f->h->nterms + f->h->npatterns + number, at[64], n;
    for (uint32_t i = 0; i < f->t->n; i++) {
        if (!p->n || !is_phrase_term(&p->terms[0], qd_tokens_term(f->t, i))) {
            bool other = false;
            for (uint32_t k = 1; k < p->n && p->terms[k].position == p->terms[0].position; k++) {
                other |= is_phrase_term(&p->terms[k], qd_tokens_term(f->t, i));
            }
            if (!other) continue;
        }
        if (!phrase_from(f, p, i, at, &n)) continue;
        uint32_t from = UINT32_MAX, to = 0;
        for (uint32_t k = 0; k < n; k++) {
            qd_span o = f->t->offset[at[k]];
            if (!f->whole && add_match(f, o.from, o.to, word, at[k])) return QD_E_NOMEM;
            if (o.from < from) from = o.from;
            if (o.to > to) to = o.to;
        }
        if (f->whole && add_match(f, from, to, word, i)) return QD_E_NOMEM;
    }
    return 0;
}

static int by_place(const void *a, const void *b)
{
    const highlight_match *x = a, *y = b;
    if (x->from != y->from) return x->from < y->from ? -1 : 1;
    return x->to > y->to ? -1 : x->to < y->to;
}

int qdi_highlight_find(const qd_highlighter *h, const qd_tokens *t, bool whole_phrases, qd_arena *a,
                       highlight_text *v, qd_err *err)
{
    uint32_t *position = qd_arena_alloc(a, (t->n + 1) * sizeof *position), at = 0;
    finder f = {.h = h,
                .t = t,
                .position = position,
                .v = v,
                .arena = a,
                .whole = whole_phrases,
                .err = err};
    v->tokens = qd_arena_alloc(a, (t->n + 1) * sizeof *v->tokens);
    if (!position || !v->tokens) return qd_err_nomem(err, "highlighting");
    v->ntokens = (uint32_t)t->n;
    int rc = 0;
    for (uint32_t i = 0; i < t->n && !rc; i++) {
        uint32_t word = word_of(h, qd_tokens_term(t, i));
        position[i] = at += qd_tokens_inc(t, i);
        v->tokens[i] = t->offset[i];
        if (word != UINT32_MAX) rc = add_match(&f, t->offset[i].from, t->offset[i].to, word, i);
    }
    for (uint32_t i = 0; i < h->nphrases && !rc; i++) rc = find_phrase(&f, i);
    if (!rc && v->nmatches) qsort(v->matches, v->nmatches, sizeof *v->matches, by_place);
    return rc;
}
