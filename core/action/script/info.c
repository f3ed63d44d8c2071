/* info.c: which contexts and languages of scripts there are. */
#include "action/script/script_int.h"

static void write_method(qd_json_writer *w, const char *name, const char *result)
{
    qd_json_object(w);
    qd_json_field_c(w, "name", name);
    qd_json_field_c(w, "return_type", result);
    qd_json_key_c(w, "params");
    qd_json_array(w);
    qd_json_array_end(w);
    qd_json_object_end(w);
}

/* GET /_script_context */
int qdi_api_script_context(qd_request *q, qd_response *r, qd_err *err)
{
    static const char *const vars[][2] = {
        {"getParams", "java.util.Map"},    {"getDoc", "java.util.Map"},
        {"getCtx", "java.util.Map"},       {"get_score", "double"},
        {"get_value", "java.lang.Object"}, {"getState", "java.lang.Object"}};
    (void)q;
    (void)err;
    qd_json_object(&r->w);
    qd_json_key_c(&r->w, "contexts");
    qd_json_array(&r->w);
    for (int i = 0; i < QD_SCRIPT_CONTEXTS; i++) {
        const qd_script_context_info *c = qd_script_context_get((qd_script_context)i);
        qd_json_object(&r->w);
        qd_json_field_c(&r->w, "name", c->name);
        qd_json_key_c(&r->w, "methods");
        qd_json_array(&r->w);
        write_method(&r->w, "execute", c->method);
        for (size_t v = 0; v < QD_COUNT_OF(vars); v++)
            if (c->vars & 1u << v) write_method(&r->w, vars[v][0], vars[v][1]);
        qd_json_array_end(&r->w);
        qd_json_object_end(&r->w);
    }
    qd_json_array_end(&r->w);
    qd_json_object_end(&r->w);
    return 0;
}

/* GET /_scripts/painless/_context */
int qdi_api_scripts_painless_context(qd_request *q, qd_response *r, qd_err *err)
{
    if (qd_param(q, "context").n)
        return qd_err_set(err, QD_E_ARG,
                          "[context] is not supported by this version: docs/scripting.md lists the "
                          "classes that scripts can use");
    qd_json_object(&r->w);
    qd_json_key_c(&r->w, "contexts");
    qd_json_array(&r->w);
    const qd_script_lang *painless = qd_script_lang_find(QD_STR("painless"));
    for (int i = 0; i < QD_SCRIPT_CONTEXTS; i++)
        if (painless->contexts & 1ull << i)
            qd_json_c(&r->w, qd_script_context_get((qd_script_context)i)->name);
    qd_json_array_end(&r->w);
    qd_json_object_end(&r->w);
    return 0;
}

/* GET /_script_language */
int qdi_api_script_language(qd_request *q, qd_response *r, qd_err *err)
{
    (void)q;
    (void)err;
    qd_json_object(&r->w);
    qd_json_key_c(&r->w, "types_allowed");
    qd_json_array(&r->w);
    qd_json_c(&r->w, "inline");
    qd_json_c(&r->w, "stored");
    qd_json_array_end(&r->w);
    qd_json_key_c(&r->w, "language_contexts");
    qd_json_array(&r->w);
    for (size_t l = 0; qd_script_langs[l]; l++) {
        qd_json_object(&r->w);
        qd_json_field_c(&r->w, "language", qd_script_langs[l]->name);
        qd_json_key_c(&r->w, "contexts");
        qd_json_array(&r->w);
        for (int i = 0; i < QD_SCRIPT_CONTEXTS; i++)
            if (qd_script_langs[l]->contexts & 1ull << i)
                qd_json_c(&r->w, qd_script_context_get((qd_script_context)i)->name);
        qd_json_array_end(&r->w);
        qd_json_object_end(&r->w);
    }
    qd_json_array_end(&r->w);
    qd_json_object_end(&r->w);
    return 0;
}
