/*
 * pair.h: assertions that stand at both ends of what replication rests on, and stay in release:
 * what is told to another node is on the disk, what is dropped is held. Of our own memory alone: a
 * peer, or a disk, that lied is an error, never a broken pair. Tests leave them out where a rule of
 * the engine is broken, to see what breaks behind them, unless they ask for them by name.
 */
#ifndef QD_ENGINE_PAIR_H
#define QD_ENGINE_PAIR_H

#include "base/assert.h"

#ifdef QD_WITH_MUTANTS
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
