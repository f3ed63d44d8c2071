/*
 * peer.c: an address: its connections, dialed when needed and again while somebody watches;
 * messages that wait for them; what watchers are told.
 *
 * The control connection decides whether a peer is up. When it closes, the peer is suspect and
 * dialed at once: refused means gone, the same process means that nothing has happened. When it
 * fell silent the peer is lost. Look-up and counts of users are [any], under the loop's lock; the
 * rest is the loop's.
 */
#include "rpc/rpc_int.h"
#include <stdio.h>

#define DIAL_NS 5000000000ull    /* an attempt ends; SYNs that were lost are sent too rarely */
#define IDLE_NS 300000000000ull  /* unused connections are closed */
#define FORGET_NS 60000000000ull /* unused peers are forgotten */
#define AGAIN_NS 10000000ull     /* between the redials of a suspect */
#define REFUSED_NS 1000000000ull /* least delay after a refusal in words */
#define UNHEARD_NS 2000000000ull /* then calls need not wait for a connection to it */

static void dial(rpc_peer *p, uint32_t class);
static void tell(rpc_peer *p, qd_rpc_event event, const qd_rpc_node *node, const char *reason);

/* --- look-up --- */

static bool address_ok(qd_str a)
{
    uint64_t port = 0;
    size_t colon = a.n;
    while (colon && a.p[colon - 1] != ':') colon--;
    return colon > 1 && a.n < QD_RPC_ADDRESS_MAX && !memchr(a.p, 0, a.n) &&
           qd_str_u64(qd_str_sub(a, colon, a.n), &port) && port > 0 && port < 65536;
}

static rpc_loop *loop_of(qd_rpc *rpc, qd_str address)
{
    return &rpc->loops[rpc->nloops > 1 ? qd_xxh3(address.p, address.n) % rpc->nloops : 0];
}

static void on_redial(qd_timer *t);

bool qdi_near(const qd_rpc *rpc, qd_str address)
{
    qd_str own = qd_str_c(rpc->address), host = address;
    while (host.n && host.p[host.n - 1] != ':') host.n--;
    return qd_str_starts(host, QD_STR("127.")) || qd_str_is(host, "localhost:") ||
           qd_str_is(host, "[::1]:") || (host.n && qd_str_starts(own, host));
}

static rpc_peer *peer_make(rpc_loop *l, qd_str address)
{
    qd_rpc *rpc = l->rpc;
    rpc_peer *p = qd_calloc(&rpc->control, sizeof *p);
    if (!p) return NULL;
    p->rpc = rpc;
    p->loop = l;
    memcpy(p->address, address.p, address.n);
    for (uint32_t i = 0; i < QD_RPC_CLASSES; i++) qdi_queue_init(&p->waiting[i]);
    qd_timer_init(&p->redial, l->loop, on_redial, p);
    p->near = qdi_near(rpc, address);
    p->self = qd_str_is(address, rpc->address);
    for (uint32_t i = 0; i < rpc->nown; i++) p->self |= qd_str_is(address, rpc->own[i]);
    if (p->self) {
        p->who = qdi_who_ref(rpc->self);
        atomic_store(&p->version, rpc->c.version_max);
        atomic_store(&p->state, PEER_UP);
        p->last_event = QD_RPC_UP;
    }
    return p;
}

int qdi_peer_get(qd_rpc *rpc, qd_str address, rpc_peer **out, qd_err *err)
{
    if (!address_ok(address))
        return qd_err_set(err, QD_E_ARG, "[%.*s] is no address of the form host:port",
                          (int)(address.n < 280 ? address.n : 280), address.p ? address.p : "");
    rpc_loop *l = loop_of(rpc, address);
    qd_mutex_lock(&l->lock);
    rpc_peer *p = qd_map_get(&l->peers, address);
    if (!p && (p = peer_make(l, address)) && qd_map_put(&l->peers, address, p, NULL)) {
        qdi_who_unref(p->who);
        qd_free(p);
        p = NULL;
    }
    if (p) p->users++;
    qd_mutex_unlock(&l->lock);
    if (!p) return qd_err_nomem(err, "a peer");
    *out = p;
    return 0;
}

