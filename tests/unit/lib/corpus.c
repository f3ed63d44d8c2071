/* corpus.c: see corpus.h. */
#include "unit/lib/corpus.h"
#include "segment/postings.h"
#include "segment/segment_int.h"
#include "unit/unit.h"

static const char *const field_names[CORPUS_FIELDS] = {"body", "exact", "freq", "offs"};

qd_str corpus_word(const corpus *c, uint32_t word)
{
    uint32_t at = c->text_at.at[word];
    return (qd_str){c->text.at + at, c->text_at.at[word + 1] - at};
}

static void add_word(corpus *c, uint32_t i)
{
    char word[400];
    int n = snprintf(word, 64, "%x%s", i * 2654435761u >> (i % 3 ? 0 : 12), i % 5 ? "" : "-tail");
    if (i % 17 == 0) {
        memset(word, 'p', 300); /* long, with a common beginning */
        n = snprintf(word + 250, 64, "%u", i) + 250;
    }
    if (i % 11 == 0) n += snprintf(word + n, 8, "%s", i % 2 ? "\u00e9" : "\U0001f600");
    n += snprintf(word + n, 32, "_%u", i); /* different in any case */
    if (i == 0) n = 0;                     /* and the empty word */
    for (int k = 0; k < n; k++) assert_int_equal(qd_vec_push(&c->text, &c->x->account, word[k]), 0);
    assert_int_equal(qd_vec_push(&c->text_at, &c->x->account, (uint32_t)c->text.n), 0);
}

void corpus_begin(corpus *c, parts *x, uint32_t words)
{
    *c = (corpus){.x = x, .words = words};
    const uint8_t index[] = {QD_INDEX_POSITIONS, QD_INDEX_DOCS, QD_INDEX_FREQS, QD_INDEX_OFFSETS};
    for (unsigned f = 0; f < CORPUS_FIELDS; f++)
        c->fields[f].info = (qd_field_info){.name = qd_str_c(field_names[f]),
                                            .index = index[f],
                                            .norms = f == 0 || f == 3,
                                            .column = f == 1 ? QD_COLUMN_ORDINAL : QD_COLUMN_NONE};
    assert_int_equal(qd_vec_push(&c->text_at, &x->account, 0), 0);
    for (uint32_t i = 0; i < words; i++) add_word(c, i);
    for (unsigned k = 0; k < 32; k++) /* bytes read ahead of a word's end */
        assert_int_equal(qd_vec_push(&c->text, &x->account, 'z'), 0);
}

/* Some words in most documents, others in one. */
static uint32_t random_word(corpus *c)
{
    uint64_t bits = parts_random(c->x, 20), n = c->words >> (bits > 14 ? 14 : bits);
    return (uint32_t)parts_random(c->x, n ? n : 1);
}

static void grow_field(corpus *c, corpus_field *f, uint32_t doc, uint32_t words)
{
    uint32_t position = UINT32_MAX, start = 0, length = 0;
    for (uint32_t i = 0; i < words; i++) {
        uint32_t inc = parts_random(c->x, 30) ? 1 : (uint32_t)parts_random(c->x, 200);
        if (i == 0 && inc == 0) inc = 1;
        if (f->info.index < QD_INDEX_POSITIONS) inc = 1;
        position += inc;
        length += inc > 0;
        start += (uint32_t)parts_random(c->x, 9);
        uint32_t word = random_word(c);
        if (word == 0 && f->info.index >= QD_INDEX_FREQS)
            word = 1; /* words of text are not empty */
        occurrence o = {word, doc, position, start, start + (uint32_t)parts_random(c->x, 20)};
        assert_int_equal(qd_vec_push(&f->all, &c->x->account, o), 0);
    }
    assert_int_equal(qd_vec_push(&f->length, &c->x->account, length), 0);
}

