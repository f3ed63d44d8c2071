/*
 * http_head.c: request line and headers. The only file that knows http-parser, which is archived
 * upstream and lenient: the bytes of a head are checked by our own rules first (RFC 9112), and what
 * decides framing is read twice.
 */
#include "net/http_int.h"
#include <http_parser.h>
#include <string.h>

static const char *text(const char **why, const char *what)
{
    *why = what;
    return what;
}

/* Characters of a token (RFC 9110, 5.6.2). */
static bool is_token(unsigned char c)
{
    static const uint32_t marks = 1u << ('!' - 32) | 1u << ('#' - 32) | 1u << ('$' - 32) |
                                  1u << ('%' - 32) | 1u << ('&' - 32) | 1u << ('\'' - 32) |
                                  1u << ('*' - 32) | 1u << ('+' - 32) | 1u << ('-' - 32) |
                                  1u << ('.' - 32);
    return (unsigned)(c | 32) - 'a' < 26 || (unsigned)c - '0' < 10 ||
           (c >= 32 && c < 64 && marks >> (c - 32) & 1) || (unsigned)c - '^' < 3 || c == '|' ||
           c == '~';
}

const char *qdi_http_line_fault(const char *p, size_t n)
{
    if (p[0] == ' ' || p[0] == '\t') return "folded header line";
    const char *colon = memchr(p, ':', n);
    if (!colon) return "header line without a colon";
    if (colon == p) return "header without a name";
    for (const char *c = p; c < colon; c++) {
        if (!is_token((unsigned char)*c)) return "invalid character in a header name";
    }
    for (const char *c = colon + 1; c < p + n; c++) {
        unsigned char v = (unsigned char)*c;
        if (v == 0) return "NUL in a header";
        if ((v < 0x20 && v != '\t') || v == 0x7f) return "control character in a header";
    }
    return NULL;
}

static bool request_line_fits(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char v = (unsigned char)p[i];
        if (v < 0x20 || v == 0x7f) return false;
    }
    return true;
}

long qdi_http_head_length(const qd_http_config *c, const char *p, size_t n, const char **why)
{
    size_t at = 0, first = 0; /* first: bytes of the request line */
    uint32_t lines = 0;
    for (;;) {
        const char *lf = memchr(p + at, '\n', n - at);
        size_t line = lf ? (size_t)(lf - (p + at)) : n - at;
        if (lines == 0) {
            if (line > (size_t)c->max_initial_line + 1) { /* and the CR */
                text(why, "An HTTP line is larger than http.max_initial_line_length");
                return -400;
            }
            first = line + 1;
        } else if (at + line - first > (size_t)c->max_header_bytes + 1) {
            text(why, "HTTP header is larger than http.max_header_size");
            return -400;
        }
        if (!lf) {
            /* no use to wait for the end of what is no request */
            if (lines > 0 || request_line_fits(p, line && p[line - 1] == '\r' ? line - 1 : line))
                return 0;
            text(why, line >= 4 && memcmp(p, "QDR1", 4) == 0
                          ? "this is the REST API: nodes reach each other at transport.port"
                          : "control character in the request line");
            return -400;
        }
        if (line == 0 || lf[-1] != '\r') {
            text(why, "line ends with a bare LF");
            return -400;
        }
        line--;
        if (memchr(p + at, '\r', line)) {
            text(why, "bare CR");
            return -400;
        }
        if (line == 0) {
            if (lines == 0) { /* an empty line before the request line is allowed: skip it */
                text(why, "empty request line");
                return -400;
            }
            return (long)(at + 2);
        }
        if (lines > 0) {
            const char *fault = qdi_http_line_fault(p + at, line);
            if (fault) {
                text(why, fault);
                return -400;
            }
        } else if (!request_line_fits(p + at, line)) {
            text(why, "control character in the request line");
            return -400;
        }
        if (++lines > c->max_headers + 1) {
            text(why, "too many headers");
            return -400;
        }
        at += line + 2;
    }
}

/* What http-parser tells, gathered. */
typedef struct head {
    qd_http_exchange *x;
    qd_http_header *h;
    uint32_t n, room;
    const char *url;
    size_t url_n;
} head;

static int on_url(http_parser *p, const char *at, size_t n)
{
    head *h = p->data;
    if (!h->url) h->url = at;
    h->url_n += n;
    return 0;
}

