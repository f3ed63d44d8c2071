/*
 * load.c: one thread that keeps connections busy with writes, of HTTP (a node) or of gRPC (etcd:
 * Put), so that both are asked by the same program; and the plain costs that they are held against.
 *
 *   load http|etcd --to HOST:PORT[,...] [--clients 64] [--seconds 5] [--warm 1] [--requests N]
 *        [--method PUT] [--path /x/%n] [--body TEXT] [--file FILE | --lines FILE] [--timeout 0]
 *        [--kill PID] [--signal KILL|TERM|STOP] [--pipeline 1] [--spin 0]
 *   load sync FILE [N]             medians of a write of 4 KiB and its fdatasync, one after the
 * other load copy FROM TO              bytes a second of: copy, fsync, checksum of what was copied
 *
 * %n is the number of the request, %c of the connection. A connection has one request under way, or
 * --pipeline of them, sent at once (HTTP alone). GET without a body has none.
 * --spin 1: the client never sleeps, so that no server pays for waking it.
 * Each is to the next of the addresses. --file: its lines' halves of about 1 MiB are the bodies, in
 * turn; --lines: each of its lines is one.
 * --timeout MS gives a request up: the connection is closed and the next address asked. --kill:
 * halfway the process gets the signal, and restored_ms is the time from there to the first answer
 * to a request begun behind it. Prints one line of JSON; ends with 1 when no request was answered
 * well.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

enum { CLIENTS_MAX = 1024, ADDRESSES_MAX = 16, IN_MAX = 1 << 18, WINDOW = 1 << 30 };

typedef struct client {
    int fd;
    uint32_t number, address, stream, received; /* received: bytes of gRPC not yet granted anew */
    bool up, settled, good; /* connected; etcd: the preface was sent, a message came */
    uint64_t begun;         /* of the requests under way, 0: none */
    uint32_t waits;         /* for so many answers */
    char *out;              /* what is to be sent */
    size_t nout, sent, room, nin;
    char in[IN_MAX];
} client;

static struct {
    bool etcd, spin, by_line;
    struct sockaddr_in to[ADDRESSES_MAX];
    char host[ADDRESSES_MAX][64];
    uint32_t addresses, clients, pipeline;
    const char *method, *path, *body;
    char *file; /* bodies of it: */
    size_t *cut, cuts;
    uint64_t timeout, warm_end, end, killed;
    uint64_t requests_max;
    pid_t victim;
    int signal;
} o;
static struct {
    uint64_t requests, good, bad, lost, restored, number, first, last;
    uint32_t *us;
    size_t nus;
    char error[300];
} r;
static client *clients;
static int ep;

static uint64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void die(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(2);
}

/* --- what is sent --------------------------------------------------------------------------------
 */

static void put(client *c, const void *bytes, size_t n)
{
    if (c->nout + n > c->room) {
        c->room = (c->nout + n) * 2;
        c->out = realloc(c->out, c->room);
        if (!c->out) die("memory");
    }
    memcpy(c->out + c->nout, bytes, n);
    c->nout += n;
}

static void put_text(client *c, const char *text) /* with %n and %c */
{
    char number[24];
    for (const char *at; (at = strchr(text, '%')); text = at + 2) {
        put(c, text, (size_t)(at - text));
        uint64_t x = at[1] == 'c' ? c->number : r.number;
        put(c, number, (size_t)snprintf(number, sizeof number, "%" PRIu64, x));
    }
    put(c, text, strlen(text));
}

static void put_frame(client *c, size_t n, uint8_t type, uint8_t flags, uint32_t stream)
{
    uint8_t h[9] = {(uint8_t)(n >> 16),
                    (uint8_t)(n >> 8),
                    (uint8_t)n,
                    type,
                    flags,
                    (uint8_t)(stream >> 24),
                    (uint8_t)(stream >> 16),
                    (uint8_t)(stream >> 8),
                    (uint8_t)stream};
    put(c, h, sizeof h);
}

