/*
 * aggs_lib.c: see aggs_lib.h.
 */
#include "unit/lib/aggs_lib.h"
#include "aggs/reduce/wire.h"

static const char MAPPING[] =
    "{\"properties\":{\"k\":{\"type\":\"keyword\"},\"n\":{\"type\":\"long\"},\"d\":{\"type\":"
    "\"double\"},"
    "\"s\":{\"type\":\"integer\"},\"t\":{\"type\":\"date\"},\"b\":{\"type\":\"boolean\"},"
    "\"ip\":{\"type\":\"ip\"},\"txt\":{\"type\":\"text\"}}}";

uint64_t lib_random(lib *l, uint64_t n)
{
    uint64_t z = l->seed += 0x9e3779b97f4a7c15ull;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    z ^= z >> 31;
    return n ? z % n : z;
}

static void ok(lib *l, int rc, int line)
{
    if (rc == 0) return;
    print_error("line %d: %s: %s (seed %llu)\n", line, qd_code_name(rc), qd_err_reason(&l->err),
                (unsigned long long)l->seed);
    fail();
}
#define OK(x) ok(l, (x), __LINE__)

void lib_random_doc(lib *l, lib_doc *d, uint32_t i)
{
    *d = (lib_doc){.nk = (uint32_t)lib_random(l, 3), .nn = (uint32_t)lib_random(l, 4)};
    for (uint32_t j = 0; j < d->nk; j++)
        snprintf(d->k[j], sizeof d->k[j], "k%03u", (unsigned)lib_random(l, 40) * 2 + j);
    for (uint32_t j = 0; j < d->nn; j++)
        d->n[j] = (j ? d->n[j - 1] : -50) + (int64_t)lib_random(l, 40);
    d->has_d = lib_random(l, 5) != 0;
    d->d = (double)((int64_t)lib_random(l, 20000) - 10000) / 8;
    d->s = (int64_t)lib_random(l, 1000);
    d->has_t = lib_random(l, 4) != 0;
    d->t = 1600000000000 + (int64_t)lib_random(l, 100ull * 86400000);
    d->b = (int64_t)lib_random(l, 2);
    (void)i;
}

static void add_doc(lib *l, qd_buffer *b, const uint32_t *f, const lib_doc *d)
{
    OK(qd_buffer_doc_begin(b, NULL, &l->err));
    for (uint32_t j = 0; j < d->nk; j++)
        OK(qd_buffer_column_bytes(b, f[0], qd_str_c(d->k[j]), &l->err));
    if (d->nn) OK(qd_buffer_column_i64(b, f[1], d->n, d->nn, &l->err));
    int64_t v = qd_sortable_f64(d->d);
    if (d->has_d) OK(qd_buffer_column_i64(b, f[2], &v, 1, &l->err));
    OK(qd_buffer_column_i64(b, f[3], &d->s, 1, &l->err));
    if (d->has_t) OK(qd_buffer_column_i64(b, f[4], &d->t, 1, &l->err));
    OK(qd_buffer_column_i64(b, f[5], &d->b, 1, &l->err));
    OK(qd_buffer_doc_commit(b, &l->err));
}

