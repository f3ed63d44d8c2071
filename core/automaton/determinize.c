/*
 * determinize.c: subset construction over byte classes, and what needs deterministic operands:
 * complement and intersection.
 */
#include "automaton/nfa_int.h"
#include "base/bits.h"
#include "base/hash.h"

#define GROWTH 8u  /* byte states allowed for each state of the budget */
#define EFFORT 60u /* members of all sets allowed for each state of the budget */

void qdi_dfa_fini(qdi_dfa *d)
{
    qd_free(d->next);
    qd_free(d->accept);
    *d = (qdi_dfa){0};
}

typedef struct work {
    const qdi_nfa *n;
    qd_account *account;
    uint32_t accept; /* NFA state */
    uint32_t dfa_max;
    uint64_t effort_max;
    uint32_t *mark; /* by NFA state: stamp of the closure that has it */
    uint32_t stamp;
    uint32_t *stack;          /* NFA states */
    uint8_t *universal;       /* by NFA state: every string is matched from it */
    QD_VEC(uint32_t) members; /* of all sets, one behind the other */
    QD_VEC(uint64_t) ends;    /* of set i in members */
    uint32_t *slots, mask;    /* set number + 1 by hash */
    QD_VEC(uint32_t) next;
    QD_VEC(uint8_t) accepts;
    QD_VEC(uint32_t) * buckets; /* by class: targets of the set in hand */
    uint32_t classes;
    uint8_t class_of[256];
} work;

/* Bytes that no edge tells apart share a class. */
static void make_classes(work *w)
{
    bool cut[257] = {true};
    for (size_t i = 0; i < w->n->edges.n; i++) {
        const qdi_nfa_edge *e = &w->n->edges.at[i];
        if (e->epsilon) continue;
        cut[e->lo] = true;
        cut[e->hi + 1] = true;
    }
    w->classes = 0;
    for (uint32_t b = 0; b < 256; b++) {
        if (cut[b]) w->classes++;
        w->class_of[b] = (uint8_t)(w->classes - 1);
    }
}

static void sort_u32(uint32_t *v, size_t n)
{
    for (size_t gap = n / 2; gap > 0; gap = gap == 2 ? 1 : gap * 5 / 11)
        for (size_t i = gap; i < n; i++) {
            uint32_t x = v[i];
            size_t j = i;
            for (; j >= gap && v[j - gap] > x; j -= gap) v[j] = v[j - gap];
            v[j] = x;
        }
}

/* Appends the closure of from[0..k) to members, sorted: states with byte edges, and the accepting
 * one. A universal member makes all others superfluous. */
static int closure(work *w, const uint32_t *from, size_t k, size_t *count)
{
    uint32_t top = 0;
    size_t begin = w->members.n;
    w->stamp++;
    for (size_t i = 0; i < k; i++) {
        if (w->mark[from[i]] == w->stamp) continue;
        w->mark[from[i]] = w->stamp;
        w->stack[top++] = from[i];
    }
    while (top > 0) {
        uint32_t s = w->stack[--top];
        bool keep = s == w->accept;
        if (w->universal && w->universal[s]) {
            w->members.n = begin;
            if (qd_vec_push(&w->members, w->account, s)) return QD_E_NOMEM;
            *count = 1;
            return 0;
        }
        for (uint32_t e = w->n->first.at[s]; e;) {
            const qdi_nfa_edge *x = &w->n->edges.at[e - 1];
            e = x->next;
            if (!x->epsilon) {
                keep = true;
            } else if (w->mark[x->to] != w->stamp) {
                w->mark[x->to] = w->stamp;
                w->stack[top++] = x->to;
            }
        }
        if (keep && qd_vec_push(&w->members, w->account, s)) return QD_E_NOMEM;
    }
    *count = w->members.n - begin;
    sort_u32(w->members.at + begin, *count);
    return 0;
}

static int grow_slots(work *w)
{
    uint32_t size = w->mask ? (w->mask + 1) * 2 : 256;
    uint32_t *slots = qd_calloc(w->account, (size_t)size * sizeof *slots);
    if (!slots) return QD_E_NOMEM;
    for (uint32_t i = 0; i < w->ends.n; i++) {
        uint64_t from = i ? w->ends.at[i - 1] : 0;
        uint64_t h = qd_xxh3(w->members.at + from, (w->ends.at[i] - from) * 4);
        uint32_t at = (uint32_t)h & (size - 1);
        while (slots[at]) at = (at + 1) & (size - 1);
        slots[at] = i + 1;
    }
    qd_free(w->slots);
    w->slots = slots;
    w->mask = size - 1;
    return 0;
}

