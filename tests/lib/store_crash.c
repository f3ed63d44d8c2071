/* store_crash.c: the storage kind's vtable over the simulated disk, faults, late completions. */
#include "base/hash.h"
#include "base/str.h"
#include "lib/store_adverse.h"
#include "lib/store_crash_int.h"
#include "plugin/op.h"
#include "runtime/task.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct qd_storage {
    store_crash *disk;
    uint32_t open;
};
struct qd_storage_object {
    qd_storage *tier;
    inode *node;
    char *name;
};
struct qd_storage_put {
    qd_storage *tier;
    inode *node;
    char *name;
};
struct qd_storage_log {
    qd_storage *tier;
    inode *node;
    char *name;
    bool dead;
};

static uint64_t late_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void *xcalloc(size_t n)
{
    void *p = calloc(1, n);
    if (!p) abort();
    return p;
}

static char *xname(qd_str s)
{
    char *p = xcalloc(s.n + 1);
    memcpy(p, s.p, s.n);
    return p;
}

static void hold(store_crash *d)
{
    pthread_mutex_lock(&d->lock);
}
static void let_go(store_crash *d)
{
    pthread_mutex_unlock(&d->lock);
}

/* What a sync takes. */
static void take_time(store_crash *d)
{
    if (d->pause) d->pause(d->pause_arg);
}

void store_crash_pause(store_crash *d, void (*pause)(void *arg), void *arg)
{
    hold(d);
    d->pause = pause;
    d->pause_arg = arg;
    let_go(d);
}

static int32_t fail(const qd_storage_call *call, int rc, const char *what, qd_str name)
{
    if (rc >= 0) return 0;
    return qd_err_set(call ? call->err : NULL, rc, "%s %.*s: %s (crashing store)", what,
                      QD_STR_ARG(name), qd_code_name(rc));
}

/* The contract's rule of names, once more. */
static int32_t bad_name(qd_str name, const qd_storage_call *call)
{
    bool good = name.n > 0 && name.n <= 255, begins = true;
    for (size_t i = 0; good && i < name.n; i++) {
        char c = name.p[i];
        if (begins && (c == '.' || c == '/')) good = false;
        begins = c == '/';
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!plain && (c == 0 || !strchr("._+-/", c))) good = false;
    }
    return good && !begins ? 0 : fail(call, QD_E_ARG, "bad name", qd_str_sub(name, 0, 80));
}

/* 0, or the call was cancelled or its deadline has passed. */
static int32_t go_on(const qd_storage_call *call)
{
    if (!call) return 0;
    if (call->task && qd_task_stopped(call->task)) return QD_E_CANCELLED;
    return call->deadline_ns && (int64_t)late_now() >= call->deadline_ns ? QD_E_TIMEOUT : 0;
}

/* ---- tier -------------------------------------------------------------------------------------
 */

qd_storage *store_crash_handle(store_crash *d)
{
    qd_storage *t = xcalloc(sizeof *t);
    t->disk = d;
    hold(d);
    d->handles++;
    let_go(d);
    return t;
}

static store_crash *served;

void store_crash_serve(store_crash *d)
{
    served = d;
}

static int32_t tier_open(qd_self *self, const qd_storage_config *c, qd_storage **out, qd_err *err)
{
    (void)self, (void)c;
    if (!served) return qd_err_set(err, QD_E_STATE, "no disk is served: store_crash_serve");
    *out = store_crash_handle(served);
    return 0;
}

static int32_t tier_close(qd_storage *t, qd_err *err)
{
    if (t->open) return qd_err_set(err, QD_E_STATE, "%u handles are open", t->open);
    hold(t->disk);
    t->disk->handles--;
    let_go(t->disk);
    free(t);
    return 0;
}

static void tier_info(qd_storage *t, qd_storage_info *out)
{
    qd_storage_info i = {.struct_size = out->struct_size,
                         .read_align = 1,
                         .publish_max = 32 << 20,
                         .object_max = 1ull << 40,
                         .read_size = 4096,
                         .request_ns = t->disk->options.late_us * 1000ll,
                         .put_cost = 1,
                         .reads_in_flight = 64};
    memcpy(out, &i, out->struct_size < sizeof i ? out->struct_size : sizeof i);
}

