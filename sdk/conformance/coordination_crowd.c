/*
 * coordination_crowd.c: several clients at once, for a moment or for as long as the runner says,
 * best while the store has faults: one number counted up by compare-and-set, leaders that write
 * under their token, sessions that are renewed or not, a watch over all. What was acknowledged is
 * there, once; no read is older than what was acknowledged before it began; a watch has no gap and
 * tells nothing twice; who was followed writes no more; no session ends before its time.
 */
#include "coordination_suite.h"

enum { ADDERS = 3, LEADERS = 2, KEEPERS = 2, CLIENTS = ADDERS + LEADERS + KEEPERS, ENOUGH = 60 };

typedef struct crowd {
    qd_conform *c;
    pthread_mutex_t m;
    pthread_cond_t wake;
    int stop;
    /* all below under m */
    const char *wrong; /* the first promise that was broken, and two numbers */
    long long a, b;
    uint64_t counted;     /* acknowledged */
    uint64_t highest;     /* number that was acknowledged */
    uint64_t own[ADDERS]; /* of each */
    uint64_t led;         /* writes of leaders that were acknowledged */
    /* what the watch told */
    uint64_t number, revision, term, epoch, led_seen;
    int ended, closed, gaps;
    int32_t ended_rc;
} crowd;

typedef struct client {
    crowd *w;
    int i;
    void (*run)(struct client *);
    suite s; /* without an error object */
    pthread_t thread;
} client;

static void *run_client(void *arg)
{
    client *k = arg;
    k->run(k);
    return NULL;
}

static void broken(crowd *w, const char *what, uint64_t a, uint64_t b)
{
    pthread_mutex_lock(&w->m);
    if (!w->wrong) {
        w->wrong = what;
        w->a = (long long)a;
        w->b = (long long)b;
    }
    w->stop = 1;
    pthread_cond_broadcast(&w->wake);
    pthread_mutex_unlock(&w->m);
}

static int goes_on(crowd *w)
{
    pthread_mutex_lock(&w->m);
    int yes = !w->stop;
    pthread_mutex_unlock(&w->m);
    return yes;
}

static uint64_t number_of(const qd_coord_kv *kv)
{
    uint64_t n = 0;
    if (kv->value && kv->value_len == sizeof n) memcpy(&n, kv->value, sizeof n);
    return n;
}

static int is_key(qd_str key, const char *text)
{
    return key.n == strlen(text) && memcmp(key.p, text, key.n) == 0;
}

/* --- counting --- */

typedef struct numbers {
    uint64_t all, own[ADDERS], version;
} numbers;

/* The number and each client's part of it, of one revision: they always add up. */
static int read_numbers(client *k, numbers *n)
{
    crowd *w = k->w;
    pthread_mutex_lock(&w->m);
    uint64_t least = w->highest;
    pthread_mutex_unlock(&w->m);
    qd_coord_range r = {.key = S("crowd/n"), .flags = QD_COORD_PREFIX};
    int32_t rc = coord_suite_range(&k->s, &r);
    *n = (numbers){0};
    if (rc) {
        broken(w, "a read is answered in the end", (uint64_t)-rc, 0);
        return 0;
    }
    uint64_t sum = 0;
    for (uint32_t i = 0; i < r.nkvs; i++) {
        const qd_coord_kv *kv = &r.kvs[i];
        uint64_t v = number_of(kv);
        unsigned by = kv->key.n == 8 ? (unsigned)(kv->key.p[7] - '0') : ADDERS;
        if (kv->key.n == 7) {
            n->all = v;
            n->version = kv->version;
        } else if (by < ADDERS) {
            n->own[by] = v;
            sum += v;
        }
    }
    k->s.vt->result_free(k->s.co, r.result);
    if (sum != n->all) broken(w, "an answer is of one revision", sum, n->all);
    if (n->all < least)
        broken(w, "no read is older than what was acknowledged before it", n->all, least);
    return 1;
}

