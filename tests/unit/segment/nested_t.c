/* nested_t.c: nested documents in buffer, flush, segment, merge and check. A merged segment is byte
 * for byte what indexing the documents in its order gives; aborted documents leave no trace. */
#include "segment/check.h"
#include "segment/nested.h"
#include "unit/lib/corpus.h"
#include "unit/unit.h"

#define SEGMENTS 3u
#define DOCS 900u

typedef struct world {
    parts x;
    corpus c;
    uint8_t gone[DOCS];
    uint32_t cut[SEGMENTS + 1];
} world;

static const char *const names[SEGMENTS] = {"seg-1", "seg-2", "seg-3"};
static const uint8_t the_id[16] = {7};

static uint32_t hash(uint32_t a, uint32_t b)
{
    uint64_t x = (a * 2654435761ull + b + 1) * 0x9e3779b97f4a7c15ull;
    return (uint32_t)(x >> 33);
}

/* How many nested documents a document has: mostly few, some none, one many. */
static uint32_t comments(uint32_t doc)
{
    return doc == 70 ? 300 : hash(doc, 1) % 4;
}
static uint32_t votes(uint32_t doc, uint32_t i)
{
    return hash(doc, 100 + i) % 3;
}

/* A number, a word of its own. */
static void values(world *w, qd_buffer *b, uint32_t number)
{
    parts *x = &w->x;
    uint32_t n, word;
    const qd_field_info infos[] = {
        {.name = QD_STR("n"), .column = QD_COLUMN_I64, .point = QD_POINT_I64},
        {.name = QD_STR("word"), .index = QD_INDEX_FREQS, .norms = 1, .column = QD_COLUMN_ORDINAL}};
    int64_t v = number % 17;
    qd_str text = corpus_word(&w->c, number % 40);
    OK(x, qd_buffer_field(b, &infos[0], &n, &x->err));
    OK(x, qd_buffer_field(b, &infos[1], &word, &x->err));
    OK(x, qd_buffer_column_i64(b, n, &v, 1, &x->err));
    OK(x, qd_buffer_points_i64(b, n, &v, 1, &x->err));
    for (uint32_t i = 0; i <= number % 3; i++) OK(x, qd_buffer_term(b, word, text, &x->err));
    OK(x, qd_buffer_column_bytes(b, word, text, &x->err));
}

static void nest(world *w, qd_buffer *b, uint32_t doc)
{
    parts *x = &w->x;
    qd_buffer *c, *v;
    for (uint32_t i = 0; i < comments(doc); i++) {
        OK(x, qd_buffer_nested(b, QD_STR("c"), &c, &x->err));
        OK(x, qd_buffer_doc_begin(c, NULL, &x->err));
        values(w, c, hash(doc, 1000 + i));
        for (uint32_t k = 0; k < votes(doc, i); k++) {
            OK(x, qd_buffer_nested(c, QD_STR("c.v"), &v, &x->err));
            OK(x, qd_buffer_doc_begin(v, NULL, &x->err));
            values(w, v, hash(doc, 5000 + i * 10 + k));
            OK(x, qd_buffer_doc_commit(v, &x->err));
        }
        OK(x, qd_buffer_doc_commit(c, &x->err));
    }
    if (doc % 7) return;
    OK(x, qd_buffer_nested(b, QD_STR("a"), &c, &x->err));
    OK(x, qd_buffer_doc_begin(c, NULL, &x->err));
    OK(x, qd_buffer_doc_commit(c, &x->err));
}

static void one(world *w, qd_buffer *b, uint32_t doc)
{
    parts *x = &w->x;
    char id[40];
    OK(x, qd_buffer_doc_begin(b, NULL, &x->err));
    OK(x, corpus_feed(&w->c, doc, b, &x->err));
    OK(x, qd_buffer_id(b, (qd_str){id, (size_t)snprintf(id, sizeof id, "id-%u", doc)}, &x->err));
    nest(w, b, doc);
}

