/*
 * wire_tcp.h: the wire (wire.h) over TCP, with mutual TLS 1.2 or 1.3 where certificates are given.
 */
#ifndef QD_NET_WIRE_TCP_H
#define QD_NET_WIRE_TCP_H

#include "net/wire.h"
#include "runtime/pool.h"

/* How certificates of other nodes are checked. */
typedef enum qd_wire_verify {
    QD_WIRE_VERIFY_FULL,        /* signed by an authority and made out to host or node name */
    QD_WIRE_VERIFY_CERTIFICATE, /* signed by an authority */
    QD_WIRE_VERIFY_NONE,        /* encrypted only */
} qd_wire_verify;

/* PEM files; borrowed for the call. */
typedef struct qd_wire_tls {
    const char *certificate; /* chain of this node */
    const char *key;
    const char *const *authorities;
    uint32_t nauthorities; /* none: those that the system trusts */
    qd_wire_verify verify;
} qd_wire_tls;

typedef struct qd_wire_tcp_config {
    qd_env *env;
    qd_pool *resolver;      /* `generic`, where names are looked up; kept */
    qd_account *account;    /* NULL: general */
    const qd_wire_tls *tls; /* NULL: plain */
} qd_wire_tcp_config;

/* Opens it. QD_E_CONFIG names the file that cannot be used and why; QD_E_NOMEM. [worker] */
QD_MUST_CHECK
int qd_wire_tcp_open(const qd_wire_tcp_config *config, qd_wire **out, qd_err *err);
/* Frees it; all its links and listeners have been closed and told so. NULL is fine. [worker] */
void qd_wire_tcp_close(qd_wire *wire);
/* Reads the files again; links made from now on use them. On an error nothing has changed. [any] */
QD_MUST_CHECK
int qd_wire_tcp_reload(qd_wire *wire, const qd_wire_tls *tls, qd_err *err);

/* Can these files be used? QD_E_CONFIG names the one that cannot, and why; QD_E_NOMEM. [worker] */
QD_MUST_CHECK
int qd_wire_tls_check(const qd_wire_tls *tls, qd_err *err);

#endif
