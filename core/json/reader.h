/*
 * reader.h: pull parser over a complete range of JSON bytes.
 *
 * The caller asks for one event after the other; nothing is built. Strings without escapes are
 * views into the input; decoded ones lie in memory of the reader and live, like the views, until
 * qd_json_reader_init or _fini: values of one document may be gathered and used together. Grammar
 * (RFC 8259), UTF-8 and depth are checked on the way, in skipped values too. Line and column are
 * counted when an error is made, never before.
 *
 *     qd_json_reader r = QD_JSON_READER(account);
 *     qd_json_reader_init(&r, body, QD_JSON_STRICT_KEYS, 0);
 *     while ((ev = qd_json_next(&r)) > 0) ...
 *     if (ev < 0) rc = qd_json_fail(&r, err);
 *     qd_json_reader_fini(&r);
 *
 * A reader is used by one thread at a time [any] and may be re-initialised for the next document
 * without freeing, so that steady indexing allocates nothing.
 */
#ifndef QD_JSON_READER_H
#define QD_JSON_READER_H

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "json/number.h"

typedef enum qd_json_event {
    QD_JSON_ERROR = -1,
    QD_JSON_EOF = 0, /* the top-level value is complete and only white space follows */
    QD_JSON_OBJECT,
    QD_JSON_OBJECT_END,
    QD_JSON_ARRAY,
    QD_JSON_ARRAY_END,
    QD_JSON_KEY,    /* text = the key; its value is the next event */
    QD_JSON_STRING, /* text = the decoded string */
    QD_JSON_NUMBER, /* text = the number as written */
    QD_JSON_TRUE,
    QD_JSON_FALSE,
    QD_JSON_NULL,
} qd_json_event;

enum {
    /* Refuse an object with a key twice ("Duplicate field 'x'"), as Elasticsearch does. */
    QD_JSON_STRICT_KEYS = 1,
    /* Accept comments of C and C++ where white space may stand, as Elasticsearch's parser does. */
    QD_JSON_COMMENTS = 2,
    /* Stop behind the first complete value: what follows in the input is not looked at. */
    QD_JSON_ONE_VALUE = 4,
    QD_JSON_REQUEST = QD_JSON_STRICT_KEYS | QD_JSON_COMMENTS, /* bodies of requests, documents */
};

#define QD_JSON_DEPTH_DEFAULT 512
#define QD_JSON_DEPTH_MAX 1024

typedef struct qd_json_reader {
    /* the event last returned: read only */
    qd_json_event event;
    bool integer;      /* NUMBER without fraction and exponent */
    qd_str text;       /* KEY, STRING, NUMBER */
    const char *token; /* first byte of the event's token in the input */
    uint64_t key_hash; /* KEY: qd_json_key_hash(text), with QD_JSON_STRICT_KEYS only */
    uint32_t depth;    /* open objects and arrays, this one's start included */
    /* private from here */
    uint32_t depth_max;
    uint32_t flags;
    uint8_t state, after; /* after: the state behind a value, by what is open */
    const char *begin, *at, *end;
    uint32_t line, column;             /* of begin */
    const char *safe;                  /* what may be read ends here: end, or behind it */
    uint8_t around[QD_JSON_DEPTH_MAX]; /* by depth: after, as it was before the value opened */
    char *out, *out_end;               /* free room for decoded strings */
    struct qd_json_chunk *chunk;
    struct qd_json_keys *keys;
    qd_account *account;
    int failure; /* qd_json_failure of reader_int.h */
    uint32_t failure_arg;
    const char *failure_at;
} qd_json_reader;

/* A reader that holds nothing yet; its memory will belong to account. */
#define QD_JSON_READER(acc) ((qd_json_reader){.account = (acc)})

/*
 * Starts on input (borrowed until init or fini; it may end anywhere, nothing behind its end is
 * read). flags of the enum above; depth_max 0 = QD_JSON_DEPTH_DEFAULT, at most QD_JSON_DEPTH_MAX.
 * The reader must be zeroed (QD_JSON_READER) or have been used before; memory is kept. Fails never.
 */
void qd_json_reader_init(qd_json_reader *r, qd_str input, uint32_t flags, uint32_t depth_max);
/* The same where slack more bytes behind the input may be read (a line in a larger block): the
 * last 64 bytes are then scanned as fast as the others. */
void qd_json_reader_init_slack(qd_json_reader *r, qd_str input, size_t slack, uint32_t flags,
                               uint32_t depth_max);
/* The input was cut out of a larger text, where it begins at that line and column: errors count on
 * from there. After init. */
void qd_json_reader_at(qd_json_reader *r, uint32_t line, uint32_t column);
/* Frees what the reader holds. */
void qd_json_reader_fini(qd_json_reader *r);

