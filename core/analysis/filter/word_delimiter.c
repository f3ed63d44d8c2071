/*
 * word_delimiter.c: terms cut into their parts, and parts of one kind joined again:
 * word_delimiter_graph, where what is joined spans the positions of its parts, and word_delimiter,
 * which has no such spans.
 *
 * A term's parts are listed first; then each stretch of parts that join is laid out; then the
 * pieces are put in order and written.
 */
#include "analysis/builtin_int.h"
#include "analysis/filter/word_parts_int.h"
#include <stdlib.h>

/* One token to be. */
typedef struct piece {
    uint32_t from, to; /* bytes of the term that it stands for */
    qd_span term;      /* in the text area */
    uint32_t pos, end; /* a span of positions; without a graph pos is the increment */
    uint32_t order;
} piece;

typedef struct cutter {
    qd_emit e;
    const qd_word_options *o;
    bool graph;
    qd_emit_token whole;
    size_t nparts, npieces; /* both lists, parts first, are in the work area */
    uint32_t pos;           /* graph: the next position */
    uint32_t owed;          /* increments of terms that left nothing */
    bool begun;             /* a token of this value is out */
    bool upon_original;     /* without a graph: the next piece shares the original's position */
    bool stretch_has;       /* and: this stretch has a piece */
} cutter;

static const qd_word_part *part_at(const cutter *k, size_t i)
{
    return (const qd_word_part *)k->e.s->work + i;
}

static piece *pieces(const cutter *k)
{
    return (piece *)(void *)((qd_word_part *)k->e.s->work + k->nparts);
}

static bool has(const cutter *k, uint32_t flag)
{
    return k->o->flags & flag;
}

static int parts_find(cutter *k)
{
    qd_analysis *s = k->e.s;
    uint32_t at = 0, n = k->whole.term.to - k->whole.term.from;
    qd_word_part part;
    k->nparts = k->npieces = 0;
    while (qd_word_part_next(k->o, s->text + k->whole.term.from, n, &at, &part)) {
        int rc = qd_work_reserve(s, (k->nparts + 1) * sizeof part);
        if (rc) return rc;
        ((qd_word_part *)s->work)[k->nparts++] = part;
    }
    /* at most: every part, joined with its like, all joined, the original */
    return qd_work_reserve(s, k->nparts * sizeof part + (2 * k->nparts + 2) * sizeof(piece));
}

/* The increment of the next piece without a graph. A joint stands beside the parts of its stretch.
 */
static uint32_t increment(cutter *k, bool joint)
{
    uint32_t inc = k->owed ? k->owed : 1;
    if (k->upon_original || (joint && k->stretch_has)) inc = 0;
    k->upon_original = false;
    k->stretch_has = true;
    k->owed = 0;
    return inc;
}

static void piece_add(cutter *k, piece x)
{
    x.order = (uint32_t)k->npieces;
    pieces(k)[k->npieces++] = x;
}

static void part_add(cutter *k, const qd_word_part *part)
{
    uint32_t base = k->whole.term.from;
    piece x = {.from = part->from, .to = part->to, .term = {base + part->from, base + part->to}};
    x.pos = k->graph ? k->pos++ : increment(k, false);
    x.end = k->pos;
    piece_add(k, x);
}

/* Parts [i, j) as one piece, those that join or `all`. It spans the positions from `pos` on. */
static int joint_add(cutter *k, size_t i, size_t j, bool all, uint32_t pos)
{
    qd_analysis *s = k->e.s;
    piece x = {.from = part_at(k, i)->from, .term.from = (uint32_t)s->ntext};
    int rc = qd_text_reserve(s, part_at(k, j - 1)->to - x.from);
    if (rc) return rc;
    for (; i < j; i++) {
        const qd_word_part *part = part_at(k, i);
        if (!all && !qd_word_joins(k->o, part->kind)) continue;
        x.to = part->to;
        memcpy(s->text + s->ntext, s->text + k->whole.term.from + part->from,
               part->to - part->from);
        s->ntext += part->to - part->from;
    }
    x.term.to = (uint32_t)s->ntext;
    x.pos = k->graph ? pos : increment(k, true);
    x.end = k->pos;
    piece_add(k, x);
    return 0;
}

