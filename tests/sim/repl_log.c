/* repl_log.c: the model of a copy's log: what is in memory, what a crash leaves. */
#include "repl_node.h"
#include <string.h>

int64_t d_persisted(disk *d)
{
    while (d->persisted + 1 < SEQS && d->counted[d->persisted + 1] && !d->dirty[d->persisted + 1]) {
        d->persisted++;
    }
    return d->persisted;
}

int64_t d_processed(disk *d)
{
    while (d->processed + 1 < SEQS && d->counted[d->processed + 1]) d->processed++;
    return d->processed;
}

static void d_count_from(disk *d, int64_t above)
{
    if (d->persisted > above) d->persisted = above;
    if (d->processed > above) d->processed = above;
}

/* Records above `to` do not count any more, but are not gone. */
void d_roll_back(disk *d, int64_t to)
{
    for (int64_t i = to + 1; i < SEQS; i++) d->counted[i] = false;
    d_count_from(d, to);
    d->max = to;
    for (int64_t i = 0; i <= to; i++) {
        if (d->mem[i].kind) d->counted[i] = true;
    }
}

void d_append(world *w, node *n, int64_t seq, const rec *r)
{
    disk *d = &n->d;
    if (seq < 0 || seq >= SEQS) return;
    rec *now = &d->mem[seq];
    if (now->kind && now->term == r->term && (now->val != r->val || now->kind != r->kind)) {
        fail(w, "node %d: two operations of (%lld, %llu)", n->id, (long long)seq,
             (unsigned long long)r->term);
        return;
    }
    if (seq <= d->global && d->counted[seq]) return;
    if (!(now->kind && now->term == r->term)) {
        *now = *r;
        d->dirty[seq] = true;
        d->stamp[seq] = ++d->stamps;
        d_count_from(d, seq - 1);
    }
    d->counted[seq] = true;
    if (seq > d->max) d->max = seq;
}

void d_sync(disk *d, uint32_t upto)
{
    for (int64_t i = 0; i < SEQS; i++) {
        if (!d->dirty[i] || d->stamp[i] > upto) continue;
        d->dur[i] = d->mem[i];
        d->dirty[i] = false;
    }
    d->global_dur = d->global;
}

void d_trim(disk *d, int64_t above, uint64_t term)
{
    for (int64_t i = above + 1; i < SEQS; i++) {
        if (!d->mem[i].kind || d->mem[i].term >= term) continue;
        d->mem[i] = d->dur[i] = (rec){0};
        d->dirty[i] = d->counted[i] = false;
    }
}

void d_reopen(disk *d)
{
    d->persisted = d->processed = d->max = -1;
    for (int64_t i = 0; i < SEQS; i++) {
        d->counted[i] = d->mem[i].kind != 0;
        if (d->counted[i]) d->max = i;
    }
    d->global = d->global_dur;
}

void d_reset(disk *d, uint32_t history)
{
    memset(d->mem, 0, sizeof d->mem);
    memset(d->dur, 0, sizeof d->dur);
    memset(d->dirty, 0, sizeof d->dirty);
    memset(d->counted, 0, sizeof d->counted);
    d->persisted = d->processed = d->max = d->global = d->global_dur = -1;
    d->history = history;
    d->retained = 0;
    d->pub = -1;
}

/* The known checkpoint never exceeds what is here. */
void d_told(disk *d, int64_t global)
{
    int64_t have = d_persisted(d);
    if (have < global) global = have;
    if (global > d->global) d->global = global;
}
