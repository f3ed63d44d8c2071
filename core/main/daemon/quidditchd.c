/*
 * quidditchd.c: the daemon: arguments, configuration, the steps of life, signals.
 *
 * A thread starts the steps in order while the main thread runs its loop, which receives signals
 * only; after SIGTERM or SIGINT it is not ready any more, serves on for http.shutdown_delay, and
 * stops the steps in reverse. A second signal cuts the delay short.
 */
#include "base/log.h"
#include "main/args.h"
#include "main/daemon/node.h"
#include "main/libs.h"
#include "plugin/host.h"
#include "runtime/crash.h"
#include "runtime/proc.h"
#include "runtime/stack/sample.h"
#include <stdio.h>
#include <stdlib.h>

#define FILE_BYTES_MAX (4u << 20)
#define PAUSE_NS UINT64_C(50000000)

static const qd_step *const steps[] = {
#define QD_STEP(name) &qd_step_##name,
#include "main/daemon/steps.def"
#undef QD_STEP
};

typedef struct request {
    const char *config_file, *pid_file, *role;
    bool check_only, done;
} request;

typedef struct daemon_state {
    qd_node *node;
    const char *pid_file;
    qd_err *err; /* of the start */
    int rc;
    size_t steps; /* of them, to be stopped */
    _Atomic bool started;
    qd_timer wait;       /* http.shutdown_delay */
    qd_thread *leaver;   /* sees to what has to be done before the stop; NULL: nothing has */
    _Atomic bool cut;    /* it stops at once */
    uint64_t stop_at_ns; /* after http.shutdown_delay */
} daemon_state;

static void print_help(void)
{
    printf(
        "usage: quidditchd [--config FILE] [-E key=value]...\n"
        "\n"
        "  --config FILE    settings (default: etc/quidditch/quidditch.yml of the installation)\n"
        "  -E key=value     one setting, before the file and the environment\n"
        "  --role ROLE      defaults of a node that is only master, coordination, data, or\n"
        "                   coordination-k8s, with the state in Kubernetes (also from\n"
        "                   QUIDDITCH_ROLE): roles, ports, path.data, coordination.mode\n"
        "  --check-config   check the settings, tell every mistake, and end\n"
        "  --pidfile FILE   write the process id there\n"
        "  --version        print the version\n"
        "  --help           print this\n"
        "\n"
        "SIGTERM and SIGINT stop the node cleanly, SIGHUP reads the settings again and reopens\n"
        "the log. All settings: conf/quidditch.yml, or `qd config list`.\n"
        "Exit status: 0 stopped cleanly, 64 a command line that cannot be, 78 settings that "
        "cannot\n"
        "be (of the file, a flag, the environment, a kubeconfig), 1 anything else.\n");
}

/* 0, or the exit status in *status with done set. */
static int read_arguments(int argc, char **argv, request *r, qd_config *config, qd_err *err)
{
    static const qd_option options[] = {
        {"config", true, 1},   {"c", true, 1},  {"E", true, 2},     {"check-config", false, 3},
        {"version", false, 4}, {"V", false, 4}, {"help", false, 5}, {"h", false, 5},
        {"pidfile", true, 6},  {"p", true, 6},  {"role", true, 7},  {0},
    };
    qd_args a;
    qd_args_init(&a, argc, argv, 1, options);
    int id, rc = 0;
    while (rc == 0 && !r->done && (id = qd_args_next(&a, err)) != QD_ARGS_END) {
        switch (id) {
        case 1:
            r->config_file = a.value;
            break;
        case 2:
            rc = qd_config_flag(config, qd_str_c(a.value), err);
            break;
        case 3:
            r->check_only = true;
            break;
        case 4:
            printf("quidditch %s\n", QD_VERSION);
            r->done = true;
            break;
        case 5:
            print_help();
            r->done = true;
            break;
        case 6:
            r->pid_file = a.value;
            break;
        case 7:
            r->role = a.value;
            break;
        case QD_ARGS_WORD:
            rc = qd_err_set(err, QD_E_ARG, "unexpected argument %s", a.value);
            break;
        default:
            rc = QD_E_ARG;
        }
    }
    return rc;
}