/* Writes documents in the order given; between them some are aborted, also with a nested one open.
 */
static void flush(world *w, const uint32_t *docs, uint32_t n, bool aborts, const char *name)
{
    qd_buffer *b, *c;
    parts *x = &w->x;
    OK(x, qd_buffer_create(&x->account, &b, &x->err));
    for (uint32_t round = 0; round < 2; round++) { /* a buffer is used again */
        qd_buffer_reset(b);
        for (uint32_t i = 0; i < (round ? n : n / 2); i++) {
            for (uint32_t k = 0; aborts && k < hash(docs[i], 3) % 3; k++) {
                one(w, b, (docs[i] * 31 + k) % DOCS);
                if (k) {
                    OK(x, qd_buffer_nested(b, QD_STR("c"), &c, &x->err));
                    OK(x, qd_buffer_doc_begin(c, NULL, &x->err));
                    values(w, c, k);
                }
                qd_buffer_doc_abort(b);
            }
            one(w, b, docs[i]);
            OK(x, qd_buffer_doc_commit(b, &x->err));
        }
    }
    const qd_segment_attrs attrs = {.min_seq_no = 3, .max_seq_no = 99, .sparse_bitmaps = true};
    OK(x, qd_buffer_flush(b, x->store, qd_str_c(name), the_id, &attrs, false, NULL, &x->err));
    qd_buffer_destroy(b);
}

static void begin(world *w, uint64_t seed)
{
    uint32_t docs[DOCS];
    memset(w, 0, sizeof *w);
    parts_begin(&w->x, false);
    w->x.seed = seed;
    corpus_begin(&w->c, &w->x, 500);
    corpus_grow(&w->c, DOCS, 12);
    for (uint32_t d = 0; d < DOCS; d++) {
        docs[d] = d;
        w->gone[d] = parts_random(&w->x, 4) == 0;
    }
    for (uint32_t i = 0; i <= SEGMENTS; i++) w->cut[i] = DOCS / SEGMENTS * i;
    for (uint32_t i = 0; i < SEGMENTS; i++)
        flush(w, docs + w->cut[i], w->cut[i + 1] - w->cut[i], i == 1, names[i]);
}

static void end(world *w)
{
    corpus_end(&w->c);
    parts_end(&w->x);
}

static void no_finding(void *arg, qd_str file, const char *section, uint64_t offset,
                       const char *text)
{
    (void)arg;
    print_error("%.*s %s %llu: %s\n", QD_STR_ARG(file), section, (unsigned long long)offset, text);
}

static uint64_t findings(world *w, const char *name)
{
    qd_check c = {.found = no_finding, .account = &w->x.account};
    OK(&w->x, qd_segment_check(w->x.store, qd_str_c(name), &c, &w->x.err));
    return c.findings;
}

/* Children of every document of the segment, by all ways to ask. */
static void compare_children(world *w, const qd_segment *s, const qd_nested *n,
                             const uint32_t *want, uint32_t docs)
{
    parts *x = &w->x;
    qd_reads *r = parts_reads(x);
    qd_children c;
    uint32_t slot, first = 0;
    OK(x, qd_children_plan(s, n, r, &slot, &x->err));
    OK(x, qd_reads_fetch(r, &x->err));
    OK(x, qd_children_open(&c, s, n, r, slot, &x->err));
    for (uint32_t d = 0; d < docs; d++) {
        uint32_t some[4], k = docs - d < 3 ? docs - d : 3;
        assert_int_equal(qd_children_first(&c, d), first);
        qd_children_firsts(&c, d, k, some);
        assert_int_equal(some[0], first);
        assert_int_equal(some[1], first + want[d]);
        for (uint32_t i = 0; i < want[d]; i++)
            assert_int_equal(qd_children_parent(&c, first + i), d);
        first += want[d];
    }
    assert_int_equal(qd_children_first(&c, docs), first);
    assert_int_equal(qd_segment_docs(n->segment), first);
    qd_reads_release(r);
}

