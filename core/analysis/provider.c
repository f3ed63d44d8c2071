/*
 * provider.c: built-in analyzers as chains of parts.
 *
 * Those with default settings are shared by the whole process: each is made at its first use and
 * published by compare-and-swap; a loser of the race frees its own.
 */
#include "analysis/builtin_int.h"
#include "analysis/filter/stop_int.h"
#include "analysis/provider_int.h"
#include "base/features.h"

#define PARTS_MAX 10
typedef struct chain {
    const qd_part_conf *c;
    qd_part *parts[PARTS_MAX];
    size_t n;
    qd_err *err;
    int rc;
} chain;

/* Appends a part made from the analyzer's own settings. */
static void add(chain *k, qd_part_make *make)
{
    if (!k->rc) k->rc = make(k->c, &k->parts[k->n], k->err);
    if (!k->rc) k->n++;
}

/* Appends a part with one setting, or none (key NULL). */
static void add_with(chain *k, qd_part_make *make, const char *key, const char *value)
{
    const qd_str text = qd_str_c(value ? value : "");
    const qd_str yes = QD_STR("true"); /* Lucene's sets of these analyzers ignore case */
    const qd_analysis_setting set[] = {{qd_str_c(key ? key : ""), &text, 1, false},
                                       {QD_STR("articles_case"), &yes, 1, false},
                                       {QD_STR("ignore_case"), &yes, 1, false}};
    qd_part_conf c = {.name = k->c->name, .settings = set, .n = key ? QD_COUNT_OF(set) : 0};
    if (!k->rc) k->rc = make(&c, &k->parts[k->n], k->err);
    if (!k->rc) k->n++;
}

static void add_plain(chain *k, qd_part_make *make)
{
    add_with(k, make, NULL, NULL);
}

static void add_stop(chain *k, const char *def)
{
    if (!k->rc) k->rc = qd_words_stop(k->c, def, &k->parts[k->n], k->err);
    if (!k->rc) k->n++;
}

/* The stop words of a language that the analyzer snowball has some for. */
static void add_language_stop(chain *k)
{
    static const char *const lists[] = {"_english_", "_dutch_", "_german_", "_french_"};
    qd_str language = qd_conf_str(k->c, "language", "English");
    const char *def = "_none_";
    for (size_t i = 0; i < QD_COUNT_OF(lists); i++)
        if (qd_str_ieq(language, (qd_str){lists[i] + 1, strlen(lists[i]) - 2})) def = lists[i];
    add_stop(k, def);
}

/* Words that the stemmer leaves alone. */
static void add_exclusion(chain *k)
{
    if (!qd_conf_find(k->c, "stem_exclusion") || k->rc) return;
    if (!(k->rc = qd_words_marker(k->c, "stem_exclusion", &k->parts[k->n], k->err))) k->n++;
}

/* One part of a chain. */
typedef struct step {
    enum {
        END,
        PLAIN,         /* make */
        OWN,           /* make with the analyzer's settings */
        WITH,          /* make with key and value */
        STOP,          /* stop words: the setting, or the list `value` */
        STOP_SET,      /* stop words where the setting is there */
        STOP_LANGUAGE, /* stop words: the setting, or those of the setting `language` */
        EXCLUSION,     /* stem_exclusion, where it is set */
        LOWER_SET,     /* lower case unless the setting says no */
    } kind;
    qd_part_make *make;
    const char *key, *value;
} step;

static void add_step(chain *k, const step *s)
{
    bool on = true;
    switch (s->kind) {
    case PLAIN:
    case WITH:
        add_with(k, s->make, s->key, s->value);
        return;
    case OWN:
        add(k, s->make);
        return;
    case STOP_SET:
        if (!qd_conf_find(k->c, "stopwords") && !qd_conf_find(k->c, "stopwords_path")) return;
        add_stop(k, NULL);
        return;
    case STOP:
        add_stop(k, s->value);
        return;
    case STOP_LANGUAGE:
        add_language_stop(k);
        return;
    case EXCLUSION:
        add_exclusion(k);
        return;
    case LOWER_SET:
        if (!k->rc) k->rc = qd_conf_bool(k->c, "lowercase", true, &on, k->err);
        if (on) add_plain(k, qd_make_lowercase);
        return;
    case END:
        return;
    }
}

#define P(part)                                                                                    \
    {                                                                                              \
        PLAIN, qd_make_##part, NULL, NULL                                                          \
    }
#define S(part)                                                                                    \
    {                                                                                              \
        OWN, qd_make_##part, NULL, NULL                                                            \
    }
#define W(part, key, value)                                                                        \
    {                                                                                              \
        WITH, qd_make_##part, key, value                                                           \
    }
