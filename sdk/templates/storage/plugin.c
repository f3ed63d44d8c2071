/* @NAME@: a storage tier, storage.tiers.<tier>.plugin: @NAME@. It keeps objects and points in
 * memory, sorted by name: put your own calls into the slots. What it does not say by its flags
 * (DURABLE, MMAP, APPEND, ...) the host does without: on a tier without APPEND a node with data
 * roles does not start, on one without DURABLE only with
 * storage.tiers.<tier>.unsafe_not_durable: true. */
#include <pthread.h>
#include <quidditch/plugin.h>
#include <quidditch/storage.h>

static const qd_svc_mem *mem;
static const qd_svc_err *errs;
static const qd_svc_loop *loops;

/* Counted by the tier and by each object open on it: it stays readable when its name is removed. */
typedef struct entry {
    char name[256];
    uint8_t *data;
    uint64_t len, room;
    uint32_t refs, type;
} entry;

struct qd_storage {
    qd_self *self;
    pthread_mutex_t lock;
    entry **entries;
    size_t n, room;
    uint32_t open; /* objects and puts */
};
struct qd_storage_object {
    qd_storage *tier;
    entry *e;
};
struct qd_storage_put {
    qd_storage *tier;
    entry *e;
};

static int32_t fail(qd_err *err, int32_t code, qd_str name, const char *what)
{
    return qd_plug_fail(errs, err, code, "@NAME@: [%.*s]: %s", (int)name.n, name.p, what);
}

/* --- entries, under the lock --- */

static void drop(entry *e)
{
    if (e && --e->refs == 0) {
        mem->free(e->data);
        mem->free(e);
    }
}

static entry *make(qd_storage *t, qd_str name, uint32_t type)
{
    entry *e = (entry *)mem->calloc(t->self, sizeof *e);
    if (!e) return NULL;
    memcpy(e->name, name.p, name.n);
    e->refs = 1;
    e->type = type;
    return e;
}

static int32_t append(qd_storage *t, entry *e, const void *data, size_t len)
{
    if (len > e->room - e->len) {
        uint64_t room = (e->len + len) * 2;
        uint8_t *p = (uint8_t *)mem->realloc(t->self, e->data, (size_t)room);
        if (!p) return QD_E_NOMEM;
        e->data = p;
        e->room = room;
    }
    if (len) memcpy(e->data + e->len, data, len);
    e->len += len;
    return 0;
}

static int compare(const char *a, qd_str b)
{
    size_t n = strlen(a);
    int c = memcmp(a, b.p, n < b.n ? n : b.n);
    return c ? c : n < b.n ? -1 : n > b.n;
}

