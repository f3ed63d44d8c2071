/* curl_t.c: the transport by libcurl against a real server on loopback. */
#include "unit/kube/rig.h"
#include "unit/kube/server.h"
#include "unit/lib/certs.h"
#include <kube/curl.h>
#include <signal.h>
#include <time.h>

typedef struct world {
    rig w; /* of which only the memory is used */
    uv_loop_t uv;
    kube_loop loop;
    kube_config config;
    kube_sources from;
    kube_transport *t;
    server server;
    char address[128];
    const char *token; /* what the token file holds */
    int64_t ahead;     /* added to the clock */
    uint32_t token_reads;
    int32_t closed;
} world;

static int64_t mono_ns(void *arg)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * KUBE_SECOND_NS + t.tv_nsec + ((world *)arg)->ahead;
}
static uint64_t random_of(void *arg)
{
    return rig_random(&((world *)arg)->w);
}
static int32_t read_token(void *arg, const kube_env *env, const char *path, size_t max, char **out,
                          size_t *n)
{
    world *w = arg;
    (void)path;
    (void)max;
    w->token_reads++;
    if (!w->token) return QD_E_NOTFOUND;
    *n = strlen(w->token);
    *out = kube_copy(env, w->token, *n);
    return 0;
}

static void connect_to(world *w, const char *host, SSL_CTX *tls)
{
    kube_error err;
    memset(w, 0, sizeof *w);
    rig_init(&w->w);
    assert_int_equal(uv_loop_init(&w->uv), 0);
    w->loop = (kube_loop){.env = {.mem = &rig_mem, .self = (qd_self *)&w->w},
                          .uv = &w->uv,
                          .arg = w,
                          .mono_ns = mono_ns,
                          .random = random_of};
    kube_loop_init(&w->loop);
    server_start(&w->server, tls);
    (void)snprintf(w->address, sizeof w->address, "http%s://%s:%u", tls ? "s" : "", host,
                   w->server.port);
    w->config.server = w->address;
    w->from = (kube_sources){w, NULL, read_token};
    w->t = kube_curl_make(&w->loop.env, &w->uv, &w->config, &w->from, NULL, &err);
    assert_non_null(w->t);
}

static void on_closed(void *arg)
{
    (*(int32_t *)arg)++;
}

static void leave(world *w)
{
    w->t->free(w->t, on_closed, &w->closed);
    kube_loop_close(&w->loop, on_closed, &w->closed);
    (void)uv_run(&w->uv, UV_RUN_DEFAULT);
    assert_int_equal(w->closed, 2);
    assert_int_equal(uv_loop_close(&w->uv), 0);
    server_stop(&w->server);
    rig_fini(&w->w);
}

/* --- one exchange --- */

typedef struct trip {
    kube_exchange x;
    int32_t done;
    char answer[4096], chunks[256];
    size_t n;
    uint32_t calls;
    int32_t whole; /* all that /watch sends has come */
} trip;

static void on_done(kube_exchange *x)
{
    trip *t = x->user;
    t->done++;
    t->n = x->answer.n;
    (void)snprintf(t->answer, sizeof t->answer, "%.*s",
                   (int)(x->answer.n < 4000 ? x->answer.n : 4000), x->answer.p);
}
static void on_chunk(kube_exchange *x, qd_str bytes)
{
    trip *t = x->user;
    size_t n = strlen(t->chunks);
    t->calls++;
    (void)snprintf(t->chunks + n, sizeof t->chunks - n, "%.*s", (int)bytes.n, bytes.p);
    t->whole = strcmp(t->chunks, "{\"a\":1}\n{\"b\":2}\n") == 0;
}

static void begin(world *w, trip *t, const char *method, const char *path, const char *body)
{
    memset(t, 0, sizeof *t);
    t->x = (kube_exchange){.method = method,
                           .target = path,
                           .body = {body, strlen(body)},
                           .timeout_ns = 60 * KUBE_SECOND_NS,
                           .done = on_done,
                           .user = t};
    assert_int_equal(w->t->start(w->t, &t->x), 0);
    assert_int_equal(t->done, 0);
}

