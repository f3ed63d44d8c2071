/* parts_read.c: PART_INDEX of an open segment, and its parts as their types read and check them. */
#include "base/bits.h"
#include "segment/parts/parts_int.h"
#include "segment/segment_int.h"

/* --- records ---------------------------------------------------------------------------------- */

static int bad_index(qd_segment *s, const char *what, qd_err *err)
{
    return qdi_corrupt(s, QDI_SEC_PART_INDEX, 0, what, err);
}

/* One record: field, type, version, length. Sections are numbered as the records come. */
static const uint8_t *read_record(qd_segment *s, const uint8_t *p, const uint8_t *end,
                                  qd_part_info *out)
{
    uint64_t field, n, version, bytes;
    if (!(p = qd_get_varint(p, end, &field)) || field >= s->nfields) return NULL;
    if (!(p = qd_get_varint(p, end, &n)) || n == 0 || n > 63 || n > (size_t)(end - p)) return NULL;
    qd_str type = {(const char *)p, n};
    p += n;
    if (!(p = qd_get_varint(p, end, &version)) || version > UINT32_MAX) return NULL;
    if (!(p = qd_get_varint(p, end, &bytes))) return NULL;
    *out = (qd_part_info){.field = (uint32_t)field,
                          .version = (uint32_t)version,
                          .section = QDI_SEC_PART + s->nparts,
                          .type = type, /* stays: the section is resident */
                          .bytes = bytes};
    return p;
}

int qdi_index_parts_open(qd_segment *s, qd_err *err)
{
    uint64_t n = 0;
    const uint8_t *p = qd_file_resident(s->file, QDI_SEC_PART_INDEX, &n), *end = p + n;
    if (!p) return 0;
    uint64_t most = n / 5 < QDI_PARTS_MAX ? n / 5 : QDI_PARTS_MAX; /* bytes of the least record */
    s->parts = qd_arena_calloc(&s->arena, (most + 1) * sizeof *s->parts);
    if (!s->parts) return qd_err_nomem(err, "index parts of a segment");
    while (p < end) {
        if (s->nparts == most) return bad_index(s, "number of index parts", err);
        qd_part_info *i = &s->parts[s->nparts];
        p = read_record(s, p, end, i);
        if (!p) return bad_index(s, "record of an index part", err);
        if (s->nparts && i[-1].field >= i->field)
            return bad_index(s, "order of the index parts", err);
        uint64_t bytes = 0;
        if (!qd_file_section(s->file, i->section, &bytes) || bytes != i->bytes)
            return bad_index(s, "length of an index part", err);
        s->nparts++;
    }
    return 0;
}

uint32_t qd_segment_parts(const qd_segment *s)
{
    return s->nparts;
}

const qd_part_info *qd_segment_part(const qd_segment *s, uint32_t i)
{
    qd_assert(i < s->nparts);
    return &s->parts[i];
}

