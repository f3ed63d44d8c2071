/*
 * vector_part.c: the index part of vectors: filled by documents, written, opened, merged, checked.
 *
 * What comes from a segment is checked before it is used: the length of the part follows from its
 * head, documents ascend within the segment.
 */
#include "mapping/vector_part.h"
#include "base/bits.h"
#include "base/err.h"
#include "base/mem.h"
#include <math.h>

#define HEAD 16u
#define ALIGN 64u
#define BLOCK_BYTES (256u << 10) /* read or written at once */
#define BLOCK_ROWS 4096u
#define FLAG_ALL 1u /* every document of the segment has a row */

static qd_account account = {.name = "vectors", .parent = &qd_account_root};

typedef struct head {
    uint32_t dims, element, rows, flags;
} head;
_Static_assert(sizeof(head) == HEAD, "head of a part");

float qd_vectors_magnitude(uint32_t element, uint32_t dims, const void *row)
{
    const char *p = row;
    double sum = 0;
    for (uint32_t i = 0; i < dims; i++) {
        float v;
        if (element == QD_ELEMENT_FLOAT)
            memcpy(&v, p + i * sizeof v, sizeof v);
        else
            v = (float)(int8_t)p[i];
        sum += (double)v * (double)v;
    }
    return (float)sqrt(sum);
}

static bool has_magnitudes(uint32_t element)
{
    return element != QD_ELEMENT_BIT;
}

/* Where things are, of a head that may say anything. */
static void place(const head *h, qd_vectors *v)
{
    uint64_t at = HEAD;
    v->element = (qd_vector_element)h->element;
    v->dims = h->dims;
    v->rows = h->rows;
    v->row = qd_vectors_row(h->element, h->dims);
    v->docs_at = h->flags & FLAG_ALL ? 0 : at;
    if (v->docs_at) at += (uint64_t)h->rows * sizeof(uint32_t);
    v->magnitudes_at = at;
    if (has_magnitudes(h->element)) at += (uint64_t)h->rows * sizeof(float);
    v->rows_at = (at + ALIGN - 1) / ALIGN * ALIGN;
}

static uint64_t length_of(const qd_vectors *v)
{
    return v->rows_at + v->rows * v->row;
}

/* --- filling and writing ---------------------------------------------------------------------- */

struct qd_part_buffer {
    head head;
    uint32_t cap;
    uint64_t row;
    uint32_t *docs;
    float *magnitudes;
    char *rows;
};

static int32_t no_memory(qd_err *err)
{
    return qd_err_nomem(err, "vectors");
}

static int32_t begin(const qd_field_conf *c, qd_part_buffer **out, qd_err *err)
{
    qd_part_buffer *b = qd_calloc(&account, sizeof *b);
    if (!b) return no_memory(err);
    b->head.dims = (uint32_t)c->values[QD_VECTORS_CONF_DIMS].i64;
    b->head.element = (uint32_t)c->values[QD_VECTORS_CONF_ELEMENT].i64;
    b->row = qd_vectors_row(b->head.element, b->head.dims);
    *out = b;
    return 0;
}

static int32_t grow(qd_part_buffer *b, qd_err *err)
{
    uint32_t cap = b->cap ? b->cap + b->cap / 2 : 16;
    uint32_t *docs = qd_realloc(&account, b->docs, cap * sizeof *docs);
    if (docs) b->docs = docs;
    float *magnitudes = docs ? qd_realloc(&account, b->magnitudes, cap * sizeof *magnitudes) : NULL;
    if (magnitudes) b->magnitudes = magnitudes;
    char *rows = magnitudes ? qd_realloc(&account, b->rows, cap * b->row) : NULL;
    if (!rows) return no_memory(err);
    b->rows = rows;
    b->cap = cap;
    return 0;
}

static int32_t add(qd_part_buffer *b, uint32_t doc, qd_str value, qd_err *err)
{
    uint32_t n = b->head.rows;
    if (value.n != b->row)
        return qd_err_set(err, QD_E_ARG, "the vector has %zu bytes, those of the field have %llu",
                          value.n, (unsigned long long)b->row);
    if (n && b->docs[n - 1] >= doc)
        return qd_err_set(err, QD_E_ARG, "a document has at most one vector");
    int32_t rc = n == b->cap ? grow(b, err) : 0;
    if (rc) return rc;
    b->docs[n] = doc;
    b->magnitudes[n] = has_magnitudes(b->head.element)
                           ? qd_vectors_magnitude(b->head.element, b->head.dims, value.p)
                           : 0;
    memcpy(b->rows + n * b->row, value.p, b->row);
    b->head.rows++;
    return 0;
}

