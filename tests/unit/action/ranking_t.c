/* ranking_t.c: lists that become one: ranks, normalizers, means, rescorers, windows; and what is
 * read of retrievers. */
#include "action/ranking/ranking.h"
#include "base/str.h"
#include "unit/unit.h"
#include <math.h>

static qd_arena arena;

static int setup(void **state)
{
    (void)state;
    qd_arena_init(&arena, NULL, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    qd_arena_fini(&arena);
    return 0;
}

static rank_plan *plan_of(const char *json, int *rc, qd_err *err)
{
    qd_json_node *n;
    rank_plan *p = NULL;
    assert_int_equal(qd_json_parse(&arena, qd_str_c(json), 0, &n, NULL), 0);
    *rc = qdi_rank_retriever(&arena, n, &p, err);
    return p;
}

static rank_list list_of(uint32_t n, const uint32_t *docs, const float *scores)
{
    rank_doc *at = qd_arena_calloc(&arena, (n + 1) * sizeof *at);
    for (uint32_t i = 0; i < n; i++)
        at[i] = (rank_doc){.shard = docs[i] % 2, .doc = docs[i], .at = i, .score = scores[i]};
    return (rank_list){at, n};
}

static float no_extra(void *arg, const rank_doc *d, uint32_t k)
{
    (void)arg, (void)k;
    return d->doc == 3 ? 10.0f : NAN;
}

static void ranks_are_added(void **state)
{
    (void)state;
    int rc;
    rank_plan *p = plan_of("{\"rrf\":{\"rank_constant\":1,\"rank_window_size\":3,\"retrievers\":[{"
                           "\"standard\":{}},{\"standard\":{}}]}}",
                           &rc, NULL);
    assert_int_equal(rc, 0);
    assert_int_equal(p->nleaves, 2);
    rank_list lists[] = {list_of(3, (const uint32_t[]){1, 2, 3}, (const float[]){9, 8, 7}),
                         list_of(3, (const uint32_t[]){3, 4, 1}, (const float[]){1, 1, 1})},
              out;
    assert_int_equal(qdi_rank_fuse(p, lists, no_extra, NULL, &arena, &out, NULL), 0);
    assert_int_equal(out.n, 3); /* the window */
    assert_int_equal(out.at[0].doc, 1);
    assert_float_equal(out.at[0].score, 0.5f + 0.25f, 1e-6f);
    assert_int_equal(out.at[1].doc, 3); /* as good, on a later shard or document */
    assert_float_equal(out.at[1].score, 0.75f, 1e-6f);
    assert_float_equal(out.at[2].score, 1.0f / 3, 1e-6f);
    assert_int_equal(out.at[2].doc,
                     2); /* 4 has the same score: the shard decides, then the document */
}

static void scores_are_normalized(void **state)
{
    (void)state;
    const uint32_t docs[] = {0, 1, 2};
    rank_list l = list_of(3, docs, (const float[]){4, 2, 1});
    qdi_rank_normalize(RANK_NORM_MINMAX, l.at, 3);
    assert_float_equal(l.at[0].score, 1, 1e-6f);
    assert_float_equal(l.at[2].score, 0, 1e-6f);
    l = list_of(3, docs, (const float[]){4, 2, 1});
    qdi_rank_normalize(RANK_NORM_OS_MINMAX, l.at, 3);
    assert_float_equal(l.at[2].score, 0.001f, 1e-6f);
    l = list_of(1, docs, (const float[]){3});
    qdi_rank_normalize(RANK_NORM_OS_MINMAX, l.at, 1);
    assert_float_equal(l.at[0].score, 1, 1e-6f);
    l = list_of(1, docs, (const float[]){3});
    qdi_rank_normalize(RANK_NORM_MINMAX, l.at, 1);
    assert_float_equal(l.at[0].score, 3, 1e-6f); /* as Elasticsearch leaves it */
    l = list_of(2, docs, (const float[]){0, 0});
    qdi_rank_normalize(RANK_NORM_OS_L2, l.at, 2);
    assert_float_equal(l.at[0].score, 0, 1e-6f);
    l = list_of(2, docs, (const float[]){5, 5});
    qdi_rank_normalize(RANK_NORM_OS_ZSCORE, l.at, 2);
    assert_float_equal(l.at[0].score, 1, 1e-6f);
    qdi_rank_normalize(RANK_NORM_OS_ZSCORE, NULL, 0);
    qdi_rank_normalize(RANK_NORM_OS_L2, NULL, 0);
    qdi_rank_normalize(RANK_NORM_OS_MINMAX, NULL, 0);
}

static void means_leave_out_what_is_missing(void **state)
{
    (void)state;
    const float s[] = {0.5f, 0}, w[] = {0.25f, 0.75f};
    assert_float_equal(qdi_rank_mean(RANK_MEAN_ARITHMETIC, s, NULL, 2), 0.25f, 1e-6f);
    assert_float_equal(qdi_rank_mean(RANK_MEAN_ARITHMETIC, s, w, 2), 0.125f, 1e-6f);
    assert_float_equal(qdi_rank_mean(RANK_MEAN_GEOMETRIC, s, w, 2), 0.5f, 1e-6f);
    assert_float_equal(qdi_rank_mean(RANK_MEAN_HARMONIC, s, w, 2), 0.5f, 1e-6f);
    assert_float_equal(qdi_rank_mean(RANK_MEAN_HARMONIC, s + 1, w, 1), 0, 1e-6f);
    assert_float_equal(qdi_rank_mean(RANK_MEAN_GEOMETRIC, s + 1, w, 1), 0, 1e-6f);
}

static void a_combined_list_is_rescored(void **state)
{
    (void)state;
    int rc;
    rank_plan *p = plan_of(
        "{\"rescorer\":{\"rescore\":{\"window_size\":2,\"query\":{\"rescore_query\":{"
        "\"match_all\":{}},\"query_weight\":2}},\"retriever\":{\"linear\":{\"retrievers\":[{"
        "\"retriever\":{\"standard\":{}}}]}}}}",
        &rc, NULL);
    assert_int_equal(rc, 0);
    assert_int_equal(p->nextra, 1);
    rank_list lists[] = {list_of(3, (const uint32_t[]){2, 3, 4}, (const float[]){9, 8, 7})}, out;
    assert_int_equal(qdi_rank_fuse(p, lists, no_extra, NULL, &arena, &out, NULL), 0);
    assert_int_equal(out.n, 2);
    assert_int_equal(out.at[0].doc, 3);
    assert_float_equal(out.at[0].score, 2 * 8 + 10, 1e-6f);
    assert_float_equal(out.at[1].score, 2 * 9, 1e-6f);
}

static void scores_stay_numbers(void **state)
{
    (void)state;
    rank_rescore s = {.weight = 3e38f, .query_weight = 3e38f, .mode = RANK_MODE_MULTIPLY};
    assert_true(isfinite(qdi_rank_rescored(&s, 9, true, -9)));
    s = (rank_rescore){.weight = -3e38f, .query_weight = 3e38f};
    assert_float_equal(qdi_rank_rescored(&s, 9, true, 9), 0, 0); /* infinite both ways */
    int rc;
    rank_plan *p =
        plan_of("{\"linear\":{\"retrievers\":[{\"weight\":3e38,\"retriever\":{\"standard\":{}}"
                "},{\"weight\":3e38,\"retriever\":{\"standard\":{}}}]}}",
                &rc, NULL);
    assert_int_equal(rc, 0);
    rank_list lists[] = {list_of(2, (const uint32_t[]){1, 2}, (const float[]){9, 8}),
                         list_of(2, (const uint32_t[]){2, 1}, (const float[]){-9, -8})},
              out;
    assert_int_equal(qdi_rank_fuse(p, lists, no_extra, NULL, &arena, &out, NULL), 0);
    assert_true(isfinite(out.at[0].score) && isfinite(out.at[1].score));
}

static void depth_and_number_have_bounds(void **state)
{
    (void)state;
    qd_buf b;
    qd_err err;
    int rc;
    qd_err_init(&err);
    qd_buf_init(&b, NULL, 1 << 20);
    for (int i = 0; i < 17; i++) (void)qd_buf_printf(&b, "{\"rrf\":{\"retrievers\":[");
    (void)qd_buf_printf(&b, "{\"standard\":{}}");
    for (int i = 0; i < 17; i++) (void)qd_buf_printf(&b, "]}}");
    (void)plan_of(b.p, &rc, &err);
    assert_int_equal(rc, QD_E_ARG);
    qd_err_fini(&err);
    qd_err_init(&err);
    qd_buf_reset(&b);
    (void)qd_buf_printf(&b, "{\"rrf\":{\"retrievers\":[{\"rrf\":{\"retrievers\":[");
    for (int i = 0; i < 60; i++) (void)qd_buf_printf(&b, "%s{\"standard\":{}}", i ? "," : "");
    (void)qd_buf_printf(&b, "]}}");
    for (int i = 0; i < 5; i++) (void)qd_buf_printf(&b, ",{\"standard\":{}}");
    (void)qd_buf_printf(&b, "]}}");
    (void)plan_of(b.p, &rc, &err);
    assert_int_equal(rc, QD_E_ARG);
    qd_err_fini(&err);
    qd_buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(ranks_are_added, setup, teardown),
        cmocka_unit_test_setup_teardown(scores_are_normalized, setup, teardown),
        cmocka_unit_test_setup_teardown(means_leave_out_what_is_missing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_combined_list_is_rescored, setup, teardown),
        cmocka_unit_test_setup_teardown(scores_stay_numbers, setup, teardown),
        cmocka_unit_test_setup_teardown(depth_and_number_have_bounds, setup, teardown),
    };
    return unit_run(tests);
}
