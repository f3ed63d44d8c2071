/*
 * vector_part.c: the index part of vectors: filled by documents, written, opened, merged, checked.
 *
 * What comes from a segment is checked before it is used: the length of the part follows from its
 * head, documents ascend within the segment.
 */
#include "mapping/vector_part.h"
#include "base/bits.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "mapping/ann/graph.h"
#include <math.h>

#define HEAD 16u
#define ALIGN 64u
#define BLOCK_BYTES (256u << 10) /* read or written at once */
#define BLOCK_ROWS 4096u
#define FLAG_ALL 1u   /* every document of the segment has a row */
#define FLAG_GRAPH 2u /* a head of codes and graph follows, and they behind the rows */

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
    uint64_t at = HEAD + (h->flags & FLAG_GRAPH ? sizeof(qd_graph_head) : 0);
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
    qd_graph_head graph; /* what is asked for, where flags say so */
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

static int32_t begin_graph(const qd_field_conf *c, qd_part_buffer **out, qd_err *err)
{
    const qd_field_value *v = c->values;
    int32_t rc = begin(c, out, err);
    if (rc) return rc;
    (*out)->head.flags = FLAG_GRAPH;
    (*out)->graph = (qd_graph_head){.bits = (uint32_t)v[QD_VECTORS_CONF_BITS].i64,
                                    .flat = (uint32_t)v[QD_VECTORS_CONF_FLAT].i64,
                                    .m = (uint32_t)v[QD_VECTORS_CONF_M].i64,
                                    .ef = (uint32_t)v[QD_VECTORS_CONF_EF].i64,
                                    .space = (uint32_t)v[QD_VECTORS_CONF_SPACE].i64,
                                    .threshold = (uint32_t)v[QD_VECTORS_CONF_THRESHOLD].i64,
                                    .confidence = (float)v[QD_VECTORS_CONF_CONFIDENCE].f64};
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

static int poll_sink(void *sink)
{
    const qd_part_sink *s = sink;
    return s->write(s, "", 0, NULL); /* of no bytes: has the work to end? */
}

/* A segment whose graph needs more memory than there is gets none: its rows are searched. */
static int32_t without_graph(const qd_graph_head *asked, qd_graph_build **g, qd_graph_head *h,
                             int32_t rc, qd_err *err)
{
    if (rc == QD_E_NOMEM || rc == QD_E_BREAKER) {
        qd_log_warn("engine", "a segment is written without a graph of its vectors: %s",
                    qd_err_reason(err));
        qd_err_fini(err);
        *h = *asked;
        rc = 0;
    }
    qd_graph_build_free(*g);
    *g = NULL;
    return rc;
}

static int32_t build_graph(const qd_part_buffer *b, const qd_part_sink *s, qd_graph_build **out,
                           qd_graph_head *h, qd_err *err)
{
    const char *lengths = has_magnitudes(b->head.element) ? (const char *)b->magnitudes : NULL;
    *out = NULL;
    int32_t rc = qd_graph_build_make(&b->graph, b->head.dims, b->head.element, b->head.rows,
                                     &account, out, err);
    if (!rc && qd_graph_build_wants(*out)) {
        qd_graph_build_mean(*out, b->rows, lengths, b->head.rows);
        qd_graph_build_encode(*out, b->rows, lengths, b->head.rows);
        rc = qd_graph_build_link(*out, poll_sink, (void *)(uintptr_t)s, err);
    }
    if (rc) return without_graph(&b->graph, out, h, rc, err);
    *h = *qd_graph_build_head(*out);
    return 0;
}

static int32_t write_rows(const qd_part_buffer *b, const qd_graph_head *g, const qd_part_sink *s,
                          qd_vectors *v, qd_err *err)
{
    size_t n = b->head.rows;
    place(&b->head, v);
    int32_t rc = s->write(s, &b->head, sizeof b->head, err);
    if (!rc && g) rc = s->write(s, g, sizeof *g, err);
    if (!rc && n && v->docs_at) rc = s->write(s, b->docs, n * sizeof *b->docs, err);
    if (!rc && n && has_magnitudes(b->head.element))
        rc = s->write(s, b->magnitudes, n * sizeof *b->magnitudes, err);
    if (!rc) rc = write_gap(v, s, err);
    return !rc && n ? s->write(s, b->rows, n * b->row, err) : rc;
}

static int32_t write(qd_part_buffer *b, uint32_t docs, const qd_part_sink *s, qd_err *err)
{
    bool graphed = b->head.flags & FLAG_GRAPH;
    qd_graph_build *g = NULL;
    qd_graph_head h;
    qd_vectors v;
    b->head.flags = (b->head.rows == docs ? FLAG_ALL : 0) | (graphed ? FLAG_GRAPH : 0);
    int32_t rc = graphed ? build_graph(b, s, &g, &h, err) : 0;
    if (!rc) rc = write_rows(b, graphed ? &h : NULL, s, &v, err);
    if (!rc && g) rc = qd_graph_build_write(g, length_of(&v), s, err);
    qd_graph_build_free(g);
    return rc;
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
    qd_graph_head graph; /* bits and levels 0 of a part of rows alone */
    qd_graph_place place;
};

static int32_t read_graph_head(const qd_part_bytes *b, const head *h, qd_part_reader *r,
                               qd_err *err)
{
    const qd_part_range range = {HEAD, sizeof r->graph};
    const void *p = NULL;
    int32_t rc = b->read(b, &range, 1, &p, err);
    if (rc) return rc;
    memcpy(&r->graph, p, sizeof r->graph);
    b->release(b);
    if (!qd_graph_sound(&r->graph, h->element, h->rows))
        return b->corrupt(b, HEAD, QD_STR("head of the graph of vectors"), err);
    return 0;
}

static int32_t read_head(const qd_part_bytes *b, qd_part_reader *r, qd_err *err)
{
    const qd_part_range range = {0, HEAD};
    const void *p = NULL;
    head h;
    int32_t rc = b->read(b, &range, 1, &p, err);
    if (rc) return rc;
    memcpy(&h, p, sizeof h);
    b->release(b);
    *r = (qd_part_reader){.graph = {.bits = 0}};
    bool sound = h.dims >= 1 && h.dims <= QD_VECTOR_DIMS_MAX && h.element < QD_ELEMENTS &&
                 h.rows <= b->docs &&
                 (h.flags & ~FLAG_GRAPH) == (h.rows == b->docs ? FLAG_ALL : 0) &&
                 (h.element != QD_ELEMENT_BIT || h.dims % 8 == 0);
    if (!sound) return b->corrupt(b, 0, QD_STR("head of the vectors"), err);
    place(&h, &r->v);
    if (h.flags & FLAG_GRAPH) rc = read_graph_head(b, &h, r, err);
    if (rc) return rc;
    qd_graph_places(&r->graph, h.dims, h.rows, length_of(&r->v), &r->place);
    if (r->place.end != b->length) return b->corrupt(b, 0, QD_STR("head of the vectors"), err);
    r->v.bytes = b;
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
    qd_part_reader read;
    (void)self;
    int32_t rc = read_head(b, &read, err);
    if (rc) return rc;
    qd_part_reader *r = qd_alloc(&account, sizeof *r);
    if (!r) return no_memory(err);
    *r = read;
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

int qd_graph_open(const qd_part_reader *r, qd_graph *g, qd_err *err)
{
    const qd_vectors *v = &r->v;
    const qd_part_bytes *b = v->bytes;
    bool lengths = has_magnitudes(v->element), rows = !r->graph.coded && r->graph.levels;
    uint64_t from = length_of(v);
    const qd_part_range ranges[] = {
        {from, r->place.end - from},
        {rows ? v->rows_at : 0, rows ? v->rows * v->row : 0},
        {v->magnitudes_at, rows && lengths ? v->rows * sizeof(float) : 0}};
    const void *p[3];
    *g = (qd_graph){.bytes = b, .head = r->graph, .place = r->place, .kern = qd_vec_get()};
    g->dims = v->dims;
    g->element = (uint32_t)v->element;
    g->n = v->rows;
    g->row = v->row;
    if (!r->graph.coded && !r->graph.levels) return 0;
    int rc = b->read(b, ranges, 3, p, err);
    if (rc) return rc;
    const char *base = (const char *)p[0] - from;
    if (rows) g->rows = p[1], g->lengths = p[2];
    if (r->graph.coded) g->codes = base + r->place.codes;
    if (r->graph.levels) g->lists = base + r->place.lists;
    for (uint32_t l = 1; l < r->graph.levels; l++) g->level[l] = base + r->place.level[l];
    g->coding = (qd_coding){.bits = r->graph.bits,
                            .dims = v->dims,
                            .space = (qd_vector_space)r->graph.space,
                            .centre = (const float *)(const void *)(base + r->place.centre)};
    return 0;
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
    qd_part_reader *in; /* by source */
    uint32_t n, docs;
    uint64_t *rows;
    const qd_part_sink *sink;
} merging;

static int32_t map_source(merging *m, uint32_t i, uint32_t *kept, qd_err *err)
{
    const qd_part_source *s = &m->sources[i];
    const qd_vectors *v = &m->in[i].v;
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
        const qd_vectors *v = &m->in[first >> 32].v;
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

/* Shows all rows of the result to the graph. */
static int32_t show_rows(const merging *m, qd_graph_build *g,
                         void (*show)(qd_graph_build *, const char *, const char *, uint32_t),
                         qd_err *err)
{
    uint32_t doc = 0, n;
    uint64_t first = 0;
    int32_t rc = 0;
    while (!rc && (n = next_run(m, &doc, m->in[0].v.row, &first))) {
        const qd_vectors *v = &m->in[first >> 32].v;
        const qd_part_bytes *b = v->bytes;
        uint64_t at = first & UINT32_MAX;
        bool lengths = has_magnitudes(v->element);
        const qd_part_range ranges[] = {
            {v->rows_at + at * v->row, n * v->row},
            {v->magnitudes_at + at * sizeof(float), lengths ? n * sizeof(float) : 0}};
        const void *p[2] = {NULL, NULL};
        rc = m->sink->write(m->sink, "", 0, err);
        if (!rc) rc = b->read(b, ranges, lengths ? 2 : 1, p, err);
        if (!rc) show(g, p[0], p[1], n);
        b->release(b);
    }
    return rc;
}

/* What the newest source with a graph asks for; NULL: none has. */
static const qd_graph_head *asked_of(const merging *m)
{
    const qd_graph_head *h = NULL;
    for (uint32_t i = 0; i < m->n; i++)
        if (m->in[i].graph.m) h = &m->in[i].graph;
    return h;
}

static int32_t merge_graph(const merging *m, const qd_graph_head *asked, const head *to,
                           qd_graph_build **out, qd_graph_head *h, qd_err *err)
{
    qd_graph_head none = *asked;
    none.coded = none.levels = none.entry = 0;
    memset(none.in_level, 0, sizeof none.in_level);
    *out = NULL;
    int32_t rc = qd_graph_build_make(&none, to->dims, to->element, to->rows, &account, out, err);
    if (!rc && qd_graph_build_wants(*out)) {
        rc = show_rows(m, *out, qd_graph_build_mean, err);
        if (!rc) rc = show_rows(m, *out, qd_graph_build_encode, err);
        if (!rc) rc = qd_graph_build_link(*out, poll_sink, (void *)(uintptr_t)m->sink, err);
    }
    if (rc) return without_graph(&none, out, h, rc, err);
    *h = *qd_graph_build_head(*out);
    return 0;
}

static int32_t read_sources(merging *m, uint32_t *kept, qd_err *err)
{
    int32_t rc = 0;
    for (uint32_t i = 0; i < m->n && !rc; i++) {
        const qd_vectors *v = &m->in[i].v, *first = &m->in[0].v;
        rc = read_head(m->sources[i].bytes, &m->in[i], err);
        if (!rc && (v->dims != first->dims || v->element != first->element))
            rc = v->bytes->corrupt(v->bytes, 0, QD_STR("kind of the vectors"), err);
        if (!rc) rc = map_source(m, i, kept, err);
    }
    return rc;
}

static int32_t write_merged(const merging *m, const head *h, const qd_graph_head *graph,
                            qd_vectors *out, qd_err *err)
{
    place(h, out);
    int32_t rc = m->sink->write(m->sink, h, sizeof *h, err);
    if (!rc && graph) rc = m->sink->write(m->sink, graph, sizeof *graph, err);
    if (!rc && out->docs_at) rc = write_docs(m, err);
    if (!rc && has_magnitudes(h->element)) rc = copy_rows(m, sizeof(float), true, err);
    if (!rc) rc = write_gap(out, m->sink, err);
    return rc ? rc : copy_rows(m, out->row, false, err);
}

static int32_t merge_all(merging *m, qd_err *err)
{
    uint32_t kept = 0;
    int32_t rc = read_sources(m, &kept, err);
    if (rc) return rc;
    const qd_vectors *v = &m->in[0].v;
    const qd_graph_head *asked = asked_of(m);
    head h = {v->dims, v->element, kept,
              (kept == m->docs ? FLAG_ALL : 0) | (asked ? FLAG_GRAPH : 0)};
    qd_graph_build *g = NULL;
    qd_graph_head graph;
    qd_vectors out;
    if (asked) rc = merge_graph(m, asked, &h, &g, &graph, err);
    if (!rc) rc = write_merged(m, &h, asked ? &graph : NULL, &out, err);
    if (!rc && g) rc = qd_graph_build_write(g, length_of(&out), m->sink, err);
    qd_graph_build_free(g);
    return rc;
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

static int32_t check_graph(const qd_part_reader *r, qd_err *err)
{
    qd_graph g;
    int32_t rc = qd_graph_open(r, &g, err);
    if (!rc) rc = qd_graph_check(&g, err);
    r->v.bytes->release(r->v.bytes);
    return rc;
}

static int32_t check_part(qd_self *self, const qd_part_bytes *b, const qd_part_findings *f,
                          qd_err *err)
{
    uint32_t docs[BLOCK_ROWS], last = 0;
    qd_part_reader r;
    (void)self;
    int32_t rc = read_head(b, &r, err);
    if (rc) return rc;
    const qd_vectors *v = &r.v;
    uint64_t most = BLOCK_BYTES / v->row ? BLOCK_BYTES / v->row : 1;
    if (most > BLOCK_ROWS) most = BLOCK_ROWS;
    for (uint32_t at = 0; at < v->rows && !rc; at += (uint32_t)most)
        rc = check_rows(v, f, at, v->rows - at < most ? v->rows - at : (uint32_t)most, docs, &last,
                        err);
    return rc ? rc : check_graph(&r, err);
}

#define FUNCTIONS(BEGIN)                                                                           \
    {                                                                                              \
        .struct_size = sizeof(qd_part_vtable), .version = 1, .version_min = 1, .begin = BEGIN,     \
        .add = add, .cut = cut, .bytes = bytes_of, .write = write, .end = end, .plan = plan,       \
        .open = open_part, .close = close_part, .merge = merge, .check = check_part                \
    }

const qd_part_vtable qd_vectors_part = FUNCTIONS(begin);
const qd_part_vtable qd_vectors_graph_part = FUNCTIONS(begin_graph);
