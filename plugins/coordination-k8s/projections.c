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

#define SECOND 1000000000ll
#define READ_GAP_NS 100000000ll   /* after a change, before the state is read */
#define SETTLE_NS 1000000000ll    /* and once more */
#define READ_BACK_NS 1000000000ll /* when it could not be read */
#define LIST_BACK_NS 5000000000ll
#define RULES_BACK_NS 300000000000ll /* rights that were missing are looked for again */
#define GONE_NS 1500000000ll         /* a state that lacks an index may be an old one */
#define LEAD_NS 3000000000ll         /* so may that of a new leader */

static const char *const plurals[CK_KINDS] = {"quidditchindices", "quidditchclusters"};

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

void ck_object_path(const ck_projections *p, int kind, const char *name, const char *sub,
                    char out[KUBE_PATH_MAX])
{
    (void)kube_path(out, CK_QUIDDITCH, "v1", p->store->home.space, plurals[kind], name, sub, NULL);
}

static void arm(ck_projections *p);

/* --- objects --- */

static ck_object **place_of(ck_projections *p, int kind, const char *name)
{
    uint64_t h = cr_sum64(name, strlen(name), (uint64_t)kind + 1);
    ck_object **at = &p->buckets[h % CK_BUCKETS];
    while (*at && ((*at)->kind != kind || strcmp((*at)->name, name) != 0)) at = &(*at)->chain;
    return at;
}

ck_object *ck_object_find(ck_projections *p, int kind, const char *name)
{
    return *place_of(p, kind, name);
}

static void object_free(ck_projections *p, ck_object *o)
{
    json_decref(o->json);
    cr_free(p->heap, o->verdict);
    cr_free(p->heap, o);
}

void ck_look_again(ck_projections *p)
{
    p->left = CK_BUCKETS;
    p->holders_old = 1;
}

static uint64_t number_of(const char *version)
{
    uint64_t v = 0;
    for (; *version >= '0' && *version <= '9'; version++) v = v * 10 + (uint64_t)(*version - '0');
    return *version ? 0 : v;
}

void ck_object_take(ck_projections *p, int kind, json_t *json, uint32_t mark)
{
    const char *name = kube_object_name(json);
    if (!*name || strlen(name) >= CK_NAME) return;
    ck_object **at = place_of(p, kind, name), *o = *at;
    if (o && strcmp(kube_object_uid(o->json), kube_object_uid(json)) == 0 &&
        number_of(kube_object_version(json)) < number_of(kube_object_version(o->json))) {
        if (mark) o->mark = mark;
        return;
    }
    if (o && strcmp(kube_object_uid(o->json), kube_object_uid(json)) != 0) {
        if (!mark && o->busy) return; /* the answer to a request for the one of before */
        cr_free(p->heap, o->verdict);
        o->verdict = NULL;
        o->namespace_ends = 0;
        o->failures = 0;
        o->again_ns = o->missing_ns = 0;
    }
    if (!o) {
        o = cr_must(p->heap, sizeof *o);
        memset(o, 0, sizeof *o);
        o->kind = kind;
        snprintf(o->name, sizeof o->name, "%s", name);
        o->chain = *at;
        *at = o;
    }
    json_decref(o->json);
    o->json = json_incref(json);
    if (mark) o->mark = mark;
    o->ours = kind == CK_OF_CLUSTER ? strcmp(name, p->cluster) == 0
                                    : strcmp(ck_object_cluster(json), p->cluster) == 0;
    ck_look_again(p);
}

static void object_gone(ck_projections *p, int kind, const char *name)
{
    ck_object **at = place_of(p, kind, name), *o = *at;
    if (!o) return;
    *at = o->chain;
    object_free(p, o);
    ck_look_again(p);
}

/* --- lists and watches --- */

static void list_begin(ck_source *s);

static void on_event(kube_watch *w, int32_t type, json_t *object)
{
    ck_source *s = w->user;
    if (type == KUBE_DELETED) {
        const ck_object *o = ck_object_find(s->p, s->kind, kube_object_name(object));
        if (o && strcmp(kube_object_uid(o->json), kube_object_uid(object)) == 0)
            object_gone(s->p, s->kind, kube_object_name(object));
    } else if (type != KUBE_BOOKMARK) {
        ck_object_take(s->p, s->kind, object, s->mark);
    }
    arm(s->p);
}