rpc_peer *qdi_peer_find(qd_rpc *rpc, qd_str address)
{
    rpc_loop *l = loop_of(rpc, address);
    qd_mutex_lock(&l->lock);
    rpc_peer *p = qd_map_get(&l->peers, address);
    if (p) p->users++;
    qd_mutex_unlock(&l->lock);
    return p;
}

void qdi_peer_put(rpc_peer *p)
{
    qd_mutex_lock(&p->loop->lock);
    qd_assert(p->users > 0);
    p->users--;
    qd_mutex_unlock(&p->loop->lock);
}

/* --- room in the queues --- */

bool qdi_peer_room(rpc_peer *p, uint32_t class, uint64_t n, bool forced)
{
    uint64_t had = atomic_fetch_add(&p->queued[class], n);
    /* one message always fits, however large */
    if (forced || had == 0 || had + n <= p->rpc->c.queue_max[class]) return true;
    atomic_fetch_sub(&p->queued[class], n);
    return false;
}

void qdi_out_room_end(rpc_out *o)
{
    rpc_peer *p = o->peer;
    if (!o->room || !p) return;
    uint64_t left = atomic_fetch_sub(&p->queued[o->class], o->room) - o->room;
    o->room = 0;
    if (left > p->rpc->c.queue_max[o->class] / 2) return;
    qd_mutex_lock(&p->loop->lock);
    for (room_wait *w = p->waiters; w; w = w->next) {
        w->woken = true;
        qd_cond_signal(&w->cond);
    }
    p->waiters = NULL;
    qd_mutex_unlock(&p->loop->lock);
}

void qdi_peer_room_wait(rpc_peer *p, uint32_t class, uint64_t n, uint64_t mono_ns)
{
    room_wait w = {.woken = false};
    qd_cond_init(&w.cond);
    qd_mutex_lock(&p->loop->lock);
    uint64_t had = atomic_load(&p->queued[class]);
    if (had && had + n > p->rpc->c.queue_max[class]) {
        w.next = p->waiters;
        p->waiters = &w;
        while (!w.woken && qd_cond_wait_until(&w.cond, &p->loop->lock, mono_ns) == 0) {}
        for (room_wait **at = &p->waiters; !w.woken && *at; at = &(*at)->next) {
            if (*at != &w) continue;
            *at = w.next;
            break;
        }
    }
    qd_mutex_unlock(&p->loop->lock);
    qd_cond_fini(&w.cond);
}

/* --- messages that wait --- */

static void drop(rpc_peer *p, rpc_out *o, int code, const char *why)
{
    o->queued = false;
    if (o->call) {
        if (code == QD_E_CLOSED)
            qdi_call_end(o, code, "cannot connect to [%s]: %s", p->address, why);
        else
            qdi_call_end(o, code, "[%s] cannot be talked to: %s", p->address, why);
    } else if (o->type == FRAME_POST) {
        COUNT(p->rpc, posts_dropped, 1);
    }
    qdi_out_unref(o);
}

static void drop_waiting(rpc_peer *p, uint32_t class, int code, const char *why)
{
    /* an end may start new calls to this peer: they wait for the next dial */
    out_queue q = p->waiting[class];
    if (!q.first) return;
    qdi_queue_init(&p->waiting[class]);
    for (rpc_out *o; (o = qdi_queue_pop(&q));) drop(p, o, code, why);
}

/* A message to the node itself. */
static void send_local(rpc_peer *p, rpc_out *o)
{
    if (o->type == FRAME_POST) {
        qd_body_reader r;
        qd_body_reader_init(&r, (qd_str){o->bytes + o->at, o->n - o->at}, "post", QD_RPC_1_0);
        (void)qd_read_varint(&r, "length");
        (void)qd_read_varint(&r, "raw");
        qdi_post_arrived(p->rpc, &p->rpc->self->node, o->action,
                         (qd_str){(const char *)r.p, (size_t)(r.end - r.p)});
    } else if (o->call) {
        qdi_request_local(p->loop, o);
    }
    qdi_out_unref(o);
}

