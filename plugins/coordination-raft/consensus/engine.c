/* engine.c: life, turns, proposals, reads, members. See engine.h. */
#include "engine_int.h"

#define MS 1000000ull
typedef unsigned long long llu;

/* --- ending what waits --- */

static void proposals_end(cr_engine *e, int32_t rc)
{
    while (e->proposals) {
        cr_proposal *p = e->proposals;
        e->proposals = p->next;
        if (!e->proposals) e->proposals_last = NULL;
        p->done(p, rc);
    }
}

static void change_end(cr_engine *e, int32_t rc)
{
    cr_waiting_change *k = e->changes;
    cr_proposal *p = k->p;
    e->changes = k->next;
    if (!e->changes) e->changes_last = NULL;
    cr_members_drop(k->one);
    cr_free(e->heap, k);
    p->done(p, rc);
}

static void end_all(cr_engine *e)
{
    proposals_end(e, QD_E_UNKNOWN_OUTCOME);
    while (e->changes) change_end(e, QD_E_NOT_LEADER);
    while (e->reads) {
        cr_read_wait *r = e->reads;
        e->reads = r->next;
        if (!e->reads) e->reads_last = NULL;
        r->done(r, QD_E_NOT_LEADER);
    }
    void (*handed)(void *arg, int32_t rc) = e->handed;
    e->handed = NULL;
    if (handed) handed(e->handed_arg, QD_E_CANCELLED);
}

void cr_engine_fail(cr_engine *e, const char *why)
{
    if (e->failed) return;
    e->failed = 1;
    if (e->lead_term) e->config.lead(e->config.arg, e->lead_term = 0);
    e->config.failed(e->config.arg, why);
    end_all(e);
}

/* --- proposals --- */

static void proposal_add(cr_engine *e, cr_proposal *p)
{
    p->next = NULL;
    p->until = 0;
    if (e->proposals_last)
        e->proposals_last->next = p;
    else
        e->proposals = p;
    e->proposals_last = p;
}

static void proposals_applied(cr_engine *e, uint64_t index, uint64_t term)
{
    while (e->proposals && e->proposals->index <= index) {
        cr_proposal *p = e->proposals;
        e->proposals = p->next;
        if (!e->proposals) e->proposals_last = NULL;
        int known = term && p->index == index;
        p->done(p, !known ? QD_E_UNKNOWN_OUTCOME : p->term == term ? 0 : QD_E_NOT_LEADER);
    }
}

void cr_proposals_passed(cr_engine *e, uint64_t index)
{
    proposals_applied(e, index, 0);
}

/* Leadership went: what is under way is told when it is known, or as unknown after a while. */
static void proposals_orphaned(cr_engine *e)
{
    int64_t until = (int64_t)(e->now + 2 * MS * e->config.election_ms);
    for (cr_proposal *p = e->proposals; p; p = p->next)
        if (!p->until) p->until = until;
}

/* A new term of this leader's: places above `index` are its own now. */
static void proposals_above(cr_engine *e, uint64_t index)
{
    cr_proposal **at = &e->proposals, *last = NULL, *gone = NULL;
    while (*at && (*at)->index < index) {
        last = *at;
        at = &(*at)->next;
    }
    gone = *at;
    *at = NULL;
    e->proposals_last = last;
    while (gone) {
        cr_proposal *next = gone->next;
        gone->done(gone, QD_E_UNKNOWN_OUTCOME);
        gone = next;
    }
}

static void proposals_expire(cr_engine *e)
{
    while (e->proposals && e->proposals->until && (uint64_t)e->proposals->until <= e->now) {
        cr_proposal *p = e->proposals;
        e->proposals = p->next;
        if (!e->proposals) e->proposals_last = NULL;
        p->done(p, QD_E_UNKNOWN_OUTCOME);
    }
}

int32_t cr_engine_propose(cr_engine *e, cr_proposal *p, const uint8_t *entry, size_t n)
{
    if (e->failed || e->stopped) return QD_E_NO_COORDINATION;
    if (n == 0 || n > CR_WAL_ENTRY_MAX) return QD_E_ARG;
    int32_t rc = cr_core_propose(e->core, entry, (uint32_t)n, &p->index, &p->term);
    if (rc == QD_E_NOSPACE) { /* as the last turn saw it: a reserve may be given up since */
        cr_space_look(e);
        rc = cr_core_propose(e->core, entry, (uint32_t)n, &p->index, &p->term);
    }
    if (rc == 0) proposal_add(e, p);
    return rc;
}

/* --- reads --- */

