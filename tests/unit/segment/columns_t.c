/* columns_t.c: columns against a plain model: every reader, every encoding, every kernel. */
#include "base/log.h"
#include "runtime/cpu.h"
#include "segment/columns/column_writer_int.h"
#include "segment/columns/columns_int.h"
#include "segment/columns/columns_read_int.h"
#include "segment/columns/pack_int.h"
#include "unit/lib/parts.h"
#include "unit/unit.h"

#if !defined(__x86_64__)
#define qdi_pack_avx2 qdi_pack_scalar /* not reached: no level is above v2 there */
#define qdi_pack_avx512 qdi_pack_scalar
#endif

/* --- kernels --- */

static const qdi_pack_kernels *vectors = &qdi_pack_avx2; /* held against the scalar ones */

static void kernels_agree(void **state)
{
    (void)state;
    parts x;
    parts_begin(&x, false);
    uint64_t v[300];
    uint8_t *bytes = malloc(300 * 8 + QDI_PACK_SLACK);
    for (uint32_t w = 0; w <= 64; w = w == 56 ? 64 : w + 1) {
        for (uint32_t i = 0; i < 300; i++) v[i] = w ? parts_random(&x, 0) >> (64 - w) : 0;
        memset(bytes, 0xee, 300 * 8 + QDI_PACK_SLACK);
        qdi_pack_put(v, 300, w, bytes);
        for (uint32_t i = 0; i < 300; i++) assert_true(qdi_pack_at(bytes, w, i) == v[i]);
        const qdi_pack_form forms[] = {{17, 1, 0, false},
                                       {(uint64_t)-5, 1000, 0, false},
                                       {3, 0x123456789abcdef1u, 0, false},
                                       {9, 1, 777777, true},
                                       {9, 1, (uint64_t)-123456789, true}};
        for (uint32_t f = 0; f < 5; f++)
            for (uint32_t first = 0; first < 20; first++) {
                int64_t a[300], b[300];
                uint32_t n = 300 - first - (uint32_t)parts_random(&x, 30);
                qdi_pack_scalar.get(bytes, w, first, n, &forms[f], a);
                for (uint32_t i = 0; i < n; i++)
                    assert_true(a[i] == qdi_pack_apply(&forms[f], v[first + i], first + i));
                if (qd_cpu_level() < QD_CPU_V3) continue;
                vectors->get(bytes, w, first, n, &forms[f], b);
                assert_memory_equal(a, b, n * 8);
            }
        if (w > 32) continue;
        for (uint32_t first = 0; first < 20; first++) {
            uint32_t a[300], b[300], n = 300 - first - (uint32_t)parts_random(&x, 280);
            uint32_t most = qdi_pack_scalar.get32(bytes, w, first, n, 5, a), greatest = 0;
            for (uint32_t i = 0; i < n; i++) {
                assert_int_equal(a[i], (uint32_t)(5 + v[first + i]));
                if (a[i] > greatest) greatest = a[i];
            }
            if (n) assert_int_equal(most, greatest);
            if (qd_cpu_level() < QD_CPU_V3) continue;
            assert_int_equal(vectors->get32(bytes, w, first, n, 5, b), most);
            assert_memory_equal(a, b, n * 4);
        }
    }
    free(bytes);
    parts_end(&x);
}

static void folds_agree(void **state)
{
    (void)state;
    parts x;
    parts_begin(&x, false);
    uint64_t *v = malloc(4096 * 8), bits[64];
    uint8_t *bytes = malloc(4096 * 8 + QDI_PACK_SLACK);
    for (uint32_t w = 0; w <= QDI_FOLD_WIDTH_MAX; w++) {
        uint64_t most = w ? UINT64_MAX >> (64 - w) : 0;
        for (uint32_t round = 0; round < 12; round++) {
            for (uint32_t i = 0; i < 4096; i++) /* the second round: sums as great as they get */
                v[i] = round == 1 ? most : parts_random(&x, 0) & most;
            qdi_pack_put(v, 4096, w, bytes);
            uint32_t first =
                round < 2 ? 0 : (uint32_t)parts_random(&x, 600) / (round & 1 ? 1 : 8) * 8;
            if (first > 4000) first = 13;
            uint32_t n = 4096 - first - (round < 2 ? 0 : (uint32_t)parts_random(&x, 4096 - first));
            for (uint32_t i = 0; i < 64; i++)
                bits[i] = round == 5 ? 0 : parts_random(&x, 0) & parts_random(&x, 0);
            for (uint32_t mode = 0; mode < 4; mode++) {
                const uint64_t *kept = mode & 1 ? bits : NULL;
                bool bounds = mode & 2;
                qdi_pack_fold want = {0, 0, UINT64_MAX, 0}, got;
                for (uint32_t i = 0; i < n; i++) {
                    uint64_t y = v[first + i];
                    if (kept && !(kept[i / 64] >> (i & 63) & 1)) continue;
                    want.n++;
                    want.sum += y;
                    if (bounds && y < want.min) want.min = y;
                    if (bounds && y > want.max) want.max = y;
                }
                qdi_pack_scalar.fold(bytes, w, first, n, kept, bounds, &got);
                assert_memory_equal(&want, &got, sizeof got);
                if (qd_cpu_level() < QD_CPU_V3) continue;
                vectors->fold(bytes, w, first, n, kept, bounds, &got);
                assert_memory_equal(&want, &got, sizeof got);
            }
        }
    }
    free(v);
    free(bytes);
    parts_end(&x);
}

