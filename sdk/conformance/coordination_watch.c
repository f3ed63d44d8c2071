/* coordination_watch.c: the contract of watches, sessions and elections. */
#include "coordination_suite.h"
#include <time.h>

/* What a watch told, gathered from the plugin's thread. */
typedef struct seen {
    pthread_mutex_t m;
    pthread_cond_t c;
    char keys[512][32];
    uint32_t types[512];
    uint64_t mods[512];
    uint32_t n;
    uint64_t revision; /* last told */
    int32_t rc;
    int ended, closed, backwards;
} seen;
#define SEEN                                                                                       \
    {                                                                                              \
        .m = PTHREAD_MUTEX_INITIALIZER, .c = PTHREAD_COND_INITIALIZER                              \
    }

static void on_events(void *arg, const qd_coord_event *events, uint32_t n, uint64_t revision,
                      int32_t rc)
{
    seen *w = arg;
    pthread_mutex_lock(&w->m);
    if (w->ended) w->backwards = 1; /* nothing comes after the last call */
    for (uint32_t i = 0; i < n && w->n < COUNT(w->keys); i++, w->n++) {
        const qd_coord_kv *kv = &events[i].kv;
        snprintf(w->keys[w->n], sizeof w->keys[0], "%.*s", (int)kv->key.n, kv->key.p);
        w->types[w->n] = events[i].type;
        w->mods[w->n] = kv->mod_revision;
        if (kv->mod_revision <= w->revision || kv->mod_revision > revision) w->backwards = 1;
        if (w->n && kv->mod_revision < w->mods[w->n - 1]) w->backwards = 1;
    }
    if (rc)
        w->ended = 1, w->rc = rc;
    else if (revision < w->revision)
        w->backwards = 1;
    else
        w->revision = revision;
    pthread_cond_broadcast(&w->c);
    pthread_mutex_unlock(&w->m);
}

static void on_closed(void *arg)
{
    seen *w = arg;
    pthread_mutex_lock(&w->m);
    w->closed++;
    pthread_cond_broadcast(&w->c);
    pthread_mutex_unlock(&w->m);
}

/* Waits until the condition number is met: n events, the end, or closed. */
static int wait_for(seen *w, uint32_t n, int ended, int closed)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 60;
    int rc = 0;
    pthread_mutex_lock(&w->m);
    while (rc == 0 && !(w->n >= n && w->ended >= ended && w->closed >= closed))
        rc = pthread_cond_timedwait(&w->c, &w->m, &until);
    pthread_mutex_unlock(&w->m);
    return rc == 0;
}

static int32_t begin(suite *s, seen *w, const char *prefix, uint64_t from, qd_coord_watch **out)
{
    qd_coord_watch_config config = {.struct_size = sizeof config,
                                    .flags = QD_COORD_PREFIX,
                                    .key = str_c(prefix),
                                    .from = from,
                                    .events = on_events,
                                    .arg = w};
    return s->vt->watch(s->co, &config, out, s->c->err);
}

static int finish(suite *s, seen *w, qd_coord_watch *watch)
{
    s->vt->watch_close(watch, on_closed, w);
    return wait_for(w, 0, 0, 1) && !w->backwards;
}

void coord_suite_watch_ends(suite *s, uint64_t from, int32_t rc)
{
    seen w = SEEN;
    qd_coord_watch *watch;
    CHECK_EQ(s->c, begin(s, &w, "none/", from, &watch), 0);
    int ended = wait_for(&w, 0, 1, 0);
    CHECK(s->c, finish(s, &w, watch));
    CHECK(s->c, ended);
    CHECK_EQ(s->c, w.rc, rc);
}

