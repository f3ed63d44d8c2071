/*
 * stores_t.c: the front of two stores in memory, while the authority moves between them: nothing
 * is refused, done twice or left out; watches, sessions and candidates go on.
 */
#include "base/str.h"
#include "cluster/authority/handover.h"
#include "cluster/authority/stores.h"
#include "lib/coord_memory.h"
#include "plugin/op.h"
#include "runtime/sync.h"
#include "unit/unit.h"
#include <pthread.h>

#define MANY 60000 /* ms: never waited for that long */

static struct {
    coord_memory *m[2];
    qd_coord_store *s[2];
    qd_stores *stores;
    qd_coord_store *front;
    qd_handover *h;
} w;

static const char *const names[] = {"old", "new"};

static void put(qd_coord_store *s, const char *key, const char *value)
{
    qd_coord_change c = {QD_COORD_PUT, 0, qd_str_c(key), qd_str_c(value), 0};
    assert_int_equal(qd_coord_commit(s, NULL, 0, &c, 1, MANY, NULL, NULL, NULL), 0);
}

static int64_t held_ms;
static const char *uuid;

static void open_front(int first)
{
    qd_stores_config c = {.env = qd_env_system(),
                          .held_ms = held_ms,
                          .uuid = uuid,
                          .store = {w.s[first], w.s[!first]},
                          .name = {names[first], names[!first]}};
    assert_int_equal(qd_stores_open(&c, &w.stores, NULL), 0);
    w.front = qd_stores_front(w.stores);
}

static void begin(void)
{
    for (int i = 0; i < 2; i++) {
        qd_coord_config k = {.struct_size = sizeof k, .path = qd_str_c(names[i])};
        w.m[i] = coord_memory_make(qd_env_system(), names[i]);
        if (i) coord_memory_empty(w.m[i]);
        assert_int_equal(
            qd_coord_open(qd_env_system(), coord_memory_vtable(), NULL, &k, &w.s[i], NULL), 0);
    }
    put(w.s[0], "cluster/uuid", "u1");
    qd_handover_config c = {
        .env = qd_env_system(), .store = {w.s[0], w.s[1]}, .name = {names[0], names[1]}};
    assert_int_equal(qd_handover_open(&c, &w.h, NULL), 0);
    open_front(0);
}

static void end(void)
{
    qd_stores_close(w.stores);
    qd_handover_close(w.h);
    for (int i = 0; i < 2; i++) {
        qd_coord_close(w.s[i]);
        coord_memory_free(w.m[i]);
    }
}

static uint32_t state_of(int i)
{
    qd_coord_identity id;
    qd_coord_identity_get(w.s[i], &id);
    return id.state;
}

/* Turns until the store is in that state. */
static void drive_until(int i, uint32_t state)
{
    for (int k = 0; k < 100000 && state_of(i) != state; k++) {
        uint64_t again;
        assert_int_equal(qd_handover_turn(w.h, &again, NULL), 0);
    }
    assert_int_equal(state_of(i), state);
}

static void migrate(const char *to)
{
    int i = strcmp(to, names[1]) == 0;
    assert_int_equal(qd_handover_start(w.h, qd_str_c(to), NULL), 0);
    drive_until(i, QD_COORD_ACTIVE);
    drive_until(!i, QD_COORD_RETIRED);
}

static void step(int i, uint32_t action, uint64_t epoch, uint64_t new_epoch)
{
    qd_coord_authority a = {.action = action, .epoch = epoch, .new_epoch = new_epoch};
    assert_int_equal(qd_coord_authority_step(w.s[i], &a, MANY, NULL), 0);
}

/* --- clients --- */

typedef struct adder {
    qd_thread *thread;
    uint32_t done, failed;
    _Atomic bool stop;
} adder;

