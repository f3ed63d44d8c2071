/*
 * keep.c: uninverted fields by segment. Two searches may build one field at once; the first that is
 * ready is kept. Nobody waits: a search that waits for a tier has left its worker meanwhile.
 */
#include "segment/columns/columns_int.h"
#include "segment/fielddata/fielddata_int.h"
#include "segment/overlay/overlay_int.h"
#include "segment/segment_int.h"
#include <stdio.h>

struct qdi_fielddata {
    qdi_fielddata *next;
    _Atomic uint32_t refs; /* the segment's, and one for each arena that uses it */
    uint32_t field;
    qd_fielddata_filter filter;
    int64_t bytes;
    qd_file *file;
    qd_columns *columns;
};

static void unref(void *arg)
{
    qdi_fielddata *x = arg;
    if (atomic_fetch_sub_explicit(&x->refs, 1, memory_order_acq_rel) != 1) return;
    qdi_columns_close(x->columns);
    qd_file_unref(x->file);
    qd_free(x);
}

void qdi_fielddata_free(qdi_fielddata *first)
{
    for (qdi_fielddata *next; first; first = next) {
        next = first->next;
        unref(first);
    }
}

static bool same(const qdi_fielddata *x, uint32_t field, const qd_fielddata_filter *f)
{
    return x->field == field && x->filter.min == f->min && x->filter.max == f->max &&
           x->filter.min_docs == f->min_docs;
}

/* What is kept, with one more reference; or NULL. */
static qdi_fielddata *find(qd_segment *s, uint32_t field, const qd_fielddata_filter *f)
{
    qd_mutex_lock(&s->fielddata_lock);
    qdi_fielddata *x = s->fielddata;
    while (x && !same(x, field, f)) x = x->next;
    if (x) atomic_fetch_add_explicit(&x->refs, 1, memory_order_relaxed);
    qd_mutex_unlock(&s->fielddata_lock);
    return x;
}

static int make(qd_segment *s, uint32_t field, const qd_fielddata_filter *f, qd_account *account,
                qdi_fielddata **out, qd_err *err)
{
    qdi_fielddata *x = qd_calloc(account, sizeof *x);
    if (!x) return qd_err_nomem(err, "fielddata");
    atomic_init(&x->refs, 1);
    x->field = field;
    x->filter = *f;
    int rc = qdi_fielddata_build(s, field, f, account, &x->file, err);
    if (!rc) rc = qdi_columns_open(x->file, s->docs, account, &x->columns, err);
    if (rc) {
        unref(x);
        return rc;
    }
    x->bytes = (int64_t)(qd_file_bytes(x->file) + qd_alloc_size(x->columns) + sizeof *x);
    *out = x;
    return 0;
}

/* Keeps x in the place of what there was of its field by another filter; or what another search has
 * put there meanwhile. Returns it with a reference of the caller's. */
static qdi_fielddata *keep(qd_segment *s, qdi_fielddata *x)
{
    qdi_fielddata *gone = NULL, **at = &s->fielddata;
    qd_mutex_lock(&s->fielddata_lock);
    while (*at && (*at)->field != x->field) at = &(*at)->next;
    qdi_fielddata *there = *at;
    if (there && same(there, x->field, &x->filter)) {
        gone = x;
        x = there;
    } else {
        gone = there;
        x->next = there ? there->next : NULL;
        *at = x;
    }
    atomic_fetch_add_explicit(&x->refs, 1, memory_order_relaxed);
    qd_mutex_unlock(&s->fielddata_lock);
    if (gone) unref(gone);
    return x;
}

/* An account's limit was it, whoever has said so: of which field, and that the memory is kept. */
static int too_large(const qd_segment *s, uint32_t field, qd_account *account, int rc, qd_err *err)
{
    char name[32], figures[160];
    int64_t want, limit;
    if (!err || err->code != QD_E_BREAKER) return rc;
    const char *told = strstr(qd_err_reason(err), "] would be [");
    if (told) {
        snprintf(figures, sizeof figures, "%s", told);
    } else {
        limit = account ? atomic_load(&account->limit) : 0;
        want = account ? qd_account_used(account) + 1 : 0;
        (void)qd_account_refusal(name, &want, &limit);
        snprintf(figures, sizeof figures,
                 "] would be [%lld/%lldb], which is larger than the limit of [%lld/%lldb]",
                 (long long)want, (long long)want, (long long)limit, (long long)limit);
        qd_err_detail_i64(err, "bytes_wanted", want);
        qd_err_detail_i64(err, "bytes_limit", limit);
        qd_err_detail_str(err, "durability", QD_STR(""));
    }
    qd_err_reword(err, "[fielddata] Data too large, data for [%.*s%s",
                  QD_STR_ARG(s->fields[field].name), figures);
    qd_err_detail_replace(err, "durability", QD_STR("PERMANENT"));
    return QD_E_BREAKER;
}

int qd_segment_fielddata(qd_segment *s, uint32_t field, const qd_fielddata_filter *filter,
                         qd_account *account, qd_arena *arena, const qd_column **out, qd_err *err)
{
    static const qd_fielddata_filter all;
    QD_CHECK(s, QDI_SEGMENT_MAGIC);
    *out = NULL;
    if (s->overlay) s = s->overlay->base;
    if (!qd_segment_index_stats(s, field)->terms) return 0;
    if (!filter) filter = &all;
    qdi_fielddata *x = find(s, field, filter);
    if (!x) {
        int rc = make(s, field, filter, account, &x, err);
        if (rc == QD_E_NOMEM || rc == QD_E_BREAKER) return too_large(s, field, account, rc, err);
        if (rc) return rc;
        x = keep(s, x);
    }
    if (qd_arena_on_reset(arena, unref, x)) return qd_err_nomem(err, "fielddata");
    *out = qd_columns_get(x->columns, 0);
    return 0;
}

void qd_segment_fielddata_clear(qd_segment *s, qd_str field)
{
    qdi_fielddata *gone = NULL;
    qd_mutex_lock(&s->fielddata_lock);
    for (qdi_fielddata **at = &s->fielddata; *at;) {
        qdi_fielddata *x = *at;
        if (field.n && !qd_str_eq(s->fields[x->field].name, field)) {
            at = &x->next;
            continue;
        }
        *at = x->next;
        x->next = gone;
        gone = x;
    }
    qd_mutex_unlock(&s->fielddata_lock);
    qdi_fielddata_free(gone);
}

void qd_segment_fielddata_each(qd_segment *s,
                               void (*fn)(void *arg, const qd_field_info *f, int64_t bytes),
                               void *arg)
{
    qd_mutex_lock(&s->fielddata_lock);
    for (const qdi_fielddata *x = s->fielddata; x; x = x->next)
        fn(arg, &s->fields[x->field], x->bytes);
    qd_mutex_unlock(&s->fielddata_lock);
}
