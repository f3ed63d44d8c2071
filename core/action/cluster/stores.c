/*
 * stores.c: _shard_stores: the copies of shards that the cluster state places on nodes, or knows to
 * hold every acknowledged operation; and _remote/info, which has nothing to tell.
 */
#include "action/api/admin_int.h"
#include "base/str.h"
#include <stdio.h>

enum { GREEN = 1, YELLOW = 2, RED = 4 };

static int status_param(const qd_request *q, uint32_t *out, qd_err *err)
{
    qd_str list = qd_param(q, "status");
    *out = qd_param_has(q, "status") ? 0 : YELLOW | RED;
    while (list.n) {
        qd_str one = qd_str_split(&list, ',');
        if (qd_str_ieq(one, QD_STR("green")))
            *out |= GREEN;
        else if (qd_str_ieq(one, QD_STR("yellow")))
            *out |= YELLOW;
        else if (qd_str_ieq(one, QD_STR("red")))
            *out |= RED;
        else if (qd_str_ieq(one, QD_STR("all")))
            *out |= GREEN | YELLOW | RED;
        else
            return qd_err_set(err, QD_E_ARG, "unknown cluster health status [%.*s]",
                              QD_STR_ARG(one));
    }
    return 0;
}

static uint32_t status_of(const qd_shard_meta *s)
{
    if (!qd_shard_meta_is_started(s)) return RED;
    for (uint32_t i = 0; i < s->ncopies; i++)
        if (!qd_copy_is_active(&s->copies[i]) && !qd_copy_is_target(&s->copies[i])) return YELLOW;
    return GREEN;
}

static void write_store(const qd_state *s, const qdi_identity *id, qd_str node, qd_str allocation,
                        const char *use, qd_json_writer *w)
{
    const qd_node_meta *n = NULL;
    for (uint32_t i = 0; i < s->nnodes && !n; i++)
        if (qd_str_eq(s->nodes[i].id, node)) n = &s->nodes[i];
    if (!n) return; /* nobody can look what it has */
    qd_json_object(w);
    qdi_node_member(id, n, w);
    qd_json_field_str(w, "allocation_id", allocation);
    qd_json_field_c(w, "allocation", use);
    qd_json_object_end(w);
}

static bool is_placed(const qd_shard_meta *m, qd_str allocation)
{
    for (uint32_t i = 0; i < m->ncopies; i++)
        if (qd_str_eq(m->copies[i].allocation_id, allocation)) return true;
    return false;
}

static void write_shard(const qd_state *s, const qdi_identity *id, const qd_shard_meta *m,
                        uint32_t number, qd_json_writer *w)
{
    char key[16];
    snprintf(key, sizeof key, "%u", number);
    qd_json_key_c(w, key);
    qd_json_object(w);
    qd_json_key_c(w, "stores");
    qd_json_array(w);
    for (uint32_t i = 0; i < m->ncopies; i++)
        if (qd_copy_is_assigned(&m->copies[i]))
            write_store(s, id, m->copies[i].node, m->copies[i].allocation_id,
                        i ? "replica" : "primary", w);
    for (uint32_t i = 0; i < m->nin_sync; i++)
        if (!is_placed(m, m->in_sync[i].allocation_id))
            write_store(s, id, m->in_sync[i].node, m->in_sync[i].allocation_id, "unused", w);
    qd_json_array_end(w);
    qd_json_object_end(w);
}

/* The shards of an index whose state is asked for; its member is begun with the first. */
static void write_index(const qd_state *s, const qdi_identity *id, const qd_index_meta *m,
                        uint32_t wanted, qd_json_writer *w)
{
    bool any = false;
    for (uint32_t k = 0; k < m->shards; k++) {
        const qd_shard_meta *shard = qd_state_shard(s, m, k);
        if (!shard || !(status_of(shard) & wanted)) continue;
        if (!any) {
            qd_json_key(w, m->name);
            qd_json_object(w);
            qd_json_key_c(w, "shards");
            qd_json_object(w);
        }
        any = true;
        write_shard(s, id, shard, k, w);
    }
    if (!any) return;
    qd_json_object_end(w);
    qd_json_object_end(w);
}

int qdi_api_shard_stores(qd_request *q, qd_response *r, qd_err *err)
{
    qdi_identity id;
    qd_resolved found = {0};
    uint32_t wanted;
    qdi_identity_get(q->a, &id);
    qd_state *s = qd_cluster_state(q->a->cluster);
    int rc = status_param(q, &wanted, err);
    if (!rc) rc = qd_param_indices(q, s, QD_INDICES_SEARCH, &found, err);
    if (!rc) {
        qd_json_object(&r->w);
        qd_json_key_c(&r->w, "indices");
        qd_json_object(&r->w);
        for (uint32_t i = 0; i < found.n; i++) write_index(s, &id, found.at[i], wanted, &r->w);
        qd_json_object_end(&r->w);
        qd_json_object_end(&r->w);
    }
    qd_state_unref(s);
    return rc;
}

int qdi_api_remote_info(qd_request *q, qd_response *r, qd_err *err)
{
    (void)q;
    (void)err;
    qd_json_object(&r->w);
    qd_json_object_end(&r->w);
    return 0;
}
