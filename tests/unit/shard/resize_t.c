/*
 * resize_t.c: the power goes at each write of the making of a shard from those of another index
 * (_clone, _split, _shrink), and just behind it. What the next process has is the whole index, with
 * nothing of other shards, or one whose making begins anew; and the source is as it was.
 */
#include "lib/action_node.h"
#include "shard/shards_int.h"
#include "unit/unit.h"

#define WAIT_MS 60000u
#define DOCS 12
#define STEPS_MOST 2000u /* of the making of one shard */
#define BEHIND 6u        /* losses of power right behind a start */

typedef struct making {
    const char *path;
    uint32_t from, to; /* shards */
} making;
static const making cloning = {"_clone", 1, 1}, splitting = {"_split", 1, 2},
                    shrinking = {"_shrink", 2, 1};

#define LATE 1000
static const char late[] = ",{\"_id\":\"1000\",\"_version\":1,\"_source\":{\"n\":1000}}]}}";

static const char all[] =
    "/_search?size=100&version=true&sort=n&filter_path=hits.hits._id,hits.hits._routing,"
    "hits.hits._version,hits.hits._source";

static void must(action_node *n, int status, const char *method, const char *path, const char *body)
{
    int is = action_call(n, method, path, body);
    if (is != status) fail_msg("%s %s: %d %s", method, path, is, action_body(n));
}

static void put(action_node *n, int id, int value)
{
    char path[64], body[32];
    snprintf(path, sizeof path, "/src/_doc/%d%s", id, id % 3 ? "" : "?routing=r");
    snprintf(body, sizeof body, "{\"n\":%d}", value);
    assert_in_range(action_call(n, "PUT", path, body), 200, 201);
}

/* What an index has; NULL: its shards do not serve. */
static char *documents(action_node *n, const char *index)
{
    char path[200];
    snprintf(path, sizeof path, "/%s/_refresh", index);
    if (action_call(n, "POST", path, NULL) != 200) return NULL;
    snprintf(path, sizeof path, "/%s%s", index, all);
    return action_call(n, "GET", path, NULL) == 200 ? strdup(action_body(n)) : NULL;
}

/* Segments with deleted documents, and a document that no refresh has shown; what it has, with that
 * one at the end. */
static char *make_source(action_node *n, const making *m)
{
    char body[200];
    snprintf(body, sizeof body,
             "{\"settings\":{\"number_of_shards\":%u,\"number_of_routing_shards\":4,"
             "\"number_of_replicas\":0,\"refresh_interval\":\"-1\"}}",
             m->from);
    must(n, 200, "PUT", "/src", body);
    for (int i = 0; i < DOCS; i++) {
        put(n, i, i);
        if (i == DOCS / 2) must(n, 200, "POST", "/src/_refresh", NULL);
    }
    must(n, 200, "POST", "/src/_flush", NULL);
    must(n, 200, "DELETE", "/src/_doc/1", NULL);
    put(n, 2, 100);
    must(n, 200, "POST", "/src/_refresh", NULL);
    char *shown = documents(n, "src");
    assert_non_null(shown);
    char *is = malloc(strlen(shown) + sizeof late);
    assert_non_null(is);
    char *end = strstr(strcpy(is, shown), "]}}");
    assert_non_null(end);
    strcpy(end, late);
    free(shown);
    put(n, LATE, LATE);
    must(n, 200, "PUT", "/src/_block/write", NULL);
    return is;
}

static bool green(action_node *n, const char *index)
{
    char path[100];
    snprintf(path, sizeof path, "/_cluster/health/%s?wait_for_status=green&timeout=0s", index);
    return action_call(n, "GET", path, NULL) == 200;
}

static void wait_green(action_node *n, const char *index, uint64_t seed)
{
    for (uint32_t i = 0; !green(n, index); i++) {
        if (i == WAIT_MS) {
            (void)action_call(n, "GET", "/_cluster/allocation/explain", NULL);
            fail_msg("cut at %llu: %s is not green: %s", (unsigned long long)seed, index,
                     action_body(n));
        }
        /* attempts that met a dead disk count */
        (void)action_call(n, "POST", "/_cluster/reroute?retry_failed=true", NULL);
        qd_env_sleep_ns(qd_env_system(), 1000000);
    }
}

