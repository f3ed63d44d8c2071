/*
 * handover_t.c: the authority moves between two stores in memory while clients write: the driver
 * crashes at every request and with every outcome, stores cannot be reached, steps land late,
 * migrations are given up. At every instant at most one store takes a change, it holds everything
 * that was committed, and revisions and epochs never fall. Broken variants of the driver are found.
 */
#define QD_WITH_MUTANTS
#include "../core/cluster/authority/handover.c"
#include "../core/cluster/authority/handover_copy.c"
#include "../core/cluster/authority/handover_plan.c"
#include "unit/cluster/handover_world.h"

QD_MUTANTS_PROGRAM();
QD_MUTANTS_DEFINE(cluster, CLUSTER_MUTANTS);

static void there_and_back(void **state)
{
    (void)state;
    make_world(1);
    assert_int_equal(qd_handover_abort(w->h, NULL), QD_E_NOTFOUND);
    assert_int_equal(qd_handover_finish(w->h, NULL), QD_E_NOTFOUND);
    assert_int_equal(start("old"), QD_E_ARG);
    assert_int_equal(start("elsewhere"), QD_E_ARG);
    assert_int_equal(start("new"), 0);
    assert_int_equal(start("new"), 0); /* once more */
    assert_int_equal(qd_handover_finish(w->h, NULL), QD_E_STATE);
    for (int i = 0; i < 30 && state_of(1) != QD_COORD_ACTIVE; i++) {
        clients();
        (void)turn();
    }
    settle();
    assert_int_equal(state_of(0), QD_COORD_RETIRED);
    assert_int_equal(state_of(1), QD_COORD_ACTIVE);
    assert_int_equal(epoch_in(1), 2);
    assert_int_equal(status().step, QD_HANDOVER_DONE);
    assert_string_equal(status().to, "new");
    qd_handover_wait(w->h, 0); /* of the wish */
    uint64_t begun = qd_env_mono_ns(qd_env_system()), pause = 20000000;
    qd_handover_wait(w->h, pause); /* a driver with nothing to do takes no turns meanwhile */
    assert_true(qd_env_mono_ns(qd_env_system()) >= begun + pause);
    assert_int_equal(qd_handover_abort(w->h, NULL), QD_E_STATE); /* migrate back instead */
    clients();
    assert_int_equal(qd_handover_finish(w->h, NULL), 0);
    (void)turn();
    assert_int_equal(status().step, QD_HANDOVER_NONE);
    assert_int_equal(start("old"), 0); /* the way back */
    settle();
    assert_int_equal(state_of(0), QD_COORD_ACTIVE);
    assert_int_equal(epoch_in(0), 3);
    clients();
    is_sound();
    free_world();
}

static void given_up_before_the_seal(void **state)
{
    (void)state;
    make_world(2);
    assert_int_equal(start("new"), 0);
    until(1, QD_COORD_MIRROR);
    (void)turn();
    assert_int_equal(qd_handover_abort(w->h, NULL), 0);
    assert_int_equal(qd_handover_abort(w->h, NULL), 0);
    settle();
    assert_int_equal(state_of(0), QD_COORD_ACTIVE);
    assert_int_equal(state_of(1), QD_COORD_VOID);
    assert_int_equal(epoch_in(0), 1);
    assert_true(change(0, 1, NULL));
    assert_int_equal(start("new"), 0); /* a later one */
    settle();
    assert_int_equal(state_of(1), QD_COORD_ACTIVE);
    assert_int_equal(epoch_in(1), 3);
    is_sound();
    free_world();
}

/* Crashes the driver when it has sealed the old store, the new one unreachable. */
static void seal_and_lose_the_other(void)
{
    assert_int_equal(start("new"), 0);
    next_step(QD_COORD_SEAL, COORD_MEMORY_DEAF, false);
    until(0, QD_COORD_SEALED);
    assert_int_equal(state_of(1), QD_COORD_MIRROR);
    w->off[1] = true;
}

