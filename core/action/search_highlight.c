/* search_highlight.c: "highlight" of a request: fields and options, and the fragments of a hit. */
#include "action/search_int.h"
#include "base/str.h"
#include "search/highlight.h"

typedef enum marker { MARK_UNIFIED, MARK_PLAIN, MARK_FVH } marker;

typedef struct highlight_rules {
    qd_highlight_options o;
    marker type;
    bool any_field;        /* require_field_match: false */
    int64_t analyze_max;   /* -1: the index's limit, an error beyond it */
    const qd_query *query; /* highlight_query */
    bool words;
} highlight_rules;

typedef struct highlight_field {
    qd_str name; /* may be a pattern */
    highlight_rules rules;
} highlight_field;

struct search_highlight {
    highlight_field *fields;
    uint32_t n;
};

/* --- reading --- */

static const qd_str em_open = {"<em>", 4}, em_close = {"</em>", 5};

static int tags(search_request *r, const qd_json_node *n, const qd_str **out, uint32_t *count,
                qd_err *err)
{
    uint32_t room = n->type == QD_JSON_T_ARRAY ? n->n : 1, k = 0;
    qd_str *list = qd_arena_alloc(r->arena, (room + 1) * sizeof *list);
    if (!list) return qd_err_nomem(err, "highlight");
    if (n->type != QD_JSON_T_ARRAY) {
        list[k++] = qd_json_text(n);
    } else {
        for (const qd_json_node *x = n->first; x; x = x->next) list[k++] = qd_json_text(x);
    }
    *out = list;
    *count = k;
    return 0;
}

static int size_option(const qd_json_node *m, uint32_t *out, qd_err *err)
{
    int64_t v;
    if (qd_i64_parse_decimal(qd_json_text(m), &v, NULL) || v < 0 || v > INT32_MAX) {
        return qd_err_set(err, QD_E_ARG,
                          "[highlight] %.*s must be a number that is not negative, "
                          "got [%.*s]",
                          QD_STR_ARG(m->key), QD_STR_ARG(m->raw));
    }
    *out = (uint32_t)v;
    return 0;
}

static int type_option(qd_str v, highlight_rules *u, qd_str field, qd_err *err)
{
    if (qd_str_is(v, "unified")) {
        u->type = MARK_UNIFIED;
    } else if (qd_str_is(v, "plain")) {
        u->type = MARK_PLAIN;
    } else if (qd_str_is(v, "fvh")) {
        u->type = MARK_FVH;
    } else {
        return qd_err_set(err, QD_E_ARG, "unknown highlighter type [%.*s] for the field [%.*s]",
                          QD_STR_ARG(v), QD_STR_ARG(field));
    }
    return 0;
}

static int enum_option(search_request *r, const qd_json_node *m, highlight_rules *u, qd_str field,
                       qd_err *err)
{
    qd_str v = qd_json_text(m);
    (void)r;
    if (qd_str_is(m->key, "type")) return type_option(v, u, field, err);
    if (qd_str_is(m->key, "order")) {
        u->o.by_score = qd_str_ieq(v, QD_STR("score"));
        if (u->o.by_score || qd_str_ieq(v, QD_STR("none"))) return 0;
        return qd_err_set(err, QD_E_ARG, "Unknown order [%.*s]", QD_STR_ARG(v));
    }
    if (qd_str_is(m->key, "encoder")) {
        u->o.html = qd_str_is(v, "html");
        return 0;
    }
    if (qd_str_is(m->key, "boundary_scanner")) {
        u->words = qd_str_ieq(v, QD_STR("word"));
        if (u->words || qd_str_ieq(v, QD_STR("sentence")) || qd_str_ieq(v, QD_STR("chars"))) {
            return 0;
        }
        return qd_err_set(err, QD_E_ARG,
                          "No enum constant org.elasticsearch.search.fetch.subphase."
                          "highlight.HighlightBuilder.BoundaryScannerType.%.*s",
                          QD_STR_ARG(v));
    }
    return 1;
}

