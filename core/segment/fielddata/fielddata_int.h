/* fielddata_int.h: what a segment keeps of uninverted fields. */
#ifndef QD_SEGMENT_FIELDDATA_INT_H
#define QD_SEGMENT_FIELDDATA_INT_H

#include "segment/fielddata.h"

typedef struct qdi_fielddata qdi_fielddata;

/* Builds the column of a field. [worker] */
QD_MUST_CHECK
int qdi_fielddata_build(qd_segment *s, uint32_t field, const qd_fielddata_filter *filter,
                        qd_account *account, qd_file **file, qd_err *err);
/* Drops a list; the segment ends. */
void qdi_fielddata_free(qdi_fielddata *first);

#endif
