/* str.c: views and growing buffers. See str.h. */
#include "base/str.h"
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>

int qd_str_cmp(qd_str a, qd_str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n ? memcmp(a.p, b.p, n) : 0;
    return c ? c : (a.n > b.n) - (a.n < b.n);
}

ptrdiff_t qd_str_find(qd_str s, char c)
{
    const char *q = s.n ? memchr(s.p, c, s.n) : NULL;
    return q ? q - s.p : -1;
}

ptrdiff_t qd_str_find_str(qd_str s, qd_str needle)
{
    if (needle.n == 0) return 0;
    if (needle.n == 1) return qd_str_find(s, needle.p[0]);
    const char *q = s.n ? memmem(s.p, s.n, needle.p, needle.n) : NULL;
    return q ? q - s.p : -1;
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

qd_str qd_str_trim(qd_str s)
{
    while (s.n && is_space(s.p[0])) s.p++, s.n--;
    while (s.n && is_space(s.p[s.n - 1])) s.n--;
    return s;
}

qd_str qd_str_split(qd_str *rest, char sep)
{
    ptrdiff_t i = qd_str_find(*rest, sep);
    qd_str part = *rest;
    if (i < 0) {
        *rest = (qd_str){NULL, 0};
        return part;
    }
    part.n = (size_t)i;
    rest->p += i + 1;
    rest->n -= (size_t)i + 1;
    return part;
}

bool qd_str_u64(qd_str s, uint64_t *out)
{
    uint64_t v = 0;
    if (s.n == 0) return false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') return false;
        uint64_t d = (uint64_t)(s.p[i] - '0');
        if (v > (UINT64_MAX - d) / 10) return false;
        v = v * 10 + d;
    }
    *out = v;
    return true;
}

bool qd_str_i64(qd_str s, int64_t *out)
{
    bool neg = s.n && s.p[0] == '-';
    uint64_t v;
    if (neg) s = qd_str_sub(s, 1, s.n);
    if (!qd_str_u64(s, &v) || v > (uint64_t)INT64_MAX + neg) return false;
    *out = neg ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}

size_t qd_str_distance(qd_str a, qd_str b)
{
    size_t row[65];
    if (a.n > 64) a.n = 64;
    if (b.n > 64) b.n = 64;
    for (size_t j = 0; j <= b.n; j++) row[j] = j;
    for (size_t i = 1; i <= a.n; i++) {
        size_t diag = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.n; j++) {
            size_t up = row[j], best = diag + (a.p[i - 1] != b.p[j - 1]);
            if (up + 1 < best) best = up + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            diag = up;
            row[j] = best;
        }
    }
    return row[b.n];
}

static unsigned lower(char c)
{
    unsigned v = (unsigned char)c;
    return v - 'A' < 26 ? v | 32 : v;
}

bool qd_str_ieq(qd_str a, qd_str b)
{
    if (a.n != b.n) return false;
    for (size_t i = 0; i < a.n; i++) {
        if (lower(a.p[i]) != lower(b.p[i])) return false;
    }
    return true;
}

void qd_buf_init(qd_buf *b, qd_account *account, size_t max)
{
    *b = (qd_buf){.account = account, .max = max};
}

void qd_buf_fini(qd_buf *b)
{
    qd_free(b->p);
    *b = (qd_buf){.account = b->account, .max = b->max};
}

void qd_buf_reset(qd_buf *b)
{
    b->n = 0;
    b->failed = 0;
    if (b->p) b->p[0] = 0;
}

char *qd_buf_reserve(qd_buf *b, size_t n)
{
    if (QD_UNLIKELY(b->failed)) return NULL;
    if (QD_LIKELY(b->p && n < b->cap - b->n)) return b->p + b->n;
    if (n > b->max || b->n > b->max - n) {
        b->failed = QD_E_LIMIT;
        return NULL;
    }
    size_t cap = b->cap ? b->cap + b->cap / 2 + 16 : 64;
    if (cap < b->n + n + 1) cap = b->n + n + 1; /* a large room asked for is not exceeded */
    if (cap > b->max + 1) cap = b->max + 1;
    char *p = qd_realloc(b->account, b->p, cap);
    if (!p) {
        b->failed = QD_E_NOMEM;
        return NULL;
    }
    b->p = p;
    b->cap = cap;
    return p + b->n;
}

int qd_buf_add(qd_buf *b, const void *p, size_t n)
{
    char *at = qd_buf_reserve(b, n);
    if (QD_UNLIKELY(!at)) return b->failed;
    if (n) memcpy(at, p, n);
    b->n += n;
    b->p[b->n] = 0;
    return 0;
}

int qd_buf_u64(qd_buf *b, uint64_t v)
{
    char text[20];
    size_t at = sizeof text;
    do {
        text[--at] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    return qd_buf_add(b, text + at, sizeof text - at);
}

int qd_buf_printf(qd_buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *at = n < 0 ? NULL : qd_buf_reserve(b, (size_t)n);
    if (!at) return b->failed ? b->failed : QD_E_ARG;
    va_start(ap, fmt);
    vsnprintf(at, (size_t)n + 1, fmt, ap);
    va_end(ap);
    b->n += (size_t)n;
    return 0;
}

char *qd_buf_take(qd_buf *b, size_t *n)
{
    if (b->failed || !qd_buf_reserve(b, 0)) return NULL;
    char *p = b->p;
    p[b->n] = 0;
    if (n) *n = b->n;
    *b = (qd_buf){.account = b->account, .max = b->max};
    return p;
}
