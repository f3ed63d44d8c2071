/*
 * leaf.c: a plan meets a segment. plan: nodes are made for what the segment has, their ranges added
 * to one batch; fetch; open: views filled, bitmaps made. Clauses that cannot match here fall away,
 * so that a kernel sees only what is there.
 */
#include "search/leaf/leaf_int.h"
#include "segment/live.h"

static const float g_zero_ninv[256 + 16];

struct qdi_norms {
    qdi_field *field;
    uint32_t slot;
    bool present;
    const uint8_t *at;
    struct qdi_norms *next;
};

/* What an lnode waits for. */
typedef enum pending_kind { PENDING_CUR, PENDING_POINTS, PENDING_EXISTS } pending_kind;
struct qdi_pending {
    pending_kind kind;
    qdi_lnode *l;
    qdi_cur *cur;
    struct qdi_norms *norms;
    qd_points_reader *points;
    qd_column_reader *column;
    struct qdi_pending *next;
};

static int nomem(qd_err *err)
{
    return qd_err_nomem(err, "search");
}

static int add_pending(qdi_run *r, struct qdi_pending w, qd_err *err)
{
    struct qdi_pending *p = qd_arena_alloc(r->arena, sizeof *p);
    if (!p) return nomem(err);
    *p = w;
    p->next = r->pending;
    r->pending = p;
    return 0;
}

/* Norms of a field in this leaf, planned once. */
static int norms_of(qdi_run *r, qdi_field *f, struct qdi_norms **out, qd_err *err)
{
    for (struct qdi_norms *n = r->norms; n; n = n->next)
        if (n->field == f) {
            *out = n;
            return 0;
        }
    struct qdi_norms *n = qd_arena_calloc(r->arena, sizeof *n);
    if (!n) return nomem(err);
    n->field = f;
    int rc = qd_segment_norms_plan(r->leaf->segment, f->number[r->leaf->index], r->reads, &n->slot,
                                   &n->present, err);
    if (rc) return rc;
    n->next = r->norms;
    r->norms = n;
    *out = n;
    return 0;
}

int qdi_leaf_norms(qdi_run *r, qdi_field *f, struct qdi_norms **out, qd_err *err)
{
    return norms_of(r, f, out, err);
}

int qdi_leaf_cursor(qdi_run *r, const qdi_term *t, bool scores, bool positions, float w,
                    const float *ninv, qdi_cur **out, qd_err *err)
{
    qdi_cur *c = qdi_scratch_alloc(r->scratch, sizeof *c);
    qd_postings *p = qd_arena_alloc(r->arena, sizeof *p);
    if (!c || !p) return nomem(err);
    memset(c, 0, offsetof(qdi_cur, docs));
    c->p = p;
    c->w = w;
    c->ninv = scores ? ninv : g_zero_ninv;
    if (!scores) c->w = 0; /* scores 0 everywhere: kernels need no other case */
    c->blk = c->freq_blk = QD_NO_DOC;
    int rc = qd_postings_plan(r->leaf->segment, &t->at[r->leaf->index],
                              positions ? QD_INDEX_POSITIONS
                              : scores  ? QD_INDEX_FREQS
                                        : QD_INDEX_DOCS,
                              r->reads, p, err);
    struct qdi_pending w_ = {.kind = PENDING_CUR, .cur = c};
    if (!rc && scores) rc = norms_of(r, t->field, &w_.norms, err);
    if (!rc) rc = add_pending(r, w_, err);
    *out = c;
    return rc;
}

const qd_term *qdi_leaf_term(const qdi_run *r, const qdi_term *t)
{
    const qd_term *at = &t->at[r->leaf->index];
    return at->df ? at : NULL;
}

uint64_t *qdi_make_bits(qdi_run *r)
{
    return qdi_scratch_calloc(r->scratch, ((size_t)r->ndocs / 64 + QDI_WINDOW_WORDS) * 8);
}

int qdi_leaf_by_bits(qdi_run *r, qdi_lnode *l, uint64_t cost, qd_err *err)
{
    uint64_t *bits = qdi_make_bits(r);
    if (!bits) return nomem(err);
    l->type = &qdi_node_doc_set;
    l->u.bits = bits;
    l->cost = cost < r->ndocs ? cost : r->ndocs;
    return 0;
}

/* Words and addresses without an index, by their column. */
int qdi_leaf_by_column(qdi_run *r, const qdi_node *x, uint32_t f, qdi_lnode *l, qd_err *err)
{
    uint64_t *bits = qdi_make_bits(r);
    if (!bits) return nomem(err);
    int rc = qdi_column_bits(r, x, f, bits, err);
    l->cost = rc ? 0 : r->k->popcount(bits, ((size_t)r->ndocs + 63) / 64);
    if (rc || !l->cost) return rc;
    l->type = &qdi_node_doc_set;
    l->u.bits = bits;
    return 0;
}

int qdi_leaf_await_points(qdi_run *r, qdi_lnode *l, qd_points_reader *points, qd_err *err)
{
    return add_pending(r, (struct qdi_pending){.kind = PENDING_POINTS, .l = l, .points = points},
                       err);
}

int qdi_leaf_await_column(qdi_run *r, qdi_lnode *l, qd_column_reader *column, qd_err *err)
{
    return add_pending(r, (struct qdi_pending){.kind = PENDING_EXISTS, .l = l, .column = column},
                       err);
}

int qdi_leaf_await_norms(qdi_run *r, qdi_lnode *l, qdi_field *f, qd_err *err)
{
    struct qdi_pending w = {.kind = PENDING_EXISTS, .l = l};
    int rc = norms_of(r, f, &w.norms, err);
    return rc ? rc : add_pending(r, w, err);
}

