/*
 * nfa.c: fragments over UTF-8 bytes.
 */
#include "automaton/nfa_int.h"

void qdi_nfa_fini(qdi_nfa *n)
{
    qd_vec_fini(&n->first);
    qd_vec_fini(&n->edges);
}

uint32_t qdi_nfa_state(qdi_nfa *n)
{
    if (n->rc == 0 && n->first.n >= QDI_NFA_EDGES_MAX) n->rc = QD_E_TOO_COMPLEX;
    if (n->rc == 0 && qd_vec_push(&n->first, n->account, 0)) n->rc = QD_E_NOMEM;
    return n->rc ? 0 : (uint32_t)n->first.n - 1;
}

static void edge(qdi_nfa *n, uint32_t from, qdi_nfa_edge e)
{
    if (n->rc == 0 && n->edges.n >= QDI_NFA_EDGES_MAX) n->rc = QD_E_TOO_COMPLEX;
    if (n->rc) return;
    e.next = n->first.at[from];
    if (qd_vec_push(&n->edges, n->account, e))
        n->rc = QD_E_NOMEM;
    else
        n->first.at[from] = (uint32_t)n->edges.n;
}

void qdi_nfa_epsilon(qdi_nfa *n, uint32_t from, uint32_t to)
{
    edge(n, from, (qdi_nfa_edge){.to = to, .epsilon = true});
}

void qdi_nfa_bytes(qdi_nfa *n, uint32_t from, uint32_t to, uint8_t lo, uint8_t hi)
{
    edge(n, from, (qdi_nfa_edge){.to = to, .lo = lo, .hi = hi});
}

/* Continuation bytes below a lead: [lo, hi] of their low 6 * k bits, k bytes each, to `to`. */
static void tail(qdi_nfa *n, uint32_t from, uint32_t to, uint32_t lo, uint32_t hi, uint32_t k)
{
    if (k == 0) {
        qdi_nfa_epsilon(n, from, to);
        return;
    }
    uint32_t shift = 6 * (k - 1), mask = (1u << shift) - 1;
    uint32_t first = lo >> shift, last = hi >> shift;
    /* A ragged border gets its own byte; what lies between takes all tails. */
    bool low = (lo & mask) != 0, high = (hi & mask) != mask;
    if (k == 1 || (first == last && !low && !high) || (!low && !high)) {
        uint32_t next = k == 1 ? to : qdi_nfa_state(n);
        qdi_nfa_bytes(n, from, next, (uint8_t)(0x80 | first), (uint8_t)(0x80 | last));
        if (k > 1) tail(n, next, to, 0, mask, k - 1);
        return;
    }
    if (first == last) {
        uint32_t next = qdi_nfa_state(n);
        qdi_nfa_bytes(n, from, next, (uint8_t)(0x80 | first), (uint8_t)(0x80 | first));
        tail(n, next, to, lo & mask, hi & mask, k - 1);
        return;
    }
    if (low) {
        tail(n, from, to, lo, lo | mask, k);
        lo = (lo | mask) + 1;
    }
    if (high) {
        tail(n, from, to, hi & ~mask, hi, k);
        hi = (hi & ~mask) - 1;
    }
    if (lo <= hi) tail(n, from, to, lo, hi, k);
}

/* Code points of one encoded length: k continuation bytes. */
static void encoded(qdi_nfa *n, uint32_t from, uint32_t to, uint32_t lo, uint32_t hi, uint32_t k)
{
    static const uint8_t leads[4] = {0, 0xc0, 0xe0, 0xf0};
    uint32_t shift = 6 * k, mask = (1u << shift) - 1;
    if (k == 0) {
        qdi_nfa_bytes(n, from, to, (uint8_t)lo, (uint8_t)hi);
        return;
    }
    while (lo <= hi && n->rc == 0) {
        uint32_t end = lo | mask;
        /* Whole leads together. */
        if ((lo & mask) == 0 && hi >= end) end = ((hi + 1) & ~mask) - 1;
        if (end > hi) end = hi;
        uint32_t next = qdi_nfa_state(n);
        qdi_nfa_bytes(n, from, next, (uint8_t)(leads[k] | lo >> shift),
                      (uint8_t)(leads[k] | end >> shift));
        if (end >> shift != lo >> shift)
            tail(n, next, to, 0, mask, k);
        else
            tail(n, next, to, lo & mask, end & mask, k);
        lo = end + 1;
    }
}

