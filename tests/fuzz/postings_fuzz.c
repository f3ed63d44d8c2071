/*
 * postings_fuzz.c: the postings codec by itself. The first byte chooses: 0 a stream that all
 * kernels of this CPU unpack alike; 1 a term of any bytes (head, blocks, positions, offsets), each
 * in memory of exactly its size, read through every door by the best kernels and by the scalar ones
 * with the same answers; 2 postings of any frequencies and norms, each of which the impacts of its
 * block and range must dominate.
 */
#include "base/bits.h"
#include "lib/store_crash.h"
#include "segment/postings/inverted_int.h"
#include "segment/postings/postings_int.h"
#include "segment/segment_int.h"
#include "unit/lib/codecs.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* n bytes of the input, zeroes behind its end. */
static void take(const uint8_t **p, const uint8_t *end, void *out, size_t n)
{
    size_t m = n < (size_t)(end - *p) ? n : (size_t)(end - *p);
    memset(out, 0, n);
    memcpy(out, *p, m);
    *p += m;
}
static uint32_t number(const uint8_t **p, const uint8_t *end, unsigned bytes)
{
    uint8_t b[4] = {0};
    take(p, end, b, bytes);
    return qd_get_u32le(b);
}
/* So many bytes with the codec's slack behind them, aligned as a file's pages are. */
static uint8_t *copied(const uint8_t **p, const uint8_t *end, uint32_t n)
{
    void *at;
    qd_assert(posix_memalign(&at, 64, n + QD_CODEC_SLACK) == 0);
    memset(at, 0x5a, n + QD_CODEC_SLACK);
    take(p, end, at, n);
    return at;
}

/* --- kernels --- */

static void stream(const uint8_t *p, const uint8_t *end)
{
    const qd_codec *t[CODECS_MAX];
    uint32_t nt = codecs_here(t), want[192], out[192];
    unsigned b = number(&p, end, 1) % 27;
    if (b > 25) b = 32;
    uint32_t n = number(&p, end, 1) % 128 + 1, base = number(&p, end, 4);
    uint8_t *in = copied(&p, end, qd_codec_bytes(n, b));
    for (uint32_t k = 0; k < nt; k++) {
        t[k]->docs_n(in, b, base, n, k ? out : want);
        if (k) qd_assert(!memcmp(out, want, n * 4));
    }
    for (uint32_t k = 0; k < nt; k++) {
        t[k]->vals_n(in, b, base, n, k ? out : want);
        if (k) qd_assert(!memcmp(out, want, n * 4));
    }
    for (uint32_t i = 0; i < n && b < 32; i++) qd_assert(qd_codec_one(in, b, i) + base == want[i]);
    for (uint32_t k = 0; k < nt && n == 128; k++) {
        t[k]->vals(in, b, base, out);
        qd_assert(!memcmp(out, want, 512));
    }
    uint64_t words[4] = {0};
    for (unsigned i = 0; i < 3; i++) words[i] = qd_get_u32le(in + 4 * i) * 0x100000001ull;
    uint32_t from = base % 192, most = n % 64 + 1, got = 0;
    for (uint32_t k = 0; k < nt; k++) {
        uint32_t m = t[k]->bits(words, from, 192, most, k ? out : want);
        if (k) qd_assert(m == got && !memcmp(out, want, m * 4));
        got = m;
    }
    free(in);
}

/* --- a term --- */

typedef struct answer { /* of all doors; the same for every kernel */
    uint64_t sum;
    uint32_t numbers;
    bool damaged;
} answer;

static void say(answer *a, const uint32_t *v, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) a->sum = (a->sum ^ v[i]) * 0x9e3779b97f4a7c15u + 1;
    a->numbers += n;
}