static int32_t tier_capacity(qd_storage *t, uint64_t *total, uint64_t *available,
                             const qd_storage_call *call)
{
    store_crash *d = t->disk;
    hold(d);
    int rc = go_on(call);
    if (!rc) rc = disk_step(d, STORE_CRASH_READS);
    if (!rc) {
        *total = d->options.capacity ? d->options.capacity : 1ull << 40;
        *available = *total > d->used ? *total - d->used : 0;
    }
    let_go(d);
    return fail(call, rc, "capacity", QD_STR("tier"));
}

/* ---- objects ----------------------------------------------------------------------------------
 */

static int32_t object_open(qd_storage *t, qd_str name, uint64_t known, qd_storage_object **out,
                           uint64_t *len, const qd_storage_call *call)
{
    if (bad_name(name, call)) return QD_E_ARG;
    if (!qd_storage_name_ok(name)) return fail(call, QD_E_ARG, "opening", name);
    store_crash *d = t->disk;
    hold(d);
    inode *i = disk_find(d, name);
    int rc = go_on(call);
    if (!rc) rc = disk_step(d, STORE_CRASH_READS);
    if (!rc && !i) rc = QD_E_NOTFOUND;
    if (!rc && known != QD_STORAGE_LEN_UNKNOWN && known != i->len) rc = QD_E_CORRUPT;
    if (!rc) {
        qd_storage_object *o = xcalloc(sizeof *o);
        *o = (qd_storage_object){t, inode_ref(i), xname(name)};
        t->open++;
        *out = o;
        *len = i->len;
    }
    let_go(d);
    return fail(call, rc, "opening", name);
}

static void object_close(qd_storage_object *o)
{
    store_crash *d = o->tier->disk;
    hold(d);
    o->tier->open--;
    inode_unref(d, o->node);
    let_go(d);
    free(o->name);
    free(o);
}

static int32_t object_map(qd_storage_object *o, uint64_t len, const uint8_t **data,
                          const qd_storage_call *call)
{
    store_crash *d = o->tier->disk;
    hold(d);
    int rc = go_on(call);
    if (!rc) rc = disk_step(d, STORE_CRASH_READS);
    if (!rc && (o->node->len != len || len == 0)) rc = QD_E_CORRUPT;
    if (!rc) *data = o->node->data;
    let_go(d);
    return fail(call, rc, "mapping", qd_str_c(o->name));
}

static int read_ranges(store_crash *d, const qd_storage_object *o, qd_storage_read *r)
{
    hold(d);
    int rc = 0;
    for (uint32_t i = 0; !rc && i < r->nranges; i++) {
        qd_storage_range at = r->ranges[i], *g = &at;
        rc = disk_step(d, STORE_CRASH_READS);
        if (r->flags & QD_STORAGE_READ_SUFFIX) {
            if (g->len > o->node->len) g->len = o->node->len;
            g->offset = o->node->len - g->len;
            r->object_len = o->node->len;
        }
        if (!rc && (g->offset > o->node->len || g->len > o->node->len - g->offset)) rc = QD_E_EOF;
        if (!rc && g->len) memcpy(g->dst, o->node->data + g->offset, g->len);
        uint32_t how = r->flags & (QD_STORAGE_READ_SEQUENTIAL | QD_STORAGE_READ_CACHED);
        if (!rc && how == QD_STORAGE_READ_SEQUENTIAL) disk_medium(o->node, g);
    }
    let_go(d);
    fail(r->call, rc, "reading", qd_str_c(o->name));
    return rc;
}

static int32_t read_v(qd_storage_object *o, qd_storage_read *r)
{
    store_crash *d = o->tier->disk;
    int32_t rc = go_on(r->call);
    if (rc) return rc;
    if (d->options.late_us) {
        late_push(d, o, r);
    } else {
        qd_op_complete(&r->op, read_ranges(d, o, r));
    }
    return 0;
}

static void read_cancel(qd_storage_object *o, qd_storage_read *r)
{
    late_cancel(o->tier->disk, r);
}

static int32_t put_begin(qd_storage *t, qd_str name, uint64_t size, qd_storage_put **out,
                         const qd_storage_call *call)
{
    if (bad_name(name, call)) return QD_E_ARG;
    if (!qd_storage_name_ok(name)) return fail(call, QD_E_ARG, "creating", name);
    (void)size;
    store_crash *d = t->disk;
    hold(d);
    int rc = go_on(call);
    if (!rc) rc = disk_step(d, STORE_CRASH_WRITES);
    if (!rc && disk_find(d, name)) rc = QD_E_EXISTS;
    if (!rc) {
        qd_storage_put *p = xcalloc(sizeof *p);
        *p = (qd_storage_put){t, disk_inode(d, QD_STORAGE_OBJECT), xname(name)};
        t->open++;
        *out = p;
    }
    let_go(d);
    return fail(call, rc, "creating", name);
}

