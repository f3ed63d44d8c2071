/*
 * stored.c: scripts that requests name by id. They are documents of the cluster state, in the form
 * {"lang", "source", "options"}; nodes of a cluster below the level of formats would not know them.
 */
#include "action/api/admin_int.h"
#include "action/script/script_int.h"
#include "base/features.h"

#define OTHER_MAX 1024 /* bytes of what stands beside the source */

static qd_str key_of(const qd_request *q)
{
    return qd_arena_printf(q->arena, "script/%.*s", QD_STR_ARG(qd_param(q, "id")));
}

/* May the state hold scripts yet? */
static int level(const qd_request *q, qd_err *err)
{
    qd_state *s = qd_cluster_state(q->a->cluster);
    uint32_t features = s->features;
    qd_state_unref(s);
    if (features >= QD_FEATURES_TYPES_0_2) return 0;
    return qd_err_set(err, QD_E_STATE,
                      "stored scripts need the cluster's level of formats %u, and it is %u: POST "
                      "/_cluster/upgrade/finalize raises it once all nodes know it",
                      QD_FEATURES_TYPES_0_2, features);
}

static int script_member(qd_request *q, const qd_json_node *m, qd_script_ref *out, qd_err *err)
{
    bool source = qd_str_is(m->key, "source");
    if (qd_str_is(m->key, "options")) return qd_script_options_parse(m, &out->media, err);
    if (qd_str_is(m->key, "params")) {
        qd_request_warn(q, "[params] of a stored script are not kept: each request brings its own");
        return 0;
    }
    if (!source && !qd_str_is(m->key, "lang"))
        return qd_err_set(err, QD_E_ARG, "[stored script source] unknown field [%.*s]",
                          QD_STR_ARG(m->key));
    if (source && m->type == QD_JSON_T_OBJECT) { /* a template, which is JSON then */
        qdi_identity id;
        qdi_identity_get(q->a, &id);
        bool spaced = id.opensearch || id.product == QDI_ES7102;
        if (!out->media.p)
            out->media = spaced ? QD_STR("application/json; charset=UTF-8")
                                : QD_STR("application/json;charset=utf-8");
        return qdi_script_of_object(q->arena, m, &out->source, err);
    }
    if (m->type != QD_JSON_T_STRING)
        return qd_err_set(err, QD_E_ARG,
                          "[stored script source] %.*s doesn't support values of type: %s",
                          QD_STR_ARG(m->key), qd_json_type_token(m->type));
    *(source ? &out->source : &out->lang) = m->text;
    return 0;
}

static int read_body(qd_request *q, qd_script_ref *out, qd_err *err)
{
    qd_json_node *root;
    int rc = qd_json_parse(q->arena, q->body, 0, &root, err);
    if (rc) return rc;
    const qd_json_node *script = qd_json_get(root, "script");
    if (root->type != QD_JSON_T_OBJECT || !script || script->type != QD_JSON_T_OBJECT)
        return qd_err_set(err, QD_E_PARSE,
                          "unexpected token [%s], expected [{, script], or the script is missing",
                          qd_json_type_token(root->type));
    for (const qd_json_node *m = root->first; m; m = m->next)
        if (m != script)
            return qd_err_set(err, QD_E_PARSE, "unexpected field [%.*s], expected [script]",
                              QD_STR_ARG(m->key));
    for (const qd_json_node *m = script->first; m && !rc; m = m->next)
        rc = script_member(q, m, out, err);
    if (!rc && !out->lang.n) rc = qd_err_set(err, QD_E_ARG, "must specify lang for stored script");
    if (!rc && !out->source.n)
        rc = qd_err_set(err, QD_E_ARG, "must specify source for stored script");
    return rc;
}

/* A script is compiled before it is stored: for its context, or for that which its language has for
 * all of its scripts. */
