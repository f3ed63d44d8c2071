/*
 * coordination.c: the contract of the coordination kind as tests: transactions with compare,
 * ranges, request ids, limits, authority. Watches, sessions and elections are coordination_watch.c,
 * mirrors coordination_mirror.c.
 */
#include "coordination_suite.h"
#include <stdlib.h>
#include <time.h>

void coord_suite_pause(void)
{
    nanosleep(&(struct timespec){0, 10000000}, NULL);
}

void coord_suite_id(suite *s, uint8_t id[16])
{
    uint64_t n[2] = {++s->ids, (uint64_t)(uintptr_t)s ^ (uint64_t)time(NULL)};
    memcpy(id, n, 16);
}

int32_t coord_suite_put(suite *s, const char *key, qd_str value, uint64_t session,
                        uint64_t *revision)
{
    qd_coord_change change = {QD_COORD_PUT, 0, str_c(key), value, session};
    qd_coord_txn t = {.changes = &change, .nchanges = 1, .err = s->err};
    coord_suite_id(s, t.id);
    int32_t rc = coord_suite_txn(s, &t);
    if (rc == 0 && revision) *revision = t.revision;
    return rc;
}

static int32_t range(suite *s, qd_coord_range *r)
{
    r->err = s->err;
    return coord_suite_range(s, r);
}

int32_t coord_suite_get(suite *s, const char *key, qd_coord_kv *kv, char *buf, size_t cap)
{
    qd_coord_range r = {.key = str_c(key)};
    int32_t rc = range(s, &r);
    if (rc) return rc;
    if (r.nkvs == 1 && r.kvs[0].value_len < cap) {
        *kv = r.kvs[0];
        if (kv->value_len) memcpy(buf, kv->value, kv->value_len);
        buf[kv->value_len] = 0;
    } else {
        rc = r.nkvs ? QD_E_LIMIT : QD_E_NOTFOUND;
    }
    s->vt->result_free(s->co, r.result);
    return rc;
}

int32_t coord_suite_open(suite *s)
{
    qd_coord_config config = {.struct_size = sizeof config,
                              .flags = QD_COORD_OPEN_BOOTSTRAP,
                              .cluster = S("conformance"),
                              .node_id = S("conformance-node"),
                              .node_name = S("conformance-node"),
                              .path = s->c->folder,
                              .options = s->c->options,
                              .noptions = s->c->noptions};
    int32_t rc = s->vt->open(s->c->self, &config, &s->co, s->c->err);
    if (rc) return rc;
    qd_coord_range r = {.key = S("none")};
    rc = range(s, &r);
    if (rc == 0) s->vt->result_free(s->co, r.result);
    return rc;
}

typedef struct closing {
    pthread_mutex_t m;
    pthread_cond_t c;
    int done;
} closing;

static void closed(void *arg)
{
    closing *w = arg;
    pthread_mutex_lock(&w->m);
    w->done++;
    pthread_cond_signal(&w->c);
    pthread_mutex_unlock(&w->m);
}

void coord_suite_close(suite *s)
{
    closing w = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0};
    s->vt->close(s->co, closed, &w);
    pthread_mutex_lock(&w.m);
    while (!w.done) pthread_cond_wait(&w.c, &w.m);
    pthread_mutex_unlock(&w.m);
    s->co = NULL;
}

static void limits_are_sane(suite *s)
{
    qd_coord_info info = {.struct_size = sizeof info};
    qd_coord_identity id = {.struct_size = sizeof id};
    s->vt->info(s->co, &info);
    CHECK(s->c, info.key_max >= 512 && info.value_max >= 1u << 20);
    CHECK(s->c, info.txn_ops_max >= 128 && info.txn_bytes_max >= info.value_max);
    CHECK(s->c, info.id_window >= 256);
    CHECK(s->c, info.session_ttl_min_ns > 0 && info.session_ttl_min_ns <= info.session_ttl_max_ns);
    for (int64_t until = coord_suite_now() + SECONDS(60);;) {
        s->vt->identity(s->co, &id);
        if (id.connected || coord_suite_now() > until) break;
        coord_suite_pause();
    }
    CHECK_EQ(s->c, id.state, QD_COORD_ACTIVE);
    static const uint8_t zeros[16];
    CHECK(s->c, memcmp(id.store_id, zeros, 16) != 0);
    CHECK_EQ(s->c, id.connected, 1);
}

