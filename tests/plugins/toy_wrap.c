/*
 * toy_wrap.c: a storage tier over the tier that plugin.<name>.over names. It looks the other one up
 * in its init, takes over its flags, and passes every call on; reads go by operations of its own.
 * With TOY_LATE it provides a token filter instead and looks up in start. The settings `thread` and
 * `minor` make the look-up one that is refused.
 */
#include <pthread.h>
#include <quidditch/analyzer.h>
#include <quidditch/plugin.h>
#include <quidditch/storage.h>

static const qd_svc_mem *mem;
static const qd_svc_err *errs;
static const qd_svc_conf *conf;
static const qd_svc_loop *loops;

/* One plugin in one node. */
typedef struct world {
    const qd_host *host;
    const qd_storage_vtable *over;
    qd_self *owner;
    qd_storage_vtable table;
} world;

static const qd_host *hosts;

static world *world_of(qd_self *self)
{
    return (world *)hosts->data(self);
}

struct qd_storage {
    const qd_storage_vtable *over;
    qd_self *self;
    qd_storage *inner;
};
struct qd_storage_object {
    qd_storage *tier;
    qd_storage_object *inner;
};
/* A read on its way through the other tier. */
typedef struct passed {
    qd_storage_read r;
    qd_storage_read *outer;
} passed;

static int32_t tier_open(qd_self *self, const qd_storage_config *config, qd_storage **out,
                         qd_err *err)
{
    const world *w = world_of(self);
    qd_storage *t = (qd_storage *)mem->calloc(self, sizeof *t);
    if (!t) return QD_E_NOMEM;
    t->over = w->over;
    t->self = self;
    int32_t rc = w->over->open(w->owner, config, &t->inner, err);
    if (rc)
        mem->free(t);
    else
        *out = t;
    return rc;
}

static int32_t tier_close(qd_storage *t, qd_err *err)
{
    int32_t rc = t->over->close(t->inner, err);
    if (rc == 0) mem->free(t);
    return rc;
}

static int32_t pass_object_open(qd_storage *t, qd_str name, uint64_t known, qd_storage_object **out,
                                uint64_t *len, const qd_storage_call *call)
{
    qd_storage_object *o = (qd_storage_object *)mem->calloc(t->self, sizeof *o);
    if (!o) return QD_E_NOMEM;
    o->tier = t;
    int32_t rc = t->over->object_open(t->inner, name, known, &o->inner, len, call);
    if (rc)
        mem->free(o);
    else
        *out = o;
    return rc;
}
static void pass_object_close(qd_storage_object *o)
{
    o->tier->over->object_close(o->inner);
    mem->free(o);
}
static int32_t pass_object_map(qd_storage_object *o, uint64_t len, const uint8_t **data,
                               const qd_storage_call *call)
{
    return o->tier->over->object_map(o->inner, len, data, call);
}

static void read_done(qd_op *op, int32_t rc)
{
    passed *p = (passed *)op->user;
    qd_storage_read *outer = p->outer;
    outer->object_len = p->r.object_len;
    mem->free(p);
    loops->complete(&outer->op, rc);
}
static int32_t pass_read_v(qd_storage_object *o, qd_storage_read *r)
{
    passed *p = (passed *)mem->calloc(o->tier->self, sizeof *p);
    if (!p) return QD_E_NOMEM;
    p->r.ranges = r->ranges;
    p->r.nranges = r->nranges;
    p->r.flags = r->flags;
    p->r.call = r->call;
    p->outer = r;
    r->plugin[0] = p;
    loops->prepare(&p->r.op, read_done, p);
    int32_t rc = o->tier->over->read_v(o->inner, &p->r);
    if (rc) mem->free(p);
    return rc;
}
static void pass_read_cancel(qd_storage_object *o, qd_storage_read *r)
{
    o->tier->over->read_cancel(o->inner, &((passed *)r->plugin[0])->r);
}

/* Slots that take the tier; puts and logs are the other tier's own. */
#define PASS(name, params, args)                                                                   \
    static int32_t pass_##name params                                                              \
    {                                                                                              \
        return t->over->name args;                                                                 \
    }
#define CALL const qd_storage_call *call
static void pass_info(qd_storage *t, qd_storage_info *out)
{
    t->over->info(t->inner, out);
}
PASS(capacity, (qd_storage * t, uint64_t *total, uint64_t *available, CALL),
     (t->inner, total, available, call))
