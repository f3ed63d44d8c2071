/*
 * processor_conform_t.c: the suite of the kind processor over one of its own, and over variants of
 * it with one defect each, which the suite must find.
 */
#include "base/str.h"
#include "plugin/conform.h"
#include "unit/lib/conform_found.h"
#include "unit/unit.h"
#include "json/reader.h"
#include <stdatomic.h>

enum {
    RIGHT,
    TAKES_ALL,
    TAKES_LISTS,
    NO_FIELD_NAME,
    WRONG_TYPE,
    OUTSIDE,
    REMEMBERS,
    SWALLOWS,
    LEAKS,
    LEAKS_WHEN_REFUSED,
};
static int defect;

struct qd_processor {
    qd_str field;
};
static _Atomic uint32_t seen;

static int32_t read_parameters(qd_json_reader *r, qd_err *err)
{
    qd_json_event ev = qd_json_next(r);
    if (defect == TAKES_LISTS && ev == QD_JSON_ARRAY) return 0;
    if (ev != QD_JSON_OBJECT)
        return ev == QD_JSON_ERROR ? qd_json_fail(r, err)
                                   : qd_err_set(err, QD_E_ARG, "an object is wanted");
    while ((ev = qd_json_next(r)) == QD_JSON_KEY) {
        if (defect != TAKES_ALL && !qd_str_is(r->text, "field"))
            return qd_err_set(err, QD_E_ARG, "unknown parameter");
        if (qd_json_skip(r)) return qd_json_fail(r, err);
    }
    return ev == QD_JSON_OBJECT_END ? 0 : qd_json_fail(r, err);
}

static int32_t open_processor(const qd_processor_ctx *ctx, qd_json_in *in, qd_processor **out,
                              qd_processor_needs *needs, qd_err *err)
{
    (void)ctx;
    qd_processor *p = qd_calloc(NULL, sizeof *p);
    if (!p) return qd_err_nomem(err, "processor");
    int32_t rc = read_parameters((qd_json_reader *)(void *)in, err);
    if (rc) {
        if (defect != LEAKS_WHEN_REFUSED) qd_free(p);
        return rc;
    }
    p->field = defect == NO_FIELD_NAME ? QD_STR("") : QD_STR("a");
    needs->fields = &p->field;
    needs->nfields = 1;
    *out = p;
    return 0;
}

/* The text of a value turned around. */
static int32_t turned(const qd_processor_batch *b, uint32_t doc, qd_str text)
{
    char room[64];
    size_t n = text.n < sizeof room ? text.n : sizeof room;
    for (size_t i = 0; i < n; i++) room[i] = text.p[n - 1 - i];
    qd_processor_value v = {.type = QD_PROCESSOR_STRING, .text = {room, n}};
    if (defect == WRONG_TYPE) v.type = QD_PROCESSOR_NONE;
    return b->set(b, doc, QD_STR("b"), &v);
}

static int32_t one(const qd_processor_batch *b, uint32_t doc)
{
    const qd_processor_value *v = &b->values[doc];
    if (v->type == QD_PROCESSOR_NONE) return b->drop(b, doc);
    if (v->type == QD_PROCESSOR_NULL) return b->remove(b, doc, QD_STR("a"));
    if (v->type != QD_PROCESSOR_STRING) return (b->fail)(b, doc, QD_E_ARG, QD_STR("no text"));
    if (defect == REMEMBERS && atomic_fetch_add(&seen, 1) % 5 == 0) return b->drop(b, doc);
    return turned(b, defect == OUTSIDE ? b->n : doc, v->text);
}

static int32_t run(const qd_processor *p, const qd_processor_batch *b, qd_err *err)
{
    (void)p;
    for (uint32_t doc = 0; doc < b->n; doc++) {
        int32_t rc = one(b, doc);
        if (rc && defect != SWALLOWS) return qd_err_set(err, rc, "a document");
    }
    return 0;
}

static void close_processor(qd_processor *p)
{
    if (defect != LEAKS) qd_free(p);
}

static const qd_processor_vtable vtable = {QD_VTABLE(qd_processor_vtable, PROCESSOR, 0),
                                           open_processor, run, close_processor};

static void show(void *arg, const char *text)
{
    qd_buf_printf(arg, "%s\n", text);
}

static uint32_t failures(qd_buf *out)
{
    qd_conform_run r;
    qd_buf_init(out, NULL, 1 << 20);
    qd_conform_begin(&r, qd_env_system(), NULL, QD_STR("/nowhere"), NULL, 0, show, out);
    qd_conform_kind(&r, QD_KIND_PROCESSOR, "processor", &vtable);
    return qd_conform_end(&r);
}

static void a_sound_one_passes(void **state)
{
    (void)state;
    qd_buf out;
    defect = RIGHT;
    if (failures(&out)) fail_msg("%s", out.p);
    qd_buf_fini(&out);
}

static void defects_are_found(void **state)
{
    (void)state;
    static const struct {
        int defect;
        const char *test;
    } rows[] = {{TAKES_ALL, "it refuses unknown ones"},
                {TAKES_LISTS, "it refuses what is no object"},
                {NO_FIELD_NAME, "it opens"},
                {WRONG_TYPE, "what it says keeps to the rules"},
                {OUTSIDE, "what it says keeps to the rules"},
                {REMEMBERS, "documents do not depend on each other"},
                {SWALLOWS, "it passes errors on"},
                {LEAKS, "fifty of them leak nothing"},
                {LEAKS_WHEN_REFUSED, "it refuses unknown ones"}};
    for (size_t k = 0; k < QD_COUNT_OF(rows); k++) {
        qd_buf out;
        defect = rows[k].defect;
        unit_may_leak(true); /* some defects do */
        uint32_t found = failures(&out);
        unit_may_leak(false);
        if (!found) fail_msg("defect %d passes:\n%s", defect, out.p);
        if (!conform_found(&out, rows[k].test)) fail_msg("defect %d:\n%s", defect, out.p);
        qd_buf_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sound_one_passes),
        cmocka_unit_test(defects_are_found),
    };
    return unit_run(tests);
}
