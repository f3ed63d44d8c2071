/*
 * mapping.c: definitions compiled to what documents and queries use: a table of children for each
 * object, one of all full names, fields by number. Compiling walks the tree of objects; depth is
 * bounded by MAPPING_LEVELS_MAX. A merged mapping is compiled anew from the joined definitions:
 * merges are rare, and nobody ever sees a mapping change.
 */
#include "base/vec.h"
#include "mapping/mapping_int.h"
#include "mapping/synthetic/synthetic_int.h"

#define NESTED_MAX 200u /* as many tables a segment has */
#define MAPPING_MAGIC 0x5144404d

typedef struct compiler {
    qd_mapping *m;
    const qd_mapping *old; /* whose numbers are kept; or NULL */
    QD_VEC(qd_field *) fields;
    QD_VEC(const object *) objects;
    uint32_t nhidden; /* of the fields */
    uint32_t nnested; /* of the objects */
    qd_account *account;
    bool stored; /* the mapping stood in the state: names may be gone */
} compiler;

/* --- tables -------------------------------------------------------------------------------------
 */

static void table_put(child *table, uint32_t mask, child c)
{
    uint32_t i = (uint32_t)c.hash & mask;
    while (table[i].hash) i = (i + 1) & mask;
    table[i] = c;
}

static uint64_t hash_of(qd_str name)
{
    uint64_t h = qd_json_key_hash(name);
    return h ? h : 1;
}

static const child *table_get(const child *table, uint32_t mask, uint64_t hash, qd_str name)
{
    hash = hash ? hash : 1;
    for (uint32_t i = (uint32_t)hash & mask; table[i].hash; i = (i + 1) & mask) {
        if (table[i].hash == hash && qd_str_eq(table[i].name, name)) return &table[i];
    }
    return NULL;
}

const child *qdi_object_child(const object *o, uint64_t hash, qd_str name)
{
    return table_get(o->table, o->mask, hash, name);
}

static uint32_t table_size(uint32_t n)
{
    uint32_t size = 4;
    while (size < 2 * n + 1) size *= 2;
    return size;
}

/* --- fields --------------------------------------------------------------------------------------
 */

static int index_options(qd_field *f, const param_value *v, qd_err *err)
{
    static const char *const names[] = {"docs", "freqs", "positions", "offsets"};
    f->index_options = f->value_class == QD_VALUE_TEXT ? QD_INDEX_OPT_POSITIONS : QD_INDEX_OPT_DOCS;
    if (!v) return 0;
    for (size_t i = 0; i < QD_COUNT_OF(names); i++) {
        if (!qd_str_is(v->text, names[i])) continue;
        f->index_options = (uint8_t)i;
        return 0;
    }
    return qd_err_set(err, QD_E_ARG,
                      "Unknown value [%.*s] for field [index_options] - accepted values are "
                      "[positions, docs, freqs, offsets]",
                      QD_STR_ARG(v->text));
}

static bool flag(const qd_field_def *d, param_id id, bool fallback)
{
    int i = qdi_param_index(d->type, id);
    if (i < 0) return fallback;
    if (d->params[i].json.p) return d->params[i].i != 0;
    if (d->type->params[i].kind == KIND_EXPLICIT_BOOL) return fallback;
    return qd_str_is(qd_str_c(d->type->params[i].def), "true");
}

/* Was it defined so before, when anything was taken? */
static bool stood(const compiler *c, const qd_field *f)
{
    return c->stored || (c->old && qdi_mapping_any(c->old, f->name));
}

/* What the field scores by. A definition that is gone (the settings of a closed index may change)
 * leaves the default. */
static int similarity(const compiler *c, qd_field *f, qd_err *err)
{
    const qd_similarities *all = c->m->settings.similarities;
    const param_value *v = qdi_param(f->def, PARAM_SIMILARITY);
    bool named = v && !qd_str_is(v->text, "default");
    f->similarity = named ? qd_similarity_named(all, v->text) : qd_similarity_default(all);
    if (named && !f->similarity && !stood(c, f))
        return qd_err_set(err, QD_E_MAPPER_PARSING,
                          "Unknown Similarity type [%.*s] for field [%.*s]", QD_STR_ARG(v->text),
                          QD_STR_ARG(f->leaf));
    if (!qd_similarity_default(all) && f->similarity == qd_similarity_named(NULL, QD_STR("BM25")))
        f->similarity = NULL; /* as if it were not named */
    c->m->similarities |= f->similarity != NULL;
    return 0;
}

