/* vectors_t.c: the index part of vectors: what documents brought is read back after a flush and
 * after merges (deletions, another order), which give byte for byte what a flush of the same
 * documents gives; bytes that cannot be are found and never followed. */
#include "mapping/vector_part.h"
#include "segment/check.h"
#include "segment/merge.h"
#include "segment/parts.h"
#include "segment/segment_int.h"
#include "unit/lib/parts.h"
#include "unit/unit.h"

#define NAME QD_STR("vectors")
#define DIMS 24u

static const qd_part_type type = {.name = {"vectors", 7}, .vt = &qd_vectors_part};

static bool find(const void *arg, qd_str name, qd_part_type *out)
{
    (void)arg;
    if (!qd_str_eq(name, NAME)) return false;
    *out = type;
    return true;
}
static const qd_part_types types = {find, NULL};

/* What one test looks at. */
typedef struct field {
    parts x;
    uint32_t element, every; /* every: a document in so many has none; 0: all have one */
} field;

static bool has(const field *f, uint32_t n)
{
    return !f->every || n % f->every != 0;
}

static size_t row_for(const field *f, uint32_t n, char out[DIMS * 4])
{
    size_t size = (size_t)qd_vectors_row(f->element, DIMS);
    for (uint32_t i = 0; i < DIMS && f->element == QD_ELEMENT_FLOAT; i++) {
        float v = (float)(n * 31 + i) / 7 - 3;
        memcpy(out + i * sizeof v, &v, sizeof v);
    }
    for (size_t i = 0; i < size && f->element != QD_ELEMENT_FLOAT; i++)
        out[i] = (char)(n * 13 + i * 7);
    return size;
}

/* Documents of the numbers n, each with as many words as order by length wants. */
static void flush(field *f, const uint32_t *n, uint32_t count, const char *name)
{
    parts *x = &f->x;
    const qd_field_value values[] = {{.i64 = DIMS}, {.i64 = f->element}};
    const qd_field_conf conf = {.struct_size = sizeof conf, .nvalues = 2, .values = values};
    const qd_field_info info = {.name = QD_STR("v")},
                        body = {.name = QD_STR("body"), .index = QD_INDEX_FREQS, .norms = 1};
    qd_buffer *b;
    uint32_t v, tag;
    char row[DIMS * 4];
    OK(x, qd_buffer_create(&x->account, &b, &x->err));
    OK(x, qd_buffer_field(b, &info, &v, &x->err));
    OK(x, qd_buffer_field(b, &body, &tag, &x->err));
    OK(x, qd_buffer_field_part(b, v, &type, &conf, &x->err));
    for (uint32_t i = 0; i < count; i++) {
        for (int aborted = n[i] % 5 == 0; aborted >= 0; aborted--) {
            char id[16];
            qd_str text = {id, (size_t)snprintf(id, sizeof id, "%u", n[i])};
            OK(x, qd_buffer_doc_begin(b, NULL, &x->err));
            OK(x, qd_buffer_id(b, text, &x->err));
            for (uint32_t k = 0; k <= n[i] * 31 % 17; k++)
                OK(x, qd_buffer_term(b, tag, QD_STR("word"), &x->err));
            size_t size = row_for(f, n[i], row);
            if (has(f, n[i]) || aborted) OK(x, qd_buffer_part(b, v, (qd_str){row, size}, &x->err));
            if (aborted)
                qd_buffer_doc_abort(b);
            else
                OK(x, qd_buffer_doc_commit(b, &x->err));
        }
    }
    const uint8_t id[16] = {(uint8_t)name[4]};
    const qd_segment_attrs attrs = {.min_seq_no = 0, .max_seq_no = count};
    OK(x, qd_buffer_flush(b, x->store, qd_str_c(name), id, &attrs, true, NULL, &x->err));
    qd_buffer_destroy(b);
}

static qd_segment *open_segment(parts *x, const char *name)
{
    qd_segment *s;
    OK(x, qd_segment_open(x->store, qd_str_c(name), &x->account, &s, &x->err));
    return s;
}

