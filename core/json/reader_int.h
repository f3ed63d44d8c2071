/* reader_int.h: what the files of the reader share. */
#ifndef QD_JSON_READER_INT_H
#define QD_JSON_READER_INT_H

#include "json/reader.h"

enum state {
    ST_VALUE,        /* a value must come */
    ST_AFTER_MEMBER, /* behind a value in an object: a comma and a key, or } */
    ST_AFTER_ELEMENT,
    ST_FIRST_MEMBER, /* behind {: a key or } */
    ST_FIRST_ELEMENT,
    ST_AFTER_ALL, /* behind the top-level value */
    ST_DONE,
    ST_FAILED,
};

/* What went wrong; failure_at is the offending byte, failure_arg what else the text needs. */
typedef enum qd_json_failure {
    QD_JSON_FINE,
    QD_JSON_NO_MEMORY,
    QD_JSON_END_OF_INPUT, /* arg: enum eof_place */
    QD_JSON_NO_KEY,
    QD_JSON_NO_COLON,
    QD_JSON_NO_COMMA,
    QD_JSON_NO_VALUE,
    QD_JSON_NO_SPACE, /* something stuck to a number or word at the top level */
    QD_JSON_BAD_TOKEN,
    QD_JSON_BAD_CLOSE,
    QD_JSON_BAD_SPACE,   /* control character between tokens */
    QD_JSON_BAD_CONTROL, /* control character in a string; arg: in a name */
    QD_JSON_BAD_ESCAPE,
    QD_JSON_BAD_HEX,
    QD_JSON_BAD_UTF8,
    QD_JSON_BAD_COMMENT,
    QD_JSON_LEADING_ZERO,
    QD_JSON_BARE_MINUS,
    QD_JSON_BARE_POINT,
    QD_JSON_BARE_EXPONENT,
    QD_JSON_DUPLICATE, /* text holds the key */
    QD_JSON_TOO_DEEP,
    QD_JSON_TRAILING,
    QD_JSON_NON_STANDARD, /* NaN, Infinity, -Infinity: from token to failure_at */
    QD_JSON_PLUS,
} qd_json_failure;

enum eof_place {
    EOF_NOTHING,
    EOF_IN_CONTAINER,
    EOF_BETWEEN, /* behind a comma, a key or a colon */
    EOF_IN_STRING,
    EOF_IN_NAME,
    EOF_IN_VALUE,
    EOF_COMMENT
};

/* Marks the reader failed; returns QD_JSON_ERROR. */
qd_json_event qdi_json_failed(qd_json_reader *r, qd_json_failure what, const char *at,
                              uint32_t arg);

/* Name of the token that a byte starts (START_OBJECT, VALUE_NUMBER ...); NULL: it starts none. */
const char *qdi_json_token_name(char c);

/* Reads the string whose first byte behind the quote is at; sets r->text and r->at. False: failed.
 */
bool qdi_json_string(qd_json_reader *r, const char *at, bool name);

/* Forgets, or frees, the decoded strings. */
void qdi_json_out_reset(qd_json_reader *r);
void qdi_json_out_free(qd_json_reader *r);

/* Is [from, to) valid UTF-8, behind which stands a byte of ASCII? What may be read ends at safe.
 * On false *bad is the first bad byte. */
bool qdi_json_utf8(const char *from, const char *to, const char *safe, const char **bad);

/* The keys of open objects (keys_int.h): before another input, and at the end. */
void qdi_json_keys_reset(struct qd_json_keys *k);
void qdi_json_keys_free(struct qd_json_keys *k);

#endif
