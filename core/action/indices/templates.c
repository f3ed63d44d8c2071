/*
 * templates.c: _template, _index_template, _component_template: what new indices begin with.
 *
 * Stored as documents of the cluster state (cluster/cluster.h) under template/<kind>/<name>, in the
 * form in which they are shown. At the creation of an index the composable template of highest
 * priority whose patterns match counts, its components below it; without one all matching legacy
 * templates do, by order. The request stands above all of them.
 */
#include "action/api/admin_int.h"
#include "action/api/cat_table.h"
#include "action/indices/indices_int.h"
#include "action/indices/templates_int.h"
#include "base/str.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEMPLATE_MAX ((size_t)16 << 20)

static const struct {
    const char *prefix;  /* of keys */
    const char *list;    /* key of the list of GET; NULL: an object by name */
    const char *element; /* key of one */
    const char *words;   /* in messages */
} kinds[] = {
    {"template/legacy/", NULL, NULL, "index_template"},
    {"template/index/", "index_templates", "index_template", "index template"},
    {"template/component/", "component_templates", "component_template", "component template"},
};

qd_str qdi_template_key(qd_arena *a, template_kind k, qd_str name)
{
    return qd_arena_printf(a, "%s%.*s", kinds[k].prefix, QD_STR_ARG(name));
}

bool qdi_template_is(template_kind k, qd_str key, qd_str *name)
{
    if (!qd_str_starts(key, qd_str_c(kinds[k].prefix))) return false;
    *name = qd_str_sub(key, strlen(kinds[k].prefix), key.n);
    return true;
}

static qd_str name_of(template_kind k, qd_str key)
{
    return qd_str_sub(key, strlen(kinds[k].prefix), key.n);
}

/* --- storing --- */

static int write_settings(qd_request *q, const qd_json_node *n, qd_json_writer *w, qd_err *err)
{
    qd_settings *s = NULL;
    int rc = qdi_settings_of(n, &s, err);
    if (!rc) rc = qd_schema_check(&qd_schema_index, s, false, err);
    if (!rc) {
        qdi_warn_settings(q, &qd_schema_index, s);
        qd_json_key_c(w, "settings");
        qd_settings_write(s, w, false, NULL, NULL);
    }
    qd_settings_unref(s);
    return rc;
}

/* settings, mappings, aliases of a template; all: legacy ones show them always. */
static int write_content(qd_request *q, const qd_json_node *n, bool all, qd_json_writer *w,
                         qd_err *err)
{
    const qd_json_node *settings = qd_json_get(n, "settings"), *m = qd_json_get(n, "mappings"),
                       *aliases = qd_json_get(n, "aliases");
    qd_alias *list;
    uint32_t nlist;
    int rc = settings || all ? write_settings(q, settings, w, err) : 0;
    if (!rc && m && m->type != QD_JSON_T_OBJECT) {
        rc = qd_err_set(err, QD_E_ES_PARSE, "key [mappings] must be an object");
    }
    if (!rc && (m || all)) {
        qd_json_key_c(w, "mappings");
        qd_json_raw_value(w, m ? qdi_mapping_of(q, m) : QD_STR("{}"));
    }
    if (!rc) rc = qdi_aliases_of(aliases, q->arena, &list, &nlist, err);
    if (!rc && (aliases || all)) {
        qd_json_key_c(w, "aliases");
        qd_json_object(w);
        for (uint32_t i = 0; i < nlist; i++) qdi_alias_write(&list[i], w);
        qd_json_object_end(w);
    }
    const qd_json_node *lifecycle = all ? NULL : qd_json_get(n, "lifecycle");
    if (!rc && lifecycle) rc = qdi_stream_lifecycle_check(lifecycle, err);
    if (!rc && lifecycle) {
        qd_json_key_c(w, "lifecycle");
        qd_json_raw_value(w, lifecycle->raw);
    }
    return rc;
}

