/*
 * kube_model.c: see kube_model.h. Making, time, connections' state, and what checkers ask.
 */
#include "base/assert.h"
#include "lib/kube_model_int.h"

static const char *const fault_names[KUBE_FAULTS] = {
    "NONE",         "REFUSED",    "LOST",       "LOST_DONE",   "SILENT",        "SILENT_DONE",
    "LATE",         "401",        "429",        "500",         "503",           "504",
    "500_DONE",     "504_DONE",   "504_LATE",   "SLOW",        "SLOW_START",    "TORN",
    "WATCH_SILENT", "WATCH_TORN", "WATCH_GONE", "WATCH_ENDED", "WATCH_REFUSED",
};

const char *kube_model_fault_name(kube_model_fault_kind kind)
{
    return kind < KUBE_FAULTS ? fault_names[kind] : "?";
}

/* --- kinds --- */

static void builtin(kube_model *m, const char *group, const char *version, const char *plural,
                    const char *kind, const char *flags)
{
    km_kind k = {.group = (char *)group,
                 .version = (char *)version,
                 .plural = (char *)plural,
                 .kind = (char *)kind,
                 .namespaced = strchr(flags, 'n') != NULL,
                 .status = strchr(flags, 's') != NULL,
                 .upsert = strchr(flags, 'u') != NULL,
                 .blind = strchr(flags, 'b') != NULL,
                 .counted = strchr(flags, 'g') != NULL};
    km_kind_add(m, &k);
}

void kube_model_kind(kube_model *m, const char *group, const char *version, const char *plural,
                     const char *kind, bool status_subresource)
{
    qd_mutex_lock(&m->lock);
    km_kind k = {.group = (char *)group,
                 .version = (char *)version,
                 .plural = (char *)plural,
                 .kind = (char *)kind,
                 .namespaced = true,
                 .status = status_subresource,
                 .custom = true,
                 .counted = true};
    km_kind_add(m, &k);
    qd_mutex_unlock(&m->lock);
}

void kube_model_quidditch(kube_model *m)
{
    static const char group[] = "quidditch.io", v[] = "v1";
    kube_model_kind(m, group, v, "quidditchstates", "QuidditchState", false);
    kube_model_kind(m, group, v, "quidditchindices", "QuidditchIndex", true);
    kube_model_kind(m, group, v, "quidditchshards", "QuidditchShard", true);
    kube_model_kind(m, group, v, "quidditchclusters", "QuidditchCluster", true);
}

static void builtins(kube_model *m)
{
    builtin(m, "", "v1", "namespaces", "Namespace", "sb");
    builtin(m, "", "v1", "configmaps", "ConfigMap", "nb");
    builtin(m, "", "v1", "secrets", "Secret", "nb");
    builtin(m, "", "v1", "events", "Event", "nub");
    builtin(m, "", "v1", "pods", "Pod", "nsb");
    builtin(m, "", "v1", "serviceaccounts", "ServiceAccount", "nb");
    builtin(m, "apps", "v1", "statefulsets", "StatefulSet", "nsbg");
    builtin(m, "coordination.k8s.io", "v1", "leases", "Lease", "nu");
    builtin(m, "apiextensions.k8s.io", "v1", "customresourcedefinitions",
            "CustomResourceDefinition", "sg");
    static const char *const spaces[] = {"default", "kube-system"};
    for (size_t i = 0; i < 2; i++) {
        char body[128], target[] = "/api/v1/namespaces";
        km_call c;
        snprintf(body, sizeof body, "{\"metadata\":{\"name\":\"%s\"}}", spaces[i]);
        km_call_init(&c, m, "POST", target);
        c.body = body;
        c.n = strlen(body);
        km_reply r = km_answer(&c);
        qd_assert(r.status == 201);
        json_decref(r.body);
        km_call_fini(&c);
    }
    for (size_t i = 0; i < m->nkinds; i++) m->kinds[i]->cache_from = m->revision;
}

