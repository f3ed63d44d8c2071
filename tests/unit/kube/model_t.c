/* model_t.c: the model of an API server: what the real one answers (tests/k8s/requests), what a
 * transport promises, each fault, cuts, restarts, streams, and that a seed replays. */
#include "lib/kube_replay.h"
#include "model_world.h"
#include <glob.h>
#include <limits.h>
#include <unistd.h>

/* A path in the tree that this program was built in. */
static void in_tree(char path[PATH_MAX], const char *rest)
{
    ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - 64);
    assert_true(n > 0);
    path[n] = 0;
    for (;;) {
        char *slash = strrchr(path, '/');
        assert_non_null(slash);
        snprintf(slash, 64, "/tests/k8s/requests");
        bool there = access(path, R_OK) == 0;
        snprintf(slash, 64, "%s", there ? rest : "");
        if (there) return;
    }
}

/* --- as the real server answered --- */

static void test_requests(void **state)
{
    (void)state;
    char path[PATH_MAX];
    in_tree(path, "/tests/k8s/requests/*.txt");
    glob_t files;
    assert_int_equal(glob(path, 0, NULL, &files), 0);
    unsigned requests = 0;
    for (size_t i = 0; i < files.gl_pathc; i++) {
        kube_player p = kube_replay_model();
        kube_replay_result r = kube_replay(files.gl_pathv[i], &p, false, stderr);
        assert_int_equal(r.wrong, 0);
        requests += r.requests;
        kube_replay_model_free(&p);
    }
    globfree(&files);
    assert_true(requests > 60);
}

/* The definitions that are deployed: what they do not know is dropped, what they forbid refused. */
static void test_definitions(void **state)
{
    (void)state;
    world w = world_make(NULL, 1);
    assert_true(kube_model_deployed(w.m));
    json_t *o;
    static const char index[] =
        "{\"kind\":\"QuidditchIndex\",\"apiVersion\":\"quidditch.io/v1\",\"metadata\":{\"name\":"
        "\"books\"},\"spec\":{\"shards\":%s,\"nonsense\":1,\"mappings\":{\"properties\":{\"free\":"
        "{\"type\":\"text\"}}}}}";
    char body[512];
    static const char target[] = "/apis/quidditch.io/v1/namespaces/default/quidditchindices";
    snprintf(body, sizeof body, index, "\"three\"");
    assert_int_equal(tell(&w, w.t, "POST", target, body, NULL), 422);
    snprintf(body, sizeof body, index, "3");
    assert_int_equal(tell(&w, w.t, "POST", target, body, &o), 201);
    const json_t *spec = json_object_get(o, "spec");
    assert_null(json_object_get(spec, "nonsense"));
    const json_t *properties = json_object_get(json_object_get(spec, "mappings"), "properties");
    assert_non_null(json_object_get(properties, "free"));
    json_decref(o);
    world_free(&w);
}

/* --- what a transport promises --- */

static void test_transport(void **state)
{
    (void)state;
    world w = world_make(NULL, 1);
    ask a;
    char *body = map_of("a", 1, "");
    /* cancelled before a byte left, it has no effect */
    ask_start(w.t, &a, "POST", MAPS, body);
    assert_int_equal(w.t->cancel(w.t, &a.x), KUBE_NOT_SENT);
    pass(&w, SECOND);
    assert_false(a.done);
    assert_int_equal(stored(&w, "a"), -1);
    /* afterwards it may, and here does */
    ask_start(w.t, &a, "POST", MAPS, body);
    uint64_t first = kube_model_next(w.m);
    assert_true(first > w.now);
    pass(&w, (first - w.now) / 2 + 1);
    assert_int_equal(w.t->cancel(w.t, &a.x), KUBE_NO_ANSWER);
    pass(&w, SECOND);
    assert_false(a.done);
    assert_int_equal(stored(&w, "a"), 1);
    /* time, and the server's day */
    ask_start(w.t, &a, "GET", MAPS "/a", NULL);
    wait_for(&w, &a, SECOND);
    assert_int_equal(a.x.outcome, KUBE_ANSWERED);
    assert_true(a.x.date_ms > 1700000000000 && a.x.date_ms % 1000 == 0);
    assert_int_equal(a.x.retry_after_ns, -1);
    int64_t day = a.x.date_ms;
    ask_clear(&a);
    kube_model_wall_jump(w.m, 3600000);
    ask_start(w.t, &a, "GET", MAPS "/a", NULL);
    a.x.answer_max = 0;
    wait_for(&w, &a, SECOND);
    assert_true(a.x.date_ms >= day + 3600000);
    ask_clear(&a);
    /* more than was asked for */
    ask_start(w.t, &a, "GET", MAPS "/a", NULL);
    a.x.answer_max = 5;
    wait_for(&w, &a, SECOND);
    assert_int_equal(a.x.outcome, KUBE_TOO_LARGE);
    assert_int_equal(a.x.status, 200);
    ask_clear(&a);
    /* a transport that goes takes what is open along */
    kube_transport *t = kube_model_connect(w.m, "short", NULL);
    ask_start(t, &a, "GET", MAPS "/a", NULL);
    t->free(t, NULL, NULL);
    pass(&w, SECOND);
    assert_false(a.done);
    free(body);
    world_free(&w);
}

