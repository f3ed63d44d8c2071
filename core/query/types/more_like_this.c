/*
 * more_like_this.c: documents that have the words of texts, of documents that are there, or of ones
 * given with the request. The request's part reads those documents (dsl.h's lookup); what their
 * words are is a matter of an index, which words tell most one of a shard (search/nodes).
 */
#include "base/utf8.h"
#include "mapping/mapping.h"
#include "query/mlt.h"
#include "query/types/prox_int.h"
#include <stdlib.h>

#define ITEMS_MAX 1024u
#define WORDS_MAX 1000000u /* of all that is liked, before they are counted */

/* A text (json p NULL), or a document. */
typedef struct item {
    qd_str text, json; /* json: the source; p NULL where there is none */
    qd_str index, id;  /* of one that is there */
    bool doc;
    const qd_str *fields; /* of this document alone; NULL: all */
    uint32_t nfields;
    const qd_json_node *analyzers; /* per_field_analyzer; NULL: none */
} item;

typedef struct items {
    item *at;
    uint32_t n;
} items;

typedef struct mlt_query {
    qd_query base;
    const qd_str *fields, *stop_words;
    uint32_t nfields, nstop_words;
    bool has_fields, include, lenient, has_like;
    items like, unlike;
    qd_str analyzer, minimum;
    int32_t max_query_terms, min_term_freq, min_doc_freq, max_doc_freq, min_word_length,
        max_word_length;
    float boost_terms;
} mlt_query;
#define MLT(q) ((mlt_query *)(q))

/* --- reading ---------------------------------------------------------------------------------- */

static int read_names(qdi_reading *rd, const qd_json_node *n, const qd_str **out, uint32_t *count,
                      qd_err *err)
{
    bool array = n->type == QD_JSON_T_ARRAY;
    uint32_t k = 0;
    qd_str *at = qd_arena_alloc(rd->arena, ((size_t)n->n + 1) * sizeof *at);
    if (!at) return qd_err_nomem(err, "query");
    for (const qd_json_node *c = array ? n->first : n; c; c = array ? c->next : NULL) {
        qd_str s = qd_json_text(c);
        if (s.p) at[k++] = s;
    }
    *out = at;
    *count = k;
    return 0;
}

static bool is_key(const qd_json_node *n, const char *a, const char *b)
{
    return qd_str_is(n->key, a) || qd_str_is(n->key, b);
}

static int read_document(qdi_reading *rd, const qd_json_node *n, item *to, qd_err *err)
{
    qd_query_lookup l = {.path = {"", 0}, .index = {"", 0}};
    int rc = 0;
    to->doc = true;
    for (const qd_json_node *m = n->first; m && !rc; m = m->next) {
        if (is_key(m, "_index", "index")) {
            to->index = l.index = qd_json_text(m);
        } else if (is_key(m, "_id", "id")) {
            to->id = l.id = qd_json_text(m);
        } else if (qd_str_is(m->key, "doc") && m->type == QD_JSON_T_OBJECT) {
            to->json = m->raw;
        } else if (qd_str_is(m->key, "fields")) {
            rc = read_names(rd, m, &to->fields, &to->nfields, err);
        } else if (is_key(m, "_routing", "routing")) {
            l.routing = qd_json_text(m);
        } else if (is_key(m, "per_field_analyzer", "perFieldAnalyzer") &&
                   m->type == QD_JSON_T_OBJECT) {
            to->analyzers = m;
        } else {
            return qd_err_set(err, QD_E_ES_PARSE,
                              "failed to parse More Like This item. unknown "
                              "field [%.*s]",
                              QD_STR_ARG(m->key));
        }
    }
    if (rc) return rc;
    if (l.id.n && to->json.p)
        return qd_err_set(err, QD_E_ES_PARSE,
                          "failed to parse More Like This item. either [id] or "
                          "[doc] can be specified, but not both!");
    if (!l.id.n && !to->json.p)
        return qd_err_set(err, QD_E_ES_PARSE,
                          "failed to parse More Like This item. neither [id] "
                          "nor [doc] is specified!");
    if (to->json.p) return 0;
    if (!rd->how->lookup)
        return qd_err_set(err, QD_E_ARG, "[more_like_this] cannot read documents here");
    const qd_query_value *v = NULL;
    uint32_t found = 0;
    rc = rd->how->lookup(rd->how->lookup_arg, &l, rd->arena, &v, &found, err);
    rd->lookup_failed = rc != 0;
    if (!rc && found) to->json = v[0].text;
    return rc;
}

