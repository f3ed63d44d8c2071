/* parse.c: the section "suggest" of a search. */
#include "action/suggest/suggest_int.h"
#include "base/features.h"
#include "base/str.h"

#define AT(member) offsetof(qdi_suggestion, member)

typedef enum option_kind {
    OPTION_TEXT,
    OPTION_COUNT,
    OPTION_FLOAT,
    OPTION_DOUBLE,
    OPTION_MODE,
    OPTION_SORT,
    OPTION_DISTANCE,
    OPTION_BOOL_NOT,
} option_kind;

typedef struct option {
    const char *name;
    option_kind kind;
    size_t at;
} option;

static bool number_of(const qd_json_node *n, double *out)
{
    qd_str s = qd_json_text(n);
    return s.p && qd_f64_parse(s, out) == 0;
}

static int bad(const char *what, const qd_json_node *n, qd_err *err)
{
    return qd_err_set(err, QD_E_PARSE, "suggester[%s] doesn't support field [%.*s]", what,
                      QD_STR_ARG(n->key));
}

static int choice(const qd_json_node *n, const char *const *names, uint32_t count, const char *why,
                  uint32_t *out, qd_err *err)
{
    qd_str s = qd_json_text(n);
    for (uint32_t i = 0; i < count; i++) {
        if (!qd_str_ieq(s, qd_str_c(names[i]))) continue;
        *out = i;
        return 0;
    }
    return qd_err_set(err, QD_E_ARG, "%s%.*s", why, QD_STR_ARG(s));
}

static int set_option(const option *o, const qd_json_node *n, void *to, qd_err *err)
{
    static const char *const modes[] = {"missing", "popular", "always"};
    static const char *const sorts[] = {"score", "frequency"};
    static const char *const distances[] = {"internal", "damerau_levenshtein", "levenshtein",
                                            "jaro_winkler", "ngram"};
    void *at = (char *)to + o->at;
    double d;
    uint32_t k;
    bool yes;
    int rc;
    switch (o->kind) {
    case OPTION_TEXT:
        *(qd_str *)at = qd_json_text(n);
        return 0;
    case OPTION_MODE:
        rc = choice(n, modes, 3, "Illegal suggest mode ", &k, err);
        if (!rc) *(qd_spell_mode *)at = (qd_spell_mode)k;
        return rc;
    case OPTION_SORT:
        rc = choice(n, sorts, 2, "No enum constant org.elasticsearch.search.suggest.SortBy.", &k,
                    err);
        if (!rc) *(bool *)at = k == 1;
        return rc;
    case OPTION_DISTANCE:
        rc = choice(n, distances, 5, "Illegal distance option ", &k, err);
        if (!rc) *(qd_spell_distance *)at = (qd_spell_distance)k;
        return rc;
    case OPTION_BOOL_NOT:
        if (qd_json_truth(n, &yes)) return qd_err_set(err, QD_E_ARG, "[%s] is no boolean", o->name);
        *(bool *)at = !yes;
        return 0;
    default:
        break;
    }
    if (!number_of(n, &d) || d != d || d < -1e9 || d > 1e9)
        return qd_err_set(err, QD_E_ARG, "[%s] is no number in the allowed range", o->name);
    if (o->kind == OPTION_FLOAT)
        *(float *)at = (float)d;
    else if (o->kind == OPTION_DOUBLE)
        *(double *)at = d;
    else if (d < 0)
        return qd_err_set(err, QD_E_ARG, "%s must be %s", o->name,
                          qd_str_is(n->key, "size") ? "positive" : "0 or more");
    else
        *(uint32_t *)at = (uint32_t)d;
    return 0;
}

static const option *find(const option *rows, size_t n, qd_str name)
{
    for (size_t i = 0; i < n; i++)
        if (qd_str_is(name, rows[i].name)) return &rows[i];
    return NULL;
}

static int check_spell(const qd_spell_options *o, qd_err *err)
{
    if (o->max_edits < 1 || o->max_edits > 2)
        return qd_err_set(err, QD_E_ARG, "maxEdits must be between 1 and 2");
    if (!(o->accuracy >= 0 && o->accuracy <= 1))
        return qd_err_set(err, QD_E_ARG, "accuracy must be between 0 and 1");
    if (o->min_word_length < 1)
        return qd_err_set(err, QD_E_ARG, "minWordLength must be greater or equal to 1");
    if (o->max_term_freq < 0) return qd_err_set(err, QD_E_ARG, "maxTermFreq must be positive");
    if (o->max_term_freq > 1 && o->max_term_freq != (float)(int64_t)o->max_term_freq)
        return qd_err_set(err, QD_E_ARG,
                          "if maxTermFreq is greater than 1, it must not be a fraction");
    if (o->min_doc_freq < 0) return qd_err_set(err, QD_E_ARG, "minDocFreq must be positive");
    if (o->min_doc_freq > 1 && o->min_doc_freq != (float)(int64_t)o->min_doc_freq)
        return qd_err_set(err, QD_E_ARG,
                          "if minDocFreq is greater than 1, it must not be a fraction");
    return 0;
}

