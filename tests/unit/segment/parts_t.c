/* parts_t.c: points, stored documents, ids, live documents against plain models; merged parts equal
 * the directly built ones. */
#include "base/log.h"
#include "segment/ids/ids_int.h"
#include "segment/live.h"
#include "segment/points/points_int.h"
#include "segment/stored/stored_int.h"
#include "unit/lib/parts.h"
#include "unit/unit.h"

static void put_resident(parts *x, qd_file_writer *w, uint32_t section, qd_buf *b)
{
    OK(x, qd_file_section_begin(w, section, true, &x->err));
    OK(x, qd_file_write(w, b->p, b->n, &x->err));
    OK(x, qd_file_section_end(w, NULL, &x->err));
    qd_buf_fini(b);
}

/* --- points --- */

typedef struct point {
    qd_point_value v;
    uint32_t doc;
} point;

static int order_i64(const void *a, const void *b)
{
    const point *p = a, *q = b;
    if (p->v.i != q->v.i) return p->v.i < q->v.i ? -1 : 1;
    return p->doc < q->doc ? -1 : p->doc > q->doc;
}

static int order_b16(const void *a, const void *b)
{
    const point *p = a, *q = b;
    int c = memcmp(p->v.b, q->v.b, 16);
    return c ? c : p->doc < q->doc ? -1 : p->doc > q->doc;
}

static qd_point_value random_point(parts *x, uint8_t type, uint32_t spread)
{
    qd_point_value v = {.b = {0}};
    if (type == QD_POINT_I64) {
        v.i = (int64_t)parts_random(x, spread) - (int64_t)spread / 2;
        if (spread == 1) v.i = (int64_t)parts_random(x, 0);
    } else {
        memcpy(v.b, "\x20\x01\x0d\xb8", 4);
        for (uint32_t i = 12; i < 16; i++) v.b[i] = (uint8_t)parts_random(x, 0);
        if (spread == 1) v.b[5] = (uint8_t)parts_random(x, 3);
        if (parts_random(x, 10) == 0) memset(v.b, 0, 12);
    }
    return v;
}

static bool within(uint8_t type, qd_point_value v, qd_point_value lo, qd_point_value hi)
{
    if (type == QD_POINT_I64) return v.i >= lo.i && v.i <= hi.i;
    return memcmp(v.b, lo.b, 16) >= 0 && memcmp(v.b, hi.b, 16) <= 0;
}

static void compare_range(parts *x, const qd_points *p, const point *v, uint32_t n, uint32_t docs,
                          qd_point_value lo, qd_point_value hi)
{
    uint8_t type = qd_points_stats_get(p)->type;
    uint64_t want = 0, least, most, got;
    uint64_t *bits = calloc(docs / 64 + 1, 8), *model = calloc(docs / 64 + 1, 8);
    for (uint32_t i = 0; i < n; i++) {
        if (!within(type, v[i].v, lo, hi)) continue;
        want++;
        model[v[i].doc / 64] |= (uint64_t)1 << (v[i].doc & 63);
    }
    qd_points_estimate(p, lo, hi, &least, &most);
    assert_true(least <= want && want <= most && most - least <= 2 * QD_POINTS_BLOCK);
    qd_reads *r = parts_reads(x);
    qd_points_reader *rd;
    for (uint32_t borders = 0; borders < 2; borders++) {
        OK(x, qd_points_plan(p, lo, hi, borders, r, &x->arena, &rd, &x->err));
        OK(x, qd_reads_fetch(r, &x->err));
        OK(x, qd_points_count(rd, &got, &x->err));
        assert_int_equal(got, want);
        if (borders) break;
        OK(x, qd_points_bits(rd, bits, &x->err));
        assert_memory_equal(bits, model, (docs / 64 + 1) * 8);
        uint32_t *list = malloc((most + 8) * sizeof *list), k, at = 0;
        OK(x, qd_points_docs(rd, list, &k, &x->err));
        for (uint32_t d = 0; d < docs; d++) {
            if (!((model[d / 64] >> (d & 63)) & 1)) continue;
            assert_true(at < k && list[at] == d);
            at++;
        }
        assert_int_equal(at, k);
        free(list);
        qd_reads_release(r);
    }
    qd_reads_release(r);
    free(bits);
    free(model);
}

