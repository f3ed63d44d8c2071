/*
 * rows_t.c: the database of a master's records as a loss of power may have left it: sectors gone,
 * of another time, or cut off. It is taken whole, or removed with words about what is wrong, which
 * hold while SQLite gives back the memory that they came from; nothing is freed twice.
 */
#include "unit/unit.h"

#include "unit/coordination/heap.h"
#include <coordination-common/machine.h>
#include <coordination-raft/rows.h>
#include <ctype.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROWS 400
#define ROUNDS 300
#define SECTOR 512

/* --- memory that is not what it was once it is given back --- */

static void *poison_alloc(int n)
{
    int64_t *p = malloc((size_t)n + 16);
    if (p) *p = n;
    return p ? p + 2 : NULL;
}

static int poison_size(void *p)
{
    return p ? (int)((int64_t *)p)[-2] : 0;
}

static void poison_free(void *p)
{
    if (!p) return;
    memset(p, 0xdd, (size_t)poison_size(p));
    free((int64_t *)p - 2);
}

static void *poison_realloc(void *p, int n)
{
    void *next = poison_alloc(n);
    int had = poison_size(p);
    if (next) memcpy(next, p, (size_t)(had < n ? had : n));
    if (next) poison_free(p);
    return next;
}

static int round_up(int n)
{
    return (n + 7) & ~7;
}

static int begin_memory(void *arg)
{
    (void)arg;
    return SQLITE_OK;
}

static void end_memory(void *arg)
{
    (void)arg;
}

/* --- a database --- */

static char path[300];

static void say(void *arg, int32_t level, const char *line)
{
    (void)arg;
    (void)level;
    (void)line;
}

static int32_t take(void *arg, cr_item *row)
{
    ++*(int *)arg;
    cr_item_drop(row);
    return 0;
}

static int look(uint64_t *applied, char why[256])
{
    cr_rows *r;
    int n = 0;
    assert_int_equal(cr_rows_open(unit_heap(), path, take, &n, applied, why, say, NULL, &r), 0);
    cr_rows_close(r);
    return n;
}

static void make(void)
{
    cr_rows *r;
    uint64_t applied;
    char why[256], key[20], value[300];
    int n = 0;
    assert_int_equal(cr_rows_open(unit_heap(), path, take, &n, &applied, why, say, NULL, &r), 0);
    assert_int_equal(cr_rows_start(r), 0);
    for (int turn = 0; turn < 2; turn++) {
        cr_items rows = {0};
        for (int i = 0; i < ROWS; i++) {
            int k = snprintf(key, sizeof key, "key/%05d", i);
            memset(value, 'a' + (i + turn) % 26, sizeof value);
            cr_item *item = cr_item_make(unit_heap(), CR_ROW_KEY, (qd_str){key, (size_t)k},
                                         (qd_str){value, sizeof value});
            item->version = item->create_revision = item->mod_revision = (uint64_t)turn + 1;
            cr_items_push(unit_heap(), &rows, item);
        }
        cr_rows_push(r, &rows, (uint64_t)turn + 7, 0);
    }
    cr_rows_close(r);
}

typedef struct copy {
    uint8_t *p;
    size_t n;
} copy;

static copy read_file(void)
{
    struct stat st;
    copy c = {NULL, 0};
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    c.n = (size_t)st.st_size;
    c.p = malloc(c.n);
    assert_true(c.p && pread(fd, c.p, c.n, 0) == (ssize_t)c.n);
    close(fd);
    return c;
}

static void write_file(const copy *c)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0 && pwrite(fd, c->p, c->n, 0) == (ssize_t)c->n);
    close(fd);
}

static uint64_t rnd(uint64_t *x, uint64_t n)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x % n;
}

static void damage(copy *c, uint64_t seed)
{
    uint64_t x = seed * 0x9e3779b97f4a7c15ull | 1;
    for (uint64_t i = 0, n = 1 + rnd(&x, 4); i < n; i++) {
        size_t at = rnd(&x, c->n / SECTOR) * SECTOR;
        switch (rnd(&x, 4)) {
        case 0:
            memset(c->p + at, 0, SECTOR);
            break;
        case 1: /* of another place, or time */
            memcpy(c->p + at, c->p + rnd(&x, c->n / SECTOR) * SECTOR, SECTOR);
            break;
        case 2:
            c->p[at + rnd(&x, SECTOR)] ^= (uint8_t)(1u << rnd(&x, 8));
            break;
        default:
            c->n = at > SECTOR ? at : c->n;
        }
    }
}

static void what_a_loss_of_power_leaves(void **state)
{
    (void)state;
    uint64_t applied;
    char why[256];
    int damaged = 0, errors = 0;
    make();
    copy sound = read_file();
    assert_int_equal(look(&applied, why), ROWS);
    assert_int_equal(applied, 8);
    for (uint64_t seed = 1; seed <= unit_rounds(ROUNDS); seed++) {
        copy c = {malloc(sound.n), sound.n};
        memcpy(c.p, sound.p, sound.n);
        damage(&c, seed);
        write_file(&c);
        free(c.p);
        int n = look(&applied, why);
        for (const char *p = why; *p; p++)
            if (!isprint((unsigned char)*p)) fail_msg("seed %d: no words: %s", (int)seed, why);
        if (!applied) {
            damaged++;
            assert_true(*why);
            errors += strstr(why, "malformed") != NULL;
            assert_true(access(path, F_OK) != 0); /* removed */
        } else {
            assert_int_equal(n, ROWS);
        }
    }
    assert_true(damaged > (int)unit_rounds(ROUNDS) / 2 && errors > 0);
    free(sound.p);
    (void)unlink(path);
    unit_heap_check();
}

int main(void)
{
    static const sqlite3_mem_methods methods = {poison_alloc, poison_free, poison_realloc,
                                                poison_size,  round_up,    begin_memory,
                                                end_memory,   NULL};
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_a_loss_of_power_leaves)};
    char folder[] = "/tmp/qd-rows-XXXXXX";
    if (sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) != SQLITE_OK || !mkdtemp(folder)) return 1;
    snprintf(path, sizeof path, "%s/state.db", folder);
    int rc = unit_run(tests);
    (void)rmdir(folder);
    return rc;
}
