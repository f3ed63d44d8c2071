/*
 * node_scenes.c: schedules that are written down, each for one rule that only a certain order of
 * events shows broken. Threads of the product are stopped at its points (runtime/point.h), syncs
 * are held, links are cut; what breaks is found by the same checks as in all other schedules. With
 * the rule as it is a scene holds.
 */
#include "base/str.h"
#include "engine/mutants.h"
#include "engine/replica.h"
#include "node_int.h"
#include "replication/mutants.h"
#include "runtime/point.h"

#define LATER_MAX 5
#define PATIENCE_MS 60000
#define DOWN UINT64_MAX /* nobody starts it before the scene has ended */

typedef enum place {
    AT_SERVE,
    AT_CONFIRM,
    AT_SHIP,
    AT_ENTERED,
    AT_FINALIZE,
    AT_LEAD,
    AT_APPLY, /* a new state, before the node acts on it */
    PLACES
} place;
static const char *const place_names[PLACES] = {
    "replication.serve",    "replication.confirm", "replication.ship", "replication.entered",
    "replication.finalize", "replication.lead",    "sim.apply"};

/* Threads of a node at a point: those that come are stopped, those that were stopped go on. */
typedef struct gate {
    bool stops, open;
    uint32_t come;
} gate;

/* An operation on a thread of its own. */
typedef struct later {
    world *w;
    int node, doc;
    okind kind;
    const hop *on;
    hop *h;
    bool done;
} later;

typedef struct stage {
    world *w;
    gate at[NODES][PLACES];
    int p, r, r2; /* nodes: of the primary, of the other copies */
    later later[LATER_MAX];
    uint32_t nlater;
    uint64_t until_ns;
} stage;
static stage the_stage;

enum { A, B, C, D, E }; /* documents */

/* --- what a scene is made of --- */

/* Runs on the thread that came to a point. */
static int stopped(void *arg, const char *name)
{
    stage *s = &the_stage;
    if (!s->w) return 0; /* its world opens still */
    qd_env *env = qd_sim_env_here(s->w->sim);
    proc *p = env ? proc_of_env(s->w, env) : NULL;
    (void)name;
    if (!p || p->node >= NODES) return 0;
    gate *g = &s->at[p->node][(size_t)(uintptr_t)arg];
    if (!g->stops) return 0;
    g->come++;
    trace(s->w, "%s: a thread stops at %s", p->name, name);
    while (!g->open && !p->dying && !s->w->failed) qd_env_sleep_ns(p->env, us(200));
    return 0;
}

static void stop(stage *s, int node, place k)
{
    s->at[node][k] = (gate){.stops = true};
}

/* Those that come from now on are not stopped. */
static void pass(stage *s, int node, place k)
{
    s->at[node][k].stops = false;
}

static void let_go(stage *s, int node, place k)
{
    s->at[node][k].stops = false;
    s->at[node][k].open = true;
}

static void limit(stage *s, uint64_t most_ms)
{
    s->until_ns = now_ns(s->w) + ms(most_ms);
}

static bool waits(stage *s)
{
    if (s->w->failed || now_ns(s->w) >= s->until_ns) return false;
    qd_env_sleep_ns(s->w->env, us(200));
    return true;
}

/* Waits for a condition, at most so long. */
#define AWAIT(s, most_ms, cond)                                                                    \
    for (limit(s, most_ms); !(cond) && waits(s);) {}

