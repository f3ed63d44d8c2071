/* model_uv_t.c: several threads, each with a loop and a connection, share one model of an API
 * server. */
#include "lib/kube_model_uv.h"
#include "unit/unit.h"
#include <jansson.h>
#include <pthread.h>

#define MAPS "/api/v1/namespaces/default/configmaps"
enum { THREADS = 3, ROUNDS = 40 };

/* Raises a number by compare-and-set, ROUNDS times, and watches it meanwhile. */
typedef struct node {
    kube_model *m;
    pthread_t thread;
    uv_loop_t loop;
    kube_transport *t;
    kube_exchange x, watch;
    char *body;
    int done, seen; /* seen: lines of the watch */
    bool freed;
} node;

static void read_it(node *n);

static void freed(void *arg)
{
    ((node *)arg)->freed = true;
}

static void write_done(kube_exchange *x)
{
    node *n = x->user;
    assert_int_equal(x->outcome, KUBE_ANSWERED);
    assert_true(x->status == 200 || x->status == 409);
    n->done += x->status == 200;
    free(n->body);
    n->body = NULL;
    if (n->done < ROUNDS)
        read_it(n);
    else if (n->seen >= THREADS * ROUNDS)
        n->t->free(n->t, freed, n);
}

static void read_done(kube_exchange *x)
{
    node *n = x->user;
    json_error_t err;
    assert_int_equal(x->outcome, KUBE_ANSWERED);
    json_t *o = json_loadb(x->answer.p, x->answer.n, 0, &err);
    json_t *data = json_object_get(o, "data");
    int count = (int)strtol(json_string_value(json_object_get(data, "n")), NULL, 10);
    char text[16];
    snprintf(text, sizeof text, "%d", count + 1);
    json_object_set_new(data, "n", json_string(text));
    n->body = json_dumps(o, 0);
    json_decref(o);
    n->x = (kube_exchange){.method = "PUT",
                           .target = MAPS "/count",
                           .body = {n->body, strlen(n->body)},
                           .done = write_done,
                           .user = n};
    assert_int_equal(n->t->start(n->t, &n->x), 0);
}

static void read_it(node *n)
{
    n->x = (kube_exchange){.method = "GET", .target = MAPS "/count", .done = read_done, .user = n};
    assert_int_equal(n->t->start(n->t, &n->x), 0);
}

static void seen(kube_exchange *x, qd_str bytes)
{
    node *n = x->user;
    for (size_t i = 0; i < bytes.n; i++) n->seen += bytes.p[i] == '\n';
    /* all of it was written by everybody, and told to this one */
    if (n->seen >= THREADS * ROUNDS && n->done == ROUNDS) n->t->free(n->t, freed, n);
}
static void watch_done(kube_exchange *x)
{
    (void)x;
    fail_msg("the watch ended");
}

static void *run(void *arg)
{
    node *n = arg;
    uv_run(&n->loop, UV_RUN_DEFAULT);
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    kube_model *m = kube_model_make(&(kube_model_config){
        .seed = 1, .now_ns = uv_hrtime(), .mono_ns = kube_model_uv_now, .latency_max_ns = 200000});
    node nodes[THREADS];
    assert_int_equal(kube_model_do(m, "POST", MAPS,
                                   "{\"metadata\":{\"name\":\"count\"},\"data\":{\"n\":\"0\"}}",
                                   NULL),
                     201);
    char target[128];
    snprintf(target, sizeof target, MAPS "?watch=1&resourceVersion=%llu",
             (unsigned long long)kube_model_revision(m));
    for (int i = 0; i < THREADS; i++) {
        nodes[i] = (node){.m = m};
        assert_int_equal(uv_loop_init(&nodes[i].loop), 0);
        nodes[i].t = kube_model_uv_connect(m, "node", NULL, &nodes[i].loop);
        nodes[i].watch = (kube_exchange){.method = "GET",
                                         .target = target,
                                         .chunk = seen,
                                         .done = watch_done,
                                         .user = &nodes[i]};
        assert_int_equal(nodes[i].t->start(nodes[i].t, &nodes[i].watch), 0);
        read_it(&nodes[i]);
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&nodes[i].thread, NULL, run, &nodes[i]), 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(nodes[i].thread, NULL);
        assert_true(nodes[i].freed);
        assert_int_equal(nodes[i].seen, THREADS * ROUNDS);
        assert_int_equal(uv_loop_close(&nodes[i].loop), 0);
    }
    json_t *o = kube_model_get(m, "configmaps", "default", "count");
    assert_string_equal(json_string_value(json_object_get(json_object_get(o, "data"), "n")), "120");
    json_decref(o);
    kube_model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_threads)};
    return unit_run(tests);
}