void qdi_nfa_range(qdi_nfa *n, uint32_t from, uint32_t to, uint32_t lo, uint32_t hi)
{
    static const qdi_points_range parts[5] = {
        {0, 0x7f}, {0x80, 0x7ff}, {0x800, 0xd7ff}, {0xe000, 0xffff}, {0x10000, QDI_CODE_POINT_MAX}};
    static const uint8_t bytes[5] = {0, 1, 2, 2, 3};
    for (uint32_t i = 0; i < 5; i++) {
        uint32_t a = lo > parts[i].lo ? lo : parts[i].lo, z = hi < parts[i].hi ? hi : parts[i].hi;
        if (a <= z) encoded(n, from, to, a, z, bytes[i]);
    }
}

void qdi_nfa_any(qdi_nfa *n, uint32_t from, uint32_t to)
{
    uint32_t one = qdi_nfa_state(n), two = qdi_nfa_state(n), three = qdi_nfa_state(n);
    uint32_t e0 = qdi_nfa_state(n), ed = qdi_nfa_state(n);
    uint32_t f0 = qdi_nfa_state(n), f4 = qdi_nfa_state(n);
    qdi_nfa_bytes(n, from, to, 0x00, 0x7f);
    qdi_nfa_bytes(n, from, one, 0xc2, 0xdf);
    qdi_nfa_bytes(n, from, e0, 0xe0, 0xe0);
    qdi_nfa_bytes(n, from, two, 0xe1, 0xec);
    qdi_nfa_bytes(n, from, ed, 0xed, 0xed);
    qdi_nfa_bytes(n, from, two, 0xee, 0xef);
    qdi_nfa_bytes(n, from, f0, 0xf0, 0xf0);
    qdi_nfa_bytes(n, from, three, 0xf1, 0xf3);
    qdi_nfa_bytes(n, from, f4, 0xf4, 0xf4);
    qdi_nfa_bytes(n, e0, one, 0xa0, 0xbf);
    qdi_nfa_bytes(n, ed, one, 0x80, 0x9f);
    qdi_nfa_bytes(n, f0, two, 0x90, 0xbf);
    qdi_nfa_bytes(n, f4, two, 0x80, 0x8f);
    qdi_nfa_bytes(n, three, two, 0x80, 0xbf);
    qdi_nfa_bytes(n, two, one, 0x80, 0xbf);
    qdi_nfa_bytes(n, one, to, 0x80, 0xbf);
}

void qdi_nfa_char(qdi_nfa *n, uint32_t from, uint32_t to, uint32_t cp, bool fold)
{
    qdi_nfa_range(n, from, to, cp, cp);
    if (fold && ((cp | 32) >= 'a' && (cp | 32) <= 'z'))
        qdi_nfa_range(n, from, to, cp ^ 32, cp ^ 32);
}

qdi_fragment qdi_fragment_begin(qdi_nfa *n)
{
    qdi_fragment f = {.state0 = (uint32_t)n->first.n, .edge0 = (uint32_t)n->edges.n};
    f.start = qdi_nfa_state(n);
    f.end = f.start;
    return f;
}

qdi_fragment qdi_fragment_empty(qdi_nfa *n)
{
    qdi_fragment f = qdi_fragment_begin(n);
    f.end = qdi_nfa_state(n);
    qdi_nfa_epsilon(n, f.start, f.end);
    return f;
}

qdi_fragment qdi_fragment_none(qdi_nfa *n)
{
    qdi_fragment f = qdi_fragment_begin(n);
    f.end = qdi_nfa_state(n);
    return f;
}

