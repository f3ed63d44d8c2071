/*
 * segment.c: `qd segment check|dump DIR|FILE ...`: reads segments without the server.
 *
 * A folder is opened as a read-only tier, so it may belong to a running node; segments are found in
 * it at any depth. Needs base, json, config, runtime, plugin, store and segment, nothing above.
 */
#include "base/log.h"
#include "base/vec.h"
#include "main/args.h"
#include "main/plugins.h"
#include "runtime/file.h"
#include "runtime/proc.h"
#include "segment/check.h"
#include "store/tier.h"
#include "json/writer.h"
#include <inttypes.h>
#include <stdio.h>

#define OUT_BYTES_MAX (1u << 30)

int qd_command_segment(int argc, char **argv);

static int usage(FILE *to)
{
    fprintf(
        to,
        "usage: qd segment check [--json] DIR|FILE ...\n"
        "       qd segment dump [--json] DIR|FILE ...\n"
        "\n"
        "check reads every byte of the segments below DIR (or of the segment FILE): framing,\n"
        "checksums, terms, postings, columns, points, stored documents, ids, generations of\n"
        "live documents. It ends with 0 when nothing is wrong, with 1 after findings, each with\n"
        "file, section and offset, and with 2 when it could not read. dump shows what segments\n"
        "hold. The server need not run; it may.\n");
    return to == stdout ? 0 : QD_EXIT_USAGE;
}

/* Names of segments below a folder. */
typedef struct names {
    QD_VEC(char *) v;
    qd_err *err;
} names;

typedef struct tool {
    bool json;
    qd_config *config;
    qd_paths paths;
    qd_plugin_host *host;
    qd_json_writer w;
    qd_buf out;
    uint32_t segments, indent;
    qd_check check;
    const char *folder; /* as the user gave it */
    bool bare;          /* text dump: the next line begins an element */
} tool;

static int tool_open(tool *t, qd_err *err)
{
    qd_machine_memory memory;
    qd_machine_memory_get(&memory);
    int rc = qd_paths_find(&t->paths, err);
    if (rc == 0) rc = qd_config_open((int64_t)memory.limit, &t->config, err);
    if (rc == 0) rc = qd_config_ready(t->config, err);
    if (rc == 0)
        rc = qd_main_plugins_open(t->config, &t->paths, qd_env_system(), NULL, NULL, &t->host, err);
    if (rc == 0) rc = qd_plugin_host_load(t->host, err);
    return rc;
}

static void tool_close(tool *t)
{
    qd_plugin_host_close(t->host);
    qd_config_close(t->config);
    qd_buf_fini(&t->out);
}

static int keep_name(void *arg, qd_str name, uint64_t bytes)
{
    names *n = arg;
    (void)bytes;
    if (!qd_segment_name_is(name)) return 0;
    char *copy = qd_memdup(NULL, name.p, name.n);
    if (!copy || qd_vec_push(&n->v, NULL, copy)) {
        qd_free(copy);
        return qd_err_nomem(n->err, "names of segments");
    }
    return 0;
}

/* --- check --- */

static void found(void *arg, qd_str file, const char *section, uint64_t offset, const char *text)
{
    tool *t = arg;
    if (!t->json) {
        printf("%s/%.*s: section %s, offset %" PRIu64 ": %s\n", t->folder, QD_STR_ARG(file),
               section, offset, text);
        return;
    }
    qd_json_object(&t->w);
    qd_json_field_c(&t->w, "folder", t->folder);
    qd_json_field_str(&t->w, "file", file);
    qd_json_field_c(&t->w, "section", section);
    qd_json_field_int(&t->w, "offset", (int64_t)offset);
    qd_json_field_c(&t->w, "finding", text);
    qd_json_object_end(&t->w);
}

