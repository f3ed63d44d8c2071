/*
 * unit.h: cmocka with TAP output. unit_run(array) is the last line of every unit test's main.
 */
#ifndef QD_TESTS_UNIT_H
#define QD_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* How many of so many rounds, and how far from one to the next: under a sanitizer, where each costs
 * several times as much, a seventh of them, but for the long suite, which sets QD_FULL. */
#ifdef __SANITIZE_ADDRESS__
static inline uint64_t unit_share(void)
{
    return getenv("QD_FULL") ? 1 : 7;
}
#else
static inline uint64_t unit_share(void)
{
    return 1;
}
#endif
static inline uint64_t unit_rounds(uint64_t n)
{
    return (n + unit_share() - 1) / unit_share();
}
static inline uint64_t unit_stride(uint64_t n)
{
    return n * unit_share();
}

/* Leaks of what is allocated until the next call are no findings: a suite that finds a broken
 * variant gives up with things open. */
void __lsan_disable(void) __attribute__((weak));
void __lsan_enable(void) __attribute__((weak));
static inline void unit_may_leak(bool may)
{
    if (may && __lsan_disable) __lsan_disable();
    if (!may && __lsan_enable) __lsan_enable();
}

#define unit_run(tests)                                                                            \
    (cmocka_set_message_output(CM_OUTPUT_TAP), cmocka_run_group_tests((tests), NULL, NULL))

#endif
