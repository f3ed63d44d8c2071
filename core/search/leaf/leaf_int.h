/*
 * leaf_int.h: one segment's share of a plan while it runs: postings opened, bitmaps made, and the
 * window executor over them.
 *
 * A window is QDI_WINDOW documents, aligned. A node's fill gets the candidates that its parent
 * still wants as a bitmap and writes those of them that it matches; if scores are wanted it adds
 * its own, rounded to float, to a window of doubles, for exactly the documents it writes.
 */
#ifndef QD_SEARCH_LEAF_INT_H
#define QD_SEARCH_LEAF_INT_H

#include "search/kernels/kern_int.h"
#include "search/plan/plan_int.h"

/* A cursor over the postings of one term: decoded blocks and what scoring needs. */
typedef struct qdi_cur {
    qd_postings *p;
    float w;
    const float *ninv;
    const uint8_t *norms; /* by document & norm_mask */
    uint32_t norm_mask;
    uint32_t blk, n;         /* block in docs[] and its postings; QD_NO_DOC: none */
    uint32_t freq_blk;       /* block in freq[] */
    uint32_t hint;           /* seeks begin here */
    uint32_t pos;            /* kernels: next posting in docs[] */
    bool bounds;             /* bound[] and max are filled */
    float max;               /* no document scores more */
    float bound[QD_CLASSES]; /* by impact class */
    uint16_t quant[QD_CLASSES];
    float *table; /* scores by freq (1 to 8) and norm, or NULL */
    _Alignas(64) uint32_t docs[192];
    _Alignas(64) uint32_t freq[192];
    _Alignas(64) float score[192];
} qdi_cur;

typedef struct qdi_run qdi_run;
typedef struct qdi_lnode qdi_lnode;

typedef struct qdi_win {
    uint32_t from, to; /* documents; to is at most the segment's */
    uint32_t words;    /* of 64 documents that hold any of [from, to) */
} qdi_win;

/* Positions of one slot of a phrase in the document at hand. */
typedef struct qdi_positions {
    uint32_t *at;
    uint32_t n, cap;
} qdi_positions;

struct qdi_lnode {
    const qd_node_type *type; /* what the node has become here: u is of that */
    bool scores;
    float boost;
    uint64_t cost; /* documents, at most */
    const qdi_node *x;
    union {
        qdi_cur *cur;
        struct {
            qdi_cur **curs;   /* of all slots, one after the other */
            uint32_t *first;  /* by slot: its first cursor; first[n] is the end */
            uint32_t *offset; /* by slot: its position in the query */
            uint32_t n, slop;
            qdi_positions *pos; /* by slot */
            uint32_t *order;    /* slots by cost */
            struct qdi_sloppy *sloppy;
            float w;
            const float *ninv;
            const struct qdi_scorer *scorer; /* in place of w and ninv, or NULL */
            const uint8_t *norms;
            uint32_t norm_mask;
        } phrase;
        const uint64_t *bits;
        struct qdi_range *range;
        struct {
            qdi_lnode **req, **not, **should; /* required ones by rising cost */
            uint32_t nreq, nnot, nshould, min_should;
            double *acc;     /* window, zero between uses */
            uint16_t *count; /* window, for min_should > 1 */
        } b;
        qdi_lnode *child;
        void *own; /* of the file of the node, which others need not read */
        struct qdi_custom *custom;
    } u;
};

/* What a run may know before it plans. */
typedef struct qdi_hint {
    uint64_t lead;   /* documents that are looked at, at most */
    uint32_t enough; /* hits that are enough where all score alike; 0: all are wanted */
    const qdi_node
        *alone; /* the node of which the first hits alone are enough; NULL: none is known */
    const qdi_node *beside; /* the bool whose required ranges are being planned, or NULL */
} qdi_hint;
#define QDI_NO_HINT ((qdi_hint){.lead = UINT64_MAX})

struct qdi_run {
    qd_plan *plan;
    const qd_leaf *leaf;
    qdi_scratch *scratch;
    qd_arena *arena; /* readers and small things of this leaf */
    qd_reads *reads;
    const qd_kern *k;
    const uint64_t *live; /* NULL: all */
    uint32_t from, to; /* the live ones are in [from, to), both in whole windows or 0 and ndocs */
    bool scores;       /* of this run */
    uint32_t ndocs;
    struct qdi_norms *norms;     /* fields whose norms are planned */
    struct qdi_pending *pending; /* what waits for the fetch */
    struct qdi_custom *customs;  /* opened here, newest first */
    struct qdi_below *below;     /* runs over nested documents, newest first */
    bool forward;                /* a node can only be asked for later and later windows */
    struct qdi_group *groups;    /* patterns of a field, found in one pass */
    qdi_lnode *root;
    bool opened;   /* all views are */
    qdi_hint hint; /* while planning: lead falls as required clauses become known */
};

