/*
 * execute.c: an execution of an enrich policy. It checks the fields of the sources, makes a hidden
 * index of one shard, copies the fields with a reindex that gives the copies new ids, merges the
 * index to one segment, makes it read-only with a copy on every node, moves the alias, and deletes
 * the indices that had it. A failure deletes the new index and leaves the alias where it is.
 */
#include "action/enrich/enrich_int.h"
#include "base/log.h"
#include <stdio.h>
#include <string.h>

#define BODY_MAX ((size_t)8 << 20)
#define LEFT_MS (24 * 3600 * 1000) /* older indices that no alias names are leftovers */

typedef struct execution {
    qd_actions *a;
    enrich_policy p;
    qd_arena *arena;
    qd_str index, alias; /* the new index */
    qd_str *before;      /* indices that had the alias when it moved */
    uint32_t nbefore;
    qd_str type; /* JSON of the mapping of the match field */
    enrich_running running;
} execution;

/* --- one at a time ---------------------------------------------------------------------------- */

int qdi_enrich_enter(qd_enrich *e, enrich_running *r, qd_str policy, qd_err *err)
{
    bool busy = false;
    snprintf(r->name, sizeof r->name, "%.*s", QD_STR_ARG(policy));
    qd_mutex_lock(&e->lock);
    for (const enrich_running *k = e->first; k; k = k->next) busy |= strcmp(k->name, r->name) == 0;
    if (!busy) {
        r->next = e->first;
        e->first = r;
    }
    qd_mutex_unlock(&e->lock);
    if (!busy) return 0;
    return qd_err_set(err, QD_E_REJECTED,
                      "Could not obtain lock because policy execution for [%s] is already in "
                      "progress.",
                      r->name);
}

void qdi_enrich_leave(qd_enrich *e, enrich_running *r)
{
    qd_mutex_lock(&e->lock);
    enrich_running **at = &e->first;
    while (*at && *at != r) at = &(*at)->next;
    if (*at) *at = r->next;
    qd_mutex_unlock(&e->lock);
}

/* --- fields of the sources -------------------------------------------------------------------- */

/* The mapping of a field with dots in its name; NULL: there is none, or it lies in nested objects,
 * of which a copy would be something else. */
static const qd_json_node *field_of(const qd_json_node *mapping, qd_str name)
{
    const qd_json_node *props = mapping ? qd_json_get(mapping, "properties") : NULL;
    for (qd_str rest = name; props;) {
        ptrdiff_t dot = qd_str_find(rest, '.');
        const qd_json_node *f =
            qd_json_get_str(props, dot < 0 ? rest : qd_str_sub(rest, 0, (size_t)dot));
        const qd_json_node *type = f ? qd_json_get(f, "type") : NULL;
        if (type && qd_str_is(qd_json_text(type), "nested")) return NULL;
        if (dot < 0 || !f) return f;
        props = qd_json_get(f, "properties");
        rest = qd_str_sub(rest, (size_t)dot + 1, rest.n);
    }
    return NULL;
}

static bool is_range(qd_str type)
{
    return qd_str_ends(type, QD_STR("_range"));
}

/* The type that the index gets for a range: as the sources have it, all of them the same. */
static int take_range(execution *x, qd_str source, const qd_json_node *field, qd_err *err)
{
    const qd_json_node *type = qd_json_get(field, "type"), *format = qd_json_get(field, "format");
    qd_str name = type ? qd_json_text(type) : QD_STR("object");
    if (!is_range(name))
        return qd_err_set(err, QD_E_ARG,
                          "Field '%.*s' of index [%.*s] has type [%.*s] which doesn't appear to be "
                          "a range type",
                          QD_STR_ARG(x->p.match_field), QD_STR_ARG(source), QD_STR_ARG(name));
    qd_str text =
        format
            ? qd_arena_printf(x->arena, "{\"type\":\"%.*s\",\"doc_values\":false,\"format\":%.*s}",
                              QD_STR_ARG(name), QD_STR_ARG(format->raw))
            : qd_arena_printf(x->arena, "{\"type\":\"%.*s\",\"doc_values\":false}",
                              QD_STR_ARG(name));
    if (!text.p) return qd_err_nomem(err, "an enrich policy");
    if (x->type.n && !qd_str_eq(x->type, text))
        return qd_err_set(err, QD_E_ARG,
                          "Multiple distinct mapping types for field '%.*s' in the indices of "
                          "policy [%.*s]",
                          QD_STR_ARG(x->p.match_field), QD_STR_ARG(x->p.name));
    x->type = text;
    return 0;
}

