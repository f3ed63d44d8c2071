/*
 * log.c: append-only logs of a tier. The rule that a failed sync is final is kept here too, so that
 * it does not hang on each plugin's care. See store.h.
 */
#include "base/str.h"
#include "store/store_int.h"
#include <inttypes.h>

struct qd_store_log {
    uint32_t magic;
    _Atomic uint32_t dead; /* after a failure that leaves the bytes unknown */
    qd_store *store;
    store_handle handle;
    qd_storage_log *log;
    char *name;
    size_t name_len;
    _Atomic uint64_t end;
};

static qd_str log_name(const qd_store_log *l)
{
    return (qd_str){l->name, l->name_len};
}

int qd_store_log_open(qd_store *s, qd_str name, bool create, qd_store_log **out, qd_err *err)
{
    QD_CHECK(s, STORE_MAGIC);
    int rc = qdi_name_check(name, false, err);
    if (rc) return rc;
    if (!(s->caps & QD_STORE_APPEND)) {
        return qd_err_set(err, QD_E_UNSUPPORTED, "log %.*s: this tier has no logs",
                          QD_STR_ARG(name));
    }
    qd_store_log *l = qd_calloc(NULL, sizeof *l);
    char *copy = qd_memdup(NULL, name.p, name.n);
    uint64_t end = 0;
    rc = l && copy ? 0 : qd_err_nomem(err, "log");
    if (!rc) {
        const uint32_t flags = create ? QD_STORAGE_LOG_CREATE | QD_STORAGE_LOG_EXCL : 0;
        store_try t;
        qdi_try_begin(&t, s, create ? TRY_ONCE : TRY_WRITE, err);
        do rc = s->vt.log_open(s->tier, name, flags, &l->log, &end, &t.call);
        while (qdi_try_again(&t, rc));
        rc = qdi_tier_error(err, rc, "opening log", name);
    }
    if (rc) {
        qd_free(l);
        qd_free(copy);
        return rc;
    }
    l->magic = STORE_LOG_MAGIC;
    l->store = s;
    l->name = copy;
    l->name_len = name.n;
    atomic_store(&l->end, end);
    qdi_store_opened(s, &l->handle, "log", copy);
    *out = l;
    return 0;
}

static int is_dead(qd_store_log *l, qd_err *err)
{
    if (QD_LIKELY(!atomic_load_explicit(&l->dead, memory_order_relaxed))) return 0;
    return qd_err_set(err, QD_E_IO, "log %.*s: an earlier write or sync failed",
                      QD_STR_ARG(log_name(l)));
}

int qd_store_log_append(qd_store_log *l, const qd_iovec *v, size_t n, uint64_t *offset, qd_err *err)
{
    QD_CHECK(l, STORE_LOG_MAGIC);
    int rc = is_dead(l, err);
    if (rc) return rc;
    uint64_t bytes = 0, at = 0;
    for (size_t i = 0; i < n; i++) bytes += v[i].len;
    qd_assert(n > 0 && n <= 1024);
    store_try t;
    qdi_try_begin(&t, l->store, TRY_ONCE, err);
    do rc = l->store->vt.log_append_v(l->log, v, (uint32_t)n, &at, &t.call);
    while (qdi_try_again(&t, rc));
    if (rc < 0) {
        if (rc != QD_E_NOSPACE && rc != QD_E_REJECTED) atomic_store(&l->dead, 1);
        return qdi_tier_error(err, rc, "appending to log", log_name(l));
    }
    qd_assert(at == atomic_load(&l->end));
    atomic_store(&l->end, at + bytes);
    *offset = at;
    return 0;
}

int qd_store_log_sync(qd_store_log *l, qd_err *err)
{
    QD_CHECK(l, STORE_LOG_MAGIC);
    int rc = is_dead(l, err);
    if (rc) return rc;
    store_try t;
    qdi_try_begin(&t, l->store, TRY_ONCE, err);
    do rc = l->store->vt.log_sync(l->log, atomic_load(&l->end), &t.call);
    while (qdi_try_again(&t, rc));
    if (rc < 0) {
        atomic_store(&l->dead, 1);
        return qdi_tier_error(err, rc, "syncing log", log_name(l));
    }
    return 0;
}

int qd_store_log_read(qd_store_log *l, uint64_t offset, void *buf, size_t n, size_t *got,
                      qd_err *err)
{
    QD_CHECK(l, STORE_LOG_MAGIC);
    size_t have = 0;
    store_try t;
    int32_t rc;
    qdi_try_begin(&t, l->store, TRY_WRITE, err);
    do rc = l->store->vt.log_read(l->log, offset, buf, n, &have, &t.call);
    while (qdi_try_again(&t, rc));
    if (rc < 0) return qdi_tier_error(err, rc, "reading log", log_name(l));
    qd_assert(have <= n);
    *got = have;
    return 0;
}

int qd_store_log_truncate(qd_store_log *l, uint64_t bytes, qd_err *err)
{
    QD_CHECK(l, STORE_LOG_MAGIC);
    int rc = is_dead(l, err);
    if (rc) return rc;
    if (bytes > atomic_load(&l->end)) {
        return qd_err_set(err, QD_E_ARG, "log %.*s: cannot be cut to %" PRIu64 ", it is shorter",
                          QD_STR_ARG(log_name(l)), bytes);
    }
    store_try t;
    qdi_try_begin(&t, l->store, TRY_ONCE, err);
    do rc = l->store->vt.log_truncate(l->log, bytes, &t.call);
    while (qdi_try_again(&t, rc));
    if (rc < 0) {
        atomic_store(&l->dead, 1);
        return qdi_tier_error(err, rc, "cutting log", log_name(l));
    }
    atomic_store(&l->end, bytes);
    return 0;
}

uint64_t qd_store_log_end(const qd_store_log *l)
{
    return atomic_load(&((qd_store_log *)(uintptr_t)l)->end);
}

void qd_store_log_close(qd_store_log *l)
{
    if (!l) return;
    QD_CHECK(l, STORE_LOG_MAGIC);
    l->store->vt.log_close(l->log);
    qdi_store_closed(l->store, &l->handle);
    l->magic = 0;
    qd_free(l->name);
    qd_free(l);
}
