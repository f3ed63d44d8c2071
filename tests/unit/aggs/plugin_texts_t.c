/*
 * plugin_texts_t.c: strings for metrics of plugins: what comes in blocks, over shards, segments,
 * deleted documents, documents of no and of several strings, and owners, is what a naive count of
 * the documents says.
 */
#include "plugin/host.h"
#include "unit/lib/aggs_lib.h"
#include "json/reader.h"
#include "json/tree.h"
#include "json/writer.h"
#include <quidditch/aggregation.h>
#include <quidditch/plugin.h>

/* --- the plugin: strings, documents, and a sum of what the strings are ------------------------ */

typedef struct sums {
    uint64_t count, documents, hash;
} sums;

struct qd_aggregation_collector {
    struct at {
        sums s;
        uint32_t last;
    } at[64];
    uint32_t last_owner;
};

static uint32_t blocks, texts, pairs; /* handed over so far */

static uint64_t hash(const char *p, size_t n)
{
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < n; i++) h = (h ^ (uint8_t)p[i]) * 16777619u;
    return h;
}

static int32_t texts_parse(const qd_aggregation_ctx *ctx, qd_json_in *in, const void **out,
                           qd_err *err)
{
    (void)ctx;
    *out = NULL;
    qd_json_reader *r = (qd_json_reader *)(void *)in;
    return qd_json_skip(r) ? qd_json_fail(r, err) : 0;
}

static int32_t texts_open(const qd_aggregation_ctx *ctx, const void *params,
                          qd_aggregation_collector **out, qd_err *err)
{
    (void)ctx, (void)params;
    *out = qd_calloc(NULL, sizeof **out);
    return *out ? 0 : qd_err_nomem(err, "collector");
}

static int32_t texts_collect(qd_aggregation_collector *c, const qd_aggregation_block *b,
                             qd_err *err)
{
    (void)err;
    blocks++;
    pairs += b->n;
    texts += b->ntexts;
    assert_true(b->struct_size == sizeof *b && !b->value && b->more == 0);
    assert_in_range(b->n, 1, 65536);
    assert_in_range(b->ntexts, 1, b->n);
    for (uint32_t i = 0; i < b->n; i++) {
        uint32_t o = b->owner ? b->owner[i] : 0;
        assert_in_range(o, 0, b->owners - 1);
        assert_in_range(b->text_of[i], 0, b->ntexts - 1);
        struct at *at = &c->at[o];
        bool follows = at->s.count && at->last == b->doc[i];
        if (follows) assert_int_equal(c->last_owner, o);
        if (follows && i) assert_int_not_equal(b->text_of[i], b->text_of[i - 1]);
        c->last_owner = o;
        at->last = b->doc[i];
        at->s.documents += !follows;
        at->s.count++;
        at->s.hash += hash(b->text[b->text_of[i]].p, b->text[b->text_of[i]].n);
    }
    return 0;
}

static int32_t texts_result(qd_aggregation_collector *c, uint32_t owner, qd_aggregation_bytes *out,
                            qd_err *err)
{
    (void)err;
    if (owner >= QD_COUNT_OF(c->at) || !c->at[owner].s.count) return 0;
    memcpy(out->p, &c->at[owner].s, sizeof(sums));
    out->n = sizeof(sums);
    return 0;
}

static void texts_close(qd_aggregation_collector *c)
{
    qd_free(c);
}

static int32_t texts_reduce(const qd_aggregation_ctx *ctx, const void *params,
                            const qd_str *results, uint32_t n, qd_aggregation_bytes *out,
                            qd_err *err)
{
    sums all = {0}, one;
    (void)ctx, (void)params;
    for (uint32_t i = 0; i < n; i++) {
        if (results[i].n != sizeof one) return qd_err_set(err, QD_E_CORRUPT, "cut");
        memcpy(&one, results[i].p, sizeof one);
        all.count += one.count;
        all.documents += one.documents;
        all.hash += one.hash;
    }
    memcpy(out->p, &all, sizeof all);
    out->n = sizeof all;
    return 0;
}

