/*
 * http_conn.c: one connection: bytes in, requests out, answers back, time-outs. Everything here
 * runs on the connection's loop but for qd_http_answer, which other threads may call.
 */
#include "base/log.h"
#include "net/http_int.h"
#include <stdio.h>
#include <string.h>

#define EXCHANGE_MAGIC 0x51485854u
#define HEAD_ARENA_MAX ((size_t)1 << 20)
#define OUT_MAX ((size_t)1 << 32)
#define OUT_FLUSH ((size_t)256 << 10)

static void process(http_conn *c);
static void flush(http_conn *c);
static void reading(http_conn *c, bool on);

/* --- exchanges --- */

void qdi_http_exchange_unref(qd_http_exchange *x)
{
    if (atomic_fetch_sub(&x->refs, 1) != 1) return;
    qd_buf_fini(&x->body);
    qd_arena_fini(&x->arena);
    qd_cond_fini(&x->drained);
    qd_mutex_fini(&x->lock);
    x->magic = 0;
    qd_free(x);
}

static qd_http_exchange *exchange_make(http_conn *c)
{
    qd_account *account = c->server->c.account;
    qd_http_exchange *x = qd_calloc(account, sizeof *x);
    if (!x) return NULL;
    x->magic = EXCHANGE_MAGIC;
    x->conn = c;
    x->loop = c->loop;
    qd_arena_init(&x->arena, account, HEAD_ARENA_MAX);
    qd_buf_init(&x->body, account, c->server->c.max_content_length + 64);
    qd_mutex_init(&x->lock);
    qd_cond_init(&x->drained);
    atomic_store(&x->refs, 2); /* the connection's and the answerer's */
    x->request.remote = qd_str_c(c->remote);
    return x;
}

const qd_http_request *qd_http_request_get(const qd_http_exchange *x)
{
    return &x->request;
}
void qd_http_user_set(qd_http_exchange *x, void *user)
{
    x->user = user;
}
void *qd_http_user(const qd_http_exchange *x)
{
    return x->user;
}
void qd_http_stream(qd_http_exchange *x)
{
    x->stream = true;
}

/* The answer is complete, or the connection gone: the connection lets go of the exchange. */
static void exchange_leave(http_conn *c)
{
    qd_http_exchange *x = c->x;
    if (!x) return;
    c->x = NULL;
    qdi_http_body_fini(&c->frame);
    qd_mutex_lock(&x->lock);
    x->gone = true;
    x->conn = NULL;
    qd_cond_broadcast(&x->drained);
    qd_mutex_unlock(&x->lock);
    qdi_http_exchange_unref(x);
}

/* --- writing --- */

const char *qd_http_reason(int status)
{
    switch (status) {
    case 100:
        return "Continue";
    case 200:
        return "OK";
    case 201:
        return "Created";
    case 202:
        return "Accepted";
    case 400:
        return "Bad Request";
    case 401:
        return "Unauthorized";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 406:
        return "Not Acceptable";
    case 408:
        return "Request Timeout";
    case 409:
        return "Conflict";
    case 410:
        return "Gone";
    case 413:
        return "Request Entity Too Large";
    case 414:
        return "Request-URI Too Long";
    case 415:
        return "Unsupported Media Type";
    case 417:
        return "Expectation Failed";
    case 429:
        return "Too Many Requests";
    case 431:
        return "Request Header Fields Too Large";
    case 500:
        return "Internal Server Error";
    case 503:
        return "Service Unavailable";
    case 504:
        return "Gateway Timeout";
    case 505:
        return "HTTP Version Not Supported";
    case 507:
        return "Insufficient Storage";
    default:
        return "Status";
    }
}

static void on_written(uv_write_t *w, int status)
{
    http_conn *c = w->data;
    size_t n = c->writing.n;
    c->write_busy = false;
    qd_buf_reset(&c->writing);
    if (c->writing.cap > OUT_FLUSH) qd_buf_fini(&c->writing);
    if (c->x) {
        qd_mutex_lock(&c->x->lock);
        c->x->queued = n < c->x->queued ? c->x->queued - n : 0;
        qd_cond_broadcast(&c->x->drained);
        qd_mutex_unlock(&c->x->lock);
    }
    if (status < 0) {
        qdi_http_conn_close(c);
        return;
    }
    flush(c);
}