static void add(client *k)
{
    crowd *w = k->w;
    uint64_t revision = 0;
    char own[] = "crowd/n0";
    own[7] = (char)('0' + k->i);
    while (goes_on(w)) {
        numbers n;
        if (!read_numbers(k, &n)) return;
        uint64_t all = n.all + 1, mine = n.own[k->i] + 1;
        qd_coord_compare same = {S("crowd/n"), QD_COORD_CMP_VERSION, 0, n.version, {0}};
        const qd_coord_change put[] = {
            {QD_COORD_PUT, 0, S("crowd/n"), {(char *)&all, sizeof all}, 0},
            {QD_COORD_PUT, 0, str_c(own), {(char *)&mine, sizeof mine}, 0}};
        qd_coord_txn t = {.compares = &same, .ncompares = 1, .changes = put, .nchanges = 2};
        coord_suite_id(&k->s, t.id);
        int32_t rc = coord_suite_txn(&k->s, &t);
        if (rc == QD_E_CONFLICT) continue;
        if (rc) {
            broken(w, "a change is made or refused in the end", (uint64_t)-rc, all);
            return;
        }
        if (t.revision <= revision) broken(w, "revisions rise", t.revision, revision);
        revision = t.revision;
        pthread_mutex_lock(&w->m);
        w->counted++;
        w->own[k->i]++;
        if (w->highest < all) w->highest = all;
        pthread_cond_broadcast(&w->wake);
        pthread_mutex_unlock(&w->m);
    }
}

/* --- leading --- */

/* Writes its token under its token until it is fenced off. */
static void write_as_leader(client *k, qd_coord_token token)
{
    crowd *w = k->w;
    for (int i = 0; i < 10 && goes_on(w); i++) {
        const uint64_t value[2] = {token.epoch, token.term};
        qd_coord_change put = {
            QD_COORD_PUT, 0, S("crowd/led"), {(const char *)value, sizeof value}, 0};
        qd_coord_txn t = {.changes = &put, .nchanges = 1, .token = token, .election = S("crowd")};
        coord_suite_id(&k->s, t.id);
        int32_t rc = coord_suite_txn(&k->s, &t);
        if (rc == QD_E_FENCED) return;
        if (rc) {
            broken(w, "a leader's change is made or fenced", (uint64_t)-rc, token.term);
            return;
        }
        pthread_mutex_lock(&w->m);
        w->led++;
        pthread_mutex_unlock(&w->m);
    }
}

/* Wins, writes, and resigns or lets its session run out. */
static void lead(client *k)
{
    crowd *w = k->w;
    for (int turn = 0; goes_on(w); turn++) {
        uint64_t id = 0;
        qd_coord_election e;
        int32_t rc = coord_suite_session(&k->s, QD_COORD_SESSION_OPEN, &id, SECONDS(1));
        if (rc) {
            broken(w, "a session is opened in the end", (uint64_t)-rc, 0);
            return;
        }
        coord_suite_stand(&k->s, &e, "crowd", id, "crowd");
        rc = k->s.vt->election(k->s.co, &e);
        if (rc == 0) rc = coord_suite_end(&k->s, &e.op, SECONDS(2));
        if (rc == 0) write_as_leader(k, e.token);
        if (rc == 0 && turn % 2) (void)coord_suite_resign(&k->s, "crowd", id, e.token);
        if (rc && !coord_suite_passing(rc) && rc != QD_E_SESSION_EXPIRED)
            broken(w, "a candidate wins, waits or has no session", (uint64_t)-rc, 0);
        if (turn % 3) (void)coord_suite_session(&k->s, QD_COORD_SESSION_CLOSE, &id, 0);
    }
}

/* --- sessions --- */

