/* storage_log.c: the contract of append-only logs. */
#include "storage_suite.h"
#include <pthread.h>

static int append(suite *s, qd_storage_log *log, uint64_t at, size_t n, uint64_t *offset)
{
    static uint8_t bytes[200000];
    fill(bytes, 42, at, n);
    qd_iovec parts[2] = {{bytes, n / 3}, {bytes + n / 3, n - n / 3}};
    return s->vt->log_append_v(log, parts, 2, offset, &s->call);
}

/* Do bytes [from, from + n) of the log hold the pattern? */
static int log_holds(suite *s, qd_storage_log *log, uint64_t from, size_t n)
{
    static uint8_t bytes[200000];
    for (size_t done = 0; done < n;) {
        size_t got = 0, want = n - done < sizeof bytes ? n - done : sizeof bytes;
        if (s->vt->log_read(log, from + done, bytes, want, &got, &s->call) || got == 0) return 0;
        if (!same(bytes, 42, from + done, got)) return 0;
        done += got;
    }
    return 1;
}

void storage_suite_log_appends(suite *s)
{
    qd_storage_log *log;
    uint64_t end = 1, offset, at = 0;
    size_t got = 9;
    uint8_t b[8];
    CHECK_EQ(s->c, s->vt->log_open(s->st, S("logs/a"), QD_STORAGE_LOG_CREATE, &log, &end, &s->call),
             0);
    CHECK_EQ(s->c, end, 0);
    CHECK_EQ(s->c, s->vt->log_read(log, 0, b, sizeof b, &got, &s->call), 0);
    CHECK_EQ(s->c, got, 0);
    static const size_t sizes[] = {1, 2, 100, 4096, 511, 70000, 3, 150000};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        CHECK_EQ(s->c, append(s, log, at, sizes[i], &offset), 0);
        CHECK_EQ(s->c, offset, at);
        at += sizes[i];
        CHECK(s->c, log_holds(s, log, 0, at)); /* before any sync, too */
        if (i % 2) CHECK_EQ(s->c, s->vt->log_sync(log, at, &s->call), 0);
    }
    static uint8_t many[1024];
    static qd_iovec parts[1024];
    fill(many, 42, at, sizeof many);
    for (size_t i = 0; i < 1024; i++) parts[i] = (qd_iovec){many + i, 1};
    CHECK_EQ(s->c, s->vt->log_append_v(log, parts, 1024, &offset, &s->call), 0);
    CHECK_EQ(s->c, offset, at);
    CHECK(s->c, log_holds(s, log, at, 1024));
    CHECK_EQ(s->c, s->vt->log_sync(log, at + 1024, &s->call), 0);
    CHECK_EQ(s->c, s->vt->log_read(log, at + 1020, b, sizeof b, &got, &s->call), 0);
    CHECK_EQ(s->c, got, 4);
    s->vt->log_close(log);
}

void storage_suite_log_modes(suite *s)
{
    qd_storage_log *log;
    uint64_t end, offset;
    CHECK_EQ(s->c, s->vt->log_open(s->st, S("logs/none"), 0, &log, &end, NULL), QD_E_NOTFOUND);
    const uint32_t excl = QD_STORAGE_LOG_CREATE | QD_STORAGE_LOG_EXCL;
    CHECK_EQ(s->c, s->vt->log_open(s->st, S("logs/m"), excl, &log, &end, &s->call), 0);
    CHECK_EQ(s->c, append(s, log, 0, 10, &offset), 0);
    CHECK_EQ(s->c, s->vt->log_truncate(log, 11, NULL), QD_E_ARG);
    CHECK_EQ(s->c, s->vt->close(s->st, NULL), QD_E_STATE);
    s->vt->log_close(log);
    CHECK_EQ(s->c, s->vt->log_open(s->st, S("logs/m"), excl, &log, &end, NULL), QD_E_EXISTS);
    CHECK_EQ(s->c, s->vt->log_open(s->st, S("../m"), excl, &log, &end, NULL), QD_E_ARG);
    CHECK_EQ(s->c, storage_suite_remove(s, S("logs/m"), &s->call), 0);
    CHECK_EQ(s->c, s->vt->log_open(s->st, S("logs/m"), 0, &log, &end, NULL), QD_E_NOTFOUND);
}

