/*
 * node_world.c: a schedule of the simulation of whole nodes: its nodes start, an index is made,
 * clients work while faults happen, everything heals, and what was promised is checked.
 */
#include "base/log.h"
#include "base/str.h"
#include "node_int.h"
#include "rest/rest_int.h"
#include "watch.h"
#include <stdarg.h>

#define BEGIN_MS 30000
#define SCHEDULE_MS 6000
#define FAULT_MS 1300
#define LEASE_MS 6000 /* over Kubernetes: that of a silent leader has to run out */
#define UPGRADE_MS 5000
#define MOVE_MS 4000
#define GREEN_MS 150000
#define GONE_MS 300000
#define LATER_MS 400000

static world *the_world;

world *world_now(void)
{
    return the_world;
}

uint64_t rnd(world *w, uint64_t n)
{
    return n ? qd_prng_below(&w->prng, n) : 0;
}

bool chance(world *w, double p)
{
    return qd_prng_double(&w->prng) < p;
}

uint64_t us(uint64_t n)
{
    return n * 1000;
}

uint64_t ms(uint64_t n)
{
    return n * 1000000;
}

uint64_t now_ns(const world *w)
{
    return qd_sim_now_ns(w->sim);
}

void trace(world *w, const char *fmt, ...)
{
    va_list ap;
    if (!w->traced) return;
    printf("# %10.3f ", (double)now_ns(w) / 1e6);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    printf("\n");
}

void fail(world *w, const char *fmt, ...)
{
    va_list ap;
    if (w->failed) return;
    w->failed = true;
    int n =
        snprintf(w->r->violation, sizeof w->r->violation, "at %.3f ms: ", (double)now_ns(w) / 1e6);
    va_start(ap, fmt);
    vsnprintf(w->r->violation + n, sizeof w->r->violation - (size_t)n, fmt, ap);
    va_end(ap);
    trace(w, "WRONG %s", w->r->violation);
}

/* A line of the product's log. */
static void say(void *arg, int64_t wall_ms, qd_log_level level, const char *component, qd_str line)
{
    world *w = the_world;
    (void)arg;
    (void)wall_ms;
    (void)level;
    if (!w || !w->sim) return;
    qd_env *env = qd_sim_env_here(w->sim);
    proc *p = env ? proc_of_env(w, env) : NULL;
    if (p && !p->dying && strcmp(component, "engine") == 0 &&
        qd_str_find_str(line, QD_STR(" set back to operation ")) >= 0) {
        w->r->rollbacks++;
        w->rolled_ns = now_ns(w);
    }
    if (w->traced && p) {
        trace(w, "%s.%u [%s] %.*s", p->name, p->life, component, QD_STR_ARG(line));
    }
}

/* --- what the state shows --------------------------------------------------------------------- */

static bool was_in_sync(const qd_shard_meta *s, qd_str aid)
{
    for (uint32_t i = 0; i < s->nin_sync; i++)
        if (qd_str_eq(s->in_sync[i].allocation_id, aid)) return true;
    return false;
}

static const qd_copy *copy_of(const qd_shard_meta *s, qd_str aid)
{
    for (uint32_t i = 0; i < s->ncopies; i++)
        if (s->copies[i].allocation_id.n && qd_str_eq(s->copies[i].allocation_id, aid))
            return &s->copies[i];
    return NULL;
}

static void compare(world *w, const qd_shard_meta *a, const qd_shard_meta *b)
{
    if (a->primary_term && b->primary_term > a->primary_term && !a->fresh) w->r->promotions++;
    for (uint32_t i = 0; i < a->nin_sync; i++) {
        const qd_copy *c = copy_of(a, a->in_sync[i].allocation_id);
        if (was_in_sync(b, a->in_sync[i].allocation_id)) continue;
        if (c && c->state == QD_SHARD_RELOCATING) {
            w->r->relocations++;
        } else {
            w->r->removals++;
        }
    }
    for (uint32_t i = 0; i < b->ncopies; i++) {
        const qd_copy *c = copy_of(a, b->copies[i].allocation_id);
        if (c && c->state == QD_SHARD_INITIALIZING && qd_copy_is_active(&b->copies[i]) &&
            c->recovery == QD_RECOVERY_PEER)
            w->r->recoveries++;
    }
}

