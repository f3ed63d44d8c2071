/*
 * marked.c: the state's objects are marked for deletion. By a slip of kubectl: their finalizer
 * keeps them, and the cluster goes on in them, as Kubernetes takes no deletion back. Or with their
 * namespace: nothing can be made in it any more, which is how that is told from a slip; then the
 * leader takes the finalizers off, so that the namespace can go. The root is the last one: after
 * it no node changes the state.
 */
#include "k8s.h"

#define AGAIN_NS 5000000000ll /* between looks at the namespace */
#define TIMEOUT_NS 10000000000ll

static void free_next(cr_consensus *c);

void ck_marked_look(cr_consensus *c, const ck_root *r)
{
    if (!r->deleting || c->marked.is) return;
    c->marked.is = 1;
    cr_say(c->store, QD_LEVEL_WARN,
           "the root object %s of the cluster's state was deleted, with kubectl perhaps: its "
           "finalizer " CK_FINALIZER " keeps it, and the cluster goes on in it. Whoever takes the "
           "finalizer off ends the state of this cluster",
           c->store->home.root);
}

static int leads(const cr_consensus *c)
{
    ck_core_view v;
    ck_core_look(c->core, &v);
    return v.role == CK_LEADS;
}

/* Sends a request with marked.path and body; 1 when it is out. */
static int ask(cr_consensus *c, kube_request r)
{
    ck_marked *m = &c->marked;
    r.path = m->path;
    r.object = m->body;
    r.timeout_ns = TIMEOUT_NS;
    r.user = c;
    m->request = r;
    m->busy = m->body && kube_send(c->client, &m->request) == 0;
    return m->busy;
}

static void rest(cr_consensus *c)
{
    ck_marked *m = &c->marked;
    json_decref(m->names);
    json_decref(m->body);
    m->names = m->body = NULL;
    m->busy = 0;
    m->again_ns = ck_now(c) + AGAIN_NS;
    ck_soon(c);
}

/* --- the namespace goes: finalizers are taken off --- */

static void freed(kube_request *r)
{
    cr_consensus *c = r->user;
    if (r->result.outcome == KUBE_DONE || r->result.code == 404)
        free_next(c);
    else
        rest(c); /* all of it again, later */
}

/* The last one of the names; all of its finalizers, as nothing stays in this namespace. */
static void free_next(cr_consensus *c)
{
    ck_marked *m = &c->marked;
    size_t n = json_array_size(m->names);
    json_decref(m->body);
    m->body = NULL;
    if (n == 0) {
        rest(c);
        return;
    }
    int32_t rc = kube_path(m->path, CK_GROUP, CK_VERSION, c->store->home.space, CK_PLURAL,
                           json_string_value(json_array_get(m->names, n - 1)), NULL, NULL);
    (void)json_array_remove(m->names, n - 1);
    m->body = json_pack("{s:{s:n}}", "metadata", "finalizers");
    if (rc ||
        !ask(c, (kube_request){.method = "PATCH", .content_type = KUBE_MERGE_PATCH, .done = freed}))
        rest(c);
}

static int32_t page(kube_list *l, json_t *items)
{
    cr_consensus *c = l->user;
    const json_t *o;
    size_t i;
    json_array_foreach(items, i, o)
    {
        const char *name = kube_object_name(o);
        int at_end = strcmp(name, c->store->home.root) != 0;
        if (at_end ? json_array_append_new(c->marked.names, json_string(name))
                   : json_array_insert_new(c->marked.names, 0, json_string(name)))
            return QD_E_NOMEM;
    }
    return 0;
}

static void listed(kube_list *l)
{
    cr_consensus *c = l->user;
    c->marked.busy = 0;
    if (l->rc || !leads(c))
        rest(c);
    else
        free_next(c);
}

static void free_all(cr_consensus *c)
{
    ck_marked *m = &c->marked;
    cr_say(c->store, QD_LEVEL_WARN,
           "the namespace %s is being deleted: the objects of the cluster's state go with it. "
           "Searches and writes of documents go on, the state does not change any more",
           c->store->home.space);
    snprintf(m->label, sizeof m->label, CK_LABEL_CLUSTER "=%s", c->store->home.root);
    m->names = json_array();
    m->list = (kube_list){.group = CK_GROUP,
                          .version = CK_VERSION,
                          .ns = c->store->home.space,
                          .plural = CK_PLURAL,
                          .labels = m->label,
                          .page = page,
                          .done = listed,
                          .user = c};
    m->busy = m->names && kube_list_start(c->client, &m->list) == 0;
    if (!m->busy) rest(c);
}

/* --- is it going? --- */

/* Nothing is made in a namespace that is being deleted, and the refusal says that it is that. */
static int namespace_goes(const kube_result *r)
{
    const json_t *causes = json_object_get(json_object_get(r->object, "details"), "causes"), *cause;
    size_t i;
    if (r->code != 403) return 0;
    json_array_foreach(causes, i, cause)
    {
        const char *reason = json_string_value(json_object_get(cause, "reason"));
        if (reason && strcmp(reason, "NamespaceTerminating") == 0) return 1;
    }
    return 0;
}

static void asked(kube_request *r)
{
    cr_consensus *c = r->user;
    int goes = namespace_goes(&r->result) && leads(c);
    rest(c);
    if (goes) free_all(c);
}

void ck_marked_turn(cr_consensus *c)
{
    ck_marked *m = &c->marked;
    if (!m->is || m->busy || ck_now(c) < m->again_ns || !leads(c)) return;
    ck_core_view v;
    ck_core_look(c->core, &v);
    ck_root *made = v.root ? ck_root_clone(v.root) : NULL;
    if (!made) return;
    made->uid[0] = made->version[0] = 0;
    m->body = ck_root_object(made, &c->store->home.site);
    ck_root_free(made);
    /* another root cannot be made while there is this one, and a dry run makes none at all */
    int32_t rc = kube_path(m->path, CK_GROUP, CK_VERSION, c->store->home.space, CK_PLURAL, NULL,
                           NULL, "dryRun=All");
    if (rc || !ask(c, (kube_request){.method = "POST", .done = asked})) rest(c);
}

int64_t ck_marked_next(const cr_consensus *c)
{
    return c->marked.is && !c->marked.busy && leads(c) ? c->marked.again_ns : INT64_MAX;
}

void ck_marked_stop(cr_consensus *c)
{
    ck_marked *m = &c->marked;
    kube_list_cancel(&m->list);
    if (m->busy) (void)kube_cancel(&m->request);
    json_decref(m->names);
    json_decref(m->body);
    m->names = m->body = NULL;
    m->busy = 0;
}
