/*
 * server_t.c: the server over real sockets of this machine: keep-alive, pipelining, interim
 * answers, slow and vanishing clients, streams with back-pressure, many connections.
 */
#include "net/http.h"
#include "runtime/pool.h"
#include "runtime/sync.h"
#include "unit/unit.h"
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#define MS UINT64_C(1000000)

typedef struct node {
    qd_env *env;
    qd_loop *loops[2];
    uint32_t nloops;
    qd_pool *pool;
    qd_http_server *server;
    qd_mutex lock;
    qd_cond changed;
    /* under lock */
    uint32_t requests, gone, ended, held, at_gate,
        seen_after; /* seen_after: requests before /seen */
    bool gate_open;
    uint64_t streamed;
    bool refuse_pieces, was_refused;
    int fault; /* of the last piece */
    qd_http_exchange *paused, *waiting[64];
} node;

static node t;

static void note(uint32_t *counter)
{
    qd_mutex_lock(&t.lock);
    ++*counter;
    qd_cond_broadcast(&t.changed);
    qd_mutex_unlock(&t.lock);
}

static void wait_until(uint32_t *counter, uint32_t n)
{
    qd_mutex_lock(&t.lock);
    while (*counter < n) qd_cond_wait(&t.changed, &t.lock);
    qd_mutex_unlock(&t.lock);
}

static uint32_t now(const uint32_t *counter)
{
    qd_mutex_lock(&t.lock);
    uint32_t n = *counter;
    qd_mutex_unlock(&t.lock);
    return n;
}

/* --- what is served: by path ------------------------------------------------------------------ */

typedef struct job {
    qd_work work; /* first */
    qd_http_exchange *x;
    char text[32];
    uint32_t parts;
} job;

static char big[1 << 20];

static void run_job(qd_work *w)
{
    job *j = (job *)(void *)w;
    qd_http_exchange *x = j->x;
    for (uint32_t i = 0; i + 1 < j->parts; i++) {
        if (qd_http_answer(x, 200, "text/plain", "", (qd_str){big, sizeof big}, false)) break;
    }
    (void)qd_http_answer(x, 200, "text/plain", "x-from: worker\r\n", qd_str_c(j->text), true);
    free(j);
    note(&t.ended);
}

static void submit(qd_http_exchange *x, uint32_t parts, const char *text)
{
    job *j = calloc(1, sizeof *j);
    assert_non_null(j);
    j->x = x;
    j->parts = parts;
    snprintf(j->text, sizeof j->text, "%s", text);
    j->work.run = run_job;
    assert_int_equal(qd_pool_submit(t.pool, &j->work, NULL), 0);
}

static bool path_is(const qd_http_exchange *x, const char *path)
{
    return qd_str_is(qd_http_request_get(x)->path, path);
}

static void on_headers(void *arg, qd_http_exchange *x)
{
    (void)arg;
    if (path_is(x, "/stream")) qd_http_stream(x);
    if (path_is(x, "/refuse")) {
        (void)qd_http_answer(x, 406, "text/plain", "", QD_STR("no"), true);
    }
}

static void on_request(void *arg, qd_http_exchange *x, qd_str body)
{
    char text[32];
    (void)arg;
    qd_http_user_set(x, &t, NULL);
    if (path_is(x, "/worker")) {
        submit(x, 1, "from afar");
    } else if (path_is(x, "/large")) {
        submit(x, 65, "end");
    } else if (path_is(x, "/hold")) {
        qd_mutex_lock(&t.lock);
        t.waiting[t.held++] = x;
        qd_cond_broadcast(&t.changed);
        qd_mutex_unlock(&t.lock);
    } else if (path_is(x, "/gate")) { /* the loop stands still until the test goes on */
        note(&t.at_gate);
        qd_mutex_lock(&t.lock);
        while (!t.gate_open) qd_cond_wait(&t.changed, &t.lock);
        qd_mutex_unlock(&t.lock);
        (void)qd_http_answer(x, 200, "text/plain", "", QD_STR("gate"), true);
    } else if (path_is(x, "/burn")) {
        for (uint64_t until = qd_env_mono_ns(t.env) + MS; qd_env_mono_ns(t.env) < until;) continue;
        (void)qd_http_answer(x, 200, "text/plain", "", QD_STR("burnt"), true);
    } else if (path_is(x, "/seen")) {
        qd_mutex_lock(&t.lock);
        t.seen_after = t.requests;
        qd_mutex_unlock(&t.lock);
        (void)qd_http_answer(x, 200, "text/plain", "", QD_STR("seen"), true);
    } else if (path_is(x, "/big")) {
        (void)qd_http_answer(x, 200, "text/plain", "", (qd_str){big, sizeof big}, true);
    } else {
        snprintf(text, sizeof text, "%zu:%.*s", body.n, (int)(body.n < 20 ? body.n : 20), body.p);
        (void)qd_http_answer(x, 200, "text/plain", "", qd_str_c(text), true);
    }
    note(&t.requests);
}

