/*
 * bm25.c: the query operator `bm25`: the documents with any word of a text, scored by BM25. The
 * float operations and their order are Lucene's, as the host's own: idf, weight and the score of a
 * word are floats, the sum over the words is a double.
 */
#include <math.h>
#include <quidditch/operator.h>
#include <quidditch/plugin.h>
#include <stdio.h>

#define TERMS_MAX 64

static const qd_svc_mem *mem;
static const qd_svc_json *json;
static const qd_svc_err *errors;

/* What rewrite makes of the JSON, and the iterator is opened with. */
typedef struct request {
    qd_str field, text;
    qd_str terms[TERMS_MAX];
    uint32_t n;
} request;

/* --- parse and rewrite --- */

/* A reader's text lives until the next event: it is copied. */
static int32_t keep(const qd_query_ctx *ctx, qd_str s, qd_str *out)
{
    char *p = (char *)mem->arena(ctx->arena, s.n + 1);
    if (!p) return QD_E_NOMEM;
    if (s.n) memcpy(p, s.p, s.n);
    p[s.n] = 0;
    out->p = p;
    out->n = s.n;
    return 0;
}

static int32_t fail(qd_json_in *in, qd_err *err, const char *reason)
{
    return json->fail(in, err, QD_E_PARSE, qd_plug_str(reason));
}

static int32_t parse(const qd_query_ctx *ctx, qd_json_in *in, const void **out, qd_err *err)
{
    qd_jev ev;
    request *r = (request *)mem->arena(ctx->arena, sizeof *r);
    if (!r) return QD_E_NOMEM;
    memset(r, 0, sizeof *r);
    int32_t rc = json->next(in, &ev, err);
    if (rc) return rc;
    if (ev.type != QD_JEV_OBJECT) return fail(in, err, "[bm25] wants an object");
    for (;;) {
        rc = json->next(in, &ev, err);
        if (rc) return rc;
        if (ev.type == QD_JEV_OBJECT_END) break;
        qd_str *to = qd_plug_is(ev.text, "field")   ? &r->field
                     : qd_plug_is(ev.text, "query") ? &r->text
                                                    : NULL;
        if (!to) return fail(in, err, "[bm25] query does not support this parameter");
        rc = json->next(in, &ev, err);
        if (rc) return rc;
        if (ev.type != QD_JEV_STRING) return fail(in, err, "[bm25] field and query want a string");
        rc = keep(ctx, ev.text, to);
        if (rc) return rc;
    }
    if (!r->field.p || !r->text.p) return fail(in, err, "[bm25] requires field and query");
    *out = r;
    return 0;
}

/* A parsed query is immutable: the words go into a copy of it. */
static int32_t rewrite(const qd_query_ctx *ctx, const void *query, qd_query_node **out, qd_err *err)
{
    const qd_query_token *tokens;
    uint32_t n;
    request *r = (request *)mem->arena(ctx->arena, sizeof *r);
    qd_query_node *node = (qd_query_node *)mem->arena(ctx->arena, sizeof *node);
    if (!r || !node) return QD_E_NOMEM;
    memcpy(r, query, sizeof *r);
    int32_t rc = ctx->analyze(ctx, r->field, r->text, &tokens, &n, err);
    if (rc) return rc;
    if (n > TERMS_MAX) return errors->set(err, QD_E_LIMIT, QD_STR("[bm25] takes 64 words at most"));
    for (r->n = 0; r->n < n; r->n++) r->terms[r->n] = tokens[r->n].term;
    memset(node, 0, sizeof *node);
    node->struct_size = sizeof *node;
    node->type = n ? QD_NODE_SELF : QD_NODE_NONE;
    node->boost = 1;
    node->self = r;
    node->field = r->field;
    node->texts = r->terms;
    node->ntexts = r->n;
    *out = node;
    return 0;
}

/* --- a segment --- */

/* A word that the segment has. */
typedef struct word {
    qd_str text;
    qd_segment_postings *postings;
    qd_term_stats stats;
    float idf, weight, average;
    float ninv[256]; /* 1 / (k1 * (1 - b + b * length / average)), by norm byte */
    uint32_t n, at;  /* postings in docs, the next one */
    uint32_t docs[QD_OPERATOR_BLOCK], freqs[QD_OPERATOR_BLOCK];
} word;

struct qd_operator_iter {
    const qd_segment_view *view;
    qd_field_stats stats;
    const uint8_t *norms; /* NULL: every document counts as one word long */
    float bound;          /* no document scores more */
    uint32_t n;
    word words[]; /* those that the segment has */
};

