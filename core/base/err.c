/* err.c: error objects and the table of codes. See err.h. */
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct code_row {
    int code, http;
    const char *name, *type;
    bool retry;
} codes[] = {
#define QD_ERR(sym, code, http, type, retry) {(code), (http), "QD_E_" #sym, (type), (retry)},
#include <quidditch/errors.def>
#undef QD_ERR
};

static const struct code_row *find(int code)
{
    for (size_t i = 0; i < QD_COUNT_OF(codes); i++) {
        if (codes[i].code == code) return &codes[i];
    }
    return NULL;
}

const char *qd_code_name(int code)
{
    const struct code_row *r = find(code);
    return r ? r->name : code == 0 ? "QD_OK" : "QD_E_?";
}

const char *qd_code_type(int code)
{
    const struct code_row *r = find(code);
    return r ? r->type : "internal_error";
}

int qd_code_status(int code)
{
    const struct code_row *r = find(code);
    return r ? r->http : code == 0 ? 200 : 500;
}

bool qd_code_retryable(int code)
{
    const struct code_row *r = find(code);
    return r && r->retry;
}

void qd_err_init(qd_err *e)
{
    e->code = e->line = e->status = 0;
    e->file = e->type = NULL;
    e->reason = NULL;
    e->text[0] = 0; /* what no details and no text use is left as it is: half a kilobyte */
    e->cause = NULL;
    e->ndetails = 0;
}

static void clear_content(qd_err *e)
{
    if (e->reason != e->text) qd_free(e->reason);
    for (uint32_t i = 0; i < e->ndetails; i++) qd_free(e->details[i].value);
}

void qd_err_fini(qd_err *e)
{
    if (!e || !e->code) return; /* nothing was set */
    qd_err *c = e->cause;
    clear_content(e);
    while (c) { /* a chain, never recursion: its length is a caller's choice */
        qd_err *next = c->cause;
        clear_content(c);
        qd_free(c);
        c = next;
    }
    qd_err_init(e);
}

static void fill(qd_err *e, int code, const char *file, int line, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    e->code = code;
    e->file = file;
    e->line = line;
    int n = vsnprintf(e->text, sizeof e->text, fmt, ap);
    e->reason = e->text;
    if (n >= (int)sizeof e->text) {
        char *long_text = qd_alloc(NULL, (size_t)n + 1);
        if (long_text) {
            vsnprintf(long_text, (size_t)n + 1, fmt, again);
            e->reason = long_text;
        }
    }
    va_end(again);
}

int qd_err_set_at(qd_err *e, int code, const char *file, int line, const char *fmt, ...)
{
    qd_assert(code < 0);
    if (!e || e->code) return code;
    va_list ap;
    va_start(ap, fmt);
    fill(e, code, file, line, fmt, ap);
    va_end(ap);
    return code;
}

int qd_err_wrap_at(qd_err *e, int code, const char *file, int line, const char *fmt, ...)
{
    qd_assert(code < 0);
    if (!e) return code;
    qd_err *cause = e->code ? qd_alloc(NULL, sizeof *cause) : NULL;
    if (e->code && !cause) return code; /* the root cause says more than the frame */
    if (cause) qd_err_move(cause, e);
    va_list ap;
    va_start(ap, fmt);
    fill(e, code, file, line, fmt, ap);
    va_end(ap);
    e->cause = cause;
    return code;
}

int qd_err_nomem_at(qd_err *e, const char *file, int line, const char *what)
{
    char name[32];
    int64_t want, limit;
    if (!qd_account_refusal(name, &want, &limit)) {
        return qd_err_set_at(e, QD_E_NOMEM, file, line, "out of memory: %s", what);
    }
    if (!e || e->code) return QD_E_NOMEM;
    (void)qd_err_set_at(e, QD_E_BREAKER, file, line,
                        "[%s] Data too large, data for [%s] would be [%lld/%lldb], which is larger "
                        "than the limit of [%lld/%lldb]",
                        name, what, (long long)want, (long long)want, (long long)limit,
                        (long long)limit);
    qd_err_detail_i64(e, "bytes_wanted", want);
    qd_err_detail_i64(e, "bytes_limit", limit);
    qd_err_detail_str(e, "durability", (qd_str){"TRANSIENT", 9});
    return QD_E_NOMEM;
}

static int code_of_errno(int errnum)
{
    switch (errnum) {
    case ENOMEM:
        return QD_E_NOMEM;
    case ENOSPC:
    case EDQUOT:
        return QD_E_NOSPACE;
    case ENOENT:
        return QD_E_NOTFOUND;
    case EEXIST:
        return QD_E_EXISTS;
    case EACCES:
    case EPERM:
        return QD_E_PERMISSION;
    case ECANCELED:
        return QD_E_CANCELLED;
    case ETIMEDOUT:
        return QD_E_TIMEOUT;
    default:
        return QD_E_IO;
    }
}

