/* mode.c: `qd mode`: where the cluster's state is, as one node knows it. */
#include "main/qd/mode.h"
#include "base/arena.h"
#include "main/args.h"
#include "main/qd/client.h"
#include "json/tree.h"
#include <stdio.h>
#include <string.h>

#define ANSWER_BYTES_MAX (1u << 20)

int qd_command_mode(int argc, char **argv);

static int usage(FILE *to)
{
    fprintf(to,
            "usage: qd mode [--url URL] [--timeout SECONDS] [--json]\n"
            "       qd mode force --to k8s-native|master --epoch EPOCH --accept-data-loss\n"
            "                     [--config FILE] [-E KEY=VALUE] ...\n"
            "\n"
            "Shows where the cluster's state is (coordination.mode): which mode was asked for,\n"
            "which was chosen and why, since when; the store with its control epoch and\n"
            "revision, who leads, and whether the store can be reached. The node at URL tells\n"
            "what it knows, also while nobody leads; one that is silent for --timeout (30; 0: no\n"
            "limit) is not waited for. The mode of a cluster that has formed is\n"
            "changed by qd migrate only, never by a setting.\n"
            "\n"
            "force is for a store that is lost for ever: the other one takes over, with its copy\n"
            "of the state or with that of this node's path.data, under an epoch 1,000 higher.\n"
            "Stop all control nodes, run it on one that was a master, with its settings. EPOCH is\n"
            "that of the lost store, as qd mode showed it. It says which changes of the cluster's\n"
            "state (never documents) may be lost, and writes that to path.data.\n");
    return to == stdout ? 0 : QD_EXIT_USAGE;
}

static const qd_json_node *at(const qd_json_node *o, const char *part, const char *key)
{
    const qd_json_node *n = part ? qd_json_get(o, part) : o;
    if (!n || n->type != QD_JSON_T_OBJECT) return NULL;
    n = qd_json_get(n, key);
    return n && n->type != QD_JSON_T_NULL ? n : NULL;
}

static qd_str text(const qd_json_node *o, const char *part, const char *key)
{
    const qd_json_node *n = at(o, part, key);
    return n ? qd_json_text(n) : QD_STR("-");
}

static bool is_true(const qd_json_node *o, const char *part, const char *key)
{
    return qd_str_is(text(o, part, key), "true");
}

static void print_why(const qd_json_node *o)
{
    const qd_json_node *list = at(o, "mode", "why");
    const char *left = "why";
    for (const qd_json_node *n = list ? list->first : NULL; n; n = n->next, left = "")
        printf("%-10s %.*s\n", left, QD_STR_ARG(qd_json_text(n)));
}

static void print_leader(const qd_json_node *o)
{
    bool asked = qd_str_is(text(o, NULL, "answered_by"), "leader");
    if (!at(o, NULL, "leader")) {
        printf("leader     none is known\n");
        return;
    }
    printf("leader     %.*s at %.*s", QD_STR_ARG(text(o, "leader", "name")),
           QD_STR_ARG(text(o, "leader", "address")));
    if (asked)
        printf(", term %.*s\n", QD_STR_ARG(text(o, "leader", "term")));
    else
        printf(", as last known here\n");
}

/* The sentence of a store that is not reached; nothing where there is none. */
static void print_reason(const qd_json_node *o, const char *store)
{
    if (at(o, store, "unreachable_reason"))
        printf("%-10s %.*s\n", "", QD_STR_ARG(text(o, store, "unreachable_reason")));
}

/* The other store, where it is told to be there and does not answer. */
static void print_other(const qd_json_node *o)
{
    if (!at(o, "other_store", "mode") || is_true(o, "other_store", "reachable")) return;
    printf("other      the store of mode %.*s is not reachable, since %.*s\n",
           QD_STR_ARG(text(o, "other_store", "mode")),
           QD_STR_ARG(text(o, "other_store", "unreachable_since")));
    print_reason(o, "other_store");
}

static void print_reachable(const qd_json_node *o)
{
    if (is_true(o, "store", "reachable"))
        printf("reachable  yes\n");
    else if (at(o, "store", "unreachable_since"))
        printf("reachable  no, since %.*s: searches and writes go on, changes of the state fail\n",
               QD_STR_ARG(text(o, "store", "unreachable_since")));
    else
        printf("reachable  no\n");
    print_reason(o, "store");
    print_other(o);
}

