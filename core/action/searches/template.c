/* template.c: searches by templates: _search/template and _render/template. See msearch.c too. */
#include "action/searches/searches_int.h"
#include "base/str.h"

/* What is shown of a text that is no JSON. */
#define SHOWN_MAX 4096u

static int flag(const qd_json_node *n, bool *out, qd_err *err)
{
    if (!qd_json_truth(n, out)) return 0;
    return qd_err_set(err, QD_E_ARG,
                      "Failed to parse value [%.*s] as only [true] or [false] are allowed.",
                      QD_STR_ARG(n->raw));
}

static int unexpected(const search_request *r, const qd_json_node *m, qd_err *err)
{
    return qdi_search_err_at(r, m->raw.p, err, QD_E_XCONTENT,
                             "[search_template] %.*s doesn't support values of type: %s",
                             QD_STR_ARG(m->key), qd_json_type_token(m->type));
}

static int member(const search_request *r, const qd_json_node *m, search_template *t, qd_err *err)
{
    if (qd_str_is(m->key, "explain")) return flag(m, &t->explain, err);
    if (qd_str_is(m->key, "profile")) return flag(m, &t->profile, err);
    if (qd_str_is(m->key, "params")) {
        if (m->type != QD_JSON_T_OBJECT) return unexpected(r, m, err);
        t->ref.params = m;
        return 0;
    }
    bool source = qd_str_is(m->key, "source");
    if (!source && !qd_str_is(m->key, "id"))
        return qdi_search_err_at(r, m->raw.p, err, QD_E_XCONTENT,
                                 "[search_template] unknown field [%.*s]", QD_STR_ARG(m->key));
    t->given = true;
    if (source && m->type == QD_JSON_T_OBJECT)
        return qdi_script_of_object(r->arena, m, &t->ref.source, err);
    if (m->type != QD_JSON_T_STRING) return unexpected(r, m, err);
    *(source ? &t->ref.source : &t->ref.id) = m->text;
    return 0;
}

int qdi_search_template_read(search_request *r, qd_str body, search_template *out, qd_err *err)
{
    qd_json_node *root;
    *out = (search_template){.ref = {.lang = QD_STR("mustache")}};
    r->body = body;
    int rc = qd_json_parse(r->arena, body, 0, &root, err);
    if (!rc && root->type != QD_JSON_T_OBJECT)
        rc = qdi_search_err_at(r, root->raw.p, err, QD_E_XCONTENT,
                               "[search_template] Expected START_OBJECT but was: %s",
                               qd_json_type_token(root->type));
    for (const qd_json_node *m = rc ? NULL : root->first; m && !rc; m = m->next)
        rc = member(r, m, out, err);
    return rc;
}

/* As Elasticsearch validates one, but that it takes the last of source and id. */
static int check(const search_template *t, qd_err *err)
{
    if (t->ref.source.n && t->ref.id.n)
        return qd_err_set(err, QD_E_ARG,
                          "[id] and [source] cannot be used at the same time in a search template");
    if (t->ref.source.n || t->ref.id.n) return 0;
    return qd_err_set(err, QD_E_VALIDATION, "Validation Failed: 1: template is missing;%s",
                      t->given ? "" : "2: template's script type is missing;");
}

/* The text that the template becomes, in the arena. */
static int render(qd_request *q, const search_template *t, qd_arena *a, qd_str *out, qd_err *err)
{
    qd_script *script = NULL;
    qd_script_exec x;
    qd_sv text;
    qd_state *s = qd_cluster_state(q->a->cluster);
    int rc = qdi_script_compile(s, &t->ref, QD_SCRIPT_TEMPLATE, &script, err);
    qd_state_unref(s);
    if (rc) return rc;
    qd_script_exec_open(&x, script, q->a->account);
    x.text_max = (size_t)qd_config_i64(q->a->config, QD_SET_MUSTACHE_MAX_OUTPUT);
    rc = qdi_script_params(&x, &t->ref, err);
    if (!rc) rc = qd_script_run(&x, &text, err);
    if (!rc && !(*out = qd_arena_str(a, qd_sv_text(&text))).p) rc = qd_err_nomem(err, "a template");
    qd_script_exec_close(&x);
    qd_script_put(script);
    return rc;
}

int qdi_search_template_text(const search_request *r, const search_template *t, qd_str *out,
                             qd_err *err)
{
    return render(r->q, t, r->arena, out, err);
}

/* "explain" stands beside the template: nodes that read the body alone are told by a parameter. */
static int tell_explain(search_request *r, qd_err *err)
{
    qd_pair *all = qd_arena_alloc(r->arena, (r->nparams + 1ul) * sizeof *all);
    if (!all) return qd_err_nomem(err, "parameters of a search");
    if (r->nparams) memcpy(all, r->params, r->nparams * sizeof *all);
    all[r->nparams++] = (qd_pair){QD_STR("explain"), QD_STR("true")};
    r->params = all;
    r->show.explain = true;
    return 0;
}

int qdi_search_template_body(search_request *r, const search_template *t, qd_err *err)
{
    qd_str body;
    int rc = render(r->q, t, r->arena, &body, err);
    if (!rc && !qd_str_trim(body).n)
        rc = qd_err_set(err, QD_E_PARSE, "Expected [START_OBJECT] but found [null]");
    if (!rc) rc = qdi_search_body(r, body, err);
    r->profile |= t->profile;
    return !rc && t->explain && !qd_param_has(r->q, "explain") ? tell_explain(r, err) : rc;
}

int qdi_api_search_template(qd_request *q, qd_response *r, qd_err *err)
{
    search_request s;
    search_template t;
    uint32_t options;
    qdi_search_request_init(&s, q, q->arena);
    int rc = qd_param_indices_options(q, QD_INDICES_SEARCH, &options, err);
    if (!rc) rc = qdi_search_template_read(&s, q->body, &t, err);
    if (!rc) rc = check(&t, err);
    if (!rc) rc = qd_param_bool(q, "profile", t.profile, &t.profile, err);
    s.coordinates = true;
    s.expression = qd_param(q, "index");
    s.options = options;
    if (!rc) rc = qdi_search_template_body(&s, &t, err);
    if (!rc) rc = qdi_search_params(&s, err);
    if (!rc) rc = qdi_search_validate(&s, err);
    return rc ? rc : qdi_search_answer(&s, options, r, err);
}

/* GET /_render/template */
int qdi_api_render_template(qd_request *q, qd_response *r, qd_err *err)
{
    search_request s;
    search_template t;
    qd_str id = qd_param(q, "id"), text;
    qd_json_node *root;
    qdi_search_request_init(&s, q, q->arena);
    int rc = qdi_search_template_read(&s, q->body.n ? q->body : QD_STR("{}"), &t, err);
    if (!rc && id.n) t.ref.id = id;
    if (!rc) rc = check(&t, err);
    if (!rc) rc = render(q, &t, q->arena, &text, err);
    if (rc) return rc;
    if (qd_json_parse(q->arena, text, 0, &root, err)) {
        qd_err_detail_str(err, "template_output", qd_str_sub(text, 0, SHOWN_MAX));
        return err->code;
    }
    qd_json_object(&r->w);
    qd_json_key_c(&r->w, "template_output");
    qd_json_raw_value(&r->w, text);
    qd_json_object_end(&r->w);
    return 0;
}
