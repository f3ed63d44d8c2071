/* parts_write.c: index parts from an indexing buffer and from the parts of merged segments. */
#include "base/bits.h"
#include "segment/parts/parts_int.h"
#include "segment/segment_int.h"

#define BETWEEN_POLLS (256u << 10)

/* The stream of one part. */
typedef struct stream {
    qd_part_sink sink;
    qdi_index_parts_writer *w;
} stream;

static int32_t write_bytes(const qd_part_sink *sink, const void *p, size_t n, qd_err *err)
{
    qdi_index_parts_writer *w = ((const stream *)sink->host)->w;
    if (!n && w->poll) return w->poll(w->poll_arg); /* long work between two writes asks */
    while (n) {
        size_t piece = n < BETWEEN_POLLS ? n : BETWEEN_POLLS;
        int rc = qd_file_write(w->file, p, piece, err);
        if (rc) return rc;
        p = (const char *)p + piece;
        n -= piece;
        w->polled += piece;
        if (w->polled < BETWEEN_POLLS || !w->poll) continue;
        w->polled = 0;
        rc = w->poll(w->poll_arg);
        if (rc) return rc;
    }
    return 0;
}

static int section_begin(stream *s, qdi_index_parts_writer *w, qd_str type, qd_err *err)
{
    *s = (stream){.sink = {.struct_size = sizeof s->sink, .write = write_bytes}, .w = w};
    s->sink.host = s;
    if (w->n >= QDI_PARTS_MAX)
        return qd_err_set(err, QD_E_LIMIT,
                          "a segment has at most %u index parts; [%.*s] is one more", QDI_PARTS_MAX,
                          QD_STR_ARG(type));
    return qd_file_section_begin(w->file, QDI_SEC_PART + w->n, false, err);
}

static void put(qd_buf *b, uint64_t v)
{
    uint8_t bytes[10];
    qd_buf_add(b, bytes, (size_t)(qd_put_varint(bytes, v) - bytes));
}

/* Ends the section and writes the record; a part without a byte has both as well. */
static int section_end(qdi_index_parts_writer *w, uint32_t field, const qd_part_type *t,
                       qd_err *err)
{
    uint64_t bytes = 0;
    int rc = qd_file_section_end(w->file, &bytes, err);
    if (rc) return rc;
    put(w->index, field);
    put(w->index, t->name.n);
    qd_buf_str(w->index, t->name);
    put(w->index, t->vt->version);
    put(w->index, bytes);
    w->n++;
    return 0;
}

int qdi_index_part_begin(qdi_index_part_buffer *b, const qd_part_type *t, const qd_field_conf *conf,
                         qd_err *err)
{
    int rc = t->vt->begin(conf, &b->buffer, err);
    if (rc) {
        b->buffer = NULL;
        return rc;
    }
    b->type = *t;
    return 0;
}

void qdi_index_part_end(qdi_index_part_buffer *b)
{
    if (b->buffer) b->type.vt->end(b->buffer);
    b->buffer = NULL;
}

int qdi_index_part_write(const qdi_index_part_buffer *b, uint32_t field, uint32_t docs,
                         qdi_index_parts_writer *w, qd_err *err)
{
    stream s;
    int rc = section_begin(&s, w, b->type.name, err);
    if (rc == 0) rc = b->type.vt->write(b->buffer, docs, &s.sink, err);
    return rc ? rc : section_end(w, field, &b->type, err);
}

/* --- merge ------------------------------------------------------------------------------------ */

bool qdi_index_parts_any(qd_segment *const *segments, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (segments[i]->nparts) return true;
    return false;
}

/* The part of a source for a field of the merged schema, or NULL. */
static const qd_part_info *part_in(const qdi_merge_in *in, qd_segment *const *segments,
                                   uint32_t source, uint32_t field)
{
    uint32_t f = in->parts[source].fields[field];
    return f == QDI_FIELD_NONE ? NULL : qd_segment_part_of(segments[source], f);
}

/* One field's sources while they are merged. */
typedef struct merging {
    qd_arena arena;
    qd_part_view *views;
    qd_part_source *sources;
    uint32_t n;
} merging;

