/*
 * word_delimiter.c: word_delimiter_graph, whose tokens form a graph, and word_delimiter, whose
 * joined parts stand on the position of their last one.
 */
#include "analysis/builtin_int.h"
#include "analysis/filter/word_parts_int.h"
#include <stdlib.h>

/* One output of a term: bytes [from, to) of it, or the joined text `term`. */
typedef struct piece {
    uint32_t from, to; /* of the term */
    qd_span term;      /* in the text area */
    uint32_t pos, end; /* graph: positions; else pos is the increment */
    uint32_t order;    /* of making */
    bool single;
} piece;

/* Parts that are being joined. */
typedef struct joint {
    uint32_t kind, from, to, pos, count, bytes;
    qd_span term;
} joint;

typedef struct cutter {
    qd_emit e;
    const qd_word_options *o;
    qd_word_parts parts;
    qd_emit_token whole;
    size_t n; /* pieces, in the work area */
    uint32_t pos, last_joined;
    joint some, all;
    uint32_t accum; /* positions that wait */
    /* word_delimiter */
    bool first, put, after_original;
} cutter;

static int piece_add(cutter *k, piece x)
{
    int rc = qd_work_reserve(k->e.s, (k->n + 1) * sizeof(piece));
    if (rc) return rc;
    x.order = (uint32_t)k->n;
    ((piece *)k->e.s->work)[k->n++] = x;
    return 0;
}

static qd_span part_term(const cutter *k, uint32_t from, uint32_t to)
{
    return (qd_span){k->whole.term.from + from, k->whole.term.from + to};
}

/* Joins the present part to j; its bytes grow at the end of the text area when a piece is made. */
static void join(cutter *k, joint *j)
{
    if (!j->count) {
        j->kind = qd_word_parts_kind(&k->parts);
        j->from = k->parts.at;
        j->pos = k->pos;
    }
    j->count++;
    j->bytes += k->parts.to - k->parts.at;
    j->to = k->parts.to;
}

/* The text of a joint: its parts without what stands between them; of `some` those that join. */
static int joint_text(cutter *k, const joint *j, qd_span *out)
{
    qd_analysis *s = k->e.s;
    int rc = qd_text_reserve(s, j->bytes);
    if (rc) return rc;
    qd_word_parts w;
    const char *text = s->text + k->whole.term.from;
    qd_word_parts_begin(&w, k->o, text, k->whole.term.to - k->whole.term.from);
    *out = (qd_span){(uint32_t)s->ntext, 0};
    for (; !w.done && w.at < j->to; qd_word_parts_next(&w)) {
        if (w.at < j->from) continue;
        if (j == &k->some && !qd_word_joins(k->o, qd_word_parts_kind(&w))) continue;
        memcpy(s->text + s->ntext, text + w.at, w.to - w.at);
        s->ntext += w.to - w.at;
    }
    out->to = (uint32_t)s->ntext;
    return 0;
}

/* Offsets of bytes [from, to) of the term. */
static qd_span offset_of(const cutter *k, const piece *x, bool *whole)
{
    const qd_analysis *s = k->e.s;
    qd_span off = k->whole.offset, term = k->whole.term;
    *whole =
        !(k->o->flags & QD_WORD_ADJUST_OFFSETS) || off.to - off.from != qd_offset_length(s, term);
    uint32_t from = off.from + qd_offset_length(s, (qd_span){term.from, term.from + x->from});
    uint32_t to = off.from + qd_offset_length(s, (qd_span){term.from, term.from + x->to});
    if (*whole) return x->single && from <= off.to ? (qd_span){from, off.to} : off;
    return (qd_span){from, to};
}

/* --- the graph --- */

static int flush_graph(cutter *k)
{
    joint *j = &k->some;
    int rc = 0;
    if (k->pos == j->pos) k->pos++;
    k->last_joined = j->count;
    if (j->count != 1 || !qd_word_generates(k->o, j->kind)) {
        piece x = {.from = j->from, .to = j->to, .pos = j->pos, .end = k->pos};
        rc = joint_text(k, j, &x.term);
        if (!rc) rc = piece_add(k, x);
    }
    *j = (joint){0};
    return rc;
}

static int part_graph(cutter *k)
{
    piece x = {.from = k->parts.at,
               .to = k->parts.to,
               .term = part_term(k, k->parts.at, k->parts.to),
               .pos = k->pos,
               .end = k->pos + 1};
    k->pos++;
    return piece_add(k, x);
}

