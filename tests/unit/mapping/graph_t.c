/* graph_t.c: codes and graphs of vectors in a segment: recall of each kind against the exact order,
 * a merge gives byte for byte what a flush gives, damaged bytes are found and end no search in a
 * loop. */
#include "mapping/ann/graph.h"
#include "segment/check.h"
#include "segment/merge.h"
#include "segment/parts.h"
#include "segment/segment_int.h"
#include "unit/lib/parts.h"
#include "unit/unit.h"
#include <math.h>

#define DIMS 64u
#define ROWS 1200u
#define K 10u

static const qd_part_type type = {.name = {"vectors.graph", 13}, .vt = &qd_vectors_graph_part},
                          rows_type = {.name = {"vectors", 7}, .vt = &qd_vectors_part};

static bool find(const void *arg, qd_str name, qd_part_type *out)
{
    (void)arg;
    *out = qd_str_eq(name, type.name) ? type : rows_type;
    return true;
}
static const qd_part_types types = {find, NULL};

typedef struct kind {
    const char *name;
    uint32_t bits, flat, element, space;
    float confidence;
    double least; /* recall */
} kind;

static const kind kinds[] = {
    {"hnsw, l2", 0, 0, QD_ELEMENT_FLOAT, QD_SPACE_L2, 0, 0.95},
    {"hnsw, cosine", 0, 0, QD_ELEMENT_FLOAT, QD_SPACE_COSINE, 0, 0.95},
    {"int8, l2", 7, 0, QD_ELEMENT_FLOAT, QD_SPACE_L2, 0, 0.9},
    {"int8, cosine", 7, 0, QD_ELEMENT_FLOAT, QD_SPACE_COSINE, 0, 0.9},
    {"int8, inner product", 7, 0, QD_ELEMENT_FLOAT, QD_SPACE_MAX_DOT, 0, 0.9},
    {"int8, interval", 7, 0, QD_ELEMENT_FLOAT, QD_SPACE_L2, 0.9f, 0.8},
    {"int4, l2", 4, 0, QD_ELEMENT_FLOAT, QD_SPACE_L2, 0, 0.7},
    {"int4 flat, cosine", 4, 1, QD_ELEMENT_FLOAT, QD_SPACE_COSINE, 0, 0.7},
    {"one bit, l2", 1, 0, QD_ELEMENT_FLOAT, QD_SPACE_L2, 0, 0.3},
    {"bytes, l2", 0, 0, QD_ELEMENT_BYTE, QD_SPACE_L2, 0, 0.95},
    {"bytes, cosine", 0, 0, QD_ELEMENT_BYTE, QD_SPACE_COSINE, 0, 0.95},
    {"bits", 0, 0, QD_ELEMENT_BIT, QD_SPACE_HAMMING, 0, 0.9},
};

static float base[ROWS + 8][DIMS]; /* the last ones are queries */

static uint64_t seed = 3;
static double rnd(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return ((double)(seed >> 33) + 1) / 2147483649.0;
}
static double gauss(void)
{
    return sqrt(-2 * log(rnd())) * cos(6.283185307 * rnd());
}

static int clusters(void **state)
{
    static float centre[20][DIMS];
    (void)state;
    for (uint32_t i = 0; i < 20 * DIMS; i++) centre[i / DIMS][i % DIMS] = (float)gauss();
    for (uint32_t i = 0; i < ROWS + 8; i++) {
        uint32_t c = (uint32_t)(rnd() * 19.99);
        for (uint32_t d = 0; d < DIMS; d++) base[i][d] = centre[c][d] + 0.6f * (float)gauss();
    }
    return 0;
}

/* The row of a number, with zeros behind it. */
static size_t row_of(const kind *k, uint32_t n, char out[DIMS * 4 + 256])
{
    memset(out, 0, DIMS * 4 + 256);
    for (uint32_t d = 0; d < DIMS; d++) {
        float v = base[n][d];
        if (k->element == QD_ELEMENT_FLOAT) memcpy(out + d * sizeof v, &v, sizeof v);
        if (k->element == QD_ELEMENT_BYTE) out[d] = (char)(v * 30 > 127 ? 127 : v * 30);
        if (k->element == QD_ELEMENT_BIT && v > 0) out[d / 8] |= (char)(0x80 >> d % 8);
    }
    return (size_t)qd_vectors_row(k->element, DIMS);
}