/* The map of a source; one without deletions has none: it is made. */
static int add_source(merging *m, const qdi_merge_in *in, uint32_t source, qd_segment *segment,
                      const qd_part_info *info, qd_err *err)
{
    const qdi_merge_part *p = &in->parts[source];
    const uint32_t *map = p->map;
    if (!map) {
        uint32_t *made = qd_arena_alloc(&m->arena, ((size_t)p->docs + 1) * sizeof *made);
        if (!made) return qd_err_nomem(err, "map of documents");
        for (uint32_t d = 0; d < p->docs; d++) made[d] = p->base + d;
        map = made;
    }
    qd_part_view *v = &m->views[m->n];
    int rc = qd_part_view_open(v, segment, info, &m->arena, in->account, err);
    if (rc) return rc;
    m->sources[m->n++] = (qd_part_source){.bytes = &v->bytes, .map = map, .docs = p->docs};
    return 0;
}

static int find_type(const qdi_merge_in *in, uint32_t field, const qd_part_info *info,
                     const qd_part_types *types, qd_part_type *t, qd_err *err)
{
    if (!types || !types->find(types->arg, info->type, t))
        return qd_err_set(err, QD_E_PLUGIN,
                          "field [%.*s] has an index part of the type [%.*s], which no loaded "
                          "plugin provides",
                          QD_STR_ARG(in->fields[field].name), QD_STR_ARG(info->type));
    return 0;
}

/* Is a type the other one, or "other.more", whose merges read the other's parts too? */
static bool extends(qd_str type, qd_str other)
{
    return type.n >= other.n && memcmp(type.p, other.p, other.n) == 0 &&
           (type.n == other.n || type.p[other.n] == '.');
}

static int check_source(const qdi_merge_in *in, uint32_t field, const qd_part_info *info,
                        const qd_part_type *t, qd_err *err)
{
    if (!extends(t->name, info->type))
        return qd_err_set(err, QD_E_STATE, "field [%.*s] has index parts of two types",
                          QD_STR_ARG(in->fields[field].name));
    return qdi_index_part_readable(t, info, err);
}

static int merge_field(const qdi_merge_in *in, qd_segment *const *segments, uint32_t field,
                       const qd_part_types *types, qdi_index_parts_writer *w, qd_err *err)
{
    merging m = {.n = 0};
    qd_part_type t = {.vt = NULL};
    int rc = 0;
    qd_arena_init(&m.arena, in->account, 0);
    m.views = qd_arena_calloc(&m.arena, in->n * sizeof *m.views);
    m.sources = qd_arena_calloc(&m.arena, in->n * sizeof *m.sources);
    if (!m.views || !m.sources) rc = qd_err_nomem(err, "merge of index parts");
    for (uint32_t i = 0; rc == 0 && i < in->n; i++) {
        const qd_part_info *info = part_in(in, segments, i, field);
        if (!info) continue;
        if (!t.vt || (info->type.n > t.name.n && extends(info->type, t.name)))
            rc = find_type(in, field, info, types, &t, err);
        if (rc == 0) rc = check_source(in, field, info, &t, err);
        if (rc == 0) rc = add_source(&m, in, i, segments[i], info, err);
    }
    if (rc == 0 && m.n) {
        stream s;
        rc = section_begin(&s, w, t.name, err);
        if (rc == 0) rc = t.vt->merge(t.self, m.sources, m.n, in->docs, &s.sink, err);
        if (rc == 0) rc = section_end(w, field, &t, err);
    }
    for (uint32_t i = 0; i < m.n; i++) qd_part_view_close(&m.views[i]);
    qd_arena_fini(&m.arena);
    return rc;
}

int qdi_index_parts_merge(const qdi_merge_in *in, qd_segment *const *segments,
                          const qd_part_types *types, qdi_index_parts_writer *w, qd_err *err)
{
    int rc = 0;
    for (uint32_t f = 0; rc == 0 && f < in->nfields; f++) {
        rc = merge_field(in, segments, f, types, w, err);
        if (rc == 0) rc = qdi_merge_poll(in);
    }
    return rc;
}
