/* alias.c: another name of a field. The mapping puts a copy of its target in its place
 * (resolve_alias in mapping.c); this row reads the definition and refuses documents. */
#include "base/features.h"
#include "mapping/doc_int.h"
#include "mapping/type_int.h"

static const param_row params[] = {
    {"path", PARAM_PATH, KIND_STRING, UPDATE_FREE, NULL},
};

static int finish(field_builder *b, qd_field *f, qd_err *err)
{
    (void)b;
    f->indexed = false;
    f->ignore_malformed = false; /* whatever the index says */
    if (qdi_param(f->def, PARAM_PATH)) return 0;
    return qd_err_set(err, QD_E_MAPPER_PARSING,
                      "The [path] property must be specified for field [%.*s].",
                      QD_STR_ARG(f->leaf));
}

static int value(doc *d, const qd_field *f, qd_err *err)
{
    (void)d;
    return qd_err_set(err, QD_E_ARG, "Cannot write to a field alias [%.*s].", QD_STR_ARG(f->name));
}

const struct qd_field_type qdi_type_alias = {
    .value_class = QD_VALUE_OPAQUE,
    .alias = true,
    .plain = true,
    .takes_null = true,
    .whole = true,
    .name = "alias",
    .level = QD_FEATURES_TYPES_0_2,
    .params = params,
    .nparams = QD_COUNT_OF(params),
    .finish = finish,
    .value = value,
};
