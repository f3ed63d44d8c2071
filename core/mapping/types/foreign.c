/*
 * foreign.c: types of fields that plugins bring (sdk field.h), as rows like our own.
 *
 * A row is made in the arena of each mapping that names the type. Queries, sorting and rendering
 * are those of the class of its values: of long, double or keyword; a type with an index part alone
 * has none of them. Where no plugin provides a type, a stored mapping gets a row that stands in for
 * it: it keeps the definition as it was given, and fails documents with the reason.
 *
 * A plugin's parse may never return (plugin/guest.h): it reads a copy of the value's text and fills
 * a list of the call's own.
 */
#include "mapping/doc_int.h"
#include "mapping/mapping_int.h"
#include "mapping/types/foreign_int.h"
#include "plugin/guest.h"
#include <math.h>
#include <stdio.h>

#define VALUES_MAX 65536u /* of one call of parse */
#define TERM_MAX 32766u

/* --- parameters ------------------------------------------------------------------------------- */

static const param_row common[] = {
    {"ignore_malformed", PARAM_IGNORE_MALFORMED, KIND_EXPLICIT_BOOL, UPDATE_FREE, "false"},
    {"meta", PARAM_OTHER, KIND_META, UPDATE_FREE, NULL},
};
static const param_row searched[] = {
    {"index", PARAM_INDEX, KIND_BOOL, UPDATE_NEVER, "true"},
    {"doc_values", PARAM_DOC_VALUES, KIND_BOOL, UPDATE_NEVER, "true"},
};

static const qd_field_param *param_at(const qd_field_vtable *vt, uint32_t i)
{
    const char *p = (const char *)vt->params + (size_t)i * vt->param_size;
    return (const qd_field_param *)(const void *)p;
}

static uint32_t count_params(const qd_field_vtable *vt)
{
    uint32_t n = 0;
    if (!vt->params || vt->param_size < sizeof(qd_field_param)) return 0;
    while (n < 64 && param_at(vt, n)->name) n++;
    return n;
}

static uint8_t kind_of(uint32_t type)
{
    switch (type) {
    case QD_FIELD_PARAM_BOOL:
        return KIND_BOOL;
    case QD_FIELD_PARAM_INT:
        return KIND_INT;
    case QD_FIELD_PARAM_FLOAT:
        return KIND_DOUBLE;
    default:
        return KIND_STRING;
    }
}

static bool has_columns(const qd_field_vtable *vt)
{
    return (vt->head.flags & (QD_FIELD_I64 | QD_FIELD_F64 | QD_FIELD_TERMS)) != 0;
}

static int fill_params(struct qdi_foreign *x, qd_arena *a, qd_err *err)
{
    uint32_t own = count_params(x->vt), n = 0;
    param_row *rows =
        qd_arena_calloc(a, (own + QD_COUNT_OF(common) + QD_COUNT_OF(searched)) * sizeof *rows);
    if (!rows) return qd_err_nomem(err, "mapping");
    for (size_t i = 0; i < QD_COUNT_OF(common); i++) rows[n++] = common[i];
    for (size_t i = 0; has_columns(x->vt) && i < QD_COUNT_OF(searched); i++)
        rows[n++] = searched[i];
    x->first = n;
    for (uint32_t i = 0; i < own; i++) {
        const qd_field_param *p = param_at(x->vt, i);
        rows[n++] =
            (param_row){p->name, PARAM_OTHER, kind_of(p->type),
                        p->flags & QD_FIELD_PARAM_UPDATE ? UPDATE_FREE : UPDATE_NEVER, p->value};
    }
    x->row.params = rows;
    x->row.nparams = n;
    return 0;
}

/* The names of "a|b|c". */
static bool among(const char *values, qd_str text)
{
    qd_str rest = qd_str_c(values);
    while (rest.p)
        if (qd_str_eq(qd_str_split(&rest, '|'), text)) return true;
    return false;
}