static void keys_have_versions(suite *s)
{
    qd_coord_kv kv;
    char buf[32];
    uint64_t r1, r2;
    CHECK_EQ(s->c, coord_suite_get(s, "v/a", &kv, buf, sizeof buf), QD_E_NOTFOUND);
    CHECK_EQ(s->c, coord_suite_put(s, "v/a", S("one"), 0, &r1), 0);
    CHECK_EQ(s->c, coord_suite_put(s, "v/a", S("two"), 0, &r2), 0);
    CHECK_EQ(s->c, r2, r1 + 1);
    CHECK_EQ(s->c, coord_suite_get(s, "v/a", &kv, buf, sizeof buf), 0);
    CHECK(s->c, strcmp(buf, "two") == 0);
    CHECK_EQ(s->c, kv.create_revision, r1);
    CHECK_EQ(s->c, kv.mod_revision, r2);
    CHECK_EQ(s->c, kv.version, 2);
    qd_coord_change del = {QD_COORD_DELETE, 0, S("v/a"), S(""), 0};
    qd_coord_txn t = {.changes = &del, .nchanges = 1, .err = s->c->err};
    coord_suite_id(s, t.id);
    CHECK_EQ(s->c, coord_suite_txn(s, &t), 0);
    CHECK_EQ(s->c, t.revision, r2 + 1);
    CHECK_EQ(s->c, coord_suite_get(s, "v/a", &kv, buf, sizeof buf), QD_E_NOTFOUND);
    CHECK_EQ(s->c, coord_suite_put(s, "v/a", S(""), 0, &r1), 0);
    CHECK_EQ(s->c, coord_suite_get(s, "v/a", &kv, buf, sizeof buf), 0);
    CHECK(s->c, kv.version == 1 && kv.create_revision == r1 && kv.value_len == 0);
    coord_suite_id(s, t.id);
    t.changes = &(qd_coord_change){QD_COORD_DELETE, 0, S("v/none"), S(""), 0};
    CHECK_EQ(s->c, coord_suite_txn(s, &t), 0);
    CHECK_EQ(s->c, t.revision, r1); /* nothing changed: no new revision */
}

/* The transaction must conflict at compare `failed` and change nothing. */
static int conflicts(suite *s, const qd_coord_compare *cmp, uint32_t n, uint32_t failed)
{
    qd_coord_change change = {QD_COORD_PUT, 0, S("cmp/a"), S("never"), 0};
    qd_coord_txn t = {.compares = cmp, .ncompares = n, .changes = &change, .nchanges = 1};
    coord_suite_id(s, t.id);
    int32_t rc = coord_suite_txn(s, &t);
    return rc == QD_E_CONFLICT && t.failed == failed;
}

