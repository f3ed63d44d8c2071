/*
 * node.h: what a running quidditchd consists of, and the steps of its life.
 *
 * steps.def lists the steps in order of starting. Each quidditchd_<step>.c defines one
 * `const qd_step qd_step_<step>`. Steps start one after the other on a thread of their own, while
 * the main thread receives signals; they stop on the main thread.
 */
#ifndef QD_MAIN_NODE_H
#define QD_MAIN_NODE_H

#include "action/action.h"
#include "cluster/authority/mode.h"
#include "config/config.h"
#include "main/paths.h"
#include "runtime/env.h"
#include "runtime/file.h"
#include "runtime/loop.h"
#include "runtime/pool.h"
#include "runtime/sync.h"
#include "runtime/task.h"

typedef struct qd_node {
    qd_env *env;
    qd_paths paths;
    qd_config *config;
    char conf_file[QD_PATH_MAX]; /* empty: none was found */
    char data[QD_PATH_MAX];      /* path.data, absolute */
    char logs[QD_PATH_MAX];      /* path.logs, absolute; empty: standard error only */
    char tier_path[QD_TIERS_MAX][QD_PATH_MAX + 64]; /* of the tiers of its shards, its own first */
    char tier_name[QD_TIERS_MAX][64];
    /* of its store of cluster state; empty: it has none */
    char coordination_path[QD_PATH_MAX + 32];
    const char *disks[2 + QD_TIERS_MAX]; /* of data, coordination_path and tier_path one a disk */
    char name[256];                      /* node.name */
    uint64_t start_ns;                   /* mono */
    int64_t start_wall_ms;
    qd_file_lock *lock;    /* path.data/node.lock */
    qd_loop *main_loop;    /* of the main thread: signals only */
    _Atomic bool stopping; /* a signal has come: a step that waits gives up */
    _Atomic bool failed;   /* something that only a new start mends: the node ends, not with 0 */
    qd_loop *loop;         /* of a thread of its own: plugins' posts and timers, housekeeping */
    qd_pools pools;        /* by Elasticsearch's names */
    qd_tasks *tasks;
    struct qd_plugin_routes *routes; /* of plugins */
    /* of later steps, typed where they are used */
    struct qd_plugin_host *plugins;
    struct qd_wire *wire;                /* what the transport stands on */
    struct qd_rpc *rpc;                  /* transport to other nodes */
    qd_store *store;                     /* tier of this node's shards */
    qd_shards_tier others[QD_TIERS_MAX]; /* tiers beside it */
    uint32_t nothers;
    struct qd_coord_store *coordination; /* the store in charge */
    struct qd_authority *authority;      /* path.data/authority.json: what was acted on */
    qd_mutex deciding;                   /* mode, coordination, authority: requests look at them */
    uint32_t asking;                     /* requests that ask a store why it is not reached, */
    qd_cond asked;                       /* before it is closed they end; under `deciding` */
    qd_mode_decision mode;               /* which store holds the cluster's state */
    bool control;                        /* may be elected to allocate shards */
    bool unanswered; /* masters are named, and none has answered in coordination.connect_timeout */
    uint64_t found;  /* of a node without a record: epoch of the cluster whose state it has found in
                        Kubernetes, while its settings ask for masters; 0: none */
    struct qd_remote_server *coordination_server; /* of control nodes: serves the others */
    /* Of a node with both stores: first the mode's. */
    struct qd_coord_store *both[2];
    bool follows;             /* one of both is from afar: this node moves nothing, it follows */
    bool master;              /* has that role */
    qd_store_kind told;       /* the listener's: where the state was when it last said so */
    struct qd_stores *stores; /* in front of them; NULL: there is one */
    struct qd_driver *driver; /* of migrations between them */
    struct qd_handover *follower; /* of a node that follows: to finish one that is done */
    char id[QD_UUID_TEXT];        /* path.data/node.json */
    qd_account index_account, request_account, inflight_account, vital_account, fielddata_account;
    qd_shards *shards;
    qd_mutex following; /* shards, leaving, for the listener of the cluster's states */
    bool leaving;       /* this node stops: its shards follow the state no more */
    qd_cluster *cluster;
    struct qd_replication *_Atomic replication;
    qd_actions actions;
    struct qd_frontend *http;
    const qd_frontend_vtable *http_vtable;
    struct qd_node_seeds *seeds;         /* masters that the settings name, watched */
    struct qd_node_frontends *frontends; /* those of plugins, beside REST */
} qd_node;

