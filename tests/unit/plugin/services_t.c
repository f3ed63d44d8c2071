/* services_t.c: what a plugin gets from its host, seen through the tables that it fetches. */
#include "plugin/host.h"
#include "runtime/sync.h"
#include "unit/unit.h"
#include "json/reader.h"
#include "json/writer.h"
#include <quidditch/analyzer.h>
#include <quidditch/plugin.h>

/* A built-in part: it keeps its self and host, nothing else. */
static qd_self *me;
static const qd_host *table;

static int32_t open_none(qd_self *self, const qd_analyzer_config *config, void **out, qd_err *err)
{
    (void)config, (void)err;
    *out = self;
    return 0;
}
static int32_t run_none(const void *filter, qd_token_batch *in, qd_token_batch *out, qd_err *err)
{
    (void)filter, (void)in, (void)out, (void)err;
    return 1;
}
static void close_none(void *filter)
{
    (void)filter;
}

/* As an older plugin has it: the host must not read behind struct_size. */
static const qd_token_filter_vtable vtable = {QD_VTABLE(qd_token_filter_vtable, TOKEN_FILTER, 0),
                                              open_none, run_none, close_none};

static int32_t init(qd_self *self, const qd_host *host, qd_err *err)
{
    me = self;
    table = host;
    int data = 7;
    host->data_set(self, &data);
    if (*(int *)host->data(self) != 7) return QD_E_INTERNAL;
    host->data_set(self, NULL);
    return host->provide(self, QD_KIND_TOKEN_FILTER, "none", &vtable, err);
}

static const qd_plugin part = {QD_PLUGIN_HEAD(0), .name = "part", .version = "1", .init = init};

typedef struct fixture {
    qd_loop *loop;
    qd_pool *pool;
    qd_plugin_host *host;
} fixture;

static void loop_runs(qd_post *post)
{
    qd_latch_done(post->user, 0);
}

static int begin(void **state)
{
    static fixture f;
    qd_env *env = qd_env_system();
    assert_int_equal(qd_loop_open(env, "services", &f.loop, NULL), 0);
    assert_int_equal(qd_loop_start(f.loop, NULL), 0);
    qd_latch running; /* before that every thread counts as the loop's */
    qd_latch_init(&running, 1);
    qd_post post = {NULL, loop_runs, &running};
    qd_loop_post(f.loop, &post);
    (void)qd_latch_wait(&running);
    assert_int_equal(qd_pool_open(env, "generic", 2, 100, &f.pool, NULL), 0);
    qd_plugin_host_config config = {.env = env, .loop = f.loop, .pool = f.pool};
    assert_int_equal(qd_plugin_host_open(&config, &f.host, NULL), 0);
    assert_int_equal(qd_plugin_builtin(f.host, &part, NULL), 0);
    *state = &f;
    return 0;
}

static int end(void **state)
{
    fixture *f = *state;
    qd_pool_close(f->pool);
    qd_loop_close(f->loop);
    qd_plugin_host_close(f->host);
    return 0;
}

static const void *service(uint32_t id)
{
    const void *t = table->service(me, id, 0);
    assert_non_null(t);
    return t;
}

static void tables_by_version(void **state)
{
    (void)state;
    assert_null(table->service(me, QD_SERVICE_MEM, 999));
    assert_null(table->service(me, 999, 0));
    assert_null(table->service(me, QD_SERVICE_UV, 0));     /* it did not ask for it */
    assert_null(table->service(me, QD_SERVICE_ACTION, 0)); /* nobody gave one yet */
    assert_int_equal(table->provide(me, QD_KIND_TOKEN_FILTER, "late", &vtable, NULL), QD_E_STATE);
}

static void memory_is_counted(void **state)
{
    fixture *f = *state;
    const qd_svc_mem *mem = service(QD_SERVICE_MEM);
    qd_plugin_info info;
    void *p = mem->alloc(me, 1000);
    qd_plugin_info_get(f->host, 0, &info);
    assert_int_equal(info.memory, 1000);
    assert_int_equal(mem->charge(me, 50), 0);
    p = mem->realloc(me, p, 2000);
    qd_plugin_info_get(f->host, 0, &info);
    assert_int_equal(info.memory, 2050);
    assert_int_equal(mem->charge(me, -50), 0);
    mem->free(p);
    p = mem->aligned(me, 4096, 100);
    assert_int_equal((uintptr_t)p % 4096, 0);
    mem->free(p);
    qd_plugin_info_get(f->host, 0, &info);
    assert_int_equal(info.memory, 0);
}

