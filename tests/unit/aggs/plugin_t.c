/*
 * plugin_t.c: buckets of plugins. Where each value is its own key the answers are those of terms,
 * whatever stands above and below; values of several keys, or none, are counted as a naive count
 * says; what a plugin must not give back is an error that names it.
 */
#include "plugin/host.h"
#include "unit/lib/aggs_lib.h"
#include "json/reader.h"
#include <math.h>
#include <quidditch/aggregation.h>
#include <quidditch/plugin.h>

/* --- the plugin ------------------------------------------------------------------------------- */

typedef enum mode {
    SAME,
    TWO,
    BEYOND,
    TOO_MANY,
    NO_PROGRESS,
    TOO_FAR,
    FALLING,
    NAN_KEY,
    LONG,
    CROWD,
    FAILS
} mode;
static const char *const modes[] = {"same",        "two",     "beyond",  "too_many",
                                    "no_progress", "too_far", "falling", "nan",
                                    "long",        "crowd",   "fails"};
static uint32_t calls;

struct qd_aggregation_collector {
    mode mode;
    char (*texts)[16];
};

static int32_t keys_parse(const qd_aggregation_ctx *ctx, qd_json_in *in, const void **out,
                          qd_err *err)
{
    qd_json_reader *r = (qd_json_reader *)(void *)in;
    mode *m = qd_arena_calloc(ctx->arena, sizeof *m);
    *out = m;
    if (!m || qd_json_next(r) != QD_JSON_OBJECT) return qd_err_set(err, QD_E_PARSE, "no object");
    int ev;
    while ((ev = qd_json_next(r)) == QD_JSON_KEY) {
        bool ours = qd_str_is(r->text, "mode");
        if (!ours && !qd_aggregation_bucket_member(r->text))
            return qd_err_set(err, QD_E_PARSE, "unknown parameter");
        if (!ours && qd_json_skip(r)) return qd_json_fail(r, err);
        if (!ours) continue;
        if (qd_json_next(r) != QD_JSON_STRING) return qd_err_set(err, QD_E_PARSE, "no mode");
        for (uint32_t i = 0; i < QD_COUNT_OF(modes); i++)
            if (qd_str_is(r->text, modes[i])) *m = (mode)i;
    }
    return ev < 0 ? qd_json_fail(r, err) : 0;
}

static int32_t keys_open(const qd_aggregation_ctx *ctx, const void *params,
                         qd_aggregation_collector **out, qd_err *err)
{
    (void)ctx;
    *out = qd_calloc(NULL, sizeof **out);
    if (!*out) return qd_err_nomem(err, "collector");
    (*out)->mode = *(const mode *)params;
    (*out)->texts = qd_calloc(NULL, 2 * 65536 * sizeof *(*out)->texts);
    return (*out)->texts ? 0 : qd_err_nomem(err, "collector");
}

static void keys_close(qd_aggregation_collector *c)
{
    if (c) qd_free(c->texts);
    qd_free(c);
}

/* The key of value i in place k. */
static void same_key(const qd_aggregation_values *v, uint32_t i, qd_aggregation_keys *o, uint32_t k)
{
    o->of[k] = i;
    if (v->type == QD_AGGREGATION_I64)
        o->i64[k] = v->i64[i];
    else if (v->type == QD_AGGREGATION_F64)
        o->f64[k] = v->f64[i];
    else
        o->text[k] = v->text[i];
}

/* Of a number its last digit, and 100 and its rest by 3; of a text its last byte and its first.
 * Those whose last digit is 7 have no key. */
static void two_keys(qd_aggregation_collector *c, const qd_aggregation_values *v,
                     qd_aggregation_keys *o)
{
    uint32_t most = o->room / 3; /* stops early, and is called again */
    for (o->done = 0; o->done < v->n && o->done < most; o->done++) {
        uint32_t i = o->done;
        char last, first;
        if (v->type == QD_AGGREGATION_TEXT) {
            last = v->text[i].p[v->text[i].n - 1];
            first = v->text[i].p[0];
            if (last == '7') continue;
            for (uint32_t k = 0; k < 2; k++) {
                c->texts[o->n][0] = k ? first : last;
                o->text[o->n] = (qd_str){c->texts[o->n], 1};
                o->of[o->n++] = i;
            }
        } else {
            int64_t n = v->i64[i] < 0 ? -(v->i64[i] + 1) : v->i64[i];
            if (n % 10 == 7) continue;
            o->i64[o->n] = n % 10;
            o->of[o->n++] = i;
            o->i64[o->n] = 100 + n % 3;
            o->of[o->n++] = i;
        }
    }
}

