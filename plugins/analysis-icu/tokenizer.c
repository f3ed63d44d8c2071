/*
 * tokenizer.c: icu_tokenizer: words by ICU's break iterator, which parts Thai, Lao, Khmer, Burmese,
 * Chinese and Japanese by dictionaries.
 */
#include "icu.h"
#include <unicode/ubrk.h>
#include <unicode/uscript.h>
#include <unicode/utf16.h>

typedef struct tokenizer {
    qd_self *self;
    UBreakIterator *words; /* each run has a copy */
} tokenizer;

static int32_t open_tokenizer(qd_self *self, const qd_analyzer_config *c, void **out, qd_err *err)
{
    static const char *const known[] = {NULL};
    UErrorCode code = U_ZERO_ERROR;
    int32_t rc = icu_options_check(c, known, err);
    if (rc) return rc;
    tokenizer *t = (tokenizer *)icu_mem->alloc(self, sizeof *t);
    if (!t) return QD_E_NOMEM;
    t->self = self;
    t->words = ubrk_open(UBRK_WORD, "", NULL, 0, &code);
    if (U_SUCCESS(code)) {
        *out = t;
        return 0;
    }
    icu_mem->free(t);
    return icu_failed(code, "icu_tokenizer", err);
}

static void close_tokenizer(void *self)
{
    tokenizer *t = (tokenizer *)self;
    ubrk_close(t->words);
    icu_mem->free(t);
}

/* The type of a word by its rule and the script of its first character. */
static uint16_t type_of(int32_t rule, UChar32 first)
{
    UErrorCode code = U_ZERO_ERROR;
    if (rule < UBRK_WORD_NUMBER_LIMIT) return QD_TOKEN_NUM;
    switch (uscript_getScript(first, &code)) {
    case USCRIPT_HAN:
        return QD_TOKEN_IDEOGRAPHIC;
    case USCRIPT_HIRAGANA:
        return QD_TOKEN_HIRAGANA;
    case USCRIPT_KATAKANA:
        return QD_TOKEN_KATAKANA;
    case USCRIPT_HANGUL:
        return QD_TOKEN_HANGUL;
    default:
        return QD_TOKEN_ALPHANUM;
    }
}

static int32_t words(UBreakIterator *it, const icu_text *text, qd_token_batch *out)
{
    int32_t rc = 0;
    for (int32_t from = ubrk_first(it), to; !rc && (to = ubrk_next(it)) != UBRK_DONE; from = to) {
        int32_t rule = ubrk_getRuleStatus(it);
        UChar32 first;
        if (rule < UBRK_WORD_NONE_LIMIT) continue;
        U16_GET(text->at, 0, from, text->n, first);
        qd_token t = {.start = (uint32_t)from,
                      .end = (uint32_t)to,
                      .position_inc = 1,
                      .position_len = 1,
                      .type = type_of(rule, first)};
        icu_text term = {.at = text->at + from, .n = to - from};
        rc = icu_put(out, &t, &term);
    }
    return rc;
}

static int32_t run_tokenizer(const void *self, qd_str in, qd_token_batch *out, qd_err *err)
{
    const tokenizer *t = (const tokenizer *)self;
    icu_text text = {.self = t->self};
    UErrorCode code = U_ZERO_ERROR;
    if (in.n > INT32_MAX / 4) return QD_E_LIMIT;
    int32_t rc = icu_read(&text, in.p, (uint32_t)in.n);
    UBreakIterator *it = rc ? NULL : ubrk_clone(t->words, &code);
    if (it) ubrk_setText(it, text.at, text.n, &code);
    if (U_FAILURE(code)) rc = icu_failed(code, "icu_tokenizer", err);
    if (!rc) rc = words(it, &text, out);
    if (it) ubrk_close(it);
    out->end_offset = (uint32_t)text.n;
    icu_text_free(&text);
    return rc;
}

const qd_tokenizer_vtable icu_tokenizer = {QD_VTABLE(qd_tokenizer_vtable, TOKENIZER, 0),
                                           open_tokenizer, run_tokenizer, close_tokenizer};
