/*
 * aggregation_t.c: the suite of the aggregation kind: a sound aggregation passes, and each of its
 * broken variants is found by the test that is there for it.
 */
#include "base/str.h"
#include "plugin/conform.h"
#include "unit/lib/conform_found.h"
#include "unit/unit.h"
#include "json/reader.h"
#include "json/writer.h"
#include <math.h>
#include <quidditch/aggregation.h>

/* What is broken. */
static enum {
    NOTHING,
    OWNERS,
    LAST_PART,
    ORDER,
    CUT,
    ROOM,
    FORGETS,
    UNKNOWN,
    EMPTY,
    NUMBERS, /* of strings count, not the strings */
    TWICE,   /* a document counts again in the next block */
    NO_TYPE
} broken;

struct qd_aggregation_collector {
    double sum[8];
    uint64_t n[8];
    uint32_t last[8];
};

/* Of strings: their lengths and first bytes, and documents. */
static int32_t collect_texts(qd_aggregation_collector *c, const qd_aggregation_block *b)
{
    for (uint32_t i = 0; i < b->n; i++) {
        uint32_t o = b->owner && broken != OWNERS ? b->owner[i] : 0, of = b->text_of[i];
        c->sum[o] += broken == NUMBERS ? of : (double)(b->text[of].n * 1000 + *b->text[of].p);
        c->n[o] += !c->n[o] || c->last[o] != b->doc[i] || (broken == TWICE && i == 0);
        c->last[o] = b->doc[i];
    }
    return 0;
}

static int32_t agg_parse(const qd_aggregation_ctx *ctx, qd_json_in *in, const void **out,
                         qd_err *err)
{
    qd_json_reader *r = (qd_json_reader *)(void *)in;
    (void)ctx;
    *out = NULL;
    int ev = qd_json_next(r);
    if (ev != QD_JSON_OBJECT)
        return ev < 0 ? qd_json_fail(r, err) : qd_err_set(err, QD_E_PARSE, "no object");
    while ((ev = qd_json_next(r)) == QD_JSON_KEY) {
        if (broken != UNKNOWN && !qd_aggregation_host_member(r->text))
            return qd_err_set(err, QD_E_PARSE, "unknown parameter");
        if (qd_json_skip(r)) return qd_json_fail(r, err);
    }
    return ev < 0 ? qd_json_fail(r, err) : 0;
}

static int32_t agg_open(const qd_aggregation_ctx *ctx, const void *params,
                        qd_aggregation_collector **out, qd_err *err)
{
    (void)ctx, (void)params;
    *out = qd_calloc(NULL, sizeof **out);
    return *out ? 0 : qd_err_nomem(err, "collector");
}

static int32_t agg_collect(qd_aggregation_collector *c, const qd_aggregation_block *b, qd_err *err)
{
    (void)err;
    if (broken == FORGETS) memset(c, 0, sizeof *c);
    if (broken == NO_TYPE) return qd_err_set(err, QD_E_ARG, "no");
    if (b->text) return collect_texts(c, b);
    for (uint32_t i = 0; i < b->n; i++) {
        uint32_t o = b->owner && broken != OWNERS ? b->owner[i] : 0;
        c->sum[o] += b->value[i];
        c->n[o]++;
    }
    return 0;
}

static int32_t agg_result(qd_aggregation_collector *c, uint32_t owner, qd_aggregation_bytes *out,
                          qd_err *err)
{
    (void)err;
    if (owner >= 8) owner = broken == EMPTY ? 0 : 7;
    if (!c->n[owner]) return 0;
    memcpy(out->p, &c->sum[owner], 8);
    memcpy(out->p + 8, &c->n[owner], 8);
    if (broken == ROOM) out->p[out->room] = 0;
    out->n = 16;
    return 0;
}

static void agg_close(qd_aggregation_collector *c)
{
    qd_free(c);
}

static int32_t agg_reduce(const qd_aggregation_ctx *ctx, const void *params, const qd_str *results,
                          uint32_t n, qd_aggregation_bytes *out, qd_err *err)
{
    double sum = 0, s;
    uint64_t count = 0, k;
    (void)ctx, (void)params;
    for (uint32_t i = 0; i < n; i++) {
        if (results[i].n != 16 && broken != CUT) return qd_err_set(err, QD_E_CORRUPT, "cut");
        if (results[i].n != 16) continue;
        memcpy(&s, results[i].p, 8);
        memcpy(&k, results[i].p + 8, 8);
        sum = broken == ORDER ? sum / 2 + s : sum + s;
        count += k;
        if (broken == LAST_PART && i) sum = s;
    }
    memcpy(out->p, &sum, 8);
    memcpy(out->p + 8, &count, 8);
    out->n = 16;
    return 0;
}

