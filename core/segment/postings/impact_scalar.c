/* impact_scalar.c: see impact_int.h. The loops over postings run for every posting written. */
#include "segment/postings/impact_int.h"
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define K1 1.2f
#define B 0.75f

int qdi_impacts_field(qdi_impacts *x, const uint8_t *norms, uint32_t docs, qd_account *account,
                      qd_err *err)
{
    x->account = account;
    x->norms = norms;
    if (!x->best) {
        x->best = qd_alloc(account, sizeof(uint16_t[QD_IMPACT_CLASSES][256]));
        if (!x->best) return qd_err_nomem(err, "impact classes");
    }
    uint64_t count[256] = {0}, sum = 0, n = 0;
    for (uint32_t d = 0; norms && d < docs; d++) count[norms[d]]++;
    for (unsigned i = 1; i < 256; i++) {
        sum += count[i] * qd_norm_length((uint8_t)i);
        n += count[i];
    }
    float average = n ? (float)((double)sum / (double)n) : 1.0f;
    for (unsigned i = 0; i < 256; i++)
        x->inverse[i] = 1.0f / (K1 * ((1 - B) + B * (float)qd_norm_length((uint8_t)i) / average));
    return 0;
}

static void pairs_reset(qdi_pairs *p)
{
    p->freq.n = p->norm.n = p->start.n = p->id.n = 0;
}

void qdi_impacts_term(qdi_impacts *x)
{
    pairs_reset(&x->blocks);
    pairs_reset(&x->ranges);
    memset(x->now_range, 0, sizeof x->now_range);
    x->range = UINT32_MAX;
    x->failed = false;
}

/* Begins a set, with room for all its pairs. */
static bool begin_set(qdi_impacts *x, qdi_pairs *to, uint32_t id)
{
    qd_account *a = x->account;
    x->failed |= qd_vec_reserve(&to->freq, a, 256) || qd_vec_reserve(&to->norm, a, 256) ||
                 qd_vec_push(&to->start, a, (uint32_t)to->freq.n) || qd_vec_push(&to->id, a, id);
    return !x->failed;
}

#define LANES 8u
/* A bit for each of LANES frequencies that is above top. */
#if defined(__SSE2__)
static inline uint32_t above(const uint16_t *best, uint32_t top)
{
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)best);
    __m128i more = _mm_subs_epu16(v, _mm_set1_epi16((short)top));
    __m128i none = _mm_cmpeq_epi16(more, _mm_setzero_si128());
    return ~(uint32_t)_mm_movemask_epi8(_mm_packs_epi16(none, none)) & 0xff;
}
#else
static inline uint32_t above(const uint16_t *best, uint32_t top)
{
    uint32_t bits = 0;
    for (uint32_t i = 0; i < LANES; i++) bits |= (uint32_t)(best[i] > top) << i;
    return bits;
}
#endif

/* Appends the Pareto set of the greatest frequencies by norm, in order of norms; each pair has a
 * greater frequency than those of shorter documents. */
static void emit(qdi_impacts *x, qdi_pairs *to, const uint16_t *best, uint32_t id)
{
    uint32_t top = 0;
    if (!begin_set(x, to, id)) return;
    for (uint32_t from = 0; from < 256; from += LANES)
        for (uint32_t m = above(best + from, top); m; m = above(best + from, top)) {
            uint32_t norm = from + (uint32_t)__builtin_ctz(m);
            top = best[norm];
            to->freq.at[to->freq.n++] = (uint16_t)top;
            to->norm.at[to->norm.n++] = (uint8_t)norm;
        }
}

/* Without a branch for each posting. */
static inline void add(uint16_t *best, uint32_t norm, uint32_t freq)
{
    freq = freq > QD_FREQ_SATURATED ? QD_FREQ_SATURATED : freq;
    best[norm] = (uint16_t)(freq > best[norm] ? freq : best[norm]);
}

void qdi_impacts_block(qdi_impacts *x, const uint32_t *docs, const uint32_t *freqs, uint32_t n)
{
    uint16_t *best = x->now_block;
    const uint8_t *norms = x->norms;
    memset(best, 0, sizeof x->now_block);
    for (uint32_t i = 0; i < n; i++) add(best, norms ? norms[docs[i]] : 1, freqs[i]);
    emit(x, &x->blocks, best, (uint32_t)x->blocks.id.n);
}

