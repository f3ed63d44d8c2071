/*
 * check_t.c: values confirmed in columns give what looking at each document gives: patterns and
 * ranges of words, intervals in each relation, alone and beside other clauses; several segments,
 * one without the column, one where each document has one value; deletions; a budget that ends.
 */
#include "base/str.h"
#include "lib/store_crash.h"
#include "search/plan/plan.h"
#include "segment/live.h"
#include "segment/segment.h"
#include "unit/search/dice.h"

#define DOCS 21000u
#define SEGMENTS 4u
#define VALUES 3u

typedef struct doc {
    uint8_t word[VALUES], lo[VALUES], hi[VALUES], n;
    bool third, deleted;
} doc;

static doc D[DOCS];
static qd_account account;
static qd_arena A;
static qd_segment *seg[SEGMENTS];
static qd_live *live[SEGMENTS];
static qd_searcher *S;
static const uint32_t first[SEGMENTS + 1] = {0, 9000, 9200, 15000, DOCS};

/* Words "w0" to "w249"; intervals of one byte an end. */
static qd_str word_of(uint8_t w)
{
    static char text[16];
    return (qd_str){text, (size_t)snprintf(text, sizeof text, "w%u", w)};
}

static void make_doc(doc *d, uint32_t s)
{
    *d = (doc){.n = (uint8_t)(s == 2 ? rnd(2) : rnd(VALUES + 1)), .third = rnd(3) == 0};
    for (uint32_t k = 0; k < d->n; k++) {
        d->word[k] = (uint8_t)rnd(250);
        d->lo[k] = (uint8_t)rnd(200);
        d->hi[k] = (uint8_t)(d->lo[k] + rnd(56));
    }
}

static void write_segment(qd_store *store, qd_buffer *b, uint32_t s)
{
    static const qd_field_info words = {.name = {"words", 5}, .column = QD_COLUMN_ORDINAL},
                               spans = {.name = {"spans", 5}, .column = QD_COLUMN_ORDINAL},
                               tags = {.name = {"tag", 3}, .index = QD_INDEX_DOCS};
    uint32_t w = 0, p = 0, t;
    if (s != 1) OK(qd_buffer_field(b, &words, &w, &err));
    if (s != 1) OK(qd_buffer_field(b, &spans, &p, &err));
    OK(qd_buffer_field(b, &tags, &t, &err));
    for (uint32_t i = first[s]; i < first[s + 1]; i++) {
        doc *d = &D[i];
        make_doc(d, s);
        if (s == 1) d->n = 0;
        OK(qd_buffer_doc_begin(b, NULL, &err));
        for (uint32_t k = 0; k < d->n; k++) {
            char span[2] = {(char)d->lo[k], (char)d->hi[k]};
            OK(qd_buffer_column_bytes(b, w, word_of(d->word[k]), &err));
            OK(qd_buffer_column_bytes(b, p, (qd_str){span, 2}, &err));
        }
        OK(qd_buffer_term(b, t, d->third ? QD_STR("third") : QD_STR("other"), &err));
        OK(qd_buffer_doc_commit(b, &err));
    }
    char name[64];
    uint8_t id[16] = {(uint8_t)s};
    snprintf(name, sizeof name, "seg-%032u", s);
    qd_segment_attrs attrs = {.min_seq_no = -1, .max_seq_no = -1, .stored_codec = QD_STORED_NONE};
    OK(qd_buffer_flush(b, store, qd_str_c(name), id, &attrs, true, NULL, &err));
    qd_buffer_reset(b);
    OK(qd_segment_open(store, qd_str_c(name), &account, &seg[s], &err));
}

static void make(qd_store *store)
{
    qd_buffer *b;
    OK(qd_buffer_create(&account, &b, &err));
    for (uint32_t s = 0; s < SEGMENTS; s++) {
        write_segment(store, b, s);
        OK(qd_live_make(first[s + 1] - first[s], &account, &live[s], &err));
        for (uint32_t i = first[s]; i < first[s + 1]; i++) {
            D[i].deleted = rnd(9) == 0;
            if (D[i].deleted) qd_live_delete(live[s], i - first[s]);
        }
    }
    qd_buffer_destroy(b);
    OK(qd_searcher_make(seg, live, SEGMENTS, &account, &S, &err));
}

/* --- one test, and what it says of a document --- */

typedef struct question {
    qd_node *node;
    int kind; /* 0 pattern "w<digit>*", 1 words from "w1<digit>" on, 2 intervals */
    char text[8];
    uint8_t lo, hi;
    qd_interval_relation relation;
    bool beside, without; /* in a bool with tag:third, as its filter or excluded */
} question;

