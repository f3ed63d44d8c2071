/* execute.c: POST /_scripts/painless/_execute: a script is tried out. */
#include "action/script/script_int.h"
#include "script/object.h"

/* What the request says. */
typedef struct trial {
    qd_script_context context;
    const qd_json_node *script, *index, *document;
    const qd_mapping *mapping;
    qd_sv doc; /* the document, as values */
    qd_arena *arena;
    qd_sv emitted; /* of the contexts of fields: a list, or lists by name */
} trial;

/* The values at a path of the document, through lists and names with dots. */
static int collect(const qd_sv *at, qd_str path, qd_sv_list *to, qd_arena *a, int depth)
{
    int rc = 0;
    if (depth > QD_SV_DEPTH) return 0;
    if (at->tag == QD_SV_LIST) {
        for (uint32_t i = 0; i < at->list->n && !rc; i++)
            rc = collect(&at->list->v[i], path, to, a, depth + 1);
        return rc;
    }
    if (at->tag != QD_SV_MAP) return path.n || !at->tag ? 0 : qd_sv_list_add(a, to, *at);
    for (uint32_t i = 0; i < at->map->n && path.n && !rc; i++) {
        qd_str key = qd_sv_text(&at->map->e[i].key);
        if (!qd_str_starts(path, key)) continue;
        if (key.n == path.n)
            rc = collect(&at->map->e[i].value, (qd_str){"", 0}, to, a, depth + 1);
        else if (path.p[key.n] == '.')
            rc = collect(&at->map->e[i].value, qd_str_sub(path, key.n + 1, path.n), to, a,
                         depth + 1);
    }
    return rc;
}

/* A value of the document as doc values of its field are. */
static int typed(const qd_field *f, qd_arena *a, qd_sv *v, qd_err *err)
{
    char room[QD_SV_PRINT];
    qd_str text = qd_sv_print(v, room);
    if (f->dates) {
        int64_t ms;
        int rc = qd_date_parse(f->format ? f->format : qd_date_format_default(), text, NULL, false,
                               &ms, err);
        qd_sv_time *t = rc ? NULL : qd_arena_calloc(a, sizeof *t);
        if (!t) return rc ? rc : qd_err_nomem(err, "a date");
        t->ms = ms;
        *v = (qd_sv){.tag = QD_SV_DATE, .object = t};
        return 0;
    }
    double number;
    switch (f->value_class) {
    case QD_VALUE_BOOL:
        *v = qd_sv_bool(qd_str_is(text, "true"));
        return 0;
    case QD_VALUE_I64:
        if (v->tag == QD_SV_LONG && f->number == QD_NUMBER_INTEGER) return 0;
        if (qd_f64_parse_java(text, &number))
            return qd_err_set(err, QD_E_ARG, "failed to parse field [%.*s] of type [%s]",
                              QD_STR_ARG(f->name), qd_field_type_name(f));
        *v = f->number == QD_NUMBER_INTEGER && number > -9e18 && number < 9e18
                 ? qd_sv_long((int64_t)number)
                 : qd_sv_double(number);
        return 0;
    case QD_VALUE_GEO:
        return qd_err_set(err, QD_E_ARG,
                          "the field [%.*s] of type [%s] is not supported in _execute",
                          QD_STR_ARG(f->name), qd_field_type_name(f));
    default:
        return qd_sv_str_copy(a, text, v) ? qd_err_nomem(err, "a value") : 0;
    }
}

static int values_of(void *self, int slot, qd_str name, qd_script_values *out, qd_err *err)
{
    trial *t = self;
    const qd_field *f = qd_mapping_field(t->mapping, name);
    qd_sv list;
    (void)slot;
    if (!f)
        return qd_err_set(err, QD_E_ARG, "No field found for [%.*s] in mapping", QD_STR_ARG(name));
    if (!f->doc_values)
        return qd_err_set(err, QD_E_ARG, "the field [%.*s] of type [%s] has no doc values",
                          QD_STR_ARG(name), qd_field_type_name(f));
    if (qd_sv_list_make(t->arena, 0, &list) ||
        collect(&t->doc, qd_field_source(f), list.list, t->arena, 0))
        return qd_err_nomem(err, "values for a script");
    int rc = 0;
    for (uint32_t i = 0; i < list.list->n && !rc; i++)
        rc = typed(f, t->arena, &list.list->v[i], err);
    *out = (qd_script_values){.n = list.list->n, .v = list.list->v};
    return rc;
}

static bool has(void *self, qd_str name)
{
    const trial *t = self;
    return qd_mapping_field(t->mapping, name) != NULL;
}

/* --- what scripts of runtime fields emit ------------------------------------------------------ */

#define EMITTED_MAX 10000u

