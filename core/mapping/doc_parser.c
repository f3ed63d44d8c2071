/*
 * doc_parser.c: the pass over a document. See doc_parser.h.
 *
 * A stack of frames says for every open object and array what its values are for; there is no
 * recursion. A key is resolved to a target by the table of its object; only names that the table
 * does not have go the slow way: dots, metadata fields, dynamic mapping. New fields are collected;
 * the document is then parsed once more against the mapping that has them, so that what is wrong
 * with it shows before the mapping of the index is touched.
 */
#include "mapping/doc_parser_int.h"
#include "mapping/synthetic.h"

qd_doc_parser *qd_doc_parser_make(qd_account *account)
{
    qd_doc_parser *p = qd_calloc(account, sizeof *p);
    if (!p) return NULL;
    p->frames = qd_alloc(account, (QD_JSON_DEPTH_MAX + 2) * sizeof *p->frames);
    if (!p->frames) {
        qd_free(p);
        return NULL;
    }
    p->d.account = account;
    p->d.r = QD_JSON_READER(account);
    qd_arena_init(&p->d.arena, account, 0);
    qd_buf_init(&p->update, account, 64 << 20);
    qd_buf_init(&p->scratch, account, 1 << 20);
    qd_buf_init(&p->source, account, (size_t)2 << 30);
    return p;
}

void qd_doc_parser_free(qd_doc_parser *p)
{
    if (!p) return;
    qd_json_reader_fini(&p->d.r);
    qd_arena_fini(&p->d.arena);
    qd_analysis_free(p->d.analysis);
    qd_vec_fini(&p->d.values);
    qd_vec_fini(&p->d.fields);
    qd_vec_fini(&p->d.touched);
    qdi_doc_nested_fini(&p->d);
    qd_vec_fini(&p->fresh);
    qd_buf_fini(&p->update);
    qd_buf_fini(&p->scratch);
    qd_buf_fini(&p->source);
    qd_free(p->frames);
    qd_free(p);
}

/* --- new fields
 * ------------------------------------------------------------------------------------ */

static int add_fresh(qd_doc_parser *p, qd_str path, qd_str definition, bool runtime, qd_err *err)
{
    qd_str kept = qd_arena_str(&p->d.arena, definition);
    new_field f = {path, kept, qd_json_key_hash(path), runtime};
    p->redefined |= runtime; /* the update has them beside the others */
    if (!kept.p || qd_vec_push(&p->fresh, p->d.account, f)) return qd_err_nomem(err, "new fields");
    return 0;
}

static const new_field *find_fresh(const qd_doc_parser *p, qd_str path)
{
    uint64_t h = qd_json_key_hash(path);
    for (size_t i = 0; i < p->fresh.n; i++) {
        const new_field *f = &p->fresh.at[i];
        if (f->hash == h && qd_str_eq(f->path, path)) return f;
    }
    return NULL;
}

static int too_many(qd_doc_parser *p, qd_err *err)
{
    return qd_err_set(
        err, QD_E_ARG,
        "Limit of total fields [%lld] has been exceeded while adding new fields [%zu]",
        (long long)p->d.m->settings.total_fields_limit, p->fresh.n);
}

int qdi_doc_define(doc *d, const qd_field *f, qd_str definition, qd_err *err)
{
    qd_doc_parser *p = (qd_doc_parser *)d; /* its first member */
    p->redefined = true;
    return find_fresh(p, f->name) ? 0 : add_fresh(p, f->name, definition, false, err);
}

static int define(qd_doc_parser *p, const unknown *u, const char *kind,
                  const qd_date_format *format, qd_err *err)
{
    bool runtime = u->dynamic == QD_DYNAMIC_RUNTIME;
    qd_str path = u->path;
    if (find_fresh(p, path)) return 0;
    if ((int64_t)p->fresh.n > p->d.m->settings.total_fields_limit) return too_many(p, err);
    qd_buf_reset(&p->scratch);
    int rc = qdi_dynamic_definition(p->d.m, path, u->name, kind, format, &runtime, &p->scratch);
    if (rc) return qd_err_nomem(err, "new fields");
    return add_fresh(p, path, qd_buf_view(&p->scratch), runtime, err);
}

