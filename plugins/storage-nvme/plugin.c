/* plugin.c: descriptor, settings, opening and closing of tiers. */
#include "nvme.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const qd_host *the_host; /* one table for every node of the process */

int32_t nvme_fail(qd_storage *t, const qd_storage_call *call, int32_t code, const char *format, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    if (!call || !call->err) return code;
    qd_str s = {text, n < 0 ? 0 : (size_t)n < sizeof text ? (size_t)n : sizeof text - 1};
    return t->plugin->err->set(call->err, code, s);
}

static int32_t code_of(int number)
{
    switch (number) {
    case ENOENT:
    case ENOTDIR:
        return QD_E_NOTFOUND;
    case EEXIST:
    case ENOTEMPTY:
        return QD_E_EXISTS;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return QD_E_NOSPACE;
    case EACCES:
    case EPERM:
    case EROFS:
        return QD_E_PERMISSION;
    case ENOMEM:
        return QD_E_NOMEM;
    case EMFILE:
    case ENFILE:
        return QD_E_LIMIT;
    default:
        return QD_E_IO;
    }
}

int32_t nvme_errno(qd_storage *t, const qd_storage_call *call, int number, const char *what,
                   qd_str name)
{
    char words[128];
    const char *w = strerror_r(number, words, sizeof words);
    return nvme_fail(t, call, code_of(number), "%s \"%.*s\": %s", what, (int)name.n, name.p, w);
}

int nvme_point(qd_storage *t, const char *name)
{
    if (!t->plugin->fault) return 0;
    int32_t rc = t->plugin->fault->point(t->plugin->self, name);
    return rc == 0 ? 0 : rc == QD_E_NOSPACE ? ENOSPC : rc == QD_E_NOMEM ? ENOMEM : EIO;
}

static int plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '+' || c == '-';
}

int32_t nvme_go_on(qd_storage *t, const qd_storage_call *call)
{
    const nvme_plugin *p = t->plugin;
    int32_t rc = qd_storage_go_on(call, p->clock, p->task, p->self);
    if (!rc) return 0;
    return nvme_fail(t, call, rc, rc == QD_E_TIMEOUT ? "the deadline has passed" : "cancelled");
}

int32_t nvme_name_check(qd_storage *t, qd_str name, const qd_storage_call *call)
{
    int good = name.n > 0 && name.n <= 255, begins = 1;
    for (size_t i = 0; good && i < name.n; i++) {
        char c = name.p[i];
        if (begins && (c == '.' || c == '/')) good = 0;
        if (c != '/' && !plain(c)) good = 0;
        begins = c == '/';
    }
    if (good && !begins) return nvme_go_on(t, call);
    return nvme_fail(t, call, QD_E_ARG, "invalid name \"%.*s\"", (int)(name.n < 80 ? name.n : 80),
                     name.p);
}

int32_t nvme_writable(qd_storage *t, qd_str name, const qd_storage_call *call)
{
    int32_t rc = nvme_name_check(t, name, call);
    if (rc || !t->read_only) return rc;
    return nvme_fail(t, call, QD_E_PERMISSION, "\"%.*s\": the tier is open for reading only",
                     (int)name.n, name.p);
}

/* A count of bytes as the host writes it: digits with k, m or g and b behind. */
static int parse_bytes(qd_str s, uint64_t *out)
{
    uint64_t v = 0;
    size_t i = 0;
    for (; i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; i++) {
        if (v > UINT64_MAX / 32) return 0;
        v = v * 10 + (uint64_t)(s.p[i] - '0');
    }
    if (i == 0) return 0;
    char unit = i < s.n ? (char)(s.p[i] | 32) : 'b';
    unsigned shift = unit == 'k' ? 10 : unit == 'm' ? 20 : unit == 'g' ? 30 : 0;
    if (shift) i++;
    if (i < s.n && (s.p[i] | 32) == 'b') i++;
    if (i != s.n || v > UINT64_MAX >> shift) return 0;
    *out = v << shift;
    return 1;
}