static void given_up_after_the_seal(void **state)
{
    (void)state;
    make_world(3);
    seal_and_lose_the_other();
    for (int i = 0; i < 5; i++) assert_int_not_equal(turn(), 0); /* blocked: nothing else is safe */
    assert_int_equal(state_of(0), QD_COORD_SEALED);
    assert_int_equal(status().step, QD_HANDOVER_SEALED);
    assert_true(status().error[0]);
    assert_false(change(0, 1, NULL));
    assert_int_not_equal(qd_handover_abort(w->h, NULL), 0);
    w->off[1] = false;
    /* the decision is under way, unknown to all */
    next_step(QD_COORD_ACTIVATE, COORD_MEMORY_LATE, false);
    (void)turn();
    assert_int_equal(qd_handover_abort(w->h, NULL), 0);
    settle();
    assert_int_equal(epoch_in(0), 3);
    assert_true(coord_memory_land(w->m[1]));
    assert_int_equal(state_of(1), QD_COORD_VOID);
    assert_true(change(0, 1, NULL));
    check();
    is_sound();
    free_world();
}

/* Nobody knows whether the new store was made void, nor whether it has taken over: the old one
 * stays sealed. */
static void a_void_without_an_answer(void)
{
    make_world(10);
    seal_and_lose_the_other();
    w->off[1] = false;
    next_step(QD_COORD_ACTIVATE, COORD_MEMORY_LATE, false);
    for (int i = 0; i < 50 && w->strike; i++) (void)turn();
    next_step(QD_COORD_MAKE_VOID, COORD_MEMORY_LOST, true);
    wish(qd_handover_abort(w->h, NULL));
    assert_true(coord_memory_land(w->m[1])); /* it has */
    check();
    settle();
}

static void what_is_not_known_is_not_assumed(void **state)
{
    (void)state;
    a_void_without_an_answer();
    assert_int_equal(state_of(1), QD_COORD_ACTIVE);
    is_sound();
    free_world();
}

static void a_store_of_others_is_left_alone(void **state)
{
    (void)state;
    qd_err err;
    qd_err_init(&err);
    make_world(4);
    assert_int_equal(raw(1, QD_COORD_BEGIN_MIRROR, 0, 5), 0);
    qd_coord_event e = {
        QD_COORD_PUT, 0, {QD_STR("cluster/uuid"), (const uint8_t *)"u2", 2, 1, 1, 1, 0, 0}};
    qd_coord_import x = {.epoch = 5, .revision = 1, .events = &e, .nevents = 1};
    w->client = true;
    assert_int_equal(qd_coord_import_some(w->s[1], &x, 1000, NULL), 0);
    w->client = false;
    assert_int_equal(qd_handover_start(w->h, QD_STR("new"), &err), QD_E_STATE);
    assert_non_null(strstr(qd_err_reason(&err), "[u1]"));
    assert_non_null(strstr(qd_err_reason(&err), "[u2]"));
    qd_err_fini(&err);
    (void)turn();
    assert_int_equal(state_of(1), QD_COORD_MIRROR);
    assert_int_equal(raw(1, QD_COORD_MAKE_VOID, 5, 0), 0);
    assert_int_equal(start("new"), QD_E_STATE);
    free_world();
}

static bool has_identity(int i)
{
    qd_arena a;
    qd_coord_list list;
    qd_arena_init(&a, NULL, 0);
    w->client = true;
    assert_int_equal(qd_coord_read(w->s[i], QD_STR("cluster/uuid"), false, 1000, &a, &list, NULL),
                     0);
    w->client = false;
    bool there = list.n == 1;
    qd_arena_fini(&a);
    return there;
}

/* Another cluster, with a store of its own, wants the same one for its mirror. */
static void another_cluster_is_refused(void)
{
    qd_err err;
    qd_handover *h;
    qd_coord_store *its;
    qd_coord_config k = {.struct_size = sizeof k, .path = QD_STR("its")};
    qd_coord_change uuid = {QD_COORD_PUT, 0, QD_STR("cluster/uuid"), QD_STR("u2"), 0};
    coord_memory *m = coord_memory_make(qd_env_system(), "its");
    qd_err_init(&err);
    assert_int_equal(qd_coord_open(qd_env_system(), coord_memory_vtable(), NULL, &k, &its, NULL),
                     0);
    assert_int_equal(qd_coord_commit(its, NULL, 0, &uuid, 1, 1000, NULL, NULL, NULL), 0);
    qd_handover_config c = {
        .env = qd_env_system(), .store = {its, w->s[1]}, .name = {"its", "new"}, .timeout_ms = 1};
    assert_int_equal(qd_handover_open(&c, &h, NULL), 0);
    w->client = true;
    assert_int_equal(qd_handover_start(h, QD_STR("new"), &err), QD_E_STATE);
    assert_non_null(strstr(qd_err_reason(&err), "holds the cluster with uuid [u1]"));
    w->client = false;
    qd_err_fini(&err);
    qd_handover_close(h);
    qd_coord_close(its);
    coord_memory_free(m);
}

