/*
 * authority.h: which state this node has acted on: the cluster's uuid, the control epoch, the
 * highest revision, kept in a small file (path.data/authority.json) and made durable before a state
 * is acted on. A store that shows less than that (restored from a backup, emptied, of another
 * cluster) is refused with a sentence that names both; only `qd recover --accept-older-state` goes
 * on.
 *
 * A node without a store of its own writes the file before each state it applies: states come in
 * batches, and nothing of documents waits for them. A control node's own store is durable already;
 * there the file follows within a second and at a clean stop, as a second witness.
 *
 * It names the kind of store that holds the cluster's state, and since when: a node that starts
 * with other settings stays with that store (mode.h).
 *
 * It also remembers the ids of this folder's last starts, and the store the one of the node's last
 * start: a folder that does not remember that one is an old copy, and what was acknowledged since
 * is not in it.
 */
#ifndef QD_CLUSTER_AUTHORITY_AUTHORITY_H
#define QD_CLUSTER_AUTHORITY_AUTHORITY_H

#include "base/err.h"
#include "base/str.h"
#include "cluster/authority/mode.h"
#include "runtime/env.h"

typedef struct qd_authority qd_authority;

#define QD_AUTHORITY_LIVES 8
#define QD_AUTHORITY_LIFE 64

typedef struct qd_authority_record {
    char uuid[64];     /* of the cluster; empty: none yet */
    uint64_t epoch;    /* control epoch of the store */
    uint64_t revision; /* highest acted on */
    bool refused;      /* was shown an older state: nothing is obeyed until the operator says so,
                          also when that store has grown beyond `revision` meanwhile */
    bool accept_older; /* the next state is taken whatever it is, once */
    char lives[QD_AUTHORITY_LIVES][QD_AUTHORITY_LIFE]; /* the newest starts, the last one first */
    qd_store_kind store; /* which holds the state; UNKNOWN: an older build wrote the record */
    int64_t since_ms;    /* by this node's clock: it does so, under this epoch; 0: not known */
} qd_authority_record;

/* Where the record is kept; the file for nodes, a simulated disk for simulations. */
typedef struct qd_authority_files {
    /* Appends the text to out; QD_E_NOTFOUND: none yet. [worker] */
    int (*read)(void *arg, qd_buf *out, qd_err *err);
    /* Replaces it, durable on return. [worker] */
    int (*write)(void *arg, qd_str text, qd_err *err);
    void *arg;
} qd_authority_files;

/* Reads the record. [worker] QD_E_CORRUPT: it is damaged, which is not taken for "none". */
QD_MUST_CHECK
int qd_authority_open(const qd_authority_files *files, qd_authority **out, qd_err *err);
/* The same over a file. [worker] */
QD_MUST_CHECK
int qd_authority_open_file(const char *path, qd_authority **out, qd_err *err);
/* Writes what is not yet durable and frees it. NULL is fine. [worker] */
void qd_authority_close(qd_authority *a);
/* The record. [any] */
void qd_authority_get(qd_authority *a, qd_authority_record *out);

/* May a state of this cluster (empty: the store knows none), epoch and revision be acted on? An
 * older one of the same cluster is remembered as refused. QD_E_FENCED with the sentence. [worker]
 */
QD_MUST_CHECK
int qd_authority_check(qd_authority *a, qd_str uuid, uint64_t epoch, uint64_t revision,
                       qd_err *err);
/* Is the folder the one that the cluster knows: the store's id of this node's last start (empty:
 * none) is remembered, or the operator has said that an older one is right? [any] */
bool qd_authority_remembers(qd_authority *a, qd_str life);
/* Another start, at most QD_AUTHORITY_LIFE - 1 bytes; durable on return. Before the store is told,
 * which knows of the start `known` (empty: of none): that one is remembered too, until the next is
 * known. [worker] */
QD_MUST_CHECK
int qd_authority_live(qd_authority *a, qd_str life, qd_str known, qd_err *err);
/* It is going to be acted on; durable: it is on return, else soon. [worker] Errors of the disk. */
QD_MUST_CHECK
int qd_authority_note(qd_authority *a, qd_str uuid, uint64_t epoch, uint64_t revision, bool durable,
                      qd_err *err);
/* The state is in a store of this kind: noted with the time when it is another one than before, and
 * soon durable. env tells the time from then on, also of a higher epoch. [any] */
void qd_authority_store(qd_authority *a, qd_env *env, qd_store_kind kind);
/* Makes what was noted durable; writes only when something is not. [worker] */
QD_MUST_CHECK
int qd_authority_flush(qd_authority *a, qd_err *err);
/* The next state is taken whatever it is (the operator says so). [worker] */
QD_MUST_CHECK
int qd_authority_accept_older(qd_authority *a, qd_err *err);

#endif
