/*
 * ngram.c: n-grams of code points: tokenizers (over the text, or over runs of the classes named by
 * token_chars) and filters (over each term). Grams are ranges of the text they come from; no byte
 * is copied.
 */
#include "analysis/builtin_int.h"
#include "analysis/filter/wordset_int.h"

typedef struct ngram {
    qd_part head;
    uint32_t min, max;
    bool edge;        /* grams begin at the start of a run or term only */
    bool preserve;    /* filter: keep terms that are too short or too long */
    bool back;        /* filter: grams end at the end of the term */
    uint32_t classes; /* tokenizer: general categories of token characters; 0 = all */
    bool space;       /* … and Java's white space */
    uint32_t *custom; /* … and these code points */
    size_t ncustom;
} ngram;

static bool token_char(const ngram *g, uint32_t cp)
{
    if (!g->classes && !g->space && !g->ncustom) return true;
    if (g->classes >> qd_char_gc(cp) & 1) return true;
    if (g->space && qd_char_space(cp)) return true;
    for (size_t i = 0; i < g->ncustom; i++)
        if (g->custom[i] == cp) return true;
    return false;
}

static int emit(qd_analysis *s, uint32_t from, uint32_t to)
{
    qd_tokens *t = &s->b->t;
    if (t->n == s->b->cap[QD_COL_TERM]) {
        int rc = qd_batch_reserve(s, s->b, t->n + 1);
        if (rc) return rc;
    }
    t->term[t->n++] = (qd_span){from, to};
    return 0;
}

/* Grams that begin at `from`, as long as token characters follow. */
static int grams_at(const ngram *g, qd_analysis *s, uint32_t from)
{
    const char *base = s->src, *p = base + from, *end = base + s->nsrc;
    for (uint32_t size = 1; size <= g->max && p < end; size++) {
        uint32_t cp, len = qd_u8_next(p, end, &cp);
        if (!token_char(g, cp)) break;
        p += len;
        if (size < g->min) continue;
        int rc = emit(s, from, (uint32_t)(p - base));
        if (rc) return rc;
    }
    return 0;
}

static int tokenizer_run(const qd_part *p, qd_analysis *s, qd_err *err)
{
    (void)err;
    const ngram *g = (const ngram *)p;
    int rc = qd_text_from_source(s);
    bool inside = false; /* the character before was a token character */
    for (uint32_t i = 0; !rc && i < s->nsrc;) {
        uint32_t cp, len = qd_u8_next(s->src + i, s->src + s->nsrc, &cp);
        bool in = token_char(g, cp);
        if (in && !(g->edge && inside)) rc = grams_at(g, s, i);
        inside = in;
        i += len;
    }
    s->shared = true;
    return rc ? rc : qd_tokenized(s, QD_TOKEN_WORD);
}

/* State of a filter's walk: where the output is, and the increment that waits for the next gram. */
typedef struct walk {
    qd_analysis *s;
    size_t k;
    uint32_t inc;
} walk;

static int put(walk *w, size_t i, qd_span term)
{
    qd_batch *to = w->s->spare;
    if (w->k == to->cap[QD_COL_TERM]) {
        to->t.n = w->k;
        int rc = qd_batch_reserve(w->s, to, w->k + 1);
        if (rc) return rc;
    }
    qd_batch_copy(to, w->k, w->s->b, i);
    to->t.term[w->k] = term;
    to->t.inc[w->k++] = w->inc;
    w->inc = 0;
    return 0;
}

/* Grams of term i. `points` is the number of its code points. */
static int term_grams(const ngram *g, walk *w, size_t i, size_t points)
{
    qd_span term = w->s->b->t.term[i];
    const char *text = w->s->text;
    uint32_t from = term.from;
    for (size_t pos = 0; pos + g->min <= points; pos++) {
        uint32_t to = from;
        for (size_t size = 1; size <= g->max && pos + size <= points; size++) {
            do to++;
            while (to < term.to && !qd_u8_start(text[to]));
            int rc = size < g->min ? 0 : put(w, i, (qd_span){from, to});
            if (rc) return rc;
        }
        if (g->edge) break;
        do from++;
        while (from < term.to && !qd_u8_start(text[from]));
    }
    return 0;
}

