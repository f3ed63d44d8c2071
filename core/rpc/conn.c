/*
 * conn.c: one connection: bytes to frames to messages, messages to frames to bytes, signs of life.
 *
 * Reading: the head of a frame is gathered and checked, then its payload goes straight into the
 * block of its message; a message that nobody waits for, or that memory is lacking for, is thrown
 * away frame by frame. Writing: urgent frames first, then by turns, a frame each, posts in their
 * order, messages that are begun, and new ones, so that a large message delays no small one.
 * Everything here runs on the connection's loop.
 */
#include "base/list.h"
#include "rpc/rpc_int.h"
#include <stdio.h>

#define ANSWERS_HIGH ((uint64_t)32 << 20) /* unsent bytes of answers: no more requests are read */
#define STASH_MAX ((size_t)4 << 20)
#define WRITE_BYTES ((size_t)1 << 20)

static void pace(rpc_conn *c);
static void mark_dirty(rpc_conn *c);

rpc_conn *qdi_conn_make(rpc_loop *l)
{
    rpc_conn *c = qd_calloc(&l->rpc->control, sizeof *c);
    if (!c) return NULL;
    c->small = qd_alloc(&l->rpc->control, FRAME_SMALL_MAX);
    c->flow = qd_calloc(&l->rpc->control, sizeof *c->flow);
    if (!c->small || !c->flow) {
        qd_free(c->small);
        qd_free(c->flow);
        qd_free(c);
        return NULL;
    }
    c->magic = RPC_CONN_MAGIC;
    c->rpc = l->rpc;
    c->loop = l;
    atomic_init(&c->flow->refs, 1);
    qd_buf_init(&c->stash, &l->rpc->control, STASH_MAX);
    qdi_queue_init(&c->urgent);
    qdi_queue_init(&c->posts);
    qdi_queue_init(&c->ring);
    qdi_queue_init(&c->begun);
    qd_timer_init(&c->timer, l->loop, NULL, c);
    c->alive_ns = c->tick_ns = qd_env_mono_ns(l->rpc->c.env);
    QD_LIST_PUSH(l->conns, c);
    l->nconns++;
    return c;
}

void qdi_flow_unref(rpc_flow *f)
{
    if (f && atomic_fetch_sub(&f->refs, 1) == 1) qd_free(f);
}

/* --- ending --- */

static void drop_queue(out_queue *q)
{
    for (rpc_out *o; (o = qdi_queue_pop(q));) {
        o->queued = false;
        qdi_out_unref(o);
    }
}

/* What hangs on the connection ends, once; the struct lives until `closed`. */
static void over(rpc_conn *c, qd_wire_end end, const char *reason)
{
    qd_rpc *rpc = c->rpc;
    if (c->state == CONN_ENDING) return;
    bool open = c->state == CONN_OPEN;
    c->state = CONN_ENDING;
    qd_timer_stop(&c->timer);
    if (open) {
        if (c->peer)
            atomic_fetch_sub(&rpc->stats.open_out, 1);
        else
            atomic_fetch_sub(&rpc->stats.open_in, 1);
    } else if (!c->peer) {
        c->loop->unknown--;
    }
    if (c->registered) qdi_node_del(rpc, c->who);
    c->registered = false;
    drop_queue(&c->urgent);
    drop_queue(&c->posts);
    drop_queue(&c->ring);
    drop_queue(&c->begun);
    c->queued = c->nbegun = 0;
    for (id_node *n; (n = qdi_ids_pop(&c->calls));) {
        rpc_out *o = QD_CONTAINER_OF(n, rpc_out, node);
        o->conn = NULL;
        qdi_call_end(o, QD_E_CLOSED, "the connection to [%s] ended: %s",
                     c->peer ? c->peer->address : c->link->remote, reason);
    }
    for (id_node *n; (n = qdi_ids_pop(&c->requests));) {
        qd_rpc_request *r = QD_CONTAINER_OF(n, qd_rpc_request, node);
        r->conn = NULL;
        qdi_request_cancel(r);
    }
    for (rpc_in *in = c->partials, *next; in; in = next) {
        next = in->next;
        if (in != c->in) qdi_in_free(rpc, in);
    }
    c->partials = NULL;
    if (c->in) {
        qdi_in_free(rpc, c->in);
        c->in = NULL;
    }
    if (c->peer) qdi_peer_closed(c->peer, c, end, reason);
}

