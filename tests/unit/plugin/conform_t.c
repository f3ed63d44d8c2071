/*
 * conform_t.c: the conformance suites over implementations at hand: the tier in memory that the
 * engine's tests use, mapped and copying, and a plugin from a file. The suites must also be able to
 * fail: broken variants of the tier are caught.
 */
#include "base/log.h"
#include "base/str.h"
#include "lib/coord_memory.h"
#include "lib/store_crash.h"
#include "plugin/conform.h"
#include "unit/unit.h"
#include <sys/stat.h>
#include <unistd.h>

static store_crash *disk;

static int32_t open_disk(qd_self *self, const qd_storage_config *config, qd_storage **out,
                         qd_err *err)
{
    (void)self;
    (void)config;
    (void)err;
    *out = store_crash_handle(disk);
    return *out ? 0 : QD_E_NOMEM;
}

static void show(void *arg, const char *text)
{
    qd_buf *all = arg;
    qd_buf_printf(all, "%s\n", text);
}

static uint32_t run_suite(uint32_t kind, const char *name, const void *vt, qd_self *self,
                          qd_buf *out)
{
    qd_conform_run run;
    qd_buf_init(out, NULL, 1 << 20);
    qd_conform_begin(&run, qd_env_system(), self, QD_STR("/nowhere"), NULL, 0, show, out);
    qd_conform_kind(&run, kind, name, vt);
    return qd_conform_end(&run);
}

static void check_disk(const store_crash_options *options)
{
    disk = store_crash_make(options);
    qd_storage_vtable vt = *store_crash_vtable(disk);
    vt.open = open_disk;
    qd_buf out;
    uint32_t failures = run_suite(QD_KIND_STORAGE, "memory", &vt, NULL, &out);
    if (failures) print_message("%s", out.p);
    assert_int_equal(failures, 0);
    qd_buf_fini(&out);
    store_crash_free(disk);
}

static void memory_tier_conforms(void **state)
{
    (void)state;
    check_disk(NULL);
}

static void copying_tier_conforms(void **state)
{
    (void)state;
    check_disk(&(store_crash_options){.copies = true, .late_us = 50});
}

static void memory_coordination_conforms(void **state)
{
    (void)state;
    coord_memory *store = coord_memory_make(qd_env_system(), "/nowhere");
    coord_memory *second = coord_memory_make(qd_env_system(), "/nowhere/mirror");
    coord_memory_empty(second);
    qd_buf out;
    uint32_t failures =
        run_suite(QD_KIND_COORDINATION, "memory", coord_memory_vtable(), NULL, &out);
    if (failures) print_message("%s", out.p);
    assert_int_equal(failures, 0);
    qd_buf_fini(&out);
    coord_memory_free(store);
    coord_memory_free(second);
}

/* --- variants with one defect each --- */

static qd_storage_vtable sound;

static int32_t commit_twice_ok(qd_storage *st, qd_str name, uint64_t size, qd_storage_put **out,
                               qd_err *err)
{
    (void)sound.remove(st, name, NULL); /* replaces what must not be replaced */
    return sound.put_begin(st, name, size, out, err);
}

static int32_t short_reads(qd_storage_object *o, qd_storage_read *r)
{
    qd_storage_range one = r->ranges[0];
    if (r->nranges == 1) return sound.read_v(o, r);
    (void)one;
    r->nranges--; /* forgets the last range */
    return sound.read_v(o, r);
}

static int32_t list_backwards(qd_storage *st, qd_str prefix,
                              int32_t (*each)(void *, const qd_storage_stat *), void *arg,
                              qd_err *err)
{
    (void)prefix;
    return sound.list(st, QD_STR(""), each, arg, err);
}

static int32_t forgetful_truncate(qd_storage_log *log, uint64_t len, qd_err *err)
{
    (void)log;
    (void)len;
    (void)err;
    return 0;
}

/* A broken tier makes the suite give up with files open: LeakSanitizer is not to count them. */
void __lsan_disable(void) __attribute__((weak));
void __lsan_enable(void) __attribute__((weak));

static void caught(void (*breakit)(qd_storage_vtable *))
{
    if (__lsan_disable) __lsan_disable();
    disk = store_crash_make(NULL);
    sound = *store_crash_vtable(disk);
    sound.open = open_disk;
    qd_storage_vtable vt = sound;
    breakit(&vt);
    qd_buf out;
    assert_true(run_suite(QD_KIND_STORAGE, "broken", &vt, NULL, &out) > 0);
    qd_buf_fini(&out);
    if (__lsan_enable) __lsan_enable();
}

