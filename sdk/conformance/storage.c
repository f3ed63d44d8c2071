/*
 * storage.c: the contract of the storage kind as tests: read your writes, write-once, abort leaves
 * nothing, atomic publish, names, errors. Further parts: storage_calls.c (tags, sums, lengths,
 * copies, deadlines), storage_names.c (lists and removals), storage_log.c. storage_patient.c makes
 * the second tries that a tier may ask for.
 */
#include "storage_suite.h"
#include <pthread.h>
#include <stdlib.h>

int storage_suite_put(suite *s, const char *name, uint64_t seed, size_t n)
{
    static uint8_t piece[70000];
    qd_storage_put *put;
    int32_t rc = s->vt->put_begin(s->st, str_c(name), n, &put, &s->call);
    if (rc) return rc;
    size_t step = 1;
    for (size_t at = 0; at < n && rc == 0; at += step, step = step * 7 % 69997 + 1) {
        if (step > n - at) step = n - at;
        fill(piece, seed, at, step);
        rc = s->vt->put_write(put, piece, step, &s->call);
        if (at + step >= n) break;
    }
    if (rc) {
        s->vt->put_abort(put);
        return rc;
    }
    return s->vt->put_commit(put, 0, NULL, &s->call);
}

static int32_t suffix(suite *s, qd_storage_object *o, void *dst, size_t n, uint64_t *len,
                      const qd_storage_call *call)
{
    qd_storage_range range = {0, n, dst};
    qd_storage_read r = {
        .ranges = &range, .nranges = 1, .flags = QD_STORAGE_READ_SUFFIX, .call = call};
    s->c->prepare(s->c, &r.op);
    int32_t rc = s->vt->read_v(o, &r);
    if (rc == 0) rc = s->c->wait(s->c, &r.op, SECONDS(30));
    if (rc == 0) *len = r.object_len;
    return rc;
}

int32_t storage_suite_object(suite *s, qd_str name, qd_storage_object **out, uint64_t *len,
                             const qd_storage_call *call)
{
    uint8_t last;
    int32_t rc = s->vt->object_open(s->st, name, QD_STORAGE_LEN_UNKNOWN, out, len, call);
    if (rc || *len != QD_STORAGE_LEN_UNKNOWN) return rc;
    rc = suffix(s, *out, &last, 1, len, call);
    if (rc) s->vt->object_close(*out);
    return rc;
}

int32_t storage_suite_suffix(suite *s, qd_storage_object *o, void *dst, size_t n, uint64_t *len)
{
    return suffix(s, o, dst, n, len, &s->call);
}

int32_t storage_suite_remove(suite *s, qd_str name, const qd_storage_call *call)
{
    return s->vt->remove(s->st, &name, 1, NULL, call);
}

int storage_suite_holds(suite *s, const char *name, uint64_t seed, size_t n)
{
    uint8_t *p = malloc(n + 1);
    size_t got = 0;
    int32_t rc = p ? s->vt->get(s->st, str_c(name), p, n + 1, &got, NULL, &s->call) : QD_E_NOMEM;
    int ok = rc == 0 && got == n && same(p, seed, 0, n);
    free(p);
    return ok;
}

static int exists(suite *s, const char *name)
{
    qd_storage_stat st;
    return s->vt->stat(s->st, str_c(name), &st, NULL) == 0;
}

static void info_is_sane(suite *s)
{
    qd_storage_info info = {.struct_size = sizeof info};
    s->vt->info(s->st, &info);
    CHECK(s->c, info.publish_max >= 1u << 20);
    CHECK(s->c, info.object_max >= 1ull << 30);
    CHECK(s->c, info.read_align >= 1 && (info.read_align & (info.read_align - 1)) == 0);
    CHECK(s->c, info.reads_in_flight >= 1);
    uint64_t total = 0, available = 0;
    CHECK_EQ(s->c, s->vt->capacity(s->st, &total, &available, &s->call), 0);
    CHECK(s->c, total > 0 && available <= total);
    CHECK(s->c, total != UINT64_MAX || available == UINT64_MAX); /* no bound, both of them */
    CHECK(s->c, info.request_ns >= 0 && info.put_ns >= 0);
    CHECK(s->c, info.request_cost >= 0 && info.put_cost >= 0);
    CHECK(s->c, info.list_cost >= 0 && info.remove_cost >= 0);
    int stale = (s->vt->head.flags & QD_STORAGE_STALE_LIST) != 0;
    CHECK(s->c, stale ? info.list_lag_ns > 0 : info.list_lag_ns == 0);
}

