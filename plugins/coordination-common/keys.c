/* keys.c: see keys.h. */
#include "keys.h"

void cr_keys_init(cr_keys *k, const cr_heap *h, uint64_t seed)
{
    *k = (cr_keys){.heap = h, .seed = seed};
}

void cr_keys_free(cr_keys *k)
{
    cr_key *e = k->first[0];
    while (e) {
        cr_key *next = e->next[0];
        cr_item_drop(e->item);
        cr_free(k->heap, e);
        e = next;
    }
    cr_keys_init(k, k->heap, k->seed);
}

/* Quarter of the entries on each next level. */
static int height_of(const cr_keys *k, qd_str key)
{
    uint64_t h = cr_sum64(key.p, key.n, k->seed) | 1ull << (2 * (CR_KEYS_HEIGHT - 1));
    return 1 + __builtin_ctzll(h) / 2;
}

/* The pointers that lead to the first entry not below key, of each level. */
static cr_key *descend(const cr_keys *k, qd_str key, cr_key **before[CR_KEYS_HEIGHT])
{
    cr_key **links = (cr_key **)k->first;
    for (int level = CR_KEYS_HEIGHT - 1; level >= 0; level--) {
        while (links[level] && cr_compare(cr_item_key(links[level]->item), key) < 0)
            links = links[level]->next;
        if (before) before[level] = &links[level];
    }
    return links[0];
}

cr_item *cr_keys_find(const cr_keys *k, qd_str key)
{
    const cr_key *e = descend(k, key, NULL);
    return e && cr_compare(cr_item_key(e->item), key) == 0 ? e->item : NULL;
}

const cr_key *cr_keys_seek(const cr_keys *k, qd_str from)
{
    return descend(k, from, NULL);
}

cr_item *cr_keys_put(cr_keys *k, cr_item *item)
{
    cr_key **before[CR_KEYS_HEIGHT];
    qd_str key = cr_item_key(item);
    cr_key *e = descend(k, key, before);
    if (e && cr_compare(cr_item_key(e->item), key) == 0) {
        cr_item *old = e->item;
        e->item = item;
        return old;
    }
    int height = height_of(k, key);
    e = cr_must(k->heap, sizeof *e + (size_t)height * sizeof e->next[0]);
    e->item = item;
    for (int i = 0; i < height; i++) {
        e->next[i] = *before[i];
        *before[i] = e;
    }
    k->n++;
    return NULL;
}

cr_item *cr_keys_take(cr_keys *k, qd_str key)
{
    cr_key **before[CR_KEYS_HEIGHT];
    cr_key *e = descend(k, key, before);
    if (!e || cr_compare(cr_item_key(e->item), key) != 0) return NULL;
    int height = height_of(k, key);
    for (int i = 0; i < height; i++) *before[i] = e->next[i];
    cr_item *item = e->item;
    cr_free(k->heap, e);
    k->n--;
    return item;
}