/* Counts one up, as often as it may: read, compare and set. */
static void add_up(void *arg)
{
    adder *a = arg;
    while (!atomic_load(&a->stop)) {
        qd_arena arena;
        qd_coord_list list;
        qd_arena_init(&arena, NULL, 0);
        int rc = qd_coord_read(w.front, QD_STR("counter"), false, MANY, &arena, &list, NULL);
        uint64_t value = 0, mod = 0;
        if (!rc && list.n) {
            memcpy(&value, list.at[0].value, sizeof value);
            mod = list.at[0].mod_revision;
        }
        qd_arena_fini(&arena);
        value++;
        qd_coord_compare was = {.key = QD_STR("counter"), .type = QD_COORD_CMP_MOD, .number = mod};
        qd_coord_change c = {
            QD_COORD_PUT, 0, QD_STR("counter"), {(const char *)&value, sizeof value}, 0};
        if (!rc) rc = qd_coord_commit(w.front, &was, 1, &c, 1, MANY, NULL, NULL, NULL);
        a->done += rc == 0;
        a->failed += rc && rc != QD_E_CONFLICT;
    }
}

typedef struct seen {
    qd_mutex lock;
    uint64_t revision, counter;
    uint32_t gaps, calls, compacted;
} seen;

static void on_events(void *arg, const qd_coord_event *events, uint32_t n, uint64_t revision,
                      int32_t rc)
{
    seen *x = arg;
    qd_mutex_lock(&x->lock);
    x->calls++;
    x->compacted += rc == QD_E_COMPACTED;
    if (rc == 0 && revision < x->revision) x->gaps++;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t value;
        if (!qd_str_is(events[i].kv.key, "counter")) continue;
        memcpy(&value, events[i].kv.value, sizeof value);
        if (value != x->counter + 1 || events[i].kv.mod_revision <= x->revision) x->gaps++;
        x->counter = value;
    }
    if (rc == 0) x->revision = revision;
    qd_mutex_unlock(&x->lock);
}

static uint64_t counter(void)
{
    qd_arena arena;
    qd_coord_list list;
    uint64_t value = 0;
    qd_arena_init(&arena, NULL, 0);
    assert_int_equal(qd_coord_read(w.front, QD_STR("counter"), false, MANY, &arena, &list, NULL),
                     0);
    if (list.n) memcpy(&value, list.at[0].value, sizeof value);
    qd_arena_fini(&arena);
    return value;
}

/* Until the watch has told so much. */
static void wait_seen(seen *x, uint64_t value)
{
    for (bool all = false; !all;) {
        qd_mutex_lock(&x->lock);
        all = x->counter >= value;
        qd_mutex_unlock(&x->lock);
        if (!all) qd_env_sleep_ns(qd_env_system(), 1000000);
    }
}

static void wait_current(int i)
{
    while (qd_stores_current(w.stores) != i) qd_env_sleep_ns(qd_env_system(), 1000000);
}

/* Clients count and a watch looks on, there and back. */
static void nothing_is_lost_or_refused(void **state)
{
    (void)state;
    begin();
    adder a[3] = {{.done = 0}};
    seen x = {.calls = 0};
    qd_coord_watch *watch;
    uint64_t session;
    qd_mutex_init(&x.lock);
    assert_int_equal(qd_coord_watch_open(w.front, QD_STR(""), 1, on_events, &x, &watch, NULL), 0);
    assert_int_equal(qd_coord_session_open(w.front, MANY, MANY, &session, NULL), 0);
    qd_coord_change mine = {QD_COORD_PUT, 0, QD_STR("mine"), QD_STR("x"), session};
    assert_int_equal(qd_coord_commit(w.front, NULL, 0, &mine, 1, MANY, NULL, NULL, NULL), 0);
    for (size_t i = 0; i < QD_COUNT_OF(a); i++)
        assert_int_equal(
            qd_thread_start(qd_env_system(), "adder", add_up, &a[i], &a[i].thread, NULL), 0);
    for (int round = 0; round < 4; round++) {
        migrate(names[round % 2 == 0]);
        wait_current(round % 2 == 0);
        uint64_t before = counter();
        wait_seen(&x, before + 20);
        assert_int_equal(qd_coord_session_keep(w.front, session, MANY, NULL), 0);
        assert_int_equal(qd_handover_finish(w.h, NULL), 0);
    }
    uint64_t sum = 0;
    for (size_t i = 0; i < QD_COUNT_OF(a); i++) {
        atomic_store(&a[i].stop, true);
        qd_thread_join(qd_env_system(), a[i].thread);
        sum += a[i].done;
        assert_int_equal(a[i].failed, 0);
    }
    assert_int_equal(counter(), sum);
    wait_seen(&x, sum);
    assert_int_equal(x.gaps, 0);
    assert_int_equal(x.compacted, 0);
    qd_coord_session_end(w.front, session);
    qd_coord_watch_end(w.front, watch);
    qd_mutex_fini(&x.lock);
    end();
}