static int load_file(qd_node *node, const char *given, qd_err *err)
{
    char found[QD_PATH_MAX + 32];
    if (!given) given = qd_proc_env("QUIDDITCH_CONFIG");
    if (!given || !*given) {
        snprintf(found, sizeof found, "%s/quidditch.yml", node->paths.conf);
        if (!qd_file_exists(found)) return 0;
        given = found;
    }
    qd_buf b;
    qd_buf_init(&b, NULL, FILE_BYTES_MAX);
    qd_buf real;
    qd_buf_init(&real, NULL, QD_PATH_MAX - 1);
    int rc = qd_path_real(given, &real, err);
    if (rc == 0) rc = qd_file_read(real.p, &b, err);
    if (rc == 0) {
        snprintf(node->conf_file, sizeof node->conf_file, "%s", real.p);
        rc = qd_config_file(node->config, qd_buf_view(&b), node->conf_file, qd_proc_env, err);
    }
    qd_buf_fini(&b);
    qd_buf_fini(&real);
    return rc;
}

static int check_steps(qd_node *node, qd_err *err)
{
    int rc = 0;
    for (size_t i = 0; i < QD_COUNT_OF(steps) && rc == 0; i++) {
        if (steps[i]->check) rc = steps[i]->check(node, err);
    }
    return rc;
}

/* Where lines go to a file or are read by a program, why it does not start is looked for there. */
static void log_failure(const qd_node *node, const qd_err *err)
{
    qd_buf text;
    if (!qd_config_text(node->config, QD_SET_PATH_LOGS).n &&
        !qd_str_is(qd_config_text(node->config, QD_SET_LOGGER_FORMAT), "json"))
        return; /* main prints it */
    qd_buf_init(&text, NULL, 8192);
    for (const qd_err *e = err; e; e = e->cause)
        (void)qd_buf_printf(&text, "%s%s", text.n ? ": " : "", qd_err_reason(e));
    qd_log_error("main", "the start failed: %.*s", QD_STR_ARG(qd_buf_view(&text)));
    qd_buf_fini(&text);
}

/* Starts one after the other up to the first failure; done: how many are to be stopped. */
static int start_steps(qd_node *node, size_t *done, qd_err *err)
{
    for (*done = 0; *done < QD_COUNT_OF(steps); (*done)++) {
        int rc = steps[*done]->start(node, err);
        if (rc == 0) continue;
        if (*done > 0 && rc != QD_E_CANCELLED) log_failure(node, err);
        return rc;
    }
    return 0;
}

static void stop_steps(qd_node *node, size_t done)
{
    while (done-- > 0) {
        if (steps[done]->stop) steps[done]->stop(node);
    }
}

static void reload(qd_node *node)
{
    qd_err err;
    qd_err_init(&err);
    qd_node_service_reloads(node, true);
    qd_buf text, restart;
    qd_buf_init(&text, NULL, FILE_BYTES_MAX);
    qd_buf_init(&restart, NULL, 64 << 10);
    int rc = node->conf_file[0] ? qd_file_read(node->conf_file, &text, &err) : 0;
    if (rc == 0 && node->conf_file[0])
        rc = qd_config_reload(node->config, qd_buf_view(&text), qd_proc_env, &restart, &err);
    for (size_t i = 0; i < QD_COUNT_OF(steps); i++) {
        if (steps[i]->reload) steps[i]->reload(node);
    }
    if (rc != 0)
        qd_log_error("main", "settings are kept as they were: %s", qd_err_reason(&err));
    else if (restart.n)
        qd_log_warn("main", "reloaded; a restart is needed for %s", restart.p);
    else
        qd_log_info("main", "reloaded");
    qd_node_service_reloads(node, false);
    qd_buf_fini(&text);
    qd_buf_fini(&restart);
    qd_err_fini(&err);
}

static void waited(qd_timer *t)
{
    qd_node *node = t->user;
    qd_loop_stop(node->main_loop);
}

