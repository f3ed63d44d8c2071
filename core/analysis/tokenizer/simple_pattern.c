/*
 * simple_pattern.c: terms that match a regular expression of Lucene's syntax, or with
 * simple_pattern_split what stands between them; the longest match counts at each place. The
 * expression is an automaton, so that a step is a look-up in a table.
 */
#include "analysis/builtin_int.h"
#include "analysis/regex/pattern_int.h"
#include "segment/automaton.h"

typedef struct simple {
    qd_part head;
    qd_automaton *a;
    bool split;
} simple;

/* The length of the longest match at p, at least one byte, or 0. *stopped: before the end. */
static size_t longest(const qd_automaton *a, const char *p, size_t n, bool *stopped)
{
    uint32_t state = a->start;
    size_t found = 0, i = 0;
    while (i < n && (state = qd_automaton_step(a, state, (uint8_t)p[i])) != QD_AUTOMATON_DEAD) {
        i++;
        if (qd_automaton_accepts(a, state)) found = i;
    }
    *stopped = i < n;
    return found;
}

static int put(qd_analysis *s, size_t from, size_t to)
{
    qd_tokens *t = &s->b->t;
    if (t->n == s->b->cap[QD_COL_TERM] && qd_batch_reserve(s, s->b, t->n + 1)) return QD_E_NOMEM;
    t->term[t->n++] = (qd_span){(uint32_t)from, (uint32_t)to};
    return 0;
}

static int simple_run(const qd_part *p, qd_analysis *s, qd_err *err)
{
    const simple *f = (const simple *)p;
    uint64_t budget = qd_pattern_budget(s->nsrc);
    int rc = qd_text_from_source(s);
    size_t start = 0, i = 0;
    while (!rc && i < s->nsrc) {
        bool stopped;
        size_t n = longest(f->a, s->src + i, s->nsrc - i, &stopped);
        size_t cost = stopped ? n + 16 : s->nsrc - i;
        if (cost > budget) return qd_pattern_too_long(err);
        budget -= cost;
        if (n) {
            if (!f->split)
                rc = put(s, i, i + n);
            else if (i > start)
                rc = put(s, start, i);
            start = i += n;
            continue;
        }
        /* Lucene looks no further once a try has come to the end of the text */
        if (!stopped) break;
        uint32_t cp;
        i += qd_u8_next(s->src + i, s->src + s->nsrc, &cp);
    }
    if (!rc && f->split && start < s->nsrc) rc = put(s, start, s->nsrc);
    return rc ? rc : qd_tokenized(s, QD_TOKEN_WORD);
}

static void simple_free(qd_part *p)
{
    qd_automaton_free(((simple *)p)->a);
    qd_part_release(p);
}

static const qd_part_ops simple_ops = {simple_run, simple_free, NULL};

static int make(const qd_part_conf *c, bool split, qd_part **out, qd_err *err)
{
    qd_str pattern = qd_conf_str(c, "pattern", "");
    qd_automaton *a;
    if (pattern.n > 4096)
        return qd_err_set(err, QD_E_ARG, "[pattern] of [%.*s] has more than 4096 bytes",
                          QD_STR_ARG(c->name));
    int rc = qd_automaton_regexp(pattern, QD_REGEXP_ALL, false, 0, NULL, &a, err);
    if (rc) return rc;
    rc = qd_part_alloc(c, sizeof(simple), QD_STAGE_TOKENIZER, &simple_ops, out, err);
    if (rc) {
        qd_automaton_free(a);
        return rc;
    }
    ((simple *)*out)->a = a;
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
