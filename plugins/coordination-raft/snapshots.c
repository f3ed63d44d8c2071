/* snapshots.c: sums over libraft's snapshot files. See witness.h. */
#include "witness.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { CHUNK = 1 << 20 };

/* The sum of a file: of each MiB, seeded by the one before. 0 or -1. */
static int sum_file(const char *name, uint8_t *buffer, uint64_t *out)
{
    int fd = open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), rc = fd < 0 ? -1 : 0;
    *out = 1;
    for (;;) {
        size_t have = 0;
        ssize_t k = 1;
        while (rc == 0 && have < CHUNK && k > 0) {
            k = read(fd, buffer + have, CHUNK - have);
            if (k > 0) have += (size_t)k;
            if (k < 0) rc = -1;
        }
        if (rc || have == 0) break;
        *out = cr_sum64(buffer, have, *out);
    }
    if (fd >= 0) close(fd);
    return rc;
}

int32_t cr_snapshot_sums(const cr_heap *heap, const char *dir, uint64_t index, cr_snapshot_sum *out)
{
    unsigned long long term, at, time;
    char name[PATH_MAX];
    int end;
    *out = (cr_snapshot_sum){0};
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (sscanf(e->d_name, "snapshot-%llu-%llu-%llu%n", &term, &at, &time, &end) != 3 ||
            e->d_name[end] != 0 || (index && at != index))
            continue;
        if (at > out->index || (at == out->index && time > out->time))
            *out = (cr_snapshot_sum){.term = term, .index = at, .time = time};
    }
    if (d) closedir(d);
    if (out->index == 0) return QD_E_NOTFOUND;
    uint8_t *buffer = cr_alloc(heap, CHUNK);
    if (!buffer) return QD_E_NOTFOUND;
    int n = snprintf(name, sizeof name, "%.4000s/snapshot-%llu-%llu-%llu", dir,
                     (unsigned long long)out->term, (unsigned long long)out->index,
                     (unsigned long long)out->time);
    int rc = sum_file(name, buffer, &out->data);
    snprintf(name + n, sizeof name - (size_t)n, ".meta");
    if (rc == 0) rc = sum_file(name, buffer, &out->meta);
    cr_free(heap, buffer);
    return rc ? QD_E_NOTFOUND : 0;
}
