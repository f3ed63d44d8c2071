/* post.c: one-way messages to named channels. */
#include "rpc/rpc_int.h"

static uint32_t channel_id(qd_str name)
{
    return (uint32_t)qd_xxh3(name.p, name.n) | 1;
}

static rpc_channel *find(qd_rpc *rpc, uint32_t id)
{
    id_node *n = qdi_ids_get(&rpc->channels, id);
    return n ? QD_CONTAINER_OF(n, rpc_channel, node) : NULL;
}

static void post_here(qd_post *post)
{
    rpc_out *o = QD_CONTAINER_OF(post, rpc_out, post);
    if (o->dropped && o->peer->watches) /* which is dialed anyway */
        qdi_out_unref(o);
    else
        qdi_peer_send(o->peer, o);
}

int qd_rpc_post(qd_rpc *rpc, qd_str to, qd_str channel, const qd_iovec *pieces, uint32_t n)
{
    rpc_peer *p;
    rpc_out *o;
    size_t bytes = 0;
    QD_CHECK(rpc, QD_RPC_MAGIC);
    for (uint32_t i = 0; i < n; i++) bytes += pieces[i].len;
    if (bytes > QD_RPC_POST_MAX) return QD_E_TOO_LARGE;
    if (!channel.n || channel.n > 31) return QD_E_ARG;
    if (atomic_load(&rpc->closing)) return QD_E_CLOSED;
    int rc = qdi_peer_get(rpc, to, &p, NULL);
    if (rc) return rc;
    uint64_t room = bytes + sizeof(rpc_out);
    if (!qdi_peer_room(p, QD_RPC_CONTROL, room, false)) rc = QD_E_REJECTED;
    out_spec spec = {
        .type = FRAME_POST,
        .class = QD_RPC_CONTROL,
        .version = QD_RPC_1_0,
        .action = channel_id(channel),
        .pieces = pieces,
        .npieces = n,
    };
    if (!rc && (rc = qdi_out_make(rpc, &spec, &o, NULL)))
        atomic_fetch_sub(&p->queued[QD_RPC_CONTROL], room);
    if (rc) {
        COUNT(rpc, posts_dropped, 1);
        qdi_peer_put(p);
        return rc;
    }
    o->peer = p;
    o->room = room;
    o->post.fn = post_here;
    /* while the peer is down it is not sent, but it starts a dial */
    bool down = o->dropped = atomic_load(&p->state) == PEER_DOWN;
    if (down) COUNT(rpc, posts_dropped, 1);
    qd_loop_post(p->loop->loop, &o->post);
    return down ? QD_E_CLOSED : 0;
}

int qd_rpc_on_post(qd_rpc *rpc, qd_str channel, qd_rpc_on_post_fn fn, void *arg, qd_err *err)
{
    QD_CHECK(rpc, QD_RPC_MAGIC);
    if (!channel.n || channel.n > 31)
        return qd_err_set(err, QD_E_ARG, "a channel's name has 1 to 31 bytes");
    uint32_t id = channel_id(channel);
    qd_mutex_lock(&rpc->lock);
    rpc_channel *ch = find(rpc, id);
    if (ch && !qd_str_is(channel, ch->name)) {
        qd_mutex_unlock(&rpc->lock);
        return qd_err_set(err, QD_E_EXISTS, "channel [%.*s] cannot stand beside [%s]",
                          QD_STR_ARG(channel), ch->name);
    }
    if (!ch && fn) {
        ch = qd_calloc(&rpc->control, sizeof *ch);
        if (ch) {
            ch->node.id = id;
            memcpy(ch->name, channel.p, channel.n);
            qd_rwlock_init(&ch->lock);
            if (qdi_ids_add(&rpc->channels, &rpc->control, &ch->node)) {
                qd_free(ch);
                ch = NULL;
            }
        }
        if (!ch) {
            qd_mutex_unlock(&rpc->lock);
            return qd_err_nomem(err, "a channel");
        }
    }
    qd_mutex_unlock(&rpc->lock);
    if (!ch) return 0;
    /* a channel once known stays until the rpc is closed, so its lock may be waited for out here */
    qd_rwlock_write(&ch->lock);
    bool taken = fn && ch->fn;
    if (!taken) {
        ch->fn = fn;
        ch->arg = arg;
    }
    qd_rwlock_unlock(&ch->lock);
    return taken ? qd_err_set(err, QD_E_EXISTS, "channel [%s] is open", ch->name) : 0;
}

void qdi_post_arrived(qd_rpc *rpc, const qd_rpc_node *from, uint32_t channel, qd_str bytes)
{
    qd_mutex_lock(&rpc->lock);
    rpc_channel *ch = find(rpc, channel);
    qd_mutex_unlock(&rpc->lock);
    COUNT(rpc, posts_in, 1);
    if (!ch) return;
    qd_rwlock_read(&ch->lock);
    if (ch->fn) ch->fn(ch->arg, from, bytes);
    qd_rwlock_unlock(&ch->lock);
}
