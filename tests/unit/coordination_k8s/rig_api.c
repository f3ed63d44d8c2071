/* rig_api.c: see rig_api.h. */
#include "rig_api.h"
#include "base/assert.h"
#include "lib/kube_model_uv.h"
#include "store.h"

enum { NODES = 8 };

static kube_model *model;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static kube_transport *wires[NODES];
static bool cuts[NODES];
static const char *the_user;
static kube_transport *objects; /* of custom resources, of the node that was started last */
static uint64_t slow[2];

kube_model *rig_api_make(uint64_t seed)
{
    kube_model_config c = {
        .seed = seed, .now_ns = kube_model_uv_now(NULL), .mono_ns = kube_model_uv_now};
    model = kube_model_make(&c);
    bool there = kube_model_deployed(model); /* with their schemas, as the real server has them */
    qd_assert(there);
    memset(cuts, 0, sizeof cuts);
    memset(wires, 0, sizeof wires);
    the_user = NULL;
    objects = NULL;
    return model;
}

void rig_api_free(void)
{
    kube_model_free(model);
    model = NULL;
}

void rig_api_cut(int i, bool on)
{
    pthread_mutex_lock(&lock);
    cuts[i] = on;
    if (wires[i]) kube_model_cut(kube_model_uv_client(wires[i]), on);
    pthread_mutex_unlock(&lock);
}

void rig_api_slow(uint64_t min_ns, uint64_t max_ns)
{
    pthread_mutex_lock(&lock);
    slow[0] = min_ns;
    slow[1] = max_ns;
    for (int i = 0; i < NODES; i++)
        if (wires[i]) kube_model_slow(kube_model_uv_client(wires[i]), min_ns, max_ns);
    pthread_mutex_unlock(&lock);
}

void rig_api_user(const char *user)
{
    the_user = user;
}

/* --- in place of api.c --- */

int32_t ck_api_open(struct qd_coord *c, qd_err *err)
{
    (void)err;
    snprintf(c->home.space, sizeof c->home.space, "%s",
             c->home.space_wanted ? c->home.space_wanted : "default");
    return 0;
}

void ck_api_close(struct qd_coord *c)
{
    (void)c;
}

/* The node's connection ends: nobody cuts it any more. */
static void (*inner_free)(kube_transport *t, void (*closed)(void *arg), void *arg);
static void free_it(kube_transport *t, void (*closed)(void *arg), void *arg)
{
    pthread_mutex_lock(&lock);
    for (int i = 0; i < NODES; i++)
        if (wires[i] == t) wires[i] = NULL;
    pthread_mutex_unlock(&lock);
    inner_free(t, closed, arg);
}

kube_model_client *rig_api_objects(void)
{
    return kube_model_uv_client(objects);
}

kube_model_client *rig_api_client(int i)
{
    pthread_mutex_lock(&lock);
    kube_model_client *c = wires[i] ? kube_model_uv_client(wires[i]) : NULL;
    pthread_mutex_unlock(&lock);
    return c;
}

kube_transport *ck_api_connect(struct qd_coord *c, uv_loop_t *loop, const kube_env *env,
                               kube_error *err)
{
    char name[32];
    int node = c->address.n > 1 ? (c->address.p[1] - '1') & (NODES - 1) : 0; /* m1:1 */
    (void)env;
    (void)err;
    if (loop != &c->loop) return objects = kube_model_uv_connect(model, "objects", the_user, loop);
    snprintf(name, sizeof name, "%.*s", (int)c->node_name.n, c->node_name.p);
    pthread_mutex_lock(&lock);
    kube_transport *t = kube_model_uv_connect(model, name, the_user, &c->loop);
    inner_free = t->free;
    t->free = free_it;
    wires[node] = t;
    if (slow[1]) kube_model_slow(kube_model_uv_client(t), slow[0], slow[1]);
    if (cuts[node]) kube_model_cut(kube_model_uv_client(t), true);
    pthread_mutex_unlock(&lock);
    return t;
}
