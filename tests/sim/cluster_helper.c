/* cluster_helper.c: what operators and clients do to the cluster, on threads of a node's process.
 */
#include "base/str.h"
#include "cluster/allocation/reroute.h"
#include "cluster/masters.h"
#include "cluster/permits.h"
#include "cluster_int.h"
#include "config/settings.h"
#include "mapping/mapping.h"

typedef struct helper {
    proc *p;
    void (*fn)(proc *p, int a, int b);
    int a, b;
} helper;

static void run(void *arg)
{
    helper h = *(helper *)arg;
    free(arg);
    if (h.p->cluster) h.fn(h.p, h.a, h.b);
    h.p->helpers--;
}

bool cluster_help(proc *p, void (*fn)(proc *p, int a, int b), int a, int b)
{
    qd_thread *t;
    if (!proc_follows(p)) return false;
    proc_tidy(p);
    if (p->nleft + 1 >= QD_COUNT_OF(p->left)) return false;
    helper *h = malloc(sizeof *h);
    if (!h) abort();
    *h = (helper){p, fn, a, b};
    p->helpers++;
    if (qd_thread_start(p->env, "helper", run, h, &t, NULL)) abort();
    proc_leaves(p, t);
    return true;
}

/* --- the index -------------------------------------------------------------------------------- */

static void create(proc *p, int a, int b)
{
    cluster *x = p->x;
    qd_settings *s;
    qd_err err;
    char replicas[8], delay[16];
    world *w = cluster_enter();
    (void)a;
    (void)b;
    snprintf(replicas, sizeof replicas, "%u", x->replicas);
    snprintf(delay, sizeof delay, "%llums", (unsigned long long)(rnd(w, 3) * 700));
    qd_err_init(&err);
    if (qd_settings_new(NULL, &s, &err)) abort();
    int rc = qd_settings_put(s, QD_STR("index.number_of_shards"), QD_STR("1"), &err);
    if (!rc) rc = qd_settings_put(s, QD_STR("index.number_of_replicas"), qd_str_c(replicas), &err);
    if (!rc) {
        rc = qd_settings_put(s, QD_STR("index.unassigned.node_left.delayed_timeout"),
                             qd_str_c(delay), &err);
    }
    if (!rc) rc = qd_settings_seal(s, &err);
    if (!rc) {
        rc = qd_cluster_create_index(p->cluster, QD_STR(INDEX_NAME), s, QD_STR(""), NULL, 0, NULL,
                                     &err);
    }
    if (rc) trace(cluster_enter(), "creation of the index: %s", qd_err_reason(&err));
    qd_err_fini(&err);
    qd_settings_unref(s);
    x->creating = false;
}

void cluster_create(cluster *x, proc *p)
{
    if (!x->creating) x->creating = cluster_help(p, create, 0, 0);
}

/* --- copies ----------------------------------------------------------------------------------- */

static void reroute(proc *p, int from, int to)
{
    qd_arena arena;
    qd_err err;
    qd_alloc_command move = {.order = QD_ALLOC_MOVE,
                             .index = QD_STR(INDEX_NAME),
                             .node = qd_str_c(from < 0 ? "" : node_name(from)),
                             .to = qd_str_c(to < 0 ? "" : node_name(to))};
    qd_reroute r = {.commands = &move,
                    .n = from >= 0,
                    .retry_failed = from < 0,
                    .facts = {.now_ms = qd_env_wall_ms(p->env)}};
    qd_arena_init(&arena, NULL, (size_t)1 << 24);
    qd_err_init(&err);
    int rc = qd_cluster_reroute_run(p->cluster, &r, &arena, NULL, &err);
    trace(cluster_enter(), "reroute of %d to %d: %s", from, to, rc ? qd_err_reason(&err) : "done");
    qd_err_fini(&err);
    qd_arena_fini(&arena);
}

void cluster_move(cluster *x, int from, int to)
{
    (void)cluster_help(x->m[rnd(x->w, NODES)].now, reroute, from, to);
}

void cluster_retry_failed(cluster *x)
{
    (void)cluster_help(x->m[rnd(x->w, NODES)].now, reroute, -1, -1);
}

/* --- fields ----------------------------------------------------------------------------------- */