static void on_relist(kube_watch *w)
{
    list_begin(w->user);
}

static int32_t on_page(kube_list *l, json_t *items)
{
    ck_source *s = l->user;
    json_t *object;
    size_t i;
    json_array_foreach(items, i, object)
    {
        /* items of a list do not tell what they are */
        (void)json_object_set_new(object, "apiVersion", json_string(CK_API_VERSION));
        (void)json_object_set_new(
            object, "kind",
            json_string(s->kind == CK_OF_CLUSTER ? "QuidditchCluster" : "QuidditchIndex"));
        ck_object_take(s->p, s->kind, object, s->mark);
    }
    return 0;
}

static void on_again(kube_list *l)
{
    ck_source *s = l->user;
    s->mark++;
}

/* Those that the list did not have are gone. */
static void sweep(ck_source *s)
{
    ck_projections *p = s->p;
    for (uint32_t b = 0; b < CK_BUCKETS; b++) {
        for (ck_object **at = &p->buckets[b], *o; (o = *at);) {
            if (o->kind != s->kind || o->mark == s->mark) {
                at = &o->chain;
                continue;
            }
            *at = o->chain;
            object_free(p, o);
        }
    }
    ck_look_again(p);
}

static void on_listed(kube_list *l)
{
    ck_source *s = l->user;
    ck_projections *p = s->p;
    if (l->rc) {
        if (!p->warned)
            kube_log(&p->env.env, QD_LEVEL_WARN, "%s cannot be listed, and are not served: %d %s",
                     plurals[s->kind], (int)l->request.result.code, l->request.result.message);
        p->warned = 1;
        s->again_ns =
            ck_projections_now(p) +
            (l->rc == QD_E_NOTFOUND || l->rc == QD_E_SECURITY ? RULES_BACK_NS : LIST_BACK_NS);
        arm(p);
        return;
    }
    sweep(s);
    s->listed = 1;
    if (s->watching && kube_watch_resume(&s->watch, l->resource_version) == 0) {
        arm(p);
        return;
    }
    kube_watch_stop(&s->watch);
    s->watch = (kube_watch){.group = CK_QUIDDITCH,
                            .version = "v1",
                            .ns = p->store->home.space,
                            .plural = plurals[s->kind],
                            .event = on_event,
                            .relist = on_relist,
                            .user = s};
    s->watching = kube_watch_start(p->client, &s->watch, l->resource_version) == 0;
    if (!s->watching) s->again_ns = ck_projections_now(p) + LIST_BACK_NS;
    arm(p);
}

static void list_begin(ck_source *s)
{
    ck_projections *p = s->p;
    if (s->list.running) return;
    s->again_ns = 0;
    s->mark++;
    s->list = (kube_list){.group = CK_QUIDDITCH,
                          .version = "v1",
                          .ns = p->store->home.space,
                          .plural = plurals[s->kind],
                          .page = on_page,
                          .again = on_again,
                          .done = on_listed,
                          .user = s};
    if (kube_list_start(p->client, &s->list)) s->again_ns = ck_projections_now(p) + LIST_BACK_NS;
}

/* --- rights --- */

static void on_rules(kube_rules *r)
{
    ck_projections *p = r->user;
    p->rules_out = 0;
    p->allowed = r->rc == 0 && (r->missing == 0 || r->partly);
    if (!p->allowed)
        p->rules_again_ns = ck_projections_now(p) + (r->rc ? LIST_BACK_NS : RULES_BACK_NS);
    if (r->rc == 0 && !p->allowed && !p->warned) {
        kube_log(&p->env.env, QD_LEVEL_WARN,
                 "indices are not shown as QuidditchIndex: rights are missing: kubectl apply -f "
                 "deploy/rbac/projections.yaml adds them, coordination.k8s.projections: false ends "
                 "this");
        for (const char *t = r->text; t && *t;) {
            size_t n = strcspn(t, "\n");
            kube_log(&p->env.env, QD_LEVEL_INFO, "%.*s", (int)n, t);
            t += n + (t[n] == '\n');
        }
        p->warned = 1;
    }
    for (int k = 0; p->allowed && p->leads && k < CK_KINDS; k++) list_begin(&p->sources[k]);
    arm(p);
}

