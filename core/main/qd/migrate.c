/* migrate.c: `qd migrate start|status|abort|finish`: asks a running node. */
#include "base/arena.h"
#include "main/args.h"
#include "main/qd/client.h"
#include "json/tree.h"
#include <stdio.h>
#include <string.h>

#define ANSWER_BYTES_MAX (1u << 20)
#define PATH "/_cluster/coordination/_migrate"

int qd_command_migrate(int argc, char **argv);

static int usage(FILE *to)
{
    fprintf(
        to,
        "usage: qd migrate start --to k8s-native|master [--url URL] [--timeout SECONDS] [--json]\n"
        "       qd migrate status [--url URL] [--timeout SECONDS] [--json]\n"
        "       qd migrate abort [--url URL] [--timeout SECONDS] [--json]\n"
        "       qd migrate finish [--url URL] [--timeout SECONDS] [--json]\n"
        "\n"
        "Moves the cluster's state to the other store while the cluster runs: it is copied,\n"
        "compared, the old store is sealed, and the new one takes over. Searches and writes\n"
        "go on; changes of the state wait for a moment. Ask a control node that has access\n"
        "to both stores. abort gives it up, as long as the new store has not taken over;\n"
        "after that, migrate back. finish forgets the old store's plan: it may be emptied.\n"
        "A node that is silent for --timeout (30, of changes 60; 0: no limit) is not waited for;\n"
        "a move that was begun goes on without whoever asked for it.\n");
    return to == stdout ? 0 : QD_EXIT_USAGE;
}

typedef struct words {
    const char *verb, *url, *to;
    int64_t patience; /* seconds; < 0: as usual */
    bool json, help;
} words;

static int read_words(words *w, int argc, char **argv, qd_err *err)
{
    enum { URL = 1, JSON, TO, TIMEOUT, HELP };
    static const qd_option options[] = {{"url", true, URL},
                                        {"json", false, JSON},
                                        {"to", true, TO},
                                        {"timeout", true, TIMEOUT},
                                        {"help", false, HELP},
                                        {"h", false, HELP},
                                        {0}};
    qd_args a;
    int id;
    qd_args_init(&a, argc, argv, 1, options);
    while ((id = qd_args_next(&a, err)) != QD_ARGS_END) {
        if (id == QD_ARGS_BAD) return QD_E_ARG;
        if (id == URL) w->url = a.value;
        if (id == JSON) w->json = true;
        if (id == TO) w->to = a.value;
        if (id == HELP) w->help = true;
        if (id == TIMEOUT && qd_client_seconds(a.value, &w->patience, err)) return QD_E_ARG;
        if (id == QD_ARGS_WORD && w->verb)
            return qd_err_set(err, QD_E_ARG, "one at a time: [%s] or [%s]?", w->verb, a.value);
        if (id == QD_ARGS_WORD) w->verb = a.value;
    }
    return 0;
}

static qd_str text(const qd_json_node *o, const char *key)
{
    const qd_json_node *n = o ? qd_json_get(o, key) : NULL;
    return n ? qd_json_text(n) : (qd_str){"-", 1};
}

