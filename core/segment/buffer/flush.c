/*
 * flush.c: a slot's contents into a segment file.
 *
 * For each field: the words in byte order, then one counting sort of the stream by the rank of the
 * word, which leaves each word's (document, position) pairs side by side in order. A pair is one
 * u32 where bits(documents) + bits(greatest position) fit, else one u64.
 */
#include "segment/buffer/buffer_int.h"
#include "segment/ids/ids_int.h"
#include "segment/nested/nested_int.h"
#include "segment/postings/inverted_int.h"
#include "segment/segment_int.h"

#define PIECE 1024u /* postings handed to the writer at once */

typedef struct flush {
    qd_buffer *b;
    qd_file_writer *file;
    qdi_inverted inverted;
    qd_err *err;
    uint32_t *fields; /* numbers in order of names */
    qd_field_info *infos;
    qdi_field_terms *terms;
    uint8_t *norms;   /* of one field, by document */
    uint32_t **ranks; /* by field: word id -> ordinal, for columns over the words */
    uint32_t **orders;
    uint32_t *nranks;
    qd_store *store;
    qd_str name;
    qdi_nested_tables *tables; /* of the whole file */
} flush;

/* One field's stream sorted. */
typedef struct sorted {
    const qdi_buffer_field *f;
    uint32_t *order; /* ids in byte order */
    uint32_t n;
    uint32_t *at;   /* by id: end of its pairs */
    uint32_t shift; /* bits of positions in a pair */
    bool wide;
    void *pairs;
    uint32_t *starts, *ends; /* offsets in the order of pairs, or NULL */
} sorted;

/* --- sorting ---------------------------------------------------------------------------------- */

/* Walks the stream in order and puts each word's pair at its word's place. */
#define SCATTER(name, type)                                                                        \
    static void name(sorted *x)                                                                    \
    {                                                                                              \
        const qdi_buffer_field *f = x->f;                                                          \
        const qdi_gap *gap = f->gaps.at, *gap_end = f->gaps.at ? gap + f->gaps.n : gap;            \
        const bool positions = f->info.index >= QD_INDEX_POSITIONS;                                \
        uint32_t *at = x->at, word = 0, next_gap = gap < gap_end ? gap->word : UINT32_MAX;         \
        type *pairs = x->pairs;                                                                    \
        qdi_stream_cursor c;                                                                       \
        qdi_stream_seek(&c, &f->stream, 0);                                                        \
        for (size_t d = 0; d < f->docs.n; d++) {                                                   \
            type pair = (type)((type)f->docs.at[d] << x->shift);                                   \
            uint32_t left = f->words.at[d], position = UINT32_MAX;                                 \
            while (left) {                                                                         \
                if (c.have == 0) qdi_stream_turn(&c);                                              \
                uint32_t n = left < c.have ? left : c.have;                                        \
                const uint32_t *id = c.p;                                                          \
                left -= n;                                                                         \
                c.p += n;                                                                          \
                c.have -= n;                                                                       \
                for (uint32_t i = 0; i < n; i++, word++) {                                         \
                    if (i + AHEAD < n) __builtin_prefetch(&at[id[i + AHEAD]], 1);                  \
                    position++;                                                                    \
                    if (QD_UNLIKELY(word == next_gap)) {                                           \
                        position += gap->inc - 1;                                                  \
                        gap++;                                                                     \
                        next_gap = gap < gap_end ? gap->word : UINT32_MAX;                         \
                    }                                                                              \
                    pairs[at[id[i]]++] = positions ? (type)(pair | position) : pair;               \
                }                                                                                  \
            }                                                                                      \
        }                                                                                          \
    }
#define AHEAD 24u
SCATTER(scatter_u32, uint32_t)
SCATTER(scatter_u64, uint64_t)

/* The same for offsets, which go beside the pairs. */
static void scatter_offsets(const qdi_buffer_field *f, uint32_t *at, const qdi_stream *from,
                            uint32_t *to)
{
    qdi_stream_cursor ids, values;
    qdi_stream_seek(&ids, &f->stream, 0);
    qdi_stream_seek(&values, from, 0);
    for (uint64_t left = f->stream.n; left; left--) {
        if (ids.have == 0) qdi_stream_turn(&ids);
        if (values.have == 0) qdi_stream_turn(&values);
        to[at[*ids.p++]++] = *values.p++;
        ids.have--;
        values.have--;
    }
}

