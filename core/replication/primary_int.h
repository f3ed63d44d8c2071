/*
 * primary_int.h: what the primary of a shard decides, as a pure state machine: events in, actions
 * out by one call-back. No clock (times come as arguments, of the node's boot clock), no I/O, no
 * locks, no memory of its own: the owner serialises calls and embeds batches and reads.
 *
 *   RESYNC --all copies that count know the term--> READY --it is in sync itself--> ACTIVE
 *   ACTIVE <--> DRAINING --> HANDING --> FENCED
 *
 * READY is where a new shard's first copy waits until the record says that it has started: whatever
 * it acknowledged before would be lost with it, as nobody knows yet that it may not be made anew.
 *
 * A copy *counts* when an acknowledgement, a lease and the global checkpoint need it: what the
 * record calls in-sync, what is being put into that set, and what is being taken out until that is
 * committed. So the copies that count are always a superset of the record's in-sync set.
 */
#ifndef QD_REPLICATION_PRIMARY_INT_H
#define QD_REPLICATION_PRIMARY_INT_H

#include "base/assert.h"
#include "base/str.h"
#include "replication/mutants.h"
#include <check/invariant.h>

#define REPL_AID 23u       /* an allocation id and a NUL */
#define REPL_PEERS_MAX 32u /* other copies of a shard */
#define REPL_LEASE_NS 400000000ull
/* a copy keeps its word that much longer, on its own clock */
#define REPL_LEASE_KEPT_NS (REPL_LEASE_NS + REPL_LEASE_NS / 10)
#define REPL_LAG_MAX_NS 30000000000ull /* without a sign of getting on */
#define REPL_LAG_LIMIT_NS                                                                          \
    90000000000ull /* however it gets on: acknowledgements that wait for it end after 120 s */

typedef enum repl_phase {
    REPL_RESYNC,
    REPL_READY,
    REPL_ACTIVE,
    REPL_DRAINING, /* writes wait; those under way end */
    REPL_HANDING,  /* drained: the record may name another primary at any moment */
    REPL_FENCED,   /* another primary, or this one has failed */
} repl_phase;

/* Another copy as the primary sees it. */
typedef struct repl_peer {
    uint64_t id; /* never used twice, in no other term either; 0: the place is free */
    char aid[REPL_AID];
    void *user;                   /* the owner's */
    bool counts;                  /* see above */
    bool in_sync;                 /* by the record */
    bool admitting, failing;      /* a change of the record is under way */
    bool started;                 /* refreshes wait for it */
    bool synced;                  /* knows this term and holds nothing that it should not */
    bool catching;                /* a catch-up is under way */
    uint32_t ships;               /* batches and catch-ups not yet answered */
    int64_t persisted;            /* its durable local checkpoint, as told in this term */
    int64_t needs;                /* admitting: what it must have before the record may change */
    int64_t told;                 /* the global checkpoint that it was told */
    uint64_t lease_ns;            /* end of the lease it gave */
    uint64_t round;               /* newest round trip that it has answered */
    uint64_t asked;               /* newest one that it was asked for */
    bool unheard;                 /* that failed: not asked again before the next tick */
    uint64_t sync_ns;             /* when it was last sent anything */
    int64_t behind_at;            /* what it has to reach to have kept up */
    int64_t behind_had;           /* what it had at the last look, behind */
    uint64_t heard_ns, behind_ns; /* behind: since when it has not kept up; 0: it does */
    uint64_t stuck_ns;            /* since when it has confirmed nothing more, behind */
    uint64_t resync;              /* number of the attempt under way */
} repl_peer;

/* A batch of operations on its way; embedded by the owner. */
typedef struct repl_batch {
    struct repl_batch *prev, *next;
    uint64_t id;
    int64_t min, max;
    uint32_t waiting; /* by place: copies that count and have not confirmed */
    uint32_t sent, confirmed;
    uint32_t total, successful, failed; /* _shards, this one included */
    bool local, done;
    int rc;
    void *user;
} repl_batch;

/* A realtime read that waits; embedded by the owner. */
typedef struct repl_read {
    struct repl_read *prev, *next;
    int64_t seq_no;
    uint64_t round; /* that every copy that counts has to answer */
    bool waiting;
    bool again; /* the first one took longer than a lease lasts */
    int rc;
    void *user;
} repl_read;

