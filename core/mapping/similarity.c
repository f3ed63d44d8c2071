/* similarity.c: reads index.similarity. A type is a row: its parameters and what they set. */
#include "mapping/similarity.h"
#include "base/str.h"
#include "json/number.h"
#include <float.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define NAMES_MAX 256u

typedef enum option_kind {
    OPTION_CHOICE,
    OPTION_FLOAT,
    OPTION_OVERLAPS,
} option_kind;

/* A name and what it stands for. */
typedef struct choice {
    const char *name;
    uint8_t value;
} choice;

typedef struct option {
    const char *key;
    uint8_t kind;
    uint8_t at;       /* of the member */
    const char *what; /* of a choice: as errors call it; of a number: its name and range */
    const choice *choices;
    float least, most; /* of a number */
    bool above, below; /* the bounds themselves are out */
    bool listed;       /* the error lists the choices */
} option;

typedef struct type_row {
    const char *name;
    qd_similarity initial;
    const option *options;
    uint8_t n;
} type_row;

struct qd_similarities {
    _Atomic uint32_t refs;
    uint32_t n;
    const qd_similarity *initial; /* called "default" */
    struct {
        qd_str name;
        qd_similarity sim;
    } at[];
};

/* --- types ------------------------------------------------------------------------------------ */

static const choice models[] = {{"g", QD_SIM_MODEL_G},
                                {"if", QD_SIM_MODEL_IF},
                                {"in", QD_SIM_MODEL_IN},
                                {"ine", QD_SIM_MODEL_INE},
                                {NULL, 0}};
static const choice effects[] = {{"b", QD_SIM_EFFECT_B}, {"l", QD_SIM_EFFECT_L}, {NULL, 0}};
static const choice norms[] = {{"no", QD_SIM_NORM_NO}, {"h1", QD_SIM_NORM_H1},
                               {"h2", QD_SIM_NORM_H2}, {"h3", QD_SIM_NORM_H3},
                               {"z", QD_SIM_NORM_Z},   {NULL, 0}};
static const choice measures[] = {{"standardized", QD_SIM_STANDARDIZED},
                                  {"saturated", QD_SIM_SATURATED},
                                  {"chisquared", QD_SIM_CHI_SQUARED},
                                  {NULL, 0}};
static const choice distributions[] = {{"ll", QD_SIM_LL}, {"spl", QD_SIM_SPL}, {NULL, 0}};
static const choice lambdas[] = {{"df", QD_SIM_LAMBDA_DF}, {"ttf", QD_SIM_LAMBDA_TTF}, {NULL, 0}};

#define AT(member) offsetof(qd_similarity, member)
#define CHOICE(key, member, what, list, shown)                                                     \
    {                                                                                              \
        key, OPTION_CHOICE, AT(member), what, list, 0, 0, false, false, shown                      \
    }
#define NUMBER(key, member, what, least, most, above, below)                                       \
    {                                                                                              \
        key, OPTION_FLOAT, AT(member), what, NULL, least, most, above, below, false                \
    }
#define OVERLAPS                                                                                   \
    {                                                                                              \
        "discount_overlaps", OPTION_OVERLAPS, 0, NULL, NULL, 0, 0, false, false, false             \
    }
#define NOT_NEGATIVE(name) "illegal " name " value: %s, must be a non-negative finite value"
#define NORMALIZATIONS                                                                             \
    CHOICE("normalization", normalization, "Normalization", norms, false),                         \
        NUMBER("normalization.h1.c", c, NOT_NEGATIVE("c"), 0, FLT_MAX, false, false),              \
        NUMBER("normalization.h2.c", c, NOT_NEGATIVE("c"), 0, FLT_MAX, false, false),              \
        NUMBER("normalization.h3.c", c, NOT_NEGATIVE("mu"), 0, FLT_MAX, false, false),             \
        NUMBER("normalization.z.z", c, "illegal z value: %s, must be in the range (0 .. 0.5)", 0,  \
               0.5f, true, true)

