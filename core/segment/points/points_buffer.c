/*
 * points_buffer.c: points of the indexing buffer, sorted at flush by their bytes from the least
 * significant one (stable, so documents stay in order; bytes equal in all points are skipped).
 */
#include "base/vec.h"
#include "segment/columns/column_buffer_int.h"
#include "segment/points/points_writer_int.h"

#define MAGIC 0x51447062u

struct qdi_points_buffer {
    uint32_t magic;
    uint8_t type;
    qd_account *account;
    QD_VEC(int64_t) i64;
    QD_VEC(qd_point_value) b16;
    QD_VEC(uint32_t) docs; /* of each point */
};

int qdi_points_buffer_make(uint8_t type, qd_account *account, qdi_points_buffer **out, qd_err *err)
{
    qd_assert(type == QD_POINT_I64 || type == QD_POINT_B16);
    qdi_points_buffer *b = qd_calloc(account, sizeof *b);
    if (!b) return qd_err_nomem(err, "points");
    b->magic = MAGIC;
    b->type = type;
    b->account = account;
    *out = b;
    return 0;
}

void qdi_points_buffer_free(qdi_points_buffer *b)
{
    if (!b) return;
    QD_CHECK(b, MAGIC);
    qd_vec_fini(&b->i64);
    qd_vec_fini(&b->b16);
    qd_vec_fini(&b->docs);
    b->magic = 0;
    qd_free(b);
}

void qdi_points_buffer_reset(qdi_points_buffer *b)
{
    QD_CHECK(b, MAGIC);
    b->i64.n = b->b16.n = b->docs.n = 0;
}

void qdi_points_buffer_rollback(qdi_points_buffer *b, uint32_t doc)
{
    QD_CHECK(b, MAGIC);
    while (b->docs.n > 0 && b->docs.at[b->docs.n - 1] >= doc) b->docs.n--;
    if (b->type == QD_POINT_I64)
        b->i64.n = b->docs.n;
    else
        b->b16.n = b->docs.n;
}

size_t qdi_points_buffer_bytes(const qdi_points_buffer *b)
{
    /* The sort takes as much again. */
    return b->i64.n * 8 + b->b16.n * 16 + b->docs.n * 4 + b->docs.n * 32;
}

int qdi_points_buffer_add(qdi_points_buffer *b, uint32_t doc, const qd_point_value *values,
                          uint32_t n, qd_err *err)
{
    QD_CHECK(b, MAGIC);
    qd_assert(b->docs.n == 0 || doc >= b->docs.at[b->docs.n - 1]);
    if (qd_vec_reserve(&b->docs, b->account, n) ||
        (b->type == QD_POINT_I64 ? qd_vec_reserve(&b->i64, b->account, n)
                                 : qd_vec_reserve(&b->b16, b->account, n)))
        return qd_err_nomem(err, "points");
    for (uint32_t i = 0; i < n; i++) {
        if (b->type == QD_POINT_I64)
            b->i64.at[b->i64.n++] = values[i].i;
        else
            b->b16.at[b->b16.n++] = values[i];
        b->docs.at[b->docs.n++] = doc;
    }
    return 0;
}

typedef struct record {
    uint64_t lo;
    uint32_t doc; /* or, for 16 bytes, index of the point */
    uint32_t zero;
} record;

/* Sorts n records by lo; tmp has the same room. Returns the array that holds the result. */
static record *radix(record *a, record *tmp, size_t n)
{
    size_t count[8][256];
    bool sorted = true;
    memset(count, 0, sizeof count);
    for (size_t i = 0; i < n; i++) {
        for (uint32_t b = 0; b < 8; b++) count[b][(a[i].lo >> (8 * b)) & 255]++;
        sorted &= i == 0 || a[i - 1].lo <= a[i].lo;
    }
    if (sorted) return a;
    for (uint32_t b = 0; b < 8; b++) {
        size_t at = 0, *c = count[b];
        if (c[(a[0].lo >> (8 * b)) & 255] == n) continue;
        for (uint32_t v = 0; v < 256; v++) {
            size_t k = c[v];
            c[v] = at;
            at += k;
        }
        for (size_t i = 0; i < n; i++) tmp[c[(a[i].lo >> (8 * b)) & 255]++] = a[i];
        record *swap = a;
        a = tmp;
        tmp = swap;
    }
    return a;
}

