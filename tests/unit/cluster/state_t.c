/* state_t.c: a state shares with those before it what has not changed, and keeps none of them. */
#include "base/log.h"
#include "base/str.h"
#include "cluster/state/state.h"
#include "unit/unit.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const keys[] = {"settings/transient", "template/a", "graveyard/b",
                                   "disk/node-a"};

typedef struct changing {
    qd_map kv;
    qd_state_kv at[QD_COUNT_OF(keys)];
    char text[QD_COUNT_OF(keys)][64];
    uint64_t revision;
    qd_state *now;
} changing;

/* The next state: one key has changed. */
static void change(changing *c)
{
    qd_state *next;
    qd_state_changes changes;
    size_t i = c->revision++ % QD_COUNT_OF(keys);
    int n = snprintf(c->text[i], sizeof c->text[i], "{\"logger.x\":\"%s\"}",
                     c->revision & 8 ? "info" : "warn");
    c->at[i] = (qd_state_kv){.value = {c->text[i], (size_t)n}, .mod_revision = c->revision};
    assert_int_equal(qd_map_put(&c->kv, qd_str_c(keys[i]), &c->at[i], NULL), 0);
    qd_state_changes_init(&changes);
    qd_state_changes_add(&changes, qd_str_c(keys[i]));
    assert_int_equal(qd_state_build(&c->kv, c->revision, c->now, &changes, NULL, &next, NULL), 0);
    qd_state_changes_fini(&changes);
    qd_state_unref(c->now);
    c->now = next;
}

static void states_that_nobody_has_are_gone(void **state)
{
    (void)state;
    changing c = {0};
    qd_map_init(&c.kv, NULL);
    for (int i = 0; i < 64; i++) change(&c);
    int64_t used = qd_account_used(&qd_account_general);
    for (int i = 0; i < 6400; i++) change(&c);
    assert_in_range(qd_account_used(&qd_account_general), used - 4096, used + 4096);

    qd_state *held = c.now; /* one that somebody has stays as it was */
    (void)qd_state_ref(held);
    uint64_t revision = held->revision, buried = qd_state_buried(held, QD_STR("b"));
    for (int i = 0; i < 64; i++) change(&c);
    assert_int_equal(held->revision, revision);
    assert_int_equal(qd_state_buried(held, QD_STR("b")), buried);
    assert_int_equal(qd_state_document(held, QD_STR("template/a"))->mod_revision, revision - 2);
    qd_state_unref(held);
    qd_state_unref(c.now);
    qd_map_fini(&c.kv);
}

/* --- by differences ----------------------------------------------------------------------------
 */

#define INDICES 60u
#define ROUNDS 400u

static const char *const mappings[] = {"{}", "{\"properties\":{\"a\":{\"type\":\"keyword\"}}}"};
static const char *const alias_lists[] = {
    "{}", "{\"all\":{}}", "{\"all\":{\"is_write_index\":true},\"some\":{}}",
    "{\"some\":{\"is_hidden\":true}}", "{\"one\":{\"is_write_index\":false}}"};

typedef struct model {
    qd_map kv; /* key -> qd_state_kv, heap */
    qd_state_changes changes;
    uint64_t revision, seed;
    bool have[INDICES];
    uint32_t life[INDICES];
} model;

static uint32_t below(model *m, uint32_t n)
{
    m->seed = m->seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(m->seed >> 33) % n;
}

static void set(model *m, const char *key, const char *text) /* NULL: deletes it */
{
    qd_state_kv *old = NULL;
    if (text) {
        qd_state_kv *v = malloc(sizeof *v + strlen(text));
        char *bytes = (char *)(v + 1);
        memcpy(bytes, text, strlen(text));
        *v = (qd_state_kv){.mod_revision = ++m->revision, .value = {bytes, strlen(text)}};
        assert_int_equal(qd_map_put(&m->kv, qd_str_c(key), v, (void **)&old), 0);
    } else {
        m->revision++;
        old = qd_map_del(&m->kv, qd_str_c(key));
    }
    free(old);
    qd_state_changes_add(&m->changes, qd_str_c(key));
}

static void put_mapping(model *m, uint32_t which)
{
    char key[96] = "mapping/";
    qd_sha256_hex(qd_str_c(mappings[which]), key + 8);
    set(m, key, mappings[which]);
}

static void put_shard(model *m, const char *uuid, uint32_t number, uint32_t node)
{
    char key[64], text[256];
    snprintf(key, sizeof key, "shard/%s/%u", uuid, number);
    snprintf(text, sizeof text,
             "{\"state\":\"STARTED\",\"primary\":\"p%u\",\"node\":\"node-%u\","
             "\"primary_term\":%u,\"fresh\":false}",
             number, node, 1 + node);
    set(m, key, text);
}

