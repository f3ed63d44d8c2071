/*
 * source_phrase.c: a phrase over a field that is indexed without positions. The child says which
 * documents hold all words; then the text of each candidate is read from its source and analyzed
 * again, some documents a fetch. The task's end is looked at before each document.
 */
#include "search/highlight/highlight_int.h"
#include "search/leaf/window_int.h"
#include "search/nodes/nodes_int.h"
#include "json/tree.h"

#define FETCH_DOCS 32u                    /* whose sources are read at once */
#define ANALYSIS_BYTES ((size_t)64 << 20) /* of one value's words */

/* Of a plan. */
typedef struct phrase_plan {
    qdi_node *child;
    qdi_node words; /* as of an indexed phrase, for qdi_sloppy_make */
} phrase_plan;

/* Of a segment. */
typedef struct verifier {
    qdi_lnode *child;
    const qd_node_source_phrase *of;
    const qd_stored *stored;
    qd_account *account;
    qd_arena arena; /* of one fetch */
    qd_arena tree;  /* of one source */
    qd_analysis *analysis;
    qd_stored_scratch scratch;
    qdi_positions *pos;  /* by slot */
    uint32_t *offset;    /* by slot: its position in the query */
    uint32_t *slot_of;   /* by term of the phrase */
    uint32_t nslots, at; /* at: position of the last word, from 1 */
    bool any;            /* a value was seen */
    struct qdi_sloppy *sloppy;
    qd_err *err;
} verifier;

static void describe(const qd_node *n, bool in_bool, qd_buf *to)
{
    const qd_node_source_phrase *s = &n->u.source_phrase;
    (void)in_bool;
    qdi_put(to, "SourcePhrase(");
    qdi_put_field(to, s->phrase.field);
    qdi_put(to, "\"");
    for (uint32_t i = 0; i < s->phrase.n; i++) {
        if (i) qdi_put(to, " ");
        qdi_put_str(to, s->phrase.terms[i].term);
        if (s->phrase.terms[i].prefix) qdi_put(to, "*");
    }
    qdi_put(to, "\"");
    if (s->phrase.slop) {
        qdi_put(to, "~");
        qdi_put_int(to, s->phrase.slop);
    }
    qdi_put(to, ")");
}

static int matches(qdi_gather *g, const qd_node *n, float boost)
{
    const qd_node_phrase *p = &n->u.source_phrase.phrase;
    qd_highlighter *h = g->h;
    if (!qdi_highlight_wants(g, p->field) || h->nphrases == QDI_HIGHLIGHT_LISTS_MAX) return 0;
    if (!g->counting) h->phrases[h->nphrases] = (highlight_phrase){p->terms, p->n, p->slop};
    qdi_highlight_flat(g, HIGHLIGHT_FLAT_PHRASE, (qd_str){NULL, 0}, h->nphrases, boost);
    h->nphrases++;
    return 0;
}

/* --- the plan --------------------------------------------------------------------------------- */

static int slots_of(qd_plan *p, const qd_node_phrase *ph, qdi_node *to, qd_err *err)
{
    qdi_field *f = qdi_plan_field(p, ph->field, err);
    qdi_phrase_slot *slots = qd_arena_calloc(p->arena, (ph->n + 1) * sizeof *slots);
    qdi_term **terms = qd_arena_calloc(p->arena, (ph->n + 1) * sizeof *terms);
    uint32_t n = 0;
    if (!f) return QD_E_NOMEM;
    if (!slots || !terms) return qd_err_nomem(err, "query plan");
    for (uint32_t i = 0; i < ph->n; i++) {
        bool again = i && ph->terms[i].position == ph->terms[i - 1].position;
        if (i && ph->terms[i].position < ph->terms[i - 1].position)
            return qd_err_set(err, QD_E_ARG, "positions of a phrase must ascend");
        if (!again)
            slots[n++] = (qdi_phrase_slot){.position = ph->terms[i].position, .terms = terms + i};
        if (ph->terms[i].prefix) continue; /* which words it stands for shows in the text */
        qdi_phrase_slot *s = &slots[n - 1];
        s->terms[s->n] = qdi_plan_term(p, f, ph->terms[i].term, NULL, err);
        if (!s->terms[s->n++]) return QD_E_NOMEM;
    }
    to->u.phrase.field = f;
    to->u.phrase.slots = slots;
    to->u.phrase.n = n;
    to->u.phrase.slop = ph->slop;
    return 0;
}

