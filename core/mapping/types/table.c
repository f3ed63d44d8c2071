/* table.c: the table of field types. */
#include "mapping/type_int.h"

static const struct qd_field_type *const types[] = {
    &qdi_type_text,       &qdi_type_keyword,      &qdi_type_long,    &qdi_type_integer,
    &qdi_type_short,      &qdi_type_byte,         &qdi_type_double,  &qdi_type_float,
    &qdi_type_half_float, &qdi_type_scaled_float, &qdi_type_boolean, &qdi_type_date,
    &qdi_type_ip,
};

const struct qd_field_type *qdi_field_type(qd_str name)
{
    for (size_t i = 0; i < QD_COUNT_OF(types); i++) {
        if (qd_str_is(name, types[i]->name)) return types[i];
    }
    return NULL;
}
