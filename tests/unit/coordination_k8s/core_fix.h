/* core_fix.h: one core of coordination-k8s, driven step by step: what it asks for is answered by
 * the test, what it tells is kept. Of core_t.c, fetch_t.c. */
#ifndef QD_TESTS_CORE_FIX_H
#define QD_TESTS_CORE_FIX_H

#include "unit/coordination/heap.h"
#include "unit/unit.h"
#include <coordination-k8s/core/core.h>
#include <quidditch/coordination.h>

#define S 1000000000ull
#define expect(f, t) expect_at(f, t, __LINE__)
#define MS 1000000ull

enum { ASKS = 64, ENDS = 1024 };

static const ck_site site = {"default", "quidditch", {"quidditch", 9}, {7}};

/* The store that the node's record names; zeros: none. */
static uint8_t known[16];

/* One core and all that it asked for and told. */
typedef struct fix {
    ck_core *c;
    uint64_t now, id;
    ck_ask *asks[ASKS];
    uint32_t n, asked;
    uint64_t term, applied, version;
    uint32_t lost; /* how often leadership was lost */
    int32_t ends[ENDS];
    uint32_t nends, nreads;
    char failed[CK_WHY];
    char first[64]; /* of the last entry applied */
    ck_blob wants[CK_PAGES];
    uint32_t nwants, loads, loaded; /* loads that began; blobs that came */
    uint64_t load_index;
} fix;

static inline int32_t on_apply(void *arg, uint64_t index, const uint8_t *p, size_t n)
{
    fix *f = arg;
    assert_int_equal(index, f->applied + 1);
    f->applied = index;
    snprintf(f->first, sizeof f->first, "%.*s", n > 60 ? 60 : (int)n, (const char *)p);
    return 0;
}
static inline void on_lead(void *arg, uint64_t term)
{
    fix *f = arg;
    f->term = term;
    f->lost += term == 0;
}
static inline void on_changed(void *arg)
{
    (void)arg;
}
static inline void on_done(void *arg, void *proposal, uint64_t index, int32_t rc)
{
    fix *f = arg;
    (void)proposal;
    if (rc == 0) assert_int_equal(index, f->applied);
    f->ends[f->nends++ % ENDS] = rc;
}
static inline void on_read(void *arg, void *wait, int32_t rc)
{
    fix *f = arg;
    (void)wait;
    assert_int_equal(rc, 0);
    f->nreads++;
}
static inline void on_warn(void *arg, const char *text)
{
    (void)arg;
    (void)text;
}
static inline void on_failed(void *arg, const char *why)
{
    fix *f = arg;
    snprintf(f->failed, sizeof f->failed, "%s", why);
}
/* A load wants all pages of the root. */
static inline int32_t on_load_begin(void *arg, uint32_t what, const ck_root *r)
{
    fix *f = arg;
    (void)what;
    f->loads++;
    f->nwants = 0;
    f->load_index = r->checkpoint;
    for (uint32_t i = 0; i < CK_PAGES; i++)
        if (!ck_hash_none(&r->pages[i]))
            f->wants[f->nwants++] = (ck_blob){CK_BLOB_PAGE, r->pages[i], 0};
    return 0;
}
static inline uint32_t on_load_want(void *arg, ck_blob *out, uint32_t max)
{
    fix *f = arg;
    uint32_t n = 0;
    while (n < max && f->nwants) out[n++] = f->wants[--f->nwants];
    return n;
}
static inline int32_t on_load_blob(void *arg, int kind, const ck_hash *h, const uint8_t *p,
                                   size_t n)
{
    fix *f = arg;
    ck_hash is = ck_hash_of(p, n);
    assert_int_equal(kind, CK_BLOB_PAGE);
    assert_true(ck_hash_same(h, &is));
    f->loaded++;
    return 0;
}
static inline int32_t on_load_end(void *arg, int32_t rc)
{
    fix *f = arg;
    if (rc == 0) f->applied = f->load_index;
    return 0;
}
static inline int on_reaches(void *arg, const ck_hash *h)
{
    (void)arg;
    (void)h;
    return 1;
}
static inline void on_thaw(void *arg, ck_checkpoint *p, int committed)
{
    (void)arg;
    (void)p;
    (void)committed;
}

static inline void begin(fix *f, uint64_t id, uint32_t form)
{
    ck_root *first = ck_root_make(unit_heap());
    memset(first->store_id, 7, 16);
    memset(first->history_id, 7, 16);
    first->epoch = 1;
    first->state = QD_COORD_ACTIVE;
    *f = (fix){.now = 1000 * S, .id = id, .version = 100 * id};
    ck_core_config k = {.heap = unit_heap(),
                        .id = id,
                        .name = {"n", 1},
                        .address = {"h:1", 3},
                        .seed = id,
                        .form = form,
                        .first = first,
                        .site = &site,
                        .candidate = 1,
                        .arg = f,
                        .apply = on_apply,
                        .lead = on_lead,
                        .changed = on_changed,
                        .done = on_done,
                        .read_done = on_read,
                        .warn = on_warn,
                        .failed = on_failed,
                        .load_begin = on_load_begin,
                        .load_want = on_load_want,
                        .load_blob = on_load_blob,
                        .load_end = on_load_end,
                        .reaches = on_reaches,
                        .thaw = on_thaw};
    memcpy(k.store, known, sizeof known);
    f->c = ck_core_make(&k);
    ck_root_free(first);
}

