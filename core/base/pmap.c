/*
 * pmap.c: a hash array mapped trie (Bagwell 2001) with counted nodes. See pmap.h.
 *
 * A slot holds a node or, with its lowest bit set, an entry; two entries that agree in the bits
 * used so far stand in a node below. After TURN levels the bits of a hash are used up, and those of
 */
#include "base/pmap.h"
#include "base/hash.h"
#include "base/str.h"
#include <stdatomic.h>
#include <string.h>

#define BITS 5u
#define TURN 12u   /* levels of one hash */
#define LEVELS 60u /* no keys agree in the bits of five hashes */
#define ENTRY ((uintptr_t)1)

typedef uintptr_t slot;
typedef struct node {
    _Atomic int32_t refs;
    uint32_t bits; /* which of the 32 slots are taken */
    slot at[];
} node;

static qd_pmap_entry *entry_of(slot s)
{
    return s & ENTRY ? (qd_pmap_entry *)(s & ~ENTRY) : NULL;
}

static node *node_of(slot s)
{
    return (node *)s;
}

static uint32_t count(uint32_t bits)
{
    return (uint32_t)__builtin_popcount(bits);
}

/* The bit of a key at a level. */
static uint32_t bit_of(qd_str key, uint64_t hash, uint32_t level)
{
    uint64_t h = level < TURN ? hash : qd_xxh3_seed(key.p, key.n, level / TURN);
    return 1u << (h >> (BITS * (level % TURN)) & 31);
}

static uint32_t place(const node *n, uint32_t bit)
{
    return count(n->bits & (bit - 1));
}

static void ref(slot s)
{
    qd_pmap_entry *e = entry_of(s);
    atomic_fetch_add_explicit(e ? &e->refs : &node_of(s)->refs, 1, memory_order_relaxed);
}

static void unref(slot s, void (*drop)(void *))
{
    qd_pmap_entry *e = entry_of(s);
    node *n = e ? NULL : node_of(s);
    if (atomic_fetch_sub_explicit(e ? &e->refs : &n->refs, 1, memory_order_acq_rel) != 1) return;
    if (e && drop) drop(e->value);
    for (uint32_t i = 0; n && i < count(n->bits); i++) unref(n->at[i], drop);
    qd_free(e ? (void *)e : (void *)n);
}

void qd_pmap_init(qd_pmap *m, void (*drop)(void *value))
{
    *m = (qd_pmap){.drop = drop};
}

void qd_pmap_copy(qd_pmap *out, const qd_pmap *m)
{
    if (m->root) ref((slot)m->root);
    *out = *m;
}

void qd_pmap_fini(qd_pmap *m)
{
    if (m->root) unref((slot)m->root, m->drop);
    qd_pmap_init(m, m->drop);
}

void *qd_pmap_get(const qd_pmap *m, qd_str key)
{
    slot s = (slot)m->root;
    if (!s) return NULL;
    uint64_t hash = qd_xxh3(key.p, key.n);
    for (uint32_t level = 0; !(s & ENTRY); level++) {
        const node *n = node_of(s);
        uint32_t bit = bit_of(key, hash, level);
        if (!(n->bits & bit)) return NULL;
        s = n->at[place(n, bit)];
    }
    const qd_pmap_entry *e = entry_of(s);
    return e->hash == hash && qd_str_eq(qd_pmap_key(e), key) ? e->value : NULL;
}

/* --- changing ----------------------------------------------------------------------------------
 */

static node *make_node(uint32_t bits)
{
    node *n = qd_alloc(NULL, sizeof *n + count(bits) * sizeof *n->at);
    if (!n) return NULL;
    atomic_init(&n->refs, 1);
    n->bits = bits;
    return n;
}

static qd_pmap_entry *make_entry(qd_str key, uint64_t hash, void *value)
{
    qd_pmap_entry *e = key.n < UINT32_MAX ? qd_alloc(NULL, sizeof *e + key.n + 1) : NULL;
    if (!e) return NULL;
    atomic_init(&e->refs, 1);
    e->length = (uint32_t)key.n;
    e->hash = hash;
    e->value = value;
    if (key.n) memcpy(e->key, key.p, key.n);
    e->key[key.n] = 0;
    return e;
}