/* However late in the store's history its name was written: it is in the mirror's first import. */
static void a_copy_that_was_cut_off_is_known(void **state)
{
    (void)state;
    make_world(24);
    w->client = true;
    qd_coord_change uuid = {QD_COORD_PUT, 0, QD_STR("cluster/uuid"), QD_STR("u1"), 0};
    assert_int_equal(qd_coord_commit(w->s[0], NULL, 0, &uuid, 1, 1000, &w->revision, NULL, NULL),
                     0);
    w->client = false;
    for (int k = KEYS / 2; k < KEYS; k++) put(0, k, NULL);
    assert_int_equal(start("new"), 0);
    until(1, QD_COORD_MIRROR);
    w->kind = 'i'; /* the second import does not come through, and the driver ends */
    w->action = 0;
    w->strike = 2;
    w->asked = 0;
    w->fault = COORD_MEMORY_OFF;
    for (int i = 0; i < 10 && w->strike; i++) (void)turn();
    assert_int_equal(w->strike, 0);
    qd_coord_identity id;
    identity(1, &id);
    assert_in_range(id.revision, 1, w->revision - 1); /* half copied */
    assert_true(has_identity(1));
    another_cluster_is_refused();
    assert_int_equal(state_of(1), QD_COORD_MIRROR);
    settle(); /* its own goes on with it */
    assert_int_equal(state_of(1), QD_COORD_ACTIVE);
    is_sound();
    free_world();
}

static void a_copy_that_differs_is_made_anew(void **state)
{
    (void)state;
    make_world(5);
    assert_int_equal(start("new"), 0);
    until(1, QD_COORD_MIRROR);
    (void)turn(); /* the plan */
    (void)turn(); /* copied */
    uint64_t epoch = epoch_in(1);
    coord_memory_damage(w->m[1], "key/03", "other");
    uint64_t seen = 0;
    for (int i = 0; i < 50 && epoch_in(1) == epoch; i++) {
        (void)turn();
        if (status().differences) seen = status().differences;
    }
    assert_int_equal(seen, 1);
    assert_int_equal(epoch_in(1), epoch + 1);
    settle();
    assert_int_equal(state_of(1), QD_COORD_ACTIVE);
    is_sound();
    free_world();
}

/* Whatever happens to the copy after the seal: it does not take over with it. */
static void a_copy_that_differs_never_takes_over(void)
{
    make_world(6);
    seal_and_lose_the_other();
    coord_memory_damage(w->m[1], "key/03", "other");
    w->off[1] = false;
    settle();
    if (state_of(0) != QD_COORD_ACTIVE) wrong("a damaged copy is in charge");
}

static void damage_after_the_seal(void **state)
{
    (void)state;
    a_copy_that_differs_never_takes_over();
    assert_int_equal(state_of(1), QD_COORD_VOID);
    assert_int_equal(epoch_in(0), 3);
    is_sound();
    free_world();
}

/* Many small keys and a large one, through small imports; the history is cut in between. */
static void large_states_come_in_batches(void **state)
{
    (void)state;
    make_world(7);
    static char big[300000];
    memset(big, 'v', sizeof big);
    for (int k = 0; k < 500; k++) {
        char key[32];
        snprintf(key, sizeof key, "many/%03d", k);
        qd_coord_change c[2] = {{QD_COORD_PUT, 0, qd_str_c(key), {big, (size_t)k * 3}, 0},
                                {QD_COORD_PUT, 0, QD_STR("big"), {big, sizeof big}, 0}};
        w->client = true;
        assert_int_equal(
            qd_coord_commit(w->s[0], NULL, 0, c, k % 50 ? 1 : 2, 1000, &w->revision, NULL, NULL),
            0);
        w->client = false;
    }
    restart();
    assert_int_equal(start("new"), 0);
    until(1, QD_COORD_MIRROR);
    (void)turn();
    (void)turn();
    for (int i = 0; i < 30; i++) clients();
    coord_memory_compact(w->m[0]);
    restart(); /* the new driver finds no history, and keys that are gone */
    for (int i = 0; i < 5; i++) clients();
    settle();
    assert_int_equal(state_of(1), QD_COORD_ACTIVE);
    assert_int_equal(epoch_in(1), 2); /* the first copy was brought on */
    is_sound();
    free_world();
}

