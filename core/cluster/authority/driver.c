/* driver.c: the thread that takes the turns. See driver.h. */
#include "cluster/authority/driver.h"
#include "base/arena.h"
#include "base/log.h"
#include "base/str.h"
#include "runtime/sync.h"
#include <stdio.h>

#define LOG "coordination"
#define PREFIX "migration/"
#define WISH PREFIX "wish" /* of settings: the last one that was followed, or overruled */
#define WISH_MS 5000
#define TAKE_MS 500                   /* and as much again by chance, so that one comes first */
#define STOP_MS 300                   /* what is under way when it ends may take so long */
#define IDLE_NS UINT64_C(5000000000)  /* looks without a word of a plan */
#define ASIDE_NS UINT64_C(100000000)  /* while another node drives */
#define FAILED_NS UINT64_C(200000000) /* after a store did not answer */
#define SAY_NS UINT64_C(10000000000)

struct qd_driver {
    qd_driver_config config;
    qd_handover *h;
    qd_coord_watch *watch;
    qd_thread *thread;
    qd_mutex lock;
    bool stop, watched;
    _Atomic bool drives, joined;
    bool told;          /* the thread's: that a store has failed */
    const char *wished; /* the thread's: the wish that is written already */
    /* the thread's: since when a store is seen sealed and nothing goes on (0: none is), for how
     * long that is another one's, and how far the stores were */
    uint64_t sealed_ns, take_ns, seen[2], said_ns;
};

static void on_plan(void *arg, const qd_coord_event *events, uint32_t n, uint64_t revision,
                    int32_t rc)
{
    qd_driver *d = arg;
    (void)events;
    (void)revision;
    if (rc) {
        qd_mutex_lock(&d->lock);
        d->watched = false; /* begun again by the thread */
        qd_mutex_unlock(&d->lock);
    }
    if (n || rc) qd_handover_kick(d->h);
}

static void watch_again(qd_driver *d)
{
    qd_mutex_lock(&d->lock);
    bool watched = d->watched;
    d->watched = true;
    qd_mutex_unlock(&d->lock);
    if (watched) return;
    qd_coord_watch_end(d->config.front, d->watch);
    d->watch = NULL;
    if (!qd_coord_watch_open(d->config.front, QD_STR(PREFIX), 0, on_plan, d, &d->watch, NULL))
        return;
    qd_mutex_lock(&d->lock);
    d->watched = false;
    qd_mutex_unlock(&d->lock);
}

/* Has a store been sealed for longer than its driver should need? While the copy grows it works. */
static bool left_sealed(qd_driver *d)
{
    bool sealed = false, active = false, moved = false;
    uint64_t take_ns = (uint64_t)d->config.take_ms * 1000000u, chance;
    for (int i = 0; i < 2; i++) {
        qd_coord_identity id;
        qd_coord_identity_get(d->config.store[i], &id);
        sealed |= id.state == QD_COORD_SEALED;
        active |= id.state == QD_COORD_ACTIVE;
        moved |= id.revision != d->seen[i];
        d->seen[i] = id.revision;
    }
    uint64_t now = qd_env_mono_ns(d->config.env);
    if (!sealed || active) {
        d->sealed_ns = 0;
    } else if (!d->sealed_ns || (moved && !atomic_load(&d->drives))) {
        qd_env_random(d->config.env, &chance, sizeof chance);
        d->sealed_ns = now;
        d->take_ns = take_ns + chance % (take_ns + 1);
    }
    return d->sealed_ns && now > d->sealed_ns + d->take_ns;
}

/* One turn; for how long there is nothing to do. */
static uint64_t turn(qd_driver *d, bool *failed)
{
    uint64_t again;
    qd_err err;
    qd_err_init(&err);
    int rc = qd_handover_turn(d->h, &again, &err);
    uint64_t now = qd_env_mono_ns(d->config.env);
    if (rc && (!d->said_ns || now > d->said_ns + SAY_NS)) {
        d->said_ns = now;
        qd_log_warn(LOG, "migration: %s", qd_err_reason(&err));
    }
    if (!rc) d->said_ns = 0;
    qd_err_fini(&err);
    *failed = rc != 0;
    return again == UINT64_MAX ? IDLE_NS : again;
}

/* --- what settings ask for ------------------------------------------------------------------- */

static const char *wish(const qd_driver *d)
{
    return d->config.wish ? d->config.wish(d->config.arg) : NULL;
}

/* Is this wish the one that is written? *was: for the write of another one. */
static int read_wish(qd_driver *d, const char *to, bool *same, qd_coord_compare *was, qd_err *err)
{
    qd_arena a;
    qd_coord_list list = {.n = 0};
    *was = (qd_coord_compare){.key = QD_STR(WISH), .type = QD_COORD_CMP_EXISTS};
    qd_arena_init(&a, NULL, 1 << 16);
    int rc = qd_coord_read(d->config.front, was->key, false, WISH_MS, &a, &list, err);
    *same = !rc && list.n &&
            qd_str_is((qd_str){(const char *)list.at[0].value, list.at[0].value_len}, to);
    if (!rc && list.n) {
        was->type = QD_COORD_CMP_MOD;
        was->number = list.at[0].mod_revision;
    }
    qd_arena_fini(&a);
    return rc;
}

static int write_wish(qd_driver *d, const char *to, const qd_coord_compare *was, qd_err *err)
{
    qd_coord_change change = {.type = QD_COORD_PUT, .key = was->key, .value = qd_str_c(to)};
    return qd_coord_commit(d->config.front, was, 1, &change, 1, WISH_MS, NULL, NULL, err);
}

/* What all ask for by their settings is begun, once: who gives it up, or moves the state elsewhere
 * by a word, is not overruled, whichever node drives then. */
