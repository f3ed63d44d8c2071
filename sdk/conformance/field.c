/*
 * field.c: the suite of the kind field: parameters and values, and an index part over segments in
 * memory. What a part keeps is opaque, so parts are compared as bytes: a merge must give what a
 * write over the same documents in the same order gives.
 */
#include "suite.h"

#define DOCS 60u
#define IMAGE (1u << 20)
#define VALUES 3u

typedef struct image {
    uint8_t bytes[IMAGE];
    uint64_t n;
    int full;
} image;

/* A part as the type reads it; ranges outside are refused. */
typedef struct part_file {
    qd_part_bytes b;
    const image *from;
} part_file;

typedef struct probe {
    qd_conform *c;
    const qd_field_vtable *vt;
    qd_field_value values[64];
    qd_field_conf conf;
    qd_str samples[VALUES], bad; /* JSON */
    uint32_t nsamples;
    char part[VALUES][4096]; /* what parse gave of them */
    size_t npart[VALUES];
    uint32_t got, parts; /* of one call of parse */
    char last[4096];
    size_t nlast;
    uint64_t found;
} probe;

static image images[4];

/* --- the host's side -------------------------------------------------------------------------- */

static int32_t take_i64(const qd_field_sink *s, int64_t v, qd_err *err)
{
    (void)v;
    (void)err;
    ((probe *)s->host)->got++;
    return 0;
}
static int32_t take_f64(const qd_field_sink *s, double v, qd_err *err)
{
    (void)v;
    (void)err;
    ((probe *)s->host)->got++;
    return 0;
}
static int32_t take_term(const qd_field_sink *s, qd_str v, qd_err *err)
{
    (void)v;
    (void)err;
    ((probe *)s->host)->got++;
    return 0;
}
static int32_t take_part(const qd_field_sink *s, qd_str v, qd_err *err)
{
    probe *p = (probe *)s->host;
    (void)err;
    p->parts++;
    if (v.n > sizeof p->last) return QD_E_LIMIT;
    if (v.n) memcpy(p->last, v.p, v.n);
    p->nlast = v.n;
    return 0;
}

static int32_t parse(probe *p, qd_str json)
{
    qd_field_sink sink = {sizeof sink, 0, p, take_i64, take_f64, take_term, take_part};
    qd_json_in *in = p->c->json_open(p->c, json);
    p->got = p->parts = 0;
    if (!in) return QD_E_NOMEM;
    int32_t rc = p->vt->parse(&p->conf, in, &sink, p->c->err);
    p->c->json_close(p->c, in);
    return rc;
}

static int32_t write_image(const qd_part_sink *s, const void *from, size_t n, qd_err *err)
{
    image *i = (image *)s->host;
    (void)err;
    if (n > IMAGE - i->n) {
        i->full = 1;
        return QD_E_NOSPACE;
    }
    if (n) memcpy(i->bytes + i->n, from, n);
    i->n += n;
    return 0;
}

static qd_part_sink sink_of(image *i)
{
    i->n = 0;
    i->full = 0;
    return (qd_part_sink){sizeof(qd_part_sink), 0, i, write_image};
}

static int32_t read_image(const qd_part_bytes *b, const qd_part_range *r, uint32_t n,
                          const void **out, qd_err *err)
{
    const part_file *f = (const part_file *)b->host;
    (void)err;
    for (uint32_t i = 0; i < n; i++) {
        if (r[i].offset > b->length || r[i].length > b->length - r[i].offset) return QD_E_CORRUPT;
        out[i] = f->from->bytes + r[i].offset;
    }
    return 0;
}

static void release_image(const qd_part_bytes *b)
{
    (void)b;
}

static int32_t corrupt_image(const qd_part_bytes *b, uint64_t offset, qd_str what, qd_err *err)
{
    (void)b;
    (void)offset;
    (void)what;
    (void)err;
    return QD_E_CORRUPT;
}

