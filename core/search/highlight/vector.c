/*
 * vector.c: fragments as Lucene's FastVectorHighlighter makes them (fvh): the query as a set of
 * words and phrases, the longest that stands at a place taken first, pieces of fragment_size
 * centred on them, their ends moved to boundaries. Written after its classes FieldPhraseList,
 * BaseFragListBuilder, BaseFragmentsBuilder and the boundary scanners.
 *
 * The words come from analyzing the text anew, which gives what a term vector would hold. All
 * values stand in one text, a space between two; a fragment never reaches over values.
 */
#include "base/str.h"
#include "search/highlight/highlight_int.h"
#include <stdlib.h>
#include <string.h>

#define MARGIN 6
#define PATH_MAX 64u /* words of a phrase that are looked at */
#define FRAGMENT_MAX ((size_t)1 << 30)

typedef struct vector_word {
    uint32_t from, to, position;
    qd_str text;
} vector_word;

typedef struct vector_span {
    uint32_t from, to;
} vector_span;

/* A word or phrase found, and its marks. */
typedef struct vector_find {
    vector_span *marks;
    uint32_t n, number;
    float boost;
} vector_find;

typedef struct vector_piece {
    uint32_t from, to;
    vector_find *finds;
    uint32_t nfinds;
    float boost;
} vector_piece;

typedef struct vector_work {
    const qd_highlighter *h;
    const qd_highlight_options *o;
    qd_arena *arena;
    highlight_text text;    /* all values */
    const uint32_t *starts; /* of each value; nvalues + 1 */
    uint32_t nvalues, loaded;
    vector_word *words;
    uint32_t nwords, room;
    vector_find *finds;
    uint32_t nfinds, finds_room;
    vector_piece *pieces;
    uint32_t npieces, pieces_room;
    qd_err *err;
} vector_work;

/* --- the query --- */

/* Words of a phrase at one position stand in a row; those of slot number `slot` in [*a, *b). */
static bool slot_of(const highlight_phrase *p, uint32_t slot, uint32_t *a, uint32_t *b)
{
    uint32_t at = 0;
    for (*a = 0; *a < p->n; *a = *b) {
        for (*b = *a + 1; *b < p->n && p->terms[*b].position == p->terms[*a].position;) ++*b;
        if (at++ == slot) return true;
    }
    return false;
}

static uint32_t slots(const highlight_phrase *p)
{
    uint32_t n = 0, a, b;
    while (slot_of(p, n, &a, &b)) n++;
    return n;
}

static bool flat_word(const qd_highlighter *h, const highlight_flat *f, uint32_t slot, qd_str t)
{
    uint32_t a, b;
    switch (f->kind) {
    case HIGHLIGHT_FLAT_TERM:
        return slot == 0 && qd_str_eq(f->term, t);
    case HIGHLIGHT_FLAT_PATTERN:
        return slot == 0 && qd_automaton_match(h->patterns[f->at], t);
    case HIGHLIGHT_FLAT_RANGE:
        return slot == 0 && qdi_highlight_in_range(&h->ranges[f->at].range, t);
    case HIGHLIGHT_FLAT_PHRASE:
        if (!slot_of(&h->phrases[f->at], slot, &a, &b)) return false;
        for (; a < b; a++) {
            const qd_phrase_term *x = &h->phrases[f->at].terms[a];
            if (x->prefix ? qd_str_starts(t, x->term) : qd_str_eq(x->term, t)) return true;
        }
        return false;
    }
    return false;
}

static uint32_t flat_slots(const qd_highlighter *h, const highlight_flat *f)
{
    return f->kind == HIGHLIGHT_FLAT_PHRASE ? slots(&h->phrases[f->at]) : 1;
}

static bool flat_begins(const qd_highlighter *h, const highlight_flat *f,
                        const vector_word *const *path, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (!flat_word(h, f, i, path[i]->text)) return false;
    }
    return true;
}

/* Does anything in the query begin with these words? */
static bool known(const vector_work *k, const vector_word *const *path, uint32_t n)
{
    for (uint32_t i = 0; i < k->h->nflats; i++) {
        if (flat_begins(k->h, &k->h->flats[i], path, n)) return true;
    }
    return false;
}

