/*
 * copies_t.c: what one copy does for others, step by step: encoded operations, histories,
 * checkpoints, publications, retention, another history, errors of the disk. Random histories:
 * copies_broken_t.c.
 */
#include "engine/engine_int.h"
#include "unit/engine/copies_model.h"

typedef struct side {
    store_crash *disk;
    qd_store *s;
    qd_engine *e;
    qd_engine_config k;
} side;

static void side_make(side *x, qd_engine_mode mode, const char *history)
{
    *x = (side){.disk = store_crash_make(NULL)};
    assert_int_equal(store_crash_open(x->disk, &x->s, NULL), 0);
    x->k = config(x->s);
    x->k.mode = mode;
    x->k.replicated = true;
    x->k.history = (const uint8_t *)history;
    assert_int_equal(qd_engine_create(&x->k, &x->e, NULL), 0);
}

static void side_reopen(side *x, qd_engine_mode mode, bool clean)
{
    if (x->e) qd_engine_close(x->e, clean);
    qd_store_close(x->s);
    store_crash_crash(x->disk, 3);
    assert_int_equal(store_crash_open(x->disk, &x->s, NULL), 0);
    x->k.log_store = x->k.segment_store = x->s;
    x->k.mode = mode;
    assert_int_equal(qd_engine_open(&x->k, &x->e, NULL), 0);
}

static void side_free(side *x)
{
    if (x->e) qd_engine_close(x->e, false);
    qd_store_close(x->s);
    store_crash_free(x->disk);
}

static int64_t put_doc(side *x, int id, int value, qd_buf *encoded)
{
    char name[16], source[64];
    qd_engine_result r;
    int n = snprintf(name, sizeof name, "id%d", id),
        m = snprintf(source, sizeof source, "{\"value\":%d}", value);
    qd_engine_op op = {.id = {name, (size_t)n},
                       .source = {source, (size_t)m},
                       .version = -1,
                       .if_seq_no = QD_SEQ_NO_UNASSIGNED,
                       .auto_id_ms = -1,
                       .mapping = 7,
                       .encoded = encoded};
    assert_int_equal(qd_engine_apply(x->e, 0, &op, &r, NULL), 0);
    assert_int_equal(qd_engine_sync(x->e, &r.at, NULL), 0);
    return r.seq_no;
}

static void send(side *x, uint64_t term, qd_buf *ops)
{
    qd_translog_location at;
    assert_int_equal(qd_engine_replicate(x->e, term, qd_buf_view(ops), NULL, &at, NULL), 0);
    assert_int_equal(qd_engine_sync(x->e, &at, NULL), 0);
}

/* Until it is asked for the next time. */
static const uint8_t *history_of(side *x)
{
    static uint8_t history[16];
    qd_engine_history(x->e, history);
    return history;
}

static qd_engine_checkpoints at_of(side *x)
{
    qd_engine_checkpoints at;
    qd_engine_checkpoints_get(x->e, &at);
    return at;
}

/* All files that are missing, then the commit. */
static int take_over(side *from, side *to, qd_err *err)
{
    qd_publication *p;
    qd_install *i;
    const uint32_t *files;
    assert_int_equal(qd_engine_publication(from->e, &p, NULL), 0);
    int rc = qd_install_begin(to->e, p, &i, err);
    bool begun = !rc;
    uint32_t n = begun ? qd_install_missing(i, &files) : 0;
    for (uint32_t k = 0; k < n && !rc; k++) {
        char buf[4096];
        size_t got = 1;
        rc = qd_install_file_begin(i, files[k], err);
        for (uint64_t at = 0; got && !rc; at += got) {
            assert_int_equal(qd_publication_read(p, files[k], at, buf, sizeof buf, &got, NULL), 0);
            rc = qd_install_file_append(i, files[k], buf, got, err);
        }
        if (!rc) rc = qd_install_file_finish(i, files[k], err);
    }
    if (!rc) {
        rc = qd_install_commit(i, err);
    } else if (begun) {
        qd_install_abort(i);
    }
    qd_publication_unref(p);
    return rc;
}