typedef struct qd_step {
    const char *name;
    /* Is the configuration fit for this step? Without side effects, for --check-config and before
     * start. May be NULL. */
    int (*check)(qd_node *node, qd_err *err);
    /* Starts the part. On an error it has undone what it did. */
    int (*start)(qd_node *node, qd_err *err);
    /* Stops it; called in reverse order, only when start succeeded. May be NULL. */
    void (*stop)(qd_node *node);
    /* SIGHUP, after the settings were read again. May be NULL. */
    void (*reload)(qd_node *node);
} qd_step;

#define QD_STEP(name) extern const qd_step qd_step_##name;
#include "main/daemon/steps.def"
#undef QD_STEP

/* Fills node->data and node->logs from the settings. */
QD_MUST_CHECK
int qd_node_paths_set(qd_node *node, qd_err *err);
/* Has every tier of storage.tiers a plugin in the host? QD_E_PLUGIN tells why not. */
QD_MUST_CHECK
int qd_node_need_storage(qd_node *node, const struct qd_plugin_host *host, qd_err *err);
/* Of a node with data roles, whose tiers are open: do the settings name each folder in which it has
 * shards? Then their list is kept (path.data/tiers.json). QD_E_CONFIG names one that they do not.
 */
QD_MUST_CHECK
int qd_node_tiers_known(const qd_node *node, qd_err *err);
/* The disks that hold data of this node, which is started so far as to have them. */
qd_cluster_disks qd_node_disks(qd_node *node);
/* Fills node->mode and node->control from settings, environment and what lies in path.data, which
 * is only read. QD_E_CONFIG: there is no store for this node, or settings contradict each other. */
QD_MUST_CHECK
int qd_node_mode(qd_node *node, qd_err *err);
/* The same once more, with the claim: asked for until it is known, or the node stops. Says in the
 * log what came of it. QD_E_CANCELLED. [worker] */
QD_MUST_CHECK
int qd_node_settle(qd_node *node, const qd_mode_claims *claims, qd_err *err);
/* Of a node that could have either store, and belongs to no cluster: waits for the claim and fills
 * node->mode by it. *kubernetes gets the store there, if this node is to have it open; else NULL.
 * Nothing happens where no claim is needed. [worker] QD_E_CANCELLED: the node stops. */
QD_MUST_CHECK
int qd_node_claim(qd_node *node, struct qd_coord_store **kubernetes, qd_err *err);
/* What this node waits for, shown to those who ask (/ready, _cluster/coordination); over: it waits
 * no longer, and text (may be NULL) stays as a reason of the decision. [any] */
void qd_node_waits(qd_node *node, const char *text, bool over);
/* The store of the masters that the settings name, from afar; learned: addresses that they tell are
 * kept. [worker] QD_E_ARG: none is named. */
QD_MUST_CHECK
int qd_node_masters_open(qd_node *node, bool learned, struct qd_coord_store **out, qd_err *err);
#define QD_NODE_STORE_LOOK 0x80000000u /* only to be looked at: nothing is made or led */
/* Opens a store of this node's own; flags: QD_COORD_OPEN_BOOTSTRAP where it may form one, or
 * QD_NODE_STORE_LOOK. [worker] */
QD_MUST_CHECK
int qd_node_store_open(qd_node *node, qd_store_kind kind, uint32_t flags,
                       struct qd_coord_store **out, qd_err *err);
/* The kind of store that holds the cluster's state, as known now: by the decision, else as the
 * control nodes tell. */
qd_store_kind qd_node_store_kind(const qd_node *node);
/* Fills a qd_action_coordination; arg is the node. A store that does not answer (nor, as `stale`
 * says, this node's cluster) is asked why, for at most ask_ms, a mirror whether it answers, for
 * half of that. [worker] */
