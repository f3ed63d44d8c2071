/*
 * analyze.c: _analyze: text to tokens by a named analyzer, a field, a normalizer or a chain put
 * together in the request; with explain, stage by stage.
 */
#include "action/action_int.h"
#include "analysis/analysis.h"
#include "base/str.h"
#include "base/vec.h"
#include "json/tree.h"
#include <stdio.h>
#include <string.h>

#define TOKENS_MAX_WITHOUT_INDEX 10000
#define STAGES_MAX 64u
#define OUT_MAX ((size_t)256 << 20)
/* What one request may take, and the same by the bytes of its texts: memory of the chain, and bytes
 * of the answer. */
#define CHAIN_ROOM ((size_t)16 << 20)
#define CHAIN_PER_BYTE 16u
#define ANSWER_ROOM ((size_t)8 << 20)
#define ANSWER_PER_BYTE 8u

/* The request, and what it resolves to. */
typedef struct analyze {
    qd_request *q;
    const qd_index_meta *index; /* NULL: none named */
    qd_str analyzer, normalizer, field;
    const qd_json_node *tokenizer, *filters, *char_filters, *text, *attributes;
    bool explain;
    qd_analyzer *use; /* one reference */
    bool one_term;    /* a normalizer: the text is one token */
    int64_t tokens_max, tokens;
} analyze;

/* What one stage gave, over all texts. */
typedef struct stage {
    qd_stage_kind kind;
    qd_str name;
    qd_buf json; /* the list of tokens, or of filtered texts; none: empty */
    int64_t position;
} stage;

typedef struct output {
    analyze *a;
    stage stages[STAGES_MAX];
    size_t written, written_max; /* bytes of all stages */
    uint32_t n, at;              /* at: of this text */
    uint32_t offset;
    qd_err *err;
} output;

/* --- parsing --- */

static int parse_member(analyze *a, const qd_json_node *n, qd_err *err)
{
    static const struct {
        const char *name;
        size_t at;
    } texts[] = {{"analyzer", offsetof(analyze, analyzer)},
                 {"normalizer", offsetof(analyze, normalizer)},
                 {"field", offsetof(analyze, field)}};
    static const struct {
        const char *name;
        size_t at;
    } nodes[] = {{"tokenizer", offsetof(analyze, tokenizer)},
                 {"filter", offsetof(analyze, filters)},
                 {"char_filter", offsetof(analyze, char_filters)},
                 {"text", offsetof(analyze, text)},
                 {"attributes", offsetof(analyze, attributes)}};
    for (size_t i = 0; i < QD_COUNT_OF(texts); i++) {
        if (!qd_str_is(n->key, texts[i].name)) continue;
        if (n->type != QD_JSON_T_STRING) {
            return qd_err_set(err, QD_E_ARG, "%s should be a string", texts[i].name);
        }
        *(qd_str *)(void *)((char *)a + texts[i].at) = n->text;
        return 0;
    }
    for (size_t i = 0; i < QD_COUNT_OF(nodes); i++) {
        if (!qd_str_is(n->key, nodes[i].name)) continue;
        *(const qd_json_node **)(void *)((char *)a + nodes[i].at) = n;
        return 0;
    }
    if (qd_str_is(n->key, "explain")) {
        if (qd_json_truth(n, &a->explain) == 0) return 0;
        return qd_err_set(err, QD_E_ARG, "explain must be either 'true' or 'false'");
    }
    return qd_err_set(err, QD_E_XCONTENT, "[analyze_request] unknown field [%.*s]",
                      QD_STR_ARG(n->key));
}

