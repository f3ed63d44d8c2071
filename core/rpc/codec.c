/* codec.c: bounded writer and reader of bodies. See codec.h. */
#include "rpc/codec.h"
#include "base/bits.h"
#include <stdio.h>

#define STR_MAX UINT32_MAX

/* --- writing --- */

void qd_writer_init(qd_writer *w, qd_account *account, size_t max, uint16_t version)
{
    qd_buf_init(&w->buf, account, max);
    w->version = version;
}

void qd_writer_fini(qd_writer *w)
{
    qd_buf_fini(&w->buf);
}

int qd_writer_end(const qd_writer *w, const char *what, qd_err *err)
{
    int rc = qd_buf_status(&w->buf);
    if (!rc) return 0;
    if (rc == QD_E_NOMEM) return qd_err_nomem(err, what);
    return qd_err_set(err, rc, "%s is larger than %zu bytes", what, w->buf.max);
}

void qd_write_raw(qd_writer *w, const void *p, size_t n)
{
    (void)qd_buf_add(&w->buf, p, n);
}

void qd_write_u8(qd_writer *w, uint8_t v)
{
    (void)qd_buf_char(&w->buf, (char)v);
}

void qd_write_bool(qd_writer *w, bool v)
{
    (void)qd_buf_char(&w->buf, v ? 1 : 0);
}

void qd_write_u16(qd_writer *w, uint16_t v)
{
    uint8_t b[2];
    qd_put_u16le(b, v);
    qd_write_raw(w, b, sizeof b);
}

void qd_write_u32(qd_writer *w, uint32_t v)
{
    uint8_t b[4];
    qd_put_u32le(b, v);
    qd_write_raw(w, b, sizeof b);
}

void qd_write_u64(qd_writer *w, uint64_t v)
{
    uint8_t b[8];
    qd_put_u64le(b, v);
    qd_write_raw(w, b, sizeof b);
}

void qd_write_varint(qd_writer *w, uint64_t v)
{
    uint8_t b[10];
    qd_write_raw(w, b, (size_t)(qd_put_varint(b, v) - b));
}

void qd_write_zigzag(qd_writer *w, int64_t v)
{
    qd_write_varint(w, qd_zigzag(v));
}

void qd_write_double(qd_writer *w, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    qd_write_u64(w, bits);
}

void qd_write_float(qd_writer *w, float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    qd_write_u32(w, bits);
}

void qd_write_str(qd_writer *w, qd_str s)
{
    qd_write_varint(w, s.n);
    qd_write_raw(w, s.p, s.n);
}

void qd_write_c(qd_writer *w, const char *s)
{
    qd_write_str(w, qd_str_c(s));
}

void qd_write_array(qd_writer *w, size_t n)
{
    qd_write_varint(w, n);
}

void qd_write_varints(qd_writer *w, const uint64_t *at, size_t n)
{
    qd_write_varint(w, n);
    for (size_t i = 0; i < n; i++) qd_write_varint(w, at[i]);
}

size_t qd_write_part(qd_writer *w)
{
    qd_write_u32(w, 0);
    return w->buf.n;
}

void qd_write_part_end(qd_writer *w, size_t token)
{
    if (qd_buf_status(&w->buf)) return;
    qd_assert(token >= 4 && token <= w->buf.n);
    if (w->buf.n - token > UINT32_MAX) {
        w->buf.failed = QD_E_LIMIT;
        return;
    }
    qd_put_u32le(w->buf.p + token - 4, (uint32_t)(w->buf.n - token));
}

/* --- reading --- */

void qd_body_reader_init(qd_body_reader *r, qd_str bytes, const char *what, uint16_t version)
{
    const uint8_t *p = (const uint8_t *)(bytes.p ? bytes.p : "");
    *r = (qd_body_reader){.p = p, .begin = p, .end = p + bytes.n, .what = what, .version = version};
}

static void fail(qd_body_reader *r, const char *field, const char *why, uint64_t value,
                 uint64_t max)
{
    if (r->bad) return;
    r->bad = field;
    r->bad_at = (size_t)(r->p - r->begin);
    r->why = why;
    r->bad_value = value;
    r->bad_max = max;
}

void qd_body_reader_fail(qd_body_reader *r, const char *field, const char *why)
{
    fail(r, field, why, 0, 0);
}

static const char no_memory[] = "does not fit in memory";

void qd_body_reader_nomem(qd_body_reader *r, const char *field)
{
    fail(r, field, no_memory, 0, 0);
}

int qd_body_reader_check(const qd_body_reader *r, qd_err *err)
{
    if (!r->bad) return 0;
    if (r->why == no_memory) return qd_err_nomem(err, r->what); /* the message is sound */
    if (r->bad_max)
        return qd_err_set(err, QD_E_CORRUPT, "%s: [%s] at offset %zu %s: %llu, at most %llu",
                          r->what, r->bad, r->bad_at, r->why, (unsigned long long)r->bad_value,
                          (unsigned long long)r->bad_max);
    return qd_err_set(err, QD_E_CORRUPT, "%s: [%s] at offset %zu %s", r->what, r->bad, r->bad_at,
                      r->why);
}

int qd_body_reader_end(qd_body_reader *r, qd_err *err)
{
    if (!r->bad && r->p != r->end) fail(r, "end", "has bytes left over behind it", 0, 0);
    return qd_body_reader_check(r, err);
}