/* Sends what has been gathered: at once as far as the socket takes it, the rest by libuv. */
static void flush(http_conn *c)
{
    if (c->closing || c->write_busy || c->in_handler) return;
    if (c->out.n == 0) {
        if (c->close_after) qdi_http_conn_close(c);
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
    if (c->x) {
        qd_mutex_lock(&c->x->lock);
        c->x->queued = sent < c->x->queued ? c->x->queued - sent : 0;
        qd_cond_broadcast(&c->x->drained);
        qd_mutex_unlock(&c->x->lock);
    }
    if (sent == c->out.n) {
        qd_buf_reset(&c->out);
        if (c->out.cap > OUT_FLUSH) qd_buf_fini(&c->out);
        if (c->close_after) qdi_http_conn_close(c);
        return;
    }
    memmove(c->out.p, c->out.p + sent, c->out.n - sent);
    c->out.n -= sent;
    qd_buf swap = c->writing;
    c->writing = c->out;
    c->out = swap;
    c->write_busy = true;
    c->write.data = c;
    uv_buf_t rest = uv_buf_init(c->writing.p, (unsigned)c->writing.n);
    if (uv_write(&c->write, (uv_stream_t *)&c->tcp, &rest, 1, on_written)) {
        c->write_busy = false;
        qdi_http_conn_close(c);
    }
}

static bool gzip_part(const qd_http_config *cfg, qd_str part, qd_buf *out)
{
    z_stream z = {0};
    if (deflateInit2(&z, cfg->compression_level, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) !=
        Z_OK) {
        return false;
    }
    size_t room = deflateBound(&z, part.n);
    char *at = qd_buf_reserve(out, room);
    if (at) {
        z.next_in = (Bytef *)(uintptr_t)part.p;
        z.avail_in = (uInt)part.n;
        z.next_out = (Bytef *)at;
        z.avail_out = (uInt)room;
        if (deflate(&z, Z_FINISH) == Z_STREAM_END) out->n += room - z.avail_out;
    }
    (void)deflateEnd(&z);
    return at && out->n > 0;
}

static void head_lines(http_conn *c, qd_http_exchange *x, int status, const char *type,
                       const char *extra, bool gzip)
{
    (void)qd_buf_printf(&c->out, "HTTP/1.1 %d %s\r\n", status, qd_http_reason(status));
    (void)qd_buf_c(&c->out, c->server->server_headers);
    if (type && type[0]) (void)qd_buf_printf(&c->out, "content-type: %s\r\n", type);
    if (extra) (void)qd_buf_c(&c->out, extra);
    if (gzip) (void)qd_buf_c(&c->out, "content-encoding: gzip\r\n");
    if (atomic_load(&c->server->draining)) x->want_close = true;
    if (x->want_close) (void)qd_buf_c(&c->out, "connection: close\r\n");
}

/* One part of an answer, on the loop. */
static void answer_here(http_conn *c, qd_http_exchange *x, int status, const char *type,
                        const char *extra, qd_str part, bool last)
{
    const qd_http_config *cfg = &c->server->c;
    if (!x->answering && last) {
        qd_buf zipped;
        qd_buf_init(&zipped, cfg->account, OUT_MAX);
        bool gzip =
            x->gzip_answer && part.n >= cfg->compression_min && gzip_part(cfg, part, &zipped);
        qd_str body = gzip ? qd_buf_view(&zipped) : part;
        head_lines(c, x, status, type, extra, gzip);
        (void)qd_buf_printf(&c->out, "content-length: %zu\r\n\r\n", body.n);
        if (!x->head) (void)qd_buf_str(&c->out, body);
        qd_buf_fini(&zipped);
    } else {
        if (!x->answering) {
            head_lines(c, x, status, type, extra, false);
            (void)qd_buf_c(&c->out, "transfer-encoding: chunked\r\n\r\n");
        }
        if (part.n && !x->head) {
            (void)qd_buf_printf(&c->out, "%zx\r\n", part.n);
            (void)qd_buf_str(&c->out, part);
            (void)qd_buf_c(&c->out, "\r\n");
        }
        if (last && !x->head) (void)qd_buf_c(&c->out, "0\r\n\r\n");
    }
    x->answering = true;
    x->ended = last;
    if (qd_buf_status(&c->out)) x->want_close = true;
}

static void start_timer(http_conn *c, uint64_t ns)
{
    if (qd_timer_start(&c->timer, ns, 0)) qdi_http_conn_close(c);
}

/* The answer is complete: the next request may begin. */
static void next_request(http_conn *c)
{
    bool unread = c->x && c->frame.state != BODY_DONE && c->frame.state != BODY_NONE;
    bool close = !c->x || c->x->want_close || unread; /* the rest of an unread body is unknown */
    exchange_leave(c);
    c->head_done = false;
    if (close) {
        c->close_after = true;
        flush(c);
        return;
    }
    start_timer(c, c->server->c.keep_alive_ns);
}

typedef struct part_post {
    qd_post post; /* first */
    qd_http_exchange *x;
    int status;
    bool last;
    char type[160], *extra;
    qd_buf part;
} part_post;

static void run_part(qd_post *post)
{
    part_post *p = (part_post *)(void *)post;
    qd_http_exchange *x = p->x;
    http_conn *c = x->conn;
    bool last = p->last;
    if (c && !c->closing) {
        answer_here(c, x, p->status, p->type, p->extra ? p->extra : "", qd_buf_view(&p->part),
                    last);
        if (last) next_request(c);
        flush(c);
        if (last && !c->closing && !c->close_after) process(c);
    }
    qd_buf_fini(&p->part);
    qd_free(p->extra);
    qd_free(p);
    qdi_http_exchange_unref(x);
    if (last) qdi_http_exchange_unref(x);
}

/* From another thread: a copy travels to the loop; waits while too much is under way. */
static int answer_from_afar(qd_http_exchange *x, int status, const char *type, const char *extra,
                            qd_str part, bool last)
{
    part_post *p = qd_calloc(NULL, sizeof *p);
    if (!p) return QD_E_NOMEM;
    qd_buf_init(&p->part, NULL, OUT_MAX);
    int rc = qd_buf_str(&p->part, part);
    if (!rc && extra && extra[0]) {
        p->extra = qd_memdup(NULL, extra, strlen(extra));
        if (!p->extra) rc = QD_E_NOMEM;
    }
    qd_mutex_lock(&x->lock);
    while (!rc && !x->gone && x->queued > HTTP_ANSWER_PENDING) qd_cond_wait(&x->drained, &x->lock);
    x->queued += part.n;
    bool gone = x->gone;
    qd_mutex_unlock(&x->lock);
    if (rc) { /* the part cannot be sent: what follows would not be an answer */
        qd_buf_reset(&p->part);
        status = 503;
        last = true;
    }
    p->post.fn = run_part;
    p->x = x;
    p->status = status;
    p->last = last;
    snprintf(p->type, sizeof p->type, "%s", type ? type : "");
    atomic_fetch_add(&x->refs, 1);
    qd_loop_post(x->loop, &p->post);
    return rc ? rc : gone ? QD_E_CLOSED : 0;
}

int qd_http_answer(qd_http_exchange *x, int status, const char *type, const char *extra,
                   qd_str part, bool last)
{
    qd_assert(x->magic == EXCHANGE_MAGIC);
    if (!qd_loop_here(x->loop)) return answer_from_afar(x, status, type, extra, part, last);
    http_conn *c = x->conn;
    if (c && !c->closing) {
        answer_here(c, x, status, type, extra, part, last);
        if (!c->in_handler) {
            if (last) next_request(c);
            flush(c);
            if (last && !c->closing && !c->close_after) process(c);
        }
    }
    if (last) qdi_http_exchange_unref(x);
    return c ? 0 : QD_E_CLOSED;
}

/* --- requests that cannot be served --- */

static void refuse(http_conn *c, int status, const char *why)
{
    const qd_http_config *cfg = &c->server->c;
    qd_buf body;
    atomic_fetch_add(&c->server->rejected, 1);
    qd_buf_init(&body, cfg->account, 65536);
    if (cfg->handler.bad) cfg->handler.bad(cfg->handler.arg, status, why, &body);
    (void)qd_buf_printf(&c->out, "HTTP/1.1 %d %s\r\n%s", status, qd_http_reason(status),
                        c->server->server_headers);
    (void)qd_buf_printf(&c->out,
                        "content-type: application/json\r\ncontent-length: %zu\r\nconnection: "
                        "close\r\n\r\n",
                        body.n);
    (void)qd_buf_str(&c->out, qd_buf_view(&body));
    qd_buf_fini(&body);
    if (c->x) {
        qd_http_exchange *x = c->x;
        bool told = c->head_done; /* the handler knows of it and will answer into nothing */
        exchange_leave(c);
        if (told) cfg->handler.gone(cfg->handler.arg, x);
        if (!told) qdi_http_exchange_unref(x);
    }
    c->close_after = true;
    c->head_done = true; /* nothing more is read */
    c->at = c->in.n;
    (void)uv_read_stop((uv_stream_t *)&c->tcp);
    c->reading = false;
    flush(c);
}

/* --- reading --- */

static int sink(void *arg, qd_str piece)
{
    http_conn *c = arg;
    return qd_buf_str(&c->x->body, piece);
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
        x->refused_piece = true;
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
    c->x = exchange_make(c);
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
    c->x->want_close = !keep_alive;
    atomic_fetch_add(&c->server->requests, 1);
    start_timer(c, cfg->read_timeout_ns);
    cfg->handler.headers(cfg->handler.arg, c->x);
    if (c->x && !c->x->ended && expect && c->frame.state != BODY_NONE) {
        (void)qd_buf_c(&c->out, "HTTP/1.1 100 Continue\r\n\r\n");
    }
}

/* Reads the head of the next request out of what has come. false: not complete, or refused. */
static bool take_head(http_conn *c)
{
    const char *why = NULL;
    while (c->at + 1 < c->in.n && c->in.p[c->at] == '\r' && c->in.p[c->at + 1] == '\n') c->at += 2;
    if (c->at == c->in.n) return false;
    long n = qdi_http_head_length(&c->server->c, c->in.p + c->at, c->in.n - c->at, &why);
    if (n < 0) {
        refuse(c, (int)-n, why);
        return false;
    }
    if (n == 0) {
        if (!qd_timer_running(&c->timer) || c->at == 0)
            start_timer(c, c->server->c.read_timeout_ns);
        return false;
    }
    size_t at = c->at;
    c->at += (size_t)n;
    begin_request(c, c->in.p + at, (size_t)n);
    return c->head_done && !c->close_after;
}

/* Feeds the body. false: more must come, or the handler has it and is not done. */
static bool take_body(http_conn *c)
{
    const char *why = NULL;
    size_t used = 0;
    if (c->frame.state != BODY_NONE && c->frame.state != BODY_DONE) {
        int status =
            qdi_http_body_feed(&c->frame, c->in.p + c->at, c->in.n - c->at, &used, sink, c, &why);
        c->at += used;
        if (status) {
            refuse(c, status, why);
            return false;
        }
        start_timer(c, c->server->c.read_timeout_ns);
    }
    bool complete = c->frame.state == BODY_DONE || c->frame.state == BODY_NONE;
    if (complete) qd_timer_stop(&c->timer);
    if (!deliver(c)) return false;
    return complete;
}

/* Works through what has been read: as many requests as are answered at once. */
static void process(http_conn *c)
{
    c->in_handler = true;
    while (!c->closing && !c->close_after && !c->paused) {
        if (!c->head_done && !take_head(c)) break;
        if (c->x && !c->x->ended) {
            if (c->x->delivered) break;
            if (!take_body(c)) break;
            if (c->x) c->x->delivered = true;
        }
        if (!c->x || !c->x->ended) break; /* the answer comes later */
        next_request(c);
    }
    c->in_handler = false;
    if (c->at) {
        memmove(c->in.p, c->in.p + c->at, c->in.n - c->at);
        c->in.n -= c->at;
        c->at = 0;
    }
    if (!c->paused && !c->close_after && c->in.n <= HTTP_READ_BYTES) reading(c, true);
    flush(c);
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
    if (n < 0) {
        qdi_http_conn_close(c);
        return;
    }
    if (n == 0) return;
    atomic_fetch_add(&c->server->bytes_in, (uint64_t)n);
    if (qd_buf_add(&c->in, b->base, (size_t)n)) {
        refuse(c, 503, "out of memory");
        return;
    }
    /* a client that pipelines faster than we answer waits in its socket */
    if (c->x && c->x->delivered && c->in.n > HTTP_READ_BYTES) reading(c, false);
    process(c);
    if (!c->closing && c->paused) reading(c, false);
}

static void reading(http_conn *c, bool on)
{
    if (on == c->reading || c->closing) return;
    c->reading = on;
    if (on) {
        (void)uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
    } else {
        (void)uv_read_stop((uv_stream_t *)&c->tcp);
    }
}

typedef struct resume_post {
    qd_post post; /* first */
    qd_http_exchange *x;
} resume_post;

static void run_resume(qd_post *post)
{
    qd_http_exchange *x = ((resume_post *)(void *)post)->x;
    http_conn *c = x->conn;
    qd_free(post);
    if (c && !c->closing && c->paused) {
        c->paused = false;
        x->refused_piece = false;
        reading(c, true);
        process(c);
        if (!c->closing && c->paused) reading(c, false);
    }
    qdi_http_exchange_unref(x);
}

void qd_http_resume(qd_http_exchange *x)
{
    resume_post *p = qd_calloc(NULL, sizeof *p);
    if (!p) return; /* the read time-out ends the connection */
    p->post.fn = run_resume;
    p->x = x;
    atomic_fetch_add(&x->refs, 1);
    qd_loop_post(x->loop, &p->post);
}

static void on_timer(qd_timer *t)
{
    http_conn *c = t->user;
    if (c->paused) return; /* it is we who do not read */
    if (c->in.n || (c->head_done && c->x && !c->x->delivered)) {
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
    if (c->prev) c->prev->next = c->next;
    if (c->next) c->next->prev = c->prev;
    if (l->first == c) l->first = c->next;
    l->open--;
    atomic_fetch_sub(&c->server->open, 1);
    qd_buf_fini(&c->in);
    qd_buf_fini(&c->out);
    qd_buf_fini(&c->writing);
    qd_free(c);
    if (l->latch && l->open == 0 && !l->listening) {
        qd_latch *latch = l->latch;
        l->latch = NULL;
        qd_latch_done(latch, 0);
    }
}

void qdi_http_conn_close(http_conn *c)
{
    const qd_http_handler *h = &c->server->c.handler;
    if (c->closing) return;
    c->closing = true;
    qd_timer_stop(&c->timer);
    if (c->x) {
        bool told = c->head_done && !c->x->ended;
        qd_http_exchange *x = c->x;
        exchange_leave(c);
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
    if (!c) return;
    c->server = s;
    c->listener = l;
    c->loop = l->loop;
    qd_buf_init(&c->in, s->c.account, (size_t)64 << 20);
    qd_buf_init(&c->out, s->c.account, OUT_MAX);
    qd_buf_init(&c->writing, s->c.account, OUT_MAX);
    qd_timer_init(&c->timer, l->loop, on_timer, c);
    (void)uv_tcp_init(qd_loop_uv(l->loop), &c->tcp);
    c->next = l->first;
    if (l->first) l->first->prev = c;
    l->first = c;
    l->open++;
    uint64_t open = atomic_fetch_add(&s->open, 1) + 1;
    atomic_fetch_add(&s->opened, 1);
    if (uv_accept((uv_stream_t *)&l->tcp, (uv_stream_t *)&c->tcp) || open > s->c.max_connections) {
        qdi_http_conn_close(c);
        return;
    }
    (void)uv_tcp_nodelay(&c->tcp, 1);
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
    start_timer(c, s->c.read_timeout_ns);
    reading(c, true);
}
