/*
 * ordinals_t.c: ordinals of a whole shard: made at the second use, they number the strings of all
 * segments in byte order; terms give the same answers with them as without; memory that is short
 * costs their gain alone.
 */
#include "runtime/env.h"
#include "runtime/task.h"
#include "search/ordinals.h"
#include "segment/columns.h"
#include "store/reads.h"
#include "unit/lib/aggs_lib.h"

static void make(lib *l, lib_doc *d, uint32_t i)
{
    *d = (lib_doc){.nk = (uint32_t)lib_random(l, 4), .nn = 1};
    for (uint32_t j = 0; j < d->nk; j++) {
        uint64_t x = lib_random(l, 4) ? lib_random(l, 3000) : lib_random(l, 5);
        snprintf(d->k[j], sizeof d->k[j], "%c%.*s%u", (char)('a' + 5 * j), (int)(x % 5), "zzzzz",
                 (unsigned)(x & 0xffff));
    }
    d->n[0] = (int64_t)lib_random(l, 100);
    d->has_d = true;
    d->d = (double)lib_random(l, 100000) / 100;
    d->s = (int64_t)lib_random(l, 1000);
    d->t = 1600000000000 + (int64_t)i * 60000;
    d->b = (int64_t)lib_random(l, 2);
}

static const char *const requests[] = {
    "{\"a\":{\"terms\":{\"field\":\"k\",\"size\":5}}}",
    "{\"a\":{\"terms\":{\"field\":\"k\",\"size\":10000}}}",
    "{\"a\":{\"terms\":{\"field\":\"k\",\"size\":7,\"shard_size\":9}}}",
    "{\"a\":{\"terms\":{\"field\":\"k\",\"size\":20,\"order\":{\"_key\":\"desc\"}}}}",
    "{\"a\":{\"terms\":{\"field\":\"k\",\"size\":20,\"order\":{\"_count\":\"asc\"}}}}",
    "{\"a\":{\"terms\":{\"field\":\"k\",\"size\":20,\"min_doc_count\":3}}}",
    "{\"a\":{\"terms\":{\"field\":\"k\",\"size\":2000,\"min_doc_count\":0}}}",
    "{\"a\":{\"terms\":{\"field\":\"k\",\"size\":20,\"missing\":\"b1\"}}}",
    "{\"a\":{\"terms\":{\"field\":\"k\",\"size\":20,\"include\":\"a.*1\"}}}",
    "{\"a\":{\"terms\":{\"field\":\"k\",\"size\":9},\"aggs\":{\"x\":{\"avg\":{\"field\":\"d\"}}}}}",
    "{\"a\":{\"terms\":{\"field\":\"k\",\"size\":9,\"order\":{\"x\":\"desc\"}},\"aggs\":{\"x\":{"
    "\"sum\":{\"field\":\"d\"}},\"n\":{\"terms\":{\"field\":\"n\"}}}}}",
    "{\"a\":{\"terms\":{\"field\":\"b\"},\"aggs\":{\"k\":{\"terms\":{\"field\":\"k\",\"size\":4},"
    "\"aggs\":{\"x\":{\"max\":{\"field\":\"s\"}}}}}}}",
    "{\"g\":{\"global\":{},\"aggs\":{\"a\":{\"terms\":{\"field\":\"k\",\"size\":6}}}}}",
};

static void same_answers(void **state)
{
    (void)state;
    qd_buf first, again;
    qd_buf_init(&first, NULL, 1 << 26);
    qd_buf_init(&again, NULL, 1 << 26);
    static const int64_t ranges[][2] = {{INT64_MIN, INT64_MAX}, {200, 700}, {10, 14}};
    for (uint32_t i = 0; i < QD_COUNT_OF(requests); i++)
        for (uint32_t r = 0; r < QD_COUNT_OF(ranges); r++) {
            lib l; /* anew: the first use of its searchers */
            lib_begin(&l, i * 8 + r + 1, 2500, r ? 6 : 0, make);
            assert_int_equal(lib_run(&l, requests[i], ranges[r][0], ranges[r][1], &first), 0);
            for (uint32_t k = 0; k < 3; k++) {
                assert_int_equal(lib_run(&l, requests[i], ranges[r][0], ranges[r][1], &again), 0);
                assert_string_equal(first.p, again.p);
            }
            lib_end(&l);
        }
    qd_buf_fini(&first);
    qd_buf_fini(&again);
}