static void object_is_seen_when_committed(suite *s)
{
    qd_storage_put *put;
    qd_storage_object *o;
    uint64_t len;
    uint8_t bytes[100], back[101];
    size_t got;
    fill(bytes, 1, 0, sizeof bytes);
    CHECK_EQ(s->c, s->vt->put_begin(s->st, S("a/first"), 0, &put, &s->call), 0);
    CHECK_EQ(s->c, s->vt->put_write(put, bytes, 60, &s->call), 0);
    CHECK(s->c, !exists(s, "a/first"));
    CHECK_EQ(s->c, storage_suite_object(s, S("a/first"), &o, &len, NULL), QD_E_NOTFOUND);
    CHECK_EQ(s->c, s->vt->put_write(put, bytes + 60, 40, &s->call), 0);
    CHECK_EQ(s->c, s->vt->put_commit(put, 0, NULL, &s->call), 0);
    CHECK_EQ(s->c, s->vt->get(s->st, S("a/first"), back, sizeof back, &got, NULL, &s->call), 0);
    CHECK_EQ(s->c, got, 100);
    CHECK(s->c, memcmp(bytes, back, 100) == 0);
    CHECK_EQ(s->c, storage_suite_object(s, S("a/first"), &o, &len, &s->call), 0);
    s->vt->object_close(o);
    CHECK_EQ(s->c, len, 100);
}

static void sizes_from_nothing_to_megabytes(suite *s)
{
    static const size_t sizes[] = {0, 1, 511, 512, 4095, 4096, 4097, 65536, 1048577, 5000003};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        char name[64];
        snprintf(name, sizeof name, "sizes/of-%zu", sizes[i]);
        CHECK_EQ(s->c, storage_suite_put(s, name, i, sizes[i]), 0);
        CHECK(s->c, storage_suite_holds(s, name, i, sizes[i]));
    }
}

/* Long enough to go up in parts, often enough to meet trouble. */
static void objects_are_whole_or_absent(suite *s)
{
    for (uint64_t i = 0; i < 40; i++) {
        char name[64];
        qd_storage_put *put;
        static uint8_t bytes[150000];
        snprintf(name, sizeof name, "parts/of-%u", (unsigned)i);
        fill(bytes, i, 0, sizeof bytes);
        CHECK_EQ(s->c, s->vt->put_begin(s->st, str_c(name), 0, &put, &s->call), 0);
        for (size_t at = 0; at < sizeof bytes; at += 50000)
            CHECK_EQ(s->c, s->vt->put_write(put, bytes + at, 50000, &s->call), 0);
        CHECK(s->c, !exists(s, name));
        if (i % 4 == 3) { /* a try, and then no more of it */
            int32_t rc = s->raw->put_commit(put, 0, NULL, NULL);
            if (rc == QD_E_REJECTED || rc == QD_E_TIMEOUT) s->vt->put_abort(put);
            CHECK(s->c, rc == 0 || rc == QD_E_REJECTED || rc == QD_E_TIMEOUT);
            CHECK(s->c, rc != QD_E_REJECTED || !exists(s, name));
            CHECK(s->c, !exists(s, name) || storage_suite_holds(s, name, i, sizeof bytes));
        } else {
            CHECK_EQ(s->c, s->vt->put_commit(put, 0, NULL, &s->call), 0);
            CHECK(s->c, storage_suite_holds(s, name, i, sizeof bytes));
        }
    }
}