/* Sums of doubles in lanes: the same bits. */
static void reals_agree(void **state)
{
    (void)state;
    parts x;
    parts_begin(&x, false);
    uint64_t *v = malloc(4096 * 8), bits[64];
    uint8_t *bytes = malloc(4096 * 8 + QDI_PACK_SLACK);
    for (uint32_t w = 0; w <= 64; w = w == 56 ? 64 : w + 1)
        for (uint32_t round = 0; round < 8; round++) {
            qdi_pack_reals form = {.base = (uint64_t)qd_sortable_f64(round & 1 ? -123.25 : 0.75),
                                   .shift = w < 40 && round & 2 ? 12 : 0};
            for (uint32_t i = 0; i < 4096; i++) v[i] = w ? parts_random(&x, 0) >> (64 - w) : 0;
            if (w > 48) /* finite ones, of both signs where they are written as they are */
                for (uint32_t i = 0; i < 4096; i++)
                    v[i] = w < 64 ? v[i] >> 6
                                  : (uint64_t)qd_sortable_f64(((double)(v[i] >> 12) - 0x1p51) /
                                                              (double)(1 + v[i] % 1000)) -
                                        form.base;
            qdi_pack_put(v, 4096, w, bytes);
            uint32_t first = round < 2 ? 0 : (uint32_t)parts_random(&x, 500) * (round & 1 ? 8 : 1);
            uint32_t n = 4096 - first - (round < 2 ? 0 : (uint32_t)parts_random(&x, 4096 - first));
            for (uint32_t i = 0; i < 64; i++) bits[i] = round == 5 ? 0 : parts_random(&x, 0);
            for (uint32_t mode = 0; mode < 4; mode++) {
                const uint64_t *kept = mode & 1 ? bits : NULL;
                qd_fsum a = {{1, 2, 3}, {1e-20}}, b = a;
                qdi_pack_reals ra = form, rb = form;
                double exact = 6, all = 0;
                for (uint32_t i = 0; i < n; i++)
                    if (!kept || kept[i / 64] >> (i & 63) & 1) {
                        double y =
                            qd_sortable_to_f64((int64_t)(form.base + (v[first + i] << form.shift)));
                        exact += y;
                        all += y < 0 ? -y : y;
                    }
                qdi_pack_scalar.fold_f64(bytes, w, first, n, kept, mode & 2, &ra, &a);
                double sum = 0;
                for (uint32_t k = 0; k < QD_FSUM_LANES; k++) sum += a.sum[k] - a.low[k];
                assert_true(sum - exact <= 1e-12 * (all + 6) && exact - sum <= 1e-12 * (all + 6));
                if (qd_cpu_level() < QD_CPU_V3) continue;
                vectors->fold_f64(bytes, w, first, n, kept, mode & 2, &rb, &b);
                assert_memory_equal(&a, &b, sizeof a);
                assert_true(ra.n == rb.n && ra.min == rb.min && ra.max == rb.max);
            }
        }
    free(v);
    free(bytes);
    parts_end(&x);
}

/* Loudly, and the test passes: what cmocka's skip() writes counts as a failure in TAP. */
static bool cpu_lacks(int level, const char *what)
{
    if ((int)qd_cpu_level() >= level) return false;
    fprintf(stderr, "SKIPPED: kernels of columns with %s: this CPU lacks it\n", what);
    return true;
}

