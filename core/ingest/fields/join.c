/* join.c: the processor join: a list as one text. */
#include "ingest/ingest_int.h"

typedef struct joining {
    qdi_path field, target;
    qd_str separator;
} joining;

static int make(qdi_build *b, void *config, qd_err *err)
{
    joining *c = config;
    int rc = qdi_arg_path(b, "field", (qd_str){NULL, 0}, &c->field, err);
    if (!rc) rc = qdi_arg_str(b, "separator", NULL, &c->separator, err);
    return rc ? rc : qdi_arg_path(b, "target_field", c->field.full, &c->target, err);
}

static int run(const void *config, qd_ingest_run *r, qd_err *err)
{
    const joining *c = config;
    qd_iv *v;
    int rc = qdi_path_get(r, &c->field, &v, err);
    if (rc) return rc;
    if (v->kind == QD_IV_NULL) return qdi_is_null(&c->field, "join", err);
    if (v->kind != QD_IV_LIST) return qdi_cannot_cast(&c->field, v, "java.util.List", err);
    qd_buf_reset(&r->out);
    for (uint32_t k = 0; k < v->n; k++) {
        qd_str text = qd_iv_text(&r->arena, &v->items[k]);
        if (!text.p) return qdi_run_nomem(err);
        if (k) (void)qd_buf_str(&r->out, c->separator);
        (void)qd_buf_str(&r->out, text);
    }
    if (qd_buf_status(&r->out)) return qdi_run_nomem(err);
    qd_str all = qd_arena_str(&r->arena, qd_buf_view(&r->out));
    if (!all.p) return qdi_run_nomem(err);
    return qdi_path_set(r, &c->target, QD_IV_STRING(all), err);
}

const qdi_processor_type qdi_processor_join = {"join", sizeof(joining), .make = make, .run = run};
