/*
 * pipeline.c: what aggregations over the results of others share: paths, values by the gap policy,
 * results.
 */
#include "aggs/pipeline/pipeline_int.h"
#include <math.h>

int qdi_aggs_pipe_common(qdi_parse *p, qdi_agg *a)
{
    const qd_json_node *g = qd_json_get(a->json, "gap_policy");
    const qd_json_node *f = qd_json_get(a->json, "format");
    (void)p;
    qdi_pipe_of(a)->skip_gaps = !(g && qd_str_is(g->text, "insert_zeros"));
    if (f && f->type == QD_JSON_T_STRING) a->format = f->text;
    return 0;
}

int qdi_aggs_pipe_parse(qdi_parse *p, qdi_agg *a)
{
    const qd_json_node *m = qd_json_get(a->json, "buckets_path");
    int rc = qdi_aggs_pipe_common(p, a);
    if (rc) return rc;
    if (!m || m->type != QD_JSON_T_STRING)
        return qdi_aggs_parse_error(
            p, a->json, "Missing required field [buckets_path] for %s aggregation [%.*s]",
            a->type->name, QD_STR_ARG(a->name));
    qdi_pipe_of(a)->path_text = m->text;
    return 0;
}

#define NO_NUMBER                                                                                  \
    "buckets_path must reference either a number value or a single value numeric metric "          \
    "aggregation, "

/* A path has to end at a number: `from` is where it enters the buckets, `within` the first
 * aggregation in them. */
static int check_number(qdi_parse *p, const qdi_path *path, qdi_agg *const *level, uint32_t from)
{
    const qdi_agg *d = NULL, *within = NULL;
    bool many = false; /* one value a bucket */
    for (uint32_t i = 0; i < path->n; i++) {
        many = many || (i > from && d->type->flags & QDI_MULTI);
        d = level[path->at[i]];
        level = d->subs;
        if (i == from || !within) within = d;
    }
    if (path->count && !many) return 0;
    uint32_t flags = d ? d->type->flags : 0;
    bool bucket = path->n <= from;
    if (many || bucket || flags & (QDI_MULTI | QDI_SINGLE | QDI_NO_ORDER | QDI_SILENT))
        return qdi_aggs_execution_error(p->tree, p->err,
                                        NO_NUMBER "got: [%s] at aggregation [%.*s]",
                                        many     ? "Object[]"
                                        : bucket ? "Bucket"
                                                 : d->type->name,
                                        QD_STR_ARG((within ? within : p->tree->roots[0])->name));
    qd_str m = path->member;
    if (!d->type->has_member && (m.n == 0 || qd_str_is(m, "value"))) return 0;
    if (d->type->has_member && d->type->has_member(d, m)) return 0;
    if (d->type->has_member && m.n == 0)
        return qdi_aggs_execution_error(p->tree, p->err,
                                        NO_NUMBER "but [%.*s] contains multiple values. Please "
                                                  "specify which to use.",
                                        QD_STR_ARG(within->name));
    return qdi_aggs_execution_error(p->tree, p->err, "path not supported for [%.*s]: [%.*s]",
                                    QD_STR_ARG(d->name), QD_STR_ARG(m));
}

static int check_path(qdi_parse *p, const qdi_agg *a, qdi_agg *const *level, uint32_t n,
                      qd_str text, qdi_path *path)
{
    bool beside = a->type->beside != NULL;
    int rc = qdi_aggs_path_parse(p, level, n, false, text, path);
    if (rc) return rc;
    if (beside && (path->n == 0 || !(level[path->at[0]]->type->flags & QDI_MULTI)))
        return qdi_aggs_invalid(p,
                                "The first aggregation in buckets_path must be a multi-bucket "
                                "aggregation for aggregation [%.*s] found :%s for buckets path: "
                                "%.*s",
                                QD_STR_ARG(a->name),
                                path->n ? level[path->at[0]]->type->name : "_count",
                                QD_STR_ARG(text));
    return 0;
}

/* Pipelines within buckets need buckets around them, some of them those of a histogram. */
static int check_parent(qdi_parse *p, const qdi_agg *a)
{
    const qdi_agg *parent = a->parent;
    const char *name = a->type->name;
    if (a->type->beside) return 0;
    if (a->type->flags & QDI_IN_SEQUENCE) {
        if (!parent || !(parent->type->flags & QDI_SEQUENCE))
            return qdi_aggs_invalid(p,
                                    "%s aggregation [%.*s] must have a histogram, date_histogram "
                                    "or auto_date_histogram as parent%s",
                                    name, QD_STR_ARG(a->name),
                                    parent ? "" : " but doesn't have a parent");
        if (parent->min_doc_count != 0)
            return qdi_aggs_invalid(p,
                                    "parent histogram of %s aggregation [%.*s] must have "
                                    "min_doc_count of 0",
                                    name, QD_STR_ARG(a->name));
    }
    if (!parent)
        return qdi_aggs_invalid(p,
                                "%s aggregation [%.*s] must be declared inside of another "
                                "aggregation",
                                name, QD_STR_ARG(a->name));
    return 0;
}

int qdi_aggs_pipe_path(qdi_parse *p, const qdi_agg *a, qdi_agg *const *level, uint32_t n,
                       qd_str text, qdi_path *path)
{
    int rc = check_path(p, a, level, n, text, path);
    return rc ? rc : check_number(p, path, level, 0);
}