/* A node that cannot see the store which is in charge for a while goes on where it was, once that
 * one is in charge again: the retired store has ended its watches. */
static void a_watch_goes_on_where_it_was(void **state)
{
    (void)state;
    begin();
    qd_stores_close(w.stores);
    seen x = {.calls = 0};
    qd_coord_watch *watch;
    qd_coord_store *hidden = w.s[1], *nothing;
    qd_coord_config k = {.struct_size = sizeof k, .path = QD_STR("nothing")};
    coord_memory *m = coord_memory_make(qd_env_system(), "nothing");
    coord_memory_empty(m);
    assert_int_equal(
        qd_coord_open(qd_env_system(), coord_memory_vtable(), NULL, &k, &nothing, NULL), 0);
    w.s[1] = nothing;
    open_front(0);
    w.s[1] = hidden;
    qd_mutex_init(&x.lock);
    assert_int_equal(qd_coord_watch_open(w.front, QD_STR(""), 0, on_events, &x, &watch, NULL), 0);
    migrate("new");
    assert_int_equal(qd_handover_finish(w.h, NULL), 0);
    migrate("old");
    uint64_t one = 1;
    qd_coord_change c = {QD_COORD_PUT, 0, QD_STR("counter"), {(const char *)&one, sizeof one}, 0};
    assert_int_equal(qd_coord_commit(w.front, NULL, 0, &c, 1, MANY, NULL, NULL, NULL), 0);
    for (bool told = false; !told;) {
        qd_mutex_lock(&x.lock);
        told = x.counter || x.compacted; /* it hears of it, or is told to read again */
        qd_mutex_unlock(&x.lock);
        if (!told) qd_env_sleep_ns(qd_env_system(), 1000000);
    }
    qd_coord_watch_end(w.front, watch);
    qd_mutex_fini(&x.lock);
    qd_stores_close(w.stores);
    w.stores = NULL;
    qd_coord_close(nothing);
    coord_memory_free(m);
    end();
}

/* --- elections --- */

typedef struct candidate {
    qd_coord_campaign *c;
    qd_coord_token token;
    _Atomic int32_t rc; /* 1: not yet */
} candidate;

static void on_ended(void *arg, int32_t rc, qd_coord_token token)
{
    candidate *k = arg;
    k->token = token;
    atomic_store(&k->rc, rc);
}

static void stand(candidate *k, uint64_t session)
{
    atomic_store(&k->rc, 1);
    assert_int_equal(qd_coord_campaign_start(w.front, QD_STR("e"), QD_STR("v"), session, on_ended,
                                             k, &k->c, NULL),
                     0);
}

static void wait_ended(candidate *k)
{
    while (atomic_load(&k->rc) == 1) qd_env_sleep_ns(qd_env_system(), 1000000);
    assert_int_equal(atomic_load(&k->rc), 0);
}

