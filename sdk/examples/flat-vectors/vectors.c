/*
 * vectors.c: the field type `example_vector` and its index part, a flat list of vectors.
 *
 * Bytes that come from a segment are checked before they are used: part_open and part_check read
 * the head and the documents' numbers, and the length of the part follows from them.
 */
#include "vectors.h"
#include <math.h>
#include <stdlib.h>

#define ROWS 128 /* vectors read or written at once */

const qd_svc_mem *mem;
const qd_svc_json *json;
const qd_svc_err *errors;

/* --- the mapping and values ------------------------------------------------------------------- */

enum { PARAM_DIMS, PARAM_SIMILARITY };
static const qd_field_param params[] = {
    {"dims", QD_FIELD_PARAM_INT, QD_FIELD_PARAM_REQUIRED, NULL, NULL, 1, DIMS_MAX},
    {"similarity", QD_FIELD_PARAM_STRING, 0, "\"l2\"", "l2|cosine|dot", 0, 0},
    {NULL, 0, 0, NULL, NULL, 0, 0}};

static uint32_t dims_of(const qd_field_conf *c)
{
    return (uint32_t)c->values[PARAM_DIMS].i64;
}

static uint32_t similarity_of(const qd_field_conf *c)
{
    qd_str s = c->values[PARAM_SIMILARITY].text;
    return qd_plug_is(s, "cosine") ? SIMILARITY_COSINE
           : qd_plug_is(s, "dot")  ? SIMILARITY_DOT
                                   : SIMILARITY_L2;
}

static int32_t check(const qd_field_conf *c, qd_err *err)
{
    (void)c; /* each parameter alone is all there is */
    (void)err;
    return 0;
}

int32_t vector_parse(qd_json_in *in, float out[DIMS_MAX], uint32_t *n, qd_err *err)
{
    qd_jev ev;
    int32_t rc = json->next(in, &ev, err);
    if (rc) return rc;
    if (ev.type != QD_JEV_ARRAY)
        return qd_plug_fail(errors, err, QD_E_ARG, "a vector is an array of numbers");
    for (*n = 0;; (*n)++) {
        if ((rc = json->next(in, &ev, err))) return rc;
        if (ev.type == QD_JEV_ARRAY_END) return 0;
        if (ev.type != QD_JEV_INT && ev.type != QD_JEV_FLOAT)
            return qd_plug_fail(errors, err, QD_E_ARG,
                                "a vector is an array of numbers; value %u is none", *n);
        if (*n == DIMS_MAX)
            return qd_plug_fail(errors, err, QD_E_ARG, "a vector has at most %d dimensions",
                                DIMS_MAX);
        out[*n] = (float)ev.number;
        if (!isfinite(out[*n]))
            return qd_plug_fail(errors, err, QD_E_ARG, "value %u is too large for a vector", *n);
    }
}

static int32_t parse(const qd_field_conf *c, qd_json_in *in, const qd_field_sink *sink, qd_err *err)
{
    float v[DIMS_MAX];
    uint32_t n = 0, dims = dims_of(c);
    double length = 0;
    qd_str bytes;
    int32_t rc = vector_parse(in, v, &n, err);
    if (rc) return rc;
    if (n != dims)
        return qd_plug_fail(errors, err, QD_E_ARG,
                            "the vector has %u dimensions, those of the field have %u", n, dims);
    for (uint32_t i = 0; i < n; i++) length += (double)v[i] * (double)v[i];
    if (length == 0 && similarity_of(c) == SIMILARITY_COSINE)
        return qd_plug_fail(errors, err, QD_E_ARG, "a vector of length 0 has no cosine");
    bytes.p = (const char *)v;
    bytes.n = n * sizeof(float);
    return sink->part(sink, bytes, err);
}

/* --- filling and writing ---------------------------------------------------------------------- */

struct qd_part_buffer {
    qd_self *self;
    part_head head;
    uint32_t cap;
    uint32_t *docs;
    float *vectors;
};