/* The next event; QD_JSON_ERROR is final (see qd_json_fail), QD_JSON_EOF too. */
qd_json_event qd_json_next(qd_json_reader *r);
/* After KEY: skips its value. After OBJECT or ARRAY: skips to behind its end. After a scalar, an
 * end or before the first value of an array: nothing to do for a scalar or end. 0 or the error's
 * code. The skipped text is checked like any other. */
QD_MUST_CHECK
int qd_json_skip(qd_json_reader *r);
/* The bytes of the value that the present event (OBJECT, ARRAY or a scalar) starts, as written;
 * skips to its end. After KEY: of the value that follows. 0 or the error's code. */
QD_MUST_CHECK
int qd_json_raw(qd_json_reader *r, qd_str *raw);
/* Bytes of input used so far (with QD_JSON_ONE_VALUE: where the rest begins). */
static inline size_t qd_json_used(const qd_json_reader *r)
{
    return (size_t)(r->at - r->begin);
}

/*
 * Records the reader's error in err (code QD_E_XCONTENT, or QD_E_NOMEM), with Elasticsearch's and
 * Jackson's text, "[line:column] Unexpected character …", and returns the code. An input that ended
 * too early has the type x_content_e_o_f_exception.
 */
int qd_json_fail(const qd_json_reader *r, qd_err *err);
/*
 * For parsers of requests: code and text of the caller, with details "line" and "col" of the
 * present token, as Elasticsearch's parsing_exception shows them. Returns the code.
 */
int qd_json_err_at(const qd_json_reader *r, qd_err *err, int code, const char *fmt, ...)
    QD_PRINTF(4, 5);
/* Line and column (both from 1, columns count bytes as Jackson does) of a place in the input.
 * O(input). */
void qd_json_position(const qd_json_reader *r, const char *at, uint32_t *line, uint32_t *column);
/* The same where line and column of `from`, a place before `at`, are known: they go in, those of
 * `at` come out. O(at - from). */
void qd_json_position_on(const qd_json_reader *r, const char *from, const char *at, uint32_t *line,
                         uint32_t *column);
/* Name of an event as Elasticsearch's texts spell it (START_OBJECT, VALUE_STRING …). */
const char *qd_json_event_name(qd_json_event event);

/* NUMBER as int64: 0; QD_E_ARG when it has a fraction or exponent; QD_E_LIMIT out of range. */
QD_MUST_CHECK
int qd_json_i64(const qd_json_reader *r, int64_t *out);
/* NUMBER as uint64, the same way (a negative one is out of range). */
QD_MUST_CHECK
int qd_json_u64(const qd_json_reader *r, uint64_t *out);
/* NUMBER as the nearest double: 0, or QD_E_LIMIT when it overflows (out is then infinite). */
QD_MUST_CHECK
int qd_json_f64(const qd_json_reader *r, double *out);

/* 64-bit hash of a key, for tables of field names; stable within a version of the program only. */
static inline uint64_t qd_json_key_hash(qd_str key);

/* --- inline parts ------------------------------------------------------------------------- */

/* Both halves of a product, folded: one step of the hash. */
static inline uint64_t qdi_json_mix(uint64_t a, uint64_t b)
{
    unsigned __int128 m = (unsigned __int128)a * b;
    return (uint64_t)m ^ (uint64_t)(m >> 64);
}

static inline uint64_t qd_json_key_hash(qd_str key)
{
    const char *p = key.p;
    size_t n = key.n;
    uint64_t a = 0, b = 0, h = 0x9E3779B97F4A7C15ull, length = n;
    for (; n > 16; p += 16, n -= 16) {
        memcpy(&a, p, 8);
        memcpy(&b, p + 8, 8);
        h = qdi_json_mix(a ^ 0xA0761D6478BD642Full, b ^ h);
    }
    if (n >= 8) {
        memcpy(&a, p, 8);
        memcpy(&b, p + n - 8, 8);
    } else if (n >= 4) {
        uint32_t x, y;
        memcpy(&x, p, 4);
        memcpy(&y, p + n - 4, 4);
        a = x;
        b = y;
    } else if (n) {
        a = (uint64_t)(unsigned char)p[0] << 16 | (uint64_t)(unsigned char)p[n / 2] << 8 |
            (unsigned char)p[n - 1];
        b = 0;
    }
    h = qdi_json_mix(a ^ 0xE7037ED1A0B428DBull, b ^ h);
    /* the length apart from the bytes: "fw2300" and "fw23300" have the same a, and b ^ length */
    return qdi_json_mix(h, 0x8EBC6AF09C88C6E3ull ^ length << 32);
}

#endif
