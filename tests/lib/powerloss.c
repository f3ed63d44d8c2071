/*
 * powerloss.c: makes the folder that a power loss could have left.
 *
 *   powerloss LOG OUT SEED CUT [all|none]
 *                                  records up to number CUT happened; OUT must not exist
 *   powerloss LOG                  prints the last number, which syncs failed, and what the
 * recorder could not follow
 *
 * Content of a file and names of a folder each have a durable state and a list of changes since.
 * A sync applies the changes recorded before it began. What is left in the lists at the cut may
 * have happened or not, in any combination: by SEED (or as said) all, none, or each by itself, torn
 * at 512 bytes; the two halves of a rename go together, as journaling file systems have it.
 *
 * A sync that failed leaves clean pages: what they hold is on no list, and is lost unless something
 * is written to the same page again. The file's size is the file system's own and comes with the
 * next sync, zeros in it.
 */
#define _GNU_SOURCE
#include "lib/record.h"
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECTOR 512u
#define PAGE 4096u

typedef struct node node;

/* A change of content not yet durable. */
typedef struct change {
    struct change *next;
    uint64_t seq, offset, len;
    const uint8_t *data; /* in the log; NULL: truncation to offset */
    bool grows;          /* no data: the size is offset + len at least */
} change;

typedef struct name {
    struct name *next;
    char *text;
    node *to;
} name;

/* A change of one folder's names; group: the halves of a rename. */
typedef struct naming {
    struct naming *next;
    uint64_t seq;
    node *dir, *to; /* to NULL: removed */
    char *text;
    struct naming *twin;
    bool done;
} naming;

struct node {
    node *all;
    uint64_t ino;
    bool folder, written;
    uint8_t *bytes;
    uint64_t len, cap;
    change *changes, **end;
    change *clean;     /* what failed syncs left: newest last */
    name *names, *now; /* of a folder: durable, and as programs saw them */
};

static node *nodes, *root;
static node **by_ino; /* present node of an inode number: open addressing */
static size_t ino_cap = 1u << 16, nino;
static naming *namings, **namings_end = &namings;
static uint64_t rnd_state;

static void *xalloc(size_t n)
{
    void *p = calloc(1, n ? n : 1);
    if (!p) {
        fprintf(stderr, "powerloss: out of memory\n");
        exit(2);
    }
    return p;
}

static uint64_t rnd(void)
{
    uint64_t z = (rnd_state += 0x9E3779B97F4A7C15ull);
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ z >> 27) * 0x94D049BB133111EBull;
    return z ^ z >> 31;
}

static size_t ino_slot(uint64_t ino)
{
    size_t i = ino * 0x9E3779B97F4A7C15ull % ino_cap;
    while (by_ino[i] && by_ino[i]->ino != ino) i = (i + 1) % ino_cap;
    return i;
}

static node *find(uint64_t ino)
{
    return by_ino[ino_slot(ino)];
}

/* A new file or folder takes the inode number over from a removed one. */
static node *make(uint64_t ino, bool folder)
{
    node *x = xalloc(sizeof *x);
    x->ino = ino;
    x->folder = folder;
    x->end = &x->changes;
    x->all = nodes;
    nodes = x;
    size_t i = ino_slot(ino);
    if (!by_ino[i] && ++nino * 2 > ino_cap) {
        fprintf(stderr, "powerloss: too many files\n");
        exit(2);
    }
    by_ino[i] = x;
    return x;
}

/* ---- content -----------------------------------------------------------------------------------
 */

static void apply_bytes(node *x, uint64_t offset, const uint8_t *p, uint64_t n)
{
    if (offset + n > x->cap) {
        uint64_t cap = (offset + n) * 3 / 2 + 4096;
        uint8_t *q = xalloc(cap);
        if (x->len) memcpy(q, x->bytes, x->len);
        free(x->bytes);
        x->bytes = q;
        x->cap = cap;
    }
    memcpy(x->bytes + offset, p, n);
    if (offset + n > x->len) x->len = offset + n;
}

static void apply_size(node *x, uint64_t size)
{
    if (size <= x->len) {
        memset(x->bytes + size, 0, x->len - size);
    } else {
        uint64_t len = x->len;
        apply_bytes(x, size, (const uint8_t *)"", 0);
        memset(x->bytes + len, 0, size - len);
    }
    x->len = size;
}

