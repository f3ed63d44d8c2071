/* percent.h: text with %XX in it. */
#ifndef QD_INGEST_PERCENT_H
#define QD_INGEST_PERCENT_H

#include "ingest/ingest_int.h"

/* Decodes %XX, and "+" as a blank when plus is set; what is no UTF-8 becomes U+FFFD. *bad: an
 * escape is none. QD_E_NOMEM. */
QD_MUST_CHECK
int qdi_percent_decode(qd_ingest_run *r, qd_str text, bool plus, qd_str *out, bool *bad,
                       qd_err *err);
/* Text in the run's arena that is UTF-8 for certain. {NULL,0}: no memory. */
qd_str qdi_utf8_sane(qd_ingest_run *r, qd_str text);

#endif
