/*
 * search_t.c: every tree gives the documents and scores that a naive reading of the documents
 * gives, bit for bit: several segments, deletions, every strategy, every instruction set.
 */
#include "runtime/cpu.h"
#include "search/plan/plan.h"
#include "unit/lib/search_corpus.h"
#include "unit/unit.h"
#include <math.h>

/* --- the naive reading -------------------------------------------------------------------------
 */

static uint32_t word_of(qd_str s)
{
    return (uint32_t)(s.p[1] - '0') * 10 + (uint32_t)(s.p[2] - '0');
}
static uint64_t df_of(uint32_t w)
{
    return C.word_df[w];
}
static float idf(uint64_t df, uint64_t docs)
{
    return (float)log(1 + ((double)docs - (double)df + 0.5) / ((double)df + 0.5));
}
static float bm25(float boost, float sum_idf, float freq, float ninv)
{
    float w = (boost * (1.0f + 1.2f)) * sum_idf;
    return w - w / (1.0f + freq * ninv);
}
static float body_ninv(const doc *d)
{
    return C.ninv[qd_norm_of(d->n)];
}

static uint32_t phrase_freq(const doc *d, const qd_node_phrase *p)
{
    uint32_t n = 0;
    for (uint32_t s = 0; s < d->n; s++) {
        bool all = true;
        for (uint32_t i = 0; i < p->n && all; i++) {
            uint32_t at = s + p->terms[i].position;
            all = at < d->n && d->word[at] == word_of(p->terms[i].term);
        }
        n += all;
    }
    return n;
}

static bool naive(const qd_node *q, uint32_t i, float boost, float *score);

static bool naive_bool(const qd_node_bool *b, uint32_t i, float boost, float *score)
{
    double sum = 0;
    float s;
    uint32_t met = 0, min = b->min_should;
    for (uint32_t k = 0; k < b->nmust; k++) {
        if (!naive(b->must[k], i, boost, &s)) return false;
        sum += (double)s;
    }
    for (uint32_t k = 0; k < b->nfilter; k++)
        if (!naive(b->filter[k], i, 1, &s)) return false;
    for (uint32_t k = 0; k < b->nmust_not; k++)
        if (naive(b->must_not[k], i, 1, &s)) return false;
    for (uint32_t k = 0; k < b->nshould; k++)
        if (naive(b->should[k], i, boost, &s)) {
            met++;
            sum += (double)s;
        }
    if (!b->nmust && !b->nfilter && !min) min = 1;
    *score = (float)sum;
    return met >= min;
}

static bool naive_dis_max(const qd_node_dis_max *m, uint32_t i, float boost, float *score)
{
    float max = 0, s;
    double others = 0;
    bool any = false;
    for (uint32_t k = 0; k < m->n; k++) {
        if (!naive(m->children[k], i, boost, &s)) continue;
        any = true;
        if (s >= max) {
            others += (double)max;
            max = s;
        } else {
            others += (double)s;
        }
    }
    *score = (float)((double)max + others * (double)m->tie_breaker);
    return any;
}

static bool naive_term(const qd_node_term *t, uint32_t i, float boost, float *score)
{
    const doc *d = &C.docs[i];
    if (qd_str_is(t->field, "tag")) {
        if (d->tag < 0 || !qd_str_is(t->term, C.tag[d->tag])) return false;
        *score = bm25(boost, idf(C.tag_df[d->tag], C.tag_docs), 1, C.tag_ninv);
        return true;
    }
    uint32_t f = word_freq(d, word_of(t->term));
    *score = bm25(boost, idf(df_of(word_of(t->term)), C.body_docs), (float)f, body_ninv(d));
    return f > 0;
}

static bool naive_synonym(const qd_node_synonym *s, uint32_t i, float boost, float *score)
{
    uint64_t df = 0;
    uint32_t f = 0;
    for (uint32_t k = 0; k < s->n; k++) {
        uint64_t x = df_of(word_of(s->terms[k]));
        df = x > df ? x : df;
        f += word_freq(&C.docs[i], word_of(s->terms[k]));
    }
    *score = bm25(boost, idf(df, C.body_docs), (float)f, body_ninv(&C.docs[i]));
    return f > 0;
}

