/*
 * hostile_t.c: TLS with right and wrong certificates; and what comes to the port by mistake or
 * malice: HTTP, garbage, huge frames, connections that say nothing, clients that take no answers.
 */
#include "rpc/rpc_int.h"
#include "unit/lib/certs.h"
#include "unit/lib/rpc_world.h"
#include "unit/unit.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define MS 1000000ull

static world w;
static char folder[64];

static int start(void **state)
{
    (void)state;
    world_open(&w, 0);
    return 0;
}

static int end(void **state)
{
    (void)state;
    world_close(&w);
    return 0;
}

/* --- TLS --- */

static int make_certificates(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/qd-certs-XXXXXX");
    assert_non_null(mkdtemp(folder));
    certs_authority(folder, "ca");
    certs_authority(folder, "ca2");
    certs_make(folder, "n0", "DNS:n0", "ca");
    certs_make(folder, "n1", "IP:127.0.0.1", "ca");
    certs_make(folder, "other", "DNS:elsewhere", "ca");
    certs_make(folder, "foreign", "IP:127.0.0.1", "ca2");
    return 0;
}

static int drop_certificates(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

typedef struct files {
    char certificate[128], key[128], ca[128];
    const char *list[1];
    qd_wire_tls tls;
} files;

static const qd_wire_tls *tls_of(files *f, const char *name, qd_wire_verify verify)
{
    snprintf(f->certificate, sizeof f->certificate, "%s/%s.crt", folder, name);
    snprintf(f->key, sizeof f->key, "%s/%s.key", folder, name);
    snprintf(f->ca, sizeof f->ca, "%s/ca.crt", folder);
    f->list[0] = f->ca;
    f->tls = (qd_wire_tls){f->certificate, f->key, f->list, 1, verify};
    return &f->tls;
}

static char reason[300];
static _Atomic uint32_t event;

static void on_event(void *arg, qd_str address, qd_rpc_event e, const qd_rpc_node *node, qd_str why)
{
    (void)arg, (void)address, (void)node;
    snprintf(reason, sizeof reason, "%.*s", QD_STR_ARG(why));
    atomic_store(&event, e);
}

static bool any_event(void *arg)
{
    (void)arg;
    return atomic_load(&event) != 0;
}

/* What happens when a node with the one certificate dials one with the other. */
static uint32_t meet(const char *dialing, qd_wire_verify dv, const char *accepting,
                     qd_wire_verify av)
{
    files a, b;
    qd_rpc_watch *watch;
    world_open(&w, 0);
    assert_int_equal(
        world_node_open_tls(&w, 0, dialing ? tls_of(&a, dialing, dv) : NULL, NULL, NULL, NULL), 0);
    assert_int_equal(
        world_node_open_tls(&w, 1, accepting ? tls_of(&b, accepting, av) : NULL, NULL, NULL, NULL),
        0);
    atomic_store(&event, 0);
    assert_int_equal(qd_rpc_peer_watch(w.nodes[0].rpc, qd_str_c(w.nodes[1].address), on_event, NULL,
                                       &watch, NULL),
                     0);
    assert_true(world_until(&w, any_event, NULL));
    qd_rpc_unwatch(w.nodes[0].rpc, watch);
    uint32_t e = atomic_load(&event);
    world_close(&w);
    return e;
}

static void certificates_are_checked(void **state)
{
    (void)state;
    const qd_wire_verify full = QD_WIRE_VERIFY_FULL, signed_ = QD_WIRE_VERIFY_CERTIFICATE,
                         none = QD_WIRE_VERIFY_NONE;
    /* made out to a node's name, or to its host */
    assert_int_equal(meet("n0", full, "n1", full), QD_RPC_UP);
    assert_int_equal(meet("n1", full, "n1", full), QD_RPC_UP);
    /* made out to somebody else: each side says so, unless names do not matter */
    assert_int_equal(meet("n0", full, "other", full), QD_RPC_REFUSED);
    assert_non_null(
        strstr(reason, "its certificate is made out to neither its name [n1] nor its host"));
    assert_int_equal(meet("other", full, "n1", full), QD_RPC_REFUSED);
    assert_non_null(strstr(reason, "the certificate of this node is made out to neither [n0] nor"));
    assert_non_null(strstr(reason, "; give it one that is"));
    assert_int_equal(meet("other", signed_, "n1", signed_), QD_RPC_UP);
    /* of another authority */
    assert_int_equal(meet("n0", full, "foreign", none), QD_RPC_REFUSED);
    assert_non_null(strstr(reason, "its certificate is not accepted: "));
    assert_non_null(strstr(reason, "security.transport.ssl.certificate_authorities"));
    assert_int_equal(meet("foreign", none, "n1", signed_), QD_RPC_REFUSED);
    assert_int_equal(meet("foreign", none, "n1", none), QD_RPC_UP);
    /* one side without TLS */
    assert_int_equal(meet(NULL, none, "n1", full), QD_RPC_REFUSED);
    assert_non_null(strstr(reason, "it demands TLS"));
    assert_true(meet("n1", full, NULL, none) != QD_RPC_UP);
}

static void bad_files_are_named(void **state)
{
    (void)state;
    files a;
    qd_err err;
    qd_err_init(&err);
    world_open(&w, 0);
    tls_of(&a, "n0", QD_WIRE_VERIFY_FULL);
    snprintf(a.key, sizeof a.key, "%s/n1.key", folder);
    assert_int_equal(world_node_open_tls(&w, 0, &a.tls, NULL, NULL, &err), QD_E_CONFIG);
    assert_non_null(strstr(qd_err_reason(&err), "security.transport.ssl.key: ["));
    qd_err_fini(&err);
    tls_of(&a, "missing", QD_WIRE_VERIFY_FULL);
    assert_int_equal(world_node_open_tls(&w, 0, &a.tls, NULL, NULL, &err), QD_E_CONFIG);
    assert_non_null(strstr(qd_err_reason(&err), "security.transport.ssl.certificate: ["));
    qd_err_fini(&err);
    world_close(&w);
}

static void echo(void *arg, qd_rpc_request *r)
{
    (void)arg;
    qd_rpc_reply(r, qd_rpc_request_body(r), (qd_str){NULL, 0});
}

static void bodies_travel_encrypted(void **state)
{
    (void)state;
    files a, b;
    static char body[3000000];
    world_open(&w, 0);
    assert_int_equal(
        world_node_open_tls(&w, 0, tls_of(&a, "n0", QD_WIRE_VERIFY_FULL), NULL, NULL, NULL), 0);
    assert_int_equal(
        world_node_open_tls(&w, 1, tls_of(&b, "n1", QD_WIRE_VERIFY_FULL), NULL, NULL, NULL), 0);
    assert_int_equal(qd_rpc_handle(w.nodes[1].rpc, QD_ACTION_ECHO, "generic", 0, echo, NULL, NULL),
                     0);
    qd_prng rnd;
    qd_prng_init(&rnd, 1);
    for (size_t i = 0; i < sizeof body; i++) body[i] = (char)qd_prng_u64(&rnd);
    for (int i = 0; i < 5; i++) {
        qd_err err;
        qd_err_init(&err);
        qd_rpc_call call = {.to = qd_str_c(w.nodes[1].address),
                            .action = QD_ACTION_ECHO,
                            .class = QD_RPC_BULK,
                            .timeout_ms = 120000,
                            .body = {body, sizeof body - (size_t)i}};
        if (qd_rpc_call_wait(w.nodes[0].rpc, &call, &err)) fail_msg("%s", qd_err_reason(&err));
        assert_int_equal(call.answer.n, sizeof body - (size_t)i);
        assert_memory_equal(call.answer.p, body, call.answer.n);
        qd_rpc_call_fini(&call);
    }
    world_close(&w);
}

/* --- strangers --- */

static int dial(unsigned node)
{
    int s = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons(qd_rpc_port(w.nodes[node].rpc, 0))};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(s >= 0);
    assert_int_equal(connect(s, (struct sockaddr *)&a, sizeof a), 0);
    return s;
}