static int one_value(const qd_field *f, const qd_field_param *p, const param_value *v,
                     qd_field_value *out, qd_err *err)
{
    qd_str json = v->json.p ? v->json : p->value ? qd_str_c(p->value) : (qd_str){NULL, 0};
    *out = (qd_field_value){.given = v->json.p != NULL};
    if (!json.p) {
        if (!(p->flags & QD_FIELD_PARAM_REQUIRED)) return 0;
        return qd_err_set(err, QD_E_MAPPER_PARSING,
                          "Missing required parameter [%s] for field [%.*s] of type [%s]", p->name,
                          QD_STR_ARG(f->name), f->type->name);
    }
    bool quoted = json.n >= 2 && json.p[0] == '"';
    out->text = v->json.p && v->text.p && p->type == QD_FIELD_PARAM_STRING ? v->text
                : quoted ? qd_str_sub(json, 1, json.n - 2)
                         : json;
    if (p->type == QD_FIELD_PARAM_BOOL) out->i64 = qd_str_is(out->text, "true");
    if (p->type == QD_FIELD_PARAM_INT && qd_str_i64(out->text, &out->i64))
        out->f64 = (double)out->i64;
    if (p->type == QD_FIELD_PARAM_FLOAT) (void)!qd_f64_parse(out->text, &out->f64);
    if (p->type == QD_FIELD_PARAM_INT && (p->min || p->max) &&
        (out->i64 < p->min || out->i64 > p->max))
        return qd_err_set(err, QD_E_MAPPER_PARSING,
                          "[%s] on mapper [%.*s] of type [%s] must be between %lld and %lld, got "
                          "[%.*s]",
                          p->name, QD_STR_ARG(f->name), f->type->name, (long long)p->min,
                          (long long)p->max, QD_STR_ARG(out->text));
    if (p->type == QD_FIELD_PARAM_STRING && p->values && !among(p->values, out->text))
        return qd_err_set(err, QD_E_MAPPER_PARSING,
                          "Unknown value [%.*s] for field [%s] on mapper [%.*s] of type [%s] - "
                          "accepted values are [%s]",
                          QD_STR_ARG(out->text), p->name, QD_STR_ARG(f->name), f->type->name,
                          p->values);
    return 0;
}

/* A call of check with copies of all that it is given; of its caller, and of a call that is left,
 * alone. */
typedef struct check_call {
    qd_guest_call call; /* first */
    const qd_field_vtable *vt;
    qd_arena arena;
    qd_field_conf conf;
    qd_err err;
} check_call;

static void check_free(check_call *c)
{
    qd_arena_fini(&c->arena);
    qd_err_fini(&c->err);
    qd_free(c);
}

static void check_left(qd_guest_call *call)
{
    check_free((check_call *)(void *)call);
}

/* [guest] */
static int32_t run_check(qd_guest_call *call)
{
    check_call *c = (check_call *)(void *)call;
    return c->vt->check(&c->conf, &c->err);
}

static int copy_conf(check_call *c, const qd_field_conf *from)
{
    qd_field_value *values = qd_arena_calloc(&c->arena, (from->nvalues + 1) * sizeof *values);
    c->conf = *from;
    c->conf.name = qd_arena_str(&c->arena, from->name);
    c->conf.values = values;
    if (!values || !c->conf.name.p) return QD_E_NOMEM;
    for (uint32_t i = 0; i < from->nvalues; i++) {
        values[i] = from->values[i];
        if (!values[i].text.p) continue;
        values[i].text = qd_arena_str(&c->arena, values[i].text);
        if (!values[i].text.p) return QD_E_NOMEM;
    }
    return 0;
}

static check_call *check_make(const qd_field *f, const qd_field_conf *conf)
{
    const struct qdi_foreign *x = f->type->own;
    qd_account *account = qd_plugin_self_account(x->part.self);
    check_call *c = qd_calloc(account, sizeof *c);
    if (!c) return NULL;
    c->call = (qd_guest_call){.run = run_check,
                              .left = check_left,
                              .self = x->part.self,
                              .kind = "field type",
                              .what = "check",
                              .placed = "field"};
    snprintf(c->call.name, sizeof c->call.name, "%s", f->type->name);
    snprintf(c->call.place, sizeof c->call.place, "[%.*s]", QD_STR_ARG(f->name));
    c->vt = x->vt;
    qd_arena_init(&c->arena, account, 0);
    qd_err_init(&c->err);
    if (copy_conf(c, conf) == 0) return c;
    check_free(c);
    return NULL;
}

