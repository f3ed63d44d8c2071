/*
 * plugin_t.c: operators of plugins: their trees become native ones, wrong ones are refused, and
 * no operator takes the name of a query of the host's.
 */
#include "query/operators.h"
#include "query_lib.h"
#include "runtime/env.h"
#include <quidditch/plugin.h>

/* {"tree": {"kind": "…"}}: the operator answers with the tree of that kind. */
typedef struct parsed {
    char kind[32];
} parsed;

static int32_t tree_parse(const qd_query_ctx *ctx, qd_json_in *in, const void **out, qd_err *err)
{
    qd_json_reader *r = (qd_json_reader *)(void *)in;
    parsed *p = qd_arena_calloc(ctx->arena, sizeof *p);
    assert_non_null(p);
    assert_int_equal(qd_json_next(r), QD_JSON_OBJECT);
    while (qd_json_next(r) == QD_JSON_KEY) {
        if (!qd_str_is(r->text, "kind"))
            return qd_json_err_at(r, err, QD_E_PARSE, "[tree] does not know [%.*s]",
                                  QD_STR_ARG(r->text));
        assert_int_equal(qd_json_next(r), QD_JSON_STRING);
        snprintf(p->kind, sizeof p->kind, "%.*s", QD_STR_ARG(r->text));
    }
    *out = p;
    return 0;
}

#define NODE(...) ((qd_query_node){.struct_size = sizeof(qd_query_node), __VA_ARGS__})

static int32_t tree_rewrite(const qd_query_ctx *ctx, const void *query, qd_query_node **out,
                            qd_err *err)
{
    static const qd_str words[] = {{"b", 1}, {"a", 1}};
    static const int32_t ascending[] = {0, 3}, falling[] = {3, 0};
    static qd_query_node loop, *loop_child = &loop;
    const char *kind = ((const parsed *)query)->kind;
    qd_query_node *n = qd_arena_calloc(ctx->arena, 3 * sizeof *n);
    qd_query_node **kids = qd_arena_calloc(ctx->arena, 2 * sizeof *kids);
    (void)err;
    assert_true(n && kids);
    kids[0] = &n[1];
    kids[1] = &n[2];
    n[1] = NODE(.type = QD_NODE_TERM, .field = QD_STR("tag"), .text = QD_STR("x"),
                .occur = QD_OCCUR_MUST);
    n[2] = NODE(.type = QD_NODE_TERM, .field = QD_STR("n"), .text = QD_STR("5"),
                .occur = QD_OCCUR_SHOULD);
    n[1].boost = 1;
    n[2].boost = 2;
    if (strcmp(kind, "type") == 0)
        n[0] = NODE(.type = qd_str_is(ctx->field_type(ctx, QD_STR("n")), "long") ? QD_NODE_ALL
                                                                                 : QD_NODE_NONE);
    else if (strcmp(kind, "bool") == 0)
        n[0] = NODE(.type = QD_NODE_BOOL, .children = kids, .nchildren = 2);
    else if (strcmp(kind, "dis_max") == 0)
        n[0] = NODE(.type = QD_NODE_DIS_MAX, .children = kids, .nchildren = 2, .tie = 0.5f);
    else if (strcmp(kind, "constant") == 0)
        n[0] = NODE(.type = QD_NODE_CONSTANT, .children = kids, .nchildren = 1);
    else if (strcmp(kind, "match") == 0)
        n[0] = NODE(.type = QD_NODE_MATCH, .field = QD_STR("title"), .text = QD_STR("A B C"),
                    .minimum = 2);
    else if (strcmp(kind, "terms") == 0)
        n[0] = NODE(.type = QD_NODE_TERMS, .field = QD_STR("tag"), .texts = words, .ntexts = 2);
    else if (strcmp(kind, "synonym") == 0)
        n[0] = NODE(.type = QD_NODE_SYNONYM, .field = QD_STR("tag"), .texts = words, .ntexts = 2);
    else if (strcmp(kind, "phrase") == 0)
        n[0] = NODE(.type = QD_NODE_PHRASE, .field = QD_STR("title"), .texts = words, .ntexts = 2,
                    .positions = ascending, .slop = 1);
    else if (strcmp(kind, "range") == 0)
        n[0] = NODE(.type = QD_NODE_RANGE, .field = QD_STR("n"), .lo = QD_STR("3"),
                    .flags = QD_NODE_LO_OPEN | QD_NODE_HI_NONE);
    else if (strcmp(kind, "fuzzy") == 0)
        n[0] = NODE(.type = QD_NODE_FUZZY, .field = QD_STR("tag"), .text = QD_STR("abcdef"),
                    .edits = -1);
    else if (strcmp(kind, "ids") == 0)
        n[0] = NODE(.type = QD_NODE_IDS, .texts = words, .ntexts = 2);
    else if (strcmp(kind, "query") == 0)
        n[0] = NODE(.type = QD_NODE_QUERY, .text = QD_STR("{\"match\":{\"title\":\"q\"}}"));
    else if (strcmp(kind, "again") == 0)
        n[0] = NODE(.type = QD_NODE_QUERY, .text = QD_STR("{\"tree\":{\"kind\":\"again\"}}"));
    else if (strcmp(kind, "self") == 0)
        n[0] = NODE(.type = QD_NODE_SELF, .self = query);
    else if (strcmp(kind, "unmapped") == 0)
        n[0] = NODE(.type = QD_NODE_TERM, .field = QD_STR("nope"), .text = QD_STR("x"));
    else if (strcmp(kind, "falling") == 0)
        n[0] = NODE(.type = QD_NODE_PHRASE, .field = QD_STR("title"), .texts = words, .ntexts = 2,
                    .positions = falling);
    else if (strcmp(kind, "alien") == 0)
        n[0] = NODE(.type = 0x10000, .self = &loop);
    else if (strcmp(kind, "occur") == 0) {
        n[0] = NODE(.type = QD_NODE_BOOL, .children = kids, .nchildren = 2);
        n[1].occur = 9;
    } else if (strcmp(kind, "loop") == 0) {
        loop = NODE(.type = QD_NODE_CONSTANT, .children = &loop_child, .nchildren = 1);
        n = &loop;
    } else {
        n = NULL;
    }
    if (n) n->boost = strcmp(kind, "bool") == 0 ? 3 : 1;
    *out = n;
    return 0;
}