void coord_suite_watch_order(suite *s)
{
    seen w = SEEN;
    qd_coord_watch *watch;
    uint64_t r;
    CHECK_EQ(s->c, coord_suite_put(s, "wo/before", S("x"), 0, &r), 0);
    CHECK_EQ(s->c, begin(s, &w, "wo/", r + 1, &watch), 0);
    char key[16];
    for (int i = 0; i < 50; i++) {
        snprintf(key, sizeof key, "wo/%02d", i);
        CHECK_EQ(s->c, coord_suite_put(s, key, S("x"), 0, NULL), 0);
        CHECK_EQ(s->c, coord_suite_put(s, "other", S("x"), 0, NULL), 0);
    }
    const qd_coord_change both[] = {{QD_COORD_PUT, 0, S("wo/p"), S("1"), 0},
                                    {QD_COORD_DELETE, 0, S("wo/00"), S(""), 0},
                                    {QD_COORD_PUT, 0, S("elsewhere"), S("1"), 0}};
    qd_coord_txn t = {.changes = both, .nchanges = 3, .err = s->c->err};
    coord_suite_id(s, t.id);
    CHECK_EQ(s->c, coord_suite_txn(s, &t), 0);
    CHECK(s->c, wait_for(&w, 52, 0, 0));
    CHECK(s->c, finish(s, &w, watch));
    CHECK_EQ(s->c, w.n, 52);
    for (int i = 0; i < 50; i++) {
        snprintf(key, sizeof key, "wo/%02d", i);
        CHECK(s->c, strcmp(w.keys[i], key) == 0 && w.types[i] == QD_COORD_PUT);
    }
    CHECK(s->c, w.mods[50] == t.revision && w.mods[51] == t.revision);
    CHECK_EQ(s->c, w.types[50] + w.types[51], QD_COORD_PUT + QD_COORD_DELETE);
}

void coord_suite_watch_past(suite *s)
{
    seen w = SEEN;
    qd_coord_watch *watch;
    uint64_t r1, r2;
    CHECK_EQ(s->c, coord_suite_put(s, "wp/a", S("1"), 0, NULL), 0);
    CHECK_EQ(s->c, coord_suite_put(s, "wp/a", S("2"), 0, &r1), 0);
    CHECK_EQ(s->c, coord_suite_put(s, "wp/b", S("1"), 0, &r2), 0);
    CHECK_EQ(s->c, begin(s, &w, "wp/", r1, &watch), 0);
    CHECK(s->c, wait_for(&w, 2, 0, 0));
    CHECK_EQ(s->c, coord_suite_put(s, "wp/c", S("1"), 0, NULL), 0);
    CHECK(s->c, wait_for(&w, 3, 0, 0));
    CHECK(s->c, finish(s, &w, watch));
    CHECK(s->c, w.n == 3 && w.mods[0] == r1 && w.mods[1] == r2);
}

void coord_suite_watch_compacted(suite *s)
{
    seen w = SEEN, w2 = SEEN;
    qd_coord_watch *watch;
    uint64_t r1, r2;
    CHECK_EQ(s->c, coord_suite_put(s, "wc/a", S("1"), 0, &r1), 0);
    CHECK_EQ(s->c, coord_suite_put(s, "wc/a", S("2"), 0, &r2), 0);
    CHECK_EQ(s->c, s->vt->compact(s->co, r2), 0);
    qd_coord_identity id = {.struct_size = sizeof id};
    for (int i = 0; i < 3000 && id.compacted < r2; i++) {
        s->vt->identity(s->co, &id);
        if (id.compacted < r2) coord_suite_pause();
    }
    CHECK(s->c, id.compacted >= r2);
    CHECK_EQ(s->c, begin(s, &w, "wc/", r1, &watch), 0);
    CHECK(s->c, wait_for(&w, 0, 1, 0));
    CHECK_EQ(s->c, w.rc, QD_E_COMPACTED);
    CHECK(s->c, finish(s, &w, watch));
    CHECK_EQ(s->c, w.n, 0);
    CHECK_EQ(s->c, begin(s, &w2, "wc/", r2 + 1, &watch), 0);
    CHECK_EQ(s->c, coord_suite_put(s, "wc/a", S("3"), 0, NULL), 0);
    CHECK(s->c, wait_for(&w2, 1, 0, 0));
    CHECK(s->c, finish(s, &w2, watch));
}

