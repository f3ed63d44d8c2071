/*
 * column_buffer_int.h: how a field's values wait in memory; shared by buffer, write and points.
 */
#ifndef QD_SEGMENT_COLUMN_BUFFER_INT_H
#define QD_SEGMENT_COLUMN_BUFFER_INT_H

#include "base/vec.h"
#include "segment/columns/columns_int.h"

#define QDI_COLUMN_BUFFER_MAGIC 0x51446362u

/* Distinct byte strings with ids in order of first sight: open addressing over XXH3. */
typedef struct qdi_string_table {
    QD_VEC(char) bytes;
    QD_VEC(uint64_t) ends;   /* of string id in bytes */
    QD_VEC(uint32_t) hashes; /* of string id */
    uint32_t *slots;         /* id + 1; 0 = empty */
    uint32_t mask;           /* slots - 1; 0 without slots */
} qdi_string_table;

struct qdi_column_buffer {
    uint32_t magic;
    uint8_t type;
    bool own; /* ORDINAL with a table of its own */
    qd_account *account;
    uint32_t last;         /* document of the last value */
    QD_VEC(int64_t) i64;   /* I64 */
    QD_VEC(uint32_t) ids;  /* ORDINAL */
    QD_VEC(char) bytes;    /* BYTES: all strings, one behind the other */
    QD_VEC(uint64_t) ends; /* BYTES: end of each in bytes */
    QD_VEC(uint32_t) docs; /* document of each value; empty while value i is document i's */
    qdi_string_table table;
};

/* Values (strings) held. */
static inline size_t qdi_column_buffer_count(const qdi_column_buffer *b)
{
    return b->type == QD_COLUMN_I64       ? b->i64.n
           : b->type == QD_COLUMN_ORDINAL ? b->ids.n
                                          : b->ends.n;
}
/* Document of the i-th value. */
static inline uint32_t qdi_column_buffer_doc(const qdi_column_buffer *b, size_t i)
{
    return b->docs.n ? b->docs.at[i] : (uint32_t)i;
}

/* The id of s, added when new; UINT32_MAX when out of memory. */
uint32_t qdi_string_table_add(qdi_string_table *t, qd_str s, qd_account *account);
/* The string of an id. */
qd_str qdi_string_table_at(const qdi_string_table *t, uint32_t id);
/* Frees. */
void qdi_string_table_fini(qdi_string_table *t);
/* Empties it at a cost of what it holds. */
void qdi_string_table_reset(qdi_string_table *t);
/* Order of those ids whose used[id] is set: order[rank] = id, used[id] = rank + 1; *n of them.
 * order: room for all ids. */
QD_MUST_CHECK
int qdi_string_table_sort(const qdi_string_table *t, uint32_t *used, uint32_t *order, uint32_t *n,
                          qd_account *account, qd_err *err);

#endif