/* Puts a message on an open connection. */
static void send_on(rpc_conn *c, rpc_out *o)
{
    rpc_peer *p = c->peer;
    o->queued = false;
    if (o->dropped) {
        qdi_out_unref(o);
        return;
    }
    if (o->call) {
        if (o->version > c->version) {
            qdi_call_end(o, QD_E_CLOSED,
                         "[%s] is of an older version than when the request was made; try again",
                         p->address);
            qdi_out_unref(o);
            return;
        }
        if (qdi_action_since(o->action) > c->version) {
            qdi_call_end(o, QD_E_UNSUPPORTED,
                         "[%s] speaks transport version %u.%u, [%s] needs %u.%u: upgrade that node",
                         p->address, c->version >> 8, c->version & 0xffu,
                         qd_rpc_action_name(o->action), qdi_action_since(o->action) >> 8,
                         qdi_action_since(o->action) & 0xffu);
            qdi_out_unref(o);
            return;
        }
        o->id = o->node.id = ++c->next_id;
        if (qdi_ids_add(&c->calls, &p->rpc->control, &o->node)) {
            qdi_call_end(o, QD_E_NOMEM, "out of memory: a call");
            qdi_out_unref(o);
            return;
        }
        o->conn = c;
        COUNT(p->rpc, requests_out, 1);
    } else {
        COUNT(p->rpc, posts_out, 1);
    }
    qdi_conn_send(c, o);
}

void qdi_peer_send(rpc_peer *p, rpc_out *o)
{
    rpc_loop *l = p->loop;
    p->idle_ns = 0;
    if (l->closing) {
        drop(p, o, QD_E_CLOSED, "this node is closing");
        return;
    }
    if (p->self) {
        send_local(p, o);
        return;
    }
    rpc_conn *c = p->conns[o->class];
    if (c && c->state == CONN_OPEN) {
        send_on(c, o);
        return;
    }
    uint64_t now = qd_env_mono_ns(p->rpc->c.env);
    if (!c && p->failed_ns && now - p->failed_ns < p->rpc->c.redial_min_ns) {
        drop(p, o, QD_E_CLOSED, p->reason[0] ? p->reason : "it was dialed in vain just now");
        return;
    }
    o->queued = true;
    qdi_queue_push(&p->waiting[o->class], o);
    if (!c) dial(p, o->class);
}

/* --- dialing --- */

static void said_set(rpc_peer *p, const char *why)
{
    qd_mutex_lock(&p->loop->lock);
    snprintf(p->said, sizeof p->said, "%s", why);
    qd_mutex_unlock(&p->loop->lock);
}

static void state_set(rpc_peer *p, peer_state now)
{
    peer_state was = (peer_state)atomic_load(&p->state);
    bool up = now == PEER_UP || now == PEER_SUSPECT, was_up = was == PEER_UP || was == PEER_SUSPECT;
    if (up && !was_up) atomic_fetch_add(&p->rpc->stats.peers_up, 1);
    if (!up && was_up) atomic_fetch_sub(&p->rpc->stats.peers_up, 1);
    atomic_store(&p->state, now);
}

static uint64_t jitter(rpc_peer *p, uint64_t ns)
{
    return ns - ns / 4 + qd_prng_below(&p->loop->prng, ns / 2 + 1);
}

/* Dials again later, if anybody watches. */
static void redial_later(rpc_peer *p, uint64_t least_ns)
{
    const qd_rpc_config *cfg = &p->rpc->c;
    if (!p->watches || p->loop->closing || p->conns[QD_RPC_CONTROL] || qd_timer_running(&p->redial))
        return;
    p->backoff_ns = !p->backoff_ns                           ? cfg->redial_min_ns
                    : p->backoff_ns * 2 < cfg->redial_max_ns ? p->backoff_ns * 2
                                                             : cfg->redial_max_ns;
    if (p->backoff_ns < least_ns) p->backoff_ns = least_ns;
    if (qd_timer_start(&p->redial, jitter(p, p->backoff_ns), 0))
        qd_log_warn(RPC_LOG, "out of memory: [%s] is not dialed again", p->address);
}

static void on_redial(qd_timer *t)
{
    rpc_peer *p = t->user;
    if (p->watches && !p->conns[QD_RPC_CONTROL] && !p->loop->closing) dial(p, QD_RPC_CONTROL);
}

typedef struct nudge {
    qd_post post; /* first */
    rpc_peer *peer;
} nudge;

