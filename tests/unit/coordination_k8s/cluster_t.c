/*
 * cluster_t.c: the plugin coordination-k8s over a model of an API server: one control node and
 * three, in one process: the SDK's kit, changes of leader, an API server that is cut off.
 */
#include "base/str.h"
#include "plugin/conform.h"
#include "rig_api.h"
#include "unit/lib/coord_rig.h"
#include "unit/unit.h"
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#define B QD_COORD_OPEN_BOOTSTRAP

static kube_model *the_model;

/* n control nodes that run, and room for one more. */
static rig *nodes(int n)
{
    the_model = rig_api_make(7);
    rig *r = rig_make(n + 1);
    for (int i = 0; i < n; i++) assert_int_equal(rig_start(r, i, RIG_PEERS, 0, B), 0);
    assert_true(rig_settled(r));
    return r;
}

static void end(rig *r)
{
    rig_free(r);
    rig_api_free();
}

static int other(int i, int k)
{
    return (i + 1 + k) % 3;
}

/* --- the kit of the SDK --- */

static void kit_line(void *arg, const char *text)
{
    qd_buf_printf(arg, "%s\n", text);
}

static void conforms(int n, bool through_leader)
{
    rig *r = nodes(n);
    int leader = rig_leader_of_all(r);
    qd_buf out;
    /* the rig knows where its API is; the kit wants to be told that there is one */
    static const qd_pair where = {QD_STR("k8s.namespace"), QD_STR("default")};
    qd_conform_run run;
    qd_buf_init(&out, NULL, 1 << 20);
    qd_conform_begin(&run, qd_env_system(), NULL, QD_STR("/nowhere"), &where, 1, kit_line, &out);
    qd_conform_kind(&run, QD_KIND_COORDINATION, "control nodes",
                    rig_conform_vtable(r, through_leader ? leader : other(leader, 0)));
    uint32_t failures = qd_conform_end(&run);
    if (failures || getenv("RIG_LOG")) print_message("%s", out.p);
    assert_int_equal(failures, 0);
    qd_buf_fini(&out);
    end(r);
}

static void one_conforms(void **state)
{
    (void)state;
    conforms(1, true);
}

static void three_conform_through_a_follower(void **state)
{
    (void)state;
    conforms(3, false);
}

/* --- changes of leader --- */

static void large_values_come_back(void **state)
{
    (void)state;
    rig *r = nodes(3);
    int follower = other(rig_leader_of_all(r), 0);
    size_t n = 5u << 20;
    char *value = malloc(n + 1), *back = malloc(n + 1);
    for (size_t i = 0; i < n; i++) value[i] = (char)('a' + (i * 7 + i / 4099) % 26);
    value[n] = 0;
    assert_int_equal(rig_put(r, follower, "large", value, n, 0, RIG_WAIT, NULL), 0);
    for (int k = 0; k < 3; k++) {
        assert_int_equal(rig_get(r, k, "large", back, n + 1, NULL, 0, RIG_WAIT), 0);
        assert_memory_equal(back, value, n);
    }
    free(value);
    free(back);
    end(r);
}

/* Puts so many keys that checkpoints are made. */
static void put_many(rig *r, int i, int n)
{
    char key[32], value[400];
    for (int k = 0; k < n; k++) {
        snprintf(key, sizeof key, "many/%03d", k);
        memset(value, 'a' + k % 26, sizeof value);
        assert_int_equal(rig_put(r, i, key, value, 200 + (size_t)k % 200, 0, RIG_WAIT, NULL), 0);
    }
}

static void see_many(rig *r, int i, int n)
{
    char key[32], value[400];
    for (int k = 0; k < n; k++) {
        snprintf(key, sizeof key, "many/%03d", k);
        assert_int_equal(rig_get(r, i, key, value, sizeof value, NULL, 0, RIG_WAIT), 0);
        assert_int_equal(strlen(value), 200 + k % 200);
        assert_int_equal(value[0], 'a' + k % 26);
    }
}

/* All stop; whoever starts again loads pages and tail. */
static void the_state_outlives_all_nodes(void **state)
{
    (void)state;
    enum { KEYS = 150 };
    rig *r = nodes(3);
    put_many(r, 0, KEYS);
    for (int i = 0; i < 3; i++) rig_stop(r, i);
    json_t *root = kube_model_get(the_model, "quidditchstates", "default", "rig");
    const char *checkpoint =
        json_string_value(json_object_get(json_object_get(root, "spec"), "checkpoint"));
    assert_non_null(checkpoint);
    assert_string_not_equal(checkpoint, "0");
    json_decref(root);
    for (int i = 0; i < 3; i++) assert_int_equal(rig_start(r, i, RIG_PEERS, 0, B), 0);
    assert_true(rig_settled(r));
    for (int i = 0; i < 3; i++) see_many(r, i, KEYS);
    end(r);
}

