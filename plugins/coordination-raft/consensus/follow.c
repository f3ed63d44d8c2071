/* follow.c: a follower's log (Raft 5.3). */
#include "core_int.h"

static void answer(cr_core *c, const cr_message *m, uint32_t flags, uint64_t index)
{
    cr_message a = {.type = CR_APPEND_ANSWER,
                    .flags = flags | (c->space ? 0 : CR_M_NOSPACE),
                    .to = m->from,
                    .term = c->term,
                    .index = index,
                    .round = m->round};
    if (flags & CR_M_REFUSED) {
        uint64_t from = index - 1;
        a.hint = cr_log_before(&c->log, from, m->log_term);
        a.hint_term = cr_log_term(&c->log, a.hint);
    }
    cr_say_to(c, &a);
}

static uint64_t durable_agreed(const cr_core *c)
{
    return c->durable < c->agreed && !QD_MUTANT(raft, ANSWER_NOT_DURABLE) ? c->durable : c->agreed;
}

void cr_tell_durable(cr_core *c)
{
    if (!c->leader) return;
    cr_message a = {.type = CR_APPEND_ANSWER,
                    .flags = c->space ? 0 : CR_M_NOSPACE,
                    .to = c->leader,
                    .term = c->term,
                    .index = durable_agreed(c)};
    qd_invariant(a.index <= c->durable && a.index <= c->agreed);
    cr_say_to(c, &a);
}

/* Takes the entries that are not there; the first that differs cuts the log. The index up to which
 * the log is the leader's now. */
static uint64_t take(cr_core *c, cr_message *m)
{
    uint64_t at = m->index;
    for (uint32_t i = 0; i < m->nentries; i++) {
        cr_log_entry *e = m->entries[i];
        uint64_t have = cr_log_term(&c->log, e->index);
        if (have == e->term || e->index <= c->log.base) {
            at = e->index;
            continue;
        }
        /* a leader's log only grows within its term: it cannot deny what it said of it before */
        if (e->index <= c->agreed || e->term < cr_log_term(&c->log, e->index - 1)) {
            cr_fail(c, CR_FAILED_CONTRADICTION);
            return at;
        }
        if (!c->space) return at;
        cr_cut(c, e->index - 1);
        cr_append(c, cr_log_entry_ref(e));
        at = e->index;
    }
    return at;
}

/* Entries that follow each other and the index before them. */
static int sound(const cr_message *m)
{
    uint64_t term = m->log_term;
    for (uint32_t i = 0; i < m->nentries; i++) {
        const cr_log_entry *e = m->entries[i];
        if (e->index != m->index + 1 + i || e->term < term || e->term > m->term) return 0;
        term = e->term;
    }
    return 1;
}

void cr_on_append(cr_core *c, cr_message *m)
{
    if (c->role == CR_LEADER || !sound(m)) return; /* two of one term: never; not of a leader's */
    if (c->role != CR_FOLLOWER || c->leader != m->from) cr_follow(c, c->term, m->from);
    c->heard = 1;
    c->heard_leader = c->now;
    cr_election_restart(c);
    if (c->in.installing) return;
    /* what is committed here is the leader's as well: only what is above can differ */
    int differs = m->index > cr_log_last(&c->log) || cr_log_term(&c->log, m->index) != m->log_term;
    if (QD_MUTANT(raft, NO_PREVIOUS_CHECK) && m->index <= cr_log_last(&c->log)) differs = 0;
    if (m->index > c->commit && differs) {
        answer(c, m, CR_M_REFUSED, m->index);
        return;
    }
    uint64_t at = take(c, m), whole = m->index + m->nentries;
    if (c->failed) return;
    if (at < c->commit) at = c->commit;
    if (at > c->agreed) c->agreed = at;
    uint64_t compared = QD_MUTANT(raft, COMMIT_BEYOND_MATCH) ? cr_log_last(&c->log) : c->agreed;
    uint64_t commit = m->commit < compared ? m->commit : compared;
    qd_invariant(commit <= c->agreed || commit <= c->commit); /* not what was not compared */
    if (commit > c->commit) c->commit = commit;
    if (at < whole)
        answer(c, m, CR_M_REFUSED | CR_M_NOSPACE, at + 1);
    else
        answer(c, m, 0, durable_agreed(c));
    qd_invariant(durable_agreed(c) <= c->durable); /* what was confirmed survives this process */
}
