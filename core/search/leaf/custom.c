/*
 * custom.c: operators that could not be rewritten: their iterators, opened on each segment with a
 * view of it, feed windows by blocks of documents. An iterator never goes back: who looks at a
 * window again, as a count beside first hits does, gets a new one.
 *
 * A call of an operator may never return (plugin/guest.h), so an iterator, its view, its arena and
 * the blocks that it fills are an allocation of their own. Functions of the view reach the run
 * between qd_guest_enter and qd_guest_leave. While blocks come quickly and one after the other a
 * call asks for several, as handing each over costs more than many of them.
 */
#include "query/scope.h"
#include "search/leaf/window_int.h"

#define BLOCKS_MAX 64u
#define QUICK_NS                                                                                   \
    100000u /* of the operator for all blocks of a call: then it may be twice as many */

typedef enum action { OPEN, BLOCKS, BOUND, CLOSE } action;
static const char *const names[] = {"open_iter", "next_block", "max_score", "close_iter"};

/* An iterator and its calls; of the run, and of a call that is left, alone. */
typedef struct iterator {
    qd_guest_call call;       /* first */
    qd_operator_scope *scope; /* NULL: one of ours */
    const qd_operator_vtable *vt;
    const qd_query_ctx *ctx;
    const void *query;
    qd_segment_view view;
    qd_arena arena;
    qd_operator_iter *iter;
    qd_err err;
    action what;
    int32_t scores;
    uint32_t from, to; /* of a call */
    uint32_t want, nblocks, room;
    uint64_t took_ns; /* of the operator for the blocks of a call */
    float bound;
    qd_doc_block *blocks;    /* room of them */
    struct qdi_custom *host; /* the run's: behind qd_guest_enter alone */
} iterator;

struct qdi_custom {
    qdi_run *run;
    const qd_node_custom *from;
    iterator *it;        /* NULL: it was left behind */
    qd_doc_block *block; /* NULL: none has come */
    uint32_t nblock;     /* which of the call's it is */
    uint32_t at;         /* next document of the block */
    uint32_t asked;      /* what stands before is behind the iterator */
    bool ended;
    bool scores;
    float boost;
    int rc; /* of a call whose result nobody looks at: what comes next fails with it */
    qd_err why;
    struct qdi_custom *next; /* of the run */
};

struct qd_segment_postings {
    qd_postings p;
    qd_reads *reads;
    uint32_t blk, n, at;
    uint32_t docs[192], freqs[192];
};

static int gone(qd_err *err)
{
    return qd_err_set(err, QD_E_CANCELLED, "the search has ended");
}

/* The type that an operator asks for; the caller has entered. */
static qd_str type_of(const struct qdi_custom *c, qd_str field)
{
    const qd_query_ctx *ctx = c->from->ctx;
    return ctx && ctx->field_type ? ctx->field_type(ctx, field) : (qd_str){0};
}

/* Fields without numbers have no values to give: who asks for them is told so, in place of finding
 * nothing. */
static int check_type(const struct qdi_custom *c, qd_str field, qd_str type, qd_err *err)
{
    static const char *const known[] = {"long",         "integer",       "short",   "byte",
                                        "double",       "float",         "date",    "half_float",
                                        "scaled_float", "unsigned_long", "boolean", "date_nanos"};
    const char *name = c->from->scope ? c->from->scope->name : "";
    if (!c->from->ctx) return 0;
    for (size_t i = 0; i < QD_COUNT_OF(known); i++)
        if (qd_str_is(type, known[i])) return 0;
    if (!type.n)
        return qd_err_set(err, QD_E_ARG, "operator [%s]: field [%.*s] is not in the mapping", name,
                          QD_STR_ARG(field));
    return qd_err_set(
        err, QD_E_ARG,
        "operator [%s]: field [%.*s] is of type [%.*s]; only numeric, date and boolean "
        "fields have values for it",
        name, QD_STR_ARG(field), QD_STR_ARG(type));
}