static int on_field(http_parser *p, const char *at, size_t n)
{
    head *h = p->data;
    if (h->n == h->room) return 1;
    h->h[h->n].name = (qd_str){at, n};
    h->h[h->n++].value = (qd_str){at + n, 0};
    return 0;
}

static int on_value(http_parser *p, const char *at, size_t n)
{
    head *h = p->data;
    if (h->n) h->h[h->n - 1].value = qd_str_trim((qd_str){at, n});
    return 0;
}

/* The body is framed by http_body.c. */
static int on_headers(http_parser *p)
{
    (void)p;
    return 1;
}

static const http_parser_settings settings = {
    .on_url = on_url,
    .on_header_field = on_field,
    .on_header_value = on_value,
    .on_headers_complete = on_headers,
};

static int bad(const char **why, const char *what, int status)
{
    text(why, what);
    return status;
}

/* Content-Length and Transfer-Encoding by our own reading; anything ambiguous is refused. */
static int framing(const qd_http_config *c, qd_http_exchange *x, http_body *f, const char **why)
{
    bool length = false, chunked = false;
    uint64_t n = 0;
    qd_str encoding = {NULL, 0};
    for (uint32_t i = 0; i < x->request.nheaders; i++) {
        qd_http_header h = x->request.headers[i];
        if (qd_str_ieq(h.name, QD_STR("content-length"))) {
            if (length) return bad(why, "Content-Length is given twice", 400);
            if (!qd_str_u64(h.value, &n)) return bad(why, "Content-Length is no number", 400);
            length = true;
        } else if (qd_str_ieq(h.name, QD_STR("transfer-encoding"))) {
            if (chunked) return bad(why, "Transfer-Encoding is given twice", 400);
            /* a tab beside it (behind the value stands at least the CR) is read differently by
             * others */
            if (!qd_str_ieq(h.value, QD_STR("chunked")) || h.value.p[-1] == '\t' ||
                h.value.p[h.value.n] == '\t') {
                return bad(why, "Transfer-Encoding is not [chunked]", 400);
            }
            chunked = true;
        } else if (qd_str_ieq(h.name, QD_STR("content-encoding"))) {
            if (encoding.p) return bad(why, "Content-Encoding is given twice", 400);
            encoding = h.value;
        }
    }
    if (chunked && x->http10) return bad(why, "Transfer-Encoding in HTTP/1.0", 400);
    if (length && chunked) return bad(why, "both Content-Length and Transfer-Encoding", 400);
    bool gzip = qd_str_ieq(encoding, QD_STR("gzip")) || qd_str_ieq(encoding, QD_STR("x-gzip"));
    if (encoding.n && !gzip && !qd_str_ieq(encoding, QD_STR("identity"))) {
        return bad(why, "unsupported Content-Encoding", 415);
    }
    *f = (http_body){.max = c->max_content_length, .gzip = gzip};
    f->state = chunked ? BODY_CHUNK_SIZE : length && n ? BODY_LENGTH : BODY_NONE;
    f->left = n;
    x->request.chunked = chunked;
    x->request.content_length = n;
    x->request.has_body = f->state != BODY_NONE;
    if (n > c->max_content_length)
        return bad(why, "body is larger than http.max_content_length", 413);
    return 0;
}

static bool has_word(qd_str list, const char *word)
{
    for (qd_str rest = list; rest.p;) {
        qd_str part = qd_str_split(&rest, ',');
        ptrdiff_t end = qd_str_find(part, ';');
        if (end >= 0) part.n = (size_t)end;
        if (qd_str_ieq(qd_str_trim(part), qd_str_c(word))) return true;
    }
    return false;
}

/* gzip among the codings of Accept-Encoding, and not with weight 0. */
static bool wants_gzip(qd_str list)
{
    for (qd_str rest = list; rest.p;) {
        qd_str params = qd_str_split(&rest, ','), word = qd_str_trim(qd_str_split(&params, ';'));
        if (!qd_str_ieq(word, QD_STR("gzip"))) continue;
        qd_str weight = qd_str_trim(params);
        if (!params.p || weight.n < 3) return true;
        for (size_t i = 2; i < weight.n; i++) {
            if (weight.p[i] >= '1' && weight.p[i] <= '9') return true;
        }
        return false;
    }
    return false;
}

