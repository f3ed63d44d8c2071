/*
 * asks.c: what the core asks for, each as one request to the API, and what it came to as the core's
 * answer. A request that was certainly not sent counts as "perhaps", too: the core then goes on
 * trying, and whoever waits is told while that lasts.
 */
#include "k8s.h"

#define TIMEOUT_NS 10000000000ll
#define ALSO_NS 1000000000ll /* without an answer, before others are asked for an object, too */
#define LIST_LIMIT 500

/* --- answers --- */

static int reads(uint32_t type)
{
    return type == CK_GET_ROOT || type == CK_BLOB_GET || type == CK_BLOB_LIST ||
           type == CK_LEASE_GET;
}

static int creates(uint32_t type)
{
    return type == CK_CREATE_ROOT || type == CK_BLOB_CREATE || type == CK_LEASE_CREATE;
}

/* Is it the object that is missing, and not its kind or its namespace? */
static int object_missing(const ck_io *io, const kube_result *r)
{
    const json_t *details = json_object_get(r->object, "details");
    const char *kind = json_string_value(json_object_get(details, "kind"));
    const char *name = json_string_value(json_object_get(details, "name"));
    (void)io;
    return strcmp(r->reason, "NotFound") == 0 && name && *name && kind &&
           strcmp(kind, "namespaces") != 0;
}

static uint32_t outcome_of(const ck_io *io, const kube_result *r)
{
    uint32_t type = io->ask->type;
    uint32_t perhaps = reads(type) ? CK_FAILED : CK_UNKNOWN;
    if (r->outcome == KUBE_DONE) return CK_OK;
    if (r->outcome == KUBE_UNKNOWN || r->code == 0) return perhaps;
    if (r->code == 409 && !reads(type)) return creates(type) ? CK_EXISTS : CK_CONFLICT;
    if (r->code == 404 && !creates(type) && object_missing(io, r)) return CK_MISSING;
    return reads(type) ? CK_FAILED : CK_REFUSED;
}

/* What proposals are told of a refusal. */
static int32_t code_of(const kube_result *r)
{
    return r->code == 413 || r->code == 422 || r->code == 400 ? QD_E_LIMIT : QD_E_NO_COORDINATION;
}

/* A read of the quorum brings at least what this node had acted on as it began; what came to its
 * ears meanwhile, the answer need not show. */
static int root_refused(cr_consensus *c, const ck_record *known, const ck_root *r)
{
    if (memcmp(known->store_id, r->store_id, 16) != 0) return 0; /* the core looks at that */
    if (r->epoch >= known->epoch && r->index >= known->index) return 0;
    char text[700];
    snprintf(
        text, sizeof text,
        "the state in the Kubernetes API is older than what this node has acted on (epoch %llu "
        "entry %llu, here epoch %llu entry %llu): it was restored from a backup. To go on "
        "from there stop this node, and qd recover --accept-older-state --data its path.data",
        (unsigned long long)r->epoch, (unsigned long long)r->index,
        (unsigned long long)known->epoch, (unsigned long long)known->index);
    ck_trouble(c->store, text);
    c->trouble = CK_PUT_ROOT; /* reading it again does not end that */
    return 1;
}

int32_t ck_root_take(cr_consensus *c, const json_t *object, ck_root **out, char *why)
{
    ck_core_view v;
    ck_core_look(c->core, &v);
    int32_t rc = ck_root_read_after(c->heap, object, v.root, out, why);
    if (rc == 0) ck_marked_look(c, *out);
    return rc;
}

static void take_root(ck_io *io, const json_t *object, ck_answer *a)
{
    cr_consensus *c = io->c;
    char why[CK_WHY], text[CK_WHY + 128];
    ck_root *root = NULL;
    int32_t rc = ck_root_take(c, object, &root, why);
    if (rc) {
        snprintf(text, sizeof text, "the root object %s cannot be read: %s", c->store->home.root,
                 why);
        ck_trouble(c->store, text);
        c->trouble = CK_PUT_ROOT;
    } else if (root_refused(c, &io->acted, root)) {
        ck_root_free(root);
        a->older = 1;
        rc = QD_E_CONFLICT;
    }
    if (rc) {
        a->outcome = CK_FAILED;
        return;
    }
    a->root = root;
    ck_watches_read(c, root->version);
}

/* When an object was created or written last. */
static int64_t written_at(const json_t *meta)
{
    const json_t *fields = json_object_get(meta, "managedFields");
    int64_t at = ck_time_read(json_string_value(json_object_get(meta, "creationTimestamp")));
    int64_t t = ck_time_read(
        json_string_value(json_object_get(json_object_get(meta, "annotations"), CK_TOUCHED)));
    if (t > at) at = t;
    for (size_t i = 0; i < json_array_size(fields); i++) {
        t = ck_time_read(json_string_value(json_object_get(json_array_get(fields, i), "time")));
        if (t > at) at = t;
    }
    return at;
}

