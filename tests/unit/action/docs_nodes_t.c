/*
 * docs_nodes_t.c: writes that fail, on the node of their primary and on others: each is answered,
 * and nothing of an answer is looked at after it was freed (what is freed is filled, so that it
 * shows).
 */
#include "action/documents/wire.h"
#include "action/transport/relay_int.h"
#include "lib/action_cluster.h"
#include "lib/coord_memory.h"
#include "unit/unit.h"
#include <malloc.h>
#include <stdio.h>

#define NODES 2u

static int open_nodes(void **state)
{
    mallopt(M_PERTURB, 0x5a);
    action_cluster *c = action_cluster_open(NODES, NULL);
    action_cluster_index(c, "x",
                         "{\"settings\":{\"number_of_shards\":4,\"number_of_replicas\":0},"
                         "\"mappings\":{\"properties\":{\"n\":{\"type\":\"long\"}}}}");
    for (uint32_t i = 0; i < NODES; i++) assert_true(action_cluster_shards(c, i, "x") > 0);
    *state = c;
    return 0;
}

static int close_nodes(void **state)
{
    action_cluster_close(*state);
    mallopt(M_PERTURB, 0);
    return 0;
}

/* A text that is too long to stand in an error itself. */
static const char *long_id(char out[201])
{
    memset(out, 'a', 200);
    out[200] = 0;
    return out;
}

static void refused(action_cluster *c, const char *method, const char *path, const char *body,
                    int status, const char *type)
{
    for (uint32_t i = 0; i < NODES; i++) { /* one has the primary, another asks it */
        int got = action_cluster_call(c, i, method, path, body);
        if (got != status || !strstr(action_cluster_body(c), type))
            fail_msg("%s %s: %d %s", method, path, got, action_cluster_body(c));
    }
}

static void test_single(void **state)
{
    action_cluster *c = *state;
    char id[201], path[400];
    const char *ids[] = {"1", "2", "3", "4", long_id(id)};
    for (size_t k = 0; k < QD_COUNT_OF(ids); k++) {
        action_cluster_put(c, "x", ids[k], "{\"n\":1}");
        snprintf(path, sizeof path, "/x/_create/%s", ids[k]);
        refused(c, "PUT", path, "{\"n\":2}", 409, "version_conflict_engine_exception");
        snprintf(path, sizeof path, "/x/_doc/%s?if_seq_no=77&if_primary_term=1", ids[k]);
        refused(c, "PUT", path, "{\"n\":2}", 409, "version_conflict_engine_exception");
        refused(c, "DELETE", path, NULL, 409, "version_conflict_engine_exception");
        snprintf(path, sizeof path, "/x/_doc/%s", ids[k]);
        refused(c, "PUT", path, "{\"n\":\"no number\"}", 400, "document_parsing_exception");
        snprintf(path, sizeof path, "/x/_update/%s-", ids[k]);
        refused(c, "POST", path, "{\"doc\":{\"n\":3}}", 404, "document_missing_exception");
    }
}

/* --- a disk that cannot be written ---
 *
 * Shard 0 of each index is on node 1; node 0 is asked.
 */

static void one_shard(action_cluster *c, const char *name)
{
    char body[200];
    snprintf(body, sizeof body,
             "{\"settings\":{\"number_of_shards\":1,\"number_of_replicas\":0,\"index\":{"
             "\"routing.allocation.require._name\":\"node-1\",\"refresh_interval\":-1}}}");
    action_cluster_index(c, name, body);
}

static bool tells(action_cluster *c, const char *index, const char *shard, const char *node)
{
    const char *body = action_cluster_body(c), *list = strstr(body, "\"failures\":[");
    char text[128];
    snprintf(text, sizeof text, "\"%s\":0", shard);
    if (!list || !strstr(list, text)) return false;
    snprintf(text, sizeof text, "\"%s\":\"nodeidnodeidnodeid0001\"", node);
    if (!strstr(list, text) || !strstr(list, index)) return false;
    return strstr(body, "\"failed\":1,") && strstr(list, "\"reason\":{\"type\":");
}

