/* highlight.c: fragments of a text, scored, chosen and marked. See highlight.h. */
#include "base/str.h"
#include "base/utf8.h"
#include "search/highlight/highlight_int.h"
#include <math.h>
#include <stdlib.h>

#define FRAGMENT_MAX ((size_t)1 << 30)
/* of Lucene's PassageScorer */
#define K1 1.2
#define B 0.75
#define PIVOT 87.0

typedef struct work {
    qd_highlighter *h;
    const qd_highlight_options *o;
    qd_arena *arena;
    highlight_text *values;
    uint32_t nvalues;
    uint32_t length; /* units of all values */
    highlight_passage *passages;
    uint32_t npassages, room;
    uint32_t *totals; /* by word: matches in all */
    uint32_t *counts; /* by word: in one passage */
    qd_err *err;
} work;

size_t qd_highlight_units(qd_str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        n += ((c & 0xc0) != 0x80) + (c >= 0xf0);
    }
    return n;
}

/* --- text --- */

int qdi_highlight_load(qd_str s, qd_arena *arena, highlight_text *v, qd_err *err)
{
    size_t units = qd_highlight_units(s);
    v->utf8 = s;
    v->n = (uint32_t)units;
    v->u = qd_arena_alloc(arena, (units + 2) * sizeof *v->u);
    v->byte_of = qd_arena_alloc(arena, (units + 2) * sizeof *v->byte_of);
    if (!v->u || !v->byte_of) return qd_err_nomem(err, "highlighting");
    uint32_t at = 0;
    for (size_t i = 0; i < s.n && at < units;) {
        unsigned char c = (unsigned char)s.p[i];
        size_t len = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
        uint32_t cp = c < 0x80 ? c : c < 0xe0 ? c & 0x1fu : c < 0xf0 ? c & 0x0fu : c & 0x07u;
        if (len > s.n - i) len = s.n - i;
        for (size_t b = 1; b < len; b++) cp = cp << 6 | ((unsigned char)s.p[i + b] & 0x3f);
        v->byte_of[at] = (uint32_t)i;
        if (len == 4 && cp >= 0x10000) {
            v->u[at++] = (UChar)(0xd800 + ((cp - 0x10000) >> 10));
            v->byte_of[at] = (uint32_t)i;
            v->u[at++] = (UChar)(0xdc00 + ((cp - 0x10000) & 0x3ff));
        } else {
            v->u[at++] = (UChar)cp;
        }
        i += len;
    }
    v->n = at;
    v->byte_of[at] = (uint32_t)s.n;
    v->u[at] = 0;
    return 0;
}

/* --- tokens --- */

static int analyze(work *k, const qd_analyzer *analyzer, const qd_analyzer *normalizer,
                   qd_analysis *scratch, highlight_text *v)
{
    const qd_tokens *t;
    uint32_t most = k->o->analyze_max;
    qd_str text = v->utf8;
    if (most && v->n > most) text.n = v->byte_of[most];
    if (analyzer) {
        int rc = qd_analyzer_run(analyzer, scratch, text, QD_ANALYZE_OFFSETS, &t, k->err);
        return rc ? rc : qdi_highlight_find(k->h, t, k->o->whole_phrases, k->arena, v, k->err);
    }
    qd_str term = text;
    int rc = normalizer ? qd_analyzer_normalize(normalizer, scratch, text, &term, k->err) : 0;
    if (rc) return rc;
    qd_span span = {0, (uint32_t)term.n}, offset = {0, v->n};
    qd_tokens one = {
        .text = term.p, .n = 1, .has = QD_TOKENS_OFFSETS, .term = &span, .offset = &offset};
    return qdi_highlight_find(k->h, &one, k->o->whole_phrases, k->arena, v, k->err);
}

/* --- passages --- */

static int add_passage(work *k, const highlight_passage *p)
{
    if (k->npassages == k->room) {
        uint32_t more = k->room ? k->room * 2 : 16;
        highlight_passage *to = qd_arena_alloc(k->arena, more * sizeof *to);
        if (!to) return qd_err_nomem(k->err, "highlighting");
        if (k->npassages) memcpy(to, k->passages, k->npassages * sizeof *to);
        k->passages = to;
        k->room = more;
    }
    k->passages[k->npassages] = *p;
    k->passages[k->npassages].number = k->npassages;
    k->npassages++;
    return 0;
}

/* Different words of a fragment, as Lucene's QueryScorer counts them. */
static double plain_score(work *k, const highlight_passage *p)
{
    const highlight_text *v = &k->values[p->value];
    double score = 0;
    (void)k;
    for (uint32_t i = 0; i < p->n; i++) {
        uint32_t same = 0;
        const highlight_match *m = &v->matches[p->first];
        while (same < i && same < 256 && m[same].text != m[i].text) same++;
        score += same == i;
    }
    return score;
}