static int validate(const analyze *a, qd_err *err)
{
    bool extra = a->tokenizer || a->filters || a->char_filters;
    const char *what = NULL;
    if (!a->text) {
        what = "text is missing";
    } else if (a->normalizer.p && (a->tokenizer || a->analyzer.p)) {
        what = "tokenizer/analyze should be null if normalizer is specified";
    } else if (a->normalizer.p && extra) {
        what = "cannot define extra components on a named normalizer";
    } else if (a->analyzer.p && extra) {
        what = "cannot define extra components on a named analyzer";
    }
    return what ? qd_err_set(err, QD_E_VALIDATION, "Validation Failed: 1: %s;", what) : 0;
}

static int parse(analyze *a, qd_err *err)
{
    qd_json_node *root;
    if (!a->q->body.n)
        return qd_err_set(err, QD_E_PARSE, "request body or source parameter is required");
    int rc = qd_json_parse(a->q->arena, a->q->body, 0, &root, err);
    if (!rc && root->type != QD_JSON_T_OBJECT) {
        rc = qd_err_set(err, QD_E_XCONTENT, "[analyze_request] Expected START_OBJECT");
    }
    for (const qd_json_node *n = rc ? NULL : root->first; n && !rc; n = n->next) {
        rc = parse_member(a, n, err);
    }
    return rc ? rc : validate(a, err);
}

/* --- what to analyze with --- */

static int definition_of(const analyze *a, const qd_json_node *n, qd_analysis_part *out,
                         qd_err *err)
{
    qd_analysis_setting *s = qd_arena_alloc(a->q->arena, (n->n + 1) * sizeof *s);
    uint32_t k = 0;
    if (!s) return qd_err_nomem(err, "definition");
    for (const qd_json_node *m = n->first; m; m = m->next) {
        bool list = m->type == QD_JSON_T_ARRAY;
        uint32_t nvalues = list ? m->n : 1, i = 0;
        qd_str *values = qd_arena_alloc(a->q->arena, (nvalues + 1) * sizeof *values);
        if (!values) return qd_err_nomem(err, "definition");
        if (m->type == QD_JSON_T_OBJECT || m->type == QD_JSON_T_NULL) continue;
        if (list) {
            for (const qd_json_node *v = m->first; v; v = v->next) values[i++] = qd_json_text(v);
        } else {
            values[0] = qd_json_text(m);
        }
        s[k++] = (qd_analysis_setting){m->key, values, nvalues, list};
    }
    *out = (qd_analysis_part){.definition = s, .ndefinition = k};
    return 0;
}

static int part_of(const analyze *a, const qd_json_node *n, qd_analysis_part *out, qd_err *err)
{
    if (n->type == QD_JSON_T_OBJECT) return definition_of(a, n, out, err);
    if (n->type != QD_JSON_T_STRING) {
        return qd_err_set(err, QD_E_ARG, "[analyze_request] names and objects define a chain");
    }
    *out = (qd_analysis_part){.name = n->text};
    return 0;
}

static int parts_of(const analyze *a, const qd_json_node *n, qd_analysis_part **out, size_t *nout,
                    qd_err *err)
{
    *out = NULL;
    *nout = 0;
    if (!n) return 0;
    bool list = n->type == QD_JSON_T_ARRAY;
    *out = qd_arena_alloc(a->q->arena, ((list ? n->n : 1) + 1) * sizeof **out);
    if (!*out) return qd_err_nomem(err, "chain");
    int rc = 0;
    for (const qd_json_node *m = list ? n->first : n; m && !rc; m = list ? m->next : NULL) {
        rc = part_of(a, m, &(*out)[*nout], err);
        (*nout)++;
    }
    return rc;
}

static int use_chain(analyze *a, const qd_analyzers *as, qd_err *err)
{
    qd_analysis_part tokenizer, *filters, *char_filters;
    size_t nfilters, nchar_filters;
    qd_analysis_files files = {.plugins = a->q->a->plugins};
    int rc = a->tokenizer ? part_of(a, a->tokenizer, &tokenizer, err) : 0;
    if (!rc) rc = parts_of(a, a->filters, &filters, &nfilters, err);
    if (!rc) rc = parts_of(a, a->char_filters, &char_filters, &nchar_filters, err);
    if (rc) return rc;
    return qd_analyzers_chain(as, &files, a->tokenizer ? &tokenizer : NULL, filters, nfilters,
                              char_filters, nchar_filters, &a->use, err);
}

