/* suite.h: what the suites share: checks that end a test with its reason, and the loop over tests.
 */
#ifndef QD_CONFORMANCE_SUITE_H
#define QD_CONFORMANCE_SUITE_H

#include <quidditch/conformance.h>
#include <stdio.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define S(lit) ((qd_str){(lit), sizeof(lit) - 1})
#define SECONDS(n) ((int64_t)(n)*1000000000)

static inline void conform_fail(qd_conform *c, int line, const char *what, long long a, long long b)
{
    if (c->outcome == QD_CONFORM_FAILED) return;
    const char *reason = c->reason(c);
    c->outcome = QD_CONFORM_FAILED;
    snprintf(c->why, sizeof c->why, "line %d: %s (%lld, %lld)%s%s", line, what, a, b,
             reason && *reason ? ": " : "", reason ? reason : "");
}

/* Both end the running test function; handles that it holds are left to the implementation. */
#define CHECK(c, cond)                                                                             \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            conform_fail((c), __LINE__, #cond, 0, 0);                                              \
            return;                                                                                \
        }                                                                                          \
    } while (0)
#define CHECK_EQ(c, found, wanted)                                                                 \
    do {                                                                                           \
        long long found_ = (long long)(found), wanted_ = (long long)(wanted);                      \
        if (found_ != wanted_) {                                                                   \
            conform_fail((c), __LINE__, #found " == " #wanted, found_, wanted_);                   \
            return;                                                                                \
        }                                                                                          \
    } while (0)

/* Runs one test of a suite. */
#define RUN(c, what, call)                                                                         \
    do {                                                                                           \
        (c)->test = (what);                                                                        \
        (c)->outcome = QD_CONFORM_OK;                                                              \
        (c)->why[0] = 0;                                                                           \
        (c)->err_clear(c);                                                                         \
        call;                                                                                      \
        if ((c)->outcome == QD_CONFORM_FAILED) (c)->failures++;                                    \
        (c)->result((c), (c)->test, (c)->outcome, (c)->why);                                       \
    } while (0)
/* Reports a test that the flags exclude. */
#define SKIP(c, what, reason_) (c)->result((c), (what), QD_CONFORM_SKIPPED, (reason_))

static inline qd_str str_c(const char *s)
{
    return (qd_str){s, strlen(s)};
}

/* Bytes that tell where they belong. */
static inline uint8_t pattern(uint64_t seed, uint64_t at)
{
    uint64_t x = (seed + 1) * 0x9E3779B97F4A7C15ull + (at >> 3) * 0xD1B54A32D192ED03ull;
    x ^= x >> 31;
    x *= 0x94D049BB133111EBull;
    return (uint8_t)(x >> ((at & 7) * 8));
}
static inline void fill(uint8_t *p, uint64_t seed, uint64_t at, size_t n)
{
    for (size_t i = 0; i < n; i++) p[i] = pattern(seed, at + i);
}
static inline int same(const uint8_t *p, uint64_t seed, uint64_t at, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != pattern(seed, at + i)) return 0;
    return 1;
}

#endif