static void rules_begin(ck_projections *p)
{
    static const kube_wanted wanted[] = {
        {CK_QUIDDITCH, "quidditchindices", "list,watch,create,update,delete", NULL},
        {CK_QUIDDITCH, "quidditchclusters", "list,watch", NULL},
        {CK_QUIDDITCH, "quidditchindices/status", "update", NULL},
        {CK_QUIDDITCH, "quidditchclusters/status", "update", NULL},
        {"", "namespaces", "get", NULL},
        {"", "events", "create", NULL}};
    p->rules_again_ns = 0;
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
    arm(p);
}

static void state_begin(ck_projections *p)
{
    json_t *params =
        json_pack("{s:s,s:s,s:s}", "metric", "version,master_node,nodes,metadata,routing_table",
                  "flat_settings", "true", "expand_wildcards", "all");
    p->read_ns = 0;
    p->reading = 1;
    p->reads++;
    p->read_began_ns = ck_projections_now(p);
    ck_call_start(p->calls, "cluster.state", params, NULL, state_read, p);
    json_decref(params);
}

/* --- who has which index --- */

static int is_before(const ck_object *a, const ck_object *b)
{
    const json_t *x = json_object_get(a->json, "metadata"),
                 *y = json_object_get(b->json, "metadata");
    const char *s = json_string_value(json_object_get(x, "creationTimestamp"));
    const char *t = json_string_value(json_object_get(y, "creationTimestamp"));
    int order = strcmp(s ? s : "", t ? t : "");
    return order ? order < 0 : strcmp(a->name, b->name) < 0;
}

static ck_object *holder_of(ck_projections *p, const json_t *held, const char *index)
{
    const char *name = json_string_value(json_object_get(held, index));
    return name ? ck_object_find(p, CK_OF_INDEX, name) : NULL;
}

/* Of several objects for one index the oldest has it; indices that none has get one. */
static void hold(ck_projections *p)
{
    json_t *held = json_object(), *meta;
    const char *index;
    p->holders_old = 0;
    for (uint32_t b = 0; b < CK_BUCKETS; b++) {
        for (ck_object *o = p->buckets[b]; o; o = o->chain) {
            if (!o->ours || o->kind != CK_OF_INDEX) continue;
            index = ck_object_index(o->json);
            const ck_object *other = holder_of(p, held, index);
            if (!other || is_before(o, other))
                (void)json_object_set_new(held, index, json_string(o->name));
            if (!ck_object_ends(o->json)) (void)json_object_del(p->returning, o->name);
        }
    }
    for (uint32_t b = 0; b < CK_BUCKETS; b++) {
        for (ck_object *o = p->buckets[b]; o; o = o->chain) {
            o->holder = NULL;
            if (!o->ours || o->kind != CK_OF_INDEX) continue;
            const ck_object *has = holder_of(p, held, ck_object_index(o->json));
            if (has && has != o) o->holder = has->name;
        }
    }
    json_array_clear(p->missing);
    json_object_foreach((json_t *)(uintptr_t)p->truth.indices, index, meta)
    {
        if (ck_is_shown(index) && !json_object_get(held, index))
            (void)json_array_append_new(p->missing, json_string(index));
    }
    json_decref(held);
}

/* --- looking at all of them --- */

static void wait_until(ck_projections *p, int64_t at)
{
    if (!p->earliest_ns || at < p->earliest_ns) p->earliest_ns = at;
}

/* Whether another thing may begin now. */
static int may_begin(ck_projections *p, int64_t now)
{
    if (p->jobs >= CK_JOBS_MAX) return 0; /* its end looks again */
    return now >= p->next_ns;             /* the timer goes on where this stopped */
}