static double score_of(work *k, const highlight_passage *p)
{
    if (k->o->breaks == QD_HIGHLIGHT_PLAIN) return plain_score(k, p);
    const highlight_text *v = &k->values[p->value];
    double length = p->to - p->from, score = 0;
    for (uint32_t i = 0; i < p->n; i++) k->counts[v->matches[p->first + i].term]++;
    for (uint32_t i = 0; i < p->n; i++) {
        uint32_t word = v->matches[p->first + i].term, freq = k->counts[word];
        if (!freq) continue; /* counted already */
        k->counts[word] = 0;
        double docs = 1 + k->length / PIVOT;
        double weight = (K1 + 1) * log(1 + (docs + 0.5) / (k->totals[word] + 0.5));
        double norm = K1 * ((1 - B) + B * (length / PIVOT));
        score += freq / (freq + norm) * weight;
    }
    return score * (1 + 1 / log(PIVOT + v->base + p->from));
}

static int passages_by_breaks(work *k, uint32_t number)
{
    const highlight_text *v = &k->values[number];
    highlight_breaker b = {0};
    highlight_passage p = {.value = number};
    bool whole = k->o->fragments == 0, open = false;
    int rc = whole ? 0 : qdi_breaker_open(&b, v, k->o->breaks, k->o->fragment_size, k->err);
    if (rc) return rc;
    for (uint32_t i = 0; i < v->nmatches && !rc; i++) {
        uint32_t at = v->matches[i].from;
        if (!open || at >= p.to) {
            if (open) rc = add_passage(k, &p);
            p = (highlight_passage){.value = number, .first = i, .to = v->n};
            if (!whole) qdi_breaker_at(&b, at, v->n, &p.from, &p.to);
            open = true;
        }
        p.n++;
    }
    if (open && !rc) rc = add_passage(k, &p);
    if (!whole) qdi_breaker_close(&b);
    return rc;
}

/* Lucene's SimpleSpanFragmenter: a new piece begins behind the token before the one that ends past
 * the next multiple of the size. */
static int passages_plain(work *k, uint32_t number)
{
    const highlight_text *v = &k->values[number];
    uint32_t size = k->o->fragments ? k->o->fragment_size : 0, pieces = 1, end = 0, m = 0;
    highlight_passage p = {.value = number};
    int rc = 0;
    for (uint32_t i = 0; i < v->ntokens && size && !rc; i++) {
        qd_span t = v->tokens[i];
        bool enough = k->o->simple_fragmenter || v->n - t.to >= size / 2;
        if (t.to >= size * pieces && enough && i) {
            pieces++;
            p.to = end;
            for (p.first = m; m < v->nmatches && v->matches[m].from < end; m++) p.n++;
            if (p.n) rc = add_passage(k, &p);
            p = (highlight_passage){.value = number, .from = end};
        }
        if (t.to > end) end = t.to;
    }
    uint32_t most = k->o->analyze_max; /* what was not looked at is not shown */
    p.to = !most || most > v->n ? v->n : most > end ? most : end;
    for (p.first = m; m < v->nmatches; m++) p.n++;
    return rc || !p.n ? rc : add_passage(k, &p);
}

