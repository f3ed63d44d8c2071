/* segment.c: opening, sharing and describing a segment. See segment.h. */
#include "base/bits.h"
#include "segment/columns/columns_int.h"
#include "segment/fielddata/fielddata_int.h"
#include "segment/ids/ids_int.h"
#include "segment/nested/nested_int.h"
#include "segment/overlay/overlay_int.h"
#include "segment/parts/parts_int.h"
#include "segment/points/points_int.h"
#include "segment/segment_int.h"
#include "segment/stored/stored_int.h"

static void destroy(qd_segment *s)
{
    if (s->overlay) {
        qdi_overlay_close(s);
        return;
    }
    qdi_nested_close(s);
    qdi_fielddata_free(s->fielddata);
    qd_mutex_fini(&s->fielddata_lock);
    qdi_ids_close(s->ids);
    qdi_stored_close(s->stored);
    qdi_points_close(s->points);
    qdi_columns_close(s->columns);
    qd_file_unref(s->file);
    qd_arena_fini(&s->arena);
    s->magic = 0;
    qd_free(s);
}

/* Readers choose by META what they ask the points for: both must mean one type. */
static int match_points(const qd_segment *s, qd_err *err)
{
    for (uint32_t i = 0; i < qdi_points_set_count(s->points); i++) {
        uint32_t f = qdi_points_set_field(s->points, i);
        if (f >= s->nfields ||
            s->fields[f].point != qd_points_stats_get(qd_points_get(s->points, f))->type)
            return qdi_corrupt(s, QDI_SEC_POINT_INDEX, 0, "points that META does not know", err);
    }
    return 0;
}

static int open_parts(qd_segment *s, qd_err *err)
{
    qd_file *f = s->file;
    int rc = qdi_columns_open(f, s->docs, s->account, &s->columns, err);
    if (rc == 0) rc = qdi_points_open(f, s->docs, s->account, &s->points, err);
    if (rc == 0) rc = match_points(s, err);
    if (rc == 0) rc = qdi_stored_open(f, s->docs, s->account, &s->stored, err);
    uint32_t id = qd_segment_field_find(s, QD_STR("_id"));
    const qd_column *c = id == QD_FIELD_NONE || !s->columns ? NULL : qd_columns_get(s->columns, id);
    if (rc == 0 && c) rc = qdi_ids_open(f, s->docs, c, s->account, &s->ids, err);
    return rc ? rc : qdi_index_parts_open(s, err);
}

int qd_segment_open(qd_store *store, qd_str name, qd_account *account, qd_segment **out,
                    qd_err *err)
{
    qd_file *file;
    qd_file_format format = QDI_SEGMENT_FORMAT;
    int rc = qd_file_open(store, name, &format, account, &file, err);
    if (rc) return rc;
    rc = qdi_segment_open(file, account, 0, out, err);
    qd_file_unref(file);
    return rc;
}

int qdi_segment_open(qd_file *file, qd_account *account, uint32_t table, qd_segment **out,
                     qd_err *err)
{
    qd_segment *s = qd_calloc(account, sizeof *s);
    if (!s) return qd_err_nomem(err, "segment");
    s->magic = QDI_SEGMENT_MAGIC;
    s->account = account;
    atomic_init(&s->refs, 1);
    qd_mutex_init(&s->fielddata_lock);
    qd_arena_init(&s->arena, account, 0);
    s->file = qd_file_ref(file);
    uint64_t n = 0;
    const uint8_t *meta = qd_file_resident(s->file, QDI_SEC_META, &n);
    s->term_index = qd_file_resident(s->file, QDI_SEC_TERM_INDEX, &s->term_index_len);
    if (!s->term_index) s->term_index_len = 0;
    int rc = meta ? qdi_meta_read(s, meta, n, err)
                  : qdi_corrupt(s, QDI_SEC_META, 0, "no META section", err);
    if (rc == 0) rc = open_parts(s, err);
    if (rc == 0) rc = qdi_nested_open(s, table, err);
    if (rc) {
        destroy(s);
        return rc;
    }
    *out = s;
    return 0;
}

