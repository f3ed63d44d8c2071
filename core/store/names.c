/* names.c: lists, removal, copies and setting aside. See store.h. */
#include "base/str.h"
#include "store/store_int.h"
#include <stdio.h>

#define PAGE_LOCAL 128u /* names of a page where a page costs no request */
#define NAME_ROOM (STORE_NAME_MAX + 1)
#define COPY_BYTES (1u << 20)

typedef struct lister {
    int (*each)(void *arg, qd_str name, uint64_t bytes);
    int (*all)(void *arg, qd_str name, bool ours);
    void *arg;
} lister;

static int list_one(const lister *l, const qd_storage_stat *st)
{
    bool ours = st->type != QD_STORAGE_UNKNOWN;
    if (l->all) return l->all(l->arg, st->name, ours);
    return ours ? l->each(l->arg, st->name, st->size) : 0;
}

/* Room for the pages of one list, on the heap; the cursor is a copy of the last name. */
typedef struct pages {
    qd_storage_list list;
    char after[NAME_ROOM];
    qd_storage_stat entries[];
} pages;

static pages *pages_make(const qd_store *s, qd_str prefix)
{
    uint32_t limit = s->caps & QD_STORE_REMOTE ? QD_STORAGE_NAMES_MAX : PAGE_LOCAL;
    size_t entries = limit * sizeof(qd_storage_stat);
    pages *p = qd_alloc(NULL, sizeof *p + entries + (size_t)limit * NAME_ROOM);
    if (!p) return NULL;
    p->list = (qd_storage_list){.struct_size = sizeof p->list,
                                .prefix = prefix,
                                .entries = p->entries,
                                .names = (char *)p->entries + entries,
                                .limit = limit};
    return p;
}

/* Fetches the next page. */
static int pages_next(qd_store *s, pages *p, qd_err *err)
{
    store_try t;
    int32_t rc;
    if (p->list.nentries) {
        qd_str last = p->list.entries[p->list.nentries - 1].name;
        qd_assert(last.n < sizeof p->after);
        memcpy(p->after, last.p, last.n);
        p->list.start_after = (qd_str){p->after, last.n};
    }
    qdi_try_begin(&t, s, TRY_READ, err);
    do rc = s->vt.list(s->tier, &p->list, &t.call);
    while (qdi_try_again(&t, rc));
    if (rc < 0) return qdi_tier_error(err, rc, "listing", p->list.prefix);
    if (p->list.nentries > p->list.limit || (p->list.more && !p->list.nentries)) {
        return qd_err_set(err, QD_E_PLUGIN, "listing %.*s: the tier gave a page of %u names",
                          QD_STR_ARG(p->list.prefix), p->list.nentries);
    }
    return 0;
}

static int list_names(qd_store *s, qd_str prefix, const lister *l, qd_err *err)
{
    QD_CHECK(s, STORE_MAGIC);
    int rc = qdi_name_check(prefix, true, err);
    if (rc) return rc;
    pages *p = pages_make(s, prefix);
    if (!p) return qd_err_nomem(err, "names of a list");
    do {
        rc = pages_next(s, p, err);
        for (uint32_t i = 0; !rc && i < p->list.nentries; i++)
            rc = list_one(l, &p->list.entries[i]);
    } while (!rc && p->list.more);
    qd_free(p);
    return rc;
}

int qd_store_list(qd_store *s, qd_str prefix, int (*each)(void *arg, qd_str name, uint64_t bytes),
                  void *arg, qd_err *err)
{
    return list_names(s, prefix, &(lister){.each = each, .arg = arg}, err);
}

int qd_store_list_all(qd_store *s, qd_str prefix, int (*each)(void *arg, qd_str name, bool ours),
                      void *arg, qd_err *err)
{
    return list_names(s, prefix, &(lister){.all = each, .arg = arg}, err);
}

static qd_str folder_of(qd_str name)
{
    for (size_t i = name.n; i > 0; i--) {
        if (name.p[i - 1] == '/') return (qd_str){name.p, i - 1};
    }
    return (qd_str){"", 0};
}

static int32_t sync_dir(qd_store *s, qd_str folder, qd_err *err)
{
    store_try t;
    int32_t rc;
    if (!(s->vt.head.flags & QD_STORAGE_LAZY)) return 0;
    qdi_try_begin(&t, s, TRY_WRITE, err);
    do rc = s->vt.sync_dir(s->tier, folder, &t.call);
    while (qdi_try_again(&t, rc));
    return rc;
}

