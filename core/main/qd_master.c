/*
 * qd_master.c: `qd master list|add|remove|recover`. The first three ask a running node; recover
 * works on the folder of a node that does not run.
 */
#include "base/arena.h"
#include "cluster/authority/authority.h"
#include "cluster/coord.h"
#include "main/args.h"
#include "main/node.h"
#include "main/plugins.h"
#include "main/qd_client.h"
#include "runtime/proc.h"
#include "json/tree.h"
#include <stdio.h>
#include <string.h>

#define CONFIG_BYTES_MAX (4u << 20)
#define ANSWER_BYTES_MAX (4u << 20)
#define RECOVER_MS 60000

int qd_command_master(int argc, char **argv);

static int usage(FILE *to)
{
    fprintf(
        to,
        "usage: qd master list [--url URL] [--json]\n"
        "       qd master add NAME [--url URL]\n"
        "       qd master remove NAME [--url URL]\n"
        "       qd master recover --unsafe [--config FILE] [-E KEY=VALUE] ...\n"
        "\n"
        "list shows the masters: who leads, who votes, who stands by. A new master joins by\n"
        "itself when it is started with discovery.seed_hosts; the cluster lets 1, 3 or 5 of them\n"
        "vote. remove takes a master's vote, so that it can be stopped; one that is gone already\n"
        "leaves the cluster. add lets a removed one vote again.\n"
        "\n"
        "recover is for a cluster that lost more than half of its voting masters for good. Stop\n"
        "all masters, run it on the one that holds the newest state, start that one, then empty\n"
        "path.data/coordination of the others and start them: they join again. Changes of the\n"
        "cluster's state (never documents) that this master did not have are lost.\n");
    return to == stdout ? 0 : 64;
}

typedef struct words {
    const char *url, *config, *name;
    bool json, unsafe, help;
    qd_config *settings;
} words;

static int read_words(words *w, int argc, char **argv, qd_err *err)
{
    enum { URL = 1, JSON, UNSAFE, CONFIG, SET, HELP };
    static const qd_option options[] = {{"url", true, URL},        {"json", false, JSON},
                                        {"unsafe", false, UNSAFE}, {"config", true, CONFIG},
                                        {"E", true, SET},          {"help", false, HELP},
                                        {"h", false, HELP},        {0}};
    qd_args a;
    int id, rc = 0;
    qd_args_init(&a, argc, argv, 2, options);
    while (rc == 0 && (id = qd_args_next(&a, err)) != QD_ARGS_END) {
        if (id == QD_ARGS_BAD) return QD_E_ARG;
        if (id == URL) w->url = a.value;
        if (id == JSON) w->json = true;
        if (id == UNSAFE) w->unsafe = true;
        if (id == CONFIG) w->config = a.value;
        if (id == HELP) w->help = true;
        if (id == SET) rc = qd_config_flag(w->settings, qd_str_c(a.value), err);
        if (id == QD_ARGS_WORD && w->name)
            rc = qd_err_set(err, QD_E_ARG, "one master at a time: [%s] or [%s]?", w->name, a.value);
        if (id == QD_ARGS_WORD) w->name = a.value;
    }
    return rc;
}

/* --- of a running node --- */

static qd_str text_of(const qd_json_node *o, const char *key)
{
    const qd_json_node *n = qd_json_get(o, key);
    return n ? qd_json_text(n) : QD_STR("");
}

static bool is_true(const qd_json_node *o, const char *key)
{
    return qd_str_is(text_of(o, key), "true");
}

static int print_list(qd_str answer, qd_err *err)
{
    qd_arena a;
    qd_json_node *root;
    qd_arena_init(&a, NULL, 0);
    int rc = qd_json_parse(&a, answer, 0, &root, err);
    const qd_json_node *list = rc ? NULL : qd_json_get(root, "masters");
    if (!rc) printf("%-24s %-28s %-8s %s\n", "name", "address", "role", "state");
    for (const qd_json_node *m = list ? list->first : NULL; m; m = m->next) {
        printf("%-24.*s %-28.*s %-8.*s %s%s\n", QD_STR_ARG(text_of(m, "name")),
               QD_STR_ARG(text_of(m, "address")), QD_STR_ARG(text_of(m, "role")),
               is_true(m, "leader")  ? "leads"
               : is_true(m, "alive") ? "alive"
                                     : "not seen",
               is_true(m, "excluded") ? ", taken out" : "");
    }
    qd_arena_fini(&a);
    return rc;
}