static void end_range(qdi_impacts *x)
{
    if (x->range == UINT32_MAX) return;
    emit(x, &x->ranges, x->now_range, x->range);
    memset(x->now_range, 0, sizeof x->now_range);
    x->range = UINT32_MAX;
}

void qdi_impacts_ranges(qdi_impacts *x, const uint32_t *docs, const uint32_t *freqs, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t range = docs[i] >> QD_RANGE_LOG;
        if (range != x->range) {
            end_range(x);
            x->range = range;
        }
        add(x->now_range, x->norms ? x->norms[docs[i]] : 1, freqs[i]);
    }
}

/* Best impact of a set of pairs. */
static float impact(const qdi_impacts *x, const qdi_pairs *p, size_t from, size_t to)
{
    float best = 0;
    for (size_t i = from; i < to; i++) {
        float s = 1.0f - 1.0f / (1.0f + (float)p->freq.at[i] * x->inverse[p->norm.at[i]]);
        if (s > best) best = s;
    }
    return best;
}

static void bounds(const qdi_impacts *x, const qdi_pairs *p, float *lo, float *hi)
{
    for (size_t i = 0; i < p->id.n; i++) {
        float s = impact(x, p, p->start.at[i], p->start.at[i + 1]);
        if (s < *lo) *lo = s;
        if (s > *hi) *hi = s;
    }
}

static void classify(qdi_impacts *x, const qdi_pairs *p, float lo, float hi, uint8_t *cls)
{
    for (size_t i = 0; i < p->id.n; i++) {
        uint32_t from = p->start.at[i], to = p->start.at[i + 1];
        float s = impact(x, p, from, to);
        uint32_t c = 1;
        if (hi > lo) c += (uint32_t)((s - lo) / (hi - lo) * (QD_IMPACT_CLASSES - 2) + 0.5f);
        qd_dassert(c < QD_IMPACT_CLASSES);
        cls[p->id.at[i]] = (uint8_t)c;
        uint16_t *best = x->best[c];
        if (!(x->used >> c & 1)) memset(best, 0, sizeof x->best[c]);
        x->used |= 1ull << c;
        for (uint32_t j = from; j < to; j++) {
            uint16_t freq = p->freq.at[j], norm = p->norm.at[j];
            best[norm] = freq > best[norm] ? freq : best[norm];
        }
    }
}

int qdi_impacts_table(qdi_impacts *x, uint8_t *cls, uint8_t *range_cls, qdi_impact_table *out,
                      qd_err *err)
{
    qd_account *a = x->account;
    end_range(x);
    if (x->failed || qd_vec_push(&x->blocks.start, a, (uint32_t)x->blocks.freq.n) ||
        qd_vec_push(&x->ranges.start, a, (uint32_t)x->ranges.freq.n))
        return qd_err_nomem(err, "impact classes");
    float lo = 1.0f, hi = 0.0f;
    bounds(x, &x->blocks, &lo, &hi);
    if (range_cls) bounds(x, &x->ranges, &lo, &hi);
    x->used = 0;
    classify(x, &x->blocks, lo, hi, cls);
    if (range_cls) classify(x, &x->ranges, lo, hi, range_cls);
    /* the blocks' sets are done with: their room takes the classes' */
    qdi_pairs *to = &x->blocks;
    pairs_reset(to);
    out->nlevels = 0;
    for (uint32_t c = 1; c < QD_IMPACT_CLASSES; c++) {
        if (!(x->used >> c & 1)) continue;
        size_t before = to->freq.n;
        emit(x, to, x->best[c], c);
        if (x->failed) return qd_err_nomem(err, "impact classes");
        out->level_cls[out->nlevels] = (uint8_t)c;
        out->level_pairs[out->nlevels++] = (uint8_t)(to->freq.n - before);
    }
    out->npairs = (uint32_t)to->freq.n;
    out->pair_freq = to->freq.at;
    out->pair_norm = to->norm.at;
    return 0;
}

static void pairs_fini(qdi_pairs *p)
{
    qd_vec_fini(&p->freq);
    qd_vec_fini(&p->norm);
    qd_vec_fini(&p->start);
    qd_vec_fini(&p->id);
}

void qdi_impacts_fini(qdi_impacts *x)
{
    pairs_fini(&x->blocks);
    pairs_fini(&x->ranges);
    qd_free(x->best);
    x->best = NULL;
}
