/* script_doc.c: the host of scripts on a segment. */
#include "search/script_doc.h"
#include "base/geo.h"
#include "runtime/task.h"
#include "script/object.h"
#include "search/script_vector.h"
#include "segment/columns.h"
#include "segment/segment.h"

/* The column of a field, opened. */
typedef struct column {
    struct column *next;
    const qd_field *field;
    qd_column_reader *rd; /* NULL: the segment has none */
    qd_dict_reader *dict; /* of strings */
    qd_sv *values;        /* of the present document */
    uint32_t cap;
    uint32_t count, doc; /* values of that document, read in that epoch (0: of none) */
    uint64_t epoch;
    qd_arena texts;  /* of the present document */
    bool plain;      /* each document of the segment has one value */
    int64_t *window; /* of a block of documents, decoded */
    uint32_t first, n;
} column;

struct qd_script_doc {
    const qd_script_bind *bind;
    const struct qd_segment *segment;
    qd_arena arena;  /* columns */
    qd_arena params; /* with the source of the present document */
    qd_reads *reads;
    qd_account *account;
    column **slots; /* by the script's fields; NULL: not opened yet */
    column *others; /* named at run time */
    struct vectors {
        struct vectors *next;
        qd_script_vectors *of;
    } * vectors; /* fields of vectors that were asked for */
    qd_script_exec x;
    uint32_t doc;
    uint64_t epoch;                /* counts what was forgotten */
    struct qd_script_batch *batch; /* NULL: it runs one by one */
    bool tried;
    qd_script_lane *lanes, **columns;
    int (*emit)(void *arg, const qd_sv *v, uint32_t n, qd_err *err);
    void *emit_arg;
};

static int open_column(qd_script_doc *d, const qd_field *f, column **out, qd_err *err)
{
    column *c = qd_arena_calloc(&d->arena, sizeof *c);
    const qd_columns *set = qd_segment_columns(d->segment);
    uint32_t number = qd_segment_field_find(d->segment, f->name);
    if (!c) return qd_err_nomem(err, "a column for a script");
    c->field = f;
    qd_arena_init(&c->texts, d->account, 16u << 20);
    *out = c;
    const qd_column *col = !set || number == QD_FIELD_NONE ? NULL : qd_columns_get(set, number);
    if (!col) return 0;
    if (!d->reads && !(d->reads = qd_reads_make(&d->arena, d->account)))
        return qd_err_nomem(err, "a column for a script");
    int rc = qd_column_plan(col, 0, qd_segment_docs(d->segment), d->reads, &d->arena, &c->rd, err);
    if (!rc && qd_column_stats_get(col)->type == QD_COLUMN_ORDINAL)
        rc = qd_dict_plan_all(col, d->reads, &d->arena, &c->dict, err);
    const qd_column_stats *st = qd_column_stats_get(col);
    c->plain = st->dense && !st->multi && st->type == QD_COLUMN_I64;
    return rc ? rc : qd_reads_fetch(d->reads, err);
}

static int refuse(const qd_field *f, qd_str name, qd_err *err)
{
    if (!f)
        return qd_err_set(err, QD_E_ARG, "No field found for [%.*s] in mapping", QD_STR_ARG(name));
    if (f->value_class == QD_VALUE_TEXT)
        return qd_err_set(err, QD_E_ARG,
                          "Text fields are not optimised for operations that require per-document "
                          "field data like aggregations and sorting, so these operations are "
                          "disabled by default. Please use a keyword field instead. "
                          "Alternatively, set fielddata=true on [%.*s] in order to load field "
                          "data by uninverting the inverted index. Note that this can use "
                          "significant memory.",
                          QD_STR_ARG(name));
    if (!f->doc_values)
        return qd_err_set(err, QD_E_ARG,
                          "Can't load fielddata on [%.*s] because fielddata is unsupported on "
                          "fields of type [%s]. Use doc values instead.",
                          QD_STR_ARG(name), qd_field_type_name(f));
    if (f->value_class == QD_VALUE_RANGE || f->blob || f->value_class == QD_VALUE_OPAQUE)
        return qd_err_set(err, QD_E_ARG,
                          "scripts cannot read fields of type [%s] in this version, as [%.*s] is",
                          qd_field_type_name(f), QD_STR_ARG(name));
    return 0;
}

