/*
 * nearest.c: nearest vectors over all segments. Where a segment has neither codes nor a graph, its
 * rows are read block by block, those of documents that pass measured by a kernel, the best kept.
 */
#include "mapping/field.h"
#include "mapping/vectors.h"
#include "search/nested.h"
#include "search/nodes/nearest_int.h"
#include "segment/live.h"
#include "segment/parts.h"
#include "segment/segment.h"
#include <float.h>
#include <math.h>
#include <stdlib.h>

#define BLOCK_ROWS 1024u
#define BLOCK_BYTES (256u << 10)

_Static_assert(QD_VECTOR_PAD >= QD_VEC_LANES, "zeros behind a query");

typedef qdi_finding finding;

/* Where rows are of nested documents: a document is as near as the nearest of its own, which stand
 * in a row. */
struct qdi_parents {
    qd_nested_level level;
    qd_nested_counts counts; /* of the leaf under way */
    uint32_t at;             /* the document under way, in its leaf; QD_NO_DOC: none */
    uint32_t end;            /* behind its nested ones */
    float best;
};
typedef struct qdi_parents parents;

/* --- the filter ------------------------------------------------------------------------------- */

typedef struct marker {
    qd_collector c;
    finding *f;
} marker;

static int mark(qd_collector *c, const qd_hits *hits, qd_err *err)
{
    const finding *f = ((const marker *)c)->f;
    uint64_t *bits = f->passed + f->first[hits->leaf->index];
    (void)err;
    if (hits->bits)
        for (uint32_t i = 0; i < hits->words; i++) bits[hits->from / 64 + i] |= hits->bits[i];
    else
        for (uint32_t i = 0; i < hits->n; i++)
            bits[hits->docs[i] >> 6] |= (uint64_t)1 << (hits->docs[i] & 63);
    return 0;
}

static const qd_collector_vt mark_vt = {.collect = mark};

static int run_filter(finding *f, qd_err *err)
{
    qd_plan *p = f->p, *fp;
    uint32_t leaves = qd_searcher_leaves(p->searcher);
    size_t words = 0;
    qd_plan_options o = p->o;
    qd_collect_result result = {0};
    marker m = {.c = {&mark_vt, QD_COLLECT_BITS}, .f = f};
    if (!f->q->filter) return 0;
    f->first = qd_arena_alloc(&f->scratch, (leaves + 1) * sizeof *f->first);
    if (!f->first) return qd_err_nomem(err, "knn search");
    for (uint32_t i = 0; i < leaves; i++) {
        f->first[i] = words;
        words += (qd_searcher_leaf(p->searcher, i)->docs + 63) / 64 + 64; /* whole windows */
    }
    f->passed = qd_calloc(p->account, (words + 1) * sizeof *f->passed);
    if (!f->passed) return qd_err_nomem(err, "knn search");
    o.no_scores = true;
    int rc = qd_plan_make(p->searcher, f->q->filter, &o, p->arena, &fp, err);
    if (!rc) rc = qd_plan_collect(fp, NULL, &m.c, &result, err);
    return !rc && result.timed_out ? QD_E_TIMEOUT : rc;
}

/* --- scores ----------------------------------------------------------------------------------- */

/* Measures of a block, which become scores in place. */
typedef union measures {
    float f[BLOCK_ROWS];
    int32_t i[BLOCK_ROWS];
} measures;

static bool by_distance(const qd_vector_field *v)
{
    return v->space == QD_SPACE_L2;
}

static void measure(const finding *f, const char *rows, const uint32_t *at, uint32_t n,
                    measures *out)
{
    const qd_vector_field *v = f->q->vectors;
    const void *q = f->q->row;
    size_t row = (size_t)qd_vectors_row(v->element, v->dims);
    switch (v->element) {
    case QD_ELEMENT_BIT:
        f->kern->hamming(q, rows, row, at, n, (uint32_t)row, out->i);
        break;
    case QD_ELEMENT_BYTE:
        (by_distance(v) ? f->kern->l2_i8 : f->kern->dot_i8)(q, rows, row, at, n, v->dims, out->i);
        break;
    default:
        (by_distance(v) ? f->kern->l2_f32 : f->kern->dot_f32)(q, rows, row, at, n, v->dims, out->f);
        return;
    }
    for (uint32_t i = 0; i < n; i++) out->f[i] = (float)out->i[i];
}

