/*
 * client.h: HTTP requests of this node to servers outside: a call has a bound for its answer and
 * for its time, and ends exactly once.
 *
 * One thread of its own runs all calls of a client over libcurl's multi interface; it starts with
 * the first call. The client follows no redirect, takes no proxy and no credentials from the
 * environment or from files, repeats nothing, and speaks HTTP/1.1 over http and https alone. What
 * it says of a failure never holds credentials.
 */
#ifndef QD_NET_CLIENT_CLIENT_H
#define QD_NET_CLIENT_CLIENT_H

#include "base/str.h"
#include "runtime/env.h"
#include <stdatomic.h>

typedef struct qd_http_client qd_http_client;
typedef struct qd_http_call qd_http_call;

/* Whom a client trusts and who it is: paths of PEM files. Borrowed while a call that has it runs.
 */
typedef struct qd_http_tls {
    const char *const *authorities; /* these and no others */
    uint32_t nauthorities;          /* 0: the system's */
    const char *cert, *key;         /* NULL: none is shown */
    bool verify_peer, verify_host;
    long version_min; /* 0x0301 TLS 1.0 to 0x0304 TLS 1.3; 0: TLS 1.2 */
} qd_http_tls;

typedef enum qd_http_outcome {
    QD_HTTP_ANSWERED,   /* status and the whole body */
    QD_HTTP_NO_HOST,    /* the name has no address */
    QD_HTTP_NO_CONNECT, /* nobody listens, or not in time */
    QD_HTTP_TLS,        /* certificates, or the protocol */
    QD_HTTP_SILENT,     /* no byte for idle_ns */
    QD_HTTP_BROKEN,     /* the connection broke off, or it was no HTTP */
    QD_HTTP_TOO_LARGE,  /* the body exceeds answer_max */
    QD_HTTP_NO_MEMORY,  /* the account has no room for the answer */
    QD_HTTP_CANCELLED,
} qd_http_outcome;

/* One request and its answer, embedded by the caller, zeroed before it is filled. */
struct qd_http_call {
    /* the caller's, borrowed until done */
    const char *method, *url;   /* url: scheme, host, port, path and query, encoded */
    const char *const *headers; /* "Name: value" */
    uint32_t nheaders;
    const char *username, *password; /* of basic authentication; username NULL: none */
    qd_str body;
    uint64_t connect_ns, idle_ns; /* until it is connected; between two bytes. 0: no bound */
    const qd_http_tls *tls;       /* NULL: the system's authorities */
    /* On the client's thread; short, and it may start another call. The call is the caller's again.
     */
    void (*done)(qd_http_call *call);
    void *user;
    qd_buf *answer; /* set up by the caller with its account and bound */

    /* set before done */
    qd_http_outcome outcome;
    int status;
    char content_type[96];
    char why[160]; /* not QD_HTTP_ANSWERED: what went wrong */

    _Atomic bool cancel; /* the client's own */
};

/* An idle client, without a thread. [any] QD_E_NOMEM */
QD_MUST_CHECK
int qd_http_client_open(qd_env *env, qd_http_client **out, qd_err *err);
/* Ends what runs (QD_HTTP_CANCELLED) and frees it; NULL is fine. [worker] */
void qd_http_client_close(qd_http_client *c);
/* Begins a call. On failure (QD_E_NOMEM, QD_E_CLOSED) done does not come. [any] */
QD_MUST_CHECK
int qd_http_client_start(qd_http_client *c, qd_http_call *call, qd_err *err);
/* Asks for the end of a call that was begun: done comes soon, perhaps with an answer. [any] */
void qd_http_client_cancel(qd_http_client *c, qd_http_call *call);
/* Runs a call to its end; `done` and `user` are this function's. stop (may be NULL) is asked
 * several times a second whether to give up. [worker, or a fiber] */
QD_MUST_CHECK
int qd_http_client_run(qd_http_client *c, qd_http_call *call, bool (*stop)(void *arg), void *arg,
                       qd_err *err);

#endif
