/*
 * faults_t.c: three masters under faults: messages lost and late, masters cut off, killed and
 * started again, while each counts up one key by compare-and-set. No count is lost or done twice,
 * no read is older than what was acknowledged before it began, watches tell each change once.
 */
#include "unit/lib/coord_rig.h"
#include "unit/unit.h"
#include <pthread.h>
#include <quidditch/plugin.h>
#include <stdatomic.h>

#define B QD_COORD_OPEN_BOOTSTRAP

enum { NUMBERS = 1000000, LAST_MS = 120000 };

typedef struct world {
    rig *r;
    _Atomic uint64_t acknowledged; /* the highest number */
    _Atomic bool stop;
    _Atomic int up[3];      /* users of a node hold it up; -1: it is down */
    _Atomic bool wanted[3]; /* it is to go down: nobody takes hold of it any more */
    _Atomic uint64_t done, unknown, forgotten, stale, twice;
    _Atomic int32_t wrong;              /* a code that nobody may get */
    _Atomic int64_t last_ms;            /* an answer comes before that; 0: not set yet */
    _Atomic uint8_t seen[NUMBERS + 1];  /* how often a number was acknowledged */
    _Atomic uint8_t maybe[NUMBERS + 1]; /* it is not known what became of it */
    _Atomic uint64_t random;
} world;

static uint64_t chance(world *w, uint64_t below)
{
    uint64_t x = atomic_fetch_add(&w->random, 0x9e3779b97f4a7c15ull);
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return (x ^ (x >> 31)) % below;
}

/* A node may be used while it is held. */
static bool hold(world *w, int i)
{
    int n = atomic_load(&w->wanted[i]) ? -1 : atomic_load(&w->up[i]);
    while (n >= 0)
        if (atomic_compare_exchange_weak(&w->up[i], &n, n + 1)) return true;
    return false;
}

static void let_go(world *w, int i)
{
    atomic_fetch_sub(&w->up[i], 1);
}

typedef struct user {
    world *w;
    int i;
    pthread_t thread;
} user;

static bool passing(int32_t rc)
{
    return rc == QD_E_UNKNOWN_OUTCOME || rc == QD_E_NO_COORDINATION || rc == QD_E_NOT_LEADER ||
           rc == QD_E_TIMEOUT || rc == QD_E_CANCELLED || rc == QD_E_CLOSED || rc == QD_E_REJECTED;
}

/* One number more; the same request id until it is known what became of it. After an unknown
 * outcome a conflict may be with itself: others may have asked for so much since that the id is
 * forgotten. */
static void count_up(user *u, uint64_t value, uint64_t mod)
{
    world *w = u->w;
    uint8_t id[16];
    char text[32];
    snprintf(text, sizeof text, "%llu", (unsigned long long)value + 1);
    for (int k = 0; k < 16; k++) id[k] = (uint8_t)chance(w, 256);
    for (bool asked = false;; asked = true) {
        while (!hold(w, u->i)) rig_pause(2);
        uint64_t revision;
        int32_t rc = rig_cas(w->r, u->i, "count", text, mod, id, 2000, &revision);
        let_go(w, u->i);
        if (rc == 0) {
            if (atomic_fetch_add(&w->seen[value + 1], 1)) atomic_fetch_add(&w->twice, 1);
            atomic_fetch_add(&w->done, 1);
            uint64_t was = atomic_load(&w->acknowledged);
            while (was < value + 1 &&
                   !atomic_compare_exchange_weak(&w->acknowledged, &was, value + 1)) {}
            return;
        }
        int64_t last = atomic_load(&w->last_ms);
        if (!passing(rc) || (last && rig_now_ms() > last)) {
            if (asked) {
                atomic_store(&w->maybe[value + 1], 1);
                atomic_fetch_add(&w->forgotten, 1);
            }
            if (rc != QD_E_CONFLICT) atomic_store(&w->wrong, rc);
            return;
        }
        atomic_fetch_add(&w->unknown, 1);
    }
}

