/* store_adverse.c: see store_adverse.h. */
#include "lib/store_adverse.h"
#include "base/hash.h"
#include "base/str.h"
#include "plugin/op.h"
#include "runtime/task.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define LAG_NS 15000000 /* of lists */
#define CHANGES 256     /* of names that lists may not have seen */
#define PART 65536u
#define ONE_IN 48u

typedef struct change {
    char name[256];
    int64_t at_ns;
    uint64_t size;
    bool removed;
} change;

struct qd_storage {
    const qd_storage_vtable *vt;
    qd_storage *inner;
    store_adverse_options options;
    pthread_mutex_t lock;
    uint64_t random;
    uint32_t open, row; /* row: so many of the next calls are rejected */
    change changes[CHANGES];
    uint32_t nchanges;
};
struct qd_storage_object {
    qd_storage *tier;
    qd_storage_object *inner;
    uint64_t len, known;
    int32_t late; /* what the open would have said */
    char name[256];
};
struct qd_storage_put {
    qd_storage *tier;
    char name[256];
    uint8_t *data;
    uint64_t len, room;
    bool committed; /* and the answer was lost */
};
struct qd_storage_log {
    qd_storage *tier;
    qd_storage_log *inner;
};

static _Atomic uint64_t calls, rejected, lost, torn, hidden, ghosts;