static int strict(qd_doc_parser *p, const unknown *t, qd_err *err)
{
    const char *mode = t->dynamic == QD_DYNAMIC_STRICT_TEMPLATES ? "_allow_templates" : "";
    /* of a name with dots the first part that does not exist is what would be introduced */
    qd_str rest = t->parent.n ? qd_str_sub(t->path, t->parent.n + 1, t->path.n) : t->path;
    qd_str name = qd_str_split(&rest, '.');
    return qdi_doc_error(
        &p->d, err, QD_E_STRICT_MAPPING,
        "mapping set to strict%s, dynamic introduction of [%.*s] within [%.*s] is not allowed",
        mode, QD_STR_ARG(name), QD_STR_ARG(t->parent.n ? t->parent : QD_STR("_doc")));
}

/* Where templates alone may bring fields, one must fit. */
static int define_unknown(qd_doc_parser *p, const unknown *t, const char *kind,
                          const qd_date_format *format, qd_err *err)
{
    if (t->dynamic == QD_DYNAMIC_STRICT_TEMPLATES &&
        !qdi_dynamic_fits(p->d.m, t->path, t->name, kind))
        return strict(p, t, err);
    return define(p, t, kind, format, err);
}

/* A scalar for a field that does not exist. */
static int new_scalar(qd_doc_parser *p, const unknown *t, qd_err *err)
{
    const qd_date_format *format = NULL;
    const char *kind = "string";
    switch (p->d.r.event) {
    case QD_JSON_NUMBER:
        kind = p->d.r.integer ? "long" : "double";
        break;
    case QD_JSON_TRUE:
    case QD_JSON_FALSE:
        kind = "boolean";
        break;
    default:
        kind = qdi_dynamic_string_kind(p->d.m, p->d.r.text, &format);
        break;
    }
    return define_unknown(p, t, kind, format, err);
}

/* --- scalars
 * ---------------------------------------------------------------------------------------- */

static int one_field(qd_doc_parser *p, const qd_field *f, qd_err *err)
{
    int rc = f->type->value(&p->d, f, err);
    if (QD_LIKELY(rc == 0)) return 0;
    if (!f->ignore_malformed || rc == QD_E_NOMEM) return qdi_doc_field_error(&p->d, f, rc, err);
    if (err) qd_err_fini(err);
    return qdi_doc_ignored(&p->d, f, err);
}

static int null_value(qd_doc_parser *p, const qd_field *f, qd_err *err)
{
    int rc = 0;
    if (QD_UNLIKELY(f->type->takes_null)) {
        rc = one_field(p, f, err);
    } else if (f->has_null_value && f->type->null) {
        rc = f->type->null(&p->d, f, err);
    } else if (f->has_null_value) {
        switch (f->value_class) {
        case QD_VALUE_TEXT:
        case QD_VALUE_TERM:
            rc = qdi_doc_str(&p->d, f, f->null_text, err);
            break;
        case QD_VALUE_IP:
            rc = qdi_doc_ip(&p->d, f, f->null_ip, err);
            break;
        default:
            rc = qdi_doc_i64(&p->d, f, f->null_i64, err);
            break;
        }
    }
    for (uint32_t i = 0; rc == 0 && i < f->nmulti; i++) {
        if (f->multi[i]->has_null_value) rc = null_value(p, f->multi[i], err); /* one level */
    }
    return rc;
}

static int copy_to(qd_doc_parser *p, const qd_field *f, qd_err *err);

/* With its multi-fields, and those that the type of one of them brings: no deeper. */
static int all_fields(qd_doc_parser *p, const qd_field *f, qd_err *err)
{
    int rc = one_field(p, f, err);
    for (uint32_t i = 0; rc == 0 && i < f->nmulti; i++) rc = all_fields(p, f->multi[i], err);
    return rc;
}