static int write_patterns(const qd_json_node *root, qd_json_writer *w, qd_err *err)
{
    const qd_json_node *n = qd_json_get(root, "index_patterns");
    bool list = n && n->type == QD_JSON_T_ARRAY;
    if (!n || (list && !n->n)) {
        return qd_err_set(err, QD_E_VALIDATION,
                          "Validation Failed: 1: index patterns are missing;");
    }
    qd_json_key_c(w, "index_patterns");
    qd_json_array(w);
    for (const qd_json_node *p = list ? n->first : n; p; p = list ? p->next : NULL) {
        qd_json_str(w, qd_json_text(p));
    }
    qd_json_array_end(w);
    return 0;
}

static void write_number(const qd_json_node *root, const char *key, bool always, qd_json_writer *w)
{
    const qd_json_node *n = qd_json_get(root, key);
    int64_t v = 0;
    if (!n && !always) return;
    if (n && !qd_str_i64(qd_json_text(n), &v)) return;
    qd_json_field_int(w, key, v);
}

static int write_legacy(qd_request *q, const qd_json_node *root, qd_json_writer *w, qd_err *err)
{
    int64_t order = 0;
    const qd_json_node *n = qd_json_get(root, "order");
    int rc = qd_param_i64(q, "order", 0, &order, err);
    if (rc) return rc;
    if (n && !qd_str_i64(qd_json_text(n), &order)) order = 0;
    qd_json_field_int(w, "order", order);
    write_number(root, "version", false, w);
    rc = write_patterns(root, w, err);
    return rc ? rc : write_content(q, root, true, w, err);
}

static int write_composable(qd_request *q, const qd_json_node *root, template_kind k,
                            qd_json_writer *w, qd_err *err)
{
    static const char *const raw[] = {"_meta", "data_stream", "allow_auto_create",
                                      "ignore_missing_component_templates", "deprecated"};
    const qd_json_node *t = qd_json_get(root, "template"), *c = qd_json_get(root, "composed_of");
    int rc = k == TEMPLATE_COMPOSABLE ? write_patterns(root, w, err) : 0;
    if (!rc && (t || k == TEMPLATE_COMPONENT)) {
        if (t && t->type != QD_JSON_T_OBJECT) {
            return qd_err_set(err, QD_E_XCONTENT, "[%s] template doesn't support values",
                              kinds[k].element);
        }
        qd_json_key_c(w, "template");
        qd_json_object(w);
        if (t) rc = write_content(q, t, false, w, err);
        if (rc) return rc;
        qd_json_object_end(w);
    }
    if (rc) return rc;
    if (k == TEMPLATE_COMPOSABLE) {
        qd_json_key_c(w, "composed_of");
        qd_json_raw_value(w, c && c->type == QD_JSON_T_ARRAY ? c->raw : QD_STR("[]"));
        write_number(root, "priority", false, w);
    }
    write_number(root, "version", false, w);
    for (size_t i = 0; i < QD_COUNT_OF(raw); i++) {
        const qd_json_node *n = qd_json_get(root, raw[i]);
        if (!n) continue;
        qd_json_key_c(w, raw[i]);
        qd_json_raw_value(w, n->raw);
    }
    return 0;
}

static int check_members(const qd_json_node *root, template_kind k, qd_err *err)
{
    static const char *const legacy = "order,version,index_patterns,settings,mappings,aliases";
    static const char *const other =
        "index_patterns,template,composed_of,priority,version,_meta,data_stream,"
        "allow_auto_create,ignore_missing_component_templates,deprecated";
    if (root->type != QD_JSON_T_OBJECT) {
        return qd_err_set(err, QD_E_ES_PARSE, "request body must be an object");
    }
    for (const qd_json_node *n = root->first; n; n = n->next) {
        bool known = false;
        for (qd_str rest = qd_str_c(k == TEMPLATE_LEGACY ? legacy : other); rest.p && !known;) {
            known = qd_str_eq(qd_str_split(&rest, ','), n->key);
        }
        if (!known && k == TEMPLATE_LEGACY) {
            return qd_err_set(err, QD_E_ES_PARSE, "unknown key [%.*s] in the template",
                              QD_STR_ARG(n->key));
        }
        if (!known) {
            return qd_err_set(err, QD_E_XCONTENT, "[%s] unknown field [%.*s]", kinds[k].element,
                              QD_STR_ARG(n->key));
        }
    }
    return 0;
}