void coord_suite_watch_close(suite *s)
{
    for (int i = 0; i < 100; i++) {
        seen w = SEEN;
        qd_coord_watch *watch;
        CHECK_EQ(s->c, begin(s, &w, "wx/", 0, &watch), 0);
        if (i % 10 == 0) CHECK_EQ(s->c, coord_suite_put(s, "wx/a", S("1"), 0, NULL), 0);
        s->vt->watch_close(watch, on_closed, &w);
        CHECK(s->c, wait_for(&w, 0, 0, 1));
        w.ended = 1; /* whatever comes now is one too many */
        if (i % 10 == 0) CHECK_EQ(s->c, coord_suite_put(s, "wx/a", S("2"), 0, NULL), 0);
        CHECK(s->c, w.closed == 1 && !w.backwards);
    }
}

static int32_t session(suite *s, uint32_t action, uint64_t *id, int64_t ttl_ns)
{
    qd_coord_session r = {.action = action, .session = *id, .ttl_ns = ttl_ns, .err = s->c->err};
    coord_suite_id(s, r.id);
    s->c->prepare(s->c, &r.op);
    int32_t rc = s->vt->session(s->co, &r);
    if (rc == 0) rc = s->c->wait(s->c, &r.op, SECONDS(60));
    if (rc == 0 && action == QD_COORD_SESSION_OPEN) *id = r.session;
    return rc;
}

static int64_t shortest(suite *s)
{
    qd_coord_info info = {.struct_size = sizeof info};
    s->vt->info(s->co, &info);
    return info.session_ttl_min_ns > SECONDS(1) / 5 ? info.session_ttl_min_ns : SECONDS(1) / 5;
}

void coord_suite_session_close(suite *s)
{
    seen w = SEEN;
    qd_coord_watch *watch;
    uint64_t id = 0, r;
    CHECK_EQ(s->c, session(s, QD_COORD_SESSION_OPEN, &id, SECONDS(30)), 0);
    CHECK(s->c, id != 0);
    CHECK_EQ(s->c, coord_suite_put(s, "sc/a", S("1"), id, NULL), 0);
    CHECK_EQ(s->c, coord_suite_put(s, "sc/b", S("1"), id, NULL), 0);
    CHECK_EQ(s->c, coord_suite_put(s, "sc/free", S("1"), 0, &r), 0);
    CHECK_EQ(s->c, begin(s, &w, "sc/", r + 1, &watch), 0);
    CHECK_EQ(s->c, session(s, QD_COORD_SESSION_CLOSE, &id, 0), 0);
    CHECK(s->c, wait_for(&w, 2, 0, 0));
    CHECK(s->c, finish(s, &w, watch));
    CHECK(s->c, w.n == 2 && w.types[0] == QD_COORD_DELETE && w.mods[0] == w.mods[1]);
    qd_coord_kv kv;
    char buf[8];
    CHECK_EQ(s->c, coord_suite_get(s, "sc/free", &kv, buf, sizeof buf), 0);
    CHECK_EQ(s->c, session(s, QD_COORD_SESSION_KEEP, &id, 0), QD_E_SESSION_EXPIRED);
    s->c->err_clear(s->c);
    CHECK_EQ(s->c, coord_suite_put(s, "sc/a", S("1"), id, NULL), QD_E_SESSION_EXPIRED);
}

void coord_suite_session_expiry(suite *s)
{
    seen w = SEEN;
    qd_coord_watch *watch;
    uint64_t id = 0, r;
    CHECK_EQ(s->c, session(s, QD_COORD_SESSION_OPEN, &id, shortest(s)), 0);
    CHECK_EQ(s->c, coord_suite_put(s, "se/a", S("1"), id, &r), 0);
    CHECK_EQ(s->c, begin(s, &w, "se/", r + 1, &watch), 0);
    CHECK(s->c, wait_for(&w, 1, 0, 0));
    CHECK(s->c, finish(s, &w, watch));
    CHECK_EQ(s->c, w.types[0], QD_COORD_DELETE);
    CHECK_EQ(s->c, session(s, QD_COORD_SESSION_KEEP, &id, 0), QD_E_SESSION_EXPIRED);
}