/* Three clean rounds come before the seal. */
static bool seals_after_three_rounds(void)
{
    make_world(8);
    assert_int_equal(start("new"), 0);
    uint32_t rounds = 0;
    for (int i = 0; i < 100 && state_of(1) != QD_COORD_ACTIVE; i++) {
        if (state_of(0) == QD_COORD_ACTIVE) rounds = status().rounds;
        (void)turn();
    }
    bool ok = rounds == 3;
    free_world();
    return ok;
}

/* So many keys made at once. */
static void make_many(const char *prefix, uint32_t n)
{
    qd_coord_change *c = calloc(n, sizeof *c);
    char(*keys)[32] = calloc(n, sizeof *keys);
    for (uint32_t k = 0; k < n; k++) {
        snprintf(keys[k], sizeof keys[k], "%s/%05u", prefix, k);
        c[k] = (qd_coord_change){QD_COORD_PUT, 0, qd_str_c(keys[k]), QD_STR("v"), 0};
    }
    w->client = true;
    assert_int_equal(qd_coord_commit(w->s[0], NULL, 0, c, n, 1000, &w->revision, NULL, NULL), 0);
    w->client = false;
    free(keys);
    free(c);
}

/* Small keys by the thousand: an import takes no more of them than the store does, also where the
 * last revision that would fit by its bytes is one of several keys. */
static void imports_are_of_as_many_keys_as_the_store_takes(void **state)
{
    (void)state;
    make_world(25);
    w->batch_bytes = (size_t)4 << 20;
    restart();
    uint32_t most = qd_coord_limits(w->s[1])->txn_ops_max;
    make_many("first", most - 30);
    make_many("second", 100);
    assert_int_equal(start("new"), 0);
    settle();
    assert_int_equal(state_of(1), QD_COORD_ACTIVE);
    is_sound();
    free_world();
}

static void three_clean_rounds(void **state)
{
    (void)state;
    assert_true(seals_after_three_rounds());
}

/* Turns until the second store has all of the first. */
static void catch_up(void)
{
    qd_coord_identity id[2];
    for (int i = 0; i < 500; i++) {
        (void)turn();
        for (int k = 0; k < 2; k++) identity(k, &id[k]);
        if (id[1].state == QD_COORD_MIRROR && id[1].revision == id[0].revision) return;
        qd_env_sleep_ns(qd_env_system(), 1000000);
    }
    fail_msg("the mirror does not catch up");
}

/* A mirror is kept beside the store in charge, seals nothing, and is where a migration begins. */
static void a_mirror_is_kept(void **state)
{
    (void)state;
    kept = "new";
    make_world(10);
    catch_up();
    for (int i = 0; i < 20; i++) {
        clients();
        catch_up();
    }
    assert_int_equal(state_of(0), QD_COORD_ACTIVE);
    assert_true(status().kept);
    assert_int_equal(status().step, QD_HANDOVER_MIRROR);
    assert_int_equal(qd_handover_abort(w->h, NULL), QD_E_NOTFOUND);
    assert_int_equal(qd_handover_finish(w->h, NULL), QD_E_NOTFOUND);
    uint64_t epoch = epoch_in(1);
    assert_int_equal(start("new"), 0);
    until(1, QD_COORD_ACTIVE);
    assert_int_equal(epoch_in(1), epoch); /* the same mirror */
    settle();
    assert_false(status().kept);
    /* back, finished: it is kept again */
    assert_int_equal(start("old"), 0);
    until(0, QD_COORD_ACTIVE);
    settle();
    assert_int_equal(qd_handover_finish(w->h, NULL), 0);
    catch_up();
    assert_int_equal(state_of(0), QD_COORD_ACTIVE);
    is_sound();
    free_world();
    kept = NULL;
}

/* Another change is there whenever an import ends, for as long as there are any left. */
static uint32_t busy_changes;
static coord_memory_fault busy(void *arg, char kind, uint32_t action)
{
    (void)arg;
    (void)action;
    if (kind != 'i' || !busy_changes || state_of(0) != QD_COORD_ACTIVE) return COORD_MEMORY_PASS;
    busy_changes--;
    assert_true(change(0, (int)rnd(KEYS), NULL));
    qd_mutex_lock(&w->h->lock);
    while (!w->h->first) (void)qd_cond_wait_until(&w->h->wake, &w->h->lock, UINT64_MAX);
    qd_mutex_unlock(&w->h->lock);
    return COORD_MEMORY_PASS;
}

