/*
 * stem.c: stemmers: Porter (english), porter2 and other languages by libstemmer, possessive and
 * minimal English. Tokens marked as keywords are left alone.
 *
 * libstemmer's objects are not shared between threads: a scratch makes one for each language at its
 * first use and keeps it.
 */
#include "analysis/builtin_int.h"
#include "analysis/filter/porter_int.h"
#include "analysis/filter/stem_int.h"
#include "analysis/language/light_int.h"
#include "base/features.h"
#include "base/utf8.h"
#include <libstemmer.h>

/* Snowball stemmers by the names of Elasticsearch's stemmer filter, for which Lucene's and
 * libstemmer's agree (tests/peers/lucene-analysis). `own`: the filter stemmer has another one under
 * that name, snowball has this one. */
static const struct {
    const char *name, *algorithm;
    uint8_t level;
    bool own;
} snowball[] = {
    {"porter2", "english", 0, false},
    {"armenian", "armenian", 0, false},
    {"basque", "basque", 0, false},
    {"catalan", "catalan", 0, false},
    {"danish", "danish", 0, false},
    {"dutch", "dutch", 0, false},
    {"finnish", "finnish", 0, false},
    {"french", "french", 0, false},
    {"german", "german", 0, false},
    {"hungarian", "hungarian", 0, false},
    {"irish", "irish", 0, false},
    {"italian", "italian", 0, false},
    {"norwegian", "norwegian", 0, false},
    {"portuguese", "portuguese", 0, false},
    {"romanian", "romanian", 0, false},
    {"russian", "russian", 0, false},
    {"spanish", "spanish", 0, false},
    {"swedish", "swedish", 0, false},
    {"turkish", "turkish", 0, false},
    {"lithuanian", "lithuanian", 0, false},
    {"serbian", "serbian", QD_FEATURES_TYPES_0_2, false},
    {"arabic", "arabic", QD_FEATURES_TYPES_0_2, true},
    {"greek", "greek", QD_FEATURES_TYPES_0_2, true},
    {"hindi", "hindi", QD_FEATURES_TYPES_0_2, true},
    {"indonesian", "indonesian", QD_FEATURES_TYPES_0_2, true},
    {"nepali", "nepali", QD_FEATURES_TYPES_0_2, true},
    {"tamil", "tamil", QD_FEATURES_TYPES_0_2, true},
    {"yiddish", "yiddish", QD_FEATURES_TYPES_0_2, true},
};
#define LANGUAGES QD_COUNT_OF(snowball)

struct qd_stemmers {
    struct sb_stemmer *of[LANGUAGES];
};

void qd_stemmers_free(struct qd_stemmers *all)
{
    if (!all) return;
    for (size_t i = 0; i < LANGUAGES; i++)
        if (all->of[i]) sb_stemmer_delete(all->of[i]);
    qd_free(all);
}

static struct sb_stemmer *stemmer_of(qd_analysis *s, size_t language)
{
    if (!s->stemmers && !(s->stemmers = qd_calloc(&s->account, sizeof *s->stemmers))) return NULL;
    struct sb_stemmer **at = &s->stemmers->of[language];
    if (!*at) *at = sb_stemmer_new(snowball[language].algorithm, "UTF_8");
    return *at;
}

typedef struct stemmer {
    qd_part head;
    size_t language;
} stemmer;

QD_INLINE bool is_keyword(const qd_tokens *t, size_t i)
{
    return (t->has & QD_TOKENS_KEYWORD) && t->keyword[i];
}

/* The new term of token i: in place where it fits, else appended. */
static int term_set(qd_analysis *s, size_t i, const char *p, size_t n)
{
    qd_span *span = &s->b->t.term[i];
    if (n <= span->to - span->from) {
        memcpy(s->text + span->from, p, n);
        span->to = (uint32_t)(span->from + n);
        return 0;
    }
    return qd_text_add(s, p, n, span);
}

