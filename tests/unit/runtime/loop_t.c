/* loop_t.c: posts arrive once and in order, timers fire in order and never early. */
#include "runtime/loop.h"
#include "runtime/sync.h"
#include "unit/unit.h"

typedef struct note {
    qd_post post;
    int from, value;
    int *last;
    int *count;
} note;

static void on_note(qd_post *post)
{
    note *n = post->user;
    assert_true(n->value > n->last[n->from]); /* in order for each sender */
    n->last[n->from] = n->value;
    ++*n->count;
}

typedef struct sender {
    qd_loop *loop;
    note *notes;
    int n;
} sender;

static void send_all(void *arg)
{
    sender *s = arg;
    for (int i = 0; i < s->n; i++) qd_loop_post(s->loop, &s->notes[i].post);
}

static void posts_of_many_threads_arrive_in_order(void **state)
{
    (void)state;
    enum { THREADS = 3, N = 10000 };
    qd_env *env = qd_env_system();
    qd_loop *loop;
    assert_int_equal(qd_loop_open(env, "test", &loop, NULL), 0);
    assert_int_equal(qd_loop_start(loop, NULL), 0);
    static note notes[THREADS][N];
    int last[THREADS] = {0}, count = 0;
    sender senders[THREADS];
    qd_thread *threads[THREADS];
    for (int t = 0; t < THREADS; t++) {
        for (int i = 0; i < N; i++) {
            note *n = &notes[t][i];
            *n = (note){.from = t, .value = i + 1, .last = last, .count = &count};
            n->post.fn = on_note;
            n->post.user = n;
        }
        senders[t] = (sender){loop, notes[t], N};
        assert_int_equal(qd_thread_start(env, "sender", send_all, &senders[t], &threads[t], NULL),
                         0);
    }
    for (int t = 0; t < THREADS; t++) qd_thread_join(env, threads[t]);
    qd_loop_close(loop);
    assert_int_equal(count, THREADS * N);
}

typedef struct timed {
    qd_timer timer;
    qd_loop *loop;
    int *order, *n;
    int id, left;
    uint64_t due;
} timed;

static void on_timer(qd_timer *t)
{
    timed *x = t->user;
    assert_true(qd_env_mono_ns(qd_loop_env(x->loop)) >= x->due);
    x->order[(*x->n)++] = x->id;
    if (--x->left == 0) {
        qd_timer_stop(t);
        if (x->id == 9) qd_loop_stop(x->loop);
    }
}

static void timers_fire_in_order_and_not_early(void **state)
{
    (void)state;
    qd_env *env = qd_env_system();
    qd_loop *loop;
    assert_int_equal(qd_loop_open(env, "test", &loop, NULL), 0);
    static const int delay_ms[] = {5, 1, 3, 9, 7};
    int order[32], n = 0;
    timed timers[6];
    for (int i = 0; i < 5; i++) {
        timers[i] = (timed){.loop = loop, .order = order, .n = &n, .id = delay_ms[i], .left = 1};
        qd_timer_init(&timers[i].timer, loop, on_timer, &timers[i]);
        timers[i].due = qd_env_mono_ns(env) + (uint64_t)delay_ms[i] * 1000000;
        assert_int_equal(qd_timer_start(&timers[i].timer, (uint64_t)delay_ms[i] * 1000000, 0), 0);
    }
    qd_timer_init(&timers[5].timer, loop, on_timer, &timers[5]);
    assert_int_equal(qd_timer_start(&timers[5].timer, 2000000, 0), 0);
    qd_timer_stop(&timers[5].timer);
    qd_loop_run(loop);
    assert_int_equal(n, 5);
    for (int i = 0; i < 5; i++) assert_int_equal(order[i], 1 + 2 * i);
    qd_loop_close(loop);
}

static void a_periodic_timer_goes_on_until_stopped(void **state)
{
    (void)state;
    qd_loop *loop;
    assert_int_equal(qd_loop_open(qd_env_system(), "test", &loop, NULL), 0);
    int order[16], n = 0;
    timed x = {.loop = loop, .order = order, .n = &n, .id = 9, .left = 4};
    qd_timer_init(&x.timer, loop, on_timer, &x);
    assert_int_equal(qd_timer_start(&x.timer, 1000000, 1000000), 0);
    qd_loop_run(loop);
    assert_int_equal(n, 4);
    assert_false(qd_timer_running(&x.timer));
    qd_loop_close(loop);
}

typedef struct gate {
    qd_post post;
    _Atomic bool open;
} gate;

static void wait_at(qd_post *post)
{
    gate *g = post->user;
    while (!atomic_load(&g->open)) qd_env_sleep_ns(qd_env_system(), 100000);
}

static void a_loop_that_stands_still_is_named(void **state)
{
    (void)state;
    qd_env *env = qd_env_system();
    qd_loop *one, *two;
    gate g = {0};
    char stuck[64] = "";
    assert_int_equal(qd_loop_open(env, "one", &one, NULL), 0);
    assert_int_equal(qd_loop_open(env, "two", &two, NULL), 0);
    assert_int_equal(qd_loop_start(one, NULL), 0);
    assert_int_equal(qd_loop_start(two, NULL), 0);
    assert_true(qd_loops_turn(stuck)); /* none was asked before */
    while (!qd_loops_turn(stuck)) qd_env_sleep_ns(env, 100000);
    g.post.fn = wait_at;
    g.post.user = &g;
    qd_loop_post(one, &g.post);
    unsigned named = 0; /* of `two` too, which is slower now and then */
    while (named < 3) {
        if (!qd_loops_turn(stuck) && strcmp(stuck, "one") == 0) named++;
        qd_env_sleep_ns(env, 1000000);
    }
    assert_false(qd_loops_turn(stuck)); /* for as long as it stands still */
    atomic_store(&g.open, true);
    while (!qd_loops_turn(stuck)) qd_env_sleep_ns(env, 100000);
    qd_loop_close(one); /* the pulse may be under way */
    while (!qd_loops_turn(stuck)) qd_env_sleep_ns(env, 100000);
    qd_loop_close(two);
    assert_true(qd_loops_turn(stuck)); /* none is left */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(posts_of_many_threads_arrive_in_order),
        cmocka_unit_test(timers_fire_in_order_and_not_early),
        cmocka_unit_test(a_periodic_timer_goes_on_until_stopped),
        cmocka_unit_test(a_loop_that_stands_still_is_named),
    };
    return unit_run(tests);
}