static float idf_of(uint64_t with, uint64_t all)
{
    double n = (double)with, total = (double)all;
    return (float)log(1 + (total - n + 0.5) / (n + 0.5));
}

static void weigh(const qd_operator_iter *it, word *w)
{
    const qd_term_stats *s = &w->stats;
    const qd_field_stats *f = &it->stats;
    float average =
        s->doc_count ? (float)((double)s->sum_total_term_freq / (double)s->doc_count) : 1.0f;
    if (!(average > 0)) average = 1.0f;
    w->average = average;
    w->idf = idf_of(s->doc_freq, s->doc_count);
    w->weight = f->factor * w->idf;
    for (uint32_t i = 0; i < 256; i++) {
        float length = (float)it->view->norm_lengths[i];
        float v = 1.0f / (f->k1 * ((1 - f->b) + f->b * length / average));
        w->ninv[i] = v > 1.2e-7f ? v : 1.2e-7f; /* so that a score is never 0 */
    }
}

static float score(const qd_operator_iter *it, const word *w, uint32_t doc, uint32_t freq)
{
    uint8_t norm = it->norms ? it->norms[doc] : 1;
    return w->weight - w->weight / (1.0f + (float)freq * w->ninv[norm]);
}

static int32_t open_iter(const qd_query_ctx *ctx, const void *query, const qd_segment_view *view,
                         int32_t scores, qd_operator_iter **out, qd_err *err)
{
    const request *r = (const request *)query;
    double bound = 0;
    (void)ctx;
    (void)scores;
    qd_operator_iter *it =
        (qd_operator_iter *)mem->arena(view->arena, sizeof *it + r->n * sizeof(word));
    if (!it) return QD_E_NOMEM;
    memset(it, 0, sizeof *it);
    it->view = view;
    int32_t rc = view->field_stats(view, r->field, &it->stats, err);
    if (!rc) rc = view->norms(view, r->field, &it->norms, err);
    for (uint32_t i = 0; i < r->n && !rc; i++) {
        uint32_t doc_freq;
        word *w = &it->words[it->n];
        memset(w, 0, sizeof *w);
        rc = view->postings_open(view, r->field, r->terms[i], QD_POSTINGS_FREQS, &w->postings,
                                 &doc_freq, err);
        if (rc == QD_E_NOTFOUND) {
            rc = 0;
            continue;
        }
        if (!rc) rc = view->term_stats(view, r->field, r->terms[i], &w->stats, err);
        w->text = r->terms[i];
        weigh(it, w);
        bound += (double)w->weight;
        it->n++;
    }
    it->bound = nextafterf((float)bound, INFINITY);
    *out = it->n ? it : NULL; /* no iterator: nothing matches here */
    return rc;
}

/* Has w a posting at or after from in hand? 0 as well at the end of its postings. */
static int32_t load(const qd_operator_iter *it, word *w, uint32_t from, int *has, qd_err *err)
{
    while (w->at < w->n && w->docs[w->at] < from) w->at++;
    *has = w->at < w->n;
    if (*has) return 0;
    w->at = 0;
    int32_t rc = it->view->postings_next(w->postings, from, QD_OPERATOR_BLOCK, w->docs, w->freqs,
                                         &w->n, err);
    *has = w->n != 0;
    return rc;
}

/* Merges the words: one document a turn, that of the least number. */
static int32_t next_block(qd_operator_iter *it, uint32_t from, float min_score, qd_doc_block *out,
                          qd_err *err)
{
    (void)min_score;
    for (out->n = 0; out->n < QD_OPERATOR_BLOCK; out->n++) {
        uint32_t least = UINT32_MAX;
        for (uint32_t i = 0; i < it->n; i++) {
            int has;
            word *w = &it->words[i];
            int32_t rc = load(it, w, from, &has, err);
            if (rc) return rc;
            if (has && w->docs[w->at] < least) least = w->docs[w->at];
        }
        if (least == UINT32_MAX) return 0;
        double sum = 0;
        for (uint32_t i = 0; i < it->n; i++) {
            const word *w = &it->words[i];
            if (w->at < w->n && w->docs[w->at] == least)
                sum += (double)score(it, w, least, w->freqs[w->at]);
        }
        out->docs[out->n] = least;
        out->scores[out->n] = (float)sum;
        from = least + 1;
    }
    return 0;
}

static float max_score(qd_operator_iter *it, uint32_t from, uint32_t to)
{
    (void)from;
    (void)to;
    return it->bound;
}

static void close_iter(qd_operator_iter *it)
{
    (void)it; /* all of it lives in the arena */
}

/* --- explain --- */

static int32_t line(const qd_explain_sink *to, uint32_t depth, double value, const char *text,
                    qd_err *err)
{
    return to->line(to, depth, value, 0, qd_plug_str(text), err);
}