int qdi_leaf_plan(qdi_run *r, const qdi_node *x, qdi_lnode **out, qd_err *err)
{
    qdi_lnode *l = qd_arena_calloc(r->arena, sizeof *l);
    if (!l) return nomem(err);
    *out = l;
    l->type = &qdi_node_match_none;
    l->x = x;
    l->scores = x->scores && r->scores;
    l->boost = x->boost;
    return x->type->plan(r, x, l, err);
}

int qdi_leaf_plan_list(qdi_run *r, qdi_node *const *in, uint32_t n, qdi_lnode **out, uint32_t *kept,
                       bool *none, qd_err *err)
{
    for (uint32_t i = 0; i < n; i++) {
        qdi_lnode *l;
        int rc = qdi_leaf_plan(r, in[i], &l, err);
        if (rc) return rc;
        if (qdi_leaf_can(l, QDI_NODE_NOTHING))
            *none = true;
        else
            out[(*kept)++] = l;
    }
    return 0;
}

/* --- after the fetch ----------------------------------------------------------------------- */

/* Fields without norms count as one word long. */
static const uint8_t g_no_norms[64] = {1, 1, 1, 1, 1, 1, 1, 1};

const uint8_t *qdi_norms_at(const struct qdi_norms *n, uint32_t *mask)
{
    *mask = n->present ? UINT32_MAX : 0;
    return n->at;
}

static void norms_ready(qdi_run *r)
{
    for (struct qdi_norms *n = r->norms; n; n = n->next)
        n->at = n->present ? qd_reads_at(r->reads, n->slot) : g_no_norms;
}

static int exists_by_norms(qdi_run *r, const struct qdi_norms *n, uint64_t *bits)
{
    for (uint32_t d = 0; n->present && d < r->ndocs; d++)
        bits[d >> 6] |= (uint64_t)(n->at[d] != 0) << (d & 63);
    return 0;
}

static int open_one(qdi_run *r, struct qdi_pending *w, qd_err *err)
{
    switch (w->kind) {
    case PENDING_CUR:
        w->cur->norms = w->norms ? w->norms->at : g_no_norms;
        w->cur->norm_mask = w->norms && w->norms->present ? UINT32_MAX : 0;
        return qd_postings_open(w->cur->p, r->reads, err);
    case PENDING_POINTS:
        return qd_points_bits(w->points, (uint64_t *)(uintptr_t)w->l->u.bits, err);
    case PENDING_EXISTS:
        if (w->norms) return exists_by_norms(r, w->norms, (uint64_t *)(uintptr_t)w->l->u.bits);
        return qd_column_match_any(w->column, 0, r->ndocs, (uint64_t *)(uintptr_t)w->l->u.bits,
                                   err);
    }
    return 0;
}

int qdi_run_begin(qdi_run *r, qd_plan *p, const qd_leaf *leaf, qdi_scratch *s, bool scores,
                  qdi_hint hint, qd_collector *c, qd_err *err)
{
    *r = (qdi_run){
        .plan = p, .leaf = leaf, .scratch = s, .scores = scores, .ndocs = leaf->docs, .hint = hint};
    r->k = qd_kern_get();
    r->arena = &s->arena;
    r->live = leaf->live ? qd_live_bits(leaf->live) : NULL;
    r->to = r->ndocs;
    r->reads = qd_reads_make(r->arena, p->account);
    if (!r->reads) return nomem(err);
    int rc = qdi_leaf_plan(r, p->root, &r->root, err);
    if (!rc && c && c->vt->plan && !qdi_leaf_can(r->root, QDI_NODE_NOTHING))
        rc = c->vt->plan(c, leaf, r->reads, err);
    if (!rc) rc = qd_reads_fetch(r->reads, err);
    if (rc) return rc;
    norms_ready(r);
    for (struct qdi_pending *w = r->pending; w && !rc; w = w->next) rc = open_one(r, w, err);
    if (!rc) qdi_leaf_ready(r->root);
    r->opened = !rc;
    return rc;
}

int qdi_run_below(qdi_run *r, qd_plan *p, const qd_leaf *leaf, bool scores, qdi_below **out,
                  qd_err *err)
{
    qdi_below *b = qd_arena_calloc(r->arena, sizeof *b);
    if (b) b->scratch = qdi_scratch_take();
    if (!b || !b->scratch) return nomem(err);
    b->next = r->below;
    r->below = b;
    *out = b;
    int rc = qdi_run_begin(&b->run, p, leaf, b->scratch, scores, QDI_NO_HINT, NULL, err);
    r->forward |= b->run.customs != NULL || b->run.forward;
    return rc;
}

static int end_below(qdi_below *b, qd_err *err)
{
    int rc = 0;
    for (; b; b = b->next) {
        int rc2 = b->run.plan ? qdi_run_end(&b->run, rc ? NULL : err) : 0;
        if (!rc) rc = rc2;
        qdi_scratch_give(b->scratch);
    }
    return rc;
}

int qdi_run_end(qdi_run *r, qd_err *err)
{
    int rc = end_below(r->below, err);
    r->below = NULL;
    qdi_custom_close(r->customs);
    for (struct qdi_pending *w = r->opened ? r->pending : NULL; w && !rc; w = w->next)
        if (w->kind == PENDING_CUR && w->cur->p->damaged) rc = qd_postings_status(w->cur->p, err);
    if (r->reads) qd_reads_release(r->reads);
    r->reads = NULL;
    return rc;
}