void qdi_conn_end(rpc_conn *c, bool send_rest, const char *why)
{
    if (c->state == CONN_ENDING) return;
    snprintf(c->why, sizeof c->why, "%s", why);
    if (c->link) qd_wire_close(c->link, send_rest);
    over(c, c->silent ? QD_WIRE_UNREACHABLE : QD_WIRE_LOCAL, c->why);
}

static void conn_free(rpc_conn *c)
{
    rpc_loop *l = c->loop;
    for (uint32_t i = 0; i < c->nwrite; i++) qdi_out_unref(c->write[i].out);
    QD_LIST_REMOVE(l->conns, c);
    for (rpc_conn **at = &l->dirty; *at; at = &(*at)->dirty_next) {
        if (*at != c) continue;
        *at = c->dirty_next;
        break;
    }
    qd_timer_stop(&c->timer);
    qdi_ids_fini(&c->calls);
    qdi_ids_fini(&c->requests);
    qdi_who_unref(c->who);
    qdi_flow_unref(c->flow);
    qd_buf_fini(&c->stash);
    qd_free(c->small);
    c->magic = 0;
    qd_free(c);
    l->nconns--;
    if (l->closing && l->closed && !l->nconns && !l->nlisteners) {
        qd_latch *latch = l->closed;
        l->closed = NULL;
        qd_latch_done(latch, 0);
    }
}

void qdi_conn_drop(rpc_conn *c)
{
    c->state = CONN_ENDING;
    conn_free(c);
}

static void on_closed(void *user, qd_wire_end end, const char *reason)
{
    rpc_conn *c = user;
    QD_CHECK(c, RPC_CONN_MAGIC);
    if (c->state == CONN_HELLO && !c->peer && end == QD_WIRE_CERTIFICATE) {
        COUNT(c->rpc, refused_in, 1);
        qdi_garbage_log(c->rpc, c->link->remote, reason);
    }
    over(c, end, reason);
    conn_free(c);
}

/* The other side does not follow the protocol. */
void qdi_conn_garbage(rpc_conn *c, const char *what)
{
    COUNT(c->rpc, garbage, 1);
    qdi_garbage_log(c->rpc, c->link->remote, what);
    qdi_conn_end(c, false, what);
}

/* --- signs of life --- */

void qdi_conn_tick(qd_timer *t)
{
    rpc_conn *c = t->user;
    qd_rpc *rpc = c->rpc;
    uint64_t now = qd_env_mono_ns(rpc->c.env), ping = rpc->c.ping_ns;
    /* this process itself stood still: what came meanwhile is not read yet */
    if (now - c->tick_ns > ping + ping / 2) c->alive_ns = now;
    c->tick_ns = now;
    size_t backlog = qd_wire_backlog(c->link);
    if (c->backlog && backlog < c->backlog) c->alive_ns = now; /* it takes what is sent */
    c->backlog = backlog;
    uint64_t idle = now > c->alive_ns ? now - c->alive_ns : 0;
    if (idle >= 3 * ping) {
        char why[128];
        snprintf(why, sizeof why, "no sign of life for %llu ms",
                 (unsigned long long)(idle / 1000000));
        c->silent = true;
        qdi_conn_end(c, false, why);
        return;
    }
    if (idle >= ping / 2 && now - c->ping_ns >= ping) {
        c->ping_ns = now;
        qdi_conn_send_small(c, FRAME_PING, 0, NULL, 0);
    }
}

static void on_handshake_timeout(qd_timer *t)
{
    rpc_conn *c = t->user;
    if (c->peer) c->silent = true;
    qdi_conn_end(c, false,
                 c->peer && c->peer->who ? "no answer to the handshake"
                                         : "no answer to the handshake; is the port right?");
}

/* --- messages in --- */

static rpc_in *find_in(rpc_conn *c, const frame_head *h)
{
    rpc_in *in = c->partials;
    while (in && (in->head.id != h->id || in->head.type != h->type)) in = in->next;
    return in;
}

