/* reads.c: linearizable reads without an entry (thesis 6.4): what was committed when a round of
 * messages began may be read when a majority has answered that round. */
#include "core_int.h"

int32_t cr_core_read(cr_core *c, uint64_t token)
{
    if (c->failed || c->role != CR_LEADER) return QD_E_NOT_LEADER;
    if (c->nreads == c->reads_cap) {
        c->reads_cap = c->reads_cap ? c->reads_cap * 2 : 16;
        c->reads = cr_must_grow(c->heap, c->reads, c->reads_cap * sizeof *c->reads);
    }
    c->reads[c->nreads++] = (cr_read){token, UINT64_MAX, 0};
    return 0;
}

/* The newest round that a majority has answered. */
static uint64_t round_done(const cr_core *c)
{
    const cr_members *m = cr_members_now(c);
    uint64_t rounds[CR_MEMBERS_MAX];
    uint32_t n = 0;
    if (cr_members_votes(m, c->config.id)) rounds[n++] = c->round;
    for (uint32_t i = 0; i < c->npeers; i++)
        if (c->peers[i].role == QD_COORD_VOTER) rounds[n++] = c->peers[i].round;
    return cr_nth(rounds, n, cr_quorum(m));
}

static void join_round(cr_core *c)
{
    for (uint32_t i = 0; i < c->nreads; i++) {
        if (c->reads[i].round != UINT64_MAX) continue;
        c->reads[i].round = c->round;
        qd_invariant(c->commit >= c->first);
        c->reads[i].index = c->commit;
    }
}

static void round_begin(cr_core *c)
{
    qd_invariant(c->role == CR_LEADER);
    c->round++;
    join_round(c);
    for (uint32_t i = 0; i < c->npeers; i++)
        if (c->peers[i].role == QD_COORD_VOTER) cr_feed(c, &c->peers[i], 1);
}

void cr_reads_turn(cr_core *c)
{
    if (c->nreads == 0 || (c->commit < c->first && !QD_MUTANT(raft, READ_OLD_TERM))) return;
    uint64_t done = QD_MUTANT(raft, READ_WITHOUT_ROUND) ? c->round : round_done(c);
    if (QD_MUTANT(raft, READ_OLD_ROUND) && done < c->round) join_round(c);
    if (done == c->round && c->reads[c->nreads - 1].round == UINT64_MAX) {
        round_begin(c);
        done = QD_MUTANT(raft, READ_WITHOUT_ROUND) ? c->round : round_done(c);
    }
    uint32_t n = 0;
    for (; n < c->nreads && c->reads[n].round <= done; n++) {
        cr_action *a = cr_act(c, CR_DO_READ);
        a->token = c->reads[n].token;
        a->index = c->reads[n].index;
        qd_invariant(a->index <= c->commit);
        qd_invariant(a->index >= c->first); /* nothing is read before an entry of the term */
    }
    memmove(c->reads, c->reads + n, (c->nreads - n) * sizeof *c->reads);
    c->nreads -= n;
}

void cr_reads_fail(cr_core *c)
{
    for (uint32_t i = 0; i < c->nreads; i++) {
        cr_action *a = cr_act(c, CR_DO_READ);
        a->token = c->reads[i].token;
        a->rc = QD_E_NOT_LEADER;
    }
    c->nreads = 0;
}
