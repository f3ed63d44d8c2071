/*
 * dump.c: what a segment holds, for people and tools.
 */
#include "segment/columns/columns_read_int.h"
#include "segment/live.h"
#include "segment/points/points_int.h"
#include "segment/segment_int.h"
#include "segment/stored/stored_read_int.h"
#include <stdio.h>

static void text(const qd_dump_sink *d, const char *key, const char *value)
{
    d->text(d->arg, key, qd_str_c(value));
}

static void dump_sections(const qd_dump_sink *d, const qd_file *f)
{
    uint32_t id;
    uint64_t offset, bytes;
    bool resident;
    d->open(d->arg, "sections", true);
    for (uint32_t i = 0; qd_file_section_at_index(f, i, &id, &offset, &bytes, &resident); i++) {
        d->open(d->arg, NULL, false);
        text(d, "name", qd_segment_section_name(id));
        d->number(d->arg, "offset", (int64_t)offset);
        d->number(d->arg, "bytes", (int64_t)bytes);
        text(d, "resident", resident ? "yes" : "no");
        d->close(d->arg);
    }
    d->close(d->arg);
}

/* How many blocks have each encoding, and their packed bits. */
static void dump_blocks(const qd_dump_sink *d, const qd_column *c)
{
    static const char *const names[] = {"packed", "table", "line"};
    uint32_t n[3] = {0}, full = 0;
    uint64_t bits = 0;
    for (uint32_t i = 0; i < c->blocks; i++) {
        qdi_block_head h;
        qdi_column_head_at(c, i, &h);
        n[h.encoding]++;
        full += h.presence == QDI_PRESENT_ALL;
        bits += (uint64_t)h.width * h.values;
    }
    d->open(d->arg, "blocks", false);
    d->number(d->arg, "count", c->blocks);
    d->number(d->arg, "full", full);
    for (uint32_t e = 0; e < 3; e++)
        if (n[e]) d->number(d->arg, names[e], n[e]);
    d->number(d->arg, "packed_bits", (int64_t)bits);
    d->close(d->arg);
}

static void dump_column(const qd_dump_sink *d, const qd_column *c)
{
    static const char *const types[] = {"none", "i64", "ordinal", "bytes"};
    const qd_column_stats *s = qd_column_stats_get(c);
    d->open(d->arg, "column", false);
    text(d, "type", types[s->type]);
    d->number(d->arg, "docs", s->docs);
    d->number(d->arg, "values", (int64_t)s->values);
    if (s->type == QD_COLUMN_I64) {
        d->number(d->arg, "min", s->min);
        d->number(d->arg, "max", s->max);
    }
    if (s->type == QD_COLUMN_ORDINAL) d->number(d->arg, "ordinals", s->ordinals);
    d->number(d->arg, "bytes", (int64_t)c->bytes);
    if (c->dict_bytes) d->number(d->arg, "dictionary_bytes", (int64_t)c->dict_bytes);
    if (s->type != QD_COLUMN_BYTES) dump_blocks(d, c);
    d->close(d->arg);
}

static void dump_point(const qd_dump_sink *d, const char *key, uint8_t type, qd_point_value v)
{
    char hex[33];
    if (type == QD_POINT_I64) {
        d->number(d->arg, key, v.i);
        return;
    }
    for (uint32_t i = 0; i < 16; i++) snprintf(hex + 2 * i, 3, "%02x", v.b[i]);
    text(d, key, hex);
}

static void dump_points(const qd_dump_sink *d, const qd_points *p)
{
    const qd_points_stats *s = qd_points_stats_get(p);
    d->open(d->arg, "points", false);
    text(d, "type", s->type == QD_POINT_I64 ? "i64" : "b16");
    d->number(d->arg, "docs", s->docs);
    d->number(d->arg, "points", (int64_t)s->points);
    dump_point(d, "min", s->type, s->min);
    dump_point(d, "max", s->type, s->max);
    d->close(d->arg);
}

static void dump_field(const qd_dump_sink *d, const qd_segment *s, uint32_t i)
{
    static const char *const options[] = {"none", "docs", "freqs", "positions", "offsets"};
    const qd_field_info *f = &s->fields[i];
    const qd_column *c = qd_columns_get(s->columns, i);
    const qd_points *p = qd_points_get(s->points, i);
    d->open(d->arg, NULL, false);
    d->text(d->arg, "name", f->name);
    if (f->index) {
        const qd_index_stats *x = qd_segment_index_stats(s, i);
        d->open(d->arg, "index", false);
        text(d, "options", f->index < QD_COUNT_OF(options) ? options[f->index] : "?");
        text(d, "norms", f->norms ? "yes" : "no");
        d->number(d->arg, "terms", (int64_t)x->terms);
        d->number(d->arg, "docs", x->docs);
        d->number(d->arg, "postings", (int64_t)x->sum_df);
        d->number(d->arg, "words", (int64_t)x->sum_ttf);
        d->text(d->arg, "first", x->min);
        d->text(d->arg, "last", x->max);
        d->close(d->arg);
    }
    if (c) dump_column(d, c);
    if (p) dump_points(d, p);
    d->close(d->arg);
}

static void dump_stored(const qd_dump_sink *d, const qd_stored *s)
{
    const qd_stored_stats *x = qd_stored_stats_get(s);
    d->open(d->arg, "stored", false);
    text(d, "codec", s->head.codec == QD_STORED_BEST ? "best_compression" : "default");
    d->number(d->arg, "blocks", x->blocks);
    d->number(d->arg, "dictionaries", x->dicts);
    d->number(d->arg, "bytes", (int64_t)x->bytes);
    d->number(d->arg, "raw_bytes", (int64_t)x->raw_bytes);
    d->close(d->arg);
}

int qd_segment_dump(qd_store *store, qd_str name, qd_account *account, const qd_dump_sink *d,
                    qd_err *err)
{
    qd_segment *s;
    char id[33];
    int rc = qd_segment_open(store, name, account, &s, err);
    if (rc) return rc;
    for (uint32_t i = 0; i < 16; i++) snprintf(id + 2 * i, 3, "%02x", qd_segment_id(s)[i]);
    d->open(d->arg, NULL, false);
    d->text(d->arg, "name", name);
    text(d, "id", id);
    d->number(d->arg, "format", qd_file_version(s->file));
    d->text(d->arg, "writer", s->writer);
    d->number(d->arg, "bytes", (int64_t)qd_segment_bytes(s));
    d->number(d->arg, "docs", s->docs);
    d->number(d->arg, "min_seq_no", s->attrs.min_seq_no);
    d->number(d->arg, "max_seq_no", s->attrs.max_seq_no);
    dump_sections(d, s->file);
    d->open(d->arg, "fields", true);
    for (uint32_t i = 0; i < s->nfields; i++) dump_field(d, s, i);
    d->close(d->arg);
    if (s->stored) dump_stored(d, s->stored);
    if (s->ids) {
        d->open(d->arg, "ids", false);
        d->number(d->arg, "count", qd_ids_count(s->ids));
        d->number(d->arg, "bytes", (int64_t)qd_ids_bytes(s->ids));
        d->close(d->arg);
    }
    d->close(d->arg);
    qd_segment_unref(s);
    return 0;
}
