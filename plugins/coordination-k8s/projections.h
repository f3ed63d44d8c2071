/*
 * projections.h: indices and the cluster as custom resources (QuidditchIndex, QuidditchShard,
 * QuidditchCluster), on a thread of their own, so that nothing here keeps the store waiting. Only
 * the node that leads the store reads and writes them. What is to be done for an object, objects/
 * says; here is the rest:
 *
 *   projections.c          the thread, rights, the state, leading
 *   projections_objects.c  the objects as the API has them: lists and watches
 *   projections_look.c     which of them is judged when
 *   projections_jobs.c     one thing that is being done: requests to the cluster and to the API
 *   projections_calls.c    requests to the cluster, by the host's action service
 *
 * All but the functions marked [any] run on that thread.
 */
#ifndef COORDINATION_K8S_PROJECTIONS_H
#define COORDINATION_K8S_PROJECTIONS_H

#include "curl.h"
#include "list.h"
#include "objects/objects.h"
#include "rules.h"
#include "store.h"
#include "watch.h"
#include <quidditch/frontend.h>

#define CK_QUIDDITCH "quidditch.io"
#define CK_WRITE_GAP_NS 50000000ll /* between things begun: at most 20 a second */

enum { CK_OF_INDEX, CK_OF_CLUSTER, CK_OF_SHARD, CK_KINDS };
enum { CK_BUCKETS = 1024, CK_JOBS_MAX = 8 };

/* An object of the API. */
typedef struct ck_object {
    struct ck_object *chain;
    int kind, ours;
    json_t *json;
    const char *holder; /* another object has its index; borrow until the next hold; NULL: it has */
    int busy;           /* a job is on */
    int namespace_ends; /* as found out at its end */
    int partly;         /* it took no spec with all of its index */
    int64_t again_ns;   /* not before; 0: at once */
    uint32_t failures;  /* in a row */
    uint64_t after_read; /* only a reading of the state of this number or later counts */
    int64_t missing_ns;  /* since when its index is missing; 0: it is there */
    uint64_t missing_read;
    ck_verdict *verdict; /* NULL: none */
    uint32_t mark;       /* of the last list that had it */
    uint32_t looked;     /* the look that was the last one; another than p's: it is its turn */
    char name[CK_NAME];
} ck_object;

/* A request to the cluster. */
typedef struct ck_calls ck_calls;
typedef struct ck_call {
    qd_action_call call; /* first */
    struct ck_call *next;
    ck_calls *owner;
    json_t *params;
    qd_pair pairs[8];
    cr_bytes body, answer;
    int32_t status, rc; /* status 0: no answer, rc tells why */
    void (*done)(struct ck_call *);
    void *user;
} ck_call;

/* --- projections_calls.c --- */
/* wake is sent when calls have ended. make: ck_calls_close. */
ck_calls *ck_calls_make(const cr_heap *heap, const qd_svc_action *service, qd_self *self,
                        uv_async_t *wake);
/* Asks for an action; body may be NULL. done comes from ck_calls_turn, never from inside; the call
 * is freed after it. */
void ck_call_start(ck_calls *c, const char *action, const json_t *params, const json_t *body,
                   void (*done)(ck_call *), void *user);
/* Calls back for those that have ended. */
void ck_calls_turn(ck_calls *c);
/* Nothing is called back any more; what is under way goes on and is forgotten. */
void ck_calls_close(ck_calls *c);

typedef struct ck_job ck_job;

typedef struct ck_source {
    struct ck_projections *p;
    int kind;
    kube_list list;
    kube_watch watch;
    int watching, listed, warned;
    int64_t again_ns; /* list it then; 0: not */
    uint32_t mark;
} ck_source;

struct ck_projections {
    qd_coord *store; /* its configuration alone */
    const cr_heap *heap;
    char cluster[256];
    pthread_t thread;
    uv_loop_t loop;
    uv_async_t wake;
    uv_timer_t timer;
    kube_loop env;
    kube_transport *transport;
    kube_client *client;
    ck_calls *calls;
    /* told by the store's thread, atomic */
    int want, closing;
    uint64_t told;