static void apply(node *x, const change *c)
{
    if (c->data) {
        apply_bytes(x, c->offset, c->data, c->len);
    } else if (c->grows) {
        if (c->offset + c->len > x->len) apply_size(x, c->offset + c->len);
    } else {
        apply_size(x, c->offset);
    }
}

/* Changes recorded before seq become durable. */
static void sync_content(node *x, uint64_t seq)
{
    change **at = &x->changes;
    while (*at) {
        change *c = *at;
        if (c->seq >= seq) {
            at = &c->next;
            continue;
        }
        apply(x, c);
        *at = c->next;
        free(c);
    }
    x->end = at;
}

/* Everything recorded before seq is clean, and not on the disk. */
static void fail_content(node *x, uint64_t seq)
{
    change **end = &x->clean;
    while (*end) end = &(*end)->next;
    for (change *c = x->changes; c; c = c->next) {
        if (c->seq >= seq || !c->data) continue;
        change *left = xalloc(sizeof *left);
        *left = *c;
        left->next = NULL;
        *end = left;
        end = &left->next;
        c->data = NULL;
        c->grows = true;
    }
}

/* A write or a cut at [from, to): the pages it touches are dirty again, with all they hold. */
static void redirty(node *x, uint64_t seq, uint64_t from, uint64_t to)
{
    from = from / PAGE * PAGE;
    to = (to + PAGE - 1) / PAGE * PAGE;
    for (change *c = x->clean; c; c = c->next) {
        uint64_t end = c->offset + c->len;
        uint64_t a = c->offset > from ? c->offset : from, b = end < to ? end : to;
        if (a >= b) continue;
        change *again = xalloc(sizeof *again), *rest = xalloc(sizeof *rest);
        *again = (change){.seq = seq, .offset = a, .len = b - a, .data = c->data + (a - c->offset)};
        *x->end = again;
        x->end = &again->next;
        *rest = (change){c->next, c->seq, b, end - b, c->data + (b - c->offset), false};
        c->len = a - c->offset;
        c->next = rest;
        c = rest;
    }
}

/* What older writes left in the cache below a newer durable one is gone. */
static void supersede(node *x, const change *by)
{
    change **at = &x->changes;
    while (*at) {
        change *c = *at;
        if (c->seq < by->seq && c->data && c->offset >= by->offset &&
            c->offset + c->len <= by->offset + by->len) {
            *at = c->next;
            free(c);
        } else {
            at = &c->next;
        }
    }
    x->end = at;
}

static void cut_clean(node *x, uint64_t size)
{
    for (change *c = x->clean; c; c = c->next) {
        if (c->offset + c->len > size) c->len = c->offset < size ? size - c->offset : 0;
    }
}

static void add_change(node *x, uint64_t seq, uint64_t offset, const uint8_t *data, uint64_t len,
                       bool synchronous)
{
    change *c = xalloc(sizeof *c);
    *c = (change){.seq = seq, .offset = offset, .len = len, .data = data};
    redirty(x, seq, offset, offset + (data ? len : 1));
    if (!data) cut_clean(x, offset);
    *x->end = c;
    x->end = &c->next;
    /* A synchronous write is durable itself; what stood in the cache before it need not be. */
    if (synchronous) {
        supersede(x, c);
        apply(x, c);
        for (change **at = &x->changes; *at; at = &(*at)->next) {
            if (*at != c) continue;
            *at = c->next;
            if (!c->next) x->end = at;
            free(c);
            break;
        }
    }
}

static void end_write(uint64_t seq, bool failed)
{
    for (node *x = nodes; x; x = x->all) {
        for (change **at = &x->changes; *at; at = &(*at)->next) {
            change *c = *at;
            if (c->seq != seq) continue;
            *at = c->next;
            if (!c->next) x->end = at;
            if (!failed) supersede(x, c);
            if (!failed) apply(x, c);
            free(c);
            return;
        }
    }
}

/* ---- names -------------------------------------------------------------------------------------
 */

static name **find_name(name **table, const char *text)
{
    while (*table && strcmp((*table)->text, text) != 0) table = &(*table)->next;
    return table;
}

