/* redact.c: the processor redact: what patterns match is replaced by their names. */
#include "ingest/text/grok_args.h"

typedef struct redacting {
    qdi_path field;
    qd_grok **groks;
    uint32_t n;
    qd_str prefix, suffix;
    bool ignore_missing, trace;
} redacting;

static int make(qdi_build *b, void *config, qd_err *err)
{
    redacting *c = config;
    bool skip;
    int rc = qdi_arg_path(b, "field", (qd_str){NULL, 0}, &c->field, err);
    if (!rc) rc = qdi_arg_str(b, "prefix", "<", &c->prefix, err);
    if (!rc) rc = qdi_arg_str(b, "suffix", ">", &c->suffix, err);
    if (!rc) rc = qdi_arg_bool(b, "ignore_missing", true, &c->ignore_missing, err);
    if (!rc) rc = qdi_arg_bool(b, "skip_if_unlicensed", false, &skip, err);
    if (!rc) rc = qdi_arg_bool(b, "trace_redact", false, &c->trace, err);
    return rc ? rc : qdi_arg_grok(b, true, &c->groks, &c->n, err);
}

/* What one pattern captures becomes <NAME>, anywhere in the text. */
static int one(const redacting *c, const qd_grok *g, qd_ingest_run *r, qd_str *text, bool *any,
               qd_err *err)
{
    size_t from = 0;
    qd_grok_match m;
    qd_grok_value v;
    bool found = false;
    qd_buf_reset(&r->out);
    while (from <= text->n) {
        int rc = qd_grok_find(g, &r->regex, *text, from, &m, err);
        if (rc < 0) return rc;
        if (!rc || m.end == m.begin) break;
        size_t at = from;
        for (uint32_t k = 0; qd_grok_value_at(g, &r->regex, *text, k, &v); k++) {
            if (!v.text.n || v.text.p < text->p + at) continue;
            size_t begin = (size_t)(v.text.p - text->p);
            (void)qd_buf_add(&r->out, text->p + at, begin - at);
            (void)qd_buf_str(&r->out, c->prefix);
            (void)qd_buf_str(&r->out, v.name);
            (void)qd_buf_str(&r->out, c->suffix);
            at = begin + v.text.n;
            found = true;
        }
        size_t to = at > m.end ? at : m.end;
        (void)qd_buf_add(&r->out, text->p + at, to - at);
        from = to;
    }
    if (!found) return 0;
    (void)qd_buf_add(&r->out, text->p + from, text->n - from);
    if (qd_buf_status(&r->out)) return qdi_run_nomem(err);
    *text = qd_arena_str(&r->arena, qd_buf_view(&r->out));
    *any = true;
    return text->p ? 0 : qdi_run_nomem(err);
}

static int run(const void *config, qd_ingest_run *r, qd_err *err)
{
    const redacting *c = config;
    qd_str text;
    bool missing, any = false;
    qdi_path trace;
    int rc = qdi_path_text(r, &c->field, c->ignore_missing, &text, &missing, err);
    if (rc || missing) return rc;
    for (uint32_t k = 0; k < c->n && !rc; k++) rc = one(c, c->groks[k], r, &text, &any, err);
    if (rc || !any) return rc;
    rc = qdi_path_set(r, &c->field, QD_IV_STRING(text), err);
    if (rc || !c->trace) return rc;
    rc = qdi_path_make(&r->arena, QD_STR("_ingest._redact._is_redacted"), &trace, err);
    return rc ? rc : qdi_path_set(r, &trace, QD_IV_TRUTH(true), err);
}

const qdi_processor_type qdi_processor_redact = {"redact", sizeof(redacting), .make = make,
                                                 .run = run};
