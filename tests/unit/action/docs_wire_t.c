/* docs_wire_t.c: operations, results, reads and marks come out of the wire as they went in; damaged
 * bytes are refused, never trusted. */
#include "action/documents/wire.h"
#include "unit/unit.h"
#include <string.h>

static qd_str text(qd_arena *a, qd_prng *r, size_t max)
{
    size_t n = qd_prng_below(r, max + 1);
    char *p = qd_arena_bytes(a, n + 1);
    for (size_t i = 0; i < n; i++) p[i] = (char)qd_prng_below(r, 256);
    return (qd_str){p, n};
}

static doc_item an_item(qd_arena *a, qd_prng *r)
{
    doc_item i;
    qdi_item_init(&i);
    i.op = (doc_op)qd_prng_below(r, 4);
    i.concrete = text(a, r, 30);
    snprintf(i.index_uuid, sizeof i.index_uuid, "uuid-%llu",
             (unsigned long long)qd_prng_below(r, 1000000));
    i.shard = (uint32_t)qd_prng_below(r, 1000);
    i.id = text(a, r, 20);
    i.routing = text(a, r, 9);
    i.source = text(a, r, 300);
    i.empty_id = qd_prng_below(r, 2);
    i.auto_id = qd_prng_below(r, 2);
    i.has_version = qd_prng_below(r, 2);
    i.want_source = qd_prng_below(r, 2);
    i.version_type = (qd_version_type)qd_prng_below(r, 3);
    i.version = (int64_t)qd_prng_u64(r);
    i.if_seq_no = (int64_t)qd_prng_below(r, 1000) - 2;
    i.if_primary_term = (int64_t)qd_prng_below(r, 5);
    i.retry_on_conflict = (int64_t)qd_prng_below(r, 5);
    return i;
}

static bool same(qd_str a, qd_str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static void operations_travel(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        qd_prng r;
        qd_arena a;
        qd_writer w;
        qd_err err;
        doc_item items[8], *got;
        uint32_t pick[8];
        qd_prng_init(&r, seed);
        qd_arena_init(&a, NULL, 0);
        qd_err_init(&err);
        doc_wire_head h = {qd_prng_u64(&r), 60000, -1, 1 + (uint32_t)qd_prng_below(&r, 8)}, back;
        for (uint32_t k = 0; k < 8; k++) {
            items[k] = an_item(&a, &r);
            pick[k] = 7 - k;
        }
        qd_writer_init(&w, NULL, 1 << 20, QD_RPC_NEWEST);
        qdi_wire_items(&w, &h, items, pick);
        assert_int_equal(qd_writer_end(&w, "test", &err), 0);
        qd_str body = qd_writer_view(&w);
        assert_int_equal(qdi_wire_items_read(body, QD_RPC_NEWEST, &a, &back, &got, &err), 0);
        assert_int_equal(back.n, h.n);
        assert_true(back.revision == h.revision && back.timeout_ms == 60000 && back.active == -1);
        for (uint32_t k = 0; k < h.n; k++) {
            const doc_item *x = &items[pick[k]], *y = &got[k];
            assert_true(x->op == y->op && same(x->concrete, y->index) && same(x->id, y->id));
            assert_true(same(x->routing, y->routing) && same(x->source, y->source));
            assert_string_equal(x->index_uuid, y->index_uuid);
            assert_true(y->placed && x->shard == y->shard && x->empty_id == y->empty_id);
            assert_true(x->auto_id == y->auto_id && x->has_version == y->has_version);
            assert_true(x->want_source == y->want_source && x->version_type == y->version_type);
            assert_true(x->version == y->version && x->if_seq_no == y->if_seq_no);
            assert_true(x->if_primary_term == y->if_primary_term);
            assert_true(x->retry_on_conflict == y->retry_on_conflict);
        }
        for (size_t cut = 0; cut < body.n; cut += 1 + body.n / 50) {
            qd_str less = {body.p, cut};
            assert_int_not_equal(qdi_wire_items_read(less, QD_RPC_NEWEST, &a, &back, &got, &err),
                                 0);
            qd_err_fini(&err);
            qd_err_init(&err);
        }
        qd_writer_fini(&w);
        qd_arena_fini(&a);
        qd_err_fini(&err);
    }
}

