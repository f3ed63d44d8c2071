/* lead.c: a leader's work: entries to peers, commit, members, handing over. */
#include "core_int.h"

/* --- the window of messages under way --- */

void cr_window_clear(cr_peer *p)
{
    p->window_n = 0;
    p->window_bytes = 0;
}

static void window_free(cr_core *c, cr_peer *p, uint64_t upto)
{
    uint32_t cap = c->config.window_messages;
    while (p->window_n && p->window[p->window_first].last <= upto) {
        p->window_bytes -= p->window[p->window_first].bytes;
        p->window_first = (p->window_first + 1) % cap;
        p->window_n--;
    }
}

static void probe(cr_peer *p, uint64_t next)
{
    p->state = CR_PROBE;
    p->paused = 0;
    p->next = next;
    cr_window_clear(p);
}

/* --- sending --- */

static void send_append(cr_core *c, cr_peer *p, uint64_t before, uint64_t last)
{
    qd_invariant(c->role == CR_LEADER);
    qd_invariant(last <= cr_log_last(&c->log));
    qd_invariant(last <= before || before >= c->log.base); /* all of it is in memory */
    cr_message m = {.type = CR_APPEND,
                    .to = p->id,
                    .term = c->term,
                    .index = before,
                    .log_term = cr_log_term(&c->log, before),
                    .commit = c->commit,
                    .round = c->round};
    if (last > before) {
        m.entries = cr_must(c->heap, (last - before) * sizeof(cr_log_entry *));
        for (uint64_t i = before + 1; i <= last; i++)
            m.entries[m.nentries++] = cr_log_entry_ref(cr_log_at(&c->log, i));
    }
    cr_say_to(c, &m);
}

/* The last entry of a message that begins at `from`: at least one, if there is any. */
static uint64_t batch_end(const cr_core *c, uint64_t from, uint64_t *bytes)
{
    uint64_t last = cr_log_last(&c->log), i = from;
    *bytes = 0;
    for (; i <= last; i++) {
        uint64_t n = cr_log_at(&c->log, i)->n + 32ull;
        if (i > from && *bytes + n > c->config.message_bytes) break;
        *bytes += n;
    }
    return i - 1;
}

static int stream(cr_core *c, cr_peer *p)
{
    uint64_t last = cr_log_last(&c->log), bytes;
    int sent = 0;
    while (p->next <= last && p->window_n < c->config.window_messages &&
           p->window_bytes < c->config.window_bytes) {
        uint64_t end = batch_end(c, p->next, &bytes);
        qd_invariant(end >= p->next && end <= last);
        send_append(c, p, p->next - 1, end);
        uint32_t at = (p->window_first + p->window_n++) % c->config.window_messages;
        p->window[at] = (cr_sent){end, bytes};
        p->window_bytes += bytes;
        p->next = end + 1;
        sent = 1;
    }
    return sent;
}

void cr_feed(cr_core *c, cr_peer *p, int beat)
{
    if (p->role == QD_COORD_SPARE) return;
    if (p->state != CR_SENDING && p->next - 1 < c->log.base) cr_sending_begin(c, p);
    if (p->state == CR_SENDING) {
        if (beat) send_append(c, p, 0, 0);
        cr_sending_feed(c, p);
        return;
    }
    if (p->state == CR_STREAM) {
        if (!stream(c, p) && (beat || c->commit_news)) send_append(c, p, p->next - 1, 0);
        return;
    }
    if (p->paused && !beat) return;
    uint64_t bytes, end = p->next - 1;
    if (!p->nospace && !p->paused && p->next <= cr_log_last(&c->log))
        end = batch_end(c, p->next, &bytes);
    send_append(c, p, p->next - 1, end);
    p->paused = 1;
}

void cr_feed_all(cr_core *c, int beat)
{
    for (uint32_t i = 0; i < c->npeers; i++) cr_feed(c, &c->peers[i], beat);
    c->commit_news = 0;
}

