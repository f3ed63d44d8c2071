/* conform_t.c: the storage kind's own suite over both implementations, in all their modes. */
#include "base/log.h"
#include "base/str.h"
#include "lib/store_crash.h"
#include "lib/store_dir.h"
#include "plugin/conform.h"
#include "unit/unit.h"

static void told(void *arg, const char *line)
{
    (void)arg;
    if (strncmp(line, "not ok", 6) == 0) print_error("%s\n", line);
}

static void run(const qd_storage_vtable *vt, qd_self *self, const char *folder,
                const qd_pair *options, uint32_t noptions)
{
    static qd_conform_run r;
    qd_conform_begin(&r, qd_env_system(), self, qd_str_c(folder), options, noptions, told, NULL);
    qd_conform_kind(&r, QD_KIND_STORAGE, "storage", vt);
    assert_true(r.tests > 25);
    assert_int_equal(qd_conform_end(&r), 0);
}

static void the_crashing_store(void **state)
{
    (void)state;
    static const store_crash_options modes[] = {
        {0}, {.copies = true}, {.copies = true, .late_us = 20}};
    for (size_t i = 0; i < QD_COUNT_OF(modes); i++) {
        store_crash *d = store_crash_make(&modes[i]);
        store_crash_serve(d);
        run(store_crash_vtable(d), NULL, "memory", NULL, 0);
        store_crash_serve(NULL);
        store_crash_free(d);
    }
}

static void storage_nvme(void **state)
{
    (void)state;
    static const qd_pair modes[][2] = {
        {{{"io_uring", 8}, {"true", 4}}, {{"direct_min", 10}, {"256mb", 5}}},
        {{{"io_uring", 8}, {"false", 5}}, {{"direct_min", 10}, {"16kb", 4}}},
    };
    for (size_t i = 0; i < QD_COUNT_OF(modes); i++) {
        store_dir *d = store_dir_make();
        qd_self *self;
        const qd_storage_vtable *vt = store_dir_vtable(d, &self);
        run(vt, self, store_dir_path(d), modes[i], 2);
        store_dir_free(d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_crashing_store),
        cmocka_unit_test(storage_nvme),
    };
    qd_log_level_set(NULL, QD_LOG_OFF);
    return unit_run(tests);
}
