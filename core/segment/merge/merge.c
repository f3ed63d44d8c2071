/* merge.c: several segments into one. See segment/merge.h. */
#include "segment/columns/columns_int.h"
#include "segment/ids/ids_int.h"
#include "segment/merge/merge_int.h"
#include "segment/points/points_int.h"
#include "segment/stored/stored_int.h"

#define SOURCES_MAX 1024u

/* Old numbers to new ones of a source with deletions. */
static int make_map(qdi_merge *m, uint32_t i, const qd_live *live)
{
    uint32_t docs = m->sources[i].segment->docs, next = m->docs;
    const uint64_t *bits = qd_live_bits(live);
    uint32_t *map = qd_alloc(m->account, ((size_t)docs + 1) * sizeof *map);
    if (!map) return qd_err_nomem(m->err, "map of documents");
    m->maps[i] = map;
    for (uint32_t d = 0; d < docs; d++)
        map[d] = bits[d >> 6] >> (d & 63) & 1 ? next++ : QDI_DOC_GONE;
    return 0;
}

static int number_documents(qdi_merge *m, const qd_merge_source *sources)
{
    for (uint32_t i = 0; i < m->n; i++) {
        qdi_source *s = &m->sources[i];
        const qd_live *live = sources[i].live;
        uint32_t docs = s->segment->docs, alive = docs;
        if (live) {
            qd_assert(qd_live_docs(live) == docs);
            alive = qd_live_count(live);
        }
        if ((uint64_t)m->docs + alive > QD_DOCS_MAX)
            return qd_err_set(m->err, QD_E_LIMIT, "merging would exceed %u documents", QD_DOCS_MAX);
        int rc = alive < docs ? make_map(m, i, live) : 0;
        if (rc) return rc;
        m->deletions |= alive < docs;
        s->number = i;
        m->segments[i] = s->segment;
        s->base = m->docs;
        s->map = m->maps[i];
        m->parts[i] = (qdi_merge_part){.columns = s->segment->columns,
                                       .points = s->segment->points,
                                       .stored = s->segment->stored,
                                       .ids = s->segment->ids,
                                       .docs = docs,
                                       .live = alive,
                                       .base = m->docs,
                                       .map = m->maps[i]};
        m->docs += alive;
    }
    return 0;
}

static int step(void *arg, uint64_t bytes, qd_err *err)
{
    qdi_merge *m = ((qdi_merge *)arg)->whole;
    m->written += bytes;
    return m->options->step ? m->options->step(m->options->arg, m->written, err) : 0;
}

/* The other parts ask between blocks; what they wrote is seen at the open section's end. */
static int poll(void *arg)
{
    qdi_merge *m = arg;
    uint64_t at = qd_file_section_at(m->file);
    if (at < m->section_at) m->section_at = 0;
    uint64_t more = at - m->section_at;
    m->section_at = at;
    return step(m, more, m->err);
}

static void merged_attrs(const qdi_merge *m, qd_merge_order order, qd_segment_attrs *out)
{
    *out = m->options->attrs;
    if (order != QD_MERGE_KEPT && m->options->ordered_user.n) out->user = m->options->ordered_user;
    bool given = out->min_seq_no >= 0 && out->max_seq_no >= 0;
    for (uint32_t i = 0; i < m->n; i++) {
        const qd_segment_attrs *a = &m->sources[i].segment->attrs;
        if (!out->user.n) out->user = a->user;
        if (given || a->max_seq_no < 0) continue;
        if (out->min_seq_no < 0 || a->min_seq_no < out->min_seq_no) out->min_seq_no = a->min_seq_no;
        if (a->max_seq_no > out->max_seq_no) out->max_seq_no = a->max_seq_no;
    }
}

static int merge_parts(qdi_merge *m, const qd_segment_attrs *attrs, qdi_residents *r)
{
    qdi_merge_in in = {.parts = m->parts,
                       .n = m->n,
                       .fields = m->fields,
                       .nfields = m->nfields,
                       .docs = m->docs,
                       .permuted = m->permuted,
                       .codec = attrs->stored_codec,
                       .id_field = QDI_FIELD_NONE,
                       .account = m->account,
                       .poll = poll,
                       .poll_arg = m,
                       .store = m->store,
                       .name = m->name};
    bool columns = false, points = false, stored = false, ids = false;
    for (uint32_t i = 0; i < m->nfields; i++) {
        if (qd_str_is(m->fields[i].name, "_id")) in.id_field = i;
        columns |= m->fields[i].column != QD_COLUMN_NONE;
        points |= m->fields[i].point != QD_POINT_NONE;
    }
    for (uint32_t i = 0; i < m->n; i++) {
        stored |= m->parts[i].stored != NULL;
        ids |= m->parts[i].ids != NULL;
    }
    int rc = columns ? qdi_columns_merge(&in, m->file, &r->columns, m->err) : 0;
    if (rc == 0 && points) rc = qdi_points_merge(&in, m->file, &r->points, m->err);
    if (rc == 0 && stored) rc = qdi_stored_merge(&in, m->file, &r->stored, m->err);
    if (rc == 0 && ids) rc = qdi_ids_merge(&in, m->file, m->err);
    if (rc == 0 && qdi_index_parts_any(m->segments, m->n)) {
        qdi_index_parts_writer w = {
            .file = m->file, .index = &r->parts, .poll = poll, .poll_arg = m};
        rc = qdi_index_parts_merge(&in, m->segments, m->options->types, &w, m->err);
    }
    qdi_meta_write(&r->meta, m->docs, attrs, m->fields, m->terms, m->nfields);
    qdi_inverted_take_index(&m->inverted, &r->terms);
    return rc;
}