#define STOPS(list)                                                                                \
    {                                                                                              \
        STOP, NULL, NULL, list                                                                     \
    }
#define EXCEPT                                                                                     \
    {                                                                                              \
        EXCLUSION, NULL, NULL, NULL                                                                \
    }
#define STEM(language) W(stemmer, "language", language)
/* Languages whose analyzer in Lucene is: standard, lowercase, stop words, a stemmer. */
#define USUAL(list, language) P(standard), P(lowercase), STOPS(list), EXCEPT, STEM(language)

static const struct provider {
    const char *name;
    uint8_t level; /* of the cluster's formats; 0: any */
    step steps[PARTS_MAX];
} providers[] = {
    {"standard", 0, {S(standard), P(lowercase), {STOP_SET, NULL, NULL, NULL}}},
    {"whitespace", 0, {P(whitespace)}},
    {"keyword", 0, {P(keyword)}},
    {"simple", 0, {P(lowercase_tokenizer)}},
    {"stop", 0, {P(lowercase_tokenizer), STOPS("_english_")}},
    /* Possessives are cut before case is folded in Lucene; the other order gives the same and lets
     * the first two parts be one kernel. */
    {"english",
     0,
     {P(standard), P(lowercase), P(possessive), STOPS("_english_"), EXCEPT, P(porter)}},
    {"pattern",
     0,
     {S(pattern_tokenizer), {LOWER_SET, NULL, NULL, NULL}, {STOP_SET, NULL, NULL, NULL}}},
    {"armenian", 0, {USUAL("_armenian_", "armenian")}},
    {"basque", 0, {USUAL("_basque_", "basque")}},
    {"danish", 0, {USUAL("_danish_", "danish")}},
    {"finnish", 0, {USUAL("_finnish_", "finnish")}},
    {"norwegian", 0, {USUAL("_norwegian_", "norwegian")}},
    {"romanian", 0, {USUAL("_romanian_", "romanian")}},
    {"swedish", 0, {USUAL("_swedish_", "swedish")}},
    {"chinese", QD_FEATURES_TYPES_0_2, {P(standard), P(lowercase), STOPS("_english_")}},
    {"snowball",
     QD_FEATURES_TYPES_0_2,
     {P(standard), P(lowercase), {STOP_LANGUAGE, NULL, NULL, NULL}, S(snowball)}},
    {"arabic",
     QD_FEATURES_TYPES_0_2,
     {P(standard), P(lowercase), P(decimal_digit), STOPS("_arabic_"), P(arabic_normalization),
      EXCEPT, STEM("arabic")}},
    {"bengali",
     QD_FEATURES_TYPES_0_2,
     {P(standard), P(lowercase), P(decimal_digit), EXCEPT, P(indic_normalization),
      P(bengali_normalization), STOPS("_bengali_"), STEM("bengali")}},
    {"brazilian", QD_FEATURES_TYPES_0_2, {USUAL("_brazilian_", "brazilian")}},
    {"bulgarian", QD_FEATURES_TYPES_0_2, {USUAL("_bulgarian_", "bulgarian")}},
    {"catalan",
     QD_FEATURES_TYPES_0_2,
     {P(standard), W(elision, "articles", "d,l,m,n,s,t"), P(lowercase), STOPS("_catalan_"), EXCEPT,
      STEM("catalan")}},
    {"cjk",
     QD_FEATURES_TYPES_0_2,
     {P(standard), P(cjk_width), P(lowercase), P(cjk_bigram), STOPS("_cjk_")}},
    {"czech", QD_FEATURES_TYPES_0_2, {USUAL("_czech_", "czech")}},
    {"dutch",
     QD_FEATURES_TYPES_0_2,
     {P(standard), P(lowercase), STOPS("_dutch_"), EXCEPT,
      W(stemmer_override, "rules",
        "fiets => fiets,bromfiets => bromfiets,ei => eier,kind => kinder"),
      STEM("dutch")}},
    {"french",
     QD_FEATURES_TYPES_0_2,
     {P(standard), W(elision, "articles", "l,m,t,qu,n,s,j,d,c,jusqu,quoiqu,lorsqu,puisqu"),
      P(lowercase), STOPS("_french_lucene9_"), EXCEPT, STEM("light_french")}},
    {"galician", QD_FEATURES_TYPES_0_2, {USUAL("_galician_", "galician")}},
    {"german",
     QD_FEATURES_TYPES_0_2,
     {P(standard), P(lowercase), STOPS("_german_"), EXCEPT, P(german_normalization),
      STEM("light_german")}},
    {"greek",
     QD_FEATURES_TYPES_0_2,
     {P(standard), W(lowercase, "language", "greek"), STOPS("_greek_"), STEM("greek")}},
    {"hindi",
     QD_FEATURES_TYPES_0_2,
     {P(standard), P(lowercase), P(decimal_digit), EXCEPT, P(indic_normalization),
      P(hindi_normalization), STOPS("_hindi_"), STEM("hindi")}},
    {"hungarian", QD_FEATURES_TYPES_0_2, {USUAL("_hungarian_", "hungarian")}},
    {"indonesian", QD_FEATURES_TYPES_0_2, {USUAL("_indonesian_", "indonesian")}},
    {"irish",
     QD_FEATURES_TYPES_0_2,
     {P(standard), W(stop, "stopwords", "h,n,t"), W(elision, "articles", "d,m,b"),
      W(lowercase, "language", "irish"), STOPS("_irish_"), EXCEPT, STEM("irish")}},
    {"italian",
     QD_FEATURES_TYPES_0_2,
     {P(standard),
      W(elision, "articles",
        "c,l,all,dall,dell,nell,sull,coll,pell,gl,agl,dagl,degl,negl,sugl,un,m,t,s,v,d"),
      P(lowercase), STOPS("_italian_"), EXCEPT, STEM("light_italian")}},
    {"latvian", QD_FEATURES_TYPES_0_2, {USUAL("_latvian_", "latvian")}},
    {"lithuanian", QD_FEATURES_TYPES_0_2, {USUAL("_lithuanian_", "lithuanian")}},
    {"persian",
     QD_FEATURES_TYPES_0_2,
     {P(zwnj), P(standard), P(lowercase), P(decimal_digit), P(arabic_normalization),
      P(persian_normalization), STOPS("_persian_")}},
    {"portuguese", QD_FEATURES_TYPES_0_2, {USUAL("_portuguese_", "light_portuguese")}},
    {"russian", QD_FEATURES_TYPES_0_2, {USUAL("_russian_", "russian")}},
    {"serbian",
     QD_FEATURES_TYPES_0_2,
     {P(standard), P(lowercase), STOPS("_serbian_"), EXCEPT, STEM("serbian"),
      P(serbian_normalization)}},
    {"sorani",
     QD_FEATURES_TYPES_0_2,
     {P(standard), P(sorani_normalization), P(lowercase), P(decimal_digit), STOPS("_sorani_"),
      EXCEPT, STEM("sorani")}},
    {"spanish", QD_FEATURES_TYPES_0_2, {USUAL("_spanish_", "light_spanish")}},
    {"turkish",
     QD_FEATURES_TYPES_0_2,
     {P(standard), P(apostrophe), W(lowercase, "language", "turkish"), STOPS("_turkish_"), EXCEPT,
      STEM("turkish")}},
    {"fingerprint",
     QD_FEATURES_TYPES_0_2,
     {P(standard), P(lowercase), P(asciifolding), {STOP_SET, NULL, NULL, NULL}, S(fingerprint)}},
};
#undef P
#undef S
#undef W
static _Atomic(qd_analyzer *) shared[QD_COUNT_OF(providers)];

