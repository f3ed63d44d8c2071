/*
 * coord_memory.h: the coordination kind in memory, for tests: one store, any number of handles
 * (nodes) in one process. It keeps its whole history, so nothing is ever lost but on purpose.
 *
 *   coord_memory *store = coord_memory_make(qd_env_system(), "name");
 *   coord_memory_vtable()->open(NULL, &config, &handle, &err)    config.path = the store's name
 *   ... close all handles ...
 *   coord_memory_free(store);
 *
 * Thread-safe [any] but for make and free.
 */
#ifndef QD_TESTS_COORD_MEMORY_H
#define QD_TESTS_COORD_MEMORY_H

#include "runtime/env.h"
#include <quidditch/coordination.h>

typedef struct coord_memory coord_memory;

/* An empty store that handles find by this name. */
coord_memory *coord_memory_make(qd_env *env, const char *name);
/* Frees it; no handle is open. */
void coord_memory_free(coord_memory *m);
/* The table of the kind. */
const qd_coord_vtable *coord_memory_vtable(void);
/* While off, requests end with QD_E_NO_COORDINATION (transactions with QD_E_UNKNOWN_OUTCOME when
 * `applied`: they were committed, but the answer was lost). */
void coord_memory_off(coord_memory *m, bool off, bool applied);
/* Until "" is given, changes of values that hold this text (at most 63 bytes) to such without it
 * end with QD_E_NO_COORDINATION. */
void coord_memory_keep(coord_memory *m, const char *text);
/* The same with QD_E_NOSPACE, as of masters whose disks are full: nobody tries that again by
 * itself. */
void coord_memory_full(coord_memory *m, const char *text);
/* So many changes have ended that way since. */
uint32_t coord_memory_refused(coord_memory *m);
/* A store made before any handle: EMPTY, of epoch 0, as one that may become a mirror. */
void coord_memory_empty(coord_memory *m);

/* What becomes of a request. */
typedef enum coord_memory_fault {
    COORD_MEMORY_PASS,
    COORD_MEMORY_OFF,    /* not done: QD_E_NO_COORDINATION */
    COORD_MEMORY_LOST,   /* not done: UNKNOWN_OUTCOME */
    COORD_MEMORY_DEAF,   /* done: UNKNOWN_OUTCOME */
    COORD_MEMORY_SILENT, /* of a transaction: not done, and ends when it is cancelled */
    COORD_MEMORY_LATE    /* UNKNOWN_OUTCOME, and done by coord_memory_land; steps of authority and
                            imports only, others are lost */
} coord_memory_fault;
/* Is asked before each request: 'r'ange, 't'ransaction, 'e'xport, 'i'mport, 'a'uthority with its
 * action. NULL: nobody. */
void coord_memory_hook(coord_memory *m,
                       coord_memory_fault (*hook)(void *arg, char kind, uint32_t action),
                       void *arg);
/* Does what is late, the oldest first; false: nothing is. */
bool coord_memory_land(coord_memory *m);
/* Puts another value to a key, under the same numbers: as no store ever should. */
void coord_memory_damage(coord_memory *m, const char *name, const char *value);
/* Forgets history up to now: watches from the past get COMPACTED. */
void coord_memory_compact(coord_memory *m);

#endif