static void check_summary(tool *t)
{
    const qd_check *c = &t->check;
    const struct {
        const char *key;
        uint64_t n;
    } rows[] = {{"segments", t->segments},
                {"documents", c->documents},
                {"terms", c->terms},
                {"postings", c->postings},
                {"positions", c->positions},
                {"values", c->values},
                {"points", c->points},
                {"ids", c->ids},
                {"live_generations", c->lives},
                {"index_parts", c->parts},
                {"index_parts_unread", c->parts_unread},
                {"findings", c->findings}};
    for (size_t i = 0; i < QD_COUNT_OF(rows); i++) {
        if (t->json)
            qd_json_field_int(&t->w, rows[i].key, (int64_t)rows[i].n);
        else
            printf("%s%" PRIu64 " %s", i ? ", " : "", rows[i].n, rows[i].key);
    }
    if (!t->json) printf("\n");
}

/* --- dump as text: indented "key: value" lines --- */

static void text_key(tool *t, const char *key)
{
    int width = 2 * ((int)t->indent - 1);
    if (t->bare) width -= 2;
    printf("%*s%s", width > 0 ? width : 0, "", t->bare ? "- " : "");
    t->bare = false;
    if (key) printf("%s: ", key);
}

static void text_open(void *arg, const char *key, bool array)
{
    tool *t = arg;
    (void)array;
    if (key) {
        text_key(t, key);
        printf("\n");
    } else {
        t->bare = t->indent > 0;
    }
    t->indent++;
}

static void text_close(void *arg)
{
    tool *t = arg;
    t->indent--;
}

static void text_text(void *arg, const char *key, qd_str value)
{
    tool *t = arg;
    qd_buf b;
    qd_buf_init(&b, NULL, 1u << 20);
    text_key(t, key);
    qd_json_escape(&b, value);
    printf("%.*s\n", QD_STR_ARG(qd_buf_view(&b)));
    qd_buf_fini(&b);
}

static void text_number(void *arg, const char *key, int64_t value)
{
    tool *t = arg;
    text_key(t, key);
    printf("%" PRId64 "\n", value);
}

/* --- dump as JSON --- */

/* Whether each open level is an array, for closing; dumps nest five deep. */
typedef struct json_levels {
    tool *t;
    uint32_t depth;
    bool array[16];
} json_levels;

static void json_open(void *arg, const char *key, bool array)
{
    json_levels *l = arg;
    if (key) qd_json_key_c(&l->t->w, key);
    if (array)
        qd_json_array(&l->t->w);
    else
        qd_json_object(&l->t->w);
    qd_assert(l->depth < QD_COUNT_OF(l->array));
    l->array[l->depth++] = array;
}

static void json_close(void *arg)
{
    json_levels *l = arg;
    if (l->array[--l->depth])
        qd_json_array_end(&l->t->w);
    else
        qd_json_object_end(&l->t->w);
}

static void json_text(void *arg, const char *key, qd_str value)
{
    json_levels *l = arg;
    if (key) qd_json_key_c(&l->t->w, key);
    qd_json_str(&l->t->w, value);
}

static void json_number(void *arg, const char *key, int64_t value)
{
    json_levels *l = arg;
    if (key) qd_json_key_c(&l->t->w, key);
    qd_json_int(&l->t->w, value);
}

static int dump_one(tool *t, qd_store *store, qd_str name, qd_err *err)
{
    json_levels levels = {.t = t};
    qd_dump_sink text = {t, text_open, text_close, text_text, text_number};
    qd_dump_sink json = {&levels, json_open, json_close, json_text, json_number};
    t->indent = 0;
    t->bare = false;
    if (!t->json && t->segments > 1) printf("\n");
    return qd_segment_dump(store, name, NULL, t->json ? &json : &text, err);
}

/* --- both --- */

static int run_one(tool *t, qd_store *store, qd_str name, bool dump, qd_err *err)
{
    t->segments++;
    return dump ? dump_one(t, store, name, err) : qd_segment_check(store, name, &t->check, err);
}

/* A folder: all segments in it. */
static int run_folder(tool *t, qd_store *store, bool dump, qd_err *err)
{
    names n = {.err = err};
    int rc = qd_store_list(store, QD_STR(""), keep_name, &n, err);
    for (size_t i = 0; rc == 0 && i < n.v.n; i++)
        rc = run_one(t, store, qd_str_c(n.v.at[i]), dump, err);
    for (size_t i = 0; i < n.v.n; i++) qd_free(n.v.at[i]);
    qd_vec_fini(&n.v);
    return rc;
}

