/* index_parts_t.c: a type's own section in a segment: what a buffer was given is read back after
 * flush, merge (with deletions, in another order) and a power loss; damage and unknown types have
 * names. */
#include "base/bits.h"
#include "segment/check.h"
#include "segment/merge.h"
#include "segment/parts/parts_int.h"
#include "segment/segment_int.h"
#include "unit/lib/parts.h"
#include "unit/lib/string_part.h"
#include "unit/unit.h"

/* --- segments --------------------------------------------------------------------------------- */

static const qd_part_types types = {string_part_find, NULL}, no_types = {string_part_find, &types};

static bool has_value(uint32_t n)
{
    return n % 3 != 0;
}
static qd_str value_for(uint32_t n, char text[64])
{
    return (qd_str){text, (size_t)snprintf(text, 64, "value %u %.*s", n, (int)(n % 20),
                                           "xxxxxxxxxxxxxxxxxxxx")};
}

/* Documents from .. to - 1; every seventh one is begun, filled and taken back before. */
static int flush(parts *x, qd_buffer *b, uint32_t from, uint32_t to, const char *name)
{
    uint32_t field, tag;
    const qd_field_info info = {.name = QD_STR("v")},
                        body = {.name = QD_STR("body"), .index = QD_INDEX_FREQS, .norms = 1};
    const qd_part_type t = string_part_type();
    OK(x, qd_buffer_field(b, &info, &field, &x->err));
    OK(x, qd_buffer_field(b, &body, &tag, &x->err));
    OK(x, qd_buffer_field_part(b, field, &t, &string_part_conf, &x->err));
    for (uint32_t n = from; n < to; n++) {
        for (int aborted = n % 7 == 0; aborted >= 0; aborted--) {
            char text[64];
            OK(x, qd_buffer_doc_begin(b, NULL, &x->err));
            OK(x, qd_buffer_id(b, value_for(n, text), &x->err));
            for (uint32_t i = 0; i <= n * 31 % 17; i++)
                OK(x, qd_buffer_term(b, tag, QD_STR("word"), &x->err));
            if (aborted) {
                OK(x, qd_buffer_part(b, field, QD_STR("taken back"), &x->err));
                qd_buffer_doc_abort(b);
                continue;
            }
            if (has_value(n)) OK(x, qd_buffer_part(b, field, value_for(n, text), &x->err));
            OK(x, qd_buffer_doc_commit(b, &x->err));
        }
    }
    uint8_t id[16];
    memset(id, (int)name[4], sizeof id);
    const qd_segment_attrs attrs = {.min_seq_no = from, .max_seq_no = to - 1};
    return qd_buffer_flush(b, x->store, qd_str_c(name), id, &attrs, true, NULL, &x->err);
}

/* The document has the value of n, or none where n has none. */
static void compare(parts *x, qd_segment *s, uint32_t doc, uint32_t n)
{
    char text[64];
    const qd_part_info *info = qd_segment_part_of(s, qd_segment_field_find(s, QD_STR("v")));
    const qd_part_type t = string_part_type();
    qd_part_view v;
    qd_part_reader *r;
    assert_non_null(info);
    OK(x, qd_part_view_open(&v, s, info, &x->arena, &x->account, &x->err));
    OK(x, qd_part_open(&v, &t, &r, &x->err));
    qd_str got = string_part_value(r, doc), want = value_for(n, text);
    if (has_value(n))
        assert_true(qd_str_eq(got, want));
    else
        assert_true(got.n == SIZE_MAX);
    t.vt->close(r);
    qd_part_view_close(&v);
    qd_arena_reset(&x->arena);
}

static void check(parts *x, const char *name, const qd_part_types *with, uint64_t findings)
{
    qd_check c = {.account = &x->account, .types = with};
    OK(x, qd_segment_check(x->store, qd_str_c(name), &c, &x->err));
    assert_int_equal(c.findings, findings);
    assert_int_equal(c.parts, 1);
    assert_int_equal(c.parts_unread, with == &types ? 0 : 1);
}