static int32_t agg_value(const qd_aggregation_ctx *ctx, const void *params, qd_str result,
                         uint32_t member, double *out, qd_err *err)
{
    double sum;
    uint64_t n;
    (void)ctx, (void)params;
    if (result.n != 16) return qd_err_set(err, QD_E_CORRUPT, "cut");
    memcpy(&sum, result.p, 8);
    memcpy(&n, result.p + 8, 8);
    *out = member ? (double)n : sum;
    return 0;
}

static const qd_aggregation_vtable vtable = {.head =
                                                 QD_VTABLE(qd_aggregation_vtable, AGGREGATION, 0),
                                             .result_max = 16,
                                             .result_version = 1,
                                             .members = "sum,count",
                                             .parse = agg_parse,
                                             .open = agg_open,
                                             .collect = agg_collect,
                                             .result = agg_result,
                                             .close = agg_close,
                                             .reduce = agg_reduce,
                                             .value = agg_value};

static qd_aggregation_vtable texts_table(void)
{
    qd_aggregation_vtable t = vtable;
    t.head.flags = QD_AGGREGATION_TEXTS;
    return t;
}

static void show(void *arg, const char *text)
{
    qd_buf_printf(arg, "%s\n", text);
}

static uint32_t check(const qd_aggregation_vtable *vt, qd_buf *out)
{
    const qd_pair sample = {QD_STR("aggregation"), QD_STR("{\"field\": \"n\"}")};
    qd_conform_run run;
    qd_buf_init(out, NULL, 1 << 20);
    qd_conform_begin(&run, qd_env_system(), NULL, QD_STR("/nowhere"), &sample, 1, show, out);
    qd_conform_kind(&run, QD_KIND_AGGREGATION, "sums", vt);
    return qd_conform_end(&run);
}

static void a_sound_aggregation_passes(void **state)
{
    (void)state;
    qd_buf out;
    broken = NOTHING;
    uint32_t failures = check(&vtable, &out);
    if (failures) print_message("%s\n", out.p);
    assert_int_equal(failures, 0);
    qd_buf_fini(&out);
}

static void broken_ones_are_found(void **state)
{
    static const struct {
        unsigned how;
        const char *test;
    } all[] = {{OWNERS, "owners are kept apart"},       {LAST_PART, "reducing is collecting"},
               {ORDER, "reducing is collecting"},       {CUT, "damaged results are errors"},
               {ROOM, "owners are kept apart"},         {FORGETS, "owners are kept apart"},
               {UNKNOWN, "broken requests are errors"}, {EMPTY, "owners are kept apart"}};
    (void)state;
    for (size_t i = 0; i < QD_COUNT_OF(all); i++) {
        qd_buf out;
        broken = all[i].how;
        unit_may_leak(true);
        uint32_t failures = check(&vtable, &out);
        unit_may_leak(false);
        assert_true(failures > 0);
        bool found = conform_found(&out, all[i].test);
        if (!found) print_message("variant %u:\n%s\n", all[i].how, out.p);
        assert_true(found);
        qd_buf_fini(&out);
    }
    qd_aggregation_vtable large = vtable;
    large.result_max = QD_AGGREGATION_RESULT_MAX + 1;
    qd_buf out;
    broken = NOTHING;
    assert_true(check(&large, &out) > 0);
    assert_non_null(strstr(out.p, "not ok"));
    qd_buf_fini(&out);
}

static void sound_strings_pass(void **state)
{
    const qd_aggregation_vtable t = texts_table();
    (void)state;
    qd_buf out;
    broken = NOTHING;
    uint32_t failures = check(&t, &out);
    if (failures) print_message("%s\n", out.p);
    assert_int_equal(failures, 0);
    assert_non_null(strstr(out.p, "strings count, not where they stand"));
    assert_non_null(strstr(out.p, " - reducing is collecting")); /* numbers, too */
    qd_buf_fini(&out);
}

