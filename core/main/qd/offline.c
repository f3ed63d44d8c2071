/* offline.c: see offline.h. */
#include "main/qd/offline.h"
#include "base/arena.h"
#include "main/plugins.h"
#include "main/store_options.h"
#include "plugin/host.h"
#include "runtime/proc.h"
#include "json/tree.h"
#include <stdio.h>
#include <string.h>

#define CONFIG_BYTES_MAX (4u << 20)
#define FILE_BYTES_MAX (1u << 20) /* of one piece of a file that is copied */
#define LEAD_MS 60000
#define LOOK_MS 10000 /* for the API to answer */
#define LOOK_NS UINT64_C(20000000)
#define ASK_MS 500
#define COPY "coordination.copy"
#define BEFORE "coordination.before" /* the store, while its copy takes its place */

/* --- the node -------------------------------------------------------------------------------- */

int qd_offline_make(qd_offline *o, qd_err *err)
{
    qd_machine_memory memory;
    *o = (qd_offline){.node = qd_calloc(NULL, sizeof *o->node)};
    if (!o->node) return qd_err_nomem(err, "qd");
    o->node->env = qd_env_system();
    qd_machine_memory_get(&memory);
    qd_mutex_init(&o->node->deciding);
    qd_cond_init(&o->node->asked);
    int rc = qd_paths_find(&o->node->paths, err);
    return rc ? rc : qd_config_open((int64_t)memory.limit, &o->node->config, err);
}

void qd_offline_free(qd_offline *o)
{
    if (!o->node) return;
    qd_plugin_host_close(o->node->plugins);
    qd_config_close(o->node->config);
    qd_file_lock_release(o->lock);
    qd_mutex_fini(&o->node->deciding);
    qd_free(o->node);
}

static int read_config(qd_node *node, const char *file, qd_err *err)
{
    char found[QD_PATH_MAX + 32];
    qd_buf b;
    int rc = 0;
    qd_buf_init(&b, NULL, CONFIG_BYTES_MAX);
    if (!file) {
        snprintf(found, sizeof found, "%s/quidditch.yml", node->paths.conf);
        file = qd_file_exists(found) ? found : NULL;
    }
    if (file) rc = qd_file_read(file, &b, err);
    if (file && rc == 0) rc = qd_config_file(node->config, qd_buf_view(&b), file, qd_proc_env, err);
    qd_buf_fini(&b);
    if (rc == 0) rc = qd_config_environment(node->config, qd_proc_env, err);
    if (rc == 0) rc = qd_config_environment_names(node->config, qd_proc_env_at, err);
    if (rc == 0) rc = qd_config_ready(node->config, err);
    return rc ? rc
              : qd_paths_setting(&node->paths, node->config, QD_SET_PATH_DATA, node->data, err);
}

static int take_record(qd_offline *o, qd_err *err)
{
    char path[QD_PATH_MAX + 32];
    qd_authority *a;
    snprintf(path, sizeof path, "%s/authority.json", o->node->data);
    if (!qd_file_exists(path)) return 0;
    int rc = qd_authority_open_file(path, &a, err);
    if (rc) return rc;
    qd_authority_get(a, &o->record);
    qd_authority_close(a);
    o->recorded = o->record.uuid[0] != 0;
    return 0;
}

int qd_offline_load(qd_offline *o, const char *file, qd_err *err)
{
    char path[QD_PATH_MAX + 32];
    qd_node *node = o->node;
    int rc = read_config(node, file, err);
    if (rc) return rc == QD_E_NOMEM ? rc : QD_E_CONFIG;
    snprintf(node->name, sizeof node->name, "%.*s",
             QD_STR_ARG(qd_config_text(node->config, QD_SET_NODE_NAME)));
    if (!node->name[0]) snprintf(node->name, sizeof node->name, "recover");
    snprintf(path, sizeof path, "%s/node.lock", node->data);
    if (qd_file_exists(node->data)) rc = qd_file_lock_take(path, &o->lock, err);
    if (!rc) rc = take_record(o, err);
    if (!rc)
        rc = qd_main_plugins_open(node->config, &node->paths, node->env, NULL, NULL, &node->plugins,
                                  err);
    return rc ? rc : qd_plugin_host_load(node->plugins, err);
}

/* --- the masters' store ---------------------------------------------------------------------- */

