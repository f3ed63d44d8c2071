/* node_faults.c: what goes wrong. */
#include "base/str.h"
#include "node_int.h"

#define CALM_MS 4000

static const char *name_of(int id)
{
    return node_name(id);
}

/* The node with the primary of some shard; -1: none. */
static int primary_of(world *w)
{
    int id = -1;
    qd_state *s = state_now(w);
    if (!s) return -1;
    const qd_index_meta *m = qd_state_index(s, QD_STR(INDEX));
    const qd_shard_meta *r = m ? qd_state_shard(s, m, (uint32_t)rnd(w, w->shards)) : NULL;
    const qd_copy *c = r ? qd_shard_meta_primary(r) : NULL;
    for (int i = 0; c && i < NODES; i++) {
        if (w->m[i].now && qd_str_is(c->node, w->m[i].now->id)) id = i;
    }
    qd_state_unref(s);
    return id;
}

static int victim(world *w)
{
    int master = chance(w, 0.3) ? chance(w, 0.5) ? coord_leader(w) : coord_any(w) : -1;
    if (master >= 0) return master;
    int id = chance(w, 0.5) ? primary_of(w) : -1;
    return id >= 0 ? id : (int)rnd(w, NODES);
}

void disturb(world *w, uint64_t until_ns)
{
    if (until_ns != UINT64_MAX && w->behind_ns < until_ns) w->behind_ns = until_ns;
    if (w->calm_ns < until_ns) w->calm_ns = until_ns;
}

void faults_heal(world *w)
{
    qd_sim_net_heal(w->net);
    if (w->calm_ns != UINT64_MAX || (!w->quiet && w->slow)) return;
    w->calm_ns = now_ns(w) + ms(CALM_MS);
    if (w->calm_ns < w->behind_ns) w->calm_ns = w->behind_ns;
}

static void partition(world *w, int id)
{
    int other = id < NODES ? (id + 1 + (int)rnd(w, NODES - 1)) % NODES : (int)rnd(w, NODES);
    const char *a = name_of(id), *b = name_of(other);
    w->r->partitions++;
    disturb(w, UINT64_MAX);
    switch (rnd(w, 7)) {
    case 0: /* from everybody */
        trace(w, "%s is cut off", a);
        qd_sim_net_cut(w->net, a, NULL, true);
        qd_sim_net_cut(w->net, NULL, a, true);
        break;
    case 1:
        trace(w, "nothing reaches %s", a);
        qd_sim_net_cut(w->net, NULL, a, true);
        break;
    case 2:
        trace(w, "nothing leaves %s", a);
        qd_sim_net_cut(w->net, a, NULL, true);
        break;
    case 3:
        trace(w, "%s and the control nodes do not hear each other", a);
        for (int i = 0; i < MACHINES; i++) {
            if (!w->m[i].control || i == id) continue;
            qd_sim_net_cut(w->net, a, name_of(i), true);
            qd_sim_net_cut(w->net, name_of(i), a, true);
        }
        break;
    case 4:
        trace(w, "%s and %s do not hear each other", a, b);
        qd_sim_net_cut(w->net, a, b, true);
        qd_sim_net_cut(w->net, b, a, true);
        break;
    case 5:
        trace(w, "%s is not heard by %s", a, b);
        qd_sim_net_cut(w->net, a, b, true);
        break;
    default:
        trace(w, "connections of %s break", a);
        qd_sim_net_break(w->net, a, NULL);
        break;
    }
}

static void end_one(world *w, int id, bool power)
{
    if (!w->m[id].now || (!power && chance(w, 0.2))) return;
    if (w->m[id].data) {
        w->r->kills += !power;
        w->r->power_losses += power;
    }
    proc_kill(w, id, power);
    w->m[id].start_at = now_ns(w) + ms(rnd(w, 1200));
}

/* All with data; with the masters, or these alone, where they are others. */
static void all_end(world *w)
{
    bool power = chance(w, 0.7);
    uint64_t who = w->apart ? rnd(w, 5) : 0;
    trace(w, "all %s end", who < 2 ? "with data" : who < 4 ? "nodes" : "masters");
    w->r->power_all += power && who < 4;
    for (int i = 0; i < NODES && who < 4; i++) end_one(w, i, power);
    for (int i = NODES; i < MACHINES && who >= 2; i++) end_one(w, i, power);
}

