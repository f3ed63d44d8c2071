/*
 * conn_open.c: how a connection begins: handshake, the cluster that each side names, and others who
 * come here by mistake. Everything here runs on the connection's loop.
 */
#include "rpc/rpc_int.h"
#include <stdio.h>

/* The handshake is done. */
static void open_now(rpc_conn *c)
{
    qd_rpc *rpc = c->rpc;
    c->state = CONN_OPEN;
    c->alive_ns = c->tick_ns = c->ping_ns = qd_env_mono_ns(rpc->c.env);
    if (c->peer) {
        COUNT(rpc, opened_out, 1);
        atomic_fetch_add(&rpc->stats.open_out, 1);
    } else {
        c->loop->unknown--;
        COUNT(rpc, opened_in, 1);
        atomic_fetch_add(&rpc->stats.open_in, 1);
    }
    qd_timer_stop(&c->timer);
    if (rpc->c.ping_ns == UINT64_MAX) return;
    c->timer.fn = qdi_conn_tick;
    if (qd_timer_start(&c->timer, rpc->c.ping_ns / 2, rpc->c.ping_ns / 2))
        qdi_conn_end(c, false, "out of memory");
}

/* --- handshake --- */

static void send_refuse(rpc_conn *c, int code, const char *text)
{
    qd_writer w;
    qd_writer_init(&w, &c->rpc->control, FRAME_SMALL_MAX, QD_RPC_1_0);
    qd_write_zigzag(&w, code);
    qd_write_c(&w, text);
    qd_str s = qd_writer_view(&w);
    if (!qd_writer_end(&w, "refusal", NULL)) qdi_conn_send_small(c, FRAME_REFUSE, 0, s.p, s.n);
    qd_writer_fini(&w);
    qdi_conn_flush(c);
}

static const char *node_text(const qd_rpc_node *n, char out[400])
{
    if (n->name[0])
        snprintf(out, 400, "node [%.150s] at [%.200s]", n->name, n->address);
    else
        snprintf(out, 400, "node");
    return out;
}

void qdi_conn_hello(rpc_conn *c, qd_str payload)
{
    qd_rpc *rpc = c->rpc;
    qd_rpc_node node;
    char theirs[256], ours[512], who[400], hello[FRAME_SMALL_MAX];
    int rc;
    if (c->link->plain) {
        COUNT(rpc, refused_in, 1);
        qdi_garbage_log(rpc, c->link->remote,
                        "refused a node: it connects without TLS, which "
                        "security.transport.ssl.enabled demands here");
        send_refuse(c, QD_E_PERMISSION,
                    "it demands TLS; set security.transport.ssl.enabled with a certificate");
        qdi_conn_end(c, true, "refused");
        return;
    }
    rc = qdi_hello_take(c, payload, false, &node, &c->class, theirs, ours);
    if (!rc && !(c->who = qdi_who_make(rpc, &node))) {
        qdi_conn_end(c, false, "out of memory");
        return;
    }
    if (!rc && !node.self) rc = qdi_node_add(rpc, c->who, theirs, ours);
    if (rc) {
        COUNT(rpc, refused_in, 1);
        char line[1024];
        snprintf(line, sizeof line, "refused %s: %s", node_text(&node, who), ours);
        qdi_garbage_log(rpc, c->link->remote, line);
        send_refuse(c, rc, theirs);
        qdi_conn_end(c, true, "refused");
        return;
    }
    c->registered = !node.self;
    c->named = node.cluster_uuid[0] != 0;
    c->version = node.version;
    size_t n = qdi_hello_put(rpc, c->class, c->version, hello);
    qdi_conn_send_small(c, FRAME_WELCOME, 0, hello, n);
    open_now(c);
    if (!node.self) qdi_peer_nudge(rpc, qd_str_c(node.address));
}

