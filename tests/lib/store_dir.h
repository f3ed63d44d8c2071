/*
 * store_dir.h: storage-nvme over a real folder, for tests. The plugin's own sources are linked in
 * and registered as a built-in of a host of the test's own.
 */
#ifndef QD_TESTS_STORE_DIR_H
#define QD_TESTS_STORE_DIR_H

#include "store/tier.h"
#include <quidditch/storage.h>

typedef struct store_dir store_dir;

/* Makes a fresh folder below $TMPDIR (or /tmp) and a host; aborts when that fails. */
store_dir *store_dir_make(void);
/* Removes both; every store is closed. NULL is fine. */
void store_dir_free(store_dir *d);
/* The folder. */
const char *store_dir_path(const store_dir *d);
/* Opens the folder as a tier; options as in storage.tiers.*, ended by a NULL key; may be NULL. */
int store_dir_open(store_dir *d, const char *const *options, uint64_t reserve, qd_store **out,
                   qd_err *err);
/* A handle for suites over the vtable itself. */
const qd_storage_vtable *store_dir_vtable(store_dir *d, qd_self **self);
/* The host, for tests that go through it. */
qd_plugin_host *store_dir_host(store_dir *d);
/* The next n-th visit of a named point in the plugin ("storage.sync" …) fails with code; 0: off. */
void store_dir_fail_at(store_dir *d, const char *point, uint64_t n, int code);

#endif
