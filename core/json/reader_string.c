/*
 * reader_string.c: strings of the pull parser.
 *
 * A string is scanned from its opening quote: 16 bytes first (most keys end there), then blocks of
 * 64. Without escapes it is a view into the input. At the first escape it moves to memory of the
 * reader, block by block. Decoded strings must stay where they are until the next init, so the
 * memory is a list of chunks; the largest one is kept for the next document.
 */
#include "base/utf8.h"
#include "json/reader_int.h"
#include "json/scan_int.h"

struct qd_json_chunk {
    struct qd_json_chunk *next; /* older and smaller */
    size_t cap;
    char data[];
};

#define CHUNK_MIN 4096
#define CHUNK_KEEP (256 << 10) /* larger ones are given back at the next document */
/* What one step may write: a block, or one escape. */
#define STEP_ROOM (SCAN_BLOCK + 8)

static void free_older(struct qd_json_chunk *c)
{
    while (c) {
        struct qd_json_chunk *next = c->next;
        qd_free(c);
        c = next;
    }
}

void qdi_json_out_reset(qd_json_reader *r)
{
    if (!r->chunk) return;
    if (r->chunk->cap > CHUNK_KEEP) {
        qdi_json_out_free(r);
        return;
    }
    free_older(r->chunk->next);
    r->chunk->next = NULL;
    r->out = r->chunk->data;
    r->out_end = r->out + r->chunk->cap;
}

void qdi_json_out_free(qd_json_reader *r)
{
    free_older(r->chunk);
    r->chunk = NULL;
    r->out = r->out_end = NULL;
}

/* Moves the unfinished string [*start, *o) to a new chunk with room for a step. */
static bool more_room(qd_json_reader *r, char **start, char **o)
{
    size_t have = (size_t)(*o - *start), left = (size_t)(r->end - r->at);
    size_t cap = r->chunk ? r->chunk->cap * 2 : CHUNK_MIN;
    if (cap < 2 * (have + STEP_ROOM)) cap = 2 * (have + STEP_ROOM);
    /* a large input needs no more than it can still give */
    if (cap > CHUNK_KEEP && cap > left + have + 2 * STEP_ROOM) cap = left + have + 2 * STEP_ROOM;
    struct qd_json_chunk *c = qd_alloc(r->account, sizeof *c + cap);
    if (!c) return false;
    c->next = r->chunk;
    c->cap = cap;
    if (have) memcpy(c->data, *start, have);
    r->chunk = c;
    r->out_end = c->data + cap;
    *start = c->data;
    *o = c->data + have;
    return true;
}

static bool hex4(const char *p, uint32_t *v, const char **bad)
{
    *v = 0;
    for (int i = 0; i < 4; i++) {
        uint32_t c = (unsigned char)p[i], d = c - '0';
        if (d > 9) {
            d = (c | 32) - 'a';
            if (d > 5) {
                *bad = p + i;
                return false;
            }
            d += 10;
        }
        *v = *v << 4 | d;
    }
    return true;
}

/* \uXXXX, p behind the u; a pair of surrogates is one character, a lone one U+FFFD. */
static const char *unicode_escape(qd_json_reader *r, const char *p, char **o)
{
    uint32_t u, low;
    const char *bad = NULL;
    if (r->end - p < 4) {
        qdi_json_failed(r, QD_JSON_END_OF_INPUT, r->end, EOF_IN_STRING);
        return NULL;
    }
    if (!hex4(p, &u, &bad)) {
        qdi_json_failed(r, QD_JSON_BAD_HEX, bad, 0);
        return NULL;
    }
    p += 4;
    if (u >> 10 == 0x36 && r->end - p >= 6 && p[0] == '\\' && p[1] == 'u' &&
        hex4(p + 2, &low, &bad) && low >> 10 == 0x37) {
        u = 0x10000 + ((u & 1023) << 10 | (low & 1023));
        p += 6;
    }
    *o += qd_utf8_put(*o, u >> 11 == 0x1B ? 0xFFFD : u);
    return p;
}

/* What a byte behind a backslash stands for; 0: no escape of one byte. */
static const char simple[256] = {['"'] = '"',  ['\\'] = '\\', ['/'] = '/',  ['b'] = '\b',
                                 ['f'] = '\f', ['n'] = '\n',  ['r'] = '\r', ['t'] = '\t'};

/* An escape that is no simple one, p behind the backslash. */
static QD_NOINLINE const char *escape(qd_json_reader *r, const char *p, char **o)
{
    if (p >= r->end) {
        qdi_json_failed(r, QD_JSON_END_OF_INPUT, r->end, EOF_IN_STRING);
        return NULL;
    }
    if (*p == 'u') return unicode_escape(r, p + 1, o);
    qdi_json_failed(r, QD_JSON_BAD_ESCAPE, p, 0);
    return NULL;
}

/* The scan stopped at p, at neither quote nor backslash. */
static QD_NOINLINE bool bad_stop(qd_json_reader *r, const char *p, bool name)
{
    if (p >= r->end) {
        qdi_json_failed(r, QD_JSON_END_OF_INPUT, r->end, name ? EOF_IN_NAME : EOF_IN_STRING);
    } else {
        qdi_json_failed(r, QD_JSON_BAD_CONTROL, p, name);
    }
    return false;
}

