/*
 * keys_int.h: the keys of all open objects, to find one given twice.
 *
 * Documents of one stream repeat their keys, mostly in one order. From its second input on a reader
 * knows keys by number, and expects behind each the one that came behind it the last time. The
 * expected key is compared with its closing quote in one step: its end is not searched, its hash
 * not computed, its UTF-8 not checked. A bit a number in each open object finds a known key given
 * twice. All other keys go by their hashes (keys.c), which for a single request costs less.
 *
 * Every key is found by one of both ways for all of an input: whether it can be known depends on
 * its decoded text alone, it becomes known when it is first met, or never while there is no room,
 * and keys are forgotten between inputs only.
 */
#ifndef QD_JSON_KEYS_INT_H
#define QD_JSON_KEYS_INT_H

#include "json/reader_int.h"
#include "json/scan_int.h"

#define KNOWN_MAX 255
#define KNOWN_SLOTS 512
#define KNOWN_WORDS ((KNOWN_MAX + 64) / 64)

typedef struct known_key {
    char text[SCAN_PAIR]; /* the key and its closing quote */
    uint64_t hash;
    uint64_t mask;    /* a bit for each byte of these */
    uint64_t bit;     /* its own in word of the bits of an object */
    uint16_t word, n; /* n: bytes of the key */
    uint16_t next;    /* the number of the key that came behind it the last time; 0: none did */
} known_key;

/* Bits that no comparison gives: the mask of what is never met. */
#define KNOWN_NEVER ((uint64_t)1 << SCAN_PAIR)

typedef struct known_keys {
    known_key at[KNOWN_MAX + 1]; /* 0 stands before the first key of an input */
    size_t n;
    size_t refused;             /* keys that found no room */
    uint8_t slots[KNOWN_SLOTS]; /* numbers by hash; 0 = empty */
} known_keys;

/* An open object or array. */
typedef struct key_level {
    size_t start;                /* its first hash */
    uint64_t bits;               /* set for the top six bits of each of its hashes */
    uint64_t known[KNOWN_WORDS]; /* by number: the known keys that it has */
} key_level;

typedef struct qd_json_keys {
    known_key *expected; /* never NULL */
    known_key *last;     /* while known */
    known_keys *known;   /* NULL during the first input, or for want of memory */
    key_level *level;    /* by depth */
    uint32_t levels;     /* their number */
    uint64_t *hashes;
    size_t n, cap;
    uint64_t *table; /* 0 = empty */
    size_t mask, in_table;
    qd_account *account;
} qd_json_keys;

/* Room for the bits of a depth; false: out of memory. */
bool qdi_json_keys_room(qd_json_reader *r, uint32_t depth);
/* Takes the hashes of an object that ends out of the table, and off the stack. */
void qdi_json_keys_drop(qd_json_keys *k, uint32_t depth);
/* The key r->text with its hash: 1 new, 0 given twice, -1 out of memory. */
int qdi_json_keys_add(qd_json_reader *r, uint64_t hash);

QD_INLINE bool keys_has_room(const qd_json_keys *k, uint32_t depth)
{
    return k && depth < k->levels;
}

/* An object or array begins; there is room for its depth. */
QD_INLINE void keys_open(qd_json_keys *k, uint32_t depth)
{
    k->level[depth] = (key_level){.start = k->n};
}

/* Has the innermost object keys that go by their hashes? */
QD_INLINE bool keys_hashed(const qd_json_keys *k, uint32_t depth)
{
    return k->n != k->level[depth].start;
}

/* The known key that stands at at, with SCAN_PAIR readable bytes, if it is the expected one. */
QD_INLINE known_key *keys_expected(const qd_json_keys *k, const char *at)
{
    known_key *e = k->expected;
    return (scan_same(at, e->text) & e->mask) == e->mask ? e : NULL;
}

/* Is it e that stands at at, of which n bytes may be read? */
QD_INLINE bool keys_is(const known_key *e, const char *at, size_t n)
{
    return e->mask != KNOWN_NEVER && n > e->n && memcmp(at, e->text, (size_t)e->n + 1) == 0;
}

/* Notes a known key; false: given twice. */
QD_INLINE bool keys_note(qd_json_keys *k, uint32_t depth, known_key *e)
{
    uint64_t *word = &k->level[depth].known[e->word];
    if (QD_UNLIKELY(*word & e->bit)) return false;
    *word |= e->bit;
    k->last = e;
    k->expected = &k->known->at[e->next];
    return true;
}

#endif
