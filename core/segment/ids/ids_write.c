/*
 * ids_write.c: building the table for flush and merge.
 *
 * Documents are sorted by home bucket (a counting sort), duplicates dropped, then placed: the
 * bucket itself first, what does not fit flows on. The result depends on ids and numbers only.
 */
#include "segment/columns/column_walk_int.h"
#include "segment/ids/ids_format_int.h"
#include "segment/ids/ids_int.h"

/* 12 bytes of a document, for a merge holds all of them twice: what of the hash decides on the
 * home, what of it is kept as a fingerprint. */
typedef struct entry {
    uint32_t high, doc;
    uint16_t print;
} entry;
_Static_assert(sizeof(entry) == 12, "no padding but two bytes");

static entry entry_of(uint64_t hash, uint32_t doc)
{
    return (entry){(uint32_t)(hash >> 32), doc, qdi_ids_print(hash)};
}

typedef struct builder {
    qd_account *account;
    entry *entries; /* n, ascending documents; afterwards by home */
    uint32_t n;
    /* Are the ids of two documents equal? */
    int (*same)(void *arg, uint32_t a, uint32_t b, bool *out, qd_err *err);
    void *arg;
    qdi_ids_bucket *buckets;
    uint32_t nbuckets, kept, longest;
} builder;

static uint32_t home_of(const builder *b, const entry *e)
{
    return qdi_ids_home((uint64_t)e->high << 32, b->nbuckets);
}

/* Sorts by home, documents ascending within one. */
static int sort_by_home(builder *b, qd_err *err)
{
    uint32_t *starts = qd_calloc(b->account, ((size_t)b->nbuckets + 1) * sizeof *starts);
    entry *sorted = qd_alloc(b->account, ((size_t)b->n + 1) * sizeof *sorted);
    if (!starts || !sorted) {
        qd_free(starts);
        qd_free(sorted);
        return qd_err_nomem(err, "table of ids");
    }
    for (uint32_t i = 0; i < b->n; i++) starts[home_of(b, &b->entries[i]) + 1]++;
    for (uint32_t i = 0; i < b->nbuckets; i++) starts[i + 1] += starts[i];
    for (uint32_t i = 0; i < b->n; i++)
        sorted[starts[home_of(b, &b->entries[i])]++] = b->entries[i];
    qd_free(b->entries);
    qd_free(starts);
    b->entries = sorted;
    return 0;
}

/* Drops earlier documents of equal ids in the run [from, to) of one home: only the last is found.
 * Kept entries move to the run's front; *left of them. An id that is updated a million times in one
 * buffer is compared with one kept entry each, not with each other. */
static int drop_duplicates(builder *b, uint32_t from, uint32_t to, uint32_t *left, qd_err *err)
{
    uint32_t k = from;
    for (uint32_t i = from; i < to; i++) {
        uint32_t j = from;
        bool same = false;
        for (; j < k; j++) {
            if (b->entries[j].high != b->entries[i].high ||
                b->entries[j].print != b->entries[i].print)
                continue;
            int rc = b->same(b->arg, b->entries[j].doc, b->entries[i].doc, &same, err);
            if (rc) return rc;
            if (same) break;
        }
        b->entries[same ? j : k++] = b->entries[i];
    }
    *left = k - from;
    return 0;
}

/* Puts one entry into the first bucket with room from its home on. */
static void place(builder *b, const entry *e)
{
    uint32_t at = home_of(b, e), chain = 1;
    while (b->buckets[at].n == QDI_IDS_SLOTS) {
        b->buckets[at].more = 1;
        at = at + 1 == b->nbuckets ? 0 : at + 1;
        chain++;
    }
    qdi_ids_bucket *k = &b->buckets[at];
    k->prints[k->n] = e->print;
    k->docs[k->n++] = e->doc;
    if (chain > b->longest) b->longest = chain;
    b->kept++;
}