kube_model *kube_model_make(const kube_model_config *config)
{
    kube_model *m = km_alloc(sizeof *m);
    m->config = *config;
    qd_mutex_init(&m->lock);
    qd_prng_init(&m->random, config->seed);
    m->now_ns = config->now_ns;
    m->digest = 0xcbf29ce484222325ull;
    m->texts = json_object();
    /* Hashes of jansson's are seeded once a process, by itself; members come in their own order. */
    m->revision = m->compacted = 100 + km_below(m, 100);
    if (!m->config.wall_ms) m->config.wall_ms = 1772000000000;
    if (!m->config.latency_min_ns && !m->config.latency_max_ns) {
        m->config.latency_min_ns = KM_MS / 5;
        m->config.latency_max_ns = 2 * KM_MS;
    }
    if (!m->config.bookmark_ns) m->config.bookmark_ns = 60000 * KM_MS;
    builtins(m);
    if (m->config.compact_ns) km_do_at(m, m->now_ns + m->config.compact_ns, KM_COMPACT, NULL, NULL);
    return m;
}

static void drop_grant(km_grant *g)
{
    free(g->user);
    free(g->group);
    free(g->resource);
    free(g->ns);
    free(g->name);
    json_decref(g->verbs);
}

void kube_model_free(kube_model *m)
{
    if (!m) return;
    for (kube_model_client *c = m->clients; c; c = c->next) qd_assert(c->freed);
    for (size_t i = 0; i < m->nactions; i++) {
        free(m->actions[i].name);
        if (m->actions[i].e) km_release(m->actions[i].e);
    }
    qd_assert(!m->exchanges);
    for (kube_model_client *c = m->clients, *next; c; c = next) {
        next = c->next;
        free(c->queue);
        free(c->name);
        free(c->user);
        free(c);
    }
    for (size_t i = 0; i < m->ngrants; i++) drop_grant(&m->grants[i]);
    for (size_t i = 0; i < m->nfaults; i++) {
        free(m->faults[i].verb);
        free(m->faults[i].plural);
        free(m->faults[i].name);
    }
    km_store_fini(m);
    free(m->actions);
    free(m->grants);
    free(m->faults);
    free(m->log);
    json_decref(m->texts);
    qd_mutex_fini(&m->lock);
    free(m);
}

/* --- time --- */

int64_t km_wall_ms(const kube_model *m)
{
    return m->config.wall_ms + m->wall_offset_ms +
           (int64_t)((m->now_ns - m->config.now_ns) / KM_MS);
}

void kube_model_wall_jump(kube_model *m, int64_t ms)
{
    qd_mutex_lock(&m->lock);
    m->wall_offset_ms += ms;
    qd_mutex_unlock(&m->lock);
}

void km_now(kube_model *m, uint64_t now_ns)
{
    if (!now_ns && m->config.mono_ns) now_ns = m->config.mono_ns(m->config.arg);
    if (now_ns > m->now_ns) m->now_ns = now_ns;
}

uint64_t kube_model_now(kube_model *m)
{
    qd_mutex_lock(&m->lock);
    km_now(m, 0);
    uint64_t now = m->now_ns;
    qd_mutex_unlock(&m->lock);
    return now;
}

/* The delivery that comes first; NULL: none until then. */
static km_delivery *first_of(kube_model *m, kube_model_client *only, uint64_t until,
                             kube_model_client **whose)
{
    km_delivery *first = NULL;
    for (kube_model_client *c = only ? only : m->clients; c; c = only ? NULL : c->next) {
        km_delivery *d = km_due(c);
        if (!d || d->due_ns > until) continue;
        if (first &&
            (first->due_ns < d->due_ns || (first->due_ns == d->due_ns && first->seq < d->seq)))
            continue;
        first = d;
        *whose = c;
    }
    return first;
}

/* Everything until now, in the order of its moments. */
static void turn(kube_model *m, kube_model_client *only, uint64_t now_ns)
{
    qd_mutex_lock(&m->lock);
    for (;;) {
        kube_model_client *c = NULL;
        km_delivery *d = first_of(m, only, now_ns, &c);
        uint64_t due = m->nactions ? m->actions[0].due_ns : KUBE_MODEL_NEVER;
        if (due <= now_ns && due != KUBE_MODEL_NEVER && (!d || due <= d->due_ns)) {
            km_now(m, due ? due : 1);
            km_run(m);
        } else if (d) {
            km_now(m, d->due_ns ? d->due_ns : 1);
            km_hand_over(c, d);
        } else {
            break;
        }
    }
    km_now(m, now_ns);
    qd_mutex_unlock(&m->lock);
}

static uint64_t next_of(kube_model *m, kube_model_client *only)
{
    qd_mutex_lock(&m->lock);
    kube_model_client *c = NULL;
    km_delivery *d = first_of(m, only, KUBE_MODEL_NEVER - 1, &c);
    uint64_t due = m->nactions ? m->actions[0].due_ns : KUBE_MODEL_NEVER;
    if (d && d->due_ns < due) due = d->due_ns;
    qd_mutex_unlock(&m->lock);
    return due;
}

