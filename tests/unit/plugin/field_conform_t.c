/*
 * field_conform_t.c: the suite of the kind field over a type of its own, and over variants of it
 * with one defect each, which the suite must find.
 */
#include "base/bits.h"
#include "base/str.h"
#include "plugin/conform.h"
#include "unit/lib/conform_found.h"
#include "unit/unit.h"
#include "json/reader.h"
#include <stdlib.h>

enum { RIGHT, LOSES_A_DOCUMENT, WRONG_ORDER, BYTES_UNCHECKED, LEAKS, KEEPS_TAKEN_BACK, TAKES_ALL };
static int defect;

/* A part: u32 how many, then for each value u32 document, u32 value. */
struct qd_part_buffer {
    uint32_t n, cap;
    uint8_t *rows;
};
struct qd_part_reader {
    uint8_t *rows;
};

static const qd_field_param params[] = {{"least", QD_FIELD_PARAM_INT, 0, "0", NULL, 0, 100},
                                        {NULL, 0, 0, NULL, NULL, 0, 0}};

static int32_t check(const qd_field_conf *c, qd_err *err)
{
    return c->values[0].i64 <= 100 ? 0 : qd_err_set(err, QD_E_ARG, "least is too large");
}

static int32_t parse(const qd_field_conf *c, qd_json_in *in, const qd_field_sink *sink, qd_err *err)
{
    qd_json_reader *r = (qd_json_reader *)(void *)in;
    qd_json_event ev = qd_json_next(r);
    int64_t v = 0;
    uint8_t bytes[4];
    if (ev == QD_JSON_ERROR) return qd_json_fail(r, err);
    if (defect != TAKES_ALL && (ev != QD_JSON_NUMBER || qd_json_i64(r, &v) || v < c->values[0].i64))
        return qd_err_set(err, QD_E_ARG, "no number that it takes");
    qd_put_u32le(bytes, (uint32_t)v);
    return sink->part(sink, (qd_str){(const char *)bytes, 4}, err);
}

static int32_t begin(const qd_field_conf *c, qd_part_buffer **out, qd_err *err)
{
    (void)c;
    qd_part_buffer *b = qd_calloc(NULL, sizeof *b);
    if (!b) return qd_err_nomem(err, "buffer");
    *out = b;
    return 0;
}

static int32_t add(qd_part_buffer *b, uint32_t doc, qd_str v, qd_err *err)
{
    if (b->n == b->cap) {
        uint8_t *more = qd_realloc(NULL, b->rows, (b->cap + 16) * (size_t)8);
        if (!more) return qd_err_nomem(err, "rows");
        b->rows = more;
        b->cap += 16;
    }
    qd_put_u32le(b->rows + b->n * (size_t)8, doc);
    memcpy(b->rows + b->n * (size_t)8 + 4, v.p, 4);
    b->n++;
    return 0;
}

static void cut(qd_part_buffer *b, uint32_t doc)
{
    if (defect == KEEPS_TAKEN_BACK && doc) return;
    while (b->n && qd_get_u32le(b->rows + (b->n - 1) * (size_t)8) >= doc) b->n--;
}

static uint64_t bytes_of(const qd_part_buffer *b)
{
    return b->n * (uint64_t)8;
}

static int32_t put(const qd_part_sink *s, const uint8_t *rows, uint32_t n, qd_err *err)
{
    uint8_t head[4];
    qd_put_u32le(head, n);
    int32_t rc = s->write(s, head, 4, err);
    return rc || !n ? rc : s->write(s, rows, n * (size_t)8, err);
}

static int32_t write_part(qd_part_buffer *b, uint32_t docs, const qd_part_sink *s, qd_err *err)
{
    (void)docs;
    return put(s, b->rows, b->n, err);
}

static void end(qd_part_buffer *b)
{
    qd_free(b->rows);
    qd_free(b);
}

/* The rows, checked; p NULL: none. */
static int32_t rows_of(const qd_part_bytes *b, const uint8_t **p, uint32_t *n, qd_err *err)
{
    const void *at;
    int32_t rc = b->read(b, &(qd_part_range){0, 4}, 1, &at, err);
    if (rc) return rc;
    *n = qd_get_u32le(at);
    if (defect == BYTES_UNCHECKED) {
        if (*n > b->length / 8) *n = (uint32_t)(b->length / 8); /* as far as it goes */
    } else if (*n > b->docs || b->length != 4 + *n * (uint64_t)8) {
        return b->corrupt(b, 0, QD_STR("number of rows"), err);
    }
    rc = b->read(b, &(qd_part_range){4, *n * (uint64_t)8}, 1, &at, err);
    *p = at;
    return rc;
}

static int32_t plan(qd_self *self, const qd_part_bytes *b, qd_part_range *r, uint32_t *n,
                    qd_err *err)
{
    (void)self;
    (void)err;
    r[0] = (qd_part_range){0, b->length};
    *n = 1;
    return 0;
}

static int32_t open_part(qd_self *self, const qd_part_bytes *b, qd_part_reader **out, qd_err *err)
{
    const uint8_t *p;
    uint32_t n;
    (void)self;
    int32_t rc = rows_of(b, &p, &n, err);
    if (rc) return rc;
    qd_part_reader *r = qd_calloc(NULL, sizeof *r);
    if (!r) return qd_err_nomem(err, "reader");
    *out = r;
    return 0;
}