static int build(builder *b, qd_err *err)
{
    b->nbuckets = b->n / QDI_IDS_LOAD + 1;
    if (b->n / b->nbuckets >= QDI_IDS_SLOTS) b->nbuckets++;
    int rc = sort_by_home(b, err);
    if (rc) return rc;
    b->buckets = qd_calloc(b->account, (size_t)b->nbuckets * sizeof *b->buckets);
    if (!b->buckets) return qd_err_nomem(err, "table of ids");
    for (uint32_t i = 0; rc == 0 && i < b->n;) {
        uint32_t home = home_of(b, &b->entries[i]), end = i, left = 0;
        while (end < b->n && home_of(b, &b->entries[end]) == home) end++;
        rc = drop_duplicates(b, i, end, &left, err);
        for (uint32_t j = 0; rc == 0 && j < left; j++) place(b, &b->entries[i + j]);
        i = end;
    }
    return rc;
}

static int put(builder *b, qd_file_writer *w, qd_err *err)
{
    uint8_t head[QDI_IDS_HEAD] = {0};
    for (uint32_t i = 0; i < b->nbuckets; i++) b->buckets[i].sum = qdi_ids_sum(&b->buckets[i]);
    qd_put_u32le(head, b->nbuckets);
    qd_put_u32le(head + 4, b->kept);
    qd_put_u32le(head + 8, b->longest);
    int rc = qd_file_section_begin(w, QDI_SEC_IDS, false, err);
    if (rc == 0) rc = qd_file_write(w, head, sizeof head, err);
    if (rc == 0) rc = qd_file_write(w, b->buckets, (size_t)b->nbuckets * sizeof *b->buckets, err);
    if (rc == 0) rc = qd_file_section_end(w, NULL, err);
    return rc;
}

static int same_in_buffer(void *arg, uint32_t a, uint32_t b, bool *out, qd_err *err)
{
    (void)err;
    *out = qd_str_eq(qdi_column_buffer_str_of(arg, a), qdi_column_buffer_str_of(arg, b));
    return 0;
}

int qdi_ids_write(const qdi_column_buffer *ids, qd_file_writer *w, qd_account *account, qd_err *err)
{
    uint32_t n = qdi_column_buffer_str_count(ids);
    builder b = {.account = account, .n = n, .same = same_in_buffer, .arg = (void *)(uintptr_t)ids};
    b.entries = qd_alloc(account, ((size_t)n + 1) * sizeof *b.entries);
    int rc = b.entries ? 0 : qd_err_nomem(err, "table of ids");
    for (uint32_t i = 0; rc == 0 && i < n; i++) {
        uint32_t doc;
        qd_str id = qdi_column_buffer_str_at(ids, i, &doc);
        b.entries[i] = entry_of(qd_ids_hash(id), doc);
    }
    if (rc == 0) rc = build(&b, err);
    if (rc == 0) rc = put(&b, w, err);
    qd_free(b.entries);
    qd_free(b.buckets);
    return rc;
}

typedef struct merging {
    const qdi_merge_in *in;
    const qd_column **columns; /* of each input; NULL: it has none */
} merging;

/* Where a document of the merged segment comes from. */
static uint32_t source_of(const qdi_merge_in *in, uint32_t doc, uint32_t *old)
{
    uint32_t p = 0;
    if (in->permuted) {
        for (;; p++) {
            const qdi_merge_part *part = &in->parts[p];
            for (*old = 0; *old < part->docs; ++*old)
                if (part->map[*old] == doc) return p;
        }
    }
    while (p + 1 < in->n && in->parts[p + 1].base <= doc) p++;
    const qdi_merge_part *part = &in->parts[p];
    *old = doc - part->base;
    if (part->map) {
        /* Maps ascend over documents that stay: the first one that reaches doc is it. */
        *old = 0;
        for (uint32_t n = part->docs; *old < n && part->map[*old] != doc; ++*old) continue;
    }
    return p;
}

