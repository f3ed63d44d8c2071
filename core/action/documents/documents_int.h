/*
 * documents_int.h: writes and reads of documents, as the single APIs and bulk share them.
 *
 * A doc_batch is one sub-batch of operations on one worker: it resolves indices (creating them
 * where allowed), routes, applies, puts mapping updates, and at its end syncs each shard it touched
 * once. Nothing of it is acknowledged before doc_batch_sync has returned.
 */
#ifndef QD_ACTION_DOCS_INT_H
#define QD_ACTION_DOCS_INT_H

#include "action/action_int.h"
#include "action/api/source_int.h"
#include "base/vec.h"
#include "replication/replication.h"
#include "json/tree.h"

typedef enum doc_op { DOC_INDEX, DOC_CREATE, DOC_UPDATE, DOC_DELETE } doc_op;
/* Name of an operation in bulk: "index", ... */
const char *qdi_doc_op_name(doc_op op);

typedef enum doc_refresh { DOC_REFRESH_NO, DOC_REFRESH_NOW, DOC_REFRESH_WAIT } doc_refresh;

typedef struct doc_item {
    doc_op op;
    qd_str index, id, routing, source;
    qd_str given; /* the name with date math that index comes of; p NULL: none */
    bool require_alias, require_stream, empty_id; /* empty_id: one was given, of no length */
    bool auto_id;                                 /* id was made here */
    bool placed; /* by another node: index and index_uuid are those of an index that there is */
    qd_version_type version_type;
    bool has_version;
    int64_t version, if_seq_no, if_primary_term; /* if_*: QD_SEQ_NO_UNASSIGNED, 0: not given */
    int64_t retry_on_conflict;
    qd_str pipeline;  /* p NULL: the index's default one; "_none": none */
    bool ingested;    /* its pipelines have run: they do not again when it is tried again */
    bool dropped;     /* by a pipeline: it is done, nothing is to be written */
    bool want_source; /* update: the new source belongs into the answer */
    const qd_json_filter *source_filter;

    uint32_t group; /* of a batch that runs in groups */

    /* results */
    int rc;
    qd_err *err; /* in the batch's arena; NULL: none, or no memory for it */
    int status;
    const char *result; /* "created", "updated", "deleted", "not_found", "noop" */
    qd_engine_result done;
    qd_str concrete; /* name of the index it went to */
    char index_uuid[QD_UUID_TEXT];
    uint32_t shard, copies;
    uint32_t copies_good, copies_failed; /* of copies: that have it, that were taken out for it */
    bool forced_refresh;
    const struct doc_mark *unrefreshed; /* its shard could not be refreshed; NULL: it could */
    qd_str got_source;                  /* update: the new source, if wanted */
    bool touched_shard;
    uint32_t touched; /* number in the batch's list */
} doc_item;

typedef struct doc_touched {
    qd_shard *shard;
    qd_engine *engine; /* entered */
    qd_index_meta *meta;
    qd_translog_location last;
    int64_t max_seq_no;
    int64_t slow_ns; /* an operation that takes as long stands in the slow log */
    bool any, more;  /* more: since the last commit */
    int rc;          /* of its sync */
    qd_err err;
    /* with replication: */
    qd_permit permit;
    qd_commit commit;
    qd_buf encoded; /* for the other copies, of min to max */
    int64_t min, max;
    qd_write_counts counts;
} doc_touched;

typedef struct doc_batch {
    qd_actions *a;
    qd_arena *arena;
    qd_task *task;
    qd_state *state;
    int64_t timeout_ms;
    int64_t active;   /* wait_for_active_shards */
    uint32_t hint;    /* indexing slot */
    uint32_t group;   /* whose items it syncs */
    uint64_t changed; /* revision of the last change of an index or mapping that it made; 0: none */
    uint64_t placed_by; /* as of doc_request */
    QD_VEC(doc_touched) touched;
} doc_batch;

/* Begins a batch with the newest cluster state. */
void qdi_batch_begin(doc_batch *b, qd_actions *a, qd_arena *arena, qd_task *task,
                     int64_t timeout_ms);