/* Keeps the loop from waiting for long: what is waited for may come before it looks at its sockets.
 */
static void on_tick(uv_timer_t *t)
{
    (void)t;
}
/* Runs the loop until *what is not 0. */
static void until(world *w, const int32_t *what)
{
    uv_timer_t timer;
    uint64_t from = uv_now(&w->uv);
    assert_int_equal(uv_timer_init(&w->uv, &timer), 0);
    (void)uv_timer_start(&timer, on_tick, 10, 10);
    while (!*what && uv_now(&w->uv) - from < 50000) (void)uv_run(&w->uv, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&timer, NULL);
    (void)uv_run(&w->uv, UV_RUN_NOWAIT);
    assert_int_not_equal(*what, 0);
}

static void trip_to(world *w, trip *t, const char *method, const char *path, const char *body)
{
    begin(w, t, method, path, body);
    until(w, &t->done);
}

static void requests_reach_the_server(void **state)
{
    (void)state;
    world w;
    trip t;
    connect_to(&w, "127.0.0.1", NULL);
    trip_to(&w, &t, "GET", "/echo", "");
    assert_int_equal(t.x.outcome, KUBE_ANSWERED);
    assert_int_equal(t.x.status, 200);
    assert_int_equal(t.x.date_ms, 1767225600000ll);
    assert_int_equal(t.x.retry_after_ns, -1);
    assert_non_null(strstr(t.answer, "\"method\":\"GET\",\"type\":\"\",\"auth\":\"\""));
    trip_to(&w, &t, "PUT", "/echo", "some text");
    assert_non_null(strstr(t.answer, "\"method\":\"PUT\",\"type\":\"application/json\""));
    assert_non_null(strstr(t.answer, "\"body\":\"some text\""));
    trip_to(&w, &t, "POST", "/echo", "x");
    assert_non_null(strstr(t.answer, "\"method\":\"POST\""));
    trip_to(&w, &t, "DELETE", "/echo", "");
    assert_non_null(strstr(t.answer, "\"method\":\"DELETE\""));
    trip_to(&w, &t, "DELETE", "/echo", "precondition");
    assert_non_null(strstr(t.answer, "\"body\":\"precondition\""));
    memset(&t, 0, sizeof t);
    trip_to(&w, &t, "GET", "/busy", "");
    assert_int_equal(t.x.status, 429);
    assert_int_equal(t.x.retry_after_ns, 7 * KUBE_SECOND_NS);
    trip_to(&w, &t, "GET", "/none", "");
    assert_int_equal(t.x.status, 404);
    /* all of it over one connection */
    assert_int_equal(atomic_load(&w.server.requests), 7);
    assert_int_equal(atomic_load(&w.server.connections), 1);
    leave(&w);
}

static void answers_come_as_asked_for(void **state)
{
    (void)state;
    world w;
    trip t = {0};
    connect_to(&w, "127.0.0.1", NULL);
    trip_to(&w, &t, "GET", "/echo", "");
    assert_non_null(strstr(t.answer, "\"accept\":\"application/json\""));
    memset(&t, 0, sizeof t);
    t.x = (kube_exchange){.method = "GET",
                          .target = "/echo",
                          .accept = KUBE_METADATA_LIST,
                          .timeout_ns = 60 * KUBE_SECOND_NS,
                          .done = on_done,
                          .user = &t};
    assert_int_equal(w.t->start(w.t, &t.x), 0);
    until(&w, &t.done);
    assert_non_null(strstr(t.answer, "\"accept\":\"application/json;as=PartialObjectMetadataList"));
    leave(&w);
}

static void many_at_once(void **state)
{
    (void)state;
    world w;
    trip t[12];
    connect_to(&w, "127.0.0.1", NULL);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 12; i++) begin(&w, &t[i], "GET", "/echo", "");
        for (int i = 0; i < 12; i++) until(&w, &t[i].done);
        for (int i = 0; i < 12; i++) assert_int_equal(t[i].x.status, 200);
    }
    assert_true(atomic_load(&w.server.connections) <= 12);
    leave(&w);
}