static int use_field(analyze *a, qd_err *err)
{
    if (!a->index) {
        return qd_err_set(err, QD_E_ARG, "analysis based on a specific field requires an index");
    }
    const qd_field *f = qd_mapping_field(a->index->mapping, a->field);
    if (!f) { /* as a new text field would be */
        a->use = qd_analyzer_ref(qd_analyzers_get(a->index->analyzers, QD_STR("default")));
        return 0;
    }
    if (f->index_analyzer) {
        a->use = qd_analyzer_ref(f->index_analyzer);
        return 0;
    }
    if (f->value_class == QD_VALUE_TERM) {
        a->one_term = true;
        a->use = f->normalizer ? qd_analyzer_ref(f->normalizer) : NULL;
        return 0;
    }
    return qd_err_set(err, QD_E_ARG,
                      "Can't process field [%.*s], Analysis requests are only supported on "
                      "tokenized fields",
                      QD_STR_ARG(a->field));
}

static int use_named(analyze *a, const qd_analyzers *as, qd_err *err)
{
    if (a->normalizer.p && !a->index) {
        return qd_err_set(err, QD_E_ARG, "analysis based on a normalizer requires an index");
    }
    const qd_analyzer *found = a->normalizer.p ? qd_analyzers_normalizer(as, a->normalizer)
                                               : qd_analyzers_get(as, a->analyzer);
    if (!found && a->normalizer.p) {
        return qd_err_set(err, QD_E_ARG, "failed to find normalizer under [%.*s]",
                          QD_STR_ARG(a->normalizer));
    }
    if (!found) {
        int rc = qd_analysis_refuse("analyzer", (qd_str){NULL, 0}, a->analyzer, err);
        if (rc) return rc;
        return qd_err_set(err, QD_E_ARG, "failed to find %sanalyzer [%.*s]",
                          a->index ? "" : "global ", QD_STR_ARG(a->analyzer));
    }
    a->one_term = a->normalizer.p != NULL;
    a->use = qd_analyzer_ref(found);
    return 0;
}

static int choose(analyze *a, qd_err *err)
{
    qd_analyzers *global = NULL;
    const qd_analyzers *as = a->index ? a->index->analyzers : NULL;
    qd_analysis_files files = {.plugins = a->q->a->plugins};
    int rc = 0;
    if (a->tokenizer || ((a->filters || a->char_filters) && !a->analyzer.p)) {
        return use_chain(a, as, err);
    }
    if (!as) {
        rc = qd_analyzers_make(NULL, 0, &files, &global, err);
        as = global;
    }
    if (!rc && (a->analyzer.p || a->normalizer.p)) {
        rc = use_named(a, as, err);
    } else if (!rc && a->field.p) {
        rc = use_field(a, err);
    } else if (!rc) {
        a->use = qd_analyzer_ref(qd_analyzers_get(as, QD_STR("default")));
    }
    qd_analyzers_unref(global);
    return rc;
}

/* --- tokens --- */

static bool wanted(const analyze *a, const char *attribute)
{
    const qd_json_node *n = a->attributes;
    if (!n || (n->type == QD_JSON_T_ARRAY && !n->n)) return true;
    for (const qd_json_node *m = n->type == QD_JSON_T_ARRAY ? n->first : n; m; m = m->next) {
        if (qd_str_ieq(qd_json_text(m), qd_str_c(attribute))) return true;
        if (n->type != QD_JSON_T_ARRAY) break;
    }
    return false;
}