/* The same; a scene that does not come there shows nothing. */
#define REACH(s, most_ms, cond)                                                                    \
    do {                                                                                           \
        AWAIT(s, most_ms, cond)                                                                    \
        if (!(cond)) fail((s)->w, "the scene does not come to: %s", #cond);                        \
        if ((s)->w->failed) return;                                                                \
    } while (0)

static hop *now(stage *s, int node, okind kind, int doc, const hop *on)
{
    qd_env_sleep_ns(s->w->env, us(1)); /* behind the one before */
    return client_op(s->w, node, kind, doc, on, PATIENCE_MS);
}

/* Where the answer may not come. */
static hop *soon(stage *s, int node, okind kind, int doc, const hop *on)
{
    qd_env_sleep_ns(s->w->env, us(1));
    return client_op(s->w, node, kind, doc, on, 1500);
}

static void later_run(void *arg)
{
    later *x = arg;
    x->h = client_op(x->w, x->node, x->kind, x->doc, x->on, PATIENCE_MS);
    x->done = true;
    x->w->clients--;
}

static later *begins(stage *s, int node, okind kind, int doc, const hop *on)
{
    if (s->nlater == LATER_MAX) abort();
    later *x = &s->later[s->nlater++];
    *x = (later){.w = s->w, .node = node, .kind = kind, .doc = doc, .on = on};
    world_thread(s->w, later_run, x);
    return x;
}

static bool acknowledged(const hop *h)
{
    return h && h->state == S_OK;
}

static qd_shard *shard_of(stage *s, int node)
{
    proc *p = s->w->m[node].now;
    qd_state *state = state_now(s->w);
    const qd_index_meta *m = state ? qd_state_index(state, QD_STR(INDEX)) : NULL;
    qd_shard *shard = m && proc_serves(p) ? qd_shards_get(p->a.shards, m->uuid, 0) : NULL;
    qd_state_unref(state);
    return shard;
}

static qd_engine_checkpoints numbers(stage *s, int node)
{
    qd_engine_checkpoints c = {.max_seq_no = -1, .persisted = -1, .global = -1};
    qd_shard *shard = shard_of(s, node);
    qd_engine *e;
    if (shard && qd_shard_enter(shard, 0, &e, NULL) == 0) {
        qd_engine_checkpoints_get(e, &c);
        qd_shard_leave(shard);
    }
    qd_shard_unref(shard);
    return c;
}

typedef enum is { IS_PRIMARY, IS_STARTED, IS_IN_SYNC } is;

static bool record(stage *s, int node, is what)
{
    bool yes = false;
    qd_state *state = state_now(s->w);
    const qd_index_meta *m = state ? qd_state_index(state, QD_STR(INDEX)) : NULL;
    const qd_shard_meta *r = m ? qd_state_shard(state, m, 0) : NULL;
    const qd_copy *first = r ? qd_shard_meta_primary(r) : NULL;
    const char *name = node_name(node);
    for (uint32_t k = 0; r && k < r->ncopies; k++) {
        const qd_copy *c = &r->copies[k];
        if (!qd_str_ends(c->node, qd_str_c(name))) continue;
        yes |= what == IS_PRIMARY   ? c == first && qd_copy_is_active(c)
               : what == IS_STARTED ? qd_copy_is_active(c)
                                    : qd_shard_meta_in_sync(r, c->allocation_id) != NULL;
    }
    qd_state_unref(state);
    return yes;
}

/* Is the copy the primary, and does it act as such by now? */
static bool leads(stage *s, int node)
{
    qd_engine *e;
    bool yes = false;
    qd_shard *shard = record(s, node, IS_PRIMARY) ? shard_of(s, node) : NULL;
    if (shard && qd_shard_enter(shard, 0, &e, NULL) == 0) {
        yes = qd_engine_mode_get(e) == QD_ENGINE_PRIMARY;
        qd_shard_leave(shard);
    }
    qd_shard_unref(shard);
    return yes;
}

/* The nodes of the copies, as the record names them; those without one behind. */
static void cast(stage *s)
{
    int node[NODES], n = 0;
    bool used[NODES] = {false};
    qd_state *state = state_now(s->w);
    const qd_index_meta *m = state ? qd_state_index(state, QD_STR(INDEX)) : NULL;
    const qd_shard_meta *r = m ? qd_state_shard(state, m, 0) : NULL;
    for (uint32_t k = 0; r && k < r->ncopies; k++) {
        for (int i = 0; i < NODES && n < NODES; i++) {
            const char *name = node_name(i);
            if (used[i] || !qd_str_ends(r->copies[k].node, qd_str_c(name))) continue;
            used[i] = true;
            node[n++] = i;
        }
    }
    qd_state_unref(state);
    for (int i = 0; i < NODES; i++)
        if (!used[i]) node[n++] = i;
    s->p = node[0];
    s->r = node[1];
    s->r2 = node[2];
}

static bool replicas(stage *s, uint32_t n)
{
    char body[80];
    answer a;
    snprintf(body, sizeof body, "{\"index.number_of_replicas\":%u}", n);
    ask(s->w, s->p, "PUT", "/" INDEX "/_settings", body, PATIENCE_MS, &a);
    bool ok = a.status == 200;
    answer_fini(&a);
    return ok;
}

/* The index, with document a written once. */
static hop *open_index(stage *s, world *w, uint32_t copies)
{
    char body[400];
    answer a;
    hop *h = NULL;
    *s = (stage){.w = w};
    for (size_t k = 0; k < PLACES; k++) qd_point_set(place_names[k], stopped, (void *)(uintptr_t)k);
    w->shards = 1;
    w->replicas = w->replicas_now = copies - 1;
    snprintf(body, sizeof body,
             "{\"settings\":{\"number_of_shards\":1,\"number_of_replicas\":%u,"
             "\"refresh_interval\":\"-1\",\"index.unassigned.node_left.delayed_timeout\":\"0\"},"
             "\"mappings\":{\"properties\":{\"v\":{\"type\":\"long\"}}}}",
             copies - 1);
    ask(w, 0, "PUT", "/" INDEX "?timeout=30s", body, PATIENCE_MS, &a);
    w->created = a.status == 200;
    answer_fini(&a);
    AWAIT(s, 30000, w->created && !not_green(w))
    cast(s);
    if (!not_green(w)) h = now(s, s->p, O_PUT, A, NULL);
    if (!acknowledged(h)) fail(w, "the scene does not come to its index: %s", not_green(w));
    return acknowledged(h) ? h : NULL;
}

static void cut(stage *s, int one, int other)
{
    trace(s->w, "%s and %s do not hear each other", node_name(one), node_name(other));
    qd_sim_net_cut(s->w->net, node_name(one), node_name(other), true);
    qd_sim_net_cut(s->w->net, node_name(other), node_name(one), true);
}

/* The node hears nothing of the cluster's state. */
static void cut_control(stage *s, int node)
{
    cut(s, node, NODES);
}

static void ends(stage *s, int node, bool power)
{
    proc_kill(s->w, node, power);
    s->w->m[node].start_at = DOWN;
}

static void back(stage *s, int node)
{
    s->w->m[node].start_at = now_ns(s->w);
}

/* --- the scenes ------------------------------------------------------------------------------- */

/* A copy has taken an operation and is stopped before it answers. Another primary, this copy
 * itself, writes under the numbers that the old one gives meanwhile. */
static void whatever_term(void *of)
{
    stage *s = &the_stage;
    if (!open_index(s, of, 2)) return;
    stop(s, s->r, AT_CONFIRM);
    begins(s, s->p, O_PUT, B, NULL);
    REACH(s, 5000, s->at[s->r][AT_CONFIRM].come && numbers(s, s->r).persisted == 1);
    stop(s, s->r, AT_SERVE);
    later *c = begins(s, s->p, O_PUT, C, NULL);
    REACH(s, 5000, numbers(s, s->p).persisted == 2 && s->at[s->r][AT_SERVE].come);
    pass(s, s->r, AT_CONFIRM);
    cut_control(s, s->p);
    REACH(s, 20000, leads(s, s->r));
    hop *own = now(s, s->r, O_PUT, D, NULL);
    if (!acknowledged(own)) fail(s->w, "the scene does not come to another primary's write");
    let_go(s, s->r, AT_CONFIRM);
    AWAIT(s, 3000, c->done)
    let_go(s, s->r, AT_SERVE);
    faults_heal(s->w);
}

/* A copy that is being filled has taken what the next primary lacks, and is filled by that one. */
static void recovery_not_set_back(void *of)
{
    stage *s = &the_stage;
    if (!open_index(s, of, 2)) return;
    stop(s, s->r2, AT_FINALIZE);
    if (!replicas(s, 2)) fail(s->w, "the scene does not come to another copy");
    REACH(s, 20000, s->at[s->r2][AT_FINALIZE].come);
    stop(s, s->r, AT_SERVE);
    begins(s, s->p, O_PUT, C, NULL);
    REACH(s, 5000, numbers(s, s->r2).persisted == 1);
    ends(s, s->p, true);
    REACH(s, 20000, leads(s, s->r));
    let_go(s, s->r, AT_SERVE);
    (void)now(s, s->r, O_PUT, D, NULL);
    let_go(s, s->r2, AT_FINALIZE);
    REACH(s, 60000, record(s, s->r2, IS_STARTED));
    ends(s, s->r, false); /* a copy shows what its primary does, until it is one */
    REACH(s, 20000, leads(s, s->r2));
}

/* What one copy alone has of the primary's last words: a write, and a compare-and-set behind it
 * that is made on what stands before both. */
static later *last_words(stage *s, const hop *before)
{
    stop(s, s->r, AT_SERVE);
    begins(s, s->p, O_PUT, E, NULL);
    AWAIT(s, 5000, numbers(s, s->r2).persisted == 1)
    later *x = begins(s, s->p, O_CAS, A, before);
    AWAIT(s, 5000, numbers(s, s->r2).persisted == 2)
    if (numbers(s, s->r2).persisted != 2)
        fail(s->w, "the scene does not come to a copy that has more");
    return x;
}

/* The copy that has them follows, and is the primary at last: they are not to come back. */
static void come_back(stage *s)
{
    (void)now(s, s->r, O_PUT, A, NULL);
    ends(s, s->r, false);
    REACH(s, 20000, leads(s, s->r2));
    (void)now(s, s->r2, O_GET, A, NULL);
}

static void resync_no_trim(void *of)
{
    stage *s = &the_stage;
    hop *first = open_index(s, of, 3);
    if (!first) return;
    last_words(s, first);
    ends(s, s->p, false);
    REACH(s, 20000, leads(s, s->r));
    let_go(s, s->r, AT_SERVE);
    come_back(s);
}

static void recovery_no_trim(void *of)
{
    stage *s = &the_stage;
    hop *first = open_index(s, of, 3);
    if (!first) return;
    last_words(s, first);
    ends(s, s->p, false);
    ends(s, s->r2, false);
    REACH(s, 20000, leads(s, s->r));
    let_go(s, s->r, AT_SERVE);
    back(s, s->r2);
    REACH(s, 60000, record(s, s->r2, IS_STARTED));
    come_back(s);
}

/* A primary that hears nothing of the cluster answers by its lease, while the copy that gave it
 * acknowledges a write. */
static void within_lease(void *of)
{
    stage *s = &the_stage;
    if (!open_index(s, of, 2)) return;
    stop(s, s->r, AT_LEAD);
    cut_control(s, s->p);
    REACH(s, 20000, s->at[s->r][AT_LEAD].come);
    (void)now(s, s->p, O_PUT, B, NULL); /* the copy still obeys, and gives its word */
    cut(s, s->p, s->r);
    let_go(s, s->r, AT_LEAD);
    (void)now(s, s->r, O_PUT, A, NULL);
    (void)soon(s, s->p, O_GET, A, NULL);
    faults_heal(s->w);
}

/* A write is applied and not yet sent when its primary is set back by the next one. */
static void deposed(void *of)
{
    stage *s = &the_stage;
    char body[200];
    answer a;
    if (!open_index(s, of, 2)) return;
    stop(s, s->p, AT_SHIP);
    later *x = begins(s, s->p, O_PUT, B, NULL);
    REACH(s, 5000, s->at[s->p][AT_SHIP].come);
    cut_control(s, s->p);
    snprintf(body, sizeof body,
             "{\"commands\":[{\"cancel\":{\"index\":\"" INDEX
             "\",\"shard\":0,\"node\":\"%s\",\"allow_primary\":true}}]}",
             node_name(s->p));
    ask(s->w, s->r, "POST", "/_cluster/reroute", body, PATIENCE_MS, &a);
    trace(s->w, "cancel: %d %.300s", a.status, a.body.p ? a.body.p : "");
    answer_fini(&a);
    REACH(s, 20000, leads(s, s->r));
    (void)now(s, s->r, O_PUT, C, NULL);
    let_go(s, s->p, AT_SHIP);
    AWAIT(s, 3000, x->done)
    faults_heal(s->w);
}

/* A delete that no copy has confirmed is lost with its primary. */
static void not_found(void *of)
{
    stage *s = &the_stage;
    if (!open_index(s, of, 2)) return;
    stop(s, s->r, AT_SERVE);
    begins(s, s->p, O_DELETE, A, NULL);
    REACH(s, 5000, numbers(s, s->p).persisted == 1);
    (void)soon(s, s->p, O_GET, A, NULL);
    ends(s, s->p, false);
    REACH(s, 20000, leads(s, s->r));
    let_go(s, s->r, AT_SERVE);
    (void)now(s, s->r, O_GET, A, NULL);
}

/* A writer entered when there was no other copy, and writes when there is one. */
static void plain_beside_tracked(void *of)
{
    stage *s = &the_stage;
    if (!open_index(s, of, 1)) return;
    stop(s, s->p, AT_ENTERED);
    later *x = begins(s, s->p, O_PUT, B, NULL);
    REACH(s, 5000, s->at[s->p][AT_ENTERED].come);
    if (!replicas(s, 1)) fail(s->w, "the scene does not come to another copy");
    AWAIT(s, 8000, record(s, s->r, IS_STARTED) || record(s, s->r2, IS_STARTED))
    int other = record(s, s->r2, IS_STARTED) ? s->r2 : s->r;
    if (record(s, other, IS_STARTED)) stop(s, other, AT_SERVE);
    let_go(s, s->p, AT_ENTERED);
    REACH(s, 5000, x->done);
    REACH(s, 60000, record(s, s->r, IS_STARTED) || record(s, s->r2, IS_STARTED));
    other = record(s, s->r2, IS_STARTED) ? s->r2 : s->r;
    ends(s, s->p, false);
    REACH(s, 20000, leads(s, other));
    let_go(s, other, AT_SERVE);
}

/* A primary that reaches neither its copy nor the cluster wants that copy out of the set. */
static void change_assumed(void *of)
{
    stage *s = &the_stage;
    if (!open_index(s, of, 2)) return;
    cut_control(s, s->p);
    cut(s, s->p, s->r);
    qd_sim_net_break(s->w->net, node_name(s->p), NULL);
    later *x = begins(s, s->p, O_PUT, B, NULL);
    REACH(s, 20000, leads(s, s->r));
    (void)now(s, s->r, O_PUT, C, NULL);
    AWAIT(s, 20000, x->done)
    faults_heal(s->w);
}

/* One copy has more than the next primary, which does not reach it, and comes back to it. */
static void checkpoint_of_own(void *of)
{
    stage *s = &the_stage;
    if (!open_index(s, of, 3)) return;
    stop(s, s->r, AT_SERVE);
    begins(s, s->p, O_PUT, B, NULL);
    begins(s, s->p, O_PUT, C, NULL);
    REACH(s, 5000, numbers(s, s->r2).persisted == 2);
    AWAIT(s, 4000, numbers(s, s->r2).global == 2)
    cut(s, s->r, s->r2);
    ends(s, s->p, false);
    REACH(s, 20000, leads(s, s->r));
    let_go(s, s->r, AT_SERVE);
    AWAIT(s, 20000, !record(s, s->r2, IS_IN_SYNC))
    for (int doc = A; doc <= E; doc++)
        if (doc != B && doc != C) (void)now(s, s->r, O_PUT, doc, NULL);
    faults_heal(s->w);
    REACH(s, 60000, record(s, s->r2, IS_STARTED));
    ends(s, s->r, false);
    REACH(s, 20000, leads(s, s->r2));
}

/* A copy that is being filled has not synced what was acknowledged beside it, and is all that is
 * left. */
static void final_unasked(void *of)
{
    stage *s = &the_stage;
    if (!open_index(s, of, 1)) return;
    stop(s, s->r, AT_FINALIZE);
    stop(s, s->r2, AT_FINALIZE);
    if (!replicas(s, 1)) fail(s->w, "the scene does not come to another copy");
    REACH(s, 20000, s->at[s->r][AT_FINALIZE].come || s->at[s->r2][AT_FINALIZE].come);
    int other = s->at[s->r][AT_FINALIZE].come ? s->r : s->r2;
    s->w->m[other].held = true;
    later *x = begins(s, s->p, O_PUT, B, NULL);
    REACH(s, 5000, x->done);
    let_go(s, s->r, AT_FINALIZE);
    let_go(s, s->r2, AT_FINALIZE);
    AWAIT(s, 3000, record(s, other, IS_IN_SYNC))
    if (record(s, other, IS_IN_SYNC)) {
        ends(s, other, true);
        ends(s, s->p, true);
        s->w->m[other].held = false;
        back(s, other);
        REACH(s, 60000, leads(s, other));
    }
    s->w->m[other].held = false;
}

/* A conflict tells of an operation that the power takes. */
static void conflict_unsynced(void *of)
{
    stage *s = &the_stage;
    hop *first = open_index(s, of, 1);
    if (!first) return;
    s->w->m[s->p].held = true;
    begins(s, s->p, O_PUT, B, NULL);
    REACH(s, 5000, numbers(s, s->p).max_seq_no == 1);
    (void)soon(s, s->p, O_CAS, B, first);
    ends(s, s->p, true);
    s->w->m[s->p].held = false;
    back(s, s->p);
    REACH(s, 60000, leads(s, s->p));
    (void)now(s, s->p, O_PUT, C, NULL);
}

/* The next primary has what another copy lacks; who reads it there reads it later, too. */
static void lead_all_global(void *of)
{
    stage *s = &the_stage;
    if (!open_index(s, of, 3)) return;
    stop(s, s->r2, AT_SERVE);
    begins(s, s->p, O_PUT, A, NULL);
    REACH(s, 5000, numbers(s, s->r).persisted == 1);
    ends(s, s->p, false);
    pass(s, s->r2, AT_SERVE);
    uint64_t before = s->w->rolled_ns;
    REACH(s, 20000, s->w->rolled_ns != before); /* the copy, which has synced nothing since */
    s->w->m[s->r2].held = true;
    AWAIT(s, 2000, leads(s, s->r))
    (void)soon(s, s->r, O_GET, A, NULL);
    ends(s, s->r, false);
    ends(s, s->r2, true);
    s->w->m[s->r2].held = false;
    back(s, s->r2);
    REACH(s, 60000, leads(s, s->r2));
    (void)now(s, s->r2, O_GET, A, NULL);
}

/* A copy has more than the next primary, which gives the number to another operation. */
static void resync_no_roll_back(void *of)
{
    stage *s = &the_stage;
    if (!open_index(s, of, 3)) return;
    stop(s, s->r, AT_SERVE);
    begins(s, s->p, O_PUT, B, NULL);
    REACH(s, 5000, numbers(s, s->r2).persisted == 1);
    ends(s, s->p, false);
    REACH(s, 20000, leads(s, s->r));
    let_go(s, s->r, AT_SERVE);
    (void)now(s, s->r, O_GET, B, NULL);
    stop(s, s->r2, AT_SERVE);
    later *x = begins(s, s->r, O_PUT, C, NULL);
    REACH(s, 5000, s->at[s->r2][AT_SERVE].come);
    (void)soon(s, s->r, O_GET, D, NULL);
    AWAIT(s, 1500, x->done)
    ends(s, s->r, false);
    REACH(s, 20000, leads(s, s->r2));
    let_go(s, s->r2, AT_SERVE);
}

static void move_run(void *arg)
{
    stage *s = arg;
    char body[200];
    answer a;
    snprintf(body, sizeof body,
             "{\"commands\":[{\"move\":{\"index\":\"" INDEX
             "\",\"shard\":0,\"from_node\":\"%s\",\"to_node\":\"%s\"}}]}",
             node_name(s->r), node_name(s->r2));
    ask(s->w, s->p, "POST", "/_cluster/reroute", body, PATIENCE_MS, &a);
    answer_fini(&a);
    s->w->clients--;
}

/* A copy is moved away from a node that acts on the new state late, and searches what it had. */
static void left_ignored(void *of)
{
    stage *s = &the_stage;
    if (!open_index(s, of, 2)) return;
    hop *all = now(s, s->p, O_REFRESH, A, NULL);
    if (!acknowledged(all)) fail(s->w, "the scene does not come to a first refresh");
    stop(s, s->r, AT_APPLY);
    world_thread(s->w, move_run, s);
    REACH(s, 20000, record(s, s->r2, IS_STARTED) && !record(s, s->r, IS_STARTED));
    hop *b = now(s, s->p, O_PUT, A, NULL);
    if (!acknowledged(b)) fail(s->w, "the scene does not come to a write behind the move");
    later *all_show = begins(s, s->p, O_REFRESH, A, NULL);
    AWAIT(s, 1000, all_show->done)
    for (int i = 0; i < 6 && !s->w->failed; i++) (void)now(s, s->r, O_SEARCH, A, NULL);
    let_go(s, s->r, AT_APPLY);
    AWAIT(s, 20000, all_show->done)
}

void scene_ends(void)
{
    the_stage.w = NULL;
}

const node_scene node_scenes[] = {
    {"OK_WHATEVER_TERM", NULL, 0, whatever_term},
    /* a copy is opened anew for each primary, and set back there, too */
    {"RECOVERY_NOT_SET_BACK", &qd_mutants_engine, QD_MUTANT_NUMBER(engine, OPEN_NOT_SET_BACK),
     recovery_not_set_back},
    {"RESYNC_NO_TRIM", NULL, 0, resync_no_trim},
    {"RECOVERY_NO_TRIM", NULL, 0, recovery_no_trim},
    /* the round to the copies that each read waits for tells the same as their leases */
    {"PROMOTE_WITHIN_LEASE", &qd_mutants_repl, QD_MUTANT_NUMBER(repl, READ_BY_LEASE), within_lease},
    {"DEPOSED_IS_OK", NULL, 0, deposed},
    {"NOT_FOUND_AT_ONCE", NULL, 0, not_found},
    {"PLAIN_BESIDE_TRACKED", NULL, 0, plain_beside_tracked},
    {"CHANGE_ASSUMED", NULL, 0, change_assumed},
    {"CHECKPOINT_OF_OWN", NULL, 0, checkpoint_of_own},
    {"FINAL_UNASKED", NULL, 0, final_unasked},
    {"CONFLICT_UNSYNCED", NULL, 0, conflict_unsynced},
    {"LEAD_ALL_GLOBAL", NULL, 0, lead_all_global},
    {"RESYNC_NO_ROLL_BACK", NULL, 0, resync_no_roll_back},
    {"LEFT_IGNORED", NULL, 0, left_ignored},
};
const size_t node_scenes_n = QD_COUNT_OF(node_scenes);
