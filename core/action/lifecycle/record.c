/* record.c: how far each index is, as documents of the index .lifecycle. See lifecycle_int.h. */
#include "action/lifecycle/lifecycle_int.h"
#include "base/str.h"
#include <stdio.h>

#define AT_ONCE 500u /* records of one request */
#define RECORD_MAX ((size_t)1 << 20)

static bool is_there(qd_actions *a)
{
    qd_state *s = qd_cluster_state(a->cluster);
    bool there = qd_state_index(s, QD_STR(LC_INDEX)) != NULL;
    qd_state_unref(s);
    return there;
}

/* --- reading --- */

static void text_of(const qd_json_node *n, const char *key, char out[LC_NAME_MAX])
{
    const qd_json_node *m = qd_json_get(n, key);
    qd_str text = m ? qd_json_text(m) : (qd_str){NULL, 0};
    snprintf(out, LC_NAME_MAX, "%.*s", QD_STR_ARG(text));
}

static int64_t number_of(const qd_json_node *n, const char *key)
{
    int64_t v = 0;
    const qd_json_node *m = qd_json_get(n, key);
    return m && qd_str_i64(qd_json_text(m), &v) ? v : 0;
}

static void read_record(const qd_json_node *doc, lc_record *r)
{
    const qd_json_node *n = qd_json_get(doc, "_source");
    const qd_json_node *phase = n ? qd_json_get(n, "phase") : NULL;
    const qd_json_node *info = n ? qd_json_get(n, "info") : NULL;
    if (!phase) return;
    r->phase = qdi_lc_phase_of(qd_json_text(phase));
    if (r->phase == LC_PHASES) r->phase = LC_NEW;
    text_of(n, "action", r->action);
    text_of(n, "step", r->step);
    text_of(n, "failed_step", r->failed);
    r->phase_ms = number_of(n, "phase_ms");
    r->action_ms = number_of(n, "action_ms");
    r->step_ms = number_of(n, "step_ms");
    if (info) r->info = info->raw;
    r->seq_no = number_of(doc, "_seq_no");
    r->term = number_of(doc, "_primary_term");
}

static int get_some(qd_actions *a, qd_arena *arena, const qd_str *ids, uint32_t n,
                    const qd_json_node **out, qd_err *err)
{
    qd_pair params[] = {{QD_STR("index"), QD_STR(LC_INDEX)}};
    const qd_json_node *root;
    qd_json_writer w;
    qd_buf b;
    qd_buf_init(&b, NULL, RECORD_MAX);
    qd_json_writer_init(&w, &b, false);
    qd_json_object(&w);
    qd_json_key_c(&w, "ids");
    qd_json_array(&w);
    for (uint32_t i = 0; i < n; i++) qd_json_str(&w, ids[i]);
    qd_json_array_end(&w);
    qd_json_object_end(&w);
    int rc = qd_buf_status(&b) ? qd_err_nomem(err, "records") : 0;
    if (!rc) rc = qdi_bq_call(a, "mget", params, 1, qd_buf_view(&b), arena, &root, err);
    qd_buf_fini(&b);
    const qd_json_node *docs = rc ? NULL : qd_json_get(root, "docs");
    uint32_t i = 0;
    for (const qd_json_node *d = docs ? docs->first : NULL; d && i < n && !rc; d = d->next, i++) {
        /* a shard that does not answer must not make an index new */
        if (qd_json_get(d, "error"))
            rc = qd_err_set(err, QD_E_UNAVAILABLE_SHARDS, "the index " LC_INDEX " cannot be read");
        else
            out[i] = qd_json_get(d, "_source") ? d : NULL;
    }
    return rc;
}

int qdi_lc_documents_get(qd_actions *a, qd_arena *arena, const qd_str *ids, uint32_t n,
                         const qd_json_node **out, qd_err *err)
{
    int rc = 0;
    for (uint32_t i = 0; i < n; i++) out[i] = NULL;
    if (!n || !is_there(a)) return 0;
    for (uint32_t i = 0; i < n && !rc; i += AT_ONCE)
        rc = get_some(a, arena, ids + i, n - i < AT_ONCE ? n - i : AT_ONCE, out + i, err);
    return rc;
}

int qdi_lc_records_get(qd_actions *a, qd_arena *arena, lc_record *at, uint32_t n, qd_err *err)
{
    qd_str *ids = qd_arena_calloc(arena, (n + 1) * sizeof *ids);
    const qd_json_node **docs = qd_arena_calloc(arena, (n + 1) * sizeof *docs);
    if (!ids || !docs) return qd_err_nomem(err, "records");
    for (uint32_t i = 0; i < n; i++) {
        at[i] = (lc_record){.uuid = at[i].uuid, .seq_no = -1};
        snprintf(at[i].action, LC_NAME_MAX, "complete");
        snprintf(at[i].step, LC_NAME_MAX, "complete");
        ids[i] = qd_str_c(at[i].uuid);
    }
    int rc = qdi_lc_documents_get(a, arena, ids, n, docs, err);
    for (uint32_t i = 0; i < n && !rc; i++)
        if (docs[i]) read_record(docs[i], &at[i]);
    return rc;
}