static const char *const field_types[2] = {"long", "boolean"};

static void put_field(proc *p, int field, int type)
{
    cluster *x = p->x;
    char update[100];
    qd_err err;
    qd_err_init(&err);
    snprintf(update, sizeof update, "{\"properties\":{\"race%d\":{\"type\":\"%s\"}}}", field,
             field_types[type]);
    int rc = qd_cluster_put_mapping(p->cluster, qd_str_c(x->uuid), qd_str_c(update), NULL, &err);
    trace(cluster_enter(), "field %d as %s: %s", field, field_types[type],
          rc ? qd_err_reason(&err) : "done");
    x->races[field].asked[type] = !rc ? 1 : rc == QD_E_ARG ? 2 : 3;
    qd_err_fini(&err);
}

void cluster_field(cluster *x, int id, int field, int type)
{
    (void)cluster_help(x->m[id].now, put_field, field, type);
}

static int type_seen(cluster *x, int id, qd_str name)
{
    int type = -1;
    if (!proc_follows(x->m[id].now)) return -1;
    qd_state *s = qd_cluster_state(x->m[id].now->cluster);
    const qd_index_meta *m = qd_state_index(s, QD_STR(INDEX_NAME));
    const qd_field *f = m ? qd_mapping_field(m->mapping, name) : NULL;
    if (f) type = f->value_class == QD_VALUE_I64 ? 0 : 1;
    qd_state_unref(s);
    return type;
}

int cluster_field_type(cluster *x, int field)
{
    char name[16];
    snprintf(name, sizeof name, "race%d", field);
    int type = type_seen(x, 0, qd_str_c(name));
    for (int i = 1; i < NODES; i++) {
        if (type_seen(x, i, qd_str_c(name)) != type) return -1;
    }
    return type;
}

/* --- upgrades --------------------------------------------------------------------------------- */

static void finalize(proc *p, int a, int b)
{
    uint32_t level = 0;
    qd_err err;
    (void)a;
    (void)b;
    qd_err_init(&err);
    int rc = qd_cluster_finalize_upgrade(p->cluster, &level, &err);
    trace(cluster_enter(), "n%d finalizes the upgrade, level %u: %s", p->node, level,
          rc ? qd_err_reason(&err) : "done");
    qd_err_fini(&err);
}

void cluster_finalize(cluster *x, int id)
{
    (void)cluster_help(x->m[id].now, finalize, 0, 0);
}

/* --- permits ---------------------------------------------------------------------------------- */

static void take_permit(proc *p, int id, int b)
{
    qd_permit wanted = {.node = qd_str_c(node_name(id)),
                        .holder = qd_str_c(node_name(id)),
                        .expires_ms = qd_env_wall_ms(p->env) + 3600000};
    qd_err err;
    (void)b;
    qd_err_init(&err);
    int rc = qd_cluster_permit_take(p->cluster, &wanted, NULL, 0, NULL, &err);
    trace(cluster_enter(), "permit to stop n%d: %s", id, rc ? qd_err_reason(&err) : "given");
    if (!rc) p->x->permitted[id] = true;
    qd_err_fini(&err);
}

void cluster_permit(cluster *x, int by, int id)
{
    (void)cluster_help(x->m[by].now, take_permit, id, 0);
}

/* --- members ---------------------------------------------------------------------------------- */

static void exclude(proc *p, int id, int not )
{
    qd_err err;
    qd_err_init(&err);
    int rc =
        qd_masters_change(p->cluster, not ? QD_COORD_MEMBERS_EXCLUDE : QD_COORD_MEMBERS_INCLUDE,
                          qd_str_c(node_name(id)), 3000, &err);
    trace(cluster_enter(), "master n%d %s: %s", id, not ? "shall not vote" : "may vote",
          rc ? qd_err_reason(&err) : "done");
    p->x->r->members += rc == 0;
    p->x->excluded[id] = not ? true : p->x->excluded[id] && rc != 0;
    qd_err_fini(&err);
}

void cluster_members(cluster *x, int id, bool not )
{
    for (int i = 0; i < NODES; i++) {
        if (cluster_help(x->m[(i + id) % NODES].now, exclude, id, not )) return;
    }
}