static void places(sorted *x)
{
    uint32_t sum = 0;
    for (uint32_t r = 0; r < x->n; r++) {
        uint32_t id = x->order[r];
        x->at[id] = sum;
        sum += x->f->table.count[id];
    }
}

/* Words in byte order. Where a column shares them, its ordinals are made as well: it may use a word
 * that no document has as a term, and the index words of which the column knows nothing. */
static int sort_words(flush *x, uint32_t field, const qdi_buffer_field *f, sorted *s)
{
    const qdi_term_table *t = &f->table;
    qd_account *a = x->b->account;
    uint8_t *used = NULL;
    if (f->column_ids) {
        used = (uint8_t *)s->pairs + (size_t)t->n * 32;
        memset(used, 0, t->n);
        qdi_column_buffer_used(f->column, used);
        for (uint32_t id = 0; id < t->n; id++) used[id] |= t->count[id] ? 2 : 0;
    }
    if (qdi_term_table_sort(t, used, s->order, &s->n, s->pairs, a))
        return qd_err_nomem(x->err, "sorting of words");
    if (!used) return 0;
    uint32_t *rank = qd_alloc(a, (t->n + (size_t)1) * 4), k = 0;
    uint32_t *order = qd_alloc(a, (t->n + (size_t)1) * 4);
    x->ranks[field] = rank;
    x->orders[field] = order;
    if (!rank || !order) return qd_err_nomem(x->err, "ordinals of a column");
    for (uint32_t r = 0; r < s->n; r++) {
        if (!(used[s->order[r]] & 1)) continue;
        order[k] = s->order[r];
        rank[s->order[r]] = k++;
    }
    x->nranks[field] = k;
    return 0;
}

/* Space: order and at (4 bytes a word of the table each), then, first for sorting the words and
 * then for the pairs, what the larger of both needs; offsets behind. */
static int sort_field(flush *x, uint32_t field, const qdi_buffer_field *f, sorted *s)
{
    size_t n = f->table.n, words = f->stream.n;
    bool positions = f->info.index >= QD_INDEX_POSITIONS;
    bool offsets = f->info.index >= QD_INDEX_OFFSETS;
    *s = (sorted){.f = f, .shift = positions ? qd_bits_of(f->max_position) : 0};
    s->wide = qd_bits_of(x->b->docs) + s->shift > 32;
    if (s->wide) s->shift = positions ? 32 : 0;
    size_t pair = s->wide ? 8 : 4, ids = (n * 8 + 15) / 16 * 16;
    size_t pairs = words * pair + (offsets ? words * 8 : 0), sort = n * 33;
    char *space = qdi_buffer_space(x->b, ids + (pairs > sort ? pairs : sort) + 16);
    if (!space) return qd_err_nomem(x->err, "sort space of a flush");
    s->order = (uint32_t *)(void *)space;
    s->at = s->order + n;
    s->pairs = space + ids;
    int rc = sort_words(x, field, f, s);
    if (rc) return rc;
    if (offsets) {
        s->starts = (uint32_t *)(void *)((char *)s->pairs + words * pair);
        s->ends = s->starts + words;
        places(s);
        scatter_offsets(f, s->at, &f->starts, s->starts);
        places(s);
        scatter_offsets(f, s->at, &f->ends, s->ends);
    }
    places(s);
    if (s->wide)
        scatter_u64(s);
    else
        scatter_u32(s);
    return 0;
}

/* --- one word --------------------------------------------------------------------------------- */

/* Splits pairs into documents, frequencies and deltas of positions, without branches on the data: a
 * document's slot is written again until the next one claims it. Frequencies of the last document
 * may go on in the next piece: returns how many documents are whole. */
#define SPLIT(name, type)                                                                          \
    static uint32_t name(const type *t, uint32_t n, uint32_t shift, uint32_t *docs,                \
                         uint32_t *first, uint32_t *deltas)                                        \
    {                                                                                              \
        uint32_t k = 0, last = UINT32_MAX, before = 0;                                             \
        const type low = (type)(((type)1 << shift) - 1);                                           \
        for (uint32_t i = 0; i < n; i++) {                                                         \
            uint32_t d = (uint32_t)(t[i] >> shift), p = (uint32_t)(t[i] & low), fresh = d != last; \
            docs[k] = d;                                                                           \
            first[k] = i;                                                                          \
            k += fresh;                                                                            \
            deltas[i] = p - (fresh ? 0 : before);                                                  \
            last = d;                                                                              \
            before = p;                                                                            \
        }                                                                                          \
        return k;                                                                                  \
    }
