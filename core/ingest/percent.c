/* percent.c: see percent.h. */
#include "ingest/percent.h"
#include "base/utf8.h"

static int hex(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

qd_str qdi_utf8_sane(qd_ingest_run *r, qd_str text)
{
    size_t at = 0, n = 0;
    if (qd_utf8_valid(text, NULL)) return text.p ? text : QD_STR("");
    char *p = qd_arena_bytes(&r->arena, text.n * 3 + 1);
    if (!p) return (qd_str){NULL, 0};
    while (at < text.n) {
        uint32_t cp;
        at += qd_utf8_next(text.p + at, text.p + text.n, &cp);
        n += qd_utf8_put(p + n, cp);
    }
    return (qd_str){p, n};
}

int qdi_percent_decode(qd_ingest_run *r, qd_str text, bool plus, qd_str *out, bool *bad,
                       qd_err *err)
{
    char *p = qdi_run_bytes(r, text.n, err);
    size_t n = 0;
    *bad = false;
    if (!p) return QD_E_NOMEM;
    for (size_t k = 0; k < text.n; k++) {
        char c = text.p[k];
        if (c == '%') {
            int hi = text.n - k > 2 ? hex(text.p[k + 1]) : -1;
            int lo = text.n - k > 2 ? hex(text.p[k + 2]) : -1;
            *bad |= hi < 0 || lo < 0;
            if (*bad) return 0;
            p[n++] = (char)(hi << 4 | lo);
            k += 2;
        } else {
            p[n++] = c == '+' && plus ? ' ' : c;
        }
    }
    *out = qdi_utf8_sane(r, (qd_str){p, n});
    return out->p ? 0 : qdi_run_nomem(err);
}
