/*
 * vectors_terms.c: a document's words by field, by analyzing its source once more: the answer of
 * vectors that were kept is the same as long as nobody changes the analyzers.
 */
#include "action/documents/vectors_int.h"
#include "base/str.h"
#include "base/utf8.h"
#include "mapping/doc_parser.h"
#include "search/searcher.h"
#include "segment/terms.h"
#include <math.h>
#include <stdlib.h>

#define ANALYSIS_MAX ((size_t)256 << 20)
#define WORDS_MAX 10000000u /* of a document */
#define CHECK_EVERY 1024u   /* terms between two looks at the task */

typedef struct word {
    qd_str term;
    uint32_t position, start, end;
} word;

/* A term of a field: words [from, from + n). */
typedef struct term {
    uint32_t from, n;
    uint64_t df, ttf; /* of the shard; 0: it has none */
    float score;
    bool told;
} term;

typedef struct vectors {
    qd_request *q;
    const vector_request *v;
    const qd_mapping *m; /* the index's */
    qd_analysis *analysis;
    qd_searcher *searcher;
    qd_json_writer *w;
    qd_arena arena; /* of one field */
    QD_VEC(word) words;
    QD_VEC(term) terms;
    qd_collection_stats stats; /* of the field */
    bool known;                /* by the shard */
    uint32_t seen;
} vectors;

/* Is the field asked for, or kept without being asked? */
static bool wanted(const vectors *x, const qd_field *f)
{
    if (f->hidden) return false;
    if (!x->v->chosen) return f->vector || x->v->doc;
    for (uint32_t i = 0; i < x->v->nfields; i++)
        if (qd_pattern_match(x->v->fields[i], f->shown)) return true;
    return false;
}

/* --- words --- */

static int add_word(vectors *x, qd_str text, uint32_t position, uint32_t start, uint32_t end,
                    qd_err *err)
{
    word o = {qd_arena_str(&x->arena, text), position, start, end};
    if (!o.term.p) return qd_err_nomem(err, "term vectors");
    if (x->seen++ >= WORDS_MAX)
        return qd_err_set(err, QD_E_LIMIT, "term vectors: more than %u words in a document",
                          WORDS_MAX);
    return qd_vec_push(&x->words, x->q->a->account, o) ? qd_err_nomem(err, "term vectors") : 0;
}

static int analyzer_of(const vectors *x, const qd_field *f, const qd_analyzer **out, qd_err *err)
{
    const qd_json_node *own = x->v->analyzers ? qd_json_get_str(x->v->analyzers, f->shown) : NULL;
    *out = f->index_analyzer;
    if (!own) return 0;
    qd_str name = qd_json_text(own);
    *out = qd_analyzers_get(qd_mapping_analyzers(x->m), name);
    return *out ? 0 : qd_err_set(err, QD_E_ARG, "No analyzer found for [%.*s]", QD_STR_ARG(name));
}

static int analyze(vectors *x, const qd_field *f, const qd_analyzer *a, const qd_str *v, uint32_t n,
                   qd_err *err)
{
    uint32_t position = UINT32_MAX, offset = 0, holes = 0;
    int rc = 0;
    for (uint32_t i = 0; i < n && !rc; i++) {
        const qd_tokens *t;
        rc = qd_analyzer_run(a, x->analysis, v[i], QD_ANALYZE_OFFSETS, &t, err);
        if (rc) break;
        if (i) position += f->position_increment_gap;
        position += holes;
        for (size_t k = 0; k < t->n && !rc; k++) {
            position += qd_tokens_inc(t, k);
            bool has = t->has & QD_TOKENS_OFFSETS;
            rc = add_word(x, qd_tokens_term(t, k), position, offset + (has ? t->offset[k].from : 0),
                          offset + (has ? t->offset[k].to : 0), err);
        }
        holes = t->end_inc;
        offset += t->end_offset + 1;
    }
    return rc;
}

/* Values that are one term each. */
static int take_terms(vectors *x, const qd_field *f, const qd_str *v, uint32_t n, qd_err *err)
{
    uint32_t offset = 0;
    int rc = 0;
    for (uint32_t i = 0; i < n && !rc; i++) {
        uint32_t length = (uint32_t)qd_utf8_utf16(v[i]);
        rc = add_word(x, v[i], i * (f->position_increment_gap + 1), offset, offset + length, err);
        offset += length + 1;
    }
    return rc;
}

static int by_term(const void *a, const void *b)
{
    const word *x = a, *y = b;
    int c = qd_str_cmp(x->term, y->term);
    if (c) return c;
    if (x->position != y->position) return x->position < y->position ? -1 : 1;
    return x->start < y->start ? -1 : x->start > y->start;
}