void corpus_grow(corpus *c, uint32_t docs, uint32_t length)
{
    for (uint32_t d = 0; d < docs; d++, c->docs++) {
        uint32_t n = (uint32_t)parts_random(c->x, 2 * length),
                 r = (uint32_t)parts_random(c->x, 200);
        if (r == 0) n = 40 * length;
        grow_field(c, &c->fields[0], c->docs, n);
        grow_field(c, &c->fields[1], c->docs, (uint32_t)parts_random(c->x, 3));
        grow_field(c, &c->fields[2], c->docs, r % 2 ? n / 2 : 0);
        grow_field(c, &c->fields[3], c->docs, r < 50 ? n : 0);
    }
}

void corpus_end(corpus *c)
{
    for (unsigned f = 0; f < CORPUS_FIELDS; f++) {
        qd_vec_fini(&c->fields[f].all);
        qd_vec_fini(&c->fields[f].length);
    }
    qd_vec_fini(&c->text);
    qd_vec_fini(&c->text_at);
}

/* First occurrence of documents >= doc. */
static size_t first_of(const corpus_field *f, uint32_t doc)
{
    size_t lo = 0, hi = f->all.n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (f->all.at[mid].doc < doc)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static int feed_batch(const corpus *c, const corpus_field *f, size_t from, size_t to, qd_buffer *b,
                      uint32_t number, uint32_t before, uint32_t gap, qd_err *err)
{
    enum { MAX = 300 };
    uint32_t off[MAX], inc[MAX], start[MAX], end[MAX];
    uint16_t len[MAX];
    uint32_t n = (uint32_t)(to - from);
    for (uint32_t i = 0; i < n; i++) {
        const occurrence *o = &f->all.at[from + i];
        off[i] = c->text_at.at[o->word];
        len[i] = (uint16_t)corpus_word(c, o->word).n;
        inc[i] = o->position - before;
        before = o->position;
        start[i] = o->start;
        end[i] = o->end;
    }
    if (n) inc[0] -= gap;
    qd_term_batch batch = {c->text.at, off, len, inc, start, end, n, gap, false};
    return qd_buffer_terms(b, number, &batch, err);
}

static int feed_field(const corpus *c, unsigned i, uint32_t doc, qd_buffer *b, qd_err *err)
{
    const corpus_field *f = &c->fields[i];
    size_t from = first_of(f, doc), to = first_of(f, doc + 1);
    if (from == to) return 0;
    uint32_t number, before = UINT32_MAX;
    int rc = qd_buffer_field(b, &f->info, &number, err);
    if (rc == 0 && i == 1) {
        for (size_t k = from; rc == 0 && k < to; k++) {
            qd_str w = corpus_word(c, f->all.at[k].word);
            rc = qd_buffer_term(b, number, w, err);
            if (rc == 0) rc = qd_buffer_column_bytes(b, number, w, err);
        }
        return rc;
    }
    for (size_t k = from; rc == 0 && k < to;) {
        size_t n = to - k < 300 ? to - k : 300;
        uint32_t inc = f->all.at[k].position - before, gap = inc > 3 ? inc - 2 : 0;
        rc = feed_batch(c, f, k, k + n, b, number, before, gap, err);
        before = f->all.at[k + n - 1].position;
        k += n;
    }
    return rc;
}

int corpus_feed(const corpus *c, uint32_t doc, qd_buffer *b, qd_err *err)
{
    int rc = 0;
    for (unsigned i = 0; rc == 0 && i < CORPUS_FIELDS; i++) rc = feed_field(c, i, doc, b, err);
    return rc;
}

int corpus_try_flush(const corpus *c, uint32_t from, uint32_t to, const uint8_t *skip,
                     const char *name, qd_err *err)
{
    parts *x = c->x;
    qd_buffer *b;
    int rc = qd_buffer_create(&x->account, &b, err);
    if (rc) return rc;
    for (uint32_t d = from; rc == 0 && d < to; d++) {
        if (skip && skip[d]) continue;
        rc = qd_buffer_doc_begin(b, NULL, err);
        if (rc) break;
        rc = corpus_feed(c, d, b, err);
        if (rc == 0) rc = qd_buffer_doc_commit(b, err);
        if (rc) qd_buffer_doc_abort(b);
    }
    const qd_segment_attrs attrs = {
        .min_seq_no = 3, .max_seq_no = 99, .user = QD_STR("mine"), .sparse_bitmaps = true};
    const uint8_t id[16] = {7};
    uint64_t bytes = 0;
    if (rc == 0) rc = qd_buffer_flush(b, x->store, qd_str_c(name), id, &attrs, false, &bytes, err);
    assert_true(rc || bytes > 0);
    qd_buffer_destroy(b);
    return rc;
}

void corpus_flush(const corpus *c, uint32_t from, uint32_t to, const uint8_t *skip,
                  const char *name)
{
    OK(c->x, corpus_try_flush(c, from, to, skip, name, &c->x->err));
}

static int open_source(parts *x, const char *name, const uint8_t *skip, uint32_t *doc,
                       qd_merge_source *out, qd_err *err)
{
    int rc = qd_segment_open(x->store, qd_str_c(name), &x->account, &out->segment, err);
    if (rc || !skip) return rc;
    uint32_t docs = qd_segment_docs(out->segment);
    qd_live *live;
    rc = qd_live_make(docs, &x->account, &live, err);
    if (rc) return rc;
    for (uint32_t d = 0; d < docs; d++)
        if (skip[*doc + d]) qd_live_delete(live, d);
    out->live = live;
    *doc += docs;
    return 0;
}

int corpus_merge(parts *x, const char *const *names, uint32_t n, const uint8_t *skip,
                 const char *to, qd_merge_result *result, qd_err *err)
{
    qd_merge_source sources[8] = {{NULL, NULL}};
    uint32_t doc = 0;
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < n; i++)
        rc = open_source(x, names[i], skip, &doc, &sources[i], err);
    const qd_merge_options options = {
        .attrs = {.min_seq_no = -1, .max_seq_no = -1, .sparse_bitmaps = true}};
    const uint8_t id[16] = {7};
    if (rc == 0)
        rc = qd_segment_merge(sources, n, x->store, qd_str_c(to), id, &options, &x->account, result,
                              err);
    for (uint32_t i = 0; i < n; i++) {
        qd_live_unref((qd_live *)(uintptr_t)sources[i].live);
        qd_segment_unref(sources[i].segment);
    }
    return rc;
}

