/*
 * templates_check.c: a template is tried when it is stored, so that a program learns of a mistake
 * at its start and not with its first document.
 */
#include "action/indices/indices_int.h"
#include "action/indices/templates_int.h"
#include "base/str.h"
#include "cluster/index_rules.h"

/* Makes an index's metadata of the layers, and drops it. */
static int try_layers(qd_request *q, const qd_state *s, const template_layers *l, qd_err *err)
{
    qd_settings *settings = NULL, *expanded = NULL;
    qd_alias *aliases = NULL;
    uint32_t naliases = 0;
    qd_str mapping = {NULL, 0};
    qd_index_meta *m = NULL;
    int rc = qd_settings_new(NULL, &settings, err);
    if (!rc) rc = qd_settings_seal(settings, err);
    if (!rc) rc = qdi_template_merge(l, q->arena, &settings, &mapping, &aliases, &naliases, err);
    if (!rc) rc = qd_index_expand(s, settings, &expanded, err);
    if (!rc) {
        qd_index_source src = {.uuid = "______________________",
                               .name = QD_STR("validate-template"),
                               .settings = expanded,
                               .mapping = mapping,
                               .aliases = aliases,
                               .naliases = naliases,
                               .version = 1,
                               .mapping_version = 1,
                               .settings_version = 1,
                               .aliases_version = 1,
                               .plugins = q->a->plugins};
        rc = qd_index_meta_make(&src, &m, err);
    }
    qd_index_meta_unref(m);
    qd_settings_unref(expanded);
    qd_settings_unref(settings);
    return rc;
}

/* "composed_of" as a list in a sentence. */
static qd_str components_of(qd_arena *a, const qd_json_node *t)
{
    const qd_json_node *list = qd_json_get(t, "composed_of");
    qd_str text = {"", 0};
    for (const qd_json_node *n = list ? list->first : NULL; n; n = n->next)
        text = qd_arena_printf(a, "%.*s%s%.*s", QD_STR_ARG(text), text.n ? ", " : "",
                               QD_STR_ARG(qd_json_text(n)));
    return text;
}

static int try_composable(qd_request *q, const qd_state *s, qd_str name, const qd_json_node *t,
                          qd_err *err)
{
    template_layers *l = qd_arena_alloc(q->arena, sizeof *l);
    if (!l) return qd_err_nomem(err, "template");
    int rc = qdi_template_layers(s, q->arena, t, l, err);
    if (!rc) rc = try_layers(q, s, l, err);
    if (!rc || rc == QD_E_NOMEM || rc == QD_E_BREAKER) return rc;
    qd_str parts = components_of(q->arena, t);
    return qd_err_wrap(err, QD_E_ARG,
                       "composable template [%.*s] template after composition%s%.*s%s is invalid",
                       QD_STR_ARG(name), parts.n ? " with component templates [" : "",
                       QD_STR_ARG(parts), parts.n ? "]" : "");
}

static bool names(const qd_json_node *t, qd_str component)
{
    const qd_json_node *list = qd_json_get(t, "composed_of");
    for (const qd_json_node *n = list ? list->first : NULL; n; n = n->next)
        if (qd_str_eq(qd_json_text(n), component)) return true;
    return false;
}

/* The layers of t with another content of one of its components. */
static int layers_with(qd_request *q, const qd_state *s, const qd_json_node *t, qd_str component,
                       const qd_json_node *content, template_layers *l, qd_err *err)
{
    const qd_json_node *list = qd_json_get(t, "composed_of"), *own = qd_json_get(t, "template");
    int rc = 0;
    for (const qd_json_node *n = list ? list->first : NULL; n && !rc; n = n->next) {
        qd_json_node *root;
        const qd_json_node *x = content;
        if (!qd_str_eq(qd_json_text(n), component)) {
            qd_str key = qdi_template_key(q->arena, TEMPLATE_COMPONENT, qd_json_text(n));
            const qd_state_document_record *d = qd_state_document(s, key);
            rc = d ? qdi_template_parse(q->arena, d, &root, err) : 0;
            x = d && !rc ? qd_json_get(root, "template") : NULL;
        }
        if (x && l->n < TEMPLATE_LAYERS_MAX) l->at[l->n++] = x;
    }
    if (own && l->n < TEMPLATE_LAYERS_MAX) l->at[l->n++] = own;
    return rc;
}

/* The templates that name the component, with what it says now in place of what it said. */
static int try_users(qd_request *q, const qd_state *s, qd_str name, const qd_json_node *content,
                     qd_err *err)
{
    int rc = 0;
    for (uint32_t i = 0; i < s->ndocuments && !rc; i++) {
        qd_json_node *t;
        qd_str user;
        if (!qdi_template_is(TEMPLATE_COMPOSABLE, s->documents[i].key, &user)) continue;
        rc = qdi_template_parse(q->arena, &s->documents[i], &t, err);
        if (rc || !names(t, name)) continue;
        template_layers *l = qd_arena_calloc(q->arena, sizeof *l);
        if (!l) return qd_err_nomem(err, "template");
        rc = layers_with(q, s, t, name, content, l, err);
        if (!rc) rc = try_layers(q, s, l, err);
        if (rc && rc != QD_E_NOMEM && rc != QD_E_BREAKER)
            rc = qd_err_wrap(err, QD_E_ARG,
                             "updating component template [%.*s] results in invalid composable "
                             "template [%.*s] after templates are merged",
                             QD_STR_ARG(name), QD_STR_ARG(user));
    }
    return rc;
}

int qdi_template_check(qd_request *q, template_kind k, qd_str name, qd_str stored, qd_err *err)
{
    qd_json_node *root;
    qd_str copy = qd_arena_str(q->arena, stored);
    if (!copy.p) return qd_err_nomem(err, "template");
    int rc = qd_json_parse(q->arena, copy, 0, &root, err);
    if (rc) return rc;
    qd_state *s = qd_cluster_state(q->a->cluster);
    const qd_json_node *own = k == TEMPLATE_LEGACY ? root : qd_json_get(root, "template");
    if (k == TEMPLATE_COMPOSABLE) {
        rc = try_composable(q, s, name, root, err);
    } else if (own) {
        template_layers *l = qd_arena_alloc(q->arena, sizeof *l);
        if (!l) rc = qd_err_nomem(err, "template");
        if (!rc) {
            *l = (template_layers){.at = {own}, .n = 1};
            rc = try_layers(q, s, l, err);
        }
        if (!rc && k == TEMPLATE_COMPONENT) rc = try_users(q, s, name, own, err);
    }
    qd_state_unref(s);
    return rc;
}
