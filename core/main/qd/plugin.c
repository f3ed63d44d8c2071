/*
 * plugin.c: `qd plugin list|check|settings|new`. list and settings load the plugins as the node
 * would, in this process; check runs their code in a child (plugin_check.c).
 */
#include "main/qd/plugin.h"
#include "base/log.h"
#include "main/args.h"
#include "main/plugins.h"
#include "runtime/file.h"
#include "runtime/proc.h"
#include <stdio.h>

#define CONFIG_BYTES_MAX (4u << 20)

int qd_command_plugin(int argc, char **argv);

static int usage(FILE *to)
{
    fprintf(
        to,
        "usage: qd plugin list [--config FILE] [-E KEY=VALUE] ...\n"
        "       qd plugin settings NAME [--config FILE] [-E KEY=VALUE] ...\n"
        "       qd plugin check FILE.so|NAME ... [--option|--setting KEY=VALUE] ...\n"
        "                       [--seconds N] [--with NAME]... [--static]\n"
        "       qd plugin new KIND NAME [FOLDER]\n"
        "\n"
        "list shows the plugins that a node of this configuration loads, those it refuses with "
        "the\n"
        "reason, and those that are allowed but not installed. settings prints a plugin's "
        "settings\n"
        "with defaults and meaning. check tests a file as the loader does and runs the "
        "conformance\n"
        "suite of each kind that it provides in a child process (--option: what it needs to open;\n"
        "--setting: one of its own; --seconds: how long tests under load go on; --static: no code\n"
        "of it runs); it prints TAP and ends with 1 when something failed. new writes a skeleton "
        "with a test; KIND: aggregation,\n"
        "bucket_aggregation, operator, tokenizer, token_filter, char_filter, field, storage,\n"
        "coordination, frontend, route, processor.\n");
    return to == stdout ? 0 : QD_EXIT_USAGE;
}

/* A host with all plugins of the configuration loaded. *why gets what load said (not final). */
typedef struct opened {
    qd_config *config;
    qd_paths paths;
    qd_plugin_host *host;
    const char *name; /* positional word */
    bool help;
} opened;

static int read_config(opened *o, const char *file, qd_err *err)
{
    char found[QD_PATH_MAX + 32];
    if (!file) {
        snprintf(found, sizeof found, "%s/quidditch.yml", o->paths.conf);
        if (!qd_file_exists(found)) return 0;
        file = found;
    }
    qd_buf b;
    qd_buf_init(&b, NULL, CONFIG_BYTES_MAX);
    int rc = qd_file_read(file, &b, err);
    if (rc == 0) rc = qd_config_file(o->config, qd_buf_view(&b), file, qd_proc_env, err);
    qd_buf_fini(&b);
    return rc;
}

static int read_arguments(opened *o, int argc, char **argv, const char **file, qd_err *err)
{
    enum { CONFIG = 1, SET, HELP };
    static const qd_option options[] = {
        {"config", true, CONFIG}, {"E", true, SET}, {"help", false, HELP}, {0}};
    qd_args a;
    int id, rc = 0;
    qd_args_init(&a, argc, argv, 2, options);
    while (rc == 0 && (id = qd_args_next(&a, err)) != QD_ARGS_END) {
        if (id == QD_ARGS_BAD) return QD_E_ARG;
        if (id == CONFIG)
            *file = a.value;
        else if (id == SET)
            rc = qd_config_flag(o->config, qd_str_c(a.value), err);
        else if (id == HELP)
            o->help = true;
        else
            o->name = a.value;
    }
    return rc;
}

static void close_all(opened *o)
{
    qd_plugin_host_close(o->host);
    qd_config_close(o->config);
}

static int open_all(opened *o, int argc, char **argv, qd_err *err)
{
    qd_machine_memory memory;
    const char *file = NULL;
    qd_machine_memory_get(&memory);
    int rc = qd_paths_find(&o->paths, err);
    if (rc == 0) rc = qd_config_open((int64_t)memory.limit, &o->config, err);
    if (rc == 0) rc = read_arguments(o, argc, argv, &file, err);
    if (rc == 0) rc = read_config(o, file, err);
    if (rc == 0) rc = qd_config_environment(o->config, qd_proc_env, err);
    if (rc == 0) rc = qd_config_environment_names(o->config, qd_proc_env_at, err);
    if (rc == 0) rc = qd_config_ready(o->config, err);
    if (rc == 0)
        rc = qd_main_plugins_open(o->config, &o->paths, qd_env_system(), NULL, NULL, &o->host, err);
    return rc;
}

static void print_row(const char *name, const char *version, const char *state, const char *kinds,
                      const char *where)
{
    printf("%-22s %-10s %-13s %-24s %s\n", name, version, state, kinds, where);
}