static void operations_travel(void **state)
{
    (void)state;
    side p, r;
    qd_buf b;
    qd_translog_op op;
    qd_str raw;
    uint32_t n;
    qd_translog_location at;
    side_make(&p, QD_ENGINE_PRIMARY, "0123456789abcdef");
    side_make(&r, QD_ENGINE_REPLICA, "0123456789abcdef");
    qd_buf_init(&b, NULL, 1 << 20);
    for (int i = 0; i < 20; i++) put_doc(&p, i, i, &b);
    qd_str in = qd_buf_view(&b);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(qd_op_next(&in, &op, &raw, NULL), 0);
        assert_int_equal(op.seq_no, i);
        assert_int_equal(op.mapping, 7);
    }
    assert_int_equal(in.n, 0);
    /* a bad byte: nothing of the batch is taken */
    b.p[b.n / 2] ^= 1;
    assert_int_equal(qd_engine_replicate(r.e, 1, qd_buf_view(&b), NULL, &at, NULL), QD_E_CORRUPT);
    assert_int_equal(at_of(&r).max_seq_no, -1);
    b.p[b.n / 2] ^= 1;
    for (int again = 0; again < 2; again++) { /* the second time nothing is added */
        assert_int_equal(qd_engine_replicate(r.e, 1, qd_buf_view(&b), &n, &at, NULL), 0);
        assert_int_equal(n, 20);
    }
    assert_int_equal(at_of(&r).processed, 19);
    assert_int_equal(at_of(&r).persisted, -1);
    assert_int_equal(qd_engine_sync(r.e, &at, NULL), 0);
    assert_int_equal(at_of(&r).persisted, 19);
    qd_engine_stats st;
    qd_engine_stats_get(r.e, &st);
    assert_int_equal(st.translog.operations, 20);
    /* the wrong term, the wrong side */
    assert_int_equal(qd_engine_replicate(r.e, 2, qd_buf_view(&b), NULL, &at, NULL), QD_E_STATE);
    assert_int_equal(qd_engine_term_raise(r.e, 5, NULL), 0);
    assert_int_equal(qd_engine_replicate(r.e, 4, qd_buf_view(&b), NULL, &at, NULL), QD_E_TERM_OLD);
    assert_int_equal(qd_engine_replicate(p.e, 1, qd_buf_view(&b), NULL, &at, NULL), QD_E_STATE);
    /* read in parts, each by a cursor of its own; what came meanwhile follows */
    qd_engine_ops *part;
    qd_buf all;
    qd_buf_init(&all, NULL, 1 << 20);
    for (int64_t from = 0, last_of = -1; from < 22; from = last_of + 1) {
        assert_int_equal(qd_engine_ops_open(p.e, from, INT64_MAX, &part, NULL), 0);
        assert_int_equal(qd_engine_ops_next(part, 200, &all, &n, &last_of, NULL), 0);
        assert_true(n > 0);
        qd_engine_ops_close(part);
        if (from == 0) {
            put_doc(&p, 30, 30, &b);
            put_doc(&p, 31, 31, &b);
        }
    }
    assert_int_equal(all.n, b.n);
    assert_memory_equal(all.p, b.p, b.n);
    qd_buf_fini(&all);
    /* what a replica has can be read from it, sealed anew, byte by byte the same */
    qd_engine_ops *o;
    qd_buf back;
    int64_t last;
    qd_buf_init(&back, NULL, 1 << 20);
    assert_int_equal(qd_engine_ops_open(r.e, 5, 12, &o, NULL), 0);
    assert_int_equal(qd_engine_ops_next(o, SIZE_MAX / 2, &back, &n, &last, NULL), 0);
    assert_int_equal(n, 8);
    assert_int_equal(last, 12);
    qd_engine_ops_close(o);
    in = qd_buf_view(&b);
    for (int i = 0; i < 5; i++) assert_int_equal(qd_op_next(&in, &op, NULL, NULL), 0);
    assert_memory_equal(in.p, back.p, back.n);
    qd_buf_fini(&back);
    qd_buf_fini(&b);
    side_free(&p);
    side_free(&r);
}

static void record(qd_buf *b, int64_t seq, uint64_t term, const char *source)
{
    qd_translog_op op = {.type = QD_TRANSLOG_INDEX,
                         .seq_no = (uint64_t)seq,
                         .primary_term = term,
                         .version = 1,
                         .auto_id_ms = -1,
                         .id = QD_STR("id1"),
                         .source = qd_str_c(source)};
    assert_int_equal(qd_op_encode(&op, b, NULL), 0);
}

/* A cursor that was left before a gap does not take it for damage once it is filled. */
static void a_gap_may_be_filled_between_two_readings(void **state)
{
    (void)state;
    side r;
    qd_buf b[4], out;
    qd_engine_ops *o;
    uint32_t n;
    int64_t last;
    side_make(&r, QD_ENGINE_REPLICA, NULL);
    qd_buf_init(&out, NULL, 1 << 20);
    for (int i = 0; i < 4; i++) {
        qd_buf_init(&b[i], NULL, 1 << 16);
        record(&b[i], i, 1, "{\"value\":1}");
    }
    send(&r, 1, &b[0]);
    send(&r, 1, &b[3]);
    send(&r, 1, &b[1]);
    assert_int_equal(qd_engine_ops_open(r.e, 0, 9, &o, NULL), 0);
    assert_int_equal(qd_engine_ops_next(o, SIZE_MAX / 2, &out, &n, &last, NULL), 0);
    assert_int_equal(last, 1);
    qd_engine_ops_close(o);
    send(&r, 1, &b[2]);
    assert_int_equal(qd_engine_ops_open(r.e, 2, 9, &o, NULL), 0);
    assert_int_equal(qd_engine_ops_next(o, SIZE_MAX / 2, &out, &n, &last, NULL), 0);
    assert_int_equal(n, 2);
    assert_int_equal(last, 3);
    qd_engine_ops_close(o);
    for (int i = 0; i < 4; i++) qd_buf_fini(&b[i]);
    qd_buf_fini(&out);
    side_free(&r);
}

static void two_operations_of_one_number_are_damage(void **state)
{
    (void)state;
    side r;
    qd_buf b;
    qd_err err;
    qd_translog_location at;
    qd_err_init(&err);
    qd_buf_init(&b, NULL, 1 << 20);
    side_make(&r, QD_ENGINE_REPLICA, NULL);
    record(&b, 0, 1, "{\"value\":1}");
    send(&r, 1, &b);
    qd_buf_reset(&b);
    record(&b, 0, 1, "{\"value\":2}");
    assert_int_equal(qd_engine_replicate(r.e, 1, qd_buf_view(&b), NULL, &at, &err), QD_E_CORRUPT);
    assert_int_equal(qd_engine_failure(r.e, NULL), QD_E_CORRUPT);
    qd_err_fini(&err);
    side_free(&r);
    /* in the log: one generation after the other */
    side_make(&r, QD_ENGINE_REPLICA, NULL);
    qd_translog_op op = {.type = QD_TRANSLOG_INDEX,
                         .primary_term = 1,
                         .auto_id_ms = -1,
                         .id = QD_STR("id1"),
                         .source = QD_STR("{\"value\":1}")};
    assert_int_equal(qd_translog_add(r.e->translog, &op, &at, NULL), 0);
    assert_int_equal(qd_translog_roll(r.e->translog, NULL, NULL), 0);
    assert_int_equal(qd_translog_add(r.e->translog, &op, &at, NULL), 0); /* the same: fine */
    assert_int_equal(qd_translog_replay(r.e->translog, -1, NULL, NULL, NULL), 0);
    op.source = QD_STR("{\"value\":3}");
    assert_int_equal(qd_translog_roll(r.e->translog, NULL, NULL), 0);
    assert_int_equal(qd_translog_add(r.e->translog, &op, &at, NULL), 0);
    assert_int_equal(qd_translog_replay(r.e->translog, -1, NULL, NULL, &err),
                     QD_E_TRANSLOG_CORRUPT);
    assert_non_null(strstr(qd_err_reason(&err), "names another operation"));
    qd_err_fini(&err);
    assert_int_equal(qd_engine_promote(r.e, 2, &err), QD_E_TRANSLOG_CORRUPT);
    qd_err_fini(&err);
    qd_buf_fini(&b);
    side_free(&r);
}

