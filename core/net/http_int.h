/* http_int.h: structs of the HTTP server's files. */
#ifndef QD_NET_HTTP_INT_H
#define QD_NET_HTTP_INT_H

#include "base/arena.h"
#include "net/http.h"
#include "runtime/sync.h"
#include <uv.h>
#include <zlib.h>

#define HTTP_LOG "http"
#define HTTP_READ_BYTES (256u * 1024)
#define HTTP_ANSWER_PENDING ((size_t)1 << 20)
#define HTTP_CHUNK_EXTENSION_MAX 1024u
#define HTTP_CHUNK_LINE_MAX (HTTP_CHUNK_EXTENSION_MAX + 256u) /* leading zeros too have an end */
#define HTTP_TRAILER_MAX 8192u
#define HTTP_OUT_MAX ((size_t)3 << 30)
#define HTTP_VITAL_BODY_MAX (1u << 20) /* of a request that the breakers do not see */
#define HTTP_ANSWER_SMALL 65536u       /* answers up to this go out whatever the breakers say */
#define HTTP_HEAD_ROOM 512u            /* bytes that most heads of answers take at most */
#define HTTP_KEEP_BYTES 16384u         /* of an idle connection's buffers */
#define HTTP_SPARE_EXCHANGES 64u       /* kept by a loop for the next requests */
#define HTTP_SPARE_BYTES 8192u         /* of a spare one's arena */
#define HTTP_DISCARD_MAX                                                                           \
    ((uint64_t)1 << 20) /* of a refused request's body, to keep the connection */
/* A client that sends requests ahead has so many of them answered in a turn of the loop, more while
 * the time is not over: others of the loop wait no longer. */
#define HTTP_TURN_REQUESTS 32u
#define HTTP_TURN_NS UINT64_C(5000000)
#define HTTP_GZIP_SLICE 4096u /* of a streamed gzip body at a time: some MiB inflated */
#define HTTP_BODY_LEAST 1024u /* bytes of a body that a client sends between two time-outs */
#define HTTP_HALF_CLOSED_NS UINT64_C(1000000000)
#define HTTP_LINGER_NS (10 * UINT64_C(1000000000))

typedef enum body_state {
    BODY_NONE,
    BODY_LENGTH,     /* content-length bytes left */
    BODY_CHUNK_SIZE, /* at the beginning of a chunk-size line */
    BODY_CHUNK_DATA,
    BODY_CHUNK_END, /* CRLF behind the data */
    BODY_TRAILER,
    BODY_DONE,
} body_state;

/* Framing of a body; pure, see http_body.c. */
typedef struct http_body {
    body_state state;
    uint64_t left;                  /* of the length or the chunk */
    uint64_t raw, out;              /* bytes so far, before and after inflating */
    uint64_t max;                   /* of out and raw */
    uint32_t trailer;               /* bytes of trailers */
    bool gzip, inflating, inflated; /* inflated: the gzip stream has ended */
    z_stream z;
} http_body;

typedef struct http_conn http_conn;
typedef struct http_listener http_listener;

/* A piece of an answer on its way from another thread to the loop. */
typedef struct part_post {
    qd_post post; /* first */
    qd_http_exchange *x;
    int status;
    bool last, gzip;
    char type[160], *extra;
    qd_buf part;
} part_post;

struct qd_http_exchange {
    /* kept from one request to the next; what stands behind is zeroed */
    qd_http_exchange *next_spare;
    qd_arena arena; /* head of the request, and what lives as long */
    qd_mutex lock;
    qd_cond drained;
    uint32_t magic;
    http_conn *conn; /* NULL once the connection is gone; the loop's */
    http_listener *listener;
    qd_http_server *server;
    qd_loop *loop;
    qd_http_request request;
    qd_buf body;
    void *user;
    void (*user_free)(void *user);
    /* of the head */
    bool want_close, head, http10, expect, gzip_answer;
    /* the loop's */
    bool stream, answering, chunked_answer, ended;
    bool vital;      /* outside of the limit of requests in flight */
    int fault;       /* status that ended a streamed body early */
    bool delivered;  /* the handler has all of the request */
    bool discarding; /* answered; the rest of the body is dropped */
    /* the answerer's */
    bool begun, broken, zipping; /* zipping: a gzip stream over all pieces */
    z_stream *deflater;
    part_post spare; /* ends an answer when memory for its last piece is lacking */
    qd_post resume;
    _Atomic bool resuming;
    /* between threads, under lock */
    size_t queued; /* bytes answered, not yet written */
    bool gone;
    void (*room)(void *arg);
    void *room_arg;
    _Atomic int32_t refs; /* connection, answerer, posts */
};

