/* points_doors.c: see points_doors.h. */
#include "unit/lib/points_doors.h"
#include <stdlib.h>

static const uint8_t id[16] = {7};
#define MUST(call)                                                                                 \
    do {                                                                                           \
        int rc_ = (call);                                                                          \
        qd_assert(rc_ == 0);                                                                       \
    } while (0)

static int by_i64(const void *a, const void *b)
{
    const doors_point *p = a, *q = b;
    if (p->v.i != q->v.i) return p->v.i < q->v.i ? -1 : 1;
    return (p->doc > q->doc) - (p->doc < q->doc);
}

static int by_b16(const void *a, const void *b)
{
    const doors_point *p = a, *q = b;
    int c = memcmp(p->v.b, q->v.b, 16);
    return c ? c : (p->doc > q->doc) - (p->doc < q->doc);
}

void doors_sort(doors_model *m)
{
    qsort(m->at, m->n, sizeof *m->at, m->type == QD_POINT_I64 ? by_i64 : by_b16);
}

/* Both sections of points, the object's only ones. */
static void commit(qd_file_writer *w, qd_buf *resident)
{
    MUST(qd_file_section_begin(w, QDI_SEC_POINT_INDEX, true, NULL));
    MUST(qd_file_write(w, resident->p, resident->n, NULL));
    MUST(qd_file_section_end(w, NULL, NULL));
    MUST(qd_file_commit(w, false, NULL, NULL));
    qd_buf_fini(resident);
}

static int by_doc(const void *a, const void *b)
{
    const doors_point *p = a, *q = b;
    return (p->doc > q->doc) - (p->doc < q->doc);
}

void doors_write(const doors_model *m, qd_store *s, const char *name, qd_account *account)
{
    qdi_points_buffer *b;
    qd_file_writer *w;
    qd_buf resident;
    qd_file_format fmt = QDI_SEGMENT_FORMAT;
    doors_point *v = qd_alloc(account, m->n * sizeof *v);
    qd_assert(v);
    memcpy(v, m->at, m->n * sizeof *v);
    qsort(v, m->n, sizeof *v, by_doc);
    MUST(qdi_points_buffer_make(m->type, account, &b, NULL));
    for (uint32_t i = 0; i < m->n; i++) MUST(qdi_points_buffer_add(b, v[i].doc, &v[i].v, 1, NULL));
    qd_free(v);
    qd_buf_init(&resident, account, 1u << 26);
    MUST(qd_file_create(s, qd_str_c(name), &fmt, id, account, &w, NULL));
    MUST(qdi_points_write(&(qdi_points_source){5, b, NULL}, 1, m->docs, w, &resident, account,
                          NULL));
    commit(w, &resident);
    qdi_points_buffer_free(b);
}

typedef struct visit {
    const qd_points *p;
    const doors_model *m;
    qd_arena arena;
    qd_reads *r;
    uint64_t seed;
    bool same;
    qd_err *err;
} visit;

static uint32_t below(visit *x, uint32_t n)
{
    x->seed = x->seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((x->seed >> 33) % n);
}

static bool within(const doors_model *m, uint32_t i, qd_point_value lo, qd_point_value hi)
{
    const qd_point_value *v = &m->at[i].v;
    if (m->type == QD_POINT_I64) return v->i >= lo.i && v->i <= hi.i;
    return memcmp(v->b, lo.b, 16) >= 0 && memcmp(v->b, hi.b, 16) <= 0;
}

/* The list and the bitmap of a planned range. */
static int range_docs(visit *x, qd_points_reader *rd, const uint64_t *model, uint64_t most)
{
    uint32_t words = x->m->docs / 64 + 1, n = 0;
    uint64_t *bits = qd_arena_calloc(&x->arena, words * sizeof *bits);
    uint32_t *list = qd_arena_alloc(&x->arena, (most + 8) * sizeof *list);
    qd_assert(bits && list);
    int rc = qd_points_bits(rd, bits, x->err);
    if (!rc) rc = qd_points_docs(rd, list, &n, x->err);
    if (rc) return rc;
    x->same &= memcmp(bits, model, words * sizeof *bits) == 0;
    qd_assert(n <= most);
    for (uint32_t i = 0; i < n; i++) {
        qd_assert(list[i] < x->m->docs && (i == 0 || list[i] > list[i - 1]));
        qd_assert(bits[list[i] / 64] >> (list[i] & 63) & 1);
        bits[list[i] / 64] &= ~((uint64_t)1 << (list[i] & 63));
    }
    for (uint32_t i = 0; i < words; i++) qd_assert(bits[i] == 0);
    return 0;
}