/* On a thread of its own, while the main loop takes signals: the node serves on until then. */
static void leave(void *arg)
{
    daemon_state *d = arg;
    qd_node *node = d->node;
    qd_node_leave(node, &d->cut);
    while (!atomic_load(&d->cut) && qd_env_mono_ns(node->env) < d->stop_at_ns)
        qd_env_sleep_ns(node->env, PAUSE_NS);
    qd_loop_stop(node->main_loop);
}

static void on_signal(void *user, qd_signal what, int signo)
{
    daemon_state *d = user;
    if (what == QD_SIGNAL_RELOAD) {
        if (atomic_load(&d->started)) reload(d->node);
        return;
    }
    if (atomic_exchange(&d->node->stopping, true)) {
        qd_log_info("main", "signal %d once more: waits no longer", signo);
        atomic_store(&d->cut, true);
        qd_loop_stop(d->node->main_loop);
        return;
    }
    qd_log_info("main", "stopping on signal %d", signo);
    qd_node_service_stops();
    int64_t ms = atomic_load(&d->started) ? qd_node_stop_begin(d->node) : 0;
    if (atomic_load(&d->started) && qd_node_may_hand_over(d->node)) {
        d->stop_at_ns = qd_env_mono_ns(d->node->env) + (uint64_t)(ms > 0 ? ms : 0) * 1000000u;
        if (!qd_thread_start(d->node->env, "leave", leave, d, &d->leaver, NULL)) return;
    }
    if (ms <= 0 || qd_timer_start(&d->wait, (uint64_t)ms * 1000000u, 0))
        qd_loop_stop(d->node->main_loop);
}

static int write_pid(const char *path, qd_err *err)
{
    char pid[32];
    int n = snprintf(pid, sizeof pid, "%lld\n", (long long)qd_proc_pid());
    return path ? qd_file_write_atomic(path, (qd_str){pid, (size_t)n}, 0644, err) : 0;
}

/* On a thread of its own. A failure ends the main loop. */
static void start(void *arg)
{
    daemon_state *d = arg;
    qd_node *node = d->node;
    d->rc = start_steps(node, &d->steps, d->err);
    if (d->rc == 0) d->rc = write_pid(d->pid_file, d->err);
    if (d->rc) {
        qd_loop_stop(node->main_loop);
        return;
    }
    uint64_t ms = (qd_env_mono_ns(node->env) - node->start_ns) / 1000000;
    qd_log_info("main", "started in %llu ms", (unsigned long long)ms);
    atomic_store(&d->started, true);
    qd_node_service_started(node);
}

/* The main loop exists before the first step, so that no signal is lost. */
static int live(qd_node *node, const request *r, qd_err *err)
{
    daemon_state d = {.node = node, .pid_file = r->pid_file, .err = err};
    qd_signals *signals = NULL;
    qd_thread *starter = NULL;
    int rc = qd_loop_open(node->env, "main", &node->main_loop, err);
    if (rc != 0) return rc;
    rc = qd_signals_start(node->main_loop, on_signal, &d, &signals, err);
    qd_timer_init(&d.wait, node->main_loop, waited, node);
    qd_node_service_begin(node);
    if (rc == 0) rc = qd_thread_start(node->env, "starter", start, &d, &starter, err);
    if (rc == 0) {
        qd_loop_run(node->main_loop);
        qd_thread_join(node->env, starter);
        atomic_store(&d.cut, true);
        if (d.leaver) qd_thread_join(node->env, d.leaver);
        rc = d.rc;
        qd_node_service_stops();   /* also where no signal came */
        stop_steps(node, d.steps); /* not before: signals are logged while the loop runs */
        if (rc == 0 && atomic_load(&node->failed)) {
            rc = qd_err_set(err, QD_E_IO, "ended by itself, to be started again: see the log");
        }
        if (r->pid_file) (void)!qd_file_remove(r->pid_file, NULL);
    }
    qd_timer_stop(&d.wait);
    qd_node_service_end();
    qd_signals_stop(signals);
    qd_loop_close(node->main_loop);
    node->main_loop = NULL;
    if (rc == QD_E_CANCELLED && atomic_load(&node->stopping)) { /* asked to, before it was ready */
        qd_err_fini(err);
        qd_err_init(err);
        rc = 0;
    }
    return rc;
}

