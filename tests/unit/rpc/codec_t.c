/* codec_t.c: what is written is read; what is damaged is named and never trusted. */
#include "rpc/codec.h"
#include "unit/unit.h"

static void values_come_back(void **state)
{
    (void)state;
    qd_writer w;
    qd_body_reader r;
    qd_arena a;
    qd_err err;
    static const uint64_t many[] = {0, 1, 127, 128, 16383, 16384, UINT32_MAX, UINT64_MAX};
    static const int64_t signs[] = {0, -1, 1, -64, 64, INT64_MIN, INT64_MAX};
    qd_err_init(&err);
    qd_arena_init(&a, NULL, 0);
    qd_writer_init(&w, NULL, 65536, 0x101);
    qd_write_u8(&w, 200);
    qd_write_bool(&w, true);
    qd_write_u16(&w, 0xbeef);
    qd_write_u32(&w, 0xdeadbeef);
    qd_write_u64(&w, 0x0123456789abcdefull);
    for (size_t i = 0; i < 7; i++) qd_write_zigzag(&w, signs[i]);
    qd_write_double(&w, -0.125);
    qd_write_float(&w, 3.5f);
    qd_write_str(&w, QD_STR("shard"));
    qd_write_c(&w, NULL);
    qd_write_varints(&w, many, 8);
    size_t part = qd_write_part(&w);
    qd_write_c(&w, "inner");
    qd_write_u64(&w, 7); /* of a newer writer */
    qd_write_part_end(&w, part);
    qd_write_c(&w, "behind");
    assert_int_equal(qd_writer_end(&w, "test", &err), 0);

    qd_body_reader_init(&r, qd_writer_view(&w), "test", 0x101);
    assert_int_equal(qd_read_u8(&r, "u8"), 200);
    assert_true(qd_read_bool(&r, "bool"));
    assert_int_equal(qd_read_u16(&r, "u16"), 0xbeef);
    assert_int_equal(qd_read_u32(&r, "u32"), 0xdeadbeef);
    assert_true(qd_read_u64(&r, "u64") == 0x0123456789abcdefull);
    for (size_t i = 0; i < 7; i++) assert_true(qd_read_zigzag(&r, "zigzag") == signs[i]);
    assert_true(qd_read_double(&r, "double") == -0.125);
    assert_true(qd_read_float(&r, "float") == 3.5f);
    assert_true(qd_str_is(qd_read_str_copy(&r, "str", 5, &a), "shard"));
    assert_int_equal(qd_read_str(&r, "empty", 0).n, 0);
    size_t n;
    uint64_t *got = qd_read_varints(&r, "varints", 8, &a, &n);
    assert_int_equal(n, 8);
    assert_memory_equal(got, many, sizeof many);
    qd_body_reader inner = qd_read_part(&r, "part");
    char text[16];
    qd_read_text(&inner, "inner", text, sizeof text);
    assert_string_equal(text, "inner");
    assert_int_equal(qd_body_reader_check(&inner, &err), 0);
    qd_read_text(&r, "behind", text, sizeof text);
    assert_string_equal(text, "behind");
    assert_int_equal(qd_body_reader_end(&r, &err), 0);
    qd_writer_fini(&w);
    qd_arena_fini(&a);
}

static void expect(qd_str bytes, void (*read)(qd_body_reader *r, qd_arena *a), const char *text)
{
    qd_body_reader r;
    qd_err err;
    qd_arena a;
    qd_arena_init(&a, NULL, 0);
    qd_err_init(&err);
    qd_body_reader_init(&r, bytes, "search request", 0x100);
    read(&r, &a);
    assert_int_equal(qd_body_reader_end(&r, &err), QD_E_CORRUPT);
    assert_string_equal(qd_err_reason(&err), text);
    qd_err_fini(&err);
    qd_arena_fini(&a);
}

