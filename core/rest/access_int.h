/*
 * access_int.h: which requests a browser may have been made to send by somebody's page, and what
 * becomes of them: names that are not the node's (DNS rebinding), changes asked for by other sites,
 * and the answers to scripts of origins that http.cors.* allows.
 */
#ifndef QD_REST_ACCESS_INT_H
#define QD_REST_ACCESS_INT_H

#include "action/action.h"
#include "net/http.h"
#include <quidditch/frontend.h>

typedef struct qd_access qd_access; /* immutable */
struct rest_match;

/* From the options of a front-end: own_names, allowed_hosts and cors.*. QD_E_ARG names the setting
 * that cannot be read. [worker] */
QD_MUST_CHECK
int qdi_access_make(const qd_frontend_config *c, qd_access **out, qd_err *err);
/* Frees it; NULL is fine. */
void qdi_access_free(qd_access *a);

/*
 * May the request go on? m is what it asks for, NULL when that cannot be read. QD_E_SECURITY names
 * header and value. lines gets header lines of the answer, also of a refusal by others later;
 * *preflight: the request asks only for these lines. arena is the request's. [any]
 */
QD_MUST_CHECK
int qdi_access_check(const qd_access *a, const qd_http_request *r, const struct rest_match *m,
                     qd_arena *arena, qd_buf *lines, bool *preflight, qd_err *err);

#endif