#define IN_SUGGESTION(m) AT(spell.m)
#define IN_GENERATOR(m) offsetof(qdi_generator, spell.m)

/* What every suggester has. */
static const option common[] = {{"field", OPTION_TEXT, AT(field)},
                                {"text", OPTION_TEXT, AT(text)},
                                {"analyzer", OPTION_TEXT, AT(analyzer)},
                                {"size", OPTION_COUNT, AT(size)},
                                {"shard_size", OPTION_COUNT, AT(shard_size)}};

#define SPELL(of)                                                                                  \
    {"suggest_mode", OPTION_MODE, of(mode)}, {"accuracy", OPTION_FLOAT, of(accuracy)},             \
        {"sort", OPTION_SORT, of(by_frequency)},                                                   \
        {"string_distance", OPTION_DISTANCE, of(distance)},                                        \
        {"max_edits", OPTION_COUNT, of(max_edits)},                                                \
        {"max_inspections", OPTION_COUNT, of(max_inspections)},                                    \
        {"max_term_freq", OPTION_FLOAT, of(max_term_freq)},                                        \
        {"prefix_length", OPTION_COUNT, of(prefix_length)},                                        \
        {"min_word_length", OPTION_COUNT, of(min_word_length)},                                    \
    {                                                                                              \
        "min_doc_freq", OPTION_FLOAT, of(min_doc_freq)                                             \
    }

static bool is_scalar(const qd_json_node *n)
{
    return n->type != QD_JSON_T_OBJECT && n->type != QD_JSON_T_ARRAY && n->type != QD_JSON_T_NULL;
}

static int read_term(const qd_json_node *n, qdi_suggestion *s, qd_err *err)
{
    static const option rows[] = {SPELL(IN_SUGGESTION)};
    int rc = 0;
    for (const qd_json_node *m = n->first; m && !rc; m = m->next) {
        const option *o = find(common, QD_COUNT_OF(common), m->key);
        if (!o) o = find(rows, QD_COUNT_OF(rows), m->key);
        if (!is_scalar(m))
            return qd_err_set(err, QD_E_PARSE, "suggester[term] parsing failed on [%.*s]",
                              QD_STR_ARG(m->key));
        rc = o ? set_option(o, m, s, err) : bad("term", m, err);
    }
    return rc ? rc : check_spell(&s->spell, err);
}

static int read_generator(const qd_json_node *n, qdi_suggestion *s, qd_err *err)
{
    static const option rows[] = {
        {"field", OPTION_TEXT, offsetof(qdi_generator, field)},
        {"size", OPTION_COUNT, offsetof(qdi_generator, size)},
        {"pre_filter", OPTION_TEXT, offsetof(qdi_generator, pre_filter)},
        {"post_filter", OPTION_TEXT, offsetof(qdi_generator, post_filter)},
        SPELL(IN_GENERATOR)};
    int rc = 0;
    if (n->type != QD_JSON_T_OBJECT || s->ngenerators == QDI_GENERATORS_MAX)
        return qd_err_set(err, QD_E_ARG, "[direct_generator] is a list of at most %u objects",
                          QDI_GENERATORS_MAX);
    qdi_generator *g = &s->generators[s->ngenerators++];
    *g = (qdi_generator){.spell = QD_SPELL_DEFAULTS, .size = 5};
    for (const qd_json_node *m = n->first; m && !rc; m = m->next) {
        const option *o = find(rows, QD_COUNT_OF(rows), m->key);
        if (!o || !is_scalar(m))
            return qd_err_set(err, QD_E_ARG, "[direct_generator] unknown field [%.*s]",
                              QD_STR_ARG(m->key));
        rc = set_option(o, m, g, err);
    }
    if (rc) return rc;
    if (!g->field.n)
        return qd_err_set(err, QD_E_ARG, "[direct_generator] expects exactly one field parameter");
    if (!g->size || g->size > QDI_SUGGEST_SIZE_MAX)
        return qd_err_set(err, QD_E_ARG, "size must be positive");
    return check_spell(&g->spell, err);
}

