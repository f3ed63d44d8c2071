/* append.c: the processor append: values behind those that a field has. */
#include "ingest/ingest_int.h"

typedef struct appending {
    qdi_tpath field;
    qdi_source *value;
    bool duplicates;
} appending;

static int make(qdi_build *b, void *config, qd_err *err)
{
    appending *c = config;
    qd_mustache_escape escape;
    int rc = qdi_arg_tpath(b, "field", (qd_str){NULL, 0}, &c->field, err);
    if (!rc) rc = qdi_arg_media_type(b, &escape, err);
    if (!rc) rc = qdi_arg_value(b, "value", escape, &c->value, err);
    return rc ? rc : qdi_arg_bool(b, "allow_duplicates", true, &c->duplicates, err);
}

static int run(const void *config, qd_ingest_run *r, qd_err *err)
{
    const appending *c = config;
    qdi_path room;
    const qdi_path *p;
    qd_iv v;
    int rc = qdi_tpath_get(r, &c->field, &room, &p, err);
    if (!rc) rc = qdi_source_value(r, c->value, &v, err);
    return rc ? rc : qdi_path_append(r, p, &v, c->duplicates, err);
}

const qdi_processor_type qdi_processor_append = {"append", sizeof(appending), .make = make,
                                                 .run = run};