/* Never negative, infinite or no number, whatever the sums came to. */
static float sound(float score)
{
    return score > 0 ? score < FLT_MAX ? score : FLT_MAX : 0;
}

/* lengths: of the rows, by place (at NULL: in order). */
static void to_scores(const finding *f, const char *lengths, const uint32_t *at, uint32_t n,
                      measures *x)
{
    const qd_vector_field *v = f->q->vectors;
    const float dims = (float)v->dims;
    switch (v->space) {
    case QD_SPACE_COSINE:
        for (uint32_t i = 0; i < n; i++) {
            float length;
            memcpy(&length, lengths + (at ? at[i] : i) * sizeof length, sizeof length);
            x->f[i] = sound((1 + x->f[i] / (f->length * length)) / 2);
        }
        return;
    case QD_SPACE_DOT:
        if (v->element == QD_ELEMENT_BYTE)
            for (uint32_t i = 0; i < n; i++) x->f[i] = sound(0.5f + x->f[i] / (dims * 32768));
        else
            for (uint32_t i = 0; i < n; i++) x->f[i] = sound((1 + x->f[i]) / 2);
        return;
    case QD_SPACE_L2:
        if (v->element == QD_ELEMENT_BIT)
            for (uint32_t i = 0; i < n; i++) x->f[i] = (dims - x->f[i]) / dims;
        else
            for (uint32_t i = 0; i < n; i++) x->f[i] = sound(1 / (1 + x->f[i]));
        return;
    case QD_SPACE_MAX_DOT:
        for (uint32_t i = 0; i < n; i++)
            x->f[i] = sound(x->f[i] < 0 ? 1 / (1 - x->f[i]) : x->f[i] + 1);
        return;
    case QD_SPACE_HAMMING:
        for (uint32_t i = 0; i < n; i++) x->f[i] = 1 / (1 + x->f[i]);
        return;
    }
}

/* --- segments --------------------------------------------------------------------------------- */

static int keep_own(finding *f, uint32_t base, const uint32_t *docs, const float *scores,
                    uint32_t n, qd_err *err)
{
    const qd_node_knn *q = f->q;
    for (uint32_t i = 0; i < n; i++) {
        if (q->has_min && !(scores[i] >= q->min_score)) continue;
        if (q->k) {
            if (scores[i] >= f->top.threshold) qd_topk_push(&f->top, scores[i], base + docs[i]);
        } else if (qd_vec_push(&f->all, f->p->account, qd_topk_key(scores[i], base + docs[i]))) {
            return qd_err_nomem(err, "knn search");
        }
    }
    return 0;
}

/* The document under way has no more nested ones. */
static int keep_parent(finding *f, uint32_t base, qd_err *err)
{
    parents *p = f->parents;
    uint32_t doc = p->at;
    p->at = QD_NO_DOC;
    return doc == QD_NO_DOC ? 0 : keep_own(f, base, &doc, &p->best, 1, err);
}

/* base: of the leaf of the documents that are found. */
static int keep(finding *f, uint32_t base, const uint32_t *docs, const float *scores, uint32_t n,
                qd_err *err)
{
    parents *p = f->parents;
    int rc = 0;
    if (!p) return keep_own(f, base, docs, scores, n, err);
    for (uint32_t i = 0; i < n && !rc; i++) {
        if (p->at != QD_NO_DOC && docs[i] < p->end) {
            if (scores[i] > p->best) p->best = scores[i];
            continue;
        }
        rc = keep_parent(f, base, err);
        p->at = qd_nested_parent(&p->counts, 0, docs[i]);
        p->end = qd_nested_first(&p->counts, 0, p->at + 1);
        p->best = scores[i];
    }
    return rc;
}

