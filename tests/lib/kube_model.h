/*
 * kube_model.h: a model of a Kubernetes API server behind lib/kube's transport, for unit tests and
 * simulations. docs/simulation.md says what it models and what it leaves out.
 *
 *   kube_model *m = kube_model_make(&(kube_model_config){.seed = 7});
 *   kube_transport *t = kube_model_connect(m, "node-1", NULL);
 *   kube_client_make(env, t, NULL)...
 *   while (...) kube_model_turn(m, now_ns);      callbacks run in here, and nowhere else
 *
 * One server, any number of transports ("a connection from a node"), each cut off, slowed, behind,
 * losing answers by itself. Time comes in by kube_model_turn (or config.mono_ns), everything random
 * from the seed: the same calls give the same answers. Faults come by odds, or one by one.
 *
 * Threads: a lock is inside; every function is [any] but for these: a transport's callbacks come on
 * the thread that calls kube_model_client_turn for it (kube_model_turn: for all), and nobody holds
 * the lock then. A transport is used by one thread.
 */
#ifndef QD_TESTS_KUBE_MODEL_H
#define QD_TESTS_KUBE_MODEL_H

#include "kube/transport.h"
#include <jansson.h>
#include <stdbool.h>

typedef struct kube_model kube_model;
typedef struct kube_model_client kube_model_client;
typedef struct kube_model_backup kube_model_backup;
#define KUBE_MODEL_NEVER UINT64_MAX

typedef struct kube_model_config {
    uint64_t seed;
    uint64_t now_ns; /* where time begins */
    int64_t wall_ms; /* the server's wall clock then; 0: some day in 2026 */
    /* Time between turns, so that what starts then starts in time; NULL: the last turn's. */
    uint64_t (*mono_ns)(void *arg);
    void *arg;
    uint64_t latency_min_ns, latency_max_ns; /* each way; both 0: 0.2 to 2 ms */
    uint64_t bookmark_ns;                    /* between bookmarks; 0: 60 s */
    uint64_t compact_ns;   /* history older than this goes, at this interval; 0: never */
    uint64_t namespace_ns; /* what is in a deleted namespace goes so long after; 0: never, there is
                              no controller */
    uint32_t history_max;  /* changes remembered; 0: no limit */
} kube_model_config;

/* A server that knows namespaces (default, kube-system), configmaps, pods, events, secrets, leases,
 * statefulsets, custom resource definitions and what is defined by them, and the reviews of
 * authorization.k8s.io. */
kube_model *kube_model_make(const kube_model_config *config);
/* Frees it; all transports were freed before. */
void kube_model_free(kube_model *m);

/* A custom resource without a schema, as if its definition had been applied. */
void kube_model_kind(kube_model *m, const char *group, const char *version, const char *plural,
                     const char *kind, bool status_subresource);
/* The kinds of quidditch.io/v1 in that way. */
void kube_model_quidditch(kube_model *m);

/* Custom resources with their schemas, from files of definitions (deploy/crds, as a shell pattern).
 * false: no such file, or one that the model does not take. */
bool kube_model_apply(kube_model *m, const char *pattern);
/* Those of the tree that this program was built in: the kinds of quidditch.io/v1 as they are
 * deployed. false: they are not there. */
bool kube_model_deployed(kube_model *m);

/* --- time --- */

/* Does what is due and runs the callbacks of all transports, until nothing is due any more. Time
 * never goes back. Not from inside a callback. */
void kube_model_turn(kube_model *m, uint64_t now_ns);
/* The time: config.mono_ns, else the last turn's. */
uint64_t kube_model_now(kube_model *m);
/* When something is due next; KUBE_MODEL_NEVER: nothing is until somebody starts something. */
uint64_t kube_model_next(kube_model *m);
/* The same for one transport, on its thread. */
void kube_model_client_turn(kube_model_client *c, uint64_t now_ns);
uint64_t kube_model_client_next(kube_model_client *c);
/* wake is called when a transport's next moment may have changed, by any thread, under the model's
 * lock: it may only signal. */
void kube_model_client_wake(kube_model_client *c, void (*wake)(void *arg), void *arg);
/* The server's wall clock jumps. */
void kube_model_wall_jump(kube_model *m, int64_t ms);

/* --- connections --- */

/* A transport; name is for the log. user NULL: an administrator; another one may do what
 * kube_model_allow granted. make: kube_transport.free. */
kube_transport *kube_model_connect(kube_model *m, const char *name, const char *user);
/* The connection of a transport of this model. */
kube_model_client *kube_model_client_of(kube_transport *t);
/* Grants a user verbs ("get,list", or "*") on a resource ("leases", "widgets/status", "*") of a
 * group in a namespace ("*": all, and cluster-wide), perhaps on one name only (else NULL). */
void kube_model_allow(kube_model *m, const char *user, const char *verbs, const char *group,
                      const char *resource, const char *ns, const char *name);
/* Takes back all that was granted to a user. */
void kube_model_revoke(kube_model *m, const char *user);

/* No byte gets through while on. What was on its way, or is begun meanwhile, gets through
 * afterwards (so late that nobody waits for it) or is lost, by the seed. */
void kube_model_cut(kube_model_client *c, bool on);
/* Each way takes so much longer; 0, 0: as before. */
void kube_model_slow(kube_model_client *c, uint64_t min_ns, uint64_t max_ns);
/* Its API server's cache (lists and reads with resourceVersion, watches) is so old. Less than
 * before is fine: another server. */
