/* raft_disk.c: see raft_disk.h. */
#include "raft_disk.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SECTOR = 512 };

/* A write that was not synced. */
typedef struct pending {
    struct pending *next;
    uint64_t at, n; /* n 0: a cut to `at` */
    uint8_t bytes[];
} pending;

typedef struct inode {
    uint32_t refs;
    uint8_t *now, *kept; /* as read; as on the platter */
    uint64_t size, kept_size, cap;
    pending *first, *last;
} inode;

typedef struct name {
    char text[CR_NAME_MAX];
    inode *of;
} name;
typedef struct names {
    name *at;
    uint32_t n, cap;
} names;

/* A change of names that was not synced. */
typedef struct change {
    char from[CR_NAME_MAX], to[CR_NAME_MAX]; /* from empty: created; to empty: removed */
    inode *of;
} change;

struct sim_disk {
    cr_disk disk; /* first */
    names now, kept;
    change *changes;
    uint32_t nchanges, changes_cap;
    int full, fail_sync, dead;
    int64_t calls;
    void (*pause)(void *arg);
    void *pause_arg;
};
typedef struct handle {
    cr_file file; /* first */
    inode *of;
} handle;

static void *must(void *p)
{
    if (!p) abort();
    return p;
}

/* --- inodes --- */

static void inode_drop(inode *i)
{
    if (--i->refs) return;
    for (pending *p = i->first, *next; p; p = next) {
        next = p->next;
        free(p);
    }
    free(i->now);
    free(i->kept);
    free(i);
}

static void reach(inode *i, uint64_t size)
{
    if (size <= i->cap) return;
    uint64_t cap = i->cap ? i->cap : 1024;
    while (cap < size) cap *= 2;
    i->now = must(realloc(i->now, cap));
    i->kept = must(realloc(i->kept, cap));
    memset(i->now + i->cap, 0, cap - i->cap);
    memset(i->kept + i->cap, 0, cap - i->cap);
    i->cap = cap;
}

static void pend(inode *i, uint64_t at, const void *bytes, uint64_t n)
{
    pending *p = must(malloc(sizeof *p + n));
    *p = (pending){.at = at, .n = n};
    if (n) memcpy(p->bytes, bytes, n);
    if (i->last)
        i->last->next = p;
    else
        i->first = p;
    i->last = p;
}

static void pendings_free(inode *i)
{
    for (pending *p = i->first, *next; p; p = next) {
        next = p->next;
        free(p);
    }
    i->first = i->last = NULL;
}

static void cut(uint8_t *bytes, uint64_t *size, uint64_t to)
{
    if (to < *size) memset(bytes + to, 0, *size - to);
    *size = to;
}

/* --- names --- */

static name *find(const names *l, const char *text)
{
    for (uint32_t i = 0; i < l->n; i++)
        if (strcmp(l->at[i].text, text) == 0) return &l->at[i];
    return NULL;
}

static void unlink_name(names *l, const char *text)
{
    name *n = find(l, text);
    if (!n) return;
    inode_drop(n->of);
    *n = l->at[--l->n];
}

static void link_name(names *l, const char *text, inode *of)
{
    of->refs++;
    unlink_name(l, text);
    if (l->n == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 16;
        l->at = must(realloc(l->at, l->cap * sizeof *l->at));
    }
    name *n = &l->at[l->n++];
    snprintf(n->text, sizeof n->text, "%s", text);
    n->of = of;
}

static void names_free(names *l)
{
    for (uint32_t i = 0; i < l->n; i++) inode_drop(l->at[i].of);
    free(l->at);
    *l = (names){0};
}

static void note(sim_disk *d, const char *from, const char *to, inode *of)
{
    if (d->nchanges == d->changes_cap) {
        d->changes_cap = d->changes_cap ? d->changes_cap * 2 : 16;
        d->changes = must(realloc(d->changes, d->changes_cap * sizeof *d->changes));
    }
    change *c = &d->changes[d->nchanges++];
    snprintf(c->from, sizeof c->from, "%s", from);
    snprintf(c->to, sizeof c->to, "%s", to);
    c->of = of;
    of->refs++;
}

