/*
 * memory_t.c: what a large cluster's state costs: 10,000 indices with 1,000 different mappings of
 * 20 KiB are held in less than 64 MiB, history and log included, also after a restart.
 */
#include "unit/lib/coord_rig.h"
#include "unit/unit.h"
#include <quidditch/plugin.h>

enum {
    INDICES = 10000,
    MAPPINGS = 1000,
    MAPPING_BYTES = 20 << 10,
    LIMIT = 64 << 20,
    TOGETHER = 20
};

static char keys[TOGETHER * 4][96], values[TOGETHER * 3][1024], mapping[MAPPING_BYTES + 512];
static uint32_t n;
static qd_coord_change changes[TOGETHER * 4];

static void put(const char *value, size_t len)
{
    changes[n] = (qd_coord_change){QD_COORD_PUT, 0, {keys[n], strlen(keys[n])}, {value, len}, 0};
    n++;
}

/* A mapping as applications have them: fields of some types under many names. */
static size_t mapping_make(int number)
{
    static const char *const types[] = {
        "{\"type\":\"keyword\",\"ignore_above\":256}", "{\"type\":\"long\"}",
        "{\"type\":\"text\",\"fields\":{\"raw\":{\"type\":\"keyword\"}}}",
        "{\"type\":\"date\",\"format\":\"strict_date_optional_time\"}"};
    static const char *const words[] = {"order",  "customer", "price",  "created",
                                        "status", "source",   "target", "amount",
                                        "region", "user",     "agent",  "payload"};
    uint32_t random = (uint32_t)number * 2654435761u + 1;
    size_t at = (size_t)snprintf(mapping, sizeof mapping, "{\"properties\":{");
    while (at < MAPPING_BYTES) {
        random = random * 1664525 + 1013904223;
        at += (size_t)snprintf(mapping + at, sizeof mapping - at, "\"%s_%s_%x\":%s,",
                               words[random >> 8 & 7], words[(random >> 12) % 12],
                               random >> 16 & 0xfff, types[random >> 28 & 3]);
    }
    return at;
}

static void hold_all(void **state)
{
    (void)state;
    rig *r = rig_make(1);
    char value[64];
    assert_int_equal(rig_start(r, 0, RIG_PEERS, 1, QD_COORD_OPEN_BOOTSTRAP), 0);
    assert_true(rig_settled(r));
    int64_t before = rig_memory();
    for (int i = 0; i < MAPPINGS; i++) {
        size_t len = mapping_make(i);
        n = 0;
        snprintf(keys[0], sizeof keys[0], "mapping/%064x", i);
        put(mapping, len);
        assert_int_equal(rig_txn(r, 0, changes, n, RIG_WAIT), 0);
    }
    for (int i = 0; i < INDICES;) {
        n = 0;
        for (int k = 0; k < TOGETHER; k++, i++) {
            snprintf(keys[n], sizeof keys[n], "index/%022d", i);
            int len =
                snprintf(values[3 * k], sizeof values[0],
                         "{\"name\":\"logs-application-%05d\",\"created\":17000000%05d,"
                         "\"settings\":{\"index.number_of_shards\":\"1\",\"index.number_of_"
                         "replicas\":\"1\",\"index.refresh_interval\":\"5s\",\"index.provided_"
                         "name\":\"logs-application-%05d\",\"index.uuid\":\"%022d\"},"
                         "\"aliases\":{\"logs\":{},\"logs-all\":{}},\"mapping\":\"%064x\"}",
                         i, i, i, i, i % MAPPINGS);
            put(values[3 * k], (size_t)len);
            snprintf(keys[n], sizeof keys[n], "name/logs-application-%05d", i);
            len = snprintf(values[3 * k + 1], sizeof values[0], "%022d", i);
            put(values[3 * k + 1], (size_t)len);
            snprintf(keys[n], sizeof keys[n], "shard/%022d/0", i);
            len = snprintf(values[3 * k + 2], sizeof values[0],
                           "{\"term\":1,\"primary\":\"%022d\",\"copies\":[{\"id\":\"%022d\","
                           "\"node\":\"%022d\",\"state\":\"STARTED\"},{\"id\":\"%022d\",\"node\":"
                           "\"%022d\",\"state\":\"STARTED\"}],\"in_sync\":[\"%022d\",\"%022d\"]}",
                           i, i, i % 30, i + 1, i % 29, i, i + 1);
            put(values[3 * k + 2], (size_t)len);
        }
        assert_int_equal(rig_txn(r, 0, changes, n, RIG_WAIT), 0);
    }
    int64_t full = rig_memory() - before;
    print_message("# %d indices, %d mappings of %d KiB: %.1f MiB\n", INDICES, MAPPINGS,
                  MAPPING_BYTES >> 10, (double)full / (1 << 20));
    assert_true(full < LIMIT);
    rig_stop(r, 0);
    before = rig_memory();
    assert_int_equal(rig_start(r, 0, RIG_PEERS, 1, QD_COORD_OPEN_BOOTSTRAP), 0);
    assert_true(rig_settled(r));
    int64_t again = rig_memory() - before;
    print_message("# after a restart: %.1f MiB\n", (double)again / (1 << 20));
    assert_true(again < LIMIT);
    assert_int_equal(
        rig_get(r, 0, "name/logs-application-09999", value, sizeof value, NULL, 0, 60000), 0);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(hold_all)};
    return unit_run(tests);
}
