/* fields.c: which fields' values columns give back. */
#include "mapping/synthetic/synthetic_int.h"

bool qd_mapping_synthetic(const qd_mapping *m)
{
    return m->source_mode == QD_SOURCE_SYNTHETIC;
}

const qd_field *const *qd_synthetic_fields(const qd_mapping *m, uint32_t *n)
{
    *n = m->nfrom_columns;
    return m->from_columns;
}

bool qdi_synthetic_typed(const qd_field *f)
{
    static const char *const types[] = {
        "keyword",    "long",    "integer",      "short", "byte",       "double", "float",
        "half_float", "boolean", "scaled_float", "date",  "date_nanos", "ip",     "unsigned_long"};
    if (!f->doc_values || f->normalizer || f->parent || f->hidden || f->implied) return false;
    for (size_t i = 0; i < QD_COUNT_OF(types); i++)
        if (qd_str_is(qd_str_c(qd_field_type_name(f)), types[i])) return true;
    return false;
}

static bool from_column(const qd_field *f)
{
    return qdi_synthetic_typed(f) && !f->nested.n && !f->type->alias && f->def;
}

/* Copies come into the columns of their targets. */
static void mark_targets(qd_mapping *m)
{
    for (uint32_t i = 0; i < m->nfields; i++)
        for (uint32_t k = 0; k < m->fields[i]->ncopy_to; k++) {
            const qd_field *to = m->fields[i]->copy_to[k];
            if (to) m->column_use[to->id] |= QDI_COLUMN_COPIES;
        }
}

int qdi_synthetic_compile(qd_mapping *m, qd_err *err)
{
    if (m->source_mode != QD_SOURCE_SYNTHETIC) return 0;
    m->column_use = qd_arena_calloc(&m->arena, m->nfields + 1);
    const qd_field **list = qd_arena_alloc(&m->arena, (m->nfields + 1) * sizeof *list);
    if (!m->column_use || !list) return qd_err_nomem(err, "mapping");
    for (uint32_t i = 0; i < m->nfields; i++) {
        if (!from_column(m->fields[i])) continue;
        m->column_use[i] = QDI_COLUMN_GIVES;
        list[m->nfrom_columns++] = m->fields[i];
    }
    m->from_columns = list;
    mark_targets(m);
    return 0;
}