/* --- answers --- */

static void refused(cr_core *c, cr_peer *p, const cr_message *m)
{
    if (m->index <= p->match || p->state == CR_SENDING) return; /* of long ago */
    uint64_t next, last = cr_log_last(&c->log);
    if (m->flags & CR_M_NOSPACE) { /* the same up to there, but no room for more */
        next = m->index <= last ? m->index : last + 1;
    } else {
        if (p->state == CR_PROBE && m->index >= p->next) return;
        next = cr_log_before(&c->log, m->hint, m->hint_term) + 1;
    }
    qd_invariant(next <= last + 1);
    probe(p, next > p->match ? next : p->match + 1);
    if (p->nospace) p->paused = 1;
}

void cr_on_append_answer(cr_core *c, cr_peer *p, cr_message *m)
{
    int was_full = p->nospace;
    p->nospace = (m->flags & CR_M_NOSPACE) != 0;
    if (m->round > p->round && m->round <= c->round) p->round = m->round;
    if (was_full && !p->nospace && p->state == CR_PROBE) p->paused = 0;
    if (m->flags & CR_M_REFUSED) {
        refused(c, p, m);
        return;
    }
    if (m->index > cr_log_last(&c->log)) return; /* not of this log */
    if (m->index > p->match) p->match = m->index;
    if (p->next <= p->match) p->next = p->match + 1;
    window_free(c, p, p->match);
    if (p->state == CR_SENDING && p->match >= p->snapshot) probe(p, p->match + 1);
    if (p->state == CR_STREAM && p->nospace) {
        probe(p, p->match + 1);
        p->paused = 1;
    }
    if (p->state == CR_PROBE && !p->nospace && p->match + 1 == p->next) {
        p->state = CR_STREAM;
        cr_window_clear(p);
    }
    cr_commit_more(c);
    if (c->to == p->id && !c->to_told && p->match == cr_log_last(&c->log)) {
        cr_message t = {.type = CR_TIMEOUT_NOW, .to = p->id, .term = c->term};
        cr_say_to(c, &t);
        c->to_told = 1;
    }
}

void cr_commit_more(cr_core *c)
{
    const cr_members *m = cr_members_now(c);
    uint64_t match[CR_MEMBERS_MAX];
    uint32_t n = 0;
    if (cr_members_votes(m, c->config.id))
        match[n++] = QD_MUTANT(raft, COUNT_NOT_DURABLE) ? cr_log_last(&c->log) : c->durable;
    for (uint32_t i = 0; i < c->npeers; i++)
        if (c->peers[i].role == QD_COORD_VOTER || QD_MUTANT(raft, STANDBY_COUNTS))
            match[n++] = c->peers[i].match;
    uint64_t common = cr_nth(match, n, cr_quorum(m));
    qd_invariant(common <= cr_log_last(&c->log));
    if (common <= c->commit) return;
    if (cr_log_term(&c->log, common) != c->term && !QD_MUTANT(raft, COMMIT_OLD_TERM)) return;
    qd_invariant(cr_log_term(&c->log, common) == c->term); /* older terms only through this one */
    c->commit = common;
    c->commit_news = 1;
    if (c->lists[c->nlists - 1].index <= common && !cr_members_votes(m, c->config.id)) {
        cr_feed_all(c, 1); /* the last word of a leader who goes */
        cr_follow(c, c->term, 0);
    }
}

/* --- life of a leader --- */