static void put_window(client *c, uint32_t by)
{
    uint8_t b[4] = {(uint8_t)(by >> 24), (uint8_t)(by >> 16), (uint8_t)(by >> 8), (uint8_t)by};
    put_frame(c, 4, 8, 0, 0);
    put(c, b, 4);
}

static void put_header(client *c, const char *name, const char *value) /* RFC 7541, 6.2.2 */
{
    uint8_t a[2] = {0, (uint8_t)strlen(name)}, b = (uint8_t)strlen(value);
    put(c, a, 2);
    put(c, name, a[1]);
    put(c, &b, 1);
    put(c, value, b);
}

static void put_etcd(client *c)
{
    if (!c->settled) {
        static const uint8_t window[6] = {0, 4, 0x3f, 0xff, 0xff, 0xff}; /* INITIAL_WINDOW_SIZE */
        put(c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
        put_frame(c, 6, 4, 0, 0);
        put(c, window, 6);
        put_window(c, WINDOW);
        c->settled = true;
    }
    c->stream += 2;
    size_t head = c->nout;
    put_frame(c, 0, 1, 4, c->stream); /* HEADERS, END_HEADERS */
    put_header(c, ":method", "POST");
    put_header(c, ":scheme", "http");
    put_header(c, ":path", "/etcdserverpb.KV/Put");
    put_header(c, ":authority", o.host[c->address]);
    put_header(c, "content-type", "application/grpc");
    put_header(c, "te", "trailers");
    size_t n = c->nout - head - 9;
    c->out[head + 1] = (char)(n >> 8), c->out[head + 2] = (char)n;
    size_t data = c->nout;
    put_frame(c, 0, 0, 1, c->stream); /* DATA, END_STREAM: 5 bytes, PutRequest{1: key, 2: value} */
    put(c, "\0\0\0\0\0", 5);
    size_t key = c->nout;
    put(c, "\x0a\0", 2);
    put_text(c, o.path);
    c->out[key + 1] = (char)(c->nout - key - 2);
    size_t value = c->nout;
    put(c, "\x12\0\0", 3);
    put_text(c, o.body);
    n = c->nout - value - 3;
    c->out[value + 1] = (char)(0x80 | (n & 0x7f)), c->out[value + 2] = (char)(n >> 7);
    n = c->nout - key;
    c->out[data + 12] = (char)(n >> 8), c->out[data + 13] = (char)n;
    n += 5;
    c->out[data + 1] = (char)(n >> 8), c->out[data + 2] = (char)n;
}

static void put_http(client *c)
{
    char head[200];
    const char *body = o.body;
    size_t n, at = c->nout;
    if (!o.file && !*body && !strcmp(o.method, "GET")) {
        put_text(c, "GET ");
        put_text(c, o.path);
        put_text(c, " HTTP/1.1\r\nhost: a\r\nuser-agent: load/1\r\naccept: */*\r\n\r\n");
        return;
    }
    if (o.file) {
        size_t i = r.number % o.cuts;
        body = o.file + o.cut[i];
        n = o.cut[i + 1] - o.cut[i];
    } else { /* once for its length */
        put_text(c, body);
        n = c->nout - at;
        c->nout = at;
    }
    put_text(c, o.method);
    put_text(c, " ");
    put_text(c, o.path);
    put(c, head,
        (size_t)snprintf(head, sizeof head,
                         " HTTP/1.1\r\nhost: a\r\ncontent-type: application/%sjson\r\n"
                         "content-length: %zu\r\n\r\n",
                         o.file && !o.by_line ? "x-nd" : "", n));
    if (o.file)
        put(c, body, n);
    else
        put_text(c, body);
}

/* --- connections
 * ----------------------------------------------------------------------------------- */

static void watch(client *c, int op)
{
    struct epoll_event e = {.events = EPOLLIN | (c->sent < c->nout || !c->up ? EPOLLOUT : 0u),
                            .data.ptr = c};
    if (epoll_ctl(ep, op, c->fd, &e) != 0) die("epoll_ctl");
}

static void dial(client *c)
{
    if (c->fd >= 0) close(c->fd);
    c->nout = c->sent = c->nin = 0;
    c->up = c->settled = c->good = false;
    c->stream = (uint32_t)-1;
    c->received = 0;
    c->begun = c->waits = 0;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) die("socket");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    struct sockaddr_in *to = &o.to[c->address];
    if (connect(c->fd, (struct sockaddr *)to, sizeof *to) != 0 && errno != EINPROGRESS)
        die("connect");
    watch(c, EPOLL_CTL_ADD);
}