static void check(action_node *n, const char *index, const char *expect, uint64_t seed)
{
    wait_green(n, index, seed);
    char *is = documents(n, index);
    if (!is || strcmp(is, expect) != 0) {
        fail_msg("cut at %llu: %s has %.120s, not %.120s", (unsigned long long)seed, index,
                 is ? is : "nothing", expect);
    }
    free(is);
}

/* One loss of power, after `at` writes or (0) when the index is green. false: it was green first.
 */
static bool cut(const making *m, uint64_t at, uint64_t seed)
{
    char path[80], body[200];
    action_node *n = action_node_open(NULL);
    store_crash *disk = action_node_disk(n);
    char *expect = make_source(n, m);
    snprintf(path, sizeof path, "/src/%s/dst?wait_for_active_shards=0", m->path);
    snprintf(body, sizeof body,
             "{\"settings\":{\"index.number_of_shards\":%u,\"index.blocks.write\":null}}", m->to);
    if (at) store_crash_power_off_at(disk, at);
    must(n, 200, "PUT", path, body);
    bool whole = false;
    for (uint32_t i = 0; !store_crash_is_off(disk) && !whole; i++) {
        assert_true(i < WAIT_MS);
        whole = green(n, "dst");
        qd_env_sleep_ns(qd_env_system(), 100000);
    }
    action_node_restart(n, true, seed);
    check(n, "dst", expect, seed);
    check(n, "src", expect, seed);
    action_node_restart(n, true, ~seed); /* whatever way it was made, it is there from now on */
    check(n, "dst", expect, seed);
    assert_int_equal(action_call(n, "PUT", "/dst/_doc/new?refresh", "{\"n\":-1}"), 201);
    free(expect);
    action_node_close(n);
    return !whole;
}

static void cut_everywhere(const making *m)
{
    uint64_t cuts = 0, at;
    for (at = 1; at < STEPS_MOST && cut(m, at, at); at += unit_stride(1)) cuts++;
    assert_in_range(at, 10, STEPS_MOST - 1);
    for (uint64_t i = 1; i <= BEHIND; i++) (void)cut(m, 0, STEPS_MOST + i);
    print_message("# %s: %llu losses of power within, %u behind\n", m->path,
                  (unsigned long long)cuts, BEHIND);
}

static void a_clone_loses_power(void **state)
{
    (void)state;
    cut_everywhere(&cloning);
}

static void a_split_loses_power(void **state)
{
    (void)state;
    cut_everywhere(&splitting);
}

static void a_shrink_loses_power(void **state)
{
    (void)state;
    cut_everywhere(&shrinking);
}

/* A copy that the state does not have for the primary is no source. The shard waits for one, and
 * nobody has to ask for another attempt. */
static void a_source_is_the_primary(void **state)
{
    (void)state;
    action_node *n = action_node_open(NULL);
    char *expect = make_source(n, &cloning);
    must(n, 200, "GET", "/src/_settings", NULL);
    qd_shard *s =
        qd_shards_get(action_node_actions(n)->shards, action_at(n, "src.settings.index.uuid"), 0);
    assert_non_null(s);
    s->allocation_id[0] ^= 1;
    must(n, 200, "PUT", "/src/_clone/dst?wait_for_active_shards=0",
         "{\"settings\":{\"index.blocks.write\":null}}");
    for (uint32_t i = 0;; i++) { /* until an attempt was refused */
        assert_true(i < WAIT_MS);
        must(n, 200, "GET", "/_cluster/state/routing_table", NULL);
        if (strstr(action_body(n), "is no primary")) break;
        qd_env_sleep_ns(qd_env_system(), 1000000);
    }
    assert_false(green(n, "dst"));
    s->allocation_id[0] ^= 1;
    for (uint32_t i = 0; !green(n, "dst"); i++) {
        assert_true(i < WAIT_MS);
        qd_env_sleep_ns(qd_env_system(), 1000000);
    }
    check(n, "dst", expect, 0);
    qd_shard_unref(s);
    free(expect);
    action_node_close(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_clone_loses_power),
        cmocka_unit_test(a_split_loses_power),
        cmocka_unit_test(a_shrink_loses_power),
        cmocka_unit_test(a_source_is_the_primary),
    };
    return unit_run(tests);
}