static int run_guest(check_call *c, bool *ran, qd_err *err)
{
    int rc = qd_guest_run(qd_plugin_guests(c->call.self), &c->call, NULL, ran, err);
    if (rc) {
        if (!*ran) check_free(c);
        return rc;
    }
    if (c->call.rc) rc = qd_guest_failed(&c->call, &c->err, err);
    *ran = false; /* it has come back */
    check_free(c);
    return rc;
}

/* Of a stored mapping that cannot be checked now nothing is lost: its field is unusable here. */
static int check(field_builder *b, qd_field *f, const qd_field_conf *conf, qd_err *err)
{
    const struct qdi_foreign *x = f->type->own;
    bool left = false;
    qd_err why;
    check_call *c = check_make(f, conf);
    if (!c) return qd_err_nomem(err, "mapping");
    qd_err_init(&why);
    int rc = run_guest(c, &left, &why);
    if (rc && x->stored && (left || rc == QD_E_REJECTED)) {
        f->unusable = qd_arena_printf(b->arena, "%s", qd_err_reason(&why)).p;
        rc = f->unusable ? 0 : qd_err_nomem(err, "mapping");
    } else if (rc && err) {
        qd_err_move(err, &why);
    }
    qd_err_fini(&why);
    return rc;
}

static int finish(field_builder *b, qd_field *f, qd_err *err)
{
    const struct qdi_foreign *x = f->type->own;
    f->unusable = x->why;
    if (!x->vt) return 0;
    if (f->def->nmulti || f->def->ncopy_to)
        return qd_err_set(err, QD_E_MAPPER_PARSING,
                          "field [%.*s] of type [%s] supports neither [fields] nor [copy_to]",
                          QD_STR_ARG(f->name), f->type->name);
    uint32_t n = f->type->nparams - x->first;
    qd_field_conf *c = qd_arena_calloc(b->arena, sizeof *c);
    qd_field_value *values = qd_arena_calloc(b->arena, (n + 1) * sizeof *values);
    if (!c || !values) return qd_err_nomem(err, "mapping");
    for (uint32_t i = 0; i < n; i++) {
        int rc = one_value(f, param_at(x->vt, i), &f->def->params[x->first + i], &values[i], err);
        if (rc) return rc;
    }
    *c = (qd_field_conf){.struct_size = sizeof *c,
                         .nvalues = n,
                         .self = x->part.self,
                         .name = f->name,
                         .values = values};
    f->conf = c;
    if (x->part.vt) f->part = &x->part;
    f->has_points = f->indexed && f->value_class == QD_VALUE_I64;
    return check(b, f, c, err);
}

/* --- values of documents ---------------------------------------------------------------------- */

/* A call of parse with all that it is given; of its caller, and of a call that is left, alone. */
typedef struct parse_call {
    qd_guest_call call; /* first */
    const qd_field_vtable *vt;
    const qd_field_conf *conf;
    qd_mapping *mapping; /* conf's; a reference */
    qd_arena arena;
    qd_json_reader reader;
    qd_field_sink sink;
    QD_VEC(int64_t) numbers;
    QD_VEC(qd_str) terms;
    qd_str part; /* p NULL: none */
    qd_err err;
} parse_call;

static parse_call *call_of(const qd_field_sink *s)
{
    return s->host;
}

static int32_t misplaced(const parse_call *c, const char *what, qd_err *err)
{
    return qd_err_set(err, QD_E_PLUGIN, "type [%s] gave %s that its flags do not announce",
                      c->call.name, what);
}

