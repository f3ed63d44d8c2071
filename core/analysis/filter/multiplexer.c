/*
 * multiplexer.c: multiplexer: each token through several chains of filters; what they make of it
 * stands at its position, each term once.
 */
#include "analysis/builtin_int.h"
#include "analysis/filter/emit_int.h"

enum { BRANCHES_MAX = 32, FILTERS_MAX = 64 };

typedef struct multiplexer {
    qd_part head;
    uint32_t nbranches, nfilters;
    uint32_t end[BRANCHES_MAX]; /* a branch is the filters before its end */
    qd_part *filters[FILTERS_MAX];
} multiplexer;

/* Tokens of the whole value, in and out. A branch has the scratch's batches to itself, and a text
 * area of its own: filters may write all over it. */
typedef struct mux {
    qd_analysis *s;
    QD_VEC(qd_emit_token) in, out;
    size_t first; /* output of the present token */
    char *text;   /* the text area that the scratch does not have now */
    size_t ntext, text_cap;
} mux;

/* Exchanges the text areas of the value and of branches. */
static void text_swap(mux *m)
{
    qd_analysis *s = m->s;
    char *text = s->text;
    size_t n = s->ntext, cap = s->text_cap;
    s->text = m->text;
    s->ntext = m->ntext;
    s->text_cap = m->text_cap;
    m->text = text;
    m->ntext = n;
    m->text_cap = cap;
}

/* Appends a term of the other text area to the scratch's. */
static int text_take(mux *m, qd_span from, qd_span *to)
{
    return qd_text_add(m->s, m->text + from.from, from.to - from.from, to);
}

/* Is that term of the branch's text area among the outputs of the token? */
static bool is_there(const mux *m, qd_span term)
{
    qd_str is = {m->text + term.from, term.to - term.from};
    for (size_t k = m->first; k < m->out.n; k++) {
        qd_span x = m->out.at[k].term;
        if (qd_str_eq(is, (qd_str){m->s->text + x.from, x.to - x.from})) return true;
    }
    return false;
}

/* Appends what a branch made of the token. */
static int take(mux *m, const qd_emit_token *from)
{
    qd_emit e = {.s = m->s};
    int rc = 0;
    text_swap(m);
    for (size_t i = 0; !rc && i < m->s->b->t.n; i++) {
        qd_emit_token t = qd_emit_get(&e, i);
        if (is_there(m, t.term)) continue;
        t.inc = m->out.n == m->first ? from->inc : 0;
        rc = text_take(m, t.term, &t.term);
        if (!rc) rc = qd_vec_push(&m->out, &m->s->account, t);
    }
    return rc;
}

/* The scratch's batch is that token alone, its text area the branch's. */
static int load(mux *m, const qd_emit_token *t, uint32_t has)
{
    qd_analysis *s = m->s;
    qd_emit e = {s, s->b};
    qd_emit_token own = *t;
    s->b->t.n = 0;
    s->b->t.has = s->spare->t.has = has;
    s->b->t.end_inc = 0;
    s->shared = false;
    text_swap(m);
    s->ntext = 0;
    int rc = qd_batch_reserve(s, s->b, 1);
    if (!rc) rc = qd_text_reserve(s, 1); /* an empty term has text behind it, too */
    if (!rc) rc = text_take(m, t->term, &own.term);
    return rc ? rc : qd_emit_put(&e, &own);
}

static int multiplex(const multiplexer *f, mux *m, const qd_emit_token *t, uint32_t has,
                     qd_err *err)
{
    uint32_t i = 0;
    int rc = 0;
    m->first = m->out.n;
    for (uint32_t k = 0; !rc && k < f->nbranches; k++) {
        rc = load(m, t, has);
        for (; !rc && i < f->end[k]; i++) rc = f->filters[i]->ops->run(f->filters[i], m->s, err);
        if (rc)
            text_swap(m);
        else
            rc = take(m, t);
    }
    return rc;
}

/* The batch is the output; tokens that all branches dropped leave holes. */
static int write_all(mux *m, uint32_t has, uint32_t end_inc)
{
    qd_analysis *s = m->s;
    qd_emit e = {s, s->b};
    s->b->t.n = 0;
    s->b->t.has = has;
    s->b->t.end_inc = end_inc;
    int rc = qd_batch_reserve(s, s->b, m->out.n + 1);
    for (size_t i = 0; !rc && i < m->out.n; i++) rc = qd_emit_put(&e, &m->out.at[i]);
    s->shared = true;
    return rc;
}

