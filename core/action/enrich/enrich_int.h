/*
 * enrich_int.h: an enrich policy is a document of the cluster state under enrich_policy/<name>. Its
 * execution copies fields of its sources into a new index of one shard, .enrich-<name>-<ms>, to
 * which the alias .enrich-<name> then goes. The processor enrich asks that index.
 */
#ifndef QD_ACTION_ENRICH_INT_H
#define QD_ACTION_ENRICH_INT_H

#include "action/action_int.h"
#include "action/byquery/byquery.h"
#include "action/enrich/enrich.h"
#include "action/ingest/pipelines.h"
#include "runtime/sync.h"
#include "json/tree.h"

#define ENRICH_KEY "enrich_policy/"
#define ENRICH_ALIAS ".enrich-"
#define ENRICH_MATCHES_MAX 128

typedef enum enrich_type { ENRICH_MATCH, ENRICH_RANGE } enrich_type;

/* A policy as it was stored; texts in the arena that it was read into. */
typedef struct enrich_policy {
    enrich_type type;
    qd_str name;
    const qd_json_node *indices, *fields; /* lists of texts */
    qd_str match_field;
    qd_str query; /* JSON; p NULL: all documents */
} enrich_policy;

/* --- cache.c: what look-ups found, by index, number of matches and value --- */

typedef struct enrich_cache enrich_cache;
typedef struct enrich_cache_stats {
    uint64_t count, hits, misses, evictions, bytes;
} enrich_cache_stats;
/* Room by enrich.cache_size: bytes, or a number of look-ups. QD_E_CONFIG, QD_E_NOMEM. */
QD_MUST_CHECK
int qdi_enrich_cache_open(const qd_actions *a, enrich_cache **out, qd_err *err);
/* Frees it; NULL is fine. */
void qdi_enrich_cache_close(enrich_cache *c);
/* A copy of what was found, in the arena; false: it is not kept, or there is no memory. [any] */
bool qdi_enrich_cache_get(enrich_cache *c, qd_str key, qd_arena *arena, qd_str *found);
/* Keeps what was found, if there is room for it at all; others go. [any] */
void qdi_enrich_cache_put(enrich_cache *c, qd_str key, qd_str found);
void qdi_enrich_cache_stats(enrich_cache *c, enrich_cache_stats *out);

/* --- policy.c --- */

/* Reads a request's body: {"match": {…}}. QD_E_XCONTENT, QD_E_ARG. */
QD_MUST_CHECK
int qdi_enrich_policy_parse(qd_str name, qd_str body, qd_arena *arena, enrich_policy *out,
                            qd_err *err);
/* Writes it as it is stored, and as requests bring it; as they are answered when shown is set. */
void qdi_enrich_policy_write(const enrich_policy *p, bool shown, qd_json_writer *w);
/* The policy of the state. QD_E_NOTFOUND "policy [x] does not exist". */
QD_MUST_CHECK
int qdi_enrich_policy_get(const qd_state *s, qd_str name, qd_arena *arena, enrich_policy *out,
                          qd_err *err);
/* The name behind a document's key; false: it is no policy. */
bool qdi_enrich_policy_is(qd_str key, qd_str *name);
/* The index that a policy's look-ups ask; NULL: it was not executed. */
const qd_index_meta *qdi_enrich_index(const qd_state *s, qd_str policy);
/* Is an index one that executions of a policy made? *made_ms: when. */
bool qdi_enrich_is_index(qd_str index, qd_str policy, int64_t *made_ms);

/* --- execute.c --- */

/* A policy whose execution goes on here. */
typedef struct enrich_running {
    struct enrich_running *next;
    char name[256];
    qd_task *task;
    const char *phase;
} enrich_running;

typedef struct qd_enrich {
    qd_actions *a;
    enrich_cache *cache;
    _Atomic uint64_t searches; /* of look-ups so far */
    _Atomic uint64_t active;
    qd_mutex lock;
    enrich_running *first; /* under the lock */
} qd_enrich;

qd_enrich *qdi_enrich_of(qd_actions *a);
/* Deletes indices of a policy: those in `but` and after `since_ms` stay. [worker] */
void qdi_enrich_drop_indices(qd_actions *a, qd_str policy, qd_str but, int64_t since_ms);
/* QD_E_REJECTED while an execution of the policy goes on here; r is then not entered. */
QD_MUST_CHECK
int qdi_enrich_enter(qd_enrich *e, enrich_running *r, qd_str policy, qd_err *err);
void qdi_enrich_leave(qd_enrich *e, enrich_running *r);

/* --- lookup.c --- */

int qdi_enrich_has(void *arg, qd_str policy, qd_err *err);
int qdi_enrich_lookup(void *arg, qd_task *task, qd_str policy, uint32_t max,
                      qd_ingest_lookup *looks, uint32_t n, qd_err *err);

#endif
