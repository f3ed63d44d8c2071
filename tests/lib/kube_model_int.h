/*
 * kube_model_int.h: what the files of the model share. kube_model_store.c keeps objects and
 * history, kube_model_call.c reads a request, kube_model_read.c and kube_model_write.c answer it,
 * kube_model_object.c and kube_model_schema.c say what an object may look like, kube_model_watch.c
 * has the streams, kube_model_wire.c what goes between a transport and the server, and the faults;
 * kube_model.c the rest. All of it under the model's lock.
 */
#ifndef QD_TESTS_KUBE_MODEL_INT_H
#define QD_TESTS_KUBE_MODEL_INT_H

#include "lib/kube_model.h"
#include "runtime/sync.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    KM_OBJECT_MAX = 3 << 19, /* etcd's limit of a request */
    KM_BODY_MAX = 3 << 20,   /* the API server's */
    KM_PARAMS = 16
};
#define KM_MS 1000000ull

typedef struct km_kind {
    char *group, *version, *plural, *kind;
    bool namespaced, status; /* status: has the subresource */
    bool custom;             /* of a definition */
    bool upsert;             /* PUT creates */
    bool blind;              /* PUT without resourceVersion is accepted */
    bool counted;            /* has metadata.generation */
    bool gone;               /* its definition was deleted */
    json_t *schema;
    size_t order;
    uint64_t cache_from; /* watches from before are gone */
} km_kind;

typedef struct km_object {
    km_kind *kind;
    json_t *value;
} km_object;

typedef struct km_change {
    uint64_t revision, at_ns;
    km_kind *kind;
    json_t *after, *before; /* after a deletion: its last state */
    char *text;             /* of after, once somebody was told */
    bool deleted;
} km_change;

typedef struct km_list {
    json_t **at; /* borrowed */
    size_t n, cap;
} km_list;

typedef struct km_grant {
    char *user, *group, *resource, *ns, *name;
    json_t *verbs;
} km_grant;

typedef struct km_watch km_watch;
typedef struct km_exchange km_exchange;

/* A request, read. Texts belong to buf, or to who asked. */
typedef struct km_call {
    kube_model *m;
    const char *method, *type, *accept, *user;
    const char *body;
    size_t n;
    uint64_t cache; /* the newest revision that this server's cache knows */
    char *buf;
    const char *path; /* decoded */
    const char *group, *version, *plural, *ns, *name, *sub;
    struct {
        const char *key, *value;
    } params[KM_PARAMS];
    size_t nparams;
    km_kind *kind; /* NULL: no resource, or an unknown one */
    const char *verb;
    json_t *object; /* of the body, once read */
} km_call;

typedef struct km_reply {
    int status;
    json_t *body;
    const char *text; /* not JSON, in place of body */
    int retry_after_s;
    bool wait;       /* the cache is not there yet: ask again */
    km_watch *watch; /* a stream begins */
    uint64_t made;   /* the write took effect with this revision */
} km_reply;

typedef struct km_action {
    uint64_t due_ns, seq;
    enum { KM_ARRIVE, KM_PUMP, KM_MARK, KM_WATCH_OVER, KM_COMPACT, KM_NAMESPACE, KM_NOTHING } what;
    km_exchange *e;
    char *name;
} km_action;

typedef struct km_delivery {
    uint64_t due_ns, seq;
    enum { KM_ANSWER, KM_CHUNK, KM_END, KM_TIMEOUT } what;
    km_exchange *e;
    int32_t outcome, status;
    int64_t date_ms, retry_after_ns;
    char *bytes;
    size_t n;
    const char *why;
} km_delivery;

typedef struct km_scripted {
    kube_model_fault f;
    char *verb, *plural, *name;
} km_scripted;

struct kube_model_client {
    kube_transport base; /* first: the transport is the connection */
    kube_model *m;
    kube_model_client *next;
    char *name, *user;
    bool cut, freed;
    uint64_t slow_min_ns, slow_max_ns, lag_ns;
    uint32_t odds[KUBE_FAULTS];
    km_delivery *queue;
    size_t nqueue, queue_cap;
    void (*wake)(void *arg);
    void *wake_arg;
};

