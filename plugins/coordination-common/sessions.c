/*
 * sessions.c: sessions' time. It is the leader's own: not in the log, begun anew by each leader, so
 * that a session never ends early. Its end is an entry.
 */
#include "mutants.h"
#include "store.h"
#include <check/invariant.h>

#define UNSURE UINT64_MAX     /* ending: nobody knows of the batch */
#define STILL_NS 1000000000ll /* so late only when machine or process stood still */

/* An end that is wanted: the time is up, and none is under way that will tell. */
static int due(const cr_deadline *d)
{
    return d->ending == 0 || d->ending == UNSURE;
}

/* Nothing ran here for a while, so no renewal was heard: time begins anew for all. An end that is
 * under way stays so. */
static void stood_still(qd_coord *c, int64_t now)
{
    for (size_t i = 0; i < c->ndeadlines; i++) {
        const cr_session *s = cr_machine_session(c->machine, c->deadlines[i].session);
        if (s) c->deadlines[i].at_ns = now + s->ttl_ns;
    }
}

int64_t cr_sessions_look(qd_coord *c)
{
    int64_t now = cr_now(c), late = now - c->looked_ns;
    if (late > STILL_NS) stood_still(c, now);
    c->looked_ns = now;
    return now;
}

void cr_deadlines_update(qd_coord *c, int anew)
{
    const cr_machine *m = c->machine;
    int64_t now = cr_sessions_look(c); /* the new ones are counted from here */
    cr_deadline *list = cr_must(c->heap, (m->nsessions + 1) * sizeof *list);
    size_t old = 0;
    /* who lost the lead and has it again in the same term has its entries under way still */
    int same = c->deadlines_term == c->view.term;
    if (anew) c->deadlines_term = c->view.term;
    for (size_t i = 0; i < m->nsessions; i++) {
        const cr_session *s = &m->sessions[i];
        qd_invariant(i == 0 || list[i - 1].session < s->id); /* looked for by halving */
        list[i] = (cr_deadline){s->id, now + s->ttl_ns, 0};
        while (old < c->ndeadlines && c->deadlines[old].session < s->id) old++;
        if (old == c->ndeadlines || c->deadlines[old].session != s->id) continue;
        if (!anew || QD_MUTANT(coord, SESSION_NO_GRACE))
            list[i] = c->deadlines[old];
        else if (same)
            list[i].ending = c->deadlines[old].ending;
    }
    cr_free(c->heap, c->deadlines);
    c->deadlines = list;
    c->ndeadlines = m->nsessions;
}

static cr_deadline *deadline_of(qd_coord *c, uint64_t session)
{
    size_t lo = 0, hi = c->ndeadlines;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (c->deadlines[mid].session < session)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < c->ndeadlines && c->deadlines[lo].session == session ? &c->deadlines[lo] : NULL;
}

void cr_sessions_expire(qd_coord *c)
{
    if (!cr_leads(c) || c->machine->state != QD_COORD_ACTIVE) return;
    if (QD_MUTANT(coord, SESSION_NEVER)) return;
    int64_t now = cr_sessions_look(c); /* the machine may have been suspended in this turn */
    for (size_t i = 0; i < c->ndeadlines; i++) {
        cr_deadline *d = &c->deadlines[i];
        if (!due(d) || d->at_ns > now || cr_space(c)) continue;
        uint8_t command[9] = {CR_CLOSE};
        cr_store64(command + 1, d->session);
        cr_propose(c, (cr_name){0, 0}, command, sizeof command);
        d->ending = c->batch->number;
    }
    cr_flush_soon(c);
}

void cr_deadlines_again(qd_coord *c, uint64_t batch)
{
    for (size_t i = 0; i < c->ndeadlines; i++)
        if (c->deadlines[i].ending == batch) c->deadlines[i].ending = 0;
}

void cr_deadlines_unsure(qd_coord *c, uint64_t batch)
{
    for (size_t i = 0; i < c->ndeadlines; i++) {
        cr_deadline *d = &c->deadlines[i];
        const cr_session *s = cr_machine_session(c->machine, d->session);
        if (d->ending != batch || !s) continue;
        d->ending = UNSURE;
        if (d->at_ns < cr_now(c) + s->ttl_ns) d->at_ns = cr_now(c) + s->ttl_ns;
    }
}

int64_t cr_sessions_next(const qd_coord *c)
{
    int64_t at = INT64_MAX;
    if (!cr_leads(c)) return at;
    for (size_t i = 0; i < c->ndeadlines; i++)
        if (due(&c->deadlines[i]) && c->deadlines[i].at_ns < at) at = c->deadlines[i].at_ns;
    return at;
}

void cr_session_touch(qd_coord *c, uint64_t session)
{
    cr_deadline *d = deadline_of(c, session);
    const cr_session *s = cr_machine_session(c->machine, session);
    if (d && s) d->at_ns = cr_now(c) + s->ttl_ns;
}

int32_t cr_session_keep(qd_coord *c, uint64_t session)
{
    cr_deadline *d = deadline_of(c, session);
    const cr_session *s = cr_machine_session(c->machine, session);
    if (c->machine->state != QD_COORD_ACTIVE) return QD_E_FENCED;
    if (!d || !s) return QD_E_SESSION_EXPIRED;
    d->at_ns = cr_now(c) + s->ttl_ns; /* for the case that its end does not come */
    return d->ending ? QD_E_REJECTED : 0;
}