static int32_t keys_keys(qd_aggregation_collector *c, const qd_aggregation_values *v,
                         qd_aggregation_keys *o, qd_err *err)
{
    static char long_text[QD_AGGREGATION_TEXT_MAX + 1];
    (void)err;
    calls++;
    assert_true(o->room >= QD_AGGREGATION_KEYS_MAX && o->n == 0 && o->done == 0);
    if (c->mode == TWO) {
        two_keys(c, v, o);
        return 0;
    }
    uint32_t n = v->n < o->room ? v->n : o->room;
    for (uint32_t i = 0; i < n; i++) same_key(v, i, o, i);
    o->n = o->done = n;
    if (c->mode == BEYOND) o->of[n - 1] = n;
    if (c->mode == TOO_MANY) o->n = o->room + 1;
    if (c->mode == NO_PROGRESS) o->n = o->done = 0;
    if (c->mode == TOO_FAR) o->done = v->n + 1;
    if (c->mode == FALLING && n > 1) o->of[0] = n - 1;
    if (c->mode == NAN_KEY) o->f64[0] = NAN;
    if (c->mode == LONG) o->text[0] = (qd_str){long_text, sizeof long_text};
    for (uint32_t i = 0; c->mode == CROWD && i < o->room; i++) same_key(v, 0, o, i);
    if (c->mode == CROWD) o->n = o->room;
    return c->mode == FAILS ? 77 : 0;
}

#define TABLE                                                                                      \
    QD_VTABLE(qd_aggregation_vtable, AGGREGATION, QD_AGGREGATION_BUCKETS | QD_AGGREGATION_TEXTS)
static qd_aggregation_vtable vtable = {.head = TABLE,
                                       .result_version = 1,
                                       .parse = keys_parse,
                                       .open = keys_open,
                                       .close = keys_close,
                                       .keys = keys_keys};

static int32_t init(qd_self *self, const qd_host *host, qd_err *err)
{
    return host->provide(self, QD_KIND_AGGREGATION, "values", &vtable, err);
}
static const qd_plugin plugin = {
    QD_PLUGIN_HEAD(0), "test-values", "1.0.0", "", QD_BUILD_ID, NULL, NULL, init, NULL, NULL};

static qd_plugin_host *host_of(void)
{
    qd_plugin_host *h;
    qd_plugin_host_config c = {.env = qd_env_system()};
    assert_int_equal(qd_plugin_host_open(&c, &h, NULL), 0);
    assert_int_equal(qd_plugin_builtin(h, &plugin, NULL), 0);
    assert_int_equal(qd_plugin_host_load(h, NULL), 0);
    return h;
}

/* --- as terms --------------------------------------------------------------------------------- */

enum { SPARSE = 1, SEVERAL_VALUES = 2, WIDE = 4 };
static uint32_t shape;

static void make(lib *l, lib_doc *d, uint32_t i)
{
    bool several = shape & SEVERAL_VALUES;
    *d = (lib_doc){.nk = several ? (uint32_t)lib_random(l, 4) : 1,
                   .nn = several ? (uint32_t)lib_random(l, 4) : 1};
    for (uint32_t j = 0; j < d->nk; j++)
        snprintf(d->k[j], sizeof d->k[j], "%u%02u", j & 3, (unsigned)lib_random(l, 40) & 63);
    for (uint32_t j = 0; j < d->nn; j++)
        d->n[j] = (shape & WIDE ? (int64_t)lib_random(l, 0) : (int64_t)lib_random(l, 5)) +
                  (j              ? d->n[j - 1]
                   : shape & WIDE ? INT64_MIN / 2
                                  : 0);
    if (shape & WIDE && d->nn > 1) d->nn = 1;
    d->has_d = !(shape & SPARSE) || lib_random(l, 5);
    d->d = (double)lib_random(l, shape & WIDE ? 0 : 50) / 4 - 3;
    d->s = (int64_t)lib_random(l, 1000);
    d->has_t = !(shape & SPARSE) || lib_random(l, 4);
    d->t = 1600000000000 + (int64_t)(i % 50) * 86400000;
    d->b = (int64_t)lib_random(l, 2);
}