static int check(const qd_request *q, const qd_script_ref *ref, qd_err *err)
{
    qd_str name = qd_param(q, "context");
    const qd_script_lang *lang = qd_script_lang_find(ref->lang);
    qd_script *s = NULL;
    uint8_t variant;
    if (!lang)
        return qd_err_set(err, QD_E_ARG, "script_lang not supported [%.*s]", QD_STR_ARG(ref->lang));
    qd_script_context c = lang->standard;
    if (name.n && !qd_script_context_find(name, &c))
        return qd_err_set(err, QD_E_ARG, "Unknown context [%.*s]", QD_STR_ARG(name));
    if (ref->source.n > QD_SCRIPT_SOURCE_MAX)
        return qd_err_set(err, QD_E_ARG,
                          "exceeded max allowed stored script size in bytes [%u] with size [%zu] "
                          "for script [%.*s]",
                          QD_SCRIPT_SOURCE_MAX, ref->source.n, QD_STR_ARG(qd_param(q, "id")));
    int rc = qd_script_media(lang, ref->media, &variant, err);
    if (!rc && c != QD_SCRIPT_CONTEXTS) rc = qd_script_compile_ref(ref, c, &s, err);
    qd_script_put(s);
    return rc;
}

int qdi_api_put_script(qd_request *q, qd_response *r, qd_err *err)
{
    qd_str id = qd_param(q, "id");
    qd_script_ref ref = {.lang = {NULL, 0}};
    qd_buf b;
    qd_json_writer w;
    int rc = level(q, err);
    if (!rc && (!id.n || id.n > 512 || qd_str_find(id, '#') >= 0))
        rc = qd_err_set(err, QD_E_VALIDATION,
                        "Validation Failed: 1: id must be 1 to 512 bytes and cannot contain '#' "
                        "for stored script;");
    if (!rc) rc = read_body(q, &ref, err);
    if (!rc) rc = check(q, &ref, err);
    if (rc) return rc;
    qd_buf_init(&b, q->a->account, 8 * QD_SCRIPT_SOURCE_MAX + OTHER_MAX);
    qd_json_writer_init(&w, &b, false);
    qd_json_object(&w);
    qd_json_field_str(&w, "lang", ref.lang);
    qd_json_field_str(&w, "source", ref.source);
    if (ref.media.n) {
        qd_json_key_c(&w, "options");
        qd_json_object(&w);
        qd_json_field_str(&w, "content_type", ref.media);
        qd_json_object_end(&w);
    }
    qd_json_object_end(&w);
    rc = qd_buf_status(&b) ? qd_err_nomem(err, "a stored script") : 0;
    if (!rc)
        rc = qd_cluster_put_document(q->a->cluster, key_of(q), qd_buf_view(&b), false, NULL, err);
    qd_buf_fini(&b);
    if (!rc) qdi_answer_acknowledged(q, r);
    return rc;
}

int qdi_api_get_script(qd_request *q, qd_response *r, qd_err *err)
{
    qd_state *s = qd_cluster_state(q->a->cluster);
    const qd_state_document_record *d = qd_state_document(s, key_of(q));
    (void)err;
    qd_json_object(&r->w);
    qd_json_field_str(&r->w, "_id", qd_param(q, "id"));
    qd_json_field_bool(&r->w, "found", d != NULL);
    if (d) {
        qd_json_key_c(&r->w, "script");
        qd_json_raw_value(&r->w, d->value);
    } else
        r->status = 404;
    qd_json_object_end(&r->w);
    qd_state_unref(s);
    return 0;
}

int qdi_api_delete_script(qd_request *q, qd_response *r, qd_err *err)
{
    qd_state *s = qd_cluster_state(q->a->cluster);
    bool found = qd_state_document(s, key_of(q)) != NULL;
    qd_state_unref(s);
    if (!found) {
        qd_str id = qd_param(q, "id");
        return qd_err_set(err, QD_E_NOTFOUND,
                          "stored script [%.*s] does not exist and cannot be deleted",
                          QD_STR_ARG(id));
    }
    int rc = qd_cluster_put_document(q->a->cluster, key_of(q), (qd_str){NULL, 0}, false, NULL, err);
    if (!rc) qdi_answer_acknowledged(q, r);
    return rc;
}
