/*
 * hll.c: HyperLogLog++; see hll_int.h.
 */
#include "aggs/sketch/hll_int.h"
#include "base/assert.h"
#include "base/bits.h"
#include <math.h>
#include <string.h>

#define P2 25u /* precision of the encodings */

uint8_t qdi_aggs_hll_precision(int64_t threshold)
{
    if (threshold > 1 << 20) threshold = 1 << 20;
    int64_t entries = (int64_t)ceil((double)threshold / 0.75);
    unsigned bits = qd_bits_of((uint64_t)entries * 4);
    return (uint8_t)(bits < 4 ? 4 : bits > 18 ? 18 : bits);
}

/* 25 bits of index; where the bits between p and 25 are all zero, the rank of the rest too. */
static uint32_t encode(uint64_t hash, uint8_t p)
{
    uint32_t e = (uint32_t)(hash >> (64 - P2)) << 1;
    if (e & ((1u << (P2 - p)) - 1) << 1) return e;
    uint64_t rest = hash << P2;
    uint32_t rank = rest ? (uint32_t)__builtin_clzll(rest) + 1 : 64 - P2 + 1;
    return (uint32_t)(hash >> (64 - p)) << 7 | rank << 1 | 1;
}

static void decode(uint32_t e, uint8_t p, uint32_t *index, uint8_t *rank)
{
    if (e & 1) {
        *index = e >> 7;
        *rank = (uint8_t)((e >> 1 & 0x3f) + (P2 - p));
        return;
    }
    uint32_t bits = e >> 1;
    *index = bits >> (P2 - p);
    uint32_t rest = bits & ((1u << (P2 - p)) - 1);
    *rank = (uint8_t)(__builtin_clz(rest) - (32 - (P2 - p)) + 1);
}

static void put_register(qdi_hll *h, uint32_t index, uint8_t rank)
{
    if (h->registers[index] < rank) h->registers[index] = rank;
}

/* Encodings kept at most: their set takes half of what the registers would. */
static uint32_t most(const qdi_hll *h)
{
    uint32_t slots = (1u << h->p) / 4;
    return slots / 4 * 3;
}

static int to_registers(qdi_hll *h, qd_account *account)
{
    h->registers = qd_calloc(account, (size_t)1 << h->p);
    if (!h->registers) return QD_E_NOMEM;
    for (uint32_t i = 0; i < h->cap; i++) {
        uint32_t index;
        uint8_t rank;
        if (!h->set[i]) continue;
        decode(h->set[i] - 1, h->p, &index, &rank);
        put_register(h, index, rank);
    }
    qd_free(h->set);
    h->set = NULL;
    h->n = h->cap = 0;
    return 0;
}

static bool put_slot(uint32_t *set, uint32_t cap, uint32_t e)
{
    uint32_t at = e * 0x9e3779b1u;
    for (at = (at ^ at >> 15) & (cap - 1); set[at]; at = (at + 1) & (cap - 1))
        if (set[at] == e + 1) return false;
    set[at] = e + 1;
    return true;
}

static int set_grow(qdi_hll *h, qd_account *account)
{
    uint32_t cap = h->cap ? h->cap * 2 : 16;
    uint32_t *set = qd_calloc(account, cap * sizeof *set);
    if (!set) return QD_E_NOMEM;
    for (uint32_t i = 0; i < h->cap; i++)
        if (h->set[i]) put_slot(set, cap, h->set[i] - 1);
    qd_free(h->set);
    h->set = set;
    h->cap = cap;
    return 0;
}

static int add_encoded(qdi_hll *h, uint32_t e, qd_account *account)
{
    if (h->registers) {
        uint32_t index;
        uint8_t rank;
        decode(e, h->p, &index, &rank);
        put_register(h, index, rank);
        return 0;
    }
    if (h->n * 8ull >= h->cap * 7ull) {
        int rc = set_grow(h, account);
        if (rc) return rc;
    }
    h->n += put_slot(h->set, h->cap, e);
    return h->n > most(h) ? to_registers(h, account) : 0;
}

