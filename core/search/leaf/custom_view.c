/*
 * custom_view.c: terms, statistics, norms and children as operators that iterate see them.
 *
 * Statistics are those that native nodes score with: of terms that the operator's node names, the
 * plan's; of others, sums over the searcher.
 */
#include "search/leaf/custom_int.h"
#include "segment/segment.h"

typedef struct qdi_custom custom;

/* --- statistics ------------------------------------------------------------------------------- */

static int32_t view_field_stats(const qd_segment_view *v, qd_str field, qd_field_stats *out,
                                qd_err *err)
{
    qdi_custom_iter *it = v->host;
    qd_collection_stats st;
    if (!qd_guest_enter()) return qdi_custom_gone(err);
    const qd_plan *p = it->host->run->plan;
    qd_similarity own = qdi_similarity_of(&p->o, field);
    const qd_similarity *sim = own.kind == QD_SIM_BM25 ? &own : &p->sim; /* operators know BM25 */
    qd_searcher_field_stats(p->searcher, field, &st);
    *out = (qd_field_stats){.doc_count = st.doc_count,
                            .sum_doc_freq = st.sum_doc_freq,
                            .sum_total_term_freq = st.sum_total_term_freq,
                            .k1 = sim->k1,
                            .b = sim->b,
                            .factor = sim->factor};
    qd_guest_leave();
    return 0;
}

/* Sums of a term that the plan does not know. */
static int sum_term(const qd_plan *p, qdi_term *t, qd_err *err)
{
    for (uint32_t i = 0; i < qd_searcher_leaves(p->searcher); i++) {
        qd_segment *s = qd_searcher_leaf(p->searcher, i)->segment;
        uint32_t f = qd_segment_field_find(s, t->field->name);
        qd_term at;
        if (f == QD_FIELD_NONE || qd_segment_field(s, f)->index == QD_INDEX_NONE) continue;
        int rc = qd_term_get(s, f, t->text, &at, err);
        if (rc == QD_E_NOTFOUND) continue;
        if (rc) return rc;
        t->df += at.df;
        t->ttf += at.ttf;
    }
    return 0;
}

/* A term that the plan knows; NULL: it does not. */
static const qdi_term *known_term(const qd_plan *p, qd_str field, qd_str term)
{
    const qdi_term *t = p->terms;
    while (t && !(qd_str_eq(t->field->name, field) && qd_str_eq(t->text, term))) t = t->next;
    return t;
}

static int term_stats(const qd_plan *p, qd_str field, qd_str term, qdi_term_stats *out, qd_err *err)
{
    const qdi_term *known = known_term(p, field, term);
    if (known) {
        *out = qdi_term_stats_of(p, known);
        return 0;
    }
    qdi_field f = {.name = field};
    qdi_term t = {.field = &f, .text = term};
    qd_searcher_field_stats(p->searcher, field, &f.stats);
    int rc = sum_term(p, &t, err);
    *out = qdi_term_stats_of(p, &t);
    return rc;
}

static int32_t view_term_stats(const qd_segment_view *v, qd_str field, qd_str term,
                               qd_term_stats *out, qd_err *err)
{
    qdi_custom_iter *it = v->host;
    qdi_term_stats s;
    memset(out, 0, sizeof *out);
    if (!qd_guest_enter()) return qdi_custom_gone(err);
    int32_t rc = term_stats(it->host->run->plan, field, term, &s, err);
    qd_guest_leave();
    if (!rc) *out = (qd_term_stats){s.df, s.ttf, s.docs, s.sum_ttf};
    return rc;
}

/* --- norms ------------------------------------------------------------------------------------ */

static int norms_of(custom *c, qd_str field, const uint8_t **out, qd_err *err)
{
    qdi_run *r = c->run;
    uint32_t f = qd_segment_field_find(r->leaf->segment, field), slot;
    bool present = false;
    *out = NULL;
    if (f == QD_FIELD_NONE) return 0;
    for (const struct qdi_custom_norms *n = c->norms; n; n = n->next)
        if (n->field == f) {
            *out = n->at;
            return 0;
        }
    struct qdi_custom_norms *n = qd_arena_calloc(r->arena, sizeof *n);
    qd_reads *reads = n ? qd_reads_make(r->arena, r->plan->account) : NULL;
    if (!reads) return qd_err_nomem(err, "norms");
    int rc = qd_segment_norms_plan(r->leaf->segment, f, reads, &slot, &present, err);
    if (!rc && present) rc = qd_reads_fetch(reads, err);
    if (rc) return rc;
    n->field = f;
    n->at = present ? qd_reads_at(reads, slot) : NULL;
    n->next = c->norms;
    c->norms = n;
    *out = n->at;
    return 0;
}

