/* templates_compose.c: what templates say together: layers of settings, mappings, aliases. */
#include "action/indices/indices_int.h"
#include "action/indices/templates_int.h"
#include "base/str.h"
#include <stdlib.h>

#define TEMPLATE_MAX ((size_t)16 << 20)

bool qdi_template_matches(const qd_json_node *t, qd_str index)
{
    const qd_json_node *list = qd_json_get(t, "index_patterns");
    if (list && list->type == QD_JSON_T_STRING) return qd_pattern_match(list->text, index);
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

int qdi_template_parse(qd_arena *a, const qd_state_document_record *d, qd_json_node **out,
                       qd_err *err)
{
    /* the text must live as long as the tree */
    qd_str copy = qd_arena_str(a, d->value);
    return copy.p ? qd_json_parse(a, copy, 0, out, err) : qd_err_nomem(err, "template");
}

static int add_components(const qd_state *s, qd_arena *a, const qd_json_node *t, template_layers *l,
                          qd_err *err)
{
    const qd_json_node *list = qd_json_get(t, "composed_of");
    int rc = 0;
    for (const qd_json_node *n = list ? list->first : NULL; n && !rc; n = n->next) {
        qd_json_node *root;
        const qd_state_document_record *d =
            qd_state_document(s, qdi_template_key(a, TEMPLATE_COMPONENT, qd_json_text(n)));
        if (!d || l->n == TEMPLATE_LAYERS_MAX) continue;
        rc = qdi_template_parse(a, d, &root, err);
        const qd_json_node *content = rc ? NULL : qd_json_get(root, "template");
        if (content) l->at[l->n++] = content;
    }
    return rc;
}

int qdi_template_best(const qd_state *s, qd_arena *a, qd_str index, qd_str *best_name,
                      const qd_json_node **out, qd_err *err)
{
    int64_t best = -1;
    *out = NULL;
    for (uint32_t i = 0; i < s->ndocuments; i++) {
        qd_json_node *root;
        qd_str name;
        if (!qdi_template_is(TEMPLATE_COMPOSABLE, s->documents[i].key, &name)) continue;
        int rc = qdi_template_parse(a, &s->documents[i], &root, err);
        if (rc) return rc;
        if (!qdi_template_matches(root, index) || number_of(root, "priority") <= best) continue;
        best = number_of(root, "priority");
        if (best_name) *best_name = name;
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

int qdi_template_layers(const qd_state *s, qd_arena *a, const qd_json_node *t, template_layers *l,
                        qd_err *err)
{
    l->n = 0;
    int rc = add_components(s, a, t, l, err);
    const qd_json_node *own = qd_json_get(t, "template");
    if (!rc && own && l->n < TEMPLATE_LAYERS_MAX) l->at[l->n++] = own;
    return rc;
}

static int collect(const qd_state *s, qd_arena *a, qd_str index, template_layers *l, qd_err *err)
{
    const qd_json_node *t;
    l->n = 0;
    int rc = qdi_template_best(s, a, index, NULL, &t, err);
    if (rc) return rc;
    if (t) return qdi_template_layers(s, a, t, l, err);
    for (uint32_t i = 0; i < s->ndocuments && !rc && l->n < TEMPLATE_LAYERS_MAX; i++) {
        qd_json_node *root;
        qd_str name;
        if (!qdi_template_is(TEMPLATE_LEGACY, s->documents[i].key, &name)) continue;
        rc = qdi_template_parse(a, &s->documents[i], &root, err);
        if (!rc && qdi_template_matches(root, index)) l->at[l->n++] = root;
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
            const qd_json_node *same[TEMPLATE_LAYERS_MAX + 1];
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

static int merge_mappings(const template_layers *l, qd_arena *a, qd_str *mapping, qd_err *err)
{
    const qd_json_node *at[TEMPLATE_LAYERS_MAX + 1];
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

static int merge_settings(const template_layers *l, qd_settings **settings, qd_err *err)
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

static int merge_aliases(const template_layers *l, qd_arena *a, qd_alias **aliases,
                         uint32_t *naliases, qd_err *err)
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

int qdi_template_merge(const template_layers *l, qd_arena *arena, qd_settings **settings,
                       qd_str *mapping, qd_alias **aliases, uint32_t *naliases, qd_err *err)
{
    int rc = merge_mappings(l, arena, mapping, err);
    if (!rc) rc = merge_settings(l, settings, err);
    return rc ? rc : merge_aliases(l, arena, aliases, naliases, err);
}

int qdi_templates_apply(qd_actions *a, qd_arena *arena, qd_str index, qd_settings **settings,
                        qd_str *mapping, qd_alias **aliases, uint32_t *naliases, qd_err *err)
{
    qd_state *s = qd_cluster_state(a->cluster);
    template_layers *l = s->ndocuments ? qd_arena_alloc(arena, sizeof *l) : NULL;
    int rc = s->ndocuments && !l ? qd_err_nomem(err, "templates") : 0;
    if (!rc && l) rc = collect(s, arena, index, l, err);
    if (!rc && l && l->n)
        rc = qdi_template_merge(l, arena, settings, mapping, aliases, naliases, err);
    if (!rc) rc = qdi_index_defaults_apply(a, s, index, settings, err);
    qd_state_unref(s);
    return rc;
}