/* Renews a session some times and then no more: it ends, and never before its time. */
static void keep(client *k)
{
    crowd *w = k->w;
    char key[] = "crowd/s0", buf[16];
    key[7] = (char)('0' + k->i);
    for (int turn = 1; goes_on(w); turn++) {
        uint64_t id = 0;
        qd_coord_kv kv;
        int64_t ttl = SECONDS(1) / 2 + SECONDS(k->i), until = coord_suite_now() + ttl;
        int32_t rc = coord_suite_session(&k->s, QD_COORD_SESSION_OPEN, &id, ttl);
        if (rc == 0) rc = coord_suite_put(&k->s, key, S("x"), id, NULL);
        for (int i = 0; rc == 0 && i < turn * 5 && goes_on(w); i++) {
            int64_t sent = coord_suite_now();
            rc = coord_suite_once(&k->s, QD_COORD_SESSION_KEEP, id);
            if (rc == 0) until = sent + ttl;
            if (coord_suite_passing(rc)) rc = 0;
            coord_suite_pause();
        }
        while (rc == 0 && goes_on(w)) {
            rc = coord_suite_get(&k->s, key, &kv, buf, sizeof buf);
            coord_suite_pause();
        }
        int64_t now = coord_suite_now();
        if (rc == QD_E_SESSION_EXPIRED || rc == QD_E_NOTFOUND) {
            if (now < until)
                broken(w, "no session ends before its time", (uint64_t)(until - now), id);
        } else if (rc) {
            broken(w, "a session lives or has expired", (uint64_t)-rc, id);
        } else {
            (void)coord_suite_session(&k->s, QD_COORD_SESSION_CLOSE, &id, 0);
        }
    }
}

/* --- the watch --- */

static void one_event(crowd *w, const qd_coord_event *e)
{
    if (e->type != QD_COORD_PUT) return;
    if (is_key(e->kv.key, "crowd/n")) {
        uint64_t n = number_of(&e->kv);
        if (n != w->number + 1 && !w->wrong)
            w->wrong = "a watch has no gap and repeats nothing", w->a = (long long)n,
            w->b = (long long)w->number;
        w->number = n;
    } else if (is_key(e->kv.key, "crowd/led")) {
        uint64_t v[2] = {0, 0};
        if (e->kv.value_len == sizeof v) memcpy(v, e->kv.value, sizeof v);
        if ((v[0] < w->epoch || (v[0] == w->epoch && v[1] < w->term)) && !w->wrong)
            w->wrong = "who was followed writes no more", w->a = (long long)v[1],
            w->b = (long long)w->term;
        w->epoch = v[0];
        w->term = v[1];
        w->led_seen++;
    }
}

static void on_events(void *arg, const qd_coord_event *events, uint32_t n, uint64_t revision,
                      int32_t rc)
{
    crowd *w = arg;
    pthread_mutex_lock(&w->m);
    if (rc) {
        w->ended = 1;
        w->ended_rc = rc;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint64_t mod = events[i].kv.mod_revision;
        if ((mod <= w->revision || mod > revision) && !w->wrong)
            w->wrong = "a watch tells revisions in order", w->a = (long long)mod,
            w->b = (long long)w->revision;
        one_event(w, &events[i]);
    }
    if (!rc) w->revision = revision;
    pthread_cond_broadcast(&w->wake);
    pthread_mutex_unlock(&w->m);
}

static void on_closed(void *arg)
{
    crowd *w = arg;
    pthread_mutex_lock(&w->m);
    w->closed = 1;
    pthread_cond_broadcast(&w->wake);
    pthread_mutex_unlock(&w->m);
}

/* Reads where things stand and watches from there on: at the start, and when history is gone. */
static int32_t watch_from_now(crowd *w, suite *s, qd_coord_watch **out)
{
    qd_coord_range r = {.key = S("crowd/"), .flags = QD_COORD_PREFIX};
    int32_t rc = coord_suite_range(s, &r);
    if (rc) return rc;
    pthread_mutex_lock(&w->m);
    w->ended = w->closed = 0;
    w->revision = r.revision;
    for (uint32_t i = 0; i < r.nkvs; i++)
        if (is_key(r.kvs[i].key, "crowd/n")) w->number = number_of(&r.kvs[i]);
    pthread_mutex_unlock(&w->m);
    qd_coord_watch_config config = {.struct_size = sizeof config,
                                    .flags = QD_COORD_PREFIX,
                                    .key = S("crowd/"),
                                    .from = r.revision + 1,
                                    .events = on_events,
                                    .arg = w};
    s->vt->result_free(s->co, r.result);
    return s->vt->watch(s->co, &config, out, NULL);
}

