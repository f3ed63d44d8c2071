/*
 * function_score_source.c: field_value_factor and the decays gauss, exp and linear as scripts. The
 * field's name stands in the source, numbers in the params.
 */
#include "base/hash.h"
#include "mapping/date_math.h"
#include "query/types/function_score_int.h"
#include <math.h>

static int bad(const qd_json_node *n, const char *where, qd_err *err)
{
    return qd_err_set(err, QD_E_PARSE, "%s query does not support [%.*s]", where,
                      QD_STR_ARG(n->key));
}

static int number(const qd_json_node *n, double *out, qd_err *err)
{
    if (qd_f64_parse_java(qd_json_text(n), out) == 0) return 0;
    return qd_err_set(err, QD_E_NUMBER_FORMAT, "For input string: \"%.*s\"",
                      QD_STR_ARG(qd_json_text(n)));
}

/* doc['name'], the name escaped. */
static void put_doc(qd_buf *to, qd_str name)
{
    (void)qd_buf_c(to, "doc['");
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] == '\'' || name.p[i] == '\\') (void)qd_buf_char(to, '\\');
        (void)qd_buf_char(to, name.p[i]);
    }
    (void)qd_buf_c(to, "']");
}

/* What b holds, as the source; frees b. */
static int take(qdi_builder *b, qd_buf *text, qd_str params, qd_script_given *out, qd_err *err)
{
    qd_str source = qd_arena_str(b->arena, qd_buf_view(text));
    bool failed = qd_buf_status(text) || !source.p || !params.p;
    qd_buf_fini(text);
    if (failed) return qd_err_nomem(err, "query");
    *out = (qd_script_given){.lang = QD_STR("painless"), .source = source, .params = params};
    return 0;
}

static int factor(qdi_builder *b, const qdi_function *f, qd_script_given *out, qd_err *err)
{
    static const char *const modifiers[][2] = {{"none", "v"},
                                               {"log", "Math.log10(v)"},
                                               {"log1p", "Math.log10(v + 1)"},
                                               {"log2p", "Math.log10(v + 2)"},
                                               {"ln", "Math.log(v)"},
                                               {"ln1p", "Math.log(v + 1)"},
                                               {"ln2p", "Math.log(v + 2)"},
                                               {"square", "v * v"},
                                               {"sqrt", "Math.sqrt(v)"},
                                               {"reciprocal", "1.0 / v"}};
    qd_str field = {NULL, 0};
    double by = 1, missing = 0;
    bool has_missing = false;
    size_t m = 0;
    int rc = 0;
    for (const qd_json_node *n = f->body->first; n && !rc; n = n->next) {
        if (qd_str_is(n->key, "field"))
            field = qd_json_text(n);
        else if (qd_str_is(n->key, "factor"))
            rc = number(n, &by, err);
        else if (qd_str_is(n->key, "missing")) {
            has_missing = true;
            rc = number(n, &missing, err);
        } else if (qd_str_is(n->key, "modifier")) {
            for (m = 0; m < QD_COUNT_OF(modifiers); m++)
                if (qd_str_ieq(qd_json_text(n), qd_str_c(modifiers[m][0]))) break;
            if (m == QD_COUNT_OF(modifiers))
                rc = qd_err_set(err, QD_E_ARG,
                                "No enum constant org.elasticsearch.common.lucene.search.function."
                                "FieldValueFactorFunction.Modifier.%.*s",
                                QD_STR_ARG(qd_json_text(n)));
        } else
            rc = bad(n, "field_value_factor", err);
    }
    if (rc) return rc;
    if (!field.n)
        return qd_err_set(err, QD_E_PARSE, "[field_value_factor] required field 'field' missing");
    const qd_field *known = qd_mapping_field(b->c->mapping, field);
    if (!known && !has_missing)
        return qd_err_set(err, QD_E_ARG,
                          "Unable to find a field mapper for field [%.*s]. No 'missing' value "
                          "defined.",
                          QD_STR_ARG(field));
    qd_buf text;
    qd_buf_init(&text, NULL, 1u << 16);
    (void)qd_buf_c(&text, "double v;");
    if (known) {
        (void)qd_buf_c(&text, " def x = ");
        put_doc(&text, field);
        (void)qd_buf_c(&text, "; if (x.size() > 0) { v = x.value } else { ");
    }
    if (has_missing)
        (void)qd_buf_c(&text, "v = params.missing");
    else
        (void)qd_buf_c(&text, "throw new IllegalArgumentException('Missing value for field [' + "
                              "params.field + ']')");
    (void)qd_buf_printf(&text, "%s; v *= params.factor; return %s", known ? " }" : "",
                        modifiers[m][1]);
    char x[QD_F64_TEXT_MAX], y[QD_F64_TEXT_MAX];
    qd_f64_print(x, by);
    qd_f64_print(y, missing);
    qd_buf name;
    qd_buf_init(&name, NULL, 1u << 16);
    qd_json_escape(&name, field);
    qd_str params = qd_arena_printf(b->arena, "{\"factor\":%s,\"missing\":%s,\"field\":\"%.*s\"}",
                                    x, y, QD_STR_ARG(qd_buf_view(&name)));
    qd_buf_fini(&name);
    return take(b, &text, params, out, err);
}

