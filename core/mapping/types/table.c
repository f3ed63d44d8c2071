/* table.c: the table of field types. */
#include "mapping/type_int.h"

static const struct qd_field_type *const types[] = {
#define QD_FIELD_TYPE(NAME) &qdi_type_##NAME,
#include "mapping/types/types.def"
#undef QD_FIELD_TYPE
};

const struct qd_field_type *qdi_field_type(qd_str name)
{
    for (size_t i = 0; i < QD_COUNT_OF(types); i++) {
        if (qd_str_is(name, types[i]->name)) return types[i];
    }
    return NULL;
}
