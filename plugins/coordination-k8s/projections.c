/*
 * projections.c: the thread that shows the cluster as custom resources and takes wishes from them:
 * see projections.h.
 *
 * While this node leads the store, its rights are looked at once, the objects are listed and
 * watched, and the state is read from this same process whenever the store's revision has changed
 * (soon after, and once more when it has settled). Objects, or a state, that changed: all objects
 * are looked at in turn; what is to be done is begun at most 20 times a second. Nothing is
 * remembered that could not be found out again, so a leader that goes leaves nothing behind.
 */
#include "projections.h"
#include "k8s.h"
#include <signal.h>

#define READ_GAP_NS 100000000ll   /* after a change, before the state is read */
#define SETTLE_NS 1000000000ll    /* and once more */
#define READ_BACK_NS 1000000000ll /* when it could not be read */
#define LIST_BACK_NS 5000000000ll
#define RULES_FIRST_NS 2000000000ll /* rights that were missing are looked for again, */
#define RULES_LAST_NS 60000000000ll /* less and less often */

int64_t ck_projections_now(const ck_projections *p)
{
    const cr_plugin *g = p->store->plugin;
    return g->clock->mono_ns(g->self);
}

void ck_projections_time(const ck_projections *p, char out[40])
{
    const cr_plugin *g = p->store->plugin;
    ck_time_write(g->clock->wall_ns(g->self), out);
    memcpy(out + 19, "Z", 2); /* whole seconds */
}

/* --- rights --- */

static void say_missing(ck_projections *p)
{
    kube_log(&p->env.env, QD_LEVEL_WARN,
             "indices are not shown as QuidditchIndex: rights are missing: kubectl apply -f "
             "deploy/rbac/projections.yaml adds them, coordination.k8s.projections: false ends "
             "this");
    for (const char *t = p->rules.text; t && *t;) {
        size_t n = strcspn(t, "\n");
        kube_log(&p->env.env, QD_LEVEL_INFO, "%.*s", (int)n, t);
        t += n + (t[n] == '\n');
    }
    p->warned = 1;
}

static void on_rules(kube_rules *r)
{
    ck_projections *p = r->user;
    int before = p->allowed;
    p->rules_out = 0;
    p->allowed = r->rc ? before : r->missing == 0 || r->partly;
    if (!p->allowed) {
        p->rules_again_ns = ck_projections_now(p) + kube_backoff_ns(&p->env.env, p->rules_tries++,
                                                                    RULES_FIRST_NS, RULES_LAST_NS);
        if (r->rc == 0 && !p->warned) say_missing(p);
        if (before) { /* taken away: begun anew when they are back */
            ck_sources_stop(p);
            ck_jobs_drop(p, 0);
            p->epoch++;
            ck_objects_clear(p);
        }
    } else if (!before) {
        if (p->warned) kube_log(&p->env.env, QD_LEVEL_INFO, "the rights are there now");
        p->warned = p->making = 0;
        p->rules_tries = 0;
        ck_read_soon(p, 0);
    }
    for (int k = 0; p->allowed && p->leads && k < CK_KINDS; k++) {
        ck_source *s = &p->sources[k];
        if (!s->listed && !s->again_ns) ck_list_begin(s);
    }
    ck_arm(p);
}

static void rules_begin(ck_projections *p)
{
    static const kube_wanted wanted[] = {
        {CK_QUIDDITCH, "quidditchindices", "list,watch,create,update,delete", NULL},
        {CK_QUIDDITCH, "quidditchclusters", "list,watch", NULL},
        {CK_QUIDDITCH, "quidditchshards", "list,watch,create,delete", NULL},
        {CK_QUIDDITCH, "quidditchindices/status", "update", NULL},
        {CK_QUIDDITCH, "quidditchclusters/status", "update", NULL},
        {CK_QUIDDITCH, "quidditchshards/status", "update", NULL},
        {"", "namespaces", "get", NULL},
        {"", "events", "create", NULL}};
    p->rules_again_ns = 0;
    p->rules_asked_ns = ck_projections_now(p);
    kube_rules_clear(&p->rules);
    p->rules = (kube_rules){.ns = p->store->home.space,
                            .wanted = wanted,
                            .n = sizeof wanted / sizeof *wanted,
                            .role_name = "quidditch-projections",
                            .done = on_rules,
                            .user = p};
    p->rules_out = kube_rules_start(p->client, &p->rules) == 0;
    if (!p->rules_out) p->rules_again_ns = ck_projections_now(p) + LIST_BACK_NS;
}

