/* store_crash_disk.c: inodes, names, and what a power loss leaves of them. */
#include "base/hash.h"
#include "base/str.h"
#include "lib/store_crash_int.h"
#include "runtime/env.h"
#include <stdio.h>
#include <stdlib.h>

#define LATE_US 1000 /* of QD_TEST_TIER=late */
#define SECTOR 512u

static void *xrealloc(void *p, size_t n)
{
    p = realloc(p, n ? n : 1);
    if (!p) abort();
    return p;
}

static char *xname(qd_str s)
{
    char *p = xrealloc(NULL, s.n + 1);
    memcpy(p, s.p, s.n);
    p[s.n] = 0;
    return p;
}

int disk_step(store_crash *d, uint32_t kind)
{
    if (d->off) return QD_E_IO;
    if (kind != STORE_CRASH_READS) {
        d->steps++;
        if (d->off_at && --d->off_at == 0) {
            d->off = true;
            return QD_E_IO;
        }
    }
    if (!(d->fail_kinds & kind)) return 0;
    d->fail_seen++;
    if (d->fail_at &&
        (d->fail_seen == d->fail_at || (d->fail_sticky && d->fail_seen > d->fail_at))) {
        return d->fail_code;
    }
    return 0;
}

inode *disk_inode(store_crash *d, uint32_t type)
{
    inode *i = xrealloc(NULL, sizeof *i);
    *i = (inode){.refs = 1, .type = type, .serial = ++d->serials};
    return i;
}

inode *inode_ref(inode *i)
{
    i->refs++;
    return i;
}

void inode_unref(store_crash *d, inode *i)
{
    if (!i || --i->refs > 0) return;
    d->used -= i->len;
    free(i->data);
    free(i->dirty);
    free(i->lost);
    free(i);
}

static void add_span(span **list, size_t *n, size_t *cap, uint64_t from, uint64_t to)
{
    if (*n && (*list)[*n - 1].to == from) {
        (*list)[*n - 1].to = to;
        return;
    }
    if (*n == *cap) {
        *cap = *cap ? *cap * 2 : 8;
        *list = xrealloc(*list, *cap * sizeof **list);
    }
    (*list)[(*n)++] = (span){from, to};
}

static void add_dirty(inode *i, uint64_t from, uint64_t to)
{
    add_span(&i->dirty, &i->ndirty, &i->dirty_cap, from, to);
}

static void put_bytes(store_crash *d, inode *i, const void *p, size_t n)
{
    if (n == 0) return;
    if (i->len + n > i->cap) {
        i->cap = i->cap * 2 > i->len + n ? i->cap * 2 : i->len + n;
        i->data = xrealloc(i->data, i->cap);
    }
    memcpy(i->data + i->len, p, n);
    add_dirty(i, i->len, i->len + n);
    i->len += n;
    d->used += n;
}

int disk_append(store_crash *d, inode *i, const void *p, size_t n)
{
    uint64_t cap = d->options.capacity ? d->options.capacity : 1ull << 40;
    int rc = disk_step(d, STORE_CRASH_WRITES);
    if (!rc && n > cap - (d->used < cap ? d->used : cap)) rc = QD_E_NOSPACE;
    if (rc == QD_E_NOSPACE) {
        uint64_t room = d->used < cap ? cap - d->used : 0;
        put_bytes(d, i, p, n / 2 < room ? n / 2 : (size_t)room);
    } else if (rc) {
        put_bytes(d, i, p, n / 2);
    } else {
        put_bytes(d, i, p, n);
    }
    return rc;
}

int disk_sync_upto(store_crash *d, inode *i, uint64_t upto, uint32_t mutant)
{
    int rc = disk_step(d, STORE_CRASH_SYNCS);
    size_t kept = 0;
    if (d->off || (!rc && d->options.mutants & mutant)) return rc;
    for (size_t k = 0; k < i->ndirty; k++) {
        span s = i->dirty[k];
        uint64_t to = s.to < upto ? s.to : upto;
        /* said once; from now on the pages are clean, and no sync writes them */
        if (rc && s.from < to) add_span(&i->lost, &i->nlost, &i->lost_cap, s.from, to);
        if (s.to > upto) i->dirty[kept++] = (span){s.from > upto ? s.from : upto, s.to};
    }
    i->ndirty = kept;
    if (!rc) i->synced_len = upto < i->len ? upto : i->len;
    return rc;
}

