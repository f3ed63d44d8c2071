/*
 * dice.h: random numbers of a seed that a test sets, and calls that have to succeed, for tests of
 * searching that make documents of their own.
 */
#ifndef QD_TESTS_UNIT_SEARCH_DICE_H
#define QD_TESTS_UNIT_SEARCH_DICE_H

#include "base/err.h"
#include "unit/unit.h"

static qd_err err;
static uint64_t seed;

/* Below n. */
static inline uint64_t rnd(uint64_t n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (seed >> 33) % n;
}

/* Fails the test with err's text unless x is 0. */
#define OK(x)                                                                                      \
    do {                                                                                           \
        int rc_ = (x);                                                                             \
        if (rc_) print_error("%s: %s\n", qd_code_name(rc_), qd_err_reason(&err));                  \
        assert_int_equal(rc_, 0);                                                                  \
    } while (0)

#endif
