/*
 * shard_edit_t.c: random steps on a shard's record beside a model of what each copy's disk holds.
 * After every step the record is sound, survives its stored form, each copy in sync holds every
 * acknowledged operation, the term never falls and rises with each primary.
 */
#include "base/str.h"
#include "cluster/state/shard_edit.h"
#include "runtime/env.h"
#include "unit/unit.h"

#define NODES 5
#define COPIES 400

/* What a copy's disk holds: operations 0 .. n - 1. */
typedef struct disk {
    char id[16];
    uint32_t node;
    uint64_t ops;
    bool used;
} disk;

typedef struct model {
    qd_prng rng;
    qd_arena arena;
    qd_shard_meta s;
    disk disks[COPIES];
    uint32_t ndisks;
    uint32_t process[NODES]; /* number of the node's process */
    bool up[NODES];
    uint64_t acked, terms_used;
    qd_str primary;
    uint64_t term;
} model;

static uint32_t pick(model *m, uint32_t n)
{
    return (uint32_t)qd_prng_below(&m->rng, n);
}

static qd_str node_name(uint32_t n)
{
    static const char *const names[NODES] = {"n0", "n1", "n2", "n3", "n4"};
    return qd_str_c(names[n]);
}

static uint32_t node_of(qd_str name)
{
    return (uint32_t)(name.p[1] - '0');
}

static qd_str process_name(model *m, uint32_t n)
{
    return qd_arena_printf(&m->arena, "p%u.%u", n, m->process[n]);
}

static disk *disk_of(model *m, qd_str id)
{
    for (uint32_t i = 0; i < m->ndisks; i++) {
        if (qd_str_is(id, m->disks[i].id)) return &m->disks[i];
    }
    fail_msg("no disk of [%.*s]", QD_STR_ARG(id));
    return NULL;
}

static bool lives(void *arg, const qd_copy *c)
{
    model *m = arg;
    uint32_t n = node_of(c->node);
    return m->up[n] && qd_str_eq(c->ephemeral, process_name(m, n));
}

static qd_shard_place new_place(model *m, uint32_t n)
{
    disk *d = &m->disks[m->ndisks++];
    assert_true(m->ndisks < COPIES);
    snprintf(d->id, sizeof d->id, "a%u", m->ndisks);
    d->node = n;
    return (qd_shard_place){qd_str_c(d->id), node_name(n), process_name(m, n)};
}

static void check(model *m, const qd_shard_meta *before)
{
    qd_err err;
    qd_buf b;
    qd_json_writer w;
    qd_shard_meta back;
    qd_err_init(&err);
    if (qd_shard_meta_check(&m->s, &err)) fail_msg("%s", qd_err_reason(&err));
    for (uint32_t i = 0; i < m->s.nin_sync; i++) {
        assert_true(disk_of(m, m->s.in_sync[i].allocation_id)->ops >= m->acked);
    }
    assert_true(m->s.primary_term >= before->primary_term);
    if (m->s.primary.n && !qd_str_eq(m->s.primary, before->primary)) {
        assert_true(m->s.primary_term > before->primary_term);
    }
    qd_buf_init(&b, NULL, 1 << 20);
    qd_json_writer_init(&w, &b, false);
    qd_shard_meta_encode(&m->s, &w);
    if (qd_shard_meta_decode(qd_buf_view(&b), &m->arena, &back, &err)) {
        fail_msg("%s", qd_err_reason(&err));
    }
    assert_int_equal(back.ncopies, m->s.ncopies);
    assert_int_equal(back.nin_sync, m->s.nin_sync);
    assert_true(qd_str_eq(back.primary, m->s.primary));
    for (uint32_t i = 0; i < back.ncopies; i++) {
        assert_int_equal(back.copies[i].state, m->s.copies[i].state);
        assert_true(qd_str_eq(back.copies[i].partner, m->s.copies[i].partner));
        assert_int_equal(back.copies[i].failures, m->s.copies[i].failures);
    }
    qd_buf_fini(&b);
}

/* The primary writes an operation: to each copy in sync that it reaches; the others leave first. */
static void write_op(model *m, qd_shard_edit *e)
{
    if (!qd_shard_meta_is_started(&e->s) || !lives(m, &e->copies[0])) return;
    qd_str primary = e->s.primary;
    for (uint32_t i = e->s.nin_sync; i-- > 0;) {
        if (i >= e->s.nin_sync) continue;
        qd_str id = e->s.in_sync[i].allocation_id;
        const qd_copy *c = qd_shard_meta_copy(&e->s, id);
        if (qd_str_eq(id, primary)) continue;
        if (!c) {
            assert_int_equal(qd_shard_edit_stale(e, id), 0);
        } else if (!lives(m, c) || pick(m, 8) == 0) {
            assert_int_equal(qd_shard_edit_fail(e, id, QD_UNASSIGNED_ALLOCATION_FAILED,
                                                QD_STR("no answer"), true),
                             0);
        }
    }
    for (uint32_t i = 0; i < e->s.nin_sync; i++) {
        disk_of(m, e->s.in_sync[i].allocation_id)->ops = m->acked + 1;
    }
    m->acked++;
}

