/*
 * custom.c: operators that could not be rewritten: the calls of their iterators, which are opened
 * on each segment with a view of it. An iterator never goes back: who looks at a window again, as a
 * count beside first hits does, gets a new one.
 */
#include "search/leaf/custom_int.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

static const char *const names[] = {"open_iter", "next_block", "match_block",
                                    "max_score", "explain",    "close_iter"};

int qdi_custom_gone(qd_err *err)
{
    return qd_err_set(err, QD_E_CANCELLED, "the search has ended");
}

int qdi_custom_wrong(const struct qdi_custom *c, qdi_custom_action what, qd_err *err,
                     const char *fmt, ...)
{
    const qd_operator_scope *s = c->from->scope;
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return qd_err_set(err, QD_E_PLUGIN, "operator [%s] of plugin [%s]: %s %s", s ? s->name : "",
                      s && s->sdk.self ? qd_plugin_self_name(s->sdk.self) : "", names[what], text);
}

/* --- in a call -------------------------------------------------------------------------------- */

static void close_iter(qdi_custom_iter *it)
{
    if (it->iter && it->vt->close_iter) it->vt->close_iter(it->iter);
    it->iter = NULL;
    qdi_custom_parts_close(it);
}

/* Remembers a score of the block above what max_score says of its documents. */
static void check_bound(qdi_custom_iter *it, const qd_doc_block *b)
{
    if (!it->vt->max_score || !it->scores || !b->n || b->n > QD_OPERATOR_BLOCK) return;
    uint32_t last = b->docs[b->n - 1];
    if (last == UINT32_MAX || b->docs[0] > last) return; /* out of order: told elsewhere */
    float bound = it->vt->max_score(it->iter, b->docs[0], last + 1);
    for (uint32_t i = 0; i < b->n && it->bad_doc == QD_NO_DOC; i++) {
        if (b->scores[i] <= bound) continue;
        it->bad_doc = b->docs[i];
        it->bad_score = b->scores[i];
        it->bad_bound = bound;
    }
}

/* Blocks one after the other, as many as are wanted. */
static int32_t run_blocks(qdi_custom_iter *it)
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
        if (!it->vt->match_block) check_bound(it, b);
        if (it->scope && atomic_load_explicit(&it->scope->task.stop, memory_order_relaxed)) break;
        from = b->docs[b->n - 1] + 1;
    }
    it->took_ns = env ? qd_env_mono_ns(env) - begun : UINT64_MAX;
    return rc;
}

/* Candidates become matches, block by block. */
static int32_t run_match(qdi_custom_iter *it)
{
    int32_t rc = 0;
    for (uint32_t i = 0; i < it->nmatched && !rc; i++) {
        rc = it->vt->match_block(it->iter, 0, &it->matched[i], &it->err);
        if (!rc) check_bound(it, &it->matched[i]);
    }
    return rc;
}

static int32_t sink_line(const qd_explain_sink *sink, uint32_t depth, double value, int32_t count,
                         qd_str text, qd_err *err)
{
    qdi_custom_iter *it = sink->host;
    qdi_custom_lines *l = it->lines;
    if (l->n == QDI_CUSTOM_LINES)
        return qd_err_set(err, QD_E_LIMIT, "an explanation has more than %u lines",
                          QDI_CUSTOM_LINES);
    if (depth > (l->n ? l->at[l->n - 1].depth + 1 : 0) || (l->n && !depth) || !isfinite(value))
        return qd_err_set(err, QD_E_ARG,
                          "line %u of an explanation is of depth %u, or its value is no finite "
                          "number",
                          l->n, depth);
    qd_str kept = qd_arena_str(&it->arena, text);
    if (!kept.p) return qd_err_nomem(err, "explanation");
    l->at[l->n++] = (qdi_custom_line){depth, count != 0, value, kept};
    return 0;
}

static int32_t run_explain(qdi_custom_iter *it)
{
    it->lines = qd_arena_calloc(&it->arena, sizeof *it->lines);
    if (!it->lines) return QD_E_NOMEM;
    it->sink = (qd_explain_sink){.struct_size = sizeof it->sink, .host = it, .line = sink_line};
    return it->vt->explain(it->iter, it->from, &it->sink, &it->err);
}

static int32_t iterator_run(qd_guest_call *call)
{
    qdi_custom_iter *it = (qdi_custom_iter *)(void *)call;
    switch (it->what) {
    case QDI_CUSTOM_OPEN:
        close_iter(it);
        return it->vt->open_iter(it->ctx, it->query, &it->view, it->scores, &it->iter, &it->err);
    case QDI_CUSTOM_NEXT:
        return run_blocks(it);
    case QDI_CUSTOM_MATCH:
        return run_match(it);
    case QDI_CUSTOM_BOUND:
        it->bound = it->vt->max_score(it->iter, it->from, it->to);
        return 0;
    case QDI_CUSTOM_EXPLAIN:
        return run_explain(it);
    case QDI_CUSTOM_CLOSE:
        close_iter(it);
        return 0;
    }
    return QD_E_INTERNAL;
}

static void iterator_free(qdi_custom_iter *it)
{
    qdi_custom_parts_close(it);
    qd_err_fini(&it->err);
    qd_arena_fini(&it->arena);
    qd_free(it->blocks);
    qd_free(it->matched);
    qd_operator_scope_unref(it->scope);
    qd_free(it);
}

/* Its call has returned at last: nobody else ends it. */
static void iterator_left(qd_guest_call *call)
{
    qdi_custom_iter *it = (qdi_custom_iter *)(void *)call;
    close_iter(it);
    iterator_free(it);
}

/* --- calls ------------------------------------------------------------------------------------ */