static int ask(const words *w, const char *verb, qd_err *err)
{
    bool list = strcmp(verb, "list") == 0;
    char path[1024] = "/_quidditch/masters", name[900];
    if (!list && (!w->name || !*w->name))
        return qd_err_set(err, QD_E_ARG, "name the master (qd master --help)");
    if (!list) {
        qd_client_escape(w->name, name, sizeof name);
        snprintf(path, sizeof path, "/_quidditch/masters/%s", name);
    }
    qd_client *c = NULL;
    qd_buf answer;
    int status = 0;
    qd_buf_init(&answer, NULL, ANSWER_BYTES_MAX);
    int rc = qd_client_open(w->url, &c, err);
    if (!rc)
        rc = qd_client_call(c,
                            list                       ? "GET"
                            : strcmp(verb, "add") == 0 ? "PUT"
                                                       : "DELETE",
                            path, (qd_str){NULL, 0}, false, &status, &answer, err);
    if (!rc && status >= 300) rc = qd_client_refused(qd_buf_view(&answer), status, err);
    if (!rc && w->json)
        printf("%.*s\n", QD_STR_ARG(qd_buf_view(&answer)));
    else if (!rc && list)
        rc = print_list(qd_buf_view(&answer), err);
    else if (!rc)
        printf("%s: %s\n", w->name,
               strcmp(verb, "add") == 0 ? "may vote again"
               : qd_str_find_str(qd_buf_view(&answer), QD_STR("\"gone\":true")) >= 0
                   ? "was gone, and has left the cluster"
                   : "votes no more, and may be stopped; once it is, the same again lets it leave "
                     "the list of masters");
    qd_buf_fini(&answer);
    qd_client_close(c);
    return rc;
}

/* --- by force --- */

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

/* Waits until the store leads itself and has raised its epoch. */
static int wait_active(qd_coord_store *s, qd_coord_identity *id, qd_err *err)
{
    qd_coord_list found;
    qd_arena arena;
    qd_arena_init(&arena, NULL, 1 << 20);
    int rc = qd_coord_read(s, QD_STR("cluster/uuid"), false, RECOVER_MS, &arena, &found, err);
    qd_arena_fini(&arena);
    if (rc == 0) qd_coord_identity_get(s, id);
    return rc;
}

/* The store that the settings name, else the one whose members can be changed. */
static int find_store(qd_node *node, const qd_coord_vtable **out, qd_self **self, qd_err *err)
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

/* A store of masters that is not in charge any more is not forced to be: its cluster goes on
 * elsewhere. */
static int check_in_charge(const qd_node *node, qd_err *err)
{
    char path[QD_PATH_MAX + 32];
    qd_authority *a;
    qd_authority_record r;
    snprintf(path, sizeof path, "%s/authority.json", node->data);
    if (!qd_file_exists(path)) return 0;
    int rc = qd_authority_open_file(path, &a, err);
    if (rc) return rc;
    qd_authority_get(a, &r);
    qd_authority_close(a);
    if (r.store != QD_STORE_KUBERNETES) return 0;
    return qd_err_set(err, QD_E_STATE,
                      "the state of this node's cluster [%s] is in Kubernetes since epoch %llu or "
                      "before, no masters hold it: there is nothing to recover here (qd mode)",
                      r.uuid, (unsigned long long)r.epoch);
}