static int one_range(visit *x, qd_point_value lo, qd_point_value hi)
{
    uint64_t least, most, got = 0, want = 0;
    uint64_t *model = qd_arena_calloc(&x->arena, (x->m->docs / 64 + 1) * sizeof *model);
    qd_points_reader *rd;
    int rc = 0;
    qd_assert(model);
    for (uint32_t i = 0; i < x->m->n; i++) {
        if (!within(x->m, i, lo, hi)) continue;
        want++;
        model[x->m->at[i].doc / 64] |= (uint64_t)1 << (x->m->at[i].doc & 63);
    }
    qd_points_estimate(x->p, lo, hi, &least, &most);
    x->same &= least <= want && want <= most;
    for (int borders = 0; !rc && borders < 2; borders++) {
        rc = qd_points_plan(x->p, lo, hi, borders, x->r, &x->arena, &rd, x->err);
        if (!rc) rc = qd_reads_fetch(x->r, x->err);
        if (!rc) rc = qd_points_count(rd, &got, x->err);
        if (!rc) qd_assert(got <= most);
        x->same &= rc != 0 || got == want;
        if (!rc && !borders) rc = range_docs(x, rd, model, most);
        qd_reads_release(x->r);
    }
    return rc;
}

static int one_slice(visit *x, uint32_t first, uint32_t n)
{
    qd_points_reader *rd;
    uint32_t *docs = qd_arena_alloc(&x->arena, n * sizeof *docs);
    qd_assert(docs);
    int rc = qd_points_slice_plan(x->p, first, n, x->r, &x->arena, &rd, x->err);
    if (!rc) rc = qd_reads_fetch(x->r, x->err);
    if (!rc) rc = qd_points_slice_docs(rd, docs, x->err);
    for (uint32_t i = 0; !rc && i < n; i++) {
        qd_assert(docs[i] < x->m->docs);
        x->same &= first + i < x->m->n && docs[i] == x->m->at[first + i].doc;
    }
    bool values = qd_points_stats_get(x->p)->type == QD_POINT_I64;
    for (uint32_t i = 0; values && !rc && i < n; i++) {
        int64_t v = 0;
        rc = qd_points_slice_value(rd, i, &v, x->err);
        x->same &= rc != 0 || (first + i < x->m->n && v == x->m->at[first + i].v.i);
    }
    qd_reads_release(x->r);
    return rc;
}

static int all_doors(visit *x)
{
    const qd_points_stats *st = qd_points_stats_get(x->p);
    const doors_point *v = x->m->at;
    uint32_t n = x->m->n, points = (uint32_t)st->points;
    x->same = st->type == x->m->type && points == n && within(x->m, 0, st->min, st->min) &&
              within(x->m, n - 1, st->max, st->max);
    int rc = one_range(x, v[0].v, v[n - 1].v);
    if (!rc) rc = one_range(x, v[n - 1].v, v[0].v);
    if (!rc) rc = one_range(x, st->min, st->max);
    for (int i = 0; !rc && i < 8; i++) {
        uint32_t a = below(x, n), b = i % 3 ? below(x, n) : a;
        rc = one_range(x, v[a < b ? a : b].v, v[a < b ? b : a].v);
    }
    if (points > 1u << 20) points = 1u << 20; /* damaged: as many as are worth a look */
    if (!rc) rc = one_slice(x, 0, points);
    for (int i = 0; !rc && i < 4; i++) {
        uint32_t a = below(x, points);
        rc = one_slice(x, a, 1 + below(x, points - a));
    }
    return rc;
}

int doors_read(const qd_points *p, const doors_model *m, uint64_t seed, bool *same,
               qd_account *account, qd_err *err)
{
    visit x = {.p = p, .m = m, .seed = seed, .err = err};
    qd_arena_init(&x.arena, account, 0);
    x.r = qd_reads_make(&x.arena, account);
    qd_assert(x.r);
    int rc = all_doors(&x);
    qd_assert(rc == 0 || rc == QD_E_CORRUPT);
    *same = rc == 0 && x.same;
    qd_arena_fini(&x.arena);
    return rc;
}

int doors_merge(const qd_points_set *set, const doors_model *m, qd_store *s, const char *to,
                qd_account *account, qd_err *err)
{
    static const uint32_t fields[1] = {5};
    const qd_field_info schema[1] = {{.name = {"a", 1}, .point = m->type}};
    const qdi_merge_part part[2] = {
        {.points = set, .docs = m->docs, .live = m->docs, .fields = fields},
        {.points = set, .docs = m->docs, .live = m->docs, .base = m->docs, .fields = fields}};
    qdi_merge_in in = {.parts = part,
                       .n = 2,
                       .fields = schema,
                       .nfields = 1,
                       .docs = 2 * m->docs,
                       .id_field = QDI_FIELD_NONE,
                       .account = account};
    qd_file_format fmt = QDI_SEGMENT_FORMAT;
    qd_file_writer *w;
    qd_file *f;
    qd_points_set *out;
    qd_buf resident;
    qd_buf_init(&resident, account, 1u << 26);
    MUST(qd_file_create(s, qd_str_c(to), &fmt, id, account, &w, NULL));
    int rc = qdi_points_merge(&in, w, &resident, err);
    if (rc) {
        qd_buf_fini(&resident);
        qd_file_abort(w);
        return rc;
    }
    commit(w, &resident);
    MUST(qd_file_open(s, qd_str_c(to), &fmt, account, &f, NULL));
    rc = qdi_points_open(f, in.docs, account, &out, err);
    qd_assert(rc == 0);
    qdi_points_close(out);
    qd_file_unref(f);
    MUST(qd_store_delete(s, qd_str_c(to), NULL));
    return rc;
}