static void shards_that_fail_are_told(void **state)
{
    static const char *const ops[] = {"_refresh", "_flush?force=true", "_forcemerge"};
    action_cluster *c = *state;
    store_crash *disk = action_cluster_disk(c, 1);
    char name[32], path[64];
    for (size_t k = 0; k < QD_COUNT_OF(ops); k++) {
        snprintf(name, sizeof name, "op%zu", k);
        one_shard(c, name);
        action_cluster_put(c, name, "1", "{\"n\":1}");
        if (k == 2) {
            action_cluster_refresh(c);
            action_cluster_put(c, name, "2", "{\"n\":1}");
        }
        (void)store_crash_fail_at(disk, STORE_CRASH_WRITES, 1, QD_E_IO, true);
        snprintf(path, sizeof path, "/%s/%s", name, ops[k]);
        int status = action_cluster_call(c, 0, "POST", path, NULL);
        (void)store_crash_fail_at(disk, 0, 0, 0, false);
        if (!tells(c, name, "shard", "node") || status != (k ? 200 : 500))
            fail_msg("%s: %d %s", path, status, action_cluster_body(c));
        snprintf(path, sizeof path, "/%s", name);
        assert_int_equal(action_cluster_call(c, 0, "DELETE", path, NULL), 200);
    }
}

/* A document that comes before its shard was looked at for the first time is no reason to flush at
 * once: a write that fails then would fail the shard before whatever is asked of it. */
static void first_documents_are_not_flushed(void **state)
{
    action_cluster *c = *state;
    qd_env *env = qd_env_system();
    char name[16];
    action_cluster_index(
        c, "shown",
        "{\"settings\":{\"index\":{\"number_of_shards\":1,\"number_of_replicas\":0,"
        "\"refresh_interval\":\"1ms\",\"search.idle.after\":\"1h\","
        "\"routing.allocation.require._name\":\"node-1\"}}}");
    for (uint32_t k = 0; k < 10; k++) {
        snprintf(name, sizeof name, "first%u", k);
        one_shard(c, name);
        action_cluster_put(c, name, "1", "{\"n\":1}");
    }
    for (uint32_t k = 1; k <= 5; k++) { /* so often all shards are looked at */
        char id[16], count[32];
        snprintf(id, sizeof id, "%u", k);
        snprintf(count, sizeof count, "\"count\":%u,", k);
        action_cluster_put(c, "shown", id, "{\"n\":1}");
        uint64_t end = qd_env_mono_ns(env) + UINT64_C(60000000000);
        do {
            qd_env_sleep_ns(env, 1000000);
            assert_int_equal(action_cluster_call(c, 0, "GET", "/shown/_count", NULL), 200);
        } while (!strstr(action_cluster_body(c), count) && qd_env_mono_ns(env) < end);
        assert_non_null(strstr(action_cluster_body(c), count));
    }
    assert_int_equal(action_cluster_call(c, 0, "GET", "/first*/_stats/flush", NULL), 200);
    if (!strstr(action_cluster_body(c), "\"flush\":{\"total\":0,"))
        fail_msg("%.300s", action_cluster_body(c));
}

/* The write is in the log; the segment of its refresh cannot be written. */
static void refreshes_of_writes(void **state)
{
    action_cluster *c = *state;
    store_crash *disk = action_cluster_disk(c, 1);
    char name[32], path[64];
    for (uint32_t k = 0; k < NODES; k++) { /* by each node */
        bool told = false;
        for (uint32_t step = 1; step < 12 && !told; step++) {
            snprintf(name, sizeof name, "w%u-%u", k, step);
            one_shard(c, name);
            action_cluster_put(c, name, "0", "{\"n\":1}");
            action_cluster_refresh(c);
            (void)store_crash_fail_at(disk, STORE_CRASH_WRITES, step, QD_E_IO, true);
            snprintf(path, sizeof path, "/%s/_doc/1?refresh=true", name);
            int status = action_cluster_call(c, k, "PUT", path, "{\"n\":1}");
            (void)store_crash_fail_at(disk, 0, 0, 0, false);
            bool written = status < 300 && !strstr(action_cluster_body(c), "\"error\":{");
            told = written && tells(c, name, "_shard", "_node");
            if (written && !told && strstr(action_cluster_body(c), "\"failed\":1"))
                fail_msg("%s: %d %s", path, status, action_cluster_body(c));
            snprintf(path, sizeof path, "/%s", name);
            assert_int_equal(action_cluster_call(c, 0, "DELETE", path, NULL), 200);
        }
        if (!told) fail_msg("%u: no refresh failed", k);
    }
}