int disk_sync(store_crash *d, inode *i, uint32_t mutant)
{
    return disk_sync_upto(d, i, UINT64_MAX, mutant);
}

void disk_medium(const inode *i, const qd_storage_range *g)
{
    for (size_t k = 0; k < i->nlost; k++) {
        uint64_t from = i->lost[k].from, to = i->lost[k].to;
        if (from < g->offset) from = g->offset;
        if (to > g->offset + g->len) to = g->offset + g->len;
        if (from < to) memset((char *)g->dst + (from - g->offset), 0, to - from);
    }
}

int disk_cut(store_crash *d, inode *i, uint64_t len)
{
    int rc = disk_step(d, STORE_CRASH_WRITES);
    if (rc) return rc;
    if (len < i->len) {
        d->used -= i->len - len;
        i->len = len;
    }
    for (size_t k = 0; k < i->ndirty; k++) {
        if (i->dirty[k].to > len) i->dirty[k].to = len;
        if (i->dirty[k].from > len) i->dirty[k].from = len;
    }
    for (size_t k = 0; k < i->nlost; k++) {
        if (i->lost[k].to > len) i->lost[k].to = len;
        if (i->lost[k].from > len) i->lost[k].from = len;
    }
    return disk_sync(d, i, STORE_CRASH_NO_LOG_SYNC);
}

/* ---- names ---------------------------------------------------------------------------------- */

static int order(const char *a, qd_str b)
{
    return qd_str_cmp(qd_str_c(a), b);
}