SPLIT(split_u32, uint32_t)
SPLIT(split_u64, uint64_t)

static uint32_t doc_of(const sorted *s, uint64_t i)
{
    return s->wide ? (uint32_t)(((const uint64_t *)s->pairs)[i] >> s->shift)
                   : ((const uint32_t *)s->pairs)[i] >> s->shift;
}

/* The end of a piece of at most PIECE pairs that begins at from, cut between documents where one
 * does not fill the piece alone. */
static uint64_t piece_end(const sorted *s, uint64_t from, uint64_t end)
{
    if (end - from <= PIECE) return end;
    uint64_t to = from + PIECE;
    while (to > from && doc_of(s, to - 1) == doc_of(s, to)) to--;
    if (to > from) return to;
    uint32_t d = doc_of(s, from); /* a document with over PIECE occurrences of one word */
    for (to = from + PIECE; to < end && doc_of(s, to) == d; to++) {}
    return to;
}

static int add_offsets(flush *x, const sorted *s, uint64_t from, uint32_t n, const uint32_t *first,
                       uint32_t ndocs, uint32_t *a, uint32_t *l)
{
    for (uint32_t d = 0; d < ndocs; d++) {
        uint32_t end = d + 1 < ndocs ? first[d + 1] : n;
        for (uint32_t i = first[d]; i < end; i++) {
            uint32_t start = s->starts[from + i];
            a[i] = start - (i > first[d] ? s->starts[from + i - 1] : 0);
            l[i] = s->ends[from + i] - start;
        }
    }
    return qdi_inverted_offsets(&x->inverted, a, l, n, x->err);
}

/* A piece of one document with more occurrences than the arrays hold. */
static int add_long(flush *x, const sorted *s, uint64_t from, uint64_t to, uint32_t *a, uint32_t *l)
{
    uint32_t doc = doc_of(s, from), freq = (uint32_t)(to - from), before = 0, start = 0;
    int rc = qdi_inverted_postings(&x->inverted, &doc,
                                   s->f->info.index >= QD_INDEX_FREQS ? &freq : NULL, 1, x->err);
    for (uint64_t i = from; rc == 0 && s->f->info.index >= QD_INDEX_POSITIONS && i < to;) {
        uint32_t n = to - i < PIECE ? (uint32_t)(to - i) : PIECE;
        for (uint32_t k = 0; k < n; k++) {
            uint32_t p = s->wide ? (uint32_t)((const uint64_t *)s->pairs)[i + k]
                                 : ((const uint32_t *)s->pairs)[i + k] & ((1u << s->shift) - 1);
            a[k] = p - before;
            before = p;
        }
        rc = qdi_inverted_positions(&x->inverted, a, n, x->err);
        for (uint32_t k = 0; s->starts && k < n; k++) {
            a[k] = s->starts[i + k] - start;
            start = s->starts[i + k];
            l[k] = s->ends[i + k] - start;
        }
        if (rc == 0 && s->starts) rc = qdi_inverted_offsets(&x->inverted, a, l, n, x->err);
        i += n;
    }
    return rc;
}

static int write_piece(flush *x, const sorted *s, uint64_t from, uint64_t to)
{
    uint32_t docs[PIECE + 1], first[PIECE + 1], deltas[PIECE], freqs[PIECE];
    uint8_t options = s->f->info.index;
    if (to - from > PIECE) return add_long(x, s, from, to, deltas, freqs);
    uint32_t n = (uint32_t)(to - from), k;
    if (s->wide)
        k = split_u64((const uint64_t *)s->pairs + from, n, s->shift, docs, first, deltas);
    else
        k = split_u32((const uint32_t *)s->pairs + from, n, s->shift, docs, first, deltas);
    first[k] = n;
    for (uint32_t i = 0; i < k; i++) freqs[i] = first[i + 1] - first[i];
    int rc = qdi_inverted_postings(&x->inverted, docs, options >= QD_INDEX_FREQS ? freqs : NULL, k,
                                   x->err);
    if (rc == 0 && options >= QD_INDEX_POSITIONS)
        rc = qdi_inverted_positions(&x->inverted, deltas, n, x->err);
    if (rc == 0 && options >= QD_INDEX_OFFSETS)
        rc = add_offsets(x, s, from, n, first, k, deltas, freqs);
    return rc;
}

