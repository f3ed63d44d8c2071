/* typed_int.h: typed values of a document as JSON text, and back. */
#ifndef QD_ACTION_TYPED_INT_H
#define QD_ACTION_TYPED_INT_H

#include "action/action.h"
#include <quidditch/documents.h>

/* Bytes that n values count for before they are text: their names and texts, and some for each. */
size_t qdi_typed_bytes(const qd_docs_value *values, uint32_t n);
/* Appends the document that the values are. QD_E_DOC_PARSING names the value that cannot be and its
 * field; QD_E_NOMEM, QD_E_BREAKER. out keeps what it had before an error. */
QD_MUST_CHECK
int qdi_typed_write(const qd_docs_value *values, uint32_t n, qd_buf *out, qd_err *err);

/* Opens a cursor over a JSON object, which is kept until close. */
QD_MUST_CHECK
int qdi_cursor_open(qd_account *account, qd_str source, qd_docs_cursor **out, qd_err *err);
/* The next value; QD_DOCS_END at the end. QD_E_XCONTENT: the text is damaged. */
QD_MUST_CHECK
int qdi_cursor_next(qd_docs_cursor *c, qd_docs_value *out, qd_err *err);
/* Over the rest of what next has opened last. */
QD_MUST_CHECK
int qdi_cursor_skip(qd_docs_cursor *c, qd_err *err);
/* Frees it; NULL is fine. */
void qdi_cursor_close(qd_docs_cursor *c);

/* Submits a call as the service's write and read do; what it keeps is charged to account (NULL: to
 * nobody). [any] */
QD_MUST_CHECK
int qdi_docs_submit(qd_actions *a, qd_account *account, qd_docs_call *c, bool write, qd_err *err);

#endif
