/* hidden.c: fields of segments that the type of a field keeps beside it. */
#include "mapping/mapping_int.h"

qd_field *qdi_field_hide(field_builder *b, qd_field *f, const struct qd_field_type *row,
                         const char *suffix)
{
    qd_field *h = qd_arena_calloc(b->arena, sizeof *h);
    qd_str name = qd_arena_printf(b->arena, "%.*s..%s", QD_STR_ARG(f->name), suffix);
    if (!h || !name.p) return NULL;
    *h = (qd_field){.type = row,
                    .value_class = row->value_class,
                    .number = row->number,
                    .name = name,
                    .leaf = name,
                    .def = f->def,
                    .hidden = true,
                    .exists_by = QD_EXISTS_NEVER,
                    .ignore_above = UINT32_MAX,
                    .beside = f->beside};
    f->beside = h;
    return h;
}