static void copy(char to[64], const char *from)
{
    size_t n = strnlen(from, 64);
    if (n == 64) n = 0;
    memcpy(to, from, n);
    to[n] = 0;
}

static ck_listed *take_list(cr_consensus *c, const json_t *object, ck_answer *a)
{
    const json_t *items = json_object_get(object, "items");
    const char *next =
        json_string_value(json_object_get(json_object_get(object, "metadata"), "continue"));
    size_t n = json_array_size(items);
    ck_listed *list = cr_must(c->heap, (n + 1) * sizeof *list);
    a->listed = list;
    for (size_t i = 0; i < n; i++) {
        const json_t *o = json_array_get(items, i);
        ck_listed *l = &list[a->nlisted];
        *l = (ck_listed){.written = written_at(json_object_get(o, "metadata"))};
        const char *name = kube_object_name(o);
        if (ck_name_read(c->store->home.root, (qd_str){name, strlen(name)}, &l->blob.kind,
                         &l->blob.hash, &l->blob.slice))
            continue;
        copy(l->uid, kube_object_uid(o));
        copy(l->version, kube_object_version(o));
        a->nlisted++;
    }
    if (next) a->next_page = (qd_str){next, strlen(next)};
    return list;
}

static void drop(ck_io *io)
{
    cr_consensus *c = io->c;
    *(io->previous ? &io->previous->next : &c->out) = io->next;
    if (io->next) io->next->previous = io->previous;
    json_decref(io->body);
    cr_free(c->heap, io);
}

static void on_done(kube_request *r);

/* A blob that has no finalizer any more is deleted, unless it went with it or has changed since. */
static int goes_on(ck_io *io)
{
    const kube_result *r = &io->request.result;
    cr_consensus *c = io->c;
    if (io->ask->type != CK_BLOB_DELETE || io->freed || r->outcome != KUBE_DONE) return 0;
    const json_t *meta = json_object_get(r->object, "metadata");
    if (json_object_get(meta, "deletionTimestamp")) return 0;
    io->freed = 1;
    json_decref(io->body);
    io->body = json_pack("{s:s,s:s,s:{s:s,s:s}}", "apiVersion", "v1", "kind", "DeleteOptions",
                         "preconditions", "uid", io->ask->uid, "resourceVersion",
                         kube_object_version(r->object));
    io->request = (kube_request){.method = "DELETE",
                                 .path = io->path,
                                 .object = io->body,
                                 .timeout_ns = TIMEOUT_NS,
                                 .done = on_done,
                                 .user = io};
    if (io->body && kube_send(c->client, &io->request) == 0) return 1;
    io->request.result.outcome = KUBE_UNKNOWN;
    return 0;
}

/* What an object that came means to the core. */
static void take(ck_io *io, ck_answer *a, json_t *object, ck_lease *lease, ck_listed **list)
{
    cr_consensus *c = io->c;
    uint32_t type = io->ask->type;
    a->uid = kube_object_uid(object);
    a->version = kube_object_version(object);
    a->object = object;
    if (type == CK_GET_ROOT) take_root(io, object, a);
    if (type == CK_LEASE_GET || type == CK_LEASE_CREATE || type == CK_LEASE_PUT) {
        ck_lease_read(object, lease);
        ck_lease_keep(c, object);
        a->lease = lease;
    }
    if (type == CK_BLOB_LIST) *list = take_list(c, object, a);
    if (type == CK_PUT_ROOT || type == CK_CREATE_ROOT) ck_others_push(c, object);
}

static void end(ck_io *io, ck_answer *a, json_t *object)
{
    cr_consensus *c = io->c;
    ck_lease lease;
    ck_listed *list = NULL;
    if (a->outcome == CK_OK) take(io, a, object, &lease, &list);
    ck_core_answer(c->core, io->ask, a, (uint64_t)ck_now(c));
    cr_free(c->heap, list);
    drop(io);
    ck_soon(c);
}

void ck_ask_relayed(ck_io *io, uint32_t outcome, json_t *object)
{
    ck_answer a = {.outcome = outcome};
    io->relayed = 0;
    io->api = CK_API_DONE;
    io->c->away = outcome == CK_FAILED;
    if (outcome == CK_FAILED && ck_peers_ask(io->c, io)) return;
    end(io, &a, object);
}