void kube_model_lag(kube_model_client *c, uint64_t ns);

/* --- faults --- */

/* What may become of one request. _DONE: it took effect; else it did not. */
typedef enum kube_model_fault_kind {
    KUBE_FAULT_NONE,
    KUBE_FAULT_REFUSED,     /* no connection: KUBE_NOT_SENT */
    KUBE_FAULT_LOST,        /* the connection breaks, the server saw nothing */
    KUBE_FAULT_LOST_DONE,   /* the connection breaks before the answer came */
    KUBE_FAULT_SILENT,      /* never answered */
    KUBE_FAULT_SILENT_DONE, /* never answered */
    KUBE_FAULT_LATE,        /* the connection breaks; it takes effect delay_ns later */
    KUBE_FAULT_401,
    KUBE_FAULT_429, /* with Retry-After: delay_ns, else 1 to 3 s */
    KUBE_FAULT_500,
    KUBE_FAULT_503,
    KUBE_FAULT_504,
    KUBE_FAULT_500_DONE,
    KUBE_FAULT_504_DONE,
    KUBE_FAULT_504_LATE,   /* answered 504; it takes effect delay_ns later */
    KUBE_FAULT_SLOW,       /* answered delay_ns later */
    KUBE_FAULT_SLOW_START, /* reaches the server delay_ns later */
    KUBE_FAULT_TORN,       /* took effect; the answer breaks off at some byte */
    /* Watches, after `events` of them. */
    KUBE_FAULT_WATCH_SILENT,  /* nothing comes any more */
    KUBE_FAULT_WATCH_TORN,    /* breaks at some byte of the next event */
    KUBE_FAULT_WATCH_GONE,    /* an ERROR event, 410 */
    KUBE_FAULT_WATCH_ENDED,   /* ends in order */
    KUBE_FAULT_WATCH_REFUSED, /* answered 410: its version is gone */
    KUBE_FAULTS
} kube_model_fault_kind;

/* One fault to come. Texts are copied; NULL: any. */
typedef struct kube_model_fault {
    kube_model_fault_kind kind;
    kube_model_client *client;
    const char *verb; /* get list watch create update patch delete */
    const char *plural, *name;
    uint32_t skip;     /* so many matching requests pass first */
    uint32_t times;    /* 0: once */
    uint64_t delay_ns; /* 0: by the seed, 0.05 to 20 s */
    uint32_t events;   /* WATCH_*: so many events come first */
} kube_model_fault;

/* The first fault that matches a request is its fate; else odds decide. */
void kube_model_fault_add(kube_model *m, const kube_model_fault *f);
/* Faults that were added and did not come yet. */
uint32_t kube_model_faults_left(kube_model *m);
/* From now on one of so many requests (watches) of c (NULL: every connection, later ones too) has
 * this fault; 0: none. */
void kube_model_odds(kube_model *m, kube_model_client *c, kube_model_fault_kind kind,
                     uint32_t one_in);
/* No odds, no faults, nobody cut off, slow or behind. */
void kube_model_calm(kube_model *m);

/* The API server goes and comes back after down_ns: connections break, what had not reached it is
 * lost, its caches begin anew (so an older resourceVersion is gone for watches). */
void kube_model_restart(kube_model *m, uint64_t down_ns);
/* Forgets all history: 410 for watches and pages that begin before. */
void kube_model_compact(kube_model *m);
/* Everything that is stored, now. make: kube_model_backup_free */
kube_model_backup *kube_model_backup_make(kube_model *m);
/* Puts it back, revision included, as an administrator would: the server restarts. */
void kube_model_restore(kube_model *m, const kube_model_backup *b, uint64_t down_ns);
void kube_model_backup_free(kube_model_backup *b);

/* --- for checkers --- */

/* One request of an administrator, at once, past all faults. Returns the status; out (may be NULL)
 * gets the answer's tree, NULL for none (make: json_decref). */
int kube_model_do(kube_model *m, const char *method, const char *target, const char *body,
                  json_t **out);
/* A stored object now; NULL: none. ns "" for what has none. make: json_decref; never change it. */
json_t *kube_model_get(kube_model *m, const char *plural, const char *ns, const char *name);
/* How many of a kind are stored in a namespace ("": in all). */
uint32_t kube_model_size(kube_model *m, const char *plural, const char *ns);
/* The newest revision. */
uint64_t kube_model_revision(kube_model *m);

/* One request that reached the server, or one that a fault kept from it. Texts live as long as the
 * model. */
typedef struct kube_model_entry {
    uint64_t at_ns;
    const char *client, *user; /* user "": an administrator */
    const char *verb;          /* as in RBAC; "": of no resource */
    const char *plural, *sub, *ns, *name;
    int32_t status;    /* as the server answered; 0: it was never asked */
    uint64_t revision; /* > 0: the write took effect and made this one */
    kube_model_fault_kind fault;
} kube_model_entry;
/* Entries so far. */
uint64_t kube_model_log_size(kube_model *m);
/* Entry i; false: there is none. */
bool kube_model_log(kube_model *m, uint64_t i, kube_model_entry *out);
/* Requests that reached the server with this verb, plural, client (NULL: any). */
uint64_t kube_model_count(kube_model *m, const char *verb, const char *plural, const char *client);
/* A hash over all that was asked and answered: the same for the same calls and seed. */
uint64_t kube_model_digest(kube_model *m);
/* The name of a fault, as "LOST_DONE". */
const char *kube_model_fault_name(kube_model_fault_kind kind);

#endif
