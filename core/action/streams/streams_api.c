/* streams_api.c: _data_stream: create, get, delete, modify. */
#include "action/api/admin_int.h"
#include "action/indices/indices_int.h"
#include "action/streams/streams_int.h"
#include "base/str.h"
#include "base/vec.h"
#include <stdlib.h>

#define ACTIONS_MAX 1000u

/* --- names --- */

typedef struct finding {
    qd_str names;
    bool hidden;
    QD_VEC(const qd_alias_group *) at;
    int rc;
} finding;

/* Is a stream asked for? A pattern sees hidden ones where it begins with a dot as they do, or they
 * are asked for. */
static bool is_wanted(const finding *f, const qd_alias_group *g)
{
    if (!f->names.n) return !g->is_hidden || f->hidden;
    for (qd_str rest = f->names; rest.p;) {
        qd_str one = qd_str_split(&rest, ',');
        bool pattern = qd_str_find(one, '*') >= 0 || qd_str_is(one, "_all");
        bool dots = one.n && one.p[0] == '.' && g->name.p[0] == '.';
        if (!pattern && qd_str_eq(one, g->name)) return true;
        if (!pattern || (!qd_str_is(one, "_all") && !qd_pattern_match(one, g->name))) continue;
        if (!g->is_hidden || f->hidden || dots) return true;
    }
    return false;
}

static int find_one(void *arg, const qd_alias_group *g)
{
    finding *f = arg;
    if (g->is_stream && is_wanted(f, g)) f->rc = qd_vec_push(&f->at, NULL, g);
    return f->rc;
}

static int by_name(const void *a, const void *b)
{
    const qd_alias_group *const *x = a, *const *y = b;
    return qd_str_cmp((*x)->name, (*y)->name);
}

/* Each name must be there; of patterns nothing need be. */
static int check_names(const qd_state *s, qd_str names, qd_err *err)
{
    for (qd_str rest = names; rest.p && names.n;) {
        qd_str one = qd_str_split(&rest, ',');
        if (qd_str_find(one, '*') >= 0 || qd_str_is(one, "_all")) continue;
        if (!qd_state_stream(s, one)) return qd_state_no_index(one, err);
    }
    return 0;
}

/* expand_wildcards: hidden ones are asked for by "hidden" and "all". */
static int hidden_param(const qd_request *q, bool *out, qd_err *err)
{
    uint32_t options = QD_EXPAND_OPEN;
    qd_str v = qd_param(q, "expand_wildcards");
    int rc = v.p ? qd_state_expand_parse(v, &options, err) : 0;
    *out = options & QD_EXPAND_HIDDEN;
    return rc;
}

int qdi_streams_find(qd_request *q, const qd_state *s, found_streams *out, qd_err *err)
{
    finding f = {.names = qd_param(q, "name")};
    int rc = hidden_param(q, &f.hidden, err);
    if (!rc) rc = check_names(s, f.names, err);
    if (!rc && qd_state_aliases_each(s, find_one, &f)) rc = qd_err_nomem(err, "data streams");
    if (!rc) {
        out->at = qd_arena_alloc(q->arena, (f.at.n + 1) * sizeof *out->at);
        if (!out->at) rc = qd_err_nomem(err, "data streams");
    }
    for (size_t i = 0; !rc && i < f.at.n; i++) out->at[i] = f.at.at[i];
    out->n = (uint32_t)f.at.n;
    if (!rc) qsort(out->at, out->n, sizeof *out->at, by_name);
    qd_vec_fini(&f.at);
    return rc;
}

/* --- create --- */

int qdi_api_indices_create_data_stream(qd_request *q, qd_response *r, qd_err *err)
{
    int64_t timeout;
    qd_state *now = NULL;
    qd_str name = qd_param(q, "name");
    int rc = qdi_admin_timeout(q, &timeout, err);
    if (!rc) rc = qdi_cluster_block_check(q->a, QDI_BLOCK_METADATA_WRITE, err);
    if (!rc) rc = qdi_stream_create(q->a, q->arena, name, &now, err);
    if (rc) return rc;
    const qd_alias_group *g = qd_state_stream(now, name);
    if (g)
        (void)qdi_wait_active(q->a, g->write_index->uuid, QDI_ALL_SHARDS, QDI_ACTIVE_DEFAULT,
                              timeout);
    qd_state_unref(now);
    qdi_answer_acknowledged(q, r);
    return 0;
}

/* --- get --- */