static int scalar(qd_doc_parser *p, const qd_field *f, qd_err *err)
{
    int rc = all_fields(p, f, err);
    return rc == 0 && f->ncopy_to ? copy_to(p, f, err) : rc;
}

/* The value also goes to other fields; copies are not copied further. */
static int copy_to(qd_doc_parser *p, const qd_field *f, qd_err *err)
{
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < f->ncopy_to; i++) {
        const qd_field *to = f->copy_to[i];
        if (to && to->type->alias)
            return qd_err_set(err, QD_E_ARG, "Cannot copy to a field alias [%.*s].",
                              QD_STR_ARG(to->name));
        if (to) {
            rc = all_fields(p, to, err);
            continue;
        }
        unknown t = {.path = f->def->copy_to[i],
                     .name = f->def->copy_to[i],
                     .dynamic = p->d.m->root->dynamic};
        if (t.dynamic == QD_DYNAMIC_STRICT)
            rc = strict(p, &t, err);
        else if (t.dynamic != QD_DYNAMIC_FALSE && !qdi_runtime_find(p->d.m, t.path))
            rc = new_scalar(p, &t, err);
    }
    return rc;
}

static int object_for_field(qd_doc_parser *p, const qd_field *f, qd_err *err);

/* The reader on another text, which stands at that line and column; *behind: as it was. */
static void turn_to(qd_doc_parser *p, qd_str text, uint32_t line, uint32_t column,
                    qd_json_reader *behind)
{
    qd_json_reader *r = &p->d.r;
    *behind = *r;
    *r = QD_JSON_READER(p->d.account);
    qd_json_reader_init(r, text, QD_JSON_REQUEST, 0);
    qd_json_reader_at(r, line, column);
}

static void turn_back(qd_doc_parser *p, const qd_json_reader *behind)
{
    qd_json_reader_fini(&p->d.r);
    p->d.r = *behind;
}

int qdi_doc_multi(doc *d, const qd_field *f, qd_str json, qd_err *err)
{
    qd_doc_parser *p = (qd_doc_parser *)d; /* its first member */
    qd_json_reader behind;
    qd_str text = qd_arena_str(&d->arena, json); /* views of it are values */
    if (!text.p) return qd_err_nomem(err, "values of a document");
    turn_to(p, text, 1, 1, &behind); /* to count its place would cost a pass over the document */
    int rc = qd_json_next(&d->r) < 0 ? qd_json_fail(&d->r, err) : 0;
    for (uint32_t i = 0; i < f->nmulti && !rc; i++) rc = all_fields(p, f->multi[i], err);
    turn_back(p, &behind);
    return rc;
}

/* An object that was read already, as a value of another field. Types that take objects keep
 * nothing of the reader's memory. */
static int object_again(qd_doc_parser *p, const qd_field *to, qd_str text, uint32_t line,
                        uint32_t column, qd_err *err)
{
    qd_json_reader *r = &p->d.r, behind;
    turn_to(p, text, line, column, &behind);
    int rc = qd_json_next(r) < 0 ? qd_json_fail(r, err)
             : to->type->objects ? one_field(p, to, err)
                                 : object_for_field(p, to, err);
    turn_back(p, &behind);
    return rc;
}

/* An object that is a value of f goes to the multi-fields and copies of f too. */
static int object_value(qd_doc_parser *p, const qd_field *f, qd_err *err)
{
    qd_json_reader *r = &p->d.r;
    const char *token = r->token;
    uint32_t line, column;
    if (!f->nmulti && !f->ncopy_to) return one_field(p, f, err);
    qd_json_position(r, token, &line, &column);
    int rc = one_field(p, f, err);
    qd_str text = {token, (size_t)(r->at - token)};
    for (uint32_t i = 0; !rc && i < f->nmulti + f->ncopy_to; i++) {
        const qd_field *to = i < f->nmulti ? f->multi[i] : f->copy_to[i - f->nmulti];
        /* dynamic mapping makes no field of an object that is a value */
        if (to) rc = object_again(p, to, text, line, column, err);
    }
    return rc;
}

