/*
 * check_report.c: findings of the check, shared by all parts.
 */
#include "segment/check.h"
#include "segment/format_int.h"
#include <stdarg.h>
#include <stdio.h>

void qd_check_found(qd_check *c, const char *section, uint64_t offset, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    c->findings++;
    if (c->found)
        c->found(c->arg, c->file ? qd_file_name(c->file) : QD_STR(""), section, offset, text);
}

int qd_check_error(qd_check *c, const char *section, int rc, qd_err *err)
{
    if (rc != QD_E_CORRUPT && rc != QD_E_FORMAT_OLD && rc != QD_E_FORMAT_NEW && rc != QD_E_EOF)
        return rc;
    /* The reader's text names file, section and offset already. */
    qd_check_found(c, section, 0, "%s", qd_err_reason(err));
    qd_err_fini(err);
    qd_err_init(err);
    return 0;
}

const char *qd_segment_section_name(uint32_t section)
{
    switch (section) {
    case QDI_SEC_TERMS:
        return "TERMS";
    case QDI_SEC_POSTINGS:
        return "POSTINGS";
    case QDI_SEC_POSITIONS:
        return "POSITIONS";
    case QDI_SEC_OFFSETS:
        return "OFFSETS";
    case QDI_SEC_NORMS:
        return "NORMS";
    case QDI_SEC_COLUMN_DICT:
        return "COLUMN_DICT";
    case QDI_SEC_COLUMNS:
        return "COLUMNS";
    case QDI_SEC_POINTS:
        return "POINTS";
    case QDI_SEC_STORED:
        return "STORED";
    case QDI_SEC_IDS:
        return "IDS";
    case QDI_SEC_TERM_INDEX:
        return "TERM_INDEX";
    case QDI_SEC_COLUMN_INDEX:
        return "COLUMN_INDEX";
    case QDI_SEC_POINT_INDEX:
        return "POINT_INDEX";
    case QDI_SEC_STORED_INDEX:
        return "STORED_INDEX";
    case QDI_SEC_META:
        return "META";
    default:
        return "?";
    }
}
