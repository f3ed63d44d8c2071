/* config.c: `qd config list` prints the tables of settings, `qd config check` reads a file. */
#include "config/config.h"
#include "config/print.h"
#include "main/args.h"
#include "main/paths.h"
#include "runtime/file.h"
#include "runtime/proc.h"
#include <stdio.h>

#define TEXT_BYTES_MAX (4u << 20)

int qd_command_config(int argc, char **argv);

static int usage(FILE *to)
{
    fprintf(to,
            "usage: qd config list [--index] [--yaml | --markdown] [WORD]\n"
            "       qd config check [FILE]\n"
            "\n"
            "list prints every setting of a node (--index: of an index) with its default; WORD\n"
            "keeps those whose name contains it. --yaml prints conf/quidditch.yml, --markdown\n"
            "docs/settings.md. check reads a file (default: the node's) as the node would.\n");
    return to == stdout ? 0 : QD_EXIT_USAGE;
}

static int list(qd_args *a, qd_err *err)
{
    enum { INDEX = 1, YAML, MARKDOWN, HELP };
    static const qd_option options[] = {
        {"index", false, INDEX},
        {"yaml", false, YAML},
        {"markdown", false, MARKDOWN},
        {"help", false, HELP},
        {0},
    };
    const qd_schema *schema = &qd_schema_node;
    qd_str filter = {NULL, 0};
    int id, form = 0;
    a->options = options;
    while ((id = qd_args_next(a, err)) != QD_ARGS_END) {
        if (id == QD_ARGS_BAD) return QD_E_ARG;
        if (id == HELP) return usage(stdout);
        if (id == INDEX)
            schema = &qd_schema_index;
        else if (id == QD_ARGS_WORD)
            filter = qd_str_c(a->value);
        else
            form = id;
    }
    unsigned columns;
    qd_proc_tty(&columns);
    qd_buf b;
    qd_buf_init(&b, NULL, TEXT_BYTES_MAX);
    int rc = form == YAML       ? qd_schema_print_yaml(schema, &b)
             : form == MARKDOWN ? qd_schema_print_markdown(&b)
                                : qd_schema_print_list(schema, filter, columns, &b);
    if (rc == 0) fwrite(b.p ? b.p : "", 1, b.n, stdout);
    bool found = b.n > 0;
    qd_buf_fini(&b);
    if (rc) return qd_err_nomem(err, "the list");
    return found ? 0
                 : qd_err_set(err, QD_E_NOTFOUND, "no setting has [%.*s] in its name",
                              QD_STR_ARG(filter));
}

static void tell_none(void *arg, const qd_setting_value *v, const char *text)
{
    uint32_t *n = arg;
    if (v->origin && v->line)
        printf("%s, line %u: %s\n", v->origin, v->line, text);
    else
        printf("%s: %s\n", v->origin ? v->origin : "settings", text);
    ++*n;
}

static void tell_mistake(void *arg, const char *text)
{
    ++*(uint32_t *)arg;
    fprintf(stderr, "qd config: %s\n", text);
}

/* What an image sets: the role, the container. */
static int image(qd_config *config, qd_err *err)
{
    const char *container = qd_proc_env("QUIDDITCH_CONTAINER"),
               *role = qd_proc_env("QUIDDITCH_ROLE");
    if (container && *container) qd_config_container(config);
    return role && *role ? qd_config_role(config, qd_str_c(role), err) : 0;
}

/* Every mistake of names and values is told, not only the first; err is then empty. */
static int check(const char *file, qd_err *err)
{
    uint32_t mistakes = 0;
    qd_paths paths;
    char found[QD_PATH_MAX + 32];
    int rc = 0;
    if (!file) {
        rc = qd_paths_find(&paths, err);
        if (rc != 0) return rc;
        snprintf(found, sizeof found, "%s/quidditch.yml", paths.conf);
        file = found;
    }
    qd_machine_memory memory;
    qd_machine_memory_get(&memory);
    qd_config *config = NULL;
    qd_buf b;
    qd_buf_init(&b, NULL, TEXT_BYTES_MAX);
    rc = qd_file_read(file, &b, err);
    if (rc == 0) rc = qd_config_open((int64_t)memory.limit, &config, err);
    if (rc == 0) qd_config_tell(config, tell_mistake, &mistakes);
    if (rc == 0) rc = image(config, err);
    if (rc == 0) rc = qd_config_file(config, qd_buf_view(&b), file, qd_proc_env, err);
    if (rc == 0) rc = qd_config_environment(config, qd_proc_env, err);
    if (rc == 0) rc = qd_config_environment_names(config, qd_proc_env_at, err);
    if (rc == 0) rc = qd_config_ready(config, err);
    uint32_t none = 0;
    if (rc == 0)
        qd_schema_without_effect(&qd_schema_node, qd_config_settings(config), false, tell_none,
                                 &none);
    if (rc == 0 && none)
        printf("the settings are valid, %u of them without effect: %s\n", none, file);
    else if (rc == 0)
        printf("the settings are valid: %s\n", file);
    qd_config_close(config);
    qd_buf_fini(&b);
    if (mistakes) {
        if (mistakes > 1)
            fprintf(stderr, "qd config: %u mistakes in the settings: %s\n", mistakes, file);
        qd_err_fini(err);
        qd_err_init(err);
    }
    return rc;
}

static int check_words(int argc, char **argv, int *status, qd_err *err)
{
    static const qd_option options[] = {{"help", false, 1}, {"h", false, 1}, {0}};
    const char *file = NULL;
    qd_args a;
    int id;
    *status = QD_EXIT_USAGE;
    qd_args_init(&a, argc, argv, 2, options);
    while ((id = qd_args_next(&a, err)) != QD_ARGS_END) {
        if (id == QD_ARGS_BAD) return QD_E_ARG;
        if (id == 1) {
            *status = usage(stdout);
            return 0;
        }
        if (file) return qd_err_set(err, QD_E_ARG, "one file is checked at a time");
        file = a.value;
    }
    *status = check(file, err) ? QD_EXIT_CONFIG : 0; /* as the daemon */
    return 0;
}

int qd_command_config(int argc, char **argv)
{
    qd_err err;
    qd_err_init(&err);
    qd_args a;
    qd_args_init(&a, argc, argv, 2, NULL);
    const char *what = argc > 1 ? argv[1] : "";
    int status;
    if (strcmp(what, "list") == 0)
        status = qd_exit_status(list(&a, &err));
    else if (strcmp(what, "check") == 0)
        (void)!check_words(argc, argv, &status, &err);
    else
        return usage(strcmp(what, "--help") == 0 ? stdout : stderr);
    if (err.code && status) fprintf(stderr, "qd config: %s\n", qd_err_reason(&err));
    qd_err_fini(&err);
    return status;
}