static int check_source(execution *x, const qd_json_node *source, qd_err *err)
{
    const qd_json_node *mapping = qd_json_get(source, "mappings");
    const qd_json_node *field = field_of(mapping, x->p.match_field);
    if (!qd_json_get(mapping, "properties"))
        return qd_err_set(err, QD_E_ARG,
                          "Enrich policy execution for [%.*s] failed. No mapping available on "
                          "source [%.*s]",
                          QD_STR_ARG(x->p.name), QD_STR_ARG(source->key));
    if (!field)
        return qd_err_set(err, QD_E_ARG,
                          "Enrich policy execution for [%.*s] failed while validating field "
                          "mappings for index [%.*s]: Could not traverse mapping to field [%.*s]",
                          QD_STR_ARG(x->p.name), QD_STR_ARG(source->key),
                          QD_STR_ARG(x->p.match_field));
    if (x->p.type == ENRICH_RANGE) return take_range(x, source->key, field, err);
    x->type = QD_STR("{\"type\":\"keyword\",\"doc_values\":false}");
    return 0;
}

static qd_str joined(execution *x)
{
    qd_buf b;
    qd_buf_init(&b, NULL, BODY_MAX);
    for (const qd_json_node *k = x->p.indices->first; k; k = k->next) {
        if (b.n) (void)qd_buf_char(&b, ',');
        (void)qd_buf_str(&b, k->text);
    }
    qd_str text = qd_arena_str(x->arena, qd_buf_view(&b));
    qd_buf_fini(&b);
    return text;
}

static int check_sources(execution *x, qd_err *err)
{
    const qd_json_node *root = NULL;
    qd_pair params[] = {{QD_STR("index"), joined(x)},
                        {QD_STR("ignore_unavailable"), QD_STR("false")},
                        {QD_STR("allow_no_indices"), QD_STR("false")}};
    int rc = qdi_bq_call(x->a, "indices.get_mapping", params, 3, (qd_str){NULL, 0}, x->arena, &root,
                         err);
    for (const qd_json_node *k = rc ? NULL : root->first; k && !rc; k = k->next)
        rc = check_source(x, k, err);
    if (!rc && !x->type.n)
        rc = qd_err_set(err, QD_E_INDEX_NOT_FOUND, "policy [%.*s] has no source index",
                        QD_STR_ARG(x->p.name));
    return rc;
}

/* --- the index -------------------------------------------------------------------------------- */

static int call(execution *x, const char *api, const char *key, qd_str value, qd_str body,
                const qd_json_node **out, qd_err *err)
{
    const qd_json_node *root = NULL;
    qd_pair params[3] = {{QD_STR("index"), x->index}};
    uint32_t n = 1;
    if (qd_str_is(qd_str_c(api), "reindex") || qd_str_is(qd_str_c(api), "indices.update_aliases"))
        n = 0;
    if (key) params[n++] = (qd_pair){qd_str_c(key), value};
    int rc = qd_task_check(x->running.task, err);
    if (!rc) rc = qdi_bq_call(x->a, api, params, n, body, x->arena, &root, err);
    if (out) *out = root;
    return rc;
}

static int make_index(execution *x, qd_err *err)
{
    static const char *const names[] = {"match", "range"};
    qd_json_writer w;
    qd_buf b;
    qd_buf_init(&b, NULL, BODY_MAX);
    qd_json_writer_init(&w, &b, false);
    qd_json_object(&w);
    qd_json_key_c(&w, "settings");
    qd_json_raw_value(&w, QD_STR("{\"index.hidden\":true,\"index.number_of_shards\":1,"
                                 "\"index.number_of_replicas\":0,\"index.refresh_interval\":-1,"
                                 "\"index.max_inner_result_window\":128}"));
    qd_json_key_c(&w, "mappings");
    qd_json_object(&w);
    qd_json_field_bool(&w, "dynamic", false);
    qd_json_key_c(&w, "_meta");
    qd_json_object(&w);
    qd_json_field_c(&w, "enrich_readme",
                    "This index is managed by an enrich policy and should not be modified "
                    "directly.");
    qd_json_field_str(&w, "enrich_policy_name", x->p.name);
    qd_json_field_str(&w, "enrich_match_field", x->p.match_field);
    qd_json_field_c(&w, "enrich_policy_type", names[x->p.type]);
    qd_json_object_end(&w);
    qd_json_key_c(&w, "properties");
    qd_json_object(&w);
    qd_json_key(&w, x->p.match_field);
    qd_json_raw_value(&w, x->type);
    qd_json_object_end(&w);
    qd_json_object_end(&w);
    qd_json_object_end(&w);
    int rc = qd_buf_status(&b) ? qd_err_nomem(err, "an enrich index") : 0;
    if (!rc) rc = call(x, "indices.create", NULL, (qd_str){NULL, 0}, qd_buf_view(&b), NULL, err);
    qd_buf_fini(&b);
    return rc;
}

