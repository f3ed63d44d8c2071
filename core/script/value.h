/*
 * value.h: a mutable tree of typed values: what scripts and processors see of a document.
 *
 * A value is a tagged union of 16 bytes; strings, lists and maps lie in the arena that the caller
 * passes to each function that adds. Maps keep the order of insertion. Nothing is freed before the
 * arena is; the arena's maximum bounds a tree. One thread at a time.
 */
#ifndef QD_SCRIPT_VALUE_H
#define QD_SCRIPT_VALUE_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "json/reader.h"
#include "json/writer.h"

typedef enum qd_sv_tag {
    QD_SV_NULL,
    QD_SV_BOOL,
    QD_SV_BYTE,
    QD_SV_SHORT,
    QD_SV_CHAR, /* a UTF-16 unit */
    QD_SV_INT,
    QD_SV_LONG,
    QD_SV_FLOAT,
    QD_SV_DOUBLE,
    QD_SV_STRING, /* UTF-8 */
    QD_SV_LIST,
    QD_SV_MAP,
    /* from here on: objects that only scripts make */
    QD_SV_SET,
    QD_SV_BIG, /* an integer beyond 64 bits, as written */
    QD_SV_ARRAY,
    QD_SV_ENTRY,
    QD_SV_ITERATOR,
    QD_SV_BUILDER,
    QD_SV_FUNCTION,
    QD_SV_EXCEPTION,
    QD_SV_PATTERN,
    QD_SV_MATCHER,
    QD_SV_STREAM,
    QD_SV_OPTIONAL,
    QD_SV_DATE, /* ZonedDateTime */
    QD_SV_INSTANT,
    QD_SV_DURATION,
    QD_SV_ZONE,
    QD_SV_FORMAT,
    QD_SV_UNIT,
    QD_SV_WEEKDAY,
    QD_SV_GEO,    /* GeoPoint: a qd_geo (base/geo.h) */
    QD_SV_DOC,    /* what doc is */
    QD_SV_VALUES, /* what doc['f'] is */
    QD_SV_TAGS,
    QD_SV_GONE = 255, /* key of a removed entry */
} qd_sv_tag;

typedef struct qd_sv {
    uint8_t tag;  /* qd_sv_tag */
    uint8_t more; /* by tag: element type of an array, unit */
    uint32_t n;   /* STRING, BIG: bytes */
    union {
        int64_t i; /* BOOL, BYTE … LONG, CHAR */
        double f;  /* FLOAT, DOUBLE */
        const char *p;
        struct qd_sv_list *list;
        struct qd_sv_map *map;
        void *object;
    };
} qd_sv;

typedef struct qd_sv_list {
    qd_sv *v;
    uint32_t n, cap;
    uint8_t fixed; /* 1: cannot be changed; 2: its length cannot; 4: a view of a map */
} qd_sv_list;

typedef struct qd_sv_entry {
    qd_sv key, value;
    uint64_t hash;
} qd_sv_entry;

typedef struct qd_sv_map {
    qd_sv_entry *e; /* in order; those with the key GONE are removed */
    uint32_t n, cap, live;
    uint32_t *index; /* open addressing over e, from 9 entries on; 0 is free */
    uint32_t mask;
    bool fixed;
} qd_sv_map;

/* Levels that a tree may have when it is read or written. */
#define QD_SV_DEPTH 256

/* null. */
static inline qd_sv qd_sv_null(void)
{
    return (qd_sv){.tag = QD_SV_NULL};
}
/* A boolean. */
static inline qd_sv qd_sv_bool(bool v)
{
    return (qd_sv){.tag = QD_SV_BOOL, .i = v};
}
/* An int. */
static inline qd_sv qd_sv_int(int32_t v)
{
    return (qd_sv){.tag = QD_SV_INT, .i = v};
}
/* A long. */
static inline qd_sv qd_sv_long(int64_t v)
{
    return (qd_sv){.tag = QD_SV_LONG, .i = v};
}
/* A double. */
static inline qd_sv qd_sv_double(double v)
{
    return (qd_sv){.tag = QD_SV_DOUBLE, .f = v};
}
/* A string whose bytes are borrowed: they live as long as the tree. At most 4 GiB. */
static inline qd_sv qd_sv_str(qd_str s)
{
    return (qd_sv){.tag = QD_SV_STRING, .n = (uint32_t)s.n, .p = s.p ? s.p : ""};
}
/* The bytes of a STRING or BIG. */
static inline qd_str qd_sv_text(const qd_sv *v)
{
    return (qd_str){v->p, v->n};
}
/* Equals a string? */
static inline bool qd_sv_is(const qd_sv *v, const char *s)
{
    return v->tag == QD_SV_STRING && qd_str_is(qd_sv_text(v), s);
}