static int read_smoothing(const qd_json_node *n, qdi_suggestion *s, qd_err *err)
{
    static const option backoff[] = {{"discount", OPTION_DOUBLE, AT(discount)}};
    static const option laplace[] = {{"alpha", OPTION_DOUBLE, AT(alpha)}};
    static const option linear[] = {{"trigram_lambda", OPTION_DOUBLE, AT(trigram)},
                                    {"bigram_lambda", OPTION_DOUBLE, AT(bigram)},
                                    {"unigram_lambda", OPTION_DOUBLE, AT(unigram)}};
    static const struct {
        const char *name;
        const option *rows;
        size_t n;
    } models[] = {{"stupid_backoff", backoff, 1},
                  {"laplace", laplace, 1},
                  {"linear_interpolation", linear, 3}};
    const qd_json_node *m = n->type == QD_JSON_T_OBJECT ? n->first : NULL;
    size_t k = 0;
    int rc = 0;
    if (!m || m->next || m->type != QD_JSON_T_OBJECT)
        return qd_err_set(err, QD_E_ARG, "[smoothing] names one model");
    while (k < 3 && !qd_str_is(m->key, models[k].name)) k++;
    if (k == 3)
        return qd_err_set(err, QD_E_ARG, "suggester[phrase] doesn't support object field [%.*s]",
                          QD_STR_ARG(m->key));
    s->smoothing = (qdi_smoothing)k;
    for (const qd_json_node *v = m->first; v && !rc; v = v->next) {
        const option *o = find(models[k].rows, models[k].n, v->key);
        if (!o || !is_scalar(v))
            return qd_err_set(err, QD_E_ARG, "[%s] unknown field [%.*s]", models[k].name,
                              QD_STR_ARG(v->key));
        rc = set_option(o, v, s, err);
    }
    double sum = s->trigram + s->bigram + s->unigram;
    if (!rc && k == 2 && (sum < 0.9999 || sum > 1.0001))
        return qd_err_set(err, QD_E_ARG, "linear smoothing lambdas must sum to 1");
    if (!rc && k == 0 && (s->discount <= 0 || s->discount > 1))
        return qd_err_set(err, QD_E_ARG, "discount is above 0 and at most 1");
    return rc;
}

static int read_highlight(const qd_json_node *n, qdi_suggestion *s, qd_err *err)
{
    for (const qd_json_node *m = n->first; m; m = m->next) {
        if (qd_str_is(m->key, "pre_tag"))
            s->pre_tag = qd_json_text(m);
        else if (qd_str_is(m->key, "post_tag"))
            s->post_tag = qd_json_text(m);
        else
            return qd_err_set(err, QD_E_PARSE,
                              "suggester[phrase][highlight] doesn't support field [%.*s]",
                              QD_STR_ARG(m->key));
    }
    if ((s->pre_tag.p == NULL) == (s->post_tag.p == NULL)) return 0;
    return qd_err_set(err, QD_E_ARG, "Pre and post tag must both be null or both not be null.");
}

static int read_part(const qd_json_node *m, qdi_suggestion *s, qd_err *err)
{
    int rc = 0;
    if (qd_str_is(m->key, "direct_generator") && m->type == QD_JSON_T_ARRAY) {
        for (const qd_json_node *g = m->first; g && !rc; g = g->next)
            rc = read_generator(g, s, err);
        return rc;
    }
    if (qd_str_is(m->key, "smoothing")) return read_smoothing(m, s, err);
    if (qd_str_is(m->key, "highlight") && m->type == QD_JSON_T_OBJECT)
        return read_highlight(m, s, err);
    if (qd_str_is(m->key, "collate"))
        return qd_err_set(err, QD_E_UNSUPPORTED,
                          "[collate] of a phrase suggester is not supported by this version");
    return bad("phrase", m, err);
}

static int read_phrase(const qd_json_node *n, qdi_suggestion *s, qd_err *err)
{
    static const option rows[] = {
        {"real_word_error_likelihood", OPTION_DOUBLE, AT(real_word_error)},
        {"confidence", OPTION_DOUBLE, AT(confidence)},
        {"max_errors", OPTION_FLOAT, AT(max_errors)},
        {"separator", OPTION_TEXT, AT(separator)},
        {"gram_size", OPTION_COUNT, AT(gram_size)},
        {"force_unigrams", OPTION_BOOL_NOT, AT(any_unigrams)},
        {"token_limit", OPTION_COUNT, AT(token_limit)},
    };
    int rc = 0;
    for (const qd_json_node *m = n->first; m && !rc; m = m->next) {
        const option *o = find(common, QD_COUNT_OF(common), m->key);
        if (!o) o = find(rows, QD_COUNT_OF(rows), m->key);
        if (o && is_scalar(m)) {
            rc = set_option(o, m, s, err);
            if (!rc && qd_str_is(m->key, "gram_size") && !s->gram_size)
                return qd_err_set(err, QD_E_ARG, "gramSize must be >= 1");
        } else {
            rc = read_part(m, s, err);
        }
    }
    if (rc) return rc;
    if (s->real_word_error <= 0)
        return qd_err_set(err, QD_E_ARG, "real_word_error_likelihood must be > 0.0");
    if (s->max_errors <= 0) return qd_err_set(err, QD_E_ARG, "max_error must be > 0.0");
    if (s->confidence < 0) return qd_err_set(err, QD_E_ARG, "confidence must be >= 0.0");
    if (!s->token_limit) return qd_err_set(err, QD_E_ARG, "token_limit must be >= 1");
    return 0;
}

