/*
 * err.h: one error object for each request or task, passed down as last parameter.
 *
 * Functions return 0 or a negative QD_E_ code; the text says what was attempted, on what and why.
 * The caller owns the object (usually on its stack): qd_err_init before, qd_err_fini after. Setting
 * an error that is already set keeps the first (the root cause); qd_err_wrap puts a frame around
 * it. A NULL err is allowed everywhere: only the code comes back. One thread at a time.
 */
#ifndef QD_BASE_ERR_H
#define QD_BASE_ERR_H

#include "base/assert.h"
#include <quidditch/types.h>

#define QD_ERR_DETAILS_MAX 8

typedef struct qd_err_detail {
    const char *key; /* static */
    char *value;     /* owned; text or, with raw, a JSON value */
    bool raw;
} qd_err_detail;

struct qd_err {
    int32_t code;
    int line;         /* of our source */
    const char *file; /* of our source, static */
    const char *type; /* NULL: the code's Elasticsearch type */
    int status;       /* 0: the code's HTTP status */
    char *reason;     /* owned, or points to inline text */
    char text[256];
    struct qd_err *cause; /* owned */
    qd_err_detail details[QD_ERR_DETAILS_MAX];
    uint32_t ndetails;
};

/* Makes it empty (code 0). */
void qd_err_init(qd_err *e);
/* Frees what it owns and makes it empty. */
void qd_err_fini(qd_err *e);
/* Records code and formatted reason unless an error is already there; returns code. */
int qd_err_set_at(qd_err *e, int code, const char *file, int line, const char *fmt, ...)
    QD_PRINTF(5, 6);
/* Puts a new code and reason around the present error, which becomes its cause; returns code. */
int qd_err_wrap_at(qd_err *e, int code, const char *file, int line, const char *fmt, ...)
    QD_PRINTF(5, 6);
#define qd_err_set(e, code, ...) qd_err_set_at((e), (code), __FILE__, __LINE__, __VA_ARGS__)
#define qd_err_wrap(e, code, ...) qd_err_wrap_at((e), (code), __FILE__, __LINE__, __VA_ARGS__)
/* After an allocation that failed: returns QD_E_NOMEM and sets it with a text naming what it was
 * for; when a limit refused it (mem.h), the error says QD_E_BREAKER in Elasticsearch's words. */
int qd_err_nomem_at(qd_err *e, const char *file, int line, const char *what);
#define qd_err_nomem(e, what) qd_err_nomem_at((e), __FILE__, __LINE__, (what))
/* From errno: EIO, ENOSPC … become QD_E_IO, QD_E_NOSPACE …; the text gets strerror behind it. */
int qd_err_errno_at(qd_err *e, int errnum, const char *file, int line, const char *fmt, ...)
    QD_PRINTF(5, 6);
#define qd_err_errno(e, errnum, ...) qd_err_errno_at((e), (errnum), __FILE__, __LINE__, __VA_ARGS__)
/* Adds a named detail that Elasticsearch shows beside type and reason (index, shard, line, col …).
 * key is static; value is copied. Ignored when no error is set or the table is full. */
void qd_err_detail_str(qd_err *e, const char *key, qd_str value);
/* The same for an integer, shown as a JSON number. */
void qd_err_detail_i64(qd_err *e, const char *key, int64_t value);
/* The same for a JSON value, copied. */
void qd_err_detail_raw(qd_err *e, const char *key, qd_str json);
/* Gives a detail that is there another text; the others stay. */
void qd_err_detail_replace(qd_err *e, const char *key, qd_str value);
/* Gives an error that is set another reason; code, details and cause stay. */
void qd_err_reword(qd_err *e, const char *fmt, ...) QD_PRINTF(2, 3);
/* Overrides the Elasticsearch type (static text) and HTTP status (0: keep). */
void qd_err_type(qd_err *e, const char *type, int status);
/* Copies from into to (to is emptied first); a copy out of memory keeps code and inline text. */
void qd_err_copy(qd_err *to, const qd_err *from);
/* Moves from into to; from is empty afterwards. */
void qd_err_move(qd_err *to, qd_err *from);
/* The reason, never NULL. */
const char *qd_err_reason(const qd_err *e);
/* Elasticsearch's type of the error. */
const char *qd_err_es_type(const qd_err *e);
/* HTTP status of the error. */
int qd_err_status(const qd_err *e);

/* Symbol of a code ("QD_E_IO"), "QD_E_?" when unknown. */
const char *qd_code_name(int code);
/* Elasticsearch type string of a code. */
const char *qd_code_type(int code);
/* HTTP status of a code (200 for 0). */
int qd_code_status(int code);
/* May the caller try again unchanged? */
bool qd_code_retryable(int code);

#endif