static const struct provider *find(qd_str type)
{
    for (size_t i = 0; i < QD_COUNT_OF(providers); i++)
        if (qd_str_is(type, providers[i].name)) return &providers[i];
    return NULL;
}

bool qd_provider_known(qd_str type)
{
    return find(type) != NULL;
}

int qd_provider_make(qd_str type, const qd_part_conf *c, qd_analyzer **out, qd_err *err)
{
    const struct provider *p = find(type);
    qd_assert(p);
    chain k = {.c = c, .err = err};
    for (const step *at = p->steps; at->kind != END; at++) add_step(&k, at);
    size_t nchar = k.n && k.parts[0]->kind == QD_STAGE_CHAR_FILTER;
    if (!k.rc) k.rc = qd_analyzer_make(c->name, k.parts, k.n, nchar, 100, false, out, err);
    if (!k.rc && (*out)->level < p->level) (*out)->level = p->level;
    if (k.rc)
        for (size_t i = 0; i < k.n; i++) qd_part_unref(k.parts[i]);
    return k.rc;
}

const qd_analyzer *qd_provider_shared(qd_str name)
{
    const struct provider *p = find(name);
    if (!p) return NULL;
    _Atomic(qd_analyzer *) *at = &shared[p - providers];
    qd_analyzer *a = atomic_load_explicit(at, memory_order_acquire), *none = NULL;
    if (a) return a;
    qd_part_conf c = {.name = qd_str_c(p->name), .prebuilt = true};
    if (qd_provider_make(name, &c, &a, NULL)) return NULL;
    if (atomic_compare_exchange_strong(at, &none, a)) return a;
    qd_analyzer_unref(a);
    return none;
}
