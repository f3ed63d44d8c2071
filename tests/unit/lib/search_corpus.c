/* search_corpus.c: see search_corpus.h. */
#include "unit/lib/search_corpus.h"
#include "unit/unit.h"
#include <math.h>

search_corpus C;

uint64_t search_rnd(uint64_t n)
{
    uint64_t z = C.seed += 0x9e3779b97f4a7c15ull;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    z ^= z >> 31;
    return n ? z % n : z;
}

void search_corpus_ok(int rc, int line)
{
    if (rc == 0) return;
    print_error("line %d: %s: %s (seed %llu)\n", line, qd_code_name(rc), qd_err_reason(&C.err),
                (unsigned long long)C.seed);
    fail();
}

/* Occurrences of a word in a document. */
uint32_t word_freq(const doc *d, uint32_t w)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < d->n; i++) n += d->word[i] == w;
    return n;
}

int64_t search_at(uint32_t i)
{
    return i / 2;
}

/* --- making a corpus -------------------------------------------------------------------------- */

static void make_doc(doc *d)
{
    *d = (doc){.tag = search_rnd(5) ? (int)search_rnd(TAGS) : -1, .has_num = search_rnd(4) != 0};
    d->num = (int64_t)search_rnd(1000) - 500;
    d->n = search_rnd(20) == 0 ? 0 : 1 + (uint32_t)search_rnd(search_rnd(4) ? 20 : LEN_MAX - 1);
    for (uint32_t i = 0; i < d->n; i++) { /* word 0 in most documents, the last ones rare */
        uint64_t r = search_rnd(1u << 20);
        uint32_t w = 0;
        while (w + 1 < WORDS && r < (1u << 20) * 9 / 10) {
            r = search_rnd(1u << 20);
            w++;
        }
        d->word[i] = (uint8_t)(search_rnd(3) ? w : search_rnd(WORDS));
    }
}

static void write_doc(qd_buffer *b, const uint32_t *f, uint32_t i)
{
    const doc *d = &C.docs[i];
    char text[LEN_MAX * 8 + QD_TERM_SLACK] = {0};
    uint32_t off[LEN_MAX], at = 0;
    uint16_t len[LEN_MAX];
    OK(qd_buffer_doc_begin(b, NULL, &C.err));
    for (uint32_t k = 0; k < d->n; k++) {
        off[k] = at;
        len[k] = (uint16_t)strlen(C.word[d->word[k]]);
        memcpy(text + at, C.word[d->word[k]], len[k]);
        at += len[k];
    }
    if (d->n)
        OK(qd_buffer_terms(
            b, f[0], &(qd_term_batch){.text = text, .off = off, .len = len, .n = d->n}, &C.err));
    if (d->tag >= 0) {
        OK(qd_buffer_term(b, f[1], qd_str_c(C.tag[d->tag]), &C.err));
        OK(qd_buffer_column_bytes(b, f[1], qd_str_c(C.tag[d->tag]), &C.err));
    }
    if (d->has_num) {
        OK(qd_buffer_column_i64(b, f[2], &d->num, 1, &C.err));
        OK(qd_buffer_points_i64(b, f[2], &d->num, 1, &C.err));
    }
    const int64_t time = search_at(i);
    OK(qd_buffer_column_i64(b, f[3], &time, 1, &C.err));
    OK(qd_buffer_id(b, qd_str_c(C.id[i]), &C.err));
    OK(qd_buffer_doc_commit(b, &C.err));
}

