/*
 * watches.c: the watch of the root and that of the Lease, and what the API server refuses: said in
 * words, with what to do about it.
 */
#include "k8s.h"

#define AGAIN_NS 3000000000ll
#define RULES_NS 10000000000ll /* between questions for what is granted */

/* --- what is wrong --- */

static const char *what_of(uint32_t type)
{
    switch (type) {
    case CK_LEASE_GET:
    case CK_LEASE_CREATE:
    case CK_LEASE_PUT:
        return "the Lease";
    default:
        return "the state (" CK_PLURAL "." CK_GROUP ")";
    }
}

static int is_kind_missing(const kube_result *r)
{
    const json_t *details = json_object_get(r->object, "details");
    return r->code == 404 && !json_object_get(details, "name");
}

void ck_told(cr_consensus *c, uint32_t type, const kube_result *r)
{
    const cr_home *h = &c->store->home;
    char text[900];
    int fine = r->outcome == KUBE_DONE || r->code == 409 ||
               (r->code == 404 && !is_kind_missing(r) && !strstr(r->message, "namespaces"));
    c->away = !fine;
    if (fine) {
        c->well_ns = ck_now(c);
        if (c->trouble == type) {
            c->trouble = 0;
            ck_trouble(c->store, NULL);
        }
        return;
    }
    if (r->code == 404 && is_kind_missing(r))
        snprintf(text, sizeof text,
                 "the Kubernetes API server at %.200s does not know the kind " CK_KIND
                 " (" CK_API_VERSION "): apply it with kubectl apply -f deploy/crds/",
                 h->api.server ? h->api.server : "?");
    else if (r->code == 403 || r->code == 401)
        snprintf(text, sizeof text, "the Kubernetes API server refuses %s in namespace %s: %.400s",
                 what_of(type), h->space, r->message);
    else if (r->code)
        snprintf(text, sizeof text,
                 "the Kubernetes API server at %.200s answers %d for %s in namespace %s: %.400s",
                 h->api.server ? h->api.server : "?", r->code, what_of(type), h->space, r->message);
    else
        snprintf(text, sizeof text, "the Kubernetes API server at %.200s does not answer: %.400s",
                 h->api.server ? h->api.server : "?", r->message);
    c->trouble = type;
    ck_trouble(c->store, text);
    if (r->code == 403) ck_rules_look(c);
}

static void on_rules(kube_rules *r)
{
    cr_consensus *c = r->user;
    c->rules_out = 0;
    if (r->rc || !r->missing || !r->text) return;
    /* line by line: what is to be copied must be whole */
    for (const char *p = r->text; *p;) {
        size_t n = strcspn(p, "\n");
        cr_say(c->store, QD_LEVEL_ERROR, "Kubernetes API: %.*s", (int)n, p);
        p += n + (p[n] == '\n');
    }
}

void ck_rules_look(cr_consensus *c)
{
    static const kube_wanted wanted[] = {
        {CK_GROUP, CK_PLURAL, "get,list,watch,create,update,patch,delete", NULL},
        {CK_LEASE_GROUP, CK_LEASE_PLURAL, "get,list,watch,create,update", NULL}};
    int64_t now = ck_now(c);
    if (c->rules_out || c->closing || (c->rules_ns && now - c->rules_ns < RULES_NS)) return;
    c->rules_ns = now;
    kube_rules_clear(&c->rules);
    c->rules = (kube_rules){.ns = c->store->home.space,
                            .wanted = wanted,
                            .n = sizeof wanted / sizeof *wanted,
                            .done = on_rules,
                            .user = c};
    c->rules_out = kube_rules_start(c->client, &c->rules) == 0;
}

/* --- the root --- */

static void root_event(kube_watch *w, int32_t type, json_t *object)
{
    cr_consensus *c = w->user;
    ck_root *root = NULL;
    char why[CK_WHY];
    ck_core_view v;
    if (type == KUBE_BOOKMARK) return;
    if (type == KUBE_DELETED) {
        ck_core_root_look(c->core);
        ck_soon(c);
        return;
    }
    ck_core_look(c->core, &v); /* most of what a leader sees it has written itself */
    if (v.root && strcmp(v.root->version, kube_object_version(object)) == 0) return;
    if (ck_root_take(c, object, &root, why)) {
        ck_core_root_look(c->core);
        ck_soon(c);
        return;
    }
    ck_core_root_seen(c->core, root, (uint64_t)ck_now(c));
    ck_soon(c);
}

static void root_relist(kube_watch *w)
{
    cr_consensus *c = w->user;
    c->root_relist = 1;
    ck_core_root_look(c->core);
    ck_soon(c);
}

