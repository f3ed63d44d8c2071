/*
 * column_buffer.c: values of one field while the indexing buffer fills. The usual field has exactly
 * one value in each document: then documents are implied and nothing but the values is kept.
 */
#include "base/bits.h"
#include "base/hash.h"
#include "segment/columns/column_buffer_int.h"

int qdi_column_buffer_make(uint8_t type, qd_account *account, qdi_column_buffer **out, qd_err *err)
{
    qd_assert(type == QD_COLUMN_I64 || type == QD_COLUMN_ORDINAL || type == QD_COLUMN_BYTES);
    qdi_column_buffer *b = qd_calloc(account, sizeof *b);
    if (!b) return qd_err_nomem(err, "column buffer");
    b->magic = QDI_COLUMN_BUFFER_MAGIC;
    b->type = type;
    b->account = account;
    *out = b;
    return 0;
}

void qdi_column_buffer_free(qdi_column_buffer *b)
{
    if (!b) return;
    QD_CHECK(b, QDI_COLUMN_BUFFER_MAGIC);
    qd_vec_fini(&b->i64);
    qd_vec_fini(&b->ids);
    qd_vec_fini(&b->bytes);
    qd_vec_fini(&b->ends);
    qd_vec_fini(&b->docs);
    qdi_string_table_fini(&b->table);
    b->magic = 0;
    qd_free(b);
}

void qdi_column_buffer_reset(qdi_column_buffer *b)
{
    QD_CHECK(b, QDI_COLUMN_BUFFER_MAGIC);
    b->i64.n = b->ids.n = b->bytes.n = b->ends.n = b->docs.n = 0;
    b->last = 0;
    b->own = false;
    qdi_string_table_reset(&b->table);
}

void qdi_column_buffer_rollback(qdi_column_buffer *b, uint32_t doc)
{
    size_t n = qdi_column_buffer_count(b), keep = n;
    while (keep > 0 && qdi_column_buffer_doc(b, keep - 1) >= doc) keep--;
    if (keep == n) return;
    if (b->docs.n) b->docs.n = keep;
    if (b->type == QD_COLUMN_I64) b->i64.n = keep;
    if (b->type == QD_COLUMN_ORDINAL) b->ids.n = keep;
    if (b->type == QD_COLUMN_BYTES) {
        b->ends.n = keep;
        b->bytes.n = keep ? b->ends.at[keep - 1] : 0;
    }
    b->last = keep ? qdi_column_buffer_doc(b, keep - 1) : 0;
}

size_t qdi_column_buffer_bytes(const qdi_column_buffer *b)
{
    const qdi_string_table *t = &b->table;
    return b->i64.n * 8 + b->ids.n * 4 + b->bytes.n + b->ends.n * 8 + b->docs.n * 4 + t->bytes.n +
           t->ends.n * 12 + (t->mask ? ((size_t)t->mask + 1) * 4 : 0);
}

/* Room for n values of doc and their documents, which are written out once value i is no longer
 * document i's. The number of values is unchanged, so a failure leaves nothing behind. */
static int note_docs(qdi_column_buffer *b, uint32_t doc, uint32_t n, qd_err *err)
{
    size_t have = qdi_column_buffer_count(b);
    qd_assert(have == 0 || doc >= b->last);
    if (b->docs.n == 0 && n == 1 && doc == have) return 0;
    if (b->docs.n == 0) {
        if (qd_vec_reserve(&b->docs, b->account, have + n))
            return qd_err_nomem(err, "column buffer");
        for (size_t i = 0; i < have; i++) b->docs.at[i] = (uint32_t)i;
        b->docs.n = have;
    }
    if (qd_vec_reserve(&b->docs, b->account, n)) return qd_err_nomem(err, "column buffer");
    for (uint32_t i = 0; i < n; i++) b->docs.at[have + i] = doc;
    b->docs.n = have + n;
    return 0;
}

int qdi_column_buffer_i64(qdi_column_buffer *b, uint32_t doc, const int64_t *values, uint32_t n,
                          qd_err *err)
{
    QD_CHECK(b, QDI_COLUMN_BUFFER_MAGIC);
    qd_assert(b->type == QD_COLUMN_I64);
    if (n == 0) return 0;
    if (qd_vec_reserve(&b->i64, b->account, n)) return qd_err_nomem(err, "column buffer");
    int rc = note_docs(b, doc, n, err);
    if (rc) return rc;
    memcpy(b->i64.at + b->i64.n, values, n * sizeof *values);
    b->i64.n += n;
    b->last = doc;
    return 0;
}

