/* raft_sim.c: events, nodes, clients. See raft_sim.h. */
#include "../unit/coordination/heap.h"
#include "raft_int.h"
#include "watch.h"

const cr_heap *sim_heap(void)
{
    return unit_heap();
}

uint64_t sim_rnd(sim *s)
{
    uint64_t z = (s->rng += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

uint64_t sim_below(sim *s, uint64_t n)
{
    return n ? sim_rnd(s) % n : 0;
}

static uint64_t below_of(void *arg, uint64_t n)
{
    return sim_below(arg, n);
}

uint64_t sim_mix(uint64_t a, uint64_t b)
{
    a ^= b + 0x9e3779b97f4a7c15ull + (a << 6) + (a >> 2);
    return a * 0xff51afd7ed558ccdull ^ (a >> 33);
}

/* --- events --- */

static int earlier(const event *a, const event *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static event *post(sim *s, uint64_t at, uint32_t kind, node *n)
{
    if (s->nheap == s->heap_cap) {
        s->heap_cap = s->heap_cap ? s->heap_cap * 2 : 256;
        s->heap = realloc(s->heap, s->heap_cap * sizeof *s->heap);
        if (!s->heap) abort();
    }
    event e = {.at = at,
               .order = ++s->order,
               .kind = kind,
               .node = n ? (uint32_t)(n->id - 1) : 0,
               .life = n ? n->life : 0};
    uint32_t i = s->nheap++;
    for (; i && earlier(&e, &s->heap[(i - 1) / 2]); i = (i - 1) / 2)
        s->heap[i] = s->heap[(i - 1) / 2];
    s->heap[i] = e;
    return &s->heap[i];
}

void sim_post(sim *s, uint64_t at, uint32_t kind, node *n)
{
    (void)post(s, at, kind, n);
}

static event take_first(sim *s)
{
    event first = s->heap[0], last = s->heap[--s->nheap];
    uint32_t i = 0;
    for (;;) {
        uint32_t k = 2 * i + 1;
        if (k >= s->nheap) break;
        if (k + 1 < s->nheap && earlier(&s->heap[k + 1], &s->heap[k])) k++;
        if (!earlier(&s->heap[k], &last)) break;
        s->heap[i] = s->heap[k];
        i = k;
    }
    s->heap[i] = last;
    return first;
}

uint64_t sim_local(const sim *s, const node *n)
{
    return (uint64_t)((double)s->now * n->rate);
}

/* --- what the engine calls --- */

static int32_t on_apply(void *arg, uint64_t index, const uint8_t *p, size_t k)
{
    node *n = arg;
    int32_t rc = cr_machine_apply(n->machine, p, k);
    if (rc) {
        BAD(n->s, "entry %llu is no entry", (llu)index);
        return rc;
    }
    sim_check_apply(n->s, n, index, p, k);
    return 0;
}

static void on_lead(void *arg, uint64_t term)
{
    (void)arg;
    (void)term;
}

static void on_changed(void *arg)
{
    (void)arg;
}

static void on_send(void *arg, uint64_t id, qd_str address, const uint8_t *p, size_t k)
{
    node *n = arg;
    sim *s = n->s;
    uint32_t to = (uint32_t)id - 1;
    (void)address;
    if (k > CR_MESSAGE_MAX) BAD(s, "a message of %zu bytes", k);
    if (!n->newest) sim_check_message(s, n, p, k);
    if (to >= s->nnodes) return;
    if (s->apart[n->id - 1][to] || sim_below(s, 1000) < s->loss) {
        s->r->dropped++;
        return;
    }
    int copies = sim_below(s, 1000) < s->dup ? 2 : 1;
    s->r->doubled += copies == 2;
    while (copies--) {
        event *e =
            post(s, s->now + 50000 + s->lag[to] + sim_below(s, s->late), E_MESSAGE, s->nodes[to]);
        e->bytes = malloc(k);
        if (!e->bytes) abort();
        memcpy(e->bytes, p, k);
        e->n = (uint32_t)k;
    }
}

static void on_warn(void *arg, const char *text)
{
    node *n = arg;
    SAY(n->s, "node %llu: %s", (llu)n->id, text);
}

static void on_failed(void *arg, const char *why)
{
    node *n = arg;
    n->fatal = 1;
    snprintf(n->why, sizeof n->why, "%s", why);
    SAY(n->s, "node %llu fails: %s", (llu)n->id, why);
}

typedef struct held {
    cr_items rows;
    uint64_t index;
} held;

static void *on_snapshot_begin(void *arg, uint64_t index)
{
    node *n = arg;
    sim *s = n->s;
    held *h = calloc(1, sizeof *h);
    if (!h) abort();
    h->index = index;
    cr_machine_rows(n->machine, &h->rows);
    s->r->snapshots++;
    if (index >= INDEX_MAX) return h;
    uint64_t rows = sim_rows_hash(n->machine);
    if (s->committed[index].rows && s->committed[index].rows != rows)
        BAD(s, "state machine safety: states differ at snapshot %llu", (llu)index);
    if (s->committed[index].chain && s->committed[index].chain != n->state + 1)
        BAD(s, "state machine safety: histories differ at snapshot %llu", (llu)index);
    s->committed[index].rows = rows;
    s->committed[index].chain = n->state + 1;
    return h;
}

static int32_t on_snapshot_write(void *snapshot, cr_pieces *out)
{
    held *h = snapshot;
    return cr_snapshot_write(&h->rows, h->index, sim_heap(), out);
}

static void on_snapshot_end(void *snapshot)
{
    held *h = snapshot;
    cr_items_free(sim_heap(), &h->rows);
    free(h);
}

static int32_t load_row(void *arg, cr_item *row)
{
    return cr_machine_load(arg, row);
}

static int32_t on_restore(void *arg, const uint8_t *p, size_t k)
{
    node *n = arg;
    sim *s = n->s;
    uint64_t index = 0;
    cr_machine_reset(n->machine);
    int32_t rc = cr_snapshot_read(sim_heap(), p, k, &index, load_row, n->machine);
    if (rc == 0) rc = cr_machine_loaded(n->machine);
    if (rc) {
        BAD(s, "a snapshot with sound checksums cannot be read");
        return rc;
    }
    if (n->engine && index < n->engine->applied)
        BAD(s, "the state of node %llu goes back from %llu to %llu", (llu)n->id,
            (llu)n->engine->applied, (llu)index);
    s->r->installs++;
    n->applied = index;
    if (index < INDEX_MAX) {
        if (s->committed[index].rows != sim_rows_hash(n->machine))
            BAD(s, "a snapshot at %llu is of another state", (llu)index);
        n->state = s->committed[index].chain - 1;
    }
    return 0;
}

/* --- nodes --- */

node *sim_node_make(sim *s, int joins)
{
    node *n = calloc(1, sizeof *n);
    if (!n || s->nnodes == NODES) abort();
    n->s = s;
    n->id = s->nnodes + 1;
    n->joins = joins;
    n->disk = sim_disk_make();
    n->promise = calloc(1, sizeof *n->promise);
    if (!n->promise) abort();
    n->maybe_cut = UINT64_MAX;
    s->nodes[s->nnodes++] = n;
    return n;
}

static void feed_lanes(sim *s, node *n)
{
    for (int lane = 0; lane < CR_LANES; lane++) {
        if (n->jobs[lane]) continue;
        cr_job *j = cr_engine_job(n->engine, lane);
        if (!j) continue;
        n->jobs[lane] = j;
        uint64_t takes =
            100000 + sim_below(s, s->disk_ns) + (n->disk_slow ? sim_below(s, n->disk_slow) : 0);
        post(s, s->now + takes, E_JOB, n)->peer = (uint32_t)lane;
    }
}

void sim_start_later(sim *s, node *n)
{
    if (n->coming) return;
    n->coming = 1;
    sim_post(s, s->now + 50000 + sim_below(s, 400 * MS), E_RESTART, n);
}

/* A process that failed for good ends; after a while somebody starts it again. */
static void after_failure(sim *s, node *n)
{
    int old = n->newest != NULL;
    n->fatal = 0;
    sim_crash(s, n, 0);
    if (old) {
        if (!strstr(n->why, "old copy")) return;
        s->r->old_copies_refused++;
        s->stale = 0;
        sim_disk_free(n->disk);
        n->disk = n->newest;
        n->newest = NULL;
        sim_disk_full(n->disk, n->full);
    }
    sim_start_later(s, n);
}

void sim_turn(sim *s, node *n)
{
    if (!n->engine || s->bad) return;
    cr_engine_turn(n->engine, sim_local(s, n));
    if (s->bad) return;
    if (!n->newest) sim_check_node(s, n);
    if (n->fatal) {
        after_failure(s, n);
        return;
    }
    feed_lanes(s, n);
    uint64_t at = cr_engine_deadline(n->engine);
    if (at == UINT64_MAX) return;
    uint64_t real = (uint64_t)((double)at / n->rate) + 1;
    if (real <= s->now) real = s->now + 1;
    if (n->tick_at > s->now && n->tick_at <= real) return; /* one comes before */
    n->tick_at = real;
    post(s, real, E_TICK, n);
}

/* What writes that failed, or were under way at the end, may have done to the log. */
static void maybe(node *n, const cr_job *j)
{
    if (n->newest) return; /* on an old copy: no promise of this node's */
    for (const cr_wal_write *w = j->writes; w; w = w->next) {
        if (w->cuts && w->cut < n->maybe_cut) n->maybe_cut = w->cut;
        if (w->reset) n->maybe_cut = 0;
        if (w->reset && w->index > n->maybe_base) n->maybe_base = w->index;
        if (w->drops && w->drop > n->maybe_base) n->maybe_base = w->drop;
    }
}

static void job_end(sim *s, node *n, uint32_t lane)
{
    cr_job *j = n->jobs[lane];
    n->jobs[lane] = NULL;
    uint64_t segments = n->engine->wal->mark.segment;
    cr_job_run(j);
    if (lane == CR_LANE_LOG && n->engine->wal->mark.segment > segments) s->r->segments++;
    if (j->kind == CR_JOB_WRITE && j->rc == 0) {
        n->formed = 1;
        if (!n->newest) sim_promise(s, n, j->writes);
    }
    if (j->rc) maybe(n, j);
    if (!s->bad) cr_engine_job_done(n->engine, j, sim_local(s, n));
}

/* The folder is refused: that must have a reason; then what it was before is put back. */
static void refused(sim *s, node *n, int32_t rc, const char *why)
{
    SAY(s, "node %llu is refused (%d): %s", (llu)n->id, rc, why);
    if (!n->damaged && !(rc == QD_E_NOSPACE && n->full) && !n->newest) {
        BAD(s, "node %llu cannot open its folder: %s", (llu)n->id, why);
        return;
    }
    if (n->damaged) {
        if (rc == QD_E_CORRUPT || rc == QD_E_CONFLICT) s->r->damage_refused++;
        sim_disk_free(n->disk);
        n->disk = n->undamaged;
        n->undamaged = NULL;
        n->damaged = 0;
        sim_disk_full(n->disk, n->full);
    }
    sim_start_later(s, n);
}

static void make_machine(node *n)
{
    cr_machine_free(n->machine);
    n->machine = cr_machine_make(sim_heap(), 64, 1 << 16);
    n->applied = n->state = 0;
}

void sim_start(sim *s, node *n)
{
    char why[CR_WHY] = "";
    sim_copies(s, n);
    /* the rows beside the log: what was applied, or nothing */
    if (!n->machine || sim_below(s, 2)) make_machine(n);
    cr_consensus_config k = {.heap = sim_heap(),
                             .id = n->id,
                             .how = n->formed  ? CR_OPEN_THERE
                                    : n->joins ? CR_OPEN_JOIN
                                               : CR_OPEN_FORM,
                             .cluster = "simulated store",
                             .first = s->first->at,
                             .nfirst = s->first->n,
                             .seed = sim_rnd(s),
                             .applied = n->applied,
                             .election_ms = ELECTION,
                             .heartbeat_ms = HEARTBEAT,
                             .snapshot_entries = s->snapshot_entries,
                             .arg = n,
                             .apply = on_apply,
                             .lead = on_lead,
                             .changed = on_changed,
                             .send = on_send,
                             .warn = on_warn,
                             .failed = on_failed,
                             .snapshot_begin = on_snapshot_begin,
                             .snapshot_write = on_snapshot_write,
                             .snapshot_end = on_snapshot_end,
                             .restore = on_restore};
    cr_engine_sizes sizes = {.message_bytes = s->message,
                             .window_messages = 4,
                             .window_bytes = 2000,
                             .segment_bytes = s->segment,
                             .trailing = s->trailing,
                             .hold = s->hold};
    n->rate = 0.95 + (double)sim_below(s, 100) / 1000;
    n->seen_role = CR_FOLLOWER;
    n->seen_term = 0;
    n->tick_at = 0;
    s->r->restarts++;
    int32_t rc = cr_engine_open(&k, &sizes, sim_disk_of(n->disk), sim_local(s, n), &n->engine, why);
    if (s->bad) return;
    if (rc) {
        make_machine(n);
        refused(s, n, rc, why);
        return;
    }
    SAY(s, "node %llu starts, life %llu", (llu)n->id, (llu)cr_engine_life(n->engine));
    if (!n->newest) sim_check_opened(s, n);
    sim_disk_free(n->undamaged); /* the damage was to nothing that matters */
    n->undamaged = NULL;
    n->damaged = 0;
    if (!n->newest) n->maybe_cut = UINT64_MAX;
    if (!n->newest) n->maybe_base = 0;
    n->seen_applied = n->seen_commit = n->engine->applied;
    sim_turn(s, n);
}

void sim_crash(sim *s, node *n, int power)
{
    for (int lane = 0; lane < CR_LANES; lane++) {
        cr_job *j = n->jobs[lane];
        n->jobs[lane] = NULL;
        if (!j) continue;
        maybe(n, j);
        if (sim_below(s, 2)) { /* it ends in the middle of it */
            s->r->stopped_jobs++;
            sim_disk_stop_after(n->disk, (int64_t)sim_below(s, 8));
            cr_job_run(j);
        }
        cr_job_free(n->engine, j);
        n->engine->lanes[lane].out = NULL;
    }
    const cr_core *core = cr_engine_core(n->engine);
    if (!n->newest) n->last_life = cr_engine_life(n->engine);
    n->voters = core->nlists ? UINT32_MAX : 0;
    for (uint32_t i = 0; i < core->nlists; i++)
        if (core->lists[i].members->voters < n->voters) n->voters = core->lists[i].members->voters;
    SAY(s, "node %llu ends%s", (llu)n->id, power ? ", its power goes" : "");
    cr_engine_stop(n->engine);
    cr_engine_free(n->engine);
    n->engine = NULL;
    n->fatal = 0;
    if (!n->newest) n->powerless = power; /* on an old copy: of another disk */
    n->life++;
    s->r->kills += !power;
    s->r->power_losses += power != 0;
    s->r->lost_sectors += sim_disk_crash(n->disk, power, below_of, s);
    if (s->turns) sim_start_later(s, n);
    for (uint32_t i = 0; i < s->nnodes; i++) /* some see the connection closed */
        if (sim_below(s, 4) == 0) {
            event *e = post(s, s->now + sim_below(s, 5 * MS), E_GONE, s->nodes[i]);
            e->peer = (uint32_t)n->id;
        }
}

/* --- clients --- */

typedef struct asked {
    cr_proposal p; /* first */
    sim *s;
    uint64_t number;
} asked;
typedef struct question {
    cr_read_wait r; /* first */
    node *n;
    uint64_t floor;
} question;

static void on_answer(cr_proposal *p, int32_t rc)
{
    asked *a = (asked *)p;
    sim *s = a->s;
    uint64_t index = p->index;
    s->outcome[a->number] = rc == 0 ? R_ACKNOWLEDGED : rc == QD_E_NOT_LEADER ? R_NEVER : R_UNKNOWN;
    s->r->acknowledged += rc == 0;
    s->r->never += rc == QD_E_NOT_LEADER;
    s->r->unknown += rc == QD_E_UNKNOWN_OUTCOME;
    if (rc == 0 && !s->was_applied[a->number])
        BAD(s, "entry %llu is acknowledged, and nobody has applied it", (llu)index);
    if (rc == QD_E_NOT_LEADER && s->was_applied[a->number])
        BAD(s, "entry %llu is told never to be, and was applied", (llu)index);
    free(a);
}

static void on_read(cr_read_wait *r, int32_t rc)
{
    question *q = (question *)r;
    node *n = q->n;
    if (rc == 0) n->s->r->reads++;
    if (rc == 0 && n->engine->applied < q->floor && !n->newest)
        BAD(n->s, "a read sees %llu when %llu was applied before it began", (llu)n->engine->applied,
            (llu)q->floor);
    free(q);
}

static void write_one(sim *s, node *n)
{
    char key[32], value[128];
    cr_writer w;
    uint8_t id[16] = {0};
    uint64_t number = s->nentries, what = sim_below(s, 10);
    if (number + 1 >= ENTRIES) return;
    cr_writer_begin(&w, sim_heap());
    memcpy(id, &number, sizeof number);
    id[8] = 1;
    if (what == 0) {
        cr_command_begin(&w, CR_OPEN);
        cr_put(&w.bytes, id, 16);
        cr_put64(&w.bytes, 1000000000);
        cr_command_end(&w);
    } else if (what == 1) {
        cr_command_begin(&w, CR_CLOSE);
        cr_put64(&w.bytes, 1 + sim_below(s, n->machine->last_session + 1));
        cr_command_end(&w);
    } else {
        int k = snprintf(key, sizeof key, "key%llu", (llu)sim_below(s, KEYS));
        int v = snprintf(value, sizeof value, "%llu%.*s", (llu)number, (int)sim_below(s, 90),
                         "..............................................................."
                         "...............................");
        qd_coord_change c = {.type = sim_below(s, 8) ? QD_COORD_PUT : QD_COORD_DELETE,
                             .key = {key, (size_t)k},
                             .value = {value, (size_t)v}};
        qd_coord_txn t = {.changes = &c, .nchanges = 1};
        memcpy(t.id, id, 16);
        cr_write_txn(&w, &t);
    }
    cr_writer_end(&w, number);
    asked *a = calloc(1, sizeof *a);
    if (!a) abort();
    a->p.done = on_answer;
    a->s = s;
    a->number = number;
    int32_t rc = cr_engine_propose(n->engine, &a->p, w.bytes.p, w.bytes.n);
    cr_bytes_free(&w.bytes);
    s->nentries++;
    if (rc == 0) return;
    s->outcome[number] = R_NEVER;
    s->r->refused_full += rc == QD_E_NOSPACE;
    free(a);
}

void sim_propose(sim *s)
{
    for (uint32_t i = 0; i < s->nnodes && !s->bad; i++) {
        node *n = s->nodes[i];
        cr_core_view v;
        if (!n->engine) continue;
        cr_core_look(cr_engine_core(n->engine), &v);
        if (v.role != CR_LEADER || v.last - v.commit > 300) continue;
        for (uint64_t k = 1 + sim_below(s, 4); k; k--) write_one(s, n);
        for (uint64_t k = sim_below(s, 4); k; k--) {
            question *q = calloc(1, sizeof *q);
            if (!q) abort();
            q->r.done = on_read;
            q->n = n;
            q->floor = s->max_applied;
            if (cr_engine_read(n->engine, &q->r)) free(q);
        }
        sim_turn(s, n);
    }
}

static void on_changed_members(cr_proposal *p, int32_t rc)
{
    asked *a = (asked *)p;
    a->s->r->changes += rc == 0;
    free(a);
}

void sim_change_members(sim *s)
{
    node *n = sim_leading(s);
    cr_core_view v;
    if (!n) return;
    if (s->reforms) sim_post(s, s->now + 50000 + sim_below(s, 50 * MS), E_MEMBERS, NULL);
    cr_core_look(cr_engine_core(n->engine), &v);
    uint64_t what = sim_below(s, 4);
    cr_member m = v.members->at[sim_below(s, v.members->n)];
    int remove = 0;
    if (what == 0 && s->nnodes < NODES && v.members->n < 7 && !s->stale) {
        node *fresh = sim_node_make(s, 1);
        sim_start(s, fresh);
        m = (cr_member){.id = fresh->id, .role = QD_COORD_STANDBY};
    } else if (what == 1 && v.members->voters > 2) {
        remove = 1;
    } else if (what == 2) {
        m.role = QD_COORD_VOTER;
    } else {
        m.role = v.members->voters > 2 ? QD_COORD_STANDBY : QD_COORD_VOTER;
    }
    m.name = m.address = (qd_str){NULL, 0};
    asked *a = calloc(1, sizeof *a);
    if (!a) abort();
    a->p.done = on_changed_members;
    a->s = s;
    int32_t rc = cr_engine_change(n->engine, &a->p, &m, remove,
                                  sim_below(s, 2) ? 0 : sim_below(s, 900) * MS, sim_local(s, n));
    if (rc) free(a);
    if (rc == 0 && s->turns && sim_below(s, 2))
        sim_post(s, s->now + sim_below(s, 4 * MS), E_STRIKE, n);
    SAY(s, "node %llu: %s %llu role %u: %d", (llu)n->id, remove ? "remove" : "member", (llu)m.id,
        m.role, rc);
    sim_turn(s, n);
}

/* --- the run --- */

static int of_a_life(uint32_t kind)
{
    return kind == E_JOB || kind == E_TICK || kind == E_STRIKE || kind == E_HAND_OVER;
}

static void step(sim *s)
{
    event e = take_first(s);
    node *n = s->nodes[e.node];
    if (e.at > s->now) s->now = e.at;
    if (!still_turn(&s->still, s->now, STILL_STEPS_MOST))
        BAD(s, STILL ": %u events within %u ns, the last of node %u", STILL_STEPS_MOST, STILL_NS,
            e.node + 1);
    s->trace = sim_mix(s->trace, sim_mix(e.at, e.kind * 64 + e.node));
    int up = n && n->engine && (!of_a_life(e.kind) || e.life == n->life);
    switch (e.kind) {
    case E_MESSAGE:
        if (up) cr_engine_receive(n->engine, e.bytes, e.n, sim_local(s, n));
        if (up && !s->faults) n->in_touch = 1;
        free(e.bytes);
        break;
    case E_JOB:
        if (up) job_end(s, n, e.peer);
        break;
    case E_STRIKE:
        if (up && s->faults) sim_strike(s, n);
        break;
    case E_HAND_OVER:
        if (up && s->faults) sim_hand_over(s, n);
        break;
    case E_GONE:
        if (up) cr_engine_gone(n->engine, e.peer, sim_local(s, n));
        break;
    case E_RESTART:
        n->coming = 0;
        if (!n->engine) sim_start(s, n);
        return;
    case E_HEAL:
        memset(s->apart, 0, sizeof s->apart);
        memset(s->lag, 0, sizeof s->lag);
        return;
    case E_MEMBERS:
        if (s->faults) sim_change_members(s);
        return;
    case E_CLIENT:
        sim_propose(s);
        if (s->client_at > s->now) return;
        s->client_at = s->now + 50000 + sim_below(s, s->client_ms * MS);
        sim_post(s, s->client_at, E_CLIENT, NULL);
        return;
    case E_FAULT:
        if (!s->faults) return;
        sim_fault(s);
        sim_post(s, s->now + 50000 + sim_below(s, s->fault_ms * MS), E_FAULT, NULL);
        return;
    default:
        break;
    }
    if (up && n->engine) sim_turn(s, n);
}

/* All members that get the log have applied the same, and more than before. */
static int healthy(sim *s, uint64_t more_than)
{
    node *l = NULL;
    cr_core_view v = {0}, o;
    for (uint32_t i = 0; i < s->nnodes; i++) {
        if (!s->nodes[i]->engine) continue;
        cr_core_look(cr_engine_core(s->nodes[i]->engine), &o);
        if (o.role == CR_LEADER && (!l || o.term > v.term)) {
            l = s->nodes[i];
            v = o;
        }
    }
    if (!l || v.commit < more_than || !v.ready) return 0;
    for (uint32_t i = 0; i < v.members->n; i++) {
        const node *n = s->nodes[v.members->at[i].id - 1];
        if (v.members->at[i].role == QD_COORD_SPARE) continue;
        if (!n->engine || n->engine->applied < more_than) return 0;
        if (n->newest) return 0;
    }
    return 1;
}

static void say_all(sim *s)
{
    for (uint32_t i = 0; i < s->nnodes; i++) {
        const node *n = s->nodes[i];
        cr_core_view v;
        if (!n->engine) continue;
        cr_core_look(cr_engine_core(n->engine), &v);
        SAY(s,
            "node %llu: role %u term %llu leader %llu commit %llu applied %llu last %llu durable "
            "%llu base %llu snapshot %llu members@%llu full %d",
            (llu)n->id, v.role, (llu)v.term, (llu)v.leader, (llu)v.commit, (llu)n->engine->applied,
            (llu)v.last, (llu)v.durable, (llu)v.base, (llu)v.snapshot, (llu)v.members_index,
            n->engine->was_full);
        for (uint32_t k = 0; k < n->engine->nlives; k++)
            SAY(s, "    knows %llu in life %llu (%llx)", (llu)n->engine->lives[k].id,
                (llu)n->engine->lives[k].life, (llu)n->engine->lives[k].nonce);
        for (uint32_t k = 0; v.members && k < v.members->n; k++)
            SAY(s, "    member %llu role %u", (llu)v.members->at[k].id, v.members->at[k].role);
    }
}

static void sim_free(sim *s)
{
    for (uint32_t i = 0; i < s->nheap; i++) free(s->heap[i].bytes);
    for (uint32_t i = 0; i < s->nnodes; i++) {
        node *n = s->nodes[i];
        if (n->engine) {
            for (int lane = 0; lane < CR_LANES; lane++)
                if (n->jobs[lane]) cr_job_free(n->engine, n->jobs[lane]);
            cr_engine_stop(n->engine);
            cr_engine_free(n->engine);
        }
        cr_machine_free(n->machine);
        sim_disk_free(n->disk);
        sim_disk_free(n->undamaged);
        sim_disk_free(n->copy);
        sim_disk_free(n->newest);
        for (uint64_t k = 0; k < n->promise->n; k++) cr_log_entry_drop(n->promise->log[k]);
        free(n->promise);
        free(n);
    }
    cr_members_drop(s->first);
    free(s->heap);
    free(s);
}

static void draw(sim *s)
{
    static const uint32_t sizes[] = {1, 2, 3, 3, 3, 4, 4, 5};
    static const uint64_t faults[] = {20, 60, 120, 250, 250}, clients[] = {4, 40, 40, 300},
                          disks[] = {2 * MS, 2 * MS, 20 * MS, 120 * MS};
    static const uint32_t entries[] = {15, 40, 100, 400};
    uint32_t first = sizes[sim_below(s, 8)];
    s->fault_ms = faults[sim_below(s, 5)];
    s->client_ms = clients[sim_below(s, 4)];
    s->disk_ns = disks[sim_below(s, 4)];
    s->hunt = (uint32_t)sim_below(s, 2) * 700;
    s->turns = sim_below(s, 2) == 0;
    if (s->turns) s->fault_ms = 600;
    s->reforms = sim_below(s, 3) == 0;
    s->trailing = (uint32_t)sim_below(s, 20);
    s->snapshot_entries = entries[sim_below(s, 4)];
    /* without holding, who lags gets snapshots often, also ones that it does not need any more */
    s->hold = sim_below(s, 2) ? 0 : 20 * s->snapshot_entries;
    if (s->hold == 0) s->trailing = (uint32_t)sim_below(s, 3);
    s->segment = 8192u << sim_below(s, 3);
    static const uint32_t messages[] = {200, 200, 700, 4000};
    s->message = messages[sim_below(s, 4)];
    cr_member m[FIRST] = {0};
    for (uint32_t i = 0; i < first; i++) {
        sim_node_make(s, 0);
        m[i] = (cr_member){.id = i + 1, .role = QD_COORD_VOTER};
    }
    s->first = cr_members_make(sim_heap(), m, first);
    for (uint32_t i = 0; i < first; i++) sim_start(s, s->nodes[i]);
}

int raft_sim_run(uint64_t seed, int verbose, raft_sim_report *out)
{
    sim *s = calloc(1, sizeof *s);
    long blocks = unit_blocks;
    if (!s) abort();
    watch_schedule(seed, NULL);
    memset(out, 0, sizeof *out);
    out->seed = seed;
    s->r = out;
    s->rng = seed * 0x9e3779b97f4a7c15ull + 1;
    s->verbose = verbose;
    s->faults = 1;
    s->late = 2 * MS;
    draw(s);
    sim_post(s, 100 * MS, E_CLIENT, NULL);
    sim_post(s, 500 * MS, E_FAULT, NULL);
    while (!s->bad && s->now < FAULTS_NS) step(s);
    if (!s->bad) sim_heal(s);
    uint64_t more = s->ncommitted + 20;
    while (!s->bad && s->now < FAULTS_NS + HEAL_NS && !healthy(s, more)) {
        step(s);
        for (uint32_t i = 0; s->now > FAULTS_NS + HEAL_NS / 3 && i < s->nnodes; i++)
            if (s->nodes[i]->newest && s->nodes[i]->engine && s->nodes[i]->in_touch)
                BAD(s, "node %u runs on an old copy of its folder, and is let in", i + 1);
    }
    if (!s->bad && !healthy(s, more))
        BAD(s, "liveness: no progress on all members in %lld s after the last fault",
            HEAL_NS / MS / 1000);
    if (verbose) say_all(s);
    out->trace = s->trace;
    int bad = s->bad;
    sim_free(s);
    if (!bad && unit_blocks != blocks) {
        snprintf(out->violation, sizeof out->violation, "%ld blocks of memory are left",
                 unit_blocks - blocks);
        bad = 1;
    }
    return bad;
}
