/* engine_t.c: consensus of coordination-raft on disks in memory, without a simulation's faults: one
 * voter, three of them, joining, and what is left when a majority is gone for good. */
#include "unit/unit.h"

#include "sim/raft_disk.c" /* its disks */
#include "unit/coordination/heap.h"
#include <coordination-raft/consensus/engine.h>

enum { NODES = 4, MS = 1000000, QUEUE = 4096 };

typedef struct message {
    uint64_t to;
    uint8_t *p;
    size_t n;
} message;
typedef struct world world;
typedef struct node {
    world *w;
    uint64_t id;
    sim_disk *disk;
    cr_engine *e;
    uint64_t applied, sum, leads;
    bool stuck; /* its disk ends nothing */
    char failed[600], warned[600];
} node;
struct world {
    uint64_t now;
    node nodes[NODES];
    message queue[QUEUE];
    uint32_t n;
    int32_t last;
    uint32_t ended;
};

static int32_t on_apply(void *arg, uint64_t index, const uint8_t *p, size_t n)
{
    node *k = arg;
    k->applied = index;
    k->sum = cr_sum64(p, n, k->sum);
    return 0;
}
static void on_lead(void *arg, uint64_t term)
{
    ((node *)arg)->leads = term;
}
static void on_changed(void *arg)
{
    (void)arg;
}
static void on_send(void *arg, uint64_t to, qd_str address, const uint8_t *p, size_t n)
{
    world *w = ((node *)arg)->w;
    (void)address;
    assert_true(w->n < QUEUE && n <= CR_MESSAGE_MAX);
    w->queue[w->n] = (message){to, malloc(n), n};
    memcpy(w->queue[w->n++].p, p, n);
}
static void on_warn(void *arg, const char *text)
{
    node *k = arg;
    snprintf(k->warned, sizeof k->warned, "%s", text);
}
static void on_failed(void *arg, const char *why)
{
    node *k = arg;
    snprintf(k->failed, sizeof k->failed, "%s", why);
}

/* A snapshot is the two numbers. */
static void *on_begin(void *arg, uint64_t index)
{
    node *k = arg;
    uint64_t *held = malloc(16);
    held[0] = index;
    held[1] = k->sum;
    return held;
}
static int32_t on_write(void *snapshot, cr_pieces *out)
{
    out->n = 1;
    out->at = cr_must(unit_heap(), sizeof *out->at);
    out->at[0] = (cr_piece){cr_must(unit_heap(), 16), 16};
    memcpy(out->at[0].p, snapshot, 16);
    return 0;
}
static void on_end(void *snapshot)
{
    free(snapshot);
}
static int32_t on_restore(void *arg, const uint8_t *p, size_t n)
{
    node *k = arg;
    assert_int_equal(n, 16);
    memcpy(&k->applied, p, 8);
    memcpy(&k->sum, p + 8, 8);
    return 0;
}

static int32_t start(world *w, uint64_t id, uint32_t how, const cr_member *first, uint32_t n,
                     uint64_t recoveries, char *why)
{
    node *k = &w->nodes[id - 1];
    if (!k->disk) k->disk = sim_disk_make();
    k->w = w;
    k->id = id;
    k->applied = k->sum = k->leads = 0;
    *k->failed = *k->warned = 0;
    cr_consensus_config c = {.heap = unit_heap(),
                             .id = id,
                             .how = how,
                             .cluster = "cluster of tests",
                             .recoveries = recoveries,
                             .first = first,
                             .nfirst = n,
                             .seed = id * 77 + w->now,
                             .election_ms = 300,
                             .heartbeat_ms = 60,
                             .snapshot_entries = 30,
                             .arg = k,
                             .apply = on_apply,
                             .lead = on_lead,
                             .changed = on_changed,
                             .send = on_send,
                             .warn = on_warn,
                             .failed = on_failed,
                             .snapshot_begin = on_begin,
                             .snapshot_write = on_write,
                             .snapshot_end = on_end,
                             .restore = on_restore};
    cr_engine_sizes sizes = {.message_bytes = 4096,
                             .window_messages = 8,
                             .window_bytes = 65536,
                             .segment_bytes = 32768,
                             .trailing = 5,
                             .hold = 100};
    return cr_engine_open(&c, &sizes, sim_disk_of(k->disk), w->now, &k->e, why);
}

