/*
 * operator_segment.c: see operator_segment.h. Of document d:
 *   numbers   d % 3 of them, ascending; the first one is missing in every eleventh document
 *   strings   none in every eleventh, two in every fifth: numbers of a dictionary of 128
 *   terms     all are in each third document, d % 5 + 1 times, at the positions 0, 2, 4 ...
 *   norms     1 + d % 20 words
 *   children  match each second document with the score 1 + d % 4
 */
#include "operator_segment.h"

#define WORDS 128u
#define STEP 3u

static uint32_t freq_of(uint32_t doc)
{
    return doc % 5 + 1;
}

static int64_t number_of(uint32_t doc)
{
    return doc * 7919u % 1000u;
}

static int32_t segment_i64(const qd_segment_view *v, qd_str field, const uint32_t *docs, uint32_t n,
                           int64_t *out, uint8_t *has, qd_err *err)
{
    (void)v, (void)field, (void)err;
    for (uint32_t i = 0; i < n; i++) {
        has[i] = docs[i] % 11 != 0;
        out[i] = number_of(docs[i]);
    }
    return 0;
}

/* --- terms --- */

struct qd_segment_postings {
    uint32_t want;
};

static int32_t segment_postings_open(const qd_segment_view *v, qd_str field, qd_str term,
                                     uint32_t want, qd_segment_postings **out, uint32_t *doc_freq,
                                     qd_err *err)
{
    static qd_segment_postings cursors[4] = {{0}, {1}, {2}, {3}};
    (void)v, (void)field, (void)term, (void)err;
    *out = &cursors[want & 3];
    *doc_freq = (MAX_DOC + STEP - 1) / STEP;
    return 0;
}

static int32_t segment_postings(const qd_segment_view *v, qd_str field, qd_str term,
                                qd_segment_postings **out, uint32_t *doc_freq, qd_err *err)
{
    return segment_postings_open(v, field, term, QD_POSTINGS_FREQS, out, doc_freq, err);
}

static int32_t segment_next(qd_segment_postings *at, uint32_t from, uint32_t cap, uint32_t *docs,
                            uint32_t *freqs, uint32_t *n, qd_err *err)
{
    (void)err;
    uint32_t doc = (from + STEP - 1) / STEP * STEP;
    for (*n = 0; *n < cap && doc < MAX_DOC; doc += STEP, (*n)++) {
        docs[*n] = doc;
        if (freqs) freqs[*n] = at->want ? freq_of(doc) : 1;
    }
    return 0;
}

static int32_t segment_positions(qd_segment_postings *at, const uint32_t *docs, uint32_t n,
                                 uint32_t cap, uint32_t *first, uint32_t *out, uint32_t *done,
                                 qd_err *err)
{
    uint32_t used = 0, i = 0;
    (void)err;
    *done = 0;
    if (!(at->want & QD_POSTINGS_POSITIONS)) return QD_E_ARG;
    first[0] = 0;
    for (; i < n; i++) {
        uint32_t k = docs[i] % STEP ? 0 : freq_of(docs[i]);
        if (k > cap - used) break;
        for (uint32_t j = 0; j < k; j++) out[used++] = 2 * j;
        first[i + 1] = used;
    }
    *done = i;
    return n && !i ? QD_E_LIMIT : 0;
}

static int32_t segment_field_stats(const qd_segment_view *v, qd_str field, qd_field_stats *out,
                                   qd_err *err)
{
    (void)v, (void)field, (void)err;
    memset(out, 0, sizeof *out);
    out->doc_count = MAX_DOC;
    out->sum_doc_freq = 4 * MAX_DOC;
    out->sum_total_term_freq = 10 * MAX_DOC;
    out->k1 = 1.2f;
    out->b = 0.75f;
    out->factor = 2.2f;
    return 0;
}

static int32_t segment_term_stats(const qd_segment_view *v, qd_str field, qd_str term,
                                  qd_term_stats *out, qd_err *err)
{
    (void)v, (void)field, (void)term, (void)err;
    out->doc_freq = (MAX_DOC + STEP - 1) / STEP;
    out->total_term_freq = 3 * out->doc_freq;
    out->doc_count = MAX_DOC;
    out->sum_total_term_freq = 10 * MAX_DOC;
    return 0;
}

static int32_t segment_norms(const qd_segment_view *v, qd_str field, const uint8_t **out,
                             qd_err *err)
{
    static uint8_t norms[MAX_DOC];
    (void)v, (void)field, (void)err;
    for (uint32_t d = 0; d < MAX_DOC; d++) norms[d] = (uint8_t)(1 + d % 20);
    *out = norms;
    return 0;
}

/* --- columns --- */

static int32_t segment_i64_all(const qd_segment_view *v, qd_str field, const uint32_t *docs,
                               uint32_t n, uint32_t cap, uint32_t *first, int64_t *out,
                               uint32_t *done, qd_err *err)
{
    uint32_t used = 0, i = 0;
    (void)v, (void)field, (void)err;
    first[0] = 0;
    for (; i < n; i++) {
        uint32_t k = docs[i] % 11 ? docs[i] % 3 + 1 : 0;
        if (k > cap - used) break;
        for (uint32_t j = 0; j < k; j++) out[used++] = number_of(docs[i]) + j;
        first[i + 1] = used;
    }
    *done = i;
    return n && !i ? QD_E_LIMIT : 0;
}

static int32_t segment_ordinals(const qd_segment_view *v, qd_str field, const uint32_t *docs,
                                uint32_t n, uint32_t cap, uint32_t *first, uint32_t *out,
                                uint32_t *done, qd_err *err)
{
    uint32_t used = 0, i = 0;
    (void)v, (void)field, (void)err;
    first[0] = 0;
    for (; i < n; i++) {
        uint32_t k = docs[i] % 11 == 0 ? 0 : docs[i] % 5 == 0 ? 2 : 1;
        if (k > cap - used) break;
        for (uint32_t j = 0; j < k; j++) out[used++] = docs[i] % (WORDS - 1) + j;
        first[i + 1] = used;
    }
    *done = i;
    return n && !i ? QD_E_LIMIT : 0;
}