PASS(put_begin, (qd_storage * t, qd_str name, uint64_t size, qd_storage_put **out, CALL),
     (t->inner, name, size, out, call))
PASS(sync_objects, (qd_storage * t, const qd_str *names, size_t n, CALL),
     (t->inner, names, n, call))
PASS(publish, (qd_storage * t, qd_str name, const void *data, size_t len, char *tag, CALL),
     (t->inner, name, data, len, tag, call))
PASS(publish_if,
     (qd_storage * t, qd_str name, const void *data, size_t len, qd_str expected, char *tag, CALL),
     (t->inner, name, data, len, expected, tag, call))
PASS(get, (qd_storage * t, qd_str name, void *dst, size_t cap, size_t *len, char *tag, CALL),
     (t->inner, name, dst, cap, len, tag, call))
PASS(log_open,
     (qd_storage * t, qd_str name, uint32_t flags, qd_storage_log **out, uint64_t *end, CALL),
     (t->inner, name, flags, out, end, call))
PASS(list, (qd_storage * t, qd_storage_list *l, CALL), (t->inner, l, call))
PASS(stat, (qd_storage * t, qd_str name, qd_storage_stat *out, CALL), (t->inner, name, out, call))
PASS(remove, (qd_storage * t, const qd_str *names, uint32_t n, uint32_t *removed, CALL),
     (t->inner, names, n, removed, call))
PASS(remove_tree, (qd_storage * t, qd_str folder, CALL), (t->inner, folder, call))
PASS(rename, (qd_storage * t, qd_str from, qd_str to, CALL), (t->inner, from, to, call))
PASS(copy, (qd_storage * t, qd_str from, qd_str to, CALL), (t->inner, from, to, call))
PASS(sync_dir, (qd_storage * t, qd_str folder, CALL), (t->inner, folder, call))

/* The other tier's table, with the slots above in place of its own where it has them. */
__attribute__((unused)) static void take_over(world *w)
{
    qd_storage_vtable *v = &w->table;
    *v = *w->over;
    v->head.struct_size = sizeof *v;
#define MINE(slot)                                                                                 \
    if (v->slot) v->slot = pass_##slot
    v->open = tier_open;
    v->close = tier_close;
    MINE(info);
    MINE(capacity);
    MINE(object_open);
    MINE(object_close);
    MINE(object_map);
    MINE(read_v);
    MINE(read_cancel);
    MINE(put_begin);
    MINE(sync_objects);
    MINE(publish);
    MINE(publish_if);
    MINE(get);
    MINE(log_open);
    MINE(list);
    MINE(stat);
    MINE(remove);
    MINE(remove_tree);
    MINE(rename);
    MINE(copy);
    MINE(sync_dir);
}

static int32_t look_up(qd_self *self, qd_err *err)
{
    world *w = world_of(self);
    const void *vt;
    qd_str over;
    char name[64] = "";
    int64_t minor;
    conf->str(self, "over", &over);
    conf->i64(self, "minor", &minor);
    if (over.n < sizeof name) memcpy(name, over.p, over.n);
    int32_t rc = minor < 0 ? QD_LOOKUP(w->host, self, STORAGE, name, &vt, &w->owner, err)
                           : w->host->lookup(self, QD_KIND_STORAGE, name, 0, (uint16_t)minor, &vt,
                                             &w->owner, err);
    if (rc == 0) w->over = (const qd_storage_vtable *)vt;
    return rc;
}

/* Refused whatever happens: nothing is given, and nothing breaks. */
static int32_t bad_calls(qd_self *self, const qd_host *host, qd_err *err)
{
    const void *vt = NULL;
    qd_self *owner = NULL;
    if (host->lookup(NULL, QD_KIND_STORAGE, "x", 0, 2, &vt, &owner, NULL) != QD_E_ARG ||
        host->lookup(self, QD_KIND_STORAGE, NULL, 0, 2, &vt, &owner, NULL) != QD_E_ARG ||
        host->lookup(self, QD_KIND_STORAGE, "x", 0, 2, NULL, &owner, NULL) != QD_E_ARG ||
        host->lookup(self, QD_KIND_STORAGE, "x", 0, 2, &vt, NULL, NULL) != QD_E_ARG ||
        host->lookup(self, 99, "x", 0, 2, &vt, &owner, NULL) != QD_E_ABI || vt || owner)
        return qd_plug_fail(errs, err, QD_E_INTERNAL, "a bad look-up was not refused");
    return 0;
}

