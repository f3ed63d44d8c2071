/* runtime.c: definitions of runtime fields, read, merged, written and compiled. */
#include "config/known.h"
#include "mapping/mapping_int.h"
#include "mapping/runtime/runtime_int.h"

#define TYPES 8u
static const char *const types[TYPES] = {"boolean",   "composite", "date",    "double",
                                         "geo_point", "ip",        "keyword", "long"};

static const char *java(const qd_json_node *n)
{
    switch (n->type) {
    case QD_JSON_T_STRING:
        return "java.lang.String";
    case QD_JSON_T_ARRAY:
        return "java.util.ArrayList";
    case QD_JSON_T_NUMBER:
        return "java.lang.Integer";
    default:
        return "java.lang.Boolean";
    }
}

/* --- one definition --------------------------------------------------------------------------- */

static int bad_type(qd_str name, qd_str type, qd_err *err)
{
    if (!type.p)
        return qd_err_set(err, QD_E_MAPPER_PARSING, "No type specified for runtime field [%.*s]",
                          QD_STR_ARG(name));
    if (qd_str_is(type, "lookup"))
        return qd_err_set(err, QD_E_MAPPER_PARSING, QD_KNOWN_REFUSED " (type of field [%.*s])",
                          QD_STR_ARG(type), QD_STR_ARG(name));
    return qd_err_set(err, QD_E_MAPPER_PARSING,
                      "No handler for type [%.*s] declared on runtime field [%.*s]",
                      QD_STR_ARG(type), QD_STR_ARG(name));
}

/* The script as mappings show it: an object with source, lang and params. */
static int read_script(qd_arena *a, const qd_json_node *n, runtime_def *d, qd_err *err)
{
    const qd_json_node *source = n->type == QD_JSON_T_STRING ? n : qd_json_get(n, "source");
    const qd_json_node *params = n->type == QD_JSON_T_OBJECT ? qd_json_get(n, "params") : NULL;
    qd_str lang = QD_STR("painless");
    if (n->type != QD_JSON_T_OBJECT && n->type != QD_JSON_T_STRING)
        return qd_err_set(err, QD_E_MAPPER_PARSING,
                          "Failed to parse object: expecting token of type [START_OBJECT] or "
                          "[VALUE_STRING] for [script] of runtime field [%.*s]",
                          QD_STR_ARG(d->name));
    for (const qd_json_node *c = n->type == QD_JSON_T_OBJECT ? n->first : NULL; c; c = c->next) {
        if (qd_str_is(c->key, "id") || qd_str_is(c->key, "stored"))
            return qd_err_set(err, QD_E_ARG,
                              "stored scripts are not supported for runtime field [%.*s]",
                              QD_STR_ARG(d->name));
        if (qd_str_is(c->key, "lang")) lang = qd_json_text(c);
        if (!qd_str_is(c->key, "lang") && !qd_str_is(c->key, "source") &&
            !qd_str_is(c->key, "params"))
            return qd_err_set(err, QD_E_ARG, "[script] unknown field [%.*s]", QD_STR_ARG(c->key));
    }
    if (!lang.p || !source || !qd_json_text(source).p ||
        (params && params->type != QD_JSON_T_OBJECT))
        return qd_err_set(err, QD_E_ARG,
                          "must specify either [source] for an inline script or "
                          "[id] for a stored script");
    qd_buf b;
    qd_json_writer w;
    qd_buf_init(&b, a->account, 8 * n->raw.n + 256);
    qd_json_writer_init(&w, &b, false);
    qd_json_object(&w);
    qd_json_field_str(&w, "source", qd_json_text(source));
    qd_json_field_str(&w, "lang", lang);
    if (params && params->n) {
        qd_json_key_c(&w, "params");
        qd_json_raw_value(&w, params->raw);
    }
    qd_json_object_end(&w);
    d->script = qd_buf_status(&b) ? (qd_str){NULL, 0} : qd_arena_str(a, qd_buf_view(&b));
    qd_buf_fini(&b);
    return d->script.p ? 0 : qd_err_nomem(err, "mapping");
}

static int read_on_error(const qd_json_node *n, runtime_def *d, qd_err *err)
{
    qd_str v = qd_json_text(n);
    d->goes_on = qd_str_is(v, "continue");
    if (d->goes_on || qd_str_is(v, "fail")) return 0;
    return qd_err_set(err, QD_E_MAPPER_PARSING,
                      "Unknown value [%.*s] for field [on_script_error] - accepted values are "
                      "[fail, continue]",
                      QD_STR_ARG(v.p ? v : n->raw));
}

