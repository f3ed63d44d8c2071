/*
 * http_answer.c: exchanges and their answers. An answer is written on the connection's loop; other
 * threads compress and copy, and post the piece. An exchange lives until the connection has left it
 * and its answer has ended, both on the loop, so that the handler's pointer may be freed with it.
 */
#include "net/http_int.h"
#include <stdio.h>
#include <string.h>

#define EXCHANGE_MAGIC 0x51485854u
#define ZIP_ROOM 16384u
#define HEAD_ARENA_MAX ((size_t)16 << 20)

/* --- exchanges --- */

static void exchange_free(qd_http_exchange *x)
{
    qd_arena_fini(&x->arena);
    qd_cond_fini(&x->drained);
    qd_mutex_fini(&x->lock);
    qd_free(x);
}

static qd_http_exchange *spare_take(http_listener *l)
{
    qd_account *account = l->server->c.account;
    qd_http_exchange *x = l->spare;
    if (x) {
        l->spare = x->next_spare;
        l->nspare--;
        return x;
    }
    if (!(x = qd_alloc(account, sizeof *x))) return NULL;
    qd_arena_init(&x->arena, account, HEAD_ARENA_MAX);
    qd_mutex_init(&x->lock);
    qd_cond_init(&x->drained);
    return x;
}

/* Most requests are alike: an exchange and the memory of its head serve one after the other. */
static void spare_give(http_listener *l, qd_http_exchange *x)
{
    if (l->nspare >= HTTP_SPARE_EXCHANGES || x->arena.total > HTTP_SPARE_BYTES) {
        exchange_free(x);
        return;
    }
    qd_arena_reset(&x->arena);
    x->next_spare = l->spare;
    l->spare = x;
    l->nspare++;
}

void qdi_http_spares_free(http_listener *l)
{
    while (l->spare) {
        qd_http_exchange *x = l->spare;
        l->spare = x->next_spare;
        exchange_free(x);
    }
}

qd_http_exchange *qdi_http_exchange_make(http_conn *c)
{
    qd_http_server *s = c->server;
    qd_http_exchange *x = spare_take(c->listener);
    if (!x) return NULL;
    memset((char *)x + offsetof(qd_http_exchange, magic), 0,
           sizeof *x - offsetof(qd_http_exchange, magic));
    x->magic = EXCHANGE_MAGIC;
    x->conn = c;
    x->listener = c->listener;
    x->server = s;
    x->loop = c->loop;
    qd_buf_init(&x->body, qdi_http_in_flight(s), s->c.max_content_length + 64);
    atomic_init(&x->refs, 2);
    c->listener->exchanges++;
    x->request.remote = qd_arena_str(&x->arena, qd_str_c(c->remote)); /* outlives c */
    return x;
}

void qdi_http_exchange_unref(qd_http_exchange *x)
{
    http_listener *l = x->listener;
    if (atomic_fetch_sub(&x->refs, 1) != 1) return;
    if (x->user && x->user_free) x->user_free(x->user);
    if (x->deflater) (void)deflateEnd(x->deflater);
    qd_free(x->deflater);
    qd_buf_fini(&x->body);
    x->magic = 0;
    spare_give(l, x);
    if (--l->exchanges == 0) qdi_http_listener_told(l);
}

/* Under lock: who waits for room is told. */
static void tell_room(qd_http_exchange *x)
{
    void (*room)(void *arg) = x->room;
    if (!room || (!x->gone && x->queued > HTTP_ANSWER_PENDING)) return;
    x->room = NULL;
    room(x->room_arg);
}

bool qd_http_answer_wait(qd_http_exchange *x, void (*room)(void *arg), void *arg)
{
    qd_mutex_lock(&x->lock);
    bool full = !x->gone && x->queued > HTTP_ANSWER_PENDING;
    x->room = full ? room : NULL;
    x->room_arg = arg;
    qd_mutex_unlock(&x->lock);
    return full;
}

void qd_http_answer_unwait(qd_http_exchange *x)
{
    qd_mutex_lock(&x->lock);
    x->room = NULL;
    qd_mutex_unlock(&x->lock);
}

void qdi_http_exchange_leave(http_conn *c)
{
    qd_http_exchange *x = c->x;
    if (!x) return;
    c->x = NULL;
    qdi_http_body_fini(&c->frame);
    x->conn = NULL;
    if (atomic_load(&x->refs) > 1) { /* the answerer may look, on its thread */
        qd_mutex_lock(&x->lock);
        x->gone = true;
        qd_cond_broadcast(&x->drained);
        tell_room(x);
        qd_mutex_unlock(&x->lock);
    }
    qdi_http_exchange_unref(x);
}

