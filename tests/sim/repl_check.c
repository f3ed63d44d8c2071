/* repl_check.c: clients, their history, and what must hold of it. See repl_sim.h. */
#include "repl_sim.h"
#include <stdio.h>
#include <string.h>

static uint32_t open_op[CLIENTS]; /* 0: idle */
static uint64_t idle_until[CLIENTS];
static int64_t seen[CLIENTS][DOCS];

/* --- clients ---------------------------------------------------------------------------------- */

/* Asks one node's view where the primary is, as a coordinating node would. */
static int target_of(world *w, okind kind)
{
    int id = (int)rnd(w, NODES);
    if (kind == O_SEARCH && chance(w, 0.5))
        return id; /* else the primary: a shard may have no more */
    for (int i = 0; i < NODES; i++, id = (id + 1) % NODES) {
        const node *n = &w->n[id];
        if (!n->up || !n->view.rev) continue;
        const scopy *c = rec_copy(&n->view, n->view.primary);
        if (c) return node_of(c->node);
    }
    return -1;
}

static void begin_op(world *w, int k)
{
    static const okind kinds[] = {O_WRITE, O_WRITE,   O_WRITE,  O_WRITE, O_WRITE,
                                  O_CAS,   O_CAS,     O_READ,   O_READ,  O_READ,
                                  O_READ,  O_REFRESH, O_SEARCH, O_SEARCH};
    okind kind = kinds[rnd(w, QD_COUNT_OF(kinds))];
    int to = target_of(w, kind);
    if (to < 0 || w->nops + 1 >= OPS_MAX) return;
    uint32_t op = ++w->nops;
    hop *h = &w->op[op];
    *h = (hop){.kind = kind, .doc = (uint8_t)rnd(w, DOCS), .begin = w->now, .seq = -1, .pred = -2};
    if (kind == O_CAS) h->pred = seen[k][h->doc];
    open_op[k] = op;
    msg m = {.type = M_CLIENT, .from = CLIENT, .to = to, .op = op};
    send_msg(w, &m);
}

void client_begin(world *w)
{
    (void)w;
    memset(open_op, 0, sizeof open_op);
    memset(idle_until, 0, sizeof idle_until);
    for (int k = 0; k < CLIENTS; k++) {
        for (int d = 0; d < DOCS; d++) seen[k][d] = -1;
    }
}

void client_next(world *w)
{
    for (int k = 0; k < CLIENTS; k++) {
        if (open_op[k] || w->now < idle_until[k]) continue;
        if (w->quiet && chance(w, 0.9)) continue;
        idle_until[k] = w->now + ms(rnd(w, 120));
        begin_op(w, k);
    }
}

void client_timeouts(world *w)
{
    for (int k = 0; k < CLIENTS; k++) {
        hop *h = &w->op[open_op[k]];
        if (!open_op[k] || w->now - h->begin < ms(2500)) continue;
        h->state = S_UNKNOWN;
        h->end = UINT64_MAX;
        w->r->unknown++;
        open_op[k] = 0;
    }
}

void client_message(world *w, msg *m)
{
    if (m->type != M_CLIENT_ANSWER) return;
    for (int k = 0; k < CLIENTS; k++) {
        if (open_op[k] != m->op) continue;
        hop *h = &w->op[m->op];
        open_op[k] = 0;
        h->state = (ostate)m->part;
        h->end = h->state == S_UNKNOWN ? UINT64_MAX : w->now;
        h->seq = m->first;
        h->term = m->term;
        h->val = m->history;
        if (h->state == S_UNKNOWN) w->r->unknown++;
        if (h->state == S_OK && (h->kind == O_WRITE || h->kind == O_CAS)) w->r->acked++;
        if (h->state == S_OK && h->kind == O_REFRESH) {
            w->r->refreshes++;
            if (h->seq > w->refreshed) {
                w->refreshed = h->seq;
                w->refreshed_at = w->now;
            }
        }
        if (h->state == S_OK || h->state == S_CONFLICT) seen[k][h->doc] = h->seq;
        return;
    }
}

/* --- checks ----------------------------------------------------------------------------------- */

/* What a search has shown for a number is what everybody is shown, for ever. */
void node_shown_check(world *w, int pub)
{
    publication *p = &w->pub[pub];
    if (p->checked) return;
    p->checked = true;
    for (int64_t i = 0; i <= p->max; i++) {
        rec *s = &w->shown[i];
        if (!s->kind) {
            *s = p->at[i];
        } else if (s->term != p->at[i].term || s->val != p->at[i].val) {
            fail(w, "searches saw two operations at %lld", (long long)i);
            return;
        }
    }
}

static node *primary_node(const world *w)
{
    const scopy *c = rec_copy(&w->record, w->record.primary);
    return c ? (node *)&w->n[node_of(c->node)] : NULL;
}