static void abort_leaves_nothing(suite *s)
{
    qd_storage_put *put;
    CHECK_EQ(s->c, s->vt->put_begin(s->st, S("abort/x"), 1 << 20, &put, &s->call), 0);
    s->vt->put_abort(put);
    CHECK_EQ(s->c, s->vt->put_begin(s->st, S("abort/x"), 0, &put, &s->call), 0);
    CHECK_EQ(s->c, s->vt->put_write(put, "abc", 3, &s->call), 0);
    s->vt->put_abort(put);
    CHECK(s->c, !exists(s, "abort/x"));
    CHECK_EQ(s->c, storage_suite_put(s, "abort/x", 9, 10), 0);
    CHECK(s->c, storage_suite_holds(s, "abort/x", 9, 10));
}

static void objects_are_never_replaced(suite *s)
{
    CHECK_EQ(s->c, storage_suite_put(s, "once/x", 1, 1000), 0);
    CHECK_EQ(s->c, storage_suite_put(s, "once/x", 2, 2000), QD_E_EXISTS);
    s->c->err_clear(s->c);
    CHECK(s->c, storage_suite_holds(s, "once/x", 1, 1000));
    qd_storage_put *a, *b;
    CHECK_EQ(s->c, s->vt->put_begin(s->st, S("once/y"), 0, &a, &s->call), 0);
    int32_t rc = s->vt->put_begin(s->st, S("once/y"), 0, &b, &s->call);
    if (rc == 0) {
        CHECK_EQ(s->c, s->vt->put_write(a, "aa", 2, &s->call), 0);
        CHECK_EQ(s->c, s->vt->put_write(b, "bbb", 3, &s->call), 0);
        CHECK_EQ(s->c, s->vt->put_commit(b, 0, NULL, &s->call), 0);
        CHECK_EQ(s->c, s->vt->put_commit(a, 0, NULL, &s->call), QD_E_EXISTS);
        char back[4];
        size_t got;
        s->c->err_clear(s->c);
        CHECK_EQ(s->c, s->vt->get(s->st, S("once/y"), back, sizeof back, &got, NULL, &s->call), 0);
        CHECK(s->c, got == 3 && memcmp(back, "bbb", 3) == 0);
    } else {
        CHECK_EQ(s->c, rc, QD_E_EXISTS);
        s->vt->put_abort(a);
    }
}

static void reads_fill_their_ranges(suite *s)
{
    enum { N = 300, ROOM = 4000 };
    static uint8_t room[N * ROOM];
    static qd_storage_range ranges[N];
    const size_t size = 3000000;
    qd_storage_object *o;
    uint64_t len, x = 12345;
    CHECK_EQ(s->c, storage_suite_put(s, "reads/x", 5, size), 0);
    CHECK_EQ(s->c, storage_suite_object(s, S("reads/x"), &o, &len, &s->call), 0);
    CHECK_EQ(s->c, len, size);
    memset(room, 0xEE, sizeof room);
    for (size_t i = 0; i < N; i++) {
        x = x * 6364136223846793005ull + 1442695040888963407ull;
        uint64_t n = 1 + (x >> 33) % (ROOM - 16);
        uint64_t at = i == 0 ? size - n : (x >> 20) % (size - n);
        ranges[i] = (qd_storage_range){at, n, room + i * ROOM};
    }
    static const uint32_t flags[] = {0, QD_STORAGE_READ_URGENT, QD_STORAGE_READ_SEQUENTIAL,
                                     QD_STORAGE_READ_SEQUENTIAL | QD_STORAGE_READ_CACHED};
    for (size_t k = 0; k < COUNT(flags); k++) {
        memset(room, 0xEE, sizeof room);
        qd_storage_read r = {.ranges = ranges, .nranges = N, .flags = flags[k], .call = &s->call};
        s->c->prepare(s->c, &r.op);
        CHECK_EQ(s->c, s->vt->read_v(o, &r), 0);
        CHECK_EQ(s->c, s->c->wait(s->c, &r.op, SECONDS(30)), 0);
        for (size_t i = 0; i < N; i++) {
            CHECK(s->c, same(room + i * ROOM, 5, ranges[i].offset, ranges[i].len));
            CHECK_EQ(s->c, room[i * ROOM + ranges[i].len], 0xEE);
        }
    }
    s->vt->object_close(o);
}