static bool is_ignored(qd_str key)
{
    static const char *const keys[] = {"boundary_chars",   "boundary_max_scan",
                                       "fragmenter",       "phrase_limit",
                                       "matched_fields",   "options",
                                       "highlight_filter", "fragment_offset",
                                       "force_source",     "boundary_scanner_locale",
                                       "tags_schema"};
    for (size_t i = 0; i < QD_COUNT_OF(keys); i++) {
        if (qd_str_is(key, keys[i])) return true;
    }
    return false;
}

static int rule(search_request *r, const qd_json_node *m, highlight_rules *u, qd_str field,
                qd_err *err)
{
    qd_query_reading how = qdi_search_reading(r);
    bool truth;
    int rc = enum_option(r, m, u, field, err);
    if (rc != 1) return rc;
    if (qd_str_is(m->key, "fragment_size")) return size_option(m, &u->o.fragment_size, err);
    if (qd_str_is(m->key, "number_of_fragments")) return size_option(m, &u->o.fragments, err);
    if (qd_str_is(m->key, "no_match_size")) return size_option(m, &u->o.no_match_size, err);
    if (qd_str_is(m->key, "max_analyzed_offset") || qd_str_is(m->key, "max_analyzer_offset")) {
        uint32_t v;
        rc = size_option(m, &v, err);
        u->analyze_max = v;
        return rc;
    }
    if (qd_str_is(m->key, "pre_tags")) return tags(r, m, &u->o.pre, &u->o.npre, err);
    if (qd_str_is(m->key, "post_tags")) {
        uint32_t n;
        return tags(r, m, &u->o.post, &n, err);
    }
    if (qd_str_is(m->key, "require_field_match")) {
        rc = qd_json_truth(m, &truth);
        u->any_field = !rc && !truth;
        return rc ? qd_err_set(err, QD_E_ARG, "[require_field_match] must be a boolean") : 0;
    }
    if (qd_str_is(m->key, "highlight_query")) {
        return qd_query_read_text(&how, m->raw, &u->query, err);
    }
    if (is_ignored(m->key)) return 0;
    return qdi_search_err_at(r, m->raw.p, err, QD_E_XCONTENT, "[%s] unknown field [%.*s]",
                             field.n ? "highlight_field" : "highlight", QD_STR_ARG(m->key));
}

static int one_field(search_request *r, const qd_json_node *m, const highlight_rules *standard,
                     highlight_field *f, qd_err *err)
{
    int rc = 0;
    *f = (highlight_field){.name = m->key, .rules = *standard};
    for (const qd_json_node *o = m->first; o && !rc; o = o->next) {
        rc = rule(r, o, &f->rules, f->name, err);
    }
    if (!rc && (!f->rules.o.npre || !f->rules.o.post)) {
        rc = qd_err_set(err, QD_E_ARG, "pre_tags are set but post_tags are not set");
    }
    return rc;
}

static int fields(search_request *r, const qd_json_node *n, const highlight_rules *standard,
                  struct search_highlight *h, qd_err *err)
{
    bool array = n->type == QD_JSON_T_ARRAY;
    uint32_t room = n->n + 1;
    int rc = 0;
    for (const qd_json_node *x = array ? n->first : NULL; x; x = x->next) room += x->n;
    h->fields = qd_arena_alloc(r->arena, room * sizeof *h->fields);
    if (!h->fields) return qd_err_nomem(err, "highlight");
    for (const qd_json_node *x = array ? n->first : n; x && !rc; x = array ? x->next : NULL) {
        for (const qd_json_node *m = x->first; m && !rc; m = m->next) {
            rc = one_field(r, m, standard, &h->fields[h->n++], err);
        }
    }
    return rc;
}

