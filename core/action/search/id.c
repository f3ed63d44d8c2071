/*
 * id.c: scroll ids and ids of points in time: which contexts on which nodes. Contexts have
 * random ids of 128 bits, so an id cannot be made up; what else it says concerns only its holder.
 */
#include "action/search/part_int.h"
#include "rpc/codec.h"

#define FORMAT 1
#define BYTES_MAX ((size_t)1 << 20)
#define NAME_MAX_BYTES 255u

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* URL-safe base64 without padding. */
static qd_str to_text(qd_str bytes, qd_arena *arena)
{
    size_t n = 0;
    char *out = qd_arena_alloc(arena, bytes.n / 3 * 4 + 8);
    if (!out) return (qd_str){NULL, 0};
    for (size_t i = 0; i < bytes.n; i += 3) {
        size_t have = bytes.n - i < 3 ? bytes.n - i : 3;
        uint32_t v = 0;
        for (size_t k = 0; k < 3; k++) v = v << 8 | (k < have ? (uint8_t)bytes.p[i + k] : 0);
        for (size_t k = 0; k <= have; k++) out[n++] = digits[v >> (18 - 6 * k) & 63];
    }
    out[n] = 0;
    return (qd_str){out, n};
}

static int value_of(char c)
{
    return c >= 'A' && c <= 'Z'   ? c - 'A'
           : c >= 'a' && c <= 'z' ? c - 'a' + 26
           : c >= '0' && c <= '9' ? c - '0' + 52
           : c == '-' || c == '+' ? 62
           : c == '_' || c == '/' ? 63
                                  : -1;
}

static qd_str to_bytes(qd_str text, qd_arena *arena)
{
    while (text.n && text.p[text.n - 1] == '=') text.n--;
    char *out = text.n % 4 != 1 ? qd_arena_alloc(arena, text.n / 4 * 3 + 4) : NULL;
    size_t n = 0;
    uint32_t v = 0;
    for (size_t i = 0; out && i < text.n; i++) {
        int d = value_of(text.p[i]);
        if (d < 0) return (qd_str){NULL, 0};
        v = v << 6 | (uint32_t)d;
        if (i % 4) out[n++] = (char)(v >> (6 - 2 * (i % 4)));
    }
    return (qd_str){out, n};
}

int qdi_search_id_write(const search_id *id, qd_arena *arena, qd_str *out, qd_err *err)
{
    qd_writer w;
    qd_writer_init(&w, arena->account, BYTES_MAX, FORMAT);
    qd_write_u8(&w, FORMAT);
    qd_write_u8(&w, (uint8_t)id->kind);
    if (id->kind == SEARCH_CONTEXT_SCROLL) {
        qd_write_varint(&w, id->total);
        qd_write_bool(&w, id->total_lower_bound);
        qd_write_float(&w, id->max_score);
    }
    qd_write_array(&w, id->nindices);
    for (uint32_t i = 0; i < id->nindices; i++) {
        qd_write_str(&w, id->indices[i].uuid);
        qd_write_str(&w, id->indices[i].name);
        qd_write_str(&w, id->indices[i].filter);
    }
    qd_write_array(&w, id->nnodes);
    for (uint32_t i = 0; i < id->nnodes; i++) {
        const search_id_node *n = &id->nodes[i];
        qd_write_str(&w, n->node);
        qd_write_raw(&w, n->context, SEARCH_CONTEXT_ID);
        qd_write_array(&w, n->nshards);
        for (uint32_t k = 0; k < n->nshards && id->kind == SEARCH_CONTEXT_PIT; k++) {
            qd_write_varint(&w, n->shards[k].index);
            qd_write_varint(&w, n->shards[k].number);
        }
    }
    int rc = qd_writer_end(&w, "id of a search", err);
    *out = rc ? (qd_str){NULL, 0} : to_text(qd_writer_view(&w), arena);
    qd_writer_fini(&w);
    return rc || out->p ? rc : qd_err_nomem(err, "id of a search");
}