static void stop(world *w, uint64_t id)
{
    node *k = &w->nodes[id - 1];
    cr_engine_stop(k->e);
    cr_engine_free(k->e);
    k->e = NULL;
}

/* All of a moment: messages, the disks' work, turns; then a millisecond passes. */
static void moment(world *w)
{
    uint32_t n = w->n;
    for (uint32_t i = 0; i < n; i++) {
        message m = w->queue[i];
        cr_engine *e = m.to <= NODES ? w->nodes[m.to - 1].e : NULL;
        if (e) cr_engine_receive(e, m.p, m.n, w->now);
        free(m.p);
    }
    memmove(w->queue, w->queue + n, (w->n - n) * sizeof w->queue[0]);
    w->n -= n;
    for (int i = 0; i < NODES; i++) {
        cr_engine *e = w->nodes[i].e;
        if (!e) continue;
        cr_engine_turn(e, w->now);
        for (int lane = 0; lane < CR_LANES; lane++) {
            cr_job *j = w->nodes[i].stuck ? NULL : cr_engine_job(e, lane);
            if (!j) continue;
            cr_job_run(j);
            cr_engine_job_done(e, j, w->now);
        }
        cr_engine_turn(e, w->now);
    }
    w->now += MS;
}

static void run(world *w, int moments)
{
    while (moments--) moment(w);
}

static node *leading(world *w)
{
    for (int i = 0; i < NODES; i++)
        if (w->nodes[i].e && w->nodes[i].leads) return &w->nodes[i];
    return NULL;
}

static node *await_leader(world *w)
{
    for (int i = 0; i < 3000; i++) {
        node *l = leading(w);
        cr_consensus_view v;
        if (l) cr_engine_look(l->e, &v);
        if (l && v.committed == v.last) return l;
        moment(w);
    }
    return NULL;
}

typedef struct asked {
    cr_proposal p; /* first */
    world *w;
} asked;
static void on_done(cr_proposal *p, int32_t rc)
{
    world *w = ((asked *)p)->w;
    w->last = rc;
    w->ended++;
    free(p);
}

static void write_some(world *w, node *l, int n)
{
    uint32_t before = w->ended;
    for (int i = 0; i < n; i++) {
        asked *a = calloc(1, sizeof *a);
        a->p.done = on_done;
        a->w = w;
        assert_int_equal(cr_engine_propose(l->e, &a->p, (const uint8_t *)"entry of a test", 16), 0);
    }
    for (int i = 0; i < 2000 && w->ended < before + (uint32_t)n; i++) moment(w);
    assert_int_equal(w->ended, before + (uint32_t)n);
    assert_int_equal(w->last, 0);
}

static int32_t reform(world *w, node *l, cr_member m, int remove, uint64_t wait_ms)
{
    uint32_t before = w->ended;
    asked *a = calloc(1, sizeof *a);
    a->p.done = on_done;
    a->w = w;
    int32_t rc = cr_engine_change(l->e, &a->p, &m, remove, wait_ms * MS, w->now);
    assert_int_equal(rc, 0);
    for (int i = 0; i < 5000 && w->ended == before; i++) moment(w);
    assert_int_equal(w->ended, before + 1);
    return w->last;
}

static world *make(void)
{
    world *w = calloc(1, sizeof *w);
    w->now = 1000 * (uint64_t)MS;
    return w;
}

static void end(world *w)
{
    for (uint32_t i = 0; i < w->n; i++) free(w->queue[i].p);
    for (uint64_t id = 1; id <= NODES; id++) {
        if (w->nodes[id - 1].e) stop(w, id);
        sim_disk_free(w->nodes[id - 1].disk);
    }
    free(w);
    unit_heap_check();
}

