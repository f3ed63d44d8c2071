/* points_damage_t.c: points with each byte changed: an error or bounded nonsense under right
 * checksums, which the check finds in the index of blocks; never a wrong answer under wrong ones.
 */
#include "lib/store_tamper.h"
#include "segment/points/points_format_int.h"
#include "unit/lib/parts.h"
#include "unit/lib/points_doors.h"
#include "unit/unit.h"

/* One point a document, values near each other, two blocks. */
static doors_model some_points(parts *x, uint8_t type, uint32_t docs)
{
    doors_model m = {.type = type, .docs = docs, .n = docs};
    m.at = qd_calloc(&x->account, docs * sizeof *m.at);
    assert_non_null(m.at);
    for (uint32_t d = 0; d < docs; d++) {
        m.at[d].doc = d;
        if (type == QD_POINT_I64)
            m.at[d].v.i = (int64_t)parts_random(x, 3000) - 1000;
        else
            for (uint32_t i = 6; i < 16; i += 3) m.at[d].v.b[i] = (uint8_t)parts_random(x, 90);
    }
    doors_sort(&m);
    return m;
}

/* Opened, read through every door, merged. *same: no answer was wrong. */
static int read_points(parts *x, qd_file *f, const doors_model *m, bool *same)
{
    qd_points_set *set = NULL;
    *same = false;
    int rc = qdi_points_open(f, m->docs, &x->account, &set, &x->err);
    const qd_points *p = rc ? NULL : qd_points_get(set, 5);
    if (p) {
        rc = doors_read(p, m, 1, same, &x->account, &x->err);
        qd_err_fini(&x->err);
        int merged = doors_merge(set, m, x->store, "m", &x->account, &x->err);
        assert_true(merged == 0 || merged == QD_E_CORRUPT);
    }
    qdi_points_close(set);
    assert_true(rc == 0 || rc == QD_E_CORRUPT);
    qd_err_fini(&x->err);
    return rc;
}

static uint64_t findings(parts *x, qd_file *f, const doors_model *m)
{
    qd_check c = {.account = &x->account, .file = f};
    qd_points_set *set;
    OK(x, qdi_points_open(f, m->docs, &x->account, &set, &x->err));
    OK(x, qdi_points_check(set, &c, &x->err));
    qdi_points_close(set);
    return c.findings;
}

/* Bytes of the index that nothing beside them holds: the field's number, which is for META to know,
 * and what the high halves of a block stand on, which moves all of them. */
static bool alone(const doors_model *m, uint64_t at)
{
    uint64_t heads = 4 + sizeof(qdi_points_head);
    if (at < heads) return at >= 4 && at < 8;
    return m->type == QD_POINT_B16 && (at - heads) % sizeof(qdi_points_block) < 8;
}

/* Each byte of a section, one bit or all. */
static void flip_section(parts *x, qd_file *f, const doors_model *m, uint32_t section)
{
    uint64_t bytes = 0;
    uint32_t errors = 0, rounds = 0;
    assert_true(qd_file_section(f, section, &bytes));
    /* a bit and all of a byte; of the values and documents, which are alike, one in turn */
    bool index = section == QDI_SEC_POINT_INDEX;
    for (uint64_t at = 0; at < bytes; at++)
        for (int all = index ? 0 : (int)(at & 1); all < (index ? 2 : (int)(at & 1) + 1);
             all++, rounds++) {
            store_change c = {section, at, all ? 0xff : (uint8_t)(1u << parts_random(x, 8))};
            bool same;
            store_tamper(x->store, f, QD_STR("g"), &QDI_SEGMENT_FORMAT, &c, 1, &x->account);
            qd_file *g = parts_open(x, "g");
            int rc = read_points(x, g, m, &same);
            errors += rc != 0;
            if (rc == 0 && !same && index && !alone(m, at) && !findings(x, g, m))
                fail_msg("byte %u of the index, bits %02x: wrong, and the check finds nothing",
                         (uint32_t)at, c.mask);
            qd_file_unref(g);
            OK(x, qd_store_delete(x->store, QD_STR("g"), &x->err));
        }
    /* what readers see of it without the check */
    assert_true(errors > (index ? rounds / 2 : rounds / 50));
}