static void one_points(bool copies, uint8_t type, uint32_t docs, uint32_t spread, uint32_t most)
{
    parts x;
    parts_begin(&x, copies);
    x.seed = docs + spread;
    qdi_points_buffer *b;
    OK(&x, qdi_points_buffer_make(type, &x.account, &b, &x.err));
    point *v = malloc((size_t)docs * 4 * sizeof *v);
    uint32_t n = 0, with = 0;
    for (uint32_t d = 0; d < docs; d++) {
        uint32_t k = most == 1 ? 1 : (uint32_t)parts_random(&x, most + 1);
        qd_point_value values[4];
        for (uint32_t i = 0; i < k; i++) {
            values[i] = random_point(&x, type, spread);
            v[n++] = (point){values[i], d};
        }
        with += k > 0;
        OK(&x, qdi_points_buffer_add(b, d, values, k, &x.err));
        if (d == 77) {
            OK(&x, qdi_points_buffer_add(b, d + 1, values, 1, &x.err));
            qdi_points_buffer_rollback(b, d + 1);
        }
    }
    qsort(v, n, sizeof *v, type == QD_POINT_I64 ? order_i64 : order_b16);
    qd_buf resident;
    qd_buf_init(&resident, &x.account, 1u << 28);
    qd_file_writer *w = parts_create(&x, "f");
    qdi_points_source s = {5, b, NULL};
    OK(&x, qdi_points_write(&s, 1, docs, w, &resident, &x.account, &x.err));
    put_resident(&x, w, QDI_SEC_POINT_INDEX, &resident);
    OK(&x, qd_file_commit(w, false, NULL, &x.err));
    qd_file *f = parts_open(&x, "f");
    qd_points_set *set;
    OK(&x, qdi_points_open(f, docs, &x.account, &set, &x.err));
    const qd_points *p = qd_points_get(set, 5);
    assert_int_equal(p != NULL, n > 0);
    if (p) {
        const qd_points_stats *st = qd_points_stats_get(p);
        assert_int_equal(st->points, n);
        assert_int_equal(st->docs, with);
        assert_int_equal(st->multi, with != n);
        assert_true(within(type, st->min, v[0].v, v[0].v));
        assert_true(within(type, st->max, v[n - 1].v, v[n - 1].v));
        compare_range(&x, p, v, n, docs, v[0].v, v[n - 1].v);
        compare_range(&x, p, v, n, docs, v[n - 1].v, v[0].v);
        for (uint32_t round = 0; round < 25; round++) {
            qd_point_value lo =
                round % 2 ? v[parts_random(&x, n)].v : random_point(&x, type, spread);
            qd_point_value hi = round % 3 ? v[parts_random(&x, n)].v : lo;
            compare_range(&x, p, v, n, docs, lo, hi);
        }
    }
    qd_check c = {.account = &x.account, .file = f};
    OK(&x, qdi_points_check(set, &c, &x.err));
    assert_int_equal(c.findings, 0);
    assert_int_equal(c.points, n);
    qdi_points_close(set);
    qd_file_unref(f);
    qdi_points_buffer_free(b);
    free(v);
    parts_end(&x);
}

static void ranges_of_points(void **state)
{
    (void)state;
    for (uint32_t copies = 0; copies < 2; copies++)
        for (uint8_t type = QD_POINT_I64; type <= QD_POINT_B16; type++) {
            one_points(copies, type, 5000, 1, 1);
            one_points(copies, type, 5000, 50, 1);
            one_points(copies, type, 3000, 100000, 3);
            one_points(copies, type, 513, 3, 2);
        }
    one_points(false, QD_POINT_I64, 1, 1, 1);
    one_points(false, QD_POINT_I64, 512, 1, 1);
}

/* --- stored documents --- */

/* The text of document d: some empty, some long, mostly alike. */
static qd_str text_of(parts *x, uint32_t d, char *buf, size_t cap)
{
    parts y = {.seed = d + 1};
    (void)x;
    size_t n = d % 7 == 3 ? 0 : d == 100 ? cap - 10 : 200 + parts_random(&y, 900);
    for (size_t i = 0; i < n;) {
        char word[16];
        int k = snprintf(word, sizeof word, "word%u ", (uint32_t)parts_random(&y, 300));
        for (int j = 0; j < k && i < n; j++) buf[i++] = word[j];
    }
    return (qd_str){buf, n};
}
enum { TEXT_CAP = 300000 };

static void fill_stored(parts *x, qdi_stored_buffer *b, uint32_t from, uint32_t to, uint32_t base)
{
    char *buf = malloc(TEXT_CAP);
    for (uint32_t d = from; d < to; d++) {
        if (d % 11 == 5 && d % 7 == 3) continue; /* left out: empty as well */
        OK(x, qdi_stored_buffer_add(b, d - base, text_of(x, d, buf, TEXT_CAP), &x->err));
        if (d % 50 == 0) {
            OK(x, qdi_stored_buffer_add(b, d - base + 1, QD_STR("taken back"), &x->err));
            qdi_stored_buffer_rollback(b, d - base + 1);
        }
    }
    free(buf);
}

static qd_stored *open_stored(parts *x, qd_file *f, uint32_t docs)
{
    qd_stored *s = NULL;
    OK(x, qdi_stored_open(f, docs, &x->account, &s, &x->err));
    assert_non_null(s);
    return s;
}

static void write_stored(parts *x, const char *name, qdi_stored_buffer *b, uint32_t docs)
{
    qd_buf resident;
    qd_buf_init(&resident, &x->account, 1u << 28);
    qd_file_writer *w = parts_create(x, name);
    OK(x, qdi_stored_write(b, docs, w, &resident, &x->err));
    put_resident(x, w, QDI_SEC_STORED_INDEX, &resident);
    OK(x, qd_file_commit(w, false, NULL, &x->err));
}

typedef struct scan {
    parts *x;
    char *buf;
    const uint32_t *docs; /* which text document i holds; NULL: i */
    uint32_t next;
} scan;

