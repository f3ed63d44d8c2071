/* string_part.c: see string_part.h. */
#include "unit/lib/string_part.h"
#include "base/bits.h"
#include "base/str.h"
#include "unit/unit.h"

#define MOST 4096u

/* Records of a document's number, a length and bytes, ascending. */
struct qd_part_buffer {
    qd_buf bytes;
    uint32_t docs[MOST], starts[MOST], n;
};
struct qd_part_reader {
    const qd_part_bytes *bytes;
    const uint8_t *p;
};

int string_part_buffers;
const qd_field_conf string_part_conf = {.struct_size = sizeof string_part_conf};

static int32_t begin(const qd_field_conf *conf, qd_part_buffer **out, qd_err *err)
{
    qd_part_buffer *b = calloc(1, sizeof *b);
    assert_true(conf == &string_part_conf);
    if (!b) return qd_err_nomem(err, "buffer");
    qd_buf_init(&b->bytes, NULL, 1 << 24);
    string_part_buffers++;
    *out = b;
    return 0;
}

static void put_record(qd_buf *b, uint32_t doc, qd_str v)
{
    uint8_t head[8];
    qd_put_u32le(head, doc);
    qd_put_u32le(head + 4, (uint32_t)v.n);
    qd_buf_add(b, head, 8);
    qd_buf_str(b, v);
}

static int32_t add(qd_part_buffer *b, uint32_t doc, qd_str v, qd_err *err)
{
    if (qd_str_is(v, "refused")) return qd_err_set(err, QD_E_ARG, "value is refused");
    assert_true(b->n < MOST && (b->n == 0 || b->docs[b->n - 1] < doc));
    b->docs[b->n] = doc;
    b->starts[b->n++] = (uint32_t)b->bytes.n;
    put_record(&b->bytes, doc, v);
    return 0;
}

static void cut(qd_part_buffer *b, uint32_t doc)
{
    while (b->n && b->docs[b->n - 1] >= doc) b->bytes.n = b->starts[--b->n];
}

static uint64_t bytes_of(const qd_part_buffer *b)
{
    return b->bytes.n;
}

static int32_t write_part(qd_part_buffer *b, uint32_t docs, const qd_part_sink *s, qd_err *err)
{
    assert_true(b->n == 0 || b->docs[b->n - 1] < docs);
    return s->write(s, b->bytes.p, b->bytes.n, err);
}

static void end(qd_part_buffer *b)
{
    qd_buf_fini(&b->bytes);
    free(b);
    string_part_buffers--;
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
    const void *p;
    (void)self;
    int32_t rc = b->read(b, &(qd_part_range){0, b->length}, 1, &p, err);
    if (rc) return rc;
    qd_part_reader *r = calloc(1, sizeof *r);
    if (!r) return qd_err_nomem(err, "reader");
    *r = (qd_part_reader){b, p};
    *out = r;
    return 0;
}

static void close_part(qd_part_reader *r)
{
    free(r);
}

/* The value of a document; n = SIZE_MAX: none. */
static qd_str value_of(const uint8_t *p, uint64_t length, uint32_t doc)
{
    for (uint64_t at = 0; at < length;) {
        uint32_t n = qd_get_u32le(p + at + 4);
        if (qd_get_u32le(p + at) == doc) return (qd_str){(const char *)p + at + 8, n};
        at += 8 + n;
    }
    return (qd_str){NULL, SIZE_MAX};
}

static int32_t merge_parts(qd_self *self, const qd_part_source *s, uint32_t n, uint32_t docs,
                           const qd_part_sink *sink, qd_err *err)
{
    const void *p[8];
    qd_str *values = calloc(docs, sizeof *values);
    bool *has = calloc(docs, 1);
    qd_buf out;
    (void)self;
    qd_buf_init(&out, NULL, 1 << 24);
    int32_t rc = 0;
    for (uint32_t i = 0; rc == 0 && i < n; i++) {
        const qd_part_bytes *b = s[i].bytes;
        rc = b->read(b, &(qd_part_range){0, b->length}, 1, &p[i], err);
        for (uint32_t d = 0; rc == 0 && d < s[i].docs; d++) {
            qd_str v = value_of(p[i], b->length, d);
            if (v.n == SIZE_MAX || s[i].map[d] == QD_PART_GONE) continue;
            assert_true(s[i].map[d] < docs && !has[s[i].map[d]]);
            values[s[i].map[d]] = v;
            has[s[i].map[d]] = true;
        }
    }
    for (uint32_t d = 0; rc == 0 && d < docs; d++)
        if (has[d]) put_record(&out, d, values[d]);
    if (rc == 0) rc = sink->write(sink, out.p, out.n, err);
    qd_buf_fini(&out);
    free(values);
    free(has);
    return rc;
}

static int32_t check_part(qd_self *self, const qd_part_bytes *b, const qd_part_findings *f,
                          qd_err *err)
{
    const void *p;
    (void)self;
    int32_t rc = b->read(b, &(qd_part_range){0, b->length}, 1, &p, err);
    for (uint64_t at = 0; rc == 0 && at < b->length;) {
        const uint8_t *q = (const uint8_t *)p + at;
        if (b->length - at < 8) return b->corrupt(b, at, QD_STR("a record is cut"), err);
        if (qd_get_u32le(q) >= b->docs) f->found(f, at, QD_STR("document out of range"));
        at += 8 + qd_get_u32le(q + 4);
    }
    return rc;
}

static const qd_part_vtable vtable = {.version = 3,
                                      .version_min = 2,
                                      .begin = begin,
                                      .add = add,
                                      .cut = cut,
                                      .bytes = bytes_of,
                                      .write = write_part,
                                      .end = end,
                                      .plan = plan,
                                      .open = open_part,
                                      .close = close_part,
                                      .merge = merge_parts,
                                      .check = check_part};

qd_part_type string_part_type(void)
{
    return (qd_part_type){QD_STR("strings"), &vtable, NULL};
}

qd_str string_part_value(const qd_part_reader *r, uint32_t doc)
{
    return value_of(r->p, r->bytes->length, doc);
}

bool string_part_find(const void *arg, qd_str name, qd_part_type *out)
{
    if (arg || !qd_str_is(name, "strings")) return false;
    *out = string_part_type();
    return true;
}
