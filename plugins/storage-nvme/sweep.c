/*
 * sweep.c: one syncfs for all that was in the tier when it was opened.
 *
 * The process before may have been killed, so what is found may stand in the page cache only, and
 * counts only when it is synced: a commit point, the end of a log, the names of both and of their
 * folders. A sync of each is four to eight for every shard, which a start with a thousand shards
 * waits for; one of the whole file system says the same of all of them. It runs in the background.
 * Where much else is dirty it may take long: whoever waited WAIT_MS since the opening syncs what it
 * needs by itself, as does everybody when it fails.
 *
 * It says nothing about what is made or written after it began: a table has the folders where
 * anything was, and in these every name is synced as if there had been no sweep. Notes are
 * never taken back: who makes a folder anew would race with who removed it. All that counts is on
 * the root's file system: names are given by renaming out of .tmp, which no mount below lets
 * happen.
 */
#include "nvme.h"
#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#define WAIT_MS 500u
/* Folders that are noted; in a tier that makes and removes more of them the start is long over. */
#define TOUCHED_MAX 16384u

static uint64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

#ifndef XFS_SUPER_MAGIC
#define XFS_SUPER_MAGIC 0x58465342
#endif

/* Does a syncfs that returns 0 mean what an fsync of each file would? Kernels before 5.8 return 0
 * whatever the disk said. An overlay does not hear of its upper file system's errors, FUSE does not
 * ask its server to sync, and of others nobody looked: those go by single syncs. */
static int says_all(qd_storage *t)
{
    struct utsname u;
    struct statfs fs;
    unsigned major = 0, minor = 0;
    if (uname(&u) != 0 || sscanf(u.release, "%u.%u", &major, &minor) != 2) return 0;
    if (major < 5 || (major == 5 && minor < 8) || fstatfs(t->root, &fs) != 0) return 0;
    switch ((uint32_t)fs.f_type) {
    case EXT4_SUPER_MAGIC:
    case XFS_SUPER_MAGIC:
    case BTRFS_SUPER_MAGIC:
    case F2FS_SUPER_MAGIC:
    case TMPFS_MAGIC:
        return 1;
    default:
        return 0;
    }
}

static void *run(void *arg)
{
    qd_storage *t = arg;
    int state = syncfs(t->root) == 0 ? 1 : -1;
    pthread_mutex_lock(&t->lock);
    if (!t->sweep.state) t->sweep.state = state;
    pthread_cond_broadcast(&t->sweep.ended);
    pthread_mutex_unlock(&t->lock);
    return NULL;
}

void nvme_sweep_start(qd_storage *t)
{
    if (!says_all(t)) return;
    pthread_condattr_t a;
    pthread_condattr_init(&a);
    pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
    pthread_cond_init(&t->sweep.ended, &a);
    pthread_condattr_destroy(&a);
    t->sweep.until_ns = now_ns() + WAIT_MS * 1000000ull;
    t->sweep.state = 0;
    t->sweep.started = pthread_create(&t->sweep.thread, NULL, run, t) == 0;
    if (t->sweep.started) return;
    t->sweep.state = -1;
    pthread_cond_destroy(&t->sweep.ended);
}

void nvme_sweep_end(qd_storage *t)
{
    if (t->sweep.started) {
        pthread_join(t->sweep.thread, NULL);
        pthread_cond_destroy(&t->sweep.ended);
    }
    nvme_names_drop(t, t->sweep.touched, QD_STR(""));
}

/* Under the lock. */
static int touched(qd_storage *t, qd_str folder)
{
    int found = 0;
    for (nvme_name *x = t->sweep.touched[nvme_chain(folder)]; x && !found; x = x->next) {
        found = x->len == folder.n && memcmp(x->text, folder.p, folder.n) == 0;
    }
    return found;
}

/* What is found is not told from what is new any more. Under the lock. */
static void give_up(qd_storage *t)
{
    t->sweep.state = -1;
    pthread_cond_broadcast(&t->sweep.ended);
    nvme_names_drop(t, t->sweep.touched, QD_STR(""));
}

void nvme_touch(qd_storage *t, qd_str folder)
{
    pthread_mutex_lock(&t->lock);
    if (t->sweep.state >= 0 && !touched(t, folder)) {
        nvme_name *x = t->sweep.ntouched < TOUCHED_MAX
                           ? t->plugin->mem->calloc(t->plugin->self, sizeof *x)
                           : NULL;
        if (x) {
            memcpy(x->text, folder.p, folder.n);
            x->len = (uint32_t)folder.n;
            uint32_t c = nvme_chain(folder);
            x->next = t->sweep.touched[c];
            t->sweep.touched[c] = x;
            t->sweep.ntouched++;
        } else {
            give_up(t);
        }
    }
    pthread_mutex_unlock(&t->lock);
}

int nvme_found(qd_storage *t, qd_str name, int wait)
{
    uint64_t until = t->sweep.until_ns;
    struct timespec ts = {(time_t)(until / 1000000000u), (long)(until % 1000000000u)};
    int late = !wait;
    pthread_mutex_lock(&t->lock);
    while (!t->sweep.state && !late) {
        late = pthread_cond_timedwait(&t->sweep.ended, &t->lock, &ts) == ETIMEDOUT;
    }
    int found = t->sweep.state == 1 && !touched(t, nvme_folder_of(name));
    pthread_mutex_unlock(&t->lock);
    return found;
}
