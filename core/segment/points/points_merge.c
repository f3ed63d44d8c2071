/*
 * points_merge.c: the walk over sorted points; merging by a heap of walks; the check.
 */
#include "base/vec.h"
#include "segment/points/points_writer_int.h"
#include <stdlib.h>

#define BLOCKS 64u /* of one fetch */

void qdi_points_walk_open(qdi_points_walk *w, const qd_points *p, qd_account *account)
{
    w->p = p;
    w->account = account;
    w->from = w->end = w->block = 0;
    w->at = w->n = 0;
    qd_arena_init(&w->arena, account, 0);
}

void qdi_points_walk_close(qdi_points_walk *w)
{
    qd_arena_fini(&w->arena);
}

static int refill(qdi_points_walk *w, qd_err *err)
{
    const qd_points *p = w->p;
    qdi_points_block a, b;
    uint32_t slot;
    w->from = w->block;
    w->end = p->blocks - w->block < BLOCKS ? p->blocks : w->block + BLOCKS;
    qd_arena_reset(&w->arena);
    w->reads = qd_reads_make(&w->arena, w->account);
    if (!w->reads) return qd_err_nomem(err, "walk over points");
    qdi_points_head_at(p, w->from, &a);
    qdi_points_head_at(p, w->end - 1, &b);
    uint64_t end = b.offset + qdi_points_bytes(&b, qdi_points_block_count(p, w->end - 1));
    int rc = qd_reads_add(w->reads, p->file, QDI_SEC_POINTS, p->offset + a.offset,
                          end - a.offset + QDI_PACK_SLACK, &slot, err);
    if (rc == 0) rc = qd_reads_fetch(w->reads, err);
    if (rc == 0) w->base = qd_reads_at(w->reads, slot);
    return rc;
}

int qdi_points_walk_next(qdi_points_walk *w, qdi_point_key *key, uint32_t *doc, bool *end,
                         qd_err *err)
{
    *end = w->at == w->n && w->block == w->p->blocks;
    if (*end) return 0;
    if (w->at == w->n) {
        qdi_points_block first, b;
        int rc = w->block == w->end ? refill(w, err) : 0;
        if (rc) return rc;
        qdi_points_head_at(w->p, w->from, &first);
        qdi_points_head_at(w->p, w->block, &b);
        const uint8_t *p = w->base + (b.offset - first.offset);
        w->n = qdi_points_block_count(w->p, w->block++);
        w->at = 0;
        for (uint32_t i = 0; i < w->n; i++) w->keys[i] = qdi_points_key_at(&b, w->n, p, i);
        rc = qdi_points_block_docs(w->p, &b, w->n, p, 0, w->n, w->docs, err);
        if (rc) return rc;
    }
    *key = w->keys[w->at];
    *doc = w->docs[w->at++];
    return 0;
}

/* One input in the heap. */
typedef struct input {
    const qdi_merge_part *part;
    qdi_points_walk walk;
    qdi_point_key key; /* of the point it stands on */
    uint32_t doc;      /* new number */
    uint32_t order;    /* equal values: documents of earlier inputs come first */
} input;

/* Moves on to the next point of a document that stays. */
static int advance(input *i, bool *end, qd_err *err)
{
    for (;;) {
        uint32_t doc;
        qdi_point_key before = i->key;
        int rc = qdi_points_walk_next(&i->walk, &i->key, &doc, end, err);
        if (rc || *end) return rc;
        if (qdi_point_less(i->key, before))
            return qd_file_corrupt(i->walk.p->file, QDI_SEC_POINTS, i->walk.p->offset, err,
                                   "order of points");
        i->doc = qdi_merge_doc(i->part, doc);
        if (i->doc != QDI_DOC_GONE) return 0;
    }
}

static bool before(const input *a, const input *b)
{
    if (qdi_point_less(a->key, b->key)) return true;
    return !qdi_point_less(b->key, a->key) && a->order < b->order;
}

static void sift(input **heap, uint32_t root, uint32_t n)
{
    input *x = heap[root];
    for (uint32_t child; (child = 2 * root + 1) < n; root = child) {
        if (child + 1 < n && before(heap[child + 1], heap[child])) child++;
        if (before(x, heap[child])) break;
        heap[root] = heap[child];
    }
    heap[root] = x;
}

typedef struct merging {
    const qdi_merge_in *in;
    qd_file_writer *w;
    qdi_points_writer *x;
    input **heap;
    uint32_t n;
    /* permuted: documents of the points with `key` so far; many of them stand in bits, and docs
     * holds those that come again */
    QD_VEC(uint32_t) docs;
    uint64_t *bits; /* NULL: none so far were many */
    bool many;
    qdi_point_key key;
    qd_file *from; /* of the last point */
    qd_err *err;
} merging;

