/* typed_t.c: documents as typed values: what is written is what REST shows, and read back as it was
 * written; what cannot be written fails alone, with its place. */
#include "action/documents/typed_int.h"
#include "lib/action_node.h"
#include "runtime/sync.h"
#include "unit/unit.h"
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define SVC ((const qd_svc_documents *)(const void *)qd_documents_service())

typedef struct waiter {
    qd_mutex lock;
    qd_cond wake;
    int done, rc;
} waiter;

static void on_done(qd_op *op, int32_t rc)
{
    waiter *w = op->user;
    qd_mutex_lock(&w->lock);
    w->done++;
    w->rc = rc;
    qd_cond_signal(&w->wake);
    qd_mutex_unlock(&w->lock);
}

static void ready(qd_docs_call *c, waiter *w)
{
    *w = (waiter){.lock = QD_MUTEX_INIT};
    qd_cond_init(&w->wake);
    c->struct_size = sizeof *c;
    c->op = (qd_op){.done = on_done, .user = w};
    c->origin.remote = QD_STR("127.0.0.1:1");
    if (!c->n) c->n = 1;
    c->item_size = c->writes ? sizeof *c->writes : sizeof *c->reads;
}

static void wait_for(waiter *w)
{
    qd_mutex_lock(&w->lock);
    while (!w->done) qd_cond_wait(&w->wake, &w->lock);
    qd_mutex_unlock(&w->lock);
    assert_int_equal(w->done, 1);
    assert_int_equal(w->rc, 0);
    qd_cond_fini(&w->wake);
    qd_mutex_fini(&w->lock);
}

static void run(action_node *n, qd_docs_call *c)
{
    waiter w;
    qd_err err;
    qd_err_init(&err);
    ready(c, &w);
    int rc = qdi_docs_submit(action_node_actions(n), NULL, c, c->writes != NULL, &err);
    if (rc) print_error("%s\n", qd_err_reason(&err));
    assert_int_equal(rc, 0);
    wait_for(&w);
}

static const qd_docs_result *at(const qd_docs_call *c, uint32_t i)
{
    const qd_docs_result *r = SVC->result(c, i);
    if (!r) print_error("%s\n", c->error ? c->error->reason.p : "no result");
    assert_non_null(r);
    return r;
}

#define NAMED(t, key) .type = QD_DOCS_##t, .name = {(key), sizeof(key) - 1}
#define TEXT(s) .text = {(s), sizeof(s) - 1}
#define WRITE(o, i, v)                                                                             \
    {                                                                                              \
        .op = QD_DOCS_##o, .index = QD_STR("t"), .id = {(i), sizeof(i) - 1}, .values = (v),        \
        .nvalues = QD_COUNT_OF(v)                                                                  \
    }

static const qd_docs_value everything[] = {
    {NAMED(STRING, "s"), TEXT("a \"b\"\n\xc3\xa9")},
    {NAMED(STRING, "empty")},
    {NAMED(BOOL, "yes"), .integer = 1},
    {NAMED(BOOL, "no")},
    {NAMED(NULL, "nothing")},
    {NAMED(INT, "least"), .integer = INT64_MIN},
    {NAMED(UINT, "most"), .integer = -1},
    {NAMED(DOUBLE, "d"), .number = 0.1},
    {NAMED(DOUBLE, "whole"), .number = 3},
    {NAMED(BYTES, "b0"), TEXT("")},
    {NAMED(BYTES, "b1"), TEXT("\xff")},
    {NAMED(BYTES, "b2"), TEXT("\x00\x01")},
    {NAMED(BYTES, "b3"), TEXT("abc")},
    {NAMED(OBJECT, "o")},
    {NAMED(ARRAY, "list")},
    {.type = QD_DOCS_INT, .integer = 1},
    {.type = QD_DOCS_OBJECT},
    {NAMED(STRING, "deep.er"), TEXT("x")},
    {.type = QD_DOCS_OBJECT_END},
    {.type = QD_DOCS_ARRAY_END},
    {.type = QD_DOCS_OBJECT_END},
    {NAMED(ARRAY, "none")},
    {.type = QD_DOCS_ARRAY_END},
};

