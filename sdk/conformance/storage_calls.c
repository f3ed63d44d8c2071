/*
 * storage_calls.c: tags and conditions, sums, known lengths and suffixes, copies, and what deadline
 * and cancellation do to every call.
 */
#include "storage_suite.h"
#include <pthread.h>

/* CRC32C, a bit at a time. */
static uint32_t crc32c(const uint8_t *p, size_t n)
{
    uint32_t c = ~0u;
    for (size_t i = 0; i < n; i++) {
        c ^= p[i];
        for (int k = 0; k < 8; k++) c = c >> 1 ^ (c & 1 ? 0x82f63b78u : 0);
    }
    return ~c;
}

void storage_suite_sums(suite *s)
{
    static uint8_t bytes[30000];
    fill(bytes, 11, 0, sizeof bytes);
    const uint32_t right = crc32c(bytes, sizeof bytes);
    const qd_storage_sum sums[] = {{sizeof bytes, right, QD_STORAGE_SUM_CRC32C},
                                   {sizeof bytes, 0, 0},
                                   {sizeof bytes, right ^ 1, QD_STORAGE_SUM_CRC32C},
                                   {sizeof bytes - 1, 0, 0}};
    for (size_t i = 0; i < COUNT(sums); i++) {
        char name[32];
        qd_storage_put *put;
        qd_storage_stat st;
        snprintf(name, sizeof name, "sums/%zu", i);
        CHECK_EQ(s->c, s->vt->put_begin(s->st, str_c(name), sizeof bytes, &put, &s->call), 0);
        CHECK_EQ(s->c, s->vt->put_write(put, bytes, 10000, &s->call), 0);
        CHECK_EQ(s->c, s->vt->put_write(put, bytes + 10000, 20000, &s->call), 0);
        CHECK_EQ(s->c, s->vt->put_commit(put, 0, &sums[i], NULL), i < 2 ? 0 : QD_E_CORRUPT);
        int32_t there = s->vt->stat(s->st, str_c(name), &st, NULL);
        CHECK_EQ(s->c, there, i < 2 ? 0 : QD_E_NOTFOUND);
    }
}

void storage_suite_suffixes(suite *s)
{
    static const size_t sizes[] = {0, 1, 99, 100, 101, 70000};
    uint8_t dst[101];
    for (size_t i = 0; i < COUNT(sizes); i++) {
        char name[32];
        qd_storage_object *o;
        uint64_t len = 7;
        size_t n = sizes[i] < 100 ? sizes[i] : 100;
        snprintf(name, sizeof name, "suffix/%zu", i);
        CHECK_EQ(s->c, storage_suite_put(s, name, 13, sizes[i]), 0);
        CHECK_EQ(s->c, storage_suite_object(s, str_c(name), &o, &len, &s->call), 0);
        CHECK_EQ(s->c, len, sizes[i]);
        memset(dst, 0xEE, sizeof dst);
        len = 7;
        int32_t rc = storage_suite_suffix(s, o, dst, 100, &len);
        s->vt->object_close(o);
        CHECK_EQ(s->c, rc, 0);
        CHECK_EQ(s->c, len, sizes[i]);
        CHECK(s->c, same(dst, 13, sizes[i] - n, n));
        CHECK_EQ(s->c, dst[n], 0xEE);
    }
}

/* A call that opens by `known` and reads one byte: where a wrong length shows at the latest. */
static int32_t open_and_read(suite *s, qd_str name, uint64_t known)
{
    qd_storage_object *o;
    uint64_t len = 0;
    uint8_t byte = 0;
    int32_t rc = s->vt->object_open(s->st, name, known, &o, &len, NULL);
    if (rc) return rc;
    if (len != known) rc = QD_E_INTERNAL;
    qd_storage_range range = {0, 1, &byte};
    qd_storage_read r = {.ranges = &range, .nranges = 1};
    s->c->prepare(s->c, &r.op);
    if (rc == 0) rc = s->vt->read_v(o, &r);
    if (rc == 0) rc = s->c->wait(s->c, &r.op, SECONDS(30));
    s->vt->object_close(o);
    return rc ? rc : byte == pattern(21, 0) ? 0 : QD_E_INTERNAL;
}