static void broken_strings_are_found(void **state)
{
    static const struct {
        unsigned how;
        const char *test;
    } all[] = {{OWNERS, "owners of strings are kept apart"},
               {LAST_PART, "reducing strings is collecting"},
               {CUT, "damaged results of strings are errors"},
               {FORGETS, "owners of strings are kept apart"},
               {NUMBERS, "strings count, not where they stand"},
               {TWICE, "strings count, not where they stand"},
               {NO_TYPE, "some type of values is taken"}};
    const qd_aggregation_vtable t = texts_table();
    (void)state;
    for (size_t i = 0; i < QD_COUNT_OF(all); i++) {
        qd_buf out;
        broken = all[i].how;
        unit_may_leak(true);
        uint32_t failures = check(&t, &out);
        unit_may_leak(false);
        bool found = failures > 0 && conform_found(&out, all[i].test);
        if (!found) print_message("variant %u:\n%s\n", all[i].how, out.p);
        assert_true(found);
        qd_buf_fini(&out);
    }
}

/* --- buckets ---------------------------------------------------------------------------------- */

static enum {
    SOUND,
    PLACE,
    CALLS,
    FALLING,
    OVER,
    STUCK,
    NANS,
    FORGETFUL,
    SHARED,
    CROWDED,
    REFUSES,
    UNNAMED,  /* members: one that the table does not name */
    REPEATED, /* one twice */
    HALF,     /* a name without a value */
    LARGE
} wrong;

struct keys_collector {
    uint32_t calls;
    char texts[4096][4];
};

static int32_t keys_open(const qd_aggregation_ctx *ctx, const void *params,
                         qd_aggregation_collector **out, qd_err *err)
{
    (void)ctx, (void)params;
    struct keys_collector *c = qd_calloc(NULL, sizeof *c);
    *out = (qd_aggregation_collector *)(void *)c;
    return c ? 0 : qd_err_nomem(err, "collector");
}

/* A text: its first and its last byte, unless the latter is 3; a number: itself. */
static int32_t keys_keys(qd_aggregation_collector *collector, const qd_aggregation_values *v,
                         qd_aggregation_keys *o, qd_err *err)
{
    static char shared[4096][4];
    struct keys_collector *c = (struct keys_collector *)(void *)collector;
    char(*texts)[4] = wrong == SHARED ? shared : c->texts;
    c->calls++;
    if (wrong == REFUSES) return qd_err_set(err, QD_E_ARG, "no");
    for (; o->done < v->n && o->n + 2 <= o->room; o->done++) {
        uint32_t i = o->done;
        if (v->type == QD_AGGREGATION_TEXT) {
            char last = v->text[i].p[v->text[i].n - 1];
            for (uint32_t k = 0; k < 2 && last != '3'; k++) {
                texts[o->n][0] = k ? last : v->text[i].p[0];
                o->text[o->n] = (qd_str){texts[o->n], 1};
                o->of[o->n++] = i;
            }
            continue;
        }
        if (wrong == FORGETFUL && i > 100) continue;
        if (v->type == QD_AGGREGATION_I64)
            o->i64[o->n] = v->i64[i] + (wrong == PLACE ? i : 0) + (wrong == CALLS ? c->calls : 0);
        else
            o->f64[o->n] = wrong == NANS ? (double)NAN : v->f64[i];
        o->of[o->n++] = i;
    }
    if (wrong == OVER && o->n >= o->room - 1) o->of[o->room] = 0;
    if (wrong == STUCK) o->done = o->n = 0;
    if (wrong == FALLING && o->n > 1) o->of[0] = o->done - 1;
    for (uint32_t k = 0; wrong == CROWDED && v->type == QD_AGGREGATION_I64 && k < o->room; k++) {
        o->of[k] = 0;
        o->i64[k] = k;
        o->n = o->room;
    }
    return 0;
}

static const qd_aggregation_vtable keys_table = {
    .head = QD_VTABLE(qd_aggregation_vtable, AGGREGATION,
                      QD_AGGREGATION_BUCKETS | QD_AGGREGATION_TEXTS),
    .result_version = 1,
    .parse = agg_parse,
    .open = keys_open,
    .close = agg_close,
    .keys = keys_keys};

