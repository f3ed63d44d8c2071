/* script_vector.c: vectors of a field for scripts. */
#include "search/script_vector.h"
#include "mapping/vectors.h"
#include "segment/parts.h"
#include "segment/segment.h"

#define BLOCK_BYTES (64u << 10)

struct qd_script_vectors {
    const qd_field *field;
    qd_part_view view;
    qd_part_type type;
    qd_part_reader *reader; /* NULL: the segment has no vectors of the field */
    const qd_vectors *v;
    uint32_t *docs;    /* of the rows; NULL: row i is of document i */
    uint32_t first, n; /* rows at hand */
    const void *at[2]; /* they, and their lengths */
};

static int read_docs(qd_script_vectors *s, qd_arena *arena, qd_err *err)
{
    const qd_vectors *v = s->v;
    int rc = 0;
    if (!v->docs_at) return 0;
    s->docs = qd_arena_alloc(arena, (v->rows + (size_t)1) * sizeof *s->docs);
    if (!s->docs) return qd_err_nomem(err, "vectors for a script");
    for (uint32_t at = 0; at < v->rows && !rc; at += BLOCK_BYTES / sizeof *s->docs) {
        uint32_t n = BLOCK_BYTES / sizeof *s->docs;
        rc = qd_vectors_docs(v, at, v->rows - at < n ? v->rows - at : n, s->docs + at, err);
    }
    return rc;
}

int qd_script_vectors_open(struct qd_segment *segment, const qd_field *f, qd_arena *arena,
                           qd_account *account, qd_script_vectors **out, qd_err *err)
{
    uint32_t number = qd_segment_field_find(segment, f->name);
    const qd_part_info *info = number == QD_FIELD_NONE ? NULL : qd_segment_part_of(segment, number);
    qd_script_vectors *s = qd_arena_calloc(arena, sizeof *s);
    if (!s) return qd_err_nomem(err, "vectors for a script");
    s->field = f;
    *out = s;
    if (!info) return 0;
    if (!qd_field_part_find(NULL, info->type, &s->type))
        return qd_err_set(err, QD_E_STATE, "field [%.*s] has no vectors in a segment",
                          QD_STR_ARG(f->name));
    int rc = qd_part_view_open(&s->view, segment, info, arena, account, err);
    if (!rc) rc = qd_part_open(&s->view, &s->type, &s->reader, err);
    if (rc) return rc;
    s->v = qd_vectors_of(s->reader);
    return read_docs(s, arena, err);
}

/* Row of a document; false: it has none. */
static bool row_of(const qd_script_vectors *s, uint32_t doc, uint32_t *row)
{
    uint32_t lo = 0, hi = s->v->rows;
    *row = doc;
    if (!s->docs) return doc < hi;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (s->docs[mid] < doc)
            lo = mid + 1;
        else
            hi = mid;
    }
    *row = lo;
    return lo < s->v->rows && s->docs[lo] == doc;
}

static int read_block(qd_script_vectors *s, uint32_t row, qd_err *err)
{
    const qd_vectors *v = s->v;
    uint64_t most = BLOCK_BYTES / v->row ? BLOCK_BYTES / v->row : 1;
    uint32_t n = v->rows - row < most ? v->rows - row : (uint32_t)most;
    bool lengths = v->element != QD_ELEMENT_BIT;
    const qd_part_range ranges[] = {{v->rows_at + row * v->row, n * v->row},
                                    {v->magnitudes_at + row * sizeof(float), n * sizeof(float)}};
    s->n = 0;
    s->view.bytes.release(&s->view.bytes);
    int rc = s->view.bytes.read(&s->view.bytes, ranges, lengths ? 2 : 1, s->at, err);
    if (rc) return rc;
    s->first = row;
    s->n = n;
    return 0;
}

int qd_script_vectors_at(qd_script_vectors *s, uint32_t doc, qd_script_vector *out, qd_err *err)
{
    uint32_t row;
    *out = (qd_script_vector){0};
    if (!s->v || !row_of(s, doc, &row)) return 0;
    if (row < s->first || row - s->first >= s->n) {
        int rc = read_block(s, row, err);
        if (rc) return rc;
    }
    uint32_t i = row - s->first;
    out->kind = s->v->element == QD_ELEMENT_FLOAT  ? QD_SCRIPT_VECTOR_FLOATS
                : s->v->element == QD_ELEMENT_BYTE ? QD_SCRIPT_VECTOR_BYTES
                                                   : QD_SCRIPT_VECTOR_BITS;
    out->dims = s->v->dims;
    out->row = (const char *)s->at[0] + i * s->v->row;
    if (out->kind != QD_SCRIPT_VECTOR_BITS)
        memcpy(&out->length, (const char *)s->at[1] + i * sizeof out->length, sizeof out->length);
    return 0;
}

bool qd_script_vectors_of(const qd_script_vectors *v, const qd_field *f)
{
    return v->field == f;
}

void qd_script_vectors_close(qd_script_vectors *s)
{
    if (!s) return;
    if (s->reader) s->type.vt->close(s->reader);
    s->reader = NULL;
    qd_part_view_close(&s->view);
}