static void who_stops_is_followed_at_once(void **state)
{
    (void)state;
    rig *r = nodes(3);
    for (int round = 0; round < 3; round++) {
        int leader = rig_leader_of_all(r);
        assert_true(leader >= 0);
        rig_stop(r, leader);
        json_t *lease = kube_model_get(the_model, "leases", "default", "rig-leader");
        const char *holder =
            json_string_value(json_object_get(json_object_get(lease, "spec"), "holderIdentity"));
        char name[8];
        snprintf(name, sizeof name, "m%d_", leader + 1);
        assert_true(!holder || strncmp(holder, name, 3) != 0); /* given up, or taken already */
        json_decref(lease);
        assert_int_equal(rig_put(r, other(leader, 0), "k", "v", 1, 0, RIG_WAIT, NULL), 0);
        assert_int_not_equal(rig_leader_of_all(r), leader);
        assert_int_equal(rig_start(r, leader, RIG_PEERS, 0, B), 0);
        assert_true(rig_settled(r));
    }
    end(r);
}

/* It ends without a word; its connections tell. */
static void who_is_gone_is_followed_before_its_lease_ends(void **state)
{
    (void)state;
    rig *r = nodes(3);
    int leader = rig_leader_of_all(r);
    assert_int_equal(rig_put(r, leader, "k", "v", 1, 0, RIG_WAIT, NULL), 0);
    rig_api_cut(leader, true);
    rig_kill(r, leader);
    rig_tell_gone(r, leader);
    int64_t at = rig_now_ms();
    assert_int_equal(rig_put(r, other(leader, 1), "k", "w", 1, 0, RIG_WAIT, NULL), 0);
    assert_true(rig_now_ms() - at < 12000); /* of a lease of 15 s */
    rig_api_cut(leader, false);
    assert_int_equal(rig_start(r, leader, RIG_PEERS, 0, B), 0);
    assert_true(rig_settled(r));
    char value[8];
    assert_int_equal(rig_get(r, leader, "k", value, sizeof value, NULL, 0, RIG_WAIT), 0);
    assert_string_equal(value, "w");
    end(r);
}

/* Nobody hears that it is cut off: its lease runs out, and it does not lead any more. */
static void who_is_cut_off_is_followed_when_its_lease_ends(void **state)
{
    (void)state;
    static const qd_pair quick[] = {{QD_STR("k8s.lease_duration"), QD_STR("3s")},
                                    {QD_STR("k8s.renew_interval"), QD_STR("1s")},
                                    {QD_STR("k8s.retry_interval"), QD_STR("200ms")}};
    rig_options(quick, 3);
    rig *r = nodes(3);
    int leader = rig_leader_of_all(r), here = other(leader, 0);
    uint64_t session = 0;
    assert_int_equal(rig_session(r, here, QD_COORD_SESSION_OPEN, &session, 60000, RIG_WAIT), 0);
    rig_api_cut(leader, true);
    rig_isolate(r, leader, true);
    int64_t at = rig_now_ms();
    assert_int_equal(rig_put(r, here, "k", "w", 1, 0, RIG_WAIT, NULL), 0);
    assert_true(rig_now_ms() - at >=
                1000); /* not before: its lease was renewed a second ago at most */
    /* what it says itself: neither is anything renewed nor changed */
    int32_t rc = rig_session(r, leader, QD_COORD_SESSION_KEEP, &session, 0, 2000);
    assert_int_not_equal(rc, 0);
    assert_int_not_equal(rig_put(r, leader, "k", "old", 3, 0, 2000, NULL), 0);
    rig_api_cut(leader, false);
    rig_isolate(r, leader, false);
    assert_true(rig_settled(r));
    char value[8];
    assert_int_equal(rig_get(r, leader, "k", value, sizeof value, NULL, 0, RIG_WAIT), 0);
    assert_string_equal(value, "w");
    assert_int_not_equal(rig_leader_of_all(r), leader);
    rig_options(NULL, 0);
    end(r);
}

/* Whose machine was suspended for longer than its lease knows it when it wakes up, though its
 * monotonic clock stood still: it tells nobody that a session goes on that another leader counts.
 */
static void who_was_suspended_is_not_sure_any_more(void **state)
{
    (void)state;
    rig *r = nodes(3);
    int leader = rig_leader_of_all(r), here = other(leader, 0);
    uint64_t session = 0;
    assert_int_equal(rig_session(r, leader, QD_COORD_SESSION_OPEN, &session, 60000, RIG_WAIT), 0);
    assert_int_equal(rig_session(r, leader, QD_COORD_SESSION_KEEP, &session, 0, RIG_WAIT), 0);
    rig_api_cut(leader, true);
    rig_isolate(r, leader, true);
    rig_suspend(r, leader, 16000);
    /* at once: it is the clock that told, not time */
    assert_int_not_equal(rig_session(r, leader, QD_COORD_SESSION_KEEP, &session, 0, 1000), 0);
    assert_int_equal(rig_put(r, here, "k", "w", 1, 0, RIG_WAIT, NULL), 0);
    assert_int_not_equal(rig_session(r, leader, QD_COORD_SESSION_KEEP, &session, 0, 1000), 0);
    rig_api_cut(leader, false);
    rig_isolate(r, leader, false);
    assert_true(rig_settled(r));
    assert_int_not_equal(rig_leader_of_all(r), leader);
    assert_int_equal(rig_session(r, leader, QD_COORD_SESSION_KEEP, &session, 0, RIG_WAIT), 0);
    end(r);
}

