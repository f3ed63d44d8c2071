/*
 * cluster_t.c: two nodes over one store: what one changes the other sees; changes that meet are
 * tried again; names resolve as Elasticsearch's; routing equals Elasticsearch's.
 */
#include "base/str.h"
#include "cluster/authority/authority.h"
#include "cluster/copies.h"
#include "lib/coord_memory.h"
#include "mapping/mapping.h"
#include "mapping/vectors.h"
#include "plugin/host.h"
#include "runtime/sync.h"
#include "unit/lib/string_part.h"
#include "unit/unit.h"
#include <quidditch/plugin.h>

typedef struct node {
    qd_coord_store *store;
    qd_cluster *cluster;
} node;

/* A machine that can be suspended: time since boot jumps, the monotonic clock does not. */
static _Atomic uint64_t suspended_ns;
static qd_env machine;

static uint64_t machine_boot_ns(qd_env *env)
{
    (void)env;
    return qd_env_boot_ns(qd_env_system()) + atomic_load(&suspended_ns);
}

/* An applier that stands still. */
typedef struct gate {
    qd_mutex lock;
    qd_cond opened;
    bool shut;
} gate;

static void pass(void *arg, const qd_state *old, const qd_state *now)
{
    gate *g = arg;
    (void)old;
    (void)now;
    if (!g) return;
    qd_mutex_lock(&g->lock);
    while (g->shut) qd_cond_wait(&g->opened, &g->lock);
    qd_mutex_unlock(&g->lock);
}

static gate *next_gate;      /* of the nodes to be opened */
static qd_authority *folder; /* of the nodes to be opened; NULL: none is kept */
static int64_t session_ttl_ms = 30000;
static uint32_t features; /* of the nodes to be opened; 0: this build's */
static int64_t timeout_ms = 120000;
static qd_plugin_host *plugins; /* of the nodes to be opened */

static void store_open(node *n, qd_env *env, const char *store, const char *id)
{
    qd_coord_config c = {.struct_size = sizeof c,
                         .cluster = QD_STR("test"),
                         .node_id = qd_str_c(id),
                         .path = qd_str_c(store)};
    assert_int_equal(qd_coord_open(env, coord_memory_vtable(), NULL, &c, &n->store, NULL), 0);
}

static int join_try(node *n, const char *id, qd_err *err)
{
    qd_cluster_config k = {
        .env = &machine,
        .store = n->store,
        .name = QD_STR("test"),
        .self = {.id = qd_str_c(id),
                 .name = qd_str_c(id),
                 .host = QD_STR("h"),
                 .transport_address = QD_STR("t"),
                 .http_address = QD_STR("a"),
                 .roles = QD_STR("dm"),
                 .version = QD_STR("1"),
                 .features = features},
        .data = true,
        .control = true,
        .session_ttl_ms = session_ttl_ms,
        .timeout_ms = timeout_ms,
        .plugins = plugins,
        .listener = pass,
        .listener_arg = next_gate,
        .authority = folder,
    };
    return qd_cluster_open(&k, &n->cluster, err);
}

static int node_try(node *n, const char *store, const char *id, qd_err *err)
{
    store_open(n, qd_env_system(), store, id);
    return join_try(n, id, err);
}

static node node_open(const char *store, const char *id)
{
    node n;
    qd_err err;
    qd_err_init(&err);
    if (node_try(&n, store, id, &err)) fail_msg("%s", qd_err_reason(&err));
    return n;
}

static void node_close(node *n)
{
    qd_cluster_close(n->cluster);
    qd_coord_close(n->store);
}

static qd_settings *settings(const char *key, const char *value)
{
    qd_settings *s;
    assert_int_equal(qd_settings_new(NULL, &s, NULL), 0);
    if (key) assert_int_equal(qd_settings_put(s, qd_str_c(key), qd_str_c(value), NULL), 0);
    assert_int_equal(qd_settings_seal(s, NULL), 0);
    return s;
}

static int create(node *n, const char *name, qd_settings *s, const char *mapping, qd_err *err)
{
    return qd_cluster_create_index(n->cluster, qd_str_c(name), s, qd_str_c(mapping), NULL, 0, NULL,
                                   err);
}

/* A folder in memory. */
typedef struct disk {
    char text[4096];
    size_t n;
    bool off;
} disk;

static int disk_read(void *arg, qd_buf *out, qd_err *err)
{
    disk *d = arg;
    if (!d->n) return qd_err_set(err, QD_E_NOTFOUND, "no file");
    return qd_buf_add(out, d->text, d->n);
}

static int disk_write(void *arg, qd_str text, qd_err *err)
{
    disk *d = arg;
    if (d->off) return qd_err_set(err, QD_E_IO, "no disk");
    assert_true(text.n < sizeof d->text);
    memcpy(d->text, text.p, text.n);
    d->n = text.n;
    return 0;
}

static qd_authority *disk_open(disk *d)
{
    qd_authority *a;
    qd_authority_files f = {disk_read, disk_write, d};
    assert_int_equal(qd_authority_open(&f, &a, NULL), 0);
    return a;
}

/* May a node start on that folder? */
static bool starts_on(const disk *kept)
{
    disk d = *kept;
    node n;
    qd_err err;
    qd_err_init(&err);
    folder = disk_open(&d);
    int rc = node_try(&n, "marks", "a", &err);
    if (rc)
        qd_coord_close(n.store);
    else
        node_close(&n);
    qd_authority_close(folder);
    folder = NULL;
    if (rc) assert_non_null(strstr(qd_err_reason(&err), "is an old copy"));
    qd_err_fini(&err);
    return rc == 0;
}

/* The store of the masters as a control node shows it whose front is before the mirror. */
static _Atomic bool mirrored;
static void mirror_identity(qd_coord *c, qd_coord_identity *out)
{
    coord_memory_vtable()->identity(c, out);
    if (!atomic_load(&mirrored)) return;
    out->state = QD_COORD_MIRROR;
    out->epoch += 2;
}

/* A mirror's epoch lies above all that were used: a node that acts on a state of the store in
 * charge does not note it, or it would refuse that store ever after. */
static void the_epoch_of_a_mirror_is_nobodys(void **state)
{
    (void)state;
    disk d = {.off = false};
    node n;
    qd_err err;
    qd_err_init(&err);
    coord_memory *m = coord_memory_make(qd_env_system(), "mirrored");
    qd_coord_vtable vt = *coord_memory_vtable();
    qd_coord_config c = {.struct_size = sizeof c, .path = QD_STR("mirrored")};
    vt.identity = mirror_identity;
    folder = disk_open(&d);
    assert_int_equal(qd_coord_open(&machine, &vt, NULL, &c, &n.store, NULL), 0);
    atomic_store(&mirrored, true);
    assert_int_equal(join_try(&n, "a", &err), QD_E_NO_COORDINATION);
    assert_non_null(strstr(qd_err_reason(&err), "control epoch"));
    qd_err_fini(&err);
    atomic_store(&mirrored, false);
    assert_int_equal(join_try(&n, "a", &err), 0);
    qd_authority_record before, after;
    qd_authority_get(folder, &before);
    atomic_store(&mirrored, true);
    qd_settings *s = settings(NULL, NULL);
    assert_int_equal(create(&n, "x", s, "{}", &err), 0); /* acknowledged: it is acted on */
    qd_settings_unref(s);
    qd_authority_get(folder, &after);
    assert_true(after.revision > before.revision);
    assert_int_equal(after.epoch, before.epoch);
    atomic_store(&mirrored, false);
    node_close(&n);
    qd_authority_close(folder);
    folder = NULL;
    qd_err_fini(&err);
    coord_memory_free(m);
}

