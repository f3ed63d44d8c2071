/*
 * cluster_t.c: several masters in one process over a network in memory: forming, forwarding,
 * changes of leader, watches, sessions, elections.
 */
#include "base/str.h"
#include "plugin/conform.h"
#include "unit/lib/coord_rig.h"
#include "unit/unit.h"
#include <pthread.h>
#include <stdatomic.h>

#define B QD_COORD_OPEN_BOOTSTRAP

static rig *three_of(int n)
{
    rig *r = rig_make(n);
    for (int i = 0; i < 3; i++) assert_int_equal(rig_start(r, i, RIG_PEERS, 3, B), 0);
    assert_true(rig_settled(r));
    return r;
}

static rig *three(void)
{
    return three_of(3);
}

static int other(int i, int k)
{
    return (i + 1 + k) % 3;
}

static void three_form_and_replicate(void **state)
{
    (void)state;
    rig *r = three();
    char key[16], value[32];
    uint64_t mod;
    for (int i = 0; i < 3; i++) {
        snprintf(key, sizeof key, "k%d", i);
        assert_int_equal(rig_put(r, i, key, "value", 5, 0, RIG_WAIT, NULL), 0);
        for (int k = 0; k < 3; k++) { /* linearizable everywhere, at once */
            assert_int_equal(rig_get(r, k, key, value, sizeof value, &mod, 0, RIG_WAIT), 0);
            assert_string_equal(value, "value");
        }
    }
    int voters, standbys;
    assert_true(rig_members(r, 1, &voters, &standbys));
    assert_int_equal(voters, 3);
    assert_int_equal(standbys, 0);
    assert_true(rig_leader_of_all(r) >= 0);
    rig_free(r);
}

static void large_values_go_in_parts(void **state)
{
    (void)state;
    rig *r = three();
    int leader = rig_leader_of_all(r), follower = other(leader, 0);
    size_t n = 12u << 20;
    char *value = malloc(n + 1), *back = malloc(n + 1);
    for (size_t i = 0; i < n; i++) value[i] = (char)('a' + i * 7 % 26);
    value[n] = 0;
    assert_int_equal(rig_put(r, follower, "large", value, n, 0, RIG_WAIT, NULL), 0);
    for (int k = 0; k < 3; k++) {
        assert_int_equal(rig_get(r, k, "large", back, n + 1, NULL, 0, RIG_WAIT), 0);
        assert_memory_equal(back, value, n);
    }
    free(value);
    free(back);
    rig_free(r);
}

/* --- the kit of the SDK, through the leader and through a follower --- */

static void kit_line(void *arg, const char *text)
{
    qd_buf_printf(arg, "%s\n", text);
}

static void conforms(bool through_leader)
{
    rig *r = three_of(4); /* the fourth one is another store */
    int leader = rig_leader_of_all(r);
    qd_buf out;
    qd_conform_run run;
    qd_buf_init(&out, NULL, 1 << 20);
    qd_conform_begin(&run, qd_env_system(), NULL, QD_STR("/nowhere"), NULL, 0, kit_line, &out);
    qd_conform_kind(&run, QD_KIND_COORDINATION, "three masters",
                    rig_conform_vtable(r, through_leader ? leader : other(leader, 0)));
    uint32_t failures = qd_conform_end(&run);
    if (failures) print_message("%s", out.p);
    assert_int_equal(failures, 0);
    qd_buf_fini(&out);
    rig_free(r);
}

static void conforms_through_the_leader(void **state)
{
    (void)state;
    conforms(true);
}

static void conforms_through_a_follower(void **state)
{
    (void)state;
    conforms(false);
}

/* --- watches --- */

typedef struct seen {
    pthread_mutex_t lock;
    uint64_t told, events, wrong, last;
    int32_t rc;
    bool ended;
} seen;

static void on_events(void *arg, const qd_coord_event *e, uint32_t n, uint64_t revision, int32_t rc)
{
    seen *s = arg;
    pthread_mutex_lock(&s->lock);
    for (uint32_t i = 0; i < n; i++) {
        uint64_t v = 0;
        for (uint64_t k = 0; k < e[i].kv.value_len; k++)
            v = v * 10 + (uint64_t)(e[i].kv.value[k] - '0');
        s->wrong += e[i].kv.mod_revision < s->told || v != s->last + 1;
        s->last = v;
        s->events++;
    }
    s->wrong += rc == 0 && revision < s->told;
    s->told = revision + 1;
    if (rc) s->ended = true;
    s->rc = rc;
    pthread_mutex_unlock(&s->lock);
}