static void make_segment(lib *l, qd_buffer *b, uint32_t shard, uint32_t seg, uint32_t from,
                         uint32_t to, uint32_t delete_in)
{
    static const qd_field_info infos[] = {{.name = {"k", 1}, .column = QD_COLUMN_ORDINAL},
                                          {.name = {"n", 1}, .column = QD_COLUMN_I64},
                                          {.name = {"d", 1}, .column = QD_COLUMN_I64},
                                          {.name = {"s", 1}, .column = QD_COLUMN_I64},
                                          {.name = {"t", 1}, .column = QD_COLUMN_I64},
                                          {.name = {"b", 1}, .column = QD_COLUMN_I64}};
    uint32_t f[6];
    uint8_t id[16] = {(uint8_t)shard, (uint8_t)seg, 7};
    char name[64];
    for (uint32_t i = 0; i < 6; i++) OK(qd_buffer_field(b, &infos[i], &f[i], &l->err));
    for (uint32_t i = from; i < to; i++) add_doc(l, b, f, &l->docs[i]);
    snprintf(name, sizeof name, "seg-%032u", shard * 16 + seg);
    qd_segment_attrs attrs = {.min_seq_no = -1, .max_seq_no = -1, .stored_codec = QD_STORED_NONE};
    OK(qd_buffer_flush(b, l->store, qd_str_c(name), id, &attrs, true, NULL, &l->err));
    qd_buffer_reset(b);
    OK(qd_segment_open(l->store, qd_str_c(name), &l->account, &l->segment[shard][seg], &l->err));
    if (!delete_in) return;
    OK(qd_live_make(to - from, &l->account, &l->live[shard][seg], &l->err));
    for (uint32_t i = from; i < to; i++)
        if (lib_random(l, delete_in) == 0) {
            qd_live_delete(l->live[shard][seg], i - from);
            l->docs[i].live = false;
        }
}

void lib_begin(lib *l, uint64_t seed, uint32_t n, uint32_t delete_in,
               void (*make)(lib *l, lib_doc *d, uint32_t i))
{
    memset(l, 0, sizeof *l);
    l->seed = seed;
    l->n = n;
    qd_err_init(&l->err);
    qd_account_init(&l->account, "test", NULL, 0);
    qd_account_init(&l->request, "request", NULL, 0);
    qd_arena_init(&l->arena, &l->account, 0);
    l->disk = store_crash_make(&(store_crash_options){.copies = seed & 1});
    OK(store_crash_open(l->disk, &l->store, &l->err));
    OK(qd_analyzers_make(NULL, 0, NULL, &l->analyzers, &l->err));
    l->analysis = qd_analysis_make(&l->account, 0);
    assert_non_null(l->analysis);
    OK(qd_mapping_parse(qd_str_c(MAPPING), l->analyzers, &QD_MAPPING_SETTINGS_DEFAULT,
                        QD_MAPPING_UPDATE, &l->mapping, &l->err));
    l->docs = calloc(n, sizeof *l->docs);
    for (uint32_t i = 0; i < n; i++) {
        make(l, &l->docs[i], i);
        l->docs[i].live = true;
    }
    qd_buffer *b;
    OK(qd_buffer_create(&l->account, &b, &l->err));
    uint32_t parts = LIB_SHARDS * LIB_SEGMENTS, at = 0;
    for (uint32_t p = 0; p < parts; p++) {
        uint32_t to =
            p + 1 == parts ? n : (uint32_t)((uint64_t)n * (p + 1) * (p + 1) / (parts * parts));
        if (to > at) {
            for (uint32_t i = at; i < to; i++) l->docs[i].shard = p / LIB_SEGMENTS;
            make_segment(l, b, p / LIB_SEGMENTS, p % LIB_SEGMENTS, at, to, delete_in);
        }
        at = to;
    }
    qd_buffer_destroy(b);
    for (uint32_t s = 0; s < LIB_SHARDS; s++) {
        qd_segment *seg[LIB_SEGMENTS];
        qd_live *live[LIB_SEGMENTS];
        uint32_t k = 0;
        for (uint32_t i = 0; i < LIB_SEGMENTS; i++) {
            if (!l->segment[s][i]) continue;
            seg[k] = l->segment[s][i];
            live[k++] = l->live[s][i];
        }
        OK(qd_searcher_make(seg, live, k, &l->account, &l->searcher[s], &l->err));
    }
}

