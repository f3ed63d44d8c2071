/* writer_t.c: what Elasticsearch's clients see of our JSON. */
#include "unit/unit.h"
#include "json/tree.h"
#include "json/writer.h"
#include <math.h>

static void write_sample(qd_json_writer *w)
{
    qd_json_object(w);
    qd_json_field_int(w, "took", -3);
    qd_json_field_bool(w, "timed_out", false);
    qd_json_key_c(w, "empty");
    qd_json_object(w);
    qd_json_object_end(w);
    qd_json_key_c(w, "none");
    qd_json_array(w);
    qd_json_array_end(w);
    qd_json_key_c(w, "list");
    qd_json_array(w);
    qd_json_double(w, 1);
    qd_json_float(w, 1.1f);
    qd_json_double(w, (double)NAN);
    qd_json_null(w);
    qd_json_uint(w, UINT64_MAX);
    qd_json_array_end(w);
    qd_json_key_c(w, "raw");
    qd_json_raw_value(w, QD_STR("{\"a\":[1.50,\"x\\n\"], \"b\":{}}"));
    qd_json_field_c(w, "s", "q\"\\\x01\n\x1f/\x7f\xC3\xA9");
    qd_json_object_end(w);
    assert_true(qd_json_writer_done(w));
}

static void compact_and_pretty(void **state)
{
    (void)state;
    qd_buf b;
    qd_json_writer w;
    qd_buf_init(&b, NULL, 1 << 16);
    qd_json_writer_init(&w, &b, false);
    write_sample(&w);
    assert_string_equal(
        b.p,
        "{\"took\":-3,\"timed_out\":false,\"empty\":{},\"none\":[],\"list\":[1.0,1.1,\"NaN\",null,"
        "18446744073709551615],\"raw\":{\"a\":[1.50,\"x\\n\"], \"b\":{}},"
        "\"s\":\"q\\\"\\\\\\u0001\\n\\u001F/\x7f\xC3\xA9\"}");
    qd_buf_reset(&b);
    qd_json_writer_init(&w, &b, true);
    write_sample(&w);
    assert_string_equal(
        b.p,
        "{\n  \"took\" : -3,\n  \"timed_out\" : false,\n  \"empty\" : { },\n  \"none\" : [ ],\n"
        "  \"list\" : [\n    1.0,\n    1.1,\n    \"NaN\",\n    null,\n    18446744073709551615\n  "
        "],\n"
        "  \"raw\" : {\n    \"a\" : [\n      1.50,\n      \"x\\n\"\n    ],\n    \"b\" : { }\n  },\n"
        "  \"s\" : \"q\\\"\\\\\\u0001\\n\\u001F/\x7f\xC3\xA9\"\n}");
    qd_buf_fini(&b);
}

static void escapes_are_undone_by_the_reader(void **state)
{
    (void)state;
    char s[300];
    for (int len = 0; len < 300; len++) {
        for (int i = 0; i < len; i++) s[i] = (char)(i * 7 % 128);
        qd_buf b;
        qd_json_writer w;
        qd_buf_init(&b, NULL, 1 << 16);
        qd_json_writer_init(&w, &b, false);
        qd_json_str(&w, (qd_str){s, (size_t)len});
        qd_json_reader r = QD_JSON_READER(NULL);
        qd_json_reader_init(&r, qd_buf_view(&b), 0, 0);
        assert_int_equal(qd_json_next(&r), QD_JSON_STRING);
        assert_true(qd_str_eq(r.text, (qd_str){s, (size_t)len}));
        qd_json_reader_fini(&r);
        qd_buf_fini(&b);
    }
}

static void invalid_utf8_is_replaced(void **state)
{
    (void)state;
    qd_buf b;
    qd_json_writer w;
    qd_buf_init(&b, NULL, 1 << 16);
    qd_json_writer_init(&w, &b, false);
    qd_json_c(&w, "a\xFF"
                  "b\xC3");
    assert_string_equal(b.p, "\"a\xEF\xBF\xBD"
                             "b\xEF\xBF\xBD\"");
    qd_buf_fini(&b);
}

static void a_full_buffer_is_reported_once(void **state)
{
    (void)state;
    qd_buf b;
    qd_json_writer w;
    qd_buf_init(&b, NULL, 20);
    qd_json_writer_init(&w, &b, true);
    write_sample(&w);
    assert_int_equal(qd_buf_status(&b), QD_E_LIMIT);
    qd_buf_fini(&b);
}

static void trees_of_requests(void **state)
{
    (void)state;
    qd_arena a;
    qd_err e;
    qd_json_node *n = NULL;
    bool truth = false;
    qd_arena_init(&a, NULL, 0);
    qd_err_init(&e);
    assert_int_equal(
        qd_json_parse(&a, QD_STR("{\"a\":{\"b\\n\":[1,2.5,\"x\"]},\"t\":\"true\",\"n\":null}"), 0,
                      &n, &e),
        0);
    const qd_json_node *list = qd_json_get(qd_json_get(n, "a"), "b\n");
    assert_non_null(list);
    assert_int_equal(list->n, 3);
    assert_true(qd_str_is(list->raw, "[1,2.5,\"x\"]"));
    assert_true(list->first->integer && !list->first->next->integer);
    assert_true(qd_str_is(qd_json_text(list->first->next->next), "x"));
    assert_int_equal(qd_json_truth(qd_json_get(n, "t"), &truth), 0);
    assert_true(truth);
    assert_int_equal(qd_json_truth(qd_json_get(n, "n"), &truth), QD_E_ARG);
    assert_null(qd_json_get(n, "zz"));
    assert_int_equal(qd_json_parse(&a, QD_STR("{\"a\":1,\"a\":1}"), 0, &n, &e), QD_E_XCONTENT);
    qd_err_fini(&e);
    qd_arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compact_and_pretty),
        cmocka_unit_test(escapes_are_undone_by_the_reader),
        cmocka_unit_test(invalid_utf8_is_replaced),
        cmocka_unit_test(a_full_buffer_is_reported_once),
        cmocka_unit_test(trees_of_requests),
    };
    return unit_run(tests);
}
