/*
 * coordination_mirror.c: a second store that was formed without QD_COORD_OPEN_BOOTSTRAP mirrors the
 * suite's one and takes over from the copy: which steps it takes in which state, what it keeps.
 */
#include "coordination_suite.h"
#include <stdlib.h>
#include <sys/stat.h>

typedef struct copy {
    qd_coord_event *at; /* in order of mod_revision; keys and values are their own */
    uint32_t n, cap;
    uint64_t revision;
    uint8_t hash[32];
} copy;

static int32_t step(suite *s, uint32_t action, uint64_t epoch, uint64_t new_epoch,
                    uint64_t *revision)
{
    qd_coord_authority a = {
        .action = action, .epoch = epoch, .new_epoch = new_epoch, .revision = *revision};
    coord_suite_id(s, a.id);
    int32_t rc = coord_suite_authority(s, &a);
    *revision = a.revision;
    return rc;
}

/* The code alone: the step is expected to be refused, or nothing is asked of its revision. */
static int32_t code(suite *s, uint32_t action, uint64_t epoch, uint64_t new_epoch,
                    uint64_t revision)
{
    int32_t rc = step(s, action, epoch, new_epoch, &revision);
    s->c->err_clear(s->c);
    return rc;
}

static int32_t take(void *arg, const qd_coord_kv *kvs, uint32_t n)
{
    copy *c = arg;
    for (uint32_t i = 0; i < n; i++) {
        if (c->n == c->cap) {
            uint32_t cap = c->cap ? c->cap * 2 : 256;
            qd_coord_event *more = realloc(c->at, cap * sizeof *more);
            if (!more) return QD_E_NOMEM;
            c->at = more;
            c->cap = cap;
        }
        char *bytes = malloc(kvs[i].key.n + kvs[i].value_len + 1);
        if (!bytes) return QD_E_NOMEM;
        memcpy(bytes, kvs[i].key.p, kvs[i].key.n);
        if (kvs[i].value_len) memcpy(bytes + kvs[i].key.n, kvs[i].value, kvs[i].value_len);
        qd_coord_event *e = &c->at[c->n++];
        *e = (qd_coord_event){.type = QD_COORD_PUT, .kv = kvs[i]};
        e->kv.key.p = bytes;
        e->kv.value = (uint8_t *)bytes + kvs[i].key.n;
    }
    return 0;
}

static int by_revision(const void *a, const void *b)
{
    const qd_coord_event *x = a, *y = b;
    return (x->kv.mod_revision > y->kv.mod_revision) - (x->kv.mod_revision < y->kv.mod_revision);
}

static void copy_free(copy *c)
{
    for (uint32_t i = 0; i < c->n; i++) free((char *)(uintptr_t)c->at[i].kv.key.p);
    free(c->at);
    *c = (copy){0};
}

/* All keys as of a revision, 0: now. */
static int32_t export_all(suite *s, uint64_t revision, copy *out)
{
    int32_t rc = QD_E_TIMEOUT;
    *out = (copy){0};
    for (int i = 0; i < 1000 && coord_suite_passing(rc); i++) {
        qd_coord_export x = {.err = s->err, .revision = revision, .batch = take, .arg = out};
        if (i) coord_suite_pause();
        copy_free(out);
        s->c->prepare(s->c, &x.op);
        rc = s->vt->export_at(s->co, &x);
        if (rc == 0) rc = coord_suite_end(s, &x.op, SECONDS(20));
        out->revision = x.revision;
        memcpy(out->hash, x.hash, 32);
    }
    if (out->n) qsort(out->at, out->n, sizeof *out->at, by_revision);
    return rc;
}

static int32_t import_some(suite *s, uint64_t epoch, uint64_t revision, const qd_coord_event *e,
                           uint32_t n)
{
    qd_coord_import x = {
        .err = s->err, .epoch = epoch, .revision = revision, .events = e, .nevents = n};
    return coord_suite_import(s, &x);
}

/* All that is in the copy, in imports of whole revisions, each twice. */
static int32_t import_copy(suite *s, uint64_t epoch, const copy *c)
{
    int32_t rc = 0;
    for (uint32_t i = 0, end; i < c->n && rc == 0; i = end) {
        for (end = i + 1; end < c->n; end++) {
            int whole = c->at[end].kv.mod_revision != c->at[end - 1].kv.mod_revision;
            if (whole && end - i >= 40) break;
        }
        uint64_t upto = end < c->n ? c->at[end - 1].kv.mod_revision : c->revision;
        rc = import_some(s, epoch, upto, c->at + i, end - i);
        if (rc == 0) rc = import_some(s, epoch, upto, c->at + i, end - i);
    }
    return rc;
}