int32_t cr_engine_read(cr_engine *e, cr_read_wait *r)
{
    if (e->failed || e->stopped) return QD_E_NO_COORDINATION;
    r->token = ++e->tokens;
    r->index = UINT64_MAX;
    int32_t rc = cr_core_read(e->core, r->token);
    if (rc) return rc;
    r->next = NULL;
    if (e->reads_last)
        e->reads_last->next = r;
    else
        e->reads = r;
    e->reads_last = r;
    return 0;
}

/* The core's answers come in the order of the questions. */
static void read_known(cr_engine *e, const cr_action *a)
{
    cr_read_wait **at = &e->reads, *last = NULL;
    while (*at && (*at)->token != a->token) {
        last = *at;
        at = &(*at)->next;
    }
    cr_read_wait *r = *at;
    if (!r) return;
    r->index = a->index;
    if (a->rc == 0 && !r->early) return;
    *at = r->next;
    if (e->reads_last == r) e->reads_last = last;
    r->done(r, a->rc);
}

static void reads_turn(cr_engine *e)
{
    while (e->reads && e->reads->index <= e->applied) {
        cr_read_wait *r = e->reads;
        qd_invariant(r->next == NULL ||
                     r->next->index >= r->index); /* in the order of their questions */
        e->reads = r->next;
        if (!e->reads) e->reads_last = NULL;
        r->done(r, 0);
    }
}

int cr_engine_sole(const cr_engine *e)
{
    cr_core_view v;
    if (e->failed || e->stopped) return 0;
    cr_core_look(e->core, &v);
    return v.sole && e->applied >= v.commit;
}

/* --- members --- */

int32_t cr_engine_change(cr_engine *e, cr_proposal *p, const cr_member *m, int remove,
                         uint64_t wait_ns, uint64_t now)
{
    cr_core_view v;
    if (now > e->now) e->now = now;
    if (e->failed || e->stopped) return QD_E_NO_COORDINATION;
    cr_core_look(e->core, &v);
    if (v.role != CR_LEADER) return QD_E_NOT_LEADER;
    cr_waiting_change *k = cr_must(e->heap, sizeof *k);
    cr_member one = *m;
    if (remove) one = (cr_member){.id = m->id, .role = QD_COORD_SPARE};
    *k = (cr_waiting_change){.p = p, .one = cr_members_make(e->heap, &one, 1), .remove = remove};
    if (!k->one) {
        cr_free(e->heap, k);
        return QD_E_ARG;
    }
    p->until = (int64_t)(e->now + wait_ns);
    if (e->changes_last)
        e->changes_last->next = k;
    else
        e->changes = k;
    e->changes_last = k;
    return 0;
}

static void changes_turn(cr_engine *e)
{
    while (e->changes && !e->failed && !e->stopped) {
        cr_waiting_change *k = e->changes;
        cr_proposal *p = k->p;
        int32_t rc =
            cr_core_change(e->core, &k->one->at[0], k->remove, e->now, &p->index, &p->term);
        if (rc == QD_E_CONFLICT || rc == QD_E_REJECTED) {
            if ((uint64_t)p->until > e->now) return;
            rc = QD_E_TIMEOUT;
        }
        if (rc) {
            change_end(e, rc);
            continue;
        }
        e->changes = k->next;
        if (!e->changes) e->changes_last = NULL;
        cr_members_drop(k->one);
        cr_free(e->heap, k);
        proposal_add(e, p);
    }
}

int32_t cr_engine_hand_over(cr_engine *e, uint64_t to, void (*done)(void *arg, int32_t rc),
                            void *arg, uint64_t now)
{
    if (now > e->now) e->now = now;
    if (e->failed || e->stopped) return QD_E_NOT_LEADER;
    if (e->handed) return QD_E_CONFLICT;
    int32_t rc = cr_core_hand_over(e->core, to, e->now);
    if (rc) return rc;
    e->handed = done;
    e->handed_arg = arg;
    return 0;
}

/* --- doing what the core wants --- */

static void on_role(cr_engine *e, const cr_action *a)
{
    uint64_t term = a->role == CR_LEADER ? a->term : 0;
    qd_invariant(term == 0 || term >= e->lead_term); /* no term is led after a newer one */
    if (term != e->lead_term) {
        if (e->lead_term) proposals_orphaned(e);
        if (term) {
            cr_core_view v;
            cr_core_look(e->core, &v);
            proposals_above(e, v.last);
        }
        e->lead_term = term;
        e->config.lead(e->config.arg, term);
    }
    e->config.changed(e->config.arg);
}