void storage_suite_known_lengths(suite *s)
{
    CHECK_EQ(s->c, storage_suite_put(s, "known/x", 21, 4321), 0);
    CHECK_EQ(s->c, open_and_read(s, S("known/x"), 4321), 0);
    CHECK_EQ(s->c, open_and_read(s, S("known/x"), 4322), QD_E_CORRUPT);
    CHECK_EQ(s->c, open_and_read(s, S("known/x"), 4320), QD_E_CORRUPT);
    CHECK_EQ(s->c, open_and_read(s, S("known/none"), 4321), QD_E_NOTFOUND);
}

/* Somebody who has seen the register for the first time can replace it, and nobody else. */
void storage_suite_conditions(suite *s)
{
    char made[QD_STORAGE_TAG], got[QD_STORAGE_TAG], next[QD_STORAGE_TAG], none[QD_STORAGE_TAG];
    char back[2];
    size_t n;
    qd_storage_stat st;
    const qd_str name = S("registers/if"), empty = S("");
    CHECK_EQ(s->c, s->vt->publish_if(s->st, name, "1", 1, empty, made, &s->call), 0);
    CHECK_EQ(s->c, s->vt->publish_if(s->st, name, "2", 1, empty, none, NULL), QD_E_CONFLICT);
    CHECK_EQ(s->c, s->vt->get(s->st, name, back, 2, &n, got, &s->call), 0);
    CHECK_EQ(s->c, s->vt->stat(s->st, name, &st, &s->call), 0);
    CHECK(s->c, made[0] && strcmp(made, got) == 0 && strcmp(made, st.tag) == 0);
    CHECK_EQ(s->c, s->vt->publish_if(s->st, name, "3", 1, str_c(st.tag), next, &s->call), 0);
    CHECK(s->c, strcmp(made, next) != 0);
    CHECK_EQ(s->c, s->vt->publish_if(s->st, name, "4", 1, str_c(made), none, NULL), QD_E_CONFLICT);
    CHECK_EQ(s->c, s->vt->get(s->st, name, back, 2, &n, got, &s->call), 0);
    CHECK(s->c, n == 1 && back[0] == '3' && strcmp(next, got) == 0);
    /* What is published without a condition changes the tag as well. */
    CHECK_EQ(s->c, s->vt->publish(s->st, name, "5", 1, made, &s->call), 0);
    CHECK_EQ(s->c, s->vt->publish_if(s->st, name, "6", 1, str_c(next), none, NULL), QD_E_CONFLICT);
    CHECK_EQ(s->c, s->vt->publish_if(s->st, name, "6", 1, str_c(made), next, &s->call), 0);
    /* A register that went is there for nobody. */
    CHECK_EQ(s->c, storage_suite_remove(s, name, &s->call), 0);
    CHECK_EQ(s->c, s->vt->publish_if(s->st, name, "7", 1, str_c(next), none, NULL), QD_E_CONFLICT);
    CHECK_EQ(s->c, s->vt->publish_if(s->st, name, "7", 1, empty, none, &s->call), 0);
}

typedef struct racer {
    suite *s;
    uint32_t who, won;
    int32_t rc;
} racer;

/* Adds 1 to the counter in the register, by comparing and swapping, 20 times. */
static void *count_up(void *arg)
{
    racer *r = arg;
    for (uint32_t tries = 0; r->won < 20 && tries < 100000 && r->rc == 0; tries++) {
        char tag[QD_STORAGE_TAG], after[QD_STORAGE_TAG];
        uint32_t now[2] = {0, 0}; /* the count, and who made it so */
        size_t n = 0;
        const qd_str name = S("registers/race");
        r->rc = r->s->vt->get(r->s->st, name, now, sizeof now, &n, tag, NULL);
        if (r->rc) break;
        now[0]++;
        now[1] = r->who * 1000 + tries;
        int32_t rc = r->s->vt->publish_if(r->s->st, name, now, sizeof now, str_c(tag), after, NULL);
        if (rc == 0) r->won++;
        if (rc && rc != QD_E_CONFLICT) r->rc = rc;
    }
    return NULL;
}

