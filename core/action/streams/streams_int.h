/* streams_int.h: data streams: their documents in the state, and the indices that they get. */
#ifndef QD_ACTION_STREAMS_INT_H
#define QD_ACTION_STREAMS_INT_H

#include "action/indices/templates_int.h"

/* What a data stream is beside its indices: its document in the state. */
typedef struct data_stream {
    qd_str name;
    int64_t generation;
    bool hidden;
    uint64_t revision;      /* 0: there is no such stream */
    const qd_json_node *at; /* the whole document, NULL */
} data_stream;

/* Reads the document of a stream. QD_E_NOTFOUND without text: it is none. */
QD_MUST_CHECK
int qdi_stream_read(const qd_state *s, qd_arena *a, qd_str name, data_stream *out, qd_err *err);
/* Has it a lifecycle of its own that is enabled? */
bool qdi_stream_is_managed(const data_stream *d);
/* A lifecycle as it is shown: with "enabled". */
void qdi_stream_lifecycle_write(const qd_json_node *lifecycle, qd_json_writer *w);
/* The template for a stream of this name, and its own name. QD_E_ARG: none makes data streams of
 * it. */
QD_MUST_CHECK
int qdi_stream_template(const qd_state *s, qd_arena *a, qd_str stream, const qd_json_node **out,
                        qd_str *name, qd_err *err);
/* Does the template of highest priority for the name make data streams? *out false where none
 * matches. */
QD_MUST_CHECK
int qdi_stream_wanted(const qd_state *s, qd_arena *a, qd_str name, bool *out, qd_err *err);
/* The next index of the stream (now->revision 0: its first one), as its template says it. Settings
 * get a reference; all else is in the arena. */
QD_MUST_CHECK
int qdi_stream_next(qd_actions *actions, const qd_state *s, qd_arena *a, const data_stream *now,
                    qd_index_creation *out, qd_err *err);
/* Creates a data stream. QD_E_EXISTS */
QD_MUST_CHECK
int qdi_stream_create(qd_actions *actions, qd_arena *a, qd_str name, qd_state **out, qd_err *err);
/* _shrink, _split or _clone, to its end, by the API's name; and what is wrong with the request
 * itself, whatever indices there are. [worker] */
QD_MUST_CHECK
int qdi_resize(qd_request *q, qd_response *r, qd_err *err);
QD_MUST_CHECK
int qdi_resize_check(qd_request *q, qd_err *err);
typedef struct found_streams {
    const qd_alias_group **at; /* by name */
    uint32_t n;
} found_streams;
/* The streams of the request's {name} (none: all), of its arena. QD_E_INDEX_NOT_FOUND */
QD_MUST_CHECK
int qdi_streams_find(qd_request *q, const qd_state *s, found_streams *out, qd_err *err);

#endif
