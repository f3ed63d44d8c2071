/*
 * record.c: what this node has acted on, as a small file in its folder: so that a state that was
 * put back from a backup is noticed, also after a restart. The file is made whole: written aside,
 * synced, renamed, its name synced. From then on two places in it are written in turn, each with
 * its sum and in a block of its own: whatever a loss of power does to one, the other is whole. So a
 * file without a whole place is damaged, never one that was just begun.
 *
 * A sync that failed is told once; then the system calls the pages clean, and no later sync brings
 * them to the disk. So what is found at the opening is written once more, and what could not be
 * synced counts as not written: the next call writes the same place again.
 *
 *   place  4096 bytes: magic "QDK1", u32 version, u64 number, 16 store id, u64 epoch, u64 index,
 *          u64 XXH3 of all that, zeros
 */
#include "store.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PLACE = 4096, MAGIC = 0x314b4451, VERSION = 1, LENGTH = 56, PATH = 4096 };

static int32_t failed(qd_coord *c, qd_err *err, const char *what)
{
    char words[128];
    const char *w = strerror_r(errno, words, sizeof words);
    return qd_plug_fail(c->plugin->err, err, QD_E_IO, "coordination store %s: %s: %s", c->path,
                        what, w);
}

static int32_t lock_it(qd_coord *c, qd_err *err)
{
    char name[PATH];
    snprintf(name, sizeof name, "%s/lock", c->path);
    c->home.lock_fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (c->home.lock_fd < 0) return failed(c, err, "opening lock");
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(c->home.lock_fd, F_OFD_SETLK, &l) == 0) return 0;
    if (errno != EAGAIN && errno != EACCES) return failed(c, err, "locking lock");
    return qd_plug_fail(c->plugin->err, err, QD_E_LOCKED,
                        "coordination store %s is open in another process", c->path);
}

/* Reads one place; 0: it is not whole. */
static uint64_t take(const uint8_t p[PLACE], ck_record *out)
{
    if (cr_load32(p) != MAGIC || cr_load32(p + 4) != VERSION) return 0;
    if (cr_load64(p + LENGTH) != cr_sum64(p, LENGTH, 0)) return 0;
    memcpy(out->store_id, p + 16, 16);
    out->epoch = cr_load64(p + 32);
    out->index = cr_load64(p + 40);
    return cr_load64(p + 8);
}

static void name_of(const qd_coord *c, const char *suffix, char out[PATH])
{
    snprintf(out, PATH, "%s/kubernetes%s", c->path, suffix);
}

/* The newer one of the places, if one is whole. */
static int32_t read_it(qd_coord *c, qd_err *err)
{
    uint8_t both[2 * PLACE];
    ck_record r[2];
    memset(both, 0, sizeof both);
    ssize_t n = pread(c->home.record_fd, both, sizeof both, 0);
    if (n < 0) return failed(c, err, "reading the record");
    uint64_t first = take(both, &r[0]), second = take(both + PLACE, &r[1]);
    if (!first && !second)
        return qd_plug_fail(c->plugin->err, err, QD_E_CORRUPT,
                            "coordination store %s: its record is damaged: which state this node "
                            "has acted on is not known; to take the present one stop the node, and "
                            "qd recover --accept-older-state",
                            c->path);
    if (first || second) c->home.record = r[second > first];
    c->home.record_number = first > second ? first : second;
    return 0;
}

static void fill(uint8_t p[PLACE], const ck_record *r, uint64_t number)
{
    memset(p, 0, PLACE);
    cr_store32(p, MAGIC);
    cr_store32(p + 4, VERSION);
    cr_store64(p + 8, number);
    memcpy(p + 16, r->store_id, 16);
    cr_store64(p + 32, r->epoch);
    cr_store64(p + 40, r->index);
    cr_store64(p + LENGTH, cr_sum64(p, LENGTH, 0));
}

static int sync_folder(const qd_coord *c)
{
    int fd = open(c->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return -1;
    int rc = fsync(fd);
    close(fd);
    return rc;
}

/* The file appears with both places written. */
static int32_t make(qd_coord *c, const uint8_t place[PLACE])
{
    char name[PATH], aside[PATH];
    name_of(c, "", name);
    name_of(c, ".new", aside);
    int fd = open(aside, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return QD_E_IO;
    for (int i = 0; i < 2; i++)
        if (pwrite(fd, place, PLACE, (off_t)i * PLACE) != PLACE) goto fail;
    if (fsync(fd) || rename(aside, name) || sync_folder(c)) goto fail;
    c->home.record_fd = fd;
    return 0;
fail:
    close(fd);
    return QD_E_IO;
}

/* On disk when this returns 0. */
static int write_place(qd_coord *c, const ck_record *r, uint64_t number)
{
    uint8_t p[PLACE];
    int fd = c->home.record_fd;
    fill(p, r, number);
    if (pwrite(fd, p, PLACE, (off_t)(number % 2) * PLACE) != PLACE) return -1;
    return fdatasync(fd);
}

int32_t ck_record_open(qd_coord *c, qd_err *err)
{
    char name[PATH];
    if (!*c->path) return 0;
    int32_t rc = lock_it(c, err);
    if (rc) return rc;
    name_of(c, "", name);
    c->home.record_fd = open(name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (c->home.record_fd < 0)
        return errno == ENOENT ? 0 : failed(c, err, "opening the record"); /* nothing acted on */
    rc = read_it(c, err);
    if (rc) return rc;
    if (write_place(c, &c->home.record, c->home.record_number))
        return failed(c, err, "writing the record once more");
    return 0;
}

int32_t ck_record_put(qd_coord *c, const uint8_t store_id[16], uint64_t epoch, uint64_t index)
{
    cr_home *h = &c->home;
    uint8_t p[PLACE];
    int same = memcmp(h->record.store_id, store_id, 16) == 0;
    if (same && epoch <= h->record.epoch && index <= h->record.index) return 0;
    ck_record r = {.epoch = epoch, .index = index};
    memcpy(r.store_id, store_id, 16);
    if (same && h->record.epoch > epoch) r.epoch = h->record.epoch;
    if (same && h->record.index > index) r.index = h->record.index;
    if (*c->path) {
        uint64_t number = h->record_number + 1;
        fill(p, &r, number);
        int32_t rc = h->record_fd < 0 ? make(c, p) : write_place(c, &r, number) ? QD_E_IO : 0;
        if (rc) { /* only a new start reads what the disk has: this process is of no use */
            c->disk_failed = 1;
            return rc;
        }
        h->record_number = number;
    }
    h->record = r;
    return 0;
}

void ck_record_close(qd_coord *c)
{
    if (c->home.record_fd >= 0) close(c->home.record_fd);
    if (c->home.lock_fd >= 0) close(c->home.lock_fd);
    c->home.record_fd = c->home.lock_fd = -1;
}