struct km_watch {
    km_kind *kind;
    char *ns, *name;
    json_t *labels;
    uint64_t sent; /* the last revision told */
    bool bookmarks, silent, over;
    bool pumping; /* a pump is on its way */
    bool missed;  /* history went before it was told */
    uint64_t over_ns;
};

/* One request, from both sides: the caller's ends at done or cancel, the server's may come later.
 */
struct km_exchange {
    km_exchange *prev, *next;
    int refs;
    kube_model_client *c;
    kube_exchange *x; /* NULL: the caller has gone */
    char *method, *target, *type, *accept, *body;
    size_t n;
    kube_model_fault_kind fault;
    uint64_t delay_ns, sent_ns, wait_until_ns, last_ns;
    uint32_t events;
    bool unsent, late, answered, scripted;
    size_t entry; /* in the log */
    km_watch *watch;
    char *gathered; /* of a stream that nobody reads in pieces */
    size_t ngathered;
};

struct kube_model {
    qd_mutex lock;
    kube_model_config config;
    qd_prng random;
    uint64_t now_ns, up_ns, seq;
    int64_t wall_offset_ms;
    uint64_t revision, compacted, digest;
    km_kind **kinds;
    size_t nkinds, kinds_cap;
    km_object *objects;
    size_t nobjects, objects_cap;
    km_change *history;
    size_t nhistory, history_cap;
    km_grant *grants;
    size_t ngrants, grants_cap;
    km_action *actions;
    size_t nactions, actions_cap;
    km_scripted *faults;
    size_t nfaults, faults_cap;
    uint32_t odds[KUBE_FAULTS];
    kube_model_entry *log;
    size_t nlog, log_cap;
    json_t *texts; /* of the log, each once */
    kube_model_client *clients;
    km_exchange *exchanges;
};

/* --- kube_model_store.c --- */
void *km_alloc(size_t n);
char *km_dup(const char *s);
/* Room for one element more. */
void *km_more(void *at, size_t *cap, size_t n, size_t size);
/* A member's text, "" when there is none. */
const char *km_text(const json_t *tree, const char *member);
json_t *km_meta(const json_t *object);
const char *km_ns(const json_t *object);
const char *km_name(const json_t *object);
uint64_t km_rv(const json_t *object);
km_kind *km_kind_of(kube_model *m, const char *group, const char *plural);
/* Adds a kind (texts copied, schema taken), or gives a known one this schema. */
km_kind *km_kind_add(kube_model *m, const km_kind *like);
json_t *km_find(const kube_model *m, const km_kind *k, const char *ns, const char *name);
/* The same as of a revision that is not compacted. borrow. */
json_t *km_at(const kube_model *m, const km_kind *k, const char *ns, const char *name,
              uint64_t revision);
/* All of a kind (and namespace, unless "") as of a revision; free out->at. */
void km_list_at(const kube_model *m, const km_kind *k, const char *ns, uint64_t revision,
                km_list *out);
/* Writes or deletes: value (taken) gets the new revision. */
uint64_t km_commit(kube_model *m, km_kind *k, json_t *value, bool deleted);
size_t km_history_above(const kube_model *m, uint64_t revision);
uint64_t km_revision_at(const kube_model *m, uint64_t at_ns);
void km_compact_to(kube_model *m, uint64_t revision);
void km_store_fini(kube_model *m);

/* --- kube_model_call.c --- */
/* Reads method and target; free with km_call_fini. */
void km_call_init(km_call *c, kube_model *m, const char *method, const char *target);
void km_call_fini(km_call *c);
const char *km_param(const km_call *c, const char *key);
bool km_flag(const km_call *c, const char *key);
km_reply km_answer(km_call *c);
bool km_allowed(const kube_model *m, const char *user, const char *verb, const char *group,
                const char *plural, const char *sub, const char *ns, const char *name);
