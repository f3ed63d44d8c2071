/* tokens.c: what can be asked of a batch of tokens. */
#include "analysis/analysis.h"
const char *qd_token_type_name(qd_token_type type)
{
    static const char *const names[QD_TOKEN_TYPES] = {
        "word",       "<ALPHANUM>", "<NUM>",   "<SOUTHEAST_ASIAN>", "<IDEOGRAPHIC>", "<HIRAGANA>",
        "<KATAKANA>", "<HANGUL>",   "<EMOJI>", "SYNONYM",           "shingle",       "graph",
    };
    return names[type < QD_TOKEN_TYPES ? type : QD_TOKEN_WORD];
}

bool qd_tokens_is_graph(const qd_tokens *t)
{
    if (!(t->has & QD_TOKENS_LENGTH)) return false;
    for (size_t i = 0; i < t->n; i++)
        if (t->length[i] > 1) return true;
    return false;
}
