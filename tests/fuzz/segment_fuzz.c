/*
 * segment_fuzz.c: a segment of any bytes under right checksums: opened, walked, searched, checked
 * and merged. Input: sections one after the other, each a byte of number, two of length
 * (little-endian) and its bytes.
 */
#include "base/bits.h"
#include "lib/store_crash.h"
#include "segment/merge.h"
#include "segment/postings/postings_int.h"
#include "segment/segment_int.h"

/* With itself, in each order. */
static void merge(qd_segment *s, qd_store *store, qd_account *account)
{
    const uint8_t id[16] = {2};
    const qd_merge_source sources[] = {{s, NULL}, {s, NULL}};
    for (int order = QD_MERGE_KEPT; order <= QD_MERGE_BISECT; order++) {
        const qd_merge_options options = {.attrs = {.min_seq_no = -1, .max_seq_no = -1},
                                          .order = (qd_merge_order)order};
        int rc =
            qd_segment_merge(sources, 2, store, QD_STR("out"), id, &options, account, NULL, NULL);
        qd_assert(rc == 0 || rc == QD_E_CORRUPT || rc == QD_E_STATE);
        if (rc == 0) qd_assert(qd_store_delete(store, QD_STR("out"), NULL) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RESIDENT_FROM 32u
#define DOCS_MAX 4096u /* what META may claim costs memory by design */

static void write_sections(qd_file_writer *w, const uint8_t *p, const uint8_t *end, bool resident)
{
    uint64_t seen = 0;
    while (end - p >= 3) {
        uint32_t id = p[0] & 63, n = qd_get_u16le(p + 1);
        p += 3;
        if (n > (size_t)(end - p)) n = (uint32_t)(end - p);
        if ((id >= RESIDENT_FROM) == resident && !(seen >> id & 1)) {
            seen |= 1ull << id;
            int rc = qd_file_section_begin(w, id, resident, NULL);
            if (rc == 0) rc = qd_file_write(w, p, n, NULL);
            if (rc == 0) rc = qd_file_section_end(w, NULL, NULL);
            qd_assert(rc == 0);
        }
        p += n;
    }
}

static void read_term(qd_segment *s, const qd_term *t, qd_reads *r, qd_postings *p)
{
    uint32_t docs[192], freqs[128], at[64], end[64];
    if (qd_postings_plan(s, t, QD_INDEX_OFFSETS, r, p, NULL) || qd_reads_fetch(r, NULL) ||
        qd_postings_open(p, r, NULL))
        return;
    for (uint32_t b = 0; b < p->nblk && !p->damaged; b++) {
        uint32_t n = qd_postings_docs(p, b, docs), freq;
        for (uint32_t i = 0; i < n; i++)
            qd_assert(docs[i] < p->ndocs && (i == 0 || docs[i] > docs[i - 1]));
        qd_postings_freqs(p, b, freqs);
        for (uint32_t i = 0; i < n; i += 17) {
            uint32_t j = b * QD_BLOCK + i;
            qd_assert(qd_postings_freq(p, j) > 0);
            if (p->bits) qd_assert(qd_postings_rank(p, docs[i]) < p->df);
            uint64_t first = p->pos_data ? qd_postings_position_first(p, j, &freq) : 0;
            if (!p->pos_data || p->damaged) continue;
            if (freq > 64) freq = 64;
            qd_postings_positions(p, first, freq, at);
            qd_postings_offsets(p, first, freq, at, end);
        }
        qd_postings_seek(p, b, n ? docs[n - 1] : 0);
    }
}

static void read_fields(qd_segment *s, qd_account *account)
{
    static qd_postings p;
    for (uint32_t f = 0; f < qd_segment_fields(s); f++) {
        qd_arena arena;
        qd_arena_init(&arena, account, 0);
        qd_reads *r = qd_reads_make(&arena, account);
        qd_term_iter *it;
        qd_term t, again;
        qd_str text;
        qd_assert(r);
        if (qd_term_iter_open(s, f, &(qd_term_range){.from = QD_STR("a")}, &arena, &it, NULL) == 0)
            while (qd_term_iter_step(it, &text, &t, NULL) > 0) {
                read_term(s, &t, r, &p);
                qd_reads_release(r);
                int rc = qd_term_get(s, f, text, &again, NULL);
                qd_assert(rc == 0 || rc == QD_E_NOTFOUND || rc == QD_E_CORRUPT);
            }
        qd_reads_release(r);
        qd_arena_fini(&arena);
    }
}

static void found(void *arg, qd_str file, const char *section, uint64_t offset, const char *text)
{
    (void)arg, (void)file, (void)section, (void)offset, (void)text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    qd_account account;
    qd_account_init(&account, "fuzz", NULL, (int64_t)1 << 30);
    store_crash *disk = store_crash_make(&(store_crash_options){.copies = true});
    qd_store *store;
    qd_file_writer *w;
    const uint8_t id[16] = {1};
    qd_file_format format = QDI_SEGMENT_FORMAT;
    qd_assert(store_crash_open(disk, &store, NULL) == 0);
    qd_assert(qd_file_create(store, QD_STR("seg"), &format, id, &account, &w, NULL) == 0);
    write_sections(w, data, data + size, false);
    write_sections(w, data, data + size, true);
    qd_assert(qd_file_commit(w, false, NULL, NULL) == 0);
    qd_segment *s;
    if (qd_segment_open(store, QD_STR("seg"), &account, &s, NULL) == 0) {
        if (qd_segment_docs(s) <= DOCS_MAX) {
            qd_check c = {.found = found, .account = &account, .file = qd_segment_file(s)};
            qd_err err;
            qd_err_init(&err);
            int rc = qdi_inverted_check(s, &c, &err);
            qd_assert(rc == 0 || rc == QD_E_CORRUPT);
            qd_err_fini(&err);
            read_fields(s, &account);
            merge(s, store, &account);
        }
        qd_segment_unref(s);
    }
    qd_store_close(store);
    store_crash_free(disk);
    qd_assert(qd_account_used(&account) == 0);
    return 0;
}
