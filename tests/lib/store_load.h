/*
 * store_load.h: a seeded load on a store that remembers what was acknowledged when, and a check of
 * what a power loss left against it. Stamps say before and after which step of the disk an
 * operation began and ended: steps of the crashing store, or the recorder's sequence numbers.
 */
#ifndef QD_TESTS_STORE_LOAD_H
#define QD_TESTS_STORE_LOAD_H

#include "store/store.h"
#include <stdio.h>

typedef struct store_load store_load;

/* stamp(arg) gives the present step. */
store_load *store_load_make(uint64_t seed, uint64_t (*stamp)(void *arg), void *arg);
void store_load_free(store_load *l);
/* Does `count` operations, or fewer when one fails: returns its code (the power went), else 0. All
 * logs are closed at the end. */
int store_load_run(store_load *l, qd_store *s, uint64_t count);
/* From now on an operation refused for want of space does not end the run; returns how many were
 * refused since the last call. */
uint64_t store_load_tolerate(store_load *l, bool full);
/* Writes the history as lines of text, and reads it back. */
int store_load_save(const store_load *l, FILE *to);
int store_load_read(store_load *l, FILE *from);
/* The history's last stamp. */
uint64_t store_load_end(const store_load *l);
/* Does the store hold what it must when the power went after step `cut`? 0, or -1 with the first
 * fault in why. */
int store_load_check(const store_load *l, qd_store *s, uint64_t cut, char *why, size_t why_size);

#endif