static int32_t begin(const qd_field_conf *c, qd_part_buffer **out, qd_err *err)
{
    qd_part_buffer *b = (qd_part_buffer *)mem->calloc(c->self, sizeof *b);
    if (!b) return qd_plug_fail(errors, err, QD_E_NOMEM, "out of memory: vectors");
    b->self = c->self;
    b->head.dims = dims_of(c);
    b->head.similarity = similarity_of(c);
    b->docs = (uint32_t *)mem->alloc(c->self, 16 * sizeof *b->docs);
    b->vectors = (float *)mem->alloc(c->self, 16 * b->head.dims * sizeof *b->vectors);
    b->cap = 16;
    if (b->docs && b->vectors) {
        *out = b;
        return 0;
    }
    mem->free(b->docs);
    mem->free(b->vectors);
    mem->free(b);
    return qd_plug_fail(errors, err, QD_E_NOMEM, "out of memory: vectors");
}

static int32_t grow(qd_part_buffer *b, qd_err *err)
{
    uint32_t cap = b->cap * 2;
    uint32_t *docs = (uint32_t *)mem->realloc(b->self, b->docs, cap * sizeof *docs);
    if (docs) b->docs = docs;
    float *vectors = docs ? (float *)mem->realloc(b->self, b->vectors,
                                                  (size_t)cap * b->head.dims * sizeof *vectors)
                          : NULL;
    if (!vectors) return qd_plug_fail(errors, err, QD_E_NOMEM, "out of memory: vectors");
    b->vectors = vectors;
    b->cap = cap;
    return 0;
}

static int32_t add(qd_part_buffer *b, uint32_t doc, qd_str value, qd_err *err)
{
    size_t row = b->head.dims * sizeof(float);
    if (value.n != row) return qd_plug_fail(errors, err, QD_E_ARG, "the vector has another length");
    if (b->head.count == b->cap) {
        int32_t rc = grow(b, err);
        if (rc) return rc;
    }
    b->docs[b->head.count] = doc;
    memcpy(b->vectors + (size_t)b->head.count * b->head.dims, value.p, row);
    b->head.count++;
    return 0;
}

static void cut(qd_part_buffer *b, uint32_t doc)
{
    while (b->head.count && b->docs[b->head.count - 1] >= doc) b->head.count--;
}

static uint64_t bytes_of(const qd_part_buffer *b)
{
    return (uint64_t)b->head.count * (4 + b->head.dims * sizeof(float));
}

static int32_t write(qd_part_buffer *b, uint32_t docs, const qd_part_sink *s, qd_err *err)
{
    size_t n = b->head.count;
    (void)docs;
    int32_t rc = s->write(s, &b->head, sizeof b->head, err);
    if (!rc && n) rc = s->write(s, b->docs, n * sizeof *b->docs, err);
    if (!rc && n) rc = s->write(s, b->vectors, n * b->head.dims * sizeof(float), err);
    return rc;
}

static void end(qd_part_buffer *b)
{
    mem->free(b->docs);
    mem->free(b->vectors);
    mem->free(b);
}

/* --- reading ---------------------------------------------------------------------------------- */

/* The head, if it fits the length. */
static int32_t read_head(const qd_part_bytes *b, part_head *h, qd_err *err)
{
    const qd_part_range range = {0, sizeof *h};
    const void *p;
    int32_t rc = b->read(b, &range, 1, &p, err);
    if (rc) return rc;
    memcpy(h, p, sizeof *h);
    if (h->dims < 1 || h->dims > DIMS_MAX || h->similarity > SIMILARITY_DOT || h->count > b->docs ||
        vectors_at(h->count) + (uint64_t)h->count * h->dims * sizeof(float) != b->length)
        return b->corrupt(b, 0, QD_STR("head of the vectors"), err);
    return 0;
}

static int32_t plan(qd_self *self, const qd_part_bytes *b, qd_part_range *ranges, uint32_t *n,
                    qd_err *err)
{
    (void)self;
    (void)err;
    ranges[0].offset = 0; /* where the documents end is in the head: they follow by themselves */
    ranges[0].length = b->length < sizeof(part_head) ? b->length : sizeof(part_head);
    *n = 1;
    return 0;
}

