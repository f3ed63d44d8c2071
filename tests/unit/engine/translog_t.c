/*
 * translog_t.c: what is synced is there after a power loss, what is damaged is named, a torn tail
 * is cut, and nothing comes twice.
 */
#include "base/bits.h"
#include "base/str.h"
#include "engine/translog_int.h"
#include "lib/store_crash.h"
#include "runtime/env.h"
#include "runtime/sync.h"
#include "unit/unit.h"

static const uint8_t UUID[16] = "translog-test-01";
static const qd_translog_identity WHO = {
    .uuid = "translog-test-01", .history = "translog-hist-01", .primary_term = 1};
#define FOLDER QD_STR("indices/u/0")

typedef struct seen {
    uint64_t n, last;
    uint8_t *have; /* by sequence number */
    uint64_t max;
} seen;

static int see(void *arg, const qd_translog_op *op, const qd_translog_location *at, qd_err *err)
{
    seen *s = arg;
    (void)err;
    assert_true(op->seq_no < s->max);
    assert_int_equal(s->have[op->seq_no], 0);
    s->have[op->seq_no] = 1;
    s->n++;
    s->last = op->seq_no;
    assert_true(at->bytes >= 64);
    char id[32];
    snprintf(id, sizeof id, "id-%llu", (unsigned long long)op->seq_no);
    assert_true(qd_str_is(op->id, id));
    return 0;
}

static seen seen_make(uint64_t max)
{
    return (seen){.have = calloc(max, 1), .max = max};
}
static void seen_reset(seen *s)
{
    memset(s->have, 0, s->max);
    s->n = 0;
}

static int open_and_see(qd_store *s, uint64_t first, seen *x, qd_translog **t, qd_err *err)
{
    int rc = qd_translog_open(qd_env_system(), s, FOLDER, &WHO, first, first, NULL, t, err);
    if (!rc && (rc = qd_translog_replay(*t, -1, see, x, err))) {
        (void)qd_translog_close(*t, false, NULL);
        *t = NULL;
    }
    return rc;
}

static int add(qd_translog *t, uint64_t seq, size_t source, qd_translog_location *at, qd_err *err)
{
    char id[32];
    char *text = malloc(source + 1);
    int n = snprintf(id, sizeof id, "id-%llu", (unsigned long long)seq);
    for (size_t i = 0; i < source; i++) text[i] = (char)('a' + (seq + i) % 26);
    qd_translog_op op = {.type = QD_TRANSLOG_INDEX,
                         .seq_no = seq,
                         .primary_term = 7,
                         .version = seq + 1,
                         .auto_id_ms = -1,
                         .id = {id, (size_t)n},
                         .source = {text, source}};
    int rc = qd_translog_add(t, &op, at, err);
    free(text);
    return rc;
}

static void opens_what_it_wrote(void **state)
{
    (void)state;
    qd_err err;
    qd_store *s;
    qd_translog *t;
    qd_translog_location at[100];
    store_crash *d = store_crash_make(NULL);
    seen x = seen_make(100);
    qd_err_init(&err);
    assert_int_equal(store_crash_open(d, &s, &err), 0);
    assert_int_equal(qd_translog_create(qd_env_system(), s, FOLDER, &WHO, NULL, &t, &err), 0);
    for (uint64_t i = 0; i < 100; i++) {
        assert_int_equal(add(t, i, i * 37, &at[i], &err), 0);
        if (i % 30 == 29) assert_int_equal(qd_translog_roll(t, NULL, &err), 0);
    }
    qd_arena arena;
    qd_arena_init(&arena, NULL, 0);
    for (uint64_t i = 0; i < 100; i++) { /* from memory and from files alike */
        qd_translog_op op;
        assert_int_equal(qd_translog_read(t, &at[i], &arena, &op, &err), 0);
        assert_int_equal(op.seq_no, i);
        assert_int_equal(op.source.n, i * 37);
    }
    assert_false(qd_translog_synced(t));
    assert_int_equal(qd_translog_sync(t, &at[99], &err), 0);
    assert_true(qd_translog_synced(t));
    qd_translog_stats st;
    qd_translog_stats_get(t, &st);
    assert_int_equal(st.operations, 100);
    assert_int_equal(qd_translog_close(t, true, &err), 0);
    assert_int_equal(open_and_see(s, 1, &x, &t, &err), 0);
    assert_int_equal(x.n, 100);
    for (uint64_t i = 0; i < 100; i++) { /* locations outlive the restart */
        qd_translog_op op;
        assert_int_equal(qd_translog_read(t, &at[i], &arena, &op, &err), 0);
        assert_int_equal(op.seq_no, i);
    }
    assert_int_equal(qd_translog_trim(t, 4, INT64_MAX, &err), 0);
    qd_translog_op op;
    assert_int_equal(qd_translog_read(t, &at[0], &arena, &op, &err), QD_E_NOTFOUND);
    qd_err_fini(&err);
    assert_int_equal(qd_translog_close(t, false, &err), 0);
    seen_reset(&x);
    assert_int_equal(open_and_see(s, 4, &x, &t, &err), 0);
    assert_int_equal(x.n, 10);
    (void)qd_translog_close(t, false, &err);
    qd_arena_fini(&arena);
    qd_store_close(s);
    store_crash_free(d);
    free(x.have);
}

