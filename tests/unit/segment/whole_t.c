/* whole_t.c: documents with all parts (ids, source, numbers, words) through the indexing buffer,
 * flushes and merges: every part agrees and the deep check finds nothing. */
#include "segment/check.h"
#include "segment/merge.h"
#include "segment/postings.h"
#include "unit/lib/parts.h"
#include "unit/unit.h"

typedef struct fields {
    uint32_t tag, number, body;
} fields;

static void enter(parts *x, qd_buffer *b, fields *f)
{
    const qd_field_info tag = {
        .name = QD_STR("tag"), .index = QD_INDEX_DOCS, .column = QD_COLUMN_ORDINAL};
    const qd_field_info number = {
        .name = QD_STR("number"), .column = QD_COLUMN_I64, .point = QD_POINT_I64};
    const qd_field_info body = {.name = QD_STR("body"), .index = QD_INDEX_POSITIONS, .norms = 1};
    OK(x, qd_buffer_field(b, &tag, &f->tag, &x->err));
    OK(x, qd_buffer_field(b, &number, &f->number, &x->err));
    OK(x, qd_buffer_field(b, &body, &f->body, &x->err));
}

/* Document n; abort: it is begun and filled, and then taken back. */
static void add(parts *x, qd_buffer *b, const fields *f, uint32_t n, bool abort_it)
{
    char id[32], tag[32], source[256], text[128] = {0};
    int64_t v = (int64_t)(n * 7919u % 1000u) - 500;
    OK(x, qd_buffer_doc_begin(b, NULL, &x->err));
    OK(x, qd_buffer_id(b, (qd_str){id, (size_t)snprintf(id, sizeof id, "id-%u", n)}, &x->err));
    OK(x,
       qd_buffer_source(b,
                        (qd_str){source, (size_t)snprintf(source, sizeof source,
                                                          "{\"n\":%u,\"text\":\"%0100u\"}", n, n)},
                        &x->err));
    qd_str t = {tag, (size_t)snprintf(tag, sizeof tag, "tag%u", n % 13 + (abort_it ? 1000 : 0))};
    OK(x, qd_buffer_term(b, f->tag, t, &x->err));
    OK(x, qd_buffer_column_bytes(b, f->tag, t, &x->err));
    if (n % 4) {
        OK(x, qd_buffer_column_i64(b, f->number, &v, 1, &x->err));
        OK(x, qd_buffer_points_i64(b, f->number, &v, 1, &x->err));
    }
    uint32_t off[] = {0, 6, 12};
    uint16_t len[] = {5, 5, (uint16_t)snprintf(text + 12, 32, "word%u", n % 100)};
    memcpy(text, "alpha beta2 ", 12);
    const qd_term_batch words = {.text = text, .off = off, .len = len, .n = n % 5 ? 3 : 2};
    OK(x, qd_buffer_terms(b, f->body, &words, &x->err));
    if (abort_it)
        qd_buffer_doc_abort(b);
    else
        OK(x, qd_buffer_doc_commit(b, &x->err));
}

static void flush(parts *x, qd_buffer *b, uint32_t from, uint32_t to, const char *name, bool aborts)
{
    fields f;
    enter(x, b, &f);
    for (uint32_t n = from; n < to; n++) {
        if (aborts && n % 7 == 3) add(x, b, &f, n + 5000, true);
        add(x, b, &f, n, false);
    }
    const qd_segment_attrs attrs = {.min_seq_no = from, .max_seq_no = to - 1};
    uint8_t id[16];
    memset(id, (int)name[4], sizeof id);
    assert_true(qd_buffer_bytes(b) > 0);
    OK(x, qd_buffer_flush(b, x->store, qd_str_c(name), id, &attrs, true, NULL, &x->err));
    qd_buffer_reset(b);
}

static void print(void *arg, qd_str file, const char *section, uint64_t offset, const char *text)
{
    (void)arg;
    print_error("%.*s: %s at %llu: %s\n", QD_STR_ARG(file), section, (unsigned long long)offset,
                text);
}

static void check(parts *x, const char *name)
{
    qd_check c = {.found = print, .account = &x->account};
    OK(x, qd_segment_check(x->store, qd_str_c(name), &c, &x->err));
    assert_int_equal(c.findings, 0);
    assert_true(c.terms > 0 && c.postings > 0 && c.documents > 0 && c.ids > 0);
}

