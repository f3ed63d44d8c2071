/*
 * rows.h: the machine's records in a SQLite database, so that a start need not read a snapshot and
 * a long log. It is a copy: the log is what counts. It is written by a thread of its own behind the
 * commits, several of them in one transaction together with the index that they reach to, in WAL
 * mode with synchronous=NORMAL. Whatever is wrong with it, it is deleted and made again from
 * snapshot and log.
 *
 * Each row has a sum over kind, key, numbers and value; one row has the applied index, the number
 * of rows and the XOR of their sums.
 */
#ifndef COORDINATION_RAFT_ROWS_H
#define COORDINATION_RAFT_ROWS_H

#include "bytes.h"

typedef struct cr_rows cr_rows;

/* Opens the database at path (".../state.db"; its folder is there). What it holds is given to take,
 * each row with a reference; take returns 0 or a code that means damage. *applied: the index they
 * reach to; 0: there was nothing, or it was damaged and is removed, and why (256 bytes, else empty)
 * says how. say gets lines for the log [any]. [worker] QD_E_NOMEM. */
int32_t cr_rows_open(const cr_heap *h, const char *path, int32_t (*take)(void *arg, cr_item *row),
                     void *arg, uint64_t *applied, char *why,
                     void (*say)(void *arg, int32_t level, const char *line), void *say_arg,
                     cr_rows **out);
/* Removes what is there: it is to be made again. Before start. */
void cr_rows_discard(cr_rows *r);
/* Starts the writer. QD_E_IO. */
int32_t cr_rows_start(cr_rows *r);
/* Hands over changed rows (with their references; the list is emptied) of all entries up to an
 * index; replaced: all others are deleted first. Waits while the writer is far behind. */
void cr_rows_push(cr_rows *r, cr_items *rows, uint64_t applied, int replaced);
/* Writes what is left, closes. NULL is fine. */
void cr_rows_close(cr_rows *r);

#endif