/* Where the name is, or would be. */
static size_t place(const qd_storage *t, qd_str name)
{
    size_t low = 0, high = t->n;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (compare(t->entries[mid]->name, name) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static entry *find(const qd_storage *t, qd_str name)
{
    size_t i = place(t, name);
    return i < t->n && compare(t->entries[i]->name, name) == 0 ? t->entries[i] : NULL;
}

static int32_t insert(qd_storage *t, entry *e)
{
    size_t i = place(t, qd_plug_str(e->name));
    if (t->n == t->room) {
        size_t room = t->room ? t->room * 2 : 64;
        entry **p = (entry **)mem->realloc(t->self, t->entries, room * sizeof *p);
        if (!p) return QD_E_NOMEM;
        t->entries = p;
        t->room = room;
    }
    memmove(t->entries + i + 1, t->entries + i, (t->n - i) * sizeof *t->entries);
    t->entries[i] = e;
    t->n++;
    return 0;
}

static void erase(qd_storage *t, size_t i)
{
    drop(t->entries[i]);
    memmove(t->entries + i, t->entries + i + 1, (t->n - i - 1) * sizeof *t->entries);
    t->n--;
}

/* --- the tier --- */

static int32_t open_tier(qd_self *self, const qd_storage_config *config, qd_storage **out,
                         qd_err *err)
{
    if (config->noptions)
        return fail(err, QD_E_CONFIG, config->options[0].key, "unknown option of the tier");
    qd_storage *t = (qd_storage *)mem->calloc(self, sizeof *t);
    if (!t) return QD_E_NOMEM;
    t->self = self;
    pthread_mutex_init(&t->lock, NULL);
    *out = t;
    return 0;
}

static int32_t close_tier(qd_storage *t, qd_err *err)
{
    if (t->open) return fail(err, QD_E_STATE, qd_plug_str("tier"), "objects or puts are open");
    while (t->n) erase(t, t->n - 1);
    pthread_mutex_destroy(&t->lock);
    mem->free(t->entries);
    mem->free(t);
    return 0;
}

static void info(qd_storage *t, qd_storage_info *out)
{
    (void)t;
    *out = (qd_storage_info){.struct_size = sizeof *out,
                             .read_align = 1,
                             .publish_max = 64u << 20,
                             .object_max = 1ull << 40,
                             .read_size = 64 << 10,
                             .request_ns = 1000,
                             .reads_in_flight = 16};
}

static int32_t capacity(qd_storage *t, uint64_t *total, uint64_t *available, qd_err *err)
{
    (void)t, (void)err;
    *total = *available = 1ull << 40;
    return 0;
}

/* --- objects: reading --- */

static int32_t object_open(qd_storage *t, qd_str name, qd_storage_object **out, uint64_t *len,
                           qd_err *err)
{
    if (!qd_storage_name_ok(name)) return fail(err, QD_E_ARG, name, "bad name");
    qd_storage_object *o = (qd_storage_object *)mem->calloc(t->self, sizeof *o);
    if (!o) return QD_E_NOMEM;
    pthread_mutex_lock(&t->lock);
    o->tier = t;
    o->e = find(t, name);
    if (o->e) {
        o->e->refs++;
        t->open++;
        *out = o;
        *len = o->e->len;
    }
    pthread_mutex_unlock(&t->lock);
    if (o->e) return 0;
    mem->free(o);
    return fail(err, QD_E_NOTFOUND, name, "no such object");
}

static void object_close(qd_storage_object *o)
{
    qd_storage *t = o->tier;
    pthread_mutex_lock(&t->lock);
    drop(o->e);
    t->open--;
    pthread_mutex_unlock(&t->lock);
    mem->free(o);
}

/* Objects never change, so no lock is needed. A tier that waits for a disk or a network hands the
 * read to a thread of its own, or to the work service, and completes it there. */
static int32_t read_v(qd_storage_object *o, qd_storage_read *r)
{
    int32_t rc = 0;
    for (uint32_t i = 0; i < r->nranges && rc == 0; i++) {
        const qd_storage_range *g = &r->ranges[i];
        if (g->offset > o->e->len || g->len > o->e->len - g->offset)
            rc = fail(r->err, QD_E_EOF, qd_plug_str(o->e->name), "range behind the end");
        else if (g->len)
            memcpy(g->dst, o->e->data + g->offset, (size_t)g->len);
    }
    loops->complete(&r->op, rc);
    return 0;
}

static void read_cancel(qd_storage_object *o, qd_storage_read *r)
{
    (void)o, (void)r; /* every read has ended by then */
}

/* --- objects: writing --- */

static int32_t put_begin(qd_storage *t, qd_str name, uint64_t size, qd_storage_put **out,
                         qd_err *err)
{
    (void)size;
    if (!qd_storage_name_ok(name)) return fail(err, QD_E_ARG, name, "bad name");
    qd_storage_put *p = (qd_storage_put *)mem->calloc(t->self, sizeof *p);
    entry *e = make(t, name, QD_STORAGE_OBJECT);
    int32_t rc = p && e ? 0 : QD_E_NOMEM;
    pthread_mutex_lock(&t->lock);
    if (rc == 0 && find(t, name)) rc = fail(err, QD_E_EXISTS, name, "objects are never replaced");
    if (rc == 0) t->open++;
    pthread_mutex_unlock(&t->lock);
    if (rc) {
        mem->free(p);
        mem->free(e);
        return rc;
    }
    p->tier = t;
    p->e = e;
    *out = p;
    return 0;
}

static int32_t put_write(qd_storage_put *p, const void *data, size_t len, qd_err *err)
{
    (void)err;
    return append(p->tier, p->e, data, len);
}

static int32_t put_commit(qd_storage_put *p, uint32_t flags, qd_err *err)
{
    qd_storage *t = p->tier;
    qd_str name = qd_plug_str(p->e->name);
    (void)flags;
    pthread_mutex_lock(&t->lock);
    int32_t rc = find(t, name) ? fail(err, QD_E_EXISTS, name, "objects are never replaced")
                               : insert(t, p->e);
    if (rc) drop(p->e);
    t->open--;
    pthread_mutex_unlock(&t->lock);
    mem->free(p);
    return rc;
}

static void put_abort(qd_storage_put *p)
{
    pthread_mutex_lock(&p->tier->lock);
    drop(p->e);
    p->tier->open--;
    pthread_mutex_unlock(&p->tier->lock);
    mem->free(p);
}

static int32_t sync_objects(qd_storage *t, const qd_str *names, size_t n, qd_err *err)
{
    int32_t rc = 0;
    pthread_mutex_lock(&t->lock);
    for (size_t i = 0; i < n && rc == 0; i++)
        if (!find(t, names[i])) rc = fail(err, QD_E_NOTFOUND, names[i], "no such object");
    pthread_mutex_unlock(&t->lock);
    return rc;
}

/* --- points --- */

static int32_t publish(qd_storage *t, qd_str name, const void *data, size_t len, qd_err *err)
{
    if (!qd_storage_name_ok(name)) return fail(err, QD_E_ARG, name, "bad name");
    entry *e = make(t, name, QD_STORAGE_POINT);
    int32_t rc = e ? append(t, e, data, len) : QD_E_NOMEM;
    pthread_mutex_lock(&t->lock);
    size_t i = place(t, name);
    if (rc == 0 && find(t, name)) {
        drop(t->entries[i]);
        t->entries[i] = e;
    } else if (rc == 0) {
        rc = insert(t, e);
    }
    if (rc) drop(e);
    pthread_mutex_unlock(&t->lock);
    return rc;
}

static int32_t get(qd_storage *t, qd_str name, void *dst, size_t cap, size_t *len, qd_err *err)
{
    pthread_mutex_lock(&t->lock);
    const entry *e = find(t, name);
    int32_t rc = !e             ? fail(err, QD_E_NOTFOUND, name, "no such object")
                 : e->len > cap ? fail(err, QD_E_LIMIT, name, "longer than the room for it")
                                : 0;
    if (rc == 0) {
        if (e->len) memcpy(dst, e->data, (size_t)e->len);
        *len = (size_t)e->len;
    }
    pthread_mutex_unlock(&t->lock);
    return rc;
}

/* --- names --- */

static void tell(const entry *e, qd_str name, qd_storage_stat *out)
{
    *out = (qd_storage_stat){.name = name, .size = e->len, .type = e->type};
}

static int starts(const entry *e, qd_str prefix)
{
    return strlen(e->name) >= prefix.n && memcmp(e->name, prefix.p, prefix.n) == 0;
}

static int32_t list(qd_storage *t, qd_str prefix,
                    int32_t (*each)(void *arg, const qd_storage_stat *), void *arg, qd_err *err)
{
    int32_t rc = 0;
    (void)err;
    pthread_mutex_lock(&t->lock);
    for (size_t i = place(t, prefix); i < t->n && rc == 0 && starts(t->entries[i], prefix); i++) {
        qd_storage_stat s;
        tell(t->entries[i], qd_plug_str(t->entries[i]->name), &s);
        rc = each(arg, &s);
    }
    pthread_mutex_unlock(&t->lock);
    return rc;
}

static int32_t stat_name(qd_storage *t, qd_str name, qd_storage_stat *out, qd_err *err)
{
    pthread_mutex_lock(&t->lock);
    const entry *e = find(t, name);
    if (e) tell(e, name, out);
    pthread_mutex_unlock(&t->lock);
    return e ? 0 : fail(err, QD_E_NOTFOUND, name, "no such object");
}

static int32_t remove_name(qd_storage *t, qd_str name, qd_err *err)
{
    if (!qd_storage_name_ok(name)) return fail(err, QD_E_ARG, name, "bad name");
    pthread_mutex_lock(&t->lock);
    int there = find(t, name) != NULL;
    if (there) erase(t, place(t, name));
    pthread_mutex_unlock(&t->lock);
    return there ? 0 : fail(err, QD_E_NOTFOUND, name, "no such object");
}

static int32_t remove_tree(qd_storage *t, qd_str folder, qd_err *err)
{
    (void)err;
    pthread_mutex_lock(&t->lock);
    for (size_t i = t->n; i-- > 0;)
        if (starts(t->entries[i], folder) && t->entries[i]->name[folder.n] == '/') erase(t, i);
    pthread_mutex_unlock(&t->lock);
    return 0;
}

static int32_t sync_dir(qd_storage *t, qd_str folder, qd_err *err)
{
    (void)t, (void)folder, (void)err;
    return 0;
}

static const qd_storage_vtable vtable = {
    .head = QD_VTABLE(qd_storage_vtable, STORAGE, 0),
    .open = open_tier,
    .close = close_tier,
    .info = info,
    .capacity = capacity,
    .object_open = object_open,
    .object_close = object_close,
    .read_v = read_v,
    .read_cancel = read_cancel,
    .put_begin = put_begin,
    .put_write = put_write,
    .put_commit = put_commit,
    .put_abort = put_abort,
    .sync_objects = sync_objects,
    .publish = publish,
    .get = get,
    .list = list,
    .stat = stat_name,
    .remove = remove_name,
    .remove_tree = remove_tree,
    .sync_dir = sync_dir,
};

static int32_t init(qd_self *self, const qd_host *host, qd_err *err)
{
    mem = (const qd_svc_mem *)host->service(self, QD_SERVICE_MEM, 0);
    errs = (const qd_svc_err *)host->service(self, QD_SERVICE_ERR, 0);
    loops = (const qd_svc_loop *)host->service(self, QD_SERVICE_LOOP, 0);
    return host->provide(self, QD_KIND_STORAGE, "@NAME@", &vtable, err);
}

static const qd_plugin plugin = {
    QD_PLUGIN_HEAD(0), "@NAME@", "0.1.0", "", QD_BUILD_ID, NULL, NULL, init, NULL, NULL};

QD_PLUGIN_ENTRY(plugin)
QD_PLUGIN_NOTE("@NAME@", "0.1.0", 0, 1, QD_NOTE_FOR(STORAGE))