static int write_word(flush *x, const sorted *s, uint32_t id, uint64_t *at)
{
    uint32_t count = s->f->table.count[id];
    if (count == 0) return 0; /* of aborted documents, or in the column alone */
    uint64_t end = *at + count;
    qdi_inverted_term(&x->inverted, count);
    int rc = 0;
    for (uint64_t from = *at, to; rc == 0 && from < end; from = to) {
        to = piece_end(s, from, end);
        rc = write_piece(x, s, from, to);
    }
    *at = end;
    return rc ? rc
              : qdi_inverted_term_end(&x->inverted, qdi_term_table_at(&s->f->table, id), x->err);
}

/* --- one field -------------------------------------------------------------------------------- */

static const uint8_t *field_norms(flush *x, const qdi_buffer_field *f)
{
    if (!f->info.norms) return NULL;
    memset(x->norms, 0, x->b->docs);
    for (size_t i = 0; i < f->docs.n; i++) x->norms[f->docs.at[i]] = f->norms.at[i];
    return x->norms;
}

static int write_field(flush *x, uint32_t i)
{
    const qdi_buffer_field *f = x->b->fields.at[x->fields[i]];
    if (f->info.index == QD_INDEX_NONE) return 0;
    sorted s;
    int rc =
        qdi_inverted_field(&x->inverted, &x->infos[i], field_norms(x, f), &x->terms[i], x->err);
    if (rc == 0) rc = sort_field(x, i, f, &s);
    uint64_t at = 0;
    for (uint32_t r = 0; rc == 0 && r < s.n; r++) {
        if (r + AHEAD <
            s.n) { /* ids lie anywhere: two misses a word otherwise, a third of all time */
            __builtin_prefetch(&f->table.count[s.order[r + AHEAD]]);
            __builtin_prefetch(&f->table.keys[s.order[r + AHEAD]]);
        }
        rc = write_word(x, &s, s.order[r], &at);
    }
    return rc ? rc : qdi_inverted_field_end(&x->inverted, (uint32_t)f->docs.n, x->err);
}

/* --- the other parts -------------------------------------------------------------------------- */

typedef struct column_words {
    const qdi_buffer_field *f;
    const uint32_t *order;
} column_words;

static qd_str word_of_ordinal(const void *arg, uint32_t ordinal)
{
    const column_words *w = arg;
    return qdi_term_table_at(&w->f->table, w->order[ordinal]);
}

static int write_columns(flush *x, uint32_t n, qd_buf *resident)
{
    qd_buffer *b = x->b;
    qd_arena arena;
    qd_arena_init(&arena, b->account, 0);
    qdi_column_source *sources = qd_arena_calloc(&arena, (n + 1) * sizeof *sources);
    qdi_column_terms *terms = qd_arena_calloc(&arena, (n + 1) * sizeof *terms);
    column_words *words = qd_arena_calloc(&arena, (n + 1) * sizeof *words);
    int rc = sources && terms && words ? 0 : qd_err_nomem(x->err, "columns of a flush");
    uint32_t k = 0;
    for (uint32_t i = 0; rc == 0 && i < n; i++) {
        const qdi_buffer_field *f = b->fields.at[x->fields[i]];
        if (!f->column) continue;
        sources[k] = (qdi_column_source){.field = i, .buffer = f->column};
        if (f->column_ids) {
            words[k] = (column_words){f, x->orders[i]};
            terms[k] = (qdi_column_terms){x->nranks[i], x->ranks[i], word_of_ordinal, &words[k]};
            sources[k].terms = &terms[k];
        }
        k++;
    }
    if (rc == 0 && k)
        rc = qdi_columns_write(sources, k, b->docs, x->file, resident, b->account, x->err);
    qd_arena_fini(&arena);
    return rc;
}