static int name_node(qd_node *node)
{
    qd_str name = qd_config_text(node->config, QD_SET_NODE_NAME);
    qd_buf b;
    qd_buf_init(&b, NULL, sizeof node->name - 1);
    int rc = name.n ? qd_buf_str(&b, name) : qd_machine_hostname(&b);
    snprintf(node->name, sizeof node->name, "%s", rc == 0 ? b.p : "localhost");
    qd_buf_fini(&b);
    return 0;
}

static void tell_mistake(void *arg, const char *text)
{
    ++*(uint32_t *)arg;
    fprintf(stderr, "quidditchd: %s\n", text);
}

/* told counts the mistakes that stand on standard error already. */
static int run(qd_node *node, int argc, char **argv, int *status, uint32_t *told, qd_err *err)
{
    qd_machine_memory memory;
    qd_machine_memory_get(&memory);
    request r = {0};
    *status = QD_EXIT_USAGE;
    int rc = qd_config_open((int64_t)memory.limit, &node->config, err);
    if (rc == 0) rc = read_arguments(argc, argv, &r, node->config, err);
    if (rc != 0 || r.done) {
        *status = rc ? QD_EXIT_USAGE : 0;
        return rc;
    }
    *status = QD_EXIT_CONFIG;
    if (r.check_only) qd_config_tell(node->config, tell_mistake, told);
    rc = qd_paths_find(&node->paths, err);
    if (rc == 0) rc = load_file(node, r.config_file, err);
    if (rc == 0) rc = qd_config_environment(node->config, qd_proc_env, err);
    if (rc == 0) rc = qd_config_environment_names(node->config, qd_proc_env_at, err);
    if (!r.role) r.role = qd_proc_env("QUIDDITCH_ROLE");
    const char *container = qd_proc_env("QUIDDITCH_CONTAINER");
    if (container && *container) qd_config_container(node->config);
    if (rc == 0 && r.role && *r.role) rc = qd_config_role(node->config, qd_str_c(r.role), err);
    if (rc == 0) rc = qd_config_ready(node->config, err);
    if (rc == 0) rc = name_node(node);
    if (rc == 0) rc = qd_node_paths_set(node, err);
    if (rc == 0) rc = check_steps(node, err);
    if (rc != 0) return rc;
    if (r.check_only) {
        qd_log_level_set(NULL, QD_LOG_ERROR);
        rc = qd_node_plugins_check(node, err);
        if (rc != 0) return rc;
        printf("the settings are valid%s%s\n", node->conf_file[0] ? ": " : "", node->conf_file);
        *status = 0;
        return 0;
    }
    rc = live(node, &r, err); /* also of settings that only a plugin can judge */
    *status = rc == QD_E_CONFIG ? QD_EXIT_CONFIG : rc ? QD_EXIT_FAILED : 0;
    return rc;
}

/* Of the main thread's stack, which the kernel lets grow. */
#define MAIN_STACK_BYTES (4u << 20)

int main(int argc, char **argv)
{
    static qd_node node;
    static char build[256];
    snprintf(build, sizeof build, "%s, build %s", QD_VERSION, qd_plugin_build_id());
    qd_crash_install(build);
    qd_sample_thread_begin(__builtin_frame_address(0), MAIN_STACK_BYTES);
    qd_proc_tune_heap();
    qd_proc_private_files();
    qd_libs_account_memory();
    node.env = qd_env_system();
    node.start_ns = qd_env_mono_ns(node.env);
    node.start_wall_ms = qd_env_wall_ms(node.env);
    qd_mutex_init(&node.deciding);
    qd_cond_init(&node.asked);
    qd_err err;
    qd_err_init(&err);
    int status = QD_EXIT_FAILED;
    uint32_t told = 0;
    if (run(&node, argc, argv, &status, &told, &err) != 0 && !told) {
        fprintf(stderr, "quidditchd: %s", qd_err_reason(&err));
        for (const qd_err *e = err.cause; e; e = e->cause)
            fprintf(stderr, ": %s", qd_err_reason(e));
        fputc('\n', stderr);
    }
    qd_err_fini(&err);
    qd_config_close(node.config);
    return status;
}
