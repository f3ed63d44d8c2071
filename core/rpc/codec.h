/*
 * codec.h: the binary form of bodies between nodes: a writer that appends to a bounded buffer, and
 * a reader that trusts nothing.
 *
 * Integers are little-endian or varints (LEB128, signed ones zig-zag), text and arrays have their
 * length in front. There is no description of types: both sides follow one order, and what a newer
 * protocol version adds stands behind `if (version >= …)` on both sides. Errors are sticky: a
 * writer past its maximum or out of memory, a reader that met something wrong, does nothing more,
 * and the code is asked for once at the end. A reader's error names the field, the place and the
 * message. One thread at a time.
 */
#ifndef QD_RPC_CODEC_H
#define QD_RPC_CODEC_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

/* ---- writing ----------------------------------------------------------------------------------
 */

typedef struct qd_writer {
    qd_buf buf;
    uint16_t version; /* of the protocol that the reader speaks (rpc.h) */
} qd_writer;

/* An empty writer of at most max bytes, charged to account (NULL: general). Allocates nothing. */
void qd_writer_init(qd_writer *w, qd_account *account, size_t max, uint16_t version);
/* Frees the bytes. */
void qd_writer_fini(qd_writer *w);
/* The bytes written; valid until the next write or fini. Ask qd_writer_end first. */
static inline qd_str qd_writer_view(const qd_writer *w)
{
    return qd_buf_view(&w->buf);
}
/* 0, or the first error (QD_E_LIMIT: more than max; QD_E_NOMEM, QD_E_BREAKER) with a text naming
 * what was to be encoded. */
QD_MUST_CHECK
int qd_writer_end(const qd_writer *w, const char *what, qd_err *err);

/* Writes one byte. */
void qd_write_u8(qd_writer *w, uint8_t v);
/* Writes 0 or 1. */
void qd_write_bool(qd_writer *w, bool v);
/* Writes 2 bytes. */
void qd_write_u16(qd_writer *w, uint16_t v);
/* Writes 4 bytes. */
void qd_write_u32(qd_writer *w, uint32_t v);
/* Writes 8 bytes. */
void qd_write_u64(qd_writer *w, uint64_t v);
/* Writes 1 to 10 bytes: for numbers that are mostly small. */
void qd_write_varint(qd_writer *w, uint64_t v);
/* The same for numbers of either sign (zig-zag). */
void qd_write_zigzag(qd_writer *w, int64_t v);
/* Writes the 8 bytes of an IEEE double; NaN keeps its bits. */
void qd_write_double(qd_writer *w, double v);
/* Writes the 4 bytes of an IEEE float. */
void qd_write_float(qd_writer *w, float v);
/* Writes length (varint) and bytes; text or not. */
void qd_write_str(qd_writer *w, qd_str s);
/* The same of a C string; NULL counts as empty. */
void qd_write_c(qd_writer *w, const char *s);
/* Writes n bytes as they are, without a length. */
void qd_write_raw(qd_writer *w, const void *p, size_t n);
/* Begins an array of n elements (varint); the elements follow, written by the caller. */
void qd_write_array(qd_writer *w, size_t n);
/* Writes n and n varints; at may be NULL with n 0. */
void qd_write_varints(qd_writer *w, const uint64_t *at, size_t n);
/* Begins a part with its length in front (4 bytes), so that an older reader can skip what a newer
 * writer appends to it. Returns the token for qd_write_part_end. Parts may nest. */
size_t qd_write_part(qd_writer *w);
/* Ends the part. */
void qd_write_part_end(qd_writer *w, size_t token);

/* ---- reading ----------------------------------------------------------------------------------
 */

typedef struct qd_body_reader {
    const uint8_t *p, *begin, *end;
    const char *what; /* static: what is being read, for messages: "search request" */
    const char *bad;  /* static: the field of the first error; NULL: none yet */
    size_t bad_at;    /* its place, bytes from the beginning */
    const char *why;  /* static: "is cut", "is 70000, more than 65536" has its numbers below */
    uint64_t bad_value, bad_max;
    uint16_t version; /* of the protocol that the writer spoke */
} qd_body_reader;

