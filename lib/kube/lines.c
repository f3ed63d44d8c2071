/* lines.c: lines out of chunks: see watch.h. */
#include "watch.h"
#include <string.h>

static int32_t keep(kube_lines *l, const char *p, size_t n)
{
    if (n == 0) return 0;
    if (n > l->max - l->n) return QD_E_TOO_LARGE;
    if (n > l->cap - l->n) {
        size_t cap = l->cap ? l->cap : 4096;
        while (cap - l->n < n) cap *= 2;
        if (cap > l->max) cap = l->max;
        char *grown = kube_grow(l->env, l->p, cap);
        if (!grown) return QD_E_NOMEM;
        l->p = grown;
        l->cap = cap;
    }
    memcpy(l->p + l->n, p, n);
    l->n += n;
    return 0;
}

static int32_t give(kube_lines *l, const char *p, size_t n)
{
    while (n && (p[n - 1] == '\r' || p[n - 1] == ' ')) n--;
    return n ? l->line(l->arg, (qd_str){p, n}) : 0;
}

int32_t kube_lines_feed(kube_lines *l, qd_str bytes)
{
    while (bytes.n) {
        const char *end = memchr(bytes.p, '\n', bytes.n);
        size_t n = end ? (size_t)(end - bytes.p) : bytes.n;
        int32_t rc;
        if (!end) return keep(l, bytes.p, n);
        if (l->n == 0) {
            rc = n > l->max ? QD_E_TOO_LARGE : give(l, bytes.p, n);
        } else if ((rc = keep(l, bytes.p, n)) == 0) {
            size_t whole = l->n;
            l->n = 0;
            rc = give(l, l->p, whole);
        }
        if (rc) return rc;
        bytes.p += n + 1;
        bytes.n -= n + 1;
    }
    return 0;
}

void kube_lines_clear(kube_lines *l)
{
    if (l->p) kube_free(l->env, l->p);
    l->p = NULL;
    l->n = l->cap = 0;
}
