/*
 * slow_int.h: the slow logs of an index: what took longer than its thresholds, one line each.
 */
#ifndef QD_ACTION_SLOW_INT_H
#define QD_ACTION_SLOW_INT_H

#include "action/action_int.h"
#include "base/log.h"

#define QDI_SLOW_SOURCE_MAX 6000u /* a log's line has room for 8 KiB */

/* Level at which something that took so long is told; false: at none. first: of four settings
 * behind each other, the highest level first. */
bool qdi_slow_level(const qd_values *v, uint32_t first, uint64_t took, qd_log_level *out);
/* At most n characters of text, and what a line has room for; one_line: no breaks in it. */
void qdi_slow_source(qd_buf *b, qd_str text, size_t n, bool one_line);

#endif
