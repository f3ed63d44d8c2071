/*
 * symbols.h: the function at an address of this process. A name comes from the symbol table of the
 * image's file, static functions too, as long as the file is the one that was loaded (by its build
 * id) and has a table; else from what the image exports. Files are read when an address asks for
 * them, once, within bounds; nothing in them is trusted.
 */
#ifndef QD_RUNTIME_STACK_SYMBOLS_H
#define QD_RUNTIME_STACK_SYMBOLS_H

#include "base/err.h"

#define QD_PLACE_MAX 512u

typedef struct qd_symbols qd_symbols;

/* Opens it without names; NULL without memory. [any] */
qd_symbols *qd_symbols_open(void);
/* Writes "function (quidditchd+0x1234)", or the place alone as the crash line tells it, and returns
 * a number that addresses of one function share. caller: the address is one to return to. [worker]
 */
uint64_t qd_symbols_place(qd_symbols *s, uintptr_t address, bool caller, char out[QD_PLACE_MAX]);
/* [worker] */
void qd_symbols_close(qd_symbols *s);

/* A file's functions, read from its symbol table: for the above, and for tests. */
typedef struct qdi_functions qdi_functions;
/* id: the build id that the file is to have. NULL: another one, no table, broken, no memory. */
qdi_functions *qdi_functions_read(const char *file, const char *id);
/* The function with this address of the file, and its first one; NULL: none. */
const char *qdi_functions_find(const qdi_functions *f, uint64_t address, uint64_t *first);
/* NULL does nothing. */
void qdi_functions_free(qdi_functions *f);

#endif