/* The only control node was suspended, with all who would have renewed. */
static void sessions_outlive_a_suspended_machine(void **state)
{
    (void)state;
    rig *r = nodes(1);
    uint64_t session = 0;
    assert_int_equal(rig_session(r, 0, QD_COORD_SESSION_OPEN, &session, 5000, RIG_WAIT), 0);
    rig_suspend(r, 0, 3600000);
    assert_int_equal(rig_session(r, 0, QD_COORD_SESSION_KEEP, &session, 0, RIG_WAIT), 0);
    end(r);
}

/* It was suspended in the middle of what it did, wherever that was. */
static void sessions_outlive_a_machine_that_is_suspended_at_work(void **state)
{
    (void)state;
    rig *r = nodes(1);
    for (int looks = 1; looks <= 60; looks++) {
        uint64_t session = 0;
        rig_suspend_at_look(r, 0, 3600000, looks);
        assert_int_equal(rig_session(r, 0, QD_COORD_SESSION_OPEN, &session, 5000, RIG_WAIT), 0);
        for (int k = 0; k < 3; k++)
            assert_int_equal(rig_session(r, 0, QD_COORD_SESSION_KEEP, &session, 0, RIG_WAIT), 0);
    }
    end(r);
}

/* It finds itself in the root, and knows that it is not that process any more. */
static void a_single_node_need_not_wait_for_its_own_lease(void **state)
{
    (void)state;
    rig *r = nodes(1);
    assert_int_equal(rig_put(r, 0, "k", "v", 1, 0, RIG_WAIT, NULL), 0);
    rig_api_cut(0, true);
    rig_kill(r, 0);
    rig_api_cut(0, false);
    int64_t at = rig_now_ms();
    assert_int_equal(rig_start(r, 0, RIG_PEERS, 0, B), 0);
    assert_int_equal(rig_put(r, 0, "k", "w", 1, 0, RIG_WAIT, NULL), 0);
    assert_true(rig_now_ms() - at < 12000); /* of a lease of 15 s */
    end(r);
}

/* --- the API server --- */

static bool has(rig *r, int i, const char *key, const char *want)
{
    char value[16] = "";
    return rig_get(r, i, key, value, sizeof value, NULL, QD_COORD_STALE, RIG_WAIT) == 0 &&
           strcmp(value, want) == 0;
}

static void comes(rig *r, int i, const char *key, const char *want)
{
    for (int64_t until = rig_now_ms() + 60000; !has(r, i, key, want); rig_pause(5))
        assert_true(rig_now_ms() < until);
}

/* One of a node's watches of the root, begun when the log had so many entries, is silent. */
static bool is_deaf(int i, uint64_t since)
{
    char name[8];
    kube_model_entry e;
    snprintf(name, sizeof name, "m%d", i + 1);
    for (uint64_t k = since; kube_model_log(the_model, k, &e); k++)
        if (e.fault == KUBE_FAULT_WATCH_SILENT && strcmp(e.client, name) == 0) return true;
    return false;
}

/* A node's watches of the root say nothing from now on: they end with all others, and begin anew.
 */
static void deafen(int i)
{
    kube_model_fault deaf = {.client = rig_api_client(i),
                             .kind = KUBE_FAULT_WATCH_SILENT,
                             .verb = "watch",
                             .plural = "quidditchstates",
                             .times = UINT32_MAX};
    uint64_t since = kube_model_log_size(the_model);
    kube_model_fault_add(the_model, &deaf);
    kube_model_restart(the_model, 0);
    for (int64_t until = rig_now_ms() + RIG_WAIT; !is_deaf(i, since); rig_pause(5))
        assert_true(rig_now_ms() < until);
}

/* The API server is away for good when one node has heard of a root and others have not, among them
 * (lost) the leader itself, whose write was done and not answered: nodes tell each other. */
