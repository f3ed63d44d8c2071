/* indices_dangling.c: indices whose files lie on this node though the cluster does not know them.
 */
#include "action/indices_int.h"
#include "base/str.h"

typedef struct dangling_list {
    qd_request *q;
    qd_json_writer *w;
} dangling_list;

static int write_one(void *arg, qd_str uuid, const qd_index_meta *m)
{
    const dangling_list *l = arg;
    qd_json_writer *w = l->w;
    qd_json_object(w);
    qd_json_field_str(w, "index_name", m ? m->name : QD_STR("_na_"));
    qd_json_field_str(w, "index_uuid", uuid);
    qd_json_field_int(w, "creation_date_millis", m ? m->created_ms : 0);
    qd_json_key_c(w, "node_ids");
    qd_json_array(w);
    qd_json_str(w, l->q->a->node_id);
    qd_json_array_end(w);
    qd_json_object_end(w);
    return 0;
}

int qdi_api_dangling_list(qd_request *q, qd_response *r, qd_err *err)
{
    dangling_list l = {q, &r->w};
    qd_json_object(&r->w);
    qd_json_key_c(&r->w, "_nodes");
    qd_json_object(&r->w);
    qd_json_field_int(&r->w, "total", 1);
    qd_json_field_int(&r->w, "successful", 1);
    qd_json_field_int(&r->w, "failed", 0);
    qd_json_object_end(&r->w);
    qd_json_field_str(&r->w, "cluster_name", qd_cluster_name(q->a->cluster));
    qd_json_key_c(&r->w, "dangling_indices");
    qd_json_array(&r->w);
    int rc = qd_shards_dangling(q->a->shards, write_one, &l, err);
    qd_json_array_end(&r->w);
    qd_json_object_end(&r->w);
    return rc;
}

static int check_accepted(const qd_request *q, qd_err *err)
{
    bool accepted;
    int rc = qd_param_bool(q, "accept_data_loss", false, &accepted, err);
    if (rc || accepted) return rc;
    return qd_err_set(err, QD_E_ARG, "accept_data_loss must be set to true");
}

int qdi_api_dangling_import(qd_request *q, qd_response *r, qd_err *err)
{
    qd_str name;
    int64_t timeout;
    int rc = check_accepted(q, err);
    if (!rc) rc = qdi_admin_timeout(q, &timeout, err);
    if (!rc) {
        rc = qd_shards_import(q->a->shards, qd_param(q, "index_uuid"), &name, q->arena, err);
    }
    if (rc) return rc;
    r->status = 202;
    qdi_answer_acknowledged(q, r);
    return 0;
}

int qdi_api_dangling_delete(qd_request *q, qd_response *r, qd_err *err)
{
    int rc = check_accepted(q, err);
    if (!rc) rc = qd_shards_delete_dangling(q->a->shards, qd_param(q, "index_uuid"), err);
    if (rc) return rc;
    r->status = 202;
    qdi_answer_acknowledged(q, r);
    return 0;
}
