/*
 * folder.c: the store's folder: lock, node file, reserve.
 *
 * - lock: locked (OFD) by the one process that has the store open
 * - node: text: format, this node's raft id, the store's id, whether it is formed; a sum
 * - raft/: log and snapshots (consensus/wal.h, consensus/snapfile.h)
 * - state.db: rows.h
 * - reserve: blocks given up when the disk is full
 */
#include "store.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define FORMAT 2

static int32_t failed(qd_coord *c, qd_err *err, int32_t code, const char *what, const char *name)
{
    char words[128];
    const char *w = strerror_r(errno, words, sizeof words);
    return qd_plug_fail(c->plugin->err, err, code, "coordination store %s: %s %s: %s", c->path,
                        what, name, w);
}

static void join(const qd_coord *c, const char *name, char out[4096])
{
    snprintf(out, 4096, "%s/%s", c->path, name);
}

static int sync_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = fd < 0 ? -1 : fsync(fd);
    if (fd >= 0) close(fd);
    return rc;
}

static int32_t lock_it(qd_coord *c, qd_err *err)
{
    char name[4096];
    join(c, "lock", name);
    c->home.lock_fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (c->home.lock_fd < 0) return failed(c, err, QD_E_IO, "opening", "lock");
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(c->home.lock_fd, F_OFD_SETLK, &l) == 0) return 0;
    if (errno != EAGAIN && errno != EACCES) return failed(c, err, QD_E_IO, "locking", "lock");
    return qd_plug_fail(c->plugin->err, err, QD_E_LOCKED,
                        "coordination store %s is open in another process", c->path);
}

static void hex_text(const uint8_t id[16], char out[33])
{
    for (int i = 0; i < 16; i++) snprintf(out + 2 * i, 3, "%02x", id[i]);
}

static const char *const states[] = {"", "forming", "joining", "formed"};

/* Text of the node file, sum included: into out, which is the caller's to free. */
static void node_text(const qd_coord *c, int state, cr_bytes *out)
{
    char uuid[33], line[CR_WIRE_NAME_MAX + CR_WIRE_ADDRESS_MAX + 64];
    hex_text(c->cluster, uuid);
    int n = snprintf(line, sizeof line,
                     "quidditch coordination-raft %d\nid %llu\ncluster %s\nrecoveries %llu\n%s\n",
                     FORMAT, (unsigned long long)c->raft_id, uuid,
                     (unsigned long long)c->recoveries, states[state]);
    cr_put(out, line, (size_t)n);
    for (uint32_t i = 0; state == CR_NODE_FORMING && i < c->home.forming.nmembers; i++) {
        const cr_who *m = &c->home.forming.members[i];
        n = snprintf(line, sizeof line, "member %llu %.*s %.*s\n", (unsigned long long)m->id,
                     (int)m->address.n, m->address.p, (int)m->name.n, m->name.p);
        cr_put(out, line, (size_t)n);
    }
    n = snprintf(line, sizeof line, "sum %016llx\n",
                 (unsigned long long)cr_sum64(out->p, out->n, 0));
    cr_put(out, line, (size_t)n);
}

/* Replaces the node file: written aside, synced, renamed, the folder synced. */
static int node_write(qd_coord *c, int state)
{
    char aside[4096], name[4096];
    cr_bytes text = {.heap = c->heap};
    node_text(c, state, &text);
    join(c, "node.new", aside);
    join(c, "node", name);
    int fd = open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    int rc = fd < 0 ? -1 : 0;
    if (rc == 0) rc = write(fd, text.p, text.n) == (ssize_t)text.n ? fsync(fd) : -1;
    if (fd >= 0 && close(fd) != 0) rc = -1;
    if (rc == 0) rc = rename(aside, name);
    if (rc == 0) rc = sync_folder(c->path);
    cr_bytes_free(&text);
    return rc;
}

/* A member's line; the texts stay where they are. */
static int parse_member(qd_coord *c, char *line)
{
    unsigned long long id;
    int at = 0;
    char *address, *name;
    if (sscanf(line, "member %llu %n", &id, &at) != 1 || at == 0 || id == 0 ||
        c->home.forming.nmembers == CR_WIRE_MEMBERS_MAX)
        return -1;
    address = line + at;
    name = strchr(address, ' ');
    if (!name) return -1;
    c->home.forming.members[c->home.forming.nmembers++] =
        (cr_who){.id = id,
                 .role = QD_COORD_VOTER,
                 .name = {name + 1, strlen(name + 1)},
                 .address = {address, (size_t)(name - address)}};
    return 0;
}

static int parse_state(qd_coord *c, char *line)
{
    for (int i = CR_NODE_FORMING; i <= CR_NODE_FORMED; i++)
        if (strcmp(line, states[i]) == 0) c->home.node_state = i;
    return c->home.node_state == CR_NODE_NEW ? -1 : 0;
}

