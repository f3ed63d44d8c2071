/*
 * columns_merge.c: merging through the same writer as the flush. Dictionaries are merged first and
 * leave a map from old to new ordinals; an ordinal that only deleted documents had is dropped.
 */
#include "segment/columns/columns_permute_int.h"

#define NO_ORDINAL UINT32_MAX

/* One input's share of the column being merged. */
typedef struct input {
    const qdi_merge_part *part;
    const qd_column *c;
    uint32_t *ords; /* ORDINAL: old -> new */
    qdi_strings_walk walk;
    bool walking;
    qd_str term; /* the walk's current string */
    uint32_t ord;
} input;

typedef struct merging {
    const qdi_merge_in *in;
    qd_file_writer *w;
    qd_err *err;
    input *inputs; /* of one field; n of them have it */
    uint32_t n;
    qdi_permute_input *permuted; /* the same, when the documents' order is another one */
} merging;

/* What a field's first pass leaves for the second. */
typedef struct pending {
    qdi_strings_writer strings;
    uint64_t dict_bytes;
    uint32_t **ords; /* by part */
    bool has_strings;
} pending;

static void find_inputs(merging *m, uint32_t field)
{
    m->n = 0;
    for (uint32_t p = 0; p < m->in->n; p++) {
        const qdi_merge_part *part = &m->in->parts[p];
        uint32_t old = part->fields ? part->fields[field] : field;
        const qd_column *c = old == QDI_FIELD_NONE ? NULL : qd_columns_get(part->columns, old);
        if (c && c->stats.type == m->in->fields[field].column)
            m->inputs[m->n++] = (input){.part = part, .c = c};
    }
}

/* Marks the ordinals of documents that stay with 0, others stay NO_ORDINAL. */
static int mark_used(merging *m, input *i)
{
    if (!i->part->map) {
        memset(i->ords, 0, i->c->strings * sizeof *i->ords);
        return 0;
    }
    qdi_column_walk *w = qd_calloc(m->in->account, sizeof *w);
    if (!w) return qd_err_nomem(m->err, "merge of a column");
    int rc = qdi_column_walk_open(w, i->c, m->in->account, m->err);
    for (;;) {
        uint32_t doc, n;
        const int64_t *v;
        bool end;
        if (rc == 0) rc = qdi_column_walk_next(w, &doc, &v, &n, &end, m->err);
        if (rc || end) break;
        if (qdi_merge_doc(i->part, doc) == QDI_DOC_GONE) continue;
        for (uint32_t k = 0; k < n; k++) i->ords[v[k]] = 0;
    }
    qdi_column_walk_close(w);
    qd_free(w);
    return rc;
}

/* Moves an input on to its next ordinal in use; *end when there is none. */
static int advance(merging *m, input *i, bool *end)
{
    int rc;
    do {
        i->ord = i->walk.next;
        rc = qdi_strings_walk_next(&i->walk, &i->term, end, m->err);
    } while (rc == 0 && !*end && i->ords[i->ord] == NO_ORDINAL);
    return rc;
}

/* Restores the heap of inputs (least term on top) below `root`. */
static void sift(input **heap, uint32_t root, uint32_t n)
{
    input *x = heap[root];
    for (uint32_t child; (child = 2 * root + 1) < n; root = child) {
        if (child + 1 < n && qd_str_cmp(heap[child + 1]->term, heap[child]->term) < 0) child++;
        if (qd_str_cmp(heap[child]->term, x->term) >= 0) break;
        heap[root] = heap[child];
    }
    heap[root] = x;
}

/* Takes the top's term to its next or out of the heap. */
static int heap_step(merging *m, input **heap, uint32_t *n)
{
    bool end;
    int rc = advance(m, heap[0], &end);
    if (rc) return rc;
    if (end) heap[0] = heap[--*n];
    if (*n) sift(heap, 0, *n);
    return 0;
}

static int merge_terms(merging *m, qdi_strings_writer *out, input **heap, uint32_t n)
{
    uint32_t next = 0;
    int rc = 0;
    for (uint32_t i = n / 2; i-- > 0;) sift(heap, i, n);
    while (rc == 0 && n > 0) {
        rc = qdi_strings_add(out, heap[0]->term, m->err);
        /* The writer keeps the term as its last one: compare the others with that. */
        while (rc == 0 && n > 0 && qd_str_eq(heap[0]->term, qd_buf_view(&out->last))) {
            heap[0]->ords[heap[0]->ord] = next;
            rc = heap_step(m, heap, &n);
        }
        if (++next % 65536 == 0 && rc == 0) rc = qdi_merge_poll(m->in);
    }
    return rc;
}