/* A node with a document of every value; the call is not released yet. */
static action_node *node_with_everything(qd_docs_call *c)
{
    static qd_docs_write w;
    action_node *n = action_node_open(NULL);
    w = (qd_docs_write)WRITE(INDEX, "1", everything);
    *c = (qd_docs_call){.writes = &w};
    assert_int_equal(action_call(n, "PUT", "/t", "{\"mappings\":{\"enabled\":false}}"), 200);
    run(n, c);
    return n;
}

static void written_is_what_rest_shows(void **state)
{
    (void)state;
    qd_docs_call c;
    action_node *n = node_with_everything(&c);
    const qd_docs_result *r = at(&c, 0);
    assert_null(r->error);
    assert_int_equal(r->status, 201);
    assert_int_equal(r->outcome, QD_DOCS_CREATED);
    assert_int_equal(r->seq_no, 0);
    assert_int_equal(r->primary_term, 1);
    assert_int_equal(r->version, 1);
    assert_int_equal(r->copies, 2);
    assert_int_equal(r->copies_good, 1);
    assert_string_equal(r->index.p, "t");
    assert_string_equal(r->id.p, "1");
    SVC->release(&c);
    assert_int_equal(action_call(n, "GET", "/t/_source/1", NULL), 200);
    assert_string_equal(
        action_body(n),
        "{\"s\":\"a \\\"b\\\"\\n\xc3\xa9\",\"empty\":\"\",\"yes\":true,\"no\":false,"
        "\"nothing\":null,\"least\":-9223372036854775808,\"most\":18446744073709551615,\"d\":0.1,"
        "\"whole\":3.0,\"b0\":\"\",\"b1\":\"/w==\",\"b2\":\"AAE=\",\"b3\":\"YWJj\",\"o\":{"
        "\"list\":[1,{\"deep.er\":\"x\"}]},\"none\":[]}");
    action_node_close(n);
}

/* Every value is as it was, but that bytes come back as a string. */
static void read_is_what_was_written(void **state)
{
    (void)state;
    qd_docs_call c;
    action_node *n = node_with_everything(&c);
    SVC->release(&c);
    qd_docs_read reads[] = {{.index = QD_STR("t"), .id = QD_STR("1")},
                            {.index = QD_STR("t"), .id = QD_STR("2")}};
    c = (qd_docs_call){.reads = reads, .n = 2};
    run(n, &c);
    assert_int_equal(at(&c, 0)->outcome, QD_DOCS_FOUND);
    assert_int_equal(at(&c, 0)->version, 1);
    assert_int_equal(at(&c, 1)->outcome, QD_DOCS_NOT_FOUND);
    assert_int_equal(at(&c, 1)->status, 404);
    assert_null(at(&c, 1)->error);
    assert_null(SVC->result(&c, 2));
    qd_docs_cursor *cursor;
    qd_docs_value v;
    assert_int_equal(SVC->open(&c, 1, &cursor, NULL), QD_E_NOTFOUND);
    assert_int_equal(SVC->open(&c, 0, &cursor, NULL), 0);
    for (size_t i = 0; i < QD_COUNT_OF(everything); i++) {
        const qd_docs_value *e = &everything[i];
        assert_int_equal(SVC->next(cursor, &v, NULL), 0);
        assert_int_equal(v.type, e->type == QD_DOCS_BYTES ? QD_DOCS_STRING : e->type);
        assert_true(qd_str_eq(v.name, e->name));
        assert_int_equal(v.integer, e->integer);
        if (e->type == QD_DOCS_DOUBLE) assert_true(v.number == e->number);
        if (e->type == QD_DOCS_STRING) assert_true(qd_str_eq(v.text, e->text));
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(SVC->next(cursor, &v, NULL), 0);
        assert_int_equal(v.type, QD_DOCS_END);
    }
    SVC->close(cursor);
    SVC->close(NULL);
    SVC->release(&c);
    action_node_close(n);
}

