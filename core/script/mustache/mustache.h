/*
 * mustache.h: templates in the language mustache, with Elasticsearch's functions toJson, join and
 * url.
 *
 * A template is compiled once and is immutable [any]. It is rendered over values of any kind, which
 * the caller shows through a table of functions: search templates over the params of a request,
 * pipelines over a document.
 */
#ifndef QD_SCRIPT_MUSTACHE_MUSTACHE_H
#define QD_SCRIPT_MUSTACHE_MUSTACHE_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

#define QD_MUSTACHE_DEPTH 100u     /* sections within one another */
#define QD_MUSTACHE_STEPS 2000000u /* tags and look-ups of one rendering */

/* How {{x}} is escaped. */
typedef enum qd_mustache_escape {
    QD_MUSTACHE_JSON,
    QD_MUSTACHE_PLAIN, /* not at all */
    QD_MUSTACHE_URL,   /* as application/x-www-form-urlencoded */
} qd_mustache_escape;
/* The escape of a content type; false: Elasticsearch has none for it. [any] */
bool qd_mustache_media(qd_str type, qd_mustache_escape *out);

typedef struct qd_mustache qd_mustache;
/* Compiles text, of which the template keeps views. QD_E_ARG (mustache_exception) with the line of
 * what is wrong, QD_E_NOMEM. */
QD_MUST_CHECK
int qd_mustache_compile(qd_arena *a, qd_str text, qd_mustache_escape escape, qd_mustache **out,
                        qd_err *err);
/* Is it text alone? Then *out is it. */
bool qd_mustache_constant(const qd_mustache *m, qd_str *out);

typedef enum qd_mustache_kind {
    QD_MUSTACHE_NULL, /* shows nothing; not true */
    QD_MUSTACHE_FALSE,
    QD_MUSTACHE_STRING, /* text; true unless it is empty */
    QD_MUSTACHE_OTHER,  /* a scalar that is true: numbers, true */
    QD_MUSTACHE_LIST,   /* n elements */
    QD_MUSTACHE_MAP,    /* n members */
    QD_MUSTACHE_COUNT,  /* the number n: size of a list */
} qd_mustache_kind;
typedef struct qd_mustache_value {
    uint8_t kind; /* qd_mustache_kind */
    uint32_t n;
    const void *at; /* the model's */
    qd_str text;
} qd_mustache_value;

/* What a template sees. */
typedef struct qd_mustache_model {
    /* A member of a map; false: there is none. */
    bool (*member)(void *arg, const qd_mustache_value *map, qd_str key, qd_mustache_value *out);
    qd_mustache_value (*element)(void *arg, const qd_mustache_value *list, uint32_t i);
    /* Appends a value's text as Java's toString gives it: [1, 2], {a=1}. */
    void (*print)(void *arg, const qd_mustache_value *v, qd_buf *out);
    /* Appends a value as JSON. */
    int (*json)(void *arg, const qd_mustache_value *v, qd_buf *out, qd_err *err);
    bool linear; /* member looks at one after the other: it costs steps by their number */
} qd_mustache_model;

/* Appends the rendering over root to out, whose maximum bounds it. QD_E_LIMIT: it is too long, or
 * has taken more than QD_MUSTACHE_STEPS; QD_E_NOMEM, QD_E_ARG of the model. */
QD_MUST_CHECK
int qd_mustache_render(const qd_mustache *m, const qd_mustache_model *model, void *arg,
                       const qd_mustache_value *root, qd_buf *out, qd_err *err);

#endif
