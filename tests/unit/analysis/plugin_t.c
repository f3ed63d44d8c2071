/*
 * plugin_t.c: parts of plugins in chains, and ours as a plugin's: conformance of every built-in
 * type.
 */
#include "analysis/analysis.h"
#include "plugin/conform.h"
#include "plugin/host.h"
#include "unit/unit.h"
#include <quidditch/plugin.h>

static char json_text[128]; /* what the filter below was opened with */
static size_t json_seen;

/* A filter that doubles every term: "a" gives "aa", and drops terms of one letter "x". */
static int32_t twice_open(qd_self *self, const qd_analyzer_config *c, void **out, qd_err *err)
{
    static int instance;
    (void)self;
    *out = &instance;
    json_seen = c->json.n < sizeof json_text ? c->json.n : sizeof json_text - 1;
    memcpy(json_text, c->json.p, json_seen);
    json_text[json_seen] = 0;
    for (uint32_t i = 0; i < c->noptions; i++)
        if (!qd_str_is(c->options[i].key, "flavour"))
            return qd_err_set(err, QD_E_ARG, "unknown option");
    return 0;
}
static int32_t twice_run(const void *filter, qd_token_batch *in, qd_token_batch *out, qd_err *err)
{
    (void)filter;
    (void)err;
    uint32_t inc = 0;
    for (uint32_t i = 0; i < in->ntokens; i++) {
        qd_token t = in->tokens[i];
        inc += t.position_inc;
        if (t.text_len == 1 && in->bytes[t.text] == 'x') continue;
        int32_t rc = out->grow(out, 1, t.text_len * 2);
        if (rc) return rc;
        memcpy(out->bytes + out->nbytes, in->bytes + t.text, t.text_len);
        memcpy(out->bytes + out->nbytes + t.text_len, in->bytes + t.text, t.text_len);
        t.text = out->nbytes;
        t.text_len *= 2;
        t.position_inc = inc;
        inc = 0;
        out->tokens[out->ntokens++] = t;
        out->nbytes += t.text_len;
    }
    out->end_inc = in->end_inc + inc;
    return 0;
}
static void nothing(void *filter)
{
    (void)filter;
}

/* A tokenizer that gives one token with offsets beyond any text. */
static int32_t wild_run(const void *tokenizer, qd_str in, qd_token_batch *out, qd_err *err)
{
    (void)tokenizer;
    (void)in;
    (void)err;
    int32_t rc = out->grow(out, 1, 1);
    if (rc) return rc;
    out->tokens[out->ntokens++] =
        (qd_token){.text = 1000000, .text_len = 5, .position_inc = 1, .position_len = 1};
    return 0;
}

static const qd_token_filter_vtable twice = {QD_VTABLE(qd_token_filter_vtable, TOKEN_FILTER, 0),
                                             twice_open, twice_run, nothing};
static const qd_tokenizer_vtable wild = {QD_VTABLE(qd_tokenizer_vtable, TOKENIZER, 0), twice_open,
                                         wild_run, nothing};

static int32_t init(qd_self *self, const qd_host *host, qd_err *err)
{
    int32_t rc = host->provide(self, QD_KIND_TOKEN_FILTER, "twice", &twice, err);
    return rc ? rc : host->provide(self, QD_KIND_TOKENIZER, "wild", &wild, err);
}

static const qd_plugin plugin = {
    QD_PLUGIN_HEAD(0),       .name = "twice", .version = "1.0",
    .license = "Apache-2.0", .build_id = "",  .init = init,
};

static qd_plugin_host *host_open(void)
{
    qd_plugin_host_config c = {.env = qd_env_system()};
    qd_plugin_host *h;
    assert_int_equal(qd_plugin_host_open(&c, &h, NULL), 0);
    assert_int_equal(qd_plugin_builtin(h, qd_analysis_plugin(), NULL), 0);
    assert_int_equal(qd_plugin_builtin(h, &plugin, NULL), 0);
    return h;
}