/* Is document n found by its id, with its source, number and tag? doc gets its place. */
static void compare(parts *x, qd_segment *s, uint32_t n, uint32_t *doc)
{
    char text[32], want[256];
    qd_str id = {text, (size_t)snprintf(text, sizeof text, "id-%u", n)}, got;
    uint64_t hash = qd_ids_hash(id);
    *doc = QD_IDS_ABSENT;
    OK(x, qd_ids_lookup(qd_segment_ids(s), &id, &hash, 1, doc, &x->arena, &x->err));
    if (*doc == QD_IDS_ABSENT) return;
    qd_reads *r = parts_reads(x);
    uint32_t slot;
    qd_stored_scratch scratch = {.account = &x->account};
    OK(x, qd_stored_plan(qd_segment_stored(s), *doc, r, &slot, &x->err));
    OK(x, qd_reads_fetch(r, &x->err));
    OK(x, qd_stored_get(qd_segment_stored(s), *doc, r, slot, &scratch, &got, &x->err));
    snprintf(want, sizeof want, "{\"n\":%u,\"text\":\"%0100u\"}", n, n);
    assert_true(qd_str_is(got, want));
    qd_stored_scratch_fini(&scratch);
    qd_reads_release(r);
    const qd_column *c =
        qd_columns_get(qd_segment_columns(s), qd_segment_field_find(s, QD_STR("number")));
    qd_column_reader *rd;
    const int64_t *v;
    uint32_t nv;
    OK(x, qd_column_plan_docs(c, doc, 1, r, &x->arena, &rd, &x->err));
    OK(x, qd_reads_fetch(r, &x->err));
    OK(x, qd_column_values(rd, *doc, &v, &nv, &x->err));
    assert_int_equal(nv, n % 4 != 0);
    if (nv) assert_int_equal(v[0], (int64_t)(n * 7919u % 1000u) - 500);
    qd_reads_release(r);
    qd_arena_reset(&x->arena);
}

static void all_parts_agree(void **state)
{
    (void)state;
    parts x;
    parts_begin(&x, true);
    qd_buffer *b;
    OK(&x, qd_buffer_create(&x.account, &b, &x.err));
    flush(&x, b, 0, 900, "seg-a", true);
    flush(&x, b, 900, 1100, "seg-b", false);
    flush(&x, b, 1100, 1101, "seg-c", true);
    qd_buffer_trim(b);
    qd_buffer_destroy(b);
    static const char *const names[] = {"seg-a", "seg-b", "seg-c"};
    qd_merge_source sources[3];
    qd_live *live;
    for (unsigned i = 0; i < 3; i++) {
        check(&x, names[i]);
        OK(&x,
           qd_segment_open(x.store, qd_str_c(names[i]), &x.account, &sources[i].segment, &x.err));
        sources[i].live = NULL;
    }
    OK(&x, qd_live_make(900, &x.account, &live, &x.err));
    for (uint32_t d = 0; d < 900; d += 9) qd_live_delete(live, d);
    sources[0].live = live;
    const qd_merge_options options = {.attrs = {.min_seq_no = -1, .max_seq_no = -1}};
    const uint8_t id[16] = {9};
    qd_merge_result result;
    OK(&x, qd_segment_merge(sources, 3, x.store, QD_STR("seg-m"), id, &options, &x.account, &result,
                            &x.err));
    check(&x, "seg-m");
    qd_segment *m;
    OK(&x, qd_segment_open(x.store, QD_STR("seg-m"), &x.account, &m, &x.err));
    assert_int_equal(qd_segment_docs(m), 1001);
    assert_int_equal(qd_segment_attributes(m)->min_seq_no, 0);
    assert_int_equal(qd_segment_attributes(m)->max_seq_no, 1100);
    for (uint32_t n = 0; n < 1101; n++) {
        uint32_t doc,
            source = n < 900    ? 0
                     : n < 1100 ? 1
                                : 2,
            old = n - (source == 0   ? 0
                       : source == 1 ? 900
                                     : 1100);
        compare(&x, m, n, &doc);
        assert_int_equal(doc, result.map[source][old]);
        assert_int_equal(doc == QD_IDS_ABSENT, n < 900 && n % 9 == 0);
    }
    qd_merge_result_fini(&result);
    qd_segment_unref(m);
    for (unsigned i = 0; i < 3; i++) qd_segment_unref(sources[i].segment);
    qd_live_unref(live);
    parts_end(&x);
}

