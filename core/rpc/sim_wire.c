/*
 * sim_wire.c: the simulated network. A connection has two ends; what one writes lies in a queue
 * towards the other, each piece with the time at which it comes, then in that end's mail, which is
 * handed to its user on its loop. See sim_wire.h.
 */
#include "rpc/sim_wire.h"
#include "base/list.h"
#include "rpc/rpc_int.h"
#include <stdio.h>

#define WINDOW ((size_t)1 << 20) /* bytes under way in one direction */
#define HOSTS_MAX 64u
#define RETRY_NS 100000000ull /* of what meets a cut: a retransmission */

typedef struct sim_host sim_host;
typedef struct sim_conn sim_conn;
typedef struct sim_end sim_end;

enum piece_kind { PIECE_DATA, PIECE_FIN, PIECE_RESET };
typedef struct piece {
    struct piece *next;
    uint64_t due_ns;
    uint8_t kind;
    size_t n;
    uint8_t bytes[];
} piece;
typedef struct pieces {
    piece *first, **last;
} pieces;

struct qd_wire_listener {
    struct qd_wire_listener *next;
    sim_host *host;
    uint16_t port;
    qd_loop *loop;
    qd_wire_accept_fn fn;
    void *arg;
    void (*done)(void *arg);
    void *done_arg;
    qd_post post;
};

struct sim_host {
    qd_wire wire; /* first */
    qd_sim_net *net;
    char name[256];
    uint32_t index;
    bool dead;
    uint16_t next_port;
    qd_wire_listener *listeners;
};

struct sim_end {
    qd_wire_link link; /* first */
    sim_conn *conn;
    sim_host *host;
    qd_loop *loop;
    qd_post post;
    bool posted, made, open, paused, over, told;
    bool ev_opened, ev_written, ev_accept;
    qd_wire_listener *listener; /* ev_accept */
    pieces way, mail;           /* towards this end */
    bool arriving;
    uint64_t last_due_ns;
    size_t unread;  /* bytes written to it and not yet handed to its user */
    piece *pending; /* a write of this end that waits for room */
    qd_wire_end end;
    const char *reason;
};

struct sim_conn {
    sim_conn *prev, *next;
    qd_sim_net *net;
    uint32_t refs;
    sim_end ends[2]; /* 0: who dialed */
    uint16_t port;
    uint64_t give_up_ns;
};

struct qd_sim_net {
    qd_sim *sim;
    qd_account account;
    qd_sim_net_faults faults;
    sim_host *hosts[HOSTS_MAX];
    uint32_t nhosts;
    bool cut[HOSTS_MAX][HOSTS_MAX];
    sim_conn *conns;
};

static sim_end *of(const qd_wire_link *l)
{
    return (sim_end *)(void *)(uintptr_t)l;
}
static sim_end *other(sim_end *e)
{
    return &e->conn->ends[e == &e->conn->ends[0]];
}
static uint64_t now(const qd_sim_net *net)
{
    return qd_sim_now_ns(net->sim);
}
static bool chance(qd_sim_net *net, uint32_t ppm)
{
    return ppm && qd_prng_below(qd_sim_prng(net->sim), 1000000) < ppm;
}
static uint64_t latency(qd_sim_net *net)
{
    const qd_sim_net_faults *f = &net->faults;
    uint64_t span = f->latency_max_ns - f->latency_min_ns;
    uint64_t ns = f->latency_min_ns + qd_prng_below(qd_sim_prng(net->sim), span + 1);
    return ns + (chance(net, f->slow_ppm) ? f->slow_ns : 0);
}

static void queue_push(pieces *q, piece *p)
{
    p->next = NULL;
    *q->last = p;
    q->last = &p->next;
}
static piece *queue_pop(pieces *q)
{
    piece *p = q->first;
    if (p && !(q->first = p->next)) q->last = &q->first;
    return p;
}
static void queue_free(pieces *q)
{
    for (piece *p; (p = queue_pop(q));) qd_free(p);
}

/* --- life of a connection --- */

static void conn_unref(sim_conn *c)
{
    if (--c->refs) return;
    for (int i = 0; i < 2; i++) {
        queue_free(&c->ends[i].way);
        queue_free(&c->ends[i].mail);
        qd_free(c->ends[i].pending);
    }
    QD_LIST_REMOVE(c->net->conns, c);
    qd_free(c);
}

static void end_here(qd_post *post);