static int32_t sink_number(parse_call *c, uint64_t flag, int64_t v, qd_err *err)
{
    if (!(c->vt->head.flags & flag)) return misplaced(c, "a number", err);
    if (c->numbers.n >= VALUES_MAX)
        return qd_err_set(err, QD_E_LIMIT, "a field has at most %u values", VALUES_MAX);
    return qd_vec_push(&c->numbers, c->arena.account, v) ? qd_err_nomem(err, "values") : 0;
}

static int32_t sink_i64(const qd_field_sink *s, int64_t v, qd_err *err)
{
    return sink_number(call_of(s), QD_FIELD_I64, v, err);
}

static int32_t sink_f64(const qd_field_sink *s, double v, qd_err *err)
{
    if (!isfinite(v)) return qd_err_set(err, QD_E_ARG, "a value must be a finite number");
    return sink_number(call_of(s), QD_FIELD_F64, qd_f64_encode(v), err);
}

static int32_t sink_term(const qd_field_sink *s, qd_str v, qd_err *err)
{
    parse_call *c = call_of(s);
    if (!(c->vt->head.flags & QD_FIELD_TERMS)) return misplaced(c, "a term", err);
    if (v.n > TERM_MAX) return qd_err_set(err, QD_E_ARG, "a term has at most %u bytes", TERM_MAX);
    if (c->terms.n >= VALUES_MAX)
        return qd_err_set(err, QD_E_LIMIT, "a field has at most %u values", VALUES_MAX);
    qd_str copy = qd_arena_str(&c->arena, v);
    if (!copy.p || qd_vec_push(&c->terms, c->arena.account, copy))
        return qd_err_nomem(err, "values");
    return 0;
}

static int32_t sink_part(const qd_field_sink *s, qd_str v, qd_err *err)
{
    parse_call *c = call_of(s);
    if (!(c->vt->head.flags & QD_FIELD_PART)) return misplaced(c, "a value of a part", err);
    if (c->part.p) return qd_err_set(err, QD_E_ARG, "a document has at most one value here");
    if (v.n > QD_PART_VALUE_MAX)
        return qd_err_set(err, QD_E_LIMIT, "a value has at most %d bytes", QD_PART_VALUE_MAX);
    c->part = qd_arena_str(&c->arena, v);
    return c->part.p ? 0 : qd_err_nomem(err, "values");
}

static void call_free(parse_call *c)
{
    qd_json_reader_fini(&c->reader);
    qd_vec_fini(&c->numbers);
    qd_vec_fini(&c->terms);
    qd_arena_fini(&c->arena);
    qd_err_fini(&c->err);
    qd_mapping_unref(c->mapping);
    qd_free(c);
}

static void call_left(qd_guest_call *call)
{
    call_free((parse_call *)(void *)call);
}

/* [guest] */
static int32_t run_parse(qd_guest_call *call)
{
    parse_call *c = (parse_call *)(void *)call;
    return c->vt->parse(c->conf, (qd_json_in *)(void *)&c->reader, &c->sink, &c->err);
}

static parse_call *call_make(const doc *d, const qd_field *f, qd_str raw, qd_err *err)
{
    const struct qdi_foreign *x = f->type->own;
    qd_account *account = qd_plugin_self_account(x->part.self);
    parse_call *c = qd_calloc(account, sizeof *c);
    if (!c) {
        (void)qd_err_nomem(err, "values of a document");
        return NULL;
    }
    c->call.run = run_parse;
    c->call.left = call_left;
    c->call.self = x->part.self;
    c->call.kind = "field type";
    c->call.what = "parse";
    c->call.placed = "field";
    snprintf(c->call.name, sizeof c->call.name, "%s", f->type->name);
    snprintf(c->call.place, sizeof c->call.place, "[%.*s]", QD_STR_ARG(f->name));
    c->vt = x->vt;
    c->conf = f->conf;
    c->mapping = qd_mapping_ref(d->m);
    qd_arena_init(&c->arena, account ? account : &qd_account_general, 0);
    c->reader = QD_JSON_READER(account ? account : &qd_account_general);
    qd_err_init(&c->err);
    c->sink = (qd_field_sink){.struct_size = sizeof c->sink,
                              .host = c,
                              .i64 = sink_i64,
                              .f64 = sink_f64,
                              .term = sink_term,
                              .part = sink_part};
    qd_str copy = qd_arena_str(&c->arena, raw);
    if (!copy.p) {
        (void)qd_err_nomem(err, "values of a document");
        call_free(c);
        return NULL;
    }
    qd_json_reader_init(&c->reader, copy, QD_JSON_REQUEST, 0);
    return c;
}

