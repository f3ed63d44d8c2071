/*
 * ingest_fuzz.c: first line the processors of a pipeline, the rest a document: whatever they are,
 * the pipeline is refused or the document comes out as JSON, or fails with a reason. Lines that
 * begin with "d", "g" and "k" are patterns of dissect, grok and kv for the text that follows.
 */
#include "ingest/ingest.h"
#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static qd_ingest_pipeline *none(void *arg, qd_str id)
{
    (void)arg;
    (void)id;
    return NULL;
}

static void put_text(qd_buf *b, qd_str s)
{
    (void)qd_buf_char(b, '"');
    qd_json_escape(b, s);
    (void)qd_buf_char(b, '"');
}

/* A pipeline of one processor with that pattern, and a document of the text. */
static void made(char kind, qd_str pattern, qd_str text, qd_buf *pipeline, qd_buf *source)
{
    (void)qd_buf_c(pipeline, "{\"processors\":[{");
    if (kind == 'd') {
        (void)qd_buf_c(pipeline, "\"dissect\":{\"field\":\"t\",\"pattern\":");
        put_text(pipeline, pattern);
    } else if (kind == 'g') {
        (void)qd_buf_c(pipeline, "\"grok\":{\"field\":\"t\",\"pattern_definitions\":{\"A\":");
        put_text(pipeline, pattern);
        (void)qd_buf_c(pipeline, "},\"patterns\":[");
        put_text(pipeline, pattern);
        (void)qd_buf_c(pipeline, ",\"%{A:a}\"]");
    } else {
        (void)qd_buf_c(pipeline, "\"kv\":{\"field\":\"t\",\"field_split\":");
        put_text(pipeline, qd_str_sub(pattern, 0, pattern.n / 2 + 1));
        (void)qd_buf_c(pipeline, ",\"value_split\":");
        put_text(pipeline, qd_str_sub(pattern, pattern.n / 2, pattern.n));
    }
    (void)qd_buf_c(pipeline, "}}]}");
    (void)qd_buf_c(source, "{\"t\":");
    put_text(source, text);
    (void)qd_buf_char(source, '}');
}

static void run(const qd_ingest_settings *s, qd_ingest_pipeline *p, qd_str source)
{
    qd_ingest_run *r;
    qd_ingest_calls calls = {.find = none};
    qd_ingest_doc doc = {.index = QD_STR("i"), .id = QD_STR("1"), .source = source}, out;
    qd_arena a;
    qd_err e;
    qd_err_init(&e);
    qd_arena_init(&a, NULL, (size_t)256 << 20);
    if (qd_ingest_run_open(s, &calls, &r, NULL) == 0) {
        int rc = qd_ingest_begin(r, &doc, &e);
        if (!rc) rc = qd_ingest_apply(r, p, &e);
        if (!rc) rc = qd_ingest_end(r, &a, &out, &e);
        qd_json_node *root;
        if (!rc) qd_assert(qd_json_parse(&a, out.source, 0, &root, NULL) == 0);
        if (rc < 0) qd_assert(qd_err_reason(&e)[0]);
        qd_ingest_run_close(r);
    }
    qd_arena_fini(&a);
    qd_err_fini(&e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    qd_str rest = {(const char *)data, size}, line = qd_str_split(&rest, '\n');
    qd_ingest_settings s = {.env = qd_env_system(), .data_path = QD_STR("/nowhere")};
    qd_ingest_pipeline *p;
    qd_buf pipeline, source;
    qd_buf_init(&pipeline, NULL, (size_t)1 << 20);
    qd_buf_init(&source, NULL, (size_t)1 << 20);
    char kind = line.n ? line.p[0] : 0;
    if (kind == 'd' || kind == 'g' || kind == 'k') {
        made(kind, qd_str_sub(line, 1, line.n), rest, &pipeline, &source);
    } else {
        (void)qd_buf_printf(&pipeline, "{\"processors\":[%.*s]}", QD_STR_ARG(line));
        (void)qd_buf_str(&source, rest);
    }
    if (qd_ingest_compile(&s, QD_STR("p"), qd_buf_view(&pipeline), &p, NULL) == 0) {
        run(&s, p, qd_buf_view(&source));
        qd_ingest_unref(p);
    }
    qd_buf_fini(&pipeline);
    qd_buf_fini(&source);
    return 0;
}
