/*
 * registry.c: an index's analyzers from its settings.
 *
 * Settings "analysis.<component>.<name>.<key>" are grouped by component and name; parts are made
 * first, then the chains that name them. Sentences of errors are Elasticsearch's.
 */
#include "analysis/analyzer_int.h"
#include "analysis/builtin_int.h"
#include "analysis/foreign_int.h"
#include "analysis/provider_int.h"

#define REGISTRY_MAGIC 0x53595A4Cu

enum { COMP_CHAR_FILTER, COMP_TOKENIZER, COMP_FILTER, COMP_ANALYZER, COMP_NORMALIZER, COMPS };
/* As settings name them; the first three have the numbers of qd_stage_kind. */
static const char *const comp_name[COMPS] = {"char_filter", "tokenizer", "filter", "analyzer",
                                             "normalizer"};

struct qd_analyzers {
    uint32_t magic;
    _Atomic uint32_t refs;
    qd_map parts[3];    /* by qd_stage_kind: name to qd_part */
    qd_map analyzers;   /* name to qd_analyzer */
    qd_map normalizers; /* name to qd_analyzer */
    int64_t max_ngram_diff, max_shingle_diff;
    const struct qd_plugin_host *plugins;
    bool stored;   /* what cannot be made is stood in for */
    char *missing; /* the first such; NULL: none */
};

/* The settings of one named thing. */
typedef struct group {
    int comp;
    qd_str name;
    QD_VEC(qd_analysis_setting) set;
} group;
typedef QD_VEC(group) groups;

static void groups_free(groups *g)
{
    for (size_t i = 0; i < g->n; i++) qd_vec_fini(&g->at[i].set);
    qd_vec_fini(g);
}

/* Puts a setting into its group, if it is one of ours. */
static int group_add(groups *g, const qd_analysis_setting *s, qd_map *index, qd_err *err)
{
    qd_str key = s->key;
    if (qd_str_starts(key, QD_STR("index."))) key = qd_str_sub(key, 6, key.n);
    if (!qd_str_starts(key, QD_STR("analysis."))) return 0;
    key = qd_str_sub(key, 9, key.n);
    qd_str whole = key, comp = qd_str_split(&key, '.');
    int c = 0;
    while (c < COMPS && !qd_str_is(comp, comp_name[c])) c++;
    if (c == COMPS || !key.p)
        return qd_err_set(err, QD_E_ARG, "unknown setting [index.analysis.%.*s]",
                          QD_STR_ARG(whole));
    qd_str name = qd_str_split(&key, '.');
    if (!key.p) key = (qd_str){"", 0};
    qd_str id = {whole.p, (size_t)(name.p + name.n - whole.p)};
    uintptr_t at = (uintptr_t)qd_map_get(index, id);
    if (!at) {
        group fresh = {.comp = c, .name = name};
        if (qd_vec_push(g, NULL, fresh)) return qd_err_nomem(err, "analysis settings");
        at = g->n;
        if (qd_map_put(index, id, (void *)at, NULL)) return qd_err_nomem(err, "analysis settings");
    }
    qd_analysis_setting bare = *s;
    bare.key = key;
    return qd_vec_push(&g->at[at - 1].set, NULL, bare) ? qd_err_nomem(err, "analysis settings") : 0;
}

static qd_part_conf conf_of(const qd_analyzers *as, const qd_analysis_files *files, qd_str name,
                            const qd_analysis_setting *set, size_t n)
{
    return (qd_part_conf){.name = name,
                          .settings = set,
                          .n = n,
                          .files = files,
                          .owner = as,
                          .max_ngram_diff = as ? as->max_ngram_diff : 1,
                          .max_shingle_diff = as ? as->max_shingle_diff : 3};
}

