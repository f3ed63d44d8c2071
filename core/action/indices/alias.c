/* alias.c: aliases: get, exist, put, delete, and many actions at once. */
#include "action/api/date_name.h"
#include "action/indices/indices_int.h"
#include "base/str.h"
#include "base/vec.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALIAS_OPTIONS (QD_EXPAND_OPEN | QD_EXPAND_CLOSED)

typedef QD_VEC(qd_alias_action) alias_actions;

/* --- get --- */

static bool is_one(qd_str pattern, qd_str alias)
{
    return qd_str_is(pattern, "_all") || qd_pattern_match(pattern, alias);
}

static bool is_excluding(qd_str name)
{
    return name.n && name.p[0] == '-';
}

bool qdi_alias_wanted(qd_str names, qd_str alias)
{
    bool wanted = !names.n;
    for (qd_str rest = names; names.n && rest.p;) {
        qd_str one = qd_str_split(&rest, ',');
        if (!is_excluding(one))
            wanted = wanted || is_one(one, alias);
        else if (wanted)
            wanted = !is_one(qd_str_sub(one, 1, one.n), alias);
    }
    return wanted;
}

static bool index_has(const qd_index_meta *m, qd_str names)
{
    for (uint32_t i = 0; i < m->naliases; i++)
        if (qdi_alias_wanted(names, m->aliases[i].name)) return true;
    return !names.n;
}

/* Does a later "-x" take a name away? Only from the first pattern on "-x" is more than a name. */
static bool is_excluded(qd_str name, qd_str later, bool pattern_seen)
{
    while (later.p) {
        qd_str one = qd_str_split(&later, ',');
        pattern_seen = pattern_seen || qd_str_find(one, '*') >= 0;
        if (pattern_seen && is_excluding(one) && is_one(qd_str_sub(one, 1, one.n), name))
            return true;
    }
    return false;
}

static int by_name(const void *a, const void *b)
{
    return qd_str_cmp(*(const qd_str *)a, *(const qd_str *)b);
}

/* Names asked for literally that no index has: they make the answer a 404. */
static uint32_t missing_names(const qd_resolved *found, qd_str names, qd_str *out)
{
    bool pattern_seen = false;
    uint32_t n = 0;
    for (qd_str rest = names; rest.p && names.n;) {
        qd_str one = qd_str_split(&rest, ',');
        bool exclusion = pattern_seen && is_excluding(one);
        pattern_seen = pattern_seen || qd_str_find(one, '*') >= 0;
        bool there = exclusion || qd_str_find(one, '*') >= 0 || qd_str_is(one, "_all") ||
                     one.n == 0 || is_excluded(one, rest, pattern_seen);
        for (uint32_t i = 0; i < found->n && !there; i++)
            there = qd_index_meta_alias(found->at[i], one) != NULL;
        for (uint32_t i = 0; i < n && !there; i++) there = qd_str_eq(out[i], one);
        if (!there) out[n++] = one;
    }
    if (n) qsort(out, n, sizeof *out, by_name);
    return n;
}

static int write_missing(qd_request *q, qd_response *r, const qd_resolved *found, qd_str names,
                         qd_err *err)
{
    qd_buf text;
    uint32_t most = 1;
    for (size_t i = 0; i < names.n; i++) most += names.p[i] == ',';
    qd_str *missing = qd_arena_alloc(q->arena, most * sizeof *missing);
    if (!missing) return qd_err_nomem(err, "aliases");
    uint32_t n = missing_names(found, names, missing);
    if (!n) return 0;
    qd_buf_init(&text, NULL, 65536);
    for (uint32_t i = 0; i < n; i++) {
        if (i) (void)qd_buf_char(&text, ',');
        (void)qd_buf_str(&text, missing[i]);
    }
    r->status = 404;
    qd_json_key_c(&r->w, "error");
    qd_json_printf(&r->w, "alias%s [%.*s] missing", n > 1 ? "es" : "",
                   QD_STR_ARG(qd_buf_view(&text)));
    qd_json_field_int(&r->w, "status", 404);
    qd_buf_fini(&text);
    return 0;
}