static void all_end_now(void *arg)
{
    world *w = arg;
    if (!w->quiet && !w->failed) all_end(w);
}

/* While some of the disks have much to sync, mostly. */
static void all_end_soon(world *w)
{
    if (chance(w, 0.3)) {
        all_end(w);
        return;
    }
    for (int i = 0; i < MACHINES; i++) {
        if (chance(w, 0.4) || (!w->m[i].data && !coord_mortal(w, i))) continue;
        if (coord_mortal(w, i)) disturb(w, now_ns(w) + ms(1000 + CALM_MS));
        w->m[i].slow_until = now_ns(w) + ms(1000);
        w->m[i].slow_ms = 50 + rnd(w, 450);
    }
    if (qd_sim_after(w->sim, ms(50 + rnd(w, 700)), all_end_now, w)) abort();
}

/* An operator's request, on a thread of its own. */
typedef struct request {
    world *w;
    int node;
    char method[8], path[80], body[300];
} request;
static uint32_t requests;

static void request_run(void *arg)
{
    request *q = arg;
    answer a;
    world *w = q->w;
    ask(w, q->node, q->method, q->path, q->body, 5000, &a);
    trace(w, "operator at %s: %s %s %s: %d %.300s", node_name(q->node), q->method, q->path, q->body,
          a.status, a.body.p);
    answer_fini(&a);
    free(q);
    requests--;
    w->clients--;
}

typedef struct join_of {
    world *w;
    qd_thread *t;
} join_of;

static void join_later(void *arg)
{
    join_of *j = arg;
    if (!qd_sim_thread_ended(j->t)) {
        if (qd_sim_after(j->w->sim, ms(10), join_later, j)) abort();
        return;
    }
    qd_thread_join(j->w->env, j->t);
    free(j);
}

static void operate(world *w, const char *method, const char *path, const char *body)
{
    int node = (int)rnd(w, NODES);
    if (!proc_serves(w->m[node].now) || requests > 3) return;
    request *q = calloc(1, sizeof *q);
    join_of *j = calloc(1, sizeof *j);
    if (!q || !j) abort();
    *q = (request){.w = w, .node = node};
    snprintf(q->method, sizeof q->method, "%s", method);
    snprintf(q->path, sizeof q->path, "%s", path);
    snprintf(q->body, sizeof q->body, "%s", body);
    requests++;
    w->clients++;
    j->w = w;
    if (qd_thread_start(w->env, "operator", request_run, q, &j->t, NULL)) abort();
    if (qd_sim_after(w->sim, ms(10), join_later, j)) abort();
}

static void move(world *w)
{
    char body[300];
    uint32_t shard = (uint32_t)rnd(w, w->shards);
    int from = -1, to = (int)rnd(w, NODES);
    qd_state *s = state_now(w);
    if (!s) return;
    const qd_index_meta *m = qd_state_index(s, QD_STR(INDEX));
    const qd_shard_meta *r = m ? qd_state_shard(s, m, shard) : NULL;
    bool taken[NODES] = {0};
    uint32_t pick = r && chance(w, 0.6) ? 0 : r ? (uint32_t)rnd(w, r->ncopies) : 0;
    for (uint32_t k = 0; r && k < r->ncopies; k++) {
        for (int i = 0; i < NODES; i++) {
            if (!w->m[i].now || !qd_str_is(r->copies[k].node, w->m[i].now->id)) continue;
            taken[i] = true;
            if (k == pick) from = i;
        }
    }
    qd_state_unref(s);
    for (int i = 0; i < NODES && taken[to]; i++) to = (to + 1) % NODES;
    if (from < 0 || taken[to]) return;
    snprintf(body, sizeof body,
             "{\"commands\":[{\"move\":{\"index\":\"" INDEX "\",\"shard\":%u,\"from_node\":\"%s\","
             "\"to_node\":\"%s\"}}]}",
             shard, name_of(from), name_of(to));
    operate(w, "POST", "/_cluster/reroute", body);
}

void faults_replicas(world *w, uint32_t n)
{
    char body[100];
    w->replicas_now = n;
    w->r->replica_changes++;
    snprintf(body, sizeof body, "{\"index.number_of_replicas\":%u}", w->replicas_now);
    operate(w, "PUT", "/" INDEX "/_settings", body);
}