static answer read_doors(qd_postings *p)
{
    answer a = {0};
    uint32_t docs[192], freqs[128], at[128], end[128], freq;
    for (uint32_t b = 0; b < p->nblk; b++) {
        uint32_t n = qd_postings_docs(p, b, docs);
        for (uint32_t i = 0; i < n; i++)
            qd_assert(docs[i] < p->ndocs && (i == 0 || docs[i] > docs[i - 1]));
        say(&a, docs, n);
        uint32_t m = qd_postings_freqs(p, b, freqs);
        qd_assert(m <= QD_BLOCK);
        for (uint32_t i = 0; i < m; i++) qd_assert(freqs[i] > 0);
        say(&a, freqs, m);
        for (uint32_t i = 0; i < n; i += 5) {
            uint32_t j = b * QD_BLOCK + i, one = qd_postings_freq(p, j);
            qd_assert(one > 0);
            say(&a, &one, 1);
            if (p->bits) {
                uint32_t rank = qd_postings_rank(p, docs[i]);
                qd_assert(rank < p->df);
                say(&a, &rank, 1);
            }
            if (!p->pos_data) continue;
            uint64_t first = qd_postings_position_first(p, j, &freq);
            if (freq > 128) freq = 128;
            say(&a, at, qd_postings_positions(p, first, freq, at));
            if (p->offs_data) say(&a, end, qd_postings_offsets(p, first, freq, at, end));
        }
        uint32_t to = qd_postings_seek(p, b, n ? docs[n - 1] : 0);
        qd_assert(to <= p->nblk);
    }
    for (uint32_t b = 0; b < p->npos_blk && p->pos_data; b++)
        say(&a, at, qdi_postings_deltas(p, b, at));
    for (uint32_t b = 0; b < (p->ttf + QD_BLOCK - 1) / QD_BLOCK && p->offs_data; b++)
        say(&a, at, qdi_postings_offset_deltas(p, b, at, end));
    a.damaged = p->damaged;
    return a;
}

/* A file that errors can name. */
static qd_file *some_file(void)
{
    static qd_account account;
    static qd_file *f;
    if (f) return f;
    const uint8_t id[16] = {1};
    qd_file_format format = QDI_SEGMENT_FORMAT;
    qd_store *store;
    qd_file_writer *w;
    qd_account_init(&account, "fuzz", NULL, 0);
    store_crash *disk = store_crash_make(&(store_crash_options){0});
    qd_assert(store_crash_open(disk, &store, NULL) == 0);
    qd_assert(qd_file_create(store, QD_STR("seg"), &format, id, &account, &w, NULL) == 0);
    qd_assert(qd_file_commit(w, false, NULL, NULL) == 0);
    qd_assert(qd_file_open(store, QD_STR("seg"), &format, &account, &f, NULL) == 0);
    return f;
}

static void term(const uint8_t *p, const uint8_t *end)
{
    static qd_postings view;
    static qd_field_info field = {.index = QD_INDEX_OFFSETS};
    qd_segment s = {
        .file = some_file(), .docs = number(&p, end, 2) + 1, .nfields = 1, .fields = &field};
    qd_term t = {.df = number(&p, end, 2) % s.docs + 1};
    t.ttf = t.df + number(&p, end, 1) * (t.df / 8 + 1u);
    t.doc = number(&p, end, 2);
    t.position = number(&p, end, 2);
    qd_index_options want = (qd_index_options)(QD_INDEX_DOCS + number(&p, end, 1) % 4);
    if (want > QD_INDEX_OFFSETS) want = QD_INDEX_OFFSETS;
    t.positions_len = want >= QD_INDEX_POSITIONS && t.ttf > 1 ? number(&p, end, 2) : 0;
    t.offsets_len = want >= QD_INDEX_OFFSETS ? number(&p, end, 2) : 0;
    if (t.df > 1) {
        uint64_t left = (uint64_t)(end - p), behind = t.positions_len + t.offsets_len;
        t.postings_len = left > behind ? left - behind : left;
    }
    uint8_t *bytes[3] = {t.postings_len ? copied(&p, end, (uint32_t)t.postings_len) : NULL,
                         t.positions_len ? copied(&p, end, (uint32_t)t.positions_len) : NULL,
                         t.offsets_len ? copied(&p, end, (uint32_t)t.offsets_len) : NULL};
    const uint8_t *const at[3] = {bytes[0], bytes[1], bytes[2]};
    const qd_codec *kernels[CODECS_MAX];
    uint32_t n = codecs_here(kernels);
    answer first = {0};
    for (uint32_t k = 0; k < n; k++) {
        memset(&view, 0xa5, sizeof view);
        view.segment = &s;
        view.term = t;
        view.want = want;
        if (qdi_postings_open_at(&view, at, NULL)) break;
        view.codec = kernels[k];
        answer a = read_doors(&view);
        if (k == 0) first = a;
        qd_assert(a.sum == first.sum && a.numbers == first.numbers && a.damaged == first.damaged);
    }
    for (unsigned i = 0; i < 3; i++) free(bytes[i]);
}

