/*
 * utf8.h: UTF-8 checked, walked and measured (RFC 3629: no surrogates, no over-long forms).
 */
#ifndef QD_BASE_UTF8_H
#define QD_BASE_UTF8_H

#include "base/assert.h"
#include <quidditch/types.h>

/* Is all of s valid UTF-8? On false *bad (may be NULL) gets the offset of the first bad byte. */
bool qd_utf8_valid(qd_str s, size_t *bad);
/* Decodes one code point of [p, end), p < end. Returns its bytes (1 to 4); an invalid sequence
 * gives U+FFFD and 1. */
size_t qd_utf8_next(const char *p, const char *end, uint32_t *cp);
/* Encodes cp (valid, else U+FFFD) at out, 4 bytes of room; returns the bytes written. */
size_t qd_utf8_put(char *out, uint32_t cp);
/* Code points in s. */
size_t qd_utf8_points(qd_str s);
/* UTF-16 units in s (Java's String.length()). */
size_t qd_utf8_utf16(qd_str s);
/* Byte offset of the n-th code point (s.n when there are fewer). */
size_t qd_utf8_offset(qd_str s, size_t n);

#endif
