/*
 * wire_tcp.c: links over TCP: looked up, dialed one address after the other, accepted, read,
 * written, closed. A link is freed in the last callback of libuv, after its user was told `closed`.
 */
#include "base/log.h"
#include "net/wire_int.h"
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

static tcp_link *of(const qd_wire_link *l)
{
    return (tcp_link *)(void *)(uintptr_t)l;
}

/* --- ending --- */

static void finish(tcp_link *l)
{
    if (l->resolving || !l->tcp_closed) return;
    qd_timer_stop(&l->timer);
    if (!l->user_told && l->base.user) {
        l->user_told = true;
        l->base.user->closed(l->base.arg, l->end, l->reason);
    }
    qdi_tls_end(l);
    qd_free(l);
}

static void on_closed(uv_handle_t *h)
{
    tcp_link *l = h->data;
    l->tcp_closed = true;
    finish(l);
}

static void close_now(tcp_link *l)
{
    if (l->state == LINK_CLOSING) return;
    l->state = LINK_CLOSING;
    qd_timer_stop(&l->timer);
    if (!uv_is_closing((uv_handle_t *)&l->tcp)) uv_close((uv_handle_t *)&l->tcp, on_closed);
}

void qdi_link_end(tcp_link *l, qd_wire_end end, const char *reason)
{
    if (l->state == LINK_CLOSING) return;
    if (l->state != LINK_FLUSHING) {
        l->end = end;
        snprintf(l->reason, sizeof l->reason, "%s", reason);
    }
    close_now(l);
}

static void end_uv(tcp_link *l, int status)
{
    char text[192];
    snprintf(text, sizeof text, "%s",
             status == UV_EOF ? "closed by the other side" : uv_strerror(status));
    if (l->dialed && l->state == LINK_SECURING)
        snprintf(text, sizeof text,
                 "closed by the other side instead of a TLS handshake: is "
                 "security.transport.ssl.enabled set there, and the port right?");
    qdi_link_end(l, QD_WIRE_CLOSED, text);
}

static void on_shutdown(uv_shutdown_t *s, int status)
{
    tcp_link *l = s->data;
    if (status < 0) close_now(l); /* else: until the other side closes, or the timer */
}

static void dial_next(tcp_link *l);

static void on_timer(qd_timer *t)
{
    tcp_link *l = t->user;
    if (l->state == LINK_FLUSHING) {
        close_now(l);
    } else if (l->state == LINK_CONNECTING && l->at + 1 < l->resolve.n) {
        l->all_refused = false; /* of several addresses the next one may answer */
        l->at++;
        dial_next(l);
    } else
        qdi_link_end(l, QD_WIRE_UNREACHABLE,
                     l->state == LINK_SECURING ? "no answer to the TLS handshake" : "no answer");
}

static void reading(tcp_link *l);

static void op_close(qd_wire_link *link, bool flush)
{
    tcp_link *l = of(link);
    if (l->state == LINK_CLOSING || l->state == LINK_FLUSHING) return;
    l->end = QD_WIRE_LOCAL;
    snprintf(l->reason, sizeof l->reason, "closed");
    if (!flush || l->state != LINK_OPEN || qd_timer_start(&l->timer, WIRE_LINGER_NS, 0)) {
        close_now(l);
        return;
    }
    qdi_tls_bye(l);
    if (l->state != LINK_OPEN) return;
    l->state = LINK_FLUSHING;
    l->paused = false;
    reading(l);
    l->shutdown.data = l;
    if (uv_shutdown(&l->shutdown, (uv_stream_t *)&l->tcp, on_shutdown)) close_now(l);
}

/* --- reading --- */

bool qdi_link_data(tcp_link *l, const uint8_t *p, size_t n)
{
    if (l->state == LINK_OPEN) l->base.user->data(l->base.arg, p, n);
    return l->state == LINK_OPEN;
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
    tcp_link *l = h->data;
    (void)suggested;
    *buf = uv_buf_init(l->read_buf, WIRE_READ_BYTES);
}

/* The first bytes of an accepted link where TLS is demanded: TLS begins with a record of type 22.
 */
