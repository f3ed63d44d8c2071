/*
 * handover_world.h: of handover_t.c: two stores in memory, a driver over them whose requests can be
 * made to fail, clients that write, and a model of what has to be there.
 */
#ifndef QD_TESTS_HANDOVER_WORLD_H
#define QD_TESTS_HANDOVER_WORLD_H

#include "cluster/authority/handover.h"
#include "lib/coord_memory.h"
#include "unit/unit.h"

#define KEYS 40
#define TURNS_MAX 4000

typedef struct world {
    coord_memory *m[2];
    qd_coord_store *s[2];
    qd_handover *h;
    char value[KEYS][48]; /* the model: "" is absent */
    uint64_t revision, epoch, numbers;
    uint64_t random;
    char wrong[200]; /* the first thing that was; empty: nothing */

    /* faults */
    uint32_t asked, strike; /* requests of the driver's; at which one it crashes, 0: none */
    coord_memory_fault fault;
    char kind; /* only at such a request, 0: at any */
    uint32_t action;
    bool crashed, off[2], client;
    bool survives; /* the request meets its fault, the driver goes on */
    size_t batch_bytes;
} world;

static world *w;
static const char *kept; /* a mirror is kept in this store */

static uint64_t rnd(uint64_t n)
{
    w->random ^= w->random << 13;
    w->random ^= w->random >> 7;
    w->random ^= w->random << 17;
    return w->random % n;
}

static void QD_PRINTF(1, 2) wrong(const char *fmt, ...)
{
    va_list ap;
    if (w->wrong[0]) return;
    va_start(ap, fmt);
    vsnprintf(w->wrong, sizeof w->wrong, fmt, ap);
    va_end(ap);
}

static void identity(int i, qd_coord_identity *id)
{
    qd_coord_identity_get(w->s[i], id);
}

static uint32_t state_of(int i)
{
    qd_coord_identity id;
    identity(i, &id);
    return id.state;
}

static uint64_t epoch_in(int i)
{
    qd_coord_identity id;
    identity(i, &id);
    return id.epoch;
}

/* --- faults --- */

static coord_memory_fault ask(int i, char kind, uint32_t action)
{
    if (w->client) return COORD_MEMORY_PASS;
    if (w->crashed || w->off[i]) return COORD_MEMORY_OFF;
    if (w->kind && (w->kind != kind || w->action != action)) return COORD_MEMORY_PASS;
    if (++w->asked != w->strike) return COORD_MEMORY_PASS;
    w->strike = 0;
    w->crashed = !w->survives;
    return w->fault;
}
static coord_memory_fault ask_first(void *arg, char kind, uint32_t action)
{
    (void)arg;
    return ask(0, kind, action);
}
static coord_memory_fault ask_second(void *arg, char kind, uint32_t action)
{
    (void)arg;
    return ask(1, kind, action);
}

/* What becomes of the next step of that kind, and whether the driver lives on. */
static void next_step(uint32_t action, coord_memory_fault fault, bool survives)
{
    w->kind = 'a';
    w->action = action;
    w->strike = 1;
    w->asked = 0;
    w->fault = fault;
    w->survives = survives;
}

/* --- the world --- */

static void driver_open(void)
{
    qd_handover_config c = {.env = qd_env_system(),
                            .store = {w->s[0], w->s[1]},
                            .name = {"old", "new"},
                            .timeout_ms = 1, /* no second try: it would be the same process */
                            .batch_bytes = w->batch_bytes,
                            .keep = kept};
    assert_int_equal(qd_handover_open(&c, &w->h, NULL), 0);
}

static void restart(void)
{
    w->client = true;
    qd_handover_close(w->h);
    w->client = w->crashed = false;
    w->strike = 0;
    w->kind = 0;
    driver_open();
}

static void put(int i, int k, const char *text);

static world *make_world(uint64_t seed)
{
    static const char *const names[] = {"old", "new"};
    w = calloc(1, sizeof *w);
    w->random = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
    w->batch_bytes = 200;
    for (int i = 0; i < 2; i++) {
        qd_coord_config k = {.struct_size = sizeof k, .path = qd_str_c(names[i])};
        w->m[i] = coord_memory_make(qd_env_system(), names[i]);
        if (i) coord_memory_empty(w->m[i]);
        assert_int_equal(
            qd_coord_open(qd_env_system(), coord_memory_vtable(), NULL, &k, &w->s[i], NULL), 0);
        coord_memory_hook(w->m[i], i ? ask_second : ask_first, NULL);
    }
    w->client = true;
    qd_coord_change uuid = {QD_COORD_PUT, 0, QD_STR("cluster/uuid"), QD_STR("u1"), 0};
    assert_int_equal(qd_coord_commit(w->s[0], NULL, 0, &uuid, 1, 1000, &w->revision, NULL, NULL),
                     0);
    w->client = false;
    for (int k = 0; k < KEYS / 2; k++) put(0, k, NULL);
    driver_open();
    return w;
}