static void told_by_one(bool lost)
{
    rig *r = nodes(3);
    int leader = rig_leader_of_all(r), one = other(leader, 0), two = other(leader, 1);
    assert_int_equal(rig_put(r, leader, "k", "v", 1, 0, RIG_WAIT, NULL), 0);
    for (int i = 0; i < 3; i++) comes(r, i, "k", "v");
    kube_model_fault unanswered = {.kind = KUBE_FAULT_SILENT_DONE,
                                   .verb = "update",
                                   .plural = "quidditchstates",
                                   .name = "rig"};
    if (lost) deafen(leader);
    rig_api_cut(two, true);
    rig_isolate(r, two, true);
    if (lost) rig_isolate(r, leader, true);
    if (lost) kube_model_fault_add(the_model, &unanswered);
    int32_t rc = rig_put(r, leader, "k", "w", 1, 0, lost ? 500 : RIG_WAIT, NULL);
    assert_true(lost ? rc != 0 : rc == 0);
    comes(r, one, "k", "w");
    for (int i = 0; i < 3; i++) rig_api_cut(i, true);
    assert_false(has(r, two, "k", "w"));
    rig_isolate(r, two, false);
    rig_isolate(r, leader, false);
    for (int i = 0; i < 3; i++) comes(r, i, "k", "w");
    for (int i = 0; i < 3; i++) rig_api_cut(i, false);
    kube_model_calm(the_model);
    assert_true(rig_settled(r));
    assert_int_equal(rig_put(r, two, "k", "x", 1, 0, RIG_WAIT, NULL), 0);
    end(r);
}

static void what_one_has_heard_all_get_without_the_api(void **state)
{
    (void)state;
    told_by_one(false);
}

static void a_leader_gets_its_own_root_from_who_has_heard_of_it(void **state)
{
    (void)state;
    told_by_one(true);
}

/* Fills a value that does not pack. */
static void noise(char *value, size_t n, uint32_t seed)
{
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        value[i] = (char)('!' + (seed >> 24) % 90);
    }
}

static bool has_noise(rig *r, int i, const char *key, size_t n, uint32_t seed)
{
    char *want = malloc(n), *value = malloc(n + 1);
    noise(want, n, seed);
    bool same = rig_get(r, i, key, value, n + 1, NULL, QD_COORD_STALE, RIG_WAIT) == 0 &&
                strlen(value) == n && memcmp(value, want, n) == 0;
    free(want);
    free(value);
    return same;
}

static void put_noise(rig *r, int i, const char *key, size_t n, uint32_t seed)
{
    char *value = malloc(n);
    noise(value, n, seed);
    assert_int_equal(rig_put(r, i, key, value, n, 0, RIG_WAIT, NULL), 0);
    free(value);
}

/* One node hears of nothing while the others change the state: by entries that are objects of their
 * own, and (checkpoints) by so much that the root's tail does not reach back to what it has, with
 * values beside their pages. Then the API goes away for all, and it is back among them: it has from
 * the others all that the root names, before the API answers again. */
static void caught_up_from_others(int large, int checkpoints, bool leader_goes)
{
    enum { KEYS = 150, LONG = 700 << 10 };
    rig *r = nodes(3);
    int leader = rig_leader_of_all(r), one = other(leader, 0), two = other(leader, 1);
    char key[32];
    put_noise(r, leader, "held", 5000, 5); /* a value that the node has */
    assert_int_equal(rig_put(r, leader, "first", "v", 1, 0, RIG_WAIT, NULL), 0);
    comes(r, two, "first", "v");
    rig_api_cut(two, true);
    rig_isolate(r, two, true);
    for (int k = 0; k < checkpoints; k++) {
        put_many(r, leader, KEYS);
        put_noise(r, leader, "value", 40000, (uint32_t)k + 1);
        put_noise(r, leader, "many/slices", LONG, (uint32_t)k + 1);
    }
    for (int k = 0; k < large; k++) {
        snprintf(key, sizeof key, "large/%d", k);
        put_noise(r, leader, key, 30000u << k, (uint32_t)k + 7);
    }
    assert_int_equal(rig_put(r, leader, "last", "v", 1, 0, RIG_WAIT, NULL), 0);
    comes(r, one, "last", "v");
    for (int i = 0; i < 3; i++) rig_api_cut(i, true);
    if (leader_goes) rig_isolate(r, leader, true);
    rig_cut(r, two, one, false);
    rig_cut(r, one, two, false);
    if (!leader_goes) rig_isolate(r, two, false);
    comes(r, two, "last", "v");
    assert_true(has_noise(r, two, "held", 5000, 5));
    for (int k = 0; k < large; k++) {
        snprintf(key, sizeof key, "large/%d", k);
        assert_true(has_noise(r, two, key, 30000u << k, (uint32_t)k + 7));
    }
    if (checkpoints) {
        assert_true(has_noise(r, two, "value", 40000, (uint32_t)checkpoints));
        assert_true(has_noise(r, two, "many/slices", LONG, (uint32_t)checkpoints));
    }
    for (int i = 0; i < 3; i++) rig_api_cut(i, false);
    rig_isolate(r, leader, false);
    rig_isolate(r, two, false);
    assert_true(rig_settled(r));
    if (checkpoints) see_many(r, two, KEYS);
    assert_int_equal(rig_put(r, two, "k", "x", 1, 0, RIG_WAIT, NULL), 0);
    end(r);
}