static int read_items(qdi_reading *rd, qd_json_reader *r, items *to, qd_err *err)
{
    const char *from = r->token;
    qd_str json;
    qd_json_node *n;
    if (qdi_is_value(r->event)) {
        to->at = qd_arena_calloc(rd->arena, sizeof *to->at);
        if (!to->at) return qd_err_nomem(err, "query");
        to->n = 1;
        return qdi_read_text(rd, r, &to->at->text, err);
    }
    if (qd_json_raw(r, &json)) return qd_json_fail(r, err);
    int rc = qdi_keep(rd, (qd_str){from, json.n}, &json, err);
    if (!rc) rc = qd_json_parse(rd->arena, json, 0, &n, err);
    if (rc) return rc;
    bool array = n->type == QD_JSON_T_ARRAY;
    uint32_t count = array ? n->n : 1;
    if (count > ITEMS_MAX)
        return qd_err_set(err, QD_E_ARG, "[more_like_this] has at most %u texts and documents",
                          ITEMS_MAX);
    to->at = qd_arena_calloc(rd->arena, ((size_t)count + 1) * sizeof *to->at);
    if (!to->at) return qd_err_nomem(err, "query");
    for (const qd_json_node *c = array ? n->first : n; c && !rc; c = array ? c->next : NULL) {
        item *i = &to->at[to->n++];
        if (c->type == QD_JSON_T_OBJECT)
            rc = read_document(rd, c, i, err);
        else if (c->type == QD_JSON_T_ARRAY || c->type == QD_JSON_T_NULL)
            return qd_err_set(err, QD_E_ARG,
                              "content of 'like' parameter should either be a string "
                              "or an object");
        else
            i->text = qd_json_text(c);
    }
    return rc;
}

static int read_list(qdi_reading *rd, qd_json_reader *r, const qd_str **out, uint32_t *n,
                     qd_err *err)
{
    const char *from = r->token;
    qd_str json;
    qd_json_node *list;
    if (qd_json_raw(r, &json)) return qd_json_fail(r, err);
    int rc = qdi_keep(rd, (qd_str){from, json.n}, &json, err);
    if (!rc) rc = qd_json_parse(rd->arena, json, 0, &list, err);
    return rc ? rc : read_names(rd, list, out, n, err);
}