static void write_bytes_of(qd_json_writer *w, qd_str term)
{
    qd_buf b;
    qd_buf_init(&b, NULL, (size_t)16 << 20);
    (void)qd_buf_char(&b, '[');
    for (size_t i = 0; i < term.n; i++) {
        (void)qd_buf_printf(&b, "%s%x", i ? " " : "", (unsigned)(unsigned char)term.p[i]);
    }
    (void)qd_buf_char(&b, ']');
    qd_json_field_str(w, "bytes", qd_buf_view(&b));
    qd_buf_fini(&b);
}

static void write_attributes(const analyze *a, qd_json_writer *w, qd_str term, uint32_t length,
                             int keyword)
{
    if (wanted(a, "bytes")) write_bytes_of(w, term);
    if (keyword >= 0 && wanted(a, "keyword")) qd_json_field_bool(w, "keyword", keyword);
    if (length <= 1 && wanted(a, "positionLength")) qd_json_field_int(w, "positionLength", length);
    if (wanted(a, "termFrequency")) qd_json_field_int(w, "termFrequency", 1);
}

/* So many more bytes of the answer: texts that a chain makes, not those it is given. */
static int count_bytes(output *o, size_t n)
{
    o->written += n;
    if (o->written <= o->written_max) return 0;
    return qd_err_set(o->err, QD_E_ARG,
                      "the tokens of [_analyze] take more than [%zu] bytes, the most for [text] of "
                      "this length",
                      o->written_max);
}

static void write_token(const analyze *a, qd_buf *out, qd_str term, qd_span offset,
                        const char *type, int64_t position, uint32_t length, int keyword)
{
    qd_json_writer w;
    (void)qd_buf_char(out, out->n ? ',' : '[');
    qd_json_writer_init(&w, out, false);
    qd_json_object(&w);
    qd_json_field_str(&w, "token", term);
    qd_json_field_int(&w, "start_offset", offset.from);
    qd_json_field_int(&w, "end_offset", offset.to);
    qd_json_field_c(&w, "type", type);
    qd_json_field_int(&w, "position", position);
    if (length > 1) qd_json_field_int(&w, "positionLength", length);
    if (a->explain) write_attributes(a, &w, term, length, keyword);
    qd_json_object_end(&w);
}

static int count_token(analyze *a, int64_t *tokens, qd_err *err)
{
    if (++*tokens <= a->tokens_max) return 0;
    int rc = qd_err_set(err, QD_E_STATE,
                        "The number of tokens produced by calling _analyze has exceeded the "
                        "allowed maximum of [%lld]. This limit can be set by changing the "
                        "[index.analyze.max_token_count] index level setting.",
                        (long long)a->tokens_max);
    qd_err_type(err, NULL, 500);
    return rc;
}

/* The tokens of one text behind those of the texts before. */
static int add_tokens(output *o, stage *s, const qd_tokens *t, int64_t *tokens)
{
    for (size_t i = 0; i < t->n; i++) {
        qd_str term = qd_tokens_term(t, i);
        int rc = count_token(o->a, tokens, o->err);
        if (!rc) rc = count_bytes(o, term.n * (o->a->explain ? 4 : 1));
        if (rc) return rc;
        qd_span span = t->has & QD_TOKENS_OFFSETS ? t->offset[i] : (qd_span){0, 0};
        span.from += o->offset;
        span.to += o->offset;
        s->position += qd_tokens_inc(t, i);
        write_token(o->a, &s->json, term, span, qd_token_type_name(qd_tokens_type(t, i)),
                    s->position, qd_tokens_length(t, i),
                    t->has & QD_TOKENS_KEYWORD ? t->keyword[i] : -1);
    }
    s->position += t->end_inc;
    return qd_buf_status(&s->json) ? qd_err_nomem(o->err, "tokens") : 0;
}

static stage *next_stage(output *o, qd_stage_kind kind, qd_str name)
{
    if (o->at == STAGES_MAX) return NULL;
    stage *s = &o->stages[o->at++];
    if (o->at > o->n) {
        *s = (stage){.kind = kind, .name = qd_arena_str(o->a->q->arena, name), .position = -1};
        qd_buf_init(&s->json, o->a->q->a->account, OUT_MAX);
        o->n = o->at;
    }
    return s;
}