/* Grams at the end of term i, shortest first. */
static int back_grams(const ngram *g, walk *w, size_t i, size_t points)
{
    qd_span term = w->s->b->t.term[i];
    uint32_t from = term.to;
    for (size_t size = 1; size <= g->max && size <= points; size++) {
        do from--;
        while (!qd_u8_start(w->s->text[from]));
        int rc = size < g->min ? 0 : put(w, i, (qd_span){from, term.to});
        if (rc) return rc;
    }
    return 0;
}

static int filter_run(const qd_part *p, qd_analysis *s, qd_err *err)
{
    (void)err;
    const ngram *g = (const ngram *)p;
    int rc = qd_batch_need(s, s->b, QD_TOKENS_INC);
    if (!rc) rc = qd_batch_like(s, s->spare, s->b, s->b->t.n * 2);
    walk w = {.s = s};
    const qd_tokens *t = &s->b->t;
    for (size_t i = 0; !rc && i < t->n; i++) {
        qd_span term = t->term[i];
        size_t points = 0;
        for (uint32_t at = term.from; at < term.to; at++) points += qd_u8_start(s->text[at]);
        w.inc += t->inc[i];
        if (g->preserve && points < g->min) {
            rc = put(&w, i, term);
            continue;
        }
        rc = g->back ? back_grams(g, &w, i, points) : term_grams(g, &w, i, points);
        if (!rc && g->preserve && points > g->max) {
            uint32_t inc = w.inc;
            w.inc = 0;
            rc = put(&w, i, term);
            w.inc = inc;
        }
    }
    s->spare->t.n = w.k;
    s->spare->t.end_inc = w.inc; /* as Lucene: what the filters before left there is lost */
    s->shared = true;
    if (!rc) qd_analysis_swap(s);
    return rc;
}

static void ngram_free(qd_part *p)
{
    qd_free(((ngram *)p)->custom);
    qd_part_release(p);
}

static const qd_part_ops tokenizer_ops = {tokenizer_run, ngram_free, NULL};
static const qd_part_ops filter_ops = {filter_run, ngram_free, NULL};

static int custom_chars(const qd_part_conf *c, ngram *g, qd_err *err)
{
    const qd_analysis_setting *v = qd_conf_find(c, "custom_token_chars");
    if (!v || !v->nvalues)
        return qd_err_set(err, QD_E_ARG,
                          "Token type: 'custom' requires setting `custom_token_chars`");
    qd_str set = v->values[0];
    g->custom = qd_alloc(NULL, (set.n + 1) * sizeof *g->custom);
    if (!g->custom) return qd_err_nomem(err, "custom_token_chars");
    for (const char *p = set.p; p < set.p + set.n;)
        p += qd_u8_next(p, set.p + set.n, &g->custom[g->ncustom++]);
    return 0;
}

static int token_chars(const qd_part_conf *c, ngram *g, qd_err *err)
{
    static const struct {
        const char *name;
        uint32_t classes;
    } known[] = {
        {"letter", QD_GC_LETTER},
        {"digit", QD_GC_BIT(QD_GC_ND)},
        {"whitespace", 0},
        {"punctuation", QD_GC_PUNCT},
        {"symbol", QD_GC_BIT(QD_GC_SM) | QD_GC_BIT(QD_GC_SC) | QD_GC_BIT(QD_GC_SO)},
        {"custom", 0},
    };
    qd_str name;
    for (size_t k = 0; qd_conf_list(c, "token_chars", k, &name); k++) {
        size_t i = 0;
        while (i < QD_COUNT_OF(known) && !qd_str_ieq(name, qd_str_c(known[i].name))) i++;
        if (i == QD_COUNT_OF(known))
            return qd_err_set(
                err, QD_E_ARG,
                "Unknown token type: '%.*s', must be one of [letter, digit, whitespace, "
                "punctuation, symbol, custom]",
                QD_STR_ARG(name));
        g->classes |= known[i].classes;
        g->space |= i == 2;
        int rc = i == 5 && !g->custom ? custom_chars(c, g, err) : 0;
        if (rc) return rc;
    }
    return 0;
}

