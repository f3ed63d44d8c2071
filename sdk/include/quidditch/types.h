/*
 * types.h: plain values that cross the plugin line: views, shared slices, error codes, operations.
 *
 * Everything here is fixed-width and laid out without holes on 64-bit machines; members are only
 * ever appended (tests/abi/ledger.h pins them). Compiles as C11, C17 and C++.
 */
#ifndef QUIDDITCH_TYPES_H
#define QUIDDITCH_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A borrowed view of bytes, UTF-8 unless said otherwise; not NUL-terminated. Passed by value. */
typedef struct qd_str {
    const char *p;
    size_t n;
} qd_str;

/* A counted reference to bytes that somebody else owns; release drops one reference, may be NULL.
 */
typedef struct qd_slice {
    const uint8_t *data;
    size_t len;
    void *owner;
    void (*release)(void *owner);
} qd_slice;

/* An output range for scatter/gather calls. */
typedef struct qd_iovec {
    const void *data;
    size_t len;
} qd_iovec;

/* Error codes: 0 is success, every other result is negative. */
enum {
    QD_OK = 0,
#define QD_ERR(sym, code, http, type, retry) QD_E_##sym = (code),
#include <quidditch/errors.def>
#undef QD_ERR
};

/* Opaque to plugins: written through the host's err service only. */
typedef struct qd_err qd_err;

/*
 * Header of every asynchronous operation, embedded by the caller as the first member. If the submit
 * returns 0, done runs exactly once and never before the submit returned; if it fails, done never
 * runs. The memory stays alive and untouched until done. A cancelled operation still completes.
 */
typedef struct qd_op {
    void *host[4]; /* the host's own words */
    void (*done)(struct qd_op *op, int32_t rc);
    void *user;
} qd_op;

#ifdef __cplusplus
}
#endif
#endif