static int32_t remove_names(qd_store *s, const qd_str *names, uint32_t n, uint32_t *removed,
                            qd_err *err)
{
    store_try t;
    int32_t rc;
    uint32_t gone = 0;
    qdi_try_begin(&t, s, TRY_WRITE, err);
    do rc = s->vt.remove(s->tier, names, n, &gone, &t.call);
    while (qdi_try_again(&t, rc));
    *removed = t.unsure ? n : gone; /* the first try may have removed some */
    return rc;
}

int qd_store_delete(qd_store *s, qd_str name, qd_err *err)
{
    QD_CHECK(s, STORE_MAGIC);
    int rc = qdi_name_check(name, false, err);
    if (rc) return rc;
    uint32_t removed = 0;
    rc = remove_names(s, &name, 1, &removed, err);
    if (rc >= 0 && removed) rc = sync_dir(s, folder_of(name), err);
    return qdi_tier_error(err, rc, "removing", name);
}

int qd_store_delete_many(qd_store *s, const qd_str *names, size_t n, qd_err *err)
{
    QD_CHECK(s, STORE_MAGIC);
    for (size_t i = 0; i < n; i++) {
        int rc = qdi_name_check(names[i], false, err);
        if (rc) return rc;
    }
    for (size_t from = 0; from < n; from += QD_STORAGE_NAMES_MAX) {
        size_t k = n - from < QD_STORAGE_NAMES_MAX ? n - from : QD_STORAGE_NAMES_MAX;
        uint32_t removed;
        int32_t rc = remove_names(s, names + from, (uint32_t)k, &removed, err);
        if (rc < 0) return qdi_tier_error(err, rc, "removing", names[from]);
    }
    qd_str synced = {NULL, 0};
    for (size_t i = 0; i < n; i++) { /* one sync a run of names of one folder */
        qd_str folder = folder_of(names[i]);
        if (synced.p && qd_str_eq(synced, folder)) continue;
        int32_t rc = sync_dir(s, folder, err);
        if (rc < 0) return qdi_tier_error(err, rc, "removing", names[i]);
        synced = folder;
    }
    return 0;
}

/* A tier without folders: page by page, until a page is empty. What a list that lags behind does
 * not show yet is left; a later call finds it. */
static int delete_listed(qd_store *s, qd_str folder, qd_err *err)
{
    char prefix[STORE_NAME_MAX + 2];
    qd_str names[PAGE_LOCAL];
    qd_assert(folder.n <= STORE_NAME_MAX);
    memcpy(prefix, folder.p, folder.n);
    prefix[folder.n] = '/';
    pages *p = pages_make(s, (qd_str){prefix, folder.n + 1});
    if (!p) return qd_err_nomem(err, "names of a list");
    int rc;
    do {
        rc = pages_next(s, p, err);
        for (uint32_t i = 0, k; !rc && i < p->list.nentries; i += k) {
            k = p->list.nentries - i < PAGE_LOCAL ? p->list.nentries - i : PAGE_LOCAL;
            for (uint32_t j = 0; j < k; j++) names[j] = p->list.entries[i + j].name;
            rc = qd_store_delete_many(s, names, k, err);
        }
    } while (!rc && p->list.more);
    qd_free(p);
    return rc;
}

int qd_store_delete_all(qd_store *s, qd_str prefix, qd_err *err)
{
    QD_CHECK(s, STORE_MAGIC);
    qd_str folder = prefix;
    if (folder.n > 0 && folder.p[folder.n - 1] == '/') folder.n--;
    int rc = qdi_name_check(folder, false, err);
    if (rc) return rc;
    if (!(s->vt.head.flags & QD_STORAGE_TREE)) return delete_listed(s, folder, err);
    store_try t;
    qdi_try_begin(&t, s, TRY_WRITE, err);
    do rc = s->vt.remove_tree(s->tier, folder, &t.call);
    while (qdi_try_again(&t, rc));
    return qdi_tier_error(err, rc, "removing", folder);
}