static void break_put(qd_storage_vtable *vt)
{
    vt->put_begin = commit_twice_ok;
}
static void break_read(qd_storage_vtable *vt)
{
    vt->read_v = short_reads;
}
static void break_list(qd_storage_vtable *vt)
{
    vt->list = list_backwards;
}
static void break_truncate(qd_storage_vtable *vt)
{
    vt->log_truncate = forgetful_truncate;
}

static void broken_tiers_are_caught(void **state)
{
    (void)state;
    caught(break_put);
    caught(break_read);
    caught(break_list);
    caught(break_truncate);
}

static int32_t txn_without_compares(qd_coord *c, qd_coord_txn *t)
{
    t->ncompares = 0;
    return coord_memory_vtable()->txn(c, t);
}

static int32_t txn_without_id(qd_coord *c, qd_coord_txn *t)
{
    qd_env_random(qd_env_system(), t->id, sizeof t->id);
    return coord_memory_vtable()->txn(c, t);
}

static int32_t txn_without_token(qd_coord *c, qd_coord_txn *t)
{
    t->token.term = 0;
    return coord_memory_vtable()->txn(c, t);
}

static int32_t range_without_limit(qd_coord *c, qd_coord_range *r)
{
    r->limit = 0;
    return coord_memory_vtable()->range(c, r);
}

/* Each breach of the contract is found by the test that is about it. */
static void broken_stores_are_caught(void **state)
{
    (void)state;
    static const struct {
        int32_t (*txn)(qd_coord *c, qd_coord_txn *t);
        int32_t (*range)(qd_coord *c, qd_coord_range *r);
        const char *found;
    } cases[] = {
        {txn_without_compares, NULL, "compares guard changes"},
        {txn_without_id, NULL, "request ids work once"},
        {txn_without_token, NULL, "elections hand out rising terms"},
        {NULL, range_without_limit, "ranges are sorted and cut"},
    };
    if (__lsan_disable) __lsan_disable(); /* a failed test keeps its results */
    for (size_t i = 0; i < QD_COUNT_OF(cases); i++) {
        coord_memory *store = coord_memory_make(qd_env_system(), "/nowhere");
        coord_memory *second = coord_memory_make(qd_env_system(), "/nowhere/mirror");
        coord_memory_empty(second);
        qd_coord_vtable vt = *coord_memory_vtable();
        if (cases[i].txn) vt.txn = cases[i].txn;
        if (cases[i].range) vt.range = cases[i].range;
        qd_buf out;
        char line[128], *at;
        assert_true(run_suite(QD_KIND_COORDINATION, "broken", &vt, NULL, &out) > 0);
        at = strstr(out.p, cases[i].found);
        assert_non_null(at);
        while (at > out.p && at[-1] != '\n') at--;
        snprintf(line, sizeof line, "%.6s", at);
        assert_string_equal(line, "not ok");
        qd_buf_fini(&out);
        coord_memory_free(store);
    }
    if (__lsan_enable) __lsan_enable();
}

static void a_filter_from_a_file_conforms(void **state)
{
    (void)state;
    qd_str name = QD_STR("toy-good"), folder = QD_STR(TOY_DIR);
    qd_plugin_host *h;
    qd_plugin_host_config config = {.env = qd_env_system(),
                                    .paths = &folder,
                                    .npaths = 1,
                                    .build_tree = true,
                                    .allow = &name,
                                    .nallow = 1};
    qd_log_level_set(NULL, QD_LOG_OFF);
    assert_int_equal(qd_plugin_host_open(&config, &h, NULL), 0);
    assert_int_equal(qd_plugin_host_load(h, NULL), 0);
    qd_self *self;
    const void *vt = qd_plugin_find(h, QD_KIND_TOKEN_FILTER, name, &self);
    assert_non_null(vt);
    qd_buf out;
    uint32_t failures = run_suite(QD_KIND_TOKEN_FILTER, "toy-good", vt, self, &out);
    /* The toy takes any option: the suite says so, and nothing else. */
    assert_int_equal(failures, 1);
    assert_non_null(strstr(out.p, "not ok 4 - unknown options are refused"));
    qd_buf_fini(&out);
    qd_plugin_host_close(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_tier_conforms),
        cmocka_unit_test(copying_tier_conforms),
        cmocka_unit_test(memory_coordination_conforms),
        cmocka_unit_test(broken_tiers_are_caught),
        cmocka_unit_test(broken_stores_are_caught),
        cmocka_unit_test(a_filter_from_a_file_conforms),
    };
    return unit_run(tests);
}
