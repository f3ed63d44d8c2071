/*
 * cluster.h: the cluster as this node sees and changes it. One watch on the coordination store
 * feeds one applier thread, which builds snapshots (state.h), shows them to the listener and
 * publishes them. Every change is one compare-and-set transaction on the records it touches, made
 * on the calling worker from a snapshot and tried again when it conflicts; it returns when this
 * node has applied it.
 */
#ifndef QD_CLUSTER_CLUSTER_H
#define QD_CLUSTER_CLUSTER_H

#include "cluster/coord/coord.h"
#include "cluster/state/state.h"
#include "config/config.h"

typedef struct qd_cluster qd_cluster;

/* Called on the applier's thread for each new state, before requests see it. old may be NULL. Must
 * not block for long nor change the cluster. */
typedef void (*qd_cluster_listener)(void *arg, const qd_state *old, const qd_state *now);

/* The disks of this node, which it looks after itself (monitor.fs.health.*). */
typedef struct qd_cluster_disks {
    uint32_t n; /* 0: they are not looked after */
    /* Writes a few bytes there and syncs them; returns when the disk answers. On a thread that
     * waits for nothing else. QD_E_NOSPACE is no failure. [worker] */
    int (*probe)(void *arg, uint32_t disk, qd_err *err);
    /* The folder, for people. */
    const char *(*name)(void *arg, uint32_t disk);
    void *arg;
} qd_cluster_disks;

typedef struct qd_cluster_config {
    qd_env *env;
    qd_coord_store *store; /* opened; closed by its owner after qd_cluster_close */
    qd_str name;           /* cluster.name */
    qd_node_meta self;     /* this node, announced under its session; ephemeral is made if empty */
    bool data;             /* may hold shards */
    bool control;          /* a control node: may be elected to allocate shards, */
    /* while this says so; NULL: always. [any] */
    bool (*eligible)(void *arg);
    void *eligible_arg;
    struct qd_authority *authority; /* what this node has acted on (authority/); NULL: not kept */
    qd_cluster_disks disks;
    qd_str uuid;             /* under which it is formed, if it is; empty: a random one */
    const qd_config *config; /* with the cluster's settings; NULL: defaults */
    const struct qd_plugin_host *plugins; /* provide parts of analyzers; NULL: nobody does */
    struct qd_rpc *rpc;                   /* transport between nodes; NULL: this node is alone */
    int64_t session_ttl_ms;               /* 30,000 */
    int64_t timeout_ms;                   /* of one change: 30,000 */
    /* Told once, on a thread of the cluster's, when the store of this process is at its end
     * (qd_coord_failed) and the node with it: why, borrowed. May be NULL. */
    void (*failed)(void *arg, const char *why);
    qd_cluster_listener listener;
    void *listener_arg;
} qd_cluster_config;

/* Reads the state (forming the cluster's uuid if there is none), ends the session of the process
 * that this node was before, announces the node, starts watching; a control node stands for the
 * election of the allocator. Returns when the first state is applied and, if an allocator leads,
 * nothing in it is assigned to the process of before any more. [worker] QD_E_NO_COORDINATION,
 * QD_E_TIMEOUT. */
QD_MUST_CHECK
int qd_cluster_open(const qd_cluster_config *c, qd_cluster **out, qd_err *err);
/* Of a node that stops: gives up allocation and session, so that others take over its shards, and
 * waits, at most timeout_ms, until the state shows that they have; with no master left nothing is
 * waited for. The state goes on being followed until qd_cluster_close. Once. [worker] */
void qd_cluster_leave(qd_cluster *c, int64_t timeout_ms);
/* Ends the session and the watch. [worker] */
void qd_cluster_close(qd_cluster *c);
/* The newest applied state with a reference for the caller; never NULL. [any] */
qd_state *qd_cluster_state(qd_cluster *c);
/* The newest state that the listener was, or is just being, shown, with a reference for the caller:
 * for who begins to follow, as the listener sees one before qd_cluster_state has it. [any] */
qd_state *qd_cluster_shown(qd_cluster *c);
/* Who provides parts of analyzers, NULL. [any] */
const struct qd_plugin_host *qd_cluster_plugins(const qd_cluster *c);
/* The node this is. [any] */
const qd_node_meta *qd_cluster_self(const qd_cluster *c);
/* cluster.name. [any] */
qd_str qd_cluster_name(const qd_cluster *c);
/* Waits until this node has applied revision. [worker] QD_E_TIMEOUT */
QD_MUST_CHECK
int qd_cluster_wait(qd_cluster *c, uint64_t revision, int64_t timeout_ms, qd_err *err);
/* Waits until done(arg, state) is true, on a fiber without its worker. [worker] QD_E_TIMEOUT
 * without text, also when the fiber's task has ended */