/* A string whose bytes are copied; 0 or QD_E_NOMEM. */
QD_MUST_CHECK
int qd_sv_str_copy(qd_arena *a, qd_str s, qd_sv *out);
/* An empty list with room for n values; 0 or QD_E_NOMEM. */
QD_MUST_CHECK
int qd_sv_list_make(qd_arena *a, uint32_t n, qd_sv *out);
/* Appends; 0 or QD_E_NOMEM. */
QD_MUST_CHECK
int qd_sv_list_add(qd_arena *a, qd_sv_list *l, qd_sv v);
/* An empty map; 0 or QD_E_NOMEM. */
QD_MUST_CHECK
int qd_sv_map_make(qd_arena *a, qd_sv *out);
/* The value of a key, to read or to replace; NULL when it is absent. O(1) */
qd_sv *qd_sv_map_at(const qd_sv_map *m, const qd_sv *key);
/* The same for a string. */
qd_sv *qd_sv_map_get(const qd_sv_map *m, qd_str key);
/* Sets the value of a key; 0 or QD_E_NOMEM. */
QD_MUST_CHECK
int qd_sv_map_set(qd_arena *a, qd_sv_map *m, qd_sv key, qd_sv v);
/* The same for a string, whose bytes are borrowed. */
QD_MUST_CHECK
int qd_sv_map_put(qd_arena *a, qd_sv_map *m, qd_str key, qd_sv v);
/* Removes a key; was it there? */
bool qd_sv_map_remove(qd_sv_map *m, const qd_sv *key);
/* Removes all. */
void qd_sv_map_clear(qd_sv_map *m);
/* The same within a budget, as of qd_sv_equal_in: keys that are lists or maps may be long, and may
 * be many of one hash. When it is spent, a key is not found. */
qd_sv *qd_sv_map_at_in(const qd_sv_map *m, const qd_sv *key, int64_t *budget);
/* qd_sv_map_set within a budget. */
QD_MUST_CHECK
int qd_sv_map_set_in(qd_arena *a, qd_sv_map *m, qd_sv key, qd_sv v, int64_t *budget);
/* qd_sv_map_remove within a budget. */
bool qd_sv_map_remove_in(qd_sv_map *m, const qd_sv *key, int64_t *budget);
/* Java's equals: same class, same value; lists and maps by their contents. */
bool qd_sv_equal(const qd_sv *a, const qd_sv *b);
/* The same within a budget: a value costs 1, a text by its length. False when it is spent, which
 * *budget < 0 tells: lists that share members may hold more pairs than can ever be compared. */
bool qd_sv_equal_in(const qd_sv *a, const qd_sv *b, int64_t *budget);
/* Hash that agrees with qd_sv_equal. */
uint64_t qd_sv_hash(const qd_sv *v);
/* A copy that shares nothing mutable with v; 0, QD_E_NOMEM, or QD_E_LIMIT when it is too deep. */
QD_MUST_CHECK
int qd_sv_copy(qd_arena *a, const qd_sv *v, qd_sv *out);

/* The value at which the reader stands (its first event was read); strings are copied. Integers
 * are INT or LONG by their size, others DOUBLE. */
QD_MUST_CHECK
int qd_sv_read(qd_arena *a, qd_json_reader *r, qd_sv *out, qd_err *err);
/* A whole JSON text; an empty one is null. */
QD_MUST_CHECK
int qd_sv_parse(qd_arena *a, qd_str json, qd_sv *out, qd_err *err);
/* Writes v as JSON: dates in ISO form, sets and arrays as arrays. QD_E_ARG for what has no form in
 * JSON, and for a tree deeper than QD_SV_DEPTH (one that contains itself). */
QD_MUST_CHECK
int qd_sv_write(const qd_sv *v, qd_json_writer *w, qd_err *err);

#endif
