/*
 * synonym.c: the filters synonym_graph and synonym.
 *
 * A match of the longest rule becomes a fragment of a graph: nodes are positions, each synonym is a
 * path from the match's first node to its last, inner nodes are numbered path by path, the matched
 * tokens are the last path (Lucene's SynonymGraphFilter). So a synonym of several words lies beside
 * its input and position lengths tell where the paths meet again. `synonym` lays the words of a
 * path on the positions of the input instead, without lengths, as an index needs it
 * (SynonymFilter).
 *
 * The rules are analyzed by the chain in front of the filter, so each use in a chain has a map of
 * its own (in_chain).
 */
#include "analysis/builtin_int.h"
#include "analysis/filter/stop_int.h"
#include "analysis/filter/synonym_int.h"

typedef struct synonyms {
    qd_part head;
    bool graph, expand, lenient;
    QD_VEC(qd_str) lines; /* before in_chain: owned rules */
    qd_syn_map map;       /* after it */
} synonyms;

/* Longest rule at token i: its node and its number of tokens, 0 when none fits. */
static size_t match(const synonyms *f, const qd_analysis *s, size_t i, uint32_t *node)
{
    size_t best = 0;
    uint32_t at = 0;
    for (size_t k = i; k < s->b->t.n; k++) {
        at = qd_syn_step(&f->map, at, qd_term_ptr(s, k), qd_term_len(s, k));
        if (!at) break;
        if (f->map.nodes.at[at].final) {
            best = k - i + 1;
            *node = at;
        }
    }
    return best;
}

/* The walk's output. Nodes are counted from 0; last is the node where the last token began. */
typedef struct out {
    qd_analysis *s;
    int64_t last, next;
    qd_span offset; /* of the match */
} out;

static int room(out *o)
{
    qd_batch *b = o->s->spare;
    return b->t.n < b->cap[QD_COL_TERM] ? 0 : qd_batch_reserve(o->s, b, b->t.n + 1);
}

/* A token from node `from` to node `to`: an input token (i >= 0) or a synonym's word. */
static int put(out *o, int64_t i, qd_str word, int64_t from, int64_t to)
{
    int rc = room(o);
    if (rc) return rc;
    qd_batch *b = o->s->spare;
    size_t k = b->t.n;
    if (i >= 0) {
        qd_batch_copy(b, k, o->s->b, (size_t)i);
    } else {
        if ((rc = qd_text_add(o->s, word.p, word.n, &b->t.term[k]))) return rc;
        if (b->t.has & QD_TOKENS_OFFSETS) b->t.offset[k] = o->offset;
        if (b->t.has & QD_TOKENS_TYPE) b->t.type[k] = QD_TOKEN_SYNONYM;
        if (b->t.has & QD_TOKENS_KEYWORD) b->t.keyword[k] = 0;
    }
    b->t.inc[k] = (uint32_t)(from - o->last);
    b->t.length[k] = (uint32_t)(to - from);
    b->t.n++;
    o->last = from;
    return 0;
}

static size_t words_in(qd_str phrase)
{
    size_t n = 1;
    for (size_t i = 0; i < phrase.n; i++) n += phrase.p[i] == 0;
    return n;
}

/* The graph fragment of a match of `len` tokens at i. */
static int fragment(const synonyms *f, out *o, size_t i, size_t len, const qd_syn_node *n)
{
    const qd_str *phrases = f->map.phrases.words;
    int64_t inner = n->keep ? (int64_t)len - 1 : 0, start = o->next, used = 0;
    for (size_t p = 0; p < n->outputs.n; p++)
        inner += (int64_t)words_in(phrases[n->outputs.at[p]]) - 1;
    int64_t end = start + inner + 1;
    int rc = 0;
    /* all that leave the first node, the matched token last */
    for (size_t p = 0; !rc && p < n->outputs.n; p++) {
        qd_str rest = phrases[n->outputs.at[p]];
        int64_t words = (int64_t)words_in(rest);
        rc = put(o, -1, qd_str_split(&rest, '\0'), start, words == 1 ? end : start + used + 1);
        used += words - 1;
    }
    if (!rc && n->keep)
        rc = put(o, (int64_t)i, (qd_str){0}, start, len == 1 ? end : start + used + 1);
    /* then each path to its end */
    used = 0;
    for (size_t p = 0; !rc && p < n->outputs.n; p++) {
        qd_str rest = phrases[n->outputs.at[p]];
        (void)qd_str_split(&rest, '\0');
        while (!rc && rest.p) {
            qd_str word = qd_str_split(&rest, '\0');
            used++;
            rc = put(o, -1, word, start + used, rest.p ? start + used + 1 : end);
        }
    }
    for (size_t k = 1; !rc && n->keep && k < len; k++) {
        used++;
        rc = put(o, (int64_t)(i + k), (qd_str){0}, start + used,
                 k + 1 < len ? start + used + 1 : end);
    }
    o->next = end;
    return rc;
}