/* "10d" in milliseconds. */
static int span(const qd_json_node *n, double *out, qd_err *err)
{
    static const struct {
        const char *unit;
        double ms;
    } units[] = {{"ms", 1}, {"s", 1e3}, {"m", 6e4}, {"h", 36e5}, {"d", 864e5}};
    qd_str s = qd_json_text(n);
    for (size_t i = 0; i < QD_COUNT_OF(units); i++) {
        qd_str unit = qd_str_c(units[i].unit);
        if (!qd_str_ends(s, unit)) continue;
        if (qd_f64_parse_java(qd_str_sub(s, 0, s.n - unit.n), out)) continue;
        *out *= units[i].ms;
        return 0;
    }
    return qd_err_set(err, QD_E_ARG,
                      "failed to parse setting [DecayFunctionParser] with value [%.*s] as a time "
                      "value: unit is missing or unrecognized",
                      QD_STR_ARG(s));
}

typedef struct decay_given {
    double origin, scale, offset, decay;
    bool has_origin, has_scale;
} decay_given;

static int decay_member(qdi_builder *b, const qd_field *f, const qd_json_node *n, decay_given *d,
                        qd_err *err)
{
    if (qd_str_is(n->key, "decay")) return number(n, &d->decay, err);
    if (qd_str_is(n->key, "scale") || qd_str_is(n->key, "offset")) {
        bool scale = qd_str_is(n->key, "scale");
        d->has_scale |= scale;
        return f->dates ? span(n, scale ? &d->scale : &d->offset, err)
                        : number(n, scale ? &d->scale : &d->offset, err);
    }
    if (!qd_str_is(n->key, "origin")) return bad(n, "decay function", err);
    d->has_origin = true;
    if (!f->dates) return number(n, &d->origin, err);
    int64_t ms = 0;
    int rc = qd_date_math(f->format ? f->format : qd_date_format_default(), qd_json_text(n),
                          b->c->now_ms, false, NULL, &ms, err);
    d->origin = (double)ms;
    return rc;
}

static int decay_check(const decay_given *d, const qd_field *f, qd_err *err)
{
    if (!d->has_scale || (!d->has_origin && !f->dates))
        return qd_err_set(err, QD_E_PARSE,
                          "both [origin] and [scale] must be set for numeric fields.");
    if (!(d->scale > 0)) return qd_err_set(err, QD_E_ARG, "scale must be > 0.0.");
    if (!(d->decay > 0 && d->decay < 1))
        return qd_err_set(err, QD_E_ARG, "decay must be in the range [0..1].");
    if (d->offset < 0) return qd_err_set(err, QD_E_ARG, "offset must be >= 0.0.");
    return 0;
}

