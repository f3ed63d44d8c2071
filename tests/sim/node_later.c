/*
 * node_later.c: what an operator does with an index that is done with, while nodes lose their
 * power: another one is made of it (_clone, _split, _shrink), and an alias or a data stream is
 * rolled over under clients that write to it. Behind the checks of a schedule, in a third of them.
 *
 * The index that was made has each document of its source as that has it, and nothing else, on
 * every node, also after all have lost their power. What was acknowledged under the alias is there
 * once. In each state the alias has one write index, and all that it had before.
 */
#include "base/str.h"
#include "node_int.h"

#define TARGET "made"
#define ALIAS "rolling"
#define WRITERS 3
#define DOCS_MOST 120 /* of a writer */
#define CUTS_MOST 4
#define ROLLS 3
#define PATIENCE 250 /* attempts, 400 ms apart */

typedef struct later {
    world *w;
    bool resized, over, stream;
    uint32_t cuts;
    char acked[WRITERS][DOCS_MOST];
} later;

static later now;

/* --- losses of power -------------------------------------------------------------------------- */

static bool target_is_whole(world *w)
{
    qd_state *s = state_now(w);
    const qd_index_meta *m = s ? qd_state_index(s, QD_STR(TARGET)) : NULL;
    bool whole = m != NULL;
    for (uint32_t i = 0; m && i < m->shards; i++) {
        const qd_shard_meta *r = qd_state_shard(s, m, i);
        whole &= r && !r->fresh;
    }
    qd_state_unref(s);
    return whole;
}

/* At most one node at a time: the others keep the cluster's state. */
static void power(void *arg)
{
    later *x = arg;
    world *w = x->w;
    int id = (int)rnd(w, NODES);
    bool all = true;
    if (w->failed || x->over || !x->cuts) return;
    for (int i = 0; i < MACHINES; i++)
        all &= !w->m[i].exists || (w->m[i].data ? proc_serves(w->m[i].now) : w->m[i].now != NULL);
    if (all && w->m[id].data) {
        x->cuts--;
        w->r->later_power++;
        if (!target_is_whole(w)) w->r->resize_power++;
        proc_kill(w, id, true);
    }
    uint64_t next = chance(w, 0.5) ? rnd(w, ms(40)) : rnd(w, ms(3000));
    if (qd_sim_after(w->sim, 1 + next, power, x)) abort();
}

static void cuts_begin(later *x)
{
    world *w = x->w;
    x->cuts = 1 + (uint32_t)rnd(w, CUTS_MOST);
    if (qd_sim_after(w->sim, 1 + rnd(w, ms(30)), power, x)) abort();
}

/* --- requests --------------------------------------------------------------------------------- */

static int serving(world *w)
{
    int node = (int)rnd(w, NODES);
    for (int i = 0; i < NODES && !proc_serves(w->m[node].now); i++) node = (node + 1) % NODES;
    return node;
}

/* Until it is done; `also`: what an answer may say that it was done before. */
static bool do_it(world *w, const char *method, const char *path, const char *body,
                  const char *also)
{
    for (int i = 0; i < PATIENCE && !w->failed; i++) {
        answer a;
        ask(w, serving(w), method, path, body, 6000, &a);
        const char *text = a.body.p ? a.body.p : "";
        trace(w, "%s %s: %d %.160s", method, path, a.status, text);
        bool done = a.status == 200 || (also && strstr(text, also));
        bool refused = a.status == 400 && !done;
        if (refused) fail(w, "%s %s is refused: %.300s", method, path, text);
        answer_fini(&a);
        if (done) return true;
        qd_env_sleep_ns(w->env, ms(400));
    }
    fail(w, "%s %s does not come to an end", method, path);
    return false;
}

static bool green(world *w, const char *index)
{
    char path[120];
    snprintf(path, sizeof path, "/_cluster/health/%s?wait_for_status=green&timeout=3s", index);
    return do_it(w, "GET", path, NULL, NULL);
}