static const cr_member three[3] = {
    {1, QD_COORD_VOTER, {"a", 1}, {"a:1", 3}},
    {2, QD_COORD_VOTER, {"b", 1}, {"b:1", 3}},
    {3, QD_COORD_VOTER, {"c", 1}, {"c:1", 3}},
};

static void test_one_voter(void **state)
{
    (void)state;
    char why[CR_WHY] = "";
    world *w = make();
    assert_int_equal(start(w, 1, CR_OPEN_THERE, NULL, 0, 0, why), QD_E_NOTFOUND);
    assert_int_equal(start(w, 1, CR_OPEN_FORM, three, 1, 0, why), 0);
    for (int i = 0; i < 5; i++) moment(w);
    assert_true(w->nodes[0].leads); /* it waits for nobody */
    write_some(w, &w->nodes[0], 200);
    assert_true(cr_engine_sole(w->nodes[0].e));
    uint64_t sum = w->nodes[0].sum;
    stop(w, 1);
    assert_int_equal(start(w, 1, CR_OPEN_THERE, NULL, 0, 0, why), 0);
    run(w, 10);
    assert_int_equal(w->nodes[0].sum, sum);
    end(w);
}

/* Three nodes that have formed, with a leader. */
static world *of_three(node **leader)
{
    char why[CR_WHY] = "";
    world *w = make();
    for (uint64_t id = 1; id <= 3; id++)
        assert_int_equal(start(w, id, CR_OPEN_FORM, three, 3, 0, why), 0);
    assert_non_null(*leader = await_leader(w));
    return w;
}

static void test_join_and_leave(void **state)
{
    (void)state;
    char why[CR_WHY] = "";
    node *l;
    world *w = of_three(&l);
    write_some(w, l, 300); /* snapshots: who joins gets one */
    cr_member fourth = {4, QD_COORD_VOTER, {"d", 1}, {"d:1", 3}};
    assert_int_equal(start(w, 4, CR_OPEN_JOIN, NULL, 0, 0, why), 0);
    assert_int_equal(reform(w, l, fourth, 0, 100), QD_E_ARG); /* not a voter at once */
    fourth.role = QD_COORD_STANDBY;
    assert_int_equal(reform(w, l, fourth, 0, 100), 0);
    assert_int_equal(reform(w, l, fourth, 0, 100), QD_E_EXISTS);
    fourth.role = QD_COORD_VOTER;
    assert_int_equal(reform(w, l, fourth, 0, 5000), 0); /* when it has caught up */
    assert_int_equal(w->nodes[3].sum, l->sum);
    uint64_t before = l->id;
    assert_int_equal(reform(w, l, (cr_member){.id = before}, 1, 100), 0); /* the leader itself */
    run(w, 50);
    assert_int_equal(l->leads, 0);
    node *next = await_leader(w);
    assert_non_null(next);
    assert_int_not_equal(next->id, before);
    cr_consensus_view v;
    cr_engine_look(next->e, &v);
    assert_int_equal(v.members->n, 3);
    assert_null(cr_members_find(v.members, before));
    end(w);
}

static void propose(world *w, node *l)
{
    asked *a = calloc(1, sizeof *a);
    a->p.done = on_done;
    a->w = w;
    assert_int_equal(cr_engine_propose(l->e, &a->p, (const uint8_t *)"entry of a test", 16), 0);
}

/* Room that came since the engine looked, as that of a reserve, is room for the next change. */
static void test_room_counts_at_once(void **state)
{
    (void)state;
    char why[CR_WHY] = "";
    world *w = make();
    node *k = &w->nodes[0];
    assert_int_equal(start(w, 1, CR_OPEN_FORM, three, 1, 0, why), 0);
    sim_disk_full(k->disk, 1); /* before its spare segment is laid in */
    run(w, 20);
    assert_true(k->leads);
    assert_string_equal(k->warned, "the disk is full: no changes are taken");
    cr_proposal refused = {.done = on_done};
    assert_int_equal(cr_engine_propose(k->e, &refused, (const uint8_t *)"entry", 5), QD_E_NOSPACE);
    sim_disk_full(k->disk, 0);
    write_some(w, k, 1);
    end(w);
}