static bool begin_tls(tcp_link *l, uint8_t first)
{
    if (first != 22) {
        l->base.plain = true;
        l->state = LINK_OPEN;
        return true;
    }
    qd_mutex_lock(&l->wire->lock);
    tls_files *f = qdi_tls_files_ref(l->wire->files);
    qd_mutex_unlock(&l->wire->lock);
    int rc = qdi_tls_begin(l, f);
    qdi_tls_files_unref(f);
    if (rc) qdi_link_end(l, QD_WIRE_BROKEN, "out of memory");
    return rc == 0;
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
    tcp_link *l = s->data;
    if (n < 0) {
        end_uv(l, (int)n);
        return;
    }
    if (n == 0 || l->state == LINK_FLUSHING) return;
    const uint8_t *p = (const uint8_t *)buf->base;
    if (l->state == LINK_SECURING && !l->tls && !begin_tls(l, p[0])) return;
    if (l->tls)
        qdi_tls_feed(l, p, (size_t)n);
    else
        (void)qdi_link_data(l, p, (size_t)n);
}

static void reading(tcp_link *l)
{
    bool want = !l->paused && l->state != LINK_CLOSING && l->state >= LINK_SECURING;
    if (want == l->reading) return;
    l->reading = want;
    if (!want)
        uv_read_stop((uv_stream_t *)&l->tcp);
    else if (uv_read_start((uv_stream_t *)&l->tcp, on_alloc, on_read))
        qdi_link_end(l, QD_WIRE_BROKEN, "cannot read");
}

static void op_pause(qd_wire_link *link, bool on)
{
    tcp_link *l = of(link);
    if (l->state == LINK_FLUSHING || l->state == LINK_CLOSING) return;
    l->paused = on;
    reading(l);
}

/* --- writing --- */

void qdi_link_written(tcp_link *l)
{
    if (l->state == LINK_OPEN) l->base.user->written(l->base.arg);
}

static void on_written(uv_write_t *w, int status)
{
    tcp_link *l = w->data;
    l->write_busy = false;
    if (status < 0)
        end_uv(l, status);
    else
        qdi_link_written(l);
}

int qdi_link_write(tcp_link *l, const qd_iovec *pieces, uint32_t n)
{
    uv_buf_t bufs[QD_WIRE_PIECES_MAX];
    qd_assert(n > 0 && n <= QD_WIRE_PIECES_MAX && !l->write_busy);
    if (l->state != LINK_OPEN) return QD_E_CLOSED;
    for (uint32_t i = 0; i < n; i++)
        bufs[i] = uv_buf_init((char *)(uintptr_t)pieces[i].data, (unsigned)pieces[i].len);
    int done = uv_try_write((uv_stream_t *)&l->tcp, bufs, n);
    if (done < 0 && done != UV_EAGAIN) {
        end_uv(l, done);
        return QD_E_CLOSED;
    }
    size_t sent = done > 0 ? (size_t)done : 0;
    uint32_t i = 0;
    while (i < n && sent >= bufs[i].len) sent -= bufs[i++].len;
    if (i == n) return 1;
    bufs[i].base += sent;
    bufs[i].len -= sent;
    l->write.data = l;
    int rc = uv_write(&l->write, (uv_stream_t *)&l->tcp, bufs + i, n - i, on_written);
    if (rc) {
        end_uv(l, rc);
        return QD_E_CLOSED;
    }
    l->write_busy = true;
    return 0;
}

typedef struct own_write {
    uv_write_t w; /* first */
    tcp_link *l;
    char bytes[];
} own_write;

static void on_own_written(uv_write_t *w, int status)
{
    own_write *o = (own_write *)(void *)w;
    if (status < 0 && status != UV_ECANCELED) end_uv(o->l, status);
    qd_free(o);
}

bool qdi_link_send(tcp_link *l, const void *p, size_t n)
{
    own_write *o = qd_alloc(l->wire->c.account, sizeof *o + n);
    if (!o) {
        qdi_link_end(l, QD_WIRE_BROKEN, "out of memory");
        return false;
    }
    o->l = l;
    memcpy(o->bytes, p, n);
    uv_buf_t b = uv_buf_init(o->bytes, (unsigned)n);
    int rc = uv_write(&o->w, (uv_stream_t *)&l->tcp, &b, 1, on_own_written);
    if (rc) {
        qd_free(o);
        end_uv(l, rc);
        return false;
    }
    return true;
}

