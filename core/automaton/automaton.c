/*
 * automaton.c: the finished automaton: only live states, what is known of its language, stepping.
 */
#include "automaton/automaton.h"
#include "automaton/nfa_int.h"
#include <string.h>

#define MAGIC 0x51446175u

bool qd_automaton_match(const qd_automaton *a, qd_str s)
{
    uint32_t state = a->start;
    for (size_t i = 0; i < s.n && state != QD_AUTOMATON_DEAD; i++)
        state = qd_automaton_step(a, state, (uint8_t)s.p[i]);
    return qd_automaton_accepts(a, state);
}

int qd_automaton_next_byte(const qd_automaton *a, uint32_t state, unsigned b)
{
    if (b > 255) return -1;
    const uint32_t *next = a->next + (size_t)state * a->classes;
    uint32_t c = a->class_of[b];
    if (next[c] != QD_AUTOMATON_DEAD) return (int)b;
    while (++c < a->classes)
        if (next[c] != QD_AUTOMATON_DEAD) return a->first_of[c];
    return -1;
}

void qd_automaton_free(qd_automaton *a)
{
    if (!a) return;
    QD_CHECK(a, MAGIC);
    a->magic = 0;
    qd_free(a->next);
    qd_free(a->flags);
    qd_free((void *)(uintptr_t)a->prefix.p);
    qd_free(a);
}

/* Marks the states from which an accepting one is reached: renumber[s] = 1. Repeats over the edges
 * reversed, found by counting sort. */
static int find_live(const qdi_dfa *d, uint32_t *renumber, qd_account *account)
{
    size_t edges = (size_t)d->states * d->classes;
    uint32_t *starts = qd_calloc(account, ((size_t)d->states + 2) * sizeof *starts);
    uint32_t *from = qd_alloc(account, (edges + 1) * sizeof *from);
    uint32_t *stack = qd_alloc(account, ((size_t)d->states + 1) * sizeof *stack);
    int rc = starts && from && stack ? 0 : QD_E_NOMEM;
    if (rc == 0) {
        for (size_t i = 0; i < edges; i++) starts[d->next[i] + 2]++;
        for (uint32_t s = 0; s < d->states; s++) starts[s + 2] += starts[s + 1];
        for (size_t i = 0; i < edges; i++)
            from[starts[d->next[i] + 1]++] = (uint32_t)(i / d->classes);
        uint32_t top = 0;
        for (uint32_t s = 1; s < d->states; s++)
            if (d->accept[s]) renumber[stack[top++] = s] = 1;
        while (top > 0) {
            uint32_t s = stack[--top];
            for (uint32_t i = starts[s]; i < starts[s + 1]; i++)
                if (!renumber[from[i]]) renumber[stack[top++] = from[i]] = 1;
        }
        renumber[0] = 0;
    }
    qd_free(starts);
    qd_free(from);
    qd_free(stack);
    return rc;
}

/* Copies the live states, numbered from 1 in order. */
static int copy_live(const qdi_dfa *d, uint32_t *renumber, qd_automaton *a, qd_account *account)
{
    uint32_t n = 1;
    for (uint32_t s = 1; s < d->states; s++)
        if (renumber[s]) renumber[s] = n++;
    a->states = n;
    a->classes = d->classes;
    memcpy(a->class_of, d->class_of, 256);
    for (uint32_t b = 256; b-- > 0;) a->first_of[a->class_of[b]] = (uint8_t)b;
    a->next = qd_calloc(account, (size_t)n * d->classes * sizeof *a->next);
    a->flags = qd_calloc(account, n);
    if (!a->next || !a->flags) return QD_E_NOMEM;
    for (uint32_t s = 1; s < d->states; s++) {
        uint32_t to = renumber[s];
        if (!to) continue;
        a->flags[to] = d->accept[s] ? QD_AUTOMATON_ACCEPT : 0;
        for (uint32_t c = 0; c < d->classes; c++)
            a->next[(size_t)to * d->classes + c] = renumber[d->next[(size_t)s * d->classes + c]];
    }
    a->start = d->states > 1 ? renumber[1] : 0;
    return 0;
}

int qdi_automaton_begin(uint32_t states, uint32_t classes, const uint8_t *class_of,
                        qd_account *account, qd_automaton **out)
{
    qd_automaton *a = *out = qd_calloc(account, sizeof *a);
    if (!a) return QD_E_NOMEM;
    a->magic = MAGIC;
    a->states = states;
    a->classes = classes;
    memcpy(a->class_of, class_of, 256);
    for (uint32_t b = 256; b-- > 0;) a->first_of[class_of[b]] = (uint8_t)b;
    a->next = qd_calloc(account, (size_t)states * classes * sizeof *a->next);
    a->flags = qd_calloc(account, states);
    return a->next && a->flags ? 0 : QD_E_NOMEM;
}

/* Does b, behind first in a range of bytes, lead where the byte before it does? Classes are runs.
 */
static bool alike(const qd_automaton *a, uint32_t first, uint32_t b)
{
    return b > first && a->class_of[b] == a->class_of[b - 1];
}

/* Where all of n more bytes of a character lead from state t alike; false: not alike. */
static bool lead_alike(const qd_automaton *a, uint32_t *t, uint32_t n)
{
    for (; n > 0; n--) {
        uint32_t to = qd_automaton_step(a, *t, 0x80);
        for (uint32_t c = 0x81; c <= 0xbf; c++)
            if (!alike(a, 0x80, c) && qd_automaton_step(a, *t, (uint8_t)c) != to) return false;
        *t = to;
    }
    return true;
}