const qd_part_info *qd_segment_part_of(const qd_segment *s, uint32_t field)
{
    uint32_t lo = 0, hi = s->nparts;
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        if (s->parts[mid].field == field) return &s->parts[mid];
        if (s->parts[mid].field < field)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

/* --- bytes ------------------------------------------------------------------------------------ */

static int32_t corrupt(const qd_part_bytes *b, uint64_t offset, qd_str what, qd_err *err)
{
    const qd_part_view *v = b->host;
    char text[128];
    size_t n = what.n < sizeof text - 1 ? what.n : sizeof text - 1;
    if (n) memcpy(text, what.p, n);
    text[n] = 0;
    return qdi_corrupt(v->segment, v->info->section, offset, text, err);
}

static int32_t read_ranges(const qd_part_bytes *b, const qd_part_range *ranges, uint32_t n,
                           const void **out, qd_err *err)
{
    const qd_part_view *v = b->host;
    uint32_t first = 0, slot = 0;
    for (uint32_t i = 0; i < n; i++) {
        const qd_part_range *g = &ranges[i];
        if (g->offset > b->length || g->length > b->length - g->offset)
            return corrupt(b, g->offset, QD_STR("range outside of the index part"), err);
        int rc = qd_reads_add(v->reads, v->segment->file, v->info->section, g->offset, g->length,
                              &slot, err);
        if (rc) return rc;
        if (i == 0) first = slot;
    }
    int rc = n ? qd_reads_fetch(v->reads, err) : 0;
    for (uint32_t i = 0; rc == 0 && i < n; i++) out[i] = qd_reads_at(v->reads, first + i);
    return rc;
}

static void release(const qd_part_bytes *b)
{
    const qd_part_view *v = b->host;
    qd_reads_release(v->reads);
}

int qd_part_view_open(qd_part_view *v, qd_segment *s, const qd_part_info *info, qd_arena *arena,
                      qd_account *account, qd_err *err)
{
    *v = (qd_part_view){.bytes = {.struct_size = sizeof v->bytes,
                                  .version = info->version,
                                  .docs = s->docs,
                                  .length = info->bytes,
                                  .read = read_ranges,
                                  .release = release,
                                  .corrupt = corrupt},
                        .segment = s,
                        .info = info,
                        .reads = qd_reads_make(arena, account)};
    v->bytes.host = v;
    return v->reads ? 0 : qd_err_nomem(err, "index part");
}

void qd_part_view_close(qd_part_view *v)
{
    if (v->reads) qd_reads_release(v->reads);
}

int qdi_index_part_readable(const qd_part_type *t, const qd_part_info *i, qd_err *err)
{
    if (i->version > t->vt->version)
        return qd_err_set(err, QD_E_FORMAT_NEW,
                          "index part of the type [%.*s] has the version %u; this plugin reads up "
                          "to %u: upgrade the plugin",
                          QD_STR_ARG(i->type), i->version, t->vt->version);
    if (i->version < t->vt->version_min)
        return qd_err_set(err, QD_E_FORMAT_OLD,
                          "index part of the type [%.*s] has the version %u; this plugin reads it "
                          "from %u on: reindex with an older one",
                          QD_STR_ARG(i->type), i->version, t->vt->version_min);
    return 0;
}

int qd_part_open(qd_part_view *v, const qd_part_type *t, qd_part_reader **out, qd_err *err)
{
    qd_part_range ranges[QD_PART_RANGES];
    const void *at[QD_PART_RANGES];
    uint32_t n = QD_PART_RANGES;
    int rc = qdi_index_part_readable(t, v->info, err);
    if (rc == 0) rc = t->vt->plan(t->self, &v->bytes, ranges, &n, err);
    if (rc) return rc;
    if (n > QD_PART_RANGES)
        return qd_err_set(err, QD_E_PLUGIN, "type [%.*s] plans %u ranges; at most %u are allowed",
                          QD_STR_ARG(t->name), n, QD_PART_RANGES);
    rc = read_ranges(&v->bytes, ranges, n, at, err);
    return rc ? rc : t->vt->open(t->self, &v->bytes, out, err);
}

/* --- check ------------------------------------------------------------------------------------ */

typedef struct findings {
    qd_part_findings f;
    qd_check *c;
    const qd_part_info *info;
} findings;

static void found(const qd_part_findings *f, uint64_t offset, qd_str text)
{
    const findings *x = f->host;
    qd_check_found(x->c, "PART", offset, "field %u, type [%.*s]: %.*s", x->info->field,
                   QD_STR_ARG(x->info->type), QD_STR_ARG(text));
}

static int check_part(qd_segment *s, const qd_part_info *info, const qd_part_type *t, qd_check *c,
                      qd_err *err)
{
    findings x = {.f = {.struct_size = sizeof x.f, .found = found}, .c = c, .info = info};
    qd_arena arena;
    qd_part_view v;
    x.f.host = &x;
    qd_arena_init(&arena, c->account, 0);
    int rc = qdi_index_part_readable(t, info, err);
    if (rc == 0) rc = qd_part_view_open(&v, s, info, &arena, c->account, err);
    if (rc == 0) {
        rc = t->vt->check(t->self, &v.bytes, &x.f, err);
        qd_part_view_close(&v);
    }
    qd_arena_fini(&arena);
    return qd_check_error(c, "PART", rc, err);
}

int qdi_index_parts_check(qd_segment *s, qd_check *c, qd_err *err)
{
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < s->nparts; i++) {
        const qd_part_info *info = &s->parts[i];
        qd_part_type t;
        c->parts++;
        if (c->types && c->types->find(c->types->arg, info->type, &t))
            rc = check_part(s, info, &t, c, err);
        else
            c->parts_unread++;
    }
    return rc;
}