static int merge_dictionary(merging *m, pending *p)
{
    input **heap = qd_alloc(m->in->account, ((size_t)m->n + 1) * sizeof *heap);
    uint32_t n = 0;
    int rc = heap ? 0 : qd_err_nomem(m->err, "merge of dictionaries");
    for (uint32_t k = 0; rc == 0 && k < m->n; k++) {
        input *i = &m->inputs[k];
        bool end = true;
        i->ords = qd_alloc(m->in->account, ((size_t)i->c->strings + 1) * sizeof *i->ords);
        p->ords[i->part - m->in->parts] = i->ords;
        if (!i->ords) {
            rc = qd_err_nomem(m->err, "merge of dictionaries");
            break;
        }
        memset(i->ords, 0xff, i->c->strings * sizeof *i->ords);
        rc = mark_used(m, i);
        if (rc == 0) rc = qdi_strings_walk_open(&i->walk, i->c, m->in->account, m->err);
        i->walking = rc == 0;
        if (rc == 0) rc = advance(m, i, &end);
        if (rc == 0 && !end) heap[n++] = i;
    }
    if (rc == 0) rc = merge_terms(m, &p->strings, heap, n);
    for (uint32_t k = 0; k < m->n; k++)
        if (m->inputs[k].walking) qdi_strings_walk_close(&m->inputs[k].walk);
    qd_free(heap);
    return rc;
}

static const qdi_permute_input *permuted_inputs(merging *m, const pending *p)
{
    for (uint32_t k = 0; k < m->n; k++) {
        const input *i = &m->inputs[k];
        m->permuted[k] =
            (qdi_permute_input){.c = i->c,
                                .map = i->part->map,
                                .ords = p->ords ? p->ords[i->part - m->in->parts] : NULL};
    }
    return m->permuted;
}

/* Strings of documents that stay, in order. */
static int merge_strings(merging *m, pending *p)
{
    if (m->in->permuted)
        return qdi_permute_strings(m->in, permuted_inputs(m, p), m->n, &p->strings, m->err);
    qdi_column_walk *w = qd_calloc(m->in->account, sizeof *w);
    int rc = w ? 0 : qd_err_nomem(m->err, "merge of a column");
    for (uint32_t k = 0; rc == 0 && k < m->n; k++) {
        uint32_t doc, seen = 0;
        rc = qdi_column_walk_open(w, m->inputs[k].c, m->in->account, m->err);
        for (;;) {
            qd_str s;
            bool end;
            if (rc == 0) rc = qdi_column_walk_string(w, &doc, &s, &end, m->err);
            if (rc || end) break;
            if (qdi_merge_doc(m->inputs[k].part, doc) == QDI_DOC_GONE) continue;
            rc = qdi_strings_add(&p->strings, s, m->err);
            if (++seen % 65536 == 0 && rc == 0) rc = qdi_merge_poll(m->in);
        }
        qdi_column_walk_close(w);
    }
    qd_free(w);
    return rc;
}

/* Adds a document's values to the output, ordinals renumbered. */
static int add_document(merging *m, qdi_column_writer *x, const uint32_t *ords, uint32_t to,
                        int64_t *scratch, const int64_t *v, uint32_t n)
{
    if (ords) {
        for (uint32_t k = 0; k < n; k++) scratch[k] = ords[v[k]];
        v = scratch;
    }
    return qdi_column_writer_add(x, to, v, n, m->err);
}

