/* grams.c: see grams.h. */
#include "mapping/grams.h"

void qd_grams_fold(qd_str text, char *out)
{
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        out[i] = c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
    }
}

/* Behind the code point at `at`. */
static size_t behind(qd_str text, size_t at)
{
    at++;
    while (at < text.n && ((uint8_t)text.p[at] & 0xc0) == 0x80) at++;
    return at;
}

qd_str qd_grams_next(qd_str text, size_t *at)
{
    size_t from = *at, to = from;
    for (uint32_t i = 0; i < QD_GRAM_POINTS; i++) {
        if (to >= text.n) return (qd_str){NULL, 0};
        to = behind(text, to);
        if (!i) *at = to;
    }
    return qd_str_sub(text, from, to - from);
}
