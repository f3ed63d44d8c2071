/*
 * store.c: one opened tier: opening, capacity, errors, and blocking reads. See store.h.
 */
#include "base/list.h"
#include "base/log.h"
#include "base/str.h"
#include "plugin/op.h"
#include "store/store_int.h"
#include <inttypes.h>

#define STORE_LOG "store"
#define CAPACITY_MAX (1ull << 53) /* a thousand nodes' still add up, and JSON shows it exactly */
#define STORE_NAMED_MAX 20u       /* of what is open and should not be */

static bool name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '+' || c == '-';
}

int qdi_name_check(qd_str name, bool may_be_empty, qd_err *err)
{
    bool good = name.n <= STORE_NAME_MAX && (name.n > 0 || may_be_empty), begins = true;
    for (size_t i = 0; good && i < name.n; i++) {
        char c = name.p[i];
        if (begins && (c == '.' || c == '/')) good = false;
        begins = c == '/';
        if (c != '/' && !name_char(c)) good = false;
    }
    if (good && name.n > 0 && begins) good = may_be_empty; /* "a/" is a prefix, not a name */
    if (good) return 0;
    qd_str shown = qd_str_sub(name, 0, 80);
    return qd_err_set(err, QD_E_ARG, "invalid name of a stored object \"%.*s\"", QD_STR_ARG(shown));
}

int qdi_tier_error(qd_err *err, int32_t rc, const char *what, qd_str name)
{
    if (rc >= 0) return 0;
    if (err && err->code == 0) {
        return qd_err_set(err, rc, "%s %.*s: %s", what, QD_STR_ARG(name), qd_code_name(rc));
    }
    return rc;
}

int qdi_no_memory(qd_account *account, uint64_t bytes, const char *what, qd_err *err)
{
    if (qd_account_charge(account, (int64_t)bytes) == QD_E_BREAKER) {
        return qd_err_set(err, QD_E_BREAKER, "%s: %" PRIu64 " bytes would go over the limit of %s",
                          what, bytes, account ? account->name : "general");
    }
    qd_account_release(account, (int64_t)bytes);
    return qd_err_nomem(err, what);
}

/* Slots that a tier must have; those of a flag only with it. */
static bool slots_are_there(const qd_storage_vtable *v)
{
    bool base = v->close && v->info && v->capacity && v->object_open && v->object_close &&
                v->read_v && v->put_begin && v->put_write && v->put_commit && v->put_abort &&
                v->publish && v->get && v->list && v->stat && v->remove;
    bool map = !(v->head.flags & QD_STORAGE_MMAP) || v->object_map;
    bool append =
        !(v->head.flags & QD_STORAGE_APPEND) || (v->log_open && v->log_append_v && v->log_sync &&
                                                 v->log_read && v->log_truncate && v->log_close);
    bool lazy = !(v->head.flags & QD_STORAGE_LAZY) || (v->sync_objects && v->sync_dir);
    bool rename = !(v->head.flags & QD_STORAGE_RENAME) || v->rename;
    bool tree = !(v->head.flags & QD_STORAGE_TREE) || v->remove_tree;
    bool copy = !(v->head.flags & QD_STORAGE_COPY) || v->copy;
    return base && map && append && lazy && rename && tree && copy;
}

uint32_t qdi_store_caps(uint64_t flags)
{
    return (flags & QD_STORAGE_MMAP ? QD_STORE_MMAP : 0) |
           (flags & QD_STORAGE_APPEND ? QD_STORE_APPEND : 0) |
           (flags & QD_STORAGE_REMOTE ? QD_STORE_REMOTE : 0) |
           (flags & QD_STORAGE_DURABLE ? QD_STORE_DURABLE : 0);
}

int qd_store_wrap(const struct qd_storage_vtable *vt, struct qd_storage *tier, qd_store **out,
                  qd_err *err)
{
    qd_store *s = qd_calloc(NULL, sizeof *s);
    if (!s) return qd_err_nomem(err, "opened tier");
    size_t n = vt->head.struct_size < sizeof s->vt ? vt->head.struct_size : sizeof s->vt;
    memcpy(&s->vt, vt, n);
    if (!slots_are_there(&s->vt)) {
        qd_free(s);
        return qd_err_set(err, QD_E_ABI, "storage vtable lacks a mandatory function");
    }
    s->magic = STORE_MAGIC;
    s->env = qd_env_system();
    qd_mutex_init(&s->lock);
    s->tier = tier;
    s->info.struct_size = sizeof s->info;
    s->vt.info(tier, &s->info);
    s->caps = qdi_store_caps(s->vt.head.flags);
    *out = s;
    return 0;
}

void qdi_store_opened(qd_store *s, store_handle *h, const char *kind, const char *name)
{
    qd_mutex_lock(&s->lock);
    *h = (store_handle){.kind = kind, .name = name};
    QD_LIST_PUSH(s->open, h);
    qd_mutex_unlock(&s->lock);
}