static int call(struct qdi_custom *c, qdi_custom_action what, qd_task *task, qd_err *err)
{
    qdi_custom_iter *it = c->it;
    bool ran = true;
    int rc = 0;
    it->what = what;
    it->bad_doc = QD_NO_DOC;
    if (it->scope) {
        it->call.what = names[what];
        it->call.ends = what == QDI_CUSTOM_CLOSE;
        /* an earlier page of a scroll may have ended before its time */
        if (what == QDI_CUSTOM_OPEN && !qd_task_stopped(task))
            atomic_store(&it->scope->task.stop, 0);
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
    if (!it->call.rc && it->bad_doc != QD_NO_DOC)
        return qdi_custom_wrong(c, what, err,
                                "gave document %u the score %g, above the %g of its max_score",
                                it->bad_doc, (double)it->bad_score, (double)it->bad_bound);
    if (!it->call.rc) return 0;
    if (it->scope) {
        rc = qd_guest_failed(&it->call, &it->err, err);
    } else {
        rc = it->call.rc;
        qd_err_copy(err, &it->err);
    }
    qd_err_fini(&it->err);
    qd_err_init(&it->err);
    return rc;
}

int qdi_custom_call(struct qdi_custom *c, qdi_custom_action what, qd_err *err)
{
    return call(c, what, c->run->plan->o.task, err);
}

int qdi_custom_reopen(struct qdi_custom *c, qd_err *err)
{
    c->block = NULL;
    c->at = c->asked = 0;
    if (!c->it) return qdi_custom_gone(err);
    c->it->want = 1;
    c->it->nblocks = 0;
    int rc = qdi_custom_call(c, QDI_CUSTOM_OPEN, err);
    c->ended = rc || !c->it->iter;
    return rc;
}

static qdi_custom_iter *iterator_make(struct qdi_custom *c)
{
    const qd_node_custom *from = c->from;
    qdi_custom_iter *it = qd_calloc(c->run->plan->account, sizeof *it);
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
    qdi_custom_view(it);
    if (from->scope) {
        it->scope = qd_operator_scope_ref(from->scope);
        qd_operator_call_init(it->scope, names[QDI_CUSTOM_OPEN], &it->call);
    }
    return it;
}

/* What the operator iterates, planned for itself: hints of what stands around are not for it. */
static int plan_children(qdi_run *r, struct qdi_custom *c, qd_err *err)
{
    qdi_hint hint = r->hint;
    uint32_t n = c->from->nchildren;
    c->children = qd_arena_calloc(r->arena, ((size_t)n + 1) * sizeof(qdi_lnode *));
    if (!c->children) return qd_err_nomem(err, "operator");
    r->hint = QDI_NO_HINT;
    int rc = 0;
    for (uint32_t i = 0; i < n && !rc; i++)
        rc = qdi_leaf_plan(r, c->x->u.children[i], &c->children[i], err);
    r->hint = hint;
    return rc;
}

int qdi_custom_open(qdi_run *r, const qdi_node *x, struct qdi_custom **out, qd_err *err)
{
    const qd_node_custom *from = &x->from->u.custom;
    *out = NULL;
    if (!from->vt || !from->vt->open_iter || !from->vt->next_block)
        return qd_err_set(err, QD_E_ARG, "the operator neither rewrites nor iterates");
    struct qdi_custom *c = qd_arena_calloc(r->arena, sizeof *c);
    if (!c) return qd_err_nomem(err, "operator");
    c->run = r;
    c->x = x;
    c->from = from;
    c->boost = x->boost;
    c->scores = x->scores && r->scores;
    qd_err_init(&c->why);
    qd_arena_init(&c->columns, r->plan->account, 0);
    c->next = r->customs;
    r->customs = c;
    c->it = iterator_make(c);
    if (!c->it) return qd_err_nomem(err, "operator");
    int rc = plan_children(r, c, err);
    if (!rc) rc = qdi_custom_reopen(c, err);
    if (rc) return rc;
    *out = c->it->iter ? c : NULL;
    return 0;
}

void qdi_custom_ready(struct qdi_custom *c)
{
    for (uint32_t i = 0; c && i < c->from->nchildren; i++) qdi_leaf_ready(c->children[i]);
}

void qdi_custom_close(struct qdi_custom *c)
{
    for (; c; c = c->next) {
        if (c->it && c->it->iter) (void)call(c, QDI_CUSTOM_CLOSE, NULL, NULL);
        if (c->it) iterator_free(c->it);
        c->it = NULL;
        qd_err_fini(&c->why);
        qd_arena_fini(&c->columns);
    }
}

float qdi_custom_bound(struct qdi_custom *c, uint32_t from, uint32_t to)
{
    if (!c) return 0;
    if (c->rc) return INFINITY;
    if (!c->it || !c->it->iter) return 0;
    if (!c->from->vt->max_score) return INFINITY;
    c->it->from = from;
    c->it->to = to;
    c->rc = qdi_custom_call(c, QDI_CUSTOM_BOUND, &c->why);
    if (!c->rc && isnan(c->it->bound))
        c->rc =
            qdi_custom_wrong(c, QDI_CUSTOM_BOUND, &c->why, "gave no number for [%u, %u)", from, to);
    if (c->rc) return INFINITY;
    c->bound_from = from;
    c->bound_to = to;
    c->bound = c->it->bound > 0 ? c->it->bound : 0;
    return c->bound;
}

int qdi_custom_explain(struct qdi_custom *c, uint32_t doc, const qdi_custom_lines **out,
                       qd_err *err)
{
    *out = NULL;
    if (!c || !c->it || !c->it->iter || !c->from->vt->explain) return 0;
    c->it->from = doc;
    int rc = qdi_custom_call(c, QDI_CUSTOM_EXPLAIN, err);
    if (!rc) *out = c->it->lines;
    return rc;
}
