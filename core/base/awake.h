/*
 * awake.h: which of many things a ticker looks at: those that are awake, where something was done
 * lately or is left to do, and in each tick a part of the others, to be sure. So things at rest
 * cost no tick. A thing embeds a qd_awake; who wakes it pays one atomic load where it is awake.
 */
#ifndef QD_BASE_AWAKE_H
#define QD_BASE_AWAKE_H

#include "base/map.h"
#include "base/vec.h"
#include <stdatomic.h>

/* Of one thing. */
typedef struct qd_awake {
    _Atomic bool is; /* set under the owner's lock */
    size_t at;       /* its place in the set; under that lock */
} qd_awake;

/* Of an owner that keeps its things as values of a map. All functions run under its lock. */
typedef struct qd_awake_set {
    QD_VEC(void *) at; /* the awake ones, a reference each */
    size_t swept;      /* how far in the map the others were looked at */
    size_t offset;     /* of the qd_awake in a thing */
    void (*ref)(void *thing), (*unref)(void *thing);
} qd_awake_set;

typedef QD_VEC(void *) qd_awake_list;

/* Wakes a thing that is in the map; without memory the sweep finds it. */
void qd_awake_wake(qd_awake_set *s, void *thing);
/* It sleeps; the caller has a reference of its own. */
void qd_awake_sleep(qd_awake_set *s, void *thing);
/* Appends those that are awake, and some of the others, so that each has its turn within so many
 * calls (0: all of them now); a reference each. Without memory some wait for a later call. */
void qd_awake_gather(qd_awake_set *s, const qd_map *all, size_t calls, qd_awake_list *out);
/* Forgets all, with their references. */
void qd_awake_fini(qd_awake_set *s);

#endif