/* Opens the walks of a field; the heap holds those that have a point left. */
static int open_inputs(merging *m, uint32_t field, bool *multi)
{
    int rc = 0;
    *multi = false;
    m->n = 0;
    for (uint32_t p = 0; rc == 0 && p < m->in->n; p++) {
        const qdi_merge_part *part = &m->in->parts[p];
        uint32_t old = part->fields ? part->fields[field] : field;
        const qd_points *f = old == QDI_FIELD_NONE ? NULL : qd_points_get(part->points, old);
        if (!f || f->stats.type != m->in->fields[field].point) continue;
        input *i = qd_calloc(m->in->account, sizeof *i);
        if (!i) return qd_err_nomem(m->err, "merge of points");
        bool end = true;
        i->part = part;
        i->order = p;
        qdi_points_walk_open(&i->walk, f, m->in->account);
        rc = advance(i, &end, m->err);
        if (rc == 0 && !end) {
            m->heap[m->n++] = i;
            *multi |= f->stats.multi;
            continue;
        }
        qdi_points_walk_close(&i->walk);
        qd_free(i);
    }
    for (uint32_t i = m->n / 2; i-- > 0;) sift(m->heap, i, m->n);
    return rc;
}

static void close_input(input *i)
{
    qdi_points_walk_close(&i->walk);
    qd_free(i);
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* The points of many documents, ascending. */
static int give_bits(merging *m)
{
    size_t next = 0;
    int rc = 0;
    for (uint32_t w = 0, words = m->in->docs / 64 + 1; w < words; w++) {
        for (uint64_t left = m->bits[w]; rc == 0 && left; left &= left - 1) {
            uint32_t doc = w * 64 + (uint32_t)__builtin_ctzll(left);
            rc = qdi_points_writer_add(m->x, m->key, doc, m->err);
            for (; rc == 0 && next < m->docs.n && m->docs.at[next] == doc; next++)
                rc = qdi_points_writer_add(m->x, m->key, doc, m->err);
        }
        m->bits[w] = 0;
    }
    return rc;
}

/* Permuted: gives the points of one key in the order of the new numbers. */
static int give_run(merging *m)
{
    int rc = 0;
    if (m->docs.n > 1) qsort(m->docs.at, m->docs.n, sizeof *m->docs.at, by_number);
    if (m->many) rc = give_bits(m);
    for (size_t i = 0; !m->many && rc == 0 && i < m->docs.n; i++)
        rc = qdi_points_writer_add(m->x, m->key, m->docs.at[i], m->err);
    m->docs.n = 0;
    m->many = false;
    return rc;
}

static void into_bits(merging *m)
{
    size_t kept = 0;
    for (size_t i = 0; i < m->docs.n; i++) {
        uint64_t bit = (uint64_t)1 << (m->docs.at[i] & 63), *w = &m->bits[m->docs.at[i] / 64];
        if (*w & bit) m->docs.at[kept++] = m->docs.at[i];
        *w |= bit;
    }
    m->docs.n = kept;
    m->many = true;
}

/* Permuted: one more point of the present key. Many equal ones cost a bit of each document. */
static int keep(merging *m, uint32_t doc)
{
    if (m->many) {
        uint64_t bit = (uint64_t)1 << (doc & 63), *w = &m->bits[doc / 64];
        bool first = (*w & bit) == 0;
        *w |= bit;
        if (first) return 0;
    }
    if (qd_vec_push(&m->docs, m->in->account, doc))
        return qd_err_nomem(m->err, "points of one value");
    if (m->many || m->docs.n <= m->in->docs / 64 + 64) return 0;
    if (!m->bits)
        m->bits = qd_calloc(m->in->account, ((size_t)m->in->docs / 64 + 1) * sizeof *m->bits);
    if (!m->bits) return qd_err_nomem(m->err, "points of one value");
    into_bits(m);
    return 0;
}

/* The least point of all inputs. */
static int give(merging *m, const input *top)
{
    if (!m->in->permuted) return qdi_points_writer_add(m->x, top->key, top->doc, m->err);
    int rc = qdi_point_less(m->key, top->key) ? give_run(m) : 0;
    m->key = top->key;
    return rc ? rc : keep(m, top->doc);
}

static int merge_field(merging *m, uint32_t field, qd_buf *resident)
{
    bool multi;
    uint64_t seen = 0;
    int rc = open_inputs(m, field, &multi);
    if (rc == 0)
        rc = qdi_points_writer_begin(m->x, m->w, field, m->in->fields[field].point, m->in->docs,
                                     multi, m->in->account, m->err);
    while (rc == 0 && m->n > 0) {
        input *top = m->heap[0];
        bool end;
        m->from = top->walk.p->file;
        rc = give(m, top);
        if (rc == 0) rc = advance(top, &end, m->err);
        if (rc) break;
        if (end) {
            m->heap[0] = m->heap[--m->n];
            close_input(top);
        }
        if (m->n) sift(m->heap, 0, m->n);
        if (++seen % 65536 == 0) rc = qdi_merge_poll(m->in);
    }
    if (rc == 0) rc = give_run(m);
    if (rc == 0 && m->x->head.docs > m->in->docs)
        rc = qd_file_corrupt(m->from, QDI_SEC_POINTS, 0, m->err, "points of one document");
    if (rc == 0) rc = qdi_points_writer_end(m->x, resident, m->err);
    while (m->n > 0) close_input(m->heap[--m->n]);
    return rc;
}

int qdi_points_merge(const qdi_merge_in *in, qd_file_writer *w, qd_buf *resident, qd_err *err)
{
    merging m = {.in = in, .w = w, .err = err};
    uint32_t written = 0;
    size_t count = resident->n;
    m.x = qd_calloc(in->account, sizeof *m.x);
    m.heap = qd_calloc(in->account, ((size_t)in->n + 1) * sizeof *m.heap);
    int rc = m.x && m.heap ? qd_file_section_begin(w, QDI_SEC_POINTS, false, err)
                           : qd_err_nomem(err, "merge of points");
    if (rc == 0 && qd_buf_add(resident, "\0\0\0", 4)) rc = qd_err_nomem(err, "points");
    for (uint32_t f = 0; rc == 0 && f < in->nfields; f++) {
        if (in->fields[f].point == QD_POINT_NONE) continue;
        m.x->head.points = 0;
        rc = merge_field(&m, f, resident);
        qdi_points_writer_fini(m.x);
        written += m.x->head.points > 0;
    }
    if (rc == 0) qd_put_u32le(resident->p + count, written);
    qd_vec_fini(&m.docs);
    qd_free(m.bits);
    qd_free(m.x);
    qd_free(m.heap);
    return rc ? rc : qd_file_section_end(w, NULL, err);
}

/* One field: order, bounds, the documents that its head counts. */
static int check_field(qdi_points_walk *w, const qd_points *p, uint64_t *seen, qd_check *c,
                       qd_err *err)
{
    qdi_point_key key, last = {0, 0};
    uint32_t doc, last_doc = 0, docs = 0;
    bool end = false;
    int rc;
    for (uint64_t i = 0;; i++) {
        rc = qdi_points_walk_next(w, &key, &doc, &end, err);
        if (rc || end) break;
        c->points++;
        if (i > 0 && (qdi_point_less(key, last) || (!qdi_point_less(last, key) && doc < last_doc)))
            qd_check_found(c, "POINTS", p->offset, "field %u: point %llu is not in order", p->field,
                           (unsigned long long)i);
        qdi_points_block b;
        qdi_points_head_at(p, w->block - 1, &b);
        if (w->at == 1 && (qdi_point_less(key, b.first) || qdi_point_less(b.first, key)))
            qd_check_found(c, "POINT_INDEX", p->offset, "field %u: first point of block %u",
                           p->field, w->block - 1);
        docs += !(seen[doc / 64] >> (doc & 63) & 1);
        seen[doc / 64] |= (uint64_t)1 << (doc & 63);
        last = key;
        last_doc = doc;
    }
    if (rc) return rc;
    if (qdi_point_less(last, p->max) || qdi_point_less(p->max, last))
        qd_check_found(c, "POINT_INDEX", 0, "field %u: greatest point", p->field);
    if (docs != p->stats.docs)
        qd_check_found(c, "POINT_INDEX", 0, "field %u: %u documents have points, %u are promised",
                       p->field, docs, p->stats.docs);
    return 0;
}

int qdi_points_check(const qd_points_set *set, qd_check *c, qd_err *err)
{
    int rc = 0;
    for (uint32_t f = 0; rc == 0 && set && f < set->n; f++) {
        const qd_points *p = &set->fields[f];
        qdi_points_walk *w = qd_calloc(c->account, sizeof *w);
        uint64_t *seen = qd_calloc(c->account, ((size_t)p->segment_docs / 64 + 1) * sizeof *seen);
        rc = w && seen ? 0 : qd_err_nomem(err, "check of points");
        if (rc == 0) {
            qdi_points_walk_open(w, p, c->account);
            rc = check_field(w, p, seen, c, err);
            qdi_points_walk_close(w);
        }
        qd_free(seen);
        qd_free(w);
        rc = qd_check_error(c, "POINTS", rc, err);
    }
    return rc;
}