static int scan_one(void *arg, uint32_t doc, qd_str bytes)
{
    scan *s = arg;
    assert_int_equal(doc, s->next++);
    assert_true(qd_str_eq(bytes, text_of(s->x, s->docs ? s->docs[doc] : doc, s->buf, TEXT_CAP)));
    return 0;
}

static void compare_stored(parts *x, qd_file *f, const qd_stored *s, uint32_t docs,
                           const uint32_t *which)
{
    qd_stored_scratch scratch = {.account = &x->account};
    char *buf = malloc(TEXT_CAP);
    qd_reads *r = parts_reads(x);
    for (uint32_t i = 0; i < 60 && docs; i++) {
        uint32_t d = i ? (uint32_t)parts_random(x, docs) : docs - 1, slot;
        qd_str got;
        OK(x, qd_stored_plan(s, d, r, &slot, &x->err));
        OK(x, qd_reads_fetch(r, &x->err));
        OK(x, qd_stored_get(s, d, r, slot, &scratch, &got, &x->err));
        assert_true(qd_str_eq(got, text_of(x, which ? which[d] : d, buf, TEXT_CAP)));
    }
    qd_reads_release(r);
    scan all = {x, buf, which, 0};
    OK(x, qd_stored_scan(s, 0, docs, &scratch, scan_one, &all, &x->err));
    assert_int_equal(all.next, docs);
    all.next = docs / 3;
    OK(x, qd_stored_scan(s, docs / 3, docs / 2, &scratch, scan_one, &all, &x->err));
    assert_int_equal(all.next, docs / 2 > docs / 3 ? docs / 2 : docs / 3);
    qd_check c = {.account = &x->account, .file = f};
    OK(x, qdi_stored_check(s, &c, &x->err));
    assert_int_equal(c.findings, 0);
    assert_int_equal(c.documents, docs);
    qd_stored_scratch_fini(&scratch);
    free(buf);
}

static void stored_documents_come_back(void **state)
{
    (void)state;
    const uint32_t sizes[] = {1, 6, 99, 1000, 3000};
    for (uint32_t codec = 0; codec < 2; codec++)
        for (uint32_t i = 0; i < 5; i++) {
            parts x;
            parts_begin(&x, i % 2);
            qdi_stored_buffer *b;
            OK(&x, qdi_stored_buffer_make((qd_stored_codec)codec, &x.account, &b, &x.err));
            for (uint32_t again = 0; again < 2; again++) {
                fill_stored(&x, b, 0, sizes[i], 0);
                write_stored(&x, "f", b, sizes[i]);
                write_stored(&x, "g", b, sizes[i]); /* a second try gives the same */
                qd_file *f = parts_open(&x, "g");
                qd_stored *s = open_stored(&x, f, sizes[i]);
                compare_stored(&x, f, s, sizes[i], NULL);
                if (codec && i == 4) assert_int_equal(qd_stored_stats_get(s)->dicts, 1);
                qdi_stored_close(s);
                qd_file_unref(f);
                OK(&x, qd_store_delete(x.store, QD_STR("f"), &x.err));
                OK(&x, qd_store_delete(x.store, QD_STR("g"), &x.err));
                qdi_stored_buffer_reset(b);
            }
            qdi_stored_buffer_free(b);
            parts_end(&x);
        }
}

static void merging_of_stored_documents(void **state)
{
    (void)state;
    for (uint32_t round = 0; round < 6; round++) {
        parts x;
        parts_begin(&x, round % 2);
        uint32_t codec = round % 3 == 2, ndocs[4] = {900, 3, 700, 400}, from = 0, n = 0;
        qdi_merge_part part[4];
        qd_file *f[4];
        qd_stored *s[4];
        uint32_t *map[4] = {0}, *which = malloc(2003 * sizeof *which);
        for (uint32_t i = 0; i < 4; i++) {
            qdi_stored_buffer *b;
            char name[2] = {(char)('a' + i), 0};
            OK(&x, qdi_stored_buffer_make(round == 5 ? QD_STORED_BEST : (qd_stored_codec)codec,
                                          &x.account, &b, &x.err));
            fill_stored(&x, b, from, from + ndocs[i], from);
            write_stored(&x, name, b, ndocs[i]);
            qdi_stored_buffer_free(b);
            f[i] = parts_open(&x, name);
            s[i] = round == 4 && i == 1 ? NULL : open_stored(&x, f[i], ndocs[i]);
            part[i] = (qdi_merge_part){.stored = s[i], .docs = ndocs[i], .base = n};
            if (round % 2 && i % 2 == 0) {
                map[i] = malloc(ndocs[i] * sizeof **map);
                for (uint32_t d = 0; d < ndocs[i]; d++) {
                    map[i][d] = parts_random(&x, 3) == 0 ? QDI_DOC_GONE : n;
                    if (map[i][d] != QDI_DOC_GONE) which[n++] = from + d;
                }
                part[i].map = map[i];
            } else {
                /* the texts of documents 3, 10, 17 are empty, as those without a store are */
                for (uint32_t d = 0; d < ndocs[i]; d++) which[n++] = s[i] ? from + d : 3;
            }
            part[i].live = n - part[i].base;
            from += ndocs[i];
        }
        qdi_merge_in in = {
            .parts = part, .n = 4, .docs = n, .codec = (uint8_t)codec, .account = &x.account};
        qd_buf resident;
        qd_buf_init(&resident, &x.account, 1u << 28);
        qd_file_writer *w = parts_create(&x, "m");
        OK(&x, qdi_stored_merge(&in, w, &resident, &x.err));
        put_resident(&x, w, QDI_SEC_STORED_INDEX, &resident);
        OK(&x, qd_file_commit(w, false, NULL, &x.err));
        qd_file *m = parts_open(&x, "m");
        qd_stored *merged = open_stored(&x, m, n);
        compare_stored(&x, m, merged, n, which);
        qdi_stored_close(merged);
        qd_file_unref(m);
        for (uint32_t i = 0; i < 4; i++) {
            qdi_stored_close(s[i]);
            qd_file_unref(f[i]);
            free(map[i]);
        }
        free(which);
        parts_end(&x);
    }
}