static bool on_piece(void *arg, qd_http_exchange *x, qd_str piece, bool last)
{
    bool take = true;
    (void)arg;
    qd_mutex_lock(&t.lock);
    if (t.refuse_pieces) {
        t.paused = x;
        t.was_refused = true;
        take = false;
    } else {
        t.streamed += piece.n;
    }
    qd_cond_broadcast(&t.changed);
    qd_mutex_unlock(&t.lock);
    if (take && last) t.fault = qd_http_fault(x);
    if (take && last) qd_http_user_set(x, &t, NULL);
    if (take && last) submit(x, 1, "streamed");
    return take;
}

static void on_gone(void *arg, qd_http_exchange *x)
{
    (void)arg;
    /* a request that came whole is answered by whoever has it, into nothing */
    if (!qd_http_user(x)) (void)qd_http_answer(x, 0, "", "", QD_STR(""), true);
    note(&t.gone);
}

static void on_bad(void *arg, int status, const char *reason, qd_buf *body)
{
    (void)arg;
    (void)qd_buf_printf(body, "%d %s", status, reason);
}

static void start(uint64_t read_ms, uint64_t keep_ms, uint32_t loops)
{
    memset(&t, 0, sizeof t);
    memset(big, 'b', sizeof big);
    t.env = qd_env_system();
    qd_mutex_init(&t.lock);
    qd_cond_init(&t.changed);
    t.nloops = loops;
    for (uint32_t i = 0; i < loops; i++) {
        assert_int_equal(qd_loop_open(t.env, "http", &t.loops[i], NULL), 0);
        assert_int_equal(qd_loop_start(t.loops[i], NULL), 0);
    }
    assert_int_equal(qd_pool_open(t.env, "test", 2, 1000, &t.pool, NULL), 0);
    qd_http_config c = {
        .env = t.env,
        .loops = t.loops,
        .nloops = loops,
        .host = "127.0.0.1",
        .backlog = 1024,
        .max_content_length = 8 << 20,
        .max_initial_line = 4096,
        .max_header_bytes = 16384,
        .max_headers = 100,
        .max_connections = 20000,
        .read_timeout_ns = read_ms * MS,
        .keep_alive_ns = keep_ms * MS,
        .compression = true,
        .compression_level = 3,
        .compression_min = 1024,
        .server_headers = "X-server: test\r\n",
        .handler = {NULL, on_headers, on_request, on_piece, on_gone, on_bad},
    };
    assert_int_equal(qd_http_listen(&c, &t.server, NULL), 0);
}

static void stop(void)
{
    qd_http_close(t.server);
    qd_pool_close(t.pool);
    for (uint32_t i = 0; i < t.nloops; i++) qd_loop_close(t.loops[i]);
    qd_cond_fini(&t.changed);
    qd_mutex_fini(&t.lock);
}

/* --- a client ----------------------------------------------------------------------------------
 */

static int dial(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(qd_http_port(t.server))};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a)) {
        fail_msg("connect: %s", strerror(errno));
    }
    return fd;
}

static void put_n(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t k = send(fd, p, n, MSG_NOSIGNAL);
        if (k <= 0) fail_msg("send: %s", strerror(errno));
        p += k;
        n -= (size_t)k;
    }
}
static void put(int fd, const char *text)
{
    put_n(fd, text, strlen(text));
}

typedef struct answer {
    int status;
    char head[4096];
    char *body;
    size_t n;
} answer;

static size_t get_some(int fd, char *p, size_t n)
{
    ssize_t k;
    do {
        k = recv(fd, p, n, 0);
    } while (k < 0 && errno == EINTR);
    return k < 0 ? 0 : (size_t)k;
}

static void get_exactly(int fd, char *p, size_t n)
{
    while (n) {
        size_t k = get_some(fd, p, n);
        if (!k) fail_msg("the answer ends %zu bytes too early", n);
        p += k;
        n -= k;
    }
}