/* --- writing --- */

static int make_index(qd_actions *a, qd_arena *arena, qd_err *err)
{
    const qd_json_node *root;
    qd_pair params[] = {{QD_STR("index"), QD_STR(LC_INDEX)}};
    if (is_there(a)) return 0;
    int rc = qdi_bq_call(a, "indices.create", params, 1,
                         QD_STR("{\"settings\":{\"index.hidden\":true,\"index.number_of_shards\":1,"
                                "\"index.auto_expand_replicas\":\"0-1\"},\"mappings\":{"
                                "\"dynamic\":false}}"),
                         arena, &root, err);
    if (!rc || !is_there(a)) return rc;
    if (err) qd_err_fini(err);
    return 0;
}

static void write_record(const lc_record *r, const qd_index_meta *m, qd_json_writer *w)
{
    qd_json_object(w);
    qd_json_field_str(w, "index", m->name);
    qd_json_field_c(w, "phase", qdi_lc_phases[r->phase]);
    qd_json_field_c(w, "action", r->action);
    qd_json_field_c(w, "step", r->step);
    if (r->failed[0]) qd_json_field_c(w, "failed_step", r->failed);
    qd_json_field_int(w, "phase_ms", r->phase_ms);
    qd_json_field_int(w, "action_ms", r->action_ms);
    qd_json_field_int(w, "step_ms", r->step_ms);
    if (r->info.n) {
        qd_json_key_c(w, "info");
        qd_json_raw_value(w, r->info);
    }
    qd_json_object_end(w);
}

int qdi_lc_document_put(qd_actions *a, qd_arena *arena, qd_str id, qd_str body, int64_t *seq_no,
                        int64_t *term, qd_err *err)
{
    qd_pair params[6];
    char was_seq[24], was_term[24];
    uint32_t n = 0;
    const qd_json_node *root;
    snprintf(was_seq, sizeof was_seq, "%lld", (long long)*seq_no);
    snprintf(was_term, sizeof was_term, "%lld", (long long)*term);
    params[n++] = (qd_pair){QD_STR("index"), QD_STR(LC_INDEX)};
    params[n++] = (qd_pair){QD_STR("id"), id};
    params[n++] = (qd_pair){QD_STR("timeout"), QD_STR("10s")};
    if (*seq_no >= 0) {
        params[n++] = (qd_pair){QD_STR("if_seq_no"), qd_str_c(was_seq)};
        params[n++] = (qd_pair){QD_STR("if_primary_term"), qd_str_c(was_term)};
    } else {
        params[n++] = (qd_pair){QD_STR("op_type"), QD_STR("create")};
    }
    int rc = make_index(a, arena, err);
    if (!rc) rc = qdi_bq_call(a, "index", params, n, body, arena, &root, err);
    if (rc) return rc;
    *seq_no = number_of(root, "_seq_no");
    *term = number_of(root, "_primary_term");
    return 0;
}

int qdi_lc_record_put(qd_actions *a, qd_arena *arena, lc_record *r, const qd_index_meta *m,
                      qd_err *err)
{
    qd_json_writer w;
    qd_buf b;
    qd_buf_init(&b, NULL, RECORD_MAX);
    qd_json_writer_init(&w, &b, false);
    write_record(r, m, &w);
    int rc = qd_buf_status(&b) ? qd_err_nomem(err, "record of an index") : 0;
    if (!rc)
        rc = qdi_lc_document_put(a, arena, qd_str_c(r->uuid), qd_buf_view(&b), &r->seq_no, &r->term,
                                 err);
    qd_buf_fini(&b);
    if (!rc) r->changed = false;
    return rc;
}

void qdi_lc_document_delete(qd_actions *a, qd_arena *arena, qd_str id)
{
    qd_pair params[] = {{QD_STR("index"), QD_STR(LC_INDEX)},
                        {QD_STR("id"), id},
                        {QD_STR("timeout"), QD_STR("10s")}};
    const qd_json_node *root;
    qd_err none;
    qd_err_init(&none);
    if (is_there(a) &&
        qdi_bq_call(a, "delete", params, 3, (qd_str){NULL, 0}, arena, &root, &none)) {
        /* one that stays is of an index that there will never be again */
    }
    qd_err_fini(&none);
}

void qdi_lc_record_delete(qd_actions *a, qd_arena *arena, const char *uuid)
{
    qdi_lc_document_delete(a, arena, qd_str_c(uuid));
}

void qdi_lc_record_move(lc_record *r, lc_phase phase, qd_str action, const char *step, int64_t now)
{
    bool same_action = phase == r->phase && qd_str_is(action, r->action);
    if (phase != r->phase) r->phase_ms = now;
    if (!same_action) r->action_ms = now;
    if (!same_action || strcmp(step, r->step) != 0) r->step_ms = now;
    r->phase = phase;
    snprintf(r->action, LC_NAME_MAX, "%.*s", QD_STR_ARG(action));
    snprintf(r->step, LC_NAME_MAX, "%s", step);
    r->failed[0] = 0;
    r->info = (qd_str){NULL, 0};
    r->changed = true;
}