/* The next n bytes, or NULL with the error set. */
static const uint8_t *take(qd_body_reader *r, const char *field, size_t n)
{
    if (r->bad) return NULL;
    if ((size_t)(r->end - r->p) < n) {
        fail(r, field, "is cut", 0, 0);
        return NULL;
    }
    const uint8_t *p = r->p;
    r->p += n;
    return p;
}

uint8_t qd_read_u8(qd_body_reader *r, const char *field)
{
    const uint8_t *p = take(r, field, 1);
    return p ? *p : 0;
}

bool qd_read_bool(qd_body_reader *r, const char *field)
{
    const uint8_t *p = take(r, field, 1);
    if (!p) return false;
    if (*p > 1) {
        r->p--;
        fail(r, field, "is no boolean", *p, 1);
        return false;
    }
    return *p != 0;
}

uint16_t qd_read_u16(qd_body_reader *r, const char *field)
{
    const uint8_t *p = take(r, field, 2);
    return p ? qd_get_u16le(p) : 0;
}

uint32_t qd_read_u32(qd_body_reader *r, const char *field)
{
    const uint8_t *p = take(r, field, 4);
    return p ? qd_get_u32le(p) : 0;
}

uint64_t qd_read_u64(qd_body_reader *r, const char *field)
{
    const uint8_t *p = take(r, field, 8);
    return p ? qd_get_u64le(p) : 0;
}

uint64_t qd_read_varint(qd_body_reader *r, const char *field)
{
    uint64_t v = 0;
    if (r->bad) return 0;
    const uint8_t *p = qd_get_varint(r->p, r->end, &v);
    if (!p) {
        fail(r, field, "is cut or longer than 64 bits", 0, 0);
        return 0;
    }
    r->p = p;
    return v;
}

uint64_t qd_read_varint_max(qd_body_reader *r, const char *field, uint64_t max)
{
    const uint8_t *before = r->p;
    uint64_t v = qd_read_varint(r, field);
    if (v <= max) return v;
    r->p = before;
    if (max)
        fail(r, field, "is too large", v, max);
    else
        fail(r, field, "is not zero", 0, 0);
    return 0;
}

int64_t qd_read_zigzag(qd_body_reader *r, const char *field)
{
    return qd_unzigzag(qd_read_varint(r, field));
}

double qd_read_double(qd_body_reader *r, const char *field)
{
    uint64_t bits = qd_read_u64(r, field);
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

float qd_read_float(qd_body_reader *r, const char *field)
{
    uint32_t bits = qd_read_u32(r, field);
    float v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

qd_str qd_read_raw(qd_body_reader *r, const char *field, size_t n)
{
    const uint8_t *p = take(r, field, n);
    return p ? (qd_str){(const char *)p, n} : (qd_str){"", 0};
}

qd_str qd_read_str(qd_body_reader *r, const char *field, size_t max)
{
    uint64_t n = qd_read_varint_max(r, field, max < STR_MAX ? max : STR_MAX);
    return qd_read_raw(r, field, (size_t)n);
}

qd_str qd_read_str_copy(qd_body_reader *r, const char *field, size_t max, qd_arena *a)
{
    qd_str s = qd_read_str(r, field, max);
    if (r->bad) return s;
    s = qd_arena_str(a, s);
    if (!s.p) {
        qd_body_reader_nomem(r, field);
        return (qd_str){"", 0};
    }
    return s;
}

void qd_read_text(qd_body_reader *r, const char *field, char *out, size_t size)
{
    qd_str s = qd_read_str(r, field, size - 1);
    if (s.n && memchr(s.p, 0, s.n)) {
        fail(r, field, "has a NUL in it", 0, 0);
        s.n = 0;
    }
    if (s.n) memcpy(out, s.p, s.n);
    out[s.n] = 0;
}

size_t qd_read_array(qd_body_reader *r, const char *field, size_t max, size_t least)
{
    const uint8_t *before = r->p;
    uint64_t n = qd_read_varint_max(r, field, max);
    size_t fit = qd_body_reader_left(r) / least;
    if (r->bad || n <= fit) return (size_t)n;
    r->p = before;
    fail(r, field, "has more elements than bytes are there for", n, fit + 1);
    return 0;
}

uint64_t *qd_read_varints(qd_body_reader *r, const char *field, size_t max, qd_arena *a, size_t *n)
{
    size_t count = qd_read_array(r, field, max, 1);
    *n = 0;
    if (!count) return NULL;
    uint64_t *out = qd_arena_alloc(a, count * sizeof *out);
    if (!out) {
        qd_body_reader_nomem(r, field);
        return NULL;
    }
    for (size_t i = 0; i < count; i++) out[i] = qd_read_varint(r, field);
    if (r->bad) return NULL;
    *n = count;
    return out;
}

qd_body_reader qd_read_part(qd_body_reader *r, const char *field)
{
    qd_body_reader inner;
    uint32_t n = qd_read_u32(r, field);
    qd_str s = qd_read_raw(r, field, n);
    qd_body_reader_init(&inner, s, r->what, r->version);
    if (r->bad) {
        inner.bad = r->bad;
        inner.bad_at = r->bad_at;
        inner.why = r->why;
    }
    return inner;
}
