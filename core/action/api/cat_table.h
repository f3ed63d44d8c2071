/*
 * cat_table.h: the tables of _cat: columns with aliases, cells of four kinds, and the printer that
 * lays them out as Elasticsearch's RestTable does: text aligned by the widest cell, or JSON.
 *
 * Parameters read here: v, h, s, help, format, bytes, time. One thread; memory of the request.
 */
#ifndef QD_ACTION_CAT_TABLE_H
#define QD_ACTION_CAT_TABLE_H

#include "action/api/admin_int.h"
#include "base/vec.h"

/* Attributes of a column. */
enum {
    CAT_RIGHT = 1, /* aligned right */
    CAT_OFF = 2,   /* only when asked for by h */
    CAT_PRI = 4,   /* has a sibling "pri.<name>", shown with ?pri */
    CAT_OWN = 8,   /* of no other product: not in help, which is held against theirs */
};

typedef struct cat_column {
    const char *name, *aliases; /* aliases: comma-separated, NULL: none */
    const char *meaning;
    uint32_t flags;
} cat_column;

typedef enum cat_kind {
    CAT_NULL,
    CAT_TEXT,
    CAT_NUMBER,
    CAT_DOUBLE, /* shown as text, sorted by value */
    CAT_BYTES,
    CAT_TIME, /* nanoseconds */
} cat_kind;

typedef struct cat_cell {
    cat_kind kind;
    int64_t number;
    double value;
    qd_str text; /* TEXT, DOUBLE */
} cat_cell;

typedef struct cat_table {
    qd_request *q;
    QD_VEC(cat_column) columns;
    QD_VEC(cat_cell) cells; /* row by row */
    int failed;
} cat_table;

/* An empty table without columns. */
void qdi_cat_init(cat_table *t, qd_request *q);
/* Adds columns. */
void qdi_cat_columns(cat_table *t, const cat_column *c, size_t n);
/* Adds one column. */
void qdi_cat_column(cat_table *t, const char *name, const char *aliases, uint32_t flags,
                    const char *meaning);
/* With ?help answers the list of columns and returns true: the handler then returns 0. */
bool qdi_cat_help(cat_table *t, qd_response *r);
/* An empty table with these columns; true as qdi_cat_help. */
bool qdi_cat_begin(cat_table *t, qd_request *q, const cat_column *c, size_t n, qd_response *r);

/* The next cell of the row; as many as there are columns make a row. Text is copied. */
void qdi_cat_str(cat_table *t, qd_str s);
/* The same with a text that ends with NUL. */
void qdi_cat_c(cat_table *t, const char *s);
/* The same with a formatted text. */
void qdi_cat_printf(cat_table *t, const char *fmt, ...) QD_PRINTF(2, 3);
/* A whole number. */
void qdi_cat_int(cat_table *t, int64_t v);
/* A size, in the unit of ?bytes=. */
void qdi_cat_bytes(cat_table *t, int64_t bytes);
/* A duration in ns, in the unit of ?time=. */
void qdi_cat_ns(cat_table *t, int64_t ns);
/* A double with the text that is shown. */
void qdi_cat_double(cat_table *t, double v, const char *text);
/* Nothing. */
void qdi_cat_null(cat_table *t);

/* Sorts, prints, frees. */
int qdi_cat_end(cat_table *t, qd_response *r, qd_err *err);
/* Frees a table that is not printed. */
void qdi_cat_fini(cat_table *t);

#endif