static void candidates_stand_again(void **state)
{
    (void)state;
    begin();
    candidate first, second;
    uint64_t session[2];
    for (int i = 0; i < 2; i++) {
        char key[8];
        snprintf(key, sizeof key, "n%d", i);
        assert_int_equal(qd_coord_session_open(w.front, MANY, MANY, &session[i], NULL), 0);
        qd_coord_change c = {QD_COORD_PUT, 0, qd_str_c(key), QD_STR("x"), session[i]};
        assert_int_equal(qd_coord_commit(w.front, NULL, 0, &c, 1, MANY, NULL, NULL, NULL), 0);
    }
    stand(&first, session[0]);
    wait_ended(&first);
    stand(&second, session[1]);
    migrate("new");
    wait_ended(&second); /* the place is free in the new store */
    assert_int_equal(second.token.epoch, 2);
    /* what the former one commits is refused */
    qd_coord_fence fence = {QD_STR("e"), first.token};
    qd_coord_change c = {QD_COORD_PUT, 0, QD_STR("k"), QD_STR("v"), 0};
    assert_int_equal(qd_coord_commit_as(w.front, &fence, NULL, 0, &c, 1, MANY, NULL, NULL, NULL),
                     QD_E_FENCED);
    fence.token = second.token;
    assert_int_equal(qd_coord_commit_as(w.front, &fence, NULL, 0, &c, 1, MANY, NULL, NULL, NULL),
                     0);
    qd_coord_campaign_end(w.front, first.c);
    qd_coord_campaign_end(w.front, second.c);
    /* one who waits can go, also when nobody is in charge */
    stand(&second, session[0]);
    step(1, QD_COORD_SEAL, 2, 0);
    qd_coord_campaign_end(w.front, second.c);
    assert_int_not_equal(atomic_load(&second.rc), 1);
    end();
}

/* --- one request by hand --- */

typedef struct call {
    qd_coord_txn t;
    qd_coord_change c;
    qd_latch latch;
} call;

static _Thread_local bool cancelling;
static _Atomic bool ended_within; /* a cancelled one ended within the call that cancels it */

static void call_done(qd_op *op, int32_t rc)
{
    if (cancelling) atomic_store(&ended_within, true);
    qd_latch_done(&((call *)op->user)->latch, rc);
}

static void send(call *k, const char *key, uint8_t id)
{
    qd_coord *handle;
    const qd_coord_vtable *vt = qd_coord_table(w.front, &handle);
    memset(k, 0, sizeof *k);
    k->c = (qd_coord_change){QD_COORD_PUT, 0, qd_str_c(key), QD_STR("v"), 0};
    k->t.changes = &k->c;
    k->t.nchanges = 1;
    k->t.id[0] = id;
    qd_latch_init(&k->latch, 1);
    qd_op_anywhere(&k->t.op, call_done, k);
    assert_int_equal(vt->txn(handle, &k->t), 0);
}

/* A change whose answer was lost, asked again when the authority has moved: it is done once. */
static void an_answer_that_was_lost_is_found(void **state)
{
    (void)state;
    begin();
    call k;
    coord_memory_off(w.m[0], true, true);
    send(&k, "once", 7);
    assert_int_equal(qd_latch_wait(&k.latch), QD_E_UNKNOWN_OUTCOME);
    coord_memory_off(w.m[0], false, false);
    migrate("new");
    wait_current(1);
    uint64_t before;
    qd_coord_identity id;
    qd_coord_identity_get(w.s[1], &id);
    before = id.revision;
    send(&k, "once", 7);
    assert_int_equal(qd_latch_wait(&k.latch), 0);
    assert_true(k.t.revision < before);
    qd_coord_identity_get(w.s[1], &id);
    assert_int_equal(id.revision, before);
    send(&k, "once", 8); /* another one is done */
    assert_int_equal(qd_latch_wait(&k.latch), 0);
    assert_int_equal(k.t.revision, before + 1);
    end();
}

static coord_memory_fault silent(void *arg, char kind, uint32_t action)
{
    (void)arg;
    (void)action;
    return kind == 't' ? COORD_MEMORY_SILENT : COORD_MEMORY_PASS;
}

/* A former store that does not say whether it knows a change is waited for once, for a moment. */
static void a_silent_former_store_is_not_waited_for(void **state)
{
    (void)state;
    begin();
    call k;
    migrate("new");
    wait_current(1);
    coord_memory_hook(w.m[0], silent, NULL);
    uint64_t began = qd_env_mono_ns(qd_env_system());
    for (uint8_t i = 1; i < 20; i++) {
        send(&k, "k", i);
        assert_int_equal(qd_latch_wait(&k.latch), 0);
    }
    assert_in_range((qd_env_mono_ns(qd_env_system()) - began) / 1000000, 0, 2000);
    coord_memory_hook(w.m[0], NULL, NULL);
    end();
}

