/*
 * server.h: a small HTTP server on loopback, a thread for each connection, whose paths misbehave:
 *
 *   /echo    200, what came as JSON; Date          /busy   429, Retry-After: 7
 *   /stall   no answer                             /half   less than Content-Length, then the end
 *   /reset   RST after the request was read        /big    100,000 bytes
 *   /again   200; as a second request of its connection: the end without a byte
 *   /watch   200 in three chunks, then silence     /gone   410
 *   /token   401 but for "Bearer new"
 */
#ifndef QD_TESTS_KUBE_SERVER_H
#define QD_TESTS_KUBE_SERVER_H

#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SERVER_CONNECTIONS = 64 };

typedef struct server {
    int fd;
    unsigned port;
    SSL_CTX *tls;
    pthread_t acceptor, threads[SERVER_CONNECTIONS];
    int fds[SERVER_CONNECTIONS];
    pthread_mutex_t lock;
    _Atomic unsigned connections, requests;
    _Atomic int stopping;
} server;

typedef struct server_side {
    server *s;
    unsigned slot;
    int fd;
    SSL *ssl;
    char in[65536];
    size_t n;
    unsigned requests;
} server_side;

static inline ssize_t server_recv(server_side *c, void *p, size_t n)
{
    return c->ssl ? SSL_read(c->ssl, p, (int)n) : recv(c->fd, p, n, 0);
}
static inline void server_send(server_side *c, const char *p, size_t n)
{
    while (n) {
        ssize_t k = c->ssl ? SSL_write(c->ssl, p, (int)n) : send(c->fd, p, n, MSG_NOSIGNAL);
        if (k <= 0) return;
        p += k;
        n -= (size_t)k;
    }
}
static inline void server_say(server_side *c, const char *text)
{
    server_send(c, text, strlen(text));
}
static inline void server_answer(server_side *c, const char *head, const char *body)
{
    char text[256];
    (void)snprintf(text, sizeof text, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n", head,
                   strlen(body));
    server_say(c, text);
    server_say(c, body);
}
static inline void server_wait_for_end(server_side *c)
{
    char rest[256];
    while (server_recv(c, rest, sizeof rest) > 0) continue;
}

/* The value of a header, "" if it is not there. */
static inline void server_header(const char *in, const char *name, char *out, size_t room)
{
    size_t n = strlen(name);
    out[0] = 0;
    for (const char *p = strstr(in, "\r\n"); p; p = strstr(p, "\r\n")) {
        p += 2;
        if (strncasecmp(p, name, n) != 0 || p[n] != ':') continue;
        (void)snprintf(out, room, "%.*s", (int)strcspn(p + n + 2, "\r"), p + n + 2);
        return;
    }
}

/* Reads one request whole: 0, or -1 at the end. Its body stands behind the head in c->in. */
static inline int server_read(server_side *c, char **body, size_t *len)
{
    char value[32], *end = NULL;
    c->n = 0;
    for (;;) {
        c->in[c->n] = 0;
        if (!end) end = strstr(c->in, "\r\n\r\n");
        if (end) {
            server_header(c->in, "Content-Length", value, sizeof value);
            *body = end + 4;
            *len = strtoul(value, NULL, 10);
            if (c->n >= (size_t)(*body - c->in) + *len) return 0;
        }
        ssize_t k = server_recv(c, c->in + c->n, sizeof c->in - 1 - c->n);
        if (k <= 0) return -1;
        c->n += (size_t)k;
    }
}

static inline void server_echo(server_side *c, const char *body, size_t len)
{
    static const char head[] = "200 OK\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT";
    char method[16], type[128], accept[128], auth[256], host[128], text[4096];
    (void)snprintf(method, sizeof method, "%.*s", (int)strcspn(c->in, " "), c->in);
    server_header(c->in, "Content-Type", type, sizeof type);
    server_header(c->in, "Accept", accept, sizeof accept);
    server_header(c->in, "Authorization", auth, sizeof auth);
    server_header(c->in, "Host", host, sizeof host);
    (void)snprintf(text, sizeof text,
                   "{\"method\":\"%s\",\"type\":\"%s\",\"auth\":\"%s\",\"host\":\"%s\","
                   "\"accept\":\"%s\",\"body\":\"%.*s\"}",
                   method, type, auth, host, accept, (int)(len < 1000 ? len : 1000), body);
    server_answer(c, head, text);
}