static void change_keep(sim_disk *d, const change *c)
{
    if (*c->from) {
        name *n = find(&d->kept, c->from);
        if (!n || n->of != c->of) return;
        if (*c->to) link_name(&d->kept, c->to, c->of);
        unlink_name(&d->kept, c->from);
    } else {
        link_name(&d->kept, c->to, c->of);
    }
}

static void changes_free(sim_disk *d)
{
    for (uint32_t i = 0; i < d->nchanges; i++) inode_drop(d->changes[i].of);
    d->nchanges = 0;
}

/* --- the calls --- */

static void take_time(sim_disk *d)
{
    if (d->pause) d->pause(d->pause_arg);
}

/* 0: the call has no effect any more. */
static int lives(sim_disk *d)
{
    if (d->calls == 0) d->dead = 1;
    if (d->calls > 0) d->calls--;
    return !d->dead;
}

static int32_t do_list(cr_disk *disk, void (*each)(void *arg, const char *name, uint64_t size),
                       void *arg)
{
    sim_disk *d = (sim_disk *)disk;
    if (d->dead) return QD_E_IO;
    for (uint32_t i = 0; i < d->now.n; i++) each(arg, d->now.at[i].text, d->now.at[i].of->size);
    return 0;
}

static cr_file *handle_make(cr_disk *disk, inode *of)
{
    handle *h = must(malloc(sizeof *h));
    *h = (handle){{disk}, of};
    of->refs++;
    return &h->file;
}

static int32_t do_open(cr_disk *disk, const char *text, cr_file **out)
{
    sim_disk *d = (sim_disk *)disk;
    name *n = find(&d->now, text);
    if (d->dead) return QD_E_IO;
    if (!n) return QD_E_NOTFOUND;
    *out = handle_make(disk, n->of);
    return 0;
}

static int32_t do_create(cr_disk *disk, const char *text, uint64_t size, cr_file **out)
{
    sim_disk *d = (sim_disk *)disk;
    if (!lives(d)) return QD_E_IO;
    if (d->full && size) return QD_E_NOSPACE;
    inode *i = must(calloc(1, sizeof *i));
    reach(i, size);
    i->size = i->kept_size = size; /* zeros whose place is certain */
    i->refs = 1;
    link_name(&d->now, text, i);
    note(d, "", text, i);
    *out = handle_make(disk, i);
    inode_drop(i);
    return 0;
}

static void do_close(cr_file *f)
{
    if (!f) return;
    inode_drop(((handle *)f)->of);
    free(f);
}

static int32_t do_read(cr_file *f, uint64_t at, void *p, size_t n, size_t *got)
{
    inode *i = ((handle *)f)->of;
    *got = 0;
    if (((sim_disk *)f->disk)->dead) return QD_E_IO;
    if (at >= i->size) return 0;
    *got = n < i->size - at ? n : i->size - at;
    memcpy(p, i->now + at, *got);
    return 0;
}

static int32_t do_write(cr_file *f, uint64_t at, const void *p, size_t n)
{
    sim_disk *d = (sim_disk *)f->disk;
    inode *i = ((handle *)f)->of;
    if (!lives(d)) return QD_E_IO;
    if (d->full && at + n > i->size) return QD_E_NOSPACE;
    reach(i, at + n);
    memcpy(i->now + at, p, n);
    if (at + n > i->size) i->size = at + n;
    pend(i, at, p, n);
    return 0;
}

static int32_t do_cut(cr_file *f, uint64_t size)
{
    inode *i = ((handle *)f)->of;
    if (!lives((sim_disk *)f->disk)) return QD_E_IO;
    reach(i, size);
    cut(i->now, &i->size, size);
    pend(i, size, NULL, 0);
    return 0;
}

static int32_t do_sync(cr_file *f)
{
    sim_disk *d = (sim_disk *)f->disk;
    inode *i = ((handle *)f)->of;
    take_time(d);
    if (!lives(d)) return QD_E_IO;
    for (const pending *p = d->fail_sync ? NULL : i->first; p; p = p->next) {
        if (!p->n) cut(i->kept, &i->kept_size, p->at);
        if (p->n) memcpy(i->kept + p->at, p->bytes, p->n);
        if (p->n && p->at + p->n > i->kept_size) i->kept_size = p->at + p->n;
    }
    pendings_free(i); /* after a failure, too: read back as if it were there, never written again */
    int32_t rc = d->fail_sync ? QD_E_IO : 0;
    d->fail_sync = 0;
    return rc;
}