/* Numbers and forms that only JSON brings; a skipped object; filters. */
static void documents_of_rest(void **state)
{
    (void)state;
    action_node *n = action_node_open(NULL);
    assert_int_equal(action_call(n, "PUT", "/t", "{\"mappings\":{\"enabled\":false}}"), 200);
    assert_int_equal(
        action_call(n, "PUT", "/t/_doc/1?routing=r",
                    " { \"big\": 123456789012345678901234567890, \"huge\": 1e999, "
                    "\"o\": {\"x\": [1, {\"y\": 2}], \"z\": true}, \"e\": 1.50, \"last\": -0 } "),
        201);
    qd_docs_read read = {.index = QD_STR("t"), .id = QD_STR("1"), .routing = QD_STR("r")};
    qd_docs_call c = {.reads = &read};
    qd_docs_cursor *cursor;
    qd_docs_value v;
    run(n, &c);
    assert_string_equal(at(&c, 0)->routing.p, "r");
    assert_int_equal(SVC->open(&c, 0, &cursor, NULL), 0);
    assert_int_equal(SVC->next(cursor, &v, NULL), 0);
    assert_int_equal(v.type, QD_DOCS_DOUBLE);
    assert_true(qd_str_is(v.text, "123456789012345678901234567890"));
    assert_int_equal(SVC->next(cursor, &v, NULL), 0);
    assert_true(v.type == QD_DOCS_DOUBLE && isinf(v.number) && qd_str_is(v.text, "1e999"));
    assert_int_equal(SVC->next(cursor, &v, NULL), 0);
    assert_true(v.type == QD_DOCS_OBJECT && qd_str_is(v.name, "o"));
    assert_int_equal((SVC->skip)(cursor, NULL), 0);
    assert_int_equal(SVC->next(cursor, &v, NULL), 0);
    assert_true(v.type == QD_DOCS_DOUBLE && v.number == 1.5 && qd_str_is(v.text, "1.50"));
    assert_int_equal((SVC->skip)(cursor, NULL), 0);
    assert_int_equal(SVC->next(cursor, &v, NULL), 0);
    assert_true(v.type == QD_DOCS_INT && v.integer == 0 && qd_str_is(v.name, "last"));
    SVC->close(cursor);
    SVC->release(&c);

    qd_str in[] = {QD_STR("o.*")}, ex[] = {QD_STR("o.x")};
    c = (qd_docs_call){
        .reads = &read, .includes = in, .nincludes = 1, .excludes = ex, .nexcludes = 1};
    run(n, &c);
    assert_int_equal(SVC->open(&c, 0, &cursor, NULL), 0);
    const uint32_t types[] = {QD_DOCS_OBJECT, QD_DOCS_BOOL, QD_DOCS_OBJECT_END, QD_DOCS_END};
    for (size_t i = 0; i < QD_COUNT_OF(types); i++) {
        assert_int_equal(SVC->next(cursor, &v, NULL), 0);
        assert_int_equal(v.type, types[i]);
    }
    SVC->close(cursor);
    SVC->release(&c);
    c = (qd_docs_call){.reads = &read, .flags = QD_DOCS_NO_VALUES};
    run(n, &c);
    assert_int_equal(at(&c, 0)->outcome, QD_DOCS_FOUND);
    assert_int_equal(at(&c, 0)->has_values, 0);
    assert_int_equal(SVC->open(&c, 0, &cursor, NULL), QD_E_NOTFOUND);
    SVC->release(&c);
    action_node_close(n);
}

static const char *reason(const qd_docs_call *c, uint32_t i)
{
    const qd_docs_result *r = at(c, i);
    assert_int_equal(r->outcome, QD_DOCS_FAILED);
    assert_non_null(r->error);
    return r->error->reason.p;
}

