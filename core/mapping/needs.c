/* needs.c: what a mapping needs of the node and of the cluster. */
#include "base/features.h"
#include "mapping/mapping_int.h"

const char *qd_mapping_missing(const qd_mapping *m)
{
    for (uint32_t i = 0; i < m->nfields; i++)
        if (m->fields[i]->unusable) return m->fields[i]->unusable;
    return NULL;
}

static uint32_t level_of(const qd_field *f)
{
    const struct qd_field_type *t = f->type;
    if (t->own) return QD_FEATURES_FIELD_TYPES;
    return t->needs ? t->needs(f) : t->level;
}

uint32_t qd_mapping_level(const qd_mapping *m, const qd_field **what)
{
    uint32_t level = 0;
    for (uint32_t i = 0; i < m->nfields; i++) {
        uint32_t own = level_of(m->fields[i]);
        if (own <= level) continue;
        level = own;
        *what = m->fields[i];
    }
    return level;
}
