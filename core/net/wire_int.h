/* wire_int.h: structs of the TCP wire's files: wire_tcp.c (sockets), wire_tls.c (OpenSSL). */
#ifndef QD_NET_WIRE_INT_H
#define QD_NET_WIRE_INT_H

#include "net/wire_tcp.h"
#include "runtime/resolve.h"
#include "runtime/sync.h"
#include <uv.h>

#define WIRE_LOG "transport"
#define WIRE_READ_BYTES (256u * 1024)
#define WIRE_LOOPS_MAX 16u
#define WIRE_LINGER_NS 1000000000ull

typedef struct tcp_wire tcp_wire;
typedef struct tcp_link tcp_link;
typedef struct tls_link tls_link;
typedef struct tls_files tls_files; /* a context of OpenSSL, counted */

typedef enum link_state {
    LINK_RESOLVING,
    LINK_CONNECTING,
    LINK_SECURING, /* TLS handshake */
    LINK_OPEN,
    LINK_FLUSHING, /* the user has left; what was written goes out */
    LINK_CLOSING,
} link_state;

/* What the links of one loop share: bytes are used up inside the callback that brought them. */
typedef struct tcp_loop {
    qd_loop *loop;
    char *read_buf;
} tcp_loop;

struct tcp_wire {
    qd_wire base; /* first */
    qd_wire_tcp_config c;
    qd_mutex lock;
    tcp_loop loops[WIRE_LOOPS_MAX];
    uint32_t nloops;
    tls_files *files; /* under lock */
};

struct tcp_link {
    qd_wire_link base; /* first */
    tcp_wire *wire;
    qd_loop *loop;
    char *read_buf;
    link_state state;
    bool dialed, tcp_made, tcp_closed, resolving, paused, reading, write_busy, user_told;
    qd_wire_end end;
    char reason[256];
    uv_tcp_t tcp;
    uv_connect_t connect;
    uv_write_t write;
    uv_shutdown_t shutdown;
    qd_resolve resolve;
    uint32_t at; /* address being dialed */
    bool all_refused;
    uint64_t deadline_ns;
    qd_timer timer;
    char host[256]; /* dialed */
    tls_link *tls;  /* NULL: plain, or not begun */
};

struct qd_wire_listener {
    tcp_wire *wire;
    qd_loop *loop;
    uv_tcp_t tcp;
    uint16_t port;
    qd_wire_accept_fn fn;
    void *arg;
    void (*done)(void *arg);
    void *done_arg;
};

/* --- wire_tcp.c --- */

/* Ends a link for a reason, unless it is ending already. */
void qdi_link_end(tcp_link *l, qd_wire_end end, const char *reason);
/* Hands plain bytes to the user. False: the link is ending. */
bool qdi_link_data(tcp_link *l, const uint8_t *p, size_t n);
/* The link is ready: tells the user of a dialed one. */
void qdi_link_opened(tcp_link *l);
/* Sends bytes of TLS' own (handshake, alerts), copied. False: the link is ending. */
bool qdi_link_send(tcp_link *l, const void *p, size_t n);
/* A write of the user is done. */
void qdi_link_written(tcp_link *l);
/* Sends pieces; 1 all taken, 0 later (qdi_link_written follows), negative. */
int qdi_link_write(tcp_link *l, const qd_iovec *pieces, uint32_t n);

/* --- wire_tls.c --- */

/* Reads the files into a context. */
QD_MUST_CHECK
int qdi_tls_files_open(const qd_wire_tls *tls, tls_files **out, qd_err *err);
/* Logs what is no error yet: a certificate out of its time. */
void qdi_tls_files_look(const qd_wire_tls *tls, tls_files *f);
/* One more user. */
tls_files *qdi_tls_files_ref(tls_files *f);
/* One user less; NULL is fine. */
void qdi_tls_files_unref(tls_files *f);
/* Begins TLS on a connected link: sends the first bytes of a dialed one. QD_E_NOMEM. */
QD_MUST_CHECK
int qdi_tls_begin(tcp_link *l, tls_files *f);
/* Bytes have come from the socket. */
void qdi_tls_feed(tcp_link *l, const uint8_t *p, size_t n);
/* Encrypts and sends; as qd_wire_write. */
int qdi_tls_write(tcp_link *l, const qd_iovec *pieces, uint32_t n);
/* Sends the farewell, if TLS stands. */
void qdi_tls_bye(tcp_link *l);
/* Is the peer's certificate made out to name? */
bool qdi_tls_named(const tcp_link *l, qd_str name);
/* Frees the link's TLS. */
void qdi_tls_end(tcp_link *l);

#endif
