/*
 * decompound.c: dictionary_decompounder: words of a list that stand within a term, beside the term,
 * at its position and with its offsets.
 */
#include "analysis/builtin_int.h"
#include "analysis/filter/emit_int.h"
#include "analysis/filter/stop_int.h"
#include "base/utf8.h"

typedef struct decompounder {
    qd_part head;
    qd_wordset words;
    int64_t min_word, min, max; /* UTF-16 units: of terms, of words within */
    bool longest;
} decompounder;

static int put(qd_emit *e, size_t i, qd_span word)
{
    return qd_emit_like(e, i, word, 0);
}

/* Words of the list that begin at byte `from` of token i. */
static int words_at(const decompounder *f, qd_emit *e, size_t i, uint32_t from)
{
    qd_analysis *s = e->s;
    uint32_t end = s->b->t.term[i].to, to = from, cp;
    qd_span best = {0, 0};
    int rc = 0;
    for (int64_t units = 0; !rc && to < end;) {
        to += qd_u8_next(s->text + to, s->text + end, &cp);
        units += 1 + (cp > 0xFFFF);
        if (units > f->max) break;
        if (units < f->min || !qd_wordset_has(&f->words, s->text + from, to - from)) continue;
        best = (qd_span){from, to};
        if (!f->longest) rc = put(e, i, best);
    }
    return rc || !f->longest || !best.to ? rc : put(e, i, best);
}

static int decompound_run(const qd_part *p, qd_analysis *s, qd_err *err)
{
    (void)err;
    const decompounder *f = (const decompounder *)p;
    qd_emit e;
    int rc = qd_emit_begin(&e, s, QD_TOKENS_INC);
    for (size_t i = 0; !rc && i < s->b->t.n; i++) {
        qd_span term = s->b->t.term[i];
        rc = qd_emit_copy(&e, i);
        if ((int64_t)qd_utf8_utf16((qd_str){qd_term_ptr(s, i), qd_term_len(s, i)}) < f->min_word)
            continue;
        for (uint32_t at = term.from, cp; !rc && at < term.to;
             at += qd_u8_next(s->text + at, s->text + term.to, &cp))
            rc = words_at(f, &e, i, at);
    }
    return rc ? rc : qd_emit_end(&e);
}

static void decompound_free(qd_part *p)
{
    qd_wordset_fini(&((decompounder *)p)->words);
    qd_part_release(p);
}

static const qd_part_ops decompound_ops = {decompound_run, decompound_free, NULL};

static int longest_word(const qd_wordset *w)
{
    size_t most = 0;
    for (uint32_t i = 0; i < w->n; i++) {
        size_t n = qd_utf8_utf16(w->words[i]);
        if (n > most) most = n;
    }
    return (int)most;
}

int qd_make_dictionary_decompounder(const qd_part_conf *c, qd_part **out, qd_err *err)
{
    int64_t min_word, min, max;
    bool longest;
    if (!qd_conf_find(c, "word_list") && !qd_conf_find(c, "word_list_path"))
        return qd_err_set(err, QD_E_ARG,
                          "word_list must be provided for [%.*s], either as a path to a file, or "
                          "directly",
                          QD_STR_ARG(c->name));
    int rc = qd_conf_int(c, "min_word_size", 5, &min_word, err);
    if (!rc) rc = qd_conf_int(c, "min_subword_size", 2, &min, err);
    if (!rc) rc = qd_conf_int(c, "max_subword_size", 15, &max, err);
    if (!rc) rc = qd_conf_bool(c, "only_longest_match", false, &longest, err);
    if (rc) return rc;
    if (min_word < 0 || min < 0 || max < 0)
        return qd_err_set(err, QD_E_ARG, "%s of filter [%.*s] cannot be negative",
                          min_word < 0 ? "min_word_size"
                          : min < 0    ? "min_subword_size"
                                       : "max_subword_size",
                          QD_STR_ARG(c->name));
    rc = qd_part_alloc(c, sizeof(decompounder), QD_STAGE_FILTER, &decompound_ops, out, err);
    if (rc) return rc;
    decompounder *f = (decompounder *)*out;
    f->head.no_synonyms = true;
    f->min_word = min_word;
    f->min = min;
    f->longest = longest;
    rc = qd_words_parse(c, "word_list", NULL, false, &f->words, err);
    if (rc) {
        decompound_free(*out);
        return rc;
    }
    f->max = longest_word(&f->words); /* no longer piece of a term is looked up */
    if (max < f->max) f->max = max;
    return 0;
}
