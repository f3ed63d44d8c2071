/*
 * builtin.c: the table of part types (builtin.def). `bare` ones may be named in a chain without a
 * definition, as Elasticsearch's pre-configured parts.
 */
#include "analysis/builtin_int.h"
#include "analysis/provider_int.h"
#include "base/features.h"

static const qd_part_type types[] = {
#define QD_PART(name, stage, bare, flags, make, level)                                             \
    {#name, QD_STAGE_##stage, bare, flags, qd_make_##make, level},
#include "analysis/builtin.def"
#undef QD_PART
};

const qd_part_type *qd_part_type_at(size_t i)
{
    return i < QD_COUNT_OF(types) ? &types[i] : NULL;
}

const qd_part_type *qd_part_type_find(qd_stage_kind kind, qd_str name)
{
    for (size_t i = 0; i < QD_COUNT_OF(types); i++)
        if (types[i].kind == kind && qd_str_is(name, types[i].name)) return &types[i];
    return NULL;
}

bool qd_analysis_type_known(qd_stage_kind kind, qd_str name)
{
    if (kind == QD_STAGE_ANALYZER) return qd_provider_shared(name) != NULL;
    return qd_part_type_find(kind, name) != NULL;
}