/* n with the slots `bits`: each is n's, with one reference more, but for that of `bit`, which is
 * `with` (its reference is taken over). NULL: out of memory. */
static node *remake(const node *n, uint32_t bits, uint32_t bit, slot with)
{
    node *made = make_node(bits);
    if (!made) return NULL;
    for (uint32_t left = bits, i = 0; left; left &= left - 1, i++) {
        uint32_t b = left & (~left + 1);
        if (b == bit) {
            made->at[i] = with;
        } else {
            made->at[i] = n->at[place(n, b)];
            ref(made->at[i]);
        }
    }
    return made;
}

/* A node with two entries of different keys; 0: out of memory. References are taken over. */
static slot pair(qd_pmap_entry *a, qd_pmap_entry *b, uint32_t level)
{
    if (level >= LEVELS) return 0;
    uint32_t x = bit_of(qd_pmap_key(a), a->hash, level);
    uint32_t y = bit_of(qd_pmap_key(b), b->hash, level);
    node *n = make_node(x | y);
    if (!n) return 0;
    if (x != y) {
        n->at[x > y] = (slot)a | ENTRY;
        n->at[x < y] = (slot)b | ENTRY;
        return (slot)n;
    }
    n->at[0] = pair(a, b, level + 1);
    if (n->at[0]) return (slot)n;
    qd_free(n);
    return 0;
}

typedef struct change {
    qd_str key;
    uint64_t hash;
    qd_pmap_entry *e; /* to put; NULL: to remove */
    bool grown, found, failed;
} change;

/* What an entry's slot becomes; 0: nothing, or c->failed. */
static slot change_entry(change *c, slot s, uint32_t level)
{
    qd_pmap_entry *had = entry_of(s);
    c->found = had->hash == c->hash && qd_str_eq(qd_pmap_key(had), c->key);
    if (c->found || !c->e) { /* a key that is to go and is not there: nobody asks for the result */
        if (c->e) atomic_fetch_add_explicit(&c->e->refs, 1, memory_order_relaxed);
        return c->e ? (slot)c->e | ENTRY : 0;
    }
    slot both = pair(had, c->e, level);
    c->failed = !both;
    if (!both) return 0;
    c->grown = true;
    ref(s);
    atomic_fetch_add_explicit(&c->e->refs, 1, memory_order_relaxed);
    return both;
}

static slot change_slot(change *c, slot s, uint32_t level);

/* What a node becomes, as another one: the map that had it shares the rest. */
static slot change_node(change *c, const node *n, uint32_t level)
{
    uint32_t bit = bit_of(c->key, c->hash, level);
    slot with = 0;
    if (n->bits & bit) {
        with = change_slot(c, n->at[place(n, bit)], level + 1);
        if (c->failed || (!c->e && !c->found)) return 0;
    } else {
        if (!c->e) return 0;
        c->grown = true;
        with = (slot)c->e | ENTRY;
        ref(with);
    }
    uint32_t bits = with ? n->bits | bit : n->bits & ~bit;
    if (!bits) return 0;
    /* an entry that is alone stands in the slot above */
    if (level && count(bits) == 1) {
        slot only = with ? with : n->at[place(n, bits)];
        if (only & ENTRY) {
            if (!with) ref(only);
            return only;
        }
    }
    node *made = remake(n, bits, bit, with);
    if (made) return (slot)made;
    c->failed = true;
    if (with) unref(with, NULL); /* the map that is changed has what it refers to, or the caller */
    return 0;
}

static slot change_slot(change *c, slot s, uint32_t level)
{
    return s & ENTRY ? change_entry(c, s, level) : change_node(c, node_of(s), level);
}