static int multiplexer_run(const qd_part *p, qd_analysis *s, qd_err *err)
{
    const multiplexer *f = (const multiplexer *)p;
    mux m = {.s = s};
    const qd_tokens *t = &s->b->t;
    qd_emit e = {.s = s};
    uint32_t holes = 0;
    int rc = qd_batch_need(s, s->b, QD_TOKENS_INC);
    if (!rc) rc = qd_batch_need(s, s->b, QD_TOKENS_KEYWORD);
    if (!rc && f->head.want & QD_ANALYZE_TYPES) rc = qd_batch_need(s, s->b, QD_TOKENS_TYPE);
    if (!rc) rc = qd_batch_need(s, s->b, QD_TOKENS_LENGTH);
    for (size_t i = 0; !rc && i < t->n; i++)
        rc = qd_vec_push(&m.in, &s->account, qd_emit_get(&e, i));
    uint32_t has = t->has, end_inc = t->end_inc;
    for (size_t i = 0; !rc && i < m.in.n; i++) {
        qd_emit_token one = m.in.at[i];
        one.inc += holes;
        rc = multiplex(f, &m, &one, has, err);
        holes = m.out.n == m.first ? one.inc : 0;
    }
    if (!rc) rc = write_all(&m, has, end_inc + holes);
    qd_vec_fini(&m.in);
    qd_vec_fini(&m.out);
    qd_free(m.text);
    return rc;
}

static void multiplexer_free(qd_part *p)
{
    multiplexer *f = (multiplexer *)p;
    for (uint32_t i = 0; i < f->nfilters; i++) qd_part_unref(f->filters[i]);
    qd_part_release(p);
}

static const qd_part_ops multiplexer_ops = {multiplexer_run, multiplexer_free, NULL};

/* Appends the filter of that name to the present branch. */
static int filter_add(multiplexer *f, const qd_part_conf *c, qd_str name, qd_err *err)
{
    qd_part *p;
    if (f->nfilters == FILTERS_MAX)
        return qd_err_set(err, QD_E_ARG, "filter [%.*s] names more than %d filters",
                          QD_STR_ARG(c->name), FILTERS_MAX);
    int rc = qd_part_named(c, name, &p, err);
    if (rc) return rc;
    f->filters[f->nfilters++] = p;
    if (p->ops->in_chain || p->foreign)
        return qd_err_set(err, QD_E_ARG,
                          "Token filter [%.*s] cannot be used in multiplexer [%.*s]: it works on "
                          "more than one token",
                          QD_STR_ARG(name), QD_STR_ARG(c->name));
    f->head.want |= p->want;
    f->head.search_only |= p->search_only;
    f->head.keywords |= p->keywords;
    qd_part_needs(&f->head, p->level);
    return 0;
}

/* "a, b": a branch of two filters. */
static int branch_add(multiplexer *f, const qd_part_conf *c, qd_str names, qd_err *err)
{
    int rc = 0;
    if (f->nbranches == BRANCHES_MAX)
        return qd_err_set(err, QD_E_ARG, "filter [%.*s] has more than %d chains",
                          QD_STR_ARG(c->name), BRANCHES_MAX);
    while (!rc && names.p) {
        qd_str name = qd_str_trim(qd_str_split(&names, ','));
        if (name.n) rc = filter_add(f, c, name, err);
    }
    f->end[f->nbranches++] = f->nfilters;
    return rc;
}

int qd_make_multiplexer(const qd_part_conf *c, qd_part **out, qd_err *err)
{
    bool preserve;
    const qd_analysis_setting *set = qd_conf_find(c, "filters");
    int rc = qd_conf_bool(c, "preserve_original", true, &preserve, err);
    if (!rc)
        rc = qd_part_alloc(c, sizeof(multiplexer), QD_STAGE_FILTER, &multiplexer_ops, out, err);
    if (rc) return rc;
    multiplexer *f = (multiplexer *)*out;
    f->head.no_synonyms = true;
    if (preserve) f->nbranches = 1; /* of no filters */
    for (size_t i = 0; !rc && set && i < set->nvalues; i++)
        rc = branch_add(f, c, set->values[i], err);
    if (rc) multiplexer_free(*out);
    return rc;
}
