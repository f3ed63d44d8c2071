/* engine_jobs.c: what goes to the disk. See engine.h. */
#include "engine_int.h"

/* --- making jobs --- */

cr_job *cr_job_add(cr_engine *e, int lane, uint32_t kind)
{
    cr_job *j = cr_must(e->heap, sizeof *j);
    memset(j, 0, sizeof *j);
    j->e = e;
    j->kind = kind;
    cr_lane *l = &e->lanes[lane];
    if (l->last)
        l->last->next = j;
    else
        l->first = j;
    l->last = j;
    return j;
}

void cr_job_free(cr_engine *e, cr_job *j)
{
    while (j->writes) {
        cr_wal_write *next = j->writes->next;
        cr_wal_write_free(e->heap, j->writes);
        j->writes = next;
    }
    cr_free(e->heap, j->bytes);
    cr_members_drop(j->members);
    if (j->snapshot) e->config.snapshot_end(j->snapshot);
    cr_snap_clear(e->heap, &j->loaded);
    cr_free(e->heap, j);
}

/* Writes that come one after the other are one job. */
static void write_add(cr_engine *e, cr_wal_write *w)
{
    cr_job *j = e->lanes[CR_LANE_LOG].last;
    if (!j || j->kind != CR_JOB_WRITE || j->started) j = cr_job_add(e, CR_LANE_LOG, CR_JOB_WRITE);
    if (j->writes_last)
        j->writes_last->next = w;
    else
        j->writes = w;
    j->writes_last = w;
}

void cr_lives_write(cr_engine *e, cr_wal_peer p)
{
    cr_wal_write *w = cr_must(e->heap, sizeof *w);
    *w = (cr_wal_write){.peer = p};
    write_add(e, w);
}

void cr_job_write(cr_engine *e, const cr_action *a)
{
    cr_wal_write *w = cr_must(e->heap, sizeof *w);
    *w = (cr_wal_write){.seq = a->seq,
                        .hard = a->hard,
                        .reset = a->reset,
                        .cuts = a->cuts,
                        .drops = a->drops,
                        .recovered = e->recovering,
                        .term = a->term,
                        .vote = a->vote,
                        .index = a->index,
                        .log_term = a->log_term,
                        .cut = a->cut,
                        .drop = a->drop,
                        .drop_term = a->log_term,
                        .recoveries = e->recoveries,
                        .nentries = a->nentries};
    e->recovering = 0;
    cr_job *before = e->lanes[CR_LANE_LOG].last;
    qd_invariant(!before || !before->writes_last || before->writes_last->seq < a->seq);
    if (a->nentries) w->entries = cr_must(e->heap, a->nentries * sizeof(cr_log_entry *));
    for (uint32_t i = 0; i < a->nentries; i++) w->entries[i] = cr_log_entry_ref(a->entries[i]);
    write_add(e, w);
}

void cr_job_chunk(cr_engine *e, const cr_action *a)
{
    cr_job *j = cr_job_add(e, CR_LANE_LOG, CR_JOB_CHUNK);
    j->seq = a->seq;
    j->offset = a->offset;
    j->total = a->total;
    j->n = a->nbytes;
    j->bytes = cr_must(e->heap, a->nbytes);
    memcpy(j->bytes, a->bytes, a->nbytes);
}

void cr_job_install(cr_engine *e, const cr_action *a)
{
    cr_job *j = cr_job_add(e, CR_LANE_LOG, CR_JOB_INSTALL);
    j->index = a->index;
    j->term = a->log_term;
}

void cr_job_chunk_read(cr_engine *e, const cr_action *a)
{
    cr_job *j = cr_job_add(e, CR_LANE_SNAPSHOTS, CR_JOB_READ);
    j->peer = a->peer;
    j->index = a->index;
    j->term = a->log_term;
    j->offset = a->offset;
    j->n = a->nbytes;
}

/* --- when --- */

