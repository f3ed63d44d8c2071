/* wal.c: writing the log. See wal.h. */
#include "wal_int.h"

int32_t cr_wal_fail(const cr_wal *w, int32_t rc, const char *what, const char *name, char *why)
{
    char words[128];
    w->config.disk->words(w->config.disk, words, sizeof words);
    snprintf(why, CR_WAL_WHY, "%s %s: %s", what, name, words);
    return rc;
}

void cr_wal_write_free(const cr_heap *h, cr_wal_write *w)
{
    for (uint32_t i = 0; i < w->nentries; i++) cr_log_entry_drop(w->entries[i]);
    cr_free(h, w->entries);
    cr_free(h, w);
}

/* --- segments --- */

void cr_segment_note(cr_wal *w, uint64_t number, uint64_t highest)
{
    cr_segment *last = w->nsegments ? &w->segments[w->nsegments - 1] : NULL;
    qd_invariant(!last || number >= last->number);
    if (last && last->number == number) {
        if (highest > last->highest) last->highest = highest;
        return;
    }
    if (w->nsegments == w->segments_cap) {
        w->segments_cap = w->segments_cap ? w->segments_cap * 2 : 16;
        w->segments =
            cr_must_grow(w->config.heap, w->segments, w->segments_cap * sizeof *w->segments);
    }
    w->segments[w->nsegments++] = (cr_segment){number, highest};
}

int32_t cr_mark_put(cr_wal *w, int sync, char *why)
{
    uint8_t slot[CR_MARK_SLOT];
    cr_disk *d = w->config.disk;
    qd_invariant(w->nsegments > 0 && w->at >= CR_SEGMENT_HEAD);
    qd_invariant(w->synced == w->batch); /* the mark tells what is durable, and nothing else */
    w->mark.number++;
    w->mark.recoveries = w->state.recoveries;
    w->mark.segment = w->segments[w->nsegments - 1].number;
    w->mark.end = w->at;
    w->mark.batch = w->batch;
    cr_mark_write(&w->mark, slot);
    int32_t rc = d->write(w->mark_file, (w->mark.number & 1) * CR_MARK_APART, slot, sizeof slot);
    if (rc == 0 && sync) rc = d->sync(w->mark_file);
    return rc ? cr_wal_fail(w, rc == QD_E_NOSPACE ? QD_E_IO : rc, "writing", CR_MARK_NAME, why) : 0;
}

/* Writes the batch in w->out at its place. */
static int32_t batch_put(cr_wal *w, char *why)
{
    qd_invariant(w->file && w->out.n > CR_BATCH_HEAD && w->at >= CR_SEGMENT_HEAD);
    qd_invariant(w->synced <= w->batch);
    uint32_t payload = (uint32_t)(w->out.n - CR_BATCH_HEAD);
    while (w->out.n % 8) cr_put8(&w->out, 0);
    cr_batch_head h = {
        .bytes = payload, .number = w->batch + 1, .synced = w->synced, .before = w->chain};
    uint64_t sum = cr_batch_head_write(&h, w->out.p);
    int32_t rc = w->config.disk->write(w->file, w->at, w->out.p, w->out.n);
    if (rc) return cr_wal_fail(w, rc == QD_E_NOSPACE ? QD_E_IO : rc, "writing", "the log", why);
    w->batch++;
    w->chain = sum;
    w->at += w->out.n;
    w->out.n = 0;
    return 0;
}

static void batch_begin(cr_wal *w)
{
    static const uint8_t head[CR_BATCH_HEAD];
    w->out.n = 0;
    cr_put(&w->out, head, sizeof head);
}

static int32_t segment_file(cr_wal *w, const char *name, cr_file **out, char *why)
{
    cr_disk *d = w->config.disk;
    int32_t rc;
    if (w->spare) {
        rc = d->rename(d, CR_SPARE_NAME, name);
        if (rc == 0) rc = d->open(d, name, out);
        w->spare = 0;
        if (rc) return cr_wal_fail(w, QD_E_IO, "taking the spare segment as", name, why);
    } else {
        rc = d->create(d, name, w->config.segment_bytes, out);
        if (rc) return cr_wal_fail(w, rc, "creating", name, why);
    }
    if (!QD_MUTANT(raft, WAL_NAMES)) rc = d->sync_names(d);
    if (rc) {
        d->close(*out);
        return cr_wal_fail(w, QD_E_IO, "syncing the folder for", name, why);
    }
    return 0;
}

