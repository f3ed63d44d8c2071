/* base64_t.c: bytes as base64 and back. */
#include "base/base64.h"
#include "unit/unit.h"

static void there_and_back(void **state)
{
    static const char *const rows[][2] = {
        {"", ""},        {"f", "Zg=="},        {"fo", "Zm8="},
        {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"\xff\xfe", "//4="}};
    char text[16], back[16];
    (void)state;
    for (size_t i = 0; i < QD_COUNT_OF(rows); i++) {
        size_t n = strlen(rows[i][0]), got;
        size_t k = qd_base64_encode(text, (const uint8_t *)rows[i][0], n);
        assert_int_equal(k, qd_base64_size(n));
        assert_int_equal(k, strlen(rows[i][1]));
        assert_memory_equal(text, rows[i][1], k);
        assert_true(qd_base64_decode((qd_str){text, k}, back, &got) == SIZE_MAX);
        assert_int_equal(got, n);
        assert_memory_equal(back, rows[i][0], n);
    }
}

static void wrong_places(void **state)
{
    static const struct {
        const char *text;
        size_t at;
    } rows[] = {{"Zm9v!", 4}, {"Zg", 2}, {"Zg=", 2}, {"Z===", 1}, {"Zm9v\nZg==", SIZE_MAX}};
    char back[16];
    size_t n;
    (void)state;
    for (size_t i = 0; i < QD_COUNT_OF(rows); i++)
        assert_true(qd_base64_decode(qd_str_c(rows[i].text), back, &n) == rows[i].at);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(there_and_back),
                                       cmocka_unit_test(wrong_places)};
    return unit_run(tests);
}