void ck_rights_refused(ck_projections *p)
{
    if (!p->allowed || p->rules_out) return;
    p->rules_again_ns = p->rules_asked_ns + LIST_BACK_NS;
    ck_arm(p);
}

/* --- the state --- */

void ck_read_soon(ck_projections *p, int64_t in_ns)
{
    int64_t at = ck_projections_now(p) + in_ns;
    if (!p->read_ns || at < p->read_ns) p->read_ns = at;
}

static void state_read(ck_call *x)
{
    ck_projections *p = x->user;
    int64_t now = ck_projections_now(p);
    p->reading = 0;
    /* not more than a fifth of the time */
    p->read_not_before_ns = now + 4 * (now - p->read_began_ns);
    if (!p->leads) return;
    json_t *state = x->status == 200
                        ? json_loadb((const char *)x->answer.p, x->answer.n, JSON_ALLOW_NUL, NULL)
                        : NULL;
    ck_truth t;
    if (!state || ck_truth_read(p->heap, state, p->cluster, &t)) {
        json_decref(state);
        ck_read_soon(p, READ_BACK_NS);
    } else if (p->state && t.revision < p->truth.revision) {
        json_decref(state);
    } else {
        json_decref(p->state);
        p->state = state;
        p->truth = t;
        p->truth_read = p->reads;
        ck_look_again(p);
    }
    ck_arm(p);
}

static void state_begin(ck_projections *p)
{
    /* mappings are asked for where they changed, and may be what no object can hold */
    json_t *params =
        json_pack("{s:s,s:s,s:s,s:s}", "metric", "version,master_node,nodes,metadata,routing_table",
                  "flat_settings", "true", "expand_wildcards", "all", "filter_path",
                  "-metadata.indices.*.mappings,-metadata.indices.*.in_sync_allocations");
    p->read_ns = 0;
    p->reading = 1;
    p->reads++;
    p->read_began_ns = ck_projections_now(p);
    ck_call_start(p->calls, "cluster.state", params, NULL, state_read, p);
    json_decref(params);
}

/* --- leading --- */

static void lead_begin(ck_projections *p)
{
    p->leads = 1;
    p->epoch++;
    p->lead_ns = ck_projections_now(p);
    p->making = 0;
    p->make_again_ns = p->settle_ns = 0;
    p->seen = 0;
    ck_read_soon(p, READ_GAP_NS);
    rules_begin(p);
}

static void lead_end(ck_projections *p)
{
    p->leads = p->allowed = 0;
    p->epoch++;
    kube_rules_clear(&p->rules);
    p->rules_out = 0;
    p->rules_again_ns = p->read_ns = p->settle_ns = 0;
    ck_sources_stop(p);
    ck_jobs_drop(p, 0);
    ck_objects_clear(p);
    json_decref(p->state);
    p->state = NULL;
    json_object_clear(p->returning);
    json_array_clear(p->missing);
}

/* --- the loop --- */

static void on_timer(uv_timer_t *t);

static void sooner(int64_t *at, int64_t other)
{
    if (other && other < *at) *at = other;
}

static int64_t read_at(const ck_projections *p)
{
    if (!p->read_ns || p->reading || !p->allowed) return 0;
    return p->read_ns > p->read_not_before_ns ? p->read_ns : p->read_not_before_ns;
}