/* Reads until the end, at most 60 s; returns the number of bytes, -1 when it did not come. */
static long drain(int s, char *out, size_t size)
{
    size_t n = 0;
    for (;;) {
        struct pollfd p = {s, POLLIN, 0};
        if (poll(&p, 1, 60000) <= 0) return -1;
        ssize_t got = read(s, out + n, size - 1 - n);
        if (got <= 0) break;
        n += (size_t)got;
    }
    out[n] = 0;
    return (long)n;
}

static bool something_in(void *rpc)
{
    qd_rpc_stats st;
    qd_rpc_stats_get(rpc, &st);
    return st.rx_bytes > 0;
}

static void http_gets_an_answer(void **state)
{
    (void)state;
    char text[4096];
    assert_int_equal(world_node_open(&w, 0, NULL, NULL), 0);
    int s = dial(0);
    static const char get[] = "GET /_cluster/health HTTP/1.1\r\nHost: x\r\n\r\n";
    /* however it is cut */
    assert_int_equal(write(s, get, 2), 2);
    assert_true(world_until(&w, something_in, w.nodes[0].rpc));
    assert_true(write(s, get + 2, sizeof get - 3) > 0);
    assert_true(drain(s, text, sizeof text) > 0);
    close(s);
    assert_non_null(strstr(text, "HTTP/1.1 400 Bad Request\r\n"));
    assert_non_null(strstr(text, "this is not an HTTP port"));
    assert_non_null(strstr(text, "the REST API is at http://127.0.0.1:9200"));
    qd_rpc_stats st;
    qd_rpc_stats_get(w.nodes[0].rpc, &st);
    assert_int_equal(st.http, 1);
}