bool green(const world *w)
{
    node *p = primary_node(w);
    if (!w->quiet || !p || !p->open || !p->leading || p->pm.phase != REPL_ACTIVE) return false;
    if (p->pm.first || p->pm.global != p->d.max || w->record.nsync != w->record.n) return false;
    for (uint32_t i = 0; i < w->record.n; i++) {
        const scopy *c = &w->record.copies[i];
        if (c->state != QD_SHARD_STARTED || !rec_in_sync(&w->record, c->aid)) return false;
        const node *n = &w->n[node_of(c->node)];
        if (!n->open || strcmp(n->aid, c->aid) != 0) return false;
    }
    return true;
}

static void copies_equal(world *w, const node *p)
{
    for (uint32_t i = 0; i < w->record.n && !w->failed; i++) {
        const node *n = &w->n[node_of(w->record.copies[i].node)];
        for (int64_t s = 0; s < SEQS; s++) {
            const rec *a = &p->d.mem[s], *b = &n->d.mem[s];
            if (a->kind == b->kind && a->term == b->term && a->val == b->val) continue;
            fail(w, "copies of n%d and n%d differ at %lld: (%llu, %u) and (%llu, %u)", p->id, n->id,
                 (long long)s, (unsigned long long)a->term, a->val, (unsigned long long)b->term,
                 b->val);
            return;
        }
    }
}

static void check_write(world *w, const node *p, uint32_t op, const int64_t *place)
{
    const hop *h = &w->op[op];
    if (h->state == S_OK) {
        const rec *r = h->seq >= 0 && h->seq < SEQS ? &p->d.mem[h->seq] : NULL;
        if (!r || r->val != op || r->term != h->term) {
            fail(w, "acknowledged write %u at (%lld, %llu) is lost", op, (long long)h->seq,
                 (unsigned long long)h->term);
        }
    } else if ((h->state == S_REFUSED || h->state == S_CONFLICT) && place[op] >= 0) {
        fail(w, "write %u was refused and is there", op);
    }
    if (h->kind == O_CAS && place[op] >= 0) {
        int64_t last = -1;
        for (int64_t s = 0; s < place[op]; s++) {
            if (p->d.mem[s].kind == 1 && p->d.mem[s].doc == h->doc) last = s;
        }
        if (last != h->pred) {
            fail(w, "compare-and-set %u at %lld was made on %lld, what was there is %lld", op,
                 (long long)place[op], (long long)h->pred, (long long)last);
        }
    }
}

/* Linearizable with the order of numbers: what an operation saw is there, and no operation that
 * began after another's end saw less. */
static void check_seen(world *w, const node *p, uint32_t op, const int64_t *place)
{
    const hop *h = &w->op[op];
    bool reads =
        (h->kind == O_READ && h->state == S_OK) || (h->kind == O_CAS && h->state == S_CONFLICT);
    bool writes = (h->kind == O_WRITE || h->kind == O_CAS) && h->state == S_OK;
    if (!reads && !writes) return;
    if (reads && h->seq >= 0 && (h->seq >= SEQS || p->d.mem[h->seq].val != h->val)) {
        fail(w, "read %u saw %u at %lld, which is not there", op, h->val, (long long)h->seq);
        return;
    }
    for (uint32_t k = 1; k <= w->nops; k++) {
        const hop *x = &w->op[k];
        if (x->doc != h->doc || x->end >= h->begin || k == op) continue;
        bool xreads =
            (x->kind == O_READ && x->state == S_OK) || (x->kind == O_CAS && x->state == S_CONFLICT);
        bool xwrites = (x->kind == O_WRITE || x->kind == O_CAS) && x->state == S_OK;
        if (!xreads && !xwrites) continue;
        int64_t least = x->seq;
        if (reads ? h->seq < least : h->seq <= least) {
            fail(w, "%s %u saw %lld after %s %u had ended at %lld", reads ? "read" : "write", op,
                 (long long)h->seq, xreads ? "read" : "write", k, (long long)least);
            return;
        }
    }
    (void)place;
}

void check_end(world *w)
{
    static int64_t place[OPS_MAX];
    node *p = primary_node(w);
    copies_equal(w, p);
    for (uint32_t i = 0; i < OPS_MAX; i++) place[i] = -1;
    for (int64_t s = 0; s <= p->d.max; s++) {
        const rec *r = &p->d.mem[s];
        if (r->kind != 1) continue;
        if (place[r->val] >= 0) fail(w, "write %u is there twice", r->val);
        place[r->val] = s;
        if (w->shown[s].kind && (w->shown[s].val != r->val || w->shown[s].term != r->term)) {
            fail(w, "what a search showed at %lld is gone", (long long)s);
        }
    }
    for (int64_t s = 0; s < SEQS; s++) {
        if (w->shown[s].kind && (!p->d.mem[s].kind || p->d.mem[s].term != w->shown[s].term)) {
            fail(w, "what a search showed at %lld is gone", (long long)s);
        }
    }
    for (uint32_t i = 1; i <= w->nops && !w->failed; i++) {
        if (w->op[i].kind == O_WRITE || w->op[i].kind == O_CAS) check_write(w, p, i, place);
        if (!w->failed) check_seen(w, p, i, place);
    }
}
