/*
 * streams.c: the lifecycle that a data stream has of its own: its write index is rolled over by
 * itself, and what is older than data_retention is deleted. Indices with a policy follow that. All
 * of it is told by the indices; nothing is kept beside them.
 */
#include "action/api/admin_int.h"
#include "action/indices/indices_int.h"
#include "action/lifecycle/lifecycle_int.h"
#include "action/streams/streams_int.h"
#include "base/log.h"
#include "base/str.h"
#include "config/value.h"

#define DAY_MS (INT64_C(86400) * 1000)

/* How long documents are kept at least, ms; INT64_MAX: for good. */
static int64_t retention_of(const data_stream *d)
{
    int64_t ns;
    const qd_json_node *n = qd_json_get(qd_json_get(d->at, "lifecycle"), "data_retention");
    bool none = !n || n->type != QD_JSON_T_STRING ||
                qd_value_time(n->text, "data_retention", &ns, NULL) || ns < 0;
    return none ? INT64_MAX : ns / 1000000;
}

/* The less is kept, the more often the stream is rolled over. */
static const char *max_age(int64_t retention_ms)
{
    return retention_ms <= DAY_MS        ? "1h"
           : retention_ms <= 14 * DAY_MS ? "1d"
           : retention_ms <= 90 * DAY_MS ? "7d"
                                         : "30d";
}

static int roll(struct qd_lifecycle *l, const qd_alias_group *g, int64_t retention_ms,
                qd_arena *arena, qd_err *err)
{
    const qd_json_node *root;
    qd_pair params[] = {{QD_STR("index"), g->name}, {QD_STR("timeout"), QD_STR("5s")}};
    qd_str body = qd_arena_printf(arena,
                                  "{\"conditions\":{\"max_age\":\"%s\",\"min_docs\":1,"
                                  "\"max_primary_shard_size\":\"50gb\","
                                  "\"max_primary_shard_docs\":200000000}}",
                                  max_age(retention_ms));
    if (!body.p) return qd_err_nomem(err, "rollover");
    return qdi_bq_call(l->a, "indices.rollover", params, 2, body, arena, &root, err);
}

/* What no write comes to any more is as old as its rollover. */
static int expire(struct qd_lifecycle *l, const qd_alias_group *g, int64_t retention_ms,
                  qd_arena *arena, qd_err *err)
{
    int rc = 0;
    int64_t now = qd_env_wall_ms(l->a->env);
    for (uint32_t i = 0; i + 1 < g->n && !rc; i++) {
        const qd_json_node *root;
        const qd_index_meta *m = g->indices[i];
        if (qdi_lc_policy_of(m).n || now - qdi_lc_date(m) < retention_ms) continue;
        qd_pair params[] = {{QD_STR("index"), m->name}, {QD_STR("if_uuid"), qd_str_c(m->uuid)}};
        rc = qdi_bq_call(l->a, "indices.delete", params, 2, (qd_str){NULL, 0}, arena, &root, err);
        if (!rc)
            qd_log_info("action", "[%.*s] is deleted: its data stream keeps no older documents",
                        QD_STR_ARG(m->name));
    }
    return rc;
}

void qdi_lc_streams(struct qd_lifecycle *l, const qd_state *s)
{
    for (uint32_t i = 0; i < s->ndocuments && qdi_lc_goes_on(l); i++) {
        qd_arena arena;
        qd_err err;
        data_stream d;
        qd_str key = s->documents[i].key;
        if (!qd_str_starts(key, QD_STR(QD_STREAM_KEY))) continue;
        qd_str name = qd_str_sub(key, sizeof QD_STREAM_KEY - 1, key.n);
        const qd_alias_group *g = qd_state_stream(s, name);
        qd_arena_init(&arena, l->a->account, 0);
        qd_err_init(&err);
        int rc = g ? qdi_stream_read(s, &arena, name, &d, &err) : QD_E_NOTFOUND;
        if (!rc && qdi_stream_is_managed(&d)) {
            int64_t retention = retention_of(&d);
            if (!qdi_lc_policy_of(g->write_index).n) rc = roll(l, g, retention, &arena, &err);
            if (!rc && retention != INT64_MAX) rc = expire(l, g, retention, &arena, &err);
        }
        if (rc && rc != QD_E_NOTFOUND)
            qd_log_warn("action", "the lifecycle of data stream [%.*s]: %s", QD_STR_ARG(name),
                        qd_err_reason(&err));
        qd_err_fini(&err);
        qd_arena_fini(&arena);
    }
}

/* --- requests --- */

