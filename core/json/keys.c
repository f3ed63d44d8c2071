/*
 * keys.c: the keys of all open objects, to find one given twice.
 *
 * A stack holds the hashes of the keys of every open object, outermost first. A word of 64 bits an
 * object answers most questions; where its bit is set, small objects are searched in a row, and
 * from MANY keys on a hash table is used. Objects close in reverse order of opening, so entries
 * leave the table in reverse order of entering and linear probing needs no tombstones. 64-bit
 * hashes stand for the keys: a false alarm needs 2^32 keys in one object.
 */
#include "base/vec.h"
#include "json/reader_int.h"

#define MANY 24

struct qd_json_keys {
    uint64_t *hashes;
    size_t n, cap;
    uint64_t *table; /* 0 = empty */
    size_t mask, in_table;
    qd_account *account;
    uint32_t start[QD_JSON_DEPTH_MAX + 2]; /* first hash of each depth */
    uint64_t bits[QD_JSON_DEPTH_MAX + 1];  /* by depth: bit set for the top six bits of each hash */
};

static uint64_t salted(uint64_t hash, uint32_t depth)
{
    uint64_t h = hash ^ (depth * 0x9E3779B97F4A7C15ull);
    return h ? h : 1;
}

bool qdi_json_keys_ready(qd_json_reader *r)
{
    if (QD_LIKELY(r->keys)) return true;
    struct qd_json_keys *k = qd_alloc(r->account, sizeof *k);
    if (!k) return false;
    k->hashes = k->table = NULL;
    k->n = k->cap = k->mask = k->in_table = 0;
    k->account = r->account;
    k->start[0] = 0; /* the others, and bits, are set as their objects open: 12 KiB else */
    r->keys = k;
    return true;
}

void qdi_json_keys_reset(struct qd_json_keys *k)
{
    k->n = 0;
    if (k->in_table) memset(k->table, 0, (k->mask + 1) * sizeof *k->table);
    k->in_table = 0;
}

void qdi_json_keys_free(struct qd_json_keys *k)
{
    if (!k) return;
    qd_free(k->hashes);
    qd_free(k->table);
    qd_free(k);
}

void qdi_json_keys_open(struct qd_json_keys *k, uint32_t depth)
{
    k->start[depth] = (uint32_t)k->n;
    k->start[depth + 1] = (uint32_t)k->n;
    k->bits[depth] = 0;
}

/* Enters h; false when it is there already. */
static bool table_put(struct qd_json_keys *k, uint64_t h)
{
    size_t i = h & k->mask;
    for (; k->table[i]; i = (i + 1) & k->mask) {
        if (k->table[i] == h) return false;
    }
    k->table[i] = h;
    k->in_table++;
    return true;
}

/* Room for more entries; entering anew goes along the stack, which keeps the order of entering. */
static bool table_room(struct qd_json_keys *k, uint32_t depth, size_t more)
{
    if (k->table && (k->in_table + more) * 2 <= k->mask + 1) return true;
    size_t size = k->table ? k->mask + 1 : 64;
    while (size < (k->in_table + more) * 4) size *= 2;
    uint64_t *t = qd_calloc(k->account, size * sizeof *t);
    if (!t) return false;
    size_t had = k->in_table;
    qd_free(k->table);
    k->table = t;
    k->mask = size - 1;
    k->in_table = 0;
    for (uint32_t d = 1; had && d <= depth; d++) {
        size_t end = d == depth ? k->n : k->start[d + 1];
        if (end - k->start[d] <= MANY) continue;
        for (size_t i = k->start[d]; i < end; i++) (void)table_put(k, k->hashes[i]);
    }
    qd_assert(k->in_table == had);
    return true;
}

int qdi_json_keys_add(qd_json_reader *r, uint64_t hash)
{
    struct qd_json_keys *k = r->keys;
    uint64_t h = salted(hash, r->depth);
    size_t start = k->start[r->depth], count = k->n - start;
    if (k->n == k->cap || !k->hashes) {
        if (k->n >= UINT32_MAX - 1) return -1;
        if (qd_vec_grow((void **)&k->hashes, &k->cap, k->n, 16, sizeof *k->hashes, k->account)) {
            return -1;
        }
    }
    uint64_t bit = (uint64_t)1 << (h >> 58);
    bool fresh = !(k->bits[r->depth] & bit);
    k->bits[r->depth] |= bit;
    if (QD_LIKELY(count < MANY)) {
        for (size_t i = start; !fresh && i < k->n; i++) {
            if (k->hashes[i] == h) return 0;
        }
    } else {
        if (!table_room(k, r->depth, count == MANY ? MANY + 1 : 1)) return -1;
        if (count == MANY) {
            for (size_t i = start; i < k->n; i++) (void)table_put(k, k->hashes[i]);
        }
        if (!table_put(k, h)) {
            return 0; /* the reader has failed: the table is cleared by the next reset */
        }
    }
    k->hashes[k->n++] = h;
    return 1;
}

void qdi_json_keys_close(struct qd_json_keys *k, uint32_t depth)
{
    size_t start = k->start[depth];
    if (k->n - start > MANY) {
        for (size_t i = k->n; i-- > start;) {
            size_t at = k->hashes[i] & k->mask;
            while (k->table[at] != k->hashes[i]) at = (at + 1) & k->mask;
            k->table[at] = 0;
            k->in_table--;
        }
    }
    k->n = start;
    k->start[depth + 1] = (uint32_t)start;
}
