/* fielddata.c: see fielddata.h. */
#include "search/fielddata.h"
#include "search/ordinals.h"
#include "segment/fielddata.h"

int qd_leaf_fielddata(const qd_leaf *l, const qd_field *f, qd_arena *arena, const qd_column **out,
                      qd_err *err)
{
    uint32_t field = qd_segment_field_find(l->segment, f->name);
    *out = NULL;
    if (field == QD_FIELD_NONE) return 0;
    qd_fielddata_filter filter = {f->fielddata_min, f->fielddata_max, f->fielddata_min_docs};
    return qd_segment_fielddata(l->segment, field, &filter, l->fielddata, arena, out, err);
}

typedef struct each {
    void (*fn)(void *arg, qd_str field, int64_t bytes);
    void *arg;
} each;

static void on_field(void *arg, const qd_field_info *f, int64_t bytes)
{
    const each *x = arg;
    x->fn(x->arg, f->name, bytes);
}

void qd_searcher_fielddata_each(const qd_searcher *s,
                                void (*fn)(void *arg, qd_str field, int64_t bytes), void *arg)
{
    each x = {fn, arg};
    for (uint32_t i = 0; i < qd_searcher_leaves(s); i++)
        qd_segment_fielddata_each(qd_searcher_leaf(s, i)->segment, on_field, &x);
    qd_ordinals_each(s, fn, arg);
}

void qd_searcher_fielddata_clear(const qd_searcher *s, qd_str field)
{
    for (uint32_t i = 0; i < qd_searcher_leaves(s); i++)
        qd_segment_fielddata_clear(qd_searcher_leaf(s, i)->segment, field);
}