static void results_travel(void **state)
{
    (void)state;
    qd_arena a;
    qd_writer w;
    qd_err err;
    doc_item in[3], out[3];
    const uint32_t pick[3] = {2, 0, 1};
    qd_arena_init(&a, NULL, 0);
    qd_err_init(&err);
    for (int k = 0; k < 3; k++) {
        qdi_item_init(&in[k]);
        qdi_item_init(&out[k]);
    }
    in[0].status = 201;
    in[0].result = "created";
    in[0].done = (qd_engine_result){.seq_no = 7, .primary_term = 3, .version = 9};
    in[0].copies = 2;
    in[0].touched_shard = true;
    in[1].status = 200;
    in[1].result = "noop";
    in[1].want_source = true;
    in[1].got_source = QD_STR("{\"a\":1}");
    qd_err_set(&err, QD_E_VERSION_CONFLICT, "[1]: version conflict");
    qd_err_detail_str(&err, "index", QD_STR("i"));
    qdi_item_fail(&in[2], &a, &err);
    qd_writer_init(&w, NULL, 1 << 20, QD_RPC_NEWEST);
    qdi_wire_results(&w, in, 3);
    assert_int_equal(qd_writer_end(&w, "test", &err), 0);
    assert_int_equal(
        qdi_wire_results_read(qd_writer_view(&w), QD_RPC_NEWEST, &a, out, pick, 3, &err), 0);
    assert_true(out[2].rc == 0 && out[2].status == 201 && out[2].done.seq_no == 7);
    assert_true(out[2].done.primary_term == 3 && out[2].done.version == 9 && out[2].copies == 2);
    assert_true(out[2].touched_shard);
    assert_string_equal(out[2].result, "created");
    assert_string_equal(out[0].result, "noop");
    assert_true(same(out[0].got_source, QD_STR("{\"a\":1}")));
    assert_int_equal(out[1].rc, QD_E_VERSION_CONFLICT);
    assert_int_equal(out[1].status, 409);
    assert_string_equal(qd_err_reason(out[1].err), "[1]: version conflict");
    assert_int_not_equal(
        qdi_wire_results_read(qd_writer_view(&w), QD_RPC_NEWEST, &a, out, pick, 2, &err), 0);
    for (int k = 0; k < 3; k++) {
        qdi_item_fini(&in[k]);
        qdi_item_fini(&out[k]);
    }
    qd_writer_fini(&w);
    qd_err_fini(&err);
    qd_arena_fini(&a);
}

static void reads_and_marks_travel(void **state)
{
    (void)state;
    qd_arena a;
    qd_writer w;
    qd_err err;
    doc_read reads[2] = {{.uuid = "u1", .shard = 4, .id = QD_STR("one"), .realtime = true},
                         {.uuid = "u2", .id = QD_STR("two"), .refresh = true, .want_source = true}};
    const uint32_t pick[2] = {1, 0};
    doc_read *got;
    uint64_t revision;
    uint32_t n;
    qd_arena_init(&a, NULL, 0);
    qd_err_init(&err);
    qd_writer_init(&w, NULL, 1 << 20, QD_RPC_NEWEST);
    qdi_wire_gets(&w, 55, reads, pick, 2);
    assert_int_equal(
        qdi_wire_gets_read(qd_writer_view(&w), QD_RPC_NEWEST, &a, &revision, &got, &n, &err), 0);
    assert_true(revision == 55 && n == 2 && got[0].refresh && got[0].want_source);
    assert_string_equal(got[1].uuid, "u1");
    assert_true(got[1].shard == 4 && got[1].realtime && same(got[1].id, QD_STR("one")));
    qd_writer_fini(&w);

    doc_mark marks[2] = {{.uuid = "u1", .shard = 1, .max_seq_no = 77}, {.uuid = "u2", .shard = 2}};
    doc_marks back = {0};
    qd_writer_init(&w, NULL, 1 << 20, QD_RPC_NEWEST);
    qdi_wire_marks(&w, true, marks, pick, 2);
    assert_int_equal(qdi_wire_marks_read(qd_writer_view(&w), QD_RPC_NEWEST, &back, &err), 0);
    assert_true(back.refresh == DOC_REFRESH_WAIT && back.at.n == 2);
    assert_string_equal(back.at.at[1].uuid, "u1");
    assert_true(back.at.at[1].max_seq_no == 77);
    qdi_marks_fini(&back);
    qd_writer_fini(&w);
    qd_err_fini(&err);
    qd_arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operations_travel),
        cmocka_unit_test(results_travel),
        cmocka_unit_test(reads_and_marks_travel),
    };
    return unit_run(tests);
}