static qd_health health_of(const qd_state *s, const qd_alias_group *g)
{
    qd_health worst = QD_HEALTH_GREEN;
    for (uint32_t i = 0; i < g->n; i++) {
        qd_health h = qd_index_health(s, g->indices[i]);
        if (h > worst) worst = h;
    }
    return worst;
}

static const char *manager_of(qd_str policy, bool managed)
{
    return policy.n  ? "Index Lifecycle Management"
           : managed ? "Data stream lifecycle"
                     : "Unmanaged";
}

/* What elasticsearch-java wants of a stream, and older clients do not know. */
static void write_newer(const qdi_identity *id, qd_str policy, bool managed, qd_json_writer *w)
{
    qd_json_field_c(w, "next_generation_managed_by", manager_of(policy, managed));
    qd_json_field_bool(w, "prefer_ilm", true);
    qd_json_field_bool(w, "rollover_on_write", false);
    if (id->product != QDI_ES9) return;
    static const char *const own[] = {"settings", "mappings"}; /* streams have none of their own */
    for (size_t i = 0; i < QD_COUNT_OF(own); i++) {
        qd_json_key_c(w, own[i]);
        qd_json_object(w);
        qd_json_object_end(w);
    }
}

static void write_indices(const qdi_identity *id, const qd_alias_group *g, bool managed,
                          qd_json_writer *w)
{
    qd_json_key_c(w, "indices");
    qd_json_array(w);
    for (uint32_t i = 0; i < g->n; i++) {
        qd_json_object(w);
        qd_json_field_str(w, "index_name", g->indices[i]->name);
        qd_json_field_c(w, "index_uuid", g->indices[i]->uuid);
        if (id->product == QDI_ES8 || id->product == QDI_ES9) {
            qd_str policy = qd_values_text(g->indices[i]->values, QD_IX_LIFECYCLE_NAME);
            qd_json_field_bool(w, "prefer_ilm", true);
            if (policy.n) qd_json_field_str(w, "ilm_policy", policy);
            qd_json_field_c(w, "managed_by", manager_of(policy, managed));
        }
        qd_json_object_end(w);
    }
    qd_json_array_end(w);
}

static const char *const healths[] = {"GREEN", "YELLOW", "RED"};

static int write_stream(qd_request *q, const qd_state *s, const qd_alias_group *g,
                        qd_json_writer *w, qd_err *err)
{
    data_stream d;
    qdi_identity id;
    const qd_json_node *t;
    qd_str template_name = {NULL, 0};
    qdi_identity_get(q->a, &id);
    int rc = qdi_stream_read(s, q->arena, g->name, &d, err);
    if (rc == QD_E_NOTFOUND) return 0; /* it is going */
    if (!rc) rc = qdi_template_best(s, q->arena, g->name, &template_name, &t, err);
    if (rc) return rc;
    const qd_json_node *meta = t ? qd_json_get(t, "_meta") : NULL;
    qd_json_object(w);
    qd_json_field_str(w, "name", g->name);
    qd_json_key_c(w, "timestamp_field");
    qd_json_object(w);
    qd_json_field_c(w, "name", "@timestamp");
    qd_json_object_end(w);
    write_indices(&id, g, qdi_stream_is_managed(&d), w);
    qd_json_field_int(w, "generation", d.generation);
    if (meta && !id.opensearch) {
        qd_json_key_c(w, "_meta");
        qd_json_raw_value(w, meta->raw);
    }
    qd_json_field_c(w, "status", healths[health_of(s, g)]);
    if (template_name.n) qd_json_field_str(w, "template", template_name);
    if (!id.opensearch) {
        const qd_json_node *lifecycle = qd_json_get(d.at, "lifecycle");
        if (lifecycle) {
            qd_json_key_c(w, "lifecycle");
            qdi_stream_lifecycle_write(lifecycle, w);
        }
        qd_str policy = qd_values_text(g->write_index->values, QD_IX_LIFECYCLE_NAME);
        if (policy.n) qd_json_field_str(w, "ilm_policy", policy);
        qd_json_field_bool(w, "hidden", g->is_hidden);
        qd_json_field_bool(w, "system", false);
        if (id.product != QDI_ES7102) {
            qd_json_field_bool(w, "allow_custom_routing", false);
            qd_json_field_bool(w, "replicated", false);
        }
        if (id.product == QDI_ES8 || id.product == QDI_ES9)
            write_newer(&id, policy, qdi_stream_is_managed(&d), w);
    }
    qd_json_object_end(w);
    return 0;
}

