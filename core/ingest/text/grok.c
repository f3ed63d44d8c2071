/* grok.c: the processor grok: fields from text by patterns. */
#include "ingest/text/grok_args.h"
#include <stdio.h>

typedef struct grokking {
    qdi_path field;
    qd_grok **grok;
    qdi_path *targets; /* of the captures */
    bool ignore_missing, trace;
} grokking;

static int definitions(qdi_build *b, qd_grok_spec *spec, qd_err *err)
{
    const qd_json_node *n = qdi_arg(b, "pattern_definitions");
    if (!n) return 0;
    if (n->type != QD_JSON_T_OBJECT)
        return qdi_arg_fail(b, "pattern_definitions", err, "property isn't a map, but of type [%s]",
                            qdi_node_class(n));
    qd_str *names = qd_arena_alloc(b->a, n->n * sizeof *names + 1),
           *texts = qd_arena_alloc(b->a, n->n * sizeof *texts + 1);
    if (!names || !texts) return qd_err_nomem(err, "processor");
    for (const qd_json_node *c = n->first; c; c = c->next) {
        if (c->type != QD_JSON_T_STRING)
            return qdi_arg_fail(b, "pattern_definitions", err,
                                "property isn't a string, but of type [%s]", qdi_node_class(c));
        names[spec->ndefinitions] = c->key;
        texts[spec->ndefinitions++] = qd_json_text(c);
    }
    spec->names = names;
    spec->definitions = texts;
    return 0;
}

static int invalid(qdi_build *b, const qd_str *patterns, uint32_t n, int rc, qd_err *err)
{
    char why[512], all[400];
    size_t at = 0;
    if (rc == QD_E_NOMEM || rc == QD_E_BREAKER || !err) return rc;
    snprintf(why, sizeof why, "%s", qd_err_reason(err));
    qd_err_fini(err);
    all[0] = 0;
    for (uint32_t k = 0; k < n && at < sizeof all; k++) {
        int more =
            snprintf(all + at, sizeof all - at, "%s%.*s", k ? ", " : "", QD_STR_ARG(patterns[k]));
        at += more > 0 ? (size_t)more : 0;
    }
    return qdi_arg_fail(b, "patterns", err, "Invalid regex pattern found in: [%s]. %s", all, why);
}

int qdi_arg_grok(qdi_build *b, bool each, qd_grok ***out, uint32_t *n, qd_err *err)
{
    qd_grok_spec spec = {0};
    qd_str *patterns, ecs;
    uint32_t npatterns;
    int rc = qdi_arg_strs(b, "patterns", true, false, &patterns, &npatterns, err);
    if (!rc) rc = qdi_arg_str(b, "ecs_compatibility", "disabled", &ecs, err);
    if (!rc) rc = definitions(b, &spec, err);
    if (rc) return rc;
    if (!npatterns) return qdi_arg_fail(b, "patterns", err, "List of patterns must not be empty");
    spec.ecs = qd_str_is(ecs, "v1");
    if (!spec.ecs && !qd_str_is(ecs, "disabled"))
        return qdi_arg_fail(b, "ecs_compatibility", err, "unsupported mode '%.*s'",
                            QD_STR_ARG(ecs));
    *n = each ? npatterns : 1;
    *out = qd_arena_calloc(b->a, *n * sizeof **out);
    if (!*out) return qd_err_nomem(err, "processor");
    for (uint32_t k = 0; k < *n && !rc; k++) {
        spec.patterns = patterns + k;
        spec.npatterns = each ? 1 : npatterns;
        rc = qd_grok_make(b->a, &spec, &(*out)[k], err);
    }
    return rc ? invalid(b, patterns, npatterns, rc, err) : 0;
}

static int make(qdi_build *b, void *config, qd_err *err)
{
    grokking *c = config;
    uint32_t n;
    int rc = qdi_arg_path(b, "field", (qd_str){NULL, 0}, &c->field, err);
    if (!rc) rc = qdi_arg_bool(b, "trace_match", false, &c->trace, err);
    if (!rc) rc = qdi_arg_bool(b, "ignore_missing", false, &c->ignore_missing, err);
    if (!rc) rc = qdi_arg_grok(b, false, &c->grok, &n, err);
    if (rc) return rc;
    n = qd_grok_captures(c->grok[0]);
    c->targets = qd_arena_alloc(b->a, n * sizeof *c->targets + 1);
    if (!c->targets) return qd_err_nomem(err, "processor");
    for (uint32_t k = 0; k < n && !rc; k++)
        rc = qdi_path_make(b->a, qd_grok_capture_name(c->grok[0], k), &c->targets[k], err);
    return rc ? qdi_arg_wrap(b, "patterns", err) : 0;
}

