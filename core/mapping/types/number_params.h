/* number_params.h: the parameters that all numeric types but scaled_float have. */
#ifndef QD_MAPPING_NUMBER_PARAMS_H
#define QD_MAPPING_NUMBER_PARAMS_H

#include "mapping/type_int.h"

static const param_row number_params[] = {
    {"index", PARAM_INDEX, KIND_BOOL, UPDATE_NEVER, "true"},
    {"doc_values", PARAM_DOC_VALUES, KIND_BOOL, UPDATE_NEVER, "true"},
    {"store", PARAM_STORE, KIND_BOOL, UPDATE_NEVER, "false"},
    {"ignore_malformed", PARAM_IGNORE_MALFORMED, KIND_EXPLICIT_BOOL, UPDATE_FREE, "false"},
    {"coerce", PARAM_COERCE, KIND_EXPLICIT_BOOL, UPDATE_FREE, "true"},
    {"null_value", PARAM_NULL_VALUE, KIND_SCALAR, UPDATE_NEVER, NULL},
    {"meta", PARAM_OTHER, KIND_META, UPDATE_FREE, NULL},
    {"time_series_dimension", PARAM_OTHER, KIND_BOOL, UPDATE_NEVER, "false"},
    {"time_series_metric", PARAM_OTHER, KIND_STRING, UPDATE_NEVER, NULL},
};

#endif