void qdi_http_exchange_written(http_conn *c, size_t n)
{
    if (!c->x) return;
    qd_mutex_lock(&c->x->lock);
    c->x->queued = n < c->x->queued ? c->x->queued - n : 0;
    qd_cond_broadcast(&c->x->drained);
    tell_room(c->x);
    qd_mutex_unlock(&c->x->lock);
}

const qd_http_request *qd_http_request_get(const qd_http_exchange *x)
{
    return &x->request;
}
void qd_http_user_set(qd_http_exchange *x, void *user, void (*user_free)(void *user))
{
    x->user = user;
    x->user_free = user_free;
}
void *qd_http_user(const qd_http_exchange *x)
{
    return x->user;
}
qd_arena *qd_http_arena(qd_http_exchange *x)
{
    return &x->arena;
}
void qd_http_vital(qd_http_exchange *x)
{
    x->vital = true;
    x->body.account = x->server->c.account;
    x->body.max = HTTP_VITAL_BODY_MAX;
}

void qd_http_stream(qd_http_exchange *x)
{
    x->stream = true;
}

int qd_http_fault(const qd_http_exchange *x)
{
    return x->fault;
}

static void run_resume(qd_post *post)
{
    qd_http_exchange *x = QD_CONTAINER_OF(post, qd_http_exchange, resume);
    atomic_store(&x->resuming, false);
    if (x->conn) qdi_http_conn_resume(x->conn);
    qdi_http_exchange_unref(x);
}

void qd_http_resume(qd_http_exchange *x)
{
    if (atomic_exchange(&x->resuming, true)) return;
    x->resume.fn = run_resume;
    atomic_fetch_add(&x->refs, 1);
    qd_loop_post(x->loop, &x->resume);
}

/* --- answers --- */

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
    case 204:
        return "No Content";
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

