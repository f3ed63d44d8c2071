/*
 * ids_read.c: look-ups: fingerprints from the table first, then the bytes of the few candidates.
 */
#include "segment/columns/column_walk_int.h"
#include "segment/ids/ids_format_int.h"
#include "segment/ids/ids_int.h"

#define MAGIC 0x51446964u
#define CONFIRM_MOST 16u /* buckets of a chain; a longer one is as good as none */
#define PER_ID_MOST 8u   /* ids whose buckets are fetched one by one where the tier cannot map */

struct qd_ids {
    uint32_t magic;
    qd_file *file;
    const qd_column *column;
    uint32_t docs;
    uint32_t buckets, entries;
    uint64_t bytes;
};

static int bad(const qd_ids *x, uint64_t at, qd_err *err, const char *what)
{
    return qd_file_corrupt(x->file, QDI_SEC_IDS, at, err, what);
}

int qdi_ids_open(qd_file *f, uint32_t docs, const qd_column *column, qd_account *account,
                 qd_ids **out, qd_err *err)
{
    uint64_t bytes = 0;
    *out = NULL;
    if (!qd_file_section(f, QDI_SEC_IDS, &bytes)) return 0;
    qd_ids *x = qd_calloc(account, sizeof *x);
    if (!x) return qd_err_nomem(err, "ids of a segment");
    *x = (qd_ids){.magic = MAGIC, .file = f, .column = column, .docs = docs, .bytes = bytes};
    /* How many buckets there are follows from the length; the head, not resident, is compared by
     * the check. */
    x->buckets = (uint32_t)((bytes - QDI_IDS_HEAD) / sizeof(qdi_ids_bucket));
    int rc = 0;
    if (bytes < QDI_IDS_HEAD + sizeof(qdi_ids_bucket) || bytes % sizeof(qdi_ids_bucket) != 0 ||
        x->buckets > QD_DOCS_MAX)
        rc = bad(x, 0, err, "length of the table of ids");
    else if (!column || column->stats.type != QD_COLUMN_BYTES)
        rc = bad(x, 0, err, "a table of ids without ids");
    if (rc) {
        qd_free(x);
        return rc;
    }
    x->entries = column->stats.docs;
    *out = x;
    return 0;
}

void qdi_ids_close(qd_ids *x)
{
    if (!x) return;
    QD_CHECK(x, MAGIC);
    x->magic = 0;
    qd_free(x);
}

uint32_t qd_ids_count(const qd_ids *x)
{
    return x->entries;
}

uint64_t qd_ids_bytes(const qd_ids *x)
{
    return x->bytes;
}

/* A document whose id may be the one asked for. */
typedef struct candidate {
    uint32_t doc, id;
} candidate;

typedef struct lookup {
    const qd_ids *x;
    const qd_str *ids;
    const uint64_t *hashes;
    uint32_t n, *docs;
    qd_account *account;
    qd_arena arena;
    const uint8_t *table; /* of bucket 0, when all of it is there */
    candidate *found;     /* in the arena, grown by doubling */
    uint32_t nfound, cap;
} lookup;

static int add(lookup *l, uint32_t doc, uint32_t id, qd_err *err)
{
    if (doc >= l->x->docs) return bad(l->x, 0, err, "document in the table of ids");
    if (l->nfound == l->cap) {
        uint32_t cap = l->cap ? l->cap * 2 : l->n + 16;
        candidate *p = qd_arena_alloc(&l->arena, (size_t)cap * sizeof *p);
        if (!p) return qd_err_nomem(err, "look-up of ids");
        if (l->nfound) memcpy(p, l->found, l->nfound * sizeof *p);
        l->found = p;
        l->cap = cap;
    }
    l->found[l->nfound++] = (candidate){doc, id};
    return 0;
}

/* Entries of one bucket with the id's fingerprint; *more: the chain goes on. */
static int probe(lookup *l, const uint8_t *p, uint32_t id, bool *more, qd_err *err)
{
    qdi_ids_bucket b;
    memcpy(&b, p, sizeof b);
    uint16_t print = qdi_ids_print(l->hashes[id]);
    if (QD_UNLIKELY(b.sum && b.sum != qdi_ids_sum(&b)))
        return bad(l->x, l->table ? QDI_IDS_HEAD + (uint64_t)(p - l->table) : 0, err,
                   "wrong checksum of a bucket of the table of ids");
    if (b.n > QDI_IDS_SLOTS) return bad(l->x, 0, err, "bucket of the table of ids");
    for (uint32_t i = 0; i < b.n; i++) {
        if (b.prints[i] != print) continue;
        int rc = add(l, b.docs[i], id, err);
        if (rc) return rc;
    }
    *more = b.more != 0;
    return 0;
}