/* Cuts the power at a random step of a random run; everything acknowledged is there afterwards. */
static void crash_run(uint64_t seed, uint32_t mutants, uint64_t *lost)
{
    qd_prng r;
    qd_err err;
    qd_store *s;
    qd_translog *t;
    qd_prng_init(&r, seed);
    qd_err_init(&err);
    store_crash *d = store_crash_make(&(store_crash_options){.mutants = mutants});
    seen x = seen_make(4000);
    uint8_t *acked = calloc(x.max, 1);
    uint64_t next = 0;
    bool made = false;
    for (int life = 0; life < 4; life++) {
        assert_int_equal(store_crash_open(d, &s, &err), 0);
        store_crash_power_off_at(d, 1 + qd_prng_below(&r, 120));
        int rc;
        if (!made) {
            rc = qd_translog_create(qd_env_system(), s, FOLDER, &WHO, NULL, &t, &err);
            if (rc) { /* never acknowledged: starts over */
                qd_err_fini(&err);
                qd_store_close(s);
                store_crash_crash(d, seed + (uint64_t)life);
                store_crash_free(d);
                d = store_crash_make(&(store_crash_options){.mutants = mutants});
                continue;
            }
            made = true;
        } else {
            seen_reset(&x);
            rc = open_and_see(s, 1, &x, &t, &err);
            if (rc) {
                if (!store_crash_is_off(d)) {
                    if (mutants) {
                        (*lost)++;
                    } else {
                        fail_msg("seed %llu: %s", (unsigned long long)seed, qd_err_reason(&err));
                    }
                }
                qd_err_fini(&err);
                qd_store_close(s);
                store_crash_crash(d, seed + (uint64_t)life);
                continue;
            }
            for (uint64_t i = 0; i < next; i++) {
                if (acked[i] && !x.have[i]) {
                    (*lost)++;
                    if (!mutants) {
                        fail_msg("seed %llu: acknowledged operation %llu is lost",
                                 (unsigned long long)seed, (unsigned long long)i);
                    }
                    acked[i] = 0;
                }
            }
        }
        while (!store_crash_is_off(d) && next < x.max - 8) {
            qd_translog_location at;
            uint64_t from = next, batch = 1 + qd_prng_below(&r, 5);
            rc = 0;
            for (uint64_t i = 0; i < batch && !rc; i++) {
                rc = add(t, next++, qd_prng_below(&r, 3000), &at, &err);
            }
            if (!rc) rc = qd_translog_sync(t, &at, &err);
            for (uint64_t i = from; !rc && i < next; i++) acked[i] = 1;
            if (!rc && qd_prng_below(&r, 20) == 0) rc = qd_translog_roll(t, NULL, &err);
            if (rc) break;
        }
        qd_err_fini(&err);
        (void)qd_translog_close(t, false, NULL);
        qd_store_close(s);
        store_crash_crash(d, seed * 31 + (uint64_t)life);
    }
    store_crash_free(d);
    free(x.have);
    free(acked);
}

/* Opening makes no file: the generation for new operations comes with the first one. */
static void opening_writes_nothing(void **state)
{
    (void)state;
    qd_err err;
    qd_store *s;
    qd_translog *t;
    qd_translog_location at;
    qd_translog_stats st;
    store_crash *d = store_crash_make(NULL);
    seen x = seen_make(10);
    qd_err_init(&err);
    assert_int_equal(store_crash_open(d, &s, &err), 0);
    assert_int_equal(qd_translog_create(qd_env_system(), s, FOLDER, &WHO, NULL, &t, &err), 0);
    for (uint64_t i = 0; i < 3; i++) {
        assert_int_equal(add(t, i, 10, &at, &err), 0);
        assert_int_equal(qd_translog_sync(t, &at, &err), 0);
        assert_int_equal(qd_translog_close(t, true, &err), 0);
        for (int k = 0; k < 3; k++) {
            seen_reset(&x);
            assert_int_equal(open_and_see(s, 1, &x, &t, &err), 0);
            assert_int_equal(x.n, i + 1);
            qd_translog_stats_get(t, &st);
            assert_int_equal(st.generation, i + 1);
            assert_true(qd_translog_synced(t));
            if (k < 2) assert_int_equal(qd_translog_close(t, true, &err), 0);
        }
    }
    /* a turn needs no operation, and is one generation more */
    assert_int_equal(qd_translog_roll(t, NULL, &err), 0);
    qd_translog_checkpoint_set(t, 1);
    assert_int_equal(qd_translog_checkpoint_sync(t, &err), 0);
    assert_int_equal(qd_translog_close(t, true, &err), 0);
    seen_reset(&x);
    assert_int_equal(open_and_see(s, 1, &x, &t, &err), 0);
    qd_translog_stats_get(t, &st);
    assert_int_equal(st.generation, 4);
    assert_int_equal(qd_translog_checkpoint(t), 1);
    /* a higher checkpoint goes into a new generation: what was found takes no more */
    qd_translog_checkpoint_set(t, 2);
    assert_int_equal(qd_translog_checkpoint_sync(t, &err), 0);
    qd_translog_stats_get(t, &st);
    assert_int_equal(st.generation, 5);
    assert_int_equal(qd_translog_checkpoint(t), 2);
    assert_int_equal(qd_translog_close(t, true, &err), 0);
    free(x.have);
    qd_store_close(s);
    store_crash_free(d);
    qd_err_fini(&err);
}

