/*
 * column_write.c: the flush: dictionaries first, then values, then the resident index.
 *
 * The two data sections are written one after the other, so what the first pass learns (offsets of
 * strings, ranks of terms) is kept for the second, one entry a field.
 */
#include "segment/columns/column_buffer_int.h"
#include "segment/columns/column_writer_int.h"

typedef struct pending {
    qdi_strings_writer strings;
    uint64_t dict_bytes;
    uint32_t *ranks; /* own table: id -> rank + 1; owned */
    bool has_strings;
} pending;

/* A buffer's own strings: those still in use, in order. */
static int write_own(const qdi_column_buffer *b, pending *p, qd_account *account, qd_err *err)
{
    size_t ids = b->table.ends.n;
    uint32_t n = 0, *order = qd_alloc(account, (ids + 1) * sizeof *order);
    p->ranks = qd_calloc(account, (ids + 1) * sizeof *p->ranks);
    int rc = order && p->ranks ? 0 : qd_err_nomem(err, "column dictionary");
    if (rc == 0) {
        for (size_t i = 0; i < b->ids.n; i++) p->ranks[b->ids.at[i]] = 1;
        rc = qdi_string_table_sort(&b->table, p->ranks, order, &n, account, err);
    }
    for (uint32_t i = 0; rc == 0 && i < n; i++)
        rc = qdi_strings_add(&p->strings, qdi_string_table_at(&b->table, order[i]), err);
    qd_free(order);
    return rc;
}

static int write_strings(const qdi_column_source *s, pending *p, qd_file_writer *w,
                         qd_account *account, qd_err *err)
{
    const qdi_column_buffer *b = s->buffer;
    int rc = 0;
    qdi_strings_begin(&p->strings, w, account);
    p->has_strings = true;
    if (b->type == QD_COLUMN_BYTES) {
        uint32_t doc, n = qdi_column_buffer_str_count(b);
        for (uint32_t i = 0; rc == 0 && i < n; i++)
            rc = qdi_strings_add(&p->strings, qdi_column_buffer_str_at(b, i, &doc), err);
    } else if (s->terms) {
        for (uint32_t i = 0; rc == 0 && i < s->terms->n; i++)
            rc = qdi_strings_add(&p->strings, s->terms->term(s->terms->arg, i), err);
    } else {
        rc = write_own(b, p, account, err);
    }
    return rc ? rc : qdi_strings_end(&p->strings, &p->dict_bytes, err);
}

/* Values i.. of one document as sorted integers in scratch; returns how many the buffer had. */
static size_t document(const qdi_column_source *s, const pending *p, size_t i, size_t n,
                       int64_t *scratch, uint32_t *values)
{
    const qdi_column_buffer *b = s->buffer;
    size_t k = 0;
    uint32_t doc = qdi_column_buffer_doc(b, i);
    for (; i + k < n && qdi_column_buffer_doc(b, i + k) == doc; k++)
        scratch[k] = b->type == QD_COLUMN_I64 ? b->i64.at[i + k]
                     : s->terms               ? (int64_t)s->terms->rank[b->ids.at[i + k]]
                                              : (int64_t)p->ranks[b->ids.at[i + k]] - 1;
    *values = (uint32_t)k;
    if (k > 1 && b->type == QD_COLUMN_I64) qdi_sort_i64(scratch, (uint32_t)k);
    if (k > 1 && b->type == QD_COLUMN_ORDINAL) *values = qdi_sort_unique_i64(scratch, (uint32_t)k);
    return k;
}

/* The most values that one document has. */
static size_t widest(const qdi_column_buffer *b)
{
    size_t most = 1, run = 0;
    for (size_t i = 0; i < b->docs.n; i++) {
        run = i && b->docs.at[i] == b->docs.at[i - 1] ? run + 1 : 1;
        if (run > most) most = run;
    }
    return most;
}

static int write_values(qdi_column_writer *x, const qdi_column_source *s, const pending *p,
                        qd_err *err)
{
    const qdi_column_buffer *b = s->buffer;
    size_t n = qdi_column_buffer_count(b);
    int rc = 0;
    if (b->type == QD_COLUMN_BYTES) {
        for (size_t i = 0; rc == 0 && i < n; i++)
            rc = qdi_column_writer_add(x, qdi_column_buffer_doc(b, i), NULL, 1, err);
        return rc;
    }
    int64_t *scratch = qd_alloc(x->account, widest(b) * sizeof *scratch);
    if (!scratch) return qd_err_nomem(err, "column values");
    for (size_t i = 0; rc == 0 && i < n;) {
        uint32_t values;
        size_t k = document(s, p, i, n, scratch, &values);
        rc = qdi_column_writer_add(x, qdi_column_buffer_doc(b, i), scratch, values, err);
        i += k;
    }
    qd_free(scratch);
    return rc;
}

static int write_all(const qdi_column_source *sources, uint32_t n, pending *p, uint32_t docs,
                     qd_file_writer *w, qd_buf *resident, qd_account *account, qd_err *err)
{
    int rc = qd_file_section_begin(w, QDI_SEC_COLUMN_DICT, false, err);
    for (uint32_t i = 0; rc == 0 && i < n; i++)
        if (sources[i].buffer->type != QD_COLUMN_I64)
            rc = write_strings(&sources[i], &p[i], w, account, err);
    if (rc == 0) rc = qd_file_section_end(w, NULL, err);
    if (rc == 0) rc = qd_file_section_begin(w, QDI_SEC_COLUMNS, false, err);
    if (rc) return rc;

    qdi_column_writer x;
    uint32_t written = 0;
    size_t count = resident->n;
    rc = qdi_column_writer_init(&x, docs, account, err);
    if (rc == 0 && qd_buf_add(resident, "\0\0\0", 4)) rc = qd_err_nomem(err, "column index");
    for (uint32_t i = 0; rc == 0 && i < n; i++) {
        qd_assert(i == 0 || sources[i].field > sources[i - 1].field);
        qdi_column_writer_begin(&x, w, sources[i].field, sources[i].buffer->type);
        rc = write_values(&x, &sources[i], &p[i], err);
        if (rc == 0)
            rc = qdi_column_writer_end(&x, p[i].has_strings ? &p[i].strings : NULL, p[i].dict_bytes,
                                       resident, err);
        written += x.head.docs > 0;
    }
    if (rc == 0) qd_put_u32le(resident->p + count, written);
    qdi_column_writer_fini(&x);
    return rc ? rc : qd_file_section_end(w, NULL, err);
}

int qdi_columns_write(const qdi_column_source *sources, uint32_t n, uint32_t docs,
                      qd_file_writer *w, qd_buf *resident, qd_account *account, qd_err *err)
{
    pending *p = qd_calloc(account, ((size_t)n + 1) * sizeof *p);
    if (!p) return qd_err_nomem(err, "columns");
    int rc = write_all(sources, n, p, docs, w, resident, account, err);
    for (uint32_t i = 0; i < n; i++) {
        if (p[i].has_strings) qdi_strings_fini(&p[i].strings);
        qd_free(p[i].ranks);
    }
    qd_free(p);
    return rc;
}