static void close_part(qd_part_reader *r)
{
    if (defect != LEAKS) qd_free(r);
}

static int by_doc(const void *a, const void *b)
{
    uint32_t x = qd_get_u32le(a), y = qd_get_u32le(b);
    return x < y ? -1 : x > y;
}

static int32_t merge(qd_self *self, const qd_part_source *s, uint32_t n, uint32_t docs,
                     const qd_part_sink *sink, qd_err *err)
{
    uint8_t *out = qd_alloc(NULL, (docs + (size_t)1) * 8);
    uint32_t k = 0;
    int32_t rc = out ? 0 : qd_err_nomem(err, "rows");
    (void)self;
    for (uint32_t i = 0; !rc && i < n; i++) {
        const uint8_t *p = NULL;
        uint32_t rows = 0;
        rc = rows_of(s[i].bytes, &p, &rows, err);
        if (defect == LOSES_A_DOCUMENT && i == 1 && rows) rows--;
        for (uint32_t r = 0; !rc && r < rows; r++) {
            uint32_t doc = s[i].map[qd_get_u32le(p + r * (size_t)8)];
            if (doc == QD_PART_GONE) continue;
            qd_put_u32le(out + k * (size_t)8, doc);
            memcpy(out + k++ * (size_t)8 + 4, p + r * (size_t)8 + 4, 4);
        }
    }
    if (!rc && defect != WRONG_ORDER) qsort(out, k, 8, by_doc);
    if (!rc) rc = put(sink, out, k, err);
    qd_free(out);
    return rc;
}

static int32_t check_part(qd_self *self, const qd_part_bytes *b, const qd_part_findings *f,
                          qd_err *err)
{
    const uint8_t *p;
    uint32_t n;
    (void)self;
    int32_t rc = rows_of(b, &p, &n, err);
    for (uint32_t i = 0; !rc && i < n && defect != BYTES_UNCHECKED; i++)
        if (qd_get_u32le(p + i * (size_t)8) >= b->docs)
            f->found(f, 4 + i * (uint64_t)8, QD_STR("document out of range"));
    return rc;
}

static const qd_part_vtable part = {.struct_size = sizeof part,
                                    .version = 1,
                                    .version_min = 1,
                                    .begin = begin,
                                    .add = add,
                                    .cut = cut,
                                    .bytes = bytes_of,
                                    .write = write_part,
                                    .end = end,
                                    .plan = plan,
                                    .open = open_part,
                                    .close = close_part,
                                    .merge = merge,
                                    .check = check_part};
static const qd_field_vtable type = {.head = QD_VTABLE(qd_field_vtable, FIELD, QD_FIELD_PART),
                                     .params = params,
                                     .param_size = sizeof(qd_field_param),
                                     .check = check,
                                     .parse = parse,
                                     .part = &part};

static void show(void *arg, const char *text)
{
    qd_buf_printf(arg, "%s\n", text);
}

static uint32_t run(int with, qd_buf *out)
{
    static const qd_pair options[] = {{QD_STR("param.least"), QD_STR("5")},
                                      {QD_STR("value"), QD_STR("7")},
                                      {QD_STR("value2"), QD_STR("99")},
                                      {QD_STR("bad"), QD_STR("\"x\"")}};
    qd_conform_run r;
    defect = with;
    qd_buf_init(out, NULL, 1 << 20);
    qd_conform_begin(&r, qd_env_system(), NULL, QD_STR("/nowhere"), options, QD_COUNT_OF(options),
                     show, out);
    qd_conform_kind(&r, QD_KIND_FIELD, "toy", &type);
    return qd_conform_end(&r);
}

static void the_type_conforms(void **state)
{
    (void)state;
    qd_buf out;
    uint32_t failures = run(RIGHT, &out);
    if (failures) print_message("%s\n", out.p);
    assert_int_equal(failures, 0);
    assert_null(strstr(out.p, "SKIP"));
    qd_buf_fini(&out);
}

static void defects_are_found(void **state)
{
    static const struct {
        int defect;
        const char *test;
    } cases[] = {{LOSES_A_DOCUMENT, "a merge gives what a write gives"},
                 {WRONG_ORDER, "a merge in another order, too"},
                 {BYTES_UNCHECKED, "cut bytes are found"},
                 {LEAKS, "memory comes back"},
                 {KEEPS_TAKEN_BACK, "documents taken back leave nothing"},
                 {TAKES_ALL, "bad values are errors"}};
    (void)state;
    for (size_t i = 0; i < QD_COUNT_OF(cases); i++) {
        qd_buf out;
        unit_may_leak(true);
        uint32_t failures = run(cases[i].defect, &out);
        unit_may_leak(false);
        assert_true(failures > 0);
        bool found = conform_found(&out, cases[i].test);
        if (!found) print_message("%s\n%s", cases[i].test, out.p);
        assert_true(found);
        qd_buf_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_type_conforms),
        cmocka_unit_test(defects_are_found),
    };
    return unit_run(tests);
}