/* What waits while the store is sealed goes on there when that is taken back. */
static void what_waits_goes_on_after_an_unseal(void **state)
{
    (void)state;
    begin();
    call k[2];
    step(0, QD_COORD_SEAL, 1, 0);
    send(&k[0], "a", 1);
    send(&k[1], "b", 2);
    step(0, QD_COORD_UNSEAL, 1, 3);
    assert_int_equal(qd_latch_wait(&k[0].latch), 0);
    assert_int_equal(qd_latch_wait(&k[1].latch), 0);
    assert_int_equal(qd_stores_current(w.stores), 0);
    /* and ends when the store is closed, or it is not wanted any more */
    qd_coord *handle;
    const qd_coord_vtable *vt = qd_coord_table(w.front, &handle);
    step(0, QD_COORD_SEAL, 3, 0);
    send(&k[0], "c", 3);
    send(&k[1], "d", 4);
    cancelling = true; /* perhaps under a lock that the end takes as well */
    vt->cancel(handle, &k[0].t.op);
    cancelling = false;
    assert_int_equal(qd_latch_wait(&k[0].latch), QD_E_CANCELLED);
    assert_false(atomic_load(&ended_within));
    qd_stores_close(w.stores);
    assert_int_equal(qd_latch_wait(&k[1].latch), QD_E_CLOSED);
    open_front(0);
    end();
}

/* A store that is sealed for ever: changes are refused with both names. */
static void a_blocked_move_says_so(void **state)
{
    (void)state;
    held_ms = 20;
    begin();
    qd_err err;
    qd_err_init(&err);
    step(0, QD_COORD_SEAL, 1, 0);
    qd_coord_change c = {QD_COORD_PUT, 0, QD_STR("k"), QD_STR("v"), 0};
    /* at once: it was kept for as long as it may wait, and is not tried again behind that */
    assert_int_equal(qd_coord_commit(w.front, NULL, 0, &c, 1, MANY, NULL, NULL, &err),
                     QD_E_NO_COORDINATION);
    assert_string_equal(err.details[0].key, QD_COORD_SEALED_STORE);
    assert_non_null(strstr(qd_err_reason(&err), "[old]"));
    assert_non_null(strstr(qd_err_reason(&err), "[new]"));
    qd_err_fini(&err);
    end();
    held_ms = 0;
}

/* A sealed store that was opened a moment ago: it looks as if it were in charge, until a read has
 * waited for what its log goes on to say. */
static _Atomic bool replayed;
static void replaying_identity(qd_coord *c, qd_coord_identity *out)
{
    coord_memory_vtable()->identity(c, out);
    if (!atomic_load(&replayed)) out->state = QD_COORD_ACTIVE;
}
static int32_t replaying_range(qd_coord *c, qd_coord_range *r)
{
    if (qd_str_is(r->key, "k")) atomic_store(&replayed, true);
    return coord_memory_vtable()->range(c, r);
}

static void a_read_that_meets_the_seal_is_not_answered(void **state)
{
    (void)state;
    held_ms = 20;
    uuid = "u1";
    begin();
    put(w.s[0], "k", "v");
    step(0, QD_COORD_SEAL, 1, 0);
    qd_stores_close(w.stores);
    qd_coord_vtable vt = *coord_memory_vtable();
    qd_coord_config c = {.struct_size = sizeof c, .path = qd_str_c(names[0])};
    qd_coord_store *own = w.s[0];
    vt.identity = replaying_identity;
    vt.range = replaying_range;
    atomic_store(&replayed, false);
    assert_int_equal(qd_coord_open(qd_env_system(), &vt, NULL, &c, &w.s[0], NULL), 0);
    open_front(0);
    qd_arena a;
    qd_coord_list list;
    qd_arena_init(&a, NULL, 0);
    assert_int_equal(qd_coord_read(w.front, QD_STR("k"), false, MANY, &a, &list, NULL),
                     QD_E_NO_COORDINATION);
    assert_true(atomic_load(&replayed));
    qd_arena_fini(&a);
    qd_stores_close(w.stores);
    qd_coord_close(w.s[0]);
    w.s[0] = own;
    open_front(0);
    end();
    uuid = NULL;
    held_ms = 0;
}

