/*
 * phrase.c: a text corrected as a whole, by a noisy channel: candidates of each word (direct
 * generators), scored by how near they are and by a language model over the words and n-grams of
 * the field (Kernighan, Church and Gale 1990; stupid backoff: Brants et al. 2007), in the order of
 * operations of Elasticsearch's phrase suggester.
 */
#include "action/suggest/suggest_int.h"
#include "base/utf8.h"
#include "segment/terms.h"
#include <math.h>
#include <stdlib.h>

#define STEPS_MAX 200000u /* candidates of all paths that are scored */

typedef struct candidate {
    qd_str term;
    uint64_t df, ttf;
    double channel, score;
    bool input; /* as the text has it */
} candidate;

typedef struct word {
    candidate original;
    candidate *at;
    uint32_t n;
} word;

typedef struct correction {
    double score;
    const candidate **path;
} correction;

typedef struct speller {
    const qdi_suggestion *s;
    const qdi_suggest_shard *x;
    const qdi_generator *generators;
    uint32_t ngenerators, gram_size;
    double vocabulary, terms; /* of the field: occurrences, distinct terms */
    word *words;
    uint32_t nwords;
    correction *best; /* worst first in no order but the least at 0 is looked for */
    uint32_t nbest;
    double cutoff;
    uint32_t steps;
    const candidate **path;
    qd_err *err;
} speller;

/* --- statistics --------------------------------------------------------------------------------
 */

static int frequency(const speller *p, qd_str field, qd_str term, uint64_t *df, uint64_t *ttf)
{
    return qd_spell_frequency(p->x->searcher, field, term, df, ttf, p->err);
}

static double occurrences(const speller *p, qd_str field)
{
    qd_collection_stats st;
    qd_searcher_field_stats(p->x->searcher, field, &st);
    return (double)st.sum_total_term_freq;
}

/* Distinct terms, where one segment has all of them. */
static double distinct(const speller *p)
{
    const qd_searcher *s = p->x->searcher;
    if (qd_searcher_leaves(s) != 1) return (double)qd_searcher_docs(s);
    qd_segment *seg = qd_searcher_leaf(s, 0)->segment;
    uint32_t f = qd_segment_field_find(seg, p->s->field);
    return f == QD_FIELD_NONE ? 0 : (double)qd_segment_index_stats(seg, f)->terms;
}

/* --- candidates --------------------------------------------------------------------------------
 */

static double score_of(const speller *p, const qdi_generator *g, uint64_t ttf, double channel)
{
    return channel * (((double)ttf + 1) / (occurrences(p, g->field) + 1));
}

/* The last word that an analyzer makes of a term; *out is the term itself without one. */
static int filtered(const speller *p, qd_str analyzer, qd_str term, qd_str *out)
{
    const qd_tokens *t;
    *out = term;
    if (!analyzer.p) return 0;
    const qd_analyzer *a = qdi_suggest_analyzer(p->x, analyzer, p->s->field, p->err);
    if (!a) return QD_E_ARG;
    int rc = qd_analyzer_run(a, p->x->analysis, term, 0, &t, p->err);
    if (rc) return rc;
    *out = (qd_str){"", 0};
    if (t->n) *out = qd_arena_str(p->x->arena, qd_tokens_term(t, t->n - 1));
    return out->p ? 0 : qd_err_nomem(p->err, "suggestions");
}

static int push(word *w, candidate c, qd_arena *arena, qd_err *err)
{
    for (uint32_t i = 0; i < w->n; i++)
        if (qd_str_eq(w->at[i].term, c.term)) return 0;
    if (w->n % 16 == 0) {
        candidate *more = qd_arena_alloc(arena, ((size_t)w->n + 16) * sizeof *more);
        if (!more) return qd_err_nomem(err, "suggestions");
        if (w->n) memcpy(more, w->at, w->n * sizeof *more);
        w->at = more;
    }
    w->at[w->n++] = c;
    return 0;
}

