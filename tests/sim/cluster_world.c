/*
 * cluster_world.c: a schedule of the composed simulation: the simulated world's clock turns it;
 * what the repl machines send and wait for becomes events of it. See cluster_sim.h.
 */
#include "base/log.h"
#include "base/str.h"
#include "cluster_int.h"
#include "cluster_uv.h"
#include "watch.h"

#ifdef CLUSTER_K8S /* a Lease has to run out before a silent leader is followed */
#define SCHEDULE_MS 15000
#define FAULT_MS 2400
#else
#define SCHEDULE_MS 7000
#define FAULT_MS 1400
#endif

static cluster *the_cluster;

cluster *cluster_now(void)
{
    return the_cluster;
}

qd_sim *cluster_sim(void)
{
    return the_cluster->sim;
}

world *cluster_enter(void)
{
    world *w = the_cluster->w;
    w->now = qd_sim_now_ns(the_cluster->sim);
    return w;
}

/* --- what cluster_uv.c asks for --------------------------------------------------------------- */

struct qd_sim *coord_sim(void)
{
    return the_cluster->sim;
}

uint64_t coord_time_ns(qd_env *env)
{
    (void)env; /* those of this world run evenly: a node's own pace is in proc_local_ns */
    return qd_sim_now_ns(the_cluster->sim);
}

uint64_t coord_clock_ns(qd_env *env)
{
    return proc_local_ns(proc_of_env(env));
}

void coord_still(qd_env *env)
{
    fail(cluster_enter(), STILL ": the store's loop of %s turned %u times within %u ns",
         proc_of_env(env)->name, STILL_LOOP_MOST, STILL_NS);
}

int coord_machine(bool *dying)
{
    const proc *p = proc_of_env(qd_sim_env_here(the_cluster->sim));
    *dying = p->dying;
    return p->node;
}

bool coord_chance(double p)
{
    return chance(cluster_enter(), p);
}

uint64_t coord_random(uint64_t below)
{
    return rnd(cluster_enter(), below);
}

void coord_file_pause(void)
{
    const proc *p = proc_of_env(qd_sim_env_here(the_cluster->sim));
    world *w = cluster_enter();
    uint64_t takes = us(60 + rnd(w, 1200));
    if (the_cluster->m[p->node].slow && !w->quiet && chance(w, 0.3)) takes += ms(rnd(w, 400));
    qd_env_sleep_ns(p->env, takes);
}

void coord_file_failed(void)
{
#ifdef CLUSTER_K8S
    the_cluster->r->record_failed++;
#endif
}

/* --- events of the repl machines -------------------------------------------------------------- */

typedef enum ekind { E_DELIVER, E_TIMER, E_TIMEOUT } ekind;
typedef struct event {
    struct event *next; /* among the spare ones */
    ekind kind;
    int node, timer;
    uint32_t inc;
    uint64_t call;
    bool has;
    msg m;
} event;

static event *spare;
static uint64_t calls;
#define CALLS_MAX 16384
static struct {
    uint64_t id;
    msg *request;
} call[CALLS_MAX];

static event *event_make(ekind kind, int id, const msg *m)
{
    event *e = spare;
    if (e) {
        spare = e->next;
    } else {
        e = malloc(sizeof *e);
    }
    if (!e) abort();
    e->next = NULL;
    e->kind = kind;
    e->node = id;
    e->timer = 0;
    e->inc = 0;
    e->call = 0;
    e->has = m != NULL;
    if (m) e->m = *m;
    return e;
}

static void event_free(event *e)
{
    e->next = spare;
    spare = e;
}

static void call_end(world *w, uint64_t id, const msg *a)
{
    uint32_t k = (uint32_t)(id % CALLS_MAX);
    if (call[k].id != id || !call[k].request) return;
    msg *q = call[k].request;
    call[k].request = NULL;
    node *n = &w->n[q->from];
    if (n->up && n->inc == q->inc) node_answer(w, n, q, a);
    free(q);
}

static void deliver(world *w, event *e)
{
    node *n = &w->n[e->node < NODES ? e->node : 0];
    if (e->node == CLIENT) {
        client_message(w, &e->m);
    } else if (e->node == STORE || !n->up) {
        return;
    } else if (e->m.type == M_ANSWER) {
        call_end(w, e->m.call, &e->m);
    } else {
        node_message(w, n, &e->m);
    }
}

