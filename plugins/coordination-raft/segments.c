/*
 * segments.c: libraft's open segments before libraft sees them. To libraft a batch that does not
 * match its checksum is the end of the log, and the segment is cut there: right for a write that a
 * power loss tore, wrong for damage to what had been acknowledged. Which of the two it is, the last
 * durable index says.
 *
 * Format 1 of libraft 0.15: u64 1; batches of u32 CRC of the header, u32 CRC of the data, header
 * (u64 entries, for each u64 term, u8 type, 3 bytes, u32 bytes), data; zeros to the preallocated
 * end.
 */
#include "witness.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OPEN_MAX = 64, HEAD = 8, BATCH_HEAD = 16, ENTRY_HEAD = 16, SEGMENT_MAX = 256 << 20 };

typedef struct look {
    const cr_heap *heap;
    const char *dir;
    uint64_t durable;
    void (*warn)(void *arg, const char *text);
    void *arg;
    char *why;
    uint64_t next;                     /* index of the next entry */
    unsigned long long open[OPEN_MAX]; /* counters, ascending */
    int nopen;
    uint32_t crc[256];
} look;

/* CRC-32 of polynomial 0x04c11db7, most significant bit first, from 0. */
static void crc_prepare(look *l)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i << 24;
        for (int k = 0; k < 8; k++) c = c << 1 ^ (c & 0x80000000u ? 0x04c11db7u : 0);
        l->crc[i] = c;
    }
}

static uint32_t crc_of(const look *l, const uint8_t *p, size_t n)
{
    uint32_t c = 0;
    for (size_t i = 0; i < n; i++) c = c << 8 ^ l->crc[(c >> 24 ^ p[i]) & 255];
    return c;
}

/* Offset of the first byte that is not zero, n if there is none. */
static size_t first_set(const uint8_t *p, size_t from, size_t n)
{
    while (from < n && from % 8) {
        if (p[from]) return from;
        from++;
    }
    uint64_t word = 0;
    for (; from + 8 <= n; from += 8) {
        memcpy(&word, p + from, 8);
        if (word) break;
    }
    while (from < n && p[from] == 0) from++;
    return from;
}

/* Bytes of the good batch at `at`, and its entries; 0: there is none. */
static size_t batch_check(const look *l, const uint8_t *p, size_t at, size_t n, uint64_t *entries)
{
    if (n - at < BATCH_HEAD) return 0;
    uint64_t count = cr_load64(p + at + 8);
    if (count == 0 || count > (n - at - BATCH_HEAD) / ENTRY_HEAD) return 0;
    size_t head = 8 + (size_t)count * ENTRY_HEAD, data = 0, room = n - at - 8 - head;
    if (crc_of(l, p + at + 8, head) != cr_load32(p + at)) return 0;
    for (uint64_t i = 0; i < count; i++) {
        data += cr_load32(p + at + BATCH_HEAD + i * ENTRY_HEAD + 12);
        if (data > room) return 0;
    }
    if (crc_of(l, p + at + 8 + head, data) != cr_load32(p + at + 4)) return 0;
    *entries = count;
    return 8 + head + data;
}

static void tell(const look *l, unsigned long long number, size_t at, const char *what)
{
    char text[CR_WHY];
    snprintf(text, sizeof text, "raft/open-%llu at offset %zu: %s", number, at, what);
    l->warn(l->arg, text);
}

static int32_t damaged(const look *l, unsigned long long number, size_t at)
{
    snprintf(l->why, CR_WHY,
             "raft/open-%llu at offset %zu: entry %" PRIu64
             " is damaged, though it had been made durable (entries up to %" PRIu64 " had)",
             number, at, l->next, l->durable);
    return QD_E_CORRUPT;
}

/* One segment's bytes. *rest: where what is not a batch begins, n if all is as it must be.
 * *begun: something was ever written to it. */
static void walk(look *l, const uint8_t *p, size_t n, size_t *rest, size_t *good, int *begun)
{
    uint64_t format = n >= HEAD ? cr_load64(p) : 0, entries;
    *begun = first_set(p, 0, n) < n;
    *good = 0;
    *rest = *begun && format != 1 ? first_set(p, 0, n) : n;
    if (format != 1) return;
    size_t at = HEAD;
    for (size_t bytes; at < n && (bytes = batch_check(l, p, at, n, &entries)) > 0; at += bytes) {
        l->next += entries;
        ++*good;
    }
    size_t set = first_set(p, at, n);
    *rest = set == n ? n : at;
}