int qdi_merge_data(qdi_merge *m, const qd_segment_attrs *attrs, qdi_residents *r)
{
    int rc = qdi_inverted_init(&m->inverted, m->file, m->store, m->name, m->docs,
                               attrs->sparse_bitmaps, m->account, m->err);
    m->inverted.step = step;
    m->inverted.step_arg = m;
    m->section_at = 0;
    if (rc == 0) rc = qdi_merge_inverted(m);
    if (rc == 0) rc = merge_parts(m, attrs, r);
    qdi_inverted_fini(&m->inverted);
    return rc;
}

static int run(qdi_merge *m, qd_merge_result *out)
{
    qd_segment_attrs attrs;
    qdi_residents r;
    int rc = qdi_merge_schema(m);
    if (rc == 0) rc = qdi_merge_order(m, out);
    if (rc) return rc;
    merged_attrs(m, out->order, &attrs);
    qdi_residents_init(&r, m->account);
    rc = qdi_merge_data(m, &attrs, &r);
    if (rc == 0) rc = qdi_merge_nested(m, &attrs, &r);
    if (rc == 0) rc = qdi_nested_residents(m->tables, &r, m->file, m->err);
    qdi_residents_fini(&r);
    return rc;
}

/* Hands the maps over, made for whole sources as well. */
static int fill_result(qdi_merge *m, uint64_t bytes, qd_merge_result *result)
{
    result->docs = m->docs;
    result->bytes = bytes;
    result->map = qd_calloc(m->account, m->n * sizeof *result->map);
    if (!result->map) return qd_err_nomem(m->err, "maps of a merge");
    result->nmap = m->n;
    for (uint32_t i = 0; i < m->n; i++) {
        uint32_t docs = m->parts[i].docs;
        result->map[i] = m->maps[i];
        m->maps[i] = NULL;
        if (result->map[i]) continue;
        result->map[i] = qd_alloc(m->account, ((size_t)docs + 1) * sizeof **result->map);
        if (!result->map[i]) return qd_err_nomem(m->err, "maps of a merge");
        for (uint32_t d = 0; d < docs; d++) result->map[i][d] = m->parts[i].base + d;
    }
    return 0;
}

void qd_merge_result_fini(qd_merge_result *r)
{
    for (uint32_t i = 0; i < r->nmap; i++) qd_free(r->map[i]);
    qd_free(r->map);
    *r = (qd_merge_result){0};
}

int qdi_merge_make(qdi_merge *m)
{
    m->sources = qd_calloc(m->account, m->n * sizeof *m->sources);
    m->parts = qd_arena_calloc(&m->arena, m->n * sizeof *m->parts);
    m->maps = qd_arena_calloc(&m->arena, m->n * sizeof *m->maps);
    m->heap = qd_arena_alloc(&m->arena, m->n * sizeof(qdi_source *));
    m->segments = qd_arena_calloc(&m->arena, m->n * sizeof(qd_segment *));
    if (m->sources && m->parts && m->maps && m->heap && m->segments) return 0;
    return qd_err_nomem(m->err, "merge of segments");
}

static int prepare(qdi_merge *m, const qd_merge_source *sources)
{
    int rc = qdi_merge_make(m);
    if (rc) return rc;
    for (uint32_t i = 0; i < m->n; i++) {
        int r = qdi_source_open(&m->sources[i], sources[i].segment, m->account, m->err);
        if (rc == 0) rc = r;
    }
    return rc ? rc : number_documents(m, sources);
}

void qdi_merge_finish(qdi_merge *m)
{
    for (uint32_t i = 0; m->sources && i < m->n; i++)
        if (m->sources[i].segment) qdi_source_close(&m->sources[i]);
    for (uint32_t i = 0; m->maps && i < m->n; i++) qd_free(m->maps[i]);
    qd_free(m->sources);
    qd_free(m->norms);
    qdi_permuted_fini(&m->term);
    qd_arena_fini(&m->arena);
}

int qd_segment_merge(const qd_merge_source *sources, uint32_t n, qd_store *s, qd_str name,
                     const uint8_t id[16], const qd_merge_options *options, qd_account *account,
                     qd_merge_result *result, qd_err *err)
{
    qd_assert(n >= 1);
    if (n > SOURCES_MAX) return qd_err_set(err, QD_E_LIMIT, "a merge has at most 1,024 sources");
    qd_merge_result none = {0}, *out = result ? result : &none;
    *out = none;
    qdi_nested_tables tables = {.account = account};
    qdi_merge m = {.options = options,
                   .account = account,
                   .err = err,
                   .n = n,
                   .store = s,
                   .name = name,
                   .whole = &m,
                   .tables = &tables};
    qd_arena_init(&m.arena, account, 0);
    /* every page is read: its checksum is looked at again, whatever was seen before */
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < n; i++) rc = qd_file_verify(sources[i].segment->file, err);
    if (rc == 0) rc = prepare(&m, sources);
    uint64_t bytes = 0;
    if (rc == 0 && m.docs > 0) {
        qd_file_format format =
            qdi_segment_format(qdi_index_parts_any(m.segments, n), qdi_merge_any_nested(&m));
        rc = qd_file_create(s, name, &format, id, account, &m.file, err);
        if (rc == 0 && (rc = run(&m, out)) != 0)
            qd_file_abort(m.file);
        else if (rc == 0)
            rc = qd_file_commit(m.file, options->sync, &bytes, err);
    }
    /* without room for the maps the caller could not carry deletions over: the merge is void */
    if (rc == 0) rc = fill_result(&m, bytes, out);
    if (rc || !result) qd_merge_result_fini(out);
    if (rc && bytes) {
        int ignored = qd_store_delete(s, name, NULL);
        (void)ignored;
    }
    qdi_merge_finish(&m);
    qdi_nested_tables_fini(&tables);
    return rc;
}
