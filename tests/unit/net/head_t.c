/* head_t.c: which request heads are taken, and that nothing ambiguous is. */
#include "net/http_int.h"
#include "unit/unit.h"

static const qd_http_config config = {
    .max_content_length = 1000,
    .max_initial_line = 4096,
    .max_header_bytes = 16384,
    .max_headers = 100,
    .compression = true,
};

typedef struct parsed {
    qd_http_exchange x;
    http_body frame;
    bool keep_alive, expect;
    const char *why;
} parsed;

/* 0 when taken, 1 when more must come, else the status. */
static int parse(parsed *p, const char *text, size_t n)
{
    memset(p, 0, sizeof *p);
    qd_arena_init(&p->x.arena, NULL, 1 << 20);
    long length = qdi_http_head_length(&config, text, n, &p->why);
    if (length == 0) return 1;
    if (length < 0) return (int)-length;
    return qdi_http_head_parse(&config, &p->x, text, (size_t)length, &p->frame, &p->keep_alive,
                               &p->expect, &p->why);
}

static int status_of(const char *text, size_t n)
{
    parsed p;
    int status = parse(&p, text, n);
    qd_arena_fini(&p.x.arena);
    return status;
}

static void good_heads_are_taken(void **state)
{
    (void)state;
    parsed p;
    const char *text = "GET /a%20b?x=1&y HTTP/1.1\r\nHost: h\r\nX-A:  v w\t\r\n\r\n";
    assert_int_equal(parse(&p, text, strlen(text)), 0);
    assert_true(qd_str_is(p.x.request.method, "GET"));
    assert_true(qd_str_is(p.x.request.path, "/a%20b"));
    assert_true(qd_str_is(p.x.request.query, "x=1&y"));
    assert_true(qd_str_is(qd_http_header_get(&p.x, "x-a"), "v w"));
    assert_true(p.keep_alive && !p.expect && !p.x.request.has_body);
    qd_arena_fini(&p.x.arena);
    text = "HEAD / HTTP/1.0\r\n\r\n";
    assert_int_equal(parse(&p, text, strlen(text)), 0);
    assert_true(!p.keep_alive && p.x.head && p.x.http10);
    qd_arena_fini(&p.x.arena);
    text = "POST / HTTP/1.1\r\nContent-Length: 7\r\nConnection: foo, Close\r\nExpect: "
           "100-continue\r\nAccept-Encoding: br, gzip;q=0.5\r\n\r\n";
    assert_int_equal(parse(&p, text, strlen(text)), 0);
    assert_true(!p.keep_alive && p.expect && p.x.gzip_answer);
    assert_true(p.frame.state == BODY_LENGTH && p.frame.left == 7);
    qd_arena_fini(&p.x.arena);
    text = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nAccept-Encoding: gzip;q=0\r\n\r\n";
    assert_int_equal(parse(&p, text, strlen(text)), 0);
    assert_true(p.frame.state == BODY_CHUNK_SIZE && !p.x.gzip_answer);
    qd_arena_fini(&p.x.arena);
}

static void every_prefix_of_a_head_waits_for_more(void **state)
{
    (void)state;
    const char *text = "POST /i/_doc HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n";
    for (size_t n = 0; n < strlen(text); n++) assert_int_equal(status_of(text, n), 1);
    assert_int_equal(status_of(text, strlen(text)), 0);
}