/* Is anything written in a segment behind this one? Then this one had been finished. */
static int followed(const look *l, int i)
{
    for (int k = i + 1; k < l->nopen; k++) {
        char name[PATH_MAX];
        uint8_t head[4096];
        snprintf(name, sizeof name, "%s/open-%llu", l->dir, l->open[k]);
        int fd = open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        ssize_t n = fd < 0 ? 0 : read(fd, head, sizeof head);
        if (fd >= 0) close(fd);
        if (n > BATCH_HEAD && cr_load64(head) == 1 && cr_load64(head + HEAD + 8) != 0) return 1;
    }
    return 0;
}

static int32_t judge(look *l, int i, const char *name, const uint8_t *p, size_t n)
{
    size_t rest, good;
    int begun;
    walk(l, p, n, &rest, &good, &begun);
    if (rest == n) return 0;
    if (l->next <= l->durable || followed(l, i)) return damaged(l, l->open[i], rest);
    if (good) { /* libraft cuts it there */
        tell(l, l->open[i], rest, "bytes behind the end of the log were never acknowledged: cut");
        return 0;
    }
    tell(l, l->open[i], rest, "bytes of a segment that was never used: it is removed");
    return unlink(name) ? QD_E_IO : 0;
}

static int32_t check_one(look *l, int i)
{
    char name[PATH_MAX];
    struct stat st;
    snprintf(name, sizeof name, "%s/open-%llu", l->dir, l->open[i]);
    int fd = open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    int32_t rc = fd < 0 || fstat(fd, &st) ? QD_E_IO : 0;
    if (rc == 0 && st.st_size > 0 && st.st_size <= SEGMENT_MAX) {
        size_t n = (size_t)st.st_size;
        uint8_t *p = cr_alloc(l->heap, n);
        size_t have = 0;
        for (ssize_t k = 1; p && have < n && k > 0; have += k > 0 ? (size_t)k : 0)
            k = pread(fd, p + have, n - have, (off_t)have);
        rc = !p ? QD_E_NOMEM : have < n ? QD_E_IO : judge(l, i, name, p, n);
        cr_free(l->heap, p);
    }
    if (fd >= 0) close(fd);
    if (rc == QD_E_IO) snprintf(l->why, CR_WHY, "raft/open-%llu cannot be read", l->open[i]);
    if (rc == QD_E_NOMEM) snprintf(l->why, CR_WHY, "out of memory");
    return rc;
}

static void note(look *l, const char *name, uint64_t *closed, uint64_t *snapshot)
{
    unsigned long long a, b, c;
    int end = 0;
    if (sscanf(name, "open-%llu%n", &a, &end) == 1 && name[end] == 0 && l->nopen < OPEN_MAX) {
        int i = l->nopen++;
        for (; i > 0 && l->open[i - 1] > a; i--) l->open[i] = l->open[i - 1];
        l->open[i] = a;
    } else if (sscanf(name, "%16llu-%16llu%n", &a, &b, &end) == 2 && name[end] == 0) {
        if (b > *closed) *closed = b;
    } else if (sscanf(name, "snapshot-%llu-%llu-%llu%n", &a, &b, &c, &end) == 3 && name[end] == 0) {
        if (b > *snapshot) *snapshot = b;
    }
}

int32_t cr_segments_check(const cr_heap *heap, const char *dir, uint64_t durable,
                          void (*warn)(void *arg, const char *text), void *arg, char *why)
{
    look l = {.heap = heap, .dir = dir, .durable = durable, .warn = warn, .arg = arg, .why = why};
    uint64_t closed = 0, snapshot = 0;
    DIR *d = opendir(dir);
    if (!d) {
        snprintf(why, CR_WHY, "the folder raft cannot be read");
        return QD_E_IO;
    }
    for (struct dirent *e; (e = readdir(d));) note(&l, e->d_name, &closed, &snapshot);
    closedir(d);
    crc_prepare(&l);
    l.next = (closed ? closed : snapshot) + 1;
    int32_t rc = 0;
    for (int i = 0; i < l.nopen && rc == 0; i++) rc = check_one(&l, i);
    return rc;
}

void cr_damage_place(const char *dir, char *why)
{
    char name[64] = "";
    uint64_t newest = 0;
    unsigned long long term, index, time;
    int end;
    size_t n = strlen(why);
    if (strstr(why, "at byte") || n >= CR_WHY) return;
    if (strstr(why, "closed segment")) {
        snprintf(why + n, CR_WHY - n, " (at offset 0)");
        return;
    }
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (sscanf(e->d_name, "snapshot-%llu-%llu-%llu%n", &term, &index, &time, &end) != 3 ||
            e->d_name[end] != 0 || index < newest)
            continue;
        newest = index;
        snprintf(name, sizeof name, "%.60s", e->d_name);
    }
    if (d) closedir(d);
    if (*name && n > 100) n = 100;
    if (*name)
        snprintf(why + n, CR_WHY - n, "; damaged at offset 0 (one sum covers each): %s or %s.meta",
                 name, name);
}