/* The DFA state of the closure just appended (count members); known sets are taken off again.
 * States: 0 dead, set i is i + 1. */
static int intern(work *w, size_t count, uint32_t *out)
{
    size_t begin = w->members.n - count;
    if (count == 0) {
        *out = 0;
        return 0;
    }
    if (w->ends.n >= w->mask / 2 && grow_slots(w)) return QD_E_NOMEM;
    uint32_t at = (uint32_t)qd_xxh3(w->members.at + begin, count * 4) & w->mask;
    for (; w->slots[at]; at = (at + 1) & w->mask) {
        uint32_t i = w->slots[at] - 1;
        uint64_t from = i ? w->ends.at[i - 1] : 0;
        if (w->ends.at[i] - from != count ||
            memcmp(w->members.at + from, w->members.at + begin, count * 4) != 0)
            continue;
        w->members.n = begin;
        *out = i + 1;
        return 0;
    }
    if (w->ends.n >= w->dfa_max || w->members.n > w->effort_max) return QD_E_TOO_COMPLEX;
    bool accept = false;
    for (size_t i = begin; i < w->members.n; i++)
        accept |= w->members.at[i] == w->accept || (w->universal && w->universal[w->members.at[i]]);
    if (qd_vec_push(&w->ends, w->account, w->members.n) ||
        qd_vec_push(&w->accepts, w->account, accept))
        return QD_E_NOMEM;
    w->slots[at] = (uint32_t)w->ends.n;
    *out = (uint32_t)w->ends.n;
    return 0;
}

/* Targets of one set by class. */
static int fill_buckets(work *w, uint32_t set)
{
    for (uint32_t c = 0; c < w->classes; c++) w->buckets[c].n = 0;
    for (uint64_t i = set ? w->ends.at[set - 1] : 0; i < w->ends.at[set]; i++) {
        for (uint32_t e = w->n->first.at[w->members.at[i]]; e;) {
            const qdi_nfa_edge *x = &w->n->edges.at[e - 1];
            e = x->next;
            if (x->epsilon) continue;
            for (uint32_t c = w->class_of[x->lo]; c <= w->class_of[x->hi]; c++)
                if (qd_vec_push(&w->buckets[c], w->account, x->to)) return QD_E_NOMEM;
        }
    }
    return 0;
}

static int expand(work *w, uint32_t set)
{
    int rc = fill_buckets(w, set);
    uint32_t state = 0;
    for (uint32_t c = 0; c < w->classes && rc == 0; c++) {
        bool same = c > 0 && w->buckets[c].n == w->buckets[c - 1].n &&
                    (w->buckets[c].n == 0 ||
                     memcmp(w->buckets[c].at, w->buckets[c - 1].at, w->buckets[c].n * 4) == 0);
        if (!same) {
            size_t count = 0;
            state = 0;
            if (w->buckets[c].n) {
                rc = closure(w, w->buckets[c].at, w->buckets[c].n, &count);
                if (rc == 0) rc = intern(w, count, &state);
            }
        }
        if (rc == 0 && qd_vec_push(&w->next, w->account, state)) rc = QD_E_NOMEM;
    }
    return rc;
}

/* Any-string loops whose start reaches the accepting state without a byte match everything. */
static void find_universal(work *w)
{
    const qdi_nfa *n = w->n;
    for (uint32_t s = 0; s < n->first.n; s++) {
        /* qdi_nfa_any from s to itself is recognised by its one-byte edge and its shape: the edge
         * 00-7f back to s. A class like [\x00-\x7f]* has that as well, so the two-byte lead is
         * asked for, too. */
        bool ascii = false, lead = false, end = false;
        for (uint32_t e = n->first.at[s]; e;) {
            const qdi_nfa_edge *x = &n->edges.at[e - 1];
            e = x->next;
            if (x->epsilon) end |= x->to == w->accept;
            if (x->epsilon) continue;
            ascii |= x->to == s && x->lo == 0 && x->hi == 0x7f;
            lead |= x->lo == 0xf1 && x->hi == 0xf3;
        }
        w->universal[s] = ascii && lead && end;
    }
}