static int by_score(const void *a, const void *b)
{
    const highlight_passage *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

/* Value by value, the best first. */
static int by_value(const void *a, const void *b)
{
    const highlight_passage *x = a, *y = b;
    if (x->value != y->value) return x->value < y->value ? -1 : 1;
    return by_score(a, b);
}

static int by_number(const void *a, const void *b)
{
    const highlight_passage *x = a, *y = b;
    return x->number < y->number ? -1 : x->number > y->number;
}

static int choose(work *k)
{
    uint32_t words = qdi_highlight_words(k->h);
    k->totals = qd_arena_calloc(k->arena, (words + 1) * sizeof *k->totals);
    k->counts = qd_arena_calloc(k->arena, (words + 1) * sizeof *k->counts);
    if (!k->totals || !k->counts) return qd_err_nomem(k->err, "highlighting");
    for (uint32_t i = 0; i < k->nvalues; i++) {
        const highlight_text *v = &k->values[i];
        for (uint32_t m = 0; m < v->nmatches; m++) k->totals[v->matches[m].term]++;
    }
    int rc = 0;
    for (uint32_t i = 0; i < k->nvalues && !rc; i++) {
        rc = k->o->breaks == QD_HIGHLIGHT_PLAIN ? passages_plain(k, i) : passages_by_breaks(k, i);
    }
    if (rc || !k->npassages) return rc;
    for (uint32_t i = 0; i < k->npassages; i++) k->passages[i].score = score_of(k, &k->passages[i]);
    bool plain = k->o->breaks == QD_HIGHLIGHT_PLAIN;
    qsort(k->passages, k->npassages, sizeof *k->passages,
          plain && !k->o->by_score ? by_value : by_score);
    if (k->o->fragments && k->npassages > k->o->fragments) k->npassages = k->o->fragments;
    if (!k->o->by_score && !plain) qsort(k->passages, k->npassages, sizeof *k->passages, by_number);
    return 0;
}

/* --- text of a passage --- */

void qdi_highlight_put(const qd_highlight_options *o, qd_buf *b, const highlight_text *v,
                       uint32_t from, uint32_t to)
{
    static const char *const entities[] = {"&amp;", "&lt;", "&gt;", "&quot;", "&#x27;", "&#x2F;"};
    qd_str s = qd_str_sub(v->utf8, v->byte_of[from], v->byte_of[to] - v->byte_of[from]);
    if (!o->html) {
        (void)qd_buf_str(b, s);
        return;
    }
    for (size_t i = 0; i < s.n; i++) {
        ptrdiff_t e = qd_str_find(QD_STR("&<>\"'/"), s.p[i]);
        if (e >= 0) {
            (void)qd_buf_c(b, entities[e]);
        } else {
            (void)qd_buf_char(b, s.p[i]);
        }
    }
}

static int render(work *k, const highlight_passage *p, qd_str *out)
{
    const highlight_text *v = &k->values[p->value];
    uint32_t at = p->from;
    qd_buf b;
    qd_buf_init(&b, k->arena->account, FRAGMENT_MAX);
    for (uint32_t i = 0; i < p->n;) {
        const highlight_match *m = &v->matches[p->first + i];
        uint32_t from = m->from > at ? m->from : at, to = m->to;
        for (i++; i < p->n && v->matches[p->first + i].from < to; i++) {
            if (v->matches[p->first + i].to > to) to = v->matches[p->first + i].to;
        }
        if (to > v->n) to = v->n;
        if (to <= at || from >= to) continue;
        qdi_highlight_put(k->o, &b, v, at, from);
        (void)qd_buf_str(&b, k->o->pre[0]);
        qdi_highlight_put(k->o, &b, v, from, to);
        (void)qd_buf_str(&b, k->o->post[0]);
        at = to;
    }
    if (at < p->to) qdi_highlight_put(k->o, &b, v, at, p->to);
    qd_str text = qd_buf_view(&b);
    if (k->o->breaks != QD_HIGHLIGHT_PLAIN) text = qd_str_trim(text);
    int rc = qd_buf_status(&b);
    *out = qd_arena_str(k->arena, text);
    qd_buf_fini(&b);
    return rc || (!out->p && text.n) ? qd_err_nomem(k->err, "highlighting") : 0;
}

/* The beginning of the first value, when nothing matches. */
static int without_match(work *k, qd_str **out, uint32_t *n)
{
    highlight_text *v = &k->values[0];
    highlight_passage p = {.to = v->n};
    highlight_breaker b;
    if (k->o->breaks == QD_HIGHLIGHT_PLAIN && k->o->no_match_size < v->n) {
        p.to = 0; /* the last word that fits */
        for (uint32_t i = 0; i < v->ntokens; i++) {
            if (v->tokens[i].to > k->o->no_match_size) break;
            p.to = v->tokens[i].to;
        }
        if (!p.to) return 0;
    } else if (k->o->no_match_size < v->n) {
        int rc = qdi_breaker_open(&b, v, QD_HIGHLIGHT_WORDS, 0, k->err);
        if (rc) return rc;
        int32_t end = ubrk_following(b.words, (int32_t)k->o->no_match_size);
        if (end != UBRK_DONE) p.to = (uint32_t)end;
        qdi_breaker_close(&b);
    }
    *out = qd_arena_alloc(k->arena, sizeof **out);
    if (!*out) return qd_err_nomem(k->err, "highlighting");
    *n = 1;
    return render(k, &p, *out);
}

int qd_highlight(qd_highlighter *h, const qd_analyzer *analyzer, const qd_analyzer *normalizer,
                 qd_analysis *scratch, const qd_str *values, uint32_t nvalues,
                 const qd_highlight_options *o, qd_arena *arena, qd_str **out, uint32_t *n,
                 qd_err *err)
{
    work k = {.h = h, .o = o, .arena = arena, .nvalues = nvalues, .err = err};
    int rc = 0;
    *n = 0;
    if (!nvalues) return 0;
    k.values = qd_arena_calloc(arena, nvalues * sizeof *k.values);
    if (!k.values) return qd_err_nomem(err, "highlighting");
    for (uint32_t i = 0; i < nvalues && !rc; i++) {
        highlight_text *v = &k.values[i];
        rc = qdi_highlight_load(values[i], arena, v, err);
        v->base = k.length;
        k.length += v->n + 1;
        bool tokens = !qd_highlighter_is_empty(h) || (o->breaks == QD_HIGHLIGHT_PLAIN && analyzer);
        if (!rc && tokens) rc = analyze(&k, analyzer, normalizer, scratch, v);
    }
    if (!rc) rc = choose(&k);
    if (rc) return rc;
    if (!k.npassages) return o->no_match_size ? without_match(&k, out, n) : 0;
    *out = qd_arena_alloc(arena, k.npassages * sizeof **out);
    if (!*out) return qd_err_nomem(err, "highlighting");
    for (uint32_t i = 0; i < k.npassages && !rc; i++) rc = render(&k, &k.passages[i], &(*out)[i]);
    *n = rc ? 0 : k.npassages;
    return rc;
}