static void on_closed(void *arg)
{
    atomic_store((_Atomic int *)arg, 1);
}

static qd_coord_watch *watch(rig *r, int i, seen *s, const char *prefix, uint64_t from)
{
    qd_coord_watch *w = NULL;
    qd_coord_watch_config k = {.struct_size = sizeof k,
                               .flags = QD_COORD_PREFIX,
                               .key = {prefix, strlen(prefix)},
                               .from = from,
                               .events = on_events,
                               .arg = s};
    pthread_mutex_init(&s->lock, NULL);
    assert_int_equal(rig_vtable(r)->watch(rig_store(r, i), &k, &w, NULL), 0);
    return w;
}

static void unwatch(rig *r, qd_coord_watch *w)
{
    _Atomic int done = 0;
    rig_vtable(r)->watch_close(w, on_closed, &done);
    while (!atomic_load(&done)) rig_pause(1);
}

/* Counts up one key, each number once, whoever leads. */
static void count_to(rig *r, int i, uint64_t *at, uint64_t *mod, uint64_t to)
{
    while (*at < to) {
        char value[32];
        uint8_t id[16];
        uint64_t revision;
        snprintf(value, sizeof value, "%llu", (unsigned long long)*at + 1);
        for (int k = 0; k < 16; k++) id[k] = (uint8_t)(*at >> (8 * (k % 8)) ^ (uint64_t)k * 37);
        int32_t rc = rig_cas(r, i, "count", value, *mod, id, 3000, &revision);
        if (rc == 0) {
            ++*at;
            *mod = revision;
        } else {
            assert_true(rc == QD_E_UNKNOWN_OUTCOME || rc == QD_E_NO_COORDINATION ||
                        rc == QD_E_NOT_LEADER || rc == QD_E_TIMEOUT || rc == QD_E_CANCELLED);
        }
    }
}

static void watches_survive_changes_of_leader(void **state)
{
    (void)state;
    rig *r = three();
    uint64_t at = 0, mod = 0;
    seen s[3];
    memset(s, 0, sizeof s);
    qd_coord_watch *w[3];
    for (int i = 0; i < 3; i++) w[i] = watch(r, i, &s[i], "count", 1);
    for (int round = 0; round < 4; round++) {
        int leader = rig_leader_of_all(r);
        assert_true(leader >= 0);
        count_to(r, other(leader, 0), &at, &mod, at + 40);
        rig_isolate(r, leader, true);
        count_to(r, other(leader, round % 2), &at, &mod, at + 40);
        rig_isolate(r, leader, false);
        count_to(r, leader, &at, &mod, at + 20);
        assert_true(rig_settled(r));
    }
    for (int i = 0; i < 3; i++) {
        for (int64_t end = rig_now_ms() + RIG_WAIT; s[i].last < at && rig_now_ms() < end;)
            rig_pause(5);
        unwatch(r, w[i]);
        assert_int_equal(s[i].last, at);
        assert_int_equal(s[i].events, at);
        assert_int_equal(s[i].wrong, 0);
        assert_false(s[i].ended);
    }
    rig_free(r);
}

/* A follower that was away while the log was cut gets a snapshot: its watch says so. */
static void a_watch_behind_a_snapshot_is_compacted(void **state)
{
    (void)state;
    rig *r = three();
    int leader = rig_leader_of_all(r), away = other(leader, 0), here = other(leader, 1);
    seen s;
    memset(&s, 0, sizeof s);
    qd_coord_watch *w = watch(r, away, &s, "x/", 1);
    rig_isolate(r, away, true);
    char *value = calloc(1, 32768), key[32], back[64];
    for (int i = 0; i < 3000; i++) {
        snprintf(key, sizeof key, "x/%d", i % 20);
        assert_int_equal(rig_put(r, here, key, "12", 2, 0, RIG_WAIT, NULL), 0);
    }
    rig_isolate(r, away, false);
    assert_true(rig_settled(r));
    assert_int_equal(rig_get(r, away, "x/3", back, sizeof back, NULL, 0, RIG_WAIT), 0);
    assert_string_equal(back, "12");
    for (int64_t end = rig_now_ms() + RIG_WAIT; !s.ended && s.told == 0 && rig_now_ms() < end;)
        rig_pause(5);
    if (s.ended) assert_int_equal(s.rc, QD_E_COMPACTED);
    unwatch(r, w);
    free(value);
    rig_free(r);
}