void ck_ask_from_peer(ck_io *io, json_t *object)
{
    ck_answer a = {.outcome = CK_OK, .by_peer = 1};
    if (io->api == CK_API_ASKED) { /* the next one is not asked of it first */
        io->c->away = 1;
        (void)kube_cancel(&io->request);
    }
    end(io, &a, object);
}

static void on_done(kube_request *r)
{
    ck_io *io = r->user;
    kube_result *result = &r->result;
    if (goes_on(io)) return;
    ck_answer a = {.outcome = outcome_of(io, result), .date = result->date_ms / 1000};
    ck_told(io->c, io->ask->type, result);
    io->api = CK_API_DONE;
    if (a.outcome == CK_FAILED &&
        (io->peers == CK_PEERS_WAIT || io->peers == CK_PEERS_ASKED || ck_peers_ask(io->c, io)))
        return;
    ck_peers_leave(io->c, io);
    if (a.outcome == CK_REFUSED) {
        a.rc = code_of(result);
        a.why = result->message;
    }
    if (result->retry_after_ns > 0) a.retry_ns = (uint64_t)result->retry_after_ns;
    end(io, &a, result->object);
}

/* --- requests --- */

int32_t ck_state_path(cr_consensus *c, char out[KUBE_PATH_MAX], const char *name, const char *query)
{
    return kube_path(out, CK_GROUP, CK_VERSION, c->store->home.space, CK_PLURAL, name, NULL, query);
}

static int32_t state_path(cr_consensus *c, ck_io *io, const char *name, const char *query)
{
    return ck_state_path(c, io->path, name, query);
}

static int32_t lease_path(cr_consensus *c, ck_io *io, const char *name)
{
    return kube_path(io->path, CK_LEASE_GROUP, "v1", c->store->home.space, CK_LEASE_PLURAL, name,
                     NULL, NULL);
}

static int32_t list_path(cr_consensus *c, ck_io *io)
{
    char label[160], next[KUBE_PATH_MAX / 2] = "", text[KUBE_PATH_MAX / 2], query[KUBE_PATH_MAX];
    qd_str page = io->ask->next_page;
    snprintf(text, sizeof text, CK_LABEL_CLUSTER "=%s", c->store->home.root);
    int32_t rc = kube_encode(label, sizeof label, text);
    if (rc == 0 && page.n) {
        if (page.n >= sizeof text) return QD_E_ARG;
        memcpy(text, page.p, page.n);
        text[page.n] = 0;
        rc = kube_encode(next, sizeof next, text);
    }
    if (rc) return rc;
    int n = snprintf(query, sizeof query, "limit=%d&labelSelector=%s%s%s", LIST_LIMIT, label,
                     page.n ? "&continue=" : "", next);
    if (n < 0 || (size_t)n >= sizeof query) return QD_E_ARG;
    return state_path(c, io, NULL, query);
}

/* The object of a blob written again: another version, not another content. */
static void touch(cr_consensus *c, json_t *object, const ck_ask *a)
{
    const cr_plugin *p = c->store->plugin;
    char now[40];
    json_t *meta = json_object_get(object, "metadata");
    ck_time_write(p->clock->wall_ns(p->self), now);
    json_t *notes = json_object_get(meta, "annotations");
    if (!notes) {
        (void)json_object_set_new(meta, "annotations", json_object());
        notes = json_object_get(meta, "annotations");
    }
    (void)json_object_set_new(notes, CK_TOUCHED, json_string(now));
    (void)json_object_set_new(meta, "uid", json_string(a->uid));
    (void)json_object_set_new(meta, "resourceVersion", json_string(a->version));
}

static int32_t blob_request(cr_consensus *c, ck_io *io)
{
    const ck_ask *a = io->ask;
    char name[CK_NAME];
    ck_blob_name(c->store->home.root, a->blob.kind, &a->blob.hash, a->blob.slice, name);
    if (a->type == CK_BLOB_CREATE || a->type == CK_BLOB_TOUCH) {
        io->body = ck_blob_write(c->heap, &c->store->home.site, a->blob.kind, &a->blob.hash,
                                 a->bytes, a->nbytes, a->blob.slice);
        if (!io->body) return QD_E_NOMEM;
    }
    switch (a->type) {
    case CK_BLOB_CREATE:
        io->request.method = "POST";
        return state_path(c, io, NULL, NULL);
    case CK_BLOB_TOUCH:
        touch(c, io->body, a);
        io->request.method = "PUT";
        break;
    case CK_BLOB_DELETE:
        io->request.method = "PATCH"; /* the finalizer first */
        io->request.content_type = KUBE_MERGE_PATCH;
        io->body = json_pack("{s:{s:s,s:s,s:n}}", "metadata", "uid", a->uid, "resourceVersion",
                             a->version, "finalizers");
        if (!io->body) return QD_E_NOMEM;
        break;
    default:
        io->request.method = "GET";
    }
    return state_path(c, io, name, NULL);
}