/* Through this node, for tiers that do not copy by themselves. */
static int copy_through(qd_store *s, qd_str from, qd_str to, qd_err *err)
{
    qd_storage_object *o = NULL;
    qd_storage_put *put = NULL;
    qd_storage_sum sum = {0};
    uint64_t len = 0;
    int rc = qdi_object_open(s, from, &o, &len, err);
    if (rc < 0) return rc;
    char *buf = qd_alloc(NULL, COPY_BYTES);
    rc = buf ? qdi_put_begin(s, to, len, &put, err) : qd_err_nomem(err, "copy of an object");
    for (uint64_t at = 0; rc >= 0 && at < len; at += COPY_BYTES) {
        qd_storage_range r = {at, len - at < COPY_BYTES ? len - at : COPY_BYTES, buf};
        rc = qdi_object_read(s, o, &r, 1, QD_STORAGE_READ_SEQUENTIAL, err);
        if (rc >= 0) rc = qdi_put_write(s, put, buf, (size_t)r.len, &sum, err);
    }
    qd_assert(rc < 0 || sum.len == len); /* no part is left out */
    if (rc >= 0)
        rc = qdi_put_commit(s, put, true, &sum, err);
    else if (put)
        s->vt.put_abort(put);
    qd_free(buf);
    s->vt.object_close(o);
    return rc;
}

static bool as_long(qd_store *s, qd_str a, qd_str b)
{
    qd_storage_stat x, y;
    store_try t;
    int32_t rc;
    qdi_try_begin(&t, s, TRY_WRITE, NULL);
    do rc = s->vt.stat(s->tier, a, &x, &t.call);
    while (qdi_try_again(&t, rc));
    if (rc < 0) return false;
    do rc = s->vt.stat(s->tier, b, &y, &t.call);
    while (qdi_try_again(&t, rc));
    return rc >= 0 && x.size == y.size;
}

int qd_store_copy(qd_store *s, qd_str from, qd_str to, qd_err *err)
{
    QD_CHECK(s, STORE_MAGIC);
    int rc = qdi_name_check(from, false, err);
    if (!rc) rc = qdi_name_check(to, false, err);
    if (rc) return rc;
    if (!(s->vt.head.flags & QD_STORAGE_COPY)) {
        return qdi_tier_error(err, copy_through(s, from, to, err), "copying", from);
    }
    store_try t;
    qd_err local;
    qd_err_init(&local);
    qdi_try_begin(&t, s, TRY_WRITE, &local);
    do rc = s->vt.copy(s->tier, from, to, &t.call);
    while (qdi_try_again(&t, rc));
    if (rc == QD_E_EXISTS && t.unsure && as_long(s, from, to)) { /* the first try made it */
        qd_err_fini(&local);
        return 0;
    }
    rc = qdi_tier_error(&local, rc, "copying", from);
    if (rc && err) qd_err_move(err, &local);
    qd_err_fini(&local);
    return rc;
}

static int move(qd_store *s, qd_str from, qd_str to, qd_err *err)
{
    if (!(s->vt.head.flags & QD_STORAGE_RENAME)) {
        int rc = qd_store_copy(s, from, to, err);
        return rc ? rc : qd_store_delete(s, from, err);
    }
    store_try t;
    int32_t rc;
    qdi_try_begin(&t, s, TRY_ONCE, err);
    do rc = s->vt.rename(s->tier, from, to, &t.call);
    while (qdi_try_again(&t, rc));
    return qdi_tier_error(err, rc, "setting aside", from);
}

int qd_store_set_aside(qd_store *s, qd_str name, qd_err *err)
{
    QD_CHECK(s, STORE_MAGIC);
    int rc = qdi_name_check(name, false, err);
    if (rc) return rc;
    char to[16 + STORE_NAME_MAX + 16];
    int base = snprintf(to, sizeof to, "lost+found/%.*s", QD_STR_ARG(name));
    qd_assert(base > 11 && base < (int)sizeof to);
    for (int i = 11; i < base; i++) {
        if (to[i] == '/') to[i] = '_';
    }
    if (base > (int)STORE_NAME_MAX - 8) base = (int)STORE_NAME_MAX - 8;
    for (unsigned k = 0; k < 10000; k++) {
        int n = base;
        if (k) n += snprintf(to + base, sizeof to - (size_t)base, ".%u", k);
        qd_err local;
        qd_err_init(&local);
        rc = move(s, name, (qd_str){to, (size_t)n}, &local);
        if (rc < 0 && rc != QD_E_EXISTS && err) qd_err_move(err, &local);
        qd_err_fini(&local);
        if (rc != QD_E_EXISTS) return rc;
    }
    return qd_err_set(err, QD_E_EXISTS, "lost+found has too many files named %.*s",
                      QD_STR_ARG(name));
}