/* Do all code points lead from state s back to it? Then an accepting s accepts all that follows. */
static bool is_universal(const qd_automaton *a, uint32_t s)
{
    static const uint8_t leads[][3] = {/* lead from, to; least second byte */
                                       {0xc2, 0xdf, 0x80}, {0xe0, 0xe0, 0xa0}, {0xe1, 0xec, 0x80},
                                       {0xed, 0xed, 0x80}, {0xee, 0xef, 0x80}, {0xf0, 0xf0, 0x90},
                                       {0xf1, 0xf3, 0x80}, {0xf4, 0xf4, 0x80}};
    for (uint32_t b = 0; b < 0x80; b++)
        if (!alike(a, 0, b) && qd_automaton_step(a, s, (uint8_t)b) != s) return false;
    for (uint32_t i = 0; i < QD_COUNT_OF(leads); i++)
        for (uint32_t lead = leads[i][0]; lead <= leads[i][1]; lead++) {
            if (alike(a, leads[i][0], lead)) continue;
            uint32_t last = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
            uint32_t one = qd_automaton_step(a, s, (uint8_t)lead);
            for (uint32_t b = leads[i][2]; b <= last; b++) {
                if (alike(a, leads[i][2], b)) continue;
                uint32_t t = qd_automaton_step(a, one, (uint8_t)b);
                /* Further bytes are all alike in an automaton over code points that loops. */
                if (!lead_alike(a, &t, lead >= 0xf0 ? 2 : lead >= 0xe0 ? 1 : 0) || t != s)
                    return false;
            }
        }
    return true;
}

/* Is the class of b that byte alone? */
static bool lonely(const qd_automaton *a, uint32_t b)
{
    for (uint32_t x = 0; x < 256; x++)
        if (x != b && a->class_of[x] == a->class_of[b]) return false;
    return true;
}

/* The bytes that every match begins with. */
int qdi_automaton_find_prefix(qd_automaton *a, qd_account *account)
{
    QD_VEC(char) v = {0};
    uint32_t s = a->start;
    while (s && !(a->flags[s] & QD_AUTOMATON_ACCEPT) && v.n < a->states) {
        int b = qd_automaton_next_byte(a, s, 0);
        if (b < 0 || !lonely(a, (uint32_t)b)) break;
        if (qd_automaton_next_byte(a, s, (unsigned)b + 1) >= 0) break;
        if (qd_vec_push(&v, account, (char)b)) {
            qd_vec_fini(&v);
            return QD_E_NOMEM;
        }
        s = qd_automaton_step(a, s, (uint8_t)b);
    }
    a->prefix = (qd_str){v.at, v.n};
    return 0;
}

/* Finite: no live state reaches itself. States leave in topological order, carrying the longest way
 * to them along. */
static int find_longest(qd_automaton *a, qd_account *account)
{
    uint32_t *in = qd_calloc(account, a->states * sizeof *in);
    uint32_t *depth = qd_calloc(account, a->states * sizeof *depth);
    uint32_t *queue = qd_alloc(account, a->states * sizeof *queue), head = 0, n = 0;
    int rc = in && depth && queue ? 0 : QD_E_NOMEM;
    if (rc == 0) {
        /* All live states are reached from the start by construction. */
        for (size_t i = a->classes; i < (size_t)a->states * a->classes; i++)
            if (a->next[i]) in[a->next[i]]++;
        for (uint32_t s = 1; s < a->states; s++)
            if (in[s] == 0) queue[n++] = s;
        while (head < n) {
            uint32_t s = queue[head++];
            if ((a->flags[s] & QD_AUTOMATON_ACCEPT) && depth[s] > a->longest) a->longest = depth[s];
            for (uint32_t c = 0; c < a->classes; c++) {
                uint32_t to = a->next[(size_t)s * a->classes + c];
                if (!to) continue;
                if (depth[to] < depth[s] + 1) depth[to] = depth[s] + 1;
                if (--in[to] == 0) queue[n++] = to;
            }
        }
        a->finite = n == a->states - 1;
        if (!a->finite) a->longest = 0;
    }
    qd_free(in);
    qd_free(depth);
    qd_free(queue);
    return rc;
}

int qdi_automaton_finish(qdi_nfa *n, qdi_fragment f, uint32_t states_max, qd_automaton **out,
                         qd_err *err)
{
    qdi_dfa d = {0};
    qd_account *account = n->account;
    if (n->rc == QD_E_NOMEM) return qd_err_nomem(err, "automaton");
    if (n->rc)
        return qd_err_set(err, n->rc, "Determinizing automaton would require more than %u effort.",
                          states_max);
    int rc = qdi_determinize(n, f, states_max, account, &d, err);
    if (rc) return rc;
    qd_automaton *a = qd_calloc(account, sizeof *a);
    uint32_t *renumber = qd_calloc(account, (size_t)d.states * sizeof *renumber);
    rc = a && renumber ? 0 : QD_E_NOMEM;
    if (a) a->magic = MAGIC;
    if (rc == 0) rc = find_live(&d, renumber, account);
    if (rc == 0) rc = copy_live(&d, renumber, a, account);
    qdi_dfa_fini(&d);
    qd_free(renumber);
    if (rc == 0) {
        for (uint32_t s = 1; s < a->states; s++)
            if ((a->flags[s] & QD_AUTOMATON_ACCEPT) && is_universal(a, s))
                a->flags[s] |= QD_AUTOMATON_ALL;
        rc = qdi_automaton_find_prefix(a, account);
    }
    if (rc == 0) rc = find_longest(a, account);
    if (rc) {
        qd_automaton_free(a);
        return qd_err_nomem(err, "automaton");
    }
    *out = a;
    return 0;
}