static int32_t values(struct qdi_custom *c, qd_str field, const uint32_t *docs, uint32_t n,
                      int64_t *out, uint8_t *has, qd_err *err)
{
    qdi_run *r = c->run;
    uint32_t f = qd_segment_field_find(r->leaf->segment, field);
    const qd_columns *set = qd_segment_columns(r->leaf->segment);
    const qd_column *col = f == QD_FIELD_NONE || !set ? NULL : qd_columns_get(set, f);
    qd_str type = type_of(c, field);
    memset(has, 0, n);
    int rc = check_type(c, field, type, err);
    if (rc) return rc;
    if (!col || qd_column_stats_get(col)->type != QD_COLUMN_I64 || !n) return 0;
    qd_reads *reads = qd_reads_make(r->arena, r->plan->account);
    if (!reads) return qd_err_nomem(err, "column values");
    qd_column_reader *rd;
    rc = qd_column_plan_docs(col, docs, n, reads, r->arena, &rd, err);
    if (!rc) rc = qd_reads_fetch(reads, err);
    bool is_double = qd_str_is(type, "double"), is_float = qd_str_is(type, "float");
    for (uint32_t i = 0; i < n && !rc; i++) {
        const int64_t *v;
        uint32_t m;
        rc = qd_column_values(rd, docs[i], &v, &m, err);
        if (rc || !m) continue;
        has[i] = 1;
        out[i] = v[0];
        if (is_double || is_float) {
            double d = is_double ? qd_sortable_to_f64(v[0]) : qd_sortable_to_f32(v[0]);
            memcpy(&out[i], &d, 8);
        }
    }
    qd_reads_release(reads);
    return rc;
}

static int32_t view_i64(const qd_segment_view *v, qd_str field, const uint32_t *docs, uint32_t n,
                        int64_t *out, uint8_t *has, qd_err *err)
{
    iterator *it = v->host;
    if (!qd_guest_enter()) return gone(err);
    int32_t rc = values(it->host, field, docs, n, out, has, err);
    qd_guest_leave();
    return rc;
}

