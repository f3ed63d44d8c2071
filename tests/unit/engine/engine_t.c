/*
 * engine_t.c: one shard over the tier that loses power. A model knows what was acknowledged; after
 * any mix of writes, refreshes, flushes, merges, kills and power losses every acknowledged
 * operation is there, once, and nothing that was refused.
 */
#include "unit/engine/engine_model.h"

static void crash_run(uint64_t seed, uint32_t mutants, bool kill, uint64_t *lost)
{
    qd_prng r;
    qd_err err;
    qd_store *s;
    qd_engine *e;
    shadow model[IDS] = {0};
    store_crash *d = store_crash_make(&(store_crash_options){.mutants = mutants});
    bool made = false;
    qd_prng_init(&r, seed);
    qd_err_init(&err);
    for (int life = 0; life < 5; life++) {
        assert_int_equal(store_crash_open(d, &s, &err), 0);
        qd_engine_config c = config(s);
        uint64_t cut = 1 + qd_prng_below(&r, 400);
        if (!made) {
            assert_int_equal(qd_engine_create(&c, &e, &err), 0);
            made = true;
        } else {
            int rc = qd_engine_open(&c, &e, &err);
            if (rc && mutants) {
                (*lost)++;
                qd_err_fini(&err);
                qd_store_close(s);
                break;
            }
            if (rc) fail_msg("seed %llu: %s", (unsigned long long)seed, qd_err_reason(&err));
            if (mutants) {
                for (int i = 0; i < IDS; i++) {
                    qd_engine_doc doc;
                    int value;
                    bool found = get(e, i, true, &doc, &value);
                    *lost += model[i].unsure_n == 0 &&
                             (found != model[i].exists || (found && value != model[i].value));
                    model[i] = (shadow){.exists = found, .value = value};
                }
            } else {
                check_all(e, model, seed);
            }
        }
        store_crash_power_off_at(d, cut);
        for (int i = 0; i < 300 && step(e, &r, model, &err); i++) {}
        qd_err_fini(&err);
        bool clean = life == 3 && !store_crash_is_off(d);
        qd_engine_close(e, clean);
        qd_store_close(s);
        if (clean) continue;
        if (kill) {
            store_crash_kill(d);
        } else {
            store_crash_crash(d, seed * 7 + (uint64_t)life);
        }
    }
    store_crash_free(d);
}

static void acknowledged_survives_power_loss(void **state)
{
    (void)state;
    uint64_t lost = 0;
    for (uint64_t seed = 1; seed <= rounds(150); seed++) crash_run(seed, 0, false, &lost);
}

static void acknowledged_survives_kill(void **state)
{
    (void)state;
    uint64_t lost = 0;
    for (uint64_t seed = 1000; seed <= 1000 + rounds(60); seed++) crash_run(seed, 0, true, &lost);
}

static void suite_sees_broken_tiers(void **state)
{
    (void)state;
    static const uint32_t mutants[] = {STORE_CRASH_NO_LOG_SYNC, STORE_CRASH_NO_DIR_SYNC,
                                       STORE_CRASH_NO_OBJECT_SYNC};
    for (int m = 0; m < 3; m++) {
        uint64_t lost = 0;
        for (uint64_t seed = 1; seed <= 200 && !lost; seed++) {
            crash_run(seed, mutants[m], false, &lost);
        }
        if (!lost) fail_msg("mutant %u went unnoticed", mutants[m]);
    }
}

