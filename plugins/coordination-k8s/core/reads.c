/* reads.c: linearizable reads: one uncached GET of the root, or one write of it, begun after they
 * came, is shared by all that wait. And when the root is read otherwise. */
#include "core_int.h"

int32_t ck_core_read(ck_core *c, void *wait)
{
    if (c->failed) return QD_E_NO_COORDINATION;
    if (c->nwaits == c->waits_cap) {
        c->waits_cap = c->waits_cap ? c->waits_cap * 2 : 16;
        c->waits = cr_must_grow(c->heap, c->waits, c->waits_cap * sizeof *c->waits);
    }
    ck_wait w = {.wait = wait, .after = c->number};
    if (QD_MUTANT(k8s, READ_SHARED) && c->get) w.after = 0;
    if (QD_MUTANT(k8s, READ_LOCAL) && ck_leads(c)) w.served = 1, w.index = c->applied;
    c->waits[c->nwaits++] = w;
    c->again = 1;
    return 0;
}

void ck_reads_serve(ck_core *c, uint64_t number, uint64_t index)
{
    for (uint32_t i = 0; i < c->nwaits; i++) {
        ck_wait *w = &c->waits[i];
        if (w->served || number <= w->after) continue;
        w->served = 1;
        w->index = index;
    }
}

void ck_reads_end(ck_core *c, int32_t rc)
{
    ck_wait *all = c->waits;
    uint32_t n = c->nwaits;
    c->waits = NULL;
    c->nwaits = c->waits_cap = 0;
    for (uint32_t i = 0; i < n; i++) c->config.read_done(c->config.arg, all[i].wait, rc);
    cr_free(c->heap, all);
}

/* Those that may go on, one at a time: what is told may ask again. */
void ck_reads_turn(ck_core *c)
{
    for (uint32_t i = 0; i < c->nwaits;) {
        if (!c->waits[i].until) c->waits[i].until = c->now + CK_TELL_NS;
        ck_wait w = c->waits[i];
        int good = w.served && c->applied >= w.index;
        if (!good && !ck_due(c, w.until)) {
            i++;
            continue;
        }
        memmove(c->waits + i, c->waits + i + 1, (--c->nwaits - i) * sizeof w);
        c->config.read_done(c->config.arg, w.wait, good ? 0 : QD_E_NO_COORDINATION);
    }
}

static int wanted(ck_core *c)
{
    if (c->want_get) return 1;
    for (uint32_t i = 0; i < c->nwaits; i++)
        if (!c->waits[i].served) return 1;
    if (c->gc.state == CK_GC_ROOT) return 1;
    if (c->w.state == CK_W_LOOK && c->w.kind) return 1;
    return ck_due(c, c->heard + CK_LOOK_NS);
}

void ck_get_turn(ck_core *c)
{
    if (c->get || c->failed || !wanted(c) || !ck_due(c, c->get_at)) return;
    c->want_get = 0;
    c->get = ck_ask_new(c, CK_GET_ROOT);
    c->get_seq = c->seq;
    c->counts.gets++;
}

/* There is no root: one is made, or waited for, or it is gone. */
static void no_root(ck_core *c)
{
    if (c->root && c->get_seq != c->seq) { /* it came meanwhile */
        c->want_get = 1;
        return;
    }
    if (c->root || c->applied) {
        ck_fail(c, "the root object of the cluster's state is gone: nothing is made in its place");
        return;
    }
    if (c->config.form == CK_FORM_NO && c->config.no_root) c->config.no_root(c->config.arg);
    if (c->w.kind == CK_W_NONE && c->config.form != CK_FORM_NO && !c->resigning) {
        ck_root *r = ck_root_clone(c->config.first);
        r->state = c->config.form == CK_FORM_EMPTY ? QD_COORD_EMPTY : r->state;
        ck_write_begin(c, CK_W_CREATE, r);
    }
    c->want_get = c->w.kind == CK_W_NONE;
    c->get_at = c->now + CK_RETRY_NS;
}

void ck_get_answered(ck_core *c, ck_ask *ask, const ck_answer *a)
{
    c->get = NULL;
    if (a->older) ck_older(c);
    if (a->outcome != CK_OK && a->outcome != CK_MISSING) {
        c->want_get = 1;
        c->get_at = ck_back_off(c, &c->get_wait, 50 * CK_MS, CK_RETRY_NS);
        if (c->get_at < c->now + a->retry_ns) c->get_at = c->now + a->retry_ns;
        return;
    }
    c->get_wait = c->get_at = 0;
    c->older = 0;
    /* a write whose end was not known: this root decides, or else it is sent again */
    int look = c->w.kind && c->w.state == CK_W_LOOK && ask->number > c->w.first;
    if (look) c->w.state = CK_W_READY;
    if (a->outcome == CK_MISSING) {
        no_root(c);
        return;
    }
    uint64_t index = a->root->index;
    ck_see(c, a->root, CK_BY_GET, c->get_seq);
    if (c->failed) return;
    ck_reads_serve(c, ask->number, index);
    ck_collect_root(c, ask->number);
}