/* The blocks from the first to the last that has a byte beyond ASCII. */
typedef struct span {
    const char *from, *to;
} span;

QD_INLINE void span_add(span *s, const char *p, bool high)
{
    if (QD_LIKELY(!high)) return;
    if (!s->from) s->from = p;
    s->to = p + SCAN_BLOCK;
}

/* The bytes of the span before end, a quote. */
static QD_NOINLINE bool bad_utf8(qd_json_reader *r, span s, const char *end)
{
    const char *bad = end;
    if (s.from >= end) return false;
    if (qdi_json_utf8(s.from, s.to < end ? s.to : end, r->safe, &bad)) return false;
    qdi_json_failed(r, QD_JSON_BAD_UTF8, bad, 0);
    return true;
}

/* Copies what stands before the first escape, by steps. */
static bool copy_plain(qd_json_reader *r, const char *from, const char *to, char **start, char **o)
{
    for (; from < to; from += SCAN_BLOCK) {
        size_t n = to - from < SCAN_BLOCK ? (size_t)(to - from) : SCAN_BLOCK;
        if ((!*o || r->out_end - *o < STEP_ROOM) && !more_room(r, start, o)) return false;
        if (QD_LIKELY(r->safe - from >= SCAN_BLOCK))
            memcpy(*o, from, SCAN_BLOCK);
        else
            memcpy(*o, from, n);
        *o += n;
    }
    return true;
}

/* A string with escapes: from is its first byte, p the first backslash. */
static QD_NOINLINE bool decode(qd_json_reader *r, const char *from, const char *p, span high,
                               bool name)
{
    char *start = r->out, *o = start;
    if (!copy_plain(r, from, p, &start, &o)) goto nomem;
    for (;;) {
        if ((!o || r->out_end - o < STEP_ROOM) && !more_room(r, &start, &o)) goto nomem;
        scan_masks m;
        if (QD_LIKELY(r->safe - p >= SCAN_BLOCK)) {
            m = scan_64(p);
            memcpy(o, p, SCAN_BLOCK);
        } else {
            if (p > r->end) p = r->end; /* within slack */
            size_t left = (size_t)(r->end - p);
            m = scan_tail(p, left < SCAN_BLOCK ? left : SCAN_BLOCK - 1, o);
        }
        span_add(&high, p, m.high);
        if (!m.stop) {
            p += SCAN_BLOCK;
            o += SCAN_BLOCK;
            continue;
        }
        int i = __builtin_ctzll(m.stop);
        p += i;
        o += i;
        if (QD_UNLIKELY(p >= r->end)) return bad_stop(r, r->end, name);
        if (*p == '"') break;
        if (QD_UNLIKELY(*p != '\\')) return bad_stop(r, p, name);
        r->at = p++;
        if (QD_LIKELY(p < r->end && simple[(unsigned char)*p])) {
            *o++ = simple[(unsigned char)*p++];
            continue;
        }
        char *to = o;
        p = escape(r, p, &to);
        if (!p) return false;
        o = to;
    }
    if (high.from && bad_utf8(r, high, p)) return false;
    r->text = (qd_str){start, (size_t)(o - start)};
    r->out = o;
    r->at = p + 1;
    return true;
nomem:
    qdi_json_failed(r, QD_JSON_NO_MEMORY, p, 0);
    return false;
}

/* The end of the input, fewer than 64 readable bytes from p: from a padded copy. */
static QD_NOINLINE const char *scan_end(qd_json_reader *r, const char *p, span *high)
{
    char tail[SCAN_BLOCK];
    size_t left = (size_t)(r->end - p);
    scan_masks m = scan_tail(p, left < SCAN_BLOCK ? left : SCAN_BLOCK - 1, tail);
    span_add(high, p, m.high);
    return p + __builtin_ctzll(m.stop); /* the padding stops it at the latest */
}

/* Behind a string's last whole block, near the end of the input. */
static QD_NOINLINE bool string_end(qd_json_reader *r, const char *at, const char *p, span high,
                                   bool name)
{
    if (p > r->end) p = r->end; /* within slack */
    p = scan_end(r, p, &high);
    if (p >= r->end || (*p != '"' && *p != '\\')) return bad_stop(r, p, name);
    r->at = p;
    if (*p == '\\') return decode(r, at, p, high, name);
    if (high.from && bad_utf8(r, high, p)) return false;
    r->text = (qd_str){at, (size_t)(p - at)};
    r->at = p + 1;
    return true;
}

bool qdi_json_string(qd_json_reader *r, const char *at, bool name)
{
    const char *p = at;
    span high = {NULL, NULL};
    for (;; p += SCAN_BLOCK) {
        if (QD_UNLIKELY(r->safe - p < SCAN_BLOCK)) return string_end(r, at, p, high, name);
        scan_masks m = scan_64(p);
        span_add(&high, p, m.high);
        if (!m.stop) continue;
        p += __builtin_ctzll(m.stop);
        break;
    }
    if (QD_UNLIKELY(p >= r->end)) return bad_stop(r, p, name);
    if (*p != '"') {
        if (*p != '\\') return bad_stop(r, p, name);
        r->at = p;
        return decode(r, at, p, high, name);
    }
    if (QD_UNLIKELY(high.from) && bad_utf8(r, high, p)) return false;
    r->text = (qd_str){at, (size_t)(p - at)};
    r->at = p + 1;
    return true;
}