static void set_name(name **table, const char *text, node *to)
{
    name **at = find_name(table, text);
    if (*at && to) {
        (*at)->to = to;
    } else if (*at) {
        *at = (*at)->next;
    } else if (to) {
        name *n = xalloc(sizeof *n);
        n->text = strdup(text);
        n->to = to;
        *at = n;
    }
}

static naming *add_naming(uint64_t seq, node *dir, const char *text, node *to)
{
    naming *g = xalloc(sizeof *g);
    *g = (naming){.seq = seq, .dir = dir, .to = to, .text = strdup(text)};
    *namings_end = g;
    namings_end = &g->next;
    set_name(&dir->now, text, to);
    return g;
}

static void sync_names(node *dir, uint64_t seq)
{
    for (naming *g = namings; g; g = g->next) {
        if (!g->done && g->seq < seq &&
            (!dir || g->dir == dir || (g->twin && g->twin->dir == dir))) {
            set_name(&g->dir->names, g->text, g->to);
            g->done = true;
        }
    }
    naming **at = &namings;
    while (*at) {
        if ((*at)->done) {
            *at = (*at)->next;
        } else {
            at = &(*at)->next;
        }
    }
    namings_end = at;
}

/* ---- reading the log
 * ----------------------------------------------------------------------------- */

static uint8_t *load(const char *path, size_t *n)
{
    struct stat st;
    int fd = open(path, O_RDONLY);
    if (fd < 0 || fstat(fd, &st) != 0) {
        perror(path);
        exit(2);
    }
    uint8_t *p = xalloc((size_t)st.st_size + 1);
    size_t have = 0;
    while (have < (size_t)st.st_size) {
        ssize_t k = read(fd, p + have, (size_t)st.st_size - have);
        if (k <= 0) break;
        have += (size_t)k;
    }
    close(fd);
    *n = have;
    return p;
}

static char *text_of(const uint8_t *p, size_t n)
{
    char *s = xalloc(n + 1);
    memcpy(s, p, n);
    return s;
}

static void take_rename(const record *r, const uint8_t *data)
{
    node *a = find(r->a), *b = find(r->b);
    char *from = text_of(data, r->text), *to = text_of(data + r->text, r->more);
    name **at = a ? find_name(&a->now, from) : NULL;
    if (at && *at && b) {
        node *x = (*at)->to;
        naming *in = add_naming(r->seq, b, to, x), *out = add_naming(r->seq, a, from, NULL);
        in->twin = out;
        out->twin = in;
    }
    free(from);
    free(to);
}

static void take_sync(const record *r)
{
    if (r->ino == 0) {
        for (node *x = nodes; x; x = x->all) sync_content(x, r->a);
        sync_names(NULL, r->a);
        return;
    }
    node *x = find(r->ino);
    if (!x) return;
    sync_content(x, r->a);
    if (x->folder) sync_names(x, r->a);
}

static void take(const record *r, const uint8_t *data)
{
    node *x = r->ino ? find(r->ino) : NULL, *dir;
    char *s;
    switch (r->kind) {
    case RECORD_ROOT:
        if (!x) x = make(r->ino, true);
        if (!root) root = x;
        break;
    case RECORD_FILE:
    case RECORD_DIR:
    case RECORD_LINK:
        dir = find(r->a);
        s = text_of(data, r->text);
        if (r->kind != RECORD_LINK) x = make(r->ino, r->kind == RECORD_DIR);
        if (dir && x) add_naming(r->seq, dir, s, x);
        free(s);
        break;
    case RECORD_UNLINK:
        dir = find(r->a);
        s = text_of(data, r->text);
        if (dir) add_naming(r->seq, dir, s, NULL);
        free(s);
        break;
    case RECORD_RENAME:
        take_rename(r, data);
        break;
    case RECORD_WRITE:
        if (x) add_change(x, r->seq, r->a, data, r->text, r->b & 1);
        break;
    case RECORD_TRUNCATE:
        if (x) add_change(x, r->seq, r->a, NULL, 0, false);
        break;
    case RECORD_SYNC_END:
        take_sync(r);
        break;
    case RECORD_SYNC_FAILED:
        if (x) fail_content(x, r->a);
        break;
    case RECORD_WRITE_DONE:
        end_write(r->a, r->b != 0);
        break;
    default:
        break;
    }
}

/* ---- the loss
 * ------------------------------------------------------------------------------------ */