/* A machine on which time can be passed over. */
static uint64_t passed_ns;
static uint64_t later_ns(qd_env *env)
{
    (void)env;
    return qd_env_mono_ns(qd_env_system()) + passed_ns;
}

/* A node whose disk is full joins when there is room, over the same store: what is asked of that
 * one is waited for as before. */
static void an_open_that_failed_hurries_nobody(void **state)
{
    (void)state;
    disk d = {.off = true};
    node n;
    qd_err err;
    qd_arena a;
    qd_coord_list list;
    qd_env later = *qd_env_system();
    later.mono_ns = later_ns;
    qd_err_init(&err);
    qd_arena_init(&a, NULL, 1 << 20);
    coord_memory *m = coord_memory_make(qd_env_system(), "full");
    folder = disk_open(&d);
    store_open(&n, &later, "full", "a");
    assert_int_equal(join_try(&n, "a", &err), QD_E_IO);
    qd_err_fini(&err);
    d.off = false;
    assert_int_equal(join_try(&n, "a", &err), 0);
    passed_ns = 10000000000u;
    coord_memory_off(m, true, false);
    uint64_t asked = qd_env_mono_ns(qd_env_system());
    assert_int_equal(qd_coord_read(n.store, QD_STR("k"), false, 200, &a, &list, &err),
                     QD_E_NO_COORDINATION);
    assert_true(qd_env_mono_ns(qd_env_system()) - asked >= 100000000u); /* it was asked again */
    coord_memory_off(m, false, false);
    node_close(&n);
    qd_authority_close(folder);
    folder = NULL;
    qd_err_fini(&err);
    qd_arena_fini(&a);
    coord_memory_free(m);
}

/* A copy of the folder is old once what was written after it was marked, and never one that has
 * more than the cluster knows, whatever became of the marks between. */
static void what_was_written_is_marked(void **state)
{
    (void)state;
    coord_memory *m = coord_memory_make(qd_env_system(), "marks");
    disk d = {.n = 0};
    timeout_ms = 300;
    folder = disk_open(&d);
    node n = node_open("marks", "a");
    disk begun = d;
    assert_int_equal(qd_cluster_mark(n.cluster, false, NULL), 0);
    disk marked = d;
    assert_int_equal(qd_cluster_mark(n.cluster, false, NULL), 0);
    for (int i = 0; i < 12; i++) { /* more than the folder remembers */
        coord_memory_off(m, true, false);
        assert_int_not_equal(qd_cluster_mark(n.cluster, false, NULL), 0);
        coord_memory_off(m, false, false);
    }
    coord_memory_off(m, true, true); /* it is there, the answer is lost: found, or tried again */
    int rc = qd_cluster_mark(n.cluster, false, NULL);
    coord_memory_off(m, false, false);
    if (rc) assert_int_equal(qd_cluster_mark(n.cluster, false, NULL), 0);
    d.off = true; /* a disk that takes nothing: the cluster is told nothing */
    assert_int_not_equal(qd_cluster_mark(n.cluster, false, NULL), 0);
    d.off = false;
    disk newest = d;
    node_close(&n);
    qd_authority_close(folder);
    folder = NULL;
    assert_false(starts_on(&begun));
    assert_false(starts_on(&marked));
    assert_true(starts_on(&newest));
    timeout_ms = 120000;
    coord_memory_free(m);
}

static void nodes_see_each_others_changes(void **state)
{
    (void)state;
    qd_err err;
    coord_memory *m = coord_memory_make(qd_env_system(), "see");
    node a = node_open("see", "node-a"), b = node_open("see", "node-b");
    qd_settings *s = settings("index.number_of_shards", "3");
    qd_err_init(&err);
    assert_int_equal(create(&a, "logs", s, "{\"properties\":{\"x\":{\"type\":\"long\"}}}", &err),
                     0);
    qd_state *sa = qd_cluster_state(a.cluster);
    assert_int_equal(qd_cluster_wait(b.cluster, sa->revision, 120000, &err), 0);
    qd_state *sb = qd_cluster_state(b.cluster);
    const qd_index_meta *i = qd_state_index(sb, QD_STR("logs"));
    assert_non_null(i);
    assert_int_equal(i->shards, 3);
    assert_string_equal(sa->uuid, sb->uuid);
    assert_int_equal(sb->nnodes, 2);
    for (uint32_t k = 0; k < 3; k++)
        assert_int_equal(sb->shards[0][k].copies[0].state, QD_SHARD_INITIALIZING);
    assert_int_equal(qd_index_health(sb, i), QD_HEALTH_RED);
    qd_state_unref(sa);
    /* the same name again, from the other node */
    assert_int_equal(create(&b, "logs", s, "", &err), QD_E_INDEX_EXISTS);
    assert_non_null(strstr(qd_err_reason(&err), "index [logs/"));
    qd_err_fini(&err);
    /* a mapping update that changes nothing writes nothing */
    uint64_t before = sb->revision;
    assert_int_equal(qd_cluster_put_mapping(b.cluster, qd_str_c(i->uuid),
                                            QD_STR("{\"properties\":{\"x\":{\"type\":\"long\"}}}"),
                                            NULL, &err),
                     0);
    qd_state_unref(sb);
    sb = qd_cluster_state(b.cluster);
    assert_int_equal(sb->revision, before);
    i = qd_state_index(sb, QD_STR("logs"));
    assert_int_equal(qd_cluster_delete_indices(b.cluster, &i, 1, NULL, &err), 0);
    qd_state_unref(sb);
    sb = qd_cluster_state(b.cluster);
    assert_int_equal(sb->n, 0);
    assert_int_equal(sb->mappings.n, 0); /* nobody uses it any more */
    qd_state_unref(sb);
    qd_settings_unref(s);
    node_close(&a);
    node_close(&b);
    coord_memory_free(m);
}

typedef struct mapper {
    node *n;
    char uuid[QD_UUID_TEXT];
    int from, rc;
} mapper;

static void add_fields(void *arg)
{
    mapper *m = arg;
    for (int i = m->from; i < m->from + 25 && !m->rc; i++) {
        char update[80];
        snprintf(update, sizeof update, "{\"properties\":{\"f%d\":{\"type\":\"long\"}}}", i);
        m->rc =
            qd_cluster_put_mapping(m->n->cluster, qd_str_c(m->uuid), qd_str_c(update), NULL, NULL);
    }
}