/* Something happened to an end: its loop looks at it. */
static void wake(sim_end *e)
{
    if (e->posted || e->told || !e->loop) return; /* once told, its loop may be gone */
    e->posted = true;
    e->conn->refs++;
    e->post.fn = end_here;
    qd_loop_post(e->loop, &e->post);
}

static void finish(sim_end *e, qd_wire_end why, const char *reason)
{
    if (e->over) return;
    e->over = true;
    e->end = why;
    e->reason = reason;
    wake(e);
}

static void arrive(void *arg);

static void arm(sim_end *e, uint64_t delay)
{
    if (e->arriving || !e->way.first) return;
    e->arriving = true;
    e->conn->refs++;
    int rc = qd_sim_after(e->conn->net->sim, delay, arrive, e);
    qd_assert(rc == 0);
}

static void arm_next(sim_end *e)
{
    uint64_t t = now(e->conn->net);
    if (e->way.first) arm(e, e->way.first->due_ns > t ? e->way.first->due_ns - t : 0);
}

/* Sends a piece towards an end; it takes the piece over. */
static void send_to(sim_end *e, piece *p)
{
    qd_sim_net *net = e->conn->net;
    sim_host *from = other(e)->host;
    if (from->dead) {
        qd_free(p);
        return;
    }
    p->due_ns = now(net) + latency(net);
    if (p->due_ns < e->last_due_ns) p->due_ns = e->last_due_ns;
    e->last_due_ns = p->due_ns;
    queue_push(&e->way, p);
    arm_next(e);
}

static void send_kind(sim_end *e, uint8_t kind)
{
    piece *p = qd_calloc(&e->conn->net->account, sizeof *p);
    qd_assert(p != NULL);
    p->kind = kind;
    send_to(e, p);
}

static void arrive(void *arg)
{
    sim_end *e = arg;
    sim_conn *c = e->conn;
    qd_sim_net *net = c->net;
    e->arriving = false;
    if (e->way.first && net->cut[other(e)->host->index][e->host->index]) {
        arm(e, RETRY_NS + qd_prng_below(qd_sim_prng(net->sim), RETRY_NS));
        conn_unref(c);
        return;
    }
    uint64_t t = now(net);
    while (e->way.first && e->way.first->due_ns <= t) queue_push(&e->mail, queue_pop(&e->way));
    arm_next(e);
    wake(e);
    conn_unref(c);
}

/* Room towards an end: the other's pending write goes on. */
static void room(sim_end *e)
{
    sim_end *o = other(e);
    if (!o->pending || o->over || e->unread >= WINDOW) return;
    piece *p = o->pending;
    o->pending = NULL;
    e->unread += p->n;
    send_to(e, p);
    o->ev_written = true;
    wake(o);
}

/* On the loop of an end: tells its user what there is to tell. */
static void end_here(qd_post *post)
{
    sim_end *e = QD_CONTAINER_OF(post, sim_end, post);
    sim_conn *c = e->conn;
    e->posted = false;
    if (e->ev_accept) {
        e->ev_accept = false;
        e->listener->fn(e->listener->arg, &e->link);
    }
    if (e->ev_opened && !e->over) {
        e->ev_opened = false;
        e->link.user->opened(e->link.arg);
    }
    if (e->ev_written && !e->over) {
        e->ev_written = false;
        e->link.user->written(e->link.arg);
    }
    while (!e->over && !e->paused && e->open) {
        piece *p = queue_pop(&e->mail);
        if (!p) break;
        if (p->kind == PIECE_DATA) {
            e->unread -= p->n;
            e->link.user->data(e->link.arg, p->bytes, p->n);
            room(e);
        } else {
            finish(e, QD_WIRE_CLOSED,
                   p->kind == PIECE_FIN ? "closed by the other side" : "connection reset by peer");
        }
        qd_free(p);
    }
    /* a reset is noticed though nobody reads */
    for (piece *p = e->mail.first; p && !e->over; p = p->next)
        if (p->kind == PIECE_RESET) finish(e, QD_WIRE_CLOSED, "connection reset by peer");
    if (e->over && !e->told && !e->posted) {
        e->told = true;
        if (e->link.user) e->link.user->closed(e->link.arg, e->end, e->reason);
        conn_unref(c);
    }
    conn_unref(c);
}

/* --- dialing and listening --- */

static sim_host *host_named(qd_sim_net *net, qd_str name)
{
    for (uint32_t i = 0; i < net->nhosts; i++)
        if (qd_str_is(name, net->hosts[i]->name)) return net->hosts[i];
    return NULL;
}

