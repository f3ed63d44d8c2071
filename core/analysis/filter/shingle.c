/*
 * shingle.c: neighbouring terms as one: shingle, and common_grams, which does so around frequent
 * words only.
 */
#include "analysis/builtin_int.h"
#include "analysis/filter/emit_int.h"
#include "analysis/filter/stop_int.h"

typedef struct shingle {
    qd_part head;
    uint32_t min, max;
    bool unigrams, if_none;
    char *separator, *filler; /* owned */
    size_t nseparator, nfiller;
} shingle;

/* A term of the window, or the filler for a hole. */
typedef struct item {
    uint32_t token; /* UINT32_MAX: filler */
    uint32_t at;    /* offset of a filler */
} item;

/* All terms with fillers for holes, in the work area; *n of them. */
static int items_make(const shingle *f, qd_analysis *s, size_t *n)
{
    const qd_tokens *t = &s->b->t;
    size_t room = t->n;
    for (size_t i = 0; i <= t->n; i++) {
        uint32_t holes = i < t->n ? (t->inc[i] ? t->inc[i] - 1 : 0) : t->end_inc;
        room += holes < f->max ? holes : f->max - 1;
    }
    int rc = qd_work_reserve(s, (room + 1) * sizeof(item));
    if (rc) return rc;
    item *w = s->work;
    for (size_t i = 0; i <= t->n; i++) {
        uint32_t holes = i < t->n ? (t->inc[i] ? t->inc[i] - 1 : 0) : t->end_inc, at = 0;
        if (t->has & QD_TOKENS_OFFSETS)
            at = i < t->n ? t->offset[i].from : s->offsets_done ? t->end_offset : (uint32_t)s->nsrc;
        for (uint32_t k = 0; k < holes && k + 1 < f->max; k++) w[(*n)++] = (item){UINT32_MAX, at};
        if (i < t->n) w[(*n)++] = (item){(uint32_t)i, 0};
    }
    return 0;
}

static int text_add(qd_analysis *s, const char *p, size_t n)
{
    qd_span span;
    return qd_text_add(s, p, n, &span);
}

/* The words of items [i, i + size) at the end of the text area. */
static int join(const shingle *f, qd_analysis *s, size_t i, uint32_t size, qd_span *out)
{
    int rc = 0;
    out->from = (uint32_t)s->ntext;
    for (uint32_t k = 0; !rc && k < size; k++) {
        const item *w = (const item *)s->work + i + k;
        if (k) rc = text_add(s, f->separator, f->nseparator);
        if (rc) break;
        if (w->token == UINT32_MAX) {
            rc = text_add(s, f->filler, f->nfiller);
            continue;
        }
        uint32_t n = qd_term_len(s, w->token);
        if ((rc = qd_text_reserve(s, n))) break;
        rc = text_add(s, qd_term_ptr(s, w->token), n);
    }
    out->to = (uint32_t)s->ntext;
    return rc;
}

static int put(const shingle *f, qd_emit *e, size_t i, uint32_t size, uint32_t inc, bool unigrams)
{
    qd_analysis *s = e->s;
    const item *first = (const item *)s->work + i, *last = first + size - 1;
    qd_emit_token t = {.length = 1, .offset = {first->at, first->at}};
    if (first->token != UINT32_MAX) t = qd_emit_get(e, first->token);
    t.inc = inc;
    t.length = unigrams ? size : size > f->min ? size - f->min + 1 : 1;
    t.offset.to = last->token == UINT32_MAX ? last->at : qd_emit_get(e, last->token).offset.to;
    if (size > 1) t.type = QD_TOKEN_SHINGLE;
    int rc = size > 1 ? join(f, s, i, size, &t.term) : 0;
    return rc ? rc : qd_emit_put(e, &t);
}

static int shingle_run(const qd_part *p, qd_analysis *s, qd_err *err)
{
    (void)err;
    const shingle *f = (const shingle *)p;
    qd_emit e;
    size_t n = 0;
    int rc = qd_emit_begin(&e, s, QD_TOKENS_INC | QD_TOKENS_LENGTH | QD_TOKENS_TYPE);
    if (!rc) rc = items_make(f, s, &n);
    bool singles = f->unigrams || (f->if_none && n < f->min);
    for (size_t i = 0; !rc && i < n; i++) {
        bool real = false, here = false;
        for (uint32_t size = 1; !rc && size <= f->max && i + size <= n; size++) {
            real |= ((const item *)s->work)[i + size - 1].token != UINT32_MAX;
            if (!real || (size == 1 ? !singles : size < f->min)) continue;
            rc = put(f, &e, i, size, !here, f->unigrams);
            here = true;
        }
    }
    if (rc) return rc;
    rc = qd_emit_end(&e);
    s->b->t.flat |= f->unigrams || f->min != f->max;
    return rc;
}

static void shingle_free(qd_part *p)
{
    qd_free(((shingle *)p)->separator);
    qd_free(((shingle *)p)->filler);
    qd_part_release(p);
}

static const qd_part_ops shingle_ops = {shingle_run, shingle_free, NULL};

static int sizes_check(const qd_part_conf *c, int64_t min, int64_t max, bool unigrams, qd_err *err)
{
    long long diff = (long long)(max - min) + unigrams;
    if (diff > c->max_shingle_diff)
        return qd_err_set(
            err, QD_E_ARG,
            "In Shingle TokenFilter the difference between max_shingle_size and "
            "min_shingle_size (and +1 if outputting unigrams) must be less than or equal "
            "to: [%lld] but was [%lld]. This limit can be set by changing the "
            "[index.max_shingle_diff] index level setting.",
            (long long)c->max_shingle_diff, diff);
    if (max < 2) return qd_err_set(err, QD_E_ARG, "Max shingle size must be >= 2");
    if (min < 2) return qd_err_set(err, QD_E_ARG, "Min shingle size must be >= 2");
    if (min > max) return qd_err_set(err, QD_E_ARG, "Min shingle size must be <= max shingle size");
    return 0;
}