static void get_line(int fd, char *line, size_t room)
{
    size_t n = 0;
    do {
        assert_true(n + 1 < room);
        get_exactly(fd, line + n++, 1);
    } while (n < 2 || line[n - 2] != '\r' || line[n - 1] != '\n');
    line[n - 2] = 0;
}

/* Reads one answer; its body is to be freed. no_body: of a HEAD request or an interim answer. */
static void get(int fd, answer *a, bool no_body)
{
    char line[1024];
    memset(a, 0, sizeof *a);
    get_line(fd, line, sizeof line);
    assert_int_equal(sscanf(line, "HTTP/1.1 %d ", &a->status), 1);
    size_t length = 0;
    bool chunked = false;
    for (;;) {
        get_line(fd, line, sizeof line);
        if (!line[0]) break;
        snprintf(a->head + strlen(a->head), sizeof a->head - strlen(a->head), "%s\n", line);
        (void)sscanf(line, "content-length: %zu", &length);
        if (!strcmp(line, "transfer-encoding: chunked")) chunked = true;
    }
    a->body = calloc(1, (chunked ? (size_t)80 << 20 : length) + 1);
    assert_non_null(a->body);
    if (no_body) return;
    while (chunked) {
        get_line(fd, line, sizeof line);
        size_t n = strtoull(line, NULL, 16);
        get_exactly(fd, a->body + a->n, n);
        a->n += n;
        get_line(fd, line, sizeof line);
        if (n == 0) return;
    }
    get_exactly(fd, a->body, length);
    a->n = length;
}

static void expect(int fd, int status, const char *body)
{
    answer a;
    get(fd, &a, false);
    assert_int_equal(a.status, status);
    if (body) assert_string_equal(a.body, body);
    free(a.body);
}