/* What a node was sent may have been carried out when nobody waits for its answer any more. */
static void a_cancelled_write_is_unknown(void **state)
{
    action_cluster *c = *state;
    qd_env *env = qd_env_system();
    one_shard(c, "y");
    uint32_t holder = action_cluster_shards(c, 1, "y"), other = 1 - holder;
    action_cluster_silence(c, holder);
    action_errand *e = action_cluster_start(c, other, "PUT", "/y/_doc/1", "{\"n\":1}");
    uint64_t end = qd_env_mono_ns(env) + 20000000000u;
    while (!action_cluster_unanswered(c, holder) && qd_env_mono_ns(env) < end) {
        qd_env_sleep_ns(env, 100000);
    }
    assert_int_equal(action_cluster_unanswered(c, holder), 1);
    assert_int_equal(
        action_cluster_call(c, other, "POST", "/_tasks/_cancel?actions=indices:data/write/*", NULL),
        200);
    assert_int_equal(action_cluster_wait(c, e), 503);
    assert_non_null(strstr(action_cluster_body(c), "write_outcome_unknown_exception"));
}

/* A bulk request, as its parts are run. */
typedef struct bulk {
    qd_arena arena;
    qd_task task;
    qd_err err;
    doc_marks marks;
    doc_run *run;
} bulk;

/* n items, of an index of one shard that is made for them, done by node 1, which has it. */
static void run_bulk(action_cluster *c, bulk *b, const char *index, doc_item *items, uint32_t n)
{
    one_shard(c, index);
    qd_actions *a = action_cluster_actions(c, 1);
    assert_int_equal(action_cluster_shards(c, 1, index), 1);
    *b = (bulk){0};
    doc_request r = {.a = a,
                     .task = &b->task,
                     .timeout_ms = 20000,
                     .active = QDI_ACTIVE_DEFAULT,
                     .marks = &b->marks};
    qd_err_init(&b->err);
    qd_arena_init(&b->arena, NULL, 0);
    qd_task_begin(a->tasks, &b->task, "bulk", qd_str_c(index), true);
    for (uint32_t k = 0; k < n; k++) items[k].index = qd_str_c(index);
    assert_int_equal(qdi_docs_run(&r, items, n, 100, &b->arena, &b->run, &b->err), 0);
}

static void bulk_end(bulk *b)
{
    qdi_docs_free(b->run);
    qdi_marks_fini(&b->marks);
    qd_task_end(&b->task);
    qd_arena_fini(&b->arena);
    qd_err_fini(&b->err);
}

/* Of many operations few were refused, as their primary moved: they are done by the second attempt,
 * in whichever group they were in the first one. */
static void a_second_attempt_takes_all(void **state)
{
    action_cluster *c = *state;
    bulk b;
    doc_item items[8];
    for (uint32_t k = 0; k < QD_COUNT_OF(items); k++) {
        qdi_item_init(&items[k]);
        items[k].op = DOC_INDEX;
        items[k].source = QD_STR("{\"n\":1}");
        items[k].group = k;
    }
    run_bulk(c, &b, "z", items, QD_COUNT_OF(items));
    for (uint32_t k = 0; k < QD_COUNT_OF(items); k++) {
        assert_int_equal(items[k].rc, 0);
        assert_string_equal(items[k].result, "created");
    }
    bulk_end(&b);
}

/* --- a node that has yet to hear what another one knows ---
 *
 * Node 1 has the primaries and hears of no changes; the store is away as soon as node 0 has heard
 * of one of such an index, so that node 1 never will.
 */

#define FAR_LESS_MS 10000 /* than any time-out of a request */