static void optimistic_concurrency(void **state)
{
    (void)state;
    qd_err err;
    qd_store *s;
    qd_engine *e;
    qd_engine_result r;
    store_crash *d = store_crash_make(NULL);
    qd_err_init(&err);
    assert_int_equal(store_crash_open(d, &s, &err), 0);
    qd_engine_config c = config(s);
    assert_int_equal(qd_engine_create(&c, &e, &err), 0);
    qd_engine_op op = {.id = QD_STR("a"),
                       .source = QD_STR("{}"),
                       .version = -1,
                       .if_seq_no = QD_SEQ_NO_UNASSIGNED,
                       .auto_id_ms = -1,
                       .create = true};
    assert_int_equal(qd_engine_apply(e, 0, &op, &r, &err), 0);
    assert_true(r.created && r.version == 1 && r.seq_no == 0 && r.primary_term == 1);
    assert_int_equal(qd_engine_apply(e, 0, &op, &r, &err), QD_E_VERSION_CONFLICT);
    assert_string_equal(qd_err_reason(&err),
                        "[a]: version conflict, document already exists (current version [1])");
    qd_err_fini(&err);
    assert_int_equal(qd_engine_refresh(e, &err), 0); /* the same from the segment */
    assert_int_equal(qd_engine_apply(e, 0, &op, &r, &err), QD_E_VERSION_CONFLICT);
    qd_err_fini(&err);
    op.create = false;
    op.if_seq_no = 5;
    op.if_primary_term = 1;
    assert_int_equal(qd_engine_apply(e, 0, &op, &r, &err), QD_E_VERSION_CONFLICT);
    assert_string_equal(qd_err_reason(&err),
                        "[a]: version conflict, required seqNo [5], primary term [1]. current "
                        "document has seqNo [0] and primary term [1]");
    qd_err_fini(&err);
    op.if_seq_no = 0;
    assert_int_equal(qd_engine_apply(e, 0, &op, &r, &err), 0);
    assert_true(!r.created && r.version == 2);
    op.if_seq_no = QD_SEQ_NO_UNASSIGNED;
    op.version_type = QD_VERSION_EXTERNAL;
    op.version = 2;
    assert_int_equal(qd_engine_apply(e, 0, &op, &r, &err), QD_E_VERSION_CONFLICT);
    qd_err_fini(&err);
    op.version = 9;
    assert_int_equal(qd_engine_apply(e, 0, &op, &r, &err), 0);
    assert_int_equal(r.version, 9);
    op.delete = true;
    op.version = 12;
    assert_int_equal(qd_engine_apply(e, 0, &op, &r, &err), 0);
    assert_int_equal(qd_engine_refresh(e, &err), 0); /* the tombstone outlives the refresh */
    op.delete = false;
    op.version = 11;
    assert_int_equal(qd_engine_apply(e, 0, &op, &r, &err), QD_E_VERSION_CONFLICT);
    qd_err_fini(&err);
    op.version_type = QD_VERSION_INTERNAL;
    op.version = -1;
    op.source = QD_STR("bad");
    op.id = QD_STR("b");
    assert_int_equal(qd_engine_apply(e, 0, &op, &r, &err), QD_E_DOC_PARSING);
    qd_err_fini(&err);
    qd_engine_doc doc;
    int value;
    assert_false(get(e, 1, true, &doc, &value));
    qd_engine_close(e, true);
    qd_store_close(s);
    store_crash_free(d);
}

/* Who is told of a conflict has seen what is there: a loss of power does not take it back. */
static void a_conflict_shows_what_is_durable(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        qd_store *s;
        qd_engine *e;
        qd_engine_result r;
        qd_engine_doc doc;
        int value;
        store_crash *d = store_crash_make(NULL);
        assert_int_equal(store_crash_open(d, &s, NULL), 0);
        qd_engine_config c = config(s);
        assert_int_equal(qd_engine_create(&c, &e, NULL), 0);
        assert_int_equal(op_put(e, 1, 7, false, &r, NULL), 0); /* its own sync has yet to come */
        qd_engine_op op = {.id = QD_STR("id1"),
                           .source = QD_STR("{\"value\":8}"),
                           .version = -1,
                           .if_seq_no = QD_SEQ_NO_UNASSIGNED,
                           .auto_id_ms = -1,
                           .create = true};
        assert_int_equal(qd_engine_apply(e, 0, &op, &r, NULL), QD_E_VERSION_CONFLICT);
        assert_int_equal(r.revealed_seq_no, 0);
        store_crash_power_off(d);
        qd_engine_close(e, false);
        qd_store_close(s);
        store_crash_crash(d, seed);
        assert_int_equal(store_crash_open(d, &s, NULL), 0);
        c = config(s);
        assert_int_equal(qd_engine_open(&c, &e, NULL), 0);
        assert_true(get(e, 1, true, &doc, &value));
        assert_int_equal(value, 7);
        qd_engine_close(e, true);
        qd_store_close(s);
        store_crash_free(d);
    }
}

