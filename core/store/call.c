/*
 * call.c: what goes along with a call of the storage vtable, and second tries. A tier that
 * throttles or does not answer is asked again, later each time and never before it wants to be,
 * until the time for one call is over. See store_int.h.
 */
#include "base/str.h"
#include "runtime/fiber.h"
#include "store/store_int.h"

#define MS 1000000u
#define TRY_NS (60000ull * MS) /* for one call with all its tries */
#define PAUSE_NS (10ull * MS)  /* before the second try; doubles */
#define PAUSE_MAX_NS (2000ull * MS)

void qdi_try_begin(store_try *t, qd_store *s, store_try_kind kind, qd_err *err)
{
    const qd_task *task = kind == TRY_READ ? qd_fiber_task() : NULL;
    *t = (store_try){.call = {.struct_size = sizeof t->call, .task = task, .err = err},
                     .store = s,
                     .kind = kind,
                     .clean = !err || err->code == 0};
    if (!(s->caps & QD_STORE_REMOTE)) return; /* a disk answers or fails; its time is not limited */
    t->until_ns = qd_env_mono_ns(s->env) + TRY_NS;
    t->call.deadline_ns = (int64_t)t->until_ns;
}

qd_storage_call qdi_read_call(const qd_store *s, qd_err *err)
{
    qd_storage_call call = {.struct_size = sizeof call, .err = err};
    if (s->caps & QD_STORE_REMOTE) call.deadline_ns = (int64_t)(qd_env_mono_ns(s->env) + TRY_NS);
    return call;
}

/* What the tier asks for: detail retry_after_ms of a REJECTED. 0: nothing. */
static uint64_t asked_for_ns(const qd_err *err)
{
    for (uint32_t i = 0; err && i < err->ndetails; i++) {
        const qd_err_detail *d = &err->details[i];
        uint64_t ms;
        if (d->key && strcmp(d->key, "retry_after_ms") == 0 && d->value &&
            qd_str_u64(qd_str_c(d->value), &ms)) {
            return ms < TRY_NS / MS ? ms * MS : TRY_NS;
        }
    }
    return 0;
}

static void time_is_over(void *latch)
{
    qd_latch_done(latch, 0);
}

static void wait_until(uint64_t mono_ns)
{
    qd_latch latch;
    qd_latch_init(&latch, 1);
    (void)qd_latch_wait_until(&latch, mono_ns, false, time_is_over, &latch);
}

bool qdi_try_again(store_try *t, int32_t rc)
{
    if (QD_LIKELY(rc != QD_E_REJECTED && rc != QD_E_TIMEOUT)) return false;
    if (rc == QD_E_TIMEOUT && t->kind == TRY_ONCE) return false;
    uint64_t now = qd_env_mono_ns(t->store->env), asked = asked_for_ns(t->call.err);
    if (!t->until_ns) t->until_ns = now + TRY_NS;
    t->pause_ns = t->pause_ns ? t->pause_ns * 2 : PAUSE_NS;
    if (t->pause_ns > PAUSE_MAX_NS) t->pause_ns = PAUSE_MAX_NS;
    uint64_t next = now + (asked > t->pause_ns ? asked : t->pause_ns);
    if (next >= t->until_ns || (t->call.task && qd_task_stopped(t->call.task))) return false;
    wait_until(next);
    if (t->clean && t->call.err) qd_err_fini(t->call.err);
    t->unsure |= rc == QD_E_TIMEOUT;
    atomic_fetch_add_explicit(&t->store->retries, 1, memory_order_relaxed);
    return true;
}

int qdi_put_begin(qd_store *s, qd_str name, uint64_t size, qd_storage_put **out, qd_err *err)
{
    store_try t;
    int32_t rc;
    qdi_try_begin(&t, s, TRY_WRITE, err);
    do rc = s->vt.put_begin(s->tier, name, size, out, &t.call);
    while (qdi_try_again(&t, rc));
    return rc;
}

int qdi_put_write(qd_store *s, qd_storage_put *put, const void *p, size_t n, qd_storage_sum *sum,
                  qd_err *err)
{
    store_try t;
    int32_t rc;
    qdi_try_begin(&t, s, TRY_WRITE, err);
    do rc = s->vt.put_write(put, p, n, &t.call);
    while (qdi_try_again(&t, rc));
    if (rc < 0) return rc;
    sum->len += n;
    if (s->vt.head.flags & QD_STORAGE_CHECKSUM) {
        sum->crc32c = qd_crc32c(sum->crc32c, p, n);
        sum->flags = QD_STORAGE_SUM_CRC32C;
    }
    return 0;
}

int qdi_put_commit(qd_store *s, qd_storage_put *put, bool sync, const qd_storage_sum *sum,
                   qd_err *err)
{
    store_try t;
    int32_t rc;
    bool lazy = !sync && (s->vt.head.flags & QD_STORAGE_LAZY);
    qdi_try_begin(&t, s, TRY_WRITE, err);
    do rc = s->vt.put_commit(put, lazy ? QD_STORAGE_COMMIT_LAZY : 0, sum, &t.call);
    while (qdi_try_again(&t, rc));
    /* The time is over and the put is alive: what its outcome was, a later start finds out. */
    if (rc == QD_E_REJECTED || rc == QD_E_TIMEOUT) s->vt.put_abort(put);
    return rc;
}