static void nudge_here(qd_post *post)
{
    nudge *n = (nudge *)(void *)post;
    rpc_peer *p = n->peer;
    if (p->watches && !p->conns[QD_RPC_CONTROL] && !p->loop->closing &&
        atomic_load(&p->state) == PEER_DOWN) {
        p->backoff_ns = 0;
        dial(p, QD_RPC_CONTROL);
    }
    qdi_peer_put(p);
    qd_free(n);
}

void qdi_peer_nudge(qd_rpc *rpc, qd_str address)
{
    rpc_peer *p = qdi_peer_find(rpc, address);
    if (!p) return;
    bool down = atomic_load(&p->state) == PEER_DOWN;
    nudge *n = down ? qd_alloc(&rpc->control, sizeof *n) : NULL;
    if (!n) { /* the redial comes in its time */
        qdi_peer_put(p);
        return;
    }
    *n = (nudge){{NULL, nudge_here, NULL}, p};
    qd_loop_post(p->loop->loop, &n->post);
}

static void left_here(qd_post *post)
{
    nudge *n = (nudge *)(void *)post;
    rpc_peer *p = n->peer;
    static const char why[] = "the node has left the cluster";
    rpc_conn *control = p->conns[QD_RPC_CONTROL];
    if (!control || control->state != CONN_OPEN) /* who has not heard of it yet does not dial */
        p->failed_ns = qd_env_mono_ns(p->rpc->c.env);
    for (uint32_t k = 0; k < QD_RPC_CLASSES && !p->self; k++) {
        rpc_conn *c = p->conns[k];
        if (c && c->state == CONN_OPEN) continue;
        if (c && k != QD_RPC_CONTROL) qdi_conn_end(c, false, why);
        drop_waiting(p, k, QD_E_CLOSED, why);
    }
    qdi_peer_put(p);
    qd_free(n);
}

void qd_rpc_peer_left(qd_rpc *rpc, qd_str address)
{
    QD_CHECK(rpc, QD_RPC_MAGIC);
    rpc_peer *p = qdi_peer_find(rpc, address);
    if (!p) return;
    nudge *n = qd_alloc(&rpc->control, sizeof *n);
    if (!n) { /* the dial fails in its time */
        qdi_peer_put(p);
        return;
    }
    *n = (nudge){{NULL, left_here, NULL}, p};
    qd_loop_post(p->loop->loop, &n->post);
}

static void dial_failed(rpc_peer *p, uint32_t class, bool refused, const char *why)
{
    peer_state was = (peer_state)atomic_load(&p->state);
    atomic_store(&p->lost, true);
    p->failed_ns = qd_env_mono_ns(p->rpc->c.env);
    if (!p->failed_ns) p->failed_ns = 1;
    if (class == QD_RPC_CONTROL) {
        char reason[256];
        snprintf(reason, sizeof reason, "%s", why);
        said_set(p, reason);
        state_set(p, PEER_DOWN);
        atomic_store(&p->version, 0);
        if (refused ? p->last_event != QD_RPC_GONE
                    : p->last_event != QD_RPC_LOST && p->last_event != QD_RPC_GONE &&
                          p->last_event != QD_RPC_REFUSED) {
            if (was == PEER_SUSPECT) qd_log_info(RPC_LOG, "[%s] is gone: %s", p->address, reason);
            tell(p, refused ? QD_RPC_GONE : QD_RPC_LOST, p->who ? &p->who->node : NULL, reason);
        }
        if (refused)
            for (uint32_t k = 1; k < QD_RPC_CLASSES; k++)
                if (p->conns[k] && p->conns[k]->state == CONN_OPEN)
                    qdi_conn_end(p->conns[k], false, "the process there has ended");
        redial_later(p, 0);
        drop_waiting(p, class, QD_E_CLOSED, reason);
        return;
    }
    drop_waiting(p, class, QD_E_CLOSED, why);
}

