/* resolve.c: getaddrinfo on a pool, addresses as text. See resolve.h. */
#include "runtime/resolve.h"
#include "base/str.h"
#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <stdio.h>

bool qd_addr_parse(qd_str text, uint16_t port, qd_addr *out)
{
    if (text.n > 2 && text.p[0] == '[' && text.p[text.n - 1] == ']')
        text = (qd_str){text.p + 1, text.n - 2};
    char buf[QD_ADDR_TEXT_MAX];
    if (text.n == 0 || text.n >= sizeof buf || memchr(text.p, 0, text.n)) return false;
    memcpy(buf, text.p, text.n);
    buf[text.n] = 0;
    *out = (qd_addr){.port = port};
    if (inet_pton(AF_INET, buf, out->ip) == 1) {
        out->len = 4;
        return true;
    }
    if (inet_pton(AF_INET6, buf, out->ip) == 1) {
        out->len = 16;
        return true;
    }
    return false;
}

const char *qd_addr_text(const qd_addr *a, bool with_port, char out[QD_ADDR_TEXT_MAX])
{
    char ip[INET6_ADDRSTRLEN] = "?";
    inet_ntop(a->len == 4 ? AF_INET : AF_INET6, a->ip, ip, sizeof ip);
    if (!with_port)
        snprintf(out, QD_ADDR_TEXT_MAX, "%s", ip);
    else
        snprintf(out, QD_ADDR_TEXT_MAX, a->len == 4 ? "%s:%u" : "[%s]:%u", ip, (unsigned)a->port);
    return out;
}

bool qd_addr_is_loopback(const qd_addr *a)
{
    static const uint8_t one[16] = {[15] = 1};
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (a->len == 4) return a->ip[0] == 127;
    return memcmp(a->ip, one, 16) == 0 || (memcmp(a->ip, mapped, 12) == 0 && a->ip[12] == 127);
}

bool qd_addr_is_any(const qd_addr *a)
{
    static const uint8_t zero[16];
    return memcmp(a->ip, zero, a->len) == 0;
}

static int look_up(const char *host, uint16_t port, qd_addr *out, uint32_t max, uint32_t *n,
                   char *reason, size_t room)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *list = NULL;
    int rc = getaddrinfo(host, NULL, &hints, &list);
    *n = 0;
    if (rc != 0) {
        snprintf(reason, room, "%s", gai_strerror(rc));
        return rc == EAI_NONAME || rc == EAI_FAIL ? QD_E_NOTFOUND
               : rc == EAI_MEMORY                 ? QD_E_NOMEM
                                                  : QD_E_IO;
    }
    for (struct addrinfo *a = list; a && *n < max; a = a->ai_next) {
        qd_addr *to = &out[*n];
        *to = (qd_addr){.port = port};
        if (a->ai_family == AF_INET) {
            to->len = 4;
            memcpy(to->ip, &((struct sockaddr_in *)(void *)a->ai_addr)->sin_addr, 4);
        } else if (a->ai_family == AF_INET6) {
            const struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)(void *)a->ai_addr;
            to->len = 16;
            to->scope = in6->sin6_scope_id;
            memcpy(to->ip, &in6->sin6_addr, 16);
        } else {
            continue;
        }
        ++*n;
    }
    freeaddrinfo(list);
    if (*n == 0) snprintf(reason, room, "no address");
    return *n ? 0 : QD_E_NOTFOUND;
}

static int copy_host(qd_str host, char out[256], qd_err *err)
{
    if (host.n == 0 || host.n >= 256 || memchr(host.p, 0, host.n))
        return qd_err_set(err, QD_E_ARG, "[%.*s] is no host name",
                          QD_STR_ARG(qd_str_sub(host, 0, 64)));
    memcpy(out, host.p, host.n);
    out[host.n] = 0;
    return 0;
}

static void on_loop(qd_post *post)
{
    qd_resolve *r = post->user;
    r->done(r);
}

static void on_pool(qd_work *work)
{
    qd_resolve *r = work->user;
    r->rc = look_up(r->host, r->port, r->addrs, QD_RESOLVE_MAX, &r->n, r->reason, sizeof r->reason);
    qd_loop_post(r->loop, &r->post);
}