/* All strings of a leaf's dictionary have the number whose string they are. */
static void check_leaf(lib *l, qd_searcher *s, const qd_ordinals *o, uint32_t leaf, qd_str *names)
{
    qd_segment *segment = qd_searcher_leaf(s, leaf)->segment;
    const qd_column *c =
        qd_columns_get(qd_segment_columns(segment), qd_segment_field_find(segment, QD_STR("k")));
    qd_arena arena;
    qd_dict_reader *rd;
    qd_arena_init(&arena, &l->account, 0);
    qd_reads *reads = qd_reads_make(&arena, &l->account);
    assert_non_null(reads);
    assert_int_equal(qd_dict_plan_all(c, reads, &arena, &rd, &l->err), 0);
    assert_int_equal(qd_reads_fetch(reads, &l->err), 0);
    for (uint32_t i = 0; i < qd_column_stats_get(c)->ordinals; i++) {
        qd_str v;
        assert_int_equal(qd_dict_at(rd, i, &v, &l->err), 0);
        assert_true(o->of[leaf][i] < o->n);
        assert_true(qd_str_eq(v, names[o->of[leaf][i]]));
    }
    qd_reads_release(reads);
    qd_arena_fini(&arena);
}

static void numbers_in_order(void **state)
{
    (void)state;
    lib l;
    lib_begin(&l, 3, 9000, 0, make);
    for (uint32_t shard = 0; shard < LIB_SHARDS; shard++) {
        qd_searcher *s = l.searcher[shard];
        const qd_ordinals *o, *same;
        int64_t before = qd_account_used(&l.account);
        assert_int_equal(qd_searcher_ordinals(s, QD_STR("k"), NULL, &o, &l.err), 0);
        assert_null(o);
        assert_int_equal(qd_searcher_ordinals(s, QD_STR("k"), NULL, &o, &l.err), 0);
        assert_non_null(o);
        assert_int_equal(qd_searcher_ordinals(s, QD_STR("k"), NULL, &same, &l.err), 0);
        assert_ptr_equal(o, same);
        assert_true(qd_account_used(&l.account) - before >= (int64_t)o->n * 8); /* it is paid for */
        for (uint32_t i = 0; i < 3; i++) { /* numbers have none, nor has what nobody knows */
            assert_int_equal(qd_searcher_ordinals(s, QD_STR("n"), NULL, &same, &l.err), 0);
            assert_null(same);
            assert_int_equal(qd_searcher_ordinals(s, QD_STR("nowhere"), NULL, &same, &l.err), 0);
            assert_null(same);
        }
        uint32_t *all = malloc(o->n * sizeof *all);
        qd_str *names = malloc(o->n * sizeof *names);
        for (uint32_t i = 0; i < o->n; i++) all[i] = i;
        qd_arena_reset(&l.arena);
        assert_int_equal(
            qd_ordinals_strings(s, QD_STR("k"), o, all, o->n, &l.arena, &l.account, names, &l.err),
            0);
        for (uint32_t i = 1; i < o->n; i++) assert_true(qd_str_cmp(names[i - 1], names[i]) < 0);
        for (uint32_t i = 0; i < qd_searcher_leaves(s); i++) check_leaf(&l, s, o, i, names);
        free(all);
        free(names);
    }
    lib_end(&l);
}

static void short_of_memory(void **state)
{
    (void)state;
    qd_buf want, got;
    qd_buf_init(&want, NULL, 1 << 26);
    qd_buf_init(&got, NULL, 1 << 26);
    static const char request[] = "{\"a\":{\"terms\":{\"field\":\"k\",\"size\":5}}}";
    for (uint64_t n = 1;; n++) {
        lib l;
        lib_begin(&l, 17, 200, 0, make);
        assert_int_equal(lib_run(&l, request, INT64_MIN, INT64_MAX, &want), 0);
        qd_mem_fail_at(n, false);
        int rc = lib_run(&l, request, INT64_MIN, INT64_MAX, &got);
        uint64_t seen = qd_mem_fail_at(0, false);
        assert_int_equal(qd_account_used(&l.request), 0);
        if (rc == 0) assert_string_equal(got.p, want.p);
        assert_int_equal(lib_run(&l, request, INT64_MIN, INT64_MAX, &got), 0);
        assert_string_equal(got.p, want.p);
        lib_end(&l);
        if (seen < n) break;
    }
    qd_buf_fini(&want);
    qd_buf_fini(&got);
}

