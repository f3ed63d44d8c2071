/*
 * run.c FILE > trees: the texts of FILE, a line each, as query_string over the field body: the tree
 * as Lucene would write it, or "error" and the innermost reason's first line.
 */
#include "query/dsl.h"
#include "search/tree.h"
#include "json/writer.h"
#include <stdio.h>
#include <stdlib.h>

static void print_line(qd_str s)
{
    ptrdiff_t end = qd_str_find_str(s, QD_STR("\nWas expecting"));
    if (end >= 0) s.n = (size_t)end;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\n')
            fputs("\\n", stdout);
        else if (s.p[i] == '\r')
            fputs("\\r", stdout);
        else
            putchar(s.p[i]);
    }
    putchar('\n');
}

static void one(qd_query_context *c, qd_str text)
{
    qd_err e;
    qd_buf json, b;
    qd_query_built built;
    qd_err_init(&e);
    qd_buf_init(&json, NULL, 1 << 20);
    qd_buf_init(&b, NULL, 1 << 20);
    qd_json_writer w;
    qd_json_writer_init(&w, &json, false);
    qd_json_object(&w);
    qd_json_key_c(&w, "query_string");
    qd_json_object(&w);
    qd_json_field_str(&w, "query", text);
    qd_json_field_str(&w, "default_field", QD_STR("body"));
    qd_json_object_end(&w);
    qd_json_object_end(&w);
    if (qd_query_parse(c, qd_buf_view(&json), &built, &e)) {
        const qd_err *in = &e;
        while (in->cause) in = in->cause;
        fputs("error ", stdout);
        print_line(qd_str_c(qd_err_reason(in)));
    } else {
        if (qd_node_describe(built.root, &b)) exit(1);
        print_line(qd_buf_view(&b));
    }
    qd_buf_fini(&b);
    qd_buf_fini(&json);
    qd_err_fini(&e);
}

int main(int argc, char **argv)
{
    static char line[1 << 16];
    qd_analyzers *analyzers;
    qd_mapping *mapping;
    qd_arena arena;
    qd_mapping_settings set = QD_MAPPING_SETTINGS_DEFAULT;
    FILE *f = argc == 2 ? fopen(argv[1], "rb") : NULL;
    if (!f) {
        fprintf(stderr, "usage: run FILE\n");
        return 2;
    }
    if (qd_analyzers_make(NULL, 0, NULL, &analyzers, NULL)) return 1;
    if (qd_mapping_parse(QD_STR("{\"properties\":{\"body\":{\"type\":\"text\"}}}"), analyzers, &set,
                         QD_MAPPING_UPDATE, &mapping, NULL))
        return 1;
    qd_arena_init(&arena, NULL, 0);
    qd_query_context c = {.arena = &arena,
                          .analysis = qd_analysis_make(NULL, 0),
                          .mapping = mapping,
                          .index = QD_STR("idx"),
                          .index_uuid = QD_STR("uuid")};
    while (fgets(line, sizeof line, f)) {
        size_t n = strlen(line);
        if (n && line[n - 1] == '\n') n--;
        one(&c, (qd_str){line, n});
        qd_arena_reset(&arena);
    }
    fclose(f);
    qd_analysis_free(c.analysis);
    qd_arena_fini(&arena);
    qd_mapping_unref(mapping);
    qd_analyzers_unref(analyzers);
    return 0;
}