static void works_still(unsigned from, unsigned to)
{
    qd_rpc_call call = {.to = qd_str_c(w.nodes[to].address),
                        .action = QD_ACTION_ECHO,
                        .class = QD_RPC_DATA,
                        .timeout_ms = 120000,
                        .body = QD_STR("x")};
    assert_int_equal(qd_rpc_call_wait(w.nodes[from].rpc, &call, NULL), 0);
    qd_rpc_call_fini(&call);
}

static void garbage_is_cut_off(void **state)
{
    (void)state;
    char text[4096];
    uint8_t bytes[512];
    qd_prng rnd;
    qd_prng_init(&rnd, 3);
    assert_int_equal(world_node_open(&w, 0, NULL, NULL), 0);
    assert_int_equal(world_node_open(&w, 1, NULL, NULL), 0);
    assert_int_equal(qd_rpc_handle(w.nodes[0].rpc, QD_ACTION_ECHO, "generic", 0, echo, NULL, NULL),
                     0);
    for (int i = 0; i < 10000; i++) {
        int s = dial(0);
        for (size_t k = 0; k < sizeof bytes; k++) bytes[k] = (uint8_t)qd_prng_u64(&rnd);
        if (i % 3 == 1) memcpy(bytes, "QDR1", 4);
        if (i % 3 == 2) memcpy(bytes, "\x16\x03\x01", 3);
        (void)!write(s, bytes, sizeof bytes);
        assert_true(drain(s, text, sizeof text) >= 0);
        close(s);
    }
    works_still(1, 0);
    qd_rpc_stats st;
    qd_rpc_stats_get(w.nodes[0].rpc, &st);
    assert_true(st.garbage >= 9900);
    assert_true(st.memory < 4000000);
}

static bool has_much(void *arg)
{
    qd_rpc_stats st;
    qd_rpc_stats_get(arg, &st);
    return st.memory > 16 << 20;
}
static bool has_little(void *arg)
{
    qd_rpc_stats st;
    qd_rpc_stats_get(arg, &st);
    return st.memory < 2 << 20;
}

static void connections_that_say_nothing_are_bounded(void **state)
{
    (void)state;
    int s[600];
    char text[64];
    assert_int_equal(world_node_open(&w, 0, NULL, NULL), 0);
    assert_int_equal(world_node_open(&w, 1, NULL, NULL), 0);
    assert_int_equal(qd_rpc_handle(w.nodes[0].rpc, QD_ACTION_ECHO, "generic", 0, echo, NULL, NULL),
                     0);
    works_still(1, 0);
    for (int i = 0; i < 600; i++) s[i] = dial(0);
    works_still(1, 0); /* who is known is served */
    /* beyond the limit they are closed at once */
    assert_int_equal(drain(s[599], text, sizeof text), 0);
    for (int i = 0; i < 600; i++) close(s[i]);
    assert_true(world_until(&w, has_little, w.nodes[0].rpc));
    qd_rpc_call call = {.to = qd_str_c(w.nodes[0].address),
                        .action = QD_ACTION_ECHO,
                        .class = QD_RPC_BULK,
                        .timeout_ms = 120000,
                        .body = QD_STR("x")};
    assert_int_equal(qd_rpc_call_wait(w.nodes[1].rpc, &call, NULL),
                     0); /* a new one is taken again */
    qd_rpc_call_fini(&call);
}

/* --- a peer that follows the protocol, and no more --- */

static size_t frame(uint8_t *out, frame_head h, const void *p, size_t n)
{
    h.length = (uint32_t)n;
    h.checksum = qdi_frame_sum(p, n);
    qdi_frame_put(out, &h);
    memcpy(out + FRAME_HEAD, p, n);
    return FRAME_HEAD + n;
}