static void reads_past_the_end_fail(suite *s)
{
    uint8_t dst[64];
    qd_storage_object *o;
    uint64_t len;
    CHECK_EQ(s->c, storage_suite_put(s, "reads/short", 6, 100), 0);
    CHECK_EQ(s->c, storage_suite_object(s, S("reads/short"), &o, &len, &s->call), 0);
    const qd_storage_range bad[] = {{90, 11, dst}, {100, 1, dst}, {UINT64_MAX - 3, 8, dst}};
    for (size_t i = 0; i < COUNT(bad); i++) {
        qd_storage_read r = {.ranges = &bad[i], .nranges = 1};
        s->c->prepare(s->c, &r.op);
        int32_t rc = s->vt->read_v(o, &r);
        if (rc == 0) rc = s->c->wait(s->c, &r.op, SECONDS(30));
        CHECK_EQ(s->c, rc, QD_E_EOF);
    }
    s->vt->object_close(o);
}

static void cancelled_reads_still_end(suite *s)
{
    enum { N = 1000 };
    static qd_storage_read reads[N];
    static uint8_t dst[N][64];
    static qd_storage_range ranges[N];
    qd_storage_object *o;
    uint64_t len;
    memset(reads, 0, sizeof reads);
    CHECK_EQ(s->c, storage_suite_put(s, "reads/cancel", 7, 1 << 20), 0);
    CHECK_EQ(s->c, storage_suite_object(s, S("reads/cancel"), &o, &len, &s->call), 0);
    for (size_t i = 0; i < N; i++) {
        ranges[i] = (qd_storage_range){i * 1000, 64, dst[i]};
        reads[i] = (qd_storage_read){.ranges = &ranges[i], .nranges = 1};
        s->c->prepare(s->c, &reads[i].op);
        CHECK_EQ(s->c, s->vt->read_v(o, &reads[i]), 0);
        /* The struct is the suite's own until wait, so a late cancel touches living memory. */
        if (i % 2) s->vt->read_cancel(o, &reads[i]);
    }
    for (size_t i = 0; i < N; i++) {
        int32_t rc = s->c->wait(s->c, &reads[i].op, SECONDS(30));
        CHECK(s->c, rc == 0 || (i % 2 && rc == QD_E_CANCELLED));
        if (rc == 0) CHECK(s->c, same(dst[i], 7, i * 1000, 64));
    }
    s->vt->object_close(o);
}

static void open_objects_outlive_removal(suite *s)
{
    qd_storage_object *a, *b;
    uint64_t len;
    uint8_t dst[50];
    CHECK_EQ(s->c, storage_suite_put(s, "open/x", 8, 5000), 0);
    CHECK_EQ(s->c, storage_suite_object(s, S("open/x"), &a, &len, &s->call), 0);
    CHECK_EQ(s->c, storage_suite_object(s, S("open/x"), &b, &len, &s->call), 0);
    s->vt->object_close(a);
    CHECK_EQ(s->c, storage_suite_remove(s, S("open/x"), &s->call), 0);
    CHECK(s->c, !exists(s, "open/x"));
    qd_storage_range range = {1234, sizeof dst, dst};
    qd_storage_read r = {.ranges = &range, .nranges = 1, .call = &s->call};
    s->c->prepare(s->c, &r.op);
    CHECK_EQ(s->c, s->vt->read_v(b, &r), 0);
    CHECK_EQ(s->c, s->c->wait(s->c, &r.op, SECONDS(30)), 0);
    CHECK(s->c, same(dst, 8, 1234, sizeof dst));
    s->vt->object_close(b);
}