int qdi_column_buffer_ids(qdi_column_buffer *b, uint32_t doc, const uint32_t *ids, uint32_t n,
                          qd_err *err)
{
    QD_CHECK(b, QDI_COLUMN_BUFFER_MAGIC);
    qd_assert(b->type == QD_COLUMN_ORDINAL);
    if (n == 0) return 0;
    if (qd_vec_reserve(&b->ids, b->account, n)) return qd_err_nomem(err, "column buffer");
    int rc = note_docs(b, doc, n, err);
    if (rc) return rc;
    memcpy(b->ids.at + b->ids.n, ids, n * sizeof *ids);
    b->ids.n += n;
    b->last = doc;
    return 0;
}

void qdi_column_buffer_used(const qdi_column_buffer *b, uint8_t *used)
{
    for (size_t i = 0; i < b->ids.n; i++) used[b->ids.at[i]] = 1;
}

int qdi_column_buffer_str(qdi_column_buffer *b, uint32_t doc, qd_str s, qd_err *err)
{
    QD_CHECK(b, QDI_COLUMN_BUFFER_MAGIC);
    if (b->type == QD_COLUMN_ORDINAL) {
        uint32_t id = qdi_string_table_add(&b->table, s, b->account);
        if (id == UINT32_MAX) return qd_err_nomem(err, "column buffer");
        b->own = true;
        return qdi_column_buffer_ids(b, doc, &id, 1, err);
    }
    qd_assert(b->type == QD_COLUMN_BYTES && (b->ends.n == 0 || doc > b->last));
    if (qd_vec_reserve(&b->bytes, b->account, s.n + 1) || qd_vec_reserve(&b->ends, b->account, 1))
        return qd_err_nomem(err, "column buffer");
    int rc = note_docs(b, doc, 1, err);
    if (rc) return rc;
    if (s.n) memcpy(b->bytes.at + b->bytes.n, s.p, s.n);
    b->bytes.n += s.n;
    b->ends.at[b->ends.n++] = b->bytes.n;
    b->last = doc;
    return 0;
}

qd_str qdi_column_buffer_str_at(const qdi_column_buffer *b, uint32_t i, uint32_t *doc)
{
    qd_dassert(i < b->ends.n);
    uint64_t from = i ? b->ends.at[i - 1] : 0;
    *doc = qdi_column_buffer_doc(b, i);
    return (qd_str){b->bytes.at + from, b->ends.at[i] - from};
}

qd_str qdi_column_buffer_str_of(const qdi_column_buffer *b, uint32_t doc)
{
    uint32_t lo = doc, at;
    if (b->docs.n) {
        size_t n = b->docs.n;
        for (lo = 0; n > 1;) {
            size_t half = n / 2;
            if (b->docs.at[lo + half] <= doc) lo += (uint32_t)half;
            n -= half;
        }
    }
    qd_str s = qdi_column_buffer_str_at(b, lo, &at);
    qd_dassert(at == doc);
    return s;
}

uint32_t qdi_column_buffer_str_count(const qdi_column_buffer *b)
{
    return (uint32_t)b->ends.n;
}

qd_str qdi_string_table_at(const qdi_string_table *t, uint32_t id)
{
    uint64_t from = id ? t->ends.at[id - 1] : 0;
    return (qd_str){t->bytes.at + from, t->ends.at[id] - from};
}

static bool table_grow(qdi_string_table *t, qd_account *account)
{
    uint32_t slots = t->mask ? (t->mask + 1) * 2 : 64;
    uint32_t *p = qd_calloc(account, (size_t)slots * sizeof *p);
    if (!p) return false;
    for (uint32_t id = 0; id < t->ends.n; id++) {
        uint32_t at = t->hashes.at[id] & (slots - 1);
        while (p[at]) at = (at + 1) & (slots - 1);
        p[at] = id + 1;
    }
    qd_free(t->slots);
    t->slots = p;
    t->mask = slots - 1;
    return true;
}