static int snowball_run(const qd_part *p, qd_analysis *s, qd_err *err)
{
    (void)err;
    struct sb_stemmer *st = stemmer_of(s, ((const stemmer *)p)->language);
    int rc = st ? qd_text_unshare(s) : QD_E_NOMEM;
    const qd_tokens *t = &s->b->t;
    for (size_t i = 0; !rc && i < t->n; i++) {
        if (is_keyword(t, i)) continue;
        const sb_symbol *stem =
            sb_stemmer_stem(st, (const sb_symbol *)qd_term_ptr(s, i), (int)qd_term_len(s, i));
        if (!stem) return QD_E_NOMEM;
        rc = term_set(s, i, (const char *)stem, (size_t)sb_stemmer_length(st));
    }
    return rc;
}

static bool ascii(const char *p, size_t n)
{
    char any = 0;
    for (size_t i = 0; i < n; i++) any |= p[i];
    return !(any & 0x80);
}

static int porter_run(const qd_part *p, qd_analysis *s, qd_err *err)
{
    (void)p;
    (void)err;
    int rc = qd_text_unshare(s);
    qd_tokens *t = &s->b->t;
    for (size_t i = 0; !rc && i < t->n; i++) {
        size_t n = qd_term_len(s, i);
        if (is_keyword(t, i) || n <= 2 || n > QD_PORTER_MAX) continue;
        /* a stem may be a byte longer before it is cut again: work on a copy */
        char *q = qd_term_ptr(s, i), copy[QD_PORTER_MAX + 8];
        if (ascii(q, n)) {
            memcpy(copy, q, n);
            n = qd_porter_ascii(copy, n);
        } else {
            n = qd_porter_utf8(q, n, copy);
        }
        rc = term_set(s, i, copy, n);
    }
    return rc;
}

/* Lucene's EnglishPossessiveFilter: 's behind any of three apostrophes. */
static int possessive_run(const qd_part *p, qd_analysis *s, qd_err *err)
{
    (void)p;
    (void)err;
    qd_tokens *t = &s->b->t;
    for (size_t i = 0; i < t->n; i++) {
        const char *q = qd_term_ptr(s, i);
        size_t n = qd_term_len(s, i);
        if (n < 2 || (q[n - 1] != 's' && q[n - 1] != 'S')) continue;
        if (q[n - 2] == '\'')
            t->term[i].to -= 2;
        else if (n >= 4 && (memcmp(q + n - 4, "\xE2\x80\x99", 3) == 0 ||
                            memcmp(q + n - 4, "\xEF\xBC\x87", 3) == 0))
            t->term[i].to -= 4;
    }
    return 0;
}

/* Lucene's EnglishMinimalStemmer (Harman's s-stemmer). */
static int minimal_run(const qd_part *p, qd_analysis *s, qd_err *err)
{
    (void)p;
    (void)err;
    int rc = qd_text_unshare(s);
    qd_tokens *t = &s->b->t;
    for (size_t i = 0; !rc && i < t->n; i++) {
        char *q = qd_term_ptr(s, i);
        size_t n = qd_term_len(s, i);
        if (is_keyword(t, i) || qd_utf8_utf16((qd_str){q, n}) < 3 || q[n - 1] != 's') continue;
        if (q[n - 2] == 'u' || q[n - 2] == 's') continue;
        if (q[n - 2] == 'e') {
            if (n > 3 && q[n - 3] == 'i' && q[n - 4] != 'a' && q[n - 4] != 'e') {
                q[n - 3] = 'y';
                t->term[i].to -= 2;
                continue;
            }
            if (q[n - 3] == 'i' || q[n - 3] == 'a' || q[n - 3] == 'o' || q[n - 3] == 'e') continue;
        }
        t->term[i].to -= 1;
    }
    return rc;
}

static const qd_part_ops snowball_ops = {snowball_run, qd_part_release, NULL};
static const qd_part_ops porter_ops = {porter_run, qd_part_release, NULL};
static const qd_part_ops possessive_ops = {possessive_run, qd_part_release, NULL};
static const qd_part_ops minimal_ops = {minimal_run, qd_part_release, NULL};

static int make(const qd_part_conf *c, const qd_part_ops *ops, size_t language, qd_part **out,
                qd_err *err)
{
    int rc = qd_part_alloc(c, sizeof(stemmer), QD_STAGE_FILTER, ops, out, err);
    if (rc) return rc;
    ((stemmer *)*out)->language = language;
    (*out)->keywords = ops != &possessive_ops;
    return 0;
}