/* --- names
 * -------------------------------------------------------------------------------------------- */

/* Names that no field may have. */
static int check_name(qd_doc_parser *p, qd_str key, bool root, qd_err *err)
{
    if (key.n == 0) return qd_err_set(err, QD_E_ARG, "field name cannot be an empty string");
    if (root && qd_mapping_is_metadata(key)) {
        return qdi_doc_metadata_error(&p->d, key, err);
    }
    if (qd_str_trim(key).n == 0) {
        return qd_err_set(err, QD_E_ARG, "field name cannot contain only whitespace: ['%.*s']",
                          QD_STR_ARG(key));
    }
    size_t dots = 0;
    while (dots < key.n && key.p[dots] == '.') dots++;
    if (dots == key.n) return qd_err_set(err, QD_E_ARG, "field name cannot contain only dots");
    for (qd_str rest = key; rest.p;) {
        qd_str part = qd_str_split(&rest, '.');
        if (part.n == key.n) break;
        if (part.n == 0) {
            return qd_err_set(err, QD_E_ARG,
                              "field name starting or ending with a [.] makes object resolution "
                              "ambiguous: [%.*s]",
                              QD_STR_ARG(key));
        }
        if (qd_str_trim(part).n == 0) {
            return qd_err_set(err, QD_E_ARG, "field name cannot contain only whitespace: ['%.*s']",
                              QD_STR_ARG(key));
        }
    }
    return 0;
}

static int new_target(qd_doc_parser *p, qd_str parent, qd_str key, qd_dynamic dynamic, target *t,
                      qd_err *err)
{
    if (dynamic == QD_DYNAMIC_FALSE) {
        *t = (target){.kind = TARGET_SKIP};
        return 0;
    }
    unknown *u = qd_arena_alloc(&p->d.arena, sizeof *u);
    if (!u) return qd_err_nomem(err, "new fields");
    *u = (unknown){.path = key, .name = key, .parent = parent, .dynamic = dynamic};
    if (parent.n) {
        u->path = qd_arena_printf(&p->d.arena, "%.*s.%.*s", QD_STR_ARG(parent), QD_STR_ARG(key));
    }
    if (!u->path.p) return qd_err_nomem(err, "new fields");
    if (p->d.m->nruntime && qdi_runtime_find(p->d.m, u->path)) { /* which is not indexed */
        *t = (target){.kind = TARGET_SKIP};
        return 0;
    }
    for (size_t i = 0; i < key.n; i++) {
        if (key.p[i] == '.') u->name = qd_str_sub(key, i + 1, key.n);
    }
    *t = (target){.kind = TARGET_NEW, .unknown = u};
    return 0;
}

static void to_child(const child *c, target *t)
{
    if (c->field)
        *t = (target){.kind = TARGET_FIELD, .field = c->field};
    else if (!c->object->enabled)
        *t = (target){.kind = TARGET_SKIP};
    else
        *t = (target){.kind = TARGET_OBJECT, .object = c->object};
}

static int nested_begin(qd_doc_parser *p, const object *o, qd_err *err)
{
    qd_assert(p->begun < UINT8_MAX); /* objects are at most MAPPING_LEVELS_MAX deep */
    p->begun++;
    return qdi_doc_nested_begin(&p->d, o, err);
}

static int nested_end(qd_doc_parser *p, uint32_t n, qd_err *err)
{
    int rc = 0;
    for (; n && !rc; n--) rc = qdi_doc_nested_end(&p->d, err);
    return rc;
}