/* What parse gave, to the document's list. */
static int take(doc *d, const qd_field *f, const parse_call *c, qd_err *err)
{
    int rc = 0;
    bool kept = f->indexed || f->doc_values;
    for (size_t i = 0; !rc && kept && i < c->numbers.n; i++)
        rc = qdi_doc_i64(d, f, c->numbers.at[i], err);
    for (size_t i = 0; !rc && kept && i < c->terms.n; i++) {
        qd_str copy = qd_arena_str(&d->arena, c->terms.at[i]);
        rc = copy.p ? qdi_doc_str(d, f, copy, err) : qd_err_nomem(err, "values of a document");
    }
    return rc || !c->part.p ? rc : qdi_doc_part(d, f, c->part, err);
}

static int value(doc *d, const qd_field *f, qd_err *err)
{
    const struct qdi_foreign *x = f->type->own;
    qd_json_reader *r = &d->r;
    if (!x->vt) return qd_err_set(err, QD_E_PLUGIN, "%s", x->why);
    /* an error shows the value: the reader goes back to where it begins */
    qd_json_event event = r->event;
    const char *token = r->token, *at = r->at;
    uint32_t depth = r->depth;
    uint8_t state = r->state, after = r->after;
    qd_str text = r->text, raw;
    if (qd_json_raw(r, &raw)) return qd_json_fail(r, err);
    parse_call *c = call_make(d, f, raw, err);
    if (!c) return QD_E_NOMEM;
    bool ran;
    int rc = qd_guest_run(qd_plugin_guests(x->part.self), &c->call, NULL, &ran, err);
    if (rc) {
        if (!ran) call_free(c);
    } else {
        rc = c->call.rc;
        if (rc) rc = qd_guest_failed(&c->call, &c->err, err);
        if (!rc) rc = take(d, f, c, err);
        call_free(c);
    }
    if (!rc || f->ignore_malformed) return rc;
    r->event = event;
    r->token = token;
    r->at = at;
    r->depth = depth;
    r->state = state;
    r->after = after;
    r->text = text;
    return rc;
}

/* --- queries of types without terms and columns ----------------------------------------------- */

static int not_searched(const qd_field *f, qd_err *err)
{
    return qd_err_set(err, QD_E_ARG,
                      "Field [%.*s] of type [%s] does not support term and range queries",
                      QD_STR_ARG(f->name), f->type->name);
}

static int no_term(const qd_field *f, qd_query_value v, const qd_value_ctx *ctx, qd_point *out,
                   qd_err *err)
{
    (void)v;
    (void)ctx;
    (void)out;
    return not_searched(f, err);
}

static int no_range(const qd_field *f, const qd_query_value *lo, bool lo_in,
                    const qd_query_value *hi, bool hi_in, const qd_value_ctx *ctx, qd_point out[2],
                    qd_err *err)
{
    (void)lo;
    (void)lo_in;
    (void)hi;
    (void)hi_in;
    (void)ctx;
    (void)out;
    return not_searched(f, err);
}

static int as_it_is(const qd_field *f, qd_query_value v, const qd_value_ctx *ctx, qd_point *out)
{
    (void)f;
    (void)ctx;
    out->bytes = v.text;
    out->i64 = v.quoted; /* for writing it */
    return 0;
}

static const struct qd_field_type opaque = {
    .value_class = QD_VALUE_OPAQUE, .term = no_term, .range = no_range, .shown = as_it_is};