static const qd_operator_vtable tree_vt = {
    .head = QD_VTABLE(qd_operator_vtable, OPERATOR, QD_OPERATOR_REWRITES | QD_OPERATOR_CACHEABLE),
    .parse = tree_parse,
    .rewrite = tree_rewrite};

/* The same, but not always of the same answer. */
static const qd_operator_vtable moody_vt = {
    .head = QD_VTABLE(qd_operator_vtable, OPERATOR, QD_OPERATOR_REWRITES),
    .parse = tree_parse,
    .rewrite = tree_rewrite};

static int32_t init(qd_self *self, const qd_host *host, qd_err *err)
{
    int32_t rc = host->provide(self, QD_KIND_OPERATOR, "moody", &moody_vt, err);
    return rc ? rc : host->provide(self, QD_KIND_OPERATOR, "tree", &tree_vt, err);
}

static const qd_plugin plugin = {
    QD_PLUGIN_HEAD(0),       .name = "forest", .version = "1",
    .license = "Apache-2.0", .build_id = "",   .init = init,
};

/* Where the plugin says that it does not know an option. */
static void expect_place(query_index *x, const char *json, const char *line, const char *col)
{
    qd_query_built built;
    qd_err e;
    qd_str text = qd_arena_str(&x->arena, qd_str_c(json));
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] == '\'') ((char *)(uintptr_t)text.p)[i] = '"';
    qd_err_init(&e);
    assert_int_not_equal(qd_query_parse(&x->c, text, &built, &e), 0);
    const qd_err *c = &e;
    while (c->cause) c = c->cause;
    assert_string_equal(qd_err_reason(c), "[tree] does not know [what]");
    assert_true(c->ndetails >= 2);
    assert_string_equal(c->details[0].value, line);
    assert_string_equal(c->details[1].value, col);
    qd_err_fini(&e);
}