static void values_that_cannot_be(void **state)
{
    (void)state;
    action_node *n = action_node_open(NULL);
    static const qd_docs_value good[] = {{NAMED(INT, "a"), .integer = 1}};
    static const qd_docs_value nan_[] = {{NAMED(INT, "a")},
                                         {NAMED(OBJECT, "o")},
                                         {NAMED(DOUBLE, "d"), .number = NAN},
                                         {.type = QD_DOCS_OBJECT_END}};
    static const qd_docs_value type[] = {{.type = 99, .name = {"q", 1}}};
    static const qd_docs_value nameless[] = {{.type = QD_DOCS_INT}};
    static const qd_docs_value named[] = {{NAMED(ARRAY, "l")}, {NAMED(INT, "a")}};
    static const qd_docs_value open_[] = {{NAMED(OBJECT, "o")}, {NAMED(ARRAY, "l")}};
    static const qd_docs_value crossed[] = {{NAMED(OBJECT, "o")}, {.type = QD_DOCS_ARRAY_END}};
    static const qd_docs_value end[] = {{.type = QD_DOCS_OBJECT_END}};
    static const qd_docs_value utf8[] = {{NAMED(STRING, "s"), TEXT("\xff")}};
    static const qd_docs_value name8[] = {{NAMED(INT, "x\xff")}};
    static const qd_docs_value bool2[] = {{NAMED(BOOL, "b"), .integer = 2}};
    static const qd_docs_value twice[] = {{NAMED(INT, "a")}, {NAMED(INT, "a")}};
    qd_docs_write w[] = {
        WRITE(INDEX, "0", good),     WRITE(INDEX, "1", nan_),   WRITE(INDEX, "2", type),
        WRITE(INDEX, "3", nameless), WRITE(INDEX, "4", named),  WRITE(INDEX, "5", open_),
        WRITE(INDEX, "6", crossed),  WRITE(INDEX, "7", end),    WRITE(INDEX, "8", utf8),
        WRITE(INDEX, "9", name8),    WRITE(INDEX, "10", bool2), WRITE(INDEX, "11", twice),
        WRITE(INDEX, "12", good),
    };
    const char *const why[] = {
        NULL,
        "failed to parse value [2] at [o.d]: DOUBLE is no finite number",
        "failed to parse value [0] at [q]: its type is unknown",
        "failed to parse value [0] at []: a member of an object has a name",
        "failed to parse value [1] at [l]: an element of an array has no name",
        "failed to parse value [1] at [o.l]: OBJECT or ARRAY without its end",
        "failed to parse value [1] at [o]: ARRAY_END without its ARRAY",
        "failed to parse value [0] at []: OBJECT_END without its OBJECT",
        "failed to parse value [0] at [s]: STRING is not valid UTF-8",
        "failed to parse value [0] at [x\xef\xbf\xbd]: the name is not valid UTF-8",
        "failed to parse value [0] at [b]: BOOL is neither 0 nor 1",
        NULL, /* in the words of the parser */
        NULL,
    };
    qd_docs_call c = {.writes = w, .n = QD_COUNT_OF(w)};
    run(n, &c);
    for (uint32_t i = 0; i < c.n; i++) {
        if (!why[i]) continue;
        assert_string_equal(reason(&c, i), why[i]);
        assert_int_equal(at(&c, i)->status, 400);
        assert_string_equal(at(&c, i)->error->type.p, "document_parsing_exception");
    }
    assert_int_equal(at(&c, 0)->status, 201);
    assert_int_equal(at(&c, 12)->status, 201);
    assert_int_equal(at(&c, 11)->status, 400);
    const qd_docs_error *e = at(&c, 11)->error;
    assert_non_null(e->caused_by);
    assert_non_null(strstr(e->caused_by->reason.p, "Duplicate field 'a'"));
    SVC->release(&c);
    assert_int_equal(action_call(n, "GET", "/t/_count", NULL), 200);
    action_node_close(n);
}

