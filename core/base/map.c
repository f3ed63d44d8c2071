/* map.c: open addressing over an insertion-ordered array. See map.h. */
#include "base/map.h"
#include "base/hash.h"
#include "base/str.h"

#define GONE UINT32_MAX

void qd_map_init(qd_map *m, qd_account *account)
{
    *m = (qd_map){.account = account};
}

void qd_map_fini(qd_map *m)
{
    for (size_t i = 0; i < m->used; i++) qd_free((void *)(uintptr_t)m->entries[i].key.p);
    qd_free(m->entries);
    qd_free(m->slots);
    qd_map_init(m, m->account);
}

/* Slot of key, or -1. */
static ptrdiff_t find(const qd_map *m, qd_str key, uint64_t hash)
{
    if (!m->slots) return -1;
    for (uint32_t i = (uint32_t)hash & m->mask;; i = (i + 1) & m->mask) {
        uint32_t s = m->slots[i];
        if (!s) return -1;
        if (s != GONE && m->entries[s - 1].hash == hash && qd_str_eq(m->entries[s - 1].key, key)) {
            return (ptrdiff_t)i;
        }
    }
}

void *qd_map_get(const qd_map *m, qd_str key)
{
    ptrdiff_t i = m->n ? find(m, key, qd_xxh3(key.p, key.n)) : -1;
    return i < 0 ? NULL : m->entries[m->slots[i] - 1].value;
}

/* Rebuilds table and array at a size for one more entry, dropping holes. */
static int rebuild(qd_map *m)
{
    size_t cap = 8;
    while (cap < m->n * 2 + 2) cap *= 2;
    if (cap > UINT32_MAX / 4) return QD_E_NOMEM;
    qd_map_entry *e = qd_alloc(m->account, cap * sizeof *e);
    uint32_t *slots = qd_calloc(m->account, cap * 2 * sizeof *slots);
    if (!e || !slots) {
        qd_free(e);
        qd_free(slots);
        return QD_E_NOMEM;
    }
    uint32_t mask = (uint32_t)cap * 2 - 1, n = 0;
    for (size_t i = 0; i < m->used; i++) {
        if (!m->entries[i].key.p) continue;
        e[n] = m->entries[i];
        uint32_t s = (uint32_t)e[n].hash & mask;
        while (slots[s]) s = (s + 1) & mask;
        slots[s] = ++n;
    }
    qd_free(m->entries);
    qd_free(m->slots);
    m->entries = e;
    m->slots = slots;
    m->mask = mask;
    m->cap = cap;
    m->used = n;
    return 0;
}

int qd_map_put(qd_map *m, qd_str key, void *value, void **old)
{
    qd_assert(value);
    uint64_t hash = qd_xxh3(key.p, key.n);
    ptrdiff_t at = find(m, key, hash);
    if (old) *old = at < 0 ? NULL : m->entries[m->slots[at] - 1].value;
    if (at >= 0) {
        m->entries[m->slots[at] - 1].value = value;
        return 0;
    }
    char *copy = qd_memdup(m->account, key.p, key.n);
    if (!copy || (m->used == m->cap && rebuild(m))) {
        qd_free(copy);
        return QD_E_NOMEM;
    }
    uint32_t i = (uint32_t)hash & m->mask;
    while (m->slots[i] && m->slots[i] != GONE) i = (i + 1) & m->mask;
    m->entries[m->used] = (qd_map_entry){{copy, key.n}, value, hash};
    m->slots[i] = (uint32_t)++m->used;
    m->n++;
    return 0;
}

void *qd_map_del(qd_map *m, qd_str key)
{
    ptrdiff_t i = m->n ? find(m, key, qd_xxh3(key.p, key.n)) : -1;
    if (i < 0) return NULL;
    qd_map_entry *e = &m->entries[m->slots[i] - 1];
    void *value = e->value;
    qd_free((void *)(uintptr_t)e->key.p);
    *e = (qd_map_entry){0};
    m->slots[i] = GONE;
    m->n--;
    return value;
}

const qd_map_entry *qd_map_next(const qd_map *m, size_t *pos)
{
    while (*pos < m->used) {
        const qd_map_entry *e = &m->entries[(*pos)++];
        if (e->key.p) return e;
    }
    return NULL;
}