/* The aliases of a data stream are told once, with its write index, and by its name. */
static bool is_told(const qd_state *s, const qd_index_meta *m)
{
    const qd_alias_group *g = qd_state_stream_of(s, m);
    return !g || g->write_index == m;
}

int qdi_api_indices_get_alias(qd_request *q, qd_response *r, qd_err *err)
{
    qd_resolved found;
    qd_str names = qd_param(q, "name");
    qd_state *s = qd_cluster_state(q->a->cluster);
    qd_str copy = qd_arena_str(q->arena, names);
    int rc = qd_param_indices(q, s, ALIAS_OPTIONS | QD_ALLOW_NO_INDICES, &found, err);
    if (!rc) rc = qdi_blocks_check(q->a, &found, QDI_BLOCK_METADATA_READ, err);
    if (!rc) {
        qd_json_object(&r->w);
        rc = write_missing(q, r, &found, names, err);
        for (uint32_t i = 0; i < found.n && !rc; i++) {
            if (!index_has(found.at[i], names) || !is_told(s, found.at[i])) continue;
            qd_str stream = found.at[i]->place.stream;
            qd_json_key(&r->w, stream.n ? stream : found.at[i]->name);
            qd_json_object(&r->w);
            qd_json_key_c(&r->w, "aliases");
            qdi_write_aliases(found.at[i], names.n ? copy.p : NULL, &r->w);
            qd_json_object_end(&r->w);
        }
        qd_json_object_end(&r->w);
    }
    qd_state_unref(s);
    return rc;
}

int qdi_api_indices_exists_alias(qd_request *q, qd_response *r, qd_err *err)
{
    qd_resolved found;
    bool any = false;
    qd_state *s = qd_cluster_state(q->a->cluster);
    int rc = qd_param_indices(q, s, ALIAS_OPTIONS | QD_ALLOW_NO_INDICES | QD_IGNORE_UNAVAILABLE,
                              &found, err);
    for (uint32_t i = 0; !rc && i < found.n; i++)
        any |= index_has(found.at[i], qd_param(q, "name"));
    r->status = any ? 200 : 404;
    qd_state_unref(s);
    return rc;
}

/* --- change --- */

/* Names as of now: those with date math are resolved. */
static int dated(const qd_request *q, qd_str names, qd_str *out, qd_err *err)
{
    return qdi_date_names(q->arena, names, qd_env_wall_ms(q->a->env), out, err);
}

static int add_actions(alias_actions *list, const qd_resolved *found, qd_alias_action_type type,
                       const qd_alias *alias, bool *matched, qd_err *err)
{
    for (uint32_t i = 0; i < found->n; i++) {
        const qd_index_meta *m = found->at[i];
        if (type != QD_ALIAS_REMOVE) {
            qd_alias_action a = {.type = type, .index = m};
            if (alias) a.alias = *alias;
            if (qd_vec_push(list, NULL, a)) return qd_err_nomem(err, "aliases");
            continue;
        }
        for (uint32_t k = 0; k < m->naliases; k++) { /* names to remove may be patterns */
            bool all = qd_str_is(alias->name, "_all");
            if (!all && !qd_pattern_match(alias->name, m->aliases[k].name)) continue;
            *matched = true;
            qd_alias_action a = {type, m, {.name = m->aliases[k].name}};
            if (qd_vec_push(list, NULL, a)) return qd_err_nomem(err, "aliases");
        }
    }
    return 0;
}

/* Aliases of a data stream are those of all its indices: a single one has none of its own. */
static int check_streams(const qd_state *s, qd_str indices, qd_err *err)
{
    for (qd_str rest = indices; rest.p;) {
        qd_str one = qd_str_split(&rest, ',');
        const qd_index_meta *m = qd_state_index(s, one);
        if (!m || !m->place.stream.n) continue;
        return qd_err_set(err, QD_E_ARG,
                          "The provided expressions [%.*s] match a backing index belonging to data "
                          "stream [%.*s]. Data stream backing indices don't support aliases.",
                          QD_STR_ARG(one), QD_STR_ARG(m->place.stream));
    }
    return 0;
}

