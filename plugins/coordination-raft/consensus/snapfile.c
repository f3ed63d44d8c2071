/* snapfile.c: see snapfile.h. */
#include "snapfile.h"
#include "mutants.h"
#include "wal.h"
#include <stdio.h>

enum { MAGIC = 0x46534451 /* "QDSF" */, VERSION = 1, HEAD = 64, KEEP = 2 };
#define ASIDE "snapshot.tmp"
#define TAIL ".snap"
typedef unsigned long long llu;

static void name_of(uint64_t index, uint64_t term, char out[CR_NAME_MAX])
{
    snprintf(out, CR_NAME_MAX, "%016llx-%016llx" TAIL, (llu)index, (llu)term);
}

static int hex(const char *s, uint64_t *out)
{
    *out = 0;
    for (int i = 0; i < 16; i++) {
        char c = s[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return 0;
        *out = *out << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return 1;
}

static int32_t fail(cr_disk *d, int32_t rc, const char *what, const char *name, char *why)
{
    char words[128];
    d->words(d, words, sizeof words);
    snprintf(why, CR_WAL_WHY, "%s %s: %s", what, name, words);
    return rc;
}

/* --- which are there --- */

static void on_name(void *arg, const char *name, uint64_t size)
{
    cr_snap_list *l = arg;
    uint64_t index, term;
    (void)size;
    if (strlen(name) != 33 + sizeof TAIL - 1 || name[16] != '-' || strcmp(name + 33, TAIL) != 0 ||
        !hex(name, &index) || !hex(name + 17, &term))
        return;
    uint32_t i = l->n < CR_SNAPS_MAX ? l->n++ : CR_SNAPS_MAX;
    for (; i && (l->at[i - 1].index < index ||
                 (l->at[i - 1].index == index && l->at[i - 1].term < term));
         i--)
        if (i < CR_SNAPS_MAX) l->at[i] = l->at[i - 1];
    if (i == CR_SNAPS_MAX) return;
    l->at[i].index = index;
    l->at[i].term = term;
}

int32_t cr_snap_find(cr_disk *d, cr_snap_list *out, char *why)
{
    out->n = 0;
    int32_t rc = d->list(d, on_name, out);
    if (rc) return fail(d, rc, "listing", "the snapshots", why);
    (void)d->remove(d, ASIDE);
    (void)d->remove(d, CR_INCOMING_NAME);
    return 0;
}

void cr_snap_clean(cr_disk *d, uint64_t sent)
{
    cr_snap_list l = {.n = 0};
    if (d->list(d, on_name, &l)) return;
    for (uint32_t i = KEEP; i < l.n; i++) {
        char name[CR_NAME_MAX];
        if (l.at[i].index == sent) continue;
        name_of(l.at[i].index, l.at[i].term, name);
        (void)d->remove(d, name);
    }
}

void cr_snap_clear(const cr_heap *h, cr_snap *s)
{
    cr_members_drop(s->members);
    cr_free(h, s->content);
    *s = (cr_snap){0};
}

/* --- writing --- */

typedef struct sums {
    const cr_heap *heap;
    cr_bytes table;
    uint8_t *block;
    size_t at;
} sums;

static void sums_add(sums *s, const uint8_t *p, size_t n)
{
    while (n) {
        size_t k = CR_SNAP_BLOCK - s->at < n ? CR_SNAP_BLOCK - s->at : n;
        memcpy(s->block + s->at, p, k);
        s->at += k;
        p += k;
        n -= k;
        if (s->at < CR_SNAP_BLOCK) continue;
        cr_put64(&s->table, cr_sum64(s->block, s->at, s->table.n / 8));
        s->at = 0;
    }
}

static void sums_end(sums *s)
{
    if (s->at) cr_put64(&s->table, cr_sum64(s->block, s->at, s->table.n / 8));
    cr_put64(&s->table, cr_sum64(s->table.p, s->table.n, MAGIC));
}

/* The head: u32 magic, u32 version, 16 cluster, u64 index, u64 term, u64 content bytes, u32 bytes
 * of members, u32 of a block, u64 0; members; zeros to a multiple of 8; u64 XXH3 of all that. */
static void write_head(const uint8_t cluster[16], uint64_t index, uint64_t term, uint64_t content,
                       const cr_members *m, cr_bytes *out)
{
    cr_bytes list = {.heap = out->heap};
    cr_members_write(m, &list);
    cr_put32(out, MAGIC);
    cr_put32(out, VERSION);
    cr_put(out, cluster, 16);
    cr_put64(out, index);
    cr_put64(out, term);
    cr_put64(out, content);
    cr_put32(out, (uint32_t)list.n);
    cr_put32(out, CR_SNAP_BLOCK);
    cr_put64(out, 0);
    cr_put(out, list.p, list.n);
    while (out->n % 8) cr_put8(out, 0);
    cr_put64(out, cr_sum64(out->p, out->n, MAGIC));
    cr_bytes_free(&list);
}

static int32_t write_file(cr_file *f, sums *s, cr_bytes *head, const cr_pieces *pieces)
{
    cr_disk *d = f->disk;
    int32_t rc = d->write(f, 0, head->p, head->n);
    uint64_t at = head->n;
    for (uint32_t i = 0; rc == 0 && i < pieces->n; i++) {
        rc = d->write(f, at, pieces->at[i].p, pieces->at[i].n);
        at += pieces->at[i].n;
        sums_add(s, pieces->at[i].p, pieces->at[i].n);
    }
    sums_end(s);
    if (rc == 0) rc = d->write(f, at, s->table.p, s->table.n);
    return rc ? rc : d->sync(f);
}

static int32_t to_name(cr_disk *d, const char *from, uint64_t index, uint64_t term)
{
    char name[CR_NAME_MAX];
    name_of(index, term, name);
    int32_t rc = d->rename(d, from, name);
    return rc ? rc : d->sync_names(d);
}

int32_t cr_snap_write(cr_disk *d, const cr_heap *h, const uint8_t cluster[16], uint64_t index,
                      uint64_t term, const cr_members *members, const cr_pieces *pieces, char *why)
{
    uint64_t content = 0;
    cr_file *f;
    cr_bytes head = {.heap = h};
    for (uint32_t i = 0; i < pieces->n; i++) content += pieces->at[i].n;
    write_head(cluster, index, term, content, members, &head);
    int32_t rc = d->create(d, ASIDE, 0, &f);
    if (rc == 0) {
        sums s = {.heap = h, .table = {.heap = h}, .block = cr_must(h, CR_SNAP_BLOCK)};
        rc = write_file(f, &s, &head, pieces);
        d->close(f);
        cr_bytes_free(&s.table);
        cr_free(h, s.block);
    }
    cr_bytes_free(&head);
    if (rc == 0) rc = to_name(d, ASIDE, index, term);
    if (rc == 0) return 0;
    fail(d, rc, "writing", "a snapshot", why);
    (void)d->remove(d, ASIDE);
    return rc;
}

/* --- reading --- */

typedef struct place {
    const char *name;
    char *why;
} place;
#define DAMAGED(p, at, what)                                                                       \
    (snprintf((p)->why, CR_WAL_WHY, "%s at offset %llu: %s", (p)->name, (llu)(at), what),          \
     QD_E_CORRUPT)

static int32_t read_exactly(cr_file *f, uint64_t at, void *out, size_t n, const place *p)
{
    size_t got;
    int32_t rc = f->disk->read(f, at, out, n, &got);
    if (rc) return fail(f->disk, rc, "reading", p->name, p->why);
    return got == n ? 0 : DAMAGED(p, at + got, "the snapshot ends here, too early");
}

static int32_t read_head(cr_file *f, const cr_heap *h, const uint8_t cluster[16], cr_snap *s,
                         uint64_t *content, uint64_t *begin, const place *p)
{
    uint8_t head[HEAD];
    int32_t rc = read_exactly(f, 0, head, HEAD, p);
    if (rc) return rc;
    uint32_t members = cr_load32(head + 48);
    if (cr_load32(head) != MAGIC || members > 1 << 20) return DAMAGED(p, 0, "the head is damaged");
    size_t n = (HEAD + members + 7ull) & ~7ull;
    uint8_t *all = cr_must(h, n + 8);
    rc = read_exactly(f, 0, all, n + 8, p);
    if (rc == 0 && cr_load64(all + n) != cr_sum64(all, n, MAGIC))
        rc = DAMAGED(p, 0, "the head is damaged");
    if (rc == 0 && cr_load32(head + 4) != VERSION)
        rc = DAMAGED(p, 4, "a version that this program does not read");
    if (rc == 0 && (memcmp(head + 8, cluster, 16) != 0 || cr_load64(head + 24) != s->index ||
                    cr_load64(head + 32) != s->term))
        rc = DAMAGED(p, 8, "a snapshot of another cluster or place");
    s->members = rc ? NULL : cr_members_read(h, all + HEAD, members);
    if (rc == 0 && !s->members) rc = DAMAGED(p, HEAD, "malformed members");
    cr_free(h, all);
    *content = cr_load64(head + 40);
    *begin = n + 8;
    return rc;
}

static int32_t read_content(cr_file *f, const cr_heap *h, uint64_t begin, uint64_t content,
                            int keep, cr_snap *s, const place *p)
{
    uint64_t blocks = content / CR_SNAP_BLOCK + (content % CR_SNAP_BLOCK != 0);
    uint8_t *table = cr_must(h, blocks * 8 + 8);
    uint8_t *block = keep ? NULL : cr_must(h, CR_SNAP_BLOCK);
    int32_t rc = read_exactly(f, begin + content, table, blocks * 8 + 8, p);
    if (rc == 0 && cr_load64(table + blocks * 8) != cr_sum64(table, blocks * 8, MAGIC))
        rc = DAMAGED(p, begin + content, "the table of checksums is damaged");
    if (rc == 0 && keep) s->content = cr_must(h, content);
    for (uint64_t i = 0; rc == 0 && i < blocks; i++) {
        uint64_t at = i * CR_SNAP_BLOCK;
        size_t n = content - at < CR_SNAP_BLOCK ? content - at : CR_SNAP_BLOCK;
        uint8_t *to = keep ? s->content + at : block;
        rc = read_exactly(f, begin + at, to, n, p);
        if (rc == 0 && cr_sum64(to, n, i) != cr_load64(table + i * 8))
            rc = DAMAGED(p, begin + at, "the snapshot is damaged in the MiB that begins here");
    }
    s->n = content;
    s->total = begin + content + blocks * 8 + 8;
    cr_free(h, block);
    cr_free(h, table);
    return rc;
}

static int32_t load_named(cr_disk *d, const cr_heap *h, const uint8_t cluster[16], const char *name,
                          int with_content, cr_snap *out, char *why)
{
    cr_file *f;
    uint64_t content, begin;
    place p = {name, why};
    int32_t rc = d->open(d, name, &f);
    if (rc) return fail(d, rc, "opening", name, why);
    rc = read_head(f, h, cluster, out, &content, &begin, &p);
    if (rc == 0 && content > 1ull << 40) rc = DAMAGED(&p, 40, "no size of a snapshot");
    if (rc == 0) { /* what is not there cannot be asked memory for */
        uint8_t byte;
        rc = read_exactly(f, begin + content, &byte, 1, &p);
    }
    if (rc == 0) rc = read_content(f, h, begin, content, with_content, out, &p);
    d->close(f);
    if (rc) cr_snap_clear(h, out);
    return rc;
}

int32_t cr_snap_load(cr_disk *d, const cr_heap *h, const uint8_t cluster[16], uint64_t index,
                     uint64_t term, int with_content, cr_snap *out, char *why)
{
    char name[CR_NAME_MAX];
    name_of(index, term, name);
    *out = (cr_snap){.index = index, .term = term};
    return load_named(d, h, cluster, name, with_content, out, why);
}

int32_t cr_snap_chunk(cr_disk *d, uint64_t index, uint64_t term, uint64_t offset, uint8_t *p,
                      uint32_t n, uint32_t *got, uint64_t *total)
{
    char name[CR_NAME_MAX];
    cr_file *f;
    uint8_t head[HEAD];
    size_t k = 0;
    name_of(index, term, name);
    int32_t rc = d->open(d, name, &f);
    if (rc) return rc;
    rc = d->read(f, 0, head, HEAD, &k);
    uint64_t content = rc == 0 && k == HEAD ? cr_load64(head + 40) : 0;
    uint64_t members = rc == 0 && k == HEAD ? cr_load32(head + 48) : 0;
    *total = ((HEAD + members + 7) & ~7ull) + 8 + content +
             8 * (content / CR_SNAP_BLOCK + (content % CR_SNAP_BLOCK != 0)) + 8;
    if (rc == 0) rc = d->read(f, offset, p, n, &k);
    d->close(f);
    *got = (uint32_t)k;
    return rc;
}

/* --- coming in --- */

int32_t cr_snap_take(cr_disk *d, uint64_t offset, uint64_t total, const uint8_t *p, uint32_t n,
                     char *why)
{
    cr_file *f;
    (void)total;
    int32_t rc = offset ? d->open(d, CR_INCOMING_NAME, &f) : d->create(d, CR_INCOMING_NAME, 0, &f);
    if (rc == 0) {
        rc = d->write(f, offset, p, n);
        if (rc == 0) rc = d->sync(f);
        d->close(f);
    }
    return rc ? fail(d, rc, "writing", CR_INCOMING_NAME, why) : 0;
}

int32_t cr_snap_install(cr_disk *d, const cr_heap *h, const uint8_t cluster[16], uint64_t index,
                        uint64_t term, cr_snap *out, char *why)
{
    *out = (cr_snap){.index = index, .term = term};
    int32_t rc = load_named(d, h, cluster, CR_INCOMING_NAME, 1, out, why);
    if (rc == 0) {
        rc = to_name(d, CR_INCOMING_NAME, index, term);
        if (rc) fail(d, rc, "naming", "a snapshot", why);
    }
    if (rc) {
        (void)d->remove(d, CR_INCOMING_NAME);
        cr_snap_clear(h, out);
    }
    return rc;
}