static int32_t take_options(qd_storage *t, const qd_storage_config *c, const qd_storage_call *call)
{
    t->direct_min = 256ull << 20;
    t->log_chunk = 1u << 20;
    t->threads = 4;
    t->use_uring = 1;
    t->reserve = c->reserve;
    for (uint32_t i = 0; i < c->noptions; i++) {
        const qd_pair *o = &c->options[i];
        uint64_t v = 0;
        int truth = qd_plug_is(o->value, "true") ? 1 : qd_plug_is(o->value, "false") ? 0 : -1;
        int bytes = parse_bytes(o->value, &v), good = 1;
        if (qd_plug_is(o->key, "read_only") && truth >= 0) {
            t->read_only = (uint32_t)truth;
        } else if (qd_plug_is(o->key, "io_uring") && truth >= 0) {
            t->use_uring = (uint32_t)truth;
        } else if (qd_plug_is(o->key, "direct_min") && bytes) {
            t->direct_min = v;
        } else if (qd_plug_is(o->key, "log_chunk") && bytes && v <= 1ull << 30) {
            t->log_chunk = v;
        } else if (qd_plug_is(o->key, "read_threads") && bytes && v >= 1 && v <= 64) {
            t->threads = (uint32_t)v;
        } else {
            good = 0;
        }
        if (!good) {
            return nvme_fail(
                t, call, QD_E_CONFIG,
                "storage.tiers.%.*s.%.*s: unknown option or bad value \"%.*s\" (known: "
                "read_only, io_uring, direct_min, log_chunk, read_threads)",
                (int)c->tier.n, c->tier.p, (int)o->key.n, o->key.p, (int)o->value.n, o->value.p);
        }
    }
    return 0;
}