static int32_t texts_value(const qd_aggregation_ctx *ctx, const void *params, qd_str result,
                           uint32_t member, double *out, qd_err *err)
{
    sums s;
    (void)ctx, (void)params, (void)member;
    if (result.n != sizeof s) return qd_err_set(err, QD_E_CORRUPT, "cut");
    memcpy(&s, result.p, sizeof s);
    *out = (double)s.count;
    return 0;
}

static int32_t texts_write(const qd_aggregation_ctx *ctx, const void *params, qd_str result,
                           qd_json_out *out, qd_err *err)
{
    qd_json_writer *w = (qd_json_writer *)(void *)out;
    sums s = {0};
    (void)ctx, (void)params, (void)err;
    if (result.n == sizeof s) memcpy(&s, result.p, sizeof s);
    qd_json_key_c(w, "count");
    qd_json_uint(w, s.count);
    qd_json_key_c(w, "documents");
    qd_json_uint(w, s.documents);
    qd_json_key_c(w, "hash");
    qd_json_uint(w, s.hash);
    return 0;
}

static const qd_aggregation_vtable vtable = {
    .head =
        QD_VTABLE(qd_aggregation_vtable, AGGREGATION, QD_AGGREGATION_TEXTS | QD_AGGREGATION_WRITES),
    .result_max = sizeof(sums),
    .result_version = 1,
    .parse = texts_parse,
    .open = texts_open,
    .collect = texts_collect,
    .result = texts_result,
    .close = texts_close,
    .reduce = texts_reduce,
    .value = texts_value,
    .write = texts_write};

static int32_t init(qd_self *self, const qd_host *host, qd_err *err)
{
    return host->provide(self, QD_KIND_AGGREGATION, "texts", &vtable, err);
}
static const qd_plugin plugin = {
    QD_PLUGIN_HEAD(0), "test-texts", "1.0.0", "", QD_BUILD_ID, NULL, NULL, init, NULL, NULL};

/* --- naively ---------------------------------------------------------------------------------- */

static bool one_each; /* every document has one string */

static void make(lib *l, lib_doc *d, uint32_t i)
{
    (void)i;
    *d = (lib_doc){.nk = one_each ? 1 : (uint32_t)lib_random(l, 4),
                   .nn = (uint32_t)lib_random(l, 3)};
    for (uint32_t j = 0; j < d->nk; j++)
        snprintf(d->k[j], sizeof d->k[j], "%u-%u", j & 3, (unsigned)lib_random(l, 300) & 511);
    for (uint32_t j = 0; j < d->nn; j++)
        d->n[j] = (j ? d->n[j - 1] + 1 : 0) + (int64_t)lib_random(l, 5);
    d->s = (int64_t)lib_random(l, 1000);
    d->b = (int64_t)lib_random(l, 2);
}

enum { ALL, NUMBER };

/* Of the documents with s of lo to hi, or those of them with number n; missing NULL: none. */
static sums naive(const lib *l, int64_t lo, int64_t hi, int by, int64_t n, const char *missing)
{
    sums all = {0};
    for (uint32_t i = 0; i < l->n; i++) {
        const lib_doc *d = &l->docs[i];
        bool in = d->live && d->s >= lo && d->s <= hi, has = by == ALL;
        for (uint32_t j = 0; j < d->nn; j++) has |= d->n[j] == n;
        if (!in || !has) continue;
        for (uint32_t j = 0; j < d->nk; j++) all.hash += hash(d->k[j], strlen(d->k[j]));
        if (!d->nk && missing) all.hash += hash(missing, strlen(missing));
        all.count += d->nk ? d->nk : missing != NULL;
        all.documents += d->nk || missing;
    }
    return all;
}

static void same(const qd_json_node *of, sums wanted)
{
    static const char *const names[] = {"count", "documents", "hash"};
    const uint64_t all[] = {wanted.count, wanted.documents, wanted.hash};
    for (uint32_t i = 0; i < 3; i++) {
        uint64_t found = 0;
        assert_true(qd_str_u64(qd_json_get(of, names[i])->text, &found));
        if (found != all[i])
            fail_msg("%s: %llu, wanted %llu", names[i], (unsigned long long)found,
                     (unsigned long long)all[i]);
    }
}

