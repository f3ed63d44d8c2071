/*
 * master.c: `qd master list|add|remove|recover`. The first three ask a running node; recover
 * works on the folder of a node that does not run.
 */
#include "base/arena.h"
#include "main/args.h"
#include "main/qd/client.h"
#include "main/qd/offline.h"
#include "json/tree.h"
#include <stdio.h>
#include <string.h>

#define ANSWER_BYTES_MAX (4u << 20)

int qd_command_master(int argc, char **argv);

static int usage(FILE *to)
{
    fprintf(
        to,
        "usage: qd master list [--url URL] [--timeout SECONDS] [--json]\n"
        "       qd master add NAME [--url URL] [--timeout SECONDS]\n"
        "       qd master remove NAME [--url URL] [--timeout SECONDS]\n"
        "       qd master recover --unsafe [--config FILE] [-E KEY=VALUE] ...\n"
        "\n"
        "list shows the masters: who leads, who votes, who stands by. A new master joins by\n"
        "itself when it is started with discovery.seed_hosts; the cluster lets 1, 3 or 5 of them\n"
        "vote. remove takes a master's vote, so that it can be stopped; one that is gone already\n"
        "leaves the cluster. add lets a removed one vote again. A node that is silent for\n"
        "--timeout (30, of changes 60; 0: no limit) is not waited for.\n"
        "\n"
        "recover is for a cluster that lost more than half of its voting masters for good. Stop\n"
        "all masters, run it on the one that holds the newest state, start that one, then empty\n"
        "path.data/coordination of the others and start them: they join again. Changes of the\n"
        "cluster's state (never documents) that this master did not have are lost.\n");
    return to == stdout ? 0 : QD_EXIT_USAGE;
}

typedef struct words {
    const char *url, *config, *name;
    int64_t patience; /* seconds; < 0: as usual */
    bool json, unsafe, help;
    qd_config *settings;
} words;

static int read_words(words *w, int argc, char **argv, qd_err *err)
{
    enum { URL = 1, JSON, UNSAFE, CONFIG, SET, TIMEOUT, HELP };
    static const qd_option options[] = {
        {"url", true, URL},       {"json", false, JSON}, {"unsafe", false, UNSAFE},
        {"config", true, CONFIG}, {"E", true, SET},      {"timeout", true, TIMEOUT},
        {"help", false, HELP},    {"h", false, HELP},    {0}};
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
        if (id == TIMEOUT) rc = qd_client_seconds(a.value, &w->patience, err);
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
        int rc = qd_client_escape(w->name, name, sizeof name, err);
        if (rc) return rc;
        snprintf(path, sizeof path, "/_quidditch/masters/%s", name);
    }
    qd_client *c = NULL;
    qd_buf answer;
    int status = 0;
    qd_buf_init(&answer, NULL, ANSWER_BYTES_MAX);
    int rc = qd_client_open(w->url, &c, err);
    if (!rc) {
        int64_t usual = list ? QD_CLIENT_READ_S : QD_CLIENT_CHANGE_S;
        qd_client_patience(c, w->patience < 0 ? usual : w->patience);
        rc = qd_client_call(c,
                            list                       ? "GET"
                            : strcmp(verb, "add") == 0 ? "PUT"
                                                       : "DELETE",
                            path, (qd_str){NULL, 0}, false, &status, &answer, err);
    }
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

static int gone_over(const qd_store_seen *m, const char *what, qd_err *err)
{
    return qd_err_set(
        err, QD_E_STATE,
        "the masters' store of this node %s under epoch %llu%s%s: it is not forced to be in charge "
        "again. If the other store (k8s) has the cluster, the cluster goes on there: start the "
        "nodes with access to it (qd mode). If that one is lost for ever: qd mode force --to "
        "master --epoch %llu --accept-data-loss",
        what, (unsigned long long)m->epoch, m->to[0] ? ", for a migration to " : "", m->to,
        (unsigned long long)m->epoch);
}