int qd_cluster_wait_for(qd_cluster *c, bool (*done)(void *arg, const qd_state *s), void *arg,
                        int64_t timeout_ms);
/* Waits until every node of the cluster has applied revision; those that cannot be reached are not
 * waited for. [worker] QD_E_TIMEOUT: one that lives has not, in this time. */
QD_MUST_CHECK
int qd_cluster_wait_all(qd_cluster *c, uint64_t revision, int64_t timeout_ms);
/* For how long the control plane has not answered this node: 0 while all is well, else what is
 * applied here may be that old. [any] */
int64_t qd_cluster_stale_ms(qd_cluster *c);
/* Changes asked for and not yet answered. [any] */
uint32_t qd_cluster_pending(qd_cluster *c);

/* All below: [worker]; *out (may be NULL) gets the applied state with a reference. Errors beside
 * the named: those of qd_coord_commit, and QD_E_PROCESS_CLUSTER_EVENT_TIMEOUT after timeout_ms. */

/* Raises the level of formats to what every node knows; *level gets it. QD_E_STATE names a node
 * that does not know this node's. */
QD_MUST_CHECK
int qd_cluster_finalize_upgrade(qd_cluster *c, uint32_t *level, qd_err *err);

/* Creates an index: settings sealed and prefixed with "index.", mapping JSON (may be empty).
 * QD_E_INDEX_EXISTS, QD_E_INVALID_INDEX_NAME, and what settings, analysis, mapping complain of. */
QD_MUST_CHECK
int qd_cluster_create_index(qd_cluster *c, qd_str name, qd_settings *settings, qd_str mapping,
                            const qd_alias *aliases, uint32_t naliases, qd_state **out,
                            qd_err *err);
/* A new index that others have to do with; what is borrowed lives until the call has returned. */
typedef struct qd_index_creation {
    qd_str name;
    qd_settings *settings;
    qd_str mapping;
    const qd_alias *aliases;
    uint32_t naliases;
    /* It takes the place of an index: the one of this uuid, the write index of `rolled`. Of an
     * alias it becomes the write index, or carries it alone where the other one was no write index
     * by name. NULL: of none. */
    const char *follows;
    qd_str rolled;
    /* It becomes the newest backing index of this data stream (empty: of none), whose document
     * becomes `record`; that has the revision stream_revision until then, 0: it is a new one. */
    qd_str stream, record;
    uint64_t stream_revision;
    bool stream_hidden;
    /* It is made of the index of this uuid (NULL: of none), which takes no writes: each primary
     * begins where those are that it is made of. The settings name the source for the shards
     * (index.resize.source.uuid). */
    const char *resizes;
} qd_index_creation;
/* Creates it, all in one change of the state. As qd_cluster_create_index; QD_E_CONFLICT: what it
 * follows is not as it was any more; QD_E_STATE: the source of a resize takes writes, or its
 * primaries are not there. */
QD_MUST_CHECK
int qd_cluster_create(qd_cluster *c, const qd_index_creation *i, qd_state **out, qd_err *err);
/* Deletes data streams, by name, with their indices. What is not there is left out. */
QD_MUST_CHECK
int qd_cluster_delete_streams(qd_cluster *c, const qd_str *names, uint32_t n, qd_err *err);
/* An index that a data stream takes up, as its oldest one, or lets go. */
typedef struct qd_stream_action {
    bool remove;
    qd_str stream, index;
} qd_stream_action;
/* Does it all in one change. QD_E_ARG: a stream or an index is not there, or may not. */
QD_MUST_CHECK
int qd_cluster_modify_streams(qd_cluster *c, const qd_stream_action *a, uint32_t n, qd_err *err);
/* Gives a data stream another lifecycle (JSON; empty: none). QD_E_ARG: there is no such stream. */
QD_MUST_CHECK
int qd_cluster_set_lifecycle(qd_cluster *c, qd_str stream, qd_str lifecycle, qd_err *err);
/* Takes up an index whose files lie on this node though the cluster does not know it: its metadata
 * as saved beside the data, and for each shard a primary term above those used before.
 * QD_E_INDEX_EXISTS (the name is taken), QD_E_ARG (known or deleted). */