static void work_fini(work *w)
{
    qd_free(w->mark);
    qd_free(w->stack);
    qd_free(w->universal);
    qd_free(w->slots);
    for (uint32_t c = 0; w->buckets && c < 256; c++) qd_vec_fini(&w->buckets[c]);
    qd_free(w->buckets);
    qd_vec_fini(&w->members);
    qd_vec_fini(&w->ends);
    qd_vec_fini(&w->next);
    qd_vec_fini(&w->accepts);
}

static int run(work *w, uint32_t start)
{
    size_t count = 0;
    uint32_t state;
    make_classes(w);
    find_universal(w);
    for (uint32_t c = 0; c < w->classes; c++)
        if (qd_vec_push(&w->next, w->account, 0)) return QD_E_NOMEM;
    int rc = closure(w, &start, 1, &count);
    if (rc == 0 && count == 0) {
        /* The start matches nothing: keep it as a state of its own. */
        if (qd_vec_push(&w->members, w->account, start)) return QD_E_NOMEM;
        count = 1;
    }
    if (rc == 0) rc = intern(w, count, &state);
    for (uint32_t set = 0; rc == 0 && set < w->ends.n; set++) rc = expand(w, set);
    return rc;
}

/* Moves the result out of the work space. */
static int take(work *w, qdi_dfa *out)
{
    uint32_t states = (uint32_t)w->ends.n + 1;
    *out = (qdi_dfa){.states = states, .classes = w->classes};
    memcpy(out->class_of, w->class_of, 256);
    out->accept = qd_calloc(w->account, states);
    if (!out->accept) return QD_E_NOMEM;
    memcpy(out->accept + 1, w->accepts.at, states - 1);
    out->next = w->next.at;
    w->next.at = NULL;
    return 0;
}

int qdi_determinize(const qdi_nfa *n, qdi_fragment f, uint32_t states_max, qd_account *account,
                    qdi_dfa *out, qd_err *err)
{
    work w = {.n = n, .account = account, .accept = f.end};
    w.dfa_max = states_max > UINT32_MAX / GROWTH ? UINT32_MAX : states_max * GROWTH;
    w.effort_max = (uint64_t)states_max * EFFORT;
    w.mark = qd_calloc(account, (n->first.n + 1) * sizeof *w.mark);
    w.stack = qd_alloc(account, (n->first.n + 1) * sizeof *w.stack);
    w.universal = qd_calloc(account, n->first.n + 1);
    w.buckets = qd_calloc(account, 256 * sizeof *w.buckets);
    int rc = w.mark && w.stack && w.universal && w.buckets ? 0 : QD_E_NOMEM;
    if (rc == 0) rc = run(&w, f.start);
    if (rc == 0) rc = take(&w, out);
    work_fini(&w);
    if (rc == QD_E_NOMEM) return qd_err_nomem(err, "automaton");
    if (rc)
        return qd_err_set(err, rc, "Determinizing automaton would require more than %u effort.",
                          states_max);
    return 0;
}

/* Throws the newest fragment's states away. */
static void drop(qdi_nfa *n, uint32_t state0, uint32_t edge0)
{
    if (n->rc) return;
    n->first.n = state0;
    n->edges.n = edge0;
}

/* The states of two automata in step; a's answer may be inverted. Pairs are numbered as they are
 * first seen. a dead is kept alive when it is inverted: nothing is matched from there on, so its
 * complement matches everything. */
typedef struct product {
    const qdi_dfa *a, *b;
    bool invert_a;
    QD_VEC(uint64_t) pairs;
    uint32_t *slots, mask;
    qd_account *account;
    uint32_t states_max;
} product;

static int pair_find(product *p, uint32_t x, uint32_t y, uint32_t *out)
{
    if (y == 0 || (x == 0 && !p->invert_a)) {
        *out = 0;
        return 0;
    }
    if (p->pairs.n >= p->mask / 2) {
        uint32_t size = p->mask ? (p->mask + 1) * 2 : 256;
        uint32_t *slots = qd_calloc(p->account, (size_t)size * sizeof *slots);
        if (!slots) return QD_E_NOMEM;
        for (uint32_t i = 0; i < p->pairs.n; i++) {
            uint32_t at = (uint32_t)(p->pairs.at[i] * 0x9e3779b97f4a7c15u >> 32) & (size - 1);
            while (slots[at]) at = (at + 1) & (size - 1);
            slots[at] = i + 1;
        }
        qd_free(p->slots);
        p->slots = slots;
        p->mask = size - 1;
    }
    uint64_t key = (uint64_t)x << 32 | y;
    uint32_t at = (uint32_t)(key * 0x9e3779b97f4a7c15u >> 32) & p->mask;
    for (; p->slots[at]; at = (at + 1) & p->mask) {
        if (p->pairs.at[p->slots[at] - 1] != key) continue;
        *out = p->slots[at];
        return 0;
    }
    if (p->pairs.n >= (uint64_t)p->states_max * GROWTH) return QD_E_TOO_COMPLEX;
    if (qd_vec_push(&p->pairs, p->account, key)) return QD_E_NOMEM;
    p->slots[at] = (uint32_t)p->pairs.n;
    *out = (uint32_t)p->pairs.n;
    return 0;
}

