/*
 * mapping_merge.c: one definition put into another, with Elasticsearch's rules and texts: objects
 * are joined, fields must keep their type and those parameters that cannot change.
 */
#include "mapping/mapping_int.h"

static qd_str full_name(qd_arena *a, qd_str path, qd_str name)
{
    if (path.n == 0) return name;
    return qd_arena_printf(a, "%.*s.%.*s", QD_STR_ARG(path), QD_STR_ARG(name));
}

/* A parameter's value as conflicts show it. */
static qd_str shown(const param_row *row, const param_value *v)
{
    if (v->json.p) return v->text.p ? v->text : v->json;
    if (!row->def) return QD_STR("null");
    qd_str def = qd_str_c(row->def);
    if (def.n >= 2 && def.p[0] == '"') def = qd_str_sub(def, 1, def.n - 2);
    return def;
}

static bool same_value(const param_row *row, const param_value *x, const param_value *y)
{
    qd_str def = row->def ? qd_str_c(row->def) : (qd_str){NULL, 0};
    qd_str p = x->json.p ? x->json : def, q = y->json.p ? y->json : def;
    return (p.p == NULL) == (q.p == NULL) && qd_str_eq(p, q);
}

static int merge_field(qd_arena *a, qd_field_def *into, const qd_field_def *from, qd_str name,
                       qd_err *err)
{
    bool same = into->type == from->type || (into->type->own && from->type->own &&
                                             strcmp(into->type->name, from->type->name) == 0);
    if (!same && into->type->alias)
        return qd_err_set(err, QD_E_ARG,
                          "Cannot merge a field alias mapping [%.*s] with a mapping that is not "
                          "for a field alias.",
                          QD_STR_ARG(name));
    if (!same) {
        return qd_err_set(err, QD_E_ARG, "mapper [%.*s] cannot be changed from type [%s] to [%s]",
                          QD_STR_ARG(name), into->type->name, from->type->name);
    }
    qd_str conflicts = {NULL, 0};
    for (uint32_t i = 0; i < into->type->nparams; i++) {
        const param_row *row = &into->type->params[i];
        param_value *old = &into->params[i];
        const param_value *new = &from->params[i];
        if (row->id == PARAM_VECTOR_INDEX && !new->json.p) continue; /* it was made explicit */
        if (same_value(row, old, new)) {
            if (row->kind == KIND_EXPLICIT_BOOL) *old = *new;
            continue;
        }
        bool off = row->update == UPDATE_OFF && qd_str_is(shown(row, new), "false");
        bool set = row->update == UPDATE_SET && !old->json.p;
        if (row->update == UPDATE_FREE || row->update == UPDATE_FREE_SHOWN || off || set) {
            *old = *new;
            continue;
        }
        if (row->update == UPDATE_CHECKED) {
            qd_str why = into->type->against(a, into, from);
            if (!why.n) *old = *new;
            if (why.n)
                conflicts = qd_arena_printf(a, "%.*s%.*s", QD_STR_ARG(conflicts), QD_STR_ARG(why));
            if (!why.p || (why.n && !conflicts.p)) return qd_err_nomem(err, "mapping");
            continue;
        }
        conflicts = qd_arena_printf(a, "%.*s\n\tCannot update parameter [%s] from [%.*s] to [%.*s]",
                                    QD_STR_ARG(conflicts), row->name, QD_STR_ARG(shown(row, old)),
                                    QD_STR_ARG(shown(row, new)));
        if (!conflicts.p) return qd_err_nomem(err, "mapping");
    }
    if (conflicts.n) {
        return qd_err_set(err, QD_E_ARG, "Mapper for [%.*s] conflicts with existing mapper:%.*s",
                          QD_STR_ARG(name), QD_STR_ARG(conflicts));
    }
    into->copy_to = from->copy_to;
    into->ncopy_to = from->ncopy_to;
    into->keep = from->keep;
    for (uint32_t i = 0; i < from->nmulti; i++) {
        uint32_t at = 0;
        while (at < into->nmulti && qd_str_cmp(into->multi[at]->name, from->multi[i]->name) < 0)
            at++;
        if (at < into->nmulti && qd_str_eq(into->multi[at]->name, from->multi[i]->name)) {
            qd_str sub = full_name(a, name, from->multi[i]->name);
            int rc = merge_field(a, into->multi[at], from->multi[i], sub, err); /* one level deep */
            if (rc) return rc;
            continue;
        }
        qd_field_def **more = qd_arena_alloc(a, (into->nmulti + 1) * sizeof *more);
        if (!more) return qd_err_nomem(err, "mapping");
        for (uint32_t k = 0; k < at; k++) more[k] = into->multi[k];
        more[at] = from->multi[i];
        for (uint32_t k = at; k < into->nmulti; k++) more[k + 1] = into->multi[k];
        into->multi = more;
        into->nmulti++;
    }
    return 0;
}

