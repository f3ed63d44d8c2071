/*
 * rollover_t.c: an alias and a data stream are rolled over by several at once while others write to
 * them. In each state of the cluster there is one write index and every index that there was
 * before; each rollover that was answered has made one index, and what was acknowledged is there
 * once.
 */
#include "lib/action_node.h"
#include "unit/unit.h"

#define TURNS 6
#define ROLLS 4 /* at once */
#define WRITES 8

typedef struct watcher {
    action_node *n;
    uint32_t most; /* indices of the last state */
    char last[64]; /* uuid of its write index */
    _Atomic uint32_t states;
    _Atomic bool over;
    char wrong[200];
} watcher;

/* The state that is published by now; the one that is shown just now is looked at next time. */
static void look(void *arg)
{
    watcher *x = arg;
    qd_state *s = qd_cluster_state(action_node_actions(x->n)->cluster);
    const qd_alias_group *g = qd_state_alias(s, QD_STR("w"));
    uint32_t writing = 0;
    for (uint32_t i = 0; g && !g->is_stream && i < g->n; i++) {
        const qd_alias *a = qd_index_meta_alias(g->indices[i], QD_STR("w"));
        writing += a && a->is_write_index == 1;
    }
    if (x->most && (!g || !g->write_index)) {
        snprintf(x->wrong, sizeof x->wrong, "a state without %s", g ? "a write index" : "the name");
    } else if (g && g->n < x->most) {
        snprintf(x->wrong, sizeof x->wrong, "a state with %u of %u indices", g->n, x->most);
    } else if (g && !g->is_stream && writing != 1) {
        snprintf(x->wrong, sizeof x->wrong, "a state with %u write indices", writing);
    } else if (g && g->n == x->most && strcmp(x->last, g->write_index->uuid) != 0) {
        snprintf(x->wrong, sizeof x->wrong, "another write index, and no new one");
    } else if (g) {
        x->most = g->n;
        snprintf(x->last, sizeof x->last, "%s", g->write_index->uuid);
    }
    qd_state_unref(s);
    atomic_fetch_add(&x->states, 1);
    if (!atomic_load(&x->over)) action_node_on_state(x->n, look, x);
}

static void must(action_node *n, const char *method, const char *path, const char *body)
{
    int is = action_call(n, method, path, body);
    if (is != 200) fail_msg("%s %s: %d %s", method, path, is, action_body(n));
}

/* Rollovers and writes under way at once; how many rollovers were done, and how many writes. */
static void one_turn(action_node *n, int turn, bool named, uint32_t *rolled, uint32_t *acked)
{
    action_ticket *roll[ROLLS], *write[WRITES];
    char path[64];
    for (int i = 0; i < WRITES; i++) {
        snprintf(path, sizeof path, "/w/_create/%d-%d", turn, i);
        write[i] = action_start(n, "PUT", path, "{\"@timestamp\":\"2026-01-01\",\"a\":1}");
        if (i >= ROLLS) continue;
        if (named)
            snprintf(path, sizeof path, "/w/_rollover/named-%d-%d-000001", turn, i);
        else
            snprintf(path, sizeof path, "/w/_rollover");
        roll[i] = action_start(n, "POST", path, NULL);
    }
    for (int i = 0; i < ROLLS; i++) {
        int is = action_wait(n, roll[i]);
        if (is != 200) fail_msg("a rollover: %d %s", is, action_body(n));
        assert_string_equal(action_at(n, "rolled_over"), "true");
        ++*rolled;
    }
    for (int i = 0; i < WRITES; i++) {
        int is = action_wait(n, write[i]);
        if (is != 201) fail_msg("a write: %d %s", is, action_body(n));
        ++*acked;
    }
}

static void roll(action_node *n, bool stream)
{
    uint32_t rolled = 0, acked = 0;
    char path[32], total[16];
    static watcher x; /* the last look may be under way at the end */
    x = (watcher){.n = n};
    action_node_on_state(n, look, &x);
    for (int turn = 0; turn < TURNS; turn++)
        one_turn(n, turn, !stream && turn % 2, &rolled, &acked);
    must(n, "PUT", "/another", "{\"settings\":{\"number_of_replicas\":0}}"); /* one more state */
    must(n, "PUT", "/another/_settings", "{\"index.refresh_interval\":\"9s\"}");
    atomic_store(&x.over, true);
    if (x.wrong[0]) fail_msg("%s", x.wrong);
    assert_true(atomic_load(&x.states) > rolled);
    assert_int_equal(x.most, rolled + 1);
    must(n, "POST", "/w/_refresh", NULL);
    must(n, "GET", "/w/_count", NULL);
    snprintf(total, sizeof total, "%u", acked);
    assert_string_equal(action_at(n, "count"), total);
    for (int i = 0; i < TURNS * WRITES; i++) {
        snprintf(path, sizeof path, "%d-%d", i / WRITES, i % WRITES);
        char body[100];
        snprintf(body, sizeof body, "{\"query\":{\"ids\":{\"values\":[\"%s\"]}}}", path);
        must(n, "POST", "/w/_count", body);
        assert_string_equal(action_at(n, "count"), "1");
    }
}

static void an_alias_is_rolled_over(void **state)
{
    (void)state;
    action_node *n = action_node_open(NULL);
    must(n, "PUT", "/w-000001",
         "{\"settings\":{\"number_of_replicas\":0},\"aliases\":{\"w\":{\"is_write_index\":true}}}");
    roll(n, false);
    action_node_close(n);
}

static void a_data_stream_is_rolled_over(void **state)
{
    (void)state;
    action_node *n = action_node_open(NULL);
    must(n, "PUT", "/_index_template/w",
         "{\"index_patterns\":[\"w*\"],\"data_stream\":{},\"template\":{\"settings\":"
         "{\"number_of_replicas\":0}}}");
    must(n, "PUT", "/_data_stream/w", NULL);
    roll(n, true);
    action_node_close(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_alias_is_rolled_over),
        cmocka_unit_test(a_data_stream_is_rolled_over),
    };
    return unit_run(tests);
}
