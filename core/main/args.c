/* args.c: command lines. See args.h. */
#include "main/args.h"

void qd_args_init(qd_args *a, int argc, char **argv, int first, const qd_option *options)
{
    *a = (qd_args){.argc = argc, .argv = argv, .at = first, .options = options};
}

static const qd_option *find(const qd_option *options, qd_str name)
{
    for (; options && options->name; options++) {
        if (qd_str_is(name, options->name)) return options;
    }
    return NULL;
}

/* The option that a short or long form names; value is what stands behind '=' or the letter. */
static const qd_option *match(const qd_args *a, const char *arg, const char **value)
{
    *value = NULL;
    if (arg[1] != '-') {
        if (arg[2]) *value = arg + 2;
        return find(a->options, (qd_str){arg + 1, 1});
    }
    qd_str name = qd_str_c(arg + 2);
    ptrdiff_t eq = qd_str_find(name, '=');
    if (eq >= 0) {
        *value = arg + 2 + eq + 1;
        name.n = (size_t)eq;
    }
    return name.n > 1 ? find(a->options, name) : NULL;
}

/* Ids (of indices, nodes, copies) are 22 letters of base64, and one of 64 begins with '-'. */
static bool is_id(const char *arg)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    return arg[1] != '-' && strlen(arg) == 22 && strspn(arg, letters) == 22;
}

int qd_args_next(qd_args *a, qd_err *err)
{
    if (a->at >= a->argc) return QD_ARGS_END;
    const char *arg = a->argv[a->at++];
    if (a->only_words || arg[0] != '-' || arg[1] == 0 || is_id(arg)) {
        a->value = arg;
        return QD_ARGS_WORD;
    }
    if (strcmp(arg, "--") == 0) {
        a->only_words = true;
        return qd_args_next(a, err);
    }
    const qd_option *o = match(a, arg, &a->value);
    if (!o) {
        qd_err_set(err, QD_E_ARG, "unknown option %s", arg);
        return QD_ARGS_BAD;
    }
    if (!o->takes_value && a->value) {
        qd_err_set(err, QD_E_ARG, "option %s takes no value", arg);
        return QD_ARGS_BAD;
    }
    if (o->takes_value && !a->value) {
        if (a->at >= a->argc) {
            qd_err_set(err, QD_E_ARG, "option %s wants a value", arg);
            return QD_ARGS_BAD;
        }
        a->value = a->argv[a->at++];
    }
    return o->id;
}

int qd_exit_status(int rc)
{
    if (rc == QD_E_ARG) return QD_EXIT_USAGE;
    if (rc == QD_E_CONFIG) return QD_EXIT_CONFIG;
    if (rc == QD_E_TIMEOUT) return QD_EXIT_TIMEOUT;
    return rc ? QD_EXIT_FAILED : 0;
}
