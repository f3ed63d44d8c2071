/* sort_script.c: "_script" of a sort: hits are sorted by what a script makes of each document. */
#include "action/search/search_int.h"
#include "base/str.h"

/* --- reading ---------------------------------------------------------------------------------- */

static int type_of(const qd_json_node *m, search_sort_script *s, qd_err *err)
{
    qd_str v = qd_json_text(m);
    s->texts = qd_str_ieq(v, QD_STR("string"));
    if (s->texts || qd_str_ieq(v, QD_STR("number"))) return 0;
    if (qd_str_ieq(v, QD_STR("version")))
        return qd_err_set(err, QD_E_UNSUPPORTED,
                          "[type] [version] is not supported in a sort by [_script]");
    return qd_err_set(err, QD_E_ARG, "Unknown ScriptSortType [%.*s]", QD_STR_ARG(v));
}

static int member(search_request *r, const qd_json_node *m, search_sort_field *f, qd_err *err)
{
    qd_query_reading how = qdi_search_reading(r);
    bool text = m->type == QD_JSON_T_STRING;
    bool option =
        qd_str_is(m->key, "type") || qd_str_is(m->key, "order") || qd_str_is(m->key, "mode");
    if (option && !text)
        return qdi_search_err_at(r, m->raw.p, err, QD_E_XCONTENT,
                                 "[_script] %.*s doesn't support values of type: %s",
                                 QD_STR_ARG(m->key), qd_json_type_token(m->type));
    if (qd_str_is(m->key, "script")) return qd_script_given_of(&how, m, &f->script->given, err);
    if (qd_str_is(m->key, "type")) return type_of(m, f->script, err);
    if (qd_str_is(m->key, "order")) return qdi_sort_order_parse(m->text, &f->descending, err);
    if (qd_str_is(m->key, "mode")) {
        f->has_mode = true;
        return qdi_sort_mode_parse(m->text, &f->mode, err);
    }
    if (qd_str_is(m->key, "nested") || qd_str_is(m->key, "nested_path") ||
        qd_str_is(m->key, "nested_filter"))
        return qd_err_set(err, QD_E_UNSUPPORTED, "[%.*s] is not supported in a sort by [_script]",
                          QD_STR_ARG(m->key));
    return qdi_search_err_at(r, m->raw.p, err, QD_E_XCONTENT, "[_script] unknown field [%.*s]",
                             QD_STR_ARG(m->key));
}

int qdi_sort_script_parse(search_request *r, const qd_json_node *n, search_sort_field *f,
                          qd_err *err)
{
    int rc = 0;
    f->script = qd_arena_calloc(r->arena, sizeof *f->script);
    if (!f->script) return qd_err_nomem(err, "sort");
    if (n->type != QD_JSON_T_OBJECT)
        return qdi_search_err_at(r, n->raw.p, err, QD_E_XCONTENT,
                                 "[_script] doesn't support values of type: %s",
                                 qd_json_type_token(n->type));
    for (const qd_json_node *m = n->first; m && !rc; m = m->next) rc = member(r, m, f, err);
    if (rc) return rc;
    bool typed = qd_json_get(n, "type") != NULL;
    if (!f->script->given.source.p || !typed)
        return qdi_search_err_at(r, n->raw.p, err, QD_E_ARG, "Required [%s]",
                                 typed                       ? "script"
                                 : f->script->given.source.p ? "type"
                                                             : "script, type");
    /* a script gives one number, so that any mode means that one */
    if (f->script->texts && f->has_mode && f->mode > QD_SORT_MAX)
        return qd_err_set(err, QD_E_ARG, "script sort of type [string] doesn't support mode [%.*s]",
                          QD_STR_ARG(qd_json_get(n, "mode")->text));
    return 0;
}

/* --- binding ---------------------------------------------------------------------------------- */

int qdi_sort_script_bind(const search_sort_script *s, const qd_query_context *q, qd_arena *arena,
                         search_sort_bound *bound, qd_sort_key *k, qd_err *err)
{
    qd_query_context own = *q;
    own.arena = arena;
    bound->kind = s->texts ? SEARCH_VALUE_TERM : SEARCH_VALUE_F64;
    k->kind = s->texts ? QD_SORT_ORD : QD_SORT_I64;
    k->number = QD_SORT_DOUBLE;
    k->field = QD_STR("_script");
    return qd_script_bind_make(
        &own, &s->given, s->texts ? QD_SCRIPT_STRING_SORT : QD_SCRIPT_NUMBER_SORT, &k->script, err);
}
