/*
 * reads.c: plan, fetch, pin on any tier. See reads.h.
 *
 * On a mapped file a range is usable as soon as it is added, but for pages that this process has
 * not verified yet: those wait for the fetch. On other tiers a fetch groups the ranges by file. A
 * range whose pages are all verified is read right into its exactly-sized buffer; for the others
 * the whole pages are read (each page once a request), verified, and the range copied out.
 */
#include "store/reads.h"
#include "base/str.h"
#include "plugin/op.h"
#include "runtime/fiber.h"
#include "store/store_int.h"

#define RANGES_MAX 4096u     /* of one request to the tier */
#define BATCH_MAX (1u << 24) /* ranges of one batch */

enum { RANGE_READY, RANGE_VERIFY, RANGE_FETCH };

typedef struct range {
    const uint8_t *p;
    uint64_t off, len;
    uint8_t *copy; /* owned */
    qd_file *file;
    uint32_t section; /* index */
    uint32_t state;
    const struct run *run; /* while fetched: the pages that have it; NULL: read directly */
} range;

struct qd_reads {
    uint32_t magic;
    uint32_t n, cap, nfiles, files_cap;
    uint32_t first_pending; /* no range before it is pending */
    uint32_t verify, fetch; /* pending ranges of both kinds */
    bool busy;              /* a fetch is under way */
    qd_arena *arena;
    qd_account *account;
    range *ranges;
    qd_file **files;
};

/* One vectored request: at most RANGES_MAX ranges of one file. */
typedef struct job {
    qd_storage_read read;
    struct fetch *fetch;
    qd_file *file;
    struct job *next;
    qd_err err;
    qd_storage_call call;
    int32_t rc;
    _Atomic bool over; /* the tier is done with it */
    uint32_t nruns;
    qd_storage_range *vec;
    struct run *runs; /* one for each of vec; of direct reads pages are 0 */
} job;

/* Consecutive pages of one section read together. */
typedef struct run {
    uint8_t *pages; /* owned; NULL: a direct read of a range */
    uint32_t section;
    uint64_t first, last;
} run;

typedef struct fetch {
    qd_reads *reads;
    job *jobs;
    _Atomic uint32_t left;
    qd_latch *latch; /* of who waits and checks what came himself; NULL: done is told */
    void (*done)(void *arg, int rc);
    void *arg;
    qd_err *err;
    uint32_t *order; /* pending ranges by file, section, offset */
    uint32_t norder;
} fetch;

static void release_at_reset(void *arg)
{
    qd_reads_release(arg);
}

qd_reads *qd_reads_make(qd_arena *arena, qd_account *account)
{
    qd_reads *r = qd_arena_calloc(arena, sizeof *r);
    if (!r) return NULL;
    r->magic = STORE_READS_MAGIC;
    r->arena = arena;
    r->account = account;
    return qd_arena_on_reset(arena, release_at_reset, r) ? NULL : r;
}

/* Doubles an array that lives in the arena. */
static void *grown(qd_arena *arena, void *at, uint32_t n, uint32_t *cap, size_t size)
{
    uint32_t more = *cap ? *cap * 2 : 16;
    qd_assert(n <= *cap && *cap < more);
    void *p = qd_arena_alloc(arena, more * size);
    if (!p) return NULL;
    if (n) memcpy(p, at, n * size);
    *cap = more;
    return p;
}

static int hold_file(qd_reads *r, qd_file *f, qd_err *err)
{
    for (uint32_t i = r->nfiles; i > 0; i--) {
        if (r->files[i - 1] == f) return 0;
    }
    if (r->nfiles == r->files_cap) {
        qd_file **p = grown(r->arena, r->files, r->nfiles, &r->files_cap, sizeof *p);
        if (!p) return qd_err_nomem(err, "files of a batch of reads");
        r->files = p;
    }
    r->files[r->nfiles++] = qd_file_ref(f);
    return 0;
}

/* The pages that hold bytes of the section itself; false when the range lies in the slack only. */
static bool pages_of(const frame_section *s, uint64_t off, uint64_t len, uint64_t *first,
                     uint64_t *last)
{
    if (len == 0) return false;
    *first = off >> FRAME_PAGE_SHIFT;
    *last = (off + len - 1) >> FRAME_PAGE_SHIFT;
    uint64_t end = frame_pages(s->bytes) - 1;
    if (*last > end) *last = end;
    return *first <= end;
}