/* n-th allocation fails, for every n: an error each time, never a crash, and the shard reopens. */
static void every_allocation_may_fail(void **state)
{
    (void)state;
    bool through = false;
    for (uint64_t n = 1; !through && n < 20000; n += n < 300 ? 1 : 37) {
        qd_err err;
        qd_store *s;
        qd_engine *e = NULL;
        qd_engine_result r;
        bool acked[5] = {0};
        store_crash *d = store_crash_make(NULL);
        qd_err_init(&err);
        assert_int_equal(store_crash_open(d, &s, &err), 0);
        qd_engine_config c = config(s);
        qd_mem_fail_at(n, false);
        int rc = qd_engine_create(&c, &e, &err);
        for (int i = 0; !rc && i < 5; i++) {
            rc = op_put(e, i, i, false, &r, &err);
            if (!rc) rc = qd_engine_sync(e, &r.at, &err);
            if (!rc) acked[i] = true;
            if (!rc && i == 2) rc = qd_engine_flush(e, false, &err);
        }
        if (!rc) rc = qd_engine_refresh(e, &err);
        uint64_t seen = qd_mem_fail_at(0, false);
        through = seen < n;
        if (through) assert_int_equal(rc, 0);
        qd_err_fini(&err);
        if (e) {
            qd_engine_close(e, false);
            assert_int_equal(qd_engine_open(&c, &e, &err), 0);
            for (int i = 0; i < 5; i++) {
                qd_engine_doc doc;
                int value;
                bool found = get(e, i, true, &doc, &value);
                if (acked[i]) assert_true(found && value == i);
            }
            qd_engine_close(e, true);
        }
        qd_store_close(s);
        store_crash_free(d);
    }
    assert_true(through);
}

typedef struct writer {
    qd_engine *e;
    uint64_t seed;
    _Atomic bool *stop;
    uint64_t done;
} writer;

static void write_randomly(void *arg)
{
    writer *w = arg;
    qd_prng r;
    qd_prng_init(&r, w->seed);
    for (int i = 0; i < 1500; i++) {
        qd_engine_result res;
        qd_err err;
        qd_err_init(&err);
        int id = (int)qd_prng_below(&r, 100);
        int rc = op_put(w->e, id, (int)i, qd_prng_below(&r, 4) == 0, &res, &err);
        if (!rc && qd_prng_below(&r, 10) == 0) rc = qd_engine_sync(w->e, &res.at, &err);
        if (rc) fail_msg("%s", qd_err_reason(&err));
        if (qd_prng_below(&r, 3) == 0) {
            qd_engine_doc doc;
            int value;
            (void)get(w->e, (int)qd_prng_below(&r, 100), true, &doc, &value);
        }
        w->done++;
    }
}

static void churn(void *arg)
{
    writer *w = arg;
    uint64_t n = 0;
    while (!atomic_load(w->stop)) {
        bool did;
        assert_int_equal(qd_engine_refresh(w->e, NULL), 0);
        if (n++ % 5 == 0) assert_int_equal(qd_engine_flush(w->e, false, NULL), 0);
        if (n % 3 == 0) assert_int_equal(qd_engine_merge_step(w->e, &did, NULL), 0);
        (void)qd_engine_trim(w->e, &did); /* while others write and refresh */
        w->done++;
    }
}

/* An engine on a new disk. */
static qd_engine_config made_on(store_crash *d, qd_store **s, qd_engine **e)
{
    assert_int_equal(store_crash_open(d, s, NULL), 0);
    qd_engine_config c = config(*s);
    by_length(&c);
    assert_int_equal(qd_engine_create(&c, e, NULL), 0);
    return c;
}