static int32_t open_part(qd_self *self, const qd_part_bytes *b, qd_part_reader **out, qd_err *err)
{
    part_head h;
    const void *p = NULL;
    int32_t rc = read_head(b, &h, err);
    const qd_part_range range = {sizeof h, rc ? 0 : (uint64_t)h.count * 4};
    if (!rc && h.count) rc = b->read(b, &range, 1, &p, err);
    if (rc) return rc;
    qd_part_reader *r = (qd_part_reader *)mem->calloc(self, sizeof *r);
    uint32_t *docs = (uint32_t *)mem->alloc(self, (h.count + (size_t)1) * sizeof *docs);
    if (!r || !docs) {
        mem->free(r);
        mem->free(docs);
        return qd_plug_fail(errors, err, QD_E_NOMEM, "out of memory: vectors");
    }
    if (h.count) memcpy(docs, p, h.count * sizeof *docs);
    for (uint32_t i = 0; !rc && i < h.count; i++)
        if (docs[i] >= b->docs || (i && docs[i - 1] >= docs[i]))
            rc = b->corrupt(b, sizeof h + (uint64_t)i * 4, QD_STR("document of a vector"), err);
    r->bytes = b;
    r->head = h;
    r->docs = docs;
    b->release(b);
    if (!rc) {
        *out = r;
        return 0;
    }
    mem->free(docs);
    mem->free(r);
    return rc;
}

static void close_part(qd_part_reader *r)
{
    mem->free(r->docs);
    mem->free(r);
}

/* --- merging ---------------------------------------------------------------------------------- */

/* A vector that stays: its new document, where it is. */
typedef struct place {
    uint32_t doc, source, row, reserved;
} place;

static int by_doc(const void *a, const void *b)
{
    const place *x = (const place *)a, *y = (const place *)b;
    return x->doc < y->doc ? -1 : x->doc > y->doc;
}

/* Writes the vectors of the places in their order, some rows at a time. */
static int32_t write_rows(const qd_part_source *s, uint32_t n, const place *p, size_t count,
                          uint32_t dims, const qd_part_sink *sink, qd_err *err)
{
    size_t row = dims * sizeof(float);
    int32_t rc = 0;
    for (size_t at = 0; !rc && at < count;) {
        for (uint32_t k = 0; !rc && k < ROWS && at < count; k++, at++) {
            const qd_part_bytes *b = s[p[at].source].bytes;
            const void *v;
            part_head h;
            if ((rc = read_head(b, &h, err))) break;
            const qd_part_range range = {vectors_at(h.count) + p[at].row * (uint64_t)row, row};
            rc = b->read(b, &range, 1, &v, err);
            if (!rc) rc = sink->write(sink, v, row, err);
        }
        for (uint32_t i = 0; i < n; i++) s[i].bytes->release(s[i].bytes);
    }
    return rc;
}

static int32_t merge(qd_self *self, const qd_part_source *s, uint32_t n, uint32_t docs,
                     const qd_part_sink *sink, qd_err *err)
{
    part_head out;
    memset(&out, 0, sizeof out);
    int32_t rc = 0;
    place *places = (place *)mem->alloc(self, (docs + (size_t)1) * sizeof *places);
    if (!places) return qd_plug_fail(errors, err, QD_E_NOMEM, "out of memory: vectors of a merge");
    for (uint32_t i = 0; !rc && i < n; i++) {
        qd_part_reader *r = NULL;
        if ((rc = open_part(self, s[i].bytes, &r, err))) break;
        if (i && r->head.dims != out.dims)
            rc = s[i].bytes->corrupt(s[i].bytes, 0, QD_STR("dimensions of the vectors"), err);
        out.dims = r->head.dims;
        out.similarity = r->head.similarity;
        for (uint32_t k = 0; !rc && k < r->head.count; k++) {
            uint32_t doc = s[i].map[r->docs[k]];
            if (doc == QD_PART_GONE) continue;
            const place p = {doc, i, k, 0};
            places[out.count++] = p;
        }
        close_part(r);
    }
    if (!rc) {
        qsort(places, out.count, sizeof *places, by_doc);
        rc = sink->write(sink, &out, sizeof out, err);
    }
    for (uint32_t k = 0; !rc && k < out.count; k++) rc = sink->write(sink, &places[k].doc, 4, err);
    if (!rc) rc = write_rows(s, n, places, out.count, out.dims, sink, err);
    mem->free(places);
    return rc;
}

