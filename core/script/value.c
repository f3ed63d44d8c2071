/* value.c: lists and maps of values. */
#include "script/value.h"
#include "base/hash.h"

int qd_sv_str_copy(qd_arena *a, qd_str s, qd_sv *out)
{
    if (s.n > UINT32_MAX) return QD_E_LIMIT;
    char *p = qd_arena_bytes(a, s.n + 1);
    if (!p) return QD_E_NOMEM;
    if (s.n) memcpy(p, s.p, s.n);
    p[s.n] = 0;
    *out = qd_sv_str((qd_str){p, s.n});
    return 0;
}

int qd_sv_list_make(qd_arena *a, uint32_t n, qd_sv *out)
{
    qd_sv_list *l = qd_arena_calloc(a, sizeof *l);
    if (!l) return QD_E_NOMEM;
    if (n) {
        l->v = qd_arena_alloc(a, n * sizeof *l->v);
        if (!l->v) return QD_E_NOMEM;
        l->cap = n;
    }
    *out = (qd_sv){.tag = QD_SV_LIST, .list = l};
    return 0;
}

int qd_sv_list_add(qd_arena *a, qd_sv_list *l, qd_sv v)
{
    if (l->n == l->cap) {
        uint32_t cap = l->cap ? l->cap * 2 : 8;
        if (l->cap > 1u << 26) return QD_E_NOMEM;
        qd_sv *p = qd_arena_alloc(a, cap * sizeof *p);
        if (!p) return QD_E_NOMEM;
        if (l->n) memcpy(p, l->v, l->n * sizeof *p);
        l->v = p;
        l->cap = cap;
    }
    l->v[l->n++] = v;
    return 0;
}

int qd_sv_map_make(qd_arena *a, qd_sv *out)
{
    qd_sv_map *m = qd_arena_calloc(a, sizeof *m);
    if (!m) return QD_E_NOMEM;
    *out = (qd_sv){.tag = QD_SV_MAP, .map = m};
    return 0;
}

static uint64_t mix(uint64_t x)
{
    x ^= x >> 32;
    x *= 0x9E3779B97F4A7C15ull;
    return x ^ x >> 29;
}

#define HASHED 64u /* values that a hash looks at */

static uint64_t hash_in(const qd_sv *v, uint32_t *left)
{
    uint64_t h = v->tag;
    if (*left == 0) return h;
    --*left;
    switch (v->tag) {
    case QD_SV_STRING:
    case QD_SV_BIG:
        return qd_json_key_hash(qd_sv_text(v));
    case QD_SV_LIST:
        for (uint32_t i = 0; i < v->list->n && *left; i++)
            h = mix(h + hash_in(&v->list->v[i], left));
        return mix(h + v->list->n);
    case QD_SV_MAP:
    case QD_SV_SET: /* in any order: of few keys the sum, of what is no list or map */
        for (uint32_t i = 0; i < v->map->n && v->map->live <= HASHED; i++)
            if (v->map->e[i].key.tag <= QD_SV_STRING) h += v->map->e[i].hash;
        return mix(h + v->map->live);
    case QD_SV_FLOAT:
    case QD_SV_DOUBLE: {
        double f = v->f;
        uint64_t bits;
        memcpy(&bits, &f, 8);
        return mix(bits + h);
    }
    default:
        return mix((uint64_t)v->i + h);
    }
}

uint64_t qd_sv_hash(const qd_sv *v)
{
    uint32_t left = HASHED;
    return hash_in(v, &left);
}

static void index_add(qd_sv_map *m, uint32_t at)
{
    uint32_t i = (uint32_t)m->e[at].hash & m->mask;
    while (m->index[i]) i = (i + 1) & m->mask;
    m->index[i] = at + 1;
}

/* Room for one more: drops removed entries, grows, and makes the index anew. */
static int map_grow(qd_arena *a, qd_sv_map *m)
{
    uint32_t cap = m->live >= m->cap / 2 ? (m->cap ? m->cap * 2 : 8) : m->cap, n = 0;
    if (cap > 1u << 25) return QD_E_NOMEM;
    qd_sv_entry *e = m->e;
    if (cap != m->cap) {
        e = qd_arena_alloc(a, cap * sizeof *e);
        if (!e) return QD_E_NOMEM;
    }
    uint32_t *index = m->index;
    if (cap > 8 && cap != m->cap) {
        index = qd_arena_alloc(a, (size_t)cap * 2 * sizeof *index);
        if (!index) return QD_E_NOMEM;
    }
    for (uint32_t i = 0; i < m->n; i++)
        if (m->e[i].key.tag != QD_SV_GONE) e[n++] = m->e[i];
    m->e = e;
    m->cap = cap;
    m->n = n;
    m->index = index;
    if (!index) return 0;
    m->mask = cap * 2 - 1;
    memset(index, 0, (size_t)cap * 2 * sizeof *index);
    for (uint32_t i = 0; i < n; i++) index_add(m, i);
    return 0;
}

/* Of keys, and of values that no run pays for. */
#define PAIRS 65536

static bool equal(const qd_sv *a, const qd_sv *b, int depth, int64_t *left);

static qd_sv_entry *find_in(const qd_sv_map *m, const qd_sv *key, uint64_t hash, int depth,
                            int64_t *left)
{
    if (!m->index) {
        for (uint32_t i = 0; i < m->n; i++)
            if (m->e[i].hash == hash && equal(&m->e[i].key, key, depth, left)) return &m->e[i];
        return NULL;
    }
    for (uint32_t i = (uint32_t)hash & m->mask; m->index[i] && *left >= 0; i = (i + 1) & m->mask) {
        qd_sv_entry *e = &m->e[m->index[i] - 1];
        if (e->hash == hash && equal(&e->key, key, depth, left)) return e;
    }
    return NULL;
}