static int no_number(qd_str text, qd_err *err)
{
    return qd_err_set(err, QD_E_NUMBER_FORMAT, "For input string: \"%.*s\"", QD_STR_ARG(text));
}

static int value_of(qd_ingest_run *r, const qd_grok_value *g, qd_iv *out, qd_err *err)
{
    char room[QD_F64_TEXT_MAX];
    int64_t i;
    double d;
    float f;
    size_t n;
    *out = QD_IV_STRING(g->text);
    if (g->type == QD_GROK_TEXT) return 0;
    if (g->type == QD_GROK_BOOLEAN) {
        *out = QD_IV_TRUTH(qd_str_ieq(g->text, QD_STR("true")));
        return 0;
    }
    if (g->type == QD_GROK_INT || g->type == QD_GROK_LONG) {
        if (qd_i64_parse(g->text, &i)) return no_number(g->text, err);
        if (g->type == QD_GROK_INT && (i > INT32_MAX || i < INT32_MIN))
            return no_number(g->text, err);
        *out = QD_IV_INTEGER(i);
        return 0;
    }
    bool single = g->type == QD_GROK_FLOAT;
    if (single ? qd_f32_parse_java(g->text, &f) : qd_f64_parse_java(g->text, &d))
        return no_number(g->text, err);
    n = single ? qd_f32_print(room, f) : qd_f64_print(room, d);
    out->s = qd_arena_str(&r->arena, (qd_str){room, n});
    if (!out->s.p) return qdi_run_nomem(err);
    out->kind = single ? QD_IV_FLOAT : QD_IV_DOUBLE;
    if (room[n - 1] == 'y' || room[n - 1] == 'N') out->kind = QD_IV_STR; /* JSON has none */
    return 0;
}

static int put_index(qd_ingest_run *r, uint32_t pattern, qd_err *err)
{
    qd_str text = qd_arena_printf(&r->arena, "%u", pattern);
    qd_iv *at = qd_iv_put(&r->arena, &r->ingest, QD_STR("_grok_match_index"));
    if (!at || !text.p) return qdi_run_nomem(err);
    *at = QD_IV_STRING(text);
    return 0;
}

static int run(const void *config, qd_ingest_run *r, qd_err *err)
{
    const grokking *c = config;
    qd_str text;
    bool missing;
    qd_grok_match m;
    qd_grok_value g;
    int rc = qdi_path_text(r, &c->field, c->ignore_missing, &text, &missing, err);
    if (rc || missing) return rc;
    int found = qd_grok_find(c->grok[0], &r->regex, text, 0, &m, err);
    if (found < 0) return found;
    if (!found)
        return qd_err_set(err, QD_E_ARG,
                          "Provided Grok expressions do not match field value: [%.*s]",
                          QD_STR_ARG(text));
    for (uint32_t k = 0; qd_grok_value_at(c->grok[0], &r->regex, text, k, &g) && !rc; k++) {
        qd_iv v;
        if (!g.text.p) continue;
        rc = value_of(r, &g, &v, err);
        if (!rc) rc = qdi_path_set(r, &c->targets[k], v, err);
    }
    return !rc && c->trace ? put_index(r, m.pattern, err) : rc;
}

const qdi_processor_type qdi_processor_grok = {"grok", sizeof(grokking), .make = make, .run = run};

/* --- what there is --- */

int qd_ingest_grok_write(bool ecs, bool sorted, qd_json_writer *w, qd_err *err)
{
    qd_buf b;
    const char *name, *last = "";
    int rc = 0;
    qd_buf_init(&b, NULL, (size_t)1 << 20);
    for (uint32_t n = 0;; n++) {
        const char *next = NULL;
        uint32_t at = n;
        for (uint32_t k = 0; sorted && qd_grok_pattern(k, ecs, &name, &b); k++) {
            if (strcmp(name, last) > 0 && (!next || strcmp(name, next) < 0)) {
                next = name;
                at = k;
            }
            qd_buf_reset(&b);
        }
        if (sorted && !next) break;
        qd_buf_reset(&b);
        if (!qd_grok_pattern(at, ecs, &name, &b)) break;
        last = name;
        qd_json_key_c(w, name);
        qd_json_str(w, qd_buf_view(&b));
        if (qd_buf_status(&b)) rc = qd_err_nomem(err, "grok patterns");
        qd_buf_reset(&b);
        if (rc) break;
    }
    qd_buf_fini(&b);
    return rc;
}