static void read_indices(qd_body_reader *r, qd_arena *arena, search_id *id)
{
    id->nindices = (uint32_t)qd_read_array(r, "indices", SEARCH_ID_SHARDS_MAX, 3);
    id->indices = qd_arena_calloc(arena, (id->nindices + 1ul) * sizeof *id->indices);
    if (!id->indices) qd_body_reader_nomem(r, "indices");
    for (uint32_t i = 0; i < id->nindices && !qd_body_reader_bad(r); i++) {
        id->indices[i].uuid = qd_read_str(r, "uuid", QD_UUID_TEXT);
        id->indices[i].name = qd_read_str(r, "index", NAME_MAX_BYTES);
        id->indices[i].filter = qd_read_str(r, "filter", BYTES_MAX);
    }
}

static void read_shards(qd_body_reader *r, qd_arena *arena, const search_id *id, search_id_node *n)
{
    search_part_shard *at = qd_arena_calloc(arena, (n->nshards + 1ul) * sizeof *at);
    if (!at) qd_body_reader_nomem(r, "shards");
    n->shards = at;
    for (uint32_t k = 0; k < n->nshards && !qd_body_reader_bad(r); k++) {
        at[k].index = (uint32_t)qd_read_varint_max(r, "index", UINT32_MAX);
        at[k].number = (uint32_t)qd_read_varint_max(r, "shard", UINT32_MAX);
        if (at[k].index >= id->nindices) qd_body_reader_fail(r, "index", "is not in the id");
    }
}

static void read_nodes(qd_body_reader *r, qd_arena *arena, search_id *id)
{
    uint64_t shards = 0;
    id->nnodes = (uint32_t)qd_read_array(r, "nodes", SEARCH_ID_NODES_MAX, 18);
    id->nodes = qd_arena_calloc(arena, (id->nnodes + 1ul) * sizeof *id->nodes);
    if (!id->nodes) qd_body_reader_nomem(r, "nodes");
    for (uint32_t i = 0; i < id->nnodes && !qd_body_reader_bad(r); i++) {
        search_id_node *n = &id->nodes[i];
        bool pit = id->kind == SEARCH_CONTEXT_PIT;
        n->node = qd_read_str(r, "node", NAME_MAX_BYTES);
        n->context = (const uint8_t *)qd_read_raw(r, "context", SEARCH_CONTEXT_ID).p;
        n->nshards = pit ? (uint32_t)qd_read_array(r, "shards", SEARCH_ID_SHARDS_MAX, 2)
                         : (uint32_t)qd_read_varint_max(r, "shards", SEARCH_ID_SHARDS_MAX);
        shards += n->nshards;
        if (shards > SEARCH_ID_SHARDS_MAX) qd_body_reader_fail(r, "shards", "are too many");
        if (pit && !qd_body_reader_bad(r)) read_shards(r, arena, id, n);
    }
}

int qdi_search_id_read(qd_str text, search_context_kind kind, qd_arena *arena, search_id *out,
                       qd_err *err)
{
    qd_body_reader r;
    *out = (search_id){.kind = kind};
    qd_str bytes = text.n <= BYTES_MAX / 3 * 4 ? to_bytes(text, arena) : (qd_str){NULL, 0};
    qd_body_reader_init(&r, bytes, "id of a search", FORMAT);
    if (qd_read_u8(&r, "format") != FORMAT) qd_body_reader_fail(&r, "format", "is not known");
    if (qd_read_u8(&r, "kind") != (uint8_t)kind) qd_body_reader_fail(&r, "kind", "is another");
    if (kind == SEARCH_CONTEXT_SCROLL) {
        out->total = qd_read_varint_max(&r, "total", INT64_MAX);
        out->total_lower_bound = qd_read_bool(&r, "total_lower_bound");
        out->max_score = qd_read_float(&r, "max_score");
    }
    if (!qd_body_reader_bad(&r)) read_indices(&r, arena, out);
    if (!qd_body_reader_bad(&r)) read_nodes(&r, arena, out);
    if (!qd_body_reader_end(&r, NULL)) return 0;
    return kind == SEARCH_CONTEXT_SCROLL ? qd_err_set(err, QD_E_ARG, "Cannot parse scroll id")
                                         : qd_err_set(err, QD_E_ARG, "invalid id: [%.*s]",
                                                      (int)(text.n < 256 ? text.n : 256), text.p);
}
