/* writer.c: streaming JSON writer. See writer.h. */
#include "json/writer.h"
#include "base/utf8.h"
#include "json/reader.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

void qd_json_writer_init(qd_json_writer *w, qd_buf *out, bool pretty)
{
    w->out = out;
    w->pretty = pretty;
    w->after_key = false;
    w->depth = 0;
}

static bool bit(const uint64_t *bits, uint32_t at)
{
    return bits[at / 64] >> (at % 64) & 1;
}

static void set_bit(uint64_t *bits, uint32_t at, bool on)
{
    uint64_t mask = (uint64_t)1 << (at % 64);
    bits[at / 64] = on ? bits[at / 64] | mask : bits[at / 64] & ~mask;
}

/* Puts a line's end and its indentation at p; behind them. */
static char *put_line(const qd_json_writer *w, char *p)
{
    *p++ = '\n';
    memset(p, ' ', 2 * (size_t)w->depth);
    return p + 2 * (size_t)w->depth;
}

/* Bytes that an element's or key's comma and indentation take at most. */
static size_t separator_room(const qd_json_writer *w)
{
    return 2 + (w->pretty ? 2 * (size_t)w->depth : 0);
}

/* What stands before an element or key, comma and indentation, at p; behind it. */
static char *put_separator(qd_json_writer *w, char *p)
{
    if (w->depth == 0) return p;
    if (bit(w->filled, w->depth - 1)) *p++ = ',';
    set_bit(w->filled, w->depth - 1, true);
    return w->pretty ? put_line(w, p) : p;
}

/* The buffer ends at p now, within what was reserved. */
static void ends_at(qd_buf *b, char *p)
{
    b->n = (size_t)(p - b->p);
    *p = 0;
}

static void separate(qd_json_writer *w)
{
    char *p = qd_buf_reserve(w->out, separator_room(w));
    if (p) ends_at(w->out, put_separator(w, p));
}

static void new_line(qd_json_writer *w)
{
    char *p = qd_buf_reserve(w->out, separator_room(w));
    if (p) ends_at(w->out, put_line(w, p));
}

static void before_value(qd_json_writer *w)
{
    if (w->after_key) {
        w->after_key = false;
        return;
    }
    qd_assert(w->depth == 0 || bit(w->arrays, w->depth - 1));
    separate(w);
}

static void open_container(qd_json_writer *w, bool array)
{
    before_value(w);
    qd_assert(w->depth < QD_JSON_WRITE_DEPTH_MAX);
    set_bit(w->arrays, w->depth, array);
    set_bit(w->filled, w->depth, false);
    w->depth++;
    (void)qd_buf_char(w->out, array ? '[' : '{');
}

static void close_container(qd_json_writer *w, bool array)
{
    qd_assert(w->depth > 0 && !w->after_key && bit(w->arrays, w->depth - 1) == array);
    w->depth--;
    if (w->pretty) {
        if (bit(w->filled, w->depth))
            new_line(w);
        else
            (void)qd_buf_char(w->out, ' ');
    }
    (void)qd_buf_char(w->out, array ? ']' : '}');
}

void qd_json_object(qd_json_writer *w)
{
    open_container(w, false);
}
void qd_json_object_end(qd_json_writer *w)
{
    close_container(w, false);
}
void qd_json_array(qd_json_writer *w)
{
    open_container(w, true);
}
void qd_json_array_end(qd_json_writer *w)
{
    close_container(w, true);
}

static uint64_t load(const char *p, size_t n)
{
    uint64_t x = 0;
    memcpy(&x, p, n);
    return x;
}

/* High bits of the bytes among 8 that must be escaped or are not ASCII, by borrows that only bytes
 * above a wrong one may see: is it 0, none is. */
static uint64_t not_plain(uint64_t x)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), high = ones << 7;
    uint64_t quote = x ^ ones * '"', slash = x ^ ones * '\\';
    return ((x - ones * 32) | (quote - ones) | (slash - ones) | x) & high;
}