static int op_write(qd_wire_link *link, const qd_iovec *pieces, uint32_t n)
{
    tcp_link *l = of(link);
    return l->tls ? qdi_tls_write(l, pieces, n) : qdi_link_write(l, pieces, n);
}

static size_t op_backlog(const qd_wire_link *link)
{
    return uv_stream_get_write_queue_size((const uv_stream_t *)&of(link)->tcp);
}

static bool op_named(const qd_wire_link *link, qd_str name)
{
    const tcp_link *l = of(link);
    return l->tls && qdi_tls_named(l, name);
}

/* --- making --- */

/* The loop's shared memory; NULL when there is none to be had. */
static char *read_buf_of(tcp_wire *w, qd_loop *loop)
{
    char *buf = NULL;
    qd_mutex_lock(&w->lock);
    uint32_t i = 0;
    while (i < w->nloops && w->loops[i].loop != loop) i++;
    if (i < w->nloops) {
        buf = w->loops[i].read_buf;
    } else if (w->nloops < WIRE_LOOPS_MAX && (buf = qd_alloc(w->c.account, WIRE_READ_BYTES))) {
        w->loops[w->nloops++] = (tcp_loop){loop, buf};
    }
    qd_mutex_unlock(&w->lock);
    return buf;
}

static tcp_link *link_make(tcp_wire *w, qd_loop *loop)
{
    char *buf = read_buf_of(w, loop);
    tcp_link *l = buf ? qd_calloc(w->c.account, sizeof *l) : NULL;
    if (!l) return NULL;
    l->base.wire = &w->base;
    l->wire = w;
    l->loop = loop;
    l->read_buf = buf;
    l->paused = true;
    qd_timer_init(&l->timer, loop, on_timer, l);
    if (uv_tcp_init(qd_loop_uv(loop), &l->tcp)) {
        qd_free(l);
        return NULL;
    }
    l->tcp.data = l;
    return l;
}

static void sockaddr_text(const struct sockaddr_storage *sa, char out[64])
{
    char ip[48] = "?";
    bool v6 = sa->ss_family == AF_INET6;
    uint16_t port;
    if (v6) {
        const struct sockaddr_in6 *a = (const struct sockaddr_in6 *)(const void *)sa;
        uv_ip6_name(a, ip, sizeof ip);
        port = a->sin6_port;
    } else {
        const struct sockaddr_in *a = (const struct sockaddr_in *)(const void *)sa;
        uv_ip4_name(a, ip, sizeof ip);
        port = a->sin_port;
    }
    port = (uint16_t)((port & 0xff) << 8 | port >> 8);
    snprintf(out, 64, v6 ? "[%s]:%u" : "%s:%u", ip, port);
}

static void connected(tcp_link *l)
{
    struct sockaddr_storage sa;
    int n = sizeof sa;
    uv_tcp_nodelay(&l->tcp, 1);
    uv_tcp_keepalive(&l->tcp, 1, 30);
    if (uv_tcp_getpeername(&l->tcp, (struct sockaddr *)&sa, &n) == 0)
        sockaddr_text(&sa, l->base.remote);
}

void qdi_link_opened(tcp_link *l)
{
    l->state = LINK_OPEN;
    if (!l->dialed) return;
    qd_timer_stop(&l->timer);
    l->base.user->opened(l->base.arg);
}

/* --- dialing --- */

static void on_connect(uv_connect_t *c, int status)
{
    tcp_link *l = c->data;
    if (l->state == LINK_CLOSING || status == UV_ECANCELED) return;
    if (status == 0) {
        connected(l);
        uint64_t now = qd_loop_now_ns(l->loop);
        if (l->resolve.n > 1 &&
            qd_timer_start(&l->timer, l->deadline_ns > now ? l->deadline_ns - now : 1, 0)) {
            qdi_link_end(l, QD_WIRE_BROKEN, "out of memory");
            return;
        }
        l->state = l->wire->base.secure ? LINK_SECURING : LINK_OPEN;
        l->paused = false;
        reading(l);
        if (l->state == LINK_SECURING)
            (void)begin_tls(l, 22);
        else if (l->state == LINK_OPEN)
            qdi_link_opened(l);
        return;
    }
    if (status != UV_ECONNREFUSED) l->all_refused = false;
    snprintf(l->reason, sizeof l->reason, "%s", uv_strerror(status));
    if (++l->at < l->resolve.n) {
        dial_next(l);
        return;
    }
    qdi_link_end(l, l->all_refused ? QD_WIRE_REFUSED : QD_WIRE_UNREACHABLE,
                 status == UV_ECONNREFUSED ? "connection refused" : uv_strerror(status));
}

