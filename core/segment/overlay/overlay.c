/* overlay.c: see overlay.h. Columns are written as those of a segment are, to a file in memory. */
#include "segment/columns/column_buffer_int.h"
#include "segment/columns/columns_read_int.h"
#include "segment/overlay/overlay_int.h"
#include "segment/segment_int.h"

struct qd_overlay_buffer {
    qdi_column_buffer *values;
    uint32_t docs;
    qd_account *account;
};

struct qd_overlay_column {
    qd_file *file;
    qd_columns *columns;
};

int qd_overlay_buffer_make(uint8_t type, uint32_t docs, qd_account *account,
                           qd_overlay_buffer **out, qd_err *err)
{
    qd_overlay_buffer *b = qd_calloc(account, sizeof *b);
    if (!b) return qd_err_nomem(err, "a runtime field");
    b->docs = docs;
    b->account = account;
    int rc = qdi_column_buffer_make(type, account, &b->values, err);
    if (rc) qd_free(b);
    if (!rc) *out = b;
    return rc;
}

int qd_overlay_buffer_i64(qd_overlay_buffer *b, uint32_t doc, int64_t v, qd_err *err)
{
    return qdi_column_buffer_i64(b->values, doc, &v, 1, err);
}

int qd_overlay_buffer_str(qd_overlay_buffer *b, uint32_t doc, qd_str v, qd_err *err)
{
    return qdi_column_buffer_str(b->values, doc, v, err);
}

void qd_overlay_buffer_undo(qd_overlay_buffer *b, uint32_t doc)
{
    qdi_column_buffer_rollback(b->values, doc);
}

size_t qd_overlay_buffer_bytes(const qd_overlay_buffer *b)
{
    return qdi_column_buffer_bytes(b->values);
}

void qd_overlay_buffer_free(qd_overlay_buffer *b)
{
    if (!b) return;
    qdi_column_buffer_free(b->values);
    qd_free(b);
}

static int write_all(qd_overlay_buffer *b, qd_file_writer *w, qd_buf *index, qd_err *err)
{
    const qdi_column_source source = {.field = 0, .buffer = b->values};
    int rc = qdi_columns_write(&source, 1, b->docs, w, index, b->account, err);
    if (!rc) rc = qd_file_section_begin(w, QDI_SEC_COLUMN_INDEX, true, err);
    if (!rc) rc = qd_file_write(w, index->p, index->n, err);
    return rc ? rc : qd_file_section_end(w, NULL, err);
}

int qd_overlay_column_make(qd_overlay_buffer *b, qd_overlay_column **out, qd_err *err)
{
    qd_file_format format = QDI_SEGMENT_FORMAT;
    qd_file_writer *w;
    qd_buf index;
    *out = NULL;
    if (!qdi_column_buffer_count(b->values)) return 0;
    qd_overlay_column *c = qd_calloc(b->account, sizeof *c);
    if (!c) return qd_err_nomem(err, "a runtime field");
    qd_buf_init(&index, b->account, (size_t)1 << 32);
    int rc = qd_file_create_in_memory("runtime field", &format, b->account, &w, err);
    if (!rc) {
        rc = write_all(b, w, &index, err);
        if (rc)
            qd_file_abort(w);
        else
            rc = qd_file_commit_in_memory(w, &c->file, err);
    }
    if (!rc) rc = qdi_columns_open(c->file, b->docs, b->account, &c->columns, err);
    qd_buf_fini(&index);
    if (rc) {
        qd_overlay_column_free(c);
        return rc;
    }
    *out = c;
    return 0;
}

void qd_overlay_column_free(qd_overlay_column *c)
{
    if (!c) return;
    qdi_columns_close(c->columns);
    qd_file_unref(c->file);
    qd_free(c);
}

const qd_column *qd_overlay_column_of(const qd_overlay_column *c)
{
    return c ? qd_columns_get(c->columns, 0) : NULL;
}

/* --- the segment ------------------------------------------------------------------------------ */

uint32_t qdi_overlay_find(const qdi_overlay *o, qd_str name, bool *hidden)
{
    uint32_t lo = 0, hi = o->of.n;
    *hidden = false;
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        int c = qd_str_cmp(o->of.fields[mid].name, name);
        if (c == 0) {
            *hidden = true;
            return o->of.column(o->of.arg, mid) ? o->nbase + mid : QD_FIELD_NONE;
        }
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return QD_FIELD_NONE;
}

const qd_column *qdi_overlay_column(const qdi_overlay *o, uint32_t field)
{
    if (field < o->nbase) return o->columns ? qd_columns_get(o->columns, field) : NULL;
    return field - o->nbase < o->of.n ? o->of.column(o->of.arg, field - o->nbase) : NULL;
}

int qd_segment_overlay(qd_segment *base, const qd_overlay *of, qd_account *account,
                       qd_segment **out, qd_err *err)
{
    QD_CHECK(base, QDI_SEGMENT_MAGIC);
    qd_assert(!base->overlay);
    qd_segment *s = qd_alloc(account, sizeof *s);
    qdi_overlay *o = qd_calloc(account, sizeof *o);
    qd_columns *set = qd_calloc(account, sizeof *set);
    if (!s || !o || !set) {
        qd_free(s);
        qd_free(o);
        qd_free(set);
        return qd_err_nomem(err, "runtime fields");
    }
    *s = *base; /* all of it is read only, and lives as long as base does */
    atomic_init(&s->refs, 1);
    s->account = account;
    s->fielddata = NULL;
    qd_mutex_init(&s->fielddata_lock);
    *o = (qdi_overlay){qd_segment_ref(base), *of, base->nfields, base->columns};
    s->overlay = o;
    *set = (qd_columns){.magic = QDI_COLUMNS_MAGIC, .overlay = o};
    s->columns = set;
    *out = s;
    return 0;
}

void qdi_overlay_close(qd_segment *s)
{
    qd_segment_unref(s->overlay->base);
    qd_mutex_fini(&s->fielddata_lock);
    qd_free(s->overlay);
    qd_free(s->columns);
    s->magic = 0;
    qd_free(s);
}
