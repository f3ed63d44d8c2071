/*
 * date_fuzz.c: first line a format, second a text, third a date expression, fourth a zone. What is
 * printed by a format with date and time must read back to the same second.
 */
#include "mapping/date_math.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    qd_str rest = {(const char *)data, size};
    qd_str pattern = qd_str_split(&rest, '\n'), text = qd_str_split(&rest, '\n');
    qd_str math = qd_str_split(&rest, '\n'), id = rest.p ? rest : QD_STR("Z");
    qd_arena a;
    qd_date_format *f = NULL;
    qd_zone *zone = NULL;
    int64_t ms, back;
    char out[128];
    qd_arena_init(&a, NULL, 64 << 20);
    if (id.n < 20 && qd_zone_make(&a, id, &zone, NULL)) zone = NULL;
    if (qd_date_format_make(&a, pattern, &f, NULL) == 0) {
        for (int up = 0; up < 2; up++) {
            if (!qd_date_try(f, text, zone, up, &ms)) continue;
            size_t n = qd_date_print(f, ms, zone, out);
            qd_assert(n < sizeof out);
            (void)qd_date_try(f, (qd_str){out, n}, zone, up, &back);
        }
        qd_err e;
        qd_err_init(&e);
        if (qd_date_math(f, math, 1400000000123, size & 1, zone, &ms, &e))
            qd_assert(qd_err_reason(&e)[0]);
        qd_err_fini(&e);
    }
    const qd_date_format *iso = qd_date_format_default();
    if (qd_date_math(iso, math, 1400000000123, size & 1, zone, &ms, NULL) == 0 &&
        ms > -(1LL << 55) && ms < 1LL << 55) {
        size_t n = qd_date_print(iso, ms, zone, out);
        /* an offset with seconds is printed whole; years beyond nine digits are not read */
        if (n < 40) qd_assert(qd_date_try(iso, (qd_str){out, n}, NULL, false, &back) && back == ms);
    }
    qd_arena_fini(&a);
    return 0;
}
