/* storage_names.c: lists by cursor, folders, and removal of many names. */
#include "storage_suite.h"
#include <stdlib.h>
#include <time.h>

typedef struct listing {
    char names[1200][64];
    uint64_t sizes[1200];
    uint32_t types[1200];
    uint32_t n;
    qd_storage_stat entries[QD_STORAGE_NAMES_MAX];
    char room[QD_STORAGE_NAMES_MAX * 256];
} listing;

/* What a list that lags behind cannot have missed any more. */
static void settle(suite *s)
{
    qd_storage_info info = {.struct_size = sizeof info};
    if (!(s->vt->head.flags & QD_STORAGE_STALE_LIST)) return;
    s->vt->info(s->st, &info);
    int64_t ns = info.list_lag_ns + info.list_lag_ns / 4;
    struct timespec t = {.tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000)};
    nanosleep(&t, NULL);
}

/* All pages, of `limit` names each. */
static int32_t whole(suite *s, qd_str prefix, uint32_t flags, uint32_t limit, listing *l)
{
    char after[256];
    qd_storage_list page = {.struct_size = sizeof page,
                            .flags = flags,
                            .prefix = prefix,
                            .entries = l->entries,
                            .names = l->room,
                            .limit = limit};
    l->n = 0;
    do {
        int32_t rc = s->vt->list(s->st, &page, &s->call);
        if (rc) return rc;
        if (page.nentries > limit || (page.more && page.nentries == 0)) return QD_E_LIMIT;
        for (uint32_t i = 0; i < page.nentries && l->n < COUNT(l->names); i++, l->n++) {
            const qd_storage_stat *e = &l->entries[i];
            snprintf(l->names[l->n], sizeof l->names[0], "%.*s", (int)e->name.n, e->name.p);
            l->sizes[l->n] = e->size;
            l->types[l->n] = e->type;
        }
        if (page.nentries) {
            qd_str last = l->entries[page.nentries - 1].name;
            memcpy(after, last.p, last.n);
            page.start_after = (qd_str){after, last.n};
        }
    } while (page.more);
    return 0;
}

static listing *listing_make(suite *s)
{
    settle(s);
    return calloc(1, sizeof(listing));
}

static const char *const some[] = {"list/B",   "list/a-x", "list/a.b",
                                   "list/a/x", "list/a0",  "list/b/c/d"};

static void check_lists(suite *s, listing *l)
{
    CHECK_EQ(s->c, whole(s, S("list/"), 0, QD_STORAGE_NAMES_MAX, l), 0);
    CHECK_EQ(s->c, l->n, COUNT(some));
    for (size_t i = 0; i < COUNT(some); i++) {
        CHECK(s->c, strcmp(l->names[i], some[i]) == 0);
        CHECK_EQ(s->c, l->sizes[i], i * 10);
    }
    CHECK_EQ(s->c, whole(s, S("list/a"), 0, QD_STORAGE_NAMES_MAX, l), 0);
    CHECK_EQ(s->c, l->n, 4);
    CHECK_EQ(s->c, whole(s, S("nowhere/"), 0, QD_STORAGE_NAMES_MAX, l), 0);
    CHECK_EQ(s->c, l->n, 0);
    qd_storage_list none = {.struct_size = sizeof none, .entries = l->entries, .names = l->room};
    CHECK_EQ(s->c, s->vt->list(s->st, &none, NULL), QD_E_ARG); /* no room for a name */
}

void storage_suite_lists(suite *s)
{
    for (size_t i = COUNT(some); i-- > 0;)
        CHECK_EQ(s->c, storage_suite_put(s, some[i], i, i * 10), 0);
    qd_storage_put *put;
    CHECK_EQ(s->c, s->vt->put_begin(s->st, S("list/unfinished"), 0, &put, &s->call), 0);
    CHECK_EQ(s->c, s->vt->put_write(put, "x", 1, &s->call), 0);
    listing *l = listing_make(s);
    if (l) check_lists(s, l);
    free(l);
    s->vt->put_abort(put);
}