static int bad_range(qd_file *f, uint32_t section, uint64_t off, qd_err *err)
{
    return qd_file_corrupt(f, section, off, err, "a range reaches outside its section");
}

int qd_reads_add(qd_reads *r, qd_file *f, uint32_t section, uint64_t off, uint64_t len,
                 uint32_t *slot, qd_err *err)
{
    QD_CHECK(r, STORE_READS_MAGIC);
    QD_CHECK(f, STORE_FILE_MAGIC);
    qd_assert(!r->busy);
    uint32_t i = qdi_file_find(f, section);
    if (QD_UNLIKELY(i == UINT32_MAX)) return bad_range(f, section, off, err);
    const frame_section *s = &f->sections[i].at;
    uint64_t end = s->bytes + QD_FILE_SLACK;
    if (QD_UNLIKELY(off > end || len > end - off)) return bad_range(f, section, off, err);
    if (QD_UNLIKELY(r->n == r->cap)) {
        if (r->cap >= BATCH_MAX) return qd_err_set(err, QD_E_LIMIT, "too many reads in a batch");
        range *p = grown(r->arena, r->ranges, r->n, &r->cap, sizeof *p);
        if (!p) return qd_err_nomem(err, "batch of reads");
        r->ranges = p;
    }
    if (QD_UNLIKELY(r->nfiles == 0 || r->files[r->nfiles - 1] != f)) {
        int rc = hold_file(r, f, err);
        if (rc) return rc;
    }
    qd_assert(r->n < r->cap && r->verify + r->fetch <= r->n);
    range *x = &r->ranges[r->n];
    uint64_t first, last;
    *x = (range){.off = off, .len = len, .file = f, .section = i, .state = RANGE_READY};
    if (f->map) {
        x->p = f->map + s->offset + off;
        if (pages_of(s, off, len, &first, &last) && !qdi_file_pages_seen(f, s, first, last)) {
            x->state = RANGE_VERIFY;
            r->verify++;
        }
    } else if (f->sections[i].resident) {
        x->p = f->sections[i].resident + off;
    } else {
        x->state = RANGE_FETCH;
        r->fetch++;
    }
    *slot = r->n++;
    return 0;
}

bool qd_reads_ready(const qd_reads *r)
{
    return r->fetch == 0;
}

const uint8_t *qd_reads_at(const qd_reads *r, uint32_t slot)
{
    qd_dassert(slot < r->n && r->ranges[slot].state == RANGE_READY);
    return r->ranges[slot].p;
}

uint64_t qd_reads_len(const qd_reads *r, uint32_t slot)
{
    qd_dassert(slot < r->n);
    return r->ranges[slot].len;
}

int qd_reads_verify(const qd_reads *r, qd_err *err)
{
    int rc = 0;
    for (uint32_t i = 0; i < r->n && !rc; i++) {
        const range *x = &r->ranges[i];
        rc = qd_file_check(x->file, x->file->sections[x->section].at.id, x->off, x->len, err);
    }
    return rc;
}

int qd_reads_check(const qd_reads *r, qd_err *err)
{
    for (uint32_t i = 0; i < r->nfiles; i++) {
        qd_file *f = r->files[i];
        if (QD_UNLIKELY(atomic_load_explicit(&f->whole->faulted, memory_order_relaxed))) {
            (void)qdi_file_damage(f);
            return qdi_damage(err, qd_file_name(f), "mapping", 0,
                              "the device could not deliver a page");
        }
    }
    return 0;
}

void qd_reads_release(qd_reads *r)
{
    QD_CHECK(r, STORE_READS_MAGIC);
    qd_assert(!r->busy);
    qd_assert(r->first_pending <= r->n && r->verify + r->fetch <= r->n);
    for (uint32_t i = 0; i < r->n; i++) qd_free(r->ranges[i].copy);
    for (uint32_t i = 0; i < r->nfiles; i++) qd_file_unref(r->files[i]);
    r->n = r->nfiles = r->first_pending = r->verify = r->fetch = 0;
}

/* Verifies what was mapped but never looked at. */
static int verify_mapped(qd_reads *r, qd_err *err)
{
    for (uint32_t i = r->first_pending; r->verify > 0 && i < r->n; i++) {
        range *x = &r->ranges[i];
        if (x->state != RANGE_VERIFY) continue;
        const frame_section *s = &x->file->sections[x->section].at;
        uint64_t first = 0, last = 0;
        if (pages_of(s, x->off, x->len, &first, &last)) {
            const uint8_t *p = x->file->map + s->offset + (first << FRAME_PAGE_SHIFT);
            int rc = qdi_file_pages_check(x->file, s, first, last, p, false, err);
            if (rc) return rc;
        }
        x->state = RANGE_READY;
        qd_assert(r->verify > 0);
        r->verify--;
    }
    return qd_reads_check(r, err);
}