static bool naive(const qd_node *q, uint32_t i, float boost, float *score)
{
    const doc *d = &C.docs[i];
    boost *= q->boost;
    *score = boost;
    switch (q->kind) {
    case QD_NATIVE_MATCH_ALL:
        return true;
    case QD_NATIVE_TERM:
        return naive_term(&q->u.term, i, boost, score);
    case QD_NATIVE_SYNONYM:
        return naive_synonym(&q->u.synonym, i, boost, score);
    case QD_NATIVE_PHRASE: {
        uint32_t f = phrase_freq(d, &q->u.phrase);
        double sum = 0;
        for (uint32_t k = 0; k < q->u.phrase.n; k++) {
            uint64_t df = df_of(word_of(q->u.phrase.terms[k].term));
            if (df) sum += (double)idf(df, C.body_docs);
        }
        *score = bm25(boost, (float)sum, (float)f, body_ninv(d));
        return f > 0;
    }
    case QD_NATIVE_BOOL:
        return naive_bool(&q->u.boolean, i, boost, score);
    case QD_NATIVE_DIS_MAX:
        return naive_dis_max(&q->u.dis_max, i, boost, score);
    case QD_NATIVE_CONSTANT: {
        float s;
        return naive(q->u.child, i, 1, &s);
    }
    case QD_NATIVE_BOOST:
        return naive(q->u.child, i, boost, score);
    case QD_NATIVE_TERM_SET:
        for (uint32_t k = 0; k < q->u.term_set.n; k++)
            if (d->tag >= 0 && qd_str_is(q->u.term_set.terms[k], C.tag[d->tag])) return true;
        return false;
    case QD_NATIVE_RANGE:
        if (qd_str_is(q->u.range.field, "at"))
            return search_at(i) >= q->u.range.lo && search_at(i) <= q->u.range.hi;
        return d->has_num && d->num >= q->u.range.lo && d->num <= q->u.range.hi;
    case QD_NATIVE_PATTERN:
        for (uint32_t k = 0; k < d->n; k++)
            if (qd_str_starts(qd_str_c(C.word[d->word[k]]), q->u.pattern.text)) return true;
        return false;
    case QD_NATIVE_EXISTS:
        return qd_str_is(q->u.exists, "num") ? d->has_num : d->n > 0;
    case QD_NATIVE_IDS:
        for (uint32_t k = 0; k < q->u.ids.n; k++)
            if (qd_str_is(q->u.ids.ids[k], C.id[i])) return true;
        return false;
    default:
        return false;
    }
}

/* --- random trees
 * --------------------------------------------------------------------------------- */

static qd_arena A;

static qd_str some_word(void)
{
    uint32_t w = (uint32_t)(search_rnd(3) == 0   ? search_rnd(WORDS)
                            : search_rnd(3) == 0 ? search_rnd(WORDS / 4)
                                                 : search_rnd(12));
    return qd_str_c(C.word[w]);
}
static qd_node *term_node(void)
{
    return qd_node_term_make(&A, QD_STR("body"), some_word());
}

static qd_node *phrase_node(void)
{
    qd_node *q = qd_node_make(&A, QD_NATIVE_PHRASE);
    uint32_t n = 2 + (uint32_t)search_rnd(2), pos = 0;
    qd_phrase_term *t = qd_arena_calloc(&A, n * sizeof *t);
    const doc *d = &C.docs[search_rnd(C.n)]; /* mostly words that stand so somewhere */
    for (uint32_t i = 0; i < n; i++) {
        t[i] = (qd_phrase_term){.term = some_word(), .position = pos};
        if (search_rnd(8) && d->n > pos) t[i].term = qd_str_c(C.word[d->word[pos]]);
        pos += search_rnd(10) ? 1 : 2;
    }
    q->u.phrase = (qd_node_phrase){.field = QD_STR("body"), .terms = t, .n = n};
    return q;
}