static void concurrent_mapping_updates_all_land(void **state)
{
    (void)state;
    qd_err err;
    coord_memory *store = coord_memory_make(qd_env_system(), "mapping");
    node n[2] = {node_open("mapping", "node-a"), node_open("mapping", "node-b")};
    qd_settings *s = settings(NULL, NULL);
    mapper m[4];
    qd_thread *t[4];
    qd_err_init(&err);
    assert_int_equal(create(&n[0], "i", s, "", &err), 0);
    qd_state *now = qd_cluster_state(n[0].cluster);
    assert_int_equal(qd_cluster_wait(n[1].cluster, now->revision, 120000, &err), 0);
    for (int k = 0; k < 4; k++) {
        m[k] = (mapper){.n = &n[k % 2], .from = k * 100};
        memcpy(m[k].uuid, now->indices[0]->uuid, sizeof m[k].uuid);
        assert_int_equal(qd_thread_start(qd_env_system(), "mapper", add_fields, &m[k], &t[k], &err),
                         0);
    }
    for (int k = 0; k < 4; k++) {
        qd_thread_join(qd_env_system(), t[k]);
        assert_int_equal(m[k].rc, 0);
    }
    qd_state_unref(now);
    now = qd_cluster_state(n[0].cluster);
    qd_state *other = qd_cluster_state(n[1].cluster);
    uint64_t newest = now->revision > other->revision ? now->revision : other->revision;
    qd_state_unref(other);
    assert_int_equal(qd_cluster_wait(n[0].cluster, newest, 120000, &err), 0);
    qd_state_unref(now);
    now = qd_cluster_state(n[0].cluster);
    for (int k = 0; k < 4; k++) {
        for (int i = k * 100; i < k * 100 + 25; i++) {
            char name[16];
            snprintf(name, sizeof name, "f%d", i);
            assert_non_null(qd_mapping_field(now->indices[0]->mapping, qd_str_c(name)));
        }
    }
    assert_int_equal(now->mappings.n, 1); /* the versions in between are gone */
    qd_state_unref(now);
    qd_settings_unref(s);
    node_close(&n[0]);
    node_close(&n[1]);
    coord_memory_free(store);
}

static void a_compacted_watch_reads_again(void **state)
{
    (void)state;
    qd_err err;
    coord_memory *store = coord_memory_make(qd_env_system(), "compact");
    node a = node_open("compact", "node-a"), b = node_open("compact", "node-b");
    qd_settings *s = settings(NULL, NULL);
    qd_err_init(&err);
    for (int i = 0; i < 20; i++) {
        char name[16];
        snprintf(name, sizeof name, "i%02d", i);
        assert_int_equal(create(&a, name, s, "", &err), 0);
        if (i % 5 == 0) coord_memory_compact(store);
    }
    qd_state *sa = qd_cluster_state(a.cluster);
    assert_int_equal(qd_cluster_wait(b.cluster, sa->revision, 120000, &err), 0);
    qd_state *sb = qd_cluster_state(b.cluster);
    assert_int_equal(sb->n, 20);
    qd_state_unref(sa);
    qd_state_unref(sb);
    qd_settings_unref(s);
    node_close(&a);
    node_close(&b);
    coord_memory_free(store);
}

static void restart_takes_shards_up_under_the_next_term(void **state)
{
    (void)state;
    qd_err err;
    coord_memory *store = coord_memory_make(qd_env_system(), "restart");
    node a = node_open("restart", "node-a");
    qd_settings *s = settings(NULL, NULL);
    qd_err_init(&err);
    assert_int_equal(create(&a, "i", s, "", &err), 0);
    qd_state *now = qd_cluster_state(a.cluster);
    qd_copy_ref copy = {now->indices[0]->uuid, 0, now->shards[0][0].primary};
    assert_int_equal(qd_cluster_copy_started(a.cluster, &copy, NULL, &err), 0);
    qd_state_unref(now);
    now = qd_cluster_state(a.cluster);
    assert_int_equal(now->shards[0][0].copies[0].state, QD_SHARD_STARTED);
    assert_int_equal(now->shards[0][0].primary_term, 1);
    assert_int_equal(qd_index_health(now, now->indices[0]), QD_HEALTH_YELLOW); /* one replica */
    qd_state_unref(now);
    node_close(&a);
    a = node_open("restart", "node-a");
    now = qd_cluster_state(a.cluster);
    assert_int_equal(now->shards[0][0].copies[0].state, QD_SHARD_INITIALIZING);
    assert_int_equal(now->shards[0][0].primary_term, 2);
    assert_false(now->shards[0][0].fresh);
    qd_state_unref(now);
    qd_settings_unref(s);
    node_close(&a);
    coord_memory_free(store);
}

static void check_resolve(const qd_state *s, const char *expression, uint32_t options,
                          const char *expected)
{
    qd_arena a;
    qd_resolved r;
    qd_err err;
    qd_buf b;
    qd_arena_init(&a, NULL, 0);
    qd_buf_init(&b, NULL, 4096);
    qd_err_init(&err);
    int rc = qd_state_resolve(s, qd_str_c(expression), options, &a, &r, &err);
    for (uint32_t i = 0; !rc && i < r.n; i++) {
        (void)qd_buf_printf(&b, "%s%.*s", i ? "," : "", QD_STR_ARG(r.at[i]->name));
    }
    if (rc) (void)qd_buf_printf(&b, "! %s", qd_err_reason(&err));
    assert_string_equal(b.p ? b.p : "", expected);
    qd_err_fini(&err);
    qd_buf_fini(&b);
    qd_arena_fini(&a);
}

