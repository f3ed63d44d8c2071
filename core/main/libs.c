/* libs.c: allocators of SQLite, OpenSSL and ICU. See libs.h. */
#include "main/libs.h"
#include "base/log.h"
#include "base/mem.h"
#include <limits.h>
#include <openssl/crypto.h>
#include <sqlite3.h>
#include <unicode/uclean.h>

static qd_account sqlite_account = {.name = "sqlite", .parent = &qd_account_root};
static qd_account openssl_account = {.name = "openssl", .parent = &qd_account_root};
static qd_account icu_account = {.name = "icu", .parent = &qd_account_root};

static void *sqlite_alloc(int n)
{
    return qd_alloc(&sqlite_account, (size_t)n);
}

static void *sqlite_realloc(void *p, int n)
{
    return qd_realloc(&sqlite_account, p, (size_t)n);
}

static int sqlite_size(void *p)
{
    return p ? (int)qd_alloc_size(p) : 0;
}

static int sqlite_round(int n)
{
    return n > INT_MAX - 7 ? n : (n + 7) & ~7;
}

static int sqlite_start(void *arg)
{
    (void)arg;
    return SQLITE_OK;
}

static void sqlite_end(void *arg)
{
    (void)arg;
}

static void *openssl_alloc(size_t n, const char *file, int line)
{
    (void)file;
    (void)line;
    return n ? qd_alloc(&openssl_account, n) : NULL;
}

static void *openssl_realloc(void *p, size_t n, const char *file, int line)
{
    (void)file;
    (void)line;
    if (n == 0) {
        qd_free(p);
        return NULL;
    }
    return qd_realloc(&openssl_account, p, n);
}

static void openssl_free(void *p, const char *file, int line)
{
    (void)file;
    (void)line;
    qd_free(p);
}

static void *icu_alloc(const void *context, size_t n)
{
    (void)context;
    return qd_alloc(&icu_account, n);
}

static void *icu_realloc(const void *context, void *p, size_t n)
{
    (void)context;
    return qd_realloc(&icu_account, p, n);
}

static void icu_free(const void *context, void *p)
{
    (void)context;
    qd_free(p);
}

void qd_libs_account_memory(void)
{
    static const sqlite3_mem_methods methods = {
        .xMalloc = sqlite_alloc,
        .xFree = qd_free,
        .xRealloc = sqlite_realloc,
        .xSize = sqlite_size,
        .xRoundup = sqlite_round,
        .xInit = sqlite_start,
        .xShutdown = sqlite_end,
    };
    UErrorCode status = U_ZERO_ERROR;
    u_setMemoryFunctions(NULL, icu_alloc, icu_realloc, icu_free, &status);
    if (U_FAILURE(status)) qd_log_warn("main", "memory of ICU is not accounted");
    if (sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) != SQLITE_OK)
        qd_log_warn("main", "memory of SQLite is not accounted");
    if (!CRYPTO_set_mem_functions(openssl_alloc, openssl_realloc, openssl_free))
        qd_log_warn("main", "memory of OpenSSL is not accounted");
}