int qd_err_errno_at(qd_err *e, int errnum, const char *file, int line, const char *fmt, ...)
{
    int code = code_of_errno(errnum);
    if (!e || e->code) return code;
    va_list ap;
    va_start(ap, fmt);
    fill(e, code, file, line, fmt, ap);
    va_end(ap);
    char why[128];
    qd_buf b;
    qd_buf_init(&b, NULL, 1 << 16);
    (void)qd_buf_printf(&b, "%s: %s", e->reason, strerror_r(errnum, why, sizeof why));
    char *joined = qd_buf_take(&b, NULL);
    if (!joined) return code;
    if (e->reason != e->text) qd_free(e->reason);
    e->reason = joined;
    return code;
}

static qd_err_detail *next_detail(qd_err *e, const char *key)
{
    if (!e || !e->code || e->ndetails == QD_ERR_DETAILS_MAX) return NULL;
    qd_err_detail *d = &e->details[e->ndetails];
    d->key = key;
    return d;
}

void qd_err_detail_str(qd_err *e, const char *key, qd_str value)
{
    qd_err_detail *d = next_detail(e, key);
    if (!d) return;
    d->raw = false;
    d->value = qd_memdup(NULL, value.p, value.n);
    if (d->value) e->ndetails++;
}

void qd_err_detail_raw(qd_err *e, const char *key, qd_str json)
{
    qd_err_detail *d = next_detail(e, key);
    if (!d) return;
    d->raw = true;
    d->value = qd_memdup(NULL, json.p ? json.p : "", json.n);
    if (d->value) e->ndetails++;
}

void qd_err_detail_i64(qd_err *e, const char *key, int64_t value)
{
    char text[24];
    qd_err_detail *d = next_detail(e, key);
    if (!d) return;
    int n = snprintf(text, sizeof text, "%lld", (long long)value);
    d->raw = true;
    d->value = qd_memdup(NULL, text, (size_t)n);
    if (d->value) e->ndetails++;
}

void qd_err_detail_replace(qd_err *e, const char *key, qd_str value)
{
    for (uint32_t i = 0; e && i < e->ndetails; i++) {
        qd_err_detail *d = &e->details[i];
        char *copy = strcmp(d->key, key) == 0 ? qd_memdup(NULL, value.p, value.n) : NULL;
        if (!copy) continue;
        qd_free(d->value);
        d->value = copy;
        d->raw = false;
    }
}

void qd_err_reword(qd_err *e, const char *fmt, ...)
{
    if (!e || !e->code) return;
    char *before = e->reason != e->text ? e->reason : NULL, now[sizeof e->text];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(now, sizeof now, fmt, ap);
    va_end(ap);
    char *more = n >= (int)sizeof now ? qd_alloc(NULL, (size_t)n + 1) : NULL;
    if (more) {
        va_start(ap, fmt);
        vsnprintf(more, (size_t)n + 1, fmt, ap);
        va_end(ap);
    } else {
        memcpy(e->text, now, sizeof now);
    }
    e->reason = more ? more : e->text;
    qd_free(before);
}

void qd_err_type(qd_err *e, const char *type, int status)
{
    if (!e || !e->code) return;
    e->type = type;
    if (status) e->status = status;
}

static void copy_one(qd_err *to, const qd_err *from)
{
    *to = *from;
    to->cause = NULL;
    to->ndetails = 0;
    to->reason = to->text;
    if (from->reason && from->reason != from->text) {
        char *s = qd_memdup(NULL, from->reason, strlen(from->reason));
        if (s) to->reason = s;
    }
    for (uint32_t i = 0; i < from->ndetails; i++) {
        const char *v = from->details[i].value;
        qd_err_detail *d = &to->details[to->ndetails];
        *d = from->details[i];
        d->value = qd_memdup(NULL, v, strlen(v));
        if (d->value) to->ndetails++;
    }
}

void qd_err_copy(qd_err *to, const qd_err *from)
{
    if (!to || to == from) return;
    qd_err_fini(to);
    if (!from || !from->code) return;
    copy_one(to, from);
    qd_err *tail = to;
    for (const qd_err *c = from->cause; c; c = c->cause) {
        qd_err *copy = qd_alloc(NULL, sizeof *copy);
        if (!copy) return;
        copy_one(copy, c);
        tail->cause = copy;
        tail = copy;
    }
}

void qd_err_move(qd_err *to, qd_err *from)
{
    *to = *from;
    if (from->reason == from->text) to->reason = to->text;
    qd_err_init(from);
}

const char *qd_err_reason(const qd_err *e)
{
    return e && e->reason ? e->reason : e && e->code ? qd_code_name(e->code) : "no error";
}

const char *qd_err_es_type(const qd_err *e)
{
    return e->type ? e->type : qd_code_type(e->code);
}
int qd_err_status(const qd_err *e)
{
    return e->status ? e->status : qd_code_status(e->code);
}
