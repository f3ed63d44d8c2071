/* resolve.c: a script of a request becomes a compiled one. */
#include "action/script/script_int.h"

int qdi_script_stored(const qd_state *s, qd_str id, qd_arena *arena, qd_str *lang, qd_str *source,
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
    *lang = l->text;
    *source = t->text;
    return 0;
}

int qdi_script_compile(const qd_state *s, const qd_script_ref *ref, qd_script_context c,
                       qd_script **out, qd_err *err)
{
    qd_arena arena;
    qd_str lang, source;
    if (!ref->id.p) return qd_script_compile(ref->lang, ref->source, c, out, err);
    qd_arena_init(&arena, NULL, 4u << 20);
    int rc = qdi_script_stored(s, ref->id, &arena, &lang, &source, err);
    if (!rc) rc = qd_script_compile(lang, source, c, out, err);
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
    if (ref->params) return qd_sv_parse(&x->arena, ref->params->raw, v, err);
    return qd_sv_map_make(&x->arena, v) ? qd_err_nomem(err, "params of a script") : 0;
}