/* The store that the settings name, else the one whose members can be changed. */
static int find_masters(qd_node *node, const qd_coord_vtable **out, qd_self **self, qd_err *err)
{
    const void *vt;
    size_t pos = 0;
    qd_str name = qd_config_text(node->config, QD_SET_COORDINATION_PLUGIN);
    if (name.n) {
        int rc = qd_plugin_need(node->plugins, QD_KIND_COORDINATION, name, "coordination.plugin",
                                &vt, self, err);
        if (rc == 0) *out = vt;
        return rc;
    }
    while ((vt = qd_plugin_next(node->plugins, QD_KIND_COORDINATION, &pos, &name, self))) {
        *out = vt;
        if ((*out)->head.flags & QD_COORD_DYNAMIC_MEMBERS) return 0;
    }
    return qd_err_set(err, QD_E_PLUGIN, "no plugin here has masters (qd plugin list)");
}

/* Waits until the store leads itself, and what its log had is applied. */
static int wait_leading(qd_coord_store *s, qd_err *err)
{
    qd_coord_list found;
    qd_arena arena;
    qd_arena_init(&arena, NULL, 1 << 20);
    int rc = qd_coord_read(s, QD_STR("cluster/uuid"), false, LEAD_MS, &arena, &found, err);
    qd_arena_fini(&arena);
    return rc;
}

int qd_offline_masters(qd_offline *o, const char *folder, qd_coord_store **out, qd_err *err)
{
    char path[QD_PATH_MAX + 32];
    const qd_coord_vtable *vt = NULL;
    qd_self *self;
    qd_coord_store *s = NULL;
    qd_str name = qd_str_c(o->node->name);
    snprintf(path, sizeof path, "%s/%s", o->node->data, folder);
    int rc = find_masters(o->node, &vt, &self, err);
    if (rc == 0 && !qd_file_exists(path))
        rc = qd_err_set(err, QD_E_NOTFOUND, "there is no %s: is path.data right?", path);
    qd_coord_config config = {.struct_size = sizeof config,
                              .flags = QD_COORD_OPEN_BOOTSTRAP | QD_COORD_OPEN_RECOVER,
                              .cluster = qd_config_text(o->node->config, QD_SET_CLUSTER_NAME),
                              .node_id = name,
                              .node_name = name,
                              .path = qd_str_c(path)};
    if (rc == 0) rc = qd_coord_open(o->node->env, vt, self, &config, &s, err);
    if (rc == 0) rc = wait_leading(s, err);
    if (rc) {
        qd_coord_close(s);
        return rc;
    }
    *out = s;
    return 0;
}

typedef struct copying {
    char from[QD_PATH_MAX + 320], to[QD_PATH_MAX + 320];
    qd_err *err;
} copying;

static int copy_file(const char *from, const char *to, qd_err *err)
{
    qd_file_in *in = NULL;
    qd_file_out *out = NULL;
    int64_t n = 0;
    char *piece = qd_alloc(NULL, FILE_BYTES_MAX);
    int rc = piece ? qd_file_in_open(from, &in, err) : qd_err_nomem(err, "a copy");
    if (!rc) rc = qd_file_out_open(to, true, 0600, &out, err);
    while (!rc && (n = qd_file_in_read(in, piece, FILE_BYTES_MAX, err)) > 0)
        rc = qd_file_out_write(out, piece, (size_t)n, err);
    if (!rc && !n) rc = qd_file_out_sync(out, err); /* the copy may become the store */
    qd_file_out_close(out);
    qd_file_in_close(in);
    qd_free(piece);
    return rc ? rc : n < 0 ? (int)n : 0;
}

static int copy_one(void *arg, const char *name)
{
    copying *c = arg;
    qd_file_info info;
    size_t from = strlen(c->from), to = strlen(c->to);
    snprintf(c->from + from, sizeof c->from - from, "/%s", name);
    snprintf(c->to + to, sizeof c->to - to, "/%s", name);
    int rc = qd_file_stat(c->from, &info, c->err);
    if (!rc && info.is_dir) {
        rc = qd_dir_make(c->to, 0700, c->err);
        if (!rc) rc = qd_dir_list(c->from, copy_one, c, c->err);
    } else if (!rc && strcmp(name, "lock") != 0) {
        rc = copy_file(c->from, c->to, c->err);
    }
    c->from[from] = c->to[to] = 0;
    return rc;
}

