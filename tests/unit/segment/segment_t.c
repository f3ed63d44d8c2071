/* segment_t.c: random documents through the indexing buffer into a segment and back, compared with
 * a naive model; look-ups, walks, damage, failures. */
#include "segment/merge.h"
#include "segment/postings.h"
#include "segment/postings/spool_int.h"
#include "unit/lib/corpus.h"
#include "unit/unit.h"

static void documents_come_back(void **state)
{
    (void)state;
    static const struct {
        uint32_t words, docs, length;
    } sizes[] = {{2, 1, 1}, {10, 3, 5}, {40, 200, 6}, {3000, 700, 30}, {20000, 9000, 12}};
    for (unsigned copies = 0; copies < 2; copies++)
        for (size_t i = 0; i < QD_COUNT_OF(sizes); i++) {
            parts x;
            corpus c;
            parts_begin(&x, copies);
            corpus_begin(&c, &x, sizes[i].words);
            corpus_grow(&c, sizes[i].docs, sizes[i].length);
            corpus_flush(&c, 0, c.docs, NULL, "seg-a");
            corpus_compare(&c, 0, c.docs, NULL, "seg-a");
            corpus_end(&c);
            parts_end(&x);
        }
}

static void one_document_may_hold_a_word_many_times(void **state)
{
    (void)state;
    parts x;
    corpus c;
    parts_begin(&x, true);
    corpus_begin(&c, &x, 3);
    corpus_grow(&c, 3, 3000);
    corpus_flush(&c, 0, c.docs, NULL, "seg-a");
    corpus_compare(&c, 0, c.docs, NULL, "seg-a");
    corpus_end(&c);
    parts_end(&x);
}

/* The same bytes whether or not documents were begun and aborted in between, and in a used buffer.
 */
static void an_aborted_document_leaves_no_trace(void **state)
{
    (void)state;
    parts x;
    corpus c;
    parts_begin(&x, false);
    corpus_begin(&c, &x, 500);
    corpus_grow(&c, 400, 20);
    corpus_flush(&c, 0, 200, NULL, "seg-a");
    qd_buffer *b;
    OK(&x, qd_buffer_create(&x.account, &b, &x.err));
    const qd_segment_attrs attrs = {
        .min_seq_no = 3, .max_seq_no = 99, .user = QD_STR("mine"), .sparse_bitmaps = true};
    const uint8_t id[16] = {7};
    static const char *const seg[] = {"seg-b", "seg-c"};
    for (unsigned round = 0; round < 2; round++) {
        for (uint32_t d = 0; d < 200; d++) {
            if (d % 3 == 0) {
                OK(&x, qd_buffer_doc_begin(b, NULL, &x.err));
                OK(&x, corpus_feed(&c, 200 + (uint32_t)parts_random(&x, 200), b, &x.err));
                qd_buffer_doc_abort(b);
            }
            OK(&x, qd_buffer_doc_begin(b, NULL, &x.err));
            OK(&x, corpus_feed(&c, d, b, &x.err));
            OK(&x, qd_buffer_doc_commit(b, &x.err));
        }
        OK(&x, qd_buffer_flush(b, x.store, qd_str_c(seg[round]), id, &attrs, false, NULL, &x.err));
        qd_buffer_reset(b);
        assert_int_equal(qd_buffer_docs(b), 0);
    }
    qd_buffer_trim(b);
    qd_buffer_destroy(b);
    uint64_t bytes[3];
    assert_true(store_crash_size(x.disk, "seg-a", &bytes[0]));
    for (unsigned i = 0; i < 2; i++) {
        corpus_compare(&c, 0, 200, NULL, seg[i]);
        assert_true(store_crash_size(x.disk, seg[i], &bytes[i + 1]));
        assert_int_equal(bytes[i + 1], bytes[0]);
    }
    corpus_end(&c);
    parts_end(&x);
}

static int count_objects(void *arg, qd_str name, uint64_t bytes)
{
    (void)name;
    (void)bytes;
    ++*(uint32_t *)arg;
    return 0;
}

static void a_merge_gives_what_a_flush_gives(void **state)
{
    (void)state;
    static const struct {
        uint32_t words, docs, length;
    } sizes[] = {{40, 12, 6}, {3000, 700, 30}, {20000, 9000, 12}};
    for (unsigned round = 0; round < 6; round++) {
        parts x;
        corpus c;
        unsigned size = round / 2;
        parts_begin(&x, round % 2);
        x.seed += round;
        corpus_begin(&c, &x, sizes[size].words);
        corpus_grow(&c, sizes[size].docs, sizes[size].length);
        uint8_t *skip = qd_calloc(&x.account, c.docs);
        static const char *const names[] = {"seg-1", "seg-2", "seg-3", "seg-4"};
        uint32_t cut[5] = {0, c.docs / 5, c.docs / 5 + 1, c.docs / 2, c.docs};
        for (unsigned i = 0; i < 4; i++) corpus_flush(&c, cut[i], cut[i + 1], NULL, names[i]);
        qd_merge_result r;
        OK(&x, corpus_merge(&x, names, 4, NULL, "seg-m", &r, &x.err));
        assert_int_equal(r.docs, c.docs);
        assert_int_equal(r.map[3][0], cut[3]);
        qd_merge_result_fini(&r);
        corpus_flush(&c, 0, c.docs, NULL, "seg-all");
        corpus_same_bytes(&x, "seg-m", "seg-all");
        if (size) {
            for (uint32_t d = 0; d < c.docs; d++)
                skip[d] = parts_random(&x, 3) == 0 || (d >= cut[1] && d < cut[2]);
            OK(&x, corpus_merge(&x, names, 4, skip, "seg-n", NULL, &x.err));
            corpus_compare(&c, 0, c.docs, skip, "seg-n");
            corpus_flush(&c, 0, c.docs, skip, "seg-less");
            corpus_same_bytes(&x, "seg-n", "seg-less");
        }
        qd_free(skip);
        corpus_end(&c);
        qd_arena_reset(&x.arena);
        parts_end(&x);
    }
}

/* Sections that wait in the store instead of memory give the same segment, and leave nothing. */
static void spilled_sections_are_the_same(void **state)
{
    (void)state;
    parts x;
    corpus c;
    parts_begin(&x, false);
    corpus_begin(&c, &x, 3000);
    corpus_grow(&c, 1500, 20);
    corpus_flush(&c, 0, c.docs, NULL, "seg-a");
    size_t before = qdi_spool_memory;
    qdi_spool_memory = 3000;
    corpus_flush(&c, 0, c.docs, NULL, "seg-b");
    corpus_flush(&c, 0, 700, NULL, "seg-c");
    corpus_flush(&c, 700, c.docs, NULL, "seg-d");
    OK(&x,
       corpus_merge(&x, (const char *const[]){"seg-c", "seg-d"}, 2, NULL, "seg-e", NULL, &x.err));
    qdi_spool_memory = before;
    corpus_same_bytes(&x, "seg-a", "seg-b");
    corpus_same_bytes(&x, "seg-a", "seg-e");
    uint32_t n = 0;
    OK(&x, qd_store_list(x.store, QD_STR(""), count_objects, &n, &x.err));
    assert_int_equal(n, 5);
    corpus_end(&c);
    parts_end(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documents_come_back),
        cmocka_unit_test(one_document_may_hold_a_word_many_times),
        cmocka_unit_test(an_aborted_document_leaves_no_trace),
        cmocka_unit_test(a_merge_gives_what_a_flush_gives),
        cmocka_unit_test(spilled_sections_are_the_same),
    };
    return unit_run(tests);
}
