/*
 * check_report.c: findings of the check, shared by all parts.
 */
#include "base/hash.h"
#include "segment/check.h"
#include "segment/format_int.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void qd_check_found(qd_check *c, const char *section, uint64_t offset, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    c->findings++;
    if (c->found)
        c->found(c->arg, c->file ? qd_file_name(c->file) : c->name, section, offset, text);
}

/* Takes "section 7 + 130" apart. */
static bool parse_part(const char *part, uint32_t *section, uint64_t *offset)
{
    qd_str rest = qd_str_c(part);
    uint64_t n;
    if (!qd_str_starts(rest, QD_STR("section "))) return false;
    rest = qd_str_sub(rest, 8, rest.n);
    qd_str number = qd_str_split(&rest, ' ');
    if (!qd_str_u64(number, &n) || n > UINT32_MAX || !qd_str_starts(rest, QD_STR("+ ")))
        return false;
    *section = (uint32_t)n;
    return qd_str_u64(qd_str_sub(rest, 2, rest.n), offset);
}

/* A damaged page is met by everybody who reads it: told once. */
static bool told(qd_check *c, const char *reason)
{
    uint64_t hash = qd_xxh3(reason, strlen(reason));
    bool known = c->last == hash;
    c->last = hash;
    return known;
}

int qd_check_error(qd_check *c, const char *section, int rc, qd_err *err)
{
    if (rc != QD_E_CORRUPT && rc != QD_E_FORMAT_OLD && rc != QD_E_FORMAT_NEW && rc != QD_E_EOF)
        return rc;
    const char *reason = qd_err_reason(err), *what = strstr(reason, "): ");
    const char *part = NULL;
    uint64_t offset = 0;
    uint32_t number;
    for (uint32_t i = 0; err && i < err->ndetails; i++) {
        const qd_err_detail *d = &err->details[i];
        int64_t at;
        if (strcmp(d->key, "part") == 0) part = d->value;
        if (strcmp(d->key, "offset") == 0 && qd_str_i64(qd_str_c(d->value), &at))
            offset = (uint64_t)at;
    }
    if (part && parse_part(part, &number, &offset)) section = qd_segment_section_name(number);
    if (!told(c, reason))
        qd_check_found(c, section, offset, "%s", part && what ? what + 3 : reason);
    qd_err_fini(err);
    qd_err_init(err);
    return 0;
}

const char *qd_segment_section_name(uint32_t section)
{
    switch (section & 0xffff) { /* above: the table of nested documents */
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
    case QDI_SEC_CHILDREN:
        return "CHILDREN";
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
    case QDI_SEC_PART_INDEX:
        return "PART_INDEX";
    case QDI_SEC_NESTED:
        return "NESTED";
    default:
        return (section & 0xffff) >= QDI_SEC_PART ? "PART" : "?";
    }
}
