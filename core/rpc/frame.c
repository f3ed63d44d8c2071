/*
 * frame.c: bytes of frames and messages.
 *
 * A message (request, answer, post) is cut into frames of at most FRAME_MAX bytes, so that a large
 * one delays no small one. Its bytes are: varint, how many follow the two; varint, length of the
 * body before compression, 0 when it is not compressed; fields (of a request); the body.
 */
#include "rpc/rpc_int.h"
#include <zstd.h>

void qdi_frame_put(uint8_t out[FRAME_HEAD], const frame_head *h)
{
    qd_put_u32le(out, FRAME_MAGIC);
    qd_put_u16le(out + 4, h->version);
    out[6] = h->type;
    out[7] = h->flags;
    qd_put_u64le(out + 8, h->id);
    qd_put_u32le(out + 16, h->action);
    qd_put_u32le(out + 20, h->length);
    qd_put_u32le(out + 24, h->checksum);
    qd_put_u32le(out + 28, qdi_frame_sum(out, 28));
}

const char *qdi_frame_get(const uint8_t in[FRAME_HEAD], frame_head *h)
{
    if (qd_get_u32le(in) != FRAME_MAGIC) return "no frame begins with these bytes";
    if (qd_get_u32le(in + 28) != qdi_frame_sum(in, 28)) return "the head of a frame is damaged";
    *h = (frame_head){
        .version = qd_get_u16le(in + 4),
        .type = in[6],
        .flags = in[7],
        .id = qd_get_u64le(in + 8),
        .action = qd_get_u32le(in + 16),
        .length = qd_get_u32le(in + 20),
        .checksum = qd_get_u32le(in + 24),
    };
    if (h->type == 0 || h->type >= FRAME_TYPES) return "a frame of an unknown type";
    if (h->flags & ~FRAME_FLAGS) return "a frame with unknown flags";
    bool message = h->type == FRAME_REQUEST || h->type == FRAME_ANSWER || h->type == FRAME_POST;
    if (h->length > (message ? FRAME_MAX : FRAME_SMALL_MAX)) return "a frame larger than its limit";
    if (message && h->length == 0) return "an empty part of a message";
    return NULL;
}

/* --- id_map --- */

static uint32_t slot_of(const id_map *m, uint64_t id)
{
    return (uint32_t)((id * 0x9e3779b97f4a7c15ull) >> 32) & m->mask;
}

static int ids_grow(id_map *m, qd_account *account)
{
    uint32_t have = m->slots ? m->mask + 1 : 0, want = have ? have * 2 : 16;
    id_node **slots = qd_calloc(account, want * sizeof(id_node *));
    if (!slots) return QD_E_NOMEM;
    id_map to = {slots, m->n, want - 1};
    for (uint32_t i = 0; i < have; i++) {
        for (id_node *n = m->slots[i], *next; n; n = next) {
            next = n->next;
            uint32_t s = slot_of(&to, n->id);
            n->next = slots[s];
            slots[s] = n;
        }
    }
    qd_free(m->slots);
    *m = to;
    return 0;
}

int qdi_ids_add(id_map *m, qd_account *account, id_node *node)
{
    if ((!m->slots || m->n > m->mask) && ids_grow(m, account) && !m->slots) return QD_E_NOMEM;
    uint32_t s = slot_of(m, node->id);
    node->next = m->slots[s];
    m->slots[s] = node;
    m->n++;
    return 0;
}

id_node *qdi_ids_get(const id_map *m, uint64_t id)
{
    id_node *n = m->slots ? m->slots[slot_of(m, id)] : NULL;
    while (n && n->id != id) n = n->next;
    return n;
}

id_node *qdi_ids_del(id_map *m, uint64_t id)
{
    if (!m->slots) return NULL;
    for (id_node **at = &m->slots[slot_of(m, id)]; *at; at = &(*at)->next) {
        id_node *n = *at;
        if (n->id != id) continue;
        *at = n->next;
        m->n--;
        return n;
    }
    return NULL;
}

id_node *qdi_ids_pop(id_map *m)
{
    for (uint32_t i = 0; m->n && i <= m->mask; i++)
        if (m->slots[i]) return qdi_ids_del(m, m->slots[i]->id);
    return NULL;
}

void qdi_ids_fini(id_map *m)
{
    qd_free(m->slots);
    *m = (id_map){0};
}

/* --- compression --- */