static void names_resolve(void **state)
{
    (void)state;
    qd_err err;
    coord_memory *store = coord_memory_make(qd_env_system(), "names");
    node a = node_open("names", "node-a");
    qd_settings *s = settings(NULL, NULL);
    qd_alias alias[] = {{.name = QD_STR("all-logs"), .is_write_index = -1},
                        {.name = QD_STR("mine"),
                         .is_write_index = -1,
                         .filter = QD_STR("{\"term\":{\"u\":1}}"),
                         .search_routing = QD_STR("r1")}};
    qd_err_init(&err);
    assert_int_equal(
        qd_cluster_create_index(a.cluster, QD_STR("log-1"), s, QD_STR(""), alias, 1, NULL, &err),
        0);
    assert_int_equal(
        qd_cluster_create_index(a.cluster, QD_STR("log-2"), s, QD_STR(""), alias, 2, NULL, &err),
        0);
    assert_int_equal(create(&a, "other", s, "", &err), 0);
    qd_settings *unseen = settings("index.hidden", "true");
    qd_alias dots[] = {{.name = QD_STR(".dot"), .is_write_index = -1, .is_hidden = true},
                       {.name = QD_STR("seen"), .is_write_index = -1}};
    assert_int_equal(
        qd_cluster_create_index(a.cluster, QD_STR("hid"), unseen, QD_STR(""), dots, 2, NULL, &err),
        0);
    qd_settings_unref(unseen);
    assert_int_equal(create(&a, "Bad", s, "", &err), QD_E_INVALID_INDEX_NAME);
    assert_string_equal(qd_err_reason(&err), "Invalid index name [Bad], must be lowercase");
    qd_err_fini(&err);
    assert_int_equal(create(&a, "../etc", s, "", &err), QD_E_INVALID_INDEX_NAME);
    qd_err_fini(&err);
    assert_int_equal(create(&a, "all-logs", s, "", &err), QD_E_INVALID_INDEX_NAME);
    qd_err_fini(&err);
    qd_state *now = qd_cluster_state(a.cluster);
    check_resolve(now, "log-1", QD_INDICES_SEARCH, "log-1");
    check_resolve(now, "log-*", QD_INDICES_SEARCH, "log-1,log-2");
    check_resolve(now, "all-logs", QD_INDICES_SEARCH, "log-1,log-2");
    check_resolve(now, "*,-log-1", QD_INDICES_SEARCH, "log-2,other");
    check_resolve(now, "", QD_INDICES_SEARCH, "log-1,log-2,other");
    check_resolve(now, "_all", QD_INDICES_SEARCH, "log-1,log-2,other");
    check_resolve(now, "h*", QD_INDICES_SEARCH, "");
    check_resolve(now, "h*", QD_INDICES_SEARCH | QD_EXPAND_HIDDEN, "hid");
    check_resolve(now, ".d*", QD_INDICES_SEARCH, "hid");
    check_resolve(now, "se*", QD_INDICES_SEARCH, "hid");
    check_resolve(now, "hid,-h*", QD_INDICES_SEARCH, "hid");
    check_resolve(now, "nope", QD_INDICES_SEARCH, "! no such index [nope]");
    check_resolve(now, "nope,log-1", QD_INDICES_SEARCH | QD_IGNORE_UNAVAILABLE, "log-1");
    check_resolve(now, "nope*", QD_INDICES_SEARCH, "");
    check_resolve(now, "nope*", QD_EXPAND_OPEN, "! no such index [nope*]");
    check_resolve(now, "mine", QD_FORBID_ALIASES,
                  "! The provided expression [mine] matches an alias, specify the corresponding "
                  "concrete indices instead.");
    const qd_index_meta *w;
    qd_str routing;
    assert_int_equal(qd_state_write_index(now, QD_STR("all-logs"), &w, &routing, &err), QD_E_ARG);
    qd_err_fini(&err);
    assert_int_equal(qd_state_write_index(now, QD_STR("mine"), &w, &routing, &err), 0);
    assert_true(qd_str_is(w->name, "log-2"));
    qd_arena arena;
    qd_str filter;
    qd_arena_init(&arena, NULL, 0);
    assert_int_equal(qd_state_alias_filter(now, QD_STR("mine"), w, &arena, &filter, &routing, &err),
                     0);
    assert_true(qd_str_is(filter, "[{\"term\":{\"u\":1}}]"));
    assert_true(qd_str_is(routing, "r1"));
    assert_int_equal(
        qd_state_alias_filter(now, QD_STR("mine,log-2"), w, &arena, &filter, &routing, &err), 0);
    assert_int_equal(filter.n, 0);
    qd_arena_fini(&arena);
    qd_state_unref(now);
    qd_settings_unref(s);
    node_close(&a);
    coord_memory_free(store);
}

/* Elasticsearch's shard of a document for 5 shards (640 routing shards); ids beyond ASCII as
 * UTF-16. */
static void routing_is_elasticsearchs(void **state)
{
    (void)state;
    static const struct {
        uint32_t shards, expected;
    } defaults[] = {{1, 1024}, {2, 1024}, {3, 768}, {5, 640}, {1024, 2048}, {512, 1024}};
    for (size_t i = 0; i < QD_COUNT_OF(defaults); i++) {
        assert_int_equal(qd_routing_shards_default(defaults[i].shards), defaults[i].expected);
    }
}

/* From a name and an id to the node of the primary, from the snapshot alone. */
static void a_document_finds_its_node_at_once(void **state)
{
    (void)state;
    qd_err err;
    coord_memory *store = coord_memory_make(qd_env_system(), "route");
    node a = node_open("route", "node-a");
    qd_settings *s = settings("index.number_of_shards", "4");
    qd_err_init(&err);
    for (int i = 0; i < 200; i++) {
        char name[16];
        snprintf(name, sizeof name, "r%03d", i);
        assert_int_equal(create(&a, name, s, "", &err), 0);
    }
    enum { ROUNDS = 100000 };
    uint64_t began = qd_env_mono_ns(qd_env_system()), found = 0;
    for (int i = 0; i < ROUNDS; i++) {
        char name[16], id[24];
        int n = snprintf(name, sizeof name, "r%03d", i % 200);
        int k = snprintf(id, sizeof id, "document-%d", i);
        qd_state *now = qd_cluster_state(a.cluster);
        const qd_index_meta *m = qd_state_index(now, (qd_str){name, (size_t)n});
        uint32_t shard = qd_index_meta_route(m, (qd_str){id, (size_t)k}, (qd_str){NULL, 0});
        const qd_copy *c = qd_shard_meta_primary(qd_state_shard(now, m, shard));
        found += qd_state_node(now, c->node) != NULL;
        qd_state_unref(now);
    }
    uint64_t each = (qd_env_mono_ns(qd_env_system()) - began) / ROUNDS;
    assert_int_equal(found, ROUNDS);
    print_message("# %llu ns a look-up\n", (unsigned long long)each);
    qd_settings_unref(s);
    node_close(&a);
    coord_memory_free(store);
}

static bool is_alone(void *arg, const qd_state *s)
{
    (void)arg;
    return s->nnodes == 1;
}

static void formats_are_raised_when_all_know_them(void **state)
{
    (void)state;
    qd_err err;
    uint32_t level = 0;
    coord_memory *store = coord_memory_make(qd_env_system(), "formats");
    qd_err_init(&err);
    features = 1;
    node old = node_open("formats", "node-old"), none;
    features = 2;
    node new = node_open("formats", "node-new");
    assert_int_equal(qd_cluster_finalize_upgrade(new.cluster, &level, &err), QD_E_STATE);
    assert_non_null(strstr(qd_err_reason(&err), "node [node-old]"));
    qd_err_fini(&err);
    assert_int_equal(qd_cluster_finalize_upgrade(old.cluster, &level, &err), 0);
    assert_int_equal(level, 1);
    node_close(&old);
    assert_int_equal(qd_cluster_wait_for(new.cluster, is_alone, NULL, 60000), 0);
    for (int i = 0; i < 2; i++) { /* again: nothing more */
        assert_int_equal(qd_cluster_finalize_upgrade(new.cluster, &level, &err), 0);
        assert_int_equal(level, 2);
    }
    features = 1;
    assert_int_equal(node_try(&none, "formats", "node-old", &err), QD_E_STATE);
    assert_non_null(strstr(qd_err_reason(&err),
                           "of level 2, this node (version [1]) knows those up "
                           "to 1"));
    qd_err_fini(&err);
    qd_coord_close(none.store);
    features = 0;
    node_close(&new);
    coord_memory_free(store);
}