static const char *const bodies[] = {
    "\"field\":\"k\"",
    "\"field\":\"k\",\"size\":1000",
    "\"field\":\"k\",\"size\":5,\"shard_size\":7,\"missing\":\"none\"",
    "\"field\":\"k\",\"size\":9,\"order\":{\"_key\":\"desc\"},\"min_doc_count\":20",
    "\"field\":\"k\",\"size\":9,\"order\":{\"_count\":\"asc\"}",
    "\"field\":\"n\",\"size\":20",
    "\"field\":\"n\",\"missing\":3",
    "\"field\":\"n\",\"missing\":3.5,\"size\":6",
    "\"field\":\"s\",\"size\":15,\"order\":{\"_key\":\"asc\"}",
    "\"field\":\"d\",\"format\":\"0.00\"",
    "\"field\":\"d\",\"missing\":-1.5,\"size\":60",
    "\"field\":\"t\",\"format\":\"yyyy-MM-dd\",\"size\":60",
    "\"field\":\"b\"",
    "\"field\":\"ip\",\"missing\":\"::1\"",
    "\"field\":\"nowhere\"",
    "\"field\":\"nowhere\",\"missing\":\"x\"",
};
static const char *const belows[] = {
    "",
    ",\"aggs\":{\"x\":{\"avg\":{\"field\":\"s\"}},\"y\":{\"terms\":{\"field\":\"k\",\"size\":3}}}",
    ",\"aggs\":{\"x\":{\"%s\":{\"field\":\"n\",\"size\":3}},\"z\":{\"filter\":{\"term\":{\"b\":"
    "true}},"
    "\"aggs\":{\"q\":{\"%s\":{\"field\":\"k\",\"size\":2}}}}}",
};
static const char *const aboves[] = {
    "{\"a\":%s}",
    "{\"f\":{\"filters\":{\"filters\":{\"x\":{\"match_all\":{}}}},\"aggs\":{\"a\":%s}}}",
    "{\"o\":{\"terms\":{\"field\":\"k\",\"size\":4},\"aggs\":{\"a\":%s}}}",
};

/* Body b, with what stands below and above, of a type. */
static const char *request(uint32_t b, uint32_t below, uint32_t above, const char *type,
                           char out[2048])
{
    char inner[1024], under[512];
    snprintf(under, sizeof under, belows[below], type, type);
    snprintf(inner, sizeof inner, "{\"%s\":{%s}%s}", type, bodies[b], under);
    snprintf(out, 2048, aboves[above], inner);
    return out;
}

static void compare(lib *l, qd_buf *theirs, qd_buf *ours)
{
    char text[2048];
    for (uint32_t b = 0; b < QD_COUNT_OF(bodies); b++)
        for (uint32_t below = 0; below < QD_COUNT_OF(belows); below++)
            for (uint32_t above = 0; above < QD_COUNT_OF(aboves); above++) {
                l->wire = (b + below) & 1;
                int64_t lo = above == 1 ? 200 : INT64_MIN, hi = above == 1 ? 700 : INT64_MAX;
                assert_int_equal(lib_run(l, request(b, below, above, "terms", text), lo, hi, ours),
                                 0);
                int rc = lib_run(l, request(b, below, above, "values", text), lo, hi, theirs);
                if (rc) fail_msg("%s: %s", text, qd_err_reason(&l->err));
                if (!qd_str_eq(qd_buf_view(theirs), qd_buf_view(ours)))
                    fail_msg("%s\n%.*s\n%.*s", text, QD_STR_ARG(qd_buf_view(theirs)),
                             QD_STR_ARG(qd_buf_view(ours)));
            }
}

static void values_are_terms(void **state)
{
    qd_plugin_host *h = host_of();
    qd_buf theirs, ours;
    (void)state;
    qd_buf_init(&theirs, NULL, 1 << 26);
    qd_buf_init(&ours, NULL, 1 << 26);
    for (shape = 0; shape < 8; shape++) {
        lib l;
        lib_begin(&l, 40 + shape, 5000, shape & SPARSE ? 9 : 0, make);
        l.host = h;
        calls = 0;
        compare(&l, &theirs, &ours);
        assert_true(calls > 0);
        qd_buf_fini(&l.last);
        lib_end(&l);
    }
    qd_buf_fini(&theirs);
    qd_buf_fini(&ours);
    qd_plugin_host_close(h);
}

/* More different numbers than a shard remembers (262,144): in shard 1 nearly all differ from the
 * start, in shard 2 those behind many that repeat do; the last segment of shard 1 is narrow. */
