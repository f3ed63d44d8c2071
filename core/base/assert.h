/*
 * assert.h: assertions that stay on in production, and the compiler attributes used everywhere.
 *
 * qd_assert guards invariants of our own code; bytes, users, disks and peers are never asserted.
 * qd_dassert is for costly checks of debug builds. qd_never returns its condition, so that a
 * release build can turn the impossible into an error while a debug build stops.
 */
#ifndef QD_BASE_ASSERT_H
#define QD_BASE_ASSERT_H

#include <stdbool.h>
#include <stdint.h>

#define QD_MUST_CHECK __attribute__((warn_unused_result))
#define QD_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define QD_NORETURN __attribute__((noreturn))
#define QD_INLINE static inline __attribute__((always_inline))
#define QD_NOINLINE __attribute__((noinline))
#define QD_LIKELY(x) __builtin_expect(!!(x), 1)
#define QD_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define QD_COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))
#define QD_CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* Prints the failed condition with its place and aborts. [any] */
QD_NORETURN void qd_assert_fail(const char *cond, const char *file, int line);

#define qd_assert(c) ((void)(QD_LIKELY(c) || (qd_assert_fail(#c, __FILE__, __LINE__), 0)))
#ifdef QD_DEBUG
#define qd_dassert(c) qd_assert(c)
#define qd_never(c) ((c) ? (qd_assert_fail("never: " #c, __FILE__, __LINE__), true) : false)
#else
#define qd_dassert(c) ((void)0)
#define qd_never(c) QD_UNLIKELY(c)
#endif

/* First member of every long-lived struct; QD_CHECK(obj, NAME) in every callback that casts. */
#define QD_CHECK(obj, value) qd_assert((obj) != NULL && (obj)->magic == (value))

#endif
