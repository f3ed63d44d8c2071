/* indices_put.c: changing mappings and settings. */
#include "action/indices_int.h"
#include "base/str.h"

#define WRITE_OPTIONS (QD_EXPAND_OPEN | QD_EXPAND_CLOSED)

int qdi_api_indices_put_mapping(qd_request *q, qd_response *r, qd_err *err)
{
    qd_resolved found;
    qd_json_node *root;
    qd_state *s = qd_cluster_state(q->a->cluster);
    int rc = qd_json_parse(q->arena, q->body, 0, &root, err);
    if (!rc && root->type != QD_JSON_T_OBJECT) {
        rc = qd_err_set(err, QD_E_ES_PARSE, "the mapping must be an object");
    }
    if (!rc) rc = qd_param_indices(q, s, WRITE_OPTIONS, &found, err);
    for (uint32_t i = 0; !rc && i < found.n; i++) {
        rc = qd_cluster_put_mapping(q->a->cluster, qd_str_c(found.at[i]->uuid),
                                    qdi_mapping_of(q, root), NULL, err);
    }
    qd_state_unref(s);
    if (!rc) qd_response_acknowledged(r);
    return rc;
}

int qdi_api_indices_put_settings(qd_request *q, qd_response *r, qd_err *err)
{
    qd_resolved found;
    qd_json_node *root;
    qd_settings *update = NULL;
    bool preserve;
    qd_state *s = qd_cluster_state(q->a->cluster);
    int rc = qd_param_bool(q, "preserve_existing", false, &preserve, err);
    if (!rc) rc = qd_json_parse(q->arena, q->body, 0, &root, err);
    if (!rc) {
        const qd_json_node *inner = qd_json_get(root, "settings");
        rc = qdi_settings_of(inner && root->n == 1 ? inner : root, &update, err);
    }
    if (!rc) rc = qd_param_indices(q, s, WRITE_OPTIONS, &found, err);
    for (uint32_t i = 0; !rc && i < found.n; i++) {
        rc = qd_cluster_put_settings(q->a->cluster, qd_str_c(found.at[i]->uuid), update, preserve,
                                     NULL, err);
    }
    qd_settings_unref(update);
    qd_state_unref(s);
    if (!rc) qd_response_acknowledged(r);
    return rc;
}