void qd_node_coordination(void *arg, bool stale, int64_t ask_ms, qd_action_coordination *out);
/* The plugin that serves this node's own store; empty: it has none. */
qd_str qd_node_store_plugin(const qd_node *node);
/* The plugin that serves a store of this kind. */
qd_str qd_node_plugin_of(const qd_node *node, qd_store_kind kind);
/* Is that one of ours? */
bool qd_node_plugin_is_ours(const qd_node *node, qd_store_kind kind);
/* The store that a control node opens beside the mode's, so that the cluster's state may be moved:
 * its settings ask for that one, or name both. UNKNOWN: none. */
qd_store_kind qd_node_second_store(const qd_node *node);
/* The mode that this node's settings ask for by name; empty: none. */
const char *qd_node_wants(const qd_node *node);
/* Ends what drives migrations, before the cluster is closed, and before the stores. Nothing with
 * one store. [worker] */
void qd_node_driver_stop(qd_node *node);
/* Ends the node, whose part of a store has failed for good; arg is the node. [any] */
void qd_node_store_failed(void *arg, const char *why);
/* May this node, which is told to stop, have to see the cluster's state handed over first? */
bool qd_node_may_hand_over(const qd_node *node);
/* Looks whether it has, and waits for that; *cut: it stops at once all the same. [worker] */
void qd_node_leave(qd_node *node, const _Atomic bool *cut);
/* Has the host a plugin for coordination.mode? QD_E_PLUGIN tells why not. */
QD_MUST_CHECK
int qd_node_need_coordination(qd_node *node, const struct qd_plugin_host *host, qd_err *err);
/* Reads what the start would read of how the Kubernetes API is reached (kubeconfig files, a service
 * account), where it would; asks nobody and leaves nothing behind. What would end the start is an
 * error, what it would go on without is told on standard error. QD_E_CONFIG */
QD_MUST_CHECK
int qd_node_check_kubernetes(const qd_node *node, const struct qd_plugin_host *host, qd_err *err);
/* Where masters are looked for, by the settings: host:port each, in the arena; *n how many. */
const qd_str *qd_node_master_addresses(const qd_node *node, qd_arena *arena, uint32_t *n);
/* The node is to stop: it is not ready any more. Returns for how many milliseconds it goes on
 * serving before its steps are stopped. */
int64_t qd_node_stop_begin(qd_node *node);
struct qd_addr;
#define QD_NODE_ADDRESSES_MAX 16
/* What the node listens on by http.host or transport.host (set), else by network.host: each address
 * once, *n of out[QD_NODE_ADDRESSES_MAX], at least one. QD_E_CONFIG names the setting. [worker] */
QD_MUST_CHECK
int qd_node_addresses(const qd_node *node, uint32_t set, struct qd_addr *out, uint32_t *n,
                      qd_err *err);
/* transport.port: "9300", "9300-9400", "0". QD_E_CONFIG */
QD_MUST_CHECK
int qd_node_transport_ports(const qd_node *node, uint16_t *first, uint16_t *last, qd_err *err);
/* Are there such addresses on this machine, and does no port serve two settings on one of them?
 * QD_E_CONFIG */
QD_MUST_CHECK
int qd_node_listen_check(qd_node *node, qd_err *err);
/* Lets requests under way end and closes all front ends; once more does nothing. */
void qd_node_http_close(qd_node *node);
/* Of a node that a service manager has started (systemd's Type=notify); without one nothing
 * happens. Begins to tell it that the node lives, on the main loop, before that runs. */
void qd_node_service_begin(qd_node *node);
/* Listens, but waits for others: the manager need not wait as well. [any] */
void qd_node_service_waits(const char *why);
/* All steps have started. [any] */
void qd_node_service_started(const qd_node *node);
/* Reads its settings again: before that, and when it has. [any] */
void qd_node_service_reloads(const qd_node *node, bool begins);
/* Stops. [any] */
void qd_node_service_stops(void);
/* No timer runs after it; the main loop does not run any more. */
void qd_node_service_end(void);
/* --check-config: loads the plugins of the configuration and asks for all that it needs. */
QD_MUST_CHECK
int qd_node_plugins_check(qd_node *node, qd_err *err);

#endif