static int graph_run(const synonyms *f, out *o)
{
    qd_analysis *s = o->s;
    int rc = 0;
    for (size_t i = 0; !rc && i < s->b->t.n;) {
        uint32_t node = 0;
        size_t len = match(f, s, i, &node);
        if (len) {
            if (s->b->t.has & QD_TOKENS_OFFSETS)
                o->offset = (qd_span){s->b->t.offset[i].from, s->b->t.offset[i + len - 1].to};
            rc = fragment(f, o, i, len, &f->map.nodes.at[node]);
            i += len;
        } else {
            int64_t from = o->last + s->b->t.inc[i], to = from + s->b->t.length[i];
            rc = put(o, (int64_t)i, (qd_str){0}, from, to);
            o->next = to;
            i++;
        }
    }
    return rc;
}

/* A word of a synonym that waits for its position. */
typedef struct pending {
    uint32_t phrase; /* index of the phrase's word: byte offset in the phrase */
    uint32_t at;
    int64_t position;
    uint32_t end; /* offset, of a lone word; others inherit that of the input at their position */
    uint32_t length;
    uint64_t order; /* of waiting */
} pending;

typedef struct flat {
    out o;
    pending *wait; /* in the scratch's work area: a heap, the next one first */
    size_t n;
    uint64_t waited;
    qd_span at; /* offset of the last input token seen */
} flat;

static bool goes_first(const pending *a, const pending *b)
{
    return a->position != b->position ? a->position < b->position : a->order < b->order;
}

static void wait_push(flat *x, pending p)
{
    size_t k = x->n++;
    p.order = x->waited++;
    for (; k && goes_first(&p, &x->wait[(k - 1) / 2]); k = (k - 1) / 2)
        x->wait[k] = x->wait[(k - 1) / 2];
    x->wait[k] = p;
}

static pending wait_pop(flat *x)
{
    pending first = x->wait[0], last = x->wait[--x->n];
    size_t k = 0;
    for (size_t c; (c = 2 * k + 1) < x->n; k = c) {
        if (c + 1 < x->n && goes_first(&x->wait[c + 1], &x->wait[c])) c++;
        if (!goes_first(&x->wait[c], &last)) break;
        x->wait[k] = x->wait[c];
    }
    x->wait[k] = last;
    return first;
}

/* Emits what waits for positions up to `upto`, in the order of positions, then of waiting. */
static int flat_release(const synonyms *f, flat *x, int64_t upto)
{
    while (x->n && x->wait[0].position <= upto) {
        pending p = wait_pop(x);
        qd_str rest = qd_str_sub(f->map.phrases.words[p.phrase], p.at, SIZE_MAX);
        x->o.offset = (qd_span){x->at.from, p.end == UINT32_MAX ? x->at.to : p.end};
        int rc = put(&x->o, -1, qd_str_split(&rest, '\0'), p.position, p.position + p.length);
        if (rc) return rc;
    }
    return 0;
}

static int flat_match(const synonyms *f, flat *x, size_t i, size_t len, const qd_syn_node *n,
                      int64_t start)
{
    qd_analysis *s = x->o.s;
    uint32_t end = s->b->t.has & QD_TOKENS_OFFSETS ? s->b->t.offset[i + len - 1].to : 0;
    for (size_t p = 0; p < n->outputs.n; p++) {
        qd_str phrase = f->map.phrases.words[n->outputs.at[p]];
        size_t words = words_in(phrase);
        int rc = qd_work_reserve(s, (x->n + words) * sizeof(pending));
        if (rc) return rc;
        x->wait = s->work;
        uint32_t at = 0;
        for (size_t w = 0; w < words; w++) {
            uint32_t length = words == 1 && n->keep ? (uint32_t)len : 1;
            wait_push(x, (pending){n->outputs.at[p], at, start + (int64_t)w,
                                   words == 1 ? end : UINT32_MAX, length, 0});
            at += (uint32_t)strlen(phrase.p + at) + 1;
        }
    }
    return 0;
}