/* Mappings of former versions may have any word there. */
static int vector(const compiler *c, qd_field *f, qd_err *err)
{
    static const struct {
        const char *name;
        uint8_t bits;
    } words[] = {
        {"no", 0},
        {"yes", QD_VECTOR_YES},
        {"with_positions", QD_VECTOR_YES | QD_VECTOR_POSITIONS},
        {"with_offsets", QD_VECTOR_YES | QD_VECTOR_OFFSETS},
        {"with_positions_offsets", QD_VECTOR_YES | QD_VECTOR_POSITIONS | QD_VECTOR_OFFSETS},
        {"with_positions_payloads", QD_VECTOR_YES | QD_VECTOR_POSITIONS | QD_VECTOR_PAYLOADS},
        {"with_positions_offsets_payloads",
         QD_VECTOR_YES | QD_VECTOR_POSITIONS | QD_VECTOR_OFFSETS | QD_VECTOR_PAYLOADS}};
    const param_value *v = qdi_param(f->def, PARAM_TERM_VECTOR);
    if (!v) return 0;
    for (size_t i = 0; i < QD_COUNT_OF(words); i++) {
        if (!qd_str_is(v->text, words[i].name)) continue;
        f->vector = words[i].bits;
        return 0;
    }
    return stood(c, f)
               ? 0
               : qd_err_set(err, QD_E_ARG,
                            "Unknown value [%.*s] for field [term_vector] - accepted values "
                            "are [no, yes, with_positions, with_offsets, "
                            "with_positions_offsets, with_positions_payloads, "
                            "with_positions_offsets_payloads]",
                            QD_STR_ARG(v->text));
}

static int apply_params(const compiler *c, qd_field *f, qd_err *err)
{
    const qd_field_def *d = f->def;
    const param_value *v;
    f->indexed = flag(d, PARAM_INDEX, true);
    f->doc_values = flag(d, PARAM_DOC_VALUES, false);
    f->stored = flag(d, PARAM_STORE, false);
    f->norms = flag(d, PARAM_NORMS, false);
    f->coerce = flag(d, PARAM_COERCE, c->m->settings.coerce);
    f->ignore_malformed = flag(d, PARAM_IGNORE_MALFORMED, c->m->settings.ignore_malformed);
    f->eager_global_ordinals = flag(d, PARAM_EAGER, false);
    f->split_on_whitespace = flag(d, PARAM_SPLIT, false);
    f->fielddata = flag(d, PARAM_FIELDDATA, false);
    int rc = similarity(c, f, err);
    if (!rc) rc = vector(c, f, err);
    if (rc) return rc;
    v = qdi_param(d, PARAM_IGNORE_ABOVE);
    f->ignore_above = v && v->i >= 0 ? (uint32_t)v->i : INT32_MAX;
    v = qdi_param(d, PARAM_GAP);
    f->position_increment_gap = v && v->i >= 0 ? (uint32_t)v->i : 100;
    v = qdi_param(d, PARAM_SCALING_FACTOR);
    f->scaling_factor = v ? v->d : 1;
    v = qdi_param(d, PARAM_NULL_VALUE);
    f->has_null_value = v != NULL;
    if (v) f->null_text = v->text;
    return index_options(f, qdi_param(d, PARAM_INDEX_OPTIONS), err);
}

/* Names of Elasticsearch's hidden fields of a text field. */
static int check_reserved(qd_str name, qd_err *err)
{
    if (!qd_str_ends(name, QD_STR("._index_phrase")) &&
        !qd_str_ends(name, QD_STR("._index_prefix")))
        return 0;
    return qd_err_set(err, QD_E_MAPPER_PARSING, "Cannot use reserved field name [%.*s]",
                      QD_STR_ARG(name));
}

static void exists_how(qd_field *f)
{
    f->exists_by = f->constant     ? f->fixed.p ? QD_EXISTS_ALWAYS : QD_EXISTS_NEVER
                   : f->doc_values ? QD_EXISTS_COLUMN
                   : f->norms      ? QD_EXISTS_NORMS
                   : f->indexed || f->stored || f->part ? QD_EXISTS_FIELD_NAME
                                                        : QD_EXISTS_NEVER;
}

/* A field and those that its type brings, the implied ones into multi. */
static int take_fields(compiler *c, const field_builder *b, qd_field *f, qd_field **multi)
{
    int rc = 0;
    exists_how(f);
    for (qd_field *x = f; x && !rc; x = x->beside) {
        rc = qd_vec_push(&c->fields, c->account, x);
        c->nhidden += x->hidden;
    }
    for (uint32_t i = 0; i < b->nimplied && !rc; i++) {
        multi[i] = b->implied[i]; /* its name is no term of _field_names */
        multi[i]->exists_by = multi[i]->norms ? QD_EXISTS_NORMS : QD_EXISTS_NEVER;
        rc = qd_vec_push(&c->fields, c->account, multi[i]);
    }
    return rc;
}

/* A document has one place among parents and children. */
static int take_join(compiler *c, const qd_field *f, qd_err *err)
{
    if (c->m->join)
        return qd_err_set(err, QD_E_ARG,
                          "Only one [parent-join] field can be defined per index, got [%.*s, %.*s]",
                          QD_STR_ARG(c->m->join->name), QD_STR_ARG(f->name));
    c->m->join = f;
    return 0;
}