/* Numbers in any order, far apart, over many windows and generations. */
static void a_history_comes_in_order(void **state)
{
    (void)state;
    static const uint64_t numbers[] = {9, 0, 3000000, 5, 524287, 524288, 2, 1048577, 600000, 1};
    static const uint64_t sorted[] = {0, 1, 2, 5, 9, 524287, 524288, 600000, 1048577, 3000000};
    side r;
    qd_translog_cursor *c;
    qd_translog_op op;
    qd_translog_location at;
    bool more;
    side_make(&r, QD_ENGINE_REPLICA, NULL);
    for (size_t i = 0; i < 10; i++) {
        op = (qd_translog_op){
            .type = QD_TRANSLOG_NOOP, .seq_no = numbers[i], .primary_term = 1, .auto_id_ms = -1};
        assert_int_equal(qd_translog_add(r.e->translog, &op, &at, NULL), 0);
        if (i % 4 == 3) assert_int_equal(qd_translog_roll(r.e->translog, NULL, NULL), 0);
    }
    for (size_t from = 0; from < 10; from++) {
        assert_int_equal(
            qd_translog_cursor_open(r.e->translog, (int64_t)sorted[from], INT64_MAX, &c, NULL), 0);
        for (size_t i = from; i < 10; i++) {
            assert_int_equal(qd_translog_cursor_next(c, &more, &op, NULL, NULL, NULL), 0);
            assert_true(more);
            assert_int_equal(op.seq_no, sorted[i]);
        }
        assert_int_equal(qd_translog_cursor_next(c, &more, &op, NULL, NULL, NULL), 0);
        assert_false(more);
        qd_translog_cursor_close(c);
    }
    side_free(&r);
}

static int done_rc;
static void done(qd_refresh_wait *w, int rc)
{
    (void)w;
    done_rc = rc;
}
static void count_due(void *arg)
{
    ++*(int *)arg;
}

static void a_refresh_waits_for_the_checkpoint(void **state)
{
    (void)state;
    side p;
    int due = 0;
    bool forced;
    int64_t wanted;
    qd_engine_doc doc;
    int value;
    side_make(&p, QD_ENGINE_PRIMARY, NULL);
    p.e->due = count_due;
    p.e->copies_arg = &due;
    for (int i = 0; i < 3; i++) put_doc(&p, i, i, NULL);
    qd_refresh_wait w = {.seq_no = 2, .done = done};
    done_rc = 1;
    assert_int_equal(qd_engine_refresh_wait(p.e, &w, &forced, NULL), 0);
    assert_int_equal(qd_engine_refresh_start(p.e, &wanted, NULL), 0);
    assert_int_equal(wanted, 2);
    assert_false(get(p.e, 1, false, &doc, &value));
    assert_true(get(p.e, 1, true, &doc, &value));
    put_doc(&p, 5, 5, NULL); /* writes go on, and belong to a later one */
    assert_int_equal(qd_engine_refresh_start(p.e, &wanted, NULL), 0);
    assert_int_equal(wanted, 3);
    qd_engine_global_checkpoint_set(p.e, 1);
    assert_int_equal(due, 0);
    qd_engine_global_checkpoint_set(p.e, 2);
    assert_int_equal(due, 1);
    assert_int_equal(done_rc, 1);
    assert_int_equal(qd_engine_refresh_finish(p.e, NULL), 0);
    assert_int_equal(done_rc, 0);
    assert_true(get(p.e, 1, false, &doc, &value));
    assert_false(get(p.e, 5, false, &doc, &value));
    assert_int_equal(at_of(&p).shown, 2);
    qd_engine_global_checkpoint_set(p.e, 3); /* what was asked for meanwhile was cut by finish */
    assert_int_equal(due, 2);
    assert_int_equal(qd_engine_refresh_finish(p.e, NULL), 0);
    assert_true(get(p.e, 5, false, &doc, &value));
    /* a roll-back: what was not settled is unknown to who waits for it */
    put_doc(&p, 6, 6, NULL);
    w = (qd_refresh_wait){.seq_no = 4, .done = done};
    assert_int_equal(qd_engine_refresh_wait(p.e, &w, &forced, NULL), 0);
    assert_int_equal(qd_engine_refresh_start(p.e, NULL, NULL), 0);
    int64_t to;
    assert_int_equal(qd_engine_rollback(p.e, 2, QD_SEQ_NO_NONE, &to, NULL), 0);
    assert_int_equal(done_rc, QD_E_WRITE_UNKNOWN);
    assert_int_equal(to, 3);
    assert_false(get(p.e, 6, false, &doc, &value));
    /* it may have been acknowledged: promoted before anybody said otherwise, it has it again */
    assert_int_equal(qd_engine_promote(p.e, 3, NULL), 0);
    assert_true(get(p.e, 6, true, &doc, &value));
    assert_int_equal(doc.primary_term, 1);
    /* after a resync that does not know it, never again */
    assert_int_equal(qd_engine_rollback(p.e, 4, QD_SEQ_NO_NONE, NULL, NULL), 0);
    assert_int_equal(qd_engine_trim_above(p.e, 3, 4, NULL), 0);
    side_reopen(&p, QD_ENGINE_REPLICA, false);
    assert_int_equal(qd_engine_promote(p.e, 5, NULL), 0);
    assert_int_equal(at_of(&p).max_seq_no, 3);
    side_free(&p);
}