/* A word found, as the generator's post filter lets it through. */
static int add_found(speller *p, const qdi_generator *g, const qd_spell_word *f, word *w)
{
    candidate c = {.term = f->text, .channel = (double)f->score};
    const qd_tokens *t;
    int rc = frequency(p, g->field, f->text, &c.df, &c.ttf);
    if (rc) return rc;
    c.score = score_of(p, g, c.ttf, c.channel);
    if (!g->post_filter.p) return push(w, c, p->x->arena, p->err);
    const qd_analyzer *a = qdi_suggest_analyzer(p->x, g->post_filter, p->s->field, p->err);
    if (!a) return QD_E_ARG;
    rc = qd_analyzer_run(a, p->x->analysis, f->text, 0, &t, p->err);
    for (size_t i = 0; !rc && i < t->n; i++) {
        candidate made = c;
        qd_str term = qd_tokens_term(t, i);
        bool same = qd_tokens_inc(t, i) > 0 && qd_str_eq(term, f->text);
        made.term = qd_arena_str(p->x->arena, term);
        if (!made.term.p) return qd_err_nomem(p->err, "suggestions");
        if (!same) made.channel = p->s->real_word_error;
        rc = push(w, made, p->x->arena, p->err);
    }
    return rc;
}

/* Documents that a candidate has more than, when the word itself has so many; rises faster. */
static double threshold(uint64_t df)
{
    double d = (double)df;
    return df ? fmax(0, round(d * (log10(d) / log10(5.0)) + 1)) : 0;
}

static int draw(speller *p, const qdi_generator *g, word *w)
{
    qd_spell_options o = g->spell;
    qd_spell_word *found;
    uint32_t n;
    qd_str term;
    int rc = filtered(p, g->pre_filter, w->original.term, &term);
    if (rc) return rc;
    if (o.mode != QD_SPELL_ALWAYS) {
        double least = threshold(w->original.df);
        if (least > (double)qd_searcher_docs(p->x->searcher)) return 0;
        if (least > 0) o.min_doc_freq = (float)least;
    }
    rc = qd_spell_suggest(p->x->searcher, g->field, term, &o, g->size, p->x->arena, p->x->task,
                          &found, &n, p->err);
    for (uint32_t i = 0; i < n && !rc; i++) rc = add_found(p, g, &found[i], w);
    return rc;
}

static int by_score(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return qd_str_cmp(x->term, y->term);
}

static int candidates(speller *p)
{
    for (uint32_t i = 0; i < p->nwords; i++) {
        word *w = &p->words[i];
        for (uint32_t g = 0; g < p->ngenerators; g++) {
            int rc = draw(p, &p->generators[g], w);
            if (rc) return rc;
        }
        qsort(w->at, w->n, sizeof *w->at, by_score);
        if (w->n > p->s->shard_size) w->n = p->s->shard_size;
    }
    return 0;
}

/* --- the language model ------------------------------------------------------------------------
 */

static int joined(const speller *p, const qd_str *words, uint32_t n, double *out)
{
    qd_arena_mark mark = qd_arena_mark_get(p->x->arena);
    size_t bytes = 1, used = 0;
    uint64_t df, ttf = 0;
    for (uint32_t i = 0; i < n; i++) bytes += words[i].n + p->s->separator.n;
    char *at = qd_arena_bytes(p->x->arena, bytes);
    if (!at) return qd_err_nomem(p->err, "suggestions");
    for (uint32_t i = 0; i < n; i++) {
        if (i && p->s->separator.n) memcpy(at + used, p->s->separator.p, p->s->separator.n);
        used += i ? p->s->separator.n : 0;
        if (words[i].n) memcpy(at + used, words[i].p, words[i].n);
        used += words[i].n;
    }
    int rc = frequency(p, p->s->field, (qd_str){at, used}, &df, &ttf);
    qd_arena_mark_release(p->x->arena, mark);
    *out = (double)ttf;
    return rc;
}

#define TINY 0.00000000001

static int unigram(const speller *p, const candidate *w, double *out)
{
    double alpha = p->s->smoothing == QDI_LAPLACE ? p->s->alpha : 1, f;
    int rc = joined(p, &w->term, 1, &f);
    double of = p->s->smoothing == QDI_LAPLACE ? alpha * p->terms : p->terms;
    *out = (alpha + f) / (p->vocabulary + of);
    return rc;
}