static int compile_field(compiler *c, const qd_field_def *d, qd_str name, const qd_field *parent,
                         const object *in, qd_field **out, qd_err *err)
{
    qd_arena *a = &c->m->arena;
    field_builder b = {.arena = a, .analyzers = c->m->analyzers, .settings = &c->m->settings};
    qd_field *f = qd_arena_calloc(a, sizeof *f);
    qd_field **multi = qd_arena_calloc(a, (d->nmulti + QD_COUNT_OF(b.implied)) * sizeof *multi);
    if (!f || !multi) return qd_err_nomem(err, "mapping");
    f->type = d->type;
    f->value_class = d->type->value_class;
    f->number = d->type->number;
    f->dates = d->type->dates;
    f->name = f->shown = name;
    f->leaf = d->name;
    f->parent = parent;
    if (in->nested) f->nested = in->nested->path;
    f->def = d;
    int rc = apply_params(c, f, err);
    if (rc == 0) rc = d->type->finish(&b, f, err);
    if (rc == 0 && f->join) rc = take_join(c, f, err);
    if (rc) return rc;
    rc = take_fields(c, &b, f, &multi[d->nmulti]);
    if (rc) return qd_err_nomem(err, "mapping");
    for (uint32_t i = 0; i < d->nmulti; i++) {
        qd_str sub =
            qd_arena_printf(a, "%.*s.%.*s", QD_STR_ARG(name), QD_STR_ARG(d->multi[i]->name));
        if (!sub.p) return qd_err_nomem(err, "mapping");
        if (f->value_class == QD_VALUE_TEXT && (rc = check_reserved(sub, err))) return rc;
        rc = compile_field(c, d->multi[i], sub, f, in, &multi[i],
                           err); /* one level: they have none */
        if (rc) return rc;
    }
    f->multi = multi;
    f->nmulti = d->nmulti + b.nimplied;
    *out = f;
    return 0;
}

int qdi_runtime_field(struct compiler *c, const qd_field_def *d, qd_str name,
                      const qd_runtime_field *of, qd_field **out, qd_err *err)
{
    field_builder b = {
        .arena = &c->m->arena, .analyzers = c->m->analyzers, .settings = &c->m->settings};
    qd_field *f = qd_arena_calloc(b.arena, sizeof *f);
    if (!f) return qd_err_nomem(err, "mapping");
    f->type = d->type;
    f->value_class = d->type->value_class;
    f->number = d->type->number;
    f->dates = d->type->dates;
    f->name = f->shown = name;
    f->leaf = d->name;
    f->def = d;
    f->runtime = of;
    f->id = UINT32_MAX; /* documents cannot have it */
    int rc = apply_params(c, f, err);
    f->indexed = f->norms = f->stored = false;
    f->doc_values = true;
    if (!rc) rc = d->type->finish(&b, f, err);
    exists_how(f);
    *out = f;
    return rc;
}

/* --- objects
 * ---------------------------------------------------------------------------------------- */

static int compile_object(compiler *c, const object_def *d, qd_str path, const object *in,
                          const object **out, qd_err *err)
{
    qd_dynamic dynamic = in ? in->dynamic : QD_DYNAMIC_TRUE;
    qd_arena *a = &c->m->arena;
    uint32_t size = table_size(d->nchildren);
    object *o = qd_arena_calloc(a, sizeof *o);
    if (!o) return qd_err_nomem(err, "mapping");
    o->path = path;
    o->dynamic = d->dynamic >= 0 ? (qd_dynamic)d->dynamic : dynamic;
    if (o->dynamic == QD_DYNAMIC_STRICT_TEMPLATES) c->m->strict_templates = true;
    o->enabled = d->enabled != TRI_FALSE;
    c->m->makes_runtime |= o->dynamic == QD_DYNAMIC_RUNTIME;
    o->nested = d->nested ? o : in ? in->nested : NULL;
    o->above = d->nested ? in->nested : NULL;
    o->in_parent = d->in_parent == TRI_TRUE;
    o->in_root = d->in_root == TRI_TRUE;
    o->keep = d->keep;
    c->nnested += d->nested;
    o->mask = size - 1;
    o->table = qd_arena_calloc(a, size * sizeof *o->table);
    if (!o->table || qd_vec_push(&c->objects, c->account, o)) return qd_err_nomem(err, "mapping");
    for (uint32_t i = 0; i < d->nchildren; i++) {
        const node_def *n = d->children[i];
        qd_str name = n->name;
        if (path.n) name = qd_arena_printf(a, "%.*s.%.*s", QD_STR_ARG(path), QD_STR_ARG(n->name));
        if (!name.p) return qd_err_nomem(err, "mapping");
        child entry = {.hash = hash_of(n->name), .name = n->name};
        qd_field *f = NULL;
        int rc = n->object ? compile_object(c, n->object, name, o, &entry.object, err)
                           : compile_field(c, n->field, name, NULL, o, &f, err);
        if (rc) return rc;
        entry.field = f;
        table_put(o->table, o->mask, entry);
    }
    *out = o;
    return 0;
}

/* --- numbers and names
 * ------------------------------------------------------------------------------- */

const qd_field *qdi_mapping_any(const qd_mapping *m, qd_str name)
{
    const child *c = table_get(m->names, m->names_mask, hash_of(name), name);
    return c ? c->field : NULL;
}