/* Reads the id of a document of the merged segment from its input; copied into arena. */
static int id_of(const merging *m, uint32_t doc, qd_arena *arena, qd_str *out, qd_err *err)
{
    uint32_t old, p = source_of(m->in, doc, &old);
    qd_reads *r = qd_reads_make(arena, m->in->account);
    qd_column_reader *rd;
    bool found = false;
    qd_str s = {0};
    if (!r) return qd_err_nomem(err, "id of a document");
    int rc = qd_column_plan_docs(m->columns[p], &old, 1, r, arena, &rd, err);
    if (rc == 0) rc = qd_reads_fetch(r, err);
    if (rc == 0) rc = qd_column_bytes(rd, old, &s, &found, err);
    if (rc == 0) *out = s;
    return rc;
}

/* Only reached for equal 64-bit hashes, that is, hardly ever but for equal ids. */
static int same_in_inputs(void *arg, uint32_t a, uint32_t b, bool *out, qd_err *err)
{
    merging *m = arg;
    qd_arena arena;
    qd_str x = {0}, y = {0};
    qd_arena_init(&arena, m->in->account, 0);
    int rc = id_of(m, a, &arena, &x, err);
    if (rc == 0) rc = id_of(m, b, &arena, &y, err);
    if (rc == 0) *out = qd_str_eq(x, y);
    qd_arena_fini(&arena);
    return rc;
}

/* Walks which documents of a BYTES column have a string, in order, beside the strings. */
static int hash_part(const merging *m, uint32_t p, builder *b, qd_err *err)
{
    const qdi_merge_part *part = &m->in->parts[p];
    qdi_column_walk walk;
    int rc = qdi_column_walk_open(&walk, m->columns[p], m->in->account, err);
    for (bool end = false; rc == 0;) {
        uint32_t doc;
        qd_str id;
        rc = qdi_column_walk_string(&walk, &doc, &id, &end, err);
        if (rc || end) break;
        uint32_t to = qdi_merge_doc(part, doc);
        if (to == QDI_DOC_GONE) continue;
        qd_assert(b->n < m->in->docs);
        /* permuted: by number, the holes are closed afterwards */
        b->entries[m->in->permuted ? to : b->n] = entry_of(qd_ids_hash(id), to);
        if (++b->n % 65536 == 0) rc = qdi_merge_poll(m->in);
    }
    qdi_column_walk_close(&walk);
    return rc;
}

/* Leaves those that are there, ascending. */
static void close_holes(builder *b, uint32_t docs)
{
    b->n = 0;
    for (uint32_t d = 0; d < docs; d++)
        if (b->entries[d].doc != QDI_DOC_GONE) b->entries[b->n++] = b->entries[d];
}

int qdi_ids_merge(const qdi_merge_in *in, qd_file_writer *w, qd_err *err)
{
    if (in->id_field == QDI_FIELD_NONE) return 0;
    merging m = {.in = in};
    builder b = {.account = in->account, .same = same_in_inputs, .arg = &m};
    m.columns = qd_calloc(in->account, ((size_t)in->n + 1) * sizeof *m.columns);
    b.entries = qd_alloc(in->account, ((size_t)in->docs + 1) * sizeof *b.entries);
    int rc = m.columns && b.entries ? 0 : qd_err_nomem(err, "table of ids");
    for (uint32_t d = 0; rc == 0 && in->permuted && d < in->docs; d++)
        b.entries[d].doc = QDI_DOC_GONE;
    for (uint32_t p = 0; rc == 0 && p < in->n; p++) {
        uint32_t field = in->parts[p].fields[in->id_field];
        if (field == QDI_FIELD_NONE) continue;
        m.columns[p] = qd_columns_get(in->parts[p].columns, field);
        if (m.columns[p]) rc = hash_part(&m, p, &b, err);
    }
    if (rc == 0 && in->permuted) close_holes(&b, in->docs);
    if (rc == 0) rc = build(&b, err);
    if (rc == 0) rc = put(&b, w, err);
    qd_free(m.columns);
    qd_free(b.entries);
    qd_free(b.buckets);
    return rc;
}
