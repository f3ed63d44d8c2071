/*
 * json_fuzz.c: any bytes through the reader, the tree, the writer and a filter. What the strict
 * parser accepts must come back from the pretty writer with the same events.
 */
#include "base/utf8.h"
#include "json/filter.h"
#include "json/tree.h"
#include "json/writer.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Hash over events and texts; 0 when the input is refused. */
static uint64_t digest(qd_json_reader *r, qd_str json, size_t slack)
{
    uint64_t h = 1;
    qd_json_event ev;
    qd_json_reader_init_slack(r, json, slack, QD_JSON_REQUEST, 64);
    while ((ev = qd_json_next(r)) > 0) {
        h = h * 31 + (uint64_t)ev;
        if (ev == QD_JSON_KEY || ev == QD_JSON_STRING || ev == QD_JSON_NUMBER) {
            h = h * 31 + qd_json_key_hash(r->text);
            qd_assert(qd_utf8_valid(r->text, NULL));
        }
        double d;
        int64_t i;
        if (ev == QD_JSON_NUMBER) {
            qd_assert(qd_json_f64(r, &d) != QD_E_ARG);
            qd_assert((qd_json_i64(r, &i) == QD_E_ARG) == !r->integer);
        }
    }
    if (ev == QD_JSON_EOF) return h | 1;
    qd_err e;
    qd_err_init(&e);
    qd_assert(qd_json_fail(r, &e) < 0);
    qd_err_fini(&e);
    return 0;
}

/* Once more by a reader that has met these keys, with other bytes behind the end. */
static uint64_t digest_in_stream(qd_json_reader *r, qd_str json)
{
    size_t slack = 64;
    char *block = malloc(json.n + slack);
    qd_assert(block != NULL);
    if (json.n) memcpy(block, json.p, json.n);
    memset(block + json.n, json.n % 2 ? '"' : '}', slack);
    uint64_t h = digest(r, (qd_str){block, json.n}, slack);
    free(block);
    return h;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    qd_str json = {(const char *)data, size};
    qd_json_reader r = QD_JSON_READER(NULL);
    uint64_t h = digest(&r, json, 0);
    qd_assert(digest_in_stream(&r, json) == h && digest_in_stream(&r, json) == h);
    qd_arena a;
    qd_json_node *n = NULL;
    qd_arena_init(&a, NULL, 64 << 20);
    qd_assert((qd_json_parse(&a, json, 64, &n, NULL) == 0) == (h != 0));
    if (h) {
        qd_buf b;
        qd_json_writer w;
        qd_buf_init(&b, NULL, 64 << 20);
        qd_json_writer_init(&w, &b, true);
        qd_json_raw_value(&w, json);
        qd_assert(digest(&r, qd_buf_view(&b), 0) == h);
        qd_json_filter *f = NULL;
        qd_buf_reset(&b);
        qd_assert(qd_json_filter_path(&a, QD_STR("a,b.*.c,**.d,-x,-*.y"), &f, NULL) == 0);
        int rc = qd_json_filter_apply(f, json, false, &b, NULL);
        qd_assert(rc == 0 && digest(&r, qd_buf_view(&b), 0) != 0);
        qd_buf_fini(&b);
    }
    qd_arena_fini(&a);
    qd_json_reader_fini(&r);
    return 0;
}
