/*
 * custom.c: operators that could not be rewritten: their iterators, opened on each segment with a
 * view of it, feed windows by blocks of documents. An iterator never goes back: who looks at a
 * window again, as a count beside first hits does, gets a new one.
 */
#include "search/leaf_int.h"

struct qdi_custom {
    qd_segment_view view;
    qdi_run *run;
    const qd_node_custom *from;
    qd_operator_iter *iter;
    qd_doc_block block;
    uint32_t at;    /* next document of the block */
    uint32_t asked; /* what stands before is behind the iterator */
    bool ended;
    bool scores;
    float boost;
    struct qdi_custom *next; /* of the run */
};

struct qd_segment_postings {
    qd_postings p;
    qd_reads *reads;
    uint32_t blk, n, at;
    uint32_t docs[192], freqs[192];
};

static int32_t view_i64(const qd_segment_view *v, qd_str field, const uint32_t *docs, uint32_t n,
                        int64_t *out, uint8_t *has, qd_err *err)
{
    struct qdi_custom *c = v->host;
    qdi_run *r = c->run;
    uint32_t f = qd_segment_field_find(r->leaf->segment, field);
    const qd_columns *set = qd_segment_columns(r->leaf->segment);
    const qd_column *col = f == QD_FIELD_NONE || !set ? NULL : qd_columns_get(set, f);
    memset(has, 0, n);
    if (!col || qd_column_stats_get(col)->type != QD_COLUMN_I64 || !n) return 0;
    qd_reads *reads = qd_reads_make(r->arena, r->plan->account);
    if (!reads) return qd_err_nomem(err, "column values");
    qd_column_reader *rd;
    int rc = qd_column_plan_docs(col, docs, n, reads, r->arena, &rd, err);
    if (!rc) rc = qd_reads_fetch(reads, err);
    qd_str type = c->from->ctx && c->from->ctx->field_type
                      ? c->from->ctx->field_type(c->from->ctx, field)
                      : (qd_str){0};
    bool is_double = qd_str_is(type, "double"), is_float = qd_str_is(type, "float");
    for (uint32_t i = 0; i < n && !rc; i++) {
        const int64_t *values;
        uint32_t m;
        rc = qd_column_values(rd, docs[i], &values, &m, err);
        if (rc || !m) continue;
        has[i] = 1;
        out[i] = values[0];
        if (is_double || is_float) {
            double d = is_double ? qd_sortable_to_f64(values[0]) : qd_sortable_to_f32(values[0]);
            memcpy(&out[i], &d, 8);
        }
    }
    qd_reads_release(reads);
    return rc;
}

static int32_t view_postings(const qd_segment_view *v, qd_str field, qd_str term,
                             qd_segment_postings **out, uint32_t *doc_freq, qd_err *err)
{
    struct qdi_custom *c = v->host;
    qdi_run *r = c->run;
    qd_segment *seg = r->leaf->segment;
    uint32_t f = qd_segment_field_find(seg, field);
    if (f == QD_FIELD_NONE || qd_segment_field(seg, f)->index == QD_INDEX_NONE)
        return QD_E_NOTFOUND;
    qd_term t;
    int rc = qd_term_get(seg, f, term, &t, err);
    if (rc) return rc;
    qd_segment_postings *p = qd_arena_calloc(r->arena, sizeof *p);
    if (p) p->reads = qd_reads_make(r->arena, r->plan->account);
    if (!p || !p->reads) return qd_err_nomem(err, "postings");
    rc = qd_postings_plan(seg, &t, QD_INDEX_FREQS, p->reads, &p->p, err);
    if (!rc) rc = qd_reads_fetch(p->reads, err);
    if (!rc) rc = qd_postings_open(&p->p, p->reads, err);
    if (rc) return rc;
    p->blk = QD_NO_DOC;
    *out = p;
    *doc_freq = t.df;
    return 0;
}

static int32_t view_postings_next(qd_segment_postings *p, uint32_t from, uint32_t cap,
                                  uint32_t *docs, uint32_t *freqs, uint32_t *n, qd_err *err)
{
    *n = 0;
    uint32_t b = qd_postings_seek(&p->p, p->blk == QD_NO_DOC ? 0 : p->blk, from);
    for (; b < p->p.nblk && *n < cap; b++) {
        if (p->blk != b) {
            p->blk = b;
            p->n = qd_postings_docs(&p->p, b, p->docs);
            if (freqs) qd_postings_freqs(&p->p, b, p->freqs);
            p->at = 0;
        }
        while (p->at < p->n && p->docs[p->at] < from) p->at++;
        uint32_t i = p->at;
        for (; i < p->n && *n < cap; i++, (*n)++) {
            docs[*n] = p->docs[i];
            if (freqs) freqs[*n] = p->freqs[i];
        }
        if (i < p->n) break;
    }
    return qd_postings_status(&p->p, err);
}