/* --- columns, points and ids: merged equals built --- */

enum { FIELDS = 5, COLUMN_LONG = 0, COLUMN_KEYWORD, COLUMN_MULTI, COLUMN_ID, FIELD_IP };
static const qd_field_info schema[FIELDS] = {
    {.name = {"a", 1}, .column = QD_COLUMN_I64, .point = QD_POINT_I64},
    {.name = {"b", 1}, .column = QD_COLUMN_ORDINAL},
    {.name = {"c", 1}, .column = QD_COLUMN_I64, .point = QD_POINT_I64},
    {.name = {"d", 1}, .column = QD_COLUMN_BYTES},
    {.name = {"e", 1}, .column = QD_COLUMN_ORDINAL, .point = QD_POINT_B16},
};

typedef struct built {
    qd_file *file;
    qd_columns *columns;
    qd_points_set *points;
    qd_ids *ids;
} built;

/* Writes the documents docs[0..n) (numbers of a common universe) directly. */
static void build(parts *x, const char *name, const uint32_t *docs, uint32_t n)
{
    qdi_column_buffer *c[FIELDS];
    qdi_points_buffer *ip;
    for (uint32_t f = 0; f < FIELDS; f++)
        OK(x, qdi_column_buffer_make(schema[f].column, &x->account, &c[f], &x->err));
    OK(x, qdi_points_buffer_make(QD_POINT_B16, &x->account, &ip, &x->err));
    for (uint32_t i = 0; i < n; i++) {
        parts y = {.seed = docs[i]};
        char text[40];
        int64_t v[4] = {(int64_t)parts_random(&y, 5000), 0, 0, 0};
        OK(x, qdi_column_buffer_i64(c[COLUMN_LONG], i, v, 1, &x->err));
        if (docs[i] % 4) {
            int k = snprintf(text, sizeof text, "key%u", (uint32_t)parts_random(&y, 700));
            OK(x, qdi_column_buffer_str(c[COLUMN_KEYWORD], i, (qd_str){text, (size_t)k}, &x->err));
        }
        for (uint32_t j = 0; j < 4; j++) v[j] = (int64_t)parts_random(&y, 0);
        OK(x, qdi_column_buffer_i64(c[COLUMN_MULTI], i, v, docs[i] % 5, &x->err));
        int k = snprintf(text, sizeof text, "id-%u", docs[i]);
        OK(x, qdi_column_buffer_str(c[COLUMN_ID], i, (qd_str){text, (size_t)k}, &x->err));
        if (docs[i] % 9 == 0) {
            qd_point_value p = random_point(&y, QD_POINT_B16, 1);
            OK(x, qdi_points_buffer_add(ip, i, &p, 1, &x->err));
            OK(x, qdi_column_buffer_str(c[FIELD_IP], i, (qd_str){(char *)p.b, 16}, &x->err));
        }
    }
    qdi_column_source cs[FIELDS];
    for (uint32_t f = 0; f < FIELDS; f++) cs[f] = (qdi_column_source){f, c[f], NULL};
    qdi_points_source ps[3] = {{COLUMN_LONG, NULL, c[COLUMN_LONG]},
                               {COLUMN_MULTI, NULL, c[COLUMN_MULTI]},
                               {FIELD_IP, ip, NULL}};
    qd_buf columns, points;
    qd_buf_init(&columns, &x->account, 1u << 28);
    qd_buf_init(&points, &x->account, 1u << 28);
    qd_file_writer *w = parts_create(x, name);
    OK(x, qdi_columns_write(cs, FIELDS, n, w, &columns, &x->account, &x->err));
    OK(x, qdi_points_write(ps, 3, n, w, &points, &x->account, &x->err));
    OK(x, qdi_ids_write(c[COLUMN_ID], w, &x->account, &x->err));
    put_resident(x, w, QDI_SEC_COLUMN_INDEX, &columns);
    put_resident(x, w, QDI_SEC_POINT_INDEX, &points);
    OK(x, qd_file_commit(w, false, NULL, &x->err));
    for (uint32_t f = 0; f < FIELDS; f++) qdi_column_buffer_free(c[f]);
    qdi_points_buffer_free(ip);
}

