/*
 * map.h: hash table from byte strings to pointers. Iteration follows insertion order, never
 * addresses or hash values, so that simulated runs repeat. One writer or many readers.
 */
#ifndef QD_BASE_MAP_H
#define QD_BASE_MAP_H

#include "base/mem.h"
#include <quidditch/types.h>

typedef struct qd_map_entry {
    qd_str key; /* owned copy, NUL-terminated; p is NULL in a deleted entry */
    void *value;
    uint64_t hash;
} qd_map_entry;

typedef struct qd_map {
    qd_map_entry *entries; /* insertion order, with holes */
    uint32_t *slots;       /* index + 1; 0 = empty; UINT32_MAX = deleted */
    size_t n, used, cap;   /* live entries; entries with holes; room in entries */
    uint32_t mask;
    qd_account *account;
} qd_map;

/* An empty map; allocates nothing yet. */
void qd_map_init(qd_map *m, qd_account *account);
/* Frees keys and table; the values are the caller's. */
void qd_map_fini(qd_map *m);
/* The value of key, NULL when absent. */
void *qd_map_get(const qd_map *m, qd_str key);
/* Sets key to value (not NULL), copying the key if new; *old (may be NULL) gets the value before.
 * 0 or QD_E_NOMEM. */
QD_MUST_CHECK
int qd_map_put(qd_map *m, qd_str key, void *value, void **old);
/* Removes key; returns its value or NULL. */
void *qd_map_del(qd_map *m, qd_str key);
/* Steps through live entries in insertion order: start with *pos = 0; NULL at the end. Deleting
 * the entry just returned is allowed. */
const qd_map_entry *qd_map_next(const qd_map *m, size_t *pos);

#endif