/* Goes on with the state that the batch has changed, which is taken; NULL: somebody else has. */
void qdi_batch_changed(doc_batch *b, qd_state *now);
/* May a write make the index of this name (action.auto_create_index)? QD_E_INDEX_NOT_FOUND. */
QD_MUST_CHECK
int qdi_auto_create_check(qd_actions *a, qd_str name, qd_err *err);
/* Where an item goes: checks it, makes index and id where they are to be made, and fills routing,
 * concrete, index_uuid, shard; *m is good as long as the batch's state. */
QD_MUST_CHECK
int qdi_batch_place(doc_batch *b, doc_item *item, const qd_index_meta **m, qd_err *err);
/* Applies one item; its results say what happened (rc, err, status). */
void qdi_batch_apply(doc_batch *b, doc_item *item);
/* Makes all applied items durable; items of a shard that could not be synced get its error. Items
 * of other groups than the batch's are left alone. */
void qdi_batch_sync(doc_batch *b, doc_item *items, size_t n);
/* Which of n groups does the item belong to? All operations of a shard belong to one. Makes the id
 * that decides on the shard if there is none. */
uint32_t qdi_batch_group(doc_batch *b, doc_item *item, uint32_t n);
/* Leaves the shards. */
void qdi_batch_end(doc_batch *b);

/* --- ingest.c --- */

/* Runs the pipelines of n operations, here or on a node with the role ingest. Each has its result:
 * what is to be written, dropped, or rc. *ran: there were pipelines to run. */
QD_MUST_CHECK
int qdi_ingest_items(qd_actions *a, qd_task *task, int64_t timeout_ms, doc_item *items, size_t n,
                     qd_arena *arena, bool *ran, qd_err *err);

/* An internal version, which only a pipeline can have asked for: the document must have it. */
QD_MUST_CHECK
int qdi_version_of_pipeline(doc_batch *b, const doc_item *i, qd_engine *engine, qd_engine_op *op,
                            qd_err *err);

/* --- marks.c --- */

/* Shards that a request has written to, to be refreshed once at its end. */
typedef struct doc_mark {
    char uuid[QD_UUID_TEXT];
    uint32_t shard;
    int64_t max_seq_no;
    bool forced; /* waiting was refused: refreshed at once */
    /* why it is not refreshed, and where that was; code 0: it is */
    char node[64];
    qd_err err;
} doc_mark;
typedef struct doc_marks {
    doc_refresh refresh;
    QD_VEC(doc_mark) at;
} doc_marks;
/* Remembers the shards of a batch that was synced. QD_E_NOMEM: refreshes them now. */
void qdi_batch_mark(doc_batch *b, doc_marks *m, doc_item *items, size_t n);
/* Remembers one shard written up to max_seq_no; without memory for it, nothing. */
void qdi_mark_add(doc_marks *m, qd_actions *a, const char *uuid, uint32_t shard,
                  int64_t max_seq_no);
/* Refreshes the shards, or waits for their refresh, wherever they are; what fails stands in their
 * marks. A shard that is gone needs none. */
void qdi_marks_refresh(doc_marks *m, qd_actions *a, qd_task *task);
/* Tells the items that were written to a shard that could not be refreshed; the marks stay. */
void qdi_marks_tell(const doc_marks *m, doc_item *items, size_t n);
/* Why a mark's shard is not refreshed on a node. */
void qdi_mark_failed(doc_mark *m, qd_str node, const qd_err *err);
/* The same for those whose primary is here. */
void qdi_marks_refresh_here(doc_marks *m, qd_actions *a);
/* Frees the list. */
void qdi_marks_fini(doc_marks *m);

/* --- groups.c: a batch on several workers --- */

