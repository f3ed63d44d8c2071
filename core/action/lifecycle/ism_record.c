/* ism_record.c: how far each index is in its policy of index state management. See ism_int.h. */
#include "action/lifecycle/ism_int.h"
#include "base/str.h"

#define RECORD_MAX ((size_t)2 << 20)

static qd_str id_of(qd_arena *a, const char *uuid)
{
    return qd_arena_printf(a, "ism-%s", uuid);
}

static qd_str raw_of(const qd_json_node *n, const char *key)
{
    const qd_json_node *m = qd_json_get(n, key);
    return m ? m->raw : (qd_str){NULL, 0};
}

static void read_record(const qd_json_node *doc, ism_record *r)
{
    const qd_json_node *n = qd_json_get(doc, "_source");
    r->policy_id = qdi_ism_text(n, "policy_id");
    r->policy_seq_no = qdi_ism_number(n, "policy_seq_no", -1);
    r->policy = qd_json_get(n, "policy");
    r->state = qdi_ism_text(n, "state");
    r->transition_to = qdi_ism_text(n, "transition_to");
    r->action = qdi_ism_text(n, "action");
    r->step = qdi_ism_text(n, "step");
    r->step_status = qdi_ism_text(n, "step_status");
    r->info = raw_of(n, "info");
    r->change = raw_of(n, "change");
    r->properties = raw_of(n, "properties");
    r->state_ms = qdi_ism_number(n, "state_ms", 0);
    r->action_ms = qdi_ism_number(n, "action_ms", 0);
    r->step_ms = qdi_ism_number(n, "step_ms", 0);
    r->last_retry_ms = qdi_ism_number(n, "last_retry_ms", 0);
    r->retries = qdi_ism_number(n, "retries", 0);
    r->action_index = (int32_t)qdi_ism_number(n, "action_index", 0);
    r->action_failed = qdi_ism_truth(n, "action_failed");
    r->policy_failed = qdi_ism_truth(n, "policy_failed");
    r->completed = qdi_ism_truth(n, "completed");
    r->seq_no = qdi_ism_number(doc, "_seq_no", -1);
    r->term = qdi_ism_number(doc, "_primary_term", 0);
}

int qdi_ism_records_get(qd_actions *a, qd_arena *arena, ism_record *at, uint32_t n, qd_err *err)
{
    qd_str *ids = qd_arena_calloc(arena, (n + 1) * sizeof *ids);
    const qd_json_node **docs = qd_arena_calloc(arena, (n + 1) * sizeof *docs);
    if (!ids || !docs) return qd_err_nomem(err, "records");
    for (uint32_t i = 0; i < n; i++) {
        at[i] = (ism_record){.uuid = at[i].uuid, .seq_no = -1};
        ids[i] = id_of(arena, at[i].uuid);
    }
    int rc = qdi_lc_documents_get(a, arena, ids, n, docs, err);
    for (uint32_t i = 0; i < n && !rc; i++)
        if (docs[i]) read_record(docs[i], &at[i]);
    return rc;
}

static void text(qd_json_writer *w, const char *key, qd_str v)
{
    if (v.n) qd_json_field_str(w, key, v);
}

static void raw(qd_json_writer *w, const char *key, qd_str v)
{
    if (!v.n) return;
    qd_json_key_c(w, key);
    qd_json_raw_value(w, v);
}

static void write_record(const ism_record *r, const qd_index_meta *m, qd_json_writer *w)
{
    qd_json_object(w);
    qd_json_field_str(w, "index", m->name);
    text(w, "policy_id", r->policy_id);
    qd_json_field_int(w, "policy_seq_no", r->policy_seq_no);
    text(w, "state", r->state);
    text(w, "transition_to", r->transition_to);
    text(w, "action", r->action);
    text(w, "step", r->step);
    text(w, "step_status", r->step_status);
    qd_json_field_int(w, "state_ms", r->state_ms);
    qd_json_field_int(w, "action_ms", r->action_ms);
    qd_json_field_int(w, "step_ms", r->step_ms);
    qd_json_field_int(w, "last_retry_ms", r->last_retry_ms);
    qd_json_field_int(w, "retries", r->retries);
    qd_json_field_int(w, "action_index", r->action_index);
    if (r->action_failed) qd_json_field_bool(w, "action_failed", true);
    if (r->policy_failed) qd_json_field_bool(w, "policy_failed", true);
    if (r->completed) qd_json_field_bool(w, "completed", true);
    raw(w, "info", r->info);
    raw(w, "change", r->change);
    raw(w, "properties", r->properties);
    if (r->policy) raw(w, "policy", r->policy->raw);
    qd_json_object_end(w);
}

int qdi_ism_record_put(qd_actions *a, qd_arena *arena, ism_record *r, const qd_index_meta *m,
                       qd_err *err)
{
    qd_json_writer w;
    qd_buf b;
    qd_str id = id_of(arena, r->uuid);
    qd_buf_init(&b, NULL, RECORD_MAX);
    qd_json_writer_init(&w, &b, false);
    write_record(r, m, &w);
    int rc = qd_buf_status(&b) || !id.p ? qd_err_nomem(err, "record of an index") : 0;
    if (!rc) rc = qdi_lc_document_put(a, arena, id, qd_buf_view(&b), &r->seq_no, &r->term, err);
    qd_buf_fini(&b);
    if (!rc) r->changed = false;
    return rc;
}

void qdi_ism_record_delete(qd_actions *a, qd_arena *arena, const char *uuid)
{
    qd_str id = id_of(arena, uuid);
    if (id.p) qdi_lc_document_delete(a, arena, id);
}