/* --- a plugin's field type, whose segments are of a format of level 2 --- */

static int32_t type_check(const qd_field_conf *c, qd_err *err)
{
    (void)c, (void)err;
    return 0;
}

static int32_t type_parse(const qd_field_conf *c, qd_json_in *in, const qd_field_sink *sink,
                          qd_err *err)
{
    (void)c, (void)in, (void)sink;
    return qd_err_set(err, QD_E_ARG, "no document comes here");
}

static int32_t type_init(qd_self *self, const qd_host *host, qd_err *err)
{
    static qd_field_vtable type = {.head = QD_VTABLE(qd_field_vtable, FIELD, QD_FIELD_PART),
                                   .param_size = sizeof(qd_field_param),
                                   .check = type_check,
                                   .parse = type_parse};
    type.part = string_part_type().vt;
    return host->provide(self, QD_KIND_FIELD, "strings", &type, err);
}

static qd_plugin_host *host_with_type(void)
{
    static const qd_plugin plugin = {
        QD_PLUGIN_HEAD(0),       .name = "strings", .version = "1.0.0",
        .license = "Apache-2.0", .build_id = "",    .init = type_init,
    };
    qd_plugin_host_config c = {.env = qd_env_system()};
    qd_plugin_host *h;
    assert_int_equal(qd_plugin_host_open(&c, &h, NULL), 0);
    assert_int_equal(qd_plugin_builtin(h, &plugin, NULL), 0);
    assert_int_equal(qd_plugin_host_load(h, NULL), 0);
    return h;
}

static void refused_below_level_2(int rc, qd_err *err)
{
    assert_int_equal(rc, QD_E_ARG);
    assert_non_null(strstr(qd_err_reason(err),
                           "needs level 2 of the cluster's formats; they are of "
                           "level 1: POST _cluster/upgrade/finalize when all"));
    qd_err_fini(err);
}

/* A node of the former level in the cluster could not read such segments: a new index and a new
 * field of an old one are refused with the level and the way out, which then works. */
static void field_types_of_plugins_wait_for_their_level(void **state)
{
    static const char with[] = "{\"properties\":{\"s\":{\"type\":\"strings\"}}}";
    (void)state;
    qd_err err;
    uint32_t level = 0;
    qd_settings *s = settings("index.number_of_replicas", "0");
    coord_memory *store = coord_memory_make(qd_env_system(), "types");
    qd_err_init(&err);
    features = 1;
    node old = node_open("types", "node-old");
    features = 0;
    plugins = host_with_type();
    node new = node_open("types", "node-new");
    refused_below_level_2(create(&new, "a", s, with, &err), &err);
    assert_int_equal(create(&new, "a", s, "{}", &err), 0);
    qd_state *now = qd_cluster_state(new.cluster);
    assert_int_equal(now->n, 1);
    qd_str uuid = qd_str_c(now->indices[0]->uuid);
    refused_below_level_2(qd_cluster_put_mapping(new.cluster, uuid, qd_str_c(with), NULL, &err),
                          &err);
    node_close(&old);
    assert_int_equal(qd_cluster_wait_for(new.cluster, is_alone, NULL, 60000), 0);
    refused_below_level_2(create(&new, "b", s, with, &err), &err); /* nobody has finalized */
    assert_int_equal(qd_cluster_finalize_upgrade(new.cluster, &level, &err), 0);
    assert_int_equal(create(&new, "b", s, with, &err), 0);
    assert_int_equal(qd_cluster_put_mapping(new.cluster, uuid, qd_str_c(with), NULL, &err), 0);
    qd_state_unref(now);
    qd_settings_unref(s);
    node_close(&new);
    qd_plugin_host_close(plugins);
    plugins = NULL;
    coord_memory_free(store);
}

/* A node of a former level would look for such shards on its own tier. */
static void tiers_of_indices_wait_for_their_level(void **state)
{
    (void)state;
    qd_err err;
    uint32_t level = 0;
    qd_settings *s = settings("index.storage.tier", "warm");
    coord_memory *store = coord_memory_make(qd_env_system(), "tiers");
    qd_err_init(&err);
    features = 2;
    node old = node_open("tiers", "node-old");
    features = 0;
    node new = node_open("tiers", "node-new");
    assert_int_equal(create(&new, "a", s, "{}", &err), QD_E_ARG);
    assert_non_null(strstr(qd_err_reason(&err), "index.storage.tier is [warm], for which the "
                                                "cluster's formats must be of level 3; they are "
                                                "of level 2"));
    qd_err_fini(&err);
    node_close(&old);
    assert_int_equal(qd_cluster_wait_for(new.cluster, is_alone, NULL, 60000), 0);
    assert_int_equal(qd_cluster_finalize_upgrade(new.cluster, &level, &err), 0);
    assert_int_equal(level, QD_FEATURES_LEVEL);
    assert_int_equal(create(&new, "a", s, "{}", &err), 0);
    qd_settings_unref(s);
    node_close(&new);
    coord_memory_free(store);
}

/* Analyzers and parts that 0.1 did not have: by the settings, and by a mapping that names one. */
static void analysis_parts_wait_for_their_level(void **state)
{
    static const char french[] =
        "{\"properties\":{\"t\":{\"type\":\"text\",\"analyzer\":\"french\"}}}";
    static const char vectors[] = "{\"properties\":{\"v\":{\"type\":\"dense_vector\",\"dims\":2}}}";
    (void)state;
    qd_err err;
    uint32_t level = 0;
    qd_settings *plain = settings("index.number_of_replicas", "0");
    qd_settings *light;
    assert_int_equal(qd_settings_new(NULL, &light, NULL), 0);
    assert_int_equal(
        qd_settings_put(light, QD_STR("index.analysis.filter.f.type"), QD_STR("stemmer"), NULL), 0);
    assert_int_equal(qd_settings_put(light, QD_STR("index.analysis.filter.f.language"),
                                     QD_STR("light_german"), NULL),
                     0);
    assert_int_equal(qd_settings_seal(light, NULL), 0);
    coord_memory *store = coord_memory_make(qd_env_system(), "parts");
    qd_err_init(&err);
    features = 3;
    node old = node_open("parts", "node-old");
    features = 0;
    node new = node_open("parts", "node-new");
    assert_int_equal(create(&new, "a", plain, french, &err), QD_E_ARG);
    assert_non_null(strstr(qd_err_reason(&err),
                           "analyzer [french] of field [t] needs level 4 of the "
                           "cluster's formats; they are of level 3"));
    qd_err_fini(&err);
    assert_int_equal(create(&new, "a", plain, vectors, &err), QD_E_ARG);
    assert_non_null(strstr(qd_err_reason(&err), "[dense_vector]"));
    assert_non_null(strstr(qd_err_reason(&err), "level 4"));
    qd_err_fini(&err);
    assert_int_equal(create(&new, "a", light, "{}", &err), QD_E_ARG);
    assert_non_null(
        strstr(qd_err_reason(&err), "filter [f], as the settings define it, needs level 4"));
    qd_err_fini(&err);
    assert_int_equal(create(&new, "a", plain,
                            "{\"properties\":{\"t\":{\"type\":\"text\",\"analyzer\":\"english\"}}}",
                            &err),
                     0);
    node_close(&old);
    assert_int_equal(qd_cluster_wait_for(new.cluster, is_alone, NULL, 60000), 0);
    assert_int_equal(qd_cluster_finalize_upgrade(new.cluster, &level, &err), 0);
    assert_int_equal(create(&new, "b", plain, french, &err), 0);
    assert_int_equal(create(&new, "d", plain, vectors, &err), 0);
    assert_int_equal(create(&new, "c", light, "{}", &err), 0);
    qd_settings_unref(plain);
    qd_settings_unref(light);
    node_close(&new);
    coord_memory_free(store);
}