static void maps_show_the_object(suite *s)
{
    qd_storage_object *o;
    uint64_t len;
    const uint8_t *p;
    CHECK_EQ(s->c, storage_suite_put(s, "map/x", 9, 123457), 0);
    CHECK_EQ(s->c, storage_suite_object(s, S("map/x"), &o, &len, &s->call), 0);
    CHECK_EQ(s->c, s->vt->object_map(o, len + 4096, &p, &s->call), QD_E_CORRUPT);
    s->vt->object_close(o);
    s->c->err_clear(s->c);
    CHECK_EQ(s->c, storage_suite_object(s, S("map/x"), &o, &len, &s->call), 0);
    CHECK_EQ(s->c, s->vt->object_map(o, len, &p, &s->call), 0);
    CHECK(s->c, same(p, 9, 0, len));
    CHECK_EQ(s->c, storage_suite_remove(s, S("map/x"), &s->call), 0);
    CHECK(s->c, same(p, 9, 0, len));
    s->vt->object_close(o);
}

static void publish_replaces(suite *s)
{
    static uint8_t big[1 << 20];
    char back[8];
    size_t got;
    CHECK_EQ(s->c, s->vt->publish(s->st, S("registers/p"), "one", 3, NULL, &s->call), 0);
    CHECK_EQ(s->c, s->vt->publish(s->st, S("registers/p"), "second", 6, NULL, &s->call), 0);
    CHECK_EQ(s->c, s->vt->publish(s->st, S("registers/p"), "2", 1, NULL, &s->call), 0);
    CHECK_EQ(s->c, s->vt->get(s->st, S("registers/p"), back, sizeof back, &got, NULL, &s->call), 0);
    CHECK(s->c, got == 1 && back[0] == '2');
    fill(big, 3, 0, sizeof big);
    CHECK_EQ(s->c, s->vt->publish(s->st, S("registers/p"), big, sizeof big, NULL, &s->call), 0);
    CHECK(s->c, storage_suite_holds(s, "registers/p", 3, sizeof big));
    CHECK_EQ(s->c, s->vt->get(s->st, S("registers/p"), back, sizeof back, &got, NULL, NULL),
             QD_E_LIMIT);
    CHECK_EQ(s->c, s->vt->get(s->st, S("registers/none"), back, sizeof back, &got, NULL, NULL),
             QD_E_NOTFOUND);
}

typedef struct publisher {
    suite *s;
    int32_t rc;
} publisher;

static void *publish_by_turns(void *arg)
{
    publisher *p = arg;
    char bytes[3000];
    for (int i = 0; i < 100 && p->rc == 0; i++) {
        size_t n = i % 2 ? 3000 : 1000;
        memset(bytes, i % 2 ? 'b' : 'a', n);
        p->rc = p->s->vt->publish(p->s->st, S("registers/turns"), bytes, n, NULL, NULL);
    }
    return NULL;
}

static void publish_is_atomic_for_readers(suite *s)
{
    publisher p = {s, 0};
    pthread_t t;
    char back[4000];
    CHECK_EQ(s->c, s->vt->publish(s->st, S("registers/turns"), "", 0, NULL, &s->call), 0);
    CHECK_EQ(s->c, pthread_create(&t, NULL, publish_by_turns, &p), 0);
    int bad = 0, rc = 0;
    for (int i = 0; i < 300 && !bad && rc == 0; i++) {
        size_t n = 0;
        rc = s->vt->get(s->st, S("registers/turns"), back, sizeof back, &n, NULL, &s->call);
        bad = n != 0 && n != 1000 && n != 3000;
        for (size_t k = 0; k < n && !bad; k++) bad = back[k] != (n == 1000 ? 'a' : 'b');
    }
    pthread_join(t, NULL);
    CHECK_EQ(s->c, rc, 0);
    CHECK_EQ(s->c, p.rc, 0);
    CHECK(s->c, !bad);
}

static void removal(suite *s)
{
    qd_storage_stat st;
    CHECK_EQ(s->c, storage_suite_put(s, "rm/a", 1, 10), 0);
    CHECK_EQ(s->c, s->vt->stat(s->st, S("rm/a"), &st, &s->call), 0);
    CHECK_EQ(s->c, st.size, 10);
    CHECK_EQ(s->c, storage_suite_remove(s, S("rm/a"), &s->call), 0);
    CHECK(s->c, !exists(s, "rm/a"));
    CHECK_EQ(s->c, storage_suite_remove(s, S("rm/a"), &s->call), 0); /* absent ones are fine */
    CHECK_EQ(s->c, s->vt->stat(s->st, S("rm/a"), &st, NULL), QD_E_NOTFOUND);
    CHECK_EQ(s->c, storage_suite_put(s, "rm/a", 2, 20), 0);
    CHECK(s->c, storage_suite_holds(s, "rm/a", 2, 20));
}