/* A part of a type: built in or a plugin's. QD_E_NOTFOUND without a text when there is none. */
static int type_make(const qd_analyzers *as, const qd_analysis_files *files, qd_stage_kind kind,
                     qd_str type, const qd_part_conf *c, qd_part **out, qd_err *err)
{
    const qd_part_type *t = qd_part_type_find(kind, type);
    if (t) {
        int rc = t->make(c, out, err);
        if (!rc) qd_part_needs(*out, t->level);
        return rc;
    }
    return qd_foreign_make(files ? files->plugins
                           : as  ? as->plugins
                                 : NULL,
                           kind, type, c, out, err);
}

/* "no such type" with the refused plugin that may provide it. */
static int unknown_type(const qd_analyzers *as, const group *g, qd_str type, qd_err *err)
{
    qd_buf why;
    qd_buf_init(&why, NULL, 4096);
    qd_foreign_hint(as->plugins, (qd_stage_kind)g->comp, type, &why);
    qd_str more = qd_buf_view(&why);
    int rc = more.n ? 0 : qd_analysis_refuse(comp_name[g->comp], g->name, type, err);
    if (!rc)
        rc = qd_err_set(err, QD_E_ARG, "Unknown %s type [%.*s] for [%.*s]%.*s", comp_name[g->comp],
                        QD_STR_ARG(type), QD_STR_ARG(g->name), QD_STR_ARG(more));
    qd_buf_fini(&why);
    return rc;
}

/* Of a stored set: takes the failure to make something for a reason that the set cannot be used
 * here. 0: it may be stood in for; else what is wrong lies elsewhere (rc). */
static int excuse(qd_analyzers *as, int comp, qd_str name, int rc, qd_err *why, qd_err *err)
{
    if (!as->stored || rc == QD_E_NOMEM || rc == QD_E_BREAKER || rc == QD_E_LIMIT)
        return qd_err_set(err, rc, "%s", qd_err_reason(why));
    if (as->missing) return 0;
    qd_buf b;
    qd_buf_init(&b, NULL, 8192);
    (void)qd_buf_printf(&b, "%s [%.*s] cannot be made on this node: %s", comp_name[comp],
                        QD_STR_ARG(name), qd_err_reason(why));
    as->missing = qd_memdup(NULL, b.p ? b.p : "", b.n + 1);
    if (as->missing) as->missing[b.n] = 0;
    qd_buf_fini(&b);
    return as->missing ? 0 : qd_err_nomem(err, "analysis part");
}

static int part_type_make(const qd_analyzers *as, const qd_analysis_files *files, const group *g,
                          const qd_part_conf *c, qd_part **out, qd_err *err)
{
    const qd_analysis_setting *type = qd_conf_find(c, "type");
    if (!type || !type->nvalues)
        return qd_err_set(err, QD_E_ARG,
                          "%s [%.*s] must specify either an analyzer type, or a tokenizer",
                          comp_name[g->comp], QD_STR_ARG(g->name));
    int rc = type_make(as, files, (qd_stage_kind)g->comp, type->values[0], c, out, err);
    return rc == QD_E_NOTFOUND ? unknown_type(as, g, type->values[0], err) : rc;
}

static int part_make(qd_analyzers *as, const qd_analysis_files *files, const group *g, qd_err *err)
{
    qd_part_conf c = conf_of(as, files, g->name, g->set.at, g->set.n);
    qd_part *p;
    qd_err why;
    qd_err_init(&why);
    int rc = part_type_make(as, files, g, &c, &p, &why);
    if (rc) {
        rc = excuse(as, g->comp, g->name, rc, &why, err);
        if (!rc) rc = qd_standin_make(&c, (qd_stage_kind)g->comp, as->missing, &p, err);
    }
    qd_err_fini(&why);
    if (rc) return rc;
    if (!qd_map_put(&as->parts[g->comp], g->name, p, NULL)) return 0;
    qd_part_unref(p);
    return qd_err_nomem(err, "analysis part");
}

/* The part of that name with one more reference: the index's own or a pre-configured one. *out
 * stays NULL when there is none. */