static void a_filter_of_a_plugin_works_in_a_chain(void **state)
{
    (void)state;
    qd_plugin_host *h = host_open();
    const qd_str std = QD_STR("standard"), type = QD_STR("twice"), mild = QD_STR("mild");
    const qd_str filters[] = {QD_STR("lowercase"), QD_STR("mine"), QD_STR("reverse")};
    const qd_analysis_setting set[] = {
        {QD_STR("analysis.filter.mine.type"), &type, 1, false},
        {QD_STR("analysis.filter.mine.flavour"), &mild, 1, false},
        {QD_STR("analysis.analyzer.a.tokenizer"), &std, 1, false},
        {QD_STR("analysis.analyzer.a.filter"), filters, 3, true},
    };
    qd_analysis_files files = {.plugins = h};
    qd_analyzers *as;
    const qd_tokens *t;
    assert_int_equal(qd_analyzers_make(set, 4, &files, &as, NULL), 0);
    assert_string_equal(json_text, "{\"flavour\":\"mild\"}");
    qd_analysis *s = qd_analysis_make(NULL, 0);
    assert_int_equal(qd_analyzer_run(qd_analyzers_get(as, QD_STR("a")), s, QD_STR("\xC3\x84h X Bc"),
                                     QD_ANALYZE_OFFSETS, &t, NULL),
                     0);
    assert_int_equal(t->n, 2);
    assert_true(qd_str_is(qd_tokens_term(t, 0), "h\xC3\xA4h\xC3\xA4"));
    assert_true(qd_str_is(qd_tokens_term(t, 1), "cbcb"));
    assert_int_equal(qd_tokens_inc(t, 1), 2);
    assert_int_equal(t->offset[1].from, 5);
    assert_int_equal(t->offset[1].to, 7);
    qd_analysis_free(s);
    qd_analyzers_unref(as);
    qd_plugin_host_close(h);
}

/* Settings that were accepted elsewhere: without the plugin the set is there, and says what it
 * lacks. */
static void a_stored_set_stands_without_its_plugin(void **state)
{
    (void)state;
    const qd_str std = QD_STR("standard"), type = QD_STR("twice"), lower = QD_STR("lowercase");
    const qd_str mine = QD_STR("mine"), synonym = QD_STR("synonym"), rule = QD_STR("a => b");
    const qd_str chain[] = {QD_STR("mine"), QD_STR("same")};
    const qd_analysis_setting set[] = {
        {QD_STR("analysis.filter.mine.type"), &type, 1, false},
        {QD_STR("analysis.filter.same.type"), &synonym, 1, false},
        {QD_STR("analysis.filter.same.synonyms"), &rule, 1, true},
        {QD_STR("analysis.analyzer.a.tokenizer"), &std, 1, false},
        {QD_STR("analysis.analyzer.a.filter"), &mine, 1, true},
        {QD_STR("analysis.analyzer.b.tokenizer"), &std, 1, false},
        {QD_STR("analysis.analyzer.b.filter"), &lower, 1, true},
        {QD_STR("analysis.analyzer.c.tokenizer"), &std, 1, false},
        {QD_STR("analysis.analyzer.c.filter"), chain, 2, true},
        {QD_STR("analysis.normalizer.n.filter"), &mine, 1, true},
    };
    const char *why = "filter [mine] cannot be made on this node: Unknown filter type [twice] for "
                      "[mine]";
    qd_analysis_files files = {.stored = true};
    qd_analyzers *as;
    const qd_tokens *t;
    qd_err err;
    qd_err_init(&err);
    assert_int_equal(qd_analyzers_make(set, QD_COUNT_OF(set), &files, &as, &err), 0);
    assert_string_equal(qd_analyzers_missing(as), why);
    qd_analysis *s = qd_analysis_make(NULL, 0);
    static const char *const broken[] = {"a", "c"};
    for (size_t i = 0; i < QD_COUNT_OF(broken); i++) {
        const qd_analyzer *a = qd_analyzers_get(as, qd_str_c(broken[i]));
        assert_int_equal(qd_analyzer_run(a, s, QD_STR("x"), 0, &t, &err), QD_E_PLUGIN);
        assert_string_equal(qd_err_reason(&err), why);
        qd_err_fini(&err);
    }
    qd_str out;
    const qd_analyzer *n = qd_analyzers_normalizer(as, QD_STR("n"));
    assert_int_equal(qd_analyzer_normalize(n, s, QD_STR("x"), &out, &err), QD_E_PLUGIN);
    qd_err_fini(&err);
    const qd_analyzer *b = qd_analyzers_get(as, QD_STR("b"));
    assert_int_equal(qd_analyzer_run(b, s, QD_STR("X"), 0, &t, NULL), 0);
    qd_analysis_free(s);
    qd_analyzers_unref(as);

    files.stored = false; /* new ones are refused */
    assert_int_equal(qd_analyzers_make(set, QD_COUNT_OF(set), &files, &as, &err), QD_E_ARG);
    qd_err_fini(&err);
}