void corpus_same_bytes(parts *x, const char *a, const char *b)
{
    qd_file *f = parts_open(x, a), *g = parts_open(x, b);
    uint32_t id, other;
    uint64_t at, n, m, place;
    bool resident;
    for (uint32_t i = 0; qd_file_section_at_index(f, i, &id, &at, &n, &resident); i++) {
        assert_true(qd_file_section_at_index(g, i, &other, &place, &m, &resident));
        if (id != other || n != m)
            print_error("section %u of %llu bytes, section %u of %llu bytes\n", id,
                        (unsigned long long)n, other, (unsigned long long)m);
        assert_int_equal(id, other);
        assert_int_equal(n, m);
        assert_int_equal(at, place);
        qd_reads *r = parts_reads(x);
        uint32_t p, q;
        OK(x, qd_reads_add(r, f, id, 0, n, &p, &x->err));
        OK(x, qd_reads_add(r, g, id, 0, n, &q, &x->err));
        OK(x, qd_reads_fetch(r, &x->err));
        assert_memory_equal(qd_reads_at(r, p), qd_reads_at(r, q), n);
        qd_reads_release(r);
    }
    assert_int_equal(qd_file_bytes(f), qd_file_bytes(g));
    qd_file_unref(f);
    qd_file_unref(g);
}

/* --- reading without a model ------------------------------------------------------------------ */

