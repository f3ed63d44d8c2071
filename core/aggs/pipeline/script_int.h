/* script_int.h: what pipelines with a script share: bucket_script, bucket_selector, moving_fn. */
#ifndef QD_AGGS_PIPELINE_SCRIPT_INT_H
#define QD_AGGS_PIPELINE_SCRIPT_INT_H

#include "aggs/pipeline/pipeline_int.h"
#include "script/script.h"

/* A name of buckets_path, and where it leads. */
typedef struct qdi_pipe_variable {
    qd_str name, text;
    qdi_path path;
} qdi_pipe_variable;

typedef struct qdi_pipe_script {
    qdi_pipe pipe; /* first */
    qd_script *script;
    qd_str params; /* JSON; p NULL: none */
    qdi_pipe_variable *vars;
    uint32_t nvars;
    int64_t window, shift; /* moving_fn */
} qdi_pipe_script;

/* "script" of the body, compiled. */
int qdi_aggs_pipe_script(qdi_parse *p, qdi_agg *a, qd_script_context context);
/* "script", and buckets_path as an object of names, a list or a text. */
int qdi_aggs_pipe_script_vars(qdi_parse *p, qdi_agg *a, qd_script_context context);
int qdi_aggs_pipe_script_resolve(qdi_parse *p, qdi_agg *a, qdi_agg *const *level, uint32_t n);
/* Runs it for a bucket with its variables as params; *gap: a value is missing, and with skips it
 * did not run. */
int qdi_aggs_pipe_script_run(qdi_reduce *r, const qdi_agg *a, const qdi_bucket_out *b,
                             qd_script_exec *x, bool skips, bool *gap, qd_sv *out, qd_err *err);

#define QDI_PIPE_SCRIPT                                                                            \
    .params_size = sizeof(qdi_pipe_script), .value_size = sizeof(qdi_pipe_result),                 \
    .resolve = qdi_aggs_pipe_script_resolve, .value = qdi_aggs_pipe_number

#endif
