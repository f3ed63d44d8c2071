/*
 * http_conn.c: one connection: bytes in, requests out, written bytes, time-outs. Everything here
 * runs on the connection's loop.
 */
#include "base/list.h"
#include "base/log.h"
#include "net/http_int.h"
#include <stdio.h>
#include <string.h>

static void process(http_conn *c);
static void flush(http_conn *c);
static void reading(http_conn *c, bool on);

/* Each request moves the end of the time several times: the timer stays where it is when it fires
 * before the end anyway, and goes on from there. */
static void start_timer(http_conn *c, uint64_t ns)
{
    c->due_ns = qd_loop_now_ns(c->loop) + ns;
    if (qd_timer_running(&c->timer) && c->timer.due_ns <= c->due_ns) return;
    if (qd_timer_start(&c->timer, ns, 0)) qdi_http_conn_close(c);
}

static void stop_timer(http_conn *c)
{
    c->due_ns = 0;
}

/* Bytes of answers that the client has not taken yet. */
static size_t unsent(const http_conn *c)
{
    return c->out.n + c->writing.n - c->written;
}

static void shrink(http_conn *c, qd_buf *b)
{
    if (b->n || b->cap <= HTTP_KEEP_BYTES) return;
    qd_buf_fini(b);
    b->account = c->server->c.account; /* a large answer was charged elsewhere */
}

/* --- writing --- */

static void on_written(uv_write_t *w, int status)
{
    http_conn *c = w->data;
    size_t n = c->writing.n - c->written;
    c->write_busy = false;
    c->written = 0;
    qd_timer_stop(&c->write_timer);
    qd_buf_reset(&c->writing);
    shrink(c, &c->writing);
    qdi_http_exchange_written(c, n);
    if (status < 0) {
        qdi_http_conn_close(c);
        return;
    }
    flush(c);
    if (!c->closing && !c->close_after && c->in.n) process(c); /* it waited for room */
}

/* A client that takes nothing of its answer for so long is given up. */
static void on_write_timer(qd_timer *t)
{
    http_conn *c = t->user;
    size_t left = uv_stream_get_write_queue_size((uv_stream_t *)&c->tcp);
    if (left >= c->write_left || qd_timer_start(t, qdi_http_read_ns(c->server), 0)) {
        qdi_http_conn_close(c);
    }
    c->write_left = left;
}

static void on_shutdown(uv_shutdown_t *s, int status)
{
    http_conn *c = s->data;
    if (status < 0) qdi_http_conn_close(c);
}

/* All has been sent. A client that is still sending must not lose the answer to a reset: what
 * comes is thrown away until it closes, or the time is up. */
static void last_written(http_conn *c)
{
    if (!c->linger || atomic_load(&c->server->draining)) {
        qdi_http_conn_close(c);
        return;
    }
    if (c->lingering) return;
    c->lingering = true;
    c->shutdown.data = c;
    qd_buf_fini(&c->in);
    if (uv_shutdown(&c->shutdown, (uv_stream_t *)&c->tcp, on_shutdown)) {
        qdi_http_conn_close(c);
        return;
    }
    uint64_t ns = qdi_http_read_ns(c->server);
    start_timer(c, ns < HTTP_LINGER_NS ? ns : HTTP_LINGER_NS);
    reading(c, true);
}

/* Sends what has been gathered: at once as far as the socket takes it, the rest by libuv. */
static void flush(http_conn *c)
{
    if (c->closing || c->write_busy || c->in_handler || c->lingering) return;
    if (c->out.n == 0) {
        if (c->close_after) last_written(c);
        return;
    }
    uv_buf_t b = uv_buf_init(c->out.p, (unsigned)c->out.n);
    int done = uv_try_write((uv_stream_t *)&c->tcp, &b, 1);
    if (done < 0 && done != UV_EAGAIN) {
        qdi_http_conn_close(c);
        return;
    }
    size_t sent = done > 0 ? (size_t)done : 0;
    atomic_fetch_add(&c->server->bytes_out, c->out.n);
    qdi_http_exchange_written(c, sent);
    if (sent == c->out.n) {
        qd_buf_reset(&c->out);
        shrink(c, &c->out);
        if (c->close_after) last_written(c);
        return;
    }
    qd_buf swap = c->writing;
    c->writing = c->out;
    c->out = swap;
    c->written = sent;
    c->write_busy = true;
    c->write.data = c;
    c->write_left = c->writing.n - sent;
    uv_buf_t rest = uv_buf_init(c->writing.p + sent, (unsigned)(c->writing.n - sent));
    if (qd_timer_start(&c->write_timer, qdi_http_read_ns(c->server), 0) ||
        uv_write(&c->write, (uv_stream_t *)&c->tcp, &rest, 1, on_written)) {
        c->write_busy = false;
        c->written = 0;
        qdi_http_conn_close(c);
    }
}

