/*
 * str.h: views (qd_str) and growing buffers with a fixed maximum (qd_buf).
 *
 * A qd_buf always has a NUL behind its last byte. Appending past max or out of memory marks the
 * buffer failed and returns a code; later appends return the same, so that a writer may check once
 * at the end (qd_buf_status).
 */
#ifndef QD_BASE_STR_H
#define QD_BASE_STR_H

#include "base/mem.h"
#include <quidditch/types.h>
#include <string.h>

#define QD_STR(lit) ((qd_str){(lit), sizeof(lit) - 1})
/* For printf's "%.*s". */
#define QD_STR_ARG(s) ((int)(s).n), ((s).p ? (s).p : "")

/* View of a C string (NULL: empty). */
static inline qd_str qd_str_c(const char *s)
{
    return (qd_str){s, s ? strlen(s) : 0};
}
/* Equal bytes. */
static inline bool qd_str_eq(qd_str a, qd_str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}
/* Equal to a C string. */
static inline bool qd_str_is(qd_str a, const char *c)
{
    return qd_str_eq(a, qd_str_c(c));
}
/* Byte order; a prefix sorts first. */
int qd_str_cmp(qd_str a, qd_str b);
/* Does s begin with prefix? */
static inline bool qd_str_starts(qd_str s, qd_str prefix)
{
    return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}
/* Does s end with suffix? */
static inline bool qd_str_ends(qd_str s, qd_str suffix)
{
    return s.n >= suffix.n &&
           (suffix.n == 0 || memcmp(s.p + s.n - suffix.n, suffix.p, suffix.n) == 0);
}
/* The part from byte `from`, at most n bytes. */
static inline qd_str qd_str_sub(qd_str s, size_t from, size_t n)
{
    if (from > s.n) from = s.n;
    if (n > s.n - from) n = s.n - from;
    return (qd_str){s.p + from, n};
}
/* Position of byte c, or -1. */
ptrdiff_t qd_str_find(qd_str s, char c);
/* Position of needle, or -1. */
ptrdiff_t qd_str_find_str(qd_str s, qd_str needle);
/* Without leading and trailing ASCII white space. */
qd_str qd_str_trim(qd_str s);
/* Cuts *rest at the first sep: returns the part before it and leaves the rest behind it; at the end
 * returns what is left and sets rest->p to NULL. */
qd_str qd_str_split(qd_str *rest, char sep);
/* Whole s as a decimal integer; false for anything else or overflow. */
bool qd_str_i64(qd_str s, int64_t *out);
/* Whole s as a decimal unsigned integer. */
bool qd_str_u64(qd_str s, uint64_t *out);
/* Levenshtein distance of two short names (both cut at 64 bytes), for "did you mean". */
size_t qd_str_distance(qd_str a, qd_str b);
/* ASCII case folding compare. */
bool qd_str_ieq(qd_str a, qd_str b);

typedef struct qd_buf {
    char *p;
    size_t n, cap, max;
    qd_account *account;
    int failed; /* 0 or the first error */
} qd_buf;

/* An empty buffer that never holds more than max bytes; allocates nothing yet. */
void qd_buf_init(qd_buf *b, qd_account *account, size_t max);
/* Frees the bytes; the buffer may be used again with the same maximum. */
void qd_buf_fini(qd_buf *b);
/* Empties it, keeps the memory. */
void qd_buf_reset(qd_buf *b);
/* Room for n more bytes behind the end; returns where, or NULL. Does not change n. */
char *qd_buf_reserve(qd_buf *b, size_t n);
/* Appends bytes; 0, QD_E_NOMEM or QD_E_LIMIT. */
int qd_buf_add(qd_buf *b, const void *p, size_t n);
/* Appends a view. */
static inline int qd_buf_str(qd_buf *b, qd_str s)
{
    return qd_buf_add(b, s.p, s.n);
}
/* Appends a C string. */
static inline int qd_buf_c(qd_buf *b, const char *s)
{
    return qd_buf_add(b, s, strlen(s));
}
/* Appends one byte. */
static inline int qd_buf_char(qd_buf *b, char c)
{
    if (QD_UNLIKELY(b->failed || b->cap - b->n < 2)) return qd_buf_add(b, &c, 1);
    b->p[b->n++] = c;
    b->p[b->n] = 0;
    return 0;
}
/* Appends a number in decimal. */
int qd_buf_u64(qd_buf *b, uint64_t v);
/* Appends formatted text. */
int qd_buf_printf(qd_buf *b, const char *fmt, ...) QD_PRINTF(2, 3);
/* 0, or the error of the first append that failed. */
static inline int qd_buf_status(const qd_buf *b)
{
    return b->failed;
}
/* The bytes as a view; valid until the next append. */
static inline qd_str qd_buf_view(const qd_buf *b)
{
    return (qd_str){b->p ? b->p : "", b->n};
}
/* Takes the bytes out (free with qd_free); the buffer is empty afterwards. NULL if it failed. */
char *qd_buf_take(qd_buf *b, size_t *n);

#endif