/* A name with dots goes through the objects that its parts name. */
static int dotted(qd_doc_parser *p, const object *o, qd_str key, target *t, qd_err *err)
{
    for (qd_str rest = key; rest.p;) {
        qd_str whole = rest, part = qd_str_split(&rest, '.');
        const child *c = qdi_object_child(o, qd_json_key_hash(part), part);
        if (!c) return new_target(p, o->path, whole, o->dynamic, t, err);
        if (c->field && rest.p) {
            if (o->dynamic == QD_DYNAMIC_FALSE || o->dynamic == QD_DYNAMIC_STRICT)
                return new_target(p, o->path, whole, o->dynamic, t, err);
            return qdi_doc_error(&p->d, err, QD_E_DOC_PARSING,
                                 "Could not dynamically add mapping for field [%.*s]. Existing "
                                 "mapping for [%.*s] must be "
                                 "of type object but found [%s].",
                                 QD_STR_ARG(key), QD_STR_ARG(c->field->name),
                                 qd_field_type_name(c->field));
        }
        to_child(c, t);
        if (t->kind != TARGET_OBJECT) return 0;
        o = c->object;
        if (rest.p && qdi_object_is_nested(o)) {
            int rc = nested_begin(p, o, err);
            if (rc) return rc;
        }
    }
    return 0;
}

/* What the value behind the present key is for. */
static int resolve(qd_doc_parser *p, const target *in, target *t, qd_err *err)
{
    qd_str key = p->d.r.text;
    if (QD_LIKELY(in->kind == TARGET_OBJECT)) {
        const child *c = qdi_object_child(in->object, p->d.r.key_hash, key);
        if (QD_LIKELY(c != NULL)) {
            to_child(c, t);
            return 0;
        }
        int rc = check_name(p, key, in->object->path.n == 0, err);
        if (rc) return rc;
        if (qd_str_find(key, '.') >= 0) return dotted(p, in->object, key, t, err);
        return new_target(p, in->object->path, key, in->object->dynamic, t, err);
    }
    int rc = check_name(p, key, false, err);
    return rc ? rc : new_target(p, in->unknown->path, key, in->unknown->dynamic, t, err);
}

/* --- values
 * -------------------------------------------------------------------------------------------- */

static int object_for_field(qd_doc_parser *p, const qd_field *f, qd_err *err)
{
    uint32_t line, column;
    if (f->ignore_malformed) {
        int rc = qdi_doc_ignored(&p->d, f, err);
        return rc ? rc : qd_json_skip(&p->d.r);
    }
    if (qd_field_is_numeric(f)) {
        (void)qd_err_set(err, QD_E_ARG, "Cannot parse object as number");
    } else if (f->value_class == QD_VALUE_BOOL) {
        (void)qdi_doc_token_error(&p->d, err, "Current token (START_OBJECT) not of boolean type");
    } else {
        qd_json_position(&p->d.r, p->d.r.token, &line, &column);
        (void)qd_err_set(err, QD_E_STATE, "Can't get text on a START_OBJECT at %u:%u", line,
                         column);
    }
    return qdi_doc_field_error(&p->d, f, QD_E_ARG, err);
}

static int push(qd_doc_parser *p, const target *t, bool array)
{
    qd_assert(p->depth <= QD_JSON_DEPTH_MAX); /* the reader refuses deeper documents */
    p->frames[p->depth++] = (frame){*t, array, p->begun};
    p->begun = 0;
    return 0;
}

static int value_for_new(qd_doc_parser *p, const target *t, qd_err *err)
{
    qd_json_event ev = p->d.r.event;
    const unknown *u = t->unknown;
    if (ev == QD_JSON_NULL) return 0;
    if (u->dynamic == QD_DYNAMIC_STRICT) return strict(p, u, err);
    if (ev == QD_JSON_ARRAY) return push(p, t, true);
    if (ev != QD_JSON_OBJECT) return new_scalar(p, u, err);
    int rc = define_unknown(p, u, "object", NULL, err);
    if (rc) return rc;
    /* what a template makes of an object decides about its fields: the next pass sees to them */
    const new_field *f = find_fresh(p, u->path);
    return qd_str_is(f->definition, "{\"type\":\"object\"}") ? push(p, t, false)
                                                             : qd_json_skip(&p->d.r);
}