store_adverse_counts store_adverse_counted(void)
{
    return (store_adverse_counts){calls, rejected, lost, torn, hidden, ghosts};
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void pass_time(uint64_t ns)
{
    struct timespec t = {.tv_nsec = (long)ns};
    nanosleep(&t, NULL);
}

static void *xcalloc(size_t n)
{
    void *p = calloc(1, n);
    if (!p) abort();
    return p;
}

static void copy_name(char out[256], qd_str name)
{
    size_t n = name.n < 255 ? name.n : 255;
    memcpy(out, name.p, n);
    out[n] = 0;
}

static int32_t fail(const qd_storage_call *call, int32_t rc, const char *why, qd_str name)
{
    return qd_err_set(call ? call->err : NULL, rc, "%.*s: %s (adverse tier)", QD_STR_ARG(name),
                      why);
}

/* ---- trouble ----------------------------------------------------------------------------------
 */

typedef enum trouble { NONE, REJECT, LOSE_REQUEST, LOSE_ANSWER } trouble;

static uint64_t dice(qd_storage *t)
{
    pthread_mutex_lock(&t->lock);
    t->random = t->random * 6364136223846793005ull + 1442695040888963407ull;
    uint64_t r = t->random >> 33;
    pthread_mutex_unlock(&t->lock);
    return r;
}

static int32_t go_on(const qd_storage_call *call)
{
    if (!call) return 0;
    if (call->task && qd_task_stopped(call->task)) return QD_E_CANCELLED;
    return call->deadline_ns && now_ns() >= call->deadline_ns ? QD_E_TIMEOUT : 0;
}

static int32_t throttled(const qd_storage_call *call, uint64_t ms, qd_str name)
{
    rejected++;
    fail(call, QD_E_REJECTED, "slow down", name);
    if (call) qd_err_detail_i64(call->err, "retry_after_ms", (int64_t)ms);
    return QD_E_REJECTED;
}

/* What this call meets; takes its time. `answers`: it may be lost, too. */
static trouble meet(qd_storage *t, bool answers)
{
    const uint32_t one_in = t->options.one_in ? t->options.one_in : ONE_IN;
    uint64_t r = dice(t);
    calls++;
    if (r % one_in == 1) pass_time(r / 4 % 2000000);
    pthread_mutex_lock(&t->lock);
    bool in_row = t->row > 0;
    if (in_row) t->row--;
    pthread_mutex_unlock(&t->lock);
    if (in_row) return REJECT;
    if (r / 16 % one_in != 0) return NONE;
    switch (r / 16 / one_in % 4) {
    case 0:
        pthread_mutex_lock(&t->lock);
        t->row = (uint32_t)(r % 3); /* and the next ones */
        pthread_mutex_unlock(&t->lock);
        return REJECT;
    case 1:
        return REJECT;
    case 2:
        return answers ? LOSE_REQUEST : REJECT;
    default:
        return answers ? LOSE_ANSWER : REJECT;
    }
}

static int32_t no_answer(const qd_storage_call *call, qd_str name)
{
    lost++;
    return fail(call, QD_E_TIMEOUT, "no answer came", name);
}

/* Before a call whose answer may be lost: 0, and *after says whether to lose it; else the result.
 */
static int32_t begin(qd_storage *t, const qd_storage_call *call, qd_str name, bool *after)
{
    int32_t rc = go_on(call);
    if (rc) return fail(call, rc, "late or cancelled", name);
    trouble x = meet(t, true);
    if (after) *after = x == LOSE_ANSWER;
    if (x == REJECT) return throttled(call, 1 + dice(t) % 3, name);
    return x == LOSE_REQUEST ? no_answer(call, name) : 0;
}

/* The same of a call that can be rejected only. */
static int32_t begin_sure(qd_storage *t, const qd_storage_call *call, qd_str name)
{
    int32_t rc = go_on(call);
    if (rc) return fail(call, rc, "late or cancelled", name);
    return meet(t, false) == REJECT ? throttled(call, 1 + dice(t) % 3, name) : 0;
}

/* What was done is not heard of. */
static int32_t end(int32_t rc, bool after, const qd_storage_call *call, qd_str name)
{
    return rc == 0 && after ? no_answer(call, name) : rc;
}

/* A name came or went: lists may not know it yet. */
static void changed(qd_storage *t, qd_str name, uint64_t size, bool removed)
{
    pthread_mutex_lock(&t->lock);
    change *c = &t->changes[t->nchanges++ % CHANGES];
    copy_name(c->name, name);
    c->at_ns = now_ns();
    c->size = size;
    c->removed = removed;
    pthread_mutex_unlock(&t->lock);
}

/* ---- the tier ----------------------------------------------------------------------------------
 */

qd_storage *store_adverse_make(const qd_storage_vtable *vt, qd_storage *inner,
                               const store_adverse_options *o)
{
    qd_storage *t = xcalloc(sizeof *t);
    t->vt = vt;
    t->inner = inner;
    if (o) t->options = *o;
    t->random = t->options.seed * 2654435761u + 12345;
    pthread_mutex_init(&t->lock, NULL);
    return t;
}

static void opened(qd_storage *t, int32_t by)
{
    __atomic_add_fetch(&t->open, (uint32_t)by, __ATOMIC_ACQ_REL);
}

static int32_t tier_close(qd_storage *t, qd_err *err)
{
    if (__atomic_load_n(&t->open, __ATOMIC_ACQUIRE))
        return qd_err_set(err, QD_E_STATE, "handles are open");
    int32_t rc = t->vt->close(t->inner, err);
    if (rc == QD_E_STATE) return rc;
    pthread_mutex_destroy(&t->lock);
    free(t);
    return rc;
}

static int32_t tier_open(qd_self *self, const qd_storage_config *c, qd_storage **out, qd_err *err)
{
    (void)self, (void)c, (void)out;
    return qd_err_set(err, QD_E_STATE, "store_adverse_make opens it");
}

static void tier_info(qd_storage *t, qd_storage_info *out)
{
    qd_storage_info i = {.struct_size = sizeof i};
    t->vt->info(t->inner, &i);
    i.struct_size = out->struct_size;
    i.list_lag_ns = LAG_NS;
    i.request_ns = 1000000;
    i.put_ns = 2000000;
    i.put_cost = i.list_cost = 12;
    i.requests_per_s = 3500;
    memcpy(out, &i, out->struct_size < sizeof i ? out->struct_size : sizeof i);
}

static int32_t tier_capacity(qd_storage *t, uint64_t *total, uint64_t *available,
                             const qd_storage_call *call)
{
    int32_t rc = begin(t, call, QD_STR("capacity"), NULL);
    return rc ? rc : t->vt->capacity(t->inner, total, available, call);
}

/* ---- objects: reading --------------------------------------------------------------------------
 */

static int32_t object_open(qd_storage *t, qd_str name, uint64_t known, qd_storage_object **out,
                           uint64_t *len, const qd_storage_call *call)
{
    if (!qd_storage_name_ok(name)) return fail(call, QD_E_ARG, "bad name", name);
    int32_t rc = go_on(call);
    if (rc) return fail(call, rc, "late or cancelled", name);
    qd_storage_object *o = xcalloc(sizeof *o);
    *o = (qd_storage_object){.tier = t, .known = known};
    copy_name(o->name, name);
    /* No request is made; the one below only keeps the object readable from now on. */
    o->late = t->vt->object_open(t->inner, name, QD_STORAGE_LEN_UNKNOWN, &o->inner, &o->len, NULL);
    if (o->late == 0 && known != QD_STORAGE_LEN_UNKNOWN && known != o->len) o->late = QD_E_CORRUPT;
    if (o->late && o->late != QD_E_NOTFOUND && o->late != QD_E_CORRUPT) {
        rc = o->late;
        free(o);
        return fail(call, rc, "opening", name);
    }
    /* Half of the time it asks after all, where it has to. */
    bool asks = known == QD_STORAGE_LEN_UNKNOWN && dice(t) % 2;
    if (asks && o->late) {
        free(o);
        return fail(call, QD_E_NOTFOUND, "no such object", name);
    }
    opened(t, 1);
    *len = asks ? o->len : known;
    *out = o;
    return 0;
}

static void object_close(qd_storage_object *o)
{
    if (o->inner) o->tier->vt->object_close(o->inner);
    opened(o->tier, -1);
    free(o);
}

static int32_t read_v(qd_storage_object *o, qd_storage_read *r)
{
    int32_t rc = go_on(r->call);
    if (rc) return fail(r->call, rc, "late or cancelled", qd_str_c(o->name));
    if (o->late) return fail(r->call, o->late, "absent, or of another length", qd_str_c(o->name));
    return o->tier->vt->read_v(o->inner, r);
}

static void read_cancel(qd_storage_object *o, qd_storage_read *r)
{
    if (o->inner) o->tier->vt->read_cancel(o->inner, r);
}

/* ---- objects: writing --------------------------------------------------------------------------
 */

static int32_t put_begin(qd_storage *t, qd_str name, uint64_t size, qd_storage_put **out,
                         const qd_storage_call *call)
{
    (void)size;
    qd_storage_stat st;
    if (!qd_storage_name_ok(name)) return fail(call, QD_E_ARG, "bad name", name);
    int32_t rc = begin(t, call, name, NULL);
    if (rc) return rc;
    rc = t->vt->stat(t->inner, name, &st, NULL);
    if (rc == 0) return fail(call, QD_E_EXISTS, "objects are never replaced", name);
    if (rc != QD_E_NOTFOUND) return fail(call, rc, "beginning an upload", name);
    qd_storage_put *p = xcalloc(sizeof *p);
    p->tier = t;
    copy_name(p->name, name);
    opened(t, 1);
    *out = p;
    return 0;
}

static void take(qd_storage_put *p, const void *data, size_t len)
{
    if (len > p->room - p->len) {
        p->room = (p->len + len) * 2;
        p->data = realloc(p->data, p->room);
        if (!p->data) abort();
    }
    if (len) memcpy(p->data + p->len, data, len);
    p->len += len;
}

static int32_t put_write(qd_storage_put *p, const void *data, size_t len,
                         const qd_storage_call *call)
{
    qd_storage *t = p->tier;
    int32_t rc = begin(t, call, qd_str_c(p->name), NULL);
    if (rc == QD_E_TIMEOUT && t->options.mutants & STORE_ADVERSE_TAKES_PIECES) take(p, data, len);
    if (rc == 0) take(p, data, len);
    return rc;
}

/* Sends the parts as one inner object; *sent of them before it tears. */
static int32_t upload(const qd_storage_put *p, uint64_t bytes, bool commit,
                      const qd_storage_call *call)
{
    const qd_storage *t = p->tier;
    qd_storage_put *inner;
    int32_t rc = t->vt->put_begin(t->inner, qd_str_c(p->name), bytes, &inner, call);
    for (uint64_t at = 0; rc == 0 && at < bytes; at += PART) {
        rc = t->vt->put_write(inner, p->data + at, bytes - at < PART ? bytes - at : PART, call);
        if (rc) t->vt->put_abort(inner);
    }
    if (rc) return rc;
    if (commit) return t->vt->put_commit(inner, 0, NULL, call);
    t->vt->put_abort(inner);
    return 0;
}

static void put_free(qd_storage_put *p)
{
    opened(p->tier, -1);
    free(p->data);
    free(p);
}

static bool tears(qd_storage *t)
{
    return dice(t) % (t->options.one_in ? t->options.one_in : ONE_IN) == 0;
}

static int32_t tear(qd_storage_put *p, const qd_storage_call *call)
{
    qd_storage *t = p->tier;
    torn++;
    bool shows = t->options.mutants & STORE_ADVERSE_SHOWS_TORN;
    (void)upload(p, p->len / 2, shows, NULL);
    return no_answer(call, qd_str_c(p->name));
}

static bool differs(const qd_storage_put *p, const qd_storage_sum *sum)
{
    return sum && (p->len != sum->len || ((sum->flags & QD_STORAGE_SUM_CRC32C) &&
                                          qd_crc32c(0, p->data, p->len) != sum->crc32c));
}

static int32_t put_commit(qd_storage_put *p, uint32_t flags, const qd_storage_sum *sum,
                          const qd_storage_call *call)
{
    (void)flags;
    qd_storage *t = p->tier;
    qd_str name = qd_str_c(p->name);
    bool after = false;
    int32_t rc = begin(t, call, name, &after);
    if (rc == QD_E_REJECTED || rc == QD_E_TIMEOUT) return rc; /* the put lives on */
    if (rc == 0 && p->len > PART && !p->committed && tears(t)) return tear(p, call);
    if (rc == 0 && !p->committed && differs(p, sum))
        rc = fail(call, QD_E_CORRUPT, "what arrived has another sum", name);
    else if (rc == 0 && !p->committed)
        rc = upload(p, p->len, true, call);
    else if (rc == 0 && t->options.mutants & STORE_ADVERSE_COMMITS_ONCE)
        rc = fail(call, QD_E_EXISTS, "it is there", name);
    if (rc == 0 && !p->committed) changed(t, name, p->len, false);
    if (rc == 0 && after) {
        p->committed = true;
        return no_answer(call, name);
    }
    put_free(p);
    return rc;
}

static void put_abort(qd_storage_put *p)
{
    put_free(p);
}

/* ---- registers ---------------------------------------------------------------------------------
 */

static int32_t publish(qd_storage *t, qd_str name, const void *data, size_t len, char *tag,
                       const qd_storage_call *call)
{
    bool after;
    char mine[QD_STORAGE_TAG];
    int32_t rc = begin(t, call, name, &after);
    if (rc) return rc;
    rc = t->vt->publish(t->inner, name, data, len, mine, call);
    if (rc == 0) changed(t, name, len, false);
    rc = end(rc, after, call, name);
    if (rc == 0 && tag) memcpy(tag, mine, sizeof mine);
    return rc;
}

static int32_t publish_if(qd_storage *t, qd_str name, const void *data, size_t len, qd_str expected,
                          char *tag, const qd_storage_call *call)
{
    bool after;
    char mine[QD_STORAGE_TAG];
    int32_t rc = begin(t, call, name, &after);
    if (rc == QD_E_REJECTED && t->options.mutants & STORE_ADVERSE_REJECTS_LATE)
        (void)t->vt->publish_if(t->inner, name, data, len, expected, mine, NULL);
    if (rc) return rc;
    rc = t->vt->publish_if(t->inner, name, data, len, expected, mine, call);
    if (rc == 0) changed(t, name, len, false);
    rc = end(rc, after, call, name);
    if (rc == 0) memcpy(tag, mine, sizeof mine);
    return rc;
}

static int32_t get(qd_storage *t, qd_str name, void *dst, size_t cap, size_t *len, char *tag,
                   const qd_storage_call *call)
{
    int32_t rc = begin(t, call, name, NULL);
    return rc ? rc : t->vt->get(t->inner, name, dst, cap, len, tag, call);
}

/* ---- logs --------------------------------------------------------------------------------------
 */

static int32_t log_open(qd_storage *t, qd_str name, uint32_t flags, qd_storage_log **out,
                        uint64_t *at, const qd_storage_call *call)
{
    qd_storage_log *inner;
    int32_t rc = begin_sure(t, call, name);
    if (!rc) rc = t->vt->log_open(t->inner, name, flags, &inner, at, call);
    if (rc) return rc;
    qd_storage_log *l = xcalloc(sizeof *l);
    *l = (qd_storage_log){t, inner};
    opened(t, 1);
    *out = l;
    return 0;
}

static int32_t log_append_v(qd_storage_log *l, const qd_iovec *parts, uint32_t n, uint64_t *offset,
                            const qd_storage_call *call)
{
    qd_storage *t = l->tier;
    int32_t rc = begin_sure(t, call, QD_STR("log"));
    if (rc == QD_E_REJECTED && t->options.mutants & STORE_ADVERSE_APPENDS_TWICE)
        (void)t->vt->log_append_v(l->inner, parts, n, offset, NULL);
    return rc ? rc : t->vt->log_append_v(l->inner, parts, n, offset, call);
}

static int32_t log_sync(qd_storage_log *l, uint64_t upto, const qd_storage_call *call)
{
    int32_t rc = begin_sure(l->tier, call, QD_STR("log"));
    return rc ? rc : l->tier->vt->log_sync(l->inner, upto, call);
}

static int32_t log_read(qd_storage_log *l, uint64_t offset, void *dst, size_t len, size_t *got,
                        const qd_storage_call *call)
{
    int32_t rc = begin(l->tier, call, QD_STR("log"), NULL);
    return rc ? rc : l->tier->vt->log_read(l->inner, offset, dst, len, got, call);
}

static int32_t log_truncate(qd_storage_log *l, uint64_t len, const qd_storage_call *call)
{
    int32_t rc = begin_sure(l->tier, call, QD_STR("log"));
    return rc ? rc : l->tier->vt->log_truncate(l->inner, len, call);
}

static void log_close(qd_storage_log *l)
{
    l->tier->vt->log_close(l->inner);
    opened(l->tier, -1);
    free(l);
}

/* ---- names -------------------------------------------------------------------------------------
 */

/* May a list not have seen what happened to the name? The last change of it counts. */
static const change *unseen(qd_storage *t, qd_str name)
{
    bool for_ever = t->options.mutants & STORE_ADVERSE_STALE_FOR_EVER;
    int64_t now = now_ns();
    for (uint32_t i = t->nchanges, k = 0; i > 0 && k < CHANGES; i--, k++) {
        const change *c = &t->changes[(i - 1) % CHANGES];
        if (!qd_str_is(name, c->name)) continue;
        return for_ever || now - c->at_ns < LAG_NS ? c : NULL;
    }
    return NULL;
}

/* Takes names off the page that came a moment ago; half of the time. */
static void hide(qd_storage *t, qd_storage_list *l)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < l->nentries; i++) {
        const change *c = unseen(t, l->entries[i].name);
        if (c && !c->removed && (t->random >> (i % 32) & 1)) {
            hidden++;
            continue;
        }
        l->entries[kept++] = l->entries[i];
    }
    l->nentries = kept;
}