static void open_file(probe *p, part_file *f, const image *i, uint32_t docs)
{
    *f = (part_file){{sizeof f->b, p->vt->part->version, docs, 0, i->n, f, read_image,
                      release_image, corrupt_image},
                     i};
}

static void found(const qd_part_findings *f, uint64_t offset, qd_str text)
{
    (void)offset;
    (void)text;
    ((probe *)f->host)->found++;
}

/* --- parameters and values -------------------------------------------------------------------- */

static const qd_field_param *param_at(const probe *p, uint32_t i)
{
    const char *at = (const char *)p->vt->params + (size_t)i * p->vt->param_size;
    return (const qd_field_param *)(const void *)at;
}

/* "5", "-3": what an option says. */
static int64_t number(qd_str s)
{
    int64_t v = 0;
    size_t i = s.n && s.p[0] == '-';
    for (; i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; i++) v = v * 10 + (s.p[i] - '0');
    return s.n && s.p[0] == '-' ? -v : v;
}

/* The parameter's value: of the option param.NAME, else the default. */
static void read_param(probe *p, uint32_t i)
{
    const qd_field_param *row = param_at(p, i);
    qd_str v = row->value ? str_c(row->value) : (qd_str){NULL, 0};
    size_t n = strlen(row->name);
    if (v.n >= 2 && v.p[0] == '"') v = (qd_str){v.p + 1, v.n - 2};
    for (uint32_t k = 0; k < p->c->noptions; k++) {
        qd_str key = p->c->options[k].key;
        if (key.n == n + 6 && memcmp(key.p, "param.", 6) == 0 &&
            memcmp(key.p + 6, row->name, n) == 0) {
            v = p->c->options[k].value;
            p->values[i].given = 1;
        }
    }
    p->values[i].text = v;
    if (row->type == QD_FIELD_PARAM_BOOL) p->values[i].i64 = v.n == 4;
    if (row->type == QD_FIELD_PARAM_INT) p->values[i].i64 = number(v);
    if (row->type == QD_FIELD_PARAM_INT || row->type == QD_FIELD_PARAM_FLOAT)
        p->values[i].f64 = (double)number(v);
}

static void parameters_are_a_list(probe *p)
{
    uint32_t n = 0;
    if (p->vt->params) {
        CHECK(p->c, p->vt->param_size >= sizeof(qd_field_param));
        for (; param_at(p, n)->name; n++) {
            const qd_field_param *row = param_at(p, n);
            CHECK(p->c, n < COUNT(p->values) - 1);
            CHECK(p->c, row->type > QD_FIELD_PARAM_END && row->type <= QD_FIELD_PARAM_STRING);
            CHECK(p->c,
                  !(row->flags & ~(uint32_t)(QD_FIELD_PARAM_REQUIRED | QD_FIELD_PARAM_UPDATE)));
            CHECK(p->c, !(row->flags & QD_FIELD_PARAM_REQUIRED) || !row->value);
            CHECK(p->c, row->min <= row->max);
            read_param(p, n);
        }
    }
    p->conf = (qd_field_conf){sizeof p->conf, n, p->c->self, S("field"), p->values};
    uint64_t columns = p->vt->head.flags & (QD_FIELD_I64 | QD_FIELD_F64 | QD_FIELD_TERMS);
    CHECK(p->c, (columns & (columns - 1)) == 0);
    CHECK(p->c, p->vt->head.flags & (columns | QD_FIELD_PART));
    CHECK_EQ(p->c, p->vt->check(&p->conf, p->c->err), 0);
}

static void values_are_parsed(probe *p)
{
    for (uint32_t i = 0; i < p->nsamples; i++) {
        CHECK_EQ(p->c, parse(p, p->samples[i]), 0);
        CHECK(p->c, p->got + p->parts > 0);
        CHECK(p->c, p->parts <= 1);
        CHECK(p->c, p->parts == 0 || (p->vt->head.flags & QD_FIELD_PART));
        memcpy(p->part[i], p->last, p->nlast);
        p->npart[i] = p->nlast;
    }
}