/* Builds the product as a fragment right away. */
static int product_fragment(product *p, qdi_nfa *n, qdi_fragment *out)
{
    uint32_t one;
    int rc = pair_find(p, 1, 1, &one);
    qdi_fragment f = {.state0 = (uint32_t)n->first.n, .edge0 = (uint32_t)n->edges.n};
    f.end = qdi_nfa_state(n);
    f.start = qdi_nfa_state(n); /* pair i is state f.end + i */
    for (uint32_t i = 0; rc == 0 && i < p->pairs.n && n->rc == 0; i++) {
        uint32_t x = (uint32_t)(p->pairs.at[i] >> 32), y = (uint32_t)p->pairs.at[i];
        uint32_t from = f.end + i + 1, run_to = 0, run_lo = 0;
        if ((p->a->accept[x] != 0) != p->invert_a && p->b->accept[y])
            qdi_nfa_epsilon(n, from, f.end);
        for (uint32_t b = 0; b <= 256 && rc == 0; b++) {
            uint32_t to = 0;
            size_t before = p->pairs.n;
            if (b < 256)
                rc = pair_find(p, p->a->next[(size_t)x * p->a->classes + p->a->class_of[b]],
                               p->b->next[(size_t)y * p->b->classes + p->b->class_of[b]], &to);
            if (p->pairs.n > before && p->pairs.n > 1) (void)qdi_nfa_state(n);
            if (b < 256 && to == run_to) continue;
            if (run_to && n->rc == 0)
                qdi_nfa_bytes(n, from, f.end + run_to, (uint8_t)run_lo, (uint8_t)(b - 1));
            run_to = to;
            run_lo = b;
        }
    }
    *out = f;
    return rc ? rc : n->rc;
}

static int combine(qdi_nfa *n, const qdi_dfa *a, const qdi_dfa *b, bool invert_a,
                   uint32_t states_max, qdi_fragment *out, qd_err *err)
{
    product p = {
        .a = a, .b = b, .invert_a = invert_a, .account = n->account, .states_max = states_max};
    int rc = product_fragment(&p, n, out);
    qd_vec_fini(&p.pairs);
    qd_free(p.slots);
    if (rc == QD_E_NOMEM) return qd_err_nomem(err, "automaton");
    if (rc)
        return qd_err_set(err, rc, "Determinizing automaton would require more than %u effort.",
                          states_max);
    return 0;
}

int qdi_fragment_complement(qdi_nfa *n, qdi_fragment *f, uint32_t states_max, qd_err *err)
{
    qdi_dfa a = {0}, utf8 = {0};
    if (n->rc) return 0; /* told at the end */
    int rc = qdi_determinize(n, *f, states_max, n->account, &a, err);
    drop(n, f->state0, f->edge0);
    if (rc) return rc;
    /* Only whole code points: a complement must not stop in the middle of one. */
    qdi_fragment any = qdi_fragment_any_string(n);
    rc = n->rc ? n->rc : qdi_determinize(n, any, states_max, n->account, &utf8, err);
    drop(n, any.state0, any.edge0);
    if (rc == 0) rc = combine(n, &a, &utf8, true, states_max, f, err);
    qdi_dfa_fini(&a);
    qdi_dfa_fini(&utf8);
    return rc;
}

int qdi_fragment_intersect(qdi_nfa *n, qdi_fragment *a, qdi_fragment b, uint32_t states_max,
                           qd_err *err)
{
    qdi_dfa x = {0}, y = {0};
    if (n->rc) return 0; /* told at the end */
    int rc = qdi_determinize(n, *a, states_max, n->account, &x, err);
    if (rc == 0) rc = qdi_determinize(n, b, states_max, n->account, &y, err);
    drop(n, a->state0, a->edge0);
    if (rc == 0) rc = combine(n, &x, &y, false, states_max, a, err);
    qdi_dfa_fini(&x);
    qdi_dfa_fini(&y);
    return rc;
}
