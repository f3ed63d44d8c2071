/*
 * store_tool.c: the seeded load of store_load.h as a program, over storage-nvme from the build's
 * plugin folder, for power losses on real files.
 *
 *   store_tool PLUGINS run DIR HISTORY SEED COUNT [SEQ]   SEQ: the recorder's counter
 *   store_tool PLUGINS full DIR HISTORY SEED COUNT BALLAST   on a full disk: refusals are fine
 * until the file BALLAST is removed half-way store_tool PLUGINS check DIR HISTORY CUT exit 1 and a
 * line when something is lost
 */
#include "base/log.h"
#include "base/str.h"
#include "lib/store_load.h"
#include "store/tier.h"
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static uint64_t counter(void *arg)
{
    const _Atomic uint64_t *n = arg;
    return n ? *n : 0;
}

/* Where no recorder counts, each call is a step. */
static uint64_t count_calls(void *arg)
{
    return ++*(uint64_t *)arg;
}

static void *map_counter(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    void *p = fd < 0 ? MAP_FAILED : mmap(NULL, 8, PROT_READ, MAP_SHARED, fd, 0);
    if (fd >= 0) close(fd);
    return p == MAP_FAILED ? NULL : p;
}

static int fail(const char *what, qd_err *err)
{
    fprintf(stderr, "%s: %s\n", what, qd_err_reason(err));
    return 2;
}

static int run(qd_store *s, char **argv, int argc)
{
    void *seq = argc > 7 ? map_counter(argv[7]) : NULL;
    store_load *l = store_load_make(strtoull(argv[5], NULL, 10), counter, seq);
    int rc = store_load_run(l, s, strtoull(argv[6], NULL, 10));
    FILE *f = fopen(argv[4], "w");
    if (!f || store_load_save(l, f) || fclose(f)) rc = -1;
    store_load_free(l);
    return rc ? 2 : 0;
}

static int run_full(qd_store *s, char **argv)
{
    uint64_t count = strtoull(argv[6], NULL, 10), steps = 0;
    store_load *l = store_load_make(strtoull(argv[5], NULL, 10), count_calls, &steps);
    store_load_tolerate(l, true);
    int rc = store_load_run(l, s, count);
    uint64_t refused = store_load_tolerate(l, false);
    if (!rc && unlink(argv[7]) == 0) rc = store_load_run(l, s, count);
    printf("refused %" PRIu64 "\n", refused);
    if (rc) printf("failed: %s\n", qd_code_name(rc));
    FILE *f = fopen(argv[4], "w");
    if (!f || store_load_save(l, f) || fclose(f)) rc = -1;
    store_load_free(l);
    return rc ? 2 : 0;
}

static int check(qd_store *s, char **argv)
{
    char why[400];
    FILE *f = fopen(argv[4], "r");
    if (!f) return 2;
    store_load *l = store_load_make(0, NULL, NULL);
    store_load_read(l, f);
    fclose(f);
    int rc = store_load_check(l, s, strtoull(argv[5], NULL, 10), why, sizeof why);
    if (rc) printf("%s\n", why);
    store_load_free(l);
    return rc ? 1 : 0;
}

int main(int argc, char **argv)
{
    bool runs = argc >= 7 && strcmp(argv[2], "run") == 0;
    bool full = argc == 8 && strcmp(argv[2], "full") == 0;
    if (!runs && !full && !(argc == 6 && strcmp(argv[2], "check") == 0)) {
        fprintf(stderr, "usage: store_tool PLUGINS run|full|check DIR HISTORY ...\n");
        return 2;
    }
    qd_err err;
    qd_err_init(&err);
    qd_log_level_set(NULL, QD_LOG_OFF);
    qd_str allow = QD_STR("storage-nvme");
    qd_str folder = qd_str_c(argv[1]);
    qd_plugin_host_config c = {.env = qd_env_system(),
                               .paths = &folder,
                               .npaths = 1,
                               .build_tree = true,
                               .allow = &allow,
                               .nallow = 1,
                               .allow_unstable = true};
    qd_plugin_host *host;
    qd_store *s;
    if (qd_plugin_host_open(&c, &host, &err)) return fail("host", &err);
    if (qd_plugin_host_load(host, &err)) return fail("plugins", &err);
    if (qd_plugin_host_start(host, &err)) return fail("plugins", &err);
    if (qd_store_open_dir(host, qd_str_c(argv[3]), false, &s, &err)) return fail("tier", &err);
    int rc = runs ? run(s, argv, argc) : full ? run_full(s, argv) : check(s, argv);
    qd_store_close(s);
    qd_plugin_host_stop(host);
    qd_plugin_host_close(host);
    qd_err_fini(&err);
    return rc;
}