static int32_t put_write(qd_storage_put *p, const void *data, size_t len,
                         const qd_storage_call *call)
{
    store_crash *d = p->tier->disk;
    int rc = go_on(call);
    if (rc) return fail(call, rc, "writing", qd_str_c(p->name));
    hold(d);
    rc = disk_append(d, p->node, data, len);
    let_go(d);
    return fail(call, rc, "writing", qd_str_c(p->name));
}

static void put_free(qd_storage_put *p)
{
    p->tier->open--;
    inode_unref(p->tier->disk, p->node);
    free(p->name);
    free(p);
}

/* Is it something else that arrived? */
static bool differs(const inode *i, const qd_storage_sum *sum)
{
    return i->len != sum->len ||
           ((sum->flags & QD_STORAGE_SUM_CRC32C) && qd_crc32c(0, i->data, i->len) != sum->crc32c);
}

static int32_t put_commit(qd_storage_put *p, uint32_t flags, const qd_storage_sum *sum,
                          const qd_storage_call *call)
{
    store_crash *d = p->tier->disk;
    qd_str name = qd_str_c(p->name);
    bool lazy = flags & QD_STORAGE_COMMIT_LAZY;
    int32_t stop = go_on(call);
    if (stop == QD_E_TIMEOUT) return fail(call, stop, "committing", name); /* it lives on */
    if (!lazy) take_time(d);
    hold(d);
    int rc = stop ? stop : disk_find(d, name) ? QD_E_EXISTS : 0;
    if (!rc && sum && differs(p->node, sum)) rc = QD_E_CORRUPT;
    if (!rc && !lazy) rc = disk_sync(d, p->node, STORE_CRASH_NO_OBJECT_SYNC);
    if (!rc) rc = disk_link(d, name, p->node);
    if (!rc && !lazy) {
        rc = disk_sync_dir(d, folder_of(name));
        if (rc && disk_link(d, name, NULL)) rc = QD_E_IO; /* not there, though it may come back */
    }
    fail(call, rc, "committing", name);
    put_free(p);
    let_go(d);
    return rc;
}

static void put_abort(qd_storage_put *p)
{
    store_crash *d = p->tier->disk;
    hold(d);
    put_free(p);
    let_go(d);
}

static int32_t sync_objects(qd_storage *t, const qd_str *names, size_t n,
                            const qd_storage_call *call)
{
    store_crash *d = t->disk;
    int rc = go_on(call);
    if (rc) return fail(call, rc, "syncing", QD_STR(""));
    take_time(d);
    hold(d);
    size_t at = 0;
    for (size_t i = 0; !rc && i < n; i++) {
        at = i;
        inode *node = disk_find(d, names[i]);
        rc = node ? disk_sync(d, node, STORE_CRASH_NO_OBJECT_SYNC) : QD_E_NOTFOUND;
    }
    for (size_t i = 0; !rc && i < n; i++) {
        bool done = false;
        for (size_t k = 0; k < i; k++) {
            if (qd_str_eq(folder_of(names[k]), folder_of(names[i]))) done = true;
        }
        at = i;
        if (!done) rc = disk_sync_dir(d, folder_of(names[i]));
    }
    let_go(d);
    return fail(call, rc, "syncing", n ? names[at] : QD_STR(""));
}

/* ---- registers --------------------------------------------------------------------------------
 */

static void tag_of(const inode *i, char *tag)
{
    if (tag) snprintf(tag, QD_STORAGE_TAG, "%" PRIu64, i->serial);
}

/* expected NULL: whatever is there. */
static int32_t publish_as(qd_storage *t, qd_str name, const void *data, size_t len,
                          const qd_str *expected, char *tag, const qd_storage_call *call)
{
    if (bad_name(name, call)) return QD_E_ARG;
    store_crash *d = t->disk;
    int rc = go_on(call);
    if (rc) return fail(call, rc, "publishing", name);
    take_time(d);
    hold(d);
    char now[QD_STORAGE_TAG] = "";
    const inode *old = disk_find(d, name);
    if (old) tag_of(old, now);
    if (expected && !qd_str_is(*expected, now)) {
        let_go(d);
        return fail(call, QD_E_CONFLICT, "publishing", name);
    }
    inode *i = disk_inode(d, QD_STORAGE_REGISTER);
    rc = disk_append(d, i, data, len);
    if (!rc) rc = disk_sync(d, i, 0);
    if (!rc) rc = disk_link(d, name, i);
    if (!rc) rc = disk_sync_dir(d, folder_of(name));
    if (!rc) tag_of(i, tag);
    inode_unref(d, i);
    let_go(d);
    return fail(call, rc, "publishing", name);
}