static int flat_run(const synonyms *f, qd_analysis *s)
{
    flat x = {.o = {.s = s, .last = -1}};
    int64_t position = -1; /* of the input */
    size_t keep = 0, skip = 0;
    int rc = 0;
    for (size_t i = 0; !rc && i < s->b->t.n; i++) {
        position += s->b->t.inc[i];
        uint32_t node = 0;
        size_t len = keep || skip ? 0 : match(f, s, i, &node);
        if ((rc = flat_release(f, &x, position - 1))) break;
        if (s->b->t.has & QD_TOKENS_OFFSETS) x.at = s->b->t.offset[i];
        if (len) {
            const qd_syn_node *n = &f->map.nodes.at[node];
            if ((rc = flat_match(f, &x, i, len, n, position))) break;
            *(n->keep ? &keep : &skip) = len;
        }
        if (!skip) rc = put(&x.o, (int64_t)i, (qd_str){0}, position, position + s->b->t.length[i]);
        keep -= keep > 0;
        if (!rc) rc = flat_release(f, &x, position);
        /* a replaced token that nothing stands for leaves no hole */
        if (skip && x.o.last < position) position -= s->b->t.inc[i];
        skip -= skip > 0;
    }
    return rc ? rc : flat_release(f, &x, INT64_MAX);
}

static int run(const qd_part *p, qd_analysis *s, qd_err *err)
{
    (void)err;
    const synonyms *f = (const synonyms *)p;
    int rc = qd_batch_need(s, s->b, QD_TOKENS_INC);
    if (!rc) rc = qd_batch_need(s, s->b, QD_TOKENS_LENGTH);
    if (!rc && s->want & QD_ANALYZE_TYPES) rc = qd_batch_need(s, s->b, QD_TOKENS_TYPE);
    if (!rc) rc = qd_batch_like(s, s->spare, s->b, s->b->t.n + 16);
    if (rc) return rc;
    out o = {.s = s, .last = -1, .next = 0};
    rc = f->graph ? graph_run(f, &o) : flat_run(f, s);
    if (!rc) qd_analysis_swap(s);
    return rc;
}

static void synonyms_free(qd_part *p)
{
    synonyms *f = (synonyms *)p;
    for (size_t i = 0; i < f->lines.n; i++) qd_free((char *)(uintptr_t)f->lines.at[i].p);
    qd_vec_fini(&f->lines);
    qd_syn_fini(&f->map);
    qd_part_release(p);
}

typedef struct rule_chain {
    qd_part *const *parts;
    size_t n;
    qd_analysis *s;
} rule_chain;

/* Analyzes one phrase of a rule by the chain in front; words parted by NUL. */
static int rule_analyze(void *arg, qd_str text, qd_buf *to, qd_err *err)
{
    rule_chain *k = arg;
    const qd_tokens *t;
    int rc = qd_parts_run(k->parts, k->n, k->s, text, 0, &t, err);
    for (size_t i = 0; !rc && i < t->n; i++) {
        qd_str w = qd_tokens_term(t, i);
        if (!w.n)
            return qd_err_set(err, QD_E_ARG, "term: %.*s analyzed to a zero-length token",
                              QD_STR_ARG(text));
        if (qd_tokens_inc(t, i) != 1)
            return qd_err_set(
                err, QD_E_ARG,
                "term: %.*s analyzed to a token (%.*s) with position increment != 1 (got: %u)",
                QD_STR_ARG(text), QD_STR_ARG(w), qd_tokens_inc(t, i));
        if (memchr(w.p, 0, w.n))
            return qd_err_set(err, QD_E_ARG, "term: %.*s holds a NUL", QD_STR_ARG(text));
        if ((i && qd_buf_char(to, '\0')) || qd_buf_str(to, w))
            rc = qd_err_set(err, to->failed, "synonym rules are too long");
    }
    if (!rc && !t->n)
        return qd_err_set(err, QD_E_ARG, "term: %.*s was completely eliminated by analyzer",
                          QD_STR_ARG(text));
    return rc;
}

static const qd_part_ops ops = {run, synonyms_free, NULL};