static void read_size(qd_body_reader *r, qd_arena *a)
{
    (void)a;
    (void)qd_read_varint_max(r, "size", 100);
}
static void read_name(qd_body_reader *r, qd_arena *a)
{
    (void)a;
    (void)qd_read_u8(r, "kind");
    (void)qd_read_str(r, "name", 1000);
    (void)qd_read_u64(r, "next");
}
static void read_list(qd_body_reader *r, qd_arena *a)
{
    size_t n;
    (void)qd_read_varints(r, "docs", SIZE_MAX, a, &n);
    assert_int_equal(n, 0);
}
static void read_flag(qd_body_reader *r, qd_arena *a)
{
    (void)a;
    (void)qd_read_bool(r, "flag");
}

static void damage_is_named(void **state)
{
    (void)state;
    expect(QD_STR("\x01\xc8\x01"), read_name, "search request: [name] at offset 3 is cut");
    expect(QD_STR("\xc8\x01"), read_size,
           "search request: [size] at offset 0 is too large: 200, at most 100");
    expect(QD_STR("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f"), read_size,
           "search request: [size] at offset 0 is cut or longer than 64 bits");
    expect(QD_STR("\xff\xff\xff\xff\x0f\x01"), read_list,
           "search request: [docs] at offset 0 has more elements than bytes are there for: "
           "4294967295, "
           "at most 2");
    expect(QD_STR("\x02"), read_flag,
           "search request: [flag] at offset 0 is no boolean: 2, at most 1");
    expect(QD_STR("\x01\x00"), read_flag,
           "search request: [end] at offset 1 has bytes left over behind it");
}

static void a_full_writer_says_so(void **state)
{
    (void)state;
    qd_writer w;
    qd_err err;
    qd_err_init(&err);
    qd_writer_init(&w, NULL, 10, 0x100);
    qd_write_c(&w, "0123456789");
    qd_write_u8(&w, 1);
    assert_int_equal(qd_writer_end(&w, "hits", &err), QD_E_LIMIT);
    assert_string_equal(qd_err_reason(&err), "hits is larger than 10 bytes");
    qd_err_fini(&err);
    qd_writer_fini(&w);
}

static void errors_travel(void **state)
{
    (void)state;
    qd_writer w;
    qd_body_reader r;
    qd_err err, got;
    qd_err_init(&err);
    qd_err_init(&got);
    (void)qd_err_set(&err, QD_E_VERSION_CONFLICT, "[1]: version conflict, required seqNo [3]");
    qd_err_detail_str(&err, "index", QD_STR("books"));
    qd_err_detail_i64(&err, "shard", 2);
    (void)qd_err_wrap(&err, QD_E_SHARD_FAILED, "shard failed");
    qd_err_type(&err, "a_type_of_its_own", 418);
    qd_writer_init(&w, NULL, 65536, 0x100);
    qd_write_err(&w, &err);
    qd_body_reader_init(&r, qd_writer_view(&w), "error", 0x100);
    qd_read_err(&r, &got);
    assert_int_equal(qd_body_reader_end(&r, NULL), 0);
    assert_int_equal(got.code, QD_E_SHARD_FAILED);
    assert_string_equal(qd_err_es_type(&got), "a_type_of_its_own");
    assert_int_equal(qd_err_status(&got), 418);
    assert_non_null(got.cause);
    assert_int_equal(got.cause->code, QD_E_VERSION_CONFLICT);
    assert_string_equal(qd_err_reason(got.cause), "[1]: version conflict, required seqNo [3]");
    assert_int_equal(got.cause->ndetails, 2);
    assert_string_equal(got.cause->details[0].value, "books");
    assert_string_equal(got.cause->details[1].value, "2");
    /* every cut of it is an error and leaks nothing */
    for (size_t n = 0; n < w.buf.n; n++) {
        qd_err cut;
        qd_err_init(&cut);
        qd_body_reader_init(&r, (qd_str){w.buf.p, n}, "error", 0x100);
        qd_read_err(&r, &cut);
        assert_int_equal(qd_body_reader_end(&r, NULL), QD_E_CORRUPT);
        assert_int_equal(cut.code, 0);
        qd_err_fini(&cut);
    }
    qd_writer_fini(&w);
    qd_err_fini(&err);
    qd_err_fini(&got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_come_back),
        cmocka_unit_test(damage_is_named),
        cmocka_unit_test(a_full_writer_says_so),
        cmocka_unit_test(errors_travel),
    };
    return unit_run(tests);
}
