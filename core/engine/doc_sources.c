/* doc_sources.c: see doc_sources.h. */
#include "engine/doc_sources.h"
#include "base/str.h"
#include "segment/columns.h"

/* A field that the segment has values of. */
typedef struct given {
    const qd_field *f;
    const qd_column *c;
    qd_column_reader *rd;
    bool ordinals;
    qd_dict_reader **dict; /* by document, of its ordinals */
    qd_synthetic_value *v; /* by document */
} given;

typedef struct making {
    qd_segment *s;
    const uint32_t *docs;
    uint32_t n, ngiven;
    given *given;
    qd_arena *scratch;
    qd_reads *reads, *texts;
    qd_err *err;
} making;

static int nomem(making *x)
{
    return qd_err_nomem(x->err, "synthetic source");
}

static int plan_columns(making *x, const qd_mapping *m)
{
    uint32_t n;
    const qd_field *const *fields = qd_synthetic_fields(m, &n);
    const qd_columns *set = qd_segment_columns(x->s);
    x->given = qd_arena_alloc(x->scratch, (n + 1) * sizeof *x->given);
    if (!x->given) return nomem(x);
    int rc = 0;
    for (uint32_t i = 0; i < n && set && !rc; i++) {
        uint32_t f = qd_segment_field_find(x->s, fields[i]->name);
        const qd_column *c = f == QD_FIELD_NONE ? NULL : qd_columns_get(set, f);
        uint8_t type = c ? qd_column_stats_get(c)->type : QD_COLUMN_NONE;
        if (type != QD_COLUMN_I64 && type != QD_COLUMN_ORDINAL) continue;
        given *g = &x->given[x->ngiven++];
        *g = (given){.f = fields[i], .c = c, .ordinals = type == QD_COLUMN_ORDINAL};
        rc = qd_column_plan_docs(c, x->docs, x->n, x->reads, x->scratch, &g->rd, x->err);
    }
    return rc ? rc : qd_reads_fetch(x->reads, x->err);
}

/* Numbers are done; ordinals get readers of their texts. */
static int read_values(making *x, given *g)
{
    g->v = qd_arena_calloc(x->scratch, x->n * sizeof *g->v);
    g->dict = qd_arena_calloc(x->scratch, x->n * sizeof(qd_dict_reader *));
    if (!g->v || !g->dict) return nomem(x);
    int rc = 0;
    for (uint32_t i = 0; i < x->n && !rc; i++) {
        qd_synthetic_value *v = &g->v[i];
        const int64_t *from;
        v->field = g->f;
        rc = qd_column_values(g->rd, x->docs[i], &from, &v->n, x->err);
        if (rc || !v->n) continue;
        int64_t *to = qd_arena_alloc(x->scratch, v->n * sizeof *to);
        uint32_t *ords = g->ordinals ? qd_arena_alloc(x->scratch, v->n * sizeof *ords) : NULL;
        if (!to || (g->ordinals && !ords)) return nomem(x);
        memcpy(to, from, v->n * sizeof *to);
        v->i64 = to;
        for (uint32_t k = 0; k < v->n && g->ordinals; k++) ords[k] = (uint32_t)to[k];
        if (g->ordinals)
            rc = qd_dict_plan_ords(g->c, ords, v->n, x->texts, x->scratch, &g->dict[i], x->err);
    }
    return rc;
}

static int read_texts(making *x, given *g)
{
    int rc = 0;
    for (uint32_t i = 0; i < x->n && !rc; i++) {
        qd_synthetic_value *v = &g->v[i];
        if (!g->dict[i]) continue;
        qd_str *to = qd_arena_alloc(x->scratch, v->n * sizeof *to);
        if (!to) return nomem(x);
        for (uint32_t k = 0; k < v->n && !rc; k++) {
            qd_str text;
            rc = qd_dict_at(g->dict[i], (uint32_t)v->i64[k], &text, x->err);
            if (rc) break;
            to[k] = qd_arena_str(x->scratch, text);
            if (!to[k].p && text.n) return nomem(x);
            if (!to[k].p) to[k] = (qd_str){"", 0};
        }
        v->bytes = to;
    }
    return rc;
}

static int join(making *x, uint32_t i, qd_str *text, qd_arena *keep)
{
    qd_buf b;
    qd_synthetic_value *v = qd_arena_alloc(x->scratch, (x->ngiven + 1) * sizeof *v);
    if (!v) return nomem(x);
    for (uint32_t k = 0; k < x->ngiven; k++) v[k] = x->given[k].v[i];
    qd_buf_init(&b, keep->account, (size_t)2 << 30);
    int rc = qd_synthetic_join(*text, v, x->ngiven, keep->account, &b, x->err);
    if (!rc) *text = qd_arena_str(keep, qd_buf_view(&b));
    if (!rc && !text->p) rc = nomem(x);
    qd_buf_fini(&b);
    return rc;
}

int qd_sources_make(const qd_mapping *m, qd_segment *s, const uint32_t *docs, uint32_t n,
                    qd_str *text, qd_arena *keep, qd_arena *scratch, qd_err *err)
{
    making x = {.s = s, .docs = docs, .n = n, .scratch = scratch, .err = err};
    if (!n) return 0;
    x.reads = qd_reads_make(scratch, scratch->account);
    x.texts = qd_reads_make(scratch, scratch->account);
    int rc = x.reads && x.texts ? plan_columns(&x, m) : nomem(&x);
    for (uint32_t i = 0; i < x.ngiven && !rc; i++) rc = read_values(&x, &x.given[i]);
    if (!rc) rc = qd_reads_fetch(x.texts, err);
    for (uint32_t i = 0; i < x.ngiven && !rc; i++) rc = read_texts(&x, &x.given[i]);
    for (uint32_t i = 0; i < n && !rc; i++)
        if (text[i].n) rc = join(&x, i, &text[i], keep);
    if (!rc) rc = qd_reads_check(x.reads, err);
    if (!rc) rc = qd_reads_check(x.texts, err);
    if (x.texts) qd_reads_release(x.texts);
    if (x.reads) qd_reads_release(x.reads);
    return rc;
}