static qd_json_node *run(lib *l, const char *text, int64_t lo, int64_t hi, qd_buf *out)
{
    qd_json_node *root;
    int rc = lib_run(l, text, lo, hi, out);
    if (rc) fail_msg("%s: %s", text, qd_err_reason(&l->err));
    assert_int_equal(qd_json_parse(&l->arena, qd_buf_view(out), 0, &root, &l->err), 0);
    return root;
}

static void check(lib *l, qd_buf *out)
{
    static const int64_t from[] = {INT64_MIN, 300, 2000}, to[] = {INT64_MAX, 320, 3000};
    for (uint32_t i = 0; i < QD_COUNT_OF(from); i++) {
        int64_t lo = from[i], hi = to[i];
        l->wire = i & 1;
        same(qd_json_get(run(l, "{\"a\":{\"texts\":{\"field\":\"k\"}}}", lo, hi, out), "a"),
             naive(l, lo, hi, ALL, 0, NULL));
        same(qd_json_get(
                 run(l, "{\"a\":{\"texts\":{\"field\":\"k\",\"missing\":\"none\"}}}", lo, hi, out),
                 "a"),
             naive(l, lo, hi, ALL, 0, "none"));
        same(
            qd_json_get(
                run(l, "{\"a\":{\"texts\":{\"field\":\"k\",\"missing\":\"\"}}}", lo, hi, out), "a"),
            naive(l, lo, hi, ALL, 0, ""));
        same(qd_json_get(run(l, "{\"a\":{\"texts\":{\"field\":\"nowhere\"}}}", lo, hi, out), "a"),
             (sums){0});
        const qd_json_node *b =
            qd_json_get(qd_json_get(run(l,
                                        "{\"o\":{\"terms\":{\"field\":\"n\",\"size\":40,\"order\":"
                                        "{\"a\":\"desc\"}},\"aggs\":{\"a\":{\"texts\":{"
                                        "\"field\":\"k\"}}}}}",
                                        lo, hi, out),
                                    "o"),
                        "buckets");
        for (b = b->first; b; b = b->next) {
            int64_t n = 0;
            assert_true(qd_str_i64(qd_json_get(b, "key")->text, &n));
            same(qd_json_get(b, "a"), naive(l, lo, hi, NUMBER, n, NULL));
        }
    }
}

static void blocks_are_the_documents(void **state)
{
    static const uint32_t sizes[] = {1, 500, 6000, 240000};
    qd_plugin_host *h;
    qd_plugin_host_config c = {.env = qd_env_system()};
    qd_buf out;
    (void)state;
    assert_int_equal(qd_plugin_host_open(&c, &h, NULL), 0);
    assert_int_equal(qd_plugin_builtin(h, &plugin, NULL), 0);
    assert_int_equal(qd_plugin_host_load(h, NULL), 0);
    qd_buf_init(&out, NULL, 1 << 26);
    for (uint32_t i = 0; i < 2 * QD_COUNT_OF(sizes); i++) {
        lib l;
        one_each = i & 1;
        lib_begin(&l, 40 + i, sizes[i / 2], sizes[i / 2] > 10 ? 9 : 0, make);
        l.host = h;
        check(&l, &out);
        blocks = texts = pairs = 0;
        run(&l, "{\"a\":{\"texts\":{\"field\":\"k\"}}}", INT64_MIN, INT64_MAX, &out);
        if (sizes[i / 2] > 200000) { /* several blocks a shard; each string once a segment */
            assert_in_range(blocks, LIB_SHARDS * (one_each ? 1 : 2), 3 * LIB_SHARDS);
            assert_in_range(texts, 1, pairs / 10);
        }
        qd_buf_fini(&l.last);
        lib_end(&l);
    }
    qd_buf_fini(&out);
    qd_plugin_host_close(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(blocks_are_the_documents)};
    return unit_run(tests);
}
