/*
 * node_migrate.c: control nodes with both stores open, as quidditchd has them: coordination-raft
 * and coordination-k8s behind one front (cluster/authority/stores.h), each with a driver. An
 * operator moves the cluster's state to the other store while clients work and nodes lose their
 * power, gives some moves up, and moves it back.
 */
#include "base/str.h"
#include "cluster/authority/driver.h"
#include "cluster/authority/stores.h"
#include "node_int.h"

#define ROUND_MS 100 /* between two comparisons */
#define LOOK_MS 50
#define MOVE_MS 8000 /* then it is asked for anew */

static const char *const names[] = {"master", "k8s-native"};

static coord_kind other_of(coord_kind kind)
{
    return kind == COORD_RAFT ? COORD_K8S : COORD_RAFT;
}

coord_kind migrate_first(const proc *p)
{
    qd_authority_record known;
    if (!p->w->both) return p->w->kind;
    qd_authority_get(p->authority, &known);
    return known.store == QD_STORE_MASTERS      ? COORD_RAFT
           : known.store == QD_STORE_KUBERNETES ? COORD_K8S
                                                : p->w->kind;
}

coord_kind migrate_kind(const proc *p)
{
    int i = p->stores ? qd_stores_current(p->stores) : 0;
    return i ? other_of(p->first) : p->first;
}

/* The store in front of both, which are open. */
int migrate_open(proc *p, qd_err *err)
{
    qd_authority_record known;
    qd_authority_get(p->authority, &known);
    qd_stores_config c = {.env = p->env,
                          .store = {p->both[0], p->both[1]},
                          .name = {names[p->first == COORD_K8S], names[p->first == COORD_RAFT]},
                          .uuid = known.uuid};
    int rc = qd_stores_open(&c, &p->stores, err);
    if (!rc) p->store = qd_stores_front(p->stores);
    return rc;
}

static qd_store_kind kind_now(void *arg)
{
    return migrate_kind(arg) == COORD_RAFT ? QD_STORE_MASTERS : QD_STORE_KUBERNETES;
}

void migrate_serve(proc *p)
{
    if (p->stores) qd_remote_server_kind(p->server, kind_now, p);
}

static bool drives(void *arg)
{
    proc *p = arg;
    qd_state *s = qd_cluster_state(p->a.cluster);
    bool mine = qd_str_is(qd_driver_of(s), p->id);
    qd_state_unref(s);
    return mine;
}

int migrate_drive(proc *p, qd_err *err)
{
    if (!p->stores) return 0;
    qd_driver_config c = {.env = p->env,
                          .store = {p->both[0], p->both[1]},
                          .front = p->store,
                          .name = {names[p->first == COORD_K8S], names[p->first == COORD_RAFT]},
                          .leads = drives,
                          .failed = proc_store_failed,
                          .arg = p,
                          .round_ms = ROUND_MS};
    return qd_driver_open(&c, &p->driver, err);
}

void migrate_undrive(proc *p)
{
    qd_driver_close(p->driver);
    p->driver = p->a.driver = NULL;
}

void migrate_close(proc *p)
{
    qd_stores *s = p->stores;
    p->stores = NULL;
    p->store = NULL;
    qd_stores_close(s);
    for (int i = 0; i < 2; i++) {
        qd_coord_close(p->both[i]);
        p->both[i] = NULL;
    }
}

/* --- where the state is ----------------------------------------------------------------------- */

/* All control nodes that are there say so. */
static bool all_at(const world *w, coord_kind kind)
{
    uint32_t n = 0;
    for (int i = 0; i < MACHINES; i++) {
        const proc *p = w->m[i].now;
        if (!proc_takes_part(p) || !p->control) continue;
        if (migrate_kind(p) != kind) return false;
        n++;
    }
    return n > 0;
}

bool migrate_agree(const world *w)
{
    return !w->both || all_at(w, COORD_RAFT) || all_at(w, COORD_K8S);
}

void migrate_check(world *w)
{
    if (!migrate_agree(w)) fail(w, "control nodes do not agree on the store that is in charge");
}

/* --- an operator ------------------------------------------------------------------------------ */

typedef enum wish { START, ABORT, FINISH } wish;

/* A call on a control node, on a thread of its own. */
typedef struct wished {
    proc *p;
    wish what;
    const char *to;
    bool done;
    int rc;
    char text[200];
} wished;

static void wish_run(void *arg)
{
    wished *x = arg;
    qd_err err;
    qd_err_init(&err);
    qd_handover *h = qd_driver_handover(x->p->driver);
    x->rc = x->what == START   ? qd_driver_start_to(x->p->driver, qd_str_c(x->to), &err)
            : x->what == ABORT ? qd_handover_abort(h, &err)
                               : qd_handover_finish(h, &err);
    snprintf(x->text, sizeof x->text, "%s", x->rc ? qd_err_reason(&err) : "");
    qd_err_fini(&err);
    x->done = true;
}

