/* health.c: `qd health`: the cluster's health in one line, and as an exit status. */
#include "main/args.h"
#include "main/qd/client.h"
#include "runtime/proc.h"
#include "json/tree.h"
#include <stdio.h>

static qd_str member(const qd_json_node *root, const char *key)
{
    const qd_json_node *n = qd_json_get(root, key);
    return n ? qd_json_text(n) : QD_STR("?");
}

static int print_health(qd_str answer)
{
    qd_arena a;
    qd_json_node *root;
    qd_arena_init(&a, NULL, 0);
    if (qd_json_parse(&a, answer, 0, &root, NULL)) {
        qd_arena_fini(&a);
        fprintf(stderr, "qd health: the answer is no JSON\n");
        return 2;
    }
    qd_str status = member(root, "status");
    bool green = qd_str_is(status, "green"), yellow = qd_str_is(status, "yellow");
    const char *color = !qd_proc_tty(NULL) || !qd_proc_colors() ? ""
                        : green                                 ? "\033[32m"
                        : yellow                                ? "\033[33m"
                                                                : "\033[31m";
    printf("%.*s: %s%.*s%s, %.*s nodes, %.*s shards active, %.*s unassigned\n",
           QD_STR_ARG(member(root, "cluster_name")), color, QD_STR_ARG(status),
           color[0] ? "\033[0m" : "", QD_STR_ARG(member(root, "number_of_nodes")),
           QD_STR_ARG(member(root, "active_shards")),
           QD_STR_ARG(member(root, "unassigned_shards")));
    qd_arena_fini(&a);
    return green || yellow ? 0 : 1;
}

int qd_command_health(int argc, char **argv);

int qd_command_health(int argc, char **argv)
{
    static const qd_option options[] = {{"url", true, 1},   {"timeout", true, 4},
                                        {"json", false, 2}, {"help", false, 3},
                                        {"h", false, 3},    {0}};
    const char *url = NULL;
    bool json = false;
    int64_t patience = QD_CLIENT_READ_S;
    int id, rc = 0, status;
    qd_client *c = NULL;
    qd_buf answer;
    qd_err err;
    qd_args a;
    qd_err_init(&err);
    qd_args_init(&a, argc, argv, 1, options);
    while (!rc && (id = qd_args_next(&a, &err)) != QD_ARGS_END) {
        if (id == 1) url = a.value;
        if (id == 2) json = true;
        if (id == 4) rc = qd_client_seconds(a.value, &patience, &err);
        if (id == 3) {
            printf(
                "usage: qd health [--url URL] [--timeout SECONDS] [--json]\n\nExit status 0: green "
                "or "
                "yellow, 1: red, 2: no answer, also for a node that is\nsilent for --timeout (30; "
                "0: no limit).\n");
            return 0;
        }
        if (id == QD_ARGS_BAD) rc = QD_E_ARG;
        if (id == QD_ARGS_WORD)
            rc = qd_err_set(&err, QD_E_ARG, "unexpected argument (qd health --help)");
    }
    qd_buf_init(&answer, NULL, 1 << 24);
    if (!rc) rc = qd_client_open(url, &c, &err);
    if (!rc) {
        qd_client_patience(c, patience);
        rc = qd_client_call(c, "GET", "/_cluster/health", (qd_str){NULL, 0}, false, &status,
                            &answer, &err);
    }
    if (rc) {
        fprintf(stderr, "qd health: %s\n", qd_err_reason(&err));
        rc = rc == QD_E_ARG ? QD_EXIT_USAGE : 2;
    } else if (json) {
        printf("%.*s\n", QD_STR_ARG(qd_buf_view(&answer)));
    } else {
        rc = print_health(qd_buf_view(&answer));
    }
    qd_err_fini(&err);
    qd_buf_fini(&answer);
    qd_client_close(c);
    return rc;
}
