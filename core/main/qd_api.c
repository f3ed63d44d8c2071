/* qd_api.c: `qd api`: the REST API's table. */
#include "action/print.h"
#include "main/args.h"
#include <stdio.h>

#define TEXT_BYTES_MAX (4u << 20)

int qd_command_api(int argc, char **argv);

static int usage(FILE *to)
{
    fprintf(to,
            "usage: qd api [--markdown] [WORD]\n"
            "\n"
            "Lists every API with methods, paths and parameters; WORD keeps those whose name or\n"
            "path contains it. --markdown prints docs/rest.md.\n");
    return to == stdout ? 0 : QD_EXIT_USAGE;
}

int qd_command_api(int argc, char **argv)
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
            fprintf(stderr, "qd api: %s\n", qd_err_reason(&err));
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
    int rc = markdown ? qd_apis_print_markdown(&b) : qd_apis_print_list(filter, &b);
    if (!rc) fwrite(b.p ? b.p : "", 1, b.n, stdout);
    qd_buf_fini(&b);
    return qd_exit_status(rc);
}
