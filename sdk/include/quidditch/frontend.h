/*
 * frontend.h: the frontend kind, version 0.1: how requests come in (REST itself is one), and the
 * action service, the only thing that a front-end talks to.
 *
 * A call names an action and carries what a REST request carries: parameters and a body; what comes
 * back is a status and a body. Access control, breakers and tracing are applied behind it, so a
 * front-end cannot leave them out.
 */
#ifndef QUIDDITCH_FRONTEND_H
#define QUIDDITCH_FRONTEND_H

#include <quidditch/abi.h>

#ifdef __cplusplus
extern "C" {
#endif

/* qd_vtable.flags */
enum {
    QD_FRONTEND_HTTP = 1 /* the node's main HTTP listener: http.port, http.host are its options */
};

typedef struct qd_frontend qd_frontend; /* an open listener; defined by the plugin */

/* How to listen; borrow. */
typedef struct qd_frontend_config {
    uint32_t struct_size, noptions;
    qd_str name;            /* in the configuration */
    const qd_pair *options; /* its block, as text */
} qd_frontend_config;

typedef struct qd_frontend_vtable {
    qd_vtable head;
    /* Listens and serves from now on. ARG: an option; IO: the address is taken. [worker] */
    int32_t (*open)(qd_self *, const qd_frontend_config *, qd_frontend **out, qd_err *);
    /* "host:port" or another address for messages; keep until close. [any] */
    qd_str (*address)(qd_frontend *);
    /* Takes no new request, lets those under way end. done(arg) once, from any thread. [any] */
    void (*drain)(qd_frontend *, void (*done)(void *arg), void *arg);
    /* Cuts what is left and frees it; done(arg) once. [any] */
    void (*close)(qd_frontend *, void (*done)(void *arg), void *arg);
} qd_frontend_vtable;

/* ---- the action service ------------------------------------------------------------------------
 */

enum {
    QD_FORMAT_NONE,
    QD_FORMAT_JSON,
    QD_FORMAT_NDJSON,
    QD_FORMAT_TEXT,
    QD_FORMAT_YAML,
    QD_FORMAT_CBOR,
    QD_FORMAT_SMILE
};
/* Where the caller is, for access control and the log; keep until done. */
typedef struct qd_action_origin {
    qd_str remote;      /* "address:port" */
    qd_str credentials; /* value of Authorization, or empty */
    qd_str opaque_id;   /* X-Opaque-Id */
    qd_str trace;       /* traceparent */
} qd_action_origin;

/* A request; everything is kept until op.done. */
typedef struct qd_action_call {
    qd_op op;      /* zeroed but for done and user. done runs on any thread: rc 0 whenever there is
                    * an answer, also an error answer */
    qd_str action; /* "search", "bulk", "indices.create" ...: names of the REST specification */
    const qd_pair *params; /* parts of the path and of the query, decoded */
    uint32_t nparams;
    uint32_t format; /* of the body: QD_FORMAT_* */
    qd_slice body;   /* keep; with `more`: its beginning */
    uint32_t more;   /* 1: the rest of the body comes by action_body */
    uint32_t accept; /* QD_FORMAT_* wanted */
    qd_action_origin origin;
    /* The answer, in pieces: status (HTTP's) and format from the first one on. Return 0; or
     * QD_ANSWER_FULL: taken, but the next one only after `resume`; or a code to cancel. [any], one
     * at a time, never after done. */
    int32_t (*answer)(struct qd_action_call *, int32_t status, uint32_t format,
                      const qd_slice *piece);
    void *user;
    void *host[8];
} qd_action_call;

/* How a body that comes in pieces ends: `last` of body. Since 0.4 those that end it early: what has
 * been done stays, and the answer tells it. A host that does not know the third takes it for the
 * second. */
enum {
    QD_BODY_LAST = 1,      /* it is whole */
    QD_BODY_TOO_LARGE = 2, /* the front-end takes no more of it */
    QD_BODY_BROKEN = 3,    /* the rest of it cannot be read */
    QD_BODY_LATE = 4       /* the rest of it did not come in time */
};
enum { QD_ANSWER_FULL = 1 }; /* the client does not take the answer as fast as it comes */

typedef struct qd_svc_action {
    qd_vtable head;
    int32_t (*submit)(qd_self *, qd_action_call *, qd_err *); /* [any] */
    /* More of the body; last (QD_BODY_*) ends it. QD_E_REJECTED: not now, ready(call) will be told.
     * [any] */
    int32_t (*body)(qd_action_call *, qd_slice piece, uint32_t last,
                    void (*ready)(qd_action_call *));
    void (*cancel)(qd_action_call *); /* the client is gone. [any] */
    /* Once after each QD_ANSWER_FULL, when there is room or the client is gone; not after done.
     * [any] */
    void (*resume)(qd_action_call *);
    /* How old the answer may be, in milliseconds, from its first piece on; 0: as new as can be. A
     * header X-Quidditch-Stale tells it in seconds. Since 0.3 of this table. [any] */
    int64_t (*stale_ms)(const qd_action_call *);
} qd_svc_action;

#ifdef __cplusplus
}
#endif
#endif
