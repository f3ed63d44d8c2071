/* rest_int.h: what the files of the REST front-end share. */
#ifndef QD_REST_REST_INT_H
#define QD_REST_REST_INT_H

#include "action/action.h"
#include "net/http.h"
#include "rest/access_int.h"
#include "rest/rest.h"

#define REST_LOG "rest"
#define REST_LOOPS_MAX 64
#define REST_PARAMS_MAX 128u

/* compatibility.identity, in the order of the setting's values. */
typedef enum rest_identity {
    IDENTITY_ES7,
    IDENTITY_ES8,
    IDENTITY_ES9,
    IDENTITY_OS2,
    IDENTITY_OS3,
    IDENTITY_ES7102
} rest_identity;

struct qd_frontend {
    qd_self *self;
    const qd_host *host;
    const qd_svc_action *action;
    qd_http_server *server;
    qd_loop *loops[REST_LOOPS_MAX];
    uint32_t nloops;
    uint64_t drain_ns;
    qd_account *in_flight;
    rest_identity identity;
    qd_access *access;
    struct rest_routes *routes; /* of plugins; NULL: there are none */
    bool observe;               /* only what an observer asks for */
    char server_headers[256];
};

/* Builds the table of routes once. QD_E_NOMEM. */
int qdi_routes_make(qd_err *err);

/* Routes beside that table: those of a node's plugins, which go before it. */
typedef struct rest_routes rest_routes;
/* Makes them of n rows, which are kept. QD_E_NOMEM. */
int qdi_routes_more(const qd_api *rows, uint32_t n, rest_routes **out, qd_err *err);
/* NULL is fine. */
void qdi_routes_free(rest_routes *routes);

typedef struct rest_match {
    const qd_api *api;        /* NULL: none */
    char allowed[64];         /* methods of the path when only the method is wrong: "GET, POST" */
    qd_pair *params;          /* of path and query, decoded, in the arena */
    uint32_t nparams, nparts; /* the first nparts are of the path */
} rest_match;
/* Finds the API of a request, first among `more` (NULL: none), and decodes its parameters. typed:
 * the paths may have a type, as in Elasticsearch 7. QD_E_HTTP_BAD for broken escapes. */
int qdi_route(const rest_routes *more, bool typed, const qd_http_request *r, qd_arena *arena,
              rest_match *out, qd_err *err);

/* Content type and Accept of a request under an identity. */
typedef struct rest_media {
    uint32_t body, accept;    /* QD_FORMAT_* */
    const char *content_type; /* of a JSON answer; in vendored_type, or static */
    char vendored_type[64];
    bool vendored;
    bool plain_error; /* the error is shown as a text, not as an object */
} rest_media;
/* What an answer has before the request's head was looked at: JSON as the identity writes it. */
void qdi_media_standard(rest_identity id, rest_media *out);
int qdi_media(const qd_frontend *f, const qd_http_exchange *x, bool has_body, rest_media *out,
              qd_err *err);

/* The HTTP handler of a front-end. */
void qdi_rest_handler(qd_frontend *f, qd_http_handler *out);

#endif
