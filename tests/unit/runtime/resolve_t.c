/*
 * resolve_t.c: name servers that do not answer hold up nobody: 16 look-ups hang on the pool
 * `generic`, and libuv's own threads, by which libraft writes its log, go on as if nothing was.
 */
#include "base/str.h"
#include "runtime/env.h"
#include "runtime/pool.h"
#include "runtime/resolve.h"
#include "runtime/sync.h"
#include "unit/unit.h"
#include <netdb.h>
#include <uv.h>

enum { LOOKUPS = 16 };

static qd_mutex lock;
static qd_cond changed;
static uint32_t hanging;
static bool answering;

/* Instead of the system's: waits until the test lets the name servers answer. */
int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **out)
{
    (void)name, (void)service, (void)hints, (void)out;
    qd_mutex_lock(&lock);
    hanging++;
    qd_cond_broadcast(&changed);
    while (!answering) qd_cond_wait(&changed, &lock);
    qd_mutex_unlock(&lock);
    return EAI_NONAME;
}

static uint32_t left = LOOKUPS;
static void looked_up(qd_resolve *r)
{
    assert_int_equal(r->rc, QD_E_NOTFOUND);
    if (--left == 0) qd_loop_stop(r->loop);
}

static _Atomic bool written; /* TSan does not see libuv's locks */
static void write_log(uv_work_t *w)
{
    (void)w;
    written = true;
}
static void wrote_log(uv_work_t *w, int status)
{
    (void)w;
    assert_int_equal(status, 0);
}

static void blocked_resolvers_leave_libuvs_threads_alone(void **state)
{
    (void)state;
    static qd_resolve lookups[LOOKUPS];
    qd_pool *pool;
    qd_loop *loop;
    qd_mutex_init(&lock);
    qd_cond_init(&changed);
    assert_int_equal(qd_pool_open(qd_env_system(), "generic", LOOKUPS, 100, &pool, NULL), 0);
    assert_int_equal(qd_loop_open(qd_env_system(), "main", &loop, NULL), 0);
    for (int i = 0; i < LOOKUPS; i++)
        assert_int_equal(qd_resolve_start(&lookups[i], pool, loop, QD_STR("slow.example"), 1,
                                          looked_up, NULL, NULL),
                         0);
    qd_mutex_lock(&lock);
    while (hanging < LOOKUPS) qd_cond_wait(&changed, &lock);
    qd_mutex_unlock(&lock);

    /* As libraft does; it would never end if the look-ups sat on these threads. */
    uv_loop_t uv;
    uv_work_t work;
    assert_int_equal(uv_loop_init(&uv), 0);
    for (int i = 0; i < 100; i++) {
        written = false;
        assert_int_equal(uv_queue_work(&uv, &work, write_log, wrote_log), 0);
        uv_run(&uv, UV_RUN_DEFAULT);
        assert_true(written);
    }
    assert_int_equal(uv_loop_close(&uv), 0);
    assert_int_equal(left, LOOKUPS); /* all of them hang still */

    qd_mutex_lock(&lock);
    answering = true;
    qd_cond_broadcast(&changed);
    qd_mutex_unlock(&lock);
    qd_loop_run(loop);
    assert_int_equal(left, 0);
    qd_pool_close(pool);
    qd_loop_close(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocked_resolvers_leave_libuvs_threads_alone),
    };
    return unit_run(tests);
}
