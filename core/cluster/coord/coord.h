/*
 * coord.h: an opened store of the coordination kind, as cluster code calls it: each function
 * submits one request and waits for it on a worker. Knows capability flags and limits, never which
 * plugin serves it.
 */
#ifndef QD_CLUSTER_COORD_H
#define QD_CLUSTER_COORD_H

#include "base/arena.h"
#include "base/err.h"
#include "runtime/env.h"
#include <quidditch/coordination.h>

typedef struct qd_coord_store qd_coord_store;

/* Opens the provider's store (vtable and self as the plugin host gave them). [worker] */
QD_MUST_CHECK
int qd_coord_open(qd_env *env, const qd_coord_vtable *vt, qd_self *self,
                  const qd_coord_config *config, qd_coord_store **out, qd_err *err);
/* Detail of a QD_E_NO_COORDINATION: that store is sealed, and the request was kept for as long as
 * it may wait. It is not tried again here. */
#define QD_COORD_SEALED_STORE "sealed_store"
/* Ends everything and waits for it; watches are closed before. NULL is fine. [worker] */
void qd_coord_close(qd_coord_store *s);
/* From now on nothing is waited for longer than timeout_ms from this call, whatever its time-out:
 * for a node that stops, perhaps as the last of its cluster. [any] */
void qd_coord_hurry(qd_coord_store *s, int64_t timeout_ms);
/* The store's limits. [any] */
const qd_coord_info *qd_coord_limits(const qd_coord_store *s);
/* The provider's table and handle, for those who serve others with it (remote/). [any] */
const qd_coord_vtable *qd_coord_table(const qd_coord_store *s, qd_coord **handle);
/* What the plugin knows of itself now. [any] */
void qd_coord_identity_get(qd_coord_store *s, qd_coord_identity *out);
/* Is what this process holds of the store at its end, so that only a new start goes on? Nothing is
 * tried again then. [any] */
bool qd_coord_failed(qd_coord_store *s);

/* Keys and values of one read, copied into an arena. */
typedef struct qd_coord_list {
    const qd_coord_kv *at;
    uint32_t n;
    uint64_t revision;
} qd_coord_list;
/* Linearizable read of one key (prefix false) or of all keys that begin with key. [worker]
 * NO_COORDINATION, NOT_LEADER, TIMEOUT after timeout_ms: try again later. */
QD_MUST_CHECK
int qd_coord_read(qd_coord_store *s, qd_str key, bool prefix, int64_t timeout_ms, qd_arena *arena,
                  qd_coord_list *out, qd_err *err);

/* One key as this node has applied it, which may be old: also where nobody leads. [worker] */
QD_MUST_CHECK
int qd_coord_read_here(qd_coord_store *s, qd_str key, int64_t timeout_ms, qd_arena *arena,
                       qd_coord_list *out, qd_err *err);

/*
 * Commits a transaction: compares and changes are the caller's, *revision gets its revision. The
 * request id is made here and kept over retries of unknown outcomes and of changes of leader, until
 * timeout_ms has passed. QD_E_CONFLICT: a compare did not hold (*failed says which);
 * QD_E_UNKNOWN_OUTCOME, QD_E_TIMEOUT: it may have been committed, also when the last try was
 * refused (a full disk) and an earlier one had no answer. Else certainly not. [worker]
 */
QD_MUST_CHECK
int qd_coord_commit(qd_coord_store *s, const qd_coord_compare *compares, uint32_t ncompares,
                    const qd_coord_change *changes, uint32_t nchanges, int64_t timeout_ms,
                    uint64_t *revision, uint32_t *failed, qd_err *err);

/* In whose name a transaction is made: it is refused (QD_E_FENCED) once that election is lost. */
typedef struct qd_coord_fence {
    qd_str election;
    qd_coord_token token; /* term 0: nobody's */
} qd_coord_fence;
/* The same as qd_coord_commit under a fence (NULL: none). [worker] */
QD_MUST_CHECK
int qd_coord_commit_as(qd_coord_store *s, const qd_coord_fence *fence,
                       const qd_coord_compare *compares, uint32_t ncompares,
                       const qd_coord_change *changes, uint32_t nchanges, int64_t timeout_ms,
                       uint64_t *revision, uint32_t *failed, qd_err *err);

typedef struct qd_coord_campaign qd_coord_campaign;
/* Stands for an election under a session until it is won, fails, or ends: ended(arg, rc, token) is
 * told once, on some thread that must not block. value becomes that of the key
 * "_election/<name>". [any] */
