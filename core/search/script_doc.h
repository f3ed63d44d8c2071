/*
 * script_doc.h: a script over the documents of one segment: values of fields come from its columns,
 * which are opened when the script first asks for them.
 *
 * Belongs to one thread at a time. Opening a column may wait for its bytes. [worker]
 */
#ifndef QD_SEARCH_SCRIPT_DOC_H
#define QD_SEARCH_SCRIPT_DOC_H

#include "query/script.h"
#include "script/batch.h"

struct qd_segment;
struct qd_task;
typedef struct qd_script_doc qd_script_doc;

/* Prepares runs on a segment; the arena frees it when it is reset. */
QD_MUST_CHECK
int qd_script_doc_open(const qd_script_bind *b, const struct qd_segment *segment, qd_arena *arena,
                       qd_account *account, qd_script_doc **out, qd_err *err);
/* The script of a document; *out is good until the next run. QD_E_ARG script_exception. */
QD_MUST_CHECK
int qd_script_doc_run(qd_script_doc *d, uint32_t doc, double score, qd_sv *out, qd_err *err);
/* The same, and what runs before have made stays, until it is forgotten: for scripts with a state.
 */
QD_MUST_CHECK
int qd_script_doc_run_on(qd_script_doc *d, uint32_t doc, double score, qd_sv *out, qd_err *err);
/* Bytes of what runs have made. */
size_t qd_script_doc_held(const qd_script_doc *d);
/* Frees what runs have made, and the texts and dates of doc that they saw. */
void qd_script_doc_forget(qd_script_doc *d);
/* What params._source is for the next run: a document's source. */
QD_MUST_CHECK
int qd_script_doc_source(qd_script_doc *d, qd_str json, qd_err *err);
/* Who takes what the script emits; at first nobody. */
void qd_script_doc_emit(qd_script_doc *d,
                        int (*emit)(void *arg, const qd_sv *v, uint32_t n, qd_err *err), void *arg);
/* Does the script name _source? Then qd_script_doc_source comes before each run. */
bool qd_script_doc_reads_source(const qd_script_doc *d);
/* Its run, for variables beside doc and _score. */
qd_script_exec *qd_script_doc_exec(qd_script_doc *d);
/* The script of n ascending documents at once, at most QD_SCRIPT_BATCH, with their scores (NULL: it
 * looks at none): false when it is to be run one by one, as it is no expression over columns of
 * numbers, or a document makes it throw. */
bool qd_script_doc_block(qd_script_doc *d, const uint32_t *docs, uint32_t n, const double *scores,
                         double *out);
/* The numbers that a script of a context of doubles makes of n ascending documents, by blocks where
 * it can. scores may be NULL. QD_E_TIMEOUT and QD_E_CANCELLED come without a text, as of
 * qd_task_poll; task may be NULL. */
QD_MUST_CHECK
int qd_script_doc_numbers(qd_script_doc *d, const uint32_t *docs, uint32_t n, const float *scores,
                          struct qd_task *task, double *out, qd_err *err);

#endif