static kube_transport *stop;
static void chunk_cancels(kube_exchange *x, qd_str bytes)
{
    ask *a = x->user;
    ask_chunk(x, bytes);
    stop->cancel(stop, x);
    a->lines = 1000;
}

/* A stream that is ended from inside its own callback. */
static void test_cancel_inside(void **state)
{
    (void)state;
    world w = world_make(NULL, 12);
    for (int i = 0; i < 5; i++) {
        ask a;
        json_decref(put_map(&w, "a", i));
        ask_start(w.t, &a, "WATCH", MAPS "?watch=1", NULL);
        stop = w.t;
        a.x.chunk = chunk_cancels;
        pass(&w, 100 * SECOND);
        json_decref(put_map(&w, "a", 100 + i));
        pass(&w, 100 * SECOND);
        assert_int_equal(a.lines, 1000);
        assert_false(a.done);
        ask_clear(&a);
    }
    world_free(&w);
}

/* --- faults, one by one --- */

static int fault(world *w, kube_model_fault_kind kind, int32_t *outcome, int64_t *retry)
{
    ask a;
    kube_model_fault_add(w->m, &(kube_model_fault){.kind = kind, .delay_ns = 5 * SECOND});
    char *body = map_of("f", 1, "");
    ask_start(w->t, &a, "POST", MAPS, body);
    wait_for(w, &a, 31 * SECOND);
    *outcome = a.x.outcome;
    if (retry) *retry = a.x.retry_after_ns;
    int status = a.x.status;
    if (a.x.outcome != KUBE_ANSWERED) assert_true(a.x.why[0]);
    ask_clear(&a);
    free(body);
    return status;
}

static void test_faults(void **state)
{
    (void)state;
    static const struct {
        kube_model_fault_kind kind;
        int32_t outcome;
        int status, effect; /* effect: at once, 2: later */
    } all[] = {
        {KUBE_FAULT_REFUSED, KUBE_NOT_SENT, 0, 0},
        {KUBE_FAULT_LOST, KUBE_NO_ANSWER, 0, 0},
        {KUBE_FAULT_LOST_DONE, KUBE_NO_ANSWER, 0, 1},
        {KUBE_FAULT_SILENT, KUBE_NO_ANSWER, 0, 0},
        {KUBE_FAULT_SILENT_DONE, KUBE_NO_ANSWER, 0, 1},
        {KUBE_FAULT_LATE, KUBE_NO_ANSWER, 0, 2},
        {KUBE_FAULT_401, KUBE_ANSWERED, 401, 0},
        {KUBE_FAULT_429, KUBE_ANSWERED, 429, 0},
        {KUBE_FAULT_500, KUBE_ANSWERED, 500, 0},
        {KUBE_FAULT_503, KUBE_ANSWERED, 503, 0},
        {KUBE_FAULT_504, KUBE_ANSWERED, 504, 0},
        {KUBE_FAULT_500_DONE, KUBE_ANSWERED, 500, 1},
        {KUBE_FAULT_504_DONE, KUBE_ANSWERED, 504, 1},
        {KUBE_FAULT_504_LATE, KUBE_ANSWERED, 504, 2},
        {KUBE_FAULT_SLOW, KUBE_ANSWERED, 201, 1},
        {KUBE_FAULT_SLOW_START, KUBE_ANSWERED, 201, 1},
        {KUBE_FAULT_TORN, KUBE_NO_ANSWER, 201, 1},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        world w = world_make(NULL, i + 1);
        int32_t outcome;
        int64_t retry;
        assert_int_equal(fault(&w, all[i].kind, &outcome, &retry), all[i].status);
        assert_int_equal(outcome, all[i].outcome);
        assert_int_equal(retry, all[i].kind == KUBE_FAULT_429 ? 5 * KUBE_SECOND_NS : -1);
        assert_int_equal(stored(&w, "f"), all[i].effect == 1 ? 1 : -1);
        pass(&w, 6 * SECOND);
        assert_int_equal(stored(&w, "f"), all[i].effect ? 1 : -1);
        assert_int_equal(kube_model_faults_left(w.m), 0);
        /* and the log says so */
        kube_model_entry e;
        assert_true(kube_model_log(w.m, kube_model_log_size(w.m) - 1, &e));
        assert_int_equal(e.fault, all[i].kind);
        assert_string_equal(e.verb, "create");
        assert_int_equal(e.revision > 0, all[i].effect > 0);
        world_free(&w);
    }
}

