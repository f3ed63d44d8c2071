/*
 * column_reader_int.h: a reader of planned blocks, and the block it stands in.
 */
#ifndef QD_SEGMENT_COLUMN_READER_INT_H
#define QD_SEGMENT_COLUMN_READER_INT_H

#include "segment/columns/columns_read_int.h"

#define QDI_COLUMN_READER_MAGIC 0x51446372u

/* The block a reader stands in; its pointers are good while the reads are. */
typedef struct qdi_block {
    uint32_t index; /* of its head; UINT32_MAX: none */
    uint32_t from;  /* first document */
    uint32_t all;   /* documents of the segment in it */
    qdi_block_head h;
    const uint8_t *presence, *starts, *table, *packed;
} qdi_block;

/* Front-coded strings read by number: the block of 16 in hand and the string before. */
typedef struct qdi_strings_reader {
    const qd_column *c;
    const qd_reads *reads;
    uint32_t first, n; /* string blocks planned as one range, or the list: */
    uint32_t slot;     /* of the range */
    uint32_t *blocks;  /* ascending, when planned one by one; NULL: the range */
    uint32_t *slots;
    uint32_t block; /* in hand; UINT32_MAX: none */
    uint32_t next;  /* number of the string that comes next in it */
    const uint8_t *p, *end;
    char *last; /* the string decoded last, [cap] */
    size_t last_n, last_cap;
    qd_arena *arena;
} qdi_strings_reader;

struct qd_column_reader {
    uint32_t magic;
    const qd_column *c;
    const qd_reads *reads;
    const qdi_pack_kernels *k;
    /* planned: heads [first, first + n) as one range, or one range a head */
    uint32_t first, n;
    uint32_t slot;
    uint32_t *indexes, *slots; /* NULL: one range */
    qdi_block block;
    int64_t *values; /* [QD_COLUMN_BATCH + 8] */
    uint32_t *ords;  /* ORDINAL */
    uint32_t *docs;
    uint32_t *starts; /* of the block's documents when multi-valued, [QD_COLUMN_BLOCK + 1] */
    uint32_t *owners; /* documents of some of them, [QD_COLUMN_BLOCK] */
    bool starts_loaded;
    int64_t *many; /* values of one document with many, grown from the arena */
    size_t many_cap;
    qdi_strings_reader *strings; /* BYTES */
    qd_arena *arena;
};

/* A reader of heads [first, first + n) as one range; strings are not planned. */
QD_MUST_CHECK
int qdi_column_plan_heads(const qd_column *c, uint32_t first, uint32_t n, qd_reads *r,
                          qd_arena *arena, qd_column_reader **out, qd_err *err);
/* Stands rd on the block with head index i (planned). */
QD_MUST_CHECK
int qdi_column_load(qd_column_reader *rd, uint32_t i, qd_err *err);
/* Stands rd on the block that holds doc: 1, or 0 when nothing has a value there. */
QD_MUST_CHECK
int qdi_column_stand(qd_column_reader *rd, uint32_t doc, qd_err *err);
/* Values of the block before document d of it (0..all), and whether d has one. */
uint32_t qdi_block_rank(const qdi_block *b, uint32_t d, bool *has);
/* First value of the i-th document with values of the loaded block (i <= docs), unchecked beyond
 * the block's range of values. */
uint32_t qdi_block_start(const qdi_block *b, uint32_t i);
/* One value of the loaded block, transformed. */
int64_t qdi_block_value(const qdi_block *b, uint32_t i);
/* Values [first, first + n) of the loaded block to out; checks ordinals. */
QD_MUST_CHECK
int qdi_block_values(qd_column_reader *rd, uint32_t first, uint32_t n, int64_t *out, qd_err *err);
/* The same for ordinals. */
QD_MUST_CHECK
int qdi_block_ords(qd_column_reader *rd, uint32_t first, uint32_t n, uint32_t *out, qd_err *err);
/* Documents of the block that have values, ranks [first, first + n), into out (of the segment). */
void qdi_block_docs(const qdi_block *b, uint32_t first, uint32_t n, uint32_t *out);
/* All starts of the loaded block, checked, into rd->starts. */
QD_MUST_CHECK
int qdi_block_load_starts(qd_column_reader *rd, qd_err *err);
/* Reports a damaged body. */
int qdi_block_bad(const qd_column_reader *rd, qd_err *err, const char *what);

/* Plans some or all blocks of strings of c. */
QD_MUST_CHECK
int qdi_strings_plan(const qd_column *c, const uint32_t *numbers, uint32_t n, bool all, qd_reads *r,
                     qd_arena *arena, qdi_strings_reader **out, qd_err *err);
/* The string with a number, valid until the next call. */
QD_MUST_CHECK
int qdi_strings_at(qdi_strings_reader *s, uint32_t number, qd_str *out, qd_err *err);

#endif