static int32_t publish(qd_storage *t, qd_str name, const void *data, size_t len, char *tag,
                       const qd_storage_call *call)
{
    return publish_as(t, name, data, len, NULL, tag, call);
}

static int32_t publish_if(qd_storage *t, qd_str name, const void *data, size_t len, qd_str expected,
                          char *tag, const qd_storage_call *call)
{
    return publish_as(t, name, data, len, &expected, tag, call);
}

static int32_t get(qd_storage *t, qd_str name, void *dst, size_t cap, size_t *len, char *tag,
                   const qd_storage_call *call)
{
    if (bad_name(name, call)) return QD_E_ARG;
    store_crash *d = t->disk;
    hold(d);
    inode *i = disk_find(d, name);
    int rc = go_on(call);
    if (!rc) rc = disk_step(d, STORE_CRASH_READS);
    if (!rc && !i) rc = QD_E_NOTFOUND;
    if (!rc && i->len > cap) rc = QD_E_LIMIT;
    if (!rc) {
        if (i->len) memcpy(dst, i->data, i->len);
        *len = i->len;
        tag_of(i, tag);
    }
    let_go(d);
    return fail(call, rc, "reading", name);
}

/* ---- logs -------------------------------------------------------------------------------------
 */

static int32_t log_open(qd_storage *t, qd_str name, uint32_t flags, qd_storage_log **out,
                        uint64_t *end, const qd_storage_call *call)
{
    if (bad_name(name, call)) return QD_E_ARG;
    if (!qd_storage_name_ok(name)) return fail(call, QD_E_ARG, "opening log", name);
    store_crash *d = t->disk;
    hold(d);
    inode *i = disk_find(d, name);
    int rc = go_on(call);
    if (!rc) rc = disk_step(d, STORE_CRASH_READS);
    if (!rc && i && (flags & QD_STORAGE_LOG_EXCL)) rc = QD_E_EXISTS;
    if (!rc && !i && !(flags & QD_STORAGE_LOG_CREATE)) rc = QD_E_NOTFOUND;
    if (!rc && !i) {
        i = disk_inode(d, QD_STORAGE_LOG);
        rc = disk_link(d, name, i);
        inode_unref(d, i);
        if (!rc) {
            rc = disk_sync_dir(d, folder_of(name));
            if (rc && disk_link(d, name, NULL)) rc = QD_E_IO;
        }
    }
    if (!rc) {
        qd_storage_log *l = xcalloc(sizeof *l);
        *l = (qd_storage_log){t, inode_ref(i), xname(name), false};
        t->open++;
        *out = l;
        *end = i->len;
    }
    let_go(d);
    return fail(call, rc, "opening log", name);
}

static int32_t log_append_v(qd_storage_log *l, const qd_iovec *parts, uint32_t n, uint64_t *offset,
                            const qd_storage_call *call)
{
    store_crash *d = l->tier->disk;
    hold(d);
    uint64_t at = l->node->len, len = 0;
    int rc = l->dead ? QD_E_IO : go_on(call);
    for (uint32_t i = 0; i < n; i++) len += parts[i].len;
    uint8_t *all = xcalloc(len + 1);
    for (uint64_t i = 0, to = 0; i < n; to += parts[i++].len) {
        if (parts[i].len) memcpy(all + to, parts[i].data, parts[i].len);
    }
    if (!rc) {
        rc = disk_append(d, l->node, all, len);
        if (rc == QD_E_NOSPACE && l->node->len > at && disk_cut(d, l->node, at)) rc = QD_E_IO;
        if (rc && rc != QD_E_NOSPACE) l->dead = true;
    }
    free(all);
    if (!rc) *offset = at;
    let_go(d);
    return fail(call, rc, "appending to log", qd_str_c(l->name));
}

