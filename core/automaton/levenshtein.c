/*
 * levenshtein.c: fuzzy automata of ASCII words, made deterministic over code points with sets of
 * states as bits; bytes come last. Others are built by fragments (patterns.c).
 *
 * State (i, e): i characters of the word are read, with e edits. Bit i of r[e] stands for it; bit i
 * of t[e] for a swap half done: character i + 1 was read, i is awaited. Leaving characters out is
 * added before a step, not kept; states that others with fewer edits make superfluous are dropped.
 */
#include "automaton/nfa_int.h"
#include "base/hash.h"
#include "base/str.h"
#include <string.h>

#define EDITS_MAX 2u
#define TAIL                                                                                       \
    7u /* states of an unfinished character before each state that any character leads to */

typedef struct points {
    uint64_t r[EDITS_MAX + 1], t[EDITS_MAX + 1];
} points;

typedef struct lev {
    qd_account *account;
    uint32_t count, edits, letters; /* of the word behind the prefix; different ones */
    uint64_t all, differ;   /* bits 0 to count; characters unlike the next one, 0: no swaps */
    uint64_t mask[128];     /* by letter: where it stands; the last one is any other */
    uint8_t letter_of[128]; /* by byte */
    QD_VEC(points) sets;
    QD_VEC(uint32_t) to; /* by set and letter: set + 1, 0: dead */
    uint32_t *slots, slot_mask;
} lev;

static points step(const lev *x, const points *s, uint64_t m)
{
    points n = {0};
    uint64_t r[EDITS_MAX + 1], cover = 0;
    for (uint32_t e = 0; e <= x->edits; e++) {
        r[e] = s->r[e] | (e ? r[e - 1] << 1 & x->all : 0);
        n.r[e] = (r[e] & m) << 1;
        if (e == 0) continue;
        n.r[e] |= r[e - 1] | (r[e - 1] << 1 & x->all) | (s->t[e] & m) << 2;
        n.t[e] = r[e - 1] & m >> 1 & x->differ & ~n.t[e - 1];
    }
    for (uint32_t e = 0; e <= x->edits; e++) { /* one edit covers a place to either side */
        uint64_t now = n.r[e];
        cover |= cover << 1 | cover >> 1;
        n.r[e] &= ~cover;
        cover |= now;
    }
    return n;
}

static bool accepts(const lev *x, const points *s)
{
    uint64_t r = 0;
    for (uint32_t e = 0; e <= x->edits; e++) r = (r << 1 | s->r[e]) | r;
    return r >> x->count & 1;
}

static int grow_slots(lev *x)
{
    uint32_t size = x->slot_mask ? (x->slot_mask + 1) * 2 : 256;
    uint32_t *slots = qd_calloc(x->account, (size_t)size * sizeof *slots);
    if (!slots) return QD_E_NOMEM;
    for (uint32_t i = 0; i < x->sets.n; i++) {
        uint32_t at = (uint32_t)qd_xxh3(&x->sets.at[i], sizeof(points)) & (size - 1);
        while (slots[at]) at = (at + 1) & (size - 1);
        slots[at] = i + 1;
    }
    qd_free(x->slots);
    x->slots = slots;
    x->slot_mask = size - 1;
    return 0;
}

static int intern(lev *x, const points *s, uint32_t *out)
{
    static const points none;
    *out = 0;
    if (memcmp(s, &none, sizeof none) == 0) return 0;
    if (x->sets.n >= x->slot_mask / 2 && grow_slots(x)) return QD_E_NOMEM;
    uint32_t at = (uint32_t)qd_xxh3(s, sizeof *s) & x->slot_mask;
    for (; x->slots[at]; at = (at + 1) & x->slot_mask)
        if (memcmp(&x->sets.at[x->slots[at] - 1], s, sizeof *s) == 0) {
            *out = x->slots[at];
            return 0;
        }
    if (qd_vec_push(&x->sets, x->account, *s)) return QD_E_NOMEM;
    *out = x->slots[at] = (uint32_t)x->sets.n;
    return 0;
}

static int determinize(lev *x)
{
    uint32_t to;
    int rc = intern(x, &(points){.r = {1}}, &to);
    for (uint32_t i = 0; i < x->sets.n && rc == 0; i++) {
        points from = x->sets.at[i];
        for (uint32_t l = 0; l <= x->letters && rc == 0; l++) {
            points s = step(x, &from, x->mask[l]);
            rc = intern(x, &s, &to);
            if (rc == 0 && qd_vec_push(&x->to, x->account, to)) rc = QD_E_NOMEM;
        }
    }
    return rc;
}

/* Classes of bytes: letters of the term, what lies between, the parts of UTF-8. */
static uint32_t make_classes(qd_str term, uint8_t *class_of)
{
    static const uint8_t parts[] = {0x80, 0x90, 0xa0, 0xc0, 0xc2, 0xe0, 0xe1,
                                    0xed, 0xee, 0xf0, 0xf1, 0xf4, 0xf5};
    bool cut[256] = {false};
    uint32_t classes = 1;
    for (size_t i = 0; i < term.n; i++)
        cut[(uint8_t)term.p[i]] = cut[(uint8_t)term.p[i] + 1] = true;
    for (size_t i = 0; i < sizeof parts; i++) cut[parts[i]] = true;
    for (uint32_t b = 0; b < 256; b++) {
        classes += b && cut[b];
        class_of[b] = (uint8_t)(classes - 1);
    }
    return classes;
}