static int compile(qd_plan *p, const qd_node *n, qdi_above a, qdi_node **out, qd_err *err)
{
    phrase_plan *own = qd_arena_calloc(p->arena, sizeof *own);
    if (!own) return qd_err_nomem(err, "query plan");
    int rc = qdi_compile(p, n->u.source_phrase.child, (qdi_above){1, false, a.depth + 1},
                         &own->child, err);
    if (rc) return rc;
    if (qdi_plan_can(own->child, QDI_NODE_NOTHING)) {
        *out = own->child;
        return 0;
    }
    qdi_node *x = qdi_plan_node(p, &qdi_node_source_phrase, n, a.boost, a.scores, err);
    if (!x) return QD_E_NOMEM;
    x->u.own = own;
    *out = x;
    return slots_of(p, &n->u.source_phrase.phrase, &own->words, err);
}

/* --- a segment -------------------------------------------------------------------------------- */

static void verifier_free(void *arg)
{
    verifier *v = arg;
    for (uint32_t i = 0; i < v->nslots; i++) qd_free(v->pos[i].at);
    qd_analysis_free(v->analysis);
    qd_stored_scratch_fini(&v->scratch);
    qd_arena_fini(&v->arena);
    qd_arena_fini(&v->tree);
}

static int plan(qdi_run *r, const qdi_node *x, qdi_lnode *l, qd_err *err)
{
    const phrase_plan *own = x->u.own;
    const qd_node_phrase *ph = &x->from->u.source_phrase.phrase;
    uint32_t n = own->words.u.phrase.n;
    verifier *v = qd_arena_calloc(r->arena, sizeof *v);
    if (!v) return qd_err_nomem(err, "search");
    int rc = qdi_leaf_plan(r, own->child, &v->child, err);
    v->stored = qd_segment_stored(r->leaf->segment);
    if (rc || qdi_leaf_can(v->child, QDI_NODE_NOTHING) || !v->stored) return rc;
    v->of = &x->from->u.source_phrase;
    v->account = r->plan->account;
    v->scratch.account = v->account;
    qd_arena_init(&v->arena, v->account, 0);
    qd_arena_init(&v->tree, v->account, 0);
    if (qd_arena_on_reset(r->arena, verifier_free, v)) return qd_err_nomem(err, "search");
    v->analysis = qd_analysis_make(v->account, ANALYSIS_BYTES);
    v->pos = qd_arena_calloc(r->arena, n * sizeof *v->pos);
    v->offset = qd_arena_calloc(r->arena, n * sizeof *v->offset);
    v->slot_of = qd_arena_calloc(r->arena, ph->n * sizeof *v->slot_of);
    if (!v->analysis || !v->pos || !v->offset || !v->slot_of) return qd_err_nomem(err, "search");
    v->nslots = n;
    for (uint32_t s = 0, i = 0; s < n; s++) {
        v->offset[s] = own->words.u.phrase.slots[s].position;
        for (; i < ph->n && ph->terms[i].position == v->offset[s]; i++) v->slot_of[i] = s;
    }
    if (ph->slop && !(v->sloppy = qdi_sloppy_make(&own->words, r->arena)))
        return qd_err_nomem(err, "search");
    l->cost = v->child->cost;
    l->u.own = v;
    l->type = &qdi_node_source_phrase;
    return 0;
}

static void ready(qdi_lnode *l)
{
    verifier *v = l->u.own;
    qdi_leaf_ready(v->child);
}

static uint32_t next(qdi_run *r, qdi_lnode *l, uint32_t from)
{
    verifier *v = l->u.own;
    return qdi_next(r, v->child, from);
}

/* --- the text of a document ------------------------------------------------------------------- */

static int found(verifier *v, uint32_t slot)
{
    qdi_positions *to = &v->pos[slot];
    if (to->n == to->cap) {
        uint32_t cap = to->cap ? 2 * to->cap : 64;
        uint32_t *more = qd_realloc(v->account, to->at, cap * sizeof *more);
        if (!more) return qd_err_nomem(v->err, "positions of a phrase");
        to->at = more;
        to->cap = cap;
    }
    if (!to->n || to->at[to->n - 1] != v->at) to->at[to->n++] = v->at;
    return 0;
}

/* Words of one value, at the positions that the index would give them. */
static int add_value(verifier *v, qd_str text)
{
    const qd_node_phrase *ph = &v->of->phrase;
    const qd_tokens *t;
    int rc = qd_analyzer_run(v->of->analyzer, v->analysis, text, 0, &t, v->err);
    if (rc) return rc;
    if (v->any) v->at += v->of->gap;
    v->any = true;
    for (size_t i = 0; i < t->n && !rc; i++) {
        qd_str word = qd_tokens_term(t, i);
        v->at += t->has & QD_TOKENS_INC ? t->inc[i] : 1;
        for (uint32_t k = 0; k < ph->n && !rc; k++) {
            bool same = ph->terms[k].prefix ? qd_str_starts(word, ph->terms[k].term)
                                            : qd_str_eq(word, ph->terms[k].term);
            if (same) rc = found(v, v->slot_of[k]);
        }
    }
    v->at += t->end_inc;
    return rc;
}