static void end_watch(crowd *w, suite *s, qd_coord_watch *watch)
{
    s->vt->watch_close(watch, on_closed, w);
    pthread_mutex_lock(&w->m);
    while (!w->closed) pthread_cond_wait(&w->wake, &w->m);
    pthread_mutex_unlock(&w->m);
}

/* --- all of it --- */

/* Looks after the watch and at what the store says of itself, until it is enough. */
static void look_on(crowd *w, suite *s, qd_coord_watch **watch)
{
    uint64_t revision = 0, epoch = 0;
    int64_t until = coord_suite_now() + SECONDS(w->c->seconds);
    int64_t last = until + SECONDS(120);
    for (int enough = 0; !enough && coord_suite_now() < last; coord_suite_pause()) {
        qd_coord_identity id = {.struct_size = sizeof id};
        s->vt->identity(s->co, &id);
        if (id.revision < revision) broken(w, "the revision never falls", id.revision, revision);
        if (id.epoch < epoch) broken(w, "the epoch never falls", id.epoch, epoch);
        revision = id.revision;
        epoch = id.epoch;
        pthread_mutex_lock(&w->m);
        int ended = w->ended, gone = ended && w->ended_rc == QD_E_COMPACTED;
        enough = w->stop || (w->counted >= ENOUGH && coord_suite_now() >= until);
        pthread_mutex_unlock(&w->m);
        if (!ended) continue;
        end_watch(w, s, *watch);
        w->gaps++;
        *watch = NULL;
        if (!gone || watch_from_now(w, s, watch)) {
            broken(w, "a watch ends by COMPACTED alone", (uint64_t)-w->ended_rc, 0);
            return;
        }
    }
}

/* All have ended: what was acknowledged is there, no more and no less, and the watch tells it. */
static void settle(crowd *w, client *k, qd_coord_watch *watch)
{
    numbers n;
    if (!read_numbers(k, &n)) return;
    if (n.all != w->counted) broken(w, "each change is made once", n.all, w->counted);
    for (int i = 0; i < ADDERS; i++)
        if (n.own[i] != w->own[i])
            broken(w, "each client's changes are there", n.own[i], w->own[i]);
    if (w->counted < ENOUGH) broken(w, "changes are made", w->counted, ENOUGH);
    int64_t until = coord_suite_now() + SECONDS(60);
    for (int told = 0; watch && !told; coord_suite_pause()) {
        pthread_mutex_lock(&w->m);
        told = (w->number >= n.all && (w->gaps || w->led_seen >= w->led)) || w->ended || w->wrong;
        pthread_mutex_unlock(&w->m);
        if (told) break;
        if (coord_suite_now() > until) {
            broken(w, "a watch tells all", w->number, n.all);
            break;
        }
    }
}

void coord_suite_crowd(suite *s)
{
    crowd w = {.c = s->c, .m = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};
    client k[CLIENTS];
    qd_coord_watch *watch = NULL;
    CHECK_EQ(s->c, watch_from_now(&w, s, &watch), 0);
    int started = 0;
    for (int i = 0; i < CLIENTS; i++) {
        k[i] = (client){.w = &w, .i = i, .run = add, .s = *s};
        k[i].s.err = NULL;
        if (i >= ADDERS) k[i].i = i - ADDERS, k[i].run = lead;
        if (i >= ADDERS + LEADERS) k[i].i = i - ADDERS - LEADERS, k[i].run = keep;
    }
    for (; started < CLIENTS; started++)
        if (pthread_create(&k[started].thread, NULL, run_client, &k[started])) break;
    look_on(&w, s, &watch);
    pthread_mutex_lock(&w.m);
    w.stop = 1;
    pthread_mutex_unlock(&w.m);
    for (int i = 0; i < started; i++) pthread_join(k[i].thread, NULL);
    if (started == CLIENTS) settle(&w, &k[0], watch);
    if (watch) end_watch(&w, s, watch);
    CHECK_EQ(s->c, started, CLIENTS);
    if (w.wrong) conform_fail(s->c, __LINE__, w.wrong, w.a, w.b);
}