size_t names_lower(const name_table *t, qd_str name)
{
    size_t lo = 0, hi = t->n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (order(t->at[mid].name, name) < 0) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

static void names_set(store_crash *d, name_table *t, qd_str name, inode *node)
{
    size_t i = names_lower(t, name);
    bool there = i < t->n && order(t->at[i].name, name) == 0;
    if (node) node->refs++;
    if (there) {
        inode *old = t->at[i].node;
        t->at[i].node = node;
        if (!node) {
            free(t->at[i].name);
            memmove(&t->at[i], &t->at[i + 1], (t->n - i - 1) * sizeof *t->at);
            t->n--;
        }
        inode_unref(d, old);
        return;
    }
    if (!node) return;
    if (t->n == t->cap) {
        t->cap = t->cap ? t->cap * 2 : 32;
        t->at = xrealloc(t->at, t->cap * sizeof *t->at);
    }
    memmove(&t->at[i + 1], &t->at[i], (t->n - i) * sizeof *t->at);
    t->at[i] = (entry){xname(name), node};
    t->n++;
}

inode *disk_find(store_crash *d, qd_str name)
{
    size_t i = names_lower(&d->now, name);
    return i < d->now.n && order(d->now.at[i].name, name) == 0 ? d->now.at[i].node : NULL;
}

static void add_change(store_crash *d, qd_str name, inode *node, uint32_t group)
{
    if (d->nchanges == d->changes_cap) {
        d->changes_cap = d->changes_cap ? d->changes_cap * 2 : 32;
        d->changes = xrealloc(d->changes, d->changes_cap * sizeof *d->changes);
    }
    d->changes[d->nchanges++] = (change){xname(name), node ? inode_ref(node) : NULL, group};
}

static void keep_for_recycling(store_crash *d, inode *i)
{
    if (!i || i->type != QD_STORAGE_LOG) return;
    inode_unref(d, d->recycled);
    d->recycled = inode_ref(i);
}

int disk_link(store_crash *d, qd_str name, inode *node)
{
    int rc = disk_step(d, STORE_CRASH_WRITES);
    if (rc) return rc;
    if (!node) keep_for_recycling(d, disk_find(d, name));
    add_change(d, name, node, ++d->groups);
    names_set(d, &d->now, name, node);
    return 0;
}

int disk_rename(store_crash *d, qd_str from, qd_str to)
{
    int rc = disk_step(d, STORE_CRASH_WRITES);
    if (rc) return rc;
    inode *i = inode_ref(disk_find(d, from));
    uint32_t group = ++d->groups;
    add_change(d, to, i, group);
    add_change(d, from, NULL, group);
    names_set(d, &d->now, to, i);
    names_set(d, &d->now, from, NULL);
    inode_unref(d, i);
    return 0;
}

qd_str folder_of(qd_str name)
{
    for (size_t i = name.n; i > 0; i--) {
        if (name.p[i - 1] == '/') return (qd_str){name.p, i - 1};
    }
    return (qd_str){"", 0};
}

bool in_folder(const char *name, qd_str folder)
{
    return qd_str_eq(folder_of(qd_str_c(name)), folder);
}

/* A rename is durable as a whole when either of its folders is synced: as journaling file systems
 * have it. Hence the whole group goes. */
static bool group_in_folder(const store_crash *d, uint32_t group, qd_str folder)
{
    for (size_t i = 0; i < d->nchanges; i++) {
        if (d->changes[i].group == group && in_folder(d->changes[i].name, folder)) return true;
    }
    return false;
}

int disk_sync_dir(store_crash *d, qd_str folder)
{
    int rc = disk_step(d, STORE_CRASH_SYNCS);
    if (rc) return rc;
    if (d->options.mutants & STORE_CRASH_NO_DIR_SYNC) return 0;
    size_t keep = 0;
    bool *take = xrealloc(NULL, d->nchanges + 1);
    for (size_t i = 0; i < d->nchanges; i++) {
        take[i] = group_in_folder(d, d->changes[i].group, folder);
    }
    for (size_t i = 0; i < d->nchanges; i++) {
        change c = d->changes[i];
        if (!take[i]) {
            d->changes[keep++] = c;
            continue;
        }
        names_set(d, &d->durable, qd_str_c(c.name), c.node);
        inode_unref(d, c.node);
        free(c.name);
    }
    d->nchanges = keep;
    free(take);
    return 0;
}

/* ---- the crash ------------------------------------------------------------------------------- */

/* What one unsynced sector looks like afterwards. */
static void crash_sector(store_crash *d, qd_prng *r, const inode *i, uint64_t from, uint64_t to)
{
    uint64_t dice = qd_prng_below(r, 100);
    if (dice < 40) return; /* it was written */
    const inode *old = i->type == QD_STORAGE_LOG ? d->recycled : NULL;
    if (old && old->len >= to && dice < 70) {
        memcpy(i->data + from, old->data + from, to - from);
    } else if (dice < 90) {
        memset(i->data + from, 0, to - from);
    } else {
        for (uint64_t k = from; k < to; k++) i->data[k] = (uint8_t)qd_prng_u64(r);
    }
}

/* What no sync wrote is not there: zeros, or an earlier life of the blocks. */
static void crash_lost(store_crash *d, qd_prng *r, inode *i)
{
    if (!i->nlost) return;
    uint8_t *copy = xrealloc(NULL, i->len);
    memcpy(copy, i->data, i->len);
    free(i->data);
    i->data = copy;
    i->cap = i->len;
    for (size_t k = 0; k < i->nlost; k++) {
        uint64_t from = i->lost[k].from, n = i->lost[k].to - from;
        const inode *old = i->type == QD_STORAGE_LOG ? d->recycled : NULL;
        if (old && old->len >= from + n && qd_prng_below(r, 2)) {
            memcpy(i->data + from, old->data + from, n);
        } else {
            memset(i->data + from, 0, n);
        }
    }
    i->nlost = 0;
}

/* Length first, then sector by sector; taste 0: all there, 1: cut only, 2: everything. */
static void crash_inode(store_crash *d, qd_prng *r, inode *i)
{
    crash_lost(d, r, i);
    if (i->ndirty == 0) return;
    uint64_t first = i->dirty[0].from, len = i->len;
    uint32_t taste = (uint32_t)qd_prng_below(r, 3);
    if (taste > 0 && qd_prng_below(r, 2)) {
        len = first + qd_prng_below(r, len - first + 1);
        if (qd_prng_below(r, 2)) len = len / SECTOR * SECTOR;
        if (len < first) len = first;
    }
    uint8_t *copy = xrealloc(NULL, len); /* a mapping of before keeps the bytes of before */
    if (len) memcpy(copy, i->data, len);
    free(i->data);
    d->used -= i->len - len;
    i->data = copy;
    i->len = i->cap = len;
    for (size_t k = 0; taste == 2 && k < i->ndirty; k++) {
        uint64_t at = i->dirty[k].from;
        while (at < i->dirty[k].to && at < len) {
            uint64_t to = (at / SECTOR + 1) * SECTOR;
            if (to > i->dirty[k].to) to = i->dirty[k].to;
            if (to > len) to = len;
            crash_sector(d, r, i, at, to);
            at = to;
        }
    }
    i->ndirty = 0;
    i->synced_len = len;
}

static void drop_changes(store_crash *d)
{
    for (size_t i = 0; i < d->nchanges; i++) {
        inode_unref(d, d->changes[i].node);
        free(d->changes[i].name);
    }
    d->nchanges = 0;
}

/* Some of the unsynced changes of names happened, in order; halves of a rename together. */
static void crash_names(store_crash *d, qd_prng *r)
{
    uint32_t taste = (uint32_t)qd_prng_below(r, 3); /* all, none, some */
    uint32_t group = 0;
    bool keep = false;
    for (size_t i = 0; i < d->nchanges; i++) {
        change *c = &d->changes[i];
        if (c->group != group) keep = taste == 0 || (taste == 2 && qd_prng_below(r, 2));
        group = c->group;
        if (keep) names_set(d, &d->durable, qd_str_c(c->name), c->node);
    }
    drop_changes(d);
}

static void names_clear(store_crash *d, name_table *t)
{
    for (size_t i = 0; i < t->n; i++) {
        inode_unref(d, t->at[i].node);
        free(t->at[i].name);
    }
    free(t->at);
    *t = (name_table){0};
}

static void power_on(store_crash *d)
{
    d->off = false;
    d->off_at = 0;
    d->fail_at = 0;
    d->fail_kinds = 0;
}

void store_crash_crash(store_crash *d, uint64_t seed)
{
    qd_prng r;
    qd_prng_init(&r, seed);
    qd_assert(d->handles == 0);
    crash_names(d, &r);
    names_clear(d, &d->now);
    for (size_t i = 0; i < d->durable.n; i++) {
        inode *node = d->durable.at[i].node;
        crash_inode(d, &r, node);
        names_set(d, &d->now, qd_str_c(d->durable.at[i].name), node);
    }
    power_on(d);
}

void store_crash_kill(store_crash *d)
{
    qd_assert(d->handles == 0);
    power_on(d);
}

store_crash *store_crash_make(const store_crash_options *o)
{
    store_crash *d = xrealloc(NULL, sizeof *d);
    memset(d, 0, sizeof *d);
    pthread_mutex_init(&d->lock, NULL);
    if (o) d->options = *o;
    const char *tier = getenv("QD_TEST_TIER");
    if (tier && (strcmp(tier, "copies") == 0 || strcmp(tier, "late") == 0)) {
        d->options.copies = true;
        if (tier[0] == 'l' && !d->options.late_us) d->options.late_us = LATE_US;
    }
    d->options.adverse |= tier && strcmp(tier, "adverse") == 0;
    if (d->options.adverse) {
        d->options.copies = true;
        if (!d->options.late_us) d->options.late_us = LATE_US / 20;
    }
    return d;
}

void store_crash_free(store_crash *d)
{
    if (!d) return;
    qd_assert(d->handles == 0);
    late_stop(d);
    drop_changes(d);
    names_clear(d, &d->now);
    names_clear(d, &d->durable);
    inode_unref(d, d->recycled);
    free(d->changes);
    pthread_mutex_destroy(&d->lock);
    free(d);
}

uint64_t store_crash_digest(store_crash *d)
{
    qd_xxh3_stream s;
    qd_xxh3_begin(&s);
    for (size_t i = 0; i < d->now.n; i++) {
        const entry *e = &d->now.at[i];
        qd_xxh3_update(&s, e->name, strlen(e->name) + 1);
        qd_xxh3_update(&s, &e->node->len, 8);
        if (e->node->len) qd_xxh3_update(&s, e->node->data, e->node->len);
    }
    return qd_xxh3_digest(&s);
}