/* What all batches of a request share. */
typedef struct doc_request {
    qd_actions *a;
    qd_task *task;
    int64_t timeout_ms;
    int64_t active;     /* wait_for_active_shards */
    uint32_t hint;      /* one request stays on one indexing slot of a shard: fewer buffers fill */
    uint64_t placed_by; /* revision of the records by which another node placed it here, or 0 */
    doc_marks *marks;
    uint64_t *ingest_ns; /* time of pipelines is added to it, at least 1 when some ran; NULL: not */
} doc_request;
typedef struct doc_groups doc_groups;
/* Applies n items, of so many bytes, and makes them durable; ids that are made are in arena. *out
 * holds what their results point to, until qdi_groups_free. */
QD_MUST_CHECK
int qdi_groups_run(const doc_request *r, doc_item *items, size_t n, size_t bytes, qd_arena *arena,
                   doc_groups **out, qd_err *err);
/* Frees it; NULL is fine. Items that failed are ended before. */
void qdi_groups_free(doc_groups *g);

/* --- nodes.c: a batch on the nodes that hold the primaries --- */

typedef struct doc_run doc_run;
/* As qdi_groups_run, wherever the primaries are: operations travel to their nodes, one request for
 * each node; what meets a primary that has just gone is sent again by a newer state, until the
 * request's time-out. */
QD_MUST_CHECK
int qdi_docs_run(const doc_request *r, doc_item *items, size_t n, size_t bytes, qd_arena *arena,
                 doc_run **out, qd_err *err);
/* Frees it and ends its items, whose errors go with it; NULL is fine. Before the items' memory
 * goes; a run that fails has done so itself. */
void qdi_docs_free(doc_run *run);
/* The newest revision of what says where a shard's documents go and what becomes of them there:
 * index, mapping, copies. */
uint64_t qdi_docs_placed_by(const qd_state *s, const qd_index_meta *m, const qd_shard_meta *r);
/* Before work that another node places here by records of this revision: waits for it while it can
 * be on its way. It may never come while the store is away: then, and from then on until this node
 * hears of anything, the work is done by the state that is here. [worker] */
void qdi_docs_follow(qd_actions *a, uint64_t revision, int64_t timeout_ms);

/* Which copy is asked as primary. Usually the one that is it by this node's state; but that state
 * may stay as it is while the primary does not answer, as on a node that the control nodes do not
 * reach: others may know who is primary now. Then each other copy that the state names is asked,
 * once for each state: who is primary knows it, and who is not says so. */
typedef struct doc_asked {
    uint64_t revision, since_ns; /* since when this has been the state; 0: nothing was asked yet */
    uint32_t turn;               /* 0: the primary by the state; else which of the others */
} doc_asked;
/* After a round that has to be repeated, made by the state of this revision: what the next asks.
 * false: every copy was asked, only a newer state brings news. */
bool qdi_asked_next(doc_asked *a, qd_env *env, uint64_t revision);
/* The node to ask, which is never self but by the state; NULL: there is none. *sure: it has the
 * active primary by the state. */
const qd_node_meta *qdi_asked_node(const doc_asked *a, const qd_state *s, const qd_shard_meta *r,
                                   qd_str self, bool *sure);

/* --- read.c: documents by id, wherever they are --- */

#define QDI_READ_HERE 1 /* rc of a lazy read: it is this node's, to be read when it is needed */
typedef struct doc_read {
    char uuid[QD_UUID_TEXT];
    uint32_t shard;
    qd_str id;
    bool realtime, refresh, want_source;
    bool lazy; /* leave it if it is on this node */
    /* results: doc in arena; err to be freed */
    bool done, comes_back;
    int rc;
    qd_engine_doc doc;
    qd_err err;
} doc_read;
/* Reads n documents; each has its own rc. */
void qdi_docs_read(qd_actions *a, doc_read *reads, uint32_t n, qd_arena *arena);
/* Reads one from a shard that is here: QD_E_NO_SHARD when it is not. */
QD_MUST_CHECK
int qdi_read_here(qd_actions *a, const char *uuid, uint32_t number, const doc_read *what,
                  qd_arena *arena, qd_engine_doc *out, qd_err *err);

/* --- get.c: a document for who asked --- */

