/* part_crash_t.c: index parts over kills, power losses and failing disks: what an acknowledged
 * document gave to its part is there in the next life, and nothing else is; the segments of each
 * life pass the check. */
#include "segment/check.h"
#include "segment/live.h"
#include "segment/segment.h"
#include "unit/engine/engine_model.h"
#include "unit/lib/string_part.h"

static const qd_part_types types = {string_part_find, NULL};

/* Every third value has no part: a document without one is between others. */
static bool has_part(int value)
{
    return value % 3 != 0;
}

static int write_with_part(void *arg, uint32_t slot, uint64_t unit, qd_buffer *b,
                           const qd_engine_op *op, qd_err *err)
{
    static const qd_field_info info = {.name = {"v", 1}};
    const qd_part_type t = string_part_type();
    uint32_t field;
    char text[64];
    int value = atoi(op->source.p + 9);
    int n = snprintf(text, sizeof text, "%.*s=%d", QD_STR_ARG(op->id), value);
    int rc = write_doc(arg, slot, unit, b, op, err);
    if (!rc) rc = qd_buffer_field(b, &info, &field, err);
    if (!rc) rc = qd_buffer_field_part(b, field, &t, &string_part_conf, err);
    return rc || !has_part(value) ? rc : qd_buffer_part(b, field, (qd_str){text, (size_t)n}, err);
}

typedef struct life {
    store_crash *d;
    qd_store *s;
    qd_engine *e;
    qd_engine_config c;
    shadow model[IDS];
    qd_prng r;
    uint64_t seed, parts; /* parts: read in all lives */
} life;

static void begin(life *x)
{
    assert_int_equal(store_crash_open(x->d, &x->s, NULL), 0);
    x->c = config(x->s);
    if (x->seed % 2) by_length(&x->c);
    x->c.write_doc = write_with_part;
    x->c.part_types = types;
}

static void end(life *x, bool power_loss)
{
    qd_engine_close(x->e, false);
    x->e = NULL;
    assert_int_equal(string_part_buffers, 0);
    qd_store_close(x->s);
    if (power_loss)
        store_crash_crash(x->d, qd_prng_u64(&x->r));
    else
        store_crash_kill(x->d);
}

/* The values of a leaf's live documents, by id. */
static void read_leaf(life *x, const qd_reader_leaf *l, int found[IDS])
{
    const qd_part_type t = string_part_type();
    uint32_t field = qd_segment_field_find(l->segment, QD_STR("v"));
    const qd_part_info *info =
        field == QD_FIELD_NONE ? NULL : qd_segment_part_of(l->segment, field);
    qd_arena a;
    qd_part_view v;
    qd_part_reader *r;
    if (!info) return;
    x->parts++;
    qd_arena_init(&a, NULL, 0);
    assert_int_equal(qd_part_view_open(&v, l->segment, info, &a, NULL, NULL), 0);
    assert_int_equal(qd_part_open(&v, &t, &r, NULL), 0);
    for (uint32_t doc = 0; doc < qd_segment_docs(l->segment); doc++) {
        qd_str got = string_part_value(r, doc);
        char text[64];
        int id = -1, value = -1;
        if (got.n == SIZE_MAX || (l->live && !qd_live_has(l->live, doc))) continue;
        snprintf(text, sizeof text, "%.*s", QD_STR_ARG(got));
        assert_int_equal(sscanf(text, "id%d=%d", &id, &value), 2);
        assert_true(id >= 0 && id < IDS && found[id] < 0);
        found[id] = value;
    }
    t.vt->close(r);
    qd_part_view_close(&v);
    qd_arena_fini(&a);
}

/* The parts hold what the model has, by the newest reader. */
static void look(life *x)
{
    int found[IDS];
    memset(found, -1, sizeof found);
    check_all(x->e, x->model, x->seed);
    qd_reader *r = qd_engine_reader(x->e);
    for (uint32_t i = 0; i < r->n; i++) read_leaf(x, &r->leaf[i], found);
    qd_reader_unref(r);
    for (int i = 0; i < IDS; i++) {
        const shadow *s = &x->model[i];
        int want = s->exists && has_part(s->value) ? s->value : -1;
        if (found[i] != want)
            fail_msg("seed %llu: the part has %d for id%d, expected %d",
                     (unsigned long long)x->seed, found[i], i, want);
    }
}

static void life_init(life *x, uint64_t seed)
{
    memset(x, 0, sizeof *x);
    x->seed = seed;
    x->d = store_crash_make(NULL);
    qd_prng_init(&x->r, seed);
    begin(x);
    assert_int_equal(qd_engine_create(&x->c, &x->e, NULL), 0);
}

static void next(life *x, bool power_loss)
{
    qd_err err;
    qd_err_init(&err);
    end(x, power_loss);
    begin(x);
    if (qd_engine_open(&x->c, &x->e, &err))
        fail_msg("seed %llu: %s", (unsigned long long)x->seed, qd_err_reason(&err));
    look(x);
}

static void parts_survive_kills_and_power_losses(void **state)
{
    uint64_t parts = 0, merged = 0;
    (void)state;
    /* few rounds, as under sanitizers, may have merged nothing */
    for (uint64_t seed = 1; seed <= rounds(80) || (!merged && seed <= 80); seed++) {
        life x;
        life_init(&x, seed);
        for (int n = 0; n < 4; n++) {
            bool did = false;
            store_crash_power_off_at(x.d, 1 + qd_prng_below(&x.r, 400));
            for (int i = 0; i < 120 && step(x.e, &x.r, x.model, NULL); i++) {}
            if (!store_crash_is_off(x.d) && qd_engine_merge_step(x.e, &did, NULL) == 0)
                merged += did;
            next(&x, qd_prng_below(&x.r, 2) == 0);
        }
        parts += x.parts;
        qd_engine_close(x.e, true);
        qd_store_close(x.s);
        store_crash_free(x.d);
    }
    assert_true(parts && merged);
}

/* The part of a flush or a merge is one more place where the disk may fail or be full: the
 * documents stay, and a later flush writes them. */
static void a_disk_that_fails_under_a_part_loses_nothing(void **state)
{
    (void)state;
    for (uint64_t at = 1; at <= 40; at++) {
        life x;
        life_init(&x, at);
        for (int i = 0; i < 60; i++) assert_true(step(x.e, &x.r, x.model, NULL));
        store_crash_fail_at(x.d, STORE_CRASH_WRITES, at, QD_E_NOSPACE, at % 2);
        (void)!qd_engine_refresh(x.e, NULL);
        bool did;
        (void)!qd_engine_merge_step(x.e, &did, NULL);
        store_crash_fail_at(x.d, 0, 0, 0, false);
        next(&x, at % 3 == 0);
        for (int i = 0; i < 20; i++) assert_true(step(x.e, &x.r, x.model, NULL));
        next(&x, true);
        qd_engine_close(x.e, true);
        qd_store_close(x.s);
        store_crash_free(x.d);
    }
    assert_int_equal(string_part_buffers, 0);
}

int main(void)
{
    qd_log_level_set(NULL, QD_LOG_OFF);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_survive_kills_and_power_losses),
        cmocka_unit_test(a_disk_that_fails_under_a_part_loses_nothing),
    };
    return unit_run(tests);
}