int qd_resolve_start(qd_resolve *r, qd_pool *pool, qd_loop *loop, qd_str host, uint16_t port,
                     void (*done)(qd_resolve *r), void *user, qd_err *err)
{
    r->loop = loop;
    r->port = port;
    r->done = done;
    r->user = user;
    r->n = 0;
    r->rc = 0;
    r->reason[0] = 0;
    r->post = (qd_post){.fn = on_loop, .user = r};
    r->work = (qd_work){.run = on_pool, .user = r};
    int rc = copy_host(host, r->host, err);
    if (rc != 0) return rc;
    if (qd_addr_parse(host, port, &r->addrs[0])) {
        r->n = 1;
        qd_loop_post(loop, &r->post);
        return 0;
    }
    return qd_pool_submit(pool, &r->work, err);
}

int qd_resolve_now(qd_str host, uint16_t port, qd_addr *out, uint32_t max, uint32_t *n, qd_err *err)
{
    char name[256], reason[128];
    int rc = copy_host(host, name, err);
    if (rc != 0) return rc;
    *n = 0;
    if (max > 0 && qd_addr_parse(host, port, out)) {
        *n = 1;
        return 0;
    }
    rc = look_up(name, port, out, max, n, reason, sizeof reason);
    return rc ? qd_err_set(err, rc, "cannot resolve [%s]: %s", name, reason) : 0;
}

/* --- words of network.host --- */

static bool addr_of(const struct sockaddr *from, qd_addr *out)
{
    *out = (qd_addr){0};
    if (from && from->sa_family == AF_INET) {
        out->len = 4;
        memcpy(out->ip, &((const struct sockaddr_in *)(const void *)from)->sin_addr, 4);
    } else if (from && from->sa_family == AF_INET6) {
        out->len = 16;
        memcpy(out->ip, &((const struct sockaddr_in6 *)(const void *)from)->sin6_addr, 16);
    }
    return out->len != 0;
}

static bool is_link_local(const qd_addr *a)
{
    return a->len == 4 ? a->ip[0] == 169 && a->ip[1] == 254
                       : a->ip[0] == 0xfe && (a->ip[1] & 0xc0) == 0x80;
}

static bool is_private(const qd_addr *a)
{
    if (a->len == 16) return (a->ip[0] & 0xfe) == 0xfc || (a->ip[0] == 0xfe && a->ip[1] >= 0xc0);
    return a->ip[0] == 10 || (a->ip[0] == 172 && (a->ip[1] & 0xf0) == 16) ||
           (a->ip[0] == 192 && a->ip[1] == 168);
}

/* word: between the underscores. */
static bool is_meant(qd_str word, const char *interface, const qd_addr *a)
{
    if (is_link_local(a)) return false;
    if (qd_str_is(word, "site")) return is_private(a) && !qd_addr_is_loopback(a);
    if (qd_str_is(word, "global")) return !is_private(a) && !qd_addr_is_loopback(a);
    return qd_str_is(word, interface);
}

static int of_interfaces(qd_str whole, qd_addr *out, uint32_t max, uint32_t *n, qd_err *err)
{
    struct ifaddrs *list = NULL;
    qd_str rest = qd_str_sub(whole, 1, whole.n - 2), word = qd_str_split(&rest, ':');
    uint8_t len = qd_str_is(rest, "ipv4") ? 4 : qd_str_is(rest, "ipv6") ? 16 : 0;
    if (rest.n && !len)
        return qd_err_set(err, QD_E_ARG, "[%.*s]: wanted :ipv4_ or :ipv6_", QD_STR_ARG(whole));
    if (getifaddrs(&list) != 0) return qd_err_errno(err, errno, "addresses of this machine");
    for (struct ifaddrs *i = list; i && *n < max; i = i->ifa_next) {
        qd_addr a;
        if (!(i->ifa_flags & IFF_UP) || !addr_of(i->ifa_addr, &a)) continue;
        if (is_meant(word, i->ifa_name, &a) && (!len || len == a.len)) out[(*n)++] = a;
    }
    freeifaddrs(list);
    return *n ? 0
              : qd_err_set(err, QD_E_NOTFOUND, "[%.*s]: this machine has no such address",
                           QD_STR_ARG(whole));
}

int qd_resolve_listen(qd_str word, qd_addr *out, uint32_t max, uint32_t *n, qd_err *err)
{
    *n = 0;
    if (qd_str_is(word, "_local_") || qd_str_is(word, "localhost")) word = QD_STR("127.0.0.1");
    if (word.n > 2 && word.p[0] == '_' && word.p[word.n - 1] == '_')
        return of_interfaces(word, out, max, n, err);
    return qd_resolve_now(word, 0, out, max, n, err);
}
