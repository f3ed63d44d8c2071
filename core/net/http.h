/*
 * http.h: an HTTP/1.1 server on the node's loops: keep-alive, pipelining, chunked bodies, gzip both
 * ways, 100-continue, limits on everything. Knows nothing of what is served.
 *
 * One exchange is one request and its answer. The handler runs on the connection's loop; answers
 * may come from any thread. Requests of one connection are answered in order: the next one is
 * parsed when the answer before it is complete. Answers made inside the handler are gathered and
 * sent by one write, so pipelined small requests cost one system call for many.
 */
#ifndef QD_NET_HTTP_H
#define QD_NET_HTTP_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "runtime/loop.h"

typedef struct qd_http_server qd_http_server;
typedef struct qd_http_exchange qd_http_exchange;

typedef struct qd_http_header {
    qd_str name, value; /* name as sent; compare with qd_str_ieq */
} qd_http_header;

#define QD_HTTP_HEADERS_MAX 256u

typedef struct qd_http_request {
    qd_str method; /* "GET" */
    qd_str path;   /* as sent, before '?' */
    qd_str query;  /* behind '?', as sent */
    const qd_http_header *headers;
    uint32_t nheaders;
    qd_str remote;           /* "address:port" */
    uint64_t content_length; /* announced; 0 with chunked or without a body */
    bool chunked, has_body;
} qd_http_request;

/* What the server calls; all on the connection's loop. */
typedef struct qd_http_handler {
    void *arg;
    /* Headers are complete. To take the body in pieces call qd_http_stream; to refuse the request
     * answer at once. */
    void (*headers)(void *arg, qd_http_exchange *x);
    /* Request and whole body are there (not called for streamed ones or refused ones). */
    void (*request)(void *arg, qd_http_exchange *x, qd_str body);
    /* A piece of a streamed body, last with the end, which is early where qd_http_fault says so.
     * false: not now; the connection is not read
     * until qd_http_resume, and the piece comes again. */
    bool (*piece)(void *arg, qd_http_exchange *x, qd_str piece, bool last);
    /* The client is gone before the answer was complete. The exchange stays valid until the handler
     * has ended its answer, which goes nowhere. */
    void (*gone)(void *arg, qd_http_exchange *x);
    /* A request that cannot be answered by the handler (bad framing, too large, too slow; 429: its
     * body or its answer does not fit in memory): the body of the answer. Status is given. */
    void (*bad)(void *arg, int status, const char *reason, qd_buf *body);
} qd_http_handler;

/* What may change while a server serves; 0: the configuration's. */
typedef struct qd_http_limits {
    _Atomic uint64_t max_connections, read_timeout_ns, keep_alive_ns;
} qd_http_limits;
#define QD_HTTP_NEVER (UINT64_MAX / 4) /* as keep_alive_ns: idle connections stay */

typedef struct qd_http_config {
    qd_env *env;
    qd_loop *const *loops; /* connections are spread over them */
    uint32_t nloops;
    const char *host; /* address or name to bind, resolved already: numeric */
    uint16_t port;    /* 0: any free one */
    uint32_t backlog;
    uint64_t max_content_length; /* bytes, decompressed */
    uint32_t max_initial_line;   /* bytes of the request line */
    uint32_t max_header_bytes, max_headers;
    uint32_t max_connections;
    uint64_t read_timeout_ns;     /* for a whole head, and between two pieces of a body */
    uint64_t keep_alive_ns;       /* idle between requests */
    const qd_http_limits *limits; /* go before the three above; NULL: none */
    bool compression;             /* gzip answers where asked for */
    int compression_level;
    uint32_t compression_min; /* bytes */
    const _Atomic bool
        *retiring;              /* answers end their connections, new ones are taken; NULL: never */
    const char *server_headers; /* "X: y\r\n…" added to every answer, or "" */
    qd_http_handler handler;
    qd_account *account;
    /* of whole bodies and of large answers that clients have not taken; its limit (and those above
     * it) refuses a request with 429. NULL: account */
    qd_account *in_flight;
} qd_http_config;

