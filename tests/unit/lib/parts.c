/* parts.c: see parts.h. */
#include "unit/lib/parts.h"
#include "lib/store_tamper.h"
#include "unit/unit.h"

static const uint8_t id[16] = {7, 7, 7};

void parts_begin(parts *x, bool copies)
{
    memset(x, 0, sizeof *x);
    qd_account_init(&x->account, "test", NULL, 0);
    qd_err_init(&x->err);
    qd_arena_init(&x->arena, &x->account, 0);
    x->disk = store_crash_make(&(store_crash_options){.copies = copies});
    x->seed = 42;
    assert_int_equal(store_crash_open(x->disk, &x->store, &x->err), 0);
}

void parts_end(parts *x)
{
    qd_arena_fini(&x->arena);
    qd_store_close(x->store);
    store_crash_free(x->disk);
    qd_err_fini(&x->err);
    assert_int_equal(qd_account_used(&x->account), 0);
}

void parts_ok(parts *x, int rc, const char *file, int line)
{
    if (rc == 0) return;
    print_error("%s:%d: %s: %s\n", file, line, qd_code_name(rc), qd_err_reason(&x->err));
    fail();
}

qd_file_writer *parts_create(parts *x, const char *name)
{
    qd_file_writer *w = NULL;
    OK(x,
       qd_file_create(x->store, qd_str_c(name), &QDI_SEGMENT_FORMAT, id, &x->account, &w, &x->err));
    return w;
}

qd_file *parts_open(parts *x, const char *name)
{
    qd_file *f = NULL;
    OK(x, qd_file_open(x->store, qd_str_c(name), &QDI_SEGMENT_FORMAT, &x->account, &f, &x->err));
    return f;
}

qd_reads *parts_reads(parts *x)
{
    qd_reads *r = qd_reads_make(&x->arena, &x->account);
    assert_non_null(r);
    return r;
}

void parts_tamper(parts *x, const char *from, const char *to, uint32_t section, uint64_t at,
                  uint8_t mask)
{
    qd_file *f = parts_open(x, from);
    store_tamper(x->store, f, qd_str_c(to), &QDI_SEGMENT_FORMAT, &(store_change){section, at, mask},
                 1, &x->account);
    qd_file_unref(f);
}

/* splitmix64 */
uint64_t parts_random(parts *x, uint64_t n)
{
    uint64_t z = x->seed += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    return n ? z % n : z;
}