static int ask_for(world *w, wish what, coord_kind to)
{
    static const char *const words[] = {"start", "abort", "finish"};
    int id = (w->apart ? NODES : 0) + (int)rnd(w, NODES);
    proc *p = w->m[id].now;
    qd_thread *t;
    if (!proc_takes_part(p) || !p->driver || (p->data && !p->open)) return QD_E_CLOSED;
    wished *x = calloc(1, sizeof *x);
    if (!x) abort();
    *x = (wished){.p = p, .what = what, .to = names[to == COORD_K8S]};
    p->calls++;
    if (qd_thread_start(p->env, "qd-migrate", wish_run, x, &t, NULL)) abort();
    while (!x->done) qd_env_sleep_ns(w->env, ms(5));
    qd_thread_join(p->env, t);
    int rc = x->rc;
    trace(w, "migration: %s to %s at %s: %d %s", words[what], x->to, node_name(id), rc, x->text);
    p->calls--;
    free(x);
    return rc;
}

static bool goes_on(const world *w)
{
    return !w->quiet && !w->failed && !w->clients_end;
}

/* Does a control node see a store sealed, and none in charge? */
static bool sealed(const world *w)
{
    for (int i = 0; i < MACHINES; i++) {
        const proc *p = w->m[i].now;
        bool some = false, active = false;
        if (!proc_takes_part(p) || !p->driver) continue;
        for (int k = 0; k < 2; k++) {
            qd_coord_identity id;
            qd_coord_identity_get(p->both[k], &id);
            some |= id.state == QD_COORD_SEALED;
            active |= id.state == QD_COORD_ACTIVE;
        }
        if (some && !active) return true;
    }
    return false;
}

/* Between fibers. */
static void end_all(void *arg)
{
    world *w = arg;
    bool power = chance(w, 0.5);
    if (w->quiet || w->failed) return;
    trace(w, "all control nodes end while no store is in charge");
    for (int i = 0; i < MACHINES; i++) {
        machine *m = &w->m[i];
        if (!m->control || !m->now || m->before) continue;
        if (m->data) {
            w->r->kills += !power;
            w->r->power_losses += power;
        }
        disturb(w, now_ns(w) + ms(4000));
        proc_kill(w, i, power);
        m->start_at = now_ns(w) + ms(rnd(w, 800)) + 1;
    }
}

/* Until the state is there, or not for so long; *strikes: once a store is sealed all who could go
 * on end. */
static void wait_for(world *w, coord_kind to, uint64_t for_ms, bool *strikes)
{
    uint64_t until = now_ns(w) + ms(for_ms);
    while (now_ns(w) < until && goes_on(w) && !all_at(w, to)) {
        if (*strikes && sealed(w)) {
            *strikes = false;
            if (qd_sim_after(w->sim, 1, end_all, w)) abort();
        }
        qd_env_sleep_ns(w->env, *strikes ? us(500) : ms(LOOK_MS));
    }
}

/* Asks until it is there; now and then it is given up first. */
static bool move_to(world *w, coord_kind to)
{
    bool gives_up = chance(w, 0.6), strikes = chance(w, 0.3);
    uint64_t up_ms = rnd(w, 600);
    w->migrating = true;
    while (goes_on(w) && !all_at(w, to)) {
        int rc = ask_for(w, START, to);
        if (!rc && gives_up) {
            gives_up = false;
            qd_env_sleep_ns(w->env, ms(up_ms));
            w->r->migration_aborts += ask_for(w, ABORT, to) == 0;
            qd_env_sleep_ns(w->env, ms(rnd(w, 500)));
            continue;
        }
        wait_for(w, to, rc ? 200 : MOVE_MS, &strikes);
    }
    w->migrating = false;
    if (!all_at(w, to)) return false;
    trace(w, "migration: the state is in %s", names[to == COORD_K8S]);
    w->r->migrations++;
    return true;
}

void migrate_run(void *arg)
{
    world *w = arg;
    coord_kind to = other_of(w->kind);
    uint64_t wait = rnd(w, 1500);
    qd_env_sleep_ns(w->env, ms(wait));
    bool there = move_to(w, to);
    qd_env_sleep_ns(w->env, ms(rnd(w, 500)));
    if (there && chance(w, 0.7)) (void)ask_for(w, FINISH, to);
    if (there && move_to(w, w->kind)) w->r->migrated_back++;
    w->clients--;
}

/* --- a schedule ------------------------------------------------------------------------------- */

bool migrate_begin(world *w, bool asked)
{
    bool both = chance(w, 0.28);
    w->both = w->kind != COORD_IN_MEMORY && (both || asked);
    w->r->both += w->both;
    return w->both;
}

/* The power of some nodes goes while the state moves. */
void migrate_fault(world *w)
{
    if (!w->migrating || !chance(w, 0.35)) return;
    for (int i = 0; i < MACHINES; i++) {
        machine *m = &w->m[i];
        if (!m->control || !m->now || m->before || chance(w, 0.4)) continue;
        if (m->data) w->r->power_losses++;
        disturb(w, now_ns(w) + ms(4000));
        proc_kill(w, i, true);
        m->start_at = now_ns(w) + ms(rnd(w, 800)) + 1;
    }
}