static int32_t do_remove(cr_disk *disk, const char *text)
{
    sim_disk *d = (sim_disk *)disk;
    name *n = find(&d->now, text);
    if (!lives(d)) return QD_E_IO;
    if (!n) return QD_E_NOTFOUND;
    note(d, text, "", n->of);
    unlink_name(&d->now, text);
    return 0;
}

static int32_t do_rename(cr_disk *disk, const char *from, const char *to)
{
    sim_disk *d = (sim_disk *)disk;
    name *n = find(&d->now, from);
    if (!lives(d)) return QD_E_IO;
    if (!n) return QD_E_NOTFOUND;
    inode *of = n->of;
    note(d, from, to, of);
    link_name(&d->now, to, of);
    unlink_name(&d->now, from);
    return 0;
}

static int32_t do_sync_names(cr_disk *disk)
{
    sim_disk *d = (sim_disk *)disk;
    take_time(d);
    if (!lives(d)) return QD_E_IO;
    for (uint32_t i = 0; i < d->nchanges; i++) change_keep(d, &d->changes[i]);
    changes_free(d);
    return 0;
}

static uint64_t do_room(cr_disk *disk)
{
    return ((sim_disk *)disk)->full ? 0 : UINT64_MAX;
}

static void do_words(cr_disk *disk, char *out, size_t n)
{
    (void)disk;
    snprintf(out, n, "simulated");
}

/* --- life --- */

sim_disk *sim_disk_make(void)
{
    sim_disk *d = must(calloc(1, sizeof *d));
    d->disk = (cr_disk){.list = do_list,
                        .open = do_open,
                        .create = do_create,
                        .close = do_close,
                        .read = do_read,
                        .write = do_write,
                        .cut = do_cut,
                        .sync = do_sync,
                        .remove = do_remove,
                        .rename = do_rename,
                        .sync_names = do_sync_names,
                        .room = do_room,
                        .words = do_words};
    d->calls = -1;
    return d;
}

void sim_disk_free(sim_disk *d)
{
    if (!d) return;
    changes_free(d);
    names_free(&d->now);
    names_free(&d->kept);
    free(d->changes);
    free(d);
}

cr_disk *sim_disk_of(sim_disk *d)
{
    return &d->disk;
}

sim_disk *sim_disk_copy(const sim_disk *from)
{
    sim_disk *d = sim_disk_make();
    for (uint32_t k = 0; k < from->now.n; k++) {
        const inode *o = from->now.at[k].of;
        inode *i = must(calloc(1, sizeof *i));
        i->refs = 1;
        reach(i, o->size);
        if (o->size) memcpy(i->now, o->now, o->size);
        if (o->size) memcpy(i->kept, o->now, o->size);
        i->size = i->kept_size = o->size;
        link_name(&d->now, from->now.at[k].text, i);
        link_name(&d->kept, from->now.at[k].text, i);
        inode_drop(i);
    }
    return d;
}

sim_disk *sim_disk_take(sim_disk *d)
{
    sim_disk *to = sim_disk_make();
    to->now = d->now;
    to->kept = d->kept;
    to->changes = d->changes;
    to->nchanges = d->nchanges;
    to->changes_cap = d->changes_cap;
    to->full = d->full;
    d->now = d->kept = (names){0};
    d->changes = NULL;
    d->nchanges = d->changes_cap = 0;
    d->dead = 1;
    return to;
}

void sim_disk_pause(sim_disk *d, void (*fn)(void *arg), void *arg)
{
    d->pause = fn;
    d->pause_arg = arg;
}

void sim_disk_full(sim_disk *d, int full)
{
    d->full = full;
}

void sim_disk_fail_sync(sim_disk *d)
{
    d->fail_sync = 1;
}

