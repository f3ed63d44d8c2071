/*
 * case.c: lowercase, uppercase, asciifolding.
 *
 * Case mapping is Java's simple one, code point by code point. ASCII goes 64 bytes at a time over
 * the whole text area; only terms with bytes beyond it are walked, and only a mapping that changes
 * its length makes a new copy of the term.
 */
#include "analysis/block_int.h"
#include "analysis/builtin_int.h"
#include "analysis/language/normalize_int.h"
#include "analysis/tokenizer/standard_int.h"
#include "base/features.h"

/* A term rebuilt at the end of the text area. */
static int term_mapped(qd_analysis *s, size_t i, bool upper)
{
    qd_span span = s->b->t.term[i];
    size_t n = span.to - span.from;
    int rc = qd_text_reserve(s, n * 3 / 2 + 4); /* two bytes may become three, not more */
    if (rc) return rc;
    const char *p = s->text + span.from, *end = s->text + span.to;
    char *out = s->text + s->ntext, *at = out;
    while (p < end) {
        uint32_t cp;
        p += qd_u8_next(p, end, &cp);
        at += qd_u8_put(at, upper ? qd_char_upper(cp) : qd_char_lower(cp));
    }
    s->b->t.term[i] = (qd_span){(uint32_t)s->ntext, (uint32_t)(s->ntext + (size_t)(at - out))};
    s->ntext += (size_t)(at - out);
    return 0;
}

/* Maps what keeps its length in place; false when something is left. */
static bool term_in_place(char *p, char *end, bool upper)
{
    bool all = true;
    while (p < end) {
        uint32_t cp, len = qd_u8_next(p, end, &cp),
                     to = upper ? qd_char_upper(cp) : qd_char_lower(cp);
        if (to != cp) {
            if (qd_u8_size(to) == len)
                qd_u8_put(p, to);
            else
                all = false;
        }
        p += len;
    }
    return all;
}

static bool any_high(const char *p, size_t n)
{
    for (; n >= 8; p += 8, n -= 8) {
        uint64_t w;
        memcpy(&w, p, 8);
        if (w & 0x8080808080808080ull) return true;
    }
    for (; n; p++, n--)
        if (*p & 0x80) return true;
    return false;
}

int qd_lower_run(qd_analysis *s)
{
    uint64_t high = 0;
    memset(s->text + s->ntext, 0, QD_TEXT_PAD);
    for (size_t i = 0; i < s->ntext; i += 64) {
        qd_blk b = qd_blk_load(s->text + i);
        high |= qd_blk_high(b);
        qd_blk_store(s->text + i, qd_blk_lower(b));
    }
    if (!high) return 0;
    qd_tokens *t = &s->b->t;
    for (size_t i = 0; i < t->n; i++) {
        char *p = qd_term_ptr(s, i);
        size_t n = qd_term_len(s, i);
        if (!any_high(p, n) || term_in_place(p, p + n, false)) continue;
        int rc = term_mapped(s, i, false);
        if (rc) return rc;
    }
    return 0;
}

static int lowercase_run(const qd_part *p, qd_analysis *s, qd_err *err)
{
    (void)p;
    (void)err;
    return qd_lower_run(s);
}

static int uppercase_run(const qd_part *p, qd_analysis *s, qd_err *err)
{
    (void)p;
    (void)err;
    qd_tokens *t = &s->b->t;
    for (size_t i = 0; i < t->n; i++) {
        char *q = qd_term_ptr(s, i);
        if (term_in_place(q, q + qd_term_len(s, i), true)) continue;
        int rc = term_mapped(s, i, true);
        if (rc) return rc;
    }
    return 0;
}

/* Turkish: dotless and dotted i (Lucene's TurkishLowerCaseFilter). */
static int turkish_run(const qd_part *p, qd_analysis *s, qd_err *err)
{
    (void)p;
    (void)err;
    qd_tokens *t = &s->b->t;
    for (size_t i = 0; i < t->n; i++) {
        size_t n = qd_term_len(s, i);
        int rc = qd_text_reserve(s, n * 2 + 4);
        if (rc) return rc;
        const char *q = qd_term_ptr(s, i), *end = q + n;
        char *out = s->text + s->ntext, *at = out;
        bool after_i = false; /* only marks stand between I and here */
        while (q < end) {
            uint32_t cp, next;
            q += qd_u8_next(q, end, &cp);
            after_i = cp == 'I' || (after_i && qd_char_gc(cp) == QD_GC_MN);
            if (cp == 'I') {
                /* I with a dot above, possibly behind other marks, is i */
                const char *look = q;
                bool dotted = false;
                while (look < end && !dotted) {
                    look += qd_u8_next(look, end, &next);
                    if (qd_char_gc(next) != QD_GC_MN) break;
                    dotted = next == 0x307;
                }
                cp = dotted ? 'i' : 0x131;
            } else if (cp == 0x307 && after_i) {
                continue;
            } else {
                cp = qd_char_lower(cp);
            }
            at += qd_u8_put(at, cp);
        }
        t->term[i] = (qd_span){(uint32_t)s->ntext, (uint32_t)(s->ntext + (size_t)(at - out))};
        s->ntext += (size_t)(at - out);
    }
    return 0;
}