static const option bm25[] = {
    NUMBER("k1", k1, NOT_NEGATIVE("k1"), 0, FLT_MAX, false, false),
    NUMBER("b", b, "illegal b value: %s, must be between 0 and 1", 0, 1, false, false),
    OVERLAPS,
};
static const option dfr[] = {
    CHOICE("basic_model", model, "BasicModel", models, true),
    CHOICE("after_effect", effect, "AfterEffect", effects, true),
    NORMALIZATIONS,
};
static const option dfi[] = {
    CHOICE("independence_measure", measure, "IndependenceMeasure", measures, true),
};
static const option ib[] = {
    CHOICE("distribution", distribution, "Distribution", distributions, false),
    CHOICE("lambda", lambda, "Lambda", lambdas, false),
    NORMALIZATIONS,
};
static const option dirichlet[] = {
    NUMBER("mu", p, NOT_NEGATIVE("mu"), 0, FLT_MAX, false, false),
};
static const option jelinek[] = {
    NUMBER("lambda", p, "lambda must be in the range (0 .. 1]", 0, 1, true, false),
};

#define ROW(name, options, ...)                                                                    \
    {                                                                                              \
        name, {__VA_ARGS__}, options, QD_COUNT_OF(options)                                         \
    }
static const type_row types[] = {
    ROW("BM25", bm25, .kind = QD_SIM_BM25, .k1 = 1.2f, .b = 0.75f, .factor = 2.2f),
    {"boolean", {.kind = QD_SIM_BOOLEAN}, NULL, 0},
    ROW("DFR", dfr, .kind = QD_SIM_DFR),
    ROW("DFI", dfi, .kind = QD_SIM_DFI),
    ROW("IB", ib, .kind = QD_SIM_IB),
    ROW("LMDirichlet", dirichlet, .kind = QD_SIM_LM_DIRICHLET, .p = 2000),
    ROW("LMJelinekMercer", jelinek, .kind = QD_SIM_LM_JELINEK_MERCER, .p = 0.1f),
};
/* Names that mappings may use without a definition, and that none may redefine. */
static const char *const built_in[] = {"BM25", "boolean", "classic"};

/* --- options ---------------------------------------------------------------------------------- */

/* Of the keys that exclude each other by the normalization, is this the one that counts? */
static bool counts(const option *o, const qd_similarity *s)
{
    static const char *const keys[] = {
        [QD_SIM_NORM_NO] = "",
        [QD_SIM_NORM_H1] = "normalization.h1.c",
        [QD_SIM_NORM_H2] = "normalization.h2.c",
        [QD_SIM_NORM_H3] = "normalization.h3.c",
        [QD_SIM_NORM_Z] = "normalization.z.z",
    };
    return o->at != AT(c) || !strcmp(o->key, keys[s->normalization]);
}

static float normalization_default(const qd_similarity *s)
{
    return s->normalization == QD_SIM_NORM_H3 ? 800 : s->normalization == QD_SIM_NORM_Z ? 0.3f : 1;
}

static int read_float(const option *o, qd_str text, qd_similarity *s, qd_err *err)
{
    char shown[32];
    double v;
    if (qd_f64_parse_java(text, &v))
        return qd_err_set(err, QD_E_ARG, "Failed to parse float setting [%s] with value [%.*s]",
                          o->key, QD_STR_ARG(text));
    float f = (float)v;
    bool good = o->above ? f > o->least : f >= o->least;
    good = good && (o->below ? f < o->most : f <= o->most);
    (void)qd_f32_print(shown, f);
    if (!good) {
        qd_str what = qd_str_c(o->what);
        ptrdiff_t at = qd_str_find(what, '%');
        return at < 0 ? qd_err_set(err, QD_E_ARG, "%s", o->what)
                      : qd_err_set(err, QD_E_ARG, "%.*s%s%s", (int)at, o->what, shown,
                                   o->what + at + 2);
    }
    memcpy((char *)s + o->at, &f, sizeof f);
    return 0;
}

/* "[a, b]" of the choices, into a text of so many bytes. */
static void list_choices(const choice *c, char *to, size_t room)
{
    size_t n = 0;
    for (; c->name && n < room; c++)
        n += (size_t)snprintf(to + n, room - n, "%s%s", n ? ", " : "", c->name);
}