/* Length of the part of s before the first byte that must be escaped or is not ASCII. */
static size_t plain_part(const char *p, size_t n)
{
    size_t i = 0;
    /* short ones, as keys are: two words that may overlap */
    if (n >= 8 && n <= 16 && !(not_plain(load(p, 8)) | not_plain(load(p + n - 8, 8)))) return n;
    if (n >= 4 && n < 8 && !not_plain(load(p, 4) | load(p + n - 4, 4) << 32)) return n;
#if defined(__SSE2__)
    for (; n - i >= 16; i += 16) {
        __m128i x = _mm_loadu_si128((const __m128i *)(const void *)(p + i));
        __m128i bad = _mm_or_si128(_mm_cmpeq_epi8(x, _mm_set1_epi8('"')),
                                   _mm_cmpeq_epi8(x, _mm_set1_epi8('\\')));
        /* signed compare: bytes below 32, and those from 0x80 on, which are negative */
        bad = _mm_or_si128(bad, _mm_cmplt_epi8(x, _mm_set1_epi8(32)));
        int mask = _mm_movemask_epi8(bad);
        if (mask) return i + (size_t)__builtin_ctz((unsigned)mask);
        if (n - i > 16 && n - i < 32) i = n - 32; /* the last block may overlap the one before */
    }
#endif
    for (; i < n; i++) {
        unsigned char c = (unsigned char)p[i];
        if (c < 32 || c == '"' || c == '\\' || c >= 0x80) break;
    }
    return i;
}

static void escape_byte(qd_buf *out, unsigned char c)
{
    static const char hex[] = "0123456789ABCDEF";
    static const char names[32] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    char text[6] = {'\\', (char)c};
    if (c >= 32) {
        (void)qd_buf_add(out, text, 2);
    } else if (names[c]) {
        text[1] = names[c];
        (void)qd_buf_add(out, text, 2);
    } else {
        memcpy(text + 1, "u00", 3);
        text[4] = hex[c >> 4];
        text[5] = hex[c & 15];
        (void)qd_buf_add(out, text, 6);
    }
}

void qd_json_escape(qd_buf *out, qd_str s)
{
    const char *p = s.p, *end = s.p + s.n;
    while (p < end) {
        size_t n = plain_part(p, (size_t)(end - p));
        /* valid characters beyond ASCII go along unchanged */
        while (p + n < end && (p[n] & 0x80)) {
            uint32_t cp;
            size_t len = qd_utf8_next(p + n, end, &cp);
            if (cp == 0xFFFD && len == 1) break;
            n += len;
        }
        if (qd_buf_add(out, p, n)) return;
        p += n;
        if (p == end) return;
        unsigned char c = (unsigned char)*p;
        if (c >= 0x80) {
            uint32_t cp;
            size_t len = qd_utf8_next(p, end, &cp);
            if (cp == 0xFFFD && len == 1) {
                (void)qd_buf_c(out, "\xEF\xBF\xBD");
                p++;
            }
        } else if (c < 32 || c == '"' || c == '\\') {
            escape_byte(out, c);
            p++;
        }
    }
}

static void quoted(qd_json_writer *w, qd_str s)
{
    (void)qd_buf_char(w->out, '"');
    qd_json_escape(w->out, s);
    (void)qd_buf_char(w->out, '"');
}

/* A string that needs no escapes, as nearly all, between its quotes at p; behind it. */
static char *put_plain(char *p, qd_str s)
{
    *p++ = '"';
    if (s.n) memcpy(p, s.p, s.n);
    p[s.n] = '"';
    return p + s.n + 1;
}

void qd_json_key(qd_json_writer *w, qd_str key)
{
    qd_assert(w->depth > 0 && !w->after_key && !bit(w->arrays, w->depth - 1));
    w->after_key = true;
    if (QD_LIKELY(plain_part(key.p, key.n) == key.n)) {
        char *p = qd_buf_reserve(w->out, separator_room(w) + key.n + 5);
        if (!p) return;
        p = put_plain(put_separator(w, p), key);
        if (w->pretty) *p++ = ' ';
        *p++ = ':';
        if (w->pretty) *p++ = ' ';
        ends_at(w->out, p);
        return;
    }
    separate(w);
    quoted(w, key);
    (void)qd_buf_c(w->out, w->pretty ? " : " : ":");
}

void qd_json_str(qd_json_writer *w, qd_str s)
{
    before_value(w);
    if (QD_LIKELY(plain_part(s.p, s.n) == s.n)) {
        char *p = qd_buf_reserve(w->out, s.n + 2);
        if (p) ends_at(w->out, put_plain(p, s));
        return;
    }
    quoted(w, s);
}