static int run_path(tool *t, const char *path, bool dump, qd_err *err)
{
    char folder[QD_PATH_MAX];
    qd_str name = {NULL, 0};
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') n--;
    if (n >= sizeof folder) return qd_err_set(err, QD_E_ARG, "the path is too long");
    memcpy(folder, path, n);
    folder[n] = 0;
    qd_file_info info;
    int rc = qd_file_stat(folder, &info, err);
    if (rc) return rc;
    if (!info.is_dir) {
        size_t at = n;
        while (at > 0 && path[at - 1] != '/') at--;
        name = (qd_str){path + at, n - at};
        memcpy(folder, at ? path : ".", at ? at : 1);
        folder[at > 1 ? at - 1 : 1] = 0;
    }
    qd_store *store;
    rc = qd_store_open_dir(t->host, qd_str_c(folder), true, &store, err);
    if (rc) return rc;
    t->folder = folder;
    rc = name.n ? run_one(t, store, name, dump, err) : run_folder(t, store, dump, err);
    qd_store_close(store);
    return rc;
}

static int read_options(int argc, char **argv, tool *t, bool *help, qd_err *err)
{
    enum { JSON = 1, HELP };
    static const qd_option options[] = {{"json", false, JSON}, {"help", false, HELP}, {0}};
    qd_args a;
    int id;
    qd_args_init(&a, argc, argv, 2, options);
    while ((id = qd_args_next(&a, err)) != QD_ARGS_END) {
        if (id == QD_ARGS_BAD) return QD_E_ARG;
        t->json |= id == JSON;
        *help |= id == HELP;
    }
    return 0;
}

static int run_paths(int argc, char **argv, tool *t, bool dump, qd_err *err)
{
    static const qd_option options[] = {{"json", false, 1}, {"help", false, 2}, {0}};
    qd_args a;
    int id, rc = 0, paths = 0;
    qd_args_init(&a, argc, argv, 2, options);
    while (rc == 0 && (id = qd_args_next(&a, err)) != QD_ARGS_END) {
        if (id != QD_ARGS_WORD) continue;
        paths++;
        rc = run_path(t, a.value, dump, err);
    }
    return rc == 0 && paths == 0 ? qd_err_set(err, QD_E_ARG, "which folder or segment?") : rc;
}

static int run(int argc, char **argv, tool *t, bool dump, qd_err *err)
{
    qd_log_level_set(NULL, QD_LOG_WARN);
    int rc = tool_open(t, err);
    if (rc) return rc;
    qd_json_writer_init(&t->w, &t->out, true);
    if (t->json) {
        qd_json_object(&t->w);
        qd_json_key_c(&t->w, dump ? "segments" : "findings_list");
        qd_json_array(&t->w);
    }
    rc = run_paths(argc, argv, t, dump, err);
    if (t->json) qd_json_array_end(&t->w);
    if (!dump && rc == 0) check_summary(t);
    if (t->json) {
        qd_json_object_end(&t->w);
        if (rc == 0) printf("%.*s\n", QD_STR_ARG(qd_buf_view(&t->out)));
    }
    return rc;
}

int qd_command_segment(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    bool dump = strcmp(what, "dump") == 0, help = false;
    if (!dump && strcmp(what, "check") != 0)
        return usage(strcmp(what, "--help") == 0 ? stdout : stderr);
    qd_err err;
    tool t = {.json = false};
    qd_err_init(&err);
    qd_buf_init(&t.out, NULL, OUT_BYTES_MAX);
    t.check = (qd_check){.found = found, .arg = &t};
    int rc = read_options(argc, argv, &t, &help, &err);
    if (rc == 0 && !help) rc = run(argc, argv, &t, dump, &err);
    if (rc) fprintf(stderr, "qd segment %s: %s\n", what, qd_err_reason(&err));
    tool_close(&t);
    qd_err_fini(&err);
    if (help) return usage(stdout);
    if (rc == QD_E_ARG) return QD_EXIT_USAGE;
    return rc ? 2 : t.check.findings ? 1 : 0;
}