/* The field of a script by its number, or by its name. */
static int find(qd_script_doc *d, int slot, qd_str name, column **out, qd_err *err)
{
    const qd_field *f = NULL;
    if (slot >= 0 && d->slots[slot]) {
        *out = d->slots[slot];
        return 0;
    }
    if (slot >= 0)
        f = d->bind->fields[slot];
    else {
        for (column *c = d->others; c; c = c->next)
            if (qd_str_eq(c->field->shown, name)) {
                *out = c;
                return 0;
            }
        int rc = qd_mapping_find(d->bind->mapping, name, &d->arena, &f, err);
        if (rc) return rc;
    }
    if (!f && qd_str_is(name, "_seq_no")) { /* no mapping has it, all documents do */
        qd_field *own = qd_arena_alloc(&d->arena, sizeof *own);
        if (!own) return qd_err_nomem(err, "a column for a script");
        qd_field_bare(own, QD_STR("long"), QD_STR("_seq_no"));
        f = own;
    }
    int rc = refuse(f, name, err);
    if (!rc) rc = open_column(d, f, out, err);
    if (rc) return rc;
    if (slot >= 0)
        d->slots[slot] = *out;
    else {
        (*out)->next = d->others;
        d->others = *out;
    }
    return 0;
}

/* A value of a number column as scripts see it. */
static int number(qd_script_doc *d, column *c, int64_t v, qd_sv *out)
{
    const qd_field *f = c->field;
    if (f->dates) {
        qd_sv_time *t = qd_arena_alloc(&c->texts, sizeof *t);
        if (!t) return QD_E_NOMEM;
        int64_t ms = f->nanos ? qd_nanos_to_ms(v) : v;
        *t = (qd_sv_time){.ms = ms, .rest = f->nanos ? (int32_t)(v - ms * 1000000) : 0};
        *out = (qd_sv){.tag = QD_SV_DATE, .object = t};
    } else if (f->value_class == QD_VALUE_GEO) {
        qd_geo *p = qd_arena_alloc(&c->texts, sizeof *p);
        if (!p) return QD_E_NOMEM;
        *p = qd_geo_decode(v);
        *out = (qd_sv){.tag = QD_SV_GEO, .object = p};
    } else if (f->value_class == QD_VALUE_BOOL)
        *out = qd_sv_bool(v);
    else if (f->number == QD_NUMBER_INTEGER)
        *out = qd_sv_long(v);
    else if (f->number == QD_NUMBER_UNSIGNED)
        *out = qd_sv_long((int64_t)qd_u64_decode(v));
    else
        *out = qd_sv_double(qd_field_f64(f, v));
    (void)d;
    return 0;
}

static int text(column *c, int64_t ord, qd_sv *out, qd_err *err)
{
    qd_str bytes;
    char room[46];
    int rc = qd_dict_at(c->dict, (uint32_t)ord, &bytes, err);
    if (rc) return rc;
    if (c->field->value_class == QD_VALUE_IP && bytes.n == 16)
        bytes = (qd_str){room, qd_ip_print(room, (const uint8_t *)bytes.p)};
    else
        bytes = qd_field_column_term(c->field, bytes);
    return qd_sv_str_copy(&c->texts, bytes, out);
}

/* The vector of a field that has some. */
static int vector_at(qd_script_doc *d, const qd_field *f, qd_script_vector *out, qd_err *err)
{
    struct vectors *x = d->vectors;
    while (x && !qd_script_vectors_of(x->of, f)) x = x->next;
    if (!x) {
        x = qd_arena_calloc(&d->arena, sizeof *x);
        if (!x) return qd_err_nomem(err, "vectors for a script");
        int rc = qd_script_vectors_open((struct qd_segment *)(uintptr_t)d->segment, f, &d->arena,
                                        d->account, &x->of, err);
        if (x->of) {
            x->next = d->vectors;
            d->vectors = x;
        }
        if (rc) return rc;
    }
    return qd_script_vectors_at(x->of, d->doc, out, err);
}

static int vector_of(void *self, qd_str name, qd_script_vector *out, qd_err *err)
{
    qd_script_doc *d = self;
    const qd_field *f = qd_mapping_field(d->bind->mapping, name);
    if (!f)
        return qd_err_set(err, QD_E_ARG, "No field found for [%.*s] in mapping", QD_STR_ARG(name));
    if (!f->vectors)
        return qd_err_set(err, QD_E_ARG, "Field [%.*s] of type [%s] has no vectors",
                          QD_STR_ARG(name), qd_field_type_name(f));
    return vector_at(d, f, out, err);
}

