/*
 * client.h: qd's HTTP client, over libcurl: one node, requests with JSON bodies. A node that
 * says nothing is not waited for longer than --timeout.
 */
#ifndef QD_MAIN_QD_CLIENT_H
#define QD_MAIN_QD_CLIENT_H

#include "base/err.h"
#include "base/str.h"

typedef struct qd_client qd_client;

/* Makes a client of the node at url ("http://localhost:9200"; NULL: QUIDDITCH_URL or that). */
QD_MUST_CHECK
int qd_client_open(const char *url, qd_client **out, qd_err *err);
/* How long a silent node is waited for, in seconds, where --timeout does not say. A change is
 * waited for by the node itself for 30 s, a document for 60 s, and what it says then tells more. */
#define QD_CLIENT_READ_S 30
#define QD_CLIENT_CHANGE_S 60
#define QD_CLIENT_BULK_S 120
/* From now on a request ends when not a byte of it or of its answer has come through for so many
 * seconds (QD_CLIENT_READ_S at first; 0: never); for a connection it waits as long, but 10 s at
 * most. */
void qd_client_patience(qd_client *c, int64_t seconds);
/* Reads the value of --timeout: seconds. QD_E_ARG */
QD_MUST_CHECK
int qd_client_seconds(const char *value, int64_t *seconds, qd_err *err);
/* Frees it; NULL is fine. */
void qd_client_close(qd_client *c);
/* The node's URL. */
const char *qd_client_url(const qd_client *c);
/* Sends one request; body may be empty, ndjson tells its type. *status gets HTTP's, answer
 * (cleared) the body. QD_E_IO: no answer, with the reason. QD_E_TIMEOUT: none in
 * time; a change may have been carried out. */
QD_MUST_CHECK
int qd_client_call(qd_client *c, const char *method, const char *path, qd_str body, bool ndjson,
                   int *status, qd_buf *answer, qd_err *err);
/* The error of an answer that was not what was hoped for: status and reason. QD_E_STATE */
int qd_client_refused(qd_str answer, int status, qd_err *err);
/* Room for a part of a path that comes of a command line, and for the path: more than a node takes.
 */
#define QD_CLIENT_PART_MAX 8192
#define QD_CLIENT_PATH_MAX (QD_CLIENT_PART_MAX + 64)
/* Percent-encodes a part of a path into out (room bytes). QD_E_ARG: there is not enough of it. */
QD_MUST_CHECK
int qd_client_escape(const char *part, char *out, size_t room, qd_err *err);

#endif