int qdi_search_highlight_parse(search_request *r, const qd_json_node *n, search_show *out,
                               qd_err *err)
{
    struct search_highlight *h = qd_arena_calloc(r->arena, sizeof *h);
    highlight_rules standard = {
        .o = {.fragment_size = 100, .fragments = 5, .pre = &em_open, .post = &em_close, .npre = 1},
        .analyze_max = -1,
    };
    const qd_json_node *list = NULL;
    int rc = 0;
    if (!h) return qd_err_nomem(err, "highlight");
    if (n->type != QD_JSON_T_OBJECT) {
        return qdi_search_err_at(r, n->raw.p, err, QD_E_PARSE,
                                 "Unknown key for a VALUE in [highlight].");
    }
    for (const qd_json_node *m = n->first; m && !rc; m = m->next) {
        if (qd_str_is(m->key, "fields")) {
            list = m;
        } else {
            rc = rule(r, m, &standard, (qd_str){NULL, 0}, err);
        }
    }
    if (!rc && list) rc = fields(r, list, &standard, h, err);
    out->highlight = h;
    return rc;
}

/* --- writing --- */

/* What one request field wants of one mapped field; made once for all hits of a shard. */
typedef struct prepared {
    struct prepared *next;
    const highlight_field *spec;
    const qd_field *f;
    qd_highlighter *h;
} prepared;

typedef struct writing {
    search_hits *h;
    uint32_t i;
    const highlight_field *spec;
    const qd_json_node *source;
    qd_json_writer *w;
    bool open;
    int rc;
    qd_err *err;
} writing;

static const qd_node *tree_of(search_hits *h, const highlight_field *spec, int *rc, qd_err *err)
{
    qd_query_context c = h->index->context;
    qd_query_built built = {0};
    if (!spec->rules.query) return h->index->query.root;
    c.arena = h->arena;
    c.analysis = qdi_hits_analysis(h);
    *rc = c.analysis ? qd_query_build(&c, spec->rules.query, &built, err)
                     : qd_err_nomem(err, "highlight");
    return built.root;
}

static prepared *prepare(writing *x, const qd_field *f)
{
    search_hits *h = x->h;
    for (prepared *p = h->highlighting; p; p = p->next) {
        if (p->spec == x->spec && p->f == f) return p;
    }
    prepared *p = qd_arena_calloc(h->arena, sizeof *p);
    if (!p) {
        x->rc = qd_err_nomem(x->err, "highlight");
        return NULL;
    }
    const qd_node *root = tree_of(h, x->spec, &x->rc, x->err);
    if (!x->rc) {
        x->rc = qd_highlighter_make(root, qd_node_each_leaf, f->name, x->spec->rules.any_field,
                                    h->arena, &p->h, x->err);
    }
    if (x->rc) return NULL;
    p->spec = x->spec;
    p->f = f;
    p->next = h->highlighting;
    h->highlighting = p;
    return p;
}

typedef struct values {
    qd_arena *arena;
    const qd_field *f;
    qd_str *at;
    uint32_t n, room;
} values;

static void add_value(void *arg, const qd_json_node *n)
{
    values *v = arg;
    qd_str s = qd_json_text(n);
    if (n->type == QD_JSON_T_NULL || !s.p) return;
    if (v->f->kind == QD_FIELD_KEYWORD && v->f->ignore_above != UINT32_MAX &&
        qd_highlight_units(s) > v->f->ignore_above) {
        return;
    }
    if (v->n == v->room) {
        uint32_t more = v->room ? v->room * 2 : 4;
        qd_str *to = qd_arena_alloc(v->arena, more * sizeof *to);
        if (!to) return;
        for (uint32_t i = 0; i < v->n; i++) to[i] = v->at[i];
        v->at = to;
        v->room = more;
    }
    v->at[v->n++] = s;
}

/* A text longer than may be analyzed anew is an error, unless the request cuts it itself. */
static int check_length(writing *x, const qd_field *f, const values *v, uint32_t *cut)
{
    const highlight_rules *u = &x->spec->rules;
    int64_t most = qd_values_i64(x->h->index->meta->values, QD_IX_HIGHLIGHT_MAX);
    size_t units = 0;
    *cut = u->analyze_max > 0 ? (uint32_t)u->analyze_max : 0;
    bool kept = f->index_options == QD_INDEX_OPT_OFFSETS && u->type != MARK_PLAIN;
    if (u->analyze_max >= 0 || most < 0 || kept || f->kind != QD_FIELD_TEXT) {
        return 0;
    }
    for (uint32_t i = 0; i < v->n; i++) units += qd_highlight_units(v->at[i]) + (i > 0);
    if (units <= (size_t)most) return 0;
    return qd_err_set(x->err, QD_E_ARG,
                      "The length [%zu] of field [%.*s] in doc[%.*s]/index[%.*s] exceeds the "
                      "[index.highlight.max_analyzed_offset] limit [%lld]. To avoid this error, "
                      "set the query parameter [max_analyzed_offset] to a value less than index "
                      "setting [%lld] and this will tolerate long field values by truncating them.",
                      units, QD_STR_ARG(f->name), QD_STR_ARG(x->h->got[x->i].id),
                      QD_STR_ARG(x->h->index->meta->name), (long long)most, (long long)most);
}

