/* case.c: see case_int.h. */
#include "ingest/text/case_int.h"
#include <unicode/ucasemap.h>

static bool ascii(qd_str text)
{
    unsigned char all = 0;
    for (size_t k = 0; k < text.n; k++) all |= (unsigned char)text.p[k];
    return all < 128;
}

static char turned(char c, bool upper)
{
    if (upper) return c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

int qdi_case(qd_ingest_run *r, qd_str text, bool upper, qd_iv *out, qd_err *err)
{
    UErrorCode status = U_ZERO_ERROR;
    bool plain = ascii(text);
    size_t room = plain ? text.n : text.n * 3 + 8;
    if (room > INT32_MAX) return qdi_run_nomem(err);
    char *p = qdi_run_bytes(r, room, err);
    if (!p) return QD_E_NOMEM;
    *out = QD_IV_STRING(((qd_str){p, text.n}));
    for (size_t k = 0; plain && k < text.n; k++) p[k] = turned(text.p[k], upper);
    if (plain) return 0;
    UCaseMap *map = ucasemap_open("", 0, &status);
    int32_t n = upper
                    ? ucasemap_utf8ToUpper(map, p, (int32_t)room, text.p, (int32_t)text.n, &status)
                    : ucasemap_utf8ToLower(map, p, (int32_t)room, text.p, (int32_t)text.n, &status);
    ucasemap_close(map);
    if (U_FAILURE(status) || n < 0) return qdi_run_nomem(err);
    out->s.n = (size_t)n;
    return 0;
}