static int print_status(qd_str answer, qd_err *err)
{
    qd_arena a;
    qd_json_node *root;
    qd_arena_init(&a, NULL, 0);
    int rc = qd_json_parse(&a, answer, 0, &root, err);
    if (!rc) {
        const qd_json_node *epoch = qd_json_get(root, "epoch");
        qd_str step = text(root, "step");
        printf("step        %.*s\n", QD_STR_ARG(step));
        if (qd_json_get(root, "kept"))
            printf("kept        no migration is under way, the mirror is kept up to date\n");
        if (epoch) {
            printf("from        %.*s, epoch %.*s\n", QD_STR_ARG(text(root, "from")),
                   QD_STR_ARG(text(epoch, "from")));
            printf("to          %.*s, epoch %.*s\n", QD_STR_ARG(text(root, "to")),
                   QD_STR_ARG(text(epoch, "to")));
            printf("since       %.*s\n", QD_STR_ARG(text(root, "since")));
        }
        if (epoch && !qd_str_is(step, "done")) {
            printf("copied      revision %.*s of %.*s\n", QD_STR_ARG(text(root, "copied")),
                   QD_STR_ARG(text(root, "revision")));
            printf("compared    %.*s clean rounds, %.*s keys differed\n",
                   QD_STR_ARG(text(root, "clean_rounds")), QD_STR_ARG(text(root, "differences")));
        }
        if (qd_json_get(root, "waits_for"))
            printf("waits for   %.*s\n", QD_STR_ARG(text(root, "waits_for")));
    }
    qd_arena_fini(&a);
    return rc;
}

/* What is asked of the node, and what is said when it has agreed. */
typedef struct verb {
    const char *name, *method, *path, *said; /* said NULL: the status is shown */
} verb;

static const verb verbs[] = {
    {"start", "POST", PATH "?to=", "the move is begun: qd migrate status tells how far it is"},
    {"status", "GET", PATH, NULL},
    {"abort", "DELETE", PATH, "the move is being given up: qd migrate status tells when it is"},
    {"finish", "POST", PATH "/_finish", "the move is finished: the old store may be emptied"},
};

static int ask(const words *w, const verb *v, const char *path, qd_err *err)
{
    qd_client *c = NULL;
    qd_buf answer;
    int status = 0;
    qd_buf_init(&answer, NULL, ANSWER_BYTES_MAX);
    int rc = qd_client_open(w->url, &c, err);
    if (!rc) {
        int64_t usual = v->said ? QD_CLIENT_CHANGE_S : QD_CLIENT_READ_S;
        qd_client_patience(c, w->patience < 0 ? usual : w->patience);
        rc = qd_client_call(c, v->method, path, (qd_str){NULL, 0}, false, &status, &answer, err);
    }
    if (!rc && status != 200) rc = qd_client_refused(qd_buf_view(&answer), status, err);
    if (!rc && w->json) printf("%.*s\n", QD_STR_ARG(qd_buf_view(&answer)));
    if (!rc && !w->json && v->said) printf("%s\n", v->said);
    if (!rc && !w->json && !v->said) rc = print_status(qd_buf_view(&answer), err);
    qd_buf_fini(&answer);
    qd_client_close(c);
    return rc;
}

static int run(const words *w, qd_err *err)
{
    char path[200], to[64] = "";
    const verb *v = NULL;
    for (size_t i = 0; i < QD_COUNT_OF(verbs); i++)
        if (strcmp(w->verb, verbs[i].name) == 0) v = &verbs[i];
    if (!v)
        return qd_err_set(err, QD_E_ARG, "[%s] is none of start, status, abort, finish", w->verb);
    bool start = v == &verbs[0];
    if (w->to && !start) return qd_err_set(err, QD_E_ARG, "--to is for start, not for %s", v->name);
    if (start && (!w->to || strlen(w->to) > 20))
        return qd_err_set(err, QD_E_ARG, "say where to: --to k8s-native or --to master");
    int rc = start ? qd_client_escape(w->to, to, sizeof to, err) : 0;
    if (rc) return rc;
    snprintf(path, sizeof path, "%s%s", v->path, to);
    return ask(w, v, path, err);
}

int qd_command_migrate(int argc, char **argv)
{
    words w = {0};
    qd_err err;
    qd_err_init(&err);
    int rc = read_words(&w, argc, argv, &err);
    if (!rc && w.help) return usage(stdout);
    if (!rc && !w.verb) return usage(stderr);
    if (!rc) rc = run(&w, &err);
    if (rc) fprintf(stderr, "qd migrate: %s\n", qd_err_reason(&err));
    qd_err_fini(&err);
    return qd_exit_status(rc);
}