static int read_member(qdi_reading *rd, qd_json_reader *r, qd_str key, qd_query *q, qd_err *err)
{
    static const qdi_option rows[] = {
        {"max_query_terms", QDI_OPT_INT, offsetof(mlt_query, max_query_terms)},
        {"min_term_freq", QDI_OPT_INT, offsetof(mlt_query, min_term_freq)},
        {"min_doc_freq", QDI_OPT_INT, offsetof(mlt_query, min_doc_freq)},
        {"max_doc_freq", QDI_OPT_INT, offsetof(mlt_query, max_doc_freq)},
        {"min_word_length", QDI_OPT_INT, offsetof(mlt_query, min_word_length)},
        {"max_word_length", QDI_OPT_INT, offsetof(mlt_query, max_word_length)},
        {"analyzer", QDI_OPT_TEXT, offsetof(mlt_query, analyzer)},
        {"minimum_should_match", QDI_OPT_TEXT, offsetof(mlt_query, minimum)},
        {"boost_terms", QDI_OPT_FLOAT, offsetof(mlt_query, boost_terms)},
        {"include", QDI_OPT_BOOL, offsetof(mlt_query, include)},
        {"fail_on_unsupported_field", QDI_OPT_BOOL, offsetof(mlt_query, lenient)},
        QDI_STANDARD,
    };
    mlt_query *m = MLT(q);
    if (qd_str_is(key, "like")) {
        m->has_like = true;
        return read_items(rd, r, &m->like, err);
    }
    if (qd_str_is(key, "unlike")) return read_items(rd, r, &m->unlike, err);
    if (qd_str_is(key, "stop_words") && r->event == QD_JSON_ARRAY)
        return read_list(rd, r, &m->stop_words, &m->nstop_words, err);
    if (qd_str_is(key, "fields") && r->event == QD_JSON_ARRAY) {
        m->has_fields = true;
        return read_list(rd, r, &m->fields, &m->nfields, err);
    }
    const qdi_option *o = qdi_option_find(rows, QD_COUNT_OF(rows), key);
    if (!o || !qdi_is_value(r->event)) return qdi_unsupported(r, q, key, err);
    int rc = qdi_option_read(rd, r, o, q, err);
    if (qd_str_is(key, "fail_on_unsupported_field")) m->lenient = !m->lenient;
    return rc;
}

static int read(qdi_reading *rd, qd_json_reader *r, qd_query *q, qd_err *err)
{
    mlt_query *m = MLT(q);
    int ev;
    m->max_query_terms = 25;
    m->min_term_freq = 2;
    m->min_doc_freq = 5;
    m->max_doc_freq = INT32_MAX;
    m->minimum = QD_STR("30%");
    while ((ev = qdi_query_next(r, err)) == QD_JSON_KEY) {
        qd_str key;
        int rc = qdi_keep(rd, r->text, &key, err);
        if (rc) return rc;
        ev = qdi_query_next(r, err);
        if (ev < 0) return ev;
        rc = read_member(rd, r, key, q, err);
        if (rc) return rc;
    }
    if (ev < 0) return ev;
    if (m->max_query_terms <= 0)
        return qd_err_set(err, QD_E_ARG, "requires 'maxQueryTerms' to be greater than 0");
    if (!m->has_like || !m->like.n)
        return qd_json_err_at(
            r, err, QD_E_PARSE,
            "more_like_this requires either 'like' texts or items to be specified");
    if (m->has_fields && !m->nfields)
        return qd_json_err_at(r, err, QD_E_PARSE,
                              "more_like_this requires 'fields' to be non-empty");
    return 0;
}

/* --- building: fields --------------------------------------------------------------------------
 */

static bool is_word_field(const qdi_field *f)
{
    return f->f && f->f->indexed && (qdi_field_is_text(f) || f->f->value_class == QD_VALUE_TERM);
}

static int fields_of(qdi_builder *b, const mlt_query *m, qdi_fields *out, qd_err *err)
{
    int rc = 0;
    qdi_fields all = {0};
    if (!m->has_fields) {
        static const qd_str star = {"*", 1};
        uint32_t n = b->c->ndefault_fields ? b->c->ndefault_fields : 1;
        for (uint32_t i = 0; i < n && !rc; i++)
            rc = qdi_fields_add(b, &all, b->c->ndefault_fields ? b->c->default_fields[i] : star, 1,
                                (qd_str){NULL, 0}, err);
    }
    for (uint32_t i = 0; i < m->nfields && !rc; i++)
        rc = qdi_fields_add(b, &all, m->fields[i], 1, (qd_str){NULL, 0}, err);
    for (size_t i = 0; i < all.v.n && !rc; i++) {
        const qdi_field *f = &all.v.at[i].field;
        if (f->cls == QDI_F_NONE) continue;
        if (is_word_field(f))
            rc = qd_vec_push(&out->v, b->arena->account, all.v.at[i]) ? qd_err_nomem(err, "query")
                                                                      : 0;
        else if (m->has_fields && !m->lenient)
            rc = qd_err_set(err, QD_E_ARG,
                            "more_like_this only supports text/keyword fields: "
                            "[%.*s]",
                            QD_STR_ARG(f->name));
    }
    qd_vec_fini(&all.v);
    return rc;
}

