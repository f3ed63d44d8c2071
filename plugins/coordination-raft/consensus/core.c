/* core.c: life of the core, what goes in and out, time, writes. See core.h. */
#include "core_int.h"

#define TRAILING_BYTES (16u << 20) /* of entries kept behind a snapshot, at most */
#define HOLD_BYTES (256u << 20)    /* of those and what is kept for who is catching up */

/* --- small things --- */

static uint64_t splitmix(uint64_t *x)
{
    uint64_t z = (*x += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

/* splitmix64: enough for waits that shall differ. */
uint64_t cr_random(cr_core *c, uint64_t below)
{
    return below ? splitmix(&c->random[0]) % below : 0;
}

uint64_t cr_nth(uint64_t *values, uint32_t count, uint32_t n)
{
    qd_invariant(n >= 1 && n <= count);
    for (uint32_t i = 1; i < count; i++) {
        uint64_t v = values[i];
        uint32_t j = i;
        for (; j > 0 && values[j - 1] < v; j--) values[j] = values[j - 1];
        values[j] = v;
    }
    return values[n - 1];
}

void cr_message_clear(const cr_heap *h, cr_message *m)
{
    for (uint32_t i = 0; i < m->nentries; i++) cr_log_entry_drop(m->entries[i]);
    cr_free(h, m->entries);
    cr_free(h, m->bytes);
    cr_members_drop(m->members);
    m->entries = NULL;
    m->bytes = NULL;
    m->members = NULL;
    m->nentries = m->nbytes = 0;
}

/* --- actions --- */

static void action_clear(cr_core *c, cr_action *a)
{
    for (uint32_t i = 0; i < a->nentries; i++) cr_log_entry_drop(a->entries[i]);
    cr_free(c->heap, a->entries);
    if (a->message) {
        cr_message_clear(c->heap, a->message);
        cr_free(c->heap, a->message);
    }
    cr_free(c->heap, (void *)a->bytes);
    cr_members_drop((cr_members *)a->members);
    *a = (cr_action){0};
}

cr_action *cr_act(cr_core *c, uint32_t type)
{
    if (c->nactions == c->actions_cap) {
        uint32_t cap = c->actions_cap ? c->actions_cap * 2 : 32;
        cr_action *ring = cr_must(c->heap, cap * sizeof *ring);
        for (uint32_t i = 0; i < c->nactions; i++)
            ring[i] = c->actions[(c->actions_first + i) & (c->actions_cap - 1)];
        cr_free(c->heap, c->actions);
        c->actions = ring;
        c->actions_first = 0;
        c->actions_cap = cap;
    }
    cr_action *a = &c->actions[(c->actions_first + c->nactions++) & (c->actions_cap - 1)];
    *a = (cr_action){.type = type};
    return a;
}

void cr_hard_changed(cr_core *c)
{
    c->hard_dirty = 1;
    c->hard++;
}

void cr_say_to(cr_core *c, cr_message *m)
{
    cr_held *h = cr_must(c->heap, sizeof *h);
    h->next = NULL;
    qd_invariant(m->type == CR_PREVOTE_ANSWER || m->term <= c->term + (m->type == CR_PREVOTE));
    h->after = c->hard;
    h->message = *m;
    h->message.from = c->config.id;
    if (c->held_last)
        c->held_last->next = h;
    else
        c->held_first = h;
    c->held_last = h;
}

static void held_release(cr_core *c, int all)
{
    while (c->held_first &&
           (all || c->held_first->after <= c->hard_durable || QD_MUTANT(raft, SPEAK_BEFORE_HARD))) {
        cr_held *h = c->held_first;
        c->held_first = h->next;
        if (!c->held_first) c->held_last = NULL;
        if (all) {
            cr_message_clear(c->heap, &h->message);
        } else {
            qd_invariant(h->after <= c->hard_durable); /* nothing is said that can be forgotten */
            cr_action *a = cr_act(c, CR_DO_SEND);
            a->message = cr_must(c->heap, sizeof *a->message);
            *a->message = h->message;
        }
        cr_free(c->heap, h);
    }
}

void cr_write_pending(cr_core *c, uint64_t seq, uint64_t last, uint64_t hard, int chunk)
{
    qd_invariant(c->nwrites == 0 || c->writes[c->nwrites - 1].seq < seq);
    if (c->nwrites == c->writes_cap) {
        c->writes_cap = c->writes_cap ? c->writes_cap * 2 : 16;
        c->writes = cr_must_grow(c->heap, c->writes, c->writes_cap * sizeof *c->writes);
    }
    c->writes[c->nwrites++] = (cr_pending_write){seq, last, hard, chunk};
}

/* One write of all that changed since the last one. */
static void write_out(cr_core *c)
{
    uint64_t last = cr_log_last(&c->log);
    if (!c->hard_dirty && !c->reset_dirty && !c->cut_dirty && !c->drop_dirty && last <= c->issued)
        return;
    qd_invariant(c->issued >= c->log.base); /* nothing is dropped that was not written */
    qd_invariant(!c->drop_dirty || c->drop <= c->snapshot);
    cr_action *a = cr_act(c, CR_DO_WRITE);
    a->seq = ++c->seq;
    a->hard = c->hard_dirty;
    a->reset = c->reset_dirty;
    a->cuts = c->cut_dirty;
    a->drops = c->drop_dirty;
    a->term = c->term;
    a->vote = c->vote;
    a->index = c->log.base;
    a->log_term = c->log.base_term;
    a->cut = c->cut;
    a->drop = c->drop;
    if (last > c->issued) {
        a->nentries = (uint32_t)(last - c->issued);
        a->entries = cr_must(c->heap, a->nentries * sizeof(cr_log_entry *));
        for (uint32_t i = 0; i < a->nentries; i++)
            a->entries[i] = cr_log_entry_ref(cr_log_at(&c->log, c->issued + 1 + i));
    }
    c->issued = last;
    c->hard_dirty = c->reset_dirty = c->cut_dirty = c->drop_dirty = 0;
    cr_write_pending(c, c->seq, last, c->hard, 0);
}

static void apply_more(cr_core *c)
{
    uint64_t until = c->commit < c->durable ? c->commit : c->durable;
    if (c->in.installing) return;
    while (c->handed < until) {
        cr_action *a = cr_act(c, CR_DO_APPLY);
        a->entries = cr_must(c->heap, sizeof(cr_log_entry *));
        cr_log_entry *e = cr_log_at(&c->log, ++c->handed);
        qd_invariant(e && e->index == c->handed); /* what is committed is in the log */
        a->entries[0] = cr_log_entry_ref(e);
        a->nentries = 1;
    }
}

static int tell_role(cr_core *c)
{
    if (c->told_role == c->role && c->told_leader == c->leader && c->told_term == c->term) return 0;
    cr_action *a = cr_act(c, CR_DO_ROLE);
    a->role = c->told_role = c->role;
    a->leader = c->told_leader = c->leader;
    a->term = c->told_term = c->term;
    return 1;
}

static void settle(cr_core *c)
{
    if (c->failed || tell_role(c)) return; /* what that leads to goes to disk and peers together */
    if (c->role == CR_LEADER) {
        cr_reads_turn(c);
        cr_feed_all(c, 0);
    }
    held_release(c, 0); /* peers first: their disks work while ours does */
    write_out(c);
    apply_more(c);
    cr_core_holds(c);
}

const cr_action *cr_core_next(cr_core *c)
{
    if (c->has_current) action_clear(c, &c->current);
    c->has_current = 0;
    if (!c->started) return NULL;
    if (c->nactions == 0) settle(c);
    if (c->nactions == 0) return NULL;
    c->current = c->actions[c->actions_first];
    c->actions_first = (c->actions_first + 1) & (c->actions_cap - 1);
    c->nactions--;
    c->has_current = 1;
    return &c->current;
}

/* --- the log and who belongs --- */

cr_members *cr_members_now(const cr_core *c)
{
    return c->nlists ? c->lists[c->nlists - 1].members : NULL;
}

void cr_members_push(cr_core *c, uint64_t index, cr_members *m)
{
    if (c->nlists == c->lists_cap) {
        c->lists_cap = c->lists_cap ? c->lists_cap * 2 : 4;
        c->lists = cr_must_grow(c->heap, c->lists, c->lists_cap * sizeof *c->lists);
    }
    c->lists[c->nlists++] = (cr_change_of_members){index, m};
    cr_peers_update(c);
}

void cr_append(cr_core *c, cr_log_entry *e)
{
    uint64_t index = e->index;
    cr_members *m = e->type == CR_LOG_MEMBERS ? cr_members_read(c->heap, e->bytes, e->n) : NULL;
    qd_invariant(e->term <= c->term); /* nobody appends for a term to come */
    qd_invariant(index > c->commit);
    cr_log_push(&c->log, e);
    if (m) cr_members_push(c, index, m);
}

void cr_cut(cr_core *c, uint64_t index)
{
    qd_invariant(index >= c->commit); /* what is committed is never cut */
    if (cr_log_last(&c->log) <= index) return;
    cr_log_cut(&c->log, index);
    uint32_t before = c->nlists;
    while (c->nlists > 1 && c->lists[c->nlists - 1].index > index &&
           !QD_MUTANT(raft, MEMBERS_NOT_UNDONE))
        cr_members_drop(c->lists[--c->nlists].members);
    if (before != c->nlists) cr_peers_update(c);
    if (c->durable > index) c->durable = index;
    for (uint32_t i = 0; i < c->nwrites; i++)
        if (c->writes[i].last > index) c->writes[i].last = index;
    if (c->issued <= index) return;
    c->issued = index;
    c->cut = c->cut_dirty && c->cut < index ? c->cut : index;
    c->cut_dirty = 1;
}

cr_peer *cr_peer_find(const cr_core *c, uint64_t id)
{
    for (uint32_t i = 0; i < c->npeers; i++)
        if (c->peers[i].id == id) return &c->peers[i];
    return NULL;
}

static void peers_free(cr_core *c)
{
    for (uint32_t i = 0; i < c->npeers; i++) {
        cr_free(c->heap, c->peers[i].window);
        cr_members_drop(c->peers[i].members);
    }
    cr_free(c->heap, c->peers);
    c->peers = NULL;
    c->npeers = 0;
}

void cr_peers_update(cr_core *c)
{
    const cr_members *m = cr_members_now(c);
    uint32_t n = 0;
    cr_peer *peers = cr_must(c->heap, (m ? m->n : 0) * sizeof *peers);
    for (uint32_t i = 0; m && i < m->n; i++) {
        if (m->at[i].id == c->config.id) continue;
        cr_peer *old = cr_peer_find(c, m->at[i].id), *p = &peers[n++];
        if (old) {
            *p = *old;
            old->window = NULL;
            old->members = NULL;
        } else {
            *p = (cr_peer){.id = m->at[i].id,
                           .next = cr_log_last(&c->log) + 1,
                           .heard = c->now,
                           .window = cr_must(c->heap, c->config.window_messages * sizeof(cr_sent))};
        }
        p->role = m->at[i].role;
    }
    peers_free(c);
    c->peers = peers;
    c->npeers = n;
}

/* --- life --- */

cr_core *cr_core_make(const cr_core_config *config)
{
    cr_core *c = cr_must(config->heap, sizeof *c);
    *c = (cr_core){.config = *config, .heap = config->heap, .space = 1};
    c->log.heap = config->heap;
    c->random[0] = config->seed ^ config->id;
    return c;
}

void cr_core_free(cr_core *c)
{
    if (!c) return;
    const cr_heap *h = c->heap;
    if (c->has_current) action_clear(c, &c->current);
    for (; c->nactions; c->nactions--) {
        action_clear(c, &c->actions[c->actions_first]);
        c->actions_first = (c->actions_first + 1) & (c->actions_cap - 1);
    }
    held_release(c, 1);
    cr_log_free(&c->log);
    for (uint32_t i = 0; i < c->nlists; i++) cr_members_drop(c->lists[i].members);
    peers_free(c);
    cr_members_drop(c->snapshot_members);
    cr_members_drop(c->in.members);
    cr_free(h, c->actions);
    cr_free(h, c->lists);
    cr_free(h, c->writes);
    cr_free(h, c->reads);
    cr_free(h, c);
}

void cr_core_load_snapshot(cr_core *c, uint64_t index, uint64_t term, cr_members *members)
{
    c->snapshot = index;
    c->snapshot_term = term;
    cr_members_drop(c->snapshot_members);
    c->snapshot_members = cr_members_ref(members);
    cr_members_push(c, index, members);
    cr_log_reset(&c->log, index, term);
}

void cr_core_load_hard(cr_core *c, uint64_t term, uint64_t vote)
{
    c->term = QD_MUTANT(raft, TERM_FORGOTTEN) ? (term ? 1 : 0) : term;
    c->vote = QD_MUTANT(raft, TERM_FORGOTTEN) ? 0 : vote;
}

void cr_core_load_base(cr_core *c, uint64_t index, uint64_t term)
{
    cr_log_reset(&c->log, index, term);
}

int32_t cr_core_load_entry(cr_core *c, cr_log_entry *e)
{
    uint64_t last = cr_log_last(&c->log);
    if (e->index != last + 1 || e->term < cr_log_term(&c->log, last) ||
        (e->term > c->term && !QD_MUTANT(raft, TERM_FORGOTTEN))) {
        cr_log_entry_drop(e);
        return QD_E_CORRUPT;
    }
    if (e->index > c->snapshot)
        cr_append(c, e);
    else
        cr_log_push(&c->log, e);
    c->loaded = cr_log_last(&c->log);
    return 0;
}

int32_t cr_core_form(cr_core *c, cr_members *members)
{
    if (cr_log_last(&c->log) || c->term || c->vote || c->nlists) {
        cr_members_drop(members);
        return QD_E_CONFLICT;
    }
    cr_bytes b = {.heap = c->heap};
    cr_members_write(members, &b);
    cr_members_drop(members);
    c->term = 1;
    cr_hard_changed(c);
    cr_append(c, cr_log_entry_make(c->heap, 1, 1, CR_LOG_MEMBERS, b.p, (uint32_t)b.n));
    cr_bytes_free(&b);
    return 0;
}

/* A snapshot that was installed, while the log was not yet begun anew. */
static void fit_snapshot(cr_core *c)
{
    if (!c->snapshot || cr_log_term(&c->log, c->snapshot) == c->snapshot_term) return;
    while (c->nlists > 1) cr_members_drop(c->lists[--c->nlists].members);
    cr_log_reset(&c->log, c->snapshot, c->snapshot_term);
    c->reset_dirty = 1;
    c->loaded = c->snapshot;
    cr_peers_update(c);
}

void cr_core_recover(cr_core *c, cr_members *members)
{
    fit_snapshot(c);
    uint64_t index = cr_log_last(&c->log) + 1;
    cr_bytes b = {.heap = c->heap};
    cr_members_write(members, &b);
    cr_members_drop(members);
    c->term++;
    c->vote = 0;
    cr_hard_changed(c);
    cr_append(c, cr_log_entry_make(c->heap, index, c->term, CR_LOG_MEMBERS, b.p, (uint32_t)b.n));
    cr_bytes_free(&b);
}

int32_t cr_core_start(cr_core *c, uint64_t applied, uint64_t now)
{
    c->now = now;
    if (c->log.base > c->snapshot) return QD_E_CORRUPT;
    fit_snapshot(c);
    uint64_t last = cr_log_last(&c->log);
    if (c->loaded < c->log.base) c->loaded = c->log.base;
    if (applied > last || c->snapshot > last) return QD_E_CORRUPT;
    if (cr_log_term(&c->log, last) > c->term && !QD_MUTANT(raft, TERM_FORGOTTEN))
        return QD_E_CORRUPT; /* terms are durable before what was made in them */
    c->handed = c->commit = applied > c->snapshot ? applied : c->snapshot;
    c->issued = c->durable = c->loaded;
    c->agreed = c->commit;
    c->started = 1;
    cr_core_holds(c);
    cr_election_restart(c);
    const cr_members *m = cr_members_now(c);
    if (m && m->voters == 1 && cr_members_votes(m, c->config.id)) c->election_at = now;
    return 0;
}

/* --- what happens --- */

void cr_core_tick(cr_core *c, uint64_t now)
{
    if (now > c->now) c->now = now;
    if (c->failed || !c->started) return;
    if (c->role == CR_LEADER) {
        cr_lead_tick(c);
    } else if (c->now >= c->election_at) {
        cr_election_restart(c);
        if (cr_may_campaign(c) && !c->in.installing) cr_campaign(c, 0, 0);
    }
}

uint64_t cr_core_deadline(const cr_core *c)
{
    if (c->failed || !c->started) return UINT64_MAX;
    if (c->role != CR_LEADER) return c->election_at;
    if (c->npeers == 0) return UINT64_MAX;
    uint64_t at = c->beat_at < c->check_at ? c->beat_at : c->check_at;
    return c->to && c->to_until < at ? c->to_until : at;
}

/* A leader's answer to who is behind in terms: he shall learn of this one. */
static void answer_old(cr_core *c, const cr_message *m)
{
    cr_message a = {.to = m->from, .term = c->term, .flags = CR_M_REFUSED};
    if (m->type == CR_PREVOTE)
        a.type = CR_PREVOTE_ANSWER;
    else if (m->type == CR_VOTE)
        a.type = CR_VOTE_ANSWER;
    else if (m->type == CR_APPEND || m->type == CR_SNAPSHOT)
        a.type = CR_APPEND_ANSWER;
    else
        return;
    cr_say_to(c, &a);
}

/* Looks at the term; 1 when the message goes on. */
static int admit(cr_core *c, const cr_message *m)
{
    if (m->term < c->term) {
        answer_old(c, m);
        return 0;
    }
    if (m->type == CR_PREVOTE) return 1;
    if (m->type == CR_VOTE && !(m->flags & CR_M_TRANSFER) && cr_leader_near(c)) return 0;
    if (m->term == c->term) return 1;
    if (m->type == CR_PREVOTE_ANSWER && !(m->flags & CR_M_REFUSED)) return 1;
    cr_follow(c, m->term, m->type == CR_APPEND || m->type == CR_SNAPSHOT ? m->from : 0);
    return m->type != CR_PREVOTE_ANSWER;
}

static void receive(cr_core *c, cr_message *m)
{
    if (!admit(c, m)) return;
    cr_peer *p = cr_peer_find(c, m->from);
    if (p && m->term == c->term) p->heard = c->now;
    switch (m->type) {
    case CR_PREVOTE:
    case CR_VOTE:
        cr_on_vote(c, m);
        break;
    case CR_PREVOTE_ANSWER:
    case CR_VOTE_ANSWER:
        cr_on_vote_answer(c, m);
        break;
    case CR_APPEND:
        cr_on_append(c, m);
        break;
    case CR_SNAPSHOT:
        cr_on_snapshot(c, m);
        break;
    case CR_APPEND_ANSWER:
        if (p && c->role == CR_LEADER) cr_on_append_answer(c, p, m);
        break;
    case CR_SNAPSHOT_ANSWER:
        if (p && c->role == CR_LEADER) cr_on_snapshot_answer(c, p, m);
        break;
    case CR_TIMEOUT_NOW:
        if (c->role != CR_LEADER && m->from == c->leader && !c->in.installing && cr_may_campaign(c))
            cr_campaign(c, 1, 1);
        break;
    default:
        break;
    }
}

void cr_core_receive(cr_core *c, cr_message *m, uint64_t now)
{
    if (now > c->now) c->now = now;
    if (!c->failed && c->started && m->to == c->config.id && m->from != c->config.id) {
        uint64_t term = c->term, commit = c->commit;
        receive(c, m);
        qd_invariant(c->term >= term);
        qd_invariant(c->commit >= commit);
        cr_core_holds(c);
    }
    cr_message_clear(c->heap, m);
}

void cr_fail(cr_core *c, int why)
{
    for (; c->nactions; c->nactions--) {
        action_clear(c, &c->actions[c->actions_first]);
        c->actions_first = (c->actions_first + 1) & (c->actions_cap - 1);
    }
    held_release(c, 1);
    cr_follow(c, c->term, 0);
    c->failed = why;
    (void)tell_role(c);
}

void cr_core_written(cr_core *c, uint64_t seq, int32_t rc, uint64_t now)
{
    if (now > c->now) c->now = now;
    if (c->failed) return;
    if (rc) {
        cr_fail(c, CR_FAILED_WRITE);
        return;
    }
    int chunk = 0;
    uint32_t n = 0;
    uint64_t before = c->durable;
    for (; n < c->nwrites && c->writes[n].seq <= seq; n++) {
        const cr_pending_write *w = &c->writes[n];
        if (w->chunk) chunk = 1;
        if (w->last > c->durable) c->durable = w->last;
        if (w->hard > c->hard_durable) c->hard_durable = w->hard;
    }
    memmove(c->writes, c->writes + n, (c->nwrites - n) * sizeof *c->writes);
    c->nwrites -= n;
    qd_invariant(seq <= c->seq);
    if (seq > c->written) c->written = seq;
    if (chunk) cr_chunk_written(c);
    if (c->role == CR_LEADER)
        cr_commit_more(c);
    else if (c->role != CR_FOLLOWER)
        cr_count_votes(c);
    else if (c->durable > before)
        cr_tell_durable(c);
}

void cr_core_space(cr_core *c, int there, uint64_t now)
{
    if (now > c->now) c->now = now;
    if (c->space == there) return;
    c->space = there;
    if (!there && c->role == CR_LEADER && !c->to) (void)cr_core_hand_over(c, 0, now);
}

/* Behind it stand the last entries up to index: at most so many, of at most so many bytes. */
static uint64_t tail(const cr_core *c, uint64_t index, uint64_t most, uint64_t most_bytes)
{
    uint64_t keep = index > most ? index - most : 0, bytes = 0;
    for (uint64_t i = index; i > keep && i > c->log.base; i--) {
        bytes += cr_log_at(&c->log, i)->n;
        if (bytes > most_bytes) keep = i;
    }
    return keep;
}

void cr_core_snapshotted(cr_core *c, uint64_t index)
{
    if (index <= c->snapshot || index > c->handed) return;
    uint32_t of = 0;
    while (of + 1 < c->nlists && c->lists[of + 1].index <= index) of++;
    qd_invariant(index > c->log.base && index <= cr_log_last(&c->log));
    c->snapshot_term = cr_log_term(&c->log, index);
    c->snapshot = index;
    cr_members_drop(c->snapshot_members);
    c->snapshot_members = cr_members_ref(c->lists[of].members);
    for (uint32_t i = 0; i < of; i++) cr_members_drop(c->lists[i].members);
    memmove(c->lists, c->lists + of, (c->nlists - of) * sizeof *c->lists);
    c->nlists -= of;
    uint64_t keep = tail(c, index, c->config.trailing, TRAILING_BYTES);
    keep = cr_hold(c, keep, tail(c, keep, c->config.hold, HOLD_BYTES));
    if (keep <= c->log.base) return;
    qd_invariant(keep <= index); /* what a snapshot does not hold stays in the log */
    cr_log_drop(&c->log, keep);
    c->drop = keep;
    c->drop_dirty = 1;
}

/* --- what it knows --- */

void cr_core_look(const cr_core *c, cr_core_view *out)
{
    const cr_members *m = cr_members_now(c);
    int ready = c->role == CR_LEADER && !c->failed && c->commit >= c->first;
    *out = (cr_core_view){.role = c->role,
                          .failed = (uint32_t)c->failed,
                          .term = c->term,
                          .vote = c->vote,
                          .leader = c->leader,
                          .commit = c->commit,
                          .applied = c->handed,
                          .last = cr_log_last(&c->log),
                          .durable = c->durable,
                          .base = c->log.base,
                          .snapshot = c->snapshot,
                          .members = m,
                          .members_index = c->nlists ? c->lists[c->nlists - 1].index : 0,
                          .ready = ready};
    out->sole = ready && m && m->voters == 1 && out->members_index <= c->commit &&
                cr_members_votes(m, c->config.id);
}

int32_t cr_core_peer(const cr_core *c, uint64_t id, uint64_t *match, uint64_t *heard)
{
    const cr_peer *p = cr_peer_find(c, id);
    if (!p || c->role != CR_LEADER) return QD_E_NOTFOUND;
    *match = p->match;
    *heard = p->heard;
    return 0;
}

uint64_t cr_core_term_at(const cr_core *c, uint64_t index)
{
    return cr_log_term(&c->log, index);
}

int cr_core_peer_full(const cr_core *c, uint64_t id)
{
    const cr_peer *p = cr_peer_find(c, id);
    return p && p->nospace;
}

uint64_t cr_core_sending(const cr_core *c)
{
    uint64_t oldest = 0;
    for (uint32_t i = 0; c->role == CR_LEADER && i < c->npeers; i++) {
        const cr_peer *p = &c->peers[i];
        if (p->state == CR_SENDING && (!oldest || p->snapshot < oldest)) oldest = p->snapshot;
    }
    return oldest;
}

const cr_members *cr_core_members_at(const cr_core *c, uint64_t index)
{
    uint32_t i = c->nlists;
    while (i && c->lists[i - 1].index > index) i--;
    return i ? c->lists[i - 1].members : NULL;
}

const cr_members *cr_core_snapshot_members(const cr_core *c)
{
    return c->snapshot_members;
}