static void filters_agree(void **state)
{
    (void)state;
    if (cpu_lacks(QD_CPU_V3, "AVX2")) return;
    parts x;
    parts_begin(&x, false);
    for (uint32_t round = 0; round < 500; round++) {
        int64_t v[64], a[72], b[72];
        uint32_t v32[64], a32[72], b32[72], n = (uint32_t)parts_random(&x, 65);
        for (uint32_t i = 0; i < 64; i++) v[i] = (int64_t)parts_random(&x, 40) - 20;
        for (uint32_t i = 0; i < 64; i++) v32[i] = (uint32_t)parts_random(&x, 0);
        uint64_t m = qdi_pack_scalar.match(v, n, -5, 7);
        assert_true(m == vectors->match(v, n, -5, 7));
        uint32_t narrow[64];
        for (uint32_t i = 0; i < n; i++) narrow[i] = (uint32_t)v[i] + 3;
        m = qdi_pack_scalar.match32(narrow, n, 1, 7);
        assert_true(m == vectors->match32(narrow, n, 1, 7));
        assert_true(qdi_pack_scalar.match32(narrow, n, 2, UINT32_MAX) ==
                    vectors->match32(narrow, n, 2, UINT32_MAX));
        uint64_t bits = parts_random(&x, 0) & parts_random(&x, 0);
        if (n < 64) bits &= ((uint64_t)1 << n) - 1;
        uint32_t k = qdi_pack_scalar.keep(v, n, bits, a);
        assert_int_equal(k, vectors->keep(v, n, bits, b));
        assert_memory_equal(a, b, k * 8);
        assert_int_equal(k, qdi_pack_scalar.keep32(v32, n, bits, a32));
        assert_int_equal(k, vectors->keep32(v32, n, bits, b32));
        assert_memory_equal(a32, b32, k * 4);
        assert_int_equal(qdi_pack_scalar.list(bits, 1000, a32), k);
        assert_int_equal(vectors->list(bits, 1000, b32), k);
        assert_memory_equal(a32, b32, k * 4);
        double d[64], e[64];
        qdi_pack_scalar.to_f64(v, d, 64);
        vectors->to_f64(v, e, 64);
        assert_memory_equal(d, e, sizeof d);
    }
    parts_end(&x);
}

static void sortable_numbers_keep_their_order(void **state)
{
    (void)state;
    const double d[] = {-1.0 / 0.0, -1e300, -2.5, -1e-310, -0.0,     0.0,
                        1e-310,     1,      3.5,  1e300,   1.0 / 0.0};
    for (size_t i = 0; i < QD_COUNT_OF(d); i++) {
        assert_true(qd_sortable_to_f64(qd_sortable_f64(d[i])) == d[i]);
        assert_true(qd_sortable_to_f32(qd_sortable_f32((float)d[i])) == (float)d[i]);
        if (i) assert_true(qd_sortable_f64(d[i - 1]) < qd_sortable_f64(d[i]));
    }
    assert_true(qd_sortable_f64(0.0 / 0.0) > qd_sortable_f64(1.0 / 0.0));
}

/* --- encodings --- */

static void check_encoding(const int64_t *v, uint32_t n, uint8_t encoding, uint32_t width_max)
{
    int64_t table[QDI_COLUMN_TABLE_MAX];
    uint64_t *packed = malloc(n * 8);
    uint8_t *bytes = malloc(n * 8 + QDI_PACK_SLACK);
    qdi_block_head h = {0};
    qdi_column_encode(v, n, false, &h, packed, table);
    assert_int_equal(h.encoding, encoding);
    assert_true(h.width <= width_max);
    qdi_pack_put(packed, n, h.width, bytes);
    qdi_pack_form f = qdi_block_form(&h);
    for (uint32_t i = 0; i < n; i++) {
        uint64_t p = qdi_pack_at(bytes, h.width, i);
        int64_t got = encoding == QDI_ENC_TABLE ? table[p] : qdi_pack_apply(&f, p, i);
        assert_true(got == v[i]);
    }
    free(packed);
    free(bytes);
}

