/* mapping_look.c: what a mapping says of itself and of all its fields. */
#include "base/features.h"
#include "mapping/mapping_int.h"
#include "mapping/synthetic.h"

uint64_t qd_mapping_version(const qd_mapping *m)
{
    return m->version;
}
qd_str qd_mapping_json(const qd_mapping *m)
{
    return m->json;
}
uint32_t qd_mapping_nfields(const qd_mapping *m)
{
    return m->nfields;
}
bool qd_mapping_source_enabled(const qd_mapping *m)
{
    return m->source_mode != QD_SOURCE_DISABLED;
}
const qd_json_filter *qd_mapping_source_filter(const qd_mapping *m)
{
    return m->source_filter;
}
bool qd_mapping_routing_required(const qd_mapping *m)
{
    return m->def->routing_required == TRI_TRUE;
}
const qd_analyzers *qd_mapping_analyzers(const qd_mapping *m)
{
    return m->analyzers;
}

qd_str qd_field_meta(const qd_field *f)
{
    const qd_field_def *d = f->def;
    for (uint32_t i = 0; d && i < d->type->nparams; i++)
        if (d->type->params[i].kind == KIND_META && d->params[i].json.p) return d->params[i].json;
    return (qd_str){"", 0};
}

bool qd_mapping_stores_apart(const qd_mapping *m)
{
    bool all = m->source_mode != QD_SOURCE_DISABLED && !m->source_filter;
    return m->stores && !all;
}

bool qd_mapping_has_similarities(const qd_mapping *m)
{
    return m->similarities;
}

const qd_similarity *qd_mapping_similarity(const qd_mapping *m, qd_str field)
{
    static const qd_str hidden = {"._index_phrase", 14};
    if (qd_str_ends(field, hidden)) field = qd_str_sub(field, 0, field.n - hidden.n);
    const qd_field *f = qdi_mapping_any(m, field);
    return f ? f->similarity : qd_similarity_default(m->settings.similarities);
}

int qd_mapping_match(const qd_mapping *m, qd_str pattern, int (*fn)(void *arg, const qd_field *f),
                     void *arg)
{
    uint32_t r = 0;
    for (uint32_t i = 0; i < m->nnamed || r < m->nruntime_fields;) {
        const qd_field *f = i < m->nnamed ? m->fields[m->by_name[i]] : NULL;
        int order = 1;
        if (!f || r < m->nruntime_fields)
            order = f ? qd_str_cmp(m->runtime_fields[r]->shown, f->shown) : -1;
        if (order <= 0) f = m->runtime_fields[r++]; /* it hides a field of its name */
        i += order >= 0;
        if (!qd_json_simple_match(pattern, f->shown)) continue;
        int rc = fn(arg, f);
        if (rc) return rc;
    }
    return 0;
}

bool qd_mapping_has_nested(const qd_mapping *m)
{
    return m->nnested > 0;
}

bool qd_mapping_is_nested(const qd_mapping *m, qd_str name, qd_str *above)
{
    for (uint32_t i = 0; i < m->nnested; i++) {
        const object *o = m->nested[i];
        if (!qd_str_eq(o->path, name)) continue;
        if (above) *above = o->above ? o->above->path : (qd_str){"", 0};
        return true;
    }
    return false;
}

int qd_mapping_nested_paths(const qd_mapping *m, qd_str above, qd_str path, qd_arena *arena,
                            const qd_str **out, uint32_t *n, qd_err *err)
{
    uint32_t k = 0;
    qd_str at = path, up;
    *n = 0;
    for (; at.n && !qd_str_eq(at, above); at = up, k++)
        if (!qd_mapping_is_nested(m, at, &up)) return 0;
    if (!qd_str_eq(at, above)) return 0;
    qd_str *list = qd_arena_alloc(arena, (k + 1) * sizeof *list);
    if (!list) return qd_err_nomem(err, "nested documents");
    *out = list;
    *n = k;
    for (at = path; k--; at = up) {
        list[k] = qd_arena_str(arena, at);
        if (!list[k].p) return qd_err_nomem(err, "nested documents");
        (void)qd_mapping_is_nested(m, at, &up);
    }
    return 0;
}

