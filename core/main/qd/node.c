/*
 * node.c: `qd node may-stop|stop|release`: leave to stop a node, as an operator or a preStop
 * hook takes it: a permit, so that no second node goes at the same time, and a flush, so that it
 * starts quickly again. The process itself is ended by SIGTERM, here where a file with its id is
 * given.
 */
#include "base/arena.h"
#include "main/args.h"
#include "main/qd/client.h"
#include "runtime/env.h"
#include "runtime/file.h"
#include "runtime/proc.h"
#include "json/tree.h"
#include <stdio.h>
#include <string.h>

#define ANSWER_BYTES_MAX (4u << 20)
#define AGAIN_NS UINT64_C(1000000000)
#define END_NS UINT64_C(100000000)
#define STOP_S 300

int qd_command_node(int argc, char **argv);

static int usage(FILE *to)
{
    fprintf(
        to,
        "usage: qd node may-stop [NODE] [--reason restart|remove] [--timeout SECONDS] [--url URL]\n"
        "                        [--json]\n"
        "       qd node stop [NODE] [--reason restart|remove] [--holder TEXT] [--expires TIME]\n"
        "                    [--timeout SECONDS] [--pidfile FILE] [--url URL]\n"
        "       qd node release [NODE] [--timeout SECONDS] [--url URL]\n"
        "\n"
        "NODE is a name or id; default: the node at URL. may-stop tells whether the node could\n"
        "be stopped now, and why not; it exits with 1 if not. stop takes a permit: while it is\n"
        "open no other node gets one that would break a shard, a zone or the quorum. It waits\n"
        "until it gets it, at most --timeout (300), has all shards flushed, and with --pidfile\n"
        "ends that process by SIGTERM and waits for its end; without it the node is stopped by\n"
        "whoever called. With --reason remove the node is emptied first. A permit to restart\n"
        "ends when the node is back, or with release. A node that is silent is not waited for\n"
        "longer than --timeout either, which is 30 for may-stop and 60 for release (0: no limit).\n"
        "\n"
        "As a preStop hook: qd node stop --holder preStop --timeout 60\n");
    return to == stdout ? 0 : QD_EXIT_USAGE;
}

typedef struct words {
    const char *url, *name, *reason, *holder, *expires, *pidfile;
    int64_t seconds; /* < 0: as usual */
    bool json, help;
} words;

static int read_words(words *w, int argc, char **argv, qd_err *err)
{
    enum { URL = 1, JSON, REASON, HOLDER, EXPIRES, TIMEOUT, PIDFILE, HELP };
    static const qd_option options[] = {{"url", true, URL},         {"json", false, JSON},
                                        {"reason", true, REASON},   {"holder", true, HOLDER},
                                        {"expires", true, EXPIRES}, {"timeout", true, TIMEOUT},
                                        {"pidfile", true, PIDFILE}, {"help", false, HELP},
                                        {"h", false, HELP},         {0}};
    qd_args a;
    int id;
    qd_args_init(&a, argc, argv, 2, options);
    while ((id = qd_args_next(&a, err)) != QD_ARGS_END) {
        if (id == QD_ARGS_BAD) return QD_E_ARG;
        if (id == URL) w->url = a.value;
        if (id == JSON) w->json = true;
        if (id == REASON) w->reason = a.value;
        if (id == HOLDER) w->holder = a.value;
        if (id == EXPIRES) w->expires = a.value;
        if (id == PIDFILE) w->pidfile = a.value;
        if (id == HELP) w->help = true;
        if (id == QD_ARGS_WORD) w->name = a.value;
        if (id == TIMEOUT && qd_client_seconds(a.value, &w->seconds, err)) return QD_E_ARG;
    }
    return 0;
}

/* --- asking --- */

typedef struct answer {
    qd_arena arena;
    qd_buf text;
    qd_json_node *root; /* NULL: none that could be read */
    int status;
} answer;

static void answer_fini(answer *a)
{
    qd_buf_fini(&a->text);
    qd_arena_fini(&a->arena);
}

static int ask(qd_client *c, const char *method, const char *path, answer *a, qd_err *err)
{
    *a = (answer){0};
    qd_arena_init(&a->arena, NULL, 0);
    qd_buf_init(&a->text, NULL, ANSWER_BYTES_MAX);
    int rc = qd_client_call(c, method, path, (qd_str){NULL, 0}, false, &a->status, &a->text, err);
    if (!rc && qd_json_parse(&a->arena, qd_buf_view(&a->text), 0, &a->root, NULL)) a->root = NULL;
    return rc;
}