static void what_was_not_sent_is_known(void **state)
{
    (void)state;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof at;
    world w;
    trip t;
    connect_to(&w, "127.0.0.1", NULL);
    /* a port that is taken, and where nobody listens */
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &n), 0);
    w.t->free(w.t, on_closed, &w.closed);
    (void)snprintf(w.address, sizeof w.address, "http://127.0.0.1:%u", ntohs(at.sin_port));
    w.t = kube_curl_make(&w.loop.env, &w.uv, &w.config, &w.from, NULL, NULL);
    trip_to(&w, &t, "PUT", "/echo", "x");
    assert_int_equal(t.x.outcome, KUBE_NOT_SENT);
    assert_int_equal(t.x.status, 0);
    assert_true(t.x.why[0]);
    close(fd);
    w.closed = 0;
    leave(&w);
}

static void what_was_sent_is_unknown(void **state)
{
    (void)state;
    world w;
    trip t;
    connect_to(&w, "127.0.0.1", NULL);
    trip_to(&w, &t, "PUT", "/reset", "x");
    assert_int_equal(t.x.outcome, KUBE_NO_ANSWER);
    trip_to(&w, &t, "GET", "/half", "");
    assert_int_equal(t.x.outcome, KUBE_NO_ANSWER);
    /* its time is over: longer, until it was enough to be sent */
    t.x.outcome = KUBE_NOT_SENT;
    for (int64_t ns = KUBE_SECOND_NS / 5; t.x.outcome == KUBE_NOT_SENT; ns *= 2) {
        assert_true(ns < 60 * KUBE_SECOND_NS);
        memset(&t, 0, sizeof t);
        t.x = (kube_exchange){.method = "PUT",
                              .target = "/stall",
                              .body = {"x", 1},
                              .timeout_ns = ns,
                              .done = on_done,
                              .user = &t};
        assert_int_equal(w.t->start(w.t, &t.x), 0);
        until(&w, &t.done);
    }
    assert_int_equal(t.x.outcome, KUBE_NO_ANSWER);
    assert_int_equal(t.x.status, 0);
    leave(&w);
}

/* A kept connection that ends with the next request: libcurl would send it again by itself. */
static void writes_are_sent_once(void **state)
{
    (void)state;
    static const char *const methods[] = {"PUT", "POST", "DELETE", "PATCH"};
    world w;
    trip t;
    connect_to(&w, "127.0.0.1", NULL);
    for (int i = 0; i < 4; i++) {
        trip_to(&w, &t, "GET", "/again", "");
        assert_int_equal(t.x.status, 200);
        unsigned before = atomic_load(&w.server.requests);
        trip_to(&w, &t, methods[i], "/again", i == 2 ? "" : "x");
        assert_int_equal(t.x.outcome, KUBE_NO_ANSWER);
        assert_int_equal(atomic_load(&w.server.requests), before + 1);
    }
    /* a read may be */
    trip_to(&w, &t, "GET", "/again", "");
    trip_to(&w, &t, "GET", "/again", "");
    assert_int_equal(t.x.status, 200);
    leave(&w);
}

static void answers_have_a_bound(void **state)
{
    (void)state;
    world w;
    trip t;
    connect_to(&w, "127.0.0.1", NULL);
    trip_to(&w, &t, "GET", "/big", "");
    assert_int_equal(t.x.outcome, KUBE_ANSWERED);
    assert_int_equal(t.n, 100000);
    memset(&t, 0, sizeof t);
    t.x = (kube_exchange){
        .method = "GET", .target = "/big", .answer_max = 99999, .done = on_done, .user = &t};
    assert_int_equal(w.t->start(w.t, &t.x), 0);
    until(&w, &t.done);
    assert_int_equal(t.x.outcome, KUBE_TOO_LARGE);
    assert_int_equal(t.x.status, 200);
    leave(&w);
}

/* --- streams --- */

static world *present;
static trip other;