void storage_suite_races(suite *s)
{
    racer racers[4];
    pthread_t t[4];
    uint32_t now[2] = {0, 0};
    size_t n = 0;
    CHECK_EQ(s->c, s->vt->publish(s->st, S("registers/race"), now, sizeof now, NULL, &s->call), 0);
    for (uint32_t i = 0; i < COUNT(t); i++) {
        racers[i] = (racer){.s = s, .who = i + 1};
        CHECK_EQ(s->c, pthread_create(&t[i], NULL, count_up, &racers[i]), 0);
    }
    for (size_t i = 0; i < COUNT(t); i++) pthread_join(t[i], NULL);
    for (size_t i = 0; i < COUNT(t); i++) {
        CHECK_EQ(s->c, racers[i].rc, 0);
        CHECK_EQ(s->c, racers[i].won, 20);
    }
    CHECK_EQ(s->c, s->vt->get(s->st, S("registers/race"), now, sizeof now, &n, NULL, &s->call), 0);
    /* None was lost; what was counted twice had no answer the first time. */
    CHECK(s->c, now[0] >= 80 && now[0] <= 80 + storage_suite_conflicts());
}

void storage_suite_copies(suite *s)
{
    qd_storage_stat st;
    CHECK_EQ(s->c, storage_suite_put(s, "copy/a", 31, 123456), 0);
    CHECK_EQ(s->c, s->vt->copy(s->st, S("copy/a"), S("copy/b/c"), &s->call), 0);
    CHECK(s->c, storage_suite_holds(s, "copy/b/c", 31, 123456));
    CHECK(s->c, storage_suite_holds(s, "copy/a", 31, 123456));
    CHECK_EQ(s->c, storage_suite_remove(s, S("copy/a"), &s->call), 0);
    CHECK(s->c, storage_suite_holds(s, "copy/b/c", 31, 123456));
    CHECK_EQ(s->c, storage_suite_put(s, "copy/d", 32, 10), 0);
    CHECK_EQ(s->c, s->vt->copy(s->st, S("copy/d"), S("copy/b/c"), NULL), QD_E_EXISTS);
    CHECK(s->c, storage_suite_holds(s, "copy/b/c", 31, 123456));
    CHECK_EQ(s->c, s->vt->copy(s->st, S("copy/none"), S("copy/e"), NULL), QD_E_NOTFOUND);
    CHECK_EQ(s->c, s->vt->stat(s->st, S("copy/e"), &st, NULL), QD_E_NOTFOUND);
}