static void acknowledged_survives_power_loss(void **state)
{
    (void)state;
    const char *rounds = getenv("SEEDS");
    uint64_t lost = 0;
    for (uint64_t seed = 1; seed <= (rounds ? strtoull(rounds, NULL, 10) : unit_rounds(300));
         seed++) {
        crash_run(seed, 0, &lost);
    }
    assert_int_equal(lost, 0);
}

static void suite_sees_a_missing_sync(void **state)
{
    (void)state;
    uint64_t lost = 0;
    for (uint64_t seed = 1; seed <= 60 && !lost; seed++)
        crash_run(seed, STORE_CRASH_NO_LOG_SYNC, &lost);
    assert_true(lost > 0);
    lost = 0;
    for (uint64_t seed = 1; seed <= 200 && !lost; seed++)
        crash_run(seed, STORE_CRASH_NO_DIR_SYNC, &lost);
    assert_true(lost > 0);
}

/* Every single bit of a synced log is either harmless padding or reported with file and offset. */
static void a_flipped_bit_is_named(void **state)
{
    (void)state;
    qd_err err;
    qd_store *s;
    qd_translog *t;
    qd_translog_location at;
    uint64_t bytes;
    store_crash *d = store_crash_make(NULL);
    seen x = seen_make(10);
    qd_err_init(&err);
    assert_int_equal(store_crash_open(d, &s, &err), 0);
    assert_int_equal(qd_translog_create(qd_env_system(), s, FOLDER, &WHO, NULL, &t, &err), 0);
    for (uint64_t i = 0; i < 3; i++) {
        assert_int_equal(add(t, i, 50, &at, &err), 0);
        assert_int_equal(qd_translog_sync(t, &at, &err), 0);
    }
    assert_int_equal(qd_translog_close(t, true, &err), 0);
    qd_store_close(s);
    assert_true(store_crash_size(d, "indices/u/0/translog-1", &bytes));
    for (uint64_t offset = 0; offset < bytes - MARK_BYTES; offset++) {
        assert_true(store_crash_flip(d, "indices/u/0/translog-1", offset, 0x10));
        assert_int_equal(store_crash_open(d, &s, &err), 0);
        qd_store_log *log;
        translog_found found;
        seen_reset(&x);
        assert_int_equal(qd_store_log_open(s, QD_STR("indices/u/0/translog-1"), false, &log, &err),
                         0);
        int rc = qdi_translog_read_all(log, "translog-1", 1, 0, UUID, NULL, see, &x, &found, &err);
        qd_store_log_close(log);
        qd_store_close(s);
        if (rc) {
            assert_true(rc == QD_E_TRANSLOG_CORRUPT || rc == QD_E_FORMAT_NEW);
            assert_non_null(strstr(qd_err_reason(&err), "translog-1"));
        } else {
            assert_int_equal(x.n, 3); /* a mark in between, or padding: nothing is missing */
        }
        qd_err_fini(&err);
        assert_true(store_crash_flip(d, "indices/u/0/translog-1", offset, 0x10));
    }
    store_crash_free(d);
    free(x.have);
}

