/* dissect.c: see dissect.h. */
#include "ingest/dissect.h"
#include <stdlib.h>

#define KEYS_MAX 500u

typedef enum kind { KEY_PLAIN, KEY_SKIP, KEY_APPEND, KEY_NAME, KEY_VALUE } kind;
typedef struct key {
    qd_str name, behind; /* behind: the delimiter that follows */
    kind kind;
    bool padded;
    uint32_t order; /* of appends */
    uint32_t pair;  /* of a name: the key that is its value */
    uint32_t at;    /* place in the pattern */
} key;
struct qd_dissect {
    qd_str pattern, before, append;
    key *keys;
    uint32_t n;
};

static int bad(qd_str pattern, const char *why, qd_err *err)
{
    int rc = qd_err_set(err, QD_E_ARG, "Unable to parse pattern: %.*s Reason: %s",
                        QD_STR_ARG(pattern), why);
    qd_err_type(err, "pattern_parse", 0);
    return rc;
}

/* What stands between the braces. */
static int read_key(qd_dissect *d, qd_str text, key *k, qd_err *err)
{
    if (qd_str_ends(text, QD_STR("->"))) {
        k->padded = true;
        text.n -= 2;
    }
    char c = text.n ? text.p[0] : 0;
    k->kind = !text.n || c == '?' ? KEY_SKIP
              : c == '+'          ? KEY_APPEND
              : c == '*'          ? KEY_NAME
              : c == '&'          ? KEY_VALUE
                                  : KEY_PLAIN;
    if (text.n && k->kind != KEY_PLAIN) text = qd_str_sub(text, 1, text.n);
    ptrdiff_t slash = k->kind == KEY_APPEND ? qd_str_find(text, '/') : -1;
    if (slash >= 0) {
        uint64_t order;
        if (!qd_str_u64(qd_str_sub(text, (size_t)slash + 1, text.n), &order) || order > KEYS_MAX)
            return bad(d->pattern, "the order of an append is no number", err);
        k->order = (uint32_t)order;
        text.n = (size_t)slash;
    }
    if (!text.n && k->kind != KEY_SKIP) return bad(d->pattern, "a key has no name", err);
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '+' || text.p[i] == '*' || text.p[i] == '&' || text.p[i] == '?')
            return bad(d->pattern, "a key has several modifiers", err);
    }
    k->name = text;
    return 0;
}

/* Each name has one value of the same key, and the other way round. */
static int pair_up(qd_dissect *d, qd_err *err)
{
    for (uint32_t k = 0; k < d->n; k++) {
        uint32_t same = 0;
        if (d->keys[k].kind != KEY_NAME && d->keys[k].kind != KEY_VALUE) continue;
        for (uint32_t i = 0; i < d->n; i++) {
            if (i == k || !qd_str_eq(d->keys[i].name, d->keys[k].name)) continue;
            if (d->keys[i].kind != KEY_NAME && d->keys[i].kind != KEY_VALUE) continue;
            same += d->keys[i].kind == d->keys[k].kind ? 2 : 1;
            d->keys[k].pair = i;
        }
        if (same != 1)
            return bad(d->pattern,
                       "found invalid key/reference associations, each *key needs one "
                       "&key of the same name",
                       err);
    }
    return 0;
}

int qd_dissect_make(qd_arena *a, qd_str pattern, qd_str append, qd_dissect **out, qd_err *err)
{
    qd_dissect *d = qd_arena_calloc(a, sizeof *d);
    uint32_t n = 0;
    if (!d) return qd_err_nomem(err, "dissect pattern");
    for (size_t k = 0; k + 1 < pattern.n; k++) n += pattern.p[k] == '%' && pattern.p[k + 1] == '{';
    if (!n) return bad(pattern, "Unable to find any keys or delimiters.", err);
    if (n > KEYS_MAX) return bad(pattern, "it has too many keys", err);
    d->keys = qd_arena_calloc(a, n * sizeof *d->keys);
    if (!d->keys) return qd_err_nomem(err, "dissect pattern");
    d->pattern = pattern;
    d->append = append;
    ptrdiff_t at = qd_str_find_str(pattern, QD_STR("%{"));
    d->before = qd_str_sub(pattern, 0, (size_t)at);
    qd_str rest = qd_str_sub(pattern, (size_t)at, pattern.n);
    while (rest.n) {
        ptrdiff_t end = qd_str_find(rest, '}');
        key *k = &d->keys[d->n];
        if (end < 0) return bad(pattern, "a key has no end", err);
        k->at = d->n++;
        int rc = read_key(d, qd_str_sub(rest, 2, (size_t)end - 2), k, err);
        if (rc) return rc;
        rest = qd_str_sub(rest, (size_t)end + 1, rest.n);
        ptrdiff_t next = qd_str_find_str(rest, QD_STR("%{"));
        k->behind = next < 0 ? rest : qd_str_sub(rest, 0, (size_t)next);
        rest = next < 0 ? QD_STR("") : qd_str_sub(rest, (size_t)next, rest.n);
        if (next == 0) return bad(pattern, "two keys have no delimiter between them", err);
    }
    *out = d;
    return pair_up(d, err);
}