static int write_points(flush *x, uint32_t n, qd_buf *resident)
{
    qd_buffer *b = x->b;
    qdi_points_source *sources = qd_calloc(b->account, (n + 1) * sizeof *sources);
    if (!sources) return qd_err_nomem(x->err, "points of a flush");
    uint32_t k = 0;
    for (uint32_t i = 0; i < n; i++) {
        const qdi_buffer_field *f = b->fields.at[x->fields[i]];
        if (f->points) sources[k++] = (qdi_points_source){.field = i, .buffer = f->points};
    }
    int rc = k ? qdi_points_write(sources, k, b->docs, x->file, resident, b->account, x->err) : 0;
    qd_free(sources);
    return rc;
}

/* Sections of the types' own. */
static int write_index_parts(flush *x, uint32_t n, qd_buf *resident)
{
    qdi_index_parts_writer w = {.file = x->file, .index = resident};
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < n; i++) {
        const qdi_buffer_field *f = x->b->fields.at[x->fields[i]];
        if (f->part.buffer) rc = qdi_index_part_write(&f->part, i, x->b->docs, &w, x->err);
    }
    return rc;
}

/* Does any field that has a value have an index part? */
static bool has_index_parts(const qd_buffer *b)
{
    for (size_t i = 0; i < b->fields.n; i++)
        if (b->fields.at[i]->wrote && b->fields.at[i]->part.buffer) return true;
    return false;
}

static int write_parts(flush *x, const qd_segment_attrs *attrs, uint32_t n, qdi_residents *r)
{
    qd_buffer *b = x->b;
    int rc = write_columns(x, n, &r->columns);
    if (rc == 0) rc = write_points(x, n, &r->points);
    if (rc == 0) rc = qdi_stored_write(b->stored, b->docs, x->file, &r->stored, x->err);
    if (rc == 0 && b->has_ids)
        rc = qdi_ids_write(b->fields.at[b->id_field]->column, x->file, b->account, x->err);
    if (rc == 0) rc = write_index_parts(x, n, &r->parts);
    qdi_meta_write(&r->meta, b->docs, attrs, x->infos, x->terms, n);
    qdi_inverted_take_index(&x->inverted, &r->terms);
    return rc;
}

/* --- the whole -------------------------------------------------------------------------------- */

/* Fields that any document has, in order of names. */
static uint32_t order_fields(flush *x)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < x->b->fields.n; i++) {
        const qdi_buffer_field *f = x->b->fields.at[i];
        if (!f->wrote) continue;
        uint32_t at = n++;
        for (; at && qd_str_cmp(x->infos[at - 1].name, f->info.name) > 0; at--) {
            x->fields[at] = x->fields[at - 1];
            x->infos[at] = x->infos[at - 1];
        }
        x->fields[at] = i;
        x->infos[at] = f->info;
    }
    return n;
}

static int prepare(flush *x, qd_arena *arena)
{
    size_t n = x->b->fields.n + 1;
    x->fields = qd_arena_calloc(arena, n * sizeof *x->fields);
    x->infos = qd_arena_calloc(arena, n * sizeof *x->infos);
    x->terms = qd_arena_calloc(arena, n * sizeof *x->terms);
    x->ranks = qd_arena_calloc(arena, n * sizeof *x->ranks);
    x->orders = qd_arena_calloc(arena, n * sizeof *x->orders);
    x->nranks = qd_arena_calloc(arena, n * sizeof *x->nranks);
    x->norms = qd_alloc(x->b->account, x->b->docs);
    bool good = x->fields && x->infos && x->terms && x->ranks && x->orders && x->nranks && x->norms;
    return good ? 0 : qd_err_nomem(x->err, "flush of the indexing buffer");
}

static int write_fields(flush *x, const qd_segment_attrs *attrs, uint32_t n, qdi_residents *r)
{
    int rc = qdi_inverted_init(&x->inverted, x->file, x->store, x->name, x->b->docs,
                               attrs->sparse_bitmaps, x->b->account, x->err);
    for (uint32_t i = 0; rc == 0 && i < n; i++) rc = write_field(x, i);
    if (rc == 0) rc = qdi_inverted_finish(&x->inverted, x->err);
    if (rc == 0) rc = write_parts(x, attrs, n, r);
    qdi_inverted_fini(&x->inverted);
    for (uint32_t i = 0; i < n; i++) {
        qd_free(x->ranks[i]);
        qd_free(x->orders[i]);
    }
    return rc;
}

