/* pipeline_int.h: a compiled pipeline, between compile.c and run.c. */
#ifndef QD_INGEST_PIPELINE_INT_H
#define QD_INGEST_PIPELINE_INT_H

#include "ingest/ingest_int.h"

struct qd_ingest_pipeline {
    _Atomic uint32_t refs;
    qd_arena arena;
    qd_str id, json;
    qdi_steps steps, on_failure;
    qdi_stored *stored; /* the scripts that it names by id */
    qd_ingest_counts counts;
};

#endif