static int value_for_object(qd_doc_parser *p, const target *t, qd_err *err)
{
    qd_json_event ev = p->d.r.event;
    if (ev == QD_JSON_NULL) return 0;
    if (ev == QD_JSON_OBJECT && qdi_object_is_nested(t->object)) {
        int rc = nested_begin(p, t->object, err);
        if (rc) return rc;
    }
    if (ev == QD_JSON_OBJECT || ev == QD_JSON_ARRAY) return push(p, t, ev == QD_JSON_ARRAY);
    qd_str path = t->object->path, leaf = path;
    for (size_t i = 0; i < path.n; i++) {
        if (path.p[i] == '.') leaf = qd_str_sub(path, i + 1, path.n);
    }
    return qdi_doc_error(&p->d, err, QD_E_DOC_PARSING,
                         "object mapping for [%.*s] tried to parse field [%.*s] as object, but "
                         "found a concrete value",
                         QD_STR_ARG(path), QD_STR_ARG(leaf));
}

static int value(qd_doc_parser *p, const target *t, qd_err *err)
{
    switch (t->kind) {
    case TARGET_FIELD:
        if (QD_UNLIKELY(t->field->type->whole) && p->d.r.event != QD_JSON_NULL)
            return one_field(p, t->field, err);
        switch (p->d.r.event) {
        case QD_JSON_ARRAY:
            return push(p, t, true);
        case QD_JSON_OBJECT:
            return t->field->type->objects ? object_value(p, t->field, err)
                                           : object_for_field(p, t->field, err);
        case QD_JSON_NULL:
            return null_value(p, t->field, err);
        default:
            return scalar(p, t->field, err);
        }
    case TARGET_OBJECT:
        return value_for_object(p, t, err);
    case TARGET_NEW:
        return value_for_new(p, t, err);
    default:
        return qd_json_skip(&p->d.r);
    }
}

/* --- the pass
 * -------------------------------------------------------------------------------------------- */

static int pass(qd_doc_parser *p, qd_err *err)
{
    qd_json_reader *r = &p->d.r;
    p->depth = 0;
    p->begun = 0;
    qd_json_event ev = qd_json_next(r);
    if (ev < 0) return QD_E_XCONTENT;
    if (ev != QD_JSON_OBJECT) {
        return qdi_doc_error(&p->d, err, QD_E_DOC_PARSING,
                             "Malformed content, must start with an object");
    }
    target root = {.kind = TARGET_OBJECT, .object = p->d.m->root};
    if (!root.object->enabled) {
        if (qd_json_skip(r)) return QD_E_XCONTENT;
    } else {
        (void)push(p, &root, false);
    }
    while (p->depth) {
        frame *f = &p->frames[p->depth - 1];
        target t;
        ev = qd_json_next(r);
        if (QD_UNLIKELY(ev < 0)) return QD_E_XCONTENT;
        if (ev == QD_JSON_OBJECT_END || ev == QD_JSON_ARRAY_END) {
            p->depth--;
            int rc = QD_UNLIKELY(f->scopes) ? nested_end(p, f->scopes, err) : 0;
            if (rc) return rc;
            continue;
        }
        int rc = 0;
        if (f->array) {
            t = f->t;
        } else {
            rc = resolve(p, &f->t, &t, err);
            if (rc == 0 && qd_json_next(r) < 0) return QD_E_XCONTENT;
        }
        if (rc == 0) rc = value(p, &t, err);
        if (QD_UNLIKELY(p->begun) && rc == 0) {
            rc = nested_end(p, p->begun, err); /* of a scalar's name */
            p->begun = 0;
        }
        if (QD_UNLIKELY(rc)) return rc;
    }
    return qd_json_next(r) < 0 ? QD_E_XCONTENT : 0;
}

