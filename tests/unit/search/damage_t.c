/*
 * damage_t.c: searches over segments with wrong bytes under right checksums end in a clean error or
 * in bounded nonsense, never in a crash; under the sanitizers this is the kernels' bounds test.
 */
#include "search/collect/sort.h"
#include "search/plan/plan.h"
#include "segment/format_int.h"
#include "unit/lib/parts.h"
#undef OK
#include "unit/lib/search_corpus.h"
#include "unit/unit.h"

static qd_arena A;

static qd_node *word(uint32_t w)
{
    return qd_node_term_make(&A, QD_STR("body"), qd_str_c(C.word[w]));
}

/* Trees for every kernel and for the windows. */
static qd_node *some_tree(uint32_t kind)
{
    const qd_node **must, **should, **filter, **not ;
    qd_node *q;
    switch (kind) {
    case 0:
        return word((uint32_t)search_rnd(12));
    case 1:
    case 2:
    case 3: { /* any, all, both */
        uint32_t m = kind == 1 ? 0 : 2, s = kind == 2 ? 0 : 3;
        q = qd_node_bool_make(&A, m, s, 0, 0, &must, &should, NULL, NULL);
        for (uint32_t i = 0; i < m; i++) must[i] = word((uint32_t)search_rnd(20));
        for (uint32_t i = 0; i < s; i++) should[i] = word((uint32_t)search_rnd(WORDS));
        return q;
    }
    case 4: {
        qd_phrase_term *t = qd_arena_calloc(&A, 2 * sizeof *t);
        t[0] = (qd_phrase_term){.term = qd_str_c(C.word[search_rnd(6)])};
        t[1] = (qd_phrase_term){.term = qd_str_c(C.word[search_rnd(6)]), .position = 1};
        q = qd_node_make(&A, QD_NATIVE_PHRASE);
        q->u.phrase = (qd_node_phrase){
            .field = QD_STR("body"), .terms = t, .n = 2, .slop = (uint32_t)search_rnd(3)};
        return q;
    }
    default:
        q = qd_node_bool_make(&A, 1, 1, 1, 1, &must, &should, &filter, &not );
        must[0] = some_tree(kind - 5);
        should[0] = word(3);
        qd_node *r = qd_node_make(&A, QD_NATIVE_RANGE);
        r->u.range = (qd_node_range){.field = QD_STR("num"), .lo = -100, .hi = 400};
        filter[0] = r;
        qd_node *p = qd_node_make(&A, QD_NATIVE_PATTERN);
        p->u.pattern = (qd_node_pattern){.field = QD_STR("body"), .text = QD_STR("w7")};
        not [0] = p;
        return q;
    }
}

static bool clean(int rc)
{
    /* QD_E_STATE: the damaged schema says that positions were not indexed. */
    bool good = rc == 0 || rc == QD_E_CORRUPT || rc == QD_E_STATE;
    if (!good) print_error("%s: %s\n", qd_code_name(rc), qd_err_reason(&C.err));
    qd_err_fini(&C.err);
    return good;
}

/* All of a plan's ways over the searcher; counts errors. */
static void search_all(qd_searcher *s, uint32_t *errors)
{
    for (uint32_t kind = 0; kind < 10; kind++) {
        qd_plan *p;
        qd_top_result top;
        uint64_t n;
        int rc = qd_plan_make(s, some_tree(kind), NULL, &A, &p, &C.err);
        assert_true(clean(rc));
        *errors += rc != 0;
        for (int how = 0; !rc && how <= QD_STRATEGY_KERNEL_CANDIDATES; how++) {
            qd_top_options o = {
                .k = how & 1 ? 10 : 200, .total = QD_TOTAL_EXACT, .strategy = (qd_strategy)how};
            int rc2 = qd_plan_top(p, &o, &top, &C.err);
            assert_true(clean(rc2));
            *errors += rc2 != 0;
        }
        if (!rc) {
            int rc2 = qd_plan_count(p, 0, &n, &C.err);
            assert_true(clean(rc2));
        }
        if (!rc && kind == 0) {
            qd_sort_key key = {.kind = QD_SORT_ORD, .field = QD_STR("tag")};
            qd_sorter *sorter;
            assert_int_equal(qd_sorter_make(&(qd_sort_options){.keys = &key, .nkeys = 1, .k = 20},
                                            &A, &sorter, &C.err),
                             0);
            assert_true(clean(qd_plan_collect(p, NULL, qd_sorter_collector(sorter), NULL, &C.err)));
        }
        qd_arena_reset(&A);
    }
}

static void damaged_segments_are_searched_without_a_crash(void **state)
{
    (void)state;
    static const uint32_t sections[] = {QDI_SEC_TERMS,       QDI_SEC_POSTINGS, QDI_SEC_POSITIONS,
                                        QDI_SEC_NORMS,       QDI_SEC_COLUMNS,  QDI_SEC_COLUMN_DICT,
                                        QDI_SEC_POINTS,      QDI_SEC_META,     QDI_SEC_TERM_INDEX,
                                        QDI_SEC_COLUMN_INDEX};
    const char *seed = getenv("QD_SEED");
#ifdef QD_RESCORE
    qd_plan_rescores = false; /* wrong bounds are no error here */
#endif
    search_corpus_make(seed ? strtoull(seed, NULL, 10) : 41, 20000, 1, 9);
    qd_arena_init(&A, &C.account, 0);
    parts x = {.disk = C.disk, .store = C.store};
    qd_account_init(&x.account, "parts", NULL, 0);
    qd_err_init(&x.err);
    qd_arena_init(&x.arena, &x.account, 0);
    const char *from = "seg-00000000000000000000000000000000";
    uint32_t errors = 0, opened = 0, rounds = getenv("QD_LONG") ? 400 : (uint32_t)unit_rounds(12);
    for (uint32_t i = 0; i < QD_COUNT_OF(sections); i++) {
        uint64_t bytes = 0;
        if (!qd_file_section(qd_segment_file(C.seg[0]), sections[i], &bytes) || !bytes) continue;
        for (uint32_t r = 0; r < rounds; r++) {
            qd_segment *seg;
            qd_searcher *s;
            parts_tamper(&x, from, "seg-t", sections[i], search_rnd(bytes),
                         (uint8_t)(1u << search_rnd(8) | (search_rnd(3) ? 0 : 0x80)));
            int rc = qd_segment_open(C.store, QD_STR("seg-t"), &C.account, &seg, &C.err);
            assert_true(clean(rc) || rc == QD_E_FORMAT_NEW);
            if (!rc) {
                opened++;
                if (qd_segment_docs(seg) == C.n) { /* the live documents are of this many */
                    assert_int_equal(qd_searcher_make(&seg, C.live, 1, &C.account, &s, &C.err), 0);
                    search_all(s, &errors);
                    qd_searcher_unref(s);
                }
                qd_segment_unref(seg);
            }
            assert_int_equal(qd_store_delete(C.store, QD_STR("seg-t"), &C.err), 0);
            qd_arena_reset(&x.arena);
        }
    }
    assert_true(opened > rounds); /* some damage is found only when it is read, or never */
    qd_arena_fini(&x.arena);
    qd_err_fini(&x.err);
    qd_arena_fini(&A);
    search_corpus_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damaged_segments_are_searched_without_a_crash)};
    return unit_run(tests);
}