/* The answer of a search that all shards have answered; the caller gives it back. */
static bool search(world *w, int node, const char *index, const char *order, answer *a)
{
    char path[160];
    snprintf(path, sizeof path,
             "/%s/_search?size=5000&version=true&sort=%s&filter_path=_shards.failed,hits.hits._id,"
             "hits.hits._version,hits.hits._source",
             index, order);
    for (int i = 0; i < PATIENCE && !w->failed; i++) {
        ask(w, node < 0 ? serving(w) : node, "GET", path, NULL, 6000, a);
        if (a->status == 200 && strstr(a->body.p, "\"failed\":0")) return true;
        trace(w, "%s: %d %.200s", path, a->status, a->body.p ? a->body.p : "");
        answer_fini(a);
        qd_env_sleep_ns(w->env, ms(400));
    }
    fail(w, "a search of %s does not come to an end", index);
    return false;
}

/* --- an index of another one ------------------------------------------------------------------ */

static void check_target(world *w, const char *expect)
{
    if (!green(w, TARGET) || !do_it(w, "POST", "/" TARGET "/_refresh", NULL, NULL)) return;
    for (int i = 0; i < 2 * NODES && !w->failed; i++) { /* one copy and the other */
        answer a;
        if (!search(w, i % NODES, TARGET, "v", &a)) return;
        if (strcmp(a.body.p, expect) != 0)
            fail(w, "the index that was made has %.300s, not %.300s", a.body.p, expect);
        answer_fini(&a);
    }
}

static bool ask_for_target(world *w)
{
    char body[200], path[80];
    bool splits = chance(w, 0.6), shrinks = w->shards > 1 && !splits;
    const char *how = splits ? "_split" : shrinks ? "_shrink" : "_clone";
    uint32_t shards = splits ? 2 * w->shards : shrinks ? 1 : w->shards;
    snprintf(body, sizeof body,
             "{\"settings\":{\"index.blocks.write\":null,\"index.number_of_shards\":%u,"
             "\"index.number_of_replicas\":%u}}",
             shards, (uint32_t)rnd(w, NODES));
    for (int i = 0; i < PATIENCE && !w->failed; i++) {
        answer a;
        snprintf(path, sizeof path, "/" INDEX "/%s/" TARGET "?wait_for_active_shards=0", how);
        ask(w, serving(w), "PUT", path, body, 6000, &a);
        const char *text = a.body.p ? a.body.p : "";
        trace(w, "%s: %d %.200s", path, a.status, text);
        bool done = a.status == 200 || strstr(text, "already exists");
        bool apart = strstr(text, "allocated on the same node") != NULL;
        if (a.status == 400 && !done) fail(w, "%s is refused: %.300s", path, text);
        answer_fini(&a);
        if (done) return true;
        if (apart) {
            how = "_clone";
            snprintf(body, sizeof body, "{\"settings\":{\"index.blocks.write\":null}}");
        }
        qd_env_sleep_ns(w->env, ms(400));
    }
    fail(w, "the index does not come to be made");
    return false;
}

static void make_another(later *x)
{
    world *w = x->w;
    answer expect;
    if (!do_it(w, "PUT", "/" INDEX "/_settings", "{\"index.blocks.write\":true}", NULL)) return;
    if (!do_it(w, "POST", "/" INDEX "/_flush", NULL, NULL)) return;
    if (!do_it(w, "POST", "/" INDEX "/_refresh", NULL, NULL)) return;
    if (!search(w, -1, INDEX, "v", &expect)) return;
    cuts_begin(x);
    if (ask_for_target(w)) check_target(w, expect.body.p);
    x->cuts = 0;
    for (int i = 0; i < NODES && !w->failed; i++)
        if (w->m[i].data) proc_kill(w, i, true);
    check_target(w, expect.body.p);
    w->r->resizes += !w->failed;
    answer_fini(&expect);
}

/* --- rollover --------------------------------------------------------------------------------- */