static int read_choice(const option *o, qd_str text, bool given, qd_similarity *s, qd_err *err)
{
    static const choice gone[] = {{"be", 0}, {"d", 0}, {"p", 0}, {NULL, 0}};
    char list[128];
    for (const choice *c = o->choices; given && c->name; c++)
        if (qd_str_is(text, c->name)) {
            ((uint8_t *)s)[o->at] = c->value;
            return 0;
        }
    if (!given) text = QD_STR("null");
    for (const choice *c = gone; o->choices == models && c->name; c++)
        if (qd_str_is(text, c->name))
            return qd_err_set(err, QD_E_ARG,
                              "Basic model [%.*s] isn't supported anymore, please use another "
                              "model.",
                              QD_STR_ARG(text));
    if (o->choices == effects && qd_str_is(text, "no"))
        return qd_err_set(err, QD_E_ARG,
                          "After effect [no] isn't supported anymore, please use another effect.");
    list_choices(o->choices, list, sizeof list);
    if (!o->listed)
        return qd_err_set(err, QD_E_ARG, "Unsupported %s [%.*s]", o->what, QD_STR_ARG(text));
    return qd_err_set(err, QD_E_ARG, "Unsupported %s [%.*s], expected one of [%s]", o->what,
                      QD_STR_ARG(text), list);
}

static int read_overlaps(qd_str text, qd_similarity *s, qd_err *err)
{
    s->overlaps = qd_str_is(text, "false");
    if (s->overlaps || qd_str_is(text, "true")) return 0;
    return qd_err_set(err, QD_E_ARG,
                      "Failed to parse value [%.*s] as only [true] or [false] are allowed.",
                      QD_STR_ARG(text));
}

/* The settings of one similarity: those at [from, to) of s, whose keys go on behind skip bytes. */
typedef struct group {
    const qd_settings *s;
    size_t from, to, skip;
} group;

static const qd_setting_value *find(const group *g, const char *key)
{
    for (size_t i = g->from; i < g->to; i++) {
        const qd_setting_value *v = qd_settings_at(g->s, i);
        if (v->kind != QD_SETTING_NULL && qd_str_is(qd_str_sub(v->key, g->skip, v->key.n), key))
            return v;
    }
    return NULL;
}

static int check_keys(const group *g, const type_row *t, qd_err *err)
{
    char list[512];
    size_t n = 0;
    for (size_t i = g->from; i < g->to; i++) {
        const qd_setting_value *v = qd_settings_at(g->s, i);
        qd_str key = qd_str_sub(v->key, g->skip, v->key.n);
        bool known = qd_str_is(key, "type") || v->kind == QD_SETTING_NULL;
        for (uint8_t k = 0; k < t->n && !known; k++) known = qd_str_is(key, t->options[k].key);
        if (!known && n < sizeof list)
            n += (size_t)snprintf(list + n, sizeof list - n, "%s%.*s", n ? ", " : "",
                                  QD_STR_ARG(key));
    }
    return n ? qd_err_set(err, QD_E_ARG, "Unknown settings for similarity of type [%s]: [%s]",
                          t->name, list)
             : 0;
}

static int read_options(const group *g, const type_row *t, qd_similarity *out, qd_err *err)
{
    *out = t->initial;
    int rc = check_keys(g, t, err);
    for (uint8_t k = 0; k < t->n && !rc; k++) {
        const option *o = &t->options[k];
        const qd_setting_value *v = find(g, o->key);
        if (o->kind == OPTION_CHOICE) {
            rc = read_choice(o, v ? v->text : (qd_str){NULL, 0}, v != NULL, out, err);
            if (o->at == AT(normalization)) out->c = normalization_default(out);
        } else if (v && o->kind == OPTION_OVERLAPS) {
            rc = read_overlaps(v->text, out, err);
        } else if (v && counts(o, out)) {
            rc = read_float(o, v->text, out, err);
        }
    }
    if (out->kind == QD_SIM_BM25) out->factor = 1.0f + out->k1;
    return rc;
}