/* A field of vectors has one value, which scripts read as a vector. */
static int values_of_vector(qd_script_doc *d, const qd_field *f, qd_script_values *out, qd_err *err)
{
    static const qd_sv none = {.tag = QD_SV_NULL};
    qd_script_vector v;
    int rc = vector_at(d, f, &v, err);
    *out = (qd_script_values){.n = !rc && v.row, .v = &none, .vector = true};
    return rc;
}

static int values_of(void *self, int slot, qd_str name, qd_script_values *out, qd_err *err)
{
    qd_script_doc *d = self;
    column *c;
    const int64_t *v;
    uint32_t n = 0;
    const qd_field *f = slot >= 0 ? d->bind->fields[slot] : NULL;
    if (f && f->vectors) return values_of_vector(d, f, out, err);
    int rc = find(d, slot, name, &c, err);
    if (rc && slot < 0) { /* named at run time */
        f = qd_mapping_field(d->bind->mapping, name);
        if (!f || !f->vectors) return rc;
        if (err) qd_err_fini(err);
        return values_of_vector(d, f, out, err);
    }
    if (rc) return rc;
    if (c->epoch == d->epoch && c->doc == d->doc) { /* as a loop asks again */
        *out = (qd_script_values){.n = c->count, .v = c->values};
        return 0;
    }
    *out = (qd_script_values){0};
    if (c->rd) rc = qd_column_values(c->rd, d->doc, &v, &n, err);
    if (rc || !n) return rc;
    if (n > c->cap) {
        c->values = qd_arena_alloc(&d->arena, 2u * n * sizeof *c->values);
        c->cap = c->values ? 2 * n : 0;
        if (!c->values) return qd_err_nomem(err, "values for a script");
    }
    for (uint32_t i = 0; i < n && !rc; i++) {
        /* the reader's values go with its next call: a copy first */
        c->values[i].i = v[i];
    }
    for (uint32_t i = 0; i < n && !rc; i++)
        rc = c->dict ? text(c, c->values[i].i, &c->values[i], err)
                     : number(d, c, c->values[i].i, &c->values[i]);
    *out = (qd_script_values){.n = n, .v = c->values};
    if (!rc) c->count = n, c->doc = d->doc, c->epoch = d->epoch;
    return rc == QD_E_NOMEM && !(err && err->code) ? qd_err_nomem(err, "values for a script") : rc;
}

static bool has(void *self, qd_str name)
{
    const qd_script_doc *d = self;
    return qd_mapping_field(d->bind->mapping, name) != NULL;
}

static void close_doc(void *arg)
{
    qd_script_doc *d = arg;
    const qd_str *names;
    uint32_t n = qd_script_fields(d->bind->script, &names);
    for (uint32_t i = 0; i < n; i++)
        if (d->slots[i]) qd_arena_fini(&d->slots[i]->texts);
    for (column *c = d->others; c; c = c->next) qd_arena_fini(&c->texts);
    for (struct vectors *v = d->vectors; v; v = v->next) qd_script_vectors_close(v->of);
    qd_script_exec_close(&d->x);
    qd_arena_fini(&d->params);
    qd_arena_fini(&d->arena);
}

int qd_script_doc_open(const qd_script_bind *b, const struct qd_segment *segment, qd_arena *arena,
                       qd_account *account, qd_script_doc **out, qd_err *err)
{
    const qd_str *names;
    uint32_t n = qd_script_fields(b->script, &names);
    qd_script_doc *d = qd_arena_calloc(arena, sizeof *d);
    if (d) d->slots = qd_arena_calloc(arena, (n + 1) * sizeof(column *));
    if (!d || !d->slots) return qd_err_nomem(err, "a script");
    d->bind = b;
    d->segment = segment;
    d->account = account;
    d->epoch = 1;
    qd_arena_init(&d->arena, account, 0);
    qd_arena_init(&d->params, account, 0);
    qd_script_exec_open(&d->x, b->script, account);
    if (qd_arena_on_reset(arena, close_doc, d)) return qd_err_nomem(err, "a script");
    d->x.host = (qd_script_host){.values = values_of, .vector = vector_of, .has = has, .self = d};
    d->x.now_ms = b->now_ms;
    qd_sv *params = &d->x.vars[QD_SCRIPT_V_PARAMS];
    int rc = qd_script_params_make(&d->arena, b->params, params, err);
    if (!rc) qd_script_params_fix(params);
    *out = d;
    return rc;
}