static int bigram(const speller *p, const candidate *w, const candidate *before, double *out)
{
    const qd_str both[] = {before->term, w->term};
    double count, one;
    int rc = joined(p, both, 2, &count);
    if (!rc) rc = unigram(p, w, &one);
    if (rc) return rc;
    if (p->s->smoothing == QDI_LAPLACE)
        *out = (p->s->alpha + count) / ((double)before->ttf + p->s->alpha * p->terms);
    else if (p->s->smoothing == QDI_LINEAR_INTERPOLATION)
        *out = (count < 1 ? 0 : p->s->bigram * (count / (0.5 + (double)before->ttf))) +
               p->s->unigram * one;
    else
        *out = count < 1 ? p->s->discount * one : count / ((double)before->ttf + TINY);
    return 0;
}

static int trigram(const speller *p, const candidate *w, const candidate *before,
                   const candidate *first, double *out)
{
    const qd_str all[] = {first->term, before->term, w->term};
    double three, last = 0, two = 0, lower;
    int rc = joined(p, all, 3, &three);
    if (!rc) rc = joined(p, all + 1, 2, &last);
    if (!rc && p->s->smoothing == QDI_LINEAR_INTERPOLATION) rc = joined(p, all, 2, &two);
    if (!rc) rc = bigram(p, w, before, &lower);
    if (rc) return rc;
    if (p->s->smoothing == QDI_LAPLACE)
        *out = (p->s->alpha + three) / (last + p->s->alpha * p->terms);
    else if (p->s->smoothing == QDI_LINEAR_INTERPOLATION)
        *out = three < 1 ? lower : p->s->trigram * (three / (1.0 + two)) + lower;
    else if (last < 1)
        return rc = unigram(p, w, &lower), *out = p->s->discount * lower, rc;
    else if (three < 1)
        *out = p->s->discount * (last / ((double)before->ttf + TINY));
    else
        *out = three / (last + TINY);
    return 0;
}

static int score_at(speller *p, const candidate *const *path, uint32_t at, double *out)
{
    const candidate *w = path[at];
    double channel = w->channel == 1 ? p->s->real_word_error : w->channel, model = 0;
    int rc;
    if (++p->steps % 256 == 0 && p->x->task) {
        rc = qd_task_check(p->x->task, p->err);
        if (rc) return rc;
    }
    if (at == 0 || p->gram_size == 1)
        rc = unigram(p, w, &model);
    else if (at == 1 || p->gram_size == 2)
        rc = bigram(p, w, path[at - 1], &model);
    else
        rc = trigram(p, w, path[at - 1], path[at - 2], &model);
    *out = log10(channel * model);
    return rc;
}

/* --- paths -------------------------------------------------------------------------------------
 */

/* Does a come after b in an answer? Equal scores: by words. */
static bool worse(const speller *p, double a, const candidate *const *x, const correction *b)
{
    if (a != b->score) return a < b->score;
    for (uint32_t i = 0; i < p->nwords; i++) {
        int cmp = qd_str_cmp(x[i]->term, b->path[i]->term);
        if (cmp) return cmp > 0;
    }
    return false;
}

static int keep_path(speller *p, double score)
{
    uint32_t at = p->nbest;
    if (!(score > p->cutoff)) return 0;
    while (at && !worse(p, score, p->path, &p->best[at - 1])) at--;
    if (at == p->s->shard_size) return 0;
    const candidate **copy;
    if (p->nbest == p->s->shard_size)
        copy = p->best[--p->nbest].path;
    else
        copy = qd_arena_alloc(p->x->arena, p->nwords * sizeof *copy);
    if (!copy) return qd_err_nomem(p->err, "suggestions");
    memcpy(copy, p->path, p->nwords * sizeof *copy);
    memmove(p->best + at + 1, p->best + at, (p->nbest - at) * sizeof *p->best);
    p->best[at] = (correction){score, copy};
    p->nbest++;
    return 0;
}

static int follow(speller *p, uint32_t at, uint32_t errors, double before)
{
    const word *w = &p->words[at];
    for (uint32_t i = 0; i <= (errors ? w->n : 0); i++) {
        double here;
        if (p->steps > STEPS_MAX) return 0; /* what was found by now is the answer */
        p->path[at] = i ? &w->at[i - 1] : &w->original;
        int rc = score_at(p, p->path, at, &here);
        if (!rc && at + 1 == p->nwords)
            rc = keep_path(p, exp(before + here));
        else if (!rc)
            rc = follow(p, at + 1, errors - (i && errors ? 1 : 0), before + here);
        if (rc) return rc;
    }
    return 0;
}