static qd_node *leaf_node(void)
{
    qd_node *q;
    switch (search_rnd(16)) {
    case 0:
        q = qd_node_make(&A, QD_NATIVE_MATCH_ALL);
        break;
    case 1:
        q = qd_node_term_make(&A, QD_STR("tag"), qd_str_c(C.tag[search_rnd(TAGS)]));
        break;
    case 2:
        q = phrase_node();
        break;
    case 3: {
        q = qd_node_make(&A, QD_NATIVE_RANGE);
        int64_t lo = (int64_t)search_rnd(1000) - 500;
        q->u.range =
            (qd_node_range){.field = QD_STR("num"),
                            .lo = lo,
                            .hi = search_rnd(4) ? lo + (int64_t)search_rnd(300) : INT64_MAX};
        break;
    }
    case 4: {
        q = qd_node_make(&A, QD_NATIVE_TERM_SET);
        qd_str *t = qd_arena_calloc(&A, 3 * sizeof *t);
        for (int i = 0; i < 3; i++) t[i] = qd_str_c(C.tag[search_rnd(TAGS)]);
        q->u.term_set = (qd_node_term_set){.field = QD_STR("tag"), .terms = t, .n = 3};
        break;
    }
    case 5:
        q = qd_node_make(&A, QD_NATIVE_PATTERN);
        q->u.pattern = (qd_node_pattern){.field = QD_STR("body"),
                                         .kind = QD_PATTERN_PREFIX,
                                         .text = search_rnd(2) ? QD_STR("w3") : QD_STR("w9")};
        break;
    case 6:
        q = qd_node_make(&A, QD_NATIVE_EXISTS);
        q->u.exists = search_rnd(2) ? QD_STR("num") : QD_STR("body");
        break;
    case 7: {
        q = qd_node_make(&A, QD_NATIVE_IDS);
        qd_str *t = qd_arena_calloc(&A, 5 * sizeof *t);
        for (int i = 0; i < 5; i++) t[i] = qd_str_c(C.id[search_rnd(C.n)]);
        q->u.ids = (qd_node_ids){.ids = t, .n = 5};
        break;
    }
    case 8: {
        q = qd_node_make(&A, QD_NATIVE_SYNONYM);
        qd_str *t = qd_arena_calloc(&A, 2 * sizeof *t);
        t[0] = some_word();
        do t[1] = some_word();
        while (qd_str_eq(t[0], t[1]));
        q->u.synonym = (qd_node_synonym){.field = QD_STR("body"), .terms = t, .n = 2};
        break;
    }
    default:
        q = term_node();
    }
    return q;
}

static qd_node *tree(uint32_t depth)
{
    qd_node *q;
    uint64_t r = depth ? search_rnd(10) : 9;
    if (r < 5) {
        const qd_node **l[4];
        uint32_t n[4] = {(uint32_t)search_rnd(3), (uint32_t)search_rnd(4), (uint32_t)search_rnd(2),
                         search_rnd(3) == 0};
        q = qd_node_bool_make(&A, n[0], n[1], n[2], n[3], &l[0], &l[1], &l[2], &l[3]);
        for (uint32_t k = 0; k < 4; k++)
            for (uint32_t i = 0; i < n[k]; i++) l[k][i] = tree(depth - 1);
        q->u.boolean.min_should = (uint32_t)search_rnd(n[1] + 1);
    } else if (r == 5) {
        q = qd_node_make(&A, QD_NATIVE_DIS_MAX);
        const qd_node **kids = qd_arena_calloc(&A, 3 * sizeof *kids);
        for (int i = 0; i < 3; i++) kids[i] = tree(depth - 1);
        q->u.dis_max =
            (qd_node_dis_max){.children = kids, .n = 3, .tie_breaker = search_rnd(2) ? 0.3f : 0};
    } else if (r == 6) {
        q = qd_node_make(&A, search_rnd(2) ? QD_NATIVE_CONSTANT : QD_NATIVE_BOOST);
        q->u.child = tree(depth - 1);
    } else {
        q = leaf_node();
    }
    if (search_rnd(4) == 0) q->boost = 0.5f + (float)search_rnd(8) / 4;
    return q;
}

