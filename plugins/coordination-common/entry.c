/* entry.c: see entry.h. */
#include "entry.h"
#include <zstd.h>

#define PACK_LEVEL 3

void cr_writer_begin(cr_writer *w, const cr_heap *h)
{
    static const uint8_t head[CR_ENTRY_HEAD];
    *w = (cr_writer){.bytes = {.heap = h}};
    cr_put(&w->bytes, head, sizeof head);
}

void cr_command_begin(cr_writer *w, uint8_t type)
{
    w->command = w->bytes.n;
    cr_put8(&w->bytes, type);
    cr_put32(&w->bytes, 0);
}

size_t cr_command_end(cr_writer *w)
{
    size_t n = w->bytes.n - w->command;
    cr_store32(w->bytes.p + w->command + 1, (uint32_t)(n - 5));
    w->commands++;
    return n;
}

cr_bytes cr_command_take(cr_writer *w)
{
    cr_bytes out = {.heap = w->bytes.heap};
    cr_put8(&out, w->bytes.p[w->command]);
    cr_put(&out, w->bytes.p + w->command + 5, w->bytes.n - w->command - 5);
    w->bytes.n = w->command;
    w->commands--;
    return out;
}

/* The sum covers the header before it and everything behind it. */
static uint64_t sum_of(const uint8_t *p, size_t n)
{
    return cr_sum64(p + CR_ENTRY_HEAD, n - CR_ENTRY_HEAD, cr_sum64(p, 24, 0));
}

/* The commands packed, if that helps. */
static uint32_t pack(cr_writer *w)
{
    size_t n = w->bytes.n - CR_ENTRY_HEAD;
    if (n < CR_ENTRY_PACK_MIN) return CR_ENTRY_VERSION;
    size_t room = ZSTD_compressBound(n);
    uint8_t *p = cr_must(w->bytes.heap, room);
    size_t packed = ZSTD_compress(p, room, w->bytes.p + CR_ENTRY_HEAD, n, PACK_LEVEL);
    int helps = !ZSTD_isError(packed) && packed + 8 < n - n / 8;
    if (helps) {
        w->bytes.n = CR_ENTRY_HEAD;
        cr_put32(&w->bytes, (uint32_t)n);
        cr_put32(&w->bytes, (uint32_t)packed);
        cr_put(&w->bytes, p, packed);
    }
    cr_free(w->bytes.heap, p);
    return helps ? CR_ENTRY_PACKED : CR_ENTRY_VERSION;
}

void cr_writer_end(cr_writer *w, uint64_t proposal)
{
    uint32_t version = pack(w);
    while (w->bytes.n % 8) cr_put8(&w->bytes, 0);
    uint8_t *p = w->bytes.p;
    cr_store32(p, CR_ENTRY_MAGIC);
    cr_store32(p + 4, version);
    cr_store32(p + 8, (uint32_t)w->bytes.n);
    cr_store32(p + 12, w->commands);
    cr_store64(p + 16, proposal);
    cr_store64(p + 24, sum_of(p, w->bytes.n));
}

/* Unpacks what is behind the head; bad when it is not what the head says. */
static void unpack(cr_reader *r, cr_bytes *room)
{
    uint32_t n = cr_get32(r), packed = cr_get32(r);
    const uint8_t *p = cr_get(r, packed);
    if (n == 0 || n > CR_ENTRY_MAX || r->n >= 8) r->bad = 1;
    if (r->bad) return;
    room->p = cr_must(room->heap, n);
    room->n = room->cap = n;
    size_t got = ZSTD_decompress(room->p, n, p, packed);
    *r = (cr_reader){.p = room->p, .n = n, .bad = ZSTD_isError(got) || got != n};
}

int32_t cr_entry_read(const uint8_t *p, size_t n, cr_bytes *room, cr_reader *r, uint32_t *commands,
                      uint64_t *proposal)
{
    uint32_t version = n < CR_ENTRY_HEAD ? 0 : cr_load32(p + 4);
    if (n < CR_ENTRY_HEAD || n % 8 || cr_load32(p) != CR_ENTRY_MAGIC ||
        (version != CR_ENTRY_VERSION && version != CR_ENTRY_PACKED) || cr_load32(p + 8) != n ||
        cr_load64(p + 24) != sum_of(p, n))
        return QD_E_CORRUPT;
    *commands = cr_load32(p + 12);
    *proposal = cr_load64(p + 16);
    *r = (cr_reader){.p = p + CR_ENTRY_HEAD, .n = n - CR_ENTRY_HEAD};
    if (version == CR_ENTRY_PACKED) unpack(r, room);
    cr_reader look = *r, payload;
    if (r->bad || *commands > r->n) return QD_E_CORRUPT;
    for (uint32_t i = 0; i < *commands; i++) (void)cr_command_read(&look, &payload);
    return look.bad || look.n >= 8 ? QD_E_CORRUPT : 0;
}

uint8_t cr_command_read(cr_reader *r, cr_reader *payload)
{
    uint8_t type = cr_get8(r);
    uint32_t n = cr_get32(r);
    const uint8_t *p = cr_get(r, n);
    *payload = (cr_reader){.p = p, .n = p ? n : 0, .bad = p == NULL};
    return type;
}

void cr_write_txn(cr_writer *w, const qd_coord_txn *t)
{
    cr_bytes *b = &w->bytes;
    cr_command_begin(w, CR_TXN);
    cr_put(b, t->id, 16);
    cr_put64(b, t->token.epoch);
    cr_put64(b, t->token.term);
    cr_put_str(b, t->token.term ? t->election : QD_STR(""));
    cr_put32(b, t->ncompares);
    for (uint32_t i = 0; i < t->ncompares; i++) {
        const qd_coord_compare *c = &t->compares[i];
        cr_put8(b, (uint8_t)c->type);
        cr_put_str(b, c->key);
        cr_put64(b, c->number);
        if (c->type == QD_COORD_CMP_HASH) cr_put(b, c->hash, 32);
    }
    cr_put32(b, t->nchanges);
    for (uint32_t i = 0; i < t->nchanges; i++) {
        const qd_coord_change *c = &t->changes[i];
        cr_put8(b, (uint8_t)c->type);
        cr_put_str(b, c->key);
        cr_put64(b, c->type == QD_COORD_PUT ? c->session : 0);
        cr_put_str(b, c->type == QD_COORD_PUT ? c->value : QD_STR(""));
    }
    cr_command_end(w);
}

void cr_write_import(cr_writer *w, const qd_coord_import *t)
{
    cr_bytes *b = &w->bytes;
    cr_command_begin(w, CR_IMPORT);
    cr_put64(b, t->epoch);
    cr_put64(b, t->revision);
    cr_put32(b, t->nevents);
    for (uint32_t i = 0; i < t->nevents; i++) {
        const qd_coord_kv *kv = &t->events[i].kv;
        cr_put8(b, (uint8_t)t->events[i].type);
        cr_put_str(b, kv->key);
        cr_put64(b, kv->create_revision);
        cr_put64(b, kv->mod_revision);
        cr_put64(b, kv->version);
        cr_put64(b, kv->session);
        cr_put_str(b, t->events[i].type == QD_COORD_PUT
                          ? (qd_str){(const char *)kv->value, kv->value_len}
                          : QD_STR(""));
    }
    cr_command_end(w);
}