/* What ends with these words and allows their distances; the last one said counts. NULL: nothing */
static const highlight_flat *ends(const vector_work *k, const vector_word *const *path, uint32_t n)
{
    const highlight_flat *last = NULL;
    for (uint32_t i = 0; i < k->h->nflats; i++) {
        const highlight_flat *f = &k->h->flats[i];
        if (flat_slots(k->h, f) == n && flat_begins(k->h, f, path, n)) last = f;
    }
    if (!last || n == 1) return last;
    const highlight_phrase *p = &k->h->phrases[last->at];
    for (uint32_t i = 1; i < n; i++) {
        uint32_t a, b, before, ignored;
        (void)slot_of(p, i, &a, &b);
        (void)slot_of(p, i - 1, &before, &ignored);
        int64_t wanted = (int64_t)p->terms[a].position - p->terms[before].position;
        int64_t there = (int64_t)path[i]->position - path[i - 1]->position;
        if (llabs(wanted - there) > p->slop) return NULL;
    }
    return last;
}

/* --- words of the text --- */

static int add_word(vector_work *k, qd_str text, uint32_t from, uint32_t to, uint32_t position)
{
    vector_word w = {from, to, position, text};
    const vector_word *path[1] = {&w};
    bool wanted = known(k, path, 1);
    for (uint32_t i = 0; i < k->h->nflats && !wanted; i++) {
        const highlight_flat *f = &k->h->flats[i];
        uint32_t n = flat_slots(k->h, f);
        for (uint32_t s = 1; s < n && !wanted; s++) wanted = flat_word(k->h, f, s, text);
    }
    if (!wanted) return 0;
    if (k->nwords == k->room) {
        uint32_t more = k->room ? k->room * 2 : 32;
        vector_word *at = qd_arena_alloc(k->arena, more * sizeof *at);
        if (!at) return qd_err_nomem(k->err, "highlighting");
        if (k->nwords) memcpy(at, k->words, k->nwords * sizeof *at);
        k->words = at;
        k->room = more;
    }
    w.text = qd_arena_str(k->arena, text);
    if (!w.text.p && text.n) return qd_err_nomem(k->err, "highlighting");
    k->words[k->nwords++] = w;
    return 0;
}

static int read_words(vector_work *k, const qd_analyzer *analyzer, qd_analysis *scratch,
                      const qd_str *values, uint32_t gap)
{
    uint32_t position = 0, hole = 0;
    int rc = 0;
    for (uint32_t i = 0; i < k->nvalues && !rc; i++) {
        const qd_tokens *t;
        rc = qd_analyzer_run(analyzer, scratch, values[i], QD_ANALYZE_OFFSETS, &t, k->err);
        if (rc) return rc;
        if (i) position += gap + hole;
        for (size_t j = 0; j < t->n && !rc; j++) {
            position += qd_tokens_inc(t, j);
            rc = add_word(k, qd_tokens_term(t, j), k->starts[i] + t->offset[j].from,
                          k->starts[i] + t->offset[j].to, position);
        }
        hole = t->end_inc;
    }
    return rc;
}

/* --- words and phrases found: FieldPhraseList --- */

static bool overlap(const vector_find *a, uint32_t from, uint32_t to)
{
    uint32_t so = a->marks[0].from, eo = a->marks[a->n - 1].to;
    return (so <= from && from < eo) || (so < to && to <= eo) || (from <= so && so < to) ||
           (from < eo && eo <= to);
}

static int add_find(vector_work *k, const vector_word *const *path, uint32_t n,
                    const highlight_flat *flat)
{
    for (uint32_t i = 0; i < k->nfinds; i++) {
        if (overlap(&k->finds[i], path[0]->from, path[n - 1]->to)) return 0;
    }
    if (k->nfinds == k->finds_room) {
        uint32_t more = k->finds_room ? k->finds_room * 2 : 16;
        vector_find *at = qd_arena_alloc(k->arena, more * sizeof *at);
        if (!at) return qd_err_nomem(k->err, "highlighting");
        if (k->nfinds) memcpy(at, k->finds, k->nfinds * sizeof *at);
        k->finds = at;
        k->finds_room = more;
    }
    vector_find *f = &k->finds[k->nfinds++];
    *f = (vector_find){.number = flat->number, .boost = flat->boost};
    f->marks = qd_arena_alloc(k->arena, n * sizeof *f->marks);
    if (!f->marks) return qd_err_nomem(k->err, "highlighting");
    for (uint32_t i = 0; i < n; i++) {
        if (i && path[i]->position - path[i - 1]->position == 1) {
            f->marks[f->n - 1].to = path[i]->to; /* neighbours are one mark */
        } else {
            f->marks[f->n++] = (vector_span){path[i]->from, path[i]->to};
        }
    }
    return 0;
}