/* Plain shapes that have kernels: n terms required, m optional. */
static qd_node *shape(uint32_t must, uint32_t should)
{
    const qd_node **a, **b;
    qd_node *q = qd_node_bool_make(&A, must, should, 0, 0, &a, &b, NULL, NULL);
    for (uint32_t i = 0; i < must; i++) a[i] = term_node();
    for (uint32_t i = 0; i < should; i++) b[i] = term_node();
    return q;
}

/* Times side by side, as documents are; now and then open at an end, and all or none of them. */
static qd_node *some_time(void)
{
    qd_node *q = qd_node_make(&A, QD_NATIVE_RANGE);
    int64_t lo = search_at((uint32_t)search_rnd(C.n)) - 10;
    q->u.range = (qd_node_range){
        .field = QD_STR("at"),
        .lo = search_rnd(8) ? lo : INT64_MIN,
        .hi = search_rnd(8) ? lo + (int64_t)search_rnd(1 + C.n / (search_rnd(2) ? 4 : 16))
                            : INT64_MAX};
    return q;
}

/* The same beside a filter and, sometimes, an exclusion. */
static qd_node *filtered_shape(uint32_t must, uint32_t should, qd_node *filter)
{
    const qd_node **a, **b, **c, **d;
    uint32_t nnot = (uint32_t)search_rnd(2);
    qd_node *q = qd_node_bool_make(&A, must, should, 1, nnot, &a, &b, &c, &d);
    for (uint32_t i = 0; i < must; i++) a[i] = term_node();
    for (uint32_t i = 0; i < should; i++) b[i] = term_node();
    if (must == 1 && should == 0 && search_rnd(2))
        a[0] = search_rnd(2) ? phrase_node() : shape(0, 3);
    c[0] = filter;
    if (nnot) d[0] = term_node();
    if (!must) q->u.boolean.min_should = 1;
    return q;
}

/* One word that scores, the others and a tag only filter. */
static qd_node *one_scored(void)
{
    const qd_node **must, **filter;
    uint32_t n = 1 + (uint32_t)search_rnd(3);
    qd_node *q = qd_node_bool_make(&A, 1, 0, n, 0, &must, NULL, &filter, NULL);
    must[0] = term_node();
    if (search_rnd(4) == 0) ((qd_node *)(uintptr_t)must[0])->boost = 2.5f;
    for (uint32_t i = 0; i < n; i++)
        filter[i] = search_rnd(4)
                        ? term_node()
                        : qd_node_term_make(&A, QD_STR("tag"), qd_str_c(C.tag[search_rnd(TAGS)]));
    return q;
}

static uint32_t g_one_scored; /* times that the kernel for it ran */

/* --- comparing
 * -------------------------------------------------------------------------------------- */

typedef struct want {
    float *score; /* by document; NAN: no match */
    uint64_t hits;
    uint64_t *keys; /* best first */
} want;

static int by_key(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x > y ? -1 : x < y;
}

static void want_make(want *w, const qd_node *q)
{
    w->score = malloc(C.n * sizeof *w->score);
    w->keys = malloc((C.n + 1) * sizeof *w->keys);
    w->hits = 0;
    for (uint32_t i = 0; i < C.n; i++) {
        float s;
        bool m = !C.docs[i].deleted && naive(q, i, 1, &s);
        w->score[i] = m ? s : NAN;
        uint32_t bits = 0;
        if (!m) continue;
        memcpy(&bits, &s, 4);
        w->keys[w->hits++] = (uint64_t)bits << 32 | (uint32_t)~i;
    }
    qsort(w->keys, w->hits, sizeof *w->keys, by_key);
}

static void want_free(want *w)
{
    free(w->score);
    free(w->keys);
}

/* Nested disjunctions are taken over by their parents (as in Lucene), which rounds once less than
 * the naive reading: scores of trees agree within two units in the last place, in any order of
 * ties. */
static bool near_hits(const want *w, const qd_top_result *r, uint64_t k)
{
    if (r->n != k) return false;
    float last = r->n ? r->hits[r->n - 1].score : 0;
    uint64_t sure = 0, found = 0;
    for (uint64_t i = 0; i < w->hits; i++)
        sure += w->score[(uint32_t)~w->keys[i]] > last * 1.000001f;
    for (uint32_t i = 0; i < r->n; i++) {
        float s = r->hits[i].score, x = w->score[r->hits[i].doc];
        if (!(fabsf(s - x) <= s * 4e-7f)) return false;
        found += x > last * 1.000001f;
        if (i && (s > r->hits[i - 1].score ||
                  (s == r->hits[i - 1].score && r->hits[i].doc < r->hits[i - 1].doc)))
            return false;
    }
    return found == sure;
}