static void put_index(model *m, const char *uuid, uint32_t i)
{
    char key[64], text[1024], hash[65], place[80] = "";
    qd_sha256_hex(qd_str_c(mappings[below(m, 2)]), hash);
    if (below(m, 3) == 0) { /* of a data stream */
        snprintf(place, sizeof place, ",\"data_stream\":{\"name\":\"stream-%u\",\"order\":%d}",
                 below(m, 2), (int)below(m, 9) - 4);
    }
    snprintf(key, sizeof key, "index/%s", uuid);
    /* now and then one that cannot be used */
    snprintf(text, sizeof text,
             "%s{\"name\":\"index-%u\",\"uuid\":\"%s\",\"created_ms\":1,\"closed\":%s,"
             "\"version\":1,\"mapping_version\":1,\"settings_version\":1,\"aliases_version\":1,"
             "\"mapping\":\"%s\",\"settings\":{\"index.number_of_shards\":\"2\","
             "\"index.number_of_replicas\":\"0\",\"index.write.wait_for_active_shards\":\"%u\"},"
             "\"aliases\":%s%s}",
             below(m, 12) ? "" : "?", i * 7 % INDICES, uuid, below(m, 5) ? "false" : "true", hash,
             below(m, 9) ? 1u : 2u, alias_lists[below(m, QD_COUNT_OF(alias_lists))], place);
    set(m, key, text);
}

static void step(model *m)
{
    char uuid[QD_UUID_TEXT], key[64];
    uint32_t i = below(m, INDICES), what = below(m, 10);
    if (what == 0) { /* a mapping, which may come behind its indices, and stays */
        put_mapping(m, below(m, 2));
        return;
    }
    if (what == 1) {
        snprintf(key, sizeof key, "graveyard/%u", below(m, 20));
        set(m, key, below(m, 2) ? "{}" : NULL);
        return;
    }
    bool dies = m->have[i] && what < 4;
    if (!m->have[i]) m->life[i]++;
    snprintf(uuid, sizeof uuid, "uuid-%06u-%010u", i, m->life[i]);
    if (!m->have[i] || what < 7) {
        snprintf(key, sizeof key, "index/%s", uuid);
        if (dies) {
            set(m, key, NULL);
        } else {
            put_index(m, uuid, i);
        }
    }
    for (uint32_t k = 0; k < 2; k++) {
        snprintf(key, sizeof key, "shard/%s/%u", uuid, k);
        if (dies) {
            set(m, key, NULL);
        } else if (!m->have[i] || below(m, 2)) {
            put_shard(m, uuid, k, below(m, 4));
        }
    }
    m->have[i] = !dies;
}

static int same_group(void *arg, const qd_pmap_entry *e)
{
    const qd_alias_group *x = qd_state_alias(arg, qd_pmap_key(e)), *y = e->value;
    assert_non_null(x);
    assert_int_equal(x->n, y->n);
    assert_int_equal(x->is_hidden, y->is_hidden);
    assert_int_equal(x->is_stream, y->is_stream);
    for (uint32_t i = 1; x->is_stream && i < x->n; i++)
        assert_true(x->indices[i - 1]->place.order <= x->indices[i]->place.order);
    if (x->is_stream) assert_ptr_equal(x->write_index, x->indices[x->n - 1]);
    assert_int_equal(x->write_index != NULL, y->write_index != NULL);
    if (x->write_index) assert_string_equal(x->write_index->uuid, y->write_index->uuid);
    for (uint32_t i = 0; i < x->n; i++) {
        assert_string_equal(x->indices[i]->uuid, y->indices[i]->uuid);
        assert_ptr_equal(x->indices[i], qd_state_index_uuid(arg, qd_str_c(x->indices[i]->uuid)));
    }
    return 0;
}

static int same_number(void *arg, const qd_pmap_entry *e)
{
    assert_ptr_equal(qd_pmap_get(arg, qd_pmap_key(e)), e->value);
    return 0;
}

static void same_numbers(const qd_pmap *x, const qd_pmap *y)
{
    assert_int_equal(x->n, y->n);
    (void)qd_pmap_each(y, same_number, (void *)(uintptr_t)x);
}

static int is_there(void *arg, const qd_pmap_entry *e)
{
    assert_non_null(qd_pmap_get(arg, qd_pmap_key(e)));
    return 0;
}