/* A write that its client gave up lands later, unless another one won in between. */
static void test_late_write(void **state)
{
    (void)state;
    for (int other = 0; other < 2; other++) {
        world w = world_make(NULL, 7);
        json_t *o = put_map(&w, "root", 1);
        kube_model_fault_add(w.m, &(kube_model_fault){.kind = KUBE_FAULT_LATE,
                                                      .verb = "update",
                                                      .plural = "configmaps",
                                                      .name = "root",
                                                      .delay_ns = 20 * SECOND});
        char *late = map_of("root", 2, rv_of(o)), *winner = map_of("root", 3, rv_of(o));
        assert_int_equal(tell(&w, w.t, "PUT", MAPS "/root", late, NULL), 0);
        assert_int_equal(tell(&w, w.t, "GET", MAPS "/root", NULL, NULL), 200);
        assert_int_equal(stored(&w, "root"), 1);
        if (other) assert_int_equal(tell(&w, w.t, "PUT", MAPS "/root", winner, NULL), 200);
        pass(&w, 30 * SECOND);
        assert_int_equal(stored(&w, "root"), other ? 3 : 2);
        kube_model_entry e;
        assert_true(kube_model_log(w.m, 0, &e));
        assert_int_equal(e.status, other ? 409 : 200);
        free(late);
        free(winner);
        json_decref(o);
        world_free(&w);
    }
}

static void test_scripts(void **state)
{
    (void)state;
    world w = world_make(NULL, 3);
    json_decref(put_map(&w, "a", 1));
    kube_transport *other = kube_model_connect(w.m, "other", NULL);
    kube_model_fault_add(w.m, &(kube_model_fault){.kind = KUBE_FAULT_503,
                                                  .client = kube_model_client_of(other),
                                                  .verb = "get",
                                                  .name = "a",
                                                  .skip = 1,
                                                  .times = 2});
    assert_int_equal(tell(&w, w.t, "GET", MAPS "/a", NULL, NULL), 200);
    assert_int_equal(tell(&w, other, "GET", MAPS "/a", NULL, NULL), 200);
    assert_int_equal(tell(&w, other, "GET", MAPS, NULL, NULL), 200);
    assert_int_equal(tell(&w, other, "GET", MAPS "/a", NULL, NULL), 503);
    assert_int_equal(tell(&w, other, "GET", MAPS "/a", NULL, NULL), 503);
    assert_int_equal(tell(&w, other, "GET", MAPS "/a", NULL, NULL), 200);
    assert_int_equal(kube_model_count(w.m, "get", "configmaps", "other"), 4);
    assert_int_equal(kube_model_count(w.m, "list", NULL, NULL), 1);
    other->free(other, NULL, NULL);
    world_free(&w);
}

/* --- cuts and restarts --- */

static void test_cut(void **state)
{
    (void)state;
    bool landed = false, lost = false, unsent = false;
    for (uint64_t seed = 1; seed < 40; seed++) {
        world w = world_make(NULL, seed);
        ask a;
        char *body = map_of("a", 1, "");
        kube_model_cut(kube_model_client_of(w.t), true);
        ask_start(w.t, &a, "POST", MAPS, body);
        wait_for(&w, &a, 31 * SECOND);
        assert_int_not_equal(a.x.outcome, KUBE_ANSWERED);
        assert_int_equal(stored(&w, "a"), -1);
        kube_model_cut(kube_model_client_of(w.t), false);
        pass(&w, SECOND);
        if (a.x.outcome == KUBE_NOT_SENT) {
            assert_int_equal(stored(&w, "a"), -1);
            unsent = true;
        } else if (stored(&w, "a") == 1) {
            landed = true;
        } else {
            lost = true;
        }
        assert_int_equal(tell(&w, w.t, "GET", MAPS, NULL, NULL), 200);
        free(body);
        world_free(&w);
    }
    assert_true(landed && lost && unsent);
}

