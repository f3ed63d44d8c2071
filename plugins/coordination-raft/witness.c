/* witness.c: the file, its slots, and libraft's metadata files. See witness.h. */
#include "witness.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    MAGIC = 0x31574451, /* "QDW1" */
    IMAGES = 1,
    INDEX = 2,
    SNAPSHOT = 3,
    SUM_AT = CR_WITNESS_SLOT - 8,
    SLOTS = 6,
    FILE_BYTES = SLOTS * CR_WITNESS_SLOT,
    META_FORMAT = 1
};

static int32_t failed(char *why, const char *what, const char *name)
{
    char words[128];
    snprintf(why, CR_WHY, "%s %.100s: %s", what, name, strerror_r(errno, words, sizeof words));
    return QD_E_IO;
}

static int sync_folder_of(const char *file)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(file, '/');
    if (!slash || (size_t)(slash - file) >= sizeof folder) return -1;
    memcpy(folder, file, (size_t)(slash - file));
    folder[slash - file] = 0;
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = fd < 0 ? -1 : fsync(fd);
    if (fd >= 0) close(fd);
    return rc;
}

/* --- slots --- */

static void slot_seal(uint8_t *slot, uint32_t kind, uint64_t number)
{
    cr_store32(slot, MAGIC);
    cr_store32(slot + 4, kind);
    cr_store64(slot + 8, number);
    cr_store64(slot + SUM_AT, cr_sum64(slot, SUM_AT, kind));
}

static int slot_write(cr_witness *w, int n, const uint8_t *slot, int sync)
{
    if (pwrite(w->fd, slot, CR_WITNESS_SLOT, (off_t)n * CR_WITNESS_SLOT) != CR_WITNESS_SLOT)
        return -1;
    return sync ? fdatasync(w->fd) : 0;
}

/* 1: whole; 0: never written; -1: damaged. */
static int slot_check(const uint8_t *slot, uint32_t kind)
{
    size_t i = 0;
    while (i < CR_WITNESS_SLOT && slot[i] == 0) i++;
    if (i == CR_WITNESS_SLOT) return 0;
    int ok = cr_load32(slot) == MAGIC && cr_load32(slot + 4) == kind &&
             cr_load64(slot + SUM_AT) == cr_sum64(slot, SUM_AT, kind);
    return ok ? 1 : -1;
}

static void images_read(cr_witness *w, const uint8_t *slot)
{
    w->sequence = cr_load64(slot + 8);
    w->next_there = slot[16];
    for (int i = 0; i < 2; i++) {
        w->image_n[i] = (int8_t)slot[17 + i];
        memcpy(w->image[i], slot + 32 + i * CR_META_BYTES, CR_META_BYTES);
    }
    memcpy(w->next, slot + 32 + 2 * CR_META_BYTES, CR_META_BYTES);
}

static int32_t images_write(cr_witness *w)
{
    if (w->fd < 0) return 0;
    uint8_t slot[CR_WITNESS_SLOT] = {0};
    slot[16] = (uint8_t)w->next_there;
    for (int i = 0; i < 2; i++) {
        slot[17 + i] = (uint8_t)w->image_n[i];
        memcpy(slot + 32 + i * CR_META_BYTES, w->image[i], CR_META_BYTES);
    }
    memcpy(slot + 32 + 2 * CR_META_BYTES, w->next, CR_META_BYTES);
    slot_seal(slot, IMAGES, ++w->sequence);
    return slot_write(w, (int)(w->sequence & 1), slot, 1) ? QD_E_IO : 0;
}

void cr_witness_durable(cr_witness *w, uint64_t index)
{
    uint8_t slot[CR_WITNESS_SLOT] = {0};
    if (w->fd < 0 || index <= w->durable) return;
    w->durable = index;
    slot_seal(slot, INDEX, index);
    /* one that could not be written proves less, and hurts nobody */
    (void)slot_write(w, 2 + (int)(index & 1), slot, 0);
}

static void snapshot_read(cr_snapshot_sum *s, const uint8_t *slot)
{
    *s = (cr_snapshot_sum){.index = cr_load64(slot + 8),
                           .term = cr_load64(slot + 16),
                           .time = cr_load64(slot + 24),
                           .data = cr_load64(slot + 32),
                           .meta = cr_load64(slot + 40)};
}