void lib_end(lib *l)
{
    for (uint32_t s = 0; s < LIB_SHARDS; s++) {
        qd_searcher_unref(l->searcher[s]);
        for (uint32_t i = 0; i < LIB_SEGMENTS; i++) {
            qd_segment_unref(l->segment[s][i]);
            qd_live_unref(l->live[s][i]);
        }
    }
    qd_mapping_unref(l->mapping);
    qd_analysis_free(l->analysis);
    qd_analyzers_unref(l->analyzers);
    qd_arena_fini(&l->arena);
    qd_store_close(l->store);
    store_crash_free(l->disk);
    qd_err_fini(&l->err);
    free(l->docs);
    assert_int_equal(qd_account_used(&l->request), 0);
    assert_int_equal(qd_account_used(&l->account), 0);
}

/* --- running ---------------------------------------------------------------------------------- */

static int hits_bind(void *arg, const qd_json_node *body, const qd_query_context *q,
                     qd_arena *arena, qd_aggs_hits_sort *out, qd_err *err)
{
    static const qd_sort_key by_s = {.kind = QD_SORT_I64, .descending = true, .field = {"s", 1}};
    (void)arg, (void)q, (void)arena, (void)err;
    *out = (qd_aggs_hits_sort){.scores = true};
    if (qd_json_get(body, "sort")) *out = (qd_aggs_hits_sort){.keys = &by_s, .nkeys = 1};
    return 0;
}

static int fetch(void *arg, void *prepared, const struct qd_nested_level *level,
                 const qd_sort_hit *hits, uint32_t n, qd_arena *arena, qd_str *json, qd_err *err)
{
    (void)arg, (void)prepared, (void)level;
    for (uint32_t i = 0; i < n; i++) {
        long long s = hits[i].values && hits[i].values[0].kind == QD_SORT_I64
                          ? (long long)hits[i].values[0].i64
                          : -1;
        json[i] = qd_arena_printf(arena, "{\"s\":%lld}", s);
        if (!json[i].p) return qd_err_nomem(err, "hit");
    }
    return 0;
}

/* The result as another node gets it. */
static int over_the_wire(lib *l, const qd_aggs_bound *bound, qd_aggs_partial **p)
{
    qd_writer w;
    qd_body_reader r;
    qd_writer_init(&w, NULL, (size_t)1 << 30, 0x100);
    qd_aggs_partial_write(*p, &w);
    qd_aggs_partial_free(*p);
    *p = NULL;
    int rc = qd_writer_end(&w, "aggregations", &l->err);
    if (l->damage && w.buf.n) {
        size_t at = lib_random(l, w.buf.n);
        if (l->damage % 4)
            w.buf.p[at] ^= (char)(1 + lib_random(l, 255));
        else
            w.buf.n = at;
    }
    qd_body_reader_init(&r, qd_writer_view(&w), "aggregations", 0x100);
    if (rc == 0) rc = qd_aggs_partial_read(&r, bound, &l->request, p, &l->err);
    if (rc == 0) rc = qd_body_reader_end(&r, &l->err);
    if (rc) {
        qd_aggs_partial_free(*p);
        *p = NULL;
    }
    qd_buf_fini(&l->last);
    l->last = w.buf;
    return rc;
}

static int run_shard(lib *l, const qd_aggs *tree, const qd_aggs_bound *bound, const qd_node *query,
                     uint32_t s, qd_aggs_reducer *reducer)
{
    qd_aggs_shard_options o = {
        .searcher = l->searcher[s], .account = &l->request, .shard = s, .fetch = fetch};
    qd_aggs_shard *shard = NULL;
    qd_aggs_partial *partial = NULL;
    qd_collect_result result;
    qd_arena arena;
    qd_plan *plan;
    qd_arena_init(&arena, &l->request, 0);
    int rc = qd_aggs_shard_make(bound, &o, &shard, &l->err);
    if (rc == 0)
        rc = qd_plan_make(l->searcher[s], query, &(qd_plan_options){.account = &l->request}, &arena,
                          &plan, &l->err);
    if (rc == 0) rc = qd_plan_collect(plan, NULL, qd_aggs_shard_collector(shard), &result, &l->err);
    if (rc == 0 && qd_aggs_has_global(tree)) rc = qd_aggs_shard_run_global(shard, &l->err);
    if (rc == 0) rc = qd_aggs_shard_finish(shard, &partial, &l->err);
    if (rc == 0 && l->wire) rc = over_the_wire(l, bound, &partial);
    if (rc == 0) rc = qd_aggs_reducer_add(reducer, partial, &l->err);
    qd_aggs_shard_free(shard);
    qd_arena_fini(&arena);
    return rc;
}