/* leaf.c: begin plans and fetches, opens everything; end gives all back. */
int qdi_run_begin(qdi_run *r, qd_plan *p, const qd_leaf *leaf, qdi_scratch *s, bool scores,
                  qdi_hint hint, qd_collector *c, qd_err *err);
/* An empty bitmap over the segment's documents, which ends with the leaf; NULL: no memory. */
uint64_t *qdi_make_bits(qdi_run *r);
/* leaf_set.c: the documents of a set's terms into bits (of the segment, 0), *docs the sum of their
 * frequencies. With r->hint.alone == x at least the first r->hint.enough live ones are there. */
int qdi_set_bits(qdi_run *r, const qdi_node *x, uint32_t field, uint64_t *bits, uint64_t *docs,
                 qd_err *err);
/* Damage seen by decoders on the way becomes an error here. */
int qdi_run_end(qdi_run *r, qd_err *err);
/* Once a window or some blocks: 0, QD_E_CANCELLED or QD_E_TIMEOUT. */
static inline int qdi_run_tick(qdi_run *r)
{
    return r->plan->o.task ? qd_task_poll(r->plan->o.task) : 0;
}
/* Is a local document live? */
static inline bool qdi_run_live(const qdi_run *r, uint32_t doc)
{
    return !r->live || (r->live[doc >> 6] >> (doc & 63) & 1);
}

/* run.c: feeds c with the matches of a leaf window by window; post (may be NULL) is a run of the
 * post filter over the same leaf. 0, QD_COLLECT_ALL_DONE or an error. */
int qdi_windows(qdi_run *r, qdi_run *post, qd_collector *c, qd_err *err);

/* cur.c */
void qdi_cur_bounds(qdi_cur *c);
/* The same of a sloppy phrase: of two words without a common one (pair) it is as frequent as
 * qdi_pair_freq_max of the word's frequency, others as anything. */
void qdi_cur_bounds_sloppy(qdi_cur *c, bool pair);
/* Decodes block b (< nblk) unless it is there already. */
static inline void qdi_cur_load(qdi_cur *c, uint32_t b)
{
    if (c->blk == b) return;
    c->blk = b;
    c->n = qd_postings_docs(c->p, b, c->docs);
    c->pos = 0;
}
/* Decodes the frequencies of the block at hand. */
static inline void qdi_cur_freqs(qdi_cur *c)
{
    if (c->freq_blk == c->blk) return;
    c->freq_blk = c->blk;
    qd_postings_freqs(c->p, c->blk, c->freq);
}
/* Score of posting number j, which is of document d. */
static inline float qdi_cur_score(qdi_cur *c, uint32_t j, uint32_t d)
{
    return qdi_score(c->w, (float)qd_postings_freq(c->p, j), c->ninv[c->norms[d & c->norm_mask]]);
}
/* Number of the posting of document d, or QD_NO_DOC. Documents mostly ascend from call to call. */
uint32_t qdi_cur_find(qdi_cur *c, const qd_kern *k, uint32_t d);

/* Can the node, as it is here, do this? */
static inline bool qdi_leaf_can(const qdi_lnode *l, uint32_t capability)
{
    return (l->type->flags & capability) != 0;
}
/* No document from `from` up to the result matches; QD_NO_DOC: none does. */
static inline uint32_t qdi_next(qdi_run *r, qdi_lnode *l, uint32_t from)
{
    return from >= r->ndocs ? QD_NO_DOC : l->type->next(r, l, from);
}
/* No document of [from, to) scores more. */
static inline float qdi_bound(qdi_run *r, qdi_lnode *l, uint32_t from, uint32_t to)
{
    return l->scores ? l->type->bound(r, l, from, to) : 0;
}
/* The candidates that match, and their scores unless acc is NULL or the node does not score. */
static inline int qdi_fill(qdi_run *r, qdi_lnode *l, const qdi_win *w, const uint64_t *cand,
                           uint64_t *out, double *acc, qd_err *e)
{
    return l->type->fill(r, l, w, cand, out, l->scores ? acc : NULL, e);
}
/* Is qdi_bound the same in all windows, for all that is known? */
static inline bool qdi_bound_is_flat(const qdi_lnode *l)
{
    return qdi_leaf_can(l, QDI_NODE_FLAT) || (l->type->is_flat && l->type->is_flat(l));
}

