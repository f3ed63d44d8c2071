/* store_dir.c: see store_dir.h. */
#include "lib/store_dir.h"
#include "base/str.h"
#include <ftw.h>
#include <quidditch/storage.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* plugins/storage-nvme, built with its entry renamed. */
const qd_plugin *qd_plugin_entry_storage_nvme(void);

struct store_dir {
    char path[256];
    qd_plugin_host *host;
    const char *point;
    _Atomic uint64_t at;
    int code;
};

static int32_t fault(void *arg, const char *plugin, const char *point)
{
    store_dir *d = arg;
    (void)plugin;
    if (!d->point || strcmp(point, d->point) != 0 || d->at == 0) return 0;
    return --d->at == 0 ? d->code : 0;
}

store_dir *store_dir_make(void)
{
    store_dir *d = calloc(1, sizeof *d);
    const char *base = getenv("TMPDIR");
    if (!d) abort();
    snprintf(d->path, sizeof d->path, "%s/qd-store-XXXXXX", base && *base ? base : "/tmp");
    qd_plugin_host_config c = {.env = qd_env_system(), .allow_unstable = true};
    qd_err err;
    qd_err_init(&err);
    int rc = mkdtemp(d->path) ? 0 : -1;
    if (!rc) rc = qd_plugin_host_open(&c, &d->host, &err);
    if (!rc) rc = qd_plugin_builtin(d->host, qd_plugin_entry_storage_nvme(), &err);
    if (!rc) rc = qd_plugin_host_load(d->host, &err);
    if (!rc) rc = qd_plugin_host_start(d->host, &err);
    if (rc) {
        fprintf(stderr, "store_dir: %s\n", qd_err_reason(&err));
        abort();
    }
    qd_plugin_host_fault(d->host, fault, d);
    qd_err_fini(&err);
    return d;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *f)
{
    (void)st, (void)type, (void)f;
    return remove(path);
}

void store_dir_free(store_dir *d)
{
    if (!d) return;
    qd_plugin_host_stop(d->host);
    qd_plugin_host_close(d->host);
    nftw(d->path, remove_one, 32, FTW_DEPTH | FTW_PHYS);
    free(d);
}

const char *store_dir_path(const store_dir *d)
{
    return d->path;
}
qd_plugin_host *store_dir_host(store_dir *d)
{
    return d->host;
}

int store_dir_open(store_dir *d, const char *const *options, uint64_t reserve, qd_store **out,
                   qd_err *err)
{
    qd_pair pairs[8];
    uint32_t n = 0;
    for (; options && options[2 * n] && n < 8; n++) {
        pairs[n] = (qd_pair){qd_str_c(options[2 * n]), qd_str_c(options[2 * n + 1])};
    }
    qd_store_tier tier = {.name = QD_STR("test"),
                          .path = qd_str_c(d->path),
                          .options = pairs,
                          .noptions = n,
                          .reserve = reserve};
    return qd_store_open(d->host, &tier, out, err);
}

const qd_storage_vtable *store_dir_vtable(store_dir *d, qd_self **self)
{
    return qd_plugin_find(d->host, QD_KIND_STORAGE, QD_STR("storage-nvme"), self);
}

void store_dir_fail_at(store_dir *d, const char *point, uint64_t n, int code)
{
    d->point = point;
    d->code = code;
    d->at = n;
}