/* --- rows ------------------------------------------------------------------------------------- */

static const struct qd_field_type *base_of(const qd_field_vtable *vt)
{
    if (!vt) return &opaque;
    if (vt->head.flags & QD_FIELD_I64) return &qdi_type_long;
    if (vt->head.flags & QD_FIELD_F64) return &qdi_type_double;
    return vt->head.flags & QD_FIELD_TERMS ? &qdi_type_keyword : &opaque;
}

/* The definition's own keys are the parameters of a type that stands in. */
static int fill_standin(struct qdi_foreign *x, qd_arena *a, const qd_json_node *n, qd_err *err)
{
    param_row *rows = qd_arena_calloc(a, (n->n + 1) * sizeof *rows);
    if (!rows) return qd_err_nomem(err, "mapping");
    for (const qd_json_node *c = n->first; c; c = c->next) {
        if (qd_str_is(c->key, "type") || qd_str_is(c->key, "fields") ||
            qd_str_is(c->key, "copy_to"))
            continue;
        qd_str name = qd_arena_str(a, c->key);
        if (!name.p) return qd_err_nomem(err, "mapping");
        rows[x->row.nparams++] = (param_row){name.p, PARAM_OTHER, KIND_ANY, UPDATE_FREE, NULL};
    }
    x->row.params = rows;
    return 0;
}

static int why_not(struct qdi_foreign *x, const qdi_type_source *from, qd_arena *a, qd_str field,
                   qd_str type, qd_err *err)
{
    const char *reason = "",
               *refused = from->plugins
                              ? qd_plugin_refused(from->plugins, QD_KIND_FIELD, type, &reason)
                              : NULL;
    qd_str text =
        refused ? qd_arena_printf(a,
                                  "field [%.*s] is of the type [%.*s], which no loaded plugin "
                                  "provides; plugin [%s] was refused: %s",
                                  QD_STR_ARG(field), QD_STR_ARG(type), refused, reason)
                : qd_arena_printf(a,
                                  "field [%.*s] is of the type [%.*s], which no loaded plugin "
                                  "provides",
                                  QD_STR_ARG(field), QD_STR_ARG(type));
    x->why = text.p;
    return text.p ? 0 : qd_err_nomem(err, "mapping");
}

int qdi_foreign_row(const qdi_type_source *from, qd_arena *a, qd_str field, qd_str type,
                    const qd_json_node *n, const struct qd_field_type **out, qd_err *err)
{
    qd_self *self = NULL;
    const qd_field_vtable *vt =
        from->plugins ? qd_plugin_find(from->plugins, QD_KIND_FIELD, type, &self) : NULL;
    *out = NULL;
    if (!vt && !from->stored) return 0;
    struct qdi_foreign *x = qd_arena_calloc(a, sizeof *x);
    qd_str name = qd_arena_str(a, type);
    if (!x || !name.p) return qd_err_nomem(err, "mapping");
    x->vt = vt;
    x->stored = from->stored;
    x->part = (qd_part_type){.name = name, .vt = vt ? vt->part : NULL, .self = self};
    x->row = *base_of(vt);
    x->row.name = name.p;
    x->row.own = x;
    x->row.whole = true;
    x->row.params = NULL;
    x->row.nparams = 0;
    x->row.finish = finish;
    x->row.value = value;
    int rc = vt ? fill_params(x, a, err) : fill_standin(x, a, n, err);
    if (!rc && !vt) rc = why_not(x, from, a, field, type, err);
    if (!rc) *out = &x->row;
    return rc;
}

bool qd_field_part_find(const void *host, qd_str type, qd_part_type *out)
{
    qd_self *self = NULL;
    if (qdi_field_part(type, out)) return true;
    const qd_field_vtable *vt = host ? qd_plugin_find(host, QD_KIND_FIELD, type, &self) : NULL;
    if (!vt || !vt->part) return false;
    *out = (qd_part_type){.name = type, .vt = vt->part, .self = self};
    return true;
}