static int read_one(const group *g, qd_str name, qd_similarity *out, qd_err *err)
{
    const qd_setting_value *type = find(g, "type");
    for (size_t i = 0; i < QD_COUNT_OF(built_in); i++)
        if (qd_str_is(name, built_in[i]))
            return qd_err_set(err, QD_E_ARG, "Cannot redefine built-in Similarity [%.*s]",
                              QD_STR_ARG(name));
    if (!type)
        return qd_err_set(err, QD_E_ARG, "Similarity [%.*s] must have an associated type",
                          QD_STR_ARG(name));
    for (size_t i = 0; i < QD_COUNT_OF(types); i++)
        if (qd_str_is(type->text, types[i].name)) return read_options(g, &types[i], out, err);
    if (qd_str_is(type->text, "scripted"))
        return qd_err_set(err, QD_E_ARG,
                          "similarity [%.*s] of type [scripted] is not supported by this version: "
                          "it has no scripts that score",
                          QD_STR_ARG(name));
    if (qd_str_is(type->text, "classic"))
        return qd_err_set(err, QD_E_ARG,
                          "The [classic] similarity may not be used anymore. Please use the [BM25] "
                          "similarity or build a custom [scripted] similarity instead.");
    return qd_err_set(err, QD_E_ARG, "Unknown Similarity type [%.*s] for [%.*s]",
                      QD_STR_ARG(type->text), QD_STR_ARG(name));
}

/* --- all of an index -------------------------------------------------------------------------- */

static const qd_str prefix = {"index.similarity.", 17};

/* The name in the key of a setting below the prefix. */
static qd_str name_of(const qd_setting_value *v)
{
    qd_str rest = qd_str_sub(v->key, prefix.n, v->key.n);
    ptrdiff_t dot = qd_str_find(rest, '.');
    return dot < 0 ? rest : qd_str_sub(rest, 0, (size_t)dot);
}

/* The end of the settings of the similarity at i, and whether any of them is set. */
static size_t group_end(const qd_settings *s, size_t i, size_t end, bool *any)
{
    qd_str name = name_of(qd_settings_at(s, i));
    for (*any = false; i < end && qd_str_eq(name_of(qd_settings_at(s, i)), name); i++)
        *any |= qd_settings_at(s, i)->kind != QD_SETTING_NULL;
    return i;
}

static int read_all(const qd_settings *s, size_t from, size_t to, qd_similarities *out, char *names,
                    qd_err *err)
{
    bool any;
    int rc = 0;
    for (size_t i = from, end; i < to && !rc; i = end) {
        end = group_end(s, i, to, &any);
        if (!any) continue;
        qd_str name = name_of(qd_settings_at(s, i));
        group g = {s, i, end, prefix.n + name.n + 1};
        if (out->n == NAMES_MAX)
            return qd_err_set(err, QD_E_ARG, "an index may have at most %u similarities",
                              NAMES_MAX);
        rc = read_one(&g, name, &out->at[out->n].sim, err);
        if (name.n) memcpy(names, name.p, name.n);
        out->at[out->n].name = (qd_str){names, name.n};
        names += name.n;
        if (qd_str_is(name, "default")) out->initial = &out->at[out->n].sim;
        out->n++;
    }
    return rc;
}

int qd_similarities_make(const qd_settings *settings, qd_similarities **out, qd_err *err)
{
    size_t n, bytes = 0, from = qd_settings_group(settings, prefix, &n);
    *out = NULL;
    if (!n) return 0;
    for (size_t i = from; i < from + n; i++) bytes += qd_settings_at(settings, i)->key.n;
    qd_similarities *s = qd_calloc(NULL, sizeof *s + n * sizeof s->at[0] + bytes);
    if (!s) return qd_err_nomem(err, "similarities");
    atomic_init(&s->refs, 1);
    int rc = read_all(settings, from, from + n, s, (char *)&s->at[n], err);
    if (rc || !s->n) {
        qd_free(s);
        return rc;
    }
    *out = s;
    return 0;
}

const qd_similarities *qd_similarities_ref(const qd_similarities *s)
{
    qd_similarities *x = (qd_similarities *)s; /* counting does not change what others see */
    if (x) atomic_fetch_add(&x->refs, 1);
    return s;
}

void qd_similarities_unref(const qd_similarities *s)
{
    qd_similarities *x = (qd_similarities *)s;
    if (x && atomic_fetch_sub(&x->refs, 1) == 1) qd_free(x);
}

const qd_similarity *qd_similarity_named(const qd_similarities *s, qd_str name)
{
    for (uint32_t i = 0; s && i < s->n; i++)
        if (qd_str_eq(s->at[i].name, name)) return &s->at[i].sim;
    for (size_t i = 0; i < 2; i++) /* BM25, boolean */
        if (qd_str_is(name, types[i].name)) return &types[i].initial;
    return NULL;
}

const qd_similarity *qd_similarity_default(const qd_similarities *s)
{
    return s ? s->initial : NULL;
}