static int part_get(const qd_analyzers *as, const qd_analysis_files *files, qd_stage_kind kind,
                    qd_str name, qd_part **out, qd_err *err)
{
    qd_part *own = as ? qd_map_get(&as->parts[kind], name) : NULL;
    *out = own ? qd_part_ref(own) : NULL;
    if (own) return 0;
    const qd_part_type *t = qd_part_type_find(kind, name);
    if (t && !t->bare) return 0;
    qd_part_conf c = conf_of(as, NULL, name, NULL, 0);
    c.prebuilt = true;
    int rc = type_make(as, files, kind, name, &c, out, err);
    if (rc != QD_E_NOTFOUND) return rc;
    *out = NULL;
    return 0;
}

int qd_part_named(const qd_part_conf *c, qd_str name, qd_part **out, qd_err *err)
{
    int rc = part_get(c->owner, c->files, QD_STAGE_FILTER, name, out, err);
    if (!rc && !*out) rc = qd_analysis_refuse("filter", c->name, name, err);
    if (!rc && !*out)
        rc = qd_err_set(err, QD_E_ARG, "%.*s: failed to find token filter under name [%.*s]",
                        QD_STR_ARG(c->name), QD_STR_ARG(name));
    return rc;
}

/* Parts of a chain being put together. */
typedef struct chain {
    qd_part *parts[QD_CHAIN_MAX];
    size_t n;
} chain;

static void chain_free(chain *k)
{
    for (size_t i = 0; i < k->n; i++) qd_part_unref(k->parts[i]);
}

/* Appends a part (its reference goes to the chain, also on failure), in its final form. */
static int chain_push(chain *k, qd_part *p, qd_err *err)
{
    if (k->n == QD_CHAIN_MAX) {
        qd_part_unref(p);
        return qd_err_set(err, QD_E_ARG, "an analyzer has more than %d parts", QD_CHAIN_MAX);
    }
    if (p->ops->in_chain) {
        qd_part *final;
        int rc = p->ops->in_chain(p, k->parts, k->n, &final, err);
        if (!rc) qd_part_needs(final, p->level);
        qd_part_unref(p);
        if (rc) return rc;
        p = final;
    }
    k->parts[k->n++] = p;
    return 0;
}

static int chain_list(const qd_analyzers *as, const qd_part_conf *c, chain *k, qd_stage_kind kind,
                      const char *key, const char *what, qd_err *err)
{
    qd_str name;
    for (size_t i = 0; qd_conf_list(c, key, i, &name); i++) {
        qd_part *p;
        int rc = part_get(as, c->files, kind, name, &p, err);
        if (!rc && !p) rc = qd_analysis_refuse(comp_name[kind], c->name, name, err);
        if (!rc && !p)
            rc = qd_err_set(err, QD_E_ARG, "Custom %s [%.*s] failed to find %s under name [%.*s]",
                            what, QD_STR_ARG(c->name), comp_name[kind], QD_STR_ARG(name));
        if (!rc && *what == 'n' && !p->normalizes) {
            rc = qd_err_set(err, QD_E_ARG, "Custom normalizer [%.*s] may not use %s [%.*s]",
                            QD_STR_ARG(c->name), kind == QD_STAGE_FILTER ? "filter" : "char filter",
                            QD_STR_ARG(name));
            qd_part_unref(p);
        }
        if (!rc) rc = chain_push(k, p, err);
        if (rc) return rc;
    }
    return 0;
}

static int custom_tokenizer(const qd_analyzers *as, const qd_part_conf *c, chain *k, qd_err *err)
{
    const qd_analysis_setting *t = qd_conf_find(c, "tokenizer");
    if (!t || !t->nvalues)
        return qd_err_set(err, QD_E_ARG, "analyzer [%.*s] must be configured with a tokenizer",
                          QD_STR_ARG(c->name));
    qd_part *p;
    int rc = part_get(as, c->files, QD_STAGE_TOKENIZER, t->values[0], &p, err);
    if (!rc && !p) rc = qd_analysis_refuse("tokenizer", c->name, t->values[0], err);
    if (!rc && !p)
        rc = qd_err_set(err, QD_E_ARG,
                        "Custom Analyzer [%.*s] failed to find tokenizer under name [%.*s]",
                        QD_STR_ARG(c->name), QD_STR_ARG(t->values[0]));
    return rc ? rc : chain_push(k, p, err);
}