/* A target in absolute form, as a proxy sends it, without scheme and authority (RFC 9112, 3.2.2).
 */
static qd_str path_of(qd_str url)
{
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < QD_COUNT_OF(schemes); i++) {
        size_t n = strlen(schemes[i]);
        if (url.n < n || !qd_str_ieq(qd_str_sub(url, 0, n), qd_str_c(schemes[i]))) continue;
        qd_str rest = qd_str_sub(url, n, url.n);
        ptrdiff_t slash = qd_str_find(rest, '/'), mark = qd_str_find(rest, '?');
        if (slash <= 0 || (mark >= 0 && mark < slash)) return url;
        return qd_str_sub(rest, (size_t)slash, rest.n);
    }
    return url;
}

int qdi_http_head_parse(const qd_http_config *c, qd_http_exchange *x, const char *p, size_t n,
                        http_body *frame, bool *keep_alive, bool *expect, const char **why)
{
    http_parser parser;
    qd_str copy = qd_arena_str(&x->arena, (qd_str){p, n});
    qd_http_header headers[QD_HTTP_HEADERS_MAX]; /* not zeroed: most requests have few */
    uint32_t room = c->max_headers < QD_HTTP_HEADERS_MAX ? c->max_headers : QD_HTTP_HEADERS_MAX;
    head h = {.x = x, .h = headers, .room = room};
    if (!copy.p) return bad(why, "out of memory", 503);
    http_parser_init(&parser, HTTP_REQUEST);
    parser.data = &h;
    size_t used = http_parser_execute(&parser, &settings, copy.p, copy.n);
    if (HTTP_PARSER_ERRNO(&parser) != HPE_OK || (used != copy.n && !parser.upgrade)) {
        bool fine = HTTP_PARSER_ERRNO(&parser) == HPE_OK;
        return bad(why,
                   fine ? "bytes behind the head"
                        : http_errno_description(HTTP_PARSER_ERRNO(&parser)),
                   400);
    }
    if (parser.http_major != 1 || parser.http_minor > 1) return bad(why, "HTTP version", 505);
    qd_str url = path_of((qd_str){h.url, h.url_n});
    ptrdiff_t mark = qd_str_find(url, '?');
    x->request.method = qd_str_c(http_method_str((enum http_method)parser.method));
    x->request.path = mark < 0 ? url : qd_str_sub(url, 0, (size_t)mark);
    x->request.query = mark < 0 ? (qd_str){NULL, 0} : qd_str_sub(url, (size_t)mark + 1, url.n);
    qd_http_header *kept = qd_arena_alloc(&x->arena, h.n * sizeof *kept);
    if (!kept) return bad(why, "out of memory", 503);
    if (h.n) memcpy(kept, headers, h.n * sizeof *kept);
    x->request.headers = kept;
    x->request.nheaders = h.n;
    if (!url.n || url.p[0] != '/') {
        if (!qd_str_is(url, "*")) return bad(why, "request target is no path", 400);
    }
    x->http10 = parser.http_minor == 0;
    *keep_alive = !x->http10;
    for (uint32_t i = 0; i < h.n; i++) {
        if (!qd_str_ieq(h.h[i].name, QD_STR("connection"))) continue;
        if (has_word(h.h[i].value, "close")) *keep_alive = false;
        if (has_word(h.h[i].value, "keep-alive")) *keep_alive = true;
    }
    qd_str e = qd_http_header_get(x, "expect");
    *expect = qd_str_ieq(e, QD_STR("100-continue"));
    if (e.n && !*expect && !x->http10) return bad(why, "unknown expectation", 417);
    x->head = qd_str_is(x->request.method, "HEAD");
    if (x->http10) *expect = false; /* would not understand an interim answer */
    x->gzip_answer = c->compression && wants_gzip(qd_http_header_get(x, "accept-encoding"));
    return framing(c, x, frame, why);
}

qd_str qd_http_header_find(const qd_http_exchange *x, qd_str wanted)
{
    for (uint32_t i = 0; i < x->request.nheaders; i++) {
        const qd_http_header *h = &x->request.headers[i];
        if (h->name.n == wanted.n && qd_str_ieq(h->name, wanted)) return h->value;
    }
    return (qd_str){NULL, 0};
}