/* Contexts are large and reusable: a few are kept. */
static void *zstd_take(qd_rpc *rpc, void **idle)
{
    void *got = NULL;
    qd_mutex_lock(&rpc->lock);
    for (uint32_t i = 0; i < ZSTD_IDLE && !got; i++) {
        got = idle[i];
        idle[i] = NULL;
    }
    qd_mutex_unlock(&rpc->lock);
    return got;
}

static bool zstd_give(qd_rpc *rpc, void **idle, void *ctx)
{
    bool kept = false;
    qd_mutex_lock(&rpc->lock);
    for (uint32_t i = 0; i < ZSTD_IDLE && !kept; i++) {
        if (idle[i]) continue;
        idle[i] = ctx;
        kept = true;
    }
    qd_mutex_unlock(&rpc->lock);
    return kept;
}

/* Compresses pieces of n bytes into out; 0 when they do not fit in it or anything fails. */
static size_t compress_pieces(qd_rpc *rpc, const out_spec *s, size_t n, char *out, size_t cap)
{
    ZSTD_CCtx *z = zstd_take(rpc, rpc->zstd_c);
    ZSTD_outBuffer to = {out, cap, 0};
    size_t rc = 1;
    if (!z && !(z = ZSTD_createCCtx())) return 0;
    ZSTD_CCtx_reset(z, ZSTD_reset_session_only);
    ZSTD_CCtx_setParameter(z, ZSTD_c_compressionLevel, 1);
    ZSTD_CCtx_setPledgedSrcSize(z, n);
    for (uint32_t i = 0; i < s->npieces; i++) {
        ZSTD_inBuffer from = {s->pieces[i].data, s->pieces[i].len, 0};
        bool last = i + 1 == s->npieces;
        rc = ZSTD_compressStream2(z, &to, &from, last ? ZSTD_e_end : ZSTD_e_continue);
        if (ZSTD_isError(rc) || from.pos < from.size || (last && rc)) {
            rc = 1;
            break;
        }
    }
    if (!zstd_give(rpc, rpc->zstd_c, z)) ZSTD_freeCCtx(z);
    return rc == 0 ? to.pos : 0;
}

int qdi_body_inflate(qd_rpc *rpc, uint32_t class, rpc_body *b, qd_err *err)
{
    if (!b->raw) return 0;
    char *out = qd_alloc(qdi_account(rpc, class), b->raw + 1);
    if (!out) return qd_err_nomem(err, "<transport_request>");
    ZSTD_DCtx *z = zstd_take(rpc, rpc->zstd_d);
    if (!z && !(z = ZSTD_createDCtx())) {
        qd_free(out);
        return qd_err_nomem(err, "<transport_request>");
    }
    size_t n = ZSTD_decompressDCtx(z, out, b->raw, b->bytes.p, b->bytes.n);
    if (!zstd_give(rpc, rpc->zstd_d, z)) ZSTD_freeDCtx(z);
    if (ZSTD_isError(n) || n != b->raw) {
        qd_free(out);
        return qd_err_set(err, QD_E_CORRUPT, "a compressed message is damaged: %s",
                          ZSTD_isError(n) ? ZSTD_getErrorName(n) : "it is shorter than announced");
    }
    out[n] = 0;
    qd_free(b->block);
    *b = (rpc_body){out, {out, n}, 0};
    return 0;
}

/* --- messages --- */

/* The struct of a message of n bytes. */
static int make_head(qd_rpc *rpc, const out_spec *s, size_t n, rpc_out **out, qd_err *err)
{
    if (n > rpc->c.message_max)
        return qd_err_set(err, QD_E_TOO_LARGE, "a message of %zu bytes is larger than %llu bytes",
                          n, (unsigned long long)rpc->c.message_max);
    rpc_out *o = qd_calloc(qdi_account(rpc, s->class), sizeof *o);
    if (!o) return qd_err_nomem(err, "<transport_message>");
    o->rpc = rpc;
    o->type = s->type;
    o->flags = s->flags;
    o->class = s->class;
    o->version = s->version;
    o->action = s->action;
    atomic_store_explicit(&o->refs, 1, memory_order_relaxed);
    *out = o;
    return 0;
}