static void test_restart(void **state)
{
    (void)state;
    world w = world_make(NULL, 5);
    ask watch;
    json_t *o = put_map(&w, "a", 1);
    char target[200];
    snprintf(target, sizeof target, MAPS "?watch=1&resourceVersion=%s", rv_of(o));
    ask_start(w.t, &watch, "WATCH", target, NULL);
    json_decref(put_map(&w, "a", 2));
    pass(&w, SECOND);
    assert_int_equal(watch.lines, 1);
    kube_model_restart(w.m, 3 * SECOND);
    wait_for(&w, &watch, SECOND);
    assert_int_equal(watch.x.outcome, KUBE_NO_ANSWER);
    ask_clear(&watch);
    ask a;
    ask_start(w.t, &a, "GET", MAPS "/a", NULL);
    wait_for(&w, &a, SECOND);
    assert_int_equal(a.x.outcome, KUBE_NOT_SENT);
    ask_clear(&a);
    pass(&w, 3 * SECOND);
    assert_int_equal(tell(&w, w.t, "GET", MAPS "/a", NULL, NULL), 200);
    /* its cache is new: the older version is gone */
    ask_start(w.t, &watch, "WATCH", target, NULL);
    wait_for(&w, &watch, SECOND);
    assert_non_null(strstr(watch.stream, "\"type\":\"ERROR\""));
    assert_non_null(strstr(watch.stream, "\"code\":410"));
    ask_clear(&watch);
    json_decref(o);
    world_free(&w);
}

/* --- watches --- */

static void test_watch_faults(void **state)
{
    (void)state;
    static const kube_model_fault_kind all[] = {KUBE_FAULT_WATCH_SILENT, KUBE_FAULT_WATCH_TORN,
                                                KUBE_FAULT_WATCH_GONE, KUBE_FAULT_WATCH_ENDED};
    world refused = world_make(NULL, 1);
    kube_model_fault_add(refused.m, &(kube_model_fault){.kind = KUBE_FAULT_WATCH_REFUSED});
    assert_int_equal(tell(&refused, refused.t, "GET", MAPS, NULL, NULL), 200);
    assert_int_equal(tell(&refused, refused.t, "WATCH", MAPS "?watch=1", NULL, NULL), 410);
    world_free(&refused);
    for (size_t i = 0; i < 4; i++) {
        world w = world_make(NULL, i + 11);
        ask a;
        json_t *o = put_map(&w, "a", 0);
        char target[200];
        snprintf(target, sizeof target, MAPS "?watch=1&resourceVersion=%s", rv_of(o));
        kube_model_fault_add(w.m, &(kube_model_fault){.kind = all[i], .events = 2});
        ask_start(w.t, &a, "WATCH", target, NULL);
        for (int n = 1; n < 6; n++) {
            json_decref(put_map(&w, "a", n));
            pass(&w, SECOND);
        }
        assert_int_equal(a.lines, all[i] == KUBE_FAULT_WATCH_GONE ? 3 : 2);
        assert_int_equal(a.done, all[i] != KUBE_FAULT_WATCH_SILENT);
        if (all[i] == KUBE_FAULT_WATCH_GONE) assert_non_null(strstr(a.stream, "\"code\":410"));
        if (a.done)
            assert_int_equal(a.x.outcome,
                             all[i] == KUBE_FAULT_WATCH_TORN ? KUBE_NO_ANSWER : KUBE_ANSWERED);
        else
            w.t->cancel(w.t, &a.x);
        ask_clear(&a);
        json_decref(o);
        world_free(&w);
    }
}