/* A connection past the handshake, as node "slow". */
static int dial_as_node(unsigned node)
{
    uint8_t bytes[1024], answer[4096];
    qd_writer wr;
    qd_writer_init(&wr, NULL, 900, QD_RPC_1_0);
    qd_write_u16(&wr, QD_RPC_OLDEST);
    qd_write_u16(&wr, QD_RPC_OLDEST);
    qd_write_u16(&wr, 0);
    qd_write_u8(&wr, QD_RPC_DATA);
    static const char *const texts[] = {"test", "", "id-slow", "ephemeral", "slow"};
    for (int i = 0; i < 5; i++) qd_write_c(&wr, texts[i]);
    qd_write_varint(&wr, 4);
    qd_write_c(&wr, "127.0.0.1:1");
    qd_write_c(&wr, "0");
    size_t n =
        frame(bytes, (frame_head){.version = QD_RPC_1_0, .type = FRAME_HELLO}, wr.buf.p, wr.buf.n);
    qd_writer_fini(&wr);
    int s = dial(node);
    assert_int_equal(write(s, bytes, n), (ssize_t)n);
    ssize_t got = read(s, answer, sizeof answer);
    assert_true(got >= (ssize_t)FRAME_HEAD);
    frame_head h;
    assert_null(qdi_frame_get(answer, &h));
    assert_int_equal(h.type, FRAME_WELCOME);
    return s;
}

static void send_large(void *arg, qd_rpc_request *r)
{
    static char large[1 << 20];
    (void)arg;
    qd_prng rnd; /* does not compress */
    qd_prng_init(&rnd, 1);
    for (size_t i = 0; i < sizeof large && !large[0]; i += 8) {
        uint64_t v = qd_prng_u64(&rnd) | 1;
        memcpy(large + sizeof large - 8 - i, &v, 8);
    }
    qd_rpc_reply(r, (qd_str){large, sizeof large}, (qd_str){NULL, 0});
}

static bool nobody_in(void *arg)
{
    qd_rpc_stats st;
    qd_rpc_stats_get(arg, &st);
    return st.open_in == 0;
}

static void a_peer_that_takes_no_answers_is_given_up(void **state)
{
    (void)state;
    uint8_t bytes[256];
    qd_rpc_stats st;
    uint64_t most = 0;
    assert_int_equal(world_node_open(&w, 0, NULL, NULL), 0);
    qd_rpc *rpc = w.nodes[0].rpc;
    assert_int_equal(qd_rpc_handle(rpc, QD_ACTION_ECHO, NULL, 0, send_large, NULL, NULL), 0);
    int s = dial_as_node(0);
    fcntl(s, F_SETFL, O_NONBLOCK);
    /* asks for 2 GB and reads nothing */
    for (uint64_t i = 1; i <= 2000; i++) {
        static const uint8_t request[] = {2, 0, 0, 'x'};
        frame_head h = {.version = QD_RPC_1_0,
                        .type = FRAME_REQUEST,
                        .flags = FRAME_FIRST | FRAME_END,
                        .id = i,
                        .action = QD_ACTION_ECHO};
        size_t n = frame(bytes, h, request, sizeof request);
        if (write(s, bytes, n) < 0) break;
    }
    assert_true(world_until(&w, has_much, rpc));
    do { /* three pings later it is gone */
        qd_rpc_stats_get(rpc, &st);
        if (st.memory > most) most = st.memory;
        world_pass(&w, 2 * MS);
    } while (!nobody_in(rpc));
    assert_true(most < (80 << 20));
    assert_true(world_until(&w, has_little, rpc)); /* and its memory with it */
    close(s);
}

static bool answers_wait(void *rpc)
{
    qd_rpc_stats st;
    qd_rpc_stats_get(rpc, &st);
    return st.memory >= 16 << 20;
}