int qdi_aggs_hll_add(qdi_hll *h, uint64_t hash, qd_account *account)
{
    if (h->registers) {
        uint64_t rest = hash << h->p;
        uint32_t rank = rest ? (uint32_t)__builtin_clzll(rest) + 1 : 64u - h->p + 1;
        put_register(h, (uint32_t)(hash >> (64 - h->p)), (uint8_t)rank);
        return 0;
    }
    return add_encoded(h, encode(hash, h->p), account);
}

int qdi_aggs_hll_merge(qdi_hll *to, const qdi_hll *from, qd_account *account)
{
    int rc = 0;
    if (from->registers) {
        if (!to->registers) rc = to_registers(to, account);
        for (uint32_t i = 0; rc == 0 && i < 1u << to->p; i++)
            put_register(to, i, from->registers[i]);
        return rc;
    }
    for (uint32_t i = 0; rc == 0 && i < from->cap; i++)
        if (from->set[i]) rc = add_encoded(to, from->set[i] - 1, account);
    return rc;
}

qdi_hll *qdi_aggs_hll_copy(const qdi_hll *h, qd_arena *arena)
{
    qdi_hll *o = qd_arena_calloc(arena, sizeof *o);
    if (!o) return NULL;
    *o = *h;
    o->borrowed = true;
    if (h->registers) {
        o->registers = qd_arena_alloc(arena, (size_t)1 << h->p);
        if (!o->registers) return NULL;
        memcpy(o->registers, h->registers, (size_t)1 << h->p);
    } else if (h->cap) {
        o->set = qd_arena_alloc(arena, h->cap * sizeof *o->set);
        if (!o->set) return NULL;
        memcpy(o->set, h->set, h->cap * sizeof *o->set);
    }
    return o;
}

bool qdi_aggs_hll_load(qdi_hll *h, uint8_t p, qd_str registers, uint32_t *encodings, uint32_t n,
                       qd_arena *arena)
{
    *h = (qdi_hll){.p = p, .borrowed = true};
    if (registers.p) {
        for (size_t i = 0; i < registers.n; i++)
            if ((uint8_t)registers.p[i] > 64 - p + 1) return false;
        h->registers = qd_arena_alloc(arena, registers.n);
        if (h->registers) memcpy(h->registers, registers.p, registers.n);
        return h->registers != NULL;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t e = encodings[i], rest = (1u << (P2 - p)) - 1;
        bool ranked = e & 1;
        if (ranked && (e >> 7 >= 1u << p || (e >> 1 & 0x3f) > 64 - P2 + 1)) return false;
        if (!ranked && (e >> (P2 + 1) || !(e >> 1 & rest))) return false;
        encodings[i] = e + 1;
    }
    h->set = encodings;
    h->n = h->cap = n;
    return true;
}

/* --- estimation ------------------------------------------------------------------------------- */

#define BIAS_K 6u /* neighbours that the bias is averaged over */

#define UNPACK(...) __VA_ARGS__
#define QDI_HLL(p, estimates, biases)                                                              \
    static const double raw_##p[] = {UNPACK estimates};                                            \
    static const double bias_##p[] = {UNPACK biases};
#include "aggs/sketch/hll_bias.def"
#undef QDI_HLL

static const struct {
    const double *raw, *bias;
    uint32_t n;
    uint64_t threshold; /* up to here counting empty registers is better */
} tables[] = {
    {raw_4, bias_4, QD_COUNT_OF(raw_4), 10},        {raw_5, bias_5, QD_COUNT_OF(raw_5), 20},
    {raw_6, bias_6, QD_COUNT_OF(raw_6), 40},        {raw_7, bias_7, QD_COUNT_OF(raw_7), 80},
    {raw_8, bias_8, QD_COUNT_OF(raw_8), 220},       {raw_9, bias_9, QD_COUNT_OF(raw_9), 400},
    {raw_10, bias_10, QD_COUNT_OF(raw_10), 900},    {raw_11, bias_11, QD_COUNT_OF(raw_11), 1800},
    {raw_12, bias_12, QD_COUNT_OF(raw_12), 3100},   {raw_13, bias_13, QD_COUNT_OF(raw_13), 6500},
    {raw_14, bias_14, QD_COUNT_OF(raw_14), 11500},  {raw_15, bias_15, QD_COUNT_OF(raw_15), 20000},
    {raw_16, bias_16, QD_COUNT_OF(raw_16), 50000},  {raw_17, bias_17, QD_COUNT_OF(raw_17), 120000},
    {raw_18, bias_18, QD_COUNT_OF(raw_18), 350000},
};