static void print(const qd_json_node *o)
{
    qd_str plugin = text(o, "store", "plugin");
    printf("mode       %.*s (asked for: %.*s)%s\n", QD_STR_ARG(text(o, "mode", "chosen")),
           QD_STR_ARG(text(o, "mode", "asked")),
           is_true(o, "mode", "migration_wanted") ? ", waits for qd migrate" : "");
    print_why(o);
    printf("since      %.*s\n", QD_STR_ARG(text(o, "mode", "since")));
    printf("store      %.*s, %.*s, id %.*s", QD_STR_ARG(text(o, "store", "kind")),
           QD_STR_ARG(text(o, "store", "state")), QD_STR_ARG(text(o, "store", "id")));
    if (!qd_str_is(plugin, "-")) printf(", plugin %.*s", QD_STR_ARG(plugin));
    printf("\nepoch      %.*s\n", QD_STR_ARG(text(o, "store", "epoch")));
    printf("revision   %.*s\n", QD_STR_ARG(text(o, "store", "revision")));
    if (at(o, "mirror", "epoch"))
        printf("mirror     in %.*s, %.*s revisions behind%s\n",
               QD_STR_ARG(text(o, "mirror", "mode")), QD_STR_ARG(text(o, "mirror", "lag")),
               is_true(o, "mirror", "reachable") ? "" : ", not reachable");
    print_leader(o);
    printf("this node  %.*s, %.*s\n", QD_STR_ARG(text(o, "node", "name")),
           QD_STR_ARG(text(o, "node", "role")));
    print_reachable(o);
}

static int show(const char *url, int64_t patience, bool json, qd_err *err)
{
    qd_client *c = NULL;
    qd_buf answer;
    qd_arena a;
    qd_json_node *root = NULL;
    int status = 0;
    qd_buf_init(&answer, NULL, ANSWER_BYTES_MAX);
    qd_arena_init(&a, NULL, 0);
    int rc = qd_client_open(url, &c, err);
    if (!rc) {
        qd_client_patience(c, patience);
        rc = qd_client_call(c, "GET", "/_cluster/coordination", (qd_str){NULL, 0}, false, &status,
                            &answer, err);
    }
    if (!rc && status != 200)
        rc = qd_err_set(err, QD_E_STATE, "the node answered %d: %.*s", status,
                        (int)(answer.n < 400 ? answer.n : 400), answer.p);
    if (!rc && !json) rc = qd_json_parse(&a, qd_buf_view(&answer), 0, &root, err);
    if (!rc && json)
        printf("%.*s\n", QD_STR_ARG(qd_buf_view(&answer)));
    else if (!rc)
        print(root);
    qd_arena_fini(&a);
    qd_buf_fini(&answer);
    qd_client_close(c);
    return rc;
}

int qd_command_mode(int argc, char **argv)
{
    enum { URL = 1, JSON, TIMEOUT, HELP };
    static const qd_option options[] = {{"url", true, URL},         {"json", false, JSON},
                                        {"timeout", true, TIMEOUT}, {"help", false, HELP},
                                        {"h", false, HELP},         {0}};
    const char *url = NULL;
    bool json = false;
    int64_t patience = QD_CLIENT_READ_S;
    int id, rc = 0;
    qd_err err;
    qd_args a;
    qd_err_init(&err);
    bool force = argc > 1 && strcmp(argv[1], "force") == 0;
    if (force && argc > 2 && (strcmp(argv[2], "--help") == 0 || strcmp(argv[2], "-h") == 0))
        return usage(stdout);
    if (force) rc = qd_mode_force(argc, argv, &err);
    qd_args_init(&a, argc, argv, 1, options);
    while (!force && !rc && (id = qd_args_next(&a, &err)) != QD_ARGS_END) {
        if (id == URL) url = a.value;
        if (id == JSON) json = true;
        if (id == TIMEOUT) rc = qd_client_seconds(a.value, &patience, &err);
        if (id == HELP) return usage(stdout);
        if (id == QD_ARGS_WORD) return usage(stderr);
        if (id == QD_ARGS_BAD) rc = QD_E_ARG;
    }
    if (!rc && !force) rc = show(url, patience, json, &err);
    if (rc) fprintf(stderr, "qd mode: %s\n", qd_err_reason(&err));
    qd_err_fini(&err);
    return qd_exit_status(rc);
}
