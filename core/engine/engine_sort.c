/*
 * engine_sort.c: segments of an index that is sorted (index.sort.*). A buffer is written in the
 * order of its documents and then, by a merge of this one segment, in that of the sort. Who names a
 * document of the buffer finds it through a retired unit, as after any merge.
 */
#include "base/str.h"
#include "engine/engine_int.h"
#include <string.h>

int qdi_engine_sort_set(qd_engine *e, const qd_engine_config *c, qd_err *err)
{
    if (!c->nsort) return 0;
    qd_assert(c->nsort <= QD_MERGE_SORT_MAX);
    e->sort = qd_calloc(c->account, c->nsort * sizeof *e->sort);
    if (!e->sort) return qd_err_nomem(err, "engine");
    for (uint32_t i = 0; i < c->nsort; i++) {
        e->sort[i] = c->sort[i];
        char *name = qd_memdup(c->account, c->sort[i].field.p, c->sort[i].field.n);
        e->sort[i].field.p = name;
        e->nsort = i + 1;
        if (!name) return qd_err_nomem(err, "engine");
    }
    return 0;
}

void qdi_engine_sort_fini(qd_engine *e)
{
    for (uint32_t i = 0; i < e->nsort; i++) qd_free((void *)(uintptr_t)e->sort[i].field.p);
    qd_free(e->sort);
    e->sort = NULL;
    e->nsort = 0;
}

qd_merge_order qdi_engine_order(qd_engine *e)
{
    return e->nsort ? QD_MERGE_SORT : (qd_merge_order)qdi_engine_settings(e).merge_order;
}

/* The documents of b that no operation of the same cut replaced. Of one id several may be in it, of
 * which the table of ids finds the last: in another order they must not all be there. */
static int live_of(qd_engine *e, const engine_buffer *b, qd_live **out, qd_err *err)
{
    *out = NULL;
    for (size_t i = 0; i < e->detached.n; i++) {
        const engine_buffer *x = e->detached.at[i];
        for (size_t k = 0; k < x->deletes.n; k++) {
            const engine_delete *d = &x->deletes.at[k];
            if (d->unit != b->unit) continue;
            int rc = *out ? 0 : qd_live_make(qd_segment_docs(b->segment), e->account, out, err);
            if (rc) return rc;
            (void)qd_live_delete(*out, d->doc);
        }
    }
    return 0;
}

int qdi_engine_sort_segment(qd_engine *e, engine_buffer *b, const qd_segment_attrs *attrs,
                            qd_err *err)
{
    char name[ENGINE_NAME_MAX], marked[QD_ENGINE_MARK_BYTES];
    uint8_t id[16];
    qd_merge_result result = {0};
    qd_segment *plain = b->segment, *sorted = NULL;
    qd_live *live;
    int rc = live_of(e, b, &live, err);
    qd_segment_attrs own = *attrs;
    memcpy(marked, attrs->user.p, 16);
    marked[16] = (char)QD_MERGE_SORT;
    own.user = (qd_str){marked, sizeof marked};
    qd_merge_options o = {.attrs = own,
                          .order = QD_MERGE_SORT,
                          .sort = e->sort,
                          .nsort = e->nsort,
                          .types = e->part_types.find ? &e->part_types : NULL};
    qdi_engine_id(e, id);
    qd_str object = qdi_engine_segment_name(e, id, name);
    qd_merge_source source = {.segment = plain, .live = live};
    if (!rc)
        rc = qd_segment_merge(&source, 1, e->segment_store, object, id, &o, e->account, &result,
                              err);
    if (!rc && result.docs &&
        (rc = qd_segment_open(e->segment_store, object, e->account, &sorted, err)))
        qdi_store_forget(e->segment_store, object);
    if (!rc && result.docs) {
        qd_assert(result.nmap == 1);
        b->map = result.map[0];
        b->mapped = qd_segment_docs(plain);
        result.map[0] = NULL;
    }
    qd_merge_result_fini(&result);
    qd_live_unref(live);
    b->segment = sorted;
    qdi_store_forget(e->segment_store, qd_segment_name(plain));
    qd_segment_unref(plain);
    return rc;
}

int qdi_engine_sort_enter(qd_engine *e, engine_buffer *b, qd_err *err)
{
    if (qd_vec_reserve(&e->retired, e->account, 1)) return qd_err_nomem(err, "retired segments");
    uint64_t unit = atomic_fetch_add(&e->next_unit, 1);
    b->entry = qdi_engine_segment_make(e, b->segment, unit, err);
    if (!b->entry) return QD_E_NOMEM;
    b->segment = NULL;
    b->entry->oldest = b->unit;
    qd_assert(b->unit < unit);
    e->retired.at[e->retired.n++] = (engine_retired){.unit = b->unit,
                                                     .into = unit,
                                                     .cut = atomic_load(&e->cuts),
                                                     .map = b->map,
                                                     .docs = b->mapped};
    b->map = NULL;
    return 0;
}
