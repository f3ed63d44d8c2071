/* slow.c: see slow_int.h. */
#include "action/api/slow_int.h"
#include "base/log.h"
#include "base/str.h"
#include "config/value.h"

bool qdi_slow_level(const qd_values *v, uint32_t first, uint64_t took, qd_log_level *out)
{
    static const qd_log_level levels[] = {QD_LOG_WARN, QD_LOG_INFO, QD_LOG_DEBUG, QD_LOG_TRACE};
    for (uint32_t i = 0; i < QD_COUNT_OF(levels); i++) {
        int64_t threshold = qd_values_i64(v, first + i);
        *out = levels[i];
        if (threshold >= 0 && took > (uint64_t)threshold) return true;
    }
    return false;
}

void qdi_slow_source(qd_buf *b, qd_str text, size_t n, bool one_line)
{
    for (size_t i = 0; i < text.n; i++) {
        bool begins = ((uint8_t)text.p[i] & 0xc0) != 0x80;
        if (begins && n-- == 0) return;
        if (b->n > QDI_SLOW_SOURCE_MAX && begins) return;
        (void)qd_buf_char(b, one_line && (uint8_t)text.p[i] < ' ' ? ' ' : text.p[i]);
    }
}
