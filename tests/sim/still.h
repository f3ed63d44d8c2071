/*
 * still.h: a schedule whose virtual time stands still would never end: it fails instead.
 *
 * As good as still, that is: a clock that is read moves time by 20 ns, so what turns without
 * waiting is told by its turns within a window, not at one time.
 */
#ifndef QD_TESTS_SIM_STILL_H
#define QD_TESTS_SIM_STILL_H

#include <stdbool.h>
#include <stdint.h>

/* Begins each message about it: a defect is not found by it. */
#define STILL "virtual time stands still"
/* The window: shorter than what a node waits for. */
#define STILL_NS 1000000u
/* Turns of a fiber's own loop (the store's) within a window; the most that was seen is 86. */
#define STILL_LOOP_MOST 10000u
/* Steps of a world, all nodes together, within a window; the most that was seen is 1,129. */
#define STILL_STEPS_MOST 100000u

typedef struct still {
    uint64_t from, turns; /* within the window that began at from */
} still;

/* A turn at now; false when it is one more than may be within a window, and from then on. */
static inline bool still_turn(still *s, uint64_t now, uint64_t most)
{
    if (s->turns <= most && now - s->from >= STILL_NS) *s = (still){.from = now};
    return ++s->turns <= most;
}

#endif