/* Rows [from, from + n) of a leaf. */
static int scan_block(finding *f, uint32_t base, const qd_vectors *v, const uint64_t *bits,
                      uint32_t from, uint32_t n, qd_err *err)
{
    const qd_part_bytes *b = v->bytes;
    uint32_t docs[BLOCK_ROWS], at[BLOCK_ROWS], m = 0;
    measures x;
    const void *p[2] = {NULL, NULL};
    int rc = qd_vectors_docs(v, from, n, docs, err);
    if (rc) return rc;
    for (uint32_t i = 0; i < n; i++) {
        if (bits && !(bits[docs[i] >> 6] >> (docs[i] & 63) & 1)) continue;
        docs[m] = docs[i];
        at[m++] = i;
    }
    if (!m) return 0;
    uint32_t first = at[0], rows = at[m - 1] + 1 - first;
    for (uint32_t i = 0; i < m; i++) at[i] -= first;
    bool lengths = f->q->vectors->space == QD_SPACE_COSINE;
    const qd_part_range ranges[] = {
        {v->rows_at + (from + first) * v->row, rows * v->row},
        {v->magnitudes_at + (from + first) * sizeof(float), rows * sizeof(float)}};
    rc = b->read(b, ranges, lengths ? 2 : 1, p, err);
    if (!rc) {
        const uint32_t *places = m == rows ? NULL : at;
        measure(f, p[0], places, m, &x);
        to_scores(f, p[1], places, m, &x);
        rc = keep(f, base, docs, x.f, m, err);
    }
    b->release(b);
    return rc;
}

const uint64_t *qdi_nearest_bits(const finding *f, const qd_leaf *leaf)
{
    if (f->passed) return f->passed + f->first[leaf->index];
    return leaf->live ? qd_live_bits(leaf->live) : NULL;
}

#define CHOSEN 256u /* rows that are read at once */

static int measure_chosen(finding *f, const qd_leaf *leaf, const qd_vectors *v,
                          const uint32_t *rows, uint32_t n, qd_err *err)
{
    const qd_part_bytes *b = v->bytes;
    bool lengths = f->q->vectors->space == QD_SPACE_COSINE;
    qd_part_range ranges[2 * CHOSEN];
    const void *p[2 * CHOSEN];
    uint32_t docs[CHOSEN];
    float scores[CHOSEN];
    int rc = 0;
    qd_assert(n > 0 && n <= CHOSEN);
    for (uint32_t i = 0; i < n; i++) {
        ranges[i] = (qd_part_range){v->rows_at + rows[i] * v->row, v->row};
        ranges[n + i] = (qd_part_range){v->magnitudes_at + rows[i] * sizeof(float), sizeof(float)};
    }
    for (uint32_t i = 0; i < n && !rc; i++) {
        rc = qd_vectors_docs(v, rows[i], 1, &docs[i], err);
        b->release(b);
    }
    if (!rc) rc = b->read(b, ranges, lengths ? 2 * n : n, p, err);
    for (uint32_t i = 0; i < n && !rc; i++) {
        measures x;
        measure(f, p[i], NULL, 1, &x);
        to_scores(f, lengths ? p[n + i] : NULL, NULL, 1, &x);
        scores[i] = x.f[0];
    }
    b->release(b);
    return rc ? rc : keep(f, leaf->base, docs, scores, n, err);
}

int qdi_nearest_rows(finding *f, const qd_leaf *leaf, const qd_vectors *v, const uint32_t *rows,
                     uint32_t n, qd_err *err)
{
    int rc = 0;
    f->counts.rescored += n;
    for (uint32_t at = 0; at < n && !rc; at += CHOSEN) {
        if (f->p->o.task) rc = qd_task_poll(f->p->o.task);
        if (!rc) rc = measure_chosen(f, leaf, v, rows + at, n - at < CHOSEN ? n - at : CHOSEN, err);
    }
    return rc;
}

/* bits: the documents of the rows that are looked at; NULL: all. */
static int scan_rows(finding *f, uint32_t base, const qd_vectors *v, const uint64_t *bits,
                     qd_err *err)
{
    uint64_t most = BLOCK_BYTES / v->row ? BLOCK_BYTES / v->row : 1;
    uint32_t block = most < BLOCK_ROWS ? (uint32_t)most : BLOCK_ROWS;
    int rc = 0;
    f->counts.exact++;
    f->counts.measured += v->rows;
    for (uint32_t at = 0; at < v->rows && !rc; at += block) {
        if (f->p->o.task) rc = qd_task_poll(f->p->o.task);
        if (!rc)
            rc = scan_block(f, base, v, bits, at, v->rows - at < block ? v->rows - at : block, err);
    }
    return rc;
}