static void compares_guard_changes(suite *s)
{
    /* SHA-256 of "abc", FIPS 180-2 B.1 */
    static const uint8_t abc[32] = {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea,
                                    0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23,
                                    0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c,
                                    0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad};
    uint64_t r;
    char buf[16];
    qd_coord_kv kv;
    CHECK_EQ(s->c, coord_suite_put(s, "cmp/a", S("abc"), 0, &r), 0);
    qd_coord_compare ok[4] = {{S("cmp/a"), QD_COORD_CMP_VERSION, 0, 1, {0}},
                              {S("cmp/a"), QD_COORD_CMP_MOD, 0, r, {0}},
                              {S("cmp/none"), QD_COORD_CMP_EXISTS, 0, 0, {0}},
                              {S("cmp/a"), QD_COORD_CMP_HASH, 0, 0, {0}}};
    memcpy(ok[3].hash, abc, 32);
    for (uint32_t i = 0; i < 4; i++) {
        qd_coord_compare bad[4];
        memcpy(bad, ok, sizeof bad);
        bad[i].number++;
        bad[i].hash[31] ^= 1;
        CHECK(s->c, conflicts(s, bad, 4, i));
    }
    qd_coord_compare absent = {S("cmp/none"), QD_COORD_CMP_HASH, 0, 0, {0}};
    CHECK(s->c, conflicts(s, &absent, 1, 0));
    CHECK_EQ(s->c, coord_suite_get(s, "cmp/a", &kv, buf, sizeof buf), 0);
    CHECK(s->c, strcmp(buf, "abc") == 0 && kv.mod_revision == r);
    const qd_coord_change two[] = {{QD_COORD_PUT, 0, S("cmp/a"), S("new"), 0},
                                   {QD_COORD_PUT, 0, S("cmp/b"), S("new"), 0}};
    qd_coord_txn t = {
        .compares = ok, .ncompares = 4, .changes = two, .nchanges = 2, .err = s->c->err};
    coord_suite_id(s, t.id);
    CHECK_EQ(s->c, coord_suite_txn(s, &t), 0);
    CHECK_EQ(s->c, t.revision, r + 1);
    CHECK_EQ(s->c, coord_suite_get(s, "cmp/b", &kv, buf, sizeof buf), 0);
    CHECK_EQ(s->c, kv.mod_revision, r + 1);
    qd_coord_txn check = {.compares = ok, .ncompares = 1};
    coord_suite_id(s, check.id);
    CHECK_EQ(s->c, coord_suite_txn(s, &check), QD_E_CONFLICT);
}

static void request_ids_work_once(suite *s)
{
    qd_coord_kv kv;
    char buf[16];
    qd_coord_compare absent = {S("id/a"), QD_COORD_CMP_VERSION, 0, 0, {0}};
    qd_coord_change change = {QD_COORD_PUT, 0, S("id/a"), S("x"), 0};
    qd_coord_txn t = {
        .compares = &absent, .ncompares = 1, .changes = &change, .nchanges = 1, .err = s->c->err};
    coord_suite_id(s, t.id);
    CHECK_EQ(s->c, coord_suite_txn(s, &t), 0);
    uint64_t r = t.revision;
    for (int i = 0; i < 5; i++) CHECK_EQ(s->c, coord_suite_put(s, "id/other", S("y"), 0, NULL), 0);
    t.revision = 0;
    CHECK_EQ(s->c, coord_suite_txn(s, &t), 0); /* the same id: the first answer, not a conflict */
    CHECK_EQ(s->c, t.revision, r);
    CHECK_EQ(s->c, coord_suite_get(s, "id/a", &kv, buf, sizeof buf), 0);
    CHECK_EQ(s->c, kv.version, 1);
}