static int read_postings(qd_segment *s, const qd_term *t, qd_reads *r, qd_postings *p, qd_err *err)
{
    static uint32_t out[200000], end[200000];
    uint32_t docs[192], freqs[128], last = 0;
    int rc = qd_postings_plan(s, t, QD_INDEX_OFFSETS, r, p, err);
    if (rc == 0) rc = qd_reads_fetch(r, err);
    if (rc == 0) rc = qd_postings_open(p, r, err);
    if (rc) return rc;
    for (uint32_t b = 0; b < p->nblk && !p->damaged; b++) {
        uint32_t n = qd_postings_docs(p, b, docs);
        uint32_t m = qd_postings_freqs(p, b, freqs);
        assert_true(m == n || p->damaged);
        for (uint32_t i = 0; i < n && !p->damaged;
             i++) { /* what kernels rely on, whatever the bytes are */
            assert_true(docs[i] < qd_segment_docs(s));
            assert_true(freqs[i] > 0 && (b + i == 0 || docs[i] > last));
            last = docs[i];
            uint32_t j = b * 128 + i, freq;
            assert_true(qd_postings_freq(p, j) > 0);
            if (p->bits) assert_true(qd_postings_rank(p, docs[i]) < p->df);
            if (!p->pos_data) continue;
            uint64_t first = qd_postings_position_first(p, j, &freq);
            if (freq > QD_COUNT_OF(out)) freq = QD_COUNT_OF(out);
            qd_postings_positions(p, first, freq, out);
            qd_postings_offsets(p, first, freq, out, end);
        }
    }
    qd_postings_seek(p, 0, last);
    return qd_postings_status(p, err);
}

static int read_field(parts *x, qd_segment *s, uint32_t field, qd_postings *p, qd_err *err)
{
    qd_term_iter *it;
    qd_term t, again;
    qd_str text;
    qd_reads *r = parts_reads(x);
    int rc = qd_term_iter_open(s, field, &(qd_term_range){.has_to = false}, &x->arena, &it, err);
    while (rc == 0 && (rc = qd_term_iter_step(it, &text, &t, err)) > 0) {
        qd_str key = {qd_memdup(&x->account, text.p, text.n), text.n};
        rc = key.p ? qd_term_get(s, field, key, &again, err) : QD_E_NOMEM;
        if (rc == QD_E_NOTFOUND) rc = 0; /* damaged texts may be out of order */
        qd_free((void *)(uintptr_t)key.p);
        if (rc == 0) rc = read_postings(s, &t, r, p, err);
        qd_reads_release(r);
    }
    qd_reads_release(r);
    return rc;
}

int corpus_read_all(parts *x, const char *name, qd_err *err)
{
    qd_segment *s;
    int rc = qd_segment_open(x->store, qd_str_c(name), &x->account, &s, err);
    if (rc) return rc;
    qd_postings *p = qd_calloc(&x->account, sizeof *p);
    if (!p) rc = QD_E_NOMEM;
    for (uint32_t f = 0; rc == 0 && f < qd_segment_fields(s); f++)
        if (qd_segment_field(s, f)->index) rc = read_field(x, s, f, p, err);
    qd_free(p);
    qd_segment_unref(s);
    return rc;
}

/* --- comparing -------------------------------------------------------------------------------- */

typedef struct compare {
    const corpus *c;
    const corpus_field *f;
    qd_segment *s;
    uint32_t field;
    const uint8_t *norms;
    occurrence *all; /* by word's bytes, document, order */
    size_t n;
    uint32_t *number; /* model document -> document of the segment */
} compare;

static const corpus *sorting;
static int by_word(const void *a, const void *b)
{
    const occurrence *p = a, *q = b;
    if (p->word != q->word)
        return qd_str_cmp(corpus_word(sorting, p->word), corpus_word(sorting, q->word));
    if (p->doc != q->doc) return p->doc < q->doc ? -1 : 1;
    if (p->position != q->position) return p->position < q->position ? -1 : 1;
    return p->start < q->start ? -1 : p->start > q->start;
}

