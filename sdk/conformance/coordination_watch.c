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

/* Waits until n events came, or the end, and it is closed. 0: not within a minute. */
static int wait_for(seen *w, uint32_t n, int ended, int closed)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 60;
    int rc = 0;
    pthread_mutex_lock(&w->m);
    while (rc == 0 && !((w->n >= n || w->ended) && w->ended >= ended && w->closed >= closed))
        rc = pthread_cond_timedwait(&w->c, &w->m, &until);
    pthread_mutex_unlock(&w->m);
    return rc == 0;
}

/* What is under test may forget its history when it was cut off for long. Then the test begins
 * again, under other keys, some times. */
enum { BEGINNINGS = 8 };
static int forgotten(seen *w)
{
    pthread_mutex_lock(&w->m);
    int yes = w->ended && w->rc == QD_E_COMPACTED;
    pthread_mutex_unlock(&w->m);
    return yes;
}

/* CHECK of a function with a result. */
#define IN(s, cond)                                                                                \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            conform_fail((s)->c, __LINE__, #cond, 0, 0);                                           \
            return 0;                                                                              \
        }                                                                                          \
    } while (0)

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

/* Both: 1 when history was forgotten meanwhile. */
static int order(suite *s, const char *prefix, seen *w)
{
    qd_coord_watch *watch;
    uint64_t r;
    char key[24];
    snprintf(key, sizeof key, "%sbefore", prefix);
    IN(s, coord_suite_put(s, key, S("x"), 0, &r) == 0);
    IN(s, begin(s, w, prefix, r + 1, &watch) == 0);
    for (int i = 0; i < 50; i++) {
        snprintf(key, sizeof key, "%s%02d", prefix, i);
        IN(s, coord_suite_put(s, key, S("x"), 0, NULL) == 0);
        IN(s, coord_suite_put(s, "other", S("x"), 0, NULL) == 0);
    }
    char put[24], del[24];
    snprintf(put, sizeof put, "%sp", prefix);
    snprintf(del, sizeof del, "%s00", prefix);
    const qd_coord_change both[] = {{QD_COORD_PUT, 0, str_c(put), S("1"), 0},
                                    {QD_COORD_DELETE, 0, str_c(del), S(""), 0},
                                    {QD_COORD_PUT, 0, S("elsewhere"), S("1"), 0}};
    qd_coord_txn t = {.changes = both, .nchanges = 3, .err = s->err};
    coord_suite_id(s, t.id);
    IN(s, coord_suite_txn(s, &t) == 0);
    IN(s, wait_for(w, 52, 0, 0));
    IN(s, finish(s, w, watch));
    if (forgotten(w)) return 1;
    IN(s, w->n == 52);
    for (int i = 0; i < 50; i++) {
        snprintf(key, sizeof key, "%s%02d", prefix, i);
        IN(s, strcmp(w->keys[i], key) == 0 && w->types[i] == QD_COORD_PUT);
    }
    IN(s, w->mods[50] == t.revision && w->mods[51] == t.revision);
    IN(s, w->types[50] + w->types[51] == QD_COORD_PUT + QD_COORD_DELETE);
    return 0;
}

static int past(suite *s, const char *prefix, seen *w)
{
    qd_coord_watch *watch;
    uint64_t r1, r2;
    char a[24], b[24], c[24];
    snprintf(a, sizeof a, "%sa", prefix);
    snprintf(b, sizeof b, "%sb", prefix);
    snprintf(c, sizeof c, "%sc", prefix);
    IN(s, coord_suite_put(s, a, S("1"), 0, NULL) == 0);
    IN(s, coord_suite_put(s, a, S("2"), 0, &r1) == 0);
    IN(s, coord_suite_put(s, b, S("1"), 0, &r2) == 0);
    IN(s, begin(s, w, prefix, r1, &watch) == 0);
    IN(s, wait_for(w, 2, 0, 0));
    IN(s, coord_suite_put(s, c, S("1"), 0, NULL) == 0);
    IN(s, wait_for(w, 3, 0, 0));
    IN(s, finish(s, w, watch));
    if (forgotten(w)) return 1;
    IN(s, w->n == 3 && w->mods[0] == r1 && w->mods[1] == r2);
    return 0;
}

static void from_the_beginning(suite *s, const char *name,
                               int (*run)(suite *s, const char *prefix, seen *w))
{
    int again = 1;
    for (int i = 0; again && i < BEGINNINGS; i++) {
        seen w = SEEN;
        char prefix[16];
        snprintf(prefix, sizeof prefix, "%s%d/", name, i);
        again = run(s, prefix, &w);
    }
    CHECK(s->c, !again);
}

