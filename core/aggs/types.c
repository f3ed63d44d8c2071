/*
 * types.c: the table of aggregation types, and what is made by the sizes that their rows give.
 */
#include "aggs/type.h"
#include <stdlib.h>

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

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const qd_agg_type *const *)a)->name, (*(const qd_agg_type *const *)b)->name);
}

/* As Elasticsearch names them: "other" where no field gives the values. */
static void write_kinds(const qd_agg_type *t, qd_json_writer *w)
{
    bool bytes = t->flags & QDI_TAKES_BYTES, addresses = t->flags & QDI_ADDRESSES;
    if (!(t->flags & QDI_VALUES)) {
        qd_json_c(w, "other");
        return;
    }
    if (!addresses) qd_json_c(w, "boolean");
    if (!addresses) qd_json_c(w, "date");
    if (bytes || addresses) qd_json_c(w, "ip");
    if (bytes && !addresses) qd_json_c(w, "keyword");
    if (!addresses) qd_json_c(w, "numeric");
}

void qd_aggs_types_write(qd_json_writer *w)
{
    const qd_agg_type *all[QD_COUNT_OF(types)];
    uint32_t n = 0;
    for (size_t i = 0; i < QD_COUNT_OF(types); i++)
        if (!(types[i]->flags & QDI_PIPELINE)) all[n++] = types[i];
    qsort(all, n, sizeof *all, by_name);
    qd_json_object(w);
    for (uint32_t i = 0; i < n; i++) {
        qd_json_key_c(w, all[i]->name);
        qd_json_object(w);
        qd_json_key_c(w, "types");
        qd_json_array(w);
        write_kinds(all[i], w);
        qd_json_array_end(w);
        qd_json_object_end(w);
    }
    qd_json_object_end(w);
}

const char *qd_aggs_type_module(uint32_t i)
{
    const qd_agg_type *t = qdi_aggs_type_at(i);
    return !t ? NULL : t->module ? t->module : "";
}

bool qd_aggs_type_known(qd_str name)
{
    return qdi_aggs_type_find(name) != NULL;
}