static void bad_values_are_errors(probe *p)
{
    static const char *const broken[] = {"", "[", "[1,", "{\"a\":", "\"open"};
    for (size_t i = 0; i < COUNT(broken); i++) {
        CHECK(p->c, parse(p, str_c(broken[i])) < 0);
        p->c->err_clear(p->c);
    }
    if (!p->bad.n) return;
    CHECK(p->c, parse(p, p->bad) < 0);
}

/* What it shows of a value goes nowhere; that of a broken one is an error, and memory comes back.
 */
static void values_are_shown(probe *p)
{
    int64_t before = p->c->memory(p->c);
    for (uint32_t i = 0; i < p->nsamples; i++) {
        qd_json_in *in = p->c->json_open(p->c, p->samples[i]);
        CHECK(p->c, in != NULL);
        CHECK_EQ(p->c, p->vt->show(&p->conf, in, p->c->json_out(p->c), p->c->err), 0);
        p->c->json_close(p->c, in);
    }
    qd_json_in *in = p->c->json_open(p->c, S("[1,"));
    CHECK(p->c, in != NULL);
    CHECK(p->c, p->vt->show(&p->conf, in, p->c->json_out(p->c), p->c->err) < 0);
    p->c->json_close(p->c, in);
    p->c->err_clear(p->c);
    CHECK_EQ(p->c, p->c->memory(p->c), before);
}

/* --- the part --------------------------------------------------------------------------------- */

/* Has document d a value, and which? */
static int has(uint32_t d)
{
    return d % 4 != 1;
}
static qd_str value_of(const probe *p, uint32_t d)
{
    uint32_t i = d * 7 / 3 % p->nsamples;
    return (qd_str){p->part[i], p->npart[i]};
}

static int32_t add(probe *p, qd_part_buffer *b, uint32_t doc, uint32_t of)
{
    return has(of) ? p->vt->part->add(b, doc, value_of(p, of), p->c->err) : 0;
}

/* The part of a segment whose document i is order[i]; its bytes in `to`. */
static int32_t build(probe *p, const uint32_t *order, uint32_t n, image *to)
{
    qd_part_buffer *b;
    qd_part_sink sink = sink_of(to);
    int32_t rc = p->vt->part->begin(&p->conf, &b, p->c->err);
    if (rc) return rc;
    for (uint32_t i = 0; !rc && i < n; i++) rc = add(p, b, i, order[i]);
    if (!rc) rc = p->vt->part->write(b, n, &sink, p->c->err);
    p->vt->part->end(b);
    return rc;
}

static int equal(const image *a, const image *b)
{
    return a->n == b->n && memcmp(a->bytes, b->bytes, a->n) == 0;
}

static void count_up(uint32_t *order, uint32_t from, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) order[i] = from + i;
}

static void taken_back_documents_leave_nothing(probe *p)
{
    uint32_t order[DOCS];
    qd_part_buffer *b;
    count_up(order, 0, DOCS);
    CHECK_EQ(p->c, build(p, order, DOCS, &images[0]), 0);
    CHECK(p->c, !images[0].full);
    CHECK_EQ(p->c, p->vt->part->begin(&p->conf, &b, p->c->err), 0);
    for (int round = 0; round < 2; round++) {
        qd_part_sink sink = sink_of(&images[1]);
        for (uint32_t d = 0; d < DOCS; d++) {
            if (d % 5 == 0) {
                CHECK_EQ(p->c, add(p, b, d, d + 2), 0);
                p->vt->part->cut(b, d);
            }
            CHECK_EQ(p->c, add(p, b, d, d), 0);
        }
        CHECK(p->c, p->vt->part->bytes(b) > 0);
        CHECK_EQ(p->c, p->vt->part->write(b, DOCS, &sink, p->c->err), 0);
        CHECK(p->c, equal(&images[0], &images[1]));
        sink = sink_of(&images[1]); /* a flush that is tried again */
        CHECK_EQ(p->c, p->vt->part->write(b, DOCS, &sink, p->c->err), 0);
        CHECK(p->c, equal(&images[0], &images[1]));
        p->vt->part->cut(b, 0); /* and the slot is used again */
    }
    p->vt->part->end(b);
}