typedef struct waiting {
    qd_engine *e;
    int rc;
    _Atomic bool over;
} waiting;
static void refresh_thread(void *arg)
{
    waiting *w = arg;
    w->rc = qd_engine_refresh(w->e, NULL);
    atomic_store(&w->over, true);
}

static void a_blocking_refresh_ends(void **state)
{
    (void)state;
    side p;
    qd_thread *t;
    side_make(&p, QD_ENGINE_PRIMARY, NULL);
    put_doc(&p, 1, 1, NULL);
    waiting w = {.e = p.e, .rc = 1};
    assert_int_equal(qd_thread_start(qd_env_system(), "refresh", refresh_thread, &w, &t, NULL), 0);
    while (atomic_load(&p.e->cut_waiting) == INT64_MAX) {}
    assert_false(atomic_load(&w.over));
    qd_engine_global_checkpoint_set(p.e, 0);
    qd_thread_join(qd_env_system(), t);
    assert_int_equal(w.rc, 0);
    put_doc(&p, 2, 1, NULL); /* replaced while somebody waits */
    w = (waiting){.e = p.e, .rc = 1};
    assert_int_equal(qd_thread_start(qd_env_system(), "refresh", refresh_thread, &w, &t, NULL), 0);
    while (atomic_load(&p.e->cut_waiting) == INT64_MAX) {}
    assert_int_equal(qd_engine_rollback(p.e, 2, QD_SEQ_NO_NONE, NULL, NULL), 0);
    qd_thread_join(qd_env_system(), t);
    assert_int_equal(w.rc, QD_E_NOT_PRIMARY);
    side_free(&p);
}

static void a_publication_on_the_wire(void **state)
{
    (void)state;
    side p;
    qd_publication *a, *b;
    qd_buf w;
    qd_buf_init(&w, NULL, 1 << 20);
    side_make(&p, QD_ENGINE_PRIMARY, NULL);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 5; i++) put_doc(&p, i + round * 3, i, NULL);
        qd_engine_global_checkpoint_set(p.e, at_of(&p).max_seq_no);
        assert_int_equal(qd_engine_refresh(p.e, NULL), 0);
    }
    assert_int_equal(qd_engine_publication(p.e, &a, NULL), 0);
    assert_true(qd_publication_files(a) > a->n); /* with live documents */
    assert_int_equal(qd_publication_encode(a, &w, NULL), 0);
    assert_int_equal(qd_publication_decode(qd_buf_view(&w), NULL, &b, NULL), 0);
    assert_int_equal(qd_publication_compare(a, b), 0);
    assert_int_equal(b->n, a->n);
    assert_memory_equal(b->segments, a->segments, a->n * sizeof *a->segments);
    assert_int_equal(b->max_seq_no, 14);
    /* one file would have two owners */
    qd_buf twice;
    qd_err err;
    qd_err_init(&err);
    qd_buf_init(&twice, NULL, 1 << 20);
    assert_true(b->n > 1);
    memcpy(b->segments[b->n - 1].id, b->segments[0].id, 16);
    assert_int_equal(qd_publication_encode(b, &twice, NULL), 0);
    qd_publication_unref(b);
    assert_int_equal(qd_publication_decode(qd_buf_view(&twice), NULL, &b, &err), QD_E_CORRUPT);
    assert_non_null(strstr(qd_err_reason(&err), "names a segment twice"));
    qd_err_fini(&err);
    qd_buf_fini(&twice);
    for (size_t i = 0; i < w.n; i++) {
        w.p[i] ^= 4;
        assert_int_equal(qd_publication_decode(qd_buf_view(&w), NULL, &b, NULL), QD_E_CORRUPT);
        w.p[i] ^= 4;
        assert_int_equal(qd_publication_decode((qd_str){w.p, i}, NULL, &b, NULL), QD_E_CORRUPT);
    }
    qd_publication_unref(a);
    qd_buf_fini(&w);
    side_free(&p);
}

