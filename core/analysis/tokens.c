/* tokens.c: what can be asked of a batch of tokens. */
#include "analysis/analysis_int.h"

const char *qd_token_type_name(uint32_t type)
{
    static const char *const names[] = {
        "word",       "<ALPHANUM>", "<NUM>",         "<SOUTHEAST_ASIAN>", "<IDEOGRAPHIC>",
        "<HIRAGANA>", "<KATAKANA>", "<HANGUL>",      "<EMOJI>",           "SYNONYM",
        "shingle",    "gram",       "<DOUBLE>",      "<SINGLE>",          "fingerprint",
        "<URL>",      "<EMAIL>",    "<APOSTROPHE>",  "<ACRONYM>",         "<COMPANY>",
        "<HOST>",     "<CJ>",       "<ACRONYM_DEP>", "MIN_HASH",
    };
    _Static_assert(QD_COUNT_OF(names) == QD_TOKEN_TYPES, "a name for each type");
    return names[type < QD_COUNT_OF(names) ? type : QD_TOKEN_WORD];
}

bool qd_tokens_is_graph(const qd_tokens *t)
{
    if (!(t->has & QD_TOKENS_LENGTH) || t->flat) return false;
    for (size_t i = 0; i < t->n; i++)
        if (t->length[i] > 1) return true;
    return false;
}