static void writers_refresh_flush_and_merge_at_once(void **state)
{
    (void)state;
    qd_err err;
    qd_store *s;
    qd_engine *e;
    qd_thread *t[6];
    writer w[6];
    _Atomic bool stop = false;
    qd_err_init(&err);
    store_crash *d = store_crash_make(NULL);
    qd_engine_config c = made_on(d, &s, &e);
    for (int i = 0; i < 6; i++) {
        w[i] = (writer){e, (uint64_t)i + 1, &stop, 0};
        assert_int_equal(qd_thread_start(qd_env_system(), "worker", i < 4 ? write_randomly : churn,
                                         &w[i], &t[i], &err),
                         0);
    }
    for (int i = 0; i < 4; i++) qd_thread_join(qd_env_system(), t[i]);
    atomic_store(&stop, true);
    for (int i = 4; i < 6; i++) qd_thread_join(qd_env_system(), t[i]);
    assert_int_equal(qd_engine_refresh(e, &err), 0);
    uint32_t found = 0;
    for (int i = 0; i < 100; i++) {
        qd_engine_doc a, b;
        int va, vb;
        bool fa = get(e, i, true, &a, &va), fb = get(e, i, false, &b, &vb);
        assert_int_equal(fa, fb);
        assert_int_equal(va, vb);
        assert_true(!fa || a.seq_no == b.seq_no);
        found += fa;
    }
    assert_int_equal(live_docs(e), found);
    qd_engine_stats st;
    qd_engine_stats_get(e, &st);
    assert_int_equal(st.max_seq_no, st.local_checkpoint);
    qd_engine_close(e, true);
    assert_int_equal(qd_engine_open(&c, &e, &err), 0);
    assert_int_equal(live_docs(e), found);
    qd_engine_close(e, true);
    qd_store_close(s);
    store_crash_free(d);
}

#define UPDATES 3000
#define DOCS 20000 /* a merge takes longer than a refresh */

/* A segment and a deletion in another one, again and again. */
static void update_and_refresh(void *arg)
{
    writer *w = arg;
    for (int i = 0; i < UPDATES && !atomic_load(w->stop); i++) {
        qd_engine_result res;
        if (op_put(w->e, i % 40, i, false, &res, NULL)) fail_msg("an update failed");
        if (qd_engine_refresh(w->e, NULL)) fail_msg("a refresh failed");
        w->done++;
    }
}

/* What is written meanwhile is not a forced merge's business: it has an end, long before the
 * writer. */
static void forced_merges_end_while_others_write(void **state)
{
    (void)state;
    qd_err err;
    qd_store *s;
    qd_engine *e;
    qd_thread *t;
    _Atomic bool stop = false;
    qd_err_init(&err);
    store_crash *d = store_crash_make(NULL);
    (void)made_on(d, &s, &e);
    for (int i = 0; i < DOCS; i++) {
        qd_engine_result res;
        assert_int_equal(op_put(e, i, i, false, &res, &err), 0);
        if (i % 1000 == 999) assert_int_equal(qd_engine_refresh(e, &err), 0);
    }
    writer w = {e, 1, &stop, 0};
    assert_int_equal(qd_thread_start(qd_env_system(), "writer", update_and_refresh, &w, &t, &err),
                     0);
    assert_int_equal(qd_engine_force_merge(e, 3, false, NULL, &err), 0);
    assert_int_equal(qd_engine_force_merge(e, 1, false, NULL, &err), 0);
    assert_int_equal(qd_engine_force_merge(e, 1, true, NULL, &err), 0);
    atomic_store(&stop, true);
    qd_thread_join(qd_env_system(), t);
    assert_true(w.done < UPDATES);
    assert_int_equal(qd_engine_force_merge(e, 1, false, NULL, &err), 0);
    qd_engine_stats st;
    qd_engine_stats_get(e, &st);
    assert_int_equal(st.segments, 1);
    assert_int_equal(live_docs(e), DOCS);
    qd_engine_merges_stop(e); /* as before its end */
    assert_int_equal(qd_engine_force_merge(e, 1, false, NULL, &err), QD_E_CANCELLED);
    qd_err_fini(&err);
    qd_engine_close(e, true);
    qd_store_close(s);
    store_crash_free(d);
}

/* The order of a setting that changes applies to merges to come; a forced one brings a lone segment
 * into it, once. Ids lead to the same documents throughout. */
