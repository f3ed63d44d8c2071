/* copy.c: what a copy answers its primary. See copy_int.h. */
#include "replication/copy_int.h"
#include <string.h>

void repl_copy_init(repl_copy *c, uint64_t term, int64_t global, uint64_t now)
{
    *c =
        (repl_copy){.term = term,
                    .global = global,
                    .lease_term = 0, /* whoever it was, also one of a lower term than is promised */
                    .lease_until_ns = now + REPL_LEASE_KEPT_NS,
                    .heard_ns = now};
}

repl_copy_verdict repl_copy_request(const repl_copy *c, uint64_t term, uint64_t now)
{
    if (QD_MUTANT(repl, NO_TERM_CHECK) && term < c->term) return REPL_COPY_TAKE;
    if (term < c->term) return REPL_COPY_REFUSE;
    if (term > c->term) return REPL_COPY_ADOPT;
    if (c->primary) return REPL_COPY_REFUSE;
    if (c->lease_term < term && now < c->lease_until_ns && !QD_MUTANT(repl, PROMOTE_WITHIN_LEASE)) {
        return REPL_COPY_WAIT;
    }
    return REPL_COPY_TAKE;
}

void repl_copy_adopted(repl_copy *c, uint64_t term)
{
    qd_invariant(term > c->term); /* what was promised is never taken back */
    c->term = term;
    c->primary = false;
    c->resync = 0;
    c->part = 0;
    repl_copy_holds(c);
}

repl_copy_verdict repl_copy_ops(const repl_copy *c)
{
    if (QD_MUTANT(repl, NO_TERM_CHECK) || QD_MUTANT(repl, NO_RESYNC)) return REPL_COPY_TAKE;
    return c->synced_term == c->term ? REPL_COPY_TAKE : REPL_COPY_NOT_SYNCED;
}

repl_copy_verdict repl_copy_resync(repl_copy *c, uint64_t attempt, uint32_t part)
{
    if (!attempt) return REPL_COPY_NOT_SYNCED; /* no primary counts from 0 */
    if (c->synced_term == c->term) {
        return attempt <= c->resync ? REPL_COPY_REPEATED : REPL_COPY_NOT_SYNCED;
    }
    if (part == 0 && attempt > c->resync) {
        c->resync = attempt;
        c->part = 0;
        return REPL_COPY_ROLL_BACK;
    }
    if (attempt != c->resync || part > c->part) return REPL_COPY_NOT_SYNCED;
    return part < c->part ? REPL_COPY_REPEATED : REPL_COPY_TAKE;
}

void repl_copy_resynced(repl_copy *c, bool last)
{
    qd_invariant(c->resync > 0); /* of a resync that is under way */
    c->part++;
    if (last) c->synced_term = c->term;
    repl_copy_holds(c);
}

void repl_copy_recovering(repl_copy *c)
{
    c->synced_term = c->term;
    repl_copy_holds(c);
}

void repl_copy_lease(repl_copy *c, uint64_t sent_ns, uint64_t now)
{
    c->lease_term = c->term;
    if (now + REPL_LEASE_KEPT_NS > c->lease_until_ns) c->lease_until_ns = now + REPL_LEASE_KEPT_NS;
    if (sent_ns > c->lease_sent_ns) c->lease_sent_ns = sent_ns;
    qd_invariant(c->lease_until_ns >= now + REPL_LEASE_KEPT_NS); /* a lease is never shortened */
    repl_copy_holds(c);
}

void repl_copy_release(repl_copy *c, uint64_t term, uint64_t sent_ns)
{
    if (c->lease_term != term || sent_ns < c->lease_sent_ns) return;
    c->lease_until_ns = 0;
}

bool repl_copy_may_lead(const repl_copy *c, uint64_t term, uint64_t now)
{
    if (term != c->term) return false;
    return now >= c->lease_until_ns || QD_MUTANT(repl, PROMOTE_WITHIN_LEASE);
}

void repl_copy_leads(repl_copy *c)
{
    c->primary = true;
    c->synced_term = c->term;
    repl_copy_holds(c);
}

bool repl_copy_told(repl_copy *c, int64_t global, uint64_t now)
{
    c->heard_ns = now;
    if (global <= c->global) return false;
    c->global = global;
    repl_copy_holds(c);
    return true;
}

bool repl_copy_publication(uint64_t term, uint64_t generation, int64_t max_seq_no,
                           uint64_t open_term, uint64_t open_generation, int64_t open_max_seq_no)
{
    if (term < open_term || (term == open_term && generation <= open_generation)) return false;
    return max_seq_no >= open_max_seq_no;
}

bool repl_publish_allowed(int64_t max_seq_no, int64_t global)
{
    return max_seq_no <= global || QD_MUTANT(repl, REFRESH_ABOVE);
}

int64_t repl_search_from(int64_t processed)
{
    return QD_MUTANT(repl, SEARCH_BEHIND) ? -1 : processed;
}

uint64_t repl_record_term(uint64_t record_term, uint64_t sender_term)
{
    return QD_MUTANT(repl, REQUEST_TERM_AS_RECORD) ? sender_term : record_term;
}

bool repl_recovery_by_ops(const char *history, const char *source_history, int64_t from,
                          int64_t source_min_retained, int64_t source_max_seq_no)
{
    if (strcmp(history, source_history) != 0 && !QD_MUTANT(repl, HISTORY_IGNORED)) return false;
    return from >= source_min_retained && from <= source_max_seq_no + 1;
}

repl_final repl_recovery_final(int64_t persisted, int64_t global, uint64_t open_term,
                               uint64_t open_generation, uint64_t source_term,
                               uint64_t source_generation)
{
    if (persisted < global && !QD_MUTANT(repl, SNAPSHOT_FIRST) && !QD_MUTANT(repl, ADMIT_EARLY))
        return REPL_FINAL_OPS;
    bool behind = open_term < source_term ||
                  (open_term == source_term && open_generation < source_generation);
    if (behind && !QD_MUTANT(repl, START_BEHIND_REFRESH)) return REPL_FINAL_FILES;
    return REPL_FINAL_ADMIT;
}