static void take_text(const qd_coord_list *found, char out[64])
{
    if (found->n && found->at[0].value_len < 64)
        snprintf(out, 64, "%.*s", (int)found->at[0].value_len, (const char *)found->at[0].value);
}

/* uuid and plan, as this process has applied them. */
static int see_keys(qd_coord_store *s, qd_store_seen *out, qd_err *err)
{
    qd_arena arena;
    qd_coord_list found = {.n = 0};
    qd_json_node *plan;
    qd_arena_init(&arena, NULL, 1 << 20);
    int rc = qd_coord_read_here(s, QD_STR("cluster/uuid"), LEAD_MS, &arena, &found, err);
    if (!rc) take_text(&found, out->uuid);
    found.n = 0;
    if (!rc) rc = qd_coord_read_here(s, QD_STR("migration/plan"), LEAD_MS, &arena, &found, err);
    qd_str text = {found.n ? (const char *)found.at[0].value : "",
                   found.n ? found.at[0].value_len : 0};
    if (!rc && text.n && !qd_json_parse(&arena, text, 4, &plan, NULL)) {
        const qd_json_node *to = qd_json_get(plan, "to");
        if (to && to->type == QD_JSON_T_STRING)
            snprintf(out->to, sizeof out->to, "%.*s", QD_STR_ARG(to->text));
    }
    qd_arena_fini(&arena);
    return rc;
}

static void see_identity(qd_coord_store *s, qd_store_seen *out)
{
    qd_coord_identity id;
    qd_coord_identity_get(s, &id);
    *out = (qd_store_seen){
        .there = true, .state = id.state, .epoch = id.epoch, .revision = id.revision};
}

/* After a crash in the middle of qd_offline_copy_take the store that was comes back. */
static int put_back(qd_offline *o, qd_err *err)
{
    char before[QD_PATH_MAX + 32], path[QD_PATH_MAX + 32];
    snprintf(before, sizeof before, "%s/" BEFORE, o->node->data);
    snprintf(path, sizeof path, "%s/coordination", o->node->data);
    bool left = qd_file_exists(before) && !qd_file_exists(path);
    return left ? qd_file_rename(before, path, err) : 0;
}

int qd_offline_copy_take(qd_offline *o, qd_err *err)
{
    char before[QD_PATH_MAX + 32], path[QD_PATH_MAX + 32], copy[QD_PATH_MAX + 32];
    snprintf(before, sizeof before, "%s/" BEFORE, o->node->data);
    snprintf(path, sizeof path, "%s/coordination", o->node->data);
    snprintf(copy, sizeof copy, "%s/" COPY, o->node->data);
    int rc = qd_dir_remove(before, err); /* of a crash after the last step */
    if (!rc) rc = qd_file_rename(path, before, err);
    if (!rc) rc = qd_file_rename(copy, path, err);
    return rc ? rc : qd_offline_copy_taken(o, err);
}

int qd_offline_copy_taken(qd_offline *o, qd_err *err)
{
    char before[QD_PATH_MAX + 32];
    snprintf(before, sizeof before, "%s/" BEFORE, o->node->data);
    return qd_dir_remove(before, err);
}

int qd_offline_copy(qd_offline *o, qd_coord_store **s, qd_store_seen *out, qd_err *err)
{
    copying c = {.err = err};
    *s = NULL;
    *out = (qd_store_seen){.there = false};
    int rc = put_back(o, err);
    snprintf(c.from, sizeof c.from, "%s/coordination/node", o->node->data);
    if (rc || !qd_file_exists(c.from)) return rc;
    snprintf(c.from, sizeof c.from, "%s/coordination", o->node->data);
    snprintf(c.to, sizeof c.to, "%s/" COPY, o->node->data);
    qd_offline_copy_remove(o);
    rc = qd_dir_make(c.to, 0700, err);
    if (!rc) rc = qd_dir_list(c.from, copy_one, &c, err);
    if (!rc) rc = qd_offline_masters(o, COPY, s, err);
    if (rc) return rc;
    see_identity(*s, out);
    if (out->epoch) out->epoch--; /* forcing has raised it */
    return see_keys(*s, out, err);
}

