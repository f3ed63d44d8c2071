/*
 * analyzer.c: runs chains. A run prepares the scratch, lets each part work on the whole value, and
 * turns offsets into UTF-16 units at its end. The standard tokenizer followed by lowercase is one
 * kernel (qd_standard_run); everything else is a call for each part and value.
 */
#include "analysis/analyzer_int.h"
#include "analysis/builtin_int.h"
#include "analysis/offsets_int.h"
#include "analysis/tokenizer/standard_int.h"

int qd_analyzer_make(qd_str name, qd_part *const *parts, size_t nparts, size_t nchar, uint32_t gap,
                     bool custom, qd_analyzer **out, qd_err *err)
{
    qd_assert(nparts > nchar && parts[nchar]->kind == QD_STAGE_TOKENIZER);
    qd_analyzer *a = qd_calloc(NULL, sizeof *a + nparts * sizeof *parts);
    char *copy = a ? qd_memdup(NULL, name.p ? name.p : "", name.n) : NULL;
    if (!copy) {
        qd_free(a);
        return qd_err_nomem(err, "analyzer");
    }
    a->magic = QD_ANALYZER_MAGIC;
    a->refs = 1;
    a->name = (qd_str){copy, name.n};
    a->gap = gap;
    a->custom = custom;
    a->nchar = (uint32_t)nchar;
    a->nparts = (uint32_t)nparts;
    a->for_index = true;
    for (size_t i = 0; i < nparts; i++) {
        a->parts[i] = parts[i];
        if (parts[i]->search_only) a->for_index = false;
        if (parts[i]->level > a->level) a->level = parts[i]->level;
        a->want |= parts[i]->want;
    }
    a->fused = nparts > nchar + 1 && qd_part_is_standard(parts[nchar], NULL) &&
               qd_part_is_lowercase(parts[nchar + 1]);
    *out = a;
    return 0;
}

qd_analyzer *qd_analyzer_ref(const qd_analyzer *a)
{
    qd_analyzer *b = (qd_analyzer *)(uintptr_t)a;
    QD_CHECK(b, QD_ANALYZER_MAGIC);
    atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
    return b;
}

void qd_analyzer_unref(const qd_analyzer *a)
{
    if (!a) return;
    qd_analyzer *b = (qd_analyzer *)(uintptr_t)a;
    QD_CHECK(b, QD_ANALYZER_MAGIC);
    if (atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) != 1) return;
    for (uint32_t i = 0; i < b->nparts; i++) qd_part_unref(b->parts[i]);
    qd_free((char *)(uintptr_t)b->name.p);
    b->magic = 0;
    qd_free(b);
}

qd_str qd_analyzer_name(const qd_analyzer *a)
{
    return a->name;
}
uint32_t qd_analyzer_gap(const qd_analyzer *a)
{
    return a->gap;
}
uint32_t qd_analyzer_level(const qd_analyzer *a)
{
    return a ? a->level : 0;
}
bool qd_analyzer_for_index(const qd_analyzer *a)
{
    return a->for_index;
}

/* How much the scratch may grow for a value of n bytes. */
static void allow(qd_analysis *s, size_t n)
{
    size_t used = (size_t)qd_account_used(&s->account);
    size_t room = used + QD_ANALYSIS_ROOM + n * QD_ANALYSIS_PER_BYTE;
    atomic_store_explicit(&s->account.limit, (int64_t)(room < s->max ? room : s->max),
                          memory_order_relaxed);
}

/* Empties the scratch for a value. */
static int begin(qd_analysis *s, qd_str text, uint32_t want, qd_err *err)
{
    QD_CHECK(s, QD_ANALYSIS_MAGIC);
    if (text.n > QD_VALUE_MAX)
        return qd_err_set(err, QD_E_LIMIT, "a text of %zu bytes is too long to be analyzed",
                          text.n);
    allow(s, text.n);
    s->want = want;
    s->value = text;
    s->src = text.p ? text.p : "";
    s->nsrc = text.n;
    s->ntext = 0;
    s->nfiltered = 0;
    s->shared = false;
    s->offsets_done = false;
    for (int i = 0; i < 2; i++) {
        qd_tokens *t = &s->batch[i].t;
        t->n = 0;
        t->has = 0;
        t->common_type = QD_TOKEN_WORD;
        t->end_inc = 0;
        t->end_offset = 0;
        t->flat = false;
    }
    return qd_text_reserve(s, 1) || qd_batch_reserve(s, s->b, 1) ? qd_err_nomem(err, "analysis")
                                                                 : 0;
}

/* A part's code without a text of its own means that the scratch is at its bound. Its memory goes
 * back: the next value is no such one. */
static int failed(int rc, qd_analysis *s, const qd_part *at, qd_err *err)
{
    qd_str name = at ? at->name : QD_STR("offsets");
    bool much = (rc == QD_E_LIMIT && !(err && err->code)) ||
                (rc == QD_E_NOMEM && qd_account_refused(&s->account));
    if (much) {
        long long limit = (long long)atomic_load_explicit(&s->account.limit, memory_order_relaxed);
        rc = qd_err_set(err, QD_E_ARG,
                        "[%.*s] makes too much of a text of [%zu] bytes: its analysis takes more "
                        "than [%lld] bytes of memory",
                        QD_STR_ARG(name), s->value.n, limit);
    } else if (rc == QD_E_NOMEM) {
        rc = qd_err_nomem(err, "analysis");
    } else if (err && !err->code) {
        rc = qd_err_set(err, rc, "[%.*s] cannot analyze a text", QD_STR_ARG(name));
    }
    if (much) qd_analysis_shrink(s);
    return rc;
}

