/* body_t.c: bodies come out as they were sent however they are cut; broken framing does not. */
#include "net/http_int.h"
#include "unit/unit.h"

typedef struct got {
    int status; /* 0: no error */
    bool done;
    size_t used;
    char text[70000];
    size_t n;
} got;

static int keep(void *arg, qd_str piece)
{
    got *g = arg;
    if (g->n + piece.n > sizeof g->text) return -1;
    memcpy(g->text + g->n, piece.p, piece.n);
    g->n += piece.n;
    return 0;
}

/* Feeds p in steps of `step` bytes, as a connection does: what is not used comes again. */
static void run(got *g, http_body b, const char *p, size_t n, size_t step)
{
    const char *why = NULL;
    size_t at = 0, have = 0;
    memset(g, 0, sizeof *g);
    while (!g->status && b.state != BODY_DONE && have < n) {
        size_t used = 0;
        have = have + step < n ? have + step : n;
        g->status = qdi_http_body_feed(&b, p + at, have - at, &used, keep, g, &why);
        at += used;
    }
    g->done = b.state == BODY_DONE;
    g->used = at;
    qdi_http_body_fini(&b);
}

static http_body chunked(void)
{
    return (http_body){.state = BODY_CHUNK_SIZE, .max = 65536};
}

static got g;

static int chunk_status(const char *text, size_t n)
{
    int first = -1;
    static const size_t steps[] = {1, 2, 3, 7, 1000000};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        run(&g, chunked(), text, n, steps[i]);
        if (first < 0) first = g.status;
        assert_int_equal(g.status, first); /* however it is cut */
    }
    return first;
}

static void chunks_are_joined(void **state)
{
    (void)state;
    const char *text = "3\r\nabc\r\n00A;name=\"v\"\r\n0123456789\r\n0\r\nX-T: 1\r\n\r\nNEXT";
    for (size_t step = 1; step < 60; step++) {
        run(&g, chunked(), text, strlen(text), step);
        assert_int_equal(g.status, 0);
        assert_true(g.done);
        assert_int_equal(g.used, strlen(text) - 4);
        assert_int_equal(g.n, 13);
        assert_memory_equal(g.text, "abc0123456789", 13);
    }
}

static void broken_chunks_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "x\r\n",
        "\r\n",
        "-1\r\n",
        "+1\r\n",
        "0x1\r\n",
        " 1\r\n",
        "1 \r\na\r\n",
        "1\na\r\n",
        "1\r\nab\r\n",
        "1\r\na\n0\r\n\r\n",
        "1\ra\r\n",
        "1;\x01\r\na\r\n",
        "1;a\rb\r\na\r\n",
        "3\r\nabc0\r\n\r\n",
        "0\r\nno colon\r\n\r\n",
        "0\r\nA: b\r\n c\r\n\r\n",
        "0\r\nA : b\r\n\r\n",
        "0\r\n\n",
        "20000000000000\r\n",
        "FFFFFFFFFFFFFFFFF\r\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int status = chunk_status(bad[i], strlen(bad[i]));
        if (status != 400) fail_msg("case %zu: status %d", i, status);
    }
    run(&g, chunked(), "1FFFFFFFFFFFFF\r\n", 16, 100); /* 2^53 - 1 is a size */
    assert_int_equal(g.status, 0);
}

static void extensions_and_trailers_have_limits(void **state)
{
    (void)state;
    static char text[32768];
    for (int over = 0; over < 2; over++) {
        size_t n = 0;
        text[n++] = '1';
        text[n++] = ';';
        while (n < 1025u + (unsigned)over) text[n++] = 'e'; /* 1,024 with the semicolon */
        memcpy(text + n, "\r\na\r\n0\r\n\r\n", 10);
        assert_int_equal(chunk_status(text, n + 10), over ? 400 : 0);
        n = 3;
        memcpy(text, "0\r\n", 3);
        while (n < (over ? 9000u : 7000u)) {
            memcpy(text + n, "Trailer: 0123456789\r\n", 21);
            n += 21;
        }
        memcpy(text + n, "\r\n", 2);
        assert_int_equal(chunk_status(text, n + 2), over ? 400 : 0);
    }
    memset(text, 'a', sizeof text); /* an endless line */
    memcpy(text, "0\r\nA:", 5);
    assert_int_equal(chunk_status(text, sizeof text), 400);
    memset(text, '0', sizeof text);
    assert_int_equal(chunk_status(text, sizeof text), 400);
}