/* Near the limit of all accounts none is made; a searcher with some is spare once nobody has it. */
static void none_near_the_limit(void **state)
{
    (void)state;
    lib l;
    const qd_ordinals *o;
    lib_begin(&l, 5, 900, 0, make);
    int64_t limit = atomic_load(&qd_account_root.limit);
    atomic_store(&qd_account_root.limit, qd_account_used(&qd_account_root));
    assert_true(qd_ordinals_memory_short(0));
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(qd_searcher_ordinals(l.searcher[0], QD_STR("k"), NULL, &o, &l.err), 0);
        assert_null(o);
    }
    atomic_store(&qd_account_root.limit, limit);
    assert_false(qd_searcher_spare(l.searcher[1]));
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(qd_searcher_ordinals(l.searcher[1], QD_STR("k"), NULL, &o, &l.err), 0);
        assert_int_equal(qd_searcher_spare(l.searcher[1]), i); /* noted, then made */
    }
    assert_non_null(o);
    assert_true(qd_searcher_spare(l.searcher[1]));
    qd_searcher *again = qd_searcher_ref(l.searcher[1]);
    assert_false(qd_searcher_spare(again));
    qd_searcher_unref(again);
    lib_end(&l);
}

/* A search that goes on without them has no error, or a later one would have the wrong text. */
static void what_is_short_is_no_error(void **state)
{
    (void)state;
    for (uint64_t n = 1;; n++) {
        lib l;
        const qd_ordinals *o;
        lib_begin(&l, 17, 200, 0, make);
        assert_int_equal(qd_searcher_ordinals(l.searcher[0], QD_STR("k"), NULL, &o, &l.err), 0);
        qd_mem_fail_at(n, false);
        int rc = qd_searcher_ordinals(l.searcher[0], QD_STR("k"), NULL, &o, &l.err);
        uint64_t seen = qd_mem_fail_at(0, false);
        assert_int_equal(rc, 0);
        assert_int_equal(l.err.code, 0);
        assert_int_equal(o != NULL, seen < n);
        lib_end(&l);
        if (seen < n) break;
    }
}

static void a_cancelled_search_stops_making_and_a_deadline_does_without(void **state)
{
    (void)state;
    lib l;
    qd_tasks *tasks;
    qd_task t = {0};
    const qd_ordinals *o;
    lib_begin(&l, 21, 900, 0, make);
    assert_int_equal(qd_tasks_open(qd_env_system(), &tasks, &l.err), 0);
    qd_task_begin(tasks, &t, "indices:data/read/search", QD_STR("test"), true);
    for (uint32_t i = 0; i < 2; i++)
        assert_int_equal(qd_searcher_ordinals(l.searcher[i], QD_STR("k"), &t, &o, &l.err), 0);
    t.deadline_ns = 1; /* long past */
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(qd_searcher_ordinals(l.searcher[1], QD_STR("k"), &t, &o, &l.err), 0);
        assert_int_equal(l.err.code, 0);
        assert_null(o);
        t.deadline_ns = 0; /* nor do later ones wait for them */
        atomic_store(&t.stop, QD_TASK_RUNNING);
    }
    assert_true(qd_task_cancel(&t, "by request"));
    assert_int_equal(qd_searcher_ordinals(l.searcher[0], QD_STR("k"), &t, &o, &l.err),
                     QD_E_CANCELLED);
    assert_null(o);
    assert_string_equal(qd_err_reason(&l.err), "task cancelled [by request]");
    qd_err_fini(&l.err);
    assert_int_equal(qd_searcher_ordinals(l.searcher[0], QD_STR("k"), NULL, &o, &l.err), 0);
    assert_non_null(o); /* another search makes them */
    qd_task_end(&t);
    qd_tasks_close(tasks);
    lib_end(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_answers),
        cmocka_unit_test(numbers_in_order),
        cmocka_unit_test(short_of_memory),
        cmocka_unit_test(none_near_the_limit),
        cmocka_unit_test(what_is_short_is_no_error),
        cmocka_unit_test(a_cancelled_search_stops_making_and_a_deadline_does_without),
    };
    return unit_run(tests);
}
