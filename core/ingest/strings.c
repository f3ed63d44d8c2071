/* strings.c: what processors share that change one text, or each text of a list. */
#include "ingest/ingest_int.h"

int qdi_strings_make(qdi_build *b, qdi_strings *s, qd_err *err)
{
    int rc = qdi_arg_path(b, "field", (qd_str){NULL, 0}, &s->field, err);
    if (!rc) rc = qdi_arg_path(b, "target_field", s->field.full, &s->target, err);
    return rc ? rc : qdi_arg_bool(b, "ignore_missing", false, &s->ignore_missing, err);
}

static int of_list(const qdi_strings *s, const void *config, qd_ingest_run *r, const qd_iv *list,
                   qdi_string_change change, qd_iv *out, qd_err *err)
{
    *out = (qd_iv){.kind = QD_IV_LIST};
    for (uint32_t k = 0; k < list->n; k++) {
        const qd_iv *v = &list->items[k];
        if (v->kind != QD_IV_STR) {
            qd_str text = qd_iv_text(&r->arena, v);
            return qd_err_set(err, QD_E_ARG,
                              "value [%.*s] of type [%s] in list field [%.*s] cannot be cast to "
                              "[java.lang.String]",
                              QD_STR_ARG(text), qd_iv_class(v), QD_STR_ARG(s->field.full));
        }
        qd_iv one;
        int rc = change(config, r, v->s.p ? v->s : QD_STR(""), &one, err);
        if (rc) return rc;
        qd_iv *at = qd_iv_push(&r->arena, out);
        if (!at) return qdi_run_nomem(err);
        *at = one;
    }
    return 0;
}

int qdi_strings_run(const qdi_strings *s, const void *config, qd_ingest_run *r,
                    qdi_string_change change, qd_err *err)
{
    qd_iv *v = qdi_path_look(r, &s->field), out;
    int rc = 0;
    if (s->ignore_missing && (!v || v->kind == QD_IV_NULL)) return 0;
    if (!v) rc = qdi_path_get(r, &s->field, &v, err);
    if (rc) return rc;
    if (v->kind == QD_IV_NULL) return qdi_is_null(&s->field, "process", err);
    if (v->kind == QD_IV_LIST)
        rc = of_list(s, config, r, v, change, &out, err);
    else if (v->kind == QD_IV_STR)
        rc = change(config, r, v->s.p ? v->s : QD_STR(""), &out, err);
    else
        rc = qdi_cannot_cast(&s->field, v, "java.lang.String", err);
    return rc ? rc : qdi_path_set(r, &s->target, out, err);
}