static inline void finish(fix *f)
{
    ck_core_free(f->c);
    unit_heap_check();
}

/* Time passes; what is asked for is kept. */
static inline void pass(fix *f, uint64_t ns)
{
    f->now += ns;
    ck_core_turn(f->c, f->now);
    for (ck_ask *a; (a = ck_core_ask(f->c, f->now));) {
        assert_true(f->n < ASKS);
        f->asks[f->n++] = a;
        f->asked++;
    }
}

static inline ck_ask *find(const fix *f, uint32_t type)
{
    for (uint32_t i = 0; i < f->n; i++)
        if (f->asks[i]->type == type) return f->asks[i];
    return NULL;
}

static inline ck_ask *expect_at(const fix *f, uint32_t type, int line)
{
    ck_ask *a = find(f, type);
    if (!a) fail_msg("line %d: ask %u is not out", line, type);
    return a;
}

static inline void answer(fix *f, ck_ask *ask, const ck_answer *a)
{
    uint32_t i = 0;
    while (f->asks[i] != ask) i++;
    memmove(f->asks + i, f->asks + i + 1, (--f->n - i) * sizeof *f->asks);
    ck_core_answer(f->c, ask, a, f->now);
    pass(f, 0);
}

#define ends(f, t, o) ends_at(f, t, o, __LINE__)
static inline void ends_at(fix *f, uint32_t type, uint32_t outcome, int line)
{
    answer(f, expect_at(f, type, line), &(ck_answer){.outcome = outcome, .rc = QD_E_NOSPACE});
}

static inline void version_of(ck_root *r, const char *uid, uint64_t version)
{
    snprintf(r->uid, sizeof r->uid, "%s", uid);
    snprintf(r->version, sizeof r->version, "%llu", (unsigned long long)version);
}

/* The write of the root that is asked for succeeds; the root as it is then. */
#define put(f, t) put_at(f, t, __LINE__)
static inline ck_root *put_at(fix *f, uint32_t type, int line)
{
    char version[64];
    ck_ask *a = expect_at(f, type, line);
    ck_root *r = ck_root_clone(a->root);
    version_of(r, "u", ++f->version);
    memcpy(version, r->version, 64);
    answer(f, a, &(ck_answer){.outcome = CK_OK, .uid = "u", .version = version});
    return r;
}

#define get(f, r) get_at(f, r, __LINE__)
static inline void get_at(fix *f, const ck_root *r, int line)
{
    answer(f, expect_at(f, CK_GET_ROOT, line),
           &(ck_answer){.outcome = CK_OK, .root = ck_root_clone(r)});
}

static inline void see(fix *f, const ck_root *r)
{
    ck_core_root_seen(f->c, ck_root_clone(r), f->now);
    pass(f, 0);
}

/* What the lease is asked for is done. */
static inline void lease(fix *f)
{
    ck_ask *a;
    while ((a = find(f, CK_LEASE_GET))) ends(f, CK_LEASE_GET, CK_MISSING);
    while ((a = find(f, CK_LEASE_CREATE)) || (a = find(f, CK_LEASE_PUT))) {
        ck_lease l = a->lease;
        snprintf(l.version, sizeof l.version, "%llu", (unsigned long long)++f->version);
        answer(f, a, &(ck_answer){.outcome = CK_OK, .lease = &l});
    }
}

/* A leader of a new store; the root. */
static inline ck_root *leader(fix *f, uint64_t id)
{
    begin(f, id, CK_FORM_ACTIVE);
    pass(f, 0);
    ends(f, CK_GET_ROOT, CK_MISSING);
    ck_root *r = put(f, CK_CREATE_ROOT);
    assert_int_equal(f->term, 1);
    lease(f);
    ck_root_free(r);
    return put(f, CK_PUT_ROOT); /* what makes the lease count */
}

/* A node that follows a root. */
static inline void follower(fix *f, uint64_t id, const ck_root *r)
{
    begin(f, id, CK_FORM_NO);
    pass(f, 0);
    get(f, r);
}

static inline void propose(fix *f, const char *text)
{
    assert_int_equal(ck_core_propose(f->c, f, (const uint8_t *)text, strlen(text)), 0);
}

/* A root with one more entry, or another leader. */
static inline ck_root *next_root(const ck_root *r, uint64_t version, const char *entry,
                                 uint64_t lead)
{
    ck_root *n = ck_root_clone(r);
    n->writes++;
    version_of(n, "u", version);
    if (lead) {
        n->leader.id = lead;
        n->leader.term++;
    }
    if (entry)
        ck_root_push(n, ck_entry_make(unit_heap(), n->index + 1, n->leader.term, 4711,
                                      (const uint8_t *)entry, strlen(entry)));
    return n;
}

/* As it is read by one who knows nothing of its entries. */
static inline ck_root *read_back(const ck_root *r)
{
    char why[CK_WHY];
    ck_root *back = NULL;
    json_t *o = ck_root_object(r, &site);
    assert_int_equal(ck_root_read(unit_heap(), o, &back, why), 0);
    json_decref(o);
    return back;
}

#endif