void qdi_http_status_line(qd_buf *out, int status)
{
    (void)qd_buf_c(out, "HTTP/1.1 ");
    (void)qd_buf_u64(out, (uint64_t)status);
    (void)qd_buf_char(out, ' ');
    (void)qd_buf_c(out, qd_http_reason(status));
    (void)qd_buf_c(out, "\r\n");
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

/* A piece of an answer that comes in several: all of them are one gzip stream. */
static int zip_piece(qd_http_exchange *x, qd_str part, bool last, qd_buf *out)
{
    const qd_http_config *cfg = &x->server->c;
    z_stream *z = x->deflater;
    if (!z) {
        z = qd_calloc(cfg->account, sizeof *z);
        if (!z) return QD_E_NOMEM;
        if (deflateInit2(z, cfg->compression_level, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) !=
            Z_OK) {
            qd_free(z);
            return QD_E_NOMEM;
        }
        x->deflater = z;
    }
    z->next_in = (Bytef *)(uintptr_t)part.p;
    z->avail_in = (uInt)part.n;
    do {
        char *at = qd_buf_reserve(out, ZIP_ROOM);
        if (!at) return QD_E_NOMEM;
        z->next_out = (Bytef *)at;
        z->avail_out = ZIP_ROOM;
        (void)deflate(z, last ? Z_FINISH : Z_NO_FLUSH);
        out->n += ZIP_ROOM - z->avail_out;
    } while (z->avail_out == 0);
    return 0;
}

static void head_lines(http_conn *c, qd_http_exchange *x, int status, const char *type,
                       const char *extra, bool gzip)
{
    /* a body that is still to come is thrown away when it is short, else the connection closes */
    bool unread = qdi_http_unread(c);
    if (unread && (x->expect || (!x->request.chunked && c->frame.left > HTTP_DISCARD_MAX))) {
        x->want_close = true;
    }
    const _Atomic bool *retiring = c->server->c.retiring;
    if (atomic_load(&c->server->draining) || (retiring && atomic_load(retiring)))
        x->want_close = true;
    qdi_http_status_line(&c->out, status);
    (void)qd_buf_c(&c->out, c->server->server_headers);
    if (type && type[0]) {
        (void)qd_buf_c(&c->out, "content-type: ");
        (void)qd_buf_c(&c->out, type);
        (void)qd_buf_c(&c->out, "\r\n");
    }
    if (extra && extra[0]) (void)qd_buf_c(&c->out, extra);
    if (gzip) (void)qd_buf_c(&c->out, "content-encoding: gzip\r\n");
}

static void connection_line(http_conn *c, const qd_http_exchange *x)
{
    if (x->want_close) {
        (void)qd_buf_c(&c->out, "connection: close\r\n");
    } else if (x->http10) {
        (void)qd_buf_c(&c->out, "connection: keep-alive\r\n");
    }
}

static void whole_answer(http_conn *c, qd_http_exchange *x, int status, const char *type,
                         const char *extra, qd_str body, bool gzip)
{
    if (body.n <= HTTP_ANSWER_SMALL) (void)qd_buf_reserve(&c->out, body.n + HTTP_HEAD_ROOM);
    head_lines(c, x, status, type, extra, gzip);
    connection_line(c, x);
    (void)qd_buf_c(&c->out, "content-length: ");
    (void)qd_buf_u64(&c->out, body.n);
    (void)qd_buf_c(&c->out, "\r\n\r\n");
    if (!x->head) (void)qd_buf_str(&c->out, body);
}

static void answer_piece(http_conn *c, qd_http_exchange *x, int status, const char *type,
                         const char *extra, qd_str part, bool last, bool zipped)
{
    if (!x->answering) {
        head_lines(c, x, status, type, extra, zipped);
        x->chunked_answer = !x->http10;
        if (!x->chunked_answer) x->want_close = true; /* the end of the connection ends it */
        connection_line(c, x);
        (void)qd_buf_c(&c->out, x->chunked_answer ? "transfer-encoding: chunked\r\n\r\n" : "\r\n");
    }
    if (x->head) return;
    if (part.n && x->chunked_answer) (void)qd_buf_printf(&c->out, "%zx\r\n", part.n);
    (void)qd_buf_str(&c->out, part);
    if (part.n && x->chunked_answer) (void)qd_buf_c(&c->out, "\r\n");
    if (last && x->chunked_answer) (void)qd_buf_c(&c->out, "0\r\n\r\n");
}

/* What is large belongs to the requests in flight, but for what is answered in any case. */
static qd_account *large_account(const qd_http_exchange *x)
{
    return x->vital ? x->server->c.account : qdi_http_in_flight(x->server);
}

/* Room for n bytes of an answer. What is large is charged to the requests in flight, and false when
 * they have no room for it. */
static bool room_for(http_conn *c, const qd_http_exchange *x, size_t n)
{
    qd_buf b;
    if (n <= HTTP_ANSWER_SMALL || c->out.cap - c->out.n > n + 4096) return true;
    qd_buf_init(&b, large_account(x), HTTP_OUT_MAX);
    if (!qd_buf_reserve(&b, c->out.n + n + 4096)) return false;
    (void)qd_buf_add(&b, c->out.p, c->out.n);
    qd_buf_fini(&c->out);
    c->out = b;
    return true;
}

/* The answer is lost for want of memory. false: its beginning has gone out already. */
static bool answer_lost(http_conn *c, qd_http_exchange *x)
{
    const qd_http_config *cfg = &c->server->c;
    qd_buf b;
    if (x->answering) return false;
    qd_buf_init(&b, cfg->account, HTTP_ANSWER_SMALL);
    if (cfg->handler.bad) cfg->handler.bad(cfg->handler.arg, 429, "answer does not fit", &b);
    whole_answer(c, x, 429, "application/json", "", qd_buf_view(&b), false);
    qd_buf_fini(&b);
    x->answering = x->ended = true;
    return true;
}

/* One piece of an answer, on the loop; zipped: it is compressed already. */
static void answer_here(http_conn *c, qd_http_exchange *x, int status, const char *type,
                        const char *extra, qd_str part, bool last, bool zipped)
{
    const qd_http_config *cfg = &c->server->c;
    if (!x->head && !room_for(c, x, part.n)) {
        if (last && answer_lost(c, x)) return;
        x->ended = last; /* the client must see that the answer is not whole */
        x->answering = true;
        qdi_http_conn_close(c);
        return;
    }
    if (x->answering || !last) {
        answer_piece(c, x, status, type, extra, part, last, zipped);
    } else if (zipped || !x->gzip_answer || part.n < cfg->compression_min) {
        whole_answer(c, x, status, type, extra, part, zipped);
    } else {
        qd_buf b;
        qd_buf_init(&b, cfg->account, HTTP_OUT_MAX);
        bool gzip = gzip_part(cfg, part, &b);
        whole_answer(c, x, status, type, extra, gzip ? qd_buf_view(&b) : part, gzip);
        qd_buf_fini(&b);
    }
    x->answering = true;
    x->ended = last;
    if (qd_buf_status(&c->out)) x->want_close = true;
}

static void run_part(qd_post *post)
{
    part_post *p = (part_post *)(void *)post;
    qd_http_exchange *x = p->x;
    http_conn *c = x->conn;
    bool last = p->last, spare = p == &x->spare;
    if (c && !c->closing && spare) {
        if (answer_lost(c, x)) {
            qdi_http_conn_answered(c, true);
        } else {
            x->ended = true; /* the rest of the answer is lost: the client must see that */
            qdi_http_conn_close(c);
        }
    } else if (c && !c->closing) {
        answer_here(c, x, p->status, p->type, p->extra ? p->extra : "", qd_buf_view(&p->part), last,
                    p->gzip);
        if (x->head) qdi_http_exchange_written(c, p->part.n);
        if (!c->closing) qdi_http_conn_answered(c, last);
    }
    if (!spare) {
        qd_buf_fini(&p->part);
        qd_free(p->extra);
        qd_free(p);
    }
    qdi_http_exchange_unref(x);
    if (last) qdi_http_exchange_unref(x);
}

/* Fills a post with a piece of the answer, compressed where that is wanted. taken: part's buffer,
 * which may be kept; or NULL. */
static int part_fill(part_post *p, qd_http_exchange *x, const char *extra, qd_str part, bool last,
                     qd_buf *taken)
{
    const qd_http_config *cfg = &x->server->c;
    int rc = 0;
    bool large = part.n > HTTP_ANSWER_SMALL;
    qd_buf_init(&p->part, large ? large_account(x) : cfg->account, HTTP_OUT_MAX);
    if (!x->begun && x->gzip_answer) x->zipping = !last;
    if (x->zipping) {
        p->gzip = true;
        rc = zip_piece(x, part, last, &p->part);
    } else if (!x->begun && x->gzip_answer && part.n >= cfg->compression_min) {
        p->gzip = gzip_part(cfg, part, &p->part);
        if (!p->gzip) qd_buf_fini(&p->part);
    }
    if (!p->gzip && taken) {
        p->part = *taken;
        *taken = (qd_buf){.account = taken->account, .max = taken->max};
    } else if (!p->gzip) {
        rc = qd_buf_str(&p->part, part);
    }
    if (!rc && extra && extra[0]) {
        p->extra = qd_memdup(NULL, extra, strlen(extra));
        if (!p->extra) rc = QD_E_NOMEM;
    }
    return rc;
}

/* From another thread: a copy travels to the loop; waits while too much is under way. */
static int answer_from_afar(qd_http_exchange *x, int status, const char *type, const char *extra,
                            qd_str part, bool last, qd_buf *taken)
{
    part_post *p = x->broken ? NULL : qd_calloc(NULL, sizeof *p);
    int rc = p ? part_fill(p, x, extra, part, last, taken) : QD_E_NOMEM;
    if (rc) {
        if (p) {
            qd_buf_fini(&p->part);
            qd_free(p);
        }
        x->broken = true; /* what follows would not be the answer any more */
        if (!last) return rc;
        p = &x->spare;
        status = 503;
        type = "";
    }
    qd_mutex_lock(&x->lock);
    while (!x->gone && x->queued > HTTP_ANSWER_PENDING) qd_cond_wait(&x->drained, &x->lock);
    x->queued += p->part.n;
    bool gone = x->gone;
    qd_mutex_unlock(&x->lock);
    x->begun = true;
    p->post.fn = run_part;
    p->x = x;
    p->status = status;
    p->last = last;
    snprintf(p->type, sizeof p->type, "%s", type ? type : "");
    atomic_fetch_add(&x->refs, 1);
    qd_loop_post(x->loop, &p->post); /* with last, x may be gone now */
    return rc ? rc : gone ? QD_E_CLOSED : 0;
}

/* On the loop: pieces of several are compressed here, all others where they are put out. */
static void answer_on_loop(http_conn *c, qd_http_exchange *x, int status, const char *type,
                           const char *extra, qd_str part, bool last)
{
    qd_buf zipped;
    if (!x->begun && x->gzip_answer) x->zipping = !last;
    x->begun = true;
    if (!x->zipping) {
        answer_here(c, x, status, type, extra, part, last, false);
        return;
    }
    qd_buf_init(&zipped, c->server->c.account, HTTP_OUT_MAX);
    if (zip_piece(x, part, last, &zipped)) {
        x->answering = true;
        x->ended = last;
        qdi_http_conn_close(c);
    } else {
        answer_here(c, x, status, type, extra, qd_buf_view(&zipped), last, true);
    }
    qd_buf_fini(&zipped);
}

int qd_http_answer(qd_http_exchange *x, int status, const char *type, const char *extra,
                   qd_str part, bool last)
{
    qd_assert(x->magic == EXCHANGE_MAGIC);
    if (!qd_loop_here(x->loop)) return answer_from_afar(x, status, type, extra, part, last, NULL);
    http_conn *c = x->conn;
    if (c && !c->closing) {
        answer_on_loop(c, x, status, type, extra, part, last);
        if (!c->in_handler && !c->closing) qdi_http_conn_answered(c, last);
    }
    if (last) qdi_http_exchange_unref(x);
    return c ? 0 : QD_E_CLOSED;
}

int qd_http_answer_take(qd_http_exchange *x, int status, const char *type, const char *extra,
                        qd_buf *part)
{
    if (!qd_loop_here(x->loop)) {
        return answer_from_afar(x, status, type, extra, qd_buf_view(part), true, part);
    }
    return qd_http_answer(x, status, type, extra, qd_buf_view(part), true);
}