/* The words of one position from i on; returns the first that goes on from path, or NULL. */
static const vector_word *next_word(const vector_work *k, uint32_t i, const vector_word **path,
                                    uint32_t n)
{
    for (uint32_t j = i; j < k->nwords && k->words[j].position == k->words[i].position; j++) {
        path[n] = &k->words[j];
        if (known(k, path, n + 1)) return &k->words[j];
    }
    return NULL;
}

static uint32_t behind(const vector_work *k, uint32_t i)
{
    uint32_t position = k->words[i].position;
    while (i < k->nwords && k->words[i].position == position) i++;
    return i;
}

static int find_all(vector_work *k)
{
    const vector_word *path[PATH_MAX + 1];
    uint32_t at[PATH_MAX + 1]; /* where the position of each word of the path begins */
    uint32_t i = 0;
    int rc = 0;
    while (i < k->nwords && k->nfinds < k->o->phrase_limit && !rc) {
        uint32_t n = 0, j = i;
        while (j < k->nwords && n < PATH_MAX && next_word(k, j, path, n)) {
            at[n++] = j;
            j = behind(k, j);
        }
        if (!n) {
            i = behind(k, i);
            continue;
        }
        const highlight_flat *flat = ends(k, path, n);
        while (!flat && n > 1) {
            j = at[--n]; /* the last word is given back */
            flat = ends(k, path, n);
        }
        if (flat) rc = add_find(k, path, n, flat);
        i = j;
    }
    return rc;
}

/* --- pieces: SimpleFragListBuilder, SingleFragListBuilder --- */

static vector_piece *add_piece(vector_work *k, uint32_t from, uint32_t to, uint32_t room)
{
    if (k->npieces == k->pieces_room) {
        uint32_t more = k->pieces_room ? k->pieces_room * 2 : 16;
        vector_piece *at = qd_arena_alloc(k->arena, more * sizeof *at);
        if (!at) return NULL;
        if (k->npieces) memcpy(at, k->pieces, k->npieces * sizeof *at);
        k->pieces = at;
        k->pieces_room = more;
    }
    vector_piece *p = &k->pieces[k->npieces];
    *p = (vector_piece){.from = from, .to = to};
    p->finds = qd_arena_alloc(k->arena, (room + 1) * sizeof *p->finds);
    if (!p->finds) return NULL;
    k->npieces++;
    return p;
}

static uint32_t find_from(const vector_find *f)
{
    return f->marks[0].from;
}

static uint32_t find_to(const vector_find *f)
{
    return f->marks[f->n - 1].to;
}

static int make_pieces(vector_work *k)
{
    uint32_t size = k->o->fragment_size, start = 0, i = 0;
    uint32_t margin = k->o->fragment_margin ? k->o->fragment_margin - 1 : MARGIN;
    while (i < k->nfinds) {
        if (find_from(&k->finds[i]) < start) { /* cut by the piece before */
            i++;
            continue;
        }
        uint32_t first = i, from = find_from(&k->finds[i]), to = find_to(&k->finds[i]), kept = 0;
        uint32_t begin = from > margin ? from - margin : 0;
        if (begin < start) begin = start;
        uint64_t end = (uint64_t)begin + size > to ? (uint64_t)begin + size : to;
        for (i++; i < k->nfinds && find_to(&k->finds[i]) <= end; i++) to = find_to(&k->finds[i]);
        vector_piece *p = add_piece(k, 0, 0, i - first);
        if (!p) return qd_err_nomem(k->err, "highlighting");
        for (uint32_t j = first; j < i; j++) {
            const vector_find *f = &k->finds[j];
            if (f->n > 1 && find_to(f) - from > size) continue; /* longer than a piece */
            p->finds[p->nfinds++] = *f;
            p->boost += f->boost;
            kept++;
        }
        if (!kept) {
            k->npieces--;
            continue;
        }
        uint32_t length = to - from, half = size > length ? (size - length) / 2 : 0;
        begin = from > half ? from - half : 0;
        p->from = begin < start ? start : begin;
        p->to = p->from + (length > size ? length : size);
        start = p->to;
    }
    return 0;
}

static int one_piece(vector_work *k)
{
    vector_piece *p = k->nfinds ? add_piece(k, 0, INT32_MAX, k->nfinds) : NULL;
    if (!p) return k->nfinds ? qd_err_nomem(k->err, "highlighting") : 0;
    for (; p->nfinds < k->nfinds; p->nfinds++) {
        p->finds[p->nfinds] = k->finds[p->nfinds];
        p->boost += k->finds[p->nfinds].boost;
    }
    return 0;
}

/* --- pieces of one value each: discreteMultiValueHighlighting --- */