static void edge(qd_automaton *a, uint32_t from, uint8_t lo, uint8_t hi, uint32_t to)
{
    for (uint32_t c = a->class_of[lo]; c <= a->class_of[hi]; c++)
        a->next[(size_t)from * a->classes + c] = to;
}

/* Within a character that leads on to one state: see qdi_nfa_any. */
enum { ONE, TWO, THREE, E0, ED, F0, F4 };

static void tail(qd_automaton *a, uint32_t t, uint32_t to)
{
    edge(a, t + ONE, 0x80, 0xbf, to);
    edge(a, t + TWO, 0x80, 0xbf, t + ONE);
    edge(a, t + THREE, 0x80, 0xbf, t + TWO);
    edge(a, t + E0, 0xa0, 0xbf, t + ONE);
    edge(a, t + ED, 0x80, 0x9f, t + ONE);
    edge(a, t + F0, 0x90, 0xbf, t + TWO);
    edge(a, t + F4, 0x80, 0x8f, t + TWO);
}

static void leads(qd_automaton *a, uint32_t from, uint32_t t)
{
    edge(a, from, 0xc2, 0xdf, t + ONE);
    edge(a, from, 0xe0, 0xe0, t + E0);
    edge(a, from, 0xe1, 0xec, t + TWO);
    edge(a, from, 0xed, 0xed, t + ED);
    edge(a, from, 0xee, 0xef, t + TWO);
    edge(a, from, 0xf0, 0xf0, t + F0);
    edge(a, from, 0xf1, 0xf3, t + THREE);
    edge(a, from, 0xf4, 0xf4, t + F4);
}

/* States: the prefix's line, the sets, tails. */
static int spell(const lev *x, qd_str term, uint32_t prefix, qd_automaton **out)
{
    uint32_t sets = (uint32_t)x->sets.n, letters = x->letters + 1, tails = 0, base = prefix;
    uint32_t *tail_of = qd_calloc(x->account, (sets + 1) * sizeof *tail_of);
    uint8_t class_of[256];
    if (!tail_of) return QD_E_NOMEM;
    for (uint32_t i = 0; i < sets; i++) {
        uint32_t other = x->to.at[i * letters + x->letters];
        if (other && !tail_of[other]) tail_of[other] = 1 + prefix + sets + TAIL * tails++;
    }
    uint32_t classes = make_classes(term, class_of);
    int rc =
        qdi_automaton_begin(1 + prefix + sets + TAIL * tails, classes, class_of, x->account, out);
    qd_automaton *a = *out;
    for (uint32_t i = 0; i < prefix && rc == 0; i++)
        edge(a, 1 + i, (uint8_t)term.p[i], (uint8_t)term.p[i], 2 + i);
    for (uint32_t i = 0; i < sets && rc == 0; i++) {
        uint32_t from = base + i + 1;
        for (uint32_t c = 0; c < class_of[0x80]; c++) {
            uint32_t to = x->to.at[i * letters + x->letter_of[a->first_of[c]]];
            a->next[(size_t)from * classes + c] = to ? base + to : 0;
        }
        uint32_t other = x->to.at[i * letters + x->letters];
        if (other) leads(a, from, tail_of[other]);
        if (accepts(x, &x->sets.at[i])) a->flags[from] = QD_AUTOMATON_ACCEPT;
        if (tail_of[i + 1]) tail(a, tail_of[i + 1], from);
    }
    qd_free(tail_of);
    if (rc) return rc;
    a->start = 1;
    a->finite = true;
    a->longest = (uint32_t)term.n + 4 * x->edits; /* that many characters of four bytes more */
    return qdi_automaton_find_prefix(a, x->account);
}

bool qdi_levenshtein_fits(qd_str term, uint32_t edits)
{
    if (edits == 0 || edits > EDITS_MAX || term.n > QDI_LEVENSHTEIN_MAX) return false;
    for (size_t i = 0; i < term.n; i++)
        if ((uint8_t)term.p[i] >= 0x80) return false;
    return true;
}

int qdi_levenshtein(qd_str term, uint32_t edits, uint32_t prefix, bool swaps, qd_account *account,
                    qd_automaton **out, qd_err *err)
{
    qd_str word = qd_str_sub(term, prefix, term.n);
    lev x = {.account = account, .count = (uint32_t)word.n, .edits = edits};
    qd_automaton *a = NULL;
    x.all = (2ull << word.n) - 1;
    memset(x.letter_of, 0xff, sizeof x.letter_of);
    for (uint32_t i = 0; i < word.n; i++) {
        uint8_t *l = &x.letter_of[(uint8_t)word.p[i]];
        if (*l == 0xff) *l = (uint8_t)x.letters++;
        x.mask[*l] |= 1ull << i;
        if (swaps && i + 1 < word.n && word.p[i] != word.p[i + 1]) x.differ |= 1ull << i;
    }
    for (uint32_t b = 0; b < 128; b++)
        if (x.letter_of[b] == 0xff) x.letter_of[b] = (uint8_t)x.letters;
    int rc = determinize(&x);
    if (rc == 0) rc = spell(&x, term, prefix, &a);
    qd_vec_fini(&x.sets);
    qd_vec_fini(&x.to);
    qd_free(x.slots);
    if (rc) {
        qd_automaton_free(a);
        return qd_err_nomem(err, "automaton");
    }
    *out = a;
    return 0;
}