typedef struct folding {
    qd_part head;
    bool preserve;
} folding;

/* Folds [p, end) to out (room 4 bytes for 2 of input); returns the bytes written. */
static size_t fold(const char *p, const char *end, char *out)
{
    char *at = out;
    while (p < end) {
        uint32_t cp, len = qd_u8_next(p, end, &cp);
        uint32_t f = cp >= 0x80 && cp < 0x10000 ? QD_TABLE_AT(qd_fold, cp) : 0;
        if (f) {
            memcpy(at, qd_fold_text + f + 1, qd_fold_text[f]);
            at += qd_fold_text[f];
        } else {
            memcpy(at, p, len);
            at += len;
        }
        p += len;
    }
    return (size_t)(at - out);
}

static int folding_run(const qd_part *p, qd_analysis *s, qd_err *err)
{
    (void)err;
    bool preserve = ((const folding *)p)->preserve;
    qd_tokens *t = &s->b->t;
    size_t more = 0;
    int rc;
    for (size_t i = 0; i < t->n; i++) more += any_high(qd_term_ptr(s, i), qd_term_len(s, i));
    if (!more) return 0;
    if (preserve) {
        if ((rc = qd_batch_need(s, s->b, QD_TOKENS_INC))) return rc;
        if ((rc = qd_batch_like(s, s->spare, s->b, t->n + more))) return rc;
    }
    qd_batch *to = preserve ? s->spare : s->b;
    size_t k = 0, n = t->n;
    for (size_t i = 0; i < n; i++) {
        qd_span was = t->term[i];
        size_t len = was.to - was.from, out;
        if (to != s->b) qd_batch_copy(to, k, s->b, i);
        if (any_high(s->text + was.from, len)) {
            if ((rc = qd_text_reserve(s, len * 2 + 8))) return rc;
            out = fold(s->text + was.from, s->text + was.to, s->text + s->ntext);
            if (out != len || memcmp(s->text + s->ntext, s->text + was.from, len) != 0) {
                to->t.term[k] = (qd_span){(uint32_t)s->ntext, (uint32_t)(s->ntext + out)};
                s->ntext += out;
                if (preserve) {
                    qd_batch_copy(to, ++k, s->b, i);
                    to->t.inc[k] = 0;
                }
            }
        }
        k++;
    }
    to->t.n = k;
    if (preserve) qd_analysis_swap(s);
    return 0;
}

static const qd_part_ops lowercase_ops = {lowercase_run, qd_part_release, NULL};
static const qd_part_ops uppercase_ops = {uppercase_run, qd_part_release, NULL};
static const qd_part_ops turkish_ops = {turkish_run, qd_part_release, NULL};
static const qd_part_ops folding_ops = {folding_run, qd_part_release, NULL};

bool qd_part_is_lowercase(const qd_part *p)
{
    return p->ops == &lowercase_ops;
}

static int language_make(const qd_part_conf *c, qd_units_fn *fn, qd_part **out, qd_err *err)
{
    int rc = qd_units_make(c, fn, false, out, err);
    if (!rc) qd_part_needs(*out, QD_FEATURES_TYPES_0_2);
    return rc;
}

int qd_make_lowercase(const qd_part_conf *c, qd_part **out, qd_err *err)
{
    qd_str lang = qd_conf_str(c, "language", NULL);
    const qd_part_ops *ops = &lowercase_ops;
    if (lang.p && qd_str_ieq(lang, QD_STR("turkish")))
        ops = &turkish_ops;
    else if (lang.p && qd_str_ieq(lang, QD_STR("greek")))
        return language_make(c, qd_greek_lower, out, err);
    else if (lang.p && qd_str_ieq(lang, QD_STR("irish")))
        return language_make(c, qd_irish_lower, out, err);
    else if (lang.p)
        return qd_err_set(err, QD_E_ARG, "language [%.*s] not support for lower case",
                          QD_STR_ARG(lang));
    int rc = qd_part_alloc(c, sizeof(qd_part), QD_STAGE_FILTER, ops, out, err);
    if (!rc) (*out)->normalizes = true;
    return rc;
}

int qd_make_uppercase(const qd_part_conf *c, qd_part **out, qd_err *err)
{
    int rc = qd_part_alloc(c, sizeof(qd_part), QD_STAGE_FILTER, &uppercase_ops, out, err);
    if (!rc) (*out)->normalizes = true;
    return rc;
}

int qd_make_asciifolding(const qd_part_conf *c, qd_part **out, qd_err *err)
{
    bool preserve;
    int rc = qd_conf_bool(c, "preserve_original", false, &preserve, err);
    if (!rc) rc = qd_part_alloc(c, sizeof(folding), QD_STAGE_FILTER, &folding_ops, out, err);
    if (rc) return rc;
    ((folding *)*out)->preserve = preserve;
    /* Elasticsearch normalizes with the folded form alone */
    (*out)->normalizes = true;
    return 0;
}