static void ranges_are_sorted_and_cut(suite *s)
{
    static const char *const keys[] = {"rg/A", "rg/a", "rg/a/1", "rg/a/2", "rg/b", "rg/\xc3\xa4"};
    for (size_t i = COUNT(keys); i-- > 0;)
        CHECK_EQ(s->c, coord_suite_put(s, keys[i], S("val"), 0, NULL), 0);
    qd_coord_range r = {.key = S("rg/"), .flags = QD_COORD_PREFIX};
    CHECK_EQ(s->c, range(s, &r), 0);
    CHECK(s->c, r.nkvs == COUNT(keys) && !r.more);
    for (size_t i = 0; i < COUNT(keys); i++)
        CHECK(s->c, r.kvs[i].key.n == strlen(keys[i]) &&
                        memcmp(r.kvs[i].key.p, keys[i], r.kvs[i].key.n) == 0);
    s->vt->result_free(s->co, r.result);
    r = (qd_coord_range){.key = S("rg/a"), .end = S("rg/b")};
    CHECK_EQ(s->c, range(s, &r), 0);
    CHECK_EQ(s->c, r.nkvs, 3);
    s->vt->result_free(s->co, r.result);
    r = (qd_coord_range){
        .key = S("rg/"), .flags = QD_COORD_PREFIX | QD_COORD_KEYS_ONLY, .limit = 2};
    CHECK_EQ(s->c, range(s, &r), 0);
    CHECK(s->c, r.nkvs == 2 && r.more == 1);
    CHECK(s->c, r.kvs[0].value == NULL && r.kvs[0].value_len == 3);
    uint64_t at = r.revision;
    s->vt->result_free(s->co, r.result);
    r = (qd_coord_range){
        .key = S("rg/"), .flags = QD_COORD_PREFIX | QD_COORD_STALE, .min_revision = at};
    CHECK_EQ(s->c, range(s, &r), 0);
    CHECK(s->c, r.revision >= at && r.nkvs == COUNT(keys));
    s->vt->result_free(s->co, r.result);
    qd_coord_change del = {QD_COORD_DELETE_PREFIX, 0, S("rg/a"), S(""), 0};
    qd_coord_txn t = {.changes = &del, .nchanges = 1, .err = s->c->err};
    coord_suite_id(s, t.id);
    CHECK_EQ(s->c, coord_suite_txn(s, &t), 0);
    r = (qd_coord_range){.key = S("rg/"), .flags = QD_COORD_PREFIX};
    CHECK_EQ(s->c, range(s, &r), 0);
    CHECK_EQ(s->c, r.nkvs, 3);
    s->vt->result_free(s->co, r.result);
}

static void limits_are_kept(suite *s)
{
    qd_coord_info info = {.struct_size = sizeof info};
    s->vt->info(s->co, &info);
    size_t n = info.value_max < (8u << 20) ? (size_t)info.value_max : 8u << 20;
    char *big = malloc((size_t)info.value_max + 1 > n ? (size_t)info.value_max + 1 : n);
    CHECK(s->c, big != NULL);
    memset(big, 'v', (size_t)info.value_max + 1);
    int32_t over =
        coord_suite_put(s, "big/over", (qd_str){big, (size_t)info.value_max + 1}, 0, NULL);
    s->c->err_clear(s->c);
    int32_t fits = coord_suite_put(s, "big/a", (qd_str){big, n}, 0, NULL);
    qd_coord_range r = {.key = S("big/a")};
    int32_t read = range(s, &r);
    int equal =
        read == 0 && r.nkvs == 1 && r.kvs[0].value_len == n && memcmp(r.kvs[0].value, big, n) == 0;
    if (read == 0) s->vt->result_free(s->co, r.result);
    free(big);
    CHECK_EQ(s->c, over, QD_E_LIMIT);
    CHECK_EQ(s->c, fits, 0);
    CHECK(s->c, equal);
    CHECK_EQ(s->c, coord_suite_put(s, "", S("x"), 0, NULL), QD_E_ARG);
    CHECK_EQ(s->c, coord_suite_put(s, "_election/mine", S("x"), 0, NULL), QD_E_ARG);
}

static void no_events(void *arg, const qd_coord_event *events, uint32_t n, uint64_t revision,
                      int32_t rc)
{
    (void)arg;
    (void)events;
    (void)n;
    (void)revision;
    (void)rc;
}

/* Refused at once or in the end: nothing that a later minor adds is taken for something else. */
static int refused(suite *s, int32_t rc)
{
    s->c->err_clear(s->c);
    return rc == QD_E_ARG || rc == QD_E_UNSUPPORTED;
}