/* The answer is complete: the next request may begin. */
static void next_request(http_conn *c)
{
    bool unread = c->x && (qdi_http_unread(c) || c->x->fault);
    bool close = !c->x || c->x->want_close || unread || atomic_load(&c->server->draining) ||
                 (c->eof && c->at >= c->in.n);
    qdi_http_exchange_leave(c);
    c->head_done = c->head_begun = false;
    c->paused = false;
    if (close) {
        stop_timer(c);
        c->close_after = true;
        c->linger = unread || c->at < c->in.n;
        flush(c);
        return;
    }
    start_timer(c, c->eof ? HTTP_HALF_CLOSED_NS : qdi_http_keep_ns(c->server));
}

/* The answer came before the end of the body: the short rest is read and dropped. */
static bool discards(http_conn *c)
{
    qd_http_exchange *x = c->x;
    if (!x || x->want_close || !qdi_http_unread(c)) return false;
    if (x->discarding) return true;
    x->discarding = true;
    qdi_http_body_fini(&c->frame);
    c->frame.gzip = false;
    c->frame.out = c->frame.raw;
    c->frame.max = c->frame.raw + HTTP_DISCARD_MAX;
    c->paused = false;
    x->delivered = false;
    qd_buf_fini(&x->body);
    return true;
}

void qdi_http_conn_answered(http_conn *c, bool ended)
{
    if (ended && !discards(c)) next_request(c);
    flush(c);
    if (ended && !c->closing && !c->close_after) process(c);
}

/* --- requests that cannot be served --- */

static void refuse(http_conn *c, int status, const char *why)
{
    const qd_http_config *cfg = &c->server->c;
    qd_http_exchange *x = c->x;
    atomic_fetch_add(&c->server->rejected, 1);
    if (x && x->answering && !x->ended) { /* in the middle of an answer there is no other */
        qdi_http_conn_close(c);
        return;
    }
    if (!x || !x->answering) {
        qd_buf body;
        qd_buf_init(&body, cfg->account, 65536);
        if (cfg->handler.bad) cfg->handler.bad(cfg->handler.arg, status, why, &body);
        qdi_http_status_line(&c->out, status);
        (void)qd_buf_c(&c->out, c->server->server_headers);
        (void)qd_buf_printf(&c->out,
                            "content-type: application/json\r\ncontent-length: "
                            "%zu\r\nconnection: close\r\n\r\n",
                            body.n);
        if (!x || !x->head) (void)qd_buf_str(&c->out, qd_buf_view(&body));
        qd_buf_fini(&body);
    }
    if (x) {
        bool told = c->head_done && !x->ended; /* the handler will answer into nothing */
        bool untold = !c->head_done;
        qdi_http_exchange_leave(c);
        if (told) cfg->handler.gone(cfg->handler.arg, x);
        if (untold) qdi_http_exchange_unref(x);
    }
    c->close_after = c->linger = true;
    c->paused = false;
    c->at = c->in.n;
    reading(c, false);
    stop_timer(c);
    flush(c);
}

/* --- reading --- */

static int sink(void *arg, qd_str piece)
{
    http_conn *c = arg;
    qd_buf *b = &c->x->body;
    uint64_t all = c->x->request.content_length;
    /* towards its end a body of known length gets no more room than it needs */
    if (!c->frame.gzip && b->cap - b->n <= piece.n && all > b->n + piece.n &&
        all < b->cap + b->cap / 2) {
        (void)qd_buf_reserve(b, (size_t)all - b->n);
    }
    return qd_buf_str(b, piece);
}

/* Would a whole body of the length announced fit among those in flight? */
static bool body_fits(http_conn *c)
{
    qd_account *a = qdi_http_in_flight(c->server);
    uint64_t n = c->x->request.content_length;
    if (n <= HTTP_ANSWER_SMALL || !a || c->x->stream || c->x->vital) return true;
    if (qd_account_charge(a, (int64_t)n)) return false;
    qd_account_release(a, (int64_t)n);
    return true;
}

