/* http_body.c: framing of request bodies (RFC 9112, 6 and 7), strictly, and gzip. Pure. */
#include "net/http_int.h"
#include <string.h>

#define INFLATE_BYTES 65536u

static int bad(const char **why, const char *what, int status)
{
    *why = what;
    return status;
}

void qdi_http_body_fini(http_body *b)
{
    if (b->inflating) (void)inflateEnd(&b->z);
    b->inflating = false;
}

/* Content of a body that the handler does not want. */
static int drop_content(void *arg, qd_str piece)
{
    (void)arg;
    (void)piece;
    return 0;
}

typedef struct sinking {
    int (*sink)(void *arg, qd_str piece);
    void *arg;
} sinking;

static int give(http_body *b, const sinking *s, qd_str piece, const char **why)
{
    b->out += piece.n;
    if (b->out > b->max) return bad(why, "body is larger than http.max_content_length", 413);
    return s->sink(s->arg, piece) ? bad(why, "out of memory", 503) : 0;
}

/* Content of the body: as it is, or inflated with the limit on what comes out. */
static int content(http_body *b, qd_str piece, const sinking *s, const char **why)
{
    char out[INFLATE_BYTES];
    b->raw += piece.n;
    if (b->raw > b->max) return bad(why, "body is larger than http.max_content_length", 413);
    if (!b->gzip) return give(b, s, piece, why);
    if (!b->inflating) {
        memset(&b->z, 0, sizeof b->z);
        if (inflateInit2(&b->z, 15 + 16) != Z_OK) return bad(why, "out of memory", 503);
        b->inflating = true;
    }
    b->z.next_in = (Bytef *)(uintptr_t)piece.p;
    b->z.avail_in = (uInt)piece.n;
    do {                         /* input may be used up while output is still held back */
        bool next = b->inflated; /* another member (RFC 1952, 2.2), or what does not belong there */
        if (next) {
            if (b->z.next_in[0] != 0x1f || inflateReset(&b->z) != Z_OK)
                return bad(why, "bytes behind the end of the gzip body", 400);
            b->inflated = false;
        }
        b->z.next_out = (Bytef *)out;
        b->z.avail_out = sizeof out;
        int rc = inflate(&b->z, Z_NO_FLUSH);
        if (rc == Z_MEM_ERROR) return bad(why, "out of memory", 503);
        if (rc != Z_OK && rc != Z_BUF_ERROR && rc != Z_STREAM_END) {
            return bad(why, "body is no valid gzip", 400);
        }
        b->inflated = rc == Z_STREAM_END;
        int given = give(b, s, (qd_str){out, sizeof out - b->z.avail_out}, why);
        if (given) return given;
        if (rc == Z_BUF_ERROR) break;
    } while (b->z.avail_in || (b->z.avail_out == 0 && !b->inflated));
    return 0;
}

/* A chunk-size line without its CRLF: hexadecimal digits, perhaps an extension. */
static int chunk_size(const char *p, size_t n, uint64_t *out, const char **why)
{
    uint64_t v = 0;
    size_t i = 0;
    for (; i < n; i++) {
        char c = p[i];
        int d = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;
        if (d < 0) break;
        if (v >> 49) return bad(why, "chunk is too large", 400);
        v = v << 4 | (uint64_t)d;
    }
    if (i == 0) return bad(why, "chunk size is no hexadecimal number", 400);
    if (n - i > HTTP_CHUNK_EXTENSION_MAX) return bad(why, "chunk extension is too long", 400);
    if (i < n && p[i] != ';') return bad(why, "invalid character behind the chunk size", 400);
    for (; i < n; i++) {
        if (((unsigned char)p[i] < 0x20 && p[i] != '\t') || p[i] == 0x7f)
            return bad(why, "control character in a chunk extension", 400);
    }
    *out = v;
    return 0;
}

/* A CRLF-ended line of at most max bytes at p: its length without CRLF in *line; more needed:
 * *used 0. */
static int whole_line(const char *p, size_t n, size_t max, const char *long_line, size_t *line,
                      size_t *used, const char **why)
{
    const char *lf = memchr(p, '\n', n);
    *used = 0;
    if (!lf) return n > max + 1 ? bad(why, long_line, 400) : 0;
    if (lf == p || lf[-1] != '\r') return bad(why, "line ends with a bare LF", 400);
    *line = (size_t)(lf - p) - 1;
    *used = (size_t)(lf - p) + 1;
    if (*line > max) return bad(why, long_line, 400);
    return memchr(p, '\r', *line) ? bad(why, "bare CR", 400) : 0;
}

/* At the end of the body the gzip stream must be complete: half a document is none. */
static int whole_gzip(const http_body *b, const char **why)
{
    if (b->state != BODY_DONE || !b->gzip || b->inflated) return 0;
    return bad(why, "gzip body ends too early", 400);
}

static int trailer(http_body *b, const char *p, size_t n, size_t *used, const char **why)
{
    size_t line = 0, room = HTTP_TRAILER_MAX - b->trailer;
    int rc = whole_line(p, n, room, "trailers are too large", &line, used, why);
    if (rc || !*used) return rc;
    b->trailer += (uint32_t)*used;
    if (b->trailer > HTTP_TRAILER_MAX) return bad(why, "trailers are too large", 400);
    if (line == 0) {
        b->state = BODY_DONE;
        return whole_gzip(b, why);
    }
    const char *fault = qdi_http_line_fault(p, line);
    return fault ? bad(why, fault, 400) : 0;
}

static int step(http_body *b, const char *p, size_t n, size_t *used, const sinking *s,
                const char **why)
{
    size_t line = 0, k;
    int rc = 0;
    *used = 0;
    switch (b->state) {
    case BODY_LENGTH:
    case BODY_CHUNK_DATA:
        k = n < b->left ? n : (size_t)b->left;
        rc = content(b, (qd_str){p, k}, s, why);
        b->left -= k;
        *used = k;
        if (!b->left) b->state = b->state == BODY_LENGTH ? BODY_DONE : BODY_CHUNK_END;
        return rc ? rc : whole_gzip(b, why);
    case BODY_CHUNK_SIZE:
        rc = whole_line(p, n, HTTP_CHUNK_LINE_MAX, "chunk line is too long", &line, used, why);
        if (rc || !*used) return rc;
        rc = chunk_size(p, line, &b->left, why);
        if (!rc) b->state = b->left ? BODY_CHUNK_DATA : BODY_TRAILER;
        return rc;
    case BODY_CHUNK_END:
        if (n < 2) return p[0] == '\r' ? 0 : bad(why, "chunk does not end with CRLF", 400);
        if (p[0] != '\r' || p[1] != '\n') return bad(why, "chunk does not end with CRLF", 400);
        *used = 2;
        b->state = BODY_CHUNK_SIZE;
        return 0;
    case BODY_TRAILER:
        return trailer(b, p, n, used, why);
    default:
        return 0;
    }
}

int qdi_http_body_feed(http_body *b, const char *p, size_t n, size_t *used,
                       int (*sink)(void *arg, qd_str piece), void *arg, const char **why)
{
    sinking s = {sink ? sink : drop_content, arg};
    *used = 0;
    while (*used < n && b->state != BODY_DONE && b->state != BODY_NONE) {
        size_t k;
        body_state before = b->state;
        int rc = step(b, p + *used, n - *used, &k, &s, why);
        *used += k;
        if (rc) return rc;
        if (k == 0 && b->state == before) return 0; /* needs more bytes */
    }
    return 0;
}
