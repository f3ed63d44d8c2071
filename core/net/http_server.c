/*
 * http_server.c: listening on several loops. Each loop has its own socket on the one port
 * (SO_REUSEPORT), so that the kernel spreads connections and no loop hands any over.
 */
#include "base/log.h"
#include "net/http_int.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#define IDLE_NS UINT64_C(100000000) /* for a request that is on its way on an idle connection */

static void on_connection(uv_stream_t *s, int status)
{
    http_listener *l = s->data;
    if (status == 0) qdi_http_conn_accept(l);
}

/* Binds a fresh handle; shared: other sockets of this server bind the same port. An error of uv. */
static int bind_handle(uv_loop_t *loop, uv_tcp_t *tcp, const struct sockaddr *sa, bool shared)
{
    int on = 1, n = sizeof(struct sockaddr_storage), rc = uv_tcp_init_ex(loop, tcp, sa->sa_family);
    uv_os_fd_t fd;
    struct sockaddr_storage bound;
    if (rc) return rc;
    if (shared && !(rc = uv_fileno((uv_handle_t *)tcp, &fd)) &&
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on)) {
        rc = uv_translate_sys_error(errno);
    }
    if (!rc) rc = uv_tcp_bind(tcp, sa, 0);
    /* an address in use shows here, not in bind */
    if (!rc) rc = uv_tcp_getsockname(tcp, (struct sockaddr *)&bound, &n);
    return rc;
}

static void on_probe_closed(uv_handle_t *h)
{
    qd_free(h);
}

/* A shared port would let another process in that shares too: nobody else may have it. */
static int probe(uv_loop_t *loop, const struct sockaddr *sa)
{
    uv_tcp_t *tcp = qd_calloc(NULL, sizeof *tcp);
    if (!tcp) return UV_ENOMEM;
    int rc = bind_handle(loop, tcp, sa, false);
    uv_close((uv_handle_t *)tcp, on_probe_closed);
    return rc;
}

static int address_of(const qd_http_config *c, uint16_t port, struct sockaddr_storage *out,
                      socklen_t *n)
{
    if (uv_ip4_addr(c->host, port, (struct sockaddr_in *)(void *)out) == 0) {
        *n = sizeof(struct sockaddr_in);
        return 0;
    }
    if (uv_ip6_addr(c->host, port, (struct sockaddr_in6 *)(void *)out) == 0) {
        *n = sizeof(struct sockaddr_in6);
        return 0;
    }
    return -1;
}

/* Something to be done on a listener's loop while the caller waits. */
typedef struct command {
    qd_post post; /* first */
    http_listener *l;
    qd_latch latch;
} command;

static void on_retry(qd_timer *t)
{
    qdi_http_conn_accept(t->user);
}

/* On the listener's loop: begin to listen. */
static void start_here(qd_post *post)
{
    command *cmd = (command *)(void *)post;
    http_listener *l = cmd->l;
    qd_http_server *s = l->server;
    struct sockaddr_storage sa;
    socklen_t n = 0;
    bool shared = s->c.nloops > 1;
    uv_loop_t *loop = qd_loop_uv(l->loop);
    qd_timer_init(&l->retry, l->loop, on_retry, l);
    l->rc = address_of(&s->c, s->port, &sa, &n) ? UV_EINVAL : 0;
    if (!l->rc && shared && l == s->listeners && s->port)
        l->rc = probe(loop, (struct sockaddr *)&sa);
    if (!l->rc) {
        l->rc = bind_handle(loop, &l->tcp, (struct sockaddr *)&sa, shared);
        l->tcp.data = l;
        if (!l->rc) l->rc = uv_listen((uv_stream_t *)&l->tcp, (int)s->c.backlog, on_connection);
        l->listening = true; /* also after a failure: the handle is to be closed */
        if (!l->rc) {
            int len = sizeof sa;
            if (uv_tcp_getsockname(&l->tcp, (struct sockaddr *)&sa, &len) == 0) {
                uint16_t p = sa.ss_family == AF_INET
                                 ? ((struct sockaddr_in *)(void *)&sa)->sin_port
                                 : ((struct sockaddr_in6 *)(void *)&sa)->sin6_port;
                s->port = (uint16_t)((p & 0xff) << 8 | p >> 8);
            }
        }
    }
    qd_latch_done(&cmd->latch, 0);
}

static void run_on(http_listener *l, void (*fn)(qd_post *))
{
    command cmd = {.l = l};
    qd_latch_init(&cmd.latch, 1);
    cmd.post.fn = fn;
    qd_loop_post(l->loop, &cmd.post);
    (void)qd_latch_wait(&cmd.latch);
}

void qdi_http_listener_told(http_listener *l)
{
    qd_latch *latch = l->closed;
    if (!latch || l->open || l->listening || l->exchanges) return;
    l->closed = NULL;
    qd_latch_done(latch, 0);
}

static void on_listener_closed(uv_handle_t *h)
{
    http_listener *l = h->data;
    l->listening = false;
    qdi_http_listener_told(l);
}

static void stop_listening(http_listener *l)
{
    qd_timer_stop(&l->retry);
    if (l->listening && !uv_is_closing((uv_handle_t *)&l->tcp)) {
        uv_close((uv_handle_t *)&l->tcp, on_listener_closed);
    }
}