static int32_t view_norms(const qd_segment_view *v, qd_str field, const uint8_t **out, qd_err *err)
{
    qdi_custom_iter *it = v->host;
    *out = NULL;
    if (!qd_guest_enter()) return qdi_custom_gone(err);
    int32_t rc = norms_of(it->host, field, out, err);
    qd_guest_leave();
    return rc;
}

/* --- postings --------------------------------------------------------------------------------- */

/* A block of postings that is decoded. */
typedef struct decoded {
    uint32_t blk, n, at; /* blk QD_NO_DOC: none */
    uint32_t docs[192];
} decoded;

struct qd_segment_postings {
    qd_postings p;
    qd_reads *reads;
    custom *c;
    bool positions;
    decoded docs;  /* of postings_next */
    decoded place; /* of positions */
    uint32_t freqs[192];
};

/* In this segment: the plan has looked up what the operator's node names. */
static int find_term(const qdi_run *r, uint32_t f, qd_str field, qd_str text, qd_term *out,
                     qd_err *err)
{
    const qdi_term *t = known_term(r->plan, field, text);
    if (!t) return qd_term_get(r->leaf->segment, f, text, out, err);
    const qd_term *at = qdi_leaf_term(r, t);
    if (!at) return QD_E_NOTFOUND;
    *out = *at;
    return 0;
}

static int32_t open_postings(custom *c, qd_str field, qd_str term, uint32_t want,
                             qd_segment_postings **out, uint32_t *doc_freq, qd_err *err)
{
    qdi_run *r = c->run;
    qd_segment *seg = r->leaf->segment;
    uint32_t f = qd_segment_field_find(seg, field);
    bool positions = (want & QD_POSTINGS_POSITIONS) != 0;
    *doc_freq = 0;
    if (f == QD_FIELD_NONE || qd_segment_field(seg, f)->index == QD_INDEX_NONE)
        return QD_E_NOTFOUND;
    if (positions && qd_segment_field(seg, f)->index < QD_INDEX_POSITIONS)
        return qd_err_set(err, QD_E_ARG, "operator [%s]: field [%.*s] is indexed without positions",
                          c->from->scope ? c->from->scope->name : "", QD_STR_ARG(field));
    qd_term t;
    int rc = find_term(r, f, field, term, &t, err);
    if (rc) return rc;
    qd_segment_postings *p = qd_arena_calloc(r->arena, sizeof *p);
    if (p) p->reads = qd_reads_make(r->arena, r->plan->account);
    if (!p || !p->reads) return qd_err_nomem(err, "postings");
    rc = qd_postings_plan(seg, &t,
                          positions                  ? QD_INDEX_POSITIONS
                          : want & QD_POSTINGS_FREQS ? QD_INDEX_FREQS
                                                     : QD_INDEX_DOCS,
                          p->reads, &p->p, err);
    if (!rc) rc = qd_reads_fetch(p->reads, err);
    if (!rc) rc = qd_postings_open(&p->p, p->reads, err);
    if (rc) return rc;
    p->c = c;
    p->positions = positions;
    p->docs.blk = p->place.blk = QD_NO_DOC;
    *out = p;
    *doc_freq = t.df;
    return 0;
}

static int32_t view_postings_open(const qd_segment_view *v, qd_str field, qd_str term,
                                  uint32_t want, qd_segment_postings **out, uint32_t *doc_freq,
                                  qd_err *err)
{
    qdi_custom_iter *it = v->host;
    if (!qd_guest_enter()) return qdi_custom_gone(err);
    int32_t rc = open_postings(it->host, field, term, want, out, doc_freq, err);
    qd_guest_leave();
    return rc;
}

static int32_t view_postings(const qd_segment_view *v, qd_str field, qd_str term,
                             qd_segment_postings **out, uint32_t *doc_freq, qd_err *err)
{
    return view_postings_open(v, field, term, QD_POSTINGS_FREQS, out, doc_freq, err);
}

static void decode(qd_segment_postings *p, decoded *d, uint32_t block)
{
    if (d->blk == block) return;
    d->blk = block;
    d->n = qd_postings_docs(&p->p, block, d->docs);
    d->at = 0;
}