static qd_str text_at(const qd_json_node *o, const char *key)
{
    const qd_json_node *n = o ? qd_json_get(o, key) : NULL;
    return n ? qd_json_text(n) : QD_STR("");
}

static int refused(const answer *a, qd_err *err)
{
    qd_str reason = text_at(a->root ? qd_json_get(a->root, "error") : NULL, "reason");
    return qd_err_set(err, QD_E_STATE, "the node answered %d: %.*s", a->status, QD_STR_ARG(reason));
}

static int path_of(const words *w, bool take, char *out, size_t room, qd_err *err)
{
    char name[700], holder[700], expires[200], reason[200];
    int rc = qd_client_escape(w->name ? w->name : "_local", name, sizeof name, err);
    if (!rc)
        rc = qd_client_escape(w->holder ? w->holder : "qd node stop", holder, sizeof holder, err);
    if (!rc) rc = qd_client_escape(w->expires ? w->expires : "", expires, sizeof expires, err);
    if (!rc) rc = qd_client_escape(w->reason ? w->reason : "restart", reason, sizeof reason, err);
    if (rc) return rc;
    int n = snprintf(out, room, "/_nodes/%s/_may_stop?reason=%s", name, reason);
    if (take && n > 0 && (size_t)n < room)
        snprintf(out + n, room - (size_t)n, "&holder=%s%s%s", holder,
                 w->expires ? "&expires_after=" : "", expires);
    return 0;
}

/* --- the commands --- */

static int may_stop(qd_client *c, const words *w, qd_err *err)
{
    char path[2048];
    answer a;
    qd_client_patience(c, w->seconds < 0 ? QD_CLIENT_READ_S : w->seconds);
    int rc = path_of(w, false, path, sizeof path, err);
    if (rc) return rc;
    rc = ask(c, "GET", path, &a, err);
    if (!rc && (a.status >= 300 || !a.root)) rc = refused(&a, err);
    bool may = !rc && qd_str_is(text_at(a.root, "may_stop"), "true");
    if (!rc && w->json) {
        printf("%.*s\n", QD_STR_ARG(qd_buf_view(&a.text)));
    } else if (!rc) {
        printf("%.*s %s\n", QD_STR_ARG(text_at(a.root, "node_name")),
               may ? "may stop" : "may not stop:");
        const qd_json_node *why = qd_json_get(a.root, "explanations");
        for (const qd_json_node *n = why ? why->first : NULL; n && !may; n = n->next)
            printf("  %.*s\n", QD_STR_ARG(qd_json_text(n)));
    }
    answer_fini(&a);
    return rc ? rc : !may;
}

/* A silent node is waited for as long as there is time, and for a moment where there is none. */
static void patience_until(qd_client *c, const words *w, uint64_t until)
{
    uint64_t now = qd_env_mono_ns(qd_env_system());
    int64_t left = now < until ? (int64_t)((until - now) / 1000000000u) + 1 : 0;
    int64_t least = w->seconds < QD_CLIENT_READ_S ? w->seconds : QD_CLIENT_READ_S;
    if (left < least) left = least;
    qd_client_patience(c, left < 1 ? 1 : left);
}

/* Until it is given, or nobody gives it in time. */
static int take(qd_client *c, const words *w, uint64_t until, qd_err *err)
{
    char path[2048];
    qd_env *env = qd_env_system();
    int bad = path_of(w, true, path, sizeof path, err);
    if (bad) return bad;
    for (bool said = false;; qd_env_sleep_ns(env, AGAIN_NS)) {
        answer a;
        patience_until(c, w, until);
        int rc = ask(c, "POST", path, &a, err);
        bool wait = !rc && (a.status == 409 || a.status == 503);
        if (!rc && a.status >= 300) rc = refused(&a, err);
        /* one to be removed has its permit at once, and may stop when it is empty */
        bool empty = !rc && !qd_str_is(text_at(a.root, "may_stop"), "true");
        answer_fini(&a);
        if (!rc && !empty) return 0;
        if ((rc && !wait) || qd_env_mono_ns(env) >= until)
            return rc ? rc
                      : qd_err_set(err, QD_E_TIMEOUT,
                                   "the node is not empty yet; its permit stays open");
        if (!said) printf("waiting: %s\n", rc ? qd_err_reason(err) : "the node is being emptied");
        fflush(stdout);
        said = true;
        if (rc) qd_err_fini(err);
    }
}