/* Nested rows are all looked at: a graph of them finds the nearest objects, of fewer documents. */
static int search_part(finding *f, const qd_leaf *leaf, uint32_t base, const uint64_t *bits,
                       const qd_part_reader *r, qd_err *err)
{
    const qd_vectors *v = qd_vectors_of(r);
    const qd_vector_field *of = f->q->vectors;
    bool done = false;
    if (v->dims != of->dims || v->element != of->element)
        return v->bytes->corrupt(v->bytes, 0, QD_STR("kind of the vectors"), err);
    int rc = f->q->k && !f->parents ? qdi_nearest_by_graph(f, leaf, r, &done, err) : 0;
    v->bytes->release(v->bytes);
    return rc || done ? rc : scan_rows(f, base, v, bits, err);
}

/* rows: the leaf that has the field; base: of the leaf of the documents that are found. */
static int scan_leaf(finding *f, const qd_leaf *leaf, uint32_t base, const uint64_t *bits,
                     qd_err *err)
{
    uint32_t number = qd_segment_field_find(leaf->segment, f->q->field);
    const qd_part_info *info =
        number == QD_FIELD_NONE ? NULL : qd_segment_part_of(leaf->segment, number);
    qd_part_type type;
    qd_part_reader *reader;
    qd_part_view view;
    if (!info) return 0;
    if (!qd_field_part_find(NULL, info->type, &type))
        return qd_err_set(err, QD_E_STATE, "field [%.*s] has no vectors in a segment",
                          QD_STR_ARG(f->q->field));
    int rc = qd_part_view_open(&view, leaf->segment, info, &f->scratch, f->p->account, err);
    if (rc) return rc;
    rc = qd_part_open(&view, &type, &reader, err);
    if (!rc) {
        rc = search_part(f, leaf, base, bits, reader, err);
        type.vt->close(reader);
    }
    qd_part_view_close(&view);
    return rc;
}

/* Those of the nested documents of a leaf whose document is looked at. */
static int allowed_below(finding *f, const qd_leaf *leaf, uint32_t below, const uint64_t **out,
                         qd_err *err)
{
    const uint64_t *bits = qdi_nearest_bits(f, leaf);
    *out = NULL;
    if (!bits) return 0;
    uint64_t *to = qd_arena_calloc(&f->scratch, (below / 64 + 1ul) * sizeof *to);
    if (!to) return qd_err_nomem(err, "knn search");
    const qd_nested_counts *c = &f->parents->counts;
    for (uint32_t at = 0; at < leaf->docs; at += 64) {
        uint32_t n = leaf->docs - at < 64 ? leaf->docs - at : 64, firsts[65];
        if (!bits[at >> 6]) continue;
        qd_children_firsts(&c->children[0], at, n, firsts);
        for (uint32_t l = 1; l < c->n; l++)
            for (uint32_t d = 0; d <= n; d++)
                firsts[d] = qd_children_first(&c->children[l], firsts[d]);
        for (uint32_t d = 0; d < n; d++) {
            if (!(bits[at >> 6] >> d & 1)) continue;
            for (uint32_t i = firsts[d]; i < firsts[d + 1]; i++)
                to[i >> 6] |= (uint64_t)1 << (i & 63);
        }
    }
    *out = to;
    return 0;
}

static int search_below(finding *f, const qd_leaf *leaf, qd_err *err)
{
    parents *p = f->parents;
    const qd_leaf *rows = qd_nested_level_leaf(&p->level, leaf);
    const uint64_t *bits;
    if (!rows) return 0;
    qd_reads *reads = qd_reads_make(&f->scratch, f->p->account);
    if (!reads) return qd_err_nomem(err, "knn search");
    p->at = QD_NO_DOC;
    int rc = qd_nested_counts_make(&p->counts, p->level.n, &f->scratch, err);
    if (!rc) rc = qd_nested_counts_read(&p->counts, &p->level, leaf, reads, err);
    if (!rc) rc = allowed_below(f, leaf, rows->docs, &bits, err);
    if (!rc) rc = scan_leaf(f, rows, leaf->base, bits, err);
    return rc ? rc : keep_parent(f, leaf->base, err);
}

