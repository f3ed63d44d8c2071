/*
 * route.h: the route kind, version 0.1: REST requests on the node's main port that a plugin
 * answers. A provision is a table of routes, shaped as the node's own, and one function for all.
 *
 * The host decodes path and query, refuses parameters, methods and bodies that the table does not
 * have, serves HEAD where there is a GET, and understands pretty, human, error_trace, filter_path
 * and format=yaml. It runs the function on a worker, with a task that _tasks lists, and leaves it
 * after plugins.call_timeout with 503. A path that overlaps with a built-in one, or with another
 * plugin's, stops the node's start.
 */
#ifndef QUIDDITCH_ROUTE_H
#define QUIDDITCH_ROUTE_H

#include <quidditch/frontend.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    QD_ROUTE_READ = 1,         /* changes nothing, also where POST is among its methods */
    QD_ROUTE_WRITE = 2,        /* changes something; one of these two is set */
    QD_ROUTE_BODY = 4,         /* a body is allowed */
    QD_ROUTE_BODY_REQUIRED = 8 /* 400 without one */
};
#define QD_ROUTE_FLAGS 15u /* all that are known */

/* One row; all text is static. */
typedef struct qd_route {
    const char *methods; /* of GET, POST, PUT and DELETE, parted by '|' */
    /* "/_my/{id}": at most 12 parts, each fixed ([a-z0-9_.-]+) or a {parameter}. The first fixed
     * part begins with '_', as no index does. */
    const char *path;
    const char *params; /* accepted in the query, parted by ','; NULL: the common ones alone */
    const char *help;   /* one line */
    uint32_t flags, reserved;
} qd_route;

/* What was asked; borrow, all of it. */
typedef struct qd_route_request {
    uint32_t struct_size;
    uint32_t route;        /* index in the table */
    qd_str method;         /* GET also where HEAD was asked for */
    qd_str path;           /* as it was asked for, escapes and all; empty: not over HTTP */
    const qd_pair *params; /* of path and query, decoded; the first nparts are of the path */
    uint32_t nparams, nparts;
    qd_str body;     /* at most http.max_content_length */
    uint32_t format; /* of the body: QD_FORMAT_* */
    uint32_t reserved;
    const qd_task *task; /* cancelled when nobody waits for the answer any more */
    qd_arena *arena;     /* memory until the call ends, charged to the plugin */
} qd_route_request;

/* The answer, in the host's memory. status and format are the plugin's to set at any time. */
typedef struct qd_route_answer {
    uint32_t struct_size;
    int32_t status;  /* 200 to 599; 200 at first */
    uint32_t format; /* QD_FORMAT_JSON at first, QD_FORMAT_TEXT */
    uint32_t reserved;
    qd_json_out *json; /* writes the body, pretty where that was asked for */
    /* Appends to the body. LIMIT: more than 64 MiB; BREAKER: over the plugin's memory. Then, also
     * where json writes too much, the host answers with an error that says so. */
    int32_t (*write)(struct qd_route_answer *, qd_str bytes);
} qd_route_answer;

typedef struct qd_route_vtable {
    qd_vtable head;
    const qd_route *routes; /* at least one */
    uint32_t nroutes;       /* at most 64 */
    uint32_t route_size;    /* sizeof(qd_route) */
    /* Answers one request; an error is shown as Elasticsearch shows errors. [worker] */
    int32_t (*handle)(qd_self *, const qd_route_request *, qd_route_answer *, qd_err *);
} qd_route_vtable;

#ifdef __cplusplus
}
#endif
#endif
