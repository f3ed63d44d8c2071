/* porter_int.h: Porter's stemmer with Lucene's two departures ("bli", "logi"). */
#ifndef QD_ANALYSIS_PORTER_INT_H
#define QD_ANALYSIS_PORTER_INT_H

#include <stddef.h>

/* Words of more bytes are left as they are (Lucene would stem them; no English word is so long). */
#define QD_PORTER_MAX 1024

/* Stems p[0..n), all ASCII, in place; one byte of room stands behind it. Returns the new length. */
size_t qd_porter_ascii(char *p, size_t n);
/* Stems any term into out (n + 4 bytes of room); returns its length. */
size_t qd_porter_utf8(const char *p, size_t n, char *out);

#endif
