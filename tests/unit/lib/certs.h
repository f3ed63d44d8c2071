/* certs.h: for tests: an authority and certificates made out to names, as PEM files in a folder. */
#ifndef QD_TESTS_UNIT_CERTS_H
#define QD_TESTS_UNIT_CERTS_H

/* Writes <folder>/<name>.crt and .key of a new authority. */
void certs_authority(const char *folder, const char *name);
/* Writes <folder>/<name>.crt and .key of a certificate made out to alt ("DNS:n0,IP:127.0.0.1"),
 * signed by the authority in the same folder. */
void certs_make(const char *folder, const char *name, const char *alt, const char *authority);

#endif
