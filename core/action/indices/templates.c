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

#define LAYERS_MAX 128u
#define TEMPLATE_MAX ((size_t)16 << 20)

typedef enum kind { LEGACY, COMPOSABLE, COMPONENT } kind;

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

static qd_str key_of(qd_arena *a, kind k, qd_str name)
{
    return qd_arena_printf(a, "%s%.*s", kinds[k].prefix, QD_STR_ARG(name));
}

static qd_str name_of(kind k, qd_str key)
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

static int write_composable(qd_request *q, const qd_json_node *root, kind k, qd_json_writer *w,
                            qd_err *err)
{
    static const char *const raw[] = {"_meta", "data_stream", "allow_auto_create",
                                      "ignore_missing_component_templates", "deprecated"};
    const qd_json_node *t = qd_json_get(root, "template"), *c = qd_json_get(root, "composed_of");
    int rc = k == COMPOSABLE ? write_patterns(root, w, err) : 0;
    if (!rc && (t || k == COMPONENT)) {
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
    if (k == COMPOSABLE) {
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

static int check_members(const qd_json_node *root, kind k, qd_err *err)
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
        for (qd_str rest = qd_str_c(k == LEGACY ? legacy : other); rest.p && !known;) {
            known = qd_str_eq(qd_str_split(&rest, ','), n->key);
        }
        if (!known && k == LEGACY) {
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
        if (qd_state_document(s, key_of(q->arena, COMPONENT, component))) continue;
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

static int put(qd_request *q, qd_response *r, kind k, qd_err *err)
{
    qd_json_node *root;
    qd_buf b;
    qd_json_writer w;
    bool create;
    qd_str name = qd_param(q, "name"), key = key_of(q->arena, k, name);
    int rc = qd_param_bool(q, "create", false, &create, err);
    if (!rc) rc = check_name(name, err);
    if (!rc) rc = qd_json_parse(q->arena, q->body, 0, &root, err);
    if (!rc) rc = check_members(root, k, err);
    if (!rc && k == COMPOSABLE) rc = check_components(q, root, name, err);
    if (rc) return rc;
    qd_buf_init(&b, q->a->account, TEMPLATE_MAX);
    qd_json_writer_init(&w, &b, false);
    qd_json_object(&w);
    rc = k == LEGACY ? write_legacy(q, root, &w, err) : write_composable(q, root, k, &w, err);
    if (!rc) {
        qd_json_object_end(&w);
        if (qd_buf_status(&b)) rc = qd_err_nomem(err, "template");
    }
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

static void write_stored(const qd_request *q, kind k, qd_str value, qd_json_writer *w)
{
    bool flat = qd_param_has(q, "flat_settings");
    if (flat && !qd_str_is(qd_param(q, "flat_settings"), "false"))
        qdi_template_flat(q->arena, value, k != LEGACY, w);
    else
        qd_json_raw_value(w, value);
}

static void write_one(const qd_request *q, kind k, const qd_state_document_record *d,
                      qd_json_writer *w)
{
    qd_str name = name_of(k, d->key);
    if (k == LEGACY) {
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

static int get(qd_request *q, qd_response *r, kind k, qd_err *err)
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
    if (!found && !pattern && k == LEGACY) {
        r->status = 404;
    } else if (!found && !pattern) {
        rc = qd_err_set(err, QD_E_NOTFOUND, "%s matching [%.*s] not found", kinds[k].words,
                        QD_STR_ARG(names));
        qd_err_type(err, "resource_not_found_exception", 404);
    }
    return rc;
}

static int delete_some(qd_request *q, qd_response *r, kind k, qd_err *err)
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
    return put(q, r, LEGACY, err);
}

int qdi_api_get_template(qd_request *q, qd_response *r, qd_err *err)
{
    return get(q, r, LEGACY, err);
}

int qdi_api_delete_template(qd_request *q, qd_response *r, qd_err *err)
{
    return delete_some(q, r, LEGACY, err);
}

int qdi_api_put_index_template(qd_request *q, qd_response *r, qd_err *err)
{
    return put(q, r, COMPOSABLE, err);
}

int qdi_api_get_index_template(qd_request *q, qd_response *r, qd_err *err)
{
    return get(q, r, COMPOSABLE, err);
}

int qdi_api_delete_index_template(qd_request *q, qd_response *r, qd_err *err)
{
    return delete_some(q, r, COMPOSABLE, err);
}

int qdi_api_put_component_template(qd_request *q, qd_response *r, qd_err *err)
{
    return put(q, r, COMPONENT, err);
}

int qdi_api_get_component_template(qd_request *q, qd_response *r, qd_err *err)
{
    return get(q, r, COMPONENT, err);
}

int qdi_api_delete_component_template(qd_request *q, qd_response *r, qd_err *err)
{
    return delete_some(q, r, COMPONENT, err);
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

static void template_row(cat_table *t, kind k, const qd_state_document_record *d)
{
    qd_json_node *root;
    if (qd_json_parse(t->q->arena, d->value, 0, &root, NULL)) return;
    const qd_json_node *order = qd_json_get(root, k == LEGACY ? "order" : "priority"),
                       *version = qd_json_get(root, "version");
    qdi_cat_str(t, name_of(k, d->key));
    list_cell(t, qd_json_get(root, "index_patterns"));
    qdi_cat_str(t, order ? qd_json_text(order) : QD_STR(""));
    qdi_cat_str(t, version ? qd_json_text(version) : QD_STR(""));
    if (k == LEGACY) {
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
    for (int k = LEGACY; k <= COMPOSABLE; k++) {
        for (uint32_t i = 0; i < s->ndocuments; i++) {
            const qd_state_document_record *d = &s->documents[i];
            if (!qd_str_starts(d->key, qd_str_c(kinds[k].prefix))) continue;
            if (qdi_listed(qd_param(q, "name"), name_of((kind)k, d->key))) {
                template_row(&t, (kind)k, d);
            }
        }
    }
    qd_state_unref(s);
    return qdi_cat_end(&t, r, err);
}

/* --- applying --- */

/* What an index begins with, lowest first. */
typedef struct layers {
    const qd_json_node *at[LAYERS_MAX]; /* objects with settings, mappings, aliases */
    uint32_t n;
} layers;

static bool matches(const qd_json_node *t, qd_str index)
{
    const qd_json_node *list = qd_json_get(t, "index_patterns");
    for (const qd_json_node *n = list ? list->first : NULL; n; n = n->next) {
        if (qd_pattern_match(qd_json_text(n), index)) return true;
    }
    return false;
}

static int64_t number_of(const qd_json_node *t, const char *key)
{
    int64_t v = 0;
    const qd_json_node *n = qd_json_get(t, key);
    return n && qd_str_i64(qd_json_text(n), &v) ? v : 0;
}

static int parse_document(qd_arena *a, const qd_state_document_record *d, qd_json_node **out,
                          qd_err *err)
{
    /* the text must live as long as the tree */
    qd_str copy = qd_arena_str(a, d->value);
    return copy.p ? qd_json_parse(a, copy, 0, out, err) : qd_err_nomem(err, "template");
}

static int add_components(const qd_state *s, qd_arena *a, const qd_json_node *t, layers *l,
                          qd_err *err)
{
    const qd_json_node *list = qd_json_get(t, "composed_of");
    int rc = 0;
    for (const qd_json_node *n = list ? list->first : NULL; n && !rc; n = n->next) {
        qd_json_node *root;
        const qd_state_document_record *d =
            qd_state_document(s, key_of(a, COMPONENT, qd_json_text(n)));
        if (!d || l->n == LAYERS_MAX) continue;
        rc = parse_document(a, d, &root, err);
        const qd_json_node *content = rc ? NULL : qd_json_get(root, "template");
        if (content) l->at[l->n++] = content;
    }
    return rc;
}

/* The composable template of highest priority that matches; NULL: none. */
static int find_composable(const qd_state *s, qd_arena *a, qd_str index, const qd_json_node **out,
                           qd_err *err)
{
    int64_t best = -1;
    *out = NULL;
    for (uint32_t i = 0; i < s->ndocuments; i++) {
        qd_json_node *root;
        if (!qd_str_starts(s->documents[i].key, qd_str_c(kinds[COMPOSABLE].prefix))) continue;
        int rc = parse_document(a, &s->documents[i], &root, err);
        if (rc) return rc;
        if (!matches(root, index) || number_of(root, "priority") <= best) continue;
        best = number_of(root, "priority");
        *out = root;
    }
    return 0;
}

static int by_order(const void *a, const void *b)
{
    int64_t x = number_of(*(const qd_json_node *const *)a, "order"),
            y = number_of(*(const qd_json_node *const *)b, "order");
    return (x > y) - (x < y);
}

static int collect(const qd_state *s, qd_arena *a, qd_str index, layers *l, qd_err *err)
{
    const qd_json_node *t;
    l->n = 0;
    int rc = find_composable(s, a, index, &t, err);
    if (rc) return rc;
    if (t) {
        rc = add_components(s, a, t, l, err);
        const qd_json_node *own = qd_json_get(t, "template");
        if (!rc && own && l->n < LAYERS_MAX) l->at[l->n++] = own;
        return rc;
    }
    for (uint32_t i = 0; i < s->ndocuments && !rc && l->n < LAYERS_MAX; i++) {
        qd_json_node *root;
        if (!qd_str_starts(s->documents[i].key, qd_str_c(kinds[LEGACY].prefix))) continue;
        rc = parse_document(a, &s->documents[i], &root, err);
        if (!rc && matches(root, index)) l->at[l->n++] = root;
    }
    qsort(l->at, l->n, sizeof l->at[0], by_order);
    return rc;
}

/* Does a definition stand for itself: a field that is no object? */
static bool is_leaf(const qd_json_node *n)
{
    const qd_json_node *type = qd_json_get(n, "type");
    return n->type != QD_JSON_T_OBJECT ||
           (type && type->type == QD_JSON_T_STRING && !qd_str_is(type->text, "object") &&
            !qd_str_is(type->text, "nested"));
}

/* Objects merged member by member, the last one winning; fields that are no objects as a whole.
 * Depth is that of JSON. */
static void write_merged(const qd_json_node *const *at, uint32_t n, qd_json_writer *w)
{
    qd_json_object(w);
    for (uint32_t i = 0; i < n; i++) {
        for (const qd_json_node *m = at[i]->first; m; m = m->next) {
            const qd_json_node *same[LAYERS_MAX + 1];
            uint32_t k = 0;
            bool before = false;
            for (uint32_t j = 0; j < i && !before; j++) before = qd_json_get_str(at[j], m->key);
            if (before) continue;
            for (uint32_t j = i; j < n; j++) {
                const qd_json_node *x = qd_json_get_str(at[j], m->key);
                if (!x) continue;
                if (is_leaf(x) || (k && is_leaf(same[k - 1]))) k = 0;
                same[k++] = x;
            }
            qd_json_key(w, m->key);
            if (k == 1) {
                qd_json_raw_value(w, same[0]->raw);
            } else {
                write_merged(same, k, w);
            }
        }
    }
    qd_json_object_end(w);
}

static int merge_mappings(const layers *l, qd_arena *a, qd_str *mapping, qd_err *err)
{
    const qd_json_node *at[LAYERS_MAX + 1];
    qd_json_node *own;
    uint32_t n = 0;
    qd_buf b;
    qd_json_writer w;
    for (uint32_t i = 0; i < l->n; i++) {
        const qd_json_node *m = qd_json_get(l->at[i], "mappings");
        if (m && m->type == QD_JSON_T_OBJECT && m->n) at[n++] = m;
    }
    if (!n) return 0;
    if (mapping->n) {
        int rc = qd_json_parse(a, *mapping, 0, &own, err);
        if (rc) return rc;
        if (own->type != QD_JSON_T_OBJECT) return 0; /* told by who parses it as a mapping */
        at[n++] = own;
    }
    qd_buf_init(&b, NULL, TEMPLATE_MAX);
    qd_json_writer_init(&w, &b, false);
    write_merged(at, n, &w);
    *mapping = qd_arena_str(a, qd_buf_view(&b));
    int rc = qd_buf_status(&b) || !mapping->p ? qd_err_nomem(err, "mapping of templates") : 0;
    qd_buf_fini(&b);
    return rc;
}

int qdi_settings_below(int rc, qd_settings *below, qd_settings **settings, qd_err *err)
{
    if (!rc && *settings) rc = qd_settings_merge(below, *settings, err);
    if (!rc) rc = qd_settings_seal(below, err);
    if (rc) {
        qd_settings_unref(below);
        return rc;
    }
    qd_settings_unref(*settings);
    *settings = below;
    return 0;
}

static int merge_settings(const layers *l, qd_settings **settings, qd_err *err)
{
    qd_settings *all = NULL;
    int rc = qd_settings_new(NULL, &all, err);
    for (uint32_t i = 0; i < l->n && !rc; i++) {
        qd_settings *one = NULL;
        const qd_json_node *n = qd_json_get(l->at[i], "settings");
        if (!n) continue;
        rc = qdi_settings_of(n, &one, err);
        if (!rc) rc = qd_settings_merge(all, one, err);
        qd_settings_unref(one);
    }
    return qdi_settings_below(rc, all, settings, err);
}

static int merge_aliases(const layers *l, qd_arena *a, qd_alias **aliases, uint32_t *naliases,
                         qd_err *err)
{
    qd_alias *all = NULL;
    uint32_t n = 0, room = *naliases;
    for (uint32_t i = 0; i < l->n; i++) {
        const qd_json_node *x = qd_json_get(l->at[i], "aliases");
        room += x ? x->n : 0;
    }
    if (room == *naliases) return 0;
    all = qd_arena_alloc(a, room * sizeof *all);
    if (!all) return qd_err_nomem(err, "aliases");
    for (uint32_t i = 0; i <= l->n; i++) {
        qd_alias *some = *aliases;
        uint32_t nsome = *naliases;
        if (i < l->n) {
            int rc = qdi_aliases_of(qd_json_get(l->at[i], "aliases"), a, &some, &nsome, err);
            if (rc) return rc;
        }
        for (uint32_t k = 0; k < nsome; k++) {
            uint32_t j = 0;
            while (j < n && !qd_str_eq(all[j].name, some[k].name)) j++;
            all[j] = some[k];
            if (j == n) n++;
        }
    }
    *aliases = all;
    *naliases = n;
    return 0;
}

int qdi_templates_apply(qd_actions *a, qd_arena *arena, qd_str index, qd_settings **settings,
                        qd_str *mapping, qd_alias **aliases, uint32_t *naliases, qd_err *err)
{
    qd_state *s = qd_cluster_state(a->cluster);
    layers *l = s->ndocuments ? qd_arena_alloc(arena, sizeof *l) : NULL;
    int rc = s->ndocuments && !l ? qd_err_nomem(err, "templates") : 0;
    if (!rc && l) rc = collect(s, arena, index, l, err);
    if (!rc && l && l->n) {
        rc = merge_mappings(l, arena, mapping, err);
        if (!rc) rc = merge_settings(l, settings, err);
        if (!rc) rc = merge_aliases(l, arena, aliases, naliases, err);
    }
    if (!rc) rc = qdi_index_defaults_apply(a, s, index, settings, err);
    qd_state_unref(s);
    return rc;
}
