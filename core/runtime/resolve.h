/*
 * resolve.h: host names to addresses, on a pool (`generic`): a slow name server delays nobody else.
 */
#ifndef QD_RUNTIME_RESOLVE_H
#define QD_RUNTIME_RESOLVE_H

#include "runtime/loop.h"
#include "runtime/pool.h"

/* An IP address with a port, independent of the system's structs. */
typedef struct qd_addr {
    uint8_t ip[16]; /* network order; IPv4 in the first 4 */
    uint8_t len;    /* 4 or 16 */
    uint16_t port;
    uint32_t scope; /* of link-local IPv6 */
} qd_addr;
#define QD_ADDR_TEXT_MAX 64

#define QD_RESOLVE_MAX 16
/* One look-up; embedded by the caller until done has run. */
typedef struct qd_resolve {
    qd_work work;
    qd_post post;
    qd_loop *loop;
    char host[256];
    uint16_t port;
    qd_addr addrs[QD_RESOLVE_MAX]; /* in the resolver's order of preference */
    uint32_t n;
    int32_t rc; /* 0, QD_E_NOTFOUND, QD_E_IO */
    char reason[128];
    void (*done)(struct qd_resolve *r);
    void *user;
} qd_resolve;

/* Looks host up on the pool and calls done on the loop, exactly once and never at once. host is
 * copied; a literal address needs no pool. 0, QD_E_ARG (empty or too long), QD_E_REJECTED. [any] */
QD_MUST_CHECK
int qd_resolve_start(qd_resolve *r, qd_pool *pool, qd_loop *loop, qd_str host, uint16_t port,
                     void (*done)(qd_resolve *r), void *user, qd_err *err);
/* The same at once, for start-up and the tools: fills at most max addresses, *n gets how many. */
QD_MUST_CHECK
int qd_resolve_now(qd_str host, uint16_t port, qd_addr *out, uint32_t max, uint32_t *n,
                   qd_err *err);
/* Addresses that a word of network.host means, for start-up: a literal address, a name, _local_
 * (loopback, 127.0.0.1), _site_ (private ones of this machine), _global_ (its public ones), _eth0_
 * (those of an interface), each of the last three with :ipv4_ or :ipv6_ at its end. At least one,
 * or QD_E_NOTFOUND. Link-local addresses are never meant. */
QD_MUST_CHECK
int qd_resolve_listen(qd_str word, qd_addr *out, uint32_t max, uint32_t *n, qd_err *err);
/* Reads a literal IPv4 or IPv6 address (with or without brackets). [any] */
bool qd_addr_parse(qd_str text, uint16_t port, qd_addr *out);
/* Writes "1.2.3.4:80" or "[::1]:80" (with_port), or the address alone; returns out. [any] */
const char *qd_addr_text(const qd_addr *a, bool with_port, char out[QD_ADDR_TEXT_MAX]);
/* Is it a loopback address? [any] */
bool qd_addr_is_loopback(const qd_addr *a);
/* Is it the unspecified address (0.0.0.0, ::)? [any] */
bool qd_addr_is_any(const qd_addr *a);

#endif
