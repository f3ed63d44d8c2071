/* sim_t.c: simulated runs repeat by their seed, differ between seeds, and blocking code works. */
#include "base/str.h"
#include "runtime/loop.h"
#include "runtime/pool.h"
#include "runtime/sim_env.h"
#include "runtime/sync.h"
#include "unit/unit.h"

/* A small system: senders on threads, a shared table under a lock, workers, a loop with a timer. */
typedef struct world {
    qd_sim *sim;
    qd_env *env;
    qd_mutex lock;
    qd_cond changed;
    qd_pool *pool;
    qd_loop *loop;
    qd_timer timer;
    int produced, consumed, posted, ticks;
    char order[400];
    size_t n;
} world;

typedef struct item {
    qd_work work;
    qd_post post;
    world *w;
    int number;
} item;

enum { THREADS = 3, PER_THREAD = 20, ITEMS = THREADS * PER_THREAD };
static item items[ITEMS];

static void arrived(qd_post *post)
{
    item *it = post->user;
    it->w->posted++;
    qd_sim_trace(it->w->sim, "arrived", (uint64_t)it->number);
}

static void consume(qd_work *work)
{
    item *it = work->user;
    world *w = it->w;
    qd_mutex_lock(&w->lock);
    if (w->n < sizeof w->order) w->order[w->n++] = (char)('0' + it->number % 64);
    qd_env_sleep_ns(w->env, 3000); /* holds the lock while others want it */
    w->consumed++;
    qd_cond_broadcast(&w->changed);
    qd_mutex_unlock(&w->lock);
    qd_loop_post(w->loop, &it->post);
}

static void produce(void *arg)
{
    item *first = arg;
    world *w = first->w;
    for (int i = 0; i < PER_THREAD; i++) {
        qd_mutex_lock(&w->lock);
        while (w->produced - w->consumed > 5) qd_cond_wait(&w->changed, &w->lock);
        w->produced++;
        qd_mutex_unlock(&w->lock);
        assert_int_equal(qd_pool_submit(w->pool, &first[i].work, NULL), 0);
        qd_env_sleep_ns(w->env, qd_env_random_u64(w->env) % 10000);
    }
}

static void tick(qd_timer *t)
{
    world *w = t->user;
    if (++w->ticks == 10) qd_timer_stop(t);
}

static uint64_t run(uint64_t seed, char *order)
{
    world w = {0};
    assert_int_equal(qd_sim_open(seed, &w.sim, NULL), 0);
    w.env = qd_sim_env(w.sim, "node");
    qd_mutex_init(&w.lock);
    qd_cond_init(&w.changed);
    assert_int_equal(qd_pool_open(w.env, "write", 3, 100, &w.pool, NULL), 0);
    assert_int_equal(qd_loop_open(w.env, "loop", &w.loop, NULL), 0);
    qd_timer_init(&w.timer, w.loop, tick, &w);
    assert_int_equal(qd_timer_start(&w.timer, 10000, 10000), 0);
    assert_int_equal(qd_loop_start(w.loop, NULL), 0);
    qd_thread *threads[THREADS];
    for (int i = 0; i < ITEMS; i++) {
        items[i] = (item){.w = &w, .number = i};
        items[i].work = (qd_work){.run = consume, .user = &items[i]};
        items[i].post = (qd_post){.fn = arrived, .user = &items[i]};
    }
    for (int t = 0; t < THREADS; t++) {
        item *first = &items[t * PER_THREAD];
        assert_int_equal(qd_thread_start(w.env, "producer", produce, first, &threads[t], NULL), 0);
    }
    for (int t = 0; t < THREADS; t++) qd_thread_join(w.env, threads[t]);
    qd_pool_close(w.pool);
    qd_env_sleep_ns(w.env, 1000000);
    qd_loop_close(w.loop);
    assert_int_equal(w.consumed, ITEMS);
    assert_int_equal(w.posted, ITEMS);
    assert_int_equal(w.ticks, 10);
    memcpy(order, w.order, ITEMS);
    uint64_t digest = qd_sim_digest(w.sim);
    qd_cond_fini(&w.changed);
    qd_mutex_fini(&w.lock);
    qd_sim_close(w.sim);
    return digest;
}

static void equal_seeds_give_equal_runs(void **state)
{
    (void)state;
    int orders = 0;
    char before[ITEMS] = "";
    for (uint64_t seed = 1; seed <= 50; seed++) {
        char a[ITEMS], b[ITEMS];
        uint64_t first = run(seed, a);
        free(malloc((size_t)seed * 1000)); /* addresses differ */
        uint64_t second = run(seed, b);
        if (first != second) print_message("# seed %llu\n", (unsigned long long)seed);
        assert_int_equal(first, second);
        assert_memory_equal(a, b, ITEMS);
        orders += memcmp(a, before, ITEMS) != 0;
        memcpy(before, a, ITEMS);
    }
    assert_true(orders > 40); /* seeds do make a difference */
}

static void complete(void *arg)
{
    qd_latch_done(arg, QD_E_IO);
}

static void the_driver_waits_in_virtual_time(void **state)
{
    (void)state;
    qd_sim *sim;
    assert_int_equal(qd_sim_open(7, &sim, NULL), 0);
    qd_env *env = qd_sim_env(sim, "a");
    uint64_t start = qd_env_mono_ns(env);
    qd_env_sleep_ns(env, 3600ull * 1000000000); /* an hour, at once */
    assert_true(qd_env_mono_ns(env) - start >= 3600ull * 1000000000);
    qd_latch latch;
    qd_latch_init(&latch, 2);
    assert_int_equal(qd_sim_after(sim, 1000, complete, &latch), 0);
    assert_int_equal(qd_sim_after(sim, 5000, complete, &latch), 0);
    assert_int_equal(qd_latch_wait(&latch), QD_E_IO);
    qd_mutex m;
    qd_cond c;
    qd_mutex_init(&m);
    qd_cond_init(&c);
    qd_mutex_lock(&m);
    uint64_t until = qd_sim_now_ns(sim) + 1000000;
    assert_int_equal(qd_cond_wait_until(&c, &m, until), QD_E_TIMEOUT);
    assert_true(qd_sim_now_ns(sim) >= until);
    qd_mutex_unlock(&m);
    qd_cond_fini(&c);
    qd_mutex_fini(&m);
    int64_t wall = qd_env_wall_ms(env);
    qd_sim_wall_jump(env, -5000);
    assert_true(qd_env_wall_ms(env) < wall);
    assert_true(qd_sim_run_idle(sim, 0));
    qd_sim_close(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_seeds_give_equal_runs),
        cmocka_unit_test(the_driver_waits_in_virtual_time),
    };
    return unit_run(tests);
}