/* Listens. QD_E_IO names address and reason. [worker] */
QD_MUST_CHECK
int qd_http_listen(const qd_http_config *c, qd_http_server **out, qd_err *err);
/* "address:port" it listens on. [any] */
qd_str qd_http_address(const qd_http_server *s);
/* Port it listens on. [any] */
uint16_t qd_http_port(const qd_http_server *s);
/* Accepts no more; answers of requests under way, and of those that come on open connections within
 * a moment, are completed with Connection: close. Waits for them until wait_ns have passed.
 * [worker]
 */
void qd_http_drain(qd_http_server *s, uint64_t wait_ns);
/* Closes all connections, waits until the handler has ended all answers, and frees the server. Not
 * from a loop of the server. [worker] */
void qd_http_close(qd_http_server *s);

typedef struct qd_http_stats {
    uint64_t open, opened, requests, bytes_in, bytes_out, rejected;
} qd_http_stats;
/* Counters. [any] */
void qd_http_stats_get(qd_http_server *s, qd_http_stats *out);

/* The request; views live until the answer has ended. [any] */
const qd_http_request *qd_http_request_get(const qd_http_exchange *x);
/* Value of a header, {NULL,0} when absent. [any] */
qd_str qd_http_header_find(const qd_http_exchange *x, qd_str name);
/* The same by a C string. [any] */
static inline qd_str qd_http_header_get(const qd_http_exchange *x, const char *name)
{
    return qd_http_header_find(x, qd_str_c(name));
}
/* The caller's pointer; user_free (may be NULL) frees it on the loop, after the answer has ended
 * and the connection has left the exchange, whichever is later. [loop] */
void qd_http_user_set(qd_http_exchange *x, void *user, void (*user_free)(void *user));
/* The caller's pointer. [any] */
void *qd_http_user(const qd_http_exchange *x);
/* Memory that lives until the user was freed. [loop] */
qd_arena *qd_http_arena(qd_http_exchange *x);
/* Body and answer are taken and given whatever is in flight. Only inside headers. */
void qd_http_vital(qd_http_exchange *x);
/* The body will come in pieces. Only inside headers. */
void qd_http_stream(qd_http_exchange *x);
/* Status that ends a streamed body before its end: 413, too large; 408, it did not come in time;
 * 400, it cannot be read. 0: none. The connection ends with the answer. [loop] */
int qd_http_fault(const qd_http_exchange *x);
/* Goes on after a refused piece. [any] */
void qd_http_resume(qd_http_exchange *x);

/*
 * Sends part of the answer: status and content type count with the first part; extra are more
 * header lines ("X: y\r\n") or "". A single part that is also the last is sent with its length, and
 * compressed where asked for; more parts are sent chunked. After last the exchange must not be
 * used. Bytes are copied. [any]; from another thread waits while 1 MiB is not yet sent
 * (QD_E_CLOSED when the client is gone).
 */
int qd_http_answer(qd_http_exchange *x, int status, const char *content_type, const char *extra,
                   qd_str part, bool last);
/* The same with the last part, whose bytes it takes over: part is empty afterwards. [any] */
int qd_http_answer_take(qd_http_exchange *x, int status, const char *content_type,
                        const char *extra, qd_buf *part);
/*
 * Is so much of the answer unsent that qd_http_answer would wait? Then room(arg) is told once, on
 * the loop, when there is room or the client is gone, unless qd_http_answer_unwait came first;
 * inside of room nothing of the exchange may be called. false: go on at once. [any]
 */
bool qd_http_answer_wait(qd_http_exchange *x, void (*room)(void *arg), void *arg);
/* After it room is not told any more. [any] */
void qd_http_answer_unwait(qd_http_exchange *x);
/* Reason phrase of a status. */
const char *qd_http_reason(int status);

#endif