int qdi_api_indices_get_data_stream(qd_request *q, qd_response *r, qd_err *err)
{
    found_streams f;
    qd_state *s = qd_cluster_state(q->a->cluster);
    int rc = qdi_streams_find(q, s, &f, err);
    if (!rc) {
        qd_json_object(&r->w);
        qd_json_key_c(&r->w, "data_streams");
        qd_json_array(&r->w);
        for (uint32_t i = 0; i < f.n && !rc; i++) rc = write_stream(q, s, f.at[i], &r->w, err);
        qd_json_array_end(&r->w);
        qd_json_object_end(&r->w);
    }
    qd_state_unref(s);
    return rc;
}

/* --- delete --- */

int qdi_api_indices_delete_data_stream(qd_request *q, qd_response *r, qd_err *err)
{
    found_streams f;
    qd_state *s = qd_cluster_state(q->a->cluster);
    int rc = qdi_cluster_block_check(q->a, QDI_BLOCK_METADATA_WRITE, err);
    if (!rc) rc = qdi_streams_find(q, s, &f, err);
    qd_str *names = rc ? NULL : qd_arena_alloc(q->arena, (f.n + 1) * sizeof *names);
    if (!rc && !names) rc = qd_err_nomem(err, "data streams");
    for (uint32_t i = 0; !rc && i < f.n; i++) {
        qd_resolved all = {f.at[i]->indices, f.at[i]->n};
        rc = qdi_blocks_check(q->a, &all, QDI_BLOCK_DELETE, err);
        names[i] = f.at[i]->name;
    }
    if (!rc) rc = qd_cluster_delete_streams(q->a->cluster, names, f.n, err);
    qd_state_unref(s);
    if (!rc) qdi_answer_acknowledged(q, r);
    return rc;
}

/* --- modify --- */

static int read_action(const qd_json_node *n, qd_stream_action *out, qd_err *err)
{
    const qd_json_node *x = n->type == QD_JSON_T_OBJECT && n->n == 1 ? n->first : NULL;
    bool add = x && qd_str_is(x->key, "add_backing_index");
    if (!x || x->type != QD_JSON_T_OBJECT || (!add && !qd_str_is(x->key, "remove_backing_index"))) {
        return qd_err_set(err, QD_E_XCONTENT,
                          "[data_stream_action] an action is one of [add_backing_index] and "
                          "[remove_backing_index], with [data_stream] and [index]");
    }
    *out = (qd_stream_action){.remove = !add};
    for (const qd_json_node *m = x->first; m; m = m->next) {
        if (qd_str_is(m->key, "data_stream"))
            out->stream = qd_json_text(m);
        else if (qd_str_is(m->key, "index"))
            out->index = qd_json_text(m);
        else
            return qd_err_set(err, QD_E_XCONTENT, "[data_stream_action] unknown field [%.*s]",
                              QD_STR_ARG(m->key));
    }
    if (out->stream.n && out->index.n) return 0;
    return qd_err_set(err, QD_E_ARG, "[data_stream_action] [data_stream] and [index] are required");
}

int qdi_api_indices_modify_data_stream(qd_request *q, qd_response *r, qd_err *err)
{
    qd_json_node *root;
    uint32_t n = 0;
    int rc = qdi_cluster_block_check(q->a, QDI_BLOCK_METADATA_WRITE, err);
    if (!rc) rc = qdi_body_map(q, &root, err);
    const qd_json_node *list = rc ? NULL : qd_json_get(root, "actions");
    for (const qd_json_node *m = rc ? NULL : root->first; m && !rc; m = m->next) {
        if (m != list)
            rc = qd_err_set(err, QD_E_XCONTENT, "[data_stream_actions] unknown field [%.*s]",
                            QD_STR_ARG(m->key));
    }
    if (!rc && (!list || list->type != QD_JSON_T_ARRAY || !list->n || list->n > ACTIONS_MAX))
        rc = qd_err_set(err, QD_E_ARG, "must specify at least one data stream modification action");
    if (rc) return rc;
    qd_stream_action *a = qd_arena_alloc(q->arena, list->n * sizeof *a);
    if (!a) return qd_err_nomem(err, "actions");
    for (const qd_json_node *m = list->first; m && !rc; m = m->next)
        rc = read_action(m, &a[n++], err);
    if (!rc) rc = qd_cluster_modify_streams(q->a->cluster, a, n, err);
    if (!rc) qdi_answer_acknowledged(q, r);
    return rc;
}