static void dial(rpc_peer *p, uint32_t class)
{
    qd_rpc *rpc = p->rpc;
    qd_err err;
    uint64_t timeout = rpc->c.connect_timeout_ns < DIAL_NS ? rpc->c.connect_timeout_ns : DIAL_NS;
    rpc_conn *c = qdi_conn_make(p->loop);
    qd_err_init(&err);
    if (atomic_load(&p->state) == PEER_SUSPECT && timeout / 3 > rpc->c.ping_ns)
        timeout = 3 * rpc->c.ping_ns;
    if (class == QD_RPC_CONTROL) {
        qd_timer_stop(&p->redial);
        if (atomic_load(&p->state) != PEER_SUSPECT) state_set(p, PEER_DIALING);
    }
    int rc = c ? 0 : qd_err_nomem(&err, "a connection");
    if (c) {
        c->peer = p;
        c->class = (uint8_t) class;
        c->state = CONN_DIALING;
        c->timer.fn = NULL;
        rc = qd_wire_dial(rpc->c.wire, p->loop->loop, qd_str_c(p->address), timeout, &qdi_conn_user,
                          c, &c->link, &err);
        if (!rc) p->conns[class] = c;
        if (!rc) qdi_conn_dialed(c, timeout);
    }
    if (rc) {
        if (c) qdi_conn_drop(c);
        dial_failed(p, class, false, qd_err_reason(&err));
    }
    qd_err_fini(&err);
}

/* --- what connections tell --- */

void qdi_peer_opened(rpc_peer *p, rpc_conn *c)
{
    rpc_loop *l = p->loop;
    bool another = p->who && strcmp(p->who->node.ephemeral, c->who->node.ephemeral) != 0;
    if (another && p->last_event) {
        /* what was there has ended, and its other connections with it */
        for (uint32_t k = 0; k < QD_RPC_CLASSES; k++)
            if (p->conns[k] && p->conns[k] != c && p->conns[k]->state == CONN_OPEN)
                qdi_conn_end(p->conns[k], false, "another process answers there now");
        if (p->last_event == QD_RPC_UP || p->last_event == QD_RPC_LOST)
            tell(p, QD_RPC_GONE, &p->who->node, "another process answers there now");
    }
    qd_mutex_lock(&l->lock);
    rpc_who *old = p->who;
    p->who = qdi_who_ref(c->who);
    p->said[0] = 0;
    qd_mutex_unlock(&l->lock);
    qdi_who_unref(old);
    atomic_store(&p->version, c->version);
    p->failed_ns = 0;
    atomic_store(&p->lost, false);
    if (c->class == QD_RPC_CONTROL) {
        p->backoff_ns = 0;
        state_set(p, PEER_UP);
        if (p->last_event != QD_RPC_UP) {
            qd_log_debug(RPC_LOG, "connected to node [%s] at [%s], version %u.%u",
                         c->who->node.name, p->address, c->version >> 8, c->version & 0xffu);
            tell(p, QD_RPC_UP, &p->who->node, "");
        }
    }
    if (c->state != CONN_OPEN) return;
    out_queue q = p->waiting[c->class];
    if (!q.first) return;
    qdi_queue_init(&p->waiting[c->class]);
    for (rpc_out *o; (o = qdi_queue_pop(&q));) {
        if (c->state == CONN_OPEN)
            send_on(c, o);
        else
            drop(p, o, QD_E_CLOSED, "the connection ended");
    }
}

void qdi_peer_self(rpc_peer *p, rpc_conn *c)
{
    qd_mutex_lock(&p->loop->lock);
    rpc_who *old = p->who;
    p->who = qdi_who_ref(p->rpc->self);
    p->said[0] = 0;
    qd_mutex_unlock(&p->loop->lock);
    qdi_who_unref(old);
    p->self = true;
    p->conns[c->class] = NULL;
    atomic_store(&p->version, p->rpc->c.version_max);
    state_set(p, PEER_UP);
    if (p->last_event != QD_RPC_UP) tell(p, QD_RPC_UP, &p->who->node, "");
    for (uint32_t k = 0; k < QD_RPC_CLASSES; k++) {
        out_queue q = p->waiting[k];
        qdi_queue_init(&p->waiting[k]);
        for (rpc_out *o; (o = qdi_queue_pop(&q));) {
            o->queued = false;
            if (o->dropped)
                qdi_out_unref(o);
            else
                send_local(p, o);
        }
    }
}