static void cut(qd_part_buffer *b, uint32_t doc)
{
    while (b->head.rows && b->docs[b->head.rows - 1] >= doc) b->head.rows--;
}

static uint64_t bytes_of(const qd_part_buffer *b)
{
    return b->head.rows * (b->row + sizeof(uint32_t) + sizeof(float));
}

/* Writes the zeros before the rows. */
static int32_t write_gap(const qd_vectors *v, const qd_part_sink *s, qd_err *err)
{
    static const char zeros[ALIGN];
    uint64_t at = v->magnitudes_at;
    if (has_magnitudes(v->element)) at += (uint64_t)v->rows * sizeof(float);
    return v->rows_at > at ? s->write(s, zeros, (size_t)(v->rows_at - at), err) : 0;
}

static int32_t write(qd_part_buffer *b, uint32_t docs, const qd_part_sink *s, qd_err *err)
{
    size_t n = b->head.rows;
    qd_vectors v;
    b->head.flags = n == docs ? FLAG_ALL : 0;
    place(&b->head, &v);
    int32_t rc = s->write(s, &b->head, sizeof b->head, err);
    if (!rc && n && v.docs_at) rc = s->write(s, b->docs, n * sizeof *b->docs, err);
    if (!rc && n && has_magnitudes(b->head.element))
        rc = s->write(s, b->magnitudes, n * sizeof *b->magnitudes, err);
    if (!rc) rc = write_gap(&v, s, err);
    return !rc && n ? s->write(s, b->rows, n * b->row, err) : rc;
}

static void end(qd_part_buffer *b)
{
    qd_free(b->docs);
    qd_free(b->magnitudes);
    qd_free(b->rows);
    qd_free(b);
}

/* --- reading ---------------------------------------------------------------------------------- */

struct qd_part_reader {
    qd_vectors v;
};

static int32_t read_head(const qd_part_bytes *b, qd_vectors *v, qd_err *err)
{
    const qd_part_range range = {0, HEAD};
    const void *p = NULL;
    head h;
    int32_t rc = b->read(b, &range, 1, &p, err);
    if (rc) return rc;
    memcpy(&h, p, sizeof h);
    b->release(b);
    bool sound = h.dims >= 1 && h.dims <= QD_VECTOR_DIMS_MAX && h.element < QD_ELEMENTS &&
                 h.rows <= b->docs && h.flags == (h.rows == b->docs ? FLAG_ALL : 0) &&
                 (h.element != QD_ELEMENT_BIT || h.dims % 8 == 0);
    if (sound) place(&h, v);
    if (!sound || length_of(v) != b->length)
        return b->corrupt(b, 0, QD_STR("head of the vectors"), err);
    v->bytes = b;
    return 0;
}

static int32_t plan(qd_self *self, const qd_part_bytes *b, qd_part_range *ranges, uint32_t *n,
                    qd_err *err)
{
    (void)self, (void)err;
    ranges[0] = (qd_part_range){0, b->length < HEAD ? b->length : HEAD};
    *n = 1;
    return 0;
}

static int32_t open_part(qd_self *self, const qd_part_bytes *b, qd_part_reader **out, qd_err *err)
{
    qd_vectors v;
    (void)self;
    int32_t rc = read_head(b, &v, err);
    if (rc) return rc;
    qd_part_reader *r = qd_alloc(&account, sizeof *r);
    if (!r) return no_memory(err);
    r->v = v;
    *out = r;
    return 0;
}

static void close_part(qd_part_reader *r)
{
    qd_free(r);
}

const qd_vectors *qd_vectors_of(const qd_part_reader *r)
{
    return &r->v;
}

int qd_vectors_docs(const qd_vectors *v, uint32_t from, uint32_t n, uint32_t *docs, qd_err *err)
{
    const qd_part_bytes *b = v->bytes;
    const qd_part_range range = {v->docs_at + (uint64_t)from * sizeof *docs, n * sizeof *docs};
    const void *p = NULL;
    for (uint32_t i = 0; !v->docs_at && i < n; i++) docs[i] = from + i;
    if (!v->docs_at || !n) return 0;
    int rc = b->read(b, &range, 1, &p, err);
    if (rc) return rc;
    memcpy(docs, p, range.length);
    b->release(b);
    for (uint32_t i = 0; i < n; i++)
        if (docs[i] >= b->docs || (i && docs[i - 1] >= docs[i]))
            return b->corrupt(b, range.offset + i * sizeof *docs, QD_STR("document of a vector"),
                              err);
    return 0;
}

