/*
 * coord_t.c: what a caller is told of a change that was tried more than once. The store below says
 * what a test has written down, one answer a try.
 */
#include "base/str.h"
#include "cluster/coord/coord.h"
#include "plugin/op.h"
#include "unit/unit.h"

#define TRIES 8

static struct {
    int32_t answers[TRIES]; /* 0 at the end: committed; the last one is repeated */
    uint32_t n, asked;
    uint8_t id[TRIES][16];
} script;

static int32_t store_open(qd_self *self, const qd_coord_config *config, qd_coord **out, qd_err *err)
{
    (void)self;
    (void)config;
    (void)err;
    *out = (qd_coord *)(void *)&script;
    return 0;
}

static void store_close(qd_coord *c, void (*done)(void *arg), void *arg)
{
    (void)c;
    done(arg);
}

static void store_info(qd_coord *c, qd_coord_info *out)
{
    (void)c;
    (void)out;
}

static void store_identity(qd_coord *c, qd_coord_identity *out)
{
    (void)c;
    (void)out;
}

static int32_t store_txn(qd_coord *c, qd_coord_txn *t)
{
    uint32_t k = script.asked < script.n ? script.asked : script.n - 1;
    (void)c;
    memcpy(script.id[script.asked % TRIES], t->id, 16);
    script.asked++;
    t->revision = 7;
    qd_op_complete(&t->op, script.answers[k]);
    return 0;
}

/* What qd_coord_commit says when the store answers so. */
static int told(uint32_t n, const int32_t *answers, int64_t timeout_ms, qd_err *err)
{
    static const qd_coord_vtable vt = {.open = store_open,
                                       .close = store_close,
                                       .info = store_info,
                                       .identity = store_identity,
                                       .txn = store_txn};
    qd_coord_config config = {.struct_size = sizeof config};
    qd_coord_change put = {.type = QD_COORD_PUT, .key = QD_STR("k"), .value = QD_STR("v")};
    qd_coord_store *s;
    uint64_t revision;
    memset(&script, 0, sizeof script);
    memcpy(script.answers, answers, n * sizeof *answers);
    script.n = n;
    assert_int_equal(qd_coord_open(qd_env_system(), &vt, NULL, &config, &s, NULL), 0);
    int rc = qd_coord_commit(s, NULL, 0, &put, 1, timeout_ms, &revision, NULL, err);
    qd_coord_close(s);
    for (uint32_t i = 1; i < script.asked && i < TRIES; i++) {
        assert_memory_equal(script.id[i], script.id[0], 16); /* the store knows it again */
    }
    return rc;
}
#define TOLD(err, ...)                                                                             \
    told(sizeof((int32_t[]){__VA_ARGS__}) / sizeof(int32_t), (int32_t[]){__VA_ARGS__}, 120000, err)

static void a_change_without_an_answer_is_tried_again(void **state)
{
    (void)state;
    assert_int_equal(TOLD(NULL, QD_E_UNKNOWN_OUTCOME, 0), 0);
    assert_int_equal(script.asked, 2);
    assert_int_equal(TOLD(NULL, QD_E_UNKNOWN_OUTCOME, QD_E_NO_COORDINATION, QD_E_CONFLICT),
                     QD_E_CONFLICT);
    assert_int_equal(script.asked, 3);
    assert_int_equal(TOLD(NULL, QD_E_UNKNOWN_OUTCOME, QD_E_FENCED), QD_E_FENCED);
}

/* A full disk refuses the second try; the first one may be in the log. */
static void a_refusal_says_nothing_of_an_earlier_try(void **state)
{
    (void)state;
    qd_err err;
    qd_err_init(&err);
    assert_int_equal(TOLD(&err, QD_E_UNKNOWN_OUTCOME, QD_E_NOSPACE), QD_E_UNKNOWN_OUTCOME);
    assert_int_equal(err.code, QD_E_UNKNOWN_OUTCOME);
    assert_non_null(strstr(qd_err_reason(&err), "may or may not be committed"));
    qd_err_fini(&err);
    assert_int_equal(TOLD(NULL, QD_E_UNKNOWN_OUTCOME, QD_E_NOT_LEADER, QD_E_REJECTED),
                     QD_E_UNKNOWN_OUTCOME);
    int32_t nobody[] = {QD_E_UNKNOWN_OUTCOME, QD_E_NO_COORDINATION};
    assert_int_equal(told(2, nobody, 20, NULL), QD_E_UNKNOWN_OUTCOME);
}

static void without_one_it_is_certain(void **state)
{
    (void)state;
    assert_int_equal(TOLD(NULL, QD_E_NOSPACE), QD_E_NOSPACE);
    assert_int_equal(TOLD(NULL, QD_E_NOT_LEADER, QD_E_NOSPACE), QD_E_NOSPACE);
    int32_t nobody[] = {QD_E_NO_COORDINATION};
    assert_int_equal(told(1, nobody, 20, NULL), QD_E_NO_COORDINATION);
}

/* Time is up while a try waits for an answer: what the one before met says more. */
static void at_the_end_of_time_the_reason_is_what_was_met_before(void **state)
{
    (void)state;
    qd_err err;
    qd_err_init(&err);
    assert_int_equal(TOLD(&err, QD_E_NO_COORDINATION, QD_E_CANCELLED), QD_E_NO_COORDINATION);
    assert_int_equal(err.code, QD_E_NO_COORDINATION);
    qd_err_fini(&err);
    assert_int_equal(TOLD(&err, QD_E_CANCELLED), QD_E_TIMEOUT);
    assert_int_equal(err.code, QD_E_TIMEOUT);
    qd_err_fini(&err);
    assert_int_equal(TOLD(NULL, QD_E_UNKNOWN_OUTCOME, QD_E_CANCELLED), QD_E_UNKNOWN_OUTCOME);
    assert_int_equal(TOLD(NULL, QD_E_UNKNOWN_OUTCOME, QD_E_NO_COORDINATION, QD_E_CANCELLED),
                     QD_E_UNKNOWN_OUTCOME);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_without_an_answer_is_tried_again),
        cmocka_unit_test(a_refusal_says_nothing_of_an_earlier_try),
        cmocka_unit_test(without_one_it_is_certain),
        cmocka_unit_test(at_the_end_of_time_the_reason_is_what_was_met_before),
    };
    return unit_run(tests);
}