/* Graphs of vectors: a node of a former level reads rows alone. What names none gets one only from
 * then on, and keeps none that it had. */
static void graphs_of_vectors_wait_for_their_level(void **state)
{
    static const char vectors[] = "{\"properties\":{\"v\":{\"type\":\"dense_vector\",\"dims\":2}}}",
                      graph[] = "{\"properties\":{\"v\":{\"type\":\"dense_vector\",\"dims\":2,"
                                "\"index_options\":{\"type\":\"hnsw\"}}}}";
    (void)state;
    qd_err err;
    uint32_t level = 0;
    qd_settings *plain = settings("index.number_of_replicas", "0");
    coord_memory *store = coord_memory_make(qd_env_system(), "graphs");
    qd_err_init(&err);
    features = 4;
    node old = node_open("graphs", "node-old");
    features = 0;
    node new = node_open("graphs", "node-new");
    assert_int_equal(create(&new, "a", plain, graph, &err), QD_E_ARG);
    assert_non_null(strstr(qd_err_reason(&err), "field [v] of type [dense_vector], as the mapping "
                                                "defines it, needs level 5 of the cluster's "
                                                "formats; they are of level 4"));
    qd_err_fini(&err);
    assert_int_equal(create(&new, "flat", plain, vectors, &err), 0);
    node_close(&old);
    assert_int_equal(qd_cluster_wait_for(new.cluster, is_alone, NULL, 60000), 0);
    assert_int_equal(qd_cluster_finalize_upgrade(new.cluster, &level, &err), 0);
    assert_int_equal(create(&new, "a", plain, graph, &err), 0);
    assert_int_equal(create(&new, "b", plain, vectors, &err), 0);
    qd_state *s = qd_cluster_state(new.cluster);
    const qd_index_meta *flat = qd_state_index(s, QD_STR("flat")),
                        *b = qd_state_index(s, QD_STR("b"));
    assert_false(qd_mapping_field(flat->mapping, QD_STR("v"))->vectors->graphed);
    assert_true(qd_mapping_field(b->mapping, QD_STR("v"))->vectors->graphed);
    assert_int_equal(qd_mapping_field(b->mapping, QD_STR("v"))->vectors->bits, 7);
    qd_state_unref(s);
    qd_settings_unref(plain);
    node_close(&new);
    coord_memory_free(store);
}

static void refused_below_level_4(int rc, qd_err *err)
{
    assert_int_equal(rc, QD_E_ARG);
    assert_non_null(strstr(qd_err_reason(err), "the index's similarities need level 4 of the "
                                               "cluster's formats; they are of level 3"));
    qd_err_fini(err);
}

/* A node of a former level would score by BM25. */
static void similarities_wait_for_their_level(void **state)
{
    static const char with[] =
        "{\"properties\":{\"k\":{\"type\":\"text\",\"similarity\":\"boolean\"}}}";
    (void)state;
    qd_err err;
    uint32_t level = 0;
    qd_settings *plain = settings(NULL, NULL),
                *s = settings("index.similarity.default.type", "boolean");
    coord_memory *store = coord_memory_make(qd_env_system(), "scores");
    qd_err_init(&err);
    features = 3;
    node old = node_open("scores", "node-old");
    features = 0;
    node new = node_open("scores", "node-new");
    refused_below_level_4(create(&new, "a", s, "{}", &err), &err);
    refused_below_level_4(create(&new, "a", plain, with, &err), &err);
    assert_int_equal(create(&new, "a", plain, "{}", &err), 0);
    qd_state *now = qd_cluster_state(new.cluster);
    qd_str uuid = qd_str_c(now->indices[0]->uuid);
    refused_below_level_4(qd_cluster_put_mapping(new.cluster, uuid, qd_str_c(with), NULL, &err),
                          &err);
    node_close(&old);
    assert_int_equal(qd_cluster_wait_for(new.cluster, is_alone, NULL, 60000), 0);
    assert_int_equal(qd_cluster_finalize_upgrade(new.cluster, &level, &err), 0);
    assert_int_equal(qd_cluster_put_mapping(new.cluster, uuid, qd_str_c(with), NULL, &err), 0);
    assert_int_equal(create(&new, "b", s, "{}", &err), 0);
    qd_state_unref(now);
    qd_settings_unref(s);
    qd_settings_unref(plain);
    node_close(&new);
    coord_memory_free(store);
}

static void refused_below_level_5(int rc, qd_err *err)
{
    assert_int_equal(rc, QD_E_ARG);
    assert_non_null(strstr(qd_err_reason(err), "needs level 5 of the cluster's formats; they are "
                                               "of level 4"));
    qd_err_fini(err);
}

/* A node of a former level would merge without the sort, and show the rest of a made source. */
static void sorts_and_sources_wait_for_their_level(void **state)
{
    static const char mapped[] = "{\"properties\":{\"k\":{\"type\":\"keyword\"}}}",
                      made[] = "{\"_source\":{\"mode\":\"synthetic\"}}",
                      kept[] = "{\"properties\":{\"k\":{\"type\":\"keyword\",\"synthetic_source_"
                               "keep\":\"all\"}}}";
    (void)state;
    qd_err err;
    uint32_t level = 0;
    qd_settings *plain = settings(NULL, NULL),
                *s[] = {settings("index.sort.field", "k"), settings("index.mode", "logsdb"),
                        settings("index.mode", "lookup"),
                        settings("index.mapping.source.mode", "synthetic"),
                        settings("index.mapping.source.mode", "disabled")};
    static const char *const names[] = {"a", "b", "c", "d", "e"};
    coord_memory *store = coord_memory_make(qd_env_system(), "sorts");
    qd_err_init(&err);
    features = 4;
    node old = node_open("sorts", "node-old");
    features = 0;
    node new = node_open("sorts", "node-new");
    for (size_t i = 0; i < QD_COUNT_OF(s); i++)
        refused_below_level_5(create(&new, names[i], s[i], mapped, &err), &err);
    refused_below_level_5(create(&new, "f", plain, made, &err), &err);
    assert_int_equal(create(&new, "f", plain, kept, &err), QD_E_ARG);
    qd_err_fini(&err);
    node_close(&old);
    assert_int_equal(qd_cluster_wait_for(new.cluster, is_alone, NULL, 60000), 0);
    assert_int_equal(qd_cluster_finalize_upgrade(new.cluster, &level, &err), 0);
    for (size_t i = 0; i < QD_COUNT_OF(s); i++)
        assert_int_equal(create(&new, names[i], s[i], mapped, &err), 0);
    assert_int_equal(create(&new, "f", plain, made, &err), 0);
    assert_int_equal(create(&new, "g", plain, kept, &err), 0);
    for (size_t i = 0; i < QD_COUNT_OF(s); i++) qd_settings_unref(s[i]);
    qd_settings_unref(plain);
    node_close(&new);
    coord_memory_free(store);
}