static void written_parts_open(probe *p)
{
    uint32_t order[DOCS], n = QD_PART_RANGES;
    qd_part_range ranges[QD_PART_RANGES];
    const void *at[QD_PART_RANGES];
    part_file f;
    qd_part_reader *r = NULL;
    count_up(order, 0, DOCS);
    for (uint32_t docs = 0; docs <= DOCS; docs += DOCS) { /* a segment without a value, too */
        CHECK_EQ(p->c, build(p, order, docs, &images[0]), 0);
        open_file(p, &f, &images[0], docs);
        n = QD_PART_RANGES;
        CHECK_EQ(p->c, p->vt->part->plan(p->c->self, &f.b, ranges, &n, p->c->err), 0);
        CHECK(p->c, n <= QD_PART_RANGES);
        CHECK_EQ(p->c, read_image(&f.b, ranges, n, at, p->c->err), 0);
        CHECK_EQ(p->c, p->vt->part->open(p->c->self, &f.b, &r, p->c->err), 0);
        p->vt->part->close(r);
        qd_part_findings to = {sizeof to, 0, p, found};
        p->found = 0;
        CHECK_EQ(p->c, p->vt->part->check(p->c->self, &f.b, &to, p->c->err), 0);
        CHECK_EQ(p->c, p->found, 0);
    }
}

/* Three segments of a third of the documents each, some deleted, into one; step: the order. */
static void merge_as(probe *p, uint32_t step)
{
    static uint32_t maps[3][DOCS], order[DOCS], of_new[DOCS];
    qd_part_source sources[3];
    part_file files[3];
    uint32_t third = DOCS / 3, live = 0;
    for (uint32_t d = 0; d < DOCS; d++) /* the d-th of the old ones in the new order */
        if (d * step % DOCS % 7 != 3) of_new[live++] = d * step % DOCS;
    for (uint32_t i = 0; i < 3; i++) {
        count_up(order, i * third, third);
        CHECK_EQ(p->c, build(p, order, third, &images[i]), 0);
        open_file(p, &files[i], &images[i], third);
        for (uint32_t d = 0; d < third; d++) maps[i][d] = QD_PART_GONE;
        sources[i] = (qd_part_source){&files[i].b, maps[i], third, 0};
    }
    for (uint32_t n = 0; n < live; n++) maps[of_new[n] / third][of_new[n] % third] = n;
    qd_part_sink sink = sink_of(&images[3]);
    CHECK_EQ(p->c, p->vt->part->merge(p->c->self, sources, 3, live, &sink, p->c->err), 0);
    CHECK_EQ(p->c, build(p, of_new, live, &images[0]), 0);
    CHECK(p->c, equal(&images[0], &images[3]));
}

/* The bytes are those of a disk: a shorter part has to be noticed, whatever is in it. */
static void cut_bytes_are_found(probe *p)
{
    uint32_t order[DOCS];
    count_up(order, 0, DOCS);
    CHECK_EQ(p->c, build(p, order, DOCS, &images[0]), 0);
    CHECK(p->c, images[0].n > 0);
    for (uint64_t n = 0, whole = images[0].n; n < whole; n += 1 + n / 16) {
        part_file f;
        qd_part_findings to = {sizeof to, 0, p, found};
        images[0].n = n;
        open_file(p, &f, &images[0], DOCS);
        images[0].n = whole;
        p->found = 0;
        int32_t rc = p->vt->part->check(p->c->self, &f.b, &to, p->c->err);
        CHECK(p->c, rc < 0 || p->found > 0);
        p->c->err_clear(p->c);
    }
}