static void step(model *m)
{
    qd_shard_edit e;
    qd_shard_meta before = m->s;
    uint32_t n = pick(m, NODES), i;
    int rc = 0;
    assert_int_equal(qd_shard_edit_begin(&e, &m->arena, &m->s, 1000), 0);
    const qd_copy *c = &e.copies[i = pick(m, e.s.ncopies)];
    switch (pick(m, 14)) {
    case 0: /* a node's process ends */
        m->up[n] = false;
        return;
    case 1:
        if (!m->up[n]) m->process[n]++;
        m->up[n] = true;
        return;
    case 2:
        rc = qd_shard_edit_gone(&e, lives, m, QD_UNASSIGNED_NODE_LEFT);
        break;
    case 3:
        if (m->up[n] && e.s.fresh) {
            qd_shard_place p = new_place(m, n);
            rc = qd_shard_edit_assign_primary(&e, &p, QD_FORCE_NONE);
        } else if (e.s.nin_sync) {
            const qd_in_sync *a = &e.s.in_sync[pick(m, e.s.nin_sync)];
            n = node_of(a->node);
            qd_shard_place p = {a->allocation_id, a->node, process_name(m, n)};
            if (m->up[n]) rc = qd_shard_edit_assign_primary(&e, &p, QD_FORCE_NONE);
        }
        break;
    case 4:
    case 5:
        if (m->up[n]) {
            qd_shard_place p = new_place(m, n);
            rc = qd_shard_edit_assign_replica(&e, &p);
        }
        break;
    case 6:
        if (m->up[n] && qd_copy_is_assigned(c)) {
            qd_shard_place p = new_place(m, n);
            rc = qd_shard_edit_relocate(&e, c->allocation_id, &p);
        }
        break;
    case 7: /* the primary has filled a copy and sees it in sync */
    case 8:
        if (i && c->state == QD_SHARD_INITIALIZING && lives(m, &e.copies[0])) {
            disk_of(m, c->allocation_id)->ops = disk_of(m, e.s.primary)->ops;
            rc = qd_shard_edit_admit(&e, c->allocation_id);
            assert_int_equal(rc, 0);
        }
        break;
    case 9:
    case 10:
        if (c->state == QD_SHARD_INITIALIZING && lives(m, c)) {
            rc = qd_shard_edit_start(&e, c->allocation_id);
        }
        break;
    case 11:
        if (qd_copy_is_assigned(c)) {
            rc = qd_shard_edit_fail(&e, c->allocation_id, QD_UNASSIGNED_ALLOCATION_FAILED,
                                    QD_STR("broken"), pick(m, 2));
            assert_int_equal(rc, 0);
        }
        break;
    case 12:
        rc = qd_shard_edit_replicas(&e, pick(m, 4));
        assert_int_equal(rc, 0);
        break;
    default:
        write_op(m, &e);
    }
    assert_true(rc == 0 || rc == QD_E_CONFLICT);
    if (rc) return; /* the record stays as it was */
    m->s = e.s;
    check(m, &before);
}

static void no_step_loses_a_copy_in_sync(void **state)
{
    (void)state;
    uint64_t written = 0;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        static model m;
        qd_shard_edit e;
        memset(&m, 0, sizeof m);
        qd_prng_init(&m.rng, seed);
        qd_arena_init(&m.arena, NULL, 0);
        for (uint32_t i = 0; i < NODES; i++) m.up[i] = true;
        assert_int_equal(qd_shard_edit_new(&e, &m.arena, pick(&m, 4), 1000), 0);
        m.s = e.s;
        for (int i = 0; i < 600; i++) step(&m);
        written += m.acked;
        qd_arena_fini(&m.arena);
    }
    assert_true(written > 1000); /* the steps do lead somewhere */
}

static void a_primary_moves_in_one_step(void **state)
{
    (void)state;
    qd_arena a;
    qd_shard_edit e;
    qd_arena_init(&a, NULL, 0);
    assert_int_equal(qd_shard_edit_new(&e, &a, 1, 1), 0);
    qd_shard_place p = {QD_STR("a1"), QD_STR("n1"), QD_STR("e1")},
                   to = {QD_STR("a2"), QD_STR("n2"), QD_STR("e2")};
    assert_int_equal(qd_shard_edit_assign_primary(&e, &p, QD_FORCE_NONE), 0);
    assert_int_equal(qd_shard_edit_start(&e, p.allocation_id), 0);
    assert_int_equal(qd_shard_edit_relocate(&e, p.allocation_id, &to), 0);
    assert_int_equal(qd_shard_edit_start(&e, to.allocation_id), QD_E_CONFLICT); /* not in sync */
    assert_int_equal(qd_shard_edit_admit(&e, to.allocation_id), 0);
    assert_int_equal(qd_shard_edit_start(&e, to.allocation_id), 0);
    assert_true(qd_str_is(e.s.primary, "a2"));
    assert_int_equal(e.s.primary_term, 2);
    assert_int_equal(e.s.nin_sync, 1);
    assert_int_equal(qd_shard_meta_check(&e.s, NULL), 0);
    qd_arena_fini(&a);
}