void cr_snapshot_turn(cr_engine *e)
{
    if (e->taking || e->failed || e->applied <= e->snapshot) return;
    if (!e->soon && e->applied - e->snapshot_from < e->config.snapshot_entries) return;
    qd_invariant(e->snapshot_from <= e->applied);
    uint64_t term = cr_core_term_at(e->core, e->applied);
    const cr_members *m = cr_core_members_at(e->core, e->applied);
    if (!term || !m) return;
    void *s = e->config.snapshot_begin(e->config.arg, e->applied);
    if (!s) return;
    e->soon = 0;
    e->taking = 1;
    cr_job *j = cr_job_add(e, CR_LANE_SNAPSHOTS, CR_JOB_TAKE);
    j->snapshot = s;
    j->upto = cr_core_sending(e->core);
    j->index = e->applied;
    j->term = term;
    j->members = cr_members_make(e->heap, m->at, m->n); /* the job's own: another thread's */
}

void cr_space_look(cr_engine *e)
{
    /* without a spare, and no place for one: what is under way may fill the segment */
    int low = !cr_wal_has_spare(e->wal) && e->prepare_at > 0 &&
              e->disk->room(e->disk) < e->sizes.segment_bytes + e->sizes.segment_bytes / 4;
    int there = e->asked_space && !e->full && !low;
    if (there == e->was_full) {
        e->was_full = !there;
        e->config.warn(e->config.arg, there ? "there is room on the disk again"
                                            : "the disk is full: no changes are taken");
    }
    cr_core_space(e->core, there, e->now);
}

void cr_space_turn(cr_engine *e)
{
    if (!e->preparing && !cr_wal_has_spare(e->wal) && e->now >= e->prepare_at) {
        e->preparing = 1;
        (void)cr_job_add(e, CR_LANE_SNAPSHOTS, CR_JOB_PREPARE);
    }
    cr_space_look(e);
}

/* --- running --- */

void cr_job_run(cr_job *j)
{
    cr_engine *e = j->e;
    cr_disk *d = e->disk;
    switch (j->kind) {
    case CR_JOB_WRITE:
        j->rc = cr_wal_write_all(e->wal, j->writes, j->why);
        break;
    case CR_JOB_CHUNK:
        j->rc = cr_snap_take(d, j->offset, j->total, j->bytes, j->n, j->why);
        break;
    case CR_JOB_INSTALL:
        j->rc =
            cr_snap_install(d, e->heap, e->config.cluster, j->index, j->term, &j->loaded, j->why);
        break;
    case CR_JOB_PREPARE:
        j->rc = cr_wal_prepare(e->wal);
        break;
    case CR_JOB_CLEAN:
        j->rc = cr_wal_clean(e->wal, j->upto);
        break;
    case CR_JOB_TAKE: {
        cr_pieces pieces = {0};
        j->rc = e->config.snapshot_write(j->snapshot, &pieces);
        if (j->rc) break;
        j->rc = cr_snap_write(d, e->heap, e->config.cluster, j->index, j->term, j->members, &pieces,
                              j->why);
        cr_pieces_free(e->heap, &pieces);
        if (j->rc == 0) cr_snap_clean(d, j->upto);
        break;
    }
    default:
        j->bytes = cr_must(e->heap, j->n);
        if (cr_snap_chunk(d, j->index, j->term, j->offset, j->bytes, j->n, &j->n, &j->total))
            j->n = 0;
        break;
    }
}

cr_job *cr_engine_job(cr_engine *e, int lane)
{
    cr_lane *l = &e->lanes[lane];
    if (l->out || !l->first || e->stopped || e->failed) return NULL;
    if (lane == CR_LANE_LOG && e->full && e->now < e->retry_at) return NULL;
    cr_job *j = l->first;
    qd_invariant(l->last && !l->last->next);
    l->first = j->next;
    if (!l->first) l->last = NULL;
    j->next = NULL;
    l->out = j;
    j->started = 1;
    return j;
}