static void each_encoding_is_chosen_where_it_wins(void **state)
{
    (void)state;
    parts x;
    parts_begin(&x, false);
    static int64_t v[4096];
    for (uint32_t i = 0; i < 4096; i++) v[i] = -77;
    check_encoding(v, 4096, QDI_ENC_PACKED, 0);
    for (uint32_t i = 0; i < 4096; i++) v[i] = 1000000 + (int64_t)i;
    check_encoding(v, 4096, QDI_ENC_LINE, 0);
    for (uint32_t i = 0; i < 4096; i++) v[i] = 5000 - 3 * (int64_t)i;
    check_encoding(v, 4096, QDI_ENC_LINE, 1);
    for (uint32_t i = 0; i < 4096; i++) v[i] = (int64_t)parts_random(&x, 1000) * 86400000 - 99;
    check_encoding(v, 4096, QDI_ENC_PACKED, 10);
    for (uint32_t i = 0; i < 4096; i++) v[i] = (int64_t)parts_random(&x, 1 << 20);
    check_encoding(v, 4096, QDI_ENC_PACKED, 20);
    int64_t few[5];
    for (uint32_t i = 0; i < 5; i++) few[i] = (int64_t)parts_random(&x, 0);
    for (uint32_t i = 0; i < 4096; i++) v[i] = few[parts_random(&x, 5)];
    check_encoding(v, 4096, QDI_ENC_TABLE, 3);
    for (uint32_t i = 0; i < 4096; i++)
        v[i] = 1600000000000 + (int64_t)i * 977 + (int64_t)parts_random(&x, 500);
    check_encoding(v, 4096, QDI_ENC_LINE, 10);
    v[0] = INT64_MIN;
    v[1] = INT64_MAX;
    check_encoding(v, 2, QDI_ENC_PACKED, 64);
    for (uint32_t i = 0; i < 4096; i++) v[i] = (int64_t)parts_random(&x, 0);
    check_encoding(v, 4096, QDI_ENC_PACKED, 64);
    v[0] = INT64_MIN;
    v[4095] = INT64_MIN + 5;
    check_encoding(v, 4096, QDI_ENC_PACKED, 64);
    parts_end(&x);
}

static void sorting(void **state)
{
    (void)state;
    parts x;
    parts_begin(&x, false);
    for (uint32_t round = 0; round < 200; round++) {
        int64_t v[400];
        uint32_t n = 1 + (uint32_t)parts_random(&x, 399);
        int64_t sum = 0, after = 0;
        for (uint32_t i = 0; i < n; i++) sum += v[i] = (int64_t)parts_random(&x, 100) - 50;
        qdi_sort_i64(v, n);
        for (uint32_t i = 0; i < n; i++) after += v[i];
        for (uint32_t i = 1; i < n; i++) assert_true(v[i - 1] <= v[i]);
        assert_true(sum == after);
    }
    parts_end(&x);
}

/* --- whole columns --- */

/* A column as plain arrays: values of document d stand at [start[d], start[d + 1]). */
typedef struct model {
    uint32_t docs, n;
    uint32_t *start;
    int64_t *values; /* I64: values; ORDINAL: numbers of words */
} model;

enum { SHAPE_DENSE, SHAPE_HALF, SHAPE_RARE, SHAPE_MULTI, SHAPE_WILD, SHAPES };

static int64_t draw(parts *x, uint32_t kind, uint32_t doc)
{
    switch (kind) {
    case 0:
        return (int64_t)parts_random(x, 1000);
    case 1:
        return (int64_t)parts_random(x, 0);
    case 2:
        return 1600000000000 + doc * 1000;
    case 3:
        return ((int64_t)parts_random(x, 7) - 3) * 3600000;
    default:
        return (int64_t)(parts_random(x, 4) * 0x123456789abcd);
    }
}

static void model_make(parts *x, model *m, uint32_t docs, uint32_t shape, uint32_t kind, bool words)
{
    m->docs = docs;
    m->n = 0;
    m->start = malloc((docs + 1) * sizeof *m->start);
    m->values = malloc(((size_t)docs * 4 + 20000) * sizeof *m->values);
    for (uint32_t d = 0; d < docs; d++) {
        uint32_t k = 1;
        m->start[d] = m->n;
        if (shape == SHAPE_HALF) k = (uint32_t)parts_random(x, 2);
        if (shape == SHAPE_RARE) k = parts_random(x, 500) == 0 || (d >= 9000 && d < 9003);
        if (shape == SHAPE_MULTI) k = (uint32_t)parts_random(x, 4);
        if (shape == SHAPE_WILD) k = d == docs / 2 ? 9000 : parts_random(x, 40) == 0 ? 30 : 1;
        for (uint32_t i = 0; i < k; i++)
            m->values[m->n + i] = words ? (int64_t)parts_random(x, 3000) : draw(x, kind, d);
        k = words ? qdi_sort_unique_i64(m->values + m->n, k)
                  : (qdi_sort_i64(m->values + m->n, k), k);
        m->n += k;
    }
    m->start[docs] = m->n;
}

static void model_free(model *m)
{
    free(m->start);
    free(m->values);
}

/* Words sort as their numbers do. */
static qd_str word(char *buf, int64_t v)
{
    return (qd_str){buf, (size_t)snprintf(buf, 40, "w%06d%s", (int)v, v % 5 ? "" : "-longer-tail")};
}