static void removal_of_trees(suite *s)
{
    CHECK_EQ(s->c, storage_suite_put(s, "rm/t/a", 1, 10), 0);
    CHECK_EQ(s->c, storage_suite_put(s, "rm/t/b/c", 1, 10), 0);
    CHECK_EQ(s->c, storage_suite_put(s, "rm/tree", 1, 10), 0);
    CHECK_EQ(s->c, s->vt->remove_tree(s->st, S("rm/t"), &s->call), 0);
    CHECK(s->c, !exists(s, "rm/t/a") && !exists(s, "rm/t/b/c"));
    CHECK(s->c, exists(s, "rm/tree"));
    CHECK_EQ(s->c, s->vt->remove_tree(s->st, S("rm/t"), &s->call), 0);
    CHECK_EQ(s->c, storage_suite_put(s, "rm/t/a", 2, 20), 0);
    CHECK(s->c, storage_suite_holds(s, "rm/t/a", 2, 20));
}

static void renaming(suite *s)
{
    CHECK_EQ(s->c, storage_suite_put(s, "mv/a", 1, 10), 0);
    CHECK_EQ(s->c, storage_suite_put(s, "mv/b", 2, 20), 0);
    CHECK_EQ(s->c, s->vt->rename(s->st, S("mv/a"), S("mv/b"), NULL), QD_E_EXISTS);
    CHECK_EQ(s->c, s->vt->rename(s->st, S("mv/none"), S("mv/c"), NULL), QD_E_NOTFOUND);
    CHECK_EQ(s->c, s->vt->rename(s->st, S("mv/a"), S("lost/mv_a"), &s->call), 0);
    CHECK(s->c, !exists(s, "mv/a"));
    CHECK(s->c, storage_suite_holds(s, "lost/mv_a", 1, 10));
}

static void lazy_objects_sync_later(suite *s)
{
    qd_storage_put *put;
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(s->c, s->vt->put_begin(s->st, i ? S("lazy/b") : S("lazy/a"), 0, &put, &s->call),
                 0);
        CHECK_EQ(s->c, s->vt->put_write(put, "lazy", 4, &s->call), 0);
        CHECK_EQ(s->c, s->vt->put_commit(put, QD_STORAGE_COMMIT_LAZY, NULL, &s->call), 0);
    }
    CHECK(s->c, exists(s, "lazy/a") && exists(s, "lazy/b"));
    const qd_str names[] = {S("lazy/a"), S("lazy/b")}, none = S("lazy/none");
    CHECK_EQ(s->c, s->vt->sync_objects(s->st, names, 2, &s->call), 0);
    CHECK_EQ(s->c, s->vt->sync_objects(s->st, &none, 1, NULL), QD_E_NOTFOUND);
    CHECK_EQ(s->c, storage_suite_remove(s, S("lazy/a"), &s->call), 0);
    CHECK_EQ(s->c, s->vt->sync_dir(s->st, S("lazy"), &s->call), 0);
    CHECK(s->c, !exists(s, "lazy/a") && exists(s, "lazy/b"));
}

static void bad_names_are_refused(suite *s)
{
    static char longer[300];
    memset(longer, 'x', 299);
    const char *const bad[] = {"",          "/abs",    "a//b", "a/",  "../x", "a/../b",   "./a",
                               "a/.hidden", ".hidden", "a\nb", "a b", "a\\b", "\xc3\xa4", longer};
    for (size_t i = 0; i < COUNT(bad); i++) {
        qd_storage_put *put = NULL;
        qd_storage_object *o;
        uint64_t len;
        qd_str name = str_c(bad[i]);
        int32_t rc = s->vt->put_begin(s->st, name, 0, &put, NULL);
        if (rc == 0) s->vt->put_abort(put);
        CHECK_EQ(s->c, rc, QD_E_ARG);
        CHECK_EQ(s->c, s->vt->publish(s->st, name, "x", 1, NULL, NULL), QD_E_ARG);
        CHECK_EQ(s->c, storage_suite_object(s, name, &o, &len, NULL), QD_E_ARG);
        CHECK_EQ(s->c, storage_suite_remove(s, name, NULL), QD_E_ARG);
    }
    qd_str zero = {"a\0b", 3};
    CHECK_EQ(s->c, s->vt->publish(s->st, zero, "x", 1, NULL, NULL), QD_E_ARG);
}