QD_MUST_CHECK
int qd_cluster_import_index(qd_cluster *c, const qd_index_meta *m, const uint64_t *terms,
                            qd_state **out, qd_err *err);
/* Deletes indices (by uuid) with all their records; leaves entries in the graveyard. Each goes as a
 * whole; more than one transaction holds go in several, of which the first may be done on failure.
 * QD_E_ARG: one is the write index of a data stream. */
QD_MUST_CHECK
int qd_cluster_delete_indices(qd_cluster *c, const qd_index_meta *const *m, uint32_t n,
                              qd_state **out, qd_err *err);
/* Puts a mapping update to an index (by uuid). Nothing is written when nothing changes.
 * QD_E_INDEX_NOT_FOUND when it is gone. */
QD_MUST_CHECK
int qd_cluster_put_mapping(qd_cluster *c, qd_str uuid, qd_str update, qd_state **out, qd_err *err);
/* Updates settings of an index (keys prefixed, nulls reset); preserve: keep what is set.
 * open_only_dynamic: an open index takes only dynamic ones. */
QD_MUST_CHECK
int qd_cluster_put_settings(qd_cluster *c, qd_str uuid, const qd_settings *update, bool preserve,
                            qd_state **out, qd_err *err);
/* Closes or opens an index. */
QD_MUST_CHECK
int qd_cluster_set_closed(qd_cluster *c, qd_str uuid, bool closed, qd_state **out, qd_err *err);

typedef enum qd_alias_action_type {
    QD_ALIAS_ADD,
    QD_ALIAS_REMOVE,
    QD_ALIAS_REMOVE_INDEX
} qd_alias_action_type;
typedef struct qd_alias_action {
    qd_alias_action_type type;
    const qd_index_meta *index;
    qd_alias alias; /* ADD: all of it; REMOVE: its name, already expanded */
} qd_alias_action;
/* Applies all actions under one revision. QD_E_INVALID_ALIAS, QD_E_ALIASES_MISSING, QD_E_ARG (two
 * write indices, an index of that name). */
QD_MUST_CHECK
int qd_cluster_update_aliases(qd_cluster *c, const qd_alias_action *a, uint32_t n, qd_state **out,
                              qd_err *err);
/* Updates _cluster/settings: sealed flat updates with nulls; either may be NULL. The caller has
 * checked them against the schema. */
QD_MUST_CHECK
int qd_cluster_update_settings(qd_cluster *c, const qd_settings *persistent,
                               const qd_settings *transient, qd_state **out, qd_err *err);
/* Puts a document ("template/..."; JSON), or removes it when value is empty (nothing happens when
 * it is not there). create: QD_E_EXISTS when it is there already. */
QD_MUST_CHECK
int qd_cluster_put_document(qd_cluster *c, qd_str key, qd_str value, bool create, qd_state **out,
                            qd_err *err);
/* What a node tells of its disks. */
typedef struct qd_disk_report {
    uint64_t total, available; /* bytes of its own tier */
    qd_str shards;             /* those whose size is worth telling: "<uuid>/<n>=<bytes> ..." */
    qd_str tiers;              /* those beside its own: "<name>=<total>/<available> ..." */
} qd_disk_report;
/* Tells the others. Belongs to the node's session. */
QD_MUST_CHECK
int qd_cluster_report_disk(qd_cluster *c, const qd_disk_report *told, qd_err *err);
/* Of a node that holds data: what it has written until now shall be missed in older copies of its
 * folder, as at a start (authority.h). last: it stops, and waits 2 s at most, from now on for all.
 * One caller at a time. [worker] QD_E_CONFLICT: another process has taken this node's identity. */
QD_MUST_CHECK
int qd_cluster_mark(qd_cluster *c, bool last, qd_err *err);
typedef enum qd_health { QD_HEALTH_GREEN, QD_HEALTH_YELLOW, QD_HEALTH_RED } qd_health;
/* Health of an index: red without all primaries started, yellow without all replicas or while a
 * primary's node refuses writes for a full disk. */
qd_health qd_index_health(const qd_state *s, const qd_index_meta *m);
/* Health of one shard of an index with so many replicas, by its copies alone. [any] */
qd_health qd_shard_health(const qd_shard_meta *s, uint32_t replicas);
/* The same in a cluster: yellow as well while the primary's node refuses writes for a full disk.
 * [any] */
qd_health qd_shard_health_in(const qd_state *s, const qd_shard_meta *r, uint32_t replicas);
/* "green", "yellow", "red" */
const char *qd_health_name(qd_health h);

#endif