/* Adds a name that went a moment ago where it belongs on the page, if there is room. */
static void haunt(qd_storage *t, qd_storage_list *l, const change *c)
{
    qd_str name = qd_str_c(c->name);
    uint32_t at = 0;
    if (!c->removed || unseen(t, name) != c || l->flags & QD_STORAGE_LIST_FOLDERS) return;
    if (!qd_str_starts(name, l->prefix) || l->nentries == l->limit) return;
    if (l->start_after.n && qd_str_cmp(name, l->start_after) <= 0) return;
    while (at < l->nentries && qd_str_cmp(l->entries[at].name, name) < 0) at++;
    if (at < l->nentries && qd_str_eq(l->entries[at].name, name)) return;
    if (at == l->nentries && l->more) return; /* of a later page */
    memmove(l->entries + at + 1, l->entries + at, (l->nentries - at) * sizeof *l->entries);
    l->entries[at] = (qd_storage_stat){.name = name, .size = c->size, .type = QD_STORAGE_OBJECT};
    l->nentries++;
    ghosts++;
}

/* Puts the names, in the order of the entries, into the caller's room again. */
static void settle_names(qd_storage_list *l)
{
    char *copy = xcalloc((size_t)l->limit * 256);
    for (uint32_t i = 0; i < l->nentries; i++)
        memcpy(copy + (size_t)i * 256, l->entries[i].name.p, l->entries[i].name.n);
    memcpy(l->names, copy, (size_t)l->limit * 256);
    for (uint32_t i = 0; i < l->nentries; i++) l->entries[i].name.p = l->names + (size_t)i * 256;
    free(copy);
}