void ck_watches_read(cr_consensus *c, const char *version)
{
    if (!c->root_relist) return;
    c->root_relist = 0;
    if (kube_watch_resume(&c->root_watch, version)) {
        kube_watch_stop(&c->root_watch);
        c->watches = 0; /* begun anew by the next turn */
    }
}

static void start_root(cr_consensus *c)
{
    ck_core_view v;
    ck_core_look(c->core, &v);
    if (!v.root || !v.root->version[0]) return;
    c->root_watch = (kube_watch){.group = CK_GROUP,
                                 .version = CK_VERSION,
                                 .ns = c->store->home.space,
                                 .plural = CK_PLURAL,
                                 .name = c->store->home.root,
                                 .event = root_event,
                                 .relist = root_relist,
                                 .max_wait_ns = AGAIN_NS,
                                 .user = c};
    c->watches = kube_watch_start(c->client, &c->root_watch, v.root->version) == 0;
}

/* --- the Lease --- */

static void take_lease(cr_consensus *c, json_t *object)
{
    ck_lease l;
    ck_lease_read(object, &l);
    ck_lease_keep(c, object);
    ck_core_lease_seen(c->core, &l, (uint64_t)ck_now(c));
    ck_soon(c);
}

static void lease_event(kube_watch *w, int32_t type, json_t *object)
{
    if (type == KUBE_ADDED || type == KUBE_MODIFIED) take_lease(w->user, object);
}

static void lease_relist(kube_watch *w)
{
    cr_consensus *c = w->user;
    c->lease_again_ns = ck_now(c);
    ck_soon(c);
}

static int32_t lease_page(kube_list *l, json_t *items)
{
    json_t *object = json_array_get(items, 0);
    if (object) take_lease(l->user, object);
    return 0;
}

static void lease_listed(kube_list *l)
{
    cr_consensus *c = l->user;
    if (l->rc) {
        c->lease_again_ns = ck_now(c) + AGAIN_NS;
        ck_soon(c);
        return;
    }
    if (c->lease_watches && kube_watch_resume(&c->lease_watch, l->resource_version) == 0) return;
    if (c->lease_watches) kube_watch_stop(&c->lease_watch);
    c->lease_watch = (kube_watch){.group = CK_LEASE_GROUP,
                                  .version = "v1",
                                  .ns = c->store->home.space,
                                  .plural = CK_LEASE_PLURAL,
                                  .name = c->store->home.lease,
                                  .event = lease_event,
                                  .relist = lease_relist,
                                  .max_wait_ns = AGAIN_NS,
                                  .user = c};
    c->lease_watches = kube_watch_start(c->client, &c->lease_watch, l->resource_version) == 0;
}

static void list_lease(cr_consensus *c)
{
    c->lease_again_ns = 0;
    snprintf(c->lease_field, sizeof c->lease_field, "metadata.name=%s", c->store->home.lease);
    c->lease_list = (kube_list){.group = CK_LEASE_GROUP,
                                .version = "v1",
                                .ns = c->store->home.space,
                                .plural = CK_LEASE_PLURAL,
                                .fields = c->lease_field,
                                .limit = 1,
                                .page = lease_page,
                                .done = lease_listed,
                                .user = c};
    if (kube_list_start(c->client, &c->lease_list)) c->lease_again_ns = ck_now(c) + AGAIN_NS;
}

/* --- both --- */

void ck_watches_turn(cr_consensus *c)
{
    ck_core_view v;
    ck_core_look(c->core, &v);
    if (v.role == CK_STOPPED) {
        ck_watches_stop(c);
        return;
    }
    if (!ck_speaks(c)) return;
    if (!c->watches) start_root(c);
    /* who takes over reads the Lease itself; others begin once there is a root */
    if (!c->lease_list.client && !c->lease_again_ns && v.root) c->lease_again_ns = ck_now(c);
    if (c->lease_again_ns && ck_now(c) >= c->lease_again_ns && !c->lease_list.running)
        list_lease(c);
}

void ck_watches_rest(cr_consensus *c)
{
    if (c->watches) kube_watch_stop(&c->root_watch);
    if (c->lease_watches) kube_watch_stop(&c->lease_watch);
    kube_list_cancel(&c->lease_list);
    c->lease_list = (kube_list){0}; /* begun anew when it speaks */
    c->watches = c->lease_watches = c->root_relist = 0;
    c->lease_again_ns = 0;
}

void ck_watches_stop(cr_consensus *c)
{
    ck_watches_rest(c);
    kube_rules_clear(&c->rules);
    c->rules_out = 0;
}