static built open_built(parts *x, const char *name, uint32_t docs)
{
    built b = {.file = parts_open(x, name)};
    OK(x, qdi_columns_open(b.file, docs, &x->account, &b.columns, &x->err));
    OK(x, qdi_points_open(b.file, docs, &x->account, &b.points, &x->err));
    OK(x, qdi_ids_open(b.file, docs, qd_columns_get(b.columns, COLUMN_ID), &x->account, &b.ids,
                       &x->err));
    return b;
}

static void close_built(built *b)
{
    qdi_ids_close(b->ids);
    qdi_points_close(b->points);
    qdi_columns_close(b->columns);
    qd_file_unref(b->file);
}

static void check_built(parts *x, const built *b, uint32_t docs)
{
    qd_check c = {.account = &x->account, .file = b->file};
    OK(x, qdi_columns_check(b->columns, &c, &x->err));
    OK(x, qdi_points_check(b->points, &c, &x->err));
    OK(x, qdi_ids_check(b->ids, &c, &x->err));
    assert_int_equal(c.findings, 0);
    assert_int_equal(c.ids, docs);
}

/* Both objects have the same bytes. */
static void same_bytes(parts *x, const char *a, const char *b)
{
    qd_file *f = parts_open(x, a), *g = parts_open(x, b);
    uint32_t s, t;
    uint64_t off, n, m;
    bool resident;
    for (uint32_t i = 0; qd_file_section_at_index(f, i, &s, &off, &n, &resident); i++) {
        qd_section_cursor c, d;
        assert_true(qd_file_section_at_index(g, i, &t, &off, &m, &resident));
        if (s != t || n != m)
            print_error("section %u: %u bytes, %u\n", s, (uint32_t)n, (uint32_t)m);
        assert_true(s == t && n == m);
        OK(x, qd_section_cursor_open(&c, f, s, 0, &x->account, &x->err));
        OK(x, qd_section_cursor_open(&d, g, s, 0, &x->account, &x->err));
        while (c.at < n) {
            OK(x, qd_section_cursor_need(&c, 512, &x->err));
            OK(x, qd_section_cursor_need(&d, 512, &x->err));
            size_t k = c.have < d.have ? c.have : d.have;
            if (memcmp(c.p, d.p, k)) print_error("section %u differs\n", s);
            assert_memory_equal(c.p, d.p, k);
            qd_section_cursor_skip(&c, k);
            qd_section_cursor_skip(&d, k);
        }
        qd_section_cursor_close(&c);
        qd_section_cursor_close(&d);
    }
    qd_file_unref(f);
    qd_file_unref(g);
}

static void a_merged_part_is_the_built_one(void **state)
{
    (void)state;
    static const uint32_t identity[FIELDS] = {0, 1, 2, 3, 4};
    for (uint32_t round = 0; round < 4; round++) {
        parts x;
        parts_begin(&x, round == 3);
        x.seed = round;
        uint32_t n = 0, sizes[3] = {6000, 4096, 1500}, next = 0;
        uint32_t *all = malloc(12000 * sizeof *all), *map[3] = {0};
        qdi_merge_part part[3];
        built b[3];
        for (uint32_t i = 0; i < 3; i++) {
            uint32_t *docs = malloc(sizes[i] * sizeof *docs);
            char name[2] = {(char)('a' + i), 0};
            for (uint32_t d = 0; d < sizes[i]; d++) docs[d] = next++;
            build(&x, name, docs, sizes[i]);
            b[i] = open_built(&x, name, sizes[i]);
            check_built(&x, &b[i], sizes[i]);
            part[i] = (qdi_merge_part){b[i].columns, b[i].points, NULL, b[i].ids, sizes[i], 0, n,
                                       NULL,         identity};
            if (round) {
                map[i] = malloc(sizes[i] * sizeof **map);
                part[i].map = map[i];
            }
            for (uint32_t d = 0; d < sizes[i]; d++) {
                bool gone = round && parts_random(&x, round == 2 ? 50 : 2) == 0;
                if (round == 2) gone = !gone;
                if (round) map[i][d] = gone ? QDI_DOC_GONE : n;
                if (!gone) all[n++] = docs[d];
            }
            part[i].live = n - part[i].base;
            free(docs);
        }
        build(&x, "direct", all, n);
        qdi_merge_in in = {.parts = part,
                           .n = 3,
                           .fields = schema,
                           .nfields = FIELDS,
                           .docs = n,
                           .id_field = COLUMN_ID,
                           .account = &x.account};
        qd_buf columns, points;
        qd_buf_init(&columns, &x.account, 1u << 28);
        qd_buf_init(&points, &x.account, 1u << 28);
        qd_file_writer *w = parts_create(&x, "merged");
        OK(&x, qdi_columns_merge(&in, w, &columns, &x.err));
        OK(&x, qdi_points_merge(&in, w, &points, &x.err));
        OK(&x, qdi_ids_merge(&in, w, &x.err));
        put_resident(&x, w, QDI_SEC_COLUMN_INDEX, &columns);
        put_resident(&x, w, QDI_SEC_POINT_INDEX, &points);
        OK(&x, qd_file_commit(w, false, NULL, &x.err));
        same_bytes(&x, "direct", "merged");
        for (uint32_t i = 0; i < 3; i++) {
            close_built(&b[i]);
            free(map[i]);
        }
        free(all);
        parts_end(&x);
    }
}

