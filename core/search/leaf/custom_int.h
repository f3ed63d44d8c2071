/*
 * custom_int.h: what the files of operators that iterate share: custom.c calls the iterator,
 * custom_fill.c turns its blocks into windows, custom_view.c, custom_column.c and custom_part.c are
 * what it sees of a segment.
 *
 * A call of an operator may never return (plugin/guest.h), so an iterator, its view, its arena and
 * the blocks that it fills are an allocation of their own. Functions of the view reach the run
 * between qd_guest_enter and qd_guest_leave.
 */
#ifndef QD_SEARCH_CUSTOM_INT_H
#define QD_SEARCH_CUSTOM_INT_H

#include "query/scope.h"
#include "search/leaf/window_int.h"

#define QDI_CUSTOM_BLOCKS 64u /* of a call at most */

typedef enum qdi_custom_action {
    QDI_CUSTOM_OPEN,
    QDI_CUSTOM_NEXT,
    QDI_CUSTOM_MATCH,
    QDI_CUSTOM_BOUND,
    QDI_CUSTOM_EXPLAIN,
    QDI_CUSTOM_CLOSE
} qdi_custom_action;

/* Lines of an explanation. */
#define QDI_CUSTOM_LINES 1024u
typedef struct qdi_custom_line {
    uint32_t depth;
    bool count;
    double value;
    qd_str text; /* in the iterator's arena */
} qdi_custom_line;
typedef struct qdi_custom_lines {
    uint32_t n;
    qdi_custom_line at[QDI_CUSTOM_LINES];
} qdi_custom_lines;

/* An iterator and its calls; of the run, and of a call that is left, alone. */
typedef struct qdi_custom_iter {
    qd_guest_call call;       /* first */
    qd_operator_scope *scope; /* NULL: one of ours */
    const qd_operator_vtable *vt;
    const qd_query_ctx *ctx;
    const void *query;
    qd_segment_view view;
    uint32_t lengths[256]; /* by norm byte */
    qd_arena arena;
    struct qdi_custom_part *parts; /* that it opened */
    qd_operator_iter *iter;
    qd_err err;
    qdi_custom_action what;
    int32_t scores;
    uint32_t from, to; /* of a call */
    uint32_t want, nblocks, room;
    uint64_t took_ns; /* of the operator for the blocks of a call */
    float bound;
    qd_doc_block *blocks;       /* room of them */
    qd_doc_block *matched;      /* of MATCH: candidates, then what is left; its own */
    uint32_t nmatched;          /* blocks */
    uint32_t bad_doc;           /* scores above its bound, QD_NO_DOC: none does */
    float bad_score, bad_bound; /* of bad_doc */
    qd_explain_sink sink;       /* of EXPLAIN */
    qdi_custom_lines *lines;
    struct qdi_custom *host; /* the run's: behind qd_guest_enter alone */
} qdi_custom_iter;

/* Norms that an iterator asked for. */
struct qdi_custom_norms {
    uint32_t field;
    const uint8_t *at; /* NULL: none */
    struct qdi_custom_norms *next;
};

struct qdi_custom {
    qdi_run *run;
    const qdi_node *x;
    const qd_node_custom *from;
    qdi_custom_iter *it; /* NULL: it was left behind */
    qd_doc_block *block; /* NULL: none has come */
    uint32_t nblock;     /* which of the call's it is */
    uint32_t at;         /* next document of the block */
    uint32_t asked;      /* what stands before is behind the iterator */
    bool ended;
    bool scores;
    float boost;
    uint32_t bound_from, bound_to; /* what was said of the scores there */
    float bound;
    int rc; /* of a call whose result nobody looks at: what comes next fails with it */
    qd_err why;
    qdi_lnode **children; /* by place */
    qd_arena columns;     /* readers of one call */
    struct qdi_custom_norms *norms;
    struct qdi_custom *next; /* of the run */
};

/* custom.c: a call; an error of the operator's own, or of its not returning: then the iterator is
 * not the run's any more. */
QD_MUST_CHECK
int qdi_custom_call(struct qdi_custom *c, qdi_custom_action what, qd_err *err);
/* At the first document, for the first time or again. */
QD_MUST_CHECK
int qdi_custom_reopen(struct qdi_custom *c, qd_err *err);
/* QD_E_PLUGIN "operator [x] of plugin [y]: <what> <text>": what the operator did that its kind
 * forbids. */
int qdi_custom_wrong(const struct qdi_custom *c, qdi_custom_action what, qd_err *err,
                     const char *fmt, ...) QD_PRINTF(4, 5);
/* The search is over. */
int qdi_custom_gone(qd_err *err);

/* The lines of the operator on a document that matches, which live until the run ends; NULL: it has
 * none. */
QD_MUST_CHECK
int qdi_custom_explain(struct qdi_custom *c, uint32_t doc, const qdi_custom_lines **out,
                       qd_err *err);

/* custom_view.c, custom_column.c, custom_part.c: the functions of a view. */
void qdi_custom_view(qdi_custom_iter *it);
void qdi_custom_view_columns(qd_segment_view *v);
void qdi_custom_view_parts(qd_segment_view *v);
/* Closes the index parts that the iterator opened. */
void qdi_custom_parts_close(qdi_custom_iter *it);

#endif