/* --- merging ---------------------------------------------------------------------------------- */

#define NO_ROW UINT64_MAX

/* By document of the result: source above 32 bits, row below; or NO_ROW. */
typedef struct merging {
    const qd_part_source *sources;
    qd_vectors *in; /* by source */
    uint32_t n, docs;
    uint64_t *rows;
    const qd_part_sink *sink;
} merging;

static int32_t map_source(merging *m, uint32_t i, uint32_t *kept, qd_err *err)
{
    const qd_part_source *s = &m->sources[i];
    const qd_vectors *v = &m->in[i];
    uint32_t docs[1024];
    int32_t rc = 0;
    for (uint32_t at = 0; at < v->rows && !rc; at += QD_COUNT_OF(docs)) {
        uint32_t k = v->rows - at < QD_COUNT_OF(docs) ? v->rows - at : QD_COUNT_OF(docs);
        rc = qd_vectors_docs(v, at, k, docs, err);
        for (uint32_t j = 0; j < k && !rc; j++) {
            uint32_t to = s->map[docs[j]];
            if (to == QD_PART_GONE) continue;
            if (to >= m->docs || m->rows[to] != NO_ROW) /* blocks that do not ascend */
                return s->bytes->corrupt(s->bytes, v->docs_at, QD_STR("document of a vector"), err);
            m->rows[to] = (uint64_t)i << 32 | (at + j);
            ++*kept;
        }
    }
    return rc;
}

/* Rows of one source that follow each other there and in the result, from document *doc on; at
 * most so many bytes of `size` each. 0: none is left. */
static uint32_t next_run(const merging *m, uint32_t *doc, uint64_t size, uint64_t *first)
{
    uint64_t most = BLOCK_BYTES / size ? BLOCK_BYTES / size : 1;
    uint32_t n = 0;
    while (*doc < m->docs && m->rows[*doc] == NO_ROW) ++*doc;
    if (*doc == m->docs) return 0;
    *first = m->rows[*doc];
    for (; *doc < m->docs && n < most; ++*doc) {
        if (m->rows[*doc] == NO_ROW) continue;
        if (m->rows[*doc] != *first + n) break;
        n++;
    }
    return n;
}

/* Copies what stands by row, from offset `at` of each source on. */
static int32_t copy_rows(const merging *m, uint64_t size, bool magnitudes, qd_err *err)
{
    uint32_t doc = 0, n;
    uint64_t first = 0;
    int32_t rc = 0;
    while (!rc && (n = next_run(m, &doc, size, &first))) {
        const qd_vectors *v = &m->in[first >> 32];
        const qd_part_bytes *b = v->bytes;
        uint64_t at = magnitudes ? v->magnitudes_at : v->rows_at;
        const qd_part_range range = {at + (first & UINT32_MAX) * size, n * size};
        const void *p = NULL;
        rc = b->read(b, &range, 1, &p, err);
        if (!rc) rc = m->sink->write(m->sink, p, range.length, err);
        b->release(b);
    }
    return rc;
}

static int32_t write_docs(const merging *m, qd_err *err)
{
    uint32_t docs[1024], n = 0;
    int32_t rc = 0;
    for (uint32_t d = 0; d < m->docs && !rc; d++) {
        if (m->rows[d] != NO_ROW) docs[n++] = d;
        if (n < QD_COUNT_OF(docs)) continue;
        rc = m->sink->write(m->sink, docs, sizeof docs, err);
        n = 0;
    }
    return rc || !n ? rc : m->sink->write(m->sink, docs, n * sizeof *docs, err);
}

static int32_t merge_all(merging *m, qd_err *err)
{
    uint32_t kept = 0;
    int32_t rc = 0;
    for (uint32_t i = 0; i < m->n && !rc; i++) {
        qd_vectors *v = &m->in[i];
        rc = read_head(m->sources[i].bytes, v, err);
        if (!rc && (v->dims != m->in[0].dims || v->element != m->in[0].element))
            rc = v->bytes->corrupt(v->bytes, 0, QD_STR("kind of the vectors"), err);
        if (!rc) rc = map_source(m, i, &kept, err);
    }
    if (rc) return rc;
    const qd_vectors *v = &m->in[0];
    head h = {v->dims, v->element, kept, kept == m->docs ? FLAG_ALL : 0};
    qd_vectors out;
    place(&h, &out);
    rc = m->sink->write(m->sink, &h, sizeof h, err);
    if (!rc && out.docs_at) rc = write_docs(m, err);
    if (!rc && has_magnitudes(h.element)) rc = copy_rows(m, sizeof(float), true, err);
    if (!rc) rc = write_gap(&out, m->sink, err);
    return rc ? rc : copy_rows(m, out.row, false, err);
}

