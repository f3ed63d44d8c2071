/* transfer.c: snapshots between peers, in chunks; one chunk under way at a time. */
#include "core_int.h"

/* --- the leader's side --- */

static void newest(cr_core *c, cr_peer *p)
{
    qd_invariant(c->snapshot > 0); /* what is dropped from the log is in one */
    qd_invariant(c->snapshot >= c->log.base);
    p->snapshot = c->snapshot;
    p->snapshot_term = c->snapshot_term;
    cr_members_drop(p->members);
    p->members = cr_members_ref(c->snapshot_members);
    p->offset = p->total = 0;
}

void cr_sending_begin(cr_core *c, cr_peer *p)
{
    p->state = CR_SENDING;
    newest(c, p);
    p->asked = p->under_way = 0;
    cr_window_clear(p);
}

void cr_sending_feed(cr_core *c, cr_peer *p)
{
    if (p->under_way && c->now - p->chunk_at >= c->config.election_ns) {
        /* lost, or he is installing: the last one once more, and his answer tells */
        p->under_way = 0;
        if (p->total && p->offset >= p->total) p->offset = p->total - p->chunk_bytes;
    }
    if (p->asked || p->under_way || p->nospace) return;
    qd_invariant(p->state == CR_SENDING);
    cr_action *a = cr_act(c, CR_DO_CHUNK_READ);
    a->peer = p->id;
    a->index = p->snapshot;
    a->log_term = p->snapshot_term;
    a->offset = p->offset;
    a->nbytes = c->config.message_bytes;
    p->asked = 1;
}

void cr_core_chunk(cr_core *c, uint64_t peer, uint64_t index, uint64_t offset, uint64_t total,
                   const uint8_t *bytes, uint32_t n)
{
    cr_peer *p = cr_peer_find(c, peer);
    if (c->role != CR_LEADER || !p || p->state != CR_SENDING || !p->asked) return;
    p->asked = 0;
    p->chunk_at = c->now;
    p->under_way = 1;
    if (n == 0 || index != p->snapshot || offset != p->offset) { /* replaced, or later again */
        newest(c, p);
        return;
    }
    p->total = total;
    p->chunk_bytes = n;
    cr_message m = {.type = CR_SNAPSHOT,
                    .flags = offset + n == total ? CR_M_LAST : 0,
                    .to = p->id,
                    .term = c->term,
                    .index = p->snapshot,
                    .log_term = p->snapshot_term,
                    .commit = c->commit,
                    .round = c->round,
                    .offset = offset,
                    .total = total,
                    .members = cr_members_ref(p->members),
                    .bytes = cr_must(c->heap, n),
                    .nbytes = n};
    memcpy(m.bytes, bytes, n);
    cr_say_to(c, &m);
}

void cr_on_snapshot_answer(cr_core *c, cr_peer *p, cr_message *m)
{
    p->nospace = (m->flags & CR_M_NOSPACE) != 0;
    if (m->round > p->round && m->round <= c->round) p->round = m->round;
    if (p->state != CR_SENDING || m->index != p->snapshot || !p->under_way) return;
    if (m->offset == p->offset && p->offset < p->total && !(m->flags & CR_M_REFUSED)) return;
    p->offset = m->offset;
    /* all is there: he installs it, and says so by an answer to an append */
    if (p->offset < p->total || p->total == 0) p->under_way = 0;
}

/* --- the follower's side --- */

void cr_incoming_forget(cr_core *c)
{
    cr_members_drop(c->in.members);
    memset(&c->in, 0, sizeof c->in);
}

static void answer(cr_core *c, uint64_t to, uint64_t index, uint64_t offset, uint64_t round,
                   int refused)
{
    cr_message a = {.type = CR_SNAPSHOT_ANSWER,
                    .flags = (c->space ? 0 : CR_M_NOSPACE) | (refused ? CR_M_REFUSED : 0),
                    .to = to,
                    .term = c->term,
                    .index = index,
                    .offset = offset,
                    .round = round};
    cr_say_to(c, &a);
}

/* The log has come as far without it. */
static void not_needed(cr_core *c, uint64_t to, uint64_t round)
{
    cr_message a = {.type = CR_APPEND_ANSWER,
                    .to = to,
                    .term = c->term,
                    .index = c->durable < c->commit ? c->durable : c->commit,
                    .round = round};
    cr_say_to(c, &a);
}

static int begin(cr_core *c, cr_message *m)
{
    cr_incoming_forget(c);
    if (m->offset != 0 || !m->members) return 0;
    c->in.index = m->index;
    c->in.term = m->log_term;
    c->in.total = m->total;
    c->in.from = m->from;
    c->in.members = cr_members_ref(m->members);
    return 1;
}