static int32_t ask(suite *s, int32_t submitted, qd_op *op)
{
    return submitted ? submitted : coord_suite_end(s, op, SECONDS(10));
}
#define CHECK_REFUSED(s, slot, request)                                                            \
    do {                                                                                           \
        int32_t rc_ = QD_E_TIMEOUT;                                                                \
        for (int i_ = 0; i_ < 1000 && coord_suite_passing(rc_); i_++) {                            \
            if (i_) coord_suite_pause();                                                           \
            (s)->c->prepare((s)->c, &(request).op);                                                \
            rc_ = ask((s), (s)->vt->slot((s)->co, &(request)), &(request).op);                     \
        }                                                                                          \
        CHECK((s)->c, refused((s), rc_));                                                          \
    } while (0)

static void what_is_unknown_is_refused(suite *s)
{
    enum { UNKNOWN = 1000 };
    qd_err *err = s->c->err;
    qd_coord_compare compare = {S("unknown"), UNKNOWN, 0, 0, {0}};
    qd_coord_change change = {UNKNOWN, 0, S("unknown"), S("x"), 0};
    qd_coord_txn compares = {.compares = &compare, .ncompares = 1, .err = err};
    qd_coord_txn changes = {.changes = &change, .nchanges = 1, .err = err};
    qd_coord_range r = {.key = S("unknown"), .flags = 1u << 31, .err = err};
    qd_coord_session session = {.action = UNKNOWN, .ttl_ns = SECONDS(10), .err = err};
    qd_coord_election election = {.action = UNKNOWN, .name = S("unknown"), .err = err};
    qd_coord_members members = {.action = UNKNOWN, .err = err};
    qd_coord_authority step = {.action = UNKNOWN, .err = err};
    qd_coord_watch *w;
    qd_coord_watch_config watch = {
        .struct_size = sizeof watch, .flags = 1u << 31, .key = S("unknown"), .events = no_events};
    CHECK_REFUSED(s, txn, compares);
    CHECK_REFUSED(s, txn, changes);
    CHECK_REFUSED(s, range, r);
    CHECK_REFUSED(s, session, session);
    CHECK_REFUSED(s, election, election);
    CHECK_REFUSED(s, members, members);
    if (s->vt->head.flags & QD_COORD_AUTHORITY) CHECK_REFUSED(s, authority, step);
    CHECK(s->c, refused(s, s->vt->watch(s->co, &watch, &w, err)));
}

typedef struct adder {
    suite *s;
    pthread_t t;
    int32_t rc;
    uint32_t base;
} adder;

/* Adds 25 to a counter by compare and set, as many times as it takes. */
static void *add_up(void *arg)
{
    adder *a = arg;
    for (int done = 0; done < 25 && a->rc == 0;) {
        qd_coord_range r = {.key = S("counter")};
        if ((a->rc = coord_suite_range(a->s, &r))) break;
        uint64_t version = r.nkvs ? r.kvs[0].version : 0, value = 0;
        if (r.nkvs) memcpy(&value, r.kvs[0].value, sizeof value);
        a->s->vt->result_free(a->s->co, r.result);
        value++;
        qd_coord_compare cmp = {S("counter"), QD_COORD_CMP_VERSION, 0, version, {0}};
        qd_coord_change put = {QD_COORD_PUT, 0, S("counter"), {(char *)&value, sizeof value}, 0};
        qd_coord_txn t = {.compares = &cmp, .ncompares = 1, .changes = &put, .nchanges = 1};
        uint32_t id[4] = {a->base++, a->base, 7, 7};
        memcpy(t.id, id, sizeof id);
        int32_t rc = coord_suite_txn(a->s, &t);
        if (rc == 0)
            done++;
        else if (rc != QD_E_CONFLICT)
            a->rc = rc;
    }
    return NULL;
}

