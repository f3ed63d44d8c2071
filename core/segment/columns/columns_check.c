/*
 * columns_check.c: every value and string is read and compared with what heads promise.
 */
#include "segment/columns/column_walk_int.h"

/* All strings; those of a dictionary ascend. */
static int check_strings(const qd_column *c, qd_check *k, qd_err *err)
{
    qdi_strings_walk w;
    qd_buf before;
    bool ordered = c->stats.type == QD_COLUMN_ORDINAL;
    qd_buf_init(&before, k->account, QDI_STRING_MAX);
    int rc = qdi_strings_walk_open(&w, c, k->account, err);
    for (uint32_t i = 0; rc == 0; i++) {
        qd_str s;
        bool end;
        rc = qdi_strings_walk_next(&w, &s, &end, err);
        if (rc || end) break;
        if (ordered && i > 0 && qd_str_cmp(qd_buf_view(&before), s) >= 0)
            qd_check_found(k, "COLUMN_DICT", c->dict_offset, "field %u: ordinal %u is not in order",
                           c->field, i);
        qd_buf_reset(&before);
        if (ordered && qd_buf_str(&before, s)) rc = qd_err_nomem(err, "check of a dictionary");
    }
    if (rc == 0 && w.cursor.at != c->dict_offset + c->dict_bytes)
        qd_check_found(k, "COLUMN_DICT", w.cursor.at, "field %u: bytes behind the last string",
                       c->field);
    qdi_strings_walk_close(&w);
    qd_buf_fini(&before);
    return rc;
}

/* Values inside their block's bounds, ascending in a document; a least and a greatest one. */
typedef struct seen {
    uint32_t head;
    int64_t min, max;
} seen;

static void close_block(const qd_column *c, qd_check *k, const seen *s)
{
    qdi_block_head h;
    if (s->head == 0 || c->stats.type == QD_COLUMN_BYTES) return;
    qdi_column_head_at(c, s->head - 1, &h);
    if (h.min != s->min || h.max != s->max)
        qd_check_found(k, "COLUMNS", c->offset + h.offset,
                       "field %u: block %u has bounds other than its values", c->field, h.block);
}

static int check_values(const qd_column *c, qd_check *k, qd_err *err)
{
    qdi_column_walk *w = qd_calloc(k->account, sizeof *w);
    if (!w) return qd_err_nomem(err, "check of a column");
    int rc = qdi_column_walk_open(w, c, k->account, err);
    seen s = {0};
    for (;;) {
        uint32_t doc, n;
        const int64_t *v;
        bool end;
        if (rc == 0) rc = qdi_column_walk_next(w, &doc, &v, &n, &end, err);
        if (rc || end) break;
        k->values += n;
        if (!v) continue;
        if (w->head != s.head) {
            close_block(c, k, &s);
            s = (seen){w->head, v[0], v[0]};
        }
        for (uint32_t i = 0; i < n; i++) {
            if (v[i] < s.min) s.min = v[i];
            if (v[i] > s.max) s.max = v[i];
            bool order =
                c->stats.type == QD_COLUMN_ORDINAL ? i && v[i - 1] >= v[i] : i && v[i - 1] > v[i];
            if (order)
                qd_check_found(k, "COLUMNS", c->offset, "field %u: values of document %u unordered",
                               c->field, doc);
        }
    }
    if (rc == 0) close_block(c, k, &s);
    qdi_column_walk_close(w);
    qd_free(w);
    return rc;
}

int qdi_columns_check(const qd_columns *set, qd_check *k, qd_err *err)
{
    for (uint32_t i = 0; set && i < set->n; i++) {
        const qd_column *c = &set->columns[i];
        int rc = c->stats.type == QD_COLUMN_I64 ? 0 : check_strings(c, k, err);
        rc = qd_check_error(k, "COLUMN_DICT", rc, err);
        if (rc == 0) rc = qd_check_error(k, "COLUMNS", check_values(c, k, err), err);
        if (rc) return rc;
    }
    return 0;
}