static void check_cursors(suite *s, listing *l)
{
    static const uint32_t limits[] = {1, 2, 3, 7, 24, 25, 26};
    static char all[25][64];
    CHECK_EQ(s->c, whole(s, S("cursor/"), 0, QD_STORAGE_NAMES_MAX, l), 0);
    CHECK_EQ(s->c, l->n, COUNT(all));
    for (size_t k = 0; k < COUNT(all); k++) memcpy(all[k], l->names[k], 64);
    for (size_t i = 0; i < COUNT(limits); i++) {
        CHECK_EQ(s->c, whole(s, S("cursor/"), 0, limits[i], l), 0);
        CHECK_EQ(s->c, l->n, COUNT(all));
        for (size_t k = 0; k < COUNT(all); k++) CHECK(s->c, strcmp(l->names[k], all[k]) == 0);
    }
    /* A cursor need not be a name, and may stand before the prefix or behind it. */
    qd_storage_list page = {.struct_size = sizeof page,
                            .prefix = S("cursor/f2/"),
                            .start_after = S("cursor/f2/n12a"),
                            .entries = l->entries,
                            .names = l->room,
                            .limit = 1};
    CHECK_EQ(s->c, s->vt->list(s->st, &page, &s->call), 0);
    CHECK(s->c, page.nentries == 1 && page.more == 1);
    CHECK(s->c, memcmp(page.entries[0].name.p, "cursor/f2/n13", 13) == 0);
    page.start_after = S("a");
    CHECK_EQ(s->c, s->vt->list(s->st, &page, &s->call), 0);
    CHECK(s->c, page.nentries == 1 && memcmp(l->entries[0].name.p, "cursor/f2/n10", 13) == 0);
    page.start_after = S("x");
    CHECK_EQ(s->c, s->vt->list(s->st, &page, &s->call), 0);
    CHECK(s->c, page.nentries == 0 && page.more == 0);
}

void storage_suite_cursors(suite *s)
{
    for (int i = 0; i < 25; i++) {
        char name[64];
        snprintf(name, sizeof name, "cursor/f%d/n%02d", i / 5, i);
        CHECK_EQ(s->c, storage_suite_put(s, name, 1, 3), 0);
    }
    listing *l = listing_make(s);
    if (l) check_cursors(s, l);
    free(l);
}

static void check_folders(suite *s, listing *l)
{
    static const char *const at_top[] = {"folds/a-b", "folds/a/", "folds/a0", "folds/b/",
                                         "folds/c"};
    for (uint32_t limit = 1; limit <= 6; limit++) {
        CHECK_EQ(s->c, whole(s, S("folds/"), QD_STORAGE_LIST_FOLDERS, limit, l), 0);
        CHECK_EQ(s->c, l->n, COUNT(at_top));
        for (size_t i = 0; i < COUNT(at_top); i++) {
            int folder = at_top[i][strlen(at_top[i]) - 1] == '/';
            CHECK(s->c, strcmp(l->names[i], at_top[i]) == 0);
            CHECK_EQ(s->c, l->types[i] == QD_STORAGE_FOLDER, folder);
        }
    }
    CHECK_EQ(s->c, whole(s, S("folds/a"), QD_STORAGE_LIST_FOLDERS, 10, l), 0);
    CHECK_EQ(s->c, l->n, 3);
}

void storage_suite_folders(suite *s)
{
    static const char *const names[] = {"folds/a/x", "folds/a/y/z", "folds/a-b",
                                        "folds/a0",  "folds/b/w",   "folds/c"};
    for (size_t i = 0; i < COUNT(names); i++)
        CHECK_EQ(s->c, storage_suite_put(s, names[i], 1, 3), 0);
    listing *l = listing_make(s);
    if (l) check_folders(s, l);
    free(l);
}

void storage_suite_remove_many(suite *s)
{
    static char text[QD_STORAGE_NAMES_MAX + 1][32];
    static qd_str names[QD_STORAGE_NAMES_MAX + 1];
    uint32_t removed = 0;
    for (uint32_t i = 0; i <= QD_STORAGE_NAMES_MAX; i++) {
        snprintf(text[i], sizeof text[i], "many/%u/n%u", i % 3, i);
        names[i] = str_c(text[i]);
        if (i % 25 == 0) CHECK_EQ(s->c, storage_suite_put(s, text[i], 1, 3), 0);
    }
    CHECK_EQ(s->c, s->vt->remove(s->st, names, QD_STORAGE_NAMES_MAX + 1, NULL, NULL), QD_E_ARG);
    CHECK_EQ(s->c, s->vt->remove(s->st, names, 0, NULL, NULL), QD_E_ARG);
    CHECK_EQ(s->c, s->vt->remove(s->st, names, QD_STORAGE_NAMES_MAX, &removed, &s->call), 0);
    CHECK(s->c, removed == QD_STORAGE_NAMES_MAX || removed <= 40);
    for (uint32_t i = 0; i < QD_STORAGE_NAMES_MAX; i += 25) {
        qd_storage_stat st;
        CHECK_EQ(s->c, s->vt->stat(s->st, names[i], &st, NULL), QD_E_NOTFOUND);
    }
    listing *l = listing_make(s);
    CHECK(s->c, l != NULL);
    int32_t rc = whole(s, S("many/"), 0, 10, l);
    uint32_t left = l->n;
    free(l);
    CHECK_EQ(s->c, rc, 0);
    CHECK_EQ(s->c, left, 1); /* the name behind those given */
}
