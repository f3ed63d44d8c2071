/* kernel.c: which kernel serves a shape. */
#include "search/run/kernel_int.h"

#define PHRASE_WORDS_MAX 16u
#define SLOP_MAX (1u << 29)
#define MANY_ALIKE 8.0 /* times the hits that are kept */

typedef enum shape { SHAPE_NONE, SHAPE_TERM, SHAPE_OR, SHAPE_AND, SHAPE_MIX, SHAPE_PHRASE } shape;

static bool all_terms(qdi_lnode *const *list, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (!qdi_leaf_can(list[i], QDI_NODE_CURSOR)) return false;
    return true;
}

/* The cursors of a shape, required ones first. */
static shape shape_of(qdi_run *r, qdi_k *k, uint32_t *nreq)
{
    qdi_lnode *l = r->root;
    *nreq = 0;
    if (qdi_leaf_can(l, QDI_NODE_POSITIONS)) {
        bool plain = l->u.phrase.slop <= SLOP_MAX && l->u.phrase.n <= PHRASE_WORDS_MAX;
        for (uint32_t s = 0; s < l->u.phrase.n && plain; s++)
            plain = l->u.phrase.first[s + 1] == l->u.phrase.first[s] + 1 &&
                    l->u.phrase.offset[s] < QD_BLOCK * 1024u;
        return plain ? SHAPE_PHRASE : SHAPE_NONE;
    }
    if (qdi_leaf_can(l, QDI_NODE_CURSOR)) {
        k->c = qdi_scratch_alloc(r->scratch, sizeof *k->c);
        if (!k->c) return SHAPE_NONE;
        k->c[0] = l->u.cur;
        k->nt = 1;
        return SHAPE_TERM;
    }
    if (!qdi_leaf_can(l, QDI_NODE_CLAUSES) || l->u.b.nnot || !all_terms(l->u.b.req, l->u.b.nreq) ||
        !all_terms(l->u.b.should, l->u.b.nshould))
        return SHAPE_NONE;
    uint32_t n = l->u.b.nreq + l->u.b.nshould;
    if (n == 0 || n > QDI_K_TERMS_MAX || l->u.b.min_should > 1 ||
        (l->u.b.min_should && l->u.b.nreq))
        return SHAPE_NONE;
    k->c = qdi_scratch_alloc(r->scratch, n * sizeof *k->c);
    if (!k->c) return SHAPE_NONE;
    for (uint32_t i = 0; i < l->u.b.nreq; i++) k->c[i] = l->u.b.req[i]->u.cur;
    for (uint32_t i = 0; i < l->u.b.nshould; i++) k->c[l->u.b.nreq + i] = l->u.b.should[i]->u.cur;
    k->nt = n;
    *nreq = l->u.b.nreq;
    if (n == 1) return SHAPE_TERM;
    return l->u.b.nreq == 0 ? SHAPE_OR : l->u.b.nshould == 0 ? SHAPE_AND : SHAPE_MIX;
}

/* Accumulators tell matches from absence by scores above 0, and bounds are put into 16 bits by a
 * factor that must be a number: boosts beyond all sense go by windows. */
static bool sensible(float weight)
{
    return weight > 1e-20f && weight < 1e20f;
}

/* none: those that do not score may be among them. */
static bool all_sensible(const qdi_k *k, bool none)
{
    for (uint32_t i = 0; i < k->nt; i++)
        if (!sensible(k->c[i]->w) && !(none && k->c[i]->w == 0)) return false;
    return true;
}

static int finish(qdi_k *k, int rc, qd_err *err)
{
    if (rc < 0) {
        memset(k->acc, 0, QDI_WINDOW * sizeof *k->acc);
        memset(k->bytes, 0, QDI_BYTES_WINDOW);
        return rc == QD_E_NOMEM ? qd_err_nomem(err, "search") : rc;
    }
    return QD_DONE;
}

static int rank_shape(qdi_run *r, qd_topk *q, qd_strategy strategy, uint64_t want, uint64_t *count,
                      bool *counted, const char **name, qd_err *err)
{
    qdi_k k = {.r = r,
               .k = r->k,
               .q = q,
               .base = r->leaf->base,
               .acc = r->scratch->acc,
               .bytes = r->scratch->bytes,
               .want = want,
               .give_up = SIZE_MAX};
    uint32_t nreq;
    if (!r->root->scores || q->k == 0) return QD_DECLINED;
    shape sh = shape_of(r, &k, &nreq);
    int rc = 0;
    switch (sh) {
    case SHAPE_TERM:
        if (!all_sensible(&k, false)) return QD_DECLINED;
        k.name = "term: classes";
        rc = qdi_k_term(&k);
        break;
    case SHAPE_OR:
        if (!all_sensible(&k, false)) return QD_DECLINED;
        rc = qdi_k_or(&k, strategy);
        break;
    case SHAPE_AND:
        if (!all_sensible(&k, true)) return QD_DECLINED;
        rc = qdi_k_and(&k, strategy);
        break;
    case SHAPE_MIX:
        if (strategy == QD_STRATEGY_KERNEL_EXHAUSTIVE || !all_sensible(&k, true))
            return QD_DECLINED;
        rc = qdi_k_mix(&k, nreq);
        break;
    case SHAPE_PHRASE:
        if (!sensible(r->root->u.phrase.w)) return QD_DECLINED;
        rc = qdi_k_phrase(&k, r->root);
        break;
    case SHAPE_NONE:
        return QD_DECLINED;
    }
    *name = k.name;
    *count = k.count;
    *counted = k.counted;
    return finish(&k, rc, err);
}

