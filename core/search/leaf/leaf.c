/*
 * leaf.c: a plan meets a segment. plan: nodes are made for what the segment has, their ranges added
 * to one batch; fetch; open: views filled, bitmaps made. Clauses that cannot match here fall away,
 * so that a kernel sees only what is there.
 */
#include "search/leaf/leaf_int.h"
#include "search/leaf/range_int.h"
#include "search/leaf/set_int.h"
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

static int plan_node(qdi_run *r, const qdi_node *x, qdi_lnode **out, qd_err *err);
static int plan_by_column(qdi_run *r, const qdi_node *x, uint32_t f, qdi_lnode *l, qd_err *err);

static int nomem(qd_err *err)
{
    return qd_err_nomem(err, "search");
}

static qdi_lnode *make_lnode(qdi_run *r, qdi_lkind kind, const qdi_node *x)
{
    qdi_lnode *l = qd_arena_calloc(r->arena, sizeof *l);
    if (!l) return NULL;
    l->kind = kind;
    l->x = x;
    l->scores = x->scores && r->scores;
    l->boost = x->boost;
    return l;
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

static int plan_cur(qdi_run *r, const qdi_term *t, bool scores, bool positions, float w,
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

static const qd_term *leaf_term(const qdi_run *r, const qdi_term *t)
{
    const qd_term *at = &t->at[r->leaf->index];
    return at->df ? at : NULL;
}

static int plan_term(qdi_run *r, const qdi_node *x, qdi_lnode *l, qd_err *err)
{
    const qd_term *t = leaf_term(r, x->u.term);
    if (!t) return 0;
    l->kind = QDI_L_TERM;
    l->cost = t->df;
    return plan_cur(r, x->u.term, l->scores, false, x->weight, x->ninv, &l->u.cur, err);
}

static int plan_synonym(qdi_run *r, const qdi_node *x, qdi_lnode *l, qd_err *err)
{
    uint32_t n = 0;
    qdi_cur **curs = qd_arena_calloc(r->arena, x->u.synonym.n * sizeof *curs);
    float *factor =
        x->u.synonym.boosts ? qd_arena_calloc(r->arena, x->u.synonym.n * sizeof *factor) : NULL;
    if (!curs || (x->u.synonym.boosts && !factor)) return nomem(err);
    for (uint32_t i = 0; i < x->u.synonym.n; i++) {
        const qd_term *t = leaf_term(r, x->u.synonym.terms[i]);
        if (!t) continue;
        int rc =
            plan_cur(r, x->u.synonym.terms[i], l->scores, false, x->weight, x->ninv, &curs[n], err);
        if (rc) return rc;
        if (factor) factor[n] = x->u.synonym.boosts[i];
        l->cost += t->df;
        n++;
    }
    if (!n) return 0;
    l->kind = QDI_L_SYNONYM;
    l->u.synonym.curs = curs;
    l->u.synonym.factor = factor;
    l->u.synonym.n = n;
    l->u.synonym.w = x->weight;
    l->u.synonym.ninv = x->ninv;
    l->u.synonym.freq = qdi_scratch_calloc(r->scratch, QDI_WINDOW * sizeof(float));
    return l->u.synonym.freq ? 0 : nomem(err);
}

static int plan_phrase(qdi_run *r, const qdi_node *x, qdi_lnode *l, qd_err *err)
{
    uint32_t n = x->u.phrase.n, all = 0, m = 0;
    for (uint32_t s = 0; s < n; s++) all += x->u.phrase.slots[s].n;
    l->u.phrase.curs = qd_arena_calloc(r->arena, all * sizeof *l->u.phrase.curs);
    l->u.phrase.first = qd_arena_calloc(r->arena, (n + 1) * sizeof *l->u.phrase.first);
    l->u.phrase.offset = qd_arena_calloc(r->arena, n * sizeof *l->u.phrase.offset);
    l->u.phrase.order = qd_arena_calloc(r->arena, n * sizeof *l->u.phrase.order);
    l->u.phrase.pos = qd_arena_calloc(r->arena, n * sizeof *l->u.phrase.pos);
    uint64_t *cost = qd_arena_calloc(r->arena, n * sizeof *cost);
    if (!l->u.phrase.curs || !l->u.phrase.first || !l->u.phrase.offset || !l->u.phrase.order ||
        !l->u.phrase.pos || !cost)
        return nomem(err);
    uint32_t f = x->u.phrase.field->number[r->leaf->index];
    if (f != QD_FIELD_NONE && qd_segment_field(r->leaf->segment, f)->index < QD_INDEX_POSITIONS)
        return qd_err_set(err, QD_E_STATE,
                          "field:[%.*s] was indexed without position data; cannot run PhraseQuery",
                          QD_STR_ARG(x->u.phrase.field->name));
    l->cost = UINT64_MAX;
    for (uint32_t s = 0; s < n; s++) {
        const qdi_phrase_slot *ps = &x->u.phrase.slots[s];
        l->u.phrase.first[s] = m;
        l->u.phrase.offset[s] = ps->position;
        for (uint32_t i = 0; i < ps->n; i++) {
            const qd_term *t = leaf_term(r, ps->terms[i]);
            if (!t) continue;
            int rc = plan_cur(r, ps->terms[i], l->scores, true, x->weight, x->ninv,
                              &l->u.phrase.curs[m++], err);
            if (rc) return rc;
            cost[s] += t->df;
        }
        if (m == l->u.phrase.first[s]) return 0; /* a slot without any word here */
        l->cost = cost[s] < l->cost ? cost[s] : l->cost;
        uint32_t k = s;
        for (; k && cost[l->u.phrase.order[k - 1]] > cost[s]; k--)
            l->u.phrase.order[k] = l->u.phrase.order[k - 1];
        l->u.phrase.order[k] = s;
    }
    l->u.phrase.first[n] = m;
    l->u.phrase.n = n;
    l->u.phrase.slop = x->u.phrase.slop;
    l->u.phrase.w = x->weight;
    l->u.phrase.ninv = x->ninv;
    if (x->u.phrase.slop) {
        l->u.phrase.sloppy = qdi_sloppy_make(x, r->arena);
        if (!l->u.phrase.sloppy) return nomem(err);
    }
    l->kind = QDI_L_PHRASE;
    return 0;
}

/* Plans a list; keeps what may match here. *none: some child cannot. */
static int plan_list(qdi_run *r, qdi_node *const *in, uint32_t n, qdi_lnode **out, uint32_t *kept,
                     bool *none, qd_err *err)
{
    for (uint32_t i = 0; i < n; i++) {
        qdi_lnode *l;
        int rc = plan_node(r, in[i], &l, err);
        if (rc) return rc;
        if (l->kind == QDI_L_NONE)
            *none = true;
        else
            out[(*kept)++] = l;
    }
    return 0;
}

static void by_cost(qdi_lnode **list, uint32_t n)
{
    for (uint32_t i = 1; i < n; i++) {
        qdi_lnode *x = list[i];
        uint32_t j = i;
        for (; j && list[j - 1]->cost > x->cost; j--) list[j] = list[j - 1];
        list[j] = x;
    }
}

/* Documents of the smallest range among the required clauses but x, at most. */
static uint64_t least_range(const qdi_run *r, const qdi_node *x, const qdi_node *but)
{
    uint64_t least = UINT64_MAX;
    uint32_t n = x->u.b.nmust + x->u.b.nfilter;
    for (uint32_t i = 0; i < n; i++) {
        const qdi_node *c = i < x->u.b.nmust ? x->u.b.must[i] : x->u.b.filter[i - x->u.b.nmust];
        qdi_range_plan_out g;
        if (c == but || !qdi_range_in(c)) continue;
        qdi_range_plan(r, qdi_range_in(c), &g);
        least = g.most < least ? g.most : least;
    }
    return least;
}

/* Required clauses: ranges last, as they go by what the others leave. */
static int plan_required(qdi_run *r, const qdi_node *x, qdi_lnode *l, bool *none, qd_err *err)
{
    uint32_t n = x->u.b.nmust + x->u.b.nfilter;
    for (int ranges = 0; ranges < 2; ranges++)
        for (uint32_t i = 0; i < n && !*none; i++) {
            qdi_node *c = i < x->u.b.nmust ? x->u.b.must[i] : x->u.b.filter[i - x->u.b.nmust];
            if ((qdi_range_in(c) != NULL) != ranges) continue;
            uint64_t lead = r->hint.lead, other = ranges && n <= 16 ? least_range(r, x, c) : lead;
            r->hint.lead = other < lead ? other : lead;
            r->hint.beside = ranges && n <= 16 ? x : NULL;
            uint32_t had = l->u.b.nreq;
            int rc = plan_list(r, &c, 1, l->u.b.req, &l->u.b.nreq, none, err);
            if (rc) return rc;
            r->hint.lead = lead;
            r->hint.beside = NULL;
            if (l->u.b.nreq > had && l->u.b.req[had]->cost < lead)
                r->hint.lead = l->u.b.req[had]->cost;
        }
    return 0;
}

static int plan_bool(qdi_run *r, const qdi_node *x, qdi_lnode *l, qd_err *err)
{
    uint32_t nreq = x->u.b.nmust + x->u.b.nfilter;
    uint32_t all = nreq + x->u.b.nmust_not + x->u.b.nshould;
    qdi_lnode **at = qd_arena_calloc(r->arena, (all + 1) * sizeof *at);
    if (!at) return nomem(err);
    bool none = false, ignored = false;
    l->u.b.req = at;
    l->u.b.not = at + nreq;
    l->u.b.should = at + nreq + x->u.b.nmust_not;
    l->u.b.min_should = x->u.b.min_should;
    uint64_t lead = r->hint.lead;
    int rc = plan_required(r, x, l, &none, err);
    if (!rc && !none)
        rc = plan_list(r, x->u.b.should, x->u.b.nshould, l->u.b.should, &l->u.b.nshould, &ignored,
                       err);
    if (!rc && !none && l->u.b.nshould >= l->u.b.min_should)
        rc = plan_list(r, x->u.b.must_not, x->u.b.nmust_not, l->u.b.not, &l->u.b.nnot, &ignored,
                       err);
    r->hint.lead = lead;
    if (rc || none || l->u.b.nshould < l->u.b.min_should) return rc;
    by_cost(l->u.b.req, l->u.b.nreq);
    l->cost = l->u.b.nreq ? l->u.b.req[0]->cost : 0;
    if (!l->u.b.nreq)
        for (uint32_t i = 0; i < l->u.b.nshould; i++) l->cost += l->u.b.should[i]->cost;
    l->kind = QDI_L_BOOL;
    if (l->scores) {
        l->u.b.acc = qdi_scratch_calloc(r->scratch, QDI_WINDOW * sizeof(double));
        if (!l->u.b.acc) return nomem(err);
    }
    if (l->u.b.min_should > 1) {
        l->u.b.count = qdi_scratch_calloc(r->scratch, QDI_WINDOW * sizeof(uint16_t));
        if (!l->u.b.count) return nomem(err);
    }
    return 0;
}

static int plan_dis_max(qdi_run *r, const qdi_node *x, qdi_lnode *l, qd_err *err)
{
    bool ignored = false;
    l->u.dis_max.kids = qd_arena_calloc(r->arena, (x->u.dis_max.n + 1) * sizeof(qdi_lnode *));
    if (!l->u.dis_max.kids) return nomem(err);
    int rc = plan_list(r, x->u.dis_max.kids, x->u.dis_max.n, l->u.dis_max.kids, &l->u.dis_max.n,
                       &ignored, err);
    if (rc || !l->u.dis_max.n) return rc;
    l->kind = QDI_L_DIS_MAX;
    l->u.dis_max.tie = x->u.dis_max.tie;
    for (uint32_t i = 0; i < l->u.dis_max.n; i++) l->cost += l->u.dis_max.kids[i]->cost;
    l->u.dis_max.acc = qdi_scratch_calloc(r->scratch, QDI_WINDOW * sizeof(double));
    l->u.dis_max.others = qdi_scratch_calloc(r->scratch, QDI_WINDOW * sizeof(double));
    l->u.dis_max.max = qdi_scratch_calloc(r->scratch, QDI_WINDOW * sizeof(float));
    return l->u.dis_max.acc && l->u.dis_max.others && l->u.dis_max.max ? 0 : nomem(err);
}

uint64_t *qdi_make_bits(qdi_run *r)
{
    return qdi_scratch_calloc(r->scratch, ((size_t)r->ndocs / 64 + QDI_WINDOW_WORDS) * 8);
}

static int bits_lnode(qdi_run *r, qdi_lnode *l, uint64_t cost, qd_err *err)
{
    uint64_t *bits = qdi_make_bits(r);
    if (!bits) return nomem(err);
    l->kind = QDI_L_BITS;
    l->u.bits = bits;
    l->cost = cost < r->ndocs ? cost : r->ndocs;
    return 0;
}

static int plan_range(qdi_run *r, const qdi_node *x, qdi_lnode *l, qd_err *err)
{
    qdi_range_plan_out g;
    qdi_range_plan(r, x, &g);
    if (!g.points && x->u.range.kind == QD_RANGE_B16) {
        uint32_t f = x->u.range.field->number[r->leaf->index];
        return f == QD_FIELD_NONE ? 0 : plan_by_column(r, x, f, l, err);
    }
    if (!g.most) return 0;
    if (qdi_range_by_column(r, x, &g)) {
        l->kind = QDI_L_RANGE;
        l->cost = g.most < r->ndocs ? g.most : r->ndocs;
        return qdi_range_make(r, g.column, g.lo.i, g.hi.i, &l->u.range, err);
    }
    struct qdi_pending w = {.kind = PENDING_POINTS, .l = l};
    int rc = bits_lnode(r, l, g.most, err);
    if (!rc) rc = qd_points_plan(g.points, g.lo, g.hi, false, r->reads, r->arena, &w.points, err);
    return rc ? rc : add_pending(r, w, err);
}

/* Documents with any value: the column, else the norms' field, else the points of it. */
static int plan_exists(qdi_run *r, const qdi_node *x, qdi_lnode *l, qd_err *err)
{
    uint32_t f = x->u.exists->number[r->leaf->index];
    if (f == QD_FIELD_NONE) return 0;
    qd_segment *seg = r->leaf->segment;
    const qd_columns *cs = qd_segment_columns(seg);
    const qd_column *c = cs ? qd_columns_get(cs, f) : NULL;
    const qd_points_set *ps = qd_segment_points(seg);
    const qd_points *p = ps ? qd_points_get(ps, f) : NULL;
    struct qdi_pending w = {.l = l};
    int rc = 0;
    if (c) {
        const qd_column_stats *st = qd_column_stats_get(c);
        if (!st->docs) return 0;
        if (st->dense) {
            l->kind = QDI_L_ALL;
            l->cost = r->ndocs;
            return 0;
        }
        rc = bits_lnode(r, l, st->docs, err);
        if (!rc) rc = qd_column_plan(c, 0, r->ndocs, r->reads, r->arena, &w.column, err);
        w.kind = PENDING_EXISTS;
        w.column = rc ? NULL : w.column;
    } else if (qd_segment_field(seg, f)->norms) {
        rc = bits_lnode(r, l, qd_segment_index_stats(seg, f)->docs, err);
        if (!rc) rc = norms_of(r, x->u.exists, &w.norms, err);
        w.kind = PENDING_EXISTS;
    } else if (p) {
        const qd_points_stats *st = qd_points_stats_get(p);
        if (!st->docs) return 0;
        rc = bits_lnode(r, l, st->docs, err);
        if (!rc)
            rc = qd_points_plan(p, st->min, st->max, false, r->reads, r->arena, &w.points, err);
        w.kind = PENDING_POINTS;
    } else {
        return 0;
    }
    return rc ? rc : add_pending(r, w, err);
}

/* Words and addresses without an index, by their column. */
static int plan_by_column(qdi_run *r, const qdi_node *x, uint32_t f, qdi_lnode *l, qd_err *err)
{
    uint64_t *bits = qdi_make_bits(r);
    if (!bits) return nomem(err);
    int rc = qdi_column_bits(r, x, f, bits, err);
    l->cost = rc ? 0 : r->k->popcount(bits, ((size_t)r->ndocs + 63) / 64);
    if (rc || !l->cost) return rc;
    l->kind = QDI_L_BITS;
    l->u.bits = bits;
    return 0;
}

/* Documents of many terms: their bitmap is made here, with fetches of its own. */
static int plan_set(qdi_run *r, const qdi_node *x, qdi_lnode *l, qd_err *err)
{
    uint32_t f = x->u.set.field->number[r->leaf->index];
    if (f == QD_FIELD_NONE) return 0;
    if (qd_segment_field(r->leaf->segment, f)->index == QD_INDEX_NONE)
        return plan_by_column(r, x, f, l, err);
    uint64_t *bits = NULL, docs = 0;
    int rc = qdi_group_bits(r, x, f, &bits, &docs, err);
    if (rc < 0) return rc;
    if (rc == 0) {
        bits = qdi_make_bits(r);
        if (!bits) return nomem(err);
        rc = qdi_set_bits(r, x, f, bits, &docs, err);
        if (rc) return rc;
    }
    if (!docs) return 0;
    l->kind = QDI_L_BITS;
    l->u.bits = bits;
    l->cost = docs < r->ndocs ? docs : r->ndocs;
    return 0;
}

static int plan_ids(qdi_run *r, const qdi_node *x, qdi_lnode *l, qd_err *err)
{
    const qd_ids *ids = qd_segment_ids(r->leaf->segment);
    if (!ids) return 0;
    uint32_t n = x->u.ids.n, found = 0;
    uint32_t *docs = qd_arena_alloc(r->arena, n * sizeof *docs);
    uint64_t *bits = qdi_make_bits(r);
    if (!docs || !bits) return nomem(err);
    memset(docs, 0xff, n * sizeof *docs);
    int rc = qd_ids_lookup(ids, x->u.ids.ids, x->u.ids.hashes, n, docs, r->arena, err);
    for (uint32_t i = 0; i < n && !rc; i++) {
        if (docs[i] >= r->ndocs) continue;
        bits[docs[i] >> 6] |= 1ull << (docs[i] & 63);
        found++;
    }
    if (rc || !found) return rc;
    l->kind = QDI_L_BITS;
    l->u.bits = bits;
    l->cost = found;
    return 0;
}

/* A provider's bitmap, copied so that whole windows can be read. */
static int plan_doc_set(qdi_run *r, const qdi_node *x, qdi_lnode *l, qd_err *err)
{
    const uint64_t *bits = x->u.doc_set.bits(x->u.doc_set.arg, r->leaf->index, r->ndocs);
    if (!bits) return 0;
    uint64_t *own = qdi_make_bits(r);
    if (!own) return nomem(err);
    size_t words = ((size_t)r->ndocs + 63) / 64;
    memcpy(own, bits, words * sizeof *own);
    if (r->ndocs & 63) own[words - 1] &= (1ull << (r->ndocs & 63)) - 1;
    l->kind = QDI_L_BITS;
    l->u.bits = own;
    l->cost = r->k->popcount(own, words);
    return 0;
}

static int plan_node(qdi_run *r, const qdi_node *x, qdi_lnode **out, qd_err *err)
{
    qdi_lnode *l = make_lnode(r, QDI_L_NONE, x);
    if (!l) return nomem(err);
    *out = l;
    int rc = 0;
    switch (x->kind) {
    case QDI_NONE:
        break;
    case QDI_ALL:
        l->kind = QDI_L_ALL;
        l->cost = r->ndocs;
        break;
    case QDI_TERM:
        rc = plan_term(r, x, l, err);
        break;
    case QDI_SYNONYM:
        rc = plan_synonym(r, x, l, err);
        break;
    case QDI_PHRASE:
        rc = plan_phrase(r, x, l, err);
        break;
    case QDI_BOOL:
        rc = plan_bool(r, x, l, err);
        break;
    case QDI_DIS_MAX:
        rc = plan_dis_max(r, x, l, err);
        break;
    case QDI_CONST:
        rc = plan_node(r, x->u.child, &l->u.child, err);
        l->cost = rc ? 0 : l->u.child->cost;
        if (!rc && l->u.child->kind != QDI_L_NONE) l->kind = QDI_L_CONST;
        break;
    case QDI_SET:
        rc = plan_set(r, x, l, err);
        break;
    case QDI_RANGE:
        rc = plan_range(r, x, l, err);
        break;
    case QDI_EXISTS:
        rc = plan_exists(r, x, l, err);
        break;
    case QDI_IDS:
        rc = plan_ids(r, x, l, err);
        break;
    case QDI_DOC_SET:
        rc = plan_doc_set(r, x, l, err);
        break;
    case QDI_CUSTOM:
        rc = qdi_custom_open(r, x, &l->u.custom, err);
        l->cost = x->u.custom.cost ? x->u.custom.cost : r->ndocs;
        if (!rc && l->u.custom) l->kind = QDI_L_CUSTOM;
        break;
    }
    return rc;
}

/* --- after the fetch ---------------------------------------------------------------------------
 */

/* Fields without norms count as one word long. */
static const uint8_t g_no_norms[64] = {1, 1, 1, 1, 1, 1, 1, 1};

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

/* Gives phrases and synonyms their norms. */
static void finish_node(qdi_lnode *l)
{
    switch (l->kind) {
    case QDI_L_SYNONYM:
        l->u.synonym.norms = l->u.synonym.curs[0]->norms;
        l->u.synonym.norm_mask = l->u.synonym.curs[0]->norm_mask;
        break;
    case QDI_L_PHRASE:
        l->u.phrase.norms = l->u.phrase.curs[0]->norms;
        l->u.phrase.norm_mask = l->u.phrase.curs[0]->norm_mask;
        break;
    case QDI_L_BOOL:
        for (uint32_t i = 0; i < l->u.b.nreq; i++) finish_node(l->u.b.req[i]);
        for (uint32_t i = 0; i < l->u.b.nshould; i++) finish_node(l->u.b.should[i]);
        for (uint32_t i = 0; i < l->u.b.nnot; i++) finish_node(l->u.b.not [i]);
        break;
    case QDI_L_DIS_MAX:
        for (uint32_t i = 0; i < l->u.dis_max.n; i++) finish_node(l->u.dis_max.kids[i]);
        break;
    case QDI_L_CONST:
        finish_node(l->u.child);
        break;
    default:
        break;
    }
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
    int rc = plan_node(r, p->root, &r->root, err);
    if (!rc && c && c->vt->plan && r->root->kind != QDI_L_NONE)
        rc = c->vt->plan(c, leaf, r->reads, err);
    if (!rc) rc = qd_reads_fetch(r->reads, err);
    if (rc) return rc;
    norms_ready(r);
    for (struct qdi_pending *w = r->pending; w && !rc; w = w->next) rc = open_one(r, w, err);
    if (!rc) finish_node(r->root);
    r->opened = !rc;
    return rc;
}

int qdi_run_end(qdi_run *r, qd_err *err)
{
    int rc = 0;
    qdi_custom_close(r->customs);
    for (struct qdi_pending *w = r->opened ? r->pending : NULL; w && !rc; w = w->next)
        if (w->kind == PENDING_CUR && w->cur->p->damaged) rc = qd_postings_status(w->cur->p, err);
    if (r->reads) qd_reads_release(r->reads);
    r->reads = NULL;
    return rc;
}
