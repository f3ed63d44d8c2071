/* nested_read.c: tables of nested documents, and which documents belong to which. */
#include "base/bits.h"
#include "segment/nested/nested_int.h"

/* --- tables ----------------------------------------------------------------------------------- */

static int bad_record(const qd_segment *s, qd_err *err)
{
    return qdi_corrupt(s, QDI_SEC_NESTED, 0, "record of nested documents", err);
}

/* One record: path and number of the table. */
static const uint8_t *read_record(const uint8_t *p, const uint8_t *end, qd_str *path,
                                  uint64_t *table)
{
    uint64_t n;
    if (!(p = qd_get_varint(p, end, &n)) || n == 0 || n > (size_t)(end - p)) return NULL;
    *path = (qd_str){(const char *)p, n}; /* stays: the section is resident */
    return qd_get_varint(p + n, end, table);
}

/* The lengths of CHILDREN and of the table must agree. */
static bool counted(const qd_segment *above, const qd_segment *s)
{
    uint64_t bytes = 0, bases = (uint64_t)above->docs / QDI_CHILDREN_BLOCK + 1;
    if (!qd_file_section(s->file, QDI_SEC_CHILDREN, &bytes)) return false;
    uint64_t head = QDI_CHILDREN_HEADER + 4 * bases, docs = above->docs;
    return bytes == head + docs || bytes == head + 2 * docs || bytes == head + 4 * docs;
}

/* Numbers rise from a table to those below it: no record leads back. */
static int open_table(qd_segment *s, uint32_t table, qd_str path, uint64_t number, qd_err *err)
{
    if (number <= table || number > QD_NESTED_TABLES_MAX) return bad_record(s, err);
    qd_file *view;
    int rc = qd_file_view(s->file, QDI_NESTED_SECTIONS(number), &view, err);
    if (rc) return rc;
    qd_nested *n = &s->nested[s->nnested];
    n->path = path;
    rc = qdi_segment_open(view, s->account, (uint32_t)number, &n->segment, err);
    qd_file_unref(view);
    if (rc) return rc;
    s->nnested++;
    return counted(s, n->segment) ? 0 : bad_record(s, err);
}

int qdi_nested_open(qd_segment *s, uint32_t table, qd_err *err)
{
    uint64_t bytes = 0, number = 0;
    const uint8_t *p = qd_file_resident(s->file, QDI_SEC_NESTED, &bytes), *end = p + bytes;
    if (!p) return 0;
    s->nested = qd_arena_calloc(&s->arena, QD_NESTED_TABLES_MAX * sizeof *s->nested);
    if (!s->nested) return qd_err_nomem(err, "nested documents of a segment");
    while (p < end) {
        qd_str path;
        p = read_record(p, end, &path, &number);
        bool good = p && s->nnested < QD_NESTED_TABLES_MAX;
        if (good && s->nnested) good = qd_str_cmp(s->nested[s->nnested - 1].path, path) < 0;
        if (!good) return bad_record(s, err);
        int rc = open_table(s, table, path, number, err);
        if (rc) return rc;
    }
    return 0;
}

void qdi_nested_close(qd_segment *s)
{
    for (uint32_t i = 0; i < s->nnested; i++) qd_segment_unref(s->nested[i].segment);
    s->nnested = 0;
}

uint32_t qd_segment_nested_count(const qd_segment *s)
{
    return s->nnested;
}

const qd_nested *qd_segment_nested_at(const qd_segment *s, uint32_t i)
{
    qd_assert(i < s->nnested);
    return &s->nested[i];
}

const qd_nested *qd_segment_nested(const qd_segment *s, qd_str path)
{
    for (uint32_t i = 0; i < s->nnested; i++)
        if (qd_str_eq(s->nested[i].path, path)) return &s->nested[i];
    return NULL;
}

uint64_t qd_segment_nested_docs(const qd_segment *s)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < s->nnested; i++)
        n += s->nested[i].segment->docs + qd_segment_nested_docs(s->nested[i].segment);
    return n;
}

/* --- children --------------------------------------------------------------------------------- */

int qd_children_plan(const qd_segment *above, const qd_nested *n, qd_reads *r, uint32_t *slot,
                     qd_err *err)
{
    uint64_t bytes = 0;
    if (!qd_file_section(n->segment->file, QDI_SEC_CHILDREN, &bytes)) return bad_record(above, err);
    return qd_reads_add(r, n->segment->file, QDI_SEC_CHILDREN, 0, bytes, slot, err);
}

int qd_children_open(qd_children *c, const qd_segment *above, const qd_nested *n, const qd_reads *r,
                     uint32_t slot, qd_err *err)
{
    const uint8_t *p = qd_reads_at(r, slot);
    uint32_t nbase = above->docs / QDI_CHILDREN_BLOCK + 1;
    *c = (qd_children){.parents = qd_get_u32le(p),
                       .children = qd_get_u32le(p + 4),
                       .width = qd_get_u32le(p + 8),
                       .base = p + QDI_CHILDREN_HEADER,
                       .counts = p + QDI_CHILDREN_HEADER + 4 * (size_t)nbase};
    uint64_t want = QDI_CHILDREN_HEADER + 4 * (uint64_t)nbase + (uint64_t)c->width * above->docs;
    bool good = c->parents == above->docs && c->children == n->segment->docs && c->width <= 4 &&
                qd_reads_len(r, slot) == want;
    return good ? 0 : qdi_corrupt(n->segment, QDI_SEC_CHILDREN, 0, "head of the children", err);
}

static uint32_t base_at(const qd_children *c, uint32_t block)
{
    return qd_get_u32le(c->base + 4 * (size_t)block);
}

uint32_t qdi_children_count(const qd_children *c, uint32_t parent)
{
    const uint8_t *p = c->counts + (size_t)c->width * parent;
    if (c->width == 1) return *p;
    return c->width == 2 ? (uint32_t)(p[0] | p[1] << 8) : qd_get_u32le(p);
}

/* What is read may be damaged: no number leaves the table. */
static uint32_t within(const qd_children *c, uint64_t at)
{
    return at < c->children ? (uint32_t)at : c->children;
}

uint32_t qd_children_first(const qd_children *c, uint32_t parent)
{
    qd_dassert(parent <= c->parents);
    uint32_t d = parent & ~(QDI_CHILDREN_BLOCK - 1);
    uint64_t at = base_at(c, parent / QDI_CHILDREN_BLOCK);
    for (; d < parent; d++) at += qdi_children_count(c, d);
    return within(c, at);
}

void qd_children_firsts(const qd_children *c, uint32_t parent, uint32_t n, uint32_t *out)
{
    uint64_t at = qd_children_first(c, parent);
    for (uint32_t i = 0; i < n; i++) {
        out[i] = within(c, at);
        at += qdi_children_count(c, parent + i);
    }
    out[n] = within(c, at);
}

uint32_t qd_children_parent(const qd_children *c, uint32_t child)
{
    uint32_t lo = 0, hi = c->parents / QDI_CHILDREN_BLOCK + 1; /* the last base not above child */
    while (hi - lo > 1) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (base_at(c, mid) <= child)
            lo = mid;
        else
            hi = mid;
    }
    uint32_t d = lo * QDI_CHILDREN_BLOCK;
    uint64_t at = base_at(c, lo);
    while (d + 1 < c->parents && at + qdi_children_count(c, d) <= child)
        at += qdi_children_count(c, d++);
    return d < c->parents ? d : c->parents - 1;
}
