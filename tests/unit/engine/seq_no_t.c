/*
 * seq_no_t.c: numbers that a peer or a file says, and that are none or too far ahead, are refused
 * with words; nothing is taken of them.
 */
#include "engine/commit.h"
#include "engine/replica.h"
#include "engine/seq_no.h"
#include "engine/translog_int.h"
#include "lib/store_crash.h"
#include "unit/unit.h"

static void holds_reason(qd_err *err, const char *words)
{
    assert_non_null(strstr(qd_err_reason(err), words));
    qd_err_fini(err);
}

static void gaps_are_bounded(void **state)
{
    (void)state;
    qd_seq_no s;
    qd_err err;
    const int64_t far = ((int64_t)1 << 27) - 1;
    int64_t max, done, n;
    qd_err_init(&err);
    assert_int_equal(qd_seq_no_init(&s, -1, NULL), 0);
    assert_int_equal(qd_seq_no_advance(&s, far - 1, NULL), 0);
    assert_int_equal(qd_seq_no_advance(&s, far, &err), QD_E_LIMIT);
    holds_reason(&err, "[134217727] is too far above the local checkpoint [-1]");
    assert_int_equal(qd_seq_no_assign(&s, &n, &err), QD_E_LIMIT);
    holds_reason(&err, "is too far above the local checkpoint [-1]");
    qd_seq_no_get(&s, &max, &done, NULL);
    assert_int_equal(max, far - 1);
    assert_int_equal(done, -1);
    qd_seq_no_processed(&s, 0);
    assert_int_equal(qd_seq_no_assign(&s, &n, NULL), 0);
    assert_int_equal(n, far);
    qd_seq_no_fini(&s);
}

static void numbers_end(void **state)
{
    (void)state;
    qd_seq_no s;
    qd_err err;
    int64_t n;
    qd_err_init(&err);
    assert_int_equal(qd_seq_no_init(&s, QD_SEQ_NO_LIMIT - 2, NULL), 0);
    assert_int_equal(qd_seq_no_advance(&s, INT64_MAX, &err), QD_E_LIMIT);
    holds_reason(&err, "is no sequence number");
    assert_int_equal(qd_seq_no_assign(&s, &n, NULL), 0);
    assert_int_equal(n, QD_SEQ_NO_LIMIT - 1);
    qd_seq_no_processed(&s, n);
    assert_int_equal(qd_seq_no_assign(&s, &n, &err), QD_E_LIMIT);
    holds_reason(&err, "is no sequence number");
    qd_seq_no_fini(&s);
}

static void operations_say_possible_numbers(void **state)
{
    (void)state;
    static const uint64_t bad[] = {(uint64_t)1 << 53, INT64_MAX, UINT64_MAX};
    qd_translog_op op = {.type = QD_TRANSLOG_NOOP, .auto_id_ms = -1}, back;
    qd_buf b;
    qd_err err;
    qd_err_init(&err);
    qd_buf_init(&b, NULL, 4096);
    for (size_t i = 0; i < QD_COUNT_OF(bad); i++) {
        qd_buf_reset(&b);
        op.seq_no = bad[i];
        assert_int_equal(qd_op_encode(&op, &b, NULL), 0);
        qd_str in = qd_buf_view(&b);
        assert_int_equal(qd_op_next(&in, &back, NULL, &err), QD_E_CORRUPT);
        holds_reason(&err, "is out of range");
    }
    qd_buf_fini(&b);
}

static void publications_say_possible_numbers(void **state)
{
    (void)state;
    static const int64_t bad[][2] = {
        {QD_SEQ_NO_LIMIT, QD_SEQ_NO_LIMIT}, {3, QD_SEQ_NO_LIMIT}, {3, INT64_MAX}, {-2, 3}, {4, 3}};
    qd_publication p = {.primary_term = 1, .generation = 1}, *back;
    qd_buf b;
    qd_buf_init(&b, NULL, 4096);
    for (size_t i = 0; i < QD_COUNT_OF(bad); i++) {
        qd_buf_reset(&b);
        p.max_seq_no = bad[i][0];
        p.global_checkpoint = bad[i][1];
        assert_int_equal(qd_publication_encode(&p, &b, NULL), 0);
        assert_int_equal(qd_publication_decode(qd_buf_view(&b), NULL, &back, NULL), QD_E_CORRUPT);
    }
    qd_buf_fini(&b);
}

static const uint8_t UUID[16] = "numbers-test-001";

/* Reads a file whose checksums are right, with a body of one record or mark, and says how. */
static int read_file(const translog_head *h, const void *body, size_t n, qd_err *err)
{
    uint8_t head[TRANSLOG_HEADER];
    translog_found found;
    qd_store_log *log;
    qd_store *s;
    uint64_t at = 0;
    store_crash *d = store_crash_make(NULL);
    assert_int_equal(store_crash_open(d, &s, NULL), 0);
    qdi_translog_header(head, h);
    qd_iovec v[2] = {{head, sizeof head}, {body, n}};
    assert_int_equal(qd_store_log_open(s, QD_STR("indices/u/0/translog-1"), true, &log, NULL), 0);
    assert_int_equal(qd_store_log_append(log, v, n ? 2 : 1, &at, NULL), 0);
    int rc = qdi_translog_read_all(log, "translog-1", 1, TRANSLOG_SEALED, UUID, NULL, NULL, NULL,
                                   &found, err);
    qd_store_log_close(log);
    qd_store_close(s);
    store_crash_free(d);
    return rc;
}