typedef struct doc_get {
    qd_str index, id, routing;
    bool realtime, refresh;
    bool has_version, list_of_ids; /* list_of_ids: of mget */
    int64_t version;
    qd_version_type version_type;
    doc_source source;
    bool source_given; /* by the request, so that stored_fields do not leave it out */
    qd_str *stored;    /* stored_fields */
    uint32_t nstored;
    doc_read *fetched; /* read before with others, or NULL */
} doc_get;
typedef struct doc_got {
    qd_engine_doc doc; /* its source as the mapping's _source leaves it */
    qd_str index;      /* concrete name */
} doc_got;
/* The index and shard of a read, with the routing of an alias. */
QD_MUST_CHECK
int qdi_doc_locate(qd_actions *a, const qd_state *s, doc_get *g, qd_arena *arena,
                   const qd_index_meta **out, uint32_t *number, qd_err *err);
/* Resolves index and routing in state s and reads the document, its texts into arena; not found is
 * no error. */
QD_MUST_CHECK
int qdi_doc_get(qd_actions *a, const qd_state *s, doc_get *g, qd_arena *arena, doc_got *out,
                qd_err *err);
/* --- stored.c --- */
/* The stored values of a source that is as it was sent: an object of arrays by name, as JSON. */
QD_MUST_CHECK
int qdi_doc_stored_of(const qd_mapping *m, qd_str source, qd_arena *arena, qd_str *out,
                      qd_err *err);
/* Fills d->stored where it can be had. */
QD_MUST_CHECK
int qdi_doc_stored_got(const qd_mapping *m, qd_engine_doc *d, qd_arena *arena, qd_err *err);
/* Does the request show _source? */
bool qdi_doc_stored_source(const doc_get *g);
/* Refuses objects among the names. */
QD_MUST_CHECK
int qdi_doc_stored_check(const doc_get *g, const qd_mapping *m, qd_err *err);
/* Writes "fields" of a document that was got; nothing where it has none. */
QD_MUST_CHECK
int qdi_doc_stored_write(const doc_get *g, const qd_mapping *m, qd_str stored, qd_arena *arena,
                         qd_json_writer *w, qd_err *err);

/* Makes the reads of n gets, for qdi_doc_get as fetched: what other nodes have is read, each node
 * asked once; the rest when it is got. What cannot be placed is told then, too. NULL: no memory for
 * it, each get asks by itself. */
doc_read *qdi_docs_fetch(qd_actions *a, const qd_state *s, doc_get *gets, uint32_t n,
                         qd_arena *arena);

/* --- answer.c: the items of a bulk's answer --- */

typedef struct doc_answer doc_answer;
/* Opens an empty one. */
QD_MUST_CHECK
int qdi_answer_open(qd_actions *a, doc_answer **out, qd_err *err);
/* Where items are rendered. */
qd_buf *qdi_answer_items(doc_answer *x);
/* After items were rendered: packs them when they are many. */
QD_MUST_CHECK
int qdi_answer_pack(doc_answer *x, qd_err *err);
/* No more items come: from now on they are read. */
QD_MUST_CHECK
int qdi_answer_end(doc_answer *x, qd_err *err);
/* The next piece of the items' text, good until the next call; empty at the end. */
QD_MUST_CHECK
int qdi_answer_next(doc_answer *x, qd_str *piece, qd_err *err);
/* Frees it; NULL is fine. */
void qdi_answer_close(doc_answer *x);

