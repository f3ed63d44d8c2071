/*
 * handshake.c: who may talk to whom. The dialing side tells first (hello), the other answers with
 * its own (welcome) or says why not (refuse); then both log the reason, each in its own words.
 */
#include "rpc/rpc_int.h"
#include <stdio.h>

#define FORMAT_OLDEST 0x0100u

size_t qdi_hello_put(qd_rpc *rpc, uint32_t class, uint16_t version, char out[FRAME_SMALL_MAX])
{
    qd_writer w;
    const qd_rpc_node *self = &rpc->self->node;
    qd_writer_init(&w, &rpc->control, FRAME_SMALL_MAX, QD_RPC_1_0);
    qd_write_u16(&w, QD_RPC_OLDEST);
    qd_write_u16(&w, rpc->c.version_max);
    qd_write_u16(&w, version);
    qd_write_u8(&w, (uint8_t) class);
    qd_write_c(&w, rpc->cluster_name);
    qd_mutex_lock(&rpc->lock);
    qd_write_c(&w, rpc->cluster_uuid);
    qd_mutex_unlock(&rpc->lock);
    qd_write_c(&w, self->id);
    qd_write_c(&w, self->ephemeral);
    qd_write_c(&w, self->name);
    qd_write_varint(&w, self->roles | atomic_load(&rpc->roles_more));
    qd_write_c(&w, self->address);
    qd_write_c(&w, self->product);
    qd_str s = qd_writer_view(&w);
    size_t n = qd_writer_end(&w, "handshake", NULL) ? 0 : s.n;
    if (n) memcpy(out, s.p, n);
    qd_writer_fini(&w);
    return n;
}

typedef struct hello {
    uint16_t oldest, newest, version;
    uint8_t class;
    char cluster[256];
} hello;

static int read_hello(qd_str payload, hello *h, qd_rpc_node *node, qd_err *err)
{
    qd_body_reader r;
    qd_body_reader_init(&r, payload, "handshake", QD_RPC_1_0);
    h->oldest = qd_read_u16(&r, "oldest_version");
    h->newest = qd_read_u16(&r, "newest_version");
    h->version = qd_read_u16(&r, "version");
    h->class = qd_read_u8(&r, "class");
    qd_read_text(&r, "cluster_name", h->cluster, sizeof h->cluster);
    qd_read_text(&r, "cluster_uuid", node->cluster_uuid, sizeof node->cluster_uuid);
    qd_read_text(&r, "node_id", node->id, sizeof node->id);
    qd_read_text(&r, "ephemeral_id", node->ephemeral, sizeof node->ephemeral);
    qd_read_text(&r, "node_name", node->name, sizeof node->name);
    node->roles = (uint32_t)qd_read_varint_max(&r, "roles", UINT32_MAX);
    qd_read_text(&r, "address", node->address, sizeof node->address);
    qd_read_text(&r, "product", node->product, sizeof node->product);
    if (!r.bad && (h->class >= QD_RPC_CLASSES))
        qd_body_reader_fail(&r, "class", "is no known class");
    if (!r.bad && (!node->id[0] || !node->ephemeral[0] || !node->name[0] || !node->address[0]))
        qd_body_reader_fail(&r, "node", "is not told in full");
    if (!r.bad && h->newest < h->oldest) qd_body_reader_fail(&r, "newest_version", "is too old");
    return qd_body_reader_check(&r, err);
}

#define VER(v) (unsigned)(v) >> 8, (unsigned)(v)&0xff

/* Both texts of a refusal: %s of the other node and its address stand before ours. */
static int refuse(int code, char theirs[256], char ours[512], const char *t, const char *o)
{
    snprintf(theirs, 256, "%.255s", t);
    snprintf(ours, 512, "%.511s", o);
    return code;
}

static int check_cluster(rpc_conn *c, const hello *h, const qd_rpc_node *node, char theirs[256],
                         char ours[512])
{
    qd_rpc *rpc = c->rpc;
    char t[320], o[512], uuid[64];
    if (strcmp(h->cluster, rpc->cluster_name) != 0) {
        snprintf(t, sizeof t,
                 "it belongs to the cluster [%.80s], this node to [%.80s]; check cluster.name",
                 rpc->cluster_name, h->cluster);
        snprintf(o, sizeof o,
                 "it belongs to the cluster [%.160s], this node to [%.160s]; check cluster.name",
                 h->cluster, rpc->cluster_name);
        return refuse(QD_E_SECURITY, theirs, ours, t, o);
    }
    qd_mutex_lock(&rpc->lock);
    snprintf(uuid, sizeof uuid, "%s", rpc->cluster_uuid);
    qd_mutex_unlock(&rpc->lock);
    if (uuid[0] && node->cluster_uuid[0] && strcmp(uuid, node->cluster_uuid) != 0) {
        snprintf(t, sizeof t,
                 "two clusters have the name [%.60s]: its uuid is [%s], that of this node's [%s]; "
                 "correct the "
                 "addresses or cluster.name",
                 rpc->cluster_name, uuid, node->cluster_uuid);
        snprintf(
            o, sizeof o,
            "two clusters have the name [%.160s]: its uuid is [%s], that of this node's [%s]; "
            "correct "
            "the addresses or cluster.name, or empty the data folder of a node that is to join",
            rpc->cluster_name, node->cluster_uuid, uuid);
        return refuse(QD_E_SECURITY, theirs, ours, t, o);
    }
    return 0;
}