static int in_chain(const qd_part *p, qd_part *const *before, size_t nbefore, qd_part **result,
                    qd_err *err)
{
    const synonyms *f = (const synonyms *)p;
    for (size_t i = 0; i < nbefore; i++)
        if (before[i]->no_synonyms)
            return qd_err_set(err, QD_E_ARG, "Token filter [%.*s] cannot be used to parse synonyms",
                              QD_STR_ARG(before[i]->name));
    qd_part_conf c = {.name = p->name};
    qd_part *made;
    int rc = qd_part_alloc(&c, sizeof(synonyms), QD_STAGE_FILTER, &ops, &made, err);
    if (rc) return rc;
    synonyms *g = (synonyms *)made;
    g->graph = f->graph;
    made->search_only = p->search_only;
    made->no_synonyms = true;
    rule_chain k = {before, nbefore, qd_analysis_make(NULL, 0)};
    if (!k.s || qd_syn_init(&g->map)) rc = qd_err_nomem(err, "synonyms");
    for (size_t i = 0; !rc && i < f->lines.n; i++) {
        rc = qd_syn_line(&g->map, f->lines.at[i], f->expand, f->lenient, rule_analyze, &k, err);
        if (rc == QD_E_ARG) {
            qd_err_wrap(err, QD_E_ES_PARSE, "Invalid synonym rule at line %zu", i + 1);
            rc = qd_err_wrap(err, QD_E_ARG, "failed to build synonyms");
        }
    }
    qd_analysis_free(k.s);
    if (rc)
        synonyms_free(made);
    else
        *result = made;
    return rc;
}

static const qd_part_ops unbound_ops = {run, synonyms_free, in_chain};

static int line_add(synonyms *f, qd_str line)
{
    char *copy = qd_memdup(NULL, line.p, line.n);
    if (!copy) return QD_E_NOMEM;
    if (!qd_vec_push(&f->lines, NULL, ((qd_str){copy, line.n}))) return 0;
    qd_free(copy);
    return QD_E_NOMEM;
}

static int lines_file(const qd_part_conf *c, synonyms *f, qd_str path, qd_err *err)
{
    char *text;
    size_t n;
    if (!c->files || !c->files->read)
        return qd_err_set(err, QD_E_ARG, "synonyms in files (%.*s) cannot be read here",
                          QD_STR_ARG(path));
    int rc = c->files->read(c->files->arg, path, &text, &n, err);
    if (rc) return rc;
    qd_str rest = {text, n};
    while (!rc && rest.p) rc = line_add(f, qd_str_split(&rest, '\n'));
    qd_free(text);
    return rc ? qd_err_nomem(err, "synonyms") : 0;
}

static int make(const qd_part_conf *c, bool graph, qd_part **result, qd_err *err)
{
    bool expand, lenient, updateable;
    int rc = qd_conf_bool(c, "expand", true, &expand, err);
    if (!rc) rc = qd_conf_bool(c, "lenient", false, &lenient, err);
    if (!rc) rc = qd_conf_bool(c, "updateable", false, &updateable, err);
    if (rc) return rc;
    qd_str format = qd_conf_str(c, "format", "solr"), path = qd_conf_str(c, "synonyms_path", NULL);
    const qd_analysis_setting *list = qd_conf_find(c, "synonyms");
    if (!qd_str_is(format, "solr") && !qd_str_is(format, ""))
        return qd_err_set(err, QD_E_ARG, "format [%.*s] of synonyms is not supported",
                          QD_STR_ARG(format));
    if (!list && !path.p)
        return qd_err_set(err, QD_E_ARG,
                          "synonym requires either `synonyms` or `synonyms_path` to be configured");
    rc = qd_part_alloc(c, sizeof(synonyms), QD_STAGE_FILTER, &unbound_ops, result, err);
    if (rc) return rc;
    synonyms *f = (synonyms *)*result;
    f->graph = graph;
    f->expand = expand;
    f->lenient = lenient;
    (*result)->search_only = updateable;
    (*result)->no_synonyms = true;
    if (path.p) rc = lines_file(c, f, path, err);
    /* a list's values are whole lines: commas part the words of a rule, not rules */
    for (uint32_t i = 0; !rc && !path.p && i < list->nvalues; i++)
        if (line_add(f, list->values[i])) rc = qd_err_nomem(err, "synonyms");
    if (rc) synonyms_free(*result);
    return rc;
}

int qd_make_synonym(const qd_part_conf *c, qd_part **result, qd_err *err)
{
    return make(c, false, result, err);
}
int qd_make_synonym_graph(const qd_part_conf *c, qd_part **result, qd_err *err)
{
    return make(c, true, result, err);
}
