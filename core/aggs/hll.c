/*
 * hll.c: HyperLogLog++; see hll_int.h.
 */
#include "aggs/hll_int.h"
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

static int add_encoded(qdi_hll *h, uint32_t e, qd_account *account)
{
    if (h->registers) {
        uint32_t index;
        uint8_t rank;
        decode(e, h->p, &index, &rank);
        put_register(h, index, rank);
        return 0;
    }
    if (h->n * 4 >= h->cap * 3) {
        if (h->n >= most(h)) {
            int rc = to_registers(h, account);
            return rc ? rc : add_encoded(h, e, account);
        }
        uint32_t cap = h->cap ? h->cap * 2 : 16;
        uint32_t *set = qd_calloc(account, cap * sizeof *set);
        if (!set) return QD_E_NOMEM;
        for (uint32_t i = 0; i < h->cap; i++)
            if (h->set[i]) put_slot(set, cap, h->set[i] - 1);
        qd_free(h->set);
        h->set = set;
        h->cap = cap;
    }
    h->n += put_slot(h->set, h->cap, e);
    return 0;
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

/* Ertl's sigma and tau: contributions of empty and of saturated registers. */
static double sigma(double x)
{
    if (x == 1) return INFINITY;
    double y = 1, z = x, last;
    do {
        x *= x;
        last = z;
        z += x * y;
        y += y;
    } while (z != last);
    return z;
}

static double tau(double x)
{
    if (x == 0 || x == 1) return 0;
    double y = 1, z = 1 - x, last;
    do {
        x = sqrt(x);
        last = z;
        y *= 0.5;
        z -= (1 - x) * (1 - x) * y;
    } while (z != last);
    return z / 3;
}

uint64_t qdi_aggs_hll_count(const qdi_hll *h)
{
    if (!h->registers) { /* linear counting over 2^25 places */
        double m = (double)(1u << P2);
        return (uint64_t)llround(m * log(m / (m - h->n)));
    }
    uint32_t counts[66] = {0}, q = 64u - h->p;
    for (uint32_t i = 0; i < 1u << h->p; i++) counts[h->registers[i]]++;
    double m = (double)(1u << h->p);
    double z = m * tau(1 - counts[q + 1] / m);
    for (uint32_t k = q; k >= 1; k--) z = 0.5 * (z + counts[k]);
    z += m * sigma(counts[0] / m);
    return (uint64_t)llround(m * m / (2 * M_LN2) / z);
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
