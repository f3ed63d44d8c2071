/*
 * store_tamper.h: damage that checksums do not show: a copy of an object of sections with bytes of
 * its sections changed and every checksum right, for tests of readers and fuzzers.
 */
#ifndef QD_TESTS_STORE_TAMPER_H
#define QD_TESTS_STORE_TAMPER_H

#include "store/file.h"

typedef struct store_change {
    uint32_t section; /* one that the object lacks: no change */
    uint64_t at;      /* modulo the section's length */
    uint8_t mask;     /* bits that are inverted */
} store_change;

/* The i-th section of an object, for changes that the input chooses; UINT32_MAX behind the last. */
uint32_t store_tamper_section(qd_file *from, uint32_t i);
/* Writes `to`: `from` with n changes, of the same format and id. Aborts where that fails. */
void store_tamper(qd_store *s, qd_file *from, qd_str to, const qd_file_format *format,
                  const store_change *c, uint32_t n, qd_account *account);

#endif