static void errors_keep_the_first(void **state)
{
    (void)state;
    const qd_svc_err *errs = service(QD_SERVICE_ERR);
    qd_err *e = errs->make(me);
    assert_int_equal(errs->code(e), 0);
    assert_int_equal(errs->set(e, QD_E_IO, QD_STR("disk %s on fire")), QD_E_IO); /* no format */
    assert_int_equal(errs->set(e, QD_E_ARG, QD_STR("later")), QD_E_ARG);
    assert_int_equal(errs->code(e), QD_E_IO);
    assert_true(qd_str_is(errs->reason(e), "disk %s on fire"));
    errs->detail(e, "disk", QD_STR("sda"));
    errs->free(e);
    assert_int_equal(errs->set(NULL, QD_E_IO, QD_STR("x")), QD_E_IO);
}

typedef struct job {
    qd_plugin_work work;
    qd_latch *ended;
    qd_latch *hold;
    qd_loop *loop;
    int32_t rc;
    bool ran, on_loop;
} job;

static int32_t run_job(qd_plugin_work *w)
{
    job *j = QD_CONTAINER_OF(w, job, work);
    j->ran = true;
    j->on_loop = qd_loop_here(j->loop);
    if (j->hold) (void)qd_latch_wait(j->hold);
    return QD_E_LIMIT;
}

static void job_done(qd_op *op, int32_t rc)
{
    job *j = op->user;
    j->rc = qd_loop_here(j->loop) ? rc : QD_E_INTERNAL;
    qd_latch_done(j->ended, 0);
}

static void work_runs_off_the_loop(void **state)
{
    fixture *f = *state;
    const qd_svc_work *work = service(QD_SERVICE_WORK);
    qd_latch ended, hold1, hold2;
    qd_latch_init(&ended, 3);
    qd_latch_init(&hold1, 1);
    qd_latch_init(&hold2, 1);
    job jobs[3] = {{.hold = &hold1}, {.hold = &hold2}, {.hold = NULL}};
    for (int i = 0; i < 3; i++) {
        jobs[i].ended = &ended;
        jobs[i].loop = f->loop;
        jobs[i].work.run = run_job;
        jobs[i].work.op.done = job_done;
        jobs[i].work.op.user = &jobs[i];
        assert_int_equal(work->submit(me, &jobs[i].work), 0);
    }
    /* Two workers are held: the third waits in the queue and is cancelled there. */
    assert_int_equal(work->cancel(me, &jobs[2].work), 0);
    qd_latch_done(&hold1, 0);
    qd_latch_done(&hold2, 0);
    (void)qd_latch_wait(&ended);
    assert_int_equal(jobs[0].rc, QD_E_LIMIT);
    assert_true(jobs[0].ran && !jobs[0].on_loop);
    assert_int_equal(jobs[2].rc, QD_E_CANCELLED);
    assert_false(jobs[2].ran);
}

typedef struct ticks {
    const qd_svc_loop *loop;
    qd_plugin_timer *timer, *never;
    qd_latch done;
} ticks;

static void tick(void *arg)
{
    ticks *t = arg;
    t->loop->timer_stop(t->timer);
    t->loop->timer_stop(t->never);
    qd_latch_done(&t->done, 0);
}

static void never(void *arg)
{
    (void)arg;
    fail_msg("a stopped timer fired");
}

static void set_timers(void *arg)
{
    ticks *t = arg;
    qd_plugin_timer *early;
    assert_int_equal(t->loop->timer(me, 0, never, t, &early), 0);
    t->loop->timer_stop(early); /* before it began */
    assert_int_equal(t->loop->timer(me, 3600000000000, never, t, &t->never), 0);
    assert_int_equal(t->loop->timer(me, 1000000, tick, t, &t->timer), 0);
}

static void timers_fire_and_stop(void **state)
{
    (void)state;
    ticks t = {.loop = service(QD_SERVICE_LOOP)};
    qd_latch_init(&t.done, 1);
    assert_int_equal(t.loop->post(me, set_timers, &t), 0);
    (void)qd_latch_wait(&t.done);
}

