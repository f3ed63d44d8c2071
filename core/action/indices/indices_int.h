/* indices_int.h: what the index APIs share. */
#ifndef QD_ACTION_INDICES_INT_H
#define QD_ACTION_INDICES_INT_H

#include "action/action_int.h"
#include "rpc/rpc.h"
#include "json/tree.h"

#define ADMIN_TIMEOUT_MS 30000

/* Settings of a body, flat or nested, each key below "index."; sealed, one reference. */
int qdi_settings_of(const qd_json_node *n, qd_settings **out, qd_err *err);
/* Aliases of an index body: {"name":{…}}. */
int qdi_aliases_of(const qd_json_node *n, qd_arena *arena, qd_alias **out, uint32_t *nout,
                   qd_err *err);
/* One alias' options. */
int qdi_alias_of(const qd_json_node *n, qd_str name, qd_alias *out, qd_err *err);
/* Is the alias one that can be used: one index routing, a filter that is a query? QD_E_ARG */
int qdi_alias_check(qd_request *q, const qd_alias *a, qd_err *err);
/* A mapping of a body: as it is, or without the type name around it. */
qd_str qdi_mapping_of(const qd_request *q, const qd_json_node *n);

/* Settings, mapping and aliases of a body (NULL: none are there) for a new index, looked at;
 * settings get a reference. */
int qdi_creation_of(qd_request *q, const qd_json_node *s, const qd_json_node *m,
                    const qd_json_node *al, qd_index_creation *out, qd_err *err);
/* Remembers the name as it was given, with date math, in settings (one reference, replaced). */
int qdi_name_given(qd_settings **settings, qd_str name, qd_err *err);
/* QD_E_ARG: an index of these settings will never have so many active copies. */
int qdi_enough_copies(const qd_settings *s, int64_t asked, qd_err *err);

/* An alias as a member of the open object, by its name. */
void qdi_alias_write(const qd_alias *a, qd_json_writer *w);
/* Is an alias asked for by a list of names and patterns, in order, where "-x" takes those away that
 * came before it? */
bool qdi_alias_wanted(qd_str names, qd_str alias);
/* Parts of an index's description, as values of the next key. */
void qdi_write_aliases(const qd_index_meta *m, const char *pattern, qd_json_writer *w);
void qdi_write_settings(const qd_request *q, const qd_index_meta *m, bool defaults,
                        qd_json_writer *w);

/* Is a mapping put under the type _doc where none may be? */
bool qdi_mapping_typed(const qd_request *q, const qd_json_node *n);
/* The body as a tree; QD_E_ES_PARSE "Failed to parse content to map" around what is wrong. */
int qdi_body_map(qd_request *q, qd_json_node **out, qd_err *err);

/* Parameter if_uuid: who means one index does not get at another one that has its name since. */
int qdi_check_uuid(const qd_request *q, const qd_resolved *found, qd_err *err);
/* With action.destructive_requires_name what closes, opens or deletes many indices at once has to
 * name them: no parameter, _all or a wildcard. The expression of no index at all, "*,-*", may
 * stand. */
int qdi_check_named(const qd_request *q, qd_str names, qd_err *err);
/* timeout, master_timeout and cluster_manager_timeout of a request. */
int qdi_admin_timeout(const qd_request *q, int64_t *out, qd_err *err);

/* A copy, or all copies that its node cares for, to which something could not be done. */
typedef struct shard_failure {
    struct shard_failure *next;
    qd_str index, node;
    uint32_t number;
    qd_err err;
} shard_failure;

/* Counts as in _shards. */
typedef struct shard_counts {
    uint32_t total, successful, failed;
    shard_failure *failures; /* the first of them, the last first */
    uint32_t nfailures;
} shard_counts;
/* Remembers why one failed, in arena; err is copied. Without memory for it nothing. */
void qdi_shard_counts_fail(shard_counts *n, qd_arena *arena, qd_str index, uint32_t number,
                           qd_str node, const qd_err *err);
/* Frees the reasons. */
void qdi_shard_counts_fini(shard_counts *n);
/* {"_shards": {...}}, the whole answer. */
void qdi_answer_shards(qd_response *r, const shard_counts *n);

/* A forced merge, to its end; and what is wrong with its parameters. [worker] */
QD_MUST_CHECK
int qdi_forcemerge(qd_request *q, qd_response *r, qd_err *err);
QD_MUST_CHECK
int qdi_forcemerge_check(qd_request *q, qd_err *err);
/* _open, and what is wrong with its parameters. [worker] */
QD_MUST_CHECK
int qdi_open(qd_request *q, qd_response *r, qd_err *err);
QD_MUST_CHECK
int qdi_open_check(qd_request *q, qd_err *err);

/* What a node does for another: QD_ACTION_SHARDS_*; arg is the qd_actions. */
void qdi_shards_refresh_handle(void *arg, qd_rpc_request *request);
void qdi_shards_flush_handle(void *arg, qd_rpc_request *request);
void qdi_shards_force_merge_handle(void *arg, qd_rpc_request *request);
/* The same: QD_ACTION_CACHE_CLEAR. */
void qdi_cache_clear_handle(void *arg, qd_rpc_request *request);

/* A segment's name as Lucene's are: "_" and the number in base 36. */
void qdi_segment_name(uint64_t number, char out[24]);

#endif