static void on_chunk_cancel(kube_exchange *x, qd_str bytes)
{
    on_chunk(x, bytes);
    if (!bytes.n) return;
    /* from inside curl's own call: this one goes, another begins and goes, a third stays */
    assert_int_equal(present->t->cancel(present->t, x), KUBE_NO_ANSWER);
    trip gone;
    begin(present, &gone, "GET", "/echo", "");
    assert_int_equal(present->t->cancel(present->t, &gone.x), KUBE_NOT_SENT);
    begin(present, &other, "GET", "/echo", "");
}

static void streams_come_in_chunks(void **state)
{
    (void)state;
    world w;
    trip t;
    connect_to(&w, "127.0.0.1", NULL);
    memset(&t, 0, sizeof t);
    t.x = (kube_exchange){
        .method = "GET", .target = "/watch", .chunk = on_chunk, .done = on_done, .user = &t};
    assert_int_equal(w.t->start(w.t, &t.x), 0);
    until(&w, &t.whole);
    assert_int_equal(t.x.status, 200);
    assert_true(t.calls >= 2);
    assert_int_equal(t.done, 0);
    assert_int_equal(w.t->cancel(w.t, &t.x), KUBE_NO_ANSWER);
    /* an answer other than 2xx is gathered */
    memset(&t, 0, sizeof t);
    t.x = (kube_exchange){
        .method = "GET", .target = "/gone", .chunk = on_chunk, .done = on_done, .user = &t};
    assert_int_equal(w.t->start(w.t, &t.x), 0);
    until(&w, &t.done);
    assert_int_equal(t.x.status, 410);
    assert_string_equal(t.answer, "{\"reason\":\"Gone\"}");
    assert_int_equal(t.calls, 0);
    memset(&t, 0, sizeof t);
    memset(&other, 0, sizeof other);
    present = &w;
    t.x = (kube_exchange){
        .method = "GET", .target = "/watch", .chunk = on_chunk_cancel, .done = on_done, .user = &t};
    assert_int_equal(w.t->start(w.t, &t.x), 0);
    until(&w, &other.done);
    assert_int_equal(other.x.status, 200);
    assert_int_equal(t.done, 0);
    /* what is open when the transport goes is dropped */
    begin(&w, &t, "GET", "/stall", "");
    begin(&w, &other, "PUT", "/stall", "x");
    for (int i = 0; i < 3; i++) (void)uv_run(&w.uv, UV_RUN_NOWAIT);
    leave(&w);
    assert_int_equal(t.done, 0);
}

/* --- credentials --- */

static char token_file[] = "token";

static void tokens_rotate(void **state)
{
    (void)state;
    world w;
    trip t;
    connect_to(&w, "127.0.0.1", NULL);
    w.config.token_file = token_file;
    w.token = " old\n";
    trip_to(&w, &t, "GET", "/token", "");
    assert_int_equal(t.x.status, 401);
    w.token = "new\n";
    w.ahead += 2 * KUBE_SECOND_NS; /* refused, so it is read again at once */
    trip_to(&w, &t, "GET", "/token", "");
    assert_int_equal(t.x.status, 200);
    assert_int_equal(w.token_reads, 2);
    w.token = "bad\ntoken";
    trip_to(&w, &t, "GET", "/token", "");
    assert_int_equal(w.token_reads, 2);
    w.ahead += 61 * KUBE_SECOND_NS; /* what cannot be used is not */
    trip_to(&w, &t, "GET", "/token", "");
    assert_int_equal(w.token_reads, 3);
    assert_int_equal(t.x.status, 200);
    leave(&w);
}

/* A kubeconfig that the test holds, with a token inside. */
static char kubeconfig[600];
static int32_t kubeconfig_reads;

static int32_t read_kubeconfig(void *arg, const kube_env *env, const char *path, size_t max,
                               char **out, size_t *n)
{
    (void)arg;
    (void)max;
    assert_string_equal(path, "/kubeconfig");
    kubeconfig_reads++;
    if (!kubeconfig[0]) return QD_E_NOTFOUND;
    *n = strlen(kubeconfig);
    *out = kube_copy(env, kubeconfig, *n);
    return *out ? 0 : QD_E_NOMEM;
}