/* ---- tiers that cannot map ---------------------------------------------------------------- */

static void job_free(job *j)
{
    for (uint32_t i = 0; i < j->nruns; i++) qd_free(j->runs[i].pages);
    qd_free(j->runs);
    qd_free(j->vec);
    qd_err_fini(&j->err);
    qd_free(j);
}

static void fetch_free(fetch *x)
{
    for (job *j = x->jobs, *next; j; j = next) {
        next = j->next;
        job_free(j);
    }
    qd_free(x->order);
    qd_free(x);
}

static bool comes_before(const qd_reads *r, uint32_t a, uint32_t b)
{
    const range *x = &r->ranges[a], *y = &r->ranges[b];
    if (x->file != y->file) { /* by place in the batch: addresses differ from run to run */
        for (uint32_t i = 0; i < r->nfiles; i++) {
            if (r->files[i] == x->file) return true;
            if (r->files[i] == y->file) return false;
        }
    }
    if (x->section != y->section) return x->section < y->section;
    return x->off != y->off ? x->off < y->off : a < b;
}

/* Heap sort: no recursion, no allocation, and batches are small. */
static void sort_order(const qd_reads *r, uint32_t *v, uint32_t n)
{
    for (uint32_t end = n, start = n / 2; end > 1;) {
        if (start > 0) {
            start--;
        } else {
            uint32_t t = v[--end];
            v[end] = v[0];
            v[0] = t;
        }
        for (uint32_t root = start, child; (child = 2 * root + 1) < end; root = child) {
            if (child + 1 < end && comes_before(r, v[child], v[child + 1])) child++;
            if (!comes_before(r, v[root], v[child])) break;
            uint32_t t = v[root];
            v[root] = v[child];
            v[child] = t;
        }
    }
    qd_assert(n < 2 || comes_before(r, v[0], v[n - 1]));
}

static job *job_make(fetch *x, qd_file *f, uint32_t most)
{
    job *j = qd_calloc(x->reads->account, sizeof *j);
    if (!j) return NULL;
    j->runs = qd_calloc(x->reads->account, most * sizeof *j->runs);
    j->vec = qd_calloc(x->reads->account, most * sizeof *j->vec);
    j->fetch = x;
    j->file = f;
    qd_err_init(&j->err);
    j->next = x->jobs;
    x->jobs = j;
    return j->runs && j->vec ? j : NULL;
}

/* Bytes of a range that stand in the file's section; what lies in the slack is zeros. */
static uint64_t stored_len(const frame_section *s, const range *x)
{
    uint64_t left = x->off < s->bytes ? s->bytes - x->off : 0;
    return x->len < left ? x->len : left;
}

static int make_copy(qd_reads *r, range *x, const frame_section *s, qd_err *err)
{
    x->copy = qd_alloc(r->account, (size_t)x->len);
    if (!x->copy) return qdi_no_memory(r->account, x->len, "bytes read for a query", err);
    uint64_t n = stored_len(s, x);
    if (n < x->len) memset(x->copy + n, 0, (size_t)(x->len - n));
    return 0;
}

/* Adds the pages of range x to the job: by a direct read, in the last run, or in a new one. */
static void plan_range(job *j, range *x, const frame_section *s)
{
    uint64_t n = stored_len(s, x), first, last;
    x->run = NULL;
    if (n == 0 || !pages_of(s, x->off, n, &first, &last)) return;
    if (qdi_file_pages_seen(j->file, s, first, last)) {
        j->vec[j->nruns] = (qd_storage_range){s->offset + x->off, n, x->copy};
        j->runs[j->nruns++] = (run){.section = x->section, .first = 1, .last = 0};
        return;
    }
    run *prev = j->nruns ? &j->runs[j->nruns - 1] : NULL;
    if (prev && prev->section == x->section && prev->first <= prev->last &&
        first <= prev->last + 1) {
        if (last > prev->last) prev->last = last;
        x->run = prev;
        return;
    }
    x->run = &j->runs[j->nruns];
    j->runs[j->nruns++] = (run){.section = x->section, .first = first, .last = last};
}