static int probe_table(lookup *l, uint32_t id, qd_err *err)
{
    uint32_t at = qdi_ids_home(l->hashes[id], l->x->buckets), steps = 0;
    for (bool more = true; more; steps++) {
        if (steps == l->x->buckets) return bad(l->x, 0, err, "endless chain of ids");
        int rc = probe(l, l->table + (size_t)at * sizeof(qdi_ids_bucket), id, &more, err);
        if (rc) return rc;
        at = at + 1 == l->x->buckets ? 0 : at + 1;
    }
    return 0;
}

/* Fetches the whole table: free where it is mapped, and the way for many ids elsewhere. */
static int fetch_table(lookup *l, bool always, qd_err *err)
{
    qd_reads *r = qd_reads_make(&l->arena, l->account);
    uint32_t slot;
    if (!r) return qd_err_nomem(err, "look-up of ids");
    int rc = qd_reads_add(r, l->x->file, QDI_SEC_IDS, 0, l->x->bytes, &slot, err);
    if (rc) return rc;
    if (!always && !qd_reads_ready(r)) {
        qd_reads_release(r);
        return 0;
    }
    rc = qd_reads_fetch(r, err);
    if (rc == 0) l->table = qd_reads_at(r, slot) + QDI_IDS_HEAD;
    return rc;
}

/* Home bucket and the next one of each id, in one fetch; a longer chain asks for the table. */
static int probe_one_by_one(lookup *l, qd_err *err)
{
    uint32_t slots[PER_ID_MOST];
    qd_reads *r = qd_reads_make(&l->arena, l->account);
    if (!r) return qd_err_nomem(err, "look-up of ids");
    for (uint32_t i = 0; i < l->n; i++) {
        uint32_t home = qdi_ids_home(l->hashes[i], l->x->buckets);
        uint64_t off = QDI_IDS_HEAD + (uint64_t)home * sizeof(qdi_ids_bucket);
        uint64_t len =
            home + 1 < l->x->buckets ? 2 * sizeof(qdi_ids_bucket) : sizeof(qdi_ids_bucket);
        int rc = qd_reads_add(r, l->x->file, QDI_SEC_IDS, off, len, &slots[i], err);
        if (rc) return rc;
    }
    int rc = qd_reads_fetch(r, err);
    for (uint32_t i = 0; rc == 0 && i < l->n; i++) {
        if (l->docs[i] != QD_IDS_ABSENT) continue;
        uint32_t before = l->nfound;
        bool more = true;
        rc = probe(l, qd_reads_at(r, slots[i]), i, &more, err);
        if (rc == 0 && more && qd_reads_len(r, slots[i]) > sizeof(qdi_ids_bucket))
            rc = probe(l, qd_reads_at(r, slots[i]) + sizeof(qdi_ids_bucket), i, &more, err);
        if (rc || !more) continue;
        l->nfound = before;
        if (!l->table) rc = fetch_table(l, true, err);
        if (rc == 0) rc = probe_table(l, i, err);
    }
    return rc;
}

/* Candidates by document: few, and mostly in order. */
static void sort_candidates(candidate *c, uint32_t n)
{
    for (uint32_t gap = n / 2; gap > 0; gap = gap == 2 ? 1 : (uint32_t)(gap / 2.2))
        for (uint32_t i = gap; i < n; i++) {
            candidate x = c[i];
            uint32_t j = i;
            for (; j >= gap && c[j - gap].doc > x.doc; j -= gap) c[j] = c[j - gap];
            c[j] = x;
        }
}

/* A document has a fingerprint of the id asked for, but another id: one look-up in thousands, or
 * what was read of its id is damaged. */
static int another_id(const qd_ids *x, const qd_reads *r, qd_err *err)
{
    int rc = qd_reads_verify(r, err);
    return rc ? rc : qd_file_check(x->file, QDI_SEC_COLUMN_INDEX, 0, UINT64_MAX, err);
}

/* Compares bytes; of several documents with one id the last stays. */
static int verify(lookup *l, qd_err *err)
{
    uint32_t *docs = qd_arena_alloc(&l->arena, (size_t)l->nfound * sizeof *docs);
    qd_reads *r = qd_reads_make(&l->arena, l->account);
    qd_column_reader *rd;
    if (!docs || !r) return qd_err_nomem(err, "look-up of ids");
    uint32_t others = 0;
    sort_candidates(l->found, l->nfound);
    for (uint32_t i = 0; i < l->nfound; i++) docs[i] = l->found[i].doc;
    int rc = qd_column_plan_docs(l->x->column, docs, l->nfound, r, &l->arena, &rd, err);
    if (rc == 0) rc = qd_reads_fetch(r, err);
    for (uint32_t i = 0; rc == 0 && i < l->nfound; i++) {
        qd_str s;
        bool has;
        rc = qd_column_bytes(rd, docs[i], &s, &has, err);
        if (rc) break;
        if (has && qd_str_eq(s, l->ids[l->found[i].id]))
            l->docs[l->found[i].id] = docs[i];
        else if (!others++)
            rc = another_id(l->x, r, err);
    }
    return rc ? rc : qd_reads_check(r, err);
}