static void close_here(qd_post *post)
{
    command *cmd = (command *)(void *)post;
    http_listener *l = cmd->l;
    stop_listening(l);
    for (http_conn *c = l->first; c; c = c->next) qdi_http_conn_close(c);
    l->closed = &cmd->latch;
    qdi_http_listener_told(l);
}

static void unlisten_here(qd_post *post)
{
    command *cmd = (command *)(void *)post;
    stop_listening(cmd->l);
    qd_latch_done(&cmd->latch, 0);
}

static void drain_here(qd_post *post)
{
    command *cmd = (command *)(void *)post;
    http_listener *l = cmd->l;
    for (http_conn *c = l->first; c; c = c->next) {
        if (!c->x && !c->close_after) qdi_http_conn_close(c);
    }
    qd_latch_done(&cmd->latch, 0);
}

static void server_free(qd_http_server *s)
{
    for (uint32_t i = 0; s->listeners && i < s->c.nloops; i++) {
        qdi_http_spares_free(&s->listeners[i]);
        qd_free(s->listeners[i].read_buf);
    }
    qd_cond_fini(&s->idle);
    qd_mutex_fini(&s->lock);
    qd_free(s->listeners);
    qd_free(s->server_headers);
    qd_free(s);
}

int qd_http_listen(const qd_http_config *c, qd_http_server **out, qd_err *err)
{
    qd_http_server *s = qd_calloc(NULL, sizeof *s);
    if (!s) return qd_err_nomem(err, "HTTP server");
    s->c = *c;
    qd_mutex_init(&s->lock);
    qd_cond_init(&s->idle);
    s->port = c->port;
    snprintf(s->host, sizeof s->host, "%s", c->host);
    s->c.host = s->host;
    s->server_headers = qd_memdup(NULL, c->server_headers, strlen(c->server_headers));
    s->listeners = qd_calloc(NULL, c->nloops * sizeof *s->listeners);
    bool full = s->server_headers && s->listeners;
    for (uint32_t i = 0; full && i < c->nloops; i++) {
        s->listeners[i].server = s;
        s->listeners[i].loop = c->loops[i];
        s->listeners[i].read_buf = qd_alloc(NULL, HTTP_READ_BYTES);
        full = s->listeners[i].read_buf != NULL;
    }
    if (!full) {
        server_free(s);
        return qd_err_nomem(err, "HTTP server");
    }
    int rc = 0;
    for (uint32_t i = 0; i < c->nloops && !rc; i++) {
        run_on(&s->listeners[i], start_here);
        rc = s->listeners[i].rc;
    }
    if (rc) {
        int code = qd_err_set(err, QD_E_IO, "cannot listen for HTTP on [%s:%u]: %s%s", c->host,
                              c->port, uv_strerror(rc),
                              rc == UV_EADDRINUSE ? " (is another node or server running here? "
                                                    "http.port or metrics.port sets another one)"
                              : rc == UV_EADDRNOTAVAIL
                                  ? " (network.host or http.host is no address of this machine)"
                                  : "");
        qd_http_close(s);
        return code;
    }
    bool v6 = strchr(s->host, ':') != NULL;
    snprintf(s->address, sizeof s->address, v6 ? "[%s]:%u" : "%s:%u", s->host, s->port);
    *out = s;
    return 0;
}

qd_str qd_http_address(const qd_http_server *s)
{
    return qd_str_c(s->address);
}
uint16_t qd_http_port(const qd_http_server *s)
{
    return s->port;
}

static void wait_closed(qd_http_server *s, uint64_t until)
{
    qd_mutex_lock(&s->lock);
    while (atomic_load(&s->open) && qd_cond_wait_until(&s->idle, &s->lock, until) == 0) {}
    qd_mutex_unlock(&s->lock);
}

void qd_http_drain(qd_http_server *s, uint64_t wait_ns)
{
    uint64_t until = qd_env_mono_ns(s->c.env) + wait_ns;
    uint64_t idle = qd_env_mono_ns(s->c.env) + (wait_ns < IDLE_NS ? wait_ns : IDLE_NS);
    atomic_store(&s->draining, true);
    for (uint32_t i = 0; i < s->c.nloops; i++) run_on(&s->listeners[i], unlisten_here);
    wait_closed(s, idle);
    for (uint32_t i = 0; i < s->c.nloops; i++) run_on(&s->listeners[i], drain_here);
    wait_closed(s, until);
}

void qd_http_close(qd_http_server *s)
{
    if (!s) return;
    for (uint32_t i = 0; i < s->c.nloops; i++) run_on(&s->listeners[i], close_here);
    server_free(s);
}

void qd_http_stats_get(qd_http_server *s, qd_http_stats *out)
{
    *out = (qd_http_stats){
        .open = atomic_load(&s->open),
        .opened = atomic_load(&s->opened),
        .requests = atomic_load(&s->requests),
        .bytes_in = atomic_load(&s->bytes_in),
        .bytes_out = atomic_load(&s->bytes_out),
        .rejected = atomic_load(&s->rejected),
    };
}