static int32_t next_postings(qd_segment_postings *p, uint32_t from, uint32_t cap, uint32_t *docs,
                             uint32_t *freqs, uint32_t *n, qd_err *err)
{
    decoded *d = &p->docs;
    uint32_t b = qd_postings_seek(&p->p, d->blk == QD_NO_DOC ? 0 : d->blk, from);
    for (; b < p->p.nblk && *n < cap; b++) {
        if (d->blk != b) {
            decode(p, d, b);
            qd_postings_freqs(&p->p, b, p->freqs);
        }
        while (d->at < d->n && d->docs[d->at] < from) d->at++;
        uint32_t i = d->at;
        for (; i < d->n && *n < cap; i++, (*n)++) {
            docs[*n] = d->docs[i];
            if (freqs) freqs[*n] = p->freqs[i];
        }
        if (i < d->n) break;
    }
    return qd_postings_status(&p->p, err);
}

static int32_t view_postings_next(qd_segment_postings *p, uint32_t from, uint32_t cap,
                                  uint32_t *docs, uint32_t *freqs, uint32_t *n, qd_err *err)
{
    *n = 0;
    if (!qd_guest_enter()) return qdi_custom_gone(err);
    int32_t rc = next_postings(p, from, cap, docs, freqs, n, err);
    qd_guest_leave();
    return rc;
}

/* The number of the posting of doc; QD_NO_DOC: there is none. */
static uint32_t find_posting(qd_segment_postings *p, uint32_t doc)
{
    decoded *d = &p->place;
    bool behind = d->blk != QD_NO_DOC && d->blk && p->p.last[d->blk - 1] >= doc;
    uint32_t b = qd_postings_seek(&p->p, d->blk == QD_NO_DOC || behind ? 0 : d->blk, doc);
    if (b >= p->p.nblk) return QD_NO_DOC;
    decode(p, d, b);
    uint32_t lo = 0, hi = d->n;
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        if (d->docs[mid] < doc)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < d->n && d->docs[lo] == doc ? b * 128 + lo : QD_NO_DOC;
}

static int32_t positions_of(qd_segment_postings *p, const uint32_t *docs, uint32_t n, uint32_t cap,
                            uint32_t *first, uint32_t *out, uint32_t *done, qd_err *err)
{
    const char *name = p->c->from->scope ? p->c->from->scope->name : "";
    uint32_t at = 0, i = 0;
    if (!p->positions)
        return qd_err_set(err, QD_E_ARG,
                          "operator [%s] asks postings that it opened without "
                          "positions for positions",
                          name);
    first[0] = 0;
    for (; i < n; i++) {
        uint32_t freq = 0, posting = find_posting(p, docs[i]);
        uint64_t place =
            posting == QD_NO_DOC ? 0 : qd_postings_position_first(&p->p, posting, &freq);
        if (posting != QD_NO_DOC && freq > cap - at) {
            if (i) break;
            return qd_err_set(err, QD_E_LIMIT,
                              "operator [%s]: document %u has %u positions, and there is room for "
                              "%u",
                              name, docs[0], freq, cap);
        }
        if (posting != QD_NO_DOC) at += qd_postings_positions(&p->p, place, freq, out + at);
        first[i + 1] = at;
    }
    *done = i;
    return qd_postings_status(&p->p, err);
}

static int32_t view_positions(qd_segment_postings *p, const uint32_t *docs, uint32_t n,
                              uint32_t cap, uint32_t *first, uint32_t *out, uint32_t *done,
                              qd_err *err)
{
    *done = 0;
    if (!qd_guest_enter()) return qdi_custom_gone(err);
    int32_t rc = positions_of(p, docs, n, cap, first, out, done, err);
    qd_guest_leave();
    return rc;
}

/* --- children --------------------------------------------------------------------------------- */

struct qd_segment_child {
    custom *c;
    qdi_lnode *l;
    qdi_win w;   /* that is filled; to 0: none is */
    double *acc; /* zero but for documents of bits */
    uint64_t bits[QDI_WINDOW_WORDS];
};

static int open_child(custom *c, uint32_t number, qd_segment_child **out, qd_err *err)
{
    qdi_run *r = c->run;
    if (number >= c->from->nchildren)
        return qd_err_set(err, QD_E_ARG, "operator [%s] has %u children and opens number %u",
                          c->from->scope ? c->from->scope->name : "", c->from->nchildren, number);
    qd_segment_child *x = qd_arena_calloc(r->arena, sizeof *x);
    if (x) x->acc = qdi_scratch_calloc(r->scratch, QDI_WINDOW * sizeof *x->acc);
    if (!x || !x->acc) return qd_err_nomem(err, "a query within a query");
    x->c = c;
    x->l = c->children[number];
    *out = x;
    return 0;
}