static void follow_wish(qd_driver *d)
{
    bool same;
    qd_err err;
    qd_coord_compare was;
    const char *to = wish(d);
    if (!to || to == d->wished) {
        d->wished = to;
        return;
    }
    qd_err_init(&err);
    int rc = read_wish(d, to, &same, &was, &err);
    if (!rc && !same) {
        rc = qd_handover_start(d->h, qd_str_c(to), &err);
        if (!rc)
            qd_log_info(LOG, "all coordination nodes ask for [%s]: the cluster's state moves there",
                        to);
        if (rc == QD_E_ARG) qd_err_fini(&err); /* it is in charge already */
        if (!rc || rc == QD_E_ARG) rc = write_wish(d, to, &was, &err);
    }
    if (!rc) d->wished = to;
    qd_err_fini(&err);
}

int qd_driver_start_to(qd_driver *d, qd_str to, qd_err *err)
{
    bool same;
    qd_coord_compare was;
    const char *settings = wish(d);
    int rc = 0;
    if (settings && !qd_str_is(to, settings)) {
        rc = read_wish(d, settings, &same, &was, err);
        if (!rc && !same) rc = write_wish(d, settings, &was, err);
    }
    return rc ? rc : qd_handover_start(d->h, to, err);
}

static bool stopped(qd_driver *d)
{
    qd_mutex_lock(&d->lock);
    bool stop = d->stop;
    qd_mutex_unlock(&d->lock);
    return stop;
}

/* Nothing but a migration uses a store that is not in charge, so nobody else notices its failure.
 */
static void tell_failed(qd_driver *d)
{
    char why[160];
    if (!d->config.failed || d->told) return;
    for (int i = 0; i < 2 && !d->told; i++) {
        d->told = qd_coord_failed(d->config.store[i]);
        if (!d->told) continue;
        snprintf(why, sizeof why, "the store [%s] of this node has failed", d->config.name[i]);
        d->config.failed(d->config.arg, why);
    }
}

static void run(void *arg)
{
    qd_driver *d = arg;
    while (!stopped(d)) {
        bool joined = atomic_load(&d->joined);
        bool sealed = left_sealed(d), drives = (joined && d->config.leads(d->config.arg)) || sealed;
        if (joined || drives) watch_again(d);
        tell_failed(d);
        atomic_store(&d->drives, drives);
        bool failed = false;
        if (!drives) qd_handover_aside(d->h);
        if (!drives) d->wished = NULL; /* another node may follow another one */
        if (drives && joined) follow_wish(d);
        uint64_t wait = drives ? turn(d, &failed) : ASIDE_NS;
        if (failed) {
            qd_env_sleep_ns(d->config.env, FAILED_NS);
        } else if (wait && !stopped(d)) {
            qd_handover_wait(d->h, wait);
        }
    }
}

int qd_driver_open(const qd_driver_config *config, qd_driver **out, qd_err *err)
{
    qd_driver *d = qd_calloc(NULL, sizeof *d);
    if (!d) return qd_err_nomem(err, "migration");
    d->config = *config;
    if (!d->config.take_ms) d->config.take_ms = TAKE_MS;
    qd_mutex_init(&d->lock);
    qd_handover_config h = {.env = config->env,
                            .store = {config->store[0], config->store[1]},
                            .name = {config->name[0], config->name[1]},
                            .round_ms = config->round_ms,
                            .keep = config->keep};
    int rc = qd_handover_open(&h, &d->h, err);
    if (!rc) rc = qd_thread_start(config->env, "migration", run, d, &d->thread, err);
    if (rc) {
        qd_driver_close(d);
        return rc;
    }
    *out = d;
    return 0;
}

void qd_driver_joined(qd_driver *d)
{
    if (d) atomic_store(&d->joined, true);
}

void qd_driver_close(qd_driver *d)
{
    if (!d) return;
    qd_mutex_lock(&d->lock);
    d->stop = true;
    qd_mutex_unlock(&d->lock);
    if (d->thread) {
        /* a step that is under way is taken up by another node's driver, where it fails here */
        for (int i = 0; i < 2; i++) qd_coord_hurry(d->config.store[i], STOP_MS);
        qd_handover_kick(d->h);
        qd_thread_join(d->config.env, d->thread);
        qd_coord_watch_end(d->config.front, d->watch);
    }
    qd_handover_close(d->h);
    qd_mutex_fini(&d->lock);
    qd_free(d);
}

qd_handover *qd_driver_handover(qd_driver *d)
{
    return d->h;
}

qd_str qd_driver_of(const qd_state *s)
{
    const qd_node_meta *master = s->master.n ? qd_state_node(s, s->master) : NULL;
    if (!master || master->stores == QD_NODE_STORES_BOTH) return s->master;
    for (uint32_t i = 0; i < s->nnodes; i++)
        if (s->nodes[i].stores == QD_NODE_STORES_BOTH) return s->nodes[i].id;
    return s->master;
}

bool qd_driver_drives(const qd_driver *d)
{
    return atomic_load(&d->drives);
}

int qd_driver_status(qd_driver *d, qd_handover_status *out, qd_err *err)
{
    qd_handover_status mine;
    bool drives = qd_driver_drives(d);
    qd_handover_status_get(d->h, &mine);
    if (drives && mine.step != QD_HANDOVER_NONE && mine.step != QD_HANDOVER_DONE) {
        *out = mine;
        return 0;
    }
    /* what is asked for or forgotten shows at once, not with the driver's next turn */
    int rc = qd_handover_see(d->h, out, err);
    if (!rc || !drives) return rc;
    *out = mine;
    snprintf(out->error, sizeof out->error, "%s", qd_err_reason(err));
    qd_err_fini(err);
    return 0;
}
