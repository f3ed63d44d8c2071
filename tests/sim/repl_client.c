/* repl_client.c: clients' requests at a simulated node. See repl_node.h. */
#include "repl_node.h"

static int64_t doc_last(const disk *d, uint8_t doc)
{
    for (int64_t i = d->max; i >= 0; i--) {
        if (d->counted[i] && d->mem[i].kind == 1 && d->mem[i].doc == doc) return i;
    }
    return -1;
}

static pread *read_slot(node *n)
{
    for (size_t i = 0; i < QD_COUNT_OF(n->read); i++) {
        if (!n->read[i].used) return &n->read[i];
    }
    return NULL;
}

void confirm(world *w, node *n, uint32_t op, int64_t seq, uint32_t val)
{
    pread *r = read_slot(n);
    if (!r) {
        client_reply(w, n, op, S_REFUSED, -1, 0, 0);
        return;
    }
    *r = (pread){.used = true, .op = op, .seq = seq, .val = val};
    uint64_t now = local_ns(w, n);
    if (repl_primary_lease(&n->pm, now)) w->r->lease_reads++;
    /* "not found" waits for all that had a number */
    repl_primary_read(&n->pm, &r->r, seq < 0 ? n->d.max : seq, now);
}

static void client_write(world *w, node *n, hop *h, uint32_t op)
{
    disk *d = &n->d;
    pbatch *b = NULL;
    for (uint32_t i = 0; i < BATCHES && !b; i++) {
        if (!n->batch[i].used) b = &n->batch[i];
    }
    if (!b || d->max + 3 >= SEQS) {
        client_reply(w, n, op, S_REFUSED, -1, 0, 0);
        return;
    }
    if (h->kind == O_CAS) {
        int64_t last = doc_last(d, h->doc);
        if (last != h->pred) {
            w->r->conflicts++;
            confirm(w, n, op, last, last < 0 ? 0 : d->mem[last].val);
            return;
        }
    }
    int64_t min = d->max + 1;
    if (chance(w, 0.05)) { /* an operation that failed after it took its number */
        rec noop = {.term = n->pm.term, .kind = 2, .pred = -1};
        d_append(w, n, min++, &noop);
        timer(w, n, T_NOOP_FSYNC, fsync_delay(w), &(msg){.open_gen = d->stamps});
    }
    rec r = {.term = n->pm.term,
             .kind = 1,
             .doc = h->doc,
             .val = op,
             .pred = h->kind == O_CAS ? h->pred : -2};
    d_append(w, n, min, &r);
    *b = (pbatch){.used = true, .op = op};
    repl_primary_batch(&n->pm, &b->b, min, min);
    if (!b->used) return;
    timer(w, n, T_FSYNC_BATCH, fsync_delay(w),
          &(msg){.batch = b->b.id, .term = n->pm.term, .open_gen = d->stamps, .op = op});
}

void client_request(world *w, node *n, msg *m)
{
    hop *h = &w->op[m->op];
    if (h->kind == O_SEARCH && n->open && pub_max(w, n->shown) < n->search_from) {
        client_reply(w, n, m->op, S_REFUSED, -1, 0, 0);
        return;
    }
    if (h->kind == O_SEARCH) {
        if (n->open && n->shown >= 0) node_shown_check(w, n->shown);
        const scopy *c = rec_copy(&w->record, n->aid);
        bool current =
            n->open && c && c->state != QD_SHARD_INITIALIZING && w->refreshed_at < h->begin;
        if (current && pub_max(w, n->shown) < w->refreshed) {
            fail(w, "a search on node %d shows %lld, a refresh had shown %lld everywhere", n->id,
                 (long long)pub_max(w, n->shown), (long long)w->refreshed);
        }
        w->r->searches++;
        client_reply(w, n, m->op, S_OK, -1, 0, 0);
        return;
    }
    bool active = n->open && n->leading && n->pm.phase == REPL_ACTIVE;
    if (!active && !(n->open && n->leading && n->pm.phase == REPL_DRAINING && h->kind == O_READ)) {
        client_reply(w, n, m->op, S_REFUSED, -1, 0, 0);
        return;
    }
    if (h->kind == O_REFRESH) {
        for (size_t i = 0; i < QD_COUNT_OF(n->refresh); i++) {
            if (n->refresh[i].op) continue;
            n->refresh[i].op = m->op;
            n->refresh[i].seq = n->d.max;
            pub_cut(w, n);
            pump(w, n);
            return;
        }
        client_reply(w, n, m->op, S_REFUSED, -1, 0, 0);
    } else if (h->kind == O_READ) {
        int64_t last = doc_last(&n->d, h->doc);
        if (QD_MUTANT(repl, LEASE_BEFORE_READ) && n->lease_seen && last <= n->pm.global) {
            /* looked at when something was last heard, trusted now */
            client_reply(w, n, m->op, S_OK, last, last < 0 ? 0 : n->d.mem[last].val, 0);
            return;
        }
        uint64_t pause = chance(w, 0.2) ? ms(rnd(w, 1500)) : us(rnd(w, 400));
        timer(w, n, T_READ, pause,
              &(msg){.op = m->op,
                     .first = last,
                     .history = last < 0 ? 0 : n->d.mem[last].val,
                     .term = n->pm.term});
    } else {
        client_write(w, n, h, m->op);
        pump(w, n);
    }
}