/* A node of a former level would lose what an index's record says of its stream. */
static void data_streams_wait_for_their_level(void **state)
{
    (void)state;
    qd_err err;
    uint32_t level = 0;
    qd_settings *s = settings("index.number_of_replicas", "0");
    coord_memory *store = coord_memory_make(qd_env_system(), "streams");
    qd_err_init(&err);
    features = 3;
    node old = node_open("streams", "node-old");
    features = 0;
    node new = node_open("streams", "node-new");
    qd_index_creation i = {.name = QD_STR(".ds-s-1"),
                           .settings = s,
                           .stream = QD_STR("s"),
                           .record = QD_STR("{\"generation\":1}")};
    assert_int_equal(qd_cluster_create(new.cluster, &i, NULL, &err), QD_E_ARG);
    assert_non_null(strstr(qd_err_reason(&err), "data streams need level 4 of the cluster's "
                                                "formats; they are of level 3"));
    qd_err_fini(&err);
    node_close(&old);
    assert_int_equal(qd_cluster_wait_for(new.cluster, is_alone, NULL, 60000), 0);
    assert_int_equal(qd_cluster_finalize_upgrade(new.cluster, &level, &err), 0);
    assert_int_equal(qd_cluster_create(new.cluster, &i, NULL, &err), 0);
    qd_state *now = qd_cluster_state(new.cluster);
    const qd_alias_group *g = qd_state_stream(now, QD_STR("s"));
    assert_non_null(g);
    assert_int_equal(g->n, 1);
    assert_true(qd_str_is(g->write_index->name, ".ds-s-1"));

    /* whoever saw an older state is told, and nothing is made */
    i.name = QD_STR(".ds-s-2");
    i.stream_revision = 1;
    i.follows = g->write_index->uuid;
    i.rolled = i.stream;
    assert_int_equal(qd_cluster_create(new.cluster, &i, NULL, &err), QD_E_CONFLICT);
    qd_err_fini(&err);
    i.stream_revision = qd_state_document(now, QD_STR("data_stream/s"))->mod_revision;
    assert_int_equal(qd_cluster_create(new.cluster, &i, NULL, &err), 0);
    qd_state_unref(now);
    now = qd_cluster_state(new.cluster);
    g = qd_state_stream(now, QD_STR("s"));
    assert_int_equal(g->n, 2);
    assert_int_equal(g->write_index->place.order, 2);
    assert_int_not_equal(g->indices[0]->place.rolled_ms, 0);
    assert_int_equal(qd_cluster_delete_indices(new.cluster, &g->indices[1], 1, NULL, &err),
                     QD_E_ARG);
    qd_err_fini(&err);
    assert_int_equal(qd_cluster_delete_streams(new.cluster, &g->name, 1, &err), 0);
    qd_state_unref(now);
    now = qd_cluster_state(new.cluster);
    assert_int_equal(now->n, 0);
    assert_null(qd_state_document(now, QD_STR("data_stream/s")));
    qd_state_unref(now);
    qd_settings_unref(s);
    node_close(&new);
    coord_memory_free(store);
}

static bool has_replica(void *arg, const qd_state *s)
{
    (void)arg;
    return s->n == 1 && qd_copy_is_assigned(&s->shards[0][0].copies[1]);
}

static int ask(node *n, const qd_copy_ref *copy, const qd_primary_ref *other, int step)
{
    qd_copy_ref none = {copy->uuid, 0, QD_STR("nobody")};
    return step == 0 ? qd_cluster_copy_started(n->cluster, copy, NULL, NULL)
           : step == 1
               ? qd_cluster_copy_started(n->cluster, &none, NULL, NULL)
               : qd_cluster_primary_admit(n->cluster, other, copy->allocation_id, NULL, NULL);
}

/* What this node has applied may be old: without the masters no step of a copy is refused for good,
 * so that it is asked for again. */
static void nothing_is_refused_without_masters(void **state)
{
    static const int refused[] = {QD_E_CONFLICT, QD_E_NOTFOUND, QD_E_NOT_PRIMARY};
    (void)state;
    coord_memory *store = coord_memory_make(qd_env_system(), "refused");
    node a = node_open("refused", "node-a");
    timeout_ms = 1000;
    node b = node_open("refused", "node-b");
    timeout_ms = 120000;
    qd_settings *s = settings("index.number_of_replicas", "1");
    assert_int_equal(create(&a, "i", s, "", NULL), 0);
    qd_state *now = qd_cluster_state(a.cluster);
    node *with = qd_str_is(now->shards[0][0].copies[0].node, "node-a") ? &a : &b;
    qd_copy_ref first = {now->indices[0]->uuid, 0, now->shards[0][0].primary};
    assert_int_equal(qd_cluster_copy_started(with->cluster, &first, NULL, NULL), 0);
    assert_int_equal(qd_cluster_wait_for(b.cluster, has_replica, NULL, 60000), 0);
    qd_state_unref(now);
    now = qd_cluster_state(b.cluster);
    const qd_shard_meta *m = &now->shards[0][0];
    const qd_copy *mine = qd_shard_meta_copy_of(m, QD_STR("node-b"));
    qd_copy_ref copy = {now->indices[0]->uuid, 0, m->copies[1].allocation_id};
    qd_primary_ref other = {copy.uuid, 0, copy.allocation_id, m->primary_term};
    assert_non_null(mine);
    for (int i = 0; i < 3; i++) {
        bool own = mine == &m->copies[1];
        int rc = i == 0 && !own ? QD_E_NOTFOUND : refused[i];
        assert_int_equal(ask(&b, &copy, &other, i), rc);
        coord_memory_off(store, true, false);
        assert_int_equal(ask(&b, &copy, &other, i), QD_E_NO_COORDINATION);
        coord_memory_off(store, false, false);
        assert_int_equal(ask(&b, &copy, &other, i), rc);
    }
    qd_state_unref(now);
    qd_settings_unref(s);
    node_close(&a);
    node_close(&b);
    coord_memory_free(store);
}

/* --- how old what a node shows may be --- */

#define TEN_MINUTES_NS UINT64_C(600000000000)

/* What was applied before the machine slept is that old, from the first moment on. */
static void a_suspended_machine_shows_an_old_state(void **state)
{
    (void)state;
    coord_memory *m = coord_memory_make(qd_env_system(), "sleep");
    node a = node_open("sleep", "node-a");
    assert_int_equal(qd_cluster_stale_ms(a.cluster), 0);
    atomic_store(&suspended_ns, TEN_MINUTES_NS);
    assert_in_range(qd_cluster_stale_ms(a.cluster), 600000, 660000);
    atomic_store(&suspended_ns, 0);
    node_close(&a);
    coord_memory_free(m);
}