int qdi_aggs_pipe_resolve(qdi_parse *p, qdi_agg *a, qdi_agg *const *level, uint32_t n)
{
    qdi_pipe *d = qdi_pipe_of(a);
    uint32_t from = a->type->beside ? 1 : 0;
    int rc = d->path_text.p ? check_path(p, a, level, n, d->path_text, &d->path) : 0;
    for (uint32_t k = 0; rc == 0 && k < d->nsort; k++)
        if (d->sort[k].by == QDI_BY_METRIC)
            rc = check_path(p, a, level, n, d->sort[k].text, &d->sort[k].path);
    if (rc == 0) rc = check_parent(p, a);
    if (rc == 0 && d->path_text.p) rc = check_number(p, &d->path, level, from);
    for (uint32_t k = 0; rc == 0 && k < d->nsort; k++)
        if (d->sort[k].by == QDI_BY_METRIC) rc = check_number(p, &d->sort[k].path, level, from);
    return rc;
}

double qdi_aggs_pipe_bucket(const qdi_agg *p, const qdi_bucket_out *b, uint32_t from)
{
    double v = qdi_aggs_out_metric(b->subs, b->docs, &qdi_pipe_of(p)->path, from);
    bool gap = !qdi_pipe_of(p)->path.count && b->docs == 0;
    if (gap || !isfinite(v)) return qdi_pipe_of(p)->skip_gaps ? NAN : 0;
    return v;
}

/* --- beside a bucket aggregation -------------------------------------------------------------- */

static const qdi_out *neighbour(const qdi_agg *p, qdi_out *const *neighbours)
{
    return qdi_pipe_of(p)->path.n ? neighbours[qdi_pipe_of(p)->path.at[0]] : NULL;
}

const qdi_out *qdi_aggs_pipe_sum(const qdi_agg *p, qdi_out *const *neighbours, double *sum,
                                 uint64_t *n)
{
    const qdi_out *o = neighbour(p, neighbours);
    double low = 0;
    *sum = 0;
    *n = 0;
    for (uint32_t i = 0; o && i < o->n; i++) {
        double v = qdi_aggs_pipe_bucket(p, &o->b[i], 1);
        if (isnan(v)) continue;
        ++*n;
        qdi_kahan(sum, &low, v);
    }
    *sum -= low;
    return o;
}

static int add_key(qdi_reduce *r, const qdi_out *o, uint32_t i, qdi_out *to, qd_err *err)
{
    char text[128];
    qd_str key = qd_arena_str(r->arena, qdi_aggs_bucket_key_text(o, i, text));
    if (!key.p) return qdi_aggs_reduce_no_memory(r, 64, err);
    qdi_pipe_value(to)->keys[qdi_pipe_value(to)->nkeys++] = key;
    return 0;
}

int qdi_aggs_pipe_extreme(qdi_reduce *r, int sign, qdi_out *const *neighbours, qdi_out *to,
                          qd_err *err)
{
    const qdi_out *o = neighbour(to->def, neighbours);
    qdi_pipe_result *x = qdi_pipe_value(to);
    double best = -INFINITY;
    to->bound = o ? o->bound : NULL;
    x->keys = qd_arena_calloc(r->arena, ((o ? o->n : 0) + 1ul) * sizeof *x->keys);
    if (!x->keys) return qdi_aggs_reduce_no_memory(r, 64, err);
    for (uint32_t i = 0; o && i < o->n; i++) {
        double v = sign * qdi_aggs_pipe_bucket(to->def, &o->b[i], 1);
        if (isnan(v)) continue;
        x->has = true;
        if (v > best) {
            best = v;
            x->nkeys = 0;
        }
        int rc = v == best ? add_key(r, o, i, to, err) : 0;
        if (rc) return rc;
    }
    x->value = sign * best;
    return 0;
}

/* --- below a bucket aggregation --------------------------------------------------------------- */

qdi_out *qdi_aggs_pipe_within(qdi_reduce *r, const qdi_agg *p, uint32_t at, qdi_out *o, uint32_t i,
                              double value)
{
    qdi_out *x = o->b[i].subs[at] = qdi_aggs_out_make(r->arena, p);
    if (!x) return NULL;
    qdi_pipe_value(x)->has = true;
    qdi_pipe_value(x)->value = value;
    return x;
}

/* --- results ---------------------------------------------------------------------------------- */

double qdi_aggs_pipe_number(const qdi_out *o, qd_str member)
{
    (void)member;
    return qdi_pipe_value(o)->has ? qdi_pipe_value(o)->value : NAN;
}

void qdi_aggs_pipe_write(const qdi_out *o, bool typed, qd_json_writer *w)
{
    const qdi_agg *d = o->def;
    (void)typed;
    qdi_format f = {.kind = d->format.p ? QDI_FMT_DECIMAL : QDI_FMT_RAW, .pattern = d->format};
    qdi_aggs_write_value(w, &f, "value", "value_as_string", qdi_pipe_value(o)->value,
                         qdi_pipe_value(o)->has);
}

void qdi_aggs_pipe_write_keys(const qdi_out *o, bool typed, qd_json_writer *w)
{
    qdi_aggs_pipe_write(o, typed, w);
    qd_json_key_c(w, "keys");
    qd_json_array(w);
    for (uint32_t i = 0; i < qdi_pipe_value(o)->nkeys; i++)
        qd_json_str(w, qdi_pipe_value(o)->keys[i]);
    qd_json_array_end(w);
}
