/* faults_t.c: the n-th allocation or write fails, around filling, flushing, opening, reading and
 * merging: a clean error, nothing left behind, and the same again without the fault. */
#include "segment/postings/spool_int.h"
#include "segment/terms.h"
#include "unit/lib/corpus.h"
#include "unit/unit.h"

static int count_objects(void *arg, qd_str name, uint64_t bytes)
{
    (void)name;
    (void)bytes;
    ++*(uint32_t *)arg;
    return 0;
}

static uint32_t objects(parts *x)
{
    uint32_t n = 0;
    OK(x, qd_store_list(x->store, QD_STR(""), count_objects, &n, &x->err));
    return n;
}

static const char *const names[] = {"seg-1", "seg-2", "seg-3"};

/* Everything once; stops at the first failure. */
static int body(parts *x, const corpus *c, qd_err *err)
{
    uint8_t skip[64] = {0, 1, 0, 0, 1};
    int rc = corpus_try_flush(c, 0, c->docs, NULL, "seg-new", err);
    if (rc == 0) rc = corpus_merge(x, names, 3, skip, "seg-merged", NULL, err);
    if (rc == 0) rc = corpus_merge(x, names, 2, NULL, "seg-whole", NULL, err);
    return rc;
}

/* A spool whose own removal met the fault stays until the next start. */
static int note_spill(void *arg, qd_str name, uint64_t bytes)
{
    (void)bytes;
    if (qd_str_find_str(name, QD_STR(".spill-")) >= 0) snprintf(arg, 100, "%.*s", QD_STR_ARG(name));
    return 0;
}

static void clean(parts *x)
{
    for (char name[100];;) {
        name[0] = 0;
        OK(x, qd_store_list(x->store, QD_STR(""), note_spill, name, &x->err));
        if (!name[0]) break;
        OK(x, qd_store_delete(x->store, qd_str_c(name), &x->err));
    }
    OK(x, qd_store_delete(x->store, QD_STR("seg-new"), &x->err));
    OK(x, qd_store_delete(x->store, QD_STR("seg-merged"), &x->err));
    OK(x, qd_store_delete(x->store, QD_STR("seg-whole"), &x->err));
    qd_arena_reset(&x->arena);
}

static void begin(parts *x, corpus *c)
{
    qdi_spool_memory = 500; /* so that spooled sections meet the faults too */
    parts_begin(x, false);
    corpus_begin(c, x, 40);
    corpus_grow(c, 40, 8);
    corpus_flush(c, 0, 10, NULL, names[0]);
    corpus_flush(c, 10, 30, NULL, names[1]);
    corpus_flush(c, 30, 40, NULL, names[2]);
}

static void the_nth_allocation_fails(void **state)
{
    (void)state;
    parts x;
    corpus c;
    begin(&x, &c);
    uint32_t before = objects(&x);
    for (unsigned sticky = 0; sticky < 2; sticky++) {
        int rc = -1;
        for (uint64_t n = 1; rc; n += n < 400 ? 1 : 7) {
            qd_err err;
            qd_err_init(&err);
            int64_t used = qd_account_used(&x.account);
            qd_mem_fail_at(n, sticky);
            rc = body(&x, &c, &err);
            qd_mem_fail_at(0, false);
            if (rc != 0 && rc != QD_E_NOMEM)
                print_error("call %llu: %s %s\n", (unsigned long long)n, qd_code_name(rc),
                            qd_err_reason(&err));
            assert_true(rc == 0 || rc == QD_E_NOMEM);
            assert_int_equal(qd_account_used(&x.account), used);
            qd_err_fini(&err);
            clean(&x);
            assert_int_equal(objects(&x), before);
        }
    }
    corpus_end(&c);
    parts_end(&x);
}

static void reading_without_memory_fails_cleanly(void **state)
{
    (void)state;
    parts x;
    corpus c;
    begin(&x, &c);
    int rc = -1;
    for (uint64_t n = 1; rc; n++) {
        qd_err err;
        qd_err_init(&err);
        qd_arena_reset(&x.arena);
        qd_reads *r = parts_reads(&x); /* so that the helper's own batch finds its chunk */
        qd_reads_release(r);
        qd_segment *s = NULL;
        qd_term t;
        int64_t used = qd_account_used(&x.account);
        qd_mem_fail_at(n, true);
        rc = qd_segment_open(x.store, QD_STR("seg-2"), &x.account, &s, &err);
        if (rc == 0) {
            rc = qd_term_get(s, 0, corpus_word(&c, 3), &t, &err);
            if (rc == QD_E_NOTFOUND) rc = 0;
        }
        qd_mem_fail_at(0, false);
        assert_true(rc == 0 || rc == QD_E_NOMEM);
        qd_segment_unref(s);
        assert_int_equal(qd_account_used(&x.account), used);
        qd_err_fini(&err);
    }
    corpus_end(&c);
    parts_end(&x);
}

static void the_nth_write_fails(void **state)
{
    (void)state;
    parts x;
    corpus c;
    begin(&x, &c);
    uint32_t before = objects(&x);
    static const int codes[] = {QD_E_IO, QD_E_NOSPACE};
    for (unsigned k = 0; k < 2; k++) {
        int rc = -1;
        for (uint64_t n = 1; rc; n++) {
            qd_err err;
            qd_err_init(&err);
            int64_t used = qd_account_used(&x.account);
            store_crash_fail_at(x.disk, STORE_CRASH_WRITES | STORE_CRASH_READS, n, codes[k], false);
            rc = body(&x, &c, &err);
            store_crash_fail_at(x.disk, 0, 0, 0, false);
            assert_true(rc == 0 || rc == codes[k]);
            assert_int_equal(qd_account_used(&x.account), used);
            qd_err_fini(&err);
            clean(&x);
            assert_int_equal(objects(&x), before);
        }
    }
    corpus_end(&c);
    parts_end(&x);
}

static int stop_at(void *arg, uint64_t written, qd_err *err)
{
    return written >= *(uint64_t *)arg ? qd_err_set(err, QD_E_CANCELLED, "stopped") : 0;
}

static void a_merge_stops_when_told(void **state)
{
    (void)state;
    parts x;
    corpus c;
    parts_begin(&x, false);
    corpus_begin(&c, &x, 5000);
    corpus_grow(&c, 4000, 60);
    corpus_flush(&c, 0, 2000, NULL, names[0]);
    corpus_flush(&c, 2000, 4000, NULL, names[1]);
    uint32_t before = objects(&x);
    qd_merge_source sources[2] = {{NULL, NULL}};
    for (unsigned i = 0; i < 2; i++)
        OK(&x,
           qd_segment_open(x.store, qd_str_c(names[i]), &x.account, &sources[i].segment, &x.err));
    uint64_t limit = 300000;
    const qd_merge_options options = {
        .attrs = {.min_seq_no = -1, .max_seq_no = -1}, .step = stop_at, .arg = &limit};
    const uint8_t id[16] = {1};
    assert_int_equal(qd_segment_merge(sources, 2, x.store, QD_STR("seg-m"), id, &options,
                                      &x.account, NULL, &x.err),
                     QD_E_CANCELLED);
    qd_err_fini(&x.err);
    assert_int_equal(objects(&x), before);
    for (unsigned i = 0; i < 2; i++) qd_segment_unref(sources[i].segment);
    corpus_end(&c);
    parts_end(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_nth_allocation_fails),
        cmocka_unit_test(reading_without_memory_fails_cleanly),
        cmocka_unit_test(the_nth_write_fails),
        cmocka_unit_test(a_merge_stops_when_told),
    };
    return unit_run(tests);
}