/* --- faults --- */

/* Writes documents 0..n directly as "f"; any step may fail. */
static int try_write(parts *x, uint32_t n)
{
    qdi_column_buffer *c = NULL, *k = NULL, *ids = NULL;
    qdi_points_buffer *p = NULL;
    qdi_stored_buffer *st = NULL;
    qd_file_writer *w = NULL;
    qd_file_format format = QDI_SEGMENT_FORMAT;
    const uint8_t id[16] = {3};
    qd_buf r[3];
    static const uint32_t resident[3] = {QDI_SEC_COLUMN_INDEX, QDI_SEC_POINT_INDEX,
                                         QDI_SEC_STORED_INDEX};
    for (uint32_t i = 0; i < 3; i++) qd_buf_init(&r[i], &x->account, 1u << 28);
    int rc = qdi_column_buffer_make(QD_COLUMN_I64, &x->account, &c, &x->err);
    if (!rc) rc = qdi_column_buffer_make(QD_COLUMN_ORDINAL, &x->account, &k, &x->err);
    if (!rc) rc = qdi_column_buffer_make(QD_COLUMN_BYTES, &x->account, &ids, &x->err);
    if (!rc) rc = qdi_points_buffer_make(QD_POINT_I64, &x->account, &p, &x->err);
    if (!rc) rc = qdi_stored_buffer_make(QD_STORED_DEFAULT, &x->account, &st, &x->err);
    for (uint32_t d = 0; d < n && !rc; d++) {
        char text[24];
        int64_t v[2] = {(int64_t)d * 7 % 31, (int64_t)d};
        qd_point_value pv = {.i = v[0]};
        qd_str t = {text, (size_t)snprintf(text, sizeof text, "t-%u", d % 40)};
        rc = qdi_column_buffer_i64(c, d, v, 1 + d % 2, &x->err);
        if (!rc) rc = qdi_column_buffer_str(k, d, t, &x->err);
        if (!rc) rc = qdi_column_buffer_str(ids, d, t, &x->err);
        if (!rc) rc = qdi_points_buffer_add(p, d, &pv, 1, &x->err);
        if (!rc) rc = qdi_stored_buffer_add(st, d, t, &x->err);
    }
    qdi_column_source cs[3] = {{0, c, NULL}, {1, k, NULL}, {2, ids, NULL}};
    qdi_points_source ps = {0, p, NULL};
    if (!rc) rc = qd_file_create(x->store, QD_STR("f"), &format, id, &x->account, &w, &x->err);
    if (!rc) rc = qdi_columns_write(cs, 3, n, w, &r[0], &x->account, &x->err);
    if (!rc) rc = qdi_points_write(&ps, 1, n, w, &r[1], &x->account, &x->err);
    if (!rc) rc = qdi_stored_write(st, n, w, &r[2], &x->err);
    if (!rc) rc = qdi_ids_write(ids, w, &x->account, &x->err);
    for (uint32_t i = 0; i < 3 && !rc; i++) {
        rc = qd_file_section_begin(w, resident[i], true, &x->err);
        if (!rc) rc = qd_file_write(w, r[i].p, r[i].n, &x->err);
        if (!rc) rc = qd_file_section_end(w, NULL, &x->err);
    }
    if (w && rc) qd_file_abort(w);
    if (w && !rc) rc = qd_file_commit(w, true, NULL, &x->err);
    qdi_column_buffer_free(c);
    qdi_column_buffer_free(k);
    qdi_column_buffer_free(ids);
    qdi_points_buffer_free(p);
    qdi_stored_buffer_free(st);
    for (uint32_t i = 0; i < 3; i++) qd_buf_fini(&r[i]);
    return rc;
}