#ifdef TOY_LATE
static int32_t filter_open(qd_self *self, const qd_analyzer_config *config, void **out, qd_err *err)
{
    (void)config, (void)err;
    *out = self;
    return 0;
}
static int32_t filter_run(const void *filter, qd_token_batch *in, qd_token_batch *out, qd_err *err)
{
    (void)filter, (void)in, (void)out, (void)err;
    return 1;
}
static void filter_close(void *filter)
{
    (void)filter;
}
static const qd_token_filter_vtable filter = {QD_VTABLE(qd_token_filter_vtable, TOKEN_FILTER, 0),
                                              filter_open, filter_run, filter_close};
#endif

static int32_t init(qd_self *self, const qd_host *host, qd_err *err)
{
    mem = (const qd_svc_mem *)host->service(self, QD_SERVICE_MEM, 0);
    errs = (const qd_svc_err *)host->service(self, QD_SERVICE_ERR, 0);
    conf = (const qd_svc_conf *)host->service(self, QD_SERVICE_CONF, 0);
    loops = (const qd_svc_loop *)host->service(self, QD_SERVICE_LOOP, 0);
    if (!mem || !errs || !conf || !loops) return qd_plug_no_service(host, self, err);
    if (!QD_HAS_SLOT(loops, prepare))
        return qd_plug_fail(errs, err, QD_E_ABI, "the host has no prepare");
    world *w = (world *)mem->calloc(self, sizeof *w);
    if (!w) return QD_E_NOMEM;
    hosts = w->host = host;
    host->data_set(self, w);
    int32_t rc = bad_calls(self, host, err);
#ifdef TOY_LATE
    return rc ? rc : host->provide(self, QD_KIND_TOKEN_FILTER, TOY_NAME, &filter, err);
#else
    if (rc == 0) rc = look_up(self, err);
    if (rc == 0) take_over(w);
    if (rc == 0) rc = host->provide(self, QD_KIND_STORAGE, TOY_NAME, &w->table, err);
    if (rc) mem->free(w), host->data_set(self, NULL);
    return rc;
#endif
}

typedef struct other {
    qd_self *self;
    qd_err *err;
    int32_t rc, reserved;
} other;

static void *other_thread(void *arg)
{
    other *o = (other *)arg;
    o->rc = look_up(o->self, o->err);
    return NULL;
}

static int32_t start(qd_self *self, qd_err *err)
{
    int64_t thread = 0;
    other o = {self, err, 0, 0};
    pthread_t t;
    conf->i64(self, "thread", &thread);
#ifdef TOY_LATE
    if (!thread) return look_up(self, err);
#endif
    if (!thread) return 0;
    if (pthread_create(&t, NULL, other_thread, &o)) return QD_E_NOMEM;
    pthread_join(t, NULL);
    return o.rc;
}

/* What was looked up is still there. */
static void stop(qd_self *self, void (*done)(void *arg), void *arg)
{
    world *w = world_of(self);
    if (w && w->over && w->over->head.struct_size == 0) __builtin_trap();
    mem->free(w);
    hosts->data_set(self, NULL);
    done(arg);
}

static const qd_plugin_conf settings[] = {
    {"over", QD_PCONF_STRING, 0, "toy-volatile", NULL, 0, 0, "the tier below", NULL},
    {"minor", QD_PCONF_INT, 0, "-1", NULL, -1, 99, "of the kind, where it lies", NULL},
    {"thread", QD_PCONF_BOOL, 0, "false", NULL, 0, 0, "looks up on another thread", NULL},
    {NULL, 0, 0, NULL, NULL, 0, 0, NULL, NULL},
};
static const qd_plugin plugin = {QD_PLUGIN_HEAD(0), TOY_NAME, "1.0.0", "Apache-2.0",
                                 QD_PLUGIN_TAIL(settings, init, start, stop)};
QD_PLUGIN_ENTRY(plugin)
#ifdef TOY_LATE
QD_PLUGIN_NOTE(TOY_NAME, "1.0.0", 0, 1, QD_NOTE_FOR(TOKEN_FILTER))
#else
QD_PLUGIN_NOTE(TOY_NAME, "1.0.0", 0, 1, QD_NOTE_FOR(STORAGE))
#endif