struct http_conn {
    uv_tcp_t tcp; /* first */
    qd_http_server *server;
    http_listener *listener;
    qd_loop *loop;
    http_conn *prev, *next; /* of the listener */
    char remote[64];
    qd_buf in;  /* bytes read and not yet used */
    size_t at;  /* used of them */
    qd_buf out; /* bytes to be written */
    qd_buf writing;
    size_t written; /* of writing, before libuv got the rest */
    uv_write_t write;
    uv_shutdown_t shutdown;
    bool write_busy, closing, close_after, reading, paused, in_handler;
    bool linger, lingering; /* bytes of the client are thrown away before the end */
    bool head_begun, head_done;
    bool eof;            /* the client sends no more; perhaps it still reads */
    size_t body_news;    /* bytes of the body since its timer was started */
    qd_http_exchange *x; /* current request */
    http_body frame;
    uint64_t due_ns; /* end of the present time-out; 0: none. timer fires then or before */
    qd_timer timer, write_timer;
    qd_timer again;    /* goes on with requests that were left for the next turn */
    size_t write_left; /* when write_timer was started */
};

/* One loop's side of the server. */
struct http_listener {
    qd_http_server *server;
    qd_loop *loop;
    uv_tcp_t tcp;
    bool listening;
    http_conn *first;
    qd_http_exchange *spare;    /* at rest; the loop's, nspare of them */
    uint32_t nspare, exchanges; /* exchanges: under way */
    int rc;
    char *read_buf;
    uint32_t open;
    qd_latch *closed; /* set on the loop: told when nothing is open any more */
    qd_timer retry;   /* a connection could not be taken for lack of memory */
};

struct qd_http_server {
    qd_http_config c;
    char host[128], address[160];
    char *server_headers;
    uint16_t port;
    http_listener *listeners;
    _Atomic bool draining;
    _Atomic uint64_t open, opened, requests, bytes_in, bytes_out, rejected;
    qd_mutex lock;
    qd_cond idle;
};

/* Length of the head at p (through the empty line), 0 while it is not complete, or -status with
 * *why. */
long qdi_http_head_length(const qd_http_config *c, const char *p, size_t n, const char **why);
/* What is wrong with a header line (without its CRLF), or NULL. */
const char *qdi_http_line_fault(const char *p, size_t n);
/* Parses a complete head into x: 0 or a status with *why. */
int qdi_http_head_parse(const qd_http_config *c, qd_http_exchange *x, const char *p, size_t n,
                        http_body *frame, bool *keep_alive, bool *expect, const char **why);

/* Frees what inflating holds. */
void qdi_http_body_fini(http_body *b);
/*
 * Takes framing off: uses bytes of p and calls sink for content (inflated; NULL: drops it). *used
 * tells how many; what is not used comes again with more behind it. 0, or a status with *why.
 */
int qdi_http_body_feed(http_body *b, const char *p, size_t n, size_t *used,
                       int (*sink)(void *arg, qd_str piece), void *arg, const char **why);

/* --- http_answer.c: exchanges and their answers --- */

/* A new exchange with two references, the connection's and the answerer's; NULL without memory. */
qd_http_exchange *qdi_http_exchange_make(http_conn *c);
/* Frees a listener's exchanges at rest, when its loop has none under way. */
void qdi_http_spares_free(http_listener *l);
/* "HTTP/1.1 200 OK" and its line's end. */
void qdi_http_status_line(qd_buf *out, int status);
/* Drops a reference. [loop] */
void qdi_http_exchange_unref(qd_http_exchange *x);
/* The connection lets go of its exchange. [loop] */
void qdi_http_exchange_leave(http_conn *c);
/* Where bodies and large answers are charged. */
static inline qd_account *qdi_http_in_flight(const qd_http_server *s)
{
    return s->c.in_flight ? s->c.in_flight : s->c.account;
}
/* Bytes of the current exchange's answer have been written. [loop] */
void qdi_http_exchange_written(http_conn *c, size_t n);

/* A limit as it is now. */
static inline uint64_t qdi_http_limit(const _Atomic uint64_t *now, uint64_t configured)
{
    uint64_t v = now ? atomic_load_explicit(now, memory_order_relaxed) : 0;
    return v ? v : configured;
}
static inline uint64_t qdi_http_read_ns(const qd_http_server *s)
{
    return qdi_http_limit(s->c.limits ? &s->c.limits->read_timeout_ns : NULL, s->c.read_timeout_ns);
}
static inline uint64_t qdi_http_keep_ns(const qd_http_server *s)
{
    return qdi_http_limit(s->c.limits ? &s->c.limits->keep_alive_ns : NULL, s->c.keep_alive_ns);
}
static inline uint64_t qdi_http_connections(const qd_http_server *s)
{
    return qdi_http_limit(s->c.limits ? &s->c.limits->max_connections : NULL, s->c.max_connections);
}

/* --- http_conn.c --- */

/* The rest of the request's body has not been read. */
static inline bool qdi_http_unread(const http_conn *c)
{
    return c->frame.state != BODY_NONE && c->frame.state != BODY_DONE;
}
/* Something was added to the answer, all of it with `ended`: sends it and goes on. [loop] */
void qdi_http_conn_answered(http_conn *c, bool ended);
/* Tells that the handler takes pieces again. [loop] */
void qdi_http_conn_resume(http_conn *c);

/* A new connection of a listener's loop. */
void qdi_http_conn_accept(http_listener *l);
/* Closes it. */
void qdi_http_conn_close(http_conn *c);
/* Tells who waits for the listener's end when nothing of it is open any more. */
void qdi_http_listener_told(http_listener *l);

#endif
