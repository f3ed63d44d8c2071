/*
 * cjk_bigram.c: pairs of neighbouring ideographs, kana and Hangul syllables, with what is alone as
 * it is; `output_unigrams` gives each of them, too.
 */
#include "analysis/builtin_int.h"
#include "analysis/filter/emit_int.h"

typedef struct bigrams {
    qd_part head;
    uint32_t types; /* bits of the token types that are paired */
    bool unigrams;
} bigrams;

/* A run of neighbours. */
typedef struct run {
    qd_emit e;
    size_t first, n; /* its code points, in the work area */
    uint32_t end;    /* the offset behind it */
} run;

typedef struct point {
    qd_span term, offset;
} point;

static int put(run *r, size_t i, size_t count)
{
    const point *p = (const point *)r->e.s->work + i;
    qd_span term = {p[0].term.from, p[count - 1].term.to};
    /* two tokens of one run need not stand side by side in the text area */
    if (count == 2 && p[0].term.to != p[1].term.from) {
        char both[8];
        uint32_t a = p[0].term.to - p[0].term.from, b = p[1].term.to - p[1].term.from;
        memcpy(both, r->e.s->text + p[0].term.from, a);
        memcpy(both + a, r->e.s->text + p[1].term.from, b);
        int rc = qd_text_add(r->e.s, both, a + b, &term);
        if (rc) return rc;
    }
    qd_emit_token t = {.term = term,
                       .offset = {p[0].offset.from, p[count - 1].offset.to},
                       .inc = 1,
                       .length = 1,
                       .type = count == 2 ? QD_TOKEN_DOUBLE : QD_TOKEN_SINGLE};
    return qd_emit_put(&r->e, &t);
}

/* Writes the run. */
static int flush(run *r, bool unigrams)
{
    int rc = 0;
    if (r->n == 1) rc = put(r, 0, 1);
    for (size_t i = 0; !rc && r->n > 1 && i + (unigrams ? 0 : 1) < r->n; i++) {
        if (unigrams) rc = put(r, i, 1);
        if (rc || i + 1 == r->n) break;
        rc = put(r, i, 2);
        if (!unigrams || rc) continue;
        r->e.to->t.inc[r->e.to->t.n - 1] = 0;
        r->e.to->t.length[r->e.to->t.n - 1] = 2;
    }
    r->n = 0;
    return rc;
}

/* Takes the code points of token i into the run. */
static int take(run *r, size_t i)
{
    qd_analysis *s = r->e.s;
    const qd_tokens *t = &s->b->t;
    qd_span term = t->term[i], off = t->offset[i];
    int rc = qd_work_reserve(s, (r->n + (term.to - term.from)) * sizeof(point));
    if (rc) return rc;
    bool split = off.to - off.from == qd_offset_length(s, term);
    for (uint32_t at = term.from, o = off.from; at < term.to;) {
        uint32_t cp, len = qd_u8_next(s->text + at, s->text + term.to, &cp);
        uint32_t next = o + (s->offsets_done ? 1 + (cp > 0xFFFF) : len);
        ((point *)s->work)[r->n++] = (point){{at, at + len}, split ? (qd_span){o, next} : off};
        at += len;
        o = next;
    }
    r->end = off.to;
    return 0;
}

static int bigrams_run(const qd_part *p, qd_analysis *s, qd_err *err)
{
    (void)err;
    const bigrams *f = (const bigrams *)p;
    run r = {.end = UINT32_MAX};
    int rc = qd_emit_begin(&r.e, s,
                           QD_TOKENS_OFFSETS | QD_TOKENS_INC | QD_TOKENS_TYPE |
                               (f->unigrams ? QD_TOKENS_LENGTH : 0));
    const qd_tokens *t = &s->b->t;
    bool first = true;
    for (size_t i = 0; !rc && i < t->n; i++) {
        uint32_t type = t->type[i];
        bool pairs = type < 32 && f->types >> type & 1;
        if (pairs && (first || t->offset[i].from != r.end)) rc = flush(&r, f->unigrams);
        if (!pairs) rc = flush(&r, f->unigrams);
        if (!rc) rc = pairs ? take(&r, i) : qd_emit_copy(&r.e, i);
        first = first && !pairs;
    }
    if (!rc) rc = flush(&r, f->unigrams);
    if (!rc) rc = qd_emit_end(&r.e);
    s->b->t.flat |= f->unigrams;
    return rc;
}

static const qd_part_ops bigrams_ops = {bigrams_run, qd_part_release, NULL};

int qd_make_cjk_bigram(const qd_part_conf *c, qd_part **out, qd_err *err)
{
    static const struct {
        const char *name;
        uint32_t type;
    } scripts[] = {{"han", QD_TOKEN_IDEOGRAPHIC},
                   {"hiragana", QD_TOKEN_HIRAGANA},
                   {"katakana", QD_TOKEN_KATAKANA},
                   {"hangul", QD_TOKEN_HANGUL}};
    bool unigrams;
    qd_str name;
    uint32_t types = 0;
    for (size_t i = 0; i < QD_COUNT_OF(scripts); i++) types |= 1u << scripts[i].type;
    int rc = qd_conf_bool(c, "output_unigrams", false, &unigrams, err);
    if (rc) return rc;
    for (size_t k = 0; qd_conf_list(c, "ignored_scripts", k, &name); k++) {
        size_t i = 0;
        while (i < QD_COUNT_OF(scripts) && !qd_str_is(name, scripts[i].name)) i++;
        if (i < QD_COUNT_OF(scripts)) types &= ~(1u << scripts[i].type);
    }
    rc = qd_part_alloc(c, sizeof(bigrams), QD_STAGE_FILTER, &bigrams_ops, out, err);
    if (rc) return rc;
    (*out)->want = QD_ANALYZE_OFFSETS | QD_ANALYZE_TYPES;
    (*out)->no_synonyms = true;
    ((bigrams *)*out)->types = types;
    ((bigrams *)*out)->unigrams = unigrams;
    return 0;
}
