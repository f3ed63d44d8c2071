/*
 * index.c: `qd index`: sends documents, one JSON object a line, to an index by bulk requests,
 * and shows how far it is. Lines that the node refuses are counted, the first of them shown with
 * file and line. What was indexed is refreshed at the end, so that a search finds it.
 */
#include "main/qd/index.h"
#include "base/log.h"
#include "base/vec.h"
#include "main/args.h"
#include "main/qd/client.h"
#include "main/qd/unzip.h"
#include "runtime/env.h"
#include "runtime/file.h"
#include "runtime/proc.h"
#include "json/tree.h"
#include "json/writer.h"
#include <stdio.h>
#include <stdlib.h>

#define BULK_BYTES ((size_t)4 << 20)
#define READ_BYTES ((size_t)1 << 20)
#define LINE_MAX_BYTES ((size_t)100 << 20)
#define BAR 30
#define TOLD_MAX 5

typedef struct place {
    const char *file;
    uint64_t line;
} place;

typedef struct indexing {
    qd_client *client;
    char path[QD_CLIENT_PATH_MAX], refresh[QD_CLIENT_PATH_MAX];
    QD_VEC(place) places; /* of the documents in bulk */
    const char *file;     /* read now */
    uint64_t line_no;
    const char *id_field;
    qd_buf bulk, answer, line;
    uint64_t sent_docs, errors, told, batch;
    uint64_t bytes, taken, total; /* of documents, of the files so far, of the files */
    uint64_t start_ns, shown_ns;
    bool tty, color, json;
} indexing;

static void help(void)
{
    printf("usage: qd index INDEX [FILE...] [--url URL] [--id FIELD] [--timeout SECONDS] [--json]\n"
           "       qd index import-dangling [UUID...] [--all] [--url URL] [--timeout SECONDS]\n\n"
           "Indexes documents, one JSON object a line, from files (- or none: standard input;\n"
           "gzip is unpacked), and refreshes the index. Refused lines are told; the exit status is "
           "then 1.\n"
           "  --id FIELD   use this field's value as _id (a later document of an id replaces it)\n"
           "  --url URL    the node (default: QUIDDITCH_URL or http://localhost:9200)\n"
           "  --timeout S  how long a silent node is waited for, in seconds (120; 0: no limit)\n"
           "  --json       print the figures as JSON\n\n"
           "import-dangling lists indices whose files the node holds though the cluster does not "
           "know\nthem, and brings back those named, or with --all each of them.\n");
}

static void show(indexing *x, bool end)
{
    uint64_t now = qd_env_mono_ns(qd_env_system());
    if (!x->tty || (!end && now - x->shown_ns < 100000000u)) return;
    x->shown_ns = now;
    double s = (double)(now - x->start_ns) / 1e9, rate = s > 0 ? (double)x->sent_docs / s : 0;
    double part = x->total ? (double)x->taken / (double)x->total : 0;
    char bar[BAR + 1];
    for (int i = 0; i < BAR; i++) bar[i] = i < part * BAR ? '#' : '.';
    bar[BAR] = 0;
    if (x->total) {
        fprintf(stderr, "\r%s%s%s %3.0f%%", x->color ? "\033[32m" : "", bar,
                x->color ? "\033[0m" : "", part * 100);
    } else {
        fprintf(stderr, "\r%.1f MB", (double)x->bytes / 1e6);
    }
    fprintf(stderr, "  %llu documents  %.0f/s", (unsigned long long)x->sent_docs, rate);
    if (x->errors)
        fprintf(stderr, "  %s%llu errors%s", x->color ? "\033[31m" : "",
                (unsigned long long)x->errors, x->color ? "\033[0m" : "");
    fprintf(stderr, "\033[K%s", end ? "\n" : "");
}