/* Ranks what is scored among the documents that filters and exclusions accept. */
static int rank_accepted(qdi_run *r, qd_topk *q, qd_strategy strategy, uint64_t want,
                         uint64_t *count, bool *counted, const char **name, qd_err *err)
{
    qdi_lnode *root = r->root, *scored;
    const uint64_t *live = r->live;
    qdi_accepted accepted;
    int rc = qdi_k_filter(r, &scored, &accepted, err);
    if (rc != QD_DONE) return rc;
    r->root = scored;
    r->live = accepted.bits;
    r->from = accepted.from;
    r->to = accepted.to;
    rc = rank_shape(r, q, strategy, want, count, counted, name, err);
    r->root = root;
    r->live = live;
    r->from = 0;
    r->to = r->ndocs;
    return rc;
}

/* Terms that do not score beside ones that do could be intersected with them. Are they rather made
 * a bitmap first? Blocks of the others are skipped by their bounds then, which a term that is
 * everywhere alike has no use for. */
static bool accept_first(const qdi_run *r, qd_strategy strategy)
{
    const qdi_lnode *x = r->root;
    const qdi_cur *one = NULL, *rarest = NULL;
    uint32_t ones = 0;
    double scored = 1e30, bitmap = r->ndocs / (double)QDI_WINDOW * QDI_COST_WINDOW;
    if (!qdi_leaf_can(x, QDI_NODE_CLAUSES) || x->u.b.nnot) return false;
    bool any = false;
    for (uint32_t i = 0; i < x->u.b.nreq; i++) {
        const qdi_lnode *c = x->u.b.req[i];
        if (!qdi_leaf_can(c, QDI_NODE_CURSOR)) return false; /* no shape either: filtered anyway */
        any |= !c->scores;
        if (!c->scores) bitmap += (double)c->cost * QDI_COST_POSTING;
        if (c->scores && (double)c->cost < scored) scored = (double)c->cost;
        if (c->scores) {
            one = c->u.cur;
            ones++;
        } else if (!rarest) { /* required ones are in order of cost */
            rarest = c->u.cur;
        }
    }
    if (strategy == QD_STRATEGY_AUTO && ones == 1 && rarest && !x->u.b.nshould &&
        qdi_k_one_fits(one, rarest))
        return false;
    return any && scored * QDI_COST_CANDIDATE > 2 * bitmap;
}

/* Do all hits score alike, and are there, as far as is known, many more than are kept? Then the
 * first ones are the best, and windows end behind them. */
static bool first_are_best(const qdi_run *r, uint32_t k)
{
    const qdi_lnode *x = r->root;
    if (!qdi_leaf_can(x, QDI_NODE_CLAUSES) || x->u.b.nreq == 0 || !qdi_bound_is_flat(x))
        return false;
    double all = r->ndocs, hits = all;
    for (uint32_t i = 0; i < x->u.b.nreq; i++)
        if ((double)x->u.b.req[i]->cost < all) hits *= (double)x->u.b.req[i]->cost / all;
    return hits >= MANY_ALIKE * (double)k;
}

int qdi_kernel_top(qdi_run *r, qd_topk *q, qd_strategy strategy, uint64_t want, uint64_t *count,
                   bool *counted, const char **name, qd_err *err)
{
    int rc = QD_DECLINED;
    if (!r->root->scores || q->k == 0) return QD_DECLINED;
    if (strategy == QD_STRATEGY_AUTO) {
        rc = qdi_k_list_top(r, q, want, count, counted, err);
        if (rc == QD_DONE) *name = "list: first ones";
        if (rc != QD_DECLINED || first_are_best(r, q->k)) return rc;
    }
    bool first = accept_first(r, strategy);
    if (first) rc = rank_accepted(r, q, strategy, want, count, counted, name, err);
    if (rc == QD_DECLINED) rc = rank_shape(r, q, strategy, want, count, counted, name, err);
    if (rc == QD_DECLINED && !first)
        rc = rank_accepted(r, q, strategy, want, count, counted, name, err);
    return rc;
}

int qdi_kernel_count(qdi_run *r, uint64_t limit, uint64_t *n, qd_err *err)
{
    qdi_k k = {.r = r, .k = r->k, .acc = r->scratch->acc, .bytes = r->scratch->bytes};
    uint32_t nreq;
    qdi_lnode *root = r->root;
    if (qdi_leaf_can(root, QDI_NODE_SAME_DOCS)) root = root->u.child;
    if (qdi_leaf_can(root, QDI_NODE_EVERYTHING)) {
        *n = r->leaf->live_docs;
        return QD_DONE;
    }
    if (qdi_leaf_can(root, QDI_NODE_BITMAP)) {
        uint32_t words = (r->ndocs + 63) / 64;
        *n = r->live ? r->k->popcount_and(root->u.bits, r->live, words)
                     : r->k->popcount(root->u.bits, words);
        return QD_DONE;
    }
    qdi_lnode *was = r->root;
    r->root = root;
    shape sh = shape_of(r, &k, &nreq);
    r->root = was;
    if (sh == SHAPE_MIX) { /* optional terms do not count */
        k.nt = nreq;
        sh = nreq == 1 ? SHAPE_TERM : SHAPE_AND;
    }
    int rc = 0;
    switch (sh) {
    case SHAPE_TERM:
        rc = qdi_k_count_term(&k, limit, n);
        break;
    case SHAPE_OR:
        rc = qdi_k_count_or(&k, limit, n);
        break;
    case SHAPE_AND:
        rc = qdi_k_count_and(&k, limit, n);
        break;
    case SHAPE_PHRASE:
        k.want = limit ? limit : UINT64_MAX;
        rc = qdi_k_phrase(&k, root);
        *n = k.count;
        break;
    default:
        return qdi_k_list_count(r, root, limit, n, err);
    }
    return finish(&k, rc, err);
}