static int32_t postings(struct qdi_custom *c, qd_str field, qd_str term, qd_segment_postings **out,
                        uint32_t *doc_freq, qd_err *err)
{
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

static int32_t view_postings(const qd_segment_view *v, qd_str field, qd_str term,
                             qd_segment_postings **out, uint32_t *doc_freq, qd_err *err)
{
    iterator *it = v->host;
    if (!qd_guest_enter()) return gone(err);
    int32_t rc = postings(it->host, field, term, out, doc_freq, err);
    qd_guest_leave();
    return rc;
}

static int32_t next_postings(qd_segment_postings *p, uint32_t from, uint32_t cap, uint32_t *docs,
                             uint32_t *freqs, uint32_t *n, qd_err *err)
{
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

static int32_t view_postings_next(qd_segment_postings *p, uint32_t from, uint32_t cap,
                                  uint32_t *docs, uint32_t *freqs, uint32_t *n, qd_err *err)
{
    *n = 0;
    if (!qd_guest_enter()) return gone(err);
    int32_t rc = next_postings(p, from, cap, docs, freqs, n, err);
    qd_guest_leave();
    return rc;
}

/* --- calls ----------------------------------------------------------------------------------- */

static void close_iter(iterator *it)
{
    if (it->iter && it->vt->close_iter) it->vt->close_iter(it->iter);
    it->iter = NULL;
}

/* Blocks one after the other, as many as are wanted. */
static int32_t run_blocks(iterator *it)
{
    qd_env *env = it->scope ? qd_operator_env(it->scope) : NULL;
    uint64_t begun = env ? qd_env_mono_ns(env) : 0;
    int32_t rc = 0;
    it->nblocks = 0;
    for (uint32_t from = it->from; it->nblocks < it->want && !rc;) {
        qd_doc_block *b = &it->blocks[it->nblocks];
        b->struct_size = sizeof *b;
        b->n = 0;
        rc = it->vt->next_block(it->iter, from, 0, b, &it->err);
        if (rc) break;
        it->nblocks++;
        if (b->n == 0 || b->n > QD_OPERATOR_BLOCK || b->docs[b->n - 1] == UINT32_MAX) break;
        if (it->scope && atomic_load_explicit(&it->scope->task.stop, memory_order_relaxed)) break;
        from = b->docs[b->n - 1] + 1;
    }
    it->took_ns = env ? qd_env_mono_ns(env) - begun : UINT64_MAX;
    return rc;
}

static int32_t iterator_run(qd_guest_call *call)
{
    iterator *it = (iterator *)(void *)call;
    switch (it->what) {
    case OPEN:
        close_iter(it);
        return it->vt->open_iter(it->ctx, it->query, &it->view, it->scores, &it->iter, &it->err);
    case BLOCKS:
        return run_blocks(it);
    case BOUND:
        it->bound = it->vt->max_score(it->iter, it->from, it->to);
        return 0;
    case CLOSE:
        close_iter(it);
        return 0;
    }
    return QD_E_INTERNAL;
}

static void iterator_free(iterator *it)
{
    qd_err_fini(&it->err);
    qd_arena_fini(&it->arena);
    qd_free(it->blocks);
    qd_operator_scope_unref(it->scope);
    qd_free(it);
}

/* Its call has returned at last: nobody else ends it. */
static void iterator_left(qd_guest_call *call)
{
    iterator *it = (iterator *)(void *)call;
    close_iter(it);
    iterator_free(it);
}

/* One call; an error of the operator's own, or of its not returning: then the iterator is not the
 * run's any more. */
static int do_call(struct qdi_custom *c, action what, qd_task *task, qd_err *err)
{
    iterator *it = c->it;
    bool ran = true;
    int rc = 0;
    it->what = what;
    if (it->scope) {
        it->call.what = names[what];
        it->call.ends = what == CLOSE;
        /* an earlier page of a scroll may have ended before its time */
        if (what == OPEN && !qd_task_stopped(task)) atomic_store(&it->scope->task.stop, 0);
        rc = qd_operator_call(it->scope, &it->call, task, &ran, err);
    } else {
        it->call.rc = iterator_run(&it->call);
    }
    if (rc) {
        if (ran) c->it = NULL;
        c->ended = true;
        c->block = NULL;
        return rc;
    }
    if (!it->call.rc) return 0;
    if (it->scope) {
        rc = qd_operator_failed(it->scope, names[what], it->call.rc, &it->err, err);
    } else {
        rc = it->call.rc;
        qd_err_copy(err, &it->err);
    }
    qd_err_fini(&it->err);
    qd_err_init(&it->err);
    return rc;
}

static qd_task *task_of(const struct qdi_custom *c)
{
    return c->run->plan->o.task;
}

/* At the first document, for the first time or again. */
static int open_iter(struct qdi_custom *c, qd_err *err)
{
    c->block = NULL;
    c->at = c->asked = 0;
    if (!c->it) return gone(err);
    c->it->want = 1;
    c->it->nblocks = 0;
    int rc = do_call(c, OPEN, task_of(c), err);
    c->ended = rc || !c->it->iter;
    return rc;
}

static iterator *iterator_make(struct qdi_custom *c)
{
    const qd_node_custom *from = c->from;
    iterator *it = qd_calloc(c->run->plan->account, sizeof *it);
    if (!it) return NULL;
    it->call.run = iterator_run;
    it->call.left = iterator_left;
    it->vt = from->vt;
    it->ctx = from->ctx;
    it->query = from->query;
    it->scores = c->scores;
    it->host = c;
    qd_arena_init(&it->arena, c->run->plan->account, c->run->arena->max);
    qd_err_init(&it->err);
    it->view = (qd_segment_view){
        .struct_size = sizeof it->view,
        .max_doc = c->run->ndocs,
        .host = it,
        .arena = &it->arena,
        .i64 = view_i64,
        .postings = view_postings,
        .postings_next = view_postings_next,
    };
    if (from->scope) {
        it->scope = qd_operator_scope_ref(from->scope);
        qd_operator_call_init(it->scope, names[OPEN], &it->call);
    }
    return it;
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
    qd_err_init(&c->why);
    c->it = iterator_make(c);
    if (!c->it) return qd_err_nomem(err, "operator");
    c->next = r->customs;
    r->customs = c;
    int rc = open_iter(c, err);
    if (rc) return rc;
    *out = c->it->iter ? c : NULL;
    return 0;
}

void qdi_custom_close(struct qdi_custom *c)
{
    for (; c; c = c->next) {
        if (c->it && c->it->iter) (void)do_call(c, CLOSE, NULL, NULL);
        if (c->it) iterator_free(c->it);
        c->it = NULL;
        qd_err_fini(&c->why);
    }
}

float qdi_custom_bound(struct qdi_custom *c, uint32_t from, uint32_t to)
{
    if (!c) return 0;
    if (c->rc) return __builtin_inff();
    if (!c->it || !c->it->iter) return 0;
    if (!c->from->vt->max_score) return __builtin_inff();
    c->it->from = from;
    c->it->to = to;
    c->rc = do_call(c, BOUND, task_of(c), &c->why);
    if (c->rc || c->it->bound != c->it->bound) return __builtin_inff();
    return c->it->bound > 0 ? c->it->bound : 0;
}

static int out_of_order(const struct qdi_custom *c, qd_err *err)
{
    return qd_err_set(err, QD_E_PLUGIN, "operator [%s] gave documents out of order",
                      c->it->scope ? c->it->scope->name : "");
}

/* For the blocks that are wanted; those that came are looked at no more. */
static int make_room(struct qdi_custom *c, qd_err *err)
{
    iterator *it = c->it;
    if (it->want <= it->room) return 0;
    qd_doc_block *b = qd_realloc(c->run->plan->account, it->blocks, it->want * sizeof *it->blocks);
    if (!b) return qd_err_nomem(err, "documents of an operator");
    it->blocks = b;
    it->room = it->want;
    c->block = NULL;
    return 0;
}

/* The next block: one that has come, or from the operator. */
static int next_block(struct qdi_custom *c, uint32_t from, qd_err *err)
{
    iterator *it = c->it;
    c->at = 0;
    if (c->block && c->nblock + 1 < it->nblocks) {
        c->block = &it->blocks[++c->nblock];
        return 0;
    }
    bool on = c->block && from == c->block->docs[c->block->n - 1] + 1;
    qd_task *task = task_of(c);
    int rc = qd_task_check(task, err);
    if (rc) return rc;
    if (!on || !it->nblocks || it->took_ns >= QUICK_NS)
        it->want = 1;
    else if (it->want < BLOCKS_MAX)
        it->want *= 2;
    if ((rc = make_room(c, err))) return rc;
    it->from = from;
    rc = do_call(c, BLOCKS, task, err);
    if (rc) return rc;
    c->nblock = 0;
    c->block = &it->blocks[0];
    return 0;
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
        const qd_doc_block *b = c->block;
        while (b && c->at < b->n && b->docs[c->at] < from) c->at++;
        if (b && c->at < b->n) {
            *doc = b->docs[c->at];
            return 0;
        }
        /* of blocks that came ahead, none has to be looked at whose documents stand before */
        uint32_t least = b && c->nblock + 1 < c->it->nblocks ? b->docs[b->n - 1] + 1 : from;
        int rc = next_block(c, from, err);
        if (rc) return rc;
        b = c->block;
        if (b->n == 0) {
            c->ended = true;
            break;
        }
        if (b->n > QD_OPERATOR_BLOCK || b->docs[0] < least) return out_of_order(c, err);
        for (uint32_t i = 0; i < b->n; i++)
            if (b->docs[i] >= c->run->ndocs || (i && b->docs[i] <= b->docs[i - 1]))
                return out_of_order(c, err);
    }
    return 0;
}

int qdi_fill_custom(qdi_run *r, qdi_lnode *l, const qdi_win *w, const uint64_t *cand, uint64_t *out,
                    double *acc, qd_err *err)
{
    struct qdi_custom *c = l->u.custom;
    (void)r;
    memset(out, 0, w->words * sizeof *out);
    if (!c) return 0;
    if (c->rc) {
        qd_err_copy(err, &c->why);
        return c->rc;
    }
    if (!c->it) return gone(err);
    if (!c->it->iter) return 0;
    uint32_t d = w->from;
    for (;;) {
        int rc = custom_to(c, d, &d, err);
        if (rc || d >= w->to) return rc;
        uint32_t at = d - w->from;
        if (cand[at >> 6] >> (at & 63) & 1) {
            out[at >> 6] |= 1ull << (at & 63);
            if (acc) {
                float s = c->block->scores[c->at] * c->boost;
                if (s != s)
                    return qd_err_set(err, QD_E_PLUGIN,
                                      "operator [%s] gave document %u a score that is no number",
                                      c->it->scope ? c->it->scope->name : "", d);
                acc[at] += (double)(s > 0 ? s : 0);
            }
        }
        d++;
    }
}