static void test_bookmarks(void **state)
{
    (void)state;
    world w = world_make(NULL, 2);
    ask a;
    json_t *o = put_map(&w, "a", 0);
    char target[200], want[64];
    snprintf(target, sizeof target,
             MAPS "?watch=1&fieldSelector=metadata.name%%3Da&allowWatchBookmarks=true"
                  "&timeoutSeconds=150&resourceVersion=%s",
             rv_of(o));
    ask_start(w.t, &a, "WATCH", target, NULL);
    pass(&w, 30 * SECOND);
    json_t *last = put_map(&w, "b", 1);
    pass(&w, 25 * SECOND);
    assert_int_equal(a.lines, 0);
    pass(&w, 10 * SECOND);
    assert_int_equal(a.lines, 1);
    assert_non_null(strstr(a.stream, "BOOKMARK"));
    /* which goes beyond what the watch is about */
    snprintf(want, sizeof want, "\"resourceVersion\":\"%s\"", rv_of(last));
    assert_non_null(strstr(a.stream, want));
    wait_for(&w, &a, 100 * SECOND);
    assert_int_equal(a.lines, 3);
    assert_int_equal(a.x.outcome, KUBE_ANSWERED);
    ask_clear(&a);
    json_decref(o);
    json_decref(last);
    world_free(&w);
}

/* An old cache: what it answers is old, what is asked of the store is not. */
static void test_lag(void **state)
{
    (void)state;
    world w = world_make(NULL, 4);
    json_t *old = put_map(&w, "a", 1), *o;
    pass(&w, 20 * SECOND);
    kube_model_lag(kube_model_client_of(w.t), 10 * SECOND);
    json_t *new = put_map(&w, "a", 2);
    char target[200];
    assert_int_equal(tell(&w, w.t, "GET", MAPS "/a?resourceVersion=0", NULL, &o), 200);
    assert_int_equal(n_of(o), 1);
    json_decref(o);
    assert_int_equal(tell(&w, w.t, "GET", MAPS "?resourceVersion=0", NULL, &o), 200);
    assert_int_equal(n_of(json_array_get(json_object_get(o, "items"), 0)), 1);
    assert_string_equal(rv_of(o), rv_of(old));
    json_decref(o);
    assert_int_equal(tell(&w, w.t, "GET", MAPS "/a", NULL, &o), 200);
    assert_int_equal(n_of(o), 2);
    json_decref(o);
    snprintf(target, sizeof target, MAPS "/a?resourceVersion=%s", rv_of(new));
    assert_int_equal(tell(&w, w.t, "GET", target, NULL, NULL), 504);
    ask a;
    snprintf(target, sizeof target, MAPS "?watch=1&resourceVersion=%s", rv_of(old));
    ask_start(w.t, &a, "WATCH", target, NULL);
    pass(&w, 2 * SECOND);
    assert_int_equal(a.lines, 0);
    pass(&w, 8 * SECOND);
    assert_int_equal(a.lines, 1);
    w.t->cancel(w.t, &a.x);
    ask_clear(&a);
    json_decref(old);
    json_decref(new);
    world_free(&w);
}

static void test_compaction(void **state)
{
    (void)state;
    world w = world_make(&(kube_model_config){.compact_ns = 60 * SECOND}, 6);
    json_t *o = put_map(&w, "a", 1);
    ask live, old;
    char target[200];
    snprintf(target, sizeof target, MAPS "?watch=1&timeoutSeconds=3000&resourceVersion=%s",
             rv_of(o));
    ask_start(w.t, &live, "WATCH", target, NULL);
    json_decref(put_map(&w, "a", 2));
    json_decref(put_map(&w, "b", 2));
    for (int i = 0; i < 10; i++) pass(&w, 20 * SECOND);
    /* who follows is not disturbed, who comes back with that version is */
    assert_int_equal(live.lines, 2);
    assert_false(live.done);
    ask_start(w.t, &old, "WATCH", target, NULL);
    wait_for(&w, &old, SECOND);
    assert_non_null(strstr(old.stream, "\"code\":410"));
    json_decref(put_map(&w, "a", 3));
    pass(&w, SECOND);
    assert_int_equal(live.lines, 3);
    w.t->cancel(w.t, &live.x);
    ask_clear(&live);
    ask_clear(&old);
    json_decref(o);
    world_free(&w);
}

/* --- rights, namespaces, backups --- */