int qd_make_porter(const qd_part_conf *c, qd_part **out, qd_err *err)
{
    return make(c, &porter_ops, 0, out, err);
}
int qd_make_possessive(const qd_part_conf *c, qd_part **out, qd_err *err)
{
    return make(c, &possessive_ops, 0, out, err);
}

static int make_snowball(const qd_part_conf *c, qd_str name, bool own, qd_part **out, qd_err *err)
{
    for (size_t i = 0; i < LANGUAGES; i++) {
        if ((snowball[i].own && !own) || !qd_str_ieq(name, qd_str_c(snowball[i].name))) continue;
        int rc = make(c, &snowball_ops, i, out, err);
        if (!rc) qd_part_needs(*out, snowball[i].level);
        return rc;
    }
    return QD_E_NOTFOUND;
}

/* Stemmers that Lucene has and we have not. */
static bool lucenes_own(qd_str name)
{
    static const char *const own[] = {"dutch_kp",     "dutchKp", "kp",
                                      "estonian",     "german2", "light_english",
                                      "lightEnglish", "kstem",   "lovins"};
    for (size_t i = 0; i < QD_COUNT_OF(own); i++)
        if (qd_str_ieq(name, qd_str_c(own[i]))) return true;
    return false;
}

static int unknown(const qd_part_conf *c, qd_str name, qd_err *err)
{
    if (lucenes_own(name))
        return qd_err_set(err, QD_E_ARG, "stemmer [%.*s] of filter [%.*s] is not supported",
                          QD_STR_ARG(name), QD_STR_ARG(c->name));
    return qd_err_set(err, QD_E_ARG, "Invalid stemmer class specified: %.*s", QD_STR_ARG(name));
}

int qd_make_stemmer(const qd_part_conf *c, qd_part **out, qd_err *err)
{
    qd_str name = qd_conf_str(c, "language", NULL);
    if (!name.p) name = qd_conf_str(c, "name", "porter");
    if (qd_str_ieq(name, QD_STR("english")) || qd_str_ieq(name, QD_STR("porter")))
        return make(c, &porter_ops, 0, out, err);
    if (qd_str_is(name, "possessive_english") || qd_str_is(name, "possessiveEnglish"))
        return make(c, &possessive_ops, 0, out, err);
    if (qd_str_is(name, "minimal_english") || qd_str_is(name, "minimalEnglish"))
        return make(c, &minimal_ops, 0, out, err);
    int rc = make_snowball(c, name, false, out, err);
    if (rc != QD_E_NOTFOUND) return rc;
    qd_units_fn *light = qd_light_stemmer(name);
    if (!light) return unknown(c, name, err);
    if ((rc = qd_units_make(c, light, true, out, err))) return rc;
    qd_part_needs(*out, QD_FEATURES_TYPES_0_2);
    return 0;
}

/* Filters that have a language for a name. */
static int stem_of(const qd_part_conf *c, const char *language, qd_part **out, qd_err *err)
{
    const qd_str value = qd_str_c(language);
    const qd_analysis_setting set = {QD_STR("language"), &value, 1, false};
    const qd_part_conf named = {.name = c->name, .settings = &set, .n = 1};
    return qd_make_stemmer(&named, out, err);
}
#define STEM_OF(language)                                                                          \
    int qd_make_##language##_stem(const qd_part_conf *c, qd_part **out, qd_err *err)               \
    {                                                                                              \
        return stem_of(c, #language, out, err);                                                    \
    }
STEM_OF(arabic)
STEM_OF(brazilian)
STEM_OF(czech)
STEM_OF(dutch)
STEM_OF(french)
STEM_OF(german)
STEM_OF(russian)

int qd_make_snowball(const qd_part_conf *c, qd_part **out, qd_err *err)
{
    qd_str name = qd_conf_str(c, "language", NULL);
    if (!name.p) name = qd_conf_str(c, "name", "English");
    if (qd_str_ieq(name, QD_STR("porter"))) return make(c, &porter_ops, 0, out, err);
    if (qd_str_ieq(name, QD_STR("english"))) name = QD_STR("porter2");
    int rc = make_snowball(c, name, true, out, err);
    return rc == QD_E_NOTFOUND ? unknown(c, name, err) : rc;
}