static void another_history_is_replaced_as_a_whole(void **state)
{
    (void)state;
    side p, r;
    qd_engine_doc doc;
    int value;
    qd_err err;
    qd_buf b;
    qd_err_init(&err);
    side_make(&p, QD_ENGINE_PRIMARY, "history-of-the-p");
    side_make(&r, QD_ENGINE_PRIMARY, "history-of-the-r");
    for (int i = 0; i < 10; i++) put_doc(&p, i, 100 + i, NULL);
    for (int i = 0; i < 10; i++) put_doc(&r, i, 200 + i, NULL);
    qd_engine_global_checkpoint_set(p.e, 9);
    qd_engine_global_checkpoint_set(r.e, 9);
    assert_int_equal(qd_engine_refresh(p.e, NULL), 0);
    assert_int_equal(qd_engine_refresh(r.e, NULL), 0);
    side_reopen(&r, QD_ENGINE_REPLICA, true);
    assert_int_equal(take_over(&p, &r, &err), QD_E_STATE); /* not by itself */
    qd_err_fini(&err);
    assert_int_equal(qd_engine_recovery_reset(r.e, (const uint8_t *)"history-of-the-p", NULL), 0);
    qd_buf_init(&b, NULL, 1 << 20);
    put_doc(&p, 3, 300, &b); /* tracked by now */
    send(&r, 1, &b);
    assert_int_equal(at_of(&r).processed, -1);
    assert_true(get(r.e, 1, false, &doc, &value));
    assert_int_equal(value, 201); /* still there, and after a power loss all of it */
    side_reopen(&r, QD_ENGINE_REPLICA, false);
    assert_memory_equal(history_of(&r), "history-of-the-r", 16);
    assert_int_equal(at_of(&r).processed, 9);
    assert_true(get(r.e, 1, false, &doc, &value));
    assert_int_equal(value, 201);
    /* now to the end; a roll-back in between counts nothing of what it had */
    int64_t to;
    assert_int_equal(qd_engine_recovery_reset(r.e, (const uint8_t *)"history-of-the-p", NULL), 0);
    assert_int_equal(qd_engine_rollback(r.e, 1, 9, &to, NULL), 0);
    assert_int_equal(to, -1);
    send(&r, 1, &b);
    assert_int_equal(take_over(&p, &r, &err), 0);
    assert_true(get(r.e, 1, false, &doc, &value));
    assert_int_equal(value, 101);
    assert_int_equal(at_of(&r).processed, 10);
    assert_int_equal(qd_engine_ops_from(r.e), 10);
    side_reopen(&r, QD_ENGINE_REPLICA, false);
    assert_memory_equal(history_of(&r), "history-of-the-p", 16);
    assert_int_equal(qd_engine_promote(r.e, 2, NULL), 0);
    assert_true(get(r.e, 3, true, &doc, &value));
    assert_int_equal(value, 300);
    /* a primary that was forced names its history anew, and keeps what it has */
    put_doc(&r, 4, 400, NULL);
    assert_int_equal(qd_engine_history_renew(r.e, NULL), 0);
    uint8_t renewed[16];
    memcpy(renewed, history_of(&r), 16);
    assert_int_not_equal(memcmp(renewed, "history-of-the-p", 16), 0);
    put_doc(&r, 5, 500, NULL);
    side_reopen(&r, QD_ENGINE_PRIMARY, false);
    assert_memory_equal(history_of(&r), renewed, 16);
    assert_true(get(r.e, 4, true, &doc, &value));
    assert_int_equal(value, 400);
    assert_true(get(r.e, 5, true, &doc, &value));
    assert_int_equal(value, 500);
    qd_buf_fini(&b);
    side_free(&p);
    side_free(&r);
}

/* Nothing that is set after a reset keeps the generations whose operations it made void. */
static void a_reset_leaves_nothing_to_retain(void **state)
{
    (void)state;
    side p, r;
    qd_engine_lease l;
    uint64_t bytes;
    qd_err err;
    qd_err_init(&err);
    side_make(&p, QD_ENGINE_PRIMARY, "history-of-the-p");
    side_make(&r, QD_ENGINE_PRIMARY, "history-of-the-r");
    for (int i = 0; i < 3; i++) put_doc(&p, i, 100 + i, NULL);
    for (int i = 0; i < 9; i++) put_doc(&r, i, 200 + i, NULL);
    qd_engine_global_checkpoint_set(p.e, 2);
    assert_int_equal(qd_engine_lease_set(r.e, QD_STR("copy"), 0, 77, NULL), 0);
    assert_int_equal(qd_engine_refresh(p.e, NULL), 0);
    side_reopen(&r, QD_ENGINE_REPLICA, true);
    assert_int_equal(qd_engine_log_end(r.e), 8);
    assert_int_equal(qd_engine_recovery_reset(r.e, (const uint8_t *)"history-of-the-p", NULL), 0);
    assert_int_equal(qd_engine_leases(r.e, &l, 1), 0);
    assert_int_equal(qd_engine_ops_from(r.e), 0);
    assert_int_equal(qd_engine_log_end(r.e), -1);
    assert_int_equal(qd_engine_lease_set(r.e, QD_STR("copy"), 0, 77, NULL), 0);
    assert_true(store_crash_size(r.disk, "indices/u/0/translog-1", &bytes));
    assert_int_equal(take_over(&p, &r, &err), 0);
    assert_false(store_crash_size(r.disk, "indices/u/0/translog-1", &bytes));
    assert_int_equal(qd_engine_leases(r.e, &l, 1), 1);
    side_free(&p);
    side_free(&r);
}

/* To another history and back before anything of it is installed: the copy is opened anew, and has
 * all that it had. */
static void a_reset_does_not_go_back(void **state)
{
    (void)state;
    side r;
    qd_engine_doc doc;
    int value;
    qd_err err;
    qd_err_init(&err);
    side_make(&r, QD_ENGINE_PRIMARY, "history-of-the-r");
    for (int i = 0; i < 5; i++) put_doc(&r, i, 200 + i, NULL);
    qd_engine_global_checkpoint_set(r.e, 4);
    assert_int_equal(qd_engine_global_checkpoint_sync(r.e, NULL), 0);
    side_reopen(&r, QD_ENGINE_REPLICA, false);
    assert_int_equal(qd_engine_recovery_reset(r.e, (const uint8_t *)"history-of-the-p", NULL), 0);
    assert_int_equal(qd_engine_recovery_reset(r.e, (const uint8_t *)"history-of-the-q", NULL), 0);
    assert_int_equal(qd_engine_recovery_reset(r.e, (const uint8_t *)"history-of-the-r", &err),
                     QD_E_STATE);
    assert_non_null(strstr(qd_err_reason(&err), "has to be opened anew"));
    qd_err_fini(&err);
    assert_int_equal(qd_engine_failure(r.e, NULL), QD_E_STATE);
    side_reopen(&r, QD_ENGINE_REPLICA, false);
    assert_memory_equal(history_of(&r), "history-of-the-r", 16);
    assert_int_equal(at_of(&r).processed, 4);
    assert_int_equal(qd_engine_promote(r.e, 2, NULL), 0);
    for (int i = 0; i < 5; i++) {
        assert_true(get(r.e, i, true, &doc, &value));
        assert_int_equal(value, 200 + i);
    }
    side_free(&r);
}