static int32_t count(const qd_explain_sink *to, uint32_t depth, uint64_t value, const char *text,
                     qd_err *err)
{
    return to->line(to, depth, (double)value, 1, qd_plug_str(text), err);
}

static int32_t explain_tf(const qd_operator_iter *it, const word *w, uint32_t doc, uint32_t freq,
                          const qd_explain_sink *to, qd_err *err)
{
    uint8_t norm = it->norms ? it->norms[doc] : 1;
    float tf = 1.0f - 1.0f / (1.0f + (float)freq * w->ninv[norm]);
    int32_t rc = line(to, 2, (double)tf,
                      "tf, computed as freq / (freq + k1 * (1 - b + b * dl / avgdl)) from:", err);
    if (!rc) rc = line(to, 3, freq, "freq, occurrences of term within document", err);
    if (!rc) rc = line(to, 3, (double)it->stats.k1, "k1, term saturation parameter", err);
    if (!rc) rc = line(to, 3, (double)it->stats.b, "b, length normalization parameter", err);
    if (!rc) rc = line(to, 3, it->view->norm_lengths[norm], "dl, length of field", err);
    if (!rc) rc = line(to, 3, (double)w->average, "avgdl, average length of field", err);
    return rc;
}

static int32_t explain_word(const qd_operator_iter *it, const word *w, uint32_t doc, uint32_t freq,
                            const qd_explain_sink *to, qd_err *err)
{
    char text[160];
    snprintf(text, sizeof text, "weight of [%.*s], computed as boost * idf * tf from:",
             (int)(w->text.n < 100 ? w->text.n : 100), w->text.p);
    int32_t rc = line(to, 1, (double)score(it, w, doc, freq), text, err);
    if (!rc) rc = line(to, 2, (double)it->stats.factor, "boost", err);
    if (!rc)
        rc = line(to, 2, (double)w->idf,
                  "idf, computed as log(1 + (N - n + 0.5) / (n + 0.5)) from:", err);
    if (!rc) rc = count(to, 3, w->stats.doc_freq, "n, number of documents containing term", err);
    if (!rc) rc = count(to, 3, w->stats.doc_count, "N, total number of documents with field", err);
    return rc ? rc : explain_tf(it, w, doc, freq, to, err);
}

static int32_t explain(qd_operator_iter *it, uint32_t doc, const qd_explain_sink *to, qd_err *err)
{
    double sum = 0;
    int has;
    int32_t rc = 0;
    for (uint32_t i = 0; i < it->n && !rc; i++) {
        word *w = &it->words[i];
        rc = load(it, w, doc, &has, err);
        if (!rc && has && w->docs[w->at] == doc) sum += (double)score(it, w, doc, w->freqs[w->at]);
    }
    if (!rc) rc = line(to, 0, (double)(float)sum, "sum of:", err);
    for (uint32_t i = 0; i < it->n && !rc; i++) {
        const word *w = &it->words[i];
        if (w->at < w->n && w->docs[w->at] == doc)
            rc = explain_word(it, w, doc, w->freqs[w->at], to, err);
    }
    return rc;
}

static const qd_operator_vtable vtable = {
    QD_VTABLE(qd_operator_vtable, OPERATOR,
              QD_OPERATOR_REWRITES | QD_OPERATOR_ITERATES | QD_OPERATOR_SCORES |
                  QD_OPERATOR_MAX_SCORE | QD_OPERATOR_CACHEABLE | QD_OPERATOR_EXPLAINS),
    parse,
    rewrite,
    open_iter,
    next_block,
    max_score,
    close_iter,
    NULL,
    explain};

static int32_t init(qd_self *self, const qd_host *host, qd_err *err)
{
    mem = (const qd_svc_mem *)host->service(self, QD_SERVICE_MEM, 0);
    json = (const qd_svc_json *)host->service(self, QD_SERVICE_JSON, 0);
    errors = (const qd_svc_err *)host->service(self, QD_SERVICE_ERR, 0);
    if (!mem || !json || !errors) return qd_plug_no_service(host, self, err);
    return host->provide(self, QD_KIND_OPERATOR, "bm25", &vtable, err);
}

static const qd_plugin plugin = {QD_PLUGIN_HEAD(0), "example-bm25", "1.0.0", "Apache-2.0",
                                 QD_PLUGIN_TAIL(NULL, init, NULL, NULL)};

QD_PLUGIN_ENTRY(plugin)
QD_PLUGIN_NOTE("example-bm25", "1.0.0", 0, 1, QD_NOTE_FOR(OPERATOR))