static const char *word(uint32_t i)
{
    static char words[WORDS][8];
    snprintf(words[i % WORDS], sizeof words[0], "w%03u", i % WORDS);
    return words[i % WORDS];
}

static int32_t segment_ordinal_count(const qd_segment_view *v, qd_str field, uint32_t *out,
                                     qd_err *err)
{
    (void)v, (void)field, (void)err;
    *out = WORDS;
    return 0;
}

static int compare(qd_str a, qd_str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n ? memcmp(a.p, b.p, n) : 0;
    return c ? c : (a.n > b.n) - (a.n < b.n);
}

static int32_t segment_ordinal_find(const qd_segment_view *v, qd_str field, qd_str key,
                                    uint32_t *out, int32_t *found, qd_err *err)
{
    (void)v, (void)field, (void)err;
    uint32_t i = 0;
    while (i < WORDS && compare(str_c(word(i)), key) < 0) i++;
    *out = i;
    *found = i < WORDS && compare(str_c(word(i)), key) == 0;
    return 0;
}

static int32_t segment_ordinal_strings(const qd_segment_view *v, qd_str field, const uint32_t *ords,
                                       uint32_t n, qd_str *out, qd_err *err)
{
    (void)v, (void)field, (void)err;
    for (uint32_t i = 0; i < n; i++) {
        if (ords[i] >= WORDS || (i && ords[i] <= ords[i - 1])) return QD_E_ARG;
        out[i] = str_c(word(ords[i]));
    }
    return 0;
}

static int32_t segment_strings(const qd_segment_view *v, qd_str field, const uint32_t *docs,
                               uint32_t n, uint32_t cap, uint32_t *first, qd_str *out,
                               uint32_t *done, qd_err *err)
{
    static uint32_t ords[2 * MAX_DOC];
    if (cap > COUNT(ords)) cap = COUNT(ords);
    int32_t rc = segment_ordinals(v, field, docs, n, cap, first, ords, done, err);
    for (uint32_t i = 0; !rc && i < first[*done]; i++) out[i] = str_c(word(ords[i]));
    return rc;
}

/* --- children --- */

struct qd_segment_child {
    uint32_t scores;
};

static int32_t segment_child_open(const qd_segment_view *v, uint32_t child, qd_segment_child **out,
                                  qd_err *err)
{
    static qd_segment_child any;
    (void)err;
    *out = &any;
    return child < *(const uint32_t *)v->host ? 0 : QD_E_ARG;
}

static int32_t segment_child_next(qd_segment_child *c, uint32_t from, qd_doc_block *out,
                                  qd_err *err)
{
    (void)c, (void)err;
    out->n = 0;
    for (uint32_t d = from + from % 2; d < MAX_DOC && out->n < QD_OPERATOR_BLOCK; d += 2) {
        out->docs[out->n] = d;
        out->scores[out->n++] = (float)(1 + d % 4);
    }
    return 0;
}

/* A segment without index parts. */
static int32_t segment_part(const qd_segment_view *v, qd_str field, qd_str *type,
                            qd_part_reader **out, const qd_part_bytes **bytes, qd_err *err)
{
    (void)v, (void)field, (void)type, (void)out, (void)bytes, (void)err;
    return QD_E_NOTFOUND;
}

static float segment_child_max_score(qd_segment_child *c, uint32_t from, uint32_t to)
{
    (void)c, (void)from, (void)to;
    return 4;
}

/* --- the view --- */

qd_segment_view segment_view(qd_arena *arena, uint32_t nchildren)
{
    static uint32_t lengths[256], children;
    for (uint32_t i = 0; i < 256; i++) lengths[i] = i;
    children = nchildren;
    return (qd_segment_view){
        .struct_size = sizeof(qd_segment_view),
        .max_doc = MAX_DOC,
        .host = &children,
        .arena = arena,
        .i64 = segment_i64,
        .postings = segment_postings,
        .postings_next = segment_next,
        .field_stats = segment_field_stats,
        .term_stats = segment_term_stats,
        .norms = segment_norms,
        .norm_lengths = lengths,
        .postings_open = segment_postings_open,
        .positions = segment_positions,
        .i64_all = segment_i64_all,
        .ordinals = segment_ordinals,
        .ordinal_count = segment_ordinal_count,
        .ordinal_find = segment_ordinal_find,
        .ordinal_strings = segment_ordinal_strings,
        .strings = segment_strings,
        .child_open = segment_child_open,
        .child_next = segment_child_next,
        .child_max_score = segment_child_max_score,
        .part = segment_part,
    };
}

int32_t segment_analyze(const qd_query_ctx *ctx, qd_str field, qd_str text,
                        const qd_query_token **out, uint32_t *n, qd_err *err)
{
    static qd_query_token tokens[16];
    static char words[512]; /* as the text may end with its call */
    size_t at = 0, len = text.n < sizeof words ? text.n : sizeof words;
    (void)ctx, (void)field, (void)err;
    if (len) memcpy(words, text.p, len);
    *n = 0;
    while (at < len && *n < COUNT(tokens)) {
        while (at < len && words[at] == ' ') at++;
        size_t from = at;
        while (at < len && words[at] != ' ') at++;
        if (at == from) break;
        tokens[*n].term = (qd_str){words + from, at - from};
        tokens[*n].position = *n;
        tokens[*n].length = 1;
        (*n)++;
    }
    *out = tokens;
    return 0;
}