static void fill_buffer(parts *x, const model *m, qdi_column_buffer *b, bool words)
{
    char text[40];
    for (uint32_t d = 0; d < m->docs; d++) {
        uint32_t k = m->start[d + 1] - m->start[d];
        const int64_t *v = m->values + m->start[d];
        if (!words) {
            int64_t back[9000];
            for (uint32_t i = 0; i < k; i++) back[i] = v[k - 1 - i];
            OK(x, qdi_column_buffer_i64(b, d, back, k, &x->err));
        }
        for (uint32_t i = 0; words && i < k; i++) {
            OK(x, qdi_column_buffer_str(b, d, word(text, v[k - 1 - i]), &x->err));
            if (i == 0) OK(x, qdi_column_buffer_str(b, d, word(text, v[k - 1]), &x->err));
        }
    }
}

static void write_columns(parts *x, const char *name, const qdi_column_source *s, uint32_t n,
                          uint32_t docs)
{
    qd_buf resident;
    qd_buf_init(&resident, &x->account, 1u << 30);
    qd_file_writer *w = parts_create(x, name);
    OK(x, qdi_columns_write(s, n, docs, w, &resident, &x->account, &x->err));
    OK(x, qd_file_section_begin(w, QDI_SEC_COLUMN_INDEX, true, &x->err));
    OK(x, qd_file_write(w, resident.p, resident.n, &x->err));
    OK(x, qd_file_section_end(w, NULL, &x->err));
    OK(x, qd_file_commit(w, false, NULL, &x->err));
    qd_buf_fini(&resident);
}

/* Which number each ordinal's word is. */
static int64_t *words_of(parts *x, const qd_column *c)
{
    uint32_t n = qd_column_stats_get(c)->ordinals;
    int64_t *out = malloc((n + 1) * sizeof *out);
    qd_reads *r = parts_reads(x);
    qd_dict_reader *dict;
    OK(x, qd_dict_plan_all(c, r, &x->arena, &dict, &x->err));
    OK(x, qd_reads_fetch(r, &x->err));
    char before[64] = "";
    for (uint32_t i = 0; i < n; i++) {
        qd_str s;
        char text[40];
        OK(x, qd_dict_at(dict, i, &s, &x->err));
        assert_true(s.n < 40);
        memcpy(text, s.p, s.n);
        text[s.n] = 0;
        out[i] = atoi(text + 1);
        assert_true(strcmp(before, text) < 0);
        memcpy(before, text, s.n + 1);
        char again[40];
        assert_true(qd_str_eq(word(again, out[i]), (qd_str){text, s.n}));
    }
    for (uint32_t i = 0; i < n; i += 1 + n / 50) {
        char text[48];
        uint32_t ord;
        bool found;
        qd_str w = word(text, out[i]);
        OK(x, qd_dict_find(dict, w, &ord, &found, &x->err));
        assert_true(found && ord == i);
        text[w.n] = '!';
        OK(x, qd_dict_find(dict, (qd_str){text, w.n + 1}, &ord, &found, &x->err));
        assert_true(!found && ord == i + 1);
    }
    if (n) {
        uint32_t ord;
        bool found;
        OK(x, qd_dict_find(dict, QD_STR(""), &ord, &found, &x->err));
        assert_true(!found && ord == 0);
        OK(x, qd_dict_find(dict, QD_STR("x"), &ord, &found, &x->err));
        assert_true(!found && ord == n);
        uint32_t some[3] = {0, n / 2, n - 1};
        qd_reads_release(r);
        OK(x, qd_dict_plan_ords(c, some, 3, r, &x->arena, &dict, &x->err));
        OK(x, qd_reads_fetch(r, &x->err));
        for (uint32_t i = 0; i < 3; i++) {
            qd_str s;
            char text[40];
            OK(x, qd_dict_at(dict, some[i], &s, &x->err));
            assert_true(qd_str_eq(s, word(text, out[some[i]])));
        }
    }
    qd_reads_release(r);
    return out;
}

static bool bit(const uint64_t *bits, uint32_t d)
{
    return (bits[d / 64] >> (d & 63)) & 1;
}

