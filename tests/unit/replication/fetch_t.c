/* fetch_t.c: files of a recovery whose pieces come damaged, short or too long, through real nodes.
 */
#include "lib/action_cluster.h"
#include "replication/repl_int.h"
#include "unit/unit.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_MS 120000
#define DOC_BYTES 100000
#define DOCS 180 /* in three segments: more than what is fetched without a thread */

static bool green(void *arg, const qd_state *s)
{
    const qd_index_meta *m = qd_state_index(s, qd_str_c(arg));
    return m && qd_index_health(s, m) == QD_HEALTH_GREEN;
}

/* What the source was asked for. */
static struct {
    qd_mutex lock;
    qd_replication *r;
    uint32_t attempts, bad;
    bool spoilt[3];
    uint32_t begun[8]; /* by file: requests of its first piece */
} asked = {.lock = QD_MUTEX_INIT};

/* Behind its greeting, which may come too early: once for each attempt. */
static void on_track(void *arg, qd_rpc_request *request)
{
    (void)arg;
    qd_mutex_lock(&asked.lock);
    asked.attempts++;
    qd_mutex_unlock(&asked.lock);
    repl_serve(asked.r, QD_ACTION_RECOVERY_TRACK, request);
}

/* Bytes that are not the file's, so many. */
static void answer_badly(qd_rpc_request *request, size_t n)
{
    repl_reply a = {.verdict = REPL_OK};
    char *bytes = malloc(n);
    memset(bytes, 'x', n);
    repl_reply_send(request, &a, (qd_str){bytes, n});
    free(bytes);
}

/* The first time: of file 0 the second piece is short and damaged, of file 1 the first one is
 * longer than the whole file, of file 2 it is damaged. */
static void on_file(void *arg, qd_rpc_request *request)
{
    (void)arg;
    repl_request q;
    size_t n = 0;
    assert_int_equal(
        repl_request_read(qd_rpc_request_body(request), qd_rpc_request_version(request), &q, NULL),
        0);
    assert_true(q.part < 8);
    qd_mutex_lock(&asked.lock);
    bool first = q.first == 0;
    if (first) asked.begun[q.part]++;
    if (q.part == 0 && q.first == (int64_t)REPL_CHUNK_BYTES) n = 5000;
    if (q.part == 1 && first) n = (size_t)64 << 20;
    if (q.part == 2 && first) n = REPL_CHUNK_BYTES;
    if (n && asked.spoilt[q.part]) n = 0;
    if (n) asked.spoilt[q.part] = true;
    asked.bad += n > 0;
    qd_mutex_unlock(&asked.lock);
    if (n) {
        answer_badly(request, n);
    } else {
        repl_serve(asked.r, QD_ACTION_RECOVERY_FILE, request);
    }
}

static void fill(action_cluster *c)
{
    char *body = malloc(DOC_BYTES + 64), path[64];
    qd_prng rnd;
    qd_prng_init(&rnd, 3);
    for (int i = 0; i < DOCS; i++) {
        int n = snprintf(body, 64, "{\"v\":\"");
        for (int k = 0; k < DOC_BYTES; k++) body[n++] = (char)('0' + qd_prng_u64(&rnd) % 75);
        for (int k = 6; k < n; k++) {
            if (body[k] == '\\') body[k] = 'z';
        }
        memcpy(body + n, "\"}", 3);
        snprintf(path, sizeof path, "/x/_doc/%d", i);
        assert_int_equal(action_cluster_call(c, 0, "PUT", path, body), 201);
        if (i % (DOCS / 3) != DOCS / 3 - 1) continue;
        assert_int_equal(action_cluster_call(c, 0, "POST", "/x/_flush?force=true", NULL), 200);
    }
    free(body);
}

