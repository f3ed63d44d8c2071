/* rows.c: see rows.h. */
#include "rows.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <time.h>
#include <unistd.h>

#define BACKLOG_MAX 65536u /* rows handed over and not yet written */
#define GATHER_MAX 4096u   /* rows that are written at once; fewer wait for company: */
#define GATHER_NS 250000000
#define FORMAT 2

typedef struct batch {
    struct batch *next;
    cr_items rows;
    uint64_t applied;
    int replaced;
} batch;

struct cr_rows {
    const cr_heap *heap;
    char path[4096];
    void (*say)(void *arg, int32_t level, const char *line);
    void *say_arg;
    sqlite3 *db;
    sqlite3_stmt *find, *put, *del;
    uint64_t count, sums; /* of all rows */
    int broken, started;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t work, room;
    batch *first, *last;
    size_t backlog;
    int gathering; /* the writer waits for company: one batch more does not wake it */
    int stop;
};

static void remove_files(const char *path)
{
    static const char *const tails[] = {"", "-wal", "-shm", "-journal"};
    char name[4200];
    for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
        snprintf(name, sizeof name, "%s%s", path, tails[i]);
        (void)unlink(name);
    }
}

static void shut(cr_rows *r)
{
    sqlite3_finalize(r->find);
    sqlite3_finalize(r->put);
    sqlite3_finalize(r->del);
    r->find = r->put = r->del = NULL;
    if (r->db) sqlite3_close(r->db);
    r->db = NULL;
}

void cr_rows_discard(cr_rows *r)
{
    shut(r);
    remove_files(r->path);
    r->count = r->sums = 0;
}

static int run(cr_rows *r, const char *sql)
{
    return sqlite3_exec(r->db, sql, NULL, NULL, NULL);
}