static int32_t list(qd_storage *t, qd_storage_list *l, const qd_storage_call *call)
{
    char after[256];
    int32_t rc = begin(t, call, l->prefix, NULL);
    if (rc) return rc;
    qd_storage_list page = *l;
    do { /* a page of which nothing is left goes on with the next one */
        rc = t->vt->list(t->inner, &page, call);
        if (rc) return rc;
        if (page.nentries) {
            qd_str last = page.entries[page.nentries - 1].name;
            copy_name(after, last);
        }
        pthread_mutex_lock(&t->lock);
        hide(t, &page);
        for (uint32_t i = 0; i < CHANGES && i < t->nchanges && t->random >> 17 & 1; i++)
            haunt(t, &page, &t->changes[i]);
        settle_names(&page);
        pthread_mutex_unlock(&t->lock);
        if (!page.nentries) page.start_after = qd_str_c(after);
    } while (!page.nentries && page.more);
    l->nentries = page.nentries;
    l->more = page.more;
    return 0;
}

static int32_t stat_name(qd_storage *t, qd_str name, qd_storage_stat *out,
                         const qd_storage_call *call)
{
    int32_t rc = begin(t, call, name, NULL);
    return rc ? rc : t->vt->stat(t->inner, name, out, call);
}

static qd_str folder_of_name(qd_str name)
{
    while (name.n > 0 && name.p[name.n - 1] != '/') name.n--;
    return (qd_str){name.p, name.n ? name.n - 1 : 0};
}