static void a_forced_merge_brings_an_order_once(void **state)
{
    (void)state;
    qd_err err;
    qd_store *s;
    qd_engine *e;
    qd_err_init(&err);
    store_crash *d = store_crash_make(NULL);
    qd_engine_config c = made_on(d, &s, &e);
    for (int i = 0; i < 500; i++) {
        qd_engine_result res;
        assert_int_equal(op_put(e, i % 400, i, false, &res, &err), 0);
        if (i == 300) assert_int_equal(qd_engine_refresh(e, &err), 0);
    }
    static const struct {
        uint8_t order;
        uint64_t merges; /* until then */
    } steps[] = {{QD_MERGE_KEPT, 1},   {QD_MERGE_LENGTH, 2}, {QD_MERGE_LENGTH, 2},
                 {QD_MERGE_BISECT, 3}, {QD_MERGE_KEPT, 3},   {QD_MERGE_BISECT, 3}};
    for (size_t k = 0; k < QD_COUNT_OF(steps); k++) {
        c.settings.merge_order = steps[k].order;
        qd_engine_settings_set(e, &c.settings);
        assert_int_equal(qd_engine_force_merge(e, 1, false, NULL, &err), 0);
        qd_engine_stats st;
        qd_engine_stats_get(e, &st);
        assert_int_equal(st.segments, 1);
        assert_int_equal(st.merge_total, steps[k].merges);
        for (int i = 0; i < 400; i++) {
            qd_engine_doc doc;
            int value;
            assert_true(get(e, i, false, &doc, &value));
            assert_int_equal(value, i < 100 ? i + 400 : i);
        }
    }
    qd_engine_close(e, true);
    qd_store_close(s);
    store_crash_free(d);
}

static void quiet_shards_give_their_buffers_back(void **state)
{
    (void)state;
    qd_err err;
    qd_store *s;
    qd_engine *e;
    qd_engine_result r;
    qd_account account;
    bool some = false;
    store_crash *d = store_crash_make(NULL);
    qd_err_init(&err);
    qd_account_init(&account, "engine", &qd_account_root, 0);
    assert_int_equal(store_crash_open(d, &s, &err), 0);
    qd_engine_config c = config(s);
    c.account = &account;
    assert_int_equal(qd_engine_create(&c, &e, &err), 0);
    int64_t fresh = qd_account_used(&account);
    uint32_t used = 0;
    for (int i = 0; i < 20000; i++) assert_int_equal(op_put(e, i, i, false, &r, &err), 0);
    assert_true(qd_engine_buffer_bytes(e, &used) > 0);
    assert_true(used >= 1);
    int64_t full = qd_account_used(&account);
    assert_true(qd_engine_trim(e, &some)); /* nothing is empty: nothing goes */
    assert_int_equal(qd_engine_refresh(e, &err), 0);
    assert_int_equal(live_docs(e), 20000);
    assert_int_equal(qd_engine_buffer_bytes(e, NULL),
                     0); /* what an empty buffer keeps is no reason to refresh */
    /* the version map keeps no refreshed document: what is left are the tables of buffers */
    assert_int_equal(qd_engine_refresh(e, &err), 0);
    int64_t kept = qd_account_used(&account);
    assert_true(qd_engine_trim(e, &some));
    assert_true(some);
    int64_t left = qd_account_used(&account);
    assert_true(left <= kept);
    assert_true(kept - fresh < (full - fresh) / 2); /* the refresh has given the pages back */
    assert_true(left - fresh < (full - fresh) / 2);
    assert_int_equal(op_put(e, 1, 7, false, &r, &err), 0); /* and it writes on */
    assert_int_equal(qd_engine_refresh(e, &err), 0);
    assert_int_equal(live_docs(e), 20000);
    qd_engine_close(e, true);
    qd_store_close(s);
    store_crash_free(d);
    assert_int_equal(qd_account_used(&account), 0);
}

int main(void)
{
    qd_log_level_set(NULL, QD_LOG_FATAL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(optimistic_concurrency),
        cmocka_unit_test(a_conflict_shows_what_is_durable),
        cmocka_unit_test(a_forced_merge_brings_an_order_once),
        cmocka_unit_test(quiet_shards_give_their_buffers_back),
        cmocka_unit_test(acknowledged_survives_power_loss),
        cmocka_unit_test(acknowledged_survives_kill),
        cmocka_unit_test(suite_sees_broken_tiers),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(writers_refresh_flush_and_merge_at_once),
        cmocka_unit_test(forced_merges_end_while_others_write),
    };
    return unit_run(tests);
}