/* Arrays of arrays as deep as may be, and one deeper. */
static void depth(void **state)
{
    (void)state;
    action_node *n = action_node_open(NULL);
    qd_docs_value v[2 * QD_DOCS_LEVELS_MAX] = {0};
    for (uint32_t deep = QD_DOCS_LEVELS_MAX - 1; deep <= QD_DOCS_LEVELS_MAX; deep++) {
        for (uint32_t i = 0; i < deep; i++) {
            v[i] = (qd_docs_value){.type = QD_DOCS_ARRAY};
            v[2 * deep - 1 - i] = (qd_docs_value){.type = QD_DOCS_ARRAY_END};
        }
        v[0].name = QD_STR("l");
        qd_docs_write w = {.op = QD_DOCS_INDEX,
                           .index = QD_STR("t"),
                           .id = QD_STR("1"),
                           .values = v,
                           .nvalues = 2 * deep};
        qd_docs_call c = {.writes = &w};
        run(n, &c);
        if (deep < QD_DOCS_LEVELS_MAX)
            assert_int_equal(at(&c, 0)->status, 201);
        else
            assert_string_equal(reason(&c, 0),
                                "failed to parse value [511] at [l]: the document has more than "
                                "512 levels");
        SVC->release(&c);
    }
    action_node_close(n);
}

static const qd_docs_value number[] = {{NAMED(INT, "n"), .integer = 7}};
static const qd_docs_value word[] = {{NAMED(STRING, "n"), TEXT("seven")}};

static void conflicts(void **state)
{
    (void)state;
    action_node *n = action_node_open(NULL);
    qd_docs_write w[] = {
        WRITE(INDEX, "1", number), /* the mapping: n is a long */
        WRITE(INDEX, "2", word),   WRITE(CREATE, "1", number), WRITE(INDEX, "1", number),
        WRITE(INDEX, "1", number), WRITE(INDEX, "3", number),  WRITE(INDEX, "3", number),
        WRITE(INDEX, "4", number), WRITE(INDEX, "1", number),
    };
    w[3].flags = QD_DOCS_IF;
    w[3].if_seq_no = 99;
    w[3].if_primary_term = 1;
    w[4].flags = QD_DOCS_IF;
    w[4].if_seq_no = 0;
    w[4].if_primary_term = 1;
    w[5].flags = w[6].flags = QD_DOCS_VERSION;
    w[5].version_type = w[6].version_type = QD_DOCS_EXTERNAL;
    w[5].version = w[6].version = 10;
    w[7].flags = QD_DOCS_VERSION;
    w[8].op = 9;
    qd_docs_call c = {.writes = w, .n = QD_COUNT_OF(w)};
    run(n, &c);
    const int32_t status[] = {201, 400, 409, 409, 200, 201, 409, 400, 400};
    for (uint32_t i = 0; i < c.n; i++) assert_int_equal(at(&c, i)->status, status[i]);
    assert_non_null(strstr(reason(&c, 1), "failed to parse field [n] of type [long] in document "
                                          "with id '2'"));
    assert_string_equal(at(&c, 1)->error->caused_by->type.p, "illegal_argument_exception");
    assert_string_equal(at(&c, 2)->error->type.p, "version_conflict_engine_exception");
    assert_string_equal(at(&c, 2)->id.p, "1");
    assert_int_equal(at(&c, 4)->outcome, QD_DOCS_UPDATED);
    assert_int_equal(at(&c, 4)->version, 2);
    assert_int_equal(at(&c, 5)->version, 10);
    assert_string_equal(reason(&c, 8), "operation [9] is unknown");
    SVC->release(&c);

    qd_docs_write more[] = {
        {.op = QD_DOCS_DELETE, .index = QD_STR("t"), .id = QD_STR("1")},
        {.op = QD_DOCS_DELETE, .index = QD_STR("t"), .id = QD_STR("1")},
        {.op = QD_DOCS_DELETE, .index = QD_STR("t")},
        {.op = QD_DOCS_INDEX, .index = QD_STR("t"), .values = number, .nvalues = 1},
        {.op = QD_DOCS_INDEX, .index = QD_STR("Bad"), .values = number, .nvalues = 1},
        {.op = QD_DOCS_INDEX, .index = QD_STR("\xff"), .values = number, .nvalues = 1},
        {.op = QD_DOCS_INDEX, .id = QD_STR("1"), .values = number, .nvalues = 1},
        {.op = QD_DOCS_INDEX, .index = QD_STR("t"), .id = QD_STR("5"), .flags = 256},
    };
    c = (qd_docs_call){.writes = more, .n = QD_COUNT_OF(more), .refresh = QD_DOCS_REFRESH_NOW};
    run(n, &c);
    assert_int_equal(at(&c, 0)->outcome, QD_DOCS_DELETED);
    assert_int_equal(at(&c, 1)->outcome, QD_DOCS_NOT_FOUND);
    assert_int_equal(at(&c, 1)->status, 404);
    assert_non_null(strstr(reason(&c, 2), "id is missing"));
    assert_int_equal(at(&c, 3)->status, 201);
    assert_int_equal(at(&c, 3)->id.n, 20);
    assert_string_equal(at(&c, 4)->error->type.p, "invalid_index_name_exception");
    assert_string_equal(reason(&c, 5), "index is not valid UTF-8");
    assert_non_null(strstr(reason(&c, 6), "index is missing"));
    assert_string_equal(reason(&c, 7), "flags [256] are unknown");
    SVC->release(&c);
    assert_int_equal(action_call(n, "GET", "/t/_search?q=n:7", NULL), 200);
    assert_string_equal(action_at(n, "hits.total.value"), "2");
    action_node_close(n);
}

