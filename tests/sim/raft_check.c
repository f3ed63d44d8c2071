/* raft_check.c: what must hold. */
#include "raft_int.h"

uint64_t sim_entry_hash(const cr_log_entry *e)
{
    return sim_mix(cr_sum64(e->bytes, e->n, e->type + 1), e->n);
}

/* Log matching: one (index, term) is one entry with one entry before it. */
static void check_entry(sim *s, const cr_log_entry *e, uint64_t before)
{
    if (e->index >= INDEX_MAX) return;
    uint64_t hash = sim_entry_hash(e);
    for (uint32_t i = 0; i < SEEN; i++) {
        seen *k = &s->entries[e->index][i];
        if (k->term == 0) {
            *k = (seen){e->term, hash, before};
            return;
        }
        if (k->term != e->term) continue;
        if (k->hash != hash || k->before != before)
            BAD(s, "log matching: index %llu term %llu is two entries", (llu)e->index,
                (llu)e->term);
        return;
    }
}

void sim_note_committed(sim *s, uint64_t index, uint64_t term, const char *who)
{
    if (index >= INDEX_MAX || index == 0 || term == 0) return;
    if (s->committed[index].term && s->committed[index].term != term)
        BAD(s, "committed entry %llu of term %llu is of term %llu at %s", (llu)index,
            (llu)s->committed[index].term, (llu)term, who);
    s->committed[index].term = term;
    if (index > s->ncommitted) s->ncommitted = index;
}

static int on_disk(const node *n, uint64_t index, uint64_t term)
{
    const promise *p = n->promise;
    if (index <= p->base) return 1;
    if (index > p->base + p->n) return 0;
    return p->log[index - p->base - 1]->term == term;
}

/* What a leader commits is durable on a majority of the voters. */
static void check_commit(sim *s, node *n, const cr_core_view *v)
{
    for (uint64_t i = n->seen_commit + 1; i <= v->commit; i++) {
        uint64_t term = cr_core_term_at(cr_engine_core(n->engine), i);
        if (term == 0) continue;
        if (i > s->ncommitted) s->r->commits++;
        sim_note_committed(s, i, term, "a leader");
        if (i < INDEX_MAX && !s->committed[i].by) s->committed[i].by = v->term;
        uint32_t have = 0;
        for (uint32_t k = 0; k < v->members->n; k++) {
            const node *o = s->nodes[v->members->at[k].id - 1];
            have += v->members->at[k].role == QD_COORD_VOTER && on_disk(o, i, term);
        }
        for (uint32_t k = 0; s->verbose && have < v->members->voters / 2 + 1 && k < v->members->n;
             k++) {
            const node *o = s->nodes[v->members->at[k].id - 1];
            SAY(s, "  node %llu: promised %llu to %llu, term there %llu of %llu; maybe %llu",
                (llu)o->id, (llu)o->promise->base, (llu)(o->promise->base + o->promise->n),
                i > o->promise->base && i <= o->promise->base + o->promise->n
                    ? (llu)o->promise->log[i - o->promise->base - 1]->term
                    : 0,
                (llu)term, (llu)o->maybe_cut);
        }
        if (have < v->members->voters / 2 + 1 && i > v->members_index)
            BAD(s, "entry %llu is committed by %llu and durable on %u of %u voters", (llu)i,
                (llu)n->id, have, v->members->voters);
    }
}

/* Nothing is said in a term, and no vote given, that this node could forget. */
void sim_check_message(sim *s, node *n, const uint8_t *p, size_t k)
{
    cr_message m;
    cr_envelope e;
    if (cr_message_read(sim_heap(), p, k, &m, &e)) {
        BAD(s, "node %llu says what nobody can read", (llu)n->id);
        return;
    }
    if (s->verbose > 2)
        SAY(s,
            "%llu to %llu: type %u flags %u term %llu index %llu/%llu commit %llu entries %u "
            "offset %llu of %llu bytes %u hint %llu",
            (llu)m.from, (llu)m.to, m.type, m.flags, (llu)m.term, (llu)m.index, (llu)m.log_term,
            (llu)m.commit, m.nentries, (llu)m.offset, (llu)m.total, m.nbytes, (llu)m.hint);
    const promise *d = n->promise;
    int echo = m.type == CR_PREVOTE_ANSWER && !(m.flags & CR_M_REFUSED);
    if (m.term > d->term + (m.type == CR_PREVOTE) && !echo && m.type != CR_NOTHING)
        BAD(s, "node %llu speaks in term %llu, and its disk is in %llu", (llu)n->id, (llu)m.term,
            (llu)d->term);
    if (m.type == CR_VOTE_ANSWER && !(m.flags & CR_M_REFUSED) && m.term == d->term &&
        d->vote != m.to)
        BAD(s, "node %llu gives a vote that is not on its disk", (llu)n->id);
    cr_message_clear(sim_heap(), &m);
}

/* The members in force are the last in the log; a leader changes them, and commits, only behind an
 * entry of its term. */