static void flush(parts *x, const kind *k, const uint32_t *n, uint32_t count, const char *name,
                  const qd_part_type *t)
{
    const qd_field_value values[QD_VECTORS_CONF_VALUES] = {
        [QD_VECTORS_CONF_DIMS] = {.i64 = DIMS},
        [QD_VECTORS_CONF_ELEMENT] = {.i64 = k->element},
        [QD_VECTORS_CONF_BITS] = {.i64 = k->bits},
        [QD_VECTORS_CONF_FLAT] = {.i64 = k->flat},
        [QD_VECTORS_CONF_M] = {.i64 = 12},
        [QD_VECTORS_CONF_EF] = {.i64 = 60},
        [QD_VECTORS_CONF_SPACE] = {.i64 = k->space},
        [QD_VECTORS_CONF_THRESHOLD] = {.i64 = 10},
        [QD_VECTORS_CONF_CONFIDENCE] = {.f64 = (double)k->confidence}};
    const qd_field_conf conf = {
        .struct_size = sizeof conf, .nvalues = QD_VECTORS_CONF_VALUES, .values = values};
    const qd_field_info info = {.name = QD_STR("v")};
    const qd_segment_attrs attrs = {.min_seq_no = 0, .max_seq_no = count};
    const uint8_t id[16] = {(uint8_t)name[4]};
    qd_buffer *b;
    uint32_t v;
    char row[DIMS * 4 + 256];
    OK(x, qd_buffer_create(&x->account, &b, &x->err));
    OK(x, qd_buffer_field(b, &info, &v, &x->err));
    OK(x, qd_buffer_field_part(b, v, t, &conf, &x->err));
    for (uint32_t i = 0; i < count; i++) {
        char word[16];
        qd_str text = {word, (size_t)snprintf(word, sizeof word, "%u", n[i])};
        OK(x, qd_buffer_doc_begin(b, NULL, &x->err));
        OK(x, qd_buffer_id(b, text, &x->err));
        if (n[i] % 7) OK(x, qd_buffer_part(b, v, (qd_str){row, row_of(k, n[i], row)}, &x->err));
        OK(x, qd_buffer_doc_commit(b, &x->err));
    }
    OK(x, qd_buffer_flush(b, x->store, qd_str_c(name), id, &attrs, true, NULL, &x->err));
    qd_buffer_destroy(b);
}

static qd_segment *open_segment(parts *x, const char *name)
{
    qd_segment *s;
    OK(x, qd_segment_open(x->store, qd_str_c(name), &x->account, &s, &x->err));
    return s;
}

static int poll_never(void *arg)
{
    (void)arg;
    return 0;
}

static double score(const kind *k, uint32_t a, uint32_t b)
{
    double dot = 0, l2 = 0, la = 0, lb = 0;
    char x[DIMS * 4 + 256], y[DIMS * 4 + 256];
    if (k->element != QD_ELEMENT_FLOAT) (void)row_of(k, a, x), (void)row_of(k, b, y);
    for (uint32_t d = 0; d < DIMS; d++) {
        double p = (double)base[a][d], q = (double)base[b][d];
        if (k->element == QD_ELEMENT_BYTE) p = (signed char)x[d], q = (signed char)y[d];
        if (k->element == QD_ELEMENT_BIT) p = x[d / 8] >> d % 8 & 1, q = y[d / 8] >> d % 8 & 1;
        dot += p * q, l2 += (p - q) * (p - q), la += p * p, lb += q * q;
    }
    return k->space == QD_SPACE_COSINE    ? dot / sqrt(la * lb)
           : k->space == QD_SPACE_MAX_DOT ? dot
                                          : -l2;
}