static bool dominated(const qd_postings *p, uint8_t cls, uint32_t freq, uint8_t norm)
{
    for (uint32_t l = 0, at = 0; l < p->nlevels; l++) {
        uint32_t n = p->level_pairs[l] ? p->level_pairs[l] : 256;
        for (uint32_t i = at; p->level_cls[l] == cls && i < at + n; i++)
            if (p->pair_freq[i] >= freq && p->pair_norm[i] <= norm) return true;
        at += n;
    }
    return false;
}

static void compare_posting(const compare *k, qd_postings *p, uint32_t j, uint32_t doc,
                            uint32_t freq, const occurrence *o)
{
    static uint32_t at[100000], start[100000], end[100000];
    assert_int_equal(qd_postings_freq(p, j), freq);
    uint8_t norm = k->norms ? k->norms[doc] : 1;
    if (p->cls) assert_true(dominated(p, p->cls[j / 128], freq, norm));
    if (p->range_cls) assert_true(dominated(p, p->range_cls[doc >> QD_RANGE_LOG], freq, norm));
    if (p->bits) {
        assert_true(qd_postings_test(p, doc));
        assert_int_equal(qd_postings_rank(p, doc), j);
    }
    if (k->f->info.index < QD_INDEX_POSITIONS) return;
    uint32_t f;
    uint64_t first = qd_postings_position_first(p, j, &f);
    assert_int_equal(f, freq);
    assert_int_equal(qd_postings_positions(p, first, freq, at), freq);
    for (uint32_t i = 0; i < freq; i++) assert_int_equal(at[i], o[i].position);
    if (k->f->info.index < QD_INDEX_OFFSETS) return;
    assert_int_equal(qd_postings_offsets(p, first, freq, start, end), freq);
    for (uint32_t i = 0; i < freq; i++) {
        assert_int_equal(start[i], o[i].start);
        assert_int_equal(end[i], o[i].end);
    }
}

/* All postings of one word: occurrences o[0 .. n). */
static uint32_t compare_word(const compare *k, const qd_term *t, const occurrence *o, size_t n)
{
    parts *x = k->c->x;
    qd_postings *p = qd_calloc(&x->account, sizeof *p);
    qd_reads *r = parts_reads(x);
    uint32_t docs[192], freqs[128], j = 0, ndocs = qd_segment_docs(k->s), set = 0;
    bool with_freqs = k->f->info.index >= QD_INDEX_FREQS;
    OK(x, qd_postings_plan(k->s, t, QD_INDEX_OFFSETS, r, p, &x->err));
    OK(x, qd_reads_fetch(r, &x->err));
    OK(x, qd_postings_open(p, r, &x->err));
    assert_true((p->range_cls != NULL) == (p->df >= 512 && p->df * 32ull >= ndocs));
    assert_true((p->bits != NULL) == (p->df >= 512 && p->df * 16ull >= ndocs));
    for (size_t i = 0; i < n;) {
        size_t e = i + 1;
        while (e < n && o[e].doc == o[i].doc) e++;
        uint32_t doc = k->number[o[i].doc], freq = with_freqs ? (uint32_t)(e - i) : 1;
        if (j % 128 == 0) {
            uint32_t want = p->df - j < 128 ? p->df - j : 128;
            assert_int_equal(qd_postings_docs(p, j / 128, docs), want);
            assert_int_equal(qd_postings_freqs(p, j / 128, freqs), want);
            if (want < 128) assert_int_equal(docs[want], QD_NO_DOC);
        }
        assert_int_equal(docs[j % 128], doc);
        assert_int_equal(freqs[j % 128], freq);
        assert_int_equal(qd_postings_seek(p, 0, doc), j / 128);
        compare_posting(k, p, j, doc, freq, o + i);
        j++;
        i = e;
    }
    assert_int_equal(j, t->df);
    assert_int_equal(t->ttf, with_freqs ? n : t->df);
    for (uint32_t d = 0; p->bits && d < ndocs; d++) set += qd_postings_test(p, d);
    assert_true(!p->bits || set == p->df);
    OK(x, qd_postings_status(p, &x->err));
    qd_reads_release(r);
    qd_free(p);
    return j;
}