static bool cut_between(const qd_sim_net *net, const sim_host *a, const sim_host *b)
{
    return net->cut[a->index][b->index] || net->cut[b->index][a->index];
}

/* A dial reaches the other host, or does not. */
static void syn(void *arg)
{
    sim_conn *c = arg;
    qd_sim_net *net = c->net;
    sim_end *d = &c->ends[0], *a = &c->ends[1];
    qd_wire_listener *l = NULL;
    if (d->over || d->host->dead) {
        if (!d->over) finish(d, QD_WIRE_UNREACHABLE, "no answer");
        conn_unref(c);
        return;
    }
    if (!a->host || cut_between(net, d->host, a->host)) {
        if (now(net) >= c->give_up_ns || !a->host) {
            finish(d, QD_WIRE_UNREACHABLE, a->host ? "no answer" : "no such host");
        } else {
            c->refs++;
            int rc = qd_sim_after(net->sim, RETRY_NS, syn, c);
            qd_assert(rc == 0);
        }
        conn_unref(c);
        return;
    }
    for (l = a->host->dead ? NULL : a->host->listeners; l && l->port != c->port;) l = l->next;
    if (!l || l->done) {
        finish(d, QD_WIRE_REFUSED, "connection refused");
        conn_unref(c);
        return;
    }
    a->made = a->open = d->open = true;
    a->paused = true;
    a->loop = l->loop;
    a->listener = l;
    a->ev_accept = true;
    c->refs++; /* of the accepted end, until told */
    wake(a);
    d->ev_opened = true;
    wake(d);
    conn_unref(c);
}

static int op_dial(qd_wire *wire, qd_loop *loop, qd_str address, uint64_t timeout_ns,
                   const qd_wire_user *user, void *arg, qd_wire_link **out, qd_err *err)
{
    sim_host *h = (sim_host *)(void *)wire;
    qd_sim_net *net = h->net;
    uint64_t port = 0;
    size_t colon = address.n;
    while (colon && address.p[colon - 1] != ':') colon--;
    if (!colon || !qd_str_u64(qd_str_sub(address, colon, address.n), &port) || port > 65535)
        return qd_err_set(err, QD_E_ARG, "[%.*s] is no address", QD_STR_ARG(address));
    sim_conn *c = qd_calloc(&net->account, sizeof *c);
    if (!c) return qd_err_nomem(err, "a simulated connection");
    c->net = net;
    QD_LIST_PUSH(net->conns, c);
    c->port = (uint16_t)port;
    c->give_up_ns = now(net) + timeout_ns;
    c->refs = 2; /* the dialing end, until told; the syn */
    for (int i = 0; i < 2; i++) {
        sim_end *e = &c->ends[i];
        e->conn = c;
        e->way.last = &e->way.first;
        e->mail.last = &e->mail.first;
    }
    sim_end *d = &c->ends[0], *a = &c->ends[1];
    d->host = h;
    a->host = host_named(net, qd_str_sub(address, 0, colon - 1));
    d->made = true;
    d->loop = loop;
    d->link.wire = wire;
    d->link.user = user;
    d->link.arg = arg;
    if (a->host) a->link.wire = &a->host->wire;
    snprintf(d->link.remote, sizeof d->link.remote, "%.*s", QD_STR_ARG(address));
    snprintf(a->link.remote, sizeof a->link.remote, "%.50s:%u", h->name, 40000u);
    int rc = qd_sim_after(net->sim, latency(net), syn, c);
    qd_assert(rc == 0);
    *out = &d->link;
    return 0;
}

static int op_listen(qd_wire *wire, qd_loop *loop, const char *host, uint16_t port, bool shared,
                     qd_wire_accept_fn fn, void *arg, qd_wire_listener **out, qd_err *err)
{
    sim_host *h = (sim_host *)(void *)wire;
    (void)host, (void)shared;
    if (!port) port = ++h->next_port;
    for (qd_wire_listener *l = h->listeners; l; l = l->next)
        if (l->port == port) return qd_err_set(err, QD_E_EXISTS, "address already in use");
    qd_wire_listener *l = qd_calloc(&h->net->account, sizeof *l);
    if (!l) return qd_err_nomem(err, "a listener");
    *l = (qd_wire_listener){
        .next = h->listeners, .host = h, .port = port, .loop = loop, .fn = fn, .arg = arg};
    h->listeners = l;
    *out = l;
    return 0;
}

