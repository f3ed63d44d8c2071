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

/* An escape, p behind the backslash. */
static const char *escape(qd_json_reader *r, const char *p, char **o)
{
    static const char simple[256] = {['"'] = '"',  ['\\'] = '\\', ['/'] = '/',  ['b'] = '\b',
                                     ['f'] = '\f', ['n'] = '\n',  ['r'] = '\r', ['t'] = '\t'};
    if (p >= r->end) {
        qdi_json_failed(r, QD_JSON_END_OF_INPUT, r->end, EOF_IN_STRING);
        return NULL;
    }
    unsigned char c = (unsigned char)*p++;
    if (QD_LIKELY(simple[c])) {
        *(*o)++ = simple[c];
        return p;
    }
    if (c == 'u') return unicode_escape(r, p, o);
    qdi_json_failed(r, QD_JSON_BAD_ESCAPE, p - 1, 0);
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

static QD_NOINLINE bool bad_utf8(qd_json_reader *r, const char *from, const char *to)
{
    const char *bad = from;
    if (qdi_json_utf8(from, (size_t)(to - from), &bad)) return false;
    qdi_json_failed(r, QD_JSON_BAD_UTF8, bad, 0);
    return true;
}

/* A string with escapes: from is its first byte, p the first backslash. Not inline: its block on
 * the stack would make every string pay for the stack's guard. */
static QD_NOINLINE bool decode(qd_json_reader *r, const char *from, const char *p, uint64_t high,
                               bool name)
{
    char *start = r->out, *o = start;
    char tail[SCAN_BLOCK];
    size_t plain = (size_t)(p - from);
    for (const char *q = from; plain;) { /* the part before the escape, by steps */
        size_t n = plain < SCAN_BLOCK ? plain : SCAN_BLOCK;
        if ((!o || r->out_end - o < STEP_ROOM) && !more_room(r, &start, &o)) goto nomem;
        memcpy(o, q, n);
        o += n;
        q += n;
        plain -= n;
    }
    for (;;) {
        if ((!o || r->out_end - o < STEP_ROOM) && !more_room(r, &start, &o)) goto nomem;
        scan_masks m;
        if (QD_LIKELY(r->safe && p <= r->safe)) {
            m = scan_64(p);
            memcpy(o, p, SCAN_BLOCK);
        } else {
            if (p > r->end) p = r->end; /* within slack */
            size_t left = (size_t)(r->end - p);
            m = scan_tail(p, left < SCAN_BLOCK ? left : SCAN_BLOCK - 1, tail);
            memcpy(o, tail, SCAN_BLOCK);
        }
        if (!m.stop) {
            high |= m.high;
            p += SCAN_BLOCK;
            o += SCAN_BLOCK;
            continue;
        }
        int i = __builtin_ctzll(m.stop);
        high |= m.high & (m.stop ^ (m.stop - 1));
        p += i;
        o += i;
        if (p >= r->end) return bad_stop(r, r->end, name);
        if (*p == '"') break;
        if (*p != '\\') return bad_stop(r, p, name);
        r->at = p;
        p = escape(r, p + 1, &o);
        if (!p) return false;
    }
    if (high && bad_utf8(r, from, p)) return false;
    r->text = (qd_str){start, (size_t)(o - start)};
    r->out = o;
    r->at = p + 1;
    return true;
nomem:
    qdi_json_failed(r, QD_JSON_NO_MEMORY, p, 0);
    return false;
}

/* The end of the input, fewer than 64 readable bytes from p: from a padded copy. */
static QD_NOINLINE const char *scan_end(qd_json_reader *r, const char *p, uint64_t *high)
{
    char tail[SCAN_BLOCK];
    size_t left = (size_t)(r->end - p);
    scan_masks m = scan_tail(p, left < SCAN_BLOCK ? left : SCAN_BLOCK - 1, tail);
    int i = __builtin_ctzll(m.stop); /* the padding stops it at the latest */
    *high |= m.high & (m.stop ^ (m.stop - 1));
    return p + i;
}

bool qdi_json_string(qd_json_reader *r, const char *at, bool name)
{
    const char *p = at;
    uint64_t high = 0;
    if (QD_LIKELY(r->safe && p <= r->safe)) {
        uint32_t q, s, h;
        scan_16(p, &q, &s, &h);
        if (s) {
            high = h & (s ^ (s - 1));
            p += __builtin_ctz(s);
            goto stopped;
        }
        high = h;
        for (p += 16; p <= r->safe; p += SCAN_BLOCK) {
            scan_masks m = scan_64(p);
            if (!m.stop) {
                high |= m.high;
                continue;
            }
            high |= m.high & (m.stop ^ (m.stop - 1));
            p += __builtin_ctzll(m.stop);
            goto stopped;
        }
    }
    if (p > r->end) p = r->end; /* within slack */
    p = scan_end(r, p, &high);
stopped:
    if (QD_UNLIKELY(p >= r->end)) return bad_stop(r, p, name);
    if (QD_UNLIKELY(*p != '"')) {
        if (*p != '\\') return bad_stop(r, p, name);
        r->at = p;
        return decode(r, at, p, high, name);
    }
    if (QD_UNLIKELY(high) && bad_utf8(r, at, p)) return false;
    r->text = (qd_str){at, (size_t)(p - at)};
    r->at = p + 1;
    return true;
}
