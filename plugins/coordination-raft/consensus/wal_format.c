/* wal_format.c: see wal_int.h. */
#include "wal_int.h"

enum {
    SEGMENT_MAGIC = 0x53574451, /* "QDWS" */
    BATCH_MAGIC = 0x42574451,   /* "QDWB" */
    MARK_MAGIC = 0x4d574451     /* "QDWM" */
};
#define TAIL ".log"

void cr_segment_name(uint64_t number, char out[CR_NAME_MAX])
{
    snprintf(out, CR_NAME_MAX, "%016llx" TAIL, (unsigned long long)number);
}

uint64_t cr_segment_number(const char *name)
{
    uint64_t n = 0;
    for (int i = 0; i < 16; i++) {
        char c = name[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return 0;
        n = n << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return memcmp(name + 16, TAIL, sizeof TAIL) == 0 ? n : 0;
}

void cr_segment_head_write(const cr_segment_head *h, uint8_t out[CR_SEGMENT_HEAD])
{
    memset(out, 0, CR_SEGMENT_HEAD);
    cr_store32(out, SEGMENT_MAGIC);
    cr_store32(out + 4, CR_WAL_VERSION);
    cr_store64(out + 8, h->number);
    cr_store64(out + 16, h->life);
    memcpy(out + 24, h->cluster, 16);
    cr_store64(out + 40, h->id);
    cr_store64(out + 48, h->before_end);
    cr_store64(out + 56, h->before_chain);
    cr_store64(out + 64, h->batch);
    cr_store32(out + 72, h->nonce);
    cr_store64(out + CR_SEGMENT_HEAD - 8, cr_sum64(out, CR_SEGMENT_HEAD - 8, SEGMENT_MAGIC));
}

int cr_segment_head_read(const uint8_t in[CR_SEGMENT_HEAD], cr_segment_head *h)
{
    static const uint8_t zeros[CR_SEGMENT_HEAD];
    if (memcmp(in, zeros, CR_SEGMENT_HEAD) == 0) return 1;
    if (cr_load32(in) != SEGMENT_MAGIC ||
        cr_load64(in + CR_SEGMENT_HEAD - 8) != cr_sum64(in, CR_SEGMENT_HEAD - 8, SEGMENT_MAGIC))
        return -1;
    if (cr_load32(in + 4) != CR_WAL_VERSION) return -2;
    h->number = cr_load64(in + 8);
    h->life = cr_load64(in + 16);
    memcpy(h->cluster, in + 24, 16);
    h->id = cr_load64(in + 40);
    h->before_end = cr_load64(in + 48);
    h->before_chain = cr_load64(in + 56);
    h->batch = cr_load64(in + 64);
    h->nonce = cr_load32(in + 72);
    return 0;
}

uint64_t cr_batch_head_write(const cr_batch_head *h, uint8_t *at)
{
    cr_store32(at, BATCH_MAGIC);
    cr_store32(at + 4, h->bytes);
    cr_store64(at + 8, h->number);
    cr_store64(at + 16, h->synced);
    cr_store64(at + 24, h->before);
    cr_store64(at + 32, 0);
    uint64_t sum = cr_sum64(at + CR_BATCH_HEAD, h->bytes, cr_sum64(at, 40, h->before));
    cr_store64(at + 40, sum);
    return sum;
}

int cr_batch_read(const uint8_t *at, size_t left, cr_batch_head *h)
{
    if (left < CR_BATCH_HEAD || cr_load32(at) != BATCH_MAGIC) return 0;
    h->bytes = cr_load32(at + 4);
    if (cr_batch_bytes(h->bytes) > left) return 0;
    h->number = cr_load64(at + 8);
    h->synced = cr_load64(at + 16);
    h->before = cr_load64(at + 24);
    h->sum = cr_load64(at + 40);
    return h->sum == cr_sum64(at + CR_BATCH_HEAD, h->bytes, cr_sum64(at, 40, h->before));
}

void cr_mark_write(const cr_mark *m, uint8_t out[CR_MARK_SLOT])
{
    memset(out, 0, CR_MARK_SLOT);
    cr_store32(out, MARK_MAGIC);
    cr_store32(out + 4, CR_WAL_VERSION);
    cr_store64(out + 8, m->number);
    memcpy(out + 16, m->cluster, 16);
    cr_store64(out + 32, m->id);
    cr_store64(out + 40, m->life);
    cr_store64(out + 48, m->recoveries);
    cr_store64(out + 56, m->segment);
    cr_store64(out + 64, m->end);
    cr_store64(out + 72, m->batch);
    for (uint32_t i = 0; i < CR_WAL_LIVES; i++) cr_store32(out + 80 + 4 * i, m->nonces[i]);
    cr_store64(out + CR_MARK_SLOT - 8, cr_sum64(out, CR_MARK_SLOT - 8, MARK_MAGIC));
}

int cr_mark_read(const uint8_t in[CR_MARK_SLOT], cr_mark *m)
{
    if (cr_load32(in) != MARK_MAGIC || cr_load32(in + 4) != CR_WAL_VERSION ||
        cr_load64(in + CR_MARK_SLOT - 8) != cr_sum64(in, CR_MARK_SLOT - 8, MARK_MAGIC))
        return 0;
    m->number = cr_load64(in + 8);
    memcpy(m->cluster, in + 16, 16);
    m->id = cr_load64(in + 32);
    m->life = cr_load64(in + 40);
    m->recoveries = cr_load64(in + 48);
    m->segment = cr_load64(in + 56);
    m->end = cr_load64(in + 64);
    m->batch = cr_load64(in + 72);
    for (uint32_t i = 0; i < CR_WAL_LIVES; i++) m->nonces[i] = cr_load32(in + 80 + 4 * i);
    return 1;
}

uint64_t cr_chain_begin(const uint8_t cluster[16], uint64_t id)
{
    return cr_sum64(cluster, 16, id);
}

/* --- records: u8 type, u32 bytes, payload --- */

void cr_record_numbers(uint8_t type, const uint64_t *v, uint32_t n, cr_bytes *b)
{
    cr_put8(b, type);
    cr_put32(b, 8 * n);
    for (uint32_t i = 0; i < n; i++) cr_put64(b, v[i]);
}

void cr_record_entry(const cr_log_entry *e, cr_bytes *b)
{
    cr_put8(b, CR_R_ENTRY);
    cr_put32(b, 17 + e->n);
    cr_put64(b, e->index);
    cr_put64(b, e->term);
    cr_put8(b, (uint8_t)e->type);
    cr_put(b, e->bytes, e->n);
}

void cr_record_checkpoint(const cr_wal_state *s, cr_bytes *b)
{
    cr_put8(b, CR_R_CHECKPOINT);
    cr_put32(b, 52 + 24 * s->npeers);
    cr_put64(b, s->term);
    cr_put64(b, s->vote);
    cr_put64(b, s->base);
    cr_put64(b, s->base_term);
    cr_put64(b, s->last);
    cr_put64(b, s->recoveries);
    cr_put32(b, s->npeers);
    for (uint32_t i = 0; i < s->npeers; i++) {
        cr_put64(b, s->peers[i].id);
        cr_put64(b, s->peers[i].life);
        cr_put64(b, s->peers[i].nonce);
    }
}

int cr_checkpoint_read(cr_reader *r, cr_wal_state *s)
{
    s->term = cr_get64(r);
    s->vote = cr_get64(r);
    s->base = cr_get64(r);
    s->base_term = cr_get64(r);
    s->last = cr_get64(r);
    s->recoveries = cr_get64(r);
    s->npeers = cr_get32(r);
    if (r->bad || s->npeers > CR_WAL_PEERS_MAX || r->n != 24ull * s->npeers) return 0;
    for (uint32_t i = 0; i < s->npeers; i++) {
        s->peers[i].id = cr_get64(r);
        s->peers[i].life = cr_get64(r);
        s->peers[i].nonce = cr_get64(r);
    }
    return s->base <= s->last;
}

void cr_wal_peer_note(cr_wal_peer at[CR_WAL_PEERS_MAX], uint32_t *n, cr_wal_peer p)
{
    uint32_t i = 0;
    while (i < *n && at[i].id != p.id) i++;
    if (i == CR_WAL_PEERS_MAX) { /* whom we heard of first is forgotten */
        memmove(at, at + 1, (CR_WAL_PEERS_MAX - 1) * sizeof p);
        i--;
    } else if (i == *n) {
        ++*n;
    }
    at[i] = p;
}
