/* qd.c: client and toolbox: picks a command of commands.def. */
#include "base/str.h"
#include "main/args.h"
#include "runtime/proc.h"
#include <errno.h>
#include <stdio.h>

typedef struct command {
    const char *name, *arguments, *meaning;
    int (*run)(int argc, char **argv);
} command;

#define QD_COMMAND(name, arguments, meaning) int qd_command_##name(int argc, char **argv);
#include "main/qd/commands.def"
#undef QD_COMMAND

static const command commands[] = {
#define QD_COMMAND(name, arguments, meaning) {#name, arguments, meaning, qd_command_##name},
#include "main/qd/commands.def"
#undef QD_COMMAND
};

static void help(FILE *to)
{
    fprintf(to, "usage: qd COMMAND [ARGUMENTS]\n\n");
    for (size_t i = 0; i < QD_COUNT_OF(commands); i++) {
        char left[64];
        snprintf(left, sizeof left, "%s %s", commands[i].name, commands[i].arguments);
        fprintf(to, "  %-34s %s\n", left, commands[i].meaning);
    }
    fprintf(to,
            "\nqd COMMAND --help tells more; qd --version prints the version.\n"
            "Exit status: 0 done, 1 not, 64 a command line that cannot be, 75 no answer in time\n"
            "(--timeout; what was asked for may have been done), 78 settings that cannot be;\n"
            "those of health and segment check tell more.\n");
}

static const char *nearest(const char *name)
{
    const char *best = NULL;
    size_t least = 3;
    for (size_t i = 0; i < QD_COUNT_OF(commands); i++) {
        size_t d = qd_str_distance(qd_str_c(name), qd_str_c(commands[i].name));
        if (d < least) {
            least = d;
            best = commands[i].name;
        }
    }
    return best;
}

/* What a script reads has to be whole: an output that was lost is a failure. A reader that has gone
 * away has had enough. */
static int written(int rc)
{
    if (fflush(stdout) == 0 && !ferror(stdout)) return rc;
    if (errno == EPIPE) return rc;
    fprintf(stderr, "qd: the output cannot be written: %s\n", strerror(errno));
    return rc ? rc : 1;
}

int main(int argc, char **argv)
{
    qd_proc_tune_heap(); /* as the daemon does: qd bench must not measure another heap */
    qd_proc_private_files();
    if (argc < 2) {
        help(stderr);
        return QD_EXIT_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        help(stdout);
        return 0;
    }
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
        printf("quidditch %s\n", QD_VERSION);
        return 0;
    }
    for (size_t i = 0; i < QD_COUNT_OF(commands); i++) {
        if (strcmp(name, commands[i].name) == 0)
            return written(commands[i].run(argc - 1, argv + 1));
    }
    const char *near = nearest(name);
    fprintf(stderr, "qd: unknown command %s%s%s (qd --help)\n", name, near ? ", did you mean " : "",
            near ? near : "");
    return QD_EXIT_USAGE;
}
