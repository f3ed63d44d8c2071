/* highlight.c: "highlight" of a request: fields and options, and the fragments of a hit. */
#include "search/highlight/highlight.h"
#include "action/search/search_int.h"
#include "base/str.h"

typedef enum marker { MARK_UNIFIED, MARK_PLAIN, MARK_FVH } marker;

typedef struct highlight_rules {
    qd_highlight_options o;
    marker type;
    bool any_field;        /* require_field_match: false */
    int64_t analyze_max;   /* -1: the index's limit, an error beyond it */
    const qd_query *query; /* highlight_query */
    enum { SCAN_DEFAULT, SCAN_SENTENCE, SCAN_WORD, SCAN_CHARS } scanner;
    qd_str fragmenter; /* of plain; n 0: span */
    bool pre_given, post_given;
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

/* Negative sizes mean what none given does. */
static int size_option(const qd_json_node *m, uint32_t *out, qd_err *err)
{
    int64_t v;
    if (qd_i64_parse_decimal(qd_json_text(m), &v, NULL) || v < INT32_MIN || v > INT32_MAX) {
        return qd_err_set(err, QD_E_NUMBER_FORMAT, "For input string: \"%.*s\"",
                          QD_STR_ARG(qd_json_text(m)));
    }
    if (v >= 0) *out = (uint32_t)v;
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

static qd_str upper_of(search_request *r, qd_str v)
{
    char *p = qd_arena_bytes(r->arena, v.n + 1);
    for (size_t i = 0; p && i < v.n; i++)
        p[i] = v.p[i] >= 'a' && v.p[i] <= 'z' ? (char)(v.p[i] - 32) : v.p[i];
    return p ? (qd_str){p, v.n} : v;
}

/* The frame of the parser that reads the options. */
static int option_failed(search_request *r, const qd_json_node *m, qd_str field, int rc,
                         qd_err *err)
{
    if (!rc || !err || rc == QD_E_NOMEM) return rc;
    qd_err frame;
    qd_err_init(&frame);
    (void)qdi_search_err_at(r, m->raw.p, &frame, QD_E_XCONTENT, "[%s] failed to parse field [%.*s]",
                            field.n ? "highlight_field" : "highlight", QD_STR_ARG(m->key));
    rc = qd_err_wrap(err, QD_E_XCONTENT, "%s", qd_err_reason(&frame));
    qd_err_fini(&frame);
    return rc;
}

static int schema_option(search_request *r, const qd_json_node *m, highlight_rules *u, qd_str field,
                         qd_err *err)
{
    static const qd_str open[] = {
#define TAG(n) {"<em class=\"hlt" n "\">", sizeof("<em class=\"hlt" n "\">") - 1}
        TAG("1"), TAG("2"), TAG("3"), TAG("4"), TAG("5"),
        TAG("6"), TAG("7"), TAG("8"), TAG("9"), TAG("10")};
#undef TAG
    static const qd_str close[] = {{"</em>", 5}, {"</em>", 5}, {"</em>", 5}, {"</em>", 5},
                                   {"</em>", 5}, {"</em>", 5}, {"</em>", 5}, {"</em>", 5},
                                   {"</em>", 5}, {"</em>", 5}};
    qd_str v = qd_json_text(m);
    if (qd_str_is(v, "styled")) {
        u->o.pre = open;
        u->o.post = close;
        u->o.npre = QD_COUNT_OF(open);
        return 0;
    }
    if (qd_str_is(v, "default")) {
        u->o.pre = &em_open;
        u->o.post = &em_close;
        u->o.npre = 1;
        return 0;
    }
    return option_failed(
        r, m, field, qd_err_set(err, QD_E_ARG, "Unknown tag schema [%.*s]", QD_STR_ARG(v)), err);
}

static int enum_option(search_request *r, const qd_json_node *m, highlight_rules *u, qd_str field,
                       qd_err *err)
{
    qd_str v = qd_json_text(m);
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
        u->scanner = qd_str_ieq(v, QD_STR("word"))       ? SCAN_WORD
                     : qd_str_ieq(v, QD_STR("sentence")) ? SCAN_SENTENCE
                     : qd_str_ieq(v, QD_STR("chars"))    ? SCAN_CHARS
                                                         : SCAN_DEFAULT;
        if (u->scanner) return 0;
        return option_failed(r, m, field,
                             qd_err_set(err, QD_E_ARG,
                                        "No enum constant org.elasticsearch.search.fetch.subphase."
                                        "highlight.HighlightBuilder.BoundaryScannerType.%.*s",
                                        QD_STR_ARG(upper_of(r, v))),
                             err);
    }
    return 1;
}

static bool is_ignored(qd_str key)
{
    static const char *const keys[] = {"matched_fields", "options", "highlight_filter",
                                       "force_source", "boundary_scanner_locale"};
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
    if (qd_str_is(m->key, "tags_schema")) return schema_option(r, m, u, field, err);
    if (qd_str_is(m->key, "boundary_max_scan")) return size_option(m, &u->o.boundary_max_scan, err);
    if (qd_str_is(m->key, "phrase_limit")) return size_option(m, &u->o.phrase_limit, err);
    if (qd_str_is(m->key, "fragment_offset")) {
        uint32_t offset = UINT32_MAX; /* -1: the standard one */
        rc = size_option(m, &offset, err);
        u->o.fragment_margin = offset + 1;
        return rc;
    }
    if (qd_str_is(m->key, "boundary_chars")) {
        u->o.boundary_chars = qd_json_text(m);
        return 0;
    }
    if (qd_str_is(m->key, "fragmenter")) {
        u->fragmenter = qd_json_text(m);
        return 0;
    }
    if (qd_str_is(m->key, "pre_tags")) {
        u->pre_given = true;
        return tags(r, m, &u->o.pre, &u->o.npre, err);
    }
    if (qd_str_is(m->key, "post_tags")) {
        uint32_t n;
        u->post_given = true;
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
    bool inside = m->key.p > r->body.p && m->key.p < r->body.p + r->body.n;
    return qdi_search_err_at(r, inside ? m->key.p - 1 : m->raw.p, err, QD_E_XCONTENT,
                             "[%s] unknown field [%.*s]", field.n ? "highlight_field" : "highlight",
                             QD_STR_ARG(m->key));
}

/* The frames of the parsers of fields and of highlight around an option's error. */
static int field_failed(search_request *r, const qd_json_node *o, qd_str field, int rc, qd_err *err)
{
    if (!err || rc == QD_E_NOMEM) return rc;
    for (int k = 0; k < 2; k++) {
        qd_err frame;
        qd_err_init(&frame);
        (void)qdi_search_err_at(r, o->raw.p, &frame, QD_E_XCONTENT,
                                "[%s] failed to parse field [%.*s]", k ? "highlight" : "fields",
                                QD_STR_ARG(k ? QD_STR("fields") : field));
        rc = qd_err_wrap(err, QD_E_XCONTENT, "%s", qd_err_reason(&frame));
        qd_err_fini(&frame);
    }
    return rc;
}

static int one_field(search_request *r, const qd_json_node *m, const highlight_rules *standard,
                     highlight_field *f, qd_err *err)
{
    int rc = 0;
    *f = (highlight_field){.name = m->key, .rules = *standard};
    if (m->type != QD_JSON_T_OBJECT) {
        return qdi_search_err_at(r, m->raw.p, err, QD_E_XCONTENT,
                                 "[fields] %.*s doesn't support values of this type",
                                 QD_STR_ARG(m->key));
    }
    for (const qd_json_node *o = m->first; o && !rc; o = o->next) {
        rc = rule(r, o, &f->rules, f->name, err);
        if (rc && !qd_str_is(o->key, "type")) rc = field_failed(r, o, f->name, rc, err);
    }
    bool alone = f->rules.pre_given && !f->rules.post_given;
    if (!rc && (alone || !f->rules.o.npre || !f->rules.o.post)) {
        rc = qdi_search_err_at(r, m->raw.p, err, QD_E_PARSE,
                               "pre_tags are set but post_tags are not set");
    }
    return rc;
}

static int fields(search_request *r, const qd_json_node *n, const highlight_rules *standard,
                  struct search_highlight *h, qd_err *err)
{
    bool array = n->type == QD_JSON_T_ARRAY;
    uint32_t room = n->n + 1;
    int rc = 0;
    if (!array && n->type != QD_JSON_T_OBJECT) {
        return qdi_search_err_at(r, n->raw.p, err, QD_E_XCONTENT,
                                 "[highlight] fields doesn't support values of type: %s",
                                 qd_json_type_token(n->type));
    }
    for (const qd_json_node *x = array ? n->first : NULL; x; x = x->next) {
        if (x->type == QD_JSON_T_OBJECT && x->n == 1) continue;
        return qdi_search_err_at(r, x->raw.p, err, QD_E_XCONTENT,
                                 "[fields] can be a single object with any number of fields or an "
                                 "array where each entry is an object with a single field");
    }
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
        .o = {.fragment_size = 100,
              .fragments = 5,
              .pre = &em_open,
              .post = &em_close,
              .npre = 1,
              .boundary_chars = QD_STR(".,!? \t\n"),
              .boundary_max_scan = 20,
              .phrase_limit = 256},
        .analyze_max = -1,
    };
    const qd_json_node *list = NULL;
    int rc = 0;
    if (!h) return qd_err_nomem(err, "highlight");
    if (n->type != QD_JSON_T_OBJECT) {
        return qdi_search_err_at(r, n->raw.p, err, QD_E_PARSE,
                                 "Unknown key for a %s in [highlight].",
                                 qd_json_type_token(n->type));
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
    search_hits *h;
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
    if (v->f->value_class == QD_VALUE_TERM && v->f->ignore_above != UINT32_MAX &&
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
    qd_analysis *scratch = v->f->normalizer ? qdi_hits_analysis(v->h) : NULL;
    qd_str norm;
    if (scratch && !qd_analyzer_normalize(v->f->normalizer, scratch, s, &norm, NULL)) {
        s = qd_arena_str(v->arena, norm); /* shown as it is indexed, as of `fields` */
        if (!s.p) return;
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
    if (u->analyze_max >= 0 || most < 0 || kept || f->value_class != QD_VALUE_TEXT) {
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
    bool chars = u->type == MARK_FVH && (!u->scanner || u->scanner == SCAN_CHARS);
    o.breaks = u->type == MARK_PLAIN     ? QD_HIGHLIGHT_PLAIN
               : chars                   ? QD_HIGHLIGHT_CHARS
               : u->scanner == SCAN_WORD ? QD_HIGHLIGHT_WORDS
                                         : QD_HIGHLIGHT_SENTENCES;
    if (u->type == MARK_UNIFIED && u->scanner == SCAN_WORD) o.fragment_size = 0; /* a word each */
    o.simple_fragmenter = qd_str_is(u->fragmenter, "simple");
    o.whole_phrases = newer && u->type == MARK_UNIFIED && !u->any_field &&
                      qd_values_bool(x->h->index->meta->values, QD_IX_WEIGHT_MATCHES_MODE);
    return o;
}

/* What only shows when a field is highlighted. */
static int check_rules(const highlight_rules *u, const qd_field *f, qd_err *err)
{
    if (u->type == MARK_FVH && !f->vector_offsets)
        return qd_err_set(err, QD_E_ARG,
                          "the field [%.*s] should be indexed with term vector with position "
                          "offsets to be used with fast vector highlighter",
                          QD_STR_ARG(f->name));
    if (u->type == MARK_UNIFIED && u->scanner == SCAN_CHARS)
        return qd_err_set(err, QD_E_ARG, "Invalid boundary scanner type: chars");
    if (u->type == MARK_PLAIN && u->fragmenter.n && !qd_str_is(u->fragmenter, "simple") &&
        !qd_str_is(u->fragmenter, "span"))
        return qd_err_set(err, QD_E_ARG, "unknown fragmenter option [%.*s] for the field [%.*s]",
                          QD_STR_ARG(u->fragmenter), QD_STR_ARG(f->name));
    return 0;
}

static void write_fragments(writing *x, const qd_field *f, const qd_str *fragments, uint32_t n)
{
    if (!x->open) {
        x->open = true;
        qd_json_key_c(x->w, "highlight");
        qd_json_object(x->w);
    }
    qd_json_key(x->w, f->shown);
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
    if (f->value_class != QD_VALUE_TEXT && f->value_class != QD_VALUE_TERM) return 0;
    bool pattern = qd_str_find(x->spec->name, '*') >= 0;
    if (pattern && x->spec->rules.type == MARK_FVH && !f->vector_offsets) return 0;
    if ((x->rc = check_rules(&x->spec->rules, f, x->err))) return 1;
    prepared *p = prepare(x, f);
    qd_analysis *scratch = p ? qdi_hits_analysis(h) : NULL;
    if (p && !scratch) x->rc = qd_err_nomem(x->err, "highlight");
    if (x->rc) return 1;
    qd_highlight_options o = options_of(x);
    if (qd_highlighter_is_empty(p->h) && !o.no_match_size) return 0;
    qd_arena_mark mark = qd_arena_mark_get(h->arena);
    values v = {.h = h, .arena = h->arena, .f = f};
    qdi_source_walk(x->source, qd_field_source(f), false, add_value, &v);
    x->rc = check_length(x, f, &v, &o.analyze_max);
    if (!x->rc && x->spec->rules.type == MARK_FVH) {
        x->rc = qd_highlight_vector(p->h, f->index_analyzer, scratch, v.at, v.n,
                                    (uint32_t)f->position_increment_gap, &o, h->arena, &fragments,
                                    &n, x->err);
    } else if (!x->rc) {
        x->rc =
            qd_highlight(p->h, f->value_class == QD_VALUE_TEXT ? f->index_analyzer : NULL,
                         f->normalizer, scratch, v.at, v.n, &o, h->arena, &fragments, &n, x->err);
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
        (void)qd_mapping_match(h->index->context.mapping, x.spec->name, write_field, &x);
    }
    if (x.open && !x.rc) qd_json_object_end(w);
    return x.rc;
}