static void lose_content(node *x, unsigned taste)
{
    for (change *c = x->changes; c; c = c->next) {
        unsigned dice = taste == 0 ? 0 : taste == 1 ? 1 : (unsigned)(rnd() % 4);
        if (dice == 0 || (dice == 2 && !c->data)) {
            apply(x, c);
        } else if (dice == 2 || dice == 3) { /* torn: some of its sectors */
            for (uint64_t at = 0; c->data && at < c->len;) {
                uint64_t to = ((c->offset + at) / SECTOR + 1) * SECTOR - c->offset;
                if (to > c->len) to = c->len;
                if (rnd() & 1) apply_bytes(x, c->offset + at, c->data + at, to - at);
                at = to;
            }
        }
    }
}

static void lose_names(unsigned taste)
{
    for (naming *g = namings; g; g = g->next) {
        bool keep = taste == 0 || (taste == 2 && (rnd() & 1));
        if (g->done || !keep) {
            g->done = true;
            if (g->twin) g->twin->done = true; /* dropped together */
            continue;
        }
        set_name(&g->dir->names, g->text, g->to);
        if (g->twin) {
            set_name(&g->twin->dir->names, g->twin->text, g->twin->to);
            g->twin->done = true;
        }
        g->done = true;
    }
}

static int write_out(const node *dir, const char *path, int depth)
{
    if (depth > 64 || mkdir(path, 0700) != 0) {
        perror(path);
        return -1;
    }
    for (const name *n = dir->names; n; n = n->next) {
        char next[4096];
        if (snprintf(next, sizeof next, "%s/%s", path, n->text) >= (int)sizeof next) return -1;
        if (n->to->folder) {
            if (write_out(n->to, next, depth + 1)) return -1;
            continue;
        }
        int fd = open(next, O_WRONLY | O_CREAT | O_EXCL, 0600);
        for (uint64_t at = 0; fd >= 0 && at < n->to->len;) {
            ssize_t k = write(fd, n->to->bytes + at, n->to->len - at);
            if (k <= 0) {
                perror(next);
                return -1;
            }
            at += (uint64_t)k;
        }
        if (fd < 0 || close(fd) != 0) return -1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    bool make = argc == 5 || argc == 6;
    if (argc != 2 && !make) {
        fprintf(stderr, "usage: powerloss LOG [OUT SEED CUT [all|none]]\n");
        return 2;
    }
    size_t n;
    uint8_t *log = load(argv[1], &n);
    uint64_t cut = make ? strtoull(argv[4], NULL, 10) : UINT64_MAX, last = 0;
    rnd_state = make ? strtoull(argv[3], NULL, 10) * 0x2545F4914F6CDD1Dull : 0;
    by_ino = xalloc(ino_cap * sizeof *by_ino);
    for (size_t at = 0; at + sizeof(record) <= n;) {
        record r;
        memcpy(&r, log + at, sizeof r);
        at += sizeof r;
        if (r.magic != RECORD_MAGIC || r.text > n - at || r.more > n - at - r.text) {
            fprintf(stderr, "powerloss: %s is damaged at %zu\n", argv[1], at - sizeof r);
            return 2;
        }
        if (r.seq > last) last = r.seq;
        if (r.kind == RECORD_UNSEEN && argc == 2) printf("unseen: %.*s\n", (int)r.text, log + at);
        if (r.kind == RECORD_SYNC_FAILED && argc == 2)
            printf("failed: %llu %.*s\n", (unsigned long long)r.seq, (int)r.text, log + at);
        if (r.seq <= cut && make) take(&r, log + at);
        at += r.text + r.more;
    }
    if (argc == 2) {
        printf("last: %llu\n", (unsigned long long)last);
        return 0;
    }
    if (!root) {
        fprintf(stderr, "powerloss: the log names no root\n");
        return 2;
    }
    /* One taste a run for names, one for each file: mixed losses find what uniform ones do not. */
    bool said = argc == 6;
    unsigned taste = said && strcmp(argv[5], "all") != 0;
    lose_names(said ? taste : (unsigned)(rnd() % 3));
    for (node *x = nodes; x; x = x->all) {
        if (!x->folder) lose_content(x, said ? taste : (unsigned)(rnd() % 3));
    }
    return write_out(root, argv[2], 0) ? 2 : 0;
}