static void write_run(void *arg)
{
    int me = (int)(intptr_t)arg;
    later *x = &now;
    world *w = x->w;
    for (int k = 0; k < DOCS_MOST && !x->over && !w->failed; k++) {
        answer a;
        char path[80], body[80];
        snprintf(path, sizeof path, "/" ALIAS "/_create/%d-%d", me, k);
        snprintf(body, sizeof body, "{\"v\":%d,\"@timestamp\":\"2026-01-01\"}", me * DOCS_MOST + k);
        ask(w, serving(w), "PUT", path, body, 3000, &a);
        x->acked[me][k] = a.status == 201;
        answer_fini(&a);
        qd_env_sleep_ns(w->env, ms(5 + rnd(w, 150)));
    }
    w->clients--;
}

static bool make_rolling(later *x)
{
    static const char stream[] = "{\"index_patterns\":[\"" ALIAS "*\"],\"data_stream\":{},"
                                 "\"template\":{\"settings\":{\"number_of_replicas\":1}}}";
    static const char first[] = "{\"settings\":{\"number_of_replicas\":1},\"aliases\":{\"" ALIAS
                                "\":{\"is_write_index\":true}}}";
    if (!x->stream) return do_it(x->w, "PUT", "/" ALIAS "-000001", first, "already exists");
    return do_it(x->w, "PUT", "/_index_template/" ALIAS, stream, NULL) &&
           do_it(x->w, "PUT", "/_data_stream/" ALIAS, NULL, "already exists");
}

/* How often each of the acknowledged documents is there. */
static void check_rolled(later *x)
{
    world *w = x->w;
    answer a;
    if (!green(w, ALIAS) || !do_it(w, "POST", "/" ALIAS "/_refresh", NULL, NULL)) return;
    if (!search(w, -1, ALIAS, "_doc", &a)) return;
    for (int me = 0; me < WRITERS; me++) {
        for (int k = 0; k < DOCS_MOST && !w->failed; k++) {
            char id[40];
            int found = 0;
            snprintf(id, sizeof id, "\"_id\":\"%d-%d\"", me, k);
            for (const char *at = a.body.p; (at = strstr(at, id)) != NULL; at++) found++;
            if (found > 1 || (x->acked[me][k] && !found)) {
                fail(w, "[%d-%d] was %s under " ALIAS " and is there %d times", me, k,
                     x->acked[me][k] ? "acknowledged" : "not acknowledged", found);
            }
        }
    }
    answer_fini(&a);
}

static void roll(later *x)
{
    world *w = x->w;
    x->stream = chance(w, 0.5);
    if (!make_rolling(x) || !green(w, ALIAS)) return;
    for (int i = 0; i < WRITERS; i++) world_thread(w, write_run, (void *)(intptr_t)i);
    cuts_begin(x);
    for (int i = 0; i < ROLLS && !w->failed; i++) {
        qd_env_sleep_ns(w->env, ms(200 + rnd(w, 1500)));
        w->r->rollovers += do_it(w, "POST", "/" ALIAS "/_rollover", NULL, NULL);
    }
    x->over = true;
    while (w->clients > 1 && !w->failed) qd_env_sleep_ns(w->env, ms(50));
    if (!w->failed) check_rolled(x);
}

void later_state(world *w, const qd_state *old, const qd_state *is)
{
    const qd_alias_group *a = old ? qd_state_alias(old, QD_STR(ALIAS)) : NULL;
    const qd_alias_group *b = qd_state_alias(is, QD_STR(ALIAS));
    if (!a || w->failed) return;
    if (!b || !b->write_index || b->n < a->n) {
        fail(w, "a state has no " ALIAS ", or no write index of it, or fewer indices than before");
    } else if (b->n == a->n && strcmp(b->write_index->uuid, a->write_index->uuid) != 0) {
        fail(w, ALIAS " has another write index, and no new one");
    }
}

/* --- both ------------------------------------------------------------------------------------- */

static void later_run(void *arg)
{
    later *x = arg;
    if (chance(x->w, 0.7)) make_another(x);
    if (!x->w->failed) roll(x);
    x->over = true;
    x->w->clients--;
}

bool later_begin(world *w)
{
    if (w->upgrade || w->seed % 3 != 0) return false;
    now = (later){.w = w};
    world_join(w);
    world_thread(w, later_run, &now);
    return true;
}