static uint16_t op_port(const qd_wire_listener *l)
{
    return l->port;
}

static void listener_gone(qd_post *post)
{
    qd_wire_listener *l = QD_CONTAINER_OF(post, qd_wire_listener, post);
    void (*done)(void *arg) = l->done;
    void *arg = l->done_arg;
    qd_free(l);
    done(arg);
}

static void op_unlisten(qd_wire_listener *l, void (*done)(void *arg), void *arg)
{
    for (qd_wire_listener **at = &l->host->listeners; *at; at = &(*at)->next) {
        if (*at != l) continue;
        *at = l->next;
        break;
    }
    /* links that it was about to be told are cut */
    for (sim_conn *c = l->host->net->conns; c; c = c->next) {
        sim_end *a = &c->ends[1];
        if (!a->ev_accept || a->listener != l) continue;
        a->ev_accept = false;
        finish(a, QD_WIRE_LOCAL, "closed");
        send_kind(&c->ends[0], PIECE_RESET);
    }
    l->done = done;
    l->done_arg = arg;
    l->post.fn = listener_gone;
    qd_loop_post(l->loop, &l->post);
}

/* --- links --- */

/* Is the piece one whole post, alone in its frame? */
static bool one_post(const piece *p)
{
    frame_head h;
    return p->n > FRAME_HEAD && !qdi_frame_get(p->bytes, &h) && h.type == FRAME_POST &&
           (h.flags & FRAME_FIRST) && (h.flags & FRAME_END) && p->n == FRAME_HEAD + h.length;
}

static piece *piece_of(qd_sim_net *net, const void *p, size_t n)
{
    piece *out = qd_alloc(&net->account, sizeof *out + n);
    qd_assert(out != NULL);
    *out = (piece){.kind = PIECE_DATA, .n = n};
    memcpy(out->bytes, p, n);
    return out;
}

/* Frames of posts may come twice or behind the next. */
static void send_frames(sim_end *to, const uint8_t *p, size_t n)
{
    qd_sim_net *net = to->conn->net;
    piece *held = NULL;
    while (n) {
        frame_head h;
        size_t take = n;
        if (n >= FRAME_HEAD && !qdi_frame_get(p, &h) && FRAME_HEAD + (size_t)h.length <= n)
            take = FRAME_HEAD + h.length;
        piece *f = piece_of(net, p, take);
        bool post = one_post(f);
        to->unread += take;
        if (post && !held && chance(net, net->faults.reorder_ppm)) {
            held = f;
        } else {
            bool again = post && chance(net, net->faults.double_ppm);
            piece *twice = again ? piece_of(net, f->bytes, f->n) : NULL;
            send_to(to, f);
            if (twice) {
                to->unread += take;
                send_to(to, twice);
            }
            if (held) send_to(to, held);
            held = NULL;
        }
        p += take;
        n -= take;
    }
    if (held) send_to(to, held);
}

static void break_conn(sim_conn *c)
{
    for (int i = 0; i < 2; i++) {
        sim_end *e = &c->ends[i];
        if (!e->made || e->over) continue;
        queue_free(&e->way);
        e->last_due_ns = 0;
        send_kind(e, PIECE_RESET);
    }
}

static int op_write(qd_wire_link *link, const qd_iovec *pieces_, uint32_t n)
{
    sim_end *e = of(link), *to = other(e);
    qd_sim_net *net = e->conn->net;
    size_t total = 0, at = 0;
    qd_assert(!e->pending);
    if (e->over || !e->open) return QD_E_CLOSED;
    for (uint32_t i = 0; i < n; i++) total += pieces_[i].len;
    if (chance(net, net->faults.break_ppm)) {
        break_conn(e->conn);
        return 1; /* into the void, as TCP would */
    }
    uint8_t *all = qd_alloc(&net->account, total ? total : 1);
    qd_assert(all != NULL);
    for (uint32_t i = 0; i < n; i++) {
        memcpy(all + at, pieces_[i].data, pieces_[i].len);
        at += pieces_[i].len;
    }
    bool fits = to->unread < WINDOW;
    if (fits)
        send_frames(to, all, total);
    else
        e->pending = piece_of(net, all, total);
    qd_free(all);
    return fits ? 1 : 0;
}

static void op_pause(qd_wire_link *link, bool on)
{
    sim_end *e = of(link);
    e->paused = on;
    if (!on) wake(e);
}