static void promotion_takes_a_started_copy_at_once(void **state)
{
    (void)state;
    qd_arena a;
    qd_shard_edit e;
    qd_arena_init(&a, NULL, 0);
    assert_int_equal(qd_shard_edit_new(&e, &a, 2, 1), 0);
    qd_shard_place p[] = {{QD_STR("a1"), QD_STR("n1"), QD_STR("e1")},
                          {QD_STR("a2"), QD_STR("n2"), QD_STR("e2")},
                          {QD_STR("a3"), QD_STR("n3"), QD_STR("e3")}};
    assert_int_equal(qd_shard_edit_assign_primary(&e, &p[0], QD_FORCE_NONE), 0);
    assert_int_equal(qd_shard_edit_assign_replica(&e, &p[1]), QD_E_CONFLICT); /* not yet */
    assert_int_equal(qd_shard_edit_start(&e, p[0].allocation_id), 0);
    assert_int_equal(qd_shard_edit_assign_replica(&e, &p[1]), 0);
    assert_int_equal(qd_shard_edit_assign_replica(&e, &p[2]), 0);
    assert_int_equal(qd_shard_edit_admit(&e, p[2].allocation_id), 0);
    assert_int_equal(qd_shard_edit_start(&e, p[2].allocation_id), 0);
    assert_int_equal(
        qd_shard_edit_fail(&e, QD_STR("a1"), QD_UNASSIGNED_NODE_LEFT, QD_STR(""), false), 0);
    assert_true(qd_str_is(e.s.primary, "a3"));
    assert_int_equal(e.s.primary_term, 2);
    assert_int_equal(e.copies[0].state, QD_SHARD_STARTED);
    assert_null(qd_shard_meta_copy(&e.s, QD_STR("a2")));        /* was being filled: begins again */
    assert_non_null(qd_shard_meta_in_sync(&e.s, QD_STR("a1"))); /* until the primary says so */
    assert_int_equal(qd_shard_edit_stale(&e, QD_STR("a1")), 0);
    assert_int_equal(qd_shard_edit_stale(&e, QD_STR("a3")), QD_E_CONFLICT);
    assert_int_equal(qd_shard_meta_check(&e.s, NULL), 0);
    qd_arena_fini(&a);
}

static void damaged_records_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "{}",
        "[]",
        "{\"primary_term\":1,\"fresh\":false,\"copies\":[],\"in_sync\":[]}",
        "{\"primary_term\":-1,\"fresh\":true,\"copies\":[{\"state\":\"UNASSIGNED\",\"recovery\":"
        "\"PEER\"}],\"in_sync\":[]}",
        "{\"primary_term\":1,\"fresh\":true,\"copies\":[{\"state\":\"LOST\",\"recovery\":\"PEER\"}]"
        ",\"in_sync\":[]}",
        "{\"primary_term\":1,\"fresh\":false,\"copies\":[{\"state\":\"STARTED\",\"recovery\":"
        "\"PEER\",\"id\":\"a\",\"node\":\"n\"}],\"in_sync\":[{\"id\":\"b\",\"node\":\"n\"}]}",
        "{\"primary_term\":1,\"fresh\":false,\"copies\":[{\"state\":\"STARTED\",\"recovery\":"
        "\"PEER\",\"id\":\"a\",\"node\":7}],\"in_sync\":[{\"id\":\"a\",\"node\":\"n\"}]}",
        "{\"primary_term\":1,\"fresh\":false,\"copies\":7,\"in_sync\":[]}",
        "{\"primary_term\":1,\"fresh\":false,\"copies\":[7],\"in_sync\":[7]}",
    };
    qd_arena a;
    qd_shard_meta s;
    qd_arena_init(&a, NULL, 0);
    for (size_t i = 0; i < QD_COUNT_OF(bad); i++) {
        assert_int_not_equal(qd_shard_meta_decode(qd_str_c(bad[i]), &a, &s, NULL), 0);
    }
    /* as written before shards had replicas */
    assert_int_equal(
        qd_shard_meta_decode(QD_STR("{\"state\":\"STARTED\",\"primary_term\":3,\"primary\":\"a\","
                                    "\"node\":\"n\",\"fresh\":false,\"in_sync\":[\"a\"]}"),
                             &a, &s, NULL),
        0);
    assert_true(qd_shard_meta_is_started(&s) && s.nin_sync == 1 && s.primary_term == 3);
    qd_arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_step_loses_a_copy_in_sync),
        cmocka_unit_test(a_primary_moves_in_one_step),
        cmocka_unit_test(promotion_takes_a_started_copy_at_once),
        cmocka_unit_test(damaged_records_are_refused),
    };
    return unit_run(tests);
}