static void errors_say_what(suite *s)
{
    qd_storage_object *o;
    uint64_t len;
    CHECK_EQ(s->c, storage_suite_object(s, S("errors/none"), &o, &len, &s->call), QD_E_NOTFOUND);
    CHECK(s->c, strstr(s->c->reason(s->c), "errors/none") != NULL);
}

static void busy_tiers_do_not_close(suite *s)
{
    qd_storage_object *o;
    qd_storage_put *put;
    uint64_t len;
    CHECK_EQ(s->c, storage_suite_put(s, "busy/x", 1, 10), 0);
    CHECK_EQ(s->c, storage_suite_object(s, S("busy/x"), &o, &len, &s->call), 0);
    CHECK_EQ(s->c, s->vt->close(s->st, NULL), QD_E_STATE);
    s->vt->object_close(o);
    CHECK_EQ(s->c, s->vt->put_begin(s->st, S("busy/y"), 0, &put, &s->call), 0);
    CHECK_EQ(s->c, s->vt->close(s->st, NULL), QD_E_STATE);
    s->vt->put_abort(put);
    CHECK(s->c, storage_suite_holds(s, "busy/x", 1, 10));
}

/* Whatever allocation fails, the call says so or succeeds, and nothing half-made is seen. */
static void no_memory_is_an_error(suite *s)
{
    for (uint64_t n = 1; n < 2000; n++) {
        char name[64];
        snprintf(name, sizeof name, "nomem/o%llu", (unsigned long long)n);
        s->c->alloc_fail(s->c, n);
        int put = storage_suite_put(s, name, n, 10000);
        int published = s->vt->publish(s->st, S("nomem/r"), "bytes", 5, NULL, NULL);
        s->c->alloc_fail(s->c, 0);
        s->c->err_clear(s->c);
        CHECK(s->c, put == 0 || put == QD_E_NOMEM);
        CHECK(s->c, published == 0 || published == QD_E_NOMEM);
        if (put)
            CHECK(s->c, !exists(s, name));
        else
            CHECK(s->c, storage_suite_holds(s, name, n, 10000));
        if (put == 0 && published == 0) return;
    }
}

static void reopened_tiers_keep_all(suite *s)
{
    CHECK_EQ(s->c, storage_suite_put(s, "keep/o", 4, 100000), 0);
    CHECK_EQ(s->c, s->vt->publish(s->st, S("keep/r"), "bytes", 5, NULL, &s->call), 0);
    CHECK_EQ(s->c, s->vt->close(s->st, s->c->err), 0);
    s->st = NULL;
    CHECK_EQ(s->c, storage_suite_open(s), 0);
    CHECK(s->c, storage_suite_holds(s, "keep/o", 4, 100000));
    char back[8];
    size_t got;
    CHECK_EQ(s->c, s->vt->get(s->st, S("keep/r"), back, sizeof back, &got, NULL, &s->call), 0);
    CHECK(s->c, got == 5 && memcmp(back, "bytes", 5) == 0);
}

int storage_suite_open(suite *s)
{
    qd_storage_config config = {.struct_size = sizeof config,
                                .noptions = s->c->noptions,
                                .tier = S("conformance"),
                                .path = s->c->folder,
                                .options = s->c->options};
    return s->vt->open(s->c->self, &config, &s->st, s->c->err);
}

static void opens(suite *s)
{
    CHECK_EQ(s->c, storage_suite_open(s), 0);
    CHECK(s->c, s->st != NULL);
}