static void a_failed_sync_is_final(void **state)
{
    (void)state;
    qd_err err;
    qd_store *s;
    qd_translog *t;
    qd_translog_location at;
    store_crash *d = store_crash_make(NULL);
    qd_err_init(&err);
    assert_int_equal(store_crash_open(d, &s, &err), 0);
    assert_int_equal(qd_translog_create(qd_env_system(), s, FOLDER, &WHO, NULL, &t, &err), 0);
    assert_int_equal(add(t, 0, 10, &at, &err), 0);
    store_crash_fail_at(d, STORE_CRASH_SYNCS, 1, QD_E_IO, false);
    assert_int_equal(qd_translog_sync(t, &at, &err), QD_E_IO);
    qd_err_fini(&err);
    assert_int_equal(qd_translog_sync(t, &at, &err), QD_E_IO); /* though the disk would do now */
    qd_err_fini(&err);
    assert_int_equal(add(t, 1, 10, &at, &err), QD_E_IO);
    qd_err_fini(&err);
    (void)qd_translog_close(t, true, NULL);
    qd_store_close(s);
    store_crash_free(d);
}

typedef struct writer {
    qd_translog *t;
    uint64_t from, n;
    int rc;
} writer;

static void write_many(void *arg)
{
    writer *w = arg;
    for (uint64_t i = 0; i < w->n && !w->rc; i++) {
        qd_translog_location at;
        w->rc = add(w->t, w->from + i, 200, &at, NULL);
        if (!w->rc && i % 3 == 0) w->rc = qd_translog_sync(w->t, &at, NULL);
        if (!w->rc && i % 100 == 50) w->rc = qd_translog_roll(w->t, NULL, NULL);
    }
    if (!w->rc) w->rc = qd_translog_sync_all(w->t, NULL);
}

static void many_writers_share_syncs(void **state)
{
    (void)state;
    qd_err err;
    qd_store *s;
    qd_translog *t;
    qd_thread *thread[4];
    writer w[4];
    store_crash *d = store_crash_make(NULL);
    seen x = seen_make(4000);
    qd_err_init(&err);
    assert_int_equal(store_crash_open(d, &s, &err), 0);
    assert_int_equal(qd_translog_create(qd_env_system(), s, FOLDER, &WHO, NULL, &t, &err), 0);
    for (uint64_t i = 0; i < 4; i++) {
        w[i] = (writer){t, i * 1000, 1000, 0};
        assert_int_equal(
            qd_thread_start(qd_env_system(), "writer", write_many, &w[i], &thread[i], &err), 0);
    }
    for (int i = 0; i < 4; i++) {
        qd_thread_join(qd_env_system(), thread[i]);
        assert_int_equal(w[i].rc, 0);
    }
    (void)qd_translog_close(t, false, NULL);
    qd_store_close(s);
    store_crash_crash(d, 5);
    assert_int_equal(store_crash_open(d, &s, &err), 0);
    assert_int_equal(open_and_see(s, 1, &x, &t, &err), 0);
    assert_int_equal(x.n, 4000);
    (void)qd_translog_close(t, false, NULL);
    qd_store_close(s);
    store_crash_free(d);
    free(x.have);
}

typedef struct coverer {
    qd_seq_no *numbers;
    int64_t to;
} coverer;

static void cover_many(void *arg)
{
    coverer *c = arg;
    for (int64_t n = 0; n <= c->to; n++) qd_seq_no_cover(c->numbers, n);
}

/* A copy installs segments, which cover numbers, while somebody asks for its checkpoints. */
static void numbers_are_of_one_moment(void **state)
{
    (void)state;
    qd_err err;
    qd_store *s;
    qd_translog *t;
    qd_thread *thread;
    qd_seq_no numbers;
    store_crash *d = store_crash_make(NULL);
    coverer c = {&numbers, 200000};
    int64_t max = -1, processed = -1, persisted, durable;
    qd_err_init(&err);
    assert_int_equal(store_crash_open(d, &s, &err), 0);
    assert_int_equal(qd_translog_create(qd_env_system(), s, FOLDER, &WHO, NULL, &t, &err), 0);
    assert_int_equal(qd_seq_no_init(&numbers, -1, NULL), 0);
    qd_translog_tell(t, &numbers);
    assert_int_equal(qd_thread_start(qd_env_system(), "coverer", cover_many, &c, &thread, &err), 0);
    while (processed < c.to) {
        qd_translog_numbers(t, &max, &processed, &persisted, &durable);
        assert_true(max == processed && persisted == processed && durable == processed);
    }
    qd_thread_join(qd_env_system(), thread);
    (void)qd_translog_close(t, false, NULL);
    qd_seq_no_fini(&numbers);
    qd_store_close(s);
    store_crash_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_what_it_wrote),
        cmocka_unit_test(opening_writes_nothing),
        cmocka_unit_test(acknowledged_survives_power_loss),
        cmocka_unit_test(suite_sees_a_missing_sync),
        cmocka_unit_test(a_flipped_bit_is_named),
        cmocka_unit_test(a_failed_sync_is_final),
        cmocka_unit_test(many_writers_share_syncs),
        cmocka_unit_test(numbers_are_of_one_moment),
    };
    return unit_run(tests);
}
