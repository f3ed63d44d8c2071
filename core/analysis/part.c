/*
 * part.c: one configured char filter, tokenizer or filter: its head, its settings.
 */
#include "analysis/analysis_int.h"

int qd_part_alloc(const qd_part_conf *c, size_t size, qd_stage_kind kind, const qd_part_ops *ops,
                  qd_part **out, qd_err *err)
{
    qd_part *p = qd_calloc(NULL, size);
    char *name = p ? qd_memdup(NULL, c->name.p ? c->name.p : "", c->name.n) : NULL;
    if (!name) {
        qd_free(p);
        return qd_err_nomem(err, "analysis part");
    }
    p->magic = QD_PART_MAGIC;
    p->kind = (uint8_t)kind;
    p->ops = ops;
    p->refs = 1;
    p->name = (qd_str){name, c->name.n};
    *out = p;
    return 0;
}

void qd_part_release(qd_part *p)
{
    p->magic = 0;
    qd_free((char *)(uintptr_t)p->name.p);
    qd_free(p);
}

qd_part *qd_part_ref(const qd_part *p)
{
    qd_part *q = (qd_part *)(uintptr_t)p;
    QD_CHECK(q, QD_PART_MAGIC);
    atomic_fetch_add_explicit(&q->refs, 1, memory_order_relaxed);
    return q;
}

void qd_part_unref(const qd_part *p)
{
    if (!p) return;
    qd_part *q = (qd_part *)(uintptr_t)p;
    QD_CHECK(q, QD_PART_MAGIC);
    if (atomic_fetch_sub_explicit(&q->refs, 1, memory_order_acq_rel) == 1) q->ops->free(q);
}

const qd_analysis_setting *qd_conf_find(const qd_part_conf *c, const char *key)
{
    for (size_t i = 0; i < c->n; i++)
        if (qd_str_is(c->settings[i].key, key)) {
            if (c->asked && i < 64) *c->asked |= 1ull << i;
            return &c->settings[i];
        }
    return NULL;
}

qd_str qd_conf_str(const qd_part_conf *c, const char *key, const char *def)
{
    const qd_analysis_setting *v = qd_conf_find(c, key);
    return v && v->nvalues ? v->values[0] : qd_str_c(def);
}

int qd_conf_int(const qd_part_conf *c, const char *key, int64_t def, int64_t *out, qd_err *err)
{
    const qd_analysis_setting *v = qd_conf_find(c, key);
    *out = def;
    if (!v || !v->nvalues) return 0;
    if (!qd_str_i64(v->values[0], out) || *out < INT32_MIN || *out > INT32_MAX)
        return qd_err_set(err, QD_E_SETTINGS, "Failed to parse int setting [%s] with value [%.*s]",
                          key, QD_STR_ARG(v->values[0]));
    return 0;
}

int qd_conf_bool(const qd_part_conf *c, const char *key, bool def, bool *out, qd_err *err)
{
    const qd_analysis_setting *v = qd_conf_find(c, key);
    *out = def;
    if (!v || !v->nvalues) return 0;
    if (qd_str_is(v->values[0], "true"))
        *out = true;
    else if (qd_str_is(v->values[0], "false"))
        *out = false;
    else
        return qd_err_set(err, QD_E_ARG,
                          "Failed to parse value [%.*s] as only [true] or [false] are allowed.",
                          QD_STR_ARG(v->values[0]));
    return 0;
}

bool qd_conf_list(const qd_part_conf *c, const char *key, size_t k, qd_str *out)
{
    const qd_analysis_setting *v = qd_conf_find(c, key);
    if (!v) return false;
    if (v->list || v->nvalues != 1) {
        if (k >= v->nvalues) return false;
        *out = v->values[k];
        return true;
    }
    qd_str rest = v->values[0];
    while (rest.p) {
        qd_str part = qd_str_trim(qd_str_split(&rest, ','));
        if (!part.n) continue;
        if (k-- == 0) {
            *out = part;
            return true;
        }
    }
    return false;
}
