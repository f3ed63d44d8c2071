/*
 * runtime.c: overlays of a searcher's segments, and their columns: a script, or the source, of each
 * document in turn. See runtime.h.
 *
 * Errors have no way back through the look-up of a name that makes a column: the first one stays
 * with the runtime, and whoever asked looks at it at the end.
 */
#include "query/runtime.h"
#include "runtime/task.h"
#include "search/runtime/runtime_int.h"
#include "search/script_doc.h"
#include "segment/live.h"
#include "segment/segment.h"
#include <stdlib.h>

#define TICK 16u    /* documents between two looks at the task */
#define DEEP_MAX 5u /* runtime fields that lead to one another */

typedef struct slot {
    bool made, making;
    qd_overlay_column *column; /* NULL: no document has a value */
} slot;

typedef struct qd_runtime qd_runtime;
typedef struct part {
    qd_runtime *r;
    const qd_leaf *base;
    qd_segment *overlay; /* the searcher's: not a reference of ours */
    slot *slots;         /* by field */
    uint32_t *docs;      /* narrow: of this leaf, ascending; ndocs */
    uint32_t ndocs;
} part;

struct qd_runtime {
    qd_arena arena;
    qd_account *account;
    qd_mapping *mapping;
    qd_searcher *base;
    qd_searcher *full; /* narrow: the one it is of; else NULL */
    bool narrow;
    int64_t now_ms;
    const qd_field *const *fields;
    qd_field_info *infos;
    uint32_t nfields;
    const qd_runtime_field *const *definitions;
    uint32_t ndefinitions;
    const qd_script_bind **binds; /* by definition */
    part *parts;                  /* by leaf */
    qd_str deep[DEEP_MAX];        /* definitions under way, outermost first */
    uint32_t ndeep;
    struct qd_task *task;
    int rc;
    qd_err err;
};

static void runtime_free(void *arg)
{
    qd_runtime *r = arg;
    uint32_t n = qd_searcher_leaves(r->base);
    for (uint32_t i = 0; r->parts && i < n; i++)
        for (uint32_t k = 0; r->parts[i].slots && k < r->nfields; k++)
            qd_overlay_column_free(r->parts[i].slots[k].column);
    qd_searcher_unref(r->full);
    qd_searcher_unref(r->base);
    qd_mapping_unref(r->mapping);
    qd_err_fini(&r->err);
    qd_arena_fini(&r->arena);
    qd_free(r);
}

static int failed(qd_runtime *r, int rc)
{
    if (!r->rc) r->rc = rc;
    return rc;
}

/* --- one definition in one segment ------------------------------------------------------------ */

/* The script of a definition, compiled at its first use. */
static int bind(qd_runtime *r, uint32_t at, qd_err *err)
{
    const qd_query_context c = {.arena = &r->arena, .mapping = r->mapping, .now_ms = r->now_ms};
    if (r->binds[at]) return 0;
    return qd_runtime_bind(&c, r->definitions[at], &r->binds[at], err);
}

typedef struct making {
    qd_runtime *r;
    const part *p;
    qdi_runtime_sink sink;
    qd_script_doc *script; /* NULL: out of the source */
    bool reads_source;
    uint32_t seen;
    qd_err *err;
} making;

/* May the run of a document be left out? Not where it used up what a run may have: others would,
 * too. */
static bool goes_on(const making *m, int rc)
{
    const qd_err *root = m->err;
    while (root->cause) root = root->cause;
    const char *type = qd_err_es_type(root);
    bool spent =
        strcmp(type, "painless_error") == 0 || strcmp(type, "circuit_breaking_exception") == 0;
    return m->sink.of->goes_on && rc == QD_E_ARG && !spent;
}

static int run_script(making *m, uint32_t doc)
{
    qd_sv unused;
    int rc = qd_script_doc_run(m->script, doc, 0, &unused, m->err);
    if (!rc || m->r->rc || !goes_on(m, rc)) return rc;
    qd_err_fini(m->err);
    qdi_runtime_undo(&m->sink);
    return 0;
}

static int one(void *arg, uint32_t doc, qd_str source)
{
    making *m = arg;
    int rc = m->seen++ % TICK ? 0 : qd_task_poll(m->r->task);
    if (m->r->rc) return m->r->rc; /* of a field that the script reads */
    if (rc || !qd_live_has(m->p->base->live, doc)) return rc;
    qdi_runtime_begin(&m->sink, doc);
    if (!m->script) return qdi_runtime_source(&m->sink, source, m->err);
    if (m->reads_source) rc = qd_script_doc_source(m->script, source, m->err);
    return rc ? rc : run_script(m, doc);
}