static void lost(client *c, const char *why)
{
    r.lost++;
    if (!r.error[0]) snprintf(r.error, sizeof r.error, "%s", why);
    c->address = (c->address + 1) % o.addresses;
    dial(c);
}

static void flush(client *c)
{
    while (c->sent < c->nout) {
        ssize_t n = send(c->fd, c->out + c->sent, c->nout - c->sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) break;
        if (n < 0) {
            lost(c, "the connection broke");
            return;
        }
        c->sent += (size_t)n;
    }
    if (c->sent == c->nout) c->sent = c->nout = 0;
    watch(c, EPOLL_CTL_MOD);
}

static void ask(client *c)
{
    if (r.number >= o.requests_max || now() >= o.end) return;
    c->begun = now();
    for (c->waits = 0; c->waits < o.pipeline && r.number < o.requests_max; c->waits++, r.number++) {
        if (o.etcd)
            put_etcd(c);
        else
            put_http(c);
    }
    flush(c);
}

static void answered(client *c, bool good, const char *text, size_t n)
{
    uint64_t t = now();
    if (!good && !r.error[0]) snprintf(r.error, sizeof r.error, "%.*s", (int)n, text);
    if (t >= o.warm_end && c->begun) {
        r.requests++;
        if (!r.first) r.first = t;
        r.last = t;
        if (good) {
            if ((r.nus & (r.nus - 1)) == 0) {
                r.us = realloc(r.us, (r.nus ? r.nus * 2 : 1) * sizeof *r.us);
                if (!r.us) die("memory");
            }
            r.us[r.nus++] = (uint32_t)((t - c->begun) / 1000);
        }
    }
    *(good ? &r.good : &r.bad) += 1;
    if (good && o.killed && !r.restored && c->begun > o.killed) r.restored = t;
    if (--c->waits) return;
    c->begun = 0;
    ask(c);
}

/* A whole answer in front of what came (NUL behind it): its length, or 0. */
static size_t http_answer(const char *in, size_t have, bool *good)
{
    const char *end = strstr(in, "\r\n\r\n");
    if (!end) return 0;
    size_t n = (size_t)(end + 4 - in);
    const char *length = memmem(in, n, "\r\ncontent-length:", 17);
    if (!length) length = memmem(in, n, "\r\nContent-Length:", 17);
    if (length)
        n += strtoul(length + 17, NULL, 10);
    else if (have > n && !strcmp(in + have - 7, "\r\n0\r\n\r\n"))
        n = have; /* chunked */
    else
        n = SIZE_MAX;
    *good = n <= have && strncmp(in + 9, "20", 2) == 0 &&
            !memmem(end, n - (size_t)(end - in), "\"errors\":true", 13);
    return n <= have ? n : 0;
}