/* A leader whose disk stands still, while others have more than it: another one leads. */
static void test_stuck_disk(void **state)
{
    (void)state;
    node *l, *next = NULL;
    world *w = of_three(&l);
    l->stuck = true;
    propose(w, l);
    run(w, 500); /* as slow as that may happen */
    assert_true(l->leads);
    assert_int_equal(w->ended, 0); /* nothing is applied that is not on its disk */
    for (int i = 0; i < 1000 && !next; i++) {
        moment(w);
        for (int k = 0; k < 3; k++)
            if (w->nodes[k].leads && &w->nodes[k] != l) next = &w->nodes[k];
    }
    assert_non_null(next);
    write_some(w, next, 10);
    assert_int_equal(l->leads, 0);
    l->stuck = false;
    run(w, 500);
    assert_true(next->leads);
    assert_int_equal(w->ended, 11);
    for (int k = 0; k < 3; k++) assert_int_equal(w->nodes[k].sum, next->sum);
    end(w);
}

/* When all disks stand still nobody is ahead: the leader stays, and goes on when they do. */
static void test_all_disks_stuck(void **state)
{
    (void)state;
    node *l;
    world *w = of_three(&l);
    uint64_t term = l->leads;
    for (int k = 0; k < 3; k++) w->nodes[k].stuck = true;
    propose(w, l);
    run(w, 5000);
    assert_int_equal(l->leads, term);
    assert_int_equal(w->ended, 0);
    for (int k = 0; k < 3; k++) w->nodes[k].stuck = false;
    run(w, 100);
    assert_int_equal(l->leads, term);
    assert_int_equal(w->ended, 1);
    assert_int_equal(w->last, 0);
    end(w);
}

static void test_recovery(void **state)
{
    (void)state;
    char why[CR_WHY] = "";
    node *l;
    world *w = of_three(&l);
    write_some(w, l, 100);
    run(w, 200);
    uint64_t sum = w->nodes[0].sum;
    cr_consensus_view v;
    cr_engine_look(w->nodes[0].e, &v);
    uint64_t term = v.term;
    for (uint64_t id = 1; id <= 3; id++) stop(w, id);
    assert_int_equal(start(w, 1, CR_OPEN_THERE, NULL, 0, 0, why), 0);
    run(w, 3000);
    assert_int_equal(w->nodes[0].leads, 0); /* never by itself */
    stop(w, 1);
    assert_int_equal(start(w, 1, CR_OPEN_RECOVER, NULL, 0, 0, why), 0);
    run(w, 20);
    assert_true(w->nodes[0].leads > term);
    assert_int_equal(w->nodes[0].sum, sum);
    cr_engine_look(w->nodes[0].e, &v);
    assert_int_equal(v.recoveries, 1);
    assert_int_equal(v.members->n, 1);
    assert_int_equal(v.members->at[0].address.n, 3);
    write_some(w, &w->nodes[0], 10);
    stop(w, 1);
    assert_int_equal(start(w, 1, CR_OPEN_THERE, NULL, 0, 0, why), 0); /* it stays so */
    /* the others come back: they are another group, and disturb nobody */
    for (uint64_t id = 2; id <= 3; id++)
        assert_int_equal(start(w, id, CR_OPEN_THERE, NULL, 0, 0, why), 0);
    run(w, 2000);
    cr_engine_look(w->nodes[0].e, &v);
    assert_true(v.leads);
    assert_int_equal(v.recoveries, 1);
    write_some(w, &w->nodes[0], 10);
    assert_int_not_equal(w->nodes[1].sum, w->nodes[0].sum);
    /* a fresh one joins the recovered cluster */
    cr_member fourth = {4, QD_COORD_STANDBY, {"d", 1}, {"d:1", 3}};
    assert_int_equal(start(w, 4, CR_OPEN_JOIN, NULL, 0, v.recoveries, why), 0);
    assert_int_equal(reform(w, &w->nodes[0], fourth, 0, 100), 0);
    run(w, 500);
    assert_int_equal(w->nodes[3].sum, w->nodes[0].sum);
    end(w);
}