    int leads, closed;
    uint32_t epoch; /* of leading: jobs of earlier ones are forgotten */
    int64_t lead_ns;
    kube_rules rules;
    int rules_out, allowed, warned;
    int64_t rules_again_ns, rules_asked_ns;
    uint32_t rules_tries; /* that found rights missing */
    ck_source sources[CK_KINDS];
    ck_object *buckets[CK_BUCKETS];
    /* the state as last read */
    json_t *state;
    ck_truth truth;
    uint64_t reads, truth_read; /* readings begun; the number of the one that truth is of */
    int reading;
    int64_t read_ns, settle_ns; /* read then, 0: not */
    int64_t read_began_ns, read_not_before_ns;
    uint64_t seen; /* revision of the store */
    /* who is looked at */
    int holders_old;
    uint32_t cursor, left; /* buckets still to be looked at */
    uint32_t look;         /* number of the present look at all of them, from 1 */
    json_t *missing;       /* indices without object: names; shards: {index, shard, name} */
    json_t *returning;     /* objects that come back: name -> {index, spec, labels, annotations} */
    int making;
    int64_t make_again_ns;
    int64_t next_ns;     /* when the next thing may begin */
    int64_t earliest_ns; /* an object waits until then; 0: none */
    uint32_t jobs;
    ck_job *first;
    int64_t said_ns; /* when a refusal was last logged */
    uint32_t unsaid; /* since then */
};
typedef struct ck_projections ck_projections;

/* --- projections.c --- */
/* Starts it, if it is wanted and the host has actions; c->home.projections. 0 or a code. */
int32_t ck_projections_open(qd_coord *c, qd_err *err);
/* Ends it. Not on its own thread. NULL is fine. */
void ck_projections_close(ck_projections *p);
/* Whether this node leads the store. NULL is fine. [any] */
void ck_projections_lead(ck_projections *p, int leads);
/* The store has this revision. NULL is fine. [any] */
void ck_projections_changed(ck_projections *p, uint64_t revision);

int64_t ck_projections_now(const ck_projections *p);
/* Now as the API has times. */
void ck_projections_time(const ck_projections *p, char out[40]);
/* Reads the state, at the latest in so long. */
void ck_read_soon(ck_projections *p, int64_t in_ns);
/* Something was refused as forbidden: whether rights are missing is asked for, now and then. */
void ck_rights_refused(ck_projections *p);
/* Sets the timer to what is due next. */
void ck_arm(ck_projections *p);

/* --- projections_objects.c --- */
/* An object by its name; NULL: there is none. */
ck_object *ck_object_find(ck_projections *p, int kind, const char *name);
/* The object as an answer or event shows it, unless that is older than what is known. */
void ck_object_take(ck_projections *p, int kind, json_t *json, uint32_t mark);
/* It may have to be looked at again. */
void ck_look_at(ck_projections *p, ck_object *o);
/* Forgets all objects. */
void ck_objects_clear(ck_projections *p);
/* The path of an object, or of the collection (name NULL). */
void ck_object_path(const ck_projections *p, int kind, const char *name, const char *sub,
                    char out[KUBE_PATH_MAX]);
/* Lists a kind, and watches it from there. */
void ck_list_begin(ck_source *s);
/* Ends lists and watches. */
void ck_sources_stop(ck_projections *p);

/* --- projections_look.c --- */
/* Everything may have to be looked at again. */
void ck_look_again(ck_projections *p);
/* Looks at what is to be looked at, and begins what may begin now. */
void ck_look(ck_projections *p);

/* --- projections_jobs.c --- */
/* Begins what was judged for an object; takes j's JSON. */
void ck_job_start(ck_projections *p, ck_object *o, ck_judgement *j);
/* Makes the object of an index, or of a shard: one of p's `missing`. */
void ck_job_make(ck_projections *p, const json_t *what);
/* Gives up requests to the API; all: those to the cluster too, which then are not called back. */
void ck_jobs_drop(ck_projections *p, int all);

#endif