void world_state(world *w, const qd_state *old, const qd_state *now)
{
    bool next = old && old->revision >= w->revision; /* nothing of it was counted already */
    if (now->revision <= w->revision) return;
    upgrade_state(w, now);
    later_state(w, old, now);
    w->revision = now->revision;
    const qd_index_meta *m = qd_state_index(now, QD_STR(INDEX));
    const qd_index_meta *before = old ? qd_state_index(old, QD_STR(INDEX)) : NULL;
    const qd_shard_meta *s = m ? qd_state_shards(now, m) : NULL;
    const qd_shard_meta *b = before ? qd_state_shards(old, before) : NULL;
    w->promoting = w->moving = false;
    for (uint32_t i = 0; s && i < m->shards; i++) {
        const qd_copy *p = qd_shard_meta_primary(&s[i]);
        w->promoting |= !p || !qd_copy_is_active(p);
        for (uint32_t k = 0; k < s[i].ncopies; k++)
            w->moving |= s[i].copies[k].state == QD_SHARD_RELOCATING;
        if (next && b && i < before->shards && b[i].mod_revision != s[i].mod_revision)
            compare(w, &b[i], &s[i]);
    }
}

/* --- a schedule ------------------------------------------------------------------------------- */

static void after(world *w, uint64_t delay, void (*fn)(void *arg))
{
    if (qd_sim_after(w->sim, delay, fn, w)) abort();
}

static void tick(void *arg)
{
    world *w = arg;
    if (w->failed) return;
    for (int i = 0; i < MACHINES; i++) {
        machine *m = &w->m[i];
        if (!m->exists || m->now || m->before) continue;
        if (!m->start_at && (w->quiet || chance(w, 0.03))) m->start_at = now_ns(w);
        if (m->start_at && m->start_at <= now_ns(w)) proc_start(w, i);
    }
    coord_look(w);
    after(w, ms(50), tick);
}

static void faults(void *arg)
{
    world *w = arg;
    if (w->quiet || w->failed) return;
    fault(w);
    after(w, ms(100 + rnd(w, FAULT_MS)), faults);
}

/* The operator's thread: makes the index, then changes things now and then. */
static void operator_run(void *arg)
{
    world *w = arg;
    char body[600], durability[120];
    static const char *const delays[] = {"0", "3s", "1m"};
    async_settings(w, durability, sizeof durability);
    snprintf(body, sizeof body,
             "{\"settings\":{%s%s,\"number_of_shards\":%u,\"number_of_replicas\":%u,"
             "\"refresh_interval\":\"%s\",\"index.unassigned.node_left.delayed_timeout\":\"%s\"},"
             "\"mappings\":{\"properties\":{\"v\":{\"type\":\"long\"}}}}",
             durability, w->tiered ? ",\"index.storage.tier\":\"warm\"" : "", w->shards,
             w->replicas, chance(w, 0.5) ? "-1" : "300ms", delays[rnd(w, 3)]);
    for (int i = 0; i < 40 && !w->failed && !w->created; i++) {
        answer a;
        int node = (int)rnd(w, NODES);
        ask(w, node, "PUT", "/" INDEX "?timeout=5s", body, 6000, &a);
        trace(w, "index: %d %.200s", a.status, a.body.p);
        w->created = a.status == 200 || (a.status == 400 && strstr(a.body.p, "already_exists"));
        /* whoever asks a cluster that forms just now may meet the level that it begins with */
        bool level = strstr(a.body.p ? a.body.p : "", "formats must be of level") != NULL;
        if (a.status == 400 && !w->created && !level)
            fail(w, "the index is refused: %.300s", a.body.p);
        answer_fini(&a);
        if (!w->created) qd_env_sleep_ns(w->env, ms(300));
    }
    w->clients--;
}

static bool goes_on(world *w)
{
    if (w->failed || still_turn(&w->still, now_ns(w), STILL_STEPS_MOST)) return !w->failed;
    qd_env *env = qd_sim_env_last(w->sim);
    proc *p = env ? proc_of_env(w, env) : NULL;
    fail(w, STILL ": %u steps within %u ns, the last in %s", STILL_STEPS_MOST, STILL_NS,
         p ? p->name : "the world");
    return false;
}

static bool more(void *arg)
{
    return goes_on(arg);
}

static bool until_created(void *arg)
{
    world *w = arg;
    return goes_on(w) && (!w->created || w->clients);
}

static bool until_green(void *arg)
{
    world *w = arg;
    return goes_on(w) && not_green(w) != NULL;
}

/* A store that no request needs may still be waiting for a first answer when the index is green. */
static bool until_settled(void *arg)
{
    world *w = arg;
    return goes_on(w) && (not_green(w) != NULL || !migrate_agree(w));
}

static bool until_clients_end(void *arg)
{
    world *w = arg;
    return goes_on(w) && w->clients;
}

static bool any_left(const world *w)
{
    if (w->clients) return true;
    for (int i = 0; i < MACHINES; i++)
        if (w->m[i].now || w->m[i].before) return true;
    return false;
}