static void etcd_frames(client *c)
{
    size_t at = 0;
    bool done = false;
    while (c->nin - at >= 9) {
        const uint8_t *h = (const uint8_t *)c->in + at;
        size_t n = (size_t)h[0] << 16 | (size_t)h[1] << 8 | h[2];
        if (c->nin - at - 9 < n) break;
        uint8_t type = h[3], flags = h[4];
        if (type == 0) c->received += (uint32_t)n, c->good |= n > 5;
        if (type <= 1 && (flags & 1)) done = true;
        if (type == 3 || type == 7) done = true; /* RST_STREAM, GOAWAY */
        if (type == 4 && !(flags & 1)) put_frame(c, 0, 4, 1, 0);
        if (type == 6 && !(flags & 1)) {
            put_frame(c, 8, 6, 1, 0);
            put(c, h + 9, 8);
        }
        at += 9 + n;
    }
    memmove(c->in, c->in + at, c->nin -= at);
    if (c->received > WINDOW / 2) put_window(c, c->received), c->received = 0;
    bool good = c->good;
    if (done)
        c->good = false, answered(c, good, "etcd refused it", 15);
    else if (c->nout)
        flush(c);
}

static void readable(client *c)
{
    ssize_t n = recv(c->fd, c->in + c->nin, IN_MAX - 1 - c->nin, 0);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) {
        lost(c, "the connection was closed");
        return;
    }
    c->nin += (size_t)n;
    if (o.etcd) {
        etcd_frames(c);
        return;
    }
    bool good;
    size_t at = 0;
    c->in[c->nin] = 0;
    for (size_t k; (k = http_answer(c->in + at, c->nin - at, &good)) != 0;) {
        const char *from = c->in + at;
        at += k;
        if (c->waits > 1) {
            answered(c, good, from, k);
            continue;
        }
        bool more = c->waits == 0 || at < c->nin;
        c->nin = 0;
        if (more)
            lost(c, "more than one answer");
        else
            answered(c, good, from, k);
        return;
    }
    memmove(c->in, c->in + at, c->nin -= at);
    if (c->nin == IN_MAX - 1) lost(c, "an answer is too long");
}

/* --- runs
 * ------------------------------------------------------------------------------------------- */

static void tick(void)
{
    uint64_t t = now();
    if (o.victim && !o.killed && t >= o.warm_end + (o.end - o.warm_end) / 2) {
        o.killed = now();
        if (kill(o.victim, o.signal) != 0) die("kill");
    }
    for (uint32_t i = 0; i < o.clients; i++) {
        client *c = &clients[i];
        if (o.timeout && c->begun && t - c->begun > o.timeout) lost(c, "no answer in time");
    }
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static double ms_at(double share)
{
    return r.nus ? r.us[(size_t)(share * (double)(r.nus - 1))] / 1000.0 : 0;
}

static int run(void)
{
    clients = calloc(o.clients, sizeof *clients);
    ep = epoll_create1(EPOLL_CLOEXEC);
    if (!clients || ep < 0) die("clients");
    for (uint32_t i = 0; i < o.clients; i++) {
        clients[i].fd = -1;
        clients[i].number = i;
        clients[i].address = i % o.addresses;
        dial(&clients[i]);
    }
    struct epoll_event e[64];
    uint64_t give_up = o.end + 60000000000u;
    for (;;) {
        int n = epoll_wait(ep, e, 64, o.spin ? 0 : 5);
        for (int i = 0; i < n; i++) {
            client *c = e[i].data.ptr;
            int failed = 0;
            if (!c->up && (e[i].events & (EPOLLOUT | EPOLLERR | EPOLLHUP))) {
                getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &failed, &(socklen_t){sizeof failed});
                if (failed) {
                    lost(c, strerror(failed));
                    continue;
                }
                c->up = true;
                ask(c);
                continue;
            }
            if (e[i].events & EPOLLOUT) flush(c);
            if (e[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) readable(c);
        }
        tick();
        uint32_t busy = 0;
        for (uint32_t i = 0; i < o.clients; i++) busy += clients[i].begun != 0;
        uint64_t t = now();
        if (!busy && (t >= o.end || r.number >= o.requests_max)) break;
        if (t >= give_up) break;
    }
    qsort(r.us, r.nus, sizeof *r.us, by_value);
    double seconds = (double)(r.last - r.first) / 1e9;
    printf("{\"requests\":%" PRIu64
           ",\"seconds\":%.3f,\"per_s\":%.1f,\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"good\":%" PRIu64
           ",\"bad\":%" PRIu64 ",\"lost\":%" PRIu64,
           r.requests, seconds, seconds > 0 ? (double)(r.nus - 1) / seconds : 0, ms_at(0.5),
           ms_at(0.99), r.good, r.bad, r.lost);
    if (o.killed && r.restored)
        printf(",\"restored_ms\":%.1f", (double)(r.restored - o.killed) / 1e6);
    printf(",\"error\":\"");
    for (const char *p = r.error; *p; p++) putchar(strchr("\"\\", *p) || *p < ' ' ? ' ' : *p);
    printf("\"}\n");
    return r.good ? 0 : 1;
}

/* Each body: a line of the file, or whole pairs of them, some 1 MiB. */
static void read_bodies(const char *name, bool by_line)
{
    size_t least = by_line ? 2 : 1 << 20, pair = by_line ? 1 : 2;
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0 || st.st_size == 0) die(name);
    size_t n = (size_t)st.st_size, have = 0;
    o.file = malloc(n);
    o.cut = malloc((n / least + 2) * sizeof *o.cut);
    o.by_line = by_line;
    if (!o.file || !o.cut) die("memory");
    while (have < n) {
        ssize_t k = read(fd, o.file + have, n - have);
        if (k <= 0) die(name);
        have += (size_t)k;
    }
    close(fd);
    o.cut[0] = 0;
    size_t lines = 0;
    for (size_t i = 0; i < n; i++) {
        if (o.file[i] != '\n' || ++lines % pair) continue;
        if (i + 1 - o.cut[o.cuts] >= least || i + 1 == n) o.cut[++o.cuts] = i + 1;
    }
    if (!o.cuts) die("no bodies");
}

