/* merge_policy.c: tiered selection of merges. See merge_policy.h. */
#include "engine/merge_policy.h"
#include <math.h>
#include <stdlib.h>

#define SEGMENTS_MAX 4096u

typedef struct sized {
    uint64_t bytes; /* of the live part */
    uint32_t index;
} sized;

static uint64_t live_bytes(const qd_merge_candidate *c)
{
    return c->docs ? (uint64_t)((double)c->bytes * c->live / c->docs) : c->bytes;
}

static int larger_first(const void *a, const void *b)
{
    const sized *x = a, *y = b;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
    return x->index < y->index ? -1 : 1; /* never by address: runs must repeat */
}

static int by_index(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static uint64_t floored(const qd_merge_policy *p, uint64_t bytes)
{
    return bytes < p->floor_bytes ? p->floor_bytes : bytes;
}

/* Free segments, largest first. */
static uint32_t sort_free(const qd_merge_candidate *s, uint32_t n, sized *out)
{
    uint32_t m = 0;
    for (uint32_t i = 0; i < n && m < SEGMENTS_MAX; i++) {
        if (!s[i].merging) out[m++] = (sized){live_bytes(&s[i]), i};
    }
    qsort(out, m, sizeof *out, larger_first);
    qd_assert(m <= n && (m == 0 || out[0].bytes >= out[m - 1].bytes));
    return m;
}

/* How many segments the sizes allow: segments_per_tier on each level of max_at_once-fold growth. */
static uint32_t allowed(const qd_merge_policy *p, const sized *s, uint32_t n, uint64_t total)
{
    uint64_t level = n ? floored(p, s[n - 1].bytes) : p->floor_bytes, left = total;
    double count = 0;
    for (;;) {
        double on_level = (double)left / (double)level;
        if (on_level < p->segments_per_tier || level >= p->max_bytes) {
            count += ceil(on_level);
            break;
        }
        count += p->segments_per_tier;
        left -= p->segments_per_tier * level;
        level = level * p->max_at_once < p->max_bytes ? level * p->max_at_once : p->max_bytes;
    }
    return count < p->segments_per_tier ? p->segments_per_tier : (uint32_t)count;
}

/* Lower is better: skew of the sizes, softly preferring small merges and reclaimed deletions. */
static double score(const qd_merge_policy *p, const qd_merge_candidate *c, const sized *s,
                    uint32_t from, uint32_t count)
{
    uint64_t before = 0, after = 0, after_floored = 0;
    for (uint32_t i = from; i < from + count; i++) {
        before += c[s[i].index].bytes;
        after += s[i].bytes;
        after_floored += floored(p, s[i].bytes);
    }
    double skew = (double)floored(p, s[from].bytes) / (double)after_floored;
    if (count == p->max_at_once && after > p->max_bytes / 2) skew = 1.0 / p->max_at_once;
    return skew * pow((double)after, 0.05) * pow(before ? (double)after / (double)before : 1, 2);
}

static uint32_t emit(const sized *s, uint32_t from, uint32_t count, uint32_t *pick)
{
    for (uint32_t i = 0; i < count; i++) pick[i] = s[from + i].index;
    qd_assert(count <= QD_MERGE_AT_ONCE_MAX);
    qsort(pick, count, sizeof *pick, by_index);
    qd_assert(count < 2 || pick[0] < pick[count - 1]); /* two merges of one would double it */
    return count;
}

/* One segment whose deletions are over the allowed share, the worst first. */
static uint32_t worst_deletions(const qd_merge_policy *p, const qd_merge_candidate *s, uint32_t n,
                                double share, uint32_t *pick)
{
    double worst = share;
    uint32_t at = UINT32_MAX;
    for (uint32_t i = 0; i < n; i++) {
        double d = s[i].docs ? 1.0 - (double)s[i].live / s[i].docs : 0;
        if (!s[i].merging && d > worst && live_bytes(&s[i]) <= p->max_bytes) {
            worst = d;
            at = i;
        }
    }
    if (at == UINT32_MAX) return 0;
    pick[0] = at;
    return 1;
}

/* A segment that is in another order than it should be. */
static uint32_t first_stale(const qd_merge_candidate *s, uint32_t n, uint32_t *pick)
{
    for (uint32_t i = 0; i < n; i++) {
        if (s[i].merging || !s[i].stale) continue;
        pick[0] = i;
        return 1;
    }
    return 0;
}

uint32_t qd_merge_policy_natural(const qd_merge_policy *p, const qd_merge_candidate *s, uint32_t n,
                                 uint32_t *pick)
{
    static const uint32_t at_least = 2;
    sized all[SEGMENTS_MAX];
    uint32_t m = sort_free(s, n, all), skip = 0, max = p->max_at_once;
    if (max > QD_MERGE_AT_ONCE_MAX) max = QD_MERGE_AT_ONCE_MAX;
    uint64_t total = 0;
    while (skip < m && all[skip].bytes > p->max_bytes / 2) skip++; /* too large to take part */
    for (uint32_t i = skip; i < m; i++) total += all[i].bytes;
    const sized *e = all + skip;
    m -= skip;
    if (m > allowed(p, e, m, total)) {
        double best = 0;
        uint32_t best_from = 0, best_count = 0;
        for (uint32_t from = 0; from + at_least <= m; from++) {
            uint64_t sum = 0;
            uint32_t count = 0;
            while (from + count < m && count < max && sum + e[from + count].bytes <= p->max_bytes) {
                sum += e[from + count++].bytes;
            }
            if (count < at_least) continue;
            double sc = score(p, s, e, from, count);
            if (best_count == 0 || sc < best) {
                best = sc;
                best_from = from;
                best_count = count;
            }
        }
        if (best_count) return emit(e, best_from, best_count, pick);
    }
    return worst_deletions(p, s, n, p->deletes_allowed, pick);
}

uint32_t qd_merge_policy_forced(const qd_merge_policy *p, const qd_merge_candidate *s, uint32_t n,
                                uint32_t max_segments, bool only_deletes, uint32_t *pick)
{
    sized all[SEGMENTS_MAX];
    if (only_deletes) return worst_deletions(p, s, n, 0, pick);
    if (n <= max_segments) {
        if (max_segments > 1) return 0;
        uint32_t picked = worst_deletions(p, s, n, 0, pick);
        return picked ? picked : first_stale(s, n, pick);
    }
    uint32_t m = sort_free(s, n, all), want = n - max_segments + 1;
    uint32_t count = want < QD_MERGE_AT_ONCE_MAX ? want : QD_MERGE_AT_ONCE_MAX;
    if (m < 2) return 0;
    if (count > m) count = m;
    return emit(all, m - count, count, pick); /* the smallest ones */
}