static bool until_data_gone(void *arg)
{
    world *w = arg;
    bool any = w->clients > 0;
    for (int i = 0; i < NODES; i++) any |= w->m[i].now || w->m[i].before;
    return any && still_turn(&w->still, now_ns(w), STILL_STEPS_MOST);
}

static bool until_gone(void *arg)
{
    world *w = arg;
    return any_left(w) && still_turn(&w->still, now_ns(w), STILL_STEPS_MOST);
}

static qd_thread *client[CLIENTS + 4];
static uint32_t nclients;

void world_thread(world *w, void (*fn)(void *arg), void *arg)
{
    if (nclients == QD_COUNT_OF(client)) abort();
    w->clients++;
    if (qd_thread_start(w->env, "client", fn, arg, &client[nclients++], NULL)) abort();
}

void world_join(world *w)
{
    while (nclients) qd_thread_join(w->env, client[--nclients]);
}

static void scene_run(void *arg)
{
    world *w = arg;
    w->scene->run(w);
    for (int i = 0; i < MACHINES; i++) w->m[i].start_at = 0;
    w->clients--;
}

/* Nothing happens but what the scene says. */
static void begin_scene(world *w)
{
    qd_sim_net_faults f = {.latency_min_ns = us(50), .latency_max_ns = us(300)};
    w->patience_ms = 4000;
    coord_begin(w);
    for (int i = 0; i < MACHINES; i++) {
        w->m[i].rate = 1;
        w->m[i].start_at = 1 + us((uint64_t)i);
        (void)qd_sim_net_wire(w->net, node_name(i));
    }
    qd_sim_net_faults_set(w->net, &f);
    after(w, ms(1), tick);
}

static void begin(world *w)
{
    if (w->scene) {
        begin_scene(w);
        return;
    }
    qd_sim_net_faults f = {.latency_min_ns = us(50),
                           .latency_max_ns = us(1200),
                           .slow_ns = ms(1 + rnd(w, 800)),
                           .slow_ppm = chance(w, 0.5) ? 0 : (uint32_t)rnd(w, 30000),
                           .break_ppm = chance(w, 0.6) ? 0 : (uint32_t)rnd(w, 2000)};
    if (chance(w, 0.7)) {
        static const uint64_t most[] = {100, 2000, 20000, 200000};
        uint64_t which = rnd(w, 4);
        qd_sim_preempt(w->sim, 1000 + (uint32_t)rnd(w, 60000 >> (which * 2)), us(most[which]));
    }
    w->think_ms = 15 + rnd(w, chance(w, 0.5) ? 40 : 250);
    w->patience_ms = chance(w, 0.5) ? 4000 : 200 + rnd(w, 1300);
    w->slow = f.slow_ppm || f.break_ppm;
    w->shards = chance(w, 0.8) ? 1 : 2;
    w->replicas = w->replicas_now = chance(w, 0.1) ? 0 : chance(w, 0.5) ? 1 : 2;
    coord_begin(w);
    upgrade_begin(w);
    async_begin(w);
    if (w->slow) w->calm_ns = UINT64_MAX;
    for (int i = 0; i < MACHINES; i++) {
        w->m[i].rate = 0.97 + qd_prng_double(&w->prng) * 0.06;
        (void)qd_sim_net_wire(w->net, node_name(i));
    }
    qd_sim_net_faults_set(w->net, &f);
    for (int i = 0; i < MACHINES; i++) w->m[i].start_at = 1 + rnd(w, ms(100));
    after(w, ms(1), tick);
}

static bool until_nodes(void *arg)
{
    world *w = arg;
    bool all = true;
    for (int i = 0; i < NODES; i++) all &= proc_serves(w->m[i].now);
    return goes_on(w) && !all;
}

/* The index is made, clients work while faults happen. */
static void clients_and_faults(world *w)
{
    world_thread(w, operator_run, w);
    (void)qd_sim_run_while(w->sim, until_created, w, ms(BEGIN_MS));
    if (!w->failed && !w->created) fail(w, "no index after %d ms", BEGIN_MS);
    world_join(w);
    if (w->failed) return;
    (void)qd_sim_run_while(w->sim, until_green, w, ms(BEGIN_MS));
    for (int k = 0; k < CLIENTS; k++) world_thread(w, client_run, (void *)(intptr_t)k);
    if (w->async) world_thread(w, async_run, w);
    if (w->both) world_thread(w, migrate_run, w);
    if (w->upgrade) world_thread(w, upgrade_run, w);
    after(w, ms(300 + rnd(w, 500)), faults);
    uint64_t lasts = SCHEDULE_MS + rnd(w, SCHEDULE_MS) + (coord_has_k8s(w) ? LEASE_MS : 0);
    if (w->upgrade) lasts += UPGRADE_MS;
    if (w->both) lasts += MOVE_MS;
    (void)qd_sim_run_while(w->sim, more, w, ms(lasts));
}