typedef enum repl_act_kind {
    REPL_ACT_SHIP,       /* batch to peer */
    REPL_ACT_RESYNC,     /* everything above `from` to peer; attempt */
    REPL_ACT_SYNC,       /* an empty request to peer: checkpoint, lease, round trip */
    REPL_ACT_CATCH_UP,   /* operations from..to to peer: numbers whose owners failed */
    REPL_ACT_FAIL,       /* take peer out of the record; why */
    REPL_ACT_DROP,       /* peer is forgotten */
    REPL_ACT_ADMIT,      /* put peer into the record's in-sync set, as started */
    REPL_ACT_BATCH_DONE, /* batch->rc */
    REPL_ACT_READ_DONE,  /* read->rc */
    REPL_ACT_GLOBAL,     /* the global checkpoint is `to` now */
    REPL_ACT_READY,      /* in this term for the first time: the owner reports it as started */
    REPL_ACT_ACTIVE,     /* writes may go on */
    REPL_ACT_DRAINED,    /* nothing is under way: hand over */
    REPL_ACT_FENCED,     /* no primary any more */
} repl_act_kind;

typedef struct repl_act {
    repl_act_kind kind;
    repl_peer *peer;
    repl_batch *batch;
    repl_read *read;
    int64_t from, to;
    uint64_t number; /* attempt of a resync, round of a sync */
    bool release;    /* SYNC: leases are given back */
    bool waited;     /* SYNC: reads wait for it */
    const char *why;
} repl_act;

/* The record's view, as far as a primary needs it. */
typedef struct repl_record_copy {
    char aid[REPL_AID];
    bool assigned; /* stands among the copies */
    bool in_sync, started;
} repl_record_copy;
typedef struct repl_record {
    uint64_t revision, term;
    char primary[REPL_AID];
    const repl_record_copy *copies;
    uint32_t n;
} repl_record;

typedef struct repl_primary {
    char aid[REPL_AID];
    uint64_t term;
    repl_phase phase;
    bool in_sync;      /* this copy, by the record */
    uint64_t revision; /* of the newest record seen or made */
    int64_t persisted, max_seq_no, global;
    int64_t acknowledged; /* the highest number ever acknowledged */
    repl_peer *peer;      /* REPL_PEERS_MAX places, the owner's; NULL: there are none yet */
    uint32_t top;         /* places above are free */
    uint64_t peer_ids, batch_ids, attempts;
    /* of reads: the newest one that any copy was asked for, or has to be */
    uint64_t rounds, wanted;
    uint64_t lease_floor_ns; /* requests sent up to here give no lease: they were given back */
    uint32_t writers;        /* the owner's: who may hold numbers that no batch has yet */
    repl_batch *first, *last;
    repl_read *reads;
    uint64_t higher_term; /* that fenced it; 0: none */
    void (*act)(void *arg, const repl_act *a);
    void *arg;
} repl_primary;

/* A primary of `term` after its own recovery: only what its disk says. act is called within the
 * functions below; it must not call back. places: REPL_PEERS_MAX of them, for other copies, which
 * stay the owner's and are cleared; NULL: they come by repl_primary_places. */
void repl_primary_init(repl_primary *p, repl_peer *places, const char *aid, uint64_t term,
                       uint64_t revision, int64_t persisted, int64_t max_seq_no, int64_t global,
                       void (*act)(void *arg, const repl_act *a), void *arg);
/* The places of a primary that has none, before another copy is added. */
void repl_primary_places(repl_primary *p, repl_peer *places);
/* Adds an in-sync copy of the record before repl_primary_begin; NULL: no place is free. */
repl_peer *repl_primary_counted(repl_primary *p, const char *aid, bool started);
/* Begins the resync, or is ACTIVE at once when no other copy counts. */
void repl_primary_begin(repl_primary *p, uint64_t now);

/* Operations min..max were applied: on to the copies. Phase ACTIVE or DRAINING. */
void repl_primary_batch(repl_primary *p, repl_batch *b, int64_t min, int64_t max);
/* The batch is durable here (rc 0), with the local checkpoints. A failure fences. */
void repl_primary_local(repl_primary *p, repl_batch *b, int rc, int64_t persisted,
                        int64_t max_seq_no, uint64_t now);