/* The session that the node's record belongs to. */
static uint64_t session_of(node *n, const char *key)
{
    qd_arena arena;
    qd_coord_list list;
    qd_arena_init(&arena, NULL, 0);
    assert_int_equal(qd_coord_read(n->store, qd_str_c(key), false, 10000, &arena, &list, NULL), 0);
    uint64_t session = list.n ? list.at[0].session : 0;
    qd_arena_fini(&arena);
    return session;
}

/* Its session is new, but what happened while it had none is not applied yet. */
static int put_setting(node *n, const char *uuid, const char *key, const char *value)
{
    qd_settings *s = settings(key, value);
    int rc = qd_cluster_put_settings(n->cluster, qd_str_c(uuid), s, false, NULL, NULL);
    qd_settings_unref(s);
    return rc;
}

/* A node that has not heard of a change sees the old value, and does not take a wish for that one
 * as done. */
static void a_node_that_is_behind_changes_a_setting(void **state)
{
    (void)state;
    static const char *key = "index.translog.durability";
    gate g = {0};
    char uuid[QD_UUID_TEXT];
    coord_memory *m = coord_memory_make(qd_env_system(), "behind");
    qd_mutex_init(&g.lock);
    qd_cond_init(&g.opened);
    node a = node_open("behind", "node-a");
    int64_t patience_ms = timeout_ms;
    next_gate = &g;
    timeout_ms = 50;
    node b = node_open("behind", "node-b");
    next_gate = NULL;
    timeout_ms = patience_ms;
    qd_settings *s = settings(NULL, NULL);
    assert_int_equal(create(&a, "logs", s, "", NULL), 0);
    qd_settings_unref(s);
    qd_state *now = qd_cluster_state(a.cluster);
    snprintf(uuid, sizeof uuid, "%s", qd_state_index(now, QD_STR("logs"))->uuid);
    assert_int_equal(qd_cluster_wait(b.cluster, now->revision, patience_ms, NULL), 0);
    qd_state_unref(now);
    assert_int_equal(put_setting(&b, uuid, key, "request"), 0); /* it is */
    qd_mutex_lock(&g.lock);
    g.shut = true;
    qd_mutex_unlock(&g.lock);
    assert_int_equal(put_setting(&a, uuid, "index.number_of_replicas", "0"), 0);
    assert_int_equal(put_setting(&a, uuid, key, "async"), 0);
    assert_int_not_equal(put_setting(&b, uuid, key, "request"), 0);
    qd_mutex_lock(&g.lock);
    g.shut = false;
    qd_cond_broadcast(&g.opened);
    qd_mutex_unlock(&g.lock);
    while (put_setting(&b, uuid, key, "request")) qd_env_sleep_ns(qd_env_system(), 1000000);
    qd_state *sb = qd_cluster_state(b.cluster);
    assert_int_equal(qd_cluster_wait(a.cluster, sb->revision, patience_ms, NULL), 0);
    qd_state *sa = qd_cluster_state(a.cluster);
    const qd_settings *is = qd_state_index(sa, QD_STR("logs"))->settings;
    assert_true(qd_str_is(qd_settings_get(is, qd_str_c(key))->text, "request"));
    qd_state_unref(sa);
    qd_state_unref(sb);
    node_close(&a);
    node_close(&b);
    qd_cond_fini(&g.opened);
    qd_mutex_fini(&g.lock);
    coord_memory_free(m);
}

static void a_node_that_joined_anew_catches_up_first(void **state)
{
    (void)state;
    gate g = {0};
    qd_env *env = qd_env_system();
    coord_memory *m = coord_memory_make(env, "anew");
    qd_mutex_init(&g.lock);
    qd_cond_init(&g.opened);
    session_ttl_ms = 900;
    next_gate = &g;
    node a = node_open("anew", "node-a");
    next_gate = NULL;
    session_ttl_ms = 30000;
    node b = node_open("anew", "node-b");
    qd_mutex_lock(&g.lock);
    g.shut = true;
    qd_mutex_unlock(&g.lock);
    qd_settings *s = settings(NULL, NULL);
    assert_int_equal(create(&b, "logs", s, "", NULL), 0);
    atomic_store(&suspended_ns, TEN_MINUTES_NS);
    uint64_t before = session_of(&b, "node/node-a"), now = 0;
    qd_coord_session_end(b.store, before);
    while (!(now = session_of(&b, "node/node-a")) || now == before) qd_env_sleep_ns(env, 1000000);
    assert_in_range(qd_cluster_stale_ms(a.cluster), 600000, 660000);
    qd_mutex_lock(&g.lock);
    g.shut = false;
    qd_cond_broadcast(&g.opened);
    qd_mutex_unlock(&g.lock);
    while (qd_cluster_stale_ms(a.cluster)) qd_env_sleep_ns(env, 1000000);
    qd_state *sa = qd_cluster_state(a.cluster);
    assert_non_null(qd_state_index(sa, QD_STR("logs")));
    qd_state_unref(sa);
    qd_settings_unref(s);
    node_close(&a);
    node_close(&b);
    atomic_store(&suspended_ns, 0);
    coord_memory_free(m);
    qd_cond_fini(&g.opened);
    qd_mutex_fini(&g.lock);
}

int main(void)
{
    machine = *qd_env_system();
    machine.boot_ns = machine_boot_ns;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_refused_without_masters),
        cmocka_unit_test(a_suspended_machine_shows_an_old_state),
        cmocka_unit_test(a_node_that_is_behind_changes_a_setting),
        cmocka_unit_test(a_node_that_joined_anew_catches_up_first),
        cmocka_unit_test(an_open_that_failed_hurries_nobody),
        cmocka_unit_test(the_epoch_of_a_mirror_is_nobodys),
        cmocka_unit_test(what_was_written_is_marked),
        cmocka_unit_test(nodes_see_each_others_changes),
        cmocka_unit_test(concurrent_mapping_updates_all_land),
        cmocka_unit_test(a_compacted_watch_reads_again),
        cmocka_unit_test(restart_takes_shards_up_under_the_next_term),
        cmocka_unit_test(names_resolve),
        cmocka_unit_test(routing_is_elasticsearchs),
        cmocka_unit_test(a_document_finds_its_node_at_once),
        cmocka_unit_test(formats_are_raised_when_all_know_them),
        cmocka_unit_test(analysis_parts_wait_for_their_level),
        cmocka_unit_test(graphs_of_vectors_wait_for_their_level),
        cmocka_unit_test(field_types_of_plugins_wait_for_their_level),
        cmocka_unit_test(tiers_of_indices_wait_for_their_level),
        cmocka_unit_test(similarities_wait_for_their_level),
        cmocka_unit_test(data_streams_wait_for_their_level),
        cmocka_unit_test(sorts_and_sources_wait_for_their_level),
    };
    return unit_run(tests);
}