/* --- done --- */

/* The disk is full: the same job once more, later. */
static void put_back(cr_engine *e, cr_job *j)
{
    cr_lane *l = &e->lanes[CR_LANE_LOG];
    j->next = l->first;
    l->first = j;
    if (!l->last) l->last = j;
    e->full = 1;
    e->retry_at = e->now + CR_RETRY_NS;
}

static void lives_are_durable(cr_engine *e, const cr_wal_write *w)
{
    for (; w; w = w->next)
        if (w->peer.id) cr_wal_peer_note(e->lives_durable, &e->nlives_durable, w->peer);
}

static void log_done(cr_engine *e, cr_job *j)
{
    uint64_t seq = j->kind == CR_JOB_CHUNK ? j->seq : 0;
    for (const cr_wal_write *w = j->writes; w; w = w->next)
        if (w->seq > seq) seq = w->seq;
    if (j->rc) {
        cr_core_written(e->core, seq, j->rc, e->now);
        cr_engine_fail(e, j->why);
        return;
    }
    e->full = 0;
    lives_are_durable(e, j->writes);
    if (seq) cr_core_written(e->core, seq, 0, e->now);
    uint64_t upto = cr_wal_unneeded(e->wal);
    if (upto) cr_job_add(e, CR_LANE_SNAPSHOTS, CR_JOB_CLEAN)->upto = upto;
}

static void installed(cr_engine *e, cr_job *j)
{
    int32_t rc = j->rc;
    if (rc == 0) rc = e->config.restore(e->config.arg, j->loaded.content, j->loaded.n);
    if (rc && j->rc == 0) {
        cr_engine_fail(e, "a snapshot that the leader sent cannot be read");
        return;
    }
    if (rc) {
        e->config.warn(e->config.arg, j->why);
    } else {
        qd_invariant(j->index > e->applied); /* what was applied is not taken back */
        e->applied = j->index;
        if (e->snapshot < j->index) e->snapshot = e->snapshot_from = j->index;
        cr_proposals_passed(e, j->index);
    }
    cr_core_installed(e->core, rc, e->now);
}

static void taken(cr_engine *e, cr_job *j)
{
    qd_invariant(e->taking && j->index <= e->applied);
    e->taking = 0;
    e->snapshot_from = j->index; /* also when it failed: the log grows meanwhile, nothing is lost */
    if (j->rc == 0) {
        if (j->index > e->snapshot) e->snapshot = j->index;
        cr_core_snapshotted(e->core, j->index);
        return;
    }
    if (!*j->why) snprintf(j->why, sizeof j->why, "a snapshot could not be taken (%d)", j->rc);
    e->config.warn(e->config.arg, j->why);
}

void cr_engine_job_done(cr_engine *e, cr_job *j, uint64_t now)
{
    int lane = e->lanes[CR_LANE_LOG].out == j ? CR_LANE_LOG : CR_LANE_SNAPSHOTS;
    qd_invariant(e->lanes[lane].out == j && j->started);
    if (now > e->now) e->now = now;
    e->lanes[lane].out = NULL;
    if (!e->stopped && !e->failed) {
        if (lane == CR_LANE_LOG && j->rc == QD_E_NOSPACE) {
            put_back(e, j);
            return;
        }
        switch (j->kind) {
        case CR_JOB_WRITE:
        case CR_JOB_CHUNK:
            log_done(e, j);
            break;
        case CR_JOB_INSTALL:
            installed(e, j);
            break;
        case CR_JOB_PREPARE:
            e->preparing = 0;
            e->prepare_at = j->rc ? e->now + CR_RETRY_NS : 0;
            break;
        case CR_JOB_TAKE:
            taken(e, j);
            break;
        case CR_JOB_READ:
            cr_core_chunk(e->core, j->peer, j->index, j->offset, j->total, j->bytes, j->n);
            break;
        default:
            break;
        }
    }
    cr_job_free(e, j);
}