static int32_t view_child_open(const qd_segment_view *v, uint32_t child, qd_segment_child **out,
                               qd_err *err)
{
    qdi_custom_iter *it = v->host;
    if (!qd_guest_enter()) return qdi_custom_gone(err);
    int32_t rc = open_child(it->host, child, out, err);
    qd_guest_leave();
    return rc;
}

/* The window that holds `from`, or the next one that may have a match; to 0: none may. */
static int fill_window(qd_segment_child *x, uint32_t from, qd_err *err)
{
    qdi_run *r = x->c->run;
    uint64_t cand[QDI_WINDOW_WORDS];
    qdi_clear_acc(x->acc, x->bits, QDI_WINDOW_WORDS);
    memset(x->bits, 0, sizeof x->bits);
    x->w.to = 0;
    uint32_t d = qdi_leaf_can(x->l, QDI_NODE_NOTHING) ? QD_NO_DOC : qdi_next(r, x->l, from);
    if (d >= r->ndocs) return 0;
    qdi_win w = {.from = d & ~(QDI_WINDOW - 1)};
    w.to = r->ndocs - w.from > QDI_WINDOW ? w.from + QDI_WINDOW : r->ndocs;
    w.words = (w.to - w.from + 63) / 64;
    for (uint32_t i = 0; i < w.words; i++) cand[i] = r->live ? r->live[(w.from >> 6) + i] : ~0ull;
    if (w.to & 63) cand[w.words - 1] &= (1ull << (w.to & 63)) - 1;
    int rc = qdi_run_tick(r);
    if (!rc) rc = qdi_fill(r, x->l, &w, cand, x->bits, x->acc, err);
    if (!rc) x->w = w;
    return rc;
}

static int next_of_child(qd_segment_child *x, uint32_t from, qd_doc_block *out, qd_err *err)
{
    if (!x->c->run->opened)
        return qd_err_set(err, QD_E_STATE, "operator [%s] reads a child in open_iter",
                          x->c->from->scope ? x->c->from->scope->name : "");
    while (from < x->c->run->ndocs) {
        if (from < x->w.from || from >= x->w.to) {
            int rc = fill_window(x, from, err);
            if (rc || !x->w.to) return rc;
            from = from < x->w.from ? x->w.from : from;
        }
        uint32_t at = from - x->w.from, i = at >> 6;
        uint64_t bits = x->bits[i] & ~0ull << (at & 63);
        for (;;) {
            for (; bits && out->n < QD_OPERATOR_BLOCK; bits &= bits - 1) {
                uint32_t k = i * 64 + (uint32_t)__builtin_ctzll(bits);
                out->docs[out->n] = x->w.from + k;
                out->scores[out->n++] = (float)x->acc[k];
            }
            if (out->n == QD_OPERATOR_BLOCK || ++i >= x->w.words) break;
            bits = x->bits[i];
        }
        if (out->n) return 0;
        from = x->w.to;
    }
    return 0;
}

static int32_t view_child_next(qd_segment_child *x, uint32_t from, qd_doc_block *out, qd_err *err)
{
    out->n = 0;
    if (!qd_guest_enter()) return qdi_custom_gone(err);
    int32_t rc = next_of_child(x, from, out, err);
    qd_guest_leave();
    return rc;
}

static float view_child_max_score(qd_segment_child *x, uint32_t from, uint32_t to)
{
    if (!qd_guest_enter()) return __builtin_inff();
    qdi_run *r = x->c->run;
    float bound = __builtin_inff();
    if (r->opened) bound = qdi_leaf_can(x->l, QDI_NODE_NOTHING) ? 0 : qdi_bound(r, x->l, from, to);
    qd_guest_leave();
    return bound;
}

/* --- the view --------------------------------------------------------------------------------- */

void qdi_custom_view(qdi_custom_iter *it)
{
    qd_segment_view *v = &it->view;
    for (uint32_t i = 0; i < 256; i++) it->lengths[i] = qd_norm_length((uint8_t)i);
    *v = (qd_segment_view){
        .struct_size = sizeof *v,
        .max_doc = it->host->run->ndocs,
        .host = it,
        .arena = &it->arena,
        .postings = view_postings,
        .postings_next = view_postings_next,
        .field_stats = view_field_stats,
        .term_stats = view_term_stats,
        .norms = view_norms,
        .norm_lengths = it->lengths,
        .postings_open = view_postings_open,
        .positions = view_positions,
        .child_open = view_child_open,
        .child_next = view_child_next,
        .child_max_score = view_child_max_score,
    };
    qdi_custom_view_columns(v);
    qdi_custom_view_parts(v);
}