void coord_suite_watch_order(suite *s)
{
    from_the_beginning(s, "wo", order);
}

void coord_suite_watch_past(suite *s)
{
    from_the_beginning(s, "wp", past);
}

/* What was forgotten is told, and from behind it a watch goes on. */
static int compacted(suite *s, const char *prefix, seen *w2)
{
    seen w = SEEN;
    qd_coord_watch *watch;
    uint64_t r1, r2;
    char key[24];
    snprintf(key, sizeof key, "%sa", prefix);
    IN(s, coord_suite_put(s, key, S("1"), 0, &r1) == 0);
    IN(s, coord_suite_put(s, key, S("2"), 0, &r2) == 0);
    IN(s, s->vt->compact(s->co, r2) == 0);
    qd_coord_identity id = {.struct_size = sizeof id};
    for (int64_t until = coord_suite_now() + SECONDS(60); coord_suite_now() < until;) {
        s->vt->identity(s->co, &id);
        if (id.compacted >= r2) break;
        coord_suite_pause();
    }
    IN(s, id.compacted >= r2);
    IN(s, begin(s, &w, prefix, r1, &watch) == 0);
    IN(s, wait_for(&w, 0, 1, 0));
    IN(s, w.rc == QD_E_COMPACTED);
    IN(s, finish(s, &w, watch));
    IN(s, w.n == 0);
    IN(s, begin(s, w2, prefix, r2 + 1, &watch) == 0);
    IN(s, coord_suite_put(s, key, S("3"), 0, NULL) == 0);
    IN(s, wait_for(w2, 1, 0, 0));
    IN(s, finish(s, w2, watch));
    if (forgotten(w2)) return 1;
    IN(s, w2->n == 1 && w2->types[0] == QD_COORD_PUT);
    return 0;
}

