/* upgrade.c: the end of an upgrade of the cluster. */
#include "action/api/admin_int.h"

/* All nodes are of the new version and stay so: its formats may be written. */
int qdi_api_cluster_finalize_upgrade(qd_request *q, qd_response *r, qd_err *err)
{
    uint32_t level = 0;
    int rc = qd_cluster_finalize_upgrade(q->a->cluster, &level, err);
    if (rc) return rc;
    qd_json_object(&r->w);
    qd_json_field_bool(&r->w, "acknowledged", qdi_all_applied(q));
    qd_json_field_int(&r->w, "features", level);
    qd_json_object_end(&r->w);
    return 0;
}