static int list(int argc, char **argv, qd_err *err)
{
    opened o = {0};
    int rc = open_all(&o, argc, argv, err);
    if (rc == 0 && o.help) {
        close_all(&o);
        return usage(stdout);
    }
    if (rc == 0) {
        rc = qd_plugin_host_load(o.host, err); /* an error of the settings: told behind the list */
        print_row("name", "version", "state", "kinds", "file, or why it was refused");
        for (size_t i = 0; i < qd_plugin_count(o.host); i++) {
            qd_plugin_info info;
            char kinds[64];
            qd_plugin_info_get(o.host, i, &info);
            bool refused = info.state == QD_PLUGIN_REFUSED;
            print_row(info.name, *info.version ? info.version : "-",
                      info.absent ? "not installed"
                      : refused   ? "refused"
                                  : "loaded",
                      qd_main_plugin_kinds(&info, kinds),
                      refused        ? info.reason
                      : info.builtin ? "built in"
                                     : info.file);
        }
    }
    close_all(&o);
    return rc;
}

static const char *type_name(uint32_t type)
{
    static const char *const names[] = {
        [QD_PCONF_BOOL] = "boolean", [QD_PCONF_INT] = "integer", [QD_PCONF_FLOAT] = "number",
        [QD_PCONF_BYTES] = "size",   [QD_PCONF_TIME] = "time",   [QD_PCONF_STRING] = "text",
        [QD_PCONF_ENUM] = "one of",  [QD_PCONF_LIST] = "list",   [QD_PCONF_SECRET] = "secret",
    };
    return type < QD_COUNT_OF(names) && names[type] ? names[type] : "?";
}

static void print_setting(const char *plugin, const qd_plugin_conf *c)
{
    printf("plugin.%s.%s (%s%s%s%s%s", plugin, c->key, type_name(c->type), c->values ? " " : "",
           c->values ? c->values : "", c->flags & QD_PCONF_REQUIRED ? "; required" : "",
           c->flags & QD_PCONF_DYNAMIC ? "; dynamic" : "");
    if (c->value) printf("; default %s", c->value);
    printf(")\n    %s\n", c->help ? c->help : "");
    if (c->flags & QD_PCONF_DEPRECATED)
        printf("    deprecated%s%s\n", c->replaced_by ? "; use " : "",
               c->replaced_by ? c->replaced_by : "");
}

static int settings(int argc, char **argv, qd_err *err)
{
    opened o = {0};
    int rc = open_all(&o, argc, argv, err);
    if (rc == 0 && (o.help || !o.name)) {
        close_all(&o);
        return usage(o.help ? stdout : stderr);
    }
    qd_err ignored; /* settings may be what is wrong: that is why one looks them up */
    qd_err_init(&ignored);
    if (rc == 0 && qd_plugin_host_load(o.host, &ignored) == QD_E_NOMEM) rc = QD_E_NOMEM;
    qd_err_fini(&ignored);
    bool found = false;
    for (size_t i = 0; rc == 0 && !found && i < qd_plugin_count(o.host); i++) {
        qd_plugin_info info;
        qd_plugin_info_get(o.host, i, &info);
        if (strcmp(info.name, o.name) != 0) continue;
        found = true;
        if (!info.conf && info.state == QD_PLUGIN_REFUSED)
            rc =
                qd_err_set(err, QD_E_PLUGIN, "plugin [%s] was refused: %s", info.name, info.reason);
        else if (!info.conf)
            printf("plugin %s has no settings\n", info.name);
        for (const qd_plugin_conf *c = info.conf; c && c->key; c++) print_setting(info.name, c);
    }
    if (rc == 0 && !found)
        rc = qd_err_set(err, QD_E_NOTFOUND, "there is no plugin [%s]; qd plugin list shows all",
                        o.name);
    close_all(&o);
    return rc;
}

int qd_command_plugin(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(int argc, char **argv, qd_err *err);
    } verbs[] = {
        {"list", list}, {"settings", settings}, {"check", qd_plugin_check}, {"new", qd_plugin_new}};
    const char *verb = argc > 1 ? argv[1] : "";
    if (strcmp(verb, "--help") == 0 || strcmp(verb, "-h") == 0) return usage(stdout);
    for (size_t i = 0; i < QD_COUNT_OF(verbs); i++) {
        if (strcmp(verb, verbs[i].name) != 0) continue;
        if (argc == 3 && strcmp(argv[2], "--help") == 0) return usage(stdout);
        qd_log_level_set(NULL, QD_LOG_ERROR); /* refusals stand in the output */
        qd_err err;
        qd_err_init(&err);
        int rc = verbs[i].run(argc, argv, &err);
        if (rc && err.code) fprintf(stderr, "qd plugin %s: %s\n", verb, qd_err_reason(&err));
        qd_err_fini(&err);
        return rc < 0 ? qd_exit_status(rc) : rc;
    }
    return usage(stderr);
}