qd_str qd_mapping_nested_of(const qd_mapping *m, qd_str name)
{
    qd_str found = {"", 0};
    for (uint32_t i = 0; i < m->nnested; i++) { /* the innermost comes last */
        qd_str path = m->nested[i]->path;
        if (qd_str_starts(name, path) && (name.n == path.n || name.p[path.n] == '.')) found = path;
    }
    return found;
}

bool qd_mapping_is_metadata(qd_str name)
{
    static const char *const names[] = {"_id",
                                        "_ignored",
                                        "_index",
                                        "_nested_path",
                                        "_routing",
                                        "_seq_no",
                                        "_source",
                                        "_tier",
                                        "_version",
                                        "_field_names",
                                        "_data_stream_timestamp"};
    if (name.n == 0 || name.p[0] != '_') return false;
    for (size_t i = 0; i < QD_COUNT_OF(names); i++) {
        if (qd_str_is(name, names[i])) return true;
    }
    return false;
}

const char *qd_mapping_missing(const qd_mapping *m)
{
    for (uint32_t i = 0; i < m->nfields; i++)
        if (m->fields[i]->unusable) return m->fields[i]->unusable;
    return NULL;
}

/* By its type and parameters, the alias of its type, and the built-in analyzers that it names. */
static uint32_t level_of(const qd_field *f)
{
    const struct qd_field_type *t = f->type;
    const qd_analyzer *used[] = {f->index_analyzer, f->search_analyzer, f->search_quote_analyzer,
                                 f->normalizer};
    uint32_t level = t->own ? QD_FEATURES_FIELD_TYPES : t->needs ? t->needs(f) : t->level;
    if (!t->own && f->def->type->level > level) level = f->def->type->level;
    for (size_t i = 0; i < QD_COUNT_OF(used); i++)
        if (qd_analyzer_level(used[i]) > level) level = qd_analyzer_level(used[i]);
    return level;
}

/* A field that says what of a synthetic source is kept. */
static const qd_field *keeper_of(const qd_mapping *m)
{
    for (uint32_t i = 0; i < m->nfields; i++)
        if (m->fields[i]->def && m->fields[i]->def->keep) return m->fields[i];
    return NULL;
}

uint32_t qd_mapping_level(const qd_mapping *m, qd_str *what, const char **type, const qd_field **f)
{
    uint32_t level = 0;
    if (m->nnested) {
        level = QD_FEATURES_TYPES_0_2;
        *what = m->nested[0]->path;
        *type = "nested";
    }
    for (uint32_t i = 0; i < m->nfields; i++) {
        uint32_t own = level_of(m->fields[i]);
        if (own <= level) continue;
        level = own;
        *what = m->fields[i]->name;
        *type = qd_field_type_name(m->fields[i]);
        *f = m->fields[i];
    }
    if ((m->nruntime || m->makes_runtime) && level < QD_FEATURES_SEARCH_0_3) {
        level = QD_FEATURES_SEARCH_0_3;
        *what = m->nruntime ? m->runtime[0]->name : QD_STR("dynamic");
        *type = "runtime";
        *f = NULL;
    }
    if (m->strict_templates && level < QD_FEATURES_SEARCH_0_3) {
        level = QD_FEATURES_SEARCH_0_3;
        *what = QD_STR("dynamic");
        *type = "strict_allow_templates";
        *f = NULL;
    }
    if (m->stamp && level < QD_FEATURES_TYPES_0_2) {
        level = QD_FEATURES_TYPES_0_2;
        *what = m->stamp->name;
        *type = qd_field_type_name(m->stamp);
        *f = m->stamp;
    }
    /* an index whose source is made says so itself; a field may say it before it is */
    const qd_field *kept = keeper_of(m);
    if (kept && level < QD_FEATURES_SEARCH_0_3) {
        level = QD_FEATURES_SEARCH_0_3;
        *what = kept->name;
        *type = qd_field_type_name(kept);
        *f = kept;
    }
    return level;
}
