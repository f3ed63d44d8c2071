/*
 * qd_search.c: `qd search INDEX "words"`: hits as a person reads them, or as the server gave them.
 */
#include "main/args.h"
#include "main/qd_client.h"
#include "runtime/proc.h"
#include "json/tree.h"
#include "json/writer.h"
#include <stdio.h>

#define VALUE_WIDTH 160

static void help(void)
{
    printf("usage: qd search INDEX WORDS [--size N] [--field FIELD]... [--url URL]\n"
           "                 [--timeout SECONDS] [--json]\n\n"
           "Searches all fields (or those named) for the words, in Elasticsearch's query_string\n"
           "syntax, and prints the best hits with their matches marked.\n"
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
    bool color = qd_proc_tty(&columns);
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

int qd_command_search(int argc, char **argv);

int qd_command_search(int argc, char **argv)
{
    static const qd_option options[] = {
        {"url", true, 1},     {"size", true, 2},  {"field", true, 3}, {"json", false, 4},
        {"timeout", true, 6}, {"help", false, 5}, {"h", false, 5},    {0}};
    const char *url = NULL, *size = "10", *name = NULL, *fields[64];
    uint32_t nfields = 0;
    bool json = false;
    int64_t patience = QD_CLIENT_READ_S;
    int id, rc = 0, status = 0;
    qd_client *client = NULL;
    qd_buf request, answer, words;
    qd_err err;
    qd_args a;
    qd_err_init(&err);
    qd_args_init(&a, argc, argv, 1, options);
    qd_buf_init(&words, NULL, 1 << 16);
    while (!rc && (id = qd_args_next(&a, &err)) != QD_ARGS_END) {
        if (id == 1) url = a.value;
        if (id == 2) size = a.value;
        if (id == 3 && nfields < QD_COUNT_OF(fields)) fields[nfields++] = a.value;
        if (id == 4) json = true;
        if (id == 6) rc = qd_client_seconds(a.value, &patience, &err);
        if (id == 5) {
            help();
            return 0;
        }
        if (id == QD_ARGS_BAD) rc = QD_E_ARG;
        if (id == QD_ARGS_WORD && !name) {
            name = a.value;
        } else if (id == QD_ARGS_WORD) {
            rc = qd_buf_printf(&words, "%s%s", words.n ? " " : "", a.value);
        }
    }
    uint64_t n;
    if (!rc && !name) rc = qd_err_set(&err, QD_E_ARG, "which index? (qd search --help)");
    if (!rc && !qd_str_u64(qd_str_c(size), &n)) {
        rc = qd_err_set(&err, QD_E_ARG, "--size is no number: %s", size);
    }
    if (!rc) rc = qd_client_open(url, &client, &err);
    qd_buf_init(&request, NULL, 1 << 20);
    qd_buf_init(&answer, NULL, (size_t)1 << 31);
    if (!rc) {
        char path[600], escaped[400];
        qd_client_escape(name, escaped, sizeof escaped);
        snprintf(path, sizeof path, "/%s/_search", escaped);
        qd_client_patience(client, patience);
        body(&request, qd_buf_view(&words), size, !json);
        rc = qd_client_call(client, "POST", path, qd_buf_view(&request), false, &status, &answer,
                            &err);
    }
    if (rc) {
        fprintf(stderr, "qd search: %s\n", qd_err_reason(&err));
    } else if (json) {
        printf("%.*s\n", QD_STR_ARG(qd_buf_view(&answer)));
        rc = status >= 300;
    } else {
        rc = print_hits(qd_buf_view(&answer), fields, nfields);
    }
    qd_err_fini(&err);
    qd_buf_fini(&request);
    qd_buf_fini(&answer);
    qd_buf_fini(&words);
    qd_client_close(client);
    return qd_exit_status(rc);
}