void qd_json_c(qd_json_writer *w, const char *s)
{
    if (s)
        qd_json_str(w, qd_str_c(s));
    else
        qd_json_null(w);
}

void qd_json_raw_bytes(qd_json_writer *w, qd_str raw)
{
    before_value(w);
    (void)qd_buf_str(w->out, raw);
}

void qd_json_int(qd_json_writer *w, int64_t v)
{
    char text[QD_I64_TEXT_MAX];
    size_t n = qd_i64_print(text, v);
    qd_json_raw_bytes(w, (qd_str){text, n});
}

void qd_json_uint(qd_json_writer *w, uint64_t v)
{
    char text[QD_I64_TEXT_MAX];
    size_t n = qd_u64_print(text, v);
    qd_json_raw_bytes(w, (qd_str){text, n});
}

void qd_json_double(qd_json_writer *w, double v)
{
    char text[QD_F64_TEXT_MAX];
    size_t n = qd_f64_print(text, v);
    if (isfinite(v))
        qd_json_raw_bytes(w, (qd_str){text, n});
    else
        qd_json_str(w, (qd_str){text, n});
}

void qd_json_float(qd_json_writer *w, float v)
{
    char text[QD_F64_TEXT_MAX];
    size_t n = qd_f32_print(text, v);
    if (isfinite(v))
        qd_json_raw_bytes(w, (qd_str){text, n});
    else
        qd_json_str(w, (qd_str){text, n});
}

void qd_json_bool(qd_json_writer *w, bool v)
{
    qd_json_raw_bytes(w, v ? QD_STR("true") : QD_STR("false"));
}
void qd_json_null(qd_json_writer *w)
{
    qd_json_raw_bytes(w, QD_STR("null"));
}

void qd_json_printf(qd_json_writer *w, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n < (int)sizeof text) {
        qd_json_str(w, (qd_str){text, n > 0 ? (size_t)n : 0});
        return;
    }
    char *long_text = qd_alloc(w->out->account, (size_t)n + 1);
    if (!long_text) {
        w->out->failed = w->out->failed ? w->out->failed : QD_E_NOMEM;
        qd_json_null(w);
        return;
    }
    va_start(ap, fmt);
    vsnprintf(long_text, (size_t)n + 1, fmt, ap);
    va_end(ap);
    qd_json_str(w, (qd_str){long_text, (size_t)n});
    qd_free(long_text);
}

/* The token as it stands in the input. */
static qd_str token_bytes(const qd_json_reader *r)
{
    return (qd_str){r->token, (size_t)(r->at - r->token)};
}

static void relay(qd_json_writer *w, qd_json_reader *r)
{
    qd_json_event ev;
    while ((ev = qd_json_next(r)) > 0) {
        switch (ev) {
        case QD_JSON_OBJECT:
            qd_json_object(w);
            break;
        case QD_JSON_OBJECT_END:
            qd_json_object_end(w);
            break;
        case QD_JSON_ARRAY:
            qd_json_array(w);
            break;
        case QD_JSON_ARRAY_END:
            qd_json_array_end(w);
            break;
        case QD_JSON_KEY:
            qd_json_key(w, r->text);
            break;
        default:
            qd_json_raw_bytes(w, token_bytes(r));
            break;
        }
    }
}

void qd_json_raw_value(qd_json_writer *w, qd_str raw)
{
    if (!w->pretty) {
        qd_json_raw_bytes(w, raw);
        return;
    }
    qd_json_reader r = QD_JSON_READER(w->out->account);
    uint32_t room = QD_JSON_WRITE_DEPTH_MAX - w->depth;
    if (room > QD_JSON_DEPTH_DEFAULT) room = QD_JSON_DEPTH_DEFAULT;
    qd_json_reader_init(&r, raw, QD_JSON_COMMENTS, room);
    while (qd_json_next(&r) > 0) continue;
    bool good = r.event == QD_JSON_EOF && room > 0;
    if (good) {
        qd_json_reader_init(&r, raw, QD_JSON_COMMENTS, room);
        relay(w, &r);
    } else {
        qd_json_raw_bytes(w, raw);
    }
    qd_json_reader_fini(&r);
}