/* The bias at e: of the six nearest estimates, weighted by nearness. Weights stand in a ring and
 * are taken from its start, as Elasticsearch takes them: digits depend on it. */
static double bias_at(uint8_t p, double e)
{
    const double *raw = tables[p - 4].raw, *bias = tables[p - 4].bias;
    uint32_t n = tables[p - 4].n, from = n - BIAS_K;
    double ring[BIAS_K] = {0}, weights = 0, sum = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (raw[i] == e) return bias[i];
        double w = 1 / fabs(raw[i] - e);
        if (ring[i % BIAS_K] >= w) {
            from = i - BIAS_K;
            break;
        }
        ring[i % BIAS_K] = w;
    }
    for (uint32_t i = 0; i < BIAS_K; i++) {
        sum += ring[i] * bias[from + i];
        weights += ring[i];
    }
    return sum / weights;
}

static uint64_t linear(double m, double empty)
{
    return (uint64_t)floor(m * log(m / empty) + 0.5);
}

uint64_t qdi_aggs_hll_count(const qdi_hll *h)
{
    if (!h->registers) { /* over 2^25 places */
        double m = (double)(1u << P2);
        return linear(m, m - h->n);
    }
    uint32_t empty = 0, m = 1u << h->p;
    double inverse = 0;
    for (uint32_t i = 0; i < m; i++) {
        inverse += 1.0 / (double)(1ull << h->registers[i]);
        empty += h->registers[i] == 0;
    }
    double alpha = h->p == 4 ? 0.673 : h->p == 5 ? 0.697 : 0.7213 / (1 + 1.079 / m);
    double e = alpha * m * m / inverse;
    if (e <= 5.0 * m) e -= bias_at(h->p, e);
    uint64_t rounded = (uint64_t)floor(e + 0.5);
    uint64_t count = empty ? linear(m, empty) : rounded;
    return count <= tables[h->p - 4].threshold ? count : rounded;
}

void qdi_aggs_hll_fini(qdi_hll *h)
{
    if (h->borrowed) return;
    qd_free(h->set);
    qd_free(h->registers);
}

/* --- murmur3_x64_128 -------------------------------------------------------------------------- */

static uint64_t rotl(uint64_t v, unsigned n)
{
    return v << n | v >> (64 - n);
}

static uint64_t mix(uint64_t k)
{
    k = (k ^ k >> 33) * 0xff51afd7ed558ccdull;
    k = (k ^ k >> 33) * 0xc4ceb9fe1a85ec53ull;
    return k ^ k >> 33;
}

uint64_t qdi_aggs_hash_bytes(const void *data, size_t n)
{
    const uint8_t *p = data, *end = p + n / 16 * 16;
    const uint64_t c1 = 0x87c37b91114253d5ull, c2 = 0x4cf5ad432745937full;
    uint64_t h1 = 0, h2 = 0;
    for (; p < end; p += 16) {
        h1 ^= rotl(qd_get_u64le(p) * c1, 31) * c2;
        h1 = (rotl(h1, 27) + h2) * 5 + 0x52dce729;
        h2 ^= rotl(qd_get_u64le(p + 8) * c2, 33) * c1;
        h2 = (rotl(h2, 31) + h1) * 5 + 0x38495ab5;
    }
    uint8_t tail[16] = {0};
    if (n & 15) memcpy(tail, end, n & 15);
    h2 ^= rotl(qd_get_u64le(tail + 8) * c2, 33) * c1;
    h1 ^= rotl(qd_get_u64le(tail) * c1, 31) * c2;
    h1 ^= n;
    h2 ^= n;
    h1 += h2;
    h2 += h1;
    return mix(h1) + mix(h2);
}
