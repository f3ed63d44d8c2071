/* cluster_k8s_file.c: the file of a control node, two sectors on its machine's disk. See
 * cluster_shim/files.h. */
#include "cluster_int.h"
#include "cluster_k8s.h"
#include <errno.h>

enum { SECTOR = 512, FOLDER_FD = 1000, RECORD_FD, INDEX_AT = 40, NUMBER_AT = 8 };

static struct {
    bool fails;
    size_t n, synced_n;
    uint8_t now[2 * SECTOR], synced[2 * SECTOR];
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

int sim_file_open(const char *name)
{
    size_t n = strlen(name);
    return n > 11 && strcmp(name + n - 11, "/kubernetes") == 0 ? RECORD_FD : FOLDER_FD;
}

ssize_t sim_file_read(int fd, void *out, size_t n)
{
    int id = here()->node;
    if (fd != RECORD_FD || n < files[id].n) abort();
    memcpy(out, files[id].now, files[id].n);
    return (ssize_t)files[id].n;
}

ssize_t sim_file_write(int fd, const void *p, size_t n, off_t at)
{
    const proc *q = here();
    if (fd != RECORD_FD || (size_t)at + n > sizeof files[0].now) abort();
    if (q->dying) return (ssize_t)n;
    memcpy(files[q->node].now + at, p, n);
    if (files[q->node].n < (size_t)at + n) files[q->node].n = (size_t)at + n;
    return (ssize_t)n;
}

int sim_file_sync(int fd)
{
    proc *q = here();
    world *w = cluster_enter();
    uint64_t takes = us(60 + rnd(w, 1200));
    if (fd != RECORD_FD) abort();
    if (cluster_now()->m[q->node].slow && !w->quiet && chance(w, 0.3)) takes += ms(rnd(w, 400));
    qd_env_sleep_ns(q->env, takes);
    if (q->dying || files[q->node].fails) {
        if (!q->dying) cluster_now()->r->record_failed++;
        files[q->node].fails = files[q->node].fails && q->dying;
        errno = EIO;
        return -1;
    }
    memcpy(files[q->node].synced, files[q->node].now, sizeof files[0].now);
    files[q->node].synced_n = files[q->node].n;
    return 0;
}

bool cluster_file_crash(int id, bool power)
{
    world *w = cluster_enter();
    bool lost = false;
    for (size_t at = 0; power && at < sizeof files[id].now; at += SECTOR) {
        uint8_t *now = files[id].now + at, *synced = files[id].synced + at;
        if (memcmp(now, synced, SECTOR) == 0) continue;
        lost = true;
        if (chance(w, 0.3)) continue; /* it had been written already */
        memcpy(now, synced, chance(w, 0.5) ? SECTOR : rnd(w, SECTOR));
    }
    if (power && files[id].n > files[id].synced_n && chance(w, 0.5))
        files[id].n = files[id].synced_n;
    memset(files[id].now + files[id].n, 0, sizeof files[id].now - files[id].n);
    memcpy(files[id].synced, files[id].now, sizeof files[id].now);
    files[id].synced_n = files[id].n;
    files[id].fails = false;
    return lost;
}

uint64_t cluster_file_index(int id)
{
    uint64_t number[2], index[2];
    for (size_t i = 0; i < 2; i++) {
        memcpy(&number[i], files[id].synced + i * SECTOR + NUMBER_AT, 8);
        memcpy(&index[i], files[id].synced + i * SECTOR + INDEX_AT, 8);
    }
    return index[number[1] > number[0]];
}