/* Walks the cursor to its end and compares with the values of [from, to) that pass bits. */
static void compare_walk(parts *x, qd_column_reader *rd, const model *m, const int64_t *words,
                         qd_column_cursor *cur, uint32_t from, uint32_t to, const uint64_t *bits)
{
    qd_column_batch b;
    uint32_t d = from, i = m->start[from];
    int rc;
    while ((rc = qd_column_next(rd, cur, &b, &x->err)) > 0) {
        assert_true(b.n > 0 && b.n <= QD_COLUMN_BATCH);
        for (uint32_t k = 0; k < b.n; k++) {
            while (d < to && (i == m->start[d + 1] || (bits && !bit(bits, d)))) i = m->start[++d];
            assert_true(d < to);
            assert_int_equal(b.docs ? b.docs[k] : b.first + k, d);
            assert_true((b.values ? b.values[k] : words[b.ords[k]]) == m->values[i]);
            i++;
        }
    }
    OK(x, rc);
    while (d < to && (i == m->start[d + 1] || (bits && !bit(bits, d)))) i = m->start[++d];
    assert_int_equal(d, to);
}

static void compare_ranges(parts *x, const qd_column *c, const model *m, const int64_t *words)
{
    qd_reads *r = parts_reads(x);
    qd_column_reader *rd;
    qd_column_cursor cur;
    uint32_t n = m->docs;
    uint64_t *bits = calloc(n / 64 + 2, 8);
    for (uint32_t round = 0; round < 6; round++) {
        uint32_t a = round ? (uint32_t)parts_random(x, n) : 0;
        uint32_t b = round ? a + (uint32_t)parts_random(x, n - a + 1) : n;
        OK(x, qd_column_plan(c, a, b, r, &x->arena, &rd, &x->err));
        OK(x, qd_reads_fetch(r, &x->err));
        qd_column_over_range(&cur, a, b);
        compare_walk(x, rd, m, words, &cur, a, b, NULL);
        for (uint32_t d = 0; d < n; d++) {
            uint64_t one = (uint64_t)1 << (d & 63);
            bits[d / 64] &= ~one;
            if (parts_random(x, round + 1) == 0 && d % 4096 > 70) bits[d / 64] |= one;
        }
        qd_column_over_bits(&cur, bits, a, b);
        compare_walk(x, rd, m, words, &cur, a, b, bits);
        uint64_t sums[2] = {0, 0};
        for (uint32_t only = 0; only < 2; only++) {
            qd_column_batch batch;
            qd_column_over_bits(&cur, round % 2 ? bits : NULL, a, b);
            cur.values_only = only;
            while (qd_column_next(rd, &cur, &batch, &x->err) > 0)
                for (uint32_t i = 0; i < batch.n; i++)
                    sums[only] = sums[only] * 31 +
                                 (batch.values ? (uint64_t)batch.values[i] : batch.ords[i]);
        }
        assert_true(sums[0] == sums[1]);
        qd_reads_release(r);
    }
    free(bits);
}

static void compare_docs(parts *x, const qd_column *c, const model *m, const int64_t *words)
{
    qd_reads *r = parts_reads(x);
    qd_column_reader *rd;
    uint32_t *docs = malloc(m->docs * sizeof *docs), n = 0;
    int64_t *keys = malloc(m->docs * sizeof *keys);
    for (uint32_t d = 0; d < m->docs; d++)
        if (parts_random(x, 9) == 0 || (d > 200 && d < 300) || d == m->docs / 2) docs[n++] = d;
    OK(x, qd_column_plan_docs(c, docs, n, r, &x->arena, &rd, &x->err));
    OK(x, qd_reads_fetch(r, &x->err));
    uint64_t *bits = calloc(m->docs / 64 + 1, 8);
    for (uint32_t i = 0; i < n; i++) bits[docs[i] / 64] |= (uint64_t)1 << (docs[i] & 63);
    qd_column_cursor cur;
    qd_column_over_docs(&cur, docs, n);
    compare_walk(x, rd, m, words, &cur, 0, m->docs, bits);
    for (uint32_t pick = 0; pick < 2; pick++) {
        OK(x, qd_column_gather(rd, docs, n, (qd_column_pick)pick, -987, keys, &x->err));
        for (uint32_t i = 0; i < n; i++) {
            uint32_t a = m->start[docs[i]], b = m->start[docs[i] + 1];
            int64_t want = a == b ? -987 : m->values[pick ? b - 1 : a];
            assert_true((a != b && words ? words[keys[i]] : keys[i]) == want);
        }
    }
    for (uint32_t i = 0; i < n; i++) {
        const int64_t *v;
        uint32_t k, a = m->start[docs[i]];
        OK(x, qd_column_values(rd, docs[i], &v, &k, &x->err));
        assert_int_equal(k, m->start[docs[i] + 1] - a);
        for (uint32_t j = 0; j < k; j++)
            assert_true((words ? words[v[j]] : v[j]) == m->values[a + j]);
    }
    qd_reads_release(r);
    free(docs);
    free(keys);
    free(bits);
}

