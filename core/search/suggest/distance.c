/*
 * distance.c: how alike two words are: edits (Damerau 1964, Levenshtein 1966), Jaro and Winkler
 * (Winkler 1990), n-grams (Kondrak 2005), as Lucene's package of spell checking scales them.
 */
#include "base/utf8.h"
#include "search/suggest/spell.h"

#define POINTS_MAX 4096u

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* Edits between two words; swaps: of neighbours count one. row has room for 3 * (nb + 1). */
static uint32_t edits(const uint32_t *a, uint32_t na, const uint32_t *b, uint32_t nb, bool swaps,
                      uint32_t *row)
{
    uint32_t *before = row, *last = row + nb + 1, *now = row + 2 * (nb + 1);
    for (uint32_t j = 0; j <= nb; j++) last[j] = j;
    for (uint32_t i = 1; i <= na; i++) {
        now[0] = i;
        for (uint32_t j = 1; j <= nb; j++) {
            uint32_t cost = a[i - 1] != b[j - 1];
            now[j] = least(least(last[j], now[j - 1]) + 1, last[j - 1] + cost);
            if (swaps && i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = least(now[j], before[j - 2] + cost);
        }
        uint32_t *free = before;
        before = last;
        last = now;
        now = free;
    }
    return last[nb];
}

static float jaro_winkler(const uint32_t *a, uint32_t na, const uint32_t *b, uint32_t nb,
                          uint32_t *flags)
{
    if (na > nb) {
        const uint32_t *t = a;
        uint32_t n = na;
        a = b, b = t;
        na = nb, nb = n;
    }
    uint32_t range = nb / 2 > 1 ? nb / 2 - 1 : 0, matches = 0, swaps = 0, prefix = 0;
    uint32_t *of_a = flags, *of_b = flags + na;
    memset(flags, 0, ((size_t)na + nb) * sizeof *flags);
    for (uint32_t i = 0; i < na; i++) {
        uint32_t from = i > range ? i - range : 0, to = least(i + range + 1, nb);
        for (uint32_t j = from; j < to; j++) {
            if (of_b[j] || a[i] != b[j]) continue;
            of_a[i] = of_b[j] = 1;
            matches++;
            break;
        }
    }
    if (!matches) return 0;
    for (uint32_t i = 0, j = 0; i < na; i++) {
        if (!of_a[i]) continue;
        while (!of_b[j]) j++;
        swaps += a[i] != b[j++];
    }
    while (prefix < na && a[prefix] == b[prefix]) prefix++;
    float m = (float)matches;
    float j = (m / (float)na + m / (float)nb + (m - (float)(swaps / 2)) / m) / 3.0f;
    if (j < 0.7f) return j;
    float scale = 1.0f / (float)nb < 0.1f ? 1.0f / (float)nb : 0.1f;
    return j + scale * (float)prefix * (1 - j);
}

/* Bigrams: a character before the first one is there in neither word. */
static float bigrams(const uint32_t *a, uint32_t na, const uint32_t *b, uint32_t nb, float *row)
{
    float *last = row, *now = row + na + 1;
    if (!na || !nb) return na == nb;
    if (na < 2 || nb < 2) {
        uint32_t same = 0, n = least(na, nb);
        for (uint32_t i = 0; i < n; i++) same += a[i] == b[i];
        return (float)same / (float)(na > nb ? na : nb);
    }
    for (uint32_t i = 0; i <= na; i++) last[i] = (float)i;
    for (uint32_t j = 1; j <= nb; j++) {
        now[0] = (float)j;
        for (uint32_t i = 1; i <= na; i++) {
            uint32_t tn = 2, cost = 0;
            for (uint32_t k = 0; k < 2; k++) { /* the gram that ends here */
                uint32_t x = i + k >= 2 ? a[i + k - 2] : 0, y = j + k >= 2 ? b[j + k - 2] : 0;
                if (x != y)
                    cost++;
                else if (x == 0)
                    tn--;
            }
            float ec = (float)cost / (float)tn;
            float best = last[i] + 1 < now[i - 1] + 1 ? last[i] + 1 : now[i - 1] + 1;
            now[i] = last[i - 1] + ec < best ? last[i - 1] + ec : best;
        }
        float *t = last;
        last = now;
        now = t;
    }
    return 1.0f - last[na] / (float)(na > nb ? na : nb);
}

static uint32_t points(qd_str s, uint32_t *out)
{
    uint32_t n = 0;
    for (size_t i = 0; i < s.n && n < POINTS_MAX;) {
        uint32_t c = (uint8_t)s.p[i++], more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc0 ? 1 : 0;
        c = more == 3 ? c & 7 : more == 2 ? c & 15 : more == 1 ? c & 31 : c;
        for (; more && i < s.n; more--) c = c << 6 | ((uint8_t)s.p[i++] & 0x3f);
        out[n++] = c;
    }
    return n;
}

int qd_spell_similarity(qd_str a, qd_str b, qd_spell_distance kind, qd_arena *arena, float *out,
                        qd_err *err)
{
    qd_arena_mark mark = qd_arena_mark_get(arena);
    uint32_t *x = qd_arena_alloc(arena, (a.n + b.n + 2) * sizeof *x);
    uint32_t *row = qd_arena_alloc(arena, 3 * (a.n + b.n + 2) * sizeof *row);
    if (!x || !row) return qd_err_nomem(err, "suggestions");
    uint32_t na = points(a, x), *y = x + na, nb = points(b, y);
    uint32_t shorter = least(na, nb), longer = na + nb - shorter;
    if (kind == QD_SPELL_JARO_WINKLER)
        *out = jaro_winkler(x, na, y, nb, row);
    else if (kind == QD_SPELL_NGRAM)
        *out = bigrams(x, na, y, nb, (float *)(void *)row);
    else if (kind == QD_SPELL_LEVENSHTEIN)
        *out = longer ? 1.0f - (float)edits(x, na, y, nb, false, row) / (float)longer : 1;
    else
        *out = shorter ? 1.0f - (float)edits(x, na, y, nb, true, row) / (float)shorter : 0;
    qd_arena_mark_release(arena, mark);
    return 0;
}