static void increments_are_not_lost(suite *s)
{
    adder a[4];
    for (size_t i = 0; i < COUNT(a); i++) {
        a[i] = (adder){.s = s, .base = (uint32_t)(i + 1) << 24};
        CHECK_EQ(s->c, pthread_create(&a[i].t, NULL, add_up, &a[i]), 0);
    }
    for (size_t i = 0; i < COUNT(a); i++) pthread_join(a[i].t, NULL);
    for (size_t i = 0; i < COUNT(a); i++) CHECK_EQ(s->c, a[i].rc, 0);
    qd_coord_range r = {.key = S("counter")};
    CHECK_EQ(s->c, range(s, &r), 0);
    uint64_t value = 0;
    if (r.nkvs == 1) memcpy(&value, r.kvs[0].value, sizeof value);
    s->vt->result_free(s->co, r.result);
    CHECK_EQ(s->c, value, 100);
}

static void many_at_once_keep_their_order(suite *s)
{
    enum { N = 256 };
    static qd_coord_txn t[N];
    static qd_coord_change put[N];
    static char key[N][16];
    memset(t, 0, sizeof t);
    for (int i = 0; i < N; i++) {
        snprintf(key[i], sizeof key[i], "many/%03d", i);
        put[i] = (qd_coord_change){QD_COORD_PUT, 0, str_c(key[i]), S("x"), 0};
        t[i].changes = &put[i];
        t[i].nchanges = 1;
        coord_suite_id(s, t[i].id);
        s->c->prepare(s->c, &t[i].op);
        CHECK_EQ(s->c, s->vt->txn(s->co, &t[i]), 0);
    }
    uint64_t last = 0;
    int repeated = 0;
    for (int i = 0; i < N; i++) {
        int32_t rc = coord_suite_end(s, &t[i].op, SECONDS(20));
        if (coord_suite_passing(rc)) {
            rc = coord_suite_txn(s, &t[i]);
            repeated++;
        }
        CHECK_EQ(s->c, rc, 0);
        /* submitted by one thread: committed in its order, but for what had to be asked again */
        if (!repeated) CHECK(s->c, t[i].revision > last);
        last = t[i].revision;
    }
    qd_coord_range r = {.key = S("many/"), .flags = QD_COORD_PREFIX};
    CHECK_EQ(s->c, range(s, &r), 0);
    int same = r.nkvs == N;
    for (int i = 0; i < N && same; i++)
        same = r.kvs[i].version == 1 && r.kvs[i].mod_revision == t[i].revision;
    s->vt->result_free(s->co, r.result);
    CHECK(s->c, same); /* each once, at the revision that was told */
}

static void cancelled_requests_end_once(suite *s)
{
    enum { N = 1000 };
    static qd_coord_range r[N];
    memset(r, 0, sizeof r);
    for (int i = 0; i < N; i++) {
        r[i].key = S("none");
        s->c->prepare(s->c, &r[i].op);
        CHECK_EQ(s->c, s->vt->range(s->co, &r[i]), 0);
        s->vt->cancel(s->co, &r[i].op);
    }
    for (int i = 0; i < N; i++) {
        int32_t rc = s->c->wait(s->c, &r[i].op, SECONDS(60));
        CHECK(s->c, rc == 0 || (coord_suite_passing(rc) && rc != QD_E_TIMEOUT));
        if (rc == 0) s->vt->result_free(s->co, r[i].result);
    }
}

static void members_are_known(suite *s)
{
    uint32_t leaders = 0, n = 0;
    for (int64_t until = coord_suite_now() + SECONDS(60); leaders == 0 && coord_suite_now() < until;
         coord_suite_pause()) {
        qd_coord_members m = {.action = QD_COORD_MEMBERS_LIST, .err = s->err};
        CHECK_EQ(s->c, coord_suite_members(s, &m), 0);
        n = m.nmembers;
        for (uint32_t i = 0; i < n; i++) leaders += m.members[i].leader;
        s->vt->result_free(s->co, m.result);
    }
    CHECK(s->c, n >= 1);
    CHECK_EQ(s->c, leaders, 1);
}