/* Counts a refused document (or, with all, the whole batch) and tells the first few. */
static void refused(indexing *x, uint64_t i, bool all, int status, qd_str reason)
{
    x->errors += all ? x->batch : 1;
    if (++x->told > TOLD_MAX) return;
    const place *p = &x->places.at[i];
    if (x->tty) fputs("\r\033[K", stderr);
    fprintf(stderr, "qd index: %s, line %llu: ", p->file, (unsigned long long)p->line);
    if (all && x->batch > 1) fprintf(stderr, "and %llu more: ", (unsigned long long)x->batch - 1);
    if (all) fprintf(stderr, "HTTP %d: ", status);
    qd_str line = qd_str_split(&reason, '\n');
    for (size_t c = 0; c < line.n; c++) /* what a document holds is nothing for a terminal */
        fputc((uint8_t)line.p[c] < 0x20 || line.p[c] == 0x7f ? '?' : line.p[c], stderr);
    fputc('\n', stderr);
}

static qd_str reason_of(const qd_json_node *e)
{
    const qd_json_node *reason = e ? qd_json_get(e, "reason") : NULL;
    const qd_json_node *cause = e ? qd_json_get(e, "caused_by") : NULL;
    const qd_json_node *why = cause ? qd_json_get(cause, "reason") : NULL;
    /* the outer one says only where, the inner one why */
    if (reason && why && qd_str_starts(reason->text, QD_STR("failed to parse")) && why->text.n)
        return why->text;
    return reason ? reason->text : e && e->text.n ? e->text : QD_STR("refused without a reason");
}

/* Counts refused items of a bulk answer. */
static void look(indexing *x, int status)
{
    qd_arena a;
    qd_json_node *root;
    qd_arena_init(&a, NULL, 0);
    if (qd_json_parse(&a, qd_buf_view(&x->answer), 0, &root, NULL)) {
        refused(x, 0, true, status, QD_STR("the answer is no JSON"));
        goto out;
    }
    const qd_json_node *items = qd_json_get(root, "items");
    if (status >= 300 || !items) {
        refused(x, 0, true, status, reason_of(qd_json_get(root, "error")));
        goto out;
    }
    const qd_json_node *flag = qd_json_get(root, "errors");
    uint64_t n = 0;
    for (const qd_json_node *i = flag && flag->truth ? items->first : NULL; i && n < x->batch;
         i = i->next, n++) {
        const qd_json_node *e = i->first ? qd_json_get(i->first, "error") : NULL;
        if (e) refused(x, n, false, status, reason_of(e));
    }
out:
    qd_arena_fini(&a);
}

static int send_bulk(indexing *x, qd_err *err)
{
    int status = 0;
    if (!x->batch) return 0;
    int rc = 0;
    for (int attempt = 0; attempt < 8; attempt++) { /* a busy node says 429: later */
        rc = qd_client_call(x->client, "POST", x->path, qd_buf_view(&x->bulk), true, &status,
                            &x->answer, err);
        if (rc || status != 429) break;
        qd_env_sleep_ns(qd_env_system(), (uint64_t)100000000 << attempt);
    }
    if (rc) return rc;
    x->sent_docs += x->batch;
    look(x, status);
    x->batch = 0;
    x->places.n = 0;
    qd_buf_reset(&x->bulk);
    show(x, false);
    return 0;
}

static int add_document(indexing *x, qd_str line, qd_err *err)
{
    qd_str id = {NULL, 0};
    qd_arena a;
    qd_arena_init(&a, NULL, 0);
    if (x->id_field) {
        qd_json_node *root;
        if (!qd_json_parse(&a, line, 0, &root, NULL)) {
            const qd_json_node *n = qd_json_get(root, x->id_field);
            if (n) id = qd_json_text(n);
        }
    }
    if (id.n) {
        qd_json_writer w;
        qd_json_writer_init(&w, &x->bulk, false);
        qd_json_object(&w);
        qd_json_key_c(&w, "index");
        qd_json_object(&w);
        qd_json_field_str(&w, "_id", id);
        qd_json_object_end(&w);
        qd_json_object_end(&w);
        (void)qd_buf_char(&x->bulk, '\n');
    } else {
        (void)qd_buf_c(&x->bulk, "{\"index\":{}}\n");
    }
    (void)qd_buf_str(&x->bulk, line);
    int rc = qd_buf_char(&x->bulk, '\n');
    qd_arena_fini(&a);
    if (rc) return qd_err_set(err, rc, "a line of %zu bytes is too long", line.n);
    if (qd_vec_push(&x->places, NULL, ((place){x->file, x->line_no})))
        return qd_err_nomem(err, "a batch of documents");
    x->batch++;
    return x->bulk.n >= BULK_BYTES ? send_bulk(x, err) : 0;
}

