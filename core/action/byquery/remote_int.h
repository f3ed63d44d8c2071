/*
 * remote_int.h: a reindex that reads from another cluster by its scrolls over HTTP.
 *
 * Credentials live in the job's memory alone: what records, descriptions, logs and errors hold has
 * gone through qdi_bq_remote_redact or is cleaned of them.
 */
#ifndef QD_ACTION_BYQUERY_REMOTE_INT_H
#define QD_ACTION_BYQUERY_REMOTE_INT_H

#include "action/byquery/byquery_int.h"
#include "net/client/client.h"

#define BQ_REMOTE_ANSWER_MAX ((size_t)100 << 20) /* as Elasticsearch's buffer */
#define BQ_REMOTE_HEADERS_MAX 100u

/* source.remote; texts in the job's arena, NUL-terminated. */
typedef struct bq_remote {
    const char *scheme, *host, *prefix; /* prefix: "" or "/a/b" */
    int port;
    const char *username, *password;                /* NULL: none */
    const char *headers[BQ_REMOTE_HEADERS_MAX + 2]; /* "Name: value"; two are the job's own */
    uint32_t nheaders;
    int64_t socket_ns, connect_ns;
    /* while it runs */
    qd_http_tls tls;
    qd_buf text, scroll;      /* the present answer; the id of the scroll */
    qd_arena page;            /* the tree of the answer */
    const qd_json_node *hits; /* of the answer that is not written yet; NULL: none */
    bool opened;
} bq_remote;

/* --- remote_parse.c --- */

/* Reads source.remote. QD_E_ARG in Elasticsearch's words. */
QD_MUST_CHECK
int qdi_bq_remote_parse(bq_job *job, const qd_json_node *remote, qd_err *err);
/* What a reindex from a remote cluster cannot have. */
QD_MUST_CHECK
int qdi_bq_remote_check(const bq_job *job, qd_err *err);
/* The job's body becomes one without credentials: what records keep. */
QD_MUST_CHECK
int qdi_bq_remote_redact(bq_job *job, const qd_json_node *root, qd_err *err);
/* Do the node's settings allow the host? QD_E_ARG. */
QD_MUST_CHECK
int qdi_bq_remote_allowed(const bq_job *job, qd_err *err);
/* Do the lists of hosts allow any host at all? QD_E_CONFIG: the node is not to start. */
QD_MUST_CHECK
int qdi_bq_remote_lists_check(const qd_actions *a, qd_err *err);

/* --- remote_call.c --- */

/* Sends a request, again while the other side answers 429; the answer's tree lies in the remote's
 * page. Errors name what failed, without credentials. [worker, or a fiber] */
QD_MUST_CHECK
int qdi_bq_remote_call(bq_slice *s, const char *method, qd_str target, qd_str body,
                       const qd_json_node **out, qd_err *err);
/* Whom the calls trust, by reindex.ssl.*: QD_E_NOMEM. */
QD_MUST_CHECK
int qdi_bq_remote_tls(bq_job *job, qd_err *err);
/* Puts "<<>>" in place of each secret of the job in a text. */
qd_str qdi_bq_remote_clean(bq_job *job, qd_str text, qd_arena *arena);

/* --- remote.c --- */

/* Makes the slice of a job and opens the scroll: a wrong query is told here. [worker] */
QD_MUST_CHECK
int qdi_bq_remote_open(bq_job *job, qd_err *err);
/* Reads the scroll to its end and writes what it brings. [worker] */
QD_MUST_CHECK
int qdi_bq_remote_read(bq_slice *s, qd_err *err);
/* Gives the scroll back and frees what open made. [worker] */
void qdi_bq_remote_close(bq_job *job);

#endif