/* The definition of a field of documents with the type, format and meta that n has. */
static int read_field(const qdi_type_source *from, qd_arena *a, qd_str name, const qd_json_node *n,
                      qd_field_def **out, qd_err *err)
{
    static const char *const kept[] = {"type", "format", "meta"};
    qd_json_node *made;
    qd_buf b;
    qd_json_writer w;
    qd_buf_init(&b, a->account, 8 * n->raw.n + 256);
    qd_json_writer_init(&w, &b, false);
    qd_json_object(&w);
    for (size_t i = 0; i < QD_COUNT_OF(kept); i++) {
        const qd_json_node *c = qd_json_get(n, kept[i]);
        if (!c) continue;
        qd_json_key_c(&w, kept[i]);
        qd_json_raw_value(&w, c->raw);
    }
    qd_json_object_end(&w);
    qd_str text = qd_buf_status(&b) ? (qd_str){NULL, 0} : qd_arena_str(a, qd_buf_view(&b));
    qd_buf_fini(&b);
    if (!text.p) return qd_err_nomem(err, "mapping");
    int rc = qd_json_parse(a, text, 0, &made, err);
    return rc ? rc : qdi_field_def_read(from, a, name, made, false, out, err);
}

static int read_members(const qdi_type_source *from, qd_arena *a, const qd_json_node *n,
                        runtime_def *d, qd_err *err)
{
    if (!d->script.p)
        return qd_err_set(err, QD_E_ARG, "composite runtime field [%.*s] must declare a [script]",
                          QD_STR_ARG(d->name));
    if (!n)
        return qd_err_set(err, QD_E_ARG, "composite runtime field [%.*s] must declare its [fields]",
                          QD_STR_ARG(d->name));
    if (n->type != QD_JSON_T_OBJECT || !n->n || n->n > 1000)
        return qd_err_set(err, QD_E_MAPPER_PARSING,
                          "[fields] of composite runtime field [%.*s] must be an object of 1 to "
                          "1000 fields",
                          QD_STR_ARG(d->name));
    d->fields = qd_arena_calloc(a, n->n * sizeof *d->fields);
    if (!d->fields) return qd_err_nomem(err, "mapping");
    for (const qd_json_node *c = n->first; c; c = c->next) {
        qd_str type = qd_json_text(qd_json_get(c, "type"));
        bool known = false;
        for (uint32_t i = 0; i < TYPES && !known; i++) known = qd_str_is(type, types[i]);
        if (!known || qd_str_is(type, "composite")) return bad_type(c->key, type, err);
        for (const qd_json_node *p = c->first; p; p = p->next) {
            if (qd_str_is(p->key, "type")) continue;
            if (qd_str_is(p->key, "format") && qd_str_is(type, "date")) continue;
            if (qd_str_is(p->key, "script"))
                return qd_err_set(err, QD_E_ARG,
                                  "Cannot use [script] parameter on sub-field [%.*s] of composite "
                                  "runtime field [%.*s]",
                                  QD_STR_ARG(c->key), QD_STR_ARG(d->name));
            return qd_err_set(err, QD_E_MAPPER_PARSING,
                              "unknown parameter [%.*s] on runtime field [%.*s] of type [%.*s]",
                              QD_STR_ARG(p->key), QD_STR_ARG(c->key), QD_STR_ARG(type));
        }
        int rc = read_field(from, a, c->key, c, &d->fields[d->n++], err);
        if (rc) return rc;
    }
    return 0;
}

/* As it is shown. */
static int render(qd_arena *a, const qd_json_node *n, runtime_def *d, qd_err *err)
{
    qd_buf b;
    qd_json_writer w;
    qd_buf_init(&b, a->account, 16 * n->raw.n + 4096);
    qd_json_writer_init(&w, &b, false);
    qd_json_object(&w);
    qd_json_field_str(&w, "type", qd_json_text(qd_json_get(n, "type")));
    for (const qd_json_node *c = n->first; c; c = c->next) {
        if (qd_str_is(c->key, "type") || c->type == QD_JSON_T_NULL) continue;
        if (qd_str_is(c->key, "on_script_error") && !d->goes_on) continue;
        qd_json_key(&w, c->key);
        qd_json_raw_value(&w, qd_str_is(c->key, "script") ? d->script : c->raw);
    }
    qd_json_object_end(&w);
    d->json = qd_buf_status(&b) ? (qd_str){NULL, 0} : qd_arena_str(a, qd_buf_view(&b));
    qd_buf_fini(&b);
    return d->json.p ? 0 : qd_err_nomem(err, "mapping");
}

