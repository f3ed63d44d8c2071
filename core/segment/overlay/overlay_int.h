/* overlay_int.h: what segment.c asks of an overlay. */
#ifndef QD_SEGMENT_OVERLAY_INT_H
#define QD_SEGMENT_OVERLAY_INT_H

#include "segment/overlay.h"

typedef struct qdi_overlay {
    qd_segment *base;
    qd_overlay of;
    uint32_t nbase; /* fields of base */
    const qd_columns *columns;
} qdi_overlay;

/* The number of its own field of a name that has a column; *hidden: the name is its own. */
uint32_t qdi_overlay_find(const qdi_overlay *o, qd_str name, bool *hidden);
/* The column of a field by its number, of base too. */
const qd_column *qdi_overlay_column(const qdi_overlay *o, uint32_t field);
/* Frees what is its own, and its reference of base. */
void qdi_overlay_close(qd_segment *s);

#endif
