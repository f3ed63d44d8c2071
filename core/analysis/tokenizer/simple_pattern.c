/*
 * simple_pattern.c: the tokenizers simple_pattern and simple_pattern_split: the longest matches of
 * a regular expression of Lucene's syntax, one behind the other, or the text between them. One
 * automaton looks, so there are no groups and nothing is tried again.
 */
#include "analysis/builtin_int.h"
#include "analysis/regex/pattern_int.h"
#include "automaton/automaton.h"

typedef struct simple {
    qd_part head;
    qd_automaton *pattern;
    bool split;
} simple;

/* End of the longest match at `from`; `from` where only the empty text matches, or nothing. */
static size_t longest(const qd_automaton *a, qd_str text, size_t from, uint64_t *budget)
{
    uint32_t state = a->start;
    size_t last = from;
    for (size_t i = from; i < text.n && state != QD_AUTOMATON_DEAD; i++) {
        if (!*budget) break;
        --*budget;
        state = qd_automaton_step(a, state, (uint8_t)text.p[i]);
        if (qd_automaton_accepts(a, state)) last = i + 1;
    }
    return last;
}

static int emit(qd_analysis *s, size_t from, size_t to)
{
    qd_tokens *t = &s->b->t;
    if (from == to) return 0;
    if (t->n == s->b->cap[QD_COL_TERM] && qd_batch_reserve(s, s->b, t->n + 1)) return QD_E_NOMEM;
    t->term[t->n++] = (qd_span){(uint32_t)from, (uint32_t)to};
    return 0;
}

static int simple_run(const qd_part *p, qd_analysis *s, qd_err *err)
{
    const simple *f = (const simple *)p;
    uint64_t budget = qd_pattern_budget(s->nsrc);
    qd_str text = {s->src, s->nsrc};
    size_t rest = 0; /* end of the last match */
    int rc = qd_text_from_source(s);
    for (size_t at = 0; !rc && at < text.n;) {
        uint32_t cp;
        size_t end = longest(f->pattern, text, at, &budget);
        if (!budget) return qd_pattern_too_long(err);
        if (end == at) {
            at += qd_u8_next(text.p + at, text.p + text.n, &cp);
            continue;
        }
        rc = f->split ? emit(s, rest, at) : emit(s, at, end);
        at = rest = end;
    }
    if (!rc && f->split) rc = emit(s, rest, text.n);
    return rc ? rc : qd_tokenized(s, QD_TOKEN_WORD);
}

static void simple_free(qd_part *p)
{
    qd_automaton_free(((simple *)p)->pattern);
    qd_part_release(p);
}

static const qd_part_ops simple_ops = {simple_run, simple_free, NULL};

static int make(const qd_part_conf *c, bool split, qd_part **out, qd_err *err)
{
    qd_automaton *a = NULL;
    qd_str pattern = qd_conf_str(c, "pattern", "");
    int rc = qd_automaton_regexp(pattern, QD_REGEXP_ALL, false, 0, NULL, &a, err);
    if (!rc) rc = qd_part_alloc(c, sizeof(simple), QD_STAGE_TOKENIZER, &simple_ops, out, err);
    if (rc) {
        qd_automaton_free(a);
        return rc;
    }
    ((simple *)*out)->pattern = a;
    ((simple *)*out)->split = split;
    return 0;
}

int qd_make_simple_pattern(const qd_part_conf *c, qd_part **out, qd_err *err)
{
    return make(c, false, out, err);
}
int qd_make_simple_pattern_split(const qd_part_conf *c, qd_part **out, qd_err *err)
{
    return make(c, true, out, err);
}