static int32_t merge(qd_self *self, const qd_part_source *s, uint32_t n, uint32_t docs,
                     const qd_part_sink *sink, qd_err *err)
{
    merging m = {.sources = s, .n = n, .docs = docs, .sink = sink};
    (void)self;
    m.in = qd_calloc(&account, n * sizeof *m.in);
    m.rows = qd_alloc(&account, (docs + (size_t)1) * sizeof *m.rows);
    if (m.rows) memset(m.rows, 0xff, docs * sizeof *m.rows);
    int32_t rc = m.in && m.rows ? merge_all(&m, err) : no_memory(err);
    qd_free(m.in);
    qd_free(m.rows);
    return rc;
}

/* --- the check -------------------------------------------------------------------------------- */

static void check_row(const qd_vectors *v, const qd_part_findings *f, uint32_t i, const char *row,
                      const char *magnitude)
{
    uint64_t at = v->rows_at + i * v->row;
    float length;
    for (uint32_t d = 0; v->element == QD_ELEMENT_FLOAT && d < v->dims; d++) {
        float x;
        memcpy(&x, row + d * sizeof x, sizeof x);
        if (!isfinite(x)) f->found(f, at + d * sizeof x, QD_STR("a value is no number"));
    }
    if (!has_magnitudes(v->element)) return;
    memcpy(&length, magnitude, sizeof length);
    if (!(length == qd_vectors_magnitude(v->element, v->dims, row)))
        f->found(f, v->magnitudes_at + i * sizeof length, QD_STR("magnitude of a vector"));
}

static int32_t check_rows(const qd_vectors *v, const qd_part_findings *f, uint32_t from, uint32_t n,
                          uint32_t *docs, uint32_t *last, qd_err *err)
{
    const qd_part_bytes *b = v->bytes;
    const bool lengths = has_magnitudes(v->element);
    const qd_part_range ranges[] = {
        {v->rows_at + from * v->row, n * v->row},
        {v->magnitudes_at + from * sizeof(float), lengths ? n * sizeof(float) : 0}};
    const void *p[2] = {NULL, NULL};
    int32_t rc = qd_vectors_docs(v, from, n, docs, err);
    if (rc) return rc;
    if (from && docs[0] <= *last)
        f->found(f, v->docs_at + from * sizeof *docs, QD_STR("document of a vector"));
    *last = docs[n - 1];
    rc = b->read(b, ranges, lengths ? 2 : 1, p, err);
    for (uint32_t i = 0; i < n && !rc; i++)
        check_row(v, f, from + i, (const char *)p[0] + i * v->row,
                  lengths ? (const char *)p[1] + i * sizeof(float) : NULL);
    b->release(b);
    return rc;
}

static int32_t check_part(qd_self *self, const qd_part_bytes *b, const qd_part_findings *f,
                          qd_err *err)
{
    uint32_t docs[BLOCK_ROWS], last = 0;
    qd_vectors v;
    (void)self;
    int32_t rc = read_head(b, &v, err);
    if (rc) return rc;
    uint64_t most = BLOCK_BYTES / v.row ? BLOCK_BYTES / v.row : 1;
    if (most > BLOCK_ROWS) most = BLOCK_ROWS;
    for (uint32_t at = 0; at < v.rows && !rc; at += (uint32_t)most)
        rc = check_rows(&v, f, at, v.rows - at < most ? v.rows - at : (uint32_t)most, docs, &last,
                        err);
    return rc;
}

const qd_part_vtable qd_vectors_part = {.struct_size = sizeof(qd_part_vtable),
                                        .version = 1,
                                        .version_min = 1,
                                        .begin = begin,
                                        .add = add,
                                        .cut = cut,
                                        .bytes = bytes_of,
                                        .write = write,
                                        .end = end,
                                        .plan = plan,
                                        .open = open_part,
                                        .close = close_part,
                                        .merge = merge,
                                        .check = check_part};