/* Room for the state of every field; new entries count as untouched. */
static int prepare(qd_doc_parser *p, const qd_mapping *m, const qd_doc_input *in, qd_err *err)
{
    doc *d = &p->d;
    d->m = m;
    d->id = in->id;
    d->has_routing = in->has_routing;
    qd_arena_reset(&d->arena);
    d->values.n = d->touched.n = 0;
    qdi_doc_nested_reset(d);
    p->fresh.n = 0;
    p->redefined = false;
    if (++d->gen == 0) {
        if (d->fields.cap) memset(d->fields.at, 0, d->fields.cap * sizeof *d->fields.at);
        d->gen = 1;
    }
    uint32_t n = qd_mapping_nfields(m);
    if (n > d->fields.cap) {
        size_t had = d->fields.cap;
        d->fields.n = had;
        if (qd_vec_reserve(&d->fields, d->account, n - had)) return qd_err_nomem(err, "document");
        memset(d->fields.at + had, 0, (d->fields.cap - had) * sizeof *d->fields.at);
    }
    qd_json_reader_init_slack(&d->r, in->source, in->slack, QD_JSON_REQUEST, 0);
    return 0;
}

/* One pass with its errors put into Elasticsearch's frame. */
static int parse_once(qd_doc_parser *p, const qd_mapping *m, const qd_doc_input *in, qd_err *err)
{
    int rc = prepare(p, m, in, err);
    if (rc) return rc;
    rc = pass(p, err);
    if (rc && p->d.r.event == QD_JSON_ERROR && (!err || err->code == 0)) {
        const char *at = p->d.r.token;
        rc = qd_json_fail(&p->d.r, err);
        p->d.r.token = at;
    }
    return qdi_doc_wrap(&p->d, rc, err);
}

/* Those of one kind. */
static void write_fresh(qd_doc_parser *p, bool runtime)
{
    qd_buf *b = &p->update;
    bool some = false;
    for (size_t i = 0; i < p->fresh.n; i++) {
        const new_field *f = &p->fresh.at[i];
        if (f->runtime != runtime) continue;
        (void)qd_buf_c(b, some ? ",\"" : "\"");
        qd_json_escape(b, f->path);
        (void)qd_buf_c(b, "\":");
        (void)qd_buf_str(b, f->definition);
        some = true;
    }
}

/* Adds the new fields of a pass to the update, which stays a complete mapping. */
static int write_update(qd_doc_parser *p, qd_err *err)
{
    qd_buf *b = &p->update;
    if (p->redefines) qd_buf_reset(b); /* a name may stand in two passes: each is put on top */
    if (b->n) {
        b->n -= 2; /* the closing braces of the pass before */
        (void)qd_buf_char(b, ',');
    } else {
        (void)qd_buf_c(b, "{\"properties\":{");
    }
    write_fresh(p, false);
    for (size_t i = 0; i < p->fresh.n; i++)
        if (p->fresh.at[i].runtime) { /* never beside an earlier pass: see above */
            (void)qd_buf_c(b, "},\"runtime\":{");
            write_fresh(p, true);
            break;
        }
    (void)qd_buf_c(b, "}}");
    return qd_buf_status(b) ? qd_err_nomem(err, "new fields") : 0;
}

/* One more pass, against m with the update; *merged takes the place of what it held. */
static int pass_with_update(qd_doc_parser *p, const qd_mapping *m, const qd_doc_input *in,
                            uint32_t count, qd_mapping **merged, qd_err *err)
{
    qd_mapping *old = qd_mapping_ref(p->redefines && *merged ? *merged : m), *next = NULL;
    int rc =
        qdi_mapping_merge_new(old, qd_buf_view(&p->update), QD_MAPPING_UPDATE, count, &next, err);
    qd_mapping_unref(old);
    if (rc) return qdi_doc_wrap(&p->d, rc, err);
    qd_mapping_unref(*merged);
    *merged = next;
    return parse_once(p, next, in, err);
}