static void ambiguous_heads_are_refused(void **state)
{
    (void)state;
#define H(lines) "POST / HTTP/1.1\r\n" lines "\r\n"
    static const struct {
        const char *what, *text;
        size_t n; /* 0: strlen */
        int status;
    } cases[] = {
        {"both", H("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"), 0, 400},
        {"both, other order", H("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n"), 0, 400},
        {"length twice", H("Content-Length: 3\r\nContent-Length: 3\r\n"), 0, 400},
        {"length twice, case", H("content-length: 3\r\nCONTENT-LENGTH: 4\r\n"), 0, 400},
        {"signed", H("Content-Length: +3\r\n"), 0, 400},
        {"negative", H("Content-Length: -3\r\n"), 0, 400},
        {"list", H("Content-Length: 3, 3\r\n"), 0, 400},
        {"two words", H("Content-Length: 3 3\r\n"), 0, 400},
        {"hexadecimal", H("Content-Length: 0x3\r\n"), 0, 400},
        {"empty length", H("Content-Length: \r\n"), 0, 400},
        {"overflow", H("Content-Length: 18446744073709551616\r\n"), 0, 400},
        {"gzip coding", H("Transfer-Encoding: gzip, chunked\r\n"), 0, 400},
        {"chunked twice", H("Transfer-Encoding: chunked, chunked\r\n"), 0, 400},
        {"two codings", H("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), 0, 400},
        {"identity", H("Transfer-Encoding: identity\r\n"), 0, 400},
        {"tab behind", H("Transfer-Encoding: chunked\t\r\n"), 0, 400},
        {"tab before", H("Transfer-Encoding:\tchunked\r\n"), 0, 400},
        {"quoted", H("Transfer-Encoding: \"chunked\"\r\n"), 0, 400},
        {"vertical tab", H("Transfer-Encoding: \vchunked\r\n"), 0, 400},
        {"chunked in 1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 0, 400},
        {"bare LF", "POST / HTTP/1.1\nHost: h\r\n\r\n", 0, 400},
        {"bare LF at the end", "POST / HTTP/1.1\r\nHost: h\r\n\n", 0, 400},
        {"bare CR", "POST / HTTP/1.1\r\nA: b\rContent-Length: 3\r\n\r\n", 0, 400},
        {"bare CR in the request line", "POST /\r HTTP/1.1\r\n\r\n", 0, 400},
        {"folded line", H("A: b\r\n c\r\n"), 0, 400},
        {"folded by a tab", H("A: b\r\n\tc\r\n"), 0, 400},
        {"NUL in a value", "POST / HTTP/1.1\r\nA: b\0c\r\n\r\n", 27, 400},
        {"NUL in a name", "POST / HTTP/1.1\r\nA\0: b\r\n\r\n", 26, 400},
        {"NUL in the request line", "POST /\0 HTTP/1.1\r\n\r\n", 20, 400},
        {"space before colon", H("Content-Length : 3\r\n"), 0, 400},
        {"no colon", H("Content-Length\r\n"), 0, 400},
        {"no name", H(": 3\r\n"), 0, 400},
        {"space in a name", H("Content Length: 3\r\n"), 0, 400},
        {"control character", H("A: \x01\r\n"), 0, 400},
        {"two encodings", H("Content-Encoding: gzip\r\nContent-Encoding: gzip\r\n"), 0, 400},
        {"unknown encoding", H("Content-Length: 3\r\nContent-Encoding: br\r\n"), 0, 415},
        {"unknown expectation", H("Expect: 200-ok\r\n"), 0, 417},
        {"too large", H("Content-Length: 1001\r\n"), 0, 413},
        {"version", "POST / HTTP/2.0\r\n\r\n", 0, 505},
        {"no version", "POST /\r\n\r\n", 0, 505},
        {"no path", "POST x HTTP/1.1\r\n\r\n", 0, 400},
        {"unknown method", "BREW / HTTP/1.1\r\n\r\n", 0, 400},
        {"TLS", "\x16\x03\x01\x02\x00\x01\r\n\r\n", 10, 400},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t n = cases[i].n ? cases[i].n : strlen(cases[i].text);
        int status = status_of(cases[i].text, n);
        if (status != cases[i].status) {
            fail_msg("%s: %d instead of %d", cases[i].what, status, cases[i].status);
        }
    }
}

/* A head with a request line of `line` bytes, and headers of so many bytes in so many lines. */
static size_t make_head(char *out, size_t line, size_t headers, size_t lines)
{
    size_t n = 0;
    memcpy(out, "GET /", 5);
    n = 5;
    while (n < line - 9) out[n++] = 'a';
    memcpy(out + n, " HTTP/1.1\r\n", 11);
    n += 11;
    size_t begin = n;
    for (size_t i = 0; i < lines; i++) {
        out[n++] = 'h';
        out[n++] = ':';
        while (i + 1 == lines && headers && n - begin < headers - 2) out[n++] = 'v';
        out[n++] = '\r';
        out[n++] = '\n';
    }
    out[n++] = '\r';
    out[n++] = '\n';
    return n;
}

static void limits_hold_to_the_byte(void **state)
{
    (void)state;
    static char text[65536];
    assert_int_equal(status_of(text, make_head(text, 4096, 100, 2)), 0);
    assert_int_equal(status_of(text, make_head(text, 4097, 100, 2)), 400);
    assert_int_equal(status_of(text, make_head(text, 100, 16384, 2)), 0);
    assert_int_equal(status_of(text, make_head(text, 100, 16386, 2)), 400);
    assert_int_equal(status_of(text, make_head(text, 100, 0, 100)), 0);
    assert_int_equal(status_of(text, make_head(text, 100, 0, 101)), 400);
    /* without an end they are refused as soon as they are too long */
    memset(text, 'a', sizeof text);
    assert_int_equal(status_of(text, 4000), 1);
    assert_int_equal(status_of(text, 4200), 400);
    size_t n = make_head(text, 100, 100, 1) - 2;
    memset(text + n, 'b', 20000);
    assert_int_equal(status_of(text, n + 16000), 1);
    assert_int_equal(status_of(text, n + 17000), 400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_heads_are_taken),
        cmocka_unit_test(every_prefix_of_a_head_waits_for_more),
        cmocka_unit_test(ambiguous_heads_are_refused),
        cmocka_unit_test(limits_hold_to_the_byte),
    };
    return unit_run(tests);
}