static int custom_make(const qd_analyzers *as, const qd_part_conf *c, qd_analyzer **out,
                       qd_err *err)
{
    chain k = {.n = 0};
    int64_t gap = 100;
    size_t nchar = 0;
    int rc = qd_conf_int(c, "position_increment_gap", 100, &gap, err);
    if (!rc && gap < 0)
        rc = qd_err_set(err, QD_E_ARG, "invalid position_increment_gap [%lld]", (long long)gap);
    if (!rc) rc = chain_list(as, c, &k, QD_STAGE_CHAR_FILTER, "char_filter", "Analyzer", err);
    if (!rc) {
        nchar = k.n;
        rc = nchar > QD_CHAR_FILTERS_MAX
                 ? qd_err_set(err, QD_E_ARG, "analyzer [%.*s] has more than %d char filters",
                              QD_STR_ARG(c->name), QD_CHAR_FILTERS_MAX)
                 : custom_tokenizer(as, c, &k, err);
    }
    if (!rc) rc = chain_list(as, c, &k, QD_STAGE_FILTER, "filter", "Analyzer", err);
    if (!rc) rc = qd_analyzer_make(c->name, k.parts, k.n, nchar, (uint32_t)gap, true, out, err);
    if (rc) chain_free(&k);
    return rc;
}

static int normalizer_make(const qd_analyzers *as, const qd_part_conf *c, qd_analyzer **out,
                           qd_err *err)
{
    chain k = {.n = 0};
    qd_part *p = NULL;
    size_t nchar = 0;
    int rc = 0;
    if (qd_conf_find(c, "tokenizer"))
        return qd_err_set(err, QD_E_ARG, "Custom normalizer [%.*s] cannot configure a tokenizer",
                          QD_STR_ARG(c->name));
    rc = chain_list(as, c, &k, QD_STAGE_CHAR_FILTER, "char_filter", "normalizer", err);
    nchar = k.n;
    if (!rc && nchar > QD_CHAR_FILTERS_MAX)
        rc = qd_err_set(err, QD_E_ARG, "normalizer [%.*s] has more than %d char filters",
                        QD_STR_ARG(c->name), QD_CHAR_FILTERS_MAX);
    if (!rc) rc = part_get(NULL, NULL, QD_STAGE_TOKENIZER, QD_STR("keyword"), &p, err);
    if (!rc) rc = chain_push(&k, p, err);
    if (!rc) rc = chain_list(as, c, &k, QD_STAGE_FILTER, "filter", "normalizer", err);
    if (!rc) rc = qd_analyzer_make(c->name, k.parts, k.n, nchar, 0, true, out, err);
    if (rc) chain_free(&k);
    return rc;
}