/* The marks of a find that stand in [from, to), cut to it. */
static int cut_find(vector_work *k, const vector_find *f, uint32_t from, uint32_t to,
                    vector_piece *into)
{
    vector_find *x = &into->finds[into->nfinds];
    *x = (vector_find){.number = f->number, .boost = f->boost};
    x->marks = qd_arena_alloc(k->arena, (f->n + 1) * sizeof *x->marks);
    if (!x->marks) return qd_err_nomem(k->err, "highlighting");
    for (uint32_t i = 0; i < f->n; i++) {
        uint32_t a = f->marks[i].from > from ? f->marks[i].from : from;
        uint32_t b = f->marks[i].to < to ? f->marks[i].to : to - 1;
        if (f->marks[i].from < to && f->marks[i].to > from && a < b)
            x->marks[x->n++] = (vector_span){a, b};
    }
    if (!x->n) return 0;
    into->nfinds++;
    into->boost += f->boost;
    return 0;
}

static int split_piece(vector_work *k, const vector_piece *p)
{
    for (uint32_t v = 0; v < k->nvalues; v++) {
        uint32_t from = k->starts[v], to = k->starts[v + 1];
        if (to == from + 1) continue; /* empty */
        if (p->from >= from && p->to <= to && p->to >= from) {
            vector_piece *whole = add_piece(k, p->from, p->to, 0);
            if (!whole) return qd_err_nomem(k->err, "highlighting");
            whole->finds = p->finds;
            whole->nfinds = p->nfinds;
            whole->boost = p->boost;
            return 0;
        }
        if (!p->nfinds) return 0;
        if (p->from >= to || find_from(&p->finds[0]) >= to) continue;
        vector_piece *x = add_piece(k, p->from > from && p->from < to ? p->from : from,
                                    p->to > from && p->to < to ? p->to : to, p->nfinds);
        if (!x) return qd_err_nomem(k->err, "highlighting");
        for (uint32_t i = 0; i < p->nfinds; i++) {
            int rc = cut_find(k, &p->finds[i], from, to, x);
            if (rc) return rc;
        }
        if (!x->nfinds) k->npieces--; /* of this value nothing was found */
        if (find_to(&p->finds[p->nfinds - 1]) < to) return 0;
    }
    return 0;
}

static int split_values(vector_work *k)
{
    vector_piece *all = k->pieces;
    uint32_t n = k->npieces;
    int rc = 0;
    if (k->nvalues < 2) return 0;
    k->pieces = NULL;
    k->npieces = k->pieces_room = 0;
    for (uint32_t i = 0; i < n && !rc; i++) rc = split_piece(k, &all[i]);
    return rc;
}

/* --- text of a piece --- */

static bool is_boundary(const vector_work *k, UChar c)
{
    return c < 128 && qd_str_find(k->o->boundary_chars, (char)c) >= 0;
}

static int32_t by_iterator(vector_work *k, uint32_t from, uint32_t to, bool last, int32_t otherwise)
{
    UErrorCode e = U_ZERO_ERROR;
    UBreakIterator *b = ubrk_open(k->o->breaks == QD_HIGHLIGHT_WORDS ? UBRK_WORD : UBRK_SENTENCE,
                                  "", k->text.u + from, (int32_t)(to - from), &e);
    if (U_FAILURE(e)) return otherwise;
    int32_t at = last ? (ubrk_last(b), ubrk_previous(b)) : (ubrk_first(b), ubrk_next(b));
    ubrk_close(b);
    return at == UBRK_DONE ? otherwise : at;
}

static uint32_t move_start(vector_work *k, uint32_t start, uint32_t length)
{
    uint32_t at = start;
    if (start > length || start < 1) return start;
    if (k->o->breaks != QD_HIGHLIGHT_CHARS) {
        int32_t x = by_iterator(k, 0, start, true, (int32_t)start);
        return (uint32_t)x;
    }
    for (uint32_t left = k->o->boundary_max_scan; at > 0 && left > 0; left--, at--) {
        if (is_boundary(k, k->text.u[at - 1])) return at;
    }
    return at == 0 ? 0 : start;
}

static uint32_t move_end(vector_work *k, uint32_t end, uint32_t length)
{
    if (end > length) return end;
    if (k->o->breaks != QD_HIGHLIGHT_CHARS) {
        int32_t x = end < length ? by_iterator(k, end, length, false, 0) : 0;
        return end + (uint32_t)x;
    }
    uint32_t at = end;
    for (uint32_t left = k->o->boundary_max_scan; at < length && left > 0; left--, at++) {
        if (is_boundary(k, k->text.u[at])) return at;
    }
    return end;
}