/* What a mirror holds is never shown, in whatever order the stores are named. */
static void a_mirror_is_no_state(void **state)
{
    (void)state;
    begin();
    step(1, QD_COORD_BEGIN_MIRROR, 0, 2);
    put(w.s[0], "k", "v");
    qd_stores_close(w.stores);
    uuid = "u1";
    open_front(1);
    qd_arena a;
    qd_coord_list list;
    qd_arena_init(&a, NULL, 0);
    assert_int_equal(qd_coord_read(w.front, QD_STR("k"), false, MANY, &a, &list, NULL), 0);
    assert_int_equal(list.n, 1);
    qd_arena_fini(&a);
    end();
    uuid = NULL;
}

/* The other store becomes active by itself, under epoch 9, with this cluster's uuid or another one.
 */
static void other_in_charge(const char *its_uuid)
{
    step(1, QD_COORD_BEGIN_MIRROR, 0, 9);
    qd_coord_event e = {
        QD_COORD_PUT, 0, {QD_STR("cluster/uuid"), (const uint8_t *)its_uuid, 2, 1, 1, 1, 0, 0}};
    qd_coord_import x = {.epoch = 9, .revision = 1, .events = &e, .nevents = 1};
    assert_int_equal(qd_coord_import_some(w.s[1], &x, MANY, NULL), 0);
    qd_coord_authority a = {.action = QD_COORD_ACTIVATE, .epoch = 9, .revision = 1};
    assert_int_equal(qd_coord_authority_step(w.s[1], &a, MANY, NULL), 0);
}

/* A change that comes while the store in charge is sealed waits for that one. */
static void stays(uint64_t epoch)
{
    call k;
    qd_coord_identity was, id;
    qd_coord_identity_get(w.s[1], &was);
    step(0, QD_COORD_SEAL, epoch, 0); /* so that it looks around */
    send(&k, "k", 1);
    step(0, QD_COORD_UNSEAL, epoch, epoch + 2);
    assert_int_equal(qd_latch_wait(&k.latch), 0);
    assert_int_equal(qd_stores_current(w.stores), 0);
    qd_coord_identity_get(w.s[1], &id);
    assert_int_equal(id.revision, was.revision);
}

/* A store of another cluster is not followed, however high its epoch. */
static void another_cluster_is_not_followed(void **state)
{
    (void)state;
    begin();
    put(w.front, "before", "x");
    other_in_charge("u2");
    stays(1);
    end();
}

/* Nor one of this cluster that was in charge before, as after a restore. */
static void an_older_epoch_is_not_followed(void **state)
{
    (void)state;
    begin();
    put(w.front, "before", "x");
    step(0, QD_COORD_SEAL, 1, 0);
    step(0, QD_COORD_UNSEAL, 1, 20);
    other_in_charge("u1");
    stays(20);
    end();
}

/* A watch that lags behind at the move is told to read again: a copy has no past. */
static void who_lags_behind_reads_again(void **state)
{
    (void)state;
    begin();
    put(w.front, "a", "1");
    migrate("new");
    wait_current(1);
    seen x = {.calls = 0};
    qd_coord_watch *watch;
    qd_mutex_init(&x.lock);
    assert_int_equal(qd_coord_watch_open(w.front, QD_STR(""), 1, on_events, &x, &watch, NULL), 0);
    for (bool told = false; !told;) {
        qd_mutex_lock(&x.lock);
        told = x.compacted == 1;
        qd_mutex_unlock(&x.lock);
    }
    qd_coord_watch_end(w.front, watch);
    qd_mutex_fini(&x.lock);
    end();
}

/* --- a store from afar --- */