/* Buffers for the runs of whole pages. */
static int give_pages(job *j, qd_account *account, qd_err *err)
{
    for (uint32_t i = 0; i < j->nruns; i++) {
        run *u = &j->runs[i];
        if (u->first > u->last) continue;
        const frame_section *s = &j->file->sections[u->section].at;
        uint64_t off = u->first << FRAME_PAGE_SHIFT;
        uint64_t n = (u->last << FRAME_PAGE_SHIFT) + frame_page_bytes(s->bytes, u->last) - off;
        u->pages = qd_alloc(account, (size_t)n);
        if (!u->pages) return qdi_no_memory(account, n, "pages read for a query", err);
        j->vec[i] = (qd_storage_range){s->offset + off, n, u->pages};
    }
    return 0;
}

/* Makes the jobs of all pending ranges. */
static int plan_jobs(fetch *x, qd_err *err)
{
    qd_reads *r = x->reads;
    for (uint32_t i = 0; i < x->norder;) {
        qd_file *f = r->ranges[x->order[i]].file;
        uint32_t most = x->norder - i < RANGES_MAX ? x->norder - i : RANGES_MAX;
        job *j = job_make(x, f, most);
        if (!j) return qdi_no_memory(r->account, most * sizeof *j->vec, "request for reads", err);
        int rc = 0;
        for (uint32_t k = 0; !rc && k < most && i < x->norder; k++, i++) {
            range *g = &r->ranges[x->order[i]];
            if (g->file != f) break;
            rc = make_copy(r, g, &f->sections[g->section].at, err);
            if (!rc) plan_range(j, g, &f->sections[g->section].at);
        }
        qd_assert(j->nruns <= most); /* what was allocated */
        if (!rc) rc = give_pages(j, r->account, err);
        if (rc) return rc;
    }
    return 0;
}

/* Checks the pages of a job that came back. */
static int check_job(job *j)
{
    for (uint32_t i = 0; i < j->nruns; i++) {
        run *u = &j->runs[i];
        if (!u->pages) continue;
        int rc = qdi_file_pages_check(j->file, &j->file->sections[u->section].at, u->first, u->last,
                                      u->pages, true, &j->err);
        if (rc) return rc;
    }
    return 0;
}

/* Copies a range out of its pages; a direct one is there already. */
static void copy_out(range *g)
{
    uint64_t n = stored_len(&g->file->sections[g->section].at, g);
    if (g->run && n) {
        qd_assert(g->run->pages && g->off >= g->run->first << FRAME_PAGE_SHIFT);
        qd_assert(g->off + n <= (g->run->last + 1) << FRAME_PAGE_SHIFT);
        memcpy(g->copy, g->run->pages + (g->off - (g->run->first << FRAME_PAGE_SHIFT)), (size_t)n);
    }
    g->run = NULL;
}

static int finish(fetch *x)
{
    qd_reads *r = x->reads;
    int rc = 0;
    qd_assert(r->busy && r->fetch == x->norder && atomic_load(&x->left) == 0);
    for (job *j = x->jobs; j; j = j->next) {
        if (!j->rc) j->rc = check_job(j);
        if (j->rc) {
            qdi_tier_error(&j->err, j->rc, "reading", qd_file_name(j->file));
            if (x->err && !rc) qd_err_move(x->err, &j->err);
            rc = j->rc;
        }
    }
    for (uint32_t i = 0; i < x->norder; i++) {
        range *g = &r->ranges[x->order[i]];
        if (rc) {
            qd_free(g->copy);
            g->copy = NULL;
            continue;
        }
        qd_assert(g->state == RANGE_FETCH && g->copy);
        copy_out(g);
        g->p = g->copy;
        g->state = RANGE_READY;
    }
    if (!rc) r->fetch = 0, r->first_pending = r->n;
    r->busy = false;
    return rc;
}

/* Somebody's last part of the fetch is over. */
static void part_done(fetch *x)
{
    uint32_t before = atomic_fetch_sub(&x->left, 1);
    qd_assert(before > 0);
    if (before != 1) return;
    if (x->latch) { /* checking pages is the waiter's work, not the tier's thread's */
        qd_latch_done(x->latch, 0);
        return;
    }
    void (*done)(void *, int) = x->done;
    void *arg = x->arg;
    int result = finish(x);
    fetch_free(x);
    done(arg, result);
}

static void job_done(qd_op *op, int32_t rc)
{
    job *j = op->user;
    j->rc = rc;
    bool over = atomic_exchange(&j->over, true);
    qd_assert(!over); /* the fetch may be gone after the last one */
    part_done(j->fetch);
}

