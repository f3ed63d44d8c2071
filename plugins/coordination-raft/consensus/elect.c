/* elect.c: terms, votes, roles (Raft 5.2, 5.4.1; thesis 4.2.3, 9.6 for pre-vote). */
#include "core_int.h"

void cr_election_restart(cr_core *c)
{
    uint64_t e = c->config.election_ns;
    c->election_at = c->now + e + cr_random(c, e);
    if (!c->space) c->election_at += 2 * e; /* who has room shall be first */
}

int cr_leader_near(const cr_core *c)
{
    if (c->role == CR_LEADER) return 1;
    return c->leader && c->heard && c->now - c->heard_leader < c->config.election_ns;
}

void cr_follow(cr_core *c, uint64_t term, uint64_t leader)
{
    int led = c->role == CR_LEADER, new_term = term != c->term;
    qd_invariant(term >= c->term);
    qd_invariant(leader != c->config.id);
    if (new_term) {
        c->term = term;
        c->vote = 0;
        cr_hard_changed(c);
    }
    if (led) {
        cr_reads_fail(c);
        if (c->to) cr_hand_over_end(c, new_term ? 0 : QD_E_CANCELLED);
    }
    if (c->role != CR_FOLLOWER || new_term || leader != c->leader) {
        c->agreed = c->commit;
        cr_election_restart(c);
    }
    c->role = CR_FOLLOWER;
    c->leader = leader;
    c->heard = 0;
}

void cr_core_gone(cr_core *c, uint64_t id, uint64_t now)
{
    if (now > c->now) c->now = now;
    if (!c->started || c->failed || c->role != CR_FOLLOWER || c->leader != id) return;
    c->heard = 0; /* nobody is refused for its sake */
    uint64_t at = c->now + c->config.heartbeat_ns / 4 + cr_random(c, c->config.heartbeat_ns);
    if (at < c->election_at) c->election_at = at;
}

/* --- asking --- */

int cr_may_campaign(const cr_core *c)
{
    uint32_t n = c->nlists;
    if (n == 0) return 0;
    if (cr_members_votes(c->lists[n - 1].members, c->config.id)) return 1;
    return n > 1 && c->lists[n - 1].index > c->commit &&
           cr_members_votes(c->lists[n - 2].members, c->config.id);
}

void cr_campaign(cr_core *c, int real, int transfer)
{
    qd_invariant(c->role != CR_LEADER);
    qd_invariant(!c->in.installing); /* the log is about to be another one */
    cr_incoming_forget(c);
    c->leader = 0;
    c->heard = 0;
    c->transferring = transfer;
    c->role = real ? CR_CANDIDATE : CR_PRECANDIDATE;
    if (real) {
        c->term++;
        c->vote = c->config.id;
        cr_hard_changed(c);
        cr_election_restart(c);
    }
    uint64_t last = cr_log_last(&c->log);
    for (uint32_t i = 0; i < c->npeers; i++) {
        c->peers[i].answer = 0;
        if (c->peers[i].role != QD_COORD_VOTER) continue;
        cr_message m = {.type = real ? CR_VOTE : CR_PREVOTE,
                        .flags = transfer ? CR_M_TRANSFER : 0,
                        .to = c->peers[i].id,
                        .term = c->term + !real,
                        .index = last,
                        .log_term = cr_log_term(&c->log, last)};
        cr_say_to(c, &m);
    }
    cr_count_votes(c);
}

void cr_count_votes(cr_core *c)
{
    const cr_members *m = cr_members_now(c);
    /* this node's own counts when it cannot be forgotten any more */
    int own = c->role == CR_PRECANDIDATE || (c->role == CR_CANDIDATE && c->hard_durable == c->hard);
    if (!own) return; /* nobody was asked before */
    uint32_t yes = (uint32_t)cr_members_votes(m, c->config.id), no = 0;
    for (uint32_t i = 0; i < c->npeers; i++) {
        if (c->peers[i].role != QD_COORD_VOTER) continue;
        yes += c->peers[i].answer > 0;
        no += c->peers[i].answer < 0;
    }
    if (yes >= cr_quorum(m)) {
        if (c->role == CR_PRECANDIDATE)
            cr_campaign(c, 1, 0);
        else
            cr_lead(c);
    } else if (no >= cr_quorum(m)) {
        cr_follow(c, c->term, 0);
    }
}

void cr_on_vote_answer(cr_core *c, cr_message *m)
{
    cr_peer *p = cr_peer_find(c, m->from);
    int pre = m->type == CR_PREVOTE_ANSWER, refused = (m->flags & CR_M_REFUSED) != 0;
    if (!p || p->role != QD_COORD_VOTER) return;
    if (c->role != (pre ? CR_PRECANDIDATE : CR_CANDIDATE)) return;
    if (m->term != c->term + (pre && !refused)) return;
    p->answer = refused ? -1 : 1;
    cr_count_votes(c);
}

/* --- being asked --- */

static int up_to_date(const cr_core *c, const cr_message *m)
{
    uint64_t last = cr_log_last(&c->log), term = cr_log_term(&c->log, last);
    return m->log_term > term || (m->log_term == term && m->index >= last);
}

void cr_on_vote(cr_core *c, cr_message *m)
{
    int pre = m->type == CR_PREVOTE;
    int grant = (up_to_date(c, m) || QD_MUTANT(raft, VOTE_FOR_SHORTER)) && !c->in.installing;
    if (pre)
        grant = grant && m->term > c->term && !cr_leader_near(c);
    else
        grant = grant && c->leader == 0 && c->role == CR_FOLLOWER &&
                (c->vote == 0 || c->vote == m->from || QD_MUTANT(raft, VOTE_TWICE));
    if (grant && !pre) {
        qd_invariant(m->term == c->term);
        qd_invariant(c->vote == 0 || c->vote == m->from); /* one vote a term */
        if (c->vote != m->from) {
            c->vote = m->from;
            cr_hard_changed(c);
        }
        cr_election_restart(c);
    }
    cr_message a = {.type = pre ? CR_PREVOTE_ANSWER : CR_VOTE_ANSWER,
                    .flags = grant ? 0 : CR_M_REFUSED,
                    .to = m->from,
                    .term = grant ? m->term : c->term};
    cr_say_to(c, &a);
}
