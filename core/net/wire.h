/*
 * wire.h: connections that carry bytes between nodes, as a table of functions, so that the
 * transport of core/rpc runs over sockets (wire_tcp.h, with TLS) and over a simulated network
 * (rpc/sim_wire.h).
 *
 * A link belongs to the loop on which it was made; every function and callback of it runs there.
 * The user of a link gets `opened` (dialed links only), then `data`, `written`, and last of all
 * `closed`, exactly once, never inside a call of the user's; after `closed` the link is gone. After
 * wire close of a link only `closed` follows.
 */
#ifndef QD_NET_WIRE_H
#define QD_NET_WIRE_H

#include "base/err.h"
#include "base/str.h"
#include "runtime/loop.h"
#include <quidditch/types.h>

typedef struct qd_wire qd_wire;
typedef struct qd_wire_link qd_wire_link;
typedef struct qd_wire_listener qd_wire_listener;

#define QD_WIRE_PIECES_MAX 64u /* of one write */

/* Why a dial or a link ended. */
typedef enum qd_wire_end {
    QD_WIRE_CLOSED,      /* by the other side, or by a reset */
    QD_WIRE_REFUSED,     /* nobody listens there */
    QD_WIRE_UNREACHABLE, /* no answer, no route, no such name */
    QD_WIRE_CERTIFICATE, /* TLS: a certificate was not accepted, by either side */
    QD_WIRE_BROKEN,      /* anything else: TLS broken, memory */
    QD_WIRE_LOCAL,       /* qd_wire close of this side */
} qd_wire_end;

/* What a link tells its user. */
typedef struct qd_wire_user {
    /* A dialed link is ready; with TLS its certificate has been checked. */
    void (*opened)(void *user);
    /* Bytes have come; borrow. Not while reading is paused. */
    void (*data)(void *user, const uint8_t *p, size_t n);
    /* A write that returned 0 has been taken whole; the next one may begin. */
    void (*written)(void *user);
    /* The link has ended; reason is for logs, borrow. */
    void (*closed)(void *user, qd_wire_end end, const char *reason);
} qd_wire_user;

/* What a listener tells: a link from outside, TLS not yet done. The callee sets its user by
 * qd_wire_link_user or closes it, at once. */
typedef void (*qd_wire_accept_fn)(void *arg, qd_wire_link *link);

#define QD_WIRE_ADDRESS_MAX 64 /* "number:port" with its NUL */

typedef struct qd_wire_ops {
    int (*listen)(qd_wire *wire, qd_loop *loop, const char *host, uint16_t port, bool shared,
                  qd_wire_accept_fn fn, void *arg, qd_wire_listener **out, qd_err *err);
    uint16_t (*port)(const qd_wire_listener *l);
    void (*unlisten)(qd_wire_listener *l, void (*done)(void *arg), void *arg);
    int (*dial)(qd_wire *wire, qd_loop *loop, qd_str address, uint64_t timeout_ns,
                const qd_wire_user *user, void *arg, qd_wire_link **out, qd_err *err);
    int (*write)(qd_wire_link *link, const qd_iovec *pieces, uint32_t n);
    void (*pause)(qd_wire_link *link, bool on);
    void (*close)(qd_wire_link *link, bool flush);
    size_t (*backlog)(const qd_wire_link *link);
    bool (*named)(const qd_wire_link *link, qd_str name);
    /* The addresses behind "name:port" as "number:port", at most max; 0: it is a number, unknown,
     * or this wire looks nothing up (then NULL). Blocks. [worker] */
    uint32_t (*addresses)(qd_wire *wire, qd_str address, char (*out)[QD_WIRE_ADDRESS_MAX],
                          uint32_t max);
} qd_wire_ops;

/* Head of every implementation. */
struct qd_wire {
    const qd_wire_ops *ops;
    bool secure; /* TLS: both sides have shown certificates when a link is open */
    bool names;  /* the certificate has to be made out to the peer's host or node name */
};
/* Head of every implementation's link. */
struct qd_wire_link {
    qd_wire *wire;
    const qd_wire_user *user;
    void *arg;
    char remote[64]; /* "address:port" of the other side, numeric */
    bool plain; /* no TLS though the wire demands it: an accepted link to be refused in words */
};

/* Listens on a numeric address; fn is told on the loop. shared: other loops listen on the same
 * port. QD_E_EXISTS: the port is taken; QD_E_IO, QD_E_NOMEM. Call it on the loop. [loop] */
QD_MUST_CHECK
static inline int qd_wire_listen(qd_wire *wire, qd_loop *loop, const char *host, uint16_t port,
                                 bool shared, qd_wire_accept_fn fn, void *arg,
                                 qd_wire_listener **out, qd_err *err)
{
    return wire->ops->listen(wire, loop, host, port, shared, fn, arg, out, err);
}
/* Port that it listens on. [any] */
static inline uint16_t qd_wire_port(qd_wire *wire, const qd_wire_listener *l)
{
    return wire->ops->port(l);
}
/* Listens no more; done(arg) when it is freed, never at once. [loop] */
static inline void qd_wire_unlisten(qd_wire *wire, qd_wire_listener *l, void (*done)(void *arg),
                                    void *arg)
{
    wire->ops->unlisten(l, done, arg);
}
/* Dials "host:port" (a name is looked up): `opened` or `closed` follows, never at once. QD_E_ARG,
 * QD_E_NOMEM, QD_E_REJECTED. [loop] */
QD_MUST_CHECK
static inline int qd_wire_dial(qd_wire *wire, qd_loop *loop, qd_str address, uint64_t timeout_ns,
                               const qd_wire_user *user, void *arg, qd_wire_link **out, qd_err *err)
{
    return wire->ops->dial(wire, loop, address, timeout_ns, user, arg, out, err);
}
/* Sets the user of an accepted link and begins to read. */
static inline void qd_wire_link_user(qd_wire_link *link, const qd_wire_user *user, void *arg)
{
    link->user = user;
    link->arg = arg;
    link->wire->ops->pause(link, false);
}
/* Writes pieces (at most QD_WIRE_PIECES_MAX). 1: all has been taken, the memory is free; 0: it is
 * kept until `written`, nothing else may be written before; negative: the link is broken, `closed`
 * follows. [loop] */
static inline int qd_wire_write(qd_wire_link *link, const qd_iovec *pieces, uint32_t n)
{
    return link->wire->ops->write(link, pieces, n);
}
/* Stops or goes on reading. [loop] */
static inline void qd_wire_pause(qd_wire_link *link, bool on)
{
    link->wire->ops->pause(link, on);
}
/* Closes; `closed` follows, never at once. flush: what has been written is still sent, and the
 * other side's end awaited for a moment, so that a reset does not eat it. [loop] */
static inline void qd_wire_close(qd_wire_link *link, bool flush)
{
    link->wire->ops->close(link, flush);
}
/* Bytes of the pending write that the system has not taken: falls while the other side reads.
 * [loop] */
static inline size_t qd_wire_backlog(const qd_wire_link *link)
{
    return link->wire->ops->backlog(link);
}

/* Is the certificate of the other side made out to this host, address or node name? False without
 * a certificate. [loop] */
static inline bool qd_wire_named(const qd_wire_link *link, qd_str name)
{
    return link->wire->ops->named(link, name);
}

#endif
