/*
 * http_fuzz.c: any bytes as a request: head and body, whole and in pieces. However they are cut the
 * verdict and the content are the same; a head that is taken frames its body in one way only.
 * The first byte chooses the size of the pieces.
 */
#include "base/hash.h"
#include "net/http_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const qd_http_config config = {
    .max_content_length = 1 << 20,
    .max_initial_line = 4096,
    .max_header_bytes = 16384,
    .max_headers = 100,
    .compression = true,
};

typedef struct outcome {
    int status;
    body_state state;
    uint64_t bytes, digest;
    size_t used;
} outcome;

static int sink(void *arg, qd_str piece)
{
    outcome *o = arg;
    for (size_t i = 0; i < piece.n; i++) {
        o->digest = o->digest * UINT64_C(1099511628211) + (unsigned char)piece.p[i];
    }
    o->bytes += piece.n;
    return 0;
}

static outcome feed(http_body b, const char *p, size_t n, size_t step)
{
    outcome o = {0};
    const char *why = NULL;
    size_t at = 0, have = 0;
    while (!o.status && b.state != BODY_DONE && have < n) {
        size_t used = 0;
        have = n - have > step ? have + step : n;
        o.status = qdi_http_body_feed(&b, p + at, have - at, &used, sink, &o, &why);
        qd_assert(used <= have - at);
        qd_assert(!o.status || why);
        at += used;
    }
    o.state = b.state;
    o.used = at;
    qd_assert(o.bytes <= config.max_content_length);
    qdi_http_body_fini(&b);
    return o;
}

static uint32_t count(const qd_http_exchange *x, const char *name)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < x->request.nheaders; i++) {
        n += qd_str_ieq(x->request.headers[i].name, qd_str_c(name));
    }
    return n;
}

static void head_and_body(const char *p, size_t n, size_t step)
{
    const char *why = NULL;
    long length = qdi_http_head_length(&config, p, n, &why);
    /* a shorter piece of it is never taken as a whole one, nor for longer */
    for (size_t cut = n > 64 ? n - 64 : 0; cut < n; cut++) {
        const char *other = NULL;
        long part = qdi_http_head_length(&config, p, cut, &other);
        if (length > 0) qd_assert(part == 0 || part == length);
    }
    if (length <= 0) {
        qd_assert(length == 0 || why);
        return;
    }
    qd_http_exchange x = {0};
    http_body frame;
    bool keep_alive, expect;
    qd_arena_init(&x.arena, NULL, 1 << 20);
    int status =
        qdi_http_head_parse(&config, &x, p, (size_t)length, &frame, &keep_alive, &expect, &why);
    if (status == 0) {
        uint32_t lengths = count(&x, "content-length"), codings = count(&x, "transfer-encoding");
        qd_assert(lengths + codings <= 1);
        qd_assert(x.request.has_body == (frame.state != BODY_NONE));
        qd_assert(x.request.path.n && memchr(x.request.path.p, ' ', x.request.path.n) == NULL);
        outcome whole = feed(frame, p + length, n - (size_t)length, SIZE_MAX / 2);
        outcome cut = feed(frame, p + length, n - (size_t)length, step);
        qd_assert(whole.status == cut.status && (whole.status || whole.state == cut.state));
        if (!whole.status) qd_assert(whole.digest == cut.digest && whole.used == cut.used);
    } else {
        qd_assert(status >= 400 && status < 600 && why);
    }
    qd_arena_fini(&x.arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) return 0;
    /* a copy of its own, so that a byte read behind it shows */
    char *p = qd_alloc(NULL, size);
    if (!p) return 0;
    memcpy(p, data + 1, size - 1);
    head_and_body(p, size - 1, data[0] % 31 + 1u);
    http_body chunks = {.state = BODY_CHUNK_SIZE, .max = 1 << 20, .gzip = data[0] & 128};
    outcome whole = feed(chunks, p, size - 1, SIZE_MAX / 2);
    outcome cut = feed(chunks, p, size - 1, data[0] % 31 + 1u);
    qd_assert(whole.status == cut.status && (whole.status || whole.state == cut.state));
    qd_free(p);
    return 0;
}
