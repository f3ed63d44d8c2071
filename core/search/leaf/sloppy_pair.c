/*
 * sloppy_pair.c: how often a sloppy phrase of two different words occurs in one document.
 *
 * phrase.c's steps, with what two slots leave of them: the lesser slot moves as far as the other
 * one; where it stops is a match if near enough; then the two change places.
 */
#include "search/leaf/window_int.h"

/* Lets the slot at x move up to `to`; what it stops at into *x. False: it has no further one. */
static inline bool run_to(const uint32_t **p, const uint32_t *end, uint32_t to, uint32_t *x)
{
    while (*p < end && **p <= to) *x = *(*p)++;
    return *p < end;
}

float qdi_phrase_sloppy_pair(const uint32_t *a, uint32_t na, const uint32_t *b, uint32_t nb,
                             uint32_t slop, bool any)
{
    const uint32_t *p = a, *pe = a + na, *q = b, *qe = b + nb;
    if (*b < *a) { /* a is the first slot: it goes first from the same place */
        p = b, pe = b + nb, q = a, qe = a + na;
    }
    float freq = 0;
    uint32_t x = *p++, y = *q++;
    for (;;) {
        bool more = run_to(&p, pe, y, &x);
        if (y - x <= slop) freq += 1.0f / (1.0f + (float)(y - x));
        if (!more || (any && freq > 0)) return freq;
        x = *p++;
        more = run_to(&q, qe, x, &y);
        if (x - y <= slop) freq += 1.0f / (1.0f + (float)(x - y));
        if (!more || (any && freq > 0)) return freq;
        y = *q++;
    }
}