/* The components that a template names must be there. */
static int check_components(qd_request *q, const qd_json_node *root, qd_str name, qd_err *err)
{
    const qd_json_node *list = qd_json_get(root, "composed_of");
    qd_state *s = qd_cluster_state(q->a->cluster);
    int rc = 0;
    for (const qd_json_node *n = list && list->type == QD_JSON_T_ARRAY ? list->first : NULL;
         n && !rc; n = n->next) {
        qd_str component = qd_json_text(n);
        if (qd_state_document(s, qdi_template_key(q->arena, TEMPLATE_COMPONENT, component)))
            continue;
        rc = qd_err_set(err, QD_E_ARG,
                        "index_template [%.*s] invalid, cause [index template [%.*s] specifies "
                        "component templates [%.*s] that do not exist]",
                        QD_STR_ARG(name), QD_STR_ARG(name), QD_STR_ARG(component));
        qd_err_type(err, "invalid_index_template_exception", 400);
    }
    qd_state_unref(s);
    return rc;
}

static int check_name(qd_str name, qd_err *err)
{
    const char *why = NULL;
    if (!name.n || qd_str_find(name, ' ') >= 0) why = "name must not contain a space";
    if (qd_str_find(name, ',') >= 0) why = "name must not contain a ','";
    if (qd_str_find(name, '#') >= 0) why = "name must not contain a '#'";
    if (qd_str_find(name, '*') >= 0) why = "name must not contain a '*'";
    if (name.n && name.p[0] == '_') why = "name must not start with '_'";
    if (!why) return 0;
    int rc = qd_err_set(err, QD_E_ARG, "index_template [%.*s] invalid, cause [%s]",
                        QD_STR_ARG(name), why);
    qd_err_type(err, "invalid_index_template_exception", 400);
    return rc;
}

/* The body as it is stored, into b. */
static int stored_form(qd_request *q, template_kind k, qd_str name, qd_buf *b, qd_err *err)
{
    qd_json_node *root;
    qd_json_writer w;
    int rc = qd_json_parse(q->arena, q->body, 0, &root, err);
    if (!rc) rc = check_members(root, k, err);
    if (!rc && k == TEMPLATE_COMPOSABLE) rc = qdi_template_stream_check(q, name, root, err);
    if (!rc && k == TEMPLATE_COMPOSABLE) rc = check_components(q, root, name, err);
    if (rc) return rc;
    qd_json_writer_init(&w, b, false);
    qd_json_object(&w);
    rc = k == TEMPLATE_LEGACY ? write_legacy(q, root, &w, err)
                              : write_composable(q, root, k, &w, err);
    if (rc) return rc;
    qd_json_object_end(&w);
    rc = qd_buf_status(b) ? qd_err_nomem(err, "template") : 0;
    return rc ? rc : qdi_template_check(q, k, name, qd_buf_view(b), err);
}

int qdi_template_of_body(qd_request *q, template_kind k, qd_str name, qd_json_node **out,
                         qd_err *err)
{
    qd_buf b;
    qd_buf_init(&b, q->a->account, TEMPLATE_MAX);
    int rc = stored_form(q, k, name, &b, err);
    qd_str text = rc ? (qd_str){NULL, 0} : qd_arena_str(q->arena, qd_buf_view(&b));
    qd_buf_fini(&b);
    if (rc) return rc;
    return text.p ? qd_json_parse(q->arena, text, 0, out, err) : qd_err_nomem(err, "template");
}

static int put(qd_request *q, qd_response *r, template_kind k, qd_err *err)
{
    qd_buf b;
    bool create;
    qd_str name = qd_param(q, "name"), key = qdi_template_key(q->arena, k, name);
    int rc = qd_param_bool(q, "create", false, &create, err);
    if (!rc) rc = check_name(name, err);
    if (rc) return rc;
    qd_buf_init(&b, q->a->account, TEMPLATE_MAX);
    rc = stored_form(q, k, name, &b, err);
    if (!rc) rc = qd_cluster_put_document(q->a->cluster, key, qd_buf_view(&b), create, NULL, err);
    if (rc == QD_E_EXISTS) {
        if (err) qd_err_fini(err);
        rc =
            qd_err_set(err, QD_E_ARG, "%s [%.*s] already exists", kinds[k].words, QD_STR_ARG(name));
    }
    qd_buf_fini(&b);
    if (!rc) qdi_answer_acknowledged(q, r);
    return rc;
}