static void op_close(qd_wire_link *link, bool flush)
{
    sim_end *e = of(link);
    (void)flush;
    if (e->over) return;
    if (e->open) {
        if (e->pending) send_to(other(e), e->pending);
        e->pending = NULL;
        send_kind(other(e), PIECE_FIN);
    }
    finish(e, QD_WIRE_LOCAL, "closed");
}

static size_t op_backlog(const qd_wire_link *link)
{
    const sim_end *e = of(link);
    return e->pending ? e->pending->n + other(of(link))->unread : 0;
}

static bool op_named(const qd_wire_link *link, qd_str name)
{
    (void)link, (void)name;
    return false;
}

static const qd_wire_ops ops = {
    .listen = op_listen,
    .port = op_port,
    .unlisten = op_unlisten,
    .dial = op_dial,
    .write = op_write,
    .pause = op_pause,
    .close = op_close,
    .backlog = op_backlog,
    .named = op_named,
};

/* --- the network --- */

int qd_sim_net_open(qd_sim *sim, qd_sim_net **out, qd_err *err)
{
    qd_sim_net *net = qd_calloc(NULL, sizeof *net);
    if (!net) return qd_err_nomem(err, "a simulated network");
    net->sim = sim;
    qd_account_init(&net->account, "simulated network", NULL, 0);
    net->faults.latency_min_ns = 50000;
    net->faults.latency_max_ns = 1000000;
    *out = net;
    return 0;
}

void qd_sim_net_close(qd_sim_net *net)
{
    if (!net) return;
    /* dials that were given up may have an event left */
    for (int i = 0; net->conns && i < 1000; i++) qd_sim_run_idle(net->sim, RETRY_NS);
    qd_assert(net->conns == NULL);
    for (uint32_t i = 0; i < net->nhosts; i++) {
        qd_assert(net->hosts[i]->listeners == NULL);
        qd_free(net->hosts[i]);
    }
    qd_free(net);
}

qd_wire *qd_sim_net_wire(qd_sim_net *net, const char *name)
{
    sim_host *h = host_named(net, qd_str_c(name));
    if (h) return &h->wire;
    if (net->nhosts == HOSTS_MAX || !(h = qd_calloc(&net->account, sizeof *h))) return NULL;
    h->wire.ops = &ops;
    h->net = net;
    h->index = net->nhosts;
    h->next_port = 20000;
    snprintf(h->name, sizeof h->name, "%s", name);
    net->hosts[net->nhosts++] = h;
    return &h->wire;
}

void qd_sim_net_faults_set(qd_sim_net *net, const qd_sim_net_faults *faults)
{
    qd_assert(faults->latency_max_ns >= faults->latency_min_ns);
    net->faults = *faults;
}

static bool meant(const sim_host *h, const char *name)
{
    return !name || strcmp(h->name, name) == 0;
}

void qd_sim_net_cut(qd_sim_net *net, const char *from, const char *to, bool cut)
{
    for (uint32_t i = 0; i < net->nhosts; i++)
        for (uint32_t k = 0; k < net->nhosts; k++)
            if (i != k && meant(net->hosts[i], from) && meant(net->hosts[k], to))
                net->cut[i][k] = cut;
}

void qd_sim_net_heal(qd_sim_net *net)
{
    memset(net->cut, 0, sizeof net->cut);
}

void qd_sim_net_break(qd_sim_net *net, const char *a, const char *b)
{
    for (sim_conn *c = net->conns; c; c = c->next) {
        const sim_host *x = c->ends[0].host, *y = c->ends[1].host;
        if (!y || !c->ends[1].made) continue;
        if ((meant(x, a) && meant(y, b)) || (meant(x, b) && meant(y, a))) break_conn(c);
    }
}

void qd_sim_net_kill(qd_sim_net *net, const char *name)
{
    sim_host *h = host_named(net, qd_str_c(name));
    if (!h || h->dead) return;
    for (sim_conn *c = net->conns; c; c = c->next) {
        for (int i = 0; i < 2; i++) {
            sim_end *e = &c->ends[i];
            if (e->host != h || !e->made || e->over) continue;
            if (e->open && !other(e)->over) send_kind(other(e), PIECE_RESET);
            finish(e, QD_WIRE_CLOSED, "this host is dead");
        }
    }
    h->dead = true;
}

void qd_sim_net_revive(qd_sim_net *net, const char *name)
{
    sim_host *h = host_named(net, qd_str_c(name));
    if (h) h->dead = false;
}
