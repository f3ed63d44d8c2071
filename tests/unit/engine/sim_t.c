/*
 * sim_t.c: a shard in the simulated world: writers, getters, refreshes, flushes, merges and a power
 * loss in one thread, by one seed. What each reader saw, the trace of all steps and the bytes on
 * the disk are the same in every process, whatever its environment and addresses. With DIGESTS=n
 * the program prints n seeds' digests; the test runs itself so, twice.
 */
#include "base/hash.h"
#include "runtime/pool.h"
#include "runtime/sim_env.h"
#include "unit/engine/engine_model.h"

enum { FIBERS = 4, OPS = 60, SIM_IDS = 25 };

typedef struct world {
    qd_sim *sim;
    qd_env *env;
    qd_engine *e;
    store_crash *disk;
    bool over;
} world;

typedef struct fiber {
    world *w;
    int number;
} fiber;

/* Takes its time with the slot's lock held: others come in between. */
static int slow_doc(void *arg, uint32_t slot, uint64_t unit, qd_buffer *b, const qd_engine_op *op,
                    qd_err *err)
{
    world *w = arg;
    qd_env_sleep_ns(w->env, qd_env_random_u64(w->env) % 3000);
    return write_doc(NULL, slot, unit, b, op, err);
}

static void work(void *arg)
{
    fiber *f = arg;
    world *w = f->w;
    for (int i = 0; i < OPS && !w->over; i++) {
        int id = (int)(qd_env_random_u64(w->env) % SIM_IDS), rc;
        if (f->number == 0) { /* reads */
            qd_engine_doc doc;
            char name[16];
            qd_arena a;
            int n = snprintf(name, sizeof name, "id%d", id);
            qd_arena_init(&a, NULL, 0);
            rc = qd_engine_get(w->e, (qd_str){name, (size_t)n}, true, true, &a, &doc, NULL);
            qd_sim_trace(w->sim, "get", rc ? 1 : (uint64_t)doc.seq_no << 1 | doc.found);
            qd_arena_fini(&a);
        } else {
            qd_engine_result res = {0};
            rc = op_put(w->e, id, i, i % 5 == 0, &res, NULL);
            if (!rc) rc = qd_engine_sync(w->e, &res.at, NULL);
            qd_sim_trace(w->sim, "put", rc ? 1 : (uint64_t)res.seq_no << 1);
        }
        if (rc) return;
        qd_env_sleep_ns(w->env, qd_env_random_u64(w->env) % 5000);
    }
}

static void churn(void *arg)
{
    world *w = arg;
    for (int i = 0; !w->over; i++) {
        int rc = i % 4 == 3 ? qd_engine_flush(w->e, false, NULL) : qd_engine_refresh(w->e, NULL);
        qd_sim_trace(w->sim, "churn", rc != 0);
        if (rc) return;
        qd_env_sleep_ns(w->env, 8000);
    }
}

static uint64_t one_run(uint64_t seed)
{
    world w = {0};
    qd_pool *merges;
    qd_store *s;
    qd_thread *t[FIBERS], *churner;
    fiber f[FIBERS];
    assert_int_equal(qd_sim_open(seed, &w.sim, NULL), 0);
    w.env = qd_sim_env(w.sim, "node");
    w.disk = store_crash_make(NULL);
    assert_int_equal(qd_pool_open(w.env, "merge", 2, 10, &merges, NULL), 0);
    for (int life = 0; life < 2; life++) {
        assert_int_equal(store_crash_open(w.disk, &s, NULL), 0);
        qd_engine_config c = config(s);
        c.env = w.env;
        c.merge_pool = merges;
        c.write_doc = slow_doc;
        c.write_doc_arg = &w;
        w.over = false;
        assert_int_equal(life ? qd_engine_open(&c, &w.e, NULL) : qd_engine_create(&c, &w.e, NULL),
                         0);
        if (life == 0) {
            store_crash_power_off_at(w.disk, 100 + qd_prng_below(qd_sim_prng(w.sim), 600));
        }
        assert_int_equal(qd_thread_start(w.env, "churn", churn, &w, &churner, NULL), 0);
        for (int i = 0; i < FIBERS; i++) {
            f[i] = (fiber){&w, i};
            assert_int_equal(qd_thread_start(w.env, "worker", work, &f[i], &t[i], NULL), 0);
        }
        for (int i = 0; i < FIBERS; i++) qd_thread_join(w.env, t[i]);
        w.over = true;
        qd_thread_join(w.env, churner);
        qd_engine_close(w.e, life == 1);
        qd_store_close(s);
        if (life == 0) store_crash_crash(w.disk, seed);
    }
    qd_pool_close(merges);
    uint64_t parts[] = {qd_sim_digest(w.sim), store_crash_digest(w.disk)};
    store_crash_free(w.disk);
    qd_sim_close(w.sim);
    return qd_xxh3(parts, sizeof parts);
}

static char *digests(const char *self, const char *environment, uint64_t n)
{
    char command[4096];
    char *out = calloc(1, 1 << 20);
    snprintf(command, sizeof command, "env %s DIGESTS=%llu %s", environment, (unsigned long long)n,
             self);
    FILE *p = popen(command, "r");
    assert_non_null(p);
    size_t got = fread(out, 1, (1 << 20) - 1, p);
    assert_int_equal(pclose(p), 0);
    assert_true(got > 0);
    return out;
}

static const char *program;

static void equal_seeds_give_equal_runs_in_any_process(void **state)
{
    (void)state;
    uint64_t n = rounds(10);
    char *a = digests(program, "-i", n),
         *b = digests(
             program,
             "LANG=de_DE.UTF-8 TZ=Asia/Tokyo MALLOC_ARENA_MAX=1 FILLER=$(seq 200|tr '\\n' x)", n);
    if (strcmp(a, b) != 0) {
        size_t i = 0;
        while (a[i] == b[i]) i++;
        while (i && a[i - 1] != '\n') i--;
        fail_msg("the runs differ from %.40s on", a + i);
    }
    print_message("# %llu seeds, two processes each\n", (unsigned long long)n);
    free(a);
    free(b);
}

int main(int argc, char **argv)
{
    (void)argc;
    program = argv[0];
    qd_log_level_set(NULL, QD_LOG_OFF);
    const char *n = getenv("DIGESTS");
    if (n) {
        for (uint64_t seed = 1; seed <= strtoull(n, NULL, 10); seed++) {
            printf("%llu %016llx\n", (unsigned long long)seed, (unsigned long long)one_run(seed));
        }
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_seeds_give_equal_runs_in_any_process)};
    return unit_run(tests);
}