static void a_slow_peer_gets_all(void **state)
{
    (void)state;
    uint8_t bytes[256];
    static char got[65536];
    uint64_t most = 0, total = 0, whole = 120;
    qd_rpc_stats st;
    assert_int_equal(world_node_open(&w, 0, NULL, NULL), 0);
    qd_rpc *rpc = w.nodes[0].rpc;
    assert_int_equal(qd_rpc_handle(rpc, QD_ACTION_ECHO, NULL, 0, send_large, NULL, NULL), 0);
    int s = dial_as_node(0);
    static const uint8_t request[] = {2, 0, 0, 'x'};
    for (uint64_t i = 1; i <= whole; i++) {
        frame_head h = {.version = QD_RPC_1_0,
                        .type = FRAME_REQUEST,
                        .flags = FRAME_FIRST | FRAME_END,
                        .id = i,
                        .action = QD_ACTION_ECHO};
        size_t n = frame(bytes, h, request, sizeof request);
        assert_int_equal(write(s, bytes, n), (ssize_t)n);
    }
    assert_true(world_until(&w, answers_wait, rpc)); /* before anything is read */
    while (total <
           whole << 20) { /* pings of the node and heads of frames count too: a little more */
        struct pollfd p = {s, POLLIN, 0};
        assert_int_equal(poll(&p, 1, 60000), 1);
        ssize_t n = read(s, got, sizeof got);
        assert_true(n > 0);
        total += (uint64_t)n;
        qd_rpc_stats_get(rpc, &st);
        if (st.memory > most) most = st.memory;
    }
    assert_true(most < (80 << 20));
    close(s);
}

static void impatient(qd_rpc_config *c, void *arg)
{
    (void)arg;
    c->ping_ns = 200 * MS;
}

static void a_silent_peer_is_given_up(void **state)
{
    (void)state;
    assert_int_equal(world_node_open(&w, 0, impatient, NULL), 0);
    int s = dial_as_node(0); /* says nothing more, answers no ping */
    uint64_t begun = qd_env_mono_ns(qd_env_system());
    assert_true(world_until(&w, nobody_in, w.nodes[0].rpc));
    uint64_t took = qd_env_mono_ns(qd_env_system()) - begun;
    assert_true(took < 60000 * MS); /* three pings of 200 ms, not the handshake's time */
    close(s);
}

static void frames_out_of_place_end_a_connection(void **state)
{
    (void)state;
    static const struct {
        frame_head h;
        size_t n;
        const char *p;
    } bad[] = {
        /* a second hello, an answer, a request of a version not agreed on, one that never began,
         * one that is longer than announced, one that contradicts its flags, one of an absurd
         * length */
        {{.version = 0x100, .type = FRAME_HELLO}, 1, "x"},
        {{.version = 0x100, .type = FRAME_ANSWER, .flags = 3}, 2, "\0\0"},
        {{.version = 0x101, .type = FRAME_REQUEST, .flags = 3}, 4, "\2\0\0x"},
        {{.version = 0x100, .type = FRAME_REQUEST, .flags = 2}, 4, "\2\0\0x"},
        {{.version = 0x100, .type = FRAME_REQUEST, .flags = 3}, 4, "\1\0\0x"},
        {{.version = 0x100, .type = FRAME_REQUEST, .flags = 7}, 4, "\2\0\0x"},
        {{.version = 0x100, .type = FRAME_REQUEST, .flags = 1}, 9, "\xff\xff\xff\xff\xff\x7f\0\0x"},
        {{.version = 0x100, .type = FRAME_POST, .flags = 3}, 1, "\x80"},
    };
    uint8_t bytes[256];
    char text[8192];
    assert_int_equal(world_node_open(&w, 0, NULL, NULL), 0);
    assert_int_equal(world_node_open(&w, 1, NULL, NULL), 0);
    assert_int_equal(qd_rpc_handle(w.nodes[0].rpc, QD_ACTION_ECHO, "generic", 0, echo, NULL, NULL),
                     0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int s = dial_as_node(0);
        size_t n = frame(bytes, bad[i].h, bad[i].p, bad[i].n);
        assert_int_equal(write(s, bytes, n), (ssize_t)n);
        assert_true(drain(s, text, sizeof text) >= 0);
        close(s);
    }
    qd_rpc_stats st;
    qd_rpc_stats_get(w.nodes[0].rpc, &st);
    assert_int_equal(st.garbage, sizeof bad / sizeof bad[0]);
    works_still(1, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(certificates_are_checked),
        cmocka_unit_test(bad_files_are_named),
        cmocka_unit_test(bodies_travel_encrypted),
        cmocka_unit_test_setup_teardown(http_gets_an_answer, start, end),
        cmocka_unit_test_setup_teardown(garbage_is_cut_off, start, end),
        cmocka_unit_test_setup_teardown(connections_that_say_nothing_are_bounded, start, end),
        cmocka_unit_test_setup_teardown(a_peer_that_takes_no_answers_is_given_up, start, end),
        cmocka_unit_test_setup_teardown(a_slow_peer_gets_all, start, end),
        cmocka_unit_test_setup_teardown(a_silent_peer_is_given_up, start, end),
        cmocka_unit_test_setup_teardown(frames_out_of_place_end_a_connection, start, end),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, make_certificates, drop_certificates);
}