/* --- sessions, elections --- */

/* False: the machine was too slow for such short sessions. */
static bool outlives(rig *r, int ttl)
{
    int leader = rig_leader_of_all(r), at = other(leader, 0), third = other(leader, 1);
    uint64_t session = 0, silent = 0;
    char value[32];
    assert_int_equal(rig_session(r, at, QD_COORD_SESSION_OPEN, &silent, ttl, RIG_WAIT), 0);
    assert_int_equal(rig_put(r, at, "silent", "1", 1, silent, RIG_WAIT, NULL), 0);
    assert_int_equal(rig_session(r, at, QD_COORD_SESSION_OPEN, &session, ttl, RIG_WAIT), 0);
    assert_int_equal(rig_put(r, at, "alive", "1", 1, session, RIG_WAIT, NULL), 0);
    int32_t rc = rig_session(r, at, QD_COORD_SESSION_KEEP, &silent, 0, ttl);
    int64_t killed = rig_now_ms(), kept = killed, pause = rc ? ttl : 0;
    rig_kill(r, leader);
    /* renewed for twice its time: it lives; the other one has its full time from the new leader */
    while (rig_now_ms() - killed < ttl * 7 / 3 && pause < ttl / 2) {
        rc = rig_session(r, at, QD_COORD_SESSION_KEEP, &session, 0, ttl);
        assert_true(rc == 0 || rc == QD_E_NO_COORDINATION || rc == QD_E_CANCELLED ||
                    rc == QD_E_SESSION_EXPIRED);
        int64_t now = rig_now_ms();
        /* while nobody leads no time passes for it; who leads counts from then on */
        if (now - kept > pause) pause = now - kept;
        if (rc == 0) kept = now;
        rc = rig_get(r, third, "silent", value, sizeof value, NULL, QD_COORD_STALE, RIG_WAIT);
        if (rig_now_ms() - killed < ttl * 4 / 5) assert_int_equal(rc, 0);
        rig_pause(ttl / 20);
    }
    bool fast = pause < ttl / 2;
    if (fast) {
        assert_int_equal(rig_get(r, third, "alive", value, sizeof value, NULL, 0, RIG_WAIT), 0);
        assert_int_equal(rig_get(r, third, "silent", value, sizeof value, NULL, 0, RIG_WAIT),
                         QD_E_NOTFOUND);
        assert_int_equal(rig_session(r, at, QD_COORD_SESSION_KEEP, &silent, 0, RIG_WAIT),
                         QD_E_SESSION_EXPIRED);
        /* closed by another node */
        assert_int_equal(rig_session(r, third, QD_COORD_SESSION_CLOSE, &session, 0, RIG_WAIT), 0);
        assert_int_equal(rig_get(r, at, "alive", value, sizeof value, NULL, 0, RIG_WAIT),
                         QD_E_NOTFOUND);
    }
    assert_int_equal(rig_start(r, leader, RIG_PEERS, 3, B), 0);
    assert_true(rig_settled(r));
    return fast;
}

static void sessions_outlive_the_leader(void **state)
{
    (void)state;
    rig *r = three();
    int ttl = 1500;
    while (!outlives(r, ttl) && ttl < 60000) ttl *= 3;
    assert_true(ttl < 60000);
    rig_free(r);
}

static void elections_pass_on(void **state)
{
    (void)state;
    rig *r = three();
    uint64_t s[3] = {0};
    int32_t rc;
    qd_coord_token first, second, third;
    for (int i = 0; i < 3; i++)
        assert_int_equal(rig_session(r, i, QD_COORD_SESSION_OPEN, &s[i], 3600000, RIG_WAIT), 0);
    rig_candidate *a = rig_elect(r, 0, "boss", "a", s[0]);
    assert_true(rig_elected(a, RIG_WAIT, &rc, &first));
    assert_int_equal(rc, 0);
    rig_candidate *b = rig_elect(r, 1, "boss", "b", s[1]);
    rig_candidate *c = NULL;
    assert_false(rig_elected(b, 300, &rc, &second));
    c = rig_elect(r, 2, "boss", "c", s[2]);
    assert_false(rig_elected(c, 100, &rc, &third));
    int leader = rig_leader_of_all(r);
    rig_isolate(r, leader, true); /* the log's leader; elections go on with the next one */
    assert_int_equal(rig_resign(r, leader == 0 ? 1 : 0, "boss", s[0], first), 0);
    if (leader != 1) {
        assert_true(rig_elected(b, RIG_WAIT, &rc, &second));
        assert_int_equal(rc, 0);
        assert_true(second.term > first.term);
        rig_isolate(r, leader, false);
    } else {
        rig_isolate(r, leader, false);
        assert_true(rig_elected(b, RIG_WAIT, &rc, &second));
        assert_int_equal(rc, 0);
    }
    assert_true(rig_settled(r));
    assert_int_equal(rig_session(r, 0, QD_COORD_SESSION_CLOSE, &s[1], 0, RIG_WAIT), 0);
    assert_true(rig_elected(c, RIG_WAIT, &rc, &third));
    assert_int_equal(rc, 0);
    assert_true(third.term > second.term);
    /* a candidate that gives up */
    rig_candidate *d = rig_elect(r, 0, "boss", "d", s[0]);
    assert_false(rig_elected(d, 100, &rc, &third));
    rig_elect_cancel(d);
    assert_true(rig_elected(d, RIG_WAIT, &rc, &second));
    assert_int_equal(rc, QD_E_CANCELLED);
    rig_free(r);
}

