/* stream.c: operations to one copy, of a resync or a catch-up, on a worker. See repl_int.h. */
#include "replication/repl_int.h"
#include <stdio.h>

typedef struct repl_stream {
    qd_work work; /* first */
    repl_shard *g;
    repl_todo t;
    int64_t known; /* a global checkpoint above this log's end; -1: no copy knows of one */
} repl_stream;

/* One request with operations; the answer goes to *x. true: it was taken. */
static bool stream_part(repl_stream *s, const char *to, const qd_buf *ops, uint32_t part, bool last,
                        repl_answer *x, char why[160])
{
    repl_shard *g = s->g;
    repl_request q;
    repl_reply a;
    qd_rpc_call call;
    qd_err err;
    qd_err_init(&err);
    bool resync = s->t.kind == REPL_ACT_RESYNC;
    s->t.sent_ns = repl_now(g);
    repl_head_fill(g, &s->t, &q);
    q.number = s->t.number;
    q.part = part;
    q.first = s->t.from;
    q.max = s->t.to;
    if (last) q.flags |= REPL_LAST;
    q.tail = qd_buf_view(ops);
    int rc = repl_ask(g->r, to, resync ? QD_ACTION_COPY_RESYNC : QD_ACTION_COPY_OPS, QD_RPC_DATA,
                      REPL_SHIP_MS, &q, &call, &a, &err);
    x->sent_ns = s->t.sent_ns;
    if (!rc && resync && a.verdict == REPL_FAILED && a.global > s->t.to) s->known = a.global;
    repl_answer_of(x, rc, &a, &err);
    snprintf(why, 160, "%s", x->why ? x->why : "");
    x->why = why;
    qd_err_fini(&err);
    qd_rpc_call_fini(&call);
    return x->verdict == REPL_OK;
}

static int stream_ops(repl_stream *s, qd_engine *e, const char *to, repl_answer *x, char why[160],
                      qd_err *err)
{
    bool resync = s->t.kind == REPL_ACT_RESYNC, more = true;
    qd_engine_ops *cursor = NULL;
    qd_buf ops;
    int rc = 0;
    qd_buf_init(&ops, &s->g->r->account, REPL_TAIL_MAX);
    if (s->t.from <= s->t.to) rc = qd_engine_ops_open(e, s->t.from, s->t.to, &cursor, err);
    for (uint32_t part = 0; !rc && more; part++) {
        uint32_t n = 0;
        qd_buf_reset(&ops);
        if (cursor) rc = qd_engine_ops_next(cursor, REPL_OPS_BYTES, &ops, &n, NULL, err);
        if (rc) break;
        qd_assert((n == 0) == (ops.n == 0));
        more = n > 0 && resync; /* a catch-up goes on by itself when it is still behind */
        if (!stream_part(s, to, &ops, part, !more, x, why)) break;
    }
    qd_engine_ops_close(cursor);
    qd_buf_fini(&ops);
    return rc;
}

/* A copy that counts knows of acknowledged operations that this log has not: it, or another one
 * that has them, is to be the primary. Nothing was acknowledged in this term. */
static void give_way(repl_shard *g, const repl_stream *s)
{
    char text[256];
    qd_mutex_lock(&g->lock);
    const repl_peer *c = g->leading ? repl_primary_peer(&g->pm, s->t.peer) : NULL;
    bool now = c && c->resync == s->t.number && g->pm.phase == REPL_RESYNC;
    if (now) repl_primary_fence(&g->pm, 0);
    repl_unlock(g);
    if (!now) return; /* of an earlier term */
    snprintf(text, sizeof text,
             "it gives way: its log ends at [%lld], and copy [%s] knows that operations up to "
             "[%lld] were acknowledged",
             (long long)s->t.to, s->t.aid, (long long)s->known);
    repl_fail_shard(g, text, QD_E_CORRUPT);
}

static void stream_run(qd_work *w)
{
    repl_stream *s = (repl_stream *)(void *)w;
    repl_shard *g = s->g;
    qd_shard *shard;
    qd_engine *e;
    qd_err err;
    char to[QD_RPC_ADDRESS_MAX], why[160] = "";
    repl_answer x = {0};
    qd_err_init(&err);
    qd_mutex_lock(&g->lock);
    bool known = repl_address(g, s->t.aid, to);
    qd_mutex_unlock(&g->lock);
    int rc = known ? repl_enter(g, &shard, &e, &err)
                   : qd_err_set(&err, QD_E_CLOSED, "its node is not known");
    if (!rc) {
        rc = stream_ops(s, e, to, &x, why, &err);
        repl_leave(shard);
    }
    if (rc) repl_answer_of(&x, rc, NULL, &err);
    if (s->t.kind == REPL_ACT_RESYNC) {
        x.resync = s->t.number;
    } else {
        x.catch_up = true;
    }
    if (s->known >= 0) {
        give_way(g, s);
    } else {
        repl_answered(g, s->t.peer, &x);
    }
    qd_err_fini(&err);
    repl_unref(g);
    qd_free(s);
}

void repl_stream_queue(repl_shard *g, const repl_todo *t)
{
    repl_stream *s = qd_calloc(NULL, sizeof *s);
    qd_assert(t->kind == REPL_ACT_RESYNC || t->kind == REPL_ACT_CATCH_UP);
    if (s) {
        *s = (repl_stream){.work = {.run = stream_run}, .g = repl_ref(g), .t = *t, .known = -1};
        if (repl_submit(g->r, g->r->slow_pool, &s->work) == 0) return;
        repl_unref(g);
        qd_free(s);
    }
    repl_answer x = {.verdict = REPL_FAILED, .why = "no memory to send it operations"};
    if (t->kind == REPL_ACT_RESYNC) x.resync = t->number;
    x.catch_up = t->kind == REPL_ACT_CATCH_UP;
    repl_answered(g, t->peer, &x);
}