static int sources(making *m)
{
    const qd_stored *stored = qd_segment_stored(m->p->base->segment);
    qd_stored_scratch scratch = {.account = m->r->account};
    int rc = 0;
    if (!stored) return 0;
    for (uint32_t i = 0; m->r->narrow && i < m->p->ndocs && !rc; i++)
        rc = qd_stored_scan(stored, m->p->docs[i], m->p->docs[i] + 1, &scratch, one, m, m->err);
    if (!m->r->narrow) rc = qd_stored_scan(stored, 0, m->p->base->docs, &scratch, one, m, m->err);
    qd_stored_scratch_fini(&scratch);
    return rc;
}

/* A block of documents at once: false where the script cannot, or one has no value. */
static bool block(making *m, const uint32_t *docs, uint32_t n, int *rc)
{
    union {
        double f[QD_SCRIPT_BATCH];
        int64_t i[QD_SCRIPT_BATCH];
    } v;
    const qd_field *f = m->sink.of->fields[0];
    if (!qd_script_doc_block(m->script, docs, n, NULL, v.f)) return false;
    bool real = f->number == QD_NUMBER_DOUBLE;
    for (uint32_t i = 0; i < n && !*rc; i++)
        *rc = qd_overlay_buffer_i64(m->sink.columns[0], docs[i],
                                    real ? qd_f64_encode(v.f[i]) : v.i[i], m->err);
    return true;
}

static int scripts(making *m)
{
    uint32_t docs[QD_SCRIPT_BATCH], n = m->r->narrow ? m->p->ndocs : m->p->base->docs, k;
    int rc = 0;
    for (uint32_t at = 0; at < n && !rc;) {
        for (k = 0; at < n && k < QD_SCRIPT_BATCH; at++) {
            uint32_t doc = m->r->narrow ? m->p->docs[at] : at;
            if (qd_live_has(m->p->base->live, doc)) docs[k++] = doc;
        }
        rc = qd_task_poll(m->r->task);
        if (rc || !k || block(m, docs, k, &rc)) continue;
        for (uint32_t i = 0; i < k && !rc; i++) rc = one(m, docs[i], (qd_str){NULL, 0});
    }
    return rc;
}

static int open_making(making *m, uint32_t at, qd_arena *arena)
{
    qd_runtime *r = m->r;
    const qd_runtime_field *d = r->definitions[at];
    qd_account *payer = m->p->base->fielddata ? m->p->base->fielddata : r->account;
    int rc = d->script.p ? bind(r, at, m->err) : 0;
    m->sink.of = d;
    m->sink.columns = qd_arena_calloc(arena, d->n * sizeof(qd_overlay_buffer *));
    m->sink.n = qd_arena_calloc(arena, d->n * sizeof *m->sink.n);
    qd_arena_init(&m->sink.scratch, r->account, (size_t)QD_SCRIPT_MEMORY);
    if (!rc && (!m->sink.columns || !m->sink.n)) rc = qd_err_nomem(m->err, "a runtime field");
    for (uint32_t i = 0; i < d->n && !rc; i++) {
        uint8_t cls = d->fields[i]->value_class;
        bool strings = cls == QD_VALUE_TERM || cls == QD_VALUE_IP;
        rc = qd_overlay_buffer_make(strings ? QD_COLUMN_ORDINAL : QD_COLUMN_I64, m->p->base->docs,
                                    payer, &m->sink.columns[i], m->err);
    }
    if (!rc && d->script.p) {
        rc = qd_script_doc_open(r->binds[at], m->p->overlay, arena, r->account, &m->script, m->err);
        if (!rc) qd_script_doc_emit(m->script, qdi_runtime_emit, &m->sink);
        if (!rc) m->reads_source = qd_script_doc_reads_source(m->script);
    }
    return rc;
}

static uint32_t field_number(const qd_runtime *r, const qd_field *f)
{
    uint32_t i = 0;
    while (r->fields[i] != f) i++;
    return i;
}