static int read_suggestion(const qd_json_node *n, qd_str text, qdi_suggestion *s, qd_err *err)
{
    const qd_json_node *of = NULL;
    qd_str own = {0};
    if (n->type != QD_JSON_T_OBJECT)
        return qd_err_set(err, QD_E_ARG, "suggestion does not support empty sections");
    for (const qd_json_node *m = n->first; m; m = m->next) {
        if (is_scalar(m) && qd_str_is(m->key, "text"))
            own = qd_json_text(m);
        else if (m->type == QD_JSON_T_OBJECT && !of)
            of = m;
        else
            return qd_err_set(err, QD_E_PARSE, "suggestion does not support [%.*s]",
                              QD_STR_ARG(m->key));
    }
    if (!of) return qd_err_set(err, QD_E_PARSE, "suggestion source did not contain a suggester");
    bool term = qd_str_is(of->key, "term"), phrase = qd_str_is(of->key, "phrase");
    if (qd_str_is(of->key, "completion"))
        return qd_err_set(err, QD_E_UNSUPPORTED,
                          "the suggester [completion] is not supported by this version");
    if (!term && !phrase)
        return qd_err_set(err, QD_E_PARSE, "unknown suggester [%.*s]", QD_STR_ARG(of->key));
    *s = (qdi_suggestion){.name = n->key,
                          .text = own.p ? own : text,
                          .kind = term ? QDI_SUGGEST_TERM : QDI_SUGGEST_PHRASE,
                          .size = 5,
                          .spell = QD_SPELL_DEFAULTS,
                          .real_word_error = 0.95,
                          .confidence = 1,
                          .max_errors = 1,
                          .separator = {" ", 1},
                          .token_limit = 10,
                          .discount = 0.4,
                          .alpha = 0.5};
    int rc = term ? read_term(of, s, err) : read_phrase(of, s, err);
    if (rc) return rc;
    if (!s->field.n) return qd_err_set(err, QD_E_PARSE, "the required field option is missing");
    if (!s->text.p) return qd_err_set(err, QD_E_ARG, "The required text option is missing");
    if (!s->size) return qd_err_set(err, QD_E_ARG, "size must be positive");
    if (s->size > QDI_SUGGEST_SIZE_MAX || s->shard_size > QDI_SUGGEST_SIZE_MAX)
        return qd_err_set(err, QD_E_ARG, "[size] and [shard_size] of a suggestion are at most %u",
                          QDI_SUGGEST_SIZE_MAX);
    if (s->text.n > QDI_SUGGEST_TEXT_MAX)
        return qd_err_set(err, QD_E_ARG, "the text of a suggestion has at most %u bytes",
                          QDI_SUGGEST_TEXT_MAX);
    if (s->shard_size < s->size) s->shard_size = s->size;
    return 0;
}

int qdi_suggest_parse(const qd_json_node *n, qd_arena *arena, qdi_suggest *out, qd_err *err)
{
    qd_str text = {0};
    uint32_t k = 0;
    if (n->type != QD_JSON_T_OBJECT)
        return qd_err_set(err, QD_E_PARSE, "Expected [START_OBJECT] in [suggest]");
    for (const qd_json_node *m = n->first; m; m = m->next) {
        if (!is_scalar(m)) continue;
        if (!qd_str_is(m->key, "text"))
            return qd_err_set(err, QD_E_ARG, "[suggest] does not support [%.*s]",
                              QD_STR_ARG(m->key));
        text = qd_json_text(m);
    }
    if (n->n > QDI_SUGGEST_MAX)
        return qd_err_set(err, QD_E_ARG, "[suggest] has at most %u suggestions", QDI_SUGGEST_MAX);
    out->at = qd_arena_calloc(arena, ((size_t)n->n + 1) * sizeof *out->at);
    if (!out->at) return qd_err_nomem(err, "suggestions");
    for (const qd_json_node *m = n->first; m; m = m->next) {
        if (is_scalar(m)) continue;
        int rc = read_suggestion(m, text, &out->at[k], err);
        if (rc) return rc;
        k++;
    }
    out->n = k;
    return 0;
}

int qdi_suggest_allowed(uint32_t level, qd_err *err)
{
    if (level >= QD_FEATURES_SEARCH_0_3) return 0;
    return qd_err_set(
        err, QD_E_ARG,
        "[suggest] needs level %u of the cluster's formats; they are of level %u: POST "
        "_cluster/upgrade/finalize when all nodes run this version",
        QD_FEATURES_SEARCH_0_3, level);
}
