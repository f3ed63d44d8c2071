/*
 * k_filter.c: scored clauses beside filters and exclusions. What is not scored becomes one bitmap
 * of accepted documents, which takes the place of the live ones; what is left may have a kernel.
 * Few accepted documents go by windows instead, where they are looked up and the rest is skipped.
 */
#include "search/run/kernel_int.h"

#define ACCEPTED_MIN 64u /* one document in this many, or windows are better */

/* The clauses of x that score, as a node of their own in *out; false when x is no such mixture. */
static bool split(qdi_run *r, const qdi_lnode *x, qdi_lnode **out, qdi_lnode ***filters,
                  uint32_t *nfilters)
{
    if (!qdi_leaf_can(x, QDI_NODE_CLAUSES) || !x->scores) return false;
    uint32_t n = x->u.b.nreq, scored = 0;
    qdi_lnode **list = qd_arena_calloc(r->arena, (2 * (size_t)n + 1) * sizeof *list);
    qdi_lnode *rest = qd_arena_calloc(r->arena, sizeof *rest);
    if (!list || !rest) return false;
    *filters = list + n;
    *nfilters = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (x->u.b.req[i]->scores)
            list[scored++] = x->u.b.req[i];
        else
            (*filters)[(*nfilters)++] = x->u.b.req[i];
    }
    if (*nfilters + x->u.b.nnot == 0) return false;
    bool any_of = scored == 0 && x->u.b.nshould && x->u.b.min_should == 1;
    if (!any_of && (scored == 0 || x->u.b.min_should)) return false;
    *rest = *x;
    rest->u.b.req = list;
    rest->u.b.nreq = scored;
    rest->u.b.nnot = 0;
    *out = scored == 1 && x->u.b.nshould == 0 ? list[0] : rest;
    return true;
}

/* Accepted documents of one window: candidates narrowed by each filter, exclusions taken out. */
static int accept_window(qdi_run *r, const qdi_lnode *x, qdi_lnode *const *filters, uint32_t n,
                         uint32_t from, uint64_t *bits, qd_err *err)
{
    uint64_t out[QDI_WINDOW_WORDS];
    qdi_win w = {.from = from, .to = r->ndocs - from > QDI_WINDOW ? from + QDI_WINDOW : r->ndocs};
    w.words = (w.to - w.from + 63) / 64;
    for (uint32_t i = 0; i < w.words; i++) bits[i] = r->live ? r->live[(from >> 6) + i] : ~0ull;
    if (w.to & 63) bits[w.words - 1] &= (1ull << (w.to & 63)) - 1;
    for (uint32_t f = 0; f < n && qdi_any(bits, w.words); f++) {
        int rc = qdi_fill(r, filters[f], &w, bits, out, NULL, err);
        if (rc) return rc;
        memcpy(bits, out, w.words * sizeof *bits);
    }
    for (uint32_t f = 0; f < x->u.b.nnot && qdi_any(bits, w.words); f++) {
        int rc = qdi_fill(r, x->u.b.not [f], &w, bits, out, NULL, err);
        if (rc) return rc;
        for (uint32_t i = 0; i < w.words; i++) bits[i] &= ~out[i];
    }
    return 0;
}

/* The first document from which on all filters may have one. */
static uint32_t next_of(qdi_run *r, qdi_lnode *const *filters, uint32_t n, uint32_t from)
{
    for (uint32_t f = 0; f < n && from != QD_NO_DOC; f++) {
        uint32_t d = qdi_next(r, filters[f], from);
        from = d > from ? d : from;
    }
    return from;
}

/* Fills the windows that may have one. How many are accepted. */
static int accept_all(qdi_run *r, const qdi_lnode *x, qdi_lnode *const *filters, uint32_t n,
                      qdi_accepted *out, uint64_t *all, qd_err *err)
{
    *all = 0;
    for (uint32_t from = 0; from < r->ndocs; from += QDI_WINDOW) {
        uint32_t d = next_of(r, filters, n, from);
        if (d >= r->ndocs) break;
        from = d & ~(QDI_WINDOW - 1);
        uint64_t *bits = out->bits + (from >> 6);
        int rc = accept_window(r, x, filters, n, from, bits, err);
        if (!rc) rc = qdi_run_tick(r);
        if (rc) return rc;
        size_t some = r->k->popcount(bits, QDI_WINDOW_WORDS);
        if (!some) continue;
        if (!*all) out->from = from;
        out->to = r->ndocs - from > QDI_WINDOW ? from + QDI_WINDOW : r->ndocs;
        *all += some;
    }
    return 0;
}

int qdi_k_filter(qdi_run *r, qdi_lnode **root, qdi_accepted *out, qd_err *err)
{
    qdi_lnode **filters, *x = r->root;
    uint32_t n;
    uint64_t all;
    uint32_t required = qdi_leaf_can(x, QDI_NODE_CLAUSES) ? x->u.b.nreq : 0;
    for (uint32_t i = 0; i < required; i++) /* sets known to be small */
        if (x->u.b.req[i]->cost < r->ndocs / ACCEPTED_MIN && !x->u.b.req[i]->scores)
            return QD_DECLINED;
    if (!split(r, x, root, &filters, &n)) return QD_DECLINED;
    *out = (qdi_accepted){
        qdi_scratch_calloc(r->scratch, ((size_t)r->ndocs / 64 + QDI_WINDOW_WORDS) * 8), 0,
        r->ndocs};
    if (!out->bits) return qd_err_nomem(err, "search");
    int rc = accept_all(r, x, filters, n, out, &all, err);
    if (rc) return rc;
    return all >= r->ndocs / ACCEPTED_MIN ? QD_DONE : QD_DECLINED;
}