void qdi_peer_refused(rpc_peer *p, rpc_conn *c, const char *ours, const char *why)
{
    char reason[256];
    snprintf(reason, sizeof reason, "%s", why);
    if (p->conns[c->class] == c) p->conns[c->class] = NULL;
    if (c->class != QD_RPC_CONTROL && p->conns[QD_RPC_CONTROL]) {
        qd_log_warn(RPC_LOG, "no connection to the node at [%s]: %s", p->address, ours);
        drop_waiting(p, c->class, QD_E_SECURITY, reason);
        return;
    }
    p->failed_ns = qd_env_mono_ns(p->rpc->c.env);
    said_set(p, reason);
    if (p->last_event != QD_RPC_REFUSED || strcmp(p->reason, reason) != 0) {
        qd_log_warn(RPC_LOG, "no connection to the node at [%s]: %s", p->address, ours);
        state_set(p, PEER_DOWN);
        tell(p, QD_RPC_REFUSED, p->who ? &p->who->node : NULL, reason);
    }
    state_set(p, PEER_DOWN);
    atomic_store(&p->version, 0);
    redial_later(p, REFUSED_NS);
    for (uint32_t k = 0; k < QD_RPC_CLASSES; k++)
        if (!p->conns[k]) drop_waiting(p, k, QD_E_SECURITY, reason);
}

void qdi_peer_closed(rpc_peer *p, rpc_conn *c, qd_wire_end end, const char *reason)
{
    if (p->conns[c->class] != c) return; /* refused, or it was the node itself */
    p->conns[c->class] = NULL;
    p->idle_ns = 0;
    if (!c->version) { /* it never opened */
        if (end == QD_WIRE_CERTIFICATE) {
            COUNT(p->rpc, refused_out, 1);
            qdi_peer_refused(p, c, reason, reason);
        } else {
            /* a process that is ending may take a connection once more before it refuses */
            bool again = end == QD_WIRE_CLOSED && c->class == QD_RPC_CONTROL &&
                         atomic_load(&p->state) == PEER_SUSPECT && p->tries++ < 3 &&
                         !p->loop->closing && qd_timer_start(&p->redial, AGAIN_NS, 0) == 0;
            if (!again) dial_failed(p, c->class, end == QD_WIRE_REFUSED, reason);
        }
        return;
    }
    if (end == QD_WIRE_UNREACHABLE) atomic_store(&p->lost, true);
    if (c->class != QD_RPC_CONTROL || p->loop->closing) return;
    if (end == QD_WIRE_UNREACHABLE) {
        state_set(p, PEER_DOWN);
        atomic_store(&p->version, 0);
        qd_log_info(RPC_LOG, "[%s] is lost: %s", p->address, reason);
        tell(p, QD_RPC_LOST, p->who ? &p->who->node : NULL, reason);
        redial_later(p, 0);
    } else if (p->watches) {
        state_set(p, PEER_SUSPECT);
        p->tries = 0;
        if (!p->conns[QD_RPC_CONTROL]) dial(p, QD_RPC_CONTROL);
    } else {
        state_set(p, PEER_IDLE);
        p->last_event = 0;
    }
}

/* --- watches --- */

static _Thread_local qd_rpc_watch *inside; /* the watch being told on this thread */

static void tell_one(qd_rpc_watch *w, rpc_peer *p, qd_rpc_event event, const qd_rpc_node *node,
                     const char *reason)
{
    qd_mutex_lock(&w->lock);
    if (w->fn) {
        qd_rpc_watch *before = inside;
        inside = w;
        w->fn(w->arg, qd_str_c(p->address), event, node, qd_str_c(reason));
        inside = before;
    }
    qd_mutex_unlock(&w->lock);
}

static void tell(rpc_peer *p, qd_rpc_event event, const qd_rpc_node *node, const char *reason)
{
    p->last_event = event;
    snprintf(p->reason, sizeof p->reason, "%s", reason);
    for (qd_rpc_watch *w = p->watches; w; w = w->next) tell_one(w, p, event, node, reason);
}

