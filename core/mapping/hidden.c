/* hidden.c: fields of segments that the type of a field keeps beside it. */
#include "mapping/mapping_int.h"

qd_field *qdi_field_beside(field_builder *b, qd_field *f, const struct qd_field_type *row,
                           qd_str name)
{
    qd_field *h = qd_arena_calloc(b->arena, sizeof *h);
    if (!h || !name.p) return NULL;
    *h = (qd_field){.type = row,
                    .value_class = row->value_class,
                    .number = row->number,
                    .name = name,
                    .shown = name,
                    .leaf = name,
                    .nested = f->nested,
                    .def = f->def,
                    .implied = true,
                    .similarity = f->similarity,
                    .exists_by = QD_EXISTS_NEVER,
                    .ignore_above = UINT32_MAX,
                    .beside = f->beside};
    f->beside = h;
    return h;
}

qd_field *qdi_field_hide(field_builder *b, qd_field *f, const struct qd_field_type *row,
                         const char *suffix)
{
    qd_str name = qd_arena_printf(b->arena, "%.*s.%s", QD_STR_ARG(f->name), suffix);
    qd_field *h = qdi_field_beside(b, f, row, name);
    if (!h) return NULL;
    h->hidden = true;
    h->implied = false;
    return h;
}

int qdi_field_imply(field_builder *b, const qd_field *f, const struct qd_field_type *row,
                    const char *name, qd_field **out, qd_err *err)
{
    qd_assert(b->nimplied < QD_COUNT_OF(b->implied));
    for (uint32_t i = 0; i < f->def->nmulti; i++)
        if (qd_str_is(f->def->multi[i]->name, name))
            return qd_err_set(err, QD_E_ARG, "Field [%.*s.%s] is defined more than once",
                              QD_STR_ARG(f->name), name);
    qd_field *x = qd_arena_calloc(b->arena, sizeof *x);
    qd_str full = qd_arena_printf(b->arena, "%.*s.%s", QD_STR_ARG(f->name), name);
    if (!x || !full.p) return qd_err_nomem(err, "mapping");
    *x = *f;
    x->type = row;
    x->name = x->shown = full;
    x->leaf = qd_str_sub(full, f->name.n + 1, full.n);
    x->parent = f;
    x->implied = true;
    x->nshingles = 0;
    *out = b->implied[b->nimplied++] = x;
    return 0;
}

/* The field of objects that a name goes into, and the key in it; NULL: none. */
static const qd_field *holder(const qd_mapping *m, qd_str name, qd_str *key)
{
    for (size_t i = 1; i + 1 < name.n; i++) {
        if (name.p[i] != '.') continue;
        const qd_field *f = qd_mapping_field(m, qd_str_sub(name, 0, i));
        *key = qd_str_sub(name, i + 1, name.n);
        if (f && f->keyed) return f;
    }
    return NULL;
}

int qd_mapping_find(const qd_mapping *m, qd_str name, qd_arena *arena, const qd_field **out,
                    qd_err *err)
{
    qd_str key;
    *out = qd_mapping_field(m, name);
    const qd_field *of = *out ? NULL : holder(m, name, &key);
    if (!of) return 0;
    qd_field *f = qd_arena_calloc(arena, sizeof *f);
    char *slice = qd_arena_bytes(arena, key.n + 1);
    qd_str shown = qd_arena_str(arena, name);
    if (!f || !slice || !shown.p) return qd_err_nomem(err, "field");
    memcpy(slice, key.p, key.n);
    slice[key.n] = 0;
    *f = *of->keyed;
    f->leaf = f->shown = shown;
    f->hidden = false;
    f->whole = true;
    f->beside = NULL;
    f->slice = (qd_str){slice, key.n + 1};
    *out = f;
    return 0;
}
