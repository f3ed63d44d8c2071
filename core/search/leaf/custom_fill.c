/*
 * custom_fill.c: blocks of an operator's documents become windows. While blocks come quickly and
 * one after the other a call asks for several, as handing each over costs more than many of them.
 *
 * What the operator gives is not trusted: documents ascend and lie in the segment, scores are
 * finite numbers and no greater than the operator said.
 */
#include "search/leaf/custom_int.h"
#include <math.h>

typedef struct qdi_custom custom;

#define QUICK_NS                                                                                   \
    100000u /* of the operator for all blocks of a call: then it may be twice as many */

/* For the blocks that are wanted; those that came are looked at no more. */
static int make_room(custom *c, qd_err *err)
{
    qdi_custom_iter *it = c->it;
    if (it->want <= it->room) return 0;
    qd_doc_block *b = qd_realloc(c->run->plan->account, it->blocks, it->want * sizeof *it->blocks);
    if (!b) return qd_err_nomem(err, "documents of an operator");
    it->blocks = b;
    it->room = it->want;
    c->block = NULL;
    return 0;
}

/* The next block: one that has come, or from the operator. */
static int next_block(custom *c, uint32_t from, qd_err *err)
{
    qdi_custom_iter *it = c->it;
    c->at = 0;
    if (c->block && c->nblock + 1 < it->nblocks) {
        c->block = &it->blocks[++c->nblock];
        return 0;
    }
    bool on = c->block && from == c->block->docs[c->block->n - 1] + 1;
    int rc = qd_task_check(c->run->plan->o.task, err);
    if (rc) return rc;
    if (!on || !it->nblocks || it->took_ns >= QUICK_NS)
        it->want = 1;
    else if (it->want < QDI_CUSTOM_BLOCKS)
        it->want *= 2;
    if ((rc = make_room(c, err))) return rc;
    it->from = from;
    rc = qdi_custom_call(c, QDI_CUSTOM_NEXT, err);
    if (rc) return rc;
    c->nblock = 0;
    c->block = &it->blocks[0];
    return 0;
}

/* Are the documents of a block ascending ones of the segment, from `least` on? */
static int check_block(const custom *c, const qd_doc_block *b, uint32_t least, qd_err *err)
{
    if (b->n > QD_OPERATOR_BLOCK)
        return qdi_custom_wrong(c, QDI_CUSTOM_NEXT, err,
                                "gave a block of %u documents, of %d at most", b->n,
                                QD_OPERATOR_BLOCK);
    if (b->n && b->docs[0] < least)
        return qdi_custom_wrong(c, QDI_CUSTOM_NEXT, err,
                                "gave documents out of order: document %u where those from %u on "
                                "are wanted",
                                b->docs[0], least);
    for (uint32_t i = 0; i < b->n; i++) {
        if (b->docs[i] >= c->run->ndocs)
            return qdi_custom_wrong(c, QDI_CUSTOM_NEXT, err,
                                    "gave document %u of a segment of %u documents", b->docs[i],
                                    c->run->ndocs);
        if (i && b->docs[i] <= b->docs[i - 1])
            return qdi_custom_wrong(c, QDI_CUSTOM_NEXT, err,
                                    "gave documents out of order: document %u after %u", b->docs[i],
                                    b->docs[i - 1]);
    }
    return 0;
}

/* The next document at or after from, QD_NO_DOC at the end. */
static int custom_to(custom *c, uint32_t from, uint32_t *doc, qd_err *err)
{
    *doc = QD_NO_DOC;
    if (from < c->asked) {
        int rc = qdi_custom_reopen(c, err);
        if (rc) return rc;
    }
    c->asked = from;
    while (!c->ended) {
        const qd_doc_block *b = c->block;
        while (b && c->at < b->n && b->docs[c->at] < from) c->at++;
        if (b && c->at < b->n) {
            *doc = b->docs[c->at];
            return 0;
        }
        /* of blocks that came ahead, none has to be looked at whose documents stand before */
        uint32_t least = b && c->nblock + 1 < c->it->nblocks ? b->docs[b->n - 1] + 1 : from;
        int rc = next_block(c, from, err);
        if (!rc) rc = check_block(c, c->block, least, err);
        if (rc) return rc;
        c->ended = c->block->n == 0;
    }
    return 0;
}

/* The score of a match, checked, for the window. */
static int add_score(const custom *c, qdi_custom_action what, uint32_t doc, float score,
                     double *acc, qd_err *err)
{
    if (!isfinite(score))
        return qdi_custom_wrong(c, what, err, "gave document %u a score that is no finite number",
                                doc);
    if (doc >= c->bound_from && doc < c->bound_to && score > c->bound)
        return qdi_custom_wrong(c, what, err,
                                "gave document %u the score %g, above the %g of max_score for "
                                "[%u, %u)",
                                doc, (double)score, (double)c->bound, c->bound_from, c->bound_to);
    float s = score * c->boost;
    *acc += (double)(s > 0 ? s : 0);
    return 0;
}