static void reads_that_fail(void **state)
{
    (void)state;
    action_node *n = action_node_open("action.auto_create_index=false");
    qd_docs_write w = WRITE(INDEX, "1", number);
    qd_docs_call c = {.writes = &w};
    run(n, &c);
    assert_int_equal(at(&c, 0)->status, 404);
    assert_string_equal(at(&c, 0)->error->type.p, "index_not_found_exception");
    SVC->release(&c);
    qd_docs_read reads[] = {{.index = QD_STR("t"), .id = QD_STR("1")},
                            {.index = QD_STR("t")},
                            {.id = QD_STR("1")},
                            {.index = QD_STR("t"), .id = QD_STR("\xff")}};
    c = (qd_docs_call){.reads = reads, .n = QD_COUNT_OF(reads)};
    run(n, &c);
    assert_string_equal(at(&c, 0)->error->type.p, "index_not_found_exception");
    assert_non_null(strstr(reason(&c, 1), "id is missing"));
    assert_non_null(strstr(reason(&c, 2), "index is missing"));
    assert_string_equal(reason(&c, 3), "id is not valid UTF-8");
    SVC->release(&c);
    action_node_close(n);
}

static int submit(action_node *n, qd_docs_call *c, qd_err *err)
{
    waiter w;
    ready(c, &w);
    return qdi_docs_submit(action_node_actions(n), NULL, c, c->writes != NULL, err);
}

/* done would touch a waiter that is gone. */
static void calls_that_are_refused(void **state)
{
    (void)state;
    action_node *n = action_node_open("http.max_content_length=1kb");
    qd_err err;
    qd_docs_write w = WRITE(INDEX, "1", number);
    static char text[2000];
    memset(text, 'x', sizeof text);
    const qd_docs_value large[] = {{NAMED(STRING, "s"), .text = {text, sizeof text}}};
    qd_docs_write big = WRITE(INDEX, "1", large);
    qd_docs_call bad[] = {
        {.writes = &w, .n = QD_DOCS_CALL_MAX + 1},
        {.writes = &w, .refresh = 9},
        {.writes = &w, .timeout_ms = -1},
        {.writes = &w, .active_copies = -2},
        {.writes = &w, .flags = 64},
        {.writes = NULL},
        {.reads = (qd_docs_read[]){{.index = QD_STR("t")}}, .nincludes = 1},
    };
    for (size_t i = 0; i < QD_COUNT_OF(bad); i++) {
        qd_err_init(&err);
        assert_int_equal(submit(n, &bad[i], &err), QD_E_ARG);
        assert_non_null(strstr(qd_err_reason(&err), "call of documents"));
        qd_err_fini(&err);
    }
    qd_docs_call c = {.writes = &big};
    qd_err_init(&err);
    assert_int_equal(submit(n, &c, &err), QD_E_TOO_LARGE);
    assert_string_equal(qd_err_reason(&err), "call of documents has more than 1024 bytes "
                                             "(http.max_content_length)");
    qd_err_fini(&err);
    qd_actions *a = action_node_actions(n);
    atomic_store(&a->serving, false);
    c = (qd_docs_call){.writes = &w};
    assert_int_equal(submit(n, &c, NULL), QD_E_CLUSTER_BLOCK);
    atomic_store(&a->serving, true);
    run(n, &c);
    SVC->release(&c);
    action_node_close(n);
}

