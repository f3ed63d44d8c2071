/* execute.c: POST /_scripts/painless/_execute: a script is tried out. */
#include "action/script/script_int.h"
#include "script/object.h"

static int refuse_context(qd_str name, qd_err *err)
{
    return qd_err_set(err, QD_E_ARG,
                      "_execute in the context [%.*s] is not supported by this version: "
                      "[painless_test] is",
                      QD_STR_ARG(name));
}

static int read_body(const qd_request *q, const qd_json_node **script, qd_err *err)
{
    qd_json_node *root;
    int rc = qd_json_parse(q->arena, q->body, 0, &root, err);
    if (rc) return rc;
    if (root->type != QD_JSON_T_OBJECT)
        return qd_err_set(err, QD_E_PARSE, "Expected START_OBJECT but was: %s",
                          qd_json_type_token(root->type));
    for (const qd_json_node *m = root->first; m; m = m->next) {
        if (qd_str_is(m->key, "script"))
            *script = m;
        else if (qd_str_is(m->key, "context")) {
            if (!qd_str_is(qd_json_text(m), "painless_test"))
                return refuse_context(qd_json_text(m), err);
        } else if (qd_str_is(m->key, "context_setup"))
            return qd_err_set(err, QD_E_ARG, "[context_setup] is not supported by this version");
        else
            return qd_err_set(err, QD_E_XCONTENT, "[painless_execute_request] unknown field [%.*s]",
                              QD_STR_ARG(m->key));
    }
    if (!*script) return qd_err_set(err, QD_E_ARG, "Required [script]");
    return 0;
}

int qdi_api_scripts_painless_execute(qd_request *q, qd_response *r, qd_err *err)
{
    const qd_json_node *n = NULL;
    qd_script_ref ref;
    qd_script *script = NULL;
    qd_script_exec x;
    qd_sv v, text;
    int rc = read_body(q, &n, err);
    if (rc) return rc;
    qd_state *s = qd_cluster_state(q->a->cluster);
    rc = qdi_script_of(s, n, QD_SCRIPT_TEST, &ref, &script, err);
    qd_state_unref(s);
    if (rc) return rc;
    qd_script_exec_open(&x, script, q->a->account);
    x.now_ms = qd_env_wall_ms(q->a->env);
    rc = qdi_script_params(&x, &ref, err);
    if (!rc) rc = qd_script_run(&x, &v, err);
    if (!rc) { /* the value's text, as Java's String.valueOf gives it */
        qd_buf b;
        qd_buf_init(&b, q->a->account, 16u << 20);
        qd_sv_append(&v, &b);
        rc = qd_buf_status(&b) || qd_sv_str_copy(&x.arena, qd_buf_view(&b), &text)
                 ? qd_err_nomem(err, "the result of a script")
                 : 0;
        qd_buf_fini(&b);
    }
    if (!rc) {
        qd_json_object(&r->w);
        qd_json_field_str(&r->w, "result", qd_sv_text(&text));
        qd_json_object_end(&r->w);
    }
    qd_script_exec_close(&x);
    qd_script_put(script);
    return rc;
}