/* Opens `name`'s parts, looks an id up and merges it with itself, half of it deleted, into "m". */
static int try_merge(parts *x, uint32_t n)
{
    static const qd_field_info fields[3] = {
        {.name = {"a", 1}, .column = QD_COLUMN_I64, .point = QD_POINT_I64},
        {.name = {"b", 1}, .column = QD_COLUMN_ORDINAL},
        {.name = {"c", 1}, .column = QD_COLUMN_BYTES}};
    static const uint32_t same[3] = {0, 1, 2};
    qd_file *f = NULL;
    qd_columns *columns = NULL;
    qd_points_set *points = NULL;
    qd_stored *stored = NULL;
    qd_ids *ids = NULL;
    qd_file_writer *w = NULL;
    qd_file_format format = QDI_SEGMENT_FORMAT;
    qd_buf r[3];
    uint32_t map[200], live = 0;
    for (uint32_t i = 0; i < 3; i++) qd_buf_init(&r[i], &x->account, 1u << 28);
    for (uint32_t d = 0; d < n; d++) map[d] = d % 2 ? QDI_DOC_GONE : n + live++;
    int rc = qd_file_open(x->store, QD_STR("f"), &format, &x->account, &f, &x->err);
    if (!rc) rc = qdi_columns_open(f, n, &x->account, &columns, &x->err);
    if (!rc) rc = qdi_points_open(f, n, &x->account, &points, &x->err);
    if (!rc) rc = qdi_stored_open(f, n, &x->account, &stored, &x->err);
    if (!rc) rc = qdi_ids_open(f, n, qd_columns_get(columns, 2), &x->account, &ids, &x->err);
    if (!rc) {
        qd_str id = QD_STR("t-7");
        uint64_t hash = qd_ids_hash(id);
        uint32_t doc = QD_IDS_ABSENT;
        rc = qd_ids_lookup(ids, &id, &hash, 1, &doc, &x->arena, &x->err);
        if (!rc) assert_int_equal(doc, 127);
    }
    qdi_merge_part part[2] = {{columns, points, stored, ids, n, n, 0, NULL, same},
                              {columns, points, stored, ids, n, live, n, map, same}};
    qdi_merge_in in = {.parts = part,
                       .n = 2,
                       .fields = fields,
                       .nfields = 3,
                       .docs = n + live,
                       .id_field = 2,
                       .account = &x->account};
    if (!rc)
        rc = qd_file_create(x->store, QD_STR("m"), &format, (const uint8_t[16]){4}, &x->account, &w,
                            &x->err);
    if (!rc) rc = qdi_columns_merge(&in, w, &r[0], &x->err);
    if (!rc) rc = qdi_points_merge(&in, w, &r[1], &x->err);
    if (!rc) rc = qdi_stored_merge(&in, w, &r[2], &x->err);
    if (!rc) rc = qdi_ids_merge(&in, w, &x->err);
    if (w && rc) qd_file_abort(w);
    if (w && !rc) rc = qd_file_commit(w, true, NULL, &x->err);
    qdi_ids_close(ids);
    qdi_stored_close(stored);
    qdi_points_close(points);
    qdi_columns_close(columns);
    qd_file_unref(f);
    for (uint32_t i = 0; i < 3; i++) qd_buf_fini(&r[i]);
    return rc;
}

static void clear(parts *x)
{
    qd_err_fini(&x->err);
    qd_err_init(&x->err);
    qd_arena_reset(&x->arena);
}

enum { FAULT_DOCS = 130 };

static void every_allocation_may_fail(void **state)
{
    (void)state;
    parts x;
    parts_begin(&x, true);
    for (uint32_t merge = 0; merge < 2; merge++) {
        int64_t before = qd_account_used(&x.account);
        for (uint64_t n = 1, seen = n; seen >= n; n++) {
            qd_mem_fail_at(n, n % 2);
            int rc = merge ? try_merge(&x, FAULT_DOCS) : try_write(&x, FAULT_DOCS);
            seen = qd_mem_fail_at(0, false);
            assert_true(rc == 0 || rc == QD_E_NOMEM || rc == QD_E_EXISTS);
            clear(&x);
            assert_int_equal(qd_account_used(&x.account), before);
            OK(&x, qd_store_delete(x.store, merge ? QD_STR("m") : QD_STR("f"), &x.err));
        }
        if (!merge) OK(&x, try_write(&x, FAULT_DOCS));
    }
    parts_end(&x);
}

static void every_io_may_fail(void **state)
{
    (void)state;
    parts x;
    parts_begin(&x, true);
    for (uint32_t merge = 0; merge < 2; merge++) {
        int64_t before = qd_account_used(&x.account);
        uint32_t kinds = STORE_CRASH_WRITES | STORE_CRASH_READS | STORE_CRASH_SYNCS;
        for (uint64_t n = 1, seen = n; seen >= n; n++) {
            store_crash_fail_at(x.disk, kinds, n, n % 2 ? QD_E_NOSPACE : QD_E_IO, false);
            int rc = merge ? try_merge(&x, FAULT_DOCS) : try_write(&x, FAULT_DOCS);
            seen = store_crash_fail_at(x.disk, kinds, 0, 0, false);
            assert_true(rc == 0 || rc == QD_E_NOSPACE || rc == QD_E_IO);
            clear(&x);
            assert_int_equal(qd_account_used(&x.account), before);
            OK(&x, qd_store_delete(x.store, merge ? QD_STR("m") : QD_STR("f"), &x.err));
        }
        if (!merge) OK(&x, try_write(&x, FAULT_DOCS));
    }
    parts_end(&x);
}

/* --- ids --- */