static int correct(speller *p)
{
    const qdi_suggestion *s = p->s;
    uint32_t errors = s->max_errors >= 1 ? (uint32_t)s->max_errors
                                         : (uint32_t)lroundf(s->max_errors * (float)p->nwords);
    p->path = qd_arena_calloc(p->x->arena, ((size_t)p->nwords + 1) * sizeof *p->path);
    p->best = qd_arena_calloc(p->x->arena, ((size_t)s->shard_size + 2) * sizeof *p->best);
    if (!p->path || !p->best) return qd_err_nomem(p->err, "suggestions");
    p->cutoff = 4.9e-324;
    if (s->confidence > 0) {
        double sum = 0, one;
        for (uint32_t i = 0; i < p->nwords; i++) p->path[i] = &p->words[i].original;
        for (uint32_t i = 0; i < p->nwords; i++) {
            int rc = score_at(p, p->path, i, &one);
            if (rc) return rc;
            sum += one;
        }
        p->cutoff = exp(sum) * s->confidence;
    }
    return follow(p, 0, errors ? errors : 1, 0);
}

/* --- the text ----------------------------------------------------------------------------------
 */

static int make_candidate(const speller *p, qd_str term, candidate *out)
{
    const qdi_generator *g = &p->generators[0];
    qd_str of;
    *out = (candidate){.term = term, .channel = 1, .input = true};
    int rc = filtered(p, g->pre_filter, term, &of);
    if (!rc) rc = frequency(p, g->field, of, &out->df, &out->ttf);
    out->score = score_of(p, g, out->ttf, 1);
    return rc;
}

static int read_text(speller *p, const qd_analyzer *a)
{
    const qd_tokens *t;
    bool any = false;
    int rc = qd_analyzer_run(a, p->x->analysis, p->s->text, QD_ANALYZE_OFFSETS, &t, p->err);
    if (rc) return rc;
    size_t n = t->n;
    qd_str *terms = qd_arena_alloc(p->x->arena, (n + 1) * sizeof *terms);
    bool *beside = qd_arena_calloc(p->x->arena, n + 1);
    p->words = qd_arena_calloc(p->x->arena, (n + 1) * sizeof *p->words);
    if (!terms || !beside || !p->words) return qd_err_nomem(p->err, "suggestions");
    uint32_t k = 0;
    for (size_t i = 0; i < n; i++) {
        if (!p->s->any_unigrams && qd_tokens_length(t, i) > 1) continue; /* a shingle */
        any = true;
        terms[k] = qd_arena_str(p->x->arena, qd_tokens_term(t, i));
        if (!terms[k].p) return qd_err_nomem(p->err, "suggestions");
        beside[k++] = i && qd_tokens_inc(t, i) == 0 && qd_tokens_length(t, i) == 1;
    }
    if (n && !any)
        return qd_err_set(p->err, QD_E_STATE,
                          "At least one unigram is required but all tokens were ngrams");
    for (uint32_t i = 0; i < k && !rc; i++) {
        candidate c;
        rc = make_candidate(p, terms[i], &c);
        if (rc) break;
        if (!beside[i] || !p->nwords)
            p->words[p->nwords++].original = c;
        else if (c.df)
            rc = push(&p->words[p->nwords - 1], c, p->x->arena, p->err);
    }
    return rc;
}

/* How the analyzer makes shingles: by those of a text of words that no filter drops. */
static int probe(const speller *p, const qd_analyzer *a, uint32_t *longest, bool *unigrams)
{
    const qd_tokens *t;
    int rc = qd_analyzer_run(a, p->x->analysis, QD_STR("zyxab zyxbc zyxcd zyxde zyxef zyxfg"),
                             QD_ANALYZE_OFFSETS, &t, p->err);
    *longest = 1;
    *unigrams = false;
    for (size_t i = 0; !rc && i < t->n; i++) {
        qd_str term = qd_tokens_term(t, i);
        uint32_t words = 1;
        for (size_t k = 0; k + 3 <= term.n; k++) words += k && memcmp(term.p + k, "zyx", 3) == 0;
        if (words > *longest) *longest = words;
        *unigrams |= words == 1;
    }
    return rc;
}