/* Share of the true nearest that are among the K that a walk or a scan puts first. */
static double recall_of(parts *x, const kind *k, const char *name, const uint32_t *n,
                        uint32_t count)
{
    qd_segment *s = open_segment(x, name);
    qd_part_view view;
    qd_part_reader *r;
    qd_graph g;
    uint32_t found = 0, of[ROWS], rows = 0;
    OK(x, qd_part_view_open(&view, s, qd_segment_part(s, 0), &x->arena, &x->account, &x->err));
    OK(x, qd_part_open(&view, &type, &r, &x->err));
    OK(x, qd_graph_open(r, &g, &x->err));
    for (uint32_t i = 0; i < count; i++)
        if (n[i] % 7) of[rows++] = n[i];
    assert_int_equal(g.n, rows);
    assert_true(k->flat ? !g.lists && g.codes : g.lists && !g.codes == !k->bits);
    for (uint32_t q = ROWS; q < ROWS + 8; q++) {
        char row[DIMS * 4 + 256];
        double best[K + 1] = {0};
        const qd_near *near = NULL;
        uint32_t got = 0, m = 0;
        uint64_t visited = 0;
        qd_graph_query query;
        (void)row_of(k, q, row);
        float length =
            k->element == QD_ELEMENT_BIT ? 0 : qd_vectors_magnitude(k->element, DIMS, row);
        OK(x, qd_graph_query_make(&g, row, length, &x->arena, &query, &x->err));
        for (uint32_t i = 0; i < rows; i++) {
            double v = score(k, q, of[i]);
            uint32_t at = m < K ? m++ : K;
            for (; at && best[at - 1] < v; at--) best[at] = best[at - 1];
            best[at] = v;
        }
        qd_near all[K + 1];
        if (g.lists) {
            OK(x, qd_graph_walk(&g, &query, 80, poll_never, NULL, &x->arena, &near, &got, &visited,
                                &x->err));
            assert_true(visited > 0 && visited <= 2 * rows);
        }
        for (uint32_t i = 0; i < rows && !g.lists; i++) {
            float v;
            qd_graph_near(&g, &query, &i, 1, &v);
            uint32_t at = got < K ? got++ : K;
            for (; at && all[at - 1].near < v; at--) all[at] = all[at - 1];
            all[at] = (qd_near){v, i};
        }
        if (!near) near = all;
        assert_true(got >= K);
        for (uint32_t i = 0; i < K; i++)
            found += score(k, q, of[near[i].row]) >= best[K - 1] - 1e-9;
    }
    type.vt->close(r);
    qd_part_view_close(&view);
    qd_segment_unref(s);
    return (double)found / (8 * K);
}

static qd_str bytes_of(parts *x, const char *name)
{
    qd_segment *s = open_segment(x, name);
    qd_part_view view;
    const void *p;
    OK(x, qd_part_view_open(&view, s, qd_segment_part(s, 0), &x->arena, &x->account, &x->err));
    const qd_part_range all = {0, view.bytes.length};
    OK(x, view.bytes.read(&view.bytes, &all, 1, &p, &x->err));
    qd_str bytes = qd_arena_str(&x->arena, (qd_str){p, all.length});
    qd_part_view_close(&view);
    qd_segment_unref(s);
    qd_check c = {.account = &x->account, .types = &types};
    OK(x, qd_segment_check(x->store, qd_str_c(name), &c, &x->err));
    assert_int_equal(c.findings + c.parts_unread, 0);
    return bytes;
}

/* Two segments, one of which may have rows alone, with deletions. */
static void merge_equals_flush(const kind *k, bool mixed)
{
    uint32_t n[ROWS], kept[ROWS], count = 0;
    parts parts_;
    parts *x = &parts_;
    qd_merge_source sources[2] = {{NULL, NULL}};
    qd_merge_result r;
    qd_live *live;
    const uint8_t id[16] = {9};
    const qd_merge_options o = {
        .attrs = {.min_seq_no = -1, .max_seq_no = -1}, .sync = true, .types = &types};
    parts_begin(x, true);
    for (uint32_t i = 0; i < ROWS; i++) n[i] = i;
    flush(x, k, n, ROWS / 2, "seg-a", mixed ? &rows_type : &type);
    flush(x, k, n + ROWS / 2, ROWS / 2, "seg-b", &type);
    sources[0].segment = open_segment(x, "seg-a");
    sources[1].segment = open_segment(x, "seg-b");
    OK(x, qd_live_make(ROWS / 2, &x->account, &live, &x->err));
    for (uint32_t d = 0; d < ROWS / 2; d += 5) qd_live_delete(live, d);
    sources[0].live = live;
    OK(x,
       qd_segment_merge(sources, 2, x->store, QD_STR("seg-m"), id, &o, &x->account, &r, &x->err));
    for (uint32_t i = 0; i < ROWS; i++)
        if (i >= ROWS / 2 || i % 5) kept[count++] = i;
    qd_merge_result_fini(&r);
    flush(x, k, kept, count, "seg-f", &type);
    assert_true(qd_str_eq(bytes_of(x, "seg-m"), bytes_of(x, "seg-f")));
    double recall = recall_of(x, k, "seg-m", kept, count);
    if (recall < k->least) fail_msg("%s: recall %.3f", k->name, recall);
    qd_segment_unref(sources[0].segment);
    qd_segment_unref(sources[1].segment);
    qd_live_unref(live);
    parts_end(x);
}

static void each_kind_finds_the_nearest(void **state)
{
    (void)state;
    for (size_t i = 0; i < QD_COUNT_OF(kinds); i++) merge_equals_flush(&kinds[i], i % 3 == 2);
}