static void leases_retain_operations(void **state)
{
    (void)state;
    side p;
    qd_engine_ops *o;
    qd_engine_lease l[2];
    qd_err err;
    qd_err_init(&err);
    side_make(&p, QD_ENGINE_PRIMARY, NULL);
    assert_int_equal(qd_engine_lease_set(p.e, QD_STR("copy"), 3, 77, NULL), 0);
    assert_int_equal(qd_engine_lease_set(p.e, QD_STR(""), 3, 77, NULL), QD_E_ARG);
    assert_int_equal(qd_engine_lease_set(p.e, QD_STR("x"), INT64_MAX, 77, &err), QD_E_ARG);
    qd_err_fini(&err);
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 2; i++) put_doc(&p, i, round, NULL);
        qd_engine_global_checkpoint_set(p.e, at_of(&p).max_seq_no);
        assert_int_equal(qd_engine_flush(p.e, true, NULL), 0);
    }
    assert_int_equal(qd_engine_ops_from(p.e), 2); /* a whole generation below the lease is gone */
    side_reopen(&p, QD_ENGINE_PRIMARY, false);
    assert_int_equal(qd_engine_ops_from(p.e), 2);
    assert_int_equal(qd_engine_leases(p.e, l, 2), 1);
    assert_string_equal(l[0].id, "copy");
    assert_int_equal(l[0].retaining_seq_no, 3);
    assert_int_equal(l[0].renewed_ms, 77);
    assert_int_equal(qd_engine_ops_open(p.e, 1, 9, &o, &err), QD_E_OPS_GONE);
    qd_err_fini(&err);
    assert_int_equal(qd_engine_ops_open(p.e, 3, 9, &o, NULL), 0);
    qd_engine_lease_remove(p.e, QD_STR("copy"));
    assert_int_equal(qd_engine_flush(p.e, true, NULL), 0);
    assert_int_equal(qd_engine_ops_from(p.e), 10);
    qd_buf b; /* who reads them already reads on */
    uint32_t n;
    qd_buf_init(&b, NULL, 1 << 20);
    assert_int_equal(qd_engine_ops_next(o, SIZE_MAX / 2, &b, &n, NULL, NULL), 0);
    assert_int_equal(n, 7);
    qd_engine_ops_close(o);
    qd_buf_fini(&b);
    side_free(&p);
}

/* A replica's operations may not be durable yet when a publication covers them. */
static void a_commit_point_leaves_no_hole_in_the_log(void **state)
{
    (void)state;
    side p, r;
    qd_buf b;
    qd_engine_ops *o;
    uint32_t n;
    side_make(&p, QD_ENGINE_PRIMARY, "0123456789abcdef");
    side_make(&r, QD_ENGINE_REPLICA, "0123456789abcdef");
    qd_buf_init(&b, NULL, 1 << 20);
    for (int i = 0; i < 6; i++) put_doc(&p, i, i, &b);
    qd_translog_location at;
    assert_int_equal(qd_engine_replicate(r.e, 1, qd_buf_view(&b), NULL, &at, NULL), 0);
    qd_engine_global_checkpoint_set(p.e, 5);
    assert_int_equal(qd_engine_refresh(p.e, NULL), 0);
    assert_int_equal(take_over(&p, &r, NULL), 0);
    side_reopen(&r, QD_ENGINE_REPLICA, false);
    qd_buf_reset(&b);
    put_doc(&p, 6, 6, &b);
    send(&r, 1, &b);
    assert_int_equal(qd_engine_ops_from(r.e), 0);
    qd_buf_reset(&b);
    assert_int_equal(qd_engine_ops_open(r.e, 0, 6, &o, NULL), 0);
    assert_int_equal(qd_engine_ops_next(o, SIZE_MAX / 2, &b, &n, NULL, NULL), 0);
    assert_int_equal(n, 7);
    qd_engine_ops_close(o);
    qd_buf_fini(&b);
    side_free(&p);
    side_free(&r);
}

/* Two primaries of different terms delete in the segment that they share, one of them alone. */
static void live_documents_have_names_of_their_term(void **state)
{
    (void)state;
    side p, r;
    qd_buf b;
    side_make(&p, QD_ENGINE_PRIMARY, "0123456789abcdef");
    side_make(&r, QD_ENGINE_REPLICA, "0123456789abcdef");
    qd_buf_init(&b, NULL, 1 << 20);
    for (int i = 0; i < 6; i++) put_doc(&p, i, i, &b);
    send(&r, 1, &b);
    qd_engine_global_checkpoint_set(p.e, 5);
    assert_int_equal(qd_engine_refresh(p.e, NULL), 0);
    assert_int_equal(take_over(&p, &r, NULL), 0);
    /* each is the only copy for a while, p first */
    qd_engine_replicated_set(p.e, false);
    put_doc(&p, 1, 10, NULL);
    assert_int_equal(qd_engine_flush(p.e, true, NULL), 0);
    assert_int_equal(qd_engine_promote(r.e, 2, NULL), 0);
    qd_engine_replicated_set(r.e, false);
    put_doc(&r, 2, 20, NULL);
    assert_int_equal(qd_engine_flush(r.e, true, NULL), 0);
    assert_int_equal(qd_engine_term_raise(p.e, 2, NULL), 0);
    assert_int_equal(take_over(&r, &p, NULL), 0);
    qd_buf_fini(&b);
    side_free(&p);
    side_free(&r);
}

