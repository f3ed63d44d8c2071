/* base64.h: bytes as base64 (RFC 4648, with padding). Thread: any. */
#ifndef QD_BASE_BASE64_H
#define QD_BASE_BASE64_H

#include "base/str.h"

/* Bytes of the text of n bytes. */
static inline size_t qd_base64_size(size_t n)
{
    return (n + 2) / 3 * 4;
}
/* Writes n bytes as text, of qd_base64_size(n) characters, which it returns. */
size_t qd_base64_encode(char *out, const uint8_t *in, size_t n);
/* Writes the bytes that text stands for, 3 for each 4 of its characters and no more than 3 beyond,
 * and their number to *n. White space may stand between the units of four. SIZE_MAX, or the place
 * in the text that is wrong (text.n: it ended early). */
size_t qd_base64_decode(qd_str text, char *out, size_t *n);

#endif