/* A Status that says no. */
km_reply km_no(const km_call *c, int code, const char *reason, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* The same about one field: 422. */
km_reply km_invalid(const km_call *c, const char *field, const char *why, const char *message);
/* A Status tree. */
json_t *km_status(int code, const char *reason, const char *message);
km_reply km_ok(int status, json_t *body);

/* --- kube_model_object.c --- */
/* A request body's object as the server takes it: 0 in reply->status when it is fine. */
km_reply km_body_object(km_call *c);
/* Is it valid? */
km_reply km_object_check(km_call *c, json_t *object, const json_t *old);
bool km_dns_name(const char *s, bool label);
/* Fills what a new object gets. */
void km_object_born(kube_model *m, const km_kind *k, json_t *object);
void km_time(kube_model *m, char out[32]);
/* A label selector as a tree; NULL: malformed. */
json_t *km_selector(const char *text);
bool km_selected(const json_t *selector, const json_t *object);

/* --- kube_model_schema.c --- */
/* Prunes what a structural schema does not know, and fills in defaults. */
void km_schema_prune(const json_t *schema, json_t *value);
/* The first complaint: false, field and why set. */
bool km_schema_check(const json_t *schema, const json_t *value, char *field, size_t room,
                     const char **why);
/* Makes a definition's kinds known. */
void km_definition(kube_model *m, const json_t *crd);
void km_definition_gone(kube_model *m, const json_t *crd);

/* --- kube_model_read.c, kube_model_write.c --- */
km_reply km_get(km_call *c);
km_reply km_list_reply(km_call *c);
/* Reads fieldSelector and labelSelector; name gets metadata.name's (or ""). */
km_reply km_selectors(km_call *c, const char **name, const char **ns, json_t **labels);
km_reply km_create(km_call *c);
km_reply km_update(km_call *c);
km_reply km_patch(km_call *c);
km_reply km_delete(km_call *c);
km_reply km_delete_all(km_call *c);
/* A namespace that is being deleted loses what is in it; true: it has gone. */
bool km_namespace_empty(kube_model *m, const char *name);

/* --- kube_model_watch.c --- */
km_reply km_watch_start(km_call *c);
void km_watches_changed(kube_model *m, const km_kind *k);
/* The first n changes are about to be forgotten. */
void km_watches_forget(kube_model *m, size_t n);
void km_watch_begin(kube_model *m, km_exchange *e);
void km_watch_pump(kube_model *m, km_exchange *e);
void km_watch_mark(kube_model *m, km_exchange *e);
void km_watch_free(km_watch *w);

/* --- kube_model_wire.c --- */
/* Something that is due; name is taken. */
void km_do_at(kube_model *m, uint64_t due_ns, int what, km_exchange *e, char *name);
/* Bytes of a stream, in one or more pieces; taken. */
void km_stream(kube_model *m, km_exchange *e, char *bytes, size_t n);
/* Its end. */
void km_stream_end(kube_model *m, km_exchange *e, int32_t outcome, const char *why);
void km_restart(kube_model *m, uint64_t down_ns);
uint64_t km_below(kube_model *m, uint64_t n);
uint64_t km_between(kube_model *m, uint64_t min, uint64_t max);
void km_hash(kube_model *m, const void *p, size_t n);
const char *km_keep(kube_model *m, const char *text);
int64_t km_wall_ms(const kube_model *m);
void km_release(km_exchange *e);
/* Lets time pass. */
void km_now(kube_model *m, uint64_t now_ns);
/* Does what is due on the server. */
void km_run(kube_model *m);
/* The next delivery of a connection, NULL: none. borrow. */
km_delivery *km_due(kube_model_client *c);
/* Hands it to its exchange; callbacks run without the lock. */
void km_hand_over(kube_model_client *c, km_delivery *next);
kube_transport *km_transport_make(kube_model *m, const char *name, const char *user);
/* A connection lives again: what was held goes on, or is lost. */
void km_heal(kube_model_client *c);

#endif
