/*
 * refused.c: analysis parts that Elasticsearch or its plugins have and this version has not, with
 * what to use in their place.
 */
#include "analysis/analysis.h"
#include "config/known.h"

#define OTHER "a plugin may bring it (docs/plugins.md)"

static const struct {
    const char *name; /* a * at the end: all that begin so */
    const char *why;  /* a whole sentence where it begins with the name */
} known[] = {
    {"kuromoji*", "use the tokenizer [mecab_tokenizer] of the plugin [analysis-mecab], or the "
                  "analyzer [cjk]"},
    {"nori*", "use the analyzer [cjk], or the tokenizer [standard] with the filter [cjk_bigram]"},
    {"smartcn*",
     "use the analyzer [cjk], or the tokenizer [standard] with the filter [cjk_bigram]"},
    {"ja_stop", "use the filter [stop] with [stopwords]"},
    {"thai", "use the tokenizer [icu_tokenizer] of the plugin [analysis-icu]"},
    {"standard_html_strip",
     "[standard_html_strip] analyzer is not supported for new indices, use a custom analyzer using "
     "[standard] tokenizer and [html_strip] char_filter, plus [lowercase] filter"},
    {"delimited_payload_filter", "[delimited_payload_filter] is not supported for new indices, use "
                                 "[delimited_payload] instead"},
    {"estonian",
     "use the tokenizer [standard] with the filters [lowercase] and [stop] (_estonian_)"},
    {"kstem", "use the filter [stemmer] with [language] porter2 or minimal_english"},
    {"condition", "scripts do not take part in analysis"},
    {"predicate_token_filter", "scripts do not take part in analysis"},
    {"hunspell", OTHER},
    {"hyphenation_decompounder",
     "use the filter [dictionary_decompounder], which needs no patterns"},
    {"phonetic", "the plugin [analysis-phonetic] brings it where [plugins.allow] has its name"},
    {"icu_collation", "use the filters [lowercase] and [asciifolding] in a normalizer"},
    {"icu_collation_keyword", "use the filters [lowercase] and [asciifolding] in a normalizer"},
    {"icu_*", "the plugin [analysis-icu] brings some; else use the filters [lowercase] and "
              "[asciifolding]"},
    {"polish*", OTHER},
    {"ukrainian", OTHER},
    {"concatenate_graph", "use the filter [fingerprint]"},
    {"delimited_term_freq", "frequencies are those of the text"},
};

static const char *reason(qd_str name)
{
    for (size_t i = 0; i < QD_COUNT_OF(known); i++) {
        size_t n = strlen(known[i].name);
        bool begins = known[i].name[n - 1] == '*';
        if (begins ? qd_str_starts(name, (qd_str){known[i].name, n - 1})
                   : qd_str_is(name, known[i].name))
            return known[i].why;
    }
    return NULL;
}

int qd_analysis_refuse(const char *kind, qd_str name, qd_str type, qd_err *err)
{
    const char *why = reason(type);
    for (int k = QD_KNOWN_CHAR_FILTER; !why && k <= QD_KNOWN_ANALYZER; k++)
        if (qd_known_name((qd_known_kind)k, type)) why = "see docs/features.md";
    if (!why) return 0;
    if (*why == '[') return qd_err_set(err, QD_E_ARG, "%s", why);
    if (!name.n)
        return qd_err_set(err, QD_E_ARG, "%s [%.*s] is not supported by this version: %s", kind,
                          QD_STR_ARG(type), why);
    return qd_err_set(err, QD_E_ARG,
                      "%s type [%.*s] of [%.*s] is not supported by this version: %s", kind,
                      QD_STR_ARG(type), QD_STR_ARG(name), why);
}

const char *qd_analysis_instead(qd_str type)
{
    return reason(type);
}
