/*
 * peers.h: the service "peers": messages between the instances of one plugin on several nodes, over
 * the node's own transport: its ports, its TLS, its handshake (cluster, version, identity), its
 * limits. A plugin that talks to other nodes opens a channel and no sockets of its own; in a
 * simulation the same service runs over the simulated network.
 *
 * A message is opaque bytes, one way, delivered at most once and in the order of sending as long as
 * a connection lasts; it may be lost with a connection, so the plugin repeats what matters.
 */
#ifndef QUIDDITCH_PEERS_H
#define QUIDDITCH_PEERS_H

#include <quidditch/abi.h>

#ifdef __cplusplus
extern "C" {
#endif

#define QD_PEERS_MESSAGE_MAX (5u << 20) /* bytes */

typedef struct qd_peers qd_peers; /* an open channel */

enum {
    QD_PEER_ROLE_MASTER = 1,
    QD_PEER_ROLE_COORDINATION = 2,
    QD_PEER_ROLE_DATA = 4,
    QD_PEER_ROLE_INGEST = 8,
    QD_PEER_ROLE_OPERATOR = 16
};
/* Who is at an address, as its handshake told; borrow. */
typedef struct qd_peer {
    qd_str address;      /* "host:port" that it publishes: messages to it go there */
    qd_str node_id;      /* the same after a restart */
    qd_str ephemeral_id; /* another one after each start */
    qd_str node_name;
    qd_str cluster_uuid; /* empty: it knew none when it connected */
    uint32_t roles;      /* QD_PEER_ROLE_* */
    uint32_t self;       /* 1: the address leads to this very node */
} qd_peer;

enum {
    QD_PEER_UP = 1, /* connected */
    QD_PEER_GONE,   /* its connection closed and the redial was refused, or another process answers
                       there now: that process has ended */
    QD_PEER_LOST,   /* silent: it may live or not */
    QD_PEER_REFUSED /* reachable, but this node and it refuse each other (reason) */
};

/* What a channel tells; everything is borrowed. */
typedef struct qd_peers_events {
    uint32_t struct_size, reserved;
    /* A message has come. It may have to be copied: the thread carries all traffic. [loop] */
    void (*message)(void *arg, const qd_peer *from, qd_str bytes);
    /* A watched address changed: QD_PEER_*. peer is NULL when nobody was ever met there; reason is
     * empty with UP. May be NULL. [loop] */
    void (*changed)(void *arg, qd_str address, uint32_t event, const qd_peer *peer, qd_str reason);
    void *arg;
} qd_peers_events;

typedef struct qd_svc_peers {
    qd_vtable head;
    /* Opens the plugin's channel of this name ([a-z0-9-], at most 15 bytes): the same plugin's
     * channel of the same name on other nodes is what it talks to. EXISTS; UNSUPPORTED: the node
     * has no transport. [worker] */
    int32_t (*open)(qd_self *, qd_str channel, const qd_peers_events *, qd_peers **out, qd_err *);
    /* Sends the pieces, copied, as one message. 0 says that it was queued, no more. Dropped: CLOSED
     * (not connected: it is being dialed), REJECTED (queue full), TOO_LARGE, ARG, NOMEM. A message
     * to the own address arrives too. [any] */
    int32_t (*send)(qd_peers *, qd_str address, const qd_iovec *pieces, uint32_t npieces);
    /* Keeps a connection to the address and tells its changes; the first one when it is known.
     * Twice is as good as once. ARG, NOMEM. [any] */
    int32_t (*watch)(qd_peers *, qd_str address, qd_err *);
    /* Ends that; a change under way on the loop may still be told. [any] */
    void (*unwatch)(qd_peers *, qd_str address);
    /* "host:port" under which other nodes reach this one; keep until stop. [any] */
    qd_str (*address)(qd_self *);
    /* The cluster's uuid is known now: handshakes name it, peers of another cluster are cut off.
     * Only for a plugin that learns it first: the node knows it from its own record, or says so
     * itself once it has joined. [any] */
    void (*cluster_set)(qd_self *, qd_str uuid);
    /* Closes the channel and its watches; no event is told afterwards. Not from an event. [worker]
     */
    void (*close)(qd_peers *);
} qd_svc_peers;

#ifdef __cplusplus
}
#endif
#endif
