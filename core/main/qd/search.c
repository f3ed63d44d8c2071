/*
 * search.c: `qd search INDEX "words"`: hits as a person reads them, or as the server gave them.
 */
#include "base/vec.h"
#include "main/args.h"
#include "main/qd/client.h"
#include "runtime/proc.h"
#include "json/tree.h"
#include "json/writer.h"
#include <stdio.h>

#define VALUE_WIDTH 160
#define WORDS_MAX_BYTES ((size_t)1 << 16)

static void help(void)
{
    printf("usage: qd search INDEX WORDS [--size N] [--field FIELD]... [--url URL]\n"
           "                 [--timeout SECONDS] [--json]\n\n"
           "Searches all fields for the words, in Elasticsearch's query_string syntax, and prints\n"
           "the best hits with their matches marked.\n"
           "  --size N     hits to show (10)\n"
           "  --field F    fields to show, any number (all)\n"
           "  --timeout S  how long a silent node is waited for, in seconds (30; 0: no limit)\n"
           "  --json       the answer as the server gave it\n");
}

static void body(qd_buf *out, qd_str words, const char *size, bool marks)
{
    qd_json_writer w;
    qd_json_writer_init(&w, out, false);
    qd_json_object(&w);
    qd_json_key_c(&w, "query");
    qd_json_object(&w);
    qd_json_key_c(&w, words.n ? "query_string" : "match_all");
    qd_json_object(&w);
    if (words.n) {
        qd_json_field_str(&w, "query", words);
        qd_json_field_bool(&w, "lenient", true);
    }
    qd_json_object_end(&w);
    qd_json_object_end(&w);
    qd_json_key_c(&w, "size");
    qd_json_raw_value(&w, qd_str_c(size));
    if (marks) {
        qd_json_key_c(&w, "highlight");
        qd_json_raw_value(
            &w, QD_STR("{\"fields\":{\"*\":{\"number_of_fragments\":1}},\"pre_tags\":"
                       "[\"\\u0001\"],\"post_tags\":[\"\\u0002\"],\"require_field_match\":false}"));
    }
    qd_json_object_end(&w);
}

/* One value on one line, cut to the terminal, matches in colour. */
static void print_value(qd_str v, bool color, unsigned width)
{
    unsigned n = 0;
    for (size_t i = 0; i < v.n && n < width; i++) {
        unsigned char c = (unsigned char)v.p[i];
        if (c == 1) {
            fputs(color ? "\033[1;33m" : "*", stdout);
        } else if (c == 2) {
            fputs(color ? "\033[0m" : "*", stdout);
        } else {
            putchar(c < 0x20 || c == 0x7f ? ' ' : c);
            n += (c & 0xc0) != 0x80;
        }
    }
    if (color) fputs("\033[0m", stdout);
    if (n == width) fputs("…", stdout);
}

static bool asked_for(qd_str field, const char *const *fields, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (qd_str_is(field, fields[i])) return true;
    }
    return n == 0;
}

static void print_hit(const qd_json_node *hit, uint32_t number, const char *const *fields,
                      uint32_t nfields, bool color, unsigned width)
{
    const qd_json_node *id = qd_json_get(hit, "_id"), *score = qd_json_get(hit, "_score");
    const qd_json_node *source = qd_json_get(hit, "_source"),
                       *marks = qd_json_get(hit, "highlight");
    qd_str points = score ? qd_json_text(score) : QD_STR("");
    printf("%s%2u. %.*s%s  %.*s\n", color ? "\033[1m" : "", number, QD_STR_ARG(qd_json_text(id)),
           color ? "\033[0m" : "", QD_STR_ARG(points));
    for (const qd_json_node *m = source ? source->first : NULL; m; m = m->next) {
        if (!asked_for(m->key, fields, nfields)) continue;
        const qd_json_node *marked = marks ? qd_json_get_str(marks, m->key) : NULL;
        qd_str v = m->type == QD_JSON_T_STRING ? m->text : m->raw;
        if (marked && marked->first) v = marked->first->text;
        printf("    %s%.*s%s: ", color ? "\033[36m" : "", QD_STR_ARG(m->key),
               color ? "\033[0m" : "");
        print_value(v, color, width);
        putchar('\n');
    }
}

