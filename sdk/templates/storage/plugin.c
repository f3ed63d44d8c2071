/* @NAME@: a storage tier, storage.tiers.<tier>.plugin: @NAME@. It keeps objects and registers in
 * memory, sorted by name: put your own calls into the slots. What it does not say by its flags
 * (DURABLE, MMAP, APPEND, LAZY, COPY, ...) the host does without: on a tier without APPEND a node
 * with data roles does not start, on one without DURABLE only with
 * storage.tiers.<tier>.unsafe_not_durable: true. */
#include <pthread.h>
#include <quidditch/plugin.h>
#include <quidditch/storage.h>

static const qd_svc_mem *mem;
static const qd_svc_err *errs;
static const qd_svc_loop *loops;
static const qd_svc_clock *clocks;
static const qd_svc_task *tasks;

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

static int32_t fail(const qd_storage_call *call, int32_t code, qd_str name, const char *what)
{
    return qd_plug_fail(errs, call ? call->err : NULL, code, "@NAME@: [%.*s]: %s", (int)name.n,
                        name.p, what);
}

/* For every call that may block, when it begins; one that waits for a disk or a network asks again
 * before each wait. */
static int32_t go_on(const qd_storage *t, const qd_storage_call *call)
{
    int32_t rc = qd_storage_go_on(call, clocks, tasks, t->self);
    return rc ? fail(call, rc, qd_plug_str("tier"), "cancelled, or the deadline has passed") : 0;
}

static int32_t check(const qd_storage *t, qd_str name, const qd_storage_call *call)
{
    return qd_storage_name_ok(name) ? go_on(t, call) : fail(call, QD_E_ARG, name, "bad name");
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
    const qd_storage_call call = {.struct_size = sizeof call, .err = err};
    if (config->noptions)
        return fail(&call, QD_E_CONFIG, config->options[0].key, "unknown option of the tier");
    qd_storage *t = (qd_storage *)mem->calloc(self, sizeof *t);
    if (!t) return QD_E_NOMEM;
    t->self = self;
    pthread_mutex_init(&t->lock, NULL);
    *out = t;
    return 0;
}

