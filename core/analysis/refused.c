/*
 * refused.c: analysis parts that Elasticsearch or its plugins have and this version has not, with
 * what to use in their place.
 */
#include "analysis/refused_int.h"

#define OTHER "a plugin may bring it (docs/plugins.md)"

static const struct {
    const char *name; /* a * at the end: all that begin so */
    const char *why;
} known[] = {
    {"kuromoji*",
     "use the analyzer [cjk], or the tokenizer [standard] with the filter [cjk_bigram]"},
    {"nori*", "use the analyzer [cjk], or the tokenizer [standard] with the filter [cjk_bigram]"},
    {"smartcn*",
     "use the analyzer [cjk], or the tokenizer [standard] with the filter [cjk_bigram]"},
    {"ja_stop", "use the filter [stop] with [stopwords]"},
    {"thai", "the tokenizer [standard] keeps runs of Thai letters whole; a plugin may part them"},
    {"estonian",
     "use the tokenizer [standard] with the filters [lowercase] and [stop] (_estonian_)"},
    {"simple_pattern", "use the tokenizer [pattern] with [group] 0"},
    {"simple_pattern_split", "use the tokenizer [pattern]"},
    {"uax_url_email", "use the tokenizer [classic], which keeps hosts and e-mail addresses whole"},
    {"kstem", "use the filter [stemmer] with [language] porter2 or minimal_english"},
    {"condition", "scripts do not take part in analysis"},
    {"predicate_token_filter", "scripts do not take part in analysis"},
    {"hunspell", OTHER},
    {"dictionary_decompounder", OTHER},
    {"hyphenation_decompounder", OTHER},
    {"delimited_payload", "payloads are not stored; the filter [pattern_replace] cuts them off"},
    {"multiplexer", OTHER},
    {"flatten_graph", OTHER},
    {"keep", OTHER},
    {"keep_types", OTHER},
    {"pattern_capture", OTHER},
    {"min_hash", OTHER},
    {"phonetic", OTHER},
    {"icu_*", "use the filters [lowercase] and [asciifolding]"},
};

const char *qd_part_refused(qd_str name)
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