static void on_apply(cr_engine *e, const cr_log_entry *k)
{
    qd_invariant(k->index == e->applied + 1); /* each entry once, in order */
    if (k->type == CR_LOG_DATA && e->config.apply(e->config.arg, k->index, k->bytes, k->n)) {
        cr_engine_fail(e, "an entry of the log is damaged");
        return;
    }
    e->applied = k->index;
    proposals_applied(e, k->index, k->term);
    if (k->type == CR_LOG_MEMBERS) e->config.changed(e->config.arg);
}

static void act(cr_engine *e, const cr_action *a)
{
    switch (a->type) {
    case CR_DO_WRITE:
        cr_job_write(e, a);
        break;
    case CR_DO_SEND:
        cr_engine_send(e, a->message);
        break;
    case CR_DO_APPLY:
        on_apply(e, a->entries[0]);
        break;
    case CR_DO_ROLE:
        on_role(e, a);
        break;
    case CR_DO_READ:
        read_known(e, a);
        break;
    case CR_DO_CHUNK_READ:
        cr_job_chunk_read(e, a);
        break;
    case CR_DO_CHUNK_WRITE:
        cr_job_chunk(e, a);
        break;
    case CR_DO_INSTALL:
        cr_job_install(e, a);
        break;
    default: {
        void (*handed)(void *arg, int32_t rc) = e->handed;
        e->handed = NULL;
        if (handed) handed(e->handed_arg, a->rc);
        break;
    }
    }
}

static void drain(cr_engine *e)
{
    const cr_action *a;
    cr_core_view v;
    while (!e->failed && !e->stopped && (a = cr_core_next(e->core))) act(e, a);
    if (e->failed || e->stopped) return;
    cr_core_look(e->core, &v);
    if (v.failed == CR_FAILED_CONTRADICTION)
        cr_engine_fail(e,
                       "the leader's log denies entries that were committed here: one of the two "
                       "lost what it had acknowledged, or is of another cluster; nothing is "
                       "applied any more");
}