void cr_witness_snapshot(cr_witness *w, uint64_t index)
{
    uint8_t slot[CR_WITNESS_SLOT] = {0};
    cr_snapshot_sum s;
    if (w->fd < 0 || cr_snapshot_sums(w->heap, w->dir, index, &s)) return;
    int i = w->snapshots[0].index <= w->snapshots[1].index ? 0 : 1; /* the older one's */
    w->snapshots[i] = s;
    cr_store64(slot + 16, s.term);
    cr_store64(slot + 24, s.time);
    cr_store64(slot + 32, s.data);
    cr_store64(slot + 40, s.meta);
    slot_seal(slot, SNAPSHOT, s.index);
    (void)slot_write(w, 4 + i, slot, 1);
}

/* The newest snapshot is what libraft is going to read. */
static int32_t snapshot_check(const cr_witness *w, char *why)
{
    cr_snapshot_sum now;
    if (cr_snapshot_sums(w->heap, w->dir, 0, &now)) return 0;
    for (int i = 0; i < 2; i++) {
        const cr_snapshot_sum *s = &w->snapshots[i];
        if (s->index != now.index || s->term != now.term || s->time != now.time) continue;
        int data = s->data != now.data;
        if (!data && s->meta == now.meta) return 0;
        snprintf(why, CR_WHY,
                 "raft/snapshot-%llu-%llu-%llu%s at offset 0: does not match its checksum, which "
                 "covers all of it",
                 (unsigned long long)s->term, (unsigned long long)s->index,
                 (unsigned long long)s->time, data ? "" : ".meta");
        return QD_E_CORRUPT;
    }
    return 0;
}

static int32_t slots_load(cr_witness *w, const char *file, char *why)
{
    uint8_t all[FILE_BYTES];
    char text[CR_WHY];
    ssize_t n = pread(w->fd, all, sizeof all, 0);
    if (n < 0) return failed(why, "reading", file);
    if (n < FILE_BYTES) memset(all + n, 0, (size_t)(FILE_BYTES - n));
    for (int i = 0; i < SLOTS; i++) {
        uint8_t *slot = all + i * CR_WITNESS_SLOT;
        int state = slot_check(slot, (uint32_t)(1 + i / 2)); /* IMAGES, INDEX, SNAPSHOT */
        if (state < 0) {
            snprintf(text, sizeof text,
                     "file witness at offset %d: does not match its checksum: made again from the "
                     "rest",
                     i * CR_WITNESS_SLOT);
            w->warn(w->arg, text);
            w->damaged |= i < 2;
            memset(slot, 0, CR_WITNESS_SLOT);
            if (slot_write(w, i, slot, 1)) return failed(why, "writing", file);
        }
        if (state <= 0) continue;
        if (i < 2 && cr_load64(slot + 8) > w->sequence) images_read(w, slot);
        if (i / 2 == 1 && cr_load64(slot + 8) > w->durable) w->durable = cr_load64(slot + 8);
        if (i / 2 == 2) snapshot_read(&w->snapshots[i - 4], slot);
    }
    return 0;
}

static int32_t file_open(cr_witness *w, const char *file, int anew, char *why)
{
    static const uint8_t empty[FILE_BYTES];
    struct stat st;
    w->fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (w->fd < 0 || fstat(w->fd, &st)) return failed(why, "opening", file);
    if (!anew && st.st_size == FILE_BYTES) return slots_load(w, file, why);
    if (pwrite(w->fd, empty, sizeof empty, 0) != (ssize_t)sizeof empty ||
        ftruncate(w->fd, sizeof empty) || fsync(w->fd) || sync_folder_of(file)) {
        if (errno != ENOSPC) return failed(why, "making", file);
        w->warn(w->arg, "the disk is full: there is no file witness in this life");
        (void)unlink(file);
        cr_witness_close(w);
    }
    return 0;
}

/* --- libraft's metadata files --- */

static void meta_name(const cr_witness *w, int i, char out[PATH_MAX])
{
    snprintf(out, PATH_MAX, "%.4000s/metadata%d", w->dir, i + 1);
}

/* Bytes of a metadata file, at most one more than it may have; -1: it is not there. */
static int meta_read(const cr_witness *w, int i, uint8_t out[CR_META_BYTES + 1])
{
    char name[PATH_MAX];
    meta_name(w, i, name);
    int fd = open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) return -1;
    ssize_t n = read(fd, out, CR_META_BYTES + 1);
    close(fd);
    return (int)n;
}

/* Replaces a metadata file: written aside, synced, renamed, the folder synced. n -1: removes it. */
static int meta_write(const cr_witness *w, int i, const uint8_t *p, int n)
{
    char name[PATH_MAX], aside[PATH_MAX];
    meta_name(w, i, name);
    if (n < 0) return unlink(name) && errno != ENOENT ? -1 : sync_folder_of(name);
    snprintf(aside, sizeof aside, "%.4000s/mended", w->dir);
    int fd = open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return -1;
    int rc = write(fd, p, (size_t)n) == n ? fsync(fd) : -1;
    if (close(fd) != 0) rc = -1;
    if (rc == 0) rc = rename(aside, name);
    return rc == 0 ? sync_folder_of(name) : rc;
}

