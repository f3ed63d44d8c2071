/*
 * filter.h: filter_path of responses and includes/excludes of _source.
 *
 * Patterns are dotted paths; `*` matches any characters within a name, `**` any number of names; a
 * pattern names a whole sub-tree ("hits" keeps all of hits). Arrays are looked through. Filtering
 * copies the bytes of kept values as they are; only commas and emptied containers are its own. A
 * compiled filter is immutable and may be shared by threads [any].
 */
#ifndef QD_JSON_FILTER_H
#define QD_JSON_FILTER_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

typedef struct qd_json_filter qd_json_filter;

enum {
    /* filter_path: an object or array of which nothing is left vanishes. */
    QD_JSON_FILTER_RESPONSE = 0,
    /* _source: as Elasticsearch's source filtering: excluded leaves vanish; objects emptied by an
     * exclusion stay as {}. A name with dots ("a.b": 1) matches like nested names. */
    QD_JSON_FILTER_SOURCE = 1,
};

/* Compiles patterns (borrowed until return) into the arena; either list may be empty. 0,
 * QD_E_NOMEM, or QD_E_ARG for more than 4,096 patterns or one of over 512 names. */
QD_MUST_CHECK
int qd_json_filter_make(qd_arena *a, const qd_str *includes, size_t nincludes,
                        const qd_str *excludes, size_t nexcludes, int mode, qd_json_filter **out,
                        qd_err *err);
/* The same for filter_path's text: comma-separated, a leading "-" excludes. */
QD_MUST_CHECK
int qd_json_filter_path(qd_arena *a, qd_str paths, qd_json_filter **out, qd_err *err);
/* Does the filter keep everything? */
bool qd_json_filter_all(const qd_json_filter *f);
/*
 * Appends the kept part of a JSON object or array to out, compact (or, with pretty, laid out
 * anew). If nothing is left, `{}` for an object, `[]` for an array. 0, a JSON error, or the
 * buffer's.
 */
QD_MUST_CHECK
int qd_json_filter_apply(const qd_json_filter *f, qd_str json, bool pretty, qd_buf *out,
                         qd_err *err);
/* Would any value at the dotted path or below it be kept? For deciding before fetching. */
bool qd_json_filter_wants(const qd_json_filter *f, qd_str path);

/* Does name match a pattern with `*` wildcards? (simple match, no escapes) */
bool qd_json_simple_match(qd_str pattern, qd_str name);

#endif