static int sync_costs(const char *name, size_t n)
{
    static char block[4096];
    static uint32_t us[100000];
    if (n > 100000 || n == 0) n = 1000;
    int fd = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) die(name);
    memset(block, 7, sizeof block);
    for (size_t i = 0; i < 1024; i++)
        if (pwrite(fd, block, sizeof block, (off_t)(i * sizeof block)) != sizeof block) die(name);
    if (fsync(fd) != 0) die(name);
    for (size_t i = 0; i < n; i++) {
        uint64_t t = now();
        block[0]++;
        if (pwrite(fd, block, sizeof block, (off_t)(i % 1024 * sizeof block)) != sizeof block)
            die(name);
        if (fdatasync(fd) != 0) die(name);
        us[i] = (uint32_t)((now() - t) / 1000);
    }
    close(fd);
    unlink(name);
    qsort(us, n, sizeof *us, by_value);
    printf("{\"p50_ms\":%.4f,\"p99_ms\":%.4f}\n", us[n / 2] / 1000.0, us[n * 99 / 100] / 1000.0);
    return 0;
}

/* As `cp`, then the checksum of the copy, as who copies a shard must. */
static int copy_costs(const char *from, const char *to)
{
    static char block[1 << 20];
    XXH3_state_t *h = XXH3_createState();
    uint64_t bytes = 0, t0 = now();
    int in = open(from, O_RDONLY | O_CLOEXEC),
        out = open(to, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (in < 0 || out < 0 || !h) die(to);
    for (ssize_t n; (n = copy_file_range(in, NULL, out, NULL, 1 << 30, 0)) != 0;
         bytes += (uint64_t)n)
        if (n < 0) die(to);
    uint64_t t1 = now();
    if (fsync(out) != 0) die(to);
    uint64_t t2 = now();
    XXH3_64bits_reset(h);
    if (lseek(out, 0, SEEK_SET) != 0) die(to);
    for (ssize_t n; (n = read(out, block, sizeof block)) != 0;) {
        if (n < 0) die(to);
        XXH3_64bits_update(h, block, (size_t)n);
    }
    uint64_t t3 = now();
    printf("{\"bytes\":%" PRIu64
           ",\"copy_ms\":%.1f,\"sync_ms\":%.1f,\"checksum_ms\":%.1f,\"xxh3\":\"%016" PRIx64 "\"}\n",
           bytes, (double)(t1 - t0) / 1e6, (double)(t2 - t1) / 1e6, (double)(t3 - t2) / 1e6,
           (uint64_t)XXH3_64bits_digest(h));
    XXH3_freeState(h);
    close(in);
    close(out);
    return 0;
}

static void addresses(char *list)
{
    for (char *a = strtok(list, ","); a && o.addresses < ADDRESSES_MAX; a = strtok(NULL, ",")) {
        snprintf(o.host[o.addresses], sizeof o.host[0], "%s", a);
        char *port = strchr(a, ':');
        struct sockaddr_in *to = &o.to[o.addresses];
        if (port) *port = 0;
        if (!port || inet_pton(AF_INET, a, &to->sin_addr) != 1) die("--to takes IPv4:port");
        to->sin_family = AF_INET;
        to->sin_port = htons((uint16_t)atoi(port + 1));
        o.addresses++;
    }
}

int main(int argc, char **argv)
{
    if (argc >= 3 && !strcmp(argv[1], "sync"))
        return sync_costs(argv[2], argc > 3 ? (size_t)atol(argv[3]) : 0);
    if (argc == 4 && !strcmp(argv[1], "copy")) return copy_costs(argv[2], argv[3]);
    double seconds = 5, warm = 1;
    o.method = "PUT", o.path = "/", o.body = "", o.clients = 64, o.signal = SIGKILL,
    o.requests_max = UINT64_MAX;
    o.etcd = argc > 1 && !strcmp(argv[1], "etcd");
    o.pipeline = 1;
    for (int i = 2; i + 1 < argc; i += 2) {
        const char *k = argv[i];
        char *v = argv[i + 1];
        if (!strcmp(k, "--to"))
            addresses(v);
        else if (!strcmp(k, "--clients"))
            o.clients = (uint32_t)atoi(v);
        else if (!strcmp(k, "--seconds"))
            seconds = atof(v);
        else if (!strcmp(k, "--warm"))
            warm = atof(v);
        else if (!strcmp(k, "--requests"))
            o.requests_max = strtoull(v, NULL, 10);
        else if (!strcmp(k, "--pipeline"))
            o.pipeline = (uint32_t)atoi(v);
        else if (!strcmp(k, "--spin"))
            o.spin = atoi(v) != 0;
        else if (!strcmp(k, "--method"))
            o.method = v;
        else if (!strcmp(k, "--path"))
            o.path = v;
        else if (!strcmp(k, "--body"))
            o.body = v;
        else if (!strcmp(k, "--file"))
            read_bodies(v, false);
        else if (!strcmp(k, "--lines"))
            read_bodies(v, true);
        else if (!strcmp(k, "--timeout"))
            o.timeout = strtoull(v, NULL, 10) * 1000000;
        else if (!strcmp(k, "--kill"))
            o.victim = atoi(v);
        else if (!strcmp(k, "--signal"))
            o.signal = !strcmp(v, "TERM") ? SIGTERM : !strcmp(v, "STOP") ? SIGSTOP : SIGKILL;
        else
            argc = 0;
    }
    if (argc < 3 || (!o.etcd && strcmp(argv[1], "http")) || !o.addresses || !o.clients ||
        o.clients > CLIENTS_MAX || !o.pipeline || (o.etcd && o.pipeline > 1)) {
        fprintf(stderr, "usage: head of tests/bench/load.c\n");
        return 2;
    }
    o.warm_end = now() + (uint64_t)(warm * 1e9);
    o.end = o.warm_end + (uint64_t)(seconds * 1e9);
    return run();
}