/* The copies get ids of their own: those of several sources may be the same. */
static int copy(execution *x, qd_err *err)
{
    const qd_json_node *root = NULL;
    qd_json_writer w;
    qd_buf b;
    qd_buf_init(&b, NULL, BODY_MAX);
    qd_json_writer_init(&w, &b, false);
    qd_json_object(&w);
    qd_json_key_c(&w, "source");
    qd_json_object(&w);
    qd_json_key_c(&w, "index");
    qd_json_array(&w);
    for (const qd_json_node *k = x->p.indices->first; k; k = k->next) qd_json_str(&w, k->text);
    qd_json_array_end(&w);
    qd_json_key_c(&w, "_source");
    qd_json_array(&w);
    qd_json_str(&w, x->p.match_field);
    for (const qd_json_node *k = x->p.fields->first; k; k = k->next) qd_json_str(&w, k->text);
    qd_json_array_end(&w);
    if (x->p.query.p) {
        qd_json_key_c(&w, "query");
        qd_json_raw_value(&w, x->p.query);
    }
    qd_json_object_end(&w);
    qd_json_key_c(&w, "dest");
    qd_json_object(&w);
    qd_json_field_str(&w, "index", x->index);
    qd_json_field_c(&w, "routing", "discard");
    qd_json_object_end(&w);
    qd_json_key_c(&w, "script");
    qd_json_raw_value(&w, QD_STR("{\"lang\":\"painless\",\"source\":\"ctx._id = null\"}"));
    qd_json_object_end(&w);
    int rc = qd_buf_status(&b) ? qd_err_nomem(err, "an enrich index") : 0;
    if (!rc) rc = call(x, "reindex", NULL, (qd_str){NULL, 0}, qd_buf_view(&b), &root, err);
    qd_buf_fini(&b);
    const qd_json_node *failures = rc ? NULL : qd_json_get(root, "failures");
    const qd_json_node *ended = rc ? NULL : qd_json_get(root, "canceled");
    if (!rc && ended)
        rc = qd_err_set(err, QD_E_CANCELLED, "task cancelled [%.*s]", QD_STR_ARG(ended->text));
    if (!rc && failures && failures->n)
        rc = qd_err_set(err, QD_E_INTERNAL,
                        "Encountered bulk failures during enrich policy execution: %.*s",
                        (int)(failures->raw.n < 1024 ? failures->raw.n : 1024), failures->raw.p);
    return rc;
}

static int move_alias(execution *x, qd_err *err)
{
    qd_json_writer w;
    qd_buf b;
    qd_buf_init(&b, NULL, BODY_MAX);
    qd_json_writer_init(&w, &b, false);
    qd_json_object(&w);
    qd_json_key_c(&w, "actions");
    qd_json_array(&w);
    qd_state *s = qd_cluster_state(x->a->cluster);
    const qd_alias_group *g = qd_state_alias(s, x->alias);
    uint32_t had = g ? g->n : 0;
    x->before = qd_arena_calloc(x->arena, (had + 1ul) * sizeof *x->before);
    for (uint32_t i = 0; x->before && i <= had; i++) {
        bool last = i == had;
        if (!last) x->before[i] = qd_arena_str(x->arena, g->indices[i]->name);
        qd_json_object(&w);
        qd_json_key_c(&w, last ? "add" : "remove");
        qd_json_object(&w);
        qd_json_field_str(&w, "index", last ? x->index : g->indices[i]->name);
        qd_json_field_str(&w, "alias", x->alias);
        if (last) qd_json_field_bool(&w, "is_hidden", true);
        qd_json_object_end(&w);
        qd_json_object_end(&w);
    }
    qd_state_unref(s);
    qd_json_array_end(&w);
    qd_json_object_end(&w);
    int rc = qd_buf_status(&b) || !x->before ? qd_err_nomem(err, "an alias") : 0;
    if (!rc) x->nbefore = had;
    if (!rc)
        rc = call(x, "indices.update_aliases", NULL, (qd_str){NULL, 0}, qd_buf_view(&b), NULL, err);
    qd_buf_fini(&b);
    return rc;
}

void qdi_enrich_drop_indices(qd_actions *a, qd_str policy, qd_str but, int64_t since_ms)
{
    qd_arena arena;
    qd_err why;
    qd_arena_init(&arena, a->account, 0);
    qd_state *s = qd_cluster_state(a->cluster);
    for (uint32_t i = 0; i < s->n; i++) {
        const qd_json_node *root;
        int64_t made;
        qd_str name = s->indices[i]->name;
        if (!qdi_enrich_is_index(name, policy, &made) || made >= since_ms || qd_str_eq(name, but))
            continue;
        qd_pair params[] = {{QD_STR("index"), name}};
        qd_err_init(&why);
        if (qdi_bq_call(a, "indices.delete", params, 1, (qd_str){NULL, 0}, &arena, &root, &why) &&
            why.code != QD_E_NOTFOUND && why.code != QD_E_INDEX_NOT_FOUND)
            qd_log_warn("action", "the enrich index [%.*s] was not deleted: %s", QD_STR_ARG(name),
                        qd_err_reason(&why));
        qd_err_fini(&why);
    }
    qd_state_unref(s);
    qd_arena_fini(&arena);
}