void cr_lead(cr_core *c)
{
    uint64_t last = cr_log_last(&c->log);
    qd_invariant(c->role == CR_CANDIDATE);
    qd_invariant(c->vote == c->config.id);
    qd_invariant(c->hard_durable == c->hard); /* its own vote cannot be forgotten */
    c->role = CR_LEADER;
    c->leader = c->config.id;
    c->heard = 0;
    c->first = last + 1;
    c->round = 0;
    c->to = 0;
    c->commit_news = 0;
    for (uint32_t i = 0; i < c->npeers; i++) {
        cr_peer *p = &c->peers[i];
        probe(p, last + 1);
        p->match = p->round = 0;
        p->heard = c->now;
        p->nospace = 0;
        p->asked = p->under_way = 0;
    }
    c->beat_at = c->now + c->config.heartbeat_ns;
    c->check_at = c->now + c->config.election_ns;
    c->disk_durable = c->durable;
    c->disk_at = c->now;
    c->disk_probe = 0;
    cr_append(c, cr_log_entry_make(c->heap, last + 1, c->term, CR_LOG_FIRST, NULL, 0));
    cr_commit_more(c);
}

/* Voters heard of within an election timeout, this node too. */
static int has_majority(const cr_core *c)
{
    const cr_members *m = cr_members_now(c);
    uint32_t n = (uint32_t)cr_members_votes(m, c->config.id);
    for (uint32_t i = 0; i < c->npeers; i++)
        n += c->peers[i].role == QD_COORD_VOTER &&
             c->now - c->peers[i].heard < c->config.election_ns;
    return n >= cr_quorum(m);
}

uint64_t cr_hold(const cr_core *c, uint64_t keep, uint64_t floor)
{
    for (uint32_t i = 0; c->role == CR_LEADER && i < c->npeers; i++) {
        const cr_peer *p = &c->peers[i];
        uint64_t need = p->state == CR_SENDING ? p->snapshot : p->match;
        if (p->role == QD_COORD_SPARE || c->now - p->heard > 2 * c->config.election_ns) continue;
        if (need >= floor && need < keep) keep = need;
    }
    qd_invariant(c->role != CR_LEADER || keep <= c->commit);
    return keep;
}

/* A voter whose disk has taken that entry. */
static const cr_peer *has_on_disk(const cr_core *c, uint64_t index)
{
    for (uint32_t i = 0; i < c->npeers; i++) {
        const cr_peer *p = &c->peers[i];
        int near = c->now - p->heard <= 2 * c->config.heartbeat_ns;
        if (p->role == QD_COORD_VOTER && p->match >= index && !p->nospace && near) return p;
    }
    return NULL;
}

/* What the majority has and this node's disk does not take is applied and read nowhere as long as
 * this node leads: a disk that stands still for so long is another leader's turn. Whose disk goes
 * on an entry tells that is made for it: one that stands still as well could not even write its
 * vote down, and would hear this leader no more. */
static void look_at_disk(cr_core *c)
{
    uint64_t still = c->now - c->disk_at;
    if (c->durable >= c->commit || c->durable != c->disk_durable) {
        c->disk_durable = c->durable;
        c->disk_at = c->now;
        c->disk_probe = 0;
    } else if (still >= c->config.election_ns && !c->disk_probe && c->space && !c->to) {
        c->disk_probe = cr_log_last(&c->log) + 1;
        cr_append(c, cr_log_entry_make(c->heap, c->disk_probe, c->term, CR_LOG_FIRST, NULL, 0));
    } else if (still >= 2 * c->config.election_ns && c->disk_probe && !c->to) {
        const cr_peer *p = has_on_disk(c, c->disk_probe);
        if (!p) return;
        c->disk_at = c->now;
        c->disk_probe = 0;
        (void)cr_core_hand_over(c, p->id, c->now);
    }
}

void cr_lead_tick(cr_core *c)
{
    if (c->to && c->now >= c->to_until) cr_hand_over_end(c, QD_E_TIMEOUT);
    if (c->now >= c->check_at) {
        c->check_at = c->now + c->config.election_ns / 2;
        if (!has_majority(c)) {
            cr_follow(c, c->term, 0);
            return;
        }
    }
    if (c->now < c->beat_at) return;
    c->beat_at = c->now + c->config.heartbeat_ns;
    c->to_told = 0; /* the message may have been lost */
    look_at_disk(c);
    cr_feed_all(c, 1);
}

