/* invert.c: words of a document into the slot's streams. See segment/buffer.h. */
#include "segment/buffer/buffer_int.h"

#define POSITION_MAX (INT32_MAX - 128u) /* Lucene's limit */
#define WORDS_MAX (UINT32_MAX - 2u)     /* of one field in one buffer */

static int immense(const qdi_buffer_field *f, qd_str term, qd_err *err)
{
    size_t n = term.n < 30 ? term.n : 30;
    while (n < term.n && n > 0 && ((uint8_t)term.p[n] & 0xc0) == 0x80) n--;
    return qd_err_set(err, QD_E_ARG,
                      "Document contains at least one immense term in field=\"%.*s\" (whose UTF8 "
                      "encoding is longer than the max length %u), all of which were skipped. "
                      "Please correct the analyzer to not produce such terms. The prefix of the "
                      "first immense term is: '%.*s...'",
                      QD_STR_ARG(f->info.name), QD_TERM_BYTES_MAX, (int)n, term.p);
}

static int failed(int rc, qd_err *err)
{
    return rc == QD_E_LIMIT ? qd_err_set(err, rc, "a field of the indexing buffer is full")
                            : qd_err_set(err, rc, "out of memory: words of the indexing buffer");
}

/* Adds ids to the stream and counts them. */
static int append(qd_buffer *b, qdi_buffer_field *f, const uint32_t *ids, uint32_t n, qd_err *err)
{
    if (f->stream.n + n > WORDS_MAX) return failed(QD_E_LIMIT, err);
    uint32_t *count = f->table.count;
    while (n) {
        int rc = qdi_stream_more(&f->stream, &b->pool);
        if (rc) return failed(rc, err);
        uint32_t k = n < f->stream.room ? n : f->stream.room, *to = f->stream.at;
        for (uint32_t i = 0; i < k; i++) {
            to[i] = ids[i];
            count[ids[i]]++;
        }
        f->stream.at += k;
        f->stream.room -= k;
        f->stream.n += k;
        ids += k;
        n -= k;
    }
    return 0;
}

static int add_gap(qd_buffer *b, qdi_buffer_field *f, uint64_t word, uint32_t inc, qd_err *err)
{
    qdi_gap g = {(uint32_t)word, inc};
    return qd_vec_push(&f->gaps, b->account, g) ? failed(QD_E_NOMEM, err) : 0;
}

/* Moves the position over the batch's words, noting increments other than 1. */
static int add_positions(qd_buffer *b, qdi_buffer_field *f, const qd_term_batch *batch, qd_err *err)
{
    uint64_t word = f->stream.n, position = f->position; /* 2^32 - 1: before the first */
    if (position == UINT32_MAX) position = (uint64_t)-1;
    uint32_t gap = f->gap;
    if (!batch->pos_inc && gap == 0) {
        position += batch->n;
        f->length += batch->n;
    } else {
        for (uint32_t i = 0; i < batch->n; i++) {
            uint64_t inc = batch->pos_inc ? batch->pos_inc[i] : 1;
            f->length += inc > 0 || batch->overlaps;
            if (i == 0) inc += gap;
            if (inc == 0 && position == (uint64_t)-1)
                return qd_err_set(err, QD_E_ARG,
                                  "first position increment must be > 0 (got 0) for field '%.*s'",
                                  QD_STR_ARG(f->info.name));
            position += inc;
            if (position > POSITION_MAX) break;
            int rc = inc != 1 ? add_gap(b, f, word + i, (uint32_t)inc, err) : 0;
            if (rc) return rc;
        }
    }
    if (position > POSITION_MAX)
        return qd_err_set(err, QD_E_ARG,
                          "position %llu is too large for field '%.*s': max allowed position=%u",
                          (unsigned long long)position, QD_STR_ARG(f->info.name), POSITION_MAX);
    f->position = (uint32_t)position;
    f->gap = 0;
    return 0;
}

static int add_offsets(qd_buffer *b, qdi_buffer_field *f, const qd_term_batch *batch, qd_err *err)
{
    qd_assert(batch->start && batch->end);
    for (uint32_t i = 0; i < batch->n; i++) {
        uint32_t start = batch->start[i], end = batch->end[i];
        if (start < f->start || end < start)
            return qd_err_set(err, QD_E_ARG,
                              "startOffset must be non-negative, and endOffset must be >= "
                              "startOffset, and offsets must not go backwards startOffset=%u,"
                              "endOffset=%u,lastStartOffset=%u for field '%.*s'",
                              start, end, f->start, QD_STR_ARG(f->info.name));
        f->start = start;
    }
    if (qdi_stream_add(&f->starts, &b->pool, batch->start, batch->n) ||
        qdi_stream_add(&f->ends, &b->pool, batch->end, batch->n))
        return failed(QD_E_NOMEM, err);
    return 0;
}

int qd_buffer_terms(qd_buffer *b, uint32_t field, const qd_term_batch *batch, qd_err *err)
{
    qdi_buffer_field *f;
    int rc = qdi_buffer_touch(b, field, &f, err);
    if (rc) return rc;
    qd_assert(f->info.index != QD_INDEX_NONE);
    f->gap += batch->first_position_gap;
    f->last_id = QDI_NO_TERM;
    if (batch->n == 0) return 0;
    if (f->info.index >= QD_INDEX_OFFSETS) rc = add_offsets(b, f, batch, err);
    if (rc == 0) rc = add_positions(b, f, batch, err);
    uint32_t ids[QDI_BATCH];
    for (uint32_t from = 0; rc == 0 && from < batch->n; from += QDI_BATCH) {
        uint32_t n = batch->n - from < QDI_BATCH ? batch->n - from : QDI_BATCH, longest = 0;
        for (uint32_t i = 0; i < n; i++)
            if (batch->len[from + i] > longest) longest = batch->len[from + i];
        if (QD_UNLIKELY(longest > QD_TERM_BYTES_MAX)) {
            uint32_t i = from;
            while (batch->len[i] <= QD_TERM_BYTES_MAX) i++;
            return immense(f, (qd_str){batch->text + batch->off[i], batch->len[i]}, err);
        }
        rc = qdi_term_table_batch(&f->table, b->account, batch->text, batch->off + from,
                                  batch->len + from, n, ids);
        rc = rc ? failed(rc, err) : append(b, f, ids, n, err);
    }
    return rc;
}

int qd_buffer_term(qd_buffer *b, uint32_t field, qd_str term, qd_err *err)
{
    qdi_buffer_field *f;
    int rc = qdi_buffer_touch(b, field, &f, err);
    if (rc) return rc;
    qd_assert(f->info.index != QD_INDEX_NONE && f->info.index < QD_INDEX_OFFSETS);
    if (term.n > QD_TERM_BYTES_MAX) return immense(f, term, err);
    uint32_t id;
    rc = qdi_term_table_add(&f->table, b->account, term, &id);
    if (rc) return failed(rc, err);
    const qd_term_batch one = {.n = 1};
    if (f->info.index >= QD_INDEX_POSITIONS || f->info.norms) rc = add_positions(b, f, &one, err);
    if (rc == 0) rc = append(b, f, &id, 1, err);
    f->last_id = id;
    return rc;
}