/* Everything that is due, then the timer. */
void ck_arm(ck_projections *p)
{
    if (p->closed) return;
    int64_t now = ck_projections_now(p), at = INT64_MAX;
    if (p->leads) {
        sooner(&at, read_at(p));
        sooner(&at, p->settle_ns);
        sooner(&at, p->rules_again_ns);
        sooner(&at, p->earliest_ns);
        for (int k = 0; k < CK_KINDS; k++) sooner(&at, p->sources[k].again_ns);
        if (p->left && p->jobs < CK_JOBS_MAX && p->state)
            sooner(&at, now > p->next_ns ? now : p->next_ns);
        if (json_array_size(p->missing) && !p->making && p->state)
            sooner(&at, p->make_again_ns > p->next_ns ? p->make_again_ns : p->next_ns);
    }
    if (at == INT64_MAX) {
        uv_timer_stop(&p->timer);
        return;
    }
    uv_update_time(&p->loop);
    uv_timer_start(&p->timer, on_timer, at > now ? (uint64_t)((at - now) / 1000000 + 1) : 1, 0);
}

static void turn(ck_projections *p)
{
    int64_t now = ck_projections_now(p);
    if (p->leads) {
        if (p->rules_again_ns && now >= p->rules_again_ns) rules_begin(p);
        for (int k = 0; k < CK_KINDS; k++)
            if (p->sources[k].again_ns && now >= p->sources[k].again_ns)
                ck_list_begin(&p->sources[k]);
        if (p->settle_ns && now >= p->settle_ns) {
            p->settle_ns = 0;
            ck_read_soon(p, 0);
        }
        int64_t read = read_at(p);
        if (read && now >= read) state_begin(p);
        if (p->earliest_ns && now >= p->earliest_ns) p->left = CK_BUCKETS;
        ck_look(p);
    }
    ck_arm(p);
}

static void on_timer(uv_timer_t *t)
{
    turn(t->data);
}

static void handle_closed(uv_handle_t *h)
{
    (void)h;
}

static void loop_closed(void *arg)
{
    (void)arg;
}

static void transport_closed(void *arg)
{
    ck_projections *p = arg;
    kube_loop_close(&p->env, loop_closed, p);
    uv_close((uv_handle_t *)&p->wake, handle_closed);
    uv_close((uv_handle_t *)&p->timer, handle_closed);
}

static void close_all(ck_projections *p)
{
    p->closed = 1;
    if (p->leads) lead_end(p);
    ck_calls_close(p->calls);
    ck_jobs_drop(p, 1);
    uv_timer_stop(&p->timer);
    kube_client_free(p->client);
    p->transport->free(p->transport, transport_closed, p);
}

static void on_wake(uv_async_t *a)
{
    ck_projections *p = a->data;
    if (p->closed) return;
    if (__atomic_load_n(&p->closing, __ATOMIC_ACQUIRE)) {
        close_all(p);
        return;
    }
    ck_calls_turn(p->calls);
    int want = __atomic_load_n(&p->want, __ATOMIC_ACQUIRE);
    if (want != p->leads) want ? lead_begin(p) : lead_end(p);
    uint64_t told = __atomic_load_n(&p->told, __ATOMIC_ACQUIRE);
    if (p->leads && told != p->seen) {
        p->seen = told;
        ck_read_soon(p, READ_GAP_NS);
        p->settle_ns = ck_projections_now(p) + SETTLE_NS;
    }
    turn(p);
}

static void *run_thread(void *arg)
{
    uv_run(&((ck_projections *)arg)->loop, UV_RUN_DEFAULT);
    return NULL;
}

/* --- open and close --- */

static int64_t loop_mono(void *arg)
{
    return ck_projections_now(arg);
}
static uint64_t loop_random(void *arg)
{
    const cr_plugin *g = ((ck_projections *)arg)->store->plugin;
    return g->rand->u64(g->self);
}
static void loop_log(void *arg, int32_t level, qd_str line)
{
    cr_say(((ck_projections *)arg)->store, level, "custom resources: %.*s", (int)line.n, line.p);
}