static void trees_of_plugins(void **state)
{
    static const char bad[] = "plugin_exception: operator [tree] returned a query that ";
    static const struct {
        const char *kind, *want;
    } cases[] = {
        {"type", "*:*"},
        {"bool", "(+tag:x n:[5 TO 5]^2.0)^3.0"},
        {"dis_max", "(tag:x | n:[5 TO 5]^2.0)~0.5"},
        {"constant", "ConstantScore(tag:x)"},
        {"match", "(title:a title:b title:c)~2"},
        {"terms", "(tag:b a)"},
        {"synonym", "Synonym(tag:b tag:a)"},
        {"phrase", "title:\"b ? ? a\"~1"},
        {"range", "n:[4 TO 9223372036854775807]"},
        {"fuzzy", "tag:abcdef~2"},
        {"ids", "_id:(b a)"},
        {"query", "title:q"},
        {"unmapped", "MatchNoDocsQuery(\"\")"},
        {"self", "names its own iterator but has none"},
        {"falling", "has a phrase whose positions do not ascend"},
        {"alien", "has a node of an unknown type"},
        {"occur", "has a clause without occur"},
        {"loop", "is nested deeper than 32 levels"},
        {"again", "returns queries that return queries too often"},
        {"nothing", "is missing"},
    };
    query_index x;
    qd_plugin_host *h;
    qd_plugin_host_config c = {.env = qd_env_system()};
    (void)state;
    query_index_open(&x);
    assert_int_equal(qd_plugin_host_open(&c, &h, NULL), 0);
    assert_int_equal(qd_plugin_builtin(h, &plugin, NULL), 0);
    assert_int_equal(qd_plugin_host_load(h, NULL), 0);
    x.c.host = h;
    for (size_t i = 0; i < QD_COUNT_OF(cases); i++) {
        char json[128];
        snprintf(json, sizeof json, "{'tree':{'kind':'%s'}}", cases[i].kind);
        const char *got = query_text(&x, json), *at = strstr(got, bad);
        if (strcmp(at ? at + strlen(bad) : got, cases[i].want) != 0)
            fail_msg("%s: %s", cases[i].kind, got);
    }
    assert_string_equal(query_text(&x, "{'bool':{'must':{'tree':{'kind':'terms'}},"
                                       "'filter':{'term':{'tag':'y'}}}}"),
                        "+(tag:b a) #tag:y");
    assert_string_equal(query_text(&x, "{'tree':{'what':1}}"),
                        "parsing_exception: [tree] does not know [what] @1:10");
    qd_query_built built;
    assert_int_equal(qd_query_parse(&x.c, QD_STR("{\"tree\":{\"kind\":\"ids\"}}"), &built, NULL),
                     0);
    assert_false(built.uncacheable);
    assert_int_equal(qd_query_parse(&x.c, QD_STR("{\"moody\":{\"kind\":\"ids\"}}"), &built, NULL),
                     0);
    assert_true(built.uncacheable);
    expect_place(&x, "{'bool':{'must':[{'tree':{'kind':'ids'}},{'tree':{'what':1}}]}}", "1", "51");
    expect_place(&x,
                 "{'bool':{'must':[{'tree':\n{'kind':'ids'}},\n {'tree':{'kind':\n'ids'}},\n"
                 "  {'tree': {'what':1}}]}}",
                 "5", "13");
    assert_non_null(strstr(query_text(&x, "{'trees':{}}"), "unknown query [trees] did you mean"));
    qd_plugin_host_close(h);
    query_index_close(&x);
}

static int32_t init_taken(qd_self *self, const qd_host *host, qd_err *err)
{
    return host->provide(self, QD_KIND_OPERATOR, "match", &tree_vt, err);
}

/* A query of the host's is found before any operator: one of its name would never run. */
static void names_of_queries_are_taken(void **state)
{
    static const qd_plugin taken = {
        QD_PLUGIN_HEAD(0),       .name = "taken", .version = "1",
        .license = "Apache-2.0", .build_id = "",  .init = init_taken,
    };
    const qd_plugin *const both[] = {&plugin, &taken};
    (void)state;
    for (int i = 0; i < 2; i++) {
        qd_plugin_host *h;
        qd_plugin_host_config c = {.env = qd_env_system()};
        qd_err err;
        qd_err_init(&err);
        assert_int_equal(qd_plugin_host_open(&c, &h, NULL), 0);
        assert_int_equal(qd_plugin_builtin(h, both[i], NULL), 0);
        assert_int_equal(qd_plugin_host_load(h, NULL), 0);
        assert_int_equal(qd_query_plugins_check(h, &err), i ? QD_E_EXISTS : 0);
        if (i)
            assert_string_equal(
                qd_err_reason(&err),
                "plugin [taken] provides the operator [match], which is a built-in one");
        qd_err_fini(&err);
        qd_plugin_host_close(h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trees_of_plugins),
        cmocka_unit_test(names_of_queries_are_taken),
    };
    return unit_run(tests);
}