static void content_counts_as_it_comes(void **state)
{
    (void)state;
    char text[400];
    size_t n = 0;
    for (int i = 0; i < 12; i++) n += (size_t)sprintf(text + n, "A\r\n0123456789\r\n");
    http_body b = chunked();
    b.max = 100;
    run(&g, b, text, n, 5);
    assert_int_equal(g.status, 413);
    assert_true(g.n <= 100);
}

static size_t zip(const char *in, size_t n, char *out, size_t room)
{
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (Bytef *)(uintptr_t)in;
    z.avail_in = (uInt)n;
    z.next_out = (Bytef *)out;
    z.avail_out = (uInt)room;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    size_t made = room - z.avail_out;
    (void)deflateEnd(&z);
    return made;
}

static http_body zipped(size_t n, uint64_t max)
{
    return (http_body){.state = BODY_LENGTH, .left = n, .max = max, .gzip = true};
}

static void gzip_comes_out_whole_or_not_at_all(void **state)
{
    (void)state;
    static char plain[65536], packed[80000];
    for (size_t i = 0; i < sizeof plain; i++) plain[i] = i % 4099 == 0 ? (char)i : 'a';
    size_t n = zip(plain, sizeof plain, packed, sizeof packed);
    for (size_t step = 1; step < n + 7; step += 13) {
        run(&g, zipped(n, 65536), packed, n, step);
        assert_int_equal(g.status, 0);
        assert_true(g.done && g.n == sizeof plain && memcmp(g.text, plain, g.n) == 0);
    }
    for (size_t cut = 1; cut < n; cut += 11) { /* half a body is none */
        run(&g, zipped(n - cut, 65536), packed, n - cut, 1000);
        assert_int_equal(g.status, 400);
    }
    packed[n] = 'x';
    run(&g, zipped(n + 1, 65536), packed, n + 1, 1000);
    assert_int_equal(g.status, 400);
    run(&g, zipped(n + 1, 65536), packed, n + 1, n);
    assert_int_equal(g.status, 400);
    packed[n / 2] ^= 0x55;
    run(&g, zipped(n, 65536), packed, n, 1000);
    assert_int_equal(g.status, 400);
    run(&g, zipped(5, 65536), "plain", 5, 1000);
    assert_int_equal(g.status, 400);
}

static void gzip_of_several_members_is_one_body(void **state)
{
    (void)state;
    char packed[400];
    size_t one = zip("first ", 6, packed, sizeof packed);
    size_t two = one + zip("second", 6, packed + one, sizeof packed - one);
    for (size_t step = 1; step <= two; step++) {
        run(&g, zipped(two, 65536), packed, two, step);
        assert_int_equal(g.status, 0);
        assert_true(g.done && g.n == 12 && memcmp(g.text, "first second", 12) == 0);
    }
    for (size_t cut = one + 1; cut < two; cut++) { /* a member that is begun must end */
        run(&g, zipped(cut, 65536), packed, cut, 1000);
        assert_int_equal(g.status, 400);
    }
    run(&g, zipped(two, 11), packed, two, 1000); /* the limit is on all of them */
    assert_int_equal(g.status, 413);
}

static int count(void *arg, qd_str piece)
{
    *(uint64_t *)arg += piece.n;
    return 0;
}

static void a_gzip_bomb_stops_at_the_limit(void **state)
{
    (void)state;
    size_t big = (size_t)16 << 20, room = 65536, used = 0;
    char *zeros = test_calloc(1, big), packed[65536];
    size_t n = zip(zeros, big, packed, room);
    test_free(zeros);
    http_body b = zipped(n, 1 << 20);
    uint64_t seen = 0;
    const char *why = NULL;
    assert_int_equal(qdi_http_body_feed(&b, packed, n, &used, count, &seen, &why), 413);
    assert_true(seen <= 1 << 20);
    qdi_http_body_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks_are_joined),
        cmocka_unit_test(broken_chunks_are_refused),
        cmocka_unit_test(extensions_and_trailers_have_limits),
        cmocka_unit_test(content_counts_as_it_comes),
        cmocka_unit_test(gzip_comes_out_whole_or_not_at_all),
        cmocka_unit_test(gzip_of_several_members_is_one_body),
        cmocka_unit_test(a_gzip_bomb_stops_at_the_limit),
    };
    return unit_run(tests);
}