static void top_is(qd_plan *p, const want *w, const qd_top_options *o, const char *what,
                   uint32_t nr, bool exact)
{
    qd_top_result r;
    OK(qd_plan_top(p, o, &r, &C.err));
    g_one_scored += r.strategy && strcmp(r.strategy, "and: one scored") == 0;
    uint64_t k = o->k < w->hits ? o->k : w->hits;
    bool bad = r.n != k;
    if (!exact) bad = !near_hits(w, &r, k);
    for (uint32_t i = 0; exact && i < k && !bad; i++) {
        uint32_t bits = (uint32_t)(w->keys[i] >> 32);
        float s;
        memcpy(&s, &bits, 4);
        bad = r.hits[i].doc != (uint32_t)~w->keys[i] || r.hits[i].score != s;
        if (bad)
            print_error("place %u: document %u score %.9g, wanted %u %.9g\n", i, r.hits[i].doc,
                        (double)r.hits[i].score, (uint32_t)~w->keys[i], (double)s);
    }
    uint64_t total = o->total == QD_TOTAL_EXACT || w->hits < o->total ? w->hits : o->total;
    if (o->total && (r.total != total || r.total_lower_bound != (w->hits > total))) bad = true;
    if (!bad) return;
    print_error("query %u (%s, %s): k %u, %u hits, wanted %llu; total %llu, wanted %llu\n", nr,
                what, r.strategy, o->k, r.n, (unsigned long long)k, (unsigned long long)r.total,
                (unsigned long long)total);
    fail();
}

typedef struct gather {
    qd_collector c;
    const want *w;
    uint64_t n;
    bool bad;
} gather;
static int gather_collect(qd_collector *c, const qd_hits *h, qd_err *err)
{
    gather *g = (gather *)c;
    (void)err;
    for (uint32_t i = 0; i < h->n; i++) {
        uint32_t d = h->leaf->base + h->docs[i];
        if (!(fabsf(g->w->score[d] - h->scores[i]) <= h->scores[i] * 4e-7f)) g->bad = true;
        if (i && h->docs[i] <= h->docs[i - 1]) g->bad = true;
    }
    g->n += h->n;
    return 0;
}
static const qd_collector_vt gather_vt = {.collect = gather_collect};

static void compare(const qd_node *q, const char *what, uint32_t nr, bool kernels)
{
    want w;
    qd_plan *p;
    uint64_t n;
    want_make(&w, q);
    OK(qd_plan_make(C.searcher, q, NULL, &A, &p, &C.err));
    static const uint32_t ks[] = {1, 10, 100, 3000};
    for (uint32_t i = 0; i < 4; i++) {
        qd_top_options o = {.k = ks[i], .total = i == 1 ? QD_TOTAL_EXACT : i == 2 ? 500 : 0};
        for (int s = QD_STRATEGY_AUTO; s <= QD_STRATEGY_KERNEL_CANDIDATES; s++) {
            if (!kernels && s > QD_STRATEGY_WINDOWS) break;
            o.strategy = (qd_strategy)s;
            top_is(p, &w, &o, what, nr, kernels);
        }
    }
    OK(qd_plan_count(p, 0, &n, &C.err));
    if (n != w.hits)
        print_error("query %u (%s): counted %llu of %llu\n", nr, what, (unsigned long long)n,
                    (unsigned long long)w.hits);
    assert_int_equal(n, w.hits);
    gather g = {.c = {.vt = &gather_vt, .flags = QD_COLLECT_SCORES}, .w = &w};
    OK(qd_plan_collect(p, NULL, &g.c, NULL, &C.err));
    if (g.bad || g.n != w.hits)
        print_error("query %u (%s): collected %llu of %llu\n", nr, what, (unsigned long long)g.n,
                    (unsigned long long)w.hits);
    assert_false(g.bad);
    assert_int_equal(g.n, w.hits);
    uint32_t docs[40];
    uint64_t matches;
    float scores[40];
    for (uint32_t i = 0; i < 40; i++) docs[i] = (uint32_t)((uint64_t)C.n * i / 40);
    OK(qd_plan_test(p, docs, 40, &matches, scores, &C.err));
    for (uint32_t i = 0; i < 40; i++) {
        assert_int_equal(matches >> i & 1, !isnan(w.score[docs[i]]));
        if (matches >> i & 1) assert_true(fabsf(scores[i] - w.score[docs[i]]) <= scores[i] * 4e-7f);
    }
    want_free(&w);
}

