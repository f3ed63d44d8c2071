/* resolve.c: a script of a request becomes a compiled one. */
#include "action/script/script_int.h"

/* The stored script of an id; text and tree in the arena. */
static int stored(const qd_state *s, qd_str id, qd_arena *arena, const qd_json_node **out,
                  qd_err *err)
{
    qd_str key = qd_arena_printf(arena, "script/%.*s", QD_STR_ARG(id));
    const qd_state_document_record *d = key.p ? qd_state_document(s, key) : NULL;
    qd_json_node *root;
    if (!d)
        return qd_err_set(err, QD_E_NOTFOUND, "unable to find script [%.*s] in cluster state",
                          QD_STR_ARG(id));
    int rc = qd_json_parse(arena, d->value, 0, &root, err);
    if (!rc) *out = root;
    return rc;
}

int qdi_script_compile(const qd_state *s, const qd_script_ref *ref, qd_script_context c,
                       qd_script **out, qd_err *err)
{
    if (!ref->id.p) return qd_script_compile(ref->lang, ref->source, c, out, err);
    qd_arena arena;
    const qd_json_node *n = NULL;
    qd_arena_init(&arena, NULL, 1u << 20);
    int rc = stored(s, ref->id, &arena, &n, err);
    const qd_json_node *lang = rc ? NULL : qd_json_get(n, "lang");
    const qd_json_node *source = rc ? NULL : qd_json_get(n, "source");
    if (!rc && (!lang || !source)) rc = qd_err_set(err, QD_E_STATE, "the stored script is damaged");
    if (!rc) rc = qd_script_compile(lang->text, source->text, c, out, err);
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