static int analyzer_of(const qd_analyzers *as, const group *g, qd_part_conf *c, qd_analyzer **out,
                       qd_err *err)
{
    const qd_analysis_setting *type = qd_conf_find(c, "type");
    qd_str t = type && type->nvalues ? type->values[0] : QD_STR("custom");
    if (g->name.n && g->name.p[0] == '_')
        return qd_err_set(err, QD_E_ARG, "analyzer name must not start with '_'. got \"%.*s\"",
                          QD_STR_ARG(g->name));
    if (g->comp == COMP_NORMALIZER) {
        if (qd_str_is(t, "custom")) return normalizer_make(as, c, out, err);
        if (qd_str_is(t, "lowercase")) {
            const qd_str filter = QD_STR("lowercase");
            qd_analysis_setting one = {QD_STR("filter"), &filter, 1, true};
            c->settings = &one;
            c->n = 1;
            return normalizer_make(as, c, out, err);
        }
        return qd_err_set(err, QD_E_ARG, "Unknown normalizer type [%.*s] for [%.*s]", QD_STR_ARG(t),
                          QD_STR_ARG(g->name));
    }
    if (qd_str_is(t, "custom")) {
        if (!type && !qd_conf_find(c, "tokenizer"))
            return qd_err_set(
                err, QD_E_ARG,
                "analyzer [%.*s] must specify either an analyzer type, or a tokenizer",
                QD_STR_ARG(g->name));
        return custom_make(as, c, out, err);
    }
    if (qd_provider_known(t)) return qd_provider_make(t, c, out, err);
    int rc = qd_analysis_refuse("analyzer", g->name, t, err);
    if (rc) return rc;
    return qd_err_set(err, QD_E_ARG, "Unknown analyzer type [%.*s] for [%.*s]", QD_STR_ARG(t),
                      QD_STR_ARG(g->name));
}

/* In the place of an analyzer that cannot be made: one that fails. */
static int analyzer_standin(const qd_analyzers *as, const qd_part_conf *c, qd_analyzer **out,
                            qd_err *err)
{
    qd_part *p;
    int rc = qd_standin_make(c, QD_STAGE_TOKENIZER, as->missing, &p, err);
    if (rc) return rc;
    rc = qd_analyzer_make(c->name, &p, 1, 0, 100, true, out, err);
    if (rc) qd_part_unref(p);
    return rc;
}

static int analyzer_make(qd_analyzers *as, const qd_analysis_files *files, const group *g,
                         qd_err *err)
{
    qd_part_conf c = conf_of(as, files, g->name, g->set.at, g->set.n);
    qd_analyzer *a;
    qd_err why;
    qd_err_init(&why);
    int rc = analyzer_of(as, g, &c, &a, &why);
    if (rc) {
        rc = excuse(as, g->comp, g->name, rc, &why, err);
        if (!rc) rc = analyzer_standin(as, &c, &a, err);
    }
    qd_err_fini(&why);
    if (rc) return rc;
    qd_map *m = g->comp == COMP_NORMALIZER ? &as->normalizers : &as->analyzers;
    if (!qd_map_put(m, g->name, a, NULL)) return 0;
    qd_analyzer_unref(a);
    return qd_err_nomem(err, "analyzer");
}

/* index.max_ngram_diff and max_shingle_diff bound the parts. */
static int limits_read(qd_analyzers *as, const qd_analysis_setting *s, size_t n, qd_err *err)
{
    static const char *const names[2] = {"max_ngram_diff", "max_shingle_diff"};
    int64_t *to[2] = {&as->max_ngram_diff, &as->max_shingle_diff};
    as->max_ngram_diff = 1;
    as->max_shingle_diff = 3;
    for (size_t i = 0; i < n; i++) {
        qd_str key = s[i].key;
        if (qd_str_starts(key, QD_STR("index."))) key = qd_str_sub(key, 6, key.n);
        for (int k = 0; k < 2; k++)
            if (qd_str_is(key, names[k]) && s[i].nvalues && !qd_str_i64(s[i].values[0], to[k]))
                return qd_err_set(err, QD_E_ARG,
                                  "Failed to parse value [%.*s] for setting [index.%s]",
                                  QD_STR_ARG(s[i].values[0]), names[k]);
    }
    return 0;
}

/* Is it a filter that is made of others? Those are made first. */
static bool names_others(const group *g)
{
    const qd_part_conf c = {.settings = g->set.at, .n = g->set.n};
    return qd_str_is(qd_conf_str(&c, "type", ""), "multiplexer");
}

