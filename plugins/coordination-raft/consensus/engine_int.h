/*
 * engine_int.h: what the files of the engine share.
 *
 *   engine.c        life, turns, proposals, reads, members
 *   engine_jobs.c   what goes to the disk
 *   engine_peers.c  messages and lives
 */
#ifndef COORDINATION_RAFT_ENGINE_INT_H
#define COORDINATION_RAFT_ENGINE_INT_H

#include "engine.h"
#include "message.h"
#include "mutants.h"
#include "snapfile.h"
#include "wal.h"
#include <check/invariant.h>
#include <stdio.h>

#define CR_RETRY_NS 200000000ull /* between tries when the disk is full */

enum {
    CR_JOB_WRITE,   /* a list of writes */
    CR_JOB_CHUNK,   /* of a snapshot coming in */
    CR_JOB_INSTALL, /* which is whole */
    CR_JOB_PREPARE, /* the next segment */
    CR_JOB_CLEAN,   /* segments not needed */
    CR_JOB_TAKE,    /* a snapshot */
    CR_JOB_READ     /* bytes of one, for a peer */
};
struct cr_job {
    cr_job *next;
    cr_engine *e;
    uint32_t kind;
    int32_t rc;
    int started;
    cr_wal_write *writes, *writes_last; /* WRITE */
    uint64_t seq;                       /* CHUNK */
    uint64_t index, term, offset, total, upto, peer;
    uint8_t *bytes;
    uint32_t n;
    cr_members *members; /* TAKE */
    void *snapshot;      /* TAKE: the caller's */
    cr_snap loaded;      /* INSTALL */
    char why[CR_WAL_WHY];
};

typedef struct cr_lane {
    cr_job *first, *last; /* waiting */
    cr_job *out;          /* being run */
} cr_lane;

/* A change of members that waits for its turn. */
typedef struct cr_waiting_change {
    struct cr_waiting_change *next;
    cr_proposal *p;
    cr_members *one; /* the member, as a list of its own */
    int remove;
} cr_waiting_change;

struct cr_engine {
    cr_consensus_config config;
    cr_engine_sizes sizes;
    const cr_heap *heap;
    cr_disk *disk;
    cr_core *core;
    cr_wal *wal;
    uint64_t life, recoveries, group;
    int recovering; /* the next write tells recoveries */
    uint64_t now, applied, lead_term;
    int stopped, failed;
    cr_lane lanes[CR_LANES];
    cr_bytes message; /* being encoded */

    cr_proposal *proposals, *proposals_last; /* by index */
    cr_waiting_change *changes, *changes_last;
    cr_read_wait *reads, *reads_last; /* asked of the core, then by index */
    uint64_t tokens;
    void (*handed)(void *arg, int32_t rc);
    void *handed_arg;

    uint64_t snapshot;      /* the newest one's index */
    uint64_t snapshot_from; /* entries count from here to the next one */
    int taking, soon;
    int asked_space;   /* the caller's view */
    int full;          /* a write waits for room */
    uint64_t retry_at; /* then */
    int preparing, was_full;
    uint64_t prepare_at; /* not before: the last try failed */

    cr_wal_peer lives[CR_WAL_PEERS_MAX], lives_durable[CR_WAL_PEERS_MAX];
    uint32_t nlives, nlives_durable;
    cr_wal_peer asked[CR_WAL_PEERS_MAX]; /* which of this node's lives a peer knows */
    uint32_t nasked;
    uint32_t nonces[CR_WAL_LIVES];
    uint64_t dropped;
};

/* --- engine.c --- */
/* The end: proposals are told, config.failed. */
void cr_engine_fail(cr_engine *e, const char *why);
/* A snapshot took the place of all entries up to index. */
void cr_proposals_passed(cr_engine *e, uint64_t index);

/* --- engine_jobs.c --- */
cr_job *cr_job_add(cr_engine *e, int lane, uint32_t kind);
void cr_job_write(cr_engine *e, const cr_action *a);
void cr_job_chunk(cr_engine *e, const cr_action *a);
void cr_job_install(cr_engine *e, const cr_action *a);
void cr_job_chunk_read(cr_engine *e, const cr_action *a);
/* Takes a snapshot if it is time. */
void cr_snapshot_turn(cr_engine *e);
/* Prepares a segment, then as cr_space_look. */
void cr_space_turn(cr_engine *e);
/* Looks at the room on the disk: are changes taken? */
void cr_space_look(cr_engine *e);
void cr_job_free(cr_engine *e, cr_job *j);
void cr_lives_write(cr_engine *e, cr_wal_peer p);

/* --- engine_peers.c --- */
void cr_engine_send(cr_engine *e, const cr_message *m);

#endif