static void compare_match(parts *x, const qd_column *c, const model *m)
{
    qd_reads *r = parts_reads(x);
    qd_column_reader *rd;
    uint64_t *bits = malloc((m->docs / 64 + 1) * 8);
    OK(x, qd_column_plan(c, 0, m->docs, r, &x->arena, &rd, &x->err));
    OK(x, qd_reads_fetch(r, &x->err));
    for (uint32_t round = 0; round < 12 && m->n; round++) {
        int64_t lo = m->values[parts_random(x, m->n)], hi = m->values[parts_random(x, m->n)];
        uint32_t a = (uint32_t)parts_random(x, m->docs);
        uint32_t b = a + (uint32_t)parts_random(x, m->docs - a + 1);
        if (round == 0) lo = INT64_MIN, hi = INT64_MAX, a = 0, b = m->docs;
        memset(bits, 0, (m->docs / 64 + 1) * 8);
        OK(x, qd_column_match(rd, a, b, lo, hi, bits, &x->err));
        for (uint32_t d = 0; d < m->docs; d++) {
            bool want = false;
            for (uint32_t i = m->start[d]; i < m->start[d + 1]; i++)
                want |= m->values[i] >= lo && m->values[i] <= hi;
            assert_int_equal(bit(bits, d), want && d >= a && d < b);
        }
        memset(bits, 0, (m->docs / 64 + 1) * 8);
        OK(x, qd_column_match_any(rd, a, b, bits, &x->err));
        for (uint32_t d = 0; d < m->docs; d++)
            assert_int_equal(bit(bits, d), m->start[d] < m->start[d + 1] && d >= a && d < b);
    }
    qd_reads_release(r);
    free(bits);
}

static void compare_stats(const qd_column *c, const model *m, const int64_t *words)
{
    const qd_column_stats *s = qd_column_stats_get(c);
    uint32_t docs = 0;
    int64_t min = INT64_MAX, max = INT64_MIN;
    for (uint32_t d = 0; d < m->docs; d++) docs += m->start[d] < m->start[d + 1];
    for (uint32_t i = 0; i < m->n; i++) {
        if (m->values[i] < min) min = m->values[i];
        if (m->values[i] > max) max = m->values[i];
    }
    assert_int_equal(s->docs, docs);
    assert_int_equal(s->values, m->n);
    assert_int_equal(s->dense, docs == m->docs);
    assert_int_equal(s->multi, m->n != docs);
    if (m->n) assert_true((words ? words[s->min] : s->min) == min);
    if (m->n) assert_true((words ? words[s->max] : s->max) == max);
}

static void one_column(bool copies, uint32_t docs, uint32_t shape, uint32_t kind, bool words)
{
    parts x;
    parts_begin(&x, copies);
    x.seed = docs * 31 + shape * 7 + kind;
    model m;
    qdi_column_buffer *b;
    model_make(&x, &m, docs, shape, kind, words);
    OK(&x,
       qdi_column_buffer_make(words ? QD_COLUMN_ORDINAL : QD_COLUMN_I64, &x.account, &b, &x.err));
    fill_buffer(&x, &m, b, words);
    qdi_column_source s = {3, b, NULL};
    write_columns(&x, "f", &s, 1, docs);
    qd_file *f = parts_open(&x, "f");
    qd_columns *set;
    OK(&x, qdi_columns_open(f, docs, &x.account, &set, &x.err));
    const qd_column *c = qd_columns_get(set, 3);
    assert_null(qd_columns_get(set, 2));
    assert_int_equal(c != NULL, m.n > 0);
    if (c) {
        int64_t *numbers = words ? words_of(&x, c) : NULL;
        compare_stats(c, &m, numbers);
        compare_ranges(&x, c, &m, numbers);
        compare_docs(&x, c, &m, numbers);
        if (!words) compare_match(&x, c, &m);
        free(numbers);
    }
    qdi_columns_close(set);
    qd_file_unref(f);
    qdi_column_buffer_free(b);
    model_free(&m);
    parts_end(&x);
}

