/* call_t.c: calls, answers, errors, time-outs, cancels, queues, over sockets and the simulated
 * network. */
#include "unit/lib/rpc_world.h"
#include "unit/unit.h"

#define MS 1000000ull

static world w;

static int both(void **state)
{
    world_open(&w, (uint64_t)(uintptr_t)*state);
    assert_int_equal(world_node_open(&w, 0, NULL, NULL), 0);
    assert_int_equal(world_node_open(&w, 1, NULL, NULL), 0);
    return 0;
}

static int end(void **state)
{
    (void)state;
    world_close(&w);
    return 0;
}

/* --- handlers --- */

static void echo(void *arg, qd_rpc_request *r)
{
    (void)arg;
    qd_str b = qd_rpc_request_body(r);
    if (qd_str_is(b, "fail")) {
        qd_err err;
        qd_err_init(&err);
        (void)qd_err_set(&err, QD_E_INDEX_NOT_FOUND, "no such index [books]");
        qd_err_detail_str(&err, "index", QD_STR("books"));
        qd_rpc_fail(r, &err);
        qd_err_fini(&err);
        return;
    }
    qd_rpc_reply(r, b, (qd_str){NULL, 0});
}

static qd_mutex held_lock = QD_MUTEX_INIT;
static qd_rpc_request *held[400];
static uint32_t nheld;
static _Atomic uint32_t told;

static void on_cancel(void *arg)
{
    (void)arg;
    atomic_fetch_add(&told, 1);
}

static void hold(void *arg, qd_rpc_request *r)
{
    (void)arg;
    qd_rpc_request_on_cancel(r, on_cancel, NULL);
    qd_mutex_lock(&held_lock);
    held[nheld++] = r;
    qd_mutex_unlock(&held_lock);
}

static _Atomic bool busy;

/* A handler that keeps its worker for a while. */
static void slow(void *arg, qd_rpc_request *r)
{
    (void)arg;
    do qd_env_sleep_ns(w.nodes[1].env, 5 * MS);
    while (atomic_load(&busy));
    hold(NULL, r);
}

static void release(qd_str answer)
{
    qd_rpc_request *now[400];
    qd_mutex_lock(&held_lock);
    uint32_t n = nheld;
    memcpy(now, held, n * sizeof now[0]);
    nheld = 0;
    qd_mutex_unlock(&held_lock);
    for (uint32_t i = 0; i < n; i++) qd_rpc_reply(now[i], answer, (qd_str){NULL, 0});
}

static bool is_held(void *arg)
{
    qd_mutex_lock(&held_lock);
    bool is = nheld == (uint32_t)(uintptr_t)arg;
    qd_mutex_unlock(&held_lock);
    return is;
}
static bool is_told(void *arg)
{
    return atomic_load(&told) == (uint32_t)(uintptr_t)arg;
}

static int ask(unsigned from, unsigned to, qd_rpc_class class, qd_str body, qd_rpc_call *call,
               qd_err *err)
{
    *call = (qd_rpc_call){.to = qd_str_c(w.nodes[to].address),
                          .action = QD_ACTION_ECHO,
                          .class = class,
                          .timeout_ms = 120000,
                          .body = body};
    return qd_rpc_call_wait(w.nodes[from].rpc, call, err);
}

/* --- tests --- */

static void calls_are_answered(void **state)
{
    (void)state;
    qd_rpc_call call;
    qd_err err;
    qd_err_init(&err);
    assert_int_equal(qd_rpc_handle(w.nodes[1].rpc, QD_ACTION_ECHO, NULL, 0, echo, NULL, NULL), 0);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(ask(0, 1, (qd_rpc_class)(i % 3), QD_STR("hello"), &call, &err), 0);
        assert_true(qd_str_is(call.answer, "hello"));
        qd_rpc_call_fini(&call);
    }
    /* errors come as they were */
    assert_int_equal(ask(0, 1, QD_RPC_DATA, QD_STR("fail"), &call, &err), QD_E_INDEX_NOT_FOUND);
    assert_string_equal(qd_err_reason(&err), "no such index [books]");
    assert_string_equal(err.details[0].value, "books");
    assert_int_equal(qd_err_status(&err), 404);
    qd_err_fini(&err);
    qd_rpc_call_fini(&call);
    /* nobody handles it there */
    assert_int_equal(ask(1, 0, QD_RPC_DATA, QD_STR("x"), &call, &err), QD_E_UNSUPPORTED);
    assert_non_null(
        strstr(qd_err_reason(&err), "node [n0] has no handler for [internal:transport/echo]"));
    qd_err_fini(&err);
    qd_rpc_call_fini(&call);
    qd_rpc_unhandle(w.nodes[1].rpc, QD_ACTION_ECHO);
    assert_int_equal(ask(0, 1, QD_RPC_DATA, QD_STR("x"), &call, NULL), QD_E_UNSUPPORTED);
    qd_rpc_call_fini(&call);
}

