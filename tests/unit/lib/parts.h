/*
 * parts.h: for tests of segment parts: a file in a tier in memory, written and opened by the test,
 * and its twin with one byte changed under good checksums.
 */
#ifndef QD_TESTS_UNIT_PARTS_H
#define QD_TESTS_UNIT_PARTS_H

#include "base/arena.h"
#include "base/str.h"
#include "lib/store_crash.h"
#include "segment/format_int.h"
#include "store/reads.h"

typedef struct parts {
    qd_account account;
    store_crash *disk;
    qd_store *store;
    qd_err err;
    qd_arena arena;
    uint64_t seed; /* of parts_random */
} parts;

/* An empty tier; copies: each range is its own exactly sized heap block. */
void parts_begin(parts *x, bool copies);
/* Closes it; nothing may be left allocated. */
void parts_end(parts *x);
/* Creates the object; end with qd_file_commit. */
qd_file_writer *parts_create(parts *x, const char *name);
/* Opens the object. */
qd_file *parts_open(parts *x, const char *name);
/* A batch of reads in the arena. */
qd_reads *parts_reads(parts *x);
/* Writes `to` as a copy of `from` with bits of one byte of one section inverted, checksums right.
 */
void parts_tamper(parts *x, const char *from, const char *to, uint32_t section, uint64_t at,
                  uint8_t mask);
/* The next random number; n > 0: below n. */
uint64_t parts_random(parts *x, uint64_t n);
/* Fails the test with the error's text unless rc is 0. */
void parts_ok(parts *x, int rc, const char *file, int line);
#define OK(x, call) parts_ok((x), (call), __FILE__, __LINE__)

#endif
