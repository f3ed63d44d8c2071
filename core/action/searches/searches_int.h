/* searches_int.h: searches by a template. */
#ifndef QD_ACTION_SEARCHES_INT_H
#define QD_ACTION_SEARCHES_INT_H

#include "action/search/search_int.h"

/* A search by a template, as a body says it. */
typedef struct search_template {
    qd_script_ref ref; /* source and id empty: neither was given */
    bool given;        /* one of them was, be it empty */
    bool explain, profile;
} search_template;

/* Reads the body, of which the template keeps views, for the search r. */
QD_MUST_CHECK
int qdi_search_template_read(search_request *r, qd_str body, search_template *out, qd_err *err);
/* Makes r the search that the template becomes: renders it in r's arena and reads it.
 * QD_E_NOTFOUND, QD_E_ARG, and the errors of a body. [worker] */
QD_MUST_CHECK
int qdi_search_template_body(search_request *r, const search_template *t, qd_err *err);
/* The text that the template becomes, in r's arena. [worker] */
QD_MUST_CHECK
int qdi_search_template_text(const search_request *r, const search_template *t, qd_str *out,
                             qd_err *err);

#endif