/* Gives gathered pieces of a streamed body to the handler; false: it does not want more now. */
static bool deliver(http_conn *c)
{
    const qd_http_handler *h = &c->server->c.handler;
    qd_http_exchange *x = c->x;
    bool last = c->frame.state == BODY_DONE || c->frame.state == BODY_NONE;
    if (!x->stream) {
        if (!last) return true;
        c->frame.state = BODY_NONE;
        h->request(h->arg, x, qd_buf_view(&x->body));
        return true;
    }
    if (!x->body.n && !last) return true;
    if (!h->piece(h->arg, x, qd_buf_view(&x->body), last)) {
        c->paused = true;
        return false;
    }
    qd_buf_reset(&x->body);
    if (last) c->frame.state = BODY_NONE;
    return true;
}

static void begin_request(http_conn *c, const char *p, size_t n)
{
    const qd_http_config *cfg = &c->server->c;
    bool keep_alive = false, expect = false;
    const char *why = NULL;
    c->x = qdi_http_exchange_make(c);
    if (!c->x) {
        refuse(c, 503, "out of memory");
        return;
    }
    int status = qdi_http_head_parse(cfg, c->x, p, n, &c->frame, &keep_alive, &expect, &why);
    if (status) {
        refuse(c, status, why);
        return;
    }
    c->head_done = true;
    c->body_news = 0;
    c->x->want_close = !keep_alive;
    c->x->expect = expect;
    atomic_fetch_add(&c->server->requests, 1);
    start_timer(c, qdi_http_read_ns(c->server));
    cfg->handler.headers(cfg->handler.arg, c->x);
    if (c->x && !c->x->answering && !body_fits(c)) {
        refuse(c, 429, "body does not fit");
        return;
    }
    if (c->x && !c->x->answering && expect && qdi_http_unread(c)) {
        (void)qd_buf_c(&c->out, "HTTP/1.1 100 Continue\r\n\r\n");
    }
}

/* Reads the head of the next request out of what has come. false: not complete, or refused. */
static bool take_head(http_conn *c)
{
    const char *why = NULL;
    while (c->at + 1 < c->in.n && c->in.p[c->at] == '\r' && c->in.p[c->at + 1] == '\n') c->at += 2;
    if (c->at == c->in.n) return false;
    if (!c->head_begun) { /* the whole head has so long, however small its pieces */
        c->head_begun = true;
        start_timer(c, qdi_http_read_ns(c->server));
    }
    long n = qdi_http_head_length(&c->server->c, c->in.p + c->at, c->in.n - c->at, &why);
    if (n < 0) {
        refuse(c, (int)-n, why);
        return false;
    }
    if (n == 0) return false;
    size_t at = c->at;
    c->at += (size_t)n;
    begin_request(c, c->in.p + at, (size_t)n);
    return c->head_done && !c->close_after;
}

/* A streamed body is too large, cannot be read on, or is late: the handler, which may have acted on
 * what came before, ends its answer. false: there is none to end. */
static bool cut_body(http_conn *c, int status)
{
    qd_http_exchange *x = c->x;
    if (!x->stream || x->answering || (status != 413 && status != 400 && status != 408))
        return false;
    atomic_fetch_add(&c->server->rejected, 1);
    qdi_http_body_fini(&c->frame);
    c->frame.state = BODY_DONE;
    x->fault = status;
    x->want_close = true;
    return true;
}

/* Feeds the body. false: more must come, or the handler has it and is not done. */
static bool take_body(http_conn *c)
{
    const char *why = NULL;
    bool discard = c->x->ended;
    size_t slice = c->frame.gzip && c->x->stream ? HTTP_GZIP_SLICE : SIZE_MAX;
    /* a piece that was refused does not grow until it is taken */
    if (!discard && c->x->stream && c->x->body.n && qdi_http_unread(c) && !deliver(c)) return false;
    while (qdi_http_unread(c)) {
        size_t n = c->in.n - c->at, used = 0;
        /* little of a gzip body at a time may become much */
        if (n > slice) n = slice;
        int status = qdi_http_body_feed(&c->frame, c->in.p + c->at, n, &used, discard ? NULL : sink,
                                        c, &why);
        c->at += used;
        if (status == 503 && qd_buf_status(&c->x->body)) {
            status = 429;
            why = "body does not fit";
        }
        if (status && !discard && cut_body(c, status)) break;
        if (status) {
            refuse(c, status, why);
            return false;
        }
        c->body_news += used;
        if (c->body_news >= HTTP_BODY_LEAST) { /* one that drips is not waited for */
            c->body_news = 0;
            start_timer(c, qdi_http_read_ns(c->server));
        }
        if (c->closing) return false;
        if (!qdi_http_unread(c)) break;
        if (used == 0 && n == c->in.n - c->at) return false; /* more must come */
        if (used == 0) slice = SIZE_MAX;                     /* a line longer than the slice */
        if (!discard && c->x->stream && !deliver(c)) return false;
    }
    stop_timer(c);
    return discard || deliver(c);
}