/* The host of "host:port", without brackets. */
static qd_str host_of(const char *address)
{
    qd_str s = qd_str_c(address);
    while (s.n && s.p[s.n - 1] != ':') s.n--;
    if (s.n) s.n--;
    if (s.n > 1 && s.p[0] == '[' && s.p[s.n - 1] == ']') s = qd_str_sub(s, 1, s.n - 2);
    return s;
}

static int check_certificate(rpc_conn *c, const qd_rpc_node *node, char theirs[256], char ours[512])
{
    char t[256], o[512];
    if (!c->link->wire->names || qd_wire_named(c->link, qd_str_c(node->name)) ||
        qd_wire_named(c->link, host_of(node->address)) ||
        qd_wire_named(c->link, host_of(c->link->remote)) ||
        (c->peer && qd_wire_named(c->link, host_of(c->peer->address))))
        return 0;
    snprintf(t, sizeof t,
             "the certificate of this node is made out to neither [%.60s] nor [%.80s]; give it one "
             "that is",
             node->name, node->address);
    snprintf(o, sizeof o,
             "its certificate is made out to neither its name [%.100s] nor its host [%.200s]; give "
             "it one "
             "that is, or set security.transport.ssl.verification_mode: certificate",
             node->name, node->address);
    return refuse(QD_E_PERMISSION, theirs, ours, t, o);
}

int qdi_hello_take(rpc_conn *c, qd_str payload, bool welcome, qd_rpc_node *node, uint8_t *class,
                   char theirs[256], char ours[512])
{
    hello h;
    qd_err err;
    char t[256], o[512];
    uint16_t newest = c->rpc->c.version_max;
    memset(node, 0, sizeof *node);
    qd_err_init(&err);
    if (read_hello(payload, &h, node, &err)) {
        refuse(QD_E_CORRUPT, theirs, ours, qd_err_reason(&err), qd_err_reason(&err));
        qd_err_fini(&err);
        return QD_E_CORRUPT;
    }
    *class = h.class;
    if (h.oldest > newest || h.newest < QD_RPC_OLDEST) {
        snprintf(t, sizeof t,
                 "it speaks transport versions %u.%u to %u.%u, this node %u.%u to %u.%u; upgrade "
                 "step by "
                 "step, nodes of neighbouring versions understand each other",
                 VER(QD_RPC_OLDEST), VER(newest), VER(h.oldest), VER(h.newest));
        snprintf(o, sizeof o,
                 "it speaks transport versions %u.%u to %u.%u, this node %u.%u to %u.%u; upgrade "
                 "step by "
                 "step, nodes of neighbouring versions understand each other",
                 VER(h.oldest), VER(h.newest), VER(QD_RPC_OLDEST), VER(newest));
        return refuse(QD_E_UNSUPPORTED, theirs, ours, t, o);
    }
    node->version = h.newest < newest ? h.newest : newest;
    if (welcome && (h.version < QD_RPC_OLDEST || h.version > newest))
        return refuse(QD_E_CORRUPT, theirs, ours, "a welcome with a version that was not offered",
                      "it chose a version that was not offered");
    if (welcome) node->version = h.version;
    int rc = check_cluster(c, &h, node, theirs, ours);
    if (rc) return rc;
    const qd_rpc_node *self = &c->rpc->self->node;
    node->self = strcmp(node->id, self->id) == 0 && strcmp(node->ephemeral, self->ephemeral) == 0;
    if (node->self) return 0;
    rc = check_certificate(c, node, theirs, ours);
    if (rc) return rc;
    if (strcmp(node->id, self->id) == 0) {
        snprintf(
            t, sizeof t,
            "it has the node id [%s] itself: was the data folder copied? A copy has to be emptied",
            node->id);
        return refuse(QD_E_EXISTS, theirs, ours, t, t);
    }
    if (strcmp(node->name, self->name) == 0) {
        snprintf(t, sizeof t, "it has the name [%.120s] itself; give each node its own node.name",
                 node->name);
        snprintf(o, sizeof o,
                 "it has the name of this node, [%.255s]; give each node its own node.name",
                 node->name);
        return refuse(QD_E_EXISTS, theirs, ours, t, o);
    }
    return 0;
}

