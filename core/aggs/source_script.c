/*
 * source_script.c: values that a script makes of each document, or of each value of a field. Where
 * the script is an expression over columns of numbers it runs over blocks of documents.
 */
#include "aggs/aggs_int.h"
#include "mapping/field.h"
#include "runtime/task.h"
#include "script/object.h"
#include "search/script_doc.h"
#include <stdlib.h>

#define TICK 16u /* runs between two looks at the task */

int qdi_aggs_script_open(qd_aggs_shard *s, qdi_source *src, const qdi_bound *b, qd_err *err)
{
    src->script = b->script;
    qdi_aggs_strings_init(&src->strings, s->account);
    src->strings.arena.max = QD_SCRIPT_MEMORY;
    if (src->kind == QDI_ORD && src->has_missing &&
        qdi_aggs_strings_put(&src->strings, src->missing_bytes, &src->missing_ord))
        return qdi_aggs_no_memory(s->account, 64, "values of a script", err);
    return b->of && b->of->field ? qdi_aggs_source_get(s, b->of, true, &src->of, err) : 0;
}

int qdi_aggs_script_plan(qd_aggs_shard *s, qdi_source *src, const qd_leaf *leaf, qd_err *err)
{
    src->ordinals = src->strings.n; /* the missing value is the first of them */
    src->lo = 0;
    src->hi = UINT32_MAX;
    return qd_script_doc_open(src->script, leaf->segment, &s->leaf_arena, s->account, &src->docs_of,
                              err);
}

/* --- what a script gave ----------------------------------------------------------------------- */

/* A number in the source's encoding. */
static int number_of(qd_aggs_shard *s, const qdi_source *src, const qd_sv *v, int64_t *out,
                     qd_err *err)
{
    bool real = v->tag == QD_SV_FLOAT || v->tag == QD_SV_DOUBLE;
    double f = v->f;
    if (v->tag == QD_SV_DATE || v->tag == QD_SV_INSTANT)
        *out = ((const qd_sv_time *)v->object)->ms;
    else if (!real && (v->tag < QD_SV_BOOL || v->tag > QD_SV_LONG))
        return qdi_aggs_execution_error(
            s->bound->tree, err, "Unsupported script value [%s], expected a number, date, or array",
            qd_sv_class(v));
    else if (!real)
        *out = v->i;
    if (src->kind == QDI_I64 && real)
        *out = !(f == f) ? 0 : f >= 0x1p63 ? INT64_MAX : f < -0x1p63 ? INT64_MIN : (int64_t)f;
    else if (src->kind != QDI_I64)
        *out = qd_sortable_f64(real ? f : (double)*out);
    return 0;
}

typedef struct above {
    const void *at;
    const struct above *up;
} above;

/* Does v hold a map or list that v stands in? Looks at *left values. */
static bool holds_above(const qd_sv *v, const above *up, uint32_t *left)
{
    const above here = {v->object, up};
    bool map = v->tag == QD_SV_MAP, list = v->tag == QD_SV_LIST || v->tag == QD_SV_ARRAY;
    bool yes = false;
    if ((!map && !list) || *left == 0) return false;
    --*left;
    for (const above *x = up; x; x = x->up)
        if (x->at == v->object) return true;
    for (uint32_t i = 0; list && i < v->list->n && !yes && *left; i++)
        yes = holds_above(&v->list->v[i], &here, left);
    for (uint32_t i = 0; map && i < v->map->n && !yes && *left; i++)
        yes = holds_above(&v->map->e[i].value, &here, left);
    return yes;
}

/* The text of any value, as Java's toString. */
static int text_of(qd_aggs_shard *s, qdi_source *src, const qd_sv *v, uint32_t *out, qd_err *err)
{
    char room[QD_SV_PRINT];
    uint32_t left = 1024;
    qd_buf b;
    qd_buf_init(&b, s->account, QD_SCRIPT_MEMORY);
    if (holds_above(v, NULL, &left))
        return qd_err_set(err, QD_E_ARG,
                          "Iterable object is self-referencing itself (ScriptBytesValues value)");
    bool scalar = v->tag <= QD_SV_STRING;
    if (!scalar) qd_sv_append(v, &b);
    qd_str text = scalar ? qd_sv_print(v, room) : qd_buf_view(&b);
    bool full = qd_buf_status(&b) || qdi_aggs_strings_put(&src->strings, text, out);
    bool ours = src->strings.arena.total + text.n > QD_SCRIPT_MEMORY;
    qd_buf_fini(&b);
    if (!full) return 0;
    if (!ours) return qdi_aggs_no_memory(s->account, text.n, "values of a script", err);
    return qd_err_set(err, QD_E_BREAKER,
                      "[request] Data too large: the texts that a script of an aggregation makes "
                      "take more than [%u] bytes of a shard",
                      QD_SCRIPT_MEMORY);
}

/* Appends the values of document i of the batch that v holds. */
static int take(qd_aggs_shard *s, qdi_source *src, uint32_t i, const qd_sv *v, qd_err *err)
{
    uint32_t at = 0;
    qd_sv one;
    int rc = 0;
    while (!rc && qd_sv_each(v, &at, &one)) {
        if (one.tag == QD_SV_NULL) continue;
        rc = qdi_aggs_source_reserve(s, src, src->n + 1ul, err);
        if (rc) return rc;
        src->dbuf[src->n] = s->batch.docs[i];
        rc = src->kind == QDI_ORD ? text_of(s, src, &one, &src->obuf[src->n], err)
                                  : number_of(s, src, &one, &src->vbuf[src->n], err);
        src->n += !rc;
    }
    return rc;
}