static int sizes(const qd_part_conf *c, bool edge, int64_t max_def, int64_t *min, int64_t *max,
                 qd_err *err)
{
    int rc = qd_conf_int(c, "min_gram", 1, min, err);
    if (!rc) rc = qd_conf_int(c, "max_gram", max_def, max, err);
    if (rc) return rc;
    if (!edge && *max - *min > c->max_ngram_diff)
        return qd_err_set(
            err, QD_E_ARG,
            "The difference between max_gram and min_gram in NGram Tokenizer must be less than "
            "or equal to: [%lld] but was [%lld]. This limit can be set by changing the "
            "[index.max_ngram_diff] index level setting.",
            (long long)c->max_ngram_diff, (long long)(*max - *min));
    if (*min < 1) return qd_err_set(err, QD_E_ARG, "minGram must be greater than zero");
    if (*min > *max) return qd_err_set(err, QD_E_ARG, "minGram must not be greater than maxGram");
    return 0;
}

static int make_tokenizer(const qd_part_conf *c, bool edge, qd_part **out, qd_err *err)
{
    int64_t min, max;
    int rc = sizes(c, edge, 2, &min, &max, err);
    if (!rc) rc = qd_part_alloc(c, sizeof(ngram), QD_STAGE_TOKENIZER, &tokenizer_ops, out, err);
    if (rc) return rc;
    ngram *g = (ngram *)*out;
    g->min = (uint32_t)min;
    g->max = (uint32_t)max;
    g->edge = edge;
    if ((rc = token_chars(c, g, err))) ngram_free(*out);
    return rc;
}

static int make_filter(const qd_part_conf *c, bool edge, qd_part **out, qd_err *err)
{
    int64_t min, max;
    bool preserve;
    qd_str side = qd_conf_str(c, "side", "front");
    /* the pre-configured edge_ngram has grams of one character only */
    int rc = sizes(c, edge, edge && c->prebuilt ? 1 : 2, &min, &max, err);
    if (!rc) rc = qd_conf_bool(c, "preserve_original", false, &preserve, err);
    if (!rc && edge && !qd_str_is(side, "front") && !qd_str_is(side, "back"))
        rc = qd_err_set(err, QD_E_ARG, "invalid side: %.*s", QD_STR_ARG(side));
    if (!rc) rc = qd_part_alloc(c, sizeof(ngram), QD_STAGE_FILTER, &filter_ops, out, err);
    if (rc) return rc;
    ngram *g = (ngram *)*out;
    g->min = (uint32_t)min;
    g->max = (uint32_t)max;
    g->edge = edge;
    g->preserve = preserve;
    g->back = edge && qd_str_is(side, "back");
    (*out)->no_synonyms = true;
    return 0;
}

int qd_make_ngram_tokenizer(const qd_part_conf *c, qd_part **out, qd_err *err)
{
    return make_tokenizer(c, false, out, err);
}
int qd_make_edge_ngram_tokenizer(const qd_part_conf *c, qd_part **out, qd_err *err)
{
    return make_tokenizer(c, true, out, err);
}
int qd_make_ngram(const qd_part_conf *c, qd_part **out, qd_err *err)
{
    return make_filter(c, false, out, err);
}
int qd_make_edge_ngram(const qd_part_conf *c, qd_part **out, qd_err *err)
{
    return make_filter(c, true, out, err);
}