static int32_t log_sync(qd_storage_log *l, uint64_t upto, const qd_storage_call *call)
{
    (void)upto;
    store_crash *d = l->tier->disk;
    hold(d);
    uint64_t len = l->node->len;
    let_go(d);
    take_time(d);
    hold(d);
    int rc = l->dead ? QD_E_IO : disk_sync_upto(d, l->node, len, STORE_CRASH_NO_LOG_SYNC);
    if (rc) {
        rc = QD_E_IO;
        l->dead = true;
    }
    let_go(d);
    return fail(call, rc, "syncing log", qd_str_c(l->name));
}

static int32_t log_read(qd_storage_log *l, uint64_t offset, void *dst, size_t len, size_t *got,
                        const qd_storage_call *call)
{
    store_crash *d = l->tier->disk;
    hold(d);
    int rc = go_on(call);
    if (!rc) rc = disk_step(d, STORE_CRASH_READS);
    if (!rc) {
        uint64_t left = offset < l->node->len ? l->node->len - offset : 0;
        if (len > left) len = (size_t)left;
        if (len) memcpy(dst, l->node->data + offset, len);
        *got = len;
    }
    let_go(d);
    return fail(call, rc, "reading log", qd_str_c(l->name));
}

static int32_t log_truncate(qd_storage_log *l, uint64_t len, const qd_storage_call *call)
{
    store_crash *d = l->tier->disk;
    hold(d);
    int rc = l->dead ? QD_E_IO : len > l->node->len ? QD_E_ARG : disk_cut(d, l->node, len);
    if (rc && rc != QD_E_ARG) l->dead = true;
    let_go(d);
    return fail(call, rc, "cutting log", qd_str_c(l->name));
}

static void log_close(qd_storage_log *l)
{
    store_crash *d = l->tier->disk;
    hold(d);
    l->tier->open--;
    inode_unref(d, l->node);
    let_go(d);
    free(l->name);
    free(l);
}

/* ---- names ------------------------------------------------------------------------------------
 */

static void stat_of(const inode *i, qd_str name, qd_storage_stat *out)
{
    *out = (qd_storage_stat){.name = name, .size = i->len, .type = i->type};
    if (i->type != QD_STORAGE_LOG) tag_of(i, out->tag);
}

/* The folder behind the prefix that a name is in, as "a/b/"; the name itself when it is in none. */
static qd_str folded(const qd_storage_list *l, qd_str name)
{
    for (size_t i = l->prefix.n; l->flags & QD_STORAGE_LIST_FOLDERS && i < name.n; i++)
        if (name.p[i] == '/') return (qd_str){name.p, i + 1};
    return name;
}

static int32_t list(qd_storage *t, qd_storage_list *l, const qd_storage_call *call)
{
    store_crash *d = t->disk;
    hold(d);
    int rc = go_on(call);
    if (!rc && (l->limit == 0 || l->limit > QD_STORAGE_NAMES_MAX)) rc = QD_E_ARG;
    if (!rc) rc = disk_step(d, STORE_CRASH_READS);
    if (!rc) l->nentries = l->more = 0;
    qd_str last = l->start_after;
    size_t at = qd_str_cmp(last, l->prefix) > 0 ? names_lower(&d->now, last)
                                                : names_lower(&d->now, l->prefix);
    for (; !rc && at < d->now.n; at++) {
        const entry *e = &d->now.at[at];
        qd_str name = qd_str_c(e->name), shown = folded(l, name);
        if (!qd_str_starts(name, l->prefix)) break;
        if (last.n && qd_str_cmp(shown, last) <= 0) continue; /* the cursor's, or of its folder */
        l->more = l->nentries == l->limit;
        if (l->more) break;
        qd_storage_stat *out = &l->entries[l->nentries];
        char *copy = l->names + (size_t)l->nentries++ * 256;
        memcpy(copy, shown.p, shown.n);
        last = (qd_str){copy, shown.n};
        stat_of(e->node, last, out);
        if (shown.n < name.n) *out = (qd_storage_stat){.name = last, .type = QD_STORAGE_FOLDER};
    }
    let_go(d);
    return fail(call, rc, "listing", l->prefix);
}

static int32_t stat_name(qd_storage *t, qd_str name, qd_storage_stat *out,
                         const qd_storage_call *call)
{
    if (bad_name(name, call)) return QD_E_ARG;
    store_crash *d = t->disk;
    hold(d);
    inode *i = disk_find(d, name);
    int rc = go_on(call);
    if (!rc) rc = disk_step(d, STORE_CRASH_READS);
    if (!rc && !i) rc = QD_E_NOTFOUND;
    if (!rc) stat_of(i, name, out);
    let_go(d);
    return fail(call, rc, "looking for", name);
}