static int number_fields(compiler *c, qd_err *err)
{
    qd_mapping *m = c->m;
    uint32_t next = c->old ? c->old->nfields : 0, total = next;
    for (size_t i = 0; i < c->fields.n; i++) {
        const qd_field *before = c->old ? qdi_mapping_any(c->old, c->fields.at[i]->name) : NULL;
        if (!before) total++;
    }
    m->fields = qd_arena_calloc(&m->arena, (total + 1) * sizeof(qd_field *));
    m->by_name = qd_arena_alloc(&m->arena, (total + 1) * sizeof *m->by_name);
    if (!m->fields || !m->by_name) return qd_err_nomem(err, "mapping");
    for (size_t i = 0; i < c->fields.n; i++) {
        qd_field *f = c->fields.at[i];
        const qd_field *before = c->old ? qdi_mapping_any(c->old, f->name) : NULL;
        f->id = before ? before->id : next++;
        m->fields[f->id] = f;
    }
    qd_assert(next == total);
    m->nfields = total;
    return 0;
}

static int name_everything(compiler *c, qd_err *err)
{
    qd_mapping *m = c->m;
    uint32_t size = table_size((uint32_t)(c->fields.n + c->objects.n));
    m->names = qd_arena_calloc(&m->arena, size * sizeof *m->names);
    if (!m->names) return qd_err_nomem(err, "mapping");
    m->names_mask = size - 1;
    for (size_t i = 0; i < c->fields.n; i++) {
        const qd_field *f = c->fields.at[i];
        /* one that a type brings may have the name of another */
        if (table_get(m->names, m->names_mask, hash_of(f->name), f->name))
            return qd_err_set(err, QD_E_ARG, "Field [%.*s] is defined more than once",
                              QD_STR_ARG(f->name));
        table_put(m->names, m->names_mask,
                  (child){.hash = hash_of(f->name), .name = f->name, .field = f});
    }
    for (size_t i = 1; i < c->objects.n; i++) { /* the first is the root */
        const object *o = c->objects.at[i];
        if (table_get(m->names, m->names_mask, hash_of(o->path), o->path)) {
            return qd_err_set(err, QD_E_ARG, "Field [%.*s] is defined more than once",
                              QD_STR_ARG(o->path));
        }
        table_put(m->names, m->names_mask,
                  (child){.hash = hash_of(o->path), .name = o->path, .object = o});
    }
    return 0;
}

/* Heap sort of numbers by name: no recursion, no global for a comparison. */
static void sift(qd_mapping *m, uint32_t at, uint32_t n)
{
    uint32_t *v = m->by_name;
    for (;;) {
        uint32_t big = at, l = 2 * at + 1, r = l + 1;
        if (l < n && qd_str_cmp(m->fields[v[l]]->shown, m->fields[v[big]]->shown) > 0) big = l;
        if (r < n && qd_str_cmp(m->fields[v[r]]->shown, m->fields[v[big]]->shown) > 0) big = r;
        if (big == at) return;
        uint32_t t = v[at];
        v[at] = v[big];
        v[big] = t;
        at = big;
    }
}

static void sort_names(qd_mapping *m)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < m->nfields; i++)
        if (!m->fields[i]->hidden) m->by_name[n++] = i;
    m->nnamed = n;
    for (uint32_t i = n / 2; i-- > 0;) sift(m, i, n);
    for (uint32_t k = n; k-- > 1;) {
        uint32_t t = m->by_name[0];
        m->by_name[0] = m->by_name[k];
        m->by_name[k] = t;
        sift(m, 0, k);
    }
}

/* Copies go to the same document or to one above it. */
static int check_copy(const qd_field *f, const qd_field *to, qd_err *err)
{
    qd_str a = f->nested, b = to->nested;
    if (b.n == 0 || (qd_str_starts(a, b) && (a.n == b.n || a.p[b.n] == '.'))) return 0;
    return qd_err_set(err, QD_E_ARG,
                      "Illegal combination of [copy_to] and [nested] mappings: [copy_to] may only "
                      "copy data to the current nested document or any of its parents, however one "
                      "[copy_to] directive is trying to copy data from nested object [%.*s] to "
                      "[%.*s]",
                      QD_STR_ARG(a.n ? a : QD_STR("null")), QD_STR_ARG(b));
}

static int resolve_copy_to(compiler *c, qd_err *err)
{
    qd_mapping *m = c->m;
    for (size_t i = 0; i < c->fields.n; i++) {
        qd_field *f = c->fields.at[i];
        const qd_field_def *d = f->def;
        int rc;
        if (d->ncopy_to == 0) continue;
        f->copy_to = qd_arena_calloc(&m->arena, d->ncopy_to * sizeof *f->copy_to);
        if (!f->copy_to) return qd_err_nomem(err, "mapping");
        f->ncopy_to = d->ncopy_to;
        for (uint32_t k = 0; k < d->ncopy_to; k++) {
            const child *t =
                table_get(m->names, m->names_mask, hash_of(d->copy_to[k]), d->copy_to[k]);
            if (!t) continue;
            if (t->object) {
                return qd_err_set(err, QD_E_ARG,
                                  "Cannot copy to field [%.*s] since it is mapped as an object",
                                  QD_STR_ARG(d->copy_to[k]));
            }
            if (t->field->parent) {
                return qd_err_set(err, QD_E_ARG,
                                  "[copy_to] may not be used to copy to a multi-field: [%.*s]",
                                  QD_STR_ARG(d->copy_to[k]));
            }
            f->copy_to[k] = t->field;
            rc = check_copy(f, t->field, err);
            if (rc) return rc;
        }
    }
    return 0;
}

