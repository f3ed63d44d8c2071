/*
 * writer.h: streaming JSON writer into a qd_buf, byte for byte as Elasticsearch (Jackson) writes.
 *
 * Commas, colons and indentation are the writer's; the caller calls key and value functions in
 * order. Pretty: two blanks, " : ", empty containers as "{ }" and "[ ]". Misuse (a key in an array,
 * a value without key in an object, closing the wrong container) is asserted. Errors of the buffer
 * are kept there: check qd_buf_status once at the end. One thread at a time [any].
 */
#ifndef QD_JSON_WRITER_H
#define QD_JSON_WRITER_H

#include "base/err.h"
#include "base/str.h"
#include "json/number.h"

#define QD_JSON_WRITE_DEPTH_MAX 1024

typedef struct qd_json_writer {
    qd_buf *out;
    bool pretty;
    bool after_key;
    uint32_t depth;
    uint64_t arrays[QD_JSON_WRITE_DEPTH_MAX / 64]; /* bit by depth: an array */
    uint64_t filled[QD_JSON_WRITE_DEPTH_MAX / 64]; /* bit by depth: has elements */
} qd_json_writer;

/* Starts at the end of out (borrowed). */
void qd_json_writer_init(qd_json_writer *w, qd_buf *out, bool pretty);
/* Opens an object. */
void qd_json_object(qd_json_writer *w);
/* Closes the innermost object. */
void qd_json_object_end(qd_json_writer *w);
/* Opens an array. */
void qd_json_array(qd_json_writer *w);
/* Closes the innermost array. */
void qd_json_array_end(qd_json_writer *w);
/* A key of the innermost object; its value comes next. */
void qd_json_key(qd_json_writer *w, qd_str key);
/* A key given as C string. */
static inline void qd_json_key_c(qd_json_writer *w, const char *key)
{
    qd_json_key(w, qd_str_c(key));
}
/* A string value; invalid UTF-8 in it becomes U+FFFD. */
void qd_json_str(qd_json_writer *w, qd_str s);
/* A string value given as C string; NULL writes null. */
void qd_json_c(qd_json_writer *w, const char *s);
/* An integer. */
void qd_json_int(qd_json_writer *w, int64_t v);
/* An unsigned integer. */
void qd_json_uint(qd_json_writer *w, uint64_t v);
/* A double in Java's form; NaN and infinities as strings, as Jackson writes them. */
void qd_json_double(qd_json_writer *w, double v);
/* A float in Java's form (1.1f is 1.1). */
void qd_json_float(qd_json_writer *w, float v);
/* true or false. */
void qd_json_bool(qd_json_writer *w, bool v);
/* null. */
void qd_json_null(qd_json_writer *w);
/*
 * A complete JSON value. Compact: its bytes as they are. Pretty: its tokens are laid out anew (text
 * of strings and numbers kept), as Elasticsearch does. raw must be valid JSON of at most
 * QD_JSON_DEPTH_DEFAULT levels; in pretty mode an invalid one is written as it is.
 */
void qd_json_raw_value(qd_json_writer *w, qd_str raw);
/* The same without a look at pretty: bytes as they are. */
void qd_json_raw_bytes(qd_json_writer *w, qd_str raw);
/* printf as a string value. */
void qd_json_printf(qd_json_writer *w, const char *fmt, ...) QD_PRINTF(2, 3);
/* "key": value in one call. */
static inline void qd_json_field_str(qd_json_writer *w, const char *key, qd_str s)
{
    qd_json_key_c(w, key);
    qd_json_str(w, s);
}
/* "key": value in one call. */
static inline void qd_json_field_c(qd_json_writer *w, const char *key, const char *s)
{
    qd_json_key_c(w, key);
    qd_json_c(w, s);
}
/* "key": value in one call. */
static inline void qd_json_field_int(qd_json_writer *w, const char *key, int64_t v)
{
    qd_json_key_c(w, key);
    qd_json_int(w, v);
}
/* "key": value in one call. */
static inline void qd_json_field_bool(qd_json_writer *w, const char *key, bool v)
{
    qd_json_key_c(w, key);
    qd_json_bool(w, v);
}
/* "key": value in one call. */
static inline void qd_json_field_double(qd_json_writer *w, const char *key, double v)
{
    qd_json_key_c(w, key);
    qd_json_double(w, v);
}
/* Everything closed? */
static inline bool qd_json_writer_done(const qd_json_writer *w)
{
    return w->depth == 0 && !w->after_key;
}

/* Appends s with JSON's escapes as Jackson writes them, without quotes. */
void qd_json_escape(qd_buf *out, qd_str s);

#endif