static qd_highlight_options options_of(const writing *x)
{
    const highlight_rules *u = &x->spec->rules;
    int64_t identity = qd_config_i64(x->h->x->a->config, QD_SET_COMPAT_IDENTITY);
    bool newer = identity == 1 || identity == 2; /* es8, es9 */
    qd_highlight_options o = u->o;
    o.breaks = u->type == MARK_PLAIN ? QD_HIGHLIGHT_PLAIN
               : u->words            ? QD_HIGHLIGHT_WORDS
                                     : QD_HIGHLIGHT_SENTENCES;
    o.whole_phrases = newer && u->type == MARK_UNIFIED && !u->any_field &&
                      qd_values_bool(x->h->index->meta->values, QD_IX_WEIGHT_MATCHES_MODE);
    return o;
}

static void write_fragments(writing *x, const qd_field *f, const qd_str *fragments, uint32_t n)
{
    if (!x->open) {
        x->open = true;
        qd_json_key_c(x->w, "highlight");
        qd_json_object(x->w);
    }
    qd_json_key(x->w, f->name);
    qd_json_array(x->w);
    for (uint32_t i = 0; i < n; i++) qd_json_str(x->w, fragments[i]);
    qd_json_array_end(x->w);
}

static int write_field(void *arg, const qd_field *f)
{
    writing *x = arg;
    search_hits *h = x->h;
    qd_str *fragments;
    uint32_t n = 0;
    if (f->kind != QD_FIELD_TEXT && f->kind != QD_FIELD_KEYWORD) return 0;
    prepared *p = prepare(x, f);
    qd_analysis *scratch = p ? qdi_hits_analysis(h) : NULL;
    if (p && !scratch) x->rc = qd_err_nomem(x->err, "highlight");
    if (x->rc) return 1;
    qd_highlight_options o = options_of(x);
    if (qd_highlighter_is_empty(p->h) && !o.no_match_size) return 0;
    qd_arena_mark mark = qd_arena_mark_get(h->arena);
    values v = {.arena = h->arena, .f = f};
    qdi_source_walk(x->source, f->parent ? f->parent->name : f->name, add_value, &v);
    x->rc = check_length(x, f, &v, &o.analyze_max);
    if (!x->rc) {
        x->rc =
            qd_highlight(p->h, f->kind == QD_FIELD_TEXT ? f->index_analyzer : NULL, f->normalizer,
                         scratch, v.at, v.n, &o, h->arena, &fragments, &n, x->err);
    }
    if (!x->rc && n) write_fragments(x, f, fragments, n);
    qd_arena_mark_release(h->arena, mark);
    return x->rc != 0;
}

int qdi_highlight_write(search_hits *h, uint32_t i, qd_json_writer *w, qd_err *err)
{
    const struct search_highlight *hl = h->show->highlight;
    writing x = {.h = h, .i = i, .w = w, .err = err};
    qd_json_node *root;
    if (!h->got[i].source.n || !hl->n) return 0;
    int rc = qd_json_parse(h->arena, h->got[i].source, 0, &root, err);
    if (rc) return rc;
    x.source = root;
    for (uint32_t k = 0; k < hl->n && !x.rc; k++) {
        x.spec = &hl->fields[k];
        (void)qd_mapping_match(h->index->meta->mapping, x.spec->name, write_field, &x);
    }
    if (x.open) qd_json_object_end(w);
    return x.rc;
}