static int32_t member(suite *s, uint32_t action, qd_str name)
{
    qd_coord_members m = {.action = action, .change = {.name = name}, .err = s->err};
    return coord_suite_members(s, &m);
}

static void members_are_excluded(suite *s)
{
    static const char key[] = "_members/excluded/nobody";
    qd_coord_kv kv;
    char buf[16];
    CHECK_EQ(s->c, coord_suite_get(s, key, &kv, buf, sizeof buf), QD_E_NOTFOUND);
    CHECK_EQ(s->c, member(s, QD_COORD_MEMBERS_EXCLUDE, S("nobody")), 0);
    CHECK_EQ(s->c, coord_suite_get(s, key, &kv, buf, sizeof buf), 0);
    CHECK_EQ(s->c, member(s, QD_COORD_MEMBERS_EXCLUDE, S("nobody")), 0); /* once more */
    CHECK_EQ(s->c, coord_suite_put(s, key, S(""), 0, NULL), QD_E_ARG);   /* the store's own */
    s->c->err_clear(s->c);
    CHECK_EQ(s->c, member(s, QD_COORD_MEMBERS_EXCLUDE, S("")), QD_E_ARG);
    s->c->err_clear(s->c);
    CHECK_EQ(s->c, member(s, QD_COORD_MEMBERS_REMOVE, S("nobody")), QD_E_NOTFOUND);
    s->c->err_clear(s->c);
    CHECK_EQ(s->c, member(s, QD_COORD_MEMBERS_INCLUDE, S("")), 0);
    CHECK_EQ(s->c, coord_suite_get(s, key, &kv, buf, sizeof buf), QD_E_NOTFOUND);
}

static int32_t authority(suite *s, uint32_t action, uint64_t epoch, uint64_t new_epoch)
{
    qd_coord_authority a = {.action = action, .epoch = epoch, .new_epoch = new_epoch};
    coord_suite_id(s, a.id);
    return coord_suite_authority(s, &a);
}

static void a_sealed_store_takes_nothing(suite *s)
{
    qd_coord_identity id = {.struct_size = sizeof id};
    s->vt->identity(s->co, &id);
    uint64_t epoch = id.epoch;
    CHECK_EQ(s->c, authority(s, QD_COORD_SEAL, epoch + 7, 0), QD_E_CONFLICT);
    CHECK_EQ(s->c, authority(s, QD_COORD_SEAL, epoch, 0), 0);
    CHECK_EQ(s->c, coord_suite_put(s, "sealed", S("x"), 0, NULL), QD_E_FENCED);
    s->c->err_clear(s->c);
    CHECK_EQ(s->c, authority(s, QD_COORD_UNSEAL, epoch, epoch), QD_E_CONFLICT);
    CHECK_EQ(s->c, authority(s, QD_COORD_UNSEAL, epoch, epoch + 2), 0);
    CHECK_EQ(s->c, coord_suite_put(s, "sealed", S("x"), 0, NULL), 0);
    s->vt->identity(s->co, &id);
    CHECK_EQ(s->c, id.epoch, epoch + 2);
}

static void a_reopened_store_keeps_all(suite *s)
{
    qd_coord_kv kv;
    char buf[16];
    uint64_t r, r2;
    CHECK_EQ(s->c, coord_suite_put(s, "keep/a", S("kept"), 0, &r), 0);
    coord_suite_close(s);
    CHECK_EQ(s->c, coord_suite_open(s), 0);
    CHECK_EQ(s->c, coord_suite_get(s, "keep/a", &kv, buf, sizeof buf), 0);
    CHECK(s->c, strcmp(buf, "kept") == 0 && kv.mod_revision == r);
    CHECK_EQ(s->c, coord_suite_put(s, "keep/a", S("again"), 0, &r2), 0);
    CHECK(s->c, r2 > r);
}