static int search_leaf(finding *f, const qd_leaf *leaf, qd_err *err)
{
    if (f->parents) return search_below(f, leaf, err);
    return scan_leaf(f, leaf, leaf->base, qdi_nearest_bits(f, leaf), err);
}

/* *found false: there is no nested document of the path. */
static int open_parents(finding *f, parents *p, bool *found, qd_err *err)
{
    *found = true;
    if (!f->q->npaths) return 0;
    f->parents = p;
    return qd_nested_level_open(f->p->searcher, f->q->paths, f->q->npaths, &f->scratch, &p->level,
                                found, err);
}

/* --- the result ------------------------------------------------------------------------------- */

static int by_doc(const void *a, const void *b)
{
    uint32_t x = qd_topk_doc(*(const uint64_t *)a), y = qd_topk_doc(*(const uint64_t *)b);
    return x < y ? -1 : x > y;
}

/* Of keys in the order of documents. */
static int from_keys(qd_arena *a, const uint64_t *keys, size_t n, const qd_nearest_counts *counts,
                     const qdi_nearest **out, qd_err *err)
{
    qdi_nearest *x = qd_arena_alloc(a, sizeof *x);
    uint32_t *docs = qd_arena_alloc(a, (n + 1) * sizeof *docs);
    float *scores = qd_arena_alloc(a, (n + 1) * sizeof *scores);
    if (!x || !docs || !scores) return qd_err_nomem(err, "knn search");
    for (size_t i = 0; i < n; i++) {
        docs[i] = qd_topk_doc(keys[i]);
        scores[i] = qd_topk_score(keys[i]);
    }
    *x = (qdi_nearest){(uint32_t)n, docs, scores, *counts};
    *out = x;
    return 0;
}

/* Of the best, which are sorted by document. */
static int from_top(qd_arena *a, qd_topk *top, const qd_nearest_counts *counts,
                    const qdi_nearest **out, qd_err *err)
{
    qd_topk_finish(top);
    if (top->n) qsort(top->at, top->n, sizeof *top->at, by_doc);
    return from_keys(a, top->at, top->n, counts, out, err);
}

int qdi_nearest_best(qd_plan *p, const qdi_nearest *found, uint32_t k, const qdi_nearest **out,
                     qd_err *err)
{
    qd_topk top;
    *out = found;
    if (!k || k >= found->n) return 0;
    if (qd_topk_init(&top, k, p->arena)) return qd_err_nomem(err, "knn search");
    for (uint32_t i = 0; i < found->n; i++)
        if (found->scores[i] >= top.threshold) qd_topk_push(&top, found->scores[i], found->docs[i]);
    return from_top(p->arena, &top, &found->counts, out, err);
}

qd_nearest_counts qd_nearest_counts_of(const void *found)
{
    return ((const qdi_nearest *)found)->counts;
}

int qdi_nearest_find(qd_plan *p, const qd_node_knn *q, const qdi_nearest **out, qd_err *err)
{
    finding f = {.p = p, .q = q, .kern = qd_vec_get()};
    uint32_t docs = qd_searcher_docs(p->searcher), leaves = qd_searcher_leaves(p->searcher);
    if (q->vectors->element != QD_ELEMENT_BIT)
        f.length = qd_vectors_magnitude(q->vectors->element, q->vectors->dims, q->row);
    qd_arena_init(&f.scratch, p->account, 0);
    parents below;
    bool found;
    int rc = open_parents(&f, &below, &found, err);
    if (!found) leaves = 0;
    if (!rc && q->k && qd_topk_init(&f.top, q->k < docs ? q->k : docs, &f.scratch))
        rc = qd_err_nomem(err, "knn search");
    if (!rc && leaves) rc = run_filter(&f, err);
    for (uint32_t i = 0; i < leaves && !rc; i++)
        rc = search_leaf(&f, qd_searcher_leaf(p->searcher, i), err);
    if (!rc)
        rc = q->k ? from_top(p->arena, &f.top, &f.counts, out, err)
                  : from_keys(p->arena, f.all.at, f.all.n, &f.counts, out, err);
    qd_vec_fini(&f.all);
    qd_free(f.passed);
    qd_arena_fini(&f.scratch);
    return rc;
}
