/*
 * types.c: the table of aggregation types, and what is made by the sizes that their rows give.
 */
#include "aggs/type.h"

static const qd_agg_type *const types[] = {
#define QDI_AGG(name) &qdi_aggs_##name,
#include "aggs/types.def"
#undef QDI_AGG
};

const qd_agg_type *qdi_aggs_type_at(uint32_t i)
{
    return i < QD_COUNT_OF(types) ? types[i] : NULL;
}

const qd_agg_type *qdi_aggs_type_find(qd_str name)
{
    for (uint32_t i = 0; i < QD_COUNT_OF(types); i++)
        if (qd_str_is(name, types[i]->name)) return types[i];
    return NULL;
}

qdi_out *qdi_aggs_out_make(qd_arena *arena, const qdi_agg *def)
{
    qdi_out *o = qd_arena_calloc(arena, sizeof *o + def->type->value_size);
    if (!o) return NULL;
    o->def = def;
    if (def->type->value_size) o->value = o + 1;
    return o;
}