/* Nobody asks who wrote which of the root's fields last, and to keep that takes the API server a
 * fifth of a write's time: an empty entry ends it. */
static int untracked(json_t *object)
{
    json_t *none = json_pack("[{}]");
    return none &&
           json_object_set_new(json_object_get(object, "metadata"), "managedFields", none) == 0;
}

static int32_t root_request(cr_consensus *c, ck_io *io)
{
    const ck_ask *a = io->ask;
    io->request.method = a->type == CK_GET_ROOT ? "GET" : a->type == CK_PUT_ROOT ? "PUT" : "POST";
    if (a->type != CK_GET_ROOT) {
        io->body = ck_root_object(a->root, &c->store->home.site);
        if (!io->body || !untracked(io->body)) return QD_E_NOMEM;
    }
    return state_path(c, io, a->type == CK_CREATE_ROOT ? NULL : c->store->home.root, NULL);
}

static int32_t lease_request(cr_consensus *c, ck_io *io)
{
    const ck_ask *a = io->ask;
    io->request.method = a->type == CK_LEASE_GET ? "GET" : a->type == CK_LEASE_PUT ? "PUT" : "POST";
    if (a->type != CK_LEASE_GET) {
        io->body = ck_lease_object(c, &a->lease, c->lease);
        if (!io->body) return QD_E_NOMEM;
    }
    return lease_path(c, io, a->type == CK_LEASE_CREATE ? NULL : c->store->home.lease);
}

static int32_t fill(cr_consensus *c, ck_io *io)
{
    switch (io->ask->type) {
    case CK_GET_ROOT:
    case CK_CREATE_ROOT:
    case CK_PUT_ROOT:
        return root_request(c, io);
    case CK_LEASE_GET:
    case CK_LEASE_CREATE:
    case CK_LEASE_PUT:
        return lease_request(c, io);
    case CK_BLOB_LIST:
        io->request.method = "GET";
        io->request.accept = KUBE_METADATA_LIST;
        return list_path(c, io);
    default:
        return blob_request(c, io);
    }
}

static void freeze(cr_consensus *c, ck_ask *a)
{
    ck_answer answer = {.outcome = CK_OK, .checkpoint = ck_state_freeze(c->state, a)};
    ck_core_answer(c->core, a, &answer, (uint64_t)ck_now(c));
    ck_soon(c);
}

/* Asks the API, or lets it be asked. */
static int32_t to_api(cr_consensus *c, ck_io *io)
{
    int fetch = io->ask->type == CK_BLOB_GET && io->ask->index == 0;
    io->api = CK_API_ASKED;
    io->also_ns = fetch ? ck_now(c) + ALSO_NS : 0;
    if (c->listens && ck_relay_ask(c, io)) return 0;
    io->request = (kube_request){.done = on_done, .user = io, .timeout_ns = TIMEOUT_NS};
    int32_t rc = fill(c, io);
    io->request.path = io->path;
    io->request.object = io->body;
    if (rc == 0) rc = kube_send(c->client, &io->request);
    if (rc) io->api = CK_API_DONE;
    return rc;
}

void ck_ask_no_peer(ck_io *io)
{
    ck_answer a = {.outcome = CK_FAILED};
    if (io->api == CK_API_ASKED || (io->api == CK_API_NOT && to_api(io->c, io) == 0)) return;
    end(io, &a, NULL);
}

void ck_ask_start(cr_consensus *c, ck_ask *a)
{
    if (a->type == CK_FREEZE) {
        freeze(c, a);
        return;
    }
    ck_io *io = cr_must(c->heap, sizeof *io);
    memset(io, 0, sizeof *io);
    io->c = c;
    io->ask = a;
    io->acted = c->store->home.record;
    io->next = c->out;
    if (c->out) c->out->previous = io;
    c->out = io;
    if (c->away && ck_peers_ask(c, io)) return;
    if (to_api(c, io) == 0 || ck_peers_ask(c, io)) return;
    ck_answer answer = {.outcome = reads(a->type) ? CK_FAILED : CK_UNKNOWN};
    ck_core_answer(c->core, a, &answer, (uint64_t)ck_now(c));
    drop(io);
    ck_soon(c);
}

void ck_asks_cancel(cr_consensus *c)
{
    while (c->out) {
        (void)kube_cancel(&c->out->request);
        drop(c->out);
    }
}
