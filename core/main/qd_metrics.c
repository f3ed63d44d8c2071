/* qd_metrics.c: `qd metrics`: the table of metrics. */
#include "action/metrics.h"
#include "main/args.h"
#include <stdio.h>

#define TEXT_BYTES_MAX (1u << 20)

int qd_command_metrics(int argc, char **argv);

static int usage(FILE *to)
{
    fprintf(to,
            "usage: qd metrics [--markdown] [WORD]\n"
            "\n"
            "Lists every metric with its type, labels and meaning; WORD keeps those whose name\n"
            "contains it. --markdown prints docs/metrics.md.\n");
    return to == stdout ? 0 : QD_EXIT_USAGE;
}

int qd_command_metrics(int argc, char **argv)
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
        if (id == HELP) return usage(stdout);
        if (id == QD_ARGS_BAD) {
            fprintf(stderr, "qd metrics: %s\n", qd_err_reason(&err));
            qd_err_fini(&err);
            return usage(stderr);
        }
        if (id == MARKDOWN) {
            markdown = true;
        } else {
            filter = qd_str_c(a.value);
        }
    }
    qd_buf_init(&b, NULL, TEXT_BYTES_MAX);
    int rc = markdown ? qd_metrics_print_markdown(&b) : qd_metrics_print_list(filter, &b);
    if (!rc) fwrite(b.p ? b.p : "", 1, b.n, stdout);
    qd_buf_fini(&b);
    return qd_exit_status(rc);
}
