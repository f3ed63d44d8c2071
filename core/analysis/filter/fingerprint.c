/*
 * fingerprint.c: all terms of a value, each once and in order, as one token; none when they are
 * longer than max_output_size.
 */
#include "analysis/builtin_int.h"
#include "analysis/filter/emit_int.h"
#include "base/utf8.h"
#include <stdlib.h>

typedef struct fingerprint {
    qd_part head;
    int64_t max;
    char separator[4];
    uint32_t nseparator;
} fingerprint;

static int by_units(const void *a, const void *b)
{
    return qd_units_compare(*(const qd_str *)a, *(const qd_str *)b);
}

/* The terms in order, each once, in the work area; their number. */
static size_t sorted(qd_analysis *s, qd_str *word)
{
    const qd_tokens *t = &s->b->t;
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++) word[i] = (qd_str){qd_term_ptr(s, i), qd_term_len(s, i)};
    if (t->n) qsort(word, t->n, sizeof *word, by_units);
    for (size_t i = 0; i < t->n; i++)
        if (!n || !qd_str_eq(word[n - 1], word[i])) word[n++] = word[i];
    return n;
}

/* Joins the words at the end of the text area, where there is room. */
static qd_span join(qd_analysis *s, const fingerprint *f, const qd_str *word, size_t n)
{
    qd_span term = {(uint32_t)s->ntext, 0};
    for (size_t i = 0; i < n; i++) {
        if (i) memcpy(s->text + s->ntext, f->separator, f->nseparator);
        if (i) s->ntext += f->nseparator;
        if (word[i].n) memcpy(s->text + s->ntext, word[i].p, word[i].n);
        s->ntext += word[i].n;
    }
    term.to = (uint32_t)s->ntext;
    return term;
}

static int fingerprint_run(const qd_part *p, qd_analysis *s, qd_err *err)
{
    (void)err;
    const fingerprint *f = (const fingerprint *)p;
    qd_tokens *t = &s->b->t;
    size_t bytes = 0;
    int64_t units = 0;
    for (size_t i = 0; i < t->n; i++) bytes += qd_term_len(s, i) + f->nseparator;
    int rc = qd_text_reserve(s, bytes);
    if (!rc) rc = qd_work_reserve(s, (t->n + 1) * sizeof(qd_str));
    if (!rc) rc = qd_batch_need(s, s->b, QD_TOKENS_TYPE);
    if (!rc) rc = qd_batch_need(s, s->b, QD_TOKENS_INC);
    if (rc) return rc;
    size_t n = sorted(s, s->work);
    const qd_str *word = s->work;
    for (size_t i = 0; i < n; i++) units += (int64_t)qd_utf8_utf16(word[i]) + (i > 0);
    t->n = 0;
    t->end_inc = 1;
    if (!n || units > f->max) return 0;
    t->n = 1;
    t->term[0] = join(s, f, word, n);
    t->inc[0] = 1;
    t->type[0] = QD_TOKEN_FINGERPRINT;
    if (t->has & QD_TOKENS_LENGTH) t->length[0] = 1;
    if (t->has & QD_TOKENS_KEYWORD) t->keyword[0] = 0;
    if (t->has & QD_TOKENS_OFFSETS)
        t->offset[0] = (qd_span){0, s->offsets_done ? t->end_offset : (uint32_t)s->nsrc};
    return 0;
}

static const qd_part_ops fingerprint_ops = {fingerprint_run, qd_part_release, NULL};

int qd_make_fingerprint(const qd_part_conf *c, qd_part **out, qd_err *err)
{
    int64_t max;
    uint32_t cp;
    qd_str separator = qd_conf_str(c, "separator", " ");
    int rc = qd_conf_int(c, "max_output_size", 255, &max, err);
    if (rc) return rc;
    if (!separator.n || qd_u8_next(separator.p, separator.p + separator.n, &cp) != separator.n ||
        cp > 0xFFFF)
        return qd_err_set(err, QD_E_ARG,
                          "Setting [separator] must be a single, non-null character. [%.*s] was "
                          "provided.",
                          QD_STR_ARG(separator));
    rc = qd_part_alloc(c, sizeof(fingerprint), QD_STAGE_FILTER, &fingerprint_ops, out, err);
    if (rc) return rc;
    fingerprint *f = (fingerprint *)*out;
    f->head.no_synonyms = true;
    f->max = max;
    f->nseparator = (uint32_t)separator.n;
    memcpy(f->separator, separator.p, separator.n);
    return 0;
}