void qdi_conn_welcome(rpc_conn *c, qd_str payload)
{
    qd_rpc *rpc = c->rpc;
    qd_rpc_node node;
    uint8_t class;
    char theirs[256], ours[512];
    int rc = qdi_hello_take(c, payload, true, &node, &class, theirs, ours);
    if (!rc && node.self) {
        qdi_peer_self(c->peer, c);
        qdi_conn_end(c, false, "this node itself");
        return;
    }
    if (!rc && !(c->who = qdi_who_make(rpc, &node))) {
        qdi_conn_end(c, false, "out of memory");
        return;
    }
    if (!rc) rc = qdi_node_add(rpc, c->who, theirs, ours);
    if (rc) {
        COUNT(rpc, refused_out, 1);
        send_refuse(c, rc, theirs);
        c->why_code = rc;
        qdi_peer_refused(c->peer, c, ours, ours);
        qdi_conn_end(c, true, ours);
        return;
    }
    c->registered = true;
    c->version = node.version;
    open_now(c);
    if (c->state == CONN_OPEN) qdi_peer_opened(c->peer, c);
}

void qdi_conn_refused(rpc_conn *c, qd_str payload)
{
    qd_body_reader r;
    char text[256], line[400];
    qd_body_reader_init(&r, payload, "refusal", QD_RPC_1_0);
    int64_t code = qd_read_zigzag(&r, "code");
    qd_read_text(&r, "text", text, sizeof text);
    if (qd_body_reader_check(&r, NULL) || code >= 0 || code < -100000) {
        qdi_conn_garbage(c, "a refusal that cannot be read");
        return;
    }
    if (!c->peer) {
        COUNT(c->rpc, refused_in, 1);
        snprintf(line, sizeof line, "the node there refuses this one: %s", text);
        qdi_garbage_log(c->rpc, c->link->remote, line);
        qdi_conn_end(c, false, text);
        return;
    }
    COUNT(c->rpc, refused_out, 1);
    c->why_code = (int)code;
    snprintf(line, sizeof line, "it refuses this node: %s", text);
    qdi_peer_refused(c->peer, c, line, line);
    qdi_conn_end(c, false, line);
}

/* The peer told another uuid than this node's: both are named. */
static void other_cluster(rpc_conn *c, const char *theirs, const char *ours, bool told)
{
    char line[240];
    snprintf(line, sizeof line,
             "two clusters have one name; their uuids differ: it is of [%.60s], this node of "
             "[%.60s]",
             theirs, ours);
    if (told) {
        char there[240];
        snprintf(there, sizeof there,
                 "two clusters have one name; their uuids differ: it is of [%.60s], this node of "
                 "[%.60s]",
                 ours, theirs);
        send_refuse(c, QD_E_SECURITY, there);
    }
    if (c->peer) qdi_peer_refused(c->peer, c, line, line);
    qdi_conn_end(c, true, line);
}

/* What is known of the node there has its cluster from now on. */
static void note_cluster(rpc_conn *c, const char *uuid)
{
    rpc_who *old = c->who, *gone = NULL;
    qd_rpc_node node = old->node;
    if (strcmp(node.cluster_uuid, uuid) == 0) return;
    snprintf(node.cluster_uuid, sizeof node.cluster_uuid, "%s", uuid);
    rpc_who *who = qdi_who_make(c->rpc, &node);
    if (!who) return;
    c->who = who;
    if (c->peer) {
        qd_mutex_lock(&c->peer->loop->lock);
        if (c->peer->who == old) {
            gone = c->peer->who;
            c->peer->who = qdi_who_ref(who);
        }
        qd_mutex_unlock(&c->peer->loop->lock);
    }
    qdi_who_unref(gone);
    qdi_who_unref(old);
}

/* The cluster's uuid became known there. */
void qdi_conn_cluster(rpc_conn *c, qd_str payload)
{
    qd_body_reader r;
    qd_rpc *rpc = c->rpc;
    char uuid[64], ours[64];
    qd_body_reader_init(&r, payload, "cluster", QD_RPC_1_0);
    qd_read_text(&r, "uuid", uuid, sizeof uuid);
    if (qd_body_reader_check(&r, NULL)) {
        qdi_conn_garbage(c, "a cluster uuid that cannot be read");
        return;
    }
    qd_mutex_lock(&rpc->lock);
    snprintf(ours, sizeof ours, "%s", rpc->cluster_uuid);
    qd_mutex_unlock(&rpc->lock);
    bool wrong = ours[0] && uuid[0] && strcmp(ours, uuid) != 0;
    if (wrong)
        other_cluster(c, uuid, ours, true);
    else
        note_cluster(c, uuid);
    if (!wrong && !c->peer && uuid[0]) c->named = true;
}