static int bad_path(const qd_field *f, qd_str path, const char *why, qd_err *err)
{
    return qd_err_set(err, QD_E_MAPPER_PARSING,
                      "Invalid [path] value [%.*s] for field alias [%.*s]: an alias %s.",
                      QD_STR_ARG(path), QD_STR_ARG(f->name), why);
}

/* An alias is its target under another name; documents, which go by the tables of objects, still
 * meet the field that refuses them. */
static int resolve_alias(compiler *c, const qd_field *f, qd_err *err)
{
    qd_mapping *m = c->m;
    qd_str path = qdi_param(f->def, PARAM_PATH)->text;
    if (qd_str_eq(path, f->name)) return bad_path(f, path, "cannot refer to itself", err);
    const child *t = table_get(m->names, m->names_mask, hash_of(path), path);
    if (!t || !t->field)
        return bad_path(f, path, "must refer to an existing field in the mappings", err);
    if (t->field->def->type->alias) return bad_path(f, path, "cannot refer to another alias", err);
    qd_field *copy = qd_arena_alloc(&m->arena, sizeof *copy);
    if (!copy) return qd_err_nomem(err, "mapping");
    *copy = *t->field;
    copy->id = f->id;
    copy->shown = f->name;
    copy->leaf = f->leaf;
    copy->def = f->def;
    m->fields[f->id] = copy;
    child *own = (child *)table_get(m->names, m->names_mask, hash_of(f->name), f->name);
    own->field = copy;
    return 0;
}

static int resolve_aliases(compiler *c, qd_err *err)
{
    int rc = 0;
    for (size_t i = 0; i < c->fields.n && !rc; i++)
        if (c->fields.at[i]->type->alias) rc = resolve_alias(c, c->fields.at[i], err);
    return rc;
}

/* --- limits
 * ------------------------------------------------------------------------------------------- */

static int check_limits(const compiler *c, size_t old_count, uint32_t dynamic_new, qd_err *err)
{
    const qd_mapping_settings *s = &c->m->settings;
    size_t count = c->fields.n - c->nhidden + c->objects.n - 1 + c->m->def->runtime.n;
    if (count > old_count && (int64_t)count > s->total_fields_limit) {
        if (dynamic_new) {
            return qd_err_set(
                err, QD_E_ARG,
                "Limit of total fields [%lld] has been exceeded while adding new fields [%u]",
                (long long)s->total_fields_limit, dynamic_new);
        }
        return qd_err_set(err, QD_E_ARG, "Limit of total fields [%lld] has been exceeded",
                          (long long)s->total_fields_limit);
    }
    for (size_t i = 1; i < c->objects.n; i++) {
        qd_str path = c->objects.at[i]->path;
        int64_t depth = 2;
        for (size_t k = 0; k < path.n; k++) depth += path.p[k] == '.';
        if (depth > s->depth_limit) {
            return qd_err_set(
                err, QD_E_ARG,
                "Limit of mapping depth [%lld] has been exceeded due to object field [%.*s]",
                (long long)s->depth_limit, QD_STR_ARG(path));
        }
        ptrdiff_t dot = -1;
        for (size_t k = 0; k < path.n; k++) {
            if (path.p[k] == '.') dot = (ptrdiff_t)k;
        }
        qd_str leaf = qd_str_sub(path, (size_t)(dot + 1), path.n);
        if ((int64_t)leaf.n > s->field_name_length_limit) {
            return qd_err_set(err, QD_E_ARG,
                              "Field name [%.*s] is longer than the limit of [%lld] characters",
                              QD_STR_ARG(leaf), (long long)s->field_name_length_limit);
        }
    }
    for (size_t i = 0; i < c->fields.n; i++) {
        qd_str leaf = c->fields.at[i]->leaf;
        if ((int64_t)leaf.n > s->field_name_length_limit) {
            return qd_err_set(err, QD_E_ARG,
                              "Field name [%.*s] is longer than the limit of [%lld] characters",
                              QD_STR_ARG(leaf), (long long)s->field_name_length_limit);
        }
    }
    return 0;
}

/* --- the whole
 * ------------------------------------------------------------------------------------------ */

/* What is no fault of the mapping's (memory, a plugin's call) keeps its own words and status. */
static int wrap_parse_error(int rc, qd_err *err)
{
    if (rc == QD_E_NOMEM || rc == QD_E_XCONTENT || rc == 0 || qd_code_status(rc) >= 429) return rc;
    char reason[1024];
    if (!err) return QD_E_MAPPER_PARSING;
    qd_str text = qd_str_sub(qd_str_c(qd_err_reason(err)), 0, sizeof reason - 1);
    memcpy(reason, text.p, text.n);
    reason[text.n] = 0;
    (void)qd_err_wrap(err, QD_E_MAPPER_PARSING, "Failed to parse mapping: %s", reason);
    return QD_E_MAPPER_PARSING;
}