static void make_many(lib *l, lib_doc *d, uint32_t i)
{
    uint32_t part = 0, parts = LIB_SHARDS * LIB_SEGMENTS;
    while (part + 1 < parts && i >= (uint64_t)l->n * (part + 1) * (part + 1) / (parts * parts))
        part++;
    bool repeat = part == 6 || part == 7;
    uint64_t range = part == 5 ? 15000 : repeat ? 25000 : 1u << 30;
    int64_t step = part == 5 ? 15000 : 4000000000;
    *d = (lib_doc){.nk = 1, .nn = 4, .has_d = true};
    for (uint32_t j = 0; j < d->nn; j++) d->n[j] = (int64_t)lib_random(l, range) + j * step;
    snprintf(d->k[0], sizeof d->k[0], "k%u", i / 2);
    d->d = (double)lib_random(l, (uint64_t)1 << 40);
    d->s = (int64_t)lib_random(l, 2000);
}

static void many_values_are_terms(void **state)
{
    static const char above[] =
        "{\"f\":{\"filters\":{\"filters\":{\"x\":{\"match_all\":{}}}},\"aggs\":";
    static const char max[] = ",\"aggs\":{\"m\":{\"max\":{\"field\":\"s\"}}}";
    static const struct {
        const char *field, *above, *below;
    } all[] = {{"n", "", ""},  {"n", "", max},   {"n", above, max}, {"d", "", ""},
               {"d", "", max}, {"d", above, ""}, {"k", "", max}};
    qd_plugin_host *h = host_of();
    qd_buf out[2];
    lib l;
    (void)state;
    for (uint32_t i = 0; i < 2; i++) qd_buf_init(&out[i], NULL, 1 << 26);
    lib_begin(&l, 78, 490000, 0, make_many);
    l.host = h;
    for (uint32_t i = 0; i < QD_COUNT_OF(all); i++) {
        char text[512];
        for (uint32_t k = 0; k < 2; k++) {
            calls = 0;
            snprintf(text, sizeof text, "%s{\"a\":{\"%s\":{\"field\":\"%s\",\"size\":5000}%s}}%s",
                     all[i].above, k ? "values" : "terms", all[i].field, all[i].below,
                     *all[i].above ? "}}" : "");
            int rc = lib_run(&l, text, INT64_MIN, INT64_MAX, &out[k]);
            if (rc) fail_msg("%s: %s", text, qd_err_reason(&l.err));
        }
        if (!qd_str_eq(qd_buf_view(&out[0]), qd_buf_view(&out[1]))) fail_msg("%s", text);
        assert_in_range(calls, 1, 2000);
    }
    qd_buf_fini(&l.last);
    lib_end(&l);
    for (uint32_t i = 0; i < 2; i++) qd_buf_fini(&out[i]);
    qd_plugin_host_close(h);
}

/* --- several keys ----------------------------------------------------------------------------- */

/* Documents of key k by a naive count: texts by their byte, numbers by their number. */
static uint64_t naive(const lib *l, bool texts, int64_t k)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < l->n; i++) {
        const lib_doc *d = &l->docs[i];
        bool has = false;
        for (uint32_t j = 0; texts && j < d->nk; j++) {
            char last = d->k[j][strlen(d->k[j]) - 1];
            has |= last != '7' && (last == k || d->k[j][0] == k);
        }
        for (uint32_t j = 0; !texts && j < d->nn; j++) {
            int64_t v = d->n[j] < 0 ? -(d->n[j] + 1) : d->n[j];
            has |= v % 10 != 7 && (v % 10 == k || 100 + v % 3 == k);
        }
        n += d->live && has;
    }
    return n;
}