static uint64_t revision_of(action_cluster *c, uint32_t node)
{
    qd_state *s = qd_cluster_state(action_cluster_actions(c, node)->cluster);
    uint64_t revision = s->revision;
    qd_state_unref(s);
    return revision;
}

static void is_done(action_cluster *c, const char *method, const char *path, const char *body,
                    const char *has)
{
    int status = action_cluster_call(c, 0, method, path, body);
    const char *answer = action_cluster_body(c);
    if (status >= 300 || strstr(answer, "\"errors\":true") || (has && !strstr(answer, has)))
        fail_msg("%s %s: %d %s", method, path, status, answer);
}

/* All that is asked of node 0. */
static void serves(action_cluster *c, const char *index, const char *other)
{
    char path[64], body[256];
    snprintf(path, sizeof path, "/%s/_doc/1", index);
    is_done(c, "GET", path, NULL, "\"found\":true");
    is_done(c, "PUT", path, "{\"n\":2}", "\"result\":\"updated\"");
    snprintf(path, sizeof path, "/%s/_update/1", index);
    is_done(c, "POST", path, "{\"doc\":{\"n\":3}}", "\"result\":\"updated\"");
    snprintf(path, sizeof path, "/%s/_doc/2", index);
    is_done(c, "PUT", path, "{\"n\":2}", NULL);
    is_done(c, "DELETE", path, NULL, "\"result\":\"deleted\"");
    snprintf(path, sizeof path, "/%s/_doc/3", index);
    is_done(c, "PUT", path, "{\"n\":1}", NULL);
    snprintf(body, sizeof body,
             "{\"docs\":[{\"_index\":\"%s\",\"_id\":\"3\"},{\"_index\":\"%s\",\"_id\":\"1\"}]}",
             index, other);
    is_done(c, "POST", "/_mget", body, "\"found\":true");
    snprintf(path, sizeof path, "/%s/_refresh", index);
    is_done(c, "POST", path, NULL, "\"failed\":0");
    snprintf(path, sizeof path, "/%s/_search", index);
    is_done(c, "POST", path, "{}", "\"value\":2");
    is_done(c, "GET", "/_cluster/health?local=true", NULL, "\"status\":\"green\"");
}

static void what_one_node_has_yet_to_hear_stops_nothing(void **state)
{
    action_cluster *c = *state;
    qd_env *env = action_cluster_actions(c, 0)->env;
    static const char *const names[] = {"mine", "other"};
    char path[64];
    for (int k = 0; k < 2; k++) {
        one_shard(c, names[k]);
        action_cluster_put(c, names[k], "1", "{\"n\":1}");
        snprintf(path, sizeof path, "/%s/_doc/1", names[k]);
        is_done(c, "GET", path, NULL, "\"found\":true");
    }
    action_cluster_deaf(c, 1, true);
    uint64_t before = revision_of(c, 1);
    is_done(c, "PUT", "/mine/_settings?timeout=1ms", "{\"index.max_result_window\":20000}", NULL);
    is_done(c, "PUT", "/mine/_mapping?timeout=1ms",
            "{\"properties\":{\"later\":{\"type\":\"keyword\"}}}", NULL);
    coord_memory_off(action_cluster_store(c), true, false);
    uint64_t from = qd_env_mono_ns(env);
    serves(c, "mine", "other");
    serves(c, "mine", "other");
    serves(c, "other", "mine");
    uint64_t ms = (qd_env_mono_ns(env) - from) / 1000000u;
    assert_true(revision_of(c, 0) > revision_of(c, 1));
    assert_int_equal(revision_of(c, 1), before);
    if (ms > FAR_LESS_MS) fail_msg("it took %llu ms", (unsigned long long)ms);
    coord_memory_off(action_cluster_store(c), false, false);
    action_cluster_deaf(c, 1, false);
    qd_cluster *behind = action_cluster_actions(c, 1)->cluster;
    assert_int_equal(qd_cluster_wait(behind, revision_of(c, 0), 60000, NULL), 0);
    is_done(c, "PUT", "/mine/_doc/9", "{\"later\":\"k\"}", NULL);
}

/* --- a primary that has yet to hear of a newer mapping --- */