/* Lays out parts [i, j), which are one stretch; *joined: how many of them join. */
static int stretch_add(cutter *k, size_t i, size_t j, size_t *joined)
{
    uint32_t start = k->pos, first = part_at(k, i)->kind;
    size_t n = 0;
    for (size_t p = i; p < j; p++) {
        n += qd_word_joins(k->o, part_at(k, p)->kind);
        if (qd_word_generates(k->o, part_at(k, p)->kind)) part_add(k, part_at(k, p));
    }
    if (!n) return 0;
    *joined = n;
    if (k->pos == start) k->pos++;
    bool needless = n == 1 && qd_word_generates(k->o, first);
    int rc = needless ? 0 : joint_add(k, i, j, false, start);
    if (j < k->nparts) k->stretch_has = false;
    return rc;
}

/* Lays out the parts of the term: stretches are as long as parts join. */
static int lay_out(cutter *k)
{
    size_t joined = 0;
    if (k->nparts == 1) {
        part_add(k, part_at(k, 0));
        return 0;
    }
    for (size_t i = 0, j; i < k->nparts; i = j) {
        uint32_t kind = part_at(k, i)->kind;
        j = i + 1;
        while (qd_word_joins(k->o, kind) && j < k->nparts && part_at(k, j)->kind & kind) j++;
        int rc = stretch_add(k, i, j, &joined);
        if (rc) return rc;
    }
    if (!has(k, QD_WORD_CATENATE_ALL) || joined == k->nparts) return 0;
    if (!k->pos) k->pos++;
    return joint_add(k, 0, k->nparts, true, 0);
}

/* Where a piece stands in the value: where its bytes do, unless those are not the value's own. */
static qd_span offset_of(const cutter *k, const piece *x)
{
    const qd_analysis *s = k->e.s;
    qd_span off = k->whole.offset, term = k->whole.term;
    uint32_t from = off.from + qd_offset_length(s, (qd_span){term.from, term.from + x->from});
    uint32_t to = off.from + qd_offset_length(s, (qd_span){term.from, term.from + x->to});
    bool own = has(k, QD_WORD_ADJUST_OFFSETS) && off.to - off.from == qd_offset_length(s, term);
    if (own) return (qd_span){from, to};
    return !k->graph && k->nparts == 1 && from <= off.to ? (qd_span){from, off.to} : off;
}

