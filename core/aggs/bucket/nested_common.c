/* nested_common.c: what nested and reverse_nested share. */
#include "aggs/bucket/nested_int.h"

int qdi_aggs_nested_parse(qdi_parse *p, qdi_agg *a, bool optional)
{
    qd_str *path = a->params;
    int rc = qdi_aggs_one_text(p, a, "path", path);
    if (rc || path->n || optional) return rc;
    return qdi_aggs_parse_error(p, a->json, "Missing [path] field for nested aggregation [%.*s]",
                                QD_STR_ARG(a->name));
}

int qdi_aggs_nested_levels(qdi_binder *x, const qdi_agg *a, qd_str path, qdi_nested_bound *out)
{
    const qd_mapping *m = x->q->mapping;
    out->path = path;
    if (path.n && !qd_mapping_is_nested(m, path, NULL)) {
        out->unmapped = true;
        if (!qd_mapping_is_object(m, path) && !qd_mapping_field(m, path)) return 0;
        return qd_err_set(x->err, QD_E_ARG, "[%s] nested path [%.*s] is not nested", a->type->name,
                          QD_STR_ARG(path));
    }
    return qd_mapping_nested_paths(m, QD_STR(""), path, x->arena, &out->paths, &out->n, x->err);
}

qd_str qdi_aggs_nested_own(const qdi_agg *a)
{
    return *(const qd_str *)a->params;
}

qd_str qdi_aggs_nested_path(const qdi_agg *a)
{
    for (a = a->parent; a; a = a->parent)
        if (a->type->level) return a->type->level(a);
    return (qd_str){"", 0};
}

int qdi_aggs_nested_batch_make(qdi_aggr *a, qdi_nested_batch *out, qd_err *err)
{
    qd_arena *arena = &a->shard->arena;
    *out =
        (qdi_nested_batch){.docs = qd_arena_alloc(arena, QD_COLLECT_BATCH * sizeof *out->docs),
                           .scores = qd_arena_alloc(arena, QD_COLLECT_BATCH * sizeof *out->scores),
                           .idx = qd_arena_alloc(arena, QDI_NESTED_PAIRS * sizeof *out->idx),
                           .bucket = qd_arena_alloc(arena, QDI_NESTED_PAIRS * sizeof *out->bucket)};
    if (out->docs && out->scores && out->idx && out->bucket) return 0;
    return qdi_aggs_no_memory(a->shard->account, QDI_NESTED_PAIRS * 8, "aggregations", err);
}

int qdi_aggs_nested_flush(qdi_aggr *a, qdi_nested_batch *b, qd_err *err)
{
    const float *scores = a->shard->batch.scores ? b->scores : NULL;
    int rc = qdi_aggs_level_emit(a, b->docs, scores, b->n, b->idx, b->bucket, b->npairs, err);
    b->n = b->npairs = 0;
    return rc;
}