static int index_file(indexing *x, const char *file, qd_err *err)
{
    qd_unzip *in = NULL;
    char *chunk = qd_alloc(NULL, READ_BYTES);
    if (!chunk) return qd_err_nomem(err, "read buffer");
    int rc = qd_unzip_open(file, &in, err);
    if (rc) {
        qd_free(chunk);
        return rc;
    }
    x->file = strcmp(file, "/dev/stdin") == 0 ? "standard input" : file;
    x->line_no = 0;
    for (;;) {
        int64_t got = qd_unzip_read(in, chunk, READ_BYTES, &x->taken, err);
        if (got < 0) rc = (int)got;
        if (got <= 0) break;
        x->bytes += (uint64_t)got;
        qd_str rest = {chunk, (size_t)got};
        while (!rc && rest.n) {
            ptrdiff_t nl = qd_str_find(rest, '\n');
            size_t n = nl < 0 ? rest.n : (size_t)nl;
            if ((rc = qd_buf_add(&x->line, rest.p, n))) {
                qd_err_set(err, rc, "%s: a line of over %zu bytes", file, LINE_MAX_BYTES);
                break;
            }
            rest = qd_str_sub(rest, nl < 0 ? n : n + 1, rest.n);
            if (nl < 0) break;
            qd_str line = qd_str_trim(qd_buf_view(&x->line));
            if (x->line_no++ == 0 && qd_str_starts(line, QD_STR("\xef\xbb\xbf")))
                line = qd_str_sub(line, 3, line.n); /* the mark that some editors write */
            if (line.n) rc = add_document(x, line, err);
            qd_buf_reset(&x->line);
        }
        if (rc) break;
    }
    qd_str line = qd_str_trim(qd_buf_view(&x->line));
    x->line_no++;
    if (!rc && line.n) rc = add_document(x, line, err);
    qd_buf_reset(&x->line);
    qd_unzip_close(in);
    qd_free(chunk);
    return rc;
}

static void report(indexing *x)
{
    double s = (double)(qd_env_mono_ns(qd_env_system()) - x->start_ns) / 1e9;
    uint64_t docs = x->sent_docs - x->errors;
    show(x, true);
    if (x->json) {
        printf("{\"documents\":%llu,\"errors\":%llu,\"bytes\":%llu,\"seconds\":%.3f,\"docs_per_s\":"
               "%.0f}\n",
               (unsigned long long)docs, (unsigned long long)x->errors,
               (unsigned long long)x->bytes, s, s > 0 ? (double)docs / s : 0);
    } else {
        printf("%llu documents, %.1f MB in %.1f s (%.0f documents/s), %llu errors\n",
               (unsigned long long)docs, (double)x->bytes / 1e6, s, s > 0 ? (double)docs / s : 0,
               (unsigned long long)x->errors);
    }
    if (x->told > TOLD_MAX)
        fprintf(stderr, "qd index: and %llu more\n", (unsigned long long)(x->told - TOLD_MAX));
}

/* The command line. */
typedef struct words {
    const char *url, *name;
    QD_VEC(const char *) files; /* or UUIDs */
    int64_t patience;
    bool all, help;
} words;