/* Has this turn of the loop done enough for one connection? The rest is for the next one. */
static bool enough(http_conn *c, uint32_t answered, uint64_t since_ns)
{
    if (answered % HTTP_TURN_REQUESTS || c->at >= c->in.n || c->close_after) return false;
    if (qd_env_mono_ns(c->server->c.env) - since_ns < HTTP_TURN_NS) return false;
    if (qd_timer_start(&c->again, 0, 0)) qdi_http_conn_close(c);
    return true;
}

/* Works through what has been read: as many requests as are answered at once. true: it stopped
 * because the client has to take its answers first. */
static bool work(http_conn *c)
{
    bool full = false;
    uint32_t answered = 0;
    uint64_t since_ns = qd_env_mono_ns(c->server->c.env);
    c->in_handler = true;
    while (!c->closing && !c->close_after && !c->paused) {
        full = !c->head_done && unsent(c) > HTTP_ANSWER_PENDING;
        if (!c->head_done && (full || !take_head(c))) break;
        qd_http_exchange *x = c->x;
        if (x && x->ended) (void)discards(c);
        if (x && !x->delivered && !(x->ended && x->want_close)) {
            if (!take_body(c)) break;
            if (c->x) c->x->delivered = true;
        }
        if (!c->x || !c->x->ended) break; /* the answer comes later */
        next_request(c);
        if (enough(c, ++answered, since_ns)) break;
    }
    c->in_handler = false;
    if (c->at) {
        memmove(c->in.p, c->in.p + c->at, c->in.n - c->at);
        c->in.n -= c->at;
        c->at = 0;
    }
    return full && c->in.n;
}

static void process(http_conn *c)
{
    bool full;
    do {
        full = work(c);
        flush(c); /* perhaps the socket takes it all, and nobody else would go on */
    } while (full && !c->closing && unsent(c) <= HTTP_ANSWER_PENDING);
    if (c->closing || c->lingering) return;
    shrink(c, &c->in);
    if (!c->paused && !c->close_after && c->in.n <= HTTP_READ_BYTES) reading(c, true);
}

static void on_again(qd_timer *t)
{
    http_conn *c = t->user;
    if (!c->closing && !c->close_after) process(c);
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *out)
{
    http_conn *c = (http_conn *)(void *)h;
    (void)suggested;
    *out = uv_buf_init(c->listener->read_buf, HTTP_READ_BYTES);
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
    http_conn *c = (http_conn *)(void *)s;
    if (n == UV_EOF && !c->lingering && c->x && c->x->delivered && !c->x->ended) {
        /* gone, or only done with sending: an answer that comes soon is still sent to it */
        c->eof = true;
        reading(c, false);
        start_timer(c, HTTP_HALF_CLOSED_NS);
        return;
    }
    if (n < 0) {
        qdi_http_conn_close(c);
        return;
    }
    if (n == 0) return;
    atomic_fetch_add(&c->server->bytes_in, (uint64_t)n);
    if (c->lingering || c->close_after) return;
    if (qd_buf_add(&c->in, b->base, (size_t)n)) {
        refuse(c, 503, "out of memory");
        return;
    }
    process(c);
    /* a client that pipelines faster than we answer waits in its socket */
    if (!c->closing && !c->close_after && (c->paused || c->in.n > HTTP_READ_BYTES)) {
        reading(c, false);
    }
}

static void reading(http_conn *c, bool on)
{
    if (on == c->reading || c->closing || (on && c->eof)) return;
    c->reading = on;
    if (on) {
        (void)uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
    } else {
        (void)uv_read_stop((uv_stream_t *)&c->tcp);
    }
}

void qdi_http_conn_resume(http_conn *c)
{
    if (c->closing || !c->paused) return;
    c->paused = false;
    /* the pause was ours, and the timer may have fired in it: what is missing has its time anew */
    if (c->due_ns) start_timer(c, qdi_http_read_ns(c->server));
    if (!c->closing) process(c);
    if (!c->closing && c->paused) reading(c, false);
}