void cr_engine_turn(cr_engine *e, uint64_t now)
{
    if (now > e->now) e->now = now;
    if (e->failed || e->stopped) return;
    cr_space_turn(e);
    cr_core_tick(e->core, e->now);
    changes_turn(e);
    drain(e);
    if (e->changes) {
        changes_turn(e);
        drain(e);
    }
    if (e->failed || e->stopped) return;
    proposals_expire(e);
    reads_turn(e);
    cr_snapshot_turn(e);
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t cr_engine_deadline(const cr_engine *e)
{
    if (e->failed || e->stopped) return UINT64_MAX;
    uint64_t at = cr_core_deadline(e->core);
    if (e->proposals && e->proposals->until) at = sooner(at, (uint64_t)e->proposals->until);
    if (e->changes) at = sooner(at, (uint64_t)e->changes->p->until);
    if (e->full && !e->lanes[CR_LANE_LOG].out) at = sooner(at, e->retry_at);
    if (!e->preparing && !cr_wal_has_spare(e->wal)) at = sooner(at, e->prepare_at);
    return at;
}

void cr_engine_gone(cr_engine *e, uint64_t id, uint64_t now)
{
    if (now > e->now) e->now = now;
    if (!e->failed && !e->stopped) cr_core_gone(e->core, id, e->now);
}

void cr_engine_space(cr_engine *e, int there)
{
    e->asked_space = there != 0;
}

void cr_engine_snapshot_soon(cr_engine *e)
{
    e->soon = 1;
}

/* --- what it knows --- */

void cr_engine_look(const cr_engine *e, cr_consensus_view *out)
{
    cr_core_view v;
    cr_core_look(e->core, &v);
    const cr_member *me = cr_members_find(v.members, e->config.id);
    const cr_member *leader = cr_members_find(v.members, v.leader);
    *out = (cr_consensus_view){.id = e->config.id,
                               .term = v.term,
                               .leader = e->failed ? 0 : v.leader,
                               .leads = v.role == CR_LEADER && !e->failed,
                               .role = me ? me->role : 0,
                               .applied = e->applied,
                               .committed = v.commit,
                               .last = v.last,
                               .durable = v.durable,
                               .snapshot = v.snapshot,
                               .recoveries = e->recoveries,
                               .members = v.members,
                               .changing = v.members_index > v.commit,
                               .space = !e->was_full,
                               .failed = e->failed,
                               .dropped = e->dropped};
    if (leader) out->leader_address = leader->address;
}

int32_t cr_engine_peer_look(const cr_engine *e, uint64_t id, cr_consensus_peer *out)
{
    cr_core_view v;
    uint64_t match, heard;
    cr_core_look(e->core, &v);
    if (v.role != CR_LEADER || e->failed) return QD_E_NOT_LEADER;
    int32_t rc = cr_core_peer(e->core, id, &match, &heard);
    if (rc) return rc;
    uint64_t ago = e->now > heard ? e->now - heard : 0;
    *out = (cr_consensus_peer){.durable = match,
                               .heard_ms = ago / MS,
                               .full = cr_core_peer_full(e->core, id),
                               .caught_up = match >= v.commit && v.ready &&
                                            ago <= MS * e->config.election_ms};
    return 0;
}

const cr_core *cr_engine_core(const cr_engine *e)
{
    return e->core;
}

uint64_t cr_engine_life(const cr_engine *e)
{
    return e->life;
}

/* --- opening --- */

typedef struct opening {
    cr_wal_found found;
    cr_snap_list snaps;
    cr_snap snap;
} opening;

/* The newest snapshot; its content when the state is older. */
static int32_t load_snapshot(cr_engine *e, opening *o, char *why)
{
    int32_t rc = cr_snap_find(e->disk, &o->snaps, why);
    if (rc || o->snaps.n == 0) return rc;
    if (o->found.fresh) {
        snprintf(why, CR_WHY, "there are snapshots, but the log beside them is gone");
        return QD_E_CORRUPT;
    }
    uint64_t index = o->snaps.at[0].index;
    return cr_snap_load(e->disk, e->heap, e->config.cluster, index, o->snaps.at[0].term,
                        index > e->config.applied, &o->snap, why);
}

static int32_t load_log(cr_engine *e, opening *o, char *why)
{
    cr_wal_found *f = &o->found;
    int32_t rc = 0;
    if (o->snap.index)
        cr_core_load_snapshot(e->core, o->snap.index, o->snap.term,
                              cr_members_ref(o->snap.members));
    cr_core_load_hard(e->core, f->term, f->vote);
    cr_core_load_base(e->core, f->base, f->base_term);
    uint64_t k = 0;
    while (rc == 0 && k < f->nentries) {
        uint64_t index = f->entries[k]->index;
        rc = cr_core_load_entry(e->core, f->entries[k++]);
        if (rc)
            snprintf(why, CR_WHY, "entry %llu of the log has a term that cannot be", (llu)index);
    }
    if (k) memmove(f->entries, f->entries + k, (f->nentries - k) * sizeof *f->entries);
    f->nentries -= k;
    return rc;
}

static int32_t begin_members(cr_engine *e, char *why)
{
    const cr_consensus_config *k = &e->config;
    cr_core_view v;
    cr_core_look(e->core, &v);
    int empty = v.last == 0 && v.term == 0;
    if (k->how == CR_OPEN_FORM && empty) {
        cr_members *m = cr_members_make(e->heap, k->first, k->nfirst);
        if (m && cr_members_votes(m, k->id)) return cr_core_form(e->core, m);
        cr_members_drop(m);
        snprintf(why, CR_WHY, "the first members are malformed, or this node is not among them");
        return QD_E_ARG;
    }
    if (k->how == CR_OPEN_RECOVER) {
        const cr_member *me = cr_members_find(v.members, k->id);
        cr_member self = {.id = k->id, .role = QD_COORD_VOTER};
        if (me) {
            self.name = me->name;
            self.address = me->address;
        }
        e->recoveries++;
        e->recovering = 1;
        cr_core_recover(e->core, cr_members_make(e->heap, &self, 1));
    }
    return 0;
}

static int32_t begin(cr_engine *e, opening *o, char *why)
{
    cr_core_view v;
    int32_t rc = begin_members(e, why);
    if (rc) return rc;
    cr_core_look(e->core, &v);
    if (o->found.base > o->snap.index) {
        snprintf(why, CR_WHY,
                 "the log begins behind entry %llu, but the newest snapshot is of entry %llu: the "
                 "snapshot between is missing",
                 (llu)o->found.base, (llu)o->snap.index);
        return QD_E_CORRUPT;
    }
    if (e->config.applied > v.last && e->config.applied > o->snap.index) {
        snprintf(why, CR_WHY,
                 "the state holds changes up to index %llu, but the log ends at %llu: the log lost "
                 "acknowledged changes, or is older than the rest",
                 (llu)e->config.applied, (llu)v.last);
        return QD_E_CORRUPT;
    }
    if (o->snap.content) {
        rc = e->config.restore(e->config.arg, o->snap.content, o->snap.n);
        if (rc) {
            snprintf(why, CR_WHY,
                     "snapshot %llu cannot be read (%d), though its checksums are right",
                     (llu)o->snap.index, rc);
            return rc;
        }
        e->applied = o->snap.index;
    }
    e->snapshot = e->snapshot_from = o->snap.index;
    rc = cr_core_start(e->core, e->applied, e->now);
    if (rc) snprintf(why, CR_WHY, "log and snapshot do not fit together");
    return rc;
}

/* Damage that harms nothing is told with its place all the same. */
static void warn_of_damage(const cr_consensus_config *k, const cr_wal_found *f)
{
    char text[256];
    if (f->damaged_mark) {
        snprintf(text, sizeof text, "%s at offset %llu: damaged, its other half is whole and taken",
                 CR_MARK_NAME, (unsigned long long)(f->damaged_mark - 1));
        k->warn(k->arg, text);
    }
    if (f->stray_segment) {
        snprintf(
            text, sizeof text,
            "%016llx.log at offset %llu: %s; nothing acknowledged was there, it is passed over",
            (unsigned long long)f->stray_segment, (unsigned long long)f->stray,
            f->stray_tail ? "bytes behind the end of the log, of a write that was interrupted "
                            "by a loss of power, or damaged"
                          : "damaged between two batches");
        k->warn(k->arg, text);
    }
}

static int32_t open_all(cr_engine *e, opening *o, char *why)
{
    const cr_consensus_config *k = &e->config;
    cr_wal_config w = {.heap = e->heap,
                       .disk = e->disk,
                       .id = k->id,
                       .segment_bytes = e->sizes.segment_bytes,
                       .nonce = (uint32_t)(cr_sum64(&k->seed, sizeof k->seed, 1) | 1),
                       .create = k->how == CR_OPEN_FORM || k->how == CR_OPEN_JOIN};
    memcpy(w.cluster, k->cluster, 16);
    int32_t rc = cr_wal_open(&w, &e->wal, &o->found, why);
    if (rc) return rc;
    warn_of_damage(k, &o->found);
    e->life = o->found.life;
    e->recoveries = o->found.fresh ? k->recoveries : o->found.recoveries;
    e->recovering = e->recoveries != o->found.recoveries;
    memcpy(e->nonces, o->found.nonces, sizeof e->nonces);
    memcpy(e->lives, o->found.peers, sizeof e->lives);
    memcpy(e->lives_durable, o->found.peers, sizeof e->lives);
    e->nlives = e->nlives_durable = o->found.npeers;
    rc = load_snapshot(e, o, why);
    if (rc) return rc;
    cr_core_config c = {.heap = e->heap,
                        .id = k->id,
                        .seed = k->seed,
                        .election_ns = MS * k->election_ms,
                        .heartbeat_ns = MS * k->heartbeat_ms,
                        .trailing = e->sizes.trailing,
                        .hold = e->sizes.hold,
                        .message_bytes = e->sizes.message_bytes,
                        .window_messages = e->sizes.window_messages,
                        .window_bytes = e->sizes.window_bytes};
    e->core = cr_core_make(&c);
    rc = load_log(e, o, why);
    if (rc == 0) rc = begin(e, o, why);
    e->group = cr_group_of(k->cluster, e->recoveries);
    return rc;
}

int32_t cr_engine_open(const cr_consensus_config *k, const cr_engine_sizes *sizes, cr_disk *disk,
                       uint64_t now, cr_engine **out, char *why)
{
    opening *o = cr_must(k->heap, sizeof *o);
    cr_engine *e = cr_must(k->heap, sizeof *e);
    memset(o, 0, sizeof *o);
    memset(e, 0, sizeof *e);
    e->config = *k;
    e->sizes = *sizes;
    e->heap = k->heap;
    e->disk = disk;
    e->message.heap = k->heap;
    e->now = now;
    e->applied = k->applied;
    e->asked_space = 1;
    int32_t rc = open_all(e, o, why);
    cr_wal_found_clear(k->heap, &o->found);
    cr_snap_clear(k->heap, &o->snap);
    cr_free(k->heap, o);
    if (rc) {
        e->stopped = 1;
        cr_engine_free(e);
    } else {
        *out = e;
    }
    return rc;
}

void cr_engine_stop(cr_engine *e)
{
    if (e->stopped) return;
    e->stopped = 1;
    end_all(e);
}

void cr_engine_free(cr_engine *e)
{
    if (!e) return;
    for (int lane = 0; lane < CR_LANES; lane++) {
        for (cr_job *j = e->lanes[lane].first, *next; j; j = next) {
            next = j->next;
            cr_job_free(e, j);
        }
    }
    cr_core_free(e->core);
    cr_wal_close(e->wal);
    cr_bytes_free(&e->message);
    cr_free(e->heap, e);
}