static void write_segment(qd_buffer *b, uint32_t s)
{
    static const qd_field_info infos[] = {
        {.name = {"body", 4}, .index = QD_INDEX_POSITIONS, .norms = 1},
        {.name = {"tag", 3}, .index = QD_INDEX_DOCS, .column = QD_COLUMN_ORDINAL},
        {.name = {"num", 3}, .column = QD_COLUMN_I64, .point = QD_POINT_I64},
        {.name = {"at", 2}, .column = QD_COLUMN_I64},
    };
    uint32_t f[QD_COUNT_OF(infos)];
    uint8_t id[16] = {(uint8_t)s, 1, 2};
    char name[64];
    for (uint32_t i = 0; i < QD_COUNT_OF(infos); i++)
        OK(qd_buffer_field(b, &infos[i], &f[i], &C.err));
    for (uint32_t i = C.first[s]; i < C.first[s + 1]; i++) write_doc(b, f, i);
    snprintf(name, sizeof name, "seg-%032u", s);
    qd_segment_attrs attrs = {.min_seq_no = -1,
                              .max_seq_no = -1,
                              .stored_codec = QD_STORED_NONE,
                              .sparse_bitmaps = search_rnd(2)};
    OK(qd_buffer_flush(b, C.store, qd_str_c(name), id, &attrs, true, NULL, &C.err));
    qd_buffer_reset(b);
    OK(qd_segment_open(C.store, qd_str_c(name), &C.account, &C.seg[s], &C.err));
}

static void delete_some(uint32_t s, uint32_t one_in)
{
    uint32_t n = C.first[s + 1] - C.first[s];
    OK(qd_live_make(n, &C.account, &C.live[s], &C.err));
    for (uint32_t i = 0; i < n; i++)
        if (search_rnd(one_in) == 0) {
            qd_live_delete(C.live[s], i);
            C.docs[C.first[s] + i].deleted = true;
        }
}

static float norm_inverse(uint32_t length, float avg)
{
    return 1.0f / (1.2f * ((1 - 0.75f) + 0.75f * (float)length / avg));
}

void search_corpus_make(uint64_t seed, uint32_t n, uint32_t nseg, uint32_t delete_one_in)
{
    memset(&C, 0, sizeof C);
    C.seed = seed;
    C.n = n;
    C.nseg = nseg;
    qd_err_init(&C.err);
    qd_account_init(&C.account, "test", NULL, 0);
    C.disk = store_crash_make(&(store_crash_options){.copies = seed & 1});
    OK(store_crash_open(C.disk, &C.store, &C.err));
    C.docs = calloc(n, sizeof *C.docs);
    C.id = calloc(n, sizeof *C.id);
    for (uint32_t i = 0; i < WORDS; i++) snprintf(C.word[i], sizeof C.word[i], "w%02u", i);
    for (uint32_t i = 0; i < TAGS; i++) snprintf(C.tag[i], sizeof C.tag[i], "tag%u", i);
    for (uint32_t i = 0; i < n; i++) {
        make_doc(&C.docs[i]);
        snprintf(C.id[i], sizeof C.id[i], "id%u", i);
        C.body_docs += C.docs[i].n > 0;
        C.body_ttf += C.docs[i].n;
        C.tag_docs += C.docs[i].tag >= 0;
        for (uint32_t w = 0; w < WORDS; w++) C.word_df[w] += word_freq(&C.docs[i], w) > 0;
        if (C.docs[i].tag >= 0) C.tag_df[C.docs[i].tag]++;
    }
    for (uint32_t s = 0; s <= nseg; s++) C.first[s] = (uint32_t)((uint64_t)n * s * s / nseg / nseg);
    qd_buffer *b;
    OK(qd_buffer_create(&C.account, &b, &C.err));
    for (uint32_t s = 0; s < nseg; s++) write_segment(b, s);
    qd_buffer_destroy(b);
    for (uint32_t s = 0; s < nseg; s++)
        if (delete_one_in && (nseg == 1 || s != 1)) delete_some(s, delete_one_in);
    OK(qd_searcher_make(C.seg, C.live, nseg, &C.account, &C.searcher, &C.err));
    float avg = (float)((double)C.body_ttf / (double)C.body_docs);
    for (uint32_t i = 0; i < 256; i++) C.ninv[i] = norm_inverse(qd_norm_length((uint8_t)i), avg);
    C.tag_ninv = norm_inverse(1, 1.0f);
}

void search_corpus_end(void)
{
    qd_searcher_unref(C.searcher);
    for (uint32_t s = 0; s < C.nseg; s++) {
        qd_segment_unref(C.seg[s]);
        qd_live_unref(C.live[s]);
    }
    qd_store_close(C.store);
    store_crash_free(C.disk);
    qd_err_fini(&C.err);
    free(C.docs);
    free(C.id);
    assert_int_equal(qd_account_used(&C.account), 0);
}