static void large_entries_come_from_others_without_the_api(void **state)
{
    (void)state;
    caught_up_from_others(3, 0, false);
}

static void pages_and_values_come_from_others_without_the_api(void **state)
{
    (void)state;
    caught_up_from_others(1, 1, false);
}

/* Also when it was away for longer than two roots tell of, and the leader is gone with the API. */
static void followers_have_the_state_from_each_other(void **state)
{
    (void)state;
    caught_up_from_others(1, 3, true);
}

/* --- many of them --- */

enum { MANY = 7, SPEAKERS = 5 };

/* Those that the root names. */
static int speakers(int at[MANY])
{
    json_t *root = kube_model_get(the_model, "quidditchstates", "default", "rig");
    const json_t *list = json_object_get(json_object_get(root, "spec"), "speakers");
    int n = (int)json_array_size(list);
    for (int i = 0; i < MANY; i++) at[i] = 0;
    for (int i = 0; i < n; i++) {
        const char *name = json_string_value(json_object_get(json_array_get(list, i), "name"));
        if (name && name[0] == 'm' && name[1] > '0' && name[1] <= '0' + MANY) at[name[1] - '1'] = 1;
    }
    json_decref(root);
    return n;
}

static uint64_t asked(const char *verb, int i)
{
    char name[8];
    snprintf(name, sizeof name, "m%d", i + 1);
    return kube_model_count(the_model, verb, NULL, name);
}

static uint64_t asked_anything(int i)
{
    static const char *const verbs[] = {"get", "list", "watch", "create", "update", "delete"};
    uint64_t n = 0;
    for (size_t k = 0; k < sizeof verbs / sizeof *verbs; k++) n += asked(verbs[k], i);
    return n;
}

static void wait_speakers(int want, int at[MANY])
{
    for (int64_t until = rig_now_ms() + 60000; speakers(at) != want; rig_pause(5))
        assert_true(rig_now_ms() < until);
}

static void wait_value(rig *r, int i, const char *key, const char *want)
{
    char value[16] = "";
    for (int64_t until = rig_now_ms() + 60000; strcmp(value, want); rig_pause(5)) {
        assert_true(rig_now_ms() < until);
        (void)rig_get(r, i, key, value, sizeof value, NULL, QD_COORD_STALE, RIG_WAIT);
    }
}

/* Five of seven talk to the API; the others follow, take part, and lead when the five are gone. */
static void five_of_seven_talk_to_the_api(void **state)
{
    (void)state;
    int at[MANY];
    uint64_t before[MANY];
    rig *r = nodes(MANY);
    wait_speakers(SPEAKERS, at);
    assert_int_equal(at[rig_leader_of_all(r)], 1);
    put_many(r, 0, 60); /* whoever asked for something when it came has its answer */
    for (int i = 0; i < MANY; i++) before[i] = asked_anything(i);
    put_many(r, 1, 150); /* through checkpoints */
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(rig_put(r, i, "who", &"0123456"[i], 1, 0, RIG_WAIT, NULL), 0);
        see_many(r, i, 150);
        if (at[i]) continue;
        assert_int_equal(asked("watch", i), 0); /* told by others from its first day */
        assert_int_equal(asked_anything(i), before[i]);
    }
    /* one that was away for so long that it has to load pages has them read for it */
    int away = 0, leader = rig_leader_of_all(r), stopped = 0;
    while (at[away]) away++;
    rig_isolate(r, away, true);
    rig_api_cut(away, true);
    put_many(r, leader, 150);
    assert_int_equal(rig_put(r, leader, "back", "yes", 3, 0, RIG_WAIT, NULL), 0);
    rig_isolate(r, away, false);
    wait_value(r, away, "back", "yes");
    rig_api_cut(away, false);
    /* a speaker that stops makes room */
    wait_speakers(SPEAKERS, at);
    while (!at[stopped] || stopped == leader) stopped++;
    rig_stop(r, stopped);
    rig_tell_gone(r, stopped);
    for (int64_t until = rig_now_ms() + 60000; speakers(at) != SPEAKERS || at[stopped];
         rig_pause(5))
        assert_true(rig_now_ms() < until);
    /* all five at once */
    for (int i = 0; i < MANY; i++)
        if (at[i]) rig_kill(r, i);
    for (int i = 0; i < MANY; i++)
        if (at[i]) rig_tell_gone(r, i);
    int left = 0;
    while (at[left] || left == stopped) left++;
    assert_int_equal(rig_put(r, left, "after", "all", 3, 0, RIG_WAIT, NULL), 0);
    see_many(r, left, 150);
    end(r);
}