static void each_byte_under_right_checksums(void **state)
{
    (void)state;
    for (uint8_t type = QD_POINT_I64; type <= QD_POINT_B16; type++) {
        parts x;
        bool same;
        parts_begin(&x, type == QD_POINT_B16);
        doors_model m = some_points(&x, type, 700);
        doors_write(&m, x.store, "f", &x.account);
        qd_file *f = parts_open(&x, "f");
        assert_int_equal(read_points(&x, f, &m, &same), 0);
        assert_true(same);
        assert_int_equal(findings(&x, f, &m), 0);
        flip_section(&x, f, &m, QDI_SEC_POINT_INDEX);
        flip_section(&x, f, &m, QDI_SEC_POINTS);
        qd_file_unref(f);
        qd_free(m.at);
        parts_end(&x);
    }
}

static void each_byte_of_the_medium(void **state)
{
    (void)state;
    for (uint32_t copies = 0; copies < 2; copies++) {
        parts x;
        uint64_t bytes = 0;
        uint32_t errors = 0;
        parts_begin(&x, copies);
        doors_model m = some_points(&x, QD_POINT_I64, 600);
        doors_write(&m, x.store, "f", &x.account);
        assert_true(store_crash_size(x.disk, "f", &bytes));
        for (uint64_t at = 0; at < bytes; at++) {
            uint8_t mask = (uint8_t)(1u << parts_random(&x, 8));
            qd_file *f = NULL;
            bool same = true;
            assert_true(store_crash_flip(x.disk, "f", at, mask));
            int rc =
                qd_file_open(x.store, QD_STR("f"), &QDI_SEGMENT_FORMAT, &x.account, &f, &x.err);
            if (rc == 0) rc = read_points(&x, f, &m, &same);
            if (rc == 0 && !same) fail_msg("byte %u of the object: wrong answers", (uint32_t)at);
            errors += rc != 0;
            qd_file_unref(f);
            qd_err_fini(&x.err);
            assert_true(store_crash_flip(x.disk, "f", at, mask));
        }
        assert_true(errors > bytes / 2); /* the rest fills pages */
        qd_free(m.at);
        parts_end(&x);
    }
}

/* A copy of a document's point in the place of another's: more documents than there are. */
static void a_merge_of_too_many_documents_is_refused(void **state)
{
    (void)state;
    parts x;
    parts_begin(&x, false);
    doors_model m = some_points(&x, QD_POINT_I64, 600);
    doors_write(&m, x.store, "f", &x.account);
    qd_file *f = parts_open(&x, "f");
    qd_points_set *set;
    OK(&x, qdi_points_open(f, 600, &x.account, &set, &x.err));
    /* every document is deleted but one, which then has all points */
    uint32_t *map = qd_alloc(&x.account, 600 * sizeof *map);
    assert_non_null(map);
    for (uint32_t d = 0; d < 600; d++) map[d] = 0;
    static const uint32_t fields[1] = {5};
    const qd_field_info schema[1] = {{.name = {"a", 1}, .point = QD_POINT_I64}};
    const qdi_merge_part part = {
        .points = set, .docs = 600, .live = 1, .map = map, .fields = fields};
    qdi_merge_in in = {.parts = &part,
                       .n = 1,
                       .fields = schema,
                       .nfields = 1,
                       .docs = 1,
                       .id_field = QDI_FIELD_NONE,
                       .account = &x.account};
    qd_buf resident;
    qd_buf_init(&resident, &x.account, 1u << 20);
    qd_file_writer *w = parts_create(&x, "m");
    assert_int_equal(qdi_points_merge(&in, w, &resident, &x.err), QD_E_CORRUPT);
    qd_err_fini(&x.err);
    qd_file_abort(w);
    qd_buf_fini(&resident);
    qd_free(map);
    qdi_points_close(set);
    qd_file_unref(f);
    qd_free(m.at);
    parts_end(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_byte_under_right_checksums),
                                       cmocka_unit_test(each_byte_of_the_medium),
                                       cmocka_unit_test(a_merge_of_too_many_documents_is_refused)};
    return unit_run(tests);
}