static void the_node_itself_answers(void **state)
{
    (void)state;
    qd_rpc_call call;
    qd_err err;
    qd_err_init(&err);
    assert_int_equal(qd_rpc_handle(w.nodes[0].rpc, QD_ACTION_ECHO, "generic", 0, echo, NULL, NULL),
                     0);
    assert_int_equal(ask(0, 0, QD_RPC_DATA, QD_STR("me"), &call, &err), 0);
    assert_true(qd_str_is(call.answer, "me"));
    qd_rpc_call_fini(&call);
    assert_int_equal(ask(0, 0, QD_RPC_DATA, QD_STR("fail"), &call, &err), QD_E_INDEX_NOT_FOUND);
    qd_err_fini(&err);
    qd_rpc_call_fini(&call);
}

/* Answers in a room of its own: from the place that the body's first byte says, as many bytes as
 * the body has; none where it begins with 'f' or 'r'. */
static void fill(void *arg, qd_rpc_request *r)
{
    (void)arg;
    qd_str b = qd_rpc_request_body(r);
    char *room;
    qd_err err;
    qd_err_init(&err);
    int rc = qd_rpc_reply_room(r, 256 + b.n, &room, &err);
    if (!rc && b.p[0] == 'f') rc = qd_err_set(&err, QD_E_EOF, "it ends early");
    if (rc) {
        qd_rpc_fail(r, &err);
    } else if (b.p[0] == 'r') {
        qd_rpc_reply(r, QD_STR("another"), (qd_str){NULL, 0});
    } else {
        size_t from = (uint8_t)b.p[0];
        memcpy(room + from, b.p, b.n);
        qd_rpc_reply_filled(r, from, b.n);
    }
    qd_err_fini(&err);
}

static void answers_are_filled_where_they_stand(void **state)
{
    (void)state;
    static char body[1100000];
    size_t sizes[] = {1, 300, 262144, 600000, 1048576, 1052000, 1100000, 7};
    qd_rpc_call call;
    qd_err err;
    qd_err_init(&err);
    for (unsigned to = 0; to < 2; to++)
        assert_int_equal(
            qd_rpc_handle(w.nodes[to].rpc, QD_ACTION_ECHO, "generic", 0, fill, NULL, NULL), 0);
    for (unsigned i = 0; i < 64; i++) {
        size_t n = sizes[i % 8];
        qd_rpc_class class = i % 3 ? QD_RPC_BULK : QD_RPC_DATA;
        memset(body, (int)(128 + i), n);
        assert_int_equal(ask(0, i % 5 ? 1 : 0, class, (qd_str){body, n}, &call, NULL), 0);
        assert_int_equal(call.answer.n, n);
        assert_memory_equal(call.answer.p, body, n);
        qd_rpc_call_fini(&call);
    }
    for (unsigned to = 0; to < 2; to++) {
        body[0] = 'f';
        assert_int_equal(ask(0, to, QD_RPC_BULK, (qd_str){body, 700000}, &call, &err), QD_E_EOF);
        assert_string_equal(qd_err_reason(&err), "it ends early");
        qd_err_fini(&err);
        qd_rpc_call_fini(&call);
        body[0] = 'r';
        assert_int_equal(ask(0, to, QD_RPC_BULK, (qd_str){body, 700000}, &call, NULL), 0);
        assert_true(qd_str_is(call.answer, "another"));
        qd_rpc_call_fini(&call);
    }
}

static void large_bodies_travel(void **state)
{
    (void)state;
    qd_rpc_call call;
    assert_int_equal(
        qd_rpc_handle(w.nodes[1].rpc, QD_ACTION_ECHO, "generic", QD_RPC_ON_FIBER, echo, NULL, NULL),
        0);
    /* about a block that is kept, half of it and a frame */
    size_t sizes[] = {0,      1,      16383,  16384,   262100,  262144,  300000,  526336,
                      526337, 540000, 790000, 1048576, 1052660, 1052672, 1052673, 5000000};
    qd_prng rnd;
    qd_prng_init(&rnd, 7);
    char *p = malloc(5000000);
    for (int noisy = 0; noisy < 2; noisy++) {
        for (size_t i = 0; i < 5000000; i++)
            p[i] = noisy ? (char)qd_prng_u64(&rnd) : (char)(i / 100);
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            for (int c = 0; c < 3; c++) {
                assert_int_equal(ask(0, 1, (qd_rpc_class)c, (qd_str){p, sizes[i]}, &call, NULL), 0);
                assert_int_equal(call.answer.n, sizes[i]);
                assert_memory_equal(call.answer.p, p, sizes[i]);
                qd_rpc_call_fini(&call);
            }
        }
    }
    free(p);
    qd_rpc_stats st;
    qd_rpc_stats_get(w.nodes[0].rpc, &st);
    assert_true(st.raw_bytes > 10000000 && st.compressed_bytes < st.raw_bytes / 10);
}