/* A point as GeoJSON. */
static int point_of(qd_arena *a, const qd_sv *v, qd_sv *out)
{
    qd_sv at;
    int rc = qd_sv_map_make(a, out);
    if (!rc) rc = qd_sv_list_make(a, 2, &at);
    if (!rc) rc = qd_sv_list_add(a, at.list, v[1]);
    if (!rc) rc = qd_sv_list_add(a, at.list, v[0]);
    if (!rc) rc = qd_sv_map_put(a, out->map, QD_STR("coordinates"), at);
    return rc ? rc : qd_sv_map_put(a, out->map, QD_STR("type"), qd_sv_str(QD_STR("Point")));
}

static int emit_to(trial *t, qd_sv *list, qd_sv v, qd_err *err)
{
    if (list->list->n >= EMITTED_MAX)
        return qd_err_set(err, QD_E_ARG, "the script emits more than %u values", EMITTED_MAX);
    int rc = qd_sv_list_add(t->arena, list->list, v);
    return rc ? qd_err_nomem(err, "values of a script") : 0;
}

static int emit_named(trial *t, const qd_sv *name, const qd_sv *v, qd_err *err)
{
    qd_sv key, list, *had;
    if (name->tag != QD_SV_STRING) return 0;
    if (!(had = qd_sv_map_at(t->emitted.map, name))) {
        if (qd_sv_str_copy(t->arena, qd_sv_text(name), &key) ||
            qd_sv_list_make(t->arena, 1, &list) ||
            qd_sv_map_set(t->arena, t->emitted.map, key, list))
            return qd_err_nomem(err, "values of a script");
        had = qd_sv_map_at(t->emitted.map, name);
    }
    qd_sv copy;
    if (qd_sv_copy(t->arena, v, &copy)) return qd_err_nomem(err, "values of a script");
    return emit_to(t, had, copy, err);
}

static int emit(void *self, const qd_sv *v, uint32_t n, qd_err *err)
{
    trial *t = self;
    qd_sv shown;
    char text[128];
    int rc = 0;
    if (t->context == QD_SCRIPT_COMPOSITE_FIELD) {
        if (n == 2) return emit_named(t, v, &v[1], err);
        for (uint32_t i = 0; v->tag == QD_SV_MAP && i < v->map->n && !rc; i++)
            rc = emit_named(t, &v->map->e[i].key, &v->map->e[i].value, err);
        return rc;
    }
    if (t->context == QD_SCRIPT_GEO_POINT_FIELD)
        rc = point_of(t->arena, v, &shown);
    else if (t->context == QD_SCRIPT_DATE_FIELD)
        rc = qd_sv_str_copy(
            t->arena, (qd_str){text, qd_date_print(qd_date_format_default(), v->i, NULL, text)},
            &shown);
    else
        rc = qd_sv_copy(t->arena, v, &shown);
    return rc ? qd_err_nomem(err, "values of a script") : emit_to(t, &t->emitted, shown, err);
}

static bool emits(const trial *t)
{
    return qd_script_context_get(t->context)->emit != QD_SV_NULL;
}

static int read_setup(const qd_json_node *n, trial *t, qd_err *err)
{
    for (const qd_json_node *m = n->first; m; m = m->next) {
        const qd_json_node *first = m->type == QD_JSON_T_OBJECT ? m->first : NULL;
        if (qd_str_is(m->key, "index"))
            t->index = m;
        else if (qd_str_is(m->key, "document"))
            t->document = m;
        else if (!qd_str_is(m->key, "query"))
            return qd_err_set(err, QD_E_XCONTENT, "[execute_script_context] unknown field [%.*s]",
                              QD_STR_ARG(m->key));
        else if (!first || !qd_str_is(first->key, "match_all"))
            return qd_err_set(err, QD_E_ARG,
                              "[query] of [context_setup] supports [match_all] alone in this "
                              "version");
    }
    return 0;
}

static int read_body(const qd_request *q, trial *t, qd_err *err)
{
    static const qd_script_context known[] = {
        QD_SCRIPT_TEST,       QD_SCRIPT_FILTER,        QD_SCRIPT_SCORE,
        QD_SCRIPT_FIELD,      QD_SCRIPT_BOOLEAN_FIELD, QD_SCRIPT_COMPOSITE_FIELD,
        QD_SCRIPT_DATE_FIELD, QD_SCRIPT_DOUBLE_FIELD,  QD_SCRIPT_GEO_POINT_FIELD,
        QD_SCRIPT_IP_FIELD,   QD_SCRIPT_KEYWORD_FIELD, QD_SCRIPT_LONG_FIELD};
    qd_json_node *root;
    int rc = qd_json_parse(q->arena, q->body, 0, &root, err);
    if (rc) return rc;
    if (root->type != QD_JSON_T_OBJECT)
        return qd_err_set(err, QD_E_PARSE, "Expected START_OBJECT but was: %s",
                          qd_json_type_token(root->type));
    for (const qd_json_node *m = root->first; m && !rc; m = m->next) {
        if (qd_str_is(m->key, "script"))
            t->script = m;
        else if (qd_str_is(m->key, "context_setup"))
            rc = read_setup(m, t, err);
        else if (qd_str_is(m->key, "context")) {
            bool found = false;
            for (size_t i = 0; i < QD_COUNT_OF(known); i++)
                if (qd_str_is(qd_json_text(m), qd_script_context_get(known[i])->name)) {
                    t->context = known[i];
                    found = true;
                }
            if (!found)
                rc = qd_err_set(err, QD_E_ARG, "unsupported script context name [%.*s]",
                                QD_STR_ARG(qd_json_text(m)));
        } else
            rc = qd_err_set(err, QD_E_XCONTENT, "[painless_execute_request] unknown field [%.*s]",
                            QD_STR_ARG(m->key));
    }
    if (!rc && !t->script) rc = qd_err_set(err, QD_E_ARG, "Required [script]");
    if (!rc && t->context != QD_SCRIPT_TEST && (!t->index || !t->document))
        rc = qd_err_set(err, QD_E_VALIDATION,
                        "Validation Failed: 1: index and document are required for the script "
                        "context [%s];",
                        qd_script_context_get(t->context)->name);
    return rc;
}