static qd_segment *open_segment(parts *x, const char *name)
{
    qd_segment *s;
    OK(x, qd_segment_open(x->store, qd_str_c(name), &x->account, &s, &x->err));
    return s;
}

static void flushed_values_are_read_back(void **state)
{
    (void)state;
    parts x;
    qd_buffer *b;
    parts_begin(&x, true);
    OK(&x, qd_buffer_create(&x.account, &b, &x.err));
    OK(&x, flush(&x, b, 0, 100, "seg-a"));
    qd_buffer_reset(b); /* the field stays with its buffer, emptied */
    OK(&x, flush(&x, b, 100, 130, "seg-b"));
    qd_segment *s = open_segment(&x, "seg-b");
    assert_int_equal(qd_segment_parts(s), 1);
    assert_int_equal(qd_segment_part(s, 0)->version, 3);
    assert_true(qd_str_is(qd_segment_part(s, 0)->type, "strings"));
    for (uint32_t n = 100; n < 130; n++) compare(&x, s, n - 100, n);
    assert_int_equal(qd_file_version(qd_segment_file(s)), 2); /* older nodes leave it alone */
    qd_segment_unref(s);
    check(&x, "seg-a", &types, 0);
    check(&x, "seg-a", NULL, 0);
    check(&x, "seg-b", &no_types, 0);
    qd_buffer_destroy(b);
    assert_int_equal(string_part_buffers, 0);
    parts_end(&x);
}

static void segments_without_parts_stay_as_they_are(void **state)
{
    (void)state;
    parts x;
    qd_buffer *b;
    parts_begin(&x, true);
    OK(&x, qd_buffer_create(&x.account, &b, &x.err));
    OK(&x, qd_buffer_doc_begin(b, NULL, &x.err));
    OK(&x, qd_buffer_id(b, QD_STR("1"), &x.err));
    OK(&x, qd_buffer_doc_commit(b, &x.err));
    const qd_segment_attrs attrs = {.min_seq_no = 0, .max_seq_no = 0};
    OK(&x, qd_buffer_flush(b, x.store, QD_STR("seg-a"), (const uint8_t[16]){1}, &attrs, true, NULL,
                           &x.err));
    qd_segment *s = open_segment(&x, "seg-a");
    assert_int_equal(qd_file_version(qd_segment_file(s)), 1);
    assert_int_equal(qd_segment_parts(s), 0);
    qd_segment_unref(s);
    qd_buffer_destroy(b);
    parts_end(&x);
}