qd_sv *qd_sv_map_at(const qd_sv_map *m, const qd_sv *key)
{
    int64_t left = PAIRS;
    return qd_sv_map_at_in(m, key, &left);
}

qd_sv *qd_sv_map_at_in(const qd_sv_map *m, const qd_sv *key, int64_t *budget)
{
    qd_sv_entry *e = find_in(m, key, qd_sv_hash(key), 0, budget);
    return e ? &e->value : NULL;
}

qd_sv *qd_sv_map_get(const qd_sv_map *m, qd_str key)
{
    qd_sv k = qd_sv_str(key);
    return qd_sv_map_at(m, &k);
}

int qd_sv_map_set(qd_arena *a, qd_sv_map *m, qd_sv key, qd_sv v)
{
    int64_t left = PAIRS;
    return qd_sv_map_set_in(a, m, key, v, &left);
}

int qd_sv_map_set_in(qd_arena *a, qd_sv_map *m, qd_sv key, qd_sv v, int64_t *budget)
{
    uint64_t hash = qd_sv_hash(&key);
    qd_sv_entry *e = find_in(m, &key, hash, 0, budget);
    if (e) {
        e->value = v;
        return 0;
    }
    if (m->n == m->cap) {
        int rc = map_grow(a, m);
        if (rc) return rc;
    }
    m->e[m->n] = (qd_sv_entry){key, v, hash};
    if (m->index) index_add(m, m->n);
    m->n++;
    m->live++;
    return 0;
}

int qd_sv_map_put(qd_arena *a, qd_sv_map *m, qd_str key, qd_sv v)
{
    return qd_sv_map_set(a, m, qd_sv_str(key), v);
}

bool qd_sv_map_remove(qd_sv_map *m, const qd_sv *key)
{
    int64_t left = PAIRS;
    return qd_sv_map_remove_in(m, key, &left);
}

bool qd_sv_map_remove_in(qd_sv_map *m, const qd_sv *key, int64_t *budget)
{
    qd_sv_entry *e = find_in(m, key, qd_sv_hash(key), 0, budget);
    if (!e) return false;
    e->key = (qd_sv){.tag = QD_SV_GONE};
    e->value = qd_sv_null();
    m->live--;
    return true;
}

void qd_sv_map_clear(qd_sv_map *m)
{
    m->n = m->live = 0;
    if (m->index) memset(m->index, 0, ((size_t)m->mask + 1) * sizeof *m->index);
}

static bool equal(const qd_sv *a, const qd_sv *b, int depth, int64_t *left)
{
    if (a->tag != b->tag || --*left < 0) return false;
    switch (a->tag) {
    case QD_SV_NULL:
        return true;
    case QD_SV_STRING:
    case QD_SV_BIG:
        if (a->n != b->n) return false;
        *left -= a->n / 256;
        return a->p == b->p || memcmp(a->p, b->p, a->n) == 0;
    case QD_SV_FLOAT:
    case QD_SV_DOUBLE:
        return memcmp(&a->f, &b->f, sizeof a->f) == 0;
    case QD_SV_LIST:
        if (a->list == b->list) return true;
        if (a->list->n != b->list->n || depth > QD_SV_DEPTH) return false;
        for (uint32_t i = 0; i < a->list->n; i++)
            if (!equal(&a->list->v[i], &b->list->v[i], depth + 1, left)) return false;
        return true;
    case QD_SV_MAP:
    case QD_SV_SET:
        if (a->map == b->map) return true;
        if (a->map->live != b->map->live || depth > QD_SV_DEPTH) return false;
        for (uint32_t i = 0; i < a->map->n; i++) {
            const qd_sv_entry *e = &a->map->e[i];
            if (e->key.tag == QD_SV_GONE) continue;
            const qd_sv_entry *o = find_in(b->map, &e->key, e->hash, depth + 1, left);
            if (!o || !equal(&e->value, &o->value, depth + 1, left)) return false;
        }
        return true;
    default:
        return a->i == b->i;
    }
}

bool qd_sv_equal(const qd_sv *a, const qd_sv *b)
{
    int64_t left = PAIRS;
    return equal(a, b, 0, &left);
}

bool qd_sv_equal_in(const qd_sv *a, const qd_sv *b, int64_t *budget)
{
    return equal(a, b, 0, budget);
}

static int copy(qd_arena *a, const qd_sv *v, qd_sv *out, int depth)
{
    if (v->tag != QD_SV_LIST && v->tag != QD_SV_MAP) {
        *out = *v;
        return 0;
    }
    if (depth > QD_SV_DEPTH) return QD_E_LIMIT;
    qd_sv to;
    int rc;
    if (v->tag == QD_SV_LIST) {
        rc = qd_sv_list_make(a, v->list->n, &to);
        for (uint32_t i = 0; rc == 0 && i < v->list->n; i++) {
            rc = copy(a, &v->list->v[i], &to.list->v[i], depth + 1);
            if (rc == 0) to.list->n++;
        }
    } else {
        rc = qd_sv_map_make(a, &to);
        for (uint32_t i = 0; rc == 0 && i < v->map->n; i++) {
            qd_sv x;
            if (v->map->e[i].key.tag == QD_SV_GONE) continue;
            rc = copy(a, &v->map->e[i].value, &x, depth + 1);
            if (rc == 0) rc = qd_sv_map_set(a, to.map, v->map->e[i].key, x);
        }
    }
    if (rc == 0) *out = to;
    return rc;
}

int qd_sv_copy(qd_arena *a, const qd_sv *v, qd_sv *out)
{
    return copy(a, v, out, 0);
}