static int duplicate(const qd_rpc_node *old, const qd_rpc_node *now, char theirs[256],
                     char ours[512])
{
    char t[256], o[512];
    if (strcmp(old->id, now->id) == 0) {
        snprintf(
            t, sizeof t,
            "another process with the node id [%s] is connected, at [%.80s]; was the data folder "
            "copied? A copy has to be emptied",
            now->id, old->address);
        snprintf(
            o, sizeof o,
            "another process with the node id [%s] is connected, at [%.200s]; was the data folder "
            "copied? A copy has to be emptied",
            now->id, old->address);
    } else {
        snprintf(
            t, sizeof t,
            "another node with the name [%.80s] is connected, at [%.80s]; give each node its own "
            "node.name",
            now->name, old->address);
        snprintf(
            o, sizeof o,
            "another node with the name [%.160s] is connected, at [%.200s]; give each node its own "
            "node.name",
            now->name, old->address);
    }
    return refuse(QD_E_EXISTS, theirs, ours, t, o);
}

int qdi_node_add(qd_rpc *rpc, rpc_who *who, char theirs[256], char ours[512])
{
    int rc = 0;
    size_t pos = 0;
    const qd_map_entry *e;
    rpc_ident *found = NULL;
    qd_mutex_lock(&rpc->lock);
    while (!rc && (e = qd_map_next(&rpc->nodes, &pos))) {
        rpc_ident *i = e->value;
        const qd_rpc_node *n = &i->who->node;
        if (strcmp(n->id, who->node.id) == 0) {
            found = i;
            if (strcmp(n->ephemeral, who->node.ephemeral) != 0)
                rc = duplicate(n, &who->node, theirs, ours);
        } else if (strcmp(n->name, who->node.name) == 0) {
            rc = duplicate(n, &who->node, theirs, ours);
        }
    }
    if (!rc && !found) {
        found = qd_calloc(&rpc->control, sizeof *found);
        if (found) found->who = qdi_who_ref(who);
        if (!found || qd_map_put(&rpc->nodes, qd_str_c(who->node.id), found, NULL)) {
            if (found) qdi_who_unref(found->who);
            qd_free(found);
            rc = refuse(QD_E_NOMEM, theirs, ours, "it is out of memory", "out of memory");
        }
    }
    if (!rc) found->conns++;
    qd_mutex_unlock(&rpc->lock);
    return rc;
}

void qdi_node_del(qd_rpc *rpc, rpc_who *who)
{
    qd_mutex_lock(&rpc->lock);
    rpc_ident *i = qd_map_get(&rpc->nodes, qd_str_c(who->node.id));
    if (i && --i->conns == 0) {
        (void)qd_map_del(&rpc->nodes, qd_str_c(who->node.id));
        qdi_who_unref(i->who);
        qd_free(i);
    }
    qd_mutex_unlock(&rpc->lock);
}

rpc_who *qdi_who_make(qd_rpc *rpc, const qd_rpc_node *node)
{
    rpc_who *w = qd_alloc(&rpc->control, sizeof *w);
    if (!w) return NULL;
    atomic_init(&w->refs, 1);
    w->node = *node;
    return w;
}

void qdi_who_unref(rpc_who *w)
{
    if (w && atomic_fetch_sub(&w->refs, 1) == 1) qd_free(w);
}

#define MINUTE_NS 60000000000ull
#define LINES_A_MINUTE 30u

void qdi_garbage_log(qd_rpc *rpc, const char *remote, const char *what)
{
    uint64_t now = qd_env_mono_ns(rpc->c.env);
    qd_str host = host_of(remote);
    uint64_t key = qd_xxh3_seed(what, strlen(what), qd_xxh3(host.p, host.n));
    garbage_line *oldest = &rpc->garbage[0], *g = NULL;
    uint32_t quiet = 0, recent = 0;
    qd_mutex_lock(&rpc->lock);
    for (uint32_t i = 0; i < GARBAGE_LINES; i++) {
        garbage_line *at = &rpc->garbage[i];
        if (at->logged_ns && at->key == key) g = at;
        if (at->logged_ns && now - at->logged_ns < MINUTE_NS) recent++;
        if (at->logged_ns < oldest->logged_ns) oldest = at;
    }
    bool log = g ? now - g->logged_ns >= MINUTE_NS : recent < LINES_A_MINUTE;
    if (!g && log) {
        g = oldest;
        *g = (garbage_line){.key = key};
    }
    if (log) {
        quiet = g->quiet;
        g->quiet = 0;
        g->logged_ns = now ? now : 1;
    } else if (g) {
        g->quiet++;
    }
    qd_mutex_unlock(&rpc->lock);
    if (!log) return;
    if (quiet)
        qd_log_warn(RPC_LOG,
                    "closed a connection from [%s]: %s (and %u more alike since the last line)",
                    remote, what, quiet);
    else
        qd_log_warn(RPC_LOG, "closed a connection from [%s]: %s", remote, what);
}