/* --- the check -------------------------------------------------------------------------------- */

static int32_t check_part(qd_self *self, const qd_part_bytes *b, const qd_part_findings *f,
                          qd_err *err)
{
    qd_part_reader *r = NULL;
    int32_t rc = open_part(self, b, &r, err);
    if (rc) return rc;
    for (uint32_t k = 0; !rc && k < r->head.count; k++) {
        uint64_t row = r->head.dims * sizeof(float), at = vectors_at(r->head.count) + k * row;
        const qd_part_range range = {at, row};
        const void *p;
        float v[DIMS_MAX];
        if ((rc = b->read(b, &range, 1, &p, err))) break;
        memcpy(v, p, row);
        for (uint32_t i = 0; i < r->head.dims; i++)
            if (!isfinite(v[i]))
                f->found(f, at + i * sizeof(float), QD_STR("a value is no number"));
        b->release(b);
    }
    close_part(r);
    return rc;
}

static const qd_part_vtable part = {sizeof(qd_part_vtable),
                                    0,
                                    1,
                                    1,
                                    begin,
                                    add,
                                    cut,
                                    bytes_of,
                                    write,
                                    end,
                                    plan,
                                    open_part,
                                    close_part,
                                    merge,
                                    check_part};

/* --- hits ------------------------------------------------------------------------------------- */

/* The numbers that the index has, which are floats. */
static int32_t show(const qd_field_conf *c, qd_json_in *in, qd_json_out *out, qd_err *err)
{
    float v[DIMS_MAX];
    uint32_t n = 0;
    qd_jev ev;
    (void)c;
    int32_t rc = vector_parse(in, v, &n, err);
    memset(&ev, 0, sizeof ev);
    ev.type = QD_JEV_FLOAT;
    for (uint32_t i = 0; rc == 0 && i < n; i++) {
        ev.number = (double)v[i];
        json->put(out, &ev);
    }
    return rc;
}

static const qd_field_vtable field = {QD_VTABLE(qd_field_vtable, FIELD, QD_FIELD_PART),
                                      params,
                                      sizeof(qd_field_param),
                                      0,
                                      check,
                                      parse,
                                      &part,
                                      show,
                                      NULL};

/* --- the plugin ------------------------------------------------------------------------------- */

static int32_t init(qd_self *self, const qd_host *host, qd_err *err)
{
    mem = (const qd_svc_mem *)host->service(self, QD_SERVICE_MEM, 0);
    json = (const qd_svc_json *)host->service(self, QD_SERVICE_JSON, 0);
    errors = (const qd_svc_err *)host->service(self, QD_SERVICE_ERR, 0);
    if (!mem || !json || !errors) return qd_plug_no_service(host, self, err);
    int32_t rc = host->provide(self, QD_KIND_FIELD, TYPE, &field, err);
    return rc ? rc : host->provide(self, QD_KIND_OPERATOR, "nearest", &nearest, err);
}

static const qd_plugin plugin = {QD_PLUGIN_HEAD(0), "example-vectors", "1.0.0", "Apache-2.0",
                                 QD_PLUGIN_TAIL(NULL, init, NULL, NULL)};

QD_PLUGIN_ENTRY(plugin)
QD_PLUGIN_NOTE("example-vectors", "1.0.0", 0, 2, QD_NOTE_FOR(FIELD), QD_NOTE_FOR(OPERATOR))