void qd_script_doc_forget(qd_script_doc *d)
{
    const qd_str *names;
    uint32_t n = qd_script_fields(d->bind->script, &names);
    d->epoch++;
    if (d->x.arena.chunk) qd_arena_reset(&d->x.arena);
    for (uint32_t i = 0; i < n; i++)
        if (d->slots[i] && d->slots[i]->texts.chunk) qd_arena_reset(&d->slots[i]->texts);
    for (column *c = d->others; c; c = c->next) qd_arena_reset(&c->texts);
}

size_t qd_script_doc_held(const qd_script_doc *d)
{
    const qd_str *names;
    uint32_t n = qd_script_fields(d->bind->script, &names);
    size_t held = d->x.arena.total;
    for (uint32_t i = 0; i < n; i++)
        if (d->slots[i]) held += d->slots[i]->texts.total;
    for (const column *c = d->others; c; c = c->next) held += c->texts.total;
    return held;
}

int qd_script_doc_run_on(qd_script_doc *d, uint32_t doc, double score, qd_sv *out, qd_err *err)
{
    d->doc = doc;
    d->x.vars[QD_SCRIPT_V_SCORE] = qd_sv_double(score);
    return qd_script_run(&d->x, out, err);
}

int qd_script_doc_run(qd_script_doc *d, uint32_t doc, double score, qd_sv *out, qd_err *err)
{
    qd_script_doc_forget(d);
    return qd_script_doc_run_on(d, doc, score, out, err);
}

int qd_script_doc_source(qd_script_doc *d, qd_str json, qd_err *err)
{
    qd_sv *params = &d->x.vars[QD_SCRIPT_V_PARAMS], source;
    qd_arena_reset(&d->params);
    int rc = qd_script_params_make(&d->params, d->bind->params, params, err);
    if (!rc) rc = qd_sv_parse(&d->params, json, &source, err);
    if (!rc && qd_sv_map_put(&d->params, params->map, QD_STR("_source"), source))
        rc = qd_err_nomem(err, "a script");
    if (!rc) qd_script_params_fix(params);
    return rc;
}

static int emitted(void *self, const qd_sv *v, uint32_t n, qd_err *err)
{
    qd_script_doc *d = self;
    return d->emit ? d->emit(d->emit_arg, v, n, err) : 0;
}

void qd_script_doc_emit(qd_script_doc *d,
                        int (*emit)(void *arg, const qd_sv *v, uint32_t n, qd_err *err), void *arg)
{
    d->emit = emit;
    d->emit_arg = arg;
    d->x.host.emit = emitted;
}

bool qd_script_doc_reads_source(const qd_script_doc *d)
{
    return qd_str_find_str(qd_script_source(d->bind->script), QD_STR("_source")) >= 0;
}

qd_script_exec *qd_script_doc_exec(qd_script_doc *d)
{
    return &d->x;
}

static uint8_t kind_of(const qd_field *f)
{
    if (!f || f->value_class != QD_VALUE_I64 || f->dates || !f->doc_values ||
        f->number == QD_NUMBER_UNSIGNED)
        return QD_SCRIPT_KIND_NONE;
    return f->number == QD_NUMBER_INTEGER ? QD_SCRIPT_KIND_LONG : QD_SCRIPT_KIND_DOUBLE;
}

/* The program over columns, made at the first block. */
static bool batch_make(qd_script_doc *d)
{
    const qd_str *names;
    uint32_t n = qd_script_fields(d->bind->script, &names);
    uint8_t *kinds = qd_arena_calloc(&d->arena, n + 1);
    d->tried = true;
    if (!kinds) return false;
    for (uint32_t i = 0; i < n; i++) kinds[i] = kind_of(d->bind->fields[i]);
    if (qd_script_batch_make(d->bind->script, kinds, &d->x.vars[QD_SCRIPT_V_PARAMS], &d->arena,
                             &d->batch) ||
        !d->batch)
        return false;
    uint32_t regs = qd_script_batch_regs(d->batch);
    d->lanes = qd_arena_alloc(&d->arena, (n + regs + 1) * sizeof *d->lanes);
    d->columns = qd_arena_calloc(&d->arena, (n + 1) * sizeof(qd_script_lane *));
    if (!d->lanes || !d->columns) d->batch = NULL;
    for (uint32_t i = 0; d->batch && i < n; i++) d->columns[i] = &d->lanes[regs + i];
    return d->batch != NULL;
}

