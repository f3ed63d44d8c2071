/*
 * transport.h: how requests reach an API server. One vtable, two implementations: libcurl on the
 * owner's loop (curl.h), and a model of a server in tests.
 *
 * An exchange is one HTTP request and its answer, embedded by the caller. Rules:
 * - start returns 0 and calls done exactly once later (never from inside start), or it fails and
 *   done never comes.
 * - After cancel has returned neither chunk nor done comes, and the memory is the caller's again.
 * - From inside chunk and done everything may be called: start and cancel of any exchange; from
 *   inside done also start of this one again. Only free may not.
 * - Credentials, TLS, keep-alive and the server's address are the transport's own business. It
 *   follows no redirect and never sends a request other than GET a second time.
 */
#ifndef KUBE_TRANSPORT_H
#define KUBE_TRANSPORT_H

#include "kube.h"

/* How an exchange ended. */
enum {
    KUBE_ANSWERED = 0,  /* status, and the whole body */
    KUBE_NOT_SENT = 1,  /* no byte of the request left: it certainly has no effect; status 0 */
    KUBE_NO_ANSWER = 2, /* sent in part or whole: it may have had, or may still have, its effect.
                           status is 0, or that of an answer whose body broke off */
    KUBE_TOO_LARGE = 3  /* an answer came with status, its body exceeds answer_max */
};

typedef struct kube_exchange {
    /* Set by the caller; borrowed until done, or until cancel. */
    const char *method; /* GET, PUT, POST, PATCH, DELETE */
    const char *target; /* path and query, from '/' on, encoded; the server's own prefix is the
                           transport's */
    const char *content_type; /* of the body; NULL: application/json */
    const char *accept;       /* of the answer; NULL: application/json */
    qd_str body;              /* n == 0: none */
    int64_t timeout_ns;       /* of the whole exchange, from start on; 0: none */
    size_t answer_max;        /* bytes of a gathered answer; 0: KUBE_ANSWER_MAX */
    /* NULL: the answer is gathered. Else the body of a 2xx answer comes in pieces as they arrive,
     * status being set; a first call with n == 0 says that the header has come. Other answers are
     * gathered. Bytes are borrowed for the call. */
    void (*chunk)(struct kube_exchange *, qd_str bytes);
    void (*done)(struct kube_exchange *);
    void *user;

    /* Set by the transport before done; status and date_ms before the first chunk. */
    int32_t outcome;        /* KUBE_ANSWERED... */
    int32_t status;         /* HTTP; 0: none came */
    qd_str answer;          /* the gathered body; borrow until done returns */
    int64_t retry_after_ns; /* -1: none told */
    int64_t date_ms;        /* the server's Date, ms since 1970; 0: none told */
    char why[256];          /* not KUBE_ANSWERED: a sentence */

    void *host; /* the transport's own */
} kube_exchange;

typedef struct kube_transport kube_transport;
struct kube_transport {
    /* 0, or QD_E_NOMEM, QD_E_REJECTED. */
    int32_t (*start)(kube_transport *, kube_exchange *);
    /* Ends an exchange that start accepted and whose done has not begun. Returns KUBE_NOT_SENT or
     * KUBE_NO_ANSWER, as done would have told. */
    int32_t (*cancel)(kube_transport *, kube_exchange *);
    /* Cancels what is open and frees the transport. closed (may be NULL) comes on the loop, perhaps
     * at once, when nothing of it is left. */
    void (*free)(kube_transport *, void (*closed)(void *arg), void *arg);
};

#endif