static void schedule(world *w)
{
    (void)qd_sim_run_while(w->sim, until_nodes, w, ms(BEGIN_MS));
    if (w->scene) {
        world_thread(w, scene_run, w);
        (void)qd_sim_run_while(w->sim, until_clients_end, w, ms(GREEN_MS));
    } else {
        clients_and_faults(w);
    }
    if (w->failed) return;
    trace(w, "faults end");
    faults_end(w);
    (void)qd_sim_run_while(w->sim, until_green, w, ms(GREEN_MS));
    (void)qd_sim_run_while(w->sim, more, w, ms(rnd(w, 1000)));
    w->clients_end = true;
    (void)qd_sim_run_while(w->sim, until_clients_end, w, ms(GREEN_MS));
    (void)qd_sim_run_while(w->sim, until_settled, w, ms(GREEN_MS));
    if (!w->failed && not_green(w)) {
        fail(w, "not green %d s after the faults ended: %s", GREEN_MS / 1000, not_green(w));
    }
    if (!w->failed) check_end(w);
    if (w->failed || w->scene || !later_begin(w)) return;
    (void)qd_sim_run_while(w->sim, until_clients_end, w, ms(LATER_MS));
    if (w->clients) fail(w, "what comes later does not end");
}

static void end(world *w)
{
    w->failed = true; /* nothing is looked at any more */
    w->clients_end = true;
    w->still = (still){0};
    faults_end(w);
    for (int i = 0; i < NODES; i++) proc_kill(w, i, false);
    (void)qd_sim_run_while(w->sim, until_data_gone, w, ms(GONE_MS));
    for (int i = NODES; i < MACHINES; i++) proc_kill(w, i, false);
    (void)qd_sim_run_while(w->sim, until_gone, w, ms(GONE_MS));
    if (any_left(w)) {
        for (int i = 0; i < MACHINES; i++) {
            if (!w->m[i].before && !w->m[i].now) continue;
            fprintf(stderr, "simulation of seed %llu: the process of %s does not end; %s\n",
                    (unsigned long long)w->seed, node_name(i), w->r->violation);
        }
        abort();
    }
    world_join(w);
    (void)qd_sim_run_idle(w->sim, ms(GONE_MS));
    coord_end(w);
    (void)qd_sim_run_idle(w->sim, ms(GONE_MS));
    for (int i = 0; i < MACHINES; i++) {
        store_crash_free(w->m[i].disk);
        store_crash_free(w->m[i].own_disk);
    }
    qd_sim_net_close(w->net);
    qd_sim_close(w->sim);
}

static int run(uint64_t seed, const node_scene *scene, bool traced, node_report *report)
{
    static hop ops[OPS_MAX];
    static shown all_shown[SHOWN_MAX];
    qd_err err;
    watch_schedule(seed, NULL);
    memset(report, 0, sizeof *report);
    memset(ops, 0, sizeof ops);
    world *w = calloc(1, sizeof *w);
    if (!w) abort();
    report->seed = seed;
    *w = (world){.seed = seed, .traced = traced, .r = report, .op = ops, .shown = all_shown};
    w->scene = scene;
    qd_prng_init(&w->prng, seed);
    the_world = w;
    qd_err_init(&err);
    if (qdi_routes_make(&err)) abort();
    qd_log_init(say, NULL, NULL);
    qd_log_level_set(NULL, traced ? QD_LOG_INFO : QD_LOG_OFF);
    qd_log_level_set("engine", QD_LOG_INFO);
    if (qd_sim_open(seed, &w->sim, NULL) || qd_sim_net_open(w->sim, &w->net, NULL)) abort();
    w->env = qd_sim_env(w->sim, "clients");
    begin(w);
    schedule(w);
    bool failed = w->failed;
    report->steps = qd_sim_steps(w->sim);
    report->digest = qd_sim_digest(w->sim);
    report->virtual_ms = now_ns(w) / 1000000;
    node_report kept = *report;
    end(w);
    *report = kept;
    scene_ends();
    free(w);
    the_world = NULL;
    return failed;
}

int node_sim_run(uint64_t seed, bool traced, node_report *report)
{
    return run(seed, NULL, traced, report);
}

int node_scene_run(const node_scene *scene, uint64_t seed, bool traced, node_report *report)
{
    return run(seed, scene, traced, report);
}
