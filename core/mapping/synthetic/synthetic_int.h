/* synthetic_int.h: members of a document gathered by their paths, written as nested objects. */
#ifndef QD_MAPPING_SYNTHETIC_INT_H
#define QD_MAPPING_SYNTHETIC_INT_H

#include "mapping/mapping_int.h"
#include "mapping/synthetic.h"

/* Between the names of a path: a byte that UTF-8 does not have. */
#define SYNTHETIC_STEP '\xff'
#define SYNTHETIC_OTHERS "" /* the key of the fields whose columns do not count */

/* A value at a path; several of one path become an array, in the order in which they came. */
typedef struct synthetic_entry {
    qd_str path, json;
    uint32_t number;
} synthetic_entry;

typedef struct synthetic_list {
    synthetic_entry *at; /* in the arena */
    uint32_t n, cap;
} synthetic_list;

/* Adds one. QD_E_NOMEM. */
int qdi_synthetic_add(synthetic_list *l, qd_arena *a, qd_str path, qd_str json, qd_err *err);
/* The path of a name within another path (n 0: none); p NULL: out of memory. */
qd_str qdi_synthetic_path(qd_arena *a, qd_str above, qd_str name);
/* The path of a field's full name, whose dots part objects. */
qd_str qdi_synthetic_dots(qd_arena *a, qd_str above, qd_str name);
/* Sorts the entries and writes them as the members of the open object of w. */
void qdi_synthetic_write(synthetic_list *l, qd_json_writer *w);

/* fields.c: what the columns of m give back. After the fields have numbers. */
QD_MUST_CHECK
int qdi_synthetic_compile(qd_mapping *m, qd_err *err);
/* Is f of a type whose values are shown as they are encoded? */
bool qdi_synthetic_typed(const qd_field *f);

#endif
