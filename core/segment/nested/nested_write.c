/* nested_write.c: tables of nested documents of a file being written. docs/format.md has the bytes.
 */
#include "base/bits.h"
#include "segment/nested/nested_int.h"

void qdi_nested_record(qd_buf *out, qd_str path, uint32_t table)
{
    uint8_t bytes[10];
    qd_buf_add(out, bytes, (size_t)(qd_put_varint(bytes, path.n) - bytes));
    qd_buf_str(out, path);
    qd_buf_add(out, bytes, (size_t)(qd_put_varint(bytes, table) - bytes));
}

static void put_count(uint8_t *p, uint32_t width, uint32_t v)
{
    for (uint32_t i = 0; i < width; i++) p[i] = (uint8_t)(v >> 8 * i);
}

/* Bases: children before each block. */
static int write_bases(const uint32_t *counts, uint32_t parents, qd_buf *b, qd_err *err)
{
    uint32_t blocks = parents / QDI_CHILDREN_BLOCK, d = 0;
    uint64_t at = 0;
    uint8_t bytes[4];
    for (uint32_t i = 0; i <= blocks; i++) {
        qd_put_u32le(bytes, (uint32_t)at);
        qd_buf_add(b, bytes, 4);
        for (uint32_t k = 0; k < QDI_CHILDREN_BLOCK && d < parents; k++) at += counts[d++];
    }
    qd_assert(at <= QD_DOCS_MAX); /* as many documents the table has */
    return qd_buf_status(b) ? qd_err_nomem(err, "nested documents of a segment") : 0;
}

int qdi_children_write(const uint32_t *counts, uint32_t parents, qd_file_writer *w,
                       qd_account *account, qd_err *err)
{
    uint32_t most = 0;
    uint64_t children = 0;
    for (uint32_t d = 0; d < parents; d++) {
        most = counts[d] > most ? counts[d] : most;
        children += counts[d];
    }
    uint32_t width = most <= UINT8_MAX ? 1 : most <= UINT16_MAX ? 2 : 4;
    uint8_t head[QDI_CHILDREN_HEADER] = {0}, piece[4 * 1024];
    qd_put_u32le(head, parents);
    qd_put_u32le(head + 4, (uint32_t)children);
    qd_put_u32le(head + 8, width);
    qd_buf b;
    qd_buf_init(&b, account, (size_t)1 << 40);
    int rc = write_bases(counts, parents, &b, err);
    if (rc == 0) rc = qd_file_section_begin(w, QDI_SEC_CHILDREN, false, err);
    if (rc == 0) rc = qd_file_write(w, head, sizeof head, err);
    if (rc == 0) rc = qd_file_write(w, b.p, b.n, err);
    for (uint32_t d = 0; rc == 0 && d < parents;) {
        uint32_t n = parents - d < 1024 ? parents - d : 1024;
        for (uint32_t i = 0; i < n; i++) put_count(piece + (size_t)i * width, width, counts[d + i]);
        rc = qd_file_write(w, piece, (size_t)n * width, err);
        d += n;
    }
    if (rc == 0) rc = qd_file_section_end(w, NULL, err);
    qd_buf_fini(&b);
    return rc;
}

int qdi_nested_begin(qdi_nested_tables *t, qd_file_writer *w, qdi_nested_table **out, qd_err *err)
{
    if (t->v.n >= QD_NESTED_TABLES_MAX)
        return qd_err_set(err, QD_E_LIMIT, "a segment has nested documents of at most %u paths",
                          QD_NESTED_TABLES_MAX);
    qdi_nested_table *x = qd_calloc(t->account, sizeof *x);
    if (!x || qd_vec_push(&t->v, t->account, x)) {
        qd_free(x);
        return qd_err_nomem(err, "nested documents of a segment");
    }
    qdi_residents_init(&x->residents, t->account);
    x->number = (uint32_t)t->v.n;
    qd_file_sections_from(w, QDI_NESTED_SECTIONS(x->number));
    *out = x;
    return 0;
}

int qdi_nested_residents(qdi_nested_tables *t, qdi_residents *own, qd_file_writer *w, qd_err *err)
{
    qd_file_sections_from(w, 0);
    int rc = qdi_residents_write(own, w, err);
    for (size_t i = 0; rc == 0 && i < t->v.n; i++) {
        qd_file_sections_from(w, QDI_NESTED_SECTIONS(t->v.at[i]->number));
        rc = qdi_residents_write(&t->v.at[i]->residents, w, err);
    }
    return rc;
}

void qdi_nested_tables_fini(qdi_nested_tables *t)
{
    for (size_t i = 0; i < t->v.n; i++) {
        qdi_residents_fini(&t->v.at[i]->residents);
        qd_free(t->v.at[i]);
    }
    qd_vec_fini(&t->v);
}
