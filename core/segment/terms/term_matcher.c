/*
 * term_matcher.c: the ranges that have a term, of many. Every term of a wildcard pattern holds the
 * pattern's texts; a piece (gram) of one to three bytes of them stands for the pattern in a hash
 * table. The pieces of a term then name the few patterns that it is compared with.
 *
 * Long pieces are rarer than short ones, and of a pattern's longest pieces that one is taken which
 * stands for the fewest patterns so far: a beginning that all have in common is not taken by many.
 */
#include "segment/terms/term_block_int.h"

#define GRAM 3u
#define NONE UINT32_MAX

/* A piece and the ranges that it stands for. */
typedef struct slot {
    uint32_t gram; /* its bytes, and its length above them; 0: free */
    uint32_t head; /* number of the first range */
    uint32_t n;
} slot;

struct qd_term_matcher {
    const qd_term_range *const *ranges;
    uint32_t n;
    qdi_term_parts *parts; /* by range */
    uint32_t *next;        /* by range: the next one of its slot, NONE at the end */
    uint32_t *seen;        /* by range: the last text that it was compared with */
    uint32_t stamp;        /* number of the text at hand */
    uint32_t always;       /* first of the ranges without any piece, NONE: there is none */
    slot *slots;
    uint32_t mask;
    uint64_t one[4];          /* bytes that are pieces */
    uint64_t two[1u << 10];   /* pairs that are */
    uint64_t three[1u << 10]; /* hashes of 16 bits of longer ones */
};

static uint32_t gram_of(const char *p, uint32_t n)
{
    uint32_t g = n << 24;
    for (uint32_t i = 0; i < n; i++) g |= (uint32_t)(uint8_t)p[i] << 8 * i;
    return g;
}

static inline uint32_t mix(uint32_t gram)
{
    gram *= 0x9e3779b1u;
    return gram ^ gram >> 15;
}

/* The slot of a piece, or the free one where it would stand. */
static slot *slot_of(const qd_term_matcher *m, uint32_t gram)
{
    uint32_t at = mix(gram) & m->mask;
    while (m->slots[at].gram && m->slots[at].gram != gram) at = (at + 1) & m->mask;
    return &m->slots[at];
}

/* The best piece of a text so far: the longest one, then that with the fewest ranges. */
typedef struct choice {
    uint32_t gram, length, load;
} choice;

static void choose_from(const qd_term_matcher *m, qd_str text, choice *best)
{
    for (uint32_t n = GRAM; n > 0 && n >= best->length; n--)
        for (size_t i = 0; i + n <= text.n; i++) {
            if (memchr(text.p + i, QD_TERM_ANY, n)) continue;
            uint32_t gram = gram_of(text.p + i, n);
            const slot *s = slot_of(m, gram);
            uint32_t load = s->gram ? s->n : 0;
            if (n == best->length && load >= best->load) continue;
            *best = (choice){gram, n, load};
        }
}

static void mark(qd_term_matcher *m, uint32_t gram)
{
    uint32_t bytes = gram & 0xffffffu, n = gram >> 24;
    if (n == 1) m->one[bytes >> 6] |= 1ull << (bytes & 63);
    if (n == 2) m->two[bytes >> 6] |= 1ull << (bytes & 63);
    if (n == 3) m->three[mix(gram) >> 22] |= 1ull << (mix(gram) >> 16 & 63);
}

static void place(qd_term_matcher *m, uint32_t i)
{
    const qd_term_range *r = m->ranges[i];
    choice best = {0};
    choose_from(m, r->prefix, &best);
    choose_from(m, r->head, &best);
    choose_from(m, r->suffix, &best);
    for (uint32_t k = 0; k < r->ninner; k++) choose_from(m, r->inner[k], &best);
    if (!best.length) {
        m->next[i] = m->always;
        m->always = i;
        return;
    }
    slot *s = slot_of(m, best.gram);
    if (!s->gram) *s = (slot){best.gram, NONE, 0};
    m->next[i] = s->head;
    s->head = i;
    s->n++;
    mark(m, best.gram);
}

int qd_term_matcher_make(const qd_term_range *const *ranges, uint32_t n, qd_arena *arena,
                         qd_term_matcher **out, qd_err *err)
{
    uint32_t slots = 16;
    while (slots < 2 * (uint64_t)n) slots *= 2;
    qd_term_matcher *m = qd_arena_calloc(arena, sizeof *m);
    if (!m) return qd_err_nomem(err, "walk over terms");
    m->ranges = ranges;
    m->n = n;
    m->always = NONE;
    m->mask = slots - 1;
    m->slots = qd_arena_calloc(arena, slots * sizeof *m->slots);
    m->parts = qd_arena_alloc(arena, ((size_t)n + 1) * sizeof *m->parts);
    m->next = qd_arena_alloc(arena, ((size_t)n + 1) * sizeof *m->next);
    m->seen = qd_arena_calloc(arena, ((size_t)n + 1) * sizeof *m->seen);
    if (!m->slots || !m->parts || !m->next || !m->seen) return qd_err_nomem(err, "walk over terms");
    for (uint32_t i = 0; i < n; i++) {
        qd_assert(!ranges[i]->automaton);
        m->parts[i] = qdi_term_parts_of(ranges[i]);
        place(m, i);
    }
    *out = m;
    return 0;
}

/* Compares text with the ranges of a list that it was not compared with yet. */
static uint32_t compare(qd_term_matcher *m, uint32_t i, qd_str text, uint32_t *out, uint32_t found,
                        uint64_t *cost)
{
    for (; i != NONE; i = m->next[i]) {
        if (m->seen[i] == m->stamp) continue;
        m->seen[i] = m->stamp;
        *cost += 1 + text.n / QDI_WALK_BYTES;
        if (qdi_term_between(m->ranges[i], &m->parts[i], text)) out[found++] = i;
    }
    return found;
}

uint32_t qd_term_matcher_find(qd_term_matcher *m, qd_str text, uint32_t *out, uint64_t *cost)
{
    if (++m->stamp == 0) { /* marks of as many texts ago would be taken for this one's */
        memset(m->seen, 0, m->n * sizeof *m->seen);
        m->stamp = 1;
    }
    uint32_t found = compare(m, m->always, text, out, 0, cost);
    const uint8_t *p = (const uint8_t *)text.p;
    for (size_t i = 0; i < text.n; i++) {
        uint32_t b = p[i];
        if (m->one[b >> 6] >> (b & 63) & 1)
            found = compare(m, slot_of(m, 1u << 24 | b)->head, text, out, found, cost);
        if (i + 1 == text.n) continue;
        b |= (uint32_t)p[i + 1] << 8;
        if (m->two[b >> 6] >> (b & 63) & 1)
            found = compare(m, slot_of(m, 2u << 24 | b)->head, text, out, found, cost);
        if (i + 2 == text.n) continue;
        b |= (uint32_t)p[i + 2] << 16 | 3u << 24;
        uint32_t h = mix(b);
        if (!(m->three[h >> 22] >> (h >> 16 & 63) & 1)) continue;
        const slot *s = slot_of(m, b);
        if (s->gram) found = compare(m, s->head, text, out, found, cost);
    }
    return found;
}