/* Whether its index is gone for certain. */
static int is_gone(ck_projections *p, ck_object *o, int64_t now)
{
    if (o->kind != CK_OF_INDEX || ck_truth_index(&p->truth, ck_object_index(o->json))) {
        o->missing_ns = 0;
        return 0;
    }
    if (!o->missing_ns) {
        o->missing_ns = now;
        o->missing_read = p->truth_read;
    }
    if (now - o->missing_ns >= GONE_NS && p->truth_read > o->missing_read &&
        now - p->lead_ns >= LEAD_NS)
        return 1;
    if (!p->read_ns && !p->reading && *ck_object_index(o->json) &&
        json_object_get(json_object_get(o->json, "status"), "uuid"))
        ck_read_soon(p, GONE_NS);
    return 0;
}

/* 0: there is something to do, but not now. */
static int consider(ck_projections *p, ck_object *o, int64_t now)
{
    static const ck_verdict none;
    ck_judgement j;
    char time[40];
    if (!o->ours || o->busy || p->truth_read < o->after_read) return 1;
    if (o->again_ns > now) {
        wait_until(p, o->again_ns);
        return 1;
    }
    ck_projections_time(p, time);
    ck_case about = {.object = o->json,
                     .truth = &p->truth,
                     .holder = o->holder,
                     .gone = is_gone(p, o, now),
                     .namespace_ends = o->namespace_ends,
                     .verdict = o->verdict ? o->verdict : &none,
                     .now = time};
    o->kind == CK_OF_CLUSTER ? ck_judge_cluster(&about, &j) : ck_judge_index(&about, &j);
    if (j.decided) {
        if (!o->verdict) o->verdict = cr_must(p->heap, sizeof *o->verdict);
        *o->verdict = j.verdict;
    }
    int begin = j.what != CK_DO_NOTHING && may_begin(p, now);
    int done = j.what == CK_DO_NOTHING || begin;
    if (begin) {
        p->next_ns = now + CK_WRITE_GAP_NS;
        ck_job_start(p, o, &j);
    }
    ck_judgement_clear(&j);
    return done;
}

static void look(ck_projections *p)
{
    int64_t now = ck_projections_now(p);
    if (!p->leads || !p->state) return;
    for (int k = 0; k < CK_KINDS; k++)
        if (!p->sources[k].listed) return;
    if (p->holders_old) hold(p);
    if (p->left == CK_BUCKETS) p->earliest_ns = 0;
    for (; p->left; p->left--, p->cursor = (p->cursor + 1) % CK_BUCKETS) {
        for (ck_object *o = p->buckets[p->cursor], *next; o; o = next) {
            next = o->chain;
            if (!consider(p, o, now)) return;
        }
    }
    size_t n = json_array_size(p->missing);
    if (n == 0 || p->making) return;
    if (p->make_again_ns > now || !may_begin(p, now)) return;
    p->next_ns = now + CK_WRITE_GAP_NS;
    char index[300];
    snprintf(index, sizeof index, "%.299s", json_string_value(json_array_get(p->missing, n - 1)));
    (void)json_array_remove(p->missing, n - 1);
    ck_job_make(p, index);
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
    for (int k = 0; k < CK_KINDS; k++) {
        ck_source *s = &p->sources[k];
        kube_list_cancel(&s->list);
        kube_watch_stop(&s->watch);
        s->watching = s->listed = 0;
        s->again_ns = 0;
    }
    ck_jobs_drop(p, 0);
    for (uint32_t b = 0; b < CK_BUCKETS; b++) {
        for (ck_object *o; (o = p->buckets[b]);) {
            p->buckets[b] = o->chain;
            object_free(p, o);
        }
    }
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
static void arm(ck_projections *p)
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
            if (p->sources[k].again_ns && now >= p->sources[k].again_ns) list_begin(&p->sources[k]);
        if (p->settle_ns && now >= p->settle_ns) {
            p->settle_ns = 0;
            ck_read_soon(p, 0);
        }
        int64_t read = read_at(p);
        if (read && now >= read) state_begin(p);
        if (p->earliest_ns && now >= p->earliest_ns) p->left = CK_BUCKETS;
        look(p);
    }
    arm(p);
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
    p->transport = kube_curl_make(&p->env.env, &p->loop, &p->store->home.api, &p->store->home.from,
                                  NULL, &why);
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