static void forget_in(rpc_conn *c, rpc_in *gone)
{
    for (rpc_in **at = &c->partials; *at; at = &(*at)->next) {
        if (*at != gone) continue;
        *at = gone->next;
        c->npartials--;
        return;
    }
}

/* No memory for a message: whoever waits for it is told, the rest of it is thrown away. */
static void no_memory(rpc_conn *c, rpc_in *in)
{
    qd_err err;
    qd_free(in->block);
    in->block = NULL;
    qd_err_init(&err);
    (void)qd_err_nomem(&err, "<transport_message>");
    if (in->head.type == FRAME_REQUEST) {
        qdi_refuse(c, in->head.id, in->head.action, in->head.version, err.code,
                   qd_err_reason(&err));
    } else if (in->head.type == FRAME_ANSWER) {
        id_node *n = qdi_ids_get(&c->calls, in->head.id);
        if (n) qdi_call_fail(QD_CONTAINER_OF(n, rpc_out, node), err.code, &err);
    } else {
        COUNT(c->rpc, posts_dropped, 1);
    }
    qd_err_fini(&err);
}

/* Makes room for `least` bytes and more of a message. */
static bool grow(rpc_conn *c, rpc_in *in, size_t least)
{
    qd_rpc *rpc = c->rpc;
    size_t cap = in->cap * 2 < least ? least : in->cap * 2;
    if (cap > in->total) cap = in->total;
    bool block = c->class == QD_RPC_BULK && in->total < BLOCK_BYTES && in->total > BLOCK_BYTES / 2;
    char *grown = block ? qdi_bytes_alloc(rpc, c->class, BLOCK_BYTES)
                        : qd_realloc(qdi_account(rpc, c->class), in->block, cap + 1);
    if (!grown) return false;
    if (block) {
        memcpy(grown, in->block, in->have);
        qdi_bytes_free(rpc, in->block);
        cap = BLOCK_BYTES - 1;
    }
    in->block = grown;
    in->cap = cap;
    return true;
}

/* The head of a message's frame has come: where does its payload go? False: the connection ends. */
static bool begin_part(rpc_conn *c)
{
    const frame_head *h = &c->frame;
    qd_account *a = qdi_account(c->rpc, c->class);
    if (h->version < QD_RPC_OLDEST || h->version > c->version) {
        qdi_conn_garbage(c, "a message of a version that was not agreed on");
        return false;
    }
    rpc_in *in = find_in(c, h);
    if (h->flags & FRAME_FIRST) {
        if (in || c->npartials >= PARTIALS_MAX) {
            qdi_conn_garbage(c, in ? "a message that begins twice"
                                   : "too many messages begun at one time");
            return false;
        }
        in = qd_calloc(&c->rpc->control, sizeof *in);
        if (!in) {
            qdi_conn_end(c, false, "out of memory");
            return false;
        }
        in->head = *h;
        in->next = c->partials;
        c->partials = in;
        c->npartials++;
        bool wanted = h->type != FRAME_ANSWER || qdi_ids_get(&c->calls, h->id);
        in->cap = h->length;
        if (wanted && h->length == FRAME_MAX) in->block = qdi_block_kept(c->rpc, c->class);
        if (in->block) in->cap = BLOCK_BYTES - 1;
        if (wanted && !in->block && !(in->block = qd_alloc(a, in->cap + 1))) no_memory(c, in);
        if (c->state == CONN_ENDING) return false;
    } else {
        if (!in) {
            qdi_conn_garbage(c, "a part of a message that never began");
            return false;
        }
        if (in->block && h->length > in->total - in->have) {
            qdi_conn_garbage(c, "a message longer than announced");
            return false;
        }
        if (in->block && in->have + h->length > in->cap) {
            if (!grow(c, in, in->have + h->length)) no_memory(c, in);
            if (c->state == CONN_ENDING) return false;
        }
    }
    c->in = in;
    return true;
}