/* What the request leaves to the analyzer. */
static int settle(speller *p, const qd_analyzer *a, qdi_generator *own)
{
    uint32_t longest;
    bool unigrams;
    p->gram_size = p->s->gram_size;
    p->generators = p->s->generators;
    p->ngenerators = p->s->ngenerators;
    if (p->gram_size && p->ngenerators) return 0;
    int rc = probe(p, a, &longest, &unigrams);
    if (rc) return rc;
    if (!p->gram_size) {
        p->gram_size = longest;
        if (!p->s->analyzer.p && !unigrams && longest > 1 && p->ngenerators)
            return qd_err_set(p->err, QD_E_ARG,
                              "The default analyzer for field: [%.*s] doesn't emit unigrams. If "
                              "this is intentional try to set the analyzer explicitly",
                              QD_STR_ARG(p->s->field));
    }
    if (p->ngenerators) return 0;
    if (!unigrams && longest > 1 && !p->s->any_unigrams)
        return qd_err_set(p->err, QD_E_ARG,
                          "The default candidate generator for phrase suggest can't operate on "
                          "field: [%.*s] since it doesn't emit unigrams. If this is intentional "
                          "try to set the candidate generator field explicitly",
                          QD_STR_ARG(p->s->field));
    *own = (qdi_generator){.field = p->s->field, .spell = QD_SPELL_DEFAULTS, .size = 5};
    p->generators = own;
    p->ngenerators = 1;
    return 0;
}

/* --- the answer --------------------------------------------------------------------------------
 */

static void put_words(const speller *p, const correction *c, bool marked, qd_buf *to)
{
    for (uint32_t i = 0; i < p->nwords; i++) {
        bool changed = marked && !c->path[i]->input;
        bool again = i && changed && !c->path[i - 1]->input;
        bool goes_on = changed && i + 1 < p->nwords && !c->path[i + 1]->input;
        if (i) (void)qd_buf_add(to, " ", 1);
        if (changed && !again) (void)qd_buf_str(to, p->s->pre_tag);
        (void)qd_buf_str(to, c->path[i]->term);
        if (changed && !goes_on) (void)qd_buf_str(to, p->s->post_tag);
    }
}

static int write_options(const speller *p, qd_json_writer *w)
{
    qd_buf b;
    qd_buf_init(&b, p->x->arena->account, (size_t)1 << 20);
    for (uint32_t i = 0; i < p->nbest; i++) {
        qd_json_object(w);
        qd_buf_reset(&b);
        put_words(p, &p->best[i], false, &b);
        qd_json_field_str(w, "text", qd_buf_view(&b));
        if (p->s->pre_tag.p) {
            qd_buf_reset(&b);
            put_words(p, &p->best[i], true, &b);
            qd_json_field_str(w, "highlighted", qd_buf_view(&b));
        }
        qd_json_key_c(w, "score");
        qd_json_float(w, (float)p->best[i].score);
        qd_json_object_end(w);
    }
    int rc = qd_buf_status(&b) ? qd_err_nomem(p->err, "suggestions") : 0;
    qd_buf_fini(&b);
    return rc;
}

int qdi_suggest_phrase(const qdi_suggestion *s, const qdi_suggest_shard *x, qd_json_writer *w,
                       qd_err *err)
{
    speller p = {.s = s, .x = x, .err = err};
    qdi_generator own;
    const qd_analyzer *a = qdi_suggest_analyzer(x, s->analyzer, s->field, err);
    if (!a) return QD_E_ARG;
    for (uint32_t i = 0; i < s->ngenerators; i++)
        if (!qd_mapping_field(x->mapping, s->generators[i].field))
            return qd_err_set(err, QD_E_ARG, "No mapping found for field [%.*s]",
                              QD_STR_ARG(s->generators[i].field));
    int rc = settle(&p, a, &own);
    if (rc) return rc;
    p.vocabulary = occurrences(&p, s->field);
    p.terms = distinct(&p);
    if (p.vocabulary > 0) rc = read_text(&p, a);
    if (!rc && p.nwords && p.nwords < s->token_limit) {
        rc = candidates(&p);
        if (!rc) rc = correct(&p);
    }
    if (rc) return rc;
    qd_json_object(w);
    qd_json_field_str(w, "text", s->text);
    qd_json_field_int(w, "offset", 0);
    qd_json_field_int(w, "length", (int64_t)qd_utf8_utf16(s->text));
    qd_json_field_double(w, "cutoff", p.cutoff);
    qd_json_key_c(w, "options");
    qd_json_array(w);
    rc = write_options(&p, w);
    qd_json_array_end(w);
    qd_json_object_end(w);
    return rc;
}