static int write_i64(qdi_points_writer *x, const int64_t *values, size_t n, record *a, record *tmp,
                     qd_err *err)
{
    int rc = 0;
    for (size_t i = 0; i < n; i++) a[i].lo = (uint64_t)values[i] ^ ((uint64_t)1 << 63);
    a = radix(a, tmp, n);
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = qdi_points_writer_add(x, (qdi_point_key){0, a[i].lo}, a[i].doc, err);
    return rc;
}

/* Low halves first, then high ones: both sorts are stable. */
static int write_b16(qdi_points_writer *x, const qdi_points_buffer *b, record *a, record *tmp,
                     qd_err *err)
{
    size_t n = b->docs.n;
    int rc = 0;
    for (size_t i = 0; i < n; i++) {
        a[i].lo = qdi_point_key_of(QD_POINT_B16, b->b16.at[i]).lo;
        a[i].doc = (uint32_t)i;
    }
    record *low = radix(a, tmp, n);
    for (size_t i = 0; i < n; i++)
        low[i].lo = qdi_point_key_of(QD_POINT_B16, b->b16.at[low[i].doc]).hi;
    record *sorted = radix(low, low == a ? tmp : a, n);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        uint32_t at = sorted[i].doc;
        rc = qdi_points_writer_add(x, qdi_point_key_of(QD_POINT_B16, b->b16.at[at]), b->docs.at[at],
                                   err);
    }
    return rc;
}

static int write_field(qdi_points_writer *x, const qdi_points_source *s, uint32_t docs,
                       qd_file_writer *w, qd_buf *resident, qd_account *account, qd_err *err)
{
    const qdi_points_buffer *b = s->buffer;
    size_t n = b ? b->docs.n : s->column->i64.n;
    bool multi = false;
    if (n > UINT32_MAX)
        return qd_err_set(err, QD_E_LIMIT, "a segment has over 4,294,967,295 points of a field");
    record *a = qd_alloc(account, (n + 1) * sizeof *a),
           *tmp = qd_alloc(account, (n + 1) * sizeof *a);
    int rc = a && tmp ? 0 : qd_err_nomem(err, "sorting of points");
    for (size_t i = 0; rc == 0 && i < n; i++) {
        a[i].doc = b ? b->docs.at[i] : qdi_column_buffer_doc(s->column, i);
        multi |= i > 0 && a[i].doc == a[i - 1].doc;
    }
    if (rc == 0) {
        rc = qdi_points_writer_begin(x, w, s->field, b ? b->type : QD_POINT_I64, docs, multi,
                                     account, err);
        if (rc == 0)
            rc = b && b->type == QD_POINT_B16
                     ? write_b16(x, b, a, tmp, err)
                     : write_i64(x, b ? b->i64.at : s->column->i64.at, n, a, tmp, err);
        if (rc == 0) rc = qdi_points_writer_end(x, resident, err);
        qdi_points_writer_fini(x);
    }
    qd_free(a);
    qd_free(tmp);
    return rc;
}

int qdi_points_write(const qdi_points_source *sources, uint32_t n, uint32_t docs, qd_file_writer *w,
                     qd_buf *resident, qd_account *account, qd_err *err)
{
    qdi_points_writer *x = qd_calloc(account, sizeof *x);
    uint32_t written = 0;
    size_t count = resident->n;
    int rc = x ? qd_file_section_begin(w, QDI_SEC_POINTS, false, err) : qd_err_nomem(err, "points");
    if (rc == 0 && qd_buf_add(resident, "\0\0\0", 4)) rc = qd_err_nomem(err, "points");
    for (uint32_t i = 0; rc == 0 && i < n; i++) {
        qd_assert(i == 0 || sources[i].field > sources[i - 1].field);
        rc = write_field(x, &sources[i], docs, w, resident, account, err);
        written += x->head.points > 0;
    }
    if (rc == 0) qd_put_u32le(resident->p + count, written);
    qd_free(x);
    return rc ? rc : qd_file_section_end(w, NULL, err);
}
