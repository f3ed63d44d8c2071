/* vector_options_int.h: which index of its vectors a field asks for. */
#ifndef QD_MAPPING_VECTOR_OPTIONS_INT_H
#define QD_MAPPING_VECTOR_OPTIONS_INT_H

#include "mapping/mapping_int.h"
#include "mapping/vectors.h"

/* Reads [index_options] of a dense_vector into v, whose dims, element and space are known. */
QD_MUST_CHECK
int qdi_vector_index_options(field_builder *b, const qd_field *f, qd_vector_field *v, qd_err *err);
/* Reads [method], [mode] and [compression_level] of a knn_vector into v; its space may come from
 * the method, and is checked by the caller. */
QD_MUST_CHECK
int qdi_vector_method(field_builder *b, const qd_field *f, qd_vector_field *v, qd_str *space,
                      qd_err *err);
/* The rows of parameters of both types. */
#define VECTOR_METHOD_PARAMS                                                                       \
    {"method", PARAM_VECTOR_INDEX, KIND_ANY, UPDATE_SET, NULL},                                    \
        {"mode", PARAM_VECTOR_MODE, KIND_STRING, UPDATE_NEVER, NULL},                              \
        {"compression_level", PARAM_VECTOR_COMPRESSION, KIND_STRING, UPDATE_NEVER, NULL},          \
    {                                                                                              \
        "model_id", PARAM_VECTOR_MODEL, KIND_ANY, UPDATE_NEVER, NULL                               \
    }

#endif