static void compare_field(compare *k)
{
    parts *x = k->c->x;
    qd_term_iter *it;
    qd_term t, found;
    qd_str text;
    const qd_index_stats *stats = qd_segment_index_stats(k->s, k->field);
    uint64_t terms = 0, df = 0, ttf = 0;
    OK(x, qd_term_iter_open(k->s, k->field, &(qd_term_range){.automaton = NULL}, &x->arena, &it,
                            &x->err));
    for (size_t i = 0, e; i < k->n; i = e) {
        for (e = i + 1; e < k->n && k->all[e].word == k->all[i].word; e++) {}
        qd_str want = corpus_word(k->c, k->all[i].word);
        assert_int_equal(qd_term_iter_step(it, &text, &t, &x->err), 1);
        assert_true(qd_str_eq(text, want));
        OK(x, qd_term_get(k->s, k->field, want, &found, &x->err));
        assert_memory_equal(&found, &t, sizeof t);
        df += compare_word(k, &t, k->all + i, e - i);
        ttf += t.ttf;
        if (terms++ == 0) assert_true(qd_str_eq(stats->min, want));
        if (e == k->n) assert_true(qd_str_eq(stats->max, want));
    }
    assert_int_equal(qd_term_iter_step(it, &text, &t, &x->err), 0);
    assert_int_equal(terms, stats->terms);
    assert_int_equal(df, stats->sum_df);
    assert_int_equal(ttf, stats->sum_ttf);
}

static void compare_norms(compare *k, uint32_t from, uint32_t to, const uint8_t *skip)
{
    parts *x = k->c->x;
    uint32_t have = 0, slot;
    bool present;
    qd_reads *r = parts_reads(x);
    OK(x, qd_segment_norms_plan(k->s, k->field, r, &slot, &present, &x->err));
    assert_int_equal(present, k->f->info.norms);
    OK(x, qd_reads_fetch(r, &x->err));
    k->norms = present ? qd_reads_at(r, slot) : NULL;
    for (uint32_t d = from; d < to; d++) {
        if (skip && skip[d]) continue;
        if (present) assert_int_equal(k->norms[k->number[d]], qd_norm_of(k->f->length.at[d]));
        have += k->f->length.at[d] > 0;
    }
    assert_int_equal(qd_segment_index_stats(k->s, k->field)->docs, have);
}

void corpus_compare(const corpus *c, uint32_t from, uint32_t to, const uint8_t *skip,
                    const char *name)
{
    parts *x = c->x;
    compare k = {.c = c};
    OK(x, qd_segment_open(x->store, qd_str_c(name), &x->account, &k.s, &x->err));
    k.number = qd_calloc(&x->account, (c->docs + 1) * 4);
    uint32_t docs = 0;
    for (uint32_t d = from; d < to; d++)
        if (!skip || !skip[d]) k.number[d] = docs++;
    assert_int_equal(qd_segment_docs(k.s), docs);
    assert_true(qd_str_is(qd_segment_attributes(k.s)->user, "mine"));
    sorting = c;
    for (unsigned f = 0; f < CORPUS_FIELDS; f++) {
        k.f = &c->fields[f];
        k.all = qd_alloc(&x->account, (k.f->all.n + 1) * sizeof *k.all);
        k.n = 0;
        for (size_t i = 0; i < k.f->all.n; i++) {
            uint32_t d = k.f->all.at[i].doc;
            if (d >= from && d < to && !(skip && skip[d])) k.all[k.n++] = k.f->all.at[i];
        }
        k.field = qd_segment_field_find(k.s, k.f->info.name);
        assert_true((k.field == QD_FIELD_NONE) == (k.n == 0));
        if (k.n) {
            qsort(k.all, k.n, sizeof *k.all, by_word);
            compare_norms(&k, from, to, skip);
            compare_field(&k);
        }
        qd_free(k.all);
    }
    qd_free(k.number);
    qd_segment_unref(k.s);
    qd_arena_reset(&x->arena);
}