static int decay(qdi_builder *b, const qdi_function *f, qd_script_given *out, qd_err *err)
{
    static const char *const ends[] = {"Math.exp(d * d * params.k)", "Math.exp(d * params.k)",
                                       "Math.max(0.0, (params.k - d) / params.k)"};
    /* how several values count: the distances' least, greatest, mean, sum */
    static const char *const modes[][3] = {
        {"min", "best == null || d < best ? d : best", "best"},
        {"max", "best == null || d > best ? d : best", "best"},
        {"avg", "best == null ? d : best + d", "best / x.size()"},
        {"sum", "best == null ? d : best + d", "best"}};
    const qd_json_node *given = NULL;
    size_t m = 0;
    for (const qd_json_node *n = f->body->first; n; n = n->next) {
        if (n->type == QD_JSON_T_OBJECT && !given)
            given = n;
        else if (qd_str_is(n->key, "multi_value_mode")) {
            for (m = 0; m < QD_COUNT_OF(modes); m++)
                if (qd_str_ieq(qd_json_text(n), qd_str_c(modes[m][0]))) break;
            if (m == QD_COUNT_OF(modes))
                return qd_err_set(err, QD_E_ARG, "Illegal sort mode: %.*s",
                                  QD_STR_ARG(qd_json_text(n)));
        } else
            return bad(n, "decay function", err);
    }
    if (!given) return qd_err_set(err, QD_E_PARSE, "a decay function needs a field");
    const qd_field *field = qd_mapping_field(b->c->mapping, given->key);
    if (!field) return qd_err_set(err, QD_E_PARSE, "unknown field [%.*s]", QD_STR_ARG(given->key));
    if (!field->dates && !qd_field_is_numeric(field))
        return qd_err_set(err, QD_E_PARSE,
                          "field [%.*s] is of type [%s], but only numeric types are supported.",
                          QD_STR_ARG(given->key), qd_field_type_name(field));
    decay_given d = {.decay = 0.5, .origin = (double)b->c->now_ms};
    int rc = 0;
    for (const qd_json_node *n = given->first; n && !rc; n = n->next)
        rc = decay_member(b, field, n, &d, err);
    if (!rc) rc = decay_check(&d, field, err);
    if (rc) return rc;
    qdi_function_kind kind = f->kind;
    double k = kind == QDI_FUNCTION_GAUSS ? log(d.decay) / (d.scale * d.scale)
               : kind == QDI_FUNCTION_EXP ? log(d.decay) / d.scale
                                          : d.scale / (1 - d.decay);
    qd_buf text;
    qd_buf_init(&text, NULL, 1u << 16);
    (void)qd_buf_c(&text, "def x = ");
    put_doc(&text, given->key);
    (void)qd_buf_printf(&text,
                        "; if (x.size() == 0) { return 1.0 } def best = null; for (def v : x) { "
                        "double d = Math.max(0.0, Math.abs(%s - params.origin) - params.offset); "
                        "best = %s } double d = %s; return %s",
                        field->dates ? "v.toInstant().toEpochMilli()" : "v", modes[m][1],
                        modes[m][2], ends[kind - QDI_FUNCTION_GAUSS]);
    char t[3][QD_F64_TEXT_MAX];
    qd_f64_print(t[0], d.origin);
    qd_f64_print(t[1], d.offset);
    qd_f64_print(t[2], k);
    qd_str params =
        qd_arena_printf(b->arena, "{\"origin\":%s,\"offset\":%s,\"k\":%s}", t[0], t[1], t[2]);
    return take(b, &text, params, out, err);
}

int qdi_function_source(qdi_builder *b, const qdi_function *f, qd_script_given *out, qd_err *err)
{
    return f->kind == QDI_FUNCTION_FACTOR ? factor(b, f, out, err) : decay(b, f, out, err);
}

int qdi_function_random(qdi_builder *b, const qdi_function *f, qd_score_function *to, qd_err *err)
{
    to->random = true;
    to->seed = (uint64_t)b->c->now_ms;
    for (const qd_json_node *n = f->body->first; n; n = n->next) {
        qd_str text = qd_json_text(n);
        if (qd_str_is(n->key, "seed")) {
            int64_t seed;
            to->seed = qd_str_i64(text, &seed) ? (uint64_t)seed : qd_xxh3(text.p, text.n);
        } else if (qd_str_is(n->key, "field")) {
            if (!qd_str_is(text, "_seq_no"))
                return qd_err_set(err, QD_E_ARG,
                                  "[random_score] supports the field [_seq_no] alone in this "
                                  "version, not [%.*s]",
                                  QD_STR_ARG(text));
            to->by_seq_no = true;
        } else
            return bad(n, "random_score", err);
    }
    return 0;
}
