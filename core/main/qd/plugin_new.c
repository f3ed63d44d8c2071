/*
 * plugin_new.c: `qd plugin new KIND NAME [FOLDER]` copies the skeleton of a kind that the SDK
 * carries (sdk/templates/KIND) and puts the name in. bucket_aggregation is the kind aggregation
 * with buckets.
 */
#include "base/str.h"
#include "main/args.h"
#include "main/paths.h"
#include "main/qd/plugin.h"
#include "runtime/file.h"
#include <stdio.h>

#define TEXT_BYTES_MAX (1u << 20)

typedef struct job {
    char from[QD_PATH_MAX + 64], to[QD_PATH_MAX + 64];
    const char *name;
    char symbol[64]; /* the name with '_' for '-' */
    qd_err *err;
} job;

/* Copies text with @NAME@ and @SYMBOL@ replaced. */
static int fill_in(qd_str text, const job *j, qd_buf *out)
{
    while (text.n) {
        ptrdiff_t at = qd_str_find(text, '@');
        qd_str rest = qd_str_sub(text, at < 0 ? text.n : (size_t)at, text.n);
        qd_buf_add(out, text.p, text.n - rest.n);
        size_t step = 1;
        if (qd_str_starts(rest, QD_STR("@NAME@")))
            qd_buf_c(out, j->name), step = 6;
        else if (qd_str_starts(rest, QD_STR("@SYMBOL@")))
            qd_buf_c(out, j->symbol), step = 8;
        else if (rest.n)
            qd_buf_char(out, '@');
        text = qd_str_sub(rest, step, rest.n);
    }
    return qd_buf_status(out);
}

static int copy_one(void *arg, const char *name)
{
    job *j = arg;
    char from[QD_PATH_MAX * 2], to[QD_PATH_MAX * 2];
    snprintf(from, sizeof from, "%s/%s", j->from, name);
    snprintf(to, sizeof to, "%s/%s", j->to, name);
    qd_buf in, out;
    qd_buf_init(&in, NULL, TEXT_BYTES_MAX);
    qd_buf_init(&out, NULL, TEXT_BYTES_MAX);
    int rc = qd_file_read(from, &in, j->err);
    if (rc == 0) rc = fill_in(qd_buf_view(&in), j, &out);
    if (rc == 0) rc = qd_file_write_atomic(to, qd_buf_view(&out), 0644, j->err);
    if (rc == 0) printf("%s\n", to);
    qd_buf_fini(&in);
    qd_buf_fini(&out);
    return rc;
}

static bool name_ok(const char *name)
{
    size_t n = strlen(name);
    return n > 0 && n < 64 && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == n;
}

static bool plain_word(const char *s)
{
    return *s && strspn(s, "abcdefghijklmnopqrstuvwxyz_") == strlen(s);
}

int qd_plugin_new(int argc, char **argv, qd_err *err)
{
    static const qd_option options[] = {{0}};
    const char *words[3] = {NULL, NULL, NULL};
    qd_args a;
    int id, n = 0;
    qd_args_init(&a, argc, argv, 2, options);
    while ((id = qd_args_next(&a, err)) != QD_ARGS_END) {
        if (id == QD_ARGS_BAD) return QD_E_ARG;
        if (n < 3) words[n++] = a.value;
    }
    if (n < 2)
        return qd_err_set(err, QD_E_ARG,
                          "wants a kind and a name: qd plugin new token_filter my-filter");
    if (!name_ok(words[1]))
        return qd_err_set(err, QD_E_ARG, "bad name [%s]: wanted [a-z0-9-]+", words[1]);
    qd_paths paths;
    job j = {.name = words[1], .err = err};
    int rc = qd_paths_find(&paths, err);
    if (rc) return rc;
    /* an analyzer is made of three kinds: most plugins bring the last one */
    if (strcmp(words[0], "analyzer") == 0) words[0] = "token_filter";
    snprintf(j.from, sizeof j.from, "%s/templates/%s", paths.sdk, words[0]);
    snprintf(j.to, sizeof j.to, "%s", words[2] ? words[2] : words[1]);
    for (size_t i = 0; j.name[i]; i++) j.symbol[i] = j.name[i] == '-' ? '_' : j.name[i];
    if (!plain_word(words[0]) || !qd_file_exists(j.from))
        return qd_err_set(
            err, QD_E_ARG,
            "no skeleton of kind [%s]: there are aggregation, bucket_aggregation, operator, "
            "tokenizer, "
            "token_filter, char_filter, field, processor, storage, coordination, frontend and "
            "route",
            words[0]);
    if (qd_file_exists(j.to)) return qd_err_set(err, QD_E_EXISTS, "%s is there already", j.to);
    rc = qd_dir_make(j.to, 0755, err);
    if (rc == 0) rc = qd_dir_list(j.from, copy_one, &j, err);
    if (rc == 0) printf("build it with: make -C %s && make -C %s check\n", j.to, j.to);
    return rc;
}