static int aliases_missing(qd_str name, qd_err *err)
{
    int rc = qd_err_set(err, QD_E_ALIASES_MISSING, "aliases [%.*s] missing", QD_STR_ARG(name));
    qd_err_detail_str(err, "resource.type", QD_STR("aliases"));
    qd_err_detail_str(err, "resource.id", name);
    return rc;
}

int qdi_api_indices_put_alias(qd_request *q, qd_response *r, qd_err *err)
{
    qd_resolved found;
    qd_alias alias;
    qd_str name;
    qd_json_node *root = NULL;
    alias_actions list = {0};
    bool matched = false;
    qd_state *s = qd_cluster_state(q->a->cluster);
    int rc = q->body.n ? qd_json_parse(q->arena, q->body, 0, &root, err) : 0;
    if (!rc) rc = dated(q, qd_param(q, "name"), &name, err);
    if (!rc) rc = qdi_alias_of(root, name, &alias, err);
    if (!rc) rc = qdi_alias_check(q, &alias, err);
    if (!rc) rc = check_streams(s, qd_param(q, "index"), err);
    if (!rc) rc = qd_param_indices(q, s, ALIAS_OPTIONS, &found, err);
    if (!rc) rc = qdi_blocks_check(q->a, &found, QDI_BLOCK_METADATA_WRITE, err);
    if (!rc) rc = add_actions(&list, &found, QD_ALIAS_ADD, &alias, &matched, err);
    if (!rc) {
        rc = qd_cluster_update_aliases(q->a->cluster, list.at, (uint32_t)list.n, NULL, err);
    }
    qd_vec_fini(&list);
    qd_state_unref(s);
    if (!rc) qdi_answer_acknowledged(q, r);
    return rc;
}

int qdi_api_indices_delete_alias(qd_request *q, qd_response *r, qd_err *err)
{
    qd_resolved found;
    qd_str names;
    alias_actions list = {0};
    bool matched = false;
    qd_state *s = qd_cluster_state(q->a->cluster);
    int rc = dated(q, qd_param(q, "name"), &names, err);
    if (!rc) rc = qd_param_indices(q, s, ALIAS_OPTIONS, &found, err);
    if (!rc) rc = qdi_blocks_check(q->a, &found, QDI_BLOCK_METADATA_WRITE, err);
    for (qd_str rest = names; !rc && rest.p;) {
        qd_alias alias = {.name = qd_str_split(&rest, ',')};
        rc = add_actions(&list, &found, QD_ALIAS_REMOVE, &alias, &matched, err);
    }
    if (!rc && !matched) rc = aliases_missing(names, err);
    if (!rc) {
        rc = qd_cluster_update_aliases(q->a->cluster, list.at, (uint32_t)list.n, NULL, err);
    }
    qd_vec_fini(&list);
    qd_state_unref(s);
    if (!rc) qdi_answer_acknowledged(q, r);
    return rc;
}

/* --- _aliases --- */

#define NAMES_MAX ((size_t)16 << 20)

/* Comma-joined text of "x" or "xs" (a string or a list), those with date math as of now. */
static int names_of(const qd_request *q, const qd_json_node *n, const char *one, const char *many,
                    qd_str *out, qd_err *err)
{
    const qd_json_node *x = qd_json_get(n, one);
    if (!x) x = qd_json_get(n, many);
    *out = (qd_str){NULL, 0};
    if (!x) return 0;
    if (x->type != QD_JSON_T_ARRAY) return dated(q, qd_json_text(x), out, err);
    qd_buf b;
    qd_buf_init(&b, q->arena->account, NAMES_MAX);
    for (const qd_json_node *e = x->first; e; e = e->next) {
        if (b.n) (void)qd_buf_char(&b, ',');
        (void)qd_buf_str(&b, qd_json_text(e));
    }
    qd_str all = qd_arena_str(q->arena, qd_buf_view(&b));
    int rc = qd_buf_status(&b) || (b.n && !all.p) ? qd_err_nomem(err, "names of an action") : 0;
    qd_buf_fini(&b);
    return rc ? rc : dated(q, all, out, err);
}

