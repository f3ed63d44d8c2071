/* base64.h: bytes as base64 (RFC 4648, with padding). */
#ifndef QD_INGEST_BASE64_H
#define QD_INGEST_BASE64_H

#include <stddef.h>
#include <stdint.h>

/* Writes n bytes as text, of (n + 2) / 3 * 4 characters, which it returns. */
static inline size_t qdi_base64(char *out, const uint8_t *in, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
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

#endif