static void closes(suite *s)
{
    CHECK_EQ(s->c, s->vt->close(s->st, s->c->err), 0);
}

void qd_conform_storage(qd_conform *c, const char *name, const qd_storage_vtable *vt)
{
    static const struct {
        const char *name;
        void (*run)(suite *);
        uint64_t flag;
    } tests[] = {
        {"limits and capacity are sane", info_is_sane, 0},
        {"an object is seen when committed, not before", object_is_seen_when_committed, 0},
        {"objects of all sizes come back", sizes_from_nothing_to_megabytes, 0},
        {"objects are whole or absent", objects_are_whole_or_absent, 0},
        {"abort leaves nothing", abort_leaves_nothing, 0},
        {"objects are never replaced", objects_are_never_replaced, 0},
        {"what differs from its sum is refused", storage_suite_sums, QD_STORAGE_CHECKSUM},
        {"vectored reads fill exactly their ranges", reads_fill_their_ranges, 0},
        {"reads past the end fail", reads_past_the_end_fail, 0},
        {"suffix reads tell end and length", storage_suite_suffixes, 0},
        {"objects open with a known length", storage_suite_known_lengths, 0},
        {"cancelled reads end once", cancelled_reads_still_end, 0},
        {"open objects outlive removal", open_objects_outlive_removal, 0},
        {"maps show the object", maps_show_the_object, QD_STORAGE_MMAP},
        {"publish replaces", publish_replaces, 0},
        {"publish is atomic for readers", publish_is_atomic_for_readers, 0},
        {"publish on a condition", storage_suite_conditions, QD_STORAGE_CONDITIONAL_PUT},
        {"one of many conditional publishes wins", storage_suite_races, QD_STORAGE_CONDITIONAL_PUT},
        {"lists are sorted and whole", storage_suite_lists, 0},
        {"a cursor finds each name once", storage_suite_cursors, 0},
        {"a list can stop at folders", storage_suite_folders, 0},
        {"removal of names", removal, 0},
        {"many names are removed at once", storage_suite_remove_many, 0},
        {"removal of trees", removal_of_trees, QD_STORAGE_TREE},
        {"renaming", renaming, QD_STORAGE_RENAME},
        {"copies inside the tier", storage_suite_copies, QD_STORAGE_COPY},
        {"lazy objects are synced later", lazy_objects_sync_later, QD_STORAGE_LAZY},
        {"bad names are refused", bad_names_are_refused, 0},
        {"errors name the object", errors_say_what, 0},
        {"a tier in use does not close", busy_tiers_do_not_close, 0},
        {"out of memory is an error", no_memory_is_an_error, 0},
        {"calls past their deadline do nothing", storage_suite_deadlines, 0},
        {"calls of a cancelled task do nothing", storage_suite_cancelled, 0},
        {"a log keeps what was appended", storage_suite_log_appends, QD_STORAGE_APPEND},
        {"log modes and errors", storage_suite_log_modes, QD_STORAGE_APPEND},
        {"a truncated log goes on there", storage_suite_log_truncates, QD_STORAGE_APPEND},
        {"log syncs from many threads", storage_suite_log_syncs, QD_STORAGE_APPEND},
        {"a reopened log goes on", storage_suite_log_reopens, QD_STORAGE_APPEND},
        {"a tier opened again keeps all", reopened_tiers_keep_all, QD_STORAGE_DURABLE},
    };
    qd_storage_vtable patient;
    suite s = {.c = c,
               .vt = storage_suite_patient(&patient, c, vt),
               .raw = vt,
               .call = {.struct_size = sizeof s.call, .err = c->err}};
    (void)name;
    RUN(c, "the tier opens", opens(&s));
    if (c->outcome != QD_CONFORM_OK) return;
    for (size_t i = 0; i < COUNT(tests); i++) {
        if (tests[i].flag && !(vt->head.flags & tests[i].flag))
            SKIP(c, tests[i].name, "not among its flags");
        else
            RUN(c, tests[i].name, tests[i].run(&s));
        if (!s.st) return; /* it could not be opened again */
    }
    RUN(c, "the tier closes", closes(&s));
}