/* A reader over bytes that stay where they are as long as the reader and the views taken from it
 * are used. what is static and names the message in errors. */
void qd_body_reader_init(qd_body_reader *r, qd_str bytes, const char *what, uint16_t version);
/* 0 when everything was read without an error and nothing is left over; else QD_E_CORRUPT with the
 * field, value and place. */
QD_MUST_CHECK
int qd_body_reader_end(qd_body_reader *r, qd_err *err);
/* The same, but bytes may be left over: a newer writer may have more to say. */
QD_MUST_CHECK
int qd_body_reader_check(const qd_body_reader *r, qd_err *err);
/* Did something go wrong so far? For loops. */
static inline bool qd_body_reader_bad(const qd_body_reader *r)
{
    return r->bad != NULL;
}
/* Marks the field as wrong for a reason of the caller's ("is no known kind"; static texts), unless
 * an error is already there. */
void qd_body_reader_fail(qd_body_reader *r, const char *field, const char *why);
/* The same when there is no memory for the field: the reading ends with QD_E_BREAKER or QD_E_NOMEM.
 */
void qd_body_reader_nomem(qd_body_reader *r, const char *field);
/* Bytes not yet read; 0 after an error. */
static inline size_t qd_body_reader_left(const qd_body_reader *r)
{
    return r->bad ? 0 : (size_t)(r->end - r->p);
}

/* All of these return 0, false, or an empty view after an error. field is static, for messages. */

/* Reads one byte. */
uint8_t qd_read_u8(qd_body_reader *r, const char *field);
/* Reads a byte that has to be 0 or 1. */
bool qd_read_bool(qd_body_reader *r, const char *field);
/* Reads 2 bytes. */
uint16_t qd_read_u16(qd_body_reader *r, const char *field);
/* Reads 4 bytes. */
uint32_t qd_read_u32(qd_body_reader *r, const char *field);
/* Reads 8 bytes. */
uint64_t qd_read_u64(qd_body_reader *r, const char *field);
/* Reads a varint. */
uint64_t qd_read_varint(qd_body_reader *r, const char *field);
/* Reads a varint that may be at most max. */
uint64_t qd_read_varint_max(qd_body_reader *r, const char *field, uint64_t max);
/* Reads a signed varint. */
int64_t qd_read_zigzag(qd_body_reader *r, const char *field);
/* Reads a double. */
double qd_read_double(qd_body_reader *r, const char *field);
/* Reads a float. */
float qd_read_float(qd_body_reader *r, const char *field);
/* A view of text or bytes of at most max bytes, in the reader's memory. */
qd_str qd_read_str(qd_body_reader *r, const char *field, size_t max);
/* The same copied into the arena with a NUL behind it; an error also when memory is lacking. */
qd_str qd_read_str_copy(qd_body_reader *r, const char *field, size_t max, qd_arena *a);
/* The same copied into a field of a struct: size bytes with the NUL. */
void qd_read_text(qd_body_reader *r, const char *field, char *out, size_t size);
/* A view of n bytes without a length of their own. */
qd_str qd_read_raw(qd_body_reader *r, const char *field, size_t n);
/* Number of elements of an array: at most max, and no more than the bytes left could hold with
 * at least `least` bytes an element (least ≥ 1), so that memory for it may be taken. */
size_t qd_read_array(qd_body_reader *r, const char *field, size_t max, size_t least);
/* Reads n varints into the arena; NULL with *n 0 when there are none or after an error. */
uint64_t *qd_read_varints(qd_body_reader *r, const char *field, size_t max, qd_arena *a, size_t *n);
/* A reader of its own over the part that begins here; this one goes on behind it. What the inner
 * one leaves unread is of a newer writer. Its errors have to be asked of it. */
qd_body_reader qd_read_part(qd_body_reader *r, const char *field);

/* ---- errors between nodes ---------------------------------------------------------------------
 */

/* Writes code, type, status, reason, details and at most 4 causes of an error. */
void qd_write_err(qd_writer *w, const qd_err *err);
/* Reads one into *out, which is empty and stays so when the bytes are damaged (then the reader has
 * the error). */
void qd_read_err(qd_body_reader *r, qd_err *out);

#endif
