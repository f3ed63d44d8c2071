/* shingles.c: a filter behind another analyzer's chain. See shingles.h. */
#include "analysis/shingles.h"
#include "analysis/analyzer_int.h"
#include "analysis/builtin_int.h"

#define ROUTES_MAX 1000u /* of stacked words from one word, as in Lucene's GraphTokenFilter */

typedef struct shingles {
    qd_part head;
    uint32_t size;
    bool prefixes;
} shingles;

/* A run being put together. */
typedef struct walk {
    const shingles *f;
    qd_analysis *s;
    size_t k;          /* tokens put out */
    uint32_t inc;      /* waits for the next one */
    uint32_t trailing; /* positions behind the last word */
    uint32_t routes;
    uint32_t word[QD_SHINGLE_MAX]; /* numbers of the words; UINT32_MAX: a hole */
    qd_err *err;
} walk;

static int put(walk *w, qd_span term)
{
    qd_batch *to = w->s->spare;
    if (w->k == to->cap[QD_COL_TERM]) {
        to->t.n = w->k;
        int rc = qd_batch_reserve(w->s, to, w->k + 1);
        if (rc) return rc;
    }
    qd_batch_copy(to, w->k, w->s->b, w->word[0]);
    to->t.term[w->k] = term;
    if (to->t.has & QD_TOKENS_OFFSETS)
        for (uint32_t i = 1; i < w->f->size; i++)
            if (w->word[i] != UINT32_MAX) to->t.offset[w->k].to = w->s->b->t.offset[w->word[i]].to;
    to->t.inc[w->k] = w->inc;
    if (to->t.has & QD_TOKENS_TYPE) to->t.type[w->k] = QD_TOKEN_SHINGLE;
    if (to->t.has & QD_TOKENS_LENGTH) to->t.length[w->k] = 1;
    w->k++;
    w->inc = 0;
    return 0;
}

/* The beginnings of a run. */
static int put_grams(walk *w, qd_span term)
{
    uint32_t to = term.from;
    for (uint32_t n = 0; n < QD_SHINGLE_GRAM && to < term.to; n++) {
        do to++;
        while (to < term.to && !qd_u8_start(w->s->text[to]));
        int rc = put(w, (qd_span){term.from, to});
        if (rc) return rc;
    }
    return to < term.to ? put(w, term) : 0;
}

/* The run of w->word. */
static int put_run(walk *w)
{
    qd_analysis *s = w->s;
    const qd_tokens *t = &s->b->t;
    size_t n = 0, bytes = w->f->size;
    qd_span term;
    if (++w->routes > ROUTES_MAX)
        return qd_err_set(w->err, QD_E_STATE, "Too many graph paths (> %u)", ROUTES_MAX);
    for (uint32_t i = 0; i < w->f->size; i++)
        if (w->word[i] != UINT32_MAX) bytes += t->term[w->word[i]].to - t->term[w->word[i]].from;
    int rc = qd_work_reserve(s, bytes);
    if (rc) return rc;
    char *out = s->work;
    for (uint32_t i = 0; i < w->f->size; i++) {
        if (i) out[n++] = QD_SHINGLE_SEPARATOR[0];
        if (w->word[i] == UINT32_MAX) continue;
        qd_span x = t->term[w->word[i]];
        memcpy(out + n, s->text + x.from, x.to - x.from);
        n += x.to - x.from;
    }
    rc = qd_text_add(s, out, n, &term);
    if (rc) return rc;
    return w->f->prefixes ? put_grams(w, term) : put(w, term);
}

static uint32_t inc_of(const qd_tokens *t, size_t i)
{
    return t->has & QD_TOKENS_INC ? t->inc[i] : 1;
}

/* Adds to the `have` words, of which the last is word i, all that may stand behind it; recursion
 * goes as deep as a run is long. */
static int extend(walk *w, size_t i, uint32_t have)
{
    const qd_tokens *t = &w->s->b->t;
    uint32_t size = w->f->size;
    if (have == size) return put_run(w);
    uint64_t passed = 0, span = qd_tokens_length(t, i);
    size_t j = i;
    do {
        if (++j >= t->n) break;
        passed += inc_of(t, j);
    } while (passed < span);
    if (j >= t->n) { /* the end: positions behind it are holes */
        if (have + w->trailing < size) return 0;
        for (uint32_t k = have; k < size; k++) w->word[k] = UINT32_MAX;
        return put_run(w);
    }
    int rc = 0;
    uint64_t holes = passed - span;
    for (uint32_t k = 0; k < holes && have < size; k++) w->word[have++] = UINT32_MAX;
    if (have == size) return put_run(w);
    do {
        w->word[have] = (uint32_t)j;
        rc = extend(w, j, have + 1);
        j++;
    } while (!rc && j < t->n && inc_of(t, j) == 0);
    return rc;
}

static int run(const qd_part *p, qd_analysis *s, qd_err *err)
{
    const shingles *f = (const shingles *)p;
    walk w = {.f = f, .s = s, .err = err};
    int rc = qd_batch_need(s, s->b, QD_TOKENS_INC);
    if (!rc) rc = qd_batch_like(s, s->spare, s->b, s->b->t.n * (f->prefixes ? 8 : 1) + 1);
    w.trailing = f->prefixes ? f->size - 1 : s->b->t.end_inc;
    for (size_t i = 0; !rc && i < s->b->t.n; i++) {
        w.inc += inc_of(&s->b->t, i);
        w.word[0] = (uint32_t)i;
        w.routes = 0;
        rc = extend(&w, i, 1);
    }
    s->spare->t.n = w.k;
    s->spare->t.common_type = QD_TOKEN_SHINGLE;
    s->spare->t.end_inc = w.inc + s->b->t.end_inc;
    s->shared |= f->prefixes;
    if (rc) return rc;
    uint32_t end = s->spare->t.end_inc;
    qd_analysis_swap(s);
    s->b->t.end_inc = end;
    return 0;
}

static const qd_part_ops ops = {run, qd_part_release, NULL};

static int make_filter(uint32_t size, bool prefixes, qd_part **out, qd_err *err)
{
    qd_part_conf c = {.name = prefixes ? QD_STR("_index_prefix") : QD_STR("_shingle")};
    int rc = qd_part_alloc(&c, sizeof(shingles), QD_STAGE_FILTER, &ops, out, err);
    if (rc) return rc;
    ((shingles *)*out)->size = size;
    ((shingles *)*out)->prefixes = prefixes;
    (*out)->no_synonyms = true;
    return 0;
}

int qd_analyzer_shingles(const qd_analyzer *base, uint32_t size, bool prefixes, qd_analyzer **out,
                         qd_err *err)
{
    qd_assert(size >= QD_SHINGLE_MIN && size <= QD_SHINGLE_MAX);
    uint32_t n = base->nparts;
    qd_part **parts = qd_alloc(NULL, (n + 1ul) * sizeof *parts);
    if (!parts) return qd_err_nomem(err, "analyzer");
    int rc = make_filter(size, prefixes, &parts[n], err);
    for (uint32_t i = 0; !rc && i < n; i++) parts[i] = qd_part_ref(base->parts[i]);
    if (!rc) {
        rc = qd_analyzer_make(base->name, parts, n + 1, base->nchar, base->gap, true, out, err);
        for (uint32_t i = 0; rc && i <= n; i++) qd_part_unref(parts[i]);
    }
    qd_free(parts);
    return rc;
}