/* --- without a majority --- */

static void a_cut_off_leader_acknowledges_nothing(void **state)
{
    (void)state;
    rig *r = three();
    int leader = rig_leader_of_all(r), a = other(leader, 0), b = other(leader, 1);
    char value[32];
    uint64_t mod;
    assert_int_equal(rig_put(r, leader, "k", "old", 3, 0, RIG_WAIT, NULL), 0);
    rig_isolate(r, leader, true);
    int32_t rc = rig_put(r, leader, "k", "lost", 4, 0, 1500, NULL);
    assert_true(rc == QD_E_UNKNOWN_OUTCOME || rc == QD_E_NO_COORDINATION || rc == QD_E_CANCELLED);
    assert_int_equal(rig_put(r, a, "k", "new", 3, 0, RIG_WAIT, NULL), 0);
    assert_int_not_equal(rig_get(r, leader, "k", value, sizeof value, &mod, 0, 1500), 0);
    assert_int_equal(rig_get(r, leader, "k", value, sizeof value, &mod, QD_COORD_STALE, RIG_WAIT),
                     0);
    assert_string_equal(value, "old");
    rig_isolate(r, leader, false);
    assert_true(rig_settled(r));
    assert_int_equal(rig_get(r, leader, "k", value, sizeof value, &mod, 0, RIG_WAIT), 0);
    assert_string_equal(value, "new");
    /* nobody has a majority */
    rig_isolate(r, a, true);
    rig_isolate(r, b, true);
    rc = rig_put(r, a, "k", "x", 1, 0, 60000, NULL);
    assert_true(rc == QD_E_UNKNOWN_OUTCOME || rc == QD_E_NO_COORDINATION);
    rig_isolate(r, a, false);
    rig_isolate(r, b, false);
    assert_true(rig_settled(r));
    rig_free(r);
}

static void who_stops_hands_over(void **state)
{
    (void)state;
    rig *r = three();
    for (int round = 0; round < 3; round++) {
        int leader = rig_leader_of_all(r);
        int a = other(leader, 0);
        assert_true(leader >= 0);
        rig_stop(r, leader);
        assert_int_equal(rig_put(r, a, "k", "v", 1, 0, RIG_WAIT, NULL), 0);
        assert_int_equal(rig_start(r, leader, RIG_PEERS, 3, B), 0);
        assert_true(rig_settled(r));
    }
    for (int i = 0; i < 3; i++) rig_kill(r, i);
    for (int i = 0; i < 3; i++) assert_int_equal(rig_start(r, i, RIG_PEERS, 3, B), 0);
    assert_true(rig_settled(r));
    char value[8];
    assert_int_equal(rig_get(r, 1, "k", value, sizeof value, NULL, 0, RIG_WAIT), 0);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_form_and_replicate),
        cmocka_unit_test(large_values_go_in_parts),
        cmocka_unit_test(conforms_through_the_leader),
        cmocka_unit_test(conforms_through_a_follower),
        cmocka_unit_test(watches_survive_changes_of_leader),
        cmocka_unit_test(a_watch_behind_a_snapshot_is_compacted),
        cmocka_unit_test(sessions_outlive_the_leader),
        cmocka_unit_test(elections_pass_on),
        cmocka_unit_test(a_cut_off_leader_acknowledges_nothing),
        cmocka_unit_test(who_stops_hands_over),
    };
    return unit_run(tests);
}