/* --- reading --- */

static void write_stored(const qd_request *q, template_kind k, qd_str value, qd_json_writer *w)
{
    bool flat = qd_param_has(q, "flat_settings");
    if (flat && !qd_str_is(qd_param(q, "flat_settings"), "false"))
        qdi_template_flat(q->arena, value, k != TEMPLATE_LEGACY, w);
    else
        qd_json_raw_value(w, value);
}

static void write_one(const qd_request *q, template_kind k, const qd_state_document_record *d,
                      qd_json_writer *w)
{
    qd_str name = name_of(k, d->key);
    if (k == TEMPLATE_LEGACY) {
        qd_json_key(w, name);
        write_stored(q, k, d->value, w);
        return;
    }
    qd_json_object(w);
    qd_json_field_str(w, "name", name);
    qd_json_key_c(w, kinds[k].element);
    write_stored(q, k, d->value, w);
    qd_json_object_end(w);
}

static int get(qd_request *q, qd_response *r, template_kind k, qd_err *err)
{
    qd_str names = qd_param(q, "name");
    bool pattern = !names.n || qd_str_find(names, '*') >= 0;
    uint32_t found = 0;
    int rc = 0;
    qd_state *s = qd_cluster_state(q->a->cluster);
    qd_json_object(&r->w);
    if (kinds[k].list) {
        qd_json_key_c(&r->w, kinds[k].list);
        qd_json_array(&r->w);
    }
    for (uint32_t i = 0; i < s->ndocuments; i++) {
        const qd_state_document_record *d = &s->documents[i];
        if (!qd_str_starts(d->key, qd_str_c(kinds[k].prefix))) continue;
        if (!qdi_listed(names, name_of(k, d->key))) continue;
        write_one(q, k, d, &r->w);
        found++;
    }
    if (kinds[k].list) qd_json_array_end(&r->w);
    qd_json_object_end(&r->w);
    qd_state_unref(s);
    if (!found && !pattern && k == TEMPLATE_LEGACY) {
        r->status = 404;
    } else if (!found && !pattern) {
        rc = qd_err_set(err, QD_E_NOTFOUND, "%s matching [%.*s] not found", kinds[k].words,
                        QD_STR_ARG(names));
        qd_err_type(err, "resource_not_found_exception", 404);
    }
    return rc;
}

/* Data streams need their template for the next index. */
static int check_unused(qd_request *q, const qd_state *s, qd_str name, qd_err *err)
{
    qd_str streams;
    int rc = qdi_template_streams(s, q->arena, name, &streams, err);
    if (rc || !streams.n) return rc;
    return qd_err_set(err, QD_E_ARG,
                      "unable to remove composable templates [%.*s] as they are in use by a data "
                      "streams [%.*s]",
                      QD_STR_ARG(name), QD_STR_ARG(streams));
}

static int delete_some(qd_request *q, qd_response *r, template_kind k, qd_err *err)
{
    qd_str names = qd_param(q, "name");
    uint32_t found = 0;
    int rc = 0;
    qd_state *s = qd_cluster_state(q->a->cluster);
    for (uint32_t i = 0; i < s->ndocuments && !rc; i++) {
        qd_str key = s->documents[i].key;
        if (!qd_str_starts(key, qd_str_c(kinds[k].prefix))) continue;
        if (!qdi_listed(names, name_of(k, key))) continue;
        found++;
        if (k == TEMPLATE_COMPOSABLE) rc = check_unused(q, s, name_of(k, key), err);
        if (rc) break;
        rc = qd_cluster_put_document(q->a->cluster, key, (qd_str){NULL, 0}, false, NULL, err);
    }
    qd_state_unref(s);
    if (!rc && !found && qd_str_find(names, '*') < 0) {
        rc = qd_err_set(err, QD_E_NOTFOUND, "index_template [%.*s] missing", QD_STR_ARG(names));
        qd_err_type(err, "index_template_missing_exception", 404);
    }
    if (!rc) qdi_answer_acknowledged(q, r);
    return rc;
}