/* The process of --pidfile, which is looked for before anything is asked: a permit that a stop
 * leaves behind keeps new shards away from the node. */
static int process_of(const char *file, int64_t *pid, qd_err *err)
{
    qd_buf b;
    *pid = 0;
    qd_buf_init(&b, NULL, 64);
    int rc = qd_file_read(file, &b, err);
    if (!rc && (!qd_str_i64(qd_str_trim(qd_buf_view(&b)), pid) || *pid < 2))
        rc = qd_err_set(err, QD_E_ARG, "%s holds no process id", file);
    qd_buf_fini(&b);
    if (!rc && !qd_proc_runs(*pid))
        rc = qd_err_set(err, QD_E_NOTFOUND, "process %lld of %s does not run, or is another user's",
                        (long long)*pid, file);
    return rc;
}

static int end_process(const char *file, int64_t pid, uint64_t until, qd_err *err)
{
    qd_env *env = qd_env_system();
    int rc = 0;
    if (!qd_proc_stop(pid))
        rc = qd_err_set(err, QD_E_NOTFOUND, "process %lld of %s does not run, or is another user's",
                        (long long)pid, file);
    while (!rc && qd_proc_runs(pid)) {
        if (qd_env_mono_ns(env) >= until)
            rc = qd_err_set(err, QD_E_TIMEOUT, "process %lld has not ended yet", (long long)pid);
        else
            qd_env_sleep_ns(env, END_NS);
    }
    if (!rc) printf("stopped\n");
    return rc;
}

static int stop(qd_client *c, const words *given, qd_err *err)
{
    words own = *given, *w = &own;
    if (w->seconds < 0) w->seconds = STOP_S;
    uint64_t until = qd_env_mono_ns(qd_env_system()) + (uint64_t)w->seconds * 1000000000u;
    int64_t pid = 0;
    answer a;
    int rc = w->pidfile ? process_of(w->pidfile, &pid, err) : 0;
    if (!rc) rc = take(c, w, until, err);
    if (rc) return rc;
    printf("the node may stop, it has the permit\n");
    patience_until(c, w, until);
    rc = ask(c, "POST", "/_flush", &a, err);
    if (!rc && a.status >= 300) rc = refused(&a, err);
    answer_fini(&a);
    if (rc) return rc;
    printf("flushed\n");
    fflush(stdout);
    return w->pidfile ? end_process(w->pidfile, pid, until, err) : 0;
}

static int release(qd_client *c, const words *w, qd_err *err)
{
    char path[1024], name[700];
    answer a;
    qd_client_patience(c, w->seconds < 0 ? QD_CLIENT_CHANGE_S : w->seconds);
    int rc = qd_client_escape(w->name ? w->name : "_local", name, sizeof name, err);
    if (rc) return rc;
    snprintf(path, sizeof path, "/_nodes/%s/_may_stop", name);
    rc = ask(c, "DELETE", path, &a, err);
    if (!rc && a.status >= 300) rc = refused(&a, err);
    answer_fini(&a);
    if (!rc) printf("the permit is given back\n");
    return rc;
}

int qd_command_node(int argc, char **argv)
{
    static const struct {
        const char *verb;
        int (*run)(qd_client *c, const words *w, qd_err *err);
    } verbs[] = {{"may-stop", may_stop}, {"stop", stop}, {"release", release}};
    const char *verb = argc > 1 ? argv[1] : "";
    words w = {.seconds = -1};
    qd_err err;
    size_t k = 0;
    if (strcmp(verb, "--help") == 0 || strcmp(verb, "-h") == 0) return usage(stdout);
    while (k < QD_COUNT_OF(verbs) && strcmp(verb, verbs[k].verb) != 0) k++;
    if (k == QD_COUNT_OF(verbs)) return usage(stderr);
    qd_err_init(&err);
    qd_client *c = NULL;
    int rc = read_words(&w, argc, argv, &err);
    if (rc == 0 && w.help) return usage(stdout);
    if (rc == 0) rc = qd_client_open(w.url, &c, &err);
    if (rc == 0) rc = verbs[k].run(c, &w, &err);
    qd_client_close(c);
    if (rc < 0) fprintf(stderr, "qd node: %s\n", qd_err_reason(&err));
    qd_err_fini(&err);
    return rc < 0 ? qd_exit_status(rc) : rc;
}