#define FEW 32u /* documents of a block that are looked up one by one */

/* Decodes the block of a document; false: it is not there in one piece. */
static bool window_of(qd_script_doc *d, column *c, uint32_t doc)
{
    uint32_t from = doc / QD_COLUMN_BLOCK * QD_COLUMN_BLOCK, docs = qd_segment_docs(d->segment);
    uint32_t to = docs - from < QD_COLUMN_BLOCK ? docs : from + QD_COLUMN_BLOCK;
    qd_column_cursor at;
    qd_column_batch b;
    if (c->n && from == c->first) return true;
    if (!c->window) c->window = qd_arena_alloc(&d->arena, QD_COLUMN_BLOCK * sizeof *c->window);
    if (!c->window) return false;
    c->n = 0;
    qd_column_over_range(&at, from, to);
    if (qd_column_next(c->rd, &at, &b, NULL) != 1 || b.n != to - from || b.docs || !b.values)
        return false;
    memcpy(c->window, b.values, b.n * sizeof *b.values);
    c->first = from;
    c->n = b.n;
    return true;
}

/* The values of documents of one block, where each has one. */
static bool from_window(qd_script_doc *d, column *c, const uint32_t *docs, uint32_t n, int64_t *to)
{
    if (!c->plain || n < FEW || docs[0] / QD_COLUMN_BLOCK != docs[n - 1] / QD_COLUMN_BLOCK ||
        !window_of(d, c, docs[0]))
        return false;
    for (uint32_t i = 0; i < n; i++) to[i] = c->window[docs[i] - c->first];
    return true;
}

/* The first values of a column; false: a document has none. */
static bool gather(qd_script_doc *d, uint32_t slot, const uint32_t *docs, uint32_t n,
                   qd_script_lane *to)
{
    const qd_field *f = d->bind->fields[slot];
    column *c;
    if (find(d, (int)slot, f->shown, &c, NULL) || !c->rd) return false;
    if (!from_window(d, c, docs, n, to->i) &&
        qd_column_gather(c->rd, docs, n, QD_COLUMN_PICK_MIN, INT64_MIN, to->i, NULL))
        return false;
    for (uint32_t i = 0; i < n; i++) /* the least long of all means that there is none */
        if (to->i[i] == INT64_MIN) return false;
    if (f->number == QD_NUMBER_DOUBLE)
        qd_sortable_to_f64_n(to->i, to->f, n);
    else if (f->number != QD_NUMBER_INTEGER)
        for (uint32_t i = 0; i < n; i++) to->f[i] = qd_field_f64(f, to->i[i]);
    return true;
}

bool qd_script_doc_block(qd_script_doc *d, const uint32_t *docs, uint32_t n, const double *scores,
                         double *out)
{
    const qd_str *names;
    if (!d->batch && (d->tried || !batch_make(d))) return false;
    uint32_t fields = qd_script_fields(d->bind->script, &names);
    for (uint32_t i = 0; i < fields; i++)
        if (qd_script_batch_reads(d->batch, i) && !gather(d, i, docs, n, d->columns[i]))
            return false;
    qd_script_block in = {.n = n,
                          .columns = (const qd_script_lane *const *)d->columns,
                          .score = scores,
                          .regs = d->lanes};
    return qd_script_batch_run(d->batch, &in, out);
}

#define TICK 16u /* runs between two looks at the task */

int qd_script_doc_numbers(qd_script_doc *d, const uint32_t *docs, uint32_t n, const float *scores,
                          struct qd_task *task, double *out, qd_err *err)
{
    double score[QD_SCRIPT_BATCH] = {0};
    int rc = 0;
    for (uint32_t at = 0, k; at < n && !rc; at += k) {
        k = n - at < QD_SCRIPT_BATCH ? n - at : QD_SCRIPT_BATCH;
        for (uint32_t i = 0; i < k; i++) score[i] = scores ? (double)scores[at + i] : 0;
        if (qd_script_doc_block(d, docs + at, k, score, out + at)) {
            rc = qd_task_poll(task);
            continue;
        }
        for (uint32_t i = 0; i < k && !rc; i++) {
            qd_sv v;
            rc = i % TICK ? 0 : qd_task_poll(task);
            if (!rc) rc = qd_script_doc_run(d, docs[at + i], score[i], &v, err);
            if (!rc) out[at + i] = v.f;
        }
    }
    return rc;
}
