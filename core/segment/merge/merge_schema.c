/* merge_schema.c: the fields of the result: the union of the sources', by name. */
#include "segment/merge/merge_int.h"

/* What is kept of a field that two sources index differently: what both have. */
static bool unite(qd_field_info *a, const qd_field_info *b)
{
    bool good = (!a->column || !b->column || a->column == b->column) &&
                (!a->point || !b->point || a->point == b->point);
    if (a->index && b->index) {
        a->index = a->index < b->index ? a->index : b->index;
        a->norms &= b->norms;
    } else if (b->index) {
        a->index = b->index;
        a->norms = b->norms;
    }
    if (!a->column) a->column = b->column;
    if (!a->point) a->point = b->point;
    return good;
}

/* Place of the least name that any source has not given yet. */
static const qd_str *least_name(const qdi_merge *m, const uint32_t *at)
{
    const qd_str *least = NULL;
    for (uint32_t i = 0; i < m->n; i++) {
        const qd_segment *s = m->sources[i].segment;
        if (at[i] == s->nfields) continue;
        const qd_str *name = &s->fields[at[i]].name;
        if (!least || qd_str_cmp(*name, *least) < 0) least = name;
    }
    return least;
}

static int add_field(qdi_merge *m, uint32_t *at, const qd_str *name, uint32_t **maps)
{
    qd_field_info *f = &m->fields[m->nfields];
    *f = (qd_field_info){.name = *name};
    for (uint32_t i = 0; i < m->n; i++) {
        const qd_segment *s = m->sources[i].segment;
        maps[i][m->nfields] = QDI_FIELD_NONE;
        if (at[i] == s->nfields || !qd_str_eq(s->fields[at[i]].name, *name)) continue;
        if (!unite(f, &s->fields[at[i]]))
            return qd_err_set(m->err, QD_E_STATE,
                              "field [%.*s] has another kind of values in segment %.*s",
                              QD_STR_ARG(*name), QD_STR_ARG(qd_segment_name(s)));
        maps[i][m->nfields] = at[i]++;
    }
    m->nfields++;
    return 0;
}

int qdi_merge_schema(qdi_merge *m)
{
    size_t most = 1;
    for (uint32_t i = 0; i < m->n; i++) most += m->sources[i].segment->nfields;
    uint32_t *at = qd_arena_calloc(&m->arena, m->n * sizeof *at);
    uint32_t **maps = qd_arena_calloc(&m->arena, m->n * sizeof *maps);
    m->fields = qd_arena_calloc(&m->arena, most * sizeof *m->fields);
    if (!at || !maps || !m->fields) return qd_err_nomem(m->err, "fields of a merge");
    for (uint32_t i = 0; i < m->n; i++) {
        maps[i] = qd_arena_alloc(&m->arena, most * sizeof **maps);
        if (!maps[i]) return qd_err_nomem(m->err, "fields of a merge");
    }
    int rc = 0;
    for (const qd_str *name; rc == 0 && (name = least_name(m, at));)
        rc = add_field(m, at, name, maps);
    if (rc) return rc;
    if (m->nfields > QD_SEGMENT_FIELDS_MAX)
        return qd_err_set(m->err, QD_E_LIMIT, "a segment has at most %u fields",
                          QD_SEGMENT_FIELDS_MAX);
    for (uint32_t i = 0; i < m->n; i++) m->parts[i].fields = maps[i];
    m->terms = qd_arena_calloc(&m->arena, (m->nfields + 1) * sizeof *m->terms);
    return m->terms ? 0 : qd_err_nomem(m->err, "fields of a merge");
}