void qdi_conns_cluster(rpc_loop *l, const char *uuid)
{
    qd_writer w;
    qd_writer_init(&w, &l->rpc->control, 256, QD_RPC_1_0);
    qd_write_c(&w, uuid);
    qd_str s = qd_writer_view(&w);
    bool ok = !qd_writer_end(&w, "cluster", NULL);
    for (rpc_conn *c = l->conns, *next; c; c = next) {
        next = c->next; /* an end frees nothing before its link's `closed` */
        if (c->state != CONN_OPEN) continue;
        const char *theirs = c->who->node.cluster_uuid;
        if (theirs[0] && strcmp(theirs, uuid) != 0) {
            other_cluster(c, theirs, uuid, false);
        } else if (ok) {
            if (c->peer && uuid[0]) c->named = true;
            qdi_conn_send_small(c, FRAME_CLUSTER, 0, s.p, s.n);
        }
    }
    qd_writer_fini(&w);
}

/* Before a request: the other node is told this one's cluster if it was not known at the handshake,
 * whose answer may have come while it became known. */
void qdi_conn_tell_cluster(rpc_conn *c)
{
    qd_writer w;
    char uuid[64];
    qd_mutex_lock(&c->rpc->lock);
    snprintf(uuid, sizeof uuid, "%s", c->rpc->cluster_uuid);
    qd_mutex_unlock(&c->rpc->lock);
    if (!uuid[0]) return;
    qd_writer_init(&w, &c->rpc->control, 256, QD_RPC_1_0);
    qd_write_c(&w, uuid);
    qd_str s = qd_writer_view(&w);
    c->named = !qd_writer_end(&w, "cluster", NULL);
    if (c->named) qdi_conn_send_small(c, FRAME_CLUSTER, 0, s.p, s.n);
    qd_writer_fini(&w);
}

/* --- others who come here by mistake --- */

static const char *const methods[] = {"GET ", "POST", "PUT ", "HEAD", "DELE",
                                      "OPTI", "PATC", "TRAC", "CONN", "PRI "};

static void answer_http(rpc_conn *c)
{
    qd_rpc *rpc = c->rpc;
    char body[1024];
    int n = snprintf(body, sizeof body,
                     "{\"error\":{\"root_cause\":[],\"type\":\"bad_request_exception\",\"reason\":"
                     "\"this is not an HTTP "
                     "port: nodes talk to each other here; %s%s\"},\"status\":400}\n",
                     rpc->rest[0] ? "the REST API is at http://"
                                  : "this node has no REST API, ask a coordination node, port 9200",
                     rpc->rest);
    int all =
        snprintf((char *)c->small, FRAME_SMALL_MAX,
                 "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: "
                 "%d\r\nconnection: close\r\n\r\n%s",
                 n, body);
    COUNT(rpc, http, 1);
    qd_iovec v = {c->small, (size_t)all};
    if (qd_wire_write(c->link, &v, 1) >= 0)
        qdi_conn_end(c, true, "it speaks HTTP");
    else
        qdi_conn_end(c, false, "it speaks HTTP");
}

/* The first four bytes of an accepted connection are no frame's. */
void qdi_conn_stranger(rpc_conn *c)
{
    for (size_t i = 0; i < QD_COUNT_OF(methods); i++) {
        if (memcmp(c->head, methods[i], 4) != 0) continue;
        answer_http(c);
        return;
    }
    if (c->head[0] == 0x16 && c->head[1] == 3)
        qdi_conn_garbage(
            c, "it begins with TLS, but security.transport.ssl.enabled is not set on this node");
    else
        qdi_conn_garbage(c, "what it sends is not the protocol of nodes");
}