/* The document and the mapping that its fields have. */
static int set_up(const qd_state *s, trial *t, qd_script_exec *x, qd_err *err)
{
    const qd_index_meta *m;
    qd_str routing;
    if (t->context == QD_SCRIPT_TEST) return 0;
    int rc = qd_state_write_index(s, qd_json_text(t->index), &m, &routing, err);
    if (!rc) rc = qd_sv_parse(t->arena, t->document->raw, &t->doc, err);
    if (rc) return rc;
    t->mapping = m->mapping;
    x->host = (qd_script_host){.values = values_of, .has = has, .emit = emit, .self = t};
    qd_sv *params = &x->vars[QD_SCRIPT_V_PARAMS];
    bool composite = t->context == QD_SCRIPT_COMPOSITE_FIELD;
    if (emits(t) && (composite ? qd_sv_map_make(t->arena, &t->emitted)
                               : qd_sv_list_make(t->arena, 4, &t->emitted)))
        return qd_err_nomem(err, "values of a script");
    if (params->tag == QD_SV_MAP && qd_sv_map_put(t->arena, params->map, QD_STR("_source"), t->doc))
        return qd_err_nomem(err, "params of a script");
    x->vars[QD_SCRIPT_V_SCORE] = qd_sv_double(1); /* of match_all */
    return 0;
}

/* A test shows the value's text, as Java's String.valueOf gives it; the others show the value. */
static int answer(const trial *t, const qd_sv *v, qd_response *r, qd_err *err)
{
    qd_buf b;
    qd_json_writer w;
    int rc = 0;
    qd_buf_init(&b, t->arena->account, 16u << 20);
    qd_json_writer_init(&w, &b, false);
    bool list = v->tag == QD_SV_LIST || v->tag == QD_SV_ARRAY || v->tag == QD_SV_SET;
    if (t->context == QD_SCRIPT_TEST)
        qd_sv_append(v, &b);
    else {
        if (t->context == QD_SCRIPT_FIELD && !list) qd_json_array(&w);
        rc = qd_sv_write(v, &w, err);
        if (!rc && t->context == QD_SCRIPT_FIELD && !list) qd_json_array_end(&w);
    }
    if (!rc && qd_buf_status(&b)) rc = qd_err_nomem(err, "the result of a script");
    if (!rc) {
        qd_json_object(&r->w);
        qd_json_key_c(&r->w, "result");
        if (t->context == QD_SCRIPT_TEST)
            qd_json_str(&r->w, qd_buf_view(&b));
        else
            qd_json_raw_value(&r->w, qd_buf_view(&b));
        qd_json_object_end(&r->w);
    }
    qd_buf_fini(&b);
    return rc;
}

int qdi_api_scripts_painless_execute(qd_request *q, qd_response *r, qd_err *err)
{
    trial t = {.context = QD_SCRIPT_TEST, .arena = q->arena};
    qd_script_ref ref;
    qd_script *script = NULL;
    qd_script_exec x;
    qd_sv v;
    int rc = read_body(q, &t, err);
    if (rc) return rc;
    qd_state *s = qd_cluster_state(q->a->cluster); /* kept: the mapping is its */
    rc = qdi_script_of(s, t.script, t.context, &ref, &script, err);
    if (!rc) {
        qd_script_exec_open(&x, script, q->a->account);
        x.now_ms = qd_env_wall_ms(q->a->env);
        rc = qdi_script_params(&x, &ref, err);
        if (!rc) rc = set_up(s, &t, &x, err);
        if (!rc) rc = qd_script_run(&x, &v, err);
        if (!rc) rc = answer(&t, emits(&t) ? &t.emitted : &v, r, err);
        qd_script_exec_close(&x);
    }
    qd_script_put(script);
    qd_state_unref(s);
    return rc;
}