/* A store of masters that is not in charge any more is not forced to be: its cluster goes on
 * elsewhere, also where this node was down when that was decided. */
static int check_in_charge(qd_offline *o, const qd_store_seen *m, qd_err *err)
{
    qd_store_seen k;
    qd_err why;
    if (o->recorded && o->record.store == QD_STORE_KUBERNETES)
        return qd_err_set(
            err, QD_E_STATE,
            "the state of this node's cluster [%s] is in Kubernetes since epoch %llu or "
            "before, no masters hold it: there is nothing to recover here (qd mode)",
            o->record.uuid, (unsigned long long)o->record.epoch);
    if (m->state == QD_COORD_SEALED) return gone_over(m, "was sealed", err);
    if (m->state == QD_COORD_RETIRED) return gone_over(m, "has handed the cluster over", err);
    if (m->state == QD_COORD_MIRROR) return gone_over(m, "is a copy of another one", err);
    if (m->state == QD_COORD_VOID) return gone_over(m, "is a copy that was given up", err);
    if (!qd_offline_reaches_kubernetes(o)) return 0;
    qd_err_init(&why);
    int rc = qd_offline_look(o, &k, &why);
    if (rc)
        rc = qd_err_set(err, QD_E_STATE,
                        "this node's settings give access to Kubernetes, which cannot be asked "
                        "whether it has taken the cluster over since: %s. Bring it back; or, if it "
                        "is lost for ever: qd mode force --to master --epoch %llu "
                        "--accept-data-loss; or, if this cluster never had a store there, take "
                        "KUBECONFIG (coordination.k8s.kubeconfig) away",
                        qd_err_reason(&why), (unsigned long long)m->epoch);
    qd_err_fini(&why);
    bool in_charge = k.state == QD_COORD_ACTIVE || k.state == QD_COORD_SEALED;
    if (rc || !k.there || !in_charge || strcmp(k.uuid, m->uuid) != 0 || k.epoch <= m->epoch)
        return rc;
    return qd_err_set(err, QD_E_STATE,
                      "the state of this node's cluster [%s] is in Kubernetes (k8s), epoch %llu, "
                      "which took over while this node was down; it knows epoch %llu. There is "
                      "nothing to recover here (qd mode)",
                      m->uuid, (unsigned long long)k.epoch, (unsigned long long)m->epoch);
}

static int check_copy(qd_offline *o, qd_err *err)
{
    qd_coord_store *copy = NULL;
    qd_store_seen m;
    int rc = qd_offline_copy(o, &copy, &m, err);
    qd_coord_close(copy);
    qd_offline_copy_remove(o);
    return rc ? rc : check_in_charge(o, &m, err);
}

static int recover_store(qd_offline *o, qd_err *err)
{
    qd_coord_store *s = NULL;
    qd_coord_identity id = {0};
    int rc = check_copy(o, err);
    if (!rc) rc = qd_offline_masters(o, "coordination", &s, err);
    if (!rc) qd_coord_identity_get(s, &id);
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
    qd_offline o;
    int rc = qd_offline_make(&o, err);
    if (rc == 0) w->settings = o.node->config;
    if (rc == 0) rc = read_words(w, argc, argv, err);
    if (rc == 0 && w->help) {
        qd_offline_free(&o);
        return usage(stdout);
    }
    if (rc == 0 && !w->unsafe)
        rc = qd_err_set(err, QD_E_ARG,
                        "recover gives up what only the lost masters had: say --unsafe if they are "
                        "lost for good (qd master --help)");
    if (rc == 0) rc = qd_offline_load(&o, w->config, err);
    if (rc == 0) rc = recover_store(&o, err);
    qd_offline_free(&o);
    return rc;
}

int qd_command_master(int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "";
    words w = {.patience = -1};
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
    return rc < 0 ? qd_exit_status(rc) : rc;
}
