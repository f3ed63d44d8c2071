/*
 * variant.h: rules of the engine that tests break one at a time, to see that they are caught. Only
 * with -DQD_VARIANTS; otherwise every QD_VARIANT(x) is false and leaves no code. One variant is
 * chosen by qd_engine_variant, set by the test before any engine is opened.
 */
#ifndef QD_ENGINE_VARIANT_H
#define QD_ENGINE_VARIANT_H

#include "base/assert.h"

typedef enum qd_engine_broken {
    QD_BROKEN_NONE,
    QD_BROKEN_REPLAY_OLDEST_FIRST,   /* the oldest record of a number wins */
    QD_BROKEN_REPLAY_ANY_BYTES,      /* two operations of one number and term pass */
    QD_BROKEN_NO_TERM_CHECK,         /* a replica takes operations of an older term */
    QD_BROKEN_TERM_NOT_PERSISTED,    /* a raised term is in memory only */
    QD_BROKEN_REFRESH_ABOVE,         /* a refresh shows operations above the global checkpoint */
    QD_BROKEN_NO_TRIM,               /* the end of a resync discards nothing */
    QD_BROKEN_ROLLBACK_KEEPS_BUFFER, /* a roll-back keeps what was buffered */
    QD_BROKEN_ROLLBACK_TRIMS,        /* a roll-back discards records at once */
    QD_BROKEN_GAPS_OLD_TERM,         /* gaps are filled in the term before */
    QD_BROKEN_GAPS_OPEN,             /* gaps are not filled */
    QD_BROKEN_CHECKPOINT_FALLS,      /* a lower global checkpoint is taken */
    QD_BROKEN_CHECKPOINT_AHEAD,      /* a replica takes a checkpoint above what it has */
    QD_BROKEN_INSTALL_UNSYNCED,      /* a commit point names files that are not durable */
    QD_BROKEN_TRIM_UNCOVERED,        /* a replica's translog goes before its segments are durable */
    QD_BROKEN_LEASE_IGNORED,         /* leases retain nothing */
    QD_BROKEN_HELD_REMOVED,          /* files that are still named are removed */
    QD_BROKEN_APPEND_UNSYNCED,       /* a replica counts records as durable before their sync */
    QD_BROKEN_SKIP_ANY_TERM,         /* what is at or below the checkpoint is passed over unseen */
    QD_BROKEN_PERSISTED_FROM_PROCESSED, /* a sync calls all durable that was processed meanwhile */
    QD_BROKEN_SECOND_SYNC_BELIEVED,     /* a sync behind one that failed proves a log's tail */
    QD_BROKEN_NOT_SET_BACK,      /* a copy that is opened, or recovers, keeps what is above the
                                    checkpoint */
    QD_BROKEN_OPEN_NOT_SET_BACK, /* the first half of it */
    QD_BROKEN_CONFLICT_UNSYNCED, /* a conflict shows what is not durable yet */
} qd_engine_broken;

#ifdef QD_VARIANTS
extern qd_engine_broken qd_engine_variant;
#define QD_VARIANT(x) (qd_engine_variant == QD_BROKEN_##x)
#else
#define QD_VARIANT(x) 0
#endif

/*
 * Pair assertions stand at both ends of what replication rests on, and stay in release: what is
 * told to another node is on the disk, what is dropped is held. Of our own memory alone: a peer, or
 * a disk, that lied is an error, never a broken pair. Tests leave them out where an engine's rule
 * is broken, to see what breaks behind them, unless they ask for them.
 */
#ifdef QD_VARIANTS
enum { QD_PAIRS_OFF = -1, QD_PAIRS_WHOLE, QD_PAIRS_ON };
extern int qd_pairs;
/* Called with the name of a pair that is broken, before the process ends. */
extern void (*qd_pair_broken)(const char *name);
/* Are pairs looked at now? [any] */
bool qd_pairs_look(void);
/* A pair is broken: the process ends. [any] */
void qd_pair_fail(const char *name, const char *cond, const char *file, int line);
#define qd_pair(name, c)                                                                           \
    ((void)(!qd_pairs_look() || QD_LIKELY(c) || (qd_pair_fail(name, #c, __FILE__, __LINE__), 0)))
#else
#define qd_pair(name, c) qd_assert(c)
#endif

#endif