/* Forgets a batch that its owner waits for no longer; it is not acknowledged. */
void repl_primary_batch_forget(repl_primary *p, repl_batch *b);
/* The local checkpoints moved without a batch. */
void repl_primary_progress(repl_primary *p, int64_t persisted, int64_t max_seq_no, uint64_t now);

/* What a copy answered. */
typedef enum repl_verdict {
    REPL_OK,
    REPL_STALE_TERM, /* it knows a higher term: *term */
    REPL_NOT_SYNCED, /* it does not know what it may keep: it was opened anew */
    REPL_FAILED,     /* it could not, or did not answer */
} repl_verdict;
typedef struct repl_answer {
    repl_verdict verdict;
    uint64_t term;
    int64_t persisted;
    uint64_t
        sent_ns;     /* own clock, when the request left: the lease counts from it; 0: none given */
    uint64_t batch;  /* id, 0: none */
    uint64_t resync; /* attempt, 0: none; ended with this */
    bool catch_up;
    uint64_t round; /* 0: none */
    const char *why;
} repl_answer;
void repl_primary_answer(repl_primary *p, uint64_t peer, const repl_answer *a, uint64_t now);

/* Recovery of a copy that does not count yet. Tracking: from now on it receives all new writes.
 * NULL: no place is free, or not ACTIVE. */
repl_peer *repl_primary_track(repl_primary *p, const char *aid);
/* It asks to be in sync, with its durable checkpoint. It counts from now on; the record is changed
 * once it has everything that was acknowledged before. false: it is not tracked any more. */
bool repl_primary_admit(repl_primary *p, uint64_t peer, int64_t persisted, uint64_t now);
/* A copy failed: it leaves the in-sync set, or is forgotten when it does not count. */
void repl_primary_fail(repl_primary *p, uint64_t peer, const char *why, uint64_t now);

typedef enum repl_change {
    REPL_CHANGE_FAIL,
    REPL_CHANGE_ADMIT,
    REPL_CHANGE_HANDOVER,
    REPL_CHANGE_START, /* this copy, reported as started; peer 0 */
} repl_change;
/* A change of the record ended: rc 0 committed as `revision`; else refused for good (another
 * primary or term, or the copy is not there). Unknown outcomes are found out by the owner first. */
void repl_primary_changed(repl_primary *p, repl_change c, uint64_t peer, bool ok, bool stale,
                          uint64_t revision, uint64_t now);
/* A newer record was seen. Older ones than what is known are ignored. */
void repl_primary_record(repl_primary *p, const repl_record *r, uint64_t now);

/* After reading: may the value be told? At once or by READ_DONE; read->rc. */
void repl_primary_read(repl_primary *p, repl_read *r, int64_t seq_no, uint64_t now);
/* Forgets a read that waits. */
void repl_primary_read_forget(repl_primary *p, repl_read *r);
/* Do all copies that count grant a lease at `now`? */
bool repl_primary_lease(const repl_primary *p, uint64_t now);

/* Relocation: DRAINED comes when nothing is under way; then repl_primary_handing right before the
 * change of the record, repl_primary_changed(HANDOVER) after it. */
void repl_primary_drain(repl_primary *p);
void repl_primary_handing(repl_primary *p);
/* Gives a drain up. */
void repl_primary_resume(repl_primary *p, uint64_t now);

/* Another primary of `term` is known, or this one failed (0). */
void repl_primary_fence(repl_primary *p, uint64_t term);
/* Time passes: leases for reads that wait, copies that lag, the idle checkpoint sync. */
void repl_primary_tick(repl_primary *p, uint64_t now);
/* A copy by its allocation id or number; NULL. */
repl_peer *repl_primary_find(repl_primary *p, const char *aid);
repl_peer *repl_primary_peer(repl_primary *p, uint64_t id);
/* Does anything prevent DRAINED? */
bool repl_primary_busy(const repl_primary *p);
/* Looks at all relations between two events; ends the process when one is broken. */
void repl_primary_holds(const repl_primary *p);

#endif