/* 0: the connection goes on. */
static inline int server_serve(server_side *c, const char *body, size_t len)
{
    const char *path = strchr(c->in, ' ');
    char auth[256];
    path = path ? path + 1 : "";
    atomic_fetch_add(&c->s->requests, 1);
    c->requests++;
    if (strncmp(path, "/echo", 5) == 0) {
        server_echo(c, body, len);
    } else if (strncmp(path, "/stall", 6) == 0) {
        server_wait_for_end(c);
        return -1;
    } else if (strncmp(path, "/reset", 6) == 0) {
        struct linger l = {1, 0};
        (void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
        return -1;
    } else if (strncmp(path, "/again", 6) == 0) {
        if (c->requests > 1) return -1;
        server_answer(c, "200 OK", "{}");
    } else if (strncmp(path, "/busy", 5) == 0) {
        server_answer(c, "429 Too Many Requests\r\nRetry-After: 7", "{\"message\":\"slow\"}");
    } else if (strncmp(path, "/half", 5) == 0) {
        server_say(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"a\":");
        return -1;
    } else if (strncmp(path, "/big", 4) == 0) {
        char *big = calloc(1, 100001);
        memset(big, 'x', 100000);
        server_answer(c, "200 OK", big);
        free(big);
    } else if (strncmp(path, "/watch", 6) == 0) {
        server_say(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        server_say(c, "9\r\n{\"a\":1}\n{\r\n");
        server_say(c, "5\r\n\"b\":2\r\n2\r\n}\n\r\n");
        server_wait_for_end(c);
        return -1;
    } else if (strncmp(path, "/token", 6) == 0) {
        server_header(c->in, "Authorization", auth, sizeof auth);
        server_answer(c, strcmp(auth, "Bearer new") == 0 ? "200 OK" : "401 Unauthorized", "{}");
    } else {
        server_answer(c, strncmp(path, "/gone", 5) == 0 ? "410 Gone" : "404 Not Found",
                      "{\"reason\":\"Gone\"}");
    }
    return 0;
}

static inline void *server_connection(void *arg)
{
    server_side *c = arg;
    char *body;
    size_t len;
    if (c->s->tls) {
        c->ssl = SSL_new(c->s->tls);
        SSL_set_fd(c->ssl, c->fd);
    }
    if (!c->ssl || SSL_accept(c->ssl) == 1)
        while (server_read(c, &body, &len) == 0 && server_serve(c, body, len) == 0) continue;
    if (c->ssl) SSL_free(c->ssl);
    pthread_mutex_lock(&c->s->lock);
    close(c->fd);
    c->s->fds[c->slot] = -1;
    pthread_mutex_unlock(&c->s->lock);
    free(c);
    return NULL;
}

static inline void *server_accept(void *arg)
{
    server *s = arg;
    for (;;) {
        int fd = accept(s->fd, NULL, NULL);
        unsigned slot = atomic_load(&s->connections);
        if (fd < 0 || atomic_load(&s->stopping) || slot == SERVER_CONNECTIONS) {
            if (fd >= 0) close(fd);
            return NULL;
        }
        server_side *c = calloc(1, sizeof *c);
        c->s = s;
        c->fd = fd;
        c->slot = slot;
        pthread_mutex_lock(&s->lock);
        s->fds[slot] = fd;
        pthread_mutex_unlock(&s->lock);
        if (pthread_create(&s->threads[slot], NULL, server_connection, c)) abort();
        atomic_fetch_add(&s->connections, 1);
    }
}

/* Listens on a port of 127.0.0.1; tls: NULL: in the clear. */
static inline void server_start(server *s, SSL_CTX *tls)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof at;
    memset(s, 0, sizeof *s);
    s->tls = tls;
    pthread_mutex_init(&s->lock, NULL);
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s->fd < 0 || bind(s->fd, (struct sockaddr *)&at, sizeof at) || listen(s->fd, 64) ||
        getsockname(s->fd, (struct sockaddr *)&at, &n) ||
        pthread_create(&s->acceptor, NULL, server_accept, s))
        abort();
    s->port = ntohs(at.sin_port);
}

static inline void server_stop(server *s)
{
    atomic_store(&s->stopping, 1);
    shutdown(s->fd, SHUT_RDWR);
    pthread_join(s->acceptor, NULL);
    close(s->fd);
    pthread_mutex_lock(&s->lock);
    for (unsigned i = 0; i < atomic_load(&s->connections); i++)
        if (s->fds[i] >= 0) shutdown(s->fds[i], SHUT_RDWR);
    pthread_mutex_unlock(&s->lock);
    for (unsigned i = 0; i < atomic_load(&s->connections); i++) pthread_join(s->threads[i], NULL);
    pthread_mutex_destroy(&s->lock);
}

#endif