int qdi_out_room(qd_rpc *rpc, const out_spec *s, size_t n, rpc_out **out, char **room, qd_err *err)
{
    rpc_out *o;
    int rc = make_head(rpc, s, n, &o, err);
    if (rc) return rc;
    o->bytes = qdi_bytes_alloc(rpc, s->class, PREFIX_MAX + n);
    if (!o->bytes) {
        qd_free(o);
        return qd_err_nomem(err, "<transport_message>");
    }
    *room = o->bytes + PREFIX_MAX;
    *out = o;
    return 0;
}

void qdi_out_filled(rpc_out *o, size_t from, size_t n)
{
    uint8_t prefix[PREFIX_MAX], *end = qd_put_varint(prefix, n);
    end = qd_put_varint(end, 0);
    size_t np = (size_t)(end - prefix), at = PREFIX_MAX + from;
    memcpy(o->bytes + at - np, prefix, np);
    o->at = at - np;
    o->n = at + n;
}

int qdi_out_make(qd_rpc *rpc, const out_spec *s, rpc_out **out, qd_err *err)
{
    size_t n = 0, packed = 0, room;
    qd_account *a = qdi_account(rpc, s->class);
    for (uint32_t i = 0; i < s->npieces; i++) n += s->pieces[i].len;
    rpc_out *o;
    int rc = make_head(rpc, s, n, &o, err);
    if (rc) return rc;
    if (s->compress && n >= rpc->c.compress_min) {
        room = n - n / 8;
        o->bytes = qd_alloc(a, PREFIX_MAX + s->fields.n + room);
        if (o->bytes)
            packed = compress_pieces(rpc, s, n, o->bytes + PREFIX_MAX + s->fields.n, room);
        if (packed) {
            COUNT(rpc, raw_bytes, n);
            COUNT(rpc, compressed_bytes, packed);
            o->flags |= FRAME_ZSTD;
            char *less = qd_realloc(a, o->bytes, PREFIX_MAX + s->fields.n + packed);
            if (less) o->bytes = less;
        } else {
            qd_free(o->bytes);
            o->bytes = NULL;
        }
    }
    if (!packed) o->bytes = qdi_bytes_alloc(rpc, s->class, PREFIX_MAX + s->fields.n + n);
    if (!o->bytes) {
        qd_free(o);
        return qd_err_nomem(err, "<transport_message>");
    }
    uint8_t prefix[PREFIX_MAX], *end = qd_put_varint(prefix, s->fields.n + (packed ? packed : n));
    end = qd_put_varint(end, packed ? n : 0);
    size_t np = (size_t)(end - prefix), at = PREFIX_MAX;
    memcpy(o->bytes + PREFIX_MAX - np, prefix, np);
    if (s->fields.n) memcpy(o->bytes + at, s->fields.p, s->fields.n);
    at += s->fields.n;
    for (uint32_t i = 0; !packed && i < s->npieces; i++) {
        if (s->pieces[i].len) memcpy(o->bytes + at, s->pieces[i].data, s->pieces[i].len);
        at += s->pieces[i].len;
    }
    o->at = PREFIX_MAX - np;
    o->n = at + packed;
    *out = o;
    return 0;
}

void qdi_out_unref(rpc_out *o)
{
    if (!o || atomic_fetch_sub(&o->refs, 1) != 1) return;
    qdi_out_room_end(o);
    if (o->peer) qdi_peer_put(o->peer);
    qdi_bytes_free(o->rpc, o->bytes);
    qd_free(o);
}

const char *qdi_in_begin(const qd_rpc *rpc, rpc_in *in)
{
    const uint8_t *begin = (const uint8_t *)in->block, *end = begin + in->have, *p;
    uint64_t rest = 0, raw = 0;
    p = qd_get_varint(begin, end, &rest);
    if (p) p = qd_get_varint(p, end, &raw);
    if (!p) return "a message without its length";
    if (rest > rpc->c.message_max + FRAME_SMALL_MAX || raw > rpc->c.message_max ||
        (in->head.type == FRAME_POST && rest > QD_RPC_POST_MAX))
        return "a message larger than the limit";
    if (!(in->head.flags & FRAME_ZSTD) != !raw) return "a message that contradicts its flags";
    in->body_at = (size_t)(p - begin);
    in->total = in->body_at + (size_t)rest;
    in->raw = (size_t)raw;
    return in->have > in->total ? "a message longer than announced" : NULL;
}

void qdi_in_free(qd_rpc *rpc, rpc_in *in)
{
    if (!in) return;
    qdi_bytes_free(rpc, in->block);
    qd_free(in);
}
