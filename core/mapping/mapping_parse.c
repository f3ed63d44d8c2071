/*
 * mapping_parse.c: JSON of mappings to definitions. Texts of errors are Elasticsearch's.
 *
 * Recursion goes with the nesting of objects and is bounded by MAPPING_LEVELS_MAX.
 */
#include "config/known.h"
#include "mapping/mapping_int.h"

#define LIST_MAX 1024

qd_str qdi_json_quote(qd_arena *a, qd_str text)
{
    qd_buf b;
    qd_buf_init(&b, a->account, 8 * text.n + 16);
    (void)qd_buf_char(&b, '"');
    qd_json_escape(&b, text);
    (void)qd_buf_char(&b, '"');
    qd_str s = qd_buf_status(&b) ? (qd_str){NULL, 0} : qd_arena_str(a, qd_buf_view(&b));
    qd_buf_fini(&b);
    return s;
}

/* --- objects --------------------------------------------------------------------------------- */

object_def *qdi_object_make(qd_arena *a, qd_str name)
{
    object_def *o = qd_arena_calloc(a, sizeof *o);
    if (!o) return NULL;
    o->name = name;
    o->dynamic = -1;
    o->enabled = o->in_parent = o->in_root = TRI_UNSET;
    return o;
}

static uint32_t place_of(const object_def *o, qd_str name, bool *found)
{
    uint32_t lo = 0, hi = o->nchildren;
    *found = false;
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        int c = qd_str_cmp(o->children[mid]->name, name);
        if (c == 0) return *found = true, mid;
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

node_def *qdi_object_find(const object_def *o, qd_str name)
{
    bool found;
    uint32_t at = place_of(o, name, &found);
    return found ? o->children[at] : NULL;
}

int qdi_object_add(qd_arena *a, object_def *o, node_def *n)
{
    bool found;
    uint32_t at = place_of(o, n->name, &found);
    qd_assert(!found);
    if (o->nchildren == o->cap) {
        uint32_t cap = o->cap ? o->cap * 2 : 8;
        node_def **more = qd_arena_alloc(a, cap * sizeof *more);
        if (!more) return QD_E_NOMEM;
        if (o->nchildren) memcpy(more, o->children, o->nchildren * sizeof *more);
        o->children = more;
        o->cap = cap;
    }
    memmove(o->children + at + 1, o->children + at, (o->nchildren - at) * sizeof *o->children);
    o->children[at] = n;
    o->nchildren++;
    return 0;
}

/* --- parameters of fields -------------------------------------------------------------------- */

int qdi_param_index(const struct qd_field_type *t, param_id id)
{
    for (uint32_t i = 0; i < t->nparams; i++) {
        if (t->params[i].id == id) return (int)i;
    }
    return -1;
}

const param_value *qdi_param(const qd_field_def *def, param_id id)
{
    int i = qdi_param_index(def->type, id);
    return i >= 0 && def->params[i].json.p ? &def->params[i] : NULL;
}

static int bad_bool(const qd_json_node *n, qd_err *err)
{
    qd_str text = qd_json_text(n);
    if (!text.p) text = n->raw;
    return qd_err_set(err, QD_E_ARG,
                      "Failed to parse value [%.*s] as only [true] or [false] are allowed.",
                      QD_STR_ARG(text));
}

static int read_int(const qd_json_node *n, param_value *v, qd_err *err)
{
    qd_str text = qd_json_text(n);
    bool exact;
    if (!text.p || qd_i64_parse_decimal(text, &v->i, &exact) || v->i > INT32_MAX ||
        v->i < INT32_MIN) {
        return qd_err_set(err, QD_E_NUMBER_FORMAT, "For input string: \"%.*s\"",
                          QD_STR_ARG(text.p ? text : n->raw));
    }
    return 0;
}

/* Only pairs of short strings. */
static int read_meta(const qd_json_node *n, qd_str field, qd_err *err)
{
    if (n->type != QD_JSON_T_OBJECT) {
        return qd_err_set(err, QD_E_MAPPER_PARSING,
                          "[meta] must be an object, got %.*s[%.*s] for field [%.*s]", 0, "",
                          QD_STR_ARG(n->raw), QD_STR_ARG(field));
    }
    if (n->n > 5) {
        return qd_err_set(err, QD_E_MAPPER_PARSING,
                          "[meta] can't have more than 5 entries, but got %u on field [%.*s]", n->n,
                          QD_STR_ARG(field));
    }
    for (const qd_json_node *c = n->first; c; c = c->next) {
        if (c->key.n > 20) {
            return qd_err_set(
                err, QD_E_MAPPER_PARSING,
                "[meta] keys can't be longer than 20 chars, but got [%.*s] for field [%.*s]",
                QD_STR_ARG(c->key), QD_STR_ARG(field));
        }
        if (c->type != QD_JSON_T_STRING) {
            return qd_err_set(err, QD_E_MAPPER_PARSING,
                              "[meta] values can only be strings, but got [%.*s] for field [%.*s]",
                              QD_STR_ARG(c->raw), QD_STR_ARG(field));
        }
        if (c->text.n > 500) {
            return qd_err_set(err, QD_E_MAPPER_PARSING,
                              "[meta] values can't be longer than 500 chars, but got a longer one "
                              "for field [%.*s]",
                              QD_STR_ARG(field));
        }
    }
    return 0;
}

/* Compact form of any value. */
static qd_str compact(qd_arena *a, const qd_json_node *n)
{
    qd_buf b;
    qd_json_writer w;
    qd_json_reader r = QD_JSON_READER(a->account);
    qd_json_event ev;
    qd_buf_init(&b, a->account, 2 * n->raw.n + 64);
    qd_json_writer_init(&w, &b, false);
    qd_json_reader_init(&r, n->raw, QD_JSON_COMMENTS, 0);
    while ((ev = qd_json_next(&r)) > 0) {
        switch (ev) {
        case QD_JSON_OBJECT:
            qd_json_object(&w);
            break;
        case QD_JSON_OBJECT_END:
            qd_json_object_end(&w);
            break;
        case QD_JSON_ARRAY:
            qd_json_array(&w);
            break;
        case QD_JSON_ARRAY_END:
            qd_json_array_end(&w);
            break;
        case QD_JSON_KEY:
            qd_json_key(&w, r.text);
            break;
        case QD_JSON_STRING:
            qd_json_str(&w, r.text);
            break;
        default:
            qd_json_raw_bytes(&w, (qd_str){r.token, (size_t)(r.at - r.token)});
            break;
        }
    }
    qd_str s = ev < 0 || qd_buf_status(&b) ? (qd_str){NULL, 0} : qd_arena_str(a, qd_buf_view(&b));
    qd_json_reader_fini(&r);
    qd_buf_fini(&b);
    return s;
}

static int read_param(qd_arena *a, const param_row *row, const qd_json_node *n, qd_field_def *f,
                      param_value *v, qd_err *err)
{
    bool truth = false;
    int rc = 0;
    if (n->type == QD_JSON_T_NULL) {
        if (row->id == PARAM_NULL_VALUE) return 0;
        return qd_err_set(err, QD_E_MAPPER_PARSING,
                          "[%s] on mapper [%.*s] of type [%s] must not have a [null] value",
                          row->name, QD_STR_ARG(f->name), f->type->name);
    }
    switch (row->kind) {
    case KIND_BOOL:
    case KIND_EXPLICIT_BOOL:
        if (qd_json_truth(n, &truth)) return bad_bool(n, err);
        v->i = truth;
        v->json = truth ? QD_STR("true") : QD_STR("false");
        break;
    case KIND_INT:
        rc = read_int(n, v, err);
        if (rc) return rc;
        v->json = qd_arena_printf(a, "%lld", (long long)v->i);
        break;
    case KIND_DOUBLE:
        v->text = qd_json_text(n);
        if (!v->text.p || qd_f64_parse_java(v->text, &v->d)) {
            return qd_err_set(err, QD_E_NUMBER_FORMAT, "For input string: \"%.*s\"",
                              QD_STR_ARG(n->raw));
        }
        char out[QD_F64_TEXT_MAX];
        v->json = qd_arena_str(a, (qd_str){out, qd_f64_print(out, v->d)});
        break;
    case KIND_STRING:
        v->text = qd_json_text(n);
        if (!v->text.p) {
            return qd_err_set(err, QD_E_MAPPER_PARSING,
                              "[%s] on mapper [%.*s] of type [%s] must be a string", row->name,
                              QD_STR_ARG(f->name), f->type->name);
        }
        v->json = qdi_json_quote(a, v->text);
        break;
    case KIND_SCALAR:
        v->text = qd_json_text(n);
        if (!v->text.p) {
            return qd_err_set(err, QD_E_MAPPER_PARSING,
                              "[%s] on mapper [%.*s] of type [%s] must be a single value",
                              row->name, QD_STR_ARG(f->name), f->type->name);
        }
        v->json = n->type == QD_JSON_T_STRING ? qdi_json_quote(a, v->text) : n->raw;
        break;
    case KIND_META:
        rc = read_meta(n, f->name, err);
        if (rc) return rc;
        v->json = compact(a, n);
        break;
    default:
        v->json = compact(a, n);
        break;
    }
    if (!v->json.p) return qd_err_nomem(err, "mapping");
    /* what equals the default is as if it had not been given, except where it is written anyway */
    if (row->kind != KIND_EXPLICIT_BOOL && row->def && qd_str_is(v->json, row->def))
        v->json = (qd_str){NULL, 0};
    return 0;
}

static int read_strings(qd_arena *a, const qd_json_node *n, qd_str **out, uint32_t *count,
                        qd_err *err)
{
    uint32_t k = n->type == QD_JSON_T_ARRAY ? n->n : 1;
    if (k > LIST_MAX)
        return qd_err_set(err, QD_E_MAPPER_PARSING, "list of %u values is too long", k);
    qd_str *list = qd_arena_alloc(a, (k + 1) * sizeof *list);
    if (!list) return qd_err_nomem(err, "mapping");
    uint32_t at = 0;
    for (const qd_json_node *c = n->type == QD_JSON_T_ARRAY ? n->first : n; c;
         c = n->type == QD_JSON_T_ARRAY ? c->next : NULL) {
        list[at] = qd_json_text(c);
        if (!list[at].p)
            return qd_err_set(err, QD_E_MAPPER_PARSING, "expected a string but got [%.*s]",
                              QD_STR_ARG(c->raw));
        at++;
    }
    *out = list;
    *count = at;
    return 0;
}

static int read_multi(const qdi_type_source *from, qd_arena *a, const qd_json_node *n,
                      qd_field_def *f, qd_err *err)
{
    if (n->type == QD_JSON_T_ARRAY && n->n == 0) return 0;
    if (n->type != QD_JSON_T_OBJECT) {
        return qd_err_set(
            err, QD_E_MAPPER_PARSING,
            "Expected map for property [fields] on field [%.*s] but got a %s", QD_STR_ARG(f->name),
            n->type == QD_JSON_T_STRING ? "class java.lang.String" : "class java.util.ArrayList");
    }
    f->multi = qd_arena_alloc(a, (n->n + 1) * sizeof *f->multi);
    if (!f->multi) return qd_err_nomem(err, "mapping");
    for (const qd_json_node *c = n->first; c; c = c->next) {
        qd_field_def *sub = NULL;
        if (qd_str_find(c->key, '.') >= 0) {
            return qd_err_set(
                err, QD_E_MAPPER_PARSING,
                "Field name [%.*s] which is a multi field of [%.*s] cannot contain '.'",
                QD_STR_ARG(c->key), QD_STR_ARG(f->name));
        }
        int rc = qdi_field_def_read(from, a, c->key, c, true, &sub, err);
        if (rc) return rc;
        uint32_t at = f->nmulti++;
        while (at > 0 && qd_str_cmp(f->multi[at - 1]->name, sub->name) > 0) {
            f->multi[at] = f->multi[at - 1];
            at--;
        }
        f->multi[at] = sub;
    }
    return 0;
}

/* synthetic_source_keep, of a field or an object. */
static int read_keep(const qd_json_node *n, uint8_t *out, qd_err *err)
{
    static const char *const names[] = {"none", "arrays", "all"};
    qd_str text = qd_json_text(n);
    for (uint8_t i = 0; i < QD_COUNT_OF(names); i++) {
        if (!text.p || !qd_str_is(text, names[i])) continue;
        *out = (uint8_t)(i + 1);
        return 0;
    }
    return qd_err_set(err, QD_E_MAPPER_PARSING,
                      "Unknown value [%.*s] for field [synthetic_source_keep] - accepted values "
                      "are [none, arrays, all]",
                      QD_STR_ARG(text.p ? text : n->raw));
}

static int one_param(const qdi_type_source *from, qd_arena *a, const qd_json_node *c, bool multi,
                     qd_field_def *f, qd_err *err)
{
    if (qd_str_is(c->key, "type")) return 0;
    bool common = !f->type->plain;
    if (common && qd_str_is(c->key, "fields")) {
        if (!multi) return read_multi(from, a, c, f, err);
        return qd_err_set(err, QD_E_MAPPER_PARSING,
                          "Encountered a multi-field [%.*s] which itself contains a multi-field. "
                          "Defining chained "
                          "multi-fields is not supported.",
                          QD_STR_ARG(f->name));
    }
    if (common && qd_str_is(c->key, "copy_to")) {
        if (multi) {
            return qd_err_set(err, QD_E_MAPPER_PARSING,
                              "copy_to in multi fields is not allowed. Found the copy_to in field "
                              "[%.*s] which is within a multi field.",
                              QD_STR_ARG(f->name));
        }
        return read_strings(a, c, &f->copy_to, &f->ncopy_to, err);
    }
    if (qd_str_is(c->key, "synthetic_source_keep") && !multi) return read_keep(c, &f->keep, err);
    if (qd_str_is(c->key, "boost")) {
        return qd_err_set(err, QD_E_MAPPER_PARSING,
                          "Unknown parameter [boost] on mapper [%.*s] of type [%s]",
                          QD_STR_ARG(f->name), f->type->name);
    }
    for (uint32_t i = 0; i < f->type->nparams; i++) {
        if (qd_str_is(c->key, f->type->params[i].name)) {
            return read_param(a, &f->type->params[i], c, f, &f->params[i], err);
        }
    }
    return qd_err_set(err, QD_E_MAPPER_PARSING,
                      "unknown parameter [%.*s] on mapper [%.*s] of type [%s]", QD_STR_ARG(c->key),
                      QD_STR_ARG(f->name), f->type->name);
}

int qdi_field_def_read(const qdi_type_source *from, qd_arena *a, qd_str name, const qd_json_node *n,
                       bool multi, qd_field_def **out, qd_err *err)
{
    const qd_json_node *type = qd_json_get(n, "type");
    qd_str type_name = qd_json_text(type);
    if (n->type != QD_JSON_T_OBJECT || !type_name.p) {
        if (multi)
            return qd_err_set(err, QD_E_MAPPER_PARSING, "no type specified for property [%.*s]",
                              QD_STR_ARG(name));
        return qd_err_set(err, QD_E_MAPPER_PARSING, "No type specified for field [%.*s]",
                          QD_STR_ARG(name));
    }
    if (multi && (qd_str_is(type_name, "object") || qd_str_is(type_name, "nested"))) {
        return qd_err_set(err, QD_E_MAPPER_PARSING, "Type [%.*s] cannot be used in multi field",
                          QD_STR_ARG(type_name));
    }
    const struct qd_field_type *t = qdi_field_type(type_name);
    if (!t) {
        int rc = qdi_foreign_row(from, a, name, type_name, n, &t, err);
        if (rc) return rc;
    }
    if (!t) {
        if (qd_known_name(QD_KNOWN_FIELD_TYPE, type_name))
            return qd_err_set(err, QD_E_MAPPER_PARSING, QD_KNOWN_REFUSED " (type of field [%.*s])",
                              QD_STR_ARG(type_name), QD_STR_ARG(name));
        return qd_err_set(err, QD_E_MAPPER_PARSING,
                          "No handler for type [%.*s] declared on field [%.*s]",
                          QD_STR_ARG(type_name), QD_STR_ARG(name));
    }
    if (multi && t->plain)
        return qd_err_set(err, QD_E_MAPPER_PARSING, "Type [%.*s] cannot be used in multi field",
                          QD_STR_ARG(type_name));
    qd_field_def *f = qd_arena_calloc(a, sizeof *f);
    param_value *params = qd_arena_calloc(a, (t->nparams + 1) * sizeof *params);
    if (!f || !params) return qd_err_nomem(err, "mapping");
    f->type = t;
    f->name = name;
    f->params = params;
    for (const qd_json_node *c = n->first; c; c = c->next) {
        int rc = one_param(from, a, c, multi, f, err);
        if (rc) return rc;
    }
    *out = f;
    return 0;
}

/* --- objects from JSON -------------------------------------------------------------------------
 */

static int read_object(const qdi_type_source *from, qd_arena *a, const qd_json_node *n,
                       object_def *o, bool root, int level, qd_err *err);

static int read_dynamic(const qd_json_node *n, int *out, qd_err *err)
{
    qd_str text = qd_json_text(n);
    if (text.p && qd_str_ieq(text, QD_STR("strict")))
        *out = QD_DYNAMIC_STRICT;
    else if (qd_str_ieq(text, QD_STR("strict_allow_templates")))
        *out = QD_DYNAMIC_STRICT_TEMPLATES;
    else if (qd_str_is(text, "true"))
        *out = QD_DYNAMIC_TRUE;
    else if (qd_str_is(text, "false"))
        *out = QD_DYNAMIC_FALSE;
    else if (qd_str_is(text, "runtime"))
        *out = QD_DYNAMIC_RUNTIME;
    else {
        (void)qd_err_set(err, QD_E_ARG,
                         "Failed to parse value [%.*s] as only [true] or [false] are allowed.",
                         QD_STR_ARG(text.p ? text : n->raw));
        return qd_err_wrap(err, QD_E_ARG, "Could not convert [dynamic.dynamic] to boolean");
    }
    return 0;
}

/* The object that holds the last name of a dotted one, made on the way where missing. */
static int descend(qd_arena *a, object_def **o, qd_str *name, int *level, qd_err *err)
{
    for (;;) {
        ptrdiff_t dot = qd_str_find(*name, '.');
        if (dot < 0) return 0;
        qd_str part = qd_str_sub(*name, 0, (size_t)dot);
        *name = qd_str_sub(*name, (size_t)dot + 1, name->n);
        if (part.n == 0 || name->n == 0)
            return qd_err_set(err, QD_E_ARG, "field name cannot be an empty string");
        if (++*level > MAPPING_LEVELS_MAX) {
            return qd_err_set(err, QD_E_ARG, "Limit of mapping depth [%d] has been exceeded",
                              MAPPING_LEVELS_MAX);
        }
        node_def *next = qdi_object_find(*o, part);
        if (!next) {
            next = qd_arena_calloc(a, sizeof *next);
            if (!next) return qd_err_nomem(err, "mapping");
            next->name = part;
            next->object = qdi_object_make(a, part);
            if (!next->object || qdi_object_add(a, *o, next)) return qd_err_nomem(err, "mapping");
            next->object->implied = true;
        }
        if (!next->object) {
            return qd_err_set(err, QD_E_ARG,
                              "can't merge a non object mapping [%.*s] with an object mapping",
                              QD_STR_ARG(part));
        }
        *o = next->object;
    }
}

static bool is_nested(const qd_json_node *n)
{
    return qd_str_is(qd_json_text(qd_json_get(n, "type")), "nested");
}

static bool looks_like_object(const qd_json_node *n)
{
    const qd_json_node *type = qd_json_get(n, "type");
    if (type) return qd_str_is(qd_json_text(type), "object") || is_nested(n);
    return qd_json_get(n, "properties") || (n->n == 1 && qd_json_get(n, "enabled")) ||
           (n->n == 1 && qd_json_get(n, "dynamic")) ||
           (n->n == 2 && qd_json_get(n, "enabled") && qd_json_get(n, "dynamic"));
}

static int read_child(const qdi_type_source *from, qd_arena *a, const qd_json_node *c,
                      object_def *o, int level, qd_err *err)
{
    qd_str name = c->key;
    if (c->type != QD_JSON_T_OBJECT) {
        return qd_err_set(err, QD_E_MAPPER_PARSING,
                          "Expected map for property [fields] on field [%.*s] but got a %.*s",
                          QD_STR_ARG(name), QD_STR_ARG(c->raw));
    }
    if (qd_str_trim(name).n == 0)
        return qd_err_set(err, QD_E_ARG, "field name cannot be an empty string");
    if (level == 0 && qd_mapping_is_metadata(name)) {
        return qd_err_set(err, QD_E_MAPPER_PARSING, "Field [%.*s] is defined more than once",
                          QD_STR_ARG(name));
    }
    int rc = descend(a, &o, &name, &level, err);
    if (rc) return rc;
    node_def *n = qdi_object_find(o, name);
    if (looks_like_object(c)) {
        if (n && !n->object) {
            return qd_err_set(err, QD_E_ARG,
                              "can't merge a non object mapping [%.*s] with an object mapping",
                              QD_STR_ARG(name));
        }
        if (!n) {
            n = qd_arena_calloc(a, sizeof *n);
            if (!n) return qd_err_nomem(err, "mapping");
            n->name = name;
            n->object = qdi_object_make(a, name);
            if (!n->object || qdi_object_add(a, o, n)) return qd_err_nomem(err, "mapping");
        }
        n->object->implied = false;
        n->object->nested |= is_nested(c);
        return read_object(from, a, c, n->object, false, level + 1, err);
    }
    if (n) {
        return qd_err_set(err, QD_E_ARG, "mapper [%.*s] cannot be changed from type [%s] to [%.*s]",
                          QD_STR_ARG(name), n->object ? "object" : n->field->type->name,
                          QD_STR_ARG(qd_json_text(qd_json_get(c, "type"))));
    }
    n = qd_arena_calloc(a, sizeof *n);
    if (!n) return qd_err_nomem(err, "mapping");
    n->name = name;
    rc = qdi_field_def_read(from, a, name, c, false, &n->field, err);
    if (rc) return rc;
    return qdi_object_add(a, o, n) ? qd_err_nomem(err, "mapping") : 0;
}

static int read_properties(const qdi_type_source *from, qd_arena *a, const qd_json_node *n,
                           object_def *o, int level, qd_err *err)
{
    if (n->type == QD_JSON_T_ARRAY && n->n == 0) return 0; /* PHP writes an empty map so */
    if (n->type != QD_JSON_T_OBJECT)
        return qd_err_set(err, QD_E_ES_PARSE, "properties must be a map type");
    for (const qd_json_node *c = n->first; c; c = c->next) {
        int rc = read_child(from, a, c, o, level, err);
        if (rc) return rc;
    }
    return 0;
}

static int read_object(const qdi_type_source *from, qd_arena *a, const qd_json_node *n,
                       object_def *o, bool root, int level, qd_err *err)
{
    if (level > MAPPING_LEVELS_MAX) {
        return qd_err_set(err, QD_E_ARG, "Limit of mapping depth [%d] has been exceeded",
                          MAPPING_LEVELS_MAX);
    }
    for (const qd_json_node *c = n->first; c; c = c->next) {
        int rc = 0;
        bool truth;
        if (qd_str_is(c->key, "dynamic")) {
            rc = read_dynamic(c, &o->dynamic, err);
        } else if (qd_str_is(c->key, "enabled")) {
            rc = qd_json_truth(c, &truth) ? bad_bool(c, err) : 0;
            if (rc == 0) o->enabled = truth ? TRI_TRUE : TRI_FALSE;
        } else if (qd_str_is(c->key, "properties")) {
            rc = read_properties(from, a, c, o, level, err);
        } else if (qd_str_is(c->key, "subobjects")) {
            rc = qd_json_truth(c, &truth) || !truth
                     ? qd_err_set(err, QD_E_MAPPER_PARSING, "only [subobjects: true] is supported")
                     : 0;
        } else if (!root && qd_str_is(c->key, "synthetic_source_keep")) {
            rc = read_keep(c, &o->keep, err);
        } else if (o->nested && (qd_str_is(c->key, "include_in_parent") ||
                                 qd_str_is(c->key, "include_in_root"))) {
            rc = qd_json_truth(c, &truth) ? bad_bool(c, err) : 0;
            *(qd_str_is(c->key, "include_in_root") ? &o->in_root : &o->in_parent) =
                truth ? TRI_TRUE : TRI_FALSE;
        } else if (!root && !qd_str_is(c->key, "type")) {
            rc = qd_err_set(
                err, QD_E_MAPPER_PARSING,
                "Mapping definition for [%.*s] has unsupported parameters:  [%.*s : %.*s]",
                QD_STR_ARG(o->name), QD_STR_ARG(c->key), QD_STR_ARG(c->raw));
        }
        if (rc) return rc;
    }
    return 0;
}

/* --- the root
 * --------------------------------------------------------------------------------------- */

static int read_source_mode(const qd_json_node *n, uint8_t *out, qd_err *err)
{
    static const char *const names[] = {"stored", "synthetic", "disabled"};
    qd_str text = qd_json_text(n);
    for (uint8_t i = 0; i < QD_COUNT_OF(names); i++) {
        if (!text.p || !qd_str_ieq(text, qd_str_c(names[i]))) continue;
        *out = (uint8_t)(i + 1);
        return 0;
    }
    return qd_err_set(err, QD_E_MAPPER_PARSING,
                      "Unknown value [%.*s] for field [mode] - accepted values are [disabled, "
                      "stored, synthetic]",
                      QD_STR_ARG(text.p ? text : n->raw));
}

static int read_source(qd_arena *a, const qd_json_node *n, mapping_def *d, qd_err *err)
{
    d->has_source = true;
    for (const qd_json_node *c = n->first; c; c = c->next) {
        int rc = 0;
        bool truth;
        if (qd_str_is(c->key, "enabled")) {
            rc = qd_json_truth(c, &truth) ? bad_bool(c, err) : 0;
            if (rc == 0) d->source_enabled = truth ? TRI_TRUE : TRI_FALSE;
        } else if (qd_str_is(c->key, "includes")) {
            rc = read_strings(a, c, &d->includes, &d->nincludes, err);
        } else if (qd_str_is(c->key, "excludes")) {
            rc = read_strings(a, c, &d->excludes, &d->nexcludes, err);
        } else if (qd_str_is(c->key, "mode")) {
            rc = read_source_mode(c, &d->source_mode, err);
        } else {
            rc = qd_err_set(err, QD_E_MAPPER_PARSING,
                            "unknown parameter [%.*s] on metadata field [_source]",
                            QD_STR_ARG(c->key));
        }
        if (rc) return rc;
    }
    if (d->source_mode && d->source_enabled != TRI_UNSET)
        return qd_err_set(err, QD_E_MAPPER_PARSING,
                          "Cannot set both [mode] and [enabled] parameters");
    return 0;
}

static int read_routing(const qd_json_node *n, mapping_def *d, qd_err *err)
{
    d->has_routing = true;
    for (const qd_json_node *c = n->first; c; c = c->next) {
        bool truth;
        if (!qd_str_is(c->key, "required")) {
            return qd_err_set(err, QD_E_MAPPER_PARSING,
                              "unknown parameter [%.*s] on metadata field [_routing]",
                              QD_STR_ARG(c->key));
        }
        if (qd_json_truth(c, &truth)) return bad_bool(c, err);
        d->routing_required = truth ? TRI_TRUE : TRI_FALSE;
    }
    return 0;
}

static int read_stamp(const qd_json_node *n, mapping_def *d, qd_err *err)
{
    for (const qd_json_node *c = n->first; c; c = c->next) {
        bool truth;
        if (!qd_str_is(c->key, "enabled")) {
            return qd_err_set(err, QD_E_MAPPER_PARSING,
                              "unknown parameter [%.*s] on metadata field "
                              "[_data_stream_timestamp]",
                              QD_STR_ARG(c->key));
        }
        if (qd_json_truth(c, &truth)) return bad_bool(c, err);
        d->stamped = truth ? TRI_TRUE : TRI_FALSE;
    }
    return 0;
}

static int read_templates(qd_arena *a, const qd_json_node *n, mapping_def *d, qd_err *err)
{
    if (n->type != QD_JSON_T_ARRAY) {
        return qd_err_set(err, QD_E_MAPPER_PARSING,
                          "Dynamic template syntax error. An array of named objects is expected.");
    }
    d->has_templates = true;
    if (n->n > LIST_MAX) return qd_err_set(err, QD_E_MAPPER_PARSING, "too many dynamic templates");
    d->templates = qd_arena_calloc(a, (n->n + 1) * sizeof *d->templates);
    if (!d->templates) return qd_err_nomem(err, "mapping");
    for (const qd_json_node *c = n->first; c; c = c->next) {
        if (c->type != QD_JSON_T_OBJECT || c->n != 1) {
            return qd_err_set(err, QD_E_MAPPER_PARSING,
                              "A dynamic template must be defined with a name");
        }
        int rc = qdi_template_read(a, c->first, &d->templates[d->ntemplates], err);
        if (rc) return rc;
        d->templates[d->ntemplates].body = compact(a, c->first);
        if (!d->templates[d->ntemplates++].body.p) return qd_err_nomem(err, "mapping");
    }
    return 0;
}

static int root_param(const qdi_type_source *from, qd_arena *a, const qd_json_node *c,
                      mapping_def *d, qd_err *err)
{
    static const char *const taken[] = {"dynamic", "enabled", "properties", "subobjects"};
    bool truth;
    for (size_t i = 0; i < QD_COUNT_OF(taken); i++) {
        if (qd_str_is(c->key, taken[i])) return 0;
    }
    if (qd_str_is(c->key, "date_detection") || qd_str_is(c->key, "numeric_detection")) {
        if (qd_json_truth(c, &truth)) return bad_bool(c, err);
        tri v = truth ? TRI_TRUE : TRI_FALSE;
        if (c->key.p[0] == 'd')
            d->date_detection = v;
        else
            d->numeric_detection = v;
        return 0;
    }
    if (qd_str_is(c->key, "dynamic_date_formats") || qd_str_is(c->key, "date_formats")) {
        d->has_date_formats = true;
        return read_strings(a, c, &d->date_formats, &d->ndate_formats, err);
    }
    if (qd_str_is(c->key, "dynamic_templates")) return read_templates(a, c, d, err);
    if (qd_str_is(c->key, "_source") && c->type == QD_JSON_T_OBJECT)
        return read_source(a, c, d, err);
    if (qd_str_is(c->key, "_routing") && c->type == QD_JSON_T_OBJECT)
        return read_routing(c, d, err);
    if (qd_str_is(c->key, "_data_stream_timestamp") && c->type == QD_JSON_T_OBJECT)
        return read_stamp(c, d, err);
    if (qd_str_is(c->key, "_meta") && c->type == QD_JSON_T_OBJECT) {
        d->meta = compact(a, c);
        return d->meta.p ? 0 : qd_err_nomem(err, "mapping");
    }
    if (qd_str_is(c->key, "runtime")) return qdi_runtime_read(from, a, c, &d->runtime, err);
    return qd_err_set(err, QD_E_MAPPER_PARSING,
                      "Root mapping definition has unsupported parameters:  [%.*s : %.*s]",
                      QD_STR_ARG(c->key), QD_STR_ARG(c->raw));
}

int qdi_mapping_read(const qdi_type_source *from, qd_arena *a, qd_str json, mapping_def **out,
                     qd_err *err)
{
    qd_json_node *n = NULL;
    const qd_json_node *body;
    /* views into the text must live as long as the definitions */
    qd_str text = qd_arena_str(a, json.n ? json : QD_STR("{}"));
    mapping_def *d = qd_arena_calloc(a, sizeof *d);
    if (!text.p || !d) return qd_err_nomem(err, "mapping");
    int rc = qd_json_parse(a, text, 0, &n, err);
    if (rc) return rc;
    if (n->type != QD_JSON_T_OBJECT)
        return qd_err_set(err, QD_E_MAPPER_PARSING, "Malformed content, must start with an object");
    body = n->n == 1 && qd_json_get(n, "_doc") ? n->first : n;
    if (body->type != QD_JSON_T_OBJECT)
        return qd_err_set(err, QD_E_MAPPER_PARSING, "mapping must be an object");
    d->date_detection = d->numeric_detection = d->source_enabled = d->routing_required = TRI_UNSET;
    d->stamped = TRI_UNSET;
    d->root = qdi_object_make(a, QD_STR("_doc"));
    if (!d->root) return qd_err_nomem(err, "mapping");
    rc = read_object(from, a, body, d->root, true, 0, err);
    for (const qd_json_node *c = body->first; c && rc == 0; c = c->next)
        rc = root_param(from, a, c, d, err);
    *out = d;
    return rc;
}
