/*
 * format.h: what tests of coordination-k8s's formats share: jansson's memory, counted and failing
 * on request, numbers by a seed, and a root with something in it.
 */
#ifndef QD_TESTS_COORDINATION_K8S_FORMAT_H
#define QD_TESTS_COORDINATION_K8S_FORMAT_H

#include "unit/coordination/heap.h"
#include "unit/unit.h"
#include <coordination-k8s/format/page.h>

static long json_blocks, json_fail; /* json_fail: so many allocations from now fails; 0: none */

static inline void *json_block(size_t n)
{
    if (json_fail && --json_fail == 0) return NULL;
    json_blocks++;
    return malloc(n);
}

static inline void json_unblock(void *p)
{
    json_blocks -= p != NULL;
    free(p);
}

/* Before the first use of jansson. */
static inline void json_count(void)
{
    json_set_alloc_funcs(json_block, json_unblock);
}

/* Everything was given back. */
static inline void memory_check(void)
{
    assert_int_equal(json_blocks, 0);
    assert_int_equal(unit_blocks, 0);
}

static inline uint64_t dice(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed * 0x2545f4914f6cdd1dull;
}

/* Bytes that do not pack (plain 0), or a few letters. */
static inline void fill(uint64_t *seed, uint8_t *p, size_t n, int plain)
{
    for (size_t i = 0; i < n; i++)
        p[i] = plain ? (uint8_t)('a' + dice(seed) % 4) : (uint8_t)(dice(seed) >> 32);
}

static const ck_site site = {"default", "quidditch", {"quidditch", 9}, {1, 2, 3}};

/* A root as after a few commits: `entries` of random lengths, a checkpoint in their middle. */
static inline ck_root *sample_root(uint64_t seed, uint64_t entries, size_t length_max)
{
    static const char uid[] = "0b3c8d52-7f2a-4c7e-9d3b-2f6a1c5e8d90";
    const cr_heap *h = unit_heap();
    ck_root *r = ck_root_make(h);
    uint8_t *bytes = malloc(length_max + 1);
    ck_hash pages[CK_PAGES] = {{{0}}};
    memcpy(r->uid, uid, sizeof uid);
    memcpy(r->version, "4711", 5);
    for (int i = 0; i < 16; i++) r->store_id[i] = r->history_id[i] = (uint8_t)(17 * i + 1);
    r->state = 1;
    r->epoch = 1;
    r->leader.id = 0x1122334455667788;
    r->leader.term = 1;
    memcpy(r->leader.name, "node-1", 7);
    memcpy(r->leader.address, "10.0.0.1:9300", 14);
    for (uint64_t i = 0; i < seed % (CK_SPEAKERS + 2); i++) {
        char name[32], address[32];
        snprintf(name, sizeof name, "node-%d", (int)i + 1);
        snprintf(address, sizeof address, "10.0.0.%d:9300", (int)i + 1);
        ck_root_speaker_add(r, r->leader.id + i, name, address, r->leader.id + i / 2);
    }
    for (uint64_t i = 1; i <= entries; i++) {
        size_t n = 1 + dice(&seed) % length_max;
        fill(&seed, bytes, n, (int)(dice(&seed) % 2));
        if (dice(&seed) % 8 == 0) r->leader.term++;
        ck_entry *e = ck_entry_make(h, i, r->leader.term, dice(&seed) | 1, bytes, n);
        if (!ck_root_room(r, &site, e)) {
            for (int k = 0; k < CK_PAGES; k += 3) pages[k].b[k % 32] = (uint8_t)i;
            ck_root_checkpoint(r, r->index - r->ntail / 2, pages);
        }
        if (ck_root_room(r, &site, e))
            ck_root_push(r, e);
        else
            ck_entry_drop(e);
        r->shown = r->index;
        r->revision = r->index * 2;
    }
    free(bytes);
    return r;
}

/* A JSON as text. */
static inline size_t text_length(const json_t *j)
{
    return json_dumpb(j, NULL, 0, JSON_COMPACT);
}

#endif
