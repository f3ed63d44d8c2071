/*
 * keys.c: the keys of all open objects, to find one given twice. See keys_int.h.
 *
 * Keys that are not known: a stack holds the hashes of those of every open object, outermost first.
 * A word of 64 bits an object answers most questions; where its bit is set, small objects are
 * searched in a row, and from MANY keys on a hash table is used. Objects close in reverse order of
 * opening, so entries leave the table in reverse order of entering and linear probing needs no
 * tombstones. 64-bit hashes stand for the keys: a false alarm needs 2^32 keys in one object.
 */
#include "base/vec.h"
#include "json/keys_int.h"

#define MANY 24
/* So many keys without room, and what is known is forgotten: the stream has others now. */
#define REFUSED_MAX 4096

static known_key never = {.mask = KNOWN_NEVER};

static uint64_t salted(uint64_t hash, uint32_t depth)
{
    uint64_t h = hash ^ (depth * 0x9E3779B97F4A7C15ull);
    return h ? h : 1;
}

bool qdi_json_keys_room(qd_json_reader *r, uint32_t depth)
{
    qd_json_keys *k = r->keys;
    if (!k) {
        k = qd_alloc(r->account, sizeof *k);
        if (!k) return false;
        *k = (qd_json_keys){.expected = &never, .account = r->account};
        r->keys = k;
    }
    if (depth < k->levels) return true;
    size_t cap = k->levels;
    if (qd_vec_grow((void **)&k->level, &cap, k->levels, depth + 1 - k->levels + 7,
                    sizeof *k->level, k->account)) {
        return false;
    }
    k->levels = (uint32_t)cap;
    return true;
}

/* --- known keys --- */

static void forget(known_keys *w)
{
    memset(w->slots, 0, sizeof w->slots);
    w->n = w->refused = 0;
    w->at[0] = (known_key){.mask = KNOWN_NEVER};
}

void qdi_json_keys_reset(qd_json_keys *k)
{
    k->n = 0;
    if (k->in_table) memset(k->table, 0, (k->mask + 1) * sizeof *k->table);
    k->in_table = 0;
    if (!k->known) {
        k->known = qd_alloc(k->account, sizeof *k->known);
        if (!k->known) return;
        forget(k->known);
    } else if (k->known->refused > REFUSED_MAX) {
        forget(k->known);
    }
    k->last = k->known->at;
    k->expected = &k->known->at[k->last->next];
}

void qdi_json_keys_free(qd_json_keys *k)
{
    if (!k) return;
    qd_free(k->known);
    qd_free(k->level);
    qd_free(k->hashes);
    qd_free(k->table);
    qd_free(k);
}

/* Short, and with no byte that has to be written as an escape: its closing quote is the first. */
static bool can_be_known(qd_str key)
{
    if (key.n >= SCAN_PAIR) return false;
    for (size_t i = 0; i < key.n; i++) {
        unsigned char c = (unsigned char)key.p[i];
        if (c == '"' || c == '\\' || c < 32) return false;
    }
    return true;
}

/* The known key, made so if it can be; NULL: it goes by its hash. */
static known_key *known(known_keys *w, uint64_t hash, qd_str key)
{
    size_t i = hash % KNOWN_SLOTS;
    for (; w->slots[i]; i = (i + 1) % KNOWN_SLOTS) {
        known_key *e = &w->at[w->slots[i]];
        if (e->hash == hash && qd_str_eq((qd_str){e->text, e->n}, key)) return e;
    }
    if (!can_be_known(key)) return NULL;
    if (w->n == KNOWN_MAX) {
        w->refused++;
        return NULL;
    }
    known_key *e = &w->at[++w->n];
    *e = (known_key){.hash = hash, .word = (uint16_t)(w->n / 64), .n = (uint16_t)key.n};
    e->bit = (uint64_t)1 << w->n % 64;
    e->mask = ((uint64_t)2 << key.n) - 1;
    memcpy(e->text, key.p, key.n);
    e->text[key.n] = '"';
    w->slots[i] = (uint8_t)w->n;
    return e;
}

/* --- hashes --- */

/* Enters h; false when it is there already. */
static bool table_put(qd_json_keys *k, uint64_t h)
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
static bool table_room(qd_json_keys *k, uint32_t depth, size_t more)
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
        size_t start = k->level[d].start, end = d == depth ? k->n : k->level[d + 1].start;
        if (end - start <= MANY) continue;
        for (size_t i = start; i < end; i++) (void)table_put(k, k->hashes[i]);
    }
    qd_assert(k->in_table == had);
    return true;
}

static int add_hash(qd_json_keys *k, uint32_t depth, uint64_t h)
{
    key_level *l = &k->level[depth];
    size_t start = l->start, count = k->n - start;
    if (k->n == k->cap || !k->hashes) {
        if (k->n >= UINT32_MAX - 1) return -1;
        if (qd_vec_grow((void **)&k->hashes, &k->cap, k->n, 16, sizeof *k->hashes, k->account)) {
            return -1;
        }
    }
    uint64_t bit = (uint64_t)1 << (h >> 58);
    bool fresh = !(l->bits & bit);
    l->bits |= bit;
    if (QD_LIKELY(count < MANY)) {
        for (size_t i = start; !fresh && i < k->n; i++) {
            if (k->hashes[i] == h) return 0;
        }
    } else {
        if (!table_room(k, depth, count == MANY ? MANY + 1 : 1)) return -1;
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

int qdi_json_keys_add(qd_json_reader *r, uint64_t hash)
{
    qd_json_keys *k = r->keys;
    if (k->known) {
        known_key *e = known(k->known, hash, r->text);
        if (e) {
            k->last->next = (uint16_t)(e - k->known->at);
            return keys_note(k, r->depth, e);
        }
    }
    return add_hash(k, r->depth, salted(hash, r->depth));
}

void qdi_json_keys_drop(qd_json_keys *k, uint32_t depth)
{
    size_t start = k->level[depth].start;
    if (k->n - start > MANY) {
        for (size_t i = k->n; i-- > start;) {
            size_t at = k->hashes[i] & k->mask;
            while (k->table[at] != k->hashes[i]) at = (at + 1) & k->mask;
            k->table[at] = 0;
            k->in_table--;
        }
    }
    k->n = start;
}