static void columns_give_back_what_was_put_in(void **state)
{
    (void)state;
    for (uint32_t copies = 0; copies < 2; copies++)
        for (uint32_t shape = 0; shape < SHAPES; shape++)
            for (uint32_t kind = 0; kind < 6; kind++)
                one_column(copies, 9000 + 517 * kind, shape, kind, kind == 5);
    one_column(false, 1, SHAPE_DENSE, 0, false);
    one_column(false, 1, SHAPE_DENSE, 0, true);
    one_column(false, 4096, SHAPE_DENSE, 0, true);
    one_column(false, 4097, SHAPE_MULTI, 1, false);
    one_column(true, 3, SHAPE_RARE, 1, false);
}

static void the_scalar_kernels_read_the_same(void **state)
{
    (void)state;
    qd_cpu before = qd_cpu_level_set(QD_CPU_V2);
    for (uint32_t kind = 0; kind < 6; kind++)
        one_column(false, 9000, kind % SHAPES, kind, kind == 5);
    qd_cpu_level_set(before);
}

static void ids_stand_in_a_bytes_column(void **state)
{
    (void)state;
    for (uint32_t sparse = 0; sparse < 2; sparse++) {
        parts x;
        parts_begin(&x, sparse);
        qdi_column_buffer *b;
        char text[64];
        OK(&x, qdi_column_buffer_make(QD_COLUMN_BYTES, &x.account, &b, &x.err));
        for (uint32_t d = 0; d < 10000; d++) {
            if (sparse && d % 3) continue;
            int n = snprintf(text, sizeof text, "%u-%d", d * 7919u, (int)d % 17);
            OK(&x, qdi_column_buffer_str(b, d, (qd_str){text, d == 9 ? 0 : (size_t)n}, &x.err));
            if (d == 5000 || d == 6000) {
                qdi_column_buffer_rollback(b, d);
                OK(&x, qdi_column_buffer_str(b, d, (qd_str){text, (size_t)n}, &x.err));
            }
        }
        qdi_column_source s = {0, b, NULL};
        write_columns(&x, "f", &s, 1, 10000);
        qd_file *f = parts_open(&x, "f");
        qd_columns *set;
        OK(&x, qdi_columns_open(f, 10000, &x.account, &set, &x.err));
        const qd_column *c = qd_columns_get(set, 0);
        qd_reads *r = parts_reads(&x);
        qd_column_reader *rd;
        uint32_t docs[100];
        for (uint32_t i = 0; i < 100; i++) docs[i] = i < 50 ? i : i * 99;
        OK(&x, qd_column_plan_docs(c, docs, 100, r, &x.arena, &rd, &x.err));
        OK(&x, qd_reads_fetch(r, &x.err));
        for (uint32_t i = 0; i < 100; i++) {
            qd_str got;
            bool found;
            OK(&x, qd_column_bytes(rd, docs[i], &got, &found, &x.err));
            assert_int_equal(found, !sparse || docs[i] % 3 == 0);
            if (!found) continue;
            int n = snprintf(text, sizeof text, "%u-%d", docs[i] * 7919u, (int)docs[i] % 17);
            assert_true(qd_str_eq(got, (qd_str){text, docs[i] == 9 ? 0 : (size_t)n}));
        }
        qd_reads_release(r);
        qdi_columns_close(set);
        qd_file_unref(f);
        qdi_column_buffer_free(b);
        parts_end(&x);
    }
}

static void on_v4(void (*test)(void **state), void **state)
{
    if (cpu_lacks(QD_CPU_V4, "AVX-512")) return;
    vectors = &qdi_pack_avx512;
    test(state);
    vectors = &qdi_pack_avx2;
}
static void kernels_agree_v4(void **state)
{
    on_v4(kernels_agree, state);
}
static void folds_agree_v4(void **state)
{
    on_v4(folds_agree, state);
}
static void reals_agree_v4(void **state)
{
    on_v4(reals_agree, state);
}
static void filters_agree_v4(void **state)
{
    on_v4(filters_agree, state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kernels_agree),
        cmocka_unit_test(kernels_agree_v4),
        cmocka_unit_test(folds_agree),
        cmocka_unit_test(folds_agree_v4),
        cmocka_unit_test(reals_agree),
        cmocka_unit_test(reals_agree_v4),
        cmocka_unit_test(filters_agree),
        cmocka_unit_test(filters_agree_v4),
        cmocka_unit_test(sortable_numbers_keep_their_order),
        cmocka_unit_test(each_encoding_is_chosen_where_it_wins),
        cmocka_unit_test(sorting),
        cmocka_unit_test(columns_give_back_what_was_put_in),
        cmocka_unit_test(the_scalar_kernels_read_the_same),
        cmocka_unit_test(ids_stand_in_a_bytes_column),
    };
    qd_log_level_set("store", QD_LOG_OFF);
    return unit_run(tests);
}