static struct {
    pthread_mutex_t lock;
    qd_op *lost; /* the first look, until it is cancelled */
    uint32_t looks;
    pthread_cond_t looked;
} afar = {.lock = PTHREAD_MUTEX_INITIALIZER, .looked = PTHREAD_COND_INITIALIZER};

static int32_t afar_range(qd_coord *c, qd_coord_range *r)
{
    pthread_mutex_lock(&afar.lock);
    bool lose = (r->flags & QD_COORD_STALE) && afar.looks++ == 0;
    if (lose) afar.lost = &r->op;
    pthread_cond_broadcast(&afar.looked);
    pthread_mutex_unlock(&afar.lock);
    return lose ? 0 : coord_memory_vtable()->range(c, r);
}

static void afar_cancel(qd_coord *c, qd_op *op)
{
    pthread_mutex_lock(&afar.lock);
    bool lost = afar.lost == op;
    if (lost) afar.lost = NULL;
    pthread_mutex_unlock(&afar.lock);
    if (lost)
        qd_op_complete(op, QD_E_CANCELLED);
    else
        coord_memory_vtable()->cancel(c, op);
}

/* Waits until it was looked at so often; false: it is not within a minute. */
static bool afar_looks(uint32_t n)
{
    struct timespec until;
    int rc = 0;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += MANY / 1000;
    pthread_mutex_lock(&afar.lock);
    while (afar.looks < n && rc == 0) rc = pthread_cond_timedwait(&afar.looked, &afar.lock, &until);
    bool there = afar.looks >= n;
    pthread_mutex_unlock(&afar.lock);
    return there;
}

/* As its far end told last: it has no leader of its own. */
static void afar_without_leader(qd_coord *c, qd_coord_identity *out)
{
    coord_memory_vtable()->identity(c, out);
    out->connected = 0;
    if (!out->epoch) out->epoch = 1;
}

/* The other store, from afar, tells that of itself: it is looked at again and again. */
static void looked_at_again(void (*identity)(qd_coord *c, qd_coord_identity *out))
{
    begin();
    qd_stores_close(w.stores);
    qd_coord_vtable vt = *coord_memory_vtable();
    qd_coord_config k = {.struct_size = sizeof k, .path = qd_str_c(names[1])};
    qd_coord_store *near = w.s[1];
    vt.head.flags &= ~(uint32_t)QD_COORD_AUTHORITY;
    vt.range = afar_range;
    vt.cancel = afar_cancel;
    vt.identity = identity;
    afar.looks = 0;
    assert_int_equal(qd_coord_open(qd_env_system(), &vt, NULL, &k, &w.s[1], NULL), 0);
    open_front(0);
    assert_true(afar_looks(3));
    qd_stores_close(w.stores);
    qd_coord_close(w.s[1]);
    w.s[1] = near;
    open_front(0);
    end();
}

/* A look at the other store that is never answered is not the last one. */
static void a_look_that_is_lost_is_not_the_last(void **state)
{
    (void)state;
    looked_at_again(coord_memory_vtable()->identity);
}

/* Nor is one that told that nobody can be asked there. */
static void a_store_without_leader_is_looked_at_again(void **state)
{
    (void)state;
    looked_at_again(afar_without_leader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_lost_or_refused),
        cmocka_unit_test(a_watch_goes_on_where_it_was),
        cmocka_unit_test(candidates_stand_again),
        cmocka_unit_test(an_answer_that_was_lost_is_found),
        cmocka_unit_test(a_silent_former_store_is_not_waited_for),
        cmocka_unit_test(what_waits_goes_on_after_an_unseal),
        cmocka_unit_test(a_blocked_move_says_so),
        cmocka_unit_test(a_read_that_meets_the_seal_is_not_answered),
        cmocka_unit_test(a_mirror_is_no_state),
        cmocka_unit_test(another_cluster_is_not_followed),
        cmocka_unit_test(an_older_epoch_is_not_followed),
        cmocka_unit_test(who_lags_behind_reads_again),
        cmocka_unit_test(a_look_that_is_lost_is_not_the_last),
        cmocka_unit_test(a_store_without_leader_is_looked_at_again),
    };
    return unit_run(tests);
}