static int read_one(const qdi_type_source *from, qd_arena *a, const qd_json_node *n, runtime_def *d,
                    qd_err *err)
{
    const qd_json_node *fields = NULL;
    qd_str type = qd_json_text(qd_json_get(n, "type"));
    bool known = false;
    int rc = 0;
    if (n->type == QD_JSON_T_NULL) return 0;
    if (n->type != QD_JSON_T_OBJECT)
        return qd_err_set(err, QD_E_MAPPER_PARSING,
                          "Expected map for runtime field [%.*s] definition but got a %s",
                          QD_STR_ARG(d->name), java(n));
    for (uint32_t i = 0; i < TYPES && !known; i++) known = qd_str_is(type, types[i]);
    if (!known) return bad_type(d->name, type, err);
    d->composite = qd_str_is(type, "composite");
    for (const qd_json_node *c = n->first; c && !rc; c = c->next) {
        if (qd_str_is(c->key, "type")) continue;
        if (qd_str_is(c->key, "script"))
            rc = c->type == QD_JSON_T_NULL ? 0 : read_script(a, c, d, err);
        else if (qd_str_is(c->key, "on_script_error"))
            rc = read_on_error(c, d, err);
        else if (qd_str_is(c->key, "fields") && d->composite)
            fields = c;
        else if (!(qd_str_is(c->key, "format") && qd_str_is(type, "date")) &&
                 !(qd_str_is(c->key, "meta") && !d->composite))
            rc = qd_err_set(err, QD_E_MAPPER_PARSING,
                            "unknown parameter [%.*s] on runtime field [%.*s] of type [%.*s]",
                            QD_STR_ARG(c->key), QD_STR_ARG(d->name), QD_STR_ARG(type));
    }
    if (!rc && d->composite) rc = read_members(from, a, fields, d, err);
    if (!rc && !d->composite) {
        d->fields = qd_arena_calloc(a, sizeof *d->fields);
        if (!d->fields) return qd_err_nomem(err, "mapping");
        d->n = 1;
        rc = read_field(from, a, d->name, n, &d->fields[0], err);
    }
    return rc ? rc : render(a, n, d, err);
}

/* --- all of them ------------------------------------------------------------------------------ */