static int32_t may_propose(const cr_core *c)
{
    if (c->failed || c->role != CR_LEADER) return QD_E_NOT_LEADER;
    if (!c->space) return QD_E_NOSPACE;
    return c->to ? QD_E_REJECTED : 0;
}

static void propose(cr_core *c, uint32_t type, const uint8_t *bytes, uint32_t n, uint64_t *index,
                    uint64_t *term)
{
    qd_invariant(c->space && !c->to);
    *index = cr_log_last(&c->log) + 1;
    *term = c->term;
    cr_append(c, cr_log_entry_make(c->heap, *index, c->term, type, bytes, n));
}

int32_t cr_core_propose(cr_core *c, const uint8_t *bytes, uint32_t n, uint64_t *index,
                        uint64_t *term)
{
    int32_t rc = may_propose(c);
    if (rc == 0) propose(c, CR_LOG_DATA, bytes, n, index, term);
    return rc;
}

int32_t cr_core_change(cr_core *c, const cr_member *m, int remove, uint64_t now, uint64_t *index,
                       uint64_t *term)
{
    int32_t rc = may_propose(c);
    if (now > c->now) c->now = now;
    if (rc) return rc;
    if (c->commit < c->first && !QD_MUTANT(raft, MEMBERS_OLD_TERM)) return QD_E_CONFLICT;
    if (c->lists[c->nlists - 1].index > c->commit && !QD_MUTANT(raft, MEMBERS_PENDING))
        return QD_E_CONFLICT;
    if (!remove && m->role == QD_COORD_VOTER && m->id != c->config.id) {
        const cr_peer *p = cr_peer_find(c, m->id);
        int lags = p && (p->match < c->commit || p->match < c->first ||
                         c->now - p->heard > c->config.election_ns);
        if (lags) return QD_E_CONFLICT;
    }
    cr_members *changed = cr_members_changed(cr_members_now(c), m, remove, &rc);
    if (!changed) return rc;
    cr_bytes b = {.heap = c->heap};
    cr_members_write(changed, &b);
    cr_members_drop(changed);
    qd_invariant(c->lists[c->nlists - 1].index <= c->commit); /* one change at a time */
    qd_invariant(c->commit >= c->first);
    propose(c, CR_LOG_MEMBERS, b.p, (uint32_t)b.n, index, term);
    cr_bytes_free(&b);
    return 0;
}

/* --- handing over (thesis 3.10) --- */

int32_t cr_core_hand_over(cr_core *c, uint64_t to, uint64_t now)
{
    const cr_peer *best = NULL;
    if (now > c->now) c->now = now;
    if (c->failed || c->role != CR_LEADER) return QD_E_NOT_LEADER;
    if (c->to) return QD_E_CONFLICT;
    for (uint32_t i = 0; i < c->npeers; i++) {
        const cr_peer *p = &c->peers[i];
        if (p->role != QD_COORD_VOTER || (to ? p->id != to : p->nospace)) continue;
        if (!to && c->now - p->heard > 2 * c->config.heartbeat_ns) continue;
        if (!best || p->match > best->match) best = p;
    }
    if (!best) return QD_E_NOTFOUND;
    qd_invariant(best->match <= cr_log_last(&c->log));
    c->to = best->id;
    c->to_until = c->now + c->config.election_ns;
    c->to_told = 0;
    if (best->match == cr_log_last(&c->log)) {
        cr_message t = {.type = CR_TIMEOUT_NOW, .to = best->id, .term = c->term};
        cr_say_to(c, &t);
        c->to_told = 1;
    }
    return 0;
}

void cr_hand_over_end(cr_core *c, int32_t rc)
{
    c->to = 0;
    cr_action *a = cr_act(c, CR_DO_HAND_OVER);
    a->rc = rc;
}