typedef struct many {
    qd_rpc_call call;
    _Atomic int done;
    int rc;
} many;
static many calls[400];
static _Atomic uint32_t ndone;

static void many_done(qd_rpc_call *call, int rc)
{
    many *m = call->user;
    m->rc = rc;
    atomic_fetch_add(&m->done, 1);
    atomic_fetch_add(&ndone, 1);
}
static bool all_done(void *arg)
{
    return atomic_load(&ndone) >= (uint32_t)(uintptr_t)arg;
}

static void start_many(unsigned to, unsigned n, uint32_t timeout_ms, uint32_t action)
{
    static char bodies[400][16];
    memset(calls, 0, sizeof calls);
    atomic_store(&ndone, 0);
    for (unsigned i = 0; i < n; i++) {
        snprintf(bodies[i], sizeof bodies[i], "%u", i);
        calls[i].call = (qd_rpc_call){.to = qd_str_c(w.nodes[to].address),
                                      .action = action,
                                      .class = QD_RPC_DATA,
                                      .timeout_ms = timeout_ms,
                                      .body = qd_str_c(bodies[i]),
                                      .done = many_done,
                                      .user = &calls[i]};
        if (i % 2) calls[i].call.done_pool = qd_pools_get(&w.nodes[0].pools, "generic");
        assert_int_equal(qd_rpc_call_start(w.nodes[0].rpc, &calls[i].call, NULL), 0);
    }
}

static void many_calls_at_once(void **state)
{
    (void)state;
    assert_int_equal(qd_rpc_handle(w.nodes[1].rpc, QD_ACTION_ECHO, "generic", 0, echo, NULL, NULL),
                     0);
    start_many(1, 400, 120000, QD_ACTION_ECHO);
    assert_true(world_until(&w, all_done, (void *)400));
    for (unsigned i = 0; i < 400; i++) {
        char want[16];
        snprintf(want, sizeof want, "%u", i);
        assert_int_equal(calls[i].rc, 0);
        assert_true(qd_str_is(calls[i].call.answer, want));
        qd_rpc_call_fini(&calls[i].call);
    }
}

static void time_outs_and_cancels_reach_the_handler(void **state)
{
    (void)state;
    atomic_store(&told, 0);
    assert_int_equal(qd_rpc_handle(w.nodes[1].rpc, QD_ACTION_ECHO, NULL, 0, hold, NULL, NULL), 0);
    start_many(1, 1, 0, QD_ACTION_ECHO);
    assert_true(world_until(&w, is_held, (void *)1));
    assert_false(qd_rpc_request_cancelled(held[0]));
    qd_rpc_call_cancel(w.nodes[0].rpc, &calls[0].call);
    assert_true(world_until(&w, is_told, (void *)1));
    assert_true(world_until(&w, all_done, (void *)1));
    assert_int_equal(calls[0].rc, QD_E_CANCELLED);
    qd_rpc_call_fini(&calls[0].call);
    release(QD_STR("late"));
    atomic_store(&told, 0);
    start_many(1, 3, w.sim ? 300 : 4000, QD_ACTION_ECHO);
    assert_true(world_until(&w, is_held, (void *)3));
    assert_true(world_until(&w, all_done, (void *)3));
    assert_int_equal(calls[1].rc, QD_E_TIMEOUT);
    assert_non_null(strstr(qd_err_reason(&calls[2].call.err), "did not answer within "));
    assert_non_null(strstr(qd_err_reason(&calls[2].call.err), w.sim ? " 300 ms" : " 4000 ms"));
    assert_true(world_until(&w, is_told, (void *)3));
    assert_true(qd_rpc_request_cancelled(held[1]));
    release(QD_STR("late"));
    for (int i = 0; i < 3; i++) qd_rpc_call_fini(&calls[i].call);
}

/* Lets go of what has come, until all calls have ended. */
static bool all_done_released(void *arg)
{
    release(QD_STR("late"));
    return all_done(arg);
}

static bool some_done(void *arg)
{
    (void)arg;
    return atomic_load(&ndone) > 0;
}