static int dynamic_formats(qd_mapping *m, qd_err *err)
{
    const mapping_def *d = m->def;
    uint32_t n = d->has_date_formats ? d->ndate_formats : 2;
    m->date_formats = qd_arena_alloc(&m->arena, (n + 1) * sizeof *m->date_formats);
    if (!m->date_formats) return qd_err_nomem(err, "mapping");
    for (uint32_t i = 0; i < n; i++) {
        qd_date_format *f = NULL;
        int rc = 0;
        if (d->has_date_formats) {
            rc = qd_date_format_make(&m->arena, d->date_formats[i], &f, err);
            m->date_formats[i] = f;
        } else if (i == 0) {
            m->date_formats[i] = qd_date_format_default();
        } else {
            rc = qd_date_format_dynamic(&m->date_formats[i], err);
        }
        if (rc) return wrap_parse_error(rc, err);
    }
    m->ndate_formats = n;
    return 0;
}

static int render(qd_mapping *m, qd_err *err)
{
    qd_buf b;
    qd_json_writer w;
    qd_buf_init(&b, m->arena.account, 64 << 20);
    qd_json_writer_init(&w, &b, false);
    qdi_mapping_write(m->def, &w);
    m->json = qd_buf_status(&b) ? (qd_str){NULL, 0} : qd_arena_str(&m->arena, qd_buf_view(&b));
    qd_buf_fini(&b);
    return m->json.p ? 0 : qd_err_nomem(err, "mapping");
}

/* Objects come outer before inner. */
static int list_nested(compiler *c, qd_mapping_reason reason, qd_err *err)
{
    qd_mapping *m = c->m;
    int64_t limit = m->settings.nested_fields_limit;
    if (reason == QD_MAPPING_UPDATE && c->nnested > (c->old ? c->old->nnested : 0) &&
        (int64_t)c->nnested > limit)
        return qd_err_set(err, QD_E_ARG, "Limit of nested fields [%lld] has been exceeded",
                          (long long)limit);
    if (c->nnested > NESTED_MAX)
        return qd_err_set(err, QD_E_ARG, "a mapping has at most %u nested objects", NESTED_MAX);
    m->nested = qd_arena_calloc(&m->arena, (c->nnested + 1) * sizeof *m->nested);
    if (!m->nested) return qd_err_nomem(err, "mapping");
    for (size_t i = 0; i < c->objects.n; i++)
        if (qdi_object_is_nested(c->objects.at[i])) m->nested[m->nnested++] = c->objects.at[i];
    return 0;
}

/* The field that each document of a data stream has once. */
static int find_stamp(qd_mapping *m, qd_err *err)
{
    if (m->def->stamped != TRI_TRUE) return 0;
    const qd_field *f = qd_mapping_field(m, QD_STR(MAPPING_STAMP));
    if (!f) {
        return qd_err_set(err, QD_E_ARG, "data stream timestamp field [%s] does not exist",
                          MAPPING_STAMP);
    }
    const char *type = qd_field_type_name(f);
    if (strcmp(type, "date") != 0 && strcmp(type, "date_nanos") != 0) {
        return qd_err_set(err, QD_E_ARG,
                          "data stream timestamp field [%s] is of type [%s], but "
                          "[date,date_nanos] is expected",
                          MAPPING_STAMP, type);
    }
    m->stamp = f;
    return 0;
}

/* How the source is kept: as the mapping says, else the setting. */
static int check_source(qd_mapping *m, qd_err *err)
{
    const mapping_def *d = m->def;
    m->source_mode = d->source_mode                   ? d->source_mode - 1
                     : d->source_enabled == TRI_FALSE ? QD_SOURCE_DISABLED
                                                      : m->settings.source_mode;
    if (m->source_mode != QD_SOURCE_SYNTHETIC || !(d->nincludes || d->nexcludes)) return 0;
    return qd_err_set(err, QD_E_ARG,
                      "filtering the stored _source is incompatible with synthetic source");
}

static int compile_all(compiler *c, qd_mapping_reason reason, uint32_t dynamic_new, qd_err *err)
{
    qd_mapping *m = c->m;
    for (uint32_t i = 0; i < m->def->ntemplates; i++)
        m->makes_runtime |= m->def->templates[i].runtime;
    int rc = compile_object(c, m->def->root, (qd_str){"", 0}, NULL, &m->root, err);
    if (rc) return wrap_parse_error(rc, err);
    size_t before = 0;
    if (c->old) {
        for (uint32_t i = 0; i <= c->old->names_mask; i++) before += c->old->names[i].hash != 0;
        before -= c->old->nfields - c->old->nnamed;
        before += c->old->def->runtime.n;
    }
    if (reason == QD_MAPPING_UPDATE) rc = check_limits(c, before, dynamic_new, err);
    if (rc == 0) rc = list_nested(c, reason, err);
    if (rc == 0) rc = number_fields(c, err);
    if (rc == 0) rc = name_everything(c, err);
    if (rc == 0) rc = resolve_copy_to(c, err);
    for (size_t i = 0; i < c->fields.n; i++) m->stores |= c->fields.at[i]->stored;
    if (rc == 0) rc = resolve_aliases(c, err);
    if (rc == 0) rc = qdi_runtime_compile(c, m, err);
    if (rc == 0) rc = find_stamp(m, err);
    if (rc == 0) rc = dynamic_formats(m, err);
    if (rc == 0) rc = check_source(m, err);
    if (rc == 0) rc = qdi_synthetic_compile(m, err);
    if (rc == 0 && (m->def->nincludes || m->def->nexcludes)) {
        rc = qd_json_filter_make(&m->arena, m->def->includes, m->def->nincludes, m->def->excludes,
                                 m->def->nexcludes, QD_JSON_FILTER_SOURCE, &m->source_filter, err);
    }
    if (rc == 0) sort_names(m);
    return rc;
}

