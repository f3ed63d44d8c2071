/*
 * watch.h: a schedule that uses the processor for minutes will not end: its program ends, and names
 * it. still.h sees loops in which virtual time is read; this sees those that never come back.
 */
#ifndef QD_TESTS_SIM_WATCH_H
#define QD_TESTS_SIM_WATCH_H

#include <stdint.h>

/* Begins to watch a schedule, of a scenario or NULL; the one before is over. */
void watch_schedule(uint64_t seed, const char *scenario);

#endif