/* Three segments, deletions in the first: kept order, and the order of lengths. */
static void merges_carry_values_along(void **state)
{
    static const char *const names[] = {"seg-a", "seg-b", "seg-c"};
    static const uint32_t bounds[] = {0, 300, 400, 401};
    (void)state;
    parts x;
    qd_buffer *b;
    qd_live *live;
    qd_merge_source sources[3] = {{NULL, NULL}};
    parts_begin(&x, true);
    OK(&x, qd_buffer_create(&x.account, &b, &x.err));
    for (int i = 0; i < 3; i++) {
        OK(&x, flush(&x, b, bounds[i], bounds[i + 1], names[i]));
        qd_buffer_reset(b);
        sources[i].segment = open_segment(&x, names[i]);
    }
    qd_buffer_destroy(b);
    OK(&x, qd_live_make(300, &x.account, &live, &x.err));
    for (uint32_t d = 0; d < 300; d += 5) qd_live_delete(live, d);
    sources[0].live = live;
    for (int order = QD_MERGE_KEPT; order <= QD_MERGE_LENGTH; order++) {
        const char *name = order == QD_MERGE_KEPT ? "seg-k" : "seg-l";
        const qd_merge_options o = {.attrs = {.min_seq_no = -1, .max_seq_no = -1},
                                    .sync = true,
                                    .order = (qd_merge_order)order,
                                    .types = &types};
        const uint8_t id[16] = {(uint8_t)(40 + order)};
        qd_merge_result r;
        OK(&x,
           qd_segment_merge(sources, 3, x.store, qd_str_c(name), id, &o, &x.account, &r, &x.err));
        assert_int_equal(r.order, order);
        qd_segment *s = open_segment(&x, name);
        for (uint32_t i = 0, n = 0; i < 3; i++)
            for (; n < bounds[i + 1]; n++) {
                uint32_t doc = r.map[i][n - bounds[i]];
                assert_int_equal(doc == QD_PART_GONE, n < 300 && n % 5 == 0);
                if (doc != QD_PART_GONE) compare(&x, s, doc, n);
            }
        qd_segment_unref(s);
        check(&x, name, &types, 0);
        qd_merge_result_fini(&r);
    }
    /* without the type the merge says whose part it is, and leaves nothing behind */
    const qd_merge_options o = {.attrs = {.min_seq_no = -1, .max_seq_no = -1}, .types = &no_types};
    qd_segment *none;
    assert_int_equal(qd_segment_merge(sources, 3, x.store, QD_STR("seg-x"), (const uint8_t[16]){7},
                                      &o, &x.account, NULL, &x.err),
                     QD_E_PLUGIN);
    assert_non_null(strstr(qd_err_reason(&x.err), "field [v] has an index part of the type "
                                                  "[strings]"));
    qd_err_fini(&x.err);
    qd_err_init(&x.err);
    assert_int_equal(qd_segment_open(x.store, QD_STR("seg-x"), &x.account, &none, &x.err),
                     QD_E_NOTFOUND);
    qd_err_fini(&x.err);
    qd_err_init(&x.err);
    for (int i = 0; i < 3; i++) qd_segment_unref(sources[i].segment);
    qd_live_unref(live);
    parts_end(&x);
}

/* A part whose bytes changed under right checksums: the type's check says where. */
static void damage_is_found(void **state)
{
    (void)state;
    parts x;
    qd_buffer *b;
    parts_begin(&x, true);
    OK(&x, qd_buffer_create(&x.account, &b, &x.err));
    OK(&x, flush(&x, b, 0, 20, "seg-a"));
    qd_buffer_destroy(b);
    parts_tamper(&x, "seg-a", "seg-b", QDI_SEC_PART, 3, 0x40);
    check(&x, "seg-b", &types, 1);
    check(&x, "seg-b", NULL, 0); /* without the type its bytes mean nothing */
    /* a record that names another field, type, length */
    qd_segment *s = open_segment(&x, "seg-a"), *none;
    uint64_t bytes = 0;
    assert_non_null(qd_file_resident(qd_segment_file(s), QDI_SEC_PART_INDEX, &bytes));
    qd_segment_unref(s);
    for (uint64_t at = 0; at < bytes; at++) {
        if (at >= 2 && at < bytes - 2)
            continue; /* of the name, of the version: the type's matter */
        parts_tamper(&x, "seg-a", "seg-c", QDI_SEC_PART_INDEX, at, at == bytes - 1 ? 1 : 0x40);
        assert_int_equal(qd_segment_open(x.store, QD_STR("seg-c"), &x.account, &none, &x.err),
                         QD_E_CORRUPT);
        qd_err_fini(&x.err);
        qd_err_init(&x.err);
        OK(&x, qd_store_delete(x.store, QD_STR("seg-c"), &x.err));
    }
    parts_end(&x);
}