static void free_world(void)
{
    w->client = true;
    qd_handover_close(w->h);
    for (int i = 0; i < 2; i++) {
        qd_coord_close(w->s[i]);
        coord_memory_free(w->m[i]);
    }
    free(w);
    w = NULL;
}

/* --- clients and checks --- */

/* One change by a client; whether the store took it. text "": a deletion; NULL: a new value. */
static bool change(int i, int k, const char *text)
{
    char key[16], value[48];
    uint64_t revision;
    snprintf(key, sizeof key, "key/%02d", k);
    snprintf(value, sizeof value, "%s%llu", text ? text : "value number ",
             (unsigned long long)++w->numbers);
    bool gone = text && !*text;
    qd_coord_change c = {.type = gone ? QD_COORD_DELETE : QD_COORD_PUT,
                         .key = qd_str_c(key),
                         .value = qd_str_c(value)};
    bool client = w->client;
    w->client = true;
    int rc = qd_coord_commit(w->s[i], NULL, 0, &c, 1, 1000, &revision, NULL, NULL);
    w->client = client;
    if (rc) return false;
    if (revision < w->revision || (!gone && revision == w->revision))
        wrong("revision %llu after %llu", (unsigned long long)revision,
              (unsigned long long)w->revision);
    w->revision = revision;
    snprintf(w->value[k], sizeof w->value[k], "%s", gone ? "" : value);
    return true;
}

static void put(int i, int k, const char *text)
{
    (void)change(i, k, text);
}

static void check_keys(int i)
{
    qd_arena a;
    qd_coord_list list;
    int there = 0;
    qd_arena_init(&a, NULL, 0);
    w->client = true;
    assert_int_equal(qd_coord_read(w->s[i], QD_STR("key/"), true, 1000, &a, &list, NULL), 0);
    w->client = false;
    for (int k = 0; k < KEYS; k++) there += w->value[k][0] != 0;
    if ((int)list.n != there) wrong("%u keys, %d were committed", list.n, there);
    for (uint32_t x = 0; x < list.n; x++) {
        int k = atoi(list.at[x].key.p + 4);
        if (list.at[x].value_len != strlen(w->value[k]) ||
            memcmp(list.at[x].value, w->value[k], list.at[x].value_len) != 0)
            wrong("key %d is not as committed", k);
    }
    qd_arena_fini(&a);
}

static void check(void)
{
    qd_coord_identity id[2];
    for (int i = 0; i < 2; i++) identity(i, &id[i]);
    if (id[0].state == QD_COORD_ACTIVE && id[1].state == QD_COORD_ACTIVE) wrong("two are active");
    for (int i = 0; i < 2; i++) {
        if (id[i].state != QD_COORD_ACTIVE) continue;
        if (id[i].epoch < w->epoch) wrong("epoch %d fell", (int)id[i].epoch);
        w->epoch = id[i].epoch;
        check_keys(i);
    }
}

/* Clients try both stores: at most one takes it. */
static void clients(void)
{
    int k = (int)rnd(KEYS);
    const char *text = rnd(4) ? NULL : "";
    bool first = change(0, k, text), second = change(1, k, text);
    if (first && second) wrong("both stores took a change");
    check();
}

static int turn(void)
{
    uint64_t again;
    int rc = qd_handover_turn(w->h, &again, NULL);
    if (w->crashed) restart();
    check();
    return rc;
}

static bool settled(void)
{
    qd_handover_status s;
    qd_handover_status_get(w->h, &s);
    return (s.step == QD_HANDOVER_NONE || s.step == QD_HANDOVER_DONE) &&
           state_of(0) != QD_COORD_SEALED && state_of(1) != QD_COORD_SEALED;
}

/* Turns until nothing is left to do. */
static void settle(void)
{
    for (int i = 0; i < TURNS_MAX && !w->wrong[0]; i++) {
        (void)turn();
        if (settled()) return;
    }
    if (!w->wrong[0]) wrong("it does not come to an end");
}

/* Turns until a step is reached. */
static void until(int i, uint32_t state)
{
    for (int k = 0; k < TURNS_MAX && state_of(i) != state; k++) (void)turn();
    assert_int_equal(state_of(i), state);
}

static int start(const char *to)
{
    return qd_handover_start(w->h, qd_str_c(to), NULL);
}

static void is_sound(void)
{
    if (w->wrong[0]) fail_msg("%s", w->wrong);
}

static qd_handover_status status(void)
{
    qd_handover_status s;
    qd_handover_status_get(w->h, &s);
    return s;
}

static int raw(int i, uint32_t action, uint64_t epoch, uint64_t new_epoch)
{
    qd_coord_authority a = {.action = action, .epoch = epoch, .new_epoch = new_epoch};
    w->client = true;
    int rc = qd_coord_authority_step(w->s[i], &a, 1, NULL);
    w->client = false;
    return rc;
}

/* What the operator is told does not matter. */
static void wish(int rc)
{
    (void)rc;
}

#endif