static void check_members(sim *s, node *n, const cr_core_view *v)
{
    const cr_core *c = cr_engine_core(n->engine);
    uint64_t i = v->last;
    while (i > v->base && cr_log_at(&c->log, i)->type != CR_LOG_MEMBERS) i--;
    if (v->members && i > v->snapshot && i != v->members_index)
        BAD(s, "node %llu goes by the members of entry %llu, the last are %llu", (llu)n->id,
            (llu)v->members_index, (llu)i);
    if (v->members && i <= v->snapshot && v->members_index > v->snapshot)
        BAD(s, "node %llu goes by the members of entry %llu, which is gone", (llu)n->id,
            (llu)v->members_index);
    if (v->role != CR_LEADER) return;
    if (v->members_index > v->commit && cr_core_term_at(c, v->members_index) == v->term &&
        v->members_index > c->first && v->commit < c->first)
        BAD(s, "node %llu changes members before an entry of its term is committed", (llu)n->id);
}

static void check_leader(sim *s, node *n, const cr_core_view *v)
{
    s->r->leaders++;
    if (s->turns && s->faults && sim_below(s, 4))
        sim_post(s, s->now + 50000 + sim_below(s, 60 * MS), E_STRIKE, n);
    if (s->turns) sim_post(s, s->now + sim_below(s, 5 * MS), E_CLIENT, NULL);
    if (s->reforms) sim_post(s, s->now + sim_below(s, 20 * MS), E_MEMBERS, NULL);
    SAY(s, "node %llu leads term %llu", (llu)n->id, (llu)v->term);
    uint64_t *who = &s->leader_of[v->term % TERMS];
    if (*who && *who != n->id)
        BAD(s, "election safety: nodes %llu and %llu lead term %llu", (llu)*who, (llu)n->id,
            (llu)v->term);
    *who = n->id;
    for (uint64_t i = v->base + 1; i <= s->ncommitted; i++) {
        uint64_t term = cr_core_term_at(cr_engine_core(n->engine), i);
        if (i < INDEX_MAX && s->committed[i].by && s->committed[i].by < v->term &&
            term != s->committed[i].term)
            BAD(s, "leader completeness: node %llu leads term %llu without entry %llu", (llu)n->id,
                (llu)v->term, (llu)i);
    }
}

void sim_check_node(sim *s, node *n)
{
    cr_core_view v;
    const cr_core *core = cr_engine_core(n->engine);
    cr_core_look(core, &v);
    if (v.failed == CR_FAILED_CONTRADICTION)
        BAD(s, "a leader denies what node %llu has committed", (llu)n->id);
    if (v.term < n->seen_term) BAD(s, "the term of node %llu fell", (llu)n->id);
    if (v.role == CR_LEADER && (n->seen_role != CR_LEADER || v.term != n->seen_term))
        check_leader(s, n, &v);
    if (v.role == CR_LEADER) check_commit(s, n, &v);
    if (v.members_index != n->seen_members || s->order % 8 == 0) check_members(s, n, &v);
    n->seen_members = v.members_index;
    for (uint64_t i = n->seen_applied + 1; i <= n->engine->applied; i++) {
        uint64_t term = cr_core_term_at(core, i);
        if (term && i > n->engine->snapshot && !on_disk(n, i, term))
            BAD(s, "node %llu applies %llu, which is not on its disk", (llu)n->id, (llu)i);
        sim_note_committed(s, i, term, "a node that applies it");
        if (i > s->max_applied) s->max_applied = i;
    }
    n->seen_applied = n->engine->applied;
    n->seen_role = (int)v.role;
    n->seen_term = v.term;
    n->seen_commit = v.commit;
    s->trace = sim_mix(s->trace, sim_mix(v.term * 8 + v.role, sim_mix(v.commit, v.last)));
}

/* --- promises --- */

static void promise_cut(promise *p, uint64_t index)
{
    while (p->n && p->base + p->n > index) cr_log_entry_drop(p->log[--p->n]);
}

static void promise_drop(promise *p, uint64_t upto)
{
    uint64_t k = upto - p->base;
    if (k > p->n) k = p->n;
    if (k) p->base_term = p->log[k - 1]->term;
    for (uint64_t i = 0; i < k; i++) cr_log_entry_drop(p->log[i]);
    memmove(p->log, p->log + k, (p->n - k) * sizeof p->log[0]);
    p->n -= k;
    p->base = upto;
}

