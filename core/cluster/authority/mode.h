/*
 * mode.h: which store holds the cluster's state: that of masters, or the one in Kubernetes. Decided
 * once, at the start of a node, from its settings and from what the node belongs to already; a pure
 * function, so that every row of docs/coordination.md is a test.
 *
 * A node that belongs to a cluster stays with the store that holds it, whatever the settings say by
 * now: authority moves only by a migration. `auto` chooses for clusters that have never formed.
 * With two stores to choose from nobody may choose alone, or two nodes could form two clusters: a
 * claim, made by compare-and-set where all of them see it, says which one.
 */
#ifndef QD_CLUSTER_AUTHORITY_MODE_H
#define QD_CLUSTER_AUTHORITY_MODE_H

#include "base/err.h"
#include "base/str.h"

/* The kinds of store; the numbers are not kept, the names are (qd_store_kind_name). */
typedef enum qd_store_kind {
    QD_STORE_UNKNOWN,   /* not known here: the control nodes tell */
    QD_STORE_MASTERS,   /* of the masters, by Raft among them */
    QD_STORE_KUBERNETES /* objects of the Kubernetes API */
} qd_store_kind;

typedef enum qd_mode { QD_MODE_AUTO, QD_MODE_MASTER, QD_MODE_KUBERNETES } qd_mode;

/* What was claimed before the first formation of a cluster that could have two stores. */
typedef struct qd_mode_claim {
    qd_store_kind in_charge;
    uint64_t epoch;
    char uuid[64];   /* of the cluster; empty: not told */
    bool by_masters; /* it could not be read: masters in charge are proof (proof.h) */
} qd_mode_claim;

/* What the decision is made from. Texts are borrowed; empty ones are not set. */
typedef struct qd_mode_input {
    qd_mode asked;              /* coordination.mode; AUTO where nothing is set */
    bool asked_set;             /* somebody has set it */
    qd_str asked_by;            /* where: "flag -E", "environment variable USE_K8S_COORDINATION" */
    bool fallback;              /* coordination.k8s_fallback */
    bool master, coordination;  /* of node.roles */
    qd_str masters;             /* coordination.master_addresses */
    qd_str others;              /* further masters, by other settings: raft_peers, seed_hosts */
    bool learned;               /* addresses of control nodes are kept from an earlier run */
    qd_str account;             /* how the Kubernetes API is reached: a service account, */
    qd_str kubeconfig;          /* or this file */
    qd_store_kind record;       /* of which authority.json says that it holds the node's cluster */
    uint64_t epoch;             /* of that record */
    bool folder;                /* this node has been a master: there is a store in its folder */
    const qd_mode_claim *claim; /* NULL: none was asked for, or nobody can be asked */
} qd_mode_input;

#define QD_MODE_REASONS 6

typedef struct qd_mode_decision {
    qd_mode asked;       /* with the default filled in */
    qd_store_kind store; /* UNKNOWN: the control nodes that it joins tell */
    bool own;            /* this node opens the store itself; else it asks control nodes */
    bool formed;         /* it belongs to a cluster that has formed */
    bool claim;          /* two stores are possible and nothing has formed: the claim decides */
    bool settled;        /* it has; until then `store` is only what is asked for first */
    char uuid[64];       /* under which the claim lets the cluster be formed; empty: any */
    bool kept;           /* the settings ask for another store than the one that is kept */
    uint32_t n, waits;   /* waits: reason n - 1 is what is waited for; 0: nothing is */
    char why[QD_MODE_REASONS][320];
    char tried[480]; /* all that was looked at, for "no coordination backend available" */
} qd_mode_decision;

/* Who can be asked for the claim; NULL where nobody can. */
typedef struct qd_mode_claims {
    /* The claim, made if there is none. [worker] QD_E_NO_COORDINATION, QD_E_TIMEOUT: ask again;
     * another code ends the start. */
    int (*claim)(void *arg, const qd_mode_input *in, qd_mode_claim *out, qd_err *err);
    void *arg;
} qd_mode_claims;

/* Decides. [any] QD_E_CONFIG: there is no store that this node could use; the text says what was
 * tried. */
QD_MUST_CHECK
int qd_mode_decide(const qd_mode_input *in, qd_mode_decision *out, qd_err *err);

/* The same, and asks for the claim where one is needed, until there is one: waiting(arg, why) is
 * called after each attempt that found none, pauses, and ends it with false. [worker]
 * QD_E_CANCELLED
 */
QD_MUST_CHECK
int qd_mode_settle(const qd_mode_input *in, const qd_mode_claims *claims,
                   bool (*waiting)(void *arg, const qd_err *why), void *arg, qd_mode_decision *out,
                   qd_err *err);

/* "auto", "master", "k8s-native", as coordination.mode has them. [any] */
const char *qd_mode_name(qd_mode m);
/* AUTO, MASTER, KUBERNETES of a setting's text, which the schema has checked. [any] */
qd_mode qd_mode_parse(qd_str text);
/* The mode in which a store of this kind is used; AUTO of UNKNOWN. [any] */
qd_mode qd_mode_of(qd_store_kind k);
/* The kind of store that a mode uses; UNKNOWN of AUTO. [any] */
qd_store_kind qd_store_of(qd_mode m);
/* "raft", "k8s", "unknown": as records and answers have them. [any] */
const char *qd_store_kind_name(qd_store_kind k);
/* UNKNOWN: none of these names. [any] */
qd_store_kind qd_store_kind_parse(qd_str text);

#endif