static int on_stage(void *arg, qd_stage_kind kind, qd_str name, const qd_tokens *tokens,
                    qd_str text)
{
    output *o = arg;
    stage *s = next_stage(o, kind, name);
    int64_t all = 0;
    if (!s) return qd_err_set(o->err, QD_E_LIMIT, "more than %u stages", STAGES_MAX);
    if (kind != QD_STAGE_CHAR_FILTER) return add_tokens(o, s, tokens, &all);
    int rc = count_bytes(o, text.n);
    if (rc) return rc;
    qd_json_writer w;
    (void)qd_buf_char(&s->json, s->json.n ? ',' : '[');
    qd_json_writer_init(&w, &s->json, false);
    qd_json_str(&w, text);
    return qd_buf_status(&s->json) ? qd_err_nomem(o->err, "texts") : 0;
}

static uint32_t utf16_units(qd_str s)
{
    uint32_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        n += (c & 0xC0) != 0x80;
        n += c >= 0xF0;
    }
    return n;
}

/* A normalizer's one token, or the text itself without one. */
static int run_term(output *o, qd_analysis *scratch, qd_str text)
{
    analyze *a = o->a;
    qd_str term = text;
    stage *s =
        next_stage(o, QD_STAGE_ANALYZER, a->use ? qd_analyzer_name(a->use) : QD_STR("keyword"));
    if (a->use) {
        int rc = qd_analyzer_normalize(a->use, scratch, text, &term, o->err);
        if (rc) return rc;
    }
    write_token(a, &s->json, term, (qd_span){o->offset, o->offset + utf16_units(text)}, "word",
                ++s->position, 1, -1);
    return 0;
}

static int run_text(output *o, qd_analysis *scratch, qd_str text)
{
    analyze *a = o->a;
    const qd_tokens *t;
    int rc = 0;
    o->at = 0;
    if (a->one_term) {
        rc = run_term(o, scratch, text);
    } else if (a->explain) {
        rc = qd_analyzer_explain(a->use, scratch, text, on_stage, o, o->err);
    } else {
        rc = qd_analyzer_run(a->use, scratch, text, QD_ANALYZE_OFFSETS | QD_ANALYZE_TYPES, &t,
                             o->err);
        if (!rc) rc = add_tokens(o, next_stage(o, QD_STAGE_ANALYZER, QD_STR("")), t, &a->tokens);
    }
    o->offset += utf16_units(text) + 1;
    for (uint32_t i = 0; i < o->n; i++) {
        o->stages[i].position += a->use && !a->one_term ? qd_analyzer_gap(a->use) : 0;
    }
    return rc;
}

static int run_all(output *o, qd_err *err)
{
    analyze *a = o->a;
    const qd_json_node *n = a->text;
    bool list = n->type == QD_JSON_T_ARRAY;
    size_t bytes = 0;
    for (const qd_json_node *m = list ? n->first : n; m; m = list ? m->next : NULL)
        bytes += qd_json_text(m).n;
    o->written_max = ANSWER_ROOM + bytes * ANSWER_PER_BYTE;
    qd_analysis *scratch = qd_analysis_make(a->q->a->account, CHAIN_ROOM + bytes * CHAIN_PER_BYTE);
    if (!scratch) return qd_err_nomem(err, "analysis");
    int rc = 0;
    for (const qd_json_node *m = list ? n->first : n; m && !rc; m = list ? m->next : NULL) {
        if (m->type == QD_JSON_T_OBJECT || m->type == QD_JSON_T_ARRAY) {
            rc = qd_err_set(err, QD_E_ARG, "text must be a string or an array of strings");
        } else {
            rc = run_text(o, scratch, qd_json_text(m));
        }
    }
    qd_analysis_free(scratch);
    for (uint32_t i = 0; i < o->n && !rc; i++) {
        qd_buf *json = &o->stages[i].json;
        if (json->n && qd_buf_char(json, ']')) rc = qd_err_nomem(err, "tokens");
    }
    return rc;
}