/* "[line:column] [parser] text" at a place of the body, around what is in err. */
static int fail_at(const qd_request *q, const char *place, qd_err *err, const char *parser,
                   const char *text, qd_str name)
{
    qd_json_reader r = QD_JSON_READER(NULL);
    uint32_t line, column;
    qd_json_reader_init(&r, q->body, 0, 0);
    qd_json_position(&r, place, &line, &column);
    qd_json_reader_fini(&r);
    return qd_err_wrap(err, QD_E_XCONTENT, "[%u:%u] [%s] %s [%.*s]", line, column, parser, text,
                       QD_STR_ARG(name));
}

/* Where the key of a member stands; keys with escapes are no views of the body. */
static const char *key_place(const qd_request *q, const qd_json_node *m)
{
    bool view = m->key.p > q->body.p && m->key.p < m->raw.p;
    return view ? m->key.p - 1 : m->raw.p;
}

/* The options of an add action: all but its names. */
static int options_of(const qd_request *q, const qd_json_node *n, qd_alias *out, qd_err *err)
{
    qd_str both = {NULL, 0}; /* where neither of the two is given */
    for (const qd_json_node *m = n->first; m; m = m->next) {
        if (qd_str_is(m->key, "filter")) out->filter = m->raw;
        if (qd_str_is(m->key, "routing")) both = qd_json_text(m);
        if (qd_str_is(m->key, "index_routing")) out->index_routing = qd_json_text(m);
        if (qd_str_is(m->key, "search_routing")) out->search_routing = qd_json_text(m);
        if (qd_str_is(m->key, "is_write_index")) out->is_write_index = m->truth;
        if (qd_str_is(m->key, "is_hidden")) out->is_hidden = m->truth;
        static const char *const known[] = {
            "filter", "routing", "index_routing", "search_routing", "is_write_index", "is_hidden",
            "index",  "indices", "alias",         "aliases",        "must_exist"};
        bool fine = false;
        for (size_t i = 0; i < QD_COUNT_OF(known); i++) fine |= qd_str_is(m->key, known[i]);
        if (fine) continue;
        char kind[32];
        snprintf(kind, sizeof kind, "%.*s", QD_STR_ARG(n->key));
        (void)fail_at(q, key_place(q, m), err, kind, "unknown field", m->key);
        return fail_at(q, m->raw.p, err, "alias_action", "failed to parse field", n->key);
    }
    if (both.p && !out->index_routing.p) out->index_routing = both;
    if (both.p && !out->search_routing.p) out->search_routing = both;
    return 0;
}

static int type_of(const qd_request *q, const qd_json_node *x, qd_alias_action_type *out,
                   qd_err *err)
{
    if (qd_str_is(x->key, "add")) {
        *out = QD_ALIAS_ADD;
    } else if (qd_str_is(x->key, "remove")) {
        *out = QD_ALIAS_REMOVE;
    } else if (qd_str_is(x->key, "remove_index")) {
        *out = QD_ALIAS_REMOVE_INDEX;
    } else {
        return fail_at(q, key_place(q, x), err, "alias_action", "unknown field", x->key);
    }
    return 0;
}

/* An action's own errors: of its form, before any name is looked up. */
static int read_action(qd_request *q, const qd_json_node *n, qd_alias_action_type *type,
                       qd_alias *alias, qd_str *indices, qd_str *aliases, qd_err *err)
{
    const qd_json_node *x = n->type == QD_JSON_T_OBJECT ? n->first : NULL;
    if (!x || x->type != QD_JSON_T_OBJECT) {
        return qd_err_set(err, QD_E_ARG, "One of [add], [remove] or [remove_index] is required");
    }
    int rc = type_of(q, x, type, err);
    if (!rc && x->next) {
        return qd_err_set(err, QD_E_ARG, "Too many operations declared on operation entry");
    }
    if (!rc) rc = options_of(q, x, alias, err);
    if (rc) return rc;
    static const char *const lists[] = {"indices", "aliases"};
    for (size_t i = 0; i < QD_COUNT_OF(lists); i++) {
        const qd_json_node *l = qd_json_get(x, lists[i]);
        if (l && l->type == QD_JSON_T_ARRAY && !l->n)
            return qd_err_set(err, QD_E_ARG, "[%s] can't be empty", lists[i]);
    }
    rc = names_of(q, x, "index", "indices", indices, err);
    if (!rc) rc = names_of(q, x, "alias", "aliases", aliases, err);
    if (rc) return rc;
    if (!indices->n) return qd_err_set(err, QD_E_ARG, "One of [index] or [indices] is required");
    if (!aliases->n && *type != QD_ALIAS_REMOVE_INDEX) {
        return qd_err_set(err, QD_E_ARG, "One of [alias] or [aliases] is required");
    }
    return 0;
}