static int set_all(qd_request *q, qd_response *r, qd_str lifecycle, qd_err *err)
{
    found_streams f;
    qd_state *s = qd_cluster_state(q->a->cluster);
    int rc = qdi_cluster_block_check(q->a, QDI_BLOCK_METADATA_WRITE, err);
    if (!rc) rc = qdi_streams_find(q, s, &f, err);
    for (uint32_t i = 0; !rc && i < f.n; i++)
        rc = qd_cluster_set_lifecycle(q->a->cluster, f.at[i]->name, lifecycle, err);
    qd_state_unref(s);
    if (!rc) qdi_answer_acknowledged(q, r);
    return rc;
}

int qdi_api_indices_put_data_lifecycle(qd_request *q, qd_response *r, qd_err *err)
{
    qd_json_node *root = NULL;
    int rc = q->body.n ? qdi_body_map(q, &root, err) : 0;
    if (!rc && root) rc = qdi_stream_lifecycle_check(root, err);
    return rc ? rc : set_all(q, r, root ? root->raw : QD_STR("{}"), err);
}

int qdi_api_indices_delete_data_lifecycle(qd_request *q, qd_response *r, qd_err *err)
{
    return set_all(q, r, (qd_str){NULL, 0}, err);
}

int qdi_api_indices_get_data_lifecycle(qd_request *q, qd_response *r, qd_err *err)
{
    found_streams f;
    qd_state *s = qd_cluster_state(q->a->cluster);
    int rc = qdi_streams_find(q, s, &f, err);
    if (!rc) {
        qd_json_object(&r->w);
        qd_json_key_c(&r->w, "data_streams");
        qd_json_array(&r->w);
        for (uint32_t i = 0; i < f.n && !rc; i++) {
            data_stream d;
            rc = qdi_stream_read(s, q->arena, f.at[i]->name, &d, err);
            if (rc) break;
            const qd_json_node *lifecycle = qd_json_get(d.at, "lifecycle");
            qd_json_object(&r->w);
            qd_json_field_str(&r->w, "name", f.at[i]->name);
            if (lifecycle) {
                qd_json_key_c(&r->w, "lifecycle");
                qdi_stream_lifecycle_write(lifecycle, &r->w);
            }
            qd_json_object_end(&r->w);
        }
        qd_json_array_end(&r->w);
        qd_json_object_end(&r->w);
    }
    qd_state_unref(s);
    return rc;
}

static void explain(qd_request *q, const qd_index_meta *m, const data_stream *d, qd_json_writer *w)
{
    char text[32];
    int64_t now = qd_env_wall_ms(q->a->env);
    bool managed = m->place.stream.n && qdi_stream_is_managed(d) && !qdi_lc_policy_of(m).n;
    qd_json_object(w);
    qd_json_field_str(w, "index", m->name);
    qd_json_field_bool(w, "managed_by_lifecycle", managed);
    if (managed) {
        qd_json_field_int(w, "index_creation_date_millis", m->created_ms);
        qd_json_field_c(w, "time_since_index_creation",
                        qd_time_text((now - m->created_ms) * 1000000, text));
        if (m->place.rolled_ms) {
            qd_json_field_int(w, "rollover_date_millis", m->place.rolled_ms);
            qd_json_field_c(w, "time_since_rollover",
                            qd_time_text((now - m->place.rolled_ms) * 1000000, text));
            qd_json_field_c(w, "generation_time",
                            qd_time_text((now - m->place.rolled_ms) * 1000000, text));
        }
        qd_json_key_c(w, "lifecycle");
        qdi_stream_lifecycle_write(qd_json_get(d->at, "lifecycle"), w);
    }
    qd_json_object_end(w);
}

int qdi_api_indices_explain_data_lifecycle(qd_request *q, qd_response *r, qd_err *err)
{
    qd_resolved found;
    qd_state *s = qd_cluster_state(q->a->cluster);
    int rc = qd_param_indices(q, s, QD_EXPAND_OPEN | QD_EXPAND_CLOSED | QD_ALLOW_NO_INDICES, &found,
                              err);
    if (!rc) {
        qd_json_object(&r->w);
        qd_json_key_c(&r->w, "indices");
        qd_json_object(&r->w);
        for (uint32_t i = 0; i < found.n; i++) {
            data_stream d = {0};
            const qd_index_meta *m = found.at[i];
            if (m->place.stream.n && qdi_stream_read(s, q->arena, m->place.stream, &d, NULL))
                d = (data_stream){0};
            qd_json_key(&r->w, m->name);
            explain(q, m, &d, &r->w);
        }
        qd_json_object_end(&r->w);
        qd_json_object_end(&r->w);
    }
    qd_state_unref(s);
    return rc;
}