static void happens(void *arg)
{
    event *e = arg;
    world *w = cluster_enter();
    node *n = e->node < NODES ? &w->n[e->node] : NULL;
    if (w->failed) {
        event_free(e);
        return;
    }
    if (n && n->frozen > w->now) { /* who wakes up does not say in which order */
        if (qd_sim_after(the_cluster->sim, n->frozen - w->now + us(rnd(w, 3000)), happens, e)) {
            abort();
        }
        return;
    }
    w->r->events++;
    qd_sim_trace(the_cluster->sim, "repl",
                 (uint64_t)e->kind << 32 | (uint64_t)e->node << 16 |
                     (uint64_t)(e->has ? (int)e->m.type : e->timer));
    if (e->kind == E_DELIVER) {
        deliver(w, e);
    } else if (n && n->up && n->inc == e->inc && e->kind == E_TIMER) {
        node_timer(w, n, e->timer, e->has ? &e->m : NULL);
    } else if (e->kind == E_TIMEOUT) {
        call_end(w, e->call, NULL);
    }
    event_free(e);
}

static void after(uint64_t delay, void (*fn)(void *arg), void *arg)
{
    if (qd_sim_after(the_cluster->sim, delay, fn, arg)) abort();
}

static uint64_t travel(world *w)
{
    if (!w->quiet && chance(w, w->slow)) return ms(rnd(w, 900));
    return us(50 + rnd(w, 1500));
}

void send_msg(world *w, const msg *m)
{
    if (m->to == STORE || w->cut[m->from][m->to] || (!w->quiet && chance(w, w->loss))) return;
    bool client = m->type == M_CLIENT || m->type == M_CLIENT_ANSWER; /* retries are theirs */
    int copies = !w->quiet && !client && chance(w, w->twice) ? 2 : 1;
    if (copies == 2) w->r->doubled++;
    while (copies--) after(travel(w), happens, event_make(E_DELIVER, m->to, m));
}

void send_call(world *w, msg *m, uint64_t timeout)
{
    m->call = ++calls;
    if (m->type == M_CAS) {
        if (the_cluster->m[m->from].now) proc_ask(the_cluster->m[m->from].now, m);
        return;
    }
    uint32_t k = (uint32_t)(m->call % CALLS_MAX);
    free(call[k].request);
    call[k].id = m->call;
    call[k].request = malloc(sizeof *m);
    if (!call[k].request) abort();
    *call[k].request = *m;
    send_msg(w, m);
    event *e = event_make(E_TIMEOUT, m->from, NULL);
    e->call = m->call;
    after(timeout, happens, e);
}

void answer(world *w, const msg *q, msg *a)
{
    a->type = M_ANSWER;
    a->from = q->to;
    a->to = q->from;
    a->call = q->call;
    send_msg(w, a);
}

void timer(world *w, node *n, int kind, uint64_t delay, const msg *m)
{
    (void)w;
    event *e = event_make(E_TIMER, n->id, m);
    e->timer = kind;
    e->inc = n->inc;
    after(delay, happens, e);
}

static void say_record(world *w, const srec *r)
{
    char line[1200];
    int k = 0;
    if (!w->trace) return;
    for (uint32_t i = 0; i < r->n; i++) {
        const scopy *c = &r->copies[i];
        k += snprintf(line + k, sizeof line - (size_t)k, " %.6s@%s:%u%s%s%.6s", c->aid, c->node,
                      c->state, rec_in_sync(r, c->aid) && c->aid[0] ? "*" : "",
                      c->partner[0] ? "->" : "", c->partner);
    }
    for (uint32_t i = 0; i < r->nsync; i++) {
        k += snprintf(line + k, sizeof line - (size_t)k, "%s%.6s@%s", i ? "," : " in sync ",
                      r->sync[i].aid, r->sync[i].node);
    }
    trace(w, "record %llu term %llu primary %.6s:%s", (unsigned long long)r->rev,
          (unsigned long long)r->term, r->primary, line);
}

void cluster_record(proc *p, const srec *r)
{
    world *w = cluster_enter();
    node *n = &w->n[p->node];
    if (p->dying || !r->rev) return;
    p->latest = *r;
    if (r->rev > w->record.rev) {
        w->record = *r;
        say_record(w, r);
    }
    if (!n->up || !n->eph[0]) return;
    msg m = {.type = M_RECORD, .from = STORE, .to = p->node, .record = *r};
    node_message(w, n, &m);
}

/* --- a schedule ------------------------------------------------------------------------------- */

static void tick(void *arg)
{
    cluster *x = arg;
    world *w = cluster_enter();
    if (w->failed) return;
    for (int i = 0; i < NODES; i++) {
        machine *m = &x->m[i];
        if (m->now && m->now->sick && chance(w, 0.2)) proc_kill(x, i, false);
        if (m->now) cluster_record(m->now, &m->now->latest);
        if (m->now || m->before) continue;
        bool comes = !m->stays_down && (w->quiet || chance(w, x->scenario ? 0.1 : 0.02));
        if (!m->start_at && comes) m->start_at = w->now;
        if (m->start_at && m->start_at <= w->now) proc_start(x, i);
    }
    if (!x->uuid[0]) cluster_create(x, x->m[rnd(w, NODES)].now);
    if (w->quiet && chance(w, 0.02)) cluster_retry_failed(x);
    if (x->ready_at && !x->idle && chance(w, 0.3)) cluster_bump(x);
    cluster_look(x);
    after(ms(50), tick, x);
}