/* --- cutting --- */

static int no_match(const qd_dissect *d, qd_str text, qd_err *err)
{
    int rc = qd_err_set(err, QD_E_ARG,
                        "Unable to find match for dissect pattern: %.*s against source: %.*s",
                        QD_STR_ARG(d->pattern), QD_STR_ARG(text));
    qd_err_type(err, "find_match", 0);
    return rc;
}

/* The value of each key; false: a delimiter is missing. */
static bool cut(const qd_dissect *d, qd_str text, qd_str *values)
{
    if (!qd_str_starts(text, d->before)) return false;
    qd_str rest = qd_str_sub(text, d->before.n, text.n);
    for (uint32_t k = 0; k < d->n; k++) {
        const key *x = &d->keys[k];
        if (!x->behind.n) {
            values[k] = rest;
            return true; /* the last */
        }
        ptrdiff_t at = qd_str_find_str(rest, x->behind);
        if (at < 0) return false;
        values[k] = qd_str_sub(rest, 0, (size_t)at);
        rest = qd_str_sub(rest, (size_t)at + x->behind.n, rest.n);
        while (x->padded && qd_str_starts(rest, x->behind))
            rest = qd_str_sub(rest, x->behind.n, rest.n);
    }
    return true;
}

static int by_order(const void *a, const void *b)
{
    const key *const *x = a, *const *y = b;
    if ((*x)->order != (*y)->order) return (*x)->order < (*y)->order ? -1 : 1;
    return (*x)->at < (*y)->at ? -1 : (*x)->at > (*y)->at;
}

/* All parts of one appended key, joined. The first may stand without "+". */
static int join(const qd_dissect *d, qd_arena *a, const qd_str *values, uint32_t first, qd_str *out,
                qd_err *err)
{
    const key **parts = qd_arena_alloc(a, d->n * sizeof *parts);
    uint32_t n = 0;
    size_t bytes = 0, at = 0;
    if (!parts) return qd_err_nomem(err, "dissect");
    for (uint32_t k = 0; k < d->n; k++) {
        bool part = d->keys[k].kind == KEY_APPEND || d->keys[k].kind == KEY_PLAIN;
        if (!part || !qd_str_eq(d->keys[k].name, d->keys[first].name)) continue;
        parts[n++] = &d->keys[k];
        bytes += values[k].n + d->append.n;
    }
    qsort(parts, n, sizeof *parts, by_order);
    char *p = qd_arena_bytes(a, bytes + 1);
    if (!p) return qd_err_nomem(err, "dissect");
    for (uint32_t k = 0; k < n; k++) {
        qd_str v = values[parts[k]->at];
        if (k && d->append.n) memcpy(p + at, d->append.p, d->append.n);
        if (k) at += d->append.n;
        if (v.n) memcpy(p + at, v.p, v.n);
        at += v.n;
    }
    *out = (qd_str){p, at};
    return 0;
}

static bool appended(const qd_dissect *d, uint32_t k, bool *earlier)
{
    bool any = d->keys[k].kind == KEY_APPEND;
    *earlier = false;
    for (uint32_t i = 0; i < d->n; i++) {
        if (i == k || !qd_str_eq(d->keys[i].name, d->keys[k].name)) continue;
        if (d->keys[i].kind != KEY_APPEND && d->keys[i].kind != KEY_PLAIN) continue;
        any |= d->keys[i].kind == KEY_APPEND;
        *earlier |= i < k;
    }
    return any;
}

int qd_dissect_text(const qd_dissect *d, qd_arena *a, qd_str text, qd_dissect_pair **out,
                    uint32_t *n, qd_err *err)
{
    qd_str *values = qd_arena_alloc(a, d->n * sizeof *values);
    qd_dissect_pair *pairs = qd_arena_alloc(a, d->n * sizeof *pairs);
    *n = 0;
    *out = pairs;
    if (!values || !pairs) return qd_err_nomem(err, "dissect");
    if (!cut(d, text, values)) return no_match(d, text, err);
    for (uint32_t k = 0; k < d->n; k++) {
        const key *x = &d->keys[k];
        bool earlier;
        if (x->kind == KEY_SKIP || x->kind == KEY_VALUE) continue;
        if (x->kind == KEY_NAME) {
            if (values[k].n) pairs[(*n)++] = (qd_dissect_pair){values[k], values[x->pair]};
        } else if (!appended(d, k, &earlier)) {
            pairs[(*n)++] = (qd_dissect_pair){x->name, values[k]};
        } else if (!earlier) {
            int rc = join(d, a, values, k, &pairs[*n].value, err);
            if (rc) return rc;
            pairs[(*n)++].key = x->name;
        }
    }
    return 0;
}