/* A fresh id: 20 characters of URL-safe base64. */
qd_str qdi_doc_new_id(qd_actions *a, qd_arena *arena);
/* An empty item. */
void qdi_item_init(doc_item *i);
/* Takes over err, which is set, as the item's, in place of one that it has; in arena. */
void qdi_item_fail(doc_item *i, qd_arena *arena, qd_err *err);
/* Frees what its error holds, before the arena of that goes. */
void qdi_item_fini(doc_item *i);
/* Has the update changed nothing? */
bool qdi_item_noop(const doc_item *i);
/* The error of an item that failed, as an object. */
void qdi_item_error_write(const doc_item *i, qd_json_writer *w);
/* Members of an item's answer without the enclosing braces: _index … _primary_term, or error. */
void qdi_item_write(const doc_item *i, qd_actions *a, bool bulk, qd_json_writer *w);
/* refresh parameter. */
int qdi_refresh_param(const qd_request *q, doc_refresh *out, qd_err *err);
/* version, version_type, if_seq_no, if_primary_term, op_type, routing … of a single write. */
/* A version_type by name. */
int qdi_version_type(qd_str v, qd_version_type *out, qd_err *err);
/* Its name in messages: "EXTERNAL". */
const char *qdi_version_type_name(qd_version_type t);
#define QD_VERSION_ANY (-3)     /* Elasticsearch's number for "any version" */
#define QD_VERSION_DELETED (-4) /* and for "no document is there" */
int qdi_item_params(const qd_request *q, doc_item *i, qd_err *err);
/* What is wrong with operations, as Elasticsearch's action_request_validation_exception lists it:
 * "1: index is missing;2: …". */
typedef struct doc_problems {
    qd_buf text;
    uint32_t n;
} doc_problems;
void qdi_problems_init(doc_problems *p, qd_account *account);
void qdi_problem(doc_problems *p, const char *fmt, ...) QD_PRINTF(2, 3);
/* Adds the problems of one operation; an update's body is looked at apart. */
void qdi_item_problems(const doc_item *i, doc_problems *p);
/* 0, or QD_E_VALIDATION with all of them; frees the list. */
int qdi_problems_end(doc_problems *p, qd_err *err);
/* The problems of one operation. */
int qdi_item_validate(const doc_item *i, qd_err *err);
/* Reads the body of an update: QD_E_XCONTENT when it cannot be read; its problems go to the list.
 */
int qdi_update_check(doc_item *i, qd_arena *a, doc_problems *p, qd_err *err);

/* What becomes of a document that is updated. */
typedef enum doc_change { DOC_CHANGE_INDEX, DOC_CHANGE_NONE, DOC_CHANGE_DELETE } doc_change;

/* Turns an UPDATE item into the source to index, from the present document, and says what is to be
 * done with it. */
int qdi_update_source(doc_batch *b, doc_item *i, const qd_engine_doc *now, qd_str *source,
                      doc_change *change, qd_err *err);

/* --- update_script.c --- */

/* The script of an update, and what it begins with where there is no document. */
typedef struct doc_script {
    const qd_json_node *script, *upsert;
} doc_script;
/* Runs it. QD_E_ARG "failed to execute script" around what the script threw. */
QD_MUST_CHECK
int qdi_update_by_script(doc_batch *b, const doc_item *i, const qd_engine_doc *now,
                         const doc_script *u, qd_str *source, doc_change *change, qd_err *err);
/* What a script is told of a document. */
typedef struct doc_ctx {
    qd_str index, id, routing, source;
    int64_t version;
    const char *op;
    bool types, now;
} doc_ctx;
struct qd_script_exec;
/* Makes ctx of it. */
QD_MUST_CHECK
int qdi_script_ctx(struct qd_script_exec *x, const doc_ctx *c, qd_err *err);
/* The text of ctx._source, in the arena. */
QD_MUST_CHECK
int qdi_script_source(struct qd_script_exec *x, qd_arena *arena, qd_str *out, qd_err *err);

/* Does the identity have types of documents? */
bool qdi_has_types(qd_actions *a);
/* "_type":"_doc" where the identity has types. */
void qdi_type_write(qd_actions *a, qd_json_writer *w);

/* place.c: index_not_found_exception of a name that is no what ("an alias"), as the flag wants it.
 * [any] */
int qdi_index_not_there(qd_str name, const char *flag, const char *what, qd_err *err);

/* slow.c */
/* The shortest time of an operation that is told; INT64_MAX: none is. [any] */
int64_t qdi_slow_index_ns(const qd_values *v);
/* Tells an operation on a document that took that long. */
void qdi_slow_index(const qd_index_meta *m, const doc_item *i, uint64_t took_ns);

#endif