/* Document i of the segment has the vector of n[i]; the part's bytes, in x's arena. */
static qd_str check(field *f, const char *name, const uint32_t *n, uint32_t count)
{
    parts *x = &f->x;
    qd_segment *s = open_segment(x, name);
    const qd_part_info *info = qd_segment_part_of(s, qd_segment_field_find(s, QD_STR("v")));
    qd_part_view view;
    qd_part_reader *r;
    assert_non_null(info);
    assert_int_equal(qd_segment_docs(s), count);
    OK(x, qd_part_view_open(&view, s, info, &x->arena, &x->account, &x->err));
    OK(x, qd_part_open(&view, &type, &r, &x->err));
    const qd_vectors *v = qd_vectors_of(r);
    uint32_t rows = 0, docs[512], at = 0;
    for (uint32_t i = 0; i < count; i++) rows += has(f, n[i]);
    assert_int_equal(v->rows, rows);
    assert_int_equal(v->dims, DIMS);
    assert_true((uint32_t)v->element == f->element && v->rows_at % 64 == 0);
    OK(x, qd_vectors_docs(v, 0, rows, docs, &x->err));
    for (uint32_t i = 0; i < count; i++) {
        char want[DIMS * 4];
        size_t size = row_for(f, n[i], want);
        if (!has(f, n[i])) continue;
        const qd_part_range ranges[] = {{v->rows_at + at * v->row, v->row},
                                        {v->magnitudes_at + at * 4, 4}};
        const void *p[2];
        assert_int_equal(docs[at++], i);
        bool lengths = f->element != QD_ELEMENT_BIT;
        OK(x, view.bytes.read(&view.bytes, ranges, lengths ? 2 : 1, p, &x->err));
        assert_memory_equal(p[0], want, size);
        float length = qd_vectors_magnitude(f->element, DIMS, want);
        if (lengths) assert_memory_equal(p[1], &length, sizeof length);
        view.bytes.release(&view.bytes);
    }
    const qd_part_range all = {0, view.bytes.length};
    const void *p;
    OK(x, view.bytes.read(&view.bytes, &all, 1, &p, &x->err));
    qd_str bytes = qd_arena_str(&x->arena, (qd_str){p, all.length});
    type.vt->close(r);
    qd_part_view_close(&view);
    qd_segment_unref(s);
    qd_check c = {.account = &x->account, .types = &types};
    OK(x, qd_segment_check(x->store, qd_str_c(name), &c, &x->err));
    assert_int_equal(c.findings + c.parts_unread, 0);
    return bytes;
}

/* Three segments, deletions in the first, merged in their order and in that of lengths. */
static void merges_give_what_a_flush_gives(void **state)
{
    static const char *const names[] = {"seg-a", "seg-b", "seg-c"};
    static const uint32_t bounds[] = {0, 200, 290, 291};
    (void)state;
    for (int round = 0; round < 6; round++) {
        field f = {.element = (uint32_t)round % 3, .every = round < 3 ? 3 : 0};
        uint32_t n[300], kept[300], count = 0;
        qd_merge_source sources[3] = {{NULL, NULL}};
        qd_live *live;
        parts_begin(&f.x, true);
        parts *x = &f.x;
        for (uint32_t i = 0; i < 300; i++) n[i] = i;
        for (int i = 0; i < 3; i++) {
            flush(&f, n + bounds[i], bounds[i + 1] - bounds[i], names[i]);
            (void)check(&f, names[i], n + bounds[i], bounds[i + 1] - bounds[i]);
            sources[i].segment = open_segment(x, names[i]);
        }
        OK(x, qd_live_make(200, &x->account, &live, &x->err));
        for (uint32_t d = 0; d < 200; d += 7) qd_live_delete(live, d);
        sources[0].live = live;
        for (int order = QD_MERGE_KEPT; order <= QD_MERGE_LENGTH; order++) {
            const char *name = order == QD_MERGE_KEPT ? "seg-k" : "seg-l",
                       *anew = order == QD_MERGE_KEPT ? "seg-p" : "seg-q";
            const qd_merge_options o = {.attrs = {.min_seq_no = -1, .max_seq_no = -1},
                                        .sync = true,
                                        .order = (qd_merge_order)order,
                                        .types = &types};
            const uint8_t id[16] = {(uint8_t)(40 + order)};
            qd_merge_result r;
            OK(x, qd_segment_merge(sources, 3, x->store, qd_str_c(name), id, &o, &x->account, &r,
                                   &x->err));
            count = 0;
            for (uint32_t i = 0, d = 0; i < 3; i++)
                for (; d < bounds[i + 1]; d++) {
                    uint32_t to = r.map[i][d - bounds[i]];
                    if (to == QD_PART_GONE) continue;
                    kept[to] = d;
                    count++;
                }
            qd_str merged = check(&f, name, kept, count);
            flush(&f, kept, count, anew);
            qd_str written = check(&f, anew, kept, count);
            assert_true(qd_str_eq(merged, written));
            qd_merge_result_fini(&r);
        }
        for (int i = 0; i < 3; i++) qd_segment_unref(sources[i].segment);
        qd_live_unref(live);
        parts_end(x);
    }
}

/* Each byte before the rows changed under right checksums: opening or the check says so. */
static void damage_is_found(void **state)
{
    (void)state;
    field f = {.element = QD_ELEMENT_FLOAT, .every = 3};
    uint32_t n[20];
    for (uint32_t i = 0; i < 20; i++) n[i] = i;
    parts_begin(&f.x, true);
    parts *x = &f.x;
    flush(&f, n, 20, "seg-a");
    qd_segment *s = open_segment(x, "seg-a");
    const qd_part_info *info = qd_segment_part(s, 0);
    uint32_t section = info->section;
    qd_segment_unref(s);
    for (uint64_t at = 0; at < 16 + 13 * 8; at++) {
        qd_check c = {.account = &x->account, .types = &types};
        parts_tamper(x, "seg-a", "seg-b", section, at, 0x41);
        int rc = qd_segment_check(x->store, QD_STR("seg-b"), &c, &x->err);
        assert_true(rc == QD_E_CORRUPT || c.findings > 0);
        qd_err_fini(&x->err);
        qd_err_init(&x->err);
        OK(x, qd_store_delete(x->store, QD_STR("seg-b"), &x->err));
    }
    parts_end(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merges_give_what_a_flush_gives),
        cmocka_unit_test(damage_is_found),
    };
    return unit_run(tests);
}