/* --- leaf.c: what the plan of a node is made of -------------------------------------------- */

/* The node of this leaf; *out matches nothing where the leaf has nothing of it. */
QD_MUST_CHECK
int qdi_leaf_plan(qdi_run *r, const qdi_node *x, qdi_lnode **out, qd_err *err);
/* A list of them; keeps what may match here. *none: some child cannot. */
QD_MUST_CHECK
int qdi_leaf_plan_list(qdi_run *r, qdi_node *const *in, uint32_t n, qdi_lnode **out, uint32_t *kept,
                       bool *none, qd_err *err);
/* After the fetch: what was waited for is there. */
static inline void qdi_leaf_ready(qdi_lnode *l)
{
    if (l->type->ready) l->type->ready(l);
}
/* The term in this leaf; NULL: it has none. */
const qd_term *qdi_leaf_term(const qdi_run *r, const qdi_term *t);
/* A cursor over a term that the leaf has. */
QD_MUST_CHECK
int qdi_leaf_cursor(qdi_run *r, const qdi_term *t, bool scores, bool positions, float w,
                    const float *ninv, qdi_cur **out, qd_err *err);
/* Norms of a field that this leaf has, which are there once all is ready. */
QD_MUST_CHECK
int qdi_leaf_norms(qdi_run *r, qdi_field *f, struct qdi_norms **out, qd_err *err);
/* When ready: by document & *mask. */
const uint8_t *qdi_norms_at(const struct qdi_norms *n, uint32_t *mask);
/* l is a bitmap, empty yet, of so many documents at most. */
QD_MUST_CHECK
int qdi_leaf_by_bits(qdi_run *r, qdi_lnode *l, uint64_t cost, qd_err *err);
/* Words and addresses without an index, by their column. */
QD_MUST_CHECK
int qdi_leaf_by_column(qdi_run *r, const qdi_node *x, uint32_t f, qdi_lnode *l, qd_err *err);
/* The bitmap of l gets the documents of the points, of the column, of the field with norms. */
QD_MUST_CHECK
int qdi_leaf_await_points(qdi_run *r, qdi_lnode *l, qd_points_reader *points, qd_err *err);
/* See above. */
QD_MUST_CHECK
int qdi_leaf_await_column(qdi_run *r, qdi_lnode *l, qd_column_reader *column, qd_err *err);
/* See above. */
QD_MUST_CHECK
int qdi_leaf_await_norms(qdi_run *r, qdi_lnode *l, qdi_field *f, qd_err *err);

static inline uint32_t qdi_popcount(const uint64_t *a, uint32_t words)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < words; i++) n += (uint32_t)__builtin_popcountll(a[i]);
    return n;
}
static inline bool qdi_any(const uint64_t *a, uint32_t words)
{
    uint64_t x = 0;
    for (uint32_t i = 0; i < words; i++) x |= a[i];
    return x != 0;
}

/* A run over the nested documents of this leaf, ended with r. */
typedef struct qdi_below {
    qdi_run run;
    qdi_scratch *scratch;
    struct qdi_below *next;
} qdi_below;
/* Begins one of a plan over nested documents; *out is in r's arena. */
QD_MUST_CHECK
int qdi_run_below(qdi_run *r, qd_plan *p, const qd_leaf *leaf, bool scores, qdi_below **out,
                  qd_err *err);

/* custom.c: plugins' iterators. */
int qdi_custom_open(qdi_run *r, const qdi_node *x, struct qdi_custom **out, qd_err *err);
void qdi_custom_ready(struct qdi_custom *c); /* after the fetch */
void qdi_custom_close(struct qdi_custom *c); /* c and all opened before it */
float qdi_custom_bound(struct qdi_custom *c, uint32_t from, uint32_t to);

/* range_count.c: the documents of a RANGE where nothing is deleted and no document has two values:
 * QD_DONE with *n, QD_DECLINED when that is not so, or an error. Reads on its own. */
QD_MUST_CHECK
int qdi_range_count(qd_plan *p, const qd_leaf *leaf, const qdi_node *x, qd_arena *arena,
                    uint64_t *n, qd_err *err);

/* Marks the documents whose column has a word that a SET, or an address that a RANGE of 16 bytes,
 * wants, where the field has no index. Reads on its own. */
QD_MUST_CHECK
int qdi_column_bits(qdi_run *r, const qdi_node *x, uint32_t field, uint64_t *bits, qd_err *err);

#endif