/* A segment of these documents. */
static void compare(world *w, const uint32_t *docs, uint32_t n, const char *name)
{
    parts *x = &w->x;
    qd_segment *s;
    uint32_t *want = calloc(n * 400, sizeof *want), k = 0;
    OK(x, qd_segment_open(x->store, qd_str_c(name), &x->account, &s, &x->err));
    assert_int_equal(qd_segment_docs(s), n);
    const qd_nested *c = qd_segment_nested(s, QD_STR("c"));
    assert_non_null(c);
    assert_int_equal(qd_segment_nested_count(s), 2);
    assert_null(qd_segment_nested(s, QD_STR("c.v")));
    for (uint32_t d = 0; d < n; d++) want[d] = comments(docs[d]);
    compare_children(w, s, c, want, n);
    for (uint32_t d = 0; d < n; d++)
        for (uint32_t i = 0; i < comments(docs[d]); i++) want[k++] = votes(docs[d], i);
    const qd_nested *v = qd_segment_nested(c->segment, QD_STR("c.v"));
    assert_non_null(v);
    compare_children(w, c->segment, v, want, k);
    assert_int_equal(qd_segment_nested_docs(s),
                     qd_segment_docs(c->segment) + qd_segment_docs(v->segment) +
                         qd_segment_docs(qd_segment_nested(s, QD_STR("a"))->segment));
    assert_int_equal(findings(w, name), 0);
    qd_segment_unref(s);
    free(want);
}

static void tables(void **state)
{
    (void)state;
    world w;
    uint32_t docs[DOCS];
    begin(&w, 3);
    for (uint32_t d = 0; d < DOCS; d++) docs[d] = d;
    for (uint32_t i = 0; i < SEGMENTS; i++)
        compare(&w, docs + w.cut[i], w.cut[i + 1] - w.cut[i], names[i]);
    /* the same without aborts */
    flush(&w, docs + w.cut[1], w.cut[2] - w.cut[1], false, "seg-clean");
    corpus_same_bytes(&w.x, names[1], "seg-clean");
    end(&w);
}

static qd_live *live_of(world *w, uint32_t i)
{
    uint32_t docs = w->cut[i + 1] - w->cut[i];
    qd_live *live;
    OK(&w->x, qd_live_make(docs, &w->x.account, &live, &w->x.err));
    for (uint32_t d = 0; d < docs; d++)
        if (w->gone[w->cut[i] + d]) qd_live_delete(live, d);
    return live;
}

/* Merges all with or without deletions; the result is what a flush in its order writes. */
static void merge_all(world *w, qd_merge_order order, bool deletions)
{
    parts *x = &w->x;
    qd_merge_source sources[SEGMENTS];
    uint32_t docs[DOCS], n = 0;
    for (uint32_t i = 0; i < SEGMENTS; i++) {
        OK(x, qd_segment_open(x->store, qd_str_c(names[i]), &x->account, &sources[i].segment,
                              &x->err));
        sources[i].live = deletions ? live_of(w, i) : NULL;
    }
    const qd_merge_options options = {.attrs = {.min_seq_no = -1, .sparse_bitmaps = true},
                                      .order = order};
    qd_merge_result result;
    OK(x, qd_segment_merge(sources, SEGMENTS, x->store, QD_STR("seg-m"), the_id, &options,
                           &x->account, &result, &x->err));
    assert_int_equal(result.order, order);
    for (uint32_t i = 0; i < SEGMENTS; i++) {
        for (uint32_t d = 0; d < w->cut[i + 1] - w->cut[i]; d++) {
            if (result.map[i][d] == UINT32_MAX) continue;
            docs[result.map[i][d]] = w->cut[i] + d;
            n++;
        }
        qd_live_unref((qd_live *)(uintptr_t)sources[i].live);
        qd_segment_unref(sources[i].segment);
    }
    assert_int_equal(n, result.docs);
    qd_merge_result_fini(&result);
    compare(w, docs, n, "seg-m");
    flush(w, docs, n, false, "seg-direct");
    corpus_same_bytes(x, "seg-m", "seg-direct");
    OK(x, qd_store_delete(x->store, QD_STR("seg-m"), &x->err));
    OK(x, qd_store_delete(x->store, QD_STR("seg-direct"), &x->err));
}