static int32_t sync_file(cr_wal *w, char *why)
{
    if (w->synced == w->batch) return 0;
    if (QD_MUTANT(raft, WAL_NO_SYNC)) return 0;
    int32_t rc = w->config.disk->sync(w->file);
    if (rc && !QD_MUTANT(raft, WAL_ERROR_RETRIED))
        return cr_wal_fail(w, QD_E_IO, "syncing", "the log", why);
    w->synced = w->batch;
    return 0;
}

int32_t cr_segment_begin(cr_wal *w, char *why)
{
    cr_file *file;
    char name[CR_NAME_MAX];
    uint8_t head[CR_SEGMENT_HEAD];
    uint64_t number = w->nsegments ? w->segments[w->nsegments - 1].number + 1 : 1;
    cr_segment_head h = {.number = number,
                         .life = w->mark.life,
                         .nonce = w->config.nonce,
                         .id = w->config.id,
                         .before_end = w->nsegments ? w->at : 0,
                         .before_chain = w->chain,
                         .batch = w->batch + 1};
    memcpy(h.cluster, w->config.cluster, 16);
    cr_segment_name(number, name);
    int32_t rc = w->file ? sync_file(w, why) : 0;
    if (rc == 0) rc = segment_file(w, name, &file, why);
    if (rc) return rc;
    qd_invariant(!w->file || w->synced == w->batch); /* a segment is whole before the next one */
    if (w->file) w->config.disk->close(w->file);
    w->file = file;
    cr_segment_note(w, number, 0);
    cr_segment_head_write(&h, head);
    rc = w->config.disk->write(file, 0, head, sizeof head);
    if (rc) return cr_wal_fail(w, QD_E_IO, "writing", name, why);
    w->at = CR_SEGMENT_HEAD;
    w->new_segment = 1;
    cr_bytes waiting = w->out;
    w->out = (cr_bytes){.heap = w->config.heap};
    batch_begin(w);
    cr_record_checkpoint(&w->state, &w->out);
    rc = batch_put(w, why);
    cr_bytes_free(&w->out);
    w->out = waiting;
    return rc;
}

int32_t cr_wal_settle(cr_wal *w, char *why)
{
    int32_t rc = sync_file(w, why);
    if (rc == 0) rc = cr_mark_put(w, w->new_segment, why);
    if (rc == 0) w->new_segment = 0;
    qd_invariant(rc || w->mark.batch == w->batch);
    return rc;
}

/* --- from writes to batches --- */

static void record_first(cr_wal *w, const cr_wal_write *k)
{
    cr_wal_state *s = &w->next;
    if (k->recovered) {
        cr_record_numbers(CR_R_RECOVERED, &k->recoveries, 1, &w->out);
        s->recoveries = k->recoveries;
    }
    if (k->peer.id) {
        cr_record_numbers(CR_R_PEER, (uint64_t[]){k->peer.id, k->peer.life, k->peer.nonce}, 3,
                          &w->out);
        cr_wal_peer_note(s->peers, &s->npeers, k->peer);
    }
    qd_invariant(!k->hard || k->term >= s->term); /* what follows of a term never falls */
    qd_invariant(!k->hard || k->term > s->term || !s->vote || s->vote == k->vote);
    if (k->hard && !QD_MUTANT(raft, WAL_HARD_LOST)) {
        cr_record_numbers(CR_R_HARD, (uint64_t[]){k->term, k->vote}, 2, &w->out);
        s->term = k->term;
        s->vote = k->vote;
    }
    if (k->reset) {
        qd_invariant(k->index >= s->base);
        cr_record_numbers(CR_R_RESET, (uint64_t[]){k->index, k->log_term}, 2, &w->out);
        s->base = s->last = k->index;
        s->base_term = k->log_term;
    }
    if (k->cuts && k->cut < s->last) {
        qd_invariant(k->cut >= s->base);
        cr_record_numbers(CR_R_CUT, &k->cut, 1, &w->out);
        s->last = k->cut;
    }
}

static void record_entry(cr_wal *w, const cr_log_entry *e)
{
    qd_invariant(e->index == w->next.last + 1); /* a log has no holes */
    cr_record_entry(e, &w->out);
    w->next.last = e->index;
    if (e->index > w->highest) w->highest = e->index;
}