static void to_sockaddr(const qd_addr *a, struct sockaddr_storage *out)
{
    uint16_t port = (uint16_t)((a->port & 0xff) << 8 | a->port >> 8);
    memset(out, 0, sizeof *out);
    if (a->len == 4) {
        struct sockaddr_in *s = (struct sockaddr_in *)(void *)out;
        s->sin_family = AF_INET;
        s->sin_port = port;
        memcpy(&s->sin_addr, a->ip, 4);
        return;
    }
    struct sockaddr_in6 *s = (struct sockaddr_in6 *)(void *)out;
    s->sin6_family = AF_INET6;
    s->sin6_port = port;
    s->sin6_scope_id = a->scope;
    memcpy(&s->sin6_addr, a->ip, 16);
}

static void on_reopened(uv_handle_t *h)
{
    tcp_link *l = h->data;
    l->tcp_closed = false;
    if (l->state == LINK_CLOSING || uv_tcp_init(qd_loop_uv(l->loop), &l->tcp)) {
        l->tcp_closed = true;
        l->state = LINK_CLOSING;
        finish(l);
        return;
    }
    l->tcp.data = l;
    dial_next(l);
}

/* Dials the next address; a handle that has failed once is closed and made anew before. */
static void dial_next(tcp_link *l)
{
    struct sockaddr_storage sa;
    if (l->tcp_made) {
        l->tcp_made = false;
        qd_timer_stop(&l->timer); /* the next address has a time of its own */
        uv_close((uv_handle_t *)&l->tcp, on_reopened);
        return;
    }
    /* each address has its share of the time that is left; the last one all of it */
    uint64_t now = qd_loop_now_ns(l->loop), left = l->deadline_ns > now ? l->deadline_ns - now : 1;
    if (l->resolve.n > 1 && qd_timer_start(&l->timer, left / (l->resolve.n - l->at) + 1, 0)) {
        qdi_link_end(l, QD_WIRE_BROKEN, "out of memory");
        return;
    }
    l->state = LINK_CONNECTING;
    l->tcp_made = true;
    l->connect.data = l;
    to_sockaddr(&l->resolve.addrs[l->at], &sa);
    int rc = uv_tcp_connect(&l->connect, &l->tcp, (struct sockaddr *)&sa, on_connect);
    if (rc) qdi_link_end(l, QD_WIRE_UNREACHABLE, uv_strerror(rc));
}

static void on_resolved(qd_resolve *r)
{
    tcp_link *l = r->user;
    l->resolving = false;
    if (l->state == LINK_CLOSING) {
        finish(l);
        return;
    }
    if (r->rc || !r->n) {
        char text[448];
        snprintf(text, sizeof text, "the name [%s] cannot be looked up: %s", l->host,
                 r->reason[0] ? r->reason : "no address");
        qdi_link_end(l, QD_WIRE_UNREACHABLE, text);
        return;
    }
    l->all_refused = true;
    dial_next(l);
}

/* Parts of "host:port", "[v6]:port". */
static int split_address(qd_str address, qd_str *host, uint16_t *port, qd_err *err)
{
    uint64_t n = 0;
    size_t colon = address.n;
    while (colon && address.p[colon - 1] != ':') colon--;
    if (colon) {
        *host = qd_str_sub(address, 0, colon - 1);
        if (host->n > 1 && host->p[0] == '[' && host->p[host->n - 1] == ']')
            *host = qd_str_sub(*host, 1, host->n - 2);
        if (host->n && host->n < 256 && qd_str_u64(qd_str_sub(address, colon, address.n), &n) &&
            n > 0 && n < 65536) {
            *port = (uint16_t)n;
            return 0;
        }
    }
    return qd_err_set(err, QD_E_ARG, "[%.*s] is no address of the form host:port",
                      (int)(address.n < 280 ? address.n : 280), address.p ? address.p : "");
}