/* A message is complete; in is the caller's. */
static void deliver(rpc_conn *c, rpc_in *in)
{
    qd_rpc *rpc = c->rpc;
    rpc_body body = {in->block, {in->block + in->body_at, in->total - in->body_at}, in->raw};
    in->block[in->total] = 0;
    in->block = NULL;
    COUNT(rpc, rx_count, 1);
    if (in->head.type == FRAME_REQUEST) {
        qdi_request_arrived(c, &in->head, &body);
        return;
    }
    if (in->head.type == FRAME_ANSWER) {
        id_node *n = qdi_ids_get(&c->calls, in->head.id);
        if (n)
            qdi_call_answered(QD_CONTAINER_OF(n, rpc_out, node), in->head.version,
                              in->head.flags & FRAME_ERROR, &body);
        else
            qdi_bytes_free(rpc, body.block);
        return;
    }
    if (!body.raw && body.bytes.n <= QD_RPC_POST_MAX)
        qdi_post_arrived(rpc, &c->who->node, in->head.action, body.bytes);
    qd_free(body.block);
}

static void end_part(rpc_conn *c)
{
    rpc_in *in = c->in;
    const char *wrong = NULL;
    bool end = c->frame.flags & FRAME_END;
    c->in = NULL;
    if (in->block) {
        if (qdi_frame_sum(in->block + in->have, c->frame.length) != c->frame.checksum)
            wrong = "a message with a wrong checksum";
        in->have += c->frame.length;
        if (!wrong && !in->total) wrong = qdi_in_begin(c->rpc, in);
        if (!wrong && end != (in->have == in->total))
            wrong = "a message of another length than announced";
    }
    if (wrong) {
        qdi_conn_garbage(c, wrong);
        return;
    }
    if (!end) return;
    forget_in(c, in);
    if (in->block) deliver(c, in);
    qdi_in_free(c->rpc, in);
}

static void cancelled(rpc_conn *c, uint64_t id)
{
    id_node *n = qdi_ids_get(&c->requests, id);
    if (n) qdi_request_cancel(QD_CONTAINER_OF(n, qd_rpc_request, node));
    frame_head h = {.type = FRAME_REQUEST, .id = id};
    rpc_in *in = find_in(c, &h);
    if (!in || n) return;
    forget_in(c, in); /* its rest will not come */
    qdi_in_free(c->rpc, in);
}

/* A frame without a message is complete. */
static void take_small(rpc_conn *c)
{
    qd_str payload = {(const char *)c->small, c->frame.length};
    if (qdi_frame_sum(payload.p, payload.n) != c->frame.checksum) {
        qdi_conn_garbage(c, "a frame with a wrong checksum");
        return;
    }
    switch (c->frame.type) {
    case FRAME_HELLO:
        qdi_conn_hello(c, payload);
        break;
    case FRAME_WELCOME:
        qdi_conn_welcome(c, payload);
        break;
    case FRAME_REFUSE:
        qdi_conn_refused(c, payload);
        break;
    case FRAME_CANCEL:
        cancelled(c, c->frame.id);
        break;
    case FRAME_PING:
        qdi_conn_send_small(c, FRAME_PONG, c->frame.id, NULL, 0);
        break;
    case FRAME_CLUSTER:
        qdi_conn_cluster(c, payload);
        break;
    default: /* a pong: that something came is all it says */
        break;
    }
}

/* Is a frame of this type due now from this side? */
static bool expected(const rpc_conn *c)
{
    uint8_t t = c->frame.type;
    if (c->state == CONN_HELLO)
        return c->peer ? t == FRAME_WELCOME || t == FRAME_REFUSE : t == FRAME_HELLO;
    if (t == FRAME_HELLO || t == FRAME_WELCOME) return false;
    if (t == FRAME_ANSWER) return c->peer != NULL;
    if (t == FRAME_REQUEST || t == FRAME_POST || t == FRAME_CANCEL) return !c->peer;
    return true;
}

static void take_head(rpc_conn *c)
{
    const char *wrong = qdi_frame_get(c->head, &c->frame);
    c->head_n = 0;
    if (!wrong && !expected(c)) wrong = "a frame that is out of place";
    if (wrong) {
        qdi_conn_garbage(c, wrong);
        return;
    }
    c->head_done = true;
    c->frame_n = 0;
    c->in = NULL;
    if (c->frame.type == FRAME_REQUEST || c->frame.type == FRAME_ANSWER ||
        c->frame.type == FRAME_POST)
        (void)begin_part(c);
}