static void on_timer(qd_timer *t)
{
    http_conn *c = t->user;
    uint64_t now = qd_env_mono_ns(c->server->c.env);
    if (!c->due_ns || c->paused) return; /* paused: it is we who do not read */
    if (now < c->due_ns) {
        if (qd_timer_start(t, c->due_ns - now, 0)) qdi_http_conn_close(c);
        return;
    }
    if (c->lingering || c->eof) {
        qdi_http_conn_close(c);
    } else if (c->head_done && c->x && !c->x->delivered && cut_body(c, 408)) {
        process(c);
    } else if (c->head_begun || (c->head_done && c->x && !c->x->delivered)) {
        refuse(c, 408, "the request did not arrive in time");
    } else {
        qdi_http_conn_close(c);
    }
}

/* --- begin and end --- */

static void on_closed(uv_handle_t *h)
{
    http_conn *c = (http_conn *)(void *)h;
    http_listener *l = c->listener;
    QD_LIST_REMOVE(l->first, c);
    l->open--;
    qd_mutex_lock(&c->server->lock);
    if (atomic_fetch_sub(&c->server->open, 1) == 1) qd_cond_broadcast(&c->server->idle);
    qd_mutex_unlock(&c->server->lock);
    qd_buf_fini(&c->in);
    qd_buf_fini(&c->out);
    qd_buf_fini(&c->writing);
    qd_free(c);
    qdi_http_listener_told(l);
}

void qdi_http_conn_close(http_conn *c)
{
    const qd_http_handler *h = &c->server->c.handler;
    if (c->closing) return;
    c->closing = true;
    qd_timer_stop(&c->timer);
    qd_timer_stop(&c->write_timer);
    qd_timer_stop(&c->again);
    if (c->x) {
        bool told = c->head_done && !c->x->ended;
        qd_http_exchange *x = c->x;
        qdi_http_exchange_leave(c);
        if (told) h->gone(h->arg, x);
    }
    uv_close((uv_handle_t *)&c->tcp, on_closed);
}

void qdi_http_conn_accept(http_listener *l)
{
    qd_http_server *s = l->server;
    struct sockaddr_storage peer;
    int n = sizeof peer;
    http_conn *c = qd_calloc(s->c.account, sizeof *c);
    if (!c) { /* it stays in the listener until there is memory again */
        if (qd_timer_start(&l->retry, 100000000, 0)) {
            qd_log_error(HTTP_LOG, "no memory for connections: the listener stands still");
        }
        return;
    }
    c->server = s;
    c->listener = l;
    c->loop = l->loop;
    qd_buf_init(&c->in, s->c.account, (size_t)64 << 20);
    qd_buf_init(&c->out, s->c.account, HTTP_OUT_MAX);
    qd_buf_init(&c->writing, s->c.account, HTTP_OUT_MAX);
    qd_timer_init(&c->timer, l->loop, on_timer, c);
    qd_timer_init(&c->write_timer, l->loop, on_write_timer, c);
    qd_timer_init(&c->again, l->loop, on_again, c);
    (void)uv_tcp_init(qd_loop_uv(l->loop), &c->tcp);
    QD_LIST_PUSH(l->first, c);
    l->open++;
    uint64_t open = atomic_fetch_add(&s->open, 1) + 1;
    atomic_fetch_add(&s->opened, 1);
    if (uv_accept((uv_stream_t *)&l->tcp, (uv_stream_t *)&c->tcp) ||
        open > qdi_http_connections(s)) {
        qdi_http_conn_close(c);
        return;
    }
    (void)uv_tcp_nodelay(&c->tcp, 1);
    (void)uv_tcp_keepalive(&c->tcp, 1, 60);
    if (uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&peer, &n) == 0) {
        char ip[46] = "";
        uint16_t port = 0;
        if (peer.ss_family == AF_INET) {
            const struct sockaddr_in *a = (const struct sockaddr_in *)(const void *)&peer;
            (void)uv_ip4_name(a, ip, sizeof ip);
            port = (uint16_t)((a->sin_port & 0xff) << 8 | a->sin_port >> 8);
            snprintf(c->remote, sizeof c->remote, "%s:%u", ip, port);
        } else {
            const struct sockaddr_in6 *a = (const struct sockaddr_in6 *)(const void *)&peer;
            (void)uv_ip6_name(a, ip, sizeof ip);
            port = (uint16_t)((a->sin6_port & 0xff) << 8 | a->sin6_port >> 8);
            snprintf(c->remote, sizeof c->remote, "[%s]:%u", ip, port);
        }
    }
    start_timer(c, qdi_http_read_ns(s));
    reading(c, true);
}
