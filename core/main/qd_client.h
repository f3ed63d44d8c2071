/*
 * qd_client.h: qd's HTTP client, over libcurl: one node, requests with JSON bodies.
 */
#ifndef QD_MAIN_QD_CLIENT_H
#define QD_MAIN_QD_CLIENT_H

#include "base/err.h"
#include "base/str.h"

typedef struct qd_client qd_client;

/* Makes a client of the node at url ("http://localhost:9200"; NULL: QUIDDITCH_URL or that). */
QD_MUST_CHECK
int qd_client_open(const char *url, qd_client **out, qd_err *err);
/* Frees it; NULL is fine. */
void qd_client_close(qd_client *c);
/* The node's URL. */
const char *qd_client_url(const qd_client *c);
/* Sends one request; body may be empty, ndjson tells its type. *status gets HTTP's, answer
 * (cleared) the body. QD_E_IO: no answer, with the reason. */
QD_MUST_CHECK
int qd_client_call(qd_client *c, const char *method, const char *path, qd_str body, bool ndjson,
                   int *status, qd_buf *answer, qd_err *err);
/* The error of an answer that was not what was hoped for: status and reason. QD_E_STATE */
int qd_client_refused(qd_str answer, int status, qd_err *err);
/* Percent-encodes a part of a path into out (room bytes). */
void qd_client_escape(const char *part, char *out, size_t room);

#endif