/* Opens or makes the database with its tables and statements. */
static int prepare(cr_rows *r)
{
    int fd = open(r->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600); /* its mode */
    if (fd >= 0) close(fd);
    int rc = sqlite3_open_v2(r->path, &r->db,
                             SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
                                 SQLITE_OPEN_NOFOLLOW,
                             NULL);
    if (rc == SQLITE_OK) rc = sqlite3_extended_result_codes(r->db, 1);
    if (rc == SQLITE_OK)
        rc = run(r, "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL;"
                    "PRAGMA synchronous=NORMAL; PRAGMA temp_store=MEMORY;"
                    "PRAGMA cache_size=-1024; PRAGMA journal_size_limit=4194304");
    if (rc == SQLITE_OK)
        rc = run(r, "BEGIN IMMEDIATE;"
                    "CREATE TABLE IF NOT EXISTS row(kind INTEGER NOT NULL, key BLOB NOT NULL,"
                    " created INTEGER NOT NULL, revision INTEGER NOT NULL, version INTEGER NOT"
                    " NULL, session INTEGER NOT NULL, value BLOB NOT NULL, sum INTEGER NOT NULL,"
                    " unpacked INTEGER NOT NULL,"
                    " UNIQUE(kind, key)); COMMIT");
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(r->db, "SELECT sum FROM row WHERE kind=?1 AND key=?2", -1, &r->find,
                                NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(r->db,
                                "INSERT OR REPLACE INTO row VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9)", -1,
                                &r->put, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(r->db, "DELETE FROM row WHERE kind=?1 AND key=?2", -1, &r->del,
                                NULL);
    return rc;
}

/* --- reading --- */

static qd_str column(sqlite3_stmt *s, int i)
{
    int n = sqlite3_column_bytes(s, i);
    const void *p = sqlite3_column_blob(s, i);
    return (qd_str){p ? p : "", p && n > 0 ? (size_t)n : 0};
}

/* The row a statement stands on; NULL when its sum is wrong. */
static cr_item *row_read(const cr_heap *h, sqlite3_stmt *s)
{
    cr_item *i = cr_item_from(h, (uint32_t)sqlite3_column_int(s, 0), column(s, 1), column(s, 6),
                              (uint64_t)sqlite3_column_int64(s, 8));
    if (!i) return NULL;
    i->create_revision = (uint64_t)sqlite3_column_int64(s, 2);
    i->mod_revision = (uint64_t)sqlite3_column_int64(s, 3);
    i->version = (uint64_t)sqlite3_column_int64(s, 4);
    i->session = (uint64_t)sqlite3_column_int64(s, 5);
    if (cr_item_sum(i) == (uint64_t)sqlite3_column_int64(s, 7)) return i;
    cr_item_drop(i);
    return NULL;
}

/* What is wrong; SQLite's words last until it is asked for something else. */
static int wrong_with(char why[256], const char *words)
{
    snprintf(why, 256, "%s", words);
    return 1;
}

/* 1: something is wrong, as why says. */
static int load(cr_rows *r, int32_t (*take)(void *arg, cr_item *row), void *arg, uint64_t *applied,
                char why[256])
{
    sqlite3_stmt *s;
    const char *wrong = NULL;
    uint64_t count = 0, sums = 0;
    int rc, told = 0;
    if (prepare(r) != SQLITE_OK ||
        sqlite3_prepare_v2(r->db, "SELECT * FROM row", -1, &s, NULL) != SQLITE_OK)
        return wrong_with(why, sqlite3_errmsg(r->db));
    while (!wrong && (rc = sqlite3_step(s)) == SQLITE_ROW) {
        cr_item *i = row_read(r->heap, s);
        if (!i) {
            wrong = "a row does not match its checksum";
        } else if (i->kind == CR_ROW_APPLIED) {
            *applied = i->create_revision;
            r->count = i->mod_revision;
            r->sums = i->version;
            told = 1;
            cr_item_drop(i);
        } else {
            count++;
            sums ^= cr_item_sum(i);
            if (take(arg, i)) wrong = "a row is malformed";
        }
    }
    if (!wrong && rc != SQLITE_DONE) wrong = sqlite3_errmsg(r->db);
    if (!wrong && (told || count) && (count != r->count || sums != r->sums))
        wrong = "rows are missing";
    int bad = wrong && wrong_with(why, wrong);
    sqlite3_finalize(s);
    return bad;
}

int32_t cr_rows_open(const cr_heap *h, const char *path, int32_t (*take)(void *arg, cr_item *row),
                     void *arg, uint64_t *applied, char *why,
                     void (*say)(void *arg, int32_t level, const char *line), void *say_arg,
                     cr_rows **out)
{
    cr_rows *r = cr_alloc(h, sizeof *r);
    if (!r) return QD_E_NOMEM;
    memset(r, 0, sizeof *r);
    r->heap = h;
    r->say = say;
    r->say_arg = say_arg;
    snprintf(r->path, sizeof r->path, "%s", path);
    pthread_mutex_init(&r->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&r->work, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_cond_init(&r->room, NULL);
    *applied = 0;
    *why = 0;
    *out = r;
    if (access(path, F_OK) != 0) return 0; /* made by the writer, off the way of the start */
    if (load(r, take, arg, applied, why)) {
        *applied = 0;
        cr_rows_discard(r);
    }
    return 0;
}

/* --- writing --- */

static int bind_place(sqlite3_stmt *s, const cr_item *i)
{
    int rc = sqlite3_bind_int(s, 1, (int)i->kind);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_blob64(s, 2, i->key_len ? (const void *)i->bytes : "", i->key_len,
                                 SQLITE_STATIC);
    return rc;
}

static int step(sqlite3_stmt *s, int rc)
{
    if (rc == SQLITE_OK) rc = sqlite3_step(s);
    int end = sqlite3_reset(s);
    return end != SQLITE_OK ? end : rc == SQLITE_DONE || rc == SQLITE_ROW ? SQLITE_OK : rc;
}

static int store(cr_rows *r, const cr_item *i)
{
    sqlite3_stmt *s = r->put;
    const uint8_t *value = i->bytes + i->key_len;
    int rc = bind_place(s, i);
    if (rc == SQLITE_OK) rc = sqlite3_bind_int64(s, 3, (int64_t)i->create_revision);
    if (rc == SQLITE_OK) rc = sqlite3_bind_int64(s, 4, (int64_t)i->mod_revision);
    if (rc == SQLITE_OK) rc = sqlite3_bind_int64(s, 5, (int64_t)i->version);
    if (rc == SQLITE_OK) rc = sqlite3_bind_int64(s, 6, (int64_t)i->session);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_blob64(s, 7, i->stored_len ? (const void *)value : "", i->stored_len,
                                 SQLITE_STATIC);
    if (rc == SQLITE_OK) rc = sqlite3_bind_int64(s, 8, (int64_t)cr_item_sum(i));
    if (rc == SQLITE_OK) rc = sqlite3_bind_int64(s, 9, (int64_t)cr_item_room(i));
    return step(s, rc);
}

/* Writes one changed row, keeping number and sums. */
static int write_row(cr_rows *r, const cr_item *i)
{
    int rc = bind_place(r->find, i), was = 0;
    if (rc == SQLITE_OK) rc = sqlite3_step(r->find);
    if (rc == SQLITE_ROW) {
        r->sums ^= (uint64_t)sqlite3_column_int64(r->find, 0);
        r->count--;
        was = 1;
    }
    sqlite3_reset(r->find);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) return rc;
    if (i->version == 0) return was ? step(r->del, bind_place(r->del, i)) : SQLITE_OK;
    r->sums ^= cr_item_sum(i);
    r->count++;
    return store(r, i);
}

static int write_applied(cr_rows *r, uint64_t applied)
{
    cr_item *i = cr_item_make(r->heap, CR_ROW_APPLIED, QD_STR(""), QD_STR(""));
    i->create_revision = applied;
    i->mod_revision = r->count;
    i->version = r->sums;
    i->session = FORMAT;
    int rc = store(r, i);
    cr_item_drop(i);
    return rc;
}

static int write_all(cr_rows *r, const batch *list)
{
    int rc = r->db ? SQLITE_OK : prepare(r);
    uint64_t applied = 0;
    const cr_item *meta = NULL; /* the last one will do */
    if (rc == SQLITE_OK) rc = run(r, "BEGIN IMMEDIATE");
    for (const batch *b = list; b && rc == SQLITE_OK; b = b->next) {
        if (b->replaced) {
            rc = run(r, "DELETE FROM row");
            r->count = r->sums = 0;
        }
        for (size_t i = 0; i < b->rows.n && rc == SQLITE_OK; i++) {
            if (b->rows.at[i]->kind == CR_ROW_META)
                meta = b->rows.at[i];
            else
                rc = write_row(r, b->rows.at[i]);
        }
        applied = b->applied;
    }
    if (rc == SQLITE_OK && meta) rc = write_row(r, meta);
    if (rc == SQLITE_OK) rc = write_applied(r, applied);
    if (rc == SQLITE_OK) rc = run(r, "COMMIT");
    return rc;
}

static void free_all(cr_rows *r, batch *list)
{
    while (list) {
        batch *next = list->next;
        cr_items_free(r->heap, &list->rows);
        cr_free(r->heap, list);
        list = next;
    }
}

/* Lets more changes come: one transaction for all of them, and no syncs between those of the log
 * while the node starts. */
static void gather(cr_rows *r)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += GATHER_NS;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    int rc = 0;
    r->gathering = 1;
    while (!r->stop && r->backlog < GATHER_MAX && rc != ETIMEDOUT)
        rc = pthread_cond_timedwait(&r->work, &r->lock, &until);
    r->gathering = 0;
}

static void *write_behind(void *arg)
{
    cr_rows *r = arg;
    pthread_mutex_lock(&r->lock);
    while (r->first || !r->stop) {
        if (!r->first) {
            pthread_cond_wait(&r->work, &r->lock);
            continue;
        }
        gather(r);
        batch *list = r->first;
        r->first = r->last = NULL;
        r->backlog = 0;
        pthread_cond_broadcast(&r->room);
        pthread_mutex_unlock(&r->lock);
        int rc = r->broken ? SQLITE_OK : write_all(r, list);
        if (rc != SQLITE_OK) {
            char line[420];
            snprintf(line, sizeof line,
                     "%.200s could not be written (%.90s): it is removed, and made again from the "
                     "log at "
                     "the next start",
                     r->path, r->db ? sqlite3_errmsg(r->db) : sqlite3_errstr(rc));
            r->say(r->say_arg, QD_LEVEL_WARN, line);
            cr_rows_discard(r);
            r->broken = 1;
        }
        free_all(r, list);
        pthread_mutex_lock(&r->lock);
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

int32_t cr_rows_start(cr_rows *r)
{
    if (pthread_create(&r->thread, NULL, write_behind, r)) return QD_E_IO;
    r->started = 1;
    return 0;
}

void cr_rows_push(cr_rows *r, cr_items *rows, uint64_t applied, int replaced)
{
    batch *b = cr_must(r->heap, sizeof *b);
    *b = (batch){.rows = *rows, .applied = applied, .replaced = replaced};
    *rows = (cr_items){0};
    pthread_mutex_lock(&r->lock);
    while (r->started && r->backlog > BACKLOG_MAX) pthread_cond_wait(&r->room, &r->lock);
    if (r->last)
        r->last->next = b;
    else
        r->first = b;
    r->last = b;
    r->backlog += b->rows.n;
    int wake = !r->gathering || r->backlog >= GATHER_MAX;
    pthread_mutex_unlock(&r->lock);
    if (wake) pthread_cond_signal(&r->work); /* cr_rows_close comes from this thread too */
}

void cr_rows_close(cr_rows *r)
{
    if (!r) return;
    pthread_mutex_lock(&r->lock);
    r->stop = 1;
    pthread_cond_broadcast(&r->work);
    pthread_mutex_unlock(&r->lock);
    if (r->started) pthread_join(r->thread, NULL);
    free_all(r, r->first);
    shut(r);
    pthread_mutex_destroy(&r->lock);
    pthread_cond_destroy(&r->work);
    pthread_cond_destroy(&r->room);
    cr_free(r->heap, r);
}