static int32_t keys_write_bucket(const qd_aggregation_ctx *ctx, const void *params,
                                 const qd_aggregation_bucket *b, qd_json_out *out, qd_err *err)
{
    qd_json_writer *w = (qd_json_writer *)(void *)out;
    (void)ctx, (void)params, (void)err;
    for (uint32_t i = 0; i < (wrong == REPEATED ? 2 : 1); i++) {
        qd_json_key_c(w, wrong == UNNAMED ? "c" : "a");
        qd_json_uint(w, b->docs);
    }
    qd_json_key_c(w, "b");
    if (wrong == HALF) return 0;
    qd_json_array(w);
    for (uint32_t i = 0; i < (wrong == LARGE ? QD_AGGREGATION_BUCKET_MAX : 1); i++)
        qd_json_uint(w, b->total);
    qd_json_array_end(w);
    return 0;
}

static qd_aggregation_vtable members_table(void)
{
    qd_aggregation_vtable t = keys_table;
    t.head.flags |= QD_AGGREGATION_BUCKET_MEMBERS;
    t.members = "a,b";
    t.write_bucket = keys_write_bucket;
    return t;
}

static void members_of_buckets_are_checked(void **state)
{
    const qd_aggregation_vtable t = members_table();
    (void)state;
    qd_buf out;
    broken = NOTHING;
    wrong = SOUND;
    uint32_t failures = check(&t, &out);
    if (failures) print_message("%s\n", out.p);
    assert_int_equal(failures, 0);
    assert_non_null(strstr(out.p, "members of buckets are those that the table names"));
    qd_buf_fini(&out);
    for (wrong = UNNAMED; wrong <= LARGE; wrong++) {
        unit_may_leak(true);
        failures = check(&t, &out);
        unit_may_leak(false);
        bool found = failures > 0 &&
                     conform_found(&out, "members of buckets are those that the table names");
        if (!found) print_message("variant %u:\n%s\n", (unsigned)wrong, out.p);
        assert_true(found);
        qd_buf_fini(&out);
    }
    qd_aggregation_vtable nameless = t;
    nameless.members = NULL;
    wrong = SOUND;
    assert_true(check(&nameless, &out) > 0);
    assert_true(conform_found(&out, "the table is sound"));
    qd_buf_fini(&out);
}

static void sound_buckets_pass(void **state)
{
    (void)state;
    qd_buf out;
    broken = NOTHING;
    wrong = SOUND;
    uint32_t failures = check(&keys_table, &out);
    if (failures) print_message("%s\n", out.p);
    assert_int_equal(failures, 0);
    assert_non_null(strstr(out.p, "texts of keys stay until the next call"));
    qd_buf_fini(&out);
}

static void broken_buckets_are_found(void **state)
{
    static const struct {
        unsigned how;
        const char *test;
    } all[] = {{PLACE, "keys of integers depend on the value alone"},
               {CALLS, "keys of integers depend on the value alone"},
               {FALLING, "some type of values is taken"},
               {OVER, "keys of integers fit their room"},
               {STUCK, "some type of values is taken"},
               {NANS, "some type of values is taken"},
               {FORGETFUL, "keys of integers depend on the value alone"},
               {SHARED, "texts of keys stay until the next call"},
               {CROWDED, "some type of values is taken"},
               {REFUSES, "some type of values is taken"}};
    (void)state;
    for (size_t i = 0; i < QD_COUNT_OF(all); i++) {
        qd_buf out;
        broken = NOTHING;
        wrong = all[i].how;
        unit_may_leak(true);
        uint32_t failures = check(&keys_table, &out);
        unit_may_leak(false);
        bool found = failures > 0 && conform_found(&out, all[i].test);
        if (!found) print_message("variant %u:\n%s\n", all[i].how, out.p);
        assert_true(found);
        qd_buf_fini(&out);
    }
    qd_aggregation_vtable other = keys_table;
    other.key_type = QD_AGGREGATION_TEXT + 1;
    qd_buf out;
    wrong = SOUND;
    assert_true(check(&other, &out) > 0);
    assert_true(conform_found(&out, "the table is sound"));
    qd_buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sound_aggregation_passes),
        cmocka_unit_test(broken_ones_are_found),
        cmocka_unit_test(sound_strings_pass),
        cmocka_unit_test(broken_strings_are_found),
        cmocka_unit_test(sound_buckets_pass),
        cmocka_unit_test(broken_buckets_are_found),
        cmocka_unit_test(members_of_buckets_are_checked),
    };
    return unit_run(tests);
}