static void other_versions_have_a_sentence(void **state)
{
    (void)state;
    parts x;
    qd_buffer *b;
    parts_begin(&x, true);
    OK(&x, qd_buffer_create(&x.account, &b, &x.err));
    OK(&x, flush(&x, b, 0, 20, "seg-a"));
    qd_buffer_destroy(b);
    qd_segment *s = open_segment(&x, "seg-a");
    const struct {
        uint32_t least, most;
        int rc;
        const char *reason;
    } cases[] = {{1, 2, QD_E_FORMAT_NEW, "reads up to 2"}, {4, 9, QD_E_FORMAT_OLD, "from 4 on"}};
    for (size_t i = 0; i < QD_COUNT_OF(cases); i++) {
        qd_part_vtable other = *string_part_type().vt;
        qd_part_type t = {QD_STR("strings"), &other, NULL};
        qd_part_view v;
        qd_part_reader *r;
        other.version_min = cases[i].least;
        other.version = cases[i].most;
        OK(&x, qd_part_view_open(&v, s, qd_segment_part(s, 0), &x.arena, &x.account, &x.err));
        assert_int_equal(qd_part_open(&v, &t, &r, &x.err), cases[i].rc);
        assert_non_null(strstr(qd_err_reason(&x.err), cases[i].reason));
        qd_err_fini(&x.err);
        qd_err_init(&x.err);
        qd_part_view_close(&v);
    }
    qd_segment_unref(s);
    parts_end(&x);
}

/* The power fails at each step of a flush in turn: what opens afterwards is whole. */
static void a_power_loss_leaves_all_or_nothing(void **state)
{
    (void)state;
    uint32_t whole = 0, absent = 0;
    for (uint64_t step = 1, done = 0; !done; step++) {
        parts x;
        qd_buffer *b;
        parts_begin(&x, true);
        OK(&x, qd_buffer_create(&x.account, &b, &x.err));
        store_crash_power_off_at(x.disk, step);
        int rc = flush(&x, b, 0, 40, "seg-a");
        done = rc == 0 && !store_crash_is_off(x.disk);
        qd_err_fini(&x.err);
        qd_err_init(&x.err);
        qd_buffer_destroy(b);
        qd_store_close(x.store);
        store_crash_crash(x.disk, step);
        OK(&x, store_crash_open(x.disk, &x.store, &x.err));
        qd_segment *s = NULL;
        int opened = qd_segment_open(x.store, QD_STR("seg-a"), &x.account, &s, &x.err);
        qd_err_fini(&x.err);
        qd_err_init(&x.err);
        assert_true(rc != 0 || opened == 0); /* what was synced is there */
        if (opened == 0) {
            for (uint32_t n = 0; n < 40; n++) compare(&x, s, n, n);
            check(&x, "seg-a", &types, 0);
            whole++;
        } else {
            absent++;
        }
        qd_segment_unref(s);
        parts_end(&x);
    }
    assert_true(whole > 0 && absent > 0);
    assert_int_equal(string_part_buffers, 0);
}

static void a_refused_value_fails_its_document(void **state)
{
    (void)state;
    parts x;
    qd_buffer *b;
    uint32_t field;
    const qd_field_info info = {.name = QD_STR("v")};
    const qd_part_type t = string_part_type();
    parts_begin(&x, false);
    OK(&x, qd_buffer_create(&x.account, &b, &x.err));
    OK(&x, qd_buffer_field(b, &info, &field, &x.err));
    OK(&x, qd_buffer_field_part(b, field, &t, &string_part_conf, &x.err));
    OK(&x, qd_buffer_doc_begin(b, NULL, &x.err));
    assert_int_equal(qd_buffer_part(b, field, QD_STR("refused"), &x.err), QD_E_ARG);
    qd_err_fini(&x.err);
    qd_err_init(&x.err);
    qd_buffer_doc_abort(b);
    assert_int_equal(qd_buffer_docs(b), 0);
    qd_buffer_destroy(b);
    assert_int_equal(string_part_buffers, 0);
    parts_end(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flushed_values_are_read_back),
        cmocka_unit_test(segments_without_parts_stay_as_they_are),
        cmocka_unit_test(merges_carry_values_along),
        cmocka_unit_test(damage_is_found),
        cmocka_unit_test(other_versions_have_a_sentence),
        cmocka_unit_test(a_power_loss_leaves_all_or_nothing),
        cmocka_unit_test(a_refused_value_fails_its_document),
    };
    return unit_run(tests);
}