/* What an object is does not change; of a nested one it does not, where else its fields go. */
static int merge_nested(const object_def *into, const object_def *from, qd_str path, qd_err *err)
{
    static const char *const names[] = {"include_in_parent", "include_in_root"};
    const tri pairs[][2] = {{into->in_parent, from->in_parent}, {into->in_root, from->in_root}};
    if (into->nested != from->nested && (into->nested ? !from->implied : true))
        return qd_err_set(err, QD_E_ARG,
                          "can't merge a %snested mapping [%.*s] with a %snested mapping",
                          into->nested ? "" : "non-", QD_STR_ARG(path), from->nested ? "" : "non-");
    for (size_t i = 0; from->nested && i < QD_COUNT_OF(names); i++) {
        if ((pairs[i][0] == TRI_TRUE) == (pairs[i][1] == TRI_TRUE)) continue;
        int rc =
            qd_err_set(err, QD_E_ARG,
                       "the [%s] parameter can't be updated on a nested object mapping", names[i]);
        qd_err_type(err, "mapper_exception", 0);
        return rc;
    }
    return 0;
}

static int merge_object(qd_arena *a, object_def *into, const object_def *from, qd_str path,
                        bool root, qd_err *err)
{
    int differs = merge_nested(into, from, path, err);
    if (differs) return differs;
    if (from->dynamic >= 0) into->dynamic = from->dynamic;
    if (from->keep) into->keep = from->keep;
    if (from->enabled != TRI_UNSET) {
        bool was = into->enabled != TRI_FALSE, is = from->enabled != TRI_FALSE;
        if (was != is) {
            int rc =
                qd_err_set(err, QD_E_ARG,
                           "the [enabled] parameter can't be updated for the object mapping [%.*s]",
                           QD_STR_ARG(root ? QD_STR("_doc") : path));
            qd_err_type(err, "mapper_exception", 0);
            return rc;
        }
        into->enabled = from->enabled;
    }
    for (uint32_t i = 0; i < from->nchildren; i++) {
        node_def *new = from->children[i], *old = qdi_object_find(into, new->name);
        qd_str name = full_name(a, path, new->name);
        int rc = 0;
        if (!name.p) return qd_err_nomem(err, "mapping");
        if (!old) {
            rc = qdi_object_add(a, into, new) ? qd_err_nomem(err, "mapping") : 0;
        } else if (old->object && new->object) {
            rc = merge_object(a, old->object, new->object, name, false, err);
        } else if (old->object) {
            rc = qd_err_set(err, QD_E_ARG,
                            "can't merge a non object mapping [%.*s] with an object mapping",
                            QD_STR_ARG(name));
        } else if (new->object) {
            rc = qd_err_set(err, QD_E_ARG,
                            "mapper [%.*s] cannot be changed from type [%s] to [ObjectMapper]",
                            QD_STR_ARG(name), old->field->type->name);
        } else {
            rc = merge_field(a, old->field, new->field, name, err);
        }
        if (rc) return rc;
    }
    return 0;
}

static int metadata_conflict(qd_err *err, const char *field, const char *param, bool from, bool to)
{
    return qd_err_set(err, QD_E_ARG,
                      "Mapper for [%s] conflicts with existing mapper:\n\tCannot update parameter "
                      "[%s] from [%s] to [%s]",
                      field, param, from ? "true" : "false", to ? "true" : "false");
}

int qdi_mapping_merge(qd_arena *a, mapping_def *into, const mapping_def *from, qd_err *err)
{
    int rc = merge_object(a, into->root, from->root, (qd_str){"", 0}, true, err);
    if (rc) return rc;
    if (qdi_runtime_merge(a, &into->runtime, &from->runtime)) return qd_err_nomem(err, "mapping");
    if (from->date_detection != TRI_UNSET) into->date_detection = from->date_detection;
    if (from->numeric_detection != TRI_UNSET) into->numeric_detection = from->numeric_detection;
    if (from->meta.p) into->meta = from->meta;
    if (from->has_date_formats) {
        into->has_date_formats = true;
        into->date_formats = from->date_formats;
        into->ndate_formats = from->ndate_formats;
    }
    if (from->has_templates) {
        into->has_templates = true;
        into->templates = from->templates;
        into->ntemplates = from->ntemplates;
    }
    if (from->has_source) {
        bool was = into->source_enabled != TRI_FALSE, is = from->source_enabled != TRI_FALSE;
        if (was != is) return metadata_conflict(err, "_source", "enabled", was, is);
        if (from->source_mode != into->source_mode) {
            static const char *const modes[] = {"null", "stored", "synthetic", "disabled"};
            return qd_err_set(err, QD_E_ARG,
                              "Mapper for [_source] conflicts with existing mapper:\n\tCannot "
                              "update parameter [mode] from [%s] to [%s]",
                              modes[into->source_mode], modes[from->source_mode]);
        }
        into->has_source = true;
        into->source_enabled = from->source_enabled;
        into->includes = from->includes;
        into->nincludes = from->nincludes;
        into->excludes = from->excludes;
        into->nexcludes = from->nexcludes;
    }
    if (from->stamped != TRI_UNSET) {
        bool was = into->stamped == TRI_TRUE, is = from->stamped == TRI_TRUE;
        if (was && !is) return metadata_conflict(err, "_data_stream_timestamp", "enabled", was, is);
        into->stamped = from->stamped;
    }
    if (from->has_routing) {
        bool was = into->routing_required == TRI_TRUE, is = from->routing_required == TRI_TRUE;
        if (was != is) return metadata_conflict(err, "_routing", "required", was, is);
        into->has_routing = true;
        into->routing_required = from->routing_required;
    }
    return 0;
}
