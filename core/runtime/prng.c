/* prng.c: xoshiro256** (Blackman, Vigna 2018), seeded by splitmix64. See env.h. */
#include "runtime/env.h"

static inline uint64_t rotl(uint64_t x, unsigned k)
{
    return (x << k) | (x >> (64 - k));
}

void qd_prng_init(qd_prng *r, uint64_t seed)
{
    for (unsigned i = 0; i < 4; i++) {
        uint64_t z = (seed += 0x9e3779b97f4a7c15u);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        r->s[i] = z ^ (z >> 31);
    }
}

uint64_t qd_prng_u64(qd_prng *r)
{
    uint64_t *s = r->s;
    uint64_t result = rotl(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

uint64_t qd_prng_below(qd_prng *r, uint64_t n)
{
    qd_assert(n > 0);
    unsigned __int128 m = (unsigned __int128)qd_prng_u64(r) * n;
    if ((uint64_t)m < n) {
        uint64_t floor = -n % n;
        while ((uint64_t)m < floor) m = (unsigned __int128)qd_prng_u64(r) * n;
    }
    return (uint64_t)(m >> 64);
}

double qd_prng_double(qd_prng *r)
{
    return (double)(qd_prng_u64(r) >> 11) * 0x1.0p-53;
}