static void a_state_of_before_is_refused(void **state)
{
    (void)state;
    rig *r = nodes(1);
    assert_int_equal(rig_put(r, 0, "k", "v", 1, 0, RIG_WAIT, NULL), 0);
    kube_model_backup *b = kube_model_backup_make(the_model);
    assert_int_equal(rig_put(r, 0, "k", "w", 1, 0, RIG_WAIT, NULL), 0);
    rig_stop(r, 0);
    kube_model_restore(the_model, b, 0);
    kube_model_backup_free(b);
    assert_int_equal(rig_start(r, 0, RIG_PEERS, 0, B), 0);
    for (int64_t end = rig_now_ms() + RIG_WAIT; rig_now_ms() < end; rig_pause(10))
        if (rig_logged(r, 0, "restored from a backup")) break;
    assert_true(rig_logged(r, 0, "qd recover --accept-older-state"));
    char value[8];
    assert_int_not_equal(rig_get(r, 0, "k", value, sizeof value, NULL, 0, 1000), 0);
    rig_stop(r, 0);
    rig_wipe(r, 0); /* an operator takes it */
    assert_int_equal(rig_start(r, 0, RIG_PEERS, 0, B), 0);
    assert_int_equal(rig_get(r, 0, "k", value, sizeof value, NULL, 0, RIG_WAIT), 0);
    assert_string_equal(value, "v");
    end(r);
}

/* Under running nodes: nobody leads while it is there, each says why, and with the newest one back
 * they go on by themselves. */
static void an_older_state_under_running_nodes_is_told(void **state)
{
    (void)state;
    char value[8];
    rig *r = nodes(2);
    assert_int_equal(rig_put(r, 0, "k", "v", 1, 0, RIG_WAIT, NULL), 0);
    kube_model_backup *old = kube_model_backup_make(the_model);
    assert_int_equal(rig_put(r, 0, "k", "w", 1, 0, RIG_WAIT, NULL), 0);
    wait_value(r, 1, "k", "w");
    kube_model_backup *newest = kube_model_backup_make(the_model);
    kube_model_restore(the_model, old, 0);
    assert_int_not_equal(rig_put(r, 0, "meanwhile", "x", 1, 0, 1000, NULL), 0);
    for (int64_t end = rig_now_ms() + RIG_WAIT; rig_now_ms() < end; rig_pause(10))
        if (rig_logged(r, 0, "restored from a backup") &&
            rig_logged(r, 1, "restored from a backup"))
            break;
    assert_true(rig_logged(r, 0, "qd recover --accept-older-state"));
    assert_true(rig_logged(r, 1, "qd recover --accept-older-state"));
    kube_model_restore(the_model, newest, 0);
    assert_int_equal(rig_put(r, 0, "after", "y", 1, 0, RIG_WAIT, NULL), 0);
    assert_int_equal(rig_get(r, 1, "k", value, sizeof value, NULL, 0, RIG_WAIT), 0);
    assert_string_equal(value, "w");
    kube_model_backup_free(old);
    kube_model_backup_free(newest);
    end(r);
}

/* Of the record's two places. */
typedef struct slow_read {
    rig *r;
    int node;
    int32_t rc;
    char value[8];
} slow_read;

static void *read_slowly(void *arg)
{
    slow_read *s = arg;
    s->rc = rig_get(s->r, s->node, "k", s->value, sizeof s->value, NULL, 0, RIG_WAIT);
    return NULL;
}

static bool was_slow(int i)
{
    kube_model_entry e;
    char name[8];
    snprintf(name, sizeof name, "m%d", i + 1);
    for (uint64_t k = 0; kube_model_log(the_model, k, &e); k++)
        if (e.fault == KUBE_FAULT_SLOW && strcmp(e.client, name) == 0) return true;
    return false;
}

/* The leader's read of the root is answered after it has written a newer one. */
static void a_slow_answer_is_no_older_state(void **state)
{
    (void)state;
    rig *r = nodes(2);
    slow_read s = {.r = r, .node = rig_leader_of_all(r)};
    kube_model_fault slow = {.client = rig_api_client(s.node),
                             .kind = KUBE_FAULT_SLOW,
                             .verb = "get",
                             .plural = "quidditchstates",
                             .name = "rig",
                             .delay_ns = 3000000000};
    pthread_t t;
    assert_int_equal(rig_put(r, s.node, "k", "v", 1, 0, RIG_WAIT, NULL), 0);
    kube_model_fault_add(the_model, &slow);
    assert_int_equal(pthread_create(&t, NULL, read_slowly, &s), 0);
    for (int64_t until = rig_now_ms() + RIG_WAIT; !was_slow(s.node); rig_pause(1))
        assert_true(rig_now_ms() < until);
    assert_int_equal(rig_put(r, s.node, "k", "w", 1, 0, RIG_WAIT, NULL), 0);
    pthread_join(t, NULL); /* the write serves it, too */
    assert_int_equal(s.rc, 0);
    read_slowly(&s); /* begins behind the slow one */
    assert_int_equal(s.rc, 0);
    assert_string_equal(s.value, "w");
    assert_false(rig_logged(r, s.node, "restored from a backup"));
    end(r);
}