static void run_queries(uint32_t shapes, uint32_t trees)
{
    static const uint8_t must_should[][2] = {{1, 0}, {2, 0}, {3, 0}, {0, 2}, {0, 3},
                                             {0, 5}, {1, 1}, {1, 3}, {2, 2}, {0, 9}};
    qd_arena_init(&A, &C.account, 0);
    for (uint32_t i = 0; i < shapes; i++) {
        uint32_t s = i % QD_COUNT_OF(must_should);
        compare(shape(must_should[s][0], must_should[s][1]), "shape", i, true);
        qd_arena_reset(&A);
    }
    for (uint32_t i = 0; i < shapes; i++) {
        uint32_t s = i % QD_COUNT_OF(must_should);
        compare(filtered_shape(must_should[s][0], must_should[s][1], leaf_node()), "filtered", i,
                false);
        qd_arena_reset(&A);
    }
    for (uint32_t i = 0; i < shapes; i++) {
        uint32_t s = i % QD_COUNT_OF(must_should);
        compare(filtered_shape(must_should[s][0], must_should[s][1], some_time()), "timed", i,
                false);
        qd_arena_reset(&A);
    }
    g_one_scored = 0;
    for (uint32_t i = 0; i < shapes; i++) {
        compare(one_scored(), "one scored", i, true);
        qd_arena_reset(&A);
    }
    assert_true(g_one_scored > shapes / 4);
    for (uint32_t i = 0; i < shapes / 4; i++) {
        compare(phrase_node(), "phrase", i, true);
        qd_arena_reset(&A);
    }
    for (uint32_t i = 0; i < trees; i++) {
        compare(tree(3), "tree", i, false);
        qd_arena_reset(&A);
    }
    qd_arena_fini(&A);
}

static void one_small_segment(void **state)
{
    (void)state;
    search_corpus_make(1, 300, 1, 0);
    run_queries(60, 300);
    search_corpus_end();
}
static void several_segments(void **state)
{
    (void)state;
    search_corpus_make(2, 3000, 4, 0);
    run_queries(60, 150);
    search_corpus_end();
}
static void deletions_are_never_hits_and_count_in_statistics(void **state)
{
    (void)state;
    search_corpus_make(3, 3000, 3, 5);
    run_queries(60, 150);
    search_corpus_end();
}
static void dense_terms_with_ranges_and_bitmaps(void **state)
{
    (void)state;
    search_corpus_make(4, 30000, 1, 0);
    run_queries(40, 15);
    search_corpus_end();
}
static void dense_terms_with_deletions_in_two_segments(void **state)
{
    (void)state;
    search_corpus_make(5, 36000, 2, 7);
    run_queries(30, 15);
    search_corpus_end();
}
static void every_instruction_set(void **state)
{
    (void)state;
    qd_cpu was = qd_cpu_level();
    for (int level = QD_CPU_V2; level < (int)was; level++) {
        qd_cpu_level_set((qd_cpu)level);
        search_corpus_make(6, 20000, 2, 9);
        run_queries(30, 10);
        search_corpus_end();
    }
    qd_cpu_level_set(was);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_small_segment),
        cmocka_unit_test(several_segments),
        cmocka_unit_test(deletions_are_never_hits_and_count_in_statistics),
        cmocka_unit_test(dense_terms_with_ranges_and_bitmaps),
        cmocka_unit_test(dense_terms_with_deletions_in_two_segments),
        cmocka_unit_test(every_instruction_set),
    };
    return unit_run(tests);
}
