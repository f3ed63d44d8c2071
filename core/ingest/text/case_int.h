/* case_int.h: letters of a text in the other case, as Java's root locale has them. */
#ifndef QD_INGEST_CASE_INT_H
#define QD_INGEST_CASE_INT_H

#include "ingest/ingest_int.h"

/* The text in lower or upper case. */
QD_MUST_CHECK
int qdi_case(qd_ingest_run *r, qd_str text, bool upper, qd_iv *out, qd_err *err);

#endif