int qdi_api_put_template(qd_request *q, qd_response *r, qd_err *err)
{
    return put(q, r, TEMPLATE_LEGACY, err);
}

int qdi_api_get_template(qd_request *q, qd_response *r, qd_err *err)
{
    return get(q, r, TEMPLATE_LEGACY, err);
}

int qdi_api_delete_template(qd_request *q, qd_response *r, qd_err *err)
{
    return delete_some(q, r, TEMPLATE_LEGACY, err);
}

int qdi_api_put_index_template(qd_request *q, qd_response *r, qd_err *err)
{
    return put(q, r, TEMPLATE_COMPOSABLE, err);
}

int qdi_api_get_index_template(qd_request *q, qd_response *r, qd_err *err)
{
    return get(q, r, TEMPLATE_COMPOSABLE, err);
}

int qdi_api_delete_index_template(qd_request *q, qd_response *r, qd_err *err)
{
    return delete_some(q, r, TEMPLATE_COMPOSABLE, err);
}

int qdi_api_put_component_template(qd_request *q, qd_response *r, qd_err *err)
{
    return put(q, r, TEMPLATE_COMPONENT, err);
}

int qdi_api_get_component_template(qd_request *q, qd_response *r, qd_err *err)
{
    return get(q, r, TEMPLATE_COMPONENT, err);
}

int qdi_api_delete_component_template(qd_request *q, qd_response *r, qd_err *err)
{
    return delete_some(q, r, TEMPLATE_COMPONENT, err);
}

/* --- as a table --- */

static void list_cell(cat_table *t, const qd_json_node *list)
{
    qd_buf b;
    qd_buf_init(&b, NULL, TEMPLATE_MAX);
    (void)qd_buf_char(&b, '[');
    for (const qd_json_node *n = list ? list->first : NULL; n; n = n->next) {
        (void)qd_buf_str(&b, qd_json_text(n));
        if (n->next) (void)qd_buf_c(&b, ", ");
    }
    (void)qd_buf_char(&b, ']');
    qdi_cat_str(t, qd_buf_view(&b));
    qd_buf_fini(&b);
}

static void template_row(cat_table *t, template_kind k, const qd_state_document_record *d)
{
    qd_json_node *root;
    if (qd_json_parse(t->q->arena, d->value, 0, &root, NULL)) return;
    const qd_json_node *order = qd_json_get(root, k == TEMPLATE_LEGACY ? "order" : "priority"),
                       *version = qd_json_get(root, "version");
    qdi_cat_str(t, name_of(k, d->key));
    list_cell(t, qd_json_get(root, "index_patterns"));
    qdi_cat_str(t, order ? qd_json_text(order) : QD_STR(""));
    qdi_cat_str(t, version ? qd_json_text(version) : QD_STR(""));
    if (k == TEMPLATE_LEGACY) {
        qdi_cat_str(t, QD_STR(""));
    } else {
        list_cell(t, qd_json_get(root, "composed_of"));
    }
}

int qdi_api_cat_templates(qd_request *q, qd_response *r, qd_err *err)
{
    static const cat_column list[] = {
        {"name", "n", "template name", 0},
        {"index_patterns", "t", "template index patterns", 0},
        {"order", "o,p", "template application order/priority number", 0},
        {"version", "v", "version", 0},
        {"composed_of", "c", "component templates comprising index template", 0},
    };
    cat_table t;
    if (qdi_cat_begin(&t, q, list, QD_COUNT_OF(list), r)) return 0;
    qd_state *s = qd_cluster_state(q->a->cluster);
    for (int k = TEMPLATE_LEGACY; k <= TEMPLATE_COMPOSABLE; k++) {
        for (uint32_t i = 0; i < s->ndocuments; i++) {
            const qd_state_document_record *d = &s->documents[i];
            if (!qd_str_starts(d->key, qd_str_c(kinds[k].prefix))) continue;
            if (qdi_listed(qd_param(q, "name"), name_of((template_kind)k, d->key))) {
                template_row(&t, (template_kind)k, d);
            }
        }
    }
    qd_state_unref(s);
    return qdi_cat_end(&t, r, err);
}