static void damage(rig *r, int place)
{
    char name[256], junk[100];
    memset(junk, 0x5a, sizeof junk);
    snprintf(name, sizeof name, "%s/kubernetes", rig_folder(r, 0));
    FILE *f = fopen(name, "r+");
    assert_non_null(f);
    assert_int_equal(fseek(f, 4096l * place, SEEK_SET), 0);
    assert_int_equal(fwrite(junk, 1, sizeof junk, f), sizeof junk);
    assert_int_equal(fclose(f), 0);
}

/* A loss of power leaves the record's beginning aside, or one place of it; not both. */
static void a_torn_record_is_no_hindrance_a_damaged_one_is(void **state)
{
    (void)state;
    char value[8], name[256];
    rig *r = rig_make(2);
    the_model = rig_api_make(9);
    snprintf(name, sizeof name, "%s/kubernetes.new", rig_folder(r, 0));
    FILE *f = fopen(name, "w");
    assert_non_null(f);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(rig_start(r, 0, RIG_PEERS, 0, B), 0);
    assert_true(rig_settled(r));
    for (int place = 0; place < 2; place++) {
        assert_int_equal(rig_put(r, 0, "k", "v", 1, 0, RIG_WAIT, NULL), 0);
        rig_stop(r, 0);
        damage(r, place);
        assert_int_equal(rig_start(r, 0, RIG_PEERS, 0, B), 0);
        assert_int_equal(rig_get(r, 0, "k", value, sizeof value, NULL, 0, RIG_WAIT), 0);
    }
    rig_stop(r, 0);
    damage(r, 0);
    damage(r, 1);
    assert_int_equal(rig_start(r, 0, RIG_PEERS, 0, B), QD_E_CORRUPT);
    snprintf(name, sizeof name, "%s/kubernetes", rig_folder(r, 0));
    assert_int_equal(truncate(name, 0), 0); /* it is never so, whenever power goes */
    assert_int_equal(rig_start(r, 0, RIG_PEERS, 0, B), QD_E_CORRUPT);
    end(r);
}

static void without_the_api_what_is_there_is_read(void **state)
{
    (void)state;
    rig *r = nodes(3);
    char value[8];
    assert_int_equal(rig_put(r, 0, "k", "v", 1, 0, RIG_WAIT, NULL), 0);
    for (int k = 0; k < 3; k++)
        assert_int_equal(rig_get(r, k, "k", value, sizeof value, NULL, 0, RIG_WAIT), 0);
    for (int k = 0; k < 3; k++) rig_api_cut(k, true);
    int32_t rc = rig_put(r, 1, "k", "w", 1, 0, 2000, NULL);
    assert_true(rc == QD_E_CANCELLED || rc == QD_E_UNKNOWN_OUTCOME || rc == QD_E_NO_COORDINATION ||
                rc == QD_E_TIMEOUT);
    for (int k = 0; k < 3; k++) {
        assert_int_equal(rig_get(r, k, "k", value, sizeof value, NULL, QD_COORD_STALE, RIG_WAIT),
                         0);
        assert_string_equal(value, "v");
    }
    for (int k = 0; k < 3; k++) rig_api_cut(k, false);
    assert_int_equal(rig_put(r, 1, "after", "x", 1, 0, RIG_WAIT, NULL), 0);
    assert_true(rig_settled(r));
    for (int k = 0; k < 3; k++)
        assert_int_equal(rig_get(r, k, "after", value, sizeof value, NULL, 0, RIG_WAIT), 0);
    end(r);
}

static void sessions_are_renewed_without_requests(void **state)
{
    (void)state;
    rig *r = nodes(3);
    uint64_t session = 0;
    assert_int_equal(rig_session(r, 0, QD_COORD_SESSION_OPEN, &session, 60000, RIG_WAIT), 0);
    assert_true(rig_settled(r));
    uint64_t before = kube_model_log_size(the_model);
    for (int i = 0; i < 200; i++)
        assert_int_equal(rig_session(r, i % 3, QD_COORD_SESSION_KEEP, &session, 0, RIG_WAIT), 0);
    assert_true(kube_model_log_size(the_model) - before < 40); /* the lease, and the like */
    end(r);
}

/* One that knows of no other control node has nobody to ask but the API. */
static void who_is_alone_reads_the_root(void **state)
{
    (void)state;
    rig *r = nodes(1);
    uint64_t session = 0;
    assert_int_equal(rig_session(r, 0, QD_COORD_SESSION_OPEN, &session, 60000, RIG_WAIT), 0);
    uint64_t before = kube_model_log_size(the_model);
    for (int i = 0; i < 20; i++)
        assert_int_equal(rig_session(r, 0, QD_COORD_SESSION_KEEP, &session, 0, RIG_WAIT), 0);
    uint64_t asked = kube_model_log_size(the_model) - before;
    assert_true(asked >= 20 && asked < 40);
    rig_api_cut(0, true);
    assert_int_not_equal(rig_session(r, 0, QD_COORD_SESSION_KEEP, &session, 0, 2000), 0);
    rig_api_cut(0, false);
    assert_int_equal(rig_session(r, 0, QD_COORD_SESSION_KEEP, &session, 0, RIG_WAIT), 0);
    end(r);
}