static coord_memory_fault count_changes(void *arg, char kind, uint32_t action)
{
    (void)action;
    if (kind == 't') atomic_fetch_add((_Atomic uint32_t *)arg, 1);
    return COORD_MEMORY_PASS;
}

/* Node 1 is asked to write a document with a field that it does not know; it hears what the others
 * know when it has tried to change the mapping. Returns the status. */
static int written_late(action_cluster *c, const char *path, const char *body)
{
    qd_env *env = action_cluster_actions(c, 0)->env;
    _Atomic uint32_t asked = 0;
    coord_memory_hook(action_cluster_store(c), count_changes, &asked);
    action_errand *e = action_cluster_start(c, 1, "PUT", path, body);
    while (!atomic_load(&asked)) qd_env_sleep_ns(env, 1000000);
    action_cluster_deaf(c, 1, false);
    int status = action_cluster_wait(c, e);
    coord_memory_hook(action_cluster_store(c), NULL, NULL);
    return status;
}

static void a_field_that_others_mapped_meanwhile(void **state)
{
    action_cluster *c = *state;
    one_shard(c, "m");
    action_cluster_deaf(c, 1, true);
    is_done(c, "PUT", "/m/_mapping?timeout=1ms",
            "{\"properties\":{\"x\":{\"type\":\"long\"},\"y\":{\"type\":\"long\"}}}", NULL);
    int status = written_late(c, "/m/_doc/1", "{\"x\":\"5\"}"); /* a text, if it were new */
    if (status != 201) fail_msg("%d %s", status, action_cluster_body(c));
    is_done(c, "GET", "/m/_mapping", NULL, "\"x\":{\"type\":\"long\"}");
    is_done(c, "POST", "/m/_refresh", NULL, NULL);
    is_done(c, "POST", "/m/_search", "{\"query\":{\"range\":{\"x\":{\"gte\":4}}}}", "\"value\":1");
    /* what the newest mapping does not take is refused */
    action_cluster_deaf(c, 1, true);
    is_done(c, "PUT", "/m/_mapping?timeout=1ms", "{\"properties\":{\"z\":{\"type\":\"long\"}}}",
            NULL);
    status = written_late(c, "/m/_doc/2", "{\"z\":\"no number\"}");
    if (status != 400 || !strstr(action_cluster_body(c), "document_parsing_exception"))
        fail_msg("%d %s", status, action_cluster_body(c));
}

/* Node 0 knows that a field is there, the primary does not: it cannot tell that there is none. */
static void a_field_that_the_primary_has_yet_to_hear_of(void **state)
{
    action_cluster *c = *state;
    qd_env *env = action_cluster_actions(c, 0)->env;
    one_shard(c, "s");
    is_done(c, "PUT", "/s/_mapping", "{\"dynamic\":\"strict\"}", NULL);
    action_cluster_deaf(c, 1, true);
    is_done(c, "PUT", "/s/_mapping?timeout=1ms", "{\"properties\":{\"x\":{\"type\":\"long\"}}}",
            NULL);
    int status = action_cluster_call(c, 0, "PUT", "/s/_doc/1?timeout=2s", "{\"x\":5}");
    if (status != 503 || !strstr(action_cluster_body(c), "unavailable_shards_exception"))
        fail_msg("%d %s", status, action_cluster_body(c));
    action_cluster_deaf(c, 1, false);
    is_done(c, "PUT", "/s/_doc/1", "{\"x\":5}", "\"result\":\"created\"");
    while (revision_of(c, 1) < revision_of(c, 0)) qd_env_sleep_ns(env, 1000000);
    status = action_cluster_call(c, 0, "PUT", "/s/_doc/2", "{\"y\":5}");
    if (status != 400 || !strstr(action_cluster_body(c), "strict_dynamic_mapping_exception"))
        fail_msg("%d %s", status, action_cluster_body(c));
}

