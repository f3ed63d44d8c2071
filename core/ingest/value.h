/*
 * value.h: typed trees of documents, as processors see and change them.
 *
 * A tree lives in an arena and is changed in place: members of an object keep their order, numbers
 * that nobody touches keep their text. Text may be a view into the document's source, which lives
 * as long. A pointer to a value is good until the list or object around it grows. One thread at a
 * time [any].
 */
#ifndef QD_INGEST_VALUE_H
#define QD_INGEST_VALUE_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "json/reader.h"
#include "json/tree.h"
#include "json/writer.h"

typedef enum qd_iv_kind {
    QD_IV_NULL,
    QD_IV_BOOL,
    QD_IV_LONG,   /* i */
    QD_IV_BIG,    /* s: an integer beyond 64 bits, as text */
    QD_IV_FLOAT,  /* s: the text of a float */
    QD_IV_DOUBLE, /* s: the text of a double */
    QD_IV_STR,
    QD_IV_LIST,
    QD_IV_MAP,
} qd_iv_kind;

typedef struct qd_iv qd_iv;
typedef struct qd_iv_member qd_iv_member;
struct qd_iv_index; /* of the keys of a large object, value.c */
struct qd_iv {
    uint8_t kind;
    bool truth;      /* BOOL */
    uint32_t n, cap; /* LIST, MAP */
    union {
        int64_t i;
        qd_str s;
        qd_iv *items;
        struct {
            qd_iv_member *members;
            struct qd_iv_index *index; /* NULL: none yet */
        };
    };
};
struct qd_iv_member {
    qd_str key;
    qd_iv value;
};

#define QD_IV_STRING(text) ((qd_iv){.kind = QD_IV_STR, .s = (text)})
#define QD_IV_INTEGER(number) ((qd_iv){.kind = QD_IV_LONG, .i = (number)})
#define QD_IV_TRUTH(yes) ((qd_iv){.kind = QD_IV_BOOL, .truth = (yes)})

#define QD_IV_DEPTH_MAX 200u /* levels of objects and lists */

/* Reads the value that the reader stands before, at most QD_IV_DEPTH_MAX levels deep. Strings live
 * as long as the reader. QD_E_XCONTENT, QD_E_NOMEM. */
QD_MUST_CHECK
int qd_iv_read(qd_arena *a, qd_json_reader *r, qd_iv *out, qd_err *err);
/* The same of a parsed node. */
QD_MUST_CHECK
int qd_iv_of_node(qd_arena *a, const qd_json_node *n, qd_iv *out, qd_err *err);
/* QD_E_ARG when the value is deeper than QD_IV_DEPTH_MAX. */
QD_MUST_CHECK
int qd_iv_check(const qd_iv *v, qd_err *err);
/* Writes a value that was checked. */
void qd_iv_write(const qd_iv *v, qd_json_writer *w);
/* The member's value, NULL when there is none. */
qd_iv *qd_iv_get(const qd_iv *map, qd_str key);
/* The member's value, which is made (null) when there is none; NULL: no memory. key is kept. */
qd_iv *qd_iv_put(qd_arena *a, qd_iv *map, qd_str key);
/* Removes the member; false: there is none. */
bool qd_iv_remove(qd_iv *map, qd_str key);
/* A new last element (null); NULL: no memory. */
qd_iv *qd_iv_push(qd_arena *a, qd_iv *list);
/* Removes an element. */
void qd_iv_cut(qd_iv *list, uint32_t at);
/* A copy that shares text alone. QD_E_NOMEM, QD_E_ARG: too deep. */
QD_MUST_CHECK
int qd_iv_copy(qd_arena *a, const qd_iv *from, qd_iv *to, qd_err *err);
/* Same value? Numbers of different kinds differ. */
bool qd_iv_equal(const qd_iv *a, const qd_iv *b);
/* Elasticsearch's name of the value's class, for messages: "java.lang.String". */
const char *qd_iv_class(const qd_iv *v);
/* A double of this value. */
qd_iv qd_iv_double(qd_arena *a, double v);
/* A number's value; false: it is none. */
bool qd_iv_number(const qd_iv *v, double *out);
/* Appends the value's text as Java's toString gives it: [1, 2], {a=1}, null. */
void qd_iv_print(const qd_iv *v, qd_buf *out);
/* The same in the arena. Of a string: itself. {NULL,0}:
 * no memory. */
qd_str qd_iv_text(qd_arena *a, const qd_iv *v);

#endif