/* Wider spans first where they begin at one position. */
static int by_position(const void *a, const void *b)
{
    const piece *x = a, *y = b;
    if (x->pos != y->pos) return x->pos < y->pos ? -1 : 1;
    if (x->end != y->end) return x->end > y->end ? -1 : 1;
    if (x->from != y->from) return x->from < y->from ? -1 : 1;
    if (x->to != y->to) return x->to > y->to ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

/* What moves on first where they begin at one byte. */
static int by_place(const void *a, const void *b)
{
    const piece *x = a, *y = b;
    if (x->from != y->from) return x->from < y->from ? -1 : 1;
    if (x->pos != y->pos) return x->pos > y->pos ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

static int write_graph(cutter *k)
{
    uint32_t at = 0;
    int rc = 0;
    qsort(pieces(k), k->npieces, sizeof(piece), by_position);
    for (size_t i = 0; !rc && i < k->npieces; i++) {
        const piece *x = pieces(k) + i;
        qd_emit_token t = k->whole;
        t.term = x->term;
        t.offset = offset_of(k, x);
        t.inc = k->owed + x->pos - at;
        t.length = x->end - x->pos;
        k->owed = 0;
        at = x->pos;
        rc = qd_emit_put(&k->e, &t);
    }
    return rc;
}

static int write_flat(cutter *k)
{
    int rc = 0;
    qsort(pieces(k), k->npieces, sizeof(piece), by_place);
    for (size_t i = 0; !rc && i < k->npieces; i++) {
        const piece *x = pieces(k) + i;
        qd_emit_token t = {.term = x->term, .length = 1, .type = k->whole.type, .inc = x->pos};
        t.offset = offset_of(k, x);
        if (!k->begun && !t.inc) t.inc = 1;
        k->begun = true;
        rc = qd_emit_put(&k->e, &t);
    }
    return rc;
}

static int cut_graph(cutter *k)
{
    k->pos = 0;
    if (has(k, QD_WORD_PRESERVE))
        piece_add(k, (piece){.to = k->whole.term.to - k->whole.term.from, .term = k->whole.term});
    int rc = lay_out(k);
    if (!rc && has(k, QD_WORD_PRESERVE)) pieces(k)[0].end = k->pos ? k->pos : 1;
    return rc ? rc : write_graph(k);
}

/* Token i as it is. */
static int keep(cutter *k, size_t i)
{
    uint32_t inc = k->owed;
    k->owed = 0;
    k->begun = true;
    return qd_emit_like(&k->e, i, k->whole.term, inc);
}

static int cut_flat(cutter *k, size_t i)
{
    k->stretch_has = false;
    k->upon_original = has(k, QD_WORD_PRESERVE);
    int rc = k->upon_original ? keep(k, i) : 0;
    if (!rc) rc = lay_out(k);
    return rc ? rc : write_flat(k);
}

/* What becomes of token i. */
static int token(cutter *k, size_t i)
{
    qd_analysis *s = k->e.s;
    k->whole = qd_emit_get(&k->e, i);
    uint32_t n = k->whole.term.to - k->whole.term.from;
    if (k->whole.keyword && has(k, QD_WORD_IGNORE_KEYWORDS)) return qd_emit_copy(&k->e, i);
    k->owed += k->whole.inc;
    int rc = parts_find(k);
    if (rc) return rc;
    bool untouched = k->nparts == 1 && part_at(k, 0)->to - part_at(k, 0)->from == n;
    if (untouched || qd_wordset_has(&k->o->protected, s->text + k->whole.term.from, n) ||
        (!k->nparts && has(k, QD_WORD_PRESERVE)))
        return keep(k, i);
    if (k->nparts) return k->graph ? cut_graph(k) : cut_flat(k, i);
    /* delimiters alone leave a hole; the flat filter has them in front of all tokens only */
    if (!k->graph && k->whole.inc == 1 && k->begun) k->owed--;
    return 0;
}

static int run(const qd_part *p, qd_analysis *s, bool graph)
{
    cutter k = {.o = (const qd_word_options *)p, .graph = graph};
    int rc = qd_emit_begin(&k.e, s, QD_TOKENS_INC | (graph ? QD_TOKENS_LENGTH : 0));
    for (size_t i = 0; !rc && i < s->b->t.n; i++) rc = token(&k, i);
    return rc ? rc : qd_emit_end(&k.e);
}

static int graph_run(const qd_part *p, qd_analysis *s, qd_err *err)
{
    (void)err;
    return run(p, s, true);
}
static int flat_run(const qd_part *p, qd_analysis *s, qd_err *err)
{
    (void)err;
    return run(p, s, false);
}

static const qd_part_ops graph_ops = {graph_run, qd_word_options_free, NULL};
static const qd_part_ops flat_ops = {flat_run, qd_word_options_free, NULL};

int qd_make_word_delimiter_graph(const qd_part_conf *c, qd_part **out, qd_err *err)
{
    return qd_word_options_make(c, &graph_ops, true, out, err);
}
int qd_make_word_delimiter(const qd_part_conf *c, qd_part **out, qd_err *err)
{
    return qd_word_options_make(c, &flat_ops, false, out, err);
}