static int compile(qd_mapping *m, const qd_mapping *old, qd_mapping_reason reason,
                   uint32_t dynamic_new, qd_err *err)
{
    compiler c = {
        .m = m, .old = old, .account = m->arena.account, .stored = reason == QD_MAPPING_RECOVERY};
    m->similarities = qd_similarity_default(m->settings.similarities) != NULL;
    int rc = compile_all(&c, reason, dynamic_new, err);
    qd_vec_fini(&c.fields);
    qd_vec_fini(&c.objects);
    return rc;
}

static qd_mapping *new_mapping(const qd_analyzers *analyzers, const qd_mapping_settings *settings)
{
    qd_mapping *m = qd_calloc(NULL, sizeof *m);
    if (!m) return NULL;
    m->magic = MAPPING_MAGIC;
    atomic_store(&m->refs, 1);
    m->version = 1;
    qd_arena_init_small(&m->arena, NULL, 512 << 20);
    m->analyzers = qd_analyzers_ref(analyzers);
    m->settings = *settings;
    (void)qd_similarities_ref(settings->similarities);
    return m;
}

/* Definitions that stood in a mapping: their types may not be there any more. */
static int read_stored(qd_mapping *m, qd_str json, mapping_def **out, qd_err *err)
{
    const qdi_type_source from = {qd_analyzers_plugins(m->analyzers), true};
    return qdi_mapping_read(&from, &m->arena, json, out, err);
}

int qd_mapping_parse(qd_str json, const qd_analyzers *analyzers,
                     const qd_mapping_settings *settings, qd_mapping_reason reason,
                     qd_mapping **out, qd_err *err)
{
    qd_mapping *m = new_mapping(analyzers, settings);
    if (!m) return qd_err_nomem(err, "mapping");
    int rc =
        wrap_parse_error(qdi_mapping_read(&(qdi_type_source){qd_analyzers_plugins(m->analyzers),
                                                             reason == QD_MAPPING_RECOVERY},
                                          &m->arena, json, &m->def, err),
                         err);
    if (rc == 0) rc = wrap_parse_error(qdi_runtime_check(&m->def->runtime, err), err);
    if (rc == 0) rc = compile(m, NULL, reason, 0, err);
    if (rc == 0) rc = render(m, err);
    if (rc)
        qd_mapping_unref(m);
    else
        *out = m;
    return rc;
}

int qd_mapping_empty(const qd_analyzers *analyzers, const qd_mapping_settings *settings,
                     qd_mapping **out, qd_err *err)
{
    return qd_mapping_parse(QD_STR("{}"), analyzers, settings, QD_MAPPING_RECOVERY, out, err);
}

/* The joined definitions, in a new mapping. */
static int join(qd_mapping *m, const qd_mapping *old, qd_str update, qd_err *err)
{
    mapping_def *from = NULL;
    int rc = read_stored(m, old->json, &m->def, err);
    if (rc == 0)
        rc = wrap_parse_error(
            qdi_mapping_read(&(qdi_type_source){qd_analyzers_plugins(m->analyzers), false},
                             &m->arena, update, &from, err),
            err);
    return rc ? rc : qdi_mapping_merge(&m->arena, m->def, from, err);
}

int qdi_mapping_merge_new(qd_mapping *old, qd_str update, qd_mapping_reason reason,
                          uint32_t dynamic_new, qd_mapping **out, qd_err *err)
{
    qd_mapping *m = new_mapping(old->analyzers, &old->settings);
    if (!m) return qd_err_nomem(err, "mapping");
    int rc = join(m, old, update, err);
    if (rc == 0) rc = render(m, err);
    if (rc == 0 && qd_str_eq(m->json, old->json)) {
        qd_mapping_unref(m);
        *out = qd_mapping_ref(old);
        return 0;
    }
    if (rc == 0) rc = compile(m, old, reason, dynamic_new, err);
    m->version = old->version + 1;
    if (rc)
        qd_mapping_unref(m);
    else
        *out = m;
    return rc;
}

int qd_mapping_merge(qd_mapping *old, qd_str update, qd_mapping_reason reason, qd_mapping **out,
                     qd_err *err)
{
    return qdi_mapping_merge_new(old, update, reason, 0, out, err);
}