static void write_kubeconfig(const char *url, const char *token)
{
    (void)snprintf(kubeconfig, sizeof kubeconfig,
                   "current-context: c\ncontexts: [{name: c, context: {cluster: k, user: u}}, "
                   "{name: d, context: {cluster: k, user: v}}]\n"
                   "clusters: [{name: k, cluster: {server: '%s'}}]\n"
                   "users: [{name: u, user: {token: %s}}, {name: v, user: {token: other}}]\n",
                   url, token);
}

static int32_t status_of(world *w, int64_t ahead_ns)
{
    trip t;
    w->ahead += ahead_ns;
    trip_to(w, &t, "GET", "/token", "");
    return t.x.status;
}

static void kubeconfigs_are_read_again(void **state)
{
    (void)state;
    world w;
    kube_error err;
    kube_config config;
    connect_to(&w, "127.0.0.1", NULL);
    w.t->free(w.t, on_closed, &w.closed);
    w.from.read = read_kubeconfig;
    write_kubeconfig(w.address, "old");
    assert_int_equal(kube_config_files(&w.loop.env, &w.from, "/kubeconfig", NULL, &config, &err),
                     0);
    w.t = kube_curl_make(&w.loop.env, &w.uv, &config, &w.from, NULL, &err);
    assert_non_null(w.t);
    kubeconfig_reads = 0;
    assert_int_equal(status_of(&w, 0), 401);
    write_kubeconfig(w.address, "new"); /* refused, so it is read again after a second */
    assert_int_equal(status_of(&w, 2 * KUBE_SECOND_NS), 200);
    assert_int_equal(kubeconfig_reads, 1);
    assert_int_equal(status_of(&w, 0), 200);
    assert_int_equal(kubeconfig_reads, 1);
    /* what cannot be read, or is of another server, leaves what was before */
    kubeconfig[0] = 0;
    assert_int_equal(status_of(&w, 61 * KUBE_SECOND_NS), 200);
    (void)snprintf(kubeconfig, sizeof kubeconfig, "torn: [");
    assert_int_equal(status_of(&w, 61 * KUBE_SECOND_NS), 200);
    write_kubeconfig("https://elsewhere", "other");
    assert_int_equal(status_of(&w, 61 * KUBE_SECOND_NS), 200);
    /* another current-context is none of ours */
    write_kubeconfig(w.address, "new");
    kubeconfig[strcspn(kubeconfig, "\n") - 1] = 'd';
    assert_int_equal(status_of(&w, 61 * KUBE_SECOND_NS), 200);
    assert_int_equal(kubeconfig_reads, 5);
    w.closed = 0; /* the configuration goes after the transport that it was for */
    w.t->free(w.t, on_closed, &w.closed);
    until(&w, &w.closed);
    kube_config_clear(&w.loop.env, &config);
    w.t = kube_curl_make(&w.loop.env, &w.uv, &w.config, &w.from, NULL, &err);
    w.closed = 0;
    leave(&w);
}

static char folder[] = "/tmp/kube_curl_XXXXXX";

static char *slurp(const char *name)
{
    char path[128];
    char *text = calloc(1, 65536);
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    assert_true(fread(text, 1, 65535, f) > 0);
    fclose(f);
    return text;
}