static int recover_store(qd_node *node, qd_err *err)
{
    char path[QD_PATH_MAX + 32];
    const qd_coord_vtable *vt = NULL;
    qd_self *self;
    qd_coord_store *s = NULL;
    qd_coord_identity id = {0};
    snprintf(path, sizeof path, "%s/coordination", node->data);
    int rc = check_in_charge(node, err);
    if (rc == 0) rc = find_store(node, &vt, &self, err);
    if (rc == 0 && !qd_file_exists(path))
        rc = qd_err_set(err, QD_E_NOTFOUND, "there is no %s: is path.data right?", path);
    qd_coord_config config = {.struct_size = sizeof config,
                              .flags = QD_COORD_OPEN_BOOTSTRAP | QD_COORD_OPEN_RECOVER,
                              .cluster = qd_config_text(node->config, QD_SET_CLUSTER_NAME),
                              .node_id = qd_str_c(node->name),
                              .node_name = qd_str_c(node->name),
                              .path = qd_str_c(path)};
    if (rc == 0) rc = qd_coord_open(node->env, vt, self, &config, &s, err);
    if (rc == 0) rc = wait_active(s, &id, err);
    qd_coord_close(s);
    if (rc) return rc;
    printf("The cluster's state of this master, up to revision %llu, is in force again under epoch "
           "%llu.\n"
           "Lost, if they were acknowledged: changes after that revision that only other masters\n"
           "had (indices created or deleted, mappings, settings, which copies are in sync).\n"
           "Now start this master; empty path.data/coordination of every other one before it is\n"
           "started, and it joins again. Masters that are not emptied are refused.\n",
           (unsigned long long)id.revision, (unsigned long long)id.epoch);
    return 0;
}

static int recover(words *w, int argc, char **argv, qd_err *err)
{
    qd_node *node = qd_calloc(NULL, sizeof *node);
    qd_machine_memory memory;
    if (!node) return qd_err_nomem(err, "qd master");
    node->env = qd_env_system();
    qd_machine_memory_get(&memory);
    int rc = qd_paths_find(&node->paths, err);
    if (rc == 0) rc = qd_config_open((int64_t)memory.limit, &node->config, err);
    w->settings = node->config;
    if (rc == 0) rc = read_words(w, argc, argv, err);
    if (rc == 0 && w->help) {
        qd_config_close(node->config);
        qd_free(node);
        return usage(stdout);
    }
    if (rc == 0 && !w->unsafe)
        rc = qd_err_set(err, QD_E_ARG,
                        "recover gives up what only the lost masters had: say --unsafe if they are "
                        "lost for good (qd master --help)");
    if (rc == 0) rc = read_config(node, w->config, err);
    if (rc == 0)
        snprintf(node->name, sizeof node->name, "%.*s",
                 QD_STR_ARG(qd_config_text(node->config, QD_SET_NODE_NAME)));
    if (rc == 0 && !node->name[0]) snprintf(node->name, sizeof node->name, "recover");
    if (rc == 0)
        rc = qd_main_plugins_open(node->config, &node->paths, node->env, NULL, NULL, &node->plugins,
                                  err);
    if (rc == 0) rc = qd_plugin_host_load(node->plugins, err);
    if (rc == 0) rc = recover_store(node, err);
    qd_plugin_host_close(node->plugins);
    qd_config_close(node->config);
    qd_free(node);
    return rc;
}

int qd_command_master(int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "";
    words w = {0};
    qd_err err;
    qd_err_init(&err);
    int rc = 0;
    if (strcmp(verb, "--help") == 0 || strcmp(verb, "-h") == 0) return usage(stdout);
    if (strcmp(verb, "recover") == 0) {
        rc = recover(&w, argc, argv, &err);
    } else if (strcmp(verb, "list") == 0 || strcmp(verb, "add") == 0 ||
               strcmp(verb, "remove") == 0) {
        rc = read_words(&w, argc, argv, &err);
        if (rc == 0) rc = w.help ? usage(stdout) : ask(&w, verb, &err);
    } else {
        return usage(stderr);
    }
    if (rc < 0) fprintf(stderr, "qd master: %s\n", qd_err_reason(&err));
    qd_err_fini(&err);
    return rc < 0 ? 1 : rc;
}