static int steps(execution *x, qd_err *err)
{
    static const char blocks[] =
        "{\"index.blocks.write\":true,\"index.auto_expand_replicas\":\"0-all\"}";
    qd_str none = {NULL, 0};
    int rc = copy(x, err);
    if (!rc) rc = call(x, "indices.refresh", NULL, none, none, NULL, err);
    if (!rc) rc = call(x, "indices.forcemerge", "max_num_segments", QD_STR("1"), none, NULL, err);
    if (!rc) rc = call(x, "indices.refresh", NULL, none, none, NULL, err);
    if (!rc) rc = call(x, "indices.put_settings", NULL, none, qd_str_c(blocks), NULL, err);
    return rc ? rc : move_alias(x, err);
}

static void delete_index(execution *x, qd_str name)
{
    const qd_json_node *root;
    qd_pair params[] = {{QD_STR("index"), name}};
    if (name.n)
        (void)!qdi_bq_call(x->a, "indices.delete", params, 1, (qd_str){NULL, 0}, x->arena, &root,
                           NULL);
}

/* What had the alias before goes; while the new one is built, one of another node may be, too. */
static void clean(execution *x, int rc)
{
    if (rc) {
        delete_index(x, x->index);
        return;
    }
    for (uint32_t i = 0; i < x->nbefore; i++) delete_index(x, x->before[i]);
    qdi_enrich_drop_indices(x->a, x->p.name, x->index, qd_env_wall_ms(x->a->env) - LEFT_MS);
}

/* The policy may have been deleted meanwhile, and its deletion has not seen the new index. */
static int still_there(execution *x, qd_err *err)
{
    enrich_policy p;
    qd_state *s = qd_cluster_state(x->a->cluster);
    int rc = qdi_enrich_policy_get(s, x->p.name, x->arena, &p, err);
    qd_state_unref(s);
    return rc;
}

static int execute(execution *x, qd_err *err)
{
    x->alias = qd_arena_printf(x->arena, ENRICH_ALIAS "%.*s", QD_STR_ARG(x->p.name));
    x->index = qd_arena_printf(x->arena, ENRICH_ALIAS "%.*s-%lld", QD_STR_ARG(x->p.name),
                               (long long)qd_env_wall_ms(x->a->env));
    if (!x->alias.p || !x->index.p) return qd_err_nomem(err, "an enrich policy");
    int rc = check_sources(x, err);
    if (!rc) rc = make_index(x, err);
    if (rc) return rc;
    x->running.phase = "RUNNING";
    rc = steps(x, err);
    if (!rc) rc = still_there(x, err);
    clean(x, rc);
    return rc;
}

/* --- the request ------------------------------------------------------------------------------ */

static int load(qd_request *q, enrich_policy *p, qd_err *err)
{
    qd_state *s = qd_cluster_state(q->a->cluster);
    int rc = qdi_enrich_policy_get(s, qd_param(q, "name"), q->arena, p, err);
    qd_state_unref(s);
    return rc;
}

static int check(qd_request *q, qd_err *err)
{
    enrich_policy p;
    return load(q, &p, err);
}

static int run(qd_request *q, qd_response *r, qd_err *err)
{
    execution x = {.a = q->a, .arena = q->arena};
    x.running.task = &q->task;
    x.running.phase = "SCHEDULED";
    int rc = load(q, &x.p, err);
    if (!rc) rc = qdi_enrich_enter(qdi_enrich_of(q->a), &x.running, x.p.name, err);
    if (rc) return rc;
    rc = execute(&x, err);
    qdi_enrich_leave(qdi_enrich_of(q->a), &x.running);
    if (rc) return rc;
    qd_json_object(&r->w);
    qd_json_key_c(&r->w, "status");
    qd_json_object(&r->w);
    qd_json_field_c(&r->w, "phase", "COMPLETE");
    qd_json_object_end(&r->w);
    qd_json_object_end(&r->w);
    return 0;
}

static qd_str describe(const qd_request *q, qd_arena *arena)
{
    return qd_arena_printf(arena, "executing enrich policy [%.*s]",
                           QD_STR_ARG(qd_param(q, "name")));
}

int qdi_api_enrich_execute_policy(qd_request *q, qd_response *r, qd_err *err)
{
    static const bq_deferred deferred = {"cluster:admin/xpack/enrich/execute", false, check, run,
                                         describe};
    return qdi_deferred_run(q, &deferred, r, err);
}