static void wild_tokens_are_an_error(void **state)
{
    (void)state;
    qd_plugin_host *h = host_open();
    qd_analysis_files files = {.plugins = h};
    qd_analysis_part tokenizer = {.name = QD_STR("wild")};
    qd_analyzer *a;
    const qd_tokens *t;
    assert_int_equal(qd_analyzers_chain(NULL, &files, &tokenizer, NULL, 0, NULL, 0, &a, NULL), 0);
    qd_analysis *s = qd_analysis_make(NULL, 0);
    qd_err err;
    qd_err_init(&err);
    assert_int_equal(qd_analyzer_run(a, s, QD_STR("x"), 0, &t, &err), QD_E_PLUGIN);
    assert_string_equal(qd_err_reason(&err), "part [wild] gave tokens that point nowhere");
    qd_err_fini(&err);
    qd_analysis_free(s);
    qd_analyzer_unref(a);
    qd_plugin_host_close(h);
}

static void told(void *arg, const char *line)
{
    (void)arg;
    if (strncmp(line, "not ok", 6) == 0) print_message("%s\n", line);
}

/* What the types need that cannot be opened without settings. */
static const qd_pair *options_of(qd_str name, uint32_t *n)
{
    static const qd_pair mappings[] = {{QD_STR("mappings"), QD_STR("a => bb")}},
                         pattern[] = {{QD_STR("pattern"), QD_STR("[aeiou]")},
                                      {QD_STR("replacement"), QD_STR("$0!")}},
                         keywords[] = {{QD_STR("keywords"), QD_STR("fox")}},
                         articles[] = {{QD_STR("articles"), QD_STR("l")}},
                         rules[] = {{QD_STR("rules"), QD_STR("fox => foxes")}},
                         common[] = {{QD_STR("common_words"), QD_STR("the")}},
                         words[] = {{QD_STR("keep_words"), QD_STR("fox")}},
                         types[] = {{QD_STR("types"), QD_STR("<ALPHANUM>")}},
                         groups[] = {{QD_STR("patterns"), QD_STR("(o)")}},
                         parts[] = {{QD_STR("word_list"), QD_STR("row")}},
                         chains[] = {{QD_STR("filters"), QD_STR("lowercase")},
                                     {QD_STR("filters"), QD_STR("reverse")}},
                         synonyms[] = {{QD_STR("synonyms"), QD_STR("brown fox, reynard")}};
    *n = 1;
    if (qd_str_is(name, "mapping")) return mappings;
    if (qd_str_is(name, "keyword_marker")) return keywords;
    if (qd_str_is(name, "elision")) return articles;
    if (qd_str_is(name, "stemmer_override")) return rules;
    if (qd_str_is(name, "common_grams")) return common;
    if (qd_str_starts(name, QD_STR("synonym"))) return synonyms;
    if (qd_str_is(name, "keep")) return words;
    if (qd_str_is(name, "keep_types")) return types;
    if (qd_str_is(name, "pattern_capture")) return groups;
    if (qd_str_is(name, "dictionary_decompounder")) return parts;
    *n = 2;
    if (qd_str_is(name, "multiplexer")) return chains;
    *n = qd_str_is(name, "pattern_replace") ? 2 : 0;
    return *n ? pattern : NULL;
}

static void built_in_parts_conform(void **state)
{
    (void)state;
    qd_plugin_host *h = host_open();
    static const uint32_t kinds[] = {QD_KIND_CHAR_FILTER, QD_KIND_TOKENIZER, QD_KIND_TOKEN_FILTER};
    size_t seen = 0;
    for (size_t k = 0; k < 3; k++) {
        const void *vt;
        qd_str name;
        qd_self *self;
        for (size_t pos = 0; (vt = qd_plugin_next(h, kinds[k], &pos, &name, &self)); seen++) {
            if (qd_str_is(name, "wild")) continue;
            qd_conform_run run;
            uint32_t n;
            const qd_pair *options = options_of(name, &n);
            char text[64];
            snprintf(text, sizeof text, "%.*s", QD_STR_ARG(name));
            qd_conform_begin(&run, qd_env_system(), self, QD_STR("/nowhere"), options, n, told,
                             NULL);
            qd_conform_kind(&run, kinds[k], text, vt);
            if (qd_conform_end(&run)) fail_msg("%s does not conform", text);
        }
    }
    assert_true(seen > 30);
    qd_plugin_host_close(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_filter_of_a_plugin_works_in_a_chain),
        cmocka_unit_test(a_stored_set_stands_without_its_plugin),
        cmocka_unit_test(wild_tokens_are_an_error),
        cmocka_unit_test(built_in_parts_conform),
    };
    return unit_run(tests);
}