static int32_t close_tier(qd_storage *t, qd_err *err)
{
    const qd_storage_call call = {.struct_size = sizeof call, .err = err};
    if (t->open) return fail(&call, QD_E_STATE, qd_plug_str("tier"), "objects or puts are open");
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

static int32_t capacity(qd_storage *t, uint64_t *total, uint64_t *available,
                        const qd_storage_call *call)
{
    int32_t rc = go_on(t, call);
    if (rc == 0) *total = *available = UINT64_MAX; /* no bound */
    return rc;
}

/* --- objects: reading --- */

static int32_t object_open(qd_storage *t, qd_str name, uint64_t known, qd_storage_object **out,
                           uint64_t *len, const qd_storage_call *call)
{
    int32_t rc = check(t, name, call);
    if (rc) return rc;
    qd_storage_object *o = (qd_storage_object *)mem->calloc(t->self, sizeof *o);
    if (!o) return QD_E_NOMEM;
    pthread_mutex_lock(&t->lock);
    o->tier = t;
    o->e = find(t, name);
    if (!o->e)
        rc = fail(call, QD_E_NOTFOUND, name, "no such object");
    else if (known != QD_STORAGE_LEN_UNKNOWN && known != o->e->len)
        rc = fail(call, QD_E_CORRUPT, name, "the object has another length");
    if (rc == 0) {
        o->e->refs++;
        t->open++;
        *out = o;
        *len = o->e->len;
    }
    pthread_mutex_unlock(&t->lock);
    if (rc) mem->free(o);
    return rc;
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
    int32_t rc = go_on(o->tier, r->call);
    if (rc) return rc;
    if (r->flags & QD_STORAGE_READ_SUFFIX) {
        uint64_t n = r->ranges->len < o->e->len ? r->ranges->len : o->e->len;
        if (n) memcpy(r->ranges->dst, o->e->data + o->e->len - n, (size_t)n);
        r->object_len = o->e->len;
        loops->complete(&r->op, 0);
        return 0;
    }
    for (uint32_t i = 0; i < r->nranges && rc == 0; i++) {
        const qd_storage_range *g = &r->ranges[i];
        if (g->offset > o->e->len || g->len > o->e->len - g->offset)
            rc = fail(r->call, QD_E_EOF, qd_plug_str(o->e->name), "range behind the end");
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
                         const qd_storage_call *call)
{
    (void)size;
    int32_t rc = check(t, name, call);
    if (rc) return rc;
    qd_storage_put *p = (qd_storage_put *)mem->calloc(t->self, sizeof *p);
    entry *e = make(t, name, QD_STORAGE_OBJECT);
    rc = p && e ? 0 : QD_E_NOMEM;
    pthread_mutex_lock(&t->lock);
    if (rc == 0 && find(t, name)) rc = fail(call, QD_E_EXISTS, name, "objects are never replaced");
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

static int32_t put_write(qd_storage_put *p, const void *data, size_t len,
                         const qd_storage_call *call)
{
    int32_t rc = go_on(p->tier, call);
    return rc ? rc : append(p->tier, p->e, data, len);
}

static int32_t put_commit(qd_storage_put *p, uint32_t flags, const qd_storage_sum *sum,
                          const qd_storage_call *call)
{
    qd_storage *t = p->tier;
    qd_str name = qd_plug_str(p->e->name);
    (void)flags, (void)sum; /* with the flag CHECKSUM: compare, or hand it to the service */
    int32_t rc = go_on(t, call);
    if (rc == QD_E_TIMEOUT) return rc; /* the put lives on */
    pthread_mutex_lock(&t->lock);
    if (rc == 0)
        rc = find(t, name) ? fail(call, QD_E_EXISTS, name, "objects are never replaced")
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

/* --- registers --- */

static int32_t publish(qd_storage *t, qd_str name, const void *data, size_t len, char *tag,
                       const qd_storage_call *call)
{
    int32_t rc = check(t, name, call);
    if (rc) return rc;
    if (tag) tag[0] = 0; /* with the flag CONDITIONAL_PUT: the new tag */
    entry *e = make(t, name, QD_STORAGE_REGISTER);
    rc = e ? append(t, e, data, len) : QD_E_NOMEM;
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

static int32_t get(qd_storage *t, qd_str name, void *dst, size_t cap, size_t *len, char *tag,
                   const qd_storage_call *call)
{
    int32_t rc = check(t, name, call);
    if (rc) return rc;
    if (tag) tag[0] = 0;
    pthread_mutex_lock(&t->lock);
    const entry *e = find(t, name);
    rc = !e             ? fail(call, QD_E_NOTFOUND, name, "no such object")
         : e->len > cap ? fail(call, QD_E_LIMIT, name, "longer than the room for it")
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

/* The folder behind the prefix that a name is in, as "a/b/"; the name itself when it is in none. */
static qd_str folded(const qd_storage_list *l, qd_str name)
{
    size_t i;
    for (i = l->prefix.n; l->flags & QD_STORAGE_LIST_FOLDERS && i < name.n; i++) {
        if (name.p[i] != '/') continue;
        name.n = i + 1;
        break;
    }
    return name;
}

static int32_t list(qd_storage *t, qd_storage_list *l, const qd_storage_call *call)
{
    int32_t rc = go_on(t, call);
    if (rc) return rc;
    if (l->limit == 0 || l->limit > QD_STORAGE_NAMES_MAX)
        return fail(call, QD_E_ARG, l->prefix, "a page of no or too many names");
    l->nentries = l->more = 0;
    pthread_mutex_lock(&t->lock);
    size_t from = place(t, l->prefix), after = place(t, l->start_after);
    qd_str last = l->start_after;
    for (size_t i = after > from ? after : from; i < t->n && !l->more; i++) {
        const entry *e = t->entries[i];
        qd_str name = folded(l, qd_plug_str(e->name));
        if (!starts(e, l->prefix)) break;
        /* Names are sorted: those of a folder that is told stand behind it, one after the other. */
        if (last.n && strlen(e->name) >= last.n && memcmp(e->name, last.p, last.n) == 0 &&
            (last.p[last.n - 1] == '/' || strlen(e->name) == last.n))
            continue;
        l->more = l->nentries == l->limit;
        if (l->more) break;
        char *copy = l->names + (size_t)l->nentries * 256;
        memcpy(copy, name.p, name.n);
        last.p = copy;
        last.n = name.n;
        tell(e, last, &l->entries[l->nentries]);
        if (name.p[name.n - 1] == '/') l->entries[l->nentries].type = QD_STORAGE_FOLDER;
        l->nentries++;
    }
    pthread_mutex_unlock(&t->lock);
    return 0;
}

static int32_t stat_name(qd_storage *t, qd_str name, qd_storage_stat *out,
                         const qd_storage_call *call)
{
    int32_t rc = check(t, name, call);
    if (rc) return rc;
    pthread_mutex_lock(&t->lock);
    const entry *e = find(t, name);
    if (e) tell(e, name, out);
    pthread_mutex_unlock(&t->lock);
    return e ? 0 : fail(call, QD_E_NOTFOUND, name, "no such object");
}

static int32_t remove_names(qd_storage *t, const qd_str *names, uint32_t n, uint32_t *removed,
                            const qd_storage_call *call)
{
    uint32_t gone = 0;
    if (n == 0 || n > QD_STORAGE_NAMES_MAX)
        return fail(call, QD_E_ARG, qd_plug_str("tier"), "no or too many names to remove");
    for (uint32_t i = 0; i < n; i++) {
        int32_t rc = check(t, names[i], call);
        if (rc) return rc;
        pthread_mutex_lock(&t->lock);
        if (find(t, names[i])) {
            erase(t, place(t, names[i]));
            gone++;
        }
        pthread_mutex_unlock(&t->lock);
    }
    if (removed) *removed = gone;
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
    .publish = publish,
    .get = get,
    .list = list,
    .stat = stat_name,
    .remove = remove_names,
};

static int32_t init(qd_self *self, const qd_host *host, qd_err *err)
{
    mem = (const qd_svc_mem *)host->service(self, QD_SERVICE_MEM, 0);
    errs = (const qd_svc_err *)host->service(self, QD_SERVICE_ERR, 0);
    loops = (const qd_svc_loop *)host->service(self, QD_SERVICE_LOOP, 0);
    clocks = (const qd_svc_clock *)host->service(self, QD_SERVICE_CLOCK, 0);
    tasks = (const qd_svc_task *)host->service(self, QD_SERVICE_TASK, 0);
    if (!mem || !errs || !loops || !clocks || !tasks) return qd_plug_no_service(host, self, err);
    return host->provide(self, QD_KIND_STORAGE, "@NAME@", &vtable, err);
}

static const qd_plugin plugin = {QD_PLUGIN_HEAD(0), "@NAME@", "0.1.0", "",
                                 QD_PLUGIN_TAIL(NULL, init, NULL, NULL)};

QD_PLUGIN_ENTRY(plugin)
QD_PLUGIN_NOTE("@NAME@", "0.1.0", 0, 1, QD_NOTE_FOR(STORAGE))