static void opens(suite *s)
{
    CHECK_EQ(s->c, coord_suite_open(s), 0);
}

static void closes(suite *s)
{
    enum { N = 50 };
    static qd_coord_txn t[N]; /* without results: they could not be given back afterwards */
    static const qd_coord_change put = {QD_COORD_PUT, 0, {"last", 4}, {"x", 1}, 0};
    memset(t, 0, sizeof t);
    for (int i = 0; i < N; i++) {
        t[i].changes = &put;
        t[i].nchanges = 1;
        coord_suite_id(s, t[i].id);
        s->c->prepare(s->c, &t[i].op);
        CHECK_EQ(s->c, s->vt->txn(s->co, &t[i]), 0);
    }
    coord_suite_close(s);
    for (int i = 0; i < N; i++) {
        int32_t rc = s->c->wait(s->c, &t[i].op, SECONDS(10));
        CHECK(s->c, rc == 0 || rc == QD_E_CLOSED ||
                        (coord_suite_passing(rc) && rc != QD_E_TIMEOUT && rc != QD_E_CANCELLED));
    }
}

void qd_conform_coordination(qd_conform *c, const char *name, const qd_coord_vtable *vt)
{
    static const struct {
        const char *name;
        void (*run)(suite *);
        uint64_t flag;
    } tests[] = {
        {"limits and identity are sane", limits_are_sane, 0},
        {"keys have versions and revisions", keys_have_versions, 0},
        {"compares guard changes", compares_guard_changes, 0},
        {"request ids work once", request_ids_work_once, 0},
        {"ranges are sorted and cut", ranges_are_sorted_and_cut, 0},
        {"limits are kept", limits_are_kept, 0},
        {"what is unknown is refused", what_is_unknown_is_refused, 0},
        {"increments are not lost", increments_are_not_lost, 0},
        {"many at once keep their order", many_at_once_keep_their_order, 0},
        {"cancelled requests end once", cancelled_requests_end_once, 0},
        {"a watch tells changes in order", coord_suite_watch_order, 0},
        {"a watch from the past", coord_suite_watch_past, 0},
        {"a compacted watch says so", coord_suite_watch_compacted, 0},
        {"a closed watch is silent", coord_suite_watch_close, 0},
        {"a closed session takes its keys along", coord_suite_session_close, 0},
        {"an expired session takes its keys along", coord_suite_session_expiry, 0},
        {"a renewed session stays", coord_suite_session_keep, 0},
        {"elections hand out rising terms", coord_suite_election, 0},
        {"a waiting candidate may be cancelled", coord_suite_election_cancel, 0},
        {"an election ends with its session", coord_suite_election_session, 0},
        {"a crowd finds its promises kept", coord_suite_crowd, 0},
        {"members are known", members_are_known, 0},
        {"members are excluded", members_are_excluded, QD_COORD_DYNAMIC_MEMBERS},
        {"a sealed store takes nothing", a_sealed_store_takes_nothing, QD_COORD_AUTHORITY},
        {"a mirror takes over", coord_suite_mirror, QD_COORD_AUTHORITY},
        {"a store opened again keeps all", a_reopened_store_keeps_all, 0},
    };
    suite s = {.c = c, .vt = vt, .err = c->err};
    (void)name;
    if ((vt->head.flags & QD_COORD_EXTERNAL) && c->noptions == 0) {
        SKIP(c, "the store opens", "it is outside this process: say where by --option");
        return;
    }
    RUN(c, "the store opens", opens(&s));
    if (c->outcome != QD_CONFORM_OK) return;
    for (size_t i = 0; i < COUNT(tests); i++) {
        if (tests[i].flag && !(vt->head.flags & tests[i].flag))
            SKIP(c, tests[i].name, "not among its flags");
        else
            RUN(c, tests[i].name, tests[i].run(&s));
        if (!s.co) return;
    }
    RUN(c, "close ends what is pending", closes(&s));
}
