/* csv.c: the processor csv: a line of separated values as fields (RFC 4180). */
#include "ingest/ingest_int.h"

typedef struct line {
    qdi_path field, *targets;
    uint32_t ntargets;
    char separator, quote;
    bool trim, ignore_missing, has_empty;
    qd_iv empty;
} line;

static int character(qdi_build *b, const char *key, const char *standard, const char *why,
                     char *out, qd_err *err)
{
    qd_str text;
    int rc = qdi_arg_str(b, key, standard, &text, err);
    if (rc) return rc;
    if (text.n != 1) return qdi_arg_fail(b, key, err, "%s", why);
    *out = text.p[0];
    return 0;
}

static int make(qdi_build *b, void *config, qd_err *err)
{
    line *c = config;
    qd_str *names;
    int rc = qdi_arg_path(b, "field", (qd_str){NULL, 0}, &c->field, err);
    if (!rc)
        rc = character(b, "quote", "\"", "quote has to be single character like \" or '", &c->quote,
                       err);
    if (!rc)
        rc = character(b, "separator", ",", "separator has to be single character like , or ;",
                       &c->separator, err);
    if (!rc) rc = qdi_arg_bool(b, "trim", false, &c->trim, err);
    if (!rc) rc = qdi_arg_bool(b, "ignore_missing", false, &c->ignore_missing, err);
    if (!rc) rc = qdi_arg_strs(b, "target_fields", true, true, &names, &c->ntargets, err);
    if (rc) return rc;
    if (!c->ntargets)
        return qdi_arg_fail(b, "target_fields", err, "target fields list can't be empty");
    const qd_json_node *empty = qdi_arg(b, "empty_value");
    c->has_empty = empty != NULL;
    if (empty && (rc = qd_iv_of_node(b->a, empty, &c->empty, err))) return rc;
    c->targets = qd_arena_alloc(b->a, c->ntargets * sizeof *c->targets);
    if (!c->targets) return qd_err_nomem(err, "processor");
    for (uint32_t k = 0; k < c->ntargets && !rc; k++) {
        if (!names[k].n)
            return qdi_arg_fail(b, "target_fields", err, "target field name can't be empty");
        rc = qdi_path_make(b->a, names[k], &c->targets[k], err);
    }
    return rc ? qdi_arg_wrap(b, "target_fields", err) : 0;
}

typedef struct reading {
    const line *c;
    qd_str text;
    size_t at;
} reading;

static bool blank(char c)
{
    return c == ' ' || c == '\t';
}

static void skip_blanks(reading *x)
{
    while (x->at < x->text.n && blank(x->text.p[x->at])) x->at++;
}

static int illegal(const char *where, size_t at, qd_err *err)
{
    return qd_err_set(err, QD_E_ARG, "Illegal character inside %s field at %zu", where, at);
}

/* Behind the opening quote: what stands in it, doubled quotes as one. */
static int quoted(reading *x, qd_ingest_run *r, qd_str *out, qd_err *err)
{
    char quote = x->c->quote, *p = qdi_run_bytes(r, x->text.n - x->at, err);
    size_t n = 0;
    if (!p) return QD_E_NOMEM;
    for (;;) {
        if (x->at >= x->text.n) return qd_err_set(err, QD_E_ARG, "Unmatched quote");
        char c = x->text.p[x->at++];
        if (c == quote && x->at < x->text.n && x->text.p[x->at] == quote)
            x->at++;
        else if (c == quote)
            break;
        p[n++] = c;
    }
    if (x->c->trim) skip_blanks(x);
    if (x->at < x->text.n && x->text.p[x->at] != x->c->separator)
        return illegal("quoted", x->at, err);
    *out = (qd_str){p, n};
    return 0;
}

static int unquoted(reading *x, qd_str *out, qd_err *err)
{
    size_t from = x->at;
    while (x->at < x->text.n && x->text.p[x->at] != x->c->separator) {
        char c = x->text.p[x->at];
        if (c == x->c->quote || c == '\n' || c == '\r') return illegal("unquoted", x->at, err);
        x->at++;
    }
    *out = qd_str_sub(x->text, from, x->at - from);
    while (x->c->trim && out->n && blank(out->p[out->n - 1])) out->n--;
    return 0;
}

static int put_empty(const line *c, qd_ingest_run *r, const qdi_path *target, qd_err *err)
{
    qd_iv v;
    int rc = qd_iv_copy(&r->arena, &c->empty, &v, err);
    return rc ? rc : qdi_path_set(r, target, v, err);
}

static int run(const void *config, qd_ingest_run *r, qd_err *err)
{
    const line *c = config;
    bool missing;
    reading x = {.c = c};
    int rc = qdi_path_text(r, &c->field, c->ignore_missing, &x.text, &missing, err);
    if (rc || missing) return rc;
    if (!x.text.n) return 0;
    for (uint32_t k = 0; k < c->ntargets && !rc; k++) {
        qd_str value;
        if (c->trim) skip_blanks(&x);
        bool has_quote = x.at < x.text.n && x.text.p[x.at] == c->quote;
        if (has_quote) x.at++;
        rc = has_quote ? quoted(&x, r, &value, err) : unquoted(&x, &value, err);
        if (rc) return rc;
        if (value.n)
            rc = qdi_path_set(r, &c->targets[k], QD_IV_STRING(value), err);
        else if (c->has_empty)
            rc = put_empty(c, r, &c->targets[k], err);
        if (++x.at >= x.text.n) break; /* nothing stands behind the separator */
    }
    return rc;
}

const qdi_processor_type qdi_processor_csv = {"csv", sizeof(line), .make = make, .run = run};