qd_segment *qd_segment_ref(qd_segment *s)
{
    QD_CHECK(s, QDI_SEGMENT_MAGIC);
    uint32_t before = atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    qd_assert(before > 0);
    return s;
}

void qd_segment_unref(qd_segment *s)
{
    if (!s) return;
    QD_CHECK(s, QDI_SEGMENT_MAGIC);
    if (atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1) destroy(s);
}

uint32_t qd_segment_docs(const qd_segment *s)
{
    return s->docs;
}
qd_str qd_segment_name(const qd_segment *s)
{
    return qd_file_name(s->file);
}
const uint8_t *qd_segment_id(const qd_segment *s)
{
    return qd_file_id(s->file);
}
uint64_t qd_segment_bytes(const qd_segment *s)
{
    return qd_file_bytes(s->file);
}
const qd_segment_attrs *qd_segment_attributes(const qd_segment *s)
{
    return &s->attrs;
}
qd_file *qd_segment_file(const qd_segment *s)
{
    return s->file;
}
uint32_t qd_segment_fields(const qd_segment *s)
{
    return s->nfields;
}
const qd_columns *qd_segment_columns(const qd_segment *s)
{
    return s->columns;
}
const qd_points_set *qd_segment_points(const qd_segment *s)
{
    return s->points;
}
const qd_stored *qd_segment_stored(const qd_segment *s)
{
    return s->stored;
}
const qd_ids *qd_segment_ids(const qd_segment *s)
{
    return s->ids;
}

const qd_field_info *qd_segment_field(const qd_segment *s, uint32_t i)
{
    if (QD_UNLIKELY(i >= s->nfields)) {
        qd_assert(s->overlay && i - s->nfields < s->overlay->of.n);
        return &s->overlay->of.fields[i - s->nfields];
    }
    return &s->fields[i];
}

const qd_index_stats *qd_segment_index_stats(const qd_segment *s, uint32_t i)
{
    static const qd_index_stats none;
    if (QD_UNLIKELY(i >= s->nfields)) {
        qd_assert(s->overlay);
        return &none;
    }
    return &s->stats[i];
}

uint32_t qd_segment_field_find(const qd_segment *s, qd_str name)
{
    uint32_t lo = 0, hi = s->nfields;
    if (QD_UNLIKELY(s->overlay != NULL)) {
        bool own;
        uint32_t at = qdi_overlay_find(s->overlay, name, &own);
        if (own) return at;
    }
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        int c = qd_str_cmp(s->fields[mid].name, name);
        if (c == 0) return mid;
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return QD_FIELD_NONE;
}

int qd_segment_norms_plan(qd_segment *s, uint32_t field, qd_reads *r, uint32_t *slot, bool *present,
                          qd_err *err)
{
    static const qdi_field_terms none;
    const qdi_field_terms *t = field < s->nfields ? &s->terms[field] : &none;
    *present = t->has_norms;
    if (!t->has_norms) return 0;
    return qd_reads_add(r, s->file, QDI_SEC_NORMS, t->norms_at, (uint64_t)s->docs + QD_FILE_SLACK,
                        slot, err);
}

/* Lucene's SmallFloat.byte4ToInt and intToByte4: 24 exact values, then 4 bits of mantissa. */
uint32_t qd_norm_length(uint8_t norm)
{
    if (norm < 24) return norm;
    uint32_t x = norm - 24u, shift = x >> 3;
    return 24 + (shift == 0 ? (x & 7) : ((x & 7) | 8) << (shift - 1));
}

uint8_t qd_norm_of(uint32_t length)
{
    if (length < 24) return (uint8_t)length;
    if (length > INT32_MAX) length = INT32_MAX;
    uint32_t x = length - 24, bits = qd_bits_of(x);
    if (bits < 4) return (uint8_t)(24 + x);
    uint32_t shift = bits - 4;
    return (uint8_t)(24 + (((x >> shift) & 7) | (shift + 1) << 3));
}