static int parts_graph(cutter *k)
{
    int rc = 0;
    if (qd_word_parts_single(&k->parts)) return part_graph(k);
    for (; !rc && !k->parts.done; qd_word_parts_next(&k->parts)) {
        uint32_t kind = qd_word_parts_kind(&k->parts);
        if (k->some.count && !(k->some.kind & kind)) rc = flush_graph(k);
        if (qd_word_joins(k->o, kind)) join(k, &k->some);
        if (k->o->flags & QD_WORD_CATENATE_ALL) join(k, &k->all);
        if (!rc && qd_word_generates(k->o, kind)) rc = part_graph(k);
    }
    if (!rc && k->some.count) rc = flush_graph(k);
    if (!rc && k->all.count > k->last_joined) {
        if (k->pos == k->all.pos) k->pos++;
        piece x = {.from = k->all.from, .to = k->all.to, .pos = k->all.pos, .end = k->pos};
        rc = joint_text(k, &k->all, &x.term);
        if (!rc) rc = piece_add(k, x);
    }
    return rc;
}

static int by_position(const void *a, const void *b)
{
    const piece *x = a, *y = b;
    if (x->pos != y->pos) return x->pos < y->pos ? -1 : 1;
    if (x->end != y->end) return x->end > y->end ? -1 : 1;
    if (x->from != y->from) return x->from < y->from ? -1 : 1;
    if (x->to != y->to) return x->to > y->to ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

static int write_graph(cutter *k)
{
    size_t keep = k->o->flags & QD_WORD_PRESERVE ? 1 : 0;
    piece *x = k->e.s->work;
    if (k->n > keep) qsort(x + keep, k->n - keep, sizeof *x, by_position);
    uint32_t at = 0;
    int rc = 0;
    for (size_t i = 0; !rc && i < k->n; i++) {
        bool whole;
        qd_emit_token t = k->whole;
        x = (piece *)k->e.s->work + i;
        t.term = x->term;
        t.offset = offset_of(k, x, &whole);
        t.inc = k->accum + x->pos - at;
        t.length = x->end - x->pos;
        k->accum = 0;
        at = x->pos;
        rc = qd_emit_put(&k->e, &t);
    }
    return rc;
}

static int cut_graph(cutter *k)
{
    k->n = 0;
    k->pos = k->last_joined = 0;
    k->some = k->all = (joint){0};
    uint32_t bytes = k->whole.term.to - k->whole.term.from;
    bool keep = k->o->flags & QD_WORD_PRESERVE;
    int rc = keep ? piece_add(k, (piece){.to = bytes, .term = k->whole.term, .end = 1}) : 0;
    if (!rc) rc = parts_graph(k);
    if (!rc && keep) ((piece *)k->e.s->work)->end = k->pos ? k->pos : 1;
    return rc ? rc : write_graph(k);
}

/* --- the filter without a graph --- */

static uint32_t place(cutter *k, bool inject)
{
    uint32_t inc = k->accum ? k->accum : 1;
    if (k->put) {
        k->accum = 0;
        return inject ? 0 : inc;
    }
    k->put = true;
    if (!k->after_original) {
        k->after_original = true;
        return 0;
    }
    k->accum = 0;
    return inc;
}

static int joint_plain(cutter *k, joint *j)
{
    piece x = {.from = j->from, .to = j->to, .pos = place(k, true)};
    k->accum = 0;
    int rc = joint_text(k, j, &x.term);
    *j = (joint){0};
    return rc ? rc : piece_add(k, x);
}

static int flush_plain(cutter *k)
{
    k->last_joined = k->some.count;
    if (k->some.count != 1 || !qd_word_generates(k->o, k->some.kind))
        return joint_plain(k, &k->some);
    k->some = (joint){0};
    return 0;
}

static int part_plain(cutter *k, bool single)
{
    piece x = {.from = k->parts.at,
               .to = k->parts.to,
               .term = part_term(k, k->parts.at, k->parts.to),
               .pos = place(k, false),
               .single = single};
    return piece_add(k, x);
}

static int parts_plain(cutter *k)
{
    int rc = 0;
    if (!k->parts.done && qd_word_parts_single(&k->parts)) {
        rc = part_plain(k, true);
        k->first = false;
        return rc;
    }
    for (; !rc && !k->parts.done; qd_word_parts_next(&k->parts)) {
        uint32_t kind = qd_word_parts_kind(&k->parts);
        if (k->some.count && !(k->some.kind & kind)) {
            rc = flush_plain(k);
            k->put = false;
        }
        if (qd_word_joins(k->o, kind)) join(k, &k->some);
        if (k->o->flags & QD_WORD_CATENATE_ALL) join(k, &k->all);
        if (!rc && qd_word_generates(k->o, kind)) rc = part_plain(k, false);
    }
    if (!rc && k->some.count) rc = flush_plain(k);
    if (!rc && k->all.count > k->last_joined) rc = joint_plain(k, &k->all);
    return rc;
}

static int by_offset(const void *a, const void *b)
{
    const piece *x = a, *y = b;
    if (x->from != y->from) return x->from < y->from ? -1 : 1;
    if (x->pos != y->pos) return x->pos > y->pos ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

static int cut_plain(cutter *k)
{
    int rc = 0;
    k->n = 0;
    k->last_joined = 0;
    k->some = k->all = (joint){0};
    k->put = false;
    k->after_original = !(k->o->flags & QD_WORD_PRESERVE);
    if (!k->after_original) {
        qd_emit_token t = k->whole;
        t.inc = k->accum;
        k->accum = 0;
        k->first = false;
        rc = qd_emit_put(&k->e, &t);
    }
    if (!rc) rc = parts_plain(k);
    if (k->n) qsort(k->e.s->work, k->n, sizeof(piece), by_offset);
    for (size_t i = 0; !rc && i < k->n; i++) {
        const piece *x = (const piece *)k->e.s->work + i;
        bool whole;
        qd_emit_token t = {.term = x->term, .length = 1, .type = k->whole.type};
        t.inc = k->first && !x->pos ? 1 : x->pos;
        t.offset = offset_of(k, x, &whole);
        k->first = false;
        rc = qd_emit_put(&k->e, &t);
    }
    return rc;
}

/* --- both --- */

/* What becomes of token i. */
static int token(cutter *k, size_t i, bool graph)
{
    qd_analysis *s = k->e.s;
    k->whole = qd_emit_get(&k->e, i);
    uint32_t n = k->whole.term.to - k->whole.term.from;
    /* what is joined, twice at most, is appended while the parts are read: nothing may move */
    int rc = qd_text_reserve(s, 2 * (size_t)n);
    if (rc) return rc;
    const char *p = s->text + k->whole.term.from;
    if (k->whole.keyword && k->o->flags & QD_WORD_IGNORE_KEYWORDS) return qd_emit_copy(&k->e, i);
    k->accum += k->whole.inc;
    qd_word_parts_begin(&k->parts, k->o, p, n);
    bool plain = (!k->parts.done && k->parts.at == 0 && k->parts.to == n) ||
                 qd_wordset_has(&k->o->protected, p, n);
    bool nothing = k->parts.done && !(k->o->flags & QD_WORD_PRESERVE);
    if (!plain && nothing) { /* delimiters alone leave a hole */
        if (!graph && k->whole.inc == 1 && !k->first) k->accum--;
        return 0;
    }
    if (!plain && !(graph && k->parts.done)) return graph ? cut_graph(k) : cut_plain(k);
    uint32_t inc = k->accum;
    k->accum = 0;
    k->first = false;
    return qd_emit_like(&k->e, i, k->whole.term, inc);
}

static int run(const qd_part *p, qd_analysis *s, bool graph)
{
    cutter k = {.o = (const qd_word_options *)p, .first = true};
    int rc = qd_emit_begin(&k.e, s, QD_TOKENS_INC | (graph ? QD_TOKENS_LENGTH : 0));
    for (size_t i = 0; !rc && i < s->b->t.n; i++) rc = token(&k, i, graph);
    return rc ? rc : qd_emit_end(&k.e);
}

static int graph_run(const qd_part *p, qd_analysis *s, qd_err *err)
{
    (void)err;
    return run(p, s, true);
}
static int plain_run(const qd_part *p, qd_analysis *s, qd_err *err)
{
    (void)err;
    return run(p, s, false);
}

static const qd_part_ops graph_ops = {graph_run, qd_word_options_free, NULL};
static const qd_part_ops plain_ops = {plain_run, qd_word_options_free, NULL};

int qd_make_word_delimiter_graph(const qd_part_conf *c, qd_part **out, qd_err *err)
{
    return qd_word_options_make(c, &graph_ops, true, out, err);
}
int qd_make_word_delimiter(const qd_part_conf *c, qd_part **out, qd_err *err)
{
    return qd_word_options_make(c, &plain_ops, false, out, err);
}