static void test_old_copy(void **state)
{
    (void)state;
    char why[CR_WHY] = "";
    node *l;
    world *w = of_three(&l);
    write_some(w, l, 20);
    uint64_t id = l->id % 3 + 1;
    stop(w, id);
    sim_disk *copy = sim_disk_copy(w->nodes[id - 1].disk);
    assert_int_equal(start(w, id, CR_OPEN_THERE, NULL, 0, 0, why), 0);
    write_some(w, l, 20);
    run(w, 300);
    stop(w, id);
    sim_disk_free(w->nodes[id - 1].disk);
    w->nodes[id - 1].disk = copy;
    for (int often = 0; often < 5; often++) { /* however often it is started */
        assert_int_equal(start(w, id, CR_OPEN_THERE, NULL, 0, 0, why), 0);
        if (often == 4) break;
        stop(w, id);
    }
    run(w, 500);
    assert_non_null(strstr(w->nodes[id - 1].failed, "this folder is an old copy"));
    end(w);
}

/* A bit of one file changed while the node was down: refused or told, with the file and an offset;
 * and what comes up is what was there. */
static void flip_and_look(world *w, const sim_disk *whole, const char *file, uint64_t at,
                          uint64_t sum)
{
    char why[CR_WHY] = "";
    node *k = &w->nodes[0];
    sim_disk_free(k->disk);
    k->disk = sim_disk_copy(whole);
    sim_disk_flip(k->disk, file, at, (uint8_t)(1u << (at % 8)));
    int32_t rc = start(w, 1, CR_OPEN_THERE, NULL, 0, 0, why);
    const char *said = rc ? why : k->warned;
    if (!strstr(said, file) || !strstr(said, "offset"))
        fail_msg("%s at %llu: %d, said: %s", file, (unsigned long long)at, (int)rc, said);
    if (rc) return;
    run(w, 5);
    assert_int_equal(k->sum, sum);
    stop(w, 1);
}

static void test_each_flip_is_told(void **state)
{
    (void)state;
    char why[CR_WHY] = "";
    world *w = make();
    node *k = &w->nodes[0];
    assert_int_equal(start(w, 1, CR_OPEN_FORM, three, 1, 0, why), 0);
    run(w, 5);
    write_some(w, k, 25);
    for (int i = 0; i < 3; i++) write_some(w, k, 1);
    stop(w, 1);
    assert_int_equal(start(w, 1, CR_OPEN_THERE, NULL, 0, 0, why), 0); /* two segments */
    run(w, 5);
    for (int i = 0; i < 10; i++) write_some(w, k, 1); /* a snapshot */
    run(w, 20);
    uint64_t sum = k->sum;
    stop(w, 1);
    sim_disk *whole = k->disk;
    k->disk = NULL;
    uint32_t tried = 0;
    const char *tails[] = {".log", "mark", ".snap"};
    for (int t = 0; t < 3; t++) {
        assert_true(sim_disk_count(whole, tails[t]) > 0);
        for (uint32_t f = 0; f < sim_disk_count(whole, tails[t]); f++) {
            const char *file = sim_disk_pick(whole, tails[t], f);
            uint64_t n = sim_disk_size(whole, file);
            for (uint64_t at = 0; at < n; at += at < 4096 ? 1 : 61, tried++)
                flip_and_look(w, whole, file, at, sum);
        }
    }
    assert_true(tried > 4000);
    sim_disk_free(whole);
    end(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_one_voter),
                                       cmocka_unit_test(test_join_and_leave),
                                       cmocka_unit_test(test_room_counts_at_once),
                                       cmocka_unit_test(test_stuck_disk),
                                       cmocka_unit_test(test_all_disks_stuck),
                                       cmocka_unit_test(test_recovery),
                                       cmocka_unit_test(test_old_copy),
                                       cmocka_unit_test(test_each_flip_is_told)};
    return unit_run(tests);
}