/* --- building: words ---------------------------------------------------------------------------
 */

typedef struct word {
    qd_str term;
    uint32_t field;
} word;

typedef struct gathering {
    qdi_builder *b;
    const mlt_query *m;
    const qdi_fields *fields;
    QD_VEC(word) words;
} gathering;

static int add_word(gathering *g, qd_str term, uint32_t field, qd_err *err)
{
    if (g->words.n >= WORDS_MAX)
        return qd_err_set(err, QD_E_ARG, "[more_like_this] is to be like more than %u words",
                          WORDS_MAX);
    return qd_vec_push(&g->words, g->b->arena->account, ((word){term, field}))
               ? qd_err_nomem(err, "query")
               : 0;
}

static int add_text(gathering *g, uint32_t field, const qd_analyzer *a, qd_str text, qd_err *err)
{
    const qdi_field *f = &g->fields->v.at[field].field;
    qdi_token *t;
    uint32_t n;
    bool at_end;
    int rc;
    if (!qdi_field_is_text(f) && !a) {
        const qd_node *x;
        rc = qdi_field_term(g->b, f, (qd_query_value){text, true}, false, &x, err);
        const qd_node_term *one = rc ? NULL : qd_node_term_of(qd_node_unwrapped(x));
        return one ? add_word(g, one->term, field, err) : rc;
    }
    rc = qdi_analyze(g->b, a ? a : f->f->index_analyzer, text, &t, &n, &at_end, err);
    for (uint32_t i = 0; i < n && !rc; i++) rc = add_word(g, t[i].term, field, err);
    return rc;
}

/* Texts at a path of a source, through arrays, objects and names with dots. */
static int walk(gathering *g, uint32_t field, const qd_analyzer *a, const qd_json_node *n,
                qd_str path, qd_err *err)
{
    int rc = 0;
    if (n->type == QD_JSON_T_NULL) return 0;
    if (n->type == QD_JSON_T_ARRAY) {
        for (const qd_json_node *c = n->first; c && !rc; c = c->next)
            rc = walk(g, field, a, c, path, err);
        return rc;
    }
    if (n->type != QD_JSON_T_OBJECT)
        return path.n ? 0 : add_text(g, field, a, qd_json_text(n), err);
    for (const qd_json_node *c = n->first; c && path.n && !rc; c = c->next) {
        if (!qd_str_starts(path, c->key)) continue;
        if (c->key.n == path.n)
            rc = walk(g, field, a, c, (qd_str){"", 0}, err);
        else if (path.p[c->key.n] == '.')
            rc = walk(g, field, a, c, qd_str_sub(path, c->key.n + 1, path.n), err);
    }
    return rc;
}

static int analyzer_named(qdi_builder *b, qd_str name, const qd_analyzer **out, qd_err *err)
{
    *out = NULL;
    if (!name.p) return 0;
    *out = qd_analyzers_get(qd_mapping_analyzers(b->c->mapping), name);
    if (*out) return 0;
    return qdi_shard_err(b, err, "[more_like_this] analyzer [%.*s] not found", QD_STR_ARG(name));
}

static int add_document(gathering *g, const item *x, qd_err *err)
{
    qd_json_node *root;
    if (!x->json.p || !x->json.n) return 0;
    int rc = qd_json_parse(g->b->arena, x->json, 0, &root, err);
    for (uint32_t f = 0; f < g->fields->v.n && !rc; f++) {
        qd_str name = g->fields->v.at[f].field.name;
        const qd_analyzer *a = NULL;
        bool wanted = !x->fields;
        for (uint32_t i = 0; i < x->nfields; i++) wanted |= qd_str_eq(x->fields[i], name);
        if (!wanted) continue;
        if (x->analyzers) {
            const qd_json_node *own = qd_json_get_str(x->analyzers, name);
            if (own) rc = analyzer_named(g->b, qd_json_text(own), &a, err);
        }
        qd_str path = qd_field_source(g->fields->v.at[f].field.f);
        if (!rc) rc = walk(g, f, a, root, path, err);
    }
    return rc;
}