static int op_dial(qd_wire *wire, qd_loop *loop, qd_str address, uint64_t timeout_ns,
                   const qd_wire_user *user, void *arg, qd_wire_link **out, qd_err *err)
{
    tcp_wire *w = (tcp_wire *)(void *)wire;
    qd_str host = {NULL, 0};
    uint16_t port = 0;
    int rc = split_address(address, &host, &port, err);
    if (rc) return rc;
    tcp_link *l = link_make(w, loop);
    if (!l) return qd_err_nomem(err, "a connection");
    l->dialed = true;
    l->base.user = user;
    l->base.arg = arg;
    snprintf(l->host, sizeof l->host, "%.*s", QD_STR_ARG(host));
    snprintf(l->base.remote, sizeof l->base.remote, "%.*s", QD_STR_ARG(address));
    l->resolving = true;
    l->deadline_ns = qd_loop_now_ns(loop) + timeout_ns;
    rc = qd_timer_start(&l->timer, timeout_ns, 0);
    if (rc) qd_err_nomem(err, "a connection");
    if (!rc)
        rc = qd_resolve_start(&l->resolve, w->c.resolver, loop, host, port, on_resolved, l, err);
    if (rc) { /* the handle goes alone, its user was told by the code */
        l->resolving = false;
        l->user_told = true;
        close_now(l);
        return rc;
    }
    *out = &l->base;
    return 0;
}

static uint32_t op_addresses(qd_wire *wire, qd_str address, char (*out)[QD_WIRE_ADDRESS_MAX],
                             uint32_t max)
{
    qd_str host;
    uint16_t port;
    qd_addr found[QD_RESOLVE_MAX];
    uint32_t n = 0;
    (void)wire;
    if (split_address(address, &host, &port, NULL) || qd_addr_parse(host, port, &found[0]) ||
        qd_resolve_now(host, port, found, QD_RESOLVE_MAX, &n, NULL))
        return 0;
    for (uint32_t i = 0; i < n && i < max; i++) {
        char text[QD_ADDR_TEXT_MAX];
        snprintf(out[i], QD_WIRE_ADDRESS_MAX, "%s", qd_addr_text(&found[i], true, text));
    }
    return n < max ? n : max;
}

/* --- listening --- */

static void on_connection(uv_stream_t *s, int status)
{
    qd_wire_listener *ls = s->data;
    if (status) return;
    tcp_link *l = link_make(ls->wire, ls->loop);
    if (!l) return;
    if (uv_accept(s, (uv_stream_t *)&l->tcp)) {
        l->user_told = true;
        close_now(l);
        return;
    }
    connected(l);
    l->state = ls->wire->base.secure ? LINK_SECURING : LINK_OPEN;
    ls->fn(ls->arg, &l->base);
    qd_assert(l->base.user || l->state == LINK_CLOSING);
}

/* Binds a fresh handle; an error of uv. */
static int bind_handle(qd_loop *loop, uv_tcp_t *tcp, const struct sockaddr_storage *sa, bool shared)
{
    int on = 1, n = sizeof *sa, rc = uv_tcp_init_ex(qd_loop_uv(loop), tcp, sa->ss_family);
    uv_os_fd_t fd;
    struct sockaddr_storage bound;
    if (!rc && shared && !(rc = uv_fileno((uv_handle_t *)tcp, &fd)) &&
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on))
        rc = uv_translate_sys_error(errno);
    if (!rc) rc = uv_tcp_bind(tcp, (const struct sockaddr *)sa, 0);
    if (!rc)
        rc = uv_tcp_getsockname(tcp, (struct sockaddr *)&bound, &n); /* a taken one shows here */
    return rc;
}

static void on_handle_closed(uv_handle_t *h)
{
    qd_free(h);
}

/* A shared port lets other processes in that share too: it must be nobody's before. */
static int probe(qd_loop *loop, const struct sockaddr_storage *sa)
{
    uv_tcp_t *tcp = qd_calloc(NULL, sizeof *tcp);
    if (!tcp) return UV_ENOMEM;
    int rc = bind_handle(loop, tcp, sa, false);
    if (tcp->type == UV_TCP)
        uv_close((uv_handle_t *)tcp, on_handle_closed);
    else
        qd_free(tcp);
    return rc;
}

static void on_listener_closed(uv_handle_t *h)
{
    qd_wire_listener *ls = h->data;
    if (ls->done) ls->done(ls->done_arg);
    qd_free(ls);
}