static int make(part *p, uint32_t at, qd_err *err)
{
    qd_arena arena;
    making m = {.r = p->r, .p = p, .err = err};
    const qd_runtime_field *d = p->r->definitions[at];
    qd_arena_init(&arena, p->r->account, 0);
    int rc = open_making(&m, at, &arena);
    if (!rc) rc = !m.script || m.reads_source ? sources(&m) : scripts(&m);
    if (!rc) rc = p->r->rc;
    for (uint32_t i = 0; m.sink.columns && i < d->n; i++) {
        slot *s = &p->slots[field_number(p->r, d->fields[i])];
        if (!rc) rc = qd_overlay_column_make(m.sink.columns[i], &s->column, err);
        s->made = true;
        qd_overlay_buffer_free(m.sink.columns[i]);
    }
    qd_arena_fini(&m.sink.scratch);
    qd_arena_fini(&arena);
    return rc;
}

/* --- the overlay's questions ------------------------------------------------------------------ */

static int cyclic(qd_runtime *r, qd_str name)
{
    qd_buf b;
    qd_buf_init(&b, NULL, 1u << 20);
    for (uint32_t i = 0; i < r->ndeep; i++)
        (void)qd_buf_printf(&b, "%.*s -> ", QD_STR_ARG(r->deep[i]));
    (void)qd_buf_str(&b, name);
    qd_str path = qd_buf_view(&b);
    int rc = qd_err_set(&r->err, QD_E_ARG,
                        r->ndeep == DEEP_MAX
                            ? "Field requires resolving too many dependent fields: %.*s"
                            : "Cyclic dependency detected while resolving runtime fields: %.*s",
                        QD_STR_ARG(path));
    qd_buf_fini(&b);
    return rc;
}

static const slot *full_slot(const part *p, uint32_t i)
{
    if (!p->r->full) return NULL;
    const qd_runtime *full = qd_searcher_owner(p->r->full);
    const slot *s = &full->parts[p->base->index].slots[i];
    return s->made ? s : NULL;
}

static const qd_column *column(void *arg, uint32_t i)
{
    part *p = arg;
    qd_runtime *r = p->r;
    slot *s = &p->slots[i];
    const slot *other = s->made ? NULL : full_slot(p, i);
    if (s->made || other) return qd_overlay_column_of(other ? other->column : s->column);
    if (r->rc) return NULL;
    uint32_t at = 0;
    while (r->definitions[at] != r->fields[i]->runtime) at++;
    if (s->making || r->ndeep == DEEP_MAX) {
        (void)failed(r, cyclic(r, r->definitions[at]->name));
        return NULL;
    }
    r->deep[r->ndeep++] = r->definitions[at]->name;
    for (uint32_t k = 0; k < r->definitions[at]->n; k++)
        p->slots[field_number(r, r->definitions[at]->fields[k])].making = true;
    qd_err err;
    qd_err_init(&err);
    int rc = make(p, at, &err);
    for (uint32_t k = 0; k < r->definitions[at]->n; k++)
        p->slots[field_number(r, r->definitions[at]->fields[k])].making = false;
    r->ndeep--;
    if (rc && !r->rc) {
        r->rc = rc;
        qd_err_copy(&r->err, &err);
    }
    qd_err_fini(&err);
    return rc ? NULL : qd_overlay_column_of(s->column);
}

/* --- searchers -------------------------------------------------------------------------------- */

static int runtime_make(qd_searcher *base, const qd_mapping *mapping, int64_t now_ms,
                        qd_account *account, qd_runtime **out, qd_err *err)
{
    uint32_t leaves = qd_searcher_leaves(base);
    qd_runtime *r = qd_calloc(account, sizeof *r);
    if (!r) return qd_err_nomem(err, "runtime fields");
    qd_arena_init(&r->arena, account, 0);
    qd_err_init(&r->err);
    r->account = account;
    r->mapping = qd_mapping_ref(mapping);
    r->base = qd_searcher_ref(base);
    r->now_ms = now_ms;
    r->nfields = qd_mapping_runtime_fields(mapping, &r->fields);
    r->ndefinitions = qd_mapping_runtime(mapping, &r->definitions);
    r->infos = qd_arena_calloc(&r->arena, (r->nfields + 1ul) * sizeof *r->infos);
    r->binds = qd_arena_calloc(&r->arena, (r->ndefinitions + 1ul) * sizeof(qd_script_bind *));
    r->parts = qd_arena_calloc(&r->arena, (leaves + 1ul) * sizeof *r->parts);
    bool good = r->infos && r->binds && r->parts;
    for (uint32_t i = 0; good && i < r->nfields; i++) {
        uint8_t cls = r->fields[i]->value_class;
        bool strings = cls == QD_VALUE_TERM || cls == QD_VALUE_IP;
        r->infos[i] = (qd_field_info){.name = r->fields[i]->name,
                                      .column = strings ? QD_COLUMN_ORDINAL : QD_COLUMN_I64};
    }
    for (uint32_t i = 0; good && i < leaves; i++) {
        r->parts[i].r = r;
        r->parts[i].base = qd_searcher_leaf(base, i);
        r->parts[i].slots = qd_arena_calloc(&r->arena, (r->nfields + 1ul) * sizeof(slot));
        good = r->parts[i].slots != NULL;
    }
    if (!good) {
        runtime_free(r);
        return qd_err_nomem(err, "runtime fields");
    }
    *out = r;
    return 0;
}