/* At the first document, for the first time or again. */
static int open_iter(struct qdi_custom *c, qd_err *err)
{
    const qd_node_custom *x = c->from;
    if (c->iter && x->vt->close_iter) x->vt->close_iter(c->iter);
    c->iter = NULL;
    c->at = c->block.n = c->asked = 0;
    int rc = x->vt->open_iter(x->ctx, x->query, &c->view, c->scores, &c->iter, err);
    c->ended = !c->iter;
    return rc;
}

int qdi_custom_open(qdi_run *r, const qdi_node *x, struct qdi_custom **out, qd_err *err)
{
    const qd_node_custom *from = &x->u.custom;
    *out = NULL;
    if (!from->vt || !from->vt->open_iter || !from->vt->next_block)
        return qd_err_set(err, QD_E_ARG, "the operator neither rewrites nor iterates");
    struct qdi_custom *c = qd_arena_calloc(r->arena, sizeof *c);
    if (!c) return qd_err_nomem(err, "operator");
    c->run = r;
    c->from = from;
    c->boost = x->boost;
    c->scores = x->scores && r->scores;
    c->view = (qd_segment_view){
        .struct_size = sizeof c->view,
        .max_doc = r->ndocs,
        .host = c,
        .arena = r->arena,
        .i64 = view_i64,
        .postings = view_postings,
        .postings_next = view_postings_next,
    };
    c->block.struct_size = sizeof c->block;
    int rc = open_iter(c, err);
    if (rc) return rc;
    c->next = r->customs;
    r->customs = c;
    *out = c->iter ? c : NULL;
    return 0;
}

void qdi_custom_close(struct qdi_custom *c)
{
    for (; c; c = c->next) {
        if (c->iter && c->from->vt->close_iter) c->from->vt->close_iter(c->iter);
        c->iter = NULL;
    }
}

float qdi_custom_bound(struct qdi_custom *c, uint32_t from, uint32_t to)
{
    if (!c || !c->iter) return 0;
    if (!c->from->vt->max_score) return __builtin_inff();
    float m = c->from->vt->max_score(c->iter, from, to);
    return m > 0 ? m : 0;
}

/* The next document at or after from, QD_NO_DOC at the end. Blocks that go back are an error. */
static int custom_to(struct qdi_custom *c, uint32_t from, uint32_t *doc, qd_err *err)
{
    *doc = QD_NO_DOC;
    if (from < c->asked) {
        int rc = open_iter(c, err);
        if (rc) return rc;
    }
    c->asked = from;
    while (!c->ended) {
        while (c->at < c->block.n && c->block.docs[c->at] < from) c->at++;
        if (c->at < c->block.n) {
            *doc = c->block.docs[c->at];
            return 0;
        }
        c->at = c->block.n = 0;
        int rc = c->from->vt->next_block(c->iter, from, 0, &c->block, err);
        if (rc) return rc;
        if (c->block.n == 0) {
            c->ended = true;
            break;
        }
        if (c->block.n > QD_OPERATOR_BLOCK || c->block.docs[0] < from)
            return qd_err_set(err, QD_E_PLUGIN, "an operator gave documents out of order");
        for (uint32_t i = 0; i < c->block.n; i++)
            if (c->block.docs[i] >= c->run->ndocs ||
                (i && c->block.docs[i] <= c->block.docs[i - 1]))
                return qd_err_set(err, QD_E_PLUGIN, "an operator gave documents out of order");
    }
    return 0;
}

int qdi_fill_custom(qdi_run *r, qdi_lnode *l, const qdi_win *w, const uint64_t *cand, uint64_t *out,
                    double *acc, qd_err *err)
{
    struct qdi_custom *c = l->u.custom;
    (void)r;
    memset(out, 0, w->words * sizeof *out);
    if (!c || !c->iter) return 0;
    uint32_t d = w->from;
    for (;;) {
        int rc = custom_to(c, d, &d, err);
        if (rc || d >= w->to) return rc;
        uint32_t at = d - w->from;
        if (cand[at >> 6] >> (at & 63) & 1) {
            out[at >> 6] |= 1ull << (at & 63);
            if (acc) {
                float s = c->block.scores[c->at] * c->boost;
                acc[at] += (double)(s > 0 ? s : 0);
            }
        }
        d++;
    }
}