static void test_rights(void **state)
{
    (void)state;
    world w = world_make(NULL, 8);
    kube_transport *t = kube_model_connect(w.m, "pod", "pod");
    static const char review[] = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews";
    json_t *o;
    json_decref(put_map(&w, "a", 1));
    assert_int_equal(tell(&w, t, "GET", MAPS "/a", NULL, NULL), 403);
    kube_model_allow(w.m, "pod", "get,list", "", "configmaps", "default", NULL);
    kube_model_allow(w.m, "pod", "update", "quidditch.io", "quidditchindices/status", "default",
                     NULL);
    assert_int_equal(tell(&w, t, "GET", MAPS "/a", NULL, NULL), 200);
    assert_int_equal(tell(&w, t, "GET", MAPS "?watch=1", NULL, NULL), 403);
    assert_int_equal(tell(&w, t, "DELETE", MAPS "/a", NULL, NULL), 403);
    assert_int_equal(tell(&w, t, "GET", "/api/v1/namespaces/kube-system/configmaps", NULL, NULL),
                     403);
    assert_int_equal(tell(&w, t, "POST", review, "{\"spec\":{\"namespace\":\"default\"}}", &o),
                     201);
    json_t *rules = json_object_get(json_object_get(o, "status"), "resourceRules");
    assert_int_equal(json_array_size(rules), 2);
    assert_int_equal(json_array_size(json_object_get(json_array_get(rules, 0), "verbs")), 2);
    json_decref(o);
    kube_model_revoke(w.m, "pod");
    assert_int_equal(tell(&w, t, "GET", MAPS "/a", NULL, NULL), 403);
    t->free(t, NULL, NULL);
    world_free(&w);
}

static void test_namespace(void **state)
{
    (void)state;
    world w = world_make(&(kube_model_config){.namespace_ns = SECOND}, 9);
    static const char ns[] = "/api/v1/namespaces", maps[] = "/api/v1/namespaces/away/configmaps";
    assert_int_equal(tell(&w, w.t, "POST", ns, "{\"metadata\":{\"name\":\"away\"}}", NULL), 201);
    assert_int_equal(tell(&w, w.t, "POST", maps, "{\"metadata\":{\"name\":\"a\"}}", NULL), 201);
    assert_int_equal(tell(&w, w.t, "POST", maps,
                          "{\"metadata\":{\"name\":\"held\",\"finalizers\":[\"x/y\"]}}", NULL),
                     201);
    assert_int_equal(tell(&w, w.t, "DELETE", "/api/v1/namespaces/away", NULL, NULL), 200);
    assert_int_equal(tell(&w, w.t, "POST", maps, "{\"metadata\":{\"name\":\"b\"}}", NULL), 403);
    pass(&w, 5 * SECOND);
    assert_int_equal(kube_model_size(w.m, "configmaps", "away"), 1);
    assert_int_equal(tell(&w, w.t, "PATCH", "/api/v1/namespaces/away/configmaps/held",
                          "{\"metadata\":{\"finalizers\":null}}", NULL),
                     200);
    pass(&w, 3 * SECOND);
    assert_int_equal(tell(&w, w.t, "GET", "/api/v1/namespaces/away", NULL, NULL), 404);
    assert_int_equal(tell(&w, w.t, "POST", maps, "{\"metadata\":{\"name\":\"b\"}}", NULL), 404);
    world_free(&w);
}

static void test_backup(void **state)
{
    (void)state;
    world w = world_make(NULL, 10);
    json_decref(put_map(&w, "a", 1));
    kube_model_backup *b = kube_model_backup_make(w.m);
    uint64_t then = kube_model_revision(w.m);
    json_decref(put_map(&w, "a", 2));
    json_decref(put_map(&w, "b", 2));
    kube_model_restore(w.m, b, SECOND);
    pass(&w, SECOND);
    assert_int_equal(kube_model_revision(w.m), then);
    assert_int_equal(stored(&w, "a"), 1);
    assert_int_equal(stored(&w, "b"), -1);
    assert_int_equal(tell(&w, w.t, "GET", MAPS "/a", NULL, NULL), 200);
    kube_model_backup_free(b);
    world_free(&w);
}

/* --- everything at once --- */

typedef struct counter {
    world *w;
    kube_transport *t;
    ask a;
    char *body;
    enum { COUNTER_READ, COUNTER_WRITE } step;
    int n; /* that it tries to make n + 1 */
    unsigned acked, conflicts, unknown;
} counter;