static void documents_are_counted_once(void **state)
{
    qd_plugin_host *h = host_of();
    qd_buf out;
    (void)state;
    qd_buf_init(&out, NULL, 1 << 26);
    for (shape = 0; shape < 8; shape++)
        for (uint32_t i = 0; i < 4; i++) {
            bool texts = i & 1, child = i & 2; /* which gets each document of a bucket */
            lib l;
            char text[256];
            qd_json_node *root;
            lib_begin(&l, 90 + shape, 6000, 5, make);
            l.host = h;
            snprintf(text, sizeof text,
                     "{\"a\":{\"values\":{\"field\":\"%s\",\"size\":999,\"mode\":\"two\"}%s}}",
                     texts ? "k" : "n",
                     child ? ",\"aggs\":{\"c\":{\"value_count\":{\"field\":\"s\"}}}" : "");
            assert_int_equal(lib_run(&l, text, INT64_MIN, INT64_MAX, &out), 0);
            assert_int_equal(qd_json_parse(&l.arena, qd_buf_view(&out), 0, &root, &l.err), 0);
            uint32_t seen = 0;
            for (const qd_json_node *b = qd_json_get(qd_json_get(root, "a"), "buckets")->first; b;
                 b = b->next, seen++) {
                qd_str key = qd_json_get(b, "key")->text;
                int64_t k = key.p[0], docs;
                if (!texts) assert_int_equal(qd_i64_parse(key, &k), 0);
                assert_int_equal(qd_i64_parse(qd_json_get(b, "doc_count")->text, &docs), 0);
                assert_int_equal(docs, naive(&l, texts, k));
                if (!child) continue;
                qd_str given = qd_json_get(qd_json_get(b, "c"), "value")->text;
                assert_int_equal(qd_i64_parse(given, &docs), 0);
                assert_int_equal(docs, naive(&l, texts, k));
            }
            uint32_t wanted = 0;
            for (int64_t k = 0; k < 128; k++) wanted += naive(&l, texts, k) > 0;
            assert_int_equal(seen, wanted);
            qd_buf_fini(&l.last);
            lib_end(&l);
        }
    qd_buf_fini(&out);
    qd_plugin_host_close(h);
}

/* --- what is refused -------------------------------------------------------------------------- */

static void what_is_wrong_is_told(void **state)
{
    static const struct {
        const char *mode, *field, *what;
    } all[] = {
        {"beyond", "s", "keys gave value number"},
        {"too_many", "s", "keys gave a number of keys"},
        {"no_progress", "k", "keys mapped no value, with room for"},
        {"too_far", "d", "keys gave a number of values"},
        {"falling", "k", "keys gave value number"},
        {"nan", "d", "keys gave a key that is no number"},
        {"long", "k", "keys gave a text of length 32767, at most 32766 is allowed"},
        {"crowd", "n", "keys gave to a value a number of keys of 1025, at most 1024"},
        {"fails", "n", "keys failed with the unknown code 77"},
    };
    qd_plugin_host *h = host_of();
    qd_buf out;
    lib l;
    (void)state;
    qd_buf_init(&out, NULL, 1 << 26);
    shape = WIDE;
    lib_begin(&l, 5, 30000, 0, make);
    l.host = h;
    for (uint32_t i = 0; i < QD_COUNT_OF(all); i++) {
        char text[256];
        snprintf(text, sizeof text, "{\"a\":{\"values\":{\"field\":\"%s\",\"mode\":\"%s\"}}}",
                 all[i].field, all[i].mode);
        int rc = lib_run(&l, text, INT64_MIN, INT64_MAX, &out);
        const char *reason = qd_err_reason(&l.err);
        if (rc >= 0 || !strstr(reason, all[i].what) || !strstr(reason, "[values]") ||
            !strstr(reason, "[test-values]"))
            fail_msg("%s: %d %s", all[i].mode, rc, reason);
    }
    lib_refuse(&l, "{\"a\":{\"values\":{\"field\":\"k\",\"min_doc_count\":0}}}", QD_E_XCONTENT,
               "[1:45] [values] failed to parse field [min_doc_count]");
    qd_buf_fini(&l.last);
    lib_end(&l);
    qd_buf_fini(&out);
    qd_plugin_host_close(h);
}

/* Partial results are not trusted, and those of another version are refused by name. */
static void results_are_not_trusted(void **state)
{
    static const char text[] = "{\"a\":{\"values\":{\"field\":\"k\"},\"aggs\":{\"b\":{\"values\":"
                               "{\"field\":\"n\"}}}}}";
    qd_plugin_host *h = host_of();
    qd_buf out;
    lib l;
    (void)state;
    qd_buf_init(&out, NULL, 1 << 26);
    shape = SEVERAL_VALUES;
    lib_begin(&l, 6, 600, 0, make);
    l.host = h;
    l.wire = true;
    for (l.damage = 1; l.damage < 1500; l.damage++)
        (void)lib_run(&l, text, INT64_MIN, INT64_MAX, &out);
    l.damage = 0;
    assert_int_equal(lib_run(&l, text, INT64_MIN, INT64_MAX, &out), 0);
    qd_buf_fini(&l.last);
    lib_end(&l);
    qd_buf_fini(&out);
    qd_plugin_host_close(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_terms),           cmocka_unit_test(many_values_are_terms),
        cmocka_unit_test(documents_are_counted_once), cmocka_unit_test(what_is_wrong_is_told),
        cmocka_unit_test(results_are_not_trusted),
    };
    return unit_run(tests);
}
