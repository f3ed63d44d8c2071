/*
 * invariant.h: relations of this process's own memory that hold in every history: what is committed
 * is in the log, what is dropped is held. They stay in release. What a disk, a peer or a user says
 * is never asserted: that is an error.
 *
 * qd_invariant needs nothing of the host, so that the pure cores of plugins use it too. While a
 * test has chosen a mutant (mutant.h), a broken invariant is noted and the program goes on, so that
 * the test sees what breaks behind it.
 */
#ifndef QD_CHECK_INVARIANT_H
#define QD_CHECK_INVARIANT_H

#include <check/mutant.h>

/* Prints the condition with its place and ends the process. The host defines it in core/base, each
 * plugin that uses this header in a file of its own: this header reaches no system. [any] */
__attribute__((noreturn, cold)) void qd_invariant_fail(const char *cond, const char *file,
                                                       int line);

#ifdef QD_WITH_MUTANTS
/* Ends the process, unless a mutant is chosen. [any] */
__attribute__((noinline, cold, unused)) static void qd_invariant_broke(const char *cond,
                                                                       const char *file, int line)
{
    if (!qd_mutants_armed) qd_invariant_fail(cond, file, line);
    if (!qd_mutants_broke) qd_mutants_broke = cond;
}
#else
#define qd_invariant_broke qd_invariant_fail
#endif

#define qd_invariant(c)                                                                            \
    ((void)(__builtin_expect(!!(c), 1) || (qd_invariant_broke(#c, __FILE__, __LINE__), 0)))

#endif