QD_MUST_CHECK
int qd_coord_campaign_start(qd_coord_store *s, qd_str name, qd_str value, uint64_t session,
                            void (*ended)(void *arg, int32_t rc, qd_coord_token token), void *arg,
                            qd_coord_campaign **out, qd_err *err);
/* Withdraws, waits until ended was told, frees. What was won stays won. NULL is fine. [worker] */
void qd_coord_campaign_end(qd_coord_store *s, qd_coord_campaign *c);
/* Who is elected, as the store's leader says: under which session, and the token of it.
 * QD_E_NOTFOUND: nobody. [worker] */
QD_MUST_CHECK
int qd_coord_leader(qd_coord_store *s, qd_str name, int64_t timeout_ms, uint64_t *session,
                    qd_coord_token *token, qd_err *err);
/* Takes an election from this session, which need not be the caller's, if it leads it still: the
 * next candidate wins under a higher term, and what is committed in the name of the former one is
 * refused. QD_E_FENCED, QD_E_NOTFOUND: another one leads, or nobody. May be repeated. [worker] */
QD_MUST_CHECK
int qd_coord_resign_for(qd_coord_store *s, qd_str name, uint64_t session, int64_t timeout_ms,
                        qd_err *err);

/* Opens a session of ttl_ms. [worker] */
QD_MUST_CHECK
int qd_coord_session_open(qd_coord_store *s, int64_t ttl_ms, int64_t timeout_ms, uint64_t *session,
                          qd_err *err);
/* Renews it; QD_E_SESSION_EXPIRED: its keys are gone. [worker] */
QD_MUST_CHECK
int qd_coord_session_keep(qd_coord_store *s, uint64_t session, int64_t timeout_ms, qd_err *err);
/* Ends it with its keys. [worker] */
void qd_coord_session_end(qd_coord_store *s, uint64_t session);

/* Watches all keys that begin with prefix from revision `from` on; see quidditch/coordination.h for
 * events. [worker] */
QD_MUST_CHECK
int qd_coord_watch_open(qd_coord_store *s, qd_str prefix, uint64_t from,
                        void (*events)(void *arg, const qd_coord_event *events, uint32_t n,
                                       uint64_t revision, int32_t rc),
                        void *arg, qd_coord_watch **out, qd_err *err);
/* Ends a watch and waits until events cannot run any more. NULL is fine. [worker] */
void qd_coord_watch_end(qd_coord_store *s, qd_coord_watch *w);

/* One step of a hand-over, a compare-and-set on the store's epoch and state; a->id is made here and
 * kept over retries. QD_E_CONFLICT: the store is in another epoch or state; UNKNOWN_OUTCOME,
 * TIMEOUT: it may be done, or be done later. QD_E_UNSUPPORTED: the store hands nothing over.
 * [worker] */
QD_MUST_CHECK
int qd_coord_authority_step(qd_coord_store *s, qd_coord_authority *a, int64_t timeout_ms,
                            qd_err *err);
/* All keys at one revision, in batches, and their hash. A try that fails begins again: a batch of
 * x->revision 0 may come from another revision than those before. [worker] QD_E_COMPACTED, and what
 * x->batch returns. */
QD_MUST_CHECK
int qd_coord_export_all(qd_coord_store *s, qd_coord_export *x, int64_t timeout_ms, qd_err *err);
/* Changes of whole revisions into a mirror. [worker] QD_E_CONFLICT: it is none of that epoch. */
QD_MUST_CHECK
int qd_coord_import_some(qd_coord_store *s, qd_coord_import *x, int64_t timeout_ms, qd_err *err);

/* How many of n events, which are in the order of their revisions, one import into this store
 * takes: whole revisions, one at least, as many events as the store allows and so many bytes. Those
 * up to the revision `together` are not parted for their bytes. */
uint32_t qd_coord_import_share(const qd_coord_store *s, const qd_coord_event *e, uint32_t n,
                               size_t bytes, uint64_t together);

/* One request about members (quidditch/coordination.h), its result in m; err is set here. [worker]
 */
QD_MUST_CHECK
int qd_coord_members_call(qd_coord_store *s, qd_coord_members *m, int64_t timeout_ms, qd_err *err);
/* Frees what a LIST points to. [any] */
void qd_coord_members_free(qd_coord_store *s, qd_coord_members *m);

#endif