static void watch_here(qd_post *post)
{
    qd_rpc_watch *w = QD_CONTAINER_OF(post, qd_rpc_watch, post);
    rpc_peer *p = w->peer;
    p->idle_ns = 0;
    w->next = p->watches;
    p->watches = w;
    if (p->last_event)
        tell_one(w, p, (qd_rpc_event)p->last_event, p->who ? &p->who->node : NULL,
                 p->last_event == QD_RPC_UP ? "" : p->reason);
    if (!p->self && !p->conns[QD_RPC_CONTROL] && !qd_timer_running(&p->redial) && !p->loop->closing)
        dial(p, QD_RPC_CONTROL);
}

int qd_rpc_peer_watch(qd_rpc *rpc, qd_str address, qd_rpc_watch_fn fn, void *arg,
                      qd_rpc_watch **out, qd_err *err)
{
    rpc_peer *p;
    QD_CHECK(rpc, QD_RPC_MAGIC);
    if (atomic_load(&rpc->closing)) return qd_err_set(err, QD_E_CLOSED, "the node is closing");
    int rc = qdi_peer_get(rpc, address, &p, err);
    if (rc) return rc;
    qd_rpc_watch *w = qd_calloc(&rpc->control, sizeof *w);
    if (!w) {
        qdi_peer_put(p);
        return qd_err_nomem(err, "a watch");
    }
    qd_mutex_init(&w->lock);
    w->peer = p;
    w->fn = fn;
    w->arg = arg;
    w->post.fn = watch_here;
    *out = w;
    qd_loop_post(p->loop->loop, &w->post);
    return 0;
}

static void unwatch_here(qd_post *post)
{
    qd_rpc_watch *w = QD_CONTAINER_OF(post, qd_rpc_watch, end_post);
    rpc_peer *p = w->peer;
    for (qd_rpc_watch **at = &p->watches; *at; at = &(*at)->next) {
        if (*at != w) continue;
        *at = w->next;
        break;
    }
    qd_mutex_fini(&w->lock);
    qd_free(w);
    if (!p->watches) qd_timer_stop(&p->redial);
    qdi_peer_put(p);
}

void qd_rpc_unwatch(qd_rpc *rpc, qd_rpc_watch *w)
{
    QD_CHECK(rpc, QD_RPC_MAGIC);
    if (!w) return;
    if (inside == w) { /* its lock is held below us */
        w->fn = NULL;
    } else {
        qd_mutex_lock(&w->lock);
        w->fn = NULL;
        qd_mutex_unlock(&w->lock);
    }
    w->end_post.fn = unwatch_here;
    qd_loop_post(w->peer->loop->loop, &w->end_post);
}

bool qd_rpc_peer_up(qd_rpc *rpc, qd_str address, qd_rpc_node *out)
{
    QD_CHECK(rpc, QD_RPC_MAGIC);
    rpc_peer *p = qdi_peer_find(rpc, address);
    if (!p) return false;
    uint32_t s = atomic_load(&p->state);
    bool up = s == PEER_UP || s == PEER_SUSPECT;
    if (up && out) {
        qd_mutex_lock(&p->loop->lock);
        if (p->who) *out = p->who->node;
        up = p->who != NULL;
        qd_mutex_unlock(&p->loop->lock);
    }
    qdi_peer_put(p);
    return up;
}

uint64_t qd_rpc_peer_heard_ns(qd_rpc *rpc, qd_str address)
{
    QD_CHECK(rpc, QD_RPC_MAGIC);
    rpc_peer *p = qdi_peer_find(rpc, address);
    if (!p) return 0;
    uint64_t heard = atomic_load(&p->heard_ns);
    qdi_peer_put(p);
    return heard;
}

uint64_t qd_rpc_peer_heard_of(qd_rpc *rpc, qd_str address, qd_str ephemeral)
{
    QD_CHECK(rpc, QD_RPC_MAGIC);
    rpc_peer *p = qdi_peer_find(rpc, address);
    if (!p) return 0;
    qd_mutex_lock(&p->loop->lock);
    bool same = p->who && qd_str_is(ephemeral, p->who->node.ephemeral);
    qd_mutex_unlock(&p->loop->lock);
    uint64_t heard = same ? atomic_load(&p->heard_ns) : 0;
    qdi_peer_put(p);
    return heard;
}

