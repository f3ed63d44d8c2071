/* resolve.c: a script of a request becomes a compiled one. */
#include "action/script/script_int.h"

int qdi_script_stored(const qd_state *s, qd_str id, qd_arena *arena, qd_script_ref *out,
                      qd_err *err)
{
    qd_str key = qd_arena_printf(arena, "script/%.*s", QD_STR_ARG(id));
    const qd_state_document_record *d = key.p ? qd_state_document(s, key) : NULL;
    qd_json_node *root;
    if (!d)
        return qd_err_set(err, QD_E_NOTFOUND, "unable to find script [%.*s] in cluster state",
                          QD_STR_ARG(id));
    qd_str text = qd_arena_str(arena, d->value); /* the state may go before the arena */
    if (!text.p) return qd_err_nomem(err, "a stored script");
    int rc = qd_json_parse(arena, text, 0, &root, err);
    const qd_json_node *l = rc ? NULL : qd_json_get(root, "lang");
    const qd_json_node *t = rc ? NULL : qd_json_get(root, "source");
    if (!rc && (!l || !t)) rc = qd_err_set(err, QD_E_STATE, "the stored script is damaged");
    if (rc) return rc;
    *out = (qd_script_ref){.lang = l->text, .source = t->text};
    const qd_json_node *options = qd_json_get(root, "options");
    return options ? qd_script_options_parse(options, &out->media, err) : 0;
}

int qdi_script_of_object(qd_arena *a, const qd_json_node *n, qd_str *out, qd_err *err)
{
    qd_buf b;
    qd_sv v;
    qd_json_writer w;
    qd_buf_init(&b, a->account, 2 * QD_SCRIPT_SOURCE_MAX);
    qd_json_writer_init(&w, &b, false);
    int rc = qd_sv_parse(a, n->raw, &v, err);
    if (!rc) rc = qd_sv_write(&v, &w, err);
    if (!rc && qd_buf_status(&b) == QD_E_LIMIT)
        rc = qd_err_set(err, QD_E_ARG, "exceeded max allowed script size in bytes [%u]",
                        QD_SCRIPT_SOURCE_MAX);
    else if (!rc && (qd_buf_status(&b) || !(*out = qd_arena_str(a, qd_buf_view(&b))).p))
        rc = qd_err_nomem(err, "a template");
    qd_buf_fini(&b);
    return rc;
}

int qdi_script_compile(const qd_state *s, const qd_script_ref *ref, qd_script_context c,
                       qd_script **out, qd_err *err)
{
    qd_arena arena;
    qd_script_ref stored;
    if (!ref->id.p) return qd_script_compile_ref(ref, c, out, err);
    qd_arena_init(&arena, NULL, 4u << 20);
    int rc = qdi_script_stored(s, ref->id, &arena, &stored, err);
    if (!rc) rc = qd_script_compile_ref(&stored, c, out, err);
    qd_arena_fini(&arena);
    return rc;
}

int qdi_script_of(const qd_state *s, const qd_json_node *n, qd_script_context c, qd_script_ref *ref,
                  qd_script **out, qd_err *err)
{
    int rc = qd_script_ref_parse(n, ref, err);
    return rc ? rc : qdi_script_compile(s, ref, c, out, err);
}

int qdi_script_params(qd_script_exec *x, const qd_script_ref *ref, qd_err *err)
{
    qd_sv *v = &x->vars[QD_SCRIPT_V_PARAMS];
    if (!ref->params)
        return qd_sv_map_make(&x->arena, v) ? qd_err_nomem(err, "params of a script") : 0;
    int rc = qd_sv_parse(&x->arena, ref->params->raw, v, err);
    if (rc != QD_E_NOMEM || x->arena.total < QD_SCRIPT_MEMORY / 2) return rc;
    qd_err_fini(err); /* it is not the node that has too little */
    return qd_err_set(
        err, QD_E_ARG,
        "[params] of a script take more than [%u] bytes of memory, which a run may have",
        QD_SCRIPT_MEMORY);
}