static int group(vectors *x, qd_err *err)
{
    qsort(x->words.at, x->words.n, sizeof *x->words.at, by_term);
    x->terms.n = 0;
    for (uint32_t i = 0; i < x->words.n; i++) {
        if (x->terms.n) {
            term *last = &x->terms.at[x->terms.n - 1];
            if (qd_str_eq(x->words.at[last->from].term, x->words.at[i].term)) {
                last->n++;
                continue;
            }
        }
        term t = {.from = i, .n = 1, .told = true};
        if (qd_vec_push(&x->terms, x->q->a->account, t)) return qd_err_nomem(err, "term vectors");
    }
    return 0;
}

/* --- statistics --- */

static int count_term(vectors *x, const qd_field *f, term *t, qd_err *err)
{
    qd_str text = x->words.at[t->from].term;
    if (!x->known) { /* as if the document were all that there is */
        t->df = 1;
        t->ttf = t->n;
        return 0;
    }
    for (uint32_t i = 0; i < qd_searcher_leaves(x->searcher); i++) {
        struct qd_segment *s = qd_searcher_leaf(x->searcher, i)->segment;
        uint32_t field = qd_segment_field_find(s, f->name);
        qd_term found;
        if (field == QD_FIELD_NONE) continue;
        int rc = qd_term_get(s, field, text, &found, err);
        if (rc == QD_E_NOTFOUND) continue;
        if (rc) return rc;
        t->df += found.df;
        t->ttf += found.ttf;
    }
    return 0;
}

static int count(vectors *x, const qd_field *f, qd_err *err)
{
    x->stats = (qd_collection_stats){0};
    if (x->searcher) qd_searcher_field_stats(x->searcher, f->name, &x->stats);
    x->known = x->stats.doc_count > 0;
    if (!x->known) x->stats = (qd_collection_stats){1, x->terms.n, x->words.n};
    if (!x->v->term_statistics && !x->v->filter.given) return 0;
    int rc = 0;
    for (uint32_t i = 0; i < x->terms.n && !rc; i++) {
        if (i % CHECK_EVERY == 0) rc = qd_task_check(&x->q->task, err);
        if (!rc) rc = count_term(x, f, &x->terms.at[i], err);
    }
    return rc;
}

/* --- the filter --- */

static bool passes(const vectors *x, const term *t)
{
    const vector_filter *f = &x->v->filter;
    int64_t length = (int64_t)qd_utf8_utf16(x->words.at[t->from].term), df = (int64_t)t->df;
    if (f->min_length > 0 && length < f->min_length) return false;
    if (f->max_length > 0 && length > f->max_length) return false;
    return t->n >= f->min_freq && t->n <= f->max_freq && df >= f->min_docs && df <= f->max_docs;
}

static int by_score(const void *a, const void *b)
{
    const term *x = *(const term *const *)a, *y = *(const term *const *)b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return x->from < y->from ? -1 : x->from > y->from;
}

static int choose(vectors *x, qd_err *err)
{
    term **all = qd_arena_alloc(&x->arena, (x->terms.n + 1) * sizeof *all);
    if (!all) return qd_err_nomem(err, "term vectors");
    uint32_t n = 0;
    for (uint32_t i = 0; i < x->terms.n; i++) {
        term *t = &x->terms.at[i];
        t->told = false;
        if (!passes(x, t)) continue;
        float idf = (float)(log(((double)x->stats.doc_count + 1) / ((double)t->df + 1)) + 1);
        t->score = (float)t->n * idf;
        all[n++] = t;
    }
    qsort(all, n, sizeof *all, by_score);
    for (uint32_t i = 0; i < n && i < x->v->filter.terms; i++) all[i]->told = true;
    return 0;
}

/* --- telling --- */

static void write_tokens(const vectors *x, const qd_field *f, const term *t)
{
    bool kept = f->vector && !x->v->doc; /* then they have what the mapping keeps */
    bool positions = x->v->positions && (!kept || f->vector & QD_VECTOR_POSITIONS),
         offsets = x->v->offsets && (!kept || f->vector & QD_VECTOR_OFFSETS);
    if (!positions && !offsets) return;
    qd_json_key_c(x->w, "tokens");
    qd_json_array(x->w);
    for (uint32_t i = 0; i < t->n; i++) {
        const word *o = &x->words.at[t->from + i];
        qd_json_object(x->w);
        if (positions) qd_json_field_int(x->w, "position", o->position);
        if (offsets) qd_json_field_int(x->w, "start_offset", o->start);
        if (offsets) qd_json_field_int(x->w, "end_offset", o->end);
        qd_json_object_end(x->w);
    }
    qd_json_array_end(x->w);
}

