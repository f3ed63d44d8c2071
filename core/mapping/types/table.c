/* table.c: the table of field types. */
#include "mapping/type_int.h"
#include "segment/parts.h"

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

bool qdi_field_part(qd_str name, qd_part_type *out)
{
    if (qd_str_eq(name, qdi_vectors_graph.name)) {
        *out = qdi_vectors_graph;
        return true;
    }
    for (size_t i = 0; i < QD_COUNT_OF(types); i++) {
        if (!types[i]->part || !qd_str_eq(name, types[i]->part->name)) continue;
        *out = *types[i]->part;
        return true;
    }
    return false;
}