/* Uses bytes up; those behind a pause are kept. */
static void feed(rpc_conn *c, const uint8_t *p, size_t n)
{
    while (c->state != CONN_ENDING && (n || (c->head_done && c->frame_n == c->frame.length))) {
        if (c->paused && !c->head_done && !c->head_n) {
            if (qd_buf_add(&c->stash, p, n)) qdi_conn_end(c, false, "out of memory");
            return;
        }
        if (!c->head_done) {
            size_t take = FRAME_HEAD - c->head_n < n ? FRAME_HEAD - c->head_n : n;
            memcpy(c->head + c->head_n, p, take);
            bool first = c->head_n < 4 && c->state == CONN_HELLO;
            c->head_n += (uint32_t)take;
            p += take;
            n -= take;
            if (first && c->head_n >= 4 && qd_get_u32le(c->head) != FRAME_MAGIC) {
                if (c->peer && memcmp(c->head, "HTTP", 4) == 0)
                    qdi_conn_garbage(
                        c, "HTTP answers there: it is a port of the REST API or of metrics; "
                           "nodes talk at transport.port, 9300");
                else if (c->peer)
                    qdi_conn_garbage(
                        c, "what it sends is not the protocol of nodes; is the port right?");
                else
                    qdi_conn_stranger(c);
                return;
            }
            if (c->head_n == FRAME_HEAD) take_head(c);
            continue;
        }
        size_t take = c->frame.length - c->frame_n < n ? c->frame.length - c->frame_n : n;
        uint8_t *to = c->in ? (uint8_t *)c->in->block : c->small;
        if (to && take) memcpy(to + (c->in ? c->in->have : 0) + c->frame_n, p, take);
        c->frame_n += (uint32_t)take;
        p += take;
        n -= take;
        if (c->frame_n < c->frame.length) continue;
        c->head_done = false;
        if (c->in)
            end_part(c);
        else
            take_small(c);
        pace(c);
    }
}

static void on_data(void *user, const uint8_t *p, size_t n)
{
    rpc_conn *c = user;
    QD_CHECK(c, RPC_CONN_MAGIC);
    c->alive_ns = qd_loop_now_ns(c->loop->loop);
    if (c->peer) atomic_store_explicit(&c->peer->heard_ns, c->alive_ns, memory_order_relaxed);
    COUNT(c->rpc, rx_bytes, n);
    if (!c->stash.n)
        feed(c, p, n);
    else if (qd_buf_add(&c->stash, p, n)) /* what was read already when reading was stopped */
        qdi_conn_end(c, false, "out of memory");
}

/* Goes on with what was kept while too much was unsent, then with reading. */
static void unstash(rpc_conn *c)
{
    size_t n;
    if (!c->resume || c->paused || c->state != CONN_OPEN) return;
    c->resume = false;
    if (c->stash.n) {
        char *p = qd_buf_take(&c->stash, &n);
        feed(c, (const uint8_t *)p, n);
        qd_free(p);
    }
    if (!c->paused && c->state == CONN_OPEN) qd_wire_pause(c->link, false);
}

/* --- messages out --- */

static void mark_dirty(rpc_conn *c)
{
    if (c->dirty) return;
    c->dirty = true;
    c->dirty_next = c->loop->dirty;
    c->loop->dirty = c;
}

void qdi_conn_flush_dirty(void *loop)
{
    rpc_loop *l = loop;
    while (l->dirty) {
        rpc_conn *c = l->dirty;
        l->dirty = c->dirty_next;
        c->dirty = false;
        qdi_conn_flush(c);
        unstash(c);
    }
}

/* Reading stops while too much is unsent: a peer that takes no answers gets no further ones. */
static void pace(rpc_conn *c)
{
    if (c->peer || c->state != CONN_OPEN) return;
    uint64_t unsent = c->queued + atomic_load_explicit(&c->flow->bytes, memory_order_relaxed);
    bool pause = unsent > (c->paused ? ANSWERS_HIGH / 2 : ANSWERS_HIGH);
    if (pause == c->paused) return;
    c->paused = pause;
    if (pause) {
        qd_wire_pause(c->link, true);
        return;
    }
    c->resume = true;
    mark_dirty(c);
}