static int parse_alias_action(qd_request *q, const qd_state *s, const qd_json_node *n,
                              alias_actions *list, qd_err *err)
{
    qd_alias_action_type type = QD_ALIAS_ADD;
    qd_resolved found;
    qd_str indices, aliases;
    qd_alias alias = {.is_write_index = -1};
    int rc = read_action(q, n, &type, &alias, &indices, &aliases, err);
    if (rc) {
        const char *end = n->raw.p + n->raw.n;
        return fail_at(q, end, err, "aliases", "failed to parse field", QD_STR("actions"));
    }
    bool matched = type != QD_ALIAS_REMOVE;
    uint32_t options = type == QD_ALIAS_REMOVE_INDEX
                           ? ALIAS_OPTIONS | QD_FORBID_ALIASES | QD_NO_ALIASES
                           : ALIAS_OPTIONS;
    rc = type == QD_ALIAS_REMOVE_INDEX ? qdi_check_named(q, indices, err)
                                       : check_streams(s, indices, err);
    if (!rc) rc = qd_state_resolve(s, indices, options, q->arena, &found, err);
    if (!rc) rc = qdi_check_uuid(q, &found, err);
    if (!rc) {
        uint32_t level =
            type == QD_ALIAS_REMOVE_INDEX ? QDI_BLOCK_DELETE : QDI_BLOCK_METADATA_WRITE;
        rc = qdi_blocks_check(q->a, &found, level, err);
    }
    if (!rc && type == QD_ALIAS_REMOVE_INDEX) {
        return add_actions(list, &found, type, NULL, &matched, err);
    }
    for (qd_str rest = aliases; !rc && rest.p;) {
        alias.name = qd_str_split(&rest, ',');
        if (type == QD_ALIAS_ADD) rc = qdi_alias_check(q, &alias, err);
        if (!rc) rc = add_actions(list, &found, type, &alias, &matched, err);
    }
    const qd_json_node *must = qd_json_get(n->first, "must_exist");
    if (!rc && !matched && (!must || must->truth)) rc = aliases_missing(aliases, err);
    return rc;
}

int qdi_api_indices_update_aliases(qd_request *q, qd_response *r, qd_err *err)
{
    qd_json_node *root;
    alias_actions list = {0};
    qd_state *s = qd_cluster_state(q->a->cluster);
    int rc = qd_json_parse(q->arena, q->body, 0, &root, err);
    const qd_json_node *actions = rc ? NULL : qd_json_get(root, "actions");
    for (const qd_json_node *n = rc ? NULL : root->first; n && !rc; n = n->next) {
        if (n != actions) rc = fail_at(q, key_place(q, n), err, "aliases", "unknown field", n->key);
    }
    if (!rc && (!actions || actions->type != QD_JSON_T_ARRAY || !actions->n)) {
        rc = qd_err_set(err, QD_E_ARG, "No action specified");
    }
    for (const qd_json_node *n = rc ? NULL : actions->first; n && !rc; n = n->next) {
        rc = parse_alias_action(q, s, n, &list, err);
    }
    if (!rc) {
        rc = qd_cluster_update_aliases(q->a->cluster, list.at, (uint32_t)list.n, NULL, err);
    }
    qd_vec_fini(&list);
    qd_state_unref(s);
    if (!rc) qdi_answer_acknowledged(q, r);
    return rc;
}