static void json_is_pulled(void **state)
{
    (void)state;
    const qd_svc_json *json = service(QD_SERVICE_JSON);
    qd_jev ev;
    qd_str raw;
    qd_err err;
    qd_err_init(&err);
    qd_json_in *in =
        json->open(me, QD_STR("{\"a\": 12, \"b\": [1.5, true], \"c\": {\"x\": 1}}"), &err);
    static const uint32_t types[] = {QD_JEV_OBJECT, QD_JEV_KEY, QD_JEV_INT, QD_JEV_KEY};
    for (size_t i = 0; i < QD_COUNT_OF(types); i++) {
        assert_int_equal(json->next(in, &ev, &err), 0);
        assert_int_equal(ev.type, types[i]);
        if (ev.type == QD_JEV_INT) assert_int_equal(ev.integer, 12);
    }
    assert_int_equal(json->text(in, &raw, &err), 0);
    assert_true(qd_str_is(raw, "[1.5, true]"));
    assert_int_equal(json->next(in, &ev, &err), 0);
    assert_true(qd_str_is(ev.text, "c"));
    assert_int_equal((json->skip)(in, &err), 0);
    assert_int_equal(json->next(in, &ev, &err), 0);
    assert_int_equal(ev.type, QD_JEV_OBJECT_END);
    assert_int_equal(json->next(in, &ev, &err), 0);
    assert_int_equal(ev.type, QD_JEV_END);
    json->close(in);

    in = json->open(me, QD_STR("{\n  \"a\": oops"), &err);
    int32_t rc = 0;
    while (rc == 0) rc = json->next(in, &ev, &err);
    assert_int_equal(rc, QD_E_XCONTENT);
    assert_non_null(strstr(qd_err_reason(&err), "[2:"));
    json->close(in);
    qd_err_fini(&err);
}

static void misused_writers_stay_sound(void **state)
{
    (void)state;
    const qd_svc_json *json = service(QD_SERVICE_JSON);
    qd_buf b;
    qd_json_writer w;
    qd_buf_init(&b, NULL, 1000);
    qd_json_writer_init(&w, &b, false);
    qd_json_out *out = qd_plugin_json_out(&w);
    const qd_jev events[] = {
        {.type = QD_JEV_OBJECT_END}, /* nothing is open */
        {.type = QD_JEV_OBJECT},
        {.type = QD_JEV_INT, .integer = 1}, /* no key */
        {.type = QD_JEV_KEY, .text = QD_STR("a")},
        {.type = QD_JEV_KEY, .text = QD_STR("b")}, /* a value is due */
        {.type = QD_JEV_ARRAY},
        {.type = QD_JEV_OBJECT_END}, /* an array is open */
        {.type = QD_JEV_STRING, .text = QD_STR("x\"y")},
        {.type = QD_JEV_FLOAT, .number = 1.5},
        {.type = QD_JEV_ARRAY_END},
        {.type = QD_JEV_OBJECT_END},
    };
    for (size_t i = 0; i < QD_COUNT_OF(events); i++) json->put(out, &events[i]);
    assert_string_equal(b.p, "{\"a\":[\"x\\\"y\",1.5]}");
    qd_buf_fini(&b);
}

static void see_metric(void *arg, const qd_plugin_metric_view *m)
{
    int64_t *sum = arg;
    assert_string_equal(m->plugin, "part");
    *sum += m->type == QD_METRIC_HISTOGRAM ? (int64_t)(m->sum * 10) : m->value;
}

static void metrics_add_up(void **state)
{
    fixture *f = *state;
    const qd_svc_metric *metric = service(QD_SERVICE_METRIC);
    qd_plugin_metric *c = metric->make(me, QD_METRIC_COUNTER, "calls", "how often");
    qd_plugin_metric *h = metric->make(me, QD_METRIC_HISTOGRAM, "seconds", "how long");
    assert_ptr_equal(metric->make(me, QD_METRIC_COUNTER, "calls", NULL), c);
    assert_null(metric->make(me, QD_METRIC_GAUGE, "calls", NULL));
    metric->add(c, 3);
    metric->add(c, 4);
    metric->observe(h, 0.5);
    metric->observe(h, 2.5);
    int64_t sum = 0;
    qd_plugin_metrics_each(f->host, see_metric, &sum);
    assert_int_equal(sum, 7 + 30);
}

static int32_t fault(void *arg, const char *plugin, const char *point)
{
    (void)arg;
    return strcmp(plugin, "part") == 0 && strcmp(point, "here") == 0 ? QD_E_IO : 0;
}

static void faults_are_injected_by_name(void **state)
{
    fixture *f = *state;
    const qd_svc_fault *faults = service(QD_SERVICE_FAULT);
    assert_int_equal(faults->point(me, "here"), 0);
    qd_plugin_host_fault(f->host, fault, NULL);
    assert_int_equal(faults->point(me, "here"), QD_E_IO);
    assert_int_equal(faults->point(me, "there"), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(tables_by_version),           TEST(memory_is_counted),
        TEST(errors_keep_the_first),       TEST(work_runs_off_the_loop),
        TEST(timers_fire_and_stop),        TEST(json_is_pulled),
        TEST(misused_writers_stay_sound),  TEST(metrics_add_up),
        TEST(faults_are_injected_by_name),
    };
    return unit_run(tests);
}