/* --- the tests, over two stores --- */

/* What a mirror refuses, and that epochs are used once. *epoch gets that of the mirror. */
static void refuses(suite *n, uint64_t *epoch)
{
    uint64_t e = *epoch;
    CHECK_EQ(n->c, coord_suite_put(n, "m", S("x"), 0, NULL), QD_E_FENCED);
    n->c->err_clear(n->c);
    CHECK_EQ(n->c, code(n, QD_COORD_ACTIVATE, e, 0, 1), QD_E_CONFLICT); /* of another revision */
    CHECK_EQ(n->c, code(n, QD_COORD_SEAL, e, 0, 0), QD_E_CONFLICT);
    CHECK_EQ(n->c, code(n, QD_COORD_RETIRE, e, 0, 0), QD_E_CONFLICT);
    CHECK_EQ(n->c, code(n, QD_COORD_UNSEAL, e, e + 1, 0), QD_E_CONFLICT);
    CHECK_EQ(n->c, code(n, QD_COORD_MAKE_VOID, e + 1, 0, 0), QD_E_CONFLICT);
    CHECK_EQ(n->c, code(n, QD_COORD_MAKE_VOID, e, 0, 0), 0);
    CHECK_EQ(n->c, code(n, QD_COORD_ACTIVATE, e, 0, 0), QD_E_CONFLICT); /* too late */
    CHECK_EQ(n->c, import_some(n, e, 5, NULL, 0), QD_E_CONFLICT);
    n->c->err_clear(n->c);
    CHECK_EQ(n->c, code(n, QD_COORD_BEGIN_MIRROR, e, e, 0), QD_E_CONFLICT); /* used already */
    CHECK_EQ(n->c, code(n, QD_COORD_BEGIN_MIRROR, e, e - 1, 0), QD_E_CONFLICT);
    CHECK_EQ(n->c, code(n, QD_COORD_BEGIN_MIRROR, e, e + 1, 0), 0);
    *epoch = e + 1;
}

/* The copy in the mirror is the same, also for an import that comes once more or is of the past. */
static void mirrors(suite *n, uint64_t epoch, const copy *c)
{
    copy got;
    CHECK_EQ(n->c, import_some(n, epoch + 1, c->revision, c->at, 1), QD_E_CONFLICT);
    n->c->err_clear(n->c);
    CHECK_EQ(n->c, import_copy(n, epoch, c), 0);
    qd_coord_event old = c->at[0];
    old.kv.version += 7;
    CHECK_EQ(n->c, import_some(n, epoch, old.kv.mod_revision, &old, 1), 0);
    int32_t rc = export_all(n, 0, &got);
    int same = got.revision == c->revision && memcmp(got.hash, c->hash, 32) == 0;
    copy_free(&got);
    CHECK_EQ(n->c, rc, 0);
    CHECK(n->c, same);
}

static void takes_over(suite *n, uint64_t epoch, uint64_t revision)
{
    uint64_t r = revision - 1;
    CHECK_EQ(n->c, step(n, QD_COORD_ACTIVATE, epoch, 0, &r), QD_E_CONFLICT);
    CHECK_EQ(n->c, code(n, QD_COORD_ACTIVATE, epoch - 1, 0, revision), QD_E_CONFLICT);
    r = revision;
    CHECK_EQ(n->c, step(n, QD_COORD_ACTIVATE, epoch, 0, &r), 0);
    CHECK_EQ(n->c, r, revision + 1);
    CHECK_EQ(n->c, code(n, QD_COORD_MAKE_VOID, epoch, 0, 0), QD_E_CONFLICT); /* too late */
    CHECK_EQ(n->c, code(n, QD_COORD_BEGIN_MIRROR, epoch, epoch + 1, 0), QD_E_CONFLICT);
    CHECK_EQ(n->c, import_some(n, epoch, revision + 9, NULL, 0), QD_E_CONFLICT);
    n->c->err_clear(n->c);
    CHECK_EQ(n->c, coord_suite_put(n, "m/new", S("x"), 0, &r), 0);
    CHECK_EQ(n->c, r, revision + 2);                     /* the numbers go on */
    coord_suite_watch_ends(n, revision, QD_E_COMPACTED); /* a copy has no past */
}

