/*
 * pmap.h: a persistent map from byte strings to pointers: copies share all that is equal in them,
 * and a change of one copies the path to what it changes. A hash trie with 32 slots a node; nodes
 * and entries are counted. Copies may be read and ended on several threads, each one by one thread
 * at a time; a copy that is not changed any more has any number of readers. Iteration follows the
 * hashes of the keys, never addresses, so that simulated runs repeat.
 */
#ifndef QD_BASE_PMAP_H
#define QD_BASE_PMAP_H

#include "base/mem.h"
#include <quidditch/types.h>

typedef struct qd_pmap_entry {
    _Atomic int32_t refs;
    uint32_t length; /* of the key */
    uint64_t hash;
    void *value;
    char key[]; /* NUL-terminated */
} qd_pmap_entry;

typedef struct qd_pmap {
    void *root; /* a tagged pointer, pmap.c; NULL: empty */
    size_t n;
    void (*drop)(void *value); /* the last map with this entry has gone; NULL: nothing to do */
} qd_pmap;

/* An empty map that owns its values when drop is not NULL; allocates nothing. [any] */
void qd_pmap_init(qd_pmap *m, void (*drop)(void *value));
/* *out becomes a copy of m. O(1) [any] */
void qd_pmap_copy(qd_pmap *out, const qd_pmap *m);
/* Ends it; empty again. [any] */
void qd_pmap_fini(qd_pmap *m);
/* The value of key, NULL when absent. O(log n) [any] */
void *qd_pmap_get(const qd_pmap *m, qd_str key);
/* Sets key to value (not NULL), which the map takes over; the value before is given up. On failure
 * the value stays the caller's and the map is as it was. QD_E_NOMEM. O(log n) [any] */
QD_MUST_CHECK
int qd_pmap_put(qd_pmap *m, qd_str key, void *value);
/* Removes key, which may be absent. On failure the map is as it was. QD_E_NOMEM. O(log n) [any] */
QD_MUST_CHECK
int qd_pmap_del(qd_pmap *m, qd_str key);
/* Calls fn for each entry until it returns other than 0; returns that. [any] */
int qd_pmap_each(const qd_pmap *m, int (*fn)(void *arg, const qd_pmap_entry *e), void *arg);
/* Calls fn for each key whose entry is another one in b than in a: was is NULL for one that is only
 * in b, is NULL for one that is only in a. What the two share is not looked at: O(changes · log n)
 * where one was made of the other. Returns what fn returned, which ends it with other than 0. */
int qd_pmap_diff(const qd_pmap *a, const qd_pmap *b,
                 int (*fn)(void *arg, const qd_pmap_entry *was, const qd_pmap_entry *is),
                 void *arg);

/* The key of an entry. [any] */
static inline qd_str qd_pmap_key(const qd_pmap_entry *e)
{
    return (qd_str){e->key, e->length};
}

#endif