static int build(qd_analyzers *as, const groups *g, const qd_analysis_files *files, qd_err *err)
{
    for (int comp = 0; comp < COMPS; comp++)
        for (int late = 0; late < (comp == COMP_FILTER ? 2 : 1); late++)
            for (size_t i = 0; i < g->n; i++) {
                const group *x = &g->at[i];
                if (x->comp != comp || (comp == COMP_FILTER && names_others(x) != late)) continue;
                int rc = comp < COMP_ANALYZER ? part_make(as, files, x, err)
                                              : analyzer_make(as, files, x, err);
                if (rc) return rc;
            }
    return 0;
}

const struct qd_plugin_host *qd_analyzers_plugins(const qd_analyzers *as)
{
    return as->plugins;
}

int qd_analyzers_make(const qd_analysis_setting *settings, size_t n, const qd_analysis_files *files,
                      qd_analyzers **out, qd_err *err)
{
    qd_analyzers *as = qd_calloc(NULL, sizeof *as);
    if (!as) return qd_err_nomem(err, "analyzers");
    as->magic = REGISTRY_MAGIC;
    as->refs = 1;
    as->plugins = files ? files->plugins : NULL;
    as->stored = files && files->stored;
    for (int i = 0; i < 3; i++) qd_map_init(&as->parts[i], NULL);
    qd_map_init(&as->analyzers, NULL);
    qd_map_init(&as->normalizers, NULL);
    groups g = {0};
    qd_map index;
    qd_map_init(&index, NULL);
    int rc = limits_read(as, settings, n, err);
    for (size_t i = 0; !rc && i < n; i++) rc = group_add(&g, &settings[i], &index, err);
    if (!rc) rc = build(as, &g, files, err);
    groups_free(&g);
    qd_map_fini(&index);
    if (rc)
        qd_analyzers_unref(as);
    else
        *out = as;
    return rc;
}

qd_analyzers *qd_analyzers_ref(const qd_analyzers *as)
{
    qd_analyzers *b = (qd_analyzers *)(uintptr_t)as;
    QD_CHECK(b, REGISTRY_MAGIC);
    atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
    return b;
}

void qd_analyzers_unref(const qd_analyzers *as)
{
    if (!as) return;
    qd_analyzers *b = (qd_analyzers *)(uintptr_t)as;
    QD_CHECK(b, REGISTRY_MAGIC);
    if (atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) != 1) return;
    const qd_map_entry *e;
    size_t pos;
    for (int i = 0; i < 3; i++) {
        for (pos = 0; (e = qd_map_next(&b->parts[i], &pos));) qd_part_unref(e->value);
        qd_map_fini(&b->parts[i]);
    }
    for (pos = 0; (e = qd_map_next(&b->analyzers, &pos));) qd_analyzer_unref(e->value);
    for (pos = 0; (e = qd_map_next(&b->normalizers, &pos));) qd_analyzer_unref(e->value);
    qd_map_fini(&b->analyzers);
    qd_map_fini(&b->normalizers);
    b->magic = 0;
    qd_free(b->missing);
    qd_free(b);
}

const char *qd_analyzers_missing(const qd_analyzers *as)
{
    return as->missing;
}

uint32_t qd_analyzers_level(const qd_analyzers *as, qd_str *what, const char **kind)
{
    uint32_t level = 0;
    const qd_map *maps[COMPS] = {&as->parts[0], &as->parts[1], &as->parts[2], &as->analyzers,
                                 &as->normalizers};
    for (int comp = 0; comp < COMPS; comp++) {
        size_t pos = 0;
        const qd_map_entry *e;
        while ((e = qd_map_next(maps[comp], &pos))) {
            uint32_t own = comp < COMP_ANALYZER ? ((const qd_part *)e->value)->level
                                                : qd_analyzer_level(e->value);
            if (own <= level) continue;
            level = own;
            *what = e->key;
            *kind = comp_name[comp];
        }
    }
    return level;
}

const qd_analyzer *qd_analyzers_get(const qd_analyzers *as, qd_str name)
{
    const qd_analyzer *own = as ? qd_map_get(&as->analyzers, name) : NULL;
    if (own) return own;
    return qd_provider_shared(qd_str_is(name, "default") ? QD_STR("standard") : name);
}