/* --- a register ------------------------------------------------------------------------------- */

/*
 * Clients of the store: a linearizable read, then a compare-and-set on what was read. What a read
 * shows is not older than what any of them had been told before it began; of two changes that were
 * made on the same revision at most one is told as done; a change that is told as refused is not
 * there.
 */
#define REGISTER QD_STR("sim/register")

/* Values that leave the state and come back: objects of their own, where values are written as
 * such; and entries that are objects, too. */
#ifdef CLUSTER_K8S
#define LARGE QD_STR("sim/large")
#define LARGE_MAX 6000

static qd_str large(cluster *x, char text[LARGE_MAX])
{
    uint64_t which = rnd(x->w, 3), random = which + 1;
    for (size_t i = 0; i < LARGE_MAX; i++) {
        random = random * 6364136223846793005ull + 1442695040888963407ull;
        text[i] = (char)(random >> 56);
    }
    return (qd_str){text, which ? 2000 : LARGE_MAX};
}
#endif

static uint64_t value_of(const qd_coord_list *l)
{
    uint64_t v = 0;
    if (l->n && l->at[0].value_len == 8) memcpy(&v, l->at[0].value, 8);
    return v;
}

static void bump(proc *p, int a, int b)
{
    cluster *x = p->x;
    qd_arena arena;
    qd_coord_list l;
    uint64_t floor = x->register_told;
    (void)a;
    (void)b;
    qd_arena_init(&arena, NULL, 1 << 16);
    int rc = qd_coord_read(p->store, REGISTER, false, 2000, &arena, &l, NULL);
    if (!rc) {
        uint64_t seen = l.n ? l.at[0].mod_revision : 0;
        x->r->register_reads++;
        if (seen < floor && !p->dying && !x->restored) {
            fail(cluster_enter(), "n%d reads revision %llu of the register, %llu was told before",
                 p->node, (unsigned long long)seen, (unsigned long long)floor);
        }
        if (seen > x->register_told) x->register_told = seen;
        uint64_t mine = ++x->register_values, revision = 0;
        qd_coord_compare c = {
            .key = REGISTER, .type = seen ? QD_COORD_CMP_MOD : QD_COORD_CMP_EXISTS, .number = seen};
        qd_coord_change put[2] = {
            {.type = QD_COORD_PUT, .key = REGISTER, .value = {(const char *)&mine, 8}}};
        size_t n = 1;
#ifdef CLUSTER_K8S
        char text[LARGE_MAX];
        if (chance(x->w, 0.3))
            put[n++] =
                (qd_coord_change){.type = QD_COORD_PUT, .key = LARGE, .value = large(x, text)};
#endif
        rc = qd_coord_commit(p->store, &c, 1, put, n, 2000, &revision, NULL, NULL);
        trace(cluster_enter(), "n%d change %llu of the register on %llu: %s %llu", p->node,
              (unsigned long long)mine, (unsigned long long)seen, qd_code_name(rc),
              (unsigned long long)revision);
        if (mine < REGISTER_MAX) {
            x->register_of[mine] = (told){seen, revision, rc, value_of(&l), true};
        }
        if (!rc && revision > x->register_told) x->register_told = revision;
    }
    qd_arena_fini(&arena);
    p->bumping = false;
}

void cluster_bump(cluster *x)
{
    proc *p = x->m[rnd(x->w, NODES)].now;
    if (p && !p->bumping && !x->restored) p->bumping = cluster_help(p, bump, 0, 0);
}

#ifdef CLUSTER_K8S
static void put_large(proc *p, int a, int b)
{
    char text[LARGE_MAX];
    (void)a;
    (void)b;
    qd_str value = large(p->x, text);
    value.n = LARGE_MAX;
    qd_coord_change put = {.type = QD_COORD_PUT, .key = LARGE, .value = value};
    int rc = qd_coord_commit(p->store, NULL, 0, &put, 1, 2000, NULL, NULL, NULL);
    trace(cluster_enter(), "n%d changes a large value: %s", p->node, qd_code_name(rc));
}

void cluster_large(cluster *x, int id)
{
    (void)cluster_help(x->m[id].now, put_large, 0, 0);
}
#endif
