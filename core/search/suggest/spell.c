/* spell.c: candidates of one word, by an automaton of its edits over the terms of each segment. */
#include "search/suggest/spell.h"
#include "automaton/automaton.h"
#include "base/map.h"
#include "base/utf8.h"
#include "segment/terms.h"
#include <math.h>
#include <stdlib.h>

#define TERMS_MAX 1000000u /* candidates of one word */

typedef struct candidate {
    qd_str text;
    uint64_t df;
    float boost, score; /* boost: by edits; score: by the distance that is asked for */
} candidate;

typedef struct search {
    const qd_searcher *s;
    qd_str field, word;
    const qd_spell_options *o;
    qd_arena *arena;
    qd_task *task;
    uint32_t length; /* code points of the word */
    uint64_t least;  /* documents that a candidate has more than */
} search;

int qd_spell_frequency(const qd_searcher *s, qd_str field, qd_str term, uint64_t *docs,
                       uint64_t *occurrences, qd_err *err)
{
    *docs = 0;
    if (occurrences) *occurrences = 0;
    for (uint32_t i = 0; i < qd_searcher_leaves(s); i++) {
        qd_segment *seg = qd_searcher_leaf(s, i)->segment;
        uint32_t f = qd_segment_field_find(seg, field);
        qd_term t;
        if (f == QD_FIELD_NONE || qd_segment_field(seg, f)->index == QD_INDEX_NONE) continue;
        int rc = qd_term_get(seg, f, term, &t, err);
        if (rc == QD_E_NOTFOUND) continue;
        if (rc) return rc;
        *docs += t.df;
        if (occurrences) *occurrences += t.ttf > t.df ? t.ttf : t.df;
    }
    return 0;
}

/* --- the walk --------------------------------------------------------------------------------- */

static int take(const search *x, qd_map *found, qd_str text, uint64_t df, qd_err *err)
{
    candidate *c = qd_map_get(found, text);
    if (c) {
        c->df += df;
        return 0;
    }
    if (found->n >= TERMS_MAX)
        return qd_err_set(err, QD_E_LIMIT, "too many words of field [%.*s] are near [%.*s]",
                          QD_STR_ARG(x->field), QD_STR_ARG(x->word));
    c = qd_arena_calloc(x->arena, sizeof *c);
    if (!c) return qd_err_nomem(err, "suggestions");
    c->text = qd_arena_str(x->arena, text);
    c->df = df;
    if (!c->text.p || qd_map_put(found, c->text, c, NULL)) return qd_err_nomem(err, "suggestions");
    return 0;
}

static int walk_leaf(const search *x, uint32_t leaf, const qd_term_range *range, qd_map *found,
                     qd_err *err)
{
    qd_segment *seg = qd_searcher_leaf(x->s, leaf)->segment;
    uint32_t f = qd_segment_field_find(seg, x->field), n = 0;
    qd_term_iter *it;
    qd_str text;
    qd_term t;
    if (f == QD_FIELD_NONE || qd_segment_field(seg, f)->index == QD_INDEX_NONE) return 0;
    int rc = qd_term_iter_open(seg, f, range, x->arena, &it, err);
    while (!rc) {
        rc = qd_term_iter_step(it, &text, &t, err);
        if (rc <= 0) break;
        rc = take(x, found, text, t.df, err);
        if (!rc && x->task && ++n % 1024 == 0) rc = qd_task_check(x->task, err);
    }
    return rc;
}

/* --- choosing --------------------------------------------------------------------------------- */

/* Lucene's queue keeps the greatest: by boost, and of equal ones the first by bytes. */
static int by_boost(const void *a, const void *b)
{
    const candidate *x = *(candidate *const *)a, *y = *(candidate *const *)b;
    if (x->boost != y->boost) return x->boost > y->boost ? -1 : 1;
    return qd_str_cmp(x->text, y->text);
}