/* Runs parts from *i up to n; *i is behind the last that ran. */
static int run_on(qd_part *const *parts, size_t *i, size_t n, qd_analysis *s, qd_err *err)
{
    int rc = 0;
    while (!rc && *i < n) {
        const qd_part *p = parts[(*i)++];
        rc = p->ops->run(p, s, err);
    }
    return rc;
}

int qd_parts_run(qd_part *const *parts, size_t n, qd_analysis *s, qd_str text, uint32_t want,
                 const qd_tokens **out, qd_err *err)
{
    size_t i = 0;
    for (size_t k = 0; k < n; k++) want |= parts[k]->want;
    int rc = begin(s, text, want, err);
    if (!rc) rc = run_on(parts, &i, n, s, err);
    if (!rc && want & QD_ANALYZE_OFFSETS) rc = qd_offsets_finish(s);
    if (rc) return failed(rc, s, i ? parts[i - 1] : NULL, err);
    s->b->t.text = s->text;
    if (out) *out = &s->b->t;
    return 0;
}

int qd_analyzer_run(const qd_analyzer *a, qd_analysis *s, qd_str text, uint32_t want,
                    const qd_tokens **out, qd_err *err)
{
    QD_CHECK(a, QD_ANALYZER_MAGIC);
    uint32_t max_units;
    if (!a->fused) return qd_parts_run(a->parts, a->nparts, s, text, want, out, err);
    want |= a->want;
    int rc = begin(s, text, want, err);
    size_t i = 0;
    if (!rc) rc = run_on(a->parts, &i, a->nchar, s, err);
    if (!rc) {
        (void)qd_part_is_standard(a->parts[a->nchar], &max_units);
        rc = qd_standard_run(s, max_units, true);
        i = a->nchar + 2;
    }
    if (!rc) rc = run_on(a->parts, &i, a->nparts, s, err);
    if (!rc && want & QD_ANALYZE_OFFSETS) rc = qd_offsets_finish(s);
    if (rc) return failed(rc, s, i ? a->parts[i - 1] : NULL, err);
    s->b->t.text = s->text;
    *out = &s->b->t;
    return 0;
}

int qd_analyzer_normalize(const qd_analyzer *a, qd_analysis *s, qd_str text, qd_str *out,
                          qd_err *err)
{
    QD_CHECK(a, QD_ANALYZER_MAGIC);
    const qd_part *at = NULL;
    int rc = begin(s, text, 0, err);
    for (uint32_t i = 0; !rc && i < a->nchar; i++)
        if (a->parts[i]->normalizes) rc = (at = a->parts[i])->ops->run(a->parts[i], s, err);
    if (!rc) rc = qd_text_from_source(s);
    if (rc) return failed(rc, s, at, err);
    s->b->t.n = 1;
    s->b->t.term[0] = (qd_span){0, (uint32_t)s->nsrc};
    for (uint32_t i = a->nchar + 1; !rc && i < a->nparts; i++)
        if (a->parts[i]->normalizes) rc = (at = a->parts[i])->ops->run(a->parts[i], s, err);
    if (rc) return failed(rc, s, at, err);
    s->b->t.text = s->text;
    *out = s->b->t.n ? qd_tokens_term(&s->b->t, 0) : (qd_str){"", 0};
    return 0;
}

/* The mark of keywords is shown where one of the parts knows it, though no token has it. */
static int show_keywords(qd_part *const *parts, uint32_t n, qd_analysis *s, qd_err *err)
{
    for (uint32_t i = 0; i < n; i++)
        if (parts[i]->keywords)
            return qd_batch_need(s, s->b, QD_TOKENS_KEYWORD) ? qd_err_nomem(err, "analysis") : 0;
    return 0;
}

int qd_analyzer_explain(const qd_analyzer *a, qd_analysis *s, qd_str text, qd_stage_fn fn,
                        void *arg, qd_err *err)
{
    QD_CHECK(a, QD_ANALYZER_MAGIC);
    const uint32_t want = QD_ANALYZE_OFFSETS | QD_ANALYZE_TYPES;
    const qd_tokens *t;
    /* each stage is a run of its own: offsets are made at the end of a run */
    for (uint32_t k = a->custom ? 1 : a->nparts; k <= a->nparts; k++) {
        int rc = qd_parts_run(a->parts, k, s, text, want, &t, err);
        if (!rc) rc = show_keywords(a->parts, k, s, err);
        if (rc) return rc;
        if (!a->custom) return fn(arg, QD_STAGE_ANALYZER, a->name, t, text);
        const qd_part *p = a->parts[k - 1];
        bool chars = p->kind == QD_STAGE_CHAR_FILTER;
        qd_str now = {s->src, s->nsrc};
        if ((rc = fn(arg, (qd_stage_kind)p->kind, p->name, chars ? NULL : t, now))) return rc;
    }
    return 0;
}