/* Clients that never pause keep no driver from its plan: the turn ends, and a wish is seen. */
static void clients_that_never_pause(void **state)
{
    (void)state;
    kept = "new";
    make_world(11);
    catch_up();
    assert_true(change(0, 1, NULL));
    coord_memory_hook(w->m[1], busy, NULL);
    busy_changes = 1000;
    for (int i = 0; i < 5000 && busy_changes == 1000; i++) {
        (void)turn();
        qd_env_sleep_ns(qd_env_system(), 1000000);
    }
    assert_in_range(busy_changes, 990, 999);
    assert_int_equal(start("new"), 0);
    until(1, QD_COORD_ACTIVE);
    assert_true(busy_changes > 900);
    busy_changes = 0;
    coord_memory_hook(w->m[1], ask_second, NULL);
    settle();
    is_sound();
    free_world();
    kept = NULL;
}

/* A driver that is late begins another mirror while the store is sealed for the one before, and an
 * unseal is still under way: that mirror must not take over. */
static void only_the_plans_mirror(void)
{
    make_world(9);
    assert_int_equal(start("new"), 0);
    next_step(QD_COORD_SEAL, COORD_MEMORY_LATE, false);
    for (int i = 0; i < 50 && w->strike; i++) (void)turn();
    uint64_t t = epoch_in(1);
    assert_int_equal(raw(1, QD_COORD_MAKE_VOID, t, 0), 0);
    assert_true(coord_memory_land(w->m[0])); /* sealed, for a mirror that is void */
    assert_int_equal(state_of(0), QD_COORD_SEALED);
    next_step(QD_COORD_UNSEAL, COORD_MEMORY_LATE, false);
    for (int i = 0; i < 50 && w->strike; i++) (void)turn();
    assert_int_equal(raw(1, QD_COORD_BEGIN_MIRROR, t, t + 1), 0);
    for (int i = 0; i < 20 && state_of(1) != QD_COORD_ACTIVE; i++) (void)turn();
    while (coord_memory_land(w->m[0])) check();
    check();
    settle();
}

static void other_mirrors_never_take_over(void **state)
{
    (void)state;
    only_the_plans_mirror();
    assert_int_equal(state_of(0), QD_COORD_ACTIVE);
    is_sound();
    free_world();
}

/* --- crashes --- */

static const coord_memory_fault faults[] = {COORD_MEMORY_OFF, COORD_MEMORY_LOST, COORD_MEMORY_DEAF,
                                            COORD_MEMORY_LATE};

/* One migration whose driver crashes at request `strike`, or only that request fails; then it is
 * given up or not. false: there are not so many requests. */
static bool crash_at(uint32_t strike, coord_memory_fault fault, bool give_up, bool survives)
{
    make_world(strike);
    w->survives = survives;
    assert_int_equal(start("new"), 0);
    w->asked = 0;
    w->strike = strike;
    w->fault = fault;
    bool met = false;
    for (int i = 0; i < 200 && !met && !w->wrong[0]; i++) {
        if (i % 3 == 0) clients();
        (void)turn();
        met = !w->strike;
        if (settled()) break;
    }
    w->strike = 0;
    if (give_up) wish(qd_handover_abort(w->h, NULL));
    if (rnd(2)) clients();
    for (int i = 0; i < 2; i++) (void)turn();
    clients();
    for (int i = 0; i < 2; i++)
        while (coord_memory_land(w->m[i])) check();
    settle();
    clients();
    if (state_of(0) != QD_COORD_ACTIVE && state_of(1) != QD_COORD_ACTIVE) wrong("none is active");
    return met;
}

static void crashes_at_every_request(void **state)
{
    (void)state;
    uint32_t last = 0;
    for (size_t f = 0; f < QD_COUNT_OF(faults); f++) {
        for (int how = 0; how < 4; how++) {
            bool met = true;
            for (uint32_t k = 1; met; k++) {
                met = crash_at(k, faults[f], how & 1, how & 2);
                if (w->wrong[0])
                    fail_msg("request %u, fault %d, way %d: %s", k, (int)faults[f], how, w->wrong);
                free_world();
                last = k;
            }
        }
    }
    assert_true(last > 30);
}