int lib_run(lib *l, const char *aggs, int64_t lo, int64_t hi, qd_buf *out)
{
    qd_arena arena;
    qd_json_node *json;
    qd_aggs *tree;
    qd_aggs_bound *bound;
    qd_aggs_reducer *reducer = NULL;
    const qd_aggs_result *result;
    qd_err_fini(&l->err);
    qd_arena_init(&arena, &l->request, 0);
    qd_query_reading reading = {.arena = &arena, .host = l->host};
    qd_aggs_reading how = {.arena = &arena,
                           .reading = &reading,
                           .body = qd_str_c(aggs),
                           .max_buckets = l->max_buckets,
                           .flavour = l->flavour};
    qd_query_context q = {.arena = &arena,
                          .analysis = l->analysis,
                          .mapping = l->mapping,
                          .index = QD_STR("index"),
                          .now_ms = 1700000000000};
    qd_aggs_host host = {.hits_bind = hits_bind};
    int rc = qd_json_parse(&arena, qd_str_c(aggs), 0, &json, &l->err);
    if (rc == 0) rc = qd_aggs_parse(&how, json, &tree, &l->err);
    if (rc == 0)
        rc = qd_aggs_bind(tree, &(qd_aggs_binding){.query = &q, .host = &host, .task = l->task},
                          &bound, &l->err);
    qd_node *query =
        rc ? NULL
           : qd_node_make(&arena, lo <= INT64_MIN + 1 ? QD_NATIVE_MATCH_ALL : QD_NATIVE_RANGE);
    if (rc == 0 && !query) rc = qd_err_nomem(&l->err, "query");
    if (query && query->kind == QD_NATIVE_RANGE)
        query->u.range =
            (qd_node_range){.field = {"s", 1}, .kind = QD_RANGE_I64, .lo = lo, .hi = hi};
    if (rc == 0) rc = qd_aggs_reducer_make(tree, &l->request, &reducer, &l->err);
    uint32_t runs = LIB_SHARDS * (l->repeat ? l->repeat : 1);
    for (uint32_t i = 0; rc == 0 && i < runs; i++)
        rc = run_shard(l, tree, bound, query, (i + l->order) % LIB_SHARDS, reducer);
    if (rc == 0) rc = qd_aggs_reducer_finish(reducer, &result, &l->err);
    qd_buf_reset(out);
    if (rc == 0) {
        qd_json_writer w;
        qd_json_writer_init(&w, out, false);
        qd_aggs_write(result, l->typed, &w);
        rc = qd_buf_status(out);
    }
    qd_aggs_reducer_free(reducer);
    qd_arena_fini(&arena);
    return rc;
}

void lib_expect(lib *l, const char *aggs, const char *json)
{
    qd_buf out;
    qd_buf_init(&out, NULL, 1 << 26);
    OK(lib_run(l, aggs, INT64_MIN, INT64_MAX, &out));
    assert_string_equal(out.p, json);
    qd_buf_fini(&out);
}

void lib_refuse(lib *l, const char *aggs, int code, const char *reason)
{
    qd_buf out;
    qd_buf_init(&out, NULL, 1 << 26);
    int rc = lib_run(l, aggs, INT64_MIN, INT64_MAX, &out);
    assert_string_equal(qd_err_reason(&l->err), reason);
    assert_int_equal(rc, code);
    qd_buf_fini(&out);
}
