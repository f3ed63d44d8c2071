/*
 * args.h: command lines: long options with or without value, single letters, positional words.
 */
#ifndef QD_MAIN_ARGS_H
#define QD_MAIN_ARGS_H

#include "base/err.h"
#include "base/str.h"

/* One option; ends a table with name NULL. "--name VALUE", "--name=VALUE", "-E VALUE". */
typedef struct qd_option {
    const char *name; /* without dashes; one letter: -x */
    bool takes_value;
    int id; /* > 0, returned by qd_args_next */
} qd_option;

typedef struct qd_args {
    int argc, at;
    char **argv;
    const qd_option *options;
    const char *value; /* of the option just returned, or the positional word */
    bool only_words;   /* after "--" */
} qd_args;

/* Exit statuses of both programs, as sysexits.h has them; 0 and what a command says of itself
 * aside.
 */
#define QD_EXIT_FAILED 1   /* what was asked for could not be done */
#define QD_EXIT_USAGE 64   /* a command line that cannot be */
#define QD_EXIT_TIMEOUT 75 /* no answer in time: what was asked for may have been done */
#define QD_EXIT_CONFIG 78  /* settings that cannot be: of a file, the environment, a flag */

#define QD_ARGS_WORD 0 /* a positional word, in value */
#define QD_ARGS_END (-1)
#define QD_ARGS_BAD (-2) /* err is set */

/* Starts behind argv[first - 1]. */
void qd_args_init(qd_args *a, int argc, char **argv, int first, const qd_option *options);
/* The next option's id, QD_ARGS_WORD, QD_ARGS_END or QD_ARGS_BAD (unknown option, missing value).
 */
int qd_args_next(qd_args *a, qd_err *err);
/* The exit status that a code of an error becomes: QD_E_ARG is usage, QD_E_CONFIG configuration,
 * QD_E_TIMEOUT no answer in time. */
int qd_exit_status(int rc);

#endif