static int32_t remove_names(qd_storage *t, const qd_str *names, uint32_t n, uint32_t *removed,
                            const qd_storage_call *call)
{
    bool after = false;
    qd_storage_stat st;
    if (n == 0 || n > QD_STORAGE_NAMES_MAX) return fail(call, QD_E_ARG, "names", QD_STR(""));
    int32_t rc = begin(t, call, names[0], &after);
    for (uint32_t i = 0; i < n && rc == 0; i++) {
        bool there = t->vt->stat(t->inner, names[i], &st, NULL) == 0;
        rc = t->vt->remove(t->inner, &names[i], 1, NULL, call);
        if (rc == 0 && there) rc = t->vt->sync_dir(t->inner, folder_of_name(names[i]), call);
        /* logs are listed as they are */
        if (rc == 0 && there && st.type != QD_STORAGE_LOG) changed(t, names[i], st.size, true);
    }
    rc = end(rc, after && rc == 0, call, names[0]);
    if (rc == 0 && removed) *removed = n; /* it does not learn how many were there */
    return rc;
}

static int32_t copy(qd_storage *t, qd_str from, qd_str to, const qd_storage_call *call)
{
    bool after;
    int32_t rc = begin(t, call, from, &after);
    if (rc) return rc;
    rc = t->vt->copy(t->inner, from, to, call);
    if (rc == 0) changed(t, to, 0, false);
    return end(rc, after, call, from);
}

