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
#define HTTP_ANSWER_PENDING ((size_t)4 << 20)
#define HTTP_CHUNK_LINE_MAX 1024u
#define HTTP_TRAILER_MAX 8192u

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
    uint64_t left;     /* of the length or the chunk */
    uint64_t raw, out; /* bytes so far, before and after inflating */
    uint64_t max;      /* of out and raw */
    uint32_t trailer;  /* bytes of trailers */
    bool gzip, inflating;
    z_stream z;
} http_body;

typedef struct http_conn http_conn;

struct qd_http_exchange {
    uint32_t magic;
    http_conn *conn; /* NULL once the connection is gone */
    qd_loop *loop;
    qd_arena arena; /* head of the request */
    qd_http_request request;
    qd_buf body;
    void *user;
    bool stream, want_close, head, gzip_answer;
    bool answering, chunked_answer, ended; /* loop side */
    bool refused_piece, delivered;         /* delivered: the handler has all of the request */
    /* between threads */
    qd_mutex lock;
    qd_cond drained;
    size_t queued; /* bytes answered, not yet written */
    bool gone;
    _Atomic int32_t refs; /* connection, answerer */
};

typedef struct http_listener http_listener;

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
    uv_write_t write;
    bool write_busy, closing, close_after, reading, paused, in_handler, eof;
    qd_http_exchange *x; /* current request */
    http_body frame;
    bool head_done;
    qd_timer timer;
};

/* One loop's side of the server. */
struct http_listener {
    qd_http_server *server;
    qd_loop *loop;
    uv_tcp_t tcp;
    bool listening;
    http_conn *first;
    qd_post post; /* start, drain, close */
    qd_latch *latch;
    int rc;
    char *read_buf;
    uint32_t open;
};

struct qd_http_server {
    qd_http_config c;
    char host[128], address[160];
    char *server_headers;
    uint16_t port;
    http_listener *listeners;
    _Atomic bool draining;
    _Atomic uint64_t open, opened, requests, bytes_in, bytes_out, rejected;
};

/* Length of the head at p (through the empty line), 0 while it is not complete, or -status with
 * *why. */
long qdi_http_head_length(const qd_http_config *c, const char *p, size_t n, const char **why);
/* Parses a complete head into x: 0 or a status with *why. */
int qdi_http_head_parse(const qd_http_config *c, qd_http_exchange *x, const char *p, size_t n,
                        http_body *frame, bool *keep_alive, bool *expect, const char **why);

/* Frees what inflating holds. */
void qdi_http_body_fini(http_body *b);
/*
 * Takes framing off: uses bytes of p and calls sink for content (inflated). *used tells how many.
 * 0, or a status with *why; sink's false pauses (used counts what sink took).
 */
int qdi_http_body_feed(http_body *b, const char *p, size_t n, size_t *used,
                       int (*sink)(void *arg, qd_str piece), void *arg, const char **why);

/* A new connection of a listener's loop. */
void qdi_http_conn_accept(http_listener *l);
/* Closes it. */
void qdi_http_conn_close(http_conn *c);
/* Drops a reference. */
void qdi_http_exchange_unref(qd_http_exchange *x);

#endif