/* All data sections of one table; what is resident goes to r. */
static int write_data(flush *x, const qd_segment_attrs *attrs, qdi_residents *r)
{
    qd_arena arena;
    qd_arena_init(&arena, x->b->account, 0);
    int rc = prepare(x, &arena);
    if (rc == 0) rc = write_fields(x, attrs, order_fields(x), r);
    qd_free(x->norms);
    x->norms = NULL;
    qd_arena_fini(&arena);
    return rc;
}

static int write_counts(const flush *above, const qdi_nested_buffer *from, qd_err *err)
{
    uint32_t docs = above->b->docs;
    uint32_t *counts = qd_calloc(above->b->account, ((size_t)docs + 1) * sizeof *counts);
    if (!counts) return qd_err_nomem(err, "nested documents of a flush");
    for (size_t i = 0; i < from->counts.n; i++)
        counts[from->counts.at[i].doc] = from->counts.at[i].n;
    int rc = qdi_children_write(counts, docs, above->file, above->b->account, err);
    qd_free(counts);
    return rc;
}

/* The tables right below x and, one after the other, those below them; their records go to r. */
static int write_nested(const flush *x, const qd_segment_attrs *attrs, qdi_residents *r)
{
    const qd_segment_attrs own = {
        .min_seq_no = -1, .max_seq_no = -1, .sparse_bitmaps = attrs->sparse_bitmaps};
    const qdi_nested_buffer *last = NULL;
    for (;;) { /* in the order of paths */
        const qdi_nested_buffer *next = NULL;
        for (size_t i = 0; i < x->b->nested.n; i++) {
            const qdi_nested_buffer *n = x->b->nested.at[i];
            if (n->b->docs && (!last || qd_str_cmp(n->path, last->path) > 0) &&
                (!next || qd_str_cmp(n->path, next->path) < 0))
                next = n;
        }
        if (!next) return 0;
        qdi_nested_table *t;
        flush y = {.b = next->b,
                   .file = x->file,
                   .err = x->err,
                   .store = x->store,
                   .name = x->name,
                   .tables = x->tables};
        int rc = qdi_nested_begin(x->tables, x->file, &t, x->err);
        if (rc) return rc;
        qdi_nested_record(&r->nested, next->path, t->number);
        rc = write_data(&y, &own, &t->residents);
        if (rc == 0) rc = write_counts(x, next, x->err);
        if (rc == 0) rc = write_nested(&y, attrs, &t->residents);
        if (rc) return rc;
        last = next;
    }
}

static int run(flush *x, const qd_segment_attrs *attrs)
{
    qdi_residents r;
    qdi_residents_init(&r, x->b->account);
    int rc = write_data(x, attrs, &r);
    if (rc == 0) rc = write_nested(x, attrs, &r);
    if (rc == 0) rc = qdi_nested_residents(x->tables, &r, x->file, x->err);
    qdi_residents_fini(&r);
    return rc;
}

int qd_buffer_flush(qd_buffer *b, qd_store *s, qd_str name, const uint8_t id[16],
                    const qd_segment_attrs *attrs, bool sync, uint64_t *bytes, qd_err *err)
{
    QD_CHECK(b, QDI_BUFFER_MAGIC);
    qd_assert(!b->in_doc);
    if (b->docs == 0) return qd_err_set(err, QD_E_STATE, "an empty indexing buffer has no segment");
    if (attrs->user.n > QD_SEGMENT_USER_MAX)
        return qd_err_set(err, QD_E_ARG, "attributes of a segment exceed 64 KiB");
    qdi_nested_tables tables = {.account = b->account};
    flush x = {.b = b, .err = err, .store = s, .name = name, .tables = &tables};
    qd_file_format format = qdi_segment_format(has_index_parts(b), qd_buffer_nested_docs(b) != 0);
    int rc = qd_file_create(s, name, &format, id, b->account, &x.file, err);
    if (rc == 0) {
        rc = run(&x, attrs);
        if (rc)
            qd_file_abort(x.file);
        else
            rc = qd_file_commit(x.file, sync, bytes, err);
    }
    b->next_codec = attrs->stored_codec;
    qdi_nested_tables_fini(&tables);
    return rc;
}
