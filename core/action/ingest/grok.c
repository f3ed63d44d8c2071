/* grok.c: _ingest/processor/grok: the patterns that grok knows. */
#include "action/action_int.h"
#include "action/ingest/pipelines.h"
#include "base/str.h"

int qdi_api_ingest_processor_grok(qd_request *q, qd_response *r, qd_err *err)
{
    bool sorted;
    qd_str ecs = qd_param(q, "ecs_compatibility");
    int rc = qd_param_bool(q, "s", false, &sorted, err);
    if (rc) return rc;
    if (ecs.n && !qd_str_is(ecs, "disabled") && !qd_str_is(ecs, "v1"))
        return qd_err_set(err, QD_E_ARG, "unsupported ECS compatibility mode [%.*s]",
                          QD_STR_ARG(ecs));
    qd_json_object(&r->w);
    qd_json_key_c(&r->w, "patterns");
    qd_json_object(&r->w);
    rc = qd_ingest_grok_write(qd_str_is(ecs, "v1"), sorted, &r->w, err);
    if (rc) return rc;
    qd_json_object_end(&r->w);
    qd_json_object_end(&r->w);
    return 0;
}