static int32_t remove_names(qd_storage *t, const qd_str *names, uint32_t n, uint32_t *removed,
                            const qd_storage_call *call)
{
    uint32_t gone = 0;
    store_crash *d = t->disk;
    if (n == 0 || n > QD_STORAGE_NAMES_MAX) return fail(call, QD_E_ARG, "removing", QD_STR(""));
    for (uint32_t i = 0; i < n; i++) {
        if (bad_name(names[i], call)) return QD_E_ARG;
        hold(d);
        int rc = go_on(call);
        bool there = disk_find(d, names[i]) != NULL;
        if (!rc) rc = there ? disk_link(d, names[i], NULL) : d->off ? QD_E_IO : 0;
        let_go(d);
        if (rc) return fail(call, rc, "removing", names[i]);
        gone += there;
    }
    if (removed) *removed = gone;
    return 0;
}

static int32_t remove_tree(qd_storage *t, qd_str folder, const qd_storage_call *call)
{
    if (bad_name(folder, call)) return QD_E_ARG;
    store_crash *d = t->disk;
    char *prefix = xcalloc(folder.n + 2);
    memcpy(prefix, folder.p, folder.n);
    prefix[folder.n] = '/';
    qd_str p = {prefix, folder.n + 1};
    hold(d);
    int rc = d->off ? QD_E_IO : go_on(call);
    while (!rc) {
        size_t i = names_lower(&d->now, p);
        if (i == d->now.n || !qd_str_starts(qd_str_c(d->now.at[i].name), p)) break;
        char *name = xname(qd_str_c(d->now.at[i].name));
        rc = disk_link(d, qd_str_c(name), NULL);
        if (!rc) rc = disk_sync_dir(d, folder_of(qd_str_c(name)));
        free(name);
    }
    let_go(d);
    free(prefix);
    return fail(call, rc, "removing", folder);
}

static int32_t rename_name(qd_storage *t, qd_str from, qd_str to, const qd_storage_call *call)
{
    if (bad_name(from, call) || bad_name(to, call)) return QD_E_ARG;
    if (!qd_storage_name_ok(to)) return fail(call, QD_E_ARG, "renaming to", to);
    store_crash *d = t->disk;
    hold(d);
    int rc = go_on(call);
    if (!rc) rc = !disk_find(d, from) ? QD_E_NOTFOUND : disk_find(d, to) ? QD_E_EXISTS : 0;
    if (!rc) rc = disk_rename(d, from, to);
    if (!rc) rc = disk_sync_dir(d, folder_of(to));
    let_go(d);
    return fail(call, rc, "renaming", from);
}

static int32_t copy_name(qd_storage *t, qd_str from, qd_str to, const qd_storage_call *call)
{
    if (bad_name(from, call) || bad_name(to, call)) return QD_E_ARG;
    store_crash *d = t->disk;
    hold(d);
    inode *source = disk_find(d, from), *i = NULL;
    int rc = go_on(call);
    if (!rc) rc = !source ? QD_E_NOTFOUND : disk_find(d, to) ? QD_E_EXISTS : 0;
    if (!rc) {
        i = disk_inode(d, QD_STORAGE_OBJECT);
        rc = disk_append(d, i, source->data, source->len);
    }
    if (!rc) rc = disk_sync(d, i, STORE_CRASH_NO_OBJECT_SYNC);
    if (!rc) rc = disk_link(d, to, i);
    if (!rc && !(d->options.mutants & STORE_CRASH_NO_COPY_SYNC))
        rc = disk_sync_dir(d, folder_of(to));
    if (i) inode_unref(d, i);
    let_go(d);
    return fail(call, rc, "copying", from);
}

static int32_t sync_dir(qd_storage *t, qd_str folder, const qd_storage_call *call)
{
    store_crash *d = t->disk;
    hold(d);
    int rc = go_on(call);
    if (!rc) rc = disk_sync_dir(d, folder);
    let_go(d);
    return fail(call, rc, "syncing folder", folder);
}

#define ADVERSE_ONE_IN 256 /* second tries wait 10 ms and more: suites are to end */