static int32_t reach(ck_projections *p, qd_err *err)
{
    const cr_plugin *g = p->store->plugin;
    kube_error why = {{0}};
    p->env = (kube_loop){.env = {.mem = p->heap->mem, .self = p->heap->self},
                         .uv = &p->loop,
                         .arg = p,
                         .mono_ns = loop_mono,
                         .random = loop_random,
                         .log = loop_log};
    kube_loop_init(&p->env);
    p->transport = ck_api_connect(p->store, &p->loop, &p->env.env, &why);
    if (p->transport) p->client = kube_client_make(&p->env.env, p->transport, NULL);
    if (p->client) return 0;
    if (p->transport) p->transport->free(p->transport, NULL, NULL);
    kube_loop_close(&p->env, NULL, NULL);
    return qd_plug_fail(g->err, err, QD_E_CONFIG, "Kubernetes API: %s",
                        *why.text ? why.text : "out of memory");
}

static void discard(ck_projections *p)
{
    uv_run(&p->loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&p->loop);
    json_decref(p->missing);
    json_decref(p->returning);
    cr_free(p->heap, p);
}

int32_t ck_projections_open(qd_coord *c, qd_err *err)
{
    const qd_svc_action *actions = ck_actions_of(c->plugin);
    if (!actions || !c->home.projections_wanted || c->cluster_name.n > 255) return 0;
    ck_projections *p = cr_must(c->heap, sizeof *p);
    memset(p, 0, sizeof *p);
    p->store = c;
    p->heap = c->heap;
    memcpy(p->cluster, c->cluster_name.p, c->cluster_name.n);
    p->missing = json_array();
    p->returning = json_object();
    (void)uv_loop_init(&p->loop);
    (void)uv_async_init(&p->loop, &p->wake, on_wake);
    (void)uv_timer_init(&p->loop, &p->timer);
    p->wake.data = p->timer.data = p;
    for (int k = 0; k < CK_KINDS; k++) p->sources[k] = (ck_source){.p = p, .kind = k};
    int32_t rc = reach(p, err);
    if (rc == 0) {
        p->calls = ck_calls_make(p->heap, actions, c->plugin->self, &p->wake);
        sigset_t all, before;
        sigfillset(&all);
        (void)pthread_sigmask(SIG_SETMASK, &all, &before);
        if (pthread_create(&p->thread, NULL, run_thread, p)) rc = QD_E_NOMEM;
        (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
        if (rc) {
            close_all(p);
            discard(p);
            return qd_plug_fail(c->plugin->err, err, rc, "no thread for custom resources");
        }
        c->home.projections = p;
        return 0;
    }
    uv_close((uv_handle_t *)&p->wake, handle_closed);
    uv_close((uv_handle_t *)&p->timer, handle_closed);
    discard(p);
    return rc;
}

void ck_projections_close(ck_projections *p)
{
    if (!p) return;
    __atomic_store_n(&p->closing, 1, __ATOMIC_RELEASE);
    uv_async_send(&p->wake);
    pthread_join(p->thread, NULL);
    discard(p);
}

void ck_projections_lead(ck_projections *p, int leads)
{
    if (!p || __atomic_load_n(&p->want, __ATOMIC_RELAXED) == leads) return;
    __atomic_store_n(&p->want, leads, __ATOMIC_RELEASE);
    uv_async_send(&p->wake);
}

void ck_projections_changed(ck_projections *p, uint64_t revision)
{
    if (!p || __atomic_load_n(&p->told, __ATOMIC_RELAXED) == revision) return;
    __atomic_store_n(&p->told, revision, __ATOMIC_RELEASE);
    if (__atomic_load_n(&p->want, __ATOMIC_RELAXED)) uv_async_send(&p->wake);
}