/* The next document at or after *doc that the rest of the query lets through, marked in out; one at
 * or behind the window's end: there is none. */
static int next_candidate(custom *c, const qdi_win *w, const uint64_t *cand, uint64_t *out,
                          uint32_t *doc, qd_err *err)
{
    for (;; ++*doc) {
        int rc = custom_to(c, *doc, doc, err);
        if (rc || *doc >= w->to) return rc;
        uint32_t at = *doc - w->from;
        if (!(cand[at >> 6] >> (at & 63) & 1)) continue;
        out[at >> 6] |= 1ull << (at & 63);
        return 0;
    }
}

/* --- one phase -------------------------------------------------------------------------------- */

static int fill_matches(custom *c, const qdi_win *w, const uint64_t *cand, uint64_t *out,
                        double *acc, qd_err *err)
{
    for (uint32_t d = w->from;; d++) {
        int rc = next_candidate(c, w, cand, out, &d, err);
        if (rc || d >= w->to) return rc;
        if (acc)
            rc = add_score(c, QDI_CUSTOM_NEXT, d, c->block->scores[c->at], &acc[d - w->from], err);
        if (rc) return rc;
    }
}

/* --- two phases ------------------------------------------------------------------------------- */

/* The candidates of a window that the rest of the query lets through, in blocks. */
static int gather(custom *c, const qdi_win *w, const uint64_t *cand, uint64_t *out, qd_err *err)
{
    qdi_custom_iter *it = c->it;
    it->nmatched = 0;
    for (uint32_t d = w->from;; d++) {
        int rc = next_candidate(c, w, cand, out, &d, err);
        if (rc || d >= w->to) return rc;
        qd_doc_block *b = it->nmatched ? &it->matched[it->nmatched - 1] : NULL;
        if (!b || b->n == QD_OPERATOR_BLOCK) {
            b = &it->matched[it->nmatched++];
            b->struct_size = sizeof *b;
            b->n = 0;
        }
        b->docs[b->n++] = d;
    }
}

/* What is left of a block: some of the candidates, in order. */
static int take_block(custom *c, const qdi_win *w, const uint64_t *cand, const qd_doc_block *b,
                      uint64_t *out, double *acc, qd_err *err)
{
    if (b->n > QD_OPERATOR_BLOCK)
        return qdi_custom_wrong(c, QDI_CUSTOM_MATCH, err, "left %u documents of %d", b->n,
                                QD_OPERATOR_BLOCK);
    for (uint32_t i = 0; i < b->n; i++) {
        uint32_t d = b->docs[i], at = d - w->from;
        if (d < w->from || d >= w->to || !(cand[at >> 6] >> (at & 63) & 1) ||
            (i && d <= b->docs[i - 1]))
            return qdi_custom_wrong(c, QDI_CUSTOM_MATCH, err,
                                    "left document %u, which is out of order or was no candidate",
                                    d);
        out[at >> 6] |= 1ull << (at & 63);
        int rc = acc ? add_score(c, QDI_CUSTOM_MATCH, d, b->scores[i], &acc[at], err) : 0;
        if (rc) return rc;
    }
    return 0;
}

static int fill_two_phase(custom *c, const qdi_win *w, const uint64_t *cand, uint64_t *out,
                          double *acc, qd_err *err)
{
    uint64_t asked[QDI_WINDOW_WORDS] = {0};
    qdi_custom_iter *it = c->it;
    if (!it->matched)
        it->matched =
            qd_calloc(c->run->plan->account, QDI_WINDOW / QD_OPERATOR_BLOCK * sizeof *it->matched);
    if (!it->matched) return qd_err_nomem(err, "documents of an operator");
    int rc = gather(c, w, cand, asked, err);
    if (rc || !it->nmatched) return rc;
    rc = qdi_custom_call(c, QDI_CUSTOM_MATCH, err);
    for (uint32_t i = 0; !rc && i < it->nmatched; i++)
        rc = take_block(c, w, asked, &it->matched[i], out, acc, err);
    return rc;
}

int qdi_fill_custom(qdi_run *r, qdi_lnode *l, const qdi_win *w, const uint64_t *cand, uint64_t *out,
                    double *acc, qd_err *err)
{
    custom *c = l->u.custom;
    (void)r;
    memset(out, 0, w->words * sizeof *out);
    if (!c) return 0;
    if (c->rc) {
        qd_err_copy(err, &c->why);
        return c->rc;
    }
    if (!c->it) return qdi_custom_gone(err);
    if (!c->it->iter) return 0;
    return c->from->vt->match_block ? fill_two_phase(c, w, cand, out, acc, err)
                                    : fill_matches(c, w, cand, out, acc, err);
}