static void clients(void *arg)
{
    cluster *x = arg;
    world *w = cluster_enter();
    if (w->failed) return;
    client_timeouts(w);
    if (!x->idle) client_next(w);
    after(ms(10), clients, x);
}

static void faults(void *arg)
{
    cluster *x = arg;
    world *w = cluster_enter();
    if (w->quiet || w->failed) return;
    cluster_fault(x);
    after(ms(100 + rnd(w, FAULT_MS)), faults, x);
}

static void begin(cluster *x)
{
    world *w = x->w;
    bool calm = x->scenario != NULL;
    w->loss = calm || chance(w, 0.5) ? 0 : qd_prng_double(&w->prng) * 0.04;
    w->twice = calm || chance(w, 0.5) ? 0 : qd_prng_double(&w->prng) * 0.1;
    w->slow = calm || chance(w, 0.5) ? 0 : qd_prng_double(&w->prng) * 0.05;
    w->io_fails = calm ? 0 : 0.0004;
    w->refreshed = -1;
    x->masters = chance(w, 0.25) ? 5 : 3;
    x->replicas = (uint32_t)(1 + rnd(w, 2));
    if (calm && x->replicas < x->scenario->replicas) x->replicas = x->scenario->replicas;
    for (int i = 0; i < NODES; i++) {
        node *n = &w->n[i];
        machine *m = &x->m[i];
        n->id = i;
        n->rate = 0.97 + qd_prng_double(&w->prng) * 0.06;
        n->shown = n->pub_wait = -1;
        n->d.pub = -1;
        m->master = i < (int)x->masters;
        m->rate = 0.97 + qd_prng_double(&w->prng) * 0.06;
        m->base = 1 + rnd(w, ms(1000000));
        m->start_at = 1 + rnd(w, ms(200));
        (void)qd_sim_net_wire(x->net, node_name(i));
    }
    store_begin(x);
    client_begin(w);
    after(0, tick, x);
}

const cluster_scenario *cluster_scenario_at(size_t i)
{
    const cluster_scenario *k = cluster_scenarios;
    while (k->name && i) k++, i--;
    if (k->name) return k;
    for (k = cluster_scenarios_own; k->name && i; i--) k++;
    return k->name ? k : NULL;
}

bool cluster_goes_on(cluster *x)
{
    world *w = x->w;
    if (w->failed || still_turn(&w->still, qd_sim_now_ns(x->sim), STILL_STEPS_MOST)) {
        return !w->failed;
    }
    qd_env *env = qd_sim_env_last(x->sim);
    fail(cluster_enter(), STILL ": %u steps within %u ns, the last %s%s", STILL_STEPS_MOST,
         STILL_NS, env ? "in " : "between the nodes", env ? proc_of_env(env)->name : "");
    return false;
}

static bool more(void *arg)
{
    return cluster_goes_on(arg);
}

static bool until_created(void *arg)
{
    cluster *x = arg;
    return cluster_goes_on(x) && !x->w->record.primary[0];
}

static bool until_green(void *arg)
{
    cluster *x = arg;
    return cluster_goes_on(x) && !cluster_green(x);
}

static bool any_left(const cluster *x)
{
    for (int i = 0; i < NODES; i++) {
        if (x->m[i].now || x->m[i].before) return true;
    }
    return false;
}

static bool until_gone(void *arg)
{
    cluster *x = arg;
    return any_left(x) && still_turn(&x->w->still, qd_sim_now_ns(x->sim), STILL_STEPS_MOST);
}

static void quiet(cluster *x)
{
    world *w = cluster_enter();
    trace(w, "faults end");
    w->quiet = true;
    cluster_heal(x);
    for (int i = 0; i < NODES; i++) {
        w->n[i].frozen = 0;
        x->m[i].full = x->m[i].slow = x->m[i].stays_down = false;
        if (x->m[i].disk) sim_disk_full(x->m[i].disk, 0);
        if (x->m[i].now) qd_sim_freeze(x->m[i].now->env, 0);
        if (x->excluded[i]) cluster_members(x, i, false);
    }
    store_quiet(x);
}

static void pass_some(cluster *x)
{
    (void)qd_sim_run_while(x->sim, more, x, ms(500 + rnd(x->w, 1500)));
    (void)cluster_enter();
}