/* A search of a segment whose bytes were changed under right checksums ends, well or not. */
static bool search_ends(parts *x, const kind *k, const char *name)
{
    qd_segment *s = open_segment(x, name);
    qd_part_view view;
    qd_part_reader *r;
    qd_graph g;
    qd_graph_query query;
    const qd_near *near;
    uint32_t n;
    uint64_t visited = 0;
    char row[DIMS * 4 + 256];
    (void)row_of(k, ROWS, row);
    OK(x, qd_part_view_open(&view, s, qd_segment_part(s, 0), &x->arena, &x->account, &x->err));
    int rc = qd_part_open(&view, &type, &r, &x->err);
    bool opened = !rc;
    if (!rc) rc = qd_graph_open(r, &g, &x->err);
    if (!rc) rc = qd_graph_query_make(&g, row, 1, &x->arena, &query, &x->err);
    if (!rc && g.lists)
        rc = qd_graph_walk(&g, &query, 200, poll_never, NULL, &x->arena, &near, &n, &visited,
                           &x->err);
    assert_true(!rc || rc == QD_E_CORRUPT);
    assert_true(visited < 4 * ROWS);
    if (opened) type.vt->close(r);
    qd_part_view_close(&view);
    qd_segment_unref(s);
    qd_err_fini(&x->err);
    qd_err_init(&x->err);
    return rc == 0;
}

static void damage_ends_no_search_in_a_loop(void **state)
{
    (void)state;
    const kind *k = &kinds[2];
    uint32_t n[300], found = 0;
    parts parts_;
    parts *x = &parts_;
    for (uint32_t i = 0; i < 300; i++) n[i] = i;
    parts_begin(x, true);
    flush(x, k, n, 300, "seg-a", &type);
    qd_segment *s = open_segment(x, "seg-a");
    uint32_t section = qd_segment_part(s, 0)->section;
    uint64_t bytes = qd_segment_part(s, 0)->bytes;
    qd_segment_unref(s);
    for (uint32_t i = 0; i < 400; i++) {
        uint64_t at = i < 128 ? i : bytes - 1 - (uint64_t)(rnd() * 33000);
        qd_check c = {.account = &x->account, .types = &types};
        parts_tamper(x, "seg-a", "seg-b", section, at, (uint8_t)(1u << i % 8));
        int rc = qd_segment_check(x->store, QD_STR("seg-b"), &c, &x->err);
        bool bad = rc == QD_E_CORRUPT || c.findings;
        qd_err_fini(&x->err);
        qd_err_init(&x->err);
        if (!search_ends(x, k, "seg-b")) assert_true(bad);
        found += bad;
        OK(x, qd_store_delete(x->store, QD_STR("seg-b"), &x->err));
    }
    assert_true(found > 100);
    parts_end(x);
}

/* A merge that has to end ends while it links. */
static int32_t stop(const qd_part_sink *sink, const void *p, size_t n, qd_err *err)
{
    uint32_t *left = sink->host;
    (void)p, (void)err;
    return !n && !--*left ? QD_E_CANCELLED : 0;
}

static void linking_can_be_cancelled(void **state)
{
    (void)state;
    const qd_field_value values[QD_VECTORS_CONF_VALUES] = {
        [QD_VECTORS_CONF_DIMS] = {.i64 = DIMS},
        [QD_VECTORS_CONF_BITS] = {.i64 = 7},
        [QD_VECTORS_CONF_M] = {.i64 = 12},
        [QD_VECTORS_CONF_EF] = {.i64 = 60},
        [QD_VECTORS_CONF_SPACE] = {.i64 = QD_SPACE_L2}};
    const qd_field_conf conf = {
        .struct_size = sizeof conf, .nvalues = QD_VECTORS_CONF_VALUES, .values = values};
    uint32_t left = 3;
    const qd_part_sink sink = {.struct_size = sizeof sink, .host = &left, .write = stop};
    qd_part_buffer *b;
    qd_err err;
    qd_err_init(&err);
    assert_int_equal(type.vt->begin(&conf, &b, &err), 0);
    for (uint32_t i = 0; i < 200; i++)
        assert_int_equal(type.vt->add(b, i, (qd_str){(const char *)base[i], sizeof base[i]}, &err),
                         0);
    assert_int_equal(type.vt->write(b, 200, &sink, &err), QD_E_CANCELLED);
    type.vt->end(b);
    qd_err_fini(&err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(each_kind_finds_the_nearest, clusters),
        cmocka_unit_test(damage_ends_no_search_in_a_loop),
        cmocka_unit_test(linking_can_be_cancelled),
    };
    return unit_run(tests);
}