static void counter_begin(counter *c);
static void counter_done(kube_exchange *x)
{
    ask *a = x->user;
    counter *c = (counter *)((char *)a - offsetof(counter, a));
    ask_done(x);
    bool ok = x->outcome == KUBE_ANSWERED && x->status == 200;
    free(c->body);
    c->body = NULL;
    if (c->step == COUNTER_READ && ok) {
        c->n = n_of(a->json);
        c->body = map_of("count", c->n + 1, rv_of(a->json));
        c->step = COUNTER_WRITE;
    } else {
        if (c->step == COUNTER_WRITE) {
            c->acked += ok;
            c->conflicts += x->outcome == KUBE_ANSWERED && x->status == 409;
            c->unknown += x->outcome == KUBE_NO_ANSWER;
        }
        c->step = COUNTER_READ;
    }
    ask_clear(a);
    counter_begin(c);
}
static void counter_begin(counter *c)
{
    bool write = c->step == COUNTER_WRITE;
    c->a = (ask){.x = {.method = write ? "PUT" : "GET",
                       .target = MAPS "/count",
                       .body = {c->body, write ? strlen(c->body) : 0},
                       .timeout_ns = 2 * KUBE_SECOND_NS,
                       .done = counter_done}};
    c->a.x.user = &c->a;
    assert_int_equal(c->t->start(c->t, &c->a.x), 0);
}

static uint64_t chaos(uint64_t seed, unsigned *faulty)
{
    world w = world_make(NULL, seed);
    counter c[3];
    char name[16];
    json_decref(put_map(&w, "count", 0));
    uint64_t before = kube_model_log_size(w.m);
    for (int k = 1; k < KUBE_FAULTS; k++) kube_model_odds(w.m, NULL, (kube_model_fault_kind)k, 60);
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "c%d", i);
        c[i] = (counter){.w = &w, .t = kube_model_connect(w.m, name, NULL)};
        counter_begin(&c[i]);
    }
    for (int s = 0; s < 60; s++) {
        if (s % 10 == 3) kube_model_cut(kube_model_client_of(c[s / 10 % 3].t), true);
        if (s % 10 == 7) kube_model_cut(kube_model_client_of(c[s / 10 % 3].t), false);
        if (s == 30) kube_model_restart(w.m, SECOND);
        pass(&w, SECOND);
    }
    kube_model_calm(w.m);
    unsigned acked = 0, unknown = 0, conflicts = 0, writes = 0;
    for (int i = 0; i < 3; i++) {
        acked += c[i].acked;
        unknown += c[i].unknown;
        conflicts += c[i].conflicts;
        c[i].t->free(c[i].t, NULL, NULL);
        ask_clear(&c[i].a);
        free(c[i].body);
    }
    pass(&w, 60 * SECOND);
    kube_model_entry e;
    for (uint64_t i = before; kube_model_log(w.m, i, &e); i++) {
        writes += e.revision > 0;
        *faulty += e.fault != KUBE_FAULT_NONE;
    }
    /* each write that took effect counted one, and every acknowledged one did */
    assert_int_equal(stored(&w, "count"), writes);
    assert_true(writes >= acked);
    assert_true(writes <= acked + unknown + writes / 2);
    assert_true(acked > 100 && conflicts > 0 && unknown > 0);
    uint64_t digest = kube_model_digest(w.m);
    world_free(&w);
    return digest;
}

static void test_chaos(void **state)
{
    (void)state;
    unsigned faulty = 0, again = 0;
    uint64_t last = 0;
    for (uint64_t seed = 1; seed <= unit_rounds(20); seed++) {
        uint64_t digest = chaos(seed, &faulty);
        assert_int_equal(chaos(seed, &again), digest);
        assert_true(digest != last);
        last = digest;
    }
    assert_int_equal(faulty, again);
    assert_true(faulty > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),   cmocka_unit_test(test_definitions),
        cmocka_unit_test(test_transport),  cmocka_unit_test(test_cancel_inside),
        cmocka_unit_test(test_faults),     cmocka_unit_test(test_late_write),
        cmocka_unit_test(test_scripts),    cmocka_unit_test(test_cut),
        cmocka_unit_test(test_restart),    cmocka_unit_test(test_watch_faults),
        cmocka_unit_test(test_bookmarks),  cmocka_unit_test(test_lag),
        cmocka_unit_test(test_compaction), cmocka_unit_test(test_rights),
        cmocka_unit_test(test_namespace),  cmocka_unit_test(test_backup),
        cmocka_unit_test(test_chaos),
    };
    return unit_run(tests);
}