/* --- seeds --- */

static void random_step(void)
{
    switch (rnd(14)) {
    case 0:
        (void)start(state_of(0) == QD_COORD_ACTIVE ? "new" : "old");
        break;
    case 1:
        if (rnd(3) == 0) wish(qd_handover_abort(w->h, NULL));
        break;
    case 2:
        if (rnd(3) == 0) wish(qd_handover_finish(w->h, NULL));
        break;
    case 3:
        w->off[rnd(2)] = rnd(2);
        break;
    case 4:
        (void)coord_memory_land(w->m[rnd(2)]);
        break;
    case 5:
        if (rnd(4) == 0) coord_memory_compact(w->m[rnd(2)]);
        break;
    case 6:
        w->asked = 0;
        w->strike = 1 + (uint32_t)rnd(12);
        w->fault = faults[rnd(4)];
        w->survives = rnd(2);
        w->kind = rnd(2) ? 'a' : 0;
        w->action = QD_COORD_SEAL + (uint32_t)rnd(6);
        if (w->kind) w->strike = 1;
        break;
    case 7:
    case 8:
        clients();
        break;
    default:
        (void)turn();
    }
    if (w->crashed) restart();
    check();
}

static void run_seed(uint64_t seed)
{
    make_world(seed);
    for (int i = 0; i < 150 && !w->wrong[0]; i++) random_step();
    w->off[0] = w->off[1] = false;
    w->strike = 0;
    for (int i = 0; i < 2; i++)
        while (coord_memory_land(w->m[i])) check();
    if (!w->wrong[0]) settle();
    if (!w->wrong[0] && state_of(0) != QD_COORD_ACTIVE && state_of(1) != QD_COORD_ACTIVE)
        wrong("none is active");
    clients();
}

static void seeds(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= unit_rounds(150); seed++) {
        run_seed(seed);
        if (w->wrong[0]) fail_msg("seed %llu: %s", (unsigned long long)seed, w->wrong);
        free_world();
    }
}

/* --- broken variants --- */

static bool end_found(void)
{
    bool found = w->wrong[0] != 0;
    free_world();
    return found;
}

static bool is_found(int variant)
{
    bool found = false;
    qd_mutant_choose(&qd_mutants_cluster, variant);
    if (QD_MUTANT(cluster, EARLY_SEAL)) found = !seals_after_three_rounds();
    if (!found) {
        a_copy_that_differs_never_takes_over();
        found = end_found();
    }
    if (!found) {
        only_the_plans_mirror();
        found = end_found();
    }
    if (!found) {
        a_void_without_an_answer();
        found = end_found();
    }
    for (size_t f = 0; f < QD_COUNT_OF(faults) && !found; f++) {
        for (uint32_t k = 1; k < 60 && !found; k++) {
            (void)crash_at(k, faults[f], k % 2, k % 3 == 0);
            found = end_found();
        }
    }
    for (uint64_t seed = 1; seed <= 300 && !found; seed++) {
        run_seed(seed);
        found = end_found();
    }
    qd_mutant_choose(&qd_mutants_cluster, 0);
    return found;
}

static void broken_variants_are_found(void **state)
{
    (void)state;
    for (int v = QD_MUTANT_NUMBER(cluster, NO_REST); v <= qd_mutants_cluster.n; v++) {
        if (!is_found(v)) fail_msg("%s is not found", qd_mutants_cluster.rows[v - 1].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(given_up_before_the_seal),
        cmocka_unit_test(given_up_after_the_seal),
        cmocka_unit_test(what_is_not_known_is_not_assumed),
        cmocka_unit_test(a_store_of_others_is_left_alone),
        cmocka_unit_test(a_copy_that_was_cut_off_is_known),
        cmocka_unit_test(a_copy_that_differs_is_made_anew),
        cmocka_unit_test(damage_after_the_seal),
        cmocka_unit_test(large_states_come_in_batches),
        cmocka_unit_test(imports_are_of_as_many_keys_as_the_store_takes),
        cmocka_unit_test(three_clean_rounds),
        cmocka_unit_test(a_mirror_is_kept),
        cmocka_unit_test(clients_that_never_pause),
        cmocka_unit_test(other_mirrors_never_take_over),
        cmocka_unit_test(crashes_at_every_request),
        cmocka_unit_test(seeds),
        cmocka_unit_test(broken_variants_are_found),
    };
    return unit_run(tests);
}
