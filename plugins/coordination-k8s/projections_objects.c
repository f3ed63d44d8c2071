/*
 * projections_objects.c: the objects of the API as they are known: a table, filled by lists and
 * kept by watches: see projections.h.
 */
#include "k8s.h"
#include "projections.h"

#define LIST_BACK_NS 5000000000ll
#define LATER_NS 60000000000ll /* a kind that is missing is looked for again */

static const char *const plurals[CK_KINDS] = {"quidditchindices", "quidditchclusters",
                                              "quidditchshards"};
static const char *const kinds[CK_KINDS] = {"QuidditchIndex", "QuidditchCluster", "QuidditchShard"};

void ck_object_path(const ck_projections *p, int kind, const char *name, const char *sub,
                    char out[KUBE_PATH_MAX])
{
    (void)kube_path(out, CK_QUIDDITCH, "v1", p->store->home.space, plurals[kind], name, sub, NULL);
}

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

void ck_look_at(ck_projections *p, ck_object *o)
{
    o->looked = 0;
    p->left = CK_BUCKETS;
}

/* There is another object, or one is of another index. */
static void set_changed(ck_projections *p)
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
        if (!mark) return; /* the answer to a request for the one of before: a watch tells more */
        o->busy = 0;       /* with what was begun for that one */
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
    int ours = kind == CK_OF_CLUSTER ? strcmp(name, p->cluster) == 0
                                     : strcmp(ck_object_cluster(json), p->cluster) == 0;
    if (kind == CK_OF_SHARD && !ck_object_is_clusters(json)) ours = 0;
    if (!o->json || ours != o->ours || ck_object_ends(json) != ck_object_ends(o->json) ||
        strcmp(ck_object_index(json), ck_object_index(o->json)) != 0)
        set_changed(p);
    json_decref(o->json);
    o->json = json_incref(json);
    o->ours = ours;
    if (mark) o->mark = mark;
    ck_look_at(p, o);
}

static void object_gone(ck_projections *p, int kind, const char *name)
{
    ck_object **at = place_of(p, kind, name), *o = *at;
    if (!o) return;
    *at = o->chain;
    object_free(p, o);
    set_changed(p);
}

void ck_objects_clear(ck_projections *p)
{
    for (uint32_t b = 0; b < CK_BUCKETS; b++) {
        for (ck_object *o; (o = p->buckets[b]);) {
            p->buckets[b] = o->chain;
            object_free(p, o);
        }
    }
}

/* --- lists and watches --- */

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
    ck_arm(s->p);
}

static void on_relist(kube_watch *w)
{
    ck_list_begin(w->user);
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
        (void)json_object_set_new(object, "kind", json_string(kinds[s->kind]));
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
    set_changed(p);
}

/* Said once, until it goes. */
static void list_failed(ck_source *s)
{
    ck_projections *p = s->p;
    const kube_result *x = &s->list.request.result;
    int missing = x->code == 404;
    if (!s->warned)
        kube_log(&p->env.env, QD_LEVEL_WARN, "%s cannot be listed, and are not served: %d %s%s",
                 plurals[s->kind], (int)x->code, x->message,
                 missing ? ": kubectl apply -f deploy/crds/ adds the kind" : "");
    s->warned = 1;
    s->again_ns = ck_projections_now(p) + (missing || x->code == 403 ? LATER_NS : LIST_BACK_NS);
    if (x->code == 403) ck_rights_refused(p);
    ck_arm(p);
}

static void on_listed(kube_list *l)
{
    ck_source *s = l->user;
    ck_projections *p = s->p;
    if (l->rc) {
        list_failed(s);
        return;
    }
    sweep(s);
    s->listed = 1;
    s->warned = 0;
    if (s->watching && kube_watch_resume(&s->watch, l->resource_version) == 0) {
        ck_arm(p);
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
    ck_arm(p);
}

void ck_list_begin(ck_source *s)
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

void ck_sources_stop(ck_projections *p)
{
    for (int k = 0; k < CK_KINDS; k++) {
        ck_source *s = &p->sources[k];
        kube_list_cancel(&s->list);
        kube_watch_stop(&s->watch);
        s->watching = s->listed = s->warned = 0;
        s->again_ns = 0;
    }
}