static bool value_passes(const question *q, const doc *d, uint32_t k)
{
    qd_str w = word_of(d->word[k]);
    switch (q->kind) {
    case 0:
        return w.n >= 2 && w.p[1] == q->text[1];
    case 1:
        return qd_str_cmp(w, qd_str_c(q->text)) >= 0;
    default:
        return q->relation == QD_INTERVAL_CONTAINS ? d->lo[k] <= q->lo && d->hi[k] >= q->hi
               : q->relation == QD_INTERVAL_WITHIN ? d->lo[k] >= q->lo && d->hi[k] <= q->hi
                                                   : d->lo[k] <= q->hi && d->hi[k] >= q->lo;
    }
}

static bool matches(const question *q, const doc *d)
{
    bool yes = false;
    for (uint32_t k = 0; k < d->n && !yes; k++) yes = value_passes(q, d, k);
    if (q->beside) yes = q->without ? d->third && !yes : d->third && yes;
    return yes && !d->deleted;
}

static void ask(question *q)
{
    *q = (question){.kind = (int)rnd(3), .beside = rnd(3) > 0, .without = rnd(3) == 0};
    qd_node *n = qd_node_make(&A, QD_NATIVE_CHECK);
    qd_node_check *c = &n->u.check;
    c->field = q->kind == 2 ? QD_STR("spans") : QD_STR("words");
    snprintf(q->text, sizeof q->text, q->kind ? "w1%u" : "w%u*", (unsigned)rnd(10));
    if (q->kind == 0) {
        qd_node_pattern *p = qd_arena_calloc(&A, sizeof *p);
        p->kind = QD_PATTERN_WILDCARD;
        p->text = qd_arena_str(&A, qd_str_c(q->text));
        c->pattern = p;
    } else if (q->kind == 1) {
        qd_node_range *r = qd_arena_calloc(&A, sizeof *r);
        *r = (qd_node_range){.kind = QD_RANGE_TERM, .has_from = true, .from_inclusive = true};
        r->from = qd_arena_str(&A, qd_str_c(q->text));
        c->terms = r;
    } else {
        q->lo = (uint8_t)rnd(220);
        q->hi = (uint8_t)(q->lo + rnd(30));
        q->relation = c->relation = (qd_interval_relation)rnd(3);
        c->lo = qd_arena_str(&A, (qd_str){(const char *)&q->lo, 1});
        c->hi = qd_arena_str(&A, (qd_str){(const char *)&q->hi, 1});
    }
    q->node = n;
    if (!q->beside) return;
    const qd_node **filter, **not ;
    bool out = q->without;
    q->node = qd_node_bool_make(&A, 0, 0, out ? 1 : 2, out, NULL, NULL, &filter, &not );
    filter[0] = qd_node_term_make(&A, QD_STR("tag"), QD_STR("third"));
    if (out)
        not [0] = n;
    else
        filter[1] = n;
}

static void run(uint64_t s, void (*test)(void))
{
    store_crash *disk = store_crash_make(&(store_crash_options){.copies = s % 2});
    qd_store *store;
    qd_err_init(&err);
    qd_account_init(&account, "test", NULL, 0);
    qd_arena_init(&A, &account, 0);
    seed = s;
    OK(store_crash_open(disk, &store, &err));
    make(store);
    test();
    qd_arena_fini(&A);
    qd_searcher_unref(S);
    for (uint32_t i = 0; i < SEGMENTS; i++) {
        qd_segment_unref(seg[i]);
        qd_live_unref(live[i]);
    }
    qd_store_close(store);
    store_crash_free(disk);
    assert_int_equal(qd_account_used(&account), 0);
    qd_err_fini(&err);
}

static void count_them(void)
{
    for (uint32_t i = 0; i < 150; i++) {
        question q;
        qd_plan *p;
        qd_plan_options po = {0};
        uint64_t got, want = 0;
        ask(&q);
        for (uint32_t k = 0; k < DOCS; k++) want += matches(&q, &D[k]);
        OK(qd_plan_make(S, q.node, &po, &A, &p, &err));
        OK(qd_plan_count(p, 0, &got, &err));
        assert_int_equal(got, want);
        qd_arena_reset(&A);
    }
}

static void spend(void)
{
    qd_term_budget budget = {.limit = 1, .walks = 1};
    qd_plan_options po = {.budget = &budget};
    qd_plan *p;
    question q;
    uint64_t got;
    do ask(&q);
    while (q.kind != 2 || q.beside);
    OK(qd_plan_make(S, q.node, &po, &A, &p, &err));
    assert_int_equal(qd_plan_count(p, 0, &got, &err), QD_E_ARG);
    assert_non_null(strstr(qd_err_reason(&err), "[search.max_pattern_terms]"));
    qd_err_fini(&err);
    qd_err_init(&err);
}

static void as_looking_at_each_document(void **state)
{
    (void)state;
    run(1, count_them);
    run(2, count_them);
}

static void its_work_is_charged(void **state)
{
    (void)state;
    run(3, spend);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_looking_at_each_document),
        cmocka_unit_test(its_work_is_charged),
    };
    return unit_run(tests);
}
