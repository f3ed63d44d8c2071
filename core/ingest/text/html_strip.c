/* html_strip.c: the processor html_strip: text without its tags, by the char filter of that name.
 */
#include "analysis/analysis.h"
#include "ingest/ingest_int.h"

typedef struct stripping {
    qdi_strings strings;
    qd_analyzer *chain;
} stripping;

static void unref(void *chain)
{
    qd_analyzer_unref(chain);
}

static int make(qdi_build *b, void *config, qd_err *err)
{
    stripping *c = config;
    qd_analysis_part filter = {.name = QD_STR("html_strip")};
    int rc = qdi_strings_make(b, &c->strings, err);
    if (!rc) rc = qd_analyzers_chain(NULL, NULL, NULL, NULL, 0, &filter, 1, &c->chain, err);
    if (!rc && qd_arena_on_reset(b->a, unref, c->chain)) rc = qd_err_nomem(err, "processor");
    return rc;
}

typedef struct taking {
    qd_ingest_run *r;
    qd_str text;
} taking;

static int take(void *arg, qd_stage_kind kind, qd_str name, const qd_tokens *tokens, qd_str text)
{
    taking *t = arg;
    (void)name;
    (void)tokens;
    if (kind != QD_STAGE_CHAR_FILTER) return 0;
    t->text = qd_arena_str(&t->r->arena, text);
    return t->text.p ? 0 : QD_E_NOMEM;
}

static int change(const void *config, qd_ingest_run *r, qd_str text, qd_iv *out, qd_err *err)
{
    const stripping *c = config;
    taking t = {.r = r, .text = QD_STR("")};
    qd_analysis *scratch = qd_analysis_make(r->arena.account, 0);
    if (!scratch) return qdi_run_nomem(err);
    int rc = qd_analyzer_explain(c->chain, scratch, text, take, &t, err);
    qd_analysis_free(scratch);
    *out = QD_IV_STRING(t.text);
    return rc;
}

static int run(const void *config, qd_ingest_run *r, qd_err *err)
{
    const stripping *c = config;
    return qdi_strings_run(&c->strings, c, r, change, err);
}

const qdi_processor_type qdi_processor_html_strip = {"html_strip", sizeof(stripping), .make = make,
                                                     .run = run};