/* Bad bytes are never shown: their files come a second time, in the same attempt. */
static void bad_files_are_fetched_again(void **state)
{
    (void)state;
    action_cluster *c = action_cluster_open(2, NULL);
    action_cluster_index(
        c, "x",
        "{\"settings\":{\"index\":{\"number_of_shards\":1,\"number_of_replicas\":0,"
        "\"refresh_interval\":\"-1\"}},\"mappings\":{\"properties\":{\"v\":{\"type\":\"keyword\","
        "\"index\":false,\"doc_values\":false}}}}");
    fill(c);
    qd_state *s = qd_cluster_state(action_cluster_actions(c, 0)->cluster);
    const qd_shard_meta *shard = qd_state_shard(s, qd_state_index(s, QD_STR("x")), 0);
    uint32_t p = (uint32_t)(shard->copies[0].node.p[shard->copies[0].node.n - 1] - '0');
    qd_state_unref(s);
    const qd_actions *a = action_cluster_actions(c, p);
    asked.r = a->replication;
    qd_rpc_unhandle(a->rpc, QD_ACTION_RECOVERY_FILE);
    qd_rpc_unhandle(a->rpc, QD_ACTION_RECOVERY_TRACK);
    assert_int_equal(
        qd_rpc_handle(a->rpc, QD_ACTION_RECOVERY_TRACK, "generic", 0, on_track, NULL, NULL), 0);
    assert_int_equal(
        qd_rpc_handle(a->rpc, QD_ACTION_RECOVERY_FILE, "generic", 0, on_file, NULL, NULL), 0);
    assert_int_equal(
        action_cluster_call(c, 0, "PUT", "/x/_settings", "{\"index\":{\"number_of_replicas\":1}}"),
        200);
    assert_int_equal(
        qd_cluster_wait_for(action_cluster_actions(c, 0)->cluster, green, "x", WAIT_MS), 0);
    qd_mutex_lock(&asked.lock);
    assert_int_equal(asked.bad, 3);
    assert_int_equal(asked.attempts, 1);
    for (int i = 0; i < 3; i++) assert_true(asked.begun[i] >= 2);
    qd_mutex_unlock(&asked.lock);
    for (uint32_t i = 0; i < 4; i++) { /* either copy */
        assert_int_equal(action_cluster_call(c, i % 2, "GET", "/x/_count", NULL), 200);
        assert_non_null(strstr(action_cluster_body(c), "\"count\":180"));
    }
    action_cluster_close(c);
}

/* --- a source that is slower than the index is refreshed --- */

#define SLOW_NS UINT64_C(50000000)

static void on_file_slowly(void *arg, qd_rpc_request *request)
{
    (void)arg;
    qd_env_sleep_ns(qd_env_system(), SLOW_NS);
    repl_serve(asked.r, QD_ACTION_RECOVERY_FILE, request);
}

typedef struct writing {
    action_cluster *c;
    _Atomic bool stop;
    int n;
    qd_buf answer;
} writing;

static void write_on(void *arg)
{
    writing *w = arg;
    char path[64];
    for (; !atomic_load(&w->stop); w->n++) {
        snprintf(path, sizeof path, "/x/_doc/%d?refresh=true", w->n);
        assert_int_equal(action_cluster_call_to(w->c, 0, "PUT", path, "{\"v\":\"a\"}", &w->answer),
                         201);
    }
}

/* What is shown goes on while files of what was shown before come: the copy starts nevertheless. */
static void a_slow_recovery_ends(void **state)
{
    (void)state;
    action_cluster *c = action_cluster_open(2, NULL);
    writing w = {.c = c};
    qd_thread *t;
    qd_buf_init(&w.answer, NULL, (size_t)1 << 20);
    action_cluster_index(
        c, "x",
        "{\"settings\":{\"index\":{\"number_of_shards\":1,\"number_of_replicas\":0,"
        "\"refresh_interval\":\"10ms\",\"routing.allocation.include._name\":\"node-0\"}}}");
    const qd_actions *a = action_cluster_actions(c, 0);
    asked.r = a->replication;
    qd_rpc_unhandle(a->rpc, QD_ACTION_RECOVERY_FILE);
    assert_int_equal(
        qd_rpc_handle(a->rpc, QD_ACTION_RECOVERY_FILE, "generic", 0, on_file_slowly, NULL, NULL),
        0);
    assert_int_equal(qd_thread_start(qd_env_system(), "writer", write_on, &w, &t, NULL), 0);
    assert_int_equal(action_cluster_call(c, 1, "PUT", "/x/_settings",
                                         "{\"index\":{\"number_of_replicas\":1,"
                                         "\"routing.allocation.include._name\":null}}"),
                     200);
    assert_int_equal(
        qd_cluster_wait_for(action_cluster_actions(c, 1)->cluster, green, "x", WAIT_MS), 0);
    atomic_store(&w.stop, true);
    qd_thread_join(qd_env_system(), t);
    qd_buf_fini(&w.answer);
    assert_int_equal(action_cluster_call(c, 1, "POST", "/x/_refresh", NULL), 200);
    char count[32];
    snprintf(count, sizeof count, "\"count\":%d,", w.n);
    for (uint32_t i = 0; i < 4; i++) { /* either copy */
        assert_int_equal(action_cluster_call(c, i % 2, "GET", "/x/_count", NULL), 200);
        assert_non_null(strstr(action_cluster_body(c), count));
    }
    action_cluster_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_files_are_fetched_again),
        cmocka_unit_test(a_slow_recovery_ends),
    };
    return unit_run(tests);
}