static int order_i64(const void *pa, const void *pb)
{
    int64_t a = *(const int64_t *)pa, b = *(const int64_t *)pb;
    return a < b ? -1 : a > b;
}

static int order_u32(const void *pa, const void *pb)
{
    uint32_t a = *(const uint32_t *)pa, b = *(const uint32_t *)pb;
    return a < b ? -1 : a > b;
}

/* The values of a document as a column has them: in order, strings once each. */
static void settle(qdi_source *src, uint32_t from)
{
    uint32_t n = src->n - from, k = from + 1;
    if (n < 2) return;
    if (src->kind != QDI_ORD) {
        qsort(src->vbuf + from, n, sizeof *src->vbuf, order_i64);
        return;
    }
    qsort(src->obuf + from, n, sizeof *src->obuf, order_u32);
    for (uint32_t i = from + 1; i < src->n; i++)
        if (src->obuf[i] != src->obuf[i - 1]) src->obuf[k++] = src->obuf[i];
    src->n = k;
}

/* --- running it ------------------------------------------------------------------------------- */

/* Value k of the field as _value. */
static int value_of(qdi_source *of, uint32_t k, char ip[46], qd_sv *out, qd_err *err)
{
    qd_str bytes;
    if (of->kind != QDI_ORD) {
        *out = of->kind == QDI_I64 ? qd_sv_long(of->v[k])
                                   : qd_sv_double(qd_field_f64(of->field, of->v[k]));
        return 0;
    }
    int rc = qdi_aggs_source_bytes(of, of->o[k], &bytes, err);
    if (rc) return rc;
    if (of->field->value_class == QD_VALUE_IP && bytes.n == 16)
        bytes = (qd_str){ip, qd_ip_print(ip, (const uint8_t *)bytes.p)};
    else
        bytes = qd_field_column_term(of->field, bytes);
    *out = qd_sv_str(bytes);
    return 0;
}

static int run(qd_aggs_shard *s, qdi_source *src, uint32_t i, qd_err *err)
{
    const qdi_batch *t = &s->batch;
    double score = t->scores ? (double)t->scores[i] : 0;
    uint32_t from = 0, to = 1, first = src->n;
    int rc = 0;
    if (src->of) qdi_source_doc(src->of, i, &from, &to);
    for (uint32_t k = from; k < to && !rc; k++) {
        char ip[46];
        qd_sv v;
        if (src->of)
            rc = value_of(src->of, k, ip,
                          &qd_script_doc_exec(src->docs_of)->vars[QD_SCRIPT_V_VALUE], err);
        if (!rc && k % TICK == 0) rc = qd_task_poll(s->o.task);
        if (!rc) rc = qd_script_doc_run(src->docs_of, t->docs[i], score, &v, err);
        if (!rc) rc = take(s, src, i, &v, err);
    }
    settle(src, first);
    return rc;
}

/* Documents [at, at + k) of the batch: a number of each, if the script runs so. */
static bool block(qd_aggs_shard *s, qdi_source *src, uint32_t at, uint32_t k)
{
    const qdi_batch *t = &s->batch;
    double score[QD_SCRIPT_BATCH] = {0}, out[QD_SCRIPT_BATCH];
    if (src->of || src->kind != QDI_F64) return false;
    for (uint32_t i = 0; i < k; i++) score[i] = t->scores ? (double)t->scores[at + i] : 0;
    if (!qd_script_doc_block(src->docs_of, t->docs + at, k, score, out)) return false;
    for (uint32_t i = 0; i < k; i++) {
        src->vbuf[src->n] = qd_sortable_f64(out[i]);
        src->dbuf[src->n++] = t->docs[at + i];
    }
    return true;
}

int qdi_aggs_script_load(qd_aggs_shard *s, qdi_source *src, qd_err *err)
{
    const qdi_batch *t = &s->batch;
    bool one = true;
    int rc = qdi_aggs_batch_docs(s, err);
    if (!rc && src->of) rc = qdi_aggs_source_index(s, src->of, err);
    if (!rc) rc = qdi_aggs_source_reserve(s, src, t->n, err);
    for (uint32_t at = 0, k; at < t->n && !rc; at += k) {
        k = t->n - at < QD_SCRIPT_BATCH ? t->n - at : QD_SCRIPT_BATCH;
        if (!rc) rc = qdi_aggs_source_reserve(s, src, src->n + (size_t)k, err);
        if (rc || block(s, src, at, k)) continue;
        for (uint32_t i = at; i < at + k && !rc; i++) {
            uint32_t before = src->n;
            rc = i % TICK ? 0 : qd_task_poll(s->o.task);
            if (!rc) rc = run(s, src, i, err);
            one &= src->n - before == 1;
        }
    }
    src->ordinals = src->strings.n;
    src->v = src->kind == QDI_ORD ? NULL : src->vbuf;
    src->o = src->kind == QDI_ORD ? src->obuf : NULL;
    src->docs = src->dbuf;
    src->one = !rc && one;
    return rc;
}