static void a_pool_that_is_full_refuses(void **state)
{
    (void)state;
    /* one thread and two that wait: of many at once some are refused */
    assert_int_equal(qd_rpc_handle(w.nodes[1].rpc, QD_ACTION_ECHO, "write", 0, slow, NULL, NULL),
                     0);
    atomic_store(&busy, true);
    start_many(1, 40, 120000, QD_ACTION_ECHO);
    assert_true(world_until(&w, some_done, NULL));
    atomic_store(&busy, false);
    assert_true(world_until(&w, all_done_released, (void *)40));
    int refused = 0, answered = 0;
    for (int i = 0; i < 40; i++) {
        refused += calls[i].rc == QD_E_REJECTED;
        answered += calls[i].rc == 0;
        qd_rpc_call_fini(&calls[i].call);
    }
    assert_true(answered >= 3);
    assert_int_equal(answered + refused, 40);
    assert_true(refused > 0);
}

static void nobody_there(void **state)
{
    (void)state;
    qd_rpc_call call = {.to = QD_STR("127.0.0.1:1"),
                        .action = QD_ACTION_ECHO,
                        .timeout_ms = 120000,
                        .body = QD_STR("x")};
    qd_err err;
    qd_err_init(&err);
    if (w.sim) call.to = QD_STR("n1:1");
    assert_int_equal(qd_rpc_call_wait(w.nodes[0].rpc, &call, &err), QD_E_CLOSED);
    assert_non_null(strstr(qd_err_reason(&err), "cannot connect to ["));
    assert_non_null(strstr(qd_err_reason(&err), "connection refused"));
    assert_false(call.sent);
    qd_err_fini(&err);
    qd_rpc_call_fini(&call);
    call.to = QD_STR("nonsense");
    assert_int_equal(qd_rpc_call_wait(w.nodes[0].rpc, &call, &err), QD_E_ARG);
    assert_string_equal(qd_err_reason(&err), "[nonsense] is no address of the form host:port");
    qd_err_fini(&err);
    qd_rpc_call_fini(&call);
    call.to = qd_str_c(w.nodes[1].address);
    call.flags = QD_RPC_NO_DIAL;
    assert_int_equal(qd_rpc_call_wait(w.nodes[0].rpc, &call, &err), QD_E_CLOSED);
    qd_err_fini(&err);
    qd_rpc_call_fini(&call);
}

static void closing_ends_all(void **state)
{
    (void)state;
    atomic_store(&told, 0);
    assert_int_equal(qd_rpc_handle(w.nodes[1].rpc, QD_ACTION_ECHO, NULL, 0, hold, NULL, NULL), 0);
    start_many(1, 20, 0, QD_ACTION_ECHO);
    assert_true(world_until(&w, is_held, (void *)20));
    world_node_close(&w, 0);
    assert_true(world_until(&w, all_done, (void *)20));
    for (int i = 0; i < 20; i++) {
        assert_int_equal(calls[i].rc, QD_E_CLOSED);
        assert_true(calls[i].call.sent);
        qd_rpc_call_fini(&calls[i].call);
    }
    assert_true(world_until(&w, is_told, (void *)20));
    release(QD_STR("late"));
}

static void a_close_does_not_wait_for_ever(void **state)
{
    (void)state;
    assert_int_equal(qd_rpc_handle(w.nodes[1].rpc, QD_ACTION_ECHO, NULL, 0, hold, NULL, NULL), 0);
    start_many(1, 3, 0, QD_ACTION_ECHO);
    assert_true(world_until(&w, is_held, (void *)3));
    qd_rpc_close(w.nodes[1].rpc); /* nobody answers */
    assert_true(world_until(&w, all_done, (void *)3));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(calls[i].rc, QD_E_CLOSED);
        qd_rpc_call_fini(&calls[i].call);
    }
    release(QD_STR("late")); /* after all: now it can be freed */
}

/* --- queues --- */

static void no_compression(qd_rpc_config *c, void *arg)
{
    (void)arg;
    c->compress_min = UINT64_MAX;
}

/* More large answers at once than a peer takes in parts. */
static void many_large_answers_at_once(void **state)
{
    (void)state;
    static char body[300000];
    assert_int_equal(world_node_open(&w, 2, no_compression, NULL), 0);
    assert_int_equal(qd_rpc_handle(w.nodes[2].rpc, QD_ACTION_ECHO, NULL, 0, hold, NULL, NULL), 0);
    start_many(2, 400, 0, QD_ACTION_ECHO);
    assert_true(world_until(&w, is_held, (void *)400));
    release((qd_str){body, sizeof body});
    assert_true(world_until(&w, all_done, (void *)400));
    for (unsigned i = 0; i < 400; i++) {
        assert_int_equal(calls[i].rc, 0);
        assert_int_equal(calls[i].call.answer.n, sizeof body);
        qd_rpc_call_fini(&calls[i].call);
    }
}