static void retires(suite *n, uint64_t epoch, uint64_t revision)
{
    copy all;
    CHECK_EQ(n->c, code(n, QD_COORD_RETIRE, epoch, 0, 0), QD_E_CONFLICT);
    CHECK_EQ(n->c, code(n, QD_COORD_SEAL, epoch, 0, 0), 0);
    CHECK_EQ(n->c, code(n, QD_COORD_RETIRE, epoch, 0, 0), 0);
    CHECK_EQ(n->c, code(n, QD_COORD_UNSEAL, epoch, epoch + 2, 0), QD_E_CONFLICT);
    CHECK_EQ(n->c, coord_suite_put(n, "m/late", S("x"), 0, NULL), QD_E_FENCED);
    n->c->err_clear(n->c);
    int32_t rc = export_all(n, 0, &all); /* kept for readers */
    uint32_t left = all.n;
    copy_free(&all);
    CHECK_EQ(n->c, rc, 0);
    CHECK(n->c, left > 0);
    coord_suite_watch_ends(n, revision + 1, QD_E_FENCED);
    CHECK_EQ(n->c, code(n, QD_COORD_BEGIN_MIRROR, epoch, epoch, 0), QD_E_CONFLICT);
    CHECK_EQ(n->c, code(n, QD_COORD_BEGIN_MIRROR, epoch, epoch + 1, 0), 0); /* the way back */
}

static int32_t open_second(suite *s, suite *n, char path[1024])
{
    qd_coord_config k = {.struct_size = sizeof k,
                         .cluster = S("conformance-mirror"),
                         .node_id = S("conformance-mirror"),
                         .node_name = S("conformance-mirror"),
                         .options = s->c->options,
                         .noptions = s->c->noptions};
    snprintf(path, 1024, "%.*s/mirror", (int)s->c->folder.n, s->c->folder.p);
    (void)mkdir(path, 0700); /* not every store keeps files */
    k.path = str_c(path);
    *n = *s;
    return s->vt->open(s->c->self, &k, &n->co, s->c->err);
}

static int is_empty(suite *n)
{
    static const uint8_t zeros[16];
    for (int64_t until = coord_suite_now() + SECONDS(60); coord_suite_now() < until;) {
        qd_coord_identity id = {.struct_size = sizeof id};
        n->vt->identity(n->co, &id);
        if (id.connected && memcmp(id.store_id, zeros, 16) != 0)
            return id.state == QD_COORD_EMPTY && id.epoch == 0;
        coord_suite_pause();
    }
    return 0;
}

void coord_suite_mirror(suite *s)
{
    suite n;
    copy c;
    char path[1024];
    qd_coord_identity id = {.struct_size = sizeof id};
    s->vt->identity(s->co, &id);
    uint64_t epoch = id.epoch + 1, none = 0;
    CHECK_EQ(s->c, coord_suite_put(s, "m/a", S("one"), 0, NULL), 0);
    CHECK_EQ(s->c, coord_suite_put(s, "m/a", S("two"), 0, NULL), 0);
    CHECK_EQ(s->c, coord_suite_put(s, "m/b", S(""), 0, NULL), 0);
    CHECK_EQ(s->c, export_all(s, 0, &c), 0);
    CHECK_EQ(s->c, open_second(s, &n, path), 0);
    CHECK(s->c, is_empty(&n));
    CHECK_EQ(s->c, coord_suite_put(&n, "m", S("x"), 0, NULL), QD_E_FENCED);
    s->c->err_clear(s->c);
    CHECK_EQ(s->c, step(&n, QD_COORD_BEGIN_MIRROR, 0, epoch, &none), 0);
    CHECK_EQ(s->c, none, 0);
    refuses(&n, &epoch);
    if (s->c->outcome == QD_CONFORM_OK) mirrors(&n, epoch, &c);
    if (s->c->outcome == QD_CONFORM_OK) takes_over(&n, epoch, c.revision);
    if (s->c->outcome == QD_CONFORM_OK) retires(&n, epoch, c.revision + 2);
    copy_free(&c);
    coord_suite_close(&n);
}
