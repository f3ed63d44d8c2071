/* rate_t.c: the limit of recoveries follows disk and network: half of the slower one. */
#include "replication/rate.h"
#include "unit/unit.h"

#define MB 1000000.0
#define S 1000000000ull

typedef struct world {
    qd_rate r;
    uint64_t now;
    double read, net; /* bytes a second that the devices give */
    double moved;
} world;

/* Copies pieces of 512 KB for so long, as a recovery does: leave, read, send. */
static void copy_for(world *w, uint64_t ns)
{
    uint64_t end = w->now + ns, piece = 512000;
    while (w->now < end) {
        w->now += qd_rate_left(&w->r, qd_rate_ask(&w->r, piece, w->now), w->now);
        uint64_t read = (uint64_t)((double)piece / w->read * 1e9);
        uint64_t sent = (uint64_t)((double)piece / w->net * 1e9);
        w->now += read;
        qd_rate_observe(&w->r, QD_RATE_READ, piece, read, w->now);
        w->now += sent;
        qd_rate_observe(&w->r, QD_RATE_NET, piece, sent, w->now);
        w->moved += (double)piece;
    }
}

static void near(double got, double want)
{
    if (got < want * 0.9 || got > want * 1.1) fail_msg("%.1f MB/s, not %.1f", got / MB, want / MB);
}

static world begin(double read, double net)
{
    world w = {.now = S, .read = read, .net = net};
    qd_rate_init(&w.r, 40000000, 1000000, 0, w.now);
    return w;
}

static void test_start(void **state)
{
    (void)state;
    world w = begin(1, 1);
    near(qd_rate_limit(&w.r, w.now), 40 * MB);
    qd_rate_bounds(&w.r, 0, 10000000);
    near(qd_rate_limit(&w.r, w.now), 10 * MB);
}

static void test_half_of_the_slower(void **state)
{
    (void)state;
    world w = begin(400 * MB, 100 * MB);
    copy_for(&w, 5 * S);
    near(qd_rate_limit(&w.r, w.now), 50 * MB);
    w.moved = 0;
    copy_for(&w, 10 * S);
    near(w.moved / 10, 50 * MB);
    w = begin(60 * MB, 1000 * MB);
    copy_for(&w, 10 * S);
    near(qd_rate_limit(&w.r, w.now), 30 * MB);
}

static void test_follows_load(void **state)
{
    (void)state;
    world w = begin(400 * MB, 1000 * MB);
    copy_for(&w, 10 * S);
    near(qd_rate_limit(&w.r, w.now), 200 * MB);
    w.read = 40 * MB; /* searches take the disk */
    copy_for(&w, 40 * S);
    near(qd_rate_limit(&w.r, w.now), 20 * MB);
    w.read = 400 * MB; /* and are gone */
    copy_for(&w, 60 * S);
    near(qd_rate_limit(&w.r, w.now), 200 * MB);
}

static void test_bounds(void **state)
{
    (void)state;
    world w = begin(0.5 * MB, 1000 * MB);
    copy_for(&w, 30 * S);
    near(qd_rate_limit(&w.r, w.now), 1 * MB); /* it must end */
    w = begin(400 * MB, 1000 * MB);
    qd_rate_bounds(&w.r, 1000000, 25000000);
    copy_for(&w, 5 * S);
    w.moved = 0;
    copy_for(&w, 10 * S);
    near(w.moved / 10, 25 * MB);
}

static void test_forgets(void **state)
{
    (void)state;
    world w = begin(400 * MB, 100 * MB);
    copy_for(&w, 5 * S);
    assert_true(qd_rate_capacity(&w.r, QD_RATE_NET, w.now) > 0);
    w.now += 120 * S;
    assert_true(qd_rate_capacity(&w.r, QD_RATE_NET, w.now) == 0);
    near(qd_rate_limit(&w.r, w.now), 40 * MB);
    /* what was not used meanwhile is not saved up */
    assert_true(qd_rate_left(&w.r, qd_rate_ask(&w.r, 4000000, w.now), w.now) == 0);
    assert_true(qd_rate_left(&w.r, qd_rate_ask(&w.r, 4000000, w.now), w.now) == 0);
    assert_true(qd_rate_left(&w.r, qd_rate_ask(&w.r, 4000000, w.now), w.now) > 0);
}

/* Who waits waits as long as the limit of the moment wants, not as that of when it asked. */
static void test_raised_while_one_waits(void **state)
{
    (void)state;
    world w = begin(400 * MB, 1000 * MB);
    qd_rate_bounds(&w.r, 0, 1000);
    (void)qd_rate_ask(&w.r, 1000000, w.now);
    double second = qd_rate_ask(&w.r, 1000000, w.now), third = qd_rate_ask(&w.r, 1000, w.now);
    assert_true(qd_rate_left(&w.r, second, w.now) > 900 * S);
    w.now += 100 * S;
    assert_true(qd_rate_left(&w.r, second, w.now) > 800 * S);
    qd_rate_bounds(&w.r, 0, 1000000);
    assert_true(qd_rate_left(&w.r, second, w.now) < S);
    assert_true(qd_rate_left(&w.r, third, w.now) > S); /* still behind it */
    w.now += S;
    assert_true(qd_rate_left(&w.r, second, w.now) == 0);
    w.now += S;
    assert_true(qd_rate_left(&w.r, third, w.now) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_start),        cmocka_unit_test(test_half_of_the_slower),
        cmocka_unit_test(test_follows_load), cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_forgets),      cmocka_unit_test(test_raised_while_one_waits),
    };
    return unit_run(tests);
}