int qd_mapping_remake(const qd_mapping *old, const qd_analyzers *analyzers,
                      const qd_mapping_settings *settings, qd_mapping **out, qd_err *err)
{
    qd_mapping *m = new_mapping(analyzers, settings);
    if (!m) return qd_err_nomem(err, "mapping");
    int rc = read_stored(m, old->json, &m->def, err);
    if (rc == 0) rc = compile(m, old, QD_MAPPING_RECOVERY, 0, err);
    if (rc == 0) rc = render(m, err);
    m->version = old->version;
    if (rc)
        qd_mapping_unref(m);
    else
        *out = m;
    return rc;
}

/* Below path; *set: was any written? */
static int set_graphs(qd_arena *a, const object_def *o, qd_str path, const qd_mapping *before,
                      bool knn, bool *set, qd_err *err)
{
    int rc = 0;
    for (uint32_t i = 0; i < o->nchildren && !rc; i++) {
        const node_def *n = o->children[i];
        qd_str name = path.n
                          ? qd_arena_printf(a, "%.*s.%.*s", QD_STR_ARG(path), QD_STR_ARG(n->name))
                          : n->name;
        if (!name.p) return qd_err_nomem(err, "mapping");
        if (n->object)
            rc = set_graphs(a, n->object, name, before, knn, set, err);
        else if (!before || !qd_mapping_field(before, name))
            *set |= qdi_vector_index_default(n->field, knn);
    }
    return rc;
}

int qd_mapping_with_graphs(const qd_mapping *old, const qd_mapping *before, bool knn,
                           qd_mapping **out, qd_err *err)
{
    bool set = false;
    *out = qd_mapping_ref(old);
    for (uint32_t i = 0; i < old->nfields && !set; i++) set = old->fields[i]->vectors != NULL;
    if (!set) return 0;
    qd_mapping *m = new_mapping(old->analyzers, &old->settings);
    if (!m) return qd_err_nomem(err, "mapping");
    set = false;
    int rc = read_stored(m, old->json, &m->def, err);
    if (rc == 0) rc = set_graphs(&m->arena, m->def->root, (qd_str){"", 0}, before, knn, &set, err);
    if (rc == 0 && set) rc = compile(m, old, QD_MAPPING_RECOVERY, 0, err);
    if (rc == 0 && set) rc = render(m, err);
    m->version = old->version;
    if (rc == 0 && set) {
        qd_mapping_unref(*out);
        *out = m;
        return 0;
    }
    if (rc) qd_mapping_unref(*out);
    qd_mapping_unref(m);
    return rc;
}

int qd_mapping_with_runtime(const qd_mapping *old, const qd_json_node *runtime, qd_mapping **out,
                            qd_err *err)
{
    qd_mapping *m = new_mapping(old->analyzers, &old->settings);
    qd_str text = m ? qd_arena_str(&m->arena, runtime->raw) : (qd_str){NULL, 0};
    qd_json_node *own;
    runtime_defs more = {0};
    const qdi_type_source from = {qd_analyzers_plugins(old->analyzers), false};
    int rc = text.p ? read_stored(m, old->json, &m->def, err) : qd_err_nomem(err, "mapping");
    if (rc == 0) rc = qd_json_parse(&m->arena, text, 0, &own, err);
    if (rc == 0) rc = qdi_runtime_read(&from, &m->arena, own, &more, err);
    if (rc == 0) rc = qdi_runtime_check(&more, err);
    if (rc == 0 && qdi_runtime_merge(&m->arena, &m->def->runtime, &more))
        rc = qd_err_nomem(err, "mapping");
    if (rc == 0) rc = compile(m, old, QD_MAPPING_RECOVERY, 0, err);
    if (rc == 0) rc = render(m, err);
    if (m) m->version = old->version;
    if (rc)
        qd_mapping_unref(m);
    else
        *out = m;
    return rc;
}

qd_mapping *qd_mapping_ref(const qd_mapping *m)
{
    qd_mapping *x = (qd_mapping *)m; /* counting does not change what others see */
    QD_CHECK(x, MAPPING_MAGIC);
    atomic_fetch_add(&x->refs, 1);
    return x;
}

void qd_mapping_unref(const qd_mapping *m)
{
    qd_mapping *x = (qd_mapping *)m;
    if (!x) return;
    QD_CHECK(x, MAPPING_MAGIC);
    if (atomic_fetch_sub(&x->refs, 1) != 1) return;
    qd_analyzers_unref(x->analyzers);
    qd_similarities_unref(x->settings.similarities);
    qd_arena_fini(&x->arena);
    x->magic = 0;
    qd_free(x);
}

/* --- looking
 * -------------------------------------------------------------------------------------------- */

const qd_field *qd_mapping_field(const qd_mapping *m, qd_str name)
{
    const qd_field *f = m->nruntime ? qdi_runtime_find(m, name) : NULL;
    if (f) return f;
    f = qdi_mapping_any(m, name);
    return f && !f->hidden ? f : NULL;
}

bool qd_mapping_is_object(const qd_mapping *m, qd_str name)
{
    const child *c = table_get(m->names, m->names_mask, hash_of(name), name);
    return c && c->object;
}

const qd_field *qd_mapping_field_at(const qd_mapping *m, uint32_t id)
{
    qd_assert(id < m->nfields);
    return m->fields[id];
}