static void bad_words_are_refused(void **state)
{
    (void)state;
    parts x;
    parts_begin(&x, false);
    qd_buffer *b;
    fields f;
    OK(&x, qd_buffer_create(&x.account, &b, &x.err));
    enter(&x, b, &f);
    char *text = qd_calloc(&x.account, 40000 + QD_TERM_SLACK);
    memset(text, 'x', 40000);
    uint32_t off[] = {0}, none[] = {0}, far[] = {0x7fffff80u};
    uint16_t len[] = {32767}, good[] = {32766};
    const struct {
        qd_term_batch batch;
        const char *reason;
    } cases[] = {
        {{.text = text, .off = off, .len = len, .n = 1}, "immense term in field=\"body\""},
        {{.text = text, .off = off, .len = good, .pos_inc = none, .n = 1},
         "first position increment must be > 0"},
        {{.text = text, .off = off, .len = good, .pos_inc = far, .n = 1, .first_position_gap = 5},
         "is too large for field 'body'"},
    };
    for (size_t i = 0; i < QD_COUNT_OF(cases); i++) {
        OK(&x, qd_buffer_doc_begin(b, NULL, &x.err));
        assert_int_equal(qd_buffer_terms(b, f.body, &cases[i].batch, &x.err), QD_E_ARG);
        assert_non_null(strstr(qd_err_reason(&x.err), cases[i].reason));
        qd_err_fini(&x.err);
        qd_buffer_doc_abort(b);
    }
    assert_int_equal(qd_buffer_flush(b, x.store, QD_STR("seg-a"), (const uint8_t[16]){1},
                                     &(qd_segment_attrs){.min_seq_no = -1}, true, NULL, &x.err),
                     QD_E_STATE);
    qd_err_fini(&x.err);
    const qd_field_info other = {.name = QD_STR("body"), .index = QD_INDEX_DOCS};
    add(&x, b, &f, 1, false);
    uint32_t number;
    assert_int_equal(qd_buffer_field(b, &other, &number, &x.err), QD_E_ARG);
    qd_free(text);
    qd_buffer_destroy(b);
    parts_end(&x);
}

/* A slot over its budget refuses the document, keeps the others, and goes on after a flush. */
static void a_full_slot_refuses_and_recovers(void **state)
{
    (void)state;
    parts x;
    parts_begin(&x, false);
    qd_account budget;
    qd_account_init(&budget, "slot", &x.account, 3 << 20);
    qd_buffer *b;
    fields f;
    OK(&x, qd_buffer_create(&budget, &b, &x.err));
    for (unsigned round = 0; round < 3; round++) {
        enter(&x, b, &f);
        uint32_t kept = 0;
        int rc = 0;
        while (rc == 0) {
            char text[2000];
            uint32_t off[100];
            uint16_t len[100];
            for (uint32_t i = 0; i < 100; i++) {
                off[i] = i * 19;
                len[i] =
                    (uint16_t)snprintf(text + off[i], 19, "w%u", (uint32_t)parts_random(&x, 50000));
            }
            OK(&x, qd_buffer_doc_begin(b, NULL, &x.err));
            const qd_term_batch batch = {.text = text, .off = off, .len = len, .n = 100};
            rc = qd_buffer_terms(b, f.body, &batch, &x.err);
            if (rc == 0) rc = qd_buffer_doc_commit(b, &x.err);
            if (rc)
                qd_buffer_doc_abort(b);
            else
                kept++;
        }
        assert_true(rc == QD_E_NOMEM || rc == QD_E_BREAKER);
        qd_err_fini(&x.err);
        assert_true(kept > 100);
        assert_int_equal(qd_buffer_docs(b), kept);
        /* what the flush needs comes from beside the budget here */
        atomic_store(&budget.limit, 64 << 20);
        const qd_segment_attrs attrs = {.min_seq_no = -1, .max_seq_no = -1};
        OK(&x, qd_buffer_flush(b, x.store, QD_STR("seg-a"), (const uint8_t[16]){1}, &attrs, true,
                               NULL, &x.err));
        atomic_store(&budget.limit, 3 << 20);
        qd_buffer_reset(b);
        qd_buffer_trim(b);
        qd_segment *s;
        OK(&x, qd_segment_open(x.store, QD_STR("seg-a"), &x.account, &s, &x.err));
        assert_int_equal(qd_segment_docs(s), kept);
        qd_segment_unref(s);
        OK(&x, qd_store_delete(x.store, QD_STR("seg-a"), &x.err));
    }
    qd_buffer_destroy(b);
    assert_int_equal(qd_account_used(&budget), 0);
    parts_end(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_parts_agree),
        cmocka_unit_test(bad_words_are_refused),
        cmocka_unit_test(a_full_slot_refuses_and_recovers),
    };
    return unit_run(tests);
}
