/*
 * cluster_k8s_file.c: the file of a control node on its machine's disk: made aside and renamed,
 * then two blocks that are written in turn. What was not synced a loss of power takes, or tears;
 * also the name. See cluster_shim/files.h.
 */
#include "cluster_k8s.h"
#include "cluster_uv.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

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
} files[COORD_MACHINES];

void cluster_files_begin(void)
{
    memset(files, 0, sizeof files);
}

void cluster_file_fails(int id)
{
    files[id].fails = true;
}

static int here(void)
{
    bool dying;
    return coord_machine(&dying);
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
    int id = here();
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
    const file *f = of(fd, here());
    if (n < f->n) abort();
    memcpy(out, f->now, f->n);
    return (ssize_t)f->n;
}

ssize_t sim_file_write(int fd, const void *p, size_t n, off_t at)
{
    bool dying;
    file *f = of(fd, coord_machine(&dying));
    if ((size_t)at + n > sizeof f->now) abort();
    if (dying) return (ssize_t)n;
    memcpy(f->now + at, p, n);
    if (f->n < (size_t)at + n) f->n = (size_t)at + n;
    return (ssize_t)n;
}

int sim_file_rename(void)
{
    bool dying;
    int id = coord_machine(&dying);
    if (dying) return 0;
    files[id].it = files[id].aside;
    files[id].there = files[id].renamed = true;
    files[id].name_synced = false;
    return 0;
}

int sim_file_sync(int fd)
{
    bool dying;
    coord_file_pause();
    int id = coord_machine(&dying);
    if (dying || files[id].fails) {
        if (!dying) coord_file_failed();
        files[id].fails = files[id].fails && dying;
        errno = EIO;
        return -1;
    }
    if (fd == FOLDER_FD) {
        files[id].name_synced = true;
        return 0;
    }
    file *f = of(fd, id);
    memcpy(f->synced, f->now, sizeof f->now);
    f->synced_n = f->n;
    return 0;
}

bool cluster_file_crash(int id, bool power)
{
    file *f = &files[id].it;
    bool lost = false;
    if (power && files[id].there && !files[id].name_synced && coord_chance(0.5)) {
        files[id].there = false;
        lost = true;
    }
    for (size_t at = 0; power && at < sizeof f->now; at += BLOCK) {
        uint8_t *now = f->now + at, *synced = f->synced + at;
        if (memcmp(now, synced, BLOCK) == 0) continue;
        lost = true;
        if (coord_chance(0.3)) continue; /* it had been written already */
        memcpy(now, synced, coord_chance(0.5) ? BLOCK : coord_random(BLOCK));
    }
    if (power && f->n > f->synced_n && coord_chance(0.5)) f->n = f->synced_n;
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