const qd_analyzer *qd_analyzers_search_default(const qd_analyzers *as)
{
    const qd_analyzer *own = as ? qd_map_get(&as->analyzers, QD_STR("default_search")) : NULL;
    return own ? own : qd_analyzers_get(as, QD_STR("default"));
}

const qd_analyzer *qd_analyzers_normalizer(const qd_analyzers *as, qd_str name)
{
    return qd_map_get(&as->normalizers, name);
}

/* --- _analyze ----------------------------------------------------------------------------------
 */

/* A named or anonymous part of a request, appended to the chain. */
static int request_part(const qd_analyzers *as, const qd_analysis_files *files, qd_stage_kind kind,
                        const qd_analysis_part *want, chain *k, qd_err *err)
{
    qd_part *p = NULL;
    int rc;
    if (want->name.p) {
        rc = part_get(as, files, kind, want->name, &p, err);
        if (!rc && !p) rc = qd_analysis_refuse(comp_name[kind], (qd_str){NULL, 0}, want->name, err);
        if (!rc && !p)
            rc = qd_err_set(err, QD_E_ARG, "failed to find %s%s under [%.*s]", as ? "" : "global ",
                            comp_name[kind], QD_STR_ARG(want->name));
        return rc ? rc : chain_push(k, p, err);
    }
    qd_part_conf c = conf_of(as, files, (qd_str){NULL, 0}, want->definition, want->ndefinition);
    const qd_analysis_setting *type = qd_conf_find(&c, "type");
    if (!type || !type->nvalues)
        return qd_err_set(err, QD_E_ARG, "Missing [type] setting for anonymous %s",
                          comp_name[kind]);
    qd_buf name;
    qd_buf_init(&name, NULL, 1024);
    (void)qd_buf_printf(&name, "__anonymous__%.*s", QD_STR_ARG(type->values[0]));
    c.name = qd_buf_view(&name);
    rc = type_make(as, files, kind, type->values[0], &c, &p, err);
    qd_buf_fini(&name);
    if (rc == QD_E_NOTFOUND &&
        (rc = qd_analysis_refuse(comp_name[kind], (qd_str){NULL, 0}, type->values[0], err)))
        return rc;
    if (!rc && !p)
        return qd_err_set(err, QD_E_ARG, "failed to find global %s under [%.*s]", comp_name[kind],
                          QD_STR_ARG(type->values[0]));
    return rc ? rc : chain_push(k, p, err);
}

int qd_analyzers_chain(const qd_analyzers *as, const qd_analysis_files *files,
                       const qd_analysis_part *tokenizer, const qd_analysis_part *filters,
                       size_t nfilters, const qd_analysis_part *char_filters, size_t nchar_filters,
                       qd_analyzer **out, qd_err *err)
{
    static const qd_analysis_part keyword = {.name = {"keyword", 7}};
    chain k = {.n = 0};
    int rc = 0;
    if (nchar_filters > QD_CHAR_FILTERS_MAX)
        return qd_err_set(err, QD_E_ARG, "more than %d char filters", QD_CHAR_FILTERS_MAX);
    for (size_t i = 0; !rc && i < nchar_filters; i++)
        rc = request_part(as, files, QD_STAGE_CHAR_FILTER, &char_filters[i], &k, err);
    if (!rc)
        rc = tokenizer ? request_part(as, files, QD_STAGE_TOKENIZER, tokenizer, &k, err)
                       : request_part(NULL, NULL, QD_STAGE_TOKENIZER, &keyword, &k, err);
    for (size_t i = 0; !rc && i < nfilters; i++)
        rc = request_part(as, files, QD_STAGE_FILTER, &filters[i], &k, err);
    if (!rc)
        rc = qd_analyzer_make((qd_str){"", 0}, k.parts, k.n, nchar_filters, 100, true, out, err);
    if (rc) chain_free(&k);
    return rc;
}