void coord_suite_session_keep(suite *s)
{
    uint64_t id = 0;
    int64_t ttl = shortest(s);
    struct timespec a, b;
    CHECK_EQ(s->c, session(s, QD_COORD_SESSION_OPEN, &id, ttl), 0);
    CHECK_EQ(s->c, coord_suite_put(s, "sk/a", S("1"), id, NULL), 0);
    clock_gettime(CLOCK_MONOTONIC, &a);
    do {
        CHECK_EQ(s->c, session(s, QD_COORD_SESSION_KEEP, &id, 0), 0);
        coord_suite_pause();
        clock_gettime(CLOCK_MONOTONIC, &b);
    } while ((b.tv_sec - a.tv_sec) * SECONDS(1) + (b.tv_nsec - a.tv_nsec) < 3 * ttl);
    qd_coord_kv kv;
    char buf[8];
    CHECK_EQ(s->c, coord_suite_get(s, "sk/a", &kv, buf, sizeof buf), 0);
    CHECK_EQ(s->c, kv.session, id);
    CHECK_EQ(s->c, session(s, QD_COORD_SESSION_CLOSE, &id, 0), 0);
}

static void elect(suite *s, qd_coord_election *e, const char *name, uint64_t id, const char *value)
{
    memset(e, 0, sizeof *e);
    e->action = QD_COORD_ELECT;
    e->name = str_c(name);
    e->value = str_c(value);
    e->session = id;
    s->c->prepare(s->c, &e->op);
}

static int32_t resign(suite *s, const char *name, uint64_t id, qd_coord_token token)
{
    qd_coord_election e = {
        .action = QD_COORD_RESIGN, .name = str_c(name), .session = id, .token = token};
    s->c->prepare(s->c, &e.op);
    int32_t rc = s->vt->election(s->co, &e);
    return rc ? rc : s->c->wait(s->c, &e.op, SECONDS(60));
}

/* Puts a key under a leader's token. */
static int32_t put_fenced(suite *s, const char *election, qd_coord_token token)
{
    qd_coord_change put = {QD_COORD_PUT, 0, S("fenced"), S("x"), 0};
    qd_coord_txn t = {.changes = &put, .nchanges = 1, .token = token, .election = str_c(election)};
    coord_suite_id(s, t.id);
    return coord_suite_txn(s, &t);
}

static int later(qd_coord_token a, qd_coord_token b)
{
    return b.epoch > a.epoch || (b.epoch == a.epoch && b.term > a.term);
}

void coord_suite_election(suite *s)
{
    uint64_t one = 0, two = 0;
    qd_coord_election a, b;
    qd_coord_kv kv;
    char buf[16];
    CHECK_EQ(s->c, session(s, QD_COORD_SESSION_OPEN, &one, SECONDS(30)), 0);
    CHECK_EQ(s->c, session(s, QD_COORD_SESSION_OPEN, &two, SECONDS(30)), 0);
    elect(s, &a, "boss", one, "first");
    CHECK_EQ(s->c, s->vt->election(s->co, &a), 0);
    CHECK_EQ(s->c, s->c->wait(s->c, &a.op, SECONDS(60)), 0);
    CHECK(s->c, a.token.term > 0);
    elect(s, &b, "boss", two, "second");
    CHECK_EQ(s->c, s->vt->election(s->co, &b), 0);
    CHECK_EQ(s->c, coord_suite_get(s, "_election/boss", &kv, buf, sizeof buf), 0);
    CHECK(s->c, strcmp(buf, "first") == 0 && kv.session == one);
    CHECK_EQ(s->c, put_fenced(s, "boss", a.token), 0);
    CHECK_EQ(s->c, resign(s, "boss", one, a.token), 0);
    CHECK_EQ(s->c, s->c->wait(s->c, &b.op, SECONDS(60)), 0);
    CHECK(s->c, later(a.token, b.token));
    CHECK_EQ(s->c, put_fenced(s, "boss", a.token), QD_E_FENCED);
    CHECK_EQ(s->c, put_fenced(s, "boss", b.token), 0);
    qd_coord_election l = {.action = QD_COORD_LEADER, .name = S("boss"), .err = s->c->err};
    s->c->prepare(s->c, &l.op);
    CHECK_EQ(s->c, s->vt->election(s->co, &l), 0);
    CHECK_EQ(s->c, s->c->wait(s->c, &l.op, SECONDS(60)), 0);
    int ok = l.value.n == 6 && memcmp(l.value.p, "second", 6) == 0 && l.token.term == b.token.term;
    s->vt->result_free(s->co, l.result);
    CHECK(s->c, ok);
    CHECK_EQ(s->c, resign(s, "boss", two, b.token), 0);
    CHECK_EQ(s->c, put_fenced(s, "boss", b.token), QD_E_FENCED);
    qd_coord_election none = {.action = QD_COORD_LEADER, .name = S("boss")};
    s->c->prepare(s->c, &none.op);
    int32_t rc = s->vt->election(s->co, &none);
    if (rc == 0) rc = s->c->wait(s->c, &none.op, SECONDS(60));
    CHECK_EQ(s->c, rc, QD_E_NOTFOUND);
    CHECK_EQ(s->c, session(s, QD_COORD_SESSION_CLOSE, &one, 0), 0);
    CHECK_EQ(s->c, session(s, QD_COORD_SESSION_CLOSE, &two, 0), 0);
}