void kube_model_turn(kube_model *m, uint64_t now_ns)
{
    turn(m, NULL, now_ns);
}
uint64_t kube_model_next(kube_model *m)
{
    return next_of(m, NULL);
}
void kube_model_client_turn(kube_model_client *c, uint64_t now_ns)
{
    turn(c->m, c, now_ns);
}
uint64_t kube_model_client_next(kube_model_client *c)
{
    return next_of(c->m, c);
}

void kube_model_client_wake(kube_model_client *c, void (*wake)(void *arg), void *arg)
{
    qd_mutex_lock(&c->m->lock);
    c->wake = wake;
    c->wake_arg = arg;
    qd_mutex_unlock(&c->m->lock);
}

/* --- connections --- */

kube_transport *kube_model_connect(kube_model *m, const char *name, const char *user)
{
    qd_mutex_lock(&m->lock);
    kube_transport *t = km_transport_make(m, name, user);
    qd_mutex_unlock(&m->lock);
    return t;
}

kube_model_client *kube_model_client_of(kube_transport *t)
{
    return (kube_model_client *)t;
}

void kube_model_allow(kube_model *m, const char *user, const char *verbs, const char *group,
                      const char *resource, const char *ns, const char *name)
{
    qd_mutex_lock(&m->lock);
    m->grants = km_more(m->grants, &m->grants_cap, m->ngrants, sizeof *m->grants);
    km_grant *g = &m->grants[m->ngrants++];
    *g = (km_grant){.user = km_dup(user),
                    .group = km_dup(group),
                    .resource = km_dup(resource),
                    .ns = km_dup(ns),
                    .name = name ? km_dup(name) : NULL,
                    .verbs = json_array()};
    for (const char *s = verbs; *s;) {
        size_t n = strcspn(s, ",");
        json_array_append_new(g->verbs, json_stringn(s, n));
        s += n + (s[n] == ',');
    }
    qd_mutex_unlock(&m->lock);
}

void kube_model_revoke(kube_model *m, const char *user)
{
    qd_mutex_lock(&m->lock);
    size_t n = 0;
    for (size_t i = 0; i < m->ngrants; i++) {
        if (strcmp(m->grants[i].user, user))
            m->grants[n++] = m->grants[i];
        else
            drop_grant(&m->grants[i]);
    }
    m->ngrants = n;
    qd_mutex_unlock(&m->lock);
}

void kube_model_cut(kube_model_client *c, bool on)
{
    qd_mutex_lock(&c->m->lock);
    km_now(c->m, 0);
    bool heal = c->cut && !on;
    c->cut = on;
    if (heal) km_heal(c);
    qd_mutex_unlock(&c->m->lock);
}

void kube_model_slow(kube_model_client *c, uint64_t min_ns, uint64_t max_ns)
{
    qd_mutex_lock(&c->m->lock);
    c->slow_min_ns = min_ns;
    c->slow_max_ns = max_ns;
    qd_mutex_unlock(&c->m->lock);
}

void kube_model_lag(kube_model_client *c, uint64_t ns)
{
    qd_mutex_lock(&c->m->lock);
    c->lag_ns = ns;
    qd_mutex_unlock(&c->m->lock);
}

/* --- faults --- */

void kube_model_fault_add(kube_model *m, const kube_model_fault *f)
{
    qd_mutex_lock(&m->lock);
    m->faults = km_more(m->faults, &m->faults_cap, m->nfaults, sizeof *m->faults);
    m->faults[m->nfaults++] = (km_scripted){.f = *f,
                                            .verb = f->verb ? km_dup(f->verb) : NULL,
                                            .plural = f->plural ? km_dup(f->plural) : NULL,
                                            .name = f->name ? km_dup(f->name) : NULL};
    qd_mutex_unlock(&m->lock);
}

uint32_t kube_model_faults_left(kube_model *m)
{
    qd_mutex_lock(&m->lock);
    size_t n = m->nfaults;
    qd_mutex_unlock(&m->lock);
    return (uint32_t)n;
}

void kube_model_odds(kube_model *m, kube_model_client *c, kube_model_fault_kind kind,
                     uint32_t one_in)
{
    qd_mutex_lock(&m->lock);
    (c ? c->odds : m->odds)[kind] = one_in;
    qd_mutex_unlock(&m->lock);
}