void sim_disk_stop_after(sim_disk *d, int64_t calls)
{
    d->calls = calls;
    d->dead = 0;
}

/* --- loss of power --- */

typedef uint64_t random_of(void *arg, uint64_t below);

/* Some of a write's sectors reach the platter: none, all, or each by chance. */
static uint64_t keep_some(inode *i, const pending *p, random_of *random, void *arg)
{
    uint64_t how = random(arg, 4), lost = 0;
    if (how == 0) return p->n / SECTOR + 1;
    for (uint64_t at = p->at; at < p->at + p->n;) {
        uint64_t end = (at / SECTOR + 1) * SECTOR;
        if (end > p->at + p->n) end = p->at + p->n;
        if (how == 1 || random(arg, 2)) {
            memcpy(i->kept + at, p->bytes + (at - p->at), end - at);
            if (end > i->kept_size) i->kept_size = end;
        } else {
            lost++;
        }
        at = end;
    }
    return lost;
}

static uint64_t inode_crash(inode *i, random_of *random, void *arg)
{
    uint64_t lost = 0;
    for (pending *p = i->first; p; p = p->next) {
        if (p->n)
            lost += keep_some(i, p, random, arg);
        else if (random(arg, 2))
            cut(i->kept, &i->kept_size, p->at);
    }
    pendings_free(i);
    if (i->cap) memcpy(i->now, i->kept, i->cap);
    i->size = i->kept_size;
    return lost;
}

uint64_t sim_disk_crash(sim_disk *d, int power, random_of *random, void *arg)
{
    uint64_t lost = 0;
    d->dead = d->fail_sync = 0;
    d->calls = -1;
    if (!power) return 0;
    /* names: in order up to some moment, or any of them */
    uint64_t upto = random(arg, d->nchanges + 1), any = random(arg, 3) == 0;
    for (uint32_t i = 0; i < d->nchanges; i++) {
        if (any ? random(arg, 2) : i < upto)
            change_keep(d, &d->changes[i]);
        else
            lost++;
    }
    changes_free(d);
    names_free(&d->now);
    for (uint32_t i = 0; i < d->kept.n; i++) {
        lost += inode_crash(d->kept.at[i].of, random, arg);
        link_name(&d->now, d->kept.at[i].text, d->kept.at[i].of);
    }
    return lost;
}

/* --- damage --- */

static int ends(const char *s, const char *tail)
{
    size_t n = strlen(s), k = strlen(tail);
    return n >= k && strcmp(s + n - k, tail) == 0;
}

uint32_t sim_disk_count(sim_disk *d, const char *tail)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < d->now.n; i++) n += (uint32_t)ends(d->now.at[i].text, tail);
    return n;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(((const name *)a)->text, ((const name *)b)->text);
}

const char *sim_disk_pick(sim_disk *d, const char *tail, uint64_t k)
{
    if (d->now.n) qsort(d->now.at, d->now.n, sizeof *d->now.at, by_text);
    for (uint32_t i = 0; i < d->now.n; i++)
        if (ends(d->now.at[i].text, tail) && k-- == 0) return d->now.at[i].text;
    return NULL;
}

uint64_t sim_disk_size(sim_disk *d, const char *text)
{
    name *n = find(&d->now, text);
    return n ? n->of->size : 0;
}

void sim_disk_flip(sim_disk *d, const char *text, uint64_t at, uint8_t bits)
{
    name *n = find(&d->now, text);
    if (!n || at >= n->of->size) return;
    n->of->now[at] ^= bits;
    n->of->kept[at] ^= bits;
}

void sim_disk_lose(sim_disk *d, const char *text)
{
    char own[CR_NAME_MAX];
    snprintf(own, sizeof own, "%s", text);
    unlink_name(&d->now, own);
    unlink_name(&d->kept, own);
}

void sim_disk_wipe(sim_disk *d, const char *text, uint64_t at)
{
    name *n = find(&d->now, text);
    if (!n || at >= n->of->size) return;
    memset(n->of->now + at, 0, n->of->size - at);
    memset(n->of->kept + at, 0, n->of->kept_size > at ? n->of->kept_size - at : 0);
}