static int render(vector_work *k, const vector_piece *p, qd_str *out)
{
    qd_buf b;
    /* only values up to the piece's end have been looked at, as there */
    while (k->loaded < k->nvalues && (!k->loaded || k->starts[k->loaded] < p->to)) k->loaded++;
    uint32_t length = k->starts[k->loaded]; /* a space behind the last value */
    uint32_t end = length - 1 < p->to ? length - 1 : move_end(k, p->to, length);
    uint32_t at = move_start(k, p->from, length);
    if (end > k->text.n) end = k->text.n;
    qd_buf_init(&b, k->arena->account, FRAGMENT_MAX);
    for (uint32_t i = 0; i < p->nfinds; i++) {
        const vector_find *f = &p->finds[i];
        uint32_t tag = k->o->npre ? f->number % k->o->npre : 0;
        for (uint32_t m = 0; m < f->n; m++) {
            uint32_t from = f->marks[m].from, to = f->marks[m].to;
            if (from < at || to > k->text.n) continue;
            qdi_highlight_put(k->o, &b, &k->text, at, from);
            (void)qd_buf_str(&b, k->o->pre[tag]);
            qdi_highlight_put(k->o, &b, &k->text, from, to);
            (void)qd_buf_str(&b, k->o->post[tag]);
            at = to;
        }
    }
    if (at < end) qdi_highlight_put(k->o, &b, &k->text, at, end);
    int rc = qd_buf_status(&b);
    qd_str text = qd_buf_view(&b);
    *out = qd_arena_str(k->arena, text);
    qd_buf_fini(&b);
    return rc || (!out->p && text.n) ? qd_err_nomem(k->err, "highlighting") : 0;
}

static int by_boost(const void *a, const void *b)
{
    const vector_piece *x = a, *y = b;
    if (x->boost != y->boost) return x->boost > y->boost ? -1 : 1;
    return x->from < y->from ? -1 : x->from > y->from;
}

static int join_values(vector_work *k, const qd_str *values)
{
    size_t bytes = 0, at = 0;
    uint32_t *starts = qd_arena_alloc(k->arena, (k->nvalues + 1) * sizeof *starts);
    for (uint32_t i = 0; i < k->nvalues; i++) bytes += values[i].n + 1;
    char *all = qd_arena_bytes(k->arena, bytes + 1);
    if (!starts || !all) return qd_err_nomem(k->err, "highlighting");
    starts[0] = 0;
    for (uint32_t i = 0; i < k->nvalues; i++) {
        if (values[i].n) memcpy(all + at, values[i].p, values[i].n);
        at += values[i].n;
        all[at++] = ' ';
        starts[i + 1] = starts[i] + (uint32_t)qd_highlight_units(values[i]) + 1;
    }
    k->starts = starts;
    return qdi_highlight_load((qd_str){all, at}, k->arena, &k->text, k->err);
}

int qd_highlight_vector(qd_highlighter *h, const qd_analyzer *analyzer, qd_analysis *scratch,
                        const qd_str *values, uint32_t nvalues, uint32_t gap,
                        const qd_highlight_options *o, qd_arena *arena, qd_str **out, uint32_t *n,
                        qd_err *err)
{
    vector_work k = {.h = h, .o = o, .arena = arena, .nvalues = nvalues, .err = err};
    *n = 0;
    if (!nvalues) return 0;
    if (o->fragments && o->fragment_size < MARGIN * 3)
        return qd_err_set(err, QD_E_ARG, "fragCharSize(%u) is too small. It must be %u or higher.",
                          o->fragment_size, MARGIN * 3);
    int rc = join_values(&k, values);
    if (!rc) rc = read_words(&k, analyzer, scratch, values, gap);
    if (!rc) rc = find_all(&k);
    if (!rc) rc = o->fragments ? make_pieces(&k) : one_piece(&k);
    if (!rc && !k.npieces && o->no_match_size && !add_piece(&k, 0, o->no_match_size, 0))
        rc = qd_err_nomem(err, "highlighting");
    if (!rc) rc = split_values(&k);
    if (rc || !k.npieces) return rc;
    if (o->by_score) qsort(k.pieces, k.npieces, sizeof *k.pieces, by_boost);
    if (o->fragments && k.npieces > o->fragments) k.npieces = o->fragments;
    *out = qd_arena_alloc(arena, k.npieces * sizeof **out);
    if (!*out) return qd_err_nomem(err, "highlighting");
    for (uint32_t i = 0; i < k.npieces && !rc; i++) rc = render(&k, &k.pieces[i], &(*out)[i]);
    *n = rc ? 0 : k.npieces;
    return rc;
}