/* Values at a path, through arrays, objects and names with dots; as deep as the reader lets a
 * source be. */
static int walk(verifier *v, const qd_json_node *n, qd_str path)
{
    int rc = 0;
    if (n->type == QD_JSON_T_NULL) return 0;
    if (n->type == QD_JSON_T_ARRAY) {
        for (const qd_json_node *c = n->first; c && !rc; c = c->next) rc = walk(v, c, path);
        return rc;
    }
    if (n->type != QD_JSON_T_OBJECT) return path.n ? 0 : add_value(v, qd_json_text(n));
    for (const qd_json_node *c = n->first; c && path.n && !rc; c = c->next) {
        if (!qd_str_starts(path, c->key)) continue;
        if (c->key.n == path.n)
            rc = walk(v, c, (qd_str){"", 0});
        else if (path.p[c->key.n] == '.')
            rc = walk(v, c, qd_str_sub(path, c->key.n + 1, path.n));
    }
    return rc;
}

static int verify(verifier *v, qd_str source, bool *yes)
{
    qd_json_node *root = NULL;
    *yes = false;
    if (!source.n) return 0;
    v->at = 0;
    v->any = false;
    for (uint32_t s = 0; s < v->nslots; s++) v->pos[s].n = 0;
    qd_arena_reset(&v->tree);
    int rc = qd_json_parse(&v->tree, source, 0, &root, v->err);
    for (uint32_t i = 0; i < v->of->npaths && !rc; i++) rc = walk(v, root, v->of->paths[i]);
    if (rc) return rc;
    for (uint32_t s = 0; s < v->nslots; s++)
        if (!v->pos[s].n) return 0;
    float freq =
        v->sloppy ? qdi_phrase_sloppy(v->sloppy, v->pos, v->offset, v->nslots, v->of->phrase.slop)
                  : qdi_phrase_exact(v->pos, v->offset, v->nslots);
    *yes = freq > 0;
    return 0;
}

/* Takes those of a few documents out of the window that do not hold the phrase. */
static int verify_few(qdi_run *r, verifier *v, const uint32_t *docs, uint32_t n, const qdi_win *w,
                      uint64_t *out, qd_err *err)
{
    uint32_t slot[FETCH_DOCS];
    int rc = 0;
    qd_arena_reset(&v->arena);
    qd_reads *reads = qd_reads_make(&v->arena, v->account);
    if (!reads) return qd_err_nomem(err, "sources of a phrase");
    for (uint32_t i = 0; i < n && !rc; i++)
        rc = qd_stored_plan(v->stored, docs[i], reads, &slot[i], err);
    if (!rc) rc = qd_reads_fetch(reads, err);
    for (uint32_t i = 0; i < n && !rc; i++) {
        qd_str source;
        bool yes = false;
        rc = qdi_run_tick(r);
        if (!rc) rc = qd_stored_get(v->stored, docs[i], reads, slot[i], &v->scratch, &source, err);
        if (!rc) rc = verify(v, source, &yes);
        uint32_t at = docs[i] - w->from;
        if (!rc && !yes) out[at >> 6] &= ~((uint64_t)1 << (at & 63));
    }
    if (!rc) rc = qd_reads_check(reads, err);
    qd_reads_release(reads);
    return rc;
}

static int fill(qdi_run *r, qdi_lnode *l, const qdi_win *w, const uint64_t *cand, uint64_t *out,
                double *acc, qd_err *err)
{
    verifier *v = l->u.own;
    uint32_t docs[FETCH_DOCS], n = 0;
    v->err = err;
    int rc = qdi_fill(r, v->child, w, cand, out, NULL, err);
    for (uint32_t k = 0; k < w->words && !rc; k++) {
        for (uint64_t bits = out[k]; bits && !rc; bits &= bits - 1) {
            docs[n++] = w->from + k * 64 + (uint32_t)__builtin_ctzll(bits);
            if (n < FETCH_DOCS) continue;
            rc = verify_few(r, v, docs, n, w, out, err);
            n = 0;
        }
    }
    if (!rc && n) rc = verify_few(r, v, docs, n, w, out, err);
    if (!rc) qdi_add_boost(l, w, out, acc);
    return rc;
}

const qd_node_type qdi_node_source_phrase = {.name = "source_phrase",
                                             .flags = QDI_NODE_FLAT,
                                             .describe = describe,
                                             .matches = matches,
                                             .may_match = qdi_child_may_match,
                                             .compile = compile,
                                             .plan = plan,
                                             .ready = ready,
                                             .next = next,
                                             .bound = qdi_bound_boost,
                                             .fill = fill};
