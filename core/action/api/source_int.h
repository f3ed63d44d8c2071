/* source_int.h: _source of a request: which part of a document is shown. */
#ifndef QD_ACTION_SOURCE_INT_H
#define QD_ACTION_SOURCE_INT_H

#include "action/action_int.h"
#include "json/tree.h"

/* _source, _source_includes, _source_excludes of a request. */
typedef struct doc_source {
    bool want;
    bool no_vectors;        /* of searches: without fields of vectors */
    qd_json_filter *filter; /* NULL: all */
} doc_source;
int qdi_source_param(const qd_request *q, doc_source *out, qd_err *err);
/* The same of a JSON value: a boolean, a pattern, a list, an object of includes and excludes. */
int qdi_source_json(const qd_json_node *n, qd_arena *a, doc_source *out, qd_err *err);
/* Does the request say anything of it? */
bool qdi_source_asked(const qd_request *q);
/* Writes a source through the filter as the next value. */
int qdi_source_write(const doc_source *s, qd_str source, qd_json_writer *w, qd_err *err);
/* Calls fn for each value at a dotted path of a source, looking through arrays; whole: an array at
 * the path's end is one value. */
void qdi_source_walk(const qd_json_node *n, qd_str path, bool whole,
                     void (*fn)(void *arg, const qd_json_node *n), void *arg);

/* The names of a comma-separated list, in arena; how many. */
uint32_t qdi_list_split(qd_arena *a, qd_str list, qd_str **out);

#endif