#define FLAGS                                                                                      \
    (QD_STORAGE_DURABLE | QD_STORAGE_REMOTE | QD_STORAGE_CONDITIONAL_PUT | QD_STORAGE_COPY |       \
     QD_STORAGE_CHECKSUM | QD_STORAGE_STALE_LIST)
#define COMMON                                                                                     \
    .open = tier_open, .close = tier_close, .info = tier_info, .capacity = tier_capacity,          \
    .object_open = object_open, .object_close = object_close, .read_v = read_v,                    \
    .read_cancel = read_cancel, .put_begin = put_begin, .put_write = put_write,                    \
    .put_commit = put_commit, .put_abort = put_abort, .publish = publish,                          \
    .publish_if = publish_if, .get = get, .list = list, .stat = stat_name, .remove = remove_names, \
    .copy = copy

static const qd_storage_vtable with_logs = {
    .head = QD_VTABLE(qd_storage_vtable, STORAGE, FLAGS | QD_STORAGE_APPEND),
    .log_open = log_open,
    .log_append_v = log_append_v,
    .log_sync = log_sync,
    .log_read = log_read,
    .log_truncate = log_truncate,
    .log_close = log_close,
    COMMON};
static const qd_storage_vtable without_logs = {.head = QD_VTABLE(qd_storage_vtable, STORAGE, FLAGS),
                                               COMMON};

const qd_storage_vtable *store_adverse_vtable(bool logs)
{
    return logs ? &with_logs : &without_logs;
}
