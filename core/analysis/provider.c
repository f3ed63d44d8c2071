/*
 * provider.c: built-in analyzers as chains of parts.
 *
 * Those with default settings are shared by the whole process: each is made at its first use and
 * published by compare-and-swap; a loser of the race frees its own.
 */
#include "analysis/builtin_int.h"
#include "analysis/filter/stop_int.h"
#include "analysis/provider_int.h"

#define PARTS_MAX 8
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

/* Appends a part with its default settings. */
static void add_plain(chain *k, qd_part_make *make)
{
    qd_part_conf plain = {.name = k->c->name};
    if (!k->rc) k->rc = make(&plain, &k->parts[k->n], k->err);
    if (!k->rc) k->n++;
}

static void add_stop(chain *k, const char *def)
{
    if (!k->rc) k->rc = qd_words_stop(k->c, def, &k->parts[k->n], k->err);
    if (!k->rc) k->n++;
}

/* Words that the stemmer leaves alone. */
static void add_exclusion(chain *k)
{
    if (!qd_conf_find(k->c, "stem_exclusion") || k->rc) return;
    if (!(k->rc = qd_words_marker(k->c, "stem_exclusion", &k->parts[k->n], k->err))) k->n++;
}

static void build_standard(chain *k)
{
    add(k, qd_make_standard);
    add_plain(k, qd_make_lowercase);
    if (qd_conf_find(k->c, "stopwords") || qd_conf_find(k->c, "stopwords_path")) add_stop(k, NULL);
}
static void build_whitespace(chain *k)
{
    add_plain(k, qd_make_whitespace);
}
static void build_keyword(chain *k)
{
    add_plain(k, qd_make_keyword);
}
static void build_simple(chain *k)
{
    add_plain(k, qd_make_lowercase_tokenizer);
}
static void build_stop(chain *k)
{
    add_plain(k, qd_make_lowercase_tokenizer);
    add_stop(k, "_english_");
}

/* Possessives are cut before case is folded in Lucene; the other order gives the same and lets the
 * first two parts be one kernel. */
static void build_english(chain *k)
{
    add_plain(k, qd_make_standard);
    add_plain(k, qd_make_lowercase);
    add_plain(k, qd_make_possessive);
    add_stop(k, "_english_");
    add_exclusion(k);
    add_plain(k, qd_make_porter);
}

static void build_pattern(chain *k)
{
    bool lower = true;
    if (!k->rc) k->rc = qd_conf_bool(k->c, "lowercase", true, &lower, k->err);
    add(k, qd_make_pattern_tokenizer);
    if (lower) add_plain(k, qd_make_lowercase);
    if (qd_conf_find(k->c, "stopwords") || qd_conf_find(k->c, "stopwords_path")) add_stop(k, NULL);
}

/* Languages whose analyzer in Lucene is: standard, lowercase, stop words, Snowball stemmer. */
static void build_language(chain *k, const char *stop, const char *language)
{
    const qd_str value = qd_str_c(language);
    const qd_analysis_setting set = {QD_STR("language"), &value, 1, false};
    const qd_part_conf stemmer = {.name = k->c->name, .settings = &set, .n = 1};
    add_plain(k, qd_make_standard);
    add_plain(k, qd_make_lowercase);
    add_stop(k, stop);
    add_exclusion(k);
    if (!k->rc && !(k->rc = qd_make_stemmer(&stemmer, &k->parts[k->n], k->err))) k->n++;
}
static void build_armenian(chain *k)
{
    build_language(k, "_armenian_", "armenian");
}
static void build_basque(chain *k)
{
    build_language(k, "_basque_", "basque");
}
static void build_danish(chain *k)
{
    build_language(k, "_danish_", "danish");
}
static void build_finnish(chain *k)
{
    build_language(k, "_finnish_", "finnish");
}
static void build_norwegian(chain *k)
{
    build_language(k, "_norwegian_", "norwegian");
}
static void build_romanian(chain *k)
{
    build_language(k, "_romanian_", "romanian");
}
static void build_swedish(chain *k)
{
    build_language(k, "_swedish_", "swedish");
}

static const struct provider {
    const char *name;
    void (*build)(chain *k);
} providers[] = {
    {"standard", build_standard}, {"whitespace", build_whitespace},
    {"keyword", build_keyword},   {"simple", build_simple},
    {"stop", build_stop},         {"english", build_english},
    {"pattern", build_pattern},   {"armenian", build_armenian},
    {"basque", build_basque},     {"danish", build_danish},
    {"finnish", build_finnish},   {"norwegian", build_norwegian},
    {"romanian", build_romanian}, {"swedish", build_swedish},
};
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
    p->build(&k);
    if (!k.rc) k.rc = qd_analyzer_make(c->name, k.parts, k.n, 0, 100, false, out, err);
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