static int op_listen(qd_wire *wire, qd_loop *loop, const char *host, uint16_t port, bool shared,
                     qd_wire_accept_fn fn, void *arg, qd_wire_listener **out, qd_err *err)
{
    tcp_wire *w = (tcp_wire *)(void *)wire;
    qd_addr a;
    struct sockaddr_storage sa;
    int n = sizeof sa;
    if (!qd_addr_parse(qd_str_c(host), port, &a))
        return qd_err_set(err, QD_E_ARG, "[%s] is no numeric address", host);
    to_sockaddr(&a, &sa);
    qd_wire_listener *ls = qd_calloc(w->c.account, sizeof *ls);
    if (!ls) return qd_err_nomem(err, "a listener");
    *ls = (qd_wire_listener){.wire = w, .loop = loop, .fn = fn, .arg = arg};
    int rc = shared && port ? probe(loop, &sa) : 0;
    if (rc) {
        qd_free(ls);
    } else {
        rc = bind_handle(loop, &ls->tcp, &sa, shared);
        ls->tcp.data = ls;
        if (!rc) rc = uv_listen((uv_stream_t *)&ls->tcp, 512, on_connection);
        if (!rc) rc = uv_tcp_getsockname(&ls->tcp, (struct sockaddr *)&sa, &n);
        if (rc) uv_close((uv_handle_t *)&ls->tcp, on_listener_closed);
    }
    if (rc) {
        int code = rc == UV_EADDRINUSE ? QD_E_EXISTS : QD_E_IO;
        return qd_err_set(err, code, "%s", uv_strerror(rc));
    }
    uint16_t p = sa.ss_family == AF_INET ? ((struct sockaddr_in *)(void *)&sa)->sin_port
                                         : ((struct sockaddr_in6 *)(void *)&sa)->sin6_port;
    ls->port = (uint16_t)((p & 0xff) << 8 | p >> 8);
    *out = ls;
    return 0;
}

static uint16_t op_port(const qd_wire_listener *l)
{
    return l->port;
}

static void op_unlisten(qd_wire_listener *l, void (*done)(void *arg), void *arg)
{
    l->done = done;
    l->done_arg = arg;
    uv_close((uv_handle_t *)&l->tcp, on_listener_closed);
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
    .addresses = op_addresses,
};

int qd_wire_tcp_open(const qd_wire_tcp_config *config, qd_wire **out, qd_err *err)
{
    tcp_wire *w = qd_calloc(config->account, sizeof *w);
    if (!w) return qd_err_nomem(err, "the transport's sockets");
    w->base.ops = &ops;
    w->c = *config;
    qd_mutex_init(&w->lock);
    if (config->tls) {
        int rc = qdi_tls_files_open(config->tls, &w->files, err);
        if (rc) {
            qd_wire_tcp_close(&w->base);
            return rc;
        }
        qdi_tls_files_look(config->tls, w->files);
        w->base.secure = true;
        w->base.names = config->tls->verify == QD_WIRE_VERIFY_FULL;
    }
    w->c.tls = NULL;
    *out = &w->base;
    return 0;
}

void qd_wire_tcp_close(qd_wire *wire)
{
    tcp_wire *w = (tcp_wire *)(void *)wire;
    if (!w) return;
    for (uint32_t i = 0; i < w->nloops; i++) qd_free(w->loops[i].read_buf);
    qdi_tls_files_unref(w->files);
    qd_mutex_fini(&w->lock);
    qd_free(w);
}

int qd_wire_tcp_reload(qd_wire *wire, const qd_wire_tls *tls, qd_err *err)
{
    tcp_wire *w = (tcp_wire *)(void *)wire;
    tls_files *f = NULL;
    int rc = qdi_tls_files_open(tls, &f, err);
    if (rc) return rc;
    qdi_tls_files_look(tls, f);
    qd_mutex_lock(&w->lock);
    tls_files *old = w->files;
    w->files = f;
    qd_mutex_unlock(&w->lock);
    qdi_tls_files_unref(old);
    return 0;
}

int qd_wire_tls_check(const qd_wire_tls *tls, qd_err *err)
{
    tls_files *f = NULL;
    int rc = qdi_tls_files_open(tls, &f, err);
    if (!rc) qdi_tls_files_unref(f);
    return rc;
}