static void errors_of_the_disk(void **state)
{
    (void)state;
    side p, r;
    qd_buf b;
    qd_err err;
    qd_translog_location at;
    _Atomic bool full = true;
    qd_err_init(&err);
    qd_buf_init(&b, NULL, 1 << 20);
    side_make(&p, QD_ENGINE_PRIMARY, "0123456789abcdef");
    side_make(&r, QD_ENGINE_REPLICA, "0123456789abcdef");
    for (int i = 0; i < 5; i++) put_doc(&p, i, i, &b);
    r.e->disk_full = &full;
    assert_int_equal(qd_engine_replicate(r.e, 1, qd_buf_view(&b), NULL, &at, &err), QD_E_NOSPACE);
    assert_int_equal(at_of(&r).max_seq_no, -1);
    qd_err_fini(&err);
    full = false;
    assert_int_equal(qd_engine_replicate(r.e, 1, qd_buf_view(&b), NULL, &at, NULL), 0);
    store_crash_fail_at(r.disk, STORE_CRASH_SYNCS, 1, QD_E_IO, false);
    assert_int_equal(qd_engine_sync(r.e, &at, &err), QD_E_IO);
    assert_int_equal(qd_engine_failure(r.e, NULL), QD_E_IO);
    assert_int_equal(at_of(&r).persisted, -1);
    qd_err_fini(&err);
    assert_int_equal(qd_engine_sync(r.e, &at, &err), QD_E_IO); /* though it would do now */
    qd_err_fini(&err);
    assert_int_equal(qd_engine_replicate(r.e, 1, qd_buf_view(&b), NULL, &at, &err), QD_E_IO);
    qd_err_fini(&err);
    side_reopen(&r, QD_ENGINE_REPLICA, false);
    send(&r, 1, &b);
    /* an installation whose files cannot be made durable */
    qd_engine_global_checkpoint_set(p.e, 4);
    assert_int_equal(qd_engine_refresh(p.e, NULL), 0);
    store_crash_fail_at(r.disk, STORE_CRASH_SYNCS, 1, QD_E_IO, false);
    assert_int_equal(take_over(&p, &r, &err), QD_E_IO);
    /* a file that never came is fetched again; one whose bytes are unknown ends the engine */
    assert_int_equal(qd_engine_failure(r.e, NULL), store_crash_lazy(r.disk) ? QD_E_IO : 0);
    qd_err_fini(&err);
    side_reopen(&r, QD_ENGINE_REPLICA, false);
    assert_int_equal(take_over(&p, &r, NULL), 0);
    assert_int_equal(at_of(&r).shown, 4);
    qd_buf_fini(&b);
    side_free(&p);
    side_free(&r);
}

/* A copy becomes primary, publishes, is replaced and follows; the power goes at every step. */
static void power_is_lost_at_every_step(void **state)
{
    (void)state;
    bool whole = false;
    for (uint64_t n = 1; !whole; n++) {
        side p, r;
        qd_buf b;
        qd_engine_doc doc;
        int value;
        qd_buf_init(&b, NULL, 1 << 20);
        side_make(&p, QD_ENGINE_PRIMARY, "0123456789abcdef");
        side_make(&r, QD_ENGINE_REPLICA, "0123456789abcdef");
        for (int i = 0; i < 6; i++) put_doc(&p, i, i, &b);
        send(&r, 1, &b);
        qd_engine_global_checkpoint_set(p.e, 3);
        qd_engine_global_checkpoint_set(r.e, 3);
        assert_int_equal(qd_engine_refresh_start(p.e, NULL, NULL), 0);
        qd_engine_global_checkpoint_set(p.e, 5);
        store_crash_power_off_at(r.disk, n);
        int rc = take_over(&p, &r, NULL);
        if (!rc) rc = qd_engine_global_checkpoint_sync(r.e, NULL);
        if (!rc) rc = qd_engine_promote(r.e, 2, NULL);
        if (!rc) rc = qd_engine_refresh_start(r.e, NULL, NULL);
        if (!rc) qd_engine_global_checkpoint_set(r.e, 5);
        if (!rc) rc = qd_engine_flush(r.e, true, NULL);
        if (!rc) rc = qd_engine_rollback(r.e, 3, QD_SEQ_NO_NONE, NULL, NULL);
        if (!rc) rc = qd_engine_trim_above(r.e, 5, 3, NULL);
        whole = !store_crash_is_off(r.disk);
        assert_true(whole || rc);
        side_reopen(&r, QD_ENGINE_REPLICA, false);
        assert_int_equal(qd_engine_promote(r.e, 4, NULL), 0);
        for (int i = 0; i < 6; i++) { /* they had been acknowledged */
            assert_true(get(r.e, i, true, &doc, &value));
            assert_int_equal(value, i);
        }
        assert_int_equal(at_of(&r).persisted, 5);
        qd_buf_fini(&b);
        side_free(&p);
        side_free(&r);
    }
}

/* --- all at once ------------------------------------------------------------------------------ */

enum { WRITERS = 3, WRITES = 10000 };

typedef struct traffic {
    side p, r;
    qd_mutex lock; /* of the checkpoint's computation */
    _Atomic int running;
    _Atomic uint32_t published, installed;
    int number[WRITERS];
} traffic;