/* --- impacts --- */

#define POSTINGS_MAX 2048u

/* Does a pair of the class dominate it? */
static bool dominated(const qdi_impact_table *t, uint8_t cls, uint32_t freq, uint8_t norm)
{
    uint32_t at = 0, level = 0, n;
    for (; level < t->nlevels; level++, at += n) {
        n = t->level_pairs[level] ? t->level_pairs[level] : 256;
        if (t->level_cls[level] == cls) break;
    }
    if (level == t->nlevels) return false;
    if (freq > QD_FREQ_SATURATED) freq = QD_FREQ_SATURATED;
    for (uint32_t i = at; i < at + n; i++)
        if (t->pair_freq[i] >= freq && t->pair_norm[i] <= norm) return true;
    return false;
}

static void impacts(const uint8_t *p, const uint8_t *end)
{
    static uint32_t docs[POSTINGS_MAX], freqs[POSTINGS_MAX];
    static uint8_t norms[POSTINGS_MAX * 256], cls[POSTINGS_MAX / QD_BLOCK + 1],
        range_cls[POSTINGS_MAX * 256 / 128 + 64];
    bool lengths = number(&p, end, 1) & 1;
    uint32_t n = 0, doc = 0;
    qd_account account;
    qdi_impacts x;
    qdi_impact_table t;
    while (p < end && n < POSTINGS_MAX) { /* a kind, a norm; then the same for some documents */
        uint32_t kind = number(&p, end, 1), norm = number(&p, end, 1);
        uint32_t freq = kind & 8 ? number(&p, end, 4) : kind >> 4;
        for (uint32_t i = 0; i < 1u << (kind & 7) && n < POSTINGS_MAX; i++, n++) {
            docs[n] = doc;
            freqs[n] = freq ? freq : 1;
            norms[doc] = (uint8_t)(norm + i);
            doc += 1 + (kind & 8 ? norm : 0);
        }
    }
    if (!n) return;
    qd_account_init(&account, "fuzz", NULL, 0);
    memset(&x, 0, sizeof x);
    qd_assert(qdi_impacts_field(&x, lengths ? norms : NULL, docs[n - 1] + 1, &account, NULL) == 0);
    qdi_impacts_term(&x);
    for (uint32_t i = 0; i < n; i += QD_BLOCK) {
        uint32_t m = n - i < QD_BLOCK ? n - i : QD_BLOCK;
        qdi_impacts_block(&x, docs + i, freqs + i, m);
        qdi_impacts_ranges(&x, docs + i, freqs + i, m);
    }
    memset(range_cls, 0, sizeof range_cls);
    qd_assert(qdi_impacts_table(&x, cls, range_cls, &t, NULL) == 0);
    for (uint32_t i = 0; i < n; i++) {
        uint8_t norm = lengths ? norms[docs[i]] : 1;
        qd_assert(dominated(&t, cls[i / QD_BLOCK], freqs[i], norm));
        qd_assert(dominated(&t, range_cls[docs[i] >> QD_RANGE_LOG], freqs[i], norm));
    }
    qdi_impacts_fini(&x);
    qd_assert(qd_account_used(&account) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const how[])(const uint8_t *, const uint8_t *) = {stream, term, impacts};
    if (size < 2 || size > 16384) return 0;
    how[data[0] % 3](data + 1, data + size);
    return 0;
}