static void schedule(cluster *x)
{
    world *w = x->w;
    (void)qd_sim_run_while(x->sim, until_created, x, ms(30000));
    if (!w->failed && !w->record.primary[0]) fail(cluster_enter(), "no index after 30 s");
    if (w->failed) return;
    (void)cluster_enter();
    x->ready_at = w->now;
    after(ms(1), clients, x);
    if (x->scenario) {
        w->quiet = true;
        (void)qd_sim_run_while(x->sim, until_green, x, ms(30000));
        if (!w->failed && !cluster_green(x)) fail(cluster_enter(), "not green before it begins");
        w->quiet = false;
        if (!w->failed) pass_some(x);
        if (!w->failed) x->scenario->run(x);
    } else {
        after(ms(300 + rnd(w, 700)), faults, x);
        (void)qd_sim_run_while(x->sim, more, x, ms(SCHEDULE_MS + rnd(w, SCHEDULE_MS)));
    }
    if (w->failed) return;
    quiet(x);
    (void)qd_sim_run_while(x->sim, until_green, x, ms(60000));
    (void)cluster_enter();
    if (!w->failed && !cluster_green(x)) {
        fail(w, "not green 60 s after the faults ended: %s", cluster_not_green(x));
    }
    if (!w->failed) check_end(w);
    if (!w->failed) cluster_check_end(x);
}

static void end(cluster *x)
{
    x->w->failed = true; /* nothing is looked at any more */
    x->w->still = (still){0};
    cluster_heal(x);
    for (int i = 0; i < NODES; i++) proc_kill(x, i, false);
    (void)qd_sim_run_while(x->sim, until_gone, x, ms(120000));
    if (any_left(x)) {
        for (int i = 0; i < NODES; i++) {
            if (!x->m[i].before) continue;
            fprintf(stderr, "simulation of seed %llu: the process of n%d does not end; %s\n",
                    (unsigned long long)x->w->seed, i, x->w->r->violation);
        }
        abort();
    }
    (void)qd_sim_run_idle(x->sim, ms(120000));
    store_end(x);
    for (uint32_t i = 0; i < CALLS_MAX; i++) {
        free(call[i].request);
        call[i].request = NULL;
    }
    for (int i = 0; i < x->w->npubs; i++) free(x->w->pub[i].at);
    for (int i = 0; i < NODES; i++) {
        sim_disk_free(x->m[i].disk);
        sim_disk_free(x->m[i].copy);
        sim_disk_free(x->m[i].newest);
    }
    qd_sim_net_close(x->net);
    qd_sim_close(x->sim);
}

/* A line of the product's log. */
static void say(void *arg, int64_t wall_ms, qd_log_level level, const char *component, qd_str line)
{
    qd_env *env = the_cluster ? qd_sim_env_here(the_cluster->sim) : NULL;
    (void)arg;
    (void)wall_ms;
    (void)level;
    if (!env) return;
    const proc *p = proc_of_env(env);
    trace(cluster_enter(), "%s.%u [%s] %.*s", p->name, p->inc, component, QD_STR_ARG(line));
}

int cluster_sim_run(uint64_t seed, const char *scenario, bool traced, cluster_report *report)
{
    static world *w;
    static hop ops[OPS_MAX];
    static repl_sim_report repl;
    watch_schedule(seed, scenario);
    cluster *x = calloc(1, sizeof *x);
    if (!w) w = malloc(sizeof *w);
    if (!w || !x) abort();
    memset(w, 0, sizeof *w);
    memset(ops, 0, sizeof ops);
    memset(report, 0, sizeof *report);
    memset(&repl, 0, sizeof repl);
    calls = 0;
    report->seed = seed;
    report->repl = w->r = &repl;
    w->cluster = x;
    w->seed = seed;
    w->trace = traced;
    w->op = ops;
    qd_prng_init(&w->prng, seed);
    x->w = w;
    x->r = report;
    for (size_t i = 0; scenario && cluster_scenario_at(i); i++) {
        if (strcmp(cluster_scenario_at(i)->name, scenario) == 0) {
            x->scenario = cluster_scenario_at(i);
        }
    }
    if (scenario && !x->scenario) abort();
    the_cluster = x;
    qd_log_init(say, NULL, NULL);
    qd_log_level_set(NULL, traced ? QD_LOG_INFO : QD_LOG_OFF);
    if (qd_sim_open(seed, &x->sim, NULL) || qd_sim_net_open(x->sim, &x->net, NULL)) abort();
    begin(x);
    schedule(x);
    bool failed = w->failed;
    report->steps = qd_sim_steps(x->sim);
    report->digest = qd_sim_digest(x->sim);
    cluster_report kept = *report;
    end(x);
    *report = kept;
    free(x);
    the_cluster = NULL;
    return failed;
}