int qd_make_shingle(const qd_part_conf *c, qd_part **out, qd_err *err)
{
    int64_t min, max;
    bool unigrams, if_none;
    qd_str separator = qd_conf_str(c, "token_separator", " "),
           filler = qd_conf_str(c, "filler_token", "_");
    int rc = qd_conf_int(c, "max_shingle_size", 2, &max, err);
    if (!rc) rc = qd_conf_int(c, "min_shingle_size", 2, &min, err);
    if (!rc) rc = qd_conf_bool(c, "output_unigrams", true, &unigrams, err);
    if (!rc) rc = qd_conf_bool(c, "output_unigrams_if_no_shingles", false, &if_none, err);
    if (!rc) rc = sizes_check(c, min, max, unigrams, err);
    if (!rc) rc = qd_part_alloc(c, sizeof(shingle), QD_STAGE_FILTER, &shingle_ops, out, err);
    if (rc) return rc;
    shingle *f = (shingle *)*out;
    f->head.no_synonyms = true;
    f->min = (uint32_t)min;
    f->max = (uint32_t)max;
    f->unigrams = unigrams;
    f->if_none = if_none;
    f->separator = qd_memdup(NULL, separator.p, separator.n);
    f->filler = qd_memdup(NULL, filler.p, filler.n);
    f->nseparator = separator.n;
    f->nfiller = filler.n;
    if (f->separator && f->filler) return 0;
    shingle_free(*out);
    return qd_err_nomem(err, "shingle");
}

/* --- common_grams --- */

typedef struct common {
    qd_part head;
    qd_wordset words;
    bool ignore_case, query;
} common;

/* word_next of tokens i - 1 and i. */
static int gram(qd_emit *e, size_t i)
{
    qd_analysis *s = e->s;
    qd_emit_token a = qd_emit_get(e, i - 1), b = qd_emit_get(e, i);
    uint32_t na = a.term.to - a.term.from, nb = b.term.to - b.term.from;
    int rc = qd_text_reserve(s, na + nb + 1);
    if (rc) return rc;
    char *to = s->text + s->ntext;
    memcpy(to, s->text + a.term.from, na);
    to[na] = '_';
    memcpy(to + na + 1, s->text + b.term.from, nb);
    qd_emit_token t = {.term = {(uint32_t)s->ntext, (uint32_t)(s->ntext + na + nb + 1)},
                       .offset = {a.offset.from, b.offset.to},
                       .inc = 0,
                       .length = 2,
                       .type = QD_TOKEN_GRAM};
    s->ntext += na + nb + 1;
    return qd_emit_put(e, &t);
}

/* For searches: terms that a gram begins with go, and the last one where a gram ends with it. */
static void for_query(qd_tokens *t, qd_batch *b)
{
    size_t n = t->n, k = 0;
    bool gram_last = false;
    for (size_t i = 0; i < n; i++) {
        bool gram_next = i + 1 < n && t->type[i + 1] == QD_TOKEN_GRAM;
        bool is_gram = t->type[i] == QD_TOKEN_GRAM;
        if (gram_next || (i + 1 == n && gram_last)) continue;
        if (k != i) qd_batch_copy(b, k, b, i);
        if (is_gram) {
            t->inc[k] = 1;
            t->length[k] = 1;
        }
        gram_last = is_gram;
        k++;
    }
    t->n = k;
}

static int common_run(const qd_part *p, qd_analysis *s, qd_err *err)
{
    (void)err;
    const common *f = (const common *)p;
    qd_emit e;
    int rc = qd_emit_begin(&e, s, QD_TOKENS_INC | QD_TOKENS_LENGTH | QD_TOKENS_TYPE);
    bool last = false;
    for (size_t i = 0; !rc && i < s->b->t.n; i++) {
        bool now = qd_words_match(s, &f->words, f->ignore_case, i);
        if (i && (last || now)) rc = gram(&e, i);
        if (!rc) rc = qd_emit_copy(&e, i);
        last = now;
    }
    if (rc) return rc;
    rc = qd_emit_end(&e);
    if (f->query) for_query(&s->b->t, s->b);
    return rc;
}

static void common_free(qd_part *p)
{
    qd_wordset_fini(&((common *)p)->words);
    qd_part_release(p);
}

static const qd_part_ops common_ops = {common_run, common_free, NULL};

int qd_make_common_grams(const qd_part_conf *c, qd_part **out, qd_err *err)
{
    bool ignore, query;
    int rc = qd_conf_bool(c, "ignore_case", false, &ignore, err);
    if (!rc) rc = qd_conf_bool(c, "query_mode", false, &query, err);
    if (!rc) rc = qd_part_alloc(c, sizeof(common), QD_STAGE_FILTER, &common_ops, out, err);
    if (rc) return rc;
    common *f = (common *)*out;
    f->head.no_synonyms = true;
    f->ignore_case = ignore;
    f->query = query;
    rc = qd_words_parse(c, "common_words", NULL, ignore, &f->words, err);
    if (!rc && !f->words.n)
        rc = qd_err_set(err, QD_E_ARG,
                        "missing or empty [common_words] or [common_words_path] configuration for "
                        "common_grams token filter");
    if (rc) common_free(*out);
    return rc;
}