static int32_t open_folders(qd_storage *t, const qd_storage_config *c, const qd_storage_call *call)
{
    char path[4096];
    if (c->path.n == 0 || c->path.n >= sizeof path) {
        return nvme_fail(t, call, QD_E_ARG, "path of tier %.*s is empty or too long",
                         (int)c->tier.n, c->tier.p);
    }
    memcpy(path, c->path.p, c->path.n);
    path[c->path.n] = 0;
    t->root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (t->root < 0) return nvme_errno(t, call, errno, "opening folder", c->path);
    if (t->read_only) return 0;
    if (mkdirat(t->root, ".tmp", 0700) != 0 && errno != EEXIST) {
        return nvme_errno(t, call, errno, "creating .tmp in", c->path);
    }
    t->tmp = openat(t->root, ".tmp", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (t->tmp < 0) return nvme_errno(t, call, errno, "opening .tmp in", c->path);
    int number = nvme_empty(openat(t->tmp, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), 0);
    if (!number) number = nvme_sync_fd(t, t->root);
    if (number) return nvme_errno(t, call, number, "emptying .tmp in", c->path);
    nvme_reserve_fill(t);
    return 0;
}

static void tier_free(qd_storage *t)
{
    const qd_svc_mem *mem = t->plugin->mem;
    nvme_readers_stop(t);
    nvme_sweep_end(t);
    nvme_lazy_drop(t, QD_STR(""));
    nvme_unsettle(t, QD_STR(""));
    if (t->tmp >= 0) close(t->tmp);
    if (t->root >= 0) close(t->root);
    pthread_rwlock_destroy(&t->publishing);
    pthread_mutex_destroy(&t->lock);
    mem->free(t);
}

static int32_t tier_open(qd_self *self, const qd_storage_config *c, qd_storage **out, qd_err *err)
{
    nvme_plugin *p = the_host->data(self);
    qd_storage *t = p->mem->calloc(self, sizeof *t);
    if (!t) return p->err->set(err, QD_E_NOMEM, QD_STR("out of memory: tier"));
    t->plugin = p;
    t->root = t->tmp = -1;
    pthread_mutex_init(&t->lock, NULL);
    pthread_rwlock_init(&t->publishing, NULL);
    const qd_storage_call call = {.struct_size = sizeof call, .err = err};
    p->rand->bytes(self, &t->serial, sizeof t->serial);
    int32_t rc = take_options(t, c, &call);
    t->sweep.state = -1;
    if (!rc) rc = open_folders(t, c, &call);
    if (!rc && !t->read_only) nvme_sweep_start(t);
    if (rc) {
        tier_free(t);
        return rc;
    }
    *out = t;
    return 0;
}

static int32_t tier_close(qd_storage *t, qd_err *err)
{
    uint32_t open = __atomic_load_n(&t->open, __ATOMIC_ACQUIRE);
    const qd_storage_call call = {.struct_size = sizeof call, .err = err};
    if (open)
        return nvme_fail(t, &call, QD_E_STATE, "%u objects or logs of the tier are open", open);
    tier_free(t);
    return 0;
}

static void tier_info(qd_storage *t, qd_storage_info *out)
{
    (void)t;
    qd_storage_info i = {.read_align = 4096,
                         .publish_max = 32u << 20,
                         .object_max = 1ull << 44,
                         .read_size = 64 << 10,
                         .request_ns = 80000,
                         .request_cost = 1,
                         .reads_in_flight = 128,
                         .put_ns = 1000000, /* two syncs */
                         .put_cost = 20,
                         .list_cost = 2,
                         .remove_cost = 10};
    uint32_t n = out->struct_size < sizeof i ? out->struct_size : (uint32_t)sizeof i;
    i.struct_size = n;
    memcpy(out, &i, n);
}

static const qd_storage_vtable storage = {
    .head = QD_VTABLE(qd_storage_vtable, STORAGE,
                      QD_STORAGE_DURABLE | QD_STORAGE_MMAP | QD_STORAGE_APPEND |
                          QD_STORAGE_CONDITIONAL_PUT | QD_STORAGE_RENAME | QD_STORAGE_LAZY |
                          QD_STORAGE_TREE | QD_STORAGE_COPY),
    .open = tier_open,
    .close = tier_close,
    .info = tier_info,
    .capacity = nvme_capacity,
    .object_open = nvme_object_open,
    .object_close = nvme_object_close,
    .object_map = nvme_object_map,
    .read_v = nvme_read_v,
    .read_cancel = nvme_read_cancel,
    .put_begin = nvme_put_begin,
    .put_write = nvme_put_write,
    .put_commit = nvme_put_commit,
    .put_abort = nvme_put_abort,
    .sync_objects = nvme_sync_objects,
    .publish = nvme_publish,
    .publish_if = nvme_publish_if,
    .get = nvme_get,
    .log_open = nvme_log_open,
    .log_append_v = nvme_log_append_v,
    .log_sync = nvme_log_sync,
    .log_read = nvme_log_read,
    .log_truncate = nvme_log_truncate,
    .log_close = nvme_log_close,
    .list = nvme_list,
    .stat = nvme_stat,
    .remove = nvme_remove,
    .remove_tree = nvme_remove_tree,
    .rename = nvme_rename,
    .copy = nvme_copy,
    .sync_dir = nvme_sync_dir,
};

static int32_t init(qd_self *self, const qd_host *host, qd_err *err)
{
    const qd_svc_mem *mem = host->service(self, QD_SERVICE_MEM, QD_ABI_MINOR);
    const qd_svc_err *e = host->service(self, QD_SERVICE_ERR, QD_ABI_MINOR);
    if (!mem || !e) return QD_E_ABI;
    nvme_plugin *p = mem->calloc(self, sizeof *p);
    if (!p) return e->set(err, QD_E_NOMEM, QD_STR("out of memory: plugin storage-nvme"));
    *p = (nvme_plugin){.self = self,
                       .mem = mem,
                       .log = host->service(self, QD_SERVICE_LOG, QD_ABI_MINOR),
                       .err = e,
                       .loop = host->service(self, QD_SERVICE_LOOP, QD_ABI_MINOR),
                       .rand = host->service(self, QD_SERVICE_RAND, QD_ABI_MINOR),
                       .fault = host->service(self, QD_SERVICE_FAULT, QD_ABI_MINOR),
                       .clock = host->service(self, QD_SERVICE_CLOCK, QD_ABI_MINOR),
                       .task = host->service(self, QD_SERVICE_TASK, QD_ABI_MINOR)};
    if (!p->log || !p->loop || !p->rand || !p->clock || !p->task) {
        mem->free(p);
        return e->set(err, QD_E_ABI, QD_STR("the host lacks a service that storage-nvme needs"));
    }
    the_host = host;
    host->data_set(self, p);
    int32_t rc = host->provide(self, QD_KIND_STORAGE, "storage-nvme", &storage, err);
    if (rc) {
        host->data_set(self, NULL);
        mem->free(p);
    }
    return rc;
}

static void stop(qd_self *self, void (*done)(void *arg), void *arg)
{
    nvme_plugin *p = the_host->data(self);
    the_host->data_set(self, NULL);
    p->mem->free(p);
    done(arg);
}

static const qd_plugin plugin = {QD_PLUGIN_HEAD(QD_PLUGIN_SPAWNS_THREADS), "storage-nvme", "0.1.0",
                                 "Apache-2.0", QD_PLUGIN_TAIL(NULL, init, NULL, stop)};
QD_PLUGIN_ENTRY(plugin)
QD_PLUGIN_NOTE("storage-nvme", "0.1.0", QD_PLUGIN_SPAWNS_THREADS, 1, QD_NOTE_FOR(STORAGE))