static void a_missing_permission_is_named_and_waited_for(void **state)
{
    (void)state;
    the_model = rig_api_make(8);
    rig *r = rig_make(2);
    rig_api_user("system:serviceaccount:default:q");
    assert_int_equal(rig_start(r, 0, RIG_PEERS, 0, B), 0);
    for (int64_t end = rig_now_ms() + RIG_WAIT; rig_now_ms() < end; rig_pause(10))
        if (rig_logged(r, 0, "quidditchstates") && rig_logged(r, 0, "no leader: ")) break;
    assert_true(rig_logged(r, 0, "quidditchstates"));
    assert_true(rig_logged(r, 0, "no leader: "));
    const char *user = "system:serviceaccount:default:q";
    kube_model_allow(the_model, user, "*", "quidditch.io", "quidditchstates", "default", NULL);
    kube_model_allow(the_model, user, "*", "coordination.k8s.io", "leases", "default", NULL);
    assert_true(rig_settled(r));
    assert_int_equal(rig_put(r, 0, "k", "v", 1, 0, RIG_WAIT, NULL), 0);
    end(r);
}

/* Allowed to make the root, and not to change it: it leads, and is of no use until it is. */
static void a_leader_whose_first_entry_was_refused_tries_again(void **state)
{
    (void)state;
    const char *user = "system:serviceaccount:default:q";
    the_model = rig_api_make(10);
    rig *r = rig_make(2);
    rig_api_user(user);
    kube_model_allow(the_model, user, "get,list,watch,create", "quidditch.io", "quidditchstates",
                     "default", NULL);
    kube_model_allow(the_model, user, "*", "coordination.k8s.io", "leases", "default", NULL);
    assert_int_equal(rig_start(r, 0, RIG_PEERS, 0, B), 0);
    for (int64_t until = rig_now_ms() + RIG_WAIT;
         kube_model_count(the_model, "update", "quidditchstates", NULL) == 0; rig_pause(1))
        assert_true(rig_now_ms() < until);
    assert_int_not_equal(rig_put(r, 0, "k", "v", 1, 0, 500, NULL), 0);
    kube_model_allow(the_model, user, "update", "quidditch.io", "quidditchstates", "default", NULL);
    for (int64_t until = rig_now_ms() + 20000; rig_put(r, 0, "k", "v", 1, 0, 1000, NULL) != 0;)
        assert_true(rig_now_ms() < until);
    end(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_conforms),
        cmocka_unit_test(three_conform_through_a_follower),
        cmocka_unit_test(large_values_come_back),
        cmocka_unit_test(the_state_outlives_all_nodes),
        cmocka_unit_test(who_stops_is_followed_at_once),
        cmocka_unit_test(who_is_gone_is_followed_before_its_lease_ends),
        cmocka_unit_test(who_is_cut_off_is_followed_when_its_lease_ends),
        cmocka_unit_test(who_was_suspended_is_not_sure_any_more),
        cmocka_unit_test(sessions_outlive_a_suspended_machine),
        cmocka_unit_test(sessions_outlive_a_machine_that_is_suspended_at_work),
        cmocka_unit_test(a_single_node_need_not_wait_for_its_own_lease),
        cmocka_unit_test(what_one_has_heard_all_get_without_the_api),
        cmocka_unit_test(a_leader_gets_its_own_root_from_who_has_heard_of_it),
        cmocka_unit_test(large_entries_come_from_others_without_the_api),
        cmocka_unit_test(pages_and_values_come_from_others_without_the_api),
        cmocka_unit_test(followers_have_the_state_from_each_other),
        cmocka_unit_test(five_of_seven_talk_to_the_api),
        cmocka_unit_test(a_state_of_before_is_refused),
        cmocka_unit_test(an_older_state_under_running_nodes_is_told),
        cmocka_unit_test(a_slow_answer_is_no_older_state),
        cmocka_unit_test(a_torn_record_is_no_hindrance_a_damaged_one_is),
        cmocka_unit_test(without_the_api_what_is_there_is_read),
        cmocka_unit_test(sessions_are_renewed_without_requests),
        cmocka_unit_test(who_is_alone_reads_the_root),
        cmocka_unit_test(a_missing_permission_is_named_and_waited_for),
        cmocka_unit_test(a_leader_whose_first_entry_was_refused_tries_again),
    };
    return unit_run(tests);
}