void qdi_conn_send(rpc_conn *c, rpc_out *o)
{
    if (c->state == CONN_ENDING) {
        qdi_out_unref(o);
        return;
    }
    bool small = o->type != FRAME_REQUEST && o->type != FRAME_ANSWER && o->type != FRAME_POST;
    if (o->type == FRAME_REQUEST && !c->named) qdi_conn_tell_cluster(c);
    if (!small) {
        COUNT(c->rpc, tx_count, 1);
        if (o->type == FRAME_POST) o->id = ++c->next_id;
    }
    o->queued = true;
    c->queued += o->n - o->at;
    qdi_queue_push(small ? &c->urgent : o->type == FRAME_POST ? &c->posts : &c->ring, o);
    pace(c);
    mark_dirty(c);
}

void qdi_conn_send_small(rpc_conn *c, uint8_t type, uint64_t id, const void *p, size_t n)
{
    if (c->state == CONN_ENDING) return;
    rpc_out *o = qd_calloc(&c->rpc->control, sizeof *o);
    char *bytes = n ? qd_memdup(&c->rpc->control, p, n) : NULL;
    if (!o || (n && !bytes)) {
        qd_free(o);
        qd_free(bytes);
        qdi_conn_end(c, false, "out of memory");
        return;
    }
    o->rpc = c->rpc;
    atomic_init(&o->refs, 1);
    o->type = type;
    o->version = QD_RPC_1_0;
    o->id = id;
    o->bytes = bytes;
    o->n = n;
    qdi_conn_send(c, o);
}

void qdi_conn_forget(rpc_conn *c, rpc_out *o)
{
    (void)qdi_ids_del(&c->calls, o->id);
    o->conn = NULL;
    if (o->call && !o->call->sent) {
        o->dropped = true; /* the queue frees it when its turn comes */
        return;
    }
    if (o->queued) o->dropped = true;
    qdi_conn_send_small(c, FRAME_CANCEL, o->id, NULL, 0);
}

/* The other side takes only so many messages that are begun and not ended. */
static bool may_begin(const rpc_conn *c)
{
    const rpc_out *o = c->ring.first;
    return c->nbegun < BEGUN_MAX || !o || o->dropped || o->n - o->at <= FRAME_MAX;
}

/* The next message to send a frame of, with its queue. */
static rpc_out *pick(rpc_conn *c, out_queue **from)
{
    for (;;) {
        out_queue *const lanes[] = {&c->posts, &c->ring, &c->begun};
        out_queue *q = &c->urgent;
        for (uint32_t i = 0; !q->first && i < QD_COUNT_OF(lanes); i++) {
            c->turn = (uint8_t)((c->turn + 1) % QD_COUNT_OF(lanes));
            if (lanes[c->turn] != &c->ring || may_begin(c)) q = lanes[c->turn];
        }
        rpc_out *o = q->first;
        if (!o) return NULL;
        if (!o->dropped) {
            *from = q;
            return o;
        }
        (void)qdi_queue_pop(q);
        o->queued = false;
        if (q == &c->begun) c->nbegun--;
        c->queued -= o->n - o->at;
        qdi_out_unref(o);
    }
}

