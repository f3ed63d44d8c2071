/*
 * forward_int.h: the terms of each document of a merge, as far as they say where it belongs, for
 * the bisection.
 */
#ifndef QD_SEGMENT_MERGE_FORWARD_INT_H
#define QD_SEGMENT_MERGE_FORWARD_INT_H

#include "segment/merge/bisect_int.h"
#include "segment/merge/merge_int.h"

/* Numbers by place (order.c) so that documents of common terms are neighbours. When memory for all
 * at once is over options->order_memory, places are ordered in groups of neighbours; *wants becomes
 * the least memory that would do when it is too little even for those, else 0. After the schema;
 * the maps lead to places. QD_E_CORRUPT, QD_E_NOMEM, or what step gave. */
QD_MUST_CHECK
int qdi_merge_bisect(qdi_merge *m, uint32_t *numbers, uint64_t *wants);

#endif