void fault(world *w)
{
    int id = victim(w);
    machine *m = &w->m[id];
    uint64_t now = now_ns(w), takes;
    bool power;
    if (w->plot && chance(w, 0.6)) return;
    /* what cuts off a master beside its copies is left to chance */
    if (!w->plot && chance(w, w->apart || w->kind == COORD_IN_MEMORY ? 0.2 : 0.1)) {
        plot_begin(w);
        return;
    }
    if (coord_mortal(w, id)) disturb(w, now + ms(CALM_MS));
    migrate_fault(w);
    if (coord_has_k8s(w) && chance(w, w->kind == COORD_K8S ? 0.3 : 0.15)) {
        k8s_fault(w, coord_any(w));
        return;
    }
    switch (rnd(w, 22)) {
    case 0:
    case 1:
    case 2:
        if (!m->now || m->before) break;
        power = chance(w, 0.5);
        if (m->data) {
            w->r->kills += !power;
            w->r->power_losses += power;
        }
        proc_kill(w, id, power);
        if (chance(w, 0.6)) m->start_at = now + ms(rnd(w, 600));
        break;
    case 3:
        if (chance(w, 0.7)) all_end_soon(w);
        break;
    case 4:
    case 5:
    case 6:
        partition(w, id);
        break;
    case 7:
    case 8:
    case 9:
        faults_heal(w);
        break;
    case 10:
    case 11:
        if (!m->now) break;
        takes = ms(chance(w, 0.4) ? 2000 + rnd(w, 4000) : rnd(w, 1500));
        disturb(w, now + takes + ms(CALM_MS));
        async_stands(w, id, now + takes);
        trace(w, "%s is frozen for %llu ms", name_of(id), (unsigned long long)(takes / 1000000));
        if (chance(w, 0.5)) {
            qd_sim_freeze(m->now->env, now + takes);
            w->r->freezes++;
        } else {
            qd_sim_suspend(m->now->env, now + takes, chance(w, 0.5));
            w->r->suspends++;
        }
        break;
    case 12:
    case 13:
    case 14:
        m->slow_until = now + ms(200 + rnd(w, 3000));
        m->slow_ms = 20 + rnd(w, 480);
        w->r->slow_disks++;
        if (coord_mortal(w, id)) disturb(w, m->slow_until + ms(CALM_MS));
        trace(w, "syncs of %s take up to %llu ms", name_of(id), (unsigned long long)m->slow_ms);
        break;
    case 15:
        if (!m->now) break;
        if (coord_mortal(w, id) && (!m->data || chance(w, 0.4))) {
            trace(w, "a sync of the log of the master %s fails", name_of(id));
            coord_fail_sync(w, id);
            break;
        }
        w->r->sync_errors++;
        async_sync_fails(w, id);
        trace(w, "a sync of %s fails", name_of(id));
        (void)store_crash_fail_at(m->disk, STORE_CRASH_SYNCS, 1 + rnd(w, 4), QD_E_IO, false);
        if (chance(w, 0.3) && qd_sim_after(w->sim, ms(100 + rnd(w, 1500)), all_end_now, w)) abort();
        break;
    case 16:
        if (!m->now) break;
        w->r->jumps++;
        qd_sim_wall_jump(m->now->env, chance(w, 0.5) ? 3600000 : -3600000);
        break;
    case 17:
    case 18:
    case 19:
        move(w);
        break;
    case 20:
        faults_replicas(w, (uint32_t)rnd(w, 3));
        break;
    default:
        if (!proc_takes_part(m->now) || (m->data && !m->now->open)) break;
        w->r->stops++;
        proc_stop(w, id);
        break;
    }
}

void faults_end(world *w)
{
    qd_sim_net_faults f = {.latency_min_ns = us(50), .latency_max_ns = us(1200)};
    w->quiet = true;
    qd_sim_preempt(w->sim, 0, 0);
    qd_sim_net_faults_set(w->net, &f);
    coord_quiet(w);
    faults_heal(w);
    upgrade_quiet(w);
    for (int i = 0; i < MACHINES; i++) {
        machine *m = &w->m[i];
        m->slow_until = 0;
        if (m->now) qd_sim_freeze(m->now->env, 0);
        if (m->disk) (void)store_crash_fail_at(m->disk, 0, 0, 0, false);
    }
}