static int merge_values(merging *m, qdi_column_writer *x, const pending *p)
{
    if (m->in->permuted) return qdi_permute_values(m->in, permuted_inputs(m, p), m->n, x, m->err);
    qdi_column_walk *w = qd_calloc(m->in->account, sizeof *w);
    QD_VEC(int64_t) scratch = {0};
    int rc = w ? 0 : qd_err_nomem(m->err, "merge of a column");
    for (uint32_t k = 0; rc == 0 && k < m->n; k++) {
        const input *i = &m->inputs[k];
        const uint32_t *ords = p->ords ? p->ords[i->part - m->in->parts] : NULL;
        uint32_t head = 0;
        rc = qdi_column_walk_open(w, i->c, m->in->account, m->err);
        for (;;) {
            uint32_t doc, n;
            const int64_t *v;
            bool end;
            if (rc == 0) rc = qdi_column_walk_next(w, &doc, &v, &n, &end, m->err);
            if (rc || end) break;
            if (w->head != head) rc = qdi_merge_poll(m->in);
            head = w->head;
            uint32_t to = qdi_merge_doc(i->part, doc);
            if (rc || to == QDI_DOC_GONE) continue;
            scratch.n = 0;
            if (ords && qd_vec_reserve(&scratch, m->in->account, n))
                rc = qd_err_nomem(m->err, "merge of a column");
            if (rc == 0) rc = add_document(m, x, ords, to, scratch.at, v, n);
        }
        qdi_column_walk_close(w);
    }
    qd_vec_fini(&scratch);
    qd_free(w);
    return rc;
}

static int dictionaries(merging *m, pending *p)
{
    int rc = qd_file_section_begin(m->w, QDI_SEC_COLUMN_DICT, false, m->err);
    for (uint32_t f = 0; rc == 0 && f < m->in->nfields; f++) {
        uint8_t type = m->in->fields[f].column;
        if (type != QD_COLUMN_ORDINAL && type != QD_COLUMN_BYTES) continue;
        find_inputs(m, f);
        qdi_strings_begin(&p[f].strings, m->w, m->in->account);
        p[f].has_strings = true;
        if (type == QD_COLUMN_BYTES) {
            rc = merge_strings(m, &p[f]);
        } else {
            p[f].ords = qd_calloc(m->in->account, ((size_t)m->in->n + 1) * sizeof *p[f].ords);
            rc = p[f].ords ? merge_dictionary(m, &p[f])
                           : qd_err_nomem(m->err, "merge of dictionaries");
        }
        if (rc == 0) rc = qdi_strings_end(&p[f].strings, &p[f].dict_bytes, m->err);
    }
    return rc ? rc : qd_file_section_end(m->w, NULL, m->err);
}

static int values(merging *m, pending *p, qd_buf *resident)
{
    qdi_column_writer x;
    uint32_t written = 0;
    size_t count = resident->n;
    int rc = qd_file_section_begin(m->w, QDI_SEC_COLUMNS, false, m->err);
    if (rc) return rc;
    rc = qdi_column_writer_init(&x, m->in->docs, m->in->account, m->err);
    if (rc == 0 && qd_buf_add(resident, "\0\0\0", 4)) rc = qd_err_nomem(m->err, "column index");
    for (uint32_t f = 0; rc == 0 && f < m->in->nfields; f++) {
        if (m->in->fields[f].column == QD_COLUMN_NONE) continue;
        find_inputs(m, f);
        qdi_column_writer_begin(&x, m->w, f, m->in->fields[f].column);
        rc = merge_values(m, &x, &p[f]);
        if (rc == 0)
            rc = qdi_column_writer_end(&x, p[f].has_strings ? &p[f].strings : NULL, p[f].dict_bytes,
                                       resident, m->err);
        written += x.head.docs > 0;
    }
    if (rc == 0) qd_put_u32le(resident->p + count, written);
    qdi_column_writer_fini(&x);
    return rc ? rc : qd_file_section_end(m->w, NULL, m->err);
}

int qdi_columns_merge(const qdi_merge_in *in, qd_file_writer *w, qd_buf *resident, qd_err *err)
{
    merging m = {.in = in, .w = w, .err = err};
    pending *p = qd_calloc(in->account, ((size_t)in->nfields + 1) * sizeof *p);
    m.inputs = qd_calloc(in->account, ((size_t)in->n + 1) * sizeof *m.inputs);
    m.permuted = qd_calloc(in->account, ((size_t)in->n + 1) * sizeof *m.permuted);
    int rc = p && m.inputs && m.permuted ? 0 : qd_err_nomem(err, "merge of columns");
    if (rc == 0) rc = dictionaries(&m, p);
    if (rc == 0) rc = values(&m, p, resident);
    for (uint32_t f = 0; p && f < in->nfields; f++) {
        for (uint32_t i = 0; p[f].ords && i < in->n; i++) qd_free(p[f].ords[i]);
        qd_free(p[f].ords);
        if (p[f].has_strings) qdi_strings_fini(&p[f].strings);
    }
    qd_free(p);
    qd_free(m.inputs);
    qd_free(m.permuted);
    return rc;
}