void cr_on_snapshot(cr_core *c, cr_message *m)
{
    if (c->role == CR_LEADER) return;
    if (c->role != CR_FOLLOWER || c->leader != m->from) cr_follow(c, c->term, m->from);
    c->heard = 1;
    c->heard_leader = c->now;
    cr_election_restart(c);
    if (m->index <= c->commit && !c->in.installing) {
        not_needed(c, m->from, m->round);
        return;
    }
    int same = c->in.members && c->in.index == m->index && c->in.term == m->log_term &&
               c->in.total == m->total;
    if (c->in.installing || (same && c->in.bytes)) {
        if (same && c->in.installing) answer(c, m->from, m->index, c->in.total, m->round, 0);
        return;
    }
    if (!c->space || (!same && !begin(c, m)) || m->offset != c->in.offset || m->nbytes == 0 ||
        m->nbytes > c->in.total - c->in.offset) {
        answer(c, m->from, m->index, c->in.members ? c->in.offset : 0, m->round, 1);
        return;
    }
    qd_invariant(!c->in.installing && c->in.bytes == 0); /* one chunk at a time */
    qd_invariant(c->in.offset < c->in.total);
    cr_action *a = cr_act(c, CR_DO_CHUNK_WRITE);
    a->seq = ++c->seq;
    a->index = m->index;
    a->log_term = m->log_term;
    a->offset = m->offset;
    a->total = m->total;
    a->bytes = m->bytes;
    a->nbytes = m->nbytes;
    a->last = c->in.offset + m->nbytes == c->in.total;
    a->members = cr_members_ref(c->in.members);
    c->in.bytes = m->nbytes;
    c->in.last = (int)a->last;
    c->in.seq = c->seq;
    m->bytes = NULL;
    cr_write_pending(c, c->seq, 0, 0, 1);
}

void cr_chunk_written(cr_core *c)
{
    if (c->in.bytes == 0 || c->written < c->in.seq) return; /* forgotten meanwhile, or another */
    c->in.offset += c->in.bytes;
    c->in.bytes = 0;
    qd_invariant(c->in.offset <= c->in.total);
    if (c->in.index <= c->commit && !QD_MUTANT(raft, INSTALL_OLD)) {
        uint64_t from = c->in.from;
        cr_incoming_forget(c);
        not_needed(c, from, 0);
        return;
    }
    if (c->in.last) {
        qd_invariant(c->in.offset == c->in.total);
        c->in.installing = 1;
        cr_action *a = cr_act(c, CR_DO_INSTALL);
        a->index = c->in.index;
        a->log_term = c->in.term;
        a->total = c->in.total;
        a->members = cr_members_ref(c->in.members);
    }
    answer(c, c->in.from, c->in.index, c->in.offset, 0, 0);
}

void cr_core_installed(cr_core *c, int32_t rc, uint64_t now)
{
    if (now > c->now) c->now = now;
    if (c->failed || !c->in.installing) return;
    uint64_t index = c->in.index, term = c->in.term;
    cr_members *members = rc ? NULL : cr_members_ref(c->in.members);
    cr_incoming_forget(c);
    cr_election_restart(c);
    if (rc) return;
    qd_invariant(index > c->commit); /* a snapshot takes nothing back */
    qd_invariant(c->handed <= index);
    c->handed = index;
    if (c->commit < index) c->commit = index;
    if (c->agreed < c->commit) c->agreed = c->commit;
    int fits = cr_log_term(&c->log, index) == term;
    if (QD_MUTANT(raft, SNAPSHOT_KEEPS_LOG) && index <= cr_log_last(&c->log)) fits = 1;
    if (fits) { /* what is behind it stays */
        cr_members_drop(members);
        cr_core_snapshotted(c, index);
        return;
    }
    c->snapshot = index;
    c->snapshot_term = term;
    cr_members_drop(c->snapshot_members);
    c->snapshot_members = cr_members_ref(members);
    cr_log_reset(&c->log, index, term);
    c->agreed = index;
    while (c->nlists) cr_members_drop(c->lists[--c->nlists].members);
    cr_members_push(c, index, members);
    for (uint32_t i = 0; i < c->nwrites; i++) c->writes[i].last = 0; /* of the log that was */
    c->durable = c->issued = index;
    c->reset_dirty = 1;
    c->cut_dirty = c->drop_dirty = 0;
    qd_invariant(cr_log_last(&c->log) == index && c->log.base == index);
}