static void writer(void *arg)
{
    static _Atomic int numbers;
    traffic *t = arg;
    int me = atomic_fetch_add(&numbers, 1) % WRITERS;
    for (int i = 0; i < WRITES; i++) {
        char name[16], source[64];
        qd_engine_result res;
        qd_translog_location at;
        qd_buf b;
        int id = (i * 7 + me) % 60 * WRITERS + me; /* each one has ids of its own */
        int n = snprintf(name, sizeof name, "id%d", id),
            m = snprintf(source, sizeof source, "{\"value\":%d}", i);
        qd_buf_init(&b, NULL, 1 << 16);
        qd_engine_op op = {.delete = i % 9 == 0,
                           .id = {name, (size_t)n},
                           .source = {source, (size_t)m},
                           .version = -1,
                           .if_seq_no = QD_SEQ_NO_UNASSIGNED,
                           .auto_id_ms = -1,
                           .encoded = &b};
        assert_int_equal(qd_engine_apply(t->p.e, (uint32_t)me, &op, &res, NULL), 0);
        assert_int_equal(qd_engine_replicate(t->r.e, 1, qd_buf_view(&b), NULL, &at, NULL), 0);
        assert_int_equal(qd_engine_sync(t->p.e, &res.at, NULL), 0);
        assert_int_equal(qd_engine_sync(t->r.e, &at, NULL), 0);
        int64_t a = at_of(&t->p).persisted, c = at_of(&t->r).persisted;
        qd_engine_global_checkpoint_set(t->p.e, a < c ? a : c);
        qd_engine_global_checkpoint_set(t->r.e, a < c ? a : c);
        qd_buf_fini(&b);
    }
    atomic_fetch_sub(&t->running, 1);
}

static void told(void *arg, int64_t max_seq_no)
{
    traffic *t = arg;
    (void)max_seq_no;
    atomic_fetch_add(&t->published, 1);
}

static void publisher(void *arg)
{
    traffic *t = arg;
    while (atomic_load(&t->running) > 0) {
        assert_int_equal(qd_engine_refresh_start(t->p.e, NULL, NULL), 0);
        int rc = take_over(&t->p, &t->r, NULL);
        assert_true(rc == 0 || rc == QD_E_EXISTS);
        atomic_fetch_add(&t->installed, rc == 0);
    }
}

static void keeper(void *arg)
{
    traffic *t = arg;
    bool did;
    while (atomic_load(&t->running) > 0) {
        assert_int_equal(qd_engine_flush(t->p.e, false, NULL), 0);
        assert_int_equal(qd_engine_merge_step(t->p.e, &did, NULL), 0);
        assert_int_equal(qd_engine_flush(t->r.e, false, NULL), 0);
        assert_int_equal(qd_engine_global_checkpoint_sync(t->r.e, NULL), 0);
    }
}

static void a_copy_follows_under_load(void **state)
{
    (void)state;
    traffic *t = calloc(1, sizeof *t);
    qd_thread *thread[WRITERS + 2];
    side_make(&t->p, QD_ENGINE_PRIMARY, "0123456789abcdef");
    side_make(&t->r, QD_ENGINE_REPLICA, "0123456789abcdef");
    t->p.e->published = told;
    t->p.e->copies_arg = t;
    t->running = WRITERS;
    for (int i = 0; i < WRITERS + 2; i++) {
        void (*fn)(void *) = i < WRITERS ? writer : i == WRITERS ? publisher : keeper;
        assert_int_equal(qd_thread_start(qd_env_system(), "copies", fn, t, &thread[i], NULL), 0);
    }
    for (int i = 0; i < WRITERS + 2; i++) qd_thread_join(qd_env_system(), thread[i]);
    assert_int_equal(at_of(&t->p).persisted, WRITERS * WRITES - 1);
    assert_int_equal(at_of(&t->r).persisted, WRITERS * WRITES - 1);
    qd_engine_global_checkpoint_set(t->p.e, WRITERS * WRITES - 1);
    assert_int_equal(qd_engine_refresh(t->p.e, NULL), 0);
    int rc = take_over(&t->p, &t->r, NULL);
    assert_true(rc == 0 || rc == QD_E_EXISTS);
    assert_int_equal(at_of(&t->r).shown, WRITERS * WRITES - 1);
    for (int id = 0; id < 60 * WRITERS; id++) {
        qd_engine_doc a, b;
        int va, vb;
        assert_int_equal(get(t->p.e, id, false, &a, &va), get(t->r.e, id, false, &b, &vb));
        assert_int_equal(va, vb);
        assert_int_equal(a.seq_no, b.seq_no);
    }
    print_message("# %u publications, %u installed\n", t->published, t->installed);
    side_free(&t->p);
    side_free(&t->r);
    free(t);
}

int main(void)
{
    qd_log_level_set(NULL, QD_LOG_OFF);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operations_travel),
        cmocka_unit_test(a_gap_may_be_filled_between_two_readings),
        cmocka_unit_test(two_operations_of_one_number_are_damage),
        cmocka_unit_test(a_history_comes_in_order),
        cmocka_unit_test(a_refresh_waits_for_the_checkpoint),
        cmocka_unit_test(a_blocking_refresh_ends),
        cmocka_unit_test(a_publication_on_the_wire),
        cmocka_unit_test(another_history_is_replaced_as_a_whole),
        cmocka_unit_test(a_reset_leaves_nothing_to_retain),
        cmocka_unit_test(a_reset_does_not_go_back),
        cmocka_unit_test(leases_retain_operations),
        cmocka_unit_test(a_commit_point_leaves_no_hole_in_the_log),
        cmocka_unit_test(live_documents_have_names_of_their_term),
        cmocka_unit_test(errors_of_the_disk),
        cmocka_unit_test(power_is_lost_at_every_step),
        cmocka_unit_test(a_copy_follows_under_load),
    };
    return unit_run(tests);
}