static translog_head good_head(void)
{
    translog_head h = {.generation = 1,
                       .primary_term = 1,
                       .checkpoint = -1,
                       .trim_above = 5,
                       .before_min = -1,
                       .before_max = -1};
    memcpy(h.uuid, UUID, 16);
    return h;
}

static void logs_hold_possible_numbers(void **state)
{
    (void)state;
    qd_err err;
    qd_err_init(&err);
    translog_head h = good_head();
    assert_int_equal(read_file(&h, NULL, 0, NULL), 0);
    h.checkpoint = QD_SEQ_NO_LIMIT;
    assert_int_equal(read_file(&h, NULL, 0, &err), QD_E_TRANSLOG_CORRUPT);
    holds_reason(&err, "a sequence number in its header is out of range");
    h = good_head();
    h.trim_above = -2;
    assert_int_equal(read_file(&h, NULL, 0, NULL), QD_E_TRANSLOG_CORRUPT);
    h = good_head();
    h.before_max = INT64_MAX;
    assert_int_equal(read_file(&h, NULL, 0, NULL), QD_E_TRANSLOG_CORRUPT);
    h = good_head();
    uint8_t mark[MARK_BYTES];
    qdi_mark_encode(TRANSLOG_HEADER, QD_SEQ_NO_LIMIT - 1, 1, mark);
    assert_int_equal(read_file(&h, mark, sizeof mark, NULL), 0);
    qdi_mark_encode(TRANSLOG_HEADER, INT64_MIN, 1, mark);
    assert_int_equal(read_file(&h, mark, sizeof mark, &err), QD_E_TRANSLOG_CORRUPT);
    holds_reason(&err, "[translog-1] at offset 128: global checkpoint");
    uint8_t record[RECORD_HEAD];
    qd_translog_op op = {.type = QD_TRANSLOG_NOOP, .seq_no = UINT64_MAX, .auto_id_ms = -1};
    qdi_record_encode(&op, 1, record);
    assert_int_equal(read_file(&h, record, sizeof record, &err), QD_E_TRANSLOG_CORRUPT);
    holds_reason(&err, "sequence number [-1] is out of range");
}

/* A commit point as a file that somebody changed. */
static int read_commit(const char *member, int64_t n, qd_err *err)
{
    char json[1024];
    qd_store *s;
    qd_arena arena;
    qd_commit c;
#define NUMBER(name, good) (long long)(strcmp(member, name) == 0 ? n : (good))
    int len = snprintf(
        json, sizeof json,
        "{\"generation\":1,\"translog_uuid\":\"%032d\",\"history_uuid\":\"%032d\","
        "\"translog_generation\":1,\"local_checkpoint\":%lld,\"max_seq_no\":%lld,"
        "\"primary_term\":1,\"translog_first\":1,\"operations_from\":%lld,\"published_term\":1,"
        "\"published_generation\":1,\"leases\":[{\"id\":\"a\",\"retaining_seq_no\":%lld,"
        "\"renewed_ms\":0}],\"segments\":[]}",
        0, 0, NUMBER("local_checkpoint", -1), NUMBER("max_seq_no", -1),
        NUMBER("operations_from", 0), NUMBER("retaining_seq_no", 0));
#undef NUMBER
    store_crash *d = store_crash_make(NULL);
    assert_int_equal(store_crash_open(d, &s, NULL), 0);
    assert_int_equal(qd_store_publish(s, QD_STR("indices/u/0/commit"), QD_STR("commit"),
                                      QD_COMMIT_VERSION, (qd_str){json, (size_t)len}, NULL),
                     0);
    qd_arena_init(&arena, NULL, 0);
    int rc = qd_commit_read(s, QD_STR("indices/u/0"), &arena, &c, err);
    qd_arena_fini(&arena);
    qd_store_close(s);
    store_crash_free(d);
    return rc;
}

static void commit_points_hold_possible_numbers(void **state)
{
    (void)state;
    static const char *const members[] = {"local_checkpoint", "max_seq_no", "operations_from",
                                          "retaining_seq_no"};
    qd_err err;
    qd_err_init(&err);
    assert_int_equal(read_commit("", 0, NULL), 0);
    for (size_t i = 0; i < QD_COUNT_OF(members); i++) {
        assert_int_equal(read_commit(members[i], QD_SEQ_NO_LIMIT - 1, NULL), 0);
        assert_int_equal(read_commit(members[i], QD_SEQ_NO_LIMIT + 1, NULL), QD_E_CORRUPT);
        assert_int_equal(read_commit(members[i], INT64_MAX, &err), QD_E_CORRUPT);
        holds_reason(&err, "out of range");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gaps_are_bounded),
        cmocka_unit_test(numbers_end),
        cmocka_unit_test(operations_say_possible_numbers),
        cmocka_unit_test(publications_say_possible_numbers),
        cmocka_unit_test(logs_hold_possible_numbers),
        cmocka_unit_test(commit_points_hold_possible_numbers),
    };
    return unit_run(tests);
}