void coord_suite_election_cancel(suite *s)
{
    uint64_t one = 0, two = 0;
    qd_coord_election a, b, again;
    CHECK_EQ(s->c, session(s, QD_COORD_SESSION_OPEN, &one, SECONDS(30)), 0);
    CHECK_EQ(s->c, session(s, QD_COORD_SESSION_OPEN, &two, SECONDS(30)), 0);
    elect(s, &a, "cancel", one, "a");
    CHECK_EQ(s->c, s->vt->election(s->co, &a), 0);
    CHECK_EQ(s->c, s->c->wait(s->c, &a.op, SECONDS(60)), 0);
    elect(s, &b, "cancel", two, "b");
    CHECK_EQ(s->c, s->vt->election(s->co, &b), 0);
    s->vt->cancel(s->co, &b.op);
    CHECK_EQ(s->c, s->c->wait(s->c, &b.op, SECONDS(60)), QD_E_CANCELLED);
    CHECK_EQ(s->c, resign(s, "cancel", one, a.token), 0);
    elect(s, &again, "cancel", one, "a"); /* b is not in the way */
    CHECK_EQ(s->c, s->vt->election(s->co, &again), 0);
    CHECK_EQ(s->c, s->c->wait(s->c, &again.op, SECONDS(60)), 0);
    CHECK(s->c, later(a.token, again.token));
    CHECK_EQ(s->c, session(s, QD_COORD_SESSION_CLOSE, &one, 0), 0);
    CHECK_EQ(s->c, session(s, QD_COORD_SESSION_CLOSE, &two, 0), 0);
}

void coord_suite_election_session(suite *s)
{
    uint64_t one = 0, two = 0;
    qd_coord_election a, b;
    CHECK_EQ(s->c, session(s, QD_COORD_SESSION_OPEN, &one, shortest(s)), 0);
    CHECK_EQ(s->c, session(s, QD_COORD_SESSION_OPEN, &two, SECONDS(30)), 0);
    elect(s, &a, "short", one, "a");
    CHECK_EQ(s->c, s->vt->election(s->co, &a), 0);
    CHECK_EQ(s->c, s->c->wait(s->c, &a.op, SECONDS(60)), 0);
    elect(s, &b, "short", two, "b");
    CHECK_EQ(s->c, s->vt->election(s->co, &b), 0);
    CHECK_EQ(s->c, s->c->wait(s->c, &b.op, SECONDS(60)), 0); /* a's session ran out */
    CHECK(s->c, later(a.token, b.token));
    CHECK_EQ(s->c, put_fenced(s, "short", a.token), QD_E_FENCED);
    CHECK_EQ(s->c, session(s, QD_COORD_SESSION_CLOSE, &two, 0), 0);
}
