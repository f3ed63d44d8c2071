/* number_fuzz.c: decimal texts against strtod and strtof; printing against reading. */
#include "base/str.h"
#include "json/number.h"
#include <math.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[2048];
    double d, back;
    float f;
    int64_t i;
    if (size == 8) {
        char out[QD_F64_TEXT_MAX];
        memcpy(&d, data, 8);
        size_t n = qd_f64_print(out, d);
        qd_assert(n < sizeof out);
        if (isfinite(d)) {
            qd_assert(qd_f64_parse((qd_str){out, n}, &back) == 0);
            qd_assert(memcmp(&d, &back, sizeof d) == 0);
        }
    }
    if (size >= sizeof text) size = sizeof text - 1;
    memcpy(text, data, size);
    text[size] = 0;
    int rc = qd_f64_parse((qd_str){text, size}, &d);
    if (rc != QD_E_ARG) {
        back = strtod(text, NULL);
        qd_assert(memcmp(&d, &back, sizeof d) == 0);
        qd_assert(qd_f32_parse((qd_str){text, size}, &f) != QD_E_ARG);
        float want = strtof(text, NULL);
        qd_assert(memcmp(&f, &want, sizeof f) == 0);
        qd_assert(qd_i64_parse_decimal((qd_str){text, size}, &i, NULL) != QD_E_ARG);
    }
    (void)!qd_f64_parse_java((qd_str){text, size}, &d);
    (void)!qd_i64_parse((qd_str){text, size}, &i);
    return 0;
}