/* Asks the tier to end early what it is still reading. */
static void stop_jobs(void *arg)
{
    fetch *x = arg;
    for (job *j = x->jobs; j; j = j->next) {
        if (!atomic_load(&j->over)) j->file->store->vt.read_cancel(j->file->object, &j->read);
    }
}

/* Sorts, plans, allocates; nothing is submitted yet. */
static int prepare(qd_reads *r, fetch **out, qd_err *err)
{
    fetch *x = qd_calloc(r->account, sizeof *x);
    if (!x) return qdi_no_memory(r->account, sizeof *x, "fetch", err);
    x->reads = r;
    x->err = err;
    x->order = qd_alloc(r->account, (size_t)r->fetch * 4);
    int rc = x->order ? 0 : qdi_no_memory(r->account, (uint64_t)r->fetch * 4, "fetch", err);
    if (!rc) {
        for (uint32_t i = r->first_pending; i < r->n; i++) {
            if (r->ranges[i].state == RANGE_FETCH) x->order[x->norder++] = i;
        }
        qd_assert(x->norder == r->fetch);
        sort_order(r, x->order, x->norder);
        rc = plan_jobs(x, err);
    }
    if (rc) {
        for (uint32_t i = 0; i < x->norder; i++) {
            qd_free(r->ranges[x->order[i]].copy);
            r->ranges[x->order[i]].copy = NULL;
        }
        fetch_free(x);
        return rc;
    }
    *out = x;
    return 0;
}

static void submit(fetch *x)
{
    uint32_t n = 1;
    for (job *j = x->jobs; j; j = j->next) n++;
    atomic_store(&x->left, n);
    qd_assert(!x->reads->busy && x->jobs);
    x->reads->busy = true;
    /* The last completion frees the jobs; the count held for this loop keeps them until its end. */
    for (job *j = x->jobs; j; j = j->next) {
        j->call = qdi_read_call(j->file->store, &j->err);
        j->read = (qd_storage_read){.ranges = j->vec,
                                    .nranges = j->nruns,
                                    .flags = QD_STORAGE_READ_URGENT,
                                    .call = &j->call};
        qd_op_anywhere(&j->read.op, job_done, j);
        int32_t rc = j->nruns ? j->file->store->vt.read_v(j->file->object, &j->read) : 1;
        if (rc == 0) continue;
        j->rc = rc < 0 ? rc : 0;
        atomic_store(&j->over, true);
        uint32_t before = atomic_fetch_sub(&x->left, 1);
        qd_assert(before > 1); /* the one of this loop is left */
    }
}

/* The tier was asked to stop: the task's reason is the error. */
static int stopped(int rc, qd_err *err)
{
    qd_err why;
    qd_err_init(&why);
    int again = qd_task_check(qd_fiber_task(), &why);
    if (again && err) qd_err_move(err, &why);
    qd_err_fini(&why);
    return again ? again : rc;
}

int qd_reads_fetch(qd_reads *r, qd_err *err)
{
    QD_CHECK(r, STORE_READS_MAGIC);
    if (r->verify > 0) {
        int rc = verify_mapped(r, err);
        if (rc) return rc;
    }
    if (QD_LIKELY(r->fetch == 0)) {
        r->first_pending = r->n;
        return qd_reads_check(r, err);
    }
    fetch *x;
    int rc = prepare(r, &x, err);
    if (rc) return rc;
    qd_latch latch;
    qd_latch_init(&latch, 1);
    x->latch = &latch;
    submit(x);
    part_done(x);
    (void)qd_latch_wait_stop(&latch, stop_jobs, x);
    rc = finish(x);
    fetch_free(x);
    return rc == QD_E_CANCELLED ? stopped(rc, err) : rc;
}

int qd_reads_fetch_async(qd_reads *r, void (*done)(void *arg, int rc), void *arg, qd_err *err)
{
    QD_CHECK(r, STORE_READS_MAGIC);
    if (r->verify > 0) {
        int rc = verify_mapped(r, err);
        if (rc) return rc;
    }
    if (r->fetch == 0) {
        r->first_pending = r->n;
        int rc = qd_reads_check(r, err);
        return rc ? rc : 1;
    }
    fetch *x;
    int rc = prepare(r, &x, err);
    if (rc) return rc;
    x->done = done;
    x->arg = arg;
    submit(x);
    if (atomic_fetch_sub(&x->left, 1) != 1) return 0;
    rc = finish(x); /* nothing is left to complete: the result is known here */
    fetch_free(x);
    return rc ? rc : 1;
}