/* More than one batch, and a call that is cancelled while it runs: each document has its result. */
static void many_and_cancelled(void **state)
{
    (void)state;
    action_node *n = action_node_open(NULL);
    enum { N = 600 };
    size_t size = 20000;
    char *text = malloc(size);
    assert_non_null(text);
    memset(text, 'x', size);
    const qd_docs_value v[] = {{NAMED(INT, "n")}, {NAMED(STRING, "s"), .text = {text, size}}};
    qd_docs_write *w = calloc(N, sizeof *w);
    assert_non_null(w);
    for (int i = 0; i < N; i++)
        w[i] = (qd_docs_write){
            .op = QD_DOCS_INDEX, .index = QD_STR("t"), .values = v, .nvalues = QD_COUNT_OF(v)};
    assert_int_equal(action_call(n, "PUT", "/t",
                                 "{\"mappings\":{\"properties\":{\"s\":{\"type\":\"text\","
                                 "\"index\":false}}}}"),
                     200);
    for (int cancelled = 0; cancelled < 2; cancelled++) {
        qd_docs_call c = {.writes = w, .n = N};
        waiter done;
        ready(&c, &done);
        assert_int_equal(qdi_docs_submit(action_node_actions(n), NULL, &c, true, NULL), 0);
        if (cancelled) SVC->cancel(&c);
        wait_for(&done);
        SVC->cancel(&c);
        uint32_t good = 0, other = 0;
        for (uint32_t i = 0; i < N && !c.error; i++) {
            const qd_docs_result *r = at(&c, i);
            if (r->status == 201) good++;
            if (r->error && qd_str_is(r->error->type, "task_cancelled_exception")) other++;
        }
        if (c.error) assert_string_equal(c.error->type.p, "task_cancelled_exception");
        if (!c.error) assert_int_equal(good + other, N);
        if (!cancelled) assert_int_equal(good, N);
        SVC->release(&c);
    }
    free(w);
    free(text);
    action_node_close(n);
}

/* A plugin's account that is too small fails what it cannot keep, and nothing stays charged. */
static void memory(void **state)
{
    (void)state;
    action_node *n = action_node_open(NULL);
    qd_account small;
    qd_account_init(&small, "plugin.small", NULL, 64 << 10);
    size_t size = 200000;
    char *body = malloc(size + 32);
    assert_non_null(body);
    int begin = snprintf(body, 32, "{\"s\":\"");
    memset(body + begin, 'x', size);
    snprintf(body + begin + size, 8, "\"}");
    assert_int_equal(action_call(n, "PUT", "/t", "{\"mappings\":{\"enabled\":false}}"), 200);
    assert_int_equal(action_call(n, "PUT", "/t/_doc/1", body), 201);
    qd_docs_read read = {.index = QD_STR("t"), .id = QD_STR("1")};
    qd_docs_call c = {.reads = &read};
    waiter w;
    ready(&c, &w);
    assert_int_equal(qdi_docs_submit(action_node_actions(n), &small, &c, false, NULL), 0);
    wait_for(&w);
    assert_int_equal(at(&c, 0)->status, 429);
    assert_int_equal(at(&c, 0)->has_values, 0);
    assert_string_equal(at(&c, 0)->error->type.p, "circuit_breaking_exception");
    SVC->release(&c);
    assert_int_equal(qd_account_used(&small), 0);
    free(body);
    action_node_close(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_is_what_rest_shows),
        cmocka_unit_test(read_is_what_was_written),
        cmocka_unit_test(documents_of_rest),
        cmocka_unit_test(values_that_cannot_be),
        cmocka_unit_test(depth),
        cmocka_unit_test(conflicts),
        cmocka_unit_test(reads_that_fail),
        cmocka_unit_test(calls_that_are_refused),
        cmocka_unit_test(many_and_cancelled),
        cmocka_unit_test(memory),
    };
    return unit_run(tests);
}