static int by_word(const void *a, const void *b)
{
    const word *x = a, *y = b;
    if (x->field != y->field) return x->field < y->field ? -1 : 1;
    return qd_str_cmp(x->term, y->term);
}

static bool is_noise(const mlt_query *m, qd_str term)
{
    int64_t length =
        m->min_word_length > 0 || m->max_word_length > 0 ? (int64_t)qd_utf8_utf16(term) : 0;
    if (m->min_word_length > 0 && length < m->min_word_length) return true;
    if (m->max_word_length > 0 && length > m->max_word_length) return true;
    for (uint32_t i = 0; i < m->nstop_words; i++)
        if (qd_str_eq(m->stop_words[i], term)) return true;
    return false;
}

/* What is gathered as distinct words with their frequencies: of field `from` on, without those that
 * are not to be liked (sorted). *end: the next field's first one. */
static int count_words(gathering *g, const gathering * not, uint32_t from, uint32_t *end,
                       qd_mlt_group *to, qd_err *err)
{
    const word *w = g->words.at;
    uint32_t i = from, n = 0, field = w[from].field;
    qd_mlt_word *at = qd_arena_alloc(g->b->arena, (g->words.n - from + 1) * sizeof *at);
    if (!at) return qd_err_nomem(err, "query");
    while (i < g->words.n && w[i].field == field) {
        uint32_t k = i + 1;
        while (k < g->words.n && w[k].field == field && qd_str_eq(w[k].term, w[i].term)) k++;
        bool few = g->m->min_term_freq > 0 && k - i < (uint32_t)g->m->min_term_freq;
        bool skipped =
            few || is_noise(g->m, w[i].term) ||
            (not ->words.n && bsearch(&w[i], not ->words.at, not ->words.n, sizeof(word), by_word));
        if (!skipped) at[n++] = (qd_mlt_word){w[i].term, k - i};
        i = k;
    }
    *end = i;
    to->words = at;
    to->n = n;
    return 0;
}

/* The node of what is gathered; texts: their words may be of any field. */
static int node_of(gathering *g, const gathering * not, bool texts, const qd_node **out,
                   qd_err *err)
{
    uint32_t nf = (uint32_t)g->fields->v.n, n = 0;
    qd_node *x = qdi_query_node(g->b, QD_NATIVE_MORE_LIKE_THIS, err);
    qd_node_mlt *m = qd_arena_calloc(g->b->arena, sizeof *m);
    qd_mlt_group *groups = qd_arena_calloc(g->b->arena, ((size_t)nf + 1) * sizeof *groups);
    qd_str *names = qd_arena_calloc(g->b->arena, ((size_t)nf + 1) * sizeof *names);
    if (!x || !m || !groups || !names) return qd_err_nomem(err, "query");
    for (uint32_t f = 0; f < nf; f++) names[f] = g->fields->v.at[f].field.name;
    if (g->words.n) qsort(g->words.at, g->words.n, sizeof(word), by_word);
    int rc = 0;
    for (uint32_t i = 0; i < g->words.n && !rc; n++) {
        uint32_t field = g->words.at[i].field;
        groups[n].fields = texts ? names : &names[field];
        groups[n].nfields = texts ? nf : 1;
        rc = count_words(g, not, i, &i, &groups[n], err);
    }
    *m = (qd_node_mlt){.groups = groups,
                       .n = n,
                       .max_terms = (uint32_t)g->m->max_query_terms,
                       .min_doc_freq = g->m->min_doc_freq > 0 ? (uint32_t)g->m->min_doc_freq : 0,
                       .max_doc_freq = g->m->max_doc_freq > 0 ? (uint32_t)g->m->max_doc_freq : 0,
                       .boost_terms = g->m->boost_terms};
    x->u.mlt = m;
    *out = x;
    return rc ? rc : qdi_query_copy(g->b, g->m->minimum, &m->minimum, err);
}

