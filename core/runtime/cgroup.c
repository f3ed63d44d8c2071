/* cgroup.c: see cgroup_int.h. In a container the group may be told by its path outside, of which
 * only the root is mounted: what is not there is passed over on the way up. */
#include "runtime/cgroup_int.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GROUP_MAX 2048
#define UNLIMITED (UINT64_C(1) << 60) /* version 1 has a number for it */

/* The group of a controller of version 1, of version 2 when it is empty; false: not in one. */
static int group_of(const char *controller, char out[GROUP_MAX])
{
    char text[8192];
    size_t n = strlen(controller);
    qdi_slurp("/proc/self/cgroup", text, sizeof text);
    for (char *line = text, *next; *line; line = next) {
        size_t end = strcspn(line, "\n");
        next = line + end + (line[end] == '\n');
        line[end] = 0;
        char *list = strchr(line, ':'), *path = list ? strchr(list + 1, ':') : NULL;
        if (!path) continue;
        *path++ = 0;
        for (char *at = ++list; at; at = strchr(at, ',')) {
            if (*at == ',') at++;
            if (strncmp(at, controller, n) != 0 || (at[n] && at[n] != ',') || (!n && *list))
                continue;
            snprintf(out, GROUP_MAX, "%s", strcmp(path, "/") ? path : "");
            return 1;
        }
    }
    return 0;
}

/* Cuts the last name off; 0: it was the root. */
static int up(char *group)
{
    char *slash = strrchr(group, '/');
    if (!slash) return 0;
    *slash = 0;
    return 1;
}

static int read_file(const char *mount, const char *group, const char *file, char out[64])
{
    char path[GROUP_MAX + 128];
    snprintf(path, sizeof path, "/sys/fs/cgroup%s%s/%s", mount, group, file);
    return qdi_slurp(path, out, 64) > 0;
}

static uint64_t memory_at(const char *mount, const char *group, const char *file)
{
    char value[64];
    if (!read_file(mount, group, file, value) || value[0] < '0' || value[0] > '9') return 0;
    uint64_t v = strtoull(value, NULL, 10);
    return v < UNLIMITED ? v : 0;
}

uint64_t qdi_cgroup_memory(void)
{
    static const struct {
        const char *controller, *mount, *file;
    } kinds[] = {{"", "", "memory.max"}, {"memory", "/memory", "memory.limit_in_bytes"}};
    uint64_t least = 0;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        char group[GROUP_MAX];
        if (!group_of(kinds[i].controller, group)) group[0] = 0;
        do {
            uint64_t v = memory_at(kinds[i].mount, group, kinds[i].file);
            if (v && (!least || v < least)) least = v;
        } while (up(group));
    }
    return least;
}

/* CPUs of "quota period", rounded up; 0: no quota. */
static unsigned cpus_of(long long quota, long long period)
{
    return quota > 0 && period > 0 ? (unsigned)((quota + period - 1) / period) : 0;
}

static unsigned cpus_at(int version, const char *group)
{
    char quota[64], period[64];
    long long q = -1, p = 0;
    if (version == 2) {
        if (!read_file("", group, "cpu.max", quota) || sscanf(quota, "%lld %lld", &q, &p) != 2)
            return 0;
        return cpus_of(q, p);
    }
    if (!read_file("/cpu", group, "cpu.cfs_quota_us", quota) ||
        !read_file("/cpu", group, "cpu.cfs_period_us", period))
        return 0;
    return cpus_of(strtoll(quota, NULL, 10), strtoll(period, NULL, 10));
}

unsigned qdi_cgroup_cpus(void)
{
    unsigned least = 0;
    for (int version = 1; version <= 2; version++) {
        char group[GROUP_MAX];
        if (!group_of(version == 2 ? "" : "cpu", group)) group[0] = 0;
        do {
            unsigned n = cpus_at(version, group);
            if (n && (!least || n < least)) least = n;
        } while (up(group));
    }
    return least;
}