static int read_words(words *w, indexing *x, int argc, char **argv, qd_err *err)
{
    enum { URL = 1, ID, JSON, ALL, PATIENCE, HELP };
    static const qd_option options[] = {{"url", true, URL},          {"id", true, ID},
                                        {"json", false, JSON},       {"all", false, ALL},
                                        {"timeout", true, PATIENCE}, {"help", false, HELP},
                                        {"h", false, HELP},          {0}};
    int id, rc = 0;
    qd_args a;
    qd_args_init(&a, argc, argv, 1, options);
    while (!rc && !w->help && (id = qd_args_next(&a, err)) != QD_ARGS_END) {
        if (id == URL) w->url = a.value;
        if (id == ID) x->id_field = a.value;
        if (id == JSON) x->json = true;
        if (id == ALL) w->all = true;
        if (id == PATIENCE) rc = qd_client_seconds(a.value, &w->patience, err);
        if (id == HELP) w->help = true;
        if (id == QD_ARGS_BAD) rc = QD_E_ARG;
        if (id == QD_ARGS_WORD && !w->name)
            w->name = a.value;
        else if (id == QD_ARGS_WORD && qd_vec_push(&w->files, NULL, a.value))
            rc = qd_err_nomem(err, "names of files");
    }
    if (!rc && !w->help && !w->name)
        rc = qd_err_set(err, QD_E_ARG, "which index? (qd index --help)");
    return rc;
}

/* A refresh that fails is told: what was indexed may not be found at once. */
static int refresh(indexing *x, qd_err *err)
{
    int status = 0;
    int rc =
        qd_client_call(x->client, "POST", x->refresh, QD_STR(""), false, &status, &x->answer, err);
    return rc || status < 300 ? rc : qd_client_refused(qd_buf_view(&x->answer), status, err);
}

static int index_files(indexing *x, const words *w, qd_err *err)
{
    static const char *const input[] = {"-"};
    const char *const *files = w->files.n ? w->files.at : input;
    size_t n = w->files.n ? w->files.n : 1;
    char escaped[QD_CLIENT_PART_MAX];
    int rc = qd_client_escape(w->name, escaped, sizeof escaped, err);
    if (rc) return rc;
    snprintf(x->path, sizeof x->path, "/%s/_bulk", escaped);
    snprintf(x->refresh, sizeof x->refresh, "/%s/_refresh", escaped);
    qd_buf_init(&x->bulk, NULL, LINE_MAX_BYTES + BULK_BYTES * 2);
    qd_buf_init(&x->answer, NULL, (size_t)1 << 31);
    qd_buf_init(&x->line, NULL, LINE_MAX_BYTES);
    x->tty = qd_proc_tty_err(NULL);
    x->color = qd_proc_colors();
    x->start_ns = qd_env_mono_ns(qd_env_system());
    for (size_t i = 0; i < n; i++) {
        qd_file_info info;
        if (!qd_file_stat(files[i], &info, NULL)) x->total += info.size;
    }
    for (size_t i = 0; i < n && !rc; i++)
        rc = index_file(x, strcmp(files[i], "-") == 0 ? "/dev/stdin" : files[i], err);
    if (!rc) rc = send_bulk(x, err);
    if (!rc && x->sent_docs > x->errors) rc = refresh(x, err);
    report(x);
    qd_buf_fini(&x->bulk);
    qd_buf_fini(&x->answer);
    qd_buf_fini(&x->line);
    qd_vec_fini(&x->places);
    return rc;
}

int qd_command_index(int argc, char **argv);

int qd_command_index(int argc, char **argv)
{
    indexing x = {0};
    words w = {.patience = QD_CLIENT_BULK_S};
    qd_err err;
    qd_err_init(&err);
    int rc = read_words(&w, &x, argc, argv, &err);
    if (!rc && w.help) {
        help();
    } else if (!rc && !(rc = qd_client_open(w.url, &x.client, &err))) {
        qd_client_patience(x.client, w.patience);
        rc = strcmp(w.name, "import-dangling") == 0
                 ? qd_index_import(x.client, w.files.at, (uint32_t)w.files.n, w.all, &err)
                 : index_files(&x, &w, &err);
    }
    if (rc) fprintf(stderr, "qd index: %s\n", qd_err_reason(&err));
    qd_err_fini(&err);
    qd_client_close(x.client);
    qd_vec_fini(&w.files);
    return rc ? qd_exit_status(rc) : x.errors ? QD_EXIT_FAILED : 0;
}