static int gather(gathering *g, const items *list, bool docs, const qd_analyzer *a, qd_err *err)
{
    int rc = 0;
    for (uint32_t i = 0; i < list->n && !rc; i++) {
        if (list->at[i].doc != docs) continue;
        rc = docs ? add_document(g, &list->at[i], err) : add_text(g, 0, a, list->at[i].text, err);
    }
    return rc;
}

/* The documents that are liked are not to be found. */
static int leave_out(qdi_builder *b, const mlt_query *m, qdi_clauses *c, qd_err *err)
{
    qdi_field id = {.cls = QDI_F_ID, .name = QD_STR("_id")};
    qd_query_value *v = qd_arena_alloc(b->arena, ((size_t)m->like.n + 1) * sizeof *v);
    const qd_node *n;
    uint32_t k = 0;
    if (!v) return qd_err_nomem(err, "query");
    for (uint32_t i = 0; i < m->like.n; i++)
        if (m->like.at[i].id.n) v[k++] = (qd_query_value){m->like.at[i].id, true};
    if (!k || m->include) return 0;
    int rc = qdi_field_terms(b, &id, v, k, &n, err);
    return rc ? rc : qdi_clause_add(b, c, QD_OCCUR_MUST_NOT, n, err);
}

static int build_parts(qdi_builder *b, const mlt_query *m, gathering *part, qdi_clauses *c,
                       qd_err *err)
{
    const qd_analyzer *a = NULL;
    int rc = analyzer_named(b, m->analyzer, &a, err);
    if (!rc) rc = gather(&part[2], &m->unlike, false, a, err);
    if (!rc) rc = gather(&part[2], &m->unlike, true, NULL, err);
    if (rc) return rc;
    if (part[2].words.n) qsort(part[2].words.at, part[2].words.n, sizeof(word), by_word);
    for (uint32_t i = 0; i < 2 && !rc; i++) {
        const qd_node *n = NULL;
        rc = gather(&part[i], &m->like, i == 0, i == 0 ? NULL : a, err);
        if (rc || !part[i].words.n) continue;
        rc = node_of(&part[i], &part[2], i == 1, &n, err);
        if (!rc) rc = qdi_clause_add(b, c, QD_OCCUR_SHOULD, n, err);
    }
    return rc;
}

static int build(qdi_builder *b, const qd_query *q, const qd_node **out, qd_err *err)
{
    const mlt_query *m = (const mlt_query *)q;
    qdi_fields fields = {0};
    gathering part[3] = {{.b = b, .m = m, .fields = &fields},
                         {.b = b, .m = m, .fields = &fields},
                         {.b = b, .m = m, .fields = &fields}};
    qdi_clauses c = {0};
    int rc = fields_of(b, m, &fields, err);
    if (!rc && fields.v.n) rc = build_parts(b, m, part, &c, err);
    if (!rc && c.should.n) rc = leave_out(b, m, &c, err);
    if (!rc && c.should.n)
        rc = qdi_clauses_bool(b, &c, (qd_str){NULL, 0}, out, err);
    else if (!rc)
        rc = qdi_query_none(b, out, err);
    qdi_clauses_fini(&c);
    for (uint32_t i = 0; i < 3; i++) qd_vec_fini(&part[i].words);
    qd_vec_fini(&fields.v);
    return rc;
}

const qd_query_type qdi_query_more_like_this = {
    .name = "more_like_this", .size = sizeof(mlt_query), .read = read, .build = build};
