/*
 * tokenizers.c: standard, whitespace, keyword, letter, lowercase. All but standard cut over-long
 * tokens as Lucene's CharTokenizer does: at max_token_length UTF-16 units the rest begins a new
 * token.
 */
#include "analysis/builtin_int.h"
#include "analysis/tokenizer/standard_int.h"

enum { CLASS_SPACE, CLASS_LETTER };

typedef struct tokenizer {
    qd_part head;
    uint32_t max_units;
    uint8_t class; /* CLASS_ */
    bool lower;
} tokenizer;

static int standard_run(const qd_part *p, qd_analysis *s, qd_err *err)
{
    (void)err;
    return qd_standard_run(s, ((const tokenizer *)p)->max_units, false);
}

static int keyword_run(const qd_part *p, qd_analysis *s, qd_err *err)
{
    (void)p;
    (void)err;
    int rc = qd_text_from_source(s);
    if (rc) return rc;
    qd_tokens *t = &s->b->t;
    if ((rc = qd_batch_reserve(s, s->b, 1))) return rc;
    t->n = 1; /* an empty text is one empty token, as with Lucene */
    t->term[0] = (qd_span){0, (uint32_t)s->nsrc};
    return qd_tokenized(s, QD_TOKEN_WORD);
}

/* Members of the classes below 128. */
static const uint64_t ascii[2][2] = {
    [CLASS_SPACE] = {~0x1F0003E00ull, ~0ull},
    [CLASS_LETTER] = {0, 0x07FFFFFE07FFFFFEull},
};

/* Lucene's CharTokenizer: runs of code points of a class, cut at max_units (a supplementary code
 * point may stand over the line by one unit). */
static int class_run(const qd_part *p, qd_analysis *s, qd_err *err)
{
    (void)err;
    const tokenizer *k = (const tokenizer *)p;
    qd_tokens *t = &s->b->t;
    int rc = qd_text_from_source(s);
    if (rc) return rc;
    const char *base = s->src, *end = base + s->nsrc;
    uint32_t start = 0, units = 0;
    for (const char *q = base; q < end;) {
        uint32_t cp, len = qd_u8_next(q, end, &cp);
        bool in = cp < 128                  ? ascii[k->class][cp >> 6] >> (cp & 63) & 1
                  : k->class == CLASS_SPACE ? !qd_char_space(cp)
                                            : qd_char_letter(cp);
        uint32_t at = (uint32_t)(q - base);
        q += len;
        if (in) {
            if (!units) start = at;
            units += 1 + (cp > 0xFFFF);
            if (units < k->max_units) continue;
            at += len;
        } else if (!units) {
            continue;
        }
        if (t->n == s->b->cap[QD_COL_TERM] && qd_batch_reserve(s, s->b, t->n + 1))
            return QD_E_NOMEM;
        t->term[t->n++] = (qd_span){start, at};
        units = 0;
    }
    if (units) {
        if ((rc = qd_batch_reserve(s, s->b, t->n + 1))) return rc;
        t->term[t->n++] = (qd_span){start, (uint32_t)s->nsrc};
    }
    if ((rc = qd_tokenized(s, QD_TOKEN_WORD))) return rc;
    return k->lower ? qd_lower_run(s) : 0;
}

static const qd_part_ops standard_ops = {standard_run, qd_part_release, NULL};
static const qd_part_ops keyword_ops = {keyword_run, qd_part_release, NULL};
static const qd_part_ops class_ops = {class_run, qd_part_release, NULL};

bool qd_part_is_standard(const qd_part *p, uint32_t *max_units)
{
    if (p->ops != &standard_ops) return false;
    if (max_units) *max_units = ((const tokenizer *)p)->max_units;
    return true;
}

static int make(const qd_part_conf *c, const qd_part_ops *ops, uint8_t class, bool lower,
                qd_part **out, qd_err *err)
{
    int64_t max;
    int rc = qd_conf_int(c, "max_token_length", 255, &max, err);
    if (rc) return rc;
    if (ops != &keyword_ops && (max < 1 || max > 1048576))
        return qd_err_set(err, QD_E_ARG,
                          "maxTokenLen must be greater than 0 and less than 1048576 passed: %lld",
                          (long long)max);
    if ((rc = qd_part_alloc(c, sizeof(tokenizer), QD_STAGE_TOKENIZER, ops, out, err))) return rc;
    tokenizer *k = (tokenizer *)*out;
    k->max_units = (uint32_t)max;
    k->class = class;
    k->lower = lower;
    return 0;
}

int qd_make_standard(const qd_part_conf *c, qd_part **out, qd_err *err)
{
    return make(c, &standard_ops, 0, false, out, err);
}
int qd_make_keyword(const qd_part_conf *c, qd_part **out, qd_err *err)
{
    return make(c, &keyword_ops, 0, false, out, err);
}
int qd_make_whitespace(const qd_part_conf *c, qd_part **out, qd_err *err)
{
    return make(c, &class_ops, CLASS_SPACE, false, out, err);
}
int qd_make_letter(const qd_part_conf *c, qd_part **out, qd_err *err)
{
    return make(c, &class_ops, CLASS_LETTER, false, out, err);
}
int qd_make_lowercase_tokenizer(const qd_part_conf *c, qd_part **out, qd_err *err)
{
    return make(c, &class_ops, CLASS_LETTER, true, out, err);
}
