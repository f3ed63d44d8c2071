/*
 * search_pipeline.h: OpenSearch's search pipelines. Processors of requests rewrite the body of a
 * search, those of phase results say how the lists of a hybrid query are combined, those of
 * responses rewrite the answer. Pipelines are documents of the cluster state under
 * search_pipeline/<id>. Only the coordinating node knows of them: other nodes get the body as it
 * was rewritten. Everything lives in the arena of the search.
 */
#ifndef QD_ACTION_SEARCH_PIPELINE_H
#define QD_ACTION_SEARCH_PIPELINE_H

#include "action/action.h"
#include "action/ranking/ranking.h"
#include "json/tree.h"

#define QDI_SEARCH_PIPELINE_KEY "search_pipeline/"
#define QDI_SEARCH_PIPELINE_MAX ((size_t)1 << 20) /* bytes of one, as a value of the store */
#define QDI_SEARCH_PROCESSORS_MAX 64u             /* of each of its lists */

typedef enum search_processor_kind {
#define QDI_SEARCH_PROCESSOR(id, name, list) SEARCH_PROCESSOR_##id,
#include "action/search_pipeline/types.def"
#undef QDI_SEARCH_PROCESSOR
    SEARCH_PROCESSORS
} search_processor_kind;

/* Options of all processors together: which are there depends on the kind. */
typedef struct search_processor {
    search_processor_kind kind;
    bool ignore_failure, ignore_missing, descending, trailing;
    qd_str field, target, separator, prefix; /* prefix: of names in the context */
    const qd_json_node *query;
    double factor;
    int64_t size; /* -1: not given */
} search_processor;

/* A value that one processor leaves for a later one. */
typedef struct search_original {
    qd_str prefix;
    int64_t size;
} search_original;

typedef struct search_pipeline {
    qd_str id;
    search_processor *request, *response;
    uint32_t nrequest, nresponse;
    bool combines;
    rank_combine combine;
    search_original *originals; /* what a search has left: noriginals */
    uint32_t noriginals;
} search_pipeline;

/* Reads one; id: for errors. QD_E_ARG, QD_E_ES_PARSE, QD_E_UNSUPPORTED, QD_E_NOMEM. */
QD_MUST_CHECK
int qdi_search_pipeline_compile(qd_arena *a, qd_str id, const qd_json_node *root,
                                search_pipeline **out, qd_err *err);
/* The pipeline of a search: of the parameter, of its body, or that of all its indices; *out NULL:
 * it has none. QD_E_ARG: it is not defined. */
QD_MUST_CHECK
int qdi_search_pipeline_find(const qd_request *q, qd_arena *a, qd_str expression, uint32_t options,
                             qd_str body, search_pipeline **out, qd_err *err);
/* The body behind the processors of requests; *size: of the page, -1: nothing changes it. */
QD_MUST_CHECK
int qdi_search_pipeline_request(search_pipeline *p, const qd_request *q, qd_arena *a, qd_str body,
                                qd_str *out, int64_t *size, qd_err *err);
/* Writes the members of an answer (an object) behind the processors of responses. */
QD_MUST_CHECK
int qdi_search_pipeline_response(const search_pipeline *p, qd_arena *a, qd_str answer,
                                 qd_json_writer *w, qd_err *err);
/* combine.c: a processor of phase results. */
QD_MUST_CHECK
int qdi_search_pipeline_combine(qd_arena *a, qd_str name, const qd_json_node *config,
                                rank_combine *out, qd_err *err);

#endif