void kube_model_calm(kube_model *m)
{
    qd_mutex_lock(&m->lock);
    km_now(m, 0);
    memset(m->odds, 0, sizeof m->odds);
    for (size_t i = 0; i < m->nfaults; i++) {
        free(m->faults[i].verb);
        free(m->faults[i].plural);
        free(m->faults[i].name);
    }
    m->nfaults = 0;
    for (kube_model_client *c = m->clients; c; c = c->next) {
        bool heal = c->cut;
        memset(c->odds, 0, sizeof c->odds);
        c->slow_min_ns = c->slow_max_ns = c->lag_ns = 0;
        c->cut = false;
        if (heal) km_heal(c);
    }
    qd_mutex_unlock(&m->lock);
}

void kube_model_restart(kube_model *m, uint64_t down_ns)
{
    qd_mutex_lock(&m->lock);
    km_now(m, 0);
    km_restart(m, down_ns);
    qd_mutex_unlock(&m->lock);
}

void kube_model_compact(kube_model *m)
{
    qd_mutex_lock(&m->lock);
    km_compact_to(m, m->revision);
    qd_mutex_unlock(&m->lock);
}

/* --- for checkers --- */

const char *km_keep(kube_model *m, const char *text)
{
    json_t *known = json_object_get(m->texts, text);
    if (!known) {
        known = json_string(text);
        json_object_set_new(m->texts, text, known);
    }
    return json_string_value(known);
}

int kube_model_do(kube_model *m, const char *method, const char *target, const char *body,
                  json_t **out)
{
    km_call c;
    qd_mutex_lock(&m->lock);
    km_now(m, 0);
    km_call_init(&c, m, method, target);
    c.body = body ? body : "";
    c.n = strlen(c.body);
    if (!strcmp(method, "PATCH")) c.type = "application/merge-patch+json";
    km_reply r = km_answer(&c);
    km_watch_free(r.watch);
    km_call_fini(&c);
    qd_mutex_unlock(&m->lock);
    if (out)
        *out = r.body;
    else
        json_decref(r.body);
    return r.status;
}

static km_kind *by_plural(kube_model *m, const char *plural)
{
    for (size_t i = 0; i < m->nkinds; i++)
        if (!m->kinds[i]->gone && !strcmp(m->kinds[i]->plural, plural)) return m->kinds[i];
    return NULL;
}

json_t *kube_model_get(kube_model *m, const char *plural, const char *ns, const char *name)
{
    qd_mutex_lock(&m->lock);
    km_kind *k = by_plural(m, plural);
    json_t *o = k ? json_incref(km_find(m, k, ns, name)) : NULL;
    qd_mutex_unlock(&m->lock);
    return o;
}

uint32_t kube_model_size(kube_model *m, const char *plural, const char *ns)
{
    km_list l = {0};
    qd_mutex_lock(&m->lock);
    km_kind *k = by_plural(m, plural);
    if (k) km_list_at(m, k, ns, m->revision, &l);
    qd_mutex_unlock(&m->lock);
    free(l.at);
    return (uint32_t)l.n;
}

uint64_t kube_model_revision(kube_model *m)
{
    qd_mutex_lock(&m->lock);
    uint64_t r = m->revision;
    qd_mutex_unlock(&m->lock);
    return r;
}

uint64_t kube_model_log_size(kube_model *m)
{
    qd_mutex_lock(&m->lock);
    uint64_t n = m->nlog;
    qd_mutex_unlock(&m->lock);
    return n;
}

bool kube_model_log(kube_model *m, uint64_t i, kube_model_entry *out)
{
    qd_mutex_lock(&m->lock);
    bool there = i < m->nlog;
    if (there) *out = m->log[i];
    qd_mutex_unlock(&m->lock);
    return there;
}

uint64_t kube_model_count(kube_model *m, const char *verb, const char *plural, const char *client)
{
    uint64_t n = 0;
    qd_mutex_lock(&m->lock);
    for (size_t i = 0; i < m->nlog; i++) {
        const kube_model_entry *e = &m->log[i];
        n += e->status && (!verb || !strcmp(verb, e->verb)) &&
             (!plural || !strcmp(plural, e->plural)) && (!client || !strcmp(client, e->client));
    }
    qd_mutex_unlock(&m->lock);
    return n;
}

uint64_t kube_model_digest(kube_model *m)
{
    qd_mutex_lock(&m->lock);
    uint64_t d = m->digest;
    qd_mutex_unlock(&m->lock);
    return d;
}