static void *run_user(void *arg)
{
    user *u = arg;
    world *w = u->w;
    while (!atomic_load(&w->stop)) {
        char text[32] = "0";
        uint64_t mod = 0;
        if (!hold(w, u->i)) {
            rig_pause(2);
            continue;
        }
        uint64_t least = atomic_load(&w->acknowledged);
        int32_t rc = rig_get(w->r, u->i, "count", text, sizeof text, &mod, 0, 2000);
        let_go(w, u->i);
        if (rc && rc != QD_E_NOTFOUND) continue;
        uint64_t value = strtoull(text, NULL, 10);
        if (value < least) atomic_fetch_add(&w->stale, 1);
        if (value == NUMBERS) break;
        count_up(u, value, mod);
    }
    return NULL;
}

static void take_down(world *w, int i)
{
    int none = 0;
    atomic_store(&w->wanted[i], true);
    while (!atomic_compare_exchange_weak(&w->up[i], &none, -1)) {
        none = 0;
        rig_pause(1);
    }
    atomic_store(&w->wanted[i], false);
}

static void trouble(world *w, int64_t ms)
{
    for (int64_t end = rig_now_ms() + ms; rig_now_ms() < end;) {
        int i = (int)chance(w, 3), k = (i + 1 + (int)chance(w, 2)) % 3;
        switch (chance(w, 4)) {
        case 0:
            rig_isolate(w->r, i, true);
            rig_pause((int)chance(w, 900));
            rig_isolate(w->r, i, false);
            break;
        case 1: /* one way */
            rig_cut(w->r, i, k, true);
            rig_pause((int)chance(w, 900));
            rig_cut(w->r, i, k, false);
            break;
        case 2:
            take_down(w, i);
            rig_kill(w->r, i);
            rig_pause((int)chance(w, 300));
            assert_int_equal(rig_start(w->r, i, RIG_PEERS, 3, B), 0);
            atomic_store(&w->up[i], 0);
            break;
        default:
            rig_noise(w->r, (uint32_t)chance(w, 2) * 15, (uint32_t)chance(w, 20000));
            rig_pause((int)chance(w, 500));
            rig_noise(w->r, 0, 0);
        }
        rig_pause((int)chance(w, 400));
    }
}

static void nothing_is_lost_or_done_twice(void **state)
{
    (void)state;
    const char *seconds = getenv("FAULTS_SECONDS"), *seed = getenv("FAULTS_SEED");
    world *w = calloc(1, sizeof *w);
    user u[3];
    w->random = seed ? strtoull(seed, NULL, 10) : 1;
    w->r = rig_make(3);
    for (int i = 0; i < 3; i++) assert_int_equal(rig_start(w->r, i, RIG_PEERS, 3, B), 0);
    assert_true(rig_settled(w->r));
    for (int i = 0; i < 3; i++) {
        u[i] = (user){.w = w, .i = i};
        pthread_create(&u[i].thread, NULL, run_user, &u[i]);
    }
    trouble(w, 1000 * (seconds ? atoi(seconds) : 12));
    atomic_store(&w->last_ms, rig_now_ms() + LAST_MS);
    atomic_store(&w->stop, true);
    for (int i = 0; i < 3; i++) pthread_join(u[i].thread, NULL);
    assert_true(rig_settled(w->r));
    assert_int_equal(w->wrong, 0);
    uint64_t counted = 0;
    for (int i = 0; i < 3; i++) {
        char text[32];
        assert_int_equal(rig_get(w->r, i, "count", text, sizeof text, NULL, 0, LAST_MS), 0);
        if (i == 0) counted = strtoull(text, NULL, 10);
        assert_int_equal(strtoull(text, NULL, 10), counted);
    }
    print_message("# %llu counted, %llu asked again, %llu of them forgotten\n",
                  (unsigned long long)w->done, (unsigned long long)w->unknown,
                  (unsigned long long)w->forgotten);
    assert_true(counted >= w->acknowledged);
    for (uint64_t k = 1; k <= counted; k++) assert_true(w->seen[k] == 1 || w->maybe[k]);
    assert_true(w->done + w->forgotten >= counted);
    assert_int_equal(w->twice, 0);
    assert_int_equal(w->stale, 0);
    assert_true(w->done > 0);
    rig_free(w->r);
    free(w);
    assert_int_equal(rig_memory(), 0); /* nodes leave nothing behind */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_is_lost_or_done_twice)};
    return unit_run(tests);
}