void qd_offline_copy_remove(qd_offline *o)
{
    char path[QD_PATH_MAX + 32];
    snprintf(path, sizeof path, "%s/" COPY, o->node->data);
    int rc = qd_dir_remove(path, NULL);
    (void)rc; /* the next one removes it */
}

/* --- the store in Kubernetes ----------------------------------------------------------------- */

bool qd_offline_reaches_kubernetes(const qd_offline *o)
{
    return qd_store_reaches_kubernetes(o->node->config);
}

/* The plugin whose store is not run by a process of ours. */
static int find_kubernetes(qd_node *node, const void **out, qd_self **self, qd_err *err)
{
    const qd_coord_vtable *vt;
    size_t pos = 0;
    qd_str name;
    while ((vt = qd_plugin_next(node->plugins, QD_KIND_COORDINATION, &pos, &name, self))) {
        *out = vt;
        if (vt->head.flags & QD_COORD_EXTERNAL) return 0;
    }
    return qd_err_set(err, QD_E_PLUGIN, "no plugin here reaches Kubernetes (qd plugin list)");
}

static int open_kubernetes(qd_offline *o, bool look, qd_coord_store **out, qd_err *err)
{
    char path[QD_PATH_MAX + 32];
    const void *vt = NULL;
    qd_self *self;
    qd_store_options options;
    qd_str name = qd_str_c(o->node->name);
    int rc = find_kubernetes(o->node, &vt, &self, err);
    snprintf(path, sizeof path, "%s/coordination-copy", o->node->data);
    if (!rc) rc = qd_dir_make(path, 0700, err);
    if (rc) return rc;
    qd_store_options_take(o->node->config, QD_STORE_KUBERNETES, &options);
    qd_store_options_add(&options, "k8s.projections", QD_STR("false")); /* the last one counts */
    if (look) qd_store_options_add(&options, "k8s.look", QD_STR("true"));
    qd_coord_config config = {.struct_size = sizeof config,
                              .cluster = qd_config_text(o->node->config, QD_SET_CLUSTER_NAME),
                              .node_id = name,
                              .node_name = name,
                              .path = qd_str_c(path),
                              .options = options.at,
                              .noptions = options.n};
    return qd_coord_open(o->node->env, vt, self, &config, out, err);
}

int qd_offline_kubernetes(qd_offline *o, qd_coord_store **out, qd_err *err)
{
    int rc = open_kubernetes(o, false, out, err);
    if (rc) return rc;
    rc = wait_leading(*out, err);
    if (!rc) return 0;
    qd_coord_close(*out);
    *out = NULL;
    return rc;
}

/* Waits for the root, and what it says, to be there. QD_E_NOTFOUND: there is none. */
static int wait_seen(qd_offline *o, qd_coord_store *s, qd_err *err)
{
    static const uint8_t nobody[16];
    uint64_t end = qd_env_mono_ns(o->node->env) + LOOK_MS * UINT64_C(1000000);
    for (;;) {
        qd_arena arena;
        qd_coord_identity id;
        qd_coord_list found;
        qd_arena_init(&arena, NULL, 1 << 20);
        int rc = qd_coord_read_here(s, QD_STR("cluster/uuid"), ASK_MS, &arena, &found, err);
        qd_arena_fini(&arena);
        qd_coord_identity_get(s, &id);
        bool late = qd_env_mono_ns(o->node->env) > end;
        if (rc == QD_E_NOTFOUND || memcmp(id.store_id, nobody, 16) != 0 || (rc && late)) return rc;
        qd_err_fini(err);
        if (late)
            return qd_err_set(err, QD_E_NO_COORDINATION, "Kubernetes did not answer within %d s",
                              LOOK_MS / 1000);
        qd_env_sleep_ns(o->node->env, LOOK_NS);
    }
}

int qd_offline_look(qd_offline *o, qd_store_seen *out, qd_err *err)
{
    qd_coord_store *s = NULL;
    *out = (qd_store_seen){.there = false};
    int rc = open_kubernetes(o, true, &s, err);
    if (!rc) rc = wait_seen(o, s, err);
    if (!rc) see_identity(s, out);
    if (!rc) rc = see_keys(s, out, err);
    qd_coord_close(s);
    if (rc != QD_E_NOTFOUND) return rc;
    qd_err_fini(err); /* there is none: that was to be known */
    return 0;
}