int qd_ids_lookup(const qd_ids *x, const qd_str *ids, const uint64_t *hashes, uint32_t n,
                  uint32_t *docs, qd_arena *scratch, qd_err *err)
{
    QD_CHECK(x, MAGIC);
    if (n == 0) return 0;
    lookup l = {
        .x = x, .ids = ids, .hashes = hashes, .n = n, .docs = docs, .account = scratch->account};
    qd_arena_init(&l.arena, scratch->account, 0);
    int rc = fetch_table(&l, n > PER_ID_MOST, err);
    if (rc == 0 && l.table) {
        for (uint32_t i = 0; i < n; i++)
            if (docs[i] == QD_IDS_ABSENT)
                __builtin_prefetch(l.table + (size_t)qdi_ids_home(hashes[i], x->buckets) *
                                                 sizeof(qdi_ids_bucket));
        for (uint32_t i = 0; rc == 0 && i < n; i++)
            if (docs[i] == QD_IDS_ABSENT) rc = probe_table(&l, i, err);
    } else if (rc == 0) {
        rc = probe_one_by_one(&l, err);
    }
    if (rc == 0 && l.nfound) rc = verify(&l, err);
    qd_arena_fini(&l.arena);
    return rc;
}

int qd_ids_confirm(const qd_ids *x, qd_str id, uint32_t doc, qd_reads *r, qd_err *err)
{
    uint64_t hash = qd_ids_hash(id);
    uint32_t at = qdi_ids_home(hash, x->buckets);
    qdi_ids_bucket b = {.more = 1};
    QD_CHECK(x, MAGIC);
    if (!qd_file_mapped(x->file)) return 0;
    for (uint32_t steps = 0; b.more && steps < CONFIRM_MOST; steps++) {
        uint32_t slot;
        uint64_t off = QDI_IDS_HEAD + (uint64_t)at * sizeof b;
        int rc = qd_reads_add(r, x->file, QDI_SEC_IDS, off, sizeof b, &slot, err);
        if (rc == 0) rc = qd_reads_fetch(r, err);
        if (rc) return rc;
        memcpy(&b, qd_reads_at(r, slot), sizeof b);
        uint32_t n = b.n > QDI_IDS_SLOTS ? QDI_IDS_SLOTS : b.n;
        for (uint32_t i = 0; i < n; i++)
            if (b.docs[i] == doc && b.prints[i] == qdi_ids_print(hash)) return 0;
        at = at + 1 == x->buckets ? 0 : at + 1;
    }
    return another_id(x, r, err);
}

int qdi_ids_check(const qd_ids *x, qd_check *c, qd_err *err)
{
    qdi_column_walk *w = qd_calloc(c->account, sizeof *w);
    if (!w) return qd_err_nomem(err, "check of ids");
    uint64_t seen = 0;
    int rc = qdi_column_walk_open(w, x->column, c->account, err);
    for (bool end = false; rc == 0 && !end;) {
        /* 256 ids a look-up; their bytes are copied, as the walk's live until its next step. */
        qd_str ids[256];
        uint64_t hashes[256];
        uint32_t docs[256], found[256], n = 0;
        qd_arena arena;
        qd_arena_init(&arena, c->account, 0);
        while (rc == 0 && n < 256) {
            qd_str s;
            rc = qdi_column_walk_string(w, &docs[n], &s, &end, err);
            if (rc || end) break;
            ids[n] = qd_arena_str(&arena, s);
            if (s.n && !ids[n].p) rc = qd_err_nomem(err, "check of ids");
            hashes[n] = qd_ids_hash(s);
            found[n++] = QD_IDS_ABSENT;
        }
        if (rc == 0) rc = qd_ids_lookup(x, ids, hashes, n, found, &arena, err);
        for (uint32_t i = 0; rc == 0 && i < n; i++)
            if (found[i] == QD_IDS_ABSENT || found[i] < docs[i])
                qd_check_found(c, "IDS", 0, "the id of document %u is not found again", docs[i]);
        seen += n;
        qd_arena_fini(&arena);
    }
    c->ids += seen;
    qdi_column_walk_close(w);
    qd_free(w);
    return qd_check_error(c, "IDS", rc, err);
}