/* Gathers frames into pieces; returns their number. */
static uint32_t gather(rpc_conn *c, qd_iovec *pieces)
{
    uint32_t np = 0;
    size_t total = 0;
    out_queue *q = NULL;
    rpc_out *o;
    while (c->nwrite < WRITE_FRAMES && total < WRITE_BYTES && (o = pick(c, &q))) {
        bool small = q == &c->urgent;
        size_t left = o->n - o->at, n = left < FRAME_MAX ? left : FRAME_MAX;
        frame_head h = {
            .version = o->version,
            .type = o->type,
            .flags = o->flags,
            .id = o->id,
            .action = o->action,
            .length = (uint32_t)n,
            .checksum = qdi_frame_sum(o->bytes + o->at, n),
        };
        if (!small && !o->begun) h.flags |= FRAME_FIRST;
        if (!small && n == left) h.flags |= FRAME_END;
        o->begun = true;
        if (o->call) o->call->sent = true;
        qdi_frame_put(c->heads[c->nwrite], &h);
        pieces[np++] = (qd_iovec){c->heads[c->nwrite], FRAME_HEAD};
        if (n) pieces[np++] = (qd_iovec){o->bytes + o->at, n};
        o->at += n;
        total += n + FRAME_HEAD;
        atomic_fetch_add(&o->refs, 1);
        c->write[c->nwrite].out = o;
        c->write[c->nwrite++].n = (uint32_t)n;
        if (n == left) {
            (void)qdi_queue_pop(q);
            o->queued = false;
            if (q == &c->begun) c->nbegun--;
            qdi_out_unref(o);
        } else if (q != &c->posts) {
            (void)qdi_queue_pop(q);
            qdi_queue_push(&c->begun, o);
            if (q == &c->ring) c->nbegun++;
        }
    }
    COUNT(c->rpc, tx_bytes, total);
    return np;
}

/* The write under way has been taken. */
static void write_done(rpc_conn *c)
{
    for (uint32_t i = 0; i < c->nwrite; i++) {
        rpc_out *o = c->write[i].out;
        c->queued -= c->write[i].n < c->queued ? c->write[i].n : c->queued;
        bool last = true;
        for (uint32_t k = i + 1; k < c->nwrite; k++) last &= c->write[k].out != o;
        if (last && o->at == o->n && !o->queued) {
            qdi_bytes_free(c->rpc, o->bytes);
            o->bytes = NULL;
            qdi_out_room_end(o);
        }
        qdi_out_unref(o);
    }
    c->nwrite = 0;
}

void qdi_conn_flush(rpc_conn *c)
{
    qd_iovec pieces[2 * WRITE_FRAMES];
    if (c->in_flush) return;
    c->in_flush = true;
    while (!c->write_busy && c->state != CONN_ENDING && c->state != CONN_DIALING) {
        uint32_t n = gather(c, pieces);
        if (!n) break;
        int rc = qd_wire_write(c->link, pieces, n);
        if (rc == 1) {
            write_done(c);
        } else if (rc == 0) {
            c->write_busy = true;
        } else {
            break; /* closed follows */
        }
    }
    c->in_flush = false;
    pace(c);
}

static void on_written(void *user)
{
    rpc_conn *c = user;
    c->write_busy = false;
    c->alive_ns = qd_loop_now_ns(c->loop->loop); /* the buffers were full and have room again */
    write_done(c);
    qdi_conn_flush(c);
}

/* --- links --- */

void qdi_conn_dialed(rpc_conn *c, uint64_t timeout_ns)
{
    c->timer.fn = on_handshake_timeout;
    if (qd_timer_start(&c->timer, timeout_ns + timeout_ns / 2, 0))
        qdi_conn_end(c, false, "out of memory");
}

static void on_opened(void *user)
{
    rpc_conn *c = user;
    char hello[FRAME_SMALL_MAX];
    if (c->state == CONN_ENDING) return;
    c->state = CONN_HELLO;
    size_t n = qdi_hello_put(c->rpc, c->class, 0, hello);
    qdi_conn_send_small(c, FRAME_HELLO, 0, hello, n);
    qdi_conn_flush(c);
}

const qd_wire_user qdi_conn_user = {on_opened, on_data, on_written, on_closed};

void qdi_conn_accept(void *arg, qd_wire_link *link)
{
    rpc_loop *l = arg;
    bool take = !l->closing && l->unknown < UNKNOWN_MAX && atomic_load(&l->rpc->ready);
    rpc_conn *c = take ? qdi_conn_make(l) : NULL;
    if (!c) {
        qd_wire_close(link, false);
        return;
    }
    c->link = link;
    c->state = CONN_HELLO;
    l->unknown++;
    c->timer.fn = on_handshake_timeout;
    qd_wire_link_user(link, &qdi_conn_user, c);
    if (qd_timer_start(&c->timer, HANDSHAKE_NS, 0)) qdi_conn_end(c, false, "out of memory");
}