static int print_hits(qd_str answer, const char *const *fields, uint32_t nfields)
{
    qd_arena a;
    qd_json_node *root;
    unsigned columns = 0;
    bool color = qd_proc_tty(&columns) && qd_proc_colors();
    unsigned width = columns > 40 ? columns - 24 : VALUE_WIDTH;
    qd_arena_init(&a, NULL, 0);
    int rc = qd_json_parse(&a, answer, 0, &root, NULL);
    const qd_json_node *hits = rc ? NULL : qd_json_get(root, "hits");
    const qd_json_node *list = hits ? qd_json_get(hits, "hits") : NULL;
    if (!list) {
        const qd_json_node *e = rc ? NULL : qd_json_get(root, "error");
        const qd_json_node *causes = e ? qd_json_get(e, "root_cause") : NULL;
        if (causes && causes->first) e = causes->first; /* "all shards failed" helps nobody */
        const qd_json_node *reason = e ? qd_json_get(e, "reason") : NULL;
        fprintf(stderr, "qd search: %.*s\n", reason ? (int)reason->text.n : 9,
                reason ? reason->text.p : "no answer");
        qd_arena_fini(&a);
        return 1;
    }
    const qd_json_node *total = qd_json_get(hits, "total"), *took = qd_json_get(root, "took");
    const qd_json_node *value = total ? qd_json_get(total, "value") : NULL;
    const qd_json_node *relation = total ? qd_json_get(total, "relation") : NULL;
    printf("%s%.*s hits in %.*s ms\n\n",
           relation && qd_str_is(relation->text, "gte") ? "more than " : "",
           QD_STR_ARG(value ? value->text : QD_STR("?")),
           QD_STR_ARG(took ? took->text : QD_STR("?")));
    uint32_t n = 0;
    for (const qd_json_node *h = list->first; h; h = h->next) {
        print_hit(h, ++n, fields, nfields, color, width);
    }
    qd_arena_fini(&a);
    return 0;
}

/* The command line. */
typedef struct words {
    const char *url, *size, *name;
    QD_VEC(const char *) fields;
    qd_buf text; /* what is searched for */
    int64_t patience;
    bool json, help;
} words;

static int read_words(words *w, int argc, char **argv, qd_err *err)
{
    enum { URL = 1, SIZE, FIELD, JSON, PATIENCE, HELP };
    static const qd_option options[] = {{"url", true, URL},          {"size", true, SIZE},
                                        {"field", true, FIELD},      {"json", false, JSON},
                                        {"timeout", true, PATIENCE}, {"help", false, HELP},
                                        {"h", false, HELP},          {0}};
    uint64_t n;
    int id, rc = 0;
    qd_args a;
    qd_args_init(&a, argc, argv, 1, options);
    while (!rc && !w->help && (id = qd_args_next(&a, err)) != QD_ARGS_END) {
        if (id == URL) w->url = a.value;
        if (id == SIZE) w->size = a.value;
        if (id == FIELD && qd_vec_push(&w->fields, NULL, a.value))
            rc = qd_err_nomem(err, "names of fields");
        if (id == JSON) w->json = true;
        if (id == PATIENCE) rc = qd_client_seconds(a.value, &w->patience, err);
        if (id == HELP) w->help = true;
        if (id == QD_ARGS_BAD) rc = QD_E_ARG;
        if (id == QD_ARGS_WORD && !w->name)
            w->name = a.value;
        else if (id == QD_ARGS_WORD &&
                 qd_buf_printf(&w->text, "%s%s", w->text.n ? " " : "", a.value))
            rc = qd_err_set(err, QD_E_ARG, "words of over %zu bytes", WORDS_MAX_BYTES);
    }
    if (rc || w->help) return rc;
    if (!w->name) return qd_err_set(err, QD_E_ARG, "which index? (qd search --help)");
    if (!qd_str_u64(qd_str_c(w->size), &n))
        return qd_err_set(err, QD_E_ARG, "--size is no number: %s", w->size);
    return 0;
}

/* Asks the node, and prints what it says. An error that is in its answer is printed with it: 1. */
static int search(qd_client *c, const words *w, qd_err *err)
{
    char path[QD_CLIENT_PATH_MAX], escaped[QD_CLIENT_PART_MAX];
    int status = 0, rc = qd_client_escape(w->name, escaped, sizeof escaped, err);
    if (rc) return rc;
    qd_buf request, answer;
    qd_buf_init(&request, NULL, (size_t)1 << 20);
    qd_buf_init(&answer, NULL, (size_t)1 << 31);
    snprintf(path, sizeof path, "/%s/_search", escaped);
    body(&request, qd_buf_view(&w->text), w->size, !w->json);
    rc = qd_client_call(c, "POST", path, qd_buf_view(&request), false, &status, &answer, err);
    if (!rc && w->json) {
        printf("%.*s\n", QD_STR_ARG(qd_buf_view(&answer)));
        rc = status >= 300;
    } else if (!rc) {
        rc = print_hits(qd_buf_view(&answer), w->fields.at, (uint32_t)w->fields.n);
    }
    qd_buf_fini(&request);
    qd_buf_fini(&answer);
    return rc;
}

int qd_command_search(int argc, char **argv);

int qd_command_search(int argc, char **argv)
{
    words w = {.size = "10", .patience = QD_CLIENT_READ_S};
    qd_client *client = NULL;
    qd_err err;
    qd_err_init(&err);
    qd_buf_init(&w.text, NULL, WORDS_MAX_BYTES);
    int rc = read_words(&w, argc, argv, &err);
    if (!rc && w.help) {
        help();
    } else if (!rc && !(rc = qd_client_open(w.url, &client, &err))) {
        qd_client_patience(client, w.patience);
        rc = search(client, &w, &err);
    }
    if (rc < 0) fprintf(stderr, "qd search: %s\n", qd_err_reason(&err));
    qd_err_fini(&err);
    qd_buf_fini(&w.text);
    qd_vec_fini(&w.fields);
    qd_client_close(client);
    return qd_exit_status(rc);
}