static void small_queue(qd_rpc_config *c, void *arg)
{
    (void)arg;
    c->queue_max[QD_RPC_DATA] = 1 << 20;
    c->compress_min = UINT64_MAX;
}

static void a_full_queue_refuses_and_a_waiting_call_waits(void **state)
{
    (void)state;
    static char body[300000];
    qd_err err;
    qd_err_init(&err);
    assert_int_equal(world_node_open(&w, 2, small_queue, NULL), 0);
    assert_int_equal(qd_rpc_handle(w.nodes[1].rpc, QD_ACTION_ECHO, "generic", 0, echo, NULL, NULL),
                     0);
    memset(calls, 0, sizeof calls);
    atomic_store(&ndone, 0);
    unsigned started = 0;
    int rc = 0;
    for (unsigned i = 0; i < 100 && !rc; i++) {
        calls[i].call = (qd_rpc_call){.to = qd_str_c(w.nodes[1].address),
                                      .action = QD_ACTION_ECHO,
                                      .class = QD_RPC_DATA,
                                      .timeout_ms = 120000,
                                      .body = {body, sizeof body},
                                      .done = many_done,
                                      .user = &calls[i]};
        rc = qd_rpc_call_start(w.nodes[2].rpc, &calls[i].call, &err);
        if (!rc) started++;
    }
    assert_int_equal(rc, QD_E_REJECTED);
    assert_true(started >= 3);
    assert_non_null(strstr(qd_err_reason(&err), "is full (1048576 bytes)"));
    qd_err_fini(&err);
    qd_rpc_call call = {.to = qd_str_c(w.nodes[1].address),
                        .action = QD_ACTION_ECHO,
                        .class = QD_RPC_DATA,
                        .timeout_ms = 120000,
                        .body = {body, sizeof body}};
    assert_int_equal(qd_rpc_call_wait(w.nodes[2].rpc, &call, NULL), 0);
    assert_int_equal(call.answer.n, sizeof body);
    qd_rpc_call_fini(&call);
    assert_true(world_until(&w, all_done, (void *)(uintptr_t)started));
    for (unsigned i = 0; i < started; i++) qd_rpc_call_fini(&calls[i].call);
}

static void no_messages(qd_rpc_config *c, void *arg)
{
    (void)arg;
    c->message_max = 1000;
}

static void too_large_is_said(void **state)
{
    (void)state;
    static char body[5000];
    qd_rpc_call call;
    qd_err err;
    qd_err_init(&err);
    assert_int_equal(world_node_open(&w, 2, no_messages, NULL), 0);
    assert_int_equal(qd_rpc_handle(w.nodes[2].rpc, QD_ACTION_ECHO, NULL, 0, echo, NULL, NULL), 0);
    assert_int_equal(qd_rpc_handle(w.nodes[1].rpc, QD_ACTION_ECHO, NULL, 0, echo, NULL, NULL), 0);
    assert_int_equal(ask(2, 1, QD_RPC_DATA, (qd_str){body, 5000}, &call, &err), QD_E_TOO_LARGE);
    assert_string_equal(qd_err_reason(&err), "a message of 5000 bytes is larger than 1000 bytes");
    qd_err_fini(&err);
    qd_rpc_call_fini(&call);
    assert_int_equal(ask(2, 1, QD_RPC_DATA, (qd_str){body, 1000}, &call, &err), 0);
    qd_rpc_call_fini(&call);
}

#define BOTH(f)                                                                                    \
    {#f " over sockets", f, both, end, NULL},                                                      \
    {                                                                                              \
#f " in simulation", f, both, end, (void *)17                                              \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(calls_are_answered),
        BOTH(the_node_itself_answers),
        BOTH(large_bodies_travel),
        BOTH(answers_are_filled_where_they_stand),
        BOTH(many_calls_at_once),
        BOTH(time_outs_and_cancels_reach_the_handler),
        BOTH(a_pool_that_is_full_refuses),
        BOTH(nobody_there),
        BOTH(closing_ends_all),
        {"a_close_does_not_wait_for_ever", a_close_does_not_wait_for_ever, both, end, (void *)17},
        {"many_large_answers_at_once", many_large_answers_at_once, both, end, (void *)17},
        BOTH(a_full_queue_refuses_and_a_waiting_call_waits),
        BOTH(too_large_is_said),
    };
    return unit_run(tests);
}