void coord_suite_watch_compacted(suite *s)
{
    from_the_beginning(s, "wc", compacted);
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

static int64_t shortest(suite *s)
{
    qd_coord_info info = {.struct_size = sizeof info};
    s->vt->info(s->co, &info);
    return info.session_ttl_min_ns > SECONDS(1) / 5 ? info.session_ttl_min_ns : SECONDS(1) / 5;
}

/* The end of a session, by CLOSE: its keys go under one revision, others stay. */
static int closed(suite *s, const char *prefix, seen *w)
{
    qd_coord_watch *watch;
    uint64_t id = 0, r;
    char a[24], b[24], other[24];
    snprintf(a, sizeof a, "%sa", prefix);
    snprintf(b, sizeof b, "%sb", prefix);
    snprintf(other, sizeof other, "%sfree", prefix);
    IN(s, coord_suite_session(s, QD_COORD_SESSION_OPEN, &id, coord_suite_long(s)) == 0);
    IN(s, id != 0);
    IN(s, coord_suite_put(s, a, S("1"), id, NULL) == 0);
    IN(s, coord_suite_put(s, b, S("1"), id, NULL) == 0);
    IN(s, coord_suite_put(s, other, S("1"), 0, &r) == 0);
    IN(s, begin(s, w, prefix, r + 1, &watch) == 0);
    IN(s, coord_suite_session(s, QD_COORD_SESSION_CLOSE, &id, 0) == 0);
    IN(s, wait_for(w, 2, 0, 0));
    IN(s, finish(s, w, watch));
    if (!forgotten(w))
        IN(s, w->n == 2 && w->types[0] == QD_COORD_DELETE && w->mods[0] == w->mods[1]);
    qd_coord_kv kv;
    char buf[8];
    IN(s, coord_suite_get(s, a, &kv, buf, sizeof buf) == QD_E_NOTFOUND);
    IN(s, coord_suite_get(s, other, &kv, buf, sizeof buf) == 0);
    IN(s, coord_suite_session(s, QD_COORD_SESSION_KEEP, &id, 0) == QD_E_SESSION_EXPIRED);
    s->c->err_clear(s->c);
    IN(s, coord_suite_put(s, a, S("1"), id, NULL) == QD_E_SESSION_EXPIRED);
    return forgotten(w);
}

void coord_suite_session_close(suite *s)
{
    from_the_beginning(s, "sc", closed);
}

/* A session that nobody renews ends, and not before its time. 1: it had ended before it had a key.
 */
static int expires(suite *s, const char *key, int64_t ttl)
{
    uint64_t id = 0;
    qd_coord_kv kv;
    char buf[8];
    int64_t began = coord_suite_now();
    IN(s, coord_suite_session(s, QD_COORD_SESSION_OPEN, &id, ttl) == 0);
    int32_t rc = coord_suite_put(s, key, S("1"), id, NULL);
    if (rc == QD_E_SESSION_EXPIRED) {
        IN(s, coord_suite_now() - began >= ttl);
        s->c->err_clear(s->c);
        return 1;
    }
    IN(s, rc == 0);
    for (int64_t until = coord_suite_now() + SECONDS(120); rc == 0 && coord_suite_now() < until;) {
        rc = coord_suite_get(s, key, &kv, buf, sizeof buf);
        if (rc == 0) coord_suite_pause();
    }
    IN(s, rc == QD_E_NOTFOUND);
    IN(s, coord_suite_now() - began >= ttl);
    IN(s, coord_suite_session(s, QD_COORD_SESSION_KEEP, &id, 0) == QD_E_SESSION_EXPIRED);
    return 0;
}

void coord_suite_session_expiry(suite *s)
{
    int again = 1;
    for (int64_t ttl = shortest(s); again && ttl < SECONDS(60); ttl *= 3)
        again = expires(s, "se/a", ttl);
    CHECK(s->c, !again);
}

/* A session that is renewed lives three times as long. 1: it could not be renewed in time, which a
 * store that is away for long is no wrong of. */
static int kept(suite *s, int64_t ttl)
{
    uint64_t id = 0;
    qd_coord_kv kv;
    char buf[8];
    int64_t began = coord_suite_now(), renewed = began;
    IN(s, coord_suite_session(s, QD_COORD_SESSION_OPEN, &id, ttl) == 0);
    int32_t rc = coord_suite_put(s, "sk/a", S("1"), id, NULL);
    while (rc == 0 && coord_suite_now() - began < 3 * ttl) {
        int64_t sent = coord_suite_now();
        rc = coord_suite_once(s, QD_COORD_SESSION_KEEP, id);
        if (rc == 0) renewed = sent;
        if (coord_suite_passing(rc)) rc = 0;
        coord_suite_pause();
    }
    if (rc == 0) rc = coord_suite_get(s, "sk/a", &kv, buf, sizeof buf);
    if (rc == QD_E_SESSION_EXPIRED || rc == QD_E_NOTFOUND) {
        IN(s, coord_suite_now() - renewed >= ttl); /* never before its time */
        s->c->err_clear(s->c);
        return 1;
    }
    IN(s, rc == 0);
    IN(s, kv.session == id);
    rc = coord_suite_session(s, QD_COORD_SESSION_CLOSE, &id, 0);
    IN(s, rc == 0 || (rc == QD_E_SESSION_EXPIRED && coord_suite_now() - renewed >= ttl));
    s->c->err_clear(s->c);
    return 0;
}

void coord_suite_session_keep(suite *s)
{
    int again = 1;
    for (int64_t ttl = shortest(s); again && ttl < SECONDS(60); ttl *= 3) again = kept(s, ttl);
    CHECK(s->c, !again);
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

/* A new session that stands. */
static int32_t stand(suite *s, qd_coord_election *e, const char *name, uint64_t *id, int64_t ttl,
                     const char *value)
{
    int32_t rc = coord_suite_session(s, QD_COORD_SESSION_OPEN, id, ttl);
    coord_suite_stand(s, e, name, *id, value);
    return rc ? rc : s->vt->election(s->co, e);
}

void coord_suite_election(suite *s)
{
    uint64_t one = 0, two = 0;
    qd_coord_election a, b, l;
    qd_coord_kv kv;
    char buf[16];
    int32_t rc = stand(s, &a, "boss", &one, coord_suite_long(s), "first");
    CHECK_EQ(s->c, coord_suite_win(s, &a, &one, rc), 0);
    CHECK(s->c, a.token.term > 0);
    int32_t rc2 = stand(s, &b, "boss", &two, coord_suite_long(s), "second");
    CHECK_EQ(s->c, coord_suite_get(s, "_election/boss", &kv, buf, sizeof buf), 0);
    CHECK(s->c, strcmp(buf, "first") == 0 && kv.session == one);
    CHECK_EQ(s->c, put_fenced(s, "boss", a.token), 0);
    CHECK_EQ(s->c, coord_suite_resign(s, "boss", one, a.token), 0);
    CHECK_EQ(s->c, coord_suite_win(s, &b, &two, rc2), 0);
    CHECK(s->c, later(a.token, b.token));
    CHECK_EQ(s->c, put_fenced(s, "boss", a.token), QD_E_FENCED);
    CHECK_EQ(s->c, put_fenced(s, "boss", b.token), 0);
    CHECK_EQ(s->c, coord_suite_leader(s, &l, "boss"), 0);
    int ok = l.value.n == 6 && memcmp(l.value.p, "second", 6) == 0 && l.token.term == b.token.term;
    s->vt->result_free(s->co, l.result);
    CHECK(s->c, ok);
    CHECK_EQ(s->c, coord_suite_resign(s, "boss", two, b.token), 0);
    CHECK_EQ(s->c, put_fenced(s, "boss", b.token), QD_E_FENCED);
    CHECK_EQ(s->c, coord_suite_leader(s, &l, "boss"), QD_E_NOTFOUND);
    CHECK_EQ(s->c, coord_suite_session(s, QD_COORD_SESSION_CLOSE, &one, 0), 0);
    CHECK_EQ(s->c, coord_suite_session(s, QD_COORD_SESSION_CLOSE, &two, 0), 0);
}

void coord_suite_election_cancel(suite *s)
{
    uint64_t one = 0, two = 0;
    qd_coord_election a, b, again;
    int32_t rc = stand(s, &a, "cancel", &one, coord_suite_long(s), "a");
    CHECK_EQ(s->c, coord_suite_win(s, &a, &one, rc), 0);
    rc = stand(s, &b, "cancel", &two, coord_suite_long(s), "b");
    if (rc == 0) {
        s->vt->cancel(s->co, &b.op);
        rc = coord_suite_end(s, &b.op, SECONDS(60));
    }
    CHECK(s->c, coord_suite_passing(rc));
    if (rc != QD_E_CANCELLED) /* it may stand still: its session's end tells */
        CHECK_EQ(s->c, coord_suite_session(s, QD_COORD_SESSION_CLOSE, &two, 0), 0);
    CHECK_EQ(s->c, coord_suite_resign(s, "cancel", one, a.token), 0);
    coord_suite_stand(s, &again, "cancel", one, "a"); /* b is not in the way */
    CHECK_EQ(s->c, coord_suite_win(s, &again, &one, s->vt->election(s->co, &again)), 0);
    CHECK(s->c, later(a.token, again.token));
    CHECK_EQ(s->c, coord_suite_session(s, QD_COORD_SESSION_CLOSE, &one, 0), 0);
    if (rc == QD_E_CANCELLED)
        CHECK_EQ(s->c, coord_suite_session(s, QD_COORD_SESSION_CLOSE, &two, 0), 0);
}

/* 1: the first session had ended before it won. */
static int succeeds(suite *s, const char *name, int64_t ttl)
{
    uint64_t one = 0, two = 0;
    qd_coord_election a, b;
    int64_t began = coord_suite_now();
    int32_t rc = stand(s, &a, name, &one, ttl, "a");
    rc = rc ? rc : coord_suite_end(s, &a.op, SECONDS(20));
    if (rc == QD_E_SESSION_EXPIRED || coord_suite_passing(rc)) {
        IN(s, rc != QD_E_SESSION_EXPIRED || coord_suite_now() - began >= ttl);
        rc = coord_suite_session(s, QD_COORD_SESSION_CLOSE, &one, 0);
        IN(s, rc == 0 || rc == QD_E_SESSION_EXPIRED);
        s->c->err_clear(s->c);
        return 1;
    }
    IN(s, rc == 0);
    rc = stand(s, &b, name, &two, coord_suite_long(s), "b");
    IN(s, coord_suite_win(s, &b, &two, rc) == 0); /* a's session ran out */
    IN(s, coord_suite_now() - began >= ttl);
    IN(s, later(a.token, b.token));
    IN(s, put_fenced(s, name, a.token) == QD_E_FENCED);
    IN(s, coord_suite_session(s, QD_COORD_SESSION_CLOSE, &two, 0) == 0);
    return 0;
}

void coord_suite_election_session(suite *s)
{
    int again = 1;
    for (int64_t ttl = shortest(s); again && ttl < SECONDS(60); ttl *= 3)
        again = succeeds(s, "short", ttl);
    CHECK(s->c, !again);
}