static int meta_index(const uint8_t *image)
{
    return cr_load64(image + 8) % 2 == 1 ? 0 : 1; /* odd versions stand in metadata1 */
}

/* Is it as it was, as it was about to become, or on the way there? */
static int meta_fits(const cr_witness *w, int i, const uint8_t *p, int n)
{
    if (n == w->image_n[i] && (n < 0 || memcmp(p, w->image[i], (size_t)n) == 0)) return 1;
    if (!w->next_there || meta_index(w->next) != i) return 0;
    return n < CR_META_BYTES || (n == CR_META_BYTES && memcmp(p, w->next, CR_META_BYTES) == 0);
}

static int32_t metas_check(cr_witness *w, char *why)
{
    static const char *const words[] = {"format", "version", "term", "vote"};
    uint8_t p[CR_META_BYTES + 1];
    char text[CR_WHY];
    for (int i = 0; i < 2; i++) {
        int n = meta_read(w, i, p), at = 0;
        if (meta_fits(w, i, p, n)) continue;
        /* what it was about to become is as good: nothing was done in that term yet */
        int ahead = w->next_there && meta_index(w->next) == i;
        const uint8_t *right = ahead ? w->next : w->image[i];
        int bytes = ahead ? CR_META_BYTES : w->image_n[i];
        while (at < n && at < bytes && p[at] == right[at]) at++;
        snprintf(text, sizeof text,
                 "raft/metadata%d at offset %d: damaged (%s): made again from the file witness",
                 i + 1, at, at < CR_META_BYTES ? words[at / 8] : "length");
        w->warn(w->arg, text);
        if (meta_write(w, i, right, bytes)) return failed(why, "mending", "raft/metadata");
    }
    return 0;
}

int32_t cr_witness_take(cr_witness *w)
{
    uint8_t p[2][CR_META_BYTES + 1];
    int n[2], same = w->sequence > 0 && !w->next_there && !w->damaged;
    for (int i = 0; i < 2; i++) {
        n[i] = meta_read(w, i, p[i]);
        if (n[i] > CR_META_BYTES) n[i] = CR_META_BYTES;
        same &= n[i] == w->image_n[i] && (n[i] < 0 || memcmp(p[i], w->image[i], (size_t)n[i]) == 0);
    }
    if (same) return 0;
    for (int i = 0; i < 2; i++) {
        w->image_n[i] = n[i];
        memset(w->image[i], 0, CR_META_BYTES);
        if (n[i] > 0) memcpy(w->image[i], p[i], (size_t)n[i]);
    }
    w->next_there = w->damaged = 0;
    memset(w->next, 0, sizeof w->next);
    return images_write(w);
}

int32_t cr_witness_ahead(cr_witness *w, uint64_t term, uint64_t vote)
{
    int32_t rc = cr_witness_take(w);
    if (rc) return rc;
    uint64_t version = 0;
    for (int i = 0; i < 2; i++) {
        uint64_t v = w->image_n[i] == CR_META_BYTES ? cr_load64(w->image[i] + 8) : 0;
        if (v > version) version = v;
    }
    cr_store64(w->next, META_FORMAT);
    cr_store64(w->next + 8, version + 1);
    cr_store64(w->next + 16, term);
    cr_store64(w->next + 24, vote);
    w->next_there = 1;
    return images_write(w);
}

/* --- life --- */

int32_t cr_witness_open(cr_witness *w, const cr_heap *heap, const char *file, const char *dir,
                        int anew, void (*warn)(void *arg, const char *text), void *arg, char *why)
{
    *w = (cr_witness){.heap = heap, .warn = warn, .arg = arg, .fd = -1, .image_n = {-1, -1}};
    snprintf(w->dir, sizeof w->dir, "%s", dir);
    int32_t rc = file_open(w, file, anew, why);
    /* without an image (a store of before, or one being formed) there is nothing to compare with */
    if (rc == 0 && w->sequence > 0 && !w->damaged) rc = metas_check(w, why);
    if (rc == 0) rc = snapshot_check(w, why);
    if (rc == 0) rc = cr_segments_check(heap, dir, w->durable, warn, arg, why);
    if (rc) cr_witness_close(w);
    return rc;
}

void cr_witness_close(cr_witness *w)
{
    if (w->fd >= 0) close(w->fd);
    w->fd = -1;
}
