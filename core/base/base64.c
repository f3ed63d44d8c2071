/* base64.c: see base64.h. */
#include "base/base64.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t qd_base64_encode(char *out, const uint8_t *in, size_t n)
{
    size_t at = 0;
    for (size_t k = 0; k < n; k += 3) {
        uint32_t v = (uint32_t)in[k] << 16 | (k + 1 < n ? (uint32_t)in[k + 1] << 8 : 0) |
                     (k + 2 < n ? in[k + 2] : 0);
        out[at++] = digits[v >> 18];
        out[at++] = digits[v >> 12 & 63];
        out[at++] = k + 1 < n ? digits[v >> 6 & 63] : '=';
        out[at++] = k + 2 < n ? digits[v & 63] : '=';
    }
    return at;
}

static int digit(char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

size_t qd_base64_decode(qd_str text, char *out, size_t *n)
{
    size_t i = 0;
    *n = 0;
    while (i < text.n) {
        if (text.p[i] == ' ' || (text.p[i] >= '\t' && text.p[i] <= '\r')) {
            i++;
            continue;
        }
        int d[4] = {0, 0, 0, 0};
        int have = 0;
        for (; have < 4 && i < text.n && (d[have] = digit(text.p[i])) >= 0; have++) i++;
        if (have < 4) {
            bool padded = have >= 2 && i + (size_t)(4 - have) <= text.n && text.p[i] == '=' &&
                          (have == 3 || text.p[i + 1] == '=');
            if (!padded) return i;
            i += (size_t)(4 - have);
            d[have] = d[3] = 0;
        }
        uint32_t v =
            (uint32_t)d[0] << 18 | (uint32_t)d[1] << 12 | (uint32_t)d[2] << 6 | (uint32_t)d[3];
        for (int k = 0; k < have - 1; k++) out[(*n)++] = (char)(v >> (16 - 8 * k));
    }
    return SIZE_MAX;
}