uint32_t qdi_string_table_add(qdi_string_table *t, qd_str s, qd_account *account)
{
    uint32_t hash = (uint32_t)qd_xxh3(s.p ? s.p : "", s.n);
    if ((t->mask == 0 || t->ends.n >= t->mask / 2) && !table_grow(t, account)) return UINT32_MAX;
    uint32_t at = hash & t->mask;
    for (; t->slots[at]; at = (at + 1) & t->mask) {
        uint32_t id = t->slots[at] - 1;
        if (t->hashes.at[id] == hash && qd_str_eq(qdi_string_table_at(t, id), s)) return id;
    }
    if (qd_vec_reserve(&t->bytes, account, s.n + 1) || qd_vec_reserve(&t->ends, account, 1) ||
        qd_vec_reserve(&t->hashes, account, 1))
        return UINT32_MAX;
    if (s.n) memcpy(t->bytes.at + t->bytes.n, s.p, s.n);
    t->bytes.n += s.n;
    t->hashes.at[t->hashes.n++] = hash;
    t->ends.at[t->ends.n++] = t->bytes.n;
    t->slots[at] = (uint32_t)t->ends.n;
    return (uint32_t)t->ends.n - 1;
}

void qdi_string_table_fini(qdi_string_table *t)
{
    qd_vec_fini(&t->bytes);
    qd_vec_fini(&t->ends);
    qd_vec_fini(&t->hashes);
    qd_free(t->slots);
    *t = (qdi_string_table){0};
}

void qdi_string_table_reset(qdi_string_table *t)
{
    if (t->ends.n > t->mask / 8) {
        if (t->mask) memset(t->slots, 0, ((size_t)t->mask + 1) * sizeof *t->slots);
    } else {
        /* Few strings in a large table: find each one's slot again. */
        for (uint32_t id = 0; id < t->ends.n; id++) {
            uint32_t at = t->hashes.at[id] & t->mask;
            while (t->slots[at] != id + 1) at = (at + 1) & t->mask;
            t->slots[at] = UINT32_MAX; /* keeps later chains whole */
        }
        for (uint32_t id = 0; id < t->ends.n; id++) {
            uint32_t at = t->hashes.at[id] & t->mask;
            while (t->slots[at]) {
                t->slots[at] = 0;
                at = (at + 1) & t->mask;
            }
        }
    }
    t->bytes.n = t->ends.n = t->hashes.n = 0;
}

/* A string to sort: its first eight bytes as a number decide most comparisons. */
typedef struct sort_key {
    uint64_t head;
    uint32_t id;
} sort_key;

static sort_key make_key(const qdi_string_table *t, uint32_t id)
{
    qd_str s = qdi_string_table_at(t, id);
    sort_key k = {.id = id};
    uint8_t b[8] = {0};
    memcpy(b, s.p, s.n < 8 ? s.n : 8);
    k.head = __builtin_bswap64(qd_get_u64le(b));
    return k;
}

static bool key_less(const qdi_string_table *t, const sort_key *a, const sort_key *b)
{
    if (a->head != b->head) return a->head < b->head;
    return qd_str_cmp(qdi_string_table_at(t, a->id), qdi_string_table_at(t, b->id)) < 0;
}

/* Bottom-up merge sort; returns whichever of the two arrays holds the result. */
static sort_key *merge_sort(const qdi_string_table *t, sort_key *a, sort_key *b, uint32_t n)
{
    for (uint64_t run = 1; run < n; run *= 2) {
        for (uint64_t lo = 0; lo < n; lo += 2 * run) {
            uint64_t mid = lo + run < n ? lo + run : n, hi = lo + 2 * run < n ? lo + 2 * run : n;
            uint64_t i = lo, j = mid;
            for (uint64_t k = lo; k < hi; k++)
                b[k] = i < mid && (j == hi || !key_less(t, &a[j], &a[i])) ? a[i++] : a[j++];
        }
        sort_key *swap = a;
        a = b;
        b = swap;
    }
    return a;
}

int qdi_string_table_sort(const qdi_string_table *t, uint32_t *used, uint32_t *order, uint32_t *n,
                          qd_account *account, qd_err *err)
{
    uint32_t k = 0, ids = (uint32_t)t->ends.n;
    for (uint32_t id = 0; id < ids; id++) k += used[id] != 0;
    sort_key *keys = qd_alloc(account, ((size_t)k * 2 + 1) * sizeof *keys);
    if (!keys) return qd_err_nomem(err, "sorting of a column's strings");
    k = 0;
    for (uint32_t id = 0; id < ids; id++)
        if (used[id]) keys[k++] = make_key(t, id);
    sort_key *sorted = merge_sort(t, keys, keys + k, k);
    for (uint32_t i = 0; i < k; i++) {
        order[i] = sorted[i].id;
        used[sorted[i].id] = i + 1;
    }
    qd_free(keys);
    *n = k;
    return 0;
}
