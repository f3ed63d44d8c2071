/* mapping_write.c: definitions as Elasticsearch writes them: names sorted, defaults left out. */
#include "mapping/mapping_int.h"

static void write_strings(qd_json_writer *w, const char *key, const qd_str *list, uint32_t n)
{
    qd_json_key_c(w, key);
    qd_json_array(w);
    for (uint32_t i = 0; i < n; i++) qd_json_str(w, list[i]);
    qd_json_array_end(w);
}

/* An index analyzer that is the default is written beside a search analyzer. */
static bool analyzer_beside_search(const qd_field_def *f, param_id id)
{
    return id == PARAM_ANALYZER &&
           (qdi_param(f, PARAM_SEARCH_ANALYZER) || qdi_param(f, PARAM_SEARCH_QUOTE_ANALYZER));
}

static void write_keep(uint8_t keep, qd_json_writer *w)
{
    static const char *const names[] = {"none", "arrays", "all"};
    if (keep) qd_json_field_c(w, "synthetic_source_keep", names[keep - 1]);
}

void qdi_field_def_write(const qd_field_def *f, bool defaults, qd_json_writer *w)
{
    qd_json_object(w);
    qd_json_field_c(w, "type", f->type->name);
    for (uint32_t i = 0; i < f->type->nparams; i++) {
        const param_row *row = &f->type->params[i];
        qd_str json = f->params[i].json;
        if (!json.p && row->def &&
            (defaults || row->update >= UPDATE_SHOWN || analyzer_beside_search(f, row->id)))
            json = qd_str_c(row->def);
        if (!json.p) continue;
        qd_json_key_c(w, row->name);
        qd_json_raw_value(w, json);
    }
    if (f->nmulti) {
        qd_json_key_c(w, "fields");
        qd_json_object(w);
        for (uint32_t i = 0; i < f->nmulti; i++) {
            qd_json_key(w, f->multi[i]->name);
            qdi_field_def_write(f->multi[i], defaults, w); /* multi-fields have none of their own */
        }
        qd_json_object_end(w);
    }
    if (f->ncopy_to) write_strings(w, "copy_to", f->copy_to, f->ncopy_to);
    write_keep(f->keep, w);
    qd_json_object_end(w);
}

static void write_dynamic(const object_def *o, qd_json_writer *w)
{
    static const char *const names[] = {"true", "false", "strict", "runtime",
                                        "strict_allow_templates"};
    if (o->dynamic >= 0) qd_json_field_c(w, "dynamic", names[o->dynamic]);
    if (o->enabled == TRI_FALSE) qd_json_field_bool(w, "enabled", false);
    write_keep(o->keep, w);
}

static void write_children(const object_def *o, qd_json_writer *w);

static void write_nested(const object_def *o, qd_json_writer *w)
{
    qd_json_field_c(w, "type", "nested");
    if (o->in_parent == TRI_TRUE) qd_json_field_bool(w, "include_in_parent", true);
    if (o->in_root == TRI_TRUE) qd_json_field_bool(w, "include_in_root", true);
}

static void write_node(const node_def *n, qd_json_writer *w)
{
    if (n->field) {
        qdi_field_def_write(n->field, false, w);
        return;
    }
    qd_json_object(w);
    if (n->object->nested)
        write_nested(n->object, w);
    else if (n->object->nchildren == 0)
        qd_json_field_c(w, "type", "object");
    write_dynamic(n->object, w);
    write_children(n->object, w);
    qd_json_object_end(w);
}

static void write_children(const object_def *o, qd_json_writer *w)
{
    if (o->nchildren == 0) return;
    qd_json_key_c(w, "properties");
    qd_json_object(w);
    for (uint32_t i = 0; i < o->nchildren; i++) {
        qd_json_key(w, o->children[i]->name);
        write_node(o->children[i], w); /* depth: MAPPING_LEVELS_MAX */
    }
    qd_json_object_end(w);
}

static void write_metadata(const mapping_def *d, qd_json_writer *w)
{
    if (d->meta.p) {
        qd_json_key_c(w, "_meta");
        qd_json_raw_value(w, d->meta);
    }
    if (d->stamped == TRI_TRUE) {
        qd_json_key_c(w, "_data_stream_timestamp");
        qd_json_object(w);
        qd_json_field_bool(w, "enabled", true);
        qd_json_object_end(w);
    }
    if (d->routing_required == TRI_TRUE) {
        qd_json_key_c(w, "_routing");
        qd_json_object(w);
        qd_json_field_bool(w, "required", true);
        qd_json_object_end(w);
    }
    if (d->source_enabled == TRI_FALSE || d->source_mode > 1 || d->nincludes || d->nexcludes) {
        static const char *const modes[] = {"stored", "synthetic", "disabled"};
        qd_json_key_c(w, "_source");
        qd_json_object(w);
        if (d->source_mode > 1) qd_json_field_c(w, "mode", modes[d->source_mode - 1]);
        if (d->source_enabled == TRI_FALSE) qd_json_field_bool(w, "enabled", false);
        if (d->nincludes) write_strings(w, "includes", d->includes, d->nincludes);
        if (d->nexcludes) write_strings(w, "excludes", d->excludes, d->nexcludes);
        qd_json_object_end(w);
    }
}

void qdi_mapping_write(const mapping_def *d, qd_json_writer *w)
{
    qd_json_object(w);
    write_dynamic(d->root, w);
    write_metadata(d, w);
    if (d->has_date_formats)
        write_strings(w, "dynamic_date_formats", d->date_formats, d->ndate_formats);
    if (d->ntemplates) {
        qd_json_key_c(w, "dynamic_templates");
        qd_json_array(w);
        for (uint32_t i = 0; i < d->ntemplates; i++) {
            qd_json_object(w);
            qd_json_key(w, d->templates[i].name);
            qd_json_raw_value(w, d->templates[i].body);
            qd_json_object_end(w);
        }
        qd_json_array_end(w);
    }
    if (d->date_detection != TRI_UNSET)
        qd_json_field_bool(w, "date_detection", d->date_detection == TRI_TRUE);
    if (d->numeric_detection != TRI_UNSET) {
        qd_json_field_bool(w, "numeric_detection", d->numeric_detection == TRI_TRUE);
    }
    write_children(d->root, w);
    qdi_runtime_write(&d->runtime, w);
    qd_json_object_end(w);
}

void qd_mapping_write(const qd_mapping *m, qd_json_writer *w)
{
    qdi_mapping_write(m->def, w);
}

void qd_field_write_definition(const qd_field *f, bool include_defaults, qd_json_writer *w)
{
    qdi_field_def_write(f->def, include_defaults, w);
}
