/* doc_define.c: a document that gives a field a parameter which its definition lacks. */
#include "mapping/doc_int.h"

/* def with the parameter, as a definition of its own. */
static qd_field_def *with_param(doc *d, const qd_field_def *def, param_id id, const param_value *v)
{
    qd_field_def *copy = qd_arena_alloc(&d->arena, sizeof *copy);
    param_value *given = qd_arena_calloc(&d->arena, def->type->nparams * sizeof *given);
    if (!copy || !given || !v->json.p) return NULL;
    *copy = *def;
    memcpy(given, def->params, def->type->nparams * sizeof *given);
    given[qdi_param_index(def->type, id)] = *v;
    copy->params = given;
    return copy;
}

/* The definition of the field with it, for a multi-field that of its parent. */
int qdi_doc_define_param(doc *d, const qd_field *f, param_id id, const param_value *v, qd_err *err)
{
    const qd_field *top = f->parent ? f->parent : f;
    qd_field_def *def = with_param(d, f->def, id, v), *whole = def;
    qd_buf b;
    qd_json_writer w;
    if (def && f->parent) {
        whole = qd_arena_alloc(&d->arena, sizeof *whole);
        qd_field_def **multi =
            qd_arena_alloc(&d->arena, (top->def->nmulti + 1) * sizeof(qd_field_def *));
        if (!whole || !multi) return qd_err_nomem(err, "definition of a field");
        *whole = *top->def;
        for (uint32_t i = 0; i < top->def->nmulti; i++)
            multi[i] = top->def->multi[i] == f->def ? def : top->def->multi[i];
        whole->multi = multi;
    }
    if (!def) return qd_err_nomem(err, "definition of a field");
    qd_buf_init(&b, d->account, 1 << 20);
    qd_json_writer_init(&w, &b, false);
    qdi_field_def_write(whole, false, &w);
    int rc = qd_buf_status(&b) ? qd_err_nomem(err, "definition of a field")
                               : qdi_doc_define(d, top, qd_buf_view(&b), err);
    qd_buf_fini(&b);
    return rc;
}
