/* tables.c: `qd api`, `qd features`, `qd metrics`: tables of the product, for people and for docs/.
 */
#include "action/api/print.h"
#include "action/cat/metrics.h"
#include "main/args.h"
#include <stdio.h>

#define TEXT_BYTES_MAX (4u << 20)

int qd_command_api(int argc, char **argv);
int qd_command_features(int argc, char **argv);
int qd_command_metrics(int argc, char **argv);

typedef struct table {
    const char *name, *help;
    int (*markdown)(qd_buf *out);
    int (*list)(qd_str filter, qd_buf *out);
} table;

static const table apis = {
    "api",
    "Lists every API with methods, paths and parameters; WORD keeps those whose name or\n"
    "path contains it. --markdown prints docs/rest.md.\n",
    qd_apis_print_markdown, qd_apis_print_list};
static const table features = {
    "features",
    "Lists the names that Elasticsearch and OpenSearch know, and what works of them here; WORD\n"
    "keeps those that contain it. --markdown prints docs/features.md.\n",
    qd_features_print_markdown, qd_features_print_list};
static const table metrics = {
    "metrics",
    "Lists every metric with its type, labels and meaning; WORD keeps those whose name\n"
    "contains it. --markdown prints docs/metrics.md.\n",
    qd_metrics_print_markdown, qd_metrics_print_list};

static int usage(FILE *to, const table *t)
{
    fprintf(to, "usage: qd %s [--markdown] [WORD]\n\n%s", t->name, t->help);
    return to == stdout ? 0 : QD_EXIT_USAGE;
}

static int print(int argc, char **argv, const table *t)
{
    enum { MARKDOWN = 1, HELP };
    static const qd_option options[] = {{"markdown", false, MARKDOWN}, {"help", false, HELP}, {0}};
    qd_args a;
    qd_err err;
    qd_buf b;
    qd_str filter = {NULL, 0};
    bool markdown = false;
    int id;
    qd_err_init(&err);
    qd_args_init(&a, argc, argv, 1, options);
    while ((id = qd_args_next(&a, &err)) != QD_ARGS_END) {
        if (id == HELP) return usage(stdout, t);
        if (id == QD_ARGS_BAD) {
            fprintf(stderr, "qd %s: %s\n", t->name, qd_err_reason(&err));
            qd_err_fini(&err);
            return usage(stderr, t);
        }
        if (id == MARKDOWN) {
            markdown = true;
        } else {
            filter = qd_str_c(a.value);
        }
    }
    qd_buf_init(&b, NULL, TEXT_BYTES_MAX);
    int rc = markdown ? t->markdown(&b) : t->list(filter, &b);
    if (!rc && filter.n && !markdown && !b.n) {
        fprintf(stderr, "qd %s: no name contains [%.*s]\n", t->name, QD_STR_ARG(filter));
        rc = QD_E_NOTFOUND;
    }
    if (!rc) fwrite(b.p ? b.p : "", 1, b.n, stdout);
    qd_buf_fini(&b);
    return qd_exit_status(rc);
}

int qd_command_api(int argc, char **argv)
{
    return print(argc, argv, &apis);
}

int qd_command_features(int argc, char **argv)
{
    return print(argc, argv, &features);
}

int qd_command_metrics(int argc, char **argv)
{
    return print(argc, argv, &metrics);
}
