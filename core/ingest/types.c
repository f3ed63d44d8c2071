/* types.c: the table of processors. */
#include "ingest/ingest_int.h"

static const qdi_processor_type *const types[] = {
#define QDI_PROCESSOR(name) &qdi_processor_##name,
#include "ingest/types.def"
#undef QDI_PROCESSOR
};

const qdi_processor_type *qdi_ingest_type(qd_str name)
{
    for (uint32_t k = 0; k < QD_COUNT_OF(types); k++) {
        if (qd_str_is(name, types[k]->name)) return types[k];
    }
    return NULL;
}

void qd_ingest_types_write(const qd_plugin_host *plugins, qd_json_writer *w)
{
    size_t pos = 0;
    qd_str name;
    qd_self *self;
    for (uint32_t k = 0; k < QD_COUNT_OF(types); k++) {
        if (!qdi_script_there && strcmp(types[k]->name, "script") == 0) continue;
        qd_json_object(w);
        qd_json_field_c(w, "type", types[k]->name);
        qd_json_object_end(w);
    }
    while (plugins && qd_plugin_next(plugins, QD_KIND_PROCESSOR, &pos, &name, &self)) {
        qd_json_object(w);
        qd_json_field_str(w, "type", name);
        qd_json_object_end(w);
    }
}

bool qd_ingest_type_known(qd_str name)
{
    return qdi_ingest_type(name) != NULL;
}