bool qd_rpc_peer_unreached(qd_rpc *rpc, qd_str address)
{
    QD_CHECK(rpc, QD_RPC_MAGIC);
    rpc_peer *p = qdi_peer_find(rpc, address);
    if (!p) return false;
    uint64_t heard = atomic_load(&p->heard_ns), now = qd_env_mono_ns(rpc->c.env);
    bool lost = atomic_load(&p->lost) && (now <= heard ? !heard : now - heard > UNHEARD_NS);
    qdi_peer_put(p);
    return lost;
}

bool qd_rpc_peer_trouble(qd_rpc *rpc, qd_str address, char out[256])
{
    QD_CHECK(rpc, QD_RPC_MAGIC);
    rpc_peer *p = qdi_peer_find(rpc, address);
    if (!p) return false;
    qd_mutex_lock(&p->loop->lock);
    bool waits = !p->said[0] && atomic_load(&p->state) == PEER_DIALING;
    snprintf(out, 256, "%s", waits ? "no answer yet" : p->said);
    qd_mutex_unlock(&p->loop->lock);
    qdi_peer_put(p);
    return out[0] != 0;
}

uint16_t qd_rpc_version_to(qd_rpc *rpc, qd_str to)
{
    QD_CHECK(rpc, QD_RPC_MAGIC);
    rpc_peer *p = qdi_peer_find(rpc, to);
    if (!p) return QD_RPC_OLDEST;
    uint32_t v = atomic_load(&p->version);
    qdi_peer_put(p);
    return v ? (uint16_t)v : QD_RPC_OLDEST;
}

/* --- housekeeping, closing --- */

static bool busy(const rpc_peer *p)
{
    for (uint32_t k = 0; k < QD_RPC_CLASSES; k++)
        if (p->waiting[k].first || (p->conns[k] && p->conns[k]->calls.n)) return true;
    return p->watches != NULL;
}

static void peer_free(rpc_peer *p)
{
    qd_timer_stop(&p->redial);
    qdi_who_unref(p->who);
    qd_free(p);
}

void qdi_peers_tick(rpc_loop *l)
{
    uint64_t now = qd_env_mono_ns(l->rpc->c.env);
    size_t pos = 0;
    const qd_map_entry *e;
    rpc_peer *idle[64];
    uint32_t n = 0;
    qd_mutex_lock(&l->lock);
    while ((e = qd_map_next(&l->peers, &pos)) && n < QD_COUNT_OF(idle)) {
        rpc_peer *p = e->value;
        if (p->users || busy(p)) {
            p->idle_ns = 0;
            continue;
        }
        if (!p->idle_ns) p->idle_ns = now ? now : 1;
        bool open = p->conns[0] || p->conns[1] || p->conns[2];
        if (now - p->idle_ns < (open ? IDLE_NS : FORGET_NS)) continue;
        if (!open) qd_map_del(&l->peers, e->key);
        idle[n++] = p;
    }
    qd_mutex_unlock(&l->lock);
    for (uint32_t i = 0; i < n; i++) {
        rpc_peer *p = idle[i];
        bool open = p->conns[0] || p->conns[1] || p->conns[2];
        for (uint32_t k = 0; k < QD_RPC_CLASSES; k++)
            if (p->conns[k]) qdi_conn_end(p->conns[k], true, "not used any more");
        if (!open) peer_free(p);
    }
}

void qdi_peers_close(rpc_loop *l)
{
    size_t pos = 0;
    const qd_map_entry *e;
    while ((e = qd_map_next(&l->peers, &pos))) {
        rpc_peer *p = e->value;
        qd_timer_stop(&p->redial);
        for (uint32_t k = 0; k < QD_RPC_CLASSES; k++)
            drop_waiting(p, k, QD_E_CLOSED, "this node is closing");
    }
}

void qdi_peers_free(rpc_loop *l)
{
    size_t pos = 0;
    const qd_map_entry *e;
    while ((e = qd_map_next(&l->peers, &pos))) {
        rpc_peer *p = e->value;
        for (qd_rpc_watch *w = p->watches, *next; w; w = next) {
            next = w->next;
            qd_mutex_fini(&w->lock);
            qd_free(w);
        }
        peer_free(p);
    }
    qd_map_fini(&l->peers);
}
