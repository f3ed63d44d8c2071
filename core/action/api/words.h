/*
 * words.h: errors in the words of the product that clients see. The modules below word an error as
 * Elasticsearch 8 does; where OpenSearch and Elasticsearch 7 say it otherwise, a row of words.c
 * tells how, once for all APIs. docs/compatibility.md lists what differs.
 */
#ifndef QD_ACTION_WORDS_H
#define QD_ACTION_WORDS_H

#include "action/action.h"

/* What an error is about, where that decides its words. */
typedef enum qdi_words_of {
    QDI_WORDS_ANY,      /* rows: of whatever; errors: of a part of a request */
    QDI_WORDS_REQUEST,  /* the whole of it failed */
    QDI_WORDS_DOCUMENT, /* one document was asked for, in one index */
} qdi_words_of;

/* Rewords err and its causes as the identity of `a` says; an error in these words already, or NULL,
 * stays as it is. [any] */
void qdi_words_error(const qd_actions *a, qdi_words_of of, qd_err *err);
/* The same, of an answer to q. [any] */
void qdi_words_answer(const qd_request *q, qd_err *err);

#endif