static void ids_are_found_and_others_are_not(void **state)
{
    (void)state;
    for (uint32_t copies = 0; copies < 2; copies++) {
        parts x;
        parts_begin(&x, copies);
        enum { N = 20000 };
        uint32_t *docs = malloc(N * sizeof *docs);
        /* the last 500 are documents 0..499 again */
        for (uint32_t d = 0; d < N; d++) docs[d] = d < N - 500 ? d : d - (N - 500);
        build(&x, "f", docs, N);
        built b = open_built(&x, "f", N);
        for (uint32_t round = 0; round < 60; round++) {
            enum { MOST = 500 };
            static char text[MOST][24];
            qd_str ids[MOST];
            uint64_t hashes[MOST];
            uint32_t found[MOST], want[MOST], n = round % 3 ? 1 + round % 8 : MOST;
            for (uint32_t i = 0; i < n; i++) {
                uint32_t d = (uint32_t)parts_random(&x, N * 2);
                ids[i] = (qd_str){text[i], (size_t)snprintf(text[i], 24, "id-%u", d)};
                hashes[i] = qd_ids_hash(ids[i]);
                found[i] = i % 10 == 9 ? 7 : QD_IDS_ABSENT;
                want[i] = i % 10 == 9    ? 7
                          : d >= N - 500 ? QD_IDS_ABSENT
                          : d < 500      ? N - 500 + d
                                         : d;
            }
            OK(&x, qd_ids_lookup(b.ids, ids, hashes, n, found, &x.arena, &x.err));
            for (uint32_t i = 0; i < n; i++) assert_int_equal(found[i], want[i]);
        }
        close_built(&b);
        free(docs);
        parts_end(&x);
    }
}

static void one_id_updated_many_times_costs_little(void **state)
{
    (void)state;
    parts x;
    parts_begin(&x, false);
    uint32_t *docs = calloc(50000, sizeof *docs);
    build(&x, "f", docs, 50000);
    built b = open_built(&x, "f", 50000);
    qd_str id = QD_STR("id-0");
    uint64_t hash = qd_ids_hash(id);
    uint32_t doc = QD_IDS_ABSENT;
    OK(&x, qd_ids_lookup(b.ids, &id, &hash, 1, &doc, &x.arena, &x.err));
    assert_int_equal(doc, 49999);
    close_built(&b);
    free(docs);
    parts_end(&x);
}

/* --- live documents --- */

static void generations_of_live_documents(void **state)
{
    (void)state;
    const uint8_t segment[16] = {0xab, 1, 2, 3}, id[16] = {9};
    const uint32_t sizes[] = {1, 63, 64, 65, 100000};
    for (uint32_t i = 0; i < 5; i++) {
        parts x;
        parts_begin(&x, i % 2);
        qd_live *a, *b, *c;
        uint32_t docs = sizes[i];
        uint64_t bytes;
        OK(&x, qd_live_make(docs, &x.account, &a, &x.err));
        assert_int_equal(qd_live_count(a), docs);
        assert_true(qd_live_delete(a, docs - 1));
        assert_false(qd_live_delete(a, docs - 1));
        OK(&x, qd_live_write(a, x.store, QD_STR("s/"), segment, 1, id, true, &bytes, &x.err));
        OK(&x, qd_live_clone(a, &x.account, &b, &x.err));
        for (uint32_t d = 0; d < docs; d += 3) qd_live_delete(b, d);
        OK(&x, qd_live_write(b, x.store, QD_STR("s/"), segment, 2, id, true, NULL, &x.err));
        OK(&x, qd_live_open(x.store, QD_STR("s/"), segment, 2, docs, &x.account, &c, &x.err));
        assert_int_equal(qd_live_count(c), qd_live_count(b));
        for (uint32_t d = 0; d < docs; d++) {
            assert_int_equal(qd_live_has(c, d), d % 3 != 0 && d != docs - 1);
            assert_int_equal(qd_live_has(a, d), d != docs - 1);
        }
        assert_true(qd_live_has(NULL, 5));
        qd_live *other = NULL;
        assert_int_equal(
            qd_live_open(x.store, QD_STR("s/"), segment, 2, docs + 1, &x.account, &other, &x.err),
            QD_E_CORRUPT);
        qd_err_fini(&x.err);
        qd_err_init(&x.err);
        assert_int_equal(
            qd_live_open(x.store, QD_STR("s/"), segment, 3, docs, &x.account, &other, &x.err),
            QD_E_NOTFOUND);
        char name[QD_LIVE_NAME_BYTES];
        uint8_t back[16];
        uint64_t generation;
        qd_str n = qd_live_name(segment, 0xfedc, name);
        assert_true(qd_live_name_parse(n, back, &generation));
        assert_memory_equal(back, segment, 16);
        assert_int_equal(generation, 0xfedc);
        assert_false(qd_live_name_parse(QD_STR("live-xyz"), NULL, NULL));
        name[40] = 'G';
        assert_false(qd_live_name_parse(n, NULL, NULL));
        qd_live *shared = qd_live_ref(c);
        qd_live_unref(shared);
        qd_live_unref(a);
        qd_live_unref(b);
        qd_live_unref(c);
        parts_end(&x);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_of_points),
        cmocka_unit_test(stored_documents_come_back),
        cmocka_unit_test(merging_of_stored_documents),
        cmocka_unit_test(a_merged_part_is_the_built_one),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(every_io_may_fail),
        cmocka_unit_test(ids_are_found_and_others_are_not),
        cmocka_unit_test(one_id_updated_many_times_costs_little),
        cmocka_unit_test(generations_of_live_documents),
    };
    qd_log_level_set("store", QD_LOG_OFF);
    return unit_run(tests);
}