/* No flipped bit may do more than give an error, a finding or another value. */
static void changed_bytes_do_no_harm(probe *p)
{
    uint32_t order[DOCS];
    count_up(order, 0, DOCS);
    CHECK_EQ(p->c, build(p, order, DOCS, &images[0]), 0);
    for (uint64_t i = 0; i < images[0].n * 8; i += 1 + i / 64) {
        part_file f;
        qd_part_reader *r = NULL;
        qd_part_findings to = {sizeof to, 0, p, found};
        images[0].bytes[i / 8] ^= (uint8_t)(1u << (i & 7));
        open_file(p, &f, &images[0], DOCS);
        if (p->vt->part->open(p->c->self, &f.b, &r, p->c->err) == 0) p->vt->part->close(r);
        (void)p->vt->part->check(p->c->self, &f.b, &to, p->c->err);
        images[0].bytes[i / 8] ^= (uint8_t)(1u << (i & 7));
        p->c->err_clear(p->c);
    }
}

static void memory_comes_back(probe *p)
{
    uint32_t order[DOCS];
    int64_t before = p->c->memory(p->c);
    count_up(order, 0, DOCS);
    for (int round = 0; round < 3; round++) {
        part_file f;
        qd_part_reader *r = NULL;
        CHECK_EQ(p->c, build(p, order, DOCS, &images[0]), 0);
        open_file(p, &f, &images[0], DOCS);
        CHECK_EQ(p->c, p->vt->part->open(p->c->self, &f.b, &r, p->c->err), 0);
        p->vt->part->close(r);
        merge_as(p, 1);
        if (p->c->outcome) return;
    }
    CHECK_EQ(p->c, p->c->memory(p->c), before);
}

/* An allocation that fails is QD_E_NOMEM, and loses nothing. */
static void missing_memory_is_an_error(probe *p)
{
    uint32_t order[DOCS];
    int64_t before = p->c->memory(p->c);
    count_up(order, 0, DOCS);
    for (uint64_t n = 1; n < 1000; n++) {
        (void)p->c->alloc_fail(p->c, n);
        int32_t rc = build(p, order, DOCS, &images[1]);
        (void)p->c->alloc_fail(p->c, 0);
        p->c->err_clear(p->c);
        CHECK_EQ(p->c, p->c->memory(p->c), before);
        if (rc == 0) return;
        CHECK_EQ(p->c, rc, QD_E_NOMEM);
    }
    CHECK(p->c, !"the part can be built at last");
}

void qd_conform_field(qd_conform *c, const char *name, const qd_field_vtable *vt)
{
    static probe p;
    (void)name;
    memset(&p, 0, sizeof p);
    p.c = c;
    p.vt = vt;
    for (uint32_t i = 0; i < c->noptions; i++) {
        qd_str key = c->options[i].key;
        if (key.n >= 5 && key.n <= 6 && memcmp(key.p, "value", 5) == 0 && p.nsamples < VALUES)
            p.samples[p.nsamples++] = c->options[i].value;
        if (key.n == 3 && memcmp(key.p, "bad", 3) == 0) p.bad = c->options[i].value;
    }
    RUN(c, "parameters are a list", parameters_are_a_list(&p));
    if (c->outcome) return;
    RUN(c, "bad values are errors", bad_values_are_errors(&p));
    if (!p.nsamples) {
        SKIP(c, "values are parsed", "give some: --option value='...' --option value2='...'");
        return;
    }
    RUN(c, "values are parsed", values_are_parsed(&p));
    if (!c->outcome && QD_HAS_SLOT(vt, show)) RUN(c, "values are shown", values_are_shown(&p));
    if (c->outcome || !(vt->head.flags & QD_FIELD_PART)) return;
    RUN(c, "documents taken back leave nothing", taken_back_documents_leave_nothing(&p));
    RUN(c, "written parts open", written_parts_open(&p));
    RUN(c, "a merge gives what a write gives", merge_as(&p, 1));
    RUN(c, "a merge in another order, too", merge_as(&p, 23));
    RUN(c, "cut bytes are found", cut_bytes_are_found(&p));
    RUN(c, "changed bytes do no harm", changed_bytes_do_no_harm(&p));
    RUN(c, "memory comes back", memory_comes_back(&p));
    RUN(c, "missing memory is an error", missing_memory_is_an_error(&p));
}
