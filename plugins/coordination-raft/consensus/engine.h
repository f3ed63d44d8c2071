/*
 * engine.h: the core with its log and snapshots on a disk, its messages as bytes, proposals and
 * reads that end. No thread, no clock, no socket of its own: time comes in, work for the disk comes
 * out as jobs, so that the plugin runs it on a loop with threads (consensus_uv.c), and the
 * simulation on a virtual clock with a disk of its own.
 *
 * All functions belong to one thread, but for cr_job_run. Nothing ends, applies or is sent inside a
 * call: cr_engine_turn does that. Callbacks may call every function but turn, job_done and close.
 *
 * Lives. Each opening of a folder is a life, counted in it, with a random nonce, told with each
 * message and kept durably by who hears of it. A newer life is let in when it shows the nonce of
 * the life that is known: so it is its heir. One that is older or cannot show it, or whose log ends
 * before what this leader knows it had made durable, runs on an old copy of its folder, has
 * forgotten what it promised, and is not let in: it is told so, and fails.
 */
#ifndef COORDINATION_RAFT_ENGINE_H
#define COORDINATION_RAFT_ENGINE_H

#include "consensus.h"
#include "core.h"
#include "disk.h"

typedef struct cr_engine cr_engine;

/* Sizes that are no settings; the simulation has smaller ones. */
typedef struct cr_engine_sizes {
    uint32_t message_bytes, window_messages;
    uint64_t window_bytes, segment_bytes;
    uint32_t trailing, hold; /* entries kept behind a snapshot; for who is catching up, at most */
} cr_engine_sizes;

/* Opens it; k: loop, dir, segment_bytes are not looked at. As cr_consensus_open. */
int32_t cr_engine_open(const cr_consensus_config *k, const cr_engine_sizes *sizes, cr_disk *disk,
                       uint64_t now, cr_engine **out, char *why);
/* Ends what waits (QD_E_UNKNOWN_OUTCOME, reads QD_E_NOT_LEADER) and lets no new job out. */
void cr_engine_stop(cr_engine *e);
/* Frees it; it was stopped, no job is out. NULL is fine. */
void cr_engine_free(cr_engine *e);

/* Does what is due. */
void cr_engine_turn(cr_engine *e, uint64_t now);
/* When a turn is wanted at the latest; UINT64_MAX: not before something happens. */
uint64_t cr_engine_deadline(const cr_engine *e);

/* Work for the disk: one job at a time for each lane, the log's and the snapshots'. */
enum { CR_LANE_LOG, CR_LANE_SNAPSHOTS, CR_LANES };
typedef struct cr_job cr_job;
/* The next one, to be run and then told done; NULL: nothing, or one is out. */
cr_job *cr_engine_job(cr_engine *e, int lane);
/* Does it. [any thread] */
void cr_job_run(cr_job *j);
void cr_engine_job_done(cr_engine *e, cr_job *j, uint64_t now);

/* As those of consensus.h. */
int32_t cr_engine_propose(cr_engine *e, cr_proposal *p, const uint8_t *entry, size_t n);
int32_t cr_engine_read(cr_engine *e, cr_read_wait *r);
int cr_engine_sole(const cr_engine *e);
void cr_engine_receive(cr_engine *e, const uint8_t *p, size_t n, uint64_t now);
void cr_engine_gone(cr_engine *e, uint64_t id, uint64_t now);
void cr_engine_look(const cr_engine *e, cr_consensus_view *out);
int32_t cr_engine_peer_look(const cr_engine *e, uint64_t id, cr_consensus_peer *out);
int32_t cr_engine_change(cr_engine *e, cr_proposal *p, const cr_member *m, int remove,
                         uint64_t wait_ns, uint64_t now);
int32_t cr_engine_hand_over(cr_engine *e, uint64_t to, void (*done)(void *arg, int32_t rc),
                            void *arg, uint64_t now);
void cr_engine_space(cr_engine *e, int there);
void cr_engine_snapshot_soon(cr_engine *e);
/* The core, for who looks closer. */
const cr_core *cr_engine_core(const cr_engine *e);
uint64_t cr_engine_life(const cr_engine *e);
/* The life of a peer as this node knows it, 0: none; durable says so only of what is on the disk.
 */
uint64_t cr_engine_peer_life(const cr_engine *e, uint64_t id, int durable);

#endif