#define FLAGS                                                                                      \
    (QD_STORAGE_DURABLE | QD_STORAGE_APPEND | QD_STORAGE_CONDITIONAL_PUT | QD_STORAGE_RENAME |     \
     QD_STORAGE_LAZY | QD_STORAGE_TREE | QD_STORAGE_COPY | QD_STORAGE_CHECKSUM)
#define COMMON                                                                                     \
    .open = tier_open, .close = tier_close, .info = tier_info, .capacity = tier_capacity,          \
    .object_open = object_open, .object_close = object_close, .read_v = read_v,                    \
    .read_cancel = read_cancel, .put_begin = put_begin, .put_write = put_write,                    \
    .put_commit = put_commit, .put_abort = put_abort, .sync_objects = sync_objects,                \
    .publish = publish, .publish_if = publish_if, .get = get, .log_open = log_open,                \
    .log_append_v = log_append_v, .log_sync = log_sync, .log_read = log_read,                      \
    .log_truncate = log_truncate, .log_close = log_close, .list = list, .stat = stat_name,         \
    .remove = remove_names, .remove_tree = remove_tree, .rename = rename_name, .copy = copy_name,  \
    .sync_dir = sync_dir

static const qd_storage_vtable copying = {.head = QD_VTABLE(qd_storage_vtable, STORAGE, FLAGS),
                                          COMMON};
static const qd_storage_vtable mapping = {
    .head = QD_VTABLE(qd_storage_vtable, STORAGE, FLAGS | QD_STORAGE_MMAP),
    .object_map = object_map,
    COMMON};

const qd_storage_vtable *store_crash_vtable(const store_crash *d)
{
    return d->options.copies ? &copying : &mapping;
}

int store_crash_open(store_crash *d, qd_store **out, qd_err *err)
{
    qd_storage *t = store_crash_handle(d);
    const qd_storage_vtable *vt = store_crash_vtable(d);
    if (d->options.adverse) {
        t = store_adverse_make(
            vt, t, &(store_adverse_options){.seed = d->serials, .one_in = ADVERSE_ONE_IN});
        vt = store_adverse_vtable(!d->options.no_logs);
    }
    int rc = qd_store_wrap(vt, t, out, err);
    if (rc) (void)vt->close(t, NULL);
    return rc;
}

/* ---- power, faults, damage --------------------------------------------------------------------
 */

bool store_crash_lazy(const store_crash *d)
{
    return !d->options.adverse;
}

void store_crash_capacity_set(store_crash *d, uint64_t bytes)
{
    hold(d);
    d->options.capacity = bytes;
    let_go(d);
}

void store_crash_mutants_set(store_crash *d, uint32_t mutants)
{
    hold(d);
    d->options.mutants = mutants;
    let_go(d);
}

void store_crash_power_off(store_crash *d)
{
    hold(d);
    d->off = true;
    let_go(d);
}

void store_crash_power_off_at(store_crash *d, uint64_t n)
{
    hold(d);
    d->off_at = n + 1;
    let_go(d);
}

bool store_crash_is_off(store_crash *d)
{
    hold(d);
    bool off = d->off;
    let_go(d);
    return off;
}

uint64_t store_crash_fail_at(store_crash *d, uint32_t kinds, uint64_t n, int code, bool sticky)
{
    hold(d);
    uint64_t seen = d->fail_seen;
    d->fail_kinds = kinds;
    d->fail_at = n;
    d->fail_seen = 0;
    d->fail_code = code;
    d->fail_sticky = sticky;
    let_go(d);
    return seen;
}

uint64_t store_crash_steps(store_crash *d)
{
    hold(d);
    uint64_t n = d->steps;
    let_go(d);
    return n;
}

bool store_crash_size(store_crash *d, const char *name, uint64_t *bytes)
{
    hold(d);
    inode *i = disk_find(d, qd_str_c(name));
    if (i) *bytes = i->len;
    let_go(d);
    return i != NULL;
}

bool store_crash_flip(store_crash *d, const char *name, uint64_t offset, uint8_t mask)
{
    hold(d);
    inode *i = disk_find(d, qd_str_c(name));
    bool can = i && offset < i->len;
    if (can) i->data[offset] ^= mask;
    let_go(d);
    return can;
}

bool store_crash_cut(store_crash *d, const char *name, uint64_t bytes)
{
    hold(d);
    inode *i = disk_find(d, qd_str_c(name));
    bool can = i && bytes <= i->len;
    if (can) {
        d->used -= i->len - bytes;
        i->len = bytes;
        i->ndirty = 0;
        i->synced_len = bytes;
    }
    let_go(d);
    return can;
}