/* The terms within some edits, of which the best `max` by edits stay. */
static int within(const search *x, uint32_t edits, uint32_t max, candidate ***out, uint32_t *n,
                  qd_err *err)
{
    uint32_t prefix = x->o->prefix_length > edits - 1 ? x->o->prefix_length : edits - 1;
    qd_automaton *a = NULL;
    qd_map found;
    qd_map_init(&found, x->arena->account);
    int rc = qd_automaton_fuzzy(x->word, (uint8_t)edits, prefix, true, x->arena->account, &a, err);
    qd_term_range range = {.automaton = a};
    if (!rc) range.prefix = a->prefix;
    for (uint32_t i = 0; i < qd_searcher_leaves(x->s) && !rc; i++)
        rc = walk_leaf(x, i, &range, &found, err);
    qd_automaton_free(a);
    candidate **at = rc ? NULL : qd_arena_alloc(x->arena, (found.n + 1) * sizeof *at);
    if (!rc && !at) rc = qd_err_nomem(err, "suggestions");
    const qd_map_entry *e;
    uint32_t k = 0;
    for (size_t pos = 0; !rc && (e = qd_map_next(&found, &pos));) {
        candidate *c = e->value;
        if (qd_str_eq(c->text, x->word) || c->df <= x->least) continue;
        uint32_t d = qd_edit_distance(x->word, c->text, true, edits);
        uint32_t length = (uint32_t)qd_utf8_points(c->text);
        if (d > edits) continue;
        c->boost = 1.0f - (float)d / (float)(length < x->length ? length : x->length);
        c->score = c->boost;
        if (x->o->distance != QD_SPELL_INTERNAL)
            rc = qd_spell_similarity(x->word, c->text, x->o->distance, x->arena, &c->score, err);
        if (!rc && c->score >= x->o->accuracy) at[k++] = c;
    }
    qd_map_fini(&found);
    if (rc) return rc;
    qsort(at, k, sizeof *at, by_boost);
    *out = at;
    *n = k < max ? k : max;
    return 0;
}

static int by_score(const void *a, const void *b)
{
    const qd_spell_word *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    if (x->freq != y->freq) return x->freq > y->freq ? -1 : 1;
    return qd_str_cmp(x->text, y->text);
}

static int by_frequency(const void *a, const void *b)
{
    const qd_spell_word *x = a, *y = b;
    if (x->freq != y->freq) return x->freq > y->freq ? -1 : 1;
    return by_score(a, b);
}

/* Is the word itself frequent enough to be left alone? Else what its candidates need. */
static bool left_alone(search *x, uint64_t df)
{
    const qd_spell_options *o = x->o;
    double docs = (double)qd_searcher_docs(x->s);
    if (qd_utf8_points(x->word) < o->min_word_length) return true;
    if (o->mode == QD_SPELL_MISSING && df > 0) return true;
    if (o->max_term_freq >= 1 ? (double)df > (double)o->max_term_freq
                              : (double)df > ceil((double)(o->max_term_freq * (float)docs)))
        return true;
    x->least = o->mode == QD_SPELL_POPULAR ? df : 0;
    double least = o->min_doc_freq >= 1  ? (double)o->min_doc_freq
                   : o->min_doc_freq > 0 ? floor((double)(o->min_doc_freq * (float)docs)) - 1
                                         : 0;
    if (least > (double)x->least) x->least = (uint64_t)least;
    return false;
}

int qd_spell_suggest(const qd_searcher *s, qd_str field, qd_str word, const qd_spell_options *o,
                     uint32_t n, qd_arena *arena, qd_task *task, qd_spell_word **out, uint32_t *got,
                     qd_err *err)
{
    search x = {.s = s, .field = field, .word = word, .o = o, .arena = arena, .task = task};
    uint64_t df, max = (uint64_t)n * o->max_inspections;
    candidate **c = NULL;
    uint32_t k = 0;
    *out = NULL;
    *got = 0;
    int rc = qd_spell_frequency(s, field, word, &df, NULL, err);
    if (rc || left_alone(&x, df)) return rc;
    x.length = (uint32_t)qd_utf8_points(word);
    if (max > TERMS_MAX) max = TERMS_MAX;
    rc = within(&x, 1, (uint32_t)max, &c, &k, err);
    if (!rc && o->max_edits > 1 && k < max) { /* those of one edit are there again */
        candidate **one = c, **more;
        uint32_t none = k, m;
        rc = within(&x, 2, (uint32_t)max, &more, &m, err);
        if (rc) return rc;
        c = qd_arena_alloc(arena, ((size_t)none + m + 1) * sizeof *c);
        if (!c) return qd_err_nomem(err, "suggestions");
        for (uint32_t i = 0; i < none; i++) c[i] = one[i];
        for (uint32_t i = 0; i < m; i++) {
            bool there = false;
            for (uint32_t j = 0; j < none && !there; j++)
                there = qd_str_eq(one[j]->text, more[i]->text);
            if (!there) c[k++] = more[i];
        }
    }
    qd_spell_word *w = rc ? NULL : qd_arena_alloc(arena, ((size_t)k + 1) * sizeof *w);
    if (!rc && !w) rc = qd_err_nomem(err, "suggestions");
    if (rc) return rc;
    for (uint32_t i = 0; i < k; i++) w[i] = (qd_spell_word){c[i]->text, c[i]->score, c[i]->df};
    qsort(w, k, sizeof *w, o->by_frequency ? by_frequency : by_score);
    *out = w;
    *got = k < n ? k : n;
    return 0;
}