void storage_suite_log_truncates(suite *s)
{
    qd_storage_log *log;
    uint64_t end, offset;
    CHECK_EQ(s->c, s->vt->log_open(s->st, S("logs/t"), QD_STORAGE_LOG_CREATE, &log, &end, &s->call),
             0);
    CHECK_EQ(s->c, append(s, log, 0, 100000, &offset), 0);
    CHECK_EQ(s->c, s->vt->log_sync(log, 100000, &s->call), 0);
    CHECK_EQ(s->c, s->vt->log_truncate(log, 777, &s->call), 0);
    uint8_t b[8];
    size_t got;
    CHECK_EQ(s->c, s->vt->log_read(log, 777, b, sizeof b, &got, &s->call), 0);
    CHECK_EQ(s->c, got, 0);
    CHECK_EQ(s->c, append(s, log, 777, 5000, &offset), 0);
    CHECK_EQ(s->c, offset, 777);
    CHECK(s->c, log_holds(s, log, 0, 5777));
    CHECK_EQ(s->c, s->vt->log_sync(log, 5777, &s->call), 0);
    CHECK_EQ(s->c, s->vt->log_truncate(log, 0, &s->call), 0);
    CHECK_EQ(s->c, append(s, log, 0, 100, &offset), 0);
    CHECK_EQ(s->c, offset, 0);
    s->vt->log_close(log);
}

typedef struct writers {
    suite *s;
    qd_storage_log *log;
    pthread_mutex_t append; /* appends are one at a time, syncs are not */
    uint64_t end;
    int32_t rc;
} writers;

static void *append_and_sync(void *arg)
{
    writers *w = arg;
    for (int i = 0; i < 50; i++) {
        uint8_t bytes[333];
        pthread_mutex_lock(&w->append);
        uint64_t offset = 0;
        fill(bytes, 42, w->end, sizeof bytes);
        qd_iovec part = {bytes, sizeof bytes};
        int32_t rc = w->s->vt->log_append_v(w->log, &part, 1, &offset, NULL);
        if (rc == 0 && offset != w->end) rc = QD_E_INTERNAL;
        w->end += sizeof bytes;
        if (rc && !w->rc) w->rc = rc;
        pthread_mutex_unlock(&w->append);
        rc = w->s->vt->log_sync(w->log, offset + sizeof bytes, NULL);
        pthread_mutex_lock(&w->append);
        if (rc && !w->rc) w->rc = rc;
        pthread_mutex_unlock(&w->append);
    }
    return NULL;
}

void storage_suite_log_syncs(suite *s)
{
    writers w = {.s = s, .append = PTHREAD_MUTEX_INITIALIZER};
    pthread_t t[4];
    uint64_t end;
    CHECK_EQ(s->c,
             s->vt->log_open(s->st, S("logs/s"), QD_STORAGE_LOG_CREATE, &w.log, &end, &s->call), 0);
    for (size_t i = 0; i < COUNT(t); i++)
        CHECK_EQ(s->c, pthread_create(&t[i], NULL, append_and_sync, &w), 0);
    for (size_t i = 0; i < COUNT(t); i++) pthread_join(t[i], NULL);
    CHECK_EQ(s->c, w.rc, 0);
    CHECK_EQ(s->c, w.end, 4 * 50 * 333);
    CHECK(s->c, log_holds(s, w.log, 0, w.end));
    s->vt->log_close(w.log);
}

void storage_suite_log_reopens(suite *s)
{
    qd_storage_log *log;
    uint64_t end, offset;
    qd_storage_stat st;
    CHECK_EQ(s->c, s->vt->log_open(s->st, S("logs/r"), QD_STORAGE_LOG_CREATE, &log, &end, &s->call),
             0);
    CHECK_EQ(s->c, append(s, log, 0, 12345, &offset), 0);
    CHECK_EQ(s->c, s->vt->log_sync(log, 12345, &s->call), 0);
    s->vt->log_close(log);
    CHECK_EQ(s->c, s->vt->stat(s->st, S("logs/r"), &st, &s->call), 0);
    CHECK(s->c, st.size >= 12345);
    CHECK_EQ(s->c, s->vt->log_open(s->st, S("logs/r"), 0, &log, &end, &s->call), 0);
    CHECK(s->c, end >= 12345);
    CHECK(s->c, log_holds(s, log, 0, 12345));
    CHECK_EQ(s->c, s->vt->log_truncate(log, 12345, &s->call), 0);
    CHECK_EQ(s->c, append(s, log, 12345, 100, &offset), 0);
    CHECK_EQ(s->c, offset, 12345);
    s->vt->log_close(log);
}