void sim_promise(sim *s, node *n, const cr_wal_write *w)
{
    promise *p = n->promise;
    for (; w; w = w->next) {
        if (s->verbose > 1)
            SAY(s,
                "node %llu wrote%s%s%s%s term %llu index %llu cut %llu drop %llu entries %u from "
                "%llu",
                (llu)n->id, w->hard ? " hard" : "", w->reset ? " reset" : "", w->cuts ? " cut" : "",
                w->drops ? " drop" : "", (llu)w->term, (llu)w->index, (llu)w->cut, (llu)w->drop,
                w->nentries, w->nentries ? (llu)w->entries[0]->index : 0);
        if (w->hard) {
            if (w->term < p->term) BAD(s, "the term on a disk fell");
            p->term = w->term;
            p->vote = w->vote;
        }
        if (w->reset) {
            promise_cut(p, p->base);
            p->base = w->index;
            p->base_term = w->log_term;
        }
        if (w->cuts) {
            s->r->cuts++;
            promise_cut(p, w->cut);
        }
        for (uint32_t i = 0; i < w->nentries; i++) {
            cr_log_entry *e = w->entries[i];
            if (e->index != p->base + p->n + 1 || p->n == INDEX_MAX) {
                BAD(s, "node %llu writes entry %llu behind %llu", (llu)n->id, (llu)e->index,
                    (llu)(p->base + p->n));
                return;
            }
            check_entry(s, e, p->n ? p->log[p->n - 1]->term : p->base_term);
            p->log[p->n++] = cr_log_entry_ref(e);
        }
        if (w->drops && w->drop > p->base) promise_drop(p, w->drop);
    }
}

/* The log as it was read again, against what had been promised: nothing of it is missing but what
 * a write under way at the end may have cut. Then it is the promise. */
void sim_check_opened(sim *s, node *n)
{
    promise *p = n->promise;
    const cr_core *c = cr_engine_core(n->engine);
    uint64_t base = c->log.base, last = c->loaded;
    /* a snapshot was installed, and the log that contradicts it not yet begun anew */
    if (c->reset_dirty) n->maybe_cut = 0;
    if (c->reset_dirty) n->maybe_base = c->snapshot;
    if (c->term < p->term)
        BAD(s, "node %llu comes back in term %llu after %llu", (llu)n->id, (llu)c->term,
            (llu)p->term);
    if (c->term == p->term && p->vote && c->vote != p->vote)
        BAD(s, "node %llu comes back without its vote in term %llu", (llu)n->id, (llu)c->term);
    for (uint64_t k = 0; k < p->n && !s->bad; k++) {
        cr_log_entry *was = p->log[k];
        if (was->index <= base || was->index > n->maybe_cut) continue;
        const cr_log_entry *is = was->index <= last ? cr_log_at(&c->log, was->index) : NULL;
        if (!is || is->term != was->term || sim_entry_hash(is) != sim_entry_hash(was))
            BAD(s, "node %llu comes back without entry %llu that it had acknowledged", (llu)n->id,
                (llu)was->index);
    }
    if (base > p->base && base > n->maybe_base)
        BAD(s, "the log of node %llu begins behind %llu, not %llu", (llu)n->id, (llu)base,
            (llu)p->base);
    promise_cut(p, p->base);
    p->term = c->term;
    p->vote = c->vote;
    p->base = base;
    p->base_term = c->log.base_term;
    for (uint64_t i = base + 1; i <= last && p->n < INDEX_MAX; i++)
        p->log[p->n++] = cr_log_entry_ref(cr_log_at(&c->log, i));
}

/* --- the machine --- */

uint64_t sim_rows_hash(const cr_machine *m)
{
    cr_items rows = {0};
    uint64_t sum = 0;
    cr_machine_rows(m, &rows);
    for (size_t i = 0; i < rows.n; i++) sum += cr_item_sum(rows.at[i]);
    cr_items_free(sim_heap(), &rows);
    return sum;
}

void sim_check_apply(sim *s, node *n, uint64_t index, const uint8_t *p, size_t k)
{
    if (index <= n->applied)
        BAD(s, "node %llu applies %llu behind %llu", (llu)n->id, (llu)index, (llu)n->applied);
    uint64_t hash = cr_sum64(p, k, 1), number;
    uint32_t commands;
    cr_reader r;
    n->state = sim_mix(sim_mix(n->state, index), hash);
    n->applied = index;
    cr_bytes room = {.heap = sim_heap()};
    int32_t rc = cr_entry_read(p, k, &room, &r, &commands, &number);
    cr_bytes_free(&room);
    if (rc == 0 && number < ENTRIES) {
        s->was_applied[number] = 1;
        if (s->outcome[number] == R_NEVER)
            BAD(s, "entry %llu is applied, and was told never to be", (llu)number);
    }
    if (index >= INDEX_MAX) return;
    if (s->committed[index].hash && s->committed[index].hash != hash)
        BAD(s, "state machine safety: entry %llu differs", (llu)index);
    if (s->committed[index].state && s->committed[index].state != n->state)
        BAD(s, "state machine safety: histories differ at %llu", (llu)index);
    s->committed[index].hash = hash;
    s->committed[index].state = n->state;
    if (index % 16) return;
    uint64_t rows = sim_rows_hash(n->machine);
    if (s->committed[index].rows && s->committed[index].rows != rows)
        BAD(s, "state machine safety: states differ at %llu", (llu)index);
    s->committed[index].rows = rows;
}