static void expect_end(int fd)
{
    char c;
    assert_int_equal(get_some(fd, &c, 1), 0);
    close(fd);
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: h\r\n\r\n"

/* --- tests -------------------------------------------------------------------------------------
 */

static void a_connection_serves_many_requests(void **state)
{
    (void)state;
    start(10000, 10000, 2);
    int fd = dial();
    for (int i = 0; i < 5; i++) {
        put(fd, GET("/"));
        expect(fd, 200, "0:");
        put(fd, "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello");
        expect(fd, 200, "5:hello");
        put(fd, GET("/worker"));
        expect(fd, 200, "from afar");
        put(fd, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n");
        put(fd, "0\r\n\r\n");
        expect(fd, 200, "5:abcde");
    }
    answer a;
    put(fd, "HEAD /worker HTTP/1.1\r\n\r\n" GET("/"));
    get(fd, &a, true);
    assert_non_null(strstr(a.head, "content-length: 9\n"));
    assert_non_null(strstr(a.head, "X-server: test\n"));
    free(a.body);
    expect(fd, 200, "0:");
    put(fd, "HEAD /large HTTP/1.1\r\n\r\n" GET("/"));
    get(fd, &a, true);
    free(a.body);
    expect(fd, 200, "0:");
    put(fd, "GET / HTTP/1.1\r\nConnection: close\r\n\r\n");
    get(fd, &a, false);
    assert_non_null(strstr(a.head, "connection: close\n"));
    free(a.body);
    expect_end(fd);
    fd = dial();
    put(fd, "\r\nGET / HTTP/1.0\r\n\r\n");
    expect(fd, 200, "0:");
    expect_end(fd);
    fd = dial(); /* an old client gets an answer in parts without chunks, up to the end */
    put(fd, "GET /large HTTP/1.0\r\n\r\n");
    size_t n = 0, k;
    char buf[65536];
    while ((k = get_some(fd, buf, sizeof buf))) n += k;
    assert_true(n > ((size_t)64 << 20) && memcmp(buf, "HTTP", 4) != 0);
    close(fd);
    stop();
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    (void)state;
    start(10000, 10000, 1);
    int fd = dial();
    put(fd,
        GET("/worker") GET(
            "/") "POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi"
                 "POST /refuse HTTP/1.1\r\nContent-Length: 4\r\n\r\nGET " GET(
                     "/worker") "POST / HTTP/1.1\r\nTransfer-Encoding: "
                                "chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"
                                "POST /stream HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc" GET("/"));
    expect(fd, 200, "from afar");
    expect(fd, 200, "0:");
    expect(fd, 200, "2:hi");
    expect(fd, 406, "no"); /* the body of a refused request is dropped */
    expect(fd, 200, "from afar");
    expect(fd, 200, "1:x");
    expect(fd, 200, "streamed");
    expect(fd, 200, "0:");
    /* one byte at a time */
    const char *text = GET("/") "POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi" GET("/worker");
    for (const char *p = text; *p; p++) put_n(fd, p, 1);
    expect(fd, 200, "0:");
    expect(fd, 200, "2:hi");
    expect(fd, 200, "from afar");
    close(fd);
    stop();
}

static void sixteen_small_requests_are_answered_by_one_write(void **state)
{
    (void)state;
    start(10000, 10000, 1);
    int fd = dial();
    char all[4096] = "", got[8192];
    for (int i = 0; i < 16; i++) strncat(all, GET("/"), sizeof all - strlen(all) - 1);
    put(fd, all);
    wait_until(&t.requests, 16);
    /* the last request was answered inside the turn that will write: what is there is one piece */
    assert_int_equal(recv(fd, got, 1, 0), 1);
    size_t n = 1 + get_some(fd, got + 1, sizeof got - 2);
    got[n] = 0;
    int answers = 0;
    for (char *p = got; (p = strstr(p, "HTTP/1.1 200")); p++) answers++;
    assert_int_equal(answers, 16);
    close(fd);
    stop();
}

/* A client that sends much work ahead does not keep its loop from the others. */
static void who_sends_ahead_shares_the_loop(void **state)
{
    enum { BURNS = 300 };
    char all[BURNS * 48] = "";
    (void)state;
    start(10000, 10000, 1);
    int other = dial(), fd = dial();
    put(other, GET("/"));
    expect(other, 200, "0:");
    char *p = stpcpy(all, GET("/gate"));
    for (int i = 0; i < BURNS; i++) p = stpcpy(p, GET("/burn"));
    put(fd, all);
    wait_until(&t.at_gate, 1);
    put(other, GET("/seen"));
    qd_mutex_lock(&t.lock);
    t.gate_open = true;
    qd_cond_broadcast(&t.changed);
    qd_mutex_unlock(&t.lock);
    expect(other, 200, "seen");
    assert_in_range(now(&t.seen_after), 2, BURNS);
    expect(fd, 200, "gate");
    for (int i = 0; i < BURNS; i++) expect(fd, 200, "burnt");
    close(other);
    close(fd);
    stop();
}

static void clients_may_ask_before_they_send(void **state)
{
    (void)state;
    start(10000, 10000, 1);
    int fd = dial();
    answer a;
    put(fd, "POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    get(fd, &a, true);
    assert_int_equal(a.status, 100);
    free(a.body);
    put(fd, "abc");
    expect(fd, 200, "3:abc");
    put(fd, "POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 99999999\r\n\r\n");
    get(fd, &a, false); /* refused before the body */
    assert_int_equal(a.status, 413);
    assert_non_null(strstr(a.head, "connection: close\n"));
    free(a.body);
    expect_end(fd);
    fd = dial(); /* whether the body comes is unknown after a final answer */
    put(fd, "POST /refuse HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    expect(fd, 406, "no");
    expect_end(fd);
    stop();
}

static void an_answer_reaches_a_client_that_goes_on_sending(void **state)
{
    (void)state;
    start(10000, 10000, 1);
    int fd = dial();
    put(fd, "POST / HTTP/1.1\r\nContent-Length: 20000000\r\n\r\n");
    for (int i = 0; i < 19; i++) put_n(fd, big, sizeof big);
    expect(fd, 413, NULL);
    expect_end(fd);
    fd = dial(); /* counted as it comes */
    put(fd, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 12; i++) {
        put(fd, "100000\r\n");
        put_n(fd, big, sizeof big);
        put(fd, "\r\n");
    }
    expect(fd, 413, NULL);
    expect_end(fd);
    stop();
}

static void ambiguous_requests_close_the_connection(void **state)
{
    (void)state;
    start(10000, 10000, 1);
    static const char *const bad[] = {
        "POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        "GET / HTTP/1.1\nHost: h\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
        "nonsense\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int fd = dial();
        put(fd, GET("/"));
        put(fd, bad[i]);
        put(fd, GET("/")); /* what follows is never looked at */
        expect(fd, 200, "0:");
        expect(fd, 400, NULL);
        expect_end(fd);
    }
    wait_until(&t.requests, sizeof bad / sizeof bad[0]);
    assert_int_equal(now(&t.requests), sizeof bad / sizeof bad[0]);
    stop();
}

static void slow_clients_are_ended(void **state)
{
    (void)state;
    start(150, 200, 1);
    int fd = dial();
    expect_end(fd); /* nothing comes */
    fd = dial();
    put(fd, "GET / HT"); /* half a head; more of it does not help */
    put(fd, "T");
    expect(fd, 408, NULL);
    expect_end(fd);
    fd = dial();
    put(fd, "POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc"); /* half a body */
    expect(fd, 408, NULL);
    expect_end(fd);
    fd = dial();
    put(fd, GET("/"));
    expect(fd, 200, "0:");
    expect_end(fd); /* idle */
    fd = dial();
    int small = 4096;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    put(fd, GET("/large")); /* takes nothing of its answer: the worker is set free */
    wait_until(&t.ended, 1);
    wait_until(&t.gone, 1);
    close(fd);
    stop();
}

static void a_head_has_one_time_for_all_its_pieces(void **state)
{
    (void)state;
    start(200, 10000, 1);
    int fd = dial();
    const char *head = "GET / HTTP/1.1\r\nX: ";
    put(fd, head);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    while (poll(&p, 1, 20) == 0) put(fd, "y"); /* drips for as long as it may */
    expect(fd, 408, NULL);
    close(fd);
    stop();
}

static void answers_are_compressed_where_asked_for(void **state)
{
    (void)state;
    start(10000, 10000, 1);
    int fd = dial();
    answer a;
    static char plain[2 << 20];
    put(fd, "GET /big HTTP/1.1\r\nAccept-Encoding: gzip\r\n\r\n");
    get(fd, &a, false);
    assert_non_null(strstr(a.head, "content-encoding: gzip\n"));
    z_stream z = {.next_in = (Bytef *)a.body, .avail_in = (uInt)a.n};
    z.next_out = (Bytef *)plain;
    z.avail_out = sizeof plain;
    assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
    assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
    assert_true(z.total_out == sizeof big && memcmp(plain, big, sizeof big) == 0);
    (void)inflateEnd(&z);
    free(a.body);
    put(fd, "GET / HTTP/1.1\r\nAccept-Encoding: gzip\r\n\r\n"); /* too small */
    get(fd, &a, false);
    assert_null(strstr(a.head, "content-encoding"));
    free(a.body);
    put(fd, GET("/big"));
    get(fd, &a, false);
    assert_int_equal(a.n, sizeof big);
    free(a.body);
    close(fd);
    stop();
}

static void a_stream_waits_for_its_taker(void **state)
{
    (void)state;
    start(10000, 10000, 1);
    t.refuse_pieces = true;
    int fd = dial();
    put(fd, "POST /stream HTTP/1.1\r\nContent-Length: 8000000\r\n\r\n");
    put_n(fd, big, 100000);
    qd_mutex_lock(&t.lock);
    while (!t.was_refused) qd_cond_wait(&t.changed, &t.lock);
    t.refuse_pieces = false;
    qd_http_exchange *x = t.paused;
    qd_mutex_unlock(&t.lock);
    qd_http_resume(x);
    for (size_t sent = 100000; sent < 8000000;) {
        size_t n = 8000000 - sent < sizeof big ? 8000000 - sent : sizeof big;
        put_n(fd, big, n);
        sent += n;
    }
    expect(fd, 200, "streamed");
    qd_mutex_lock(&t.lock);
    assert_int_equal(t.streamed, 8000000);
    qd_mutex_unlock(&t.lock);
    put(fd, GET("/"));
    expect(fd, 200, "0:");
    close(fd);
    fd = dial(); /* a stream whose client goes */
    put(fd, "POST /stream HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc");
    close(fd);
    wait_until(&t.gone, 1);
    stop();
}

/* The time of a body that is refused for a while does not pass, and goes on afterwards. */
static void a_client_that_stops_after_a_pause_is_ended(void **state)
{
    (void)state;
    start(150, 10000, 1);
    t.refuse_pieces = true;
    int fd = dial();
    put(fd, "POST /stream HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc");
    qd_mutex_lock(&t.lock);
    while (!t.was_refused) qd_cond_wait(&t.changed, &t.lock);
    qd_mutex_unlock(&t.lock);
    int later = dial(); /* when its time has ended, so has the one before */
    put(later, "GET / HT");
    expect(later, 408, NULL);
    expect_end(later);
    qd_mutex_lock(&t.lock);
    t.refuse_pieces = false;
    qd_http_exchange *x = t.paused;
    qd_mutex_unlock(&t.lock);
    qd_http_resume(x);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&p, 1, 20000), 1); /* it says no more */
    expect(fd, 200, "streamed");             /* by the handler, which may have acted on what came */
    expect_end(fd);
    stop();
    assert_int_equal(t.fault, 408);
}

static void a_client_may_go_while_its_answer_is_made(void **state)
{
    (void)state;
    start(10000, 10000, 1);
    for (uint32_t i = 1; i <= 8; i++) {
        int fd = dial();
        put(fd, GET("/hold"));
        wait_until(&t.held, i);
        close(fd);
        wait_until(&t.gone, i);
    }
    for (uint32_t i = 0; i < 8; i++) submit(t.waiting[i], 3, "into nothing");
    wait_until(&t.ended, 8);
    stop();
}

static void large_answers_wait_for_slow_readers(void **state)
{
    (void)state;
    start(10000, 10000, 1);
    int fd = dial();
    answer a;
    put(fd, GET("/large") GET("/"));
    get(fd, &a, false);
    assert_int_equal(a.n, ((size_t)64 << 20) + 3);
    assert_string_equal(a.body + ((size_t)64 << 20), "end");
    free(a.body);
    expect(fd, 200, "0:");
    /* requests whose answers are not taken are not begun */
    for (int i = 0; i < 200; i++) put(fd, GET("/big"));
    put(fd, GET("/"));
    wait_until(&t.requests, 4);
    for (int i = 0; i < 200; i++) {
        get(fd, &a, false);
        assert_int_equal(a.n, sizeof big);
        free(a.body);
    }
    expect(fd, 200, "0:");
    close(fd);
    stop();
}

static void draining_ends_what_is_under_way(void **state)
{
    (void)state;
    start(10000, 10000, 2);
    int idle = dial(), busy = dial();
    put(idle, GET("/"));
    expect(idle, 200, "0:");
    put(busy, GET("/hold"));
    wait_until(&t.held, 1);
    submit(t.waiting[0], 1, "still");
    qd_http_drain(t.server, 10000 * MS);
    answer a;
    get(busy, &a, false);
    assert_string_equal(a.body, "still");
    free(a.body);
    expect_end(busy);
    expect_end(idle);
    stop();
}

static void ten_thousand_connections_stay_open(void **state)
{
    (void)state;
    struct rlimit r;
    enum { ASKED = 10000 };
    getrlimit(RLIMIT_NOFILE, &r);
    r.rlim_cur = r.rlim_max;
    setrlimit(RLIMIT_NOFILE, &r);
    /* both ends are in this process */
    const int many = r.rlim_cur >= 2 * ASKED + 200 ? ASKED : ((int)r.rlim_cur - 200) / 2;
    print_message("# %d connections\n", many);
    start(60000, 60000, 2);
    static int fd[ASKED];
    for (int i = 0; i < many; i++) {
        fd[i] = dial();
        put(fd[i], GET("/"));
    }
    for (int i = 0; i < many; i++) expect(fd[i], 200, "0:");
    qd_http_stats stats;
    qd_http_stats_get(t.server, &stats);
    assert_int_equal(stats.open, many);
    for (int i = 0; i < many; i += 97) {
        put(fd[i], GET("/worker"));
        expect(fd[i], 200, "from afar");
    }
    for (int i = 0; i < many; i++) close(fd[i]);
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_serves_many_requests),
        cmocka_unit_test(pipelined_requests_are_answered_in_order),
        cmocka_unit_test(sixteen_small_requests_are_answered_by_one_write),
        cmocka_unit_test(who_sends_ahead_shares_the_loop),
        cmocka_unit_test(clients_may_ask_before_they_send),
        cmocka_unit_test(an_answer_reaches_a_client_that_goes_on_sending),
        cmocka_unit_test(ambiguous_requests_close_the_connection),
        cmocka_unit_test(slow_clients_are_ended),
        cmocka_unit_test(a_head_has_one_time_for_all_its_pieces),
        cmocka_unit_test(answers_are_compressed_where_asked_for),
        cmocka_unit_test(a_stream_waits_for_its_taker),
        cmocka_unit_test(a_client_that_stops_after_a_pause_is_ended),
        cmocka_unit_test(a_client_may_go_while_its_answer_is_made),
        cmocka_unit_test(large_answers_wait_for_slow_readers),
        cmocka_unit_test(draining_ends_what_is_under_way),
        cmocka_unit_test(ten_thousand_connections_stay_open),
    };
    return unit_run(tests);
}