static uint32_t place_of(const runtime_defs *d, qd_str name, bool *found)
{
    uint32_t lo = 0, hi = d->n;
    *found = false;
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        int c = qd_str_cmp(d->at[mid].name, name);
        if (c == 0) return *found = true, mid;
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static int put(qd_arena *a, runtime_defs *into, const runtime_def *d)
{
    bool found;
    uint32_t at = place_of(into, d->name, &found);
    if (found) {
        into->at[at] = *d;
        return 0;
    }
    if ((into->n & (into->n + 1)) == 0) { /* room for one less than a power of two */
        runtime_def *more = qd_arena_alloc(a, (2ul * into->n + 1) * sizeof *more);
        if (!more) return QD_E_NOMEM;
        if (into->n) memcpy(more, into->at, into->n * sizeof *more);
        into->at = more;
    }
    memmove(into->at + at + 1, into->at + at, (into->n - at) * sizeof *into->at);
    into->at[at] = *d;
    into->n++;
    return 0;
}

int qdi_runtime_read(const qdi_type_source *from, qd_arena *a, const qd_json_node *n,
                     runtime_defs *out, qd_err *err)
{
    if (n->type == QD_JSON_T_ARRAY && !n->n) return 0; /* PHP writes an empty map so */
    if (n->type != QD_JSON_T_OBJECT)
        return qd_err_set(err, QD_E_ES_PARSE, "runtime must be a map type");
    if (n->n > QDI_RUNTIME_MAX)
        return qd_err_set(err, QD_E_ARG, "a mapping has at most %u runtime fields",
                          QDI_RUNTIME_MAX);
    for (const qd_json_node *c = n->first; c; c = c->next) {
        runtime_def d = {.name = c->key};
        if (!qd_str_trim(c->key).n)
            return qd_err_set(err, QD_E_ARG, "field name cannot be an empty string");
        if (qd_mapping_is_metadata(c->key))
            return qd_err_set(err, QD_E_MAPPER_PARSING, "Field [%.*s] is defined more than once",
                              QD_STR_ARG(c->key));
        int rc = read_one(from, a, c, &d, err);
        if (!rc && put(a, out, &d)) rc = qd_err_nomem(err, "mapping");
        if (rc) return rc;
    }
    return 0;
}

int qdi_runtime_merge(qd_arena *a, runtime_defs *into, const runtime_defs *from)
{
    for (uint32_t i = 0; i < from->n; i++) {
        bool found;
        if (from->at[i].json.p) {
            if (put(a, into, &from->at[i])) return QD_E_NOMEM;
            continue;
        }
        uint32_t at = place_of(into, from->at[i].name, &found);
        if (!found) continue;
        /* the array has a new place: the room of one that grows goes by how many there are */
        runtime_defs left = {0};
        for (uint32_t k = 0; k < into->n; k++)
            if (k != at && put(a, &left, &into->at[k])) return QD_E_NOMEM;
        *into = left;
    }
    return 0;
}

int qdi_runtime_check(const runtime_defs *d, qd_err *err)
{
    for (uint32_t i = 0; i < d->n; i++)
        if (!d->at[i].json.p)
            return qd_err_set(err, QD_E_MAPPER_PARSING,
                              "Runtime field [%.*s] was set to null but its removal is not "
                              "supported in this context",
                              QD_STR_ARG(d->at[i].name));
    return 0;
}

void qdi_runtime_write(const runtime_defs *d, qd_json_writer *w)
{
    if (!d->n) return;
    qd_json_key_c(w, "runtime");
    qd_json_object(w);
    for (uint32_t i = 0; i < d->n; i++) {
        qd_json_key(w, d->at[i].name);
        qd_json_raw_value(w, d->at[i].json);
    }
    qd_json_object_end(w);
}

void qdi_runtime_dynamic(const char *kind, const qd_date_format *format, qd_buf *out)
{
    qd_json_writer w;
    qd_json_writer_init(&w, out, false);
    qd_json_object(&w);
    qd_json_field_c(&w, "type", strcmp(kind, "string") == 0 ? "keyword" : kind);
    if (format && format != qd_date_format_default())
        qd_json_field_str(&w, "format", qd_date_format_pattern(format));
    qd_json_object_end(&w);
}

/* --- compiled --------------------------------------------------------------------------------- */

static int add_field(qd_mapping *m, qd_field *f, qd_err *err)
{
    uint32_t at = m->nruntime_fields;
    while (at && qd_str_cmp(m->runtime_fields[at - 1]->shown, f->shown) > 0) {
        m->runtime_fields[at] = m->runtime_fields[at - 1];
        at--;
    }
    if (at && qd_str_eq(m->runtime_fields[at - 1]->shown, f->shown))
        return qd_err_set(err, QD_E_MAPPER_PARSING,
                          "Found two runtime fields with same name [%.*s]", QD_STR_ARG(f->shown));
    m->runtime_fields[at] = f;
    m->nruntime_fields++;
    return 0;
}

static int compile_one(struct compiler *c, qd_mapping *m, const runtime_def *d, qd_runtime_field *f,
                       qd_err *err)
{
    *f = (qd_runtime_field){
        .name = d->name, .script = d->script, .composite = d->composite, .goes_on = d->goes_on};
    f->fields = qd_arena_calloc(&m->arena, (d->n + 1ul) * sizeof(qd_field *));
    if (!f->fields) return qd_err_nomem(err, "mapping");
    for (uint32_t i = 0; i < d->n; i++) {
        qd_str name = d->name;
        if (d->composite)
            name = qd_arena_printf(&m->arena, "%.*s.%.*s", QD_STR_ARG(d->name),
                                   QD_STR_ARG(d->fields[i]->name));
        if (!name.p) return qd_err_nomem(err, "mapping");
        int rc = qdi_runtime_field(c, d->fields[i], name, f, &f->fields[f->n], err);
        if (!rc) rc = add_field(m, f->fields[f->n++], err);
        if (rc) return rc;
    }
    return 0;
}

int qdi_runtime_compile(struct compiler *c, qd_mapping *m, qd_err *err)
{
    const runtime_defs *d = &m->def->runtime;
    uint32_t fields = 0;
    if (!d->n) return 0;
    for (uint32_t i = 0; i < d->n; i++) fields += d->at[i].n;
    m->runtime = qd_arena_calloc(&m->arena, d->n * sizeof(qd_runtime_field *));
    m->runtime_fields = qd_arena_calloc(&m->arena, (fields + 1ul) * sizeof(qd_field *));
    qd_runtime_field *at = qd_arena_calloc(&m->arena, d->n * sizeof *at);
    if (!m->runtime || !m->runtime_fields || !at) return qd_err_nomem(err, "mapping");
    for (uint32_t i = 0; i < d->n; i++) {
        int rc = compile_one(c, m, &d->at[i], &at[i], err);
        if (rc) return rc;
        m->runtime[m->nruntime++] = &at[i];
    }
    return 0;
}

const qd_field *qdi_runtime_find(const qd_mapping *m, qd_str name)
{
    uint32_t lo = 0, hi = m->nruntime_fields;
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        int c = qd_str_cmp(m->runtime_fields[mid]->shown, name);
        if (c == 0) return m->runtime_fields[mid];
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

uint32_t qd_mapping_runtime(const qd_mapping *m, const qd_runtime_field *const **out)
{
    *out = m->runtime;
    return m->nruntime;
}

uint32_t qd_mapping_runtime_fields(const qd_mapping *m, const qd_field *const **out)
{
    *out = (const qd_field *const *)m->runtime_fields;
    return m->nruntime_fields;
}