static SSL_CTX *tls_of(const char *name, int asks)
{
    char crt[128], key[128], ca[128];
    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
    (void)snprintf(crt, sizeof crt, "%s/%s.crt", folder, name);
    (void)snprintf(key, sizeof key, "%s/%s.key", folder, name);
    (void)snprintf(ca, sizeof ca, "%s/ca.crt", folder);
    assert_int_equal(SSL_CTX_use_certificate_chain_file(tls, crt), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey_file(tls, key, SSL_FILETYPE_PEM), 1);
    assert_int_equal(SSL_CTX_load_verify_locations(tls, ca, NULL), 1);
    if (asks) SSL_CTX_set_verify(tls, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return tls;
}

/* One PUT with what config says; its outcome. */
static int32_t tls_outcome(SSL_CTX *tls, kube_config config, trip *t)
{
    world w;
    kube_error err;
    connect_to(&w, "127.0.0.1", tls);
    w.t->free(w.t, on_closed, &w.closed);
    config.server = w.address;
    w.config = config;
    w.t = kube_curl_make(&w.loop.env, &w.uv, &w.config, &w.from, NULL, &err);
    assert_non_null(w.t);
    trip_to(&w, t, "PUT", "/echo", "x");
    if (t->x.outcome == KUBE_ANSWERED) trip_to(&w, t, "PUT", "/echo", "x");
    if (t->x.outcome == KUBE_ANSWERED) assert_int_equal(atomic_load(&w.server.connections), 1);
    w.closed = 0;
    leave(&w);
    return t->x.outcome;
}

/* A file of the folder as one of the configuration's; the token's source reads no other. */
static int32_t read_pem(void *arg, const kube_env *env, const char *path, size_t max, char **out,
                        size_t *n)
{
    (void)arg;
    return kube_sources_system.read(NULL, env, path, max, out, n);
}

static void copy(const char *from, const char *to)
{
    char path[128], *text = slurp(from);
    (void)snprintf(path, sizeof path, "%s/%s", folder, to);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fputs(text, f) < 0, 0);
    fclose(f);
    free(text);
}

/* Files that are replaced while the transport is open, and the server's side with them. */
static void certificates_rotate(SSL_CTX *asks)
{
    char ca[128], crt[128], key[128];
    world w;
    trip t;
    kube_error err;
    (void)snprintf(ca, sizeof ca, "%s/now.ca", folder);
    (void)snprintf(crt, sizeof crt, "%s/now.crt", folder);
    (void)snprintf(key, sizeof key, "%s/now.key", folder);
    copy("wrong.crt", "now.ca");
    copy("stranger.crt", "now.crt");
    copy("stranger.key", "now.key");
    char *ca_pem = slurp("now.ca"), *crt_pem = slurp("now.crt"), *key_pem = slurp("now.key");
    connect_to(&w, "127.0.0.1", asks);
    w.t->free(w.t, on_closed, &w.closed);
    w.config = (kube_config){.server = w.address,
                             .ca_pem = ca_pem,
                             .cert_pem = crt_pem,
                             .key_pem = key_pem,
                             .ca_file = ca,
                             .cert_file = crt,
                             .key_file = key};
    w.from.read = read_pem;
    w.t = kube_curl_make(&w.loop.env, &w.uv, &w.config, &w.from, NULL, &err);
    assert_non_null(w.t);
    trip_to(&w, &t, "PUT", "/echo", "x");
    assert_int_not_equal(t.x.outcome, KUBE_ANSWERED); /* the server is of another authority */
    copy("ca.crt", "now.ca");
    w.ahead += 2 * KUBE_SECOND_NS;
    trip_to(&w, &t, "PUT", "/echo", "x");
    assert_int_not_equal(t.x.outcome, KUBE_ANSWERED); /* we are not known to it */
    copy("client.crt", "now.crt");
    copy("client.key", "now.key");
    w.ahead += 61 * KUBE_SECOND_NS; /* with TLS 1.3 that was told behind the handshake */
    trip_to(&w, &t, "PUT", "/echo", "x");
    assert_int_equal(t.x.outcome, KUBE_ANSWERED);
    copy("ca.key", "now.crt"); /* what is no certificate is not taken */
    w.ahead += 61 * KUBE_SECOND_NS;
    trip_to(&w, &t, "PUT", "/echo", "x");
    assert_int_equal(t.x.outcome, KUBE_ANSWERED);
    w.closed = 0;
    leave(&w);
    free(ca_pem);
    free(crt_pem);
    free(key_pem);
    (void)remove(ca);
    (void)remove(crt);
    (void)remove(key);
}