static void merges(void **state)
{
    (void)state;
    world w;
    begin(&w, 5);
    for (unsigned order = QD_MERGE_KEPT; order <= QD_MERGE_BISECT; order++) {
        merge_all(&w, (qd_merge_order)order, false);
        merge_all(&w, (qd_merge_order)order, true);
    }
    /* no document that stays has nested ones */
    for (uint32_t d = 0; d < DOCS; d++) w.gone[d] = comments(d) || d % 7 == 0;
    qd_merge_source sources[SEGMENTS];
    for (uint32_t i = 0; i < SEGMENTS; i++) {
        OK(&w.x, qd_segment_open(w.x.store, qd_str_c(names[i]), &w.x.account, &sources[i].segment,
                                 &w.x.err));
        sources[i].live = live_of(&w, i);
    }
    const qd_merge_options options = {.attrs = {.min_seq_no = -1}};
    qd_segment *s;
    OK(&w.x, qd_segment_merge(sources, SEGMENTS, w.x.store, QD_STR("seg-none"), the_id, &options,
                              &w.x.account, NULL, &w.x.err));
    OK(&w.x, qd_segment_open(w.x.store, QD_STR("seg-none"), &w.x.account, &s, &w.x.err));
    assert_int_equal(qd_segment_nested_count(s), 0);
    qd_segment_unref(s);
    for (uint32_t i = 0; i < SEGMENTS; i++) {
        qd_live_unref((qd_live *)(uintptr_t)sources[i].live);
        qd_segment_unref(sources[i].segment);
    }
    end(&w);
}

/* Bits of the records and of the counts that are wrong under good checksums: an error or a finding,
 * and no read outside of what is there. */
static void damage(void **state)
{
    (void)state;
    world w;
    begin(&w, 7);
    parts *x = &w.x;
    const uint32_t sections[] = {38, 1u << 16 | 11, 2u << 16 | 11, 2u << 16 | 38};
    for (uint32_t i = 0; i < 4; i++)
        for (uint64_t at = 0; at < 300; at += 1 + at / 16) {
            qd_segment *s;
            qd_file *f = parts_open(x, names[0]);
            uint64_t bytes = 0;
            assert_true(qd_file_section(f, sections[i], &bytes));
            qd_file_unref(f);
            if (at >= bytes) break;
            parts_tamper(x, names[0], "seg-bad", sections[i], at, (uint8_t)(1u << at % 8));
            int rc = qd_segment_open(x->store, QD_STR("seg-bad"), &x->account, &s, &x->err);
            if (rc == 0) {
                qd_check c = {.account = &x->account};
                OK(x, qd_segment_check(x->store, QD_STR("seg-bad"), &c, &x->err));
                /* a bit of a name names another path; one of the unused word says nothing */
                bool name = sections[i] % 65536 == 38, unused = !name && at >= 12 && at < 16;
                if (!name && !unused && c.findings == 0)
                    fail_msg("section %u, byte %llu: not found", sections[i],
                             (unsigned long long)at);
                qd_segment_unref(s);
            }
            qd_err_fini(&x->err);
            qd_err_init(&x->err);
            OK(x, qd_store_delete(x->store, QD_STR("seg-bad"), &x->err));
        }
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables),
        cmocka_unit_test(merges),
        cmocka_unit_test(damage),
    };
    return unit_run(tests);
}
