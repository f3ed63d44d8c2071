/*
 * tokenizer.c: mecab_tokenizer: words by MeCab, the cheapest path through a lattice of the
 * dictionary's words (T. Kudo, K. Yamamoto, Y. Matsumoto, "Applying Conditional Random Fields to
 * Japanese Morphological Analysis", EMNLP 2004).
 */
#include "mecab_int.h"
#include <unicode/uchar.h>
#include <unicode/utf8.h>

/* A piece given to MeCab at once: its lattice takes some hundred bytes for each of the text's. */
#define PIECE_BYTES 4096u

/* Columns of IPADIC: four of the part of speech, two of inflection, then these. */
enum { BASE = 6, READING = 7, PRONUNCIATION = 8 };

typedef struct tokenizer {
    qd_self *self;
    mecab_options o;
    mecab_model_t *model;
    mecab_t *tagger;
} tokenizer;

static void close_tokenizer(void *self)
{
    tokenizer *t = (tokenizer *)self;
    if (t->tagger) mecab_destroy(t->tagger);
    if (t->model) mecab_model_destroy(t->model);
    mecab_options_fini(&t->o);
    mecab_mem->free(t);
}

static int32_t open_tokenizer(qd_self *self, const qd_analyzer_config *c, void **out, qd_err *err)
{
    tokenizer *t = (tokenizer *)mecab_mem->alloc(self, sizeof *t);
    if (!t) return QD_E_NOMEM;
    *t = (tokenizer){.self = self};
    int32_t rc = mecab_options_read(self, c, &t->o, err);
    if (!rc) rc = mecab_dictionary_open(&t->o, c->name, &t->model, err);
    if (!rc && !(t->tagger = mecab_model_new_tagger(t->model))) rc = QD_E_NOMEM;
    if (rc)
        close_tokenizer(t);
    else
        *out = t;
    return rc;
}

/* Column i of a word's features; n 0 where there is none or it is "*". */
static qd_str column(const char *features, int i)
{
    for (; i && *features; features++) i -= *features == ',';
    size_t n = strcspn(features, ",");
    return i || (n == 1 && *features == '*') ? (qd_str){NULL, 0} : (qd_str){features, n};
}

/* Is the word of the part of speech `tag`: its first columns, joined by "-"? */
static bool has_tag(const char *features, const char *tag)
{
    for (; *tag; tag++, features++)
        if (*tag != *features && !(*tag == '-' && *features == ',')) return false;
    return *features == ',' || !*features;
}

static bool stops(const tokenizer *t, const char *features)
{
    for (const char *tag = t->o.stoptags; *tag; tag += strlen(tag) + 1)
        if (has_tag(features, tag)) return true;
    return false;
}

/* Is a word of neither letters nor digits? Its first character tells. */
static bool is_punctuation(const char *p, uint32_t n)
{
    int32_t at = 0;
    UChar32 c;
    U8_NEXT(p, at, (int32_t)n, c);
    return c >= 0 && !(U_GET_GC_MASK(c) & (U_GC_L_MASK | U_GC_N_MASK | U_GC_M_MASK));
}

static uint32_t units_of(const char *p, uint32_t n)
{
    uint32_t units = 0;
    for (uint32_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)p[i];
        units += (c & 0xC0) != 0x80;
        units += c >= 0xF0;
    }
    return units;
}

/* The bytes that are parsed at once: up to the end of a sentence where there is one. */
static uint32_t piece_of(const char *p, size_t n)
{
    static const char *const ends[] = {"\n", "。", "！", "？", ". "};
    uint32_t cut = PIECE_BYTES;
    if (n <= cut) return (uint32_t)n;
    while (((unsigned char)p[cut] & 0xC0) == 0x80) cut--;
    for (uint32_t at = cut; at > PIECE_BYTES / 4; at--) {
        for (unsigned k = 0; k < sizeof ends / sizeof *ends; k++) {
            size_t len = strlen(ends[k]);
            if (!memcmp(p + at - len, ends[k], len)) return at;
        }
    }
    return cut;
}

static qd_str term_of(const tokenizer *t, const mecab_node_t *w)
{
    static const int columns[] = {-1, BASE, READING, PRONUNCIATION};
    qd_str v = {NULL, 0};
    if (t->o.form != MECAB_SURFACE) v = column(w->feature, columns[t->o.form]);
    return v.n ? v : (qd_str){w->surface, w->length};
}

typedef struct writing {
    const tokenizer *t;
    qd_token_batch *out;
    uint32_t units;   /* of the text before the word */
    uint32_t skipped; /* positions of words left out */
} writing;

static int32_t put(writing *x, qd_str term, uint32_t start, uint32_t end)
{
    qd_token_batch *out = x->out;
    int32_t rc = out->grow(out, 1, (uint32_t)term.n);
    if (rc) return rc;
    memcpy(out->bytes + out->nbytes, term.p, term.n);
    out->tokens[out->ntokens++] = (qd_token){.text = out->nbytes,
                                             .text_len = (uint32_t)term.n,
                                             .start = start,
                                             .end = end,
                                             .position_inc = 1 + x->skipped,
                                             .position_len = 1,
                                             .type = QD_TOKEN_WORD};
    out->nbytes += (uint32_t)term.n;
    x->skipped = 0;
    return 0;
}

/* The words of one piece. */
static int32_t words(writing *x, const char *piece, uint32_t n, const mecab_node_t *w)
{
    const tokenizer *t = x->t;
    const char *at = piece;
    int32_t rc = 0;
    for (; w && !rc; w = w->next) {
        if (w->stat == MECAB_BOS_NODE || w->stat == MECAB_EOS_NODE) continue;
        uint32_t start = x->units + units_of(at, (uint32_t)(w->surface - at));
        uint32_t end = start + units_of(w->surface, w->length);
        at = w->surface + w->length;
        x->units = end;
        if (!t->o.keeps_punctuation && is_punctuation(w->surface, w->length))
            continue; /* it takes no position, as other tokenizers have it */
        if (stops(t, w->feature))
            x->skipped++;
        else
            rc = put(x, term_of(t, w), start, end);
    }
    x->units += units_of(at, (uint32_t)(piece + n - at));
    return rc;
}

static int32_t run_tokenizer(const void *self, qd_str in, qd_token_batch *out, qd_err *err)
{
    const tokenizer *t = (const tokenizer *)self;
    writing x = {.t = t, .out = out};
    if (in.n > INT32_MAX) return QD_E_LIMIT;
    mecab_lattice_t *lattice = mecab_model_new_lattice(t->model);
    if (!lattice) return QD_E_NOMEM;
    int32_t rc = 0;
    for (size_t at = 0; at < in.n && !rc;) {
        uint32_t n = piece_of(in.p + at, in.n - at);
        mecab_lattice_set_sentence2(lattice, in.p + at, n);
        if (!mecab_parse_lattice(t->tagger, lattice))
            rc = MECAB_FAIL("mecab_tokenizer: MeCab does not parse the text: %s",
                            mecab_lattice_strerror(lattice));
        else
            rc = words(&x, in.p + at, n, mecab_lattice_get_bos_node(lattice));
        at += n;
    }
    mecab_lattice_destroy(lattice);
    out->end_offset = x.units;
    out->end_inc = x.skipped;
    return rc;
}

const qd_tokenizer_vtable mecab_tokenizer = {QD_VTABLE(qd_tokenizer_vtable, TOKENIZER, 0),
                                             open_tokenizer, run_tokenizer, close_tokenizer};