/* x was made by differences, y of nothing but the keys. */
static void same_state(const qd_state *x, const qd_state *y)
{
    assert_int_equal(x->n, y->n);
    for (uint32_t i = 0; i < x->n; i++) {
        const qd_index_meta *m = x->indices[i];
        assert_string_equal(m->uuid, y->indices[i]->uuid);
        assert_int_equal(m->mod_revision, y->indices[i]->mod_revision);
        assert_ptr_equal(qd_state_index(x, m->name), m);
        assert_ptr_equal(qd_state_index_uuid(x, qd_str_c(m->uuid)), m);
        assert_ptr_equal(qd_state_shards(x, m), x->shards[i]);
        for (uint32_t k = 0; k < m->shards; k++) {
            assert_int_equal(x->shards[i][k].mod_revision, y->shards[i][k].mod_revision);
            assert_ptr_equal(qd_state_shard(x, m, k), &x->shards[i][k]);
        }
    }
    assert_int_equal(x->names.n, x->n);
    assert_int_equal(x->uuids.n, x->n);
    assert_int_equal(x->aliases.n, y->aliases.n);
    (void)qd_pmap_each(&y->aliases, same_group, (void *)(uintptr_t)x);
    assert_int_equal(x->damaged.n, y->damaged.n);
    (void)qd_pmap_each(&y->damaged, is_there, (void *)(uintptr_t)&x->damaged);
    same_numbers(&x->uses, &y->uses);
    same_numbers(&x->held, &y->held);
    same_numbers(&x->mappings, &y->mappings);
    same_numbers(&x->buried, &y->buried);
    assert_int_equal(x->open_copies, y->open_copies);
    assert_int_equal(x->nwanting, y->nwanting);
}

typedef struct checking {
    const qd_state *old, *now;
    uint32_t n;
} checking;

static int check_difference(void *arg, const qd_state_difference *d)
{
    checking *c = arg;
    qd_str uuid = qd_str_c((d->is ? d->is : d->was)->uuid);
    assert_ptr_equal(d->was, qd_state_index_uuid(c->old, uuid));
    assert_ptr_equal(d->is, qd_state_index_uuid(c->now, uuid));
    assert_true(d->was != d->is || d->was_shards != d->is_shards);
    c->n++;
    return 0;
}

/* All that differs was told: what was not told is the same object. */
static void check_differences(const qd_state *old, const qd_state *now)
{
    checking c = {.old = old, .now = now};
    uint32_t n = 0;
    assert_int_equal(qd_state_diff(old, now, check_difference, &c), 0);
    for (uint32_t i = 0; i < now->n; i++) {
        const qd_index_meta *was = qd_state_index_uuid(old, qd_str_c(now->indices[i]->uuid));
        n += was != now->indices[i] || qd_state_shards(old, was) != now->shards[i];
    }
    for (uint32_t i = 0; i < old->n; i++)
        n += !qd_state_index_uuid(now, qd_str_c(old->indices[i]->uuid));
    assert_int_equal(c.n, n);
}

static qd_state *built(model *m, const qd_state *old, const qd_state_changes *changes)
{
    qd_state *s;
    assert_int_equal(qd_state_build(&m->kv, m->revision, old, changes, NULL, &s, NULL), 0);
    return s;
}

static void a_state_made_by_differences_is_the_whole_one(void **state)
{
    (void)state;
    model m = {.seed = 7};
    qd_state *first = NULL, *now;
    (void)qd_log_level_set(NULL, QD_LOG_OFF);
    qd_map_init(&m.kv, NULL);
    qd_state_changes_init(&m.changes);
    now = built(&m, NULL, NULL);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        uint32_t steps = round % 10 ? below(&m, 4) : below(&m, INDICES);
        for (uint32_t i = 0; i < steps; i++) step(&m);
        if (round % 50 == 49) m.changes.every = true;
        qd_state *next = built(&m, now, &m.changes), *whole = built(&m, NULL, NULL);
        same_state(next, whole);
        check_differences(now, next);
        if (round == 100) first = qd_state_ref(now);
        qd_state_changes_fini(&m.changes);
        qd_state_changes_init(&m.changes);
        qd_state_unref(whole);
        qd_state_unref(now);
        now = next;
    }
    check_differences(first, now);
    /* a want of memory anywhere leaves nothing behind, and the state before as it was */
    step(&m);
    int64_t used = qd_account_used(&qd_account_general);
    for (uint64_t nth = 1;; nth++) {
        qd_state *next = NULL;
        (void)qd_mem_fail_at(nth, true);
        int rc = qd_state_build(&m.kv, m.revision, now, &m.changes, NULL, &next, NULL);
        (void)qd_mem_fail_at(0, false);
        qd_state_unref(next);
        assert_int_equal(qd_account_used(&qd_account_general), used);
        if (!rc) break;
    }
    qd_state_unref(first);
    qd_state_unref(now);
    qd_state_changes_fini(&m.changes);
    size_t pos = 0;
    const qd_map_entry *e;
    while ((e = qd_map_next(&m.kv, &pos))) free(e->value);
    qd_map_fini(&m.kv);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(states_that_nobody_has_are_gone),
        cmocka_unit_test(a_state_made_by_differences_is_the_whole_one),
    };
    return unit_run(tests);
}