/* Documents whose new field was mapped before their version was found wrong. */
static void a_conflict_after_a_new_field(void **state)
{
    static const char *const sources[] = {"{\"a\":1}", "{\"b\":1}", "{\"c\":1}"};
    action_cluster *c = *state;
    bulk b;
    doc_item items[QD_COUNT_OF(sources)];
    for (uint32_t k = 0; k < QD_COUNT_OF(items); k++) {
        qdi_item_init(&items[k]);
        items[k].op = DOC_CREATE;
        items[k].id = QD_STR("1");
        items[k].source = qd_str_c(sources[k]);
    }
    run_bulk(c, &b, "v", items, QD_COUNT_OF(items));
    assert_int_equal(items[0].rc, 0);
    for (uint32_t k = 1; k < QD_COUNT_OF(items); k++) {
        assert_int_equal(items[k].rc, QD_E_VERSION_CONFLICT);
        assert_int_equal(items[k].err->ndetails, 3);
        assert_string_equal(items[k].err->details[0].value, items[k].index_uuid);
        assert_string_equal(items[k].err->details[2].value, "v");
    }
    bulk_end(&b);
}

/* --- a node that has yet to hear who is primary now --- */

static void a_primary_that_others_know_is_found(void **state)
{
    (void)state;
    qd_env *env = qd_env_system();
    action_cluster *c = action_cluster_open(3, NULL);
    one_shard(c, "p"); /* on node 1, then also on node 0; node 2 is asked */
    is_done(c, "PUT", "/p/_doc/1", "{\"n\":1}", NULL);
    is_done(c, "PUT", "/p/_settings",
            "{\"index\":{\"number_of_replicas\":1,\"routing.allocation.require._name\":null,"
            "\"routing.allocation.include._name\":\"node-0,node-1\"}}",
            NULL);
    is_done(c, "GET", "/_cluster/health/p?wait_for_status=green&timeout=60s", NULL, "\"green\"");
    while (revision_of(c, 2) < revision_of(c, 0)) qd_env_sleep_ns(env, 1000000);
    action_cluster_deaf(c, 2, true);
    action_cluster_leave(c, 1);
    uint64_t from = qd_env_mono_ns(env);
    int status = action_cluster_call(c, 2, "PUT", "/p/_doc/1", "{\"n\":2}");
    if (status != 200) fail_msg("%d %s", status, action_cluster_body(c));
    status = action_cluster_call(c, 2, "GET", "/p/_doc/1", NULL);
    if (status != 200 || !strstr(action_cluster_body(c), "{\"n\":2}"))
        fail_msg("%d %s", status, action_cluster_body(c));
    uint64_t ms = (qd_env_mono_ns(env) - from) / 1000000u;
    assert_true(revision_of(c, 0) > revision_of(c, 2));
    if (ms > FAR_LESS_MS) fail_msg("it took %llu ms", (unsigned long long)ms);
    action_cluster_deaf(c, 2, false);
    action_cluster_close(c);
}

/* --- a node that passes a request on --- */

/* Node 0 asks node 2 to pass a request on; *sent and the code are those of the target. */
static int passed_on(action_cluster *c, const char *to, uint32_t action, qd_str body,
                     qd_rpc_call *x)
{
    qd_writer w;
    qd_rpc *rpc = action_cluster_actions(c, 0)->rpc;
    qd_str via = qd_rpc_address(action_cluster_actions(c, 2)->rpc);
    qd_writer_init(&w, NULL, 4096, QD_RPC_1_2);
    qdi_relay_head(&w, qd_str_c(to), action, QD_RPC_1_0, body.n);
    *x = (qd_rpc_call){.to = via,
                       .action = QD_ACTION_RELAY,
                       .class = QD_RPC_DATA,
                       .timeout_ms = 60000,
                       .body = qd_writer_view(&w),
                       .tail = body,
                       .version = QD_RPC_1_2};
    qd_err_init(&x->err);
    assert_int_equal(qd_rpc_call_wait(rpc, x, NULL), 0);
    qd_writer_fini(&w);
    return qdi_relay_take(x);
}