/* ---- late reads ---------------------------------------------------------------------------------
 */

typedef struct late_one {
    struct late_one *next;
    const qd_storage_object *object;
    qd_storage_read *read;
    uint64_t due_ns;
    bool cancelled;
} late_one;

struct late {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t more;
    late_one *first, **end; /* by due_ns, as all wait equally long */
    uint32_t waiting;
    bool stop, held;
};

/* Under the lock: takes the next read that is to end; NULL when the thread is to. */
static late_one *late_next(struct late *l)
{
    for (;;) {
        uint64_t now = late_now();
        for (late_one **at = &l->first, *x; (x = *at) != NULL; at = &x->next) {
            if (!x->cancelled && (l->held || x->due_ns > now)) continue;
            *at = x->next;
            if (!*at) l->end = at;
            l->waiting--;
            return x;
        }
        if (l->stop && !l->first) return NULL;
        if (!l->first || l->held) {
            pthread_cond_wait(&l->more, &l->lock);
        } else {
            struct timespec t = {.tv_sec = (time_t)(l->first->due_ns / 1000000000u),
                                 .tv_nsec = (long)(l->first->due_ns % 1000000000u)};
            pthread_cond_timedwait(&l->more, &l->lock, &t);
        }
    }
}

/* Bytes come at the end only, so that who looks before sees none. */
static void *late_run(void *arg)
{
    store_crash *d = arg;
    struct late *l = d->late;
    pthread_mutex_lock(&l->lock);
    for (late_one *x; (x = late_next(l)) != NULL;) {
        pthread_mutex_unlock(&l->lock);
        int rc = x->cancelled
                     ? fail(x->read->call, QD_E_CANCELLED, "reading", qd_str_c(x->object->name))
                     : read_ranges(d, x->object, x->read);
        qd_op_complete(&x->read->op, rc);
        free(x);
        pthread_mutex_lock(&l->lock);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

/* Its thread is there from the first use on. */
static struct late *late_of(store_crash *d)
{
    hold(d);
    struct late *l = d->late;
    if (!l) {
        l = d->late = xcalloc(sizeof *l);
        pthread_condattr_t a;
        pthread_condattr_init(&a);
        pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
        pthread_mutex_init(&l->lock, NULL);
        pthread_cond_init(&l->more, &a);
        pthread_condattr_destroy(&a);
        l->end = &l->first;
        if (pthread_create(&l->thread, NULL, late_run, d) != 0) abort();
    }
    let_go(d);
    return l;
}

void late_push(store_crash *d, const qd_storage_object *o, qd_storage_read *r)
{
    struct late *l = late_of(d);
    late_one *x = xcalloc(sizeof *x);
    x->object = o;
    x->read = r;
    x->due_ns = late_now() + d->options.late_us * 1000ull;
    pthread_mutex_lock(&l->lock);
    *l->end = x;
    l->end = &x->next;
    l->waiting++;
    pthread_cond_signal(&l->more);
    pthread_mutex_unlock(&l->lock);
}

void late_cancel(store_crash *d, qd_storage_read *r)
{
    if (!d->options.late_us) return;
    struct late *l = late_of(d);
    pthread_mutex_lock(&l->lock);
    for (late_one *x = l->first; x; x = x->next) x->cancelled |= x->read == r;
    pthread_cond_signal(&l->more);
    pthread_mutex_unlock(&l->lock);
}

void store_crash_reads_hold(store_crash *d, bool on)
{
    struct late *l = late_of(d);
    pthread_mutex_lock(&l->lock);
    l->held = on;
    pthread_cond_signal(&l->more);
    pthread_mutex_unlock(&l->lock);
}

uint32_t store_crash_reads_waiting(store_crash *d)
{
    struct late *l = late_of(d);
    pthread_mutex_lock(&l->lock);
    uint32_t n = l->waiting;
    pthread_mutex_unlock(&l->lock);
    return n;
}

void late_stop(store_crash *d)
{
    struct late *l = d->late;
    if (!l) return;
    pthread_mutex_lock(&l->lock);
    l->stop = true;
    l->held = false;
    pthread_cond_signal(&l->more);
    pthread_mutex_unlock(&l->lock);
    pthread_join(l->thread, NULL);
    pthread_mutex_destroy(&l->lock);
    pthread_cond_destroy(&l->more);
    free(l);
    d->late = NULL;
}
