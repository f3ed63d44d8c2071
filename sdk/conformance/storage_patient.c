/*
 * storage_patient.c: a tier that is asked again. REJECTED and TIMEOUT invite a second try
 * (storage.h), so the suite calls through this copy of the table: as long as a tier says so, some
 * milliseconds later, up to a minute. What a second try finds of the first one is judged as the
 * contract says.
 */
#include "storage_suite.h"
#include <stdlib.h>
#include <time.h>

#define PAUSE_NS 2000000
#define TRIES 10000

static const qd_storage_vtable *inner; /* one suite runs at a time */
static qd_conform *run;
static uint32_t conflicts; /* after a try without an answer, with bytes of somebody else */

typedef struct tries {
    unsigned n;
    int unsure; /* one of them ended with TIMEOUT */
} tries;

static int again(tries *t, int32_t rc, const qd_storage_call *call)
{
    const struct timespec pause = {.tv_nsec = PAUSE_NS};
    if (rc != QD_E_REJECTED && rc != QD_E_TIMEOUT) return 0;
    if (t->n++ == TRIES) return 0;
    t->unsure |= rc == QD_E_TIMEOUT;
    if (call && call->err) run->err_clear(run);
    nanosleep(&pause, NULL);
    return 1;
}

#define TRY(t, expression)                                                                         \
    tries t = {0};                                                                                 \
    int32_t rc;                                                                                    \
    do rc = (expression);                                                                          \
    while (again(&t, rc, call))
#define PATIENT(slot, parameters, arguments)                                                       \
    static int32_t patient_##slot parameters                                                       \
    {                                                                                              \
        TRY(t, inner->slot arguments);                                                             \
        return rc;                                                                                 \
    }
typedef const qd_storage_call *call_t;

PATIENT(capacity, (qd_storage * s, uint64_t *total, uint64_t *available, call_t call),
        (s, total, available, call))
PATIENT(object_open,
        (qd_storage * s, qd_str name, uint64_t known, qd_storage_object **out, uint64_t *len,
         call_t call),
        (s, name, known, out, len, call))
PATIENT(object_map, (qd_storage_object * o, uint64_t len, const uint8_t **data, call_t call),
        (o, len, data, call))
PATIENT(put_begin, (qd_storage * s, qd_str name, uint64_t size, qd_storage_put **out, call_t call),
        (s, name, size, out, call))
PATIENT(put_write, (qd_storage_put * p, const void *data, size_t len, call_t call),
        (p, data, len, call))
PATIENT(put_commit, (qd_storage_put * p, uint32_t flags, const qd_storage_sum *sum, call_t call),
        (p, flags, sum, call))
PATIENT(sync_objects, (qd_storage * s, const qd_str *names, size_t n, call_t call),
        (s, names, n, call))
PATIENT(publish,
        (qd_storage * s, qd_str name, const void *data, size_t len, char *tag, call_t call),
        (s, name, data, len, tag, call))
PATIENT(get,
        (qd_storage * s, qd_str name, void *dst, size_t cap, size_t *len, char *tag, call_t call),
        (s, name, dst, cap, len, tag, call))
PATIENT(log_open,
        (qd_storage * s, qd_str name, uint32_t flags, qd_storage_log **out, uint64_t *end,
         call_t call),
        (s, name, flags, out, end, call))
PATIENT(log_append_v,
        (qd_storage_log * l, const qd_iovec *parts, uint32_t n, uint64_t *offset, call_t call),
        (l, parts, n, offset, call))
PATIENT(log_sync, (qd_storage_log * l, uint64_t upto, call_t call), (l, upto, call))
PATIENT(log_read,
        (qd_storage_log * l, uint64_t offset, void *dst, size_t len, size_t *got, call_t call),
        (l, offset, dst, len, got, call))
PATIENT(log_truncate, (qd_storage_log * l, uint64_t len, call_t call), (l, len, call))
PATIENT(list, (qd_storage * s, qd_storage_list *l, call_t call), (s, l, call))
PATIENT(stat, (qd_storage * s, qd_str name, qd_storage_stat *out, call_t call),
        (s, name, out, call))
PATIENT(remove, (qd_storage * s, const qd_str *names, uint32_t n, uint32_t *removed, call_t call),
        (s, names, n, removed, call))
PATIENT(remove_tree, (qd_storage * s, qd_str folder, call_t call), (s, folder, call))
PATIENT(rename, (qd_storage * s, qd_str from, qd_str to, call_t call), (s, from, to, call))
PATIENT(sync_dir, (qd_storage * s, qd_str folder, call_t call), (s, folder, call))

/* A conflict with the suite's own first try is none: the bytes tell. */
static int32_t patient_publish_if(qd_storage *s, qd_str name, const void *data, size_t len,
                                  qd_str expected, char *tag, call_t call)
{
    TRY(t, inner->publish_if(s, name, data, len, expected, tag, call));
    if (rc != QD_E_CONFLICT || !t.unsure) return rc;
    size_t got = 0;
    uint8_t *back = malloc(len + 1);
    int same = back && patient_get(s, name, back, len + 1, &got, tag, NULL) == 0 && got == len &&
               memcmp(back, data, len) == 0;
    free(back);
    if (!same) __atomic_add_fetch(&conflicts, 1, __ATOMIC_RELAXED);
    if (!same) return rc;
    if (call && call->err) run->err_clear(run);
    return 0;
}

static int32_t patient_copy(qd_storage *s, qd_str from, qd_str to, call_t call)
{
    TRY(t, inner->copy(s, from, to, call));
    qd_storage_stat a, b;
    if (rc != QD_E_EXISTS || !t.unsure) return rc;
    if (patient_stat(s, from, &a, NULL) || patient_stat(s, to, &b, NULL) || a.size != b.size)
        return rc; /* it was there before */
    if (call && call->err) run->err_clear(run);
    return 0;
}

uint32_t storage_suite_conflicts(void)
{
    return __atomic_load_n(&conflicts, __ATOMIC_RELAXED);
}

const qd_storage_vtable *storage_suite_patient(qd_storage_vtable *patient, qd_conform *c,
                                               const qd_storage_vtable *vt)
{
    inner = vt;
    run = c;
    conflicts = 0;
    *patient = *vt;
    patient->capacity = patient_capacity;
    patient->object_open = patient_object_open;
    patient->object_map = patient_object_map;
    patient->put_begin = patient_put_begin;
    patient->put_write = patient_put_write;
    patient->put_commit = patient_put_commit;
    patient->sync_objects = patient_sync_objects;
    patient->publish = patient_publish;
    patient->publish_if = patient_publish_if;
    patient->get = patient_get;
    patient->log_open = patient_log_open;
    patient->log_append_v = patient_log_append_v;
    patient->log_sync = patient_log_sync;
    patient->log_read = patient_log_read;
    patient->log_truncate = patient_log_truncate;
    patient->list = patient_list;
    patient->stat = patient_stat;
    patient->remove = patient_remove;
    patient->remove_tree = patient_remove_tree;
    patient->rename = patient_rename;
    patient->copy = patient_copy;
    patient->sync_dir = patient_sync_dir;
    return patient;
}