static void tls_verifies_both_ends(void **state)
{
    (void)state;
    trip t;
    assert_non_null(mkdtemp(folder));
    certs_authority(folder, "ca");
    certs_authority(folder, "wrong");
    certs_make(folder, "server", "IP:127.0.0.1,DNS:api", "ca");
    certs_make(folder, "named", "DNS:api", "ca");
    certs_make(folder, "client", "DNS:me", "ca");
    certs_make(folder, "stranger", "DNS:me", "wrong");
    char *ca = slurp("ca.crt"), *wrong = slurp("wrong.crt"), *crt = slurp("client.crt"),
         *key = slurp("client.key");
    char api[] = "api";
    SSL_CTX *tls = tls_of("server", 0), *named = tls_of("named", 0), *asks = tls_of("server", 1);
    assert_int_equal(tls_outcome(tls, (kube_config){.ca_pem = ca}, &t), KUBE_ANSWERED);
    assert_int_equal(tls_outcome(tls, (kube_config){.ca_pem = wrong}, &t), KUBE_NOT_SENT);
    assert_int_equal(tls_outcome(tls, (kube_config){0}, &t), KUBE_NOT_SENT);
    assert_int_equal(tls_outcome(tls, (kube_config){.insecure = 1}, &t), KUBE_ANSWERED);
    /* the host's name is verified, or the one that is to be */
    assert_int_equal(tls_outcome(named, (kube_config){.ca_pem = ca}, &t), KUBE_NOT_SENT);
    assert_int_equal(tls_outcome(named, (kube_config){.ca_pem = ca, .tls_server_name = api}, &t),
                     KUBE_ANSWERED);
    assert_non_null(strstr(t.answer, "\"host\":\"api:"));
    /* a client certificate */
    assert_int_equal(
        tls_outcome(asks, (kube_config){.ca_pem = ca, .cert_pem = crt, .key_pem = key}, &t),
        KUBE_ANSWERED);
    assert_int_not_equal(tls_outcome(asks, (kube_config){.ca_pem = ca}, &t), KUBE_ANSWERED);
    certificates_rotate(asks);
    SSL_CTX_free(tls);
    SSL_CTX_free(named);
    SSL_CTX_free(asks);
    free(ca);
    free(wrong);
    free(crt);
    free(key);
    static const char *const files[] = {"ca", "wrong", "server", "named", "client", "stranger"};
    for (int i = 0; i < 12; i++) {
        char path[128];
        (void)snprintf(path, sizeof path, "%s/%s.%s", folder, files[i / 2], i % 2 ? "key" : "crt");
        (void)remove(path);
    }
    (void)rmdir(folder);
}

/* --- timers on the loop --- */

static kube_timer two;
static int32_t fired_n, both_fired;

static void on_timer(kube_timer *t)
{
    world *w = t->user;
    both_fired = ++fired_n == 2;
    if (fired_n == 1) w->loop.env.timer_set(w->loop.env.arg, &two, mono_ns(w) + 2000000);
}

static void timers_run_on_the_loop(void **state)
{
    (void)state;
    world w;
    connect_to(&w, "127.0.0.1", NULL);
    kube_timer one = {.fired = on_timer, .user = &w}, never = one;
    two = one;
    fired_n = both_fired = 0;
    kube_env *env = &w.loop.env;
    env->timer_set(env->arg, &one, 0);
    env->timer_set(env->arg, &never, mono_ns(&w) + 3600 * KUBE_SECOND_NS);
    assert_int_equal(fired_n, 0);
    until(&w, &both_fired);
    assert_int_equal(fired_n, 2);
    env->timer_clear(env->arg, &never);
    leave(&w);
}

int main(void)
{
    (void)signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_reach_the_server),
        cmocka_unit_test(answers_come_as_asked_for),
        cmocka_unit_test(many_at_once),
        cmocka_unit_test(what_was_not_sent_is_known),
        cmocka_unit_test(what_was_sent_is_unknown),
        cmocka_unit_test(writes_are_sent_once),
        cmocka_unit_test(answers_have_a_bound),
        cmocka_unit_test(streams_come_in_chunks),
        cmocka_unit_test(tokens_rotate),
        cmocka_unit_test(kubeconfigs_are_read_again),
        cmocka_unit_test(tls_verifies_both_ends),
        cmocka_unit_test(timers_run_on_the_loop),
    };
    return unit_run(tests);
}
