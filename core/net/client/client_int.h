/* client_int.h: the parts of the HTTP client. */
#ifndef QD_NET_CLIENT_CLIENT_INT_H
#define QD_NET_CLIENT_CLIENT_INT_H

#include "net/client/client.h"
#include "runtime/sync.h"
#include <curl/curl.h>

/* A call under way. */
typedef struct http_flight {
    struct http_flight *next;
    qd_http_client *c;
    qd_http_call *call;
    CURL *easy;
    struct curl_slist *headers;
    uint64_t moved_ns; /* when a byte came or went last */
    curl_off_t up, down;
    bool added, too_large, no_memory, silent;
    char why[CURL_ERROR_SIZE];
} http_flight;

struct qd_http_client {
    qd_env *env;
    CURLM *multi;
    qd_thread *thread;
    qd_mutex lock;
    http_flight *fresh; /* begun, not yet curl's; under the lock */
    http_flight *first; /* curl's; the thread's own */
    bool stop;          /* under the lock */
};

/* request.c: makes the handle of a flight. QD_E_NOMEM */
QD_MUST_CHECK
int qdi_http_prepare(http_flight *f);

#endif
