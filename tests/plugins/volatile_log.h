/* volatile_log.h: logs for the skeleton of a storage tier: in memory as all of it. */
struct qd_storage_log {
    qd_storage *tier;
    entry *e;
};

static int32_t log_open(qd_storage *t, qd_str name, uint32_t flags, qd_storage_log **out,
                        uint64_t *end, const qd_storage_call *call)
{
    if (!qd_storage_name_ok(name)) return fail(call, QD_E_ARG, name, "bad name");
    qd_storage_log *l = (qd_storage_log *)mem->calloc(t->self, sizeof *l);
    if (!l) return QD_E_NOMEM;
    int32_t rc = 0;
    pthread_mutex_lock(&t->lock);
    l->tier = t;
    l->e = find(t, name);
    if (l->e && flags & QD_STORAGE_LOG_EXCL) {
        rc = fail(call, QD_E_EXISTS, name, "the log is there");
    } else if (!l->e && !(flags & QD_STORAGE_LOG_CREATE)) {
        rc = fail(call, QD_E_NOTFOUND, name, "no such log");
    } else if (!l->e) {
        l->e = make(t, name, QD_STORAGE_LOG);
        rc = l->e ? insert(t, l->e) : QD_E_NOMEM;
    }
    if (rc == 0) {
        l->e->refs++;
        t->open++;
        *end = l->e->len;
        *out = l;
    }
    pthread_mutex_unlock(&t->lock);
    if (rc) mem->free(l);
    return rc;
}

static int32_t log_append_v(qd_storage_log *l, const qd_iovec *parts, uint32_t n, uint64_t *offset,
                            const qd_storage_call *call)
{
    int32_t rc = 0;
    (void)call;
    pthread_mutex_lock(&l->tier->lock);
    *offset = l->e->len;
    for (uint32_t i = 0; i < n && rc == 0; i++)
        rc = append(l->tier, l->e, parts[i].data, parts[i].len);
    pthread_mutex_unlock(&l->tier->lock);
    return rc;
}

static int32_t log_sync(qd_storage_log *l, uint64_t upto, const qd_storage_call *call)
{
    (void)l, (void)upto, (void)call;
    return 0;
}

static int32_t log_read(qd_storage_log *l, uint64_t offset, void *dst, size_t len, size_t *got,
                        const qd_storage_call *call)
{
    (void)call;
    pthread_mutex_lock(&l->tier->lock);
    uint64_t rest = offset < l->e->len ? l->e->len - offset : 0;
    *got = len < rest ? len : (size_t)rest;
    if (*got) memcpy(dst, l->e->data + offset, *got);
    pthread_mutex_unlock(&l->tier->lock);
    return 0;
}

static int32_t log_truncate(qd_storage_log *l, uint64_t len, const qd_storage_call *call)
{
    (void)call;
    pthread_mutex_lock(&l->tier->lock);
    int32_t rc = len > l->e->len ? QD_E_ARG : 0;
    if (!rc) l->e->len = len;
    pthread_mutex_unlock(&l->tier->lock);
    return rc;
}

static void log_close(qd_storage_log *l)
{
    qd_storage *t = l->tier;
    pthread_mutex_lock(&t->lock);
    drop(l->e);
    t->open--;
    pthread_mutex_unlock(&t->lock);
    mem->free(l);
}