/* The body of a write of document 7 of index r, which is at node 1. */
static void write_body(action_cluster *c, qd_writer *w)
{
    doc_item i;
    uint32_t pick = 0;
    doc_wire_head h = {.timeout_ms = 20000, .active = QDI_ACTIVE_DEFAULT, .n = 1};
    qd_state *s = qd_cluster_state(action_cluster_actions(c, 0)->cluster);
    const qd_index_meta *m = qd_state_index(s, QD_STR("r"));
    qdi_item_init(&i);
    i.op = DOC_INDEX;
    i.concrete = i.index = QD_STR("r");
    memcpy(i.index_uuid, m->uuid, sizeof i.index_uuid);
    i.id = QD_STR("7");
    i.source = QD_STR("{\"n\":1}");
    qd_writer_init(w, NULL, 4096, QD_RPC_1_0);
    qdi_wire_items(w, &h, &i, &pick);
    qd_state_unref(s);
}

static void a_request_is_passed_on_once(void **state)
{
    (void)state;
    action_cluster *c = action_cluster_open(3, NULL);
    qd_writer w;
    qd_rpc_call x;
    qd_arena arena;
    doc_item done;
    uint32_t pick = 0;
    char to[QD_RPC_ADDRESS_MAX];
    one_shard(c, "r");
    write_body(c, &w);
    qd_str body = qd_writer_view(&w);
    snprintf(to, sizeof to, "%s", qd_rpc_address(action_cluster_actions(c, 1)->rpc).p);
    assert_int_equal(passed_on(c, to, QD_ACTION_DOCS_WRITE, body, &x), 0);
    qd_arena_init(&arena, NULL, 0);
    qdi_item_init(&done);
    assert_int_equal(
        qdi_wire_results_read(x.answer, x.answer_version, &arena, &done, &pick, 1, NULL), 0);
    assert_int_equal(done.rc, 0);
    assert_string_equal(done.result, "created");
    qd_arena_fini(&arena);
    qd_rpc_call_fini(&x);
    is_done(c, "GET", "/r/_doc/7", NULL, "\"_version\":1,");

    /* what is not for others, whom nobody knows, and what is passed on already */
    assert_int_equal(passed_on(c, to, QD_ACTION_COORD_TXN, body, &x), QD_E_ARG);
    assert_false(x.sent);
    qd_rpc_call_fini(&x);
    assert_int_equal(passed_on(c, to, QD_ACTION_RELAY, body, &x), QD_E_ARG);
    qd_rpc_call_fini(&x);
    assert_int_equal(passed_on(c, "10.1.2.3:9300", QD_ACTION_DOCS_WRITE, body, &x), QD_E_CLOSED);
    assert_false(x.sent);
    qd_rpc_call_fini(&x);

    /* the target has it and does not answer: nobody knows what became of it */
    action_cluster_cut(c, 1);
    assert_int_equal(passed_on(c, to, QD_ACTION_DOCS_WRITE, body, &x), QD_E_CLOSED);
    assert_true(x.sent);
    qd_rpc_call_fini(&x);
    qd_writer_fini(&w);
    action_cluster_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_second_attempt_takes_all, open_nodes, close_nodes),
        cmocka_unit_test_setup_teardown(a_cancelled_write_is_unknown, open_nodes, close_nodes),
        cmocka_unit_test_setup_teardown(what_one_node_has_yet_to_hear_stops_nothing, open_nodes,
                                        close_nodes),
        cmocka_unit_test_setup_teardown(a_field_that_others_mapped_meanwhile, open_nodes,
                                        close_nodes),
        cmocka_unit_test_setup_teardown(a_field_that_the_primary_has_yet_to_hear_of, open_nodes,
                                        close_nodes),
        cmocka_unit_test(a_primary_that_others_know_is_found),
        cmocka_unit_test(a_request_is_passed_on_once),
        cmocka_unit_test_setup_teardown(a_conflict_after_a_new_field, open_nodes, close_nodes),
        cmocka_unit_test_setup_teardown(test_single, open_nodes, close_nodes),
        cmocka_unit_test_setup_teardown(shards_that_fail_are_told, open_nodes, close_nodes),
        cmocka_unit_test_setup_teardown(first_documents_are_not_flushed, open_nodes, close_nodes),
        cmocka_unit_test_setup_teardown(refreshes_of_writes, open_nodes, close_nodes),
    };
    return unit_run(tests);
}