static void record_drop(cr_wal *w, const cr_wal_write *k)
{
    if (!k->drops || k->drop <= w->next.base) return;
    qd_invariant(k->drop <= w->next.last);
    cr_record_numbers(CR_R_DROP, (uint64_t[]){k->drop, k->drop_term}, 2, &w->out);
    w->next.base = k->drop;
    w->next.base_term = k->drop_term;
}

/* Fills w->out with a batch of what comes next. */
static void batch_fill(cr_wal *w)
{
    batch_begin(w);
    w->next = w->state;
    w->highest = 0;
    while (w->cursor && w->out.n < w->config.segment_bytes / 16) {
        const cr_wal_write *k = w->cursor;
        uint32_t step = w->step++;
        if (step == 0) {
            record_first(w, k);
        } else if (step <= k->nentries) {
            record_entry(w, k->entries[step - 1]);
        } else {
            record_drop(w, k);
            w->cursor = k->next;
            w->step = 0;
        }
    }
}

int32_t cr_wal_write_all(cr_wal *w, const cr_wal_write *list, char *why)
{
    int32_t rc = 0;
    if (!w->full) {
        w->cursor = list;
        w->step = 0;
    }
    while (rc == 0 && (w->full || w->cursor)) {
        if (!w->full) batch_fill(w);
        if (w->out.n == CR_BATCH_HEAD) break; /* nothing that changes anything */
        if (w->at + cr_batch_bytes((uint32_t)w->out.n) > w->config.segment_bytes) {
            rc = cr_segment_begin(w, why);
            w->full = rc == QD_E_NOSPACE;
        } else {
            w->full = 0;
        }
        if (rc == 0) rc = batch_put(w, why);
        if (rc) break;
        w->full = 0;
        w->state = w->next;
        cr_segment_note(w, w->segments[w->nsegments - 1].number, w->highest);
    }
    return rc ? rc : cr_wal_settle(w, why);
}

/* --- ahead and behind --- */

int32_t cr_wal_prepare(cr_wal *w)
{
    static const uint8_t zeros[65536];
    cr_disk *d = w->config.disk;
    cr_file *f;
    if (w->spare) return 0;
    int32_t rc = d->create(d, CR_SPARE_ASIDE, w->config.segment_bytes, &f);
    if (rc) return rc;
    /* blocks that were written once are written again without a journal of the file system */
    for (uint64_t at = 0, n = w->config.segment_bytes; rc == 0 && at < n; at += sizeof zeros)
        rc = d->write(f, at, zeros, n - at < sizeof zeros ? n - at : sizeof zeros);
    if (rc == 0) rc = d->sync(f);
    d->close(f);
    if (rc == 0) rc = d->rename(d, CR_SPARE_ASIDE, CR_SPARE_NAME);
    if (rc)
        (void)d->remove(d, CR_SPARE_ASIDE);
    else
        w->spare = 1;
    return rc;
}

int cr_wal_has_spare(const cr_wal *w)
{
    return w->spare;
}

uint64_t cr_wal_unneeded(cr_wal *w)
{
    uint32_t n = 0;
    while (n + 1 < w->nsegments && w->segments[n].highest <= w->state.base) n++;
    if (n == 0) return 0;
    uint64_t upto = w->segments[n - 1].number;
    qd_invariant(upto < w->segments[n].number);
    qd_invariant(w->segments[n - 1].highest <= w->state.base);
    memmove(w->segments, w->segments + n, (w->nsegments - n) * sizeof *w->segments);
    w->nsegments -= n;
    return upto;
}

int32_t cr_wal_clean(cr_wal *w, uint64_t upto)
{
    cr_disk *d = w->config.disk;
    for (; w->first <= upto; w->first++) {
        char name[CR_NAME_MAX];
        cr_segment_name(w->first, name);
        int32_t rc = d->remove(d, name);
        if (rc && rc != QD_E_NOTFOUND) return rc;
        rc = d->sync_names(d); /* one after the other: what is there never has a gap */
        if (rc) return rc;
    }
    return 0;
}

void cr_wal_close(cr_wal *w)
{
    if (!w) return;
    const cr_heap *h = w->config.heap;
    if (w->file) w->config.disk->close(w->file);
    if (w->mark_file) w->config.disk->close(w->mark_file);
    cr_bytes_free(&w->out);
    cr_free(h, w->segments);
    cr_free(h, w);
}
