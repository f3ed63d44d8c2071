/*
 * cluster_k8s_file.c: the file of a control node on its machine's disk: made aside and renamed,
 * then two blocks that are written in turn. What was not synced a loss of power takes, or tears;
 * also the name. See cluster_shim/files.h.
 */
#include "cluster_int.h"
#include "cluster_k8s.h"
#include <errno.h>

enum { BLOCK = 4096, FOLDER_FD = 1000, RECORD_FD, ASIDE_FD, INDEX_AT = 40, NUMBER_AT = 8 };

typedef struct file {
    size_t n, synced_n;
    uint8_t now[2 * BLOCK], synced[2 * BLOCK];
} file;

static struct {
    bool fails;
    bool there, name_synced; /* the file has its name; for good */
    bool renamed;            /* what the process that runs opened aside is the file now */
    file it, aside;
} files[NODES];

void cluster_files_begin(void)
{
    memset(files, 0, sizeof files);
}

void cluster_file_fails(int id)
{
    files[id].fails = true;
}

static proc *here(void)
{
    return proc_of_env(qd_sim_env_here(cluster_sim()));
}

static bool ends(const char *name, const char *with)
{
    size_t n = strlen(name), k = strlen(with);
    return n > k && strcmp(name + n - k, with) == 0;
}

static file *of(int fd, int id)
{
    if (fd != RECORD_FD && fd != ASIDE_FD) abort();
    return fd == RECORD_FD || files[id].renamed ? &files[id].it : &files[id].aside;
}

int sim_file_open(const char *name)
{
    int id = here()->node;
    if (ends(name, "/kubernetes.new")) {
        memset(&files[id].aside, 0, sizeof files[id].aside);
        files[id].renamed = false;
        return ASIDE_FD;
    }
    if (!ends(name, "/kubernetes")) return FOLDER_FD;
    if (files[id].there) return RECORD_FD;
    errno = ENOENT;
    return -1;
}

ssize_t sim_file_read(int fd, void *out, size_t n)
{
    const file *f = of(fd, here()->node);
    if (n < f->n) abort();
    memcpy(out, f->now, f->n);
    return (ssize_t)f->n;
}

ssize_t sim_file_write(int fd, const void *p, size_t n, off_t at)
{
    const proc *q = here();
    file *f = of(fd, q->node);
    if ((size_t)at + n > sizeof f->now) abort();
    if (q->dying) return (ssize_t)n;
    memcpy(f->now + at, p, n);
    if (f->n < (size_t)at + n) f->n = (size_t)at + n;
    return (ssize_t)n;
}

int sim_file_rename(void)
{
    const proc *q = here();
    if (q->dying) return 0;
    files[q->node].it = files[q->node].aside;
    files[q->node].there = files[q->node].renamed = true;
    files[q->node].name_synced = false;
    return 0;
}

int sim_file_sync(int fd)
{
    proc *q = here();
    world *w = cluster_enter();
    uint64_t takes = us(60 + rnd(w, 1200));
    if (cluster_now()->m[q->node].slow && !w->quiet && chance(w, 0.3)) takes += ms(rnd(w, 400));
    qd_env_sleep_ns(q->env, takes);
    if (q->dying || files[q->node].fails) {
        if (!q->dying) cluster_now()->r->record_failed++;
        files[q->node].fails = files[q->node].fails && q->dying;
        errno = EIO;
        return -1;
    }
    if (fd == FOLDER_FD) {
        files[q->node].name_synced = true;
        return 0;
    }
    file *f = of(fd, q->node);
    memcpy(f->synced, f->now, sizeof f->now);
    f->synced_n = f->n;
    return 0;
}

bool cluster_file_crash(int id, bool power)
{
    world *w = cluster_enter();
    file *f = &files[id].it;
    bool lost = false;
    if (power && files[id].there && !files[id].name_synced && chance(w, 0.5)) {
        files[id].there = false;
        lost = true;
    }
    for (size_t at = 0; power && at < sizeof f->now; at += BLOCK) {
        uint8_t *now = f->now + at, *synced = f->synced + at;
        if (memcmp(now, synced, BLOCK) == 0) continue;
        lost = true;
        if (chance(w, 0.3)) continue; /* it had been written already */
        memcpy(now, synced, chance(w, 0.5) ? BLOCK : rnd(w, BLOCK));
    }
    if (power && f->n > f->synced_n && chance(w, 0.5)) f->n = f->synced_n;
    memset(f->now + f->n, 0, sizeof f->now - f->n);
    memcpy(f->synced, f->now, sizeof f->now);
    f->synced_n = f->n;
    files[id].name_synced = files[id].there;
    files[id].fails = files[id].renamed = false;
    return lost;
}

uint64_t cluster_file_index(int id)
{
    uint64_t number[2], index[2];
    if (!files[id].there) return 0;
    for (size_t i = 0; i < 2; i++) {
        memcpy(&number[i], files[id].it.synced + i * BLOCK + NUMBER_AT, 8);
        memcpy(&index[i], files[id].it.synced + i * BLOCK + INDEX_AT, 8);
    }
    return index[number[1] > number[0]];
}