/* The root is a node, or NULL. */
static int change_root(qd_pmap *m, change *c)
{
    static const node none;
    slot now = change_node(c, m->root ? node_of((slot)m->root) : &none, 0);
    if (c->failed) return QD_E_NOMEM;
    if (!c->e && !c->found) return 0;
    if (m->root) unref((slot)m->root, m->drop);
    m->root = (void *)now;
    m->n = m->n + c->grown - (!c->e && c->found);
    return 0;
}

int qd_pmap_put(qd_pmap *m, qd_str key, void *value)
{
    qd_assert(value);
    change c = {.key = key, .hash = qd_xxh3(key.p, key.n)};
    c.e = make_entry(key, c.hash, value);
    if (!c.e) return QD_E_NOMEM;
    int rc = change_root(m, &c);
    unref((slot)c.e | ENTRY,
          NULL); /* the tree has its own reference, or the value stays the caller's */
    return rc;
}

int qd_pmap_del(qd_pmap *m, qd_str key)
{
    change c = {.key = key, .hash = qd_xxh3(key.p, key.n)};
    return m->root ? change_root(m, &c) : 0;
}

/* --- looking -----------------------------------------------------------------------------------
 */

static int each(slot s, int (*fn)(void *, const qd_pmap_entry *), void *arg)
{
    int rc = 0;
    if (s & ENTRY) return fn(arg, entry_of(s));
    const node *n = node_of(s);
    for (uint32_t i = 0; i < count(n->bits) && !rc; i++) rc = each(n->at[i], fn, arg);
    return rc;
}

int qd_pmap_each(const qd_pmap *m, int (*fn)(void *arg, const qd_pmap_entry *e), void *arg)
{
    return m->root ? each((slot)m->root, fn, arg) : 0;
}

typedef struct differing {
    int (*fn)(void *arg, const qd_pmap_entry *was, const qd_pmap_entry *is);
    void *arg;
    const qd_pmap_entry *but; /* stands on the other side alone, and has its pair here or none */
    bool swapped;             /* `but` is of b */
    bool met;
} differing;

static int tell(const differing *d, const qd_pmap_entry *was, const qd_pmap_entry *is)
{
    return was == is ? 0 : d->fn(d->arg, was, is);
}

/* An entry that a subtree of the other map is compared with. */
static int against(void *arg, const qd_pmap_entry *e)
{
    differing *d = arg;
    const qd_pmap_entry *o = d->but;
    bool same = o && o->hash == e->hash && qd_str_eq(qd_pmap_key(o), qd_pmap_key(e));
    d->met |= same;
    if (!same) o = NULL;
    return d->swapped ? tell(d, e, o) : tell(d, o, e);
}

/* One side is an entry, or nothing (0). */
static int diff_one(differing *d, slot one, slot tree, bool swapped)
{
    d->but = one ? entry_of(one) : NULL;
    d->swapped = swapped;
    d->met = false;
    int rc = tree ? each(tree, against, d) : 0;
    if (rc || d->met || !one) return rc;
    return swapped ? tell(d, NULL, entry_of(one)) : tell(d, entry_of(one), NULL);
}

static int diff(differing *d, slot a, slot b)
{
    if (a == b) return 0;
    if (!b || b & ENTRY) return diff_one(d, b, a, true);
    if (!a || a & ENTRY) return diff_one(d, a, b, false);
    const node *x = node_of(a), *y = node_of(b);
    int rc = 0;
    for (uint32_t left = x->bits | y->bits; left && !rc; left &= left - 1) {
        uint32_t bit = left & (~left + 1);
        rc = diff(d, x->bits & bit ? x->at[place(x, bit)] : 0,
                  y->bits & bit ? y->at[place(y, bit)] : 0);
    }
    return rc;
}

int qd_pmap_diff(const qd_pmap *a, const qd_pmap *b,
                 int (*fn)(void *arg, const qd_pmap_entry *was, const qd_pmap_entry *is), void *arg)
{
    differing d = {.fn = fn, .arg = arg};
    return diff(&d, (slot)a->root, (slot)b->root);
}