/* Keeps text for the names in it. */
static int parse_node(qd_coord *c, char *text, size_t n)
{
    int format, at = 0;
    unsigned long long id, recoveries;
    char uuid[33], sum[24];
    if (n < 21) return -1;
    size_t end = n - 21; /* "sum ", 16 digits, newline: to the byte, A is not a */
    snprintf(sum, sizeof sum, "sum %016llx\n", (unsigned long long)cr_sum64(text, end, 0));
    if (memcmp(text + end, sum, 21) != 0) return -1;
    text[end] = 0;
    if (sscanf(text,
               "quidditch coordination-raft %d\nid %llu\ncluster %32[0-9a-f]\nrecoveries "
               "%llu\n%n",
               &format, &id, uuid, &recoveries, &at) != 4 ||
        at == 0 || format != FORMAT || id == 0 || strlen(uuid) != 32)
        return -1;
    c->raft_id = id;
    c->recoveries = recoveries;
    for (int i = 0; i < 16; i++) {
        char two[3] = {uuid[2 * i], uuid[2 * i + 1], 0};
        c->cluster[i] = (uint8_t)strtoul(two, NULL, 16);
    }
    char *line = text + at, *next;
    for (int first = 1; *line; line = next, first = 0) {
        next = strchr(line, '\n');
        if (!next) return -1;
        *next++ = 0;
        if (first ? parse_state(c, line) : parse_member(c, line)) return -1;
    }
    return c->home.node_state == CR_NODE_NEW ? -1 : 0;
}

static int32_t node_file(qd_coord *c, qd_err *err)
{
    enum { TEXT_MAX = 64 << 10 };
    char name[4096];
    join(c, "node", name);
    int fd = open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd >= 0) {
        char *text = cr_must(c->heap, TEXT_MAX + 1);
        ssize_t n = read(fd, text, TEXT_MAX);
        close(fd);
        cr_free(c->heap, c->home.forming_text);
        c->home.forming_text = text;
        if (n < 0) return failed(c, err, QD_E_IO, "reading", "node");
        text[n] = 0;
        if (parse_node(c, text, (size_t)n) == 0) return 0;
        int format = 0;
        if (sscanf(text, "quidditch coordination-raft %d\n", &format) == 1 && format != FORMAT)
            return qd_plug_fail(c->plugin->err, err, QD_E_UNSUPPORTED,
                                "coordination store %s is of format %d, this version reads %d: "
                                "start the %s version it was written by",
                                c->path, format, FORMAT, format > FORMAT ? "newer" : "older");
        return qd_plug_fail(c->plugin->err, err, QD_E_CORRUPT,
                            "coordination store %s: file node at offset 0: damaged (its checksum "
                            "covers all of it) or of another format",
                            c->path);
    }
    if (errno != ENOENT) return failed(c, err, QD_E_IO, "opening", "node");
    c->raft_id = c->plugin->rand->u64(c->plugin->self) >> 1;
    if (c->raft_id == 0) c->raft_id = 1;
    return 0;
}

/* Nothing is acknowledged before the node file is there: what an interrupted forming left is
 * removed. What it cannot have left speaks for a file that was lost. */
static int32_t begin_anew(qd_coord *c, const char *raft, qd_err *err)
{
    char name[4096];
    join(c, "state.db", name);
    int lost = access(name, F_OK) == 0;
    int32_t rc = 0;
    DIR *d = opendir(raft);
    if (!d) return failed(c, err, QD_E_IO, "reading", "raft");
    for (struct dirent *e; !lost && (e = readdir(d));) lost = strstr(e->d_name, ".snap") != NULL;
    rewinddir(d);
    for (struct dirent *e; !lost && rc == 0 && (e = readdir(d));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        if (unlinkat(dirfd(d), e->d_name, 0) != 0)
            rc = failed(c, err, QD_E_IO, "removing raft file", e->d_name);
    }
    closedir(d);
    if (lost)
        return qd_plug_fail(c->plugin->err, err, QD_E_CORRUPT,
                            "coordination store %s holds data, but its file node is gone", c->path);
    if (rc == 0 && sync_folder(raft)) rc = failed(c, err, QD_E_IO, "syncing", "raft");
    return rc;
}

int32_t cr_folder_open(qd_coord *c, qd_err *err)
{
    char raft[4096];
    int32_t rc = lock_it(c, err);
    if (rc) return rc;
    join(c, "raft", raft);
    int made = mkdir(raft, 0700) == 0;
    if (!made && errno != EEXIST) return failed(c, err, QD_E_IO, "creating", "raft");
    /* node must not outlive it */
    if (made && sync_folder(c->path)) return failed(c, err, QD_E_IO, "syncing", "the folder");
    rc = node_file(c, err);
    if (rc == 0 && c->home.node_state == CR_NODE_NEW && !made) rc = begin_anew(c, raft, err);
    struct stat st;
    char name[4096];
    join(c, "reserve", name);
    c->home.reserve_there = stat(name, &st) == 0;
    return rc;
}

int32_t cr_folder_write(qd_coord *c, int state)
{
    if (c->home.node_state == CR_NODE_NEW) c->home.young = 1;
    if (node_write(c, state)) return QD_E_IO;
    c->home.node_state = state;
    return 0;
}

void cr_folder_close(qd_coord *c)
{
    if (c->home.lock_fd >= 0) close(c->home.lock_fd);
    c->home.lock_fd = -1;
}

uint64_t cr_folder_free(qd_coord *c)
{
    struct statvfs v;
    return statvfs(c->path, &v) ? UINT64_MAX : (uint64_t)v.f_bavail * v.f_frsize;
}

void cr_reserve_spend(qd_coord *c)
{
    char name[4096];
    join(c, "reserve", name);
    c->home.reserve_there = 0;
    if (unlink(name) == 0)
        cr_say(c, QD_LEVEL_WARN, "the disk of %s is nearly full: living off the reserve", c->path);
}

void cr_reserve_fill(qd_coord *c)
{
    char name[4096];
    join(c, "reserve", name);
    int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return;
    if (posix_fallocate(fd, 0, (off_t)c->home.reserve_bytes) == 0)
        c->home.reserve_there = 1;
    else
        (void)unlink(name);
    close(fd);
}