qdi_fragment qdi_fragment_any_string(qdi_nfa *n)
{
    qdi_fragment f = qdi_fragment_begin(n);
    f.end = qdi_nfa_state(n);
    qdi_nfa_any(n, f.start, f.start);
    qdi_nfa_epsilon(n, f.start, f.end);
    return f;
}

qdi_fragment qdi_fragment_concat(qdi_nfa *n, qdi_fragment a, qdi_fragment b)
{
    qdi_nfa_epsilon(n, a.end, b.start);
    a.end = b.end;
    return a;
}

qdi_fragment qdi_fragment_union(qdi_nfa *n, qdi_fragment a, qdi_fragment b)
{
    uint32_t start = qdi_nfa_state(n), end = qdi_nfa_state(n);
    qdi_nfa_epsilon(n, start, a.start);
    qdi_nfa_epsilon(n, start, b.start);
    qdi_nfa_epsilon(n, a.end, end);
    qdi_nfa_epsilon(n, b.end, end);
    a.start = start;
    a.end = end;
    return a;
}

/* A copy of the states [state0, state1) and edges [edge0, edge1), behind everything. */
static qdi_fragment copy(qdi_nfa *n, qdi_fragment f, uint32_t state1, uint32_t edge1)
{
    uint32_t states = (uint32_t)n->first.n - f.state0, edges = (uint32_t)n->edges.n - f.edge0;
    qdi_fragment c = {f.start + states, f.end + states, f.state0 + states, f.edge0 + edges};
    if (n->rc == 0 && n->edges.n + (edge1 - f.edge0) > QDI_NFA_EDGES_MAX) n->rc = QD_E_TOO_COMPLEX;
    for (uint32_t s = f.state0; s < state1 && n->rc == 0; s++) {
        uint32_t first = n->first.at[s];
        uint32_t at = qdi_nfa_state(n);
        if (n->rc == 0) n->first.at[at] = first ? first + edges : 0;
    }
    for (uint32_t i = f.edge0; i < edge1 && n->rc == 0; i++) {
        qdi_nfa_edge e = n->edges.at[i];
        e.to += states;
        if (e.next) e.next += edges;
        if (qd_vec_push(&n->edges, n->account, e)) n->rc = QD_E_NOMEM;
    }
    return c;
}

qdi_fragment qdi_fragment_repeat(qdi_nfa *n, qdi_fragment a, uint32_t min, uint32_t max)
{
    uint32_t state1 = (uint32_t)n->first.n, edge1 = (uint32_t)n->edges.n;
    if (n->rc) return a;
    if (min > max) {
        qdi_fragment none = qdi_fragment_none(n);
        none.state0 = a.state0;
        none.edge0 = a.edge0;
        return none;
    }
    /* The operand itself stays apart as the pattern of the copies: connecting it would change it.
     */
    qdi_fragment all = {.state0 = a.state0, .edge0 = a.edge0};
    all.start = all.end = qdi_nfa_state(n);
    uint32_t finish = qdi_nfa_state(n);
    uint32_t times = max == UINT32_MAX ? min : max;
    for (uint32_t i = 0; i < times && n->rc == 0; i++) {
        if (i >= min) qdi_nfa_epsilon(n, all.end, finish);
        qdi_fragment c = copy(n, a, state1, edge1);
        qdi_nfa_epsilon(n, all.end, c.start);
        all.end = c.end;
    }
    if (max == UINT32_MAX) {
        qdi_fragment c = copy(n, a, state1, edge1);
        uint32_t loop = qdi_nfa_state(n);
        qdi_nfa_epsilon(n, all.end, loop);
        qdi_nfa_epsilon(n, loop, c.start);
        qdi_nfa_epsilon(n, c.end, loop);
        all.end = loop;
    }
    qdi_nfa_epsilon(n, all.end, finish);
    all.end = finish;
    return all;
}