void qdi_store_closed(qd_store *s, store_handle *h)
{
    qd_mutex_lock(&s->lock);
    qd_assert(s->open && (h->prev || s->open == h)); /* it is in the list */
    QD_LIST_REMOVE(s->open, h);
    qd_mutex_unlock(&s->lock);
}

/* Who closes the tier has lost what is open of it: its name leads to where. */
static void all_closed(qd_store *s)
{
    uint32_t n = 0;
    qd_mutex_lock(&s->lock);
    for (const store_handle *h = s->open; h && n < STORE_NAMED_MAX; h = h->next, n++)
        qd_log_error(STORE_LOG, "the tier is closed while a %s is open: %s", h->kind, h->name);
    qd_assert(!s->open);
    qd_mutex_unlock(&s->lock);
}

void qd_store_close(qd_store *s)
{
    if (!s) return;
    QD_CHECK(s, STORE_MAGIC);
    all_closed(s);
    qd_err err;
    qd_err_init(&err);
    int32_t rc = s->vt.close(s->tier, &err);
    qd_assert(rc != QD_E_STATE);
    qd_err_fini(&err);
    s->magic = 0;
    qd_mutex_fini(&s->lock);
    qd_free(s);
}

uint32_t qd_store_caps(const qd_store *s)
{
    return s->caps;
}

static void read_done(qd_op *op, int32_t rc)
{
    qd_latch_done(op->user, rc);
}

int qdi_object_read(qd_store *s, qd_storage_object *o, const qd_storage_range *ranges, uint32_t n,
                    uint32_t flags, qd_err *err)
{
    qd_latch latch;
    qd_latch_init(&latch, 1);
    qd_storage_call call = qdi_read_call(s, err);
    qd_storage_read read = {.ranges = ranges, .nranges = n, .flags = flags, .call = &call};
    qd_op_anywhere(&read.op, read_done, &latch);
    int32_t rc = s->vt.read_v(o, &read);
    if (rc < 0) qd_latch_done(&latch, rc);
    return qd_latch_wait(&latch);
}

/* The last byte tells the length where the tier has put the question off. */
static int32_t length_of(qd_store *s, qd_storage_object *o, uint64_t *len, qd_err *err)
{
    uint8_t last;
    qd_latch latch;
    qd_latch_init(&latch, 1);
    qd_storage_range range = {0, 1, &last};
    qd_storage_call call = qdi_read_call(s, err);
    qd_storage_read read = {
        .ranges = &range, .nranges = 1, .flags = QD_STORAGE_READ_SUFFIX, .call = &call};
    qd_op_anywhere(&read.op, read_done, &latch);
    int32_t rc = s->vt.read_v(o, &read);
    if (rc < 0) qd_latch_done(&latch, rc);
    rc = qd_latch_wait(&latch);
    if (rc >= 0) *len = read.object_len;
    return rc;
}

int qdi_object_open(qd_store *s, qd_str name, qd_storage_object **out, uint64_t *len, qd_err *err)
{
    store_try t;
    int32_t rc;
    qd_storage_object *o = NULL;
    uint64_t n = 0;
    qdi_try_begin(&t, s, TRY_READ, err);
    do rc = s->vt.object_open(s->tier, name, QD_STORAGE_LEN_UNKNOWN, &o, &n, &t.call);
    while (qdi_try_again(&t, rc));
    if (rc < 0) return rc;
    if (n == QD_STORAGE_LEN_UNKNOWN) rc = length_of(s, o, &n, err);
    if (rc < 0) {
        s->vt.object_close(o);
        return rc;
    }
    *out = o;
    *len = n;
    return 0;
}

uint64_t qd_store_retries(const qd_store *s)
{
    return atomic_load(&((qd_store *)(uintptr_t)s)->retries);
}

int qd_store_sync(qd_store *s, const qd_str *names, size_t n, qd_err *err)
{
    QD_CHECK(s, STORE_MAGIC);
    for (size_t i = 0; i < n; i++) {
        int rc = qdi_name_check(names[i], false, err);
        if (rc) return rc;
    }
    if (n == 0 || !(s->vt.head.flags & QD_STORAGE_LAZY)) return 0;
    store_try t;
    int32_t rc;
    qdi_try_begin(&t, s, TRY_ONCE, err);
    do rc = s->vt.sync_objects(s->tier, names, n, &t.call);
    while (qdi_try_again(&t, rc));
    return qdi_tier_error(err, rc, "syncing", names[0]);
}

int qd_store_capacity(qd_store *s, uint64_t *total, uint64_t *available, qd_err *err)
{
    QD_CHECK(s, STORE_MAGIC);
    store_try t;
    int32_t rc;
    qdi_try_begin(&t, s, TRY_READ, err);
    do rc = s->vt.capacity(s->tier, total, available, &t.call);
    while (qdi_try_again(&t, rc));
    if (rc < 0) return qdi_tier_error(err, rc, "capacity of", QD_STR("tier"));
    if (*total > CAPACITY_MAX) *total = CAPACITY_MAX;
    if (*available > *total) *available = *total;
    return 0;
}