/* --- answer --- */

static void write_stage(const stage *s, const char *list, qd_json_writer *w)
{
    qd_json_key_c(w, list);
    if (s->json.n) {
        qd_json_raw_value(w, qd_buf_view(&s->json));
    } else {
        qd_json_array(w);
        qd_json_array_end(w);
    }
}

static void write_stages(const output *o, qd_stage_kind kind, const char *key, bool list,
                         qd_json_writer *w)
{
    bool any = false;
    for (uint32_t i = 0; i < o->n; i++) {
        const stage *s = &o->stages[i];
        if (s->kind != kind) continue;
        if (!any) {
            qd_json_key_c(w, key);
            if (list) qd_json_array(w);
        }
        any = true;
        qd_json_object(w);
        qd_json_field_str(w, "name", s->name);
        write_stage(s, kind == QD_STAGE_CHAR_FILTER ? "filtered_text" : "tokens", w);
        qd_json_object_end(w);
        if (!list) break;
    }
    if (any && list) qd_json_array_end(w);
}

static void write_answer(const output *o, qd_json_writer *w)
{
    qd_json_object(w);
    if (!o->a->explain) {
        if (o->n) {
            write_stage(&o->stages[0], "tokens", w);
        } else {
            qd_json_key_c(w, "tokens");
            qd_json_array(w);
            qd_json_array_end(w);
        }
    } else {
        bool custom = o->n && o->stages[0].kind != QD_STAGE_ANALYZER;
        qd_json_key_c(w, "detail");
        qd_json_object(w);
        qd_json_field_bool(w, "custom_analyzer", custom);
        write_stages(o, QD_STAGE_CHAR_FILTER, "charfilters", true, w);
        write_stages(o, QD_STAGE_ANALYZER, "analyzer", false, w);
        write_stages(o, QD_STAGE_TOKENIZER, "tokenizer", false, w);
        write_stages(o, QD_STAGE_FILTER, "tokenfilters", true, w);
        qd_json_object_end(w);
    }
    qd_json_object_end(w);
}

static int find_index(analyze *a, const qd_state *s, qd_err *err)
{
    qd_resolved found;
    qd_str name = qd_param(a->q, "index");
    a->tokens_max = TOKENS_MAX_WITHOUT_INDEX;
    if (!name.n) return 0;
    int rc = qd_state_resolve(s, name, QD_EXPAND_OPEN | QD_FORBID_CLOSED, a->q->arena, &found, err);
    if (rc) return rc;
    if (found.n != 1) {
        return qd_err_set(err, QD_E_ARG,
                          "unable to resolve [%.*s] to a single index: it names %u indices",
                          QD_STR_ARG(name), found.n);
    }
    a->index = found.at[0];
    a->tokens_max = qd_values_i64(a->index->values, QD_IX_MAX_TOKEN_COUNT);
    return 0;
}

int qdi_api_indices_analyze(qd_request *q, qd_response *r, qd_err *err)
{
    analyze a = {.q = q};
    output *o = qd_arena_calloc(q->arena, sizeof *o);
    if (!o) return qd_err_nomem(err, "analysis");
    *o = (output){.a = &a, .err = err};
    qd_state *s = qd_cluster_state(q->a->cluster);
    int rc = parse(&a, err);
    if (!rc) rc = find_index(&a, s, err);
    if (!rc) rc = choose(&a, err);
    if (!rc) rc = run_all(o, err);
    if (!rc) write_answer(o, &r->w);
    for (uint32_t i = 0; i < o->n; i++) qd_buf_fini(&o->stages[i].json);
    qd_analyzer_unref(a.use);
    qd_state_unref(s);
    return rc;
}