/* Each call with `call`, which ends it before it begins: all say `code` and none did anything. */
static void stopped(suite *s, const qd_storage_call *call, int32_t code)
{
    const qd_storage_vtable *vt = s->raw;
    const qd_str there = S("stopped/there"), fresh = S("stopped/fresh");
    qd_storage_stat st, entries[4];
    qd_storage_put *put = NULL;
    qd_storage_object *o = NULL;
    uint64_t len, total;
    size_t n;
    char buf[64], names[4 * 256];
    qd_storage_list page = {
        .struct_size = sizeof page, .entries = entries, .names = names, .limit = 4};
    CHECK_EQ(s->c, vt->capacity(s->st, &total, &len, call), code);
    CHECK_EQ(s->c, vt->object_open(s->st, there, QD_STORAGE_LEN_UNKNOWN, &o, &len, call), code);
    CHECK_EQ(s->c, vt->put_begin(s->st, fresh, 0, &put, call), code);
    CHECK_EQ(s->c, vt->publish(s->st, fresh, "x", 1, NULL, call), code);
    CHECK_EQ(s->c, vt->get(s->st, there, buf, sizeof buf, &n, NULL, call), code);
    CHECK_EQ(s->c, vt->list(s->st, &page, call), code);
    CHECK_EQ(s->c, vt->stat(s->st, there, &st, call), code);
    CHECK_EQ(s->c, vt->remove(s->st, &there, 1, NULL, call), code);
    if (vt->remove_tree) CHECK_EQ(s->c, vt->remove_tree(s->st, S("stopped"), call), code);
    if (vt->rename) CHECK_EQ(s->c, vt->rename(s->st, there, fresh, call), code);
    if (vt->copy) CHECK_EQ(s->c, vt->copy(s->st, there, fresh, call), code);
    if (vt->publish_if)
        CHECK_EQ(s->c, vt->publish_if(s->st, fresh, "x", 1, S(""), buf, call), code);
    if (vt->sync_objects) CHECK_EQ(s->c, vt->sync_objects(s->st, &there, 1, call), code);
    if (vt->sync_dir) CHECK_EQ(s->c, vt->sync_dir(s->st, S("stopped"), call), code);
    CHECK(s->c, storage_suite_holds(s, "stopped/there", 1, 20));
    CHECK_EQ(s->c, s->vt->stat(s->st, fresh, &st, NULL), QD_E_NOTFOUND);
    /* A read and a write under way. */
    CHECK_EQ(s->c, storage_suite_object(s, there, &o, &len, &s->call), 0);
    qd_storage_range range = {0, 10, buf};
    qd_storage_read r = {.ranges = &range, .nranges = 1, .call = call};
    s->c->prepare(s->c, &r.op);
    int32_t rc = vt->read_v(o, &r);
    if (rc == 0) rc = s->c->wait(s->c, &r.op, SECONDS(30));
    vt->object_close(o);
    CHECK_EQ(s->c, rc, code);
    CHECK_EQ(s->c, s->vt->put_begin(s->st, fresh, 0, &put, &s->call), 0);
    CHECK_EQ(s->c, vt->put_write(put, "x", 1, call), code);
    if (code == QD_E_TIMEOUT) { /* nothing was taken, and the put lives on */
        CHECK_EQ(s->c, s->vt->put_write(put, "y", 1, &s->call), 0);
        CHECK_EQ(s->c, vt->put_commit(put, 0, NULL, call), code);
        CHECK_EQ(s->c, s->vt->stat(s->st, fresh, &st, NULL), QD_E_NOTFOUND);
        CHECK_EQ(s->c, s->vt->put_commit(put, 0, NULL, &s->call), 0);
        CHECK_EQ(s->c, s->vt->get(s->st, fresh, buf, sizeof buf, &n, NULL, &s->call), 0);
        CHECK(s->c, n == 1 && buf[0] == 'y');
        CHECK_EQ(s->c, storage_suite_remove(s, fresh, &s->call), 0);
    } else {
        s->vt->put_abort(put);
    }
}

void storage_suite_deadlines(suite *s)
{
    const qd_storage_call late = {.struct_size = sizeof late, .deadline_ns = 1};
    const qd_storage_call soon = {.struct_size = sizeof soon, .deadline_ns = INT64_MAX};
    qd_storage_stat st;
    if (s->vt->stat(s->st, S("stopped/there"), &st, NULL) != 0)
        CHECK_EQ(s->c, storage_suite_put(s, "stopped/there", 1, 20), 0);
    CHECK_EQ(s->c, s->vt->stat(s->st, S("stopped/there"), &st, &soon), 0);
    stopped(s, &late, QD_E_TIMEOUT);
}

void storage_suite_cancelled(suite *s)
{
    const qd_storage_call gone = {.struct_size = sizeof gone, .task = s->c->cancelled};
    qd_storage_stat st;
    if (s->vt->stat(s->st, S("stopped/there"), &st, NULL) != 0)
        CHECK_EQ(s->c, storage_suite_put(s, "stopped/there", 1, 20), 0);
    stopped(s, &gone, QD_E_CANCELLED);
}