/* The searcher that owns r; after an error r has gone. */
static int searcher_make(qd_runtime *r, qd_searcher **out, qd_err *err)
{
    uint32_t n = qd_searcher_leaves(r->base), k = 0;
    qd_segment **segments = qd_arena_calloc(&r->arena, (n + 1ul) * sizeof(qd_segment *));
    struct qd_live **live = qd_arena_calloc(&r->arena, (n + 1ul) * sizeof(struct qd_live *));
    int rc = segments && live ? 0 : qd_err_nomem(err, "runtime fields");
    for (; k < n && !rc; k++) {
        const qd_overlay o = {r->infos, r->nfields, column, &r->parts[k]};
        rc = qd_segment_overlay(r->parts[k].base->segment, &o, r->account, &segments[k], err);
        if (rc) break;
        r->parts[k].overlay = segments[k];
        live[k] = r->parts[k].base->live;
    }
    if (!rc) rc = qd_searcher_make(segments, live, n, r->account, out, err);
    for (uint32_t i = 0; i < k; i++) qd_segment_unref(segments[i]); /* the searcher has its own */
    if (rc) {
        runtime_free(r);
        return rc;
    }
    if (n) qd_searcher_fielddata_by(*out, r->parts[0].base->fielddata);
    qd_searcher_stand_for(*out, r->base, runtime_free, r);
    return 0;
}

int qd_runtime_searcher(qd_searcher *base, const qd_mapping *mapping, int64_t now_ms,
                        qd_account *account, qd_searcher **out, qd_err *err)
{
    qd_runtime *r;
    int rc = runtime_make(base, mapping, now_ms, account, &r, err);
    return rc ? rc : searcher_make(r, out, err);
}

static int by_number(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

int qd_runtime_narrow(qd_searcher *s, const uint32_t *docs, uint32_t n, qd_searcher **out,
                      qd_err *err)
{
    const qd_runtime *full = qd_searcher_owner(s);
    qd_runtime *r;
    if (!full || full->narrow) {
        *out = qd_searcher_ref(s);
        return 0;
    }
    int rc = runtime_make(full->base, full->mapping, full->now_ms, full->account, &r, err);
    if (rc) return rc;
    uint32_t *all = qd_arena_alloc(&r->arena, (n + 1ul) * sizeof *all);
    if (!all) {
        runtime_free(r);
        return qd_err_nomem(err, "runtime fields");
    }
    r->narrow = true;
    r->full = qd_searcher_ref(s);
    if (n) memcpy(all, docs, n * sizeof *all);
    qsort(all, n, sizeof *all, by_number);
    uint32_t last = UINT32_MAX;
    for (uint32_t i = 0; i < n; i++) {
        if (all[i] == last) continue;
        last = all[i];
        const qd_leaf *l = qd_searcher_leaf_of(r->base, all[i]);
        part *p = &r->parts[l->index];
        if (!p->docs) p->docs = &all[i];
        p->docs[p->ndocs++] = last - l->base; /* at or before i: in place */
    }
    return searcher_make(r, out, err);
}

void qd_runtime_task(qd_searcher *s, struct qd_task *task)
{
    qd_runtime *r = qd_searcher_owner(s);
    if (r) r->task = task;
}

int qd_runtime_status(const qd_searcher *s, qd_err *err)
{
    const qd_runtime *r = qd_searcher_owner(s);
    if (r && r->rc && r->err.code && err) qd_err_copy(err, &r->err);
    return r ? r->rc : 0;
}
