/*
 * client.h: one request to the API server, typed: its outcome, the server's Status, the object.
 *
 * The client limits how many requests are open at once and queues the rest in order; gives each a
 * deadline; and repeats reads, if asked to, after a back-off with jitter or the server's
 * Retry-After. A write is sent at most once: whether it had its effect is told, not guessed
 * (KUBE_UNKNOWN), and what then is right only the caller knows.
 *
 * A GET without resourceVersion in its query is linearizable: the server asks its quorum. Never put
 * resourceVersion=0 there.
 */
#ifndef KUBE_CLIENT_H
#define KUBE_CLIENT_H

#include "transport.h"
#include <jansson.h>

/* What became of a request. */
enum {
    KUBE_DONE = 0,    /* 2xx: it had its effect */
    KUBE_REFUSED = 1, /* certainly no effect: never sent, or a 4xx other than 408 and 429 */
    KUBE_UNKNOWN =
        2 /* sent; no answer, or 408, 429 or 5xx: it may have, or may still get, its effect */
};

typedef struct kube_result {
    int32_t outcome;              /* KUBE_DONE... */
    int32_t code;                 /* HTTP status; 0: no answer */
    char reason[KUBE_REASON_MAX]; /* of the Status: Conflict, AlreadyExists, NotFound, Expired... or
                                     "" */
    char message[KUBE_MESSAGE_MAX]; /* of the Status, or why there was no answer; "" when done */
    json_t *object;                 /* the answer's JSON; NULL: none. borrow until done returns */
    int64_t date_ms;                /* the server's Date; 0: none */
    int64_t retry_after_ns;         /* -1: none told */
    uint32_t attempts;              /* how often it was tried */
} kube_result;

typedef struct kube_client kube_client;
typedef struct kube_client_options {
    uint32_t open_max;  /* requests at once; 0: 8. Watches are not counted */
    uint32_t queue_max; /* waiting for their turn; 0: 1024 */
} kube_client_options;

/* Of a list: names, labels, versions, dates, and nothing else of its objects. */
#define KUBE_METADATA_LIST "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

/* The content_type of a PATCH: members of the body replace those of the object, null removes. */
#define KUBE_MERGE_PATCH "application/merge-patch+json"

/* Embedded by the caller, zeroed, filled, and given to kube_send; its memory stays until done, or
 * until kube_cancel. */
typedef struct kube_request {
    const char *method;       /* GET, PUT, POST, PATCH, DELETE */
    const char *path;         /* with query, encoded; borrow (kube_path writes one) */
    const char *content_type; /* NULL: application/json */
    const char *accept;       /* NULL: application/json; borrow. KUBE_METADATA_LIST */
    json_t *object;           /* the body: borrow, written out by kube_send; NULL: text */
    qd_str text;              /* or the body as text; borrow until done; n == 0: none */
    int64_t timeout_ns;       /* of all of it, waiting and repeats included; 0: 30 s */
    size_t answer_max;        /* 0: KUBE_ANSWER_MAX */
    int32_t repeat; /* 1: a GET that had no answer, 408, 429 or 5xx, or 401, is sent again until
                       timeout_ns; refused for other methods */
    void (*done)(struct kube_request *);
    void *user;

    kube_result result; /* set when done is called */

    /* The client's own. */
    kube_client *client;
    struct kube_request *prev, *next;
    kube_exchange exchange;
    kube_timer timer;
    char *written;
    int64_t deadline_ns;
    int32_t state;
} kube_request;

/* A client over a transport, both of which outlive it; NULL: no memory. options may be NULL. make:
 * kube_client_free. */
kube_client *kube_client_make(const kube_env *env, kube_transport *transport,
                              const kube_client_options *options);
/* Cancels what is open (done is not called) and frees. Lists and watches are stopped before. Not
 * from inside a callback of this client. */
void kube_client_free(kube_client *c);
/* What it was made with; borrow. */
const kube_env *kube_client_env(const kube_client *c);
/* The same. */
kube_transport *kube_client_transport(const kube_client *c);
/* How many wait for their turn. */
uint32_t kube_client_waiting(const kube_client *c);
/* How many are open. */
uint32_t kube_client_open(const kube_client *c);

/* Sends or queues. 0: done comes exactly once, never from inside. Else QD_E_REJECTED (queue full),
 * QD_E_NOMEM, QD_E_ARG, and nothing happens. */
int32_t kube_send(kube_client *c, kube_request *r);
/* Gives up: done does not come. Returns KUBE_REFUSED when it certainly had no effect, else
 * KUBE_UNKNOWN. Fine for one that is done or was never sent (KUBE_REFUSED). */
int32_t kube_cancel(kube_request *r);

/*
 * The path of an object or a collection: group "" is the core one (/api/v1); ns and name may be
 * NULL (all namespaces; the collection), sub NULL or "status"; query NULL or "a=b&c=d", encoded by
 * the caller (kube_encode). 0, or QD_E_ARG when it does not fit.
 */
int32_t kube_path(char out[KUBE_PATH_MAX], const char *group, const char *version, const char *ns,
                  const char *plural, const char *name, const char *sub, const char *query);
/* Percent-encodes a value for a query or a path segment, NUL-terminated; QD_E_ARG: no room. */
int32_t kube_encode(char *out, size_t room, const char *value);

/* metadata.resourceVersion of an object, or of a list; borrow; "" when it is not there, as the next
 * two. */
const char *kube_object_version(const json_t *object);
/* metadata.uid */
const char *kube_object_uid(const json_t *object);
/* metadata.name */
const char *kube_object_name(const json_t *object);

/* Fills a result from an exchange that has ended, object included (make: kube_result_clear). */
void kube_result_read(kube_result *out, const kube_exchange *x);
/* The result as an error code, for callers that only pass it on: 0 when done; QD_E_TIMEOUT,
 * QD_E_IO, QD_E_SECURITY (401, 403), QD_E_NOTFOUND, QD_E_CONFLICT (409), QD_E_COMPACTED (410),
 * QD_E_REJECTED (429), QD_E_ARG (other 4xx). */
int32_t kube_result_rc(const kube_result *r);
/* Drops the object. */
void kube_result_clear(kube_result *r);

#endif
