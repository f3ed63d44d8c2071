/* sort.c: the processor sort: a list in order. */
#include "ingest/ingest_int.h"
#include <stdlib.h>

typedef struct sorting {
    qdi_path field, target;
    bool descending;
} sorting;

static int make(qdi_build *b, void *config, qd_err *err)
{
    sorting *c = config;
    qd_str order;
    int rc = qdi_arg_path(b, "field", (qd_str){NULL, 0}, &c->field, err);
    if (!rc) rc = qdi_arg_path(b, "target_field", c->field.full, &c->target, err);
    if (!rc) rc = qdi_arg_str(b, "order", "asc", &order, err);
    if (rc) return rc;
    c->descending = qd_str_is(order, "desc");
    if (c->descending || qd_str_is(order, "asc")) return 0;
    return qdi_arg_fail(b, "order", err,
                        "Sort direction [%.*s] not recognized. Valid values are: [%s]",
                        QD_STR_ARG(order), "asc, desc");
}

static int compare(const void *a, const void *b)
{
    const qd_iv *x = a, *y = b;
    double d, e;
    if (x->kind == QD_IV_LONG && y->kind == QD_IV_LONG) return x->i < y->i ? -1 : x->i > y->i;
    if (qd_iv_number(x, &d) && qd_iv_number(y, &e)) return d < e ? -1 : d > e;
    if (x->kind == QD_IV_BOOL) return (int)x->truth - (int)y->truth;
    return qd_str_cmp(x->s, y->s);
}

static int descending(const void *a, const void *b)
{
    return compare(b, a);
}

/* Numbers, texts or truths, not one among the others. */
static int comparable(const sorting *c, const qd_iv *list, qd_err *err)
{
    double d;
    for (uint32_t k = 0; k < list->n; k++) {
        const qd_iv *v = &list->items[k], *first = &list->items[0];
        bool number = qd_iv_number(v, &d),
             same = number == qd_iv_number(first, &d) && (number || v->kind == first->kind);
        bool simple = number || v->kind == QD_IV_STR || v->kind == QD_IV_BOOL;
        if (simple && same) continue;
        int rc =
            qd_err_set(err, QD_E_ARG, "field [%.*s]: class %s cannot be compared with class %s",
                       QD_STR_ARG(c->field.full), qd_iv_class(v), qd_iv_class(first));
        qd_err_type(err, "class_cast_exception", 500);
        return rc;
    }
    return 0;
}

static int run(const void *config, qd_ingest_run *r, qd_err *err)
{
    const sorting *c = config;
    qd_iv *v, list;
    int rc = qdi_path_get(r, &c->field, &v, err);
    if (rc) return rc;
    if (v->kind == QD_IV_NULL) return qdi_is_null(&c->field, "sort", err);
    if (v->kind != QD_IV_LIST) return qdi_cannot_cast(&c->field, v, "java.util.List", err);
    rc = comparable(c, v, err);
    if (!rc) rc = qd_iv_copy(&r->arena, v, &list, err);
    if (rc) return rc;
    if (list.n > 1)
        qsort(list.items, list.n, sizeof list.items[0], c->descending ? descending : compare);
    return qdi_path_set(r, &c->target, list, err);
}

const qdi_processor_type qdi_processor_sort = {"sort", sizeof(sorting), .make = make, .run = run};