/* The mapping with the new fields, if the document is sound under it. Objects that templates define
 * take one pass for each level. */
static int dynamic_update(qd_doc_parser *p, const qd_mapping *m, const qd_doc_input *in,
                          qd_doc_result *result, qd_err *err)
{
    qd_mapping *merged = NULL;
    uint32_t count = 0;
    int rc = 0;
    qd_buf_reset(&p->update);
    p->redefines = p->redefined;
    for (int pass_n = 0; rc == 0 && p->fresh.n; pass_n++) {
        if (pass_n > MAPPING_LEVELS_MAX) {
            rc = qd_err_set(err, QD_E_DOC_PARSING,
                            "dynamic templates do not map the fields of the document");
            break;
        }
        count += (uint32_t)p->fresh.n;
        p->redefines |= p->redefined;
        rc = write_update(p, err);
        if (rc == 0) rc = pass_with_update(p, m, in, count, &merged, err);
    }
    if (rc) {
        qd_mapping_unref(merged);
        return rc;
    }
    if (p->redefines) { /* whole: the passes' own updates lie on top of each other */
        qd_buf_reset(&p->update);
        if (qd_buf_str(&p->update, qd_mapping_json(merged))) {
            qd_mapping_unref(merged);
            return qd_err_nomem(err, "new fields");
        }
    }
    result->merged = merged;
    result->update = qd_buf_view(&p->update);
    return 0;
}

/* A document of a data stream has one time. */
static int check_stamp(qd_doc_parser *p, const qd_field *f, qd_err *err)
{
    const doc_field *s = &p->d.fields.at[f->id];
    uint32_t n = s->gen == p->d.gen ? s->n : 0;
    if (n == 1) return 0;
    int rc = qd_err_set(err, QD_E_ARG, "data stream timestamp field [%.*s] %s", QD_STR_ARG(f->name),
                        n ? "encountered multiple values" : "is missing");
    return qdi_doc_wrap(&p->d, rc, err);
}

int qd_doc_parse(qd_doc_parser *p, const qd_mapping *m, const qd_doc_input *in,
                 const qd_doc_sink *sink, qd_doc_result *result, qd_err *err)
{
    *result = (qd_doc_result){0};
    if (QD_UNLIKELY(qd_mapping_routing_required(m) && !in->has_routing)) {
        return qd_err_set(err, QD_E_ROUTING_MISSING, "routing is required for [%.*s]",
                          QD_STR_ARG(in->id));
    }
    if (QD_UNLIKELY(in->source.n == 0)) {
        return qd_err_set(err, QD_E_DOC_PARSING, "[0:0] failed to parse, document is empty");
    }
    int rc = parse_once(p, m, in, err);
    if (QD_UNLIKELY(rc)) return rc;
    if (QD_UNLIKELY(m->stamp && in->is_new) && (rc = check_stamp(p, m->stamp, err))) return rc;
    if (QD_UNLIKELY(p->fresh.n)) return dynamic_update(p, m, in, result, err);
    return qdi_doc_deliver(&p->d, sink, err);
}

int qd_doc_source(qd_doc_parser *p, const qd_mapping *m, qd_str source, qd_str *out, qd_err *err)
{
    const qd_json_filter *f = qd_mapping_source_filter(m);
    *out = (qd_str){NULL, 0};
    if (!qd_mapping_source_enabled(m)) return 0;
    bool synthetic = qd_mapping_synthetic(m);
    if (!f && !synthetic) {
        *out = source;
        return 0;
    }
    qd_buf_reset(&p->source);
    int rc = synthetic ? qd_synthetic_source(m, source, true, p->d.account, &p->source, err)
                       : qd_json_filter_apply(f, source, false, &p->source, err);
    if (rc == 0) *out = qd_buf_view(&p->source);
    return rc;
}