static void write_term(const vectors *x, const qd_field *f, const term *t)
{
    qd_json_key(x->w, x->words.at[t->from].term);
    qd_json_object(x->w);
    if (x->v->term_statistics && t->df) {
        qd_json_field_int(x->w, "doc_freq", (int64_t)t->df);
        qd_json_field_int(x->w, "ttf", (int64_t)t->ttf);
    }
    qd_json_field_int(x->w, "term_freq", t->n);
    write_tokens(x, f, t);
    if (x->v->filter.given) {
        qd_json_key_c(x->w, "score");
        qd_json_float(x->w, t->score);
    }
    qd_json_object_end(x->w);
}

static void write_field(const vectors *x, const qd_field *f)
{
    qd_json_key(x->w, f->shown);
    qd_json_object(x->w);
    if (x->v->field_statistics) {
        qd_json_key_c(x->w, "field_statistics");
        qd_json_object(x->w);
        qd_json_field_int(x->w, "sum_doc_freq", (int64_t)x->stats.sum_doc_freq);
        qd_json_field_int(x->w, "doc_count", (int64_t)x->stats.doc_count);
        qd_json_field_int(x->w, "sum_ttf", (int64_t)x->stats.sum_total_term_freq);
        qd_json_object_end(x->w);
    }
    qd_json_key_c(x->w, "terms");
    qd_json_object(x->w);
    for (uint32_t i = 0; i < x->terms.n; i++)
        if (x->terms.at[i].told) write_term(x, f, &x->terms.at[i]);
    qd_json_object_end(x->w);
    qd_json_object_end(x->w);
}

static int finish(vectors *x, const qd_field *f, qd_err *err)
{
    int rc = x->words.n ? group(x, err) : 0;
    if (!rc && x->words.n) rc = count(x, f, err);
    if (!rc && x->words.n && x->v->filter.given) rc = choose(x, err);
    if (!rc && x->words.n) write_field(x, f);
    x->words.n = 0;
    qd_arena_reset(&x->arena);
    return rc;
}

static int on_text(void *arg, const qd_field *f, const qd_str *v, uint32_t n, qd_err *err)
{
    vectors *x = arg;
    const qd_analyzer *a;
    if (!wanted(x, f)) return 0;
    int rc = analyzer_of(x, f, &a, err);
    if (!rc) rc = analyze(x, f, a, v, n, err);
    return rc ? rc : finish(x, f, err);
}

static int on_terms(void *arg, const qd_field *f, const qd_str *v, uint32_t n, qd_err *err)
{
    vectors *x = arg;
    const qd_analyzer *a;
    bool texts = qd_field_has_terms(f) && !f->text_column && !f->keyed && !f->slice.n;
    if (!texts || !wanted(x, f)) return 0;
    int rc = analyzer_of(x, f, &a, err);
    if (!rc) rc = a ? analyze(x, f, a, v, n, err) : take_terms(x, f, v, n, err);
    return rc ? rc : finish(x, f, err);
}

/* The fields of the source; those that the mapping lacks as it would take them. */
static int parse(vectors *x, qd_str source, qd_err *err)
{
    qd_doc_input in = {.source = source, .has_routing = true};
    qd_doc_sink sink = {.arg = x, .text = on_text, .terms = on_terms};
    qd_doc_result result = {0}, none = {0};
    qd_doc_parser *p = qd_doc_parser_make(x->q->a->account);
    if (!p) return qd_err_nomem(err, "term vectors");
    int rc = qd_doc_parse(p, x->m, &in, &sink, &result, err);
    if (!rc && result.merged) rc = qd_doc_parse(p, result.merged, &in, &sink, &none, err);
    qd_mapping_unref(none.merged);
    qd_mapping_unref(result.merged);
    qd_doc_parser_free(p);
    return rc;
}

int qdi_vectors_write(qd_request *q, const vector_request *v, const qd_index_meta *m, qd_shard *s,
                      qd_str source, qd_json_writer *w, qd_err *err)
{
    vectors x = {.q = q, .v = v, .m = m->mapping, .w = w};
    qd_arena_init(&x.arena, q->a->account, 0);
    x.analysis = qd_analysis_make(q->a->account, ANALYSIS_MAX);
    int rc = x.analysis ? 0 : qd_err_nomem(err, "term vectors");
    if (!rc) rc = qd_shard_searcher(s, &x.searcher, err);
    if (!rc) {
        qd_json_key_c(w, "term_vectors");
        qd_json_object(w);
        if (source.n) rc = parse(&x, source, err);
        qd_json_object_end(w);
    }
    qd_searcher_unref(x.searcher);
    qd_analysis_free(x.analysis);
    qd_vec_fini(&x.words);
    qd_vec_fini(&x.terms);
    qd_arena_fini(&x.arena);
    return rc;
}
